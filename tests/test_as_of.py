"""A replay sees what could be seen then: a poisoned future changes no number."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.plain import plain
from trimtab.run import checking, lifecycle

START, LATER = "2024-02-20", "2024-03-25"
DELAY = pd.Timedelta(days=5)
REPLAYED = merged(BINARY, data={"label_delay": "5d", "segments": ["site"]})


def _poisoned(clean: pd.DataFrame, *, words: bool = False) -> pd.DataFrame:
    """The same past with a future that is nothing like it, and wrong labels where nobody could know them yet."""
    now = pd.Timestamp(LATER)
    past = clean[clean["at"] < now].copy()
    unknown = past["at"] > now - DELAY
    assert unknown.any()
    past.loc[unknown, "y"] = ~past.loc[unknown, "y"]
    future = clean[clean["at"] >= now].copy()
    assert len(future) > 100
    future[["x", "z", "noise"]] = 1e9
    future["kind"], future["y"] = "never seen", True
    if words:
        future[["x", "z", "y"]] = "gone"
        past["y"] = past["y"].astype(object).mask(unknown, "gone")
    return pd.concat([future.astype({"x": object, "z": object, "y": object}) if words else future, past])


def _measure(params: Path) -> dict[str, Any]:
    """Everything that a replay measures and decides, as plain values."""
    start = tt.open(params, as_of=START)
    contest = lifecycle.first_champion(start)
    first = lifecycle.judge(start, contest)
    lifecycle.appoint(start, contest, first)
    session = tt.open(params, as_of=LATER)
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    scored = checking.score(session, current)
    signals = checking.signals(session, drift, scored, current)
    made = lifecycle.train(session, None)
    held = lifecycle.evaluate_challenger(session, session.model(made.version))
    verdict = lifecycle.judge(session, held)
    return {
        "contract": plain(session.check()),
        "drift": plain(drift.columns),
        "signals": plain(signals),
        "windows": [(w.rows, w.labelled) for w in (reference, current, *session.training_windows())],
        "fingerprints": [plain(session.records.fingerprint(w)) for w in (reference, current)],
        "performance": [plain(i) for i in scored.performance.values.values()] if scored.performance else None,
        "training": made.lineage["fingerprint"],
        "evaluation": [plain(pair) for pair in held.evaluation.differences.values()],
        "verdict": plain(replace(verdict, gates=())),
        "gates": [(gate.name, gate.passed) for gate in verdict.gates],    # their evidence holds seconds that pass
    }


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_poisoning_the_future_changes_no_number(
    fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """In a CSV file, which has no types, words where numbers and labels have stood so far are poison too."""
    clean = binary_table(2500)
    measured = []
    for name, table in (("clean", clean), ("poisoned", _poisoned(clean, words=kind == "csv"))):
        home = tmp_path / name
        shutil.copytree(fresh_home, home)
        monkeypatch.setenv("TRIMTAB_HOME", str(home))
        place = home / f"records.{kind}"
        table.to_parquet(place) if kind == "parquet" else table.to_csv(place, index=False)
        (home / "demo.yaml").write_text(yaml.safe_dump(merged(REPLAYED, data={"table": place.name})))
        measured.append(_measure(home / "demo.yaml"))
    assert measured[0] == measured[1]


def test_poison_would_show_if_it_could_be_seen(project: Callable[..., Path]) -> None:
    """The test above can fail: a run that stands later sees the poison at once."""
    params = project(REPLAYED, _poisoned(binary_table(2500)))
    session = tt.open(params, as_of="2024-04-20")
    window = session.records.window("current", session.params.windows.current)
    assert session.records.frame(window, ["x"])["x"].max() == 1e9


def test_labels_younger_than_their_delay_and_later_than_their_time_are_unknown(project: Callable[..., Path]) -> None:
    table = binary_table(1000)
    table["told"] = table["at"] + pd.to_timedelta(np.where(table.index % 2, 1, 60), unit="D")
    params = project(merged(BINARY, data={"label_delay": "2d", "label_time": "told"}), table)
    session = tt.open(params, as_of="2024-03-01")
    seen = session.records.arrow(session.records.visible.select("at", "told", "y")).to_pandas()
    known = seen["y"].notna()
    now = pd.Timestamp("2024-03-01")
    expected = (seen["told"] <= now) & (seen["at"] <= now - pd.Timedelta(days=2))
    assert known.equals(expected)
    assert 0 < known.sum() < len(seen)


@pytest.mark.parametrize("as_of", ["latest", "now"])
def test_latest_and_now_see_every_record(project: Callable[..., Path], as_of: str) -> None:
    session = tt.open(project(BINARY, binary_table(500)), as_of=as_of)
    assert session.check().rows == 500

"""Wherever a run stands still until another one has closed it, it gives way: no file and no row of it changes then."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import BINARY, binary_table

import trimtab as tt
from trimtab import plain
from trimtab.act import champion as champions
from trimtab.act.fence import GAVE_WAY
from trimtab.act.ledger import Ledger
from trimtab.errors import StepError
from trimtab.run import endings, manifest, notebooks, reports
from trimtab.run.manifest import Manifest
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, run
from trimtab.run.verifying import verify


def _execute(_source: Path, target: Path, *_args: Any, **settings: Any) -> None:
    """A notebook that is saved and fails, without a kernel."""
    text = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("Hello.")]))
    plain.write_atomically(target, text, settings.get("ready"))
    raise StepError("it fails")


@pytest.fixture
def params(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(notebooks, "execute", _execute)
    return project(BINARY, binary_table(800))


def _run(params: Path) -> Outcome:
    return run(Request(pipeline="baseline", params=params, progress=False))


def _left(params: Path) -> dict[str, bytes]:
    """Every file of every run."""
    return {str(path): path.read_bytes() for path in params.parent.glob("runs/demo/**/*") if path.is_file()}


def _stands_still_at(
    params: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, call: int
) -> tuple[Outcome, dict[str, bytes]]:
    """A run that stands still at a call until another has closed it and ended; and what lay there then."""
    calls, real, closed = [], getattr(place, name), dict[str, bytes]()

    def _called(*args: Any, **settings: Any) -> Any:
        calls.append(name)
        if len(calls) == call:
            with sqlite3.connect(params.parent / ".trimtab" / "ledger.db") as ledger:
                ledger.execute("UPDATE leases SET expires_at = '2020-01-01 00:00:00.000000', host = 'other/x'")
            ledger.close()
            monkeypatch.setattr(place, name, real)
            assert _run(params).error == "it fails"
            assert verify(params).findings == ()
            closed.update(_left(params))
        return real(*args, **settings)

    monkeypatch.setattr(place, name, _called)
    return _run(params), closed


POINTS: dict[str, tuple[Any, str, int, str]] = {
    "before the ledger knows it": (Ledger, "start_run", 1, "interrupted"),
    "before its manifest": (Manifest, "save", 1, "interrupted"),
    "before it brings things in order": (champions, "recover", 1, "interrupted"),
    "before its step is written down": (Manifest, "save", 2, "interrupted"),
    "before its notebook is saved": (notebooks, "execute", 1, "interrupted"),
    "after its notebook": (Manifest, "save", 3, "interrupted"),
    "before its end": (endings, "conclude", 1, "interrupted"),
    "before its manifest says how it ended": (Manifest, "save", 4, "interrupted"),
    "before its report": (reports, "run_report", 1, "failed"),
    "while its files are counted": (manifest, "digests", 1, "failed"),
    "before the last form of its manifest": (Manifest, "save", 5, "failed"),
}


@pytest.mark.parametrize("point", POINTS)
def test_run_that_another_closed_meanwhile_gives_way(
    params: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    place, name, call, status = POINTS[point]
    _run(params)
    late, closed = _stands_still_at(params, monkeypatch, place, name, call)
    assert (late.exit_code, late.error, late.report) == (3, GAVE_WAY, None)
    _nothing_changed(params, late, closed, status)


def test_run_whose_end_another_wrote_down_as_it_was_ended_so(params: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late, closed = _stands_still_at(params, monkeypatch, Ledger, "finish_run", 1)
    assert (late.exit_code, late.error) == (4, "it fails")
    _nothing_changed(params, late, closed, "failed")


def _nothing_changed(params: Path, late: Outcome, closed: dict[str, bytes], status: str) -> None:
    assert _left(params) == closed
    assert verify(params).findings == ()
    rows = {row["run_id"]: row["status"] for row in tt.open(params).ledger.runs()}
    run_id = late.result["run_id"]
    assert rows.get(run_id, "interrupted") == late.result["status"] == status
    assert _run(params).error == "it fails"
    assert verify(params).findings == ()

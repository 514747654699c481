"""Wherever a run dies while its end is written down, the next one completes that, and the chain holds."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import BINARY, binary_table

import trimtab as tt
from trimtab.act.lease import Lease
from trimtab.act.ledger import Ledger
from trimtab.run import notebooks, reports
from trimtab.run.manifest import Manifest
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, Run, run
from trimtab.run.verifying import verify

FIXTURES = Path(__file__).parent / "notebooks"
NOBODY = 2**22 + 1    # no process has this id: Linux gives out none beyond 2**22


class _Killed(BaseException):
    """As if the process were gone: nothing of ours catches it."""


@pytest.fixture
def params(project: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A params file whose baseline fails in its first cell, which is the quickest run there is."""
    (home / "books").mkdir()
    shutil.copy(FIXTURES / "broken.ipynb", home / "books" / "01_baseline.ipynb")
    monkeypatch.setattr(notebooks, "folder", lambda: home / "books")
    return project(BINARY, binary_table(800))


def _run(params: Path) -> Outcome:
    return run(Request(pipeline="baseline", params=params, progress=False))


def _dies_at(params: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, *, call: int = 1) -> Path:
    """A run that is gone at a call; returns its folder."""
    calls, real = [], getattr(place, name)

    def _called(*args: Any, **settings: Any) -> Any:
        calls.append(name)
        if len(calls) == call:
            raise _Killed
        return real(*args, **settings)

    before = set(params.parent.glob("runs/demo/*"))
    with monkeypatch.context() as patch:
        patch.setattr(Lease, "release", lambda *_: None)
        patch.setattr(place, name, _called)
        with pytest.raises(_Killed):
            _run(params)
    (folder,) = set(params.parent.glob("runs/demo/*")) - before
    with sqlite3.connect(params.parent / ".trimtab" / "ledger.db") as ledger:
        ledger.execute("UPDATE leases SET pid = ?", (NOBODY,))
    ledger.close()
    return folder


POINTS: dict[str, tuple[Any, str, int, str]] = {
    "before its manifest": (Manifest, "save", 1, "interrupted"),
    "in its notebook": (notebooks, "execute", 1, "interrupted"),
    "before its manifest says how it ended": (Manifest, "save", 4, "interrupted"),
    "before its report": (reports, "run_report", 1, "failed"),
    "before the last form of its manifest": (Manifest, "save", 5, "failed"),
    "before the ledger knows": (Ledger, "finish_run", 1, "failed"),
    "before the index": (reports, "index", 1, "failed"),
}


@pytest.mark.parametrize("point", POINTS)
def test_run_that_died_is_completed_by_the_next_one(
    params: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    place, name, call, status = POINTS[point]
    _run(params)
    folder = _dies_at(params, monkeypatch, place, name, call=call)
    assert verify(params).holds
    before = (folder / "run.json").read_bytes() if point == "before the index" else None
    after = _run(params)
    found = verify(params)
    assert (found.findings, found.notes, found.links) == (
        (), ("run " + folder.name + " left no complete manifest, so its files are not covered",)
        if point == "before its manifest" else (), 3)
    rows = {row["run_id"]: row["status"] for row in tt.open(params).ledger.runs()}
    assert rows[folder.name] == status
    manifest = json.loads((Path(after.result["run_dir"]) / "run.json").read_text())
    assert any(folder.name in note for note in manifest["notes"])
    assert before is None or (folder / "run.json").read_bytes() == before


def test_run_that_another_closed_leaves_what_was_written_of_it(params: Path) -> None:
    ledger = tt.open(params).ledger
    ledger.start_run("one", pipeline="baseline", run_dir="nowhere")
    ledger.finish_run("one", status="interrupted", as_of=None, error="died", result={})
    ledger.finish_run("one", status="succeeded", as_of=None, error=None, result={})
    assert [row["status"] for row in ledger.runs()] == ["interrupted"]
    assert [link.seq for link in ledger.chain.links()] == [1]


def test_ledger_that_is_gone_at_the_end_is_told_the_end_by_the_next_run(
    params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(params)

    def _refused(*_args: object, **_settings: object) -> None:
        raise tt.errors.StateError("store.ledger: cannot be written: gone")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "finish_run", _refused)
        lost = _run(params)
    assert verify(params).holds
    _run(params)
    assert (verify(params).findings, verify(params).links) == ((), 3)
    rows = {row["run_id"]: row["status"] for row in tt.open(params).ledger.runs()}
    assert rows[lost.result["run_id"]] == "failed"


def test_disk_that_is_full_at_the_end_leaves_a_chain_that_holds(params: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def _full(*_args: object, **_settings: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(reports, "run_report", _full)
        _run(params)
    _run(params)
    assert (verify(params).findings, verify(params).links) == ((), 2)


def test_change_that_a_dead_run_began_is_covered_by_its_own_link_even_if_the_next_run_dies_too(
    params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(params)
    dead = _dies_at(params, monkeypatch, notebooks, "execute")
    session = tt.open(params)
    session.ledger.succession.begin_change(
        "promotion", from_version=None, to_version=1, run_id=dead.name, as_of=session.as_of, by="trimtab", why="a test")
    _dies_at(params, monkeypatch, notebooks, "execute")
    assert [row["state"] for row in session.ledger.succession.changes()] == ["undone"]
    assert verify(params).findings == ()
    own = {link.seq for link in session.ledger.chain.links() if link.run_id == dead.name}
    assert {seal.seq for seal in session.ledger.chain.seals() if seal.kind == "champion_changes"} == own


def _begins_a_change(params: Path) -> Callable[..., None]:
    """A notebook that begins a change and cannot settle it."""

    def _execute(_source: Path, target: Path, *_args: Any, **_settings: Any) -> None:
        tt.open(params).ledger.succession.begin_change(
            "promotion", from_version=None, to_version=1, run_id=target.parent.name, as_of=None, by="trimtab",
            why="a test")
        raise tt.errors.StateError("store.ledger: cannot be written: gone")

    return _execute


def test_change_that_a_failed_step_left_open_is_settled_before_the_run_ends(
    params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(params)
    with monkeypatch.context() as patch:
        patch.setattr(notebooks, "execute", _begins_a_change(params))
        failed = _run(params)
    assert failed.error == "store.ledger: cannot be written: gone"
    manifest = json.loads((Path(failed.result["run_dir"]) / "run.json").read_text())
    assert manifest["notes"] == ["a promotion to version 1 was cut short; it had not happened and was taken back"]
    assert [row["state"] for row in tt.open(params).ledger.succession.changes()] == ["undone"]
    assert (verify(params).findings, verify(params).notes) == ((), ())


def test_change_that_an_ended_run_left_open_is_answered_for_by_the_run_that_settles_it(
    params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(params)
    with monkeypatch.context() as patch:
        patch.setattr(notebooks, "execute", _begins_a_change(params))
        patch.setattr(Run, "_leave_nothing_open", lambda _run: None)    # as if the registry were gone, too
        ended = _run(params)
    found = verify(params)
    assert (found.findings, found.notes) == ((), (
        "ledger: champion_changes, id 1 is open, a promotion from version None to 1: it is under way, or the next run "
        "completes it or takes it back",))
    with sqlite3.connect(params.parent / ".trimtab" / "ledger.db") as ledger:
        ledger.execute("UPDATE champion_changes SET to_version = 2")
    assert [one.told for one in verify(params).findings] == ["ledger: intents, id 1 was changed"]
    with ledger:
        ledger.execute("UPDATE champion_changes SET to_version = 1")
    ledger.close()
    later = _dies_at(params, monkeypatch, notebooks, "execute")
    (change,) = tt.open(params).ledger.succession.changes()
    assert (change["state"], change["run_id"], change["settled_in"]) == ("undone", ended.result["run_id"], later.name)
    assert verify(params).findings == ()
    _run(params)
    assert (verify(params).findings, verify(params).notes) == ((), ())

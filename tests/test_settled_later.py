"""A change of the champion that a run could not settle: the next one does, and people hear of it once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BINARY, binary_table, merged
from test_champion import Alias

import trimtab as tt
from trimtab.act import champion as champions
from trimtab.act.outbox import Posted
from trimtab.errors import StateError
from trimtab.run import terminal
from trimtab.run.pipelines import PIPELINES
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, Run, run
from trimtab.run.session import Session
from trimtab.run.telling import Telling

SILENT = "store.registry: no answer"
TOLD = {"promotion": "promoted", "rollback": "rolled_back"}


class Registry(Alias):
    """It flips the alias, and answers no more."""

    gone = False

    def champion(self) -> int | None:
        if self.gone:
            raise StateError(SILENT)
        return super().champion()

    def set_champion(self, version: int) -> None:
        super().set_champion(version)
        self.gone = True
        raise StateError(SILENT)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry(version=2)
    monkeypatch.setattr(Session, "registry", made)
    monkeypatch.setitem(PIPELINES, "drift", lambda _run: None)
    return made


@pytest.fixture
def params(project: Callable[..., Path]) -> Path:
    return project(merged(BINARY, alerts={"urls": ["json://localhost:9"]}), binary_table(300))


def _run(params: Path, pipeline: str = "drift") -> Outcome:
    return run(Request(pipeline=pipeline, params=params, progress=False))


def _cut_short(params: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> Outcome:
    """A run whose change of the champion to version 1 happened without its knowing."""

    def changes(run: Run) -> None:
        session = run.session
        champions.change(session.ledger, session.registry, kind=kind, expected=2, to_version=1,
                         run_id=session.run_id, as_of=session.as_of, by="Ada", why="too slow")

    monkeypatch.setitem(PIPELINES, "baseline", changes)
    return _run(params, "baseline")


def _messages(params: Path) -> dict[str, Posted]:
    return {one.key: one for one in reversed(tt.open(params).ledger.outbox.all())}


@pytest.mark.parametrize("kind", TOLD)
def test_change_that_a_later_run_completes_is_told_once_in_the_name_of_the_run_that_began_it(
    params: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    began = _cut_short(params, monkeypatch, kind).result["run_id"]
    registry.gone = False
    later = [_run(params).result["run_id"] for _ in range(2)]
    failed, told = _messages(params).values()
    assert (failed.key, told.key) == (f"{began}:failed", f"{began}:{TOLD[kind]}")
    assert "version 1" in told.title
    assert f"begun by run {began}, which could not settle it; completed by run {later[0]}" in told.body


def test_run_with_an_open_change_says_that_nobody_knows_who_serves(
    params: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = _cut_short(params, monkeypatch, "rollback")
    (failed,) = _messages(params).values()
    assert "run anything next: " in failed.body
    assert "to version 1 could not be settled" in failed.body
    assert "as it was" not in failed.body
    result = json.loads((Path(outcome.result["run_dir"]) / "run.json").read_text())["result"]
    assert (result["champion_before"], result["champion_after"], result["champion_unknown"]) == (2, None, SILENT)
    capsys.readouterr()
    terminal.tell(outcome.result, None)
    assert f"  champion: unknown ({SILENT})" in capsys.readouterr().out.splitlines()
    assert outcome.report is not None
    assert f"<b>unknown</b>{SILENT}" in outcome.report.read_text()


def test_run_that_finds_the_registry_silent_does_not_claim_more(
    params: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut_short(params, monkeypatch, "rollback")
    with pytest.raises(StateError, match=SILENT):
        _run(params)
    failed, unstarted = _messages(params).values()
    assert unstarted.title == "demo: drift could not start"
    assert all("nobody knows who serves" in one.body and "as it was" not in one.body for one in (failed, unstarted))


def test_change_is_told_though_the_run_that_completed_it_died_before_it_could(
    params: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = _cut_short(params, monkeypatch, "rollback").result["run_id"]
    registry.gone = False

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Telling, "settled", killed)
        with pytest.raises(Killed):
            _run(params)
    assert f"{began}:rolled_back" not in _messages(params)
    _run(params)
    assert f"{began}:rolled_back" in _messages(params)


@pytest.mark.parametrize("named", ["interactive-0123456789ab", "../elsewhere"])
def test_change_that_no_run_is_known_to_have_begun_is_told_or_left_out_and_stops_nothing(
    params: Path, registry: Registry, named: str
) -> None:
    _run(params)
    session = tt.open(params)
    session.ledger.succession.begin_change(
        "rollback", from_version=2, to_version=1, run_id=named, as_of=None, by="Ada", why="too slow")
    registry.version = 1
    assert _run(params).exit_code == 0
    told = [one.title for one in _messages(params).values()]
    assert told == (["demo: rolled back from version 2 to version 1"] if named.startswith("inter") else [])

"""A run that another one has taken over or closed writes no row any more; nobody else is kept from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from test_champion import Alias

from trimtab.act import champion as champions
from trimtab.act import database, tables
from trimtab.act.ledger import Ledger
from trimtab.act.rows import now
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Guard
from trimtab.decide.promotion import Verdict
from trimtab.decide.signals import Signal
from trimtab.errors import BusyError, ChampionError
from trimtab.run.lease import Hold

AS_OF = datetime(2024, 4, 1)
WEEK = timedelta(days=7)
Write = Callable[[Ledger, str], Any]


def _change(ledger: Ledger, run_id: str | None) -> int:
    return ledger.succession.begin_change(
        "promotion", from_version=1, to_version=2, run_id=run_id, as_of=AS_OF, by="trimtab", why="better")


def _ask(ledger: Ledger, run_id: str, champion: int = 1) -> object:
    return ledger.approvals.ask(run_id, "retrain", as_of=AS_OF, expires=WEEK, champion=champion)


WRITES: dict[str, Write] = {
    "a run": lambda ledger, me: ledger.start_run(me, pipeline="drift", run_dir="/runs"),
    "its end": lambda ledger, me: ledger.finish_run(
        "dead", status="failed", as_of=AS_OF, error=None, result={}, by=me),
    "a decision": lambda ledger, me: ledger.record_check(
        me, AS_OF, [Signal("psi", 0.1, 0.25, 0.5, "none", ("x",), "x stayed")],
        Decision(False, "none", 0.9, ("Nothing moved.",), ()), Guard(())),
    "a verdict": lambda ledger, me: ledger.record_verdict(
        me, AS_OF, Verdict("promote", ("better",), ()), champion=1, challenger=2),
    "a version": lambda ledger, me: ledger.record_version(
        2, run_id=me, as_of=AS_OF, sha256="0" * 64, source="/models/2", lineage={}),
    "a retrain event": lambda ledger, me: ledger.retrains.record_retrain(me, as_of=AS_OF, retrain_attempted=True),
    "what came of another's event": lambda ledger, me: ledger.retrains.record_retrain("dead", in_run=me, promoted=True),
    "an intent": _change,
    "that an intent of another is settled": lambda ledger, me: ledger.succession.settle_change(
        _change(ledger, None), "undone", settled_in=me),
    "that somebody moved the alias": lambda ledger, me: ledger.succession.record_foreign_change(1, 2, found_in=me),
    "a request": lambda ledger, me: _ask(ledger, me, champion=2),
    "an answer": lambda ledger, me: ledger.approvals.decide(
        "asks", "approved", by="Ada", why="so", decided_in=me),
    "that an approval was used": lambda ledger, me: ledger.approvals.use("asked", me),
    "nothing yet": lambda ledger, me: ledger.lease.require(me),
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger in which version 1 serves, `asks` waits for an answer, `asked` has one, and `mine` is active."""
    made = Ledger(database.connect(f"sqlite:///{tmp_path}/ledger.db"), "demo")
    made.succession.record_foreign_change(None, 1)
    made.start_run("dead", pipeline="retrain", run_dir="/runs")
    made.retrains.record_retrain("dead", as_of=AS_OF, retrain_attempted=True)
    _ask(made, "asked")
    made.approvals.decide("asked", "approved", by="Ada", why="so")
    _ask(made, "asks")
    made.lease.acquire("mine")
    yield made
    made.close()


def _taken_over(ledger: Ledger, after: timedelta = timedelta(seconds=-1)) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(tables.leases.update().values(expires_at=now() + after))
    assert ledger.lease.acquire("other") == "mine"


def _taken_over_as_the_clock_went_back(ledger: Ledger) -> None:
    """The holder lives, and has not renewed its lease by the right clock yet."""
    _taken_over(ledger, timedelta(hours=5))


def _closed(ledger: Ledger) -> None:
    _taken_over(ledger)
    ledger.finish_run("mine", status="interrupted", as_of=None, error="died", result={}, by="other")
    ledger.lease.release("other")


def _everything(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    with ledger.engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in tables.metadata.sorted_tables if table.name != "champion_changes"
        } | {"changes": [tuple(row) for row in connection.execute(
            sa.select(tables.changes).where(tables.changes.c.by != "trimtab"))]}


@pytest.mark.parametrize("lose", [_taken_over, _taken_over_as_the_clock_went_back, _closed])
@pytest.mark.parametrize("what", WRITES)
def test_run_that_lost_its_lease_writes_nothing(ledger: Ledger, what: str, lose: Callable[[Ledger], None]) -> None:
    lose(ledger)
    before = _everything(ledger)
    with pytest.raises(BusyError, match="took the lease over while this one stood still; it gives way"):
        WRITES[what](ledger, "mine")
    assert _everything(ledger) == before


@pytest.mark.parametrize("what", WRITES)
def test_active_run_and_session_at_a_notebook_write_as_ever(ledger: Ledger, what: str) -> None:
    before = _everything(ledger), len(ledger.succession.changes())
    WRITES[what](ledger, "mine")
    if what != "nothing yet":
        assert (_everything(ledger), len(ledger.succession.changes())) != before


def test_session_writes_while_a_run_is_active_and_after_others_were_closed(ledger: Ledger) -> None:
    for lose in (_taken_over, lambda ledger: ledger.lease.release("other")):
        lose(ledger)
        ledger.retrains.record_retrain("interactive-0123456789ab", as_of=AS_OF, retrain_attempted=True)
        ledger.succession.settle_change(_change(ledger, "interactive-0123456789ab"), "undone")
    assert ledger.retrains.retrain_events(1)[0]["run_id"] == "interactive-0123456789ab"


@pytest.mark.parametrize("lose", [_taken_over_as_the_clock_went_back, _closed])
def test_run_that_lost_its_lease_moves_no_alias(ledger: Ledger, lose: Callable[[Ledger], None]) -> None:
    alias = Alias(version=1)
    lose(ledger)
    with pytest.raises(BusyError):
        champions.change(ledger, alias, kind="promotion", expected=1, to_version=2, run_id="mine", as_of=AS_OF,
                         by="trimtab", why="better")
    assert (alias.version, ledger.succession.open_changes()) == (1, [])


def test_run_whose_lease_the_clock_cost_it_writes_no_file(ledger: Ledger) -> None:
    hold = Hold(ledger, "mine")
    hold()
    _taken_over_as_the_clock_went_back(ledger)
    for ask in (hold, hold.renew):
        with pytest.raises(BusyError, match="it gives way"):
            ask()


def test_run_that_was_closed_between_its_intent_and_the_flip_does_not_flip(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias, begin = Alias(version=1), type(ledger.succession).begin_change

    def stands_still(*args: Any, **values: Any) -> int:
        intent = begin(*args, **values)
        _taken_over(ledger)
        champions.recover(ledger, alias, "other")
        alias.before_flip = [AssertionError("the alias is touched")]
        return intent

    monkeypatch.setattr(type(ledger.succession), "begin_change", stands_still)
    with pytest.raises(ChampionError, match="version 2 back while it was under way; version 1 serves"):
        champions.change(ledger, alias, kind="promotion", expected=1, to_version=2, run_id="mine", as_of=AS_OF,
                         by="trimtab", why="better")
    assert (alias.version, ledger.succession.champion()) == (1, 1)


def test_run_that_stood_still_while_it_looked_does_not_report_an_alias_of_long_ago(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read the alias, another run promoted, and it woke up."""
    alias = Alias(version=1)

    def stands_still() -> int:
        _taken_over(ledger)
        ledger.succession.settle_change(_change(ledger, "other"), "done")
        return 1

    monkeypatch.setattr(alias, "champion", stands_still)
    with pytest.raises(BusyError):
        champions.recover(ledger, alias, "mine")
    assert ledger.succession.champion() == 2

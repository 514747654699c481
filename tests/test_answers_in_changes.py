"""An approval and the change that it allows are one: wherever a crash cuts them short, both are there or neither is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crashes import Died, living
from test_champion import Alias

from trimtab.act import approvals, database
from trimtab.act import champion as champions
from trimtab.act.ledger import Ledger
from trimtab.act.seals import INTENTS
from trimtab.errors import ChampionError, StateError, UsageError

AS_OF = datetime(2024, 4, 1)
WEEK = timedelta(days=7)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Version 1 serves, and run `asks` has asked whether version 2, which it made, may."""
    engine = database.connect(url)
    yield waiting(engine, "demo")
    engine.dispose()


@pytest.fixture
def alias(ledger: Ledger) -> Alias:
    return Alias(version=1)


def waiting(engine: Any, model: str) -> Ledger:
    ledger = Ledger(engine, model)
    asks = f"asks-{model}"
    ledger.succession.record_foreign_change(None, 1)
    ledger.start_run(asks, pipeline="retrain", run_dir="/runs")
    ledger.record_version(2, run_id=asks, as_of=AS_OF, sha256="0" * 64, source="/models/2", lineage={})
    ledger.retrains.record_retrain(asks, as_of=AS_OF, retrain_attempted=True, finished_at=AS_OF)
    ledger.approvals.ask(
        asks, "promotion", as_of=AS_OF, expires=WEEK, champion=1, challenger=2, sha256="0" * 64, reasons=("Thin.",))
    ledger.finish_run(asks, status="succeeded", as_of=AS_OF, error=None, result={})
    return ledger


def approve(ledger: Ledger, alias: Alias, by: str = "Ada") -> None:
    asks = ledger.approvals.all()[0].run_id
    champions.change(
        ledger, alias, kind="promotion", expected=1, to_version=2, run_id="says", as_of=AS_OF, by=by,
        why="it is needed", answers=asks,
    )


def told(ledger: Ledger) -> tuple[str, str | None, str | None, str | None]:
    """What the one request says of its answer."""
    (request,) = ledger.approvals.all()
    return request.state, request.by, request.why, request.decided_in


# What the request says, by whether the alias has moved.
SAID = {True: ("approved", "Ada", "it is needed", "says"), False: ("pending", None, None, None)}


def covered(ledger: Ledger, run_id: str) -> bool:
    """Whether a run that ends covers every row, each as it is."""
    ledger.start_run(run_id, pipeline="drift", run_dir="/runs")
    ledger.finish_run(run_id, status="succeeded", as_of=AS_OF, error=None, result={})
    newest = {(seal.kind, seal.key): seal.sha256 for seal in ledger.chain.seals()}
    present = ledger.chain.present()
    return newest == {key: row.sha256 for key, row in present.items() if key[0] != INTENTS or key in newest}


def test_what_completes_the_change_says_in_the_request_who_approved(ledger: Ledger, alias: Alias) -> None:
    approve(ledger, alias)
    assert told(ledger) == SAID[True]
    (request,), (_, change) = ledger.approvals.all(), ledger.succession.changes()
    assert request.decided_at == change["created_at"]
    assert change["answers"] == request.run_id
    (event,) = ledger.retrains.retrain_events()
    assert (event["promoted"], event["notes"]) == (True, "approved by Ada: it is needed")
    assert covered(ledger, "says")


def test_wherever_the_process_dies_version_and_answer_come_together(ledger: Ledger) -> None:
    with living(ledger.engine, alias := Alias(version=1)) as whole:
        approve(ledger, alias)
    ends = set()
    for last in range(whole.taken):
        broken, alias = waiting(ledger.engine, f"demo{last}"), Alias(version=1)
        with living(ledger.engine, alias, last), pytest.raises(Died):
            approve(broken, alias)
        flipped = alias.version == 2
        assert flipped or told(broken)[0] == "pending", last
        champions.recover(broken, alias)
        assert champions.recover(broken, alias) == []
        assert (broken.succession.champion(), broken.succession.open_changes()) == (alias.version, [])
        assert told(broken) == SAID[flipped]
        assert [event["promoted"] for event in broken.retrains.retrain_events()] == [flipped]
        assert [row["state"] for row in broken.succession.changes() if row["answers"]] in (
            [["done"]] if flipped else [["undone"], []]), last
        assert covered(broken, f"next-{last}"), last
        if not flipped:
            approve(broken, alias, by="Bob")    # as if nothing had been
            assert told(broken)[:2] == ("approved", "Bob")
        ends.add(flipped)
    assert ends == {True, False}


def test_wherever_the_next_start_dies_too_the_one_after_it_completes_the_answer(ledger: Ledger) -> None:
    def _cut_short(model: str) -> tuple[Ledger, Alias]:
        broken, alias = waiting(ledger.engine, model), Alias(version=1, after_flip=[Died()])
        with pytest.raises(Died):
            approve(broken, alias)
        return broken, alias

    broken, alias = _cut_short("whole")
    with living(ledger.engine, alias) as whole:
        champions.recover(broken, alias)
    for last in range(whole.taken):
        broken, alias = _cut_short(f"demo{last}")
        with living(ledger.engine, alias, last), pytest.raises(Died):
            champions.recover(broken, alias)
        assert told(broken)[0] == ("approved" if broken.succession.champion() == 2 else "pending"), last
        champions.recover(broken, alias)
        assert told(broken) == SAID[True]
        assert [row["state"] for row in broken.succession.changes()] == ["done", "done"]


def test_a_registry_that_answers_too_late_does_not_lose_the_approval(ledger: Ledger, alias: Alias) -> None:
    alias.after_flip = [StateError("store.registry: the answer got lost")]
    with pytest.raises(StateError):
        approve(ledger, alias)
    assert (ledger.succession.champion(), told(ledger)[0]) == (2, "approved")


def test_a_registry_that_refuses_leaves_the_request_open(ledger: Ledger, alias: Alias) -> None:
    alias.before_flip = [StateError("store.registry: gone")]
    with pytest.raises(StateError):
        approve(ledger, alias)
    assert (ledger.succession.champion(), told(ledger)[0]) == (1, "pending")


def test_nobody_answers_otherwise_while_an_approval_is_carried_out(ledger: Ledger, alias: Alias) -> None:
    alias.after_flip = [Died()]
    with pytest.raises(Died):
        approve(ledger, alias)
    (asked,) = ledger.approvals.all()
    told_so = rf"run {asked.run_id} is being approved by Ada; if that was cut short, the next run of demo completes"
    with pytest.raises(UsageError, match=told_so):
        ledger.approvals.decide(asked.run_id, "rejected", by="Bob", why="no")
    with pytest.raises(UsageError, match=told_so):
        ledger.approvals.require_open(asked.run_id)
    champions.recover(ledger, alias)
    with pytest.raises(UsageError, match=rf"run {asked.run_id} was approved by Ada already"):
        ledger.approvals.decide(asked.run_id, "rejected", by="Bob", why="no")


def test_of_a_yes_and_a_no_at_the_same_moment_one_counts(ledger: Ledger) -> None:
    def _say(what: Any, start: threading.Barrier, refused: list[Exception]) -> None:
        start.wait()
        try:
            what()
        except (ChampionError, UsageError) as error:
            refused.append(error)

    for round_ in range(12):
        both, alias = waiting(ledger.engine, f"demo{round_}"), Alias(version=1)
        start, refused, asked = threading.Barrier(2), [], both.approvals.all()[0].run_id
        said = [
            lambda both=both, alias=alias: approve(both, alias),
            lambda both=both, asked=asked: both.approvals.decide(asked, "rejected", by="Bob", why="no"),
        ]
        threads = [threading.Thread(target=_say, args=(one, start, refused)) for one in said]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        came_of_it = (both.succession.champion(), alias.version, *told(both)[:2])
        assert came_of_it in ((2, 2, "approved", "Ada"), (1, 1, "rejected", "Bob"))


def test_what_was_rejected_or_has_expired_is_carried_out_by_no_change(
    ledger: Ledger, alias: Alias, monkeypatch: pytest.MonkeyPatch
) -> None:
    (asked,) = ledger.approvals.all()
    clock = approvals.now() + WEEK
    with monkeypatch.context() as patch:
        patch.setattr(approvals, "now", lambda: clock)
        with pytest.raises(ChampionError, match=f"what run {asked.run_id} asks for waits for nobody any more"):
            approve(ledger, alias)
    ledger.approvals.decide(asked.run_id, "rejected", by="Bob", why="no")
    with pytest.raises(ChampionError, match="waits for nobody any more"):
        approve(ledger, alias)
    assert (ledger.succession.champion(), alias.version, told(ledger)[:2]) == (1, 1, ("rejected", "Bob"))
    assert [row["state"] for row in ledger.succession.changes()] == ["done"], "what was refused left nothing"


def test_an_approval_that_is_completed_after_it_would_have_expired_was_given_in_time(
    ledger: Ledger, alias: Alias, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias.after_flip = [Died()]
    with pytest.raises(Died):
        approve(ledger, alias)
    clock = approvals.now() + 2 * WEEK
    monkeypatch.setattr(approvals, "now", lambda: clock)
    champions.recover(ledger, alias, "next")
    assert told(ledger) == ("approved", "Ada", "it is needed", "next"), "with the run that wrote it down"


def test_a_promotion_that_was_cut_short_after_the_flip_is_credited_to_the_run_that_made_the_version(
    ledger: Ledger, alias: Alias
) -> None:
    alias.after_flip = [Died()]
    with pytest.raises(Died):
        champions.change(
            ledger, alias, kind="promotion", expected=1, to_version=2, run_id="later", as_of=AS_OF, by="trimtab",
            why="it is better")
    assert [event["promoted"] for event in ledger.retrains.retrain_events()] == [False]
    champions.recover(ledger, alias)
    assert [event["promoted"] for event in ledger.retrains.retrain_events()] == [True]
    assert told(ledger)[0] == "pending", "nobody was asked"
    assert covered(ledger, "next")

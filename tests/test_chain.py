"""The chain in the ledger: what a link covers, and what may still change without being taken for a forgery."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from trimtab.act import database, tables
from trimtab.act.ledger import Ledger
from trimtab.act.seals import INTENTS
from trimtab.amendments import Amendment, amendments

AS_OF = datetime(2024, 4, 1)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    engine = database.connect(url)
    yield Ledger(engine, "demo")
    engine.dispose()


def _ends(ledger: Ledger, run_id: str) -> None:
    ledger.start_run(run_id, pipeline="retrain", run_dir=f"/runs/{run_id}", params={"model": "demo"})
    ledger.retrains.record_retrain(run_id, as_of=AS_OF, retrain_attempted=True)
    ledger.finish_run(run_id, status="succeeded", as_of=AS_OF, error=None, result={"x": 0.1}, manifest="0" * 64)


def _differing(ledger: Ledger) -> list[tuple[str, str]]:
    """Rows that are not as they were covered, or not covered."""
    newest = {(seal.kind, seal.key): seal.sha256 for seal in ledger.chain.seals()}
    present = {key: row.sha256 for key, row in ledger.chain.present().items() if key[0] != INTENTS or key in newest}
    return sorted(key for key in newest.keys() | present.keys() if newest.get(key) != present.get(key))


def test_links_follow_each_other_and_cover_every_row(ledger: Ledger) -> None:
    _ends(ledger, "one")
    _ends(ledger, "two")
    one, two = ledger.chain.links()
    assert (one.seq, one.previous, two.seq, two.previous) == (1, None, 2, one.sha256)
    assert all(link.sha256 == link.expected() for link in (one, two))
    assert _differing(ledger) == []
    assert Ledger(ledger.engine, "demo", "acme").chain.head() is None


def test_event_that_rightly_changes_later_is_covered_anew_by_the_next_link(ledger: Ledger) -> None:
    _ends(ledger, "one")
    ledger.retrains.record_retrain("one", in_run="two", promoted=True, notes="approved by Ada")
    assert _differing(ledger) == []
    _ends(ledger, "two")
    assert [seal.seq for seal in ledger.chain.seals() if (seal.kind, seal.key) == ("model_retrain_events", "one")] == [
        1, 2]


def test_answer_is_covered_apart_from_its_request_and_its_use(ledger: Ledger) -> None:
    ledger.start_run("one", pipeline="retrain", run_dir="/runs/one")
    ledger.approvals.ask("one", "retrain", as_of=AS_OF, expires=timedelta(days=7), champion=1)
    ledger.finish_run("one", status="blocked", as_of=AS_OF, error=None, result={})
    ledger.approvals.decide("one", "approved", by="Ada", why="so", decided_in="two")
    assert _differing(ledger) == [("answers", "one")]
    _ends(ledger, "two")
    ledger.approvals.use("one", "three")
    assert _differing(ledger) == [("uses", "one")]
    _ends(ledger, "three")
    assert _differing(ledger) == []


def test_answer_that_was_given_in_no_run_is_never_covered(ledger: Ledger) -> None:
    ledger.start_run("one", pipeline="retrain", run_dir="/runs/one")
    ledger.approvals.ask("one", "retrain", as_of=AS_OF, expires=timedelta(days=7), champion=1)
    ledger.finish_run("one", status="blocked", as_of=AS_OF, error=None, result={})
    with ledger.engine.begin() as connection:
        connection.execute(tables.approvals.update().values(state="approved"))
    _ends(ledger, "two")
    assert _differing(ledger) == [("answers", "one")]


def test_change_of_the_champion_is_covered_once_it_is_settled(ledger: Ledger) -> None:
    change = ledger.succession.begin_change(
        "promotion", from_version=None, to_version=1, run_id="one", as_of=AS_OF, by="me", why="test")
    _ends(ledger, "one")
    ledger.succession.settle_change(change, "done")
    ledger.succession.record_foreign_change(1, 2)
    assert _differing(ledger) == [("champion_changes", str(change)), ("champion_changes", str(change + 1))]
    _ends(ledger, "two")
    assert _differing(ledger) == []


def test_params_of_the_run_before_are_those_of_the_same_pipeline_where_there_is_one(ledger: Ledger) -> None:
    assert ledger.run_before("one", "drift") is None
    for run_id, pipeline in (("one", "drift"), ("two", "retrain"), ("three", "drift")):
        ledger.start_run(run_id, pipeline=pipeline, run_dir="x", params={"by": run_id})
    assert ledger.run_before("four", "retrain") == ("two", {"by": "two"})
    assert ledger.run_before("four", "rollback") == ("three", {"by": "three"})
    ledger.start_run("five", pipeline="drift", run_dir="x")
    assert ledger.run_before("six", "drift") == ("three", {"by": "three"})


def test_amendments_name_each_key_with_old_and_new_value() -> None:
    old = {"drift": {"alpha": 0.05}, "gate": [{"metric": "auc", "min_gain": 0.0}], "numeric": ["x", "z"], "same": 1}
    new = {"drift": {"alpha": 0.01}, "gate": [{"metric": "auc", "floor": 0.5}], "numeric": ["x"], "same": 1}
    assert amendments(old, new) == [
        Amendment("drift.alpha", 0.05, 0.01), Amendment("gate.0.floor", None, 0.5),
        Amendment("gate.0.min_gain", 0.0, None), Amendment("numeric", ["x", "z"], ["x"]),
    ]
    longer = [{"metric": "auc"}, {"metric": "f1"}]
    assert amendments({"gate": longer[:1]}, {"gate": longer}) == [Amendment("gate", longer[:1], longer)]
    assert amendments({}, {}) == []

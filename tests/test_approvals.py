"""Requests for approval: asked once, decided once, used once, and only for as long and for whom they were meant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from trimtab.act import approvals as module
from trimtab.act import database, tables
from trimtab.act.approvals import Approvals, Request
from trimtab.act.seals import KINDS
from trimtab.errors import UsageError

AS_OF = datetime(2024, 4, 1)
WEEK = timedelta(days=7)


@pytest.fixture(params=["sqlite", "postgresql"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Approvals]:
    url = f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    engine = database.connect(url)
    yield Approvals(engine, "demo")
    engine.dispose()


def ask(book: Approvals, run_id: str = "one", *, challenger: int | None = None, **known: Any) -> Request:
    settings: dict[str, Any] = {"as_of": AS_OF, "expires": WEEK, "champion": 1, "reasons": ("Inputs drifted.",)}
    kind: Any = "promotion" if challenger else "retrain"
    return book.ask(run_id, kind, challenger=challenger, **settings | known)


def later(by: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = module.now() + by
    monkeypatch.setattr(module, "now", lambda: clock)


def test_a_request_is_read_back_as_it_was_asked(asked: Approvals) -> None:
    made = ask(asked, challenger=2, sha256="0" * 64)
    assert asked.open() == asked.all() == [made] == [asked.of_run("one")]
    assert (made.state, made.what, made.reasons) == ("pending", "to promote version 2", ("Inputs drifted.",))
    assert made.expires_at - made.requested_at == WEEK


def test_what_is_open_already_is_not_asked_twice(asked: Approvals) -> None:
    first = ask(asked)
    assert ask(asked, "two") == first
    assert [one.run_id for one in asked.all()] == ["one"]
    assert ask(asked, "three", champion=2).run_id == "three"    # it is another question by then
    assert ask(asked, "four", challenger=2).run_id == "four"


def test_a_person_decides_once(asked: Approvals) -> None:
    ask(asked)
    asked.decide("one", "approved", by="Ada", why="the strike is over")
    known = asked.of_run("one")
    assert known is not None
    assert (known.state, known.by, known.why) == ("approved", "Ada", "the strike is over")
    assert asked.open() == []
    with pytest.raises(UsageError, match=r"run one was approved by Ada already \(\d{4}-"):
        asked.decide("one", "rejected", by="Bob", why="no")


def test_a_run_that_asked_for_nothing_is_told_with_those_that_wait(asked: Approvals) -> None:
    with pytest.raises(UsageError, match="run zero of demo asks for no approval; waiting: none"):
        asked.require_open("zero")
    ask(asked)
    with pytest.raises(UsageError, match="waiting: one"):
        asked.decide("zero", "approved", by="Ada", why="")


def test_a_request_expires(asked: Approvals, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(asked)
    later(WEEK + timedelta(seconds=1), monkeypatch)
    assert asked.open() == []
    with pytest.raises(UsageError, match="the request of run one has expired"):
        asked.decide("one", "approved", by="Ada", why="")
    assert ask(asked, "two").run_id == "two"


def test_an_approved_retraining_is_granted_once_and_for_its_champion_alone(asked: Approvals) -> None:
    ask(asked)
    assert asked.granted(1) is None
    asked.decide("one", "approved", by="Ada", why="")
    assert asked.granted(2) is None
    granted = asked.granted(1)
    assert granted is not None
    asked.use(granted.run_id, "next")
    assert asked.granted(1) is None
    used = asked.of_run("one")
    assert used is not None
    assert (used.state, used.used_by, used.by) == ("used", "next", "Ada")
    with pytest.raises(UsageError, match="run one was approved by Ada already"):
        asked.require_open("one")


def test_an_approval_that_was_used_allows_nothing_again_whatever_its_state(asked: Approvals) -> None:
    ask(asked)
    asked.decide("one", "approved", by="Ada", why="yes")
    asked.use("one", "run-2")
    rows = sa.select(tables.approvals)
    with asked.engine.begin() as connection:
        before = KINDS["answers"].hashes([dict(one) for one in connection.execute(rows).mappings()])
        connection.execute(tables.approvals.update().values(state="approved"))
        after = KINDS["answers"].hashes([dict(one) for one in connection.execute(rows).mappings()])
    assert asked.granted(1) is None
    assert before != after, "so verify names it"


def test_an_approval_that_nobody_used_expires(asked: Approvals, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(asked)
    asked.decide("one", "approved", by="Ada", why="")
    later(WEEK + timedelta(seconds=1), monkeypatch)
    assert asked.granted(1) is None


def test_what_was_rejected_allows_nothing_and_may_be_asked_again(asked: Approvals) -> None:
    ask(asked)
    asked.decide("one", "rejected", by="Ada", why="wait for the new data")
    assert asked.granted(1) is None
    assert ask(asked, "two").run_id == "two"


def test_requests_of_another_model_or_tenant_are_not_seen(asked: Approvals) -> None:
    ask(asked)
    for other in (Approvals(asked.engine, "other"), Approvals(asked.engine, "demo", "acme")):
        assert other.all() == []
        with pytest.raises(UsageError, match="asks for no approval"):
            other.decide("one", "approved", by="Eve", why="")
    assert asked.open() != []

"""Guardrails: each refuses by itself, and what stands exactly at its bound passes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Guard, check
from trimtab.settings import Guardrails

NOW = datetime(2024, 4, 1)
WEEK = timedelta(days=7)


def guard(severity: Any = "high", *, records: int = 5000, last: datetime | None = None, **settings: Any) -> Guard:
    decision = Decision(True, severity, 0.99, ("Inputs drifted.",), ())
    return check(decision, Guardrails(**settings), training_records=records, as_of=NOW, last_retrain=last)


def test_all_is_well_without_an_earlier_retraining() -> None:
    found = guard()
    assert found.allowed
    assert found.blocked_by == ()
    assert [c.name for c in found.checks] == ["enabled", "min_severity", "min_records", "cooldown", "something_new"]


def test_a_switched_off_guard_refuses() -> None:
    assert guard(enabled=False).blocked_by == ("enabled",)


@pytest.mark.parametrize(("severity", "blocked"), [
    ("medium", ("min_severity",)), ("high", ()), ("critical", ()),
])
def test_a_decision_below_the_asked_severity_is_refused(severity: str, blocked: tuple[str, ...]) -> None:
    assert guard(severity).blocked_by == blocked


@pytest.mark.parametrize(("records", "blocked"), [(199, ("min_records",)), (200, ())])
def test_too_few_records_are_refused(records: int, blocked: tuple[str, ...]) -> None:
    assert guard(records=records).blocked_by == blocked


@pytest.mark.parametrize(("ago", "blocked"), [
    (WEEK - timedelta(seconds=1), ("cooldown",)), (WEEK, ()), (timedelta(0), ("cooldown",)),
])
def test_the_pause_ends_exactly_when_it_is_over(ago: timedelta, blocked: tuple[str, ...]) -> None:
    assert guard(last=NOW - ago).blocked_by == blocked


def test_a_replay_of_the_past_is_not_held_up_by_a_later_retraining() -> None:
    assert guard(last=NOW + timedelta(days=1)).allowed


def test_no_pause_allows_a_second_retraining_at_the_same_moment() -> None:
    assert guard(last=NOW, cooldown="0s").allowed


def test_every_refusal_is_listed_with_its_evidence() -> None:
    found = guard("low", records=3, last=NOW - timedelta(days=2), enabled=False)
    assert not found.allowed
    assert found.blocked_by == ("enabled", "min_severity", "min_records", "cooldown")
    assert found.checks[3].evidence == "the last retraining was 2d ago, at least 7d is asked for"


def test_the_champion_is_not_made_a_second_time() -> None:
    decision = Decision(True, "high", 0.99, ("Inputs drifted.",), ())
    found = check(decision, Guardrails(), training_records=5000, as_of=NOW, last_retrain=None, repeated=True)
    assert found.blocked_by == ("something_new",)
    assert "made from these very records" in found.checks[-1].evidence

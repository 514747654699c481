"""Guardrails: each refuses by itself, and what stands exactly at its bound passes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Asked, Circumstances, Guard, check
from trimtab.settings.guardrails import Guardrails

NOW = datetime(2024, 4, 1)    # a Monday, midnight
WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)
NAMES = (
    "master", "enabled", "tenants", "one_run", "contract", "min_severity", "confirmation", "min_records", "min_recent",
    "cooldown", "budget", "quiet_hours", "something_new", "approval",
)


def guard(severity: Any = "high", *, settings: dict[str, Any] | None = None, **known: Any) -> Guard:
    decision = Decision(True, severity, 0.99, ("Inputs drifted.",), ())
    now = Circumstances(**{"training_records": 5000, "as_of": NOW, **known})
    return check(decision, Guardrails(**settings or {}), now)


def evidence(found: Guard, name: str) -> str:
    return next(one.evidence for one in found.checks if one.name == name)


def asked(*days_ago: float, severity: Any = "high", needs: bool = True) -> tuple[Asked, ...]:
    return tuple(Asked(NOW - timedelta(days=days), needs, severity) for days in days_ago)


def test_all_is_well_without_an_earlier_retraining() -> None:
    found = guard()
    assert found.allowed
    assert found.blocked_by == ()
    assert tuple(c.name for c in found.checks) == NAMES


@pytest.mark.parametrize("switch", ["master", "enabled"])
def test_either_switch_refuses(switch: str) -> None:
    found = guard(settings={switch: False})
    assert found.blocked_by == (switch,)
    assert evidence(found, switch) == f"guardrails.{switch} is off"


@pytest.mark.parametrize(("tenant", "blocked"), [("acme", ()), ("other", ("tenants",)), (None, ("tenants",))])
def test_a_pilot_is_switched_on_alone(tenant: str | None, blocked: tuple[str, ...]) -> None:
    assert guard(settings={"tenants": ["acme"]}, tenant=tenant).blocked_by == blocked
    assert guard(tenant=tenant).allowed


def test_an_empty_list_of_tenants_switches_nobody_on() -> None:
    found = guard(settings={"tenants": []}, tenant="acme")
    assert found.blocked_by == ("tenants",)
    assert evidence(found, "tenants") == "retraining is switched on for nobody; acme is not listed"


def test_another_active_run_is_named() -> None:
    found = guard(other_run="20240401-drift")
    assert found.blocked_by == ("one_run",)
    assert "20240401-drift" in evidence(found, "one_run")


def test_a_broken_contract_is_told_with_all_that_is_broken() -> None:
    found = guard(broken=("temp is missing throughout", "wind is missing throughout"))
    assert found.blocked_by == ("contract",)
    assert evidence(found, "contract") == "temp is missing throughout; wind is missing throughout"


@pytest.mark.parametrize(("severity", "blocked"), [
    ("medium", ("min_severity",)), ("high", ()), ("critical", ()),
])
def test_a_decision_below_the_asked_severity_is_refused(severity: str, blocked: tuple[str, ...]) -> None:
    assert guard(severity).blocked_by == blocked


@pytest.mark.parametrize(("recent", "blocked"), [(99, ("min_recent",)), (100, ()), (None, ("min_recent",))])
def test_too_few_recent_records_refuse_where_some_are_asked_for(recent: int | None, blocked: tuple[str, ...]) -> None:
    assert guard(settings={"min_recent": 100}, recent_records=recent).blocked_by == blocked
    assert guard(recent_records=recent).allowed


@pytest.mark.parametrize(("records", "blocked"), [(199, ("min_records",)), (200, ())])
def test_too_few_records_are_refused(records: int, blocked: tuple[str, ...]) -> None:
    assert guard(training_records=records).blocked_by == blocked


@pytest.mark.parametrize("what", ["retraining", "rollback"])
@pytest.mark.parametrize(("ago", "blocked"), [
    (WEEK - SECOND, ("cooldown",)), (WEEK, ()), (timedelta(0), ("cooldown",)),
])
def test_the_pause_after_a_retraining_or_rollback_ends_exactly_when_it_is_over(
    ago: timedelta, blocked: tuple[str, ...], what: str
) -> None:
    known = {"retrained": (NOW - 9 * WEEK, NOW - ago)} if what == "retraining" else {"rolled_back": NOW - ago}
    found = guard(**known)
    assert found.blocked_by == blocked
    assert evidence(found, "cooldown").startswith(f"the last {what} was ")


def test_the_later_of_retraining_and_rollback_starts_the_pause() -> None:
    found = guard(retrained=(NOW - 9 * WEEK,), rolled_back=NOW - timedelta(days=2))
    assert evidence(found, "cooldown") == "the last rollback was 2d ago, at least 7d is asked for"


@pytest.mark.parametrize(("ago", "told"), [
    (timedelta(days=6, hours=21, minutes=36), "6.9d"), (timedelta(minutes=100), "1.7h"),
    (timedelta(seconds=90), "1.5m"), (timedelta(0), "0s"),
])
def test_what_has_passed_is_told_in_one_unit(ago: timedelta, told: str) -> None:
    assert f" was {told} ago" in evidence(guard(retrained=(NOW - ago,)), "cooldown")


def test_a_clock_that_goes_back_frees_neither_pause_nor_budget() -> None:
    later = NOW + timedelta(days=1)
    found = guard(retrained=(NOW - 9 * WEEK, later, later), settings={"budget": 2})
    assert found.blocked_by == ("cooldown", "budget")
    assert evidence(found, "cooldown") == (
        "the last retraining is dated 2024-04-02 00:00, later than now, and counts as made now, "
        "at least 7d is asked for")
    assert evidence(found, "budget") == (
        "2 in the last 30 days (2 of them dated later than now, counted as made now), at most 2 are allowed in as many")
    assert guard(rolled_back=later).blocked_by == ("cooldown",)
    assert guard(retrained=(later,), rolled_back=later, settings={"cooldown": "0d", "budget": 2}).allowed


@pytest.mark.parametrize(("ago", "told"), [
    (WEEK - SECOND, "6d 23h 59m 59s"), (WEEK - SECOND / 2, "6d 23h 59m 59s"), (WEEK - timedelta(hours=1), "6d 23h"),
    (WEEK, "7d"), (WEEK + SECOND, "7d"), (WEEK - timedelta(hours=2), "6.9d"),
])
def test_a_pause_is_told_as_exactly_as_makes_the_sentence_true(ago: timedelta, told: str) -> None:
    assert f" was {told} ago, at least 7d is" in evidence(guard(retrained=(NOW - ago,)), "cooldown")


def test_no_pause_allows_a_second_retraining_at_the_same_moment() -> None:
    assert guard(retrained=(NOW,), settings={"cooldown": "0s"}).allowed


@pytest.mark.parametrize(("days_ago", "blocked"), [
    ((40, 29, 8), ()),                                # two of the last thirty days
    ((30, 29, 8), ()),                                # thirty days ago is no more among them
    ((29, 15, 8), ("budget",)),
])
def test_a_budget_counts_thirty_days(days_ago: tuple[int, ...], blocked: tuple[str, ...]) -> None:
    past = tuple(NOW - timedelta(days=days) for days in days_ago)
    assert guard(retrained=past, settings={"budget": 3}).blocked_by == blocked


def test_a_budget_of_nothing_refuses_and_no_budget_allows() -> None:
    assert guard(settings={"budget": 0}).blocked_by == ("budget",)
    assert guard(retrained=(NOW,) * 50, settings={"cooldown": "0d"}).allowed


@pytest.mark.parametrize(("past", "blocked"), [
    ((), ("confirmation",)),
    (asked(6.9), ("confirmation",)),                                             # not long enough
    (asked(7), ()),
    (asked(9, 6, 3), ()),
    (asked(9) + asked(5, severity="medium") + asked(3), ("confirmation",)),      # less serious in between
    (asked(9) + asked(5, needs=False) + asked(3), ("confirmation",)),            # a break
    (asked(60), ("confirmation",)),                                              # long forgotten
    (asked(60, 7, 1), ()),
])
def test_drift_must_persist_where_that_is_asked_for(past: tuple[Asked, ...], blocked: tuple[str, ...]) -> None:
    assert guard(asked=past, settings={"confirmation": "7d"}).blocked_by == blocked
    assert guard(asked=past).allowed


@pytest.mark.parametrize(("ago", "wanted", "blocked"), [
    ((timedelta(days=1) - 2 * SECOND,), "1d", ()),                                          # a little early
    ((timedelta(days=1) + 2 * SECOND,), "1d", ()),                                          # a little late
    ((timedelta(hours=25, seconds=9),), "1d", ()),                                          # clocks were put back
    ((timedelta(days=2) + 4 * SECOND, timedelta(days=1) + 2 * SECOND), "2d", ()),
    ((timedelta(hours=21),), "1d", ("confirmation",)),
    ((timedelta(hours=27),), "1d", ("confirmation",)),
    ((timedelta(minutes=53),), "1h", ("confirmation",)),
    ((timedelta(minutes=54),), "1h", ()),
])
def test_checks_that_come_a_little_early_or_late_confirm(
    ago: tuple[timedelta, ...], wanted: str, blocked: tuple[str, ...]
) -> None:
    past = tuple(Asked(NOW - one, True, "high") for one in ago)
    assert guard(asked=past, settings={"confirmation": wanted}).blocked_by == blocked


def test_confirmation_says_how_exactly_it_is_taken() -> None:
    past = (Asked(NOW - timedelta(days=1) + 2 * SECOND, True, "high"),)
    assert evidence(guard(asked=past, settings={"confirmation": "1d"}), "confirmation") == (
        "checks have asked for it for 23h 59m 58s without a break, at least 1d is asked for, give or take 2h")


def test_a_check_that_does_not_ask_itself_is_not_confirmed_by_earlier_ones() -> None:
    decision = Decision(False, "high", 0.1, (), ())
    now = Circumstances(5000, NOW, asked=asked(8, 5))
    assert check(decision, Guardrails(confirmation="7d"), now).blocked_by == ("confirmation",)  # type: ignore[arg-type]  # pydantic reads the text


@pytest.mark.parametrize(("hour", "minute", "blocked"), [
    (21, 59, ()), (22, 0, ("quiet_hours",)), (5, 59, ("quiet_hours",)), (6, 0, ()),
])
def test_quiet_hours_go_over_midnight(hour: int, minute: int, blocked: tuple[str, ...]) -> None:
    quiet = {"quiet_hours": [{"from": "22:00", "to": "06:00"}]}
    assert guard(settings=quiet, as_of=NOW.replace(hour=hour, minute=minute)).blocked_by == blocked


@pytest.mark.parametrize(("day", "hour", "blocked"), [
    (5, 23, ("quiet_hours",)), (6, 3, ("quiet_hours",)), (6, 23, ()), (7, 3, ()), (5, 3, ()),    # Friday is the fifth
])
def test_quiet_hours_belong_to_the_day_that_they_begin_on(day: int, hour: int, blocked: tuple[str, ...]) -> None:
    quiet = {"quiet_hours": [{"from": "22:00", "to": "06:00", "days": ["fri"]}]}
    assert guard(settings=quiet, as_of=datetime(2024, 4, day, hour)).blocked_by == blocked


def test_whole_days_are_quiet_from_midnight_to_midnight() -> None:
    quiet = {"quiet_hours": [{"from": "00:00", "to": "24:00", "days": ["mon"]}]}
    assert guard(settings=quiet, as_of=NOW + timedelta(hours=23, minutes=59)).blocked_by == ("quiet_hours",)
    assert guard(settings=quiet, as_of=NOW).blocked_by == ("quiet_hours",)
    assert guard(settings=quiet, as_of=NOW + timedelta(days=1)).allowed
    assert guard(settings=quiet, as_of=NOW - SECOND).allowed


def test_quiet_hours_are_those_of_the_time_zone() -> None:
    quiet = {"quiet_hours": [{"from": "09:00", "to": "17:00"}], "timezone": "America/New_York"}
    noon_there = datetime(2024, 7, 1, 16)    # in summer, four hours behind
    found = guard(settings=quiet, as_of=noon_there)
    assert found.blocked_by == ("quiet_hours",)
    assert evidence(found, "quiet_hours") == (
        "it is 12:00 on Monday in America/New_York, and 09:00 to 17:00 is quiet")
    assert guard(settings=quiet, as_of=datetime(2024, 7, 1, 9)).allowed


@pytest.mark.parametrize(("severity", "approved_by", "blocked"), [
    ("high", None, ()), ("critical", None, ("approval",)), ("critical", "Ada", ()),
])
def test_critical_drift_waits_for_a_person(severity: str, approved_by: str | None, blocked: tuple[str, ...]) -> None:
    found = guard(severity, approved_by=approved_by, settings={"approval": "critical"})
    assert found.blocked_by == blocked
    assert found.waits_for_a_person == bool(blocked)
    assert guard(severity, approved_by=approved_by).allowed


def test_approval_does_not_help_where_something_else_refuses() -> None:
    found = guard("critical", training_records=3, settings={"approval": "critical"})
    assert found.blocked_by == ("min_records", "approval")
    assert not found.waits_for_a_person


def test_every_refusal_is_listed_with_its_evidence() -> None:
    found = guard("low", training_records=3, retrained=(NOW - timedelta(days=2),), settings={"enabled": False})
    assert not found.allowed
    assert found.blocked_by == ("enabled", "min_severity", "min_records", "cooldown")
    assert evidence(found, "cooldown") == "the last retraining was 2d ago, at least 7d is asked for"


def test_the_champion_is_not_made_a_second_time() -> None:
    found = guard(repeated=True)
    assert found.blocked_by == ("something_new",)
    assert "made from these very records" in evidence(found, "something_new")

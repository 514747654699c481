"""Rules that go by the calendar, and rules that ask for another signal beside their own."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import copy_home
from pydantic import ValidationError

import trimtab as tt
from trimtab.decide.grading import graded
from trimtab.decide.losses import graded_loss
from trimtab.decide.severity import rank
from trimtab.decide.signals import Measurement, Signal, grade, schedule
from trimtab.measure.calendar import beginnings
from trimtab.run import checking
from trimtab.settings.triggers import Trigger

MEASURED = {"new_records": 1500.0, "feature_drift": 0.2, "model_age": 45.0}


@pytest.mark.parametrize(("every", "since", "until", "times"), [
    ("day", "2024-02-28T23:00", "2024-03-01T00:00", 2),
    ("day", "2024-03-01T00:00", "2024-03-01T23:59", 0),
    ("week", "2024-03-03T12:00", "2024-03-04T00:00", 1),     # a Sunday, a Monday
    ("week", "2023-12-25T00:00", "2024-01-08T00:00", 2),
    ("month", "2024-01-31T00:00", "2024-02-01T00:00", 1),
    ("month", "2023-11-15T00:00", "2024-02-14T00:00", 3),
    ("quarter", "2024-01-15T00:00", "2024-03-31T23:00", 0),
    ("quarter", "2023-12-31T00:00", "2024-04-01T00:00", 2),
    ("year", "2023-01-01T00:00", "2024-12-31T00:00", 1),
    ("year", "2024-12-31T00:00", "2023-01-01T00:00", 0),
])
def test_a_stretch_of_the_calendar_begins_at_its_first_midnight(every: str, since: str, until: str, times: int) -> None:
    assert beginnings(every, datetime.fromisoformat(since), datetime.fromisoformat(until)) == times


@pytest.mark.parametrize(("times", "words"), [(0, "no time"), (1, "once"), (2, "twice"), (3, "3 times")])
def test_a_schedule_says_how_often_it_was_due(times: int, words: str) -> None:
    found = schedule("month", datetime(2024, 1, 15), datetime(2024, 1 + times, 16))
    assert found.message == f"A month has begun {words} since a model was last trained, as of 2024-01-15."
    rule = Trigger.model_validate({"signal": "schedule", "every": "month", "severity": "high"})
    assert grade(found, [rule]).severity == ("high" if times else "none")


@pytest.mark.parametrize("rule", [
    {"signal": "schedule", "severity": "high"},
    {"signal": "model_age", "at_least": 1, "severity": "low", "every": "day"},
    {"signal": "schedule", "severity": "high", "every": "fortnight"},
    {"signal": "schedule", "severity": "high", "every": "month", "at_least": 0},
    {"signal": "model_age", "severity": "low"},
    {"signal": "model_age", "at_least": 1, "severity": "low", "with": "severe"},
])
def test_a_rule_that_says_too_little_or_too_much_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Trigger.model_validate(rule)


def _severities(*rules: dict[str, Any]) -> dict[str, str]:
    graders = [partial(grade, Measurement(name, value, ".")) for name, value in MEASURED.items()]
    found = graded(graders, [Trigger.model_validate(rule) for rule in rules])
    return {one.name: one.severity for one in found if one.severity != "none"}


ENOUGH = {"signal": "new_records", "at_least": 1000, "severity": "high", "with": "medium"}


@pytest.mark.parametrize(("others", "found"), [
    ([], {}),
    ([{"signal": "feature_drift", "at_least": 0.1, "severity": "low"}], {"feature_drift": "low"}),
    ([{"signal": "feature_drift", "at_least": 0.1, "severity": "medium"}],
     {"feature_drift": "medium", "new_records": "high"}),
    ([{"signal": "feature_drift", "at_least": 0.1, "severity": "critical"}],
     {"feature_drift": "critical", "new_records": "high"}),
    # The same signal is no company, nor is one whose own rule asks for company.
    ([{"signal": "new_records", "at_least": 1000, "severity": "medium"}], {"new_records": "medium"}),
    ([{"signal": "model_age", "at_least": 30, "severity": "medium", "with": "low"}], {}),
])
def test_a_rule_with_another_signal_counts_only_beside_it(others: list[dict[str, Any]], found: dict[str, str]) -> None:
    assert _severities(ENOUGH, *others) == found


def test_losses_of_several_metrics_may_ask_for_company_too() -> None:
    lost = {"roc_auc": Measurement("performance_drop", 0.06, ".", points=0.05)}
    rules = [Trigger(signal="performance_drop", at_least=0.05, severity="high", with_="medium"),
             Trigger(signal="outliers", at_least=0.05, severity="medium")]
    for share, severity in ((0.01, "none"), (0.2, "high")):
        graders = [partial(graded_loss, lost, primary="roc_auc"), partial(grade, Measurement("outliers", share, "."))]
        assert graded(graders, rules)[0].severity == severity


@pytest.fixture
def served(served_home: Path, home: Path) -> Path:
    """A home in which a first model serves."""
    copy_home(served_home, home)
    return home


def _found(home: Path, as_of: str, triggers: str) -> dict[str, Signal]:
    session = tt.open(home / "demo.yaml", as_of=as_of, overrides=[f"triggers={triggers}"])
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    found = checking.signals(session, drift, tt.checking.score(session, current), current)
    session.close()
    return {one.name: one for one in found}


def test_a_model_is_due_at_the_beginning_of_a_month(served: Path) -> None:
    """P01. It was made as of 20 February."""
    rule = "[{signal: schedule, every: month, severity: high}]"
    assert [_found(served, as_of, rule)["schedule"].severity for as_of in (
        "2024-02-29T23:00", "2024-03-01")] == ["none", "high"]
    assert "schedule" not in _found(served, "2024-03-01", "[]")


def test_new_records_ask_beside_a_signal_that_is_moderate(served: Path) -> None:
    """B07. From half-time on, 1 March, the inputs have moved."""
    rule = "[{signal: new_records, at_least: 1, severity: high, with: medium}]"
    for as_of, asked in (("2024-02-28", False), ("2024-04-10", True)):
        found = _found(served, as_of, rule)
        moderate = {name for name, one in found.items() if rank(one.severity) >= rank("medium")}
        assert found["new_records"].value >= 1
        assert ("feature_drift" in moderate, "new_records" in moderate) == (asked, asked), found


def test_a_rule_whose_signal_nothing_measures_is_named_as_untested(served: Path) -> None:
    rules = "[{signal: word_drift, at_least: 0.1, severity: high}, {signal: segment_drift, at_least: 0.2, " \
        "severity: high}, {signal: rate_drop, at_least: 0.1, severity: none}]"
    found = _found(served, "2024-02-28", rules)
    assert {name for name in ("word_drift", "segment_drift", "rate_drop") if name in found} == {
        "word_drift", "segment_drift"}
    assert all(found[name].untested for name in ("word_drift", "segment_drift"))
    assert found["word_drift"].message == (
        "word_drift has a rule and is not measured: no column of texts is watched.")


def test_rule_beside_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="with: none holds always"):
        Trigger.model_validate({"signal": "new_records", "at_least": 1, "severity": "high", "with": "none"})


def test_rule_that_always_holds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at_least\n  Input should be greater than or equal to 0"):
        Trigger.model_validate({"signal": "model_age", "at_least": -3, "severity": "high"})

"""A window of a day or two against the same weekdays of before: rhythm and the luck of days are no news, a loss is."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import BINARY, merged

import trimtab as tt
from trimtab.decide.losses import performance_drop
from trimtab.decide.signals import Signal
from trimtab.measure.calendar import weekdays_of
from trimtab.measure.models.metrics import METRICS, evaluate
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.over_time.daily import Daily
from trimtab.measure.over_time.weekdays import beside_same_weekdays, level
from trimtab.run.preflight import Request
from trimtab.run.runner import run

MONDAY = np.datetime64("2024-01-01")
LEVEL = 0.05


def _days(rng: Any, first: int, count: int, *, a_day: int = 300, luck: float = 0.02, mondays: float = 0.2) -> Daily:
    """Accuracy by day, lower on Mondays."""
    dates = MONDAY + first + np.arange(count)
    true = 0.8 + rng.normal(0, luck, count) - mondays * (weekdays_of(dates) == 0)
    counts = np.full(count, a_day)
    return Daily(dates, rng.binomial(counts, np.clip(true, 0, 1)) / counts, counts)


def _lost(before: Daily, now: Daily) -> bool:
    pair = beside_same_weekdays(before, now, confidence=1 - LEVEL)
    assert pair is not None
    return performance_drop("accuracy", *pair, greater_is_better=True, alpha=LEVEL).significant


@pytest.mark.parametrize(("first", "count", "a_day", "exact"), [
    (29, 1, 300, True), (30, 3, 300, True), (29, 1, 60, False), (32, 4, 1000, False),
])
def test_quiet_windows_differ_from_their_weekdays_as_often_as_is_said(
    first: int, count: int, a_day: int, exact: bool
) -> None:
    rng, times, told = np.random.default_rng([first, count]), 1500, 0
    for _ in range(times):
        told += _lost(_days(rng, 0, 28), _days(rng, first, count, a_day=a_day))
    three_errors = 3 * math.sqrt(LEVEL * (1 - LEVEL) / times)
    # Days of more or fewer records than usual are said to vary by more than they do.
    assert (LEVEL - three_errors if exact else 0.0) <= told / times <= LEVEL + three_errors


def test_a_weekday_that_varies_by_a_third_more_than_others_is_told_somewhat_too_often() -> None:
    rng, times = np.random.default_rng(0), 1500
    told = sum(_lost(_days(rng, 0, 28), _days(rng, 28, 1)) for _ in range(times)) / times
    assert LEVEL < told < 0.08 + 3 * math.sqrt(0.08 * 0.92 / times)


def test_a_loss_on_a_monday_is_found_beside_other_mondays() -> None:
    rng, times = np.random.default_rng(1), 100
    found = sum(_lost(_days(rng, 0, 28), _days(rng, 28, 1, mondays=0.4)) for _ in range(times))
    assert found / times >= 0.95


def test_the_level_mixes_weekdays_as_the_window_has_them() -> None:
    before = _days(np.random.default_rng(2), 0, 28)
    by_hand = {one: before.means[weekdays_of(before.days) == one].mean() for one in (0, 6)}
    found = level(before, {0: 30.0, 6: 10.0})
    assert found is not None
    assert found.value == pytest.approx((3 * by_hand[0] + by_hand[6]) / 4)
    assert found.shift == pytest.approx(found.value - before.means.mean())
    weekday = weekdays_of(before.days)
    residuals = before.means - [before.means[weekday == one].mean() for one in weekday]
    assert found.spread == pytest.approx(math.sqrt((residuals**2).sum() / 21))
    assert found.error == pytest.approx(found.spread * math.sqrt((0.75**2 + 0.25**2) / 4))


@pytest.mark.parametrize(("days", "first", "count"), [(28, 28, 7), (28, 28, 8), (13, 20, 1), (9, 14, 1), (28, 28, 0)])
def test_nothing_is_said_with_all_weekdays_or_where_one_came_too_seldom(days: int, first: int, count: int) -> None:
    rng = np.random.default_rng(3)
    assert beside_same_weekdays(_days(rng, 0, days), _days(rng, first, count)) is None


def _open_days(days: Daily, closed: tuple[int, ...]) -> Daily:
    kept = ~np.isin(weekdays_of(days.days), closed)
    return Daily(days.days[kept], days.means[kept], days.counts[kept])


@pytest.mark.parametrize(("closed", "count", "compared"), [((6,), 14, False), ((5, 6), 7, False), ((6,), 3, True)])
def test_a_shop_that_is_closed_on_some_weekdays_lacks_none(closed: tuple[int, ...], count: int, compared: bool) -> None:
    rng = np.random.default_rng(5)
    before, now = (_open_days(_days(rng, first, days), closed) for first, days in ((0, 56), (56, count)))
    assert (beside_same_weekdays(before, now) is not None) == compared


def test_a_weekday_with_next_to_no_records_is_not_missed() -> None:
    rng = np.random.default_rng(6)
    before = _days(rng, 0, 56)
    counts = np.where(weekdays_of(before.days) == 6, 2, before.counts)
    now = _open_days(_days(rng, 56, 14), (6,))
    assert beside_same_weekdays(before, now) is not None
    assert beside_same_weekdays(Daily(before.days, before.means, counts), now) is None


@pytest.mark.parametrize(("a_day", "compared"), [(300, True), (360, True), (400, False), (200, False)])
def test_a_metric_that_depends_on_the_number_of_records_is_compared_among_days_of_as_many(
    a_day: int, compared: bool
) -> None:
    rng = np.random.default_rng(7)
    before, now = _days(rng, 0, 28), _days(rng, 29, 2, a_day=a_day)
    assert beside_same_weekdays(before, now) is not None
    assert (beside_same_weekdays(before, now, unbiased=False) is not None) == compared


def _drawn(rng: Any, name: str, size: int) -> float:
    """A metric of so many records of one law."""
    if METRICS[name].tasks == ("regression",):
        said = rng.normal(size=size)
        return evaluate(name, Outputs((), said + rng.normal(size=size), said))
    score = rng.random(size)
    scores = np.column_stack([1 - score, score])
    actual = (rng.random(size) < score).astype(int)
    return evaluate(name, Outputs(("no", "yes"), actual, (score > 0.5).astype(int), scores, positive=1))


@pytest.mark.parametrize("name", METRICS)
def test_few_records_have_another_value_than_many_only_of_what_is_called_biased(name: str) -> None:
    """Means of 8,000 draws of 12 records, and of 400 draws of 4,000."""
    rng = np.random.default_rng(8)
    few, many = (np.array([_drawn(rng, name, size) for _ in range(times)]) for size, times in ((12, 8000), (4000, 400)))
    few = few[np.isfinite(few)]    # of two classes one may be missing
    error = math.hypot(few.std() / math.sqrt(len(few)), many.std() / math.sqrt(len(many)))
    differ = abs(few.mean() - many.mean()) / error
    assert differ < 4 if METRICS[name].unbiased else differ > 8


# -- in a check --------------------------------------------------------------------------------------------------------


def _records() -> pd.DataFrame:
    """A hundred days; on Mondays a third of the outcomes are anything, whatever the inputs are."""
    rng = np.random.default_rng(4)
    day = np.repeat(np.arange(100), 250)
    x = rng.normal(size=len(day))
    late = rng.random(len(day)) < 1 / (1 + np.exp(-2 * x))
    anything = (day % 7 == 0) & (rng.random(len(day)) < 0.35)
    seconds = day * 86_400 + rng.integers(0, 86_400, len(day))
    at = pd.Timestamp(MONDAY) + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({
        "at": at, "x": x, "z": rng.normal(size=len(day)), "kind": rng.choice(["a", "b"], len(day)),
        "late": np.where(anything, rng.random(len(day)) < 0.5, late),
    }).sort_values("at")


PARAMS = merged(
    BINARY, data={"numeric": ["x", "z"], "label": "late", "label_delay": "0d"}, windows={"current": {"last": "1d"}},
    promotion={"criteria": [{"metric": "accuracy", "min_gain": 0.0}]},
)


def _losses(params: Path, as_of: str) -> dict[str, Signal]:
    """What a check of the day before says of realised and estimated losses."""
    session = tt.open(params, as_of=as_of)
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    scored = tt.checking.score(session, current)
    estimates = tt.checking.expected(session, scored)
    found = tt.checking.signals(session, drift, scored, current, estimates=estimates)
    session.close()
    return {one.name: one for one in found if one.name in ("performance_drop", "estimated_drop", "class_drop")}


def test_no_monday_is_a_loss_only_because_mondays_are_harder(project: Callable[..., Path]) -> None:
    records = _records()
    params = project(PARAMS, records)
    run(Request(pipeline="baseline", params=params, as_of="2024-03-18", progress=False))
    for monday in ("2024-03-19", "2024-03-26", "2024-04-02", "2024-04-09"):
        found = _losses(params, monday)
        assert {name: one.severity for name, one in found.items()} == dict.fromkeys(found, "none"), found
    assert " on the same weekdays of the holdout to " in found["performance_drop"].message
    assert found["estimated_drop"].message.endswith(" on the same weekdays of the holdout.")
    sunday = records["at"].dt.normalize() == pd.Timestamp("2024-04-07")
    project(PARAMS, records.assign(late=records["late"] ^ (sunday & (np.arange(len(records)) % 2 == 0))))
    assert _losses(params, "2024-04-08")["performance_drop"].severity in ("high", "critical")

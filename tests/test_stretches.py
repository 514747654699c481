"""What a stretch of the reference differs from the rest by, all columns together: like the window, and how far."""

from __future__ import annotations

import itertools
import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from trimtab.measure.together.domain import Separation, tell_apart
from trimtab.measure.together.samples import Sample
from trimtab.measure.together.stretches import natural_area, stretches

START = datetime(2024, 1, 1)    # a Monday
COLUMNS = tuple("abcdefghij")
EDGES = stats.norm.ppf(np.arange(1, 10) / 10)


def span(days: float, first: float = 0.0) -> tuple[datetime, datetime]:
    return START + timedelta(days=first), START + timedelta(days=first + days)


@pytest.mark.parametrize("weekday", range(7))
def test_a_window_of_less_than_a_week_is_like_stretches_that_begin_on_its_weekday(weekday: int) -> None:
    window = span(2, 90 + weekday)
    found = stretches(span(90), window)
    assert {start.weekday() for start, _ in found} == {window[0].weekday()}
    assert len(found) == 8
    assert {end - start for start, end in found} == {timedelta(days=2)}


def test_a_window_of_a_week_is_like_any_week_and_stretches_do_not_overlap() -> None:
    found = stretches(span(60), span(7, 60))
    assert len(found) == 8
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))


def test_for_a_long_window_stand_fifths_of_the_reference() -> None:
    found = stretches(span(60), span(45, 60))
    assert [(start - START).days for start, _ in found] == [0, 12, 24, 36, 48]
    assert {end - start for start, end in found} == {timedelta(days=12)}


def test_stretches_keep_the_time_of_day_and_lie_within_the_reference() -> None:
    reference, window = (START + timedelta(hours=9), START + timedelta(days=30)), span(1, 30.25)
    found = stretches(reference, window)
    assert all(start.time() == window[0].time() for start, _ in found)
    assert found[0][0] >= reference[0]
    assert found[-1][1] <= reference[1]


@pytest.mark.parametrize("days", [4, 1, 0])
def test_of_fewer_than_five_days_nothing_natural_is_known(days: int) -> None:
    assert stretches(span(days), span(1, days)) == ()
    assert natural_area([], alpha=0.005) == 0.5


def test_what_was_not_tested_says_nothing() -> None:
    untested = Separation(math.nan, math.nan, math.nan, math.nan, 100, 3)
    assert natural_area([untested] * 5, alpha=0.005) == 0.5
    assert natural_area([untested, Separation(0.6, 0.5, 0.7, 0.1, 100, 100)], alpha=0.005) == 0.6


def test_the_bound_is_that_of_one_more_normal_value() -> None:
    rng, times, alpha = np.random.default_rng(4), 4000, 0.05
    beyond = 0
    for _ in range(times):
        *places, one_more = rng.normal(0.3, 0.2, 7)
        areas = [Separation(stats.norm.cdf(place), 0.5, 0.6, 0.1, 500, 500) for place in places]
        beyond += stats.norm.cdf(one_more) > natural_area(areas, alpha=alpha)
    assert abs(beyond / times - alpha) < 3 * math.sqrt(alpha * (1 - alpha) / times)


def test_days_with_luck_of_their_own_are_no_news_and_a_shift_beyond_is() -> None:
    """Days of a tenth of the variance: without stretches that resemble the window, one in six weeks alarmed."""
    rng, alarms, found = np.random.default_rng(5), 0, 0
    for _ in range(30):
        before, after, shifted = _records(rng, 60), _records(rng, 7), _records(rng, 7, shift=1.0)
        days = np.repeat(np.arange(60), 60)
        areas = []
        for start, end in stretches(span(60), span(7, 60)):
            inside = (days >= (start - START).days) & (days < (end - START).days)
            areas.append(tell_apart(_sample(before[~inside]), _sample(before[inside])))
        floor = natural_area(areas, alpha=0.005)
        alarms += tell_apart(_sample(before), _sample(after)).auc > floor
        found += tell_apart(_sample(before), _sample(shifted)).auc > floor
    assert alarms <= 2    # 0.15 are to be expected
    assert found >= 27


def _records(rng: np.random.Generator, days: int, *, shift: float = 0.0) -> np.ndarray:    # type: ignore[type-arg]
    means = np.repeat(rng.normal(0, math.sqrt(0.1), (days, len(COLUMNS))), 60, axis=0)
    values = means + rng.normal(0, math.sqrt(0.9), means.shape)
    values[:, :3] += shift
    return values


def _sample(values: np.ndarray) -> Sample:    # type: ignore[type-arg]
    codes = np.column_stack([np.searchsorted(EDGES, column) for column in values.T])
    return Sample(COLUMNS, ("numeric",) * len(COLUMNS), (10,) * len(COLUMNS), codes)

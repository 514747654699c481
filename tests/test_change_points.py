"""The day of a change: found near where it was, seldom where there was none, and never without river."""

from __future__ import annotations

import math
import sys
from datetime import datetime
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from scipy import signal

from trimtab.measure.over_time.change_points import ChangePoints, locate
from trimtab.measure.over_time.daily import Daily

RNG = np.random.default_rng
DETECTORS = ["adwin", "page_hinkley"]
START = np.datetime64("2024-01-01")
needs_river = pytest.mark.skipif(find_spec("river") is None, reason="river, an optional extra, is not installed")


def series(rng: np.random.Generator, days: int, phi: float = 0.0, *, skewed: bool = False) -> Any:
    """Daily deviations of mean 0 and variance 1 that persist; skewed ones have bad days."""
    drawn = rng.exponential(size=days + 50) - 1 if skewed else rng.normal(size=days + 50)
    return signal.lfilter([1], [1, -phi], drawn)[50:] * math.sqrt(1 - phi**2)


def over_days(means: Any, counts: Any = None) -> Daily:
    return Daily(START + np.arange(len(means)), means, np.full(len(means), 1000) if counts is None else counts)


def day(moment: datetime) -> int:
    """Days since the series began."""
    return (moment - datetime(2024, 1, 1)).days


# -- without river -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detector", DETECTORS)
def test_without_river_nothing_is_located_and_the_extra_is_named(
    detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "river", None)
    found = locate(over_days(np.repeat([1.0, 9.0], 30)), detector=detector)
    assert found.located is None
    assert found.points == ()
    assert "pip install trimtab[river]" in found.note


@pytest.mark.parametrize("days", [0, 1, 19])
def test_too_few_days_are_told_as_such(days: int) -> None:
    found = locate(over_days(np.arange(days)))
    assert (found.located, found.days) == (None, days)
    assert "too few days" in found.note


def test_a_detector_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="cusum"):
        locate(over_days(np.arange(30)), detector="cusum")    # type: ignore[arg-type]


# -- with river --------------------------------------------------------------------------------------------------------


@needs_river
@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("phi", [0.0, 0.4])
def test_steady_series_seldom_have_change_points(detector: Any, phi: float, skewed: bool) -> None:
    """100 series of 120 days; 5 % plus three standard errors are 11.5 %."""
    rng = RNG([int(10 * phi), skewed])
    found = [locate(over_days(1 + 0.3 * series(rng, 120, phi, skewed=skewed)), detector=detector) for _ in range(100)]
    assert np.mean([bool(one.points) for one in found]) <= 0.115


@needs_river
@pytest.mark.parametrize("detector", DETECTORS)
def test_a_jump_of_two_deviations_is_found_within_two_days_mostly(detector: Any) -> None:
    """50 series of 120 days with a jump on day 90: all found, more than 80 % within two days of it."""
    rng = RNG(1)
    found = [locate(over_days(1 + 0.3 * series(rng, 120) + 0.6 * (np.arange(120) >= 90)), detector=detector).located
             for _ in range(50)]
    at = np.array([day(one.at) for one in found if one])
    assert len(at) == 50
    assert (np.abs(at - 90) <= 2).mean() > 0.8
    # A detector needs some days of the new level.
    assert 2 <= np.median([day(one.noticed) - 90 for one in found if one]) <= 14


@needs_river
@pytest.mark.parametrize("detector", DETECTORS)
def test_several_change_points_are_told_and_the_newest_is_at_hand(detector: Any) -> None:
    levels = np.repeat([1.0, 2.0, 0.5], [50, 40, 60])
    found = locate(over_days(levels + 0.1 * series(RNG(2), 150), np.full(150, 10)), detector=detector)
    assert [day(one.at) for one in found.points] == [50, 90]
    assert found.located == found.points[-1]
    assert found.located.detector == detector
    assert found.located.at == datetime(2024, 3, 31)
    assert found.located.records == 1000
    # A mean of 40 days has a standard error of 0.016.
    assert (found.located.before_mean, found.located.after_mean) == pytest.approx((2.0, 0.5), abs=0.06)
    assert found.points[0].before_mean == pytest.approx(1.0, abs=0.06)
    assert all(one.noticed >= one.at for one in found.points)


@needs_river
@pytest.mark.parametrize("detector", DETECTORS)
def test_a_wild_day_is_no_new_level(detector: Any) -> None:
    means = 1 + 0.1 * series(RNG(3), 120)
    means[80] += 5
    assert locate(over_days(means), detector=detector).points == ()


@needs_river
@pytest.mark.parametrize("detector", DETECTORS)
def test_levels_without_any_scatter_are_parted_exactly(detector: Any) -> None:
    found = locate(over_days(np.repeat([0.1, 0.3], [40, 20])), detector=detector)
    assert [day(one.at) for one in found.points] == [40]
    assert (found.points[0].before_mean, found.points[0].after_mean) == pytest.approx((0.1, 0.3))


@needs_river
def test_an_error_that_never_moves_has_no_change_point() -> None:
    assert locate(over_days(np.full(60, 0.1))) == ChangePoints((), 60, "the daily means are all equal")


@needs_river
@pytest.mark.parametrize("detector", DETECTORS)
def test_unit_date_and_missing_days_do_not_move_the_day(detector: Any) -> None:
    means = 1 + 0.1 * series(RNG(4), 100) + 0.4 * (np.arange(100) >= 60)
    kept = means.copy()
    plain = locate(over_days(means), detector=detector).located
    other = locate(over_days(1000 * means), detector=detector).located
    assert plain is not None
    assert other is not None
    assert np.array_equal(means, kept)
    assert (plain.at, plain.noticed) == (other.at, other.noticed)
    working = np.arange(100) % 7 < 5
    found = locate(Daily(np.arange(100)[working], means[working], np.full(working.sum(), 9)), detector=detector)
    assert found.days == working.sum()
    assert found.located is not None
    assert abs((found.located.at - datetime(1970, 1, 1)).days - 60) <= 3


@needs_river
def test_days_of_few_records_do_not_make_a_level() -> None:
    means, counts = 1 + 0.05 * series(RNG(5), 90), np.full(90, 1000)
    means[70:80] += 0.3 * series(RNG(6), 10)
    counts[70:80] = 5
    assert locate(over_days(means, counts)).points == ()

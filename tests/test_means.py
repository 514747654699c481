"""Rates and confidences: a share or a mean, its change, and whether chance explains it."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from trimtab.decide.columns import confidence_shift, rate_drop
from trimtab.decide.signals import default_triggers, grade
from trimtab.measure.columns.aspects import INDEPENDENT, Variation
from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.means import Moved, mean, rate
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.variation import variation
from trimtab.settings.drift import DriftSettings

RNG = np.random.default_rng
HAPPENED = freeze_categorical(["true", "false"])
DEFAULTS = default_triggers(DriftSettings())


def share(yes: int, no: int, nulls: int = 0) -> ColumnProfile:
    return ColumnProfile(HAPPENED, (yes, no), nulls=nulls)


def test_a_rate_is_the_share_of_what_happened_among_what_is_known() -> None:
    found = rate("matched", share(900, 100, nulls=500), share(160, 40))
    assert (found.before, found.now) == (0.9, 0.8)
    expected = stats.chi2_contingency([[900, 100], [160, 40]], correction=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.errors == pytest.approx(-math.sqrt(expected.statistic))
    assert found.deviations == pytest.approx(-0.1 / 0.3)


@pytest.mark.parametrize("levels", [("True", "False"), ("1", "0"), ("1.0", "0.0")])
def test_booleans_and_zeros_and_ones_are_rates(levels: tuple[str, str]) -> None:
    bins = freeze_categorical(levels)
    assert rate("x", ColumnProfile(bins, (30, 70)), ColumnProfile(bins, (30, 70))).now == 0.3


def test_too_few_records_are_not_tested() -> None:
    assert math.isnan(rate("x", share(500, 500), share(10, 5)).p_value)
    assert math.isnan(rate("x", share(500, 500), share(0, 0)).now)
    bins = freeze_numeric(np.arange(100.0))
    few = mean("x", profile_array(np.arange(100.0), bins), profile_array(np.arange(20.0), bins))
    assert math.isnan(few.p_value)
    assert few.now < few.before


def test_a_mean_from_bins_is_nearly_that_of_the_values() -> None:
    before, now = RNG(0).beta(8, 2, 5000), RNG(1).beta(7, 3, 2000)
    bins = freeze_numeric(before)
    found = mean("confidence", profile_array(before, bins), profile_array(now, bins))
    assert found.before == pytest.approx(before.mean(), abs=0.002)
    assert found.now == pytest.approx(now.mean(), abs=0.005)
    assert found.deviations == pytest.approx((now.mean() - before.mean()) / before.std(), abs=0.05)
    welch = stats.ttest_ind(now, before, equal_var=False)
    assert found.errors == pytest.approx(welch.statistic, rel=0.05)


def test_one_wild_value_moves_no_mean() -> None:
    before = RNG(0).normal(size=1000)
    bins = freeze_numeric(before)
    wild = np.append(RNG(1).normal(size=999), 1e9)
    assert abs(mean("x", profile_array(before, bins), profile_array(wild, bins)).deviations) < 0.15


def test_a_constant_stays_or_moves_for_certain() -> None:
    bins = freeze_numeric(np.full(100, 3.0))
    same = profile_array(np.full(50, 3.0), bins)
    assert mean("x", same, same).p_value == 1.0
    assert math.isnan(mean("x", same, same).deviations)


def test_undrifted_means_and_rates_are_called_moved_as_often_as_they_should() -> None:
    """600 simulated pairs (seed 0): at 5 %, between 3.3 and 6.9 % lie within two standard errors."""
    rng, means, rates = RNG(0), 0, 0
    for _ in range(600):
        before, now = rng.beta(5, 2, 800), rng.beta(5, 2, 300)
        bins = freeze_numeric(before)
        means += mean("x", profile_array(before, bins), profile_array(now, bins)).p_value <= 0.05
        a, b = rng.binomial(800, 0.8), rng.binomial(300, 0.8)
        rates += rate("x", share(a, 800 - a), share(b, 300 - b)).p_value <= 0.05
    assert 0.033 <= means / 600 <= 0.069
    assert rates / 600 <= 0.069


def test_days_that_share_their_luck_make_a_mean_less_certain() -> None:
    before, now = RNG(0).normal(size=1000), RNG(1).normal(0.2, size=500)
    bins = freeze_numeric(before)
    sides = profile_array(before, bins), profile_array(now, bins)
    alone = mean("x", *sides)
    together = mean("x", *sides, Variation({"mean": (9.0, 9.0)}, {}, freedom=30.0))
    assert together.errors == pytest.approx(alone.errors / 3)
    assert together.p_value > alone.p_value


MONDAY = date(2024, 1, 1)


def days_with_luck(rng: np.random.Generator, days: int, *, fallen: float = 0.0, start: int = 0) -> Days:
    """A hundred records a day; the log odds of a rate near 80 % differ from day to day by 0.3, and weekends have 0.8
    less; `fallen` is taken off the rate itself."""
    made = {}
    for day in range(start, start + days):
        odds = 1.5 + 0.3 * rng.normal() - 0.8 * (day % 7 >= 5)
        yes = int(rng.binomial(100, np.clip(1 / (1 + math.exp(-odds)) - fallen, 0, 1)))
        made[MONDAY + timedelta(days=day)] = Profile({"matched": share(yes, 100 - yes)}, 100)
    return Days.of({"matched": HAPPENED}, made)


def moved_rate(before: Days, now: Days, known: Variation | None = None) -> Moved:
    usual = variation(before, int(now.rows.sum()), len(now))["matched"]
    return rate("matched", before.total().columns["matched"], now.total().columns["matched"], known or usual)


@pytest.mark.parametrize("length", [1, 7])
def test_rates_that_vary_by_the_day_and_the_week_raise_no_more_alarms_than_the_level(length: int) -> None:
    """300 windows of one day or one week, from any weekday on, against eight weeks (seeds 1 and 7). At a rate of 5 %,
    30 alarms are four standard errors more than the 15 expected; as independent draws, more than 50 alarm."""
    rng, alarms, careless = RNG(length), 0, 0
    for _ in range(300):
        first = int(rng.integers(7))
        before = days_with_luck(rng, 56, start=first)
        now = days_with_luck(rng, length, start=first + 56)
        alarms += rate_drop([moved_rate(before, now)]).significant
        careless += rate_drop([moved_rate(before, now, INDEPENDENT)]).significant
    assert alarms <= 30
    assert careless > 50


def test_a_rate_that_falls_beyond_what_its_weeks_differ_is_found() -> None:
    """60 weeks (seed 3) of 15 points less; a week's rate differs from the next by about 1.5 points."""
    rng, found = RNG(3), 0
    for _ in range(60):
        signal = rate_drop([moved_rate(days_with_luck(rng, 56), days_with_luck(rng, 7, fallen=0.15, start=56))])
        found += signal.significant
    assert found >= 58


def test_confidences_that_vary_by_the_day_raise_no_more_alarms_than_the_level_and_a_shift_is_found() -> None:
    """150 weeks of 40 records a day against six (seed 5), of whose variance days share a tenth: 17 alarms are four
    standard errors more than the 7.5 expected. One standard deviation is found in nearly all of 40."""
    rng, bins = RNG(5), freeze_numeric(RNG(4).normal(size=5000))

    def week(first: int, days: int, shift: float = 0.0) -> Days:
        values = rng.normal(np.sqrt(0.1) * rng.normal(size=(days, 1)) + shift, np.sqrt(0.9), (days, 40))
        columns = [Profile({"c": profile_array(day, bins)}, 40) for day in values]
        return Days.of({"c": bins}, {MONDAY + timedelta(days=first + i): one for i, one in enumerate(columns)})

    def raised(shift: float) -> bool:
        before, now = week(0, 42), week(42, 7, shift)
        known = variation(before, 280, 7)["c"]
        return confidence_shift([mean("c", before.total().columns["c"], now.total().columns["c"], known)]).significant

    assert sum(raised(0.0) for _ in range(150)) <= 17
    assert sum(raised(1.0) for _ in range(40)) >= 38


def test_the_floor_of_a_rate_is_the_farthest_that_a_stretch_lies_from_the_rest_in_deviations() -> None:
    shares = [80] * 20 + [40] + [80] * 19
    every = {MONDAY + timedelta(days=i): Profile({"matched": share(yes, 100 - yes)}, 100)
             for i, yes in enumerate(shares)}
    floor = variation(Days.of({"matched": HAPPENED}, every), 100, 1)["matched"].floor["mean"]
    before = sum(shares) / 4000
    assert floor == pytest.approx(0.4 / math.sqrt(before * (1 - before)))


def test_a_day_without_values_is_no_floor() -> None:
    every = {MONDAY + timedelta(days=i): Profile({"matched": share(80, 20) if i != 5 else share(0, 0, nulls=100)}, 100)
             for i in range(20)}
    assert variation(Days.of({"matched": HAPPENED}, every), 100, 1)["matched"].floor["mean"] == pytest.approx(0)


def test_a_change_that_is_certain_but_natural_is_no_signal_and_says_so() -> None:
    known = Variation({}, {"mean": 0.5})
    fell = rate("matched", share(9000, 1000), share(800, 200), known)
    assert fell.natural
    found = rate_drop([fell])
    assert not found.significant
    assert found.message == "matched fell from 90.0% to 80.0%; stretches of the reference differ as far."
    farther = rate("matched", share(9000, 1000), share(700, 300), known)
    assert not farther.natural
    assert rate_drop([fell, farther]).columns == ("matched",)
    assert rate_drop([farther]).significant


def test_a_rate_that_falls_is_a_signal_and_one_that_rises_is_none() -> None:
    fell, rose = rate("matched", share(900, 100), share(395, 105)), rate("read", share(800, 200), share(450, 50))
    found = grade(rate_drop([rose, fell]), DEFAULTS)
    assert (found.columns, found.severity) == (("matched",), "high")
    assert found.value == pytest.approx(0.11)
    assert found.message == "matched fell from 90.0% to 79.0%."
    assert grade(rate_drop([rose]), DEFAULTS).severity == "none"


def test_a_confidence_that_moves_is_a_signal_in_deviations_and_says_the_errors() -> None:
    before = RNG(0).beta(8, 2, 5000)
    bins = freeze_numeric(before)
    moved, still = (
        mean(name, profile_array(before, bins), profile_array(values, bins))
        for name, values in (("moved", RNG(1).beta(7, 3, 2000)), ("still", RNG(2).beta(8, 2, 2000)))
    )
    found = grade(confidence_shift([still, moved]), DEFAULTS)
    assert (found.columns, found.severity) == (("moved",), "medium")
    assert "standard errors" in found.message
    assert grade(confidence_shift([still]), DEFAULTS).severity == "none"


def test_many_rates_are_corrected_together() -> None:
    """One in fifty with p = 0.01 is what one expects."""
    odd = rate("odd", share(900, 100), share(255, 45))
    assert 0.05 / 50 < odd.p_value < 0.05
    still = [rate(f"r{i}", share(900, 100), share(270, 30)) for i in range(49)]
    assert rate_drop([odd]).significant
    assert not rate_drop([odd, *still]).significant


@pytest.mark.parametrize("unit", [2.0**1000, 2.0**-900])
def test_a_mean_near_the_limits_of_floats_is_that_of_other_values(unit: float) -> None:
    before, now = RNG(0).normal(5, 1, 3000), RNG(1).normal(5.2, 1, 1000)
    expected, found = (
        mean("x", profile_array(before * by, bins), profile_array(now * by, bins))
        for by in (1.0, unit) for bins in [freeze_numeric(before * by)]
    )
    assert found.p_value == expected.p_value < 1e-3
    assert (found.before, found.now) == (expected.before * unit, expected.now * unit)
    assert (found.deviations, found.errors) == (expected.deviations, expected.errors)


def test_nothing_to_look_at_is_nan() -> None:
    assert math.isnan(rate_drop([]).value)
    assert math.isnan(confidence_shift([]).value)

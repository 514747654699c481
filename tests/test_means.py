"""Rates and confidences: a share or a mean, its change, and whether chance explains it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from trimtab.decide.columns import confidence_shift, rate_drop
from trimtab.decide.signals import default_triggers, grade
from trimtab.measure.columns.aspects import Variation
from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.means import mean, rate
from trimtab.measure.columns.profile import ColumnProfile
from trimtab.settings import DriftSettings

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
    together = mean("x", *sides, Variation({"wasserstein": (9.0, 9.0)}, {}, freedom=30.0))
    assert together.errors == pytest.approx(alone.errors / 3)
    assert together.p_value > alone.p_value


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


def test_nothing_to_look_at_is_nan() -> None:
    assert math.isnan(rate_drop([]).value)
    assert math.isnan(confidence_shift([]).value)

"""Frozen bins: wild values of the reference blind nothing, and groups are about ten whatever the values are like."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trimtab.measure.columns import divergences
from trimtab.measure.columns.bins import COARSE, NumericBins, freeze_numeric, moments
from trimtab.measure.columns.drift import compare_column
from trimtab.measure.columns.in_memory import profile_array

RNG = np.random.default_rng
NORMAL = RNG(0).normal(size=5000)
WILD: dict[str, Callable[[Any], Any]] = {
    "one value of 1e6": lambda values: np.append(values, 1e6),
    "one value of 1e300": lambda values: np.append(values, 1e300),
    "a twentieth of -999": lambda values: np.append(values, np.full(len(values) // 19, -999.0)),
    "a sixth of -999": lambda values: np.append(values, np.full(len(values) // 5, -999.0)),
    "both sides": lambda values: np.concatenate([values, [-1e9, 1e9, 1e12]]),
}


def _beyond(values: Any, bins: NumericBins) -> float:
    return float(np.mean((values < bins.low) | (values > bins.high)))


@pytest.mark.parametrize("n", [30, 1000, 5000])
def test_limits_of_a_clean_normal_column_are_three_deviations_from_its_mean(n: int) -> None:
    values = NORMAL[:n]
    bins = freeze_numeric(values)
    assert (bins.low, bins.high) == pytest.approx((values.mean() - 3 * values.std(), values.mean() + 3 * values.std()))


@pytest.mark.parametrize("wild", list(WILD))
def test_wild_values_of_the_reference_move_neither_limits_nor_scale(wild: str) -> None:
    """The limits are the clean ones; the scale, of quartiles, moves by what a sixth of the records can move those."""
    clean, bins = freeze_numeric(NORMAL), freeze_numeric(WILD[wild](NORMAL))
    assert (bins.low, bins.high) == pytest.approx((clean.low, clean.high))
    assert 1 <= bins.scale / clean.scale < 1.4


@pytest.mark.parametrize("wild", list(WILD))
def test_outliers_are_found_though_the_reference_holds_wild_values(wild: str) -> None:
    before = WILD[wild](NORMAL)
    now = WILD[wild](np.where(RNG(2).random(1000) < 0.1, 5.0, RNG(3).normal(size=1000)))
    bins = freeze_numeric(before)
    found = compare_column("x", profile_array(before, bins), profile_array(now, bins))["outliers"]
    assert found.size > 0.02
    assert found.p_value < 1e-4    # seven standard errors where a sixth is wild, more elsewhere


@pytest.mark.parametrize(("law", "most"), [
    ("lognormal", 0.05), ("exponential", 0.03), ("standard_t", 0.03), ("zero-inflated", 0.04), ("rare", 0.03),
])
def test_skewed_and_heavy_tailed_columns_have_few_outliers_of_their_own(law: str, most: float) -> None:
    rng = RNG(4)
    if law == "zero-inflated":
        values = np.where(rng.random(20_000) < 0.7, 0.0, rng.lognormal(size=20_000))
    elif law == "rare":
        values = np.where(rng.random(20_000) < 0.98, 0.0, rng.lognormal(size=20_000))
    else:
        values = getattr(rng, law)(*((3,) if law == "standard_t" else ()), size=20_000)
    assert 0 < _beyond(values, freeze_numeric(values)) < most


@pytest.mark.parametrize("law", ["lognormal", "standard_cauchy"])
def test_outliers_of_skewed_and_heavy_tailed_columns_alarm_no_oftener_than_they_should(law: str) -> None:
    """600 pairs at 5 %: four standard errors more are 8.6 %."""
    rng, low = RNG(5), 0
    for _ in range(600):
        before, now = (getattr(rng, law)(size=n) for n in (500, 200))
        bins = freeze_numeric(before)
        low += compare_column("x", profile_array(before, bins), profile_array(now, bins))["outliers"].p_value <= 0.05
    assert low / 600 <= 0.086


@pytest.mark.parametrize(("values", "limits", "scale"), [
    ([3.0] * 50, (3.0, 3.0), 0.0),
    ([3.0], (3.0, 3.0), 0.0),
    ([0.0, 1.0], (-1.0, 2.0), 0.5 / 1.349),
    ([0.0] * 70 + [1.0] * 30, (0.3 - 3 * math.sqrt(0.21), 0.3 + 3 * math.sqrt(0.21)), math.sqrt(0.21)),
    ([3.0] * 999 + [1e6], (3.0, 3.0), math.sqrt(0.001 * 0.999) * (1e6 - 3)),
])
def test_columns_of_few_values_have_limits_and_a_scale(
    values: list[float], limits: tuple[float, float], scale: float
) -> None:
    bins = freeze_numeric(values)
    assert (bins.low, bins.high) == pytest.approx(limits)
    assert bins.scale == pytest.approx(scale)


@pytest.mark.parametrize("zeros", [0.5, 0.6, 0.7, 0.76, 0.9, 0.99])
def test_the_scale_of_a_zero_inflated_column_does_not_collapse(zeros: float) -> None:
    """It stays about the deviation that limits are made from, a sixth of their distance."""
    rng = RNG(6)
    values = np.where(np.arange(2000) < zeros * 2000, 0.0, rng.lognormal(size=2000))
    bins = freeze_numeric(values)
    assert 0.6 < bins.scale / ((bins.high - bins.low) / 6) < 1.4
    before, now = profile_array(values, bins), profile_array(np.where(values > 0, values * 1.5, 0.0), bins)
    assert 0 < divergences.wasserstein(before.counts, now.counts, bins) < 1


def test_moments_beyond_the_range_of_floats_are_unknown() -> None:
    assert all(map(math.isnan, moments(np.array([-1.7e308, -1.6e308, 1.6e308, 1.7e308]))))
    bins = freeze_numeric([-1.7e308, -1.6e308, 1.6e308, 1.7e308])
    assert all(map(math.isnan, (bins.low, bins.high, bins.scale)))


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-530, 2.0**-410, 2.0**500])
def test_moments_of_values_whose_squares_are_tiny_are_those_of_others(unit: float) -> None:
    bins, tiny = freeze_numeric(NORMAL), freeze_numeric(NORMAL * unit)
    assert [getattr(tiny, name) / unit for name in ("low", "high", "scale")] == [bins.low, bins.high, bins.scale]
    beside = [profile_array(values, own).outliers for values, own in ((NORMAL, bins), (NORMAL * unit, tiny))]
    assert beside[0] == beside[1] < 0.01 * len(NORMAL)


def test_moments_of_the_smallest_floats_leave_most_values_within_the_limits() -> None:
    values = np.round(NORMAL * 100) * 5e-324
    assert 0 < profile_array(values, freeze_numeric(values)).outliers < 0.01 * len(NORMAL)


def test_moments_change_no_input_and_know_nothing_of_order() -> None:
    kept = np.sort(NORMAL.copy())
    moments(kept)
    assert np.array_equal(kept, np.sort(NORMAL))
    assert freeze_numeric(NORMAL) == freeze_numeric(NORMAL[::-1])


WHOLE: dict[str, Any] = {
    **{f"0 to {k}": lambda rng, k=k: rng.integers(0, k + 1, 5000) for k in (1, 4, 9, 11, 14, 19, 30, 100)},
    **{f"Poisson {mean}": lambda rng, mean=mean: rng.poisson(mean, 5000) for mean in (0.3, 2, 5, 10, 50)},
    "geometric": lambda rng: rng.geometric(0.3, 5000),
    "rounded": lambda rng: rng.normal(size=5000).round(1),
    "zero-inflated": lambda rng: np.where(rng.random(5000) < 0.4, 0, rng.lognormal(size=5000)),
}


@pytest.mark.parametrize("law", list(WHOLE))
def test_groups_are_about_ten_and_a_value_that_holds_a_tenth_has_one_to_itself(law: str) -> None:
    values = WHOLE[law](RNG(7)).astype(float)
    bins = freeze_numeric(values)
    counts = profile_array(values, bins).coarse()
    assert len(counts) <= COARSE + 2
    ends = np.array([*(bins.edges[index] for index in bins.groups), np.inf])
    group = np.searchsorted(ends, values)
    for value, times in zip(*np.unique(values, return_counts=True), strict=True):
        if times >= len(values) / COARSE:
            assert np.unique(values[group == group[values == value][0]]).tolist() == [value]


def test_what_lies_below_a_constant_or_the_smallest_atom_is_a_group_of_its_own() -> None:
    for values in ([3.0] * 50, [3.0] * 50 + [4.0] * 50):
        bins = freeze_numeric(values)
        assert profile_array(np.full(40, 2.0), bins).coarse()[0] == 40
        assert profile_array(np.array(values), bins).coarse()[0] == 0

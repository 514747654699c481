"""Divergences: equal to their definitions on the counts, and close to SciPy's statistics on the values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from trimtab.measure.columns import divergences
from trimtab.measure.columns.bins import freeze_numeric
from trimtab.measure.columns.in_memory import profile_array

RNG = np.random.default_rng

COUNTS = [
    ([500, 500], [600, 400]),
    ([10, 0, 5, 85], [0, 0, 30, 70]),
    ([1, 0, 0], [0, 0, 40]),
    ([1000, 2, 3, 1, 0], [90, 0, 1, 0, 9]),
    (list(range(1, 30)), list(range(29, 0, -1))),
]
SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "shifted": lambda rng, n: rng.normal(0.3, size=n),
    "wide": lambda rng, n: rng.normal(scale=2, size=n),
    "tied": lambda rng, n: rng.integers(0, 7, n).astype(float),
    "rounded": lambda rng, n: np.round(rng.normal(size=n), 1),
    "inflated": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.exponential(size=n)),
    "heavy": lambda rng, n: rng.standard_cauchy(n),
    "uniform": lambda rng, n: rng.uniform(-1, 1, n),
}
PAIRS = [
    ("normal", "normal"), ("normal", "shifted"), ("shifted", "normal"), ("normal", "wide"), ("wide", "normal"),
    ("tied", "tied"), ("tied", "rounded"), ("rounded", "normal"), ("inflated", "inflated"), ("inflated", "normal"),
    ("normal", "inflated"), ("heavy", "normal"), ("normal", "heavy"), ("uniform", "normal"), ("inflated", "tied"),
]


def counts(values: np.ndarray[Any, Any], reference: np.ndarray[Any, Any]) -> tuple[int, ...]:
    return profile_array(values, freeze_numeric(reference)).counts


# -- Kolmogorov-Smirnov ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reference", "current"), PAIRS)
@pytest.mark.parametrize(("n", "m"), [(100, 100), (1000, 300), (20_000, 5000), (100_000, 100_000)])
def test_ks_from_counts_is_within_a_hundredth_of_ks_from_values(reference: str, current: str, n: int, m: int) -> None:
    """A bin holds at most n/200 + 1 records of the reference, which is half a hundredth, or records of one value."""
    rng = RNG([n, m, len(reference), len(current)])
    a, b = SHAPES[reference](rng, n), SHAPES[current](rng, m)
    found, p_value = divergences.kolmogorov_smirnov(counts(a, a), counts(b, a))
    exact = stats.ks_2samp(a, b, method="asymp")
    assert exact.statistic - 0.01 - 1e-12 <= found <= exact.statistic + 1e-12
    assert p_value >= exact.pvalue * (1 - 0.001) - 1e-12    # the limiting distribution is that near


@pytest.mark.parametrize("records", [999, 1000, 3000, 50_000])
def test_the_limiting_distribution_of_ks_is_near_the_exact_one(records: int) -> None:
    for shares in np.linspace(0.4, 4.0, 19) / np.sqrt(records):
        after = 2 * records * np.array([0.5 + shares, 0.5 - shares])
        statistic, p_value = divergences.kolmogorov_smirnov([records, records], after)    # worth so many records
        assert statistic == pytest.approx(shares)
        exact = stats.kstwo.sf(statistic, records)
        assert exact * 0.999 <= p_value <= exact * (1.01 if exact > 1e-4 else 1.2)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (50, 50), (1000, 50), (100, 100)])
def test_small_samples_are_not_called_different_too_often(n: int, m: int) -> None:
    """1000 undrifted pairs: 5 % plus four standard errors are 7.8 %."""
    rng = RNG([n, m])
    alarms = 0
    for _ in range(1000):
        a = rng.normal(size=n)
        edges = np.sort(a)[:: max(n // 50, 1)]
        both = a, rng.normal(size=m)
        before, after = (np.bincount(np.searchsorted(edges, v), minlength=len(edges) + 1) for v in both)
        alarms += divergences.kolmogorov_smirnov(before, after)[1] <= 0.05
    assert alarms / 1000 <= 0.078


# -- by definition -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), COUNTS)
def test_psi_is_its_definition_on_smoothed_shares(a: list[int], b: list[int]) -> None:
    kept = [(x + 0.5, y + 0.5) for x, y in zip(a, b, strict=True) if x + y]
    n, m = (sum(side) for side in zip(*kept, strict=True))
    expected = sum((y / m - x / n) * math.log((y / m) / (x / n)) for x, y in kept)
    assert divergences.psi(a, b) == pytest.approx(expected, rel=1e-12)


def test_with_many_records_smoothing_does_not_matter() -> None:
    a, b = np.array([5e5, 3e5, 2e5]), np.array([4e5, 4e5, 2e5])
    plain = stats.entropy(a, b) + stats.entropy(b, a)
    assert divergences.psi(a, b) == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize("bins", [2, 10, 20])
@pytest.mark.parametrize(("n", "m"), [(50, 50), (1000, 50), (5000, 5000)])
def test_psi_by_chance_is_the_mean_psi_of_undrifted_samples(bins: int, n: int, m: int) -> None:
    """Where bins expect five records or more (mean over 2000 pairs, to 10 %); never far below it elsewhere."""
    rng = RNG([bins, n, m])
    p = np.full(bins, 1 / bins)
    pairs = [(rng.multinomial(n, p), rng.multinomial(m, p)) for _ in range(2000)]
    mean = np.mean([divergences.psi(a, b) for a, b in pairs])
    chance = np.mean([divergences.psi_by_chance(a, b) for a, b in pairs])
    assert mean <= 1.12 * chance
    squares = np.mean([divergences.jensen_shannon(a, b) ** 2 for a, b in pairs])
    distance = divergences.jensen_shannon_by_chance(float(chance))
    assert squares <= 1.4 * distance**2
    if min(n, m) / bins >= 5:
        assert mean >= 0.85 * chance
        assert 0.85 * distance**2 <= squares <= 1.12 * distance**2


@pytest.mark.parametrize(("a", "b"), COUNTS)
def test_jensen_shannon_is_the_root_of_the_mean_divergence_from_the_mixture(a: list[int], b: list[int]) -> None:
    p, q = np.array(a) / sum(a), np.array(b) / sum(b)
    mixture = (p + q) / 2
    parts = [stats.entropy(side, mixture, base=2) for side in (p, q)]
    assert divergences.jensen_shannon(a, b) == pytest.approx(math.sqrt(sum(parts) / 2), abs=1e-9)
    assert divergences.jensen_shannon(a, b) == pytest.approx(distance.jensenshannon(p, q, base=2), abs=1e-12)


def test_chi_square_is_pearsons_on_the_two_rows() -> None:
    a, b = [500, 300, 200], [40, 70, 90]
    expected = stats.chi2_contingency([a, b], correction=False)
    assert divergences.chi_square(a, b) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)


def test_levels_that_expect_fewer_than_ten_records_are_pooled() -> None:
    a, b = [500, 480, 90, 60, 70], [60, 30, 4, 3, 3]
    expected = stats.chi2_contingency([[500, 480, 220], [60, 30, 10]], correction=False)
    assert divergences.chi_square(a, b) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)


def test_a_level_that_expects_exactly_ten_is_not_pooled() -> None:
    a, b = [50, 40, 20], [60, 50, 0]
    expected = stats.chi2_contingency([a, b], correction=False)
    assert divergences.chi_square(a, b)[0] == pytest.approx(expected.statistic)


def test_one_level_alone_cannot_differ() -> None:
    assert divergences.chi_square([10, 0], [20, 0]) == (0.0, 1.0)


@pytest.mark.parametrize(("reference", "current"), [((10, 1000), (40, 1000)), ((2, 40), (9, 30)), ((0, 50), (3, 60))])
def test_share_difference_is_fisher_where_few_are_expected_and_chi_square_elsewhere(
    reference: tuple[int, int], current: tuple[int, int]
) -> None:
    table = [[reference[0], reference[1] - reference[0]], [current[0], current[1] - current[0]]]
    expected = stats.contingency.expected_freq(table)
    few = expected.min() < 5
    wanted = stats.fisher_exact(table).pvalue if few else stats.chi2_contingency(table, correction=False).pvalue
    assert divergences.share_difference(reference, current) == pytest.approx(wanted, rel=1e-12)


def test_a_share_that_nobody_or_everybody_has_does_not_differ() -> None:
    assert divergences.share_difference((0, 10), (0, 1000)) == 1.0
    assert divergences.share_difference((10, 10), (1000, 1000)) == 1.0


# -- Wasserstein -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("shift", "width"), [(0.0, 1.0), (0.1, 0.8), (0.3, 0.5)])
def test_wasserstein_of_bounded_values_is_close_to_scipys(shift: float, width: float, seed: int) -> None:
    """Within 1 % of the range: each of 200 bins is cut at its lower end."""
    rng = RNG([seed, int(100 * shift)])
    a, b = rng.uniform(0, 1, 5000), shift + rng.uniform(0, width, 3000)
    bins = freeze_numeric(a)
    b = np.clip(b, bins.minimum, bins.maximum)
    found = divergences.wasserstein(profile_array(a, bins).counts, profile_array(b, bins).counts, bins)
    assert found * bins.scale == pytest.approx(stats.wasserstein_distance(a, b), abs=0.01)


@pytest.mark.parametrize(("draw", "off"), [
    (lambda rng, n: rng.normal(size=n), 0.02),
    (lambda rng, n: rng.gamma(2.0, size=n), 0.05),
    (lambda rng, n: rng.integers(1, 6, n).astype(float), 1e-9),
], ids=["normal", "gamma", "ratings"])
def test_wasserstein_of_other_laws_is_scipys_but_for_the_outermost_bins(draw: Any, off: float) -> None:
    """Of ratings, values of their own, exactly; the tolerances are what the outermost bins of 0.5 % each may hide."""
    rng = RNG(11)
    a, b = draw(rng, 20_000), draw(rng, 8_000)
    b = np.where(rng.random(len(b)) < 0.3, np.sort(a)[-len(b):], b)    # a third moves up, within the range
    bins = freeze_numeric(a)
    found = divergences.wasserstein(profile_array(a, bins).counts, profile_array(b, bins).counts, bins)
    assert found * bins.scale == pytest.approx(stats.wasserstein_distance(a, b), abs=off)


def test_one_far_value_does_not_outweigh_all_others_and_both_ends_count_alike() -> None:
    rng = RNG(3)
    a, b = np.append(rng.normal(size=20_000), 1e6), rng.normal(0.05, size=20_000)
    found = []
    for sign in (1, -1):
        bins = freeze_numeric(sign * a)
        found.append(divergences.wasserstein(
            profile_array(sign * a, bins).counts, profile_array(sign * b, bins).counts, bins) * bins.scale)
    assert found == pytest.approx([0.05, 0.05], abs=0.02)


def test_mass_beyond_the_reference_counts_as_if_at_its_end() -> None:
    a = np.linspace(0, 1, 1001)
    bins = freeze_numeric(a)
    near, far = (
        divergences.wasserstein(profile_array(a, bins).counts, profile_array(np.full(50, x), bins).counts, bins)
        for x in (1.0, 1e9)
    )
    assert near == far == pytest.approx(0.5 / bins.scale, abs=0.02)


def test_a_constant_reference_has_no_scale_to_measure_in() -> None:
    bins = freeze_numeric([2.0, 2.0])
    assert bins.size == 3
    assert math.isnan(divergences.wasserstein([0, 2, 0], [1, 1, 0], bins))


# -- many tests --------------------------------------------------------------------------------------------------------


def test_false_discovery_is_benjamini_hochberg() -> None:
    p = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06])
    by_hand = np.minimum.accumulate((p * 6 / np.arange(1, 7))[::-1])[::-1]
    np.testing.assert_allclose(divergences.false_discovery(p), by_hand)
    np.testing.assert_allclose(divergences.false_discovery(p[::-1]), by_hand[::-1])


def test_what_was_not_tested_does_not_count_as_a_test() -> None:
    found = divergences.false_discovery([0.02, math.nan, 0.04]).tolist()
    assert found == pytest.approx([0.04, math.nan, 0.04], nan_ok=True)
    assert np.isnan(divergences.false_discovery([math.nan, math.nan])).all()
    assert len(divergences.false_discovery([])) == 0


def test_counts_over_different_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="same bins"):
        divergences.psi([1, 2], [1, 2, 3])

"""Prediction intervals: they cover what they promise, follow the size of errors, and tell when they no longer do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.measure.models.outputs import Outputs
from trimtab.measure.unlabelled.conformal import Conformal, fit, widths

RNG = np.random.default_rng


def off_by(errors: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Outputs:
    return Outputs((), errors, np.zeros(len(errors)))


@pytest.mark.parametrize("n", [20, 99, 500])
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_the_promised_share_is_covered_at_every_size_of_the_holdout(n: int, coverage: float) -> None:
    covered = []
    for seed in range(120):
        rng = RNG([n, seed])
        found = fit(off_by(rng.standard_t(3, size=n)), coverage=coverage)
        covered.append(widths(found, np.zeros(200), actual=rng.standard_t(3, size=200)).coverage.value)
    # Exact coverage lies between the promise and 1 / (n + 1) above it.
    error = np.std(covered) / np.sqrt(120)
    assert coverage - 3 * error < np.mean(covered) < coverage + 1 / (n + 1) + 3 * error


def test_widths_follow_the_size_of_errors_and_cover_each_group_alike() -> None:
    rng = RNG(1)
    sizes = np.tile([1.0, 5.0], 2000)
    errors = rng.normal(size=4000) * sizes
    constant, following = fit(off_by(errors)), fit(off_by(errors), sizes=sizes)
    small = sizes == 1
    new = rng.normal(size=4000) * sizes
    plain = [widths(constant, np.zeros(2000), actual=new[side]).coverage.value for side in (small, ~small)]
    scaled = [widths(following, np.zeros(2000), actual=new[s], sizes=sizes[s]).coverage.value for s in (small, ~small)]
    # 2000 records know 90 % to 0.7 %, and the quantile of 4000 errors adds 0.5 %.
    assert max(abs(value - 0.9) for value in scaled) < 3 * 0.009
    assert plain[0] > 0.99
    assert plain[1] < 0.85
    both = widths(following, np.zeros(4000), sizes=sizes)
    assert both.mean_width < widths(constant, np.zeros(4000)).mean_width


def test_narrow_intervals_are_those_below_half_the_median_width_of_the_holdout() -> None:
    found = fit(off_by(RNG(1).normal(size=100)), sizes=np.full(100, 2.0))
    told = widths(found, np.zeros(4), sizes=np.array([0.5, 0.99, 1.0, 2.0]))
    assert told.narrow == 0.5
    assert math.isnan(widths(fit(off_by(RNG(1).normal(size=100))), np.zeros(4)).narrow)


def test_errors_that_have_grown_show_as_a_shortfall() -> None:
    rng = RNG(2)
    found = fit(off_by(rng.normal(size=1000)))
    told = widths(found, np.zeros(500), actual=2 * rng.normal(size=500))
    assert told.coverage.high < told.promised
    assert told.shortfall > 0.2


def test_outcomes_that_are_not_known_do_not_count() -> None:
    found = fit(off_by(np.arange(1.0, 100.0)))
    told = widths(found, np.zeros(3), actual=np.array([0.0, np.nan, 1e6]))
    assert told.coverage.value == 0.5
    nobody = widths(found, np.zeros(3))
    assert math.isnan(nobody.coverage.value)
    assert math.isnan(nobody.shortfall)
    empty = widths(found, np.zeros(0))
    assert (empty.records, math.isnan(empty.mean_width)) == (0, True)


@pytest.mark.parametrize(("n", "reach"), [(0, math.inf), (8, math.inf), (9, 9.0), (10, 10.0), (19, 18.0)])
def test_a_holdout_too_small_for_its_coverage_makes_intervals_endless(n: int, reach: float) -> None:
    found = fit(off_by(np.arange(1.0, n + 1)), coverage=0.9)
    assert found.reach == reach
    assert widths(found, np.zeros(2), actual=np.array([1e9, 0.0])).coverage.value == (1.0 if reach == math.inf else 0.5)


@pytest.mark.parametrize("sizes", [None, np.linspace(0.1, 3, 50)])
def test_they_survive_json_to_the_last_bit(sizes: np.ndarray[tuple[int], np.dtype[np.float64]] | None) -> None:
    found = fit(off_by(RNG(3).normal(size=50)), sizes=sizes)
    assert Conformal.from_json(found.to_json()) == found
    assert Conformal.from_json(fit(off_by(np.zeros(0))).to_json()).reach == math.inf
    for text in ("{}", "[1]"):
        with pytest.raises(ValueError, match="no conformal intervals"):
            Conformal.from_json(text)


def test_a_size_near_zero_does_not_rule_the_rest() -> None:
    sizes = np.ones(100)
    sizes[0] = -1e-9
    found = fit(off_by(np.ones(100)), sizes=sizes)
    assert found.reach == 1.0
    assert widths(found, np.zeros(1), sizes=np.array([0.0])).mean_width == pytest.approx(0.1)


def test_the_order_of_records_is_irrelevant_and_inputs_are_left_alone() -> None:
    errors, sizes = RNG(4).normal(size=60), RNG(5).gamma(2.0, size=60)
    kept = errors.copy(), sizes.copy()
    order = RNG(6).permutation(60)
    assert fit(off_by(errors), sizes=sizes) == fit(off_by(errors[order]), sizes=sizes[order])
    np.testing.assert_array_equal(errors, kept[0])
    np.testing.assert_array_equal(sizes, kept[1])


def test_wrong_input_is_refused() -> None:
    numbers = off_by(np.ones(20))
    constant, following = fit(numbers), fit(numbers, sizes=np.ones(20))
    with pytest.raises(ValueError, match="these are classes"):
        fit(Outputs(("a", "b"), np.array([0]), np.array([1])))
    with pytest.raises(ValueError, match="coverage must be between"):
        fit(numbers, coverage=1.0)
    with pytest.raises(ValueError, match="20 finite numbers"):
        fit(numbers, sizes=np.full(20, np.nan))
    with pytest.raises(ValueError, match="above 0"):
        fit(numbers, sizes=np.zeros(20))
    with pytest.raises(ValueError, match="only there"):
        widths(constant, np.zeros(2), sizes=np.ones(2))
    with pytest.raises(ValueError, match="only there"):
        widths(following, np.zeros(2))
    with pytest.raises(ValueError, match="do not fit"):
        widths(constant, np.zeros(2), actual=np.zeros(3))

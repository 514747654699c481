"""Cells cut at quantiles of a small reference: a window of any size is not called different more often than stated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.measure.columns.bins import freeze_numeric
from trimtab.measure.columns.divergences import pearson
from trimtab.measure.columns.drift import compare_column
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.quantile_cells import between_quantiles, merged

RNG = np.random.default_rng


@pytest.mark.parametrize(("n", "cells", "m"), [(100, 5, 1000), (100, 5, 50_000), (300, 10, 3000), (100, 5, 60)])
def test_windows_of_any_size_alarm_no_oftener_than_stated(n: int, cells: int, m: int) -> None:
    """20,000 windows: one in a thousand is 20 of them, and four standard errors more 38. Shares of the population that
    lie between order statistics have a Dirichlet distribution."""
    rng, before = RNG([1, n, m]), np.full(cells, n // cells)
    windows = rng.multinomial(m, rng.dirichlet(before + (np.arange(cells) == cells - 1), 20_000))
    p_values = np.array([between_quantiles(before, now)[1] for now in windows])
    assert (p_values <= 0.05).sum() <= 1000 + 4 * math.sqrt(950)
    assert (p_values <= 0.001).sum() <= 38


def test_a_column_with_a_small_reference_is_quiet() -> None:
    """1,500 pairs: p ≤ 0.5 % in 7.5, and four standard errors more are 18; Pearson's test on tenths gives 24."""
    rng, low, tenths = RNG(2), 0, 0
    for _ in range(1500):
        before = rng.normal(size=100)
        bins = freeze_numeric(before)
        sides = profile_array(before, bins), profile_array(rng.normal(size=1000), bins)
        low += compare_column("x", *sides)["psi"].p_value <= 0.005
        tenths += pearson(*(side.coarse() for side in sides))[1] <= 0.005
    assert low <= 18
    assert tenths > 18


def test_cells_hold_twenty_reference_records_where_there_are_as_many() -> None:
    tenths = [10] * 10
    assert merged(tenths, [100] * 10)[0].tolist() == [20] * 5
    assert merged(tenths, [5] * 10)[0].tolist() == [20] * 5
    assert merged([3] * 10, [100] * 10)[0].tolist() == [15, 15]
    assert merged([500] * 10, [50] * 10)[0].tolist() == [500] * 10


def test_windows_no_larger_than_the_reference_have_pearsons_test() -> None:
    a, b = [40, 50, 60, 50], [45, 45, 70, 40]
    assert between_quantiles(a, b) == pearson(a, b)
    assert between_quantiles([20, 30], [10, 5]) == pearson([20, 30], [10, 5])
    assert between_quantiles(a, [10 * count for count in b]) != pearson(a, [10 * count for count in b])


def test_empty_sides_and_single_cells_tell_nothing() -> None:
    for a, b in (([0, 0], [5, 5]), ([5, 5], [0, 0])):
        assert all(map(math.isnan, between_quantiles(a, b)))
    assert between_quantiles([5, 0], [50, 0]) == (0.0, 1.0)
    assert [side.tolist() for side in merged([0, 0], [1, 2])] == [[0, 0], [1, 2]]


def test_what_fills_a_cell_that_was_empty_is_seen() -> None:
    statistic, p_value = between_quantiles([50, 50, 0], [0, 0, 1000])
    assert statistic == pytest.approx(2 * 2 * 100 * 1000 / 1100)    # of shares that have nothing in common
    assert p_value < 1e-30


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_cells_is_irrelevant_and_inputs_stay_as_they_are(seed: int) -> None:
    rng = RNG([4, seed])
    a, b = rng.integers(0, 50, 12), rng.integers(0, 500, 12)
    kept, order = (a.copy(), b.copy()), rng.permutation(12)
    statistic, p_value = between_quantiles(a, b)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])
    assert statistic >= 0
    assert 0 <= p_value <= 1
    assert between_quantiles(a[order], b[order]) == pytest.approx((statistic, p_value))
    cells = merged(a, b)
    assert [side.sum() for side in cells] == [a.sum(), b.sum()]

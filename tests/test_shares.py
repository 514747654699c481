"""Many shares, compared at once: exact cell by cell, and not significant more often than they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trimtab.measure.words.shares import corrected, share_p_values, smallest_p_values


def test_share_is_tested_as_fisher_does_with_the_smaller_tail_doubled() -> None:
    table = [[3, 97], [14, 186]]
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    assert share_p_values([3], 100, [14], 200)[0] == pytest.approx(2 * min(tails))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (40, 30), (5000, 300), (200, 9000)])
def test_smallest_p_value_is_the_smallest_of_all(n: int, m: int) -> None:
    rng = np.random.default_rng([n, m])
    shares = rng.beta(0.2, 3, 60)
    for drift in (1.0, 1.5):
        a, b = rng.binomial(n, shares), rng.binomial(m, np.minimum(drift * shares, 1))
        every, some = share_p_values(a, n, b, m), smallest_p_values(a, n, b, m)
        known = ~np.isnan(some)
        assert some[known] == pytest.approx(every[known])
        assert np.nanmin(some) == every.min()
        assert known[every <= 0.05 / 60].all()


def test_only_cells_that_could_be_significant_count_as_tests() -> None:
    a, b = [5, *[0] * 99], [40, *[1] * 99]    # one record in both together cannot differ significantly
    alone = share_p_values(a, 1000, b, 1000)
    assert corrected(alone, a, 1000, b, 1000)[0] == pytest.approx(alone[0])
    assert corrected(alone, a, 1000, b, 1000)[1:].tolist() == [1.0] * 99


def test_cells_with_equal_counts_all_count_as_tests() -> None:
    a, b = np.array([0] * 5), np.array([12] * 5)
    alone = share_p_values(a, 100, b, 100)
    assert corrected(alone, a, 100, b, 100) == pytest.approx(np.minimum(5 * alone, 1))


@pytest.mark.parametrize("shares", [np.full(50, 0.3), 1 / np.arange(1, 51), np.full(50, 0.002)])
def test_equal_shares_are_not_called_different_more_often_than_stated(shares: np.ndarray) -> None:
    rng, repetitions, n, m = np.random.default_rng(1), 600, 400, 150
    found = []
    for _ in range(repetitions):
        a, b = rng.binomial(n, shares), rng.binomial(m, shares)
        found.append(np.nanmin(corrected(smallest_p_values(a, n, b, m), a, n, b, m)))
    for alpha in (0.05, 0.01):
        noise = np.sqrt(alpha * (1 - alpha) / repetitions)
        assert np.mean(np.array(found) <= alpha) <= alpha + 3 * noise    # three standard errors


def test_nothing_to_compare_gives_nothing() -> None:
    assert share_p_values([], 10, [], 10).tolist() == smallest_p_values([], 10, [], 10).tolist() == []
    assert corrected(np.empty(0), [], 10, [], 10).tolist() == []


def test_cells_that_hold_nobody_or_everybody_do_not_differ() -> None:
    assert share_p_values([0, 10], 10, [0, 7], 7).tolist() == [1.0, 1.0]
    assert corrected(np.ones(2), [0, 10], 10, [0, 7], 7).tolist() == [1.0, 1.0]


def test_counts_are_not_changed() -> None:
    a, b = np.array([3, 0, 9]), np.array([1, 5, 9])
    corrected(smallest_p_values(a, 20, b, 20), a, 20, b, 20)
    assert (a.tolist(), b.tolist()) == ([3, 0, 9], [1, 5, 9])

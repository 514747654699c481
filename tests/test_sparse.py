"""Tables of many cells with few records each: what moved is found in each cell, and p-values hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from trimtab.measure.columns import divergences, sparse
from trimtab.measure.columns.bins import BUCKETS, MAX_LEVELS, freeze_categorical
from trimtab.measure.columns.cells import apart, finer_cells, shared
from trimtab.measure.columns.profile import ColumnProfile

RNG = np.random.default_rng


def _every_table(both: list[int], now: int) -> tuple[np.ndarray, np.ndarray]:
    """All ways in which so many current records can lie in these cells, and how probable each is."""
    ways = [way for way in itertools.product(*(range(count + 1) for count in both)) if sum(way) == now]
    of = [math.prod(math.comb(count, some) for count, some in zip(both, way, strict=True)) for way in ways]
    return np.array(ways), np.array(of) / math.comb(sum(both), now)


def test_mean_and_variance_are_those_of_all_tables_with_these_margins() -> None:
    """Enumerated, not drawn. The statistic is scaled to have the moments of χ²: mean d and variance 2d."""
    both = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    ways, share = _every_table(both, 9)
    found = np.array([sparse.pearson(np.array(both) - way, way) for way in ways])
    directions = found[0, 1]
    assert np.ptp(found[:, 1]) == 0    # of the margins alone
    assert found[:, 0].min() > 0
    assert float(share @ found[:, 0]) == pytest.approx(directions)
    assert float(share @ (found[:, 0] - directions) ** 2) == pytest.approx(2 * directions)


def test_the_divergence_is_by_chance_what_is_told_however_sparse_the_table_is() -> None:
    both = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    ways, share = _every_table(both, 5)
    mean = float(share @ [sparse.divergence(np.array(both) - way, way) for way in ways])
    records = sum(both)
    told = divergences.psi_by_chance(np.array(both) - ways[0], ways[0])
    assert mean == pytest.approx(told * records / (records - 1))


@pytest.mark.parametrize(
    ("both", "now"),
    [([27] * 200, 500), ([3] * 100 + [20] * 10 + [200], 200), ([55] * 40 + [400] * 5, 300), ([60] * 50, 1500)],
)
def test_p_values_of_sparse_tables_hold(both: list[int], now: int) -> None:
    """4,000 tables each with these margins; rates lie within four standard errors of their levels."""
    draws = RNG([20, len(both)]).multivariate_hypergeometric(both, now, size=4000, method="marginals")
    p_values = np.array([sparse.p_value(*sparse.pearson(np.array(both) - drawn, drawn)) for drawn in draws])
    for level in (0.5, 0.05, 0.005):
        error = math.sqrt(level * (1 - level) / len(draws))
        assert abs(np.mean(p_values <= level) - level) <= 4 * error


def test_a_table_that_is_not_sparse_is_tested_as_pearson_does() -> None:
    """Cells of many thousands: the χ² distribution of as many directions as cells but one."""
    rng = RNG(21)
    a, b = rng.poisson(50_000, 12), rng.poisson(40_000, 12)
    statistic, directions = sparse.pearson(a, b)
    assert directions == pytest.approx(11, rel=0.001)
    assert sparse.p_value(statistic, directions) == pytest.approx(divergences.pearson(a, b)[1], rel=0.01)
    assert divergences.pearson(a, b)[0] == pytest.approx(stats.chi2_contingency([a, b]).statistic)


def test_sides_order_and_empty_cells_make_no_difference() -> None:
    rng = RNG(22)
    a, b = rng.poisson(20, 30), rng.poisson(3, 30)
    found = sparse.pearson(a, b)
    assert sparse.pearson(b, a) == pytest.approx(found)
    assert sparse.pearson(a[::-1], b[::-1]) == pytest.approx(found)
    assert sparse.pearson(np.append(a, 0), np.append(b, 0)) == pytest.approx(found)
    assert sparse.divergence(b, a) == pytest.approx(sparse.divergence(a, b))


def test_windows_with_the_same_shares_are_not_told_apart() -> None:
    statistic, directions = sparse.pearson([20] * 30, [4] * 30)
    assert sparse.divergence([20] * 30, [4] * 30) == 0
    assert sparse.p_value(statistic, directions) > 0.999


@pytest.mark.parametrize(
    ("a", "b"), [([5.0] * 9, [5.0] * 9), ([0.0] * 12, [5.0] * 12), ([5.0] * 12, [0.0] * 12), ([5.0], [5.0, 5.0])]
)
def test_too_few_cells_empty_sides_and_other_shapes_are_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="cells"):
        sparse.pearson(a, b)


def test_the_divergence_from_nothing_is_not_known() -> None:
    assert math.isnan(sparse.divergence([0, 0], [1, 2]))
    assert math.isnan(sparse.divergence([], []))


# -- which levels share cells ----------------------------------------------------------------------------------------


def _column(counts: list[int], *, levels: int | None = None, unseen: int = 0, told: bool = True) -> ColumnProfile:
    bins = freeze_categorical([f"level {i}" for i in range(levels or len(counts))])
    buckets = (unseen, *[0] * (BUCKETS - 1)) if told and unseen else ()
    return ColumnProfile(bins, tuple(counts), unseen=unseen, buckets=buckets)


def _share(before: ColumnProfile, now: ColumnProfile, thin: tuple[float, float] = (1.0, 1.0)) -> list[bool]:
    """Which levels share the finer cells."""
    rare = apart(before, now, thin).rare
    assert rare is not None
    return [bool(one) for one in rare]


def test_levels_of_two_expected_records_are_cells_of_their_own() -> None:
    before, now = _column([300, 270, 22, 9]), _column([150, 135, 11, 0])
    assert _share(before, now) == [False] * 4    # nine records of both sides, of which the window expects a third
    usual = shared(before, now).rare
    assert usual is not None
    assert usual.tolist() == [False, False, False, True]
    assert _share(_column([300, 270, 22, 5]), now) == [False, False, False, True]


def test_levels_that_the_reference_may_have_missed_share_cells() -> None:
    """In a window ten times as large, a level of forty records is missed once in 45 times; one of 400 never."""
    before, now = _column([90, 6, 4]), _column([610, 354, 36])
    assert _share(before, now) == [False, False, True]


def test_of_a_reference_that_keeps_only_its_most_frequent_levels_those_at_the_cut_share_cells() -> None:
    few = [80] * 10 + [20] * (MAX_LEVELS - 10)
    whole, cut = _column(few), _column(few, unseen=3)
    now = _column(few)
    assert not any(_share(whole, now))
    assert _share(cut, now) == [False] * 10 + [True] * (MAX_LEVELS - 10)


def test_new_levels_in_unknown_buckets_leave_one_cell_to_share() -> None:
    before = _column([400] * 5 + [1] * 200)
    now = _column([200] * 5 + [1] * 200, unseen=9)
    assert apart(before, now).parts > 10
    assert apart(before, _column([200] * 5 + [1] * 200, unseen=9, told=False)).parts == 1


def test_records_that_come_in_batches_leave_fewer_levels_by_themselves() -> None:
    before, now = _column([50] * 20), _column([10] * 20)
    assert not any(_share(before, now))
    assert all(_share(before, now, (6.0, 6.0)))


def test_missing_values_are_a_cell_where_they_are_enough_for_one() -> None:
    bins = freeze_categorical([f"level {i}" for i in range(12)])
    before = ColumnProfile(bins, (50,) * 12, nulls=40)
    few, none = ColumnProfile(bins, (25,) * 12, nulls=20), ColumnProfile(bins, (25,) * 12)
    assert [side[-1] for side in finer_cells(before, few)] == [40, 20]
    assert len(finer_cells(ColumnProfile(bins, (50,) * 12, nulls=1), none)[0]) == 13    # with that of other levels

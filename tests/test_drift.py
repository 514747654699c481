"""Drift: undrifted windows raise few alarms at any size, real shifts are found, and the odd columns are explained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from trimtab.measure.columns import divergences, sparse
from trimtab.measure.columns.aspects import LARGE, SMALLEST_SAMPLE, Variation
from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.columns.cells import cells, finer_cells
from trimtab.measure.columns.drift import ColumnDrift, Drift, compare, compare_column
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import ColumnProfile, Profile

RNG = np.random.default_rng
BINS = freeze_numeric(stats.norm.ppf((np.arange(2000) + 0.5) / 2000))
LEVELS = freeze_categorical([f"l{i}" for i in range(30)])
ZIPF = 1 / np.arange(1, 32)    # thirty levels that the reference has, and a share that it does not
MISSING = 0.02


def reference_and_masses(rng: np.random.Generator, n: int, kind: str) -> tuple[ColumnProfile, Any]:
    """Counts of n reference records, and the true shares of its bins.

    Numeric bins are cut at the reference's own quantiles: their counts are equal, and their true shares are spacings of
    order statistics, which have a Dirichlet distribution.
    """
    missing = int(rng.binomial(n, MISSING))
    if kind == "numeric":
        counts = np.diff(np.arange(BINS.size + 1) * (n - missing) // BINS.size)
        return ColumnProfile(BINS, tuple(counts.tolist()), nulls=missing), rng.dirichlet(counts)
    shares = ZIPF / ZIPF.sum()
    drawn = rng.multinomial(n - missing, shares)
    return ColumnProfile(LEVELS, tuple(drawn[:-1].tolist()), nulls=missing, unseen=int(drawn[-1])), shares


def draw(rng: np.random.Generator, like: ColumnProfile, masses: Any, m: int) -> ColumnProfile:
    missing = int(rng.binomial(m, MISSING))
    drawn = rng.multinomial(m - missing, masses)
    size = like.bins.size
    return ColumnProfile(like.bins, tuple(drawn[:size].tolist()), nulls=missing, unseen=int(drawn[size:].sum()))


def undrifted(rng: np.random.Generator, n: int, m: int, *, columns: int = 50) -> tuple[Profile, Profile]:
    made = [reference_and_masses(rng, n, "categorical" if i % 5 == 4 else "numeric") for i in range(columns)]
    before = Profile({str(i): profile for i, (profile, _) in enumerate(made)}, n)
    return before, Profile({str(i): draw(rng, p, masses, m) for i, (p, masses) in enumerate(made)}, m)


def alarm_rate(n: int, m: int, repetitions: int) -> float:
    rng = RNG([n, m])
    return sum(bool(compare(*undrifted(rng, n, m)).drifted()) for _ in range(repetitions)) / repetitions


@pytest.mark.parametrize("rows", [50, 500, 5000])
def test_undrifted_windows_of_any_size_seldom_raise_an_alarm(rows: int) -> None:
    """Over all of fifty columns together. At a rate of 5 %, 60 checks have more than 8 alarms once in 500 times."""
    assert alarm_rate(10_000, rows, 60) <= 8 / 60


@pytest.mark.parametrize("seed", range(5))
def test_half_a_standard_deviation_is_found_in_a_thousand_rows(seed: int) -> None:
    rng = RNG(seed)
    reference = rng.normal(size=(10_000, 50))
    current = rng.normal(size=(1000, 50))
    current[:, 7] += 0.5
    bins = [freeze_numeric(column) for column in reference.T]
    before, after = (
        Profile({str(i): profile_array(c, b) for i, (c, b) in enumerate(zip(side.T, bins, strict=True))}, len(side))
        for side in (reference, current)
    )
    assert [column.name for column in compare(before, after).drifted()] == ["7"]


def test_a_significant_shift_that_is_small_is_no_news() -> None:
    """0.02 standard deviations in two million rows: certain, and a PSI of 0.0004."""
    edges = np.array([-np.inf, *BINS.edges, np.inf])
    counts = [np.round(2e6 * np.diff(stats.norm.cdf(edges - shift))).astype(int) for shift in (0.0, 0.02)]
    before, after = (Profile({"x": ColumnProfile(BINS, tuple(c.tolist()))}, int(c.sum())) for c in counts)
    drift = compare(before, after)
    assert drift["x"].q_value < 1e-6
    assert drift.drifted() == ()


def test_a_large_psi_between_fifty_rows_and_fifty_rows_is_no_news() -> None:
    rng = RNG(3)
    values = rng.normal(size=(2, 50))
    bins = freeze_numeric(values[0])
    before, after = (Profile({"x": profile_array(v, bins)}, 50) for v in values)
    drift = compare(before, after)
    assert drift["x"].psi > 0.10
    assert drift.drifted() == ()


def one(reference: ColumnProfile, current: ColumnProfile) -> ColumnDrift:
    return compare(Profile({"x": reference}, reference.rows), Profile({"x": current}, current.rows))["x"]


def categorical(*counts: int, **more: int) -> ColumnProfile:
    return ColumnProfile(freeze_categorical([chr(97 + i) for i in range(len(counts))]), counts, **more)


def test_a_column_that_goes_missing_has_drifted() -> None:
    found = one(categorical(500, 500), categorical(250, 250, nulls=500))
    assert found.psi > 0.25
    assert found.q_value < 1e-6
    assert (found.missing_reference, found.missing_current) == (0.0, 0.5)
    assert found.js == 0.0    # of the values that are present


def test_missing_values_are_tested_where_there_are_any_and_not_all() -> None:
    whole = one(categorical(500, 500), categorical(540, 460))
    assert [aspect.name for aspect in whole.aspects] == ["psi", "unseen", "newcomer"]
    gaps = one(categorical(500, 500, nulls=10), categorical(560, 440, nulls=10))
    assert [aspect.name for aspect in gaps.aspects] == ["psi", "missing", "unseen", "newcomer"]
    assert gaps["missing"].p_value == pytest.approx(1.0)
    assert math.isnan(whole["missing"].p_value)


def test_a_column_pays_for_each_way_in_which_it_is_looked_at() -> None:
    found = one(categorical(500, 500), categorical(540, 460))
    assert found.p_value == pytest.approx(3 * found["psi"].p_value)
    assert found.q_value == pytest.approx(3 * found["psi"].p_value)    # here of three tests in all


@pytest.mark.parametrize(("rows", "tested"), [(SMALLEST_SAMPLE - 1, False), (SMALLEST_SAMPLE, True)])
def test_fewer_than_thirty_records_are_not_tested(rows: int, tested: bool) -> None:
    found = one(categorical(1000, 0), categorical(0, rows))
    assert math.isnan(found.q_value) is not tested
    assert ("too few records" in found.note) is not tested


def test_constant_column_has_no_outliers_though_the_mean_of_equal_floats_is_not_always_their_value() -> None:
    values = np.full(6, 0.1)
    assert values.mean() != 0.1
    bins = freeze_numeric(values)
    assert (bins.low, bins.high, bins.scale) == (0.1, 0.1, 0.0)


def test_constant_and_empty_columns_are_named_as_such() -> None:
    constant, nothing = freeze_numeric([3.0] * 100), freeze_numeric([])
    same = one(profile_array(np.full(100, 3.0), constant), profile_array(np.full(50, 3.0), constant))
    assert same.note == "constant in the reference; constant now"
    assert same.psi == 0.0
    empty = one(ColumnProfile(nothing, (0,), nulls=100), ColumnProfile(nothing, (0,), nulls=50))
    assert empty.note == "no values in the reference; no values now"
    assert math.isnan(empty.q_value)    # nothing was tested
    moved = one(profile_array(np.full(100, 3.0), constant), profile_array(np.full(50, 4.0), constant))
    assert moved.ks == 1.0
    assert moved.outside == 1.0


def test_new_levels_are_counted_and_named() -> None:
    found = one(categorical(500, 500), categorical(300, 300, unseen=400))
    assert found.note == "400 records with new levels"
    assert found.unseen == 0.4
    assert found.q_value < 1e-6


def test_outliers_are_tested_by_their_own_share() -> None:
    """The tails hold too little for a test of the whole distribution to see."""
    counts = tuple([10] * BINS.size)
    found = one(ColumnProfile(BINS, counts, outliers=5), ColumnProfile(BINS, counts, outliers=60))
    assert found["wasserstein"].p_value == 1.0
    assert found["outliers"].p_value < 1e-6
    assert [str(aspect) for aspect in found.moved()] == [f"outliers {100 * 55 / sum(counts):.1f} pp"]
    assert math.isnan(one(categorical(50, 50), categorical(50, 50))["outliers"].p_value)


def test_fewer_outliers_than_before_are_no_alarm() -> None:
    counts = tuple([10] * BINS.size)
    found = one(ColumnProfile(BINS, counts, outliers=60), ColumnProfile(BINS, counts, outliers=5))
    assert found["outliers"].size == 0.0
    assert found.moved() == ()


def test_columns_are_listed_from_the_most_to_the_least_moved_and_corrected_together() -> None:
    columns = {"still": (500, 500), "moved": (900, 100), "some": (600, 400)}
    before = Profile({name: categorical(500, 500) for name in columns}, 1000)
    after = Profile({name: categorical(*counts) for name, counts in columns.items()}, 1000)
    drift = compare(before, after)
    assert [column.name for column in drift.columns] == ["moved", "some", "still"]
    every = [aspect for column in drift.columns for aspect in column.aspects]
    expected = stats.false_discovery_control([aspect.p_value for aspect in every])
    assert [aspect.q_value for aspect in every] == pytest.approx(list(expected))
    assert drift.to_frame().index.tolist() == ["moved", "some", "still"]


def test_what_is_exactly_at_the_thresholds_has_drifted() -> None:
    found = one(categorical(500, 500), categorical(900, 100))
    drift = Drift((found,), 1000, 1000)
    size, above = dict(LARGE) | {"psi": found.excess}, dict(LARGE) | {"psi": np.nextafter(found.excess, 9)}
    assert drift.drifted(alpha=found.q_value, large=size) == (found,)
    assert drift.drifted(alpha=found.q_value, large=above) == ()
    assert drift.drifted(alpha=np.nextafter(found.q_value, 0), large=size) == ()


def test_a_shift_that_natural_variation_reaches_is_no_alarm() -> None:
    before, after = categorical(500, 500), categorical(900, 100)
    found = one(before, after)
    for floor, drifted in ((0.9 * found.excess, True), (found.excess, False)):
        variation = {"x": Variation({}, {"psi": floor})}
        drift = compare(Profile({"x": before}, 1000), Profile({"x": after}, 1000), variation=variation)
        assert bool(drift.drifted()) is drifted


def test_records_that_share_their_luck_count_for_fewer() -> None:
    """Where ten records are as good as one, chance explains ten times as much, and p-values are those of a tenth."""
    before, after = categorical(5000, 5000), categorical(5300, 4700)
    variation = {"x": Variation({"psi": (10.0, 10.0)}, {})}
    thick = one(before, after)
    thin = compare(Profile({"x": before}, 10_000), Profile({"x": after}, 10_000), variation=variation)["x"]
    assert thin.psi_by_chance == pytest.approx(10 * thick.psi_by_chance)
    assert thin["psi"].p_value == pytest.approx(one(categorical(500, 500), categorical(530, 470))["psi"].p_value)


def test_profiles_of_other_columns_or_bins_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different columns cannot be compared: y"):
        compare(Profile({"x": categorical(1)}, 1), Profile({"x": categorical(1), "y": categorical(1)}, 1))
    with pytest.raises(ValueError, match="'x': the profiles have different bins"):
        compare(Profile({"x": categorical(1)}, 1), Profile({"x": categorical(1, 1)}, 2))
    with pytest.raises(KeyError, match="z"):
        compare(Profile({"x": categorical(1)}, 1), Profile({"x": categorical(1)}, 1))["z"]


LONG_TAILS = {
    "zipf": 1 / np.arange(1, 5001) ** 1.5, "a hundred": np.ones(100), "a thousand": np.ones(1000),
    "ten thousand": np.ones(10_000),
}


@pytest.mark.parametrize("rows", [(100, 100), (1000, 1000), (5000, 5000), (1000, 200), (200, 5000)])
@pytest.mark.parametrize("law", LONG_TAILS)
def test_levels_that_the_reference_happens_not_to_have_are_no_drift(law: str, rows: tuple[int, int]) -> None:
    """Levels are frozen on the reference, as profiling does. At a rate of 5 %, 40 checks have more than 7 alarms once
    in 700 times."""
    rng = RNG([len(law), *rows])
    shares = LONG_TAILS[law] / LONG_TAILS[law].sum()
    names = np.array([f"l{i}" for i in range(len(shares))])
    alarms = 0
    for _ in range(40):
        before, after = (rng.choice(names, n, p=shares) for n in rows)
        seen, counts = np.unique(before, return_counts=True)
        bins = freeze_categorical(seen[np.argsort(-counts, kind="stable")].tolist())
        profiles = [Profile({"x": profile_array(side, bins)}, len(side)) for side in (before, after)]
        alarms += bool(compare(*profiles).drifted())
    assert alarms <= 7


def test_a_new_level_among_rare_ones_is_found() -> None:
    before = categorical(400, 300, 200, *[1] * 100)
    after = categorical(280, 210, 140, *[1] * 70, *[0] * 30, unseen=300)
    found = one(before, after)
    assert found.excess > 0.25
    assert found.q_value < 1e-6


def test_the_size_of_a_shift_leaves_out_what_chance_explains() -> None:
    found = one(categorical(20, 20, 20), categorical(28, 20, 12))
    assert found.psi_by_chance > 0.05
    assert found.excess == pytest.approx(max(found.psi - found.psi_by_chance, 0.0))
    assert found.excess < found.psi


def _flat(levels: int, n: int, m: int, rng: np.random.Generator, *, gone: float = 0.0) -> ColumnDrift:
    """A category whose levels are all alike, of which some share may have vanished since."""
    names = np.array([f"level {i}" for i in range(levels)], dtype=object)
    before, now = names[rng.integers(0, levels, n)], names[rng.integers(0, levels - round(gone * levels), m)]
    bins = freeze_categorical([str(name) for name in np.unique(before)])
    return compare_column("x", profile_array(before, bins), profile_array(now, bins))


@pytest.mark.parametrize(("levels", "n", "m"), [(100, 5000, 500), (200, 20_000, 1500)])
def test_a_category_of_nothing_but_rare_levels_is_seen_to_move(levels: int, n: int, m: int) -> None:
    """No level expects ten records now, so none is a cell of its own; 30 windows each, of which none may be missed."""
    rng = RNG([9, levels])
    found = [_flat(levels, n, m, rng, gone=0.5)["psi"] for _ in range(30)]
    assert min(one.size for one in found) >= LARGE["psi"]
    assert max(one.p_value for one in found) < 0.001


@pytest.mark.parametrize(("levels", "n", "m"), [(100, 5000, 500), (200, 1000, 500), (1000, 1000, 5000)])
def test_rare_levels_that_share_cells_do_not_alarm(levels: int, n: int, m: int) -> None:
    """200 undrifted pairs: 5 % and four standard errors are 11 %; sizes beyond chance are mostly below what counts."""
    rng = RNG([10, levels])
    found = [_flat(levels, n, m, rng)["psi"] for _ in range(200)]
    assert np.mean([one.p_value <= 0.05 for one in found]) <= 0.11
    assert np.mean([one.size >= LARGE["psi"] for one in found]) <= 0.05
    assert not any(one.size >= LARGE["psi"] and one.p_value <= 0.0005 for one in found)


@pytest.mark.parametrize(("levels", "gone", "m"), [(200, 0.2, 1000), (50, 0.2, 500), (1000, 0.5, 5000)])
def test_a_part_of_many_levels_that_vanishes_is_found(levels: int, gone: float, m: int) -> None:
    """30 windows each, of which none may be missed: among 50 columns a p-value of 0.0002 is an alarm."""
    rng = RNG([12, levels])
    found = [_flat(levels, 5000, m, rng, gone=gone)["psi"] for _ in range(30)]
    assert min(one.size for one in found) >= LARGE["psi"]
    assert max(one.p_value for one in found) < 0.0002


def test_levels_that_become_rarer_and_others_more_frequent_do_not_average_out() -> None:
    """Every other level has half of the records that it had; 30 windows in which none expects ten records."""
    rng = RNG(13)
    shares = np.tile([0.5, 1.5], 100) / 200
    found = []
    for _ in range(30):
        before, now = rng.multinomial(5000, [1 / 200] * 200), rng.multinomial(1000, shares)
        found.append(compare_column("x", categorical(*before.tolist()), categorical(*now.tolist())))
    assert max(column["psi"].p_value for column in found) < 0.0002
    assert min(column["psi"].size for column in found) >= LARGE["psi"]
    assert all(column.excess == column["psi"].size for column in found)    # one figure, whatever it is read off
    # True: Σ (q − p)² / r, r being the share on both sides together, is 0.2 to 0.27; one error of the mean is 0.01.
    assert np.mean([column.excess for column in found]) == pytest.approx(0.25, abs=0.05)


def test_the_better_of_two_looks_is_corrected_for_having_been_chosen() -> None:
    counts = [400, 300, *[30] * 30]
    before, now = categorical(*counts), categorical(40, 30, *[5, 1] * 15)
    found = compare_column("x", before, now)
    statistic, directions = sparse.pearson(*finer_cells(before, now))
    assert found["psi"].p_value == pytest.approx(2 * sparse.p_value(statistic, directions))
    assert found.psi == pytest.approx(sparse.divergence(*finer_cells(before, now)))
    assert found.psi_by_chance == divergences.psi_by_chance(*finer_cells(before, now))
    assert found.cells == 32


def test_levels_that_all_are_frequent_are_looked_at_once() -> None:
    before, now = categorical(*[100] * 20), categorical(*[60, 40] * 10)
    found = compare_column("x", before, now)
    assert found["psi"].p_value == divergences.chi_square(*cells(before, now))[1]
    assert found.psi == divergences.psi(*cells(before, now))


def test_too_few_records_for_any_two_levels_are_told() -> None:
    found = _flat(200, 5000, 35, RNG(11))
    assert "too few records to tell its levels apart" in found.note
    assert math.isnan(found["psi"].p_value)

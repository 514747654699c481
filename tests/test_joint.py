"""Joint drift: tests keep their level on undrifted data, and find what no single column shows.

Simulations freeze bins on the reference that is then compared, as a run does. Their tolerances are quantiles of the
binomial distribution for the stated number of repetitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from trimtab.measure.columns.bins import BinTable, freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import Profile
from trimtab.measure.together import discriminant
from trimtab.measure.together.domain import Separation, density_ratio, tell_apart
from trimtab.measure.together.features import features
from trimtab.measure.together.reconstruction import reconstruct
from trimtab.measure.together.samples import Sample, encode

RNG = np.random.default_rng
Table = dict[str, np.ndarray[Any, Any]]

COLUMNS: Mapping[str, Callable[[np.random.Generator, int], np.ndarray[Any, Any]]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "inflated": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)),
    "few levels": lambda rng, n: _zipf(rng, n, 50),
    "many levels": lambda rng, n: _zipf(rng, n, 1000),
    "binary": lambda rng, n: (rng.random(n) < 0.3).astype(float),
    "constant": lambda rng, n: np.full(n, 3.0),
    "missing": lambda rng, n: np.where(rng.random(n) < 0.2, math.nan, rng.normal(size=n)),
}


def _zipf(rng: np.random.Generator, n: int, levels: int) -> np.ndarray[Any, Any]:
    shares = 1 / np.arange(1, levels + 1)
    names = np.array([f"level {index}" for index in range(levels)], dtype=object)
    return names[np.searchsorted(np.cumsum(shares) / shares.sum(), rng.random(n)).clip(max=levels - 1)]


def _table(rng: np.random.Generator, n: int, kinds: list[str]) -> Table:
    return {f"x{index}": COLUMNS[kind](rng, n) for index, kind in enumerate(kinds)}


def _bins(reference: Table) -> BinTable:
    frozen = {}
    for name, values in reference.items():
        if values.dtype == object:
            levels, counts = np.unique([value for value in values if value is not None], return_counts=True)
            frozen[name] = freeze_categorical([str(level) for level in levels[np.argsort(-counts, kind="stable")]])
        else:
            frozen[name] = freeze_numeric(values)
    return frozen


def _samples(reference: Table, current: Table) -> tuple[Sample, Sample]:
    bins = _bins(reference)
    return encode(reference, bins), encode(current, bins)


def _normal(rng: np.random.Generator, n: int, columns: int) -> Table:
    return _table(rng, n, ["normal"] * columns)


def _alarms(p_values: list[float], alpha: float) -> tuple[int, float]:
    """How many p-values are at or below alpha, and how many of as many would be in one of a thousand such counts."""
    return sum(p <= alpha for p in p_values), stats.binom.ppf(0.999, len(p_values), alpha)


def _codes(*columns: Any, size: int = 10) -> Sample:
    codes = np.stack([np.asarray(column) for column in columns], axis=1)
    names = tuple(f"x{index}" for index in range(len(columns)))
    return Sample(names, ("numeric",) * len(columns), (size,) * len(columns), codes)


# -- Level -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "m", "kinds", "repetitions"),
    [
        (50, 50, list(COLUMNS), 60),
        (50, 300, ["normal"] * 10, 50),
        (300, 50, list(COLUMNS), 40),
        (60, 300, ["many levels"] * 3, 60),
        (100, 100, ["inflated", "inflated"], 60),
        (60, 60, ["normal", "normal"], 250),
    ],
)
def test_undrifted_samples_alarm_no_more_often_than_alpha(n: int, m: int, kinds: list[str], repetitions: int) -> None:
    """Seeds 0 to `repetitions`."""
    apart, rebuilt = [], []
    for seed in range(repetitions):
        rng = RNG([seed, n, m])
        samples = _samples(_table(rng, n, kinds), _table(rng, m, kinds))
        apart.append(tell_apart(*samples, seed=seed).p_value)
        rebuilt.append(reconstruct(*samples, seed=seed).p_value)
    for alpha in (0.05, 0.01):
        for p_values in (apart, rebuilt):
            found, most = _alarms(p_values, alpha)
            assert found <= most


def test_records_on_the_edges_of_their_own_bins_do_not_lie_lower_than_later_ones() -> None:
    """Mean and spread of a feature on both sides, over 20 columns and 60 repetitions: the reference defines the edges.

    In the lower bins the reference's records would lie 0.5 / 50 ranks lower, about 0.03 standard deviations.
    """
    means, spreads = [], []
    for seed in range(60):
        rng = RNG(seed)
        made = features(*_samples(_normal(rng, 50, 20), _normal(rng, 500, 20)), seed=seed)
        before, after = made.values[:, ~made.current], made.values[:, made.current]
        means += (after.mean(axis=1) - before.mean(axis=1)).tolist()
        spreads += (after.var(axis=1) - before.var(axis=1, ddof=1)).tolist()
    for differences in (means, spreads):
        error = np.std(differences) / math.sqrt(len(differences))
        assert error < 0.01
        assert abs(np.mean(differences)) < 4 * error


def test_records_that_are_equal_have_equal_scores_wherever_they_stand() -> None:
    """Else the order of the records, reference first, would tell the sides apart."""
    rng = RNG(0)
    before, after = (_codes(*rng.integers(0, 2, (3, n)), size=2) for n in (211, 1013))
    made = discriminant.fold(features(before, after, seed=0), folds=5, seed=0)
    rule = discriminant.fit(made, made.others(0))
    distinct = np.unique(made.values[:, made.part(0)], axis=1).shape[1]
    assert len(np.unique(rule.scores(made, 0))) <= distinct == 8


# -- What is found -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [10, 50])
def test_a_correlation_that_appears_is_found_and_named_though_no_column_moved(columns: int) -> None:
    """At 2,000 current records, where p-values lie near 1e-70."""
    for seed in range(2):
        rng = RNG(seed)
        reference, current = _normal(rng, 4000, columns), _normal(rng, 2000, columns)
        current["x7"] = 0.6 * current["x2"] + 0.8 * current["x7"]
        found = tell_apart(*_samples(reference, current), seed=seed)
        assert found.p_value < 1e-30
        assert found.carriers[0].columns == ("x2", "x7")
        assert found.carriers[0].share > 0.5
        bins = _bins(reference)
        alone = compare(*(
            Profile({name: profile_array(values, bins[name]) for name, values in table.items()}, rows=rows)
            for table, rows in ((reference, 4000), (current, 2000))
        ))
        assert not alone.drifted()


def test_a_level_that_goes_with_a_number_is_found_and_named() -> None:
    rng = RNG(0)
    reference, current = (_table(rng, n, ["normal", "few levels", "lognormal", "inflated"]) for n in (3000, 1500))
    common = current["x1"] == "level 0"
    current["x2"][common] = rng.permutation(np.sort(current["x2"])[: common.sum()])
    rest = np.setdiff1d(np.arange(1500), np.flatnonzero(common))
    current["x2"][rest] = rng.permutation(np.sort(rng.lognormal(size=1500))[common.sum() :])
    found = tell_apart(*_samples(reference, current))
    assert found.p_value < 1e-6
    assert found.carriers[0].columns == ("x1", "x2")


def test_values_that_are_now_missing_together_are_found_and_named() -> None:
    rng = RNG(0)
    reference, current = (_table(rng, n, ["missing"] * 5) for n in (3000, 1500))
    current["x3"] = np.where(np.isnan(current["x1"]), math.nan, current["x0"])
    found = tell_apart(*_samples(reference, current))
    assert found.p_value < 1e-6
    assert found.carriers[0].columns in {("x1", "x3"), ("x0", "x3")}


def test_a_small_move_against_a_closely_related_column_is_found_and_both_are_named() -> None:
    """0.1 standard deviations of each, half a standard deviation of their difference."""
    rng = RNG(0)
    reference, current = _normal(rng, 3000, 8), _normal(rng, 1500, 8)
    for table, moved in ((reference, 0.0), (current, 0.1)):
        table["x5"] = table["x4"] + 0.2 * table["x5"] + moved
    found = tell_apart(*_samples(reference, current))
    assert found.p_value < 1e-6
    assert {carrier.columns for carrier in found.carriers[:2]} == {("x4",), ("x5",)}


@pytest.mark.parametrize("change", ["mean", "spread", "missing", "level"])
def test_a_column_that_moves_by_itself_is_found_and_named(change: str) -> None:
    rng = RNG(0)
    reference, current = (_table(rng, n, ["normal", "normal", "few levels"]) for n in (2000, 1000))
    if change == "mean":
        current["x0"] += 0.3
    elif change == "spread":
        current["x0"] *= 1.5
    elif change == "missing":
        current["x0"][:200] = math.nan
    else:
        current["x2"][:200] = "new"
    found = tell_apart(*_samples(reference, current))
    assert found.p_value < 0.001
    assert found.carriers[0].columns == (("x2",) if change == "level" else ("x0",))


def test_carriers_are_ranked_by_what_they_carry_as_reports_show_it() -> None:
    """Without one of two closely related columns the AUC falls far, though the two carry little each."""
    rng = RNG(0)
    reference, current = _normal(rng, 3000, 8), _normal(rng, 1500, 8)
    for table, moved in ((reference, 0.0), (current, 0.1)):
        table["x5"] = table["x4"] + 0.2 * table["x5"] + moved
    current["x1"] += 0.4
    found = tell_apart(*_samples(reference, current)).carriers
    shares = [one.share for one in found]
    assert found[0].columns == ("x1",)
    assert shares == sorted(shares, reverse=True)
    assert found[0].drop < max(one.drop for one in found)


def test_many_weak_correlations_are_found_where_no_pair_is_clear() -> None:
    """A common factor of 4 % of the variance: t of a pair is about 1.3, there are 300."""
    rng = RNG(0)
    reference, current = _normal(rng, 3000, 25), _normal(rng, 1500, 25)
    factor = rng.normal(size=1500)
    current = {name: math.sqrt(0.04) * factor + math.sqrt(0.96) * values for name, values in current.items()}
    assert tell_apart(*_samples(reference, current)).p_value < 1e-6


def test_samples_that_do_not_overlap_are_told_apart_always() -> None:
    found = tell_apart(_codes(np.zeros(100, dtype=int), np.arange(100) % 7), _codes(np.full(60, 9), np.arange(60) % 7))
    assert (found.auc, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.p_value < 1e-9
    assert found.carriers[0].columns == ("x0",)


def test_the_interval_covers_the_mean_auc_as_often_as_it_says() -> None:
    """100 repetitions with seeds 0 to 99; the interval is meant to be too wide rather than too narrow."""
    found = []
    for seed in range(100):
        rng = RNG(seed)
        reference, current = _normal(rng, 150, 3), _normal(rng, 120, 3)
        current["x0"] += 0.7
        found.append(tell_apart(*_samples(reference, current), seed=seed))
    mean = np.mean([one.auc for one in found])
    assert mean > 0.6
    assert sum(one.low <= mean <= one.high for one in found) >= stats.binom.ppf(0.001, 100, 0.95)


# -- Boundaries of tell_apart ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(0, 0), (29, 1000), (1000, 29), (0, 50)])
def test_too_few_records_are_not_tested(n: int, m: int) -> None:
    rng = RNG(0)
    before, after = (_codes(*rng.integers(0, 10, (2, rows))) for rows in (n, m))
    for found in (tell_apart(before, after), reconstruct(before, after)):
        assert math.isnan(found.p_value)
        assert (found.reference_rows, found.current_rows) == (n, m)
        assert "too few records" in found.note
    weights = density_ratio(before, after)
    assert len(weights.values) == n
    assert np.isnan(weights.values).all()
    assert math.isnan(weights.effective)


def test_thirty_records_are_tested() -> None:
    rng = RNG(0)
    before, after = (_codes(*rng.integers(0, 10, (2, 30))) for _ in range(2))
    for folds in (2, 5, 10):
        found = tell_apart(before, after, folds=folds)
        assert 0 <= found.low <= found.auc <= found.high <= 1
        assert 0 < found.p_value < 1


@pytest.mark.parametrize("column", [np.full(50, 3), np.full(50, -1)])
def test_columns_that_never_vary_say_nothing(column: np.ndarray[Any, Any]) -> None:
    found = tell_apart(_codes(column), _codes(column))
    assert found == Separation(0.5, 0.5, 0.5, 1.0, 50, 50, note="no column varies")
    weights = density_ratio(_codes(column), _codes(column))
    assert (weights.values.tolist(), weights.effective, weights.outside) == ([1.0] * 50, 50.0, 0.0)


def test_no_columns_say_nothing() -> None:
    empty = Sample((), (), (), np.zeros((50, 0), dtype=int))
    assert tell_apart(empty, empty).p_value == 1.0
    assert math.isnan(reconstruct(empty, empty).p_value)


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_a_column_that_is_all_missing_on_one_side_is_found(kind: Any) -> None:
    rng = RNG(0)
    known, missing = rng.integers(0, 5, (80, 1)), np.full((80, 1), -1)
    before, after = (Sample(("x",), (kind,), (5,), codes) for codes in (known, missing))
    for pair in ((before, after), (after, before)):
        assert tell_apart(*pair).auc == 1.0


def test_a_key_that_is_never_seen_twice_says_nothing() -> None:
    before, after = (
        Sample(("id",), ("categorical",), (500,), codes[:, None]) for codes in (np.arange(500), np.full(300, 500))
    )
    assert tell_apart(before, after).note == "no column varies"


def test_wide_tables_say_that_not_all_pairs_were_looked_at() -> None:
    rng = RNG(0)
    before, after = (_codes(*rng.integers(0, 10, (discriminant.MOST_PAIRED + 1, 60))) for _ in range(2))
    found = tell_apart(before, after, folds=2)
    assert "first 300 features" in found.note
    assert 0 < found.p_value < 1


def test_large_samples_are_thinned() -> None:
    rng = RNG(0)
    before, after = (_codes(*rng.integers(0, 10, (2, n))) for n in (900, 500))
    assert tell_apart(before, after, most=400).reference_rows == 400
    assert reconstruct(before, after, most=400).current_rows == 400


@pytest.mark.parametrize("function", [tell_apart, density_ratio, reconstruct])
def test_samples_by_other_bins_are_refused(function: Callable[..., Any]) -> None:
    sample = _codes(np.arange(50) % 5)
    with pytest.raises(ValueError, match="same columns by the same bins"):
        function(sample, _codes(np.arange(50) % 5, size=11))


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (tell_apart, {"folds": 1}), (tell_apart, {"folds": 11}), (tell_apart, {"most": 29}),
        (tell_apart, {"confidence": 0.0}), (tell_apart, {"confidence": 1.0}),
        (density_ratio, {"folds": 1}), (density_ratio, {"largest": 1.0}), (density_ratio, {"largest": math.nan}),
        (reconstruct, {"most": 29}), (reconstruct, {"explained": 0.0}), (reconstruct, {"explained": 1.0}),
    ],
)
def test_settings_out_of_range_are_refused(function: Callable[..., Any], settings: dict[str, Any]) -> None:
    sample = _codes(np.arange(50) % 5)
    with pytest.raises(ValueError, match="must be"):
        function(sample, sample, **settings)


@pytest.mark.parametrize("function", [tell_apart, density_ratio, reconstruct])
def test_the_same_seed_gives_the_same_answer_and_inputs_are_left_alone(function: Callable[..., Any]) -> None:
    rng = RNG(0)
    reference, current = _table(rng, 90, list(COLUMNS)), _table(rng, 70, list(COLUMNS))
    current["x0"] += 0.7
    before, after = _samples(reference, current)
    kept = before.codes.copy(), after.codes.copy()
    first, again, other = function(before, after, seed=4), function(before, after, seed=4), function(before, after)
    assert str(first) == str(again) != str(other)
    assert (before.codes == kept[0]).all()
    assert (after.codes == kept[1]).all()


# -- The discriminant --------------------------------------------------------------------------------------------------


def test_ranks_are_compared_as_scipy_and_scikit_learn_do_ties_and_all() -> None:
    rng = RNG(0)
    scores, group = np.round(rng.normal(size=300), 1), rng.random(300) < 0.3
    scores[group] += 0.2
    exact = stats.mannwhitneyu(scores[group], scores[~group], alternative="greater", use_continuity=False)
    z = discriminant.beyond_chance(scores, group)
    assert stats.norm.sf(z) == pytest.approx(stats.mannwhitneyu(
        scores[group], scores[~group], alternative="greater", use_continuity=False, method="asymptotic").pvalue)
    above, below = discriminant.placements(scores, group)
    assert above.mean() == pytest.approx(roc_auc_score(group, scores))
    assert above.mean() * group.sum() * (~group).sum() == pytest.approx(exact.statistic)
    assert below.mean() == pytest.approx(above.mean())


def test_the_variance_of_the_auc_is_that_of_repeated_samples() -> None:
    """2,000 repetitions with seed 0: the standard deviation of a variance is then about 3 % of it."""
    rng = RNG(0)
    group = np.arange(80) < 50
    areas, variances = [], []
    for _ in range(2000):
        above, below = discriminant.placements(rng.normal(size=80) + group, group)
        areas.append(above.mean())
        variances.append(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.12)


def test_folds_have_their_share_of_both_groups() -> None:
    group = np.arange(103) < 31
    number = discriminant.fold_numbers(group, 5, seed=0)
    for side in (group, ~group):
        counts = np.bincount(number[side], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_a_fit_does_not_look_at_folds_that_it_is_not_given() -> None:
    rng = RNG(0)
    before, after = (_codes(*rng.integers(0, 10, (4, n))) for n in (200, 150))
    made = features(before, after, seed=0)
    whole = discriminant.fold(made, folds=4, seed=0)
    changed = made.values.copy()
    changed[:, whole.order[whole.part(3)]] = rng.normal(size=(len(changed), len(whole.order[whole.part(3)])))
    other = discriminant.fold(type(made)(changed, made.owners, made.curved, made.current), folds=4, seed=0)
    one, two = discriminant.fit(whole, [0, 1, 2]), discriminant.fit(other, [0, 1, 2])
    assert (one.terms == two.terms).all()
    np.testing.assert_array_equal(one.weights, two.weights)


# -- Density ratio -----------------------------------------------------------------------------------------------------


def test_weighted_records_have_the_means_of_the_target() -> None:
    """A shift by 0.5 in two of six columns: the true ratio is exp(x0/2 + x1/2 − 1/4), and n/ESS is exp(0.5).

    Means of 2,500 weighted records are uncertain by about 0.03; 0.1 is three times that.
    """
    for seed in range(5):
        rng = RNG(seed)
        source, target = _normal(rng, 2500, 6), _normal(rng, 2500, 6)
        for name in ("x0", "x1"):
            target[name] += 0.5
        weights = density_ratio(*_samples(source, target), seed=seed)
        assert weights.values.mean() == pytest.approx(1)
        for name, values in source.items():
            assert abs(np.average(values, weights=weights.values) - target[name].mean()) < 0.1
        true = (source["x0"] + source["x1"]) / 2
        assert np.corrcoef(np.log(weights.values), true)[0, 1] > 0.95
        assert weights.effective / 2500 == pytest.approx(math.exp(-0.5), abs=0.1)


def test_weighted_records_have_the_correlation_of_the_target() -> None:
    rng = RNG(0)
    source, target = _normal(rng, 3000, 6), _normal(rng, 3000, 6)
    target["x1"] = 0.4 * target["x0"] + math.sqrt(1 - 0.16) * target["x1"]
    weights = density_ratio(*_samples(source, target))
    product = source["x0"] * source["x1"]
    assert abs(product.mean()) < 0.1
    assert np.average(product, weights=weights.values) == pytest.approx(0.4, abs=0.1)


@pytest.mark.parametrize("n", [60, 2000])
def test_without_a_shift_all_records_weigh_about_the_same(n: int) -> None:
    for seed in range(5):
        rng = RNG(seed)
        weights = density_ratio(*_samples(_table(rng, n, list(COLUMNS)), _table(rng, n, list(COLUMNS))), seed=seed)
        assert weights.effective > 0.9 * n
        assert weights.outside == 0


def test_target_records_beyond_the_source_are_told_as_a_share() -> None:
    rng = RNG(0)
    source, target = _normal(rng, 1000, 3), _normal(rng, 1000, 3)
    target["x0"][:250] += 20
    weights = density_ratio(*_samples(source, target))
    assert weights.outside == pytest.approx(0.25, abs=0.02)


def test_records_with_a_level_that_the_source_never_had_are_told_as_a_share() -> None:
    rng = RNG(0)
    source, target = (_normal(rng, 1000, 1) | {"x1": _zipf(rng, 1000, 5)} for _ in range(2))
    target["x1"][rng.random(1000) < 0.3] = "new"
    assert density_ratio(*_samples(source, target)).outside == pytest.approx(0.3, abs=0.05)


def test_no_ratio_is_larger_than_is_allowed() -> None:
    rng = RNG(0)
    source, target = _normal(rng, 800, 2), _normal(rng, 800, 2)
    target["x0"] += 2
    few, many = (density_ratio(*_samples(source, target), largest=largest) for largest in (2.0, 50.0))
    assert few.values.max() / few.values.min() <= 4 + 1e-9 < many.values.max() / many.values.min()
    assert few.effective > many.effective


# -- Reconstruction ----------------------------------------------------------------------------------------------------


def _related(rng: np.random.Generator, n: int, columns: int, noise: float = 0.5) -> Table:
    common = rng.normal(size=(2, n))
    loads = np.cos(np.arange(columns)), np.sin(np.arange(columns))
    return {
        f"x{index}": loads[0][index] * common[0] + loads[1][index] * common[1] + noise * rng.normal(size=n)
        for index in range(columns)
    }


def test_a_relation_that_broke_raises_the_error() -> None:
    rng = RNG(0)
    reference, current = _related(rng, 1000, 8), _related(rng, 500, 8)
    current["x3"] = rng.permutation(current["x3"])
    found = reconstruct(*_samples(reference, current))
    assert found.p_value < 1e-6
    assert found.current_error > found.reference_error
    assert found.effect > 0.3
    assert 1 <= found.components < 8


def test_a_relation_that_became_closer_lowers_the_error() -> None:
    rng = RNG(0)
    reference, current = _related(rng, 1000, 8), _related(rng, 500, 8, noise=0.35)
    found = reconstruct(*_samples(reference, current))
    assert found.p_value < 0.001
    assert found.effect < 0


def test_the_reference_error_is_not_that_of_records_that_were_fitted_on() -> None:
    """Twenty unrelated columns fitted on 20 records: those would be rebuilt without error."""
    rng = RNG(0)
    reference, current = _normal(rng, 40, 20), _normal(rng, 2000, 20)
    found = reconstruct(*_samples(reference, current), explained=0.99)
    assert found.reference_error == pytest.approx(found.current_error, rel=0.25)
    assert found.reference_error > 1


def test_one_column_has_no_pattern_to_break() -> None:
    found = reconstruct(_codes(np.arange(50) % 5), _codes(np.arange(50) % 5))
    assert math.isnan(found.p_value)
    assert (found.components, found.note) == (0, "fewer than two features vary")


def test_records_that_are_all_rebuilt_alike_have_no_effect_to_speak_of() -> None:
    before = _codes(np.arange(60) % 2, np.arange(60) % 2, size=2)
    found = reconstruct(before, before)
    assert math.isnan(found.effect)
    assert found.p_value == 1.0

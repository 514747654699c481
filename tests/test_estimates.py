"""Estimates without outcomes: expected values by one definition, ranges that hold what comes, assumptions told."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from trimtab.measure.models.intervals import Interval, Measure
from trimtab.measure.models.metrics import Outputs, evaluate
from trimtab.measure.unlabelled import confidence_estimates
from trimtab.measure.unlabelled.confidence_estimates import confidence_based
from trimtab.measure.unlabelled.estimates import Estimate, compare_with_realised, overlap, preferred
from trimtab.measure.unlabelled.loss_estimates import direct_loss, error_sizes
from trimtab.measure.unlabelled.reweighted_estimates import reweighted

RNG = np.random.default_rng
ALL = ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss", "brier")
SHIFT = 0.7
Array = np.ndarray[Any, Any]


def classified(n: int, rng: np.random.Generator, *, shift: float = 0.0, misfit: bool = False) -> tuple[Array, Outputs]:
    """A logistic world; the champion knows it, or has its coefficients wrong and is over-confident."""
    x = rng.normal(size=(n, 3))
    x[:, 0] += shift
    odds = 1.2 * x[:, 0] + 0.8 * x[:, 1] - 1
    said = 1.5 * (0.9 * x[:, 0] + 0.9 * x[:, 1] + 0.2 * x[:, 2] - 0.8) if misfit else odds
    scores = np.column_stack([1 - expit(said), expit(said)])
    came = (rng.random(n) < expit(odds)).astype(int)
    return x, Outputs(("no", "yes"), came, scores.argmax(axis=1), scores, positive=1)


def measured(n: int, rng: np.random.Generator, *, shift: float = 0.0) -> tuple[Array, Outputs]:
    """A regression whose errors grow with the first feature."""
    x = rng.normal(size=(n, 4))
    x[:, 0] += shift
    mean = 2 * x[:, 0] + x[:, 1]
    return x, Outputs((), mean + np.exp(0.3 * x[:, 0]) * rng.normal(size=n), mean)


def density_ratio(x: Array) -> Array:
    """Of normal inputs moved by SHIFT to those not moved."""
    return np.exp(SHIFT * x[:, 0] - SHIFT**2 / 2)


X, HOLDOUT = classified(1000, RNG(1))
_, CURRENT = classified(800, RNG(2), shift=SHIFT)
ACCURACY = Measure("accuracy")


def test_the_expected_value_is_the_metric_weighted_by_probabilities() -> None:
    found = confidence_based(HOLDOUT, CURRENT, ["accuracy", "log_loss"])
    honest = CURRENT.scores
    assert honest is not None
    # Scores are honest here, so calibration moves values by no more than the noise of 1000 records.
    assert found[ACCURACY].value == pytest.approx(honest.max(axis=1).mean(), abs=0.02)
    assert found[Measure("log_loss")].value == pytest.approx(-(honest * np.log(honest)).sum(axis=1).mean(), abs=0.03)
    assert found[ACCURACY].baseline == evaluate("accuracy", HOLDOUT)


def test_outcomes_of_the_current_records_are_never_read() -> None:
    blind = Outputs(CURRENT.labels, CURRENT.predicted, CURRENT.predicted, CURRENT.scores, 1)
    names = ["accuracy", "recall"]
    assert confidence_based(HOLDOUT, blind, names) == confidence_based(HOLDOUT, CURRENT, names)


def test_inputs_are_left_alone_and_the_same_seed_gives_the_same_estimates() -> None:
    weights = density_ratio(X)
    kept = weights.copy(), HOLDOUT.actual.copy()
    first, again = (confidence_based(HOLDOUT, CURRENT, ALL, weights=weights, seed=3) for _ in range(2))
    assert first == again
    other = confidence_based(HOLDOUT, CURRENT, ALL, weights=weights, seed=4)
    assert (other[ACCURACY].value, other[ACCURACY].low) != (first[ACCURACY].value, first[ACCURACY].low)
    assert other[ACCURACY].value == first[ACCURACY].value
    np.testing.assert_array_equal(weights, kept[0])
    np.testing.assert_array_equal(HOLDOUT.actual, kept[1])


def test_values_per_class_are_estimated_by_label() -> None:
    found = confidence_based(HOLDOUT, CURRENT, [], per_class=["recall"])
    assert list(found) == [Measure("recall", "no"), Measure("recall", "yes")]
    whole = confidence_based(HOLDOUT, CURRENT, ["recall"])
    assert found[Measure("recall", "yes")] == whole[Measure("recall")]


def _coverage(misfit: bool, n: int, m: int, repetitions: int) -> dict[str, float]:
    """Share of realised values, over metrics and simulated windows, that lie in the ranges of each method."""
    held: dict[str, list[bool]] = {"plain": [], "ratio": [], "reweighted": []}
    for seed in range(repetitions):
        rng = RNG([17, n, m, seed])
        x, holdout = classified(n, rng, misfit=misfit)
        _, current = classified(m, rng, shift=SHIFT, misfit=misfit)
        weights = density_ratio(x)
        found = {
            "plain": confidence_based(holdout, current, ALL, replicates=80),
            "ratio": confidence_based(holdout, current, ALL, weights=weights, replicates=80),
            "reweighted": reweighted(holdout, weights, ALL, records=m, replicates=80),
        }
        for method, estimates in found.items():
            held[method] += [one.low <= evaluate(k.metric, current) <= one.high for k, one in estimates.items()]
    return {method: float(np.mean(inside)) for method, inside in held.items()}


@pytest.mark.parametrize(("misfit", "n", "m"), [(False, 500, 200), (True, 500, 500)])
def test_ranges_hold_what_is_realised_under_covariate_shift(misfit: bool, n: int, m: int) -> None:
    covered = _coverage(misfit, n, m, repetitions=30)
    # Eight metrics of one window go together like about two: 95 % are known to sqrt(0.95 * 0.05 / 60) = 2.8 %.
    assert covered["ratio"] > 0.95 - 2 * 0.028
    assert covered["reweighted"] > 0.95 - 2 * 0.028
    if not misfit:
        assert covered["plain"] > 0.95 - 2 * 0.028


def test_estimates_come_nearer_to_what_is_realised_than_assuming_no_change() -> None:
    errors = np.zeros((15, 3))
    for seed in range(15):
        rng = RNG([18, seed])
        x, holdout = classified(1000, rng, misfit=True)
        _, current = classified(1000, rng, shift=SHIFT, misfit=True)
        realised = evaluate("recall", current)
        found = confidence_based(holdout, current, ["recall"], weights=density_ratio(x))[Measure("recall")]
        weighted = reweighted(holdout, density_ratio(x), ["recall"], records=1000)[Measure("recall")]
        errors[seed] = [abs(value - realised) for value in (found.value, weighted.value, found.baseline)]
    by_confidence, by_weights, unchanged = errors.mean(axis=0)
    assert by_confidence < by_weights < unchanged


def test_three_classes_are_estimated_too() -> None:
    rng = RNG(5)
    odds = rng.normal(size=(1500, 3))
    p = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    came = np.minimum((p.cumsum(axis=1) < rng.random((1500, 1))).sum(axis=1), 2)
    outputs = Outputs(("a", "b", "c"), came, p.argmax(axis=1), p)
    current = outputs.take(np.arange(1000, 1500))
    found = confidence_based(outputs.take(np.arange(1000)), current, ["accuracy", "f1", "roc_auc", "log_loss", "brier"])
    for measure, one in found.items():
        assert one.low < evaluate(measure.metric, current) < one.high


def test_records_gathered_into_neighbours_give_the_ranges_of_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends of a range from 1,000 draws are known to a twelfth of its half-width; two of them differ by twice that."""
    _, many = classified(6_000, RNG(5), shift=SHIFT)
    together = confidence_based(HOLDOUT, many, ALL, replicates=1_000)
    monkeypatch.setattr(confidence_estimates, "_GROUPS", len(many))
    alone = confidence_based(HOLDOUT, many, ALL, replicates=1_000)
    for measure, one in alone.items():
        other, half = together[measure], (one.high - one.low) / 2
        assert other.value == one.value, measure
        assert max(abs(other.low - one.low), abs(other.high - one.high)) < half / 5, measure


def test_more_confidence_and_fewer_records_make_a_range_wider() -> None:
    def width(**kwargs: Any) -> float:
        one = confidence_based(HOLDOUT, kwargs.pop("current", CURRENT), ["accuracy"], **kwargs)[ACCURACY]
        return one.high - one.low

    assert width(confidence=0.8) < width() < width(confidence=0.98)
    assert width(current=CURRENT.take(np.arange(100))) > 1.5 * width()


def test_too_few_records_give_nan_and_say_so() -> None:
    few = np.arange(29)
    found = [
        confidence_based(HOLDOUT.take(few), CURRENT, ["accuracy"])[ACCURACY],
        confidence_based(HOLDOUT, CURRENT.take(few), ["accuracy"])[ACCURACY],
        confidence_based(HOLDOUT, CURRENT.take(few[:0]), ["accuracy"])[ACCURACY],
        reweighted(HOLDOUT, np.ones(1000), ["accuracy"], records=12)[ACCURACY],
        reweighted(HOLDOUT, np.arange(1000) < 10, ["accuracy"], records=100)[ACCURACY],
        reweighted(HOLDOUT, np.zeros(1000), ["accuracy"], records=100)[ACCURACY],
    ]
    assert all(math.isnan(one.value) and "30 are needed" in one.reason for one in found)
    x, numbers = measured(29, RNG(1))
    mae = direct_loss(x, numbers, x, numbers.predicted)[Measure("mae")]
    assert math.isnan(mae.value)
    assert mae.baseline == evaluate("mae", numbers)


def test_a_metric_that_is_undefined_says_so() -> None:
    never = replace(CURRENT, predicted=np.zeros(800, dtype=int))
    found = confidence_based(HOLDOUT, never, ["precision", "recall"])
    assert math.isnan(found[Measure("precision")].value)
    assert "undefined" in found[Measure("precision")].reason
    assert found[Measure("recall")].value == 0.0
    rare = np.tile([[0.999, 0.001]], (200, 1))
    seldom = Outputs(("no", "yes"), np.zeros(200, dtype=int), np.zeros(200, dtype=int), rare, positive=1)
    recall = confidence_based(seldom, seldom, ["recall"])[Measure("recall")]
    assert recall.value == 0.0
    assert math.isnan(recall.low)
    assert "of the outcomes that may come" in recall.reason


def test_what_cannot_be_estimated_is_refused_with_a_sentence() -> None:
    mute = Outputs(CURRENT.labels, CURRENT.actual, CURRENT.predicted, None, 1)
    other = Outputs(("a", "b"), CURRENT.actual, CURRENT.predicted, CURRENT.scores, 1)
    x, numbers = measured(100, RNG(1))
    with pytest.raises(ValueError, match="the model gives no probabilities"):
        confidence_based(HOLDOUT, mute, ["accuracy"])
    with pytest.raises(ValueError, match="differ in their labels"):
        confidence_based(HOLDOUT, other, ["accuracy"])
    with pytest.raises(ValueError, match="numbers have no probabilities"):
        confidence_based(numbers, numbers, ["mae"])
    with pytest.raises(ValueError, match="calibration_error cannot be estimated"):
        confidence_based(HOLDOUT, CURRENT, ["calibration_error"])
    with pytest.raises(ValueError, match="must sum to 1"):
        confidence_based(HOLDOUT, replace(CURRENT, scores=np.full((800, 2), 0.4)), ["accuracy"])
    with pytest.raises(ValueError, match="unknown metric"):
        confidence_based(HOLDOUT, CURRENT, ["speed"])
    with pytest.raises(ValueError, match="confidence must be between"):
        confidence_based(HOLDOUT, CURRENT, ["accuracy"], confidence=1.0)
    with pytest.raises(ValueError, match="needs at least 39 replicates"):
        reweighted(HOLDOUT, np.ones(1000), ["accuracy"], records=100, replicates=20)
    with pytest.raises(ValueError, match="weights must be 1000 finite numbers"):
        reweighted(HOLDOUT, np.ones(3), ["accuracy"], records=100)
    with pytest.raises(ValueError, match="classes have no error size"):
        direct_loss(X, HOLDOUT, X, np.zeros(1000))
    with pytest.raises(ValueError, match="r2 cannot be estimated from losses"):
        direct_loss(x, numbers, x, numbers.predicted, ["r2"])
    with pytest.raises(ValueError, match="same columns"):
        direct_loss(x, numbers, x[:, :2], numbers.predicted)
    with pytest.raises(ValueError, match="finite numbers, or nan"):
        direct_loss(np.full((100, 4), np.inf), numbers, x, numbers.predicted)
    with pytest.raises(ValueError, match="100 finite numbers"):
        direct_loss(x, numbers, x, numbers.predicted[:5])


def test_every_estimate_says_that_concept_drift_cannot_be_seen() -> None:
    x, numbers = measured(200, RNG(1))
    for one in (
        confidence_based(HOLDOUT, CURRENT, ["accuracy"])[ACCURACY],
        reweighted(HOLDOUT, density_ratio(X), ["accuracy"], records=800)[ACCURACY],
        direct_loss(x, numbers, x, numbers.predicted, ["mae"])[Measure("mae")],
    ):
        (concept,) = [each for each in one.assumptions if each.name == "no concept drift"]
        assert concept.holds is None
        assert "cannot be checked without outcomes" in concept.evidence


def test_broken_assumptions_are_named() -> None:
    heavy = np.where(np.arange(1000) < 40, 1.0, 1e-9)
    found = reweighted(HOLDOUT, heavy, ["accuracy"], records=800)[ACCURACY]
    assert [one.name for one in found.doubtful] == ["overlap"]
    far = replace(CURRENT, scores=np.tile([[1e-9, 1 - 1e-9]], (800, 1)))
    assert [one.name for one in confidence_based(HOLDOUT, far, ["accuracy"])[ACCURACY].doubtful] == ["overlap"]
    small = HOLDOUT.take(np.arange(60))
    assert "enough records" in [one.name for one in confidence_based(small, CURRENT, ["accuracy"])[ACCURACY].doubtful]
    x, numbers = measured(300, RNG(1))
    moved = direct_loss(x, numbers, x + 9, numbers.predicted, ["mae"])[Measure("mae")]
    assert "overlap" in [one.name for one in moved.doubtful]


@pytest.mark.parametrize(
    ("outside", "effective", "holds"),
    [(0.3, 500.0, True), (0.34, 500.0, False), (0.0, 320.0, False), (None, 500.0, None), (0.0, 99.0, False)],
)
def test_overlap_fails_where_more_than_a_third_is_missing_on_either_side(
    outside: float | None, effective: float, holds: bool | None
) -> None:
    assert overlap(outside, effective, 1000 if effective > 100 else 120).holds is holds


def test_probabilities_that_no_calibration_mends_are_told() -> None:
    _, first = classified(1000, RNG(6))
    # The sign of the score's meaning flips half-way, in a wave that is finer than any curve here.
    assert first.scores is not None
    odd = (np.floor(40 * first.scores[:, 1]) % 2).astype(int)
    holdout = Outputs(first.labels, odd, first.predicted, first.scores, 1)
    (calibrated, *_) = confidence_based(holdout, CURRENT, ["accuracy"])[ACCURACY].assumptions
    assert calibrated.name == "calibration"
    assert "do not agree with outcomes" in calibrated.evidence


def test_weights_of_one_re_weight_to_the_holdout_itself() -> None:
    found = reweighted(HOLDOUT, np.ones(1000), ALL, records=500, per_class=["f1"])
    for measure, one in found.items():
        assert one.value == pytest.approx(one.baseline)
        assert one.low < one.value < one.high
        assert measure.label is None or measure.metric == "f1"


def test_re_weighting_serves_regression() -> None:
    rng = RNG(8)
    x, holdout = measured(1500, rng)
    _, current = measured(1500, rng, shift=SHIFT)
    found = reweighted(holdout, density_ratio(x), ["mae", "rmse", "r2"], records=1500)
    for name in ("mae", "rmse"):
        one = found[Measure(name)]
        assert one.baseline < one.low < evaluate(name, current) < one.high


def test_ranges_of_direct_loss_hold_what_is_realised() -> None:
    held, errors = [], []
    for seed in range(25):
        rng = RNG([19, seed])
        x, holdout = measured(800, rng)
        new, current = measured(500, rng, shift=SHIFT)
        found = direct_loss(x, holdout, new, current.predicted, ["mae"], weights=density_ratio(x))[Measure("mae")]
        realised = evaluate("mae", current)
        held.append(found.low <= realised <= found.high)
        errors.append((abs(found.value - realised), abs(found.baseline - realised)))
    # 25 windows know 95 % to sqrt(0.95 * 0.05 / 25) = 4.4 %.
    assert np.mean(held) > 0.95 - 2 * 0.044
    ours, unchanged = np.mean(errors, axis=0)
    assert ours < 0.6 * unchanged


def test_direct_loss_takes_missing_values_and_says_nothing_new_where_nothing_moved() -> None:
    rng = RNG(9)
    x, holdout = measured(1000, rng)
    x[rng.random(x.shape) < 0.2] = np.nan
    found = direct_loss(x, holdout, x, holdout.predicted)
    for one in found.values():
        assert one.value == pytest.approx(one.baseline, rel=0.05)
        assert one.low < one.baseline < one.high
        assert one.reason == ""


def test_a_model_without_any_error_is_expected_to_make_none() -> None:
    x, _ = measured(100, RNG(1))
    exact = Outputs((), x[:, 0], x[:, 0])
    for one in direct_loss(x, exact, x, x[:, 0]).values():
        assert (one.value, one.low, one.high) == (0.0, 0.0, 0.0)


def test_sizes_of_errors_are_learned_by_folds() -> None:
    x, holdout = measured(1000, RNG(3))
    sizes = error_sizes(x, np.abs(holdout.actual - holdout.predicted), x[:10])
    assert sizes.holdout.shape == (1000,)
    assert sizes.current.shape == (4, 10)
    assert np.corrcoef(sizes.holdout, np.exp(0.3 * x[:, 0]))[0, 1] > 0.5
    with pytest.raises(ValueError, match="too few to learn from"):
        error_sizes(x[:10], np.ones(10), x)


@pytest.mark.parametrize("known", [0, 1])
def test_columns_that_the_holdout_has_hardly_a_value_of_do_not_keep_errors_from_being_learned(known: int) -> None:
    rng = np.random.default_rng(0)
    x, ended = rng.random(400), np.full(400, np.nan)
    ended[:known] = 1.0
    sizes = error_sizes(np.column_stack([x, ended]), x, np.column_stack([x[:50], np.ones(50)]))
    assert np.corrcoef(sizes.current.mean(axis=0), x[:50])[0, 1] > 0.9


def _estimate(low: float, high: float, method: str = "confidence") -> Estimate:
    return Estimate(0.8, low, high, 0.95, method, 0.9)


@pytest.mark.parametrize(
    ("realised", "inside", "said"),
    [(0.8, True, "within"), (0.75, True, "within"), (0.7, False, "below"), (0.9, False, "above")],
)
def test_an_estimate_is_held_against_what_came(realised: float, inside: bool, said: str) -> None:
    found = compare_with_realised(_estimate(0.75, 0.85), Interval(realised, 0.0, 1.0, 0.95, 0.1))
    assert found.inside is inside
    assert said in found.sentence
    assert found.error == pytest.approx(realised - 0.8)
    assert found.better_than_unchanged is (realised < 0.85)


def test_what_is_nan_is_not_compared() -> None:
    unknown = Interval(math.nan, math.nan, math.nan, 0.95, math.nan)
    assert compare_with_realised(_estimate(0.75, 0.85), unknown).inside is None
    open_ended = compare_with_realised(_estimate(math.nan, math.nan), Interval(0.7, 0.6, 0.8, 0.95, 0.1))
    assert (open_ended.inside, open_ended.better_than_unchanged) == (None, True)


def test_the_estimate_shown_first_is_the_one_with_the_fewest_broken_assumptions() -> None:
    weak = replace(confidence_based(HOLDOUT.take(np.arange(60)), CURRENT, ["accuracy"])[ACCURACY])
    assert weak.doubtful
    sound = _estimate(0.7, 0.9, "reweighted")
    assert preferred([weak, sound]) is sound
    assert preferred([sound, _estimate(0.7, 0.9)]) == _estimate(0.7, 0.9)
    assert preferred([_estimate(math.nan, math.nan), sound]) is sound
    assert preferred([replace(sound, value=math.nan)]) is None


def _scored_high_by_mistake(n: int, rng: np.random.Generator, share: float) -> Outputs:
    """Rare positives; some records that are as rare among them have a high score all the same."""
    true = expit(1.2 * rng.normal(size=n) - 4.5)
    said = np.where(rng.random(n) < share, expit(0.6 * rng.normal(size=n) + 1.5), true)
    scores = np.column_stack([1 - said, said])
    return Outputs(("no", "yes"), (rng.random(n) < true).astype(int), (said >= 0.5).astype(int), scores, positive=1)


@pytest.mark.parametrize(("share", "doubted"), [(0.03, True), (0.0, False)])
def test_an_estimate_that_misses_its_own_holdout_is_doubted_and_no_other_one(share: float, doubted: bool) -> None:
    times, told = 30, dict.fromkeys(("accuracy", "precision", "f1", "log_loss"), 0)
    for seed in range(times):
        rng = RNG(seed)
        holdout, current = (_scored_high_by_mistake(n, rng, share) for n in (60_000, 2000))
        found = confidence_based(holdout, current, list(told))
        for name in told:
            told[name] += "on the holdout itself it expects" in str(found[Measure(name)].assumptions)
    assert told["accuracy"] < 0.2 * times, "which hangs on all records"
    assert (told["precision"] > 0.8 * times) == doubted, told
    assert doubted or sum(told.values()) == 0, told

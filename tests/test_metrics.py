"""Every metric equals scikit-learn's, with and without weights, and says nan where it is undefined.

Unless a test says otherwise, agreement is asked to 1e-9: both sides add up the same few hundred terms in float64 in
another order, which costs about 1e-13.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn import metrics as sk

from trimtab.measure.models import metrics as catalogue
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.metrics import METRICS, Outputs, applicable, evaluate, metric, per_class
from trimtab.measure.models.performance import measure_performance
from trimtab.measure.models.weights import GroupWeights

CLOSE = 1e-9
RNG = np.random.default_rng


def classified(n: int, classes: int, seed: int, *, decimals: int = 15, positive: int | None = None) -> Outputs:
    rng = RNG(seed)
    actual = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), actual] += 0.8
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if classes == 2:
        first = np.round(scores[:, 0], decimals)
        scores = np.column_stack([first, 1 - first])
    return Outputs(tuple("abcdefgh"[:classes]), actual, scores.argmax(axis=1), scores, positive)


def estimated(n: int, seed: int) -> Outputs:
    rng = RNG(seed)
    actual = rng.normal(50, 10, n)
    return Outputs((), actual, actual + rng.normal(1, 4, n))


def everyone(outputs: Outputs, weights: np.ndarray | None = None) -> dict[str, float]:
    return {name: evaluate(name, outputs, weights) for name in applicable(outputs)}


def best_precision(y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    precision, recall, _ = sk.precision_recall_curve(y, p, sample_weight=w)
    return float(precision[recall >= 0.8].max())


def expected_calibration_error(y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    w = np.ones(len(y)) if w is None else w
    bins = np.minimum((p * 10).astype(int), 9)
    inside = [bins == b for b in range(10) if w[bins == b].sum() > 0]
    gaps = [abs(np.average(p[b], weights=w[b]) - np.average(y[b], weights=w[b])) * w[b].sum() for b in inside]
    return float(sum(gaps) / w.sum())


def ranked_by_sklearn(y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> dict[str, float]:
    return {
        "precision_at_recall_80": best_precision(y, p, w),
        "roc_auc": sk.roc_auc_score(y, p, sample_weight=w),
        "pr_auc": sk.average_precision_score(y, p, sample_weight=w),
    }


def by_sklearn(outputs: Outputs, w: np.ndarray | None) -> dict[str, float]:
    y, said, p = outputs.actual, outputs.predicted, outputs.scores
    if not outputs.labels:
        return {
            "mae": sk.mean_absolute_error(y, said, sample_weight=w),
            "rmse": sk.root_mean_squared_error(y, said, sample_weight=w),
            "r2": sk.r2_score(y, said, sample_weight=w),
        }
    assert p is not None
    common = {
        "accuracy": sk.accuracy_score(y, said, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, said, sample_weight=w),
    }
    if outputs.positive is not None:
        hit, score = (y == outputs.positive).astype(int), p[:, outputs.positive]
        one = {"pos_label": outputs.positive, "sample_weight": w}
        return common | {
            "precision": sk.precision_score(y, said, **one),
            "recall": sk.recall_score(y, said, **one),
            "f1": sk.f1_score(y, said, **one),
            **ranked_by_sklearn(hit, score, w),
            "log_loss": sk.log_loss(hit, score, sample_weight=w),
            "brier": sk.brier_score_loss(hit, score, sample_weight=w),
            "calibration_error": expected_calibration_error(hit, score, w),
        }
    one_hot = np.eye(len(outputs.labels), dtype=int)[y]
    macro = {"average": "macro", "sample_weight": w}
    return common | {
        "precision": sk.precision_score(y, said, **macro),
        "recall": sk.recall_score(y, said, **macro),
        "f1": sk.f1_score(y, said, **macro),
        "roc_auc": sk.roc_auc_score(y, p, multi_class="ovr", **macro),
        "pr_auc": sk.average_precision_score(one_hot, p, **macro),
        "log_loss": sk.log_loss(y, p, sample_weight=w),
        "brier": sk.brier_score_loss(y, p, sample_weight=w),
        "calibration_error": expected_calibration_error((p.argmax(axis=1) == y).astype(int), p.max(axis=1), w),
    }


MAKERS: dict[str, Callable[[int, int], Outputs]] = {
    "binary": lambda n, seed: classified(n, 2, seed, positive=1),
    "binary, first class positive": lambda n, seed: classified(n, 2, seed, positive=0),
    "binary with many ties": lambda n, seed: classified(n, 2, seed, positive=1, decimals=1),
    "multiclass": lambda n, seed: classified(n, 4, seed),
    "regression": estimated,
}
WEIGHTS: dict[str, Callable[[int], np.ndarray | None]] = {
    "no weights": lambda n: None,
    "real weights": lambda n: RNG(7).gamma(1.0, 2.0, n),
    "resample counts": lambda n: RNG(8).poisson(1.0, n).astype(np.uint8),
    "large whole weights": lambda n: RNG(9).integers(0, 10**6, n),
}


@pytest.mark.parametrize("weighting", WEIGHTS)
@pytest.mark.parametrize("task", MAKERS)
def test_every_metric_equals_scikit_learn(task: str, weighting: str) -> None:
    outputs = MAKERS[task](400, 3)
    weights = WEIGHTS[weighting](400)
    expected = by_sklearn(outputs, weights)
    assert set(expected) == set(applicable(outputs))  # none is left out
    for name, value in everyone(outputs, weights).items():
        assert value == pytest.approx(expected[name], abs=CLOSE), name


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_binary_ranking_equals_scikit_learn_on_small_tied_samples(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 25))
    actual = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    levels = np.array(data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))) / 6
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    outputs = Outputs(("no", "yes"), actual, (levels > 0.5).astype(int), np.column_stack([1 - levels, levels]), 1)
    names = ("precision_at_recall_80", "roc_auc", "pr_auc")
    values = {name: evaluate(name, outputs, weights) for name in names}
    if len(np.unique(actual[weights > 0])) < 2:
        assert np.isnan(list(values.values())).all()
        return
    assert values == pytest.approx(ranked_by_sklearn(actual, levels, weights), abs=CLOSE)


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20),
)
def test_per_class_values_equal_scikit_learn_with_nan_for_zero_division(cells: list[tuple[int, int, int]]) -> None:
    actual, predicted, weights = np.array(cells).T
    outputs = Outputs(tuple("abcd"), actual, predicted)
    if not weights.sum():
        assert np.isnan([per_class(name, outputs, weights) for name in ("accuracy", "precision", "recall", "f1")]).all()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            actual, predicted, labels=range(4), sample_weight=weights, zero_division=np.nan
        )
    assert_allclose(per_class("precision", outputs, weights), precision, atol=CLOSE)
    assert_allclose(per_class("recall", outputs, weights), recall, atol=CLOSE)
    assert_allclose(per_class("f1", outputs, weights), f1, atol=CLOSE)
    for code, value in enumerate(per_class("accuracy", outputs, weights)):
        one = sk.accuracy_score(actual == code, predicted == code, sample_weight=weights)
        assert value == pytest.approx(one, abs=CLOSE)


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20),
)
def test_macro_averages_run_over_the_classes_that_occur(cells: list[tuple[int, int]]) -> None:
    actual, predicted = np.array(cells).T
    outputs = Outputs(tuple("abcd"), actual, predicted)
    occurring = {"labels": np.unique(actual), "average": "macro", "zero_division": 0}
    for name, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        assert evaluate(name, outputs) == pytest.approx(score(actual, predicted, **occurring), abs=CLOSE), name
    assert evaluate("balanced_accuracy", outputs) == pytest.approx(evaluate("recall", outputs), abs=CLOSE)


@pytest.mark.parametrize("task", MAKERS)
@pytest.mark.parametrize("seed", range(5))
def test_whole_weights_equal_repeated_records(task: str, seed: int) -> None:
    outputs = MAKERS[task](60, seed)
    counts = RNG(seed).integers(0, 4, 60)
    repeated = outputs.take(np.repeat(np.arange(60), counts))
    plain = everyone(repeated)
    for name, value in everyone(outputs, counts).items():
        assert value == pytest.approx(plain[name], abs=CLOSE, nan_ok=True), name


@pytest.mark.parametrize("task", MAKERS)
def test_a_block_of_replicates_equals_one_at_a_time_and_the_order_of_records_is_irrelevant(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = MAKERS[task](50, 1)
    weights = RNG(2).poisson(1.0, (9, 50)).astype(np.uint8)
    shuffle = RNG(3).permutation(50)
    monkeypatch.setattr(catalogue, "_ELEMENTS_AT_ONCE", 100)  # two replicates at once
    for name in applicable(outputs):
        block = metric(name).bind(outputs)(weights)
        assert block.shape == (9,)
        assert_allclose(block, [evaluate(name, outputs, one) for one in weights], atol=CLOSE, err_msg=name)
        again = metric(name).bind(outputs.take(shuffle))(weights[:, shuffle])
        assert_allclose(block, again, atol=CLOSE, err_msg=name)
        assert (block >= METRICS[name].low - CLOSE).all(), name
        assert (block <= METRICS[name].high + CLOSE).all(), name


@pytest.mark.parametrize("task", MAKERS)
def test_weights_of_groups_give_what_weights_of_their_records_give(task: str) -> None:
    rng = RNG(12)
    outputs = MAKERS[task](400, 3)
    counts = np.vstack([np.eye(20, dtype=np.uint8), rng.poisson(1.0, (30, 20)).astype(np.uint8), np.zeros((1, 20))])
    together = GroupWeights(counts, rng.integers(0, 20, 400))
    for name in applicable(outputs):
        bound = metric(name).bind(outputs)
        assert_allclose(bound(together), bound(np.asarray(together)), atol=CLOSE, err_msg=name)
        if metric(name).prepare_per_class:
            each = metric(name).bind_per_class(outputs)
            assert_allclose(each(together), each(np.asarray(together)), atol=CLOSE, err_msg=name)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "precision_at_recall_80"])
def test_rare_positives_are_all_told_apart(name: str) -> None:
    """Twenty among 20,000, most of them at the top: however few levels, none of theirs is merged."""
    rng = RNG(14)
    actual = np.arange(20_000) < 20
    second = 1 / (1 + np.exp(-np.where(actual, rng.normal(3, 1, 20_000), rng.normal(-4, 1.5, 20_000))))
    scores = np.column_stack([1 - second, second])
    one = Outputs(("no", "yes"), actual.astype(int), scores.argmax(axis=1), scores, 1)
    weights = GroupWeights(rng.poisson(1.0, (100, 15)), rng.integers(0, 15, 20_000), 30)
    bound = metric(name).bind(one)
    assert_allclose(bound(weights), bound(np.asarray(weights)), atol=CLOSE)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "precision_at_recall_80"])
@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_few_levels_of_scores_vary_like_all_of_them(name: str, shared: float) -> None:
    """What merging does to the spread of resamples is little beside it, also where many records share one level."""
    rng = RNG(13)
    outputs = classified(20_000, 2, 3, positive=1)
    assert outputs.scores is not None
    scores = np.where(rng.random(20_000) < shared, 0.5, outputs.scores[:, 1])
    one = Outputs(outputs.labels, outputs.actual, outputs.predicted, np.column_stack([1 - scores, scores]), 1)
    days, counts = rng.integers(0, 30, 20_000), np.vstack([np.ones(30), rng.poisson(1.0, (200, 30))])
    bound = metric(name).bind(one)
    exact, merged = (bound(GroupWeights(counts, days, levels)) for levels in (None, 1_500))
    moved = (merged[1:] - merged[0]) - (exact[1:] - exact[0])
    assert moved.std() < 0.15 * exact[1:].std()    # in squares, a hundredth of the standard error
    assert abs(moved.mean()) < 4 * 0.15 * exact[1:].std() / np.sqrt(200)    # four standard errors of that


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, np.bool_])
def test_weights_of_any_type_give_the_same_values(dtype: type) -> None:
    outputs = classified(80, 3, 5)
    weights = RNG(6).integers(0, 2, 80)
    assert everyone(outputs, weights.astype(dtype)) == pytest.approx(everyone(outputs, weights), abs=CLOSE)


def test_inputs_are_not_changed() -> None:
    outputs = classified(40, 2, 1, positive=1)
    assert outputs.scores is not None
    weights = RNG(1).random((3, 40))
    held = [outputs.actual, outputs.predicted, outputs.scores, weights]
    copies = [array.copy() for array in held]
    for name in applicable(outputs):
        metric(name).bind(outputs)(weights)
    per_class("f1", outputs, weights)
    for array, copy in zip(held, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_perfect_predictions_reach_the_best_value_of_every_metric() -> None:
    actual = np.array([0, 1, 1, 0, 1])
    perfect = Outputs(("no", "yes"), actual, actual, np.eye(2)[actual], positive=1)
    exact = Outputs((), actual.astype(float), actual.astype(float))
    for name, value in (everyone(perfect) | everyone(exact)).items():
        best = 1.0 if METRICS[name].greater_is_better else 0.0
        assert value == pytest.approx(best, abs=1e-12), name  # log loss is clipped at 2e-16


def test_inverted_predictions_reach_the_worst_value() -> None:
    actual = np.array([0, 1, 1, 0])
    inverted = everyone(Outputs(("no", "yes"), actual, 1 - actual, np.eye(2)[1 - actual], positive=1))
    for name in ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc"):
        assert inverted[name] == 0, name
    assert inverted["brier"] == inverted["calibration_error"] == 1
    assert inverted["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps))


def test_log_loss_clips_by_the_type_of_the_scores_as_scikit_learn_does() -> None:
    actual = np.array([0, 1])
    scores = np.eye(2, dtype=np.float32)[[1, 1]]
    outputs = Outputs(("no", "yes"), actual, np.array([1, 1]), scores, positive=1)
    assert evaluate("log_loss", outputs) == pytest.approx(sk.log_loss(actual, scores[:, 1]), rel=1e-6)


@pytest.mark.parametrize("task", MAKERS)
def test_no_records_or_no_weight_give_nan(task: str) -> None:
    outputs = MAKERS[task](20, 1)
    empty = outputs.take(np.zeros(20, dtype=bool))
    for name in applicable(outputs):
        assert np.isnan(evaluate(name, empty)), name
        assert np.isnan(evaluate(name, outputs, np.zeros(20))), name
    if outputs.labels:
        assert np.isnan(per_class("recall", empty)).all()


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("positive", [0, 1, None])
def test_one_class_only_leaves_ranking_undefined(code: int, positive: int | None) -> None:
    actual = np.full(10, code)
    scores = RNG(1).random(10)
    outputs = Outputs(("a", "b"), actual, actual, np.column_stack([scores, 1 - scores]), positive)
    for name in ("roc_auc", "pr_auc", *(["precision_at_recall_80"] if positive is not None else [])):
        assert np.isnan(evaluate(name, outputs)), name
    assert evaluate("accuracy", outputs) == evaluate("balanced_accuracy", outputs) == 1


def test_a_class_whose_records_all_weigh_nothing_does_not_occur() -> None:
    outputs = classified(30, 2, 1, positive=1)
    weights = (outputs.actual == 0) * RNG(2).random(30)
    assert np.isnan(evaluate("roc_auc", outputs, weights))
    assert np.isnan(evaluate("pr_auc", outputs, weights))
    assert np.isnan(evaluate("recall", outputs, weights))
    assert np.isnan(evaluate("pr_auc", outputs, (outputs.actual == 1) * RNG(2).random(30)))


def test_multiclass_ranking_leaves_out_classes_that_do_not_occur() -> None:
    outputs = classified(60, 3, 4)
    two = outputs.take(outputs.actual < 2)
    assert two.scores is not None
    apart = [sk.roc_auc_score(two.actual == code, two.scores[:, code]) for code in (0, 1)]
    assert evaluate("roc_auc", two) == pytest.approx(np.mean(apart), abs=CLOSE)


def test_precision_is_undefined_when_the_positive_class_is_never_predicted() -> None:
    outputs = Outputs(("no", "yes"), np.array([0, 1]), np.array([0, 0]), positive=1)
    assert np.isnan(evaluate("precision", outputs))
    assert evaluate("recall", outputs) == evaluate("f1", outputs) == 0


def test_recall_of_exactly_80_percent_is_enough() -> None:
    # Four of five positives come first; the fifth is behind all negatives.
    actual = np.array([1, 1, 1, 1, 0, 0, 0, 1])
    scores = np.linspace(0.9, 0.1, 8)
    outputs = Outputs(("no", "yes"), actual, actual, np.column_stack([1 - scores, scores]), positive=1)
    assert evaluate("precision_at_recall_80", outputs) == 1


def test_calibration_bins_include_their_lower_end_and_the_last_one_includes_one() -> None:
    said = np.array([0.1, 0.19, 0.2, 0.95, 1.0])
    came = np.array([0, 1, 0, 1, 1])
    outputs = Outputs(("no", "yes"), came, came, np.column_stack([1 - said, said]), positive=1)
    assert evaluate("calibration_error", outputs) == pytest.approx((abs(0.29 - 1) + 0.2 + abs(1.95 - 2)) / 5)


@pytest.mark.parametrize("level", [0.1, 1e6])
def test_r2_of_an_outcome_that_does_not_vary_is_nan(level: float) -> None:
    constant = Outputs((), np.full(7, level), np.arange(7.0))
    assert np.isnan(evaluate("r2", constant))
    varying = Outputs((), np.array([level, level, level + 1]), np.zeros(3))
    assert np.isnan(evaluate("r2", varying, np.array([3, 5, 0])))
    assert np.isfinite(evaluate("r2", varying))


def test_r2_of_resamples_that_draw_one_outcome_only_is_nan_despite_rounding() -> None:
    rng = RNG(4)
    for _ in range(200):
        outputs = Outputs((), rng.normal(size=3), rng.normal(size=3))
        assert np.isnan(evaluate("r2", outputs, np.array([rng.integers(1, 1000), 0, 0])))


def test_r2_survives_outcomes_far_from_zero() -> None:
    actual = 1e8 + RNG(1).normal(size=500)
    predicted = actual + RNG(2).normal(0, 0.5, 500)
    # Both sides subtract numbers near 1e8, whose spacing is 1.5e-8.
    assert evaluate("r2", Outputs((), actual, predicted)) == pytest.approx(sk.r2_score(actual, predicted), abs=1e-7)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown metric 'auc'; known are: accuracy, .*roc_auc"):
        metric("auc")


def test_a_metric_that_does_not_apply_is_refused() -> None:
    regression, unscored = estimated(5, 1), Outputs(("a", "b"), np.array([0, 1]), np.array([0, 1]), positive=1)
    with pytest.raises(ValueError, match="accuracy is not defined for regression; these are: mae, rmse, r2"):
        evaluate("accuracy", regression)
    with pytest.raises(ValueError, match="roc_auc needs probabilities"):
        evaluate("roc_auc", unscored)
    with pytest.raises(ValueError, match="precision_at_recall_80 is not defined for multiclass"):
        evaluate("precision_at_recall_80", classified(5, 3, 1))
    with pytest.raises(ValueError, match="roc_auc has no values per class; these have: accuracy"):
        per_class("roc_auc", classified(5, 3, 1))


@pytest.mark.parametrize(
    "weights", [np.ones(4), np.ones((1, 1, 5)), -np.ones(5), np.array([1, 1, 1, 1, np.nan])], ids=repr
)
def test_weights_that_do_not_fit_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(ValueError, match="weights must"):
        evaluate("mae", estimated(5, 1), weights)


CODES = np.array([0, 1])


@pytest.mark.parametrize(
    ("problem", "arguments"),
    [
        ("records", (("a", "b"), CODES, np.array([0, 1, 1]))),
        ("one dimension", (("a", "b"), CODES[None], CODES[None])),
        ("class codes outside 0 to 1", (("a", "b"), CODES, np.array([0, 2]))),
        ("class codes outside 0 to 1", (("a", "b"), np.array([-1, 0]), CODES)),
        ("integer class codes", (("a", "b"), CODES, np.array([0.0, 1.0]))),
        ("not finite", ((), np.array([1.0, np.nan]), np.array([1.0, 2.0]))),
        ("not finite", ((), np.array([1.0, 2.0]), np.array([1.0, np.inf]))),
        ("must have shape", (("a", "b"), CODES, CODES, np.array([0.1, 0.9]))),
        (r"probabilities in \[0, 1\]", (("a", "b"), CODES, CODES, np.array([[0.1, 0.9], [2.0, -1.0]]))),
        (r"probabilities in \[0, 1\]", (("a", "b"), CODES, CODES, np.array([[0.1, 0.9], [np.nan, 0.5]]))),
        ("regression has none", ((), np.ones(2), np.ones(2), np.ones((2, 0)))),
        ("needs two labels", (("a", "b", "c"), CODES, CODES, None, 1)),
        ("needs two labels", (("a", "b"), CODES, CODES, None, 2)),
    ],
)
def test_outputs_that_contradict_themselves_are_refused(problem: str, arguments: tuple) -> None:
    with pytest.raises(ValueError, match=problem):
        Outputs(*arguments)


def test_take_chooses_by_mask_or_position() -> None:
    outputs = classified(6, 3, 1)
    assert outputs.scores is not None
    mask = np.array([True, False, True, False, False, True])
    chosen, again = outputs.take(mask), outputs.take(np.array([0, 2, 5]))
    assert len(chosen) == 3
    assert chosen.labels == outputs.labels
    np.testing.assert_array_equal(chosen.scores, outputs.scores[mask])
    np.testing.assert_array_equal(chosen.actual, again.actual)
    with pytest.raises(ValueError, match="mask of shape"):
        outputs.take(mask[:5])


def test_a_metric_rests_on_no_more_than_what_it_is_about() -> None:
    """Precision of a class on those called so, a mean over classes on the rarest of them."""
    actual = np.repeat([0, 1, 2], [1000, 900, 100])
    predicted = np.where(np.arange(2000) < 1992, np.minimum(actual, 1), 2)
    outputs = Outputs(("a", "b", "c"), actual, predicted)
    support = measure_performance(outputs).support
    assert support[Measure("precision", "c")] == 8
    assert support[Measure("recall", "c")] == 100
    assert support[Measure("f1")] == 100
    assert support[Measure("accuracy")] == 2000

"""Calibrations: nearly the identity for honest scores, close to the truth for others, exact as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax

from trimtab.measure.models.metrics import Outputs, evaluate
from trimtab.measure.unlabelled import calibration
from trimtab.measure.unlabelled.calibration import Calibration, cross_fitted, fit
from trimtab.measure.unlabelled.honesty import judge, p_value
from trimtab.measure.unlabelled.possible_outcomes import drawn_outcomes, every_outcome

RNG = np.random.default_rng
Pair = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def two_columns(p: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.column_stack([1 - p, p])


def binary(n: int, seed: int, *, slope: float = 1.0, level: float = 0.0) -> Pair:
    """Scores whose log odds must be multiplied by a slope, and moved by a level, to be honest."""
    rng = RNG([n, seed])
    odds = 1.5 * rng.normal(size=n) - 1
    return two_columns(expit(odds)), (rng.random(n) < expit(slope * odds + level)).astype(int)


def three_classes(n: int, seed: int, *, temperature: float) -> Pair:
    rng = RNG([n, seed])
    odds = rng.normal(size=(n, 3))
    came = (softmax(odds, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return softmax(temperature * odds, axis=1), np.minimum(came, 2)


@pytest.mark.parametrize("n", [200, 2000])
def test_honest_scores_stay_nearly_as_they_are(n: int) -> None:
    moved = []
    for seed in range(20):
        scores, came = binary(n, seed)
        moved.append(np.abs(fit(scores, came).apply(scores) - scores).mean())
    # The share of the positives alone is known to sqrt(0.3 * 0.7 / n): 0.032 and 0.010.
    assert np.mean(moved) < np.sqrt(0.21 / n)


@pytest.mark.parametrize(("slope", "level"), [(0.5, 0.0), (1.7, 0.0), (1.0, 0.6)])
def test_miscalibrated_scores_come_close_to_the_truth(slope: float, level: float) -> None:
    scores, came = binary(2000, 1, slope=slope, level=level)
    odds = np.log(scores[:, 1] / scores[:, 0])
    truth = expit(slope * odds + level)
    calibrated = fit(scores, came).apply(scores)[:, 1]
    # Two coefficients from 2000 records leave a root mean square error of about sqrt(2 * 0.2 / 2000) = 0.014.
    assert np.sqrt(((calibrated - truth) ** 2).mean()) < 3 * 0.014
    assert np.sqrt(((scores[:, 1] - truth) ** 2).mean()) > 2 * 3 * 0.014


def test_a_bend_is_found_with_many_records() -> None:
    scores, _ = binary(5000, 3)
    odds = np.log(scores[:, 1] / scores[:, 0])
    truth = expit(np.where(odds < 0, 0.4 * odds, 1.5 * odds))
    came = (RNG(4).random(5000) < truth).astype(int)
    found = fit(scores, came)
    assert sum(one.weight for one in found.corrections if one.kind == "curve") > 0.9
    assert np.abs(found.apply(scores)[:, 1] - truth).mean() < 0.25 * np.abs(scores[:, 1] - truth).mean()


def test_over_confidence_in_three_classes_is_taken_back() -> None:
    scores, came = three_classes(2000, 1, temperature=2.0)
    honest = softmax(np.log(scores) / 2, axis=1)
    calibrated = fit(scores, came).apply(scores)
    assert np.abs(calibrated - honest).mean() < 0.2 * np.abs(scores - honest).mean()
    labels = ("a", "b", "c")
    before, after = (Outputs(labels, came, scores.argmax(axis=1), s) for s in (scores, cross_fitted(scores, came)))
    assert evaluate("log_loss", after) < evaluate("log_loss", before)


def test_on_new_records_it_beats_both_no_calibration_and_isotonic_regression() -> None:
    from sklearn.isotonic import IsotonicRegression

    losses = np.zeros((12, 3))
    new, outcome = binary(10_000, 999, slope=0.7)
    for seed in range(12):
        scores, came = binary(500, seed, slope=0.7)
        isotonic = IsotonicRegression(out_of_bounds="clip").fit(scores[:, 1], came).predict(new[:, 1])
        for i, p in enumerate((fit(scores, came).apply(new)[:, 1], new[:, 1], np.clip(isotonic, 1e-3, 1 - 1e-3))):
            losses[seed, i] = -np.log(np.where(outcome == 1, p, 1 - p)).mean()
    ours, none, isotonic_loss = losses.mean(axis=0)
    assert ours < none
    assert ours < isotonic_loss


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 60), classes=st.integers(2, 4), seed=st.integers(0, 10**6))
def test_whatever_the_records_the_result_is_probabilities_and_survives_json(n: int, classes: int, seed: int) -> None:
    rng = RNG(seed)
    scores = rng.dirichlet(np.full(classes, 0.3), size=n)
    came = rng.integers(0, classes, size=n)
    kept = scores.copy(), came.copy()
    found = fit(scores, came)
    calibrated = found.apply(scores)
    assert calibrated.shape == scores.shape
    assert (calibrated >= 0).all()
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-12)
    again = Calibration.from_json(found.to_json())
    assert again == found
    np.testing.assert_array_equal(again.apply(scores), calibrated)
    np.testing.assert_array_equal(kept[0], scores)
    np.testing.assert_array_equal(kept[1], came)


def test_the_order_of_records_is_irrelevant() -> None:
    scores, came = binary(300, 5, slope=0.6)
    order = RNG(1).permutation(300)
    shuffled = fit(scores[order], came[order])
    np.testing.assert_allclose(shuffled.apply(scores), fit(scores, came).apply(scores), atol=1e-8)


def test_scores_of_exactly_0_and_1_and_constant_scores_are_taken() -> None:
    sure = np.tile([[0.0, 1.0], [1.0, 0.0]], (50, 1))
    calibrated = fit(sure, np.tile([1, 1, 0, 0], 25)).apply(sure)
    assert 0.3 < calibrated[0, 1] < 0.7    # it was right half the time
    constant = np.full((100, 2), 0.5)
    assert fit(constant, np.tile([1, 1, 1, 0], 25)).apply(constant)[0, 1] == pytest.approx(0.75, abs=0.05)


def test_a_single_class_among_the_outcomes_does_not_lead_to_certainty() -> None:
    scores, _ = binary(50, 1)
    calibrated = fit(scores, np.zeros(50, dtype=int)).apply(scores)
    assert calibrated[:, 1].mean() < scores[:, 1].mean()
    assert (calibrated[:, 1] > 0).all()


def test_weights_count_records_and_ignore_those_of_weight_0() -> None:
    scores, came = binary(400, 6, slope=0.5)
    wrong = 1 - came
    weights = np.repeat([1.0, 0.0], [400, 400])
    found = fit(np.concatenate([scores, scores]), np.concatenate([came, wrong]), weights=weights)
    alone = fit(scores, came)
    # The floor of tiny scores rests on 800 records instead of 400, which moves nothing here.
    np.testing.assert_allclose(found.apply(scores), alone.apply(scores), atol=1e-6)


def test_scaling_weights_changes_nothing_and_few_heavy_records_bend_little() -> None:
    scores, came = binary(400, 7, slope=0.5)
    weights = RNG(2).gamma(1.0, size=400)
    once, nine_times = (fit(scores, came, weights=k * weights).apply(scores) for k in (1, 9))
    np.testing.assert_allclose(once, nine_times, atol=1e-9)
    heavy = np.where(np.arange(400) < 5, 1.0, 1e-6)
    assert fit(scores, came, weights=heavy).untouched > fit(scores, came).untouched


def test_draws_scatter_around_the_calibration_as_much_as_refits_do() -> None:
    probe = two_columns(np.array([0.1, 0.3, 0.6]))
    refits = np.array([fit(*binary(500, seed, slope=0.7)).apply(probe)[:, 1] for seed in range(60)])
    found = fit(*binary(500, 100, slope=0.7))
    drawn = np.concatenate(list(found.draws(probe, 2000, seed=1)))[:, 1]
    assert drawn.shape == (2000, 3)
    np.testing.assert_allclose(drawn.mean(axis=0), found.apply(probe)[:, 1], atol=0.005)
    # 60 refits know a standard deviation to 9 %, and shrinkage makes refits vary a little less than the truth may.
    ratio = drawn.std(axis=0) / refits.std(axis=0)
    assert ((ratio > 0.7) & (ratio < 1.6)).all()


def test_draws_repeat_with_their_seed_whatever_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit(*three_classes(200, 2, temperature=1.5))
    probe = np.array([[0.2, 0.3, 0.5]])
    first = np.concatenate(list(found.draws(probe, 50, seed=3)))
    monkeypatch.setattr(calibration, "_AT_ONCE", 1)
    np.testing.assert_allclose(first, np.concatenate(list(found.draws(probe, 50, seed=3))), rtol=1e-12)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([[0.2, 0.9]], "must sum to 1; here is a sum of 1.1"),
        ([[-0.2, 1.2]], "between 0 and 1"),
        ([[np.nan, 1.0]], "between 0 and 1"),
        ([0.2, 0.8], "shape"),
        ([[1.0]], "shape"),
    ],
)
def test_what_is_no_probability_is_refused(scores: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fit(np.array(scores), np.array([0]))


def test_other_wrong_input_is_refused() -> None:
    scores, came = binary(40, 1)
    for wrong in (came + 1, came.astype(float), came[:10]):
        with pytest.raises(ValueError, match=r"outcomes (of|must)"):
            fit(scores, wrong)
    for weights in (-np.ones(40), np.full(40, np.nan), np.ones(3)):
        with pytest.raises(ValueError, match="weights must be 40 finite numbers"):
            fit(scores, came, weights=weights)
    with pytest.raises(ValueError, match="of 2 classes, the scores are of 3"):
        fit(scores, came).apply(np.full((1, 3), 1 / 3))
    for text in ("{}", "[]", "nothing"):
        with pytest.raises(ValueError, match=r"no calibration|Expecting"):
            Calibration.from_json(text)


def test_the_test_of_honesty_keeps_its_level_and_finds_over_confidence() -> None:
    honest = np.array([p_value(*binary(300, seed)) for seed in range(400)])
    # 400 repetitions know 5 % to sqrt(0.05 * 0.95 / 400) = 1.1 %.
    assert (honest < 0.05).mean() < 0.05 + 3 * 0.011
    bold = np.array([p_value(*binary(2000, seed, slope=0.75)) for seed in range(40)])
    assert (bold < 0.01).mean() > 0.9


def test_cross_fitted_probabilities_pass_the_test_that_their_scores_fail() -> None:
    scores, came = binary(2000, 8, slope=0.5)
    assert p_value(scores, came) < 1e-6
    assert p_value(cross_fitted(scores, came), came) > 0.01


def test_calibration_error_by_chance_is_told_and_taken_off() -> None:
    errors, beyond = [], []
    for seed in range(40):
        found = judge(*binary(200, seed), replicates=50)
        errors.append(found.error - found.by_chance)
        beyond.append(found.beyond_chance)
    # Honest scores: what is left is noise around zero, known to its standard deviation / sqrt(40).
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(40)
    assert min(beyond) == 0.0
    assert judge(*binary(2000, 1, slope=0.4)).beyond_chance > 0.05


def test_honesty_of_few_records_is_not_tested() -> None:
    scores, came = binary(29, 1)
    assert np.isnan(p_value(scores, came))
    assert np.isnan(p_value(two_columns(np.full(100, 0.01)), np.zeros(100, dtype=int)))
    empty = judge(np.zeros((0, 2)), np.zeros(0, dtype=int))
    assert (empty.records, np.isnan(empty.error)) == (0, True)


def test_every_outcome_weighted_by_what_came_is_what_came() -> None:
    scores, came = three_classes(50, 3, temperature=1.0)
    outputs = Outputs(("a", "b", "c"), came, scores.argmax(axis=1), scores)
    truth = (came == np.arange(3)[:, None]).ravel().astype(float)
    for name in ("accuracy", "f1", "roc_auc", "log_loss", "brier"):
        assert evaluate(name, every_outcome(outputs), truth) == pytest.approx(evaluate(name, outputs))
    with pytest.raises(ValueError, match="numbers"):
        every_outcome(Outputs((), np.zeros(2), np.zeros(2)))


def test_drawn_outcomes_follow_their_probabilities_one_for_each_record() -> None:
    p = np.array([[0.2, 0.0], [0.5, 1.0], [0.3, 0.0]])    # classes by records
    (drawn,) = drawn_outcomes([np.broadcast_to(p, (20_000, 3, 2))], seed=1)
    per_class = drawn.reshape(20_000, 3, 2)
    assert (per_class.sum(axis=1) == 1).all()
    # 20,000 draws know a share to 0.0035.
    np.testing.assert_allclose(per_class.mean(axis=0), p, atol=3 * 0.0036)

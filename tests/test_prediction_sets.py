"""Prediction sets hold the class that comes as often as promised, and say by their size how sure the model is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.measure.models.outputs import Outputs
from trimtab.measure.unlabelled.prediction_sets import Sets, fit_sets, set_ranges
from trimtab.measure.unlabelled.ranges import Ranges

Scores = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def drawn(n: int, rng: np.random.Generator, *, classes: int = 3, honest: bool = True) -> Outputs:
    """Classes drawn by probabilities of which the model knows a sharper version when it is not honest."""
    p = rng.dirichlet(np.ones(classes), n)
    actual = (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    said = p if honest else p**3 / (p**3).sum(axis=1, keepdims=True)
    return Outputs(tuple("abcde"[:classes]), actual, said.argmax(axis=1), said)


@pytest.mark.parametrize("n", [19, 200])
@pytest.mark.parametrize("honest", [True, False])
def test_the_promised_share_is_held_at_every_size_of_the_holdout(n: int, honest: bool) -> None:
    covered = []
    for seed in range(150):
        rng = np.random.default_rng([n, seed])
        sets, now = fit_sets(drawn(n, rng, honest=honest)), drawn(300, rng, honest=honest)
        covered.append(set_ranges(sets, now.scores, actual=now.actual.astype(float)).covered.mean())
    # Exact coverage lies between the promise and 1 / (n + 1) above it.
    error = np.std(covered) / np.sqrt(150)
    assert 0.9 - 3 * error < np.mean(covered) < 0.9 + 1 / (n + 1) + 3 * error


def test_a_model_that_knows_has_small_sets_and_one_that_guesses_has_large_ones() -> None:
    rng = np.random.default_rng(0)
    guess, knows = drawn(2000, rng), drawn(2000, rng)
    sharp = np.eye(3)[knows.actual] * 0.97 + 0.01
    sizes = [set_ranges(fit_sets(Outputs(("a", "b", "c"), o.actual, o.predicted, s)), s).width.mean()
             for o, s in ((guess, guess.scores), (knows, sharp))]
    assert sizes[1] == 1.0
    assert sizes[0] > 1.5


@pytest.mark.parametrize(("n", "all_classes"), [(0, True), (8, True), (9, False), (10, False)])
def test_a_holdout_too_small_for_its_coverage_puts_all_classes_into_every_set(n: int, all_classes: bool) -> None:
    sets = fit_sets(drawn(n, np.random.default_rng(1)))
    assert (sets.least == 0) == all_classes
    assert (set_ranges(sets, np.array([[1.0, 0.0, 0.0]])).width[0] == 3) == all_classes


def test_outcomes_that_are_not_known_are_nan_and_a_class_that_is_new_is_never_held() -> None:
    found = set_ranges(Sets(0.9, 50, 0.2), np.array([[0.8, 0.2, 0.0]] * 3), actual=np.array([np.nan, 1, 2]))
    assert math.isnan(found.covered[0])
    assert found.covered[1:].tolist() == [1, 0]
    assert found.narrow.tolist() == [0, 0, 0]
    assert np.isnan(set_ranges(Sets(0.9, 50, 0.2), np.zeros((2, 2))).covered).all()
    assert len(set_ranges(Sets(0.9, 50, 0.2), np.zeros((0, 2)))) == 0


def test_wrong_input_of_sets_is_refused() -> None:
    known = drawn(20, np.random.default_rng(0))
    with pytest.raises(ValueError, match="there are none"):
        fit_sets(Outputs(known.labels, known.actual, known.predicted))
    with pytest.raises(ValueError, match="coverage must be between"):
        fit_sets(known, coverage=0.0)
    with pytest.raises(ValueError, match="do not fit"):
        set_ranges(fit_sets(known), known.scores, actual=np.zeros(3))
    with pytest.raises(ValueError, match="must have shape"):
        set_ranges(fit_sets(known), np.zeros(3))


def test_ranges_are_put_together_by_day() -> None:
    days = np.array(["2024-03-02", "2024-03-01", "2024-03-02"], dtype="datetime64[D]")
    nan = np.nan
    ranges = Ranges(np.array([1.0, 2.0, 4.0]), np.full(3, nan), np.array([nan, nan, 1.0]), 0.9)
    found = ranges.by_day(days)
    assert [day.day for day in found] == [1, 2]
    first, second = found.values()
    assert (first["interval_width"], second["interval_width"], second["coverage"]) == (2.0, 2.5, 1.0)
    assert math.isnan(first["coverage"])
    assert math.isnan(second["narrow_share"])
    assert Ranges(np.zeros(0), np.zeros(0), np.zeros(0), 0.9).by_day(days[:0]) == {}
    with pytest.raises(ValueError, match="as many days"):
        ranges.by_day(days[1:])
    with pytest.raises(ValueError, match="one shape"):
        Ranges(np.zeros(2), np.zeros(3), np.zeros(2), 0.9)

"""Which ways lead to an estimate follows from what is known: numbers or classes, probabilities, density ratios."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from trimtab.measure.models.metrics import evaluate
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.together.domain import Weights, density_ratio
from trimtab.measure.unlabelled.confidence_estimates import confidence_based
from trimtab.measure.unlabelled.holdouts import Holdout, as_numbers, keep
from trimtab.measure.unlabelled.ways import all_ways, relative_ratios

Floats = npt.NDArray[np.float64]

N = 400


def features(n: int, seed: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return {"x": np.random.default_rng(seed).uniform(size=n)}


def said(n: int, seed: int, *, scores: bool = True) -> Outputs:
    rng = np.random.default_rng(seed + 9)
    p = features(n, seed)["x"]
    table = np.column_stack([1 - p, p]) if scores else None
    return Outputs(("no", "yes"), (rng.random(n) < p).astype(int), (p > 0.5).astype(int), table, 1)


def numbers(n: int, seed: int) -> Outputs:
    x = features(n, seed)["x"]
    return Outputs((), x + np.random.default_rng(seed + 1).normal(size=n), x)


def ratios(note: str = "") -> Weights:
    return Weights(np.ones(N), float(N), 0.0, note)


def ways(outputs: Outputs, now: Outputs, weights: Weights, *names: str) -> dict[str, dict[str, float]]:
    kept: Holdout = keep(features(N, 0), outputs)
    found = all_ways(kept, as_numbers(kept.encode(features(N, 1))), now, weights, names, confidence=0.9)
    return {way: {name: one.value for name, one in known.items()} for way, known in found.items()}


def test_probabilities_lead_to_three_ways_and_the_re_weighted_come_first() -> None:
    found = ways(said(N, 0), said(N, 1), ratios(), "accuracy", "roc_auc")
    assert list(found) == ["probabilities, re-weighted", "probabilities", "holdout, re-weighted"]
    assert all(math.isfinite(value) for one in found.values() for value in one.values())


def test_without_density_ratios_one_way_is_left() -> None:
    found = ways(said(N, 0), said(N, 1), ratios("too few records"), "accuracy")
    assert list(found) == ["probabilities"]


@pytest.mark.parametrize("side", ["holdout", "now"])
def test_without_probabilities_only_the_holdout_speaks(side: str) -> None:
    before, now = (said(N, seed, scores=side != name) for seed, name in ((0, "holdout"), (1, "now")))
    assert list(ways(before, now, ratios(), "accuracy")) == ["holdout, re-weighted"]
    assert ways(before, now, ratios("none"), "accuracy") == {}


def test_numbers_go_by_their_errors_and_what_errors_do_not_tell_by_the_holdout() -> None:
    found = ways(numbers(N, 0), numbers(N, 1), ratios(), "mae", "rmse", "r2")
    assert {way: list(one) for way, one in found.items()} == {
        "errors, re-weighted": ["mae", "rmse"], "errors": ["mae", "rmse"],
        "holdout, re-weighted": ["mae", "rmse", "r2"],
    }


def test_outcomes_of_current_records_are_not_looked_at() -> None:
    now = said(N, 1)
    blind = Outputs(now.labels, 1 - now.actual, now.predicted, now.scores, now.positive)
    assert ways(said(N, 0), now, ratios(), "accuracy") == ways(said(N, 0), blind, ratios(), "accuracy")


def test_relative_ratios_are_bounded_keep_their_order_and_lie_between_the_ratios_and_one() -> None:
    given = np.array([0.0, 0.01, 0.5, 1.0, 3.0, 1e6])
    kept = given.copy()
    found = relative_ratios(given, 0.25)
    assert np.all(np.diff(found) > 0)
    assert found[0] == 0.0
    assert found[3] == pytest.approx(1.0)
    assert found[-1] < 4.0
    assert np.all(np.abs(np.log(found[1:])) <= np.abs(np.log(given[1:])))
    np.testing.assert_array_equal(given, kept)


def test_nothing_mixed_in_leaves_ratios_as_they_are_and_everything_leaves_none() -> None:
    given = np.array([0.0, 0.5, 2.5])
    assert relative_ratios(given, 0.0).tolist() == given.tolist()
    assert relative_ratios(given, 1.0).tolist() == [1.0, 1.0, 1.0]
    assert relative_ratios(np.array([])).tolist() == []


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_to_mix_in_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="must be from 0 to 1"):
        relative_ratios(np.ones(3), share)


def moving(n: int, rng: np.random.Generator, *, moved: float = 0.0) -> tuple[dict[str, Floats], Outputs]:
    """A champion that is over-confident and has its coefficients wrong, among records that move along one column."""
    x = rng.normal(size=(n, 4))
    x[:, 0] += moved
    p = expit(1.5 * (0.9 * x[:, 0] + 0.9 * x[:, 1] + 0.2 * x[:, 2] - 0.8))
    came = rng.random(n) < expit(1.2 * x[:, 0] + 0.8 * x[:, 1] - 1)
    outputs = Outputs(("no", "yes"), came.astype(int), (p > 0.5).astype(int), np.column_stack([1 - p, p]), 1)
    return {f"x{i}": x[:, i] for i in range(4)}, outputs


def test_where_records_have_moved_far_bounded_ratios_come_nearer_than_whole_ones_and_ranges_hold_what_comes() -> None:
    names, times = ("accuracy", "roc_auc", "f1"), 30
    errors, held = np.zeros((times, 3)), np.zeros(times)
    for seed in range(times):
        rng = np.random.default_rng([31, seed])
        (values, before), (later, now) = moving(600, rng), moving(600, rng, moved=2.0)
        kept = keep(values, before)
        whole = density_ratio(kept.sample, kept.encode(later)).values
        bounded, other = (
            confidence_based(before, now, names, weights=one, replicates=80).values()
            for one in (relative_ratios(whole), whole)
        )
        came = [evaluate(name, now) for name in names]
        guesses = ([one.value for one in bounded], [one.value for one in other], [one.baseline for one in bounded])
        errors[seed] = [np.abs(np.subtract(guess, came)).mean() for guess in guesses]
        held[seed] = np.mean([one.low <= value <= one.high for one, value in zip(bounded, came, strict=True)])
    gains = errors[:, 1:] - errors[:, :1]
    assert np.all(gains.mean(axis=0) > 2 * gains.std(axis=0, ddof=1) / math.sqrt(times))
    # 95 % of the three metrics of each window, whatever their correlation: their own spread over windows says how sure.
    assert held.mean() > 0.95 - 2 * held.std(ddof=1) / math.sqrt(times)


def test_models_that_ratios_mend_learn_by_bounded_ones_and_the_holdout_by_itself_by_whole_ones() -> None:
    x = features(N, 0)["x"]
    heavy = np.where(x > 0.97, 1.0, 1e-3)
    kept = keep(features(N, 0), said(N, 0))
    whole = Weights(heavy / heavy.mean(), 12.0, 0.0)
    found = all_ways(kept, as_numbers(kept.encode(features(N, 1))), said(N, 1), whole, ["accuracy"], confidence=0.9)
    bounded = relative_ratios(whole.values)
    (expected,) = confidence_based(
        kept.outputs, said(N, 1), ["accuracy"], weights=bounded, outside=0.0, confidence=0.9
    ).values()
    assert found["probabilities, re-weighted"]["accuracy"] == expected
    assert "is worth only" in found["holdout, re-weighted"]["accuracy"].reason

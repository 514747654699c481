"""Which ways lead to an estimate follows from what is known: numbers or classes, probabilities, density ratios."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.measure.models.outputs import Outputs
from trimtab.measure.together.domain import Weights
from trimtab.measure.unlabelled.holdouts import Holdout, as_numbers, keep
from trimtab.measure.unlabelled.ways import all_ways

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

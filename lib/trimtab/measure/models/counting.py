"""Metrics that only count records by actual and predicted class: accuracy, precision, recall, F1.

Each is prepared once for a model's outputs and then applied to weights of shape (replicates, n). One matrix product per
block of replicates gives, for every class, the weight that is hit, actual and predicted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Outputs, mean_where, ratio
from trimtab.measure.models.weights import Statistic, Weights, sums_by_code, totals, weighted_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Tallies:
    """Weight per replicate and class, each of shape (replicates, classes); ``total`` has shape (replicates, 1)."""

    hits: Floats
    actual: Floats
    predicted: Floats
    total: Floats


_tallies_of: WeakKeyDictionary[Outputs, Callable[[Weights], _Tallies]] = WeakKeyDictionary()


def _tally(outputs: Outputs) -> Callable[[Weights], _Tallies]:
    """The counting that all metrics of the same outputs share: a block of weights is counted once for all of them."""
    if outputs not in _tallies_of:
        _tallies_of[outputs] = _remembering(_count(outputs))
    return _tallies_of[outputs]


def _remembering(count: Callable[[Weights], _Tallies]) -> Callable[[Weights], _Tallies]:
    """Count a block of weights once, for as long as the very same array is asked about."""
    last: list[tuple[ref[Weights], _Tallies]] = []

    def _apply(weights: Weights) -> _Tallies:
        if not last or last[0][0]() is not weights:
            last[:] = [(ref(weights), count(weights))]
        return last[0][1]

    return _apply


def _count(outputs: Outputs) -> Callable[[Weights], _Tallies]:
    classes, n = len(outputs.labels), len(outputs)
    hit = np.flatnonzero(outputs.actual == outputs.predicted)
    everyone = np.arange(n)
    codes = np.concatenate([outputs.actual[hit], classes + outputs.actual, 2 * classes + outputs.predicted])
    sums_of = sums_by_code(codes, np.concatenate([hit, everyone, everyone]), 3 * classes, n)

    def _apply(weights: Weights) -> _Tallies:
        sums = sums_of(weights)
        hits, actual, predicted = (sums[:, i * classes : (i + 1) * classes] for i in range(3))
        return _Tallies(hits, actual, predicted, totals(weights)[:, None])

    return _apply


def _class_precision(tallies: _Tallies) -> Floats:
    return ratio(tallies.hits, tallies.predicted)


def _class_recall(tallies: _Tallies) -> Floats:
    return ratio(tallies.hits, tallies.actual)


def _class_f1(tallies: _Tallies) -> Floats:
    return ratio(2 * tallies.hits, tallies.actual + tallies.predicted)


def _class_accuracy(tallies: _Tallies) -> Floats:
    return ratio(tallies.total - tallies.actual - tallies.predicted + 2 * tallies.hits, tallies.total)


def _per_class(formula: Callable[[_Tallies], Floats], outputs: Outputs) -> Statistic:
    tally = _tally(outputs)
    return lambda weights: formula(tally(weights))


def _summary(formula: Callable[[_Tallies], Floats], outputs: Outputs) -> Statistic:
    """The positive class's value in a binary task, else the mean over classes that occur among the outcomes."""
    tally, positive = _tally(outputs), outputs.positive

    def _apply(weights: Weights) -> Floats:
        tallies = tally(weights)
        values = formula(tallies)
        if positive is not None:
            return values[:, positive]
        # A class that occurs and is never predicted has earned precision 0, not an exemption.
        return mean_where(np.nan_to_num(values, nan=0.0), tallies.actual > 0)

    return _apply


def accuracy(outputs: Outputs) -> Statistic:
    """Weighted share of records whose class was predicted; nan without weight."""
    correct = outputs.actual == outputs.predicted
    return lambda weights: ratio(weighted_sums(weights, correct), totals(weights))


def balanced_accuracy(outputs: Outputs) -> Statistic:
    """Mean recall over the classes that occur among the outcomes; nan without weight."""
    tally = _tally(outputs)

    def _apply(weights: Weights) -> Floats:
        tallies = tally(weights)
        return mean_where(_class_recall(tallies), tallies.actual > 0)

    return _apply


def precision(outputs: Outputs) -> Statistic:
    """Share of predictions of a class that are right. Binary: nan when the positive class is never predicted."""
    return _summary(_class_precision, outputs)


def recall(outputs: Outputs) -> Statistic:
    """Share of a class's records that are found. Binary: nan when no outcome is positive."""
    return _summary(_class_recall, outputs)


def f1(outputs: Outputs) -> Statistic:
    """Harmonic mean of precision and recall, 2 hits / (actual + predicted). Binary: nan when that is 0 / 0."""
    return _summary(_class_f1, outputs)


def class_accuracy(outputs: Outputs) -> Statistic:
    """Per class, accuracy of the question "this class or another?"; nan without weight."""
    return _per_class(_class_accuracy, outputs)


def class_precision(outputs: Outputs) -> Statistic:
    """Per class, precision; nan where the class is never predicted."""
    return _per_class(_class_precision, outputs)


def class_recall(outputs: Outputs) -> Statistic:
    """Per class, recall; nan where the class never occurs."""
    return _per_class(_class_recall, outputs)


def class_f1(outputs: Outputs) -> Statistic:
    """Per class, F1; nan where the class neither occurs nor is predicted."""
    return _per_class(_class_f1, outputs)

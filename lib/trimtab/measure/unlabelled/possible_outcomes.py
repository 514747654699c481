"""Which outcomes could records have whose outcome is unknown, and how likely is each?

Every record is written once for each class. Weighted by the probabilities of the classes, any weighted metric gives its
expected value; weighted by drawn outcomes, it gives values that may come about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Array, Outputs

__all__ = ["Gathered", "drawn_counts", "drawn_outcomes", "every_outcome", "gathered"]


def every_outcome(outputs: Outputs) -> Outputs:
    """Each of n records once per class, as if that class had come: all records with the first class, then the second.

    Raises
    ------
    ValueError
        For regression, which has no classes.

    Examples
    --------
    >>> two = every_outcome(Outputs(("no", "yes"), np.array([0, 0]), np.array([1, 0]), positive=1))
    >>> two.actual.tolist(), two.predicted.tolist()
    ([0, 0, 1, 1], [1, 0, 1, 0])
    """
    classes = len(outputs.labels)
    if not classes:
        raise ValueError("only classes can be written out as outcomes; these are numbers")
    scores = None if outputs.scores is None else np.tile(outputs.scores, (classes, 1))
    actual = np.repeat(np.arange(classes), len(outputs))
    return Outputs(outputs.labels, actual, np.tile(outputs.predicted, classes), scores, outputs.positive)


def drawn_outcomes(probabilities: Iterable[Array], seed: int) -> Iterator[NDArray[np.uint8]]:
    """Draw one outcome for each record of each replicate; weights for `every_outcome`.

    Parameters
    ----------
    probabilities
        Blocks of shape (rows, classes, n).
    seed
        Of the draws.

    Yields
    ------
    ndarray
        Shape (rows, classes * n) for each block, 1 for what came and 0 for the rest.

    Examples
    --------
    >>> [weights.tolist() for weights in drawn_outcomes([np.array([[[0.0, 1.0], [1.0, 0.0]]])], seed=0)]
    [[[0, 1, 1, 0]]]
    """
    rng = np.random.default_rng(seed)
    for block in probabilities:
        rows, classes, n = block.shape
        chance = rng.random((rows, n))
        result = np.zeros((rows, classes, n), dtype=np.uint8)
        unsettled = np.ones((rows, n), dtype=bool)
        passed = np.zeros((rows, n))
        for code in range(classes - 1):
            passed += block[:, code]
            np.logical_and(unsettled, chance < passed, out=result[:, code].view(bool))
            unsettled &= ~result[:, code].view(bool)
        result[:, classes - 1] = unsettled
        yield result.reshape(rows, classes * n)


@dataclass(frozen=True, eq=False)
class Gathered:
    """Records of two classes, gathered into groups that a model says nearly the same of.

    Attributes
    ----------
    outputs : Outputs
        One record for each group, with the mean of its probabilities.
    sizes : array of int, shape (groups,)
        How many records it stands for.
    """

    outputs: Outputs
    sizes: NDArray[np.int64]


def gathered(outputs: Outputs, most: int) -> Gathered:
    """Gather records into groups of one predicted class and neighbouring probabilities, about `most` of them.

    Parameters
    ----------
    outputs
        n records of a binary task with scores; `actual` is not looked at. Up to `most` records stay by themselves.

    Raises
    ------
    ValueError
        When there are not two classes, or no scores.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.3, 0.7]])
    >>> both = gathered(Outputs(("no", "yes"), np.zeros(4, dtype=int), scores.argmax(axis=1), scores, positive=1), 2)
    >>> both.sizes.tolist(), both.outputs.scores[:, 1].round(2).tolist()
    ([2, 1, 1], [0.15, 0.7, 0.8])
    """
    if len(outputs.labels) != 2 or outputs.scores is None:
        raise ValueError("only records of two classes that have probabilities are gathered")
    n, order = len(outputs), np.argsort(outputs.scores[:, 1], kind="stable")
    near = np.empty(n, dtype=np.intp)
    near[order] = np.arange(n) if n <= most else (most * _passed(outputs.scores[order])).astype(np.intp)
    codes, place, sizes = np.unique(2 * near + outputs.predicted, return_inverse=True, return_counts=True)
    second = np.bincount(place, weights=outputs.scores[:, 1]) / sizes
    predicted = codes % 2
    scores = np.column_stack([1 - second, second])
    return Gathered(Outputs(outputs.labels, predicted, predicted, scores, outputs.positive), sizes.astype(np.int64))


def _passed(ordered: Array) -> Array:
    """What share lies before each record, of the records and of both classes: so that rare ones stay apart."""
    each = np.column_stack([np.ones(len(ordered)), ordered])
    before = np.cumsum(each, axis=0) - each
    shares: Array = (before / np.maximum(each.sum(axis=0), np.finfo(float).tiny)).mean(axis=1)
    return shares


def drawn_counts(
    probabilities: Iterable[Array], sizes: Array, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Draw how many records of each group are of each of two classes; weights for `every_outcome` of the groups.

    Parameters
    ----------
    probabilities
        Blocks of shape (rows, 2, groups).
    sizes
        Shape (groups,).
    seed
        Of the draws.

    Yields
    ------
    ndarray
        Shape (rows, 2 * groups) for each block.

    Examples
    --------
    >>> [counts.tolist() for counts in drawn_counts([np.array([[[0.0, 1.0], [1.0, 0.0]]])], np.array([3, 5]), seed=0)]
    [[[0, 5, 3, 0]]]
    """
    rng = np.random.default_rng(seed)
    for block in probabilities:
        second = rng.binomial(sizes, np.clip(block[:, 1], 0.0, 1.0))
        yield np.concatenate([sizes - second, second], axis=1)

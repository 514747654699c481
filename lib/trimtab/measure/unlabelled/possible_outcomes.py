"""Which outcomes could records have whose outcome is unknown, and how likely is each?

Every record is written once for each class. Weighted by the probabilities of the classes, any weighted metric gives its
expected value; weighted by drawn outcomes, it gives values that may come about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Array, Outputs

__all__ = ["drawn_outcomes", "every_outcome"]


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

"""What a model said about records whose outcome is known, as arrays, and the shape that every statistic of it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Task = Literal["binary", "multiclass", "regression"]

_PROBABILITY_SLACK = 1e-6  # float32 probabilities may round to just above 1


@dataclass(frozen=True, eq=False)
class Outputs:
    """Outcomes of n records beside what one model predicted for them.

    Parameters
    ----------
    labels
        Class names in the order of their codes; empty for regression.
    actual, predicted
        Shape (n,). Class codes from 0 to ``len(labels) - 1`` inclusive, or finite numbers for regression.
    scores
        Shape (n, len(labels)): probabilities per class in [0, 1]; None for regression and for models without them.
    positive
        Code of the positive class in a binary task; None otherwise. With None, metrics are macro averages.

    Raises
    ------
    ValueError
        When shapes differ, a code or probability is out of range, or a value is not finite.

    Examples
    --------
    >>> outputs = Outputs(("no", "yes"), np.array([0, 1, 1]), np.array([0, 1, 0]), None, positive=1)
    >>> len(outputs), outputs.task, outputs.take(outputs.actual == 1).predicted.tolist()
    (3, 'binary', [1, 0])
    """

    labels: tuple[str, ...]
    actual: Array
    predicted: Array
    scores: Array | None = None
    positive: int | None = None

    def __post_init__(self) -> None:
        for name in ("actual", "predicted"):
            object.__setattr__(self, name, _checked(name, np.asarray(getattr(self, name)), len(self.labels)))
        if self.actual.shape != self.predicted.shape:
            raise ValueError(f"actual has {len(self.actual)} records, predicted {len(self.predicted)}")
        if self.positive is not None and not (len(self.labels) == 2 and self.positive in (0, 1)):
            raise ValueError(f"positive={self.positive!r} needs two labels and must be 0 or 1; labels: {self.labels}")
        if self.scores is not None:
            shape = (len(self.actual), len(self.labels))
            object.__setattr__(self, "scores", _checked_scores(np.asarray(self.scores), shape))

    def __len__(self) -> int:
        return len(self.actual)

    @property
    def task(self) -> Task:
        """Which metrics make sense: ``binary`` has a positive class, ``regression`` has no labels."""
        if not self.labels:
            return "regression"
        return "multiclass" if self.positive is None else "binary"

    def take(self, chosen: Array) -> Outputs:
        """Return the records that a boolean mask of shape (n,) or an array of positions chooses, in its order."""
        index = np.asarray(chosen)
        if index.dtype == bool and index.shape != self.actual.shape:
            raise ValueError(f"a mask of shape {index.shape} cannot choose from {len(self)} records")
        scores = None if self.scores is None else self.scores[index]
        return Outputs(self.labels, self.actual[index], self.predicted[index], scores, self.positive)


def _checked(name: str, values: Array, classes: int) -> Array:
    if values.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not shape {values.shape}")
    if not classes:
        numbers = values.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError(f"{name} holds values that are not finite")
        return numbers
    if values.dtype.kind not in "iu" and len(values):
        raise ValueError(f"{name} must hold integer class codes, not {values.dtype}")
    if len(values) and (values.min() < 0 or values.max() >= classes):
        raise ValueError(f"{name} holds class codes outside 0 to {classes - 1}")
    return values.astype(np.intp)


def _checked_scores(scores: Array, shape: tuple[int, int]) -> Array:
    if not shape[1]:
        raise ValueError("scores are probabilities per class; regression has none")
    if scores.shape != shape:
        raise ValueError(f"scores must have shape {shape}, not {scores.shape}")
    if scores.dtype.kind != "f":
        scores = scores.astype(np.float64)
    # Written so that NaN fails it too.
    if scores.size and not (scores.min() >= -_PROBABILITY_SLACK and scores.max() <= 1 + _PROBABILITY_SLACK):
        raise ValueError("scores must be probabilities in [0, 1]")
    return scores


def ratio(numerator: Array, denominator: Array) -> NDArray[np.float64]:
    """Divide, with nan where the denominator is zero; shapes broadcast.

    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def mean_where(values: Array, chosen: Array) -> NDArray[np.float64]:
    """Mean over the last axis of the chosen entries only; nan where none is chosen.

    >>> mean_where(np.array([[1.0, 3.0, np.nan]]), np.array([[True, True, False]])).tolist()
    [2.0]
    """
    return ratio(np.where(chosen, values, 0.0).sum(axis=-1), chosen.sum(axis=-1))

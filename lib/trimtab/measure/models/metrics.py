"""How good are these predictions? The catalogue of metrics, each with one weighted definition.

The same definition gives the point value (weights of one) and bootstrap replicates (weights are resample counts).

>>> outputs = Outputs(("no", "yes"), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), None, positive=1)
>>> evaluate("accuracy", outputs), evaluate("accuracy", outputs, weights=np.array([1, 0, 1, 2]))
(0.75, 1.0)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models import counting, losses, ranking
from trimtab.measure.models.outputs import Array, Outputs, Task
from trimtab.measure.models.weights import GroupWeights, Statistic, Weights

__all__ = ["METRICS", "Metric", "Outputs", "applicable", "evaluate", "metric", "per_class"]

Prepare = Callable[[Outputs], Statistic]

_ELEMENTS_AT_ONCE = 2**22  # weights per block: 32 MB in float64, of which a metric holds about five


@dataclass(frozen=True)
class Metric:
    """A metric: what it is called, where it makes sense, and how it is computed.

    Parameters
    ----------
    name, label
        The key in params files, and the name for people.
    tasks
        Kinds of task that it is defined for.
    greater_is_better
        False for losses and errors.
    low, high
        Range of its values, both ends included.
    needs_scores
        Whether it needs ``Outputs.scores``.
    prepare
        Binds it to outputs once; the result takes weights (replicates, n) and returns (replicates,).
    prepare_per_class
        The same per class, returning (replicates, classes); None where there is no such thing.
    """

    name: str
    label: str
    tasks: tuple[Task, ...]
    greater_is_better: bool
    low: float
    high: float
    needs_scores: bool
    prepare: Prepare
    prepare_per_class: Prepare | None = None

    @property
    def unbiased(self) -> bool:
        """Whether a few records have, in the mean, the value that many have; not what bends or sorts them first."""
        return self.name not in _BIASED

    @property
    def sign(self) -> float:
        """What makes a gain of a difference, so that a plus is an improvement: -1 where less is better, else 1."""
        return 1.0 if self.greater_is_better else -1.0

    def applies(self, outputs: Outputs) -> bool:
        """Whether the metric can be asked of these outputs (its value may still be nan)."""
        return outputs.task in self.tasks and not (self.needs_scores and outputs.scores is None)

    def bind(self, outputs: Outputs) -> Statistic:
        """Prepare for outputs, once for many weights of shape (replicates, n).

        Raises
        ------
        ValueError
            When the metric is not defined for this task or needs scores that are not there.
        """
        self._require(outputs)
        return _in_blocks(self.prepare(outputs), len(outputs))

    def bind_per_class(self, outputs: Outputs) -> Statistic:
        """Like `bind`, with one column per label; raises ValueError for a metric without per-class values too."""
        self._require(outputs)
        if self.prepare_per_class is None:
            known = ", ".join(name for name, one in METRICS.items() if one.prepare_per_class)
            raise ValueError(f"{self.name} has no values per class; these have: {known}")
        return _in_blocks(self.prepare_per_class(outputs), len(outputs))

    def _require(self, outputs: Outputs) -> None:
        if outputs.task not in self.tasks:
            known = ", ".join(name for name, one in METRICS.items() if outputs.task in one.tasks)
            raise ValueError(f"{self.name} is not defined for {outputs.task}; these are: {known}")
        if self.needs_scores and outputs.scores is None:
            raise ValueError(f"{self.name} needs probabilities, and the model gave none")


def _in_blocks(statistic: Statistic, n: int) -> Statistic:
    """Check the weights, and bound memory by taking few replicates at a time."""

    def _apply(weights: Weights) -> NDArray[np.float64]:
        if len(weights.shape) != 2 or weights.shape[1] != n:
            raise ValueError(f"weights must have shape (replicates, {n}), not {weights.shape}")
        counts, levels = (weights.counts, weights.most_levels) if isinstance(weights, GroupWeights) else (weights, None)
        # Written so that NaN fails it too; unsigned counts need no look.
        if counts.dtype.kind not in "ub" and counts.size and not counts.min() >= 0:
            raise ValueError("weights must not be negative or nan")
        rows = max(1, _ELEMENTS_AT_ONCE // max(min(n, levels or n), 1))
        if len(weights) <= rows:
            return statistic(weights)
        return np.concatenate([statistic(weights[start : start + rows]) for start in range(0, len(weights), rows)])

    return _apply


_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_BIASED = frozenset({"f1", "precision_at_recall_80", "pr_auc", "calibration_error", "rmse", "r2"})


def _counted(name: str, label: str, prepare: Prepare, per_class: Prepare | None = None) -> Metric:
    return Metric(name, label, _CLASSES, True, 0.0, 1.0, False, prepare, per_class)


def _error(name: str, label: str, prepare: Prepare) -> Metric:
    return Metric(name, label, ("regression",), False, 0.0, np.inf, False, prepare)


_CATALOGUE = (
    _counted("accuracy", "accuracy", counting.accuracy, counting.class_accuracy),
    _counted("balanced_accuracy", "balanced accuracy", counting.balanced_accuracy),
    _counted("precision", "precision", counting.precision, counting.class_precision),
    _counted("recall", "recall", counting.recall, counting.class_recall),
    _counted("f1", "F1", counting.f1, counting.class_f1),
    Metric(
        "precision_at_recall_80",
        "precision at 80 % recall",
        ("binary",),
        True,
        0.0,
        1.0,
        True,
        ranking.precision_at_recall_80,
    ),
    Metric("roc_auc", "ROC AUC", _CLASSES, True, 0.0, 1.0, True, ranking.roc_auc),
    Metric("pr_auc", "PR AUC (average precision)", _CLASSES, True, 0.0, 1.0, True, ranking.pr_auc),
    Metric("log_loss", "log loss", _CLASSES, False, 0.0, np.inf, True, losses.log_loss),
    Metric("brier", "Brier score", _CLASSES, False, 0.0, 2.0, True, losses.brier),
    Metric("calibration_error", "calibration error", _CLASSES, False, 0.0, 1.0, True, losses.calibration_error),
    _error("mae", "mean absolute error", losses.mae),
    _error("rmse", "root mean squared error", losses.rmse),
    Metric("r2", "R²", ("regression",), True, -np.inf, 1.0, False, losses.r2),
)

METRICS: Mapping[str, Metric] = MappingProxyType({one.name: one for one in _CATALOGUE})
"""All metrics by name.

Precision, recall and F1 are those of the positive class in a binary task, nan when they are 0 / 0. In a multiclass task
they are means over the classes that occur among the outcomes, where a class that is never predicted has precision 0;
predicting a class that never occurs costs through the recall of the others. ROC and PR AUC are nan unless two classes
occur; in a multiclass task they are means over the classes that occur. Everything is nan without records or weight.
Read accuracy beside balanced accuracy, ROC AUC beside PR AUC when positives are rare, precision beside recall.
"""


def metric(name: str) -> Metric:
    """Look a metric up by name.

    Raises
    ------
    ValueError
        For an unknown name, listing the known ones.

    Examples
    --------
    >>> metric("log_loss").greater_is_better
    False
    """
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r}; known are: {', '.join(METRICS)}")
    return METRICS[name]


def applicable(outputs: Outputs) -> tuple[str, ...]:
    """Names of the metrics that can be asked of these outputs, in the catalogue's order.

    >>> applicable(Outputs((), np.array([1.0]), np.array([2.0])))
    ('mae', 'rmse', 'r2')
    """
    return tuple(name for name, one in METRICS.items() if one.applies(outputs))


def evaluate(name: str, outputs: Outputs, weights: Array | None = None) -> float:
    """Value of one metric.

    Parameters
    ----------
    name
        A key of `METRICS`.
    outputs
        n records.
    weights
        Shape (n,), not negative; None stands for ones.

    Returns
    -------
    float
        nan where the metric is undefined; see `METRICS`.

    Raises
    ------
    ValueError
        When the name is unknown, the metric does not apply to the outputs, or the weights do not fit.

    Examples
    --------
    >>> outputs = Outputs((), np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    >>> evaluate("mae", outputs), evaluate("mae", outputs, np.array([1, 3]))
    (1.5, 1.75)
    """
    return float(metric(name).bind(outputs)(_one_row(outputs, weights))[0])


def per_class(name: str, outputs: Outputs, weights: Array | None = None) -> NDArray[np.float64]:
    """Value of a metric for each class: accuracy (this class or another), precision, recall or f1.

    Parameters
    ----------
    name, outputs, weights
        As for `evaluate`; weights may also have shape (replicates, n).

    Returns
    -------
    ndarray
        Shape (classes,) or (replicates, classes), in the order of the labels. nan where 0 / 0: precision of a class
        that is never predicted, recall of one that never occurs, F1 of one that does neither.

    Raises
    ------
    ValueError
        As for `evaluate`, and for a metric without values per class.

    Examples
    --------
    >>> outputs = Outputs(("a", "b", "c"), np.array([0, 0, 1]), np.array([0, 1, 1]))
    >>> per_class("recall", outputs).tolist()
    [0.5, 1.0, nan]
    """
    statistic = metric(name).bind_per_class(outputs)
    if weights is not None and np.ndim(weights) == 2:
        return statistic(np.asarray(weights))
    row: NDArray[np.float64] = statistic(_one_row(outputs, weights))[0]
    return row


def _one_row(outputs: Outputs, weights: Array | None) -> NDArray[Any]:
    return np.ones((1, len(outputs)), dtype=np.uint8) if weights is None else np.asarray(weights)[None, :]

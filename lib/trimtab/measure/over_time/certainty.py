"""How certain is a metric of one day, going by what is kept of that day?

Shares of records follow from counts, areas from the sizes of the two classes, mean losses from their standard error. Of
what follows from none of these (R², calibration error, areas and mean F1 over more than two classes) nothing is said.
An interval allows for the records of the day being few, not for one day being unlike another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trimtab.measure.models import count_intervals as by_count
from trimtab.measure.models.confusion import Confusion
from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.losses import MEANS
from trimtab.measure.over_time.snapshots import CONFUSION, ERROR, Snapshot


def of_day(taken: Snapshot, metric: str, *, confidence: float = 0.95) -> Interval:
    """A metric of one day with its interval.

    Parameters
    ----------
    taken : Snapshot
    metric : str
        A key of its `metrics`, or `coverage` of its prediction intervals.
    confidence : float
        Between 0 and 1, both excluded.

    Returns
    -------
    Interval
        Without bounds where the metric is not known, or nothing can be said of how certain it is.

    Examples
    --------
    >>> from datetime import date
    >>> found = of_day(Snapshot(date(2024, 3, 1), 10, 10, {"accuracy": 0.9}), "accuracy")
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.9, 0.596, 0.982)
    """
    values = {**taken.metrics, "labelled": float(taken.labelled)}
    if metric == "coverage":
        covered = taken.intervals.get(metric, math.nan)
        return _share_of(covered, float(taken.labelled), confidence)
    return _of_values(values, metric, taken.confusion, confidence)


def of_segment(taken: Snapshot, segment: str, metric: str, *, confidence: float = 0.95) -> Interval:
    """The same of one segment of that day's records, by its name in `groups`."""
    return _of_values(taken.groups.get(segment, {}), metric, None, confidence)


def of_class(taken: Snapshot, label: str, metric: str, *, confidence: float = 0.95) -> Interval:
    """Precision, recall or F1 of one class, from the day's counts of outcomes by predictions.

    Raises
    ------
    ValueError
        For another metric.
    """
    if metric not in ("precision", "recall", "f1"):
        raise ValueError(f"a class has precision, recall and f1, not {metric}")
    if taken.confusion is None:
        value = taken.groups.get(f"class {label}", {}).get(metric, math.nan)
        return by_count.unknown(value, confidence)
    (hits, came), (_, said) = taken.confusion.found(label), taken.confusion.right(label)
    if metric == "f1":
        return by_count.overlap(hits, came + said - hits, confidence=confidence)
    return by_count.share(hits, came if metric == "recall" else said, confidence=confidence)


def _of_values(values: Mapping[str, float], metric: str, confusion: Confusion | None, confidence: float) -> Interval:
    value, records = values.get(metric, math.nan), values.get("labelled", 0.0)
    if math.isnan(value):
        return by_count.unknown(math.nan, confidence)
    if metric in MEANS:
        error = values.get(metric + ERROR, math.nan)
        return by_count.mean_loss(value, error, int(records), confidence=confidence)
    if metric == "accuracy":
        return _share_of(value, records, confidence)
    if set(CONFUSION) <= values.keys() and metric in _OF_TWO:
        return _OF_TWO[metric](_Binary(value, *(int(values[name]) for name in CONFUSION)), confidence)
    if confusion is not None and metric in ("recall", "balanced_accuracy"):
        came = [confusion.found(label) for label in confusion.labels]
        parts = [by_count.share(*one, confidence=confidence) for one in came if one[1]]
        return by_count.mean_of(parts, confidence=confidence)
    return by_count.unknown(value, confidence)


def _share_of(value: float, records: float, confidence: float) -> Interval:
    return by_count.share(round(value * records) if records and math.isfinite(value) else 0, records,
                          confidence=confidence)


@dataclass(frozen=True)
class _Binary:
    """A metric's value beside the counts of a binary task, in the order of `CONFUSION`."""

    value: float
    hits: int
    false: int
    right: int
    missed: int

    def precision(self, confidence: float) -> Interval:
        """Of what was said to be positive."""
        return by_count.share(self.hits, self.hits + self.false, confidence=confidence)

    def recall(self, confidence: float) -> Interval:
        """Of what came positive."""
        return by_count.share(self.hits, self.hits + self.missed, confidence=confidence)

    def f1(self, confidence: float) -> Interval:
        """Of what came or was said to be positive."""
        return by_count.overlap(self.hits, self.hits + self.false + self.missed, confidence=confidence)

    def balanced(self, confidence: float) -> Interval:
        """Mean recall of both classes, of those that came."""
        sides = ((self.hits, self.hits + self.missed), (self.right, self.right + self.false))
        parts = [by_count.share(*one, confidence=confidence) for one in sides if one[1]]
        return by_count.mean_of(parts, confidence=confidence)

    def area(self, confidence: float) -> Interval:
        """The value as an area under the ROC curve."""
        positives, negatives = self.hits + self.missed, self.false + self.right
        return by_count.area(self.value, positives, negatives, confidence=confidence)


_OF_TWO: Mapping[str, Callable[[_Binary, float], Interval]] = {
    "precision": _Binary.precision, "recall": _Binary.recall, "f1": _Binary.f1,
    "balanced_accuracy": _Binary.balanced, "roc_auc": _Binary.area,
}

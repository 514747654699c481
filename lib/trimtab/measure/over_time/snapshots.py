"""How good was the model on each day?

A snapshot is one day of one version: how many predictions there were, how many outcomes are known, every metric that
can be computed on them, how wide prediction intervals are and whether they hold what came. Metrics of single days are
noisy; what is concluded rests on many of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import numpy as np

from trimtab.measure.models.confusion import Confusion
from trimtab.measure.models.losses import MEANS, standard_errors
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.performance import PER_CLASS
from trimtab.measure.models.weights import GroupWeights, weighted_sums
from trimtab.measure.over_time.daily import Daily

CONFUSION = ("true_positives", "false_positives", "true_negatives", "false_negatives")
ERROR = "_error"
"""What the name of a metric's standard error ends in; of those that are means of a loss, or the root of one."""
_LOSSES = ("log_loss", "mae")    # the proper ones, of which less is better and a day's value is a mean over records

_AT_ONCE = 500_000    # days times records


@dataclass(frozen=True)
class Snapshot:
    """One day of one version.

    Attributes
    ----------
    day : date
    rows, labelled : int
        Predictions, and those of them whose outcome is known.
    metrics : mapping
        By name, over the known outcomes, and in a binary task the four `CONFUSION` counts; of log loss, Brier score and
        errors the standard error beside it (`ERROR`). nan where a metric is undefined on that day, empty where no
        outcome is known.
    intervals : mapping
        Mean width of the prediction intervals (of sets of classes: their mean size), share of narrow ones, share of
        known outcomes that they held; empty where the version has none.
    groups : mapping
        Metrics of each class ("class True": precision, recall, F1) and of each segment ("origin = JFK": as `metrics`,
        and how many outcomes are `labelled`), as far as that day has any of its records with a known outcome.
    confusion : Confusion or None
        Known outcomes by predictions; those of several days add up. None in a regression, with more than
        `confusion.MOST_CLASSES` classes, without outcomes, and for a day that was scored before this was kept.
    """

    day: date
    rows: int
    labelled: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    confusion: Confusion | None = None

    @property
    def loss(self) -> float:
        """Mean loss per record: log loss or absolute error, or the share of errors where there are no probabilities."""
        return self.of(loss_of([self]))

    def of(self, loss: str) -> float:
        """Mean loss per record by name: `log_loss`, `mae` or `errors`; nan where it is not known."""
        return 1 - self.metrics.get("accuracy", np.nan) if loss == "errors" else self.metrics.get(loss, np.nan)


def loss_of(taken: Sequence[Snapshot]) -> str:
    """The loss that all days with known outcomes have, the proper one first: log loss and errors are no one series.

    Examples
    --------
    >>> scored = Snapshot(date(2024, 3, 1), 5, 5, {"log_loss": 0.4, "accuracy": 0.8})
    >>> unscored = Snapshot(date(2024, 3, 2), 5, 5, {"accuracy": 0.8})
    >>> loss_of([scored]), loss_of([scored, unscored])
    ('log_loss', 'errors')
    """
    known = [one.metrics for one in taken if one.labelled]
    return next((name for name in _LOSSES if known and all(name in metrics for metrics in known)), "errors")


def snapshots(
    outputs: Outputs | None, days: Array, rows: Mapping[date, int],
    intervals: Mapping[date, Mapping[str, float]] | None = None, segments: Mapping[str, Array] | None = None,
) -> list[Snapshot]:
    """Take the snapshots of some days.

    Parameters
    ----------
    outputs : Outputs or None
        Of the records whose outcome is known; None where none is.
    days : array of datetime64[D], shape (n,)
        Their days.
    rows : mapping
        Predictions by day, of all days of which a snapshot is wanted.
    intervals : mapping, optional
        Of these days, as `Ranges.by_day` tells them.
    segments : mapping, optional
        Masks of shape (n,) by name.

    Examples
    --------
    >>> outputs = Outputs((), np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    >>> days = np.array(["2024-03-01", "2024-03-02"], dtype="datetime64[D]")
    >>> [one.loss for one in snapshots(outputs, days, {date(2024, 3, 1): 1, date(2024, 3, 2): 4})]
    [0.5, 0.0]
    """
    known: Mapping[date, Mapping[str, float]] = intervals or {}
    found: dict[date, _Day] = {}
    if outputs is not None:
        for some in _few(sorted(rows), days):
            found |= _measured(outputs, days, some, segments or {})
    nothing = _Day(0, {}, {}, None)
    taken = ((day, found.get(day, nothing)) for day in sorted(rows))
    return [
        Snapshot(day, rows[day], one.labelled, one.metrics, known.get(day, {}), one.groups, one.confusion)
        for day, one in taken
    ]


class _Day(NamedTuple):
    """What is measured of one day."""

    labelled: int
    metrics: Mapping[str, float]
    groups: Mapping[str, Mapping[str, float]]
    confusion: Confusion | None


def _few(wanted: Sequence[date], days: Array) -> Iterator[list[date]]:
    """Days that have outcomes, in parts small enough to be measured at once: a day costs as much as all its part."""
    known, counts = np.unique(days, return_counts=True)
    chosen = np.isin(known, np.array(wanted, dtype="datetime64[D]"))
    some: list[date] = []
    records = 0
    for day, count in zip(known[chosen].tolist(), counts[chosen].tolist(), strict=True):
        if some and (len(some) + 1) * (records + count) > _AT_ONCE:
            yield some
            some, records = [], 0
        some, records = [*some, day], records + count
    if some:
        yield some


def _measured(
    outputs: Outputs, days: Array, wanted: Sequence[date], segments: Mapping[str, Array]
) -> dict[date, _Day]:
    """What is measured of some days that all have outcomes."""
    dates = np.array(wanted, dtype="datetime64[D]")
    chosen = np.isin(days, dates)
    mine, of = outputs.take(chosen), np.searchsorted(dates, days[chosen])
    metrics, classes = _metrics(mine, of, len(dates)), _classes(mine, of, len(dates))
    parts = {name: mask[chosen] for name, mask in segments.items()}
    of_segments = {name: _metrics(mine.take(mask), of[mask], len(dates)) for name, mask in parts.items()}
    found = {}
    for place, day in enumerate(dates.tolist()):
        here = of == place
        groups = dict(classes[place])
        for name, mask in parts.items():
            if labelled := int((mask & here).sum()):
                groups[name] = of_segments[name][place] | {"labelled": float(labelled)}
        found[day] = _Day(int(here.sum()), metrics[place], groups, Confusion.of(mine.take(here)))
    return found


def confused(taken: Sequence[Snapshot]) -> Confusion | None:
    """Outcomes by predictions over some days; None unless it is known of each day that has outcomes.

    Examples
    --------
    >>> day = Snapshot(date(2024, 3, 1), 5, 5, {}, confusion=Confusion(("a", "b"), ((2, 1), (0, 2))))
    >>> found = confused([day, day])
    >>> None if found is None else found.records
    10
    """
    known = [one.confusion for one in taken if one.labelled]
    total = Confusion((), ())
    for one in known:
        if one is None:
            return None
        total = total + one
    return total if known else None


def _metrics(outputs: Outputs, of: Array, days: int) -> list[dict[str, float]]:
    """By day all metrics, how certain they are, and in a binary task the counts that most follow from."""
    each = GroupWeights(np.eye(days), of)
    values = {name: metric.bind(outputs)(each) for name, metric in METRICS.items() if metric.applies(outputs)}
    values |= {name + ERROR: standard_errors(name, outputs)(each) for name in MEANS if name in values}
    if outputs.positive is not None:
        came, said = outputs.actual == outputs.positive, outputs.predicted == outputs.positive
        counts = (came & said, ~came & said, ~came & ~said, came & ~said)
        values |= {name: weighted_sums(each, count) for name, count in zip(CONFUSION, counts, strict=True)}
    return [dict(zip(values, row, strict=True)) for row in np.transpose([*values.values()]).tolist()]


def _classes(outputs: Outputs, of: Array, days: int) -> list[dict[str, dict[str, float]]]:
    """By day the metrics of each class that occurs."""
    if not outputs.labels:
        return [{} for _ in range(days)]
    each = GroupWeights(np.eye(days), of)
    values = {name: METRICS[name].bind_per_class(outputs)(each) for name in PER_CLASS}
    occurs = each.tally(outputs.actual, len(outputs.labels)) > 0
    return [
        {f"class {label}": {name: float(by[day, code]) for name, by in values.items()}
         for code, label in enumerate(outputs.labels) if occurs[day, code]}
        for day in range(days)
    ]


def daily_losses(taken: Sequence[Snapshot], loss: str | None = None) -> Daily:
    """The mean loss of each day of which any outcome is known, the oldest first.

    Parameters
    ----------
    loss : str, optional
        Which one, as `Snapshot.of` names it; by default the one that all of these days have.
    """
    name = loss or loss_of(taken)
    return _daily(taken, [one.of(name) for one in taken])


def daily_metric(taken: Sequence[Snapshot], metric: str) -> Daily:
    """A metric on each day of which it is known, the oldest first.

    Examples
    --------
    >>> days = [Snapshot(date(2024, 3, 2), 5, 5, {"f1": 0.4}), Snapshot(date(2024, 3, 1), 9, 9, {"f1": float("nan")})]
    >>> daily_metric(days, "f1").means.tolist()
    [0.4]
    """
    return _daily(taken, [one.metrics.get(metric, np.nan) for one in taken])


def _daily(taken: Sequence[Snapshot], values: Sequence[float]) -> Daily:
    """One value of each day, where it is a number and outcomes are known."""
    known = {one.day: (value, one.labelled) for one, value in zip(taken, values, strict=True)
             if one.labelled and np.isfinite(value)}
    days = sorted(known)
    means, counts = np.array([known[day][0] for day in days]), np.array([known[day][1] for day in days], dtype=np.int64)
    return Daily(np.array(days, dtype="datetime64[D]"), means, counts)

"""How good is a model overall, per class and per segment, and how do two differ on the same records?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.measure.models.intervals import (
    USUAL,
    Interval,
    Measure,
    PairedDifference,
    Resampling,
    intervals,
    paired_differences,
)
from trimtab.measure.models.metrics import METRICS, metric
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.wording import plural

if TYPE_CHECKING:
    import pandas as pd

OVERALL: Mapping[str, tuple[str, ...]] = {
    "binary": ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss"),
    "multiclass": ("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"),
    "regression": ("mae", "rmse", "r2"),
}
PER_CLASS = ("precision", "recall", "f1")
_MEANS = {"balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc"}    # over classes, if none is positive
_OF_POSITIVES = {"recall", "f1", "pr_auc", "precision_at_recall_80"}


@dataclass(frozen=True)
class Performance:
    """Metrics of one model with their intervals.

    Attributes
    ----------
    rows : int
        Records with a known outcome.
    values : mapping
        Interval by what was measured.
    support : mapping
        Records that each measure rests on: all, those of the class, those in the segment.
    """

    rows: int
    values: Mapping[Measure, Interval]
    support: Mapping[Measure, int]

    def __getitem__(self, name: str) -> Interval:
        return self.values[Measure(name)]

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.3f}" for name, value in self.overall().items())
        return f"<Performance on {plural(self.rows, 'record')}: {told or 'nothing measured'}>"

    def overall(self) -> dict[str, float]:
        """The metrics over all records, by name."""
        return {m.metric: i.value for m, i in self.values.items() if m.label is None and m.segment is None}

    def to_frame(self) -> pd.DataFrame:
        """One row per metric and group."""
        import pandas as pd

        rows = [
            {
                "group": group_name(m), "metric": m.metric, "records": self.support[m],
                "value": i.value, "low": i.low, "high": i.high,
            }
            for m, i in self.values.items()
        ]
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class Evaluation:
    """Champion and challenger on the same records; without a champion only the challenger.

    Attributes
    ----------
    rows : int
        Records of the holdout that both were held to.
    challenger : Performance
        The challenger alone.
    differences : mapping
        Challenger against champion by what was measured; empty without a champion.
    labels, segments : tuple of str
        The groups that exist, for criteria per class and per segment.
    """

    rows: int
    challenger: Performance
    differences: Mapping[Measure, PairedDifference]
    labels: tuple[str, ...]
    segments: tuple[str, ...]


def group_name(measure: Measure) -> str:
    """The group of records that a measure speaks of, in words.

    Examples
    --------
    >>> group_name(Measure("recall", "True")), group_name(Measure("accuracy", segment="origin = JFK"))
    ('class True', 'origin = JFK')
    """
    parts = [f"class {measure.label}"] if measure.label is not None else []
    parts += [measure.segment] if measure.segment is not None else []
    return ", ".join(parts) or "all"


def segment_masks(columns: Mapping[str, pd.Series[Any]]) -> dict[str, Array]:
    """Which records are in which segment: a boolean mask per column and value; null is no segment.

    Examples
    --------
    >>> import pandas as pd
    >>> {name: mask.tolist() for name, mask in segment_masks({"site": pd.Series(["a", None, "b"])}).items()}
    {'site = a': [True, False, False], 'site = b': [False, False, True]}
    """
    return {
        f"{name} = {value}": (values == value).to_numpy(dtype=bool)
        for name, values in columns.items() for value in sorted(values.dropna().unique(), key=str)
    }


def told_apart(name: str, difference: Interval) -> str:
    """Whether the interval of a difference (challenger minus champion) says better or worse.

    Examples
    --------
    >>> told_apart("log_loss", Interval(-0.02, -0.03, -0.01, 0.95, 0.005))
    'better'
    >>> told_apart("roc_auc", Interval(0.01, -0.01, 0.03, 0.95, 0.01))
    'not told apart'
    """
    found = gain(name, difference)
    return "better" if found.low > 0 else "worse" if found.high < 0 else "not told apart"


def gain(name: str, difference: Interval) -> Interval:
    """A difference (challenger minus champion), turned round where less is better: a plus is always an improvement.

    Examples
    --------
    >>> found = gain("log_loss", Interval(-0.02, -0.03, -0.01, 0.95, 0.005))
    >>> found.value, found.low, found.high
    (0.02, 0.01, 0.03)
    """
    if METRICS[name].greater_is_better:
        return difference
    return replace(difference, value=-difference.value, low=-difference.high, high=-difference.low)


def measure_performance(
    outputs: Outputs,
    *,
    segments: Mapping[str, Array] | None = None,
    days: Array | None = None,
    resampling: Resampling = USUAL,
) -> Performance:
    """Measure what is usually asked for: the task's metrics over all, per class, and per segment.

    Parameters
    ----------
    outputs : Outputs
        Outcomes and predictions.
    segments : mapping, optional
        Boolean masks by the segment's name.
    days : array, shape (n,), optional
        The day of each record; records of one day share their luck.
    resampling : Resampling
        What intervals are read off.
    """
    names = [name for name in OVERALL[outputs.task] if METRICS[name].applies(outputs)]
    per_class = PER_CLASS if outputs.labels else ()
    found = intervals(names, outputs, per_class=per_class, segments=segments, groups=days, resampling=resampling)
    wanted = {m: i for m, i in found.items() if m.label is None or m.segment is None}
    return Performance(len(outputs), wanted, _support(wanted, outputs, segments))


def evaluate_pair(
    challenger: Outputs,
    champion: Outputs | None,
    *,
    metrics: Sequence[str] = (),
    per_class: Sequence[str] = (),
    segments: Mapping[str, Array] | None = None,
    days: Array | None = None,
    resampling: Resampling = USUAL,
) -> Evaluation:
    """Hold two models to the same records.

    Parameters
    ----------
    challenger, champion : Outputs
        For the same records in the same order.
    metrics, per_class : sequence of str
        Measured besides the usual ones.
    segments, days, resampling
        As for `measure_performance`.

    Raises
    ------
    ValueError
        When the two do not rest on the same records, or a metric is unknown or not defined for the task.

    Notes
    -----
    A metric that needs probabilities is left out where a model gives none: of the differences when either gives none,
    of the challenger's own values when it does not. A gate that asks for it then finds nothing, which is no yes.
    """
    names = _computable(dict.fromkeys([*OVERALL[challenger.task], *metrics]), challenger)
    by_class = list(dict.fromkeys([*(PER_CLASS if challenger.labels else ()), *per_class]))
    if champion is None:
        alone = intervals(
            names, challenger, per_class=by_class, segments=segments, groups=days, resampling=resampling)
        differences: dict[Measure, PairedDifference] = {}
    else:
        both = _computable(names, champion)
        differences = paired_differences(
            both, challenger, champion, per_class=by_class, segments=segments, groups=days,
            resampling=resampling,
        )
        rest = [name for name in names if name not in both]
        more = intervals(rest, challenger, segments=segments, groups=days, resampling=resampling)
        alone = {m: pair.challenger for m, pair in differences.items()} | more
    performance = Performance(len(challenger), alone, _support(alone, challenger, segments))
    return Evaluation(len(challenger), performance, differences, challenger.labels, tuple(segments or ()))


def _computable(names: Iterable[str], outputs: Outputs) -> list[str]:
    """Without the metrics that need probabilities where there are none; other misfits are left to raise."""
    return [name for name in names if outputs.scores is not None or not metric(name).needs_scores]


def _support(
    measures: Mapping[Measure, object], outputs: Outputs, segments: Mapping[str, Array] | None
) -> dict[Measure, int]:
    """Records that each measure rests on, within its segment.

    Of a class those that are in it by outcome, and for precision not more than are called so; where one class is
    positive those that are (for precision, are called) positive, and for a ranking the rarer of the two. A mean over
    classes rests on no more than its rarest class.
    """
    masks = {None: np.ones(len(outputs), dtype=bool)} | dict(segments or {})
    codes = {label: code for code, label in enumerate(outputs.labels)}

    def _count(one: Measure) -> int:
        chosen = masks[one.segment]
        if one.label is not None:
            members, called = (int((chosen & (who == codes[one.label])).sum())
                               for who in (outputs.actual, outputs.predicted))
            return min(members, called) if one.metric == "precision" else members
        if outputs.positive is None:
            sizes = np.bincount(outputs.actual[chosen]) if outputs.labels and one.metric in _MEANS else np.zeros(0)
            return int(sizes[sizes > 0].min()) if sizes.any() else int(chosen.sum())
        if one.metric == "precision":
            return int((chosen & (outputs.predicted == outputs.positive)).sum())
        positives = int((chosen & (outputs.actual == outputs.positive)).sum())
        if one.metric in _OF_POSITIVES:
            return positives
        return min(positives, int(chosen.sum()) - positives) if one.metric == "roc_auc" else int(chosen.sum())

    return {one: _count(one) for one in measures}

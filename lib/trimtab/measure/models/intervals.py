"""How certain is a measured value, and is the difference of two models more than chance? The paired bootstrap.

Records are drawn again and again, as `resampling` does it; both models are measured on the same draws. All metrics,
classes and segments share the draws of one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.measure.models.metrics import metric
from trimtab.measure.models.outputs import Array, Outputs, ratio
from trimtab.measure.models.resampling import USUAL, Floats, Interval, Resampling, as_columns, bootstrap
from trimtab.measure.models.weights import Statistic, Weights, taken

__all__ = [
    "USUAL",
    "Interval",
    "Measure",
    "PairedDifference",
    "Resampling",
    "interval",
    "intervals",
    "paired_difference",
    "paired_differences",
]


@dataclass(frozen=True)
class Measure:
    """What was measured: a metric, for one class or all (None), in one segment or everywhere (None)."""

    metric: str
    label: str | None = None
    segment: str | None = None


@dataclass(frozen=True)
class PairedDifference:
    """Two models on the same records: their values, challenger minus champion, and that divided by abs(champion).

    For metrics where less is better, a negative difference is the gain. ``relative`` is nan where the champion is 0.
    """

    champion: Interval
    challenger: Interval
    difference: Interval
    relative: Interval


def _bind(
    models: Sequence[Outputs],
    names: Sequence[str],
    per_class: Sequence[str],
    segments: Mapping[str, Array] | None,
) -> tuple[list[Measure], list[int], Statistic]:
    """Name all measures, count the records under each, and bind them: weights to (replicates, measures * models).

    Columns run over the measures of the first model, then over those of the second.
    """
    measures: list[Measure] = []
    sizes: list[int] = []
    parts: list[tuple[Array | None, list[list[Statistic]]]] = []
    for segment, chosen in [(None, None), *(segments or {}).items()]:
        index = None if chosen is None else _positions(segment, chosen, len(models[0]))
        subsets = [model if index is None else model.take(index) for model in models]
        parts.append((index, [_statistics(subset, names, per_class) for subset in subsets]))
        here = [Measure(name, None, segment) for name in dict.fromkeys(names)]
        here += [Measure(name, label, segment) for name in dict.fromkeys(per_class) for label in models[0].labels]
        measures += here
        sizes += [_rests_on(one, subsets[0]) for one in here]

    def _apply(weights: Weights) -> Floats:
        columns: list[list[Floats]] = [[] for _ in models]
        for index, bound in parts:
            own = weights if index is None else taken(weights, index)
            for model, statistics in enumerate(bound):
                columns[model] += [as_columns(statistic(own)) for statistic in statistics]
        return np.concatenate([column for model in columns for column in model], axis=1)

    return measures, sizes, _apply


def _rests_on(measure: Measure, outputs: Outputs) -> int:
    """Count the records that vary the measure; recall looks at those of its class only, which may be few."""
    if measure.metric != "recall" or (measure.label is None and outputs.positive is None):
        return len(outputs)
    code = outputs.positive if measure.label is None else outputs.labels.index(measure.label)
    return int((outputs.actual == code).sum())


def _statistics(outputs: Outputs, names: Sequence[str], per_class: Sequence[str]) -> list[Statistic]:
    whole = [metric(name).bind(outputs) for name in dict.fromkeys(names)]
    return whole + [metric(name).bind_per_class(outputs) for name in dict.fromkeys(per_class)]


def _positions(segment: str | None, chosen: Array, n: int) -> Array:
    mask = np.asarray(chosen)
    if mask.dtype != bool or mask.shape != (n,):
        raise ValueError(f"segment {segment!r} must be a boolean mask of shape ({n},), not {mask.dtype} {mask.shape}")
    return np.flatnonzero(mask)


def intervals(
    names: Sequence[str],
    outputs: Outputs,
    *,
    per_class: Sequence[str] = (),
    segments: Mapping[str, Array] | None = None,
    groups: Array | None = None,
    resampling: Resampling = USUAL,
) -> dict[Measure, Interval]:
    """Intervals of several metrics of one model, all from the same resamples; parameters as `paired_differences`.

    >>> outputs = Outputs(("a", "b"), np.array([0, 1] * 50), np.array([0, 1, 0, 0] * 25))
    >>> found = intervals(["accuracy"], outputs, per_class=["recall"], segments={"odd": np.arange(100) % 2 == 1})
    >>> found[Measure("accuracy")].value, found[Measure("recall", "b")].value
    (0.75, 0.5)
    >>> found[Measure("accuracy", segment="odd")].value
    0.5
    """
    measures, sizes, statistic = _bind([outputs], names, per_class, segments)
    if not measures:
        return {}
    settled = bootstrap(statistic, len(outputs), resampling=resampling, sizes=sizes, groups=groups)
    return dict(zip(measures, settled, strict=True))


def interval(name: str, outputs: Outputs, *, resampling: Resampling = USUAL) -> Interval:
    """Interval of one metric of one model; parameters as `paired_differences`.

    >>> outputs = Outputs((), np.arange(100.0), np.arange(100.0) + np.tile([1.0, 3.0], 50))
    >>> found = interval("mae", outputs)
    >>> found.value, 1.7 < found.low < found.high < 2.3
    (2.0, True)
    """
    return intervals([name], outputs, resampling=resampling)[Measure(name)]


def paired_differences(
    names: Sequence[str],
    challenger: Outputs,
    champion: Outputs,
    *,
    per_class: Sequence[str] = (),
    segments: Mapping[str, Array] | None = None,
    groups: Array | None = None,
    resampling: Resampling = USUAL,
) -> dict[Measure, PairedDifference]:
    """Compare two models on the same records and the same resamples.

    Parameters
    ----------
    names
        Metrics over all classes.
    challenger, champion
        Outputs for the same n records in the same order.
    per_class
        Metrics to compute for each label too: accuracy, precision, recall, f1.
    segments
        Names and boolean masks of shape (n,); everything is computed within each of them as well. They may overlap.
    groups, resampling
        As for `bootstrap`.

    Returns
    -------
    dict
        For everyone, then segment by segment (nan in an empty one): the names, then per-class metrics label by label.

    Raises
    ------
    ValueError
        When labels, positive class or outcomes of the two differ, a metric is unknown or does not apply, or a mask has
        another shape.

    Examples
    --------
    >>> actual = np.tile([0, 1], 100)
    >>> champion = Outputs(("no", "yes"), actual, np.zeros(200, dtype=int), positive=1)
    >>> challenger = Outputs(("no", "yes"), actual, np.tile([0, 1, 0, 0], 50), positive=1)
    >>> found = paired_differences(["accuracy"], challenger, champion)[Measure("accuracy")]
    >>> found.champion.value, found.challenger.value, found.difference.value, found.difference.low > 0
    (0.5, 0.75, 0.25, True)
    """
    _require_same_records(challenger, champion)
    measures, sizes, statistic = _bind([champion, challenger], names, per_class, segments)
    if not measures:
        return {}

    def _compare(weights: Weights) -> Floats:
        old, new = np.split(statistic(weights), 2, axis=1)
        return np.concatenate([old, new, new - old, ratio(new - old, np.abs(old))], axis=1)

    settled = bootstrap(_compare, len(champion), resampling=resampling, sizes=sizes * 4, groups=groups)
    return {one: PairedDifference(*settled[i :: len(measures)]) for i, one in enumerate(measures)}


def paired_difference(
    name: str, challenger: Outputs, champion: Outputs, *, resampling: Resampling = USUAL
) -> PairedDifference:
    """Compare two models by one metric; parameters and errors as `paired_differences`.

    >>> actual = np.arange(50.0)
    >>> found = paired_difference("mae", Outputs((), actual, actual + 1), Outputs((), actual, actual - 2))
    >>> found.difference.value, found.difference.high, found.relative.value
    (-1.0, -1.0, -0.5)
    """
    return paired_differences([name], challenger, champion, resampling=resampling)[Measure(name)]


def _require_same_records(challenger: Outputs, champion: Outputs) -> None:
    if len(challenger) != len(champion):
        raise ValueError(f"the challenger has {len(challenger)} records, the champion {len(champion)}")
    if (challenger.labels, challenger.positive) != (champion.labels, champion.positive):
        raise ValueError("challenger and champion differ in their labels or positive class")
    if not np.array_equal(challenger.actual, champion.actual):
        raise ValueError("challenger and champion differ in the outcomes, so these are not the same records")

"""How certain is a measured value, and is the difference of two models more than chance? The paired bootstrap.

Records are drawn with replacement, both models are measured on the same draws, and the spread over draws is read off as
an interval (Efron and Tibshirani, 1993). All metrics, classes and segments share the draws of one pass.

Records of one day share their luck. Where it is said which records belong together, whole groups are drawn instead
(Davison and Hinkley, 1997, section 3.8), if there are at least `FEWEST_GROUPS` of them. With day effects that make up
a twentieth to a tenth of the variance, 95 % intervals of accuracy then cover the true one as often as they say; with
records drawn by themselves they cover it in half of simulated windows (docs/benchmarks.md, "Days that share their
luck").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.metrics import metric
from trimtab.measure.models.outputs import Array, Outputs, ratio
from trimtab.measure.models.weights import GroupWeights, Statistic, Weights, taken

__all__ = [
    "Interval",
    "Measure",
    "PairedDifference",
    "bootstrap",
    "bootstrap_weights",
    "interval",
    "intervals",
    "paired_difference",
    "paired_differences",
]

Floats = NDArray[np.float64]

_COUNTS_AT_ONCE = 2**21  # small enough for a block to stay in cache while several metrics read it
_UNDEFINED_ALLOWED = 0.05  # share of replicates
FEWEST_GROUPS = 10
_LEVELS = 1_500    # of scores that are told apart where groups are drawn; the value itself looks at all


@dataclass(frozen=True)
class Interval:
    """A value and the range that covers the true one with the given confidence, both ends included.

    ``low``, ``high`` and ``standard_error`` are nan when the value is, when it rests on fewer than two records, or when
    it is undefined in more than 5 % of the replicates: the rest would be a biased choice of them. Up to that share,
    undefined replicates are left out. A width of zero says that no resample differed, as when a few records are all
    right: read it beside the number of records.
    """

    value: float
    low: float
    high: float
    confidence: float
    standard_error: float


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


def bootstrap_weights(n: int, replicates: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield how often each of n records is drawn when n are drawn with replacement, in blocks of replicates.

    Parameters
    ----------
    n
        Number of records, 0 or more.
    replicates
        Number of rows over all blocks.
    seed
        The same seed gives the same draws, whatever the size of the blocks.

    Yields
    ------
    ndarray
        Shape (rows, n), each row with sum n. A block has at most 2 million counts, or one row.

    Examples
    --------
    >>> [block.sum(axis=1).tolist() for block in bootstrap_weights(4, 3, seed=0)]
    [[4, 4, 4]]
    """
    rng = np.random.default_rng(seed)
    rows = max(1, _COUNTS_AT_ONCE // max(n, 1))
    dtype = np.int32 if n < 2**31 else np.int64
    for start in range(0, replicates, rows):
        # One byte is enough: a count above 255 has a chance of less than 1 / 255!.
        block = np.zeros((min(rows, replicates - start), n), dtype=np.uint8)
        if n:
            for row in block:
                row[:] = np.bincount(rng.integers(0, n, size=n, dtype=dtype), minlength=n)
        yield block


def _drawn_in_groups(
    statistics: Callable[[Weights], Array], value: Floats, replicates: int, seed: int, groups: Array
) -> Iterator[Floats]:
    """Replicates where groups from 0 on are drawn, without what merging levels of scores does to all of them."""
    units = int(groups.max()) + 1
    merged = _as_columns(statistics(GroupWeights(np.ones((1, units), dtype=np.uint8), groups, _LEVELS)))[0]
    for counts in bootstrap_weights(units, replicates, seed):
        yield _as_columns(statistics(GroupWeights(counts, groups, _LEVELS))) + (value - merged)


def bootstrap(
    statistics: Callable[[Weights], Array],
    n: int,
    *,
    replicates: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
    sizes: Sequence[int] | None = None,
    groups: Array | None = None,
) -> tuple[Interval, ...]:
    """Intervals of one or several statistics of the same n records.

    Parameters
    ----------
    statistics
        Takes weights (rows, n), returns (rows,) or (rows, m). Where groups are drawn, weights are `GroupWeights`.
    n
        Number of records.
    replicates
        Number of resamples; at least 2 / (1 - confidence) - 1, that is 39 for 0.95.
    confidence
        Between 0 and 1, both excluded.
    seed
        Of the resamples.
    sizes
        For each statistic the number of records that it rests on, when fewer than n (those of a segment or class).
    groups
        Shape (n,): what the records have in common, such as their day; fewer than `FEWEST_GROUPS` are no use.

    Returns
    -------
    tuple of Interval
        One per statistic; its value is that for weights of one.

    Raises
    ------
    ValueError
        When confidence or replicates are out of range.

    Notes
    -----
    Expanded percentile intervals (Hesterberg, 2015, "What teachers should know about the bootstrap"): percentiles are
    moved outwards by what Student's t adds to the normal distribution, because resamples of few records vary too
    little. With 50 records intervals of recall, which rests on a part of them, still cover somewhat less than they say.

    Examples
    --------
    >>> lengths = np.array([1.0, 2.0, 3.0, 4.0])
    >>> (mean,) = bootstrap(lambda weights: weights @ lengths / weights.sum(axis=1), 4)
    >>> mean.value, mean.low < 2.5 < mean.high
    (2.5, True)
    """
    _check(replicates, confidence)
    value = _as_columns(statistics(np.ones((1, n), dtype=np.uint8)))[0]
    together = _codes(groups, n)
    blocks: Iterator[Floats]
    if together is None:
        blocks = (_as_columns(statistics(weights)) for weights in bootstrap_weights(n, replicates, seed))
    else:
        blocks = _drawn_in_groups(statistics, value, replicates, seed, together)
    drawn = np.concatenate(list(blocks))
    most = n if together is None else int(together.max(initial=-1)) + 1
    rests_on = [min(size, most) for size in ([n] * len(value) if sizes is None else sizes)]
    return tuple(
        _summarise(float(value[i]), drawn[:, i], confidence=confidence, size=rests_on[i]) for i in range(len(value))
    )


def _codes(groups: Array | None, n: int) -> Array | None:
    """Groups as numbers from 0 on; None where there are too few to be drawn."""
    if groups is None:
        return None
    if np.shape(groups) != (n,):
        raise ValueError(f"groups must have shape ({n},), not {np.shape(groups)}")
    found, codes = np.unique(groups, return_inverse=True)
    return codes if len(found) >= FEWEST_GROUPS else None


def _check(replicates: int, confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, both excluded, not {confidence}")
    needed = int(np.ceil(2 / (1 - confidence) - 1 - 1e-9))  # 2 / (1 - 0.95) is a little more than 40
    if replicates < needed:
        raise ValueError(f"a confidence of {confidence} needs at least {needed} replicates, not {replicates}")


def _as_columns(values: Array) -> Floats:
    columns = np.asarray(values, dtype=np.float64)
    return columns[:, None] if columns.ndim == 1 else columns


def _summarise(value: float, drawn: Floats, *, confidence: float, size: int) -> Interval:
    defined = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or size < 2 or len(defined) < (1 - _UNDEFINED_ALLOWED) * len(drawn):
        return Interval(value, np.nan, np.nan, confidence, np.nan)
    tail = _tail(confidence, size)
    # Weibull's definition keeps the nominal share outside with few replicates (Davison and Hinkley, 1997, 5.2).
    low, high = np.quantile(defined, [tail, 1 - tail], method="weibull")
    return Interval(value, float(low), float(high), confidence, float(defined.std(ddof=1)))


def _tail(confidence: float, size: int) -> float:
    """Share of replicates to leave out at each end for a statistic that rests on so many records (at least 2)."""
    from scipy import special  # takes a second to import; a runner that never measures never waits

    widened = np.sqrt(size / (size - 1)) * special.stdtrit(size - 1, (1 - confidence) / 2)
    return float(special.ndtr(widened))


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
                columns[model] += [_as_columns(statistic(own)) for statistic in statistics]
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
    replicates: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
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
    settled = bootstrap(
        statistic, len(outputs), replicates=replicates, confidence=confidence, seed=seed, sizes=sizes, groups=groups
    )
    return dict(zip(measures, settled, strict=True))


def interval(
    name: str, outputs: Outputs, *, replicates: int = 500, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Interval of one metric of one model; parameters as `paired_differences`.

    >>> outputs = Outputs((), np.arange(100.0), np.arange(100.0) + np.tile([1.0, 3.0], 50))
    >>> found = interval("mae", outputs)
    >>> found.value, 1.7 < found.low < found.high < 2.3
    (2.0, True)
    """
    found = intervals([name], outputs, replicates=replicates, confidence=confidence, seed=seed)
    return found[Measure(name)]


def paired_differences(
    names: Sequence[str],
    challenger: Outputs,
    champion: Outputs,
    *,
    per_class: Sequence[str] = (),
    segments: Mapping[str, Array] | None = None,
    groups: Array | None = None,
    replicates: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
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
    groups, replicates, confidence, seed
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

    settled = bootstrap(
        _compare, len(champion), replicates=replicates, confidence=confidence, seed=seed, sizes=sizes * 4,
        groups=groups,
    )
    return {one: PairedDifference(*settled[i :: len(measures)]) for i, one in enumerate(measures)}


def paired_difference(
    name: str,
    challenger: Outputs,
    champion: Outputs,
    *,
    replicates: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Compare two models by one metric; parameters and errors as `paired_differences`.

    >>> actual = np.arange(50.0)
    >>> found = paired_difference("mae", Outputs((), actual, actual + 1), Outputs((), actual, actual - 2))
    >>> found.difference.value, found.difference.high, found.relative.value
    (-1.0, -1.0, -0.5)
    """
    found = paired_differences([name], challenger, champion, replicates=replicates, confidence=confidence, seed=seed)
    return found[Measure(name)]


def _require_same_records(challenger: Outputs, champion: Outputs) -> None:
    if len(challenger) != len(champion):
        raise ValueError(f"the challenger has {len(challenger)} records, the champion {len(champion)}")
    if (challenger.labels, challenger.positive) != (champion.labels, champion.positive):
        raise ValueError("challenger and champion differ in their labels or positive class")
    if not np.array_equal(challenger.actual, champion.actual):
        raise ValueError("challenger and champion differ in the outcomes, so these are not the same records")

"""How certain is a statistic of some records? They are drawn again and again, and it is looked at how far it spreads.

Records are drawn with replacement, and the spread over draws is read off as an interval (Efron and Tibshirani, 1993).

Records of one day share their luck. Where it is said which records belong together, whole groups are drawn instead
(Davison and Hinkley, 1997, section 3.8), if there are at least `FEWEST_GROUPS` of them. With day effects that make up
a twentieth to a tenth of the variance, 95 % intervals of accuracy then cover the true one as often as they say; with
records drawn by themselves they cover it in half of simulated windows (docs/benchmarks.md, "Days that share their
luck").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Array
from trimtab.measure.models.weights import GroupWeights, Weights

Floats = NDArray[np.float64]

_COUNTS_AT_ONCE = 2**21  # small enough for a block to stay in cache while several metrics read it
_UNDEFINED_ALLOWED = 0.05  # share of replicates
FEWEST_GROUPS = 10
_LEVELS = 1_500    # of scores that are told apart where groups are drawn; the value itself looks at all


@dataclass(frozen=True)
class Resampling:
    """How often records are drawn, and which range is read off.

    Attributes
    ----------
    replicates : int
        Number of resamples; at least 2 / (1 - confidence) - 1, that is 39 for 0.95.
    confidence : float
        Between 0 and 1, both excluded.
    seed : int
        Of the resamples.

    Raises
    ------
    ValueError
        When confidence or replicates are out of range.

    Examples
    --------
    >>> Resampling(replicates=100, confidence=0.99)
    Traceback (most recent call last):
    ValueError: a confidence of 0.99 needs at least 199 replicates, not 100
    """

    replicates: int = 500
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1, both excluded, not {self.confidence}")
        needed = int(np.ceil(2 / (1 - self.confidence) - 1 - 1e-9))  # 2 / (1 - 0.95) is a little more than 40
        if self.replicates < needed:
            raise ValueError(
                f"a confidence of {self.confidence} needs at least {needed} replicates, not {self.replicates}")


USUAL = Resampling()
"""What is done where nothing else is asked for."""


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
    statistics: Callable[[Weights], Array], value: Floats, resampling: Resampling, groups: Array
) -> Iterator[Floats]:
    """Replicates where groups from 0 on are drawn, without what merging levels of scores does to all of them."""
    units = int(groups.max()) + 1
    merged = as_columns(statistics(GroupWeights(np.ones((1, units), dtype=np.uint8), groups, _LEVELS)))[0]
    for counts in bootstrap_weights(units, resampling.replicates, resampling.seed):
        yield as_columns(statistics(GroupWeights(counts, groups, _LEVELS))) + (value - merged)


def bootstrap(
    statistics: Callable[[Weights], Array],
    n: int,
    *,
    resampling: Resampling = USUAL,
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
    resampling
        How often, and which range is read off.
    sizes
        For each statistic the number of records that it rests on, when fewer than n (those of a segment or class).
    groups
        Shape (n,): what the records have in common, such as their day; fewer than `FEWEST_GROUPS` are no use.

    Returns
    -------
    tuple of Interval
        One per statistic; its value is that for weights of one.

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
    value = as_columns(statistics(np.ones((1, n), dtype=np.uint8)))[0]
    together = _codes(groups, n)
    blocks: Iterator[Floats]
    if together is None:
        draws = bootstrap_weights(n, resampling.replicates, resampling.seed)
        blocks = (as_columns(statistics(weights)) for weights in draws)
    else:
        blocks = _drawn_in_groups(statistics, value, resampling, together)
    drawn = np.concatenate(list(blocks))
    most = n if together is None else int(together.max(initial=-1)) + 1
    rests_on = [min(size, most) for size in ([n] * len(value) if sizes is None else sizes)]
    return tuple(
        _summarise(float(value[i]), drawn[:, i], confidence=resampling.confidence, size=rests_on[i])
        for i in range(len(value))
    )


def _codes(groups: Array | None, n: int) -> Array | None:
    """Groups as numbers from 0 on; None where there are too few to be drawn."""
    if groups is None:
        return None
    if np.shape(groups) != (n,):
        raise ValueError(f"groups must have shape ({n},), not {np.shape(groups)}")
    found, codes = np.unique(groups, return_inverse=True)
    return codes if len(found) >= FEWEST_GROUPS else None


def as_columns(values: Array) -> Floats:
    """Values of one or several statistics as one column each: shape (rows,) becomes (rows, 1)."""
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

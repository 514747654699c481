"""Into which bins does a value of a column fall? Frozen on the reference, so that every later count is comparable.

Numeric columns have `FINE` bins of equal mass in the reference, and groups of them, about ten, on which the population
stability index is defined. The share of one bin bounds the error of a Kolmogorov-Smirnov statistic: 1/FINE for large
references, below 0.01 from 120 records on, and up to 1/n below that. The outer bins are open, so that an outlier cannot
stretch them. A value that holds a large share of the records (an atom: zero in a
zero-inflated column, both values of a binary one) has a bin to itself, and one that holds a tenth of them a group.

Nor can it move the limits of what counts as an outlier: of the moments that these are made from, values that are wild
in the reference are no part (`moments`).
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

FINE = 200
COARSE = 10
MAX_LEVELS = 10_000
BUCKETS = 127    # a prime, for what is left over by it depends on every bit of a checksum
OUTLIER_Z = 3.0
_IQR_OF_NORMAL = 1.349
_WILD = 5.0    # interquartile ranges beyond the quartiles: 7.4 standard deviations of a normal law
_NARROW, _TINY = 2.0**-400, 2.0**-600    # of a narrower sample squares are below what floats hold, save in tiny units
_FEWEST_OTHERS = 0.01    # share of the records that tells how far values lie that are not the commonest


@dataclass(frozen=True)
class NumericBins:
    """Bins of a numeric column.

    Attributes
    ----------
    edges : tuple of float
        Strictly increasing inner edges; bin i holds edges[i-1] < x ≤ edges[i], the first and last are open.
    groups : tuple of int
        Indices into `edges` at which the coarse bins end.
    low, high : float
        Mean ∓ 3 standard deviations of the reference, wild values left out as `moments` does; values beyond count as
        outliers. nan without values, and where their squares are beyond the range of floats.
    minimum, maximum : float
        Range of the reference; nan without values.
    scale : float
        Robust standard deviation of the reference: IQR / 1.349; where one value holds most of the records, which
        leaves nothing or next to nothing between the quartiles, the deviation that the limits are made from, or that
        of all values where that is 0. Above 0 unless the reference is constant; nan where the limits are.
    """

    edges: tuple[float, ...]
    groups: tuple[int, ...]
    low: float
    high: float
    minimum: float
    maximum: float
    scale: float

    @property
    def size(self) -> int:
        """Number of bins."""
        return len(self.edges) + 1

    @property
    def far(self) -> tuple[float, float]:
        """Limits that lie as far beyond the range as it is wide; what is beyond them is of another kind.

        Another unit, or a number that stands for something missing. Infinite where the range is too wide for floats.

        Examples
        --------
        >>> freeze_numeric([990.0, 1010.0, 1030.0]).far
        (950.0, 1070.0)
        """
        with np.errstate(over="ignore"):
            width = np.float64(self.maximum) - self.minimum
            return float(self.minimum - width), float(self.maximum + width)


@dataclass(frozen=True)
class CategoricalBins:
    """Levels of a categorical column in the reference, most frequent first; everything else counts as unseen."""

    levels: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of bins."""
        return len(self.levels)


Bins = NumericBins | CategoricalBins
BinTable = Mapping[str, Bins]


def freeze_numeric(values: npt.ArrayLike) -> NumericBins:
    """Freeze bins on a sample of a numeric column.

    Parameters
    ----------
    values : array of float, shape (n,)
        Values of the reference; NaN and infinite ones are left out.

    Examples
    --------
    >>> freeze_numeric([0, 0, 0, 1]).edges == (np.nextafter(0, -1), 0.0, np.nextafter(1, 0), 1.0)
    True
    """
    sample = np.asarray(values, dtype=np.float64)
    sample = np.sort(sample[np.isfinite(sample)])
    if not len(sample):
        return NumericBins((), (), math.nan, math.nan, math.nan, math.nan, math.nan)
    quantiles = np.quantile(sample, np.arange(1, FINE) / FINE, method="inverted_cdf")
    atoms = _atoms(sample)
    below = just_under(atoms)
    edges = np.unique(np.concatenate([quantiles, atoms, below]))
    edges = edges[np.isfinite(edges)]
    coarse = _coarse(sample)
    mean, deviation = moments(sample)
    return NumericBins(
        edges=tuple(edges.tolist()),
        groups=tuple(np.searchsorted(edges, coarse[np.isfinite(coarse)]).tolist()),
        low=mean - OUTLIER_Z * deviation,
        high=mean + OUTLIER_Z * deviation,
        minimum=float(sample[0]),
        maximum=float(sample[-1]),
        scale=_scale(sample, deviation),
    )


def _coarse(ordered: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Tenths, and below those values that hold a tenth of the sample one more, where it sets anything apart."""
    tenths = np.unique(np.quantile(ordered, np.arange(1, COARSE) / COARSE, method="inverted_cdf"))
    begins, ends = (np.searchsorted(ordered, tenths, side=side) for side in ("left", "right"))
    held = (ends - begins) * COARSE >= len(ordered)
    # What would lie below the lowest edge, or between two of them, though in the sample nothing does.
    apart = begins > np.concatenate([[-1], ends[:-1]])
    return np.unique(np.concatenate([tenths, just_under(tenths[held & apart])]))


def moments(ordered: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of a sorted sample, without the values that are wild in it.

    Wild is what lies more than five interquartile ranges beyond the quartiles: fences as those of J. Tukey (1977),
    Exploratory Data Analysis, who calls "far out" what lies three beyond, but wider, so that skewed and heavy-tailed
    columns keep most of their tails. Where one value holds more than half of the records, quartiles are those of the
    others, as long as these are a hundredth of the records; else all others are wild.

    Parameters
    ----------
    ordered
        Shape (n,), n ≥ 1, ascending and finite.

    Returns
    -------
    mean, deviation : float
        Of a normal sample those of all its values, for wild begins 7.4 deviations from the mean. What is
        wild by any measure, such as -999 for what is missing, changes nothing while it is less than a quarter of the
        records. nan where squares are beyond the range of floats.

    Examples
    --------
    >>> moments(np.array([-999.0, *range(100), 1e6]))[0]
    49.5
    """
    centre = ordered[len(ordered) // 2]
    bulk = ordered if _majority(ordered) == 0 else ordered[ordered != centre]
    with np.errstate(over="ignore", invalid="ignore"):
        if len(bulk) < _FEWEST_OTHERS * len(ordered):
            quarter, three_quarters = centre, centre
        else:
            quarter, three_quarters = np.quantile(bulk, [0.25, 0.75])
        reach = _WILD * (three_quarters - quarter)
        if not math.isfinite(reach):
            return math.nan, math.nan
        tame = ordered[(ordered >= min(quarter, centre) - reach) & (ordered <= max(three_quarters, centre) + reach)]
        return _mean_and_deviation(tame)


def _majority(ordered: npt.NDArray[np.float64]) -> int:
    """How many times the value comes that more than half of a sorted sample have; 0 where there is none."""
    centre = ordered[len(ordered) // 2]
    times = int(np.searchsorted(ordered, centre, side="right") - np.searchsorted(ordered, centre, side="left"))
    return times if 2 * times > len(ordered) else 0


def _mean_and_deviation(ordered: npt.NDArray[np.float64]) -> tuple[float, float]:
    """nan where they are beyond the range of floats."""
    if ordered[0] == ordered[-1]:    # the mean of equal values is not always their value, nor their deviation 0
        return float(ordered[0]), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        unit = _TINY if ordered[-1] - ordered[0] < _NARROW else 1.0
        mean, deviation = float(ordered.mean()), float((ordered / unit).std()) * unit
    return (mean, deviation) if math.isfinite(deviation) else (math.nan, math.nan)


def _scale(ordered: npt.NDArray[np.float64], deviation: float) -> float:
    """See `NumericBins.scale`."""
    if math.isnan(deviation):
        return math.nan
    if _majority(ordered):
        return deviation or _mean_and_deviation(ordered)[1]
    quarter, three_quarters = np.quantile(ordered, [0.25, 0.75])
    return float(three_quarters - quarter) / _IQR_OF_NORMAL


def just_under(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The next smaller floats: what lies at or below them lies below the values."""
    with np.errstate(over="ignore"):    # below the smallest float there is only minus infinity
        return np.nextafter(np.asarray(values, dtype=np.float64), -np.inf)


def _atoms(ordered: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values that hold at least 1/FINE of the sample; all values where there are few."""
    values, counts = np.unique(ordered, return_counts=True)
    if len(values) <= COARSE:
        return values
    return values[(counts >= len(ordered) / FINE) & (counts > 1)]


def freeze_categorical(levels: Sequence[str]) -> CategoricalBins:
    """Freeze the levels of a categorical column, most frequent first; beyond `MAX_LEVELS` they count as unseen."""
    return CategoricalBins(tuple(levels[:MAX_LEVELS]))


def bucket(level: str) -> int:
    """The bucket of a level that the reference never had, from 0 to `BUCKETS` − 1: the same on every machine.

    Levels are many and not known beforehand, so that counting each of them for itself is no way; but how many records
    fall into each of a few buckets can be kept day by day, and added up.

    Examples
    --------
    >>> bucket("a new one")
    24
    """
    return zlib.crc32(level.encode()) % BUCKETS


@lru_cache(maxsize=256)    # a check looks at a column several times
def buckets_of(bins: CategoricalBins) -> tuple[int, ...]:
    """The bucket of each frozen level, as `bucket` gives it for others.

    Examples
    --------
    >>> buckets_of(freeze_categorical(["a new one", "another"]))
    (24, 56)
    """
    return tuple(bucket(level) for level in bins.levels)


def to_json(bins: Bins) -> dict[str, Any]:
    """Bins as plain values; `from_json` reads them back, equal to the last bit."""
    kind = "numeric" if isinstance(bins, NumericBins) else "categorical"
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(bins).items()}
    return {"kind": kind} | {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in plain.items()}


def from_json(plain: Mapping[str, Any]) -> Bins:
    """Read back what `to_json` wrote."""
    if plain["kind"] == "categorical":
        return CategoricalBins(tuple(plain["levels"]))
    numbers = {k: math.nan if plain[k] is None else plain[k] for k in ("low", "high", "minimum", "maximum", "scale")}
    return NumericBins(tuple(plain["edges"]), tuple(plain["groups"]), **numbers)


def same(one: Bins, other: Bins) -> bool:
    """Whether two definitions are equal; nan equals nan, which tuples compare by identity only."""
    return one == other or digest(one) == digest(other)


@lru_cache(maxsize=4096)
def digest(bins: Bins) -> str:
    """A short name for the bins: equal bins, equal digest."""
    return hashlib.sha256(json.dumps(to_json(bins), sort_keys=True).encode()).hexdigest()[:16]

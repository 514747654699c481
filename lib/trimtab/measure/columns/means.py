"""Has a proportion fallen, or a mean moved? For columns that are watched by one number: rates and confidences.

Both are read off profiles. A mean is that of the bins, each record counting as the middle of its bin, of which there
are so many that the difference is far below what matters; values beyond the reference's range count as its ends, so
that one wild value moves nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences
from trimtab.measure.columns.aspects import INDEPENDENT, SMALLEST_SAMPLE, Variation
from trimtab.measure.columns.bins import Bins, CategoricalBins, NumericBins
from trimtab.measure.columns.profile import ColumnProfile

Floats = npt.NDArray[np.float64]

YES = frozenset({"true", "True", "TRUE", "t", "1", "1.0", "yes", "Yes"})
"""Levels that count as having happened."""


@dataclass(frozen=True)
class Moved:
    """One column by one number.

    Attributes
    ----------
    name : str
    before, now : float
        Share in [0, 1], or mean in the column's unit; nan without values.
    deviations : float
        The change in standard deviations of the reference; nan where it has none, as where all values are equal.
    errors : float
        The change in standard errors, natural variation allowed for; nan where it was not tested.
    p_value : float
        Two-sided, of no change; nan with fewer than `SMALLEST_SAMPLE` values on either side.
    floor : float
        How far stretches of the reference itself lie from the rest of it, in the same deviations: a change must be
        larger.
    """

    name: str
    before: float
    now: float
    deviations: float
    errors: float
    p_value: float
    floor: float = 0.0

    @property
    def change(self) -> float:
        """Now less before."""
        return self.now - self.before

    @property
    def natural(self) -> bool:
        """Whether stretches of the reference differ from the rest of it as far; not where it has no deviation."""
        return abs(self.deviations) <= self.floor


def rate(name: str, reference: ColumnProfile, current: ColumnProfile, variation: Variation = INDEPENDENT) -> Moved:
    """Compare how often something happened: the share of records with a level in `YES`, of those with any.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> bins = freeze_categorical(["true", "false"])
    >>> found = rate("matched", ColumnProfile(bins, (900, 100)), ColumnProfile(bins, (80, 20)))
    >>> found.before, found.now, found.p_value < 0.01
    (0.9, 0.8, True)
    """
    (a, n), (b, m) = _happened(reference), _happened(current)
    if min(n, m) < SMALLEST_SAMPLE:
        return Moved(name, _ratio(a, n), _ratio(b, m), math.nan, math.nan, math.nan)
    by = variation.thinned("mean")
    thin = (round(a / by[0]), round(n / by[0])), (round(b / by[1]), round(m / by[1]))
    p_value = variation.of_share("mean", divergences.share_difference(*thin))
    before, now = a / n, b / m
    deviation = math.sqrt(before * (1 - before))
    pooled = (a + b) / (n + m)
    error = math.sqrt(pooled * (1 - pooled) * (by[0] / n + by[1] / m))
    floor = variation.floor.get("mean", 0.0)
    return Moved(name, before, now, _ratio(now - before, deviation), _ratio(now - before, error), p_value, floor)


def mean(name: str, reference: ColumnProfile, current: ColumnProfile, variation: Variation = INDEPENDENT) -> Moved:
    """Compare the means of a numeric column: a z-test, in units of Student's t where natural variation is known.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_numeric
    >>> from trimtab.measure.columns.in_memory import profile_array
    >>> before, now = np.linspace(0.5, 1, 500), np.linspace(0.4, 0.9, 500)
    >>> bins = freeze_numeric(before)
    >>> found = mean("confidence", profile_array(before, bins), profile_array(now, bins))
    >>> round(found.change, 2), found.p_value < 1e-6
    (-0.09, True)
    """
    from scipy import special

    values, unit = scaled_values_of(reference.bins)
    (before, spread, n), (now, other, m) = _moments(reference, values), _moments(current, values)
    if min(n, m) < SMALLEST_SAMPLE:
        return Moved(name, before * unit, now * unit, math.nan, math.nan, math.nan)
    by = variation.thinned("mean")
    error = math.sqrt(spread**2 * by[0] / n + other**2 * by[1] / m)
    errors = _ratio(now - before, error)
    p_value = 1.0 if not error and now == before else 0.0 if not error else float(2 * special.ndtr(-abs(errors)))
    floor, p_value = variation.floor.get("mean", 0.0), variation.of_share("mean", p_value)
    return Moved(name, before * unit, now * unit, _ratio(now - before, spread), errors, p_value, floor)


def values_of(bins: Bins) -> Floats:
    """The number that stands for each bin, shape (bins,), of whose mean a column is watched.

    Of levels 1 for those in `YES` and 0 for the others, so that the mean is a rate; of numbers the middle of the bin,
    which for the outer ones ends where the reference's range does.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
    >>> values_of(freeze_categorical(["false", "true"])).tolist()
    [0.0, 1.0]
    >>> values_of(freeze_numeric([1.0, 1.0, 2.0, 2.0])).round(2).tolist()
    [1.0, 1.0, 1.5, 2.0, 2.0]
    """
    if isinstance(bins, CategoricalBins):
        return np.array([level in YES for level in bins.levels], dtype=np.float64)
    ends = np.clip(np.concatenate([[bins.minimum], bins.edges, [bins.maximum]]), bins.minimum, bins.maximum)
    found: Floats = ends[:-1] / 2 + ends[1:] / 2    # the sum of two large ones may be beyond the range of floats
    return found


def scaled_values_of(bins: Bins) -> tuple[Floats, float]:
    """What `values_of` gives in a unit in which sums and squares are within the range of floats, and that unit.

    It is a power of two of the size of the largest, so that nothing is rounded; 1 without values.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_numeric
    >>> values, unit = scaled_values_of(freeze_numeric([-1e300, -1e300, 1e300, 1e300]))
    >>> bool(np.abs(values).max() < 2), float(values[0] * unit)
    (True, -1e+300)
    """
    values = values_of(bins)
    largest = float(np.abs(values).max(initial=0.0))
    unit = math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest > 0 else 1.0
    return values / unit, unit


def _happened(profile: ColumnProfile) -> tuple[int, int]:
    assert isinstance(profile.bins, CategoricalBins), "rates are watched by their levels"
    counts = np.asarray(profile.counts, dtype=np.float64)
    return int(counts @ values_of(profile.bins)), int(counts.sum())


def _moments(profile: ColumnProfile, values: Floats) -> tuple[float, float, int]:
    """Mean and standard deviation of what stands for the bins, and the number of values."""
    assert isinstance(profile.bins, NumericBins), "means are those of numbers"
    counts = np.asarray(profile.counts, dtype=np.float64)
    n = counts.sum()
    if not n or math.isnan(profile.bins.minimum):
        return math.nan, math.nan, 0
    centre = float(counts @ values / n)
    return centre, math.sqrt(float(counts @ (values - centre) ** 2 / n)), int(n)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan

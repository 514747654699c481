"""How far apart are two vectors of counts, and could it be chance?

Every function takes the reference's and the current window's counts over the same bins and returns a float that is nan
when either side is empty. Counts, not shares: how much two small windows differ by chance depends on their sizes.

SciPy's tests take a second to import, so each function imports what it needs: a runner that never measures never waits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.bins import NumericBins

SMOOTHING = 0.5
SMALLEST_EXPECTED = 10.0    # the usual five is for p-values about 0.05; a check of many columns looks farther out
EXACT_BELOW = 20.0
_ENOUGH_FOR_LIMIT = 1_000.0    # records

Counts = npt.NDArray[np.float64]


def psi(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Population stability index of two vectors of counts.

    Σ (q − p) · ln(q / p) over the bins that are not empty on both sides, with p and q smoothed by adding half a record
    to each bin and renormalised.

    Parameters
    ----------
    reference, current : array of int, shape (bins,)
        Counts.

    Returns
    -------
    float
        0 or more; below 0.10 is commonly read as stable, 0.10 to 0.25 as moderate, 0.25 and above as significant.
        nan when either side has no records.

    Notes
    -----
    Without any drift its expectation is `psi_by_chance`, so a value is to be read beside the two sizes. Source of the
    index: S. Kullback, Information Theory and Statistics (1959), as the symmetric divergence J.

    Examples
    --------
    >>> round(psi([500, 500], [600, 400]), 2)
    0.04
    """
    a, b = _occupied(reference, current)
    if not (a.sum() and b.sum()):
        return math.nan
    p = (a + SMOOTHING) / (a + SMOOTHING).sum()
    q = (b + SMOOTHING) / (b + SMOOTHING).sum()
    return float(((q - p) * np.log(q / p)).sum())


def psi_by_chance(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Expected PSI of two samples of these sizes from one distribution: (B − 1)(1/n + 1/m).

    From PSI · nm/(n+m) being close to χ² with B − 1 degrees of freedom, which holds where bins hold five records or
    more; with many nearly empty bins smoothing makes the true expectation smaller, so this is then an upper bound.

    Returns
    -------
    float
        0 or more; nan when either side has no records.

    Examples
    --------
    >>> round(psi_by_chance([5] * 10, [5] * 10), 2)
    0.36
    """
    a, b = _occupied(reference, current)
    if not (a.sum() and b.sum()):
        return math.nan
    return float((len(a) - 1) * (1 / a.sum() + 1 / b.sum()))


def jensen_shannon(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Jensen-Shannon distance to base 2: 0 for equal shares, 1 for shares without overlap.

    Source: D. Endres and J. Schindelin, A new metric for probability distributions, IEEE Trans. Inf. Theory (2003).

    Returns
    -------
    float
        In [0, 1]; nan when either side has no records.

    Examples
    --------
    >>> jensen_shannon([10, 0], [0, 5])
    1.0
    """
    from scipy.spatial import distance

    a, b = _pair(reference, current)
    if not (a.sum() and b.sum()):
        return math.nan
    return float(np.nan_to_num(distance.jensenshannon(a, b, base=2)))


def jensen_shannon_by_chance(psi: float) -> float:
    """Jensen-Shannon distance of two samples from one distribution, from what PSI is by chance: √(PSI / (8 ln 2)).

    Root of its mean square, since near zero the squared distance in bits is PSI over 8 ln 2; where bins hold fewer than
    five records the true one is larger, with one or two in each by a sixth.

    Parameters
    ----------
    psi
        As `psi_by_chance` gives it.

    Returns
    -------
    float
        In [0, 1]; nan when PSI is.

    Examples
    --------
    >>> round(jensen_shannon_by_chance(psi_by_chance([50] * 10, [50] * 10)), 3)
    0.081
    """
    return min(math.sqrt(psi / (8 * math.log(2))), 1.0)


def kolmogorov_smirnov(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[float, float]:
    """Kolmogorov-Smirnov statistic of two binned samples, with its asymptotic p-value.

    Parameters
    ----------
    reference, current : array of int, shape (bins,)
        Counts in the order of the values.

    Returns
    -------
    statistic : float
        Largest difference of the cumulative shares at the edges, in [0, 1]; never above the unbinned statistic, and
        below it by at most the largest share of the reference in a bin. nan when either side has no records.
    p_value : float
        Two-sided; conservative for binned and tied values.

    Notes
    -----
    Where both sides together are worth 1,000 records or more, p is that of the limiting distribution at
    ``sqrt(n) D + 1 / (6 sqrt(n))`` (Vrbik, 2018, Small-sample corrections to Kolmogorov-Smirnov test statistic): within
    1 % of the exact one, which takes hundreds of times as long, where that is above 0.0001, and larger below.

    Examples
    --------
    >>> statistic, _ = kolmogorov_smirnov([5, 5, 0], [0, 5, 5])
    >>> statistic
    0.5
    """
    a, b = _pair(reference, current)
    n, m = a.sum(), b.sum()
    if not (n and m):
        return math.nan, math.nan
    statistic = float(np.abs(np.cumsum(a) / n - np.cumsum(b) / m).max())
    return statistic, _ks_p_value(statistic, n * m / (n + m))


def _ks_p_value(statistic: float, records: float) -> float:
    """Of one sample of so many records."""
    from scipy import special, stats

    if records < _ENOUGH_FOR_LIMIT:
        return float(stats.kstwo.sf(statistic, max(round(records), 1)))
    root = math.sqrt(records)
    return float(special.kolmogorov(statistic * root + 1 / (6 * root)))


def chi_square(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[float, float]:
    """Pearson's χ² on the 2 × k table of counts, so that the reference's own sampling error counts too.

    Levels in which either side expects fewer than ten records are counted as one, and where that one still is too
    small, together with the smallest of the others. The most frequent level is never among them.

    Parameters
    ----------
    reference, current : array of int, shape (k,)
        Counts that could have been others on both sides: levels, but not bins that were cut at the reference's own
        quantiles. For those see `quantile_cells`.

    Returns
    -------
    statistic : float
        0 or more; nan when either side has no records, 0 when fewer than two levels are left.
    p_value : float
        1 when fewer than two levels are left: nothing can differ.

    Examples
    --------
    >>> statistic, p_value = chi_square([500, 500], [560, 440])
    >>> round(statistic, 2), round(p_value, 4)
    (7.23, 0.0072)
    """
    return pearson(*pooled(reference, current))


def pooled(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[Counts, Counts]:
    """The cells that `chi_square` is computed on: frequent levels by themselves, all others as one.

    Examples
    --------
    >>> [side.tolist() for side in pooled([500, 480, 20, 5], [60, 30, 4, 6])]
    [[500.0, 505.0], [60.0, 40.0]]
    """
    a, b = _occupied(reference, current)
    if not (a.sum() and b.sum()):
        return a, b
    rare = rare_cells(a, b)
    if rare.any() and not rare.all() and rare_cells(*_together(a, b, rare))[-1]:
        rare[np.argmin(np.where(rare, np.inf, a + b))] = True
    rare[np.argmax(a + b)] = False
    return _together(a, b, rare)


def _together(a: Counts, b: Counts, chosen: npt.NDArray[np.bool_]) -> tuple[Counts, Counts]:
    """Both vectors with the chosen cells counted as one, which comes last; without it where none is chosen."""
    if not chosen.any():
        return a, b
    return np.append(a[~chosen], a[chosen].sum()), np.append(b[~chosen], b[chosen].sum())


def pearson(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[float, float]:
    """Pearson's χ² on the 2 × k table of counts as it is, with its asymptotic p-value.

    Returns
    -------
    statistic : float
        0 or more; nan when either side has no records, 0 when fewer than two cells hold any.
    p_value : float
        Of two cells as `share_difference` gives it. Of more it is asymptotic: with three to ten cells alike, each of
        which expects five records or more, it is small no oftener than it should be; where one level dominates and the
        windows differ much in size, 0.001 is undercut about twice as often (docs/benchmarks.md, "Pearson's χ²").

    Examples
    --------
    >>> statistic, p_value = pearson([500, 500], [560, 440])
    >>> round(statistic, 2), round(p_value, 4)
    (7.23, 0.0072)
    """
    from scipy import special

    a, b = _occupied(reference, current)
    n, m = a.sum(), b.sum()
    if not (n and m):
        return math.nan, math.nan
    if len(a) < 2:
        return 0.0, 1.0
    statistic = float(((a * m - b * n) ** 2 / (a + b)).sum() / (n * m))
    if len(a) == 2:
        return statistic, share_difference((round(a[0]), round(n)), (round(b[0]), round(m)))
    return statistic, float(special.chdtrc(len(a) - 1, statistic))


def rare_cells(reference: npt.NDArray[Any], current: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which cells either side expects fewer than ten records of, if both are from one distribution and not empty.

    Examples
    --------
    >>> rare_cells(np.array([180.0, 10.0]), np.array([18.0, 1.0])).tolist()
    [False, True]
    """
    n, m = reference.sum(), current.sum()
    found: npt.NDArray[np.bool_] = (reference + current) * min(n, m) / (n + m) < SMALLEST_EXPECTED
    return found


def share_difference(reference: tuple[int, int], current: tuple[int, int]) -> float:
    """p-value for the difference of two shares, each given as (records with it, all records).

    Fisher's exact test where a cell expects fewer than twenty records, χ² elsewhere: far out, where a check of many
    columns looks, χ² on smaller cells alarms up to twice as often as it says.

    Returns
    -------
    float
        In [0, 1]; 1 when neither or all have it, nan when either side has no records.

    Examples
    --------
    >>> round(share_difference((0, 1000), (50, 1000)), 6)
    0.0
    """
    from scipy import special, stats

    (a, n), (b, m) = reference, current
    if not (n and m):
        return math.nan
    if a + b in (0, n + m):
        return 1.0
    table = np.array([[a, n - a], [b, m - b]])
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / (n + m)
    if expected.min() < EXACT_BELOW:
        return float(stats.fisher_exact(table).pvalue)
    return float(special.chdtrc(1, ((table - expected) ** 2 / expected).sum()))


def wasserstein(reference: npt.ArrayLike, current: npt.ArrayLike, bins: NumericBins) -> float:
    """Wasserstein-1 distance of two binned samples in robust standard deviations of the reference.

    The area between the two cumulative shares from the first edge to the last, each taken to rise evenly within a bin.
    What lies in the two outermost bins counts as if it lay at their inner edge, so that one far value does not outweigh
    all others: how far a tail reaches is for outliers and the range to tell. Where records lie within a bin is not
    known, so between values that are far apart, such as counts, the distance is off by up to that for the share of
    records that lies between.

    Returns
    -------
    float
        0 or more; inf when that is beyond what a float holds, nan when either side has no records or the reference is
        constant.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_numeric
    >>> bins = freeze_numeric([0.0, 1.0])
    >>> round(wasserstein([0, 1, 0, 1, 0], [0, 2, 0, 0, 0], bins) * bins.scale, 3)
    0.5
    """
    a, b = _pair(reference, current)
    if not (a.sum() and b.sum()) or not bins.scale > 0:
        return math.nan
    return float(distance_between((np.cumsum(a) / a.sum() - np.cumsum(b) / b.sum())[:-1], bins))


def distance_between(gaps: npt.NDArray[np.float64], bins: NumericBins) -> npt.NDArray[np.float64]:
    """Wasserstein distance, in robust standard deviations, from the gaps between cumulative shares at each edge.

    Parameters
    ----------
    gaps : array, shape (..., edges)
        With their signs.

    Returns
    -------
    array, shape (...)
        As `wasserstein`, for bins with a scale above 0.
    """
    left, right = gaps[..., :-1], gaps[..., 1:]
    both = np.abs(left) + np.abs(right)
    # The area under a straight line from one gap to the next; where it crosses zero, that of two triangles.
    crossed = (left**2 + right**2) / np.where(both > 0, both, 1.0)
    mean = np.where(left * right < 0, crossed, both) / 2
    with np.errstate(over="ignore", invalid="ignore"):    # a reference that fills the range of floats
        areas = np.where(mean > 0, mean * np.clip(np.diff(np.asarray(bins.edges)), 0, None), 0.0)
        found: npt.NDArray[np.float64] = areas.sum(axis=-1) / bins.scale
    return found


def false_discovery(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Benjamini-Hochberg adjusted p-values; nan stays nan and does not count.

    Examples
    --------
    >>> false_discovery([0.01, 0.04, float("nan")]).tolist()
    [0.02, 0.04, nan]
    """
    from scipy import stats

    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, math.nan)
    tested = ~np.isnan(p)
    if tested.any():
        adjusted[tested] = stats.false_discovery_control(p[tested])
    return adjusted


def _pair(
    reference: npt.ArrayLike, current: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"counts over the same bins are needed, not shapes {a.shape} and {b.shape}")
    return a, b


def _occupied(
    reference: npt.ArrayLike, current: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both vectors without the bins that are empty on both sides."""
    a, b = _pair(reference, current)
    used = a + b > 0
    return a[used], b[used]

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

from trimtab.measure.bins import NumericBins

SMOOTHING = 0.5
SMALLEST_EXPECTED = 5.0


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

    Examples
    --------
    >>> statistic, _ = kolmogorov_smirnov([5, 5, 0], [0, 5, 5])
    >>> statistic
    0.5
    """
    from scipy import stats

    a, b = _pair(reference, current)
    n, m = a.sum(), b.sum()
    if not (n and m):
        return math.nan, math.nan
    statistic = float(np.abs(np.cumsum(a) / n - np.cumsum(b) / m).max())
    return statistic, float(stats.kstwo.sf(statistic, max(round(n * m / (n + m)), 1)))


def chi_square(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[float, float]:
    """Pearson's χ² on the 2 × k table of counts, so that the reference's own sampling error counts too.

    Levels in which either side expects fewer than five records are pooled.

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
    from scipy import stats

    a, b = _occupied(reference, current)
    n, m = a.sum(), b.sum()
    if not (n and m):
        return math.nan, math.nan
    rare = rare_cells(a, b)
    table = np.array([np.append(a[~rare], a[rare].sum()), np.append(b[~rare], b[rare].sum())])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    result = stats.chi2_contingency(table, correction=False)
    return float(result.statistic), float(result.pvalue)


def rare_cells(reference: npt.NDArray[Any], current: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which cells either side expects fewer than five records of, if both are from one distribution and not empty.

    Examples
    --------
    >>> rare_cells(np.array([90.0, 10.0]), np.array([9.0, 1.0])).tolist()
    [False, True]
    """
    n, m = reference.sum(), current.sum()
    found: npt.NDArray[np.bool_] = (reference + current) * min(n, m) / (n + m) < SMALLEST_EXPECTED
    return found


def share_difference(reference: tuple[int, int], current: tuple[int, int]) -> float:
    """p-value for the difference of two shares, each given as (records with it, all records).

    Fisher's exact test where a cell expects fewer than five records, χ² elsewhere.

    Returns
    -------
    float
        In [0, 1]; 1 when neither or all have it, nan when either side has no records.

    Examples
    --------
    >>> round(share_difference((0, 1000), (50, 1000)), 6)
    0.0
    """
    from scipy import stats

    (a, n), (b, m) = reference, current
    if not (n and m):
        return math.nan
    if a + b in (0, n + m):
        return 1.0
    table = np.array([[a, n - a], [b, m - b]])
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / (n + m)
    if expected.min() < SMALLEST_EXPECTED:
        return float(stats.fisher_exact(table).pvalue)
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def wasserstein(reference: npt.ArrayLike, current: npt.ArrayLike, bins: NumericBins) -> float:
    """Wasserstein-1 distance of two binned samples in robust standard deviations of the reference.

    The area between the two cumulative shares from the reference's minimum to its maximum: mass that lies beyond
    counts as if it lay at the end, so this is a lower bound for a window that leaves the reference's range.

    Returns
    -------
    float
        0 or more; inf when that is beyond what a float holds, nan when either side has no records or the reference is
        constant.

    Examples
    --------
    >>> from trimtab.measure.bins import freeze_numeric
    >>> bins = freeze_numeric([0.0, 1.0])
    >>> round(wasserstein([0, 1, 0, 1, 0], [0, 2, 0, 0, 0], bins) * bins.scale, 3)
    0.5
    """
    a, b = _pair(reference, current)
    if not (a.sum() and b.sum()) or not bins.scale > 0:
        return math.nan
    gap = np.abs(np.cumsum(a) / a.sum() - np.cumsum(b) / b.sum())[:-1]
    ends = np.append(np.asarray(bins.edges), bins.maximum)[1:]
    apart = gap > 0
    with np.errstate(over="ignore"):    # a reference that fills the range of floats around a tiny spread
        width = np.clip(ends - np.asarray(bins.edges), 0, None)
        return float((gap[apart] * width[apart]).sum() / bins.scale)


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

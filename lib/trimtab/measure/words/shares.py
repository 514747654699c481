"""Which of many shares differ between two sets of records, corrected for how many could?

Each cell is a thing that a record has or has not (a word, say), so each is a 2 × 2 table of its own. Most cells are
nearly empty: no share of theirs could ever be significant, so they do not count among the tests either.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_ROUNDING = 1 + 1e-6    # between two ways of computing one probability


def share_p_values(reference: npt.ArrayLike, n: int, current: npt.ArrayLike, m: int) -> Floats:
    """p-value of each cell for the difference of its two shares: Fisher's exact test, the smaller tail doubled.

    Parameters
    ----------
    reference, current : array of int, shape (cells,)
        Records in each cell; a record can be in many.
    n, m : int
        All records on either side, 1 or more.

    Returns
    -------
    array of float, shape (cells,)
        In [0, 1]; 1 in cells that no record is in, or every one.

    Examples
    --------
    >>> share_p_values([0, 500], 1000, [50, 500], 1000).round(6).tolist()
    [0.0, 1.0]
    """
    from scipy import stats

    a, b = np.asarray(reference, dtype=np.int64), np.asarray(current, dtype=np.int64)
    if not len(a):
        return np.empty(0)
    lower = stats.hypergeom.cdf(b, n + m, a + b, m)
    upper = stats.hypergeom.sf(b - 1, n + m, a + b, m)
    result: Floats = np.minimum(2 * np.minimum(lower, upper), 1.0)
    return result


def smallest_p_values(reference: npt.ArrayLike, n: int, current: npt.ArrayLike, m: int) -> Floats:
    """`share_p_values` of the cells that could hold the smallest one, or one below 0.05 / cells; nan elsewhere.

    Exact tests of a thousand cells take half a second. No p-value is below twice the probability of exactly
    what was counted, which is quickly computed, and that bound rules most cells out.

    Examples
    --------
    >>> smallest_p_values([0, 500], 1000, [50, 500], 1000).round(6).tolist()
    [0.0, nan]
    """
    a, b = np.asarray(reference, dtype=np.int64), np.asarray(current, dtype=np.int64)
    bound = 2 * _probability(b, a + b, n, m) / _ROUNDING
    found, smallest = np.full(len(a), np.nan), np.inf
    for cell in np.argsort(bound):
        if bound[cell] >= max(smallest, 0.05 / len(a)):
            break
        found[cell] = share_p_values(a[[cell]], n, b[[cell]], m)[0]
        smallest = min(smallest, found[cell])
    return found


def corrected(p_values: Floats, reference: npt.ArrayLike, n: int, current: npt.ArrayLike, m: int) -> Floats:
    """p-values times the number of cells that could have had one as small.

    Parameters
    ----------
    p_values : array of float, shape (cells,)
        Of the cells; nan stays nan.
    reference, n, current, m
        As in `share_p_values`.

    Returns
    -------
    array of float, shape (cells,)
        In [0, 1]; the smallest is the p-value of all cells together.

    Notes
    -----
    Holds however cells depend on each other. Source: R. Tarone, A modified Bonferroni method for discrete data,
    Biometrics (1990).

    Examples
    --------
    >>> corrected(np.array([0.001, 1.0]), [0, 1], 100, [10, 0], 100).tolist()
    [0.001, 1.0]
    """
    a, b = np.asarray(reference, dtype=np.int64), np.asarray(current, dtype=np.int64)
    least, most = np.maximum(a + b - n, 0), np.minimum(a + b, m)
    ends = np.minimum(_probability(least, a + b, n, m), _probability(most, a + b, n, m))
    attainable = np.sort(np.minimum(2 * ends, 1.0))
    possible = np.searchsorted(attainable, p_values * _ROUNDING, side="right")
    result: Floats = np.minimum(p_values * np.maximum(possible, 1), 1.0)
    return result


def _probability(count: Counts, both: Counts, n: int, m: int) -> Floats:
    """Probability that exactly so many of the cell's records are current ones."""
    result: Floats = np.exp(_choose(m, count) + _choose(n, both - count) - _choose(n + m, both))
    return result


def _choose(n: int, k: Counts) -> Floats:
    from scipy import special

    result: Floats = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    return result

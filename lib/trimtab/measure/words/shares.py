"""Which of many shares differ between two sets of records, corrected for how many could?

Each cell is a thing that a record has or has not (a word, say), so each is a 2 × 2 table of its own. Most cells are
nearly empty: no share of theirs could ever be significant, so they do not count among the tests either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_ROUNDING = 1 + 1e-6    # between two ways of computing one probability


def share_p_values(reference: npt.ArrayLike, n: npt.ArrayLike, current: npt.ArrayLike, m: npt.ArrayLike) -> Floats:
    """p-value of each cell for the difference of its two shares: Fisher's exact test, the smaller tail doubled.

    Parameters
    ----------
    reference, current : array of int, shape (cells,)
        Records in each cell; a record can be in many.
    n, m : int, or array of int, shape (cells,)
        All records on either side, 1 or more; one number for each cell where not all records count for each.

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

    a, n, b, m = _four(reference, n, current, m)
    if not len(a):
        return np.empty(0)
    lower = stats.hypergeom.cdf(b, n + m, a + b, m)
    upper = stats.hypergeom.sf(b - 1, n + m, a + b, m)
    result: Floats = np.minimum(2 * np.minimum(lower, upper), 1.0)
    return result


def smallest_p_values(
    reference: npt.ArrayLike, n: npt.ArrayLike, current: npt.ArrayLike, m: npt.ArrayLike
) -> Floats:
    """`share_p_values` of the cells that could hold the smallest one, or one below 0.05 / cells; nan elsewhere.

    Exact tests of a thousand cells take half a second. No p-value is below twice the probability of exactly
    what was counted, which is quickly computed, and that bound rules most cells out.

    Examples
    --------
    >>> smallest_p_values([0, 500], 1000, [50, 500], 1000).round(6).tolist()
    [0.0, nan]
    """
    a, n, b, m = _four(reference, n, current, m)
    bound = 2 * _probability(b, a + b, n, m) / _ROUNDING
    found, order = np.full(len(a), np.nan), np.argsort(bound)
    below = int(np.searchsorted(bound[order], 0.05 / max(len(a), 1)))
    found[order[:below]] = _of_cells(order[:below], a, n, b, m)
    smallest = min(found[order[:below]], default=math.inf)
    for cell in order[below:]:
        if bound[cell] >= smallest:
            break
        found[cell] = _of_cells([cell], a, n, b, m)[0]
        smallest = min(smallest, found[cell])
    return found


def corrected(
    p_values: Floats, reference: npt.ArrayLike, n: npt.ArrayLike, current: npt.ArrayLike, m: npt.ArrayLike
) -> Floats:
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
    result: Floats = np.minimum(p_values * possible(p_values, reference, n, current, m), 1.0)
    return result


def possible(
    p_values: Floats, reference: npt.ArrayLike, n: npt.ArrayLike, current: npt.ArrayLike, m: npt.ArrayLike
) -> Counts:
    """How many cells could have had a p-value as small, given how many records are in each; 1 or more.

    Examples
    --------
    >>> possible(np.array([0.001, 1.0]), [0, 1], 100, [10, 0], 100).tolist()
    [1, 2]
    """
    a, n, b, m = _four(reference, n, current, m)
    least, most = np.maximum(a + b - n, 0), np.minimum(a + b, m)
    ends = np.minimum(_probability(least, a + b, n, m), _probability(most, a + b, n, m))
    attainable = np.sort(np.minimum(2 * ends, 1.0))
    count: Counts = np.maximum(np.searchsorted(attainable, p_values * _ROUNDING, side="right"), 1).astype(np.int64)
    return count


def _of_cells(cells: Sequence[int] | Counts, a: Counts, n: Counts, b: Counts, m: Counts) -> Floats:
    return share_p_values(a[cells], n[cells], b[cells], m[cells])


def _four(a: npt.ArrayLike, n: npt.ArrayLike, b: npt.ArrayLike, m: npt.ArrayLike) -> tuple[Counts, ...]:
    """All as long as there are cells."""
    return tuple(np.broadcast_arrays(*(np.asarray(one, dtype=np.int64) for one in (a, n, b, m))))


def _probability(count: Counts, both: Counts, n: Counts, m: Counts) -> Floats:
    """Probability that exactly so many of the cell's records are current ones."""
    result: Floats = np.exp(_choose(m, count) + _choose(n, both - count) - _choose(n + m, both))
    return result


def _choose(n: Counts, k: Counts) -> Floats:
    from scipy import special

    result: Floats = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    return result

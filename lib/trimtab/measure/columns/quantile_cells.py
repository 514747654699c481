"""Does a window differ from the reference over cells that were cut at the reference's own quantiles?

As many reference records lie in such a cell as were put there: that is no chance. What is drawn is how much of the
population the cell holds. Tests of two drawn samples do not know this; those here do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.divergences import SMALLEST_EXPECTED, Counts, pearson

_OF_REFERENCE = 20.0    # records in a cell


def merged(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[Counts, Counts]:
    """Neighbouring cells put together until each expects enough on both sides, by the reference's counts alone.

    Choosing cells by both counts, as `divergences.chi_square` does, would choose those where the current window happens
    to have few. Enough is ten expected records, and twenty of the reference, where it has as many for each of two
    cells: so many tell how much of the population a cell holds (`between_quantiles`).

    Examples
    --------
    >>> [side.tolist() for side in merged([100, 100, 100, 100], [4, 5, 6, 5])]
    [[200.0, 200.0], [9.0, 11.0]]
    """
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    n, m = a.sum(), b.sum()
    if not (n and m):
        return a, b
    enough = max(SMALLEST_EXPECTED * n / min(n, m), min(_OF_REFERENCE, n / 2))
    starts, room = [0], 0.0
    for cell, count in enumerate(a):
        if room >= enough:
            starts.append(cell)
            room = 0.0
        room += count
    if room < enough and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(a, starts), np.add.reduceat(b, starts)


def between_quantiles(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[float, float]:
    """Pearson's χ² for cells that were cut at quantiles of the reference, with its asymptotic p-value.

    Returns
    -------
    statistic : float
        0 or more; nan when either side has no records, 0 when fewer than two cells hold any.
    p_value : float
        With cells of twenty reference records or more, small no oftener than it should be, however large the window
        (docs/benchmarks.md, "Cells between quantiles"). Of two cells in a window no larger than the reference as
        `divergences.share_difference` gives it.

    Notes
    -----
    Pearson's statistic takes variances at the shares of both sides together. In a window larger than the
    reference that is nearly the window's own share, and a cell that happens to be narrow alarms for being narrow: with
    ten cells of ten reference records, 0.0005 is undercut ten times too often. So no more than half of the share is
    taken from the window. Windows no larger than the reference give Pearson's statistic itself.

    Examples
    --------
    >>> between_quantiles([50, 50], [20, 30]) == pearson([50, 50], [20, 30])
    True
    >>> statistic, p_value = between_quantiles([50, 50], [400, 600])
    >>> round(statistic, 2), round(p_value, 3)
    (3.67, 0.055)
    """
    from scipy import special

    a, b = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    n, m, used = a.sum(), b.sum(), a + b > 0
    if m <= n or not n or used.sum() < 2:
        return pearson(a, b)
    shares = a[used] / n, b[used] / m
    statistic = float(((shares[0] - shares[1]) ** 2 / (shares[0] + shares[1])).sum() * 2 * n * m / (n + m))
    return statistic, float(special.chdtrc(used.sum() - 1, statistic))

"""Does a table with many cells, of a few records each, differ between two windows?

Pearson's χ² adds up what single cells tell, whichever way each of them moved. With few records to a cell it is not
distributed as χ²; but without drift its mean and variance are known exactly, given how many records each cell has on
both sides together, and its skewness nearly so.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWEST_CELLS = 10    # of fewer cells the three moments tell too little of the tail


def divergence(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """How far two vectors of counts are apart: PSI in its quadratic form, Σ (q − p)² / r.

    p and q are the shares on either side, r those of both together. Where shares moved a little it is close to PSI;
    where one vanishes or appears it is less. Without any drift its expectation is `divergences.psi_by_chance` (times
    N / (N − 1) for N records of both), however few records a cell has, which that of PSI is not.

    Parameters
    ----------
    reference, current : array of float, shape (cells,)
        Counts.

    Returns
    -------
    float
        0 or more; nan when either side has no records.

    Examples
    --------
    >>> round(divergence([500, 500], [600, 400]), 2)
    0.04
    """
    a, b, n, m = _sides(reference, current)
    if not (n and m):
        return math.nan
    return float(((b / m - a / n) ** 2 / (a + b)).sum() * (n + m))


def pearson(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[float, float]:
    """Pearson's χ² on a sparse 2 × k table, scaled to be distributed as χ² without drift, and its degrees of freedom.

    Parameters
    ----------
    reference, current : array of float, shape (cells,)
        Counts, of `FEWEST_CELLS` occupied cells or more, which were chosen by the counts of both sides together.

    Returns
    -------
    statistic : float
        0 or more.
    directions : float
        Degrees of freedom, more than 0; no whole number.

    Raises
    ------
    ValueError
        When fewer cells are occupied, or a side is empty.

    Notes
    -----
    Mean and variance are those of all tables with the same margins: J. Haldane (1940), The mean and variance of χ²,
    when used as a test of homogeneity, when expectations are small, as D. Zelterman (1987), Goodness-of-fit tests for
    large sparse multinomial distributions, uses them. The third moment is that of cells which are drawn independently,
    given their sum (L. Holst, 1972, Asymptotic normality and efficiency for certain goodness-of-fit tests). The tail is
    Pearson's type III with these three moments: a χ² of as many degrees of freedom as have that skewness.

    It is meant for cells as `cells.finer_cells` chooses them. The tail has three moments right and no more, so p-values
    far below 0.001 are less exact than those above.

    Examples
    --------
    >>> statistic, directions = pearson([25] * 200, [5] * 100 + [0] * 100)
    >>> round(directions), p_value(statistic, directions) < 1e-9
    (164, True)
    """
    a, b, n, m = _sides(reference, current)
    if not (n and m) or len(a) < FEWEST_CELLS:
        raise ValueError(f"a table of {FEWEST_CELLS} cells or more with records on both sides is needed")
    found = divergence(a, b) * n * m / (n + m)
    both = a + b
    expected = (n + m) * (len(a) - 1) / (n + m - 1)
    variance = _variance(both, n, m)
    directions = _directions(_third_cumulant(both, n, m) / variance**1.5, len(a))
    scaled = directions + (found - expected) * math.sqrt(2 * directions / variance)
    return max(scaled, 0.0), directions


def p_value(statistic: float, directions: float) -> float:
    """Of what `pearson` gives, for records that are independent of each other; in [0, 1]."""
    from scipy import special

    return float(special.chdtrc(directions, statistic))


def _directions(skewness: float, cells: int) -> float:
    """Degrees of freedom of the χ² that has this skewness; where that is not above 0, of a table that is not sparse."""
    return 8 / skewness**2 if skewness > 0 else float(cells - 1)


def _variance(both: Floats, n: float, m: float) -> float:
    """Of χ² over all tables with so many records in each cell, and on each side."""
    total, cells = n + m, len(both)

    def _even(parts: int) -> float:
        return (parts - 1) * (total - parts) / (total - 1)

    def _uneven(sizes: Floats) -> float:
        return float(total * (1 / sizes).sum() - len(sizes) ** 2) / (total - 2)

    sides, levels = _uneven(np.array([n, m])), _uneven(both)
    evened = 2 * total / (total - 3) * (_even(2) - sides) * (_even(cells) - levels)
    return evened + total**2 / (total - 1) * sides * levels


def _third_cumulant(both: Floats, n: float, m: float) -> float:
    """Of Σ (x² / s − βx), x being what a binomial cell has beyond its mean, s its variance.

    The term in x, which sums to zero over the cells, is what makes the sum independent of how many records there are.
    """
    p, q = n / (n + m), m / (n + m)
    s, skew = both * p * q, p - q
    third, fourth = s * skew, s * (1 - 6 * p * q) + 3 * s**2
    fifth = s * skew * (1 - 12 * p * q) + 10 * s**2 * skew
    sixth = s * (1 - 30 * p * q * (1 - 4 * p * q)) + 15 * s**2 * (1 - 6 * p * q) + 10 * s**2 * skew**2 + 15 * s**3
    beta = skew * len(both) / float(s.sum())
    cubes = sixth / s**3 - 3 * beta * fifth / s**2 + 3 * beta**2 * fourth / s - beta**3 * third
    squares = fourth / s**2 - 2 * beta * third / s + beta**2 * s
    return float((cubes - 3 * squares + 2).sum()) - 8    # less one direction, in which the cells cannot vary


def _sides(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[Floats, Floats, float, float]:
    """Both vectors without the cells that are empty on both sides, and their sums."""
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"counts over the same cells are needed, not shapes {a.shape} and {b.shape}")
    used = a + b > 0
    return a[used], b[used], float(a.sum()), float(b.sum())

"""How much of a window would chance alone put where the reference had nothing?

A level that the reference never had, or a value beyond its range, is no news by itself: the reference is a sample, and
misses what is rare. How much it misses can be told from itself, by how much of it would be new to the rest of it.

A tail of many rare levels hides a single new one among those that it brings anyway. They are spread over buckets by a
hash, a few in each, so that a level of some size makes its bucket stand out.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences

Floats = npt.NDArray[np.float64]
_EXPONENTS = np.geomspace(1e-4, 50.0, 50)    # at any of them the bound holds; it is best near one of these
_BETWEEN = 40    # more of them around the best one


def unseen_by_chance(levels: npt.ArrayLike, unseen: int, current: int) -> tuple[float, float]:
    """Expected share of records with a level that the reference lacks, and the p-value of the share that was found.

    Parameters
    ----------
    levels : array of int, shape (levels,)
        Records of the reference by level.
    unseen, current : int
        Records of the current window with a level that the reference lacks, and all of them.

    Returns
    -------
    expected : float
        In [0, 1]: the share of reference records that are alone with their level (Good and Turing's estimate).
    p_value : float
        Of so many unseen records or more, in [0, 1]; 1 when there are none.
        Both are nan when either side has no records.

    Notes
    -----
    The true share of what the reference lacks is uncertain, too; its variance follows W. Esty (1983), A normal limit
    law for a nonparametric estimator of the coverage of a random sample. It is smoothed: one record is added to those
    that are alone, and levels that occur three or four times speak for ones that are missed like those that occur
    twice, so that a reference of few rare levels does not promise that there are no others. Source of the estimate:
    I. Good (1953), The population frequencies of species and the estimation of population parameters.

    Examples
    --------
    >>> expected, p_value = unseen_by_chance([500, 498, 1, 1], 30, 1000)
    >>> expected, p_value < 1e-6
    (0.002, True)
    """
    counts = np.asarray(levels)
    n = int(counts.sum())
    if not (n and current):
        return math.nan, math.nan
    alone, *few = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    mean = (alone + 1) / (n + 1)
    variance = max(alone + 1 + 2 * max(few) - alone**2 / n, mean) / n**2
    return alone / n, _at_least(unseen, current, mean**2 / variance, mean / variance)


def newcomer_by_chance(
    levels: npt.ArrayLike, reference: float, buckets: npt.ArrayLike, current: float
) -> tuple[float, float]:
    """Share that the fullest bucket holds beyond the others, and whether what the reference misses may fill it as much.

    Parameters
    ----------
    levels : array of float, shape (levels,)
        Records of both sides together by level, for all levels that the reference has.
    reference, current : float
        All records of either side. As the counts, they may be fewer than there are, where several count for one.
    buckets : array of float, shape (buckets,)
        Records of the current window with a level that the reference lacks, by bucket; two buckets or more.

    Returns
    -------
    share : float
        Of all current records, in [0, 1]: what the fullest bucket holds beyond the mean of the others, which is about
        what a single new level makes up.
    p_value : float
        In [0, 1], an upper bound; 1 when no record is unseen. Both are nan when either side has no records.

    Notes
    -----
    Were both sides drawn alike, each record of a level would be a current one with probability q = m / (n + m), and
    the reference would lack a level of c records with probability q^c at most (all of them current). So for each level
    of c records that it has, it lacks q^c / (1 − q^c) others on average, however large or many they are; these fall
    into buckets at random. That a single one of them fills a bucket is bounded by the sum of these numbers over all
    levels as large; that several smaller ones do together, by the moment generating function of what a bucket holds
    (H. Chernoff, 1952, A measure of asymptotic efficiency for tests of a hypothesis based on the sum of observations).
    Two levels are added to those known: one of a single record, and one as large as the newcomer would be, for that
    one may be of a size that all others are not. Where the other buckets hold more than all that explains, they say how
    much a bucket holds: one that does not stand out from them is no newcomer.

    Examples
    --------
    >>> tail = [400] * 20 + [2] * 50
    >>> newcomer_by_chance(tail, 4500, [4, 6, 2, 5], 4500)[1]
    1.0
    >>> share, p_value = newcomer_by_chance(tail, 4500, [4, 56, 2, 5], 4500)
    >>> round(share, 3), p_value < 1e-6
    (0.012, True)
    """
    held = np.asarray(buckets, dtype=np.float64)
    most = float(held.max())
    if not (reference > 0 and current > 0):
        return math.nan, math.nan
    if not most:
        return 0.0, 1.0
    others = float(held.sum() - most) / (len(held) - 1)
    alike = math.log(current / (reference + current))    # log q
    sizes, rates = _lacking(np.asarray(levels, dtype=np.float64), alike, len(held), others)
    newcomer = max(most - others, 1.0)
    sizes, rates = np.append(sizes, newcomer), np.append(rates, newcomer * alike - math.log(len(held)))
    single = sizes >= most
    together = _bound(sizes[~single], rates[~single], most)
    return (most - others) / current, min(float(np.exp(rates[single]).sum() + together) * len(held), 1.0)


def _lacking(levels: Floats, alike: float, buckets: int, others: float) -> tuple[Floats, Floats]:
    """Sizes of levels that the reference lacks, and the logarithm of how many of each a bucket holds on average."""
    sizes, times = np.unique(np.append(levels[levels > 0], 1.0), return_counts=True)
    rates = np.log(times) + sizes * alike - np.log(-np.expm1(sizes * alike)) - math.log(buckets)
    explained = float(np.exp(rates + np.log(sizes)).sum())
    return sizes, rates + (max(math.log(others / explained), 0.0) if others else 0.0)


def _bound(sizes: Floats, rates: Floats, found: float) -> float:
    """Bound of the probability that levels of these sizes, each a Poisson number of them, have so many records or more.

    Parameters
    ----------
    sizes, rates : array of float, shape (kinds,)
        Records of a level, and the logarithm of how many such levels there are on average.
    """
    if not len(sizes):
        return 0.0

    def _exponents(at: Floats) -> Floats:
        with np.errstate(over="ignore"):    # an infinite bound is none
            terms = np.exp(rates + at[:, None] * sizes).sum(axis=1)
        exponents: Floats = terms - np.exp(rates).sum() - at * found
        return exponents

    best = int(_exponents(_EXPONENTS).argmin())
    low, high = _EXPONENTS[max(best - 1, 0)], _EXPONENTS[min(best + 1, len(_EXPONENTS) - 1)]
    return math.exp(min(float(_exponents(np.linspace(low, high, _BETWEEN)).min()), 0.0))


def crowded_by_chance(
    reference_buckets: npt.ArrayLike, reference: float, buckets: npt.ArrayLike, current: float
) -> tuple[float, float]:
    """Share that the fullest bucket holds beyond that of the reference, where that has unseen records, too; p-value.

    Parameters
    ----------
    reference_buckets, buckets : array of float, shape (buckets,)
        Records on either side with a level that is not kept, by bucket.
    reference, current : float
        The records that buckets hold shares of: all; or the unseen ones, where levels were left out for being rare in
        the reference, for then there will be more of them than there were.

    Returns
    -------
    share : float
        Of the `current` records, in [0, 1].
    p_value : float
        In [0, 1]; two-sided, times the number of buckets. Both are nan when either side has no records.

    Examples
    --------
    >>> share, p_value = crowded_by_chance([4, 7, 2], 1000, [5, 55, 3], 1000)
    >>> round(share, 3), p_value < 1e-6
    (0.048, True)
    """
    before, now = (np.asarray(side, dtype=np.float64) for side in (reference_buckets, buckets))
    if not (reference > 0 and current > 0):
        return math.nan, math.nan
    beyond = now / current - before / reference
    fullest = int(beyond.argmax())
    counted = ((before, reference), (now, current))
    sides = [(round(float(side[fullest])), max(round(size), 1)) for side, size in counted]
    return max(float(beyond[fullest]), 0.0), min(divergences.share_difference(*sides) * len(now), 1.0)


def outside_by_chance(reference_outside: int, reference: int, outside: int, current: int) -> tuple[float, float]:
    """Expected share of records beyond the reference's smallest and largest value, and the p-value of what was found.

    Parameters
    ----------
    reference_outside, reference : int
        Records of the reference beyond the limits, where these were frozen on a part of it, and all of them.
    outside, current : int
        The same for the current window.

    Returns
    -------
    expected : float
        In [0, 1]: of n draws from a continuous distribution the next lies outside with probability 2 / (n + 1).
    p_value : float
        Of so many records outside or more, in [0, 1]; conservative where values are tied. Both are nan when either side
        has no records.

    Notes
    -----
    The share that lies beyond the extremes of a sample has a beta distribution, whatever the values are distributed
    like (S. Wilks, 1941, Determination of sample sizes for setting tolerance limits).

    Examples
    --------
    >>> expected, p_value = outside_by_chance(0, 999, 20, 1000)
    >>> expected, p_value < 1e-4
    (0.002, True)
    """
    if not (reference and current):
        return math.nan, math.nan
    mean = min((reference_outside + 2) / (reference + 1), 1.0)
    return mean, _at_least(outside, current, reference_outside + 2, reference - 1 or 1)


def _at_least(found: float, size: float, shape: float, rate: float) -> float:
    """P(N ≥ found) for N Poisson with mean size · M, where M, the uncertain share, has a gamma distribution."""
    from scipy import special

    return float(special.betainc(found, shape, size / (size + rate))) if found > 0 else 1.0

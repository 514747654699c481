"""How certain is a metric, going by how many records it rests on? For where only counts are kept.

Records are taken to be independent draws. So such an interval says how far the value of these records may lie from what
the model is worth on a day like this one; it does not say how far one day may lie from the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trimtab.measure.models.intervals import Interval

_HALVINGS = 30    # of an interval of at most one: to a billionth


def share(part: float, whole: float, *, confidence: float = 0.95) -> Interval:
    """A share of records, with the interval of E. B. Wilson (1927, Probable inference).

    Parameters
    ----------
    part, whole : float
        0 or more, the part at most the whole.
    confidence : float
        Between 0 and 1, both excluded.

    Returns
    -------
    Interval
        In [0, 1]; all nan where the whole is 0.

    Raises
    ------
    ValueError
        For a confidence out of range.

    Examples
    --------
    >>> found = share(9, 10)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.9, 0.596, 0.982)
    """
    z = _quantile(confidence)
    if not whole > 0:
        return unknown(math.nan, confidence)
    p = part / whole
    centre = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z / (1 + z * z / whole) * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole**2))
    error = math.sqrt(p * (1 - p) / whole)
    return Interval(p, max(min(centre - half, p), 0.0), min(max(centre + half, p), 1.0), confidence, error)


def overlap(part: float, whole: float, *, confidence: float = 0.95) -> Interval:
    """F1 of one class: `part` records that are and were said to be of it, of `whole` that are or were said to be.

    Among these the share j is one of records, and F1 is 2 j / (1 + j), which grows with it.

    Examples
    --------
    >>> round(overlap(6, 10).value, 2)
    0.75
    """
    found = share(part, whole, confidence=confidence)
    value, low, high = (2 * j / (1 + j) for j in (found.value, found.low, found.high))
    return Interval(value, low, high, confidence, 2 * found.standard_error / (1 + found.value) ** 2)


def area(auc: float, positives: int, negatives: int, *, confidence: float = 0.95) -> Interval:
    """Area under the ROC curve of so many records: all areas whose own standard error allows for the one that was seen.

    Notes
    -----
    The variance is that of J. Hanley and B. McNeil (1982, The meaning and use of the area under a receiver operating
    characteristic curve), with both sizes replaced by their mean less one in its smaller terms, and is taken at the
    bound instead of the value (R. Newcombe, 2006, Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic, method 5). So there is an interval at 0 and at 1, too.

    Examples
    --------
    >>> found = area(0.8, 50, 50)
    >>> round(found.low, 2), round(found.high, 2)
    (0.7, 0.87)
    """
    z = _quantile(confidence)
    if math.isnan(auc) or min(positives, negatives) < 1:
        return unknown(auc, confidence)
    between = max((positives + negatives) / 2 - 1, 0.0)

    def _error(at: float) -> float:
        more = 1 + between * (1 - at) / (2 - at) + between * at / (1 + at)
        return math.sqrt(at * (1 - at) * more / (positives * negatives))

    def _bound(inside: float, end: float) -> float:
        for _ in range(_HALVINGS):
            middle = (inside + end) / 2
            inside, end = (middle, end) if abs(middle - auc) <= z * _error(middle) else (inside, middle)
        return inside

    return Interval(auc, _bound(auc, 0.0), _bound(auc, 1.0), confidence, _error(auc))


def mean_loss(value: float, error: float, records: int, *, confidence: float = 0.95) -> Interval:
    """A mean over records with its standard error: Student's interval, never below 0.

    Examples
    --------
    >>> found = mean_loss(0.5, 0.1, 30)
    >>> round(found.low, 2), round(found.high, 2)
    (0.3, 0.7)
    """
    from scipy import special

    _quantile(confidence)
    if records < 2 or not math.isfinite(value) or not math.isfinite(error):
        return unknown(value, confidence)
    half = float(special.stdtrit(records - 1, (1 + confidence) / 2)) * error
    return Interval(value, max(value - half, 0.0), value + half, confidence, error)


def mean_of(parts: Sequence[Interval], *, confidence: float = 0.95) -> Interval:
    """The mean of values that do not depend on each other, from their intervals.

    Distances from value to bound add up as standard errors do (G. Zou and A. Donner, 2008, Construction of confidence
    limits about effect measures: a general approach).

    Examples
    --------
    >>> found = mean_of([share(9, 10), share(5, 10)])
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.7, 0.5, 0.84)
    """
    if not parts:
        return unknown(math.nan, confidence)
    values, lows, highs, errors = np.array([(p.value, p.low, p.high, p.standard_error) for p in parts]).T
    value, size = float(values.mean()), len(parts)
    below, above, error = (float(np.sqrt((d**2).sum())) / size for d in (values - lows, highs - values, errors))
    return Interval(value, value - below, value + above, confidence, error)


def unknown(value: float, confidence: float) -> Interval:
    """A value of which it is not known how certain it is."""
    return Interval(value, math.nan, math.nan, confidence, math.nan)


def _quantile(confidence: float) -> float:
    from scipy import special

    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, both excluded, not {confidence}")
    return float(special.ndtri((1 + confidence) / 2))

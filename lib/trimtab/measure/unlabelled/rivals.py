"""How much better is one model expected to be than another on the same records, before outcomes are known?"""

from __future__ import annotations

import math
from itertools import product

from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.metrics import metric
from trimtab.measure.unlabelled.estimates import Estimate

__all__ = ["at_once", "relative_gain"]


def at_once(confidence: float) -> float:
    """The confidence of each of two ranges with which both hold at once at least as often as asked (Bonferroni).

    >>> at_once(0.95)
    0.975
    """
    return (1 + confidence) / 2


def relative_gain(name: str, new: Estimate, old: Estimate, *, confidence: float) -> Interval:
    """The gain of one model over another by a metric, as a share of the other's value; a plus is an improvement.

    Parameters
    ----------
    name : str
        The metric.
    new, old : Estimate
        Of the two on the same records, each with a range of confidence `at_once(confidence)`.
    confidence : float
        That the gain lies in the interval, if the assumptions of both hold.

    Returns
    -------
    Interval
        All gains that both ranges allow. That is wider than need be, for it does not use that both met the same
        records. All nan where the other's range holds 0 or there is no range.

    Examples
    --------
    >>> new, old = (Estimate(v, v - 0.01, v + 0.01, 0.975, "confidence", 0.9) for v in (0.72, 0.80))
    >>> found = relative_gain("accuracy", new, old, confidence=0.95)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (-0.1, -0.123, -0.076)
    """
    ends = [one.low for one in (new, old)] + [one.high for one in (new, old)]
    if not all(map(math.isfinite, ends)) or old.low <= 0 <= old.high:
        return Interval(math.nan, math.nan, math.nan, confidence, math.nan)
    sign = metric(name).sign
    # In each of the two the quotient goes one way only, so its extremes lie at the corners.
    corners = [sign * (n - o) / abs(o) for n, o in product((new.low, new.high), (old.low, old.high))]
    return Interval(sign * (new.value - old.value) / abs(old.value), min(corners), max(corners), confidence, math.nan)

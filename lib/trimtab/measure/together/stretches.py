"""How well can stretches of the reference be told from the rest of it?

Seasons, weeks and the luck of days make any stretch of time somewhat special. What a classifier reaches on the
reference's own stretches is what it reaches without any news, so an alarm must exceed what one more of them may reach.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from trimtab.measure.together.domain import Separation

__all__ = ["MOST_STRETCHES", "Stretch", "natural_area", "stretches"]

Stretch = tuple[datetime, datetime]

MOST_STRETCHES = 8
FEWEST_STRETCHES = 5
_FEWEST_OF_WEEKDAY = 4
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_HIGHEST = 0.9999    # an area of 1 lies infinitely far


def stretches(reference: Stretch, window: Stretch) -> tuple[Stretch, ...]:
    """Stretches of a reference that are like a window: as long, from the same time of day on, and for a window of less
    than a week from the same weekday on, so that the rhythm of the week is no news.

    Parameters
    ----------
    reference, window : (start, end)
        Of a window that is longer than a fifth of the reference, stretches of such a fifth stand for it; they vary
        more.

    Returns
    -------
    tuple of (start, end)
        At most eight, evenly spread, the earliest first; none where the reference has fewer than five days. Where a
        weekday comes fewer than four times, stretches begin on any day.

    Examples
    --------
    >>> month = (datetime(2024, 3, 1), datetime(2024, 4, 1))
    >>> monday = (datetime(2024, 4, 8, 6), datetime(2024, 4, 9, 6))
    >>> [start.strftime("%a %d %H:%M") for start, _ in stretches(month, monday)]
    ['Mon 04 06:00', 'Mon 11 06:00', 'Mon 18 06:00', 'Mon 25 06:00']
    >>> len(stretches(month, (datetime(2024, 4, 1), datetime(2024, 5, 1))))
    5
    """
    start, end = reference
    whole_days = (end - start) // _DAY
    if whole_days < FEWEST_STRETCHES:
        return ()
    length = min(window[1] - window[0], whole_days // FEWEST_STRETCHES * _DAY)
    first = datetime.combine(start.date(), window[0].time())
    first += _DAY * (first < start)
    begins = [first + _DAY * i for i in range(max((end - length - first) // _DAY + 1, 0))]
    if window[1] - window[0] < _WEEK:
        alike = [one for one in begins if one.weekday() == window[0].weekday()]
        begins = alike if len(alike) >= _FEWEST_OF_WEEKDAY else begins
    most = min(MOST_STRETCHES, max((end - start) // length, 1), len(begins))
    chosen = np.unique(np.linspace(0, len(begins) - 1, most).round().astype(int))
    return tuple((begins[i], begins[i] + length) for i in chosen)


def natural_area(found: Sequence[Separation], *, alpha: float) -> float:
    """The area under the curve that one more stretch, like those of the reference, exceeds with probability alpha.

    Parameters
    ----------
    found : sequence of Separation
        Of each stretch of the reference from the rest of it; those that were not tested are left out.
    alpha : float
        In (0, 0.5).

    Returns
    -------
    float
        From 0.5 to 1. With fewer than three stretches the largest area among them, and 0.5 without any.

    Notes
    -----
    A one-sided prediction bound for normal values (G. Hahn and W. Meeker, 1991, Statistical Intervals) on the scale
    √2 Φ⁻¹(area), on which two normal populations lie as far apart as their means in standard deviations. It allows for
    what areas vary by because each rests on few records, too, so stretches should have about as many as the window.

    Examples
    --------
    >>> areas = [Separation(0.55 + i / 100, 0.54 + i / 100, 0.56 + i / 100, 0.001, 500, 500) for i in range(5)]
    >>> round(natural_area(areas, alpha=0.005), 2)
    0.65
    """
    from scipy import special

    areas = np.array([one.auc for one in found if not math.isnan(one.auc)])
    if len(areas) < 3:
        return float(max([0.5, *areas]))
    places = special.ndtri(np.clip(areas, 1 - _HIGHEST, _HIGHEST))
    quantile = float(special.stdtrit(len(areas) - 1, 1 - alpha))
    bound = places.mean() + quantile * places.std(ddof=1) * math.sqrt(1 + 1 / len(areas))
    return float(max(special.ndtr(bound), 0.5))

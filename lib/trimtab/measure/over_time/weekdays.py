"""What was a metric on the weekdays that a short window has, and how far do days vary that are of one weekday?

A Monday may be harder than a Saturday, and every day has luck of its own. A window of a day or two has neither all
weekdays nor days enough to tell its luck, so both are taken from the days before: the level of the same weekdays, and
how far days lay from others of their weekday.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trimtab.measure.calendar import usual_weekdays, weekdays_of
from trimtab.measure.models.intervals import Interval
from trimtab.measure.over_time.daily import Daily

_FEWEST_OF_WEEKDAY = 2    # days
_FEWEST_FREEDOM = 3
_ALIKE = 1.25    # times as many records a day, or as few, with which a metric that depends on that can be compared


@dataclass(frozen=True)
class Level:
    """A metric on some weekdays.

    Attributes
    ----------
    value : float
        Mean of the days of these weekdays, mixed as asked.
    shift : float
        How far that lies above the mean of all days.
    error : float
        Standard error of the value, and so of the shift.
    spread : float
        Standard deviation of days about the mean of their weekday.
    records : float
        Records of a usual day (harmonic mean).
    freedom : int
        Degrees of freedom of the spread: days less weekdays.
    """

    value: float
    shift: float
    error: float
    spread: float
    records: float
    freedom: int

    def reach(self, error: float, confidence: float) -> float:
        """Half of an interval: so many standard errors as Student's t asks for."""
        from scipy import special

        return float(special.stdtrit(self.freedom, (1 + confidence) / 2)) * error

    def interval(self, value: float, error: float, confidence: float) -> Interval:
        """About a value with such a standard error."""
        half = self.reach(error, confidence)
        return Interval(value, value - half, value + half, confidence, error)


def level(before: Daily, shares: Mapping[int, float]) -> Level | None:
    """A metric on some weekdays of the days before.

    Parameters
    ----------
    before : Daily
        The metric by day.
    shares : mapping
        How much each weekday counts, above 0.

    Returns
    -------
    Level or None
        None where that is not known: one of the weekdays came fewer than twice, or there are fewer than three days more
        than weekdays.

    Notes
    -----
    One-way analysis of variance: weekdays have means of their own and one variance about them.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-01-29", dtype="datetime64[D]")
    >>> accuracy = np.where(weekdays_of(days) == 0, 0.7, 0.84)
    >>> found = level(Daily(days, accuracy, np.full(28, 100)), {0: 1.0})
    >>> round(found.value, 3), round(found.shift, 3), found.freedom
    (0.7, -0.12, 21)
    """
    weekday = weekdays_of(before.days)
    present, of, counts = np.unique(weekday, return_inverse=True, return_counts=True)
    times = dict(zip(present.tolist(), counts.tolist(), strict=True))
    freedom = len(before) - len(present)
    if freedom < _FEWEST_FREEDOM or any(times.get(one, 0) < _FEWEST_OF_WEEKDAY for one in shares):
        return None
    means = np.bincount(of, before.means) / counts
    variance = float(((before.means - means[of]) ** 2).sum()) / freedom
    known, whole = dict(zip(present.tolist(), means.tolist(), strict=True)), sum(shares.values())
    value = sum(share * known[one] for one, share in shares.items()) / whole
    error = math.sqrt(variance * sum((share / whole) ** 2 / times[one] for one, share in shares.items()))
    records = len(before) / float((1 / before.counts).sum())
    return Level(value, value - float(before.means.mean()), error, math.sqrt(variance), records, freedom)


def beside_same_weekdays(
    before: Daily, now: Daily, *, confidence: float = 0.95, unbiased: bool = True
) -> tuple[Interval, Interval] | None:
    """A metric on the same weekdays before, and in a window that has not all of them; both with their intervals.

    Parameters
    ----------
    before, now : Daily
        The metric by day.
    confidence : float
        Between 0 and 1, both excluded.
    unbiased : bool
        Whether days of few records have the metric that days of many have, in the mean.

    Returns
    -------
    pair of Interval, or None
        None with all usual weekdays in the window, where the level of its weekdays is not known, without days, and for
        a biased metric where days have a quarter more records than before, or fewer.

    Notes
    -----
    Both values are means of days, those of the window by their records. A day of the window with fewer records than
    usual is taken to vary by more, as if all of what days differ by were chance; one with more is taken to vary as
    others do, as if all were luck of the day. All weekdays have one variance: one that varies by a third more than the
    others lies outside a 95 % interval in 8 % of quiet weeks.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-01-30", dtype="datetime64[D]")
    >>> rng = np.random.default_rng(0)
    >>> accuracy = np.where(weekdays_of(days) == 0, 0.7, 0.84) + rng.normal(0, 0.01, 29)
    >>> earlier, monday = Daily(days[:28], accuracy[:28], np.full(28, 100)), Daily(days[28:], accuracy[28:], [100])
    >>> before, now = beside_same_weekdays(earlier, monday)
    >>> round(before.value, 2), before.low < now.value < before.high
    (0.7, True)
    """
    weekday = weekdays_of(now.days)
    if not len(now) or usual_weekdays(before.days, before.counts) <= set(weekday.tolist()):
        return None
    share = now.counts / now.records
    known = level(before, {int(one): float(share[weekday == one].sum()) for one in np.unique(weekday)})
    if known is None:
        return None
    grown = len(now) / float((1 / now.counts).sum()) / known.records
    if not unbiased and not 1 / _ALIKE <= grown <= _ALIKE:
        return None
    rarer = np.maximum(known.records / now.counts, 1.0)
    error = known.spread * math.sqrt(float((share**2 * rarer).sum()))
    return known.interval(known.value, known.error, confidence), known.interval(
        float(share @ now.means), error, confidence)

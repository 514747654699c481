"""Do more records come in per day than in the reference, or fewer?

What varies is the day: numbers of records follow the week, and a busy day is followed by another. So whole weeks are
compared where there are any, the same weekdays where there are none, and the test is that of `error_change`, which
allows for days that take after the day before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.outputs import Array
from trimtab.measure.over_time.daily import Daily
from trimtab.measure.over_time.error_change import consecutive_days

__all__ = ["MOST_DAYS", "Growth", "growth"]

MOST_DAYS = 91    # of either window, the newest: a test of more takes long and says little more
_WEEK = 7


@dataclass(frozen=True)
class Growth:
    """Records per day now beside those in the reference.

    Attributes
    ----------
    before, now : float
        Mean number of records per day, 0 or more; nan without days.
    days_before, days_now : int
        Days that were compared: whole weeks, or of less than a week the same weekdays.
    relative : Interval
        Growth as a share of before, 0.5 for half as many again, -1 for none left; nan where before is 0 or not known,
        its ends where there is too little to test.
    p_value : float
        Two-sided, of no growth; nan where there is too little to test.
    note : str
        Why there is no p-value, or empty.
    """

    before: float
    now: float
    days_before: int
    days_now: int
    relative: Interval
    p_value: float
    note: str = ""


def growth(
    days_before: npt.ArrayLike, rows_before: npt.ArrayLike, days_now: npt.ArrayLike, rows_now: npt.ArrayLike,
    *, confidence: float = 0.95,
) -> Growth:
    """Compare the number of records per day in two stretches of time.

    Parameters
    ----------
    days_before, days_now
        Shapes (n,) and (m,): datetime64[D], in order and each once, whole days only. Days of the reference that are not
        before the first of the others are left out, and of either at most the newest 91 are looked at.
    rows_before, rows_now
        Shapes (n,) and (m,): number of records, 0 or more. A day without records is a day with 0.
    confidence
        Of the interval, between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        When shapes differ, days are not in order, a number is negative, or confidence is out of range.

    Notes
    -----
    Where numbers vary by 30 % from day to day, with a correlation of 0 or 0.5 and quiet weekends, no growth is taken
    for some at 5 % in fewer than 5 % of simulated pairs. Growth by half is found in about half of them with 91 days
    before, 30 now and a correlation of 0.5: busy spells that last leave no more (docs/benchmarks.md, "Growth").

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-04-01", dtype="datetime64[D]")
    >>> rows = 100 + np.random.default_rng(0).poisson(20, 91)
    >>> found = growth(days[:70], rows[:70], days[70:], 2 * rows[70:])
    >>> round(found.relative.value, 1), found.p_value < 0.01, found.days_now
    (1.0, True, 21)
    """
    before, now = _daily(days_before, rows_before), _daily(days_now, rows_now)
    if len(now):
        before = before.take(slice(0, int(np.searchsorted(before.days, now.days[0]))))
    before, now = _alike(before, now)
    change = consecutive_days(before, now, confidence=confidence)
    return Growth(
        before.mean, now.mean, len(before), len(now), change.relative, change.p_value,
        change.note if math.isnan(change.p_value) else "",
    )


def _daily(days: npt.ArrayLike, rows: npt.ArrayLike) -> Daily:
    """Each day counts the same, however many records it has."""
    numbers = np.asarray(rows, dtype=np.float64)
    if (numbers < 0).any():
        raise ValueError("a day has a negative number of records")
    return Daily(np.asarray(days, dtype="datetime64[D]"), numbers, np.ones(len(numbers), dtype=np.int64))


def _alike(before: Daily, now: Daily) -> tuple[Daily, Daily]:
    """The newest whole weeks of both, or where now is less than a week its days and the same weekdays before."""
    if len(now) >= _WEEK:
        return _weeks(before), _weeks(now)
    same = np.isin(_weekdays(before), _weekdays(now))
    kept = Daily(before.days[same], before.means[same], before.counts[same])
    return kept.take(slice(max(0, len(kept) - MOST_DAYS), None)), now


def _weeks(daily: Daily) -> Daily:
    whole = min(len(daily), MOST_DAYS) // _WEEK * _WEEK
    return daily.take(slice(len(daily) - whole, None))


def _weekdays(daily: Daily) -> Array:
    weekdays: Array = daily.positions % _WEEK
    return weekdays

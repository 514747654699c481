"""Which weekday is a day, which weekdays are usual, and how often has a month begun?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

WEEK = 7
_USUAL = 0.1    # of the records that a weekday has in the mean


def weekdays_of(days: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The weekday of each day, 0 for Monday.

    Parameters
    ----------
    days : array of datetime64, shape (n,)

    Examples
    --------
    >>> weekdays_of(np.array(["2024-01-01", "2024-01-07"], dtype="datetime64[D]")).tolist()
    [0, 6]
    """
    since = days.astype("datetime64[D]").astype(np.int64)    # 1 January 1970, a Thursday
    found: npt.NDArray[np.int64] = (since + 3) % WEEK
    return found


def usual_weekdays(days: npt.NDArray[Any], records: npt.NDArray[Any]) -> frozenset[int]:
    """The weekdays on which there is something to be expected: at least a tenth of what a weekday has in the mean.

    Parameters
    ----------
    days : array of datetime64, shape (n,)
    records : array of int, shape (n,)
        Of each day.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-01-15", dtype="datetime64[D]")
    >>> sorted(usual_weekdays(days, np.where(weekdays_of(days) == 6, 1, 50)))    # closed on Sundays, but for one order
    [0, 1, 2, 3, 4, 5]
    """
    of_weekday = np.bincount(weekdays_of(days), records, WEEK)
    usual = of_weekday >= _USUAL * of_weekday[of_weekday > 0].mean() if of_weekday.any() else of_weekday > 0
    return frozenset(np.flatnonzero(usual).tolist())


def beginnings(every: str, since: datetime, until: datetime) -> int:
    """How often a stretch of the calendar has begun after one moment and up to another, which counts; at least 0.

    Parameters
    ----------
    every : str
        day, week (from Monday), month, quarter or year.

    Examples
    --------
    >>> beginnings("month", datetime(2024, 1, 1), datetime(2024, 2, 1)), beginnings(
    ...     "week", datetime(2024, 1, 1), datetime(2024, 1, 7, 23))
    (1, 0)
    """
    return max(_place(every, until) - _place(every, since), 0)


def _place(every: str, moment: datetime) -> int:
    """The number of the stretch in which a moment lies."""
    day, month = moment.toordinal(), 12 * moment.year + moment.month - 1
    return {"day": day, "week": (day - 1) // WEEK, "month": month, "quarter": month // 3, "year": moment.year}[every]

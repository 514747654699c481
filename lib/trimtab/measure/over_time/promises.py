"""Do prediction intervals keep what they promise over a stretch of days, and how wide are they there?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.measure.models.intervals import Interval
from trimtab.measure.over_time.daily import Daily
from trimtab.measure.over_time.persistence import Mixture, check_confidence, regress
from trimtab.measure.over_time.snapshots import Snapshot

__all__ = ["Promises", "promises"]

FEWEST_DAYS = 3    # two would leave one degree of freedom
_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Promises:
    """The prediction intervals of some days.

    Attributes
    ----------
    days, rows, labelled : int
        Days with intervals, their predictions, and those of them whose outcome is known.
    width : float
        Mean width over the predictions, 0 or more; of sets of classes, their mean size. nan without intervals.
    narrow : float
        Share of narrow intervals, in [0, 1]; nan where all are equally wide by construction.
    coverage : Interval
        Share of known outcomes that they held; its ends are nan with fewer than 3 days.
    promised : float
        Share that they were to hold.
    """

    days: int
    rows: int
    labelled: int
    width: float
    narrow: float
    coverage: Interval
    promised: float

    @property
    def kept(self) -> bool | None:
        """Whether they held as much as was promised, as far as chance allows to tell; None where that is not known."""
        return None if math.isnan(self.coverage.high) else self.coverage.high >= self.promised


def promises(taken: Sequence[Snapshot], *, promised: float, confidence: float = 0.95) -> Promises:
    """Put the prediction intervals of some days together.

    Parameters
    ----------
    taken
        Snapshots, in any order, each day once; those without intervals are left out.
    promised
        Share of outcomes that intervals were to hold, between 0 and 1.
    confidence
        Of the coverage's interval, between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        For a confidence out of range.

    Notes
    -----
    The interval allows for days that share their luck and take after the day before (see `persistence`).

    Examples
    --------
    >>> from datetime import date
    >>> inside = {"interval_width": 2.0, "narrow_share": 0.5, "coverage": 0.8}
    >>> found = promises([Snapshot(date(2024, 3, 1), 10, 5, {}, inside)], promised=0.9)
    >>> found.width, found.narrow, found.coverage.value, found.kept
    (2.0, 0.5, 0.8, None)
    """
    check_confidence(confidence)
    known = sorted((one for one in taken if one.intervals), key=lambda one: one.day)
    rows = sum(one.rows for one in known)
    width, narrow = (_mean(known, name) for name in ("interval_width", "narrow_share"))
    held = [one for one in known if one.labelled and math.isfinite(one.intervals.get("coverage", math.nan))]
    daily = Daily(
        np.array([one.day for one in held], dtype="datetime64[D]"),
        np.array([one.intervals["coverage"] for one in held]), np.array([one.labelled for one in held], dtype=np.int64),
    )
    return Promises(len(known), rows, daily.records, width, narrow, _interval(daily, confidence), promised)


def _mean(taken: Sequence[Snapshot], name: str) -> float:
    """Over the predictions of the days that have it."""
    pairs = [(one.rows, one.intervals.get(name, math.nan)) for one in taken]
    known = [(rows, value) for rows, value in pairs if not math.isnan(value)]
    records = sum(rows for rows, _ in known)
    return sum(rows * value for rows, value in known) / records if records else math.nan


def _interval(daily: Daily, confidence: float) -> Interval:
    """The mean over records, as uncertain as its days leave it."""
    value, nan = daily.mean, math.nan
    if len(daily) < FEWEST_DAYS:
        return Interval(value, nan, nan, confidence, nan)
    if np.ptp(daily.means) <= _NO_SPREAD:
        return Interval(value, value, value, confidence, 0.0)
    fitted = regress(daily.positions, daily.means, np.ones((len(daily), 1)), daily.own)
    freedom = np.full(len(fitted.weights), float(fitted.freedom))
    known = Mixture(fitted.weights, np.full(len(freedom), value), fitted.errors, freedom)
    low, high = known.bounds(confidence)
    error = math.sqrt(float(fitted.weights @ fitted.errors**2))
    return Interval(value, max(low, 0.0), min(high, 1.0), confidence, error)

"""Does the model's error grow slowly, over many days?

A slope through the daily mean losses. Days take after the day before (see `persistence`), and a few bad days in a row
look like a beginning trend; the slope's interval and p-value allow for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.models.intervals import Interval
from trimtab.measure.over_time import persistence
from trimtab.measure.over_time.daily import Daily
from trimtab.measure.over_time.persistence import Mixture

Floats = npt.NDArray[np.float64]

SMALLEST_TREND = 14    # days: two of each weekday

_NO_SPREAD = 1e-12    # share of the mean below which spread is rounding
_MONTH = 30           # days


@dataclass(frozen=True)
class Trend:
    """How the daily error moves over a stretch of days.

    Attributes
    ----------
    slope : Interval
        Change of the mean loss per 30 days; above 0 the error grows. nan with fewer than `SMALLEST_TREND` days.
    start, end : float
        The fitted line on the first and on the last day.
    p_value : float
        Two-sided, of no slope; nan with too few days.
    days, span : int
        Days with records, and days from the first to the last, both included.
    persistence : float
        Expected correlation of a day's error with that of the day before, in [0, 0.95].
    note : str
        What a reader should know.
    """

    slope: Interval
    start: float
    end: float
    p_value: float
    days: int
    span: int
    persistence: float = math.nan
    note: str = ""

    @property
    def relative(self) -> float:
        """Change along the line from the first day to the last, divided by its start; nan where that is not above 0."""
        return (self.end - self.start) / self.start if self.start > 0 else math.nan


def trend(daily: Daily, *, confidence: float = 0.95) -> Trend:
    """Look for a slow change: the slope of the daily mean loss over time.

    Parameters
    ----------
    daily
        Mean losses of days; days without records may be missing. A day counts by its records up to what a day can tell
        (`Daily.own`).
    confidence
        Of the slope's interval, between 0 and 1, both excluded.

    Returns
    -------
    Trend
        nan and a note with fewer than 14 days.

    Raises
    ------
    ValueError
        When confidence is out of range.

    Notes
    -----
    Generalised least squares with errors that persist from day to day: see `persistence.regress`.

    In simulated series of 14 to 120 steady days, each correlated with the next by 0 to 0.6, a test at 5 % finds a trend
    in at most 5 %. A rise by one standard deviation of the days over the whole stretch is found in 15 % of series of 30
    independent days, in nearly half of 60, in 83 % of 120 (docs/benchmarks.md, "Errors, slowly").

    Examples
    --------
    >>> days, rng = np.arange(90), np.random.default_rng(0)
    >>> steady = 1 + rng.normal(0, 0.1, 90)
    >>> trend(Daily(days, steady, np.full(90, 500))).p_value > 0.05
    True
    >>> found = trend(Daily(days, steady + 0.1 * days / 30, np.full(90, 500)))
    >>> found.slope.low < 0.1 < found.slope.high, found.p_value < 0.001, round(found.relative, 1)
    (True, True, 0.3)
    """
    persistence.check_confidence(confidence)
    if len(daily) < SMALLEST_TREND:
        note = f"too few days for a trend (fewer than {SMALLEST_TREND})"
        unknown = Interval(math.nan, math.nan, math.nan, confidence, math.nan)
        return Trend(unknown, math.nan, math.nan, math.nan, len(daily), _span(daily), note=note)
    weights = 1 / (1 + daily.own)
    time = (daily.positions - daily.positions[0]) / _MONTH
    time = time - np.average(time, weights=weights)
    slope = float(np.average(time * daily.means, weights=weights) / np.average(time**2, weights=weights))
    level = float(np.average(daily.means, weights=weights))
    if np.ptp(daily.means - slope * time) <= _NO_SPREAD * np.abs(daily.means).max():
        return _exact(daily, time, level, slope, confidence)
    design = np.column_stack([np.ones(len(daily)), time])
    fit = persistence.regress(daily.positions, daily.means, design, daily.own)
    known = Mixture(fit.weights, fit.estimates, fit.errors, np.full_like(fit.errors, fit.freedom))
    slope = float(fit.weights @ fit.estimates)
    start, end = (level + slope * float(time[i]) for i in (0, -1))
    spread = float(fit.weights @ (fit.errors**2 + (fit.estimates - slope) ** 2))
    interval = Interval(slope, *known.bounds(confidence), confidence, math.sqrt(spread))
    return Trend(interval, start, end, known.p_value(), len(daily), _span(daily), fit.phi)


def _exact(daily: Daily, time: Floats, level: float, slope: float, confidence: float) -> Trend:
    """A line without any scatter: constant losses, or a made-up series."""
    flat = np.ptp(daily.means) <= _NO_SPREAD * np.abs(daily.means).max()
    slope = 0.0 if flat else slope
    start, end = (level + slope * float(time[i]) for i in (0, -1))
    note = "the daily means are all equal" if flat else "the daily means lie on a line exactly"
    interval = Interval(slope, slope, slope, confidence, 0.0)
    return Trend(interval, start, end, 1.0 if flat else 0.0, len(daily), _span(daily), note=note)


def _span(daily: Daily) -> int:
    return int(daily.positions[-1] - daily.positions[0]) + 1 if len(daily) else 0

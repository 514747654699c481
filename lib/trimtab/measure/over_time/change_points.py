"""On which day did the error change?

The day is told in two steps. A detector of the library river says that there was a change: ADWIN, which cuts its window
where two parts differ too much, or the test of Page and Hinkley, a running sum of what exceeds the mean. Both notice
late and neither says well when it began (ADWIN's window was 74 days out in stretches of 120 days), so the day itself is
the one that best parts the stretch into two levels.

river is an optional extra (``pip install trimtab[river]``); without it nothing is located, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trimtab.measure.over_time import persistence
from trimtab.measure.over_time.daily import Daily

Floats = npt.NDArray[np.float64]
Detector = Literal["adwin", "page_hinkley"]

SMALLEST_STRETCH = 20    # days with records
SHORTEST_LEVEL = 5       # days on either side of a change point

_NO_SPREAD = 1e-12    # share of the mean below which spread is rounding
_AROUND = 4           # days on either side: a level of 5 days is no wild one
_WILD = 3.0           # units of spread; a single wild day is no new level, and counts as no more than this
_BEYOND_DOUBT = 12.0  # standard errors, were days independent
_UNIT = 1e4           # ADWIN supposes values from 0 to 1 and allows for that; at this scale the allowance is nothing
_DELTA_DAYS = 5.0     # delta times days
_MISSING = "no change point is looked for without river: pip install trimtab[river]"


@dataclass(frozen=True)
class ChangePoint:
    """A day on which the daily error went to another level.

    Attributes
    ----------
    at : datetime
        Midnight that began the first day of the new level.
    noticed : datetime
        The day on which a detector that sees one day after the other would have noticed.
    before_mean, after_mean : float
        Mean loss over the records since the change point before (or the first day), and until the next (or the last
        day).
    detector : str
        ``adwin`` or ``page_hinkley``.
    records : int
        Number of records that the two means rest on.
    """

    at: datetime
    noticed: datetime
    before_mean: float
    after_mean: float
    detector: Detector
    records: int


@dataclass(frozen=True)
class ChangePoints:
    """What was found in a stretch of days.

    Attributes
    ----------
    points : tuple of ChangePoint
        The oldest first; empty when none was found.
    days : int
        Days with records that were looked at.
    note : str
        Why nothing could be located, else empty.
    """

    points: tuple[ChangePoint, ...]
    days: int
    note: str = ""

    @property
    def located(self) -> ChangePoint | None:
        """The newest change point; None when there is none."""
        return self.points[-1] if self.points else None


def locate(daily: Daily, *, detector: Detector = "adwin") -> ChangePoints:
    """Find the days on which the daily mean loss went to another level.

    Parameters
    ----------
    daily
        Mean losses of days; days without records may be missing. A day counts by its records up to what a day can tell
        (`Daily.own`).
    detector
        ``adwin`` or ``page_hinkley``: the first is the better one here, see the notes.

    Returns
    -------
    ChangePoints
        Empty with a note when river is not installed or with fewer than 20 days.

    Raises
    ------
    ValueError
        When there is no such detector.

    Notes
    -----
    Days that take after the day before are made independent first (see `persistence`), and put in units of their
    spread. Both are learned from the whole stretch.

    In simulated years without a change ADWIN finds one in 2 to 3 %. In series of 120 independent days with a jump 30
    days before the end, it finds one of half a standard deviation of the days in 12 %, of one in 83 %, of two in all;
    two thirds of those of one and nine tenths of those of two are placed within two days. Where each day correlates
    with the next by 0.4 half of the jumps of one are found (docs/benchmarks.md, "Errors, at once"). The test of Page
    and Hinkley finds somewhat less, and takes skewed luck for a change more often.

    Sources: A. Bifet and R. Gavaldà, Learning from time-changing data with adaptive windowing, SIAM Data Mining (2007);
    E. Page, Continuous inspection schemes, Biometrika 41 (1954).

    Examples
    --------
    >>> means = np.append(np.full(60, 1.0), np.full(30, 1.5)) + np.random.default_rng(0).normal(0, 0.2, 90)
    >>> daily = Daily(np.datetime64("2024-01-01") + np.arange(90), means, np.full(90, 200))
    >>> found = locate(daily)
    >>> found.located is None or found.located.at == datetime(2024, 3, 1)    # None where river is not installed
    True
    """
    if detector not in ("adwin", "page_hinkley"):
        raise ValueError(f"there is no detector {detector!r}; choose adwin or page_hinkley")
    if len(daily) < SMALLEST_STRETCH:
        return ChangePoints((), len(daily), f"too few days to locate a change (fewer than {SMALLEST_STRETCH})")
    make = _maker(detector, len(daily))
    if make is None:
        return ChangePoints((), len(daily), _MISSING)
    if np.ptp(daily.means) <= _NO_SPREAD * np.abs(daily.means).max():
        return ChangePoints((), len(daily), "the daily means are all equal")
    starts, noticed = _detected(daily, make)
    return ChangePoints(_points(daily, starts, noticed, detector), len(daily))


def _maker(detector: Detector, days: int) -> Callable[[], Any] | None:
    """How to make a fresh detector; None where river is not installed.

    Settings are such that false detections are rare in any stretch of 30 to 365 days.
    """
    try:
        from river import drift
    except ImportError:
        return None
    if detector == "page_hinkley":
        return lambda: drift.PageHinkley(min_instances=10, delta=0.5 * _UNIT, threshold=8 * _UNIT, alpha=1.0)
    # A longer stretch gives more occasions for a false detection, so each must be rarer.
    delta = min(_DELTA_DAYS / days, 0.2)
    return lambda: drift.ADWIN(delta=delta, clock=1, min_window_length=SHORTEST_LEVEL, grace_period=10)


@dataclass(frozen=True, eq=False)
class _Stretch:
    """Days as a detector wants them: how far each lies from the middle, and how much it tells and foretells."""

    apart: Floats
    weights: Floats
    covariance: Floats

    @classmethod
    def of(cls, daily: Daily) -> _Stretch:
        """Of all days there are, around levels that they may have gone between."""
        means = _tame(daily.means - np.median(daily.means))
        weights = 1 / (1 + daily.own)
        level = _levels(means, weights)
        design = (level[:, None] == np.arange(level[-1] + 1)).astype(np.float64)
        around = means - design @ ((weights * means) @ design / (weights @ design))
        phi, share = 0.0, 0.0
        if np.abs(around).max() > _NO_SPREAD * np.abs(daily.means).max():
            fit = persistence.regress(daily.positions, means, design, daily.own)
            phi, share = fit.phi, fit.share
        apart = persistence.distances(daily.positions, daily.positions)
        return cls(means, weights, persistence.powers(phi)[apart] + np.diag(share * daily.own))

    def independent(self, start: int) -> Floats:
        """Days from one on, each without what those before foretell."""
        return persistence.innovations(self.apart[start:, None], self.covariance[start:, start:])[0][:, 0]


def _tame(means: Floats) -> Floats:
    """Pull days in that lie wildly beside those around them: one would hide how much others take after each other."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(means, _AROUND, mode="reflect"), 2 * _AROUND + 1)
    middle = np.median(around, axis=1)
    usual = 1.4826 * float(np.median(np.abs(means - middle)))    # the standard deviation of a normal distribution
    return np.clip(means, middle - _WILD * usual, middle + _WILD * usual) if usual > 0 else means


def _levels(means: Floats, weights: Floats) -> npt.NDArray[np.int64]:
    """Number of the level on which each day lies, from 0: two levels, and more where days part beyond any doubt.

    Without them, jumps would be taken for days that take after each other, and the more so the larger they are.
    """
    unit = 1.4826 * float(np.median(np.abs(np.diff(means)))) / np.sqrt(2)
    borders, unsure = [0, len(means)], [(0, len(means))]
    while unsure:
        start, end = unsure.pop()
        if end - start < 2 * SHORTEST_LEVEL:
            continue
        at, gain = _best_split(means[start:end], weights[start:end], last=SHORTEST_LEVEL)
        if len(borders) > 2 and gain <= (_BEYOND_DOUBT * unit) ** 2:
            continue
        borders.append(start + at)
        unsure += [(start, start + at), (start + at, end)]
    return np.searchsorted(np.sort(borders[2:]), np.arange(len(means)), side="right")


def _best_split(values: Floats, weights: Floats, *, last: int) -> tuple[int, float]:
    """First position of the second of two levels, and by how much they lower the sum of squares.

    At least 5 days lie before it, `last` days after it.
    """
    at = np.arange(min(SHORTEST_LEVEL, len(values) - last), len(values) - last + 1)
    mass, total = np.cumsum(weights)[at - 1], weights.sum()
    sums = np.cumsum(weights * (values - np.average(values, weights=weights)))[at - 1]
    gains = sums**2 * total / (mass * (total - mass))
    best = int(np.argmax(gains))
    return int(at[best]), float(gains[best])


def _detected(daily: Daily, make: Callable[[], Any]) -> tuple[list[int], list[int]]:
    """Positions where new levels start, and where each was noticed; a fresh detector goes on from each start."""
    stretch = _Stretch.of(daily)
    # Spread from one day to the next, in which a jump counts once.
    unit = float(np.sqrt((np.diff(stretch.independent(0)) ** 2).mean() / 2))
    starts, noticed, start = [], [], 0
    while True:
        found = _first(make(), np.clip(stretch.independent(start) / unit, -_WILD, _WILD) * _UNIT)
        if found is None:
            break
        seen = slice(start, start + found + 1)
        start += _best_split(stretch.apart[seen], stretch.weights[seen], last=1)[0]
        starts.append(start)
        noticed.append(seen.stop - 1)
    # Each again with all days up to the next one, of which the detector had seen a few only.
    ends = [*starts[1:], len(daily)]
    refined = [0]
    for end in ends[: len(starts)]:
        part = slice(refined[-1], end)
        last = min(SHORTEST_LEVEL, (end - refined[-1]) // 2)
        refined.append(refined[-1] + _best_split(stretch.apart[part], stretch.weights[part], last=last)[0])
    return refined[1:], [max(pair) for pair in zip(noticed, refined[1:], strict=True)]


def _first(detector: Any, values: Floats) -> int | None:
    """Position of the value at which the detector first says that there was a change."""
    for position, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            return position
    return None


def _points(daily: Daily, starts: list[int], noticed: list[int], detector: Detector) -> tuple[ChangePoint, ...]:
    borders = [0, *starts, len(daily)]
    levels = [daily.take(slice(*ends)) for ends in pairwise(borders)]
    return tuple(
        ChangePoint(
            at=_midnight(daily, start),
            noticed=_midnight(daily, day),
            before_mean=before.mean,
            after_mean=after.mean,
            detector=detector,
            records=before.records + after.records,
        )
        for start, day, before, after in zip(starts, noticed, levels[:-1], levels[1:], strict=True)
    )


def _midnight(daily: Daily, position: int) -> datetime:
    moment: datetime = daily.days[position].astype("datetime64[s]").item()
    return moment

"""How near have estimates without outcomes come so far, and would "nothing has changed" have come nearer?

Windows of successive checks may overlap, and then say nearly the same twice: how many of them lie apart is told beside
the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trimtab.measure.models.intervals import Interval

__all__ = ["Foretold", "TrackRecord", "track_record"]


@dataclass(frozen=True)
class Foretold:
    """What a metric was estimated to be over one window, and what came.

    Attributes
    ----------
    metric : str
    start, end : datetime
        Of the window.
    value, low, high : float
        The estimate and its range; nan where it could not be made.
    baseline : float
        The metric on the holdout.
    realised : Interval or None
        What came, as far as it is known; None where no outcome is.
    rows, labelled : int
        Records of the window, and those of them whose outcome that rests on.
    doubtful : bool
        Whether an assumption of the estimate was known not to hold.
    """

    metric: str
    start: datetime
    end: datetime
    value: float
    low: float
    high: float
    baseline: float
    realised: Interval | None
    rows: int
    labelled: int
    doubtful: bool = False

    @property
    def error(self) -> float:
        """Realised less estimated; nan where either is not known."""
        return math.nan if self.realised is None else self.realised.value - self.value

    @property
    def change(self) -> float:
        """Realised less baseline; nan where either is not known."""
        return math.nan if self.realised is None else self.realised.value - self.baseline


@dataclass(frozen=True)
class TrackRecord:
    """How near the estimates of one metric have come.

    Attributes
    ----------
    metric : str
    windows : int
        Those of which estimate and realised value are known.
    apart : int
        How many of them do not overlap.
    doubtful : int
        In how many of them an assumption of the estimate was known not to hold.
    error : float
        Mean absolute error of the estimate, in units of the metric; nan without windows.
    unchanged : float
        The same for saying that the metric is what it was on the holdout.
    nearer : float
        Share of windows, in [0, 1], in which the estimate came at least as near as that; nan without windows.
    inside : float
        Share of windows, in [0, 1], in which the realised value lay in the range, its ends included; nan where no
        estimate had a range.
    """

    metric: str
    windows: int
    apart: int
    doubtful: int
    error: float
    unchanged: float
    nearer: float
    inside: float


def track_record(foretold: Sequence[Foretold]) -> dict[str, TrackRecord]:
    """Hold past estimates against what came.

    Parameters
    ----------
    foretold
        In any order; windows of which one side is not known do not count.

    Returns
    -------
    dict
        By metric, in the order in which they occur; also those of which nothing is known yet.

    Examples
    --------
    >>> day = datetime(2024, 3, 1)
    >>> came = Interval(0.70, 0.68, 0.72, 0.95, 0.01)
    >>> one = Foretold("accuracy", day, datetime(2024, 3, 8), 0.72, 0.69, 0.75, 0.80, came, 500, 480)
    >>> found = track_record([one])["accuracy"]
    >>> round(found.error, 2), round(found.unchanged, 2), found.nearer, found.inside
    (0.02, 0.1, 1.0, 1.0)
    """
    by_metric: dict[str, list[Foretold]] = {}
    for one in foretold:
        by_metric.setdefault(one.metric, []).append(one)
    return {metric: _record(metric, found) for metric, found in by_metric.items()}


def _record(metric: str, foretold: Sequence[Foretold]) -> TrackRecord:
    known = [one for one in foretold if math.isfinite(one.error) and math.isfinite(one.change)]
    ranged = [one for one in known if math.isfinite(one.low) and math.isfinite(one.high)]
    return TrackRecord(
        metric, len(known), _apart(known), sum(one.doubtful for one in known),
        _mean([abs(one.error) for one in known]), _mean([abs(one.change) for one in known]),
        _mean([abs(one.error) <= abs(one.change) for one in known]),
        _mean([one.low <= one.error + one.value <= one.high for one in ranged]),
    )


def _apart(foretold: Sequence[Foretold]) -> int:
    """As many windows as can be chosen of which no two overlap: always the one that ends first."""
    count, free = 0, datetime.min
    for one in sorted(foretold, key=lambda one: one.end):
        if one.start >= free:
            count, free = count + 1, one.end
    return count


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan

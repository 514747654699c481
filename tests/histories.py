"""Histories of a champion, and of estimates of it, for tests of what shows them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np

from trimtab.measure.models.intervals import Interval
from trimtab.measure.over_time.change_points import ChangePoint, ChangePoints
from trimtab.measure.over_time.error_change import consecutive_days
from trimtab.measure.over_time.error_trend import trend
from trimtab.measure.over_time.snapshots import Snapshot, daily_losses
from trimtab.measure.unlabelled.track_record import Foretold
from trimtab.run.foretold import Foretelling
from trimtab.run.history import History

FIRST = date(2024, 1, 1)


def a_history(days: int = 60, *, rise: float = 0.0, located: bool = False) -> History:
    """Days of log loss near 0.5 that rises by so much for the last twenty, with a gap of a fortnight in between."""
    rng = np.random.default_rng(days)
    taken = tuple(
        Snapshot(FIRST + timedelta(days=i), 120, 100, {
            "log_loss": 0.5 + rise * (i >= days - 20) + 0.02 * rng.normal(), "roc_auc": 0.7 + 0.01 * rng.normal(),
        })
        for i in range(days) if not 10 <= i < 24
    )
    now = FIRST + timedelta(days=days - 20)
    daily = [daily_losses([one for one in taken if (one.day >= now) == late]) for late in (False, True)]
    start = datetime.combine(now, datetime.min.time())
    point = ChangePoint(start, start + timedelta(days=4), 0.5, 0.5 + rise, "adwin", 4000)
    return History(
        taken, datetime(2024, 1, 20), start, start + timedelta(days=20), consecutive_days(*daily),
        trend(daily_losses(taken)), ChangePoints((point,) if located else (), len(taken)), "log loss",
    )


def some_foretelling(windows: int = 6, *, known: bool = True) -> Foretelling:
    """Weeks in which the estimate was off by 0.02 and the holdout by 0.05, and a last one of which nothing is known."""
    came = Interval(0.70, 0.68, 0.72, 0.95, 0.01)
    starts = [datetime(2024, 2, 1) + timedelta(days=7 * i) for i in range(windows)]
    past = [
        Foretold("roc_auc", start, start + timedelta(days=7), 0.72, 0.69, 0.75, 0.75, came if known else None, 500, 480,
                 doubtful=start.day % 2 == 0)
        for start in starts
    ]
    last = Foretold("roc_auc", datetime(2024, 5, 1), datetime(2024, 5, 8), 0.7, np.nan, np.nan, 0.75, None, 90, 0)
    return Foretelling("roc_auc", (*past, last) if windows else ())

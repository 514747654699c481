"""What was the champion worth on its holdout's days of the same weekdays, where a window has not all usual ones?"""

from __future__ import annotations

from datetime import datetime, time

import numpy as np

from trimtab.measure.calendar import usual_weekdays, weekdays_of
from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.over_time.daily import Daily
from trimtab.measure.over_time.snapshots import daily_metric, snapshots
from trimtab.measure.over_time.weekdays import Level, beside_same_weekdays, level
from trimtab.run.scored import Scored
from trimtab.run.session import Session
from trimtab.settings.notation import parse_time


def realised(session: Session, scored: Scored, metric: str, *, confidence: float) -> tuple[Interval, Interval] | None:
    """A realised metric on the holdout's same weekdays, and in the window; None where all days are to be compared."""
    said = scored.said
    if said is None or said.labelled is None:
        return None
    days = session.days(said.records)[said.comparable]
    dates, counts = np.unique(days, return_counts=True)
    before = _holdout(session, metric)
    if usual_weekdays(before.days, before.counts) <= set(weekdays_of(dates).tolist()):
        return None
    taken = snapshots(said.labelled, days, dict(zip(dates.tolist(), counts.tolist(), strict=True)))
    now = daily_metric(taken, metric)
    return beside_same_weekdays(before, now, confidence=confidence, unbiased=METRICS[metric].unbiased)


def usual(session: Session, scored: Scored, metric: str) -> Level | None:
    """The level of a metric on the weekdays of a window, whose outcomes need not be known; None as for `realised`."""
    if scored.records is None:
        return None
    weekdays, counts = np.unique(weekdays_of(session.days(scored.records)), return_counts=True)
    before = _holdout(session, metric)
    if not len(weekdays) or usual_weekdays(before.days, before.counts) <= set(weekdays.tolist()):
        return None
    return level(before, dict(zip(weekdays.tolist(), counts.tolist(), strict=True)))


def _holdout(session: Session, metric: str) -> Daily:
    """By day, of what the champion was tested on."""
    lineage, version = session.champion.lineage, session.champion.version
    until = parse_time(lineage["holdout_until"]) if lineage else datetime.min
    kept = session.ledger.days.snapshots(version) if lineage else []
    return daily_metric([one for one in kept if datetime.combine(one.day, time()) < until], metric)

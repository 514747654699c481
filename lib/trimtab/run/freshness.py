"""How much has come in since the champion was made, and is that more per day than before?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from trimtab.decide import signals as rules
from trimtab.decide.signals import Measurement
from trimtab.measure.columns.profile import Profile
from trimtab.measure.over_time.growth import growth
from trimtab.run.profiles import whole_days
from trimtab.run.session import Session
from trimtab.settings.notation import parse_time
from trimtab.settings.triggers import Every, Trigger
from trimtab.windows import Window


def freshness(session: Session, window: Window) -> list[Measurement]:
    """New records and the champion's age, where it is known what it was made from, and the growth rate.

    Parameters
    ----------
    window : Window
        The current one.
    """
    alpha = session.thresholds.alpha
    reference = session.reference_window()
    before = _by_day(reference, _counted(session.profile(reference)))
    now = _by_day(window, session.records.rows_by_day(window))
    found = [rules.growth(growth(*before, *now), alpha=alpha)]
    lineage = session.champion.lineage
    if not lineage:
        return found
    until = parse_time(lineage["holdout_until"])
    since = session.records.between("since training", until, session.as_of)
    return [*found, rules.new_records(since.rows), rules.model_age((session.as_of - until) / timedelta(days=1))]


def schedules(session: Session, triggers: Sequence[Trigger]) -> dict[Every, Measurement]:
    """How often each stretch of the calendar has begun, of which a rule asks, since a model was last trained or tried.

    Parameters
    ----------
    triggers : sequence of Trigger
        Without a rule on `schedule`, and where it is not known when the champion was trained, there is nothing.
    """
    asked = dict.fromkeys(rule.every for rule in triggers if rule.every is not None)
    lineage = session.champion.lineage
    if not asked or not lineage:
        return {}
    tried = [one for one in session.ledger.retrains.retrained(session.run_id) if one <= session.as_of]
    since = max([parse_time(lineage["as_of"]), *tried])
    return {every: rules.schedule(every, since, session.as_of) for every in asked}


def _counted(profile: Profile) -> dict[date, int]:
    """Records by day, as they were counted for the profile."""
    days = profile.days
    return {} if days is None else dict(zip(days.dates.tolist(), days.rows.tolist(), strict=True))


def _by_day(window: Window, rows: Mapping[date, int]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Each whole day of a window with its number of records; days without any have 0."""
    first, last = whole_days(window)
    days = np.arange(np.datetime64(first), np.datetime64(max(last + timedelta(days=1), first)))
    return days, np.array([rows.get(day, 0) for day in days.tolist()], dtype=np.int64)

"""How has the champion done since it was made, day by day; has that changed, slowly or at once, and since when?

A day is scored once: its snapshot is kept, and taken again only when outcomes have become known since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.measure.models.intervals import Interval, Measure
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import Performance
from trimtab.measure.over_time.change_points import ChangePoints, locate
from trimtab.measure.over_time.error_change import Change, consecutive_days
from trimtab.measure.over_time.error_trend import Trend, trend
from trimtab.measure.over_time.promises import Promises, promises
from trimtab.measure.over_time.snapshots import Snapshot, daily_losses, loss_of, snapshots
from trimtab.measure.unlabelled.ranges import NOMINAL
from trimtab.run.answered import Answered, answered
from trimtab.run.profiles import whole_days
from trimtab.run.reach import outcomes, reach_by_day
from trimtab.run.scored import Scored, performance_from_json
from trimtab.run.session import Session
from trimtab.run.versions import Model
from trimtab.settings.notation import parse_time
from trimtab.windows import Window

if TYPE_CHECKING:
    import pandas as pd

_NEWS = 0.9    # of a day's outcomes; where more are known already, an earlier day is not taken again for the rest
_LOSSES = {"log_loss": "log loss", "mae": "mean absolute error", "errors": "share of errors"}
_METRICS = {words: "accuracy" if name == "errors" else name for name, words in _LOSSES.items()}


@dataclass(frozen=True)
class History:
    """What is known of one version over time.

    Attributes
    ----------
    taken : tuple of Snapshot
        Its days, oldest first, those of its holdout included: it had not learned from them either.
    holdout_until : datetime or None
        Where its holdout ends; None for a version that Trimtab did not make.
    start, end : datetime
        Of the current window.
    change : Change
        Mean loss in the current window against the window before it.
    trend : Trend
        Of the daily loss over all days.
    points : ChangePoints
        Days on which the loss went to another level.
    loss : str
        Which loss that is, in words.
    baseline : Performance or None
        Of the version on its holdout.
    promises, promises_before : Promises or None
        Prediction intervals of the whole days of the current window, and of those of the holdout.
    """

    taken: tuple[Snapshot, ...]
    holdout_until: datetime | None
    start: datetime
    end: datetime
    change: Change
    trend: Trend
    points: ChangePoints
    loss: str
    baseline: Performance | None = None
    promises: Promises | None = None
    promises_before: Promises | None = None

    @property
    def metric(self) -> str:
        """The metric that goes with the loss."""
        return _METRICS[self.loss]

    @property
    def days(self) -> str:
        """Which days the numbers of the current window rest on, and the window itself where these are not all of it."""
        first, last = self.start.date(), self.end.date() - timedelta(days=1)
        days = f"whole days {first} to {last}" if last > first else f"the whole day {first}" if last == first \
            else "no whole day"
        ends = datetime.combine(first, time()), datetime.combine(last + timedelta(days=1), time())
        window = f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"
        return days if (self.start, self.end) == ends else f"{days}; the window is {window}"

    def baseline_of(self, metric: str) -> Interval | None:
        """A metric on the holdout; None where it is not known."""
        return self.baseline.values.get(Measure(metric)) if self.baseline else None


def history(
    session: Session, window: Window, scored: Scored | None = None, *, until: datetime | None = None
) -> History:
    """Fill in the days of a window and of the one before it, and look at all that are known.

    Parameters
    ----------
    window : Window
        Whose outcomes are looked at.
    scored : Scored, optional
        What the champion said about it, which then is not asked again.
    until : datetime, optional
        Later days are filled in up to here, too: what it said is known before what came.
    """
    session.champion.refuse_before(session.as_of)
    lineage, version = session.champion.lineage, session.champion.version
    begin = parse_time(lineage["holdout_from"]) if lineage else datetime.min
    unlabelled = session.params.data.label is None
    length = window.end - window.start
    recent = max(window.start - length, begin)
    start = recent if begin == datetime.min else begin
    taken = up_to_date(session, start, max(window.end, until or window.end), since=recent, scored=scored)
    first_now, last_now = window.start.date(), whole_days(window)[1]
    looked_at = [one for one in taken if one.day <= last_now]    # of later ones only outcomes that came early are known
    before = [one for one in taken if (window.start - length).date() <= one.day < first_now]
    now = [one for one in looked_at if one.day >= first_now]
    known = session.ledger.version(version)
    baseline = known["baseline"] if known else None
    until = parse_time(lineage["holdout_until"]) if lineage else None
    held = [one for one in taken if until and one.day < until.date()]
    loss = loss_of(looked_at)
    change = consecutive_days(daily_losses(before, loss), daily_losses(now, loss))
    if unlabelled:
        change = replace(change, note="no column of outcomes is named (data.label)")
    every = daily_losses(looked_at, loss)
    return History(
        tuple(taken), until, window.start, window.end, change, trend(every), locate(every), _LOSSES[loss],
        performance_from_json(baseline["performance"]) if baseline else None,
        *(promises(some, promised=NOMINAL, confidence=session.params.promotion.confidence) for some in (now, held)),
    )


def up_to_date(
    session: Session, start: datetime, end: datetime, *, since: datetime | None = None, scored: Scored | None = None
) -> list[Snapshot]:
    """The champion's snapshots of whole days between two times, as they could be when the session stands, oldest first.

    Days that are missing, or have more outcomes by now, are taken and kept. Where a later run knew more than can be
    seen yet a day is taken again, too, and what is kept stays.

    Parameters
    ----------
    since : datetime, optional
        Earlier days are not filled in; of these only such are taken again of which much more is known by now. By
        default the start.
    scored : Scored, optional
        What the champion said about some of these days.
    """
    champion, book = session.champion, session.ledger.days
    window = session.records.between("days", start, end)
    kept = {one.day: one for one in book.snapshots(champion.version, start.date(), whole_days(window)[1])}
    if session.params.data.label is None:
        return list(kept.values())
    seen = session.records.labelled_by_day(window)
    news = {day: seen[day][0] for day, one in kept.items() if day in seen and one.labelled < _NEWS * seen[day][1]}
    now = _scored_or_taken(session, window, news | _missing(seen, kept, replace(window, start=since or start)), scored)
    book.keep_snapshots(champion.version, now)
    ahead = {day: seen[day][0] for day, one in kept.items() if day in seen and one.labelled > seen[day][1]}
    then = take(session, champion, window, ahead) if ahead else []
    return [one for _, one in sorted((kept | {one.day: one for one in (*now, *then)}).items())]


def missing(session: Session, model: Model, window: Window) -> dict[date, int]:
    """Records of the whole days of a window of which a version has no snapshot, or one with fewer outcomes known.

    One with more than can be seen was taken later than the session stands, and is kept as it is.
    """
    kept = {one.day: one for one in session.ledger.days.snapshots(model.version)}
    return _missing(session.records.labelled_by_day(window), kept, window)


def _missing(seen: Mapping[date, tuple[int, int]], kept: Mapping[date, Snapshot], window: Window) -> dict[date, int]:
    first, last = whole_days(window)
    known = {day: (one.rows, one.labelled) for day, one in kept.items()}
    return {day: counts[0] for day, counts in seen.items() if first <= day <= last
            and known.get(day, (0, -1)) != counts and known.get(day, (0, -1))[1] <= counts[1]}


def _scored_or_taken(
    session: Session, window: Window, todo: Mapping[date, int], scored: Scored | None
) -> list[Snapshot]:
    """Snapshots of these days, those first that were scored as a whole."""
    done = _taken(session, scored, todo) if scored else []
    rest = {day: rows for day, rows in todo.items() if day not in {one.day for one in done}}
    return done + (take(session, session.champion, window, rest) if rest else [])


def of_holdout(
    session: Session, outputs: Outputs, records: pd.DataFrame, intervals: Mapping[date, Mapping[str, float]]
) -> list[Snapshot]:
    """Snapshots of a holdout, whose outcomes are all known.

    Its prediction intervals have a width, but no coverage: they were made to hold the promised share of these outcomes.
    """
    days = session.days(records)
    found, counts = np.unique(days, return_counts=True)
    rows = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return snapshots(outputs, days, rows, intervals, _largest(session, records))


def take(session: Session, model: Model, window: Window, todo: Mapping[date, int]) -> list[Snapshot]:
    """Score some days of a window with a version, or read what was logged, and take their snapshots.

    Parameters
    ----------
    todo : mapping
        Records by day, of the days that are wanted.
    """
    frame = session.frame(session.records.on_days(window, sorted(todo)), labelled=False)
    return _snapshots(session, model, answered(session, frame, model), todo)


def _taken(session: Session, scored: Scored, todo: Mapping[date, int]) -> list[Snapshot]:
    """Snapshots of those days that were scored as a whole."""
    if scored.said is None or scored.window is None:
        return []
    first, last = whole_days(scored.window)
    here = {day: rows for day, rows in todo.items() if first <= day <= last}
    chosen = np.isin(session.days(scored.said.records), np.array([*here], dtype="datetime64[D]"))
    return _snapshots(session, session.champion, scored.said.take(chosen), here)


def _snapshots(session: Session, model: Model, said: Answered, rows: Mapping[date, int]) -> list[Snapshot]:
    days = session.days(said.records)
    if said.outputs is None:
        return snapshots(None, days[:0], rows)
    holdout, intervals = session.holdout(model.version), {}
    if holdout is not None and said.coded is not None:
        came = outcomes(said.outputs, said.labelled, said.comparable)
        intervals = dict(reach_by_day(holdout, said.coded, said.outputs, days, came))
    segments = _largest(session, said.records[said.comparable])
    return snapshots(said.labelled, days[said.comparable], rows, intervals, segments)


def _largest(session: Session, records: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Masks of the largest segments, as many as drift is looked for in."""
    masks = session.segments(records)
    ordered = sorted(masks, key=lambda name: -int(masks[name].sum()))
    return {name: masks[name] for name in ordered[: session.params.drift.max_segments]}

"""How well have the champion's estimates done?

Each check's are kept, and held against outcomes once these are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trimtab.measure.models.intervals import Measure, Resampling, intervals
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.unlabelled.track_record import Foretold, TrackRecord, track_record
from trimtab.run.answered import answered
from trimtab.run.expected import Expected
from trimtab.run.scored import Scored, unseen
from trimtab.run.session import Session
from trimtab.windows import Window

NEWS = 0.1    # of a window's records: so many more outcomes are worth holding its estimate against them again
_AT_ONCE = 1    # past windows that a check looks at again; the next check goes on


@dataclass(frozen=True)
class Foretelling:
    """The champion's estimates so far.

    Attributes
    ----------
    metric : str
        The one that speaks for the model.
    past : tuple of Foretold
        Of all metrics, up to the time at which the session stands, the oldest window first.
    """

    metric: str
    past: tuple[Foretold, ...]

    @property
    def records(self) -> dict[str, TrackRecord]:
        """How near they have come, by metric."""
        return track_record(self.past)


def foretold(session: Session, window: Window, scored: Scored, estimates: Expected) -> Foretelling:
    """Keep the estimates of this check, and say how those of the champion have done so far.

    A past window of which many more outcomes are known by now is held against them again, one at each check.
    """
    keep(session, window, scored, estimates)
    catch_up(session, most=_AT_ONCE)
    past = session.ledger.days.foretold(session.champion.version, session.as_of)
    return Foretelling(estimates.metric, tuple(past))


def keep(session: Session, window: Window, scored: Scored, estimates: Expected) -> None:
    """Keep what is estimated of a window, with what is known by now of what came."""
    start = unseen(session, window).start
    realised = scored.performance.values if scored.performance else {}
    made = [
        Foretold(
            name, start, window.end, one.value, one.low, one.high, one.baseline, realised.get(Measure(name)),
            scored.rows, scored.labelled, bool(one.doubtful),
        )
        for name, one in estimates.first.items()
    ]
    session.ledger.days.keep_foretold(session.champion.version, session.as_of, made)


def catch_up(session: Session, *, most: int | None = None) -> int:
    """Hold past estimates against outcomes that have become known since.

    Parameters
    ----------
    most : int, optional
        Windows to look at, those with the most news first; without it all.

    Returns
    -------
    int
        How many windows were looked at.
    """
    book, version = session.ledger.days, session.champion.version
    waiting: dict[tuple[object, object], list[Foretold]] = {}
    for one in book.foretold(version, session.as_of):
        if one.rows - one.labelled > NEWS * one.rows:
            waiting.setdefault((one.start, one.end), []).append(one)
    news = []
    for some in waiting.values():
        window = session.records.between("past", some[0].start, some[0].end)
        if window.labelled - some[0].labelled > NEWS * some[0].rows:
            news.append((window.labelled - some[0].labelled, window, some))
    chosen = sorted(news, key=lambda one: -one[0])[:most]
    for _, window, some in chosen:
        book.keep_foretold(version, session.as_of, _realised(session, window, some))
    return len(chosen)


def _realised(session: Session, window: Window, some: Sequence[Foretold]) -> list[Foretold]:
    """The same estimates with what is known by now."""
    said = answered(session, session.frame(window, labelled=True))
    if said.labelled is None:
        return []
    known = [one.metric for one in some if METRICS[one.metric].applies(said.labelled)]
    found = intervals(
        known, said.labelled, groups=session.days(said.records)[said.comparable],
        resampling=Resampling(confidence=session.params.promotion.confidence),
    )
    return [replace(one, realised=found.get(Measure(one.metric)), labelled=window.labelled) for one in some]

"""What would stand in the ledger, had every day been watched? Fills daily counts and snapshots over history.

Each day is one transaction of each kind and done once, so that a backfill which was interrupted goes on where it
stopped. It stands at one time, as every run does: outcomes that could not be known then are not known to it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from trimtab import params as params_module
from trimtab.act import champion as champions
from trimtab.act.fence import GAVE_WAY
from trimtab.errors import BusyError, StepError, TrimtabError, UsageError, of_place
from trimtab.run import checking, foretold, history, proportions
from trimtab.run.expected import expected
from trimtab.run.interruptions import stops_as_exceptions, undisturbed
from trimtab.run.lease import heartbeat
from trimtab.run.preflight import Request
from trimtab.run.runner import interrupted, new_run_id
from trimtab.run.scored import score
from trimtab.run.session import Session
from trimtab.settings.notation import parse_time

STRETCH = timedelta(days=30)    # days that are read, counted and scored in one go


@dataclass(frozen=True)
class Service:
    """A stretch of time over which a version's days are filled in; the end is not included."""

    version: int
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Backfilled:
    """What a backfill found to do.

    Attributes
    ----------
    start, end : datetime
        Of the history that it looked at.
    counted : int
        Days with records whose counts, by the champion's bins, are there now.
    scored : mapping
        Snapshots that were taken, by version.
    estimated : int
        Windows of the champion, one after the other, of which performance was estimated without outcomes.
    """

    start: datetime
    end: datetime
    counted: int
    scored: Mapping[int, int]
    estimated: int


def run(request: Request, *, start: str | None = None, end: str | None = None) -> tuple[Session, Backfilled]:
    """Fill in the history of a model, as the one active run of it.

    Parameters
    ----------
    request : Request
        Of which params file, as of when, with which overrides.
    start, end : ISO time, optional
        Of the history; by default all there is to be seen.

    Raises
    ------
    TrimtabError
        As runs do: for bad usage, params or data, while another run is active, or when interrupted.
    """
    with stops_as_exceptions():
        loaded = params_module.load(request.params, overrides=request.overrides)
        session = Session(loaded, as_of=request.as_of, run_id=new_run_id("backfill"))
        try:
            return session, _leased(session, start, end, progress=request.progress)
        except KeyboardInterrupt as stop:
            raise interrupted(stop) from None
        except TrimtabError as error:
            error.args = (loaded.redact(str(error)),)
            error.about = {"model": loaded.params.model, "tenant": loaded.params.tenant}
            raise
        except Exception as failed:
            told = f"{type(failed).__name__}: {loaded.redact(str(failed))}".splitlines()[0]
            raise of_place(failed, session.home) or StepError(f"the backfill could not go on: {told}") from failed
        finally:
            session.close()


def _leased(session: Session, start: str | None, end: str | None, *, progress: bool) -> Backfilled:
    begin, until = _asked(session, start, end)
    lost = threading.Event()
    try:
        session.ledger.lease.acquire(session.run_id)
        with heartbeat(session.ledger, session.run_id, lost):
            champions.recover(session.ledger, session.registry)
            session.check()
            return backfill(session, begin, until, lost=lost, progress=progress)
    finally:
        with undisturbed(), contextlib.suppress(TrimtabError):
            session.ledger.lease.release(session.run_id)


def _asked(session: Session, start: str | None, end: str | None) -> tuple[datetime, datetime]:
    """The history that was asked for, as far as it can be seen."""
    first = datetime.combine(session.records.span[0], datetime.min.time())
    try:
        begin = max(parse_time(start), first) if start else first
        until = min(parse_time(end), session.as_of) if end else session.as_of
    except ValueError as error:
        raise UsageError(f"--from, --to: {error}") from None
    if begin >= until:
        raise UsageError(f"--from, --to: there is no record to be seen from {begin:%Y-%m-%d %H:%M} to "
                         f"{until:%Y-%m-%d %H:%M}")
    return begin, until


def backfill(
    session: Session, start: datetime, end: datetime, *, lost: threading.Event | None = None, progress: bool = False
) -> Backfilled:
    """Count the days of some history by the champion's bins, and take the snapshots of each version that served.

    Of the champion's life, performance is estimated without outcomes too, window by window back from the end, and held
    against what came.

    Parameters
    ----------
    lost : Event, optional
        Set when another run took over; then this one stops.
    progress : bool
        Show a bar on standard error.

    Raises
    ------
    UsageError
        When there is no champion, or it could not exist yet.
    BusyError
        When another run took over.
    """
    from tqdm import tqdm

    session.champion.refuse_before(session.as_of)
    served = services(session.ledger.succession.changes(), session.as_of, _made(session))
    parts = [part for one in served if (part := _within(one, start, end)) is not None]
    scored: dict[int, int] = {}
    days = (end - start).days + sum((one.end - one.start).days for one in parts)
    with tqdm(total=days, unit="day", disable=not progress, desc="backfill") as bar:
        counted = _count(session, start, end, bar, lost)
        for part in parts:
            found = _score(session, part, bar, lost)
            scored[part.version] = scored.get(part.version, 0) + found
        estimated = _estimate(session, start, end, lost)
    return Backfilled(start, end, counted, scored, estimated)


def services(
    changes: Sequence[Mapping[str, Any]], as_of: datetime, made: Mapping[int, datetime | None]
) -> list[Service]:
    """Who served when, up to a time; a version's first days begin where its holdout ends, which it is newer than.

    Parameters
    ----------
    changes : sequence of mapping
        Of the champion, as the ledger tells them, oldest first.
    as_of : datetime
    made : mapping
        By version, the end of its holdout; None where that is not known.

    Examples
    --------
    >>> one, two, now = (datetime(2024, month, 1) for month in (3, 5, 6))
    >>> done = [{"state": "done", "to_version": v, "as_of": t} for v, t in ((1, one), (2, two))]
    >>> [(s.version, s.start.day, s.end.month) for s in services(done, now, {1: datetime(2024, 2, 28), 2: two})]
    [(1, 28, 5), (2, 1, 6)]
    """
    done = [(one["to_version"], one["as_of"] or one["created_at"]) for one in changes if one["state"] == "done"]
    done = [(version, at) for version, at in done if at <= as_of]
    times = [*(at for _, at in done), as_of]
    found: list[Service] = []
    for (version, at), end in zip(done, times[1:], strict=True):
        if version is None:
            continue
        until = made.get(version)
        first = not any(one.version == version for one in found)
        start = at if until is None else until if first else max(at, until)
        if start < end:
            found.append(Service(version, start, end))
    return found


def _made(session: Session) -> dict[int, datetime | None]:
    return {
        row["version"]: parse_time(row["lineage"]["holdout_until"]) if row["lineage"] else None
        for row in session.ledger.versions()
    }


def _within(service: Service, start: datetime, end: datetime) -> Service | None:
    begin, until = max(service.start, start), min(service.end, end)
    return Service(service.version, begin, until) if begin < until else None


def _stretches(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Parts of some history that begin and end with days."""
    while start < end:
        midnight = datetime.combine(start.date(), datetime.min.time())
        stop = min(midnight + STRETCH, end)
        yield start, stop
        start = stop


def _count(session: Session, start: datetime, end: datetime, bar: Any, lost: threading.Event | None) -> int:
    counted = 0
    for begin, stop in _stretches(start, end):
        _go_on(lost)
        window = session.records.between("days", begin, stop)
        if window.rows:
            days = session.profiles.of(window, session.bins).days
            counted += 0 if days is None else len(days)
        proportions.count(session, begin, stop)
        bar.update((stop - begin).days)
    return counted


def _score(session: Session, service: Service, bar: Any, lost: threading.Event | None) -> int:
    model = session.model(service.version)
    taken = 0
    for begin, stop in _stretches(service.start, service.end):
        window = session.records.between("days", begin, stop)
        todo = history.missing(session, model, window) if window.rows else {}
        for one in history.take(session, model, window, todo) if todo else []:
            _go_on(lost)
            session.ledger.days.keep_snapshots(model.version, [one])
            taken += 1
        bar.update((stop - begin).days)
    return taken


def _estimate(session: Session, start: datetime, end: datetime, lost: threading.Event | None) -> int:
    """Estimate past windows of the champion as long as its current one, and say what came of its performance there.

    Those that are kept are not done again.
    """
    champion, current = session.champion, session.windows()[1]
    until = champion.lineage.get("holdout_until")
    begin = max(start, parse_time(until)) if until else start
    kept = {(one.start, one.end) for one in session.ledger.days.foretold(champion.version, session.as_of)}
    done, length = 0, current.end - current.start
    while length and end - length >= begin:
        _go_on(lost)
        window = session.records.between("current", end - length, end)
        if window.rows and (window.start, window.end) not in kept:
            scored = score(session, window)
            foretold.keep(session, window, scored, expected(session, scored))
            checking.mark(session, window, checking.performance_signal(session, scored))
            done += 1
        end -= length
    foretold.catch_up(session)
    return done


def _go_on(lost: threading.Event | None) -> None:
    if lost is not None and lost.is_set():
        raise BusyError(GAVE_WAY)

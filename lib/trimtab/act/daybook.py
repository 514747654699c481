"""What was measured day by day? The ledger's other half: counts that windows are summed from, and performance.

A day is counted once for each definition of bins. Who reads it compares its number of records with what there is now,
for records may arrive late.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa

from trimtab.act import tables
from trimtab.act.rows import Rows, now
from trimtab.measure.columns.bins import BinTable
from trimtab.measure.columns.days import Daily, Days, pack, unpack
from trimtab.measure.models.confusion import Confusion
from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.outputs import Array
from trimtab.measure.over_time.snapshots import Snapshot
from trimtab.measure.together.samples import Sample
from trimtab.measure.unlabelled.holdouts import Holdout
from trimtab.measure.unlabelled.track_record import Foretold
from trimtab.plain import plain

AnyDays = TypeVar("AnyDays", bound=Daily[Any])
_ESTIMATED = ("value", "low", "high", "baseline")
_OF_WINDOW = ("window_start", "window_end", "metric")


class DayBook(Rows):
    """Daily counts of one model of one tenant; parameters as `Rows`."""

    def counted(self, key: str, bins: BinTable, first: date, last: date) -> Days:
        """The days that are kept, from `first` to `last`, both included.

        Parameters
        ----------
        key : str
            Of the bins and the place where the records are.
        bins : mapping
            By which the days were counted.
        """
        return self.kept(key, Days.of(bins, {}), first, last)

    def kept(self, key: str, none: AnyDays, first: date, last: date) -> AnyDays:
        """The days of any kind that are kept, from `first` to `last`, both included.

        Parameters
        ----------
        key : str
            Of the definition by which they were counted, and the place where the records are.
        none : Daily
            No days, of that definition.
        """
        table = tables.daily_profiles
        within = (table.c.key == key, table.c.day >= first, table.c.day <= last)
        rows = self._rows(self._select(table).where(*within).order_by(table.c.day))
        if not rows:
            return none
        counts = np.array([unpack(row["counts"]) for row in rows])
        return replace(none, dates=np.array([row["day"] for row in rows], dtype="datetime64[D]"), counts=counts)

    def keep(self, key: str, days: Daily[Any]) -> None:
        """Keep days, in the place of what was kept of them before."""
        table, clock = tables.daily_profiles, now()
        rows = [
            self._mine | {"key": key, "day": day, "rows": int(row[0]), "counts": pack(row), "recorded_at": clock}
            for day, row in zip(days.dates.tolist(), days.counts, strict=True)
        ]
        if not rows:
            return
        with self._write() as connection:
            same = (table.c.key == key, table.c.day.in_([row["day"] for row in rows]))
            connection.execute(table.delete().where(*self._is_mine(table), *same))
            connection.execute(table.insert(), rows)

    def snapshots(self, version: int, first: date | None = None, last: date | None = None) -> list[Snapshot]:
        """The snapshots of a version that are kept, oldest first.

        Parameters
        ----------
        first, last : date, optional
            Both included; without them all.
        """
        table = tables.performance_snapshots
        query = self._select(table).where(table.c.version == version).order_by(table.c.day)
        query = query.where(table.c.day >= first) if first else query
        query = query.where(table.c.day <= last) if last else query
        return [
            Snapshot(row["day"], row["rows"], row["labelled"], _numbers(row["metrics"]),
                     {name: row[name] for name in tables.SNAPSHOT_INTERVALS if row[name] is not None},
                     {name: _numbers(one) for name, one in (row["groups"] or {}).items()},
                     Confusion.from_json(row["confusion"]) if row["confusion"] else None)
            for row in self._rows(query)
        ]

    def keep_snapshots(self, version: int, taken: Sequence[Snapshot]) -> None:
        """Keep snapshots, in the place of what was kept of these days before; what a check said of a day stays."""
        if not taken:
            return
        table, clock = tables.performance_snapshots, now()
        rows = [
            self._mine | {"version": version, "day": one.day, "rows": one.rows, "labelled": one.labelled}
            | {name: plain(one.metrics.get(name)) for name in tables.SNAPSHOT_METRICS}
            | {name: plain(one.intervals.get(name)) for name in tables.SNAPSHOT_INTERVALS}
            | {"metrics": plain(one.metrics), "groups": plain(one.groups), "recorded_at": clock,
               "confusion": one.confusion.to_json() if one.confusion else sa.null()}
            for one in taken
        ]
        nothing = dict.fromkeys(tables.SNAPSHOT_DRIFT)
        with self._write() as connection:
            same = (*self._is_mine(table), table.c.version == version, table.c.day.in_([one.day for one in taken]))
            said = sa.select(table.c.day, *(table.c[name] for name in tables.SNAPSHOT_DRIFT)).where(*same)
            told = {row["day"]: dict(row) for row in connection.execute(said).mappings()}
            connection.execute(table.delete().where(*same))
            connection.execute(table.insert(), [row | nothing | told.get(row["day"], {}) for row in rows])

    def mark_snapshot(
        self, version: int, first: date, last: date, *, p_value: float, performance_delta: float, is_degraded: bool
    ) -> date | None:
        """Write what a check said of a version beside the newest snapshot of its window.

        Parameters
        ----------
        first, last : date
            Of the window, both included.
        p_value, performance_delta : float
            Of realised performance against the baseline: the change as a share of it, below 0 where it is worse. nan
            where it is not known.
        is_degraded : bool
            Whether the check graded that as a loss.

        Returns
        -------
        date or None
            The day; None where the window has no snapshot.
        """
        table = tables.performance_snapshots
        mine = (*self._is_mine(table), table.c.version == version)
        newest = sa.select(sa.func.max(table.c.day)).where(*mine, table.c.day >= first, table.c.day <= last)
        told = {"p_value": plain(p_value), "performance_delta": plain(performance_delta), "is_degraded": is_degraded}
        with self._write() as connection:
            day: date | None = connection.execute(newest).scalar()
            if day is not None:
                connection.execute(table.update().where(*mine, table.c.day == day).values(**told))
        return day

    def foretold(self, version: int, as_of: datetime) -> list[Foretold]:
        """What was estimated of a version over windows that end by a time, and what came; the oldest window first.

        What became known later than that is left out.
        """
        table = tables.estimates
        query, order = self._select(table), (table.c.window_start, table.c.metric)
        query = query.where(table.c.version == version, table.c.window_end <= as_of)
        return [_foretold(row, as_of) for row in self._rows(query.order_by(table.c.window_end, *order))]

    def keep_foretold(self, version: int, as_of: datetime, made: Sequence[Foretold]) -> None:
        """Keep what was estimated, and what is known as of a time, in the place of what was kept of these windows."""
        if not made:
            return
        table, clock = tables.estimates, now()
        rows = [
            self._mine | {
                "version": version, "window_start": one.start, "window_end": one.end, "metric": one.metric,
                "as_of": as_of, "doubtful": one.doubtful, "rows": one.rows, "labelled": one.labelled,
                "realised": plain(one.realised) if one.realised else sa.null(), "recorded_at": clock,
            } | {name: plain(getattr(one, name)) for name in _ESTIMATED}
            for one in made
        ]
        keys = [tuple(row[name] for name in _OF_WINDOW) for row in rows]
        with self._write() as connection:
            same = sa.tuple_(*(table.c[name] for name in _OF_WINDOW)).in_(keys)
            connection.execute(table.delete().where(*self._is_mine(table), table.c.version == version, same))
            connection.execute(table.insert(), rows)

    def sample(self, key: str) -> tuple[Sample, Array] | None:
        """Records that stand for a window, and their days; None where none are kept."""
        table = tables.samples
        rows = self._rows(self._select(table).where(table.c.key == key))
        if not rows:
            return None
        return Sample.from_bytes(rows[0]["content"]), unpack(rows[0]["days"]).astype("datetime64[D]")

    def keep_sample(self, key: str, sample: Sample, days: Array) -> None:
        """Keep records that stand for a window, in the place of those kept before."""
        packed = pack(days.astype("datetime64[D]").astype(np.int64))
        self._replace(
            tables.samples, key=key, rows=len(sample), content=sample.to_bytes(), days=packed, recorded_at=now()
        )

    def holdout(self, version: int) -> Holdout | None:
        """Records that a version was evaluated on; None where none are kept."""
        table = tables.holdouts
        rows = self._rows(self._select(table).where(table.c.version == version))
        return Holdout.from_bytes(rows[0]["content"]) if rows else None

    def keep_holdout(self, version: int, holdout: Holdout) -> None:
        """Keep records that a version was evaluated on, in the place of those kept before."""
        content = holdout.to_bytes()
        self._replace(
            tables.holdouts, version=version, rows=len(holdout.outputs), content=content, recorded_at=now()
        )


def _foretold(row: Mapping[str, Any], as_of: datetime) -> Foretold:
    numbers = {name: math.nan if row[name] is None else row[name] for name in _ESTIMATED}
    known = row["realised"] if row["as_of"] <= as_of else None
    realised = None if known is None else Interval(**{k: math.nan if v is None else v for k, v in known.items()})
    return Foretold(
        row["metric"], row["window_start"], row["window_end"], **numbers, realised=realised, rows=row["rows"],
        labelled=row["labelled"] if row["as_of"] <= as_of else 0, doubtful=row["doubtful"],
    )


def _numbers(kept: Mapping[str, float | None]) -> dict[str, float]:
    """Kept values by name, nan where there was none."""
    return {name: math.nan if value is None else value for name, value in kept.items()}

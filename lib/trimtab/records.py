"""Which records, and which of their labels, could be seen at a time T? Every Ibis expression is run here.

A `Records` is a table as it stood at `as_of`: later records are filtered out and labels that were not yet known are
null, in one expression from which all windows are cut. Nothing else in Trimtab reads the source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from trimtab import sources, tally
from trimtab.counts import Count, DayCounts, following_midnight
from trimtab.errors import DataError, NoRecordsError, first_line
from trimtab.measure.columns import profiling
from trimtab.measure.columns.bins import BinTable
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.watched import Watched
from trimtab.measure.models.scoring import label_text
from trimtab.settings.data import Data, WindowSpec
from trimtab.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


_PRIME = 2_147_483_647
_MIDNIGHT = time()


@dataclass(frozen=True)
class Fingerprint:
    """Identity of a window's content: rows, range of times, and a hash that does not depend on their order."""

    rows: int
    first: str | None
    last: str | None
    sha256: str


class Records:
    """The records of one params file as they could be seen at `as_of`.

    Parameters
    ----------
    data : Data
        Columns and their roles.
    table : ibis Table
        The source, uncut.
    backend : ibis backend
        Where expressions run.
    as_of : datetime, "now" or "latest"
        Records made at this time or later are invisible; "latest" means just after the newest record.
    source : str
        How messages call the table.
    """

    def __init__(self, data: Data, table: ir.Table, backend: Any, as_of: datetime | str, source: str) -> None:
        self.data = data
        self.source = source
        self._backend = backend
        self._table = sources.checked(data, table, source, self.arrow)
        self.as_of = self._resolve(as_of)
        self.visible = sources.viewed(backend, self._visible())
        self._counts = DayCounts(self._count, lambda: self._days[1])
        self._last: tuple[Any, pa.Table] | None = None

    @classmethod
    def open(cls, data: Data, as_of: datetime | str, folders: Sequence[Path]) -> Records:
        """Connect to the source; relative files are looked for in `folders`, in order.

        Raises
        ------
        DataError
            When the source is missing or unreadable, or a column is missing or of the wrong type.
        """
        moment = None if as_of == "latest" else _moment(as_of)
        backend, table = sources.connect(data, folders, moment)
        return cls(data, table, backend, moment or as_of, data.table)

    def close(self) -> None:
        """Give the connection back."""
        self._backend.disconnect()

    # -- running expressions -------------------------------------------------------------------------------------

    def arrow(self, expression: ir.Table) -> pa.Table:
        """Run an expression; a failure in the source is a DataError that names it."""
        try:
            return self._backend.to_pyarrow(expression)
        except Exception as error:
            raise DataError(f"{self.source}: cannot be read: {first_line(error)}") from error

    def fetched(self, expression: ir.Table) -> pa.Table:
        """Run an expression, but not once more when it is the last one again: of a window several things are asked."""
        asked = expression.op()
        if self._last is None or self._last[0] != asked:
            self._last = None
            self._last = asked, self.arrow(expression)
        return self._last[1]

    def row(self, expression: ir.Table) -> dict[str, Any]:
        """Run an expression that gives one row."""
        rows: list[dict[str, Any]] = self.arrow(expression).to_pylist()
        return rows[0]

    def frame(self, window: Window, columns: Sequence[str]) -> pd.DataFrame:
        """The window's records as a data frame, oldest first, text columns as objects with None for null."""
        order = list(dict.fromkeys([self.data.time, *([self.data.id] if self.data.id else [])]))
        wanted = list(dict.fromkeys([*columns, *order]))
        frame: pd.DataFrame = self.arrow(window.table.select(*wanted).order_by(order)).to_pandas()
        for name in frame.columns:
            if frame[name].dtype == "str":
                frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
        return frame[list(columns)]

    # -- windows -------------------------------------------------------------------------------------------------

    def window(self, name: str, spec: WindowSpec) -> Window:
        """Cut a window.

        Raises
        ------
        DataError
            When it holds no records.
        """
        window = self.stretch(name, spec)
        if not window.rows:
            raise DataError(
                f"{self.source}: the {window} holds no records: as of {self.as_of:%Y-%m-%d %H:%M} the records "
                f"run from {self.span[0]:%Y-%m-%d %H:%M} to {self.span[1]:%Y-%m-%d %H:%M}"
            )
        return window

    def stretch(self, name: str, spec: WindowSpec) -> Window:
        """A window that may hold no records."""
        return self.between(name, *self._bounds(spec, labelled=False))

    def between(self, name: str, start: datetime, end: datetime, *, labelled: bool = False) -> Window:
        """The visible records with start ≤ time < end, or those of them that have a label."""
        counted = self._counts.between(*self._within(start, end))
        table = self._cut(start, end)
        if not labelled:
            return Window(name, start, end, *counted, table)
        told = table.filter(table[self.label].notnull())
        return Window(name, start, end, counted.labelled, counted.labelled, told, outcomes_only=True)

    def _cut(self, start: datetime, end: datetime) -> ir.Table:
        time = self.visible[self.data.time]
        return self.visible.filter(time >= ibis.literal(start), time < ibis.literal(end))

    def _count(self, start: datetime, end: datetime) -> dict[date, Count]:
        """Ask how many records the days between two times have, and how many of them a label."""
        table = self._cut(start, end)
        day = table[self.data.time].cast("timestamp").date()
        known = table[self.data.label].notnull().sum() if self.data.label else ibis.literal(0)
        counted = table.group_by(day=day).aggregate(n=table.count(), known=known.cast("int64"))
        return {row["day"]: Count(row["n"], row["known"] or 0) for row in self.arrow(counted).to_pylist()}

    @property
    def _days(self) -> tuple[datetime, datetime]:
        """The midnight before the first record and the one after the last."""
        first, last = (datetime.combine(moment, _MIDNIGHT) for moment in self.span)
        return first, following_midnight(last)

    def _within(self, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """Two times, not before the first day that has a record, and the end of the last where nothing is newer."""
        first, last = self._days
        return max(start, first), last if end > self.span[1].replace(tzinfo=None) else end

    def training(self, spec: WindowSpec, holdout: float) -> tuple[Window, Window]:
        """Split the labelled training window by time: the oldest records to learn from, the newest `holdout` share.

        Records of the same moment stay together, so that no record of the holdout is older than one trained on. The
        holdout ends where labels can be known: what lies beyond is nothing that a model was made from.

        Raises
        ------
        DataError
            When there are no labels, or too few distinct times to split.
        """
        start, end = self._bounds(spec, labelled=True)
        end = min(end, self.as_of - self.data.label_delay)
        both = self.between("training window", start, end, labelled=True)
        if end <= start:
            raise DataError(
                f"{self.source}: no label of column {self.data.label!r} can be known yet: data.label_delay hides those "
                f"of records from {end:%Y-%m-%d} on, and the training window begins on {start:%Y-%m-%d}"
            )
        if not both.rows:
            raise DataError(
                f"{self.source}: column {self.data.label!r} has no known label between {start:%Y-%m-%d} and "
                f"{end:%Y-%m-%d}, so there is nothing to train on"
            )
        return self.split(both, 1 - holdout, "training", "holdout")

    def split(self, window: Window, share: float, before: str, after: str) -> tuple[Window, Window]:
        """Split a window's labelled records by time; the windows are named `before`, with that share, and `after`.

        Raises
        ------
        DataError
            When there are too few distinct times.
        """
        middle = self._middle(window, share)
        older = self.between(before, window.start, middle, labelled=True)
        newer = self.between(after, middle, window.end, labelled=True)
        if not older.rows or not newer.rows:
            raise DataError(
                f"{self.source}: the {window.rows} labelled records of the {window.name} cannot be split by "
                f"{self.data.time!r} into {before} and {after}: too few distinct times"
            )
        return older, newer

    def _middle(self, window: Window, share: float) -> datetime:
        """The time of the record before which that share of a window lies; never the window's first time."""
        times = window.table.select(t=window.table[self.data.time])
        before = min(round(window.rows * share), window.rows - 1)
        at: datetime = self.row(times.order_by("t").limit(1, offset=before))["t"]
        if self._counts.between(*self._within(window.start, at)).labelled:
            return at
        later = times.filter(times.t > ibis.literal(at))
        return self.row(later.aggregate(t=later.t.min()))["t"] or at

    def fingerprint(self, window: Window) -> Fingerprint:
        """Identity of the window's content. Equal content gives an equal hash in any order of rows."""
        table = window.table
        time = table[self.data.time]
        row = profiling.row_hash(table, sorted(table.columns), native=self._backend.name == "duckdb")
        # Exclusive or alone does not see what is there twice.
        seen = self.row(table.aggregate(
            n=table.count(), a=time.min(), b=time.max(), h=row.bit_xor(), s=(row % _PRIME).sum()
        ))
        first, last = (t.isoformat() if t is not None else None for t in (seen["a"], seen["b"]))
        content = json.dumps([sorted(table.columns), seen["n"], first, last, seen["h"], int(seen["s"] or 0)])
        return Fingerprint(seen["n"], first, last, hashlib.sha256(content.encode()).hexdigest())

    # -- profiles ------------------------------------------------------------------------------------------------

    def profile(self, window: Window, watched: Watched, bins: BinTable | None = None) -> Profile:
        """Count the window's records per bin; without `bins`, freeze them on this window first."""
        return tally.count_profile(self._backend, window, watched, bins, run=self.arrow)

    def freeze(self, window: Window, watched: Watched) -> BinTable:
        """Freeze bins on a window."""
        return tally.freeze(self._backend, window, watched, self.arrow)

    def days(self, window: Window, watched: Watched, bins: BinTable) -> Days:
        """Count the window's records per bin and day, in one pass."""
        return tally.count_days(self._backend, window, watched, bins, self.data.time, self.fetched)

    def segments(
        self, window: Window, watched: Watched, bins: BinTable, column: str, values: Sequence[str]
    ) -> dict[str, Profile]:
        """Count the records with these values of a column per bin and day, in one pass."""
        return tally.count_segments(
            self._backend, window, watched, bins, segment=column, values=values, time=self.data.time, run=self.arrow)

    def sampled(self, window: Window, watched: Watched, rows: int) -> pa.Table:
        """About so many records of a window or somewhat more, the same ones each time; all where there are fewer."""
        native = self._backend.name == "duckdb"
        return self.fetched(profiling.sampled(window.table, watched, window.rows, rows, self.data.time, native=native))

    def on_days(self, window: Window, days: Sequence[date]) -> Window:
        """The window's records of these days."""
        day = window.table[self.data.time].cast("timestamp").date()
        table = window.table.filter(day.isin(list(days)))
        return replace(window, table=table, rows=self.row(table.aggregate(n=table.count()))["n"])

    def rows_by_day(self, window: Window) -> dict[date, int]:
        """How many records each day of a window has that `between` gave; days without any are left out."""
        counted = self.labelled_by_day(window)
        return {day: known if window.outcomes_only else rows for day, (rows, known) in counted.items()}

    def labelled_by_day(self, window: Window) -> dict[date, Count]:
        """How many records each day between a window's ends has, and how many a known label; without empty days."""
        return self._counts.by_day(*self._within(window.start, window.end))

    def classes(self, window: Window) -> dict[str, int]:
        """How often each label occurs in a window, most frequent first; unknown labels are left out."""
        table = window.table.filter(window.table[self.label].notnull())
        counts = table.group_by(label=table[self.label]).aggregate(n=table.count())
        found: dict[str, int] = {}
        for row in self.arrow(counts).to_pylist():
            name = label_text(row["label"])
            found[name] = found.get(name, 0) + row["n"]
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    # -- what is known of all of them ------------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """The column of outcomes.

        Raises
        ------
        DataError
            When none is named.
        """
        if self.data.label is None:
            raise DataError("data.label: no label column is named, so nothing can be trained or evaluated")
        return self.data.label

    @cached_property
    def span(self) -> tuple[datetime, datetime]:
        """The times of the first and of the last record.

        Raises
        ------
        DataError
            When there is none.
        """
        time = self.visible[self.data.time]
        span = self.row(self.visible.aggregate(first=time.min(), last=time.max()))
        if span["first"] is None:
            raise NoRecordsError(f"{self.source}: no record is older than {self.as_of:%Y-%m-%d %H:%M} (as_of)")
        return span["first"], span["last"]

    def timeless(self) -> int:
        """Records of the source that have no time, and so can be seen at none."""
        lost = self._table.filter(self._table[self.data.time].isnull())
        count: int = self.row(lost.aggregate(n=lost.count()))["n"]
        return count

    # -- inside --------------------------------------------------------------------------------------------------

    def _resolve(self, as_of: datetime | str) -> datetime:
        if as_of != "latest":
            return _moment(as_of)
        newest: datetime = self.row(self._table.aggregate(t=self._table[self.data.time].max()))["t"]
        latest = newest.replace(tzinfo=None)
        return latest + timedelta(seconds=1) if latest < datetime.max - timedelta(seconds=1) else datetime.max

    def _visible(self) -> ir.Table:
        """The table as of T: no later records, and null in the place of labels that nobody could know."""
        data, table = self.data, self._table
        now = ibis.literal(self.as_of)
        table = table.filter(table[data.time] < now)
        if data.label is None:
            return table
        known = table[data.time] <= ibis.literal(self.as_of - data.label_delay)
        hidden: dict[str, ir.Value] = {}
        if data.label_time is not None:
            told = table[data.label_time]
            known = known & (told.isnull() | (told <= now))
            hidden[data.label_time] = ibis.ifelse(told <= now, told, ibis.null(told.type()))
        label = table[data.label]
        present = label.notnull() & ~label.isnan() if label.type().is_floating() else label.notnull()
        hidden[data.label] = ibis.ifelse(known & present, label, ibis.null(label.type()))
        return table.mutate(**hidden)

    def _bounds(self, spec: WindowSpec, *, labelled: bool) -> tuple[datetime, datetime]:
        """Start and end, the start not before the first record: a report must not claim a year where a month is."""
        start, end = self._asked(spec, labelled=labelled)
        first: datetime = self.span[0].replace(tzinfo=None)
        return (max(start, first) if first < end else start), end

    def _asked(self, spec: WindowSpec, *, labelled: bool) -> tuple[datetime, datetime]:
        if spec.last is not None:
            return self.as_of - spec.last, self.as_of - (spec.until or timedelta(0))
        if spec.rows is None:
            last = self.span[1].replace(tzinfo=None) + timedelta(seconds=1)
            return spec.from_ or self.span[0], min(spec.to or last, self.as_of)
        table = self.visible.filter(self.visible[self.label].notnull()) if labelled else self.visible
        newest = table.order_by(ibis.desc(self.data.time)).limit(spec.rows)
        oldest = self.row(newest.aggregate(t=newest[self.data.time].min()))["t"]
        return oldest or self.as_of, self.as_of


def _moment(as_of: datetime | str) -> datetime:
    """A time, or now."""
    return as_of if isinstance(as_of, datetime) else datetime.now(UTC).replace(tzinfo=None, microsecond=0)

"""Have rates and confidences moved: of the records, and of each field of a table of extraction results?

Such a table has one row per document and field. Each of its rates and its confidence is watched field by field, for a
field that is not read any more is lost among all others. Fields are those of what the champion was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import ibis

from trimtab.cells import listed
from trimtab.errors import NoRecordsError
from trimtab.measure.columns.aspects import INDEPENDENT, SMALLEST_SAMPLE, Variation
from trimtab.measure.columns.means import Moved, mean, rate
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.variation import variation
from trimtab.measure.columns.watched import Watched
from trimtab.records import Records
from trimtab.run.profiles import Profiles
from trimtab.windows import Window

if TYPE_CHECKING:
    from trimtab.run.session import Session
    from trimtab.settings.data import Extractions

MOST_FIELDS = 50
"""Fields that are watched, the most frequent ones."""

_Look = Callable[[str, ColumnProfile, ColumnProfile, Variation], Moved]


@dataclass(frozen=True)
class Proportions:
    """What is watched by one number; empty where nothing of the kind is named.

    Attributes
    ----------
    rates, confidences : tuple of Moved
        Those of the records by their column, those of extraction results as "matched of total".
    named : tuple of str
        Which of the two kinds the params file names, as signals: rate_drop, confidence_shift.
    gone, new : tuple of str
        Fields of which there are no extraction results any more, and those of which there were none before.
    since : datetime, optional
        From when on extraction results were looked at, where that is not the current window.
    """

    rates: tuple[Moved, ...]
    confidences: tuple[Moved, ...]
    named: tuple[str, ...]
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def told(self) -> str:
        """What became of the fields, in sentences; empty where they are as they were.

        Examples
        --------
        >>> Proportions((), (), (), gone=("date",), new=("total", "sum")).told
        'There are no results any more of date. New, and not watched: total, sum.'
        """
        gone = f"There are no results any more of {listed(self.gone)}." if self.gone else ""
        new = f"New, and not watched: {listed(self.new)}." if self.new else ""
        return f"{gone} {new}".strip()


@lru_cache(maxsize=2)    # a check asks twice: for its signals, and for the table of them
def proportions(session: Session, window: Window) -> Proportions:
    """How rates and confidences moved from the reference to a window."""
    data, asked = session.params.data, session.params.data.extractions
    rates: tuple[Moved, ...] = ()
    confidences: tuple[Moved, ...] = ()
    if data.rates or data.confidences:
        pair = session.profile(session.reference_window()), session.profile(window)
        rates = _moved(rate, {name: name for name in data.rates}, *pair)
        confidences = _moved(mean, {name: name for name in data.confidences}, *pair)
    fields, results = _fields(session), _results(session, window)
    if asked is not None and fields is not None:
        pair = fields.profiles(session, results)
        rates += _moved(rate, fields.names(asked.rates), *pair)
        confidences += _moved(mean, fields.names((asked.confidence,) if asked.confidence else ()), *pair)
    gone, new = fields.changed(results) if fields is not None else ((), ())
    named = {"rate_drop": data.rates or (asked and asked.rates),
             "confidence_shift": data.confidences or (asked and asked.confidence)}
    return Proportions(rates, confidences, tuple(name for name, what in named.items() if what), gone, new,
                       since=None if results is window else results.start)


def _results(session: Session, window: Window) -> Window:
    """The stretch of time whose extraction results are looked at; only its bounds count."""
    asked = session.params.data.extractions
    if asked is None or asked.last is None:
        return window
    return replace(window, start=window.end - asked.last)


def count(session: Session, start: datetime, end: datetime) -> None:
    """Count the days of extraction results in some stretch of time by field, so that they are kept."""
    fields = _fields(session)
    if fields is not None:
        fields.count(session, start, end)


@lru_cache(maxsize=2)
def _fields(session: Session) -> _Fields | None:
    """The fields that are watched; None where none are, or no results are there yet."""
    if session.params.data.extractions is None:
        return None
    try:
        found = _Fields.of(session)
    except NoRecordsError:
        return None
    return found if found.values else None


def _moved(look: _Look, names: Mapping[str, str], before: Profile, now: Profile) -> tuple[Moved, ...]:
    """Columns by the names that they are told by."""
    if not names:
        return ()
    known: Mapping[str, Variation] = {}
    if before.days and now.days is not None:
        known = variation(before.days, now.rows, len(now.days))
    return tuple(look(told, before.columns[name], now.columns[name], known.get(name, INDEPENDENT))
                 for name, told in names.items())


@dataclass(frozen=True)
class _Fields:
    """A table of extraction results, cut up by field.

    Attributes
    ----------
    records : Records
    field : str
        The column that says which field a row is of.
    values : tuple of str
        The fields that are watched.
    known : frozenset of str
        These, and those that are too rare for it or come after the most frequent ones.
    base : Window or None
        What bins and fields are frozen on, where the reference is another window.
    """

    records: Records
    field: str
    values: tuple[str, ...]
    known: frozenset[str]
    base: Window | None

    @classmethod
    def of(cls, session: Session) -> _Fields:
        """The fields that occur often enough in what the champion was made from, or in the reference."""
        asked, records = _asked(session), session.extractions
        assert records is not None
        reference = session.reference_window()
        base = session.frozen_on(reference)
        chosen = base or reference
        window = records.between("reference", chosen.start, chosen.end)
        rows = _rows_by_field(records, window, asked.field)
        ordered = sorted(rows, key=lambda name: (-rows[name], name))[:MOST_FIELDS]
        values = tuple(name for name in ordered if rows[name] >= SMALLEST_SAMPLE)
        return cls(records, asked.field, values, frozenset(rows), window if base else None)

    def changed(self, window: Window) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Watched fields that have no rows in a window, and fields that have enough there and had none before."""
        now = _rows_by_field(self.records, self.records.between("current", window.start, window.end), self.field)
        gone = tuple(name for name in self.values if name not in now)
        return gone, tuple(sorted(name for name, n in now.items() if name not in self.known and n >= SMALLEST_SAMPLE))

    def names(self, columns: tuple[str, ...]) -> dict[str, str]:
        """What a column of one field is called, and is told by; numbered, for a database may not tell A from a."""
        return {f"{column} {place}": f"{column} of {value}"
                for column in columns for place, value in enumerate(self.values)}

    def profiles(self, session: Session, window: Window) -> tuple[Profile, Profile]:
        """Of the reference and of a window; days are counted once, and kept."""
        kept, asked, reference = self._kept(session), _asked(session), session.reference_window()
        frozen = self.base or reference
        first = kept.reference(self._wide("reference", frozen.start, frozen.end, asked))
        now = kept.of(self._wide("current", window.start, window.end, asked), first.bins)
        if self.base is None:
            return first, now
        return kept.of(self._wide("reference", reference.start, reference.end, asked), first.bins), now

    def count(self, session: Session, start: datetime, end: datetime) -> None:
        """Count the days of a stretch of time, and keep them."""
        kept, asked = self._kept(session), _asked(session)
        base = self.base or session.reference_window()
        bins = kept.reference(self._wide("reference", base.start, base.end, asked)).bins
        kept.of(self._wide("days", start, end, asked), bins)

    def _kept(self, session: Session) -> Profiles:
        """Where what is counted of these fields is kept."""
        data, asked = session.params.data, _asked(session)
        numeric = self.names((asked.confidence,) if asked.confidence else ())
        place = (data.connect, asked.table, data.model_dump_json(include={"extractions"}), session.params.model,
                 session.params.tenant, *self.values)
        return Profiles(self.records, session.ledger, Watched(tuple(numeric), tuple(self.names(asked.rates))), place)

    def _wide(self, name: str, start: datetime, end: datetime, asked: Extractions) -> Window:
        """A window with a column for each field and number, null in the rows of other fields."""
        window = self.records.between(name, start, end)
        table = window.table
        mine = table[self.field].cast("string")
        wide = {
            f"{column} {place}": ibis.ifelse(mine == value, table[column], ibis.null(table[column].type()))
            for column in (*asked.rates, asked.confidence) if column is not None
            for place, value in enumerate(self.values)
        }
        return replace(window, table=table.mutate(**wide))


def _asked(session: Session) -> Extractions:
    """What the params file says of extraction results; asked only where it says something."""
    asked = session.params.data.extractions
    assert asked is not None
    return asked


def _rows_by_field(records: Records, window: Window, field: str) -> dict[str, int]:
    """How many rows of a window each field has."""
    value = window.table[field].cast("string")
    counted = window.table.filter(value.notnull()).group_by(value=value).aggregate(n=ibis._.count())
    return {row["value"]: row["n"] for row in records.arrow(counted).to_pylist()}

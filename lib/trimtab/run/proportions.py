"""Have rates and confidences moved: of the records, and of each field of a table of extraction results?

Such a table has one row per document and field. Each of its rates and its confidence is watched field by field, for a
field that is not read any more is lost among all others. Fields are those of what the champion was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import ibis

from trimtab.errors import NoRecordsError
from trimtab.measure.columns.aspects import INDEPENDENT, SMALLEST_SAMPLE, Variation
from trimtab.measure.columns.means import Moved, mean, rate
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.profiling import Watched
from trimtab.measure.columns.variation import variation
from trimtab.records import Records
from trimtab.run.profiles import Profiles
from trimtab.windows import Window

if TYPE_CHECKING:
    from trimtab.run.session import Session
    from trimtab.settings import Extractions

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
    """

    rates: tuple[Moved, ...]
    confidences: tuple[Moved, ...]
    named: tuple[str, ...]


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
    if asked is not None:
        more = _of_fields(session, window, asked)
        rates, confidences = rates + more[0], confidences + more[1]
    named = {"rate_drop": data.rates or (asked and asked.rates),
             "confidence_shift": data.confidences or (asked and asked.confidence)}
    return Proportions(rates, confidences, tuple(name for name, what in named.items() if what))


def _of_fields(session: Session, window: Window, asked: Extractions) -> tuple[tuple[Moved, ...], tuple[Moved, ...]]:
    """Rates and confidences of the fields; none where no results are there yet."""
    try:
        fields = _Fields.of(session)
    except NoRecordsError:
        return (), ()
    if not fields.values:
        return (), ()
    pair = fields.profiles(session, window)
    return (
        _moved(rate, fields.names(asked.rates), *pair),
        _moved(mean, fields.names((asked.confidence,) if asked.confidence else ()), *pair),
    )


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
    base : Window or None
        What bins and fields are frozen on, where the reference is another window.
    """

    records: Records
    field: str
    values: tuple[str, ...]
    base: Window | None

    @classmethod
    def of(cls, session: Session) -> _Fields:
        """The fields that occur often enough in what the champion was made from, or in the reference."""
        asked, records = session.params.data.extractions, session.extractions
        assert asked is not None
        assert records is not None
        reference = session.reference_window()
        base = session.frozen_on(reference)
        chosen = base or reference
        window = records.between("reference", chosen.start, chosen.end)
        value = window.table[asked.field].cast("string")
        counted = window.table.filter(value.notnull()).group_by(value=value).aggregate(n=ibis._.count())
        rows = [row for row in records.arrow(counted).to_pylist() if row["n"] >= SMALLEST_SAMPLE]
        ordered = sorted(rows, key=lambda row: (-row["n"], row["value"]))[:MOST_FIELDS]
        return cls(records, asked.field, tuple(row["value"] for row in ordered), window if base else None)

    def names(self, columns: tuple[str, ...]) -> dict[str, str]:
        """What a column of one field is called, and is told by; numbered, for a database may not tell A from a."""
        return {f"{column} {place}": f"{column} of {value}"
                for column in columns for place, value in enumerate(self.values)}

    def profiles(self, session: Session, window: Window) -> tuple[Profile, Profile]:
        """Of the reference and of a window; days are counted once, and kept."""
        data, asked, reference = session.params.data, session.params.data.extractions, session.reference_window()
        assert asked is not None
        numeric = self.names((asked.confidence,) if asked.confidence else ())
        place = (data.connect, asked.table, data.model_dump_json(include={"extractions"}), session.params.model,
                 session.params.tenant, *self.values)
        kept = Profiles(self.records, session.ledger, Watched(tuple(numeric), tuple(self.names(asked.rates))), place)
        before, now = (self._wide(self.records.between(name, one.start, one.end), (*asked.rates, asked.confidence))
                       for name, one in (("reference", reference), ("current", window)))
        if self.base is None:
            first = kept.reference(before)
            return first, kept.of(now, first.bins)
        bins = kept.reference(self._wide(self.base, (*asked.rates, asked.confidence))).bins
        return kept.of(before, bins), kept.of(now, bins)

    def _wide(self, window: Window, columns: tuple[str | None, ...]) -> Window:
        """A column for each field and number, null in the rows of other fields."""
        table = window.table
        mine = table[self.field].cast("string")
        wide = {
            f"{column} {place}": ibis.ifelse(mine == value, table[column], ibis.null(table[column].type()))
            for column in columns if column is not None for place, value in enumerate(self.values)
        }
        return replace(window, table=table.mutate(**wide))

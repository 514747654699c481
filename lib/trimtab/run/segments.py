"""Did a column move in one segment of the records, though in all others it did not?

Segments are the values of the columns under `data.segments`; the largest of the reference are looked at, so that they
are the same ones from check to check. They are counted by day, by the bins of the whole reference, and kept like the
counts of all records: a day is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from trimtab import tally
from trimtab.measure.columns.bins import BinTable
from trimtab.measure.columns.days import Days, flatten, unflatten
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.segments import (
    LeftOut,
    Part,
    Segment,
    SegmentDrift,
    choose,
    compare_parts,
    look_at_each,
    without_value,
)
from trimtab.measure.columns.watched import DAY, SEGMENT, Watched, groups
from trimtab.run.profiles import digest, whole_days
from trimtab.run.session import Session
from trimtab.windows import Window


@dataclass(frozen=True)
class _Reference:
    """The segments that are looked at, the largest first, and those that are not."""

    profiles: Mapping[Segment, Profile]
    left_out: tuple[LeftOut, ...]


def segments(session: Session, window: Window) -> SegmentDrift:
    """Compare each segment of a window with the same segment of the reference.

    Parameters
    ----------
    window : Window
        The current one.
    """
    named, settings = session.params.data.segments, session.thresholds
    if not named:
        return SegmentDrift((), (), 0)
    before = session.reference_window()
    whole = session.profile(before), session.profile(window)
    columns = {name: _Column.of(session, name, whole[0].bins) for name in named}
    reference = _reference(session, before, columns)
    current = _profiles(columns, window, tuple(reference.profiles))
    pairs = {one: (profile, current[one]) for one, profile in reference.profiles.items()}
    parts, few = look_at_each(pairs, among=whole, fewest=settings.min_segment)
    nameless = without_value(*(tally.without_segment(one, named, session.records.arrow) for one in (before, window)))
    return compare_parts(
        [_with_days(part, columns, before) if part.far(settings.large) else part for part in parts],
        days=whole[0].days, large=settings.large, left_out=reference.left_out + few + nameless,
        named=named,
    )


# -- the reference ---------------------------------------------------------------------------------------------------


def _reference(session: Session, window: Window, columns: Mapping[str, _Column]) -> _Reference:
    """Chosen and counted once, and kept as long as the reference, the segments and their limits stay the same."""
    settings = session.thresholds
    limits = [settings.min_segment, settings.max_segments]
    key = digest([*((name, one.place) for name, one in columns.items()), limits, window.start, window.end, window.rows])
    kept = session.ledger.profile(key)
    if kept is not None:
        return _read(kept, columns)
    rows = {name: one.rows(window) for name, one in columns.items()}
    chosen, others = choose(rows, fewest=settings.min_segment, most=settings.max_segments)
    found = _Reference(_profiles(columns, window, chosen), others)
    session.ledger.save_profile(key, f"segments of the {window.name}", _written(found))
    return found


def _written(reference: _Reference) -> dict[str, Any]:
    """Counts without bins, which are those of the whole reference."""
    return {
        "segments": [{"column": one.column, "value": one.value, "counts": flatten(profile).tolist()}
                     for one, profile in reference.profiles.items()],
        "left_out": [vars(one) for one in reference.left_out],
    }


def _read(kept: Mapping[str, Any], columns: Mapping[str, _Column]) -> _Reference:
    profiles = {
        Segment(row["column"], row["value"]): unflatten(np.array(row["counts"]), columns[row["column"]].bins)
        for row in kept["segments"]
    }
    return _Reference(profiles, tuple(LeftOut(r["column"], tuple(r["values"]), r["why"]) for r in kept["left_out"]))


def _with_days(part: Part, columns: Mapping[str, _Column], window: Window) -> Part:
    """A part whose reference has its days; they are read for those parts alone that have moved far."""
    if part.reference.days is not None:
        return part
    days = columns[part.segment.column].kept(part.segment.value, window)
    return replace(part, reference=replace(part.reference, days=days))


# -- counting --------------------------------------------------------------------------------------------------------


def _profiles(columns: Mapping[str, _Column], window: Window, chosen: Sequence[Segment]) -> dict[Segment, Profile]:
    """The profiles of segments with their days, in the order in which they were asked for."""
    found: dict[Segment, Profile] = {}
    for name in dict.fromkeys(one.column for one in chosen):
        counted = columns[name].profiles(window, [one.value for one in chosen if one.column == name])
        found |= {Segment(name, value): profile for value, profile in counted.items()}
    return {one: found[one] for one in chosen}


@dataclass(frozen=True)
class _Column:
    """A column whose values are segments.

    Attributes
    ----------
    watched : Watched
        All others, for in a segment this one is constant.
    bins : mapping
        Theirs.
    place : str
        Under which counts by these bins are kept.
    """

    session: Session
    name: str
    watched: Watched
    bins: BinTable
    place: str

    @classmethod
    def of(cls, session: Session, name: str, bins: BinTable) -> _Column:
        """By the bins of the whole reference."""
        mine = {other: one for other, one in bins.items() if other != name}
        return cls(session, name, session.watched.without(name), mine, session.profiles.key(mine))

    def rows(self, window: Window) -> dict[str, int]:
        """Records by value, of at most as many values as a column has levels; null is no segment."""
        return tally.rows_by_segment(window, self.name, self.session.records.arrow)

    def kept(self, value: str, window: Window) -> Days:
        """The whole days of the window that were counted before."""
        return self.session.ledger.days.counted(self._key(value), self.bins, *whole_days(window))

    def profiles(self, window: Window, values: Sequence[str]) -> dict[str, Profile]:
        """Profiles by value; of each only those days are counted that are new or have changed."""
        expected = self._rows_by_day(window, values)
        known = {value: self.kept(value, window).matching(expected[value]) for value in values}
        todo = {value: expected[value].keys() - set(days.dates.tolist()) for value, days in known.items()}
        new = self._count(window, {value: days for value, days in todo.items() if days}, expected)
        first, last = whole_days(window)
        found = {}
        for value, days in known.items():
            every = days | new.get(value, Days.of(self.bins, {}))
            whole = [day for day in every.dates.tolist() if first <= day <= last]
            self.session.ledger.days.keep(self._key(value), every.only([day for day in whole if day in todo[value]]))
            found[value] = replace(every.total(), days=every.only(whole))
        return found

    def _key(self, value: str) -> str:
        return digest([self.place, self.name, value])

    def _rows_by_day(self, window: Window, values: Sequence[str]) -> dict[str, dict[date, int]]:
        """How many records each day has of each value."""
        table = window.table.filter(window.table[self.name].cast("string").isin(list(values)))
        apart = groups(table, self.session.params.data.time, self.name)
        counted = self.session.records.arrow(table.group_by(**apart).aggregate(n=table.count()))
        found: dict[str, dict[date, int]] = {value: {} for value in values}
        for value, day, n in zip(*(counted[name].to_pylist() for name in (SEGMENT, DAY, "n")), strict=True):
            found[value][day] = n
        return found

    def _count(
        self, window: Window, todo: Mapping[str, set[date]], expected: Mapping[str, Mapping[date, int]]
    ) -> dict[str, Days]:
        """Count these days of these values; a day that one of them asks for is counted for all of them."""
        if not todo:
            return {}
        asked = set().union(*todo.values())
        if any(days.keys() - asked for days in expected.values()):
            day = groups(window.table, self.session.params.data.time)[DAY]
            window = replace(window, table=window.table.filter(day.isin(sorted(asked))))
        counted = self.session.records.segments(window, self.watched, self.bins, self.name, tuple(todo))
        return {value: profile.days.only(sorted(todo[value])) for value, profile in counted.items()
                if profile.days is not None}

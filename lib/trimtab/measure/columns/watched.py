"""Which columns are watched, and as what is each of them counted: a float, a level, a length, a part of the time?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir

DAY = "trimtab day"
"""Name of the column that says which day a row of counts is of."""
SEGMENT = "trimtab segment"
"""Name of the column that says which segment a row of counts is of."""
TEXT_LENGTH = "{} (length)"
"""Name of the column that holds how long the texts of another are."""
_PART = "{} of {}"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")


@dataclass(frozen=True)
class Watched:
    """The columns to profile, by how they are counted.

    Attributes
    ----------
    calendar : tuple of str
        Parts of the time of each record that are watched like categories: hour, weekday, month.
    clock : str
        The column of times that they are parts of.
    """

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    clock: str = ""

    @property
    def with_levels(self) -> tuple[str, ...]:
        """Names in the cast table that hold levels."""
        return self.categorical + tuple(_PART.format(part, self.clock) for part in self.calendar)

    def without(self, name: str) -> Watched:
        """The same but for one numeric or categorical column."""
        numeric, categorical = (tuple(n for n in names if n != name) for names in (self.numeric, self.categorical))
        return replace(self, numeric=numeric, categorical=categorical)

    def confused(self, names: Collection[str]) -> str:
        """Which of a table's columns has a name that another value is counted under, in words; empty where none has.

        Examples
        --------
        >>> Watched(text=("t",)).confused(["t", "t (length)"])
        "column 't (length)' has the name under which the length of column 't' is watched; rename one of them"
        """
        watched = "is watched; rename one of them"
        derived = {TEXT_LENGTH.format(name): f"the length of column {name!r} {watched}" for name in self.text}
        derived |= {_PART.format(part, self.clock): f"the {part} of column {self.clock!r} {watched}"
                    for part in self.calendar}
        derived |= dict.fromkeys((DAY, SEGMENT), "records are counted; rename it")
        called = {name.lower(): told for name, told in derived.items()}    # capital letters do not tell names apart
        found = next((name for name in names if name.lower() in called), None)
        return "" if found is None else f"column {found!r} has the name under which {called[found.lower()]}"

    def cast(self, table: ir.Table, time: str | None = None, segment: str | None = None) -> ir.Table:
        """The watched columns alone, as floats and strings; text as its length in characters.

        And the day by `time`, and the value of the column `segment`, where they are given.
        """
        columns: dict[str, ir.Value] = {name: _as_float(table[name]) for name in self.numeric}
        columns |= {name: self.level(table, name) for name in self.with_levels}
        columns |= {TEXT_LENGTH.format(name): table[name].length().cast("float64") for name in self.text}
        return table.select(**columns, **groups(table, time, segment))

    def level(self, table: ir.Table, name: str) -> ir.Value:
        """One of the columns with levels, as strings.

        Raises
        ------
        ValueError
            When it is none of them.
        """
        if name in self.categorical:
            return table[name].cast("string")
        parts = {_PART.format(part, self.clock): part for part in self.calendar}
        if name not in parts:
            raise ValueError(f"{name!r} is not watched as a categorical column")
        return _part(table[self.clock], parts[name])

    @property
    def floats(self) -> tuple[str, ...]:
        """Names in the cast table that hold floats."""
        return self.numeric + tuple(TEXT_LENGTH.format(name) for name in self.text)


def _as_float(column: ir.Column) -> ir.Value:
    """A column as floats; truth as 1 and 0, which PostgreSQL casts to whole numbers of four bytes alone."""
    return (column.cast("int32") if column.type().is_boolean() else column).cast("float64")


def _part(time: ir.Column, part: str) -> ir.Value:
    """A part of a time as the name of a level."""
    moment = time.cast("timestamp")
    if part == "hour":
        return moment.hour().cast("string")
    number, names = (moment.day_of_week.index(), _DAYS) if part == "weekday" else (moment.month() - 1, _MONTHS)
    return ibis.cases(*((number == place, name) for place, name in enumerate(names)))


def groups(table: ir.Table, time: str | None = None, segment: str | None = None) -> dict[str, ir.Value]:
    """By what counts are kept apart: the value of a column, the day of a time, both or neither."""
    of_segment = {} if segment is None else {SEGMENT: table[segment].cast("string")}
    return of_segment | ({} if time is None else {DAY: table[time].cast("timestamp").date()})

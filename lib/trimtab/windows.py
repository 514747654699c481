"""What is a window of records, and how is it called in a sentence?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trimtab.settings.data import WindowSpec
from trimtab.settings.notation import UNITS, format_duration
from trimtab.wording import plural

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Window:
    """A stretch of records: `start` is included, `end` is not.

    Attributes
    ----------
    name : str
        What it is used for: reference, current, training, holdout.
    start, end : datetime
        Naive UTC.
    table : ibis Table
        The records, by the names of their columns; nothing is read until asked for.
    rows, labelled : int
        How many records there are, and how many have a label that could be seen.
    outcomes_only : bool
        Whether records without such a label are left out.
    """

    name: str
    start: datetime
    end: datetime
    rows: int
    labelled: int
    table: ir.Table = field(repr=False, compare=False)
    outcomes_only: bool = field(default=False, repr=False)

    def __str__(self) -> str:
        return f"{self.name} window, {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"


def describe(spec: WindowSpec) -> str:
    """A window's definition in words.

    Examples
    --------
    >>> describe(WindowSpec(last="60d", until="30d"))
    'from 60 to 30 days ago'
    """
    if spec.last is not None:
        last = _in_words(spec.last)
        if not spec.until:
            return f"the last {last}"
        until = _in_words(spec.until)
        same_unit = last.partition(" ")[2] == until.partition(" ")[2]
        return f"from {last.partition(' ')[0] if same_unit else last} to {until} ago"
    if spec.rows is not None:
        return f"the newest {plural(spec.rows, 'record')}"
    return f"from {spec.from_ or 'the first record'} to {spec.to or 'the last record'}"


def _in_words(length: timedelta) -> str:
    """A duration as a sentence says it.

    >>> _in_words(timedelta(days=30)), _in_words(timedelta(hours=36))
    ('30 days', '36 hours')
    """
    number, unit = format_duration(length)[:-1], format_duration(length)[-1]
    return f"{number} {UNITS[unit]}" if number != "1" else f"1 {UNITS[unit][:-1]}"

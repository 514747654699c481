"""What a column holds that nobody has described, and finding one by its name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trimtab.errors import DataError

_DISTINCT = 0.95          # share of different values from which on a column tells records apart
_DENSE = 0.9              # … of a number that counts the records, whose different values are known less exactly

_MANY = 12                # columns that are named, where there is none of the name that was asked for


@dataclass(frozen=True)
class Facts:
    """What a column holds.

    Attributes
    ----------
    name : str
    kind : str
        "number", "whole", "boolean", "text", "time" or "other".
    rows, known, distinct : int
        Records; those with a value; different values, about.
    words : float
        In the mean, of texts.
    first, late, last : datetime or None
        Of times: the first, that by which seven in ten records had come, and the last.
    most : tuple of datetime, or None
        Of the column of times: between which 98 in 100 records are.
    low, high : float
        Of numbers; nan where there is none.
    alike, clock : float
        Correlation of numbers with the label, in a regression, and with the time; nan where there is none. In a
        classification `alike` is 1 where no two classes share a value of this column.
    part : str
        Of which part of the time a whole number says no more than that: "month", say. Empty where it does.
    labelled : datetime or None
        Of the label: the time of the newest record that has one.
    example : str
        One of the texts.
    timed : int
        How many of the texts are times.
    untimely : str
        A text that is none, where most are.
    fractions : int
        How many of the texts are numbers with a decimal point.
    odd : str
        A text that is none.
    unique : bool or None
        Whether each record has another value; None where it was not asked.
    """

    name: str
    kind: str
    rows: int
    known: int
    distinct: int
    words: float = 0.0
    first: datetime | None = None
    last: datetime | None = None
    alike: float = float("nan")
    clock: float = float("nan")
    example: str = ""
    low: float = float("nan")
    high: float = float("nan")
    late: datetime | None = None
    most: tuple[datetime, datetime] | None = None
    timed: int = 0
    untimely: str = ""
    fractions: int = 0
    odd: str = ""
    unique: bool | None = None
    part: str = ""
    labelled: datetime | None = None

    @property
    def tells_apart(self) -> bool:
        """Whether nearly each record has a value of its own."""
        return self.known > 0 and self.distinct >= _DISTINCT * self.known

    @property
    def counts_records(self) -> bool:
        """Whether these are whole numbers without repetitions or gaps, as one who numbers records gives them.

        Examples
        --------
        >>> Facts("row", "whole", 1000, 1000, 1000, low=1, high=1000).counts_records
        True
        >>> Facts("price", "whole", 1000, 1000, 1000, low=1, high=90_000).counts_records
        False
        """
        spread = self.high - self.low + 1
        return self.kind == "whole" and self.known > 1 and self.distinct >= _DENSE * self.known \
            and self.known * _DENSE <= spread <= self.known / _DENSE


def named(facts: Sequence[Facts], name: str, option: str) -> Facts:
    """The column that somebody has named with an option.

    Raises
    ------
    DataError
        When there is none of that name.
    """
    names = [one.name for one in facts]
    if name in names:
        return facts[names.index(name)]
    close = difflib.get_close_matches(name, names, n=1)
    rest = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, names[:_MANY]))}{rest}"
    raise DataError(f"--{option}: there is no column {name!r}; {hint}")

"""Which columns of two plain tables hold times, or count them, though neither their type says so?

They are later in the newer table by nature. Compared as numbers or categories they would be the gravest drift of all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from trimtab.moments import DATE, is_day
from trimtab.windows import Window

_FIRST = 2000    # records that are looked at one by one; what they hint at is asked of all
_FEW = 20    # of which nobody can say whether they are in order
_MOSTLY = 0.5    # of the texts are dates: the column is one of dates, with mistakes
_SINCE_1970 = tuple(datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2000, 2040))
_UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
_DAYS = "days such as 20241231"
_GROWS = "a number that grows from record to record"
_Ends = tuple[float, float]


def untyped_times(backend: Any, windows: Sequence[Window], kinds: Mapping[str, str]) -> dict[str, str]:
    """Columns of texts that are dates, of numbers that are days or times, and of numbers that grow with each record.

    Parameters
    ----------
    windows : pair of Window
        The reference and the current one; a column counts where it is the same in both.
    kinds : mapping
        How each column is compared; those of "number" and "text" are looked at.

    Returns
    -------
    dict
        What each of the columns that were found holds, in words.
    """
    asked = [name for name, kind in kinds.items() if kind in ("number", "text")]
    if not asked:
        return {}
    first = [backend.to_pyarrow(window.table.select(*asked).limit(_FIRST)) for window in windows]
    hints = {name: _hint([one[name] for one in first], kinds[name]) for name in asked}
    doubtful = [name for name, hint in hints.items() if hint and kinds[name] == "number"]
    ends = [_ends(backend, window.table, doubtful) for window in windows]
    true = {name for name in doubtful if _holds(hints[name], [one[name] for one in ends])}
    return {name: hint for name, hint in hints.items() if hint and (name in true or kinds[name] == "text")}


def _hint(columns: Sequence[pa.ChunkedArray], kind: str) -> str:
    """What the first values of both tables look like."""
    values = [column.drop_null() for column in columns]
    if not all(map(len, values)):
        return ""
    if kind == "text":
        return "dates" if all(_are_dates(one.to_pylist()) for one in values) else ""
    numbers = [one.to_numpy() for one in values]
    if all(is_day(number) for one in numbers for number in one):
        return _DAYS
    if unit := _unit(min(one.min() for one in numbers), max(one.max() for one in numbers)):
        return unit
    grows = not any(column.null_count for column in columns) and all(map(_grow, numbers))
    return _GROWS if grows else ""


def _are_dates(texts: Collection[str]) -> bool:
    return sum(re.match(DATE, text) is not None for text in texts) >= _MOSTLY * len(texts)


def _unit(low: float, high: float) -> str:
    units = (unit for unit, size in _UNITS.items() if _SINCE_1970[0] * size <= low and high <= _SINCE_1970[1] * size)
    return next((f"{unit} since 1970" for unit in units), "")


def _grow(numbers: np.ndarray) -> bool:
    """Whether each number is more than the one before, or each less."""
    before, after = numbers[:-1], numbers[1:]
    return len(after) >= _FEW and bool(np.all(after > before) or np.all(after < before))


def _ends(backend: Any, table: ir.Table, names: Sequence[str]) -> dict[str, _Ends]:
    """The least and the greatest number of each column."""
    asked = {f"{end} {name}": value for name in names
             for end, value in (("low", table[name].min()), ("high", table[name].max()))}
    found = backend.to_pyarrow(table.aggregate(**asked)).to_pylist()[0] if asked else {}
    return {name: (found[f"low {name}"], found[f"high {name}"]) for name in names}


def _holds(hint: str, ends: Sequence[_Ends]) -> bool:
    """Whether the ends of all records of both tables agree with what the first ones looked like."""
    (low, high), (first, last) = ends
    if hint == _GROWS:
        return first > high or last < low    # as times are: what only repeats within a table is none
    if hint == _DAYS:
        return all(map(is_day, (low, high, first, last)))
    return _unit(min(low, first), max(high, last)) == hint

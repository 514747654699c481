"""Two plain tables that no params file describes: how is each of their columns compared?"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from trimtab.errors import DataError
from trimtab.measure.columns.watched import Watched
from trimtab.run.untyped_times import untyped_times
from trimtab.text_files import FRACTION
from trimtab.windows import Window

_FEW_RECORDS = 20    # of which nobody can say whether they are numbered
_NEARLY_ALL = 0.95    # of the records have a value of their own: some come twice, and many are not counted one by one
_MOSTLY = 0.5    # of the texts are fractions: the column is one of numbers, with mistakes
_COUNTED = 100_000    # records up to which distinct values are; more are estimated, in a memory that does not grow
_AS_WIDE = 2    # times as many as there are records: of numbered ones some may be gone
_MOST_LEVELS_SHARE = 0.5    # a text column whose values are mostly distinct is an identifier or prose, not a category


def window_of(backend: Any, name: str, data: Any) -> Window:
    """A table, or an expression of the backend, as a window of records.

    Parameters
    ----------
    name : str
        What errors call it: "reference table", "file new.csv".

    Raises
    ------
    DataError
        When it is no table, empty, cannot be read, or holds infinite numbers; the column is named where it is one's
        type.
    """
    arrow = None if isinstance(data, ir.Table) else _as_arrow(name, data)
    try:
        table = data if arrow is None else ibis.memtable(arrow)
        rows = int(backend.to_pyarrow(table.count()).as_py())
        infinite = _infinite(backend, table)
    except Exception as error:
        told = " ".join(str(error).split())[:300] or type(error).__name__
        refused = "" if arrow is None else _refused(backend, arrow)
        which = f"column {refused} of the {name} is" if refused else f"the {name} holds a column"
        raise DataError(f"{which} of a type that cannot be compared: {told}") from error
    if not rows:
        raise DataError(f"the {name} is empty")
    if infinite:
        raise DataError(f"column {infinite[0]!r} of the {name} holds infinite values")
    whole = datetime.min, datetime.now(UTC).replace(tzinfo=None)
    return Window(name, *whole, rows=rows, labelled=0, table=table)


def _refused(backend: Any, table: pa.Table) -> str:
    """The first column that the backend cannot read even by itself, and its type; empty where it can read each."""
    for field in table.schema:
        with contextlib.suppress(Exception):
            backend.to_pyarrow(ibis.memtable(table.select([field.name])).count())
            continue
        return f"{field.name!r} ({field.type})"
    return ""


def _as_arrow(name: str, data: Any) -> pa.Table:
    """Whatever offers its columns to Arrow, as an Arrow table; an index of pandas is no column.

    Floats of half precision, which DuckDB does not read from Arrow, are widened.
    """
    if not hasattr(data, "__arrow_c_stream__") or not hasattr(data, "columns"):
        called = name.removesuffix(" table")
        raise DataError(f"the {called} is a {type(data).__name__}, not a table: pass a pandas, Polars or Arrow table")
    try:
        table = pa.Table.from_pandas(data, preserve_index=False) if _is_pandas(data) else pa.table(data)
    except Exception as error:
        # Arrow's errors come in several parts, of which a later one names the column.
        parts = [" ".join(str(part).split()) for part in error.args] or [type(error).__name__]
        raise DataError(f"the {name} cannot be read: {'; '.join(parts)}") from error
    names = [column.lower() for column in table.column_names]
    if not names:
        raise DataError(f"the {name} is empty")
    if "" in names:
        raise DataError(f"the {name} has a column without a name, at place {names.index('') + 1}; name it")
    twice = next((column for column in table.column_names if names.count(column.lower()) > 1), None)
    if twice is not None:
        raise DataError(f"the {name} has more than one column {twice!r} (capital letters make no difference)")
    for place, column in enumerate(table.column_names):
        if pa.types.is_float16(table[column].type):
            table = table.set_column(place, column, table[column].cast(pa.float32()))
    return table


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas"


def _infinite(backend: Any, table: ir.Table) -> list[str]:
    names = [name for name, kind in table.schema().items() if kind.is_floating()]
    if not names:
        return []
    found = backend.to_pyarrow(table.aggregate(**{name: table[name].isinf().any() for name in names})).to_pylist()[0]
    return [name for name in names if found[name]]


def compared_as(backend: Any, before: Window, after: Window) -> tuple[Window, Window, dict[str, str]]:
    """Both windows, columns that one has no value of with the other's type; and how each column is compared.

    Raises
    ------
    DataError
        When they differ in their columns, or these in their types.
    """
    different = sorted(set(before.table.columns) ^ set(after.table.columns))
    if different:
        has = [(one.name, [name for name in different if name in one.table.columns]) for one in (before, after)]
        told = ", ".join(f"only the {where} has {', '.join(map(repr, mine))}" for where, mine in has if mine)
        raise DataError(f"the two tables differ in their columns: {told}")
    empty = [_empty(backend, window.table) for window in (before, after)]
    kinds = _kinds(before, after, empty)
    before, after = (_told(window, nothing, kinds) for window, nothing in zip((before, after), empty, strict=True))
    return before, after, kinds


def _empty(backend: Any, table: ir.Table) -> frozenset[str]:
    """The columns without any value, whatever type they came with; pandas has NaN for what a file left out."""
    asked = {name: table[name].count() for name in table.columns}
    found = backend.to_pyarrow(table.aggregate(**asked)).to_pylist()[0]
    return frozenset(name for name in table.columns if not found[name])


def _told(window: Window, empty: Collection[str], kinds: Mapping[str, str]) -> Window:
    """The window, its empty columns of the type that the other table has."""
    types = {"text": "string", "number": "float64", "boolean": "boolean"}
    casts = {name: ibis.null(types[kinds[name]]).name(name) for name in empty if kinds[name] in types}
    return replace(window, table=window.table.mutate(**casts)) if casts else window


def _kinds(before: Window, after: Window, empty: Sequence[Collection[str]]) -> dict[str, str]:
    """How each column is compared; the same in both tables, where one that is all null agrees with any."""
    kinds = {}
    for name in before.table.columns:
        types = [one.table[name].type() for one in (before, after)]
        known = [kind for kind, nothing in zip(types, empty, strict=True) if name not in nothing]
        known = known or [kind for kind in types if kind.is_string()]    # texts without any, on both sides
        found = {_kind(kind) for kind in known}
        if len(found) > 1:
            where = f"{types[0]} in the {before.name}, {types[1]} in the {after.name}"
            raise DataError(f"column {name!r} holds {where}")
        kinds[name] = found.pop() if found else "number"
    return kinds


def _kind(kind: dt.DataType) -> str:
    if kind.is_boolean():
        return "boolean"
    if kind.is_numeric():
        return "number"
    return "text" if kind.is_string() else type(kind).__name__.lower()


def watched_of(
    backend: Any, windows: tuple[Window, Window], kinds: Mapping[str, str], text: Collection[str],
    without: Collection[str] = (),
) -> tuple[Watched, tuple[str, ...]]:
    """Columns by their type: numbers, categories, prose; times, keys and nested values are left out, and named.

    Parameters
    ----------
    windows : pair of Window
        The reference and the current one.
    kinds : mapping
        From `compared_as`.
    text : collection of str
        Columns that are prose whatever they look like.
    without : collection of str
        Columns that are not to be compared.

    Raises
    ------
    DataError
        When one of these is none, or nothing can be compared.
    """
    absent = next((name for name in without if name not in kinds), None)
    if absent is not None:
        raise DataError(f"without={absent!r} names no column of the two tables")
    wrong = next((name for name in text if kinds.get(name) != "text"), None)
    if wrong is not None:
        raise DataError(f"text={wrong!r} names no column of texts of the two tables")
    window, texts = windows[0], [name for name, kind in kinds.items() if kind == "text"]
    distinct = _distinct(backend, window.table, texts)
    keys = _keys(backend, windows, [
        name for name in texts if distinct[name] >= _NEARLY_ALL * window.rows and name not in text])
    own = {name: kind for name, kind in kinds.items() if name not in text and name not in without}
    times = untyped_times(backend, windows, {name: kind for name, kind in own.items() if name not in keys})
    most = max(_MOST_LEVELS_SHARE * window.rows, 20)
    _refuse_mistyped(backend, windows, [
        name for name in texts if distinct[name] > most and name in own and name not in times])
    numeric, categorical, prose, left_out = [], [], [], []
    for name, kind in kinds.items():
        if name in without:
            left_out.append(f"{name} (not asked for)")
        elif told := keys.get(name) or times.get(name):
            left_out.append(f"{name} ({told})")
        elif kind == "boolean" or (kind == "text" and distinct[name] <= most and name not in text):
            categorical.append(name)
        elif kind == "number":
            numeric.append(name)
        elif kind == "text":
            prose.append(name)
        else:
            left_out.append(f"{name} ({kind})")
    watched = Watched(tuple(numeric), tuple(categorical), tuple(prose))
    if not (watched.floats or watched.with_levels):
        raise DataError(f"none of the columns can be compared: {', '.join(left_out)}")
    if told := watched.confused(window.table.columns):
        raise DataError(f"the two tables: {told}")
    return watched, tuple(left_out)


def _refuse_mistyped(backend: Any, windows: Sequence[Window], names: Sequence[str]) -> None:
    """Refuse texts of which most are fractions: one that is none makes a column of numbers one of texts."""
    for window in windows if names else ():
        table, looks = window.table, {name: window.table[name].re_search(FRACTION) for name in names}
        asked = {f"is {name}": look.sum() for name, look in looks.items()}
        asked |= {f"known {name}": table[name].count() for name in names}
        asked |= {f"other {name}": table[name].min(where=~look) for name, look in looks.items()}
        found = backend.to_pyarrow(table.aggregate(**asked)).to_pylist()[0]
        for name in names:
            known, numbers = found[f"known {name}"], found[f"is {name}"] or 0
            if _MOSTLY * known <= numbers < known:
                told = f"{known - numbers:,} of {known:,} values are no fractions, such as {found[f'other {name}']!r}"
                raise DataError(f"column {name!r} of the {window.name}: {told}; correct or empty what is no number, or "
                                "leave the column out (without)")


def _keys(backend: Any, windows: Sequence[Window], distinct: Sequence[str]) -> dict[str, str]:
    """Columns that number or name each record, in words: newer records have other numbers, which is no news.

    Whole numbers, each once and in a range that is twice as wide as there are records at most; and words, each once.

    Parameters
    ----------
    distinct : sequence of str
        Columns of texts of which nearly all are there once in the first window.
    """
    if min(window.rows for window in windows) < _FEW_RECORDS:
        return {}
    tables = [window.table for window in windows]
    numbers = [name for name, kind in tables[0].schema().items()
               if kind.is_integer() and tables[1][name].type().is_integer()]
    for window in windows:
        numbers = _running(backend, window, numbers)
        distinct = _single_words(backend, window, distinct)
    return dict.fromkeys(numbers, "a running number") | dict.fromkeys(distinct, "names each record")


def _running(backend: Any, window: Window, names: Sequence[str]) -> list[str]:
    """Of columns of whole numbers those that number the records of a window."""
    if not names:
        return []
    table, rows = window.table, window.rows
    ends = {f"{end} {name}": look(table[name]) for name in names
            for end, look in (("low", ir.Column.min), ("high", ir.Column.max), ("known", ir.Column.count))}
    found = backend.to_pyarrow(table.aggregate(**ends)).to_pylist()[0]
    close = [name for name in names if found[f"known {name}"] == rows
             and rows <= found[f"high {name}"] - found[f"low {name}"] + 1 <= _AS_WIDE * rows]
    counted = _distinct(backend, table, close)
    return [name for name in close if counted[name] >= _NEARLY_ALL * rows]


def _single_words(backend: Any, window: Window, names: Sequence[str]) -> list[str]:
    """Of columns of texts those that name each record of a window by one word."""
    if not names:
        return []
    looks = {name: table_column.re_search(r"\s").any() | table_column.isnull().any() for name, table_column in (
        (name, window.table[name]) for name in names)}
    apart = backend.to_pyarrow(window.table.aggregate(**looks)).to_pylist()[0]
    words = [name for name in names if not apart[name]]
    counted = _distinct(backend, window.table, words)
    return [name for name in words if counted[name] >= _NEARLY_ALL * window.rows]


def _distinct(backend: Any, table: ir.Table, names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    few = backend.to_pyarrow(table.count()).as_py() <= _COUNTED
    counts = {name: table[name].nunique() if few else table[name].approx_nunique() for name in names}
    found: dict[str, int] = backend.to_pyarrow(table.aggregate(**counts)).to_pylist()[0]
    return found

"""What do the columns of a file hold that nobody has described?"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from trimtab.errors import DataError
from trimtab.facts import Facts
from trimtab.files import table_in
from trimtab.moments import DATE, time_of
from trimtab.roles import label_of, task_of
from trimtab.run import likenesses
from trimtab.sources import READERS, suffix_of, without_nan
from trimtab.text_files import FRACTION, layout_of

LATE = 0.7
"""Of the records: a first model is made from them, the others are watched."""
_ENDS = (0.01, 0.99)    # of the records are before and after: a few may have times that are none
_NEARLY, _MOST_KEYS = 0.9, 5_000_000    # about so many are different: is each? Of so many records that is asked
_COUNTED = 300    # different values up to which about so many is not enough


def facts_of(file: Path, label: str | None, time: str | None = None) -> list[Facts]:
    """What each column holds, in a few passes over the file.

    Parameters
    ----------
    file : Path
    label, time : str or None
        The column to foretell, and that of times, where they are known.

    Raises
    ------
    DataError
        When the file cannot be read, is empty, or holds nothing that can be foretold.
    """
    backend = ibis.duckdb.connect()
    backend.raw_sql("SET TimeZone = 'UTC'")
    try:
        table = _without_nan(table_in(backend, file))
        _first_line(file, named=True)
        found = _counted(backend, table)
        what = label_of(found, label)[0]
        try:
            when = time_of(found, time)[0]
        except DataError as error:
            raise DataError(f"{error}{_first_line(file)}") from None
        foretold = next(one for one in found if one.name == what)
        classes = task_of(foretold)[0] == "classification"
        others = {"clock": table[when].cast("timestamp").epoch_seconds()} | ({} if classes else {"alike": table[what]})
        found = _compared(backend, table, others, (what, when), found)
        rest = [one for one in found if one.name not in (what, when)]
        parts = likenesses.parts_of_time(backend, table, when, rest)
        alike = likenesses.tell_apart(backend, table, what, rest) if classes else set()
        return [replace(one, part=parts.get(one.name, ""), alike=1.0 if one.name in alike else one.alike)
                for one in found]
    finally:
        backend.disconnect()


def _first_line(file: Path, *, named: bool = False) -> str:
    """What may be wrong with the line that names the columns, for the end of a message.

    Raises
    ------
    DataError
        Where it ought to have names, and is a record.
    """
    if READERS.get(suffix_of(str(file))) != "read_csv":
        return ""
    names = layout_of(file).columns
    if named and (record := next((name for name in names if re.match(DATE, name)), None)):
        raise DataError(f"its first line is a record ({record!r} is a time); write the columns' names above it")
    nameless = next((place for place, name in enumerate(names, 1) if not name.strip()), None)
    return "" if nameless is None else f"; column {nameless} has no name and is left out: give it one if it holds them"


def _without_nan(table: ir.Table) -> ir.Table:
    """The same with what is no number missing."""
    floats = [table[name] for name, kind in table.schema().items() if kind.is_floating()]
    return table.mutate(**{one.get_name(): without_nan(one) for one in floats})


def _counted(backend: Any, table: ir.Table) -> list[Facts]:
    kinds = {name: _kind(kind) for name, kind in table.schema().items()}
    asked: dict[str, ir.Value] = {"rows": table.count()}
    for i, (name, kind) in enumerate(kinds.items()):
        column = table[name]
        asked[f"known{i}"] = column.count()
        if kind != "other":
            asked[f"distinct{i}"] = column.approx_nunique()
        if kind == "number":
            asked[f"whole{i}"] = (column.cast("float64") % 1 == 0).all()    # a rounded one is an integer, which ends
        if kind in ("number", "whole"):
            asked |= {f"low{i}": column.min().cast("float64"), f"high{i}": column.max().cast("float64")}
        if kind == "text":
            asked[f"example{i}"] = column.min()
            timed = column.try_cast(dt.Timestamp(timezone="UTC"))
            fraction = column.re_search(FRACTION)
            asked |= {f"fractions{i}": fraction.sum(), f"odd{i}": column.min(where=~fraction)}
            asked |= {f"timed{i}": timed.count(), f"untimely{i}": column.min(where=timed.isnull())}
            asked[f"words{i}"] = (column.strip().length() - column.strip().replace(" ", "").length() + 1).mean()
        if kind == "time":
            asked |= {f"first{i}": column.cast("timestamp").min(), f"last{i}": column.cast("timestamp").max()}
    told = backend.to_pyarrow(table.aggregate(**asked)).to_pylist()[0]
    if not told["rows"]:
        raise DataError("the table is empty")
    many = told["rows"] > _MOST_KEYS
    keys = {name for i, name in enumerate(kinds) if kinds[name] in ("text", "whole")
            and told[f"known{i}"] == told["rows"] and told[f"distinct{i}"] >= _NEARLY * told["rows"]}
    few = {} if many else {name: table[name].nunique() for name in keys}
    few |= {name: table[name].nunique() for i, name in enumerate(kinds) if 0 < told.get(f"distinct{i}", 0) < _COUNTED}
    exact = backend.to_pyarrow(table.aggregate(**few)).to_pylist()[0] if few else {}
    return [
        Facts(name, "whole" if told.get(f"whole{i}") else kind, told["rows"], told[f"known{i}"],
              exact.get(name, min(told.get(f"distinct{i}", 0), told[f"known{i}"])),    # else an estimate
              told.get(f"words{i}") or 0.0, told.get(f"first{i}"), told.get(f"last{i}"),
              example=told.get(f"example{i}") or "", low=_number(told.get(f"low{i}")),
              high=_number(told.get(f"high{i}")), timed=told.get(f"timed{i}", 0),
              untimely=told.get(f"untimely{i}") or "", fractions=told.get(f"fractions{i}") or 0,
              odd=told.get(f"odd{i}") or "", unique=exact.get(name) == told["rows"] if name in keys else None)
        for i, (name, kind) in enumerate(kinds.items())
    ]


def _kind(kind: dt.DataType) -> str:
    if kind.is_boolean():
        return "boolean"
    if kind.is_numeric():
        return "whole" if kind.is_integer() else "number"
    return "text" if kind.is_string() else "time" if kind.is_timestamp() or kind.is_date() else "other"


def _number(found: float | None) -> float:
    return math.nan if found is None else float(found)


def _compared(
    backend: Any, table: ir.Table, others: Mapping[str, ir.Value], but: tuple[str, str], facts: Sequence[Facts]
) -> list[Facts]:
    """The same, with correlations of numbers, by when most records had come, and until when they have labels."""
    label, when = but
    clock = table[when].cast("timestamp")
    counted = [one for one in facts if one.kind in ("number", "whole") and one.distinct > 1]
    numbers = [one.name for one in counted if one.name not in but]
    asked = {
        f"{what}{i}": table[name].cast("float64").corr(other.cast("float64"), how="pop")
        for i, name in enumerate(numbers) for what, other in others.items()
    }
    points = {f"at {share}": others["clock"].approx_quantile(share) for share in (LATE, *_ENDS)}
    labelled = {"labelled": clock.max(where=table[label].notnull())}
    told = backend.to_pyarrow(table.aggregate(**asked, **points, **labelled)).to_pylist()[0]
    place = {name: i for i, name in enumerate(numbers)}

    def _found(what: str, name: str) -> float:
        return _number(told.get(f"{what}{place.get(name)}"))

    found = [replace(one, alike=_found("alike", one.name), clock=_found("clock", one.name),
                     labelled=told["labelled"] if one.name == label else None) for one in facts]
    if told[f"at {LATE}"] is None:
        return found
    late, *most = (datetime.fromtimestamp(told[f"at {share}"], UTC).replace(tzinfo=None) for share in (LATE, *_ENDS))
    return [replace(one, late=late, most=(most[0], most[1])) if one.name in but and one.kind == "time" else one
            for one in found]

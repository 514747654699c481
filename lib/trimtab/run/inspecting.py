"""What do the columns of a file hold that nobody has described?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from trimtab.errors import DataError
from trimtab.files import table_in
from trimtab.roles import Facts, label_of, task_of

_COUNTED = 300    # different values up to which about so many is not enough


def facts_of(file: Path, label: str | None) -> list[Facts]:
    """What each column holds, in two or three passes over the file.

    Parameters
    ----------
    file : Path
    label : str or None
        The column to foretell, where it is known.

    Raises
    ------
    DataError
        When the file cannot be read, is empty, or holds nothing that can be foretold.
    """
    backend = ibis.duckdb.connect()
    backend.raw_sql("SET TimeZone = 'UTC'")
    try:
        table = table_in(backend, file)
        found = _counted(backend, table)
        what, _ = label_of(found, label)
        if task_of(next(one for one in found if one.name == what))[0] == "regression":
            found = _compared(backend, table, what, found)
        return found
    finally:
        backend.disconnect()


def _counted(backend: Any, table: ir.Table) -> list[Facts]:
    kinds = {name: _kind(kind) for name, kind in table.schema().items()}
    asked: dict[str, ir.Value] = {"rows": table.count()}
    for i, (name, kind) in enumerate(kinds.items()):
        column = table[name]
        asked[f"known{i}"] = column.count()
        if kind != "other":
            asked[f"distinct{i}"] = column.approx_nunique()
        if kind == "text":
            asked[f"words{i}"] = (column.strip().length() - column.strip().replace(" ", "").length() + 1).mean()
        if kind == "time":
            asked |= {f"first{i}": column.cast("timestamp").min(), f"last{i}": column.cast("timestamp").max()}
    told = backend.to_pyarrow(table.aggregate(**asked)).to_pylist()[0]
    if not told["rows"]:
        raise DataError("the table is empty")
    few = {name: table[name].nunique() for i, name in enumerate(kinds) if 0 < told.get(f"distinct{i}", 0) < _COUNTED}
    exact = backend.to_pyarrow(table.aggregate(**few)).to_pylist()[0] if few else {}
    return [
        Facts(name, kind, told["rows"], told[f"known{i}"], exact.get(name, told.get(f"distinct{i}", 0)),
              told.get(f"words{i}") or 0.0, told.get(f"first{i}"), told.get(f"last{i}"))
        for i, (name, kind) in enumerate(kinds.items())
    ]


def _kind(kind: dt.DataType) -> str:
    if kind.is_boolean():
        return "boolean"
    if kind.is_numeric():
        return "whole" if kind.is_integer() else "number"
    return "text" if kind.is_string() else "time" if kind.is_timestamp() or kind.is_date() else "other"


def _compared(backend: Any, table: ir.Table, label: str, facts: Sequence[Facts]) -> list[Facts]:
    """The same, with each number's correlation with the label."""
    numbers = [one.name for one in facts if one.kind in ("number", "whole") and one.name != label and one.distinct > 1]
    if not numbers:
        return list(facts)
    said = table[label].cast("float64")
    asked = {f"r{i}": table[name].cast("float64").corr(said, how="pop") for i, name in enumerate(numbers)}
    told = backend.to_pyarrow(table.aggregate(**asked)).to_pylist()[0]
    alike = {name: told[f"r{i}"] for i, name in enumerate(numbers)}
    return [replace(one, alike=math.nan if alike.get(one.name) is None else alike[one.name]) for one in facts]

"""Do the records hold what no run can go on without?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis

from trimtab import sources
from trimtab.errors import DataError
from trimtab.wording import plural

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from trimtab.records import Records
    from trimtab.windows import Window

_MOST_GROUPS, _LEAST_GROUP = 1000, 30    # so many segments may be small; of more, groups have so many records


@dataclass(frozen=True)
class Column:
    """What a contract check saw of one column over the visible records."""

    name: str
    role: str
    type: str
    nulls: int
    infinite: int
    distinct: int


@dataclass(frozen=True)
class Contract:
    """What a contract check saw of the whole table as of a time.

    Attributes
    ----------
    timeless : int
        Records of the source that have no time, and so could be seen at none.
    """

    rows: int
    first: datetime
    last: datetime
    labelled: int
    columns: tuple[Column, ...]
    timeless: int = 0


def describe(records: Records) -> Contract:
    """Describe every named column over the visible records."""
    table, data = records.visible, records.data
    numeric = {name for name in table.columns if table[name].type().is_floating()}
    measures = {"rows": table.count()}
    for index, name in enumerate(table.columns):
        column = table[name]
        missing = (column.isnull() | sources.is_nan(column)) if name in numeric else column.isnull()
        measures[f"nulls{index}"] = missing.sum()
        measures[f"distinct{index}"] = column.approx_nunique()
        if name in numeric:
            measures[f"infinite{index}"] = column.isinf().sum()
    seen = records.row(table.aggregate(**measures))
    columns = tuple(
        Column(
            name, sources.role(data, name), str(table[name].type()),
            seen[f"nulls{i}"] or 0, seen.get(f"infinite{i}") or 0,
            min(seen[f"distinct{i}"] or 0, seen["rows"] - (seen[f"nulls{i}"] or 0)),    # it is an estimate
        )
        for i, name in enumerate(table.columns)
    )
    labelled = next((seen["rows"] - c.nulls for c in columns if c.name == data.label), 0)
    return Contract(seen["rows"], *records.span, labelled, columns, records.timeless())


def check(records: Records) -> Contract:
    """Check what no run can go on without, and return the contract.

    Raises
    ------
    DataError
        For infinite values in a numeric column, for segments that are no groups, for a rate of other values than
        truth, one and zero, and for ids that are missing or occur twice.
    """
    contract = describe(records)
    for column in contract.columns:
        if column.infinite and column.role not in ("score", "prediction"):    # what was logged is looked at one by one
            told = f"column {column.name!r} ({column.role}) holds {plural(column.infinite, 'infinite value')}"
            raise DataError(f"{records.source}: {told}")
    _check_segments(records, contract)
    _check_rates(records)
    if records.data.id:
        nameless = next(c.nulls for c in contract.columns if c.name == records.data.id)
        if nameless:
            told = f"column {records.data.id!r} (id) is null in {plural(nameless, 'record')}"
            raise DataError(f"{records.source}: {told}")
        key = records.visible[records.data.id]
        counts = records.visible.group_by(key).aggregate(n=records.visible.count())
        twice = records.arrow(counts.filter(counts.n > 1).order_by(records.data.id).limit(1)).to_pylist()
        if twice:
            shown, n = twice[0][records.data.id], twice[0]["n"]
            raise DataError(f"{records.source}: column {records.data.id!r} is not unique: {shown!r} occurs {n} times")
    return contract


def _check_segments(records: Records, contract: Contract) -> None:
    """Whether segments are groups of records, and not nearly the records themselves."""
    for column in contract.columns:
        known = contract.rows - column.nulls
        if column.name in records.data.segments and column.distinct > max(_MOST_GROUPS, known / _LEAST_GROUP):
            told = f"about {column.distinct:,} different values in {plural(known, 'record')}: groups that are too small"
            raise DataError(f"{records.source}: column {column.name!r} (segments) has {told}")


def _check_rates(records: Records) -> None:
    """Whether every column that is watched as a proportion holds yes or no: truth, or ones and zeros."""
    for name in records.data.rates:
        column = records.visible[name]
        if column.type().is_boolean():
            continue
        known = column.notnull() & ~sources.is_nan(column) if column.type().is_floating() else column.notnull()
        odd = records.visible.filter(known, ~column.isin([0, 1])).select(name).order_by(name)
        found = records.arrow(odd.limit(1)).to_pylist()
        if found:
            told = f"column {name!r} (rates) holds {found[0][name]!r}; a rate needs truth, or zeros and ones"
            raise DataError(f"{records.source}: {told}")


def gone(records: Records, before: Window, window: Window) -> list[str]:
    """The features that hold nothing in a window, though they did before and were never empty for as long.

    A column that is empty between seasons, such as the name of a holiday, has not gone when it is empty again.
    """
    names, table = records.data.features, window.table
    older = before.table.filter(before.table[records.data.time] < ibis.literal(window.start))    # the two may overlap
    empty = set(names) - _held(records, table, names)
    held = _held(records, older, sorted(empty)) if empty else set()
    if not held:
        return []
    at = _seconds(records, table)
    span = records.row(table.aggregate(span=at.max() - at.min()))["span"] or 0
    return [name for name in names if name in held and _longest_without(records, older, name) < span]


def _held(records: Records, table: ir.Table, names: Sequence[str]) -> set[str]:
    """The columns in which any record has a value."""
    asked = {f"has{i}": _has(table, name).any() for i, name in enumerate(names)}
    found = records.row(table.aggregate(**asked))
    return {name for i, name in enumerate(names) if found[f"has{i}"]}


def _has(table: ir.Table, name: str) -> ir.BooleanValue:
    """Whether a record has a value in a column."""
    column = table[name]
    there: ir.BooleanValue = column.notnull()
    return there & ~sources.is_nan(column) if column.type().is_floating() else there


def _longest_without(records: Records, table: ir.Table, name: str) -> int:
    """Seconds from the first to the last of records in a row that hold nothing in a column, at most.

    -1 where all hold something.
    """
    times = table.group_by(at=_seconds(records, table)).aggregate(has=_has(table, name).ifelse(1, 0).max())
    runs = times.mutate(run=times.has.cumsum(order_by=times["at"])).filter(times.has == 0)
    spans = runs.group_by("run").aggregate(span=runs["at"].max() - runs["at"].min())
    longest = records.row(spans.aggregate(longest=spans["span"].max()))["longest"]
    return -1 if longest is None else int(longest)


def _seconds(records: Records, table: ir.Table) -> ir.IntegerValue:
    """The records' times, in seconds since 1970."""
    return table[records.data.time].cast("timestamp").epoch_seconds()


def check_label(records: Records, task: str) -> None:
    """Check that the label is what the task needs: numbers, or the names of classes.

    Raises
    ------
    DataError
        For text in a regression, and for fractions in a classification.
    """
    column = records.visible[records.label]
    if task == "regression" and not (column.type().is_numeric() or column.type().is_boolean()):
        told = f"column {records.label!r} (label) holds {column.type()}; regression needs numbers"
        raise DataError(f"{records.source}: {told}")
    if task == "classification" and column.type().is_floating():
        fractions = records.visible.filter(column != column.floor()).select(records.label)
        odd = records.arrow(fractions.limit(1)).to_pylist()
        if odd:
            told = f"column {records.label!r} (label) holds {odd[0][records.label]}; classification needs classes"
            raise DataError(f"{records.source}: {told}, not fractions")

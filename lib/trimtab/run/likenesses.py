"""Which columns say no more than the label, or than the time, already does?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import ibis.expr.types as ir

from trimtab.facts import Facts
from trimtab.moments import YEARS

_PARTS: Mapping[str, tuple[str, int, int]] = {    # how Ibis calls each, and from where to where it goes
    "year": ("year", *YEARS), "quarter": ("quarter", 1, 4), "month": ("month", 1, 12), "week": ("week_of_year", 1, 53),
    "day": ("day", 1, 31), "day of the year": ("day_of_year", 1, 366),
}
_MOSTLY = 0.95    # of the records say the same as their time: in another time zone, some do not
_TWO_SIDED = 20    # records that are not of the largest class, from which on it is no accident that all differ from it


def parts_of_time(backend: Any, table: ir.Table, time: str, facts: Sequence[Facts]) -> dict[str, str]:
    """Whole numbers that are a part of the time which differs from one window of days to the next: which one, by name.

    Parameters
    ----------
    backend : Ibis backend
    table : ibis Table
    time : str
        The column of times.
    facts : sequence of Facts
        Of the columns that are asked about.
    """
    clock = table[time].cast("timestamp")
    shares = {
        (one.name, part): (table[one.name] == getattr(clock, method)()).mean()
        for one in facts if one.kind == "whole" and one.distinct > 1
        for part, (method, low, high) in _PARTS.items() if low <= one.low and one.high <= high
    }
    if not shares:
        return {}
    asked = {f"share{i}": share for i, share in enumerate(shares.values())}
    told = backend.to_pyarrow(table.aggregate(**asked)).to_pylist()[0]
    found = dict(zip(shares, (told[name] or 0.0 for name in asked), strict=True))
    like = sorted((share, *which) for which, share in found.items() if share >= _MOSTLY)
    return {name: part for _, name, part in like}    # the likest one last


def tell_apart(backend: Any, table: ir.Table, label: str, facts: Sequence[Facts]) -> set[str]:
    """The columns that tell the classes of the label apart without exception.

    Of no two classes do they hold the same: what they hold of one begins where that of another has ended, or they hold
    something of one class alone, and of each of its records.

    Parameters
    ----------
    backend : Ibis backend
    table : ibis Table
    label : str
        The column of classes.
    facts : sequence of Facts
        Of the columns that are asked about.
    """
    able = [one.name for one in facts if one.kind not in ("time", "other") and one.known]
    table = table.filter(table[label].notnull())
    asked: dict[str, ir.Value] = {"rows": table.count()}
    for i, name in enumerate(able):
        column = table[name]
        asked |= {f"known{i}": column.count(), f"low{i}": column.min(), f"high{i}": column.max()}
    classes = backend.to_pyarrow(table.group_by(of=table[label]).aggregate(**asked)).to_pylist()
    found = set()
    for i, name in enumerate(able):
        held = sorted((one for one in classes if one[f"known{i}"]), key=lambda one: one[f"low{i}"])
        apart = all(one[f"high{i}"] < after[f"low{i}"] for one, after in pairwise(held))
        if len(held) == 1:
            apart = held[0][f"known{i}"] == held[0]["rows"]
            held = classes
        sizes = [one[f"known{i}"] or one["rows"] for one in held]
        if apart and sum(sizes) - max(sizes) >= _TWO_SIDED:
            found.add(name)
    return found

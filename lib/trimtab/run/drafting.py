"""A table of a user's own: what would a params file for it say?"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trimtab import params
from trimtab.errors import DataError, UsageError
from trimtab.facts import Facts
from trimtab.plain import write_atomically
from trimtab.records import Records
from trimtab.roles import roles_of
from trimtab.run.drafted import Draft, written
from trimtab.run.inspecting import LATE, facts_of

_EDGE = 0.1               # of the time that the records span: at least so much is learned from, and is watched
_DAY = timedelta(days=1)
_CANNOT_BE_NAMED = re.compile(r"[^a-z0-9]+")


def draft(
    table: Path, output: Path | None = None, *, label: str | None = None, time: str | None = None
) -> tuple[Path, Draft]:
    """Inspect a table and write a commented params file with its columns sorted into roles; where, and what it says.

    Parameters
    ----------
    table : Path
        A Parquet, CSV or JSON lines file.
    output : Path, optional
        By default `params/` and the table's name. The model is called as this file is.
    label, time : str, optional
        Columns; by default they are found by their name, type and place.

    Raises
    ------
    DataError
        When the file cannot be read, or no model can be made of what it holds.
    UsageError
        When the output exists.
    """
    called = (output or table).name.partition(".")[0].lower()
    name = _CANNOT_BE_NAMED.sub("-", called).strip("-")[:100].strip("-") or "model"
    file = Path("params") / f"{name}.yaml" if output is None else output
    if file.exists():
        raise UsageError(f"{file} exists; name another file with --output, or remove it")
    try:
        facts = facts_of(table, label, time)
        roles = roles_of(facts, label=label, time=time)
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(str(table)) else f"{table}: {error}") from None
    when = next(one for one in facts if one.name == roles.time)
    begin, end = _span(table, when)
    first = _first(begin, when.late or end, end)
    labelled = next(one.labelled for one in facts if one.name == roles.label)
    made = Draft(name, roles, when.rows, begin, end, first, _before(first, (begin, when.late or begin, end), when.rows),
                 _untold(labelled, first, end))
    text = written(made, facts, _place(table, file))
    _tried(text, file, table.resolve().parent)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror or error}") from None
    return file, made


def _span(table: Path, when: Facts) -> tuple[datetime, datetime]:
    """From when to when the records are, without a few that are far before all others.

    Raises
    ------
    DataError
        When a few are far after all others: as of the newest, nothing would be recent.
    """
    if when.first is None or when.last is None or when.most is None:
        raise DataError(f"{table}: column {when.name!r} holds nothing")
    if when.last <= when.first:
        raise DataError(f"{table}: all records are of {when.first:%Y-%m-%d %H:%M}, and models are watched through time")
    early, late = when.most
    usual = late - early
    if usual > timedelta(0) and when.last - late > usual:
        raise DataError(
            f"{table}: column {when.name!r}: 98 in 100 records are from {early:%Y-%m-%d} to {late:%Y-%m-%d}, and the "
            f"newest is of {when.last:%Y-%m-%d}, as of which nothing else is recent; set it right, leave it out, or "
            "name another column with --time")
    return (early if usual > timedelta(0) and early - when.first > usual else when.first), when.last


def _untold(labelled: datetime | None, first: datetime, end: datetime) -> timedelta:
    """For how many whole days before the newest record there is no label; none where that is hardly a delay."""
    if labelled is None or labelled <= first or end - labelled < _DAY:
        return timedelta(0)
    return math.ceil((end - labelled) / _DAY) * _DAY


def next_steps(file: Path, made: Draft) -> dict[str, str]:
    """Commands to go on with, and what each is for."""
    named = f"-p {shlex.quote(str(file))}"
    return {
        f"trimtab run baseline {named} --as-of {made.first.isoformat().removesuffix('T00:00:00')}":
            "a first model, of the older records",
        f"trimtab run drift {named}": "have the newest moved away from them?",
    }


def _place(table: Path, file: Path) -> str:
    """How the params file names the table: seen from the folder that will be its home, where it is beneath that."""
    folder = file.resolve().parent
    home = folder.parent if folder.name == "params" else folder
    found = table.resolve()
    return str(found.relative_to(home)) if found.is_relative_to(home) else str(found)


def _tried(text: str, file: Path, folder: Path) -> None:
    """Whether a run could read it, and the table by it, before anything is written."""
    with TemporaryDirectory(prefix="trimtab-") as place:
        beside = Path(place) / file.name
        beside.write_text(text, encoding="utf-8")
        data = params.load(beside, environment={}).params.data
    home = file.resolve().parent
    Records.open(data, "latest", [home, home.parent, folder]).close()


def _before(first: datetime, points: Sequence[datetime], rows: int) -> int:
    """Records before a time, about: evenly seven in ten from the first to the second point, then the others."""
    share = np.interp(first.timestamp(), [one.timestamp() for one in points], [0.0, LATE, 1.0])
    return round(rows * float(share))


def _first(begin: datetime, late: datetime, end: datetime) -> datetime:
    """As of when a first model can be made, so that records are left to be watched; a time that can be typed.

    A midnight, where the records span more than a few days.
    """
    span = end - begin
    moment = min(max(late, begin + _EDGE * span), end - _EDGE * span)
    kept = moment.replace(minute=0, second=0, microsecond=0)
    kept = kept.replace(hour=0) if span > timedelta(days=5) else kept
    return kept if kept > begin + _EDGE / 2 * span else moment.replace(microsecond=0)

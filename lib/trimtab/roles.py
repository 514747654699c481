"""Which part may each column of a table play that nobody has described?"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from trimtab.errors import DataError
from trimtab.wording import plural

_LABELS = ("label", "target", "y", "outcome", "class", "actual", "truth")
_LOGGED = re.compile(r"(^|_)(predict(ed|ion)s?|score|proba(bility)?|y_pred)(_|$)", re.IGNORECASE)
_IDENTIFIES = re.compile(r"(^|_)(id|uuid|guid|key|nr|no|number|index)$|(?<=[a-z])I[dD]$", re.IGNORECASE)
_ELSEWHERE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(\D|$)")    # a date as it is written in many countries
_MOST_CLASSES = 50
_MOST_CODES = 10          # whole numbers as a label: so many different ones are classes, more are amounts
_MOST_LEVELS = 1000
_PROSE = 2.0              # words in the mean, from which on many different texts are prose and not names
_DISTINCT = 0.95          # share of different values from which on a column tells records apart
_SAME = 0.9999            # correlation with the label from which on a column is the label in other words


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
    first, last : datetime or None
        Of times.
    alike, clock : float
        Correlation of numbers with the label, in a regression, and with the time; nan where there is none.
    example : str
        One of the texts.
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

    @property
    def tells_apart(self) -> bool:
        """Whether nearly each record has a value of its own."""
        return self.known > 0 and self.distinct >= _DISTINCT * self.known


@dataclass(frozen=True)
class Roles:
    """Columns by their part, as a params file names them.

    Attributes
    ----------
    time, label : str
    task : {"classification", "regression"}
    id : str or None
    numeric, categorical, text : tuple of str
    left_out : mapping
        Why a column plays no part, by its name.
    why : mapping
        Why `time`, `label` and `task` were taken, in words.
    """

    time: str
    label: str
    task: Literal["classification", "regression"]
    id: str | None = None
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)


def time_of(facts: Sequence[Facts], named: str | None = None) -> tuple[str, str]:
    """The column that says when a record came to be, and why it was taken.

    Raises
    ------
    DataError
        When there is none, or the one named is none.

    Examples
    --------
    >>> time_of([Facts("paid", "time", 9, 3, 3), Facts("made", "time", 9, 9, 9)])
    ('made', 'the one of 2 columns of times that has the fewest gaps')
    """
    times = [one for one in facts if one.kind == "time"]
    if named is not None:
        found = _named(facts, named, "time")
        if found.kind != "time":
            raise DataError(f"column {named!r} holds no times")
        return named, "named"
    if not times:
        told = "none of the columns holds times, and models are watched through time"
        close = next((one for one in facts if _ELSEWHERE.match(one.example)), None)
        hint = f"write {close.name!r} ({close.example!r}) as 2024-12-31 or 2024-12-31 23:59" if close else "add one"
        raise DataError(f"{told}: {hint}")
    best = max(times, key=lambda one: one.known)    # the first of equals
    return best.name, ("the only column of times" if len(times) == 1 else
                       f"the one of {len(times)} columns of times that has the fewest gaps")


def label_of(facts: Sequence[Facts], named: str | None = None) -> tuple[str, str]:
    """The column that is to be foretold, and why it was taken.

    Raises
    ------
    DataError
        When the one named is none, or none can be one.

    Examples
    --------
    >>> label_of([Facts("target", "boolean", 9, 9, 2), Facts("x", "number", 9, 9, 9)])
    ('target', 'it is called so')
    >>> label_of([Facts("x", "number", 9, 9, 9), Facts("late", "boolean", 9, 9, 2)])
    ('late', 'the last column')
    """
    if named is not None:
        _named(facts, named, "label")
        return named, "named"
    able = [one for one in facts if one.distinct > 1 and not _cannot_be_foretold(one)]
    if not able:
        raise DataError("none of the columns can be a label: each is a time, always the same, or tells records apart")
    called = next((one for name in _LABELS for one in able if one.name.lower() == name), None)
    return (called.name, "it is called so") if called else (able[-1].name, "the last column")


def _cannot_be_foretold(column: Facts) -> bool:
    named = bool(_IDENTIFIES.search(column.name) or _LOGGED.search(column.name))
    return column.kind in ("time", "other") or (column.kind == "text" and column.distinct > _MOST_CLASSES) or named


def task_of(label: Facts) -> tuple[Literal["classification", "regression"], str]:
    """What is foretold, and why.

    Raises
    ------
    DataError
        When the column can be no label.

    Examples
    --------
    >>> task_of(Facts("count", "whole", 900, 900, 300))
    ('regression', '300 different numbers')
    >>> task_of(Facts("late", "boolean", 900, 900, 2))
    ('classification', '2 different values')
    """
    if label.distinct < 2 or label.kind in ("time", "other"):
        told = "is the same throughout" if label.distinct < 2 else f"holds {label.kind}s"
        raise DataError(f"column {label.name!r} {told}, so there is nothing to foretell; name another one with --label")
    if label.distinct > {"number": 2, "whole": _MOST_CODES}.get(label.kind, label.distinct):
        return "regression", f"{label.distinct:,} different numbers"
    if label.distinct > _MOST_CLASSES:
        raise DataError(f"column {label.name!r} holds {label.distinct:,} different texts: too many for classes")
    return "classification", f"{label.distinct} different values"


def roles_of(facts: Sequence[Facts], *, time: str | None = None, label: str | None = None) -> Roles:
    """A part for each column.

    Parameters
    ----------
    facts : sequence of Facts
        Of all columns, in their order.
    time, label : str, optional
        Columns that somebody has named for these parts.

    Raises
    ------
    DataError
        When there is no column of times, no label, or nothing to foretell it from.
    """
    (when, when_why), (what, what_why) = time_of(facts, time), label_of(facts, label)
    task, task_why = task_of(next(one for one in facts if one.name == what))
    numeric: list[str] = []
    categorical: list[str] = []
    text: list[str] = []
    parts = {"numeric": numeric, "categorical": categorical, "text": text}
    left_out: dict[str, str] = {}
    name = None
    for column in facts:
        if column.name in (when, what):
            continue
        reason = _left_out(column)
        if reason is None:
            parts[_part(column)].append(column.name)
        elif name is None and reason == "tells records apart" and column.known == column.rows:
            name = column.name
        else:
            left_out[column.name] = reason
    if not any(parts.values()):
        told = "; ".join(f"{column}: {reason}" for column, reason in left_out.items())
        raise DataError(f"nothing is left to foretell {what!r} from: {told}")
    why = {"time": when_why, "label": what_why, "task": task_why}
    return Roles(when, what, task, name, tuple(numeric), tuple(categorical), tuple(text), left_out, why)


def _left_out(column: Facts) -> str | None:
    """Why a column cannot be a feature; None where it can."""
    if not column.known:
        return "holds nothing"
    if column.kind in ("time", "other"):
        return "another time" if column.kind == "time" else "of a type that no model takes"
    if column.distinct < 2:
        return "the same throughout"
    if abs(column.alike) >= _SAME:
        return "the label in other words"
    if abs(column.clock) >= _SAME:
        return "the time in other words"
    if _LOGGED.search(column.name):
        return "what a model said, by its name"
    prose = column.kind == "text" and column.words >= _PROSE
    named = bool(_IDENTIFIES.search(column.name))
    if column.tells_apart and not prose and (column.kind == "text" or (named and column.kind == "whole")):
        return "tells records apart"
    if column.kind == "text" and not prose and column.distinct > _MOST_LEVELS:
        return f"{column.distinct:,} different values, too many for a category"
    return None


def _part(column: Facts) -> str:
    if column.kind in ("number", "whole"):
        return "numeric"
    prose = column.kind == "text" and column.words >= _PROSE and column.distinct > _MOST_CLASSES
    return "text" if prose else "categorical"


def _named(facts: Sequence[Facts], name: str, option: str) -> Facts:
    names = [one.name for one in facts]
    if name in names:
        return facts[names.index(name)]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the table has {plural(len(names), 'other column')}"
    raise DataError(f"--{option}: there is no column {name!r}; {hint}")

"""Which part may each column of a table play that nobody has described?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trimtab.errors import DataError
from trimtab.facts import Facts, named
from trimtab.moments import time_of

_LABELS = ("label", "target", "y", "outcome", "class", "actual", "truth")
_LOGGED = re.compile(r"(^|_)(predict(ed|ion)s?|score|proba(bility)?|y_pred)(_|$)", re.IGNORECASE)
_IDENTIFIES = re.compile(r"(^|[_ ])(id|uuid|guid|key|nr|no|number|index)$|(?<=[a-z])I[dD]$", re.IGNORECASE)
_KEEPS = re.compile(r"(^|[_ ])(id|uuid|guid|key)$|(?<=[a-z])I[dD]$", re.IGNORECASE)
_MOST_CLASSES = 50
_MOST_KEPT = 100          # things that many records are of, by their number: so many different ones are a category
_MOST_CODES = 10          # whole numbers as a label: so many different ones are classes, more are amounts
_MOST_LEVELS = 1000
_PROSE = 2.0              # words in the mean, from which on many different texts are prose and not names
_KEY = "tells records apart"
_SAME = 0.9999            # correlation with the label from which on a column is the label in other words


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


def label_of(facts: Sequence[Facts], wanted: str | None = None) -> tuple[str, str]:
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
    if wanted is not None:
        named(facts, wanted, "label")
        return wanted, "named"
    able = [one for one in facts if one.distinct > 1 and not _cannot_be_foretold(one)]
    if not able:
        raise DataError("none of the columns can be a label: each is a time, a list or the like, "
                        "always the same, or tells records apart")
    called = next((one for name in _LABELS for one in able if one.name.lower() == name), None)
    if called:
        return called.name, "it is called so"
    passed = next((one for name in _LABELS for one in facts if one.name.lower() == name), None)
    return able[-1].name, f"the last column; {passed.name!r} {_not_foretold(passed)}" if passed else "the last column"


def _not_foretold(column: Facts) -> str:
    """Why a column can be no label, though somebody or its name says that it is one."""
    if column.kind == "other" and column.known:
        return "is of a type that no model foretells"
    if not column.known or column.distinct < 2:
        return "is the same throughout" if column.known else "holds nothing"
    if column.kind == "text":
        return f"has {column.distinct:,} different texts"
    return "cannot be foretold"


def _cannot_be_foretold(column: Facts) -> bool:
    by_name = bool(_IDENTIFIES.search(column.name) or _LOGGED.search(column.name))
    return column.kind in ("time", "other") or (column.kind == "text" and column.distinct > _MOST_CLASSES) or by_name


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
        told = "holds times" if label.kind == "time" else _not_foretold(label)
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
        elif name is None and reason == _KEY and column.known == column.rows and column.unique is not False:
            name = column.name
        else:
            nearly = reason == _KEY and column.unique is False
            left_out[column.name] = "tells nearly all records apart" if nearly else reason
    if not any(parts.values()):
        told = [f"{column}: {reason}" for column, reason in left_out.items()]
        told += [] if name is None else [f"{name}: {_KEY}"]
        raise DataError(f"nothing is left to foretell {what!r} from: {'; '.join(told) or 'there is no other column'}")
    why = {"time": when_why, "label": what_why, "task": task_why}
    return Roles(when, what, task, name, tuple(numeric), tuple(categorical), tuple(text), left_out, why)


def _left_out(column: Facts) -> str | None:
    """Why a column cannot be a feature; None where it can."""
    if not column.known:
        return "holds nothing"
    if column.kind in ("time", "other"):
        return "another time" if column.kind == "time" else "of a type that no model takes"
    if column.distinct < 2 and column.known == column.rows:
        return "the same throughout"
    if abs(column.alike) >= _SAME:
        return "the label in other words"
    numbered = column.kind == "whole" and column.tells_apart and bool(_IDENTIFIES.search(column.name))
    if numbered:    # also one that grows with the time, as those do that a database gives
        return _KEY
    if abs(column.clock) >= _SAME:
        return "a number that grows with the time"
    if column.part:
        return f"the {column.part} of the time: no window of days has all of them"
    if _LOGGED.search(column.name):
        return "what a model said, by its name"
    if column.kind == "text" and column.known / 2 <= column.fractions < column.known:
        return f"numbers, and what is none, such as {column.odd!r}; correct or empty that to use it"
    prose = column.kind == "text" and column.words >= _PROSE
    if (column.kind == "text" and column.tells_apart and not prose) or column.counts_records:
        return _KEY
    kept = column.kind in ("text", "whole") and bool(_KEEPS.search(column.name))
    if (column.kind == "text" or kept) and not prose and column.distinct > (_MOST_KEPT if kept else _MOST_LEVELS):
        return f"{column.distinct:,} different values, too many for a category"
    return None


def _part(column: Facts) -> str:
    if column.kind == "number" or (column.kind == "whole" and not _KEEPS.search(column.name)):
        return "numeric"
    prose = column.kind == "text" and column.words >= _PROSE and column.distinct > _MOST_CLASSES
    return "text" if prose else "categorical"

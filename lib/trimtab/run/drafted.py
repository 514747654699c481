"""How is a drafted params file written, so that whoever reads it sees what was guessed?"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from trimtab.facts import Facts
from trimtab.roles import Roles
from trimtab.settings.notation import format_duration
from trimtab.text import visible

_WIDTH = 110
_FEW = 10
_CODE = re.compile(
    r"(^|[_ .-])(zip|plz|code|post(al|code)?|category|type|mode|status|level|grade|kind|class|nr|no|number)([_ .-]|$)"
    r"|(?<=[a-z])(Code|Type|Nr|No)$", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./ -]*")
_DAY = timedelta(days=1)
_LONG = timedelta(days=5)    # records that span more are looked at by days
_CURRENT = (timedelta(hours=1), *(timedelta(days=days) for days in (1, 7, 30, 90, 180, 365)))
_YEARS = tuple(timedelta(days=365 * years) for years in range(2, 11))
_ENOUGH = 300                # records of a window to be compared
_TESTED = 33                 # without which nothing is: the 30 that each side needs, and some to spare
_LEAST = 200                 # labelled records to learn from, by default
_PLENTY = 1000               # for which a training window may be longer than a year


@dataclass(frozen=True)
class Draft:
    """What the file is to say.

    Attributes
    ----------
    model : str
    roles : Roles
    rows : int
        Records in the table.
    begin, end, first : datetime
        Of the first and the last record; the time as of which a first model can be made, so that later records are
        left to be watched.
    earlier : int
        Records before that, about.
    untold : timedelta
        From the newest record with a label to the newest record, where that is a day or longer; else none.
    """

    model: str
    roles: Roles
    rows: int
    begin: datetime
    end: datetime
    first: datetime
    earlier: int
    untold: timedelta = timedelta(0)

    @property
    def learned_daily(self) -> float:
        """Records a day, before the first model is made."""
        return max(self.earlier, 1) / ((self.first - self.begin) / _DAY)

    @property
    def watched_daily(self) -> float:
        """Records a day, from then on."""
        return max(self.rows - self.earlier, 1) / ((self.end - self.first) / _DAY)


def _windows(made: Draft) -> tuple[timedelta, timedelta]:
    """How long the windows to compare and to learn from are, going by how often records come."""
    span, rest, learnt = made.end - made.begin, made.end - made.first, made.first - made.begin
    shortest = timedelta(days=7) if rest > timedelta(days=14) else timedelta(days=1) if span > _LONG else _CURRENT[0]
    able = [one for one in _CURRENT if shortest <= one <= rest] or [shortest]
    current = next((one for one in able if made.watched_daily * (one / _DAY) >= _ENOUGH), able[-1])
    if made.watched_daily * (current / _DAY) < _TESTED:
        longer = (one for one in _YEARS if one <= rest and made.watched_daily * (one / _DAY) >= _TESTED)
        current = next(longer, current)
    if span > _LONG:
        learnt = math.ceil(learnt / _DAY) * _DAY
    plenty = math.ceil(_PLENTY / made.learned_daily) * _DAY
    return current, min(learnt, max(timedelta(days=365), plenty))


def written(made: Draft, facts: Sequence[Facts], place: str) -> str:
    """The params file for a table at a place, with a comment wherever something was guessed."""
    roles, why = made.roles, made.roles.why
    span = f"{made.begin:%Y-%m-%d} to {made.end:%Y-%m-%d}"
    lines = [
        f"# {visible(Path(place).name)}: {made.rows:,} records, {span}. Drafted by `trimtab init`, going by what the",
        "# columns look like: read each line, and change what is not so.",
        f"model: {_scalar(made.model)}",
        *_with_comments([("task", roles.task, f"the label has {why['task']}"),
                         ("as_of", "latest", "the time at which runs stand: that of the newest record; or now")]),
        "",
        "data:",
        *_data(made, facts, place),
        "",
        "windows:",
        *_spans(made),
        "",
        "estimator:",
        *_estimator(roles),
        *_guardrails(made),
        "",
        "promotion:                      # what a new model must pass to take over",
        "  confidence: 0.95",
        "  criteria:",
        *_criteria(roles),
    ]
    return "\n".join(lines) + "\n"


def _data(made: Draft, facts: Sequence[Facts], place: str) -> list[str]:
    """The section that says which column plays which part."""
    roles = made.roles
    by_name = {one.name: one for one in facts}
    times = [name for name in roles.left_out if by_name[name].kind == "time"]
    told = [("table", _scalar(place), ""), ("time", _scalar(roles.time), roles.why["time"])]
    if roles.id:
        told.append(("id", _scalar(roles.id), "tells records apart"))
    told += [("label", _scalar(roles.label), roles.why["label"]), _delay(made.untold)]
    if times:
        told.append(("# label_time", _scalar(times[0]), "or the column of times that says when it was known"))
    lines = [f"  {line}" for line in _with_comments(told)]
    for part in ("numeric", "categorical", "text"):
        lines += _flow(f"  {part}: ", getattr(roles, part))
        codes = [name for name in roles.numeric if _may_be_code(by_name[name])] if part == "numeric" else []
        guessed = _flow("  # guessed: amounts, not codes, whose place is categorical: ", codes)
        lines += [f"  #{line[3:]}" for line in guessed]
    groups = [name for name in roles.categorical if 2 <= by_name[name].distinct <= 10]
    if groups:
        lines.append(f"  # segments: [{_scalar(groups[0])}]    # groups to be looked at one by one")
    if roles.left_out:
        lines += ["  # left out:", *(f"  #   {_scalar(name)}: {reason}" for name, reason in roles.left_out.items())]
    return lines


def _delay(untold: timedelta) -> tuple[str, str, str]:
    """How long it takes until a label is known: asked, or guessed where the newest records have none."""
    if not untold:
        return "# label_delay", "1d", "how long it takes until a label is known, if it is not at once"
    return "label_delay", format_duration(untold), "guessed: for so long before the newest record there is no label"


def _may_be_code(column: Facts) -> bool:
    """Whether whole numbers may stand for something: few different ones, or a name such as that of a postcode."""
    return column.kind == "whole" and (column.distinct <= _FEW or bool(_CODE.search(column.name)))


def _spans(made: Draft) -> list[str]:
    current, training = _windows(made)
    count = made.watched_daily * (current / _DAY)
    until = format_duration(made.untold)
    late = f"{{last: {format_duration(current + made.untold)}, until: {until}}}"
    outcomes = [("outcomes", late, "the newest records of which labels are known")] if made.untold else []
    return [f"  {line}" for line in _with_comments([
        ("reference", "training", "recent records are compared with those that the champion was made from"),
        ("current", f"{{last: {format_duration(current)}}}", f"the recent ones: about {count:,.0f} records"),
        *outcomes,
        ("training", f"{{last: {format_duration(training)}}}", "what a model learns from"),
        ("holdout", "0.2", "and how much of it, the newest, it is judged by instead"),
    ])]


def _estimator(roles: Roles) -> list[str]:
    """A model that copes with missing values and categories; with prose one that copes with many columns."""
    classes = roles.task == "classification"
    if roles.text:
        name, settings = ("LogisticRegression", "max_iter: 300") if classes else ("Ridge", "alpha: 1.0")
        return [f"  class: sklearn.linear_model.{name}", f"  params: {{{settings}}}"]
    name = f"HistGradientBoosting{'Classifier' if classes else 'Regressor'}"
    return [f"  class: sklearn.ensemble.{name}",
            "  params: {max_iter: 100, learning_rate: 0.1, early_stopping: false, random_state: 0}"]


def _guardrails(made: Draft) -> list[str]:
    """Fewer records to learn from than are asked for by default, where there are no more."""
    least = made.learned_daily * (_windows(made)[1] / _DAY) * 0.7    # without holdout, and some to spare
    if least >= _LEAST:
        return []
    return ["", "guardrails:", *(f"  {line}" for line in _with_comments([
        ("min_records", f"{max(round(least), 1)}", f"{_LEAST} by default, and of fewer nothing much can be learnt")]))]


def _criteria(roles: Roles) -> list[str]:
    if roles.task == "regression":
        return ["    - {metric: mae, min_gain: 0.0}          # closer than the champion, beyond chance"]
    return ["    - {metric: roc_auc, min_gain: 0.0}      # ranks better than the champion, beyond chance",
            "    - {metric: log_loss, max_drop: 0.01}    # and its probabilities are no worse"]


def _with_comments(entries: Sequence[tuple[str, str, str]]) -> list[str]:
    """Keys and values, their comments below one another."""
    width = max(len(f"{key}: {value}") for key, value, _ in entries)
    width = min(width, 44)
    return [f"{f'{key}: {value}':<{width}}    # {told}" if told else f"{key}: {value}" for key, value, told in entries]


def _flow(begin: str, names: Sequence[str]) -> list[str]:
    """A list of names, on as many lines as it takes."""
    if not names:
        return []
    lines, line = [], f"{begin}["
    for i, name in enumerate(names):
        piece = f"{_scalar(name)}{',' if i < len(names) - 1 else ']'}"
        if len(line) + len(piece) > _WIDTH and line.strip() != f"{begin.strip()}[":
            lines.append(line.rstrip())
            line = " " * (len(begin) + 1)
        line += f"{piece} "
    return [*lines, line.rstrip()]


def _scalar(text: str) -> str:
    """A text in YAML, on one line and as itself: without quotes only where nothing else can be read into it."""
    text = text.replace("${", "$${")
    if _PLAIN.fullmatch(text) and text == text.strip() and yaml.safe_load(f"[{text}]") == [text]:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())

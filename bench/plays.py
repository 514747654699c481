"""Playing a params file through time, and what its checks come to.

A run takes place at every date, with the ledger, registry, safeguards and gates that it has in production, but without
kernels (see `rehearsal`). Once a story has been told, somebody tries a bad model: first the gate has to refuse it, then
it is let through by hand and has to be rolled back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rehearsal import rehearse

import trimtab as tt
from trimtab.decide.severity import rank
from trimtab.run.runner import Outcome

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
NO_EVIDENCE = ("new_records", "model_age", "schedule", "growth", "label_completeness")    # of a change
LOOKS = 4    # days in which a bad promotion has to be seen, for outcomes take a while
VERDICTS = ("promote", "reject", "hold", "needs_approval", "rolled_back")
_ASK = {    # somebody wants a model made now, whatever the safeguards say
    "triggers": [{"signal": "model_age", "at_least": 0, "severity": "high"}],
    "guardrails.cooldown": "0d", "guardrails.budget": None, "guardrails.approval": None, "guardrails.quiet_hours": [],
    "guardrails.tenants": None, "guardrails.min_recent": 0, "estimator.candidates": {},
}

_YES = {"said": "approved", "by": "the operator on duty", "why": "what was lost is plain to see"}


def a_bad(path: str, **params: Any) -> dict[str, Any]:
    """Settings of a class that stands in for whatever the params file names."""
    own = {f"estimator.params.{key}": value for key, value in params.items()}
    return {"estimator.class": path, "estimator.params": {}} | own


PRIOR = a_bad("sklearn.dummy.DummyClassifier", strategy="prior")
TREE = a_bad("sklearn.tree.DecisionTreeClassifier", random_state=0)
MEAN = a_bad("sklearn.dummy.DummyRegressor")


@dataclass(frozen=True)
class Change:
    """Something that happens in a story.

    Attributes
    ----------
    on : date
        From when on.
    what : str
    tells : tuple of str
        Signals of which one has to tell it.
    name : str
        What it has to name.
    """

    on: date
    what: str
    tells: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Story:
    """A params file, and when it is run.

    Attributes
    ----------
    made, until : str
        As of when the first champion is made, and the last check.
    every : str
        How often it is checked, as pandas writes it.
    daily : tuple of (str, str)
        Stretches of time in which it is checked each day, whatever `every` says.
    bad : mapping
        Settings of a model that is no good.
    let_through : dict
        The only criterion, where it is let through nevertheless.
    prepare : callable
        Puts records into a folder; by default those that `trimtab data` made.
    metric : str
        By which what serves is held against what was never, or always, made anew; empty where that is not asked.
    steady : bool
        Whether records are made up, so that it is certain that nothing changes before the first change.
    whole_cycle : str
        As of when a retraining on all records is timed; empty where that is not asked.
    overrides : mapping
        Beside the params file.
    """

    name: str
    params: str
    made: str
    until: str
    changes: tuple[Change, ...] = ()
    every: str = "D"
    daily: tuple[tuple[str, str], ...] = ()
    bad: Mapping[str, Any] = field(default_factory=lambda: TREE)
    let_through: Mapping[str, Any] = field(default_factory=lambda: {"metric": "accuracy", "floor": 0.0})
    prepare: Callable[[Path], None] | None = None
    metric: str = ""
    steady: bool = False
    whole_cycle: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dates(self) -> list[pd.Timestamp]:
        """As of when runs take place."""
        days = pd.date_range(self.made, self.until, freq=self.every)
        for first, last in self.daily:
            days = days.union(pd.date_range(first, last, freq="D"))
        return list(days)


@dataclass(frozen=True)
class Check:
    """What a run said and did.

    Attributes
    ----------
    told : dict
        By signal with a severity above none: that, and its sentence.
    waits : bool
        Whether nothing but a person's approval was missing to train.
    """

    as_of: str
    status: str
    severity: str
    asks: bool
    blocked_by: list[str]
    verdict: str
    champion: int | None
    told: dict[str, tuple[str, str]]
    seconds: float
    error: str = ""
    waits: bool = False

    @property
    def alarms(self) -> dict[str, tuple[str, str]]:
        """What is evidence of a change."""
        return {name: said for name, said in self.told.items() if name not in NO_EVIDENCE}

    def tells(self, change: Change) -> bool:
        """Whether it tells a change, by one of its signals and its name."""
        return any(change.name in said for name, (_, said) in self.alarms.items() if name in change.tells)


def settled(story: Story, folder: Path) -> Path:
    """A home with the records and the params files; returns the story's."""
    shutil.copytree(ROOT / "params", folder / "params")
    if story.prepare is None:
        (folder / "data").symlink_to(DATA)
    else:
        story.prepare(folder / "data")
    return folder / "params" / story.params


def play(story: Story, params: Path) -> Iterator[Check]:
    """Run at every date, and then with a bad model; what waits for a person is allowed on the day it is asked."""
    for day in story.dates:
        found = _checked(params, day, rehearse("retrain", params, f"{day:%F}", story.overrides))
        if found.waits:
            rehearse("approval", params, f"{day:%F}", story.overrides, request=None, **_YES)
        yield found
    last = story.dates[-1]
    bad = {**story.overrides, **_ASK, **story.bad}
    trials = (bad, bad | {"promotion.criteria": [dict(story.let_through)]}, *[story.overrides] * LOOKS)
    for number, overrides in enumerate(trials, start=1):
        day = last + number * pd.Timedelta("1D")
        found = _checked(params, day, rehearse("retrain", params, f"{day:%F}", overrides))
        yield found
        if found.verdict == "rolled_back":
            break


def _checked(params: Path, day: pd.Timestamp, ran: Outcome) -> Check:
    result = ran.result
    decision, guard = result["decision"] or {}, result["guard"] or {}
    with_signals = tt.open(params, as_of=f"{day:%F}")
    told = {row["name"]: (row["severity"], row["message"]) for row in with_signals.ledger.signals(limit=60)
            if row["run_id"] == result["run_id"] and row["severity"] != "none"}
    with_signals.close()
    return Check(
        f"{day:%F}", result["status"], decision.get("severity") or "none", bool(decision.get("needs_retrain")),
        guard.get("blocked_by") or [], result["verdict"] or "", result["champion_after"], told, result["seconds"],
        ran.error or "", guard.get("blocked_by") == ["approval"],
    )


def found_of(story: Story, checks: Sequence[Check]) -> dict[str, Any]:
    """What a story's checks come to."""
    told, trials = checks[:len(story.dates)], checks[len(story.dates):]
    before = min((f"{change.on:%F}" for change in story.changes), default="9999")
    quiet = [one for one in told if one.as_of <= before]
    return {
        "checks": len(told), "first": told[0].as_of, "last": told[-1].as_of,
        "failed": [[one.as_of, one.error] for one in told if one.status == "failed"],
        "quiet": {"checks": len(quiet), "alarms": _alarms(quiet), "medium": _alarms(quiet, "medium")},
        "changes": [_told(change, told) for change in story.changes],
        "allowed": sum(one.waits for one in told),
        "verdicts": {verdict: sum(one.verdict == verdict for one in told[1:]) for verdict in VERDICTS},
        "trials": [
            {"verdict": one.verdict, "champion": one.champion, "blocked_by": one.blocked_by, "error": one.error}
            for one in trials],
        "served": told[-1].champion, "seconds": float(np.median([one.seconds for one in told])),
    }


def _alarms(checks: Sequence[Check], least: str = "low") -> int:
    return sum(any(rank(severity) >= rank(least) for severity, _ in one.alarms.values()) for one in checks)


def _told(change: Change, checks: Sequence[Check]) -> dict[str, Any]:
    """When a change was told, and what came after."""
    day = f"{change.on:%F}"
    early = [one.as_of for one in checks if one.as_of <= day and one.tells(change)]
    seen = next((one for one in checks if one.as_of > day and one.tells(change)), None)
    asked = next((one.as_of for one in checks if one.as_of > day and one.asks), None)
    new = next((one.as_of for one in checks if one.as_of > day and one.verdict == "promote"), None)
    said = next(said for name, said in seen.alarms.items() if name in change.tells) if seen else ("", "")
    return {
        "on": day, "what": change.what, "early": early, "told": seen.as_of if seen else None,
        "hours": (pd.Timestamp(seen.as_of) - pd.Timestamp(day)).total_seconds() / 3600 if seen else None,
        "severity": said[0], "sentence": said[1], "asked": asked, "promoted": new,
    }


def trained(found: Mapping[str, Any]) -> int:
    """How many challengers a story's checks have trained, by what `found_of` told of it."""
    return sum(number for verdict, number in found["verdicts"].items() if verdict != "rolled_back")


def rolled_back(trials: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a bad model that was let through was taken back by one of the next runs, to what served before."""
    before, let_through, after = trials[0], trials[1], trials[-1]
    return (let_through["verdict"], after["verdict"]) == ("promote", "rolled_back") \
        and let_through["champion"] != before["champion"] == after["champion"]

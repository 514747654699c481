"""A whole drift check, call by call as notebook 02 makes them, for the parts that need decisions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import yaml

import trimtab as tt
from trimtab.decide.decision import Decision
from trimtab.decide.signals import Signal
from trimtab.run import lifecycle
from trimtab.run.expected import Expected
from trimtab.run.scored import Scored
from trimtab.run.session import Session

T = TypeVar("T")
DECIDING = ("decide", "guard", "record")
OPENING = "open"


@dataclass
class Clock:
    """By call, the seconds that it took and those of computing, by all threads, among them."""

    seconds: dict[str, float] = field(default_factory=dict)
    computing: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, call: Callable[..., T], *values: Any, **more: Any) -> T:
        """Make a call, and note its seconds under a name."""
        started, computed = time.perf_counter(), time.process_time()
        found = call(*values, **more)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self.computing[name] = self.computing.get(name, 0.0) + time.process_time() - computed
        return found


@dataclass(frozen=True, eq=False)
class Checked:
    """What a check found, and how long each of its calls took."""

    scored: Scored
    estimates: Expected
    signals: list[Signal]
    decision: Decision
    clock: Clock


def check(session: Session) -> Checked:
    """All that notebook 02 calls but tables and figures, timed."""
    one = Clock()
    one.timed(OPENING, _opened, session)
    reference, current = one.timed("windows", session.windows)
    outcomes = session.outcomes_window(current)
    words = one.timed("words", tt.checking.words, session, current)
    before, now = (one.timed("profiles", session.profile, window) for window in (reference, current))
    drift = one.timed("compare", tt.compare, before, now, beside=words)
    one.timed("since_last", tt.checking.since_last, session, current)
    together = one.timed("joint", tt.checking.joint, session, current)
    apart = one.timed("segments", tt.checking.segments, session, current)
    scored = one.timed("score", tt.checking.score, session, current)
    judged = one.timed("judge", tt.checking.judge, session, outcomes, scored)
    one.timed("proportions", tt.checking.proportions, session, current)
    estimates = one.timed("expected", tt.checking.expected, session, scored)
    one.timed("foretold", tt.checking.foretold, session, current, scored, estimates)
    past = one.timed("history", tt.checking.history, session, outcomes, judged, until=current.end)
    causes = one.timed("causes", tt.checking.causes, session, drift)
    signals = one.timed(
        "signals", tt.checking.signals, session, drift, scored, current,
        outcomes=outcomes, judged=judged, together=together, apart=apart, past=past, estimates=estimates,
    )
    decision = one.timed("decide", tt.decide, signals, session.params, causes=causes)
    guard = one.timed("guard", tt.checking.guard, session, decision)
    one.timed("record", tt.checking.record, session, signals, decision, guard, outcomes)
    return Checked(scored, estimates, signals, decision, one)


def _opened(session: Session) -> tuple[Any, Any]:
    """Connect to the records and load the champion, as the first call that needs them would."""
    return session.records, session.champion


def champion(home: Path, tree: dict[str, Any], table: pd.DataFrame, as_of: str) -> Path:
    """Write a table and a params file into a home, train a first model there and let it serve."""
    table.to_parquet(home / tree["data"]["table"])
    params = home / "bench.yaml"
    params.write_text(yaml.safe_dump(tree, sort_keys=False))
    session = tt.open(params, as_of=as_of)
    contest = lifecycle.first_champion(session)
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    session.close()
    return params

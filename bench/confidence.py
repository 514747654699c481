"""Does the confidence of a decision mean what it says? Whole checks of a served model, half of them after a change."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import alarms
import numpy as np
import pandas as pd
from alarms import percent
from show import bar, prose, table
from whole import champion, check

import trimtab as tt

WORLDS = 16    # champions, each with a reference of its own
CHECKS = 25    # per champion
REFERENCES, WINDOWS = (1_000, 3_000, 10_000), (50, 100, 200, 500, 1_500)
DAYS = 28
COLUMNS = tuple(f"x{i}" for i in range(8))
WEIGHTS = np.array([1.2, -0.8, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
# What is worth retraining, as the default triggers grade it high: PSI of a quarter in a column, or in the scores, or a
# tenth of ROC AUC lost. Sizes at that threshold; those drawn reach from there to twice as far.
CHANGES: Mapping[str, float] = {"an input without weight": 0.52, "an input with weight": 0.9, "outcomes": 0.12}
FARTHEST = 2.0
FEWEST = 20    # checks of a group that is judged
GROUPS = (0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)
START = pd.Timestamp("2020-01-01")
TREE = {
    "model": "bench", "task": "classification", "as_of": "latest",
    "data": {"table": "bench.parquet", "time": "at", "label": "y", "numeric": [*COLUMNS]},
    "windows": {"current": {"last": f"{DAYS}d"}, "training": {"last": f"{2 * DAYS}d"}},
    "estimator": {"class": "sklearn.linear_model.LogisticRegression"},
    "promotion": {"criteria": [{"metric": "roc_auc", "floor": 0.5}]},
}


@dataclass(frozen=True)
class Told:
    """What a check said, beside what was true.

    Attributes
    ----------
    champion : int
        Whose check it is.
    changed : str
        What had changed; empty for nothing.
    """

    champion: int
    changed: str
    records: int
    retrain: bool
    confidence: float

    @property
    def probability(self) -> float:
        """Of a change worth retraining."""
        return self.confidence if self.retrain else 1 - self.confidence


def _records(
    rng: np.random.Generator, start: int, days: int, n: int, change: str = "", size: float = 0.0
) -> pd.DataFrame:
    x = rng.normal(size=(n, len(COLUMNS)))
    x[:, -1] += size * (change == "an input without weight")
    x[:, 0] += size * (change == "an input with weight")
    late = rng.random(n) < 1 / (1 + np.exp(-(x @ WEIGHTS - 0.5)))
    flipped = rng.random(n) < size * (change == "outcomes")
    when = START + pd.to_timedelta(start + np.sort(rng.uniform(0, days, n)), unit="D")
    return pd.DataFrame({"at": when.floor("s"), **dict(zip(COLUMNS, x.T, strict=True)), "y": late ^ flipped})


def _plan(rng: np.random.Generator, number: int, checks: int) -> list[tuple[str, float, int]]:
    """What changes in each window of a champion, how far, and how many records it has; every other one is quiet."""
    names, plan = list(CHANGES), []
    for k in range(checks):
        name = names[(k // 2 + number) % len(names)] if (k + number) % 2 else ""
        size = CHANGES.get(name, 0.0) * rng.uniform(1.0, FARTHEST)
        plan.append((name, size, int(rng.choice(WINDOWS))))
    return plan


def checks_of(number: int, checks: int) -> list[Told]:
    """Checks of one champion. Before each window lies one in which nothing has changed."""
    rng = np.random.default_rng([3, number])
    plan = _plan(rng, number, checks)
    parts, told = [_records(rng, 0, 2 * DAYS, REFERENCES[number % len(REFERENCES)])], []
    for k, (name, size, n) in enumerate(plan):
        start = 2 * DAYS * (k + 1)
        parts += [_records(rng, start, DAYS, n), _records(rng, start + DAYS, DAYS, n, name, size)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRIMTAB_HOME"] = folder
        params = champion(Path(folder), TREE, pd.concat(parts), _day(2 * DAYS))
        for k, (name, _, n) in enumerate(plan):
            session = tt.open(params, as_of=_day(2 * DAYS * (k + 2)))
            decision = check(session).decision
            session.close()
            told.append(Told(number, name, n, decision.needs_retrain, decision.confidence))
    return told


def _day(number: int) -> str:
    return f"{START + pd.Timedelta(days=number):%Y-%m-%d}"


def measure() -> dict[str, Any]:
    """What every check said, and what was true."""
    worlds = alarms.repetitions(WORLDS)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        told = [one for some in pool.map(checks_of, range(worlds), [CHECKS] * worlds) for one in some]
    groups = [_group(told, *ends) for ends in pairwise(GROUPS)]
    return {
        "worlds": worlds, "checks": [asdict(one) for one in told], "groups": groups, "summary": _summary(told, groups),
        "bars": _bars(groups, len(told)),
    }


def _group(told: list[Told], low: float, high: float) -> dict[str, float]:
    """Of the checks whose probability lies in a range: its mean, the share that had changed, and the standard error.

    Checks of one champion share its reference and what it learned, so that their surprises are summed up by champion
    first (cluster-robust); the error is at least that of checks that share nothing.
    """
    inside = [one for one in told if low <= one.probability < high or one.probability == high == 1.0]
    said = np.array([one.probability for one in inside])
    came = np.array([bool(one.changed) for one in inside], dtype=float)
    error = max(_apart_by_chance(said), _by_champion([one.champion for one in inside], came - said))
    return {
        "low": low, "high": high, "checks": len(inside), "said": float(said.mean()) if len(said) else 0.0,
        "true": float(came.mean()) if inside else 0.0, "error": error,
    }


def _apart_by_chance(said: np.ndarray[Any, Any]) -> float:
    """Standard error of a share, where each record has its own probability."""
    return float(np.sqrt((said * (1 - said)).sum()) / len(said)) if len(said) else 0.0


def _by_champion(champions: list[int], surprises: np.ndarray[Any, Any]) -> float:
    """Standard error of the mean surprise, with champions as what is drawn; 0 with fewer than two of them."""
    names, place = np.unique(champions, return_inverse=True)
    if len(names) < 2:
        return 0.0
    sums = np.bincount(place, weights=surprises - surprises.mean())
    return float(np.sqrt((sums**2).sum() * len(names) / (len(names) - 1)) / len(surprises))


def _gap(group: dict[str, float]) -> float:
    """In percentage points of probability, how far what was said lies from what was true, beyond three errors."""
    if group["checks"] < FEWEST:
        return 0.0    # too few to tell, which the table shows by their number
    within = 3 * group["error"] + 1 / max(group["checks"], 1)    # a share is known to one check at best
    return max(abs(group["said"] - group["true"]) - within, 0.0)


def _summary(told: list[Told], groups: list[dict[str, float]]) -> dict[str, float]:
    said, true = np.array([one.probability for one in told]), np.array([bool(one.changed) for one in told])
    right = np.array([one.retrain == bool(one.changed) for one in told])
    apart = sum(group["checks"] * abs(group["said"] - group["true"]) for group in groups) / len(told)
    drawn = np.random.default_rng(0).random((500, len(told))) < said
    by_chance = np.mean([_apart(said, outcome) for outcome in drawn])
    return {
        "brier": float(np.mean((said - true) ** 2)), "apart": float(apart), "apart_by_chance": float(by_chance),
        "right": float(right.mean()), "confidence": float(np.mean([one.confidence for one in told])),
        "false_alarms": float(np.mean([one.retrain for one in told if not one.changed])),
    }


def _apart(said: np.ndarray[Any, Any], true: np.ndarray[Any, Any]) -> float:
    place = np.clip(np.searchsorted(GROUPS, said, side="right") - 1, 0, len(GROUPS) - 2)
    return sum(
        abs(said[place == k].mean() - true[place == k].mean()) * (place == k).mean()
        for k in range(len(GROUPS) - 1) if (place == k).any()
    )


def _bars(groups: list[dict[str, float]], checks: int) -> list[dict[str, str]]:
    judged = [group for group in groups if group["checks"] >= FEWEST] or groups
    farthest = max(judged, key=lambda group: (_gap(group), abs(group["said"] - group["true"])))
    shown = f"farthest: {percent(farthest['said'])} said, {percent(farthest['true'])} true"
    shown += f" ({farthest['checks']} checks)"
    return [bar(
        f"confidence of the decision is calibrated, {checks} checks",
        f"what is said lies within three standard errors of what is true, in every group of {FEWEST} checks or more",
        shown,
        met=not any(_gap(group) for group in groups),
    )]


def show(found: dict[str, Any]) -> str:
    """The section."""
    told = [Told(**one) for one in found["checks"]]
    rows = [
        [f"{percent(g['low'])} to {percent(g['high'])}", g["checks"], percent(g["said"]), percent(g["true"]),
         f"± {percent(g['error'])}", f"{100 * _gap(g):.1f}"] for g in found["groups"]
    ]
    by_change = [[name or "nothing", *(_cell(told, name, n) for n in WINDOWS)] for name in ("", *CHANGES)]
    s = found["summary"]
    references, windows = (", ".join(f"{n:,}" for n in sizes) for sizes in (REFERENCES, WINDOWS))
    return "\n\n".join([
        "## What confidence means",
        prose(f"""{len(told)} whole checks (inputs, outputs, labels, all columns together, performance realised and
            estimated, errors over time) of {found['worlds']} champions with references of {references} records, windows
            of {windows} ({alarms.seeds()}). In half of them something had changed as far as the default triggers grade
            high, up to {FARTHEST:.0f} times as far: {', '.join(CHANGES)}. The probability of a change is the confidence
            of a decision to retrain, or what confidence leaves of a decision not to. The last column says how far what
            was said lies from what was true, beyond three standard errors, in percentage points; checks of one champion
            are not taken for independent ones (cluster-robust errors, and at least those of independent checks)."""),
        table(["probability said", "checks", "said on average", "had changed", "standard error", "beyond"], rows),
        prose(f"""Said and true lie {100 * s['apart']:.1f} percentage points apart on average over checks, where chance
            alone would give {100 * s['apart_by_chance']:.1f}; Brier score {s['brier']:.3f} (0.25 without knowledge).
            Decisions are right in {percent(s['right'])} of checks, and say so with {percent(s['confidence'])} on
            average; {percent(s['false_alarms'])} of quiet checks ask for retraining."""),
        "By what had changed and how many records the window had: retraining asked for / mean probability said.",
        table(["changed", *(f"{n:,}" for n in WINDOWS)], by_change),
    ])


def _cell(told: list[Told], changed: str, records: int) -> str:
    mine = [one for one in told if one.changed == changed and one.records == records]
    if not mine:
        return "–"
    asked, said = (float(np.mean(values)) for values in ([t.retrain for t in mine], [t.probability for t in mine]))
    return f"{percent(asked)} / {percent(said)}"

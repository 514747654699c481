"""How often is a change in correlation alone found? A part of `power.py`."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import alarms
import draws
import numpy as np
from alarms import ALPHAS, percent
from show import bar, prose, table

from trimtab.decide.signals import default_triggers, grade, joint_drift
from trimtab.measure.together.domain import tell_apart
from trimtab.measure.together.samples import encode
from trimtab.settings.drift import DriftSettings

REFERENCE = 5_000
CURRENTS = (500, 1_000, 2_000, 5_000)
CORRELATION = 0.6
TOGETHER = (0, 2, draws.COLUMNS // 10, draws.COLUMNS // 2)    # columns that begin to move together
REPETITIONS = 100
ALPHA = ALPHAS["a model's inputs"]    # the joint distribution's part is as large


def _correlated(rng: np.random.Generator, n: int, columns: int, correlation: float) -> Any:
    shared = rng.normal(size=(n, 1))
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * rng.normal(size=(n, columns))


def found(together: int, m: int, repetition: int) -> bool:
    """Whether a check in which so many normal columns begin to correlate says so."""
    sides = draws.reference(REFERENCE, repetition), draws.current(REFERENCE, m, repetition)
    rng = np.random.default_rng([draws.SEED, together, m, repetition])
    for table_, correlation in zip(sides, (0.0, CORRELATION), strict=True):
        rows = len(next(iter(table_.values())))
        for name, values in zip(list(table_)[:together], _correlated(rng, rows, together, correlation).T, strict=True):
            table_[name] = values
    frozen = alarms.freeze(sides[0])
    bins = {name: one.bins for name, one in frozen.items()}
    samples = [
        encode({n: v if v.dtype.kind == "f" else v.astype(str).astype(object) for n, v in side.items()}, bins)
        for side in sides
    ]
    separation = tell_apart(*samples)
    measured = joint_drift(separation, [" with ".join(one.columns) for one in separation.carriers], alpha=ALPHA)
    return grade(measured, default_triggers(DriftSettings())).severity != "none"


def measure() -> dict[str, Any]:
    """Rates by the number of correlated columns and the size of the window."""
    times = alarms.repetitions(REPETITIONS)
    rates = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for together in TOGETHER:
            seen = [list(pool.map(found, [together] * times, [m] * times, range(times), chunksize=2)) for m in CURRENTS]
            rates.append(np.mean(seen, axis=1).tolist())
    result = {"level": ALPHA, "repetitions": times, "rates": rates}
    return result | {"bars": _bars(result)}


def _bars(result: dict[str, Any]) -> list[dict[str, str]]:
    rate = result["rates"][TOGETHER.index(2)][CURRENTS.index(2_000)]
    return [bar(
        f"correlation of two columns of fifty, 0 → {CORRELATION}, 2,000 records", "at least 90.0 %",
        f"{percent(rate)} ± {percent(alarms.error(rate, result['repetitions']))}", met=rate >= 0.9,
    )]


def show(result: dict[str, Any]) -> str:
    """The table."""
    rows = [[k, *map(percent, rates)] for k, rates in zip(TOGETHER, result["rates"], strict=True)]
    return "\n\n".join([
        f"### Correlation alone: 0 → {CORRELATION}",
        prose(f"""So many of the fifty columns are normal and begin to correlate; none of them moves by itself. The
            share of checks in which the joint distribution is graded (level {result['level']:.3g}),
            {result['repetitions']} repetitions; where none is correlated that is the share of false alarms."""),
        table(["columns", *(f"{m:,}" for m in CURRENTS)], rows),
    ])

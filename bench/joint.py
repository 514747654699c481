"""How often is there an alarm over all columns together when nothing has moved? A part of `days.py`.

Days have a luck of their own, and weekends differ from other days. A window of less than a week is told from the
reference by that alone, so it is held against stretches of the reference that resemble it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import starmap
from typing import Any

import alarms
import numpy as np
from alarms import ALPHAS, percent
from draws import SEED
from scipy.stats import norm
from show import bar, prose, table

from trimtab.decide.signals import joint_drift
from trimtab.measure.together.domain import tell_apart
from trimtab.measure.together.samples import Sample
from trimtab.measure.together.stretches import natural_area, stretches

Array = Any
ALPHA = ALPHAS["a model's inputs"]    # the joint distribution's part is as large
COLUMNS, MOVED = 10, 3
EDGES = norm.ppf(np.arange(1, 20) / 20)
RECORDS = 60    # a day
WEEKEND = 0.7    # standard deviations by which Saturdays and Sundays lie higher, in two columns
SHIFT = 1.0
HIGHEST = 0.05
REPETITIONS = 200
START = datetime(2024, 1, 1)    # a Monday
_KEPT, _OF_STRETCH = 5000, 1500    # records, as in a check
_STREAM = 17


@dataclass(frozen=True)
class Days:
    """How days are drawn.

    Attributes
    ----------
    reference, current : int
        Their number.
    luck : float
        Share of a column's variance that the records of a day have in common.
    """

    reference: int
    current: int
    luck: float


CELLS = (*(Days(84, current, luck) for luck in (0.0, 0.05, 0.1) for current in (1, 3, 7, 30)),
         *(Days(35, current, 0.1) for current in (1, 3, 7)))


def drawn(days: Days, repetition: int) -> tuple[Array, Array]:
    """Values of all columns, of the reference's days and then the window's, and the number of each one's day."""
    rng = np.random.default_rng([SEED, _STREAM, days.reference, days.current, round(100 * days.luck), repetition])
    every = np.arange(days.reference + days.current) + repetition % 7    # windows begin on any weekday
    means = np.sqrt(days.luck) * rng.normal(size=(len(every), COLUMNS))
    means[:, MOVED: MOVED + 2] += WEEKEND * (every % 7 >= 5)[:, None]
    values = np.repeat(means, RECORDS, axis=0)
    return values + np.sqrt(1 - days.luck) * rng.normal(size=values.shape), np.repeat(every, RECORDS)


def encoded(values: Array, most: int) -> Sample:
    """A sample of at most so many records, evenly spread."""
    kept = values[np.linspace(0, len(values) - 1, min(len(values), most)).astype(int)]
    return Sample(
        tuple("abcdefghij"), ("numeric",) * COLUMNS, (len(EDGES) + 1,) * COLUMNS, np.searchsorted(EDGES, kept)
    )


def natural(days: Days, values: Array, day: Array) -> float:
    """What one more stretch of the reference would rarely exceed."""
    first, middle = (START + timedelta(days=int(one)) for one in (day[0], day[0] + days.reference))
    reference = day < day[0] + days.reference
    found = []
    for start, end in stretches((first, middle), (middle, middle + timedelta(days=days.current))):
        inside = reference & (day >= (start - START).days) & (day < (end - START).days)
        found.append(tell_apart(encoded(values[reference & ~inside], _KEPT), encoded(values[inside], _OF_STRETCH)))
    return natural_area(found, alpha=ALPHA)


def raised(days: Days, repetition: int) -> tuple[bool, bool, bool]:
    """Alarms where nothing has moved, with stretches and without them; and whether a shift is found."""
    return tuple(_raised(*drawn(days, repetition), days))    # type: ignore[return-value]


def _raised(values: Array, day: Array, days: Days) -> Iterator[bool]:
    floor, now = natural(days, values, day), day >= day[0] + days.reference
    reference = encoded(values[~now], _KEPT)
    still, moved = values[now], values[now] + np.where(np.arange(COLUMNS) < MOVED, SHIFT, 0.0)
    for window, least in ((still, floor), (still, 0.5), (moved, floor)):
        apart = tell_apart(reference, encoded(window, _KEPT))
        yield joint_drift(apart, [], floor=least, alpha=ALPHA).significant


def measure() -> dict[str, Any]:
    """Rates in the order of `CELLS`."""
    times = alarms.repetitions(REPETITIONS)
    jobs = [(days, repetition) for days in CELLS for repetition in range(times)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        seen = list(pool.map(raised, *zip(*jobs, strict=True), chunksize=10))
    false, alone, found = np.array(seen).reshape(len(CELLS), times, 3).mean(axis=1).T.tolist()
    result = {"level": ALPHA, "repetitions": times, "cells": [asdict(days) for days in CELLS],
              "false": false, "alone": alone, "found": found}
    return result | {"bars": list(starmap(_bar, [(max(false), times)]))}


def _bar(highest: float, times: int) -> dict[str, str]:
    shown = f"{percent(highest)} ± {percent(alarms.error(highest, times))} in the worst case"
    return bar(
        "false alarms over all columns together, where days differ and weekends, too",
        f"at most {percent(HIGHEST)} of checks however days vary", shown, met=highest <= HIGHEST,
    )


def show(result: dict[str, Any]) -> str:
    """The table."""
    rates = zip(result["cells"], result["false"], result["alone"], result["found"], strict=True)
    rows = [[days["reference"], days["current"], percent(days["luck"]), *map(percent, found)] for days, *found in rates]
    return "\n\n".join([
        "### All columns together",
        prose(f"""{COLUMNS} normal columns, {RECORDS} records a day, a window of some days against a reference of more.
            The records of a day have a share of their variance in common, their luck, and two columns lie {WEEKEND:g}
            standard deviations higher at weekends. An alarm is false where nothing has moved; beside it, what the
            classifier's test would say if stretches of the reference did not count. A shift is found where {MOVED}
            columns rose by {SHIFT:g} standard deviation. Level {result['level']:.3g}, {result['repetitions']}
            repetitions ({alarms.seeds()})."""),
        table(["reference", "window", "luck", "false alarms", "… without stretches", "shift found"], rows),
    ])

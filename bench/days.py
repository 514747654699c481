"""How often is there an alarm when nothing has moved, but each day has a luck of its own?

Records of a day share a part of their variance, and days take after the day before: weather, holidays, batches. The
reference is long and the window short, as in a weekly check.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import alarms
import joint
import numpy as np
from alarms import ALPHAS, percent
from draws import SEED
from show import bar, prose, table

from trimtab.measure.columns.drift import compare
from trimtab.measure.columns.profile import Profile
from trimtab.measure.models.scoring import profile_values

Array = Any
REFERENCE, CURRENT = 60, 7    # days
COLUMNS = 15
KINDS = ("normal", "lognormal", "rounded lognormal", "three levels", "zero-inflated")
REPETITIONS = 400
SHIFT = 1.0    # standard deviations, of one normal column
HIGHEST = 0.05
_STREAM = 9
_WARM_UP = 50    # days, until an autoregression has forgotten where it began


@dataclass(frozen=True)
class Days:
    """How days are drawn.

    Attributes
    ----------
    luck : float
        Share of a column's variance that the records of a day have in common.
    stays : float
        Correlation of what a day has to itself with the day after.
    each : int
        Records a day.
    """

    luck: float
    stays: float
    each: int


CELLS = tuple(Days(luck, stays, each) for each in (100, 400) for luck, stays in (
    (0.0, 0.0), (0.1, 0.0), (0.1, 0.4), (0.3, 0.0), (0.3, 0.4)))


def made(kind: str, normal: Array) -> Array:
    """A column of a kind, from standard normal values."""
    if kind == "normal":
        return normal
    if kind == "lognormal":
        return np.exp(normal)
    if kind == "rounded lognormal":
        return np.round(np.exp(0.7 * normal), 1)
    if kind == "zero-inflated":
        return np.where(normal > 1, np.exp(normal), 0.0)
    return np.array(["a", "b", "c"], dtype=object)[np.searchsorted([0.3, 1.2], normal)]


def drawn(days: Days, repetition: int) -> dict[str, Array]:
    """Standard normal values of each column, of the reference's days and then the window's."""
    rng = np.random.default_rng([SEED, _STREAM, round(100 * days.luck), round(100 * days.stays), days.each, repetition])
    luck = rng.normal(size=(_WARM_UP + REFERENCE + CURRENT, COLUMNS))
    for day in range(1, len(luck)):
        luck[day] = days.stays * luck[day - 1] + np.sqrt(1 - days.stays**2) * luck[day]
    common = np.repeat(luck[_WARM_UP:], days.each, axis=0)
    values = np.sqrt(days.luck) * common + np.sqrt(1 - days.luck) * rng.normal(size=common.shape)
    return {f"{i} {KINDS[i % len(KINDS)]}": values[:, i] for i in range(COLUMNS)}


def profiles(days: Days, repetition: int) -> Iterator[Profile]:
    """The reference, the window, and the window with its first column, a normal one, moved."""
    normal = drawn(days, repetition)
    dates = np.datetime64("2024-01-01") + np.repeat(np.arange(REFERENCE + CURRENT), days.each)
    until = REFERENCE * days.each
    columns = {name: made(name.partition(" ")[2], values) for name, values in normal.items()}
    before = profile_values({name: values[:until] for name, values in columns.items()}, days=dates[:until])
    now = {name: values[until:] for name, values in columns.items()}
    moved = now | {name: values + SHIFT for name, values in list(now.items())[:1]}
    yield before
    for window in (now, moved):
        yield profile_values(window, before.bins, days=dates[until:])


def raised(days: Days, repetition: int) -> list[tuple[bool, bool]]:
    """At each level: an alarm where nothing has moved, and whether the column that moved is found."""
    before, now, moved = profiles(days, repetition)
    still, shifted = compare(before, now), compare(before, moved)
    first = next(iter(before.columns))
    return [
        (bool(still.drifted(alpha=alpha)), first in [column.name for column in shifted.drifted(alpha=alpha)])
        for alpha in ALPHAS.values()
    ]


def measure() -> dict[str, Any]:
    """Rates by level, of alarms where nothing has moved and of shifts that are found, in the order of `CELLS`."""
    times = alarms.repetitions(REPETITIONS)
    jobs = [(days, repetition) for days in CELLS for repetition in range(times)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        seen = list(pool.map(raised, *zip(*jobs, strict=True), chunksize=10))
    rates = np.array(seen).reshape(len(CELLS), times, len(ALPHAS), 2).mean(axis=1)
    found = {
        "levels": ALPHAS, "repetitions": times, "cells": [asdict(days) for days in CELLS],
        "false": dict(zip(ALPHAS, rates[..., 0].T.tolist(), strict=True)),
        "found": dict(zip(ALPHAS, rates[..., 1].T.tolist(), strict=True)),
    }
    bars, together = [_bar(found, name) for name in ALPHAS], joint.measure()
    return found | {"joint": together, "bars": [*bars, *together.pop("bars")]}


def _bar(found: dict[str, Any], name: str) -> dict[str, str]:
    highest = max(found["false"][name])
    shown = f"{percent(highest)} ± {percent(alarms.error(highest, found['repetitions']))} in the worst case"
    return bar(
        f"false alarms over {COLUMNS} columns whose days differ, {name}",
        f"at most {percent(HIGHEST)} of checks however days vary", shown, met=highest <= HIGHEST,
    )


def show(found: dict[str, Any]) -> str:
    """The section."""
    rows = [
        [percent(days["luck"]), days["stays"], days["each"],
         *(percent(found[what][name][place]) for name in found["levels"] for what in ("false", "found"))]
        for place, days in enumerate(found["cells"])
    ]
    head = [f"{what} at {alpha:.3g}" for alpha in found["levels"].values() for what in ("false alarms", "shift found")]
    return "\n\n".join([
        "## Alarms where days have a luck of their own",
        prose(f"""{COLUMNS} columns of {len(KINDS)} kinds in turn ({', '.join(KINDS)}), {CURRENT} days against
            {REFERENCE}. The records of a day have a share of their variance in common, their luck, and days take after
            the day before. An alarm is false where nothing has moved; a shift is found where one normal column of them
            rose by {SHIFT:g} standard deviation. {found['repetitions']} repetitions ({alarms.seeds()}); a rate of 5 %
            is known to ± {percent(alarms.error(0.05, found['repetitions']))}. The levels are those of two tables and of
            a model's inputs."""),
        table(["luck", "correlation", "records a day", *head], rows),
        joint.show(found["joint"]),
    ])

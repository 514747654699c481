"""How often does the promotion gate promote a challenger that is no better, and refuse one that is?

Two models see what decides the outcome through noise of their own; how much of it, says how good they are. Every draw
is held to several gates at once. Where days have a luck of their own, each model errs together on a day's records.
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from alarms import error, percent, repetitions
from draws import SEED
from show import bar, prose, table

from trimtab.decide.promotion import judge
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import evaluate_pair
from trimtab.measure.models.resampling import Resampling
from trimtab.settings.promotion import Criterion

Array = Any
TIMES = 400
SIZES = (500, 2000, 10_000)
BAR_SIZE = 2000
DAYS = 40
LUCK = 0.7    # standard deviation of a model's own error of a day, where records' own have 1 or so
ACCURACY, GAP = 0.78, 0.05
SPREAD = 3.0    # of the log odds that decide the outcome
QUALITIES = {"5 pp worse": -GAP, "the same": 0.0, "5 pp better": GAP}
GATES: dict[str, tuple[Criterion, ...]] = {
    "accuracy: gain": (Criterion(metric="accuracy", min_gain=0.0),),
    "ROC AUC: gain": (Criterion(metric="roc_auc", min_gain=0.0),),
    "log loss: gain": (Criterion(metric="log_loss", min_gain=0.0),),
    "ROC AUC: gain; accuracy: drop ≤ 1 pp; recall per class: drop ≤ 5 pp": (
        Criterion(metric="roc_auc", min_gain=0.0), Criterion(metric="accuracy", max_drop=0.01),
        Criterion(metric="recall", per="class", max_drop=0.05)),
    "accuracy: drop ≤ 1 pp": (Criterion(metric="accuracy", max_drop=0.01),),
    "accuracy: gain, point estimates": (Criterion(metric="accuracy", min_gain=0.0, evidence="point"),),
}
GAINING = tuple(name for name in GATES if "gain" in name and "point" not in name)
PLAIN = tuple(name for name in GAINING if ";" not in name)    # that ask for nothing else


def measure() -> dict[str, Any]:
    """The share of challengers that each gate promotes."""
    times = repetitions(TIMES)
    cells = [(quality, size, days) for days in (False, True) for quality in QUALITIES for size in SIZES]
    with ProcessPoolExecutor() as pool:
        shares = list(pool.map(_promoted, *zip(*cells, strict=True), [times] * len(cells)))
    found = [{"quality": q, "size": n, "days": d, "promoted": s} for (q, n, d), s in zip(cells, shares, strict=True)]
    return {"times": times, "cells": found, "bars": _bars(found, times)}


def _promoted(quality: str, size: int, days: bool, times: int) -> dict[str, float]:
    """The share of draws in which each gate promotes."""
    rng = np.random.default_rng((SEED, list(QUALITIES).index(quality), size, days))
    noises = _noise(ACCURACY), _noise(ACCURACY + QUALITIES[quality])
    promoted = dict.fromkeys(GATES, 0)
    for number in range(times):
        champion, challenger, of_day = _draw(rng, size, noises, luck=LUCK if days else 0.0)
        seen = evaluate_pair(
            challenger, champion, per_class=["recall"], days=of_day if days else None,
            resampling=Resampling(seed=number),
        )
        for name, criteria in GATES.items():
            promoted[name] += judge(criteria, seen).outcome == "promote"
    return {name: n / times for name, n in promoted.items()}


def _draw(rng: np.random.Generator, size: int, noises: tuple[float, float], *, luck: float) -> tuple[Any, Any, Array]:
    """Outputs of both models on the same records, and the day of each record."""
    day = rng.integers(DAYS, size=size)
    truth = SPREAD * rng.standard_normal(size)
    actual = (rng.random(size) < _share(truth)).astype(np.int64)
    said = []
    for noise in noises:
        own = noise * rng.standard_normal(size) + luck * rng.standard_normal(DAYS)[day]
        said.append(_outputs(actual, truth + own, noise**2 + luck**2))
    return said[0], said[1], day


def _outputs(actual: Array, seen: Array, variance: float) -> Outputs:
    """What a model says that knows how noisy its view is."""
    shrunk = seen * SPREAD**2 / (SPREAD**2 + variance)
    left = SPREAD**2 * variance / (SPREAD**2 + variance)
    share = _share(shrunk / math.sqrt(1 + math.pi * left / 8))    # MacKay's (1992) mean of a logistic under noise
    said = (share > 0.5).astype(np.int64)
    return Outputs(("no", "yes"), actual, said, np.column_stack([1 - share, share]), positive=1)


@cache
def _noise(accuracy: float) -> float:
    """How noisy a model's view must be for it to be right so often."""
    rng = np.random.default_rng((SEED, 1))
    truth, view = SPREAD * rng.standard_normal(1_000_000), rng.standard_normal(1_000_000)
    actual = rng.random(len(truth)) < _share(truth)
    low, high = 0.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        right = ((truth + middle * view > 0) == actual).mean()
        low, high = (middle, high) if right > accuracy else (low, middle)
    return low


def _share(log_odds: Array) -> Array:
    return 1 / (1 + np.exp(-log_odds))


def _bars(found: list[dict[str, Any]], times: int) -> list[dict[str, str]]:
    made = []
    for what, wanted, quality, sizes, want in (
        ("a challenger no better is promoted where a gain is required", "at most 5 %", "the same", SIZES, -0.05),
        ("a challenger 5 pp worse is refused", "at least 99 %", "5 pp worse", (BAR_SIZE,), 0.99),
        ("a challenger 5 pp better is promoted", "at least 95 %", "5 pp better", (BAR_SIZE,), 0.95),
    ):
        asked = PLAIN if quality == "5 pp better" else GAINING
        shares = [cell["promoted"][name] for cell in found for name in asked
                  if cell["quality"] == quality and cell["size"] in sizes]
        worst = min(shares) if quality == "5 pp better" else max(shares)
        said = 1 - worst if quality == "5 pp worse" else worst
        met = said <= -want if want < 0 else said >= want
        size = "" if len(sizes) > 1 else f", {BAR_SIZE:,} records"
        made.append(bar(f"{what}{size}", wanted, f"{percent(said)} ± {percent(error(said, times))} in the worst cell",
                        met=met))
    return made


def show(found: dict[str, Any]) -> str:
    """The section."""
    rows = [
        [name, "days of luck" if days else "independent", quality,
         *(percent(_cell(found, quality, size, days)["promoted"][name]) for size in SIZES)]
        for name in GATES for days in (False, True) for quality in QUALITIES
    ]
    several = next(name for name in GAINING if ";" in name)
    least = min(_cell(found, "5 pp better", BAR_SIZE, days)["promoted"][several] for days in (False, True))
    return "\n\n".join([
        "## Promotion on evidence",
        prose(f"""How often a gate promotes a challenger whose true accuracy is {GAP * 100:.0f} points below that of the
            champion ({ACCURACY:.0%}), the same, or as much above; {found['times']:,} draws of each cell (seed
            {SEED}), so that 5 % is known to ± {error(0.05, found['times']) * 100:.1f} %. Both models give
            calibrated probabilities of what they see of the truth through noise of their own. Where days have luck,
            {DAYS} of them, each model errs together on the records of a day (a standard deviation of {LUCK} beside
            a spread of {SPREAD:g} of the log odds), and intervals draw whole days. The last gate compares point
            estimates, as many systems do. The bar for better challengers is that of gates with one criterion: of
            several each must hold, and so the gate with three promotes {percent(least)} of them in its worst cell of
            {BAR_SIZE:,} records."""),
        table(["gate", "records", "challenger", *(f"{size:,}" for size in SIZES)], rows),
    ])


def _cell(found: dict[str, Any], quality: str, size: int, days: bool) -> dict[str, Any]:
    return next(one for one in found["cells"] if (one["quality"], one["size"], one["days"]) == (quality, size, days))

"""How often is there an alarm when nothing has moved, and when something has?

`python bench/alarms.py null` and `power` print Markdown. A check is a comparison of two windows of fifty columns, eight
kinds in turn; an alarm is any drifted column at the default settings. Windows are drawn from a seed, bins are frozen on
the whole reference, and categories are counted as codes, which gives the counts that profiling gives.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimtab.measure.columns.bins import BUCKETS, Bins, bucket, freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import compare
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.profiling import profile_array

COLUMNS = 50
KINDS = ("normal", "lognormal", "zero-inflated", "Zipf-50", "Zipf-1000", "binary", "constant", "20 % null")
REFERENCES = (1_000, 5_000, 50_000)
CURRENTS = (50, 100, 200, 500, 1_000, 5_000, 50_000)
REPETITIONS = int(os.environ.get("REPETITIONS", "400"))
SEED = 3


def _zipf(levels: int) -> Any:
    shares = 1 / np.arange(1, levels + 1)
    return np.cumsum(shares / shares.sum())


_SHARES = {"Zipf-50": _zipf(50), "Zipf-1000": _zipf(1000), "binary": np.array([0.7, 1.0])}


def draw(rng: np.random.Generator, kind: str, n: int) -> Any:
    """Values of a column: floats, or the codes of its levels."""
    if kind == "normal":
        return rng.normal(size=n)
    if kind == "lognormal":
        return rng.lognormal(size=n)
    if kind == "zero-inflated":
        return np.where(rng.random(n) < 0.7, 0.0, rng.lognormal(size=n))
    if kind == "constant":
        return np.full(n, 3.0)
    if kind == "20 % null":
        return np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))
    return np.searchsorted(_SHARES[kind], rng.random(n) * (1 - 1e-12))


@dataclass(frozen=True)
class Frozen:
    """Bins of a column; of categories also which code each level stands for."""

    bins: Bins
    codes: Any = None

    @classmethod
    def on(cls, values: Any) -> Frozen:
        """Freeze on a reference."""
        if values.dtype.kind == "f":
            return cls(freeze_numeric(values))
        counts = np.bincount(values)
        order = np.lexsort((np.arange(len(counts)), -counts))
        codes = order[counts[order] > 0]
        return cls(freeze_categorical([str(code) for code in codes]), codes)

    def profile(self, values: Any) -> ColumnProfile:
        """Count a window."""
        if self.codes is None:
            return profile_array(values, self.bins)    # type: ignore[arg-type]
        counts = np.bincount(values, minlength=int(self.codes.max()) + 1)
        known = counts[self.codes]
        new = counts.copy()
        new[self.codes] = 0
        buckets = np.bincount([bucket(str(code)) for code in np.flatnonzero(new)], new[new > 0], minlength=BUCKETS)
        unseen = tuple(buckets.astype(int).tolist()) if new.any() else ()
        return ColumnProfile(self.bins, tuple(known.tolist()), unseen=sum(unseen), buckets=unseen)


def _profile(frozen: dict[str, Frozen], columns: dict[str, Any]) -> Profile:
    return Profile({name: frozen[name].profile(values) for name, values in columns.items()}, 0)


def _table(rng: np.random.Generator, n: int) -> dict[str, Any]:
    return {f"{i} {KINDS[i % len(KINDS)]}": draw(rng, KINDS[i % len(KINDS)], n) for i in range(COLUMNS)}


def alarms_without_drift(n: int, repetition: int) -> list[bool]:
    """Whether there is an alarm, for each size of the current window, against one reference."""
    rng = np.random.default_rng([SEED, n, repetition])
    reference = _table(rng, n)
    frozen = {name: Frozen.on(values) for name, values in reference.items()}
    before = _profile(frozen, reference)
    return [bool(compare(before, _profile(frozen, _table(rng, m))).drifted()) for m in CURRENTS]


def null() -> str:
    """The share of undrifted checks with an alarm, for each pair of sizes."""
    lines = ["| reference | " + " | ".join(f"{m:,}" for m in CURRENTS) + " |", "| --- |" + " --- |" * len(CURRENTS)]
    with ProcessPoolExecutor(2) as pool:
        for n in REFERENCES:
            found = list(pool.map(alarms_without_drift, [n] * REPETITIONS, range(REPETITIONS), chunksize=5))
            lines.append(f"| {n:,} | " + " | ".join(f"{100 * rate:.1f} %" for rate in np.mean(found, axis=0)) + " |")
    return "\n".join(lines)


Change = Callable[[np.random.Generator, Any], Any]


def _some(rng: np.random.Generator, values: Any, share: float, other: Any) -> Any:
    return np.where(rng.random(len(values)) < share, other, values)


SHIFTS: dict[str, tuple[str, Change]] = {
    **{f"mean +{s} σ": ("normal", lambda _, v, s=s: v + s) for s in (0.1, 0.2, 0.3, 0.5, 1.0)},    # type: ignore[misc]
    **{f"scale × {s}": ("normal", lambda _, v, s=s: v * s) for s in (1.1, 1.25, 1.5, 2.0)},    # type: ignore[misc]
    "tail: 5 % at +5 σ": ("normal", lambda rng, v: _some(rng, v, 0.05, 5.0 + rng.normal(size=len(v)))),
    "category swap": ("Zipf-50", lambda _, v: np.where(v == 0, 1, np.where(v == 1, 0, v))),
    "new category 1 %": ("Zipf-50", lambda rng, v: _some(rng, v, 0.01, 999)),
    "new category 1 % of 1000": ("Zipf-1000", lambda rng, v: _some(rng, v, 0.01, 5000)),
    "nulls 0 → 5 %": ("normal", lambda rng, v: _some(rng, v, 0.05, np.nan)),
    "nulls 20 → 25 %": ("20 % null", lambda rng, v: _some(rng, v, 0.0625, np.nan)),
}
MOVED = (1, COLUMNS // 10, COLUMNS // 2)


def found_drift(shift: str, n: int, m: int, moved: int, repetition: int) -> bool:
    """Whether a check in which so many columns moved finds one of them."""
    kind, change = SHIFTS[shift]
    rng = np.random.default_rng([SEED, n, m, moved, repetition])
    reference, current = _table(rng, n), _table(rng, m)
    for i in range(moved):
        reference[f"moved {i}"] = draw(rng, kind, n)
        current[f"moved {i}"] = change(rng, draw(rng, kind, m))
    for name in list(reference)[:moved]:    # still fifty columns
        del reference[name], current[name]
    frozen = {name: Frozen.on(values) for name, values in reference.items()}
    drift = compare(_profile(frozen, reference), _profile(frozen, current))
    return any(column.name.startswith("moved") for column in drift.drifted())


def power(n: int = 5_000, currents: tuple[int, ...] = (200, 500, 1_000, 5_000)) -> str:
    """The share of drifted checks in which a column that moved is found."""
    head = " | ".join(f"{m:,}" for m in currents)
    lines = [f"| shift | columns | {head} |", "| --- | --- |" + " --- |" * len(currents)]
    repetitions = max(REPETITIONS // 4, 1)
    with ProcessPoolExecutor(2) as pool:
        for shift in SHIFTS:
            for moved in MOVED:
                rates = []
                for m in currents:
                    found = pool.map(
                        found_drift, [shift] * repetitions, [n] * repetitions, [m] * repetitions,
                        [moved] * repetitions, range(repetitions), chunksize=5,
                    )
                    rates.append(float(np.mean(list(found))))
                lines.append(f"| {shift} | {moved} | " + " | ".join(f"{100 * rate:.0f} %" for rate in rates) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print({"null": null, "power": power}[sys.argv[1]]())

"""What is compared: fifty columns of eight kinds, drawn from a seed, as they are or with some of them moved.

Only NumPy is imported, for the peers draw the same tables in an environment of their own; `digest` shows that they are
the same. Categories are the codes of their levels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
Table = dict[str, Array]
Change = Callable[[np.random.Generator, Array, float], Array]

SEED = 3
COLUMNS = 50
KINDS = ("normal", "lognormal", "zero-inflated", "Zipf-50", "Zipf-1000", "binary", "constant", "20 % null")
FLAT = {"flat-50": 50, "flat-200": 200}    # kinds of equally common levels, which only moved columns are of
_REFERENCE, _CURRENT, _MOVED, _TUNING = range(4)    # streams of random numbers


def _zipf(levels: int) -> Array:
    shares = 1 / np.arange(1, levels + 1)
    return np.cumsum(shares / shares.sum())


_SHARES = {"Zipf-50": _zipf(50), "Zipf-1000": _zipf(1000), "binary": np.array([0.7, 1.0])}


def draw(rng: np.random.Generator, kind: str, n: int) -> Array:
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
    if kind in FLAT:
        return rng.integers(0, FLAT[kind], n)
    return np.searchsorted(_SHARES[kind], rng.random(n) * (1 - 1e-12))


def _table(rng: np.random.Generator, n: int) -> Table:
    return {f"{i} {KINDS[i % len(KINDS)]}": draw(rng, KINDS[i % len(KINDS)], n) for i in range(COLUMNS)}


def reference(n: int, repetition: int) -> Table:
    """A reference of n records."""
    return _table(np.random.default_rng([SEED, _REFERENCE, n, repetition]), n)


def current(n: int, m: int, repetition: int) -> Table:
    """A window of m records, drawn like the reference of n."""
    return _table(np.random.default_rng([SEED, _CURRENT, n, m, repetition]), m)


# -- what can move ---------------------------------------------------------------------------------------------------


def _place(kind: str) -> int:
    return [*KINDS, *FLAT].index(kind)


def _other(rng: np.random.Generator, values: Array, share: float, other: Array) -> Array:
    return np.where(rng.random(len(values)) < share, other, values)


def _gone(rng: np.random.Generator, values: Array, share: float, levels: int) -> Array:
    """A share of the levels comes no more; the others come instead, all alike."""
    first = round(share * levels)
    return np.where(values < first, rng.integers(first, levels, len(values)), values)


CHANGES: Mapping[str, Change] = {
    "mean": lambda _, values, by: values + by,
    "scale": lambda _, values, by: values * by,
    "factor": lambda _, values, by: values * np.exp(by),
    "tail": lambda rng, values, share: _other(rng, values, share, 5.0 + rng.normal(size=len(values))),
    "swap": lambda _, values, __: np.where(values < 2, 1 - values, values),
    "new": lambda rng, values, share: _other(rng, values, share, 5000),
    "null": lambda rng, values, share: _other(rng, values, share, np.nan),
    "zero": lambda rng, values, share: _other(rng, values, share, 0.0),
    "level 1": lambda rng, values, share: _other(rng, values, share, 1),
    "over 50": lambda rng, values, share: _other(rng, values, share, rng.integers(0, 50, len(values))),
    "half of 50": lambda rng, values, share: _other(rng, values, share, rng.integers(0, 25, len(values))),
    "half of 200": lambda rng, values, share: _other(rng, values, share, rng.integers(0, 100, len(values))),
    "gone of 50": lambda rng, values, share: _gone(rng, values, share, 50),
    "gone of 200": lambda rng, values, share: _gone(rng, values, share, 200),
    "over 1000": lambda rng, values, share: _other(rng, values, share, rng.integers(0, 1000, len(values))),
}


@dataclass(frozen=True)
class Shift:
    """What happens to a column.

    Attributes
    ----------
    name : str
        In words, for a table.
    kind : str
        Of the column, one of `KINDS`.
    change : str
        One of `CHANGES`.
    amount : float
        How much of it.
    """

    name: str
    kind: str
    change: str
    amount: float

    def apply(self, rng: np.random.Generator, values: Array) -> Array:
        """The values as they are after it."""
        return CHANGES[self.change](rng, values, self.amount)


SHIFTS = (
    *(Shift(f"mean +{by} σ", "normal", "mean", by) for by in (0.1, 0.2, 0.3, 0.5, 1.0)),
    *(Shift(f"scale × {by}", "normal", "scale", by) for by in (1.1, 1.25, 1.5, 2.0)),
    Shift("tail only: 5 % at +5 σ", "normal", "tail", 0.05),
    Shift("the two commonest of 50 levels swap", "Zipf-50", "swap", 0.0),
    Shift("new level, 1 %, beside 50", "Zipf-50", "new", 0.01),
    Shift("new level, 1 %, beside 1000", "Zipf-1000", "new", 0.01),
    Shift("nulls 0 → 5 %", "normal", "null", 0.05),
    Shift("nulls 20 → 25 %", "20 % null", "null", 0.0625),
    *(Shift(f"a fifth of {n} equally common levels vanishes", f"flat-{n}", f"gone of {n}", 0.2) for n in (50, 200)),
)
# What is tuned to a given PSI: kind, change, and amounts between which it lies.
TUNABLE = (
    ("normal", "mean", 0.0, 2.0), ("normal", "scale", 1.0, 5.0), ("lognormal", "factor", 0.0, 2.0),
    ("zero-inflated", "zero", 0.0, 1.0), ("Zipf-50", "over 50", 0.0, 1.0), ("Zipf-1000", "over 1000", 0.0, 1.0),
    ("binary", "level 1", 0.0, 1.0), ("20 % null", "mean", 0.0, 2.0),
    ("flat-50", "half of 50", 0.0, 1.0), ("flat-200", "half of 200", 0.0, 1.0),
)


def tuning_draw(kind: str, n: int) -> tuple[Array, np.random.Generator]:
    """Many values of a kind, and a generator for a change of them; the same each time."""
    rng = np.random.default_rng([SEED, _TUNING, _place(kind)])
    return draw(rng, kind, n), rng


def before(shift: Shift, n: int, repetition: int, place: int) -> Array:
    """A column that will move, in the reference."""
    kind = _place(shift.kind)
    return draw(np.random.default_rng([SEED, _MOVED, kind, n, repetition, place]), shift.kind, n)


def after(shift: Shift, n: int, m: int, repetition: int, place: int) -> Array:
    """The column once it has moved; from the same draws for every shift of its kind."""
    rng = np.random.default_rng([SEED, _MOVED, _place(shift.kind), n, repetition, place, m])
    return shift.apply(rng, draw(rng, shift.kind, m))


def tables(n: int, m: int, repetition: int, shift: Shift | None = None, moved: int = 0) -> tuple[Table, Table]:
    """Reference and window; of the fifty columns the first so many are replaced by moved ones, named "moved 0" on."""
    stays = [reference(n, repetition), current(n, m, repetition)]
    if shift is None:
        return stays[0], stays[1]
    rest = list(stays[0])[moved:]
    first = {f"moved {i}": before(shift, n, repetition, i) for i in range(moved)}
    second = {f"moved {i}": after(shift, n, m, repetition, i) for i in range(moved)}
    return first | {name: stays[0][name] for name in rest}, second | {name: stays[1][name] for name in rest}


def digest(drawn: Iterable[Table]) -> str:
    """A fingerprint of tables."""
    found = hashlib.sha256()
    for table in drawn:
        for name, values in table.items():
            found.update(name.encode())
            found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:16]

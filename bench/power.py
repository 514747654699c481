"""How often is there an alarm when something has moved?"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import alarms
import correlation
import draws
import numpy as np
import vocabulary
from alarms import ALPHAS, percent
from draws import Shift
from peers.environment import Asked
from show import bar, prose, table

from trimtab.measure.columns.drift import ColumnDrift, Drift, adjusted, compare_column

REFERENCE = 5_000
CURRENTS = (200, 500, 1_000, 5_000)
MOVED = (1, draws.COLUMNS // 10, draws.COLUMNS // 2)
REPETITIONS, SEVERAL = 400, 100    # with one column moved, which is the hardest to find, and with several
LARGE_PSI = 0.25
TUNED = (LARGE_PSI, 2 * LARGE_PSI)
TUNING_DRAWS = 200_000
BESIDE_PEERS = ("mean +0.3 σ", "mean +1.0 σ", "scale × 1.5", "new level, 1 %, beside 50", "nulls 0 → 5 %")
PEERS = ("Evidently", "NannyML, ten chunks", "NannyML, one chunk")
PEERS_WINDOW, OF_PEERS = 1_000, 15
OTHER_ARMS = (correlation, vocabulary)    # of changes that these columns do not show; each has `measure` and `show`

Seen = dict[tuple[str, int, int], dict[str, bool]]


# -- how far is it in truth? -----------------------------------------------------------------------------------------


def true_psi(shift: Shift) -> float:
    """PSI between many draws before and after; infinite where something comes that was never there."""
    values, rng = draws.tuning_draw(shift.kind, TUNING_DRAWS)
    frozen = alarms.Frozen.on(values)
    before, now = frozen.profile(values), frozen.profile(shift.apply(rng, values))
    if now.unseen > before.unseen or (now.nans and not before.nans):
        return math.inf
    return compare_column("", before, now).psi


def tuned(kind: str, change: str, low: float, high: float, psi: float) -> Shift:
    """The shift of a kind that has a given PSI, by halving the range of amounts."""
    for _ in range(16):
        amount = (low + high) / 2
        below = true_psi(Shift("", kind, change, amount)) < psi
        low, high = (amount, high) if below else (low, amount)
    return Shift(f"PSI {psi:.2f}: {kind}, {change} {amount:.3g}", kind, change, amount)


def large_shifts() -> list[Shift]:
    """Shifts of each kind with PSI of a quarter and of a half, as far as the kind can go so far."""
    made = [tuned(*kind, psi) for psi in TUNED for kind in draws.TUNABLE]
    named = (shift.name.split(":")[0] for shift in made)
    return [s for s, name in zip(made, named, strict=True) if abs(true_psi(s) - float(name.split()[1])) < 0.01]


# -- simulation ------------------------------------------------------------------------------------------------------


def checks(shifts: list[tuple[Shift, tuple[int, ...]]], repetition: int) -> Seen:
    """By shift, number of columns moved and size of the window: whether one that moved is found, at each level."""
    reference = draws.reference(REFERENCE, repetition)
    frozen = alarms.freeze(reference)
    before = {name: frozen[name].profile(values) for name, values in reference.items()}
    first: dict[tuple[str, int], Any] = {}
    seen: Seen = {}
    for m in CURRENTS:
        window = draws.current(REFERENCE, m, repetition)
        still = [compare_column(name, before[name], frozen[name].profile(window[name])) for name in reference]
        for shift, moved in shifts:
            columns = list(_moved_columns(shift, m, repetition, max(moved), first))
            for k in moved:
                drift = Drift(tuple(adjusted([*columns[:k], *still[k:]])), REFERENCE, m)
                seen[shift.name, k, m] = {
                    name: any(c.name.startswith("moved") for c in drift.drifted(alpha=alpha))
                    for name, alpha in ALPHAS.items()
                }
    return seen


def _moved_columns(
    shift: Shift, m: int, repetition: int, most: int, first: dict[tuple[str, int], Any]
) -> Iterator[ColumnDrift]:
    for place in range(most):
        key = shift.kind, place
        if key not in first:
            values = draws.before(shift, REFERENCE, repetition, place)
            frozen = alarms.Frozen.on(values)
            first[key] = frozen, frozen.profile(values)
        frozen, before = first[key]
        now = frozen.profile(draws.after(shift, REFERENCE, m, repetition, place))
        yield compare_column(f"moved {place}", before, now)


def measure() -> dict[str, Any]:
    """Rates by shift, number of columns moved, size of the window and level; the peers work beside."""
    asked = Asked("alarms.py", _jobs())
    tuned_shifts = large_shifts()
    shifts = [*draws.SHIFTS, *tuned_shifts]
    times, several = alarms.repetitions(REPETITIONS), alarms.repetitions(SEVERAL)
    alone = [(shift, MOVED[:1]) for shift in shifts]
    more = [*((shift, MOVED) for shift in draws.SHIFTS), *((shift, MOVED[:1]) for shift in tuned_shifts)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        seen = list(pool.map(checks, [more] * several + [alone] * (times - several), range(times)))
    answer = asked.answer()
    found = {
        "levels": ALPHAS, "repetitions": times, "several": several,
        "shifts": [asdict(shift) | {"psi": _finite(true_psi(shift))} for shift in shifts],
        "rates": {name: [_rates(shift, seen, name) for shift in shifts] for name in ALPHAS},
        "peers": answer["jobs"], "versions": answer["versions"], "of_peers": _of_peers(),
        "beside": [shift.name for shift in _beside_peers()],
        "other": {arm.__name__: arm.measure() for arm in OTHER_ARMS},
    }
    others = [one for arm in found["other"].values() for one in arm["bars"]]
    return found | {"bars": [*_bars(found), *others]}


def _rates(shift: Shift, seen: list[Seen], level: str) -> list[list[float]]:
    """By the number of columns moved, as far as that was looked at, and the size of the window."""
    moved = [k for k in MOVED if (shift.name, k, CURRENTS[0]) in seen[0]]
    keys = [[(shift.name, k, m) for m in CURRENTS] for k in moved]
    return [[float(np.mean([one[key][level] for one in seen if key in one])) for key in row] for row in keys]


def _finite(psi: float) -> float | None:
    return psi if math.isfinite(psi) else None


# -- peers -----------------------------------------------------------------------------------------------------------


@cache
def _beside_peers() -> list[Shift]:
    known = [shift for shift in draws.SHIFTS if shift.name in BESIDE_PEERS]
    return [*known, replace(tuned(*draws.TUNABLE[0], LARGE_PSI), name=f"PSI {LARGE_PSI}: mean of a normal column")]


def _of_peers() -> int:
    return alarms.repetitions(OF_PEERS)


def _jobs() -> list[dict[str, Any]]:
    """One column and half of the columns moved."""
    return [
        {"n": REFERENCE, "m": PEERS_WINDOW, "moved": k, "shift": asdict(shift), "repetitions": _of_peers(),
         "rules": PEERS}
        for shift in _beside_peers() for k in (MOVED[0], MOVED[-1])
    ]


# -- what is shown ---------------------------------------------------------------------------------------------------


def _rate(found: dict[str, Any], name: str, m: int, level: str) -> float:
    place = next(i for i, shift in enumerate(found["shifts"]) if shift["name"] == name)
    return float(found["rates"][level][place][0][CURRENTS.index(m)])


def _bars(found: dict[str, Any]) -> list[dict[str, str]]:
    """Each with one column of fifty moved."""
    large = [s["name"] for s in found["shifts"] if s["psi"] is not None and s["psi"] >= LARGE_PSI - 0.005]
    asked = [(f"any shift of true PSI ≥ {LARGE_PSI}, from 500 records", large, [m for m in CURRENTS if m >= 500], 0.99)]
    asked += [(f"{name}, {m:,} records", [name], [m], 0.95) for name, m in (
        ("mean +0.3 σ", 1_000), ("nulls 0 → 5 %", 1_000), ("nulls 20 → 25 %", 1_000),
        ("new level, 1 %, beside 50", 5_000), ("new level, 1 %, beside 1000", 5_000),
    )]
    return [_bar(found, level, *one) for one in asked for level in ALPHAS]


def _bar(
    found: dict[str, Any], level: str, what: str, names: list[str], sizes: list[int], wanted: float
) -> dict[str, str]:
    """By the lowest rate of several shifts and sizes."""
    rates = {(name, m): _rate(found, name, m, level) for name in names for m in sizes}
    (name, m), lowest = min(rates.items(), key=lambda one: one[1])
    shown = f"{percent(lowest)} ± {percent(alarms.error(lowest, found['repetitions']))}"
    if len(rates) > 1:
        reached = sum(rate >= wanted for rate in rates.values())
        shown = f"in {reached} of {len(rates)} shifts and sizes; lowest {shown} ({name}, {m:,} records)"
    return bar(f"{what}; {level}", f"at least {percent(wanted)}", shown, met=lowest >= wanted)


def show(found: dict[str, Any]) -> str:
    """The section."""
    times = f"{found['repetitions']} with one moved, {found['several']} with more"
    rows = []
    for place, shift in enumerate(found["shifts"]):
        psi = "∞" if shift["psi"] is None else f"{shift['psi']:.3f}"
        for k, *by_level in zip(MOVED, *(found["rates"][level][place] for level in ALPHAS), strict=False):
            cells = [f"{percent(a)} / {percent(b)}" for a, b in zip(*by_level, strict=True)]
            rows.append([shift["name"] if k == 1 else "", psi if k == 1 else "", k, *cells])
    errors = (f"± {percent(alarms.error(rate, found['repetitions']))} at {percent(rate)}" for rate in (0.5, 0.95))
    loose, strict_level = found["levels"].values()
    return "\n\n".join([
        "## Alarms where something has moved",
        prose(f"""The same fifty columns against {REFERENCE:,} records; of them one, a tenth or a half are replaced by
            columns that moved. A rate is the share of checks that name one of these: at a level of {loose:.3g}, as two
            tables are compared, and of {strict_level:.3g}, the inputs' part in a model's check. Repetitions: {times}
            ({alarms.seeds()}); with one moved that is {' and '.join(errors)}. True PSI is that of {TUNING_DRAWS:,}
            draws by the reference's tenths or levels, with missing values; ∞ where something comes that was never
            there. Of equally common levels (flat), 50 or 200, a fifth vanishes, or half become rarer; single ones of
            these are rare in small windows, and are looked at by themselves and together."""),
        table(["shift", "true PSI", "moved", *(f"{m:,}" for m in CURRENTS)], rows),
        _peers(found),
        *(arm.show(found["other"][arm.__name__]) for arm in OTHER_ARMS if arm.__name__ in found["other"]),
    ])


def _peers(found: dict[str, Any]) -> str:
    rows, jobs = [], iter(found["peers"])
    for name in found["beside"]:
        for k in (MOVED[0], MOVED[-1]):
            rates = next(jobs)["rates"]
            per_rule = [f"{percent(rates[peer][0])} / {percent(rates[peer][1])}" for peer in PEERS]
            rows.append([name if k == 1 else "", k, *per_rule, percent(rates["Evidently"][2])])
    return "\n\n".join([
        prose(f"""The peers at their defaults on the same draws, window of {PEERS_WINDOW:,}, {found['of_peers']}
            repetitions (one half is known to ± {percent(alarms.error(0.5, found['of_peers']))}): how often a column
            that moved is flagged / one that did not."""),
        table(["shift", "moved", *PEERS, "Evidently, half of the columns"], rows),
    ])

"""How often is there an alarm when nothing has moved?"""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import alarms
import draws
import numpy as np
from alarms import ALPHAS, percent
from peers.environment import Asked
from show import bar, prose, table

from trimtab.measure.columns.drift import compare

REFERENCES = (1_000, 5_000, 50_000)
CURRENTS = (50, 100, 200, 500, 1_000, 5_000, 50_000)
REPETITIONS = 400
BESIDE_PEERS = ((1_000, 100), (1_000, 1_000), (5_000, 100), (5_000, 500), (5_000, 5_000), (50_000, 1_000))
PEERS = ("Evidently", "NannyML, ten chunks", "NannyML, one chunk")
OF_PEERS = 30    # repetitions
HIGHEST = 0.05


def alarms_raised(n: int, repetition: int) -> list[dict[str, bool]]:
    """For each size of the window, which rules raise an alarm against one reference."""
    reference = draws.reference(n, repetition)
    frozen = alarms.freeze(reference)
    before = alarms.profile(frozen, reference)
    windows = (alarms.profile(frozen, draws.current(n, m, repetition)) for m in CURRENTS)
    return [alarms.raised(compare(before, window)) for window in windows]


def measure() -> dict[str, Any]:
    """Rates by level, size of the reference and size of the window; the peers work beside."""
    times, of_peers = alarms.repetitions(REPETITIONS), alarms.repetitions(OF_PEERS)
    jobs = [
        {"n": n, "m": m, "moved": 0, "shift": None, "repetitions": of_peers, "rules": PEERS} for n, m in BESIDE_PEERS
    ]
    asked = Asked("alarms.py", jobs)
    rates: dict[str, list[list[float]]] = defaultdict(list)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for n in REFERENCES:
            found = list(pool.map(alarms_raised, [n] * times, range(times), chunksize=2))
            for rule in found[0][0]:
                seen = [[by_rule[rule] for by_rule in by_size] for by_size in found]
                rates[rule].append(np.mean(seen, axis=0).tolist())
    answer = asked.answer()
    same = all(
        one["digest"] == draws.digest(draws.tables(n, m, 0))
        for one, (n, m) in zip(answer["jobs"], BESIDE_PEERS, strict=True)
    )
    result = {
        "levels": ALPHAS, "repetitions": times, "of_peers": of_peers, "rates": rates, "peers": answer["jobs"],
        "versions": answer["versions"], "same_draws": same,
    }
    return result | {"bars": _bars(result)}


def _bars(found: dict[str, Any]) -> list[dict[str, str]]:
    made = []
    for name in ALPHAS:
        rates = found["rates"][name]
        highest = float(np.max(rates))
        shown = f"{percent(highest)} ± {percent(alarms.error(highest, found['repetitions']))} in the worst cell"
        made.append(bar(
            f"false alarms over 50 columns, {name}", f"at most {percent(HIGHEST)} of checks in every cell", shown,
            met=highest <= HIGHEST,
        ))
    return made


def show(found: dict[str, Any]) -> str:
    """The section."""
    times = found["repetitions"]
    parts = [
        "## Alarms where nothing has moved",
        prose(f"""Fifty columns of eight kinds in turn ({', '.join(draws.KINDS)}), reference and window drawn alike,
            bins frozen on the reference; {times} repetitions of each cell ({alarms.seeds()}), so that a rate of 5 % is
            known to ± {percent(alarms.error(0.05, times))} (one standard error). An alarm is any drifted column at the
            default settings."""),
    ]
    for name, alpha in found["levels"].items():
        rows = [
            [f"{n:,}", *map(percent, rates)] for n, rates in zip(REFERENCES, found["rates"][name], strict=True)
        ]
        parts += [f"At a false-discovery rate of {alpha:.3g} ({name}):"]
        parts += [table(["reference \\ window", *(f"{m:,}" for m in CURRENTS)], rows)]
    return "\n\n".join([*parts, _peers(found)])


def _peers(found: dict[str, Any]) -> str:
    rows = []
    for (n, m), one in zip(BESIDE_PEERS, found["peers"], strict=True):
        ours, *controls = (
            found["rates"][rule][REFERENCES.index(n)][CURRENTS.index(m)] for rule in ("two tables", "always", "never")
        )
        whole = one["rates"]["Evidently"][2]
        any_column = [one["rates"][peer][1] for peer in PEERS]
        rows.append([f"{n:,} / {m:,}", *map(percent, [ours, any_column[0], whole, *any_column[1:], *controls])])
    names = ["Trimtab", "Evidently, any column", "Evidently, half of the columns", *PEERS[1:], "always", "never"]
    drawn = "the same draws" if found["same_draws"] else "DIFFERENT draws"
    agrees = "the same columns" if all(one["agrees"] for one in found["peers"]) else "OTHER columns"
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return "\n\n".join([
        prose(f"""Beside the peers at their defaults, on {drawn} (compared by checksum), {found['of_peers']} repetitions
            for them (a rate of one half is known to ± {percent(alarms.error(0.5, found['of_peers']))}). Evidently:
            DataDriftPreset, which flags columns and calls a table drifted when half of them are; its preset, run once
            per cell, flags {agrees}. NannyML: UnivariateDriftCalculator, by default with ten chunks on either side, and
            with chunks as long as the window; an alarm is any alert. The last two columns are rules that always and
            never fire. {versions}."""),
        table(["reference / window", *names], rows),
    ])

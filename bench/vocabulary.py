"""How often is a change in the words of a text column found? A part of `power.py`.

Texts are drawn and counted by day, as a check counts them. The windows that are held against one reference lie one
after the other in a single table, so that all of them are counted in one pass.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import product
from string import ascii_lowercase
from typing import Any

import alarms
import draws
import ibis
import numpy as np
import pandas as pd
from alarms import ALPHAS, percent
from null import HIGHEST
from show import bar, prose, table

from trimtab import tally
from trimtab.measure.columns.drift import ColumnDrift, Drift, adjusted, compare_column
from trimtab.measure.words.term_drift import compare_terms
from trimtab.measure.words.terms import TermProfile
from trimtab.measure.words.text_column import text_column
from trimtab.measure.words.word_days import WordDays
from trimtab.settings.drift import DriftSettings
from trimtab.windows import Window

REFERENCE, DAYS = 5_000, 84
CURRENTS, WINDOW = (200, 500, 1_000, 5_000), 28    # texts, and the days that they come in
WORDS, TOPICS, LENGTH = 2_000, 10, 8
CONCENTRATION = 2.0    # of the topics of a day around the usual ones, where days differ
REPETITIONS, QUIET_REPETITIONS = 60, 400    # false alarms are rare, so that they need more
START = datetime(2020, 1, 1)
TEXT, TIME = "text", "at"
ALONE = "the text column alone"


@dataclass(frozen=True)
class Change:
    """What becomes of the texts of a window.

    Attributes
    ----------
    name : str
        In words, for a table.
    new_word : float
        Share of the texts that get one more word, which never occurred before.
    strange : float
        Share of the texts all of whose words never occurred before.
    topic : float
        Share of the texts that are about the first topic instead of any.
    days_differ : bool
        Whether each day, in the reference too, has topics of its own.
    """

    name: str
    new_word: float = 0.0
    strange: float = 0.0
    topic: float = 0.0
    days_differ: bool = False


CHANGES = (
    Change("nothing"),
    Change("a new word in 5 % of the texts", new_word=0.05),
    Change("a tenth of the texts in words never seen", strange=0.10),
    Change("one of ten topics: from 10 % to 28 % of the texts", topic=0.20),
)
DIFFERING = (Change("nothing, where days differ in their topics", days_differ=True),)
QUIET = (CHANGES[0], *DIFFERING)

Seen = dict[str, list[dict[str, bool]]]


# -- texts -----------------------------------------------------------------------------------------------------------


@cache
def vocabulary() -> tuple[Any, Any]:
    """Words by topic, shape (topics, words), each topic with an order of its own; and their shares there, summed up."""
    words = np.array(["".join(letters) for letters in product(ascii_lowercase, repeat=3)][:WORDS], dtype=object)
    rng = np.random.default_rng([draws.SEED, WORDS])
    shares = 1 / np.arange(1, WORDS + 1)
    return np.array([rng.permutation(words) for _ in range(TOPICS)]), np.cumsum(shares / shares.sum())


def texts(rng: np.random.Generator, mixes: Any, change: Change) -> list[str]:
    """Texts of `LENGTH` words on average, one or more, each about one topic.

    Parameters
    ----------
    mixes : array, shape (texts, topics)
        Probability of each topic, of each text.
    """
    words, shares = vocabulary()
    n = len(mixes)
    topics = (np.cumsum(mixes, axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=TOPICS - 1)
    topics[rng.random(n) < change.topic] = 0
    lengths = 1 + rng.poisson(LENGTH - 1, n)
    place = np.searchsorted(shares, rng.random(lengths.sum()) * (1 - 1e-12))
    said = words[np.repeat(topics, lengths), place]
    strange = np.repeat(rng.random(n) < change.strange, lengths)
    said[strange] = "never" + said[strange]
    more = np.where(rng.random(n) < change.new_word, " novelty", "").tolist()
    parts = np.split(said, np.cumsum(lengths)[:-1])
    return [" ".join(part) + new for part, new in zip(parts, more, strict=True)]


def drawn(rng: np.random.Generator, n: int, first: int, days: int, change: Change) -> pd.DataFrame:
    """So many texts on any of the days from a first one."""
    of_days = rng.dirichlet(np.full(TOPICS, CONCENTRATION), days) if change.days_differ else \
        np.full((days, TOPICS), 1 / TOPICS)
    day = rng.integers(0, days, n)
    return pd.DataFrame({TIME: START + pd.to_timedelta(first + day, unit="D"), TEXT: texts(rng, of_days[day], change)})


# -- simulation ------------------------------------------------------------------------------------------------------


def found(repetition: int) -> Seen:
    """By change, and where nothing has changed also for the text column alone: at which levels each window alarms."""
    still = _still(repetition)
    return _seen(CHANGES, repetition, still) | _seen(DIFFERING, repetition, still)


def found_of_nothing(repetition: int) -> Seen:
    """The same of what has not changed alone."""
    still = _still(repetition)
    return _seen(CHANGES[:1], repetition, still) | _seen(DIFFERING, repetition, still)


def _seen(changes: Sequence[Change], repetition: int, still: dict[int, list[ColumnDrift]]) -> Seen:
    """All changes against one reference, which is as the first of them says of days."""
    rng = np.random.default_rng([draws.SEED, WORDS, len(changes), repetition])
    plan = [(change, m) for change in changes for m in CURRENTS]
    firsts = [DAYS + WINDOW * place for place in range(len(plan))]
    quiet = Change("reference", days_differ=changes[0].days_differ)
    before, windows = _counted(
        drawn(rng, REFERENCE, 0, DAYS, quiet),
        pd.concat([drawn(rng, m, first, WINDOW, change) for (change, m), first in zip(plan, firsts, strict=True)]),
    )
    seen: Seen = {}
    for (change, m), first in zip(plan, firsts, strict=True):
        now = _total(windows.only([(START + timedelta(days=first + day)).date() for day in range(WINDOW)]))
        moved = text_column(TEXT, before, now, compare_terms(before, now))
        seen.setdefault(change.name, []).append(_alarms([moved, *still[m]]))
        if change in QUIET:
            seen.setdefault(f"{change.name}; {ALONE}", []).append(_alarms([moved]))
    return seen


def _counted(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[TermProfile, WordDays]:
    """The reference, by a vocabulary frozen on it; and all windows, by day."""
    backend = ibis.duckdb.connect(threads=1)
    before, now = (
        Window(name, START, START, len(drawn_), 0, backend.create_table(name, drawn_))
        for name, drawn_ in (("reference", reference), ("current", current))
    )
    days = tally.freeze_word_days(before, TEXT, TIME, backend.to_pyarrow, most=DriftSettings().terms)
    counted = tally.count_word_days(now, TEXT, days.bins, TIME, backend.to_pyarrow)
    backend.disconnect()
    return _total(days), counted


def _total(days: WordDays) -> TermProfile:
    return replace(days.total(), days=days)


def _still(repetition: int) -> dict[int, list[ColumnDrift]]:
    """By size of the window all columns of a check but one; none of them moves."""
    reference = draws.reference(REFERENCE, repetition)
    names = list(reference)[1:]
    frozen = alarms.freeze({name: reference[name] for name in names})
    before = {name: frozen[name].profile(reference[name]) for name in names}
    windows = {m: draws.current(REFERENCE, m, repetition) for m in CURRENTS}
    return {
        m: [compare_column(name, before[name], frozen[name].profile(window[name])) for name in names]
        for m, window in windows.items()
    }


def _alarms(columns: list[ColumnDrift]) -> dict[str, bool]:
    """Whether the text column is said to have moved, at each level."""
    drift = Drift(tuple(adjusted(columns)), REFERENCE, 0)
    return {
        level: any(column.name == TEXT for column in drift.drifted(alpha=alpha)) for level, alpha in ALPHAS.items()
    }


def measure() -> dict[str, Any]:
    """Rates by change, level and size of the window."""
    times, quiet = alarms.repetitions(REPETITIONS), alarms.repetitions(QUIET_REPETITIONS)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        seen = [*pool.map(found, range(times), chunksize=2),
                *pool.map(found_of_nothing, range(times, quiet), chunksize=2)]
    rates = {name: _rates([one[name] for one in seen if name in one]) for name in seen[0]}
    result = {"repetitions": times, "quiet": max(times, quiet), "rates": rates}
    return result | {"bars": _bars(result)}


def _rates(seen: list[list[dict[str, bool]]]) -> dict[str, list[float]]:
    return {level: np.mean([[one[level] for one in by_size] for by_size in seen], axis=0).tolist() for level in ALPHAS}


def _bars(result: dict[str, Any]) -> list[dict[str, str]]:
    """By the highest rate of all sizes."""
    level, made = next(iter(ALPHAS)), []
    for change in QUIET:
        highest = max(result["rates"][f"{change.name}; {ALONE}"][level])
        shown = f"{percent(highest)} ± {percent(alarms.error(highest, result['quiet']))} in the worst cell"
        made.append(bar(
            f"false alarms of a text column alone; {change.name}; {level}",
            f"at most {percent(HIGHEST)} of checks at every size", shown, met=highest <= HIGHEST,
        ))
    return made


def show(result: dict[str, Any]) -> str:
    """The table."""
    rows = []
    for name, by_level in result["rates"].items():
        cells = [" / ".join(map(percent, pair)) for pair in zip(*(by_level[level] for level in ALPHAS), strict=True)]
        rows.append([name, *cells])
    times, quiet = result["repetitions"], result["quiet"]
    loose, strict_level = ALPHAS.values()
    return "\n\n".join([
        "### Words of a text column",
        prose(f"""Texts of {LENGTH} words on average, each about one of {TOPICS} topics, in each of which {WORDS:,}
            words come as often as Zipf's law has it: {REFERENCE:,} in {DAYS} days against windows of {WINDOW} days.
            A rate is the share of checks that name the text column beside {draws.COLUMNS - 1} columns that did not
            move, at the levels of {loose:.3g} and {strict_level:.3g} as above; where nothing changed, also without any
            column beside it, when nothing else is corrected for. Where days differ, the topics of each day are drawn
            anew, in reference and window alike (Dirichlet, concentration {CONCENTRATION:g}). {times} repetitions,
            {quiet} where nothing changed ({alarms.seeds()}): 5 % is known to ± {percent(alarms.error(0.05, quiet))}
            there."""),
        table(["change \\ texts", *(f"{m:,}" for m in CURRENTS)], rows),
    ])


if __name__ == "__main__":
    print(show(measure()))

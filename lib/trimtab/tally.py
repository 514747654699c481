"""How are a window's records counted on any backend: frozen first, then whole or by day?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import numpy as np

from trimtab.measure.columns import profiling
from trimtab.measure.columns.bins import Bins, BinTable, CategoricalBins
from trimtab.measure.columns.days import Days, unflatten
from trimtab.measure.columns.drift import ColumnDrift
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.profiling import DAY, Watched
from trimtab.measure.words import term_counting, text_column
from trimtab.measure.words.term_drift import compare_terms
from trimtab.measure.words.terms import TermBins, TermProfile
from trimtab.measure.words.word_days import WordDays
from trimtab.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

Run = Callable[[ir.Table], "pa.Table"]


def freeze(backend: Any, window: Window, watched: Watched, run: Run | None = None) -> dict[str, Bins]:
    """Freeze bins on a window."""
    execute = run or backend.to_pyarrow
    return _frozen(backend, window, watched, _levels(window, watched, execute), execute)


def count_profile(
    backend: Any, window: Window, watched: Watched, bins: BinTable | None, *, run: Run | None = None
) -> Profile:
    """Count a window's records per bin; without `bins`, freeze them on this window first."""
    execute = run or backend.to_pyarrow
    levels = _levels(window, watched, execute)
    frozen = bins or _frozen(backend, window, watched, levels, execute)
    found: dict[str, Any] = {}
    for batch in profiling.batches(watched, frozen, native=_native(backend)):
        counted = profiling.numeric_counts(window.table, batch, frozen, native=_native(backend))
        found |= profiling.read_numeric(batch, frozen, execute(counted))
    found |= {name: profiling.read_levels(_categorical(frozen, name), levels[name]) for name in watched.with_levels}
    ordered = {name: frozen[name] for name in found}
    row = np.concatenate([[window.rows], *(counts[0] for counts in found.values())])
    return unflatten(row, ordered)


def count_days(
    backend: Any, window: Window, watched: Watched, bins: BinTable, time: str, run: Run | None = None
) -> Days:
    """Count a window's records per bin and day, in one pass over all its days.

    Parameters
    ----------
    time : str
        The column of times.
    """
    execute = run or backend.to_pyarrow
    day = {DAY: window.table[time].cast("timestamp").date()}
    known = execute(window.table.group_by(**day).aggregate(n=window.table.count()).order_by(DAY))
    days = known[DAY].to_pylist()
    found: dict[str, Any] = {}
    for batch in profiling.batches(watched, bins, native=_native(backend)):
        numbers = profiling.numeric_counts(window.table, batch, bins, native=_native(backend), time=time)
        found |= profiling.read_numeric(batch, bins, execute(numbers.order_by(DAY)))
    for name in watched.with_levels:
        by_level = execute(profiling.levels(window.table, watched, name, time))
        found[name] = profiling.read_levels(_categorical(bins, name), by_level, days)
    ordered = {name: bins[name] for name in found}
    counts = np.column_stack([known["n"].to_numpy(), *found.values()]).astype(np.int64)
    return Days(ordered, np.array(days, dtype="datetime64[D]"), counts)


def freeze_words(window: Window, column: str, run: Run, *, most: int) -> TermProfile:
    """Freeze the words of a text column on a window, with `most` top terms, and count them; texts are independent."""
    bins = term_counting.read_tokens(run(term_counting.token_counts(window.table, column)), most=most)
    return term_counting.read_reference(bins, run(term_counting.term_counts(window.table, column, bins)))


def freeze_word_days(window: Window, column: str, time: str, run: Run, *, most: int) -> WordDays:
    """Freeze the words of a text column on a window, with `most` top terms, and count them by day."""
    table = _with_day(window.table, time)
    bins = term_counting.read_tokens(run(term_counting.token_counts(table, column, DAY)), most=most)
    return term_counting.read_reference_days(bins, run(term_counting.term_counts(table, column, bins, DAY)))


def count_words(window: Window, column: str, bins: TermBins, run: Run) -> TermProfile:
    """Count the words of a window's texts."""
    return term_counting.read_terms(bins, run(term_counting.term_counts(window.table, column, bins)))


def count_word_days(window: Window, column: str, bins: TermBins, time: str, run: Run) -> WordDays:
    """Count the words of a window's texts by day."""
    counted = run(term_counting.term_counts(_with_day(window.table, time), column, bins, DAY))
    return term_counting.read_days(bins, counted)


def moved_words(window: Window, column: str, reference: TermProfile, current: TermProfile, run: Run) -> ColumnDrift:
    """How the words of a text column moved; which words these are is looked up in the window where some did."""
    moved = compare_terms(reference, current)
    buckets = text_column.telling_buckets(reference, current, moved)
    if not buckets:
        return text_column.text_column(column, reference, current, moved)
    asked = term_counting.bucket_tokens(window.table, column, buckets, most=text_column.MOST_TOKENS)
    terms = text_column.telling_terms(reference.bins, current.documents, buckets, run(asked).to_pylist())
    return text_column.text_column(column, reference, current, moved, terms)


def _with_day(table: ir.Table, time: str) -> ir.Table:
    return table.mutate(**{DAY: table[time].cast("timestamp").date()})


def _native(backend: Any) -> bool:
    return bool(backend.name == "duckdb")


def _levels(window: Window, watched: Watched, execute: Run) -> dict[str, pa.Table]:
    return {name: execute(profiling.levels(window.table, watched, name)) for name in watched.with_levels}


def _frozen(
    backend: Any, window: Window, watched: Watched, levels: dict[str, pa.Table], execute: Run
) -> dict[str, Bins]:
    asked = watched.floats
    sampled = profiling.sample(window.table, watched, window.rows, native=_native(backend)) if asked else None
    return profiling.read_bins(watched, execute(sampled) if sampled is not None else None, levels)


def _categorical(bins: BinTable, name: str) -> CategoricalBins:
    frozen = bins[name]
    assert isinstance(frozen, CategoricalBins), "categorical columns have levels"
    return frozen

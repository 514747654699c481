"""How are a window's records counted on any backend: frozen first, then whole or by day?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np

from trimtab.measure.columns import in_memory, profiling
from trimtab.measure.columns.bins import MAX_LEVELS, Bins, BinTable, CategoricalBins
from trimtab.measure.columns.days import Days, cells, unflatten
from trimtab.measure.columns.drift import ColumnDrift
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.profiling import Counts
from trimtab.measure.columns.watched import DAY, SEGMENT, Watched, groups
from trimtab.measure.words import term_counting, text_column
from trimtab.measure.words.term_drift import compare_terms
from trimtab.measure.words.terms import TermBins, TermProfile
from trimtab.measure.words.word_days import WordDays
from trimtab.measure.words.word_variation import WordVariation
from trimtab.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

Run = Callable[[ir.Table], "pa.Table"]
_MOST_COUNTS = 8_000_000    # that are held in memory at once, 64 MB of them
_FEW_VALUES = 2_000_000    # so many are fetched and counted here sooner than a database has read what is asked of it


def freeze(backend: Any, window: Window, watched: Watched, run: Run | None = None) -> dict[str, Bins]:
    """Freeze bins on a window."""
    execute = run or backend.to_pyarrow
    return _frozen(backend, window, watched, _levels(window, watched, execute), execute)


def count_profile(
    backend: Any, window: Window, watched: Watched, bins: BinTable | None, *, run: Run | None = None
) -> Profile:
    """Count a window's records per bin; without `bins`, freeze them on this window first."""
    execute = run or backend.to_pyarrow
    frozen = bins or freeze(backend, window, watched, execute)
    _, ordered, counts = _apart(backend, window, watched, frozen, execute)
    return unflatten(counts[0], ordered)


def count_days(
    backend: Any, window: Window, watched: Watched, bins: BinTable, time: str, run: Run | None = None
) -> Days:
    """Count a window's records per bin and day, in one pass over all its days.

    Parameters
    ----------
    time : str
        The column of times.
    """
    days, ordered, counts = _apart(backend, window, watched, bins, run or backend.to_pyarrow, time=time)
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


def moved_words(
    windows: tuple[Window, Window], column: str, profiles: tuple[TermProfile, TermProfile], run: Run,
    variation: WordVariation | None = None,
) -> ColumnDrift:
    """How the words of a text column moved; which words these are is looked up in the windows where some did.

    Parameters
    ----------
    windows, profiles : tuple
        Of the reference and of the current window. What the vocabulary was frozen on is not read again.
    variation : WordVariation, optional
        As `compare_terms` takes it.
    """
    reference, current = profiles
    moved = compare_terms(reference, current, variation)
    buckets = text_column.telling_buckets(reference, current, moved)
    if not buckets:
        return text_column.text_column(column, reference, current, moved)

    def _looked_up(window: Window, profile: TermProfile) -> text_column.Shares:
        asked = term_counting.bucket_tokens(window.table, column, buckets, most=text_column.MOST_TOKENS)
        return text_column.found_shares(run(asked).to_pylist(), profile.documents)

    before = text_column.frozen_shares(reference.bins, buckets) if reference.frozen_here else \
        _looked_up(windows[0], reference)
    terms = text_column.telling_terms(buckets, before, _looked_up(windows[1], current))
    return text_column.text_column(column, reference, current, moved, terms)


def _with_day(table: ir.Table, time: str) -> ir.Table:
    return table.mutate(**{DAY: table[time].cast("timestamp").date()})


def count_segments(
    backend: Any, window: Window, watched: Watched, bins: BinTable, *, segment: str, values: Sequence[str],
    time: str | None = None, run: Run | None = None,
) -> dict[str, Profile]:
    """Count the records of several segments per bin, in one pass over all of them; or few, where they have many days.

    Parameters
    ----------
    watched : Watched
        Without the column that segments are cut by.
    segment : str
        The column whose values are the segments.
    values : sequence of str
        Those that are counted, as text.
    time : str, optional
        The column of times. With it the profiles have their days.
    """
    days = min(1 + (window.end - window.start).days, window.rows + 1) if time else 1
    at_once = max(_MOST_COUNTS // (days * cells(bins)), 1)
    found: dict[str, Profile] = {}
    execute = run or backend.to_pyarrow
    for chosen in (values[start : start + at_once] for start in range(0, len(values), at_once)):
        table = window.table.filter(window.table[segment].cast("string").isin(chosen))
        part = replace(window, table=table)
        of, ordered, counts = _apart(backend, part, watched, bins, execute, time=time, segment=segment)
        found |= {value: _of_segment(value, of, ordered, counts, time) for value in chosen}
    return found


def rows_by_segment(window: Window, segment: str, run: Run) -> dict[str, int]:
    """Records by value of a column as text, most frequent first; of at most as many values as a column has levels.

    Null is no segment.
    """
    table = window.table.filter(window.table[segment].notnull())
    counted = table.group_by(**groups(table, segment=segment)).aggregate(n=table.count())
    largest = run(counted.order_by(ibis.desc("n"), SEGMENT).limit(MAX_LEVELS))
    return dict(zip(largest[SEGMENT].to_pylist(), largest["n"].to_pylist(), strict=True))


def without_segment(window: Window, segments: Sequence[str], run: Run) -> dict[str, int]:
    """Records that have no value in a column, by that column."""
    missing = {f"n{place}": window.table[name].isnull().sum() for place, name in enumerate(segments)}
    found = run(window.table.aggregate(**missing)).to_pylist()[0] if missing else {}
    return {name: found[f"n{place}"] or 0 for place, name in enumerate(segments)}


def _of_segment(value: str, of: Sequence[Any], bins: BinTable, counts: Counts, time: str | None) -> Profile:
    if time is None:
        return unflatten(counts[[key == value for key in of]].sum(axis=0), bins)
    mine = [place for place, (name, _) in enumerate(of) if name == value]
    days = Days(bins, np.array([of[place][1] for place in mine], dtype="datetime64[D]"), counts[mine])
    return replace(days.total(), days=days)


def _apart(
    backend: Any, window: Window, watched: Watched, bins: BinTable, execute: Run, *, time: str | None = None,
    segment: str | None = None,
) -> tuple[list[Any], dict[str, Bins], Counts]:
    """What is counted apart, by days or segments or both; the bins in the order that was counted; and the counts."""
    values = window.rows * (len(watched.floats) + len(watched.with_levels))
    if values <= _FEW_VALUES:
        fetched = execute(watched.cast(window.table, time, segment))
        rows, numbers, counted = in_memory.read_values(watched, bins, fetched)
    else:
        rows, numbers, counted = _in_database(
            backend, window.table, watched, bins, execute, time=time, segment=segment)
    return rows, {name: bins[name] for name in counted}, np.column_stack([numbers, *counted.values()])


def _in_database(
    backend: Any, table: ir.Table, watched: Watched, bins: BinTable, execute: Run, *, time: str | None,
    segment: str | None,
) -> tuple[list[Any], Counts, dict[str, Counts]]:
    """What is counted apart, how many records each part has, and the counts by column."""
    native, apart = _native(backend), groups(table, time, segment)

    def _run(counted: ir.Table) -> pa.Table:
        return execute(counted.order_by(list(apart)) if apart else counted)

    found: dict[str, Any] = {}
    known = None
    for batch in profiling.batches(watched, bins, native=native):
        known = _run(profiling.numeric_counts(table, batch, bins, native=native, time=time, segment=segment))
        found |= profiling.read_numeric(batch, bins, known)
    if known is None:
        rows_of = table.group_by(**apart) if apart else table
        known = _run(rows_of.aggregate(rows=table.count()))
    rows = profiling.keys(known)
    for name in watched.with_levels:
        counted = execute(profiling.levels(table, watched, name, time, segment))
        found[name] = profiling.read_levels(_categorical(bins, name), counted, rows)
    return rows, known["rows"].to_numpy(), found


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

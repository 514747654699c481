"""Two tables, nothing else: how far has the second moved from the first?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from trimtab import plots, tables
from trimtab.decide.decision import Decision, fuse
from trimtab.decide.signals import Signal
from trimtab.errors import DataError
from trimtab.measure.columns.drift import ColumnDrift, Drift, compare
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.profiling import Watched
from trimtab.measure.columns.segments import Segment, SegmentDrift, choose, compare_parts, look_at_each, without_value
from trimtab.run.advice import Said, performances, said, signals
from trimtab.settings.drift import DriftSettings, drift_settings
from trimtab.settings.triggers import Trigger
from trimtab.tally import (
    count_days,
    count_profile,
    count_segments,
    count_word_days,
    count_words,
    freeze,
    freeze_word_days,
    freeze_words,
    moved_words,
    rows_by_segment,
    without_segment,
)
from trimtab.windows import Window
from trimtab.wording import plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MOST_LEVELS_SHARE = 0.5    # a text column whose values are mostly distinct is an identifier or prose, not a category


@dataclass(frozen=True)
class CheckResult:
    """A comparison that shows itself as a table and a figure in a notebook.

    Attributes
    ----------
    drift : Drift
        Everything that was measured.
    left_out : tuple of str
        Columns that were not compared, and why.
    apart : SegmentDrift
        What moved in segments, where some were asked for.
    signals : tuple of Signal
        What was measured, held against the rules.
    beside : Said or None
        Predictions and outcomes, where there are any.
    """

    drift: Drift
    reference: Profile
    current: Profile
    settings: DriftSettings
    left_out: tuple[str, ...]
    apart: SegmentDrift = field(default=SegmentDrift((), (), 0))
    signals: tuple[Signal, ...] = ()
    beside: Said | None = field(default=None, repr=False)

    @property
    def decision(self) -> Decision:
        """Whether a model that serves such records should be made anew, and why."""
        return fuse(self.signals)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """How right the predictions were, on the `recent` records and, where known, the `reference`."""
        measured = performances(self.beside) if self.beside else {}
        return {name: one.overall() for name, one in measured.items()}

    @property
    def drifted(self) -> tuple[str, ...]:
        """Columns whose shift is both significant and large, the most moved first."""
        return tuple(c.name for c in self.drift.drifted(**self.settings.bounds))

    def to_frame(self) -> pd.DataFrame:
        """One row per column, the most moved first."""
        return self.drift.to_frame()

    def figure(self) -> Figure:
        """The overview as a figure."""
        return plots.drift_overview(self.drift, self.settings)

    def _repr_html_(self) -> str:
        found = [tables.drift(self.drift, self.settings), tables.segments(self.apart, self.settings)]
        return "".join(one.to_html() for one in found if one is not None)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(tables.drift(self.drift, self.settings), self.figure())
        if self.apart.named:
            display(tables.segments(self.apart, self.settings))

    def __repr__(self) -> str:
        moved = ", ".join(self.drifted) or "none"
        rest = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
        every = plural(len(self.drift.columns), "column")
        if self.drift.too_few:
            none = f"none of {every} could be tested, {self.drift.too_few}"
            return f"<CheckResult: {none}{rest}>"
        few = [one.name for one in self.drift.columns if one.note.startswith("too few values")]
        rest += f"; too few values to test: {', '.join(few)}" if few else ""
        return f"<CheckResult: {len(self.drifted)} of {every} drifted: {moved}{rest}>"


def check(
    reference: Any,
    current: Any,
    *,
    time: str | None = None,
    text: Collection[str] = (),
    segments: Sequence[str] = (),
    settings: DriftSettings | Mapping[str, Any] | None = None,
    predictions: Any = None,
    actuals: Any = None,
    baseline: tuple[Any, Any] | None = None,
    task: str | None = None,
    triggers: Sequence[Trigger] = (),
) -> CheckResult:
    """Compare two tables column by column, and decide whether a model of the first should be made anew.

    Parameters
    ----------
    reference, current : pandas, Polars or Arrow table
        With the same columns; types decide how each is compared.
    time : str, optional
        A column of times. With it an alarm must also exceed what the days of the reference differ by; without it
        records are taken to be independent draws.
    text : collection of str
        Columns of texts whose words are compared, though they repeat often; those that seldom do are found.
    segments : sequence of str, optional
        Columns of which each value's records are compared with its own, too; corrected for the false-discovery rate by
        themselves.
    settings : DriftSettings or mapping, optional
        Thresholds, as such or by the keys that stand under `drift` in a params file; the defaults are the same. Where
        there are outcomes, columns have one half of `alpha`.
    predictions, actuals : array-like, shape (current's records,), optional
        What a model said of the current records, in their order, and what came; both or neither. Has its error changed
        from the earlier half of them to the later?
    baseline : pair of array-like, shape (reference's records,), optional
        The same of the reference: how much worse is it by now?
    task : str, optional
        "classification" or "regression", where predictions alone do not tell.
    triggers : sequence of Trigger, optional
        Rules in the place of the defaults.

    Raises
    ------
    DataError
        When one is no table, is empty, cannot be read or holds infinite numbers, the columns or their types differ,
        none can be compared or one has a name that it cannot be told by, `time` names no column of times or one with
        gaps, `text` no column of texts, or `segments` one that is not there; when predictions and outcomes are not one
        value for each record.
    ParamsError
        When `settings` holds an unknown key or a value that is none.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> before = pd.DataFrame({"moved": rng.normal(size=2000), "still": rng.normal(size=2000)})
    >>> after = pd.DataFrame({"moved": rng.normal(1, size=2000), "still": rng.normal(size=2000)})
    >>> check(before, after).drifted
    ('moved',)
    >>> check(before, before).decision.needs_retrain
    False
    """
    backend = ibis.duckdb.connect()
    two = [_window(backend, name, data) for name, data in (("reference", reference), ("current", current))]
    beside = _beside(predictions, actuals, baseline, task, [window.rows for window in two])
    return compared(backend, two, time=time, text=text, segments=segments, settings=drift_settings(settings),
                    beside=beside, triggers=triggers)


def compared(
    backend: Any, two: Sequence[Window], *, time: str | None, text: Collection[str], segments: Sequence[str],
    settings: DriftSettings, beside: Said | None, triggers: Sequence[Trigger],
) -> CheckResult:
    """Compare two windows of one backend; everything else as for `check`."""
    before, after = two
    chosen = settings if beside is None else settings.model_copy(update={"alpha": settings.alpha / 2})
    different = sorted(set(before.table.columns) ^ set(after.table.columns))
    text = (text,) if isinstance(text, str) else text
    segments = (segments,) if isinstance(segments, str) else segments
    if different:
        named = ", ".join(map(repr, different))
        raise DataError(f"the two tables differ in their columns: only one of them has {named}")
    empty = [_empty(backend, window.table) for window in (before, after)]
    kinds = _kinds(before.table, after.table, empty)
    before, after = (_told(window, nothing, kinds) for window, nothing in zip((before, after), empty, strict=True))
    watched, left_out = _watched(backend, before, kinds, text)
    if not (watched.floats or watched.with_levels):
        raise DataError(f"none of the columns can be compared: {', '.join(left_out)}")
    if told := watched.confused(before.table.columns):
        raise DataError(f"the two tables: {told}")
    profiles = _profiles(backend, before, after, watched, time)
    texts = [_words(backend, before, after, name, time, chosen.terms) for name in watched.text]
    apart = _segments(_Compared(backend, (before, after), watched, profiles, time), segments, chosen)
    drift = compare(*profiles, beside=texts)
    found = signals(drift, apart, beside, chosen, triggers)
    return CheckResult(drift, profiles[0], profiles[1], chosen, left_out, apart, found, beside)


def _beside(
    predictions: Any, actuals: Any, baseline: tuple[Any, Any] | None, task: str | None, rows: Sequence[int]
) -> Said | None:
    """Predictions and outcomes, where there are any."""
    if (predictions is None) != (actuals is None) or (baseline is not None and predictions is None):
        raise DataError("predictions and actuals go together, and a baseline with them: how right is told by both")
    return None if predictions is None else said((predictions, actuals), baseline, task=task, rows=rows)


def _words(backend: Any, before: Window, after: Window, name: str, time: str | None, most: int) -> ColumnDrift:
    """How the words of a text column moved, by day where there is a column of times."""
    run = backend.to_pyarrow
    if time is None:
        first = freeze_words(before, name, run, most=most)
        return moved_words((before, after), name, (first, count_words(after, name, first.bins, run)), run)
    days = freeze_word_days(before, name, time, run, most=most)
    now = count_word_days(after, name, days.bins, time, run)
    profiles = replace(days.total(), days=days), replace(now.total(), days=now)
    return moved_words((before, after), name, profiles, run)


@dataclass(frozen=True)
class _Compared:
    """Both tables, as they were compared as a whole."""

    backend: Any
    windows: tuple[Window, Window]
    watched: Watched
    whole: tuple[Profile, Profile]
    time: str | None


def _segments(two: _Compared, names: Sequence[str], settings: DriftSettings) -> SegmentDrift:
    """Each of the largest segments against itself."""
    absent = [name for name in names if name not in two.windows[0].table.columns]
    if absent:
        raise DataError(f"segments: the two tables have no column {absent[0]!r}")
    rows = {name: rows_by_segment(two.windows[0], name, two.backend.to_pyarrow) for name in names}
    chosen, others = choose(rows, fewest=settings.min_segment, most=settings.max_segments)
    pairs = {one: pair for name in names for one, pair in _of_column(two, name, chosen).items()}
    parts, few = look_at_each(pairs, among=two.whole, fewest=settings.min_segment)
    nameless = without_value(*(without_segment(one, names, two.backend.to_pyarrow) for one in two.windows))
    return compare_parts(
        parts, days=two.whole[0].days, large=settings.large, left_out=(*others, *few, *nameless), named=names
    )


def _of_column(two: _Compared, name: str, chosen: Sequence[Segment]) -> dict[Segment, tuple[Profile, Profile]]:
    """The profiles of one column's segments in both tables."""
    mine = {one.value: one for one in chosen if one.column == name}
    bins = {other: one for other, one in two.whole[0].bins.items() if other != name}
    watched, time = two.watched.without(name), two.time
    before, after = (
        count_segments(two.backend, one, watched, bins, segment=name, values=tuple(mine), time=time)
        for one in two.windows
    )
    return {one: (before[value], after[value]) for value, one in mine.items()}


def _profiles(
    backend: Any, before: Window, after: Window, watched: Watched, time: str | None
) -> tuple[Profile, Profile]:
    """Of both, with their days where there is a column of times."""
    if time is None:
        first = count_profile(backend, before, watched, None)
        return first, count_profile(backend, after, watched, first.bins)
    for window in (before, after):
        kind = window.table.schema().get(time)
        if kind is None or not kind.is_timestamp():
            raise DataError(f"time={time!r} names no column of times of the {window.name} table")
        if backend.to_pyarrow(window.table.aggregate(n=window.table[time].isnull().sum())).to_pylist()[0]["n"]:
            raise DataError(f"column {time!r} of the {window.name} table has records without a time")
    bins = freeze(backend, before, watched)
    days = [count_days(backend, window, watched, bins, time) for window in (before, after)]
    return tuple(replace(counted.total(), days=counted) for counted in days)  # type: ignore[return-value]  # -- of two


def _window(backend: Any, name: str, data: Any) -> Window:
    rows = _as_arrow(name, data)
    if not rows.num_rows:
        raise DataError(f"the {name} table is empty")
    try:
        table = ibis.memtable(rows)
        infinite = _infinite(backend, table)
    except Exception as error:
        told = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(f"the {name} table holds a column of a type that cannot be compared: {told}") from error
    if infinite:
        raise DataError(f"column {infinite[0]!r} of the {name} table holds infinite values")
    whole = datetime.min, datetime.now(UTC).replace(tzinfo=None)
    return Window(name, *whole, rows=rows.num_rows, labelled=0, table=table)


def _as_arrow(name: str, data: Any) -> pa.Table:
    """Whatever offers its columns to Arrow, as an Arrow table; an index of pandas is no column."""
    if not hasattr(data, "__arrow_c_stream__") or not hasattr(data, "columns"):
        raise DataError(f"the {name} is a {type(data).__name__}, not a table: pass a pandas, Polars or Arrow table")
    try:
        table = pa.Table.from_pandas(data, preserve_index=False) if _is_pandas(data) else pa.table(data)
    except Exception as error:
        # Arrow's errors come in several parts, of which a later one names the column.
        parts = [" ".join(str(part).split()) for part in error.args] or [type(error).__name__]
        raise DataError(f"the {name} table cannot be read: {'; '.join(parts)}") from error
    names = [column.lower() for column in table.column_names]
    if "" in names:
        raise DataError(f"the {name} table has a column without a name, at place {names.index('') + 1}; name it")
    twice = next((column for column in table.column_names if names.count(column.lower()) > 1), None)
    if twice is not None:
        raise DataError(f"the {name} table has more than one column {twice!r} (capital letters make no difference)")
    return table


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas"


def _infinite(backend: Any, table: ir.Table) -> list[str]:
    names = [name for name, kind in table.schema().items() if kind.is_floating()]
    if not names:
        return []
    found = backend.to_pyarrow(table.aggregate(**{name: table[name].isinf().any() for name in names})).to_pylist()[0]
    return [name for name in names if found[name]]


def _empty(backend: Any, table: ir.Table) -> frozenset[str]:
    """The columns without any value, whatever type they came with; pandas has NaN for what a file left out."""
    asked = {name: table[name].count() for name in table.columns}
    found = backend.to_pyarrow(table.aggregate(**asked)).to_pylist()[0]
    return frozenset(name for name in table.columns if not found[name])


def _told(window: Window, empty: Collection[str], kinds: Mapping[str, str]) -> Window:
    """The window, its empty columns of the type that the other table has."""
    types = {"text": "string", "number": "float64", "boolean": "boolean"}
    casts = {name: ibis.null(types[kinds[name]]).name(name) for name in empty if kinds[name] in types}
    return replace(window, table=window.table.mutate(**casts)) if casts else window


def _kinds(before: ir.Table, after: ir.Table, empty: Sequence[Collection[str]]) -> dict[str, str]:
    """How each column is compared; the same in both tables, where one that is all null agrees with any."""
    kinds = {}
    for name in before.columns:
        types = [table[name].type() for table in (before, after)]
        known = [kind for kind, nothing in zip(types, empty, strict=True) if name not in nothing]
        known = known or [kind for kind in types if kind.is_string()]    # texts without any, on both sides
        found = {_kind(kind) for kind in known}
        if len(found) > 1:
            raise DataError(f"column {name!r} holds {types[0]} in the reference table, {types[1]} in the current")
        kinds[name] = found.pop() if found else "number"
    return kinds


def _kind(kind: dt.DataType) -> str:
    if kind.is_boolean():
        return "boolean"
    if kind.is_numeric():
        return "number"
    return "text" if kind.is_string() else type(kind).__name__.lower()


def _watched(
    backend: Any, window: Window, kinds: Mapping[str, str], text: Collection[str]
) -> tuple[Watched, tuple[str, ...]]:
    """Columns by their type: numbers, categories, prose; times and nested values are left out."""
    wrong = next((name for name in text if kinds.get(name) != "text"), None)
    if wrong is not None:
        raise DataError(f"text={wrong!r} names no column of texts of the two tables")
    distinct = _distinct(backend, window.table, [name for name, kind in kinds.items() if kind == "text"])
    most = max(_MOST_LEVELS_SHARE * window.rows, 20)
    numeric, categorical, prose, left_out = [], [], [], []
    for name, kind in kinds.items():
        if kind == "boolean" or (kind == "text" and distinct[name] <= most and name not in text):
            categorical.append(name)
        elif kind == "number":
            numeric.append(name)
        elif kind == "text":
            prose.append(name)
        else:
            left_out.append(f"{name} ({kind})")
    return Watched(tuple(numeric), tuple(categorical), tuple(prose)), tuple(left_out)


def _distinct(backend: Any, table: ir.Table, names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    counts = backend.to_pyarrow(table.aggregate(**{name: table[name].nunique() for name in names})).to_pylist()
    found: dict[str, int] = counts[0]
    return found

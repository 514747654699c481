"""Two tables, nothing else: how far has the second moved from the first?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import ibis

from trimtab import plots, tables
from trimtab.decide.decision import Decision, fuse
from trimtab.decide.signals import Signal
from trimtab.errors import DataError
from trimtab.measure.columns.drift import ColumnDrift, Drift, compare
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.segments import Segment, SegmentDrift, choose, compare_parts, look_at_each, without_value
from trimtab.measure.columns.watched import Watched
from trimtab.run.advice import performances, signals
from trimtab.run.plain_tables import compared_as, watched_of, window_of
from trimtab.run.said import Said, said
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
    without: Collection[str] = (),
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
    without : collection of str, optional
        Columns that are not compared, as the year, which is another one each year.
    settings : DriftSettings or mapping, optional
        Thresholds, as such or by the keys that stand under `drift` in a params file; the defaults are the same. Where
        there are outcomes, columns have one half of `alpha`.
    predictions, actuals : array-like, shape (current's records,), optional
        What a model said of the current records, in their order, and what came; both or neither. Has its error changed
        from the earlier half of them to the later?
    baseline : pair of array-like, shape (reference's records,), optional
        The same of the reference: how much worse is it by now?
    task : str, optional
        "classification" or "regression", where predictions alone do not tell; fractions from 0 to 1 beside outcomes
        of 0 and 1 are taken for probabilities.
    triggers : sequence of Trigger, optional
        Rules in the place of the defaults.

    Raises
    ------
    DataError
        When one is no table, is empty, cannot be read or holds infinite numbers, the columns or their types differ,
        none can be compared or one has a name that it cannot be told by, `time` names no column of times or one with
        gaps, `text` no column of texts, or `segments` or `without` one that is not there; when predictions and
        outcomes are not one value for each record.
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
    asked = Asked(time, _names(text), _names(segments), _names(without), drift_settings(settings), triggers)
    if (predictions is None) != (actuals is None) or (baseline is not None and predictions is None):
        raise DataError("predictions and actuals go together, and a baseline with them: how right is told by both")
    backend = ibis.duckdb.connect()
    two = [window_of(backend, name, data) for name, data in (
        ("reference table", reference), ("current table", current))]
    rows = [window.rows for window in two]
    beside = None if predictions is None else said((predictions, actuals), baseline, task=task, rows=rows)
    return compared(backend, two, asked, beside)


def _names(given: Collection[str]) -> tuple[str, ...]:
    """Names of columns; a single one may stand by itself."""
    return (given,) if isinstance(given, str) else tuple(given)


@dataclass(frozen=True)
class Asked:
    """What is asked of two tables; see `check`."""

    time: str | None = None
    text: Collection[str] = ()
    segments: Sequence[str] = ()
    without: Collection[str] = ()
    settings: DriftSettings = field(default_factory=DriftSettings)
    triggers: Sequence[Trigger] = ()


def compared(backend: Any, two: Sequence[Window], asked: Asked, beside: Said | None = None) -> CheckResult:
    """Compare two windows of one backend.

    Parameters
    ----------
    two : sequence of Window
        The reference and the current one, from `window_of`.
    beside : Said, optional
        Predictions and outcomes.
    """
    settings, time = asked.settings, asked.time
    if beside is not None:
        settings = settings.model_copy(update={"alpha": settings.alpha / 2})
    before, after, kinds = compared_as(backend, *(_at_times(one, time) for one in two))
    watched, left_out = watched_of(backend, (before, after), kinds, asked.text, asked.without)
    profiles = _profiles(backend, before, after, watched, time)
    texts = [_words(backend, before, after, name, time, settings.terms) for name in watched.text]
    apart = _segments(_Compared(backend, (before, after), watched, profiles, time), asked.segments, settings)
    drift = compare(*profiles, beside=texts)
    found = signals(drift, apart, beside, settings, asked.triggers)
    return CheckResult(drift, profiles[0], profiles[1], settings, left_out, apart, found, beside)


def _at_times(window: Window, time: str | None) -> Window:
    """The window, days in the column of times as their first moment."""
    kind = window.table.schema().get(time)
    if time is None or kind is None or not kind.is_date():
        return window
    return replace(window, table=window.table.mutate(**{time: window.table[time].cast("timestamp")}))


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
            raise DataError(f"time={time!r} names no column of times of the {window.name}")
        if backend.to_pyarrow(window.table.aggregate(n=window.table[time].isnull().sum())).to_pylist()[0]["n"]:
            raise DataError(f"column {time!r} of the {window.name} has records without a time")
    bins = freeze(backend, before, watched)
    days = [count_days(backend, window, watched, bins, time) for window in (before, after)]
    return tuple(replace(counted.total(), days=counted) for counted in days)  # type: ignore[return-value]  # -- of two

"""What does a result look like as a figure? One question each, titled with its answer, thresholds drawn."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trimtab.canvas import (
    ALARM,
    DARK,
    LIGHT,
    Picture,
    empty,
    entitle,
    less_is_better,
    one_pair_of_axes,
    safe,
    short,
    tidy,
)
from trimtab.measure.columns.bins import NumericBins
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.metrics import METRICS
from trimtab.settings.drift import DriftSettings
from trimtab.timelines import foretold, over_time, service, signals_over_time
from trimtab.watches import relative_gain
from trimtab.wording import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trimtab.decide.promotion import Row, Verdict
    from trimtab.measure.columns.drift import ColumnDrift, Drift
    from trimtab.measure.columns.profile import ColumnProfile, Profile
    from trimtab.measure.models.intervals import Interval
    from trimtab.measure.models.performance import Performance
    from trimtab.run.scored import Scored

__all__ = [    # a notebook finds all figures here
    "criteria", "distributions", "drift_overview", "foretold", "matter", "most_moved", "outputs", "over_time",
    "performance", "realised", "relative_gain", "service", "signals_over_time",
]

_MOST_LEVELS = 10
_MOST_LETTERS = 40    # below an axis, side by side
_MOST_CRITERIA = 15


def drift_overview(drift: Drift, settings: DriftSettings | None = None) -> Picture:
    """Which columns moved, and how far? PSI beyond chance per column on a logarithmic axis, thresholds drawn."""
    chosen = settings or DriftSettings()
    drift = drift.ranked(**chosen.bounds)
    shown = drift.columns[: chosen.max_columns_reported]
    figure, axes = one_pair_of_axes(9, 1.3 + 0.27 * max(len(shown), 1))
    _draw_drift(axes, shown, _moved(drift, chosen), chosen)
    more = len(drift.columns) - len(shown)
    entitle(axes, _drift_answer(drift, chosen, "column") + (f" ({more} small ones not drawn)" if more > 0 else ""))
    return figure


def distributions(
    reference: Profile, current: Profile, drift: Drift, columns: Sequence[str], *,
    title: str = "Where the current records lie",
) -> Picture:
    """How did these columns change? Shares per tenth of the reference, or per level, side by side."""
    names = [name for name in columns if name in reference.columns and name in current.columns]
    if not names:
        return empty("There is no column to show")
    rows, across = math.ceil(len(names) / 2), min(len(names), 2)
    figure = Picture(figsize=(9, 2.9 * rows), layout="constrained")
    for position, name in enumerate(names, 1):
        axes = figure.add_subplot(rows, across, position)
        before, after = reference.columns[name], current.columns[name]
        _shares(axes, before, after)
        psi = drift[name].excess
        entitle(axes, short(name) + ("" if math.isnan(psi) else f": PSI beyond chance {psi:.2f}"), size=10)
        tidy(axes)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    figure.suptitle(safe(title), x=0.01, ha="left", fontsize=12)
    return figure


def most_moved(
    drift: Drift, reference: Profile, current: Profile, settings: DriftSettings | None = None, *, most: int = 4
) -> Picture:
    """How did the most moved columns change?"""
    drift = drift.ranked(**(settings or DriftSettings()).bounds)
    drawn = [column for column in drift.columns if column.name in reference.columns]
    names = [column.name for column in drawn if column.excess > 0][:most] or [column.name for column in drawn[:1]]
    title = f"{plural(len(names), 'column')} with the largest PSI of values"
    return distributions(reference, current, drift, names, title=title)


def performance(current: Performance, baseline: Performance | None = None, *, title: str = "") -> Picture:
    """Is the model as good as it was? Each metric now, with its interval, beside the baseline.

    Metrics of one range share an axis that shows all of it, so a small difference looks small.
    """
    found = {m.metric: i for m, i in current.values.items() if m.label is None and m.segment is None}
    known = {name: interval for name, interval in found.items() if not math.isnan(interval.value)}
    if not known:
        return empty("No metric can be computed")
    old = {name: baseline.values.get(Measure(name)) if baseline else None for name in known}
    spans = {name: _span(name, (known[name], old[name])) for name in known}
    parts = [(span, list(names)) for span, names in groupby(sorted(known, key=lambda n: str(spans[n])), spans.get)]
    parts.sort(key=lambda part: -len(part[1]))
    height = 0.9 + sum(0.34 * len(names) + 0.35 for _, names in parts)
    figure = Picture(figsize=(9, height), layout="constrained")
    grid = figure.add_gridspec(len(parts), 1, height_ratios=[len(names) + 0.8 for _, names in parts])
    for place, (span, names) in enumerate(parts):
        axes = figure.add_subplot(grid[place])
        for row, name in enumerate(reversed(names)):
            _draw_metric(axes, row, known[name], old[name])
        axes.set_yticks(range(len(names)), [short(name) for name in reversed(names)])
        axes.set_ylim(-0.6, len(names) - 0.4)
        if span is not None:
            axes.set_xlim(*span)
        tidy(axes)
    figure.axes[-1].set_xlabel("value of the metric; the bar is its interval" + less_is_better(known))
    if baseline:
        keys = [Line2D([], [], marker="o", color=DARK, markerfacecolor=color, label=label)
                for label, color in (("on its own holdout", "white"), ("now", DARK))]
        figure.legend(handles=keys, loc="outside upper right", ncols=2, frameon=False)
    figure.suptitle(safe(title or f"Measured on {plural(current.rows, 'record')}"), x=0.01, ha="left", fontsize=12)
    return figure


def outputs(scored: Scored, settings: DriftSettings | None = None) -> Picture:
    """Does the model say something else than on its holdout?"""
    chosen = settings or DriftSettings()
    if scored.reference is None or scored.profile is None or scored.drift is None:
        return empty(scored.incomparable)
    moved = [short(c.name) for c in scored.drift.drifted(**chosen.bounds)]
    most = max((c.excess for c in scored.drift.columns if not math.isnan(c.excess)), default=0.0)
    answer = f"What the model says has moved: {', '.join(moved)}" if moved else (
        f"What the model says has moved no more than chance and natural variation explain (PSI {most:.2f})"
        if most >= chosen.psi_warn else
        f"What the model says has moved less than counts (PSI {most:.3f}, counted from {chosen.psi_warn:g})")
    answer = f"What the model says could not be tested: {scored.drift.too_few}" if scored.drift.too_few else answer
    names = list(scored.reference.columns)
    return distributions(scored.reference, scored.profile, scored.drift, names, title=answer)


def realised(scored: Scored, metric: str = "") -> Picture:
    """Is the model as good as on its own holdout? The metric that speaks for it is named in the title."""
    if scored.performance is None:
        return empty(scored.missing)
    known = plural(scored.performance.rows, "record")
    title = _metric_answer(scored, metric) or f"Measured on {known} with known labels"
    return performance(scored.performance, scored.baseline, title=title)


def matter(
    drift: Drift, scored: Scored, metric: str, settings: DriftSettings | None = None, losses: Sequence[float] = ()
) -> Picture:
    """Did the drift matter? The most moved inputs on the left, what became of the metric on the right.

    Parameters
    ----------
    losses : sequence of float
        Shares of the baseline at which losses change their severity; drawn as lines.
    """
    chosen = settings or DriftSettings()
    figure = Picture(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    tidy(left)
    tidy(right)
    _draw_drift(left, drift.ranked(**chosen.bounds).columns[:6], _moved(drift, chosen), chosen)
    entitle(left, "inputs", size=10)
    now, before = (p.values.get(Measure(metric)) if p else None for p in (scored.performance, scored.baseline))
    entitle(right, short(metric) + less_is_better([metric]), size=10)
    if now is None or math.isnan(now.value):
        right.set_axis_off()
        told = scored.missing or f"{metric} cannot be computed"
        right.text(0.5, 0.5, textwrap.fill(told, 36), ha="center", va="center", transform=right.transAxes)
    else:
        for row, (interval, color) in enumerate(((now, DARK), (before, "white"))):
            if interval is not None and not math.isnan(interval.value):
                _dot(right, row, interval, color)
                right.text(interval.value, row + 0.17, f"{interval.value:.3f}", ha="center", va="bottom", fontsize=9)
        right.set_yticks([0, 1], ["now", "on its own\nholdout"])
        right.set_ylim(-0.6, 1.7)
        marked = _mark_losses(right, metric, now, before, losses)
        right.set_xlim(*(marked or _span(metric, (now, before)) or right.get_xlim()))
        dotted = f"\ndotted: losses of {', '.join(f'{100 * loss:g}' for loss in losses)} %" if losses else ""
        right.set_xlabel(f"value, with its interval{dotted}")
    answers = _drift_answer(drift, chosen, "watched column"), _metric_answer(scored, metric)
    figure.suptitle(safe("; ".join(filter(None, answers))), x=0.01, ha="left", fontsize=12)
    return figure


def criteria(verdict: Verdict) -> Picture:
    """Which criteria hold? What was measured, with its interval, against the bound that it must clear.

    Every criterion has an axis of its own, for they are in units of their own; those that were missed come first.
    """
    evaluated = [row for row in verdict.rows if not math.isnan(row.difference)]
    ordered = sorted(evaluated, key=lambda row: row.passed)
    shown = ordered[:_MOST_CRITERIA]
    missed = sum(row.finding == "failed" for row in verdict.rows)
    unsure = sum(not row.passed for row in verdict.rows) - missed
    told = [f"{missed} of {len(verdict.rows)} criteria missed"] if missed else []
    told += [f"{unsure} {'' if missed else f'of {len(verdict.rows)} criteria '}not certain"] if unsure else []
    answer = ", ".join(told) or "all criteria that apply hold"
    answer = f"Verdict {verdict.outcome}: {answer if verdict.rows else 'no criteria are set'}"
    if len(ordered) > len(shown):
        answer += f" ({len(ordered) - len(shown)} that passed or were missed like these are in the table)"
    if not shown:
        return empty(answer)
    figure = Picture(figsize=(9, 0.9 + 0.72 * len(shown)), layout="constrained")
    for axes, row in zip(np.atleast_1d(figure.subplots(len(shown), 1)), shown, strict=True):
        _draw_criterion(axes, row)
    figure.axes[-1].set_xlabel("dot: measured; bar: its interval; line: the bound; shaded: where none of it may lie")
    figure.suptitle(safe(answer), x=0.01, ha="left", fontsize=12)
    return figure


def _moved(drift: Drift, settings: DriftSettings) -> dict[str, str]:
    """The columns that drifted, and in which way most."""
    return {c.name: str(c.moved(**settings.bounds)[0]) for c in drift.drifted(**settings.bounds)}


def _drift_answer(drift: Drift, settings: DriftSettings, thing: str) -> str:
    moved = drift.drifted(**settings.bounds)
    every = plural(len(drift.columns), thing)
    if drift.too_few:
        return f"None of {every} could be tested: {drift.too_few}"
    if not moved:
        return f"None of {every} drifted"
    worst = f"{short(moved[0].name)} the most ({moved[0].moved(**settings.bounds)[0]})"
    return f"{len(moved)} of {every} drifted, {worst}"


def _metric_answer(scored: Scored, metric: str) -> str:
    """What became of a metric, in a few words; empty where it is not known."""
    now, before = (p.values.get(Measure(metric)) if p else None for p in (scored.performance, scored.baseline))
    if now is None or math.isnan(now.value):
        return ""
    if before is None or math.isnan(before.value):
        return f"{metric} is {now.value:.3f}"
    return f"{metric} went from {before.value:.3f} to {now.value:.3f}"


def _draw_drift(axes: Axes, columns: Sequence[ColumnDrift], moved: Mapping[str, str], settings: DriftSettings) -> None:
    """Dots on a logarithmic axis: sizes of drift span orders of magnitude, and all of them are asked for."""
    smallest = settings.psi_warn / 100
    for row, column in enumerate(reversed(columns)):
        size = max(float(np.nan_to_num(column.excess)), smallest)
        drifted = column.name in moved
        axes.plot([smallest, size], [row, row], color=LIGHT, linewidth=1, zorder=1)
        axes.plot(size, row, "o", color=ALARM if drifted else "white", markeredgecolor=ALARM if drifted else DARK,
                  markersize=7, zorder=3, clip_on=False)
        if column.shape.floor > smallest:
            axes.plot(column.shape.floor, row, "|", color=DARK, markersize=9, zorder=2)
        if drifted:
            axes.annotate(moved[column.name].removeprefix("PSI "), (size, row), xytext=(7, 0),
                          textcoords="offset points", fontsize=8, va="center")
    axes.set_xscale("log")
    sizes = [float(size) for c in columns for size in (np.nan_to_num(c.excess), c.shape.floor)]
    axes.set_xlim(smallest, 2 * max([settings.psi_alert, *sizes]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{'≤ ' if math.isclose(at, smallest) else ''}{at:g}"))
    axes.set_yticks(range(len(columns)), [short(c.name) for c in reversed(columns)])
    axes.set_ylim(-0.6, max(len(columns), 1) + 0.1)
    for value, name, side in ((settings.psi_warn, "warn", "right"), (settings.psi_alert, "alert", "left")):
        axes.axvline(value, color=DARK, linestyle="--" if name == "warn" else "-", linewidth=1, zorder=2)
        axes.text(value, len(columns) - 0.35, f" {name} {value:g} ", color=DARK, fontsize=8, ha=side, va="bottom")
    axes.set_xlabel("PSI beyond chance, log scale (filled: drifted; upright: what is natural)")


def _dot(axes: Axes, height: float, interval: Any, color: str) -> None:
    axes.plot([interval.low, interval.high], [height] * 2, color=DARK, linewidth=2.2, zorder=2)
    axes.plot(interval.value, height, "o", color=color, markeredgecolor=DARK, markersize=7, zorder=3)


def _draw_metric(axes: Axes, row: int, now: Any, before: Any) -> None:
    told = f"{now.value:.3f}"
    if before is not None and not math.isnan(before.value):
        _dot(axes, row + 0.16, before, "white")
        told = f"{before.value:.3f} → {told}"
    _dot(axes, row - (0.16 if before is not None else 0), now, DARK)
    axes.annotate(told, (1, row), xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points",
                  fontsize=9, va="center")


def _span(name: str, intervals: Sequence[Any]) -> tuple[float, float] | None:
    """The whole range of a metric, as far as it is bounded; None where that is nothing to draw."""
    known = METRICS.get(name)
    ends = [v for i in intervals if i is not None for v in (i.value, i.low, i.high) if not math.isnan(v)]
    low, high = (known.low, known.high) if known else (-math.inf, math.inf)
    low = low if math.isfinite(low) else min(0.0, *ends) * 1.1
    high = high if math.isfinite(high) else max(0.0, *ends) * 1.1
    return (low, high) if low < high else None


def _mark_losses(
    axes: Axes, name: str, now: Interval, before: Interval | None, losses: Sequence[float]
) -> tuple[float, float] | None:
    """Draw where losses would change their severity; the range that shows it, None without a baseline."""
    if before is None or not math.isfinite(before.value) or before.value == 0 or name not in METRICS:
        return None
    lines = [before.value - METRICS[name].sign * share * abs(before.value) for share in losses]
    for place, at in enumerate(lines):
        axes.axvline(at, color=ALARM, linestyle=":", linewidth=0.6 + 0.4 * place, zorder=0)
    seen = [v for i in (now, before) for v in (i.value, i.low, i.high) if math.isfinite(v)]
    reach = 0.05 * abs(before.value)
    return min([*lines, *seen]) - reach, max([*lines, *seen]) + reach


def _draw_criterion(axes: Axes, row: Row) -> None:
    """One criterion on its own axis; the side of the bound where the interval must not reach is shaded."""
    ends = [v for v in (row.low, row.high, row.difference, row.bound) if math.isfinite(v)]
    reach = max(ends) - min(ends) or abs(row.bound) or 1.0
    left, right = min(ends) - 0.15 * reach, max(ends) + 0.15 * reach
    ceiling = ": at most" in row.criterion    # only a ceiling must be stayed below; all else is turned to be cleared
    axes.axvspan(*((row.bound, right) if ceiling else (left, row.bound)), color=LIGHT, alpha=0.45, linewidth=0)
    axes.axvline(row.bound, color="black", linewidth=1.6)
    color = DARK if row.passed else ALARM
    axes.plot([row.low, row.high], [0, 0], color=color, linewidth=2.5)
    axes.plot(row.difference, 0, "o" if row.passed else "X", color=color, markersize=10, markeredgecolor="white")
    axes.set_xlim(left, right)
    axes.set_ylim(-1, 1)
    group = "" if row.group == "all" else f"\n{short(row.group, 40)}"
    axes.set_yticks([0], [short(row.criterion, 40) + group], fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.locator_params(axis="x", nbins=6)
    axes.annotate(row.finding, (1, 0), xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points",
                  fontsize=9, va="center", color=color, fontweight="normal" if row.passed else "bold")
    tidy(axes)
    axes.spines["left"].set_visible(False)


def _shares(axes: Axes, reference: ColumnProfile, current: ColumnProfile) -> None:
    before, after = (p.coarse() / max(p.rows, 1) for p in (reference, current))
    labels = _bin_labels(reference)
    keep = np.flatnonzero(before + after > 0)
    if not isinstance(reference.bins, NumericBins) and len(keep) > _MOST_LEVELS + 1:
        keep = np.sort(keep[np.argsort(-(before + after)[keep], kind="stable")][:_MOST_LEVELS])
    positions = np.arange(len(keep))
    axes.bar(positions - 0.2, before[keep], 0.4, color=LIGHT, label="reference")
    axes.bar(positions + 0.2, after[keep], 0.4, color=DARK, label="current")
    names = [labels[i] for i in keep]
    if reference.missing or current.missing:
        axes.bar(len(keep) - 0.2, reference.missing / max(reference.rows, 1), 0.4, color=LIGHT)
        axes.bar(len(keep) + 0.2, current.missing / max(current.rows, 1), 0.4, color=DARK)
        names.append("missing")
    rotate = max(map(len, names), default=0) > 5 or sum(map(len, names)) > _MOST_LETTERS
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if rotate else {}
    axes.set_xticks(range(len(names)), names, fontsize=8, **turned)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
    axes.set_ylabel("share of records", fontsize=8)


def _bin_labels(profile: ColumnProfile) -> list[str]:
    if not isinstance(profile.bins, NumericBins):
        return [short(level, 14) for level in profile.bins.levels] + ["new"]
    edges = [profile.bins.edges[i] for i in profile.bins.groups]
    if not edges:
        return ["all"]
    below = np.nextafter(edges, -math.inf)    # a frequent value has a bin that starts a hair below it
    told = _with_few_digits(edges)
    labels = [f"≤ {edge}" for edge in told]
    for place, edge in enumerate(told[1:], 1):
        if edges[place - 1] == below[place]:
            labels[place - 1 : place + 1] = [f"< {edge}", edge]
    return [*labels, f"> {told[-1]}"]


def _with_few_digits(edges: Sequence[float]) -> list[str]:
    """Numbers with no more digits than it takes to tell them apart, but for those that differ by a hair."""
    apart = len({f"{edge:.6g}" for edge in edges})
    digits = next((d for d in range(2, 6) if len({f"{edge:.{d}g}" for edge in edges}) == apart), 6)
    return [f"{float(f'{edge:.{digits}g}'):g}" if abs(edge) < 10**digits else f"{edge:.0f}" for edge in edges]

"""What does a result look like as a figure? One question each, titled with its answer, thresholds drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from trimtab.measure.bins import NumericBins
from trimtab.settings import DriftSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trimtab.decide.promotion import Verdict
    from trimtab.measure.drift import Drift
    from trimtab.measure.performance import Performance
    from trimtab.measure.profile import ColumnProfile, Profile
    from trimtab.run.checking import Scored

DARK, LIGHT, ALARM = "#1f3b57", "#b9c6d3", "#c8553d"
_MOST_LEVELS = 10


def drift_overview(drift: Drift, settings: DriftSettings | None = None) -> Figure:
    """Which columns moved, and how far? PSI beyond chance per column on a logarithmic axis, thresholds drawn."""
    chosen = settings or DriftSettings()
    shown = drift.columns[: chosen.max_columns_reported][::-1]
    moved = {c.name for c in drift.drifted(alpha=chosen.alpha, psi=chosen.psi_warn)}
    figure, axes = _figure(8, 1.2 + 0.28 * len(shown))
    smallest = chosen.psi_warn / 100
    sizes = [max(np.nan_to_num(c.excess), smallest) for c in shown]
    axes.barh([_short(c.name) for c in shown], sizes, color=[ALARM if c.name in moved else LIGHT for c in shown])
    axes.set_xscale("log")
    axes.set_xlim(left=smallest)
    for value, name in ((chosen.psi_warn, "warn"), (chosen.psi_alert, "alert")):
        axes.axvline(value, color=DARK, linestyle="--" if name == "warn" else "-", linewidth=1)
        axes.text(value, len(shown) - 0.3, f" {name} {value:g}", color=DARK, fontsize=8, va="bottom")
    axes.set_xlabel("PSI beyond what chance explains (log scale)")
    answer = f"{len(moved)} of {len(drift.columns)} columns drifted"
    axes.set_title(answer if moved else "No column drifted", loc="left", pad=16)
    return figure


def distributions(
    reference: Profile, current: Profile, columns: Sequence[str], *, title: str = "Reference against current"
) -> Figure:
    """How did these columns change? Shares per tenth of the reference, or per level, side by side."""
    names = [name for name in columns if name in reference.columns]
    rows = max(math.ceil(len(names) / 2), 1)
    figure = Figure(figsize=(10, 2.9 * rows), layout="constrained")
    for position, name in enumerate(names, 1):
        axes = figure.add_subplot(rows, 2, position)
        _shares(axes, reference.columns[name], current.columns[name])
        axes.set_title(_short(name), loc="left", fontsize=10)
        _tidy(axes)
    if names:
        figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title if names else "Nothing to show", x=0.01, ha="left", fontsize=12)
    return figure


def performance(current: Performance, baseline: Performance | None = None, *, metrics: Sequence[str] = ()) -> Figure:
    """Is the model as good as it was? Each metric now, with its interval, beside the baseline."""
    from trimtab.measure.intervals import Measure

    chosen = list(metrics) or list(current.overall())
    figure, axes = _figure(8, 1.1 + 0.42 * len(chosen))
    for row, name in enumerate(reversed(chosen)):
        pairs = [(current, DARK, 0.12, "current")]
        pairs += [(baseline, ALARM, -0.12, "baseline on its own holdout")] if baseline else []
        for source, color, shift, label in pairs:
            found = source.values.get(Measure(name))
            if found is None or math.isnan(found.value):
                continue
            axes.plot([found.low, found.high], [row + shift] * 2, color=color, linewidth=2)
            axes.plot(found.value, row + shift, "o", color=color, label=label if row == 0 else None)
    axes.set_yticks(range(len(chosen)), list(reversed(chosen)))
    axes.set_xlabel("value, with its interval")
    axes.set_title(f"Performance on {current.rows:,} records with known labels", loc="left")
    if baseline:
        axes.legend(frameon=False, fontsize=8, loc="best")
    return figure


def outputs(scored: Scored) -> Figure:
    """Does the model say something else than on its holdout?"""
    if scored.reference is None or scored.profile is None or scored.drift is None:
        return _nothing("The outputs on the holdout are not known")
    moved = scored.drift.drifted()
    answer = f"What the model says has moved ({', '.join(c.name for c in moved)})" if moved else "The model says the same"
    return distributions(scored.reference, scored.profile, list(scored.reference.columns), title=answer)


def realised(scored: Scored) -> Figure:
    """Is the model as good as on its own holdout?"""
    if scored.performance is None:
        return _nothing("No label of the current window is known yet")
    return performance(scored.performance, scored.baseline)


def _nothing(reason: str) -> Figure:
    """An empty figure that says why."""
    figure, axes = _figure(8, 0.8)
    axes.set_axis_off()
    axes.set_title(reason, loc="left")
    return figure


def criteria(verdict: Verdict) -> Figure:
    """Which criteria hold? What was measured, with its interval, against the bound that it must clear."""
    shown = [row for row in verdict.rows if not math.isnan(row.difference)][::-1]
    figure, axes = _figure(8, 1.3 + 0.42 * max(len(shown), 1))
    for position, row in enumerate(shown):
        color = DARK if row.passed else ALARM
        axes.plot([row.low, row.high], [position] * 2, color=color, linewidth=2)
        axes.plot(row.difference, position, "o" if row.passed else "X", color=color)
        axes.plot([row.bound] * 2, [position - 0.35, position + 0.35], color="black", linewidth=1.2)
    labels = [f"{row.criterion}" + ("" if row.group == "all" else f" ({row.group})") for row in shown]
    axes.set_yticks(range(len(shown)), [_short(label, 56) for label in labels])
    axes.axvline(0, color=LIGHT, linewidth=1, zorder=0)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel("measured, with its interval (the upright stroke is the bound to clear)")
    missed = sum(not row.passed for row in verdict.rows)
    answer = f"{missed} of {len(verdict.rows)} criteria missed" if missed else "All criteria hold"
    axes.set_title(f"{verdict.outcome}: {answer}", loc="left")
    return figure


def service(changes: Sequence[Mapping[str, Any]], as_of: datetime) -> Figure:
    """What served when? One line per version over the time that the runs stood at."""
    done = [c for c in changes if c["state"] == "done" and c["to_version"] is not None]
    times = [c["as_of"] or c["created_at"] for c in done]
    versions = sorted({c["to_version"] for c in done})
    figure, axes = _figure(8, 1.2 + 0.4 * max(len(versions), 1))
    for change, start, end in zip(done, times, [*times[1:], max([as_of, *times])], strict=True):
        height = versions.index(change["to_version"])
        axes.plot([start, end], [height] * 2, color=DARK, linewidth=6, solid_capstyle="butt")
        axes.annotate(change["kind"], (start, height), xytext=(2, 7), textcoords="offset points", fontsize=8)
    axes.set_yticks(range(len(versions)), [f"version {v}" for v in versions])
    axes.set_ylim(-0.6, len(versions) - 0.2)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    last = f"Version {done[-1]['to_version']} serves" if done else "Nothing has served yet"
    axes.set_title(last, loc="left")
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure that belongs to no global list, so that it is shown once: by the cell that returns it."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    _tidy(axes)
    return figure, axes


def _tidy(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _shares(axes: Axes, reference: ColumnProfile, current: ColumnProfile) -> None:
    before, after = (p.coarse() / max(p.rows, 1) for p in (reference, current))
    labels = _bin_labels(reference)
    keep = np.flatnonzero(before + after > 0)
    if len(keep) > _MOST_LEVELS + 1:
        keep = np.sort(keep[np.argsort(-(before + after)[keep], kind="stable")][:_MOST_LEVELS])
    positions = np.arange(len(keep))
    axes.bar(positions - 0.2, before[keep], 0.4, color=LIGHT, label="reference")
    axes.bar(positions + 0.2, after[keep], 0.4, color=DARK, label="current")
    names = [labels[i] for i in keep]
    if reference.missing or current.missing:
        axes.bar(len(keep) - 0.2, reference.missing / max(reference.rows, 1), 0.4, color=LIGHT)
        axes.bar(len(keep) + 0.2, current.missing / max(current.rows, 1), 0.4, color=DARK)
        names.append("missing")
    rotate = max(map(len, names), default=0) > 5
    axes.set_xticks(range(len(names)), names, fontsize=7, rotation=45 if rotate else 0, ha="right" if rotate else "center")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel("share of records", fontsize=8)


def _bin_labels(profile: ColumnProfile) -> list[str]:
    if not isinstance(profile.bins, NumericBins):
        return [_short(level, 14) for level in profile.bins.levels] + ["new"]
    edges = [profile.bins.edges[i] for i in profile.bins.groups]
    if not edges:
        return ["all"]
    return [f"≤ {edge:.4g}" for edge in edges] + [f"> {edges[-1]:.4g}"]


def _short(text: str, most: int = 28) -> str:
    """Text for an axis: not too long, and no dollar signs, which matplotlib would read as mathematics."""
    clean = " ".join(str(text).split()).replace("$", r"\$")
    return clean if len(clean) <= most else clean[: most - 1] + "…"

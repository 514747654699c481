"""What does a result look like over time? The champion's performance, the signals of many checks, who served when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.ticker import MaxNLocator

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
from trimtab.measure.over_time.certainty import of_day

_FEWEST_OF_SEVEN = 4    # days, of which a mean of seven is drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trimtab.run.foretold import Foretelling
    from trimtab.run.history import History


def over_time(past: History, metric: str, *, alpha: float = 0.05) -> Picture:
    """How has the champion done since it was made? The metric day by day with its intervals, and over seven days.

    An interval allows for a day's records being few; those of the days with the fewest may be cut.
    The bar is its value on the holdout with the interval; shaded is the current window, dotted a day on which the loss
    went to another level.

    Parameters
    ----------
    alpha : float
        From which p-value on the title speaks of a change.
    """
    known = [one for one in past.taken if not math.isnan(one.metrics.get(metric, math.nan))]
    if len(known) < 2:
        return empty(f"{metric} is known of fewer than two days")
    figure, axes = one_pair_of_axes(9, 3)
    days = np.array([one.day for one in known], dtype="datetime64[D]")
    values, weights = (np.array(list(v), dtype=float) for v in (
        (one.metrics[metric] for one in known), (one.labelled for one in known)))
    axes.plot(days, values, "o", color=LIGHT, markersize=3, zorder=2, label="one day")
    for part in np.split(np.arange(len(days)), np.flatnonzero(np.diff(days) > np.timedelta64(7, "D")) + 1):
        line = _rolling(days[part], values[part], weights[part])
        axes.plot(days[part], line, color=DARK, linewidth=1.8, zorder=3, label="seven days" if not part[0] else None)
    baseline = past.baseline_of(metric)
    if baseline is not None and not math.isnan(baseline.low):
        axes.axhspan(baseline.low, baseline.high, color=LIGHT, alpha=0.5, zorder=0, linewidth=0)
        axes.axhline(baseline.value, color=DARK, linewidth=0.8, linestyle="--", zorder=1, label="on its holdout")
    _whiskers(axes, days, np.array([(one.low, one.high) for one in (of_day(one, metric) for one in known)]))
    axes.axvspan(*mdates.date2num([past.start, past.end]), color=LIGHT, alpha=0.25, zorder=0, linewidth=0)
    for point in past.points.points:
        axes.axvline(mdates.date2num(point.at), color=DARK, linewidth=1.2, linestyle=":", zorder=1)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    dotted = f"; dotted: the {past.loss} went to another level" if past.points.points else ""
    axes.set_xlabel(f"day (shaded: the current window{dotted})")
    axes.set_ylabel(short(metric) + less_is_better([metric]))
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="best")
    entitle(axes, f"{short(metric)} day by day. {_history_answer(past, alpha)}")
    return figure


def foretold(told: Foretelling, metric: str) -> Picture | None:
    """How well has the estimate done so far? Its range for each past window beside what came, with its interval.

    None with fewer than two windows, for then there is no course to draw.
    """
    past = [one for one in told.past if one.metric == metric and math.isfinite(one.value)]
    if len(past) < 2:
        return None
    figure, axes = one_pair_of_axes(9, 3)
    kinds = ((False, 1.0, "estimated, without labels"), (True, 0.4, "estimated, but an assumption fails"))
    for doubtful, alpha, words in kinds:
        some = [one for one in past if one.doubtful == doubtful]
        reach = np.array([[one.value - one.low, one.high - one.value] for one in some]).reshape(-1, 2).T
        ends = np.array([one.end for one in some], dtype="datetime64[us]")
        axes.errorbar(ends, [one.value for one in some], reach, fmt="_", color=LIGHT, alpha=alpha,
                      elinewidth=7, markeredgecolor=DARK, markersize=11, zorder=2, label=words if some else None)
    came = [(one.end, one.realised) for one in past if one.realised is not None]
    if came:
        sides = np.array([[one.value - one.low, one.high - one.value] for _, one in came]).T
        ends = np.array([end for end, _ in came], dtype="datetime64[us]")
        axes.errorbar(ends, [one.value for _, one in came], sides, fmt="o", color=ALARM,
                      markersize=4, elinewidth=1, capsize=3, zorder=3, label="realised")
    axes.axhline(past[-1].baseline, color=DARK, linewidth=0.8, linestyle="--", zorder=1, label="on its holdout")
    axes.margins(x=0.08)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_xlabel("end of the window (UTC)")
    axes.set_ylabel(short(metric) + less_is_better([metric]))
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="best")
    entitle(axes, _foretold_answer(told, metric))
    return figure


def signals_over_time(checks: Sequence[Mapping[str, Any]], most: int = 8) -> Picture | None:
    """How have the signals moved from check to check? Each on an axis of its own, with the threshold that counts.

    None with fewer than two checks, for then nothing has moved.

    Parameters
    ----------
    checks : sequence of mapping
        One per signal and check, with name, value, threshold, severity and as_of.
    """
    known: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(checks, key=lambda row: row["as_of"]):
        if row["value"] is not None and not math.isnan(row["value"]):
            known.setdefault(str(row["name"]), []).append(row)
    seen = {name: rows for name, rows in known.items() if len({row["as_of"] for row in rows}) > 1}
    if not seen:
        return None
    raised = sorted(seen, key=lambda name: -sum(row["severity"] != "none" for row in seen[name]))[:most]
    figure = Picture(figsize=(9, 1.75 * math.ceil(len(raised) / 2)), layout="constrained")
    for place, name in enumerate(raised, 1):
        axes = figure.add_subplot(math.ceil(len(raised) / 2), 2, place)
        _draw_signal(axes, seen[name])
        entitle(axes, name.replace("_", " "), size=10)
        tidy(axes)
    figure.supxlabel("time that the check stood at (UTC); dashed: the threshold", fontsize=9)
    count = len({row["as_of"] for row in checks})
    which = f"The {len(raised)} signals that counted most often, of" if len(seen) > len(raised) else "Signals of"
    figure.suptitle(f"{which} {count} checks (filled: it counted)", x=0.01, ha="left", fontsize=12)
    return figure


def service(changes: Sequence[Mapping[str, Any]], as_of: datetime) -> Picture:
    """What served when? One line per version over the time that the runs stood at."""
    done = [c for c in changes if c["state"] == "done"]
    times = [c["as_of"] or c["created_at"] for c in done]
    versions = sorted({c["to_version"] for c in done if c["to_version"] is not None})
    if not versions:
        return empty("Nothing has served yet")
    figure, axes = one_pair_of_axes(9, 1.3 + 0.5 * len(versions))
    last = max([as_of, *times])
    for change, start, end in zip(done, times, [*times[1:], last], strict=True):
        if change["to_version"] is None:
            continue
        height = versions.index(change["to_version"])
        axes.plot([start, max(start, end)], [height] * 2, color=DARK, linewidth=5, solid_capstyle="butt")
        axes.plot(start, height, "o", color=DARK, markersize=8)
        late = last > min(times) and (start - min(times)) / (last - min(times)) > 0.8
        axes.annotate(safe(str(change["kind"])), (start, height), xytext=(4 if late else -4, 8),
                      textcoords="offset points", fontsize=9, ha="right" if late else "left")
    axes.set_yticks(range(len(versions)), [f"version {v}" for v in versions])
    axes.set_ylim(-0.5, len(versions) - 0.2)
    axes.margins(x=0.06)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_xlabel("time that the runs stood at (UTC)")
    now = done[-1]["to_version"]
    entitle(axes, "Nothing serves" if now is None else f"Version {now} serves")
    return figure


def _whiskers(axes: Axes, days: Any, bounds: Any) -> None:
    """Draw the interval of each day, of which those that are longer than most do not stretch the axis."""
    drawn = ~np.isnan(bounds).any(axis=1)
    if drawn.any():
        bottom, top = axes.get_ylim()
        axes.set_ylim(min(bottom, np.quantile(bounds[drawn, 0], 0.1)), max(top, np.quantile(bounds[drawn, 1], 0.9)))
    axes.vlines(days[drawn], *bounds[drawn].T, color=LIGHT, linewidth=0.7, zorder=1)


def _draw_signal(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    times, values = [row["as_of"] for row in rows], [row["value"] for row in rows]
    axes.plot(times, values, color=LIGHT, linewidth=1, zorder=1)
    for row in rows:
        loud = row["severity"] != "none"
        axes.plot(row["as_of"], row["value"], "o", color=ALARM if loud else "white",
                  markeredgecolor=ALARM if loud else DARK, markersize=5, zorder=3)
    threshold = rows[-1]["threshold"]
    if threshold is not None and not math.isnan(threshold):
        axes.axhline(threshold, color=DARK, linewidth=1, linestyle="--", zorder=2)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _foretold_answer(told: Foretelling, metric: str) -> str:
    record = told.records[metric]
    if not record.windows:
        return f"How near the estimate of {metric} comes is not known yet"
    windows = "window" if record.windows == 1 else "windows"
    return (f"Over {record.windows} {windows} the estimate of {metric} was {record.error:.2g} off, "
            f"“nothing has changed” {record.unchanged:.2g}")


def _history_answer(past: History, alpha: float) -> str:
    rise, p_value = past.change.relative.value, past.change.p_value
    if math.isnan(p_value):
        return f"Whether the {past.loss} has changed cannot be told yet"
    if p_value > alpha:
        return f"The {past.loss} is not told apart from that of the window before"
    return f"The {past.loss} {'rose' if rise > 0 else 'fell'} by {abs(rise):.0%} from the window before"


def _rolling(days: Any, values: Any, weights: Any) -> Any:
    """Means over seven days that end on each day, by records; nan where fewer than four of them are known."""
    inside = (days[None, :] <= days[:, None]) & (days[None, :] > days[:, None] - np.timedelta64(7, "D"))
    means = (inside * weights) @ values / (inside * weights).sum(axis=1)
    return np.where(inside.sum(axis=1) >= _FEWEST_OF_SEVEN, means, np.nan)

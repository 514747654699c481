"""What do tables say of how a model has done so far, and of how well that was foretold?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trimtab.cells import LONGEST_NAME, MOST_GROUPS, count, number, percent, sentence, span, table
from trimtab.measure.models import count_intervals
from trimtab.measure.models.confusion import MOST_CLASSES
from trimtab.measure.over_time.certainty import of_class, of_day, of_segment
from trimtab.measure.over_time.snapshots import confused
from trimtab.omissions import has_been_foretold, has_intervals
from trimtab.wording import plural

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.measure.models.intervals import Interval
    from trimtab.measure.over_time.promises import Promises
    from trimtab.measure.over_time.snapshots import Snapshot
    from trimtab.run.foretold import Foretelling
    from trimtab.run.history import History

_MOST_DAYS = 14
_MOST_CONFUSIONS = 10
_PROPER = ("log_loss", "mae")    # what does not follow the share of a class, and is better only where more was known


def intervals(past: History) -> Styler | None:
    """How far the answers for single records reach now and on the holdout, and how often outcomes lie within.

    None where there are no prediction intervals.
    """
    now, before = past.promises, past.promises_before
    if now is None or not has_intervals(past):
        return None
    rows = [
        {"over": name, "records": f"{one.rows:,}", "mean width": number(one.width), "narrow": one.narrow,
         "held": one.coverage.value, "interval": span(one.coverage.low, one.coverage.high, percent),
         "enough": _enough(one)}
        for name, one in (("this window", now), ("its own holdout", before)) if one is not None and one.days
    ]
    return table(
        rows, caption=f"Prediction intervals that are to hold {percent(now.promised)} of the outcomes "
        f"(this window: {past.days})",
        formats={"narrow": percent, "held": percent}, marks={"enough": {"no": "warn"}},
    )


def _enough(one: Promises) -> str:
    """Whether intervals held what they promised, as far as it can be told."""
    if one.kept is None:
        return "not known"
    return "yes" if one.coverage.value >= one.promised else "not told apart" if one.kept else "no"


def foretold(told: Foretelling) -> Styler | None:
    """How near the estimates of past checks have come, beside saying that nothing has changed; None without any."""
    if not has_been_foretold(told):
        return None
    rows = [
        {"metric": name, "windows": one.windows, "apart": one.apart, "doubtful": one.doubtful,
         "estimate was off by": one.error, "nothing has changed": one.unchanged, "estimate nearer": one.nearer,
         "realised within range": one.inside}
        for name, one in told.records.items() if one.windows
    ]
    return table(
        rows, caption="Estimates of past windows held against what came: mean absolute errors",
        formats={**dict.fromkeys(("windows", "apart", "doubtful"), count),
                 **dict.fromkeys(("estimate was off by", "nothing has changed"), number),
                 **dict.fromkeys(("estimate nearer", "realised within range"), percent)},
    )


def days(past: History, metric: str) -> Styler:
    """The newest days of which any outcome is known: a metric, and a proper score beside it, each with its interval."""
    known = _with(past, metric)
    if not known:
        return sentence(f"{metric} is not known of any day yet.")
    newest = known[-_MOST_DAYS:]
    beside = [name for name in _PROPER if name in newest[-1].metrics and name != metric]
    rows = []
    for one in newest:
        row = {"day": f"{one.day:%Y-%m-%d}", "predictions": one.rows, "outcomes": one.labelled}
        for name in (metric, *beside):
            found = of_day(one, name)
            row |= {name: found.value, f"{name}, interval": span(found.low, found.high)}
        rows.append(row)
    more = f", the newest {len(rows)} of {plural(len(known), 'day')}" if len(known) > len(rows) else ""
    low, high = (choose(newest, key=lambda one: one.metrics[metric]) for choose in (min, max))
    ends = f": from {number(low.metrics[metric])} ({low.day}) to {number(high.metrics[metric])} ({high.day})"
    formats = {"predictions": count, "outcomes": count} | dict.fromkeys((metric, *beside), number)
    return table(rows, caption=f"{metric} day by day{more}{ends}", formats=formats)


def _with(past: History, metric: str) -> list[Snapshot]:
    """The days of which a metric is known."""
    return [one for one in past.taken if one.labelled and not math.isnan(one.metrics.get(metric, math.nan))]


def newest_day_by_group(past: History, metric: str) -> Styler | None:
    """The newest day of which the metric is known: each class's recall and precision, and the metric by segment.

    None where there are no classes and no segments, or no such day.
    """
    known = _with(past, metric)
    if not known or not known[-1].groups:
        return None
    newest = known[-1]
    rows = [
        {"group": group, "metric": name, "value": found.value, "interval": span(found.low, found.high)}
        for group in newest.groups for name, found in _of_group(newest, group, metric)
        if not math.isnan(found.value)
    ]
    more = f"; {len(rows) - MOST_GROUPS} more lines are not shown" if len(rows) > MOST_GROUPS else ""
    told = f"{newest.day} by class and by segment, {plural(newest.labelled, 'outcome')}{more}"
    return table(rows[:MOST_GROUPS], caption=told, formats={"value": number}, longest=LONGEST_NAME)


def _of_group(taken: Snapshot, group: str, metric: str) -> list[tuple[str, Interval]]:
    """What is told of a class, or of a segment, whose outcomes are counted."""
    if "labelled" in taken.groups[group]:
        return [(metric, of_segment(taken, group, metric))]
    return [(name, of_class(taken, group.removeprefix("class "), name)) for name in ("recall", "precision")]


def confusions(past: History) -> Styler | None:
    """Which class was taken for which in the current window, the most frequent first, with the share of that class.

    None in a regression, which has no classes.
    """
    now = [one for one in past.taken if past.start.date() <= one.day < past.end.date()]
    total = confused(now)
    if any("mae" in one.metrics for one in past.taken):
        return None
    if total is None:
        return sentence("Which class was taken for which is not known of this window: there are no outcomes, more "
                        f"than {MOST_CLASSES} classes, or it was scored before this was kept.")
    wrong = [
        {"came": came, "predicted": said, "records": records,
         "share of what came": found.value, "interval": span(found.low, found.high, percent)}
        for came, row in zip(total.labels, total.counts, strict=True)
        for said, records in zip(total.labels, row, strict=True) if came != said and records
        for found in [count_intervals.share(records, sum(row))]
    ]
    if not wrong:
        return sentence(f"Over {past.days}: of {plural(total.records, 'known outcome')} none was predicted wrong.")
    wrong.sort(key=lambda row: -int(str(row["records"])))
    errors = sum(int(str(row["records"])) for row in wrong)
    return table(
        wrong[:_MOST_CONFUSIONS], caption=f"Over {past.days}: "
        f"{errors:,} of {plural(total.records, 'known outcome')} {'was' if errors == 1 else 'were'} predicted wrong, "
        f"most often {wrong[0]['came']} as {wrong[0]['predicted']}",
        formats={"records": count, "share of what came": percent},
    )

"""How good is the champion, as tables? Estimated, realised, in each class and segment, and since when."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trimtab.cells import grouped, nothing, number, p_value, percent, sentence, signed, span, table
from trimtab.decide.losses import FEWEST_OUTCOMES
from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.models.performance import group_name
from trimtab.wording import plural

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.measure.models.performance import Performance
    from trimtab.measure.over_time.attribution import Attribution
    from trimtab.measure.unlabelled.estimates import Agreement, Estimate
    from trimtab.run.expected import Expected
    from trimtab.run.history import History
    from trimtab.run.scored import Scored

_METHODS = {
    "confidence": "its own probabilities", "loss": "a model of its errors", "reweighted": "similar holdout records",
}
_CAUSES = {
    "inputs": "a change that the inputs explain", "concept": "a change that the inputs do not explain",
    "both": "a change that the inputs explain in part", "neither": "no change beyond chance",
    "unknown": "nothing that chance does not explain",
}


def expected(estimates: Expected) -> Styler:
    """What the champion's metrics are estimated to be without labels, and how that compares with what came."""
    if estimates.missing:
        return sentence(estimates.missing)
    rows = [
        {"metric": name, "estimate": one.value, "range": span(one.low, one.high), "on kept records": one.baseline,
         "realised": _came(one, estimates.agreement.get(name)),
         "from": _METHODS[one.method], "note": one.reason}
        for name, one in estimates.first.items()
    ]
    told = "Estimated without labels from the records that are kept of its holdout, beside the value on these; " \
        "what was realised is held against what was expected of the same records"
    formats = {"estimate": number, "on kept records": number}
    return table(rows, caption=told, optional=("realised", "note"), formats=formats)


def _came(one: Estimate, agreement: Agreement | None) -> str:
    if agreement is None:
        return ""
    if not one.doubtful:
        return agreement.sentence
    told, _, _ = agreement.sentence.partition(": ")    # what follows from it does so only where the assumptions hold
    return f"{told}; an assumption of the estimate fails, so nothing follows from that"


def assumptions(estimates: Expected) -> Styler:
    """What the estimate of the metric that speaks for the model rests on, and whether that holds."""
    one = estimates.first.get(estimates.metric)
    if one is None:
        return sentence(estimates.why_not(estimates.metric))
    holds = {True: "yes", False: "no", None: "cannot be known"}
    rows = [{"assumption": a.name, "holds": holds[a.holds], "evidence": a.evidence} for a in one.assumptions]
    ways = "; ".join(f"{way}: {number(e.value)}" for way, e in estimates.others.items())
    cause = f". What came of it: {_came_of(estimates.cause)}" if estimates.cause else ""
    return table(rows, caption=f"What the estimate of {estimates.metric} rests on (by way: {ways}){cause}",
                 marks={"holds": {"no": "warn"}})


def _came_of(cause: Attribution) -> str:
    if not cause.against:
        return _CAUSES[cause.verdict]
    if cause.realised * cause.explained > 0:
        return "a smaller change than the inputs alone would have made: their relation to the outcomes has changed, too"
    return "no such change as the inputs alone would have made: their relation to the outcomes has changed by more"


def realised(scored: Scored) -> Styler:
    """Realised metrics beside those of the champion's holdout, or why there are none."""
    if scored.performance is None:
        return sentence(f"{scored.missing} {scored.remarks}".strip())
    return performance(scored.performance, scored.baseline, remarks=scored.remarks)


def realised_by_group(scored: Scored) -> Styler:
    """The same per class and per segment."""
    if scored.performance is None:
        return sentence(f"{scored.missing} {scored.remarks}".strip())
    return groups(scored.performance, scored.baseline)


def performance(result: Performance, baseline: Performance | None = None, *, remarks: str = "") -> Styler:
    """Metrics over all records with their intervals, beside the baseline where there is one."""
    measured = {m: i for m, i in result.values.items() if m.label is None and m.segment is None}
    if not measured:
        return sentence("No metric can be computed.")
    rows, few = [], result.rows < FEWEST_OUTCOMES
    too_few = f"not told apart (fewer than {FEWEST_OUTCOMES} outcomes)" if few else ""
    for measure, interval in measured.items():
        before = baseline.values.get(measure) if baseline else None
        row: dict[str, Any] = {
            "metric": measure.metric, "better is": better_is(measure.metric),
            "value": interval.value, "interval": span(interval.low, interval.high),
        }
        if before is not None:
            row |= {
                "on its own holdout": before.value, "interval there": span(before.low, before.high),
                "change": interval.value - before.value,
                "it is": too_few or _changed(measure.metric, interval, before),
            }
        rows.append(row)
    return table(
        rows, caption=f"All {plural(result.rows, 'record')} with a known label" + (f". {remarks}" if remarks else ""),
        formats={"value": number, "on its own holdout": number, "change": signed},
        marks={"it is": {"worse": "bad", "better": "good"}},
    )


def groups(result: Performance, baseline: Performance | None = None) -> Styler:
    """The same metrics per class and per segment, one line each; in brackets the baseline."""
    found: dict[str, dict[str, Any]] = {}
    for measure, interval in result.values.items():
        if (measure.label is None) == (measure.segment is None):
            continue
        row = found.setdefault(group_name(measure), {"group": group_name(measure), "records": 0})
        row["records"] = max(row["records"], result.support[measure])    # some metrics rest on a part of them
        before = baseline.values.get(measure) if baseline else None
        row[measure.metric] = number(interval.value) + (f" ({number(before.value)})" if before else "")
    words = "; in brackets: on the champion's own holdout" if baseline else ""
    return grouped(list(found.values()), f"Per class and per segment{words}")


def history(past: History) -> Styler:
    """Has the error changed: from one window to the next, slowly, or on a certain day?"""
    change, slope = past.change, past.trend
    rows = [
        {"asked": "from the window before to this one", "before": change.before, "now": change.now,
         "change": change.relative.value, "p": change.p_value, "rests on":
         f"{change.days_before} and {plural(change.days_now or 0, 'day')} with outcomes", "note": change.note},
        {"asked": "slowly, over all days: the ends of a line fitted to them", "before": slope.start, "now": slope.end,
         "change": slope.relative, "p": slope.p_value, "rests on": plural(slope.days, "day"), "note": slope.note},
    ]
    rows += [
        {"asked": f"at once, on {point.at:%Y-%m-%d}", "before": point.before_mean, "now": point.after_mean,
         "change": (point.after_mean - point.before_mean) / point.before_mean if point.before_mean else math.nan,
         "p": math.nan, "rests on": plural(point.records, "record"), "note": f"noticed on {point.noticed:%Y-%m-%d}"}
        for point in past.points.points
    ]
    if not past.points.points:
        rows.append({"asked": "at once", "before": math.nan, "now": math.nan, "change": math.nan, "p": math.nan,
                     "rests on": plural(past.points.days, "day"), "note": past.points.note or "no such day was found"})
    return table(
        rows, caption=f"Has the {past.loss} of the champion changed? Less is better (this window: {past.days})",
        formats={"before": number, "now": number, "change": percent, "p": p_value}, optional=("note",),
    )


def better_is(metric: str) -> str:
    """Whether higher or lower values of a metric are better."""
    return "–" if metric not in METRICS else "higher" if METRICS[metric].greater_is_better else "lower"


def _changed(metric: str, now: Interval, before: Interval) -> str:
    """Better or worse only where the two intervals are apart: independent samples, so a cautious test."""
    if any(map(nothing, (now.low, now.high, before.low, before.high))) or metric not in METRICS:
        return "not known"
    if now.low > before.high:
        return "better" if METRICS[metric].greater_is_better else "worse"
    if now.high < before.low:
        return "worse" if METRICS[metric].greater_is_better else "better"
    return "not told apart"

"""What does a check find? Tables of drift, of the champion's outputs and performance, of signals and what follows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.cells import (
    LONGEST_NAME,
    Format,
    count,
    grouped,
    listed,
    nothing,
    number,
    p_value,
    percent,
    plural,
    probability,
    sentence,
    shorten,
    signed,
    span,
    table,
)
from trimtab.decide.losses import FEWEST_OUTCOMES
from trimtab.decide.severity import rank
from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.models.performance import group_name
from trimtab.settings.drift import DriftSettings

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.decide.causes import Causes
    from trimtab.decide.decision import Decision
    from trimtab.decide.guardrails import Check, Guard
    from trimtab.decide.signals import Signal
    from trimtab.measure.columns.drift import ColumnDrift, Drift
    from trimtab.measure.columns.segments import SegmentDrift
    from trimtab.measure.models.performance import Performance
    from trimtab.measure.unlabelled.estimates import Agreement, Estimate
    from trimtab.run.expected import Expected
    from trimtab.run.history import History
    from trimtab.run.joint import Joint
    from trimtab.run.scored import Scored

_SEVERITIES = {"critical": "bad", "high": "bad", "medium": "warn"}
_METHODS = {
    "confidence": "its own probabilities", "loss": "a model of its errors", "reweighted": "similar holdout records",
}
_CAUSES = {
    "inputs": "a change that the inputs explain", "concept": "a change that the inputs do not explain",
    "both": "a change that the inputs explain in part", "neither": "no change beyond chance",
    "unknown": "nothing that chance does not explain",
}
_MOVED = {"drifted": {"yes": "warn"}}
_UNITS: Mapping[str, Format] = {
    **dict.fromkeys(("feature_drift", "prediction_drift", "class_balance", "word_drift", "segment_drift"),
                    lambda v: f"PSI {v:.2f}"),
    **dict.fromkeys(("performance_drop", "outliers", "label_completeness", "unseen_levels", "out_of_range"), percent),
    "unseen_words": percent, "word_shift": lambda v: f"h {v:.2f}",
    **dict.fromkeys(("concept_drift", "estimated_drop", "growth", "unusable_outputs", "class_drop"), percent),
    "joint_drift": lambda v: f"AUC {v:.2f}",
    **dict.fromkeys(("feature_shift", "prediction_shift"), lambda v: f"{number(v)} σ"),
    "rate_drop": percent, "confidence_shift": lambda v: f"{number(v)} σ",
    "missing_values": lambda v: f"{number(100 * v)} pp",
    "new_records": count, "model_age": lambda v: f"{number(v)} days",
}


def drift(result: Drift, settings: DriftSettings | None = None, *, remarks: str = "") -> Styler:
    """The columns ranked by drift, and what else a reader should know of them."""
    chosen = settings or DriftSettings()
    result = result.ranked(**chosen.bounds)
    moved = {c.name for c in result.drifted(**chosen.bounds)}
    rows = [
        {
            "column": c.name, "drifted": "not tested" if result.too_few else "yes" if c.name in moved else "no",
            "how": ", ".join(map(str, c.moved(**chosen.bounds))),
            "PSI": c.psi, "by chance": c.psi_by_chance, "natural": _natural(c), "JS": c.js,
            "JS by chance": c.js_by_chance, "KS": c.ks, "χ²": c.chi2, "p": c.shape.p_value, "q": _q(c, chosen),
            "missing": "" if c.missing_reference == c.missing_current == 0 else
            f"{percent(c.missing_reference)}\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}{percent(c.missing_current)}",
            "note": c.note,
        }
        for c in result.columns[: chosen.max_columns_reported]
    ]
    more = len(result.columns) - len(rows)
    every = plural(len(result.columns), "column")
    caption = f"None of {every} could be tested: {result.too_few}" if result.too_few else (
        f"{len(moved)} of {every} drifted: q ≤ {chosen.alpha:.2g}, far enough in some way, and beyond what is natural "
        f"({result.reference_rows:,} against {result.current_rows:,} records)"
    )
    caption += f"; {more} columns below these are not shown" if more > 0 else ""
    caption += f". {remarks}" if remarks else ""
    numbers = dict.fromkeys(("PSI", "by chance", "natural", "JS", "JS by chance", "KS", "χ²"), number)
    return table(rows, caption=caption, formats={**numbers, "p": p_value, "q": p_value}, marks=_MOVED,
                 optional=("how", "natural", "KS", "missing", "note"))


def _q(column: ColumnDrift, settings: DriftSettings) -> float:
    """Of the way in which it counts, the first where there are several; else that of its PSI."""
    return next((one.q_value for one in column.moved(**settings.bounds)), column.shape.q_value)


def _natural(column: ColumnDrift) -> float:
    """PSI beyond chance that stretches of the reference reach; nan where days are not known or are too few."""
    return column.shape.floor or math.nan


def words(result: Drift, settings: DriftSettings) -> Styler | None:
    """The words of each text column that tell most of how it moved, the farthest first; None without text columns."""
    texts = [column for column in result.columns if column.kind == "text"]
    if not texts:
        return None
    rows = [
        {"column": column.name, "word": one.term, "texts with it before": one.before, "now": one.now}
        for column in texts for one in column.terms
    ]
    told = [_of_words(column, settings) for column in texts]
    if not rows:
        return sentence(f"{'. '.join(told)}. There is no word to name.")
    more = f"; and {len(told) - 2} more" if len(told) > 2 else ""
    return table(rows, caption=". ".join(told[:2]) + more, formats={"texts with it before": percent, "now": percent},
                 longest=LONGEST_NAME)


def _of_words(column: ColumnDrift, settings: DriftSettings) -> str:
    moved = ", ".join(map(str, column.moved(**settings.bounds)))
    tested = moved or "no more than chance and natural variation explain" if column.aspects else "could not be tested"
    note = f" ({shorten(column.note, 2 * LONGEST_NAME)})" if column.note else ""
    return f"Words of {shorten(column.name, LONGEST_NAME)}: {tested}{note}"


def since_last(result: Drift | None, settings: DriftSettings) -> Styler | None:
    """What moved from the window before to this one: the columns that did, or that none has; None without records."""
    if result is None:
        return None
    if result.too_few:
        return sentence(f"Nothing could be compared with the window before: {result.too_few}.")
    moved = result.drifted(**settings.bounds)
    rows = [
        {"column": c.name, "how": ", ".join(map(str, c.moved(**settings.bounds))), "PSI": c.psi,
         "by chance": c.psi_by_chance, "q": _q(c, settings)}
        for c in moved[: settings.max_columns_reported]
    ]
    sizes = f"{result.reference_rows:,} against {result.current_rows:,} records"
    told = f"{len(moved)} of {plural(len(result.columns), 'column')} drifted since the window before ({sizes})"
    return table(rows, caption=told, formats={"PSI": number, "by chance": number, "q": p_value}) if rows \
        else sentence(f"{told}.")


def joint(together: Joint) -> Styler:
    """All columns together: can current records be told from the reference's, and by what?"""
    apart, rebuilt = together.separation, together.reconstruction
    rows = [
        {"asked": "can a classifier tell them apart?", "measured": f"AUC {number(apart.auc)}",
         "interval": span(apart.low, apart.high), "natural": f"up to {number(together.floor)}",
         "p": apart.p_value, "note": apart.note},
        {"asked": "do columns hang together as before?",
         "measured": "–" if math.isnan(rebuilt.effect) else f"error {number(rebuilt.effect)} deviations larger",
         "interval": "–", "natural": "–",
         "p": rebuilt.p_value, "note": rebuilt.note},

    ]
    told_apart = apart.low > 0.5    # else there is no difference that anything could carry
    carried = "; ".join(
        " with ".join(one.columns) + (f" ({percent(one.share)})" if 0 <= one.share <= 1 else "")
        for one in apart.carriers[:5] if told_apart
    )
    sizes = f"{apart.reference_rows:,} against {apart.current_rows:,} records"
    told = f"All columns together ({sizes})"
    return table(rows, caption=told + (f"; most of the difference: {carried}" if carried else ""),
                 formats={"p": p_value}, optional=("note",))


def causes(found: Causes) -> Styler:
    """The columns that moved by how much the champion relies on them, and apart from these what it never sees."""
    every = (*found.ranked, *found.apart)
    if not every:
        return sentence("No column moved, so there is nothing to look for causes in.")
    rows = [
        {"column": c.column, "how": c.how, "distance": c.distance, "relied on": c.share, "weight": c.weight,
         "in words": c.message}
        for c in every
    ]
    apart = f"; {len(found.apart)} more are watched but are not the champion's" if found.apart else ""
    return table(
        rows, caption=f"{len(found.ranked)} of the champion's columns moved{apart}. {found.note}".rstrip(),
        formats={"distance": number, "relied on": percent, "weight": number}, optional=("relied on", "weight"),
    )


def segments(apart: SegmentDrift, settings: DriftSettings) -> Styler | None:
    """What moved in a segment beyond what the other records did, or that nothing has; and what was not looked at.

    None where no column of segments is named.
    """
    if not apart.named:
        return None
    moved = apart.drifted(**settings.bounds)
    rows = [
        {"segment": str(one.segment), "column": one.drift.name,
         "how, beyond the other records": ", ".join(map(str, one.moved(**settings.bounds))),
         "PSI": one.drift.psi, "by chance": one.drift.psi_by_chance, "q": one.moved(**settings.bounds)[0].q_value,
         "records": f"{one.reference_rows:,} → {one.current_rows:,}"}
        for one in moved[: settings.max_columns_reported]
    ]
    told = f"{len(moved)} of {apart.looked_at} pairs of column and segment drifted of their own"
    more = f"; {len(moved) - len(rows)} below these are not shown" if len(moved) > len(rows) else ""
    skipped = [f"{plural(len(one.values), 'value')} of {one.column}, {one.why} ({listed(one.values)})"
               for one in apart.left_out]
    caption = f"{told}{more}. Values not looked at: {'; '.join(skipped) or 'none'}"
    return table(rows, caption=caption, formats={"PSI": number, "by chance": number, "q": p_value}) if rows \
        else sentence(f"{caption}.")


def outputs(scored: Scored, settings: DriftSettings) -> Styler:
    """What the model says now against what it said on its holdout."""
    if scored.drift is None:
        return sentence(scored.incomparable)
    return drift(scored.drift, settings, remarks=scored.remarks)


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
    told = "Estimated without labels from the records that are kept of its holdout, beside the value on these"
    formats = {"estimate": number, "on kept records": number}
    return table(rows, caption=told, optional=("realised", "note"), formats=formats)


def _came(one: Estimate, agreement: Agreement | None) -> str:
    if agreement is None:
        return ""
    return agreement.sentence + (" (doubtful: an assumption fails)" if one.doubtful else "")


def assumptions(estimates: Expected) -> Styler:
    """What the estimate of the metric that speaks for the model rests on, and whether that holds."""
    one = estimates.first.get(estimates.metric)
    if one is None:
        return sentence(estimates.why_not(estimates.metric))
    holds = {True: "yes", False: "no", None: "cannot be known"}
    rows = [{"assumption": a.name, "holds": holds[a.holds], "evidence": a.evidence} for a in one.assumptions]
    ways = "; ".join(f"{way}: {number(e.value)}" for way, e in estimates.others.items())
    cause = f". What came of it: {_CAUSES[estimates.cause.verdict]}" if estimates.cause else ""
    return table(rows, caption=f"What the estimate of {estimates.metric} rests on (by way: {ways}){cause}",
                 marks={"holds": {"no": "warn"}})


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
        rows, caption=f"All {result.rows:,} records with a known label" + (f". {remarks}" if remarks else ""),
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
         f"{change.days_before} and {change.days_now} days", "note": change.note},
        {"asked": "slowly, over all days", "before": slope.start, "now": slope.end, "change": slope.relative,
         "p": slope.p_value, "rests on": f"{slope.days} days", "note": slope.note},
    ]
    rows += [
        {"asked": f"at once, on {point.at:%Y-%m-%d}", "before": point.before_mean, "now": point.after_mean,
         "change": (point.after_mean - point.before_mean) / point.before_mean if point.before_mean else math.nan,
         "p": math.nan, "rests on": f"{point.records:,} records", "note": f"noticed on {point.noticed:%Y-%m-%d}"}
        for point in past.points.points
    ]
    if not past.points.points:
        rows.append({"asked": "at once", "before": math.nan, "now": math.nan, "change": math.nan, "p": math.nan,
                     "rests on": f"{past.points.days} days", "note": past.points.note or "no such day was found"})
    return table(
        rows, caption=f"Has the {past.loss} of the champion changed? Less is better",
        formats={"before": number, "now": number, "change": percent, "p": p_value}, optional=("note",),
    )


def signals(found: Sequence[Signal]) -> Styler:
    """All signals of a check, the most serious first."""
    rows = [
        {
            "signal": s.name, "severity": s.severity, "value": with_unit(s.name, s.value),
            "threshold": with_unit(s.name, s.threshold), "p": s.p_value, "in words": s.message,
        }
        for s in sorted(found, key=lambda s: -rank(s.severity))
    ]
    passed, untested = sum(s.severity != "none" for s in found), sum(s.untested for s in found)
    told = f"{passed} of {len(found)} signals count: beyond a threshold, and beyond chance"
    told += f"; {untested} could not be tested" if untested else ""
    return table(
        rows or [{"": "nothing was measured"}], caption=told,
        formats={"p": p_value}, marks={"severity": _SEVERITIES},
    )


def with_unit(name: str, value: float) -> str:
    """A signal's value as reports write it."""
    return "–" if nothing(value) else _UNITS.get(name, number)(value)


def decision(made: Decision) -> Styler:
    """A decision with its reasons."""
    answer = "Retraining is asked for" if made.needs_retrain else "Retraining is not asked for"
    rows = [{"reasons": reason} for reason in made.reasons] or [{"reasons": "No signal passed its threshold."}]
    causes = f"; columns concerned: {listed(made.root_causes)}" if made.root_causes else ""
    told = f"{answer} (severity {made.severity}, confidence {probability(made.confidence)}){causes}"
    told += "; below one half: the evidence leans the other way, without being strong enough" \
        if made.confidence < 0.5 else ""
    told += f"; could not be tested: {listed(made.untested)}" if made.untested else ""
    return table(rows, caption=told)


def guard(checked: Guard) -> Styler:
    """Every safeguard with its evidence."""
    words = "Retraining is allowed" if checked.allowed else f"Retraining is blocked by {', '.join(checked.blocked_by)}"
    return checks(checked.checks, words, what="safeguard")


def checks(seen: Sequence[Check], caption: str, *, what: str = "must hold") -> Styler:
    """Checks with their evidence, whether they passed or not."""
    rows = [{what: c.name, "passed": "yes" if c.passed else "no", "evidence": c.evidence} for c in seen]
    return table(rows or [{what: "nothing"}], caption=caption, marks={"passed": {"yes": "good", "no": "bad"}})


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

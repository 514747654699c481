"""What does a result look like as a table? One function per kind of value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.cells import (
    MOST_GROUPS,
    Format,
    count,
    facts,
    grouped,
    listed,
    moment,
    nothing,
    number,
    p_value,
    percent,
    sentence,
    signed,
    span,
    table,
)
from trimtab.decide.severity import rank
from trimtab.measure.intervals import Interval
from trimtab.measure.metrics import METRICS
from trimtab.measure.performance import group_name, told_apart
from trimtab.settings import DriftSettings

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.decide.decision import Decision
    from trimtab.decide.guardrails import Guard
    from trimtab.decide.promotion import Verdict
    from trimtab.decide.signals import Signal
    from trimtab.measure.drift import Drift
    from trimtab.measure.performance import Performance
    from trimtab.measure.profile import Profile
    from trimtab.records import Contract
    from trimtab.run.expected import Expected
    from trimtab.run.history import History
    from trimtab.run.joint import Joint
    from trimtab.run.lifecycle import Appointment, Challenger, Contest, Proof
    from trimtab.run.scored import Scored
    from trimtab.run.session import Session
    from trimtab.windows import Window

__all__ = ["facts", "sentence", "table"]    # for notebooks, beside everything below

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
_FINDINGS = {"passed": "good", "failed": "bad", "undecided": "warn", "not evaluable": "warn"}
_UNITS: Mapping[str, Format] = {
    **dict.fromkeys(("feature_drift", "prediction_drift", "class_balance"), lambda v: f"PSI {v:.2f}"),
    **dict.fromkeys(("performance_drop", "outliers", "label_completeness", "unseen_levels", "out_of_range"), percent),
    **dict.fromkeys(("concept_drift", "estimated_drop"), percent), "joint_drift": lambda v: f"AUC {v:.2f}",
    **dict.fromkeys(("feature_shift", "prediction_shift"), lambda v: f"{number(v)} σ"),
    "missing_values": lambda v: f"{number(100 * v)} pp",
    "new_records": count, "model_age": lambda v: f"{number(v)} days",
}


def windows(*shown: Window) -> Styler:
    """Windows with their bounds and counts."""
    rows = [
        {"window": w.name, "from": w.start, "to": w.end, "records": w.rows, "labels known": w.labelled} for w in shown
    ]
    return table(rows, caption="Windows (the end is not included)", formats={
        "from": moment, "to": moment, "records": count, "labels known": count})


def contract(seen: Contract) -> Styler:
    """The columns as they were found."""
    rows = [
        {"column": c.name, "role": c.role, "type": c.type, "missing": c.nulls / seen.rows, "distinct": c.distinct}
        for c in seen.columns
    ]
    caption = f"{seen.rows:,} records from {seen.first:%Y-%m-%d %H:%M} to {seen.last:%Y-%m-%d %H:%M}"
    if seen.labelled:
        caption += f", {seen.labelled:,} with a known label ({seen.labelled / seen.rows:.1%})"
    if seen.timeless:
        caption += f"; {seen.timeless:,} more have no time, so they are left out everywhere"
    return table(rows, caption=caption, formats={"missing": percent, "distinct": count})


def drift(result: Drift, settings: DriftSettings | None = None) -> Styler:
    """The columns ranked by drift."""
    chosen = settings or DriftSettings()
    moved = {c.name for c in result.drifted(**chosen.bounds)}
    rows = [
        {
            "column": c.name, "drifted": "yes" if c.name in moved else "no",
            "how": ", ".join(map(str, c.moved(**chosen.bounds))),
            "PSI": c.psi, "by chance": c.psi_by_chance, "JS": c.js, "KS": c.ks, "χ²": c.chi2,
            "p": c.p_value, "q": c.q_value,
            "missing": "" if c.missing_reference == c.missing_current == 0 else
            f"{percent(c.missing_reference)} → {percent(c.missing_current)}",
            "note": c.note,
        }
        for c in result.columns[: chosen.max_columns_reported]
    ]
    more = len(result.columns) - len(rows)
    caption = (
        f"{len(moved)} of {len(result.columns)} columns drifted: q ≤ {chosen.alpha:.2g} and far enough in some way "
        f"({result.reference_rows:,} against {result.current_rows:,} records)"
    ) + (f"; {more} columns below these are not shown" if more > 0 else "")
    formats = {**dict.fromkeys(("PSI", "by chance", "JS", "KS", "χ²"), number), "p": p_value, "q": p_value}
    return table(rows, caption=caption, formats=formats, marks=_MOVED, optional=("how", "KS", "missing", "note"))


def realised(scored: Scored) -> Styler:
    """Realised metrics beside those of the champion's holdout, or why there are none."""
    return performance(scored.performance, scored.baseline) if scored.performance else sentence(scored.missing)


def realised_by_group(scored: Scored) -> Styler:
    """The same per class and per segment."""
    return groups(scored.performance, scored.baseline) if scored.performance else sentence(scored.missing)


def performance(result: Performance, baseline: Performance | None = None) -> Styler:
    """Metrics over all records with their intervals, beside the baseline where there is one."""
    measured = {m: i for m, i in result.values.items() if m.label is None and m.segment is None}
    if not measured:
        return sentence("No metric can be computed.")
    rows = []
    for measure, interval in measured.items():
        before = baseline.values.get(measure) if baseline else None
        row: dict[str, Any] = {
            "metric": measure.metric, "better is": _direction(measure.metric),
            "value": interval.value, "interval": span(interval.low, interval.high),
        }
        if before is not None:
            row |= {
                "on its own holdout": before.value, "interval there": span(before.low, before.high),
                "change": interval.value - before.value, "it is": _changed(measure.metric, interval, before),
            }
        rows.append(row)
    return table(
        rows, caption=f"All {result.rows:,} records with a known label",
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


def expected(estimates: Expected) -> Styler:
    """What the champion's metrics are estimated to be without labels, and how that compares with what came."""
    if estimates.missing:
        return sentence(estimates.missing)
    rows = [
        {"metric": name, "estimate": one.value, "range": span(one.low, one.high), "on its own holdout": one.baseline,
         "realised": estimates.agreement[name].sentence if name in estimates.agreement else "",
         "from": _METHODS[one.method], "note": one.reason}
        for name, one in estimates.first.items()
    ]
    return table(rows, caption="Estimated without labels", optional=("realised", "note"),
                 formats={"estimate": number, "on its own holdout": number})


def assumptions(estimates: Expected) -> Styler:
    """What the estimate of the metric that speaks for the model rests on, and whether that holds."""
    one = estimates.first.get(estimates.metric)
    if one is None:
        return sentence(estimates.missing or f"{estimates.metric} cannot be estimated without labels.")
    holds = {True: "yes", False: "no", None: "cannot be known"}
    rows = [{"assumption": a.name, "holds": holds[a.holds], "evidence": a.evidence} for a in one.assumptions]
    ways = ", ".join(f"{way} {number(e.value)}" for way, e in estimates.others.items())
    cause = f". What came of it: {_CAUSES[estimates.cause.verdict]}" if estimates.cause else ""
    return table(rows, caption=f"What the estimate of {estimates.metric} rests on (by way: {ways}){cause}",
                 marks={"holds": {"no": "warn"}})


def joint(together: Joint) -> Styler:
    """All columns together: can current records be told from the reference's, and by what?"""
    apart, rebuilt = together.separation, together.reconstruction
    rows = [
        {"asked": "can a classifier tell them apart?", "measured": f"AUC {number(apart.auc)}",
         "interval": span(apart.low, apart.high), "natural": f"up to {number(together.floor)}",
         "p": apart.p_value, "note": apart.note},
        {"asked": "do columns hang together as before?",
         "measured": f"error {number(rebuilt.effect)} deviations larger", "interval": "–", "natural": "–",
         "p": rebuilt.p_value, "note": rebuilt.note},
    ]
    carried = "; ".join(f"{' with '.join(one.columns)} ({percent(one.share)})" for one in apart.carriers[:5])
    sizes = f"{apart.reference_rows:,} against {apart.current_rows:,} records"
    told = f"All columns together ({sizes})"
    return table(rows, caption=told + (f"; most of the difference: {carried}" if carried else ""),
                 formats={"p": p_value}, optional=("note",))


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


def _direction(metric: str) -> str:
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


def signals(found: Sequence[Signal]) -> Styler:
    """All signals of a check, the most serious first."""
    rows = [
        {
            "signal": s.name, "severity": s.severity, "value": with_unit(s.name, s.value),
            "threshold": with_unit(s.name, s.threshold), "p": s.p_value, "in words": s.message,
        }
        for s in sorted(found, key=lambda s: -rank(s.severity))
    ]
    passed = sum(s.severity != "none" for s in found)
    return table(
        rows or [{"": "nothing was measured"}], caption=f"{passed} of {len(found)} signals passed a threshold",
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
    return table(rows, caption=f"{answer} (severity {made.severity}, confidence {made.confidence:.2f}){causes}")


def guard(checked: Guard) -> Styler:
    """Every safeguard with its evidence."""
    rows = [
        {"safeguard": c.name, "passed": "yes" if c.passed else "no", "evidence": c.evidence} for c in checked.checks
    ]
    words = "Retraining is allowed" if checked.allowed else f"Retraining is blocked by {', '.join(checked.blocked_by)}"
    return table(rows, caption=words, marks={"passed": {"yes": "good", "no": "bad"}})


def verdict(given: Verdict) -> Styler:
    """The criteria table: what was required, what was measured, and how sure that is; what was missed comes first."""
    rows = [
        {
            "finding": r.finding, "required": r.criterion, "for": r.group, "records that count": r.support,
            "champion": r.champion, "challenger": r.challenger, "measured": r.difference,
            "interval": span(r.low, r.high), "must clear": r.bound, "note": r.note,
        }
        for r in sorted(given.rows, key=lambda r: r.passed)
    ] or [{"required": "no criteria are set"}]
    missed = sum(not r.passed for r in given.rows)
    words = f"{missed} of {len(given.rows)} criteria missed" if missed else " ".join(given.reasons)
    formats: dict[str, Format] = dict.fromkeys(("champion", "challenger", "measured", "must clear"), number)
    formats["records that count"] = count
    caption, marks = f"Verdict: {given.outcome}. {words}", {"finding": _FINDINGS}
    return table(rows, caption=caption, formats=formats, marks=marks, optional=("champion", "note"), longest=80)


def changes(rows: Sequence[Mapping[str, Any]], caption: str = "What served when") -> Styler:
    """What served when, who changed it and why."""
    shown = [
        {
            "as of": row["as_of"], "recorded": row["created_at"], "what": row["kind"],
            "from": row["from_version"], "to": row["to_version"], "state": row["state"], "by": row["by"],
            "why": row["why"],
        }
        for row in rows
    ]
    return table(
        shown or [{"": "nothing has served yet"}], caption=caption,
        formats={"as of": moment, "recorded": moment, "from": count, "to": count},
        marks={"state": {"intent": "warn", "undone": "warn"}},
    )


def session(opened: Session) -> Styler:
    """What a notebook stands on."""
    from trimtab.windows import describe

    params = opened.params
    reference = params.windows.reference
    return facts({
        "model": opened.registry.name,
        "as of": moment(opened.as_of),
        "records": params.data.table,
        "task": params.task,
        "champion": _version(opened.serving),
        "reference window": "what the champion was made from" if reference == "training" else describe(reference),
        "current window": describe(params.windows.current),
        "training window": f"{describe(params.windows.training)}, the newest {params.windows.holdout:.0%} held out",
        "overrides": ", ".join(map(str, opened.overrides)) or "none",
        "run": opened.run_id + (" (dry run: nothing will be changed)" if opened.dry_run else ""),
    })


def appointment(made: Appointment) -> Styler:
    """Who served, who serves, and why."""
    before, after = (_version(v) for v in (made.champion_before, made.champion_after))
    rows = [("verdict", made.verdict.outcome), ("champion before", before), ("champion now", after)]
    rows += [("why" if place == 0 else "", reason) for place, reason in enumerate(made.verdict.reasons)]
    told = "The champion changed" if made.change else "The champion is as it was"
    return facts(rows, told + (", in this dry run only" if made.change and made.dry_run else ""))


def profile(seen: Profile) -> Styler:
    """Every watched column with its range or levels."""
    from trimtab.measure.bins import NumericBins

    rows = []
    for name, column in seen.columns.items():
        bins = column.bins
        if isinstance(bins, NumericBins):
            ends = bins.minimum, bins.maximum
            kind, told = "numeric", span(*ends, count if all(map(_whole, ends)) else number)
        else:
            kind, told = "categorical", f"{len(bins.levels)} levels: {listed(bins.levels)}"
        rows.append({
            "column": name, "kind": kind, "range or levels": told,
            "missing": column.missing / column.rows if column.rows else math.nan,
        })
    return table(rows, caption=f"Reference profile of {seen.rows:,} records", formats={"missing": percent})


def _whole(value: float) -> bool:
    return math.isfinite(value) and value == round(value)


def outputs(scored: Scored, settings: DriftSettings) -> Styler:
    """What the model says now against what it said on its holdout."""
    if scored.drift is None:
        return sentence(scored.incomparable)
    return drift(scored.drift, settings)


def classes(opened: Session, *shown: Window) -> Styler:
    """Shares of the labels per window, or the outcome's spread for regression."""
    label = opened.params.data.label or ""
    columns: dict[str, Any] = {}
    for window in shown:
        if opened.params.task == "regression":
            values = opened.records.frame(window, [label])[label]
            spread = {f"{q:.0%} quantile": float(values.quantile(q)) for q in (0.1, 0.5, 0.9)}
            columns[window.name] = {"mean": float(values.mean())} | spread
        else:
            counts = opened.records.classes(window)
            columns[window.name] = {name: count / sum(counts.values()) for name, count in counts.items()}
    names = list(dict.fromkeys(name for told in columns.values() for name in told))
    write, kind = (number, "") if opened.params.task == "regression" else (percent, "class")
    rows = [{kind: name} | {w: told.get(name, 0.0) for w, told in columns.items()} for name in names[:MOST_GROUPS]]
    more = f"; {len(names) - len(rows)} rarer classes are not shown" if len(names) > len(rows) else ""
    caption = ("Shares of the classes of" if kind else "Spread of") + f" {label}, by window{more}"
    return table(rows, caption=caption, formats=dict.fromkeys(columns, write))


def lineage(made: Challenger) -> Styler:
    """Where a challenger came from."""
    known = made.lineage
    told = {
        "version": made.version, "candidate": f"{made.name} ({made.estimator})",
        "learned from": f"{count(known['train_records'])} records, {moment(known['trained_from'])} to "
        f"{moment(known['trained_until'])}",
        "held out": f"{count(known['holdout_records'])} records, {moment(known['holdout_from'])} to "
        f"{moment(known['holdout_until'])}",
        "data fingerprint": known["fingerprint"]["sha256"][:16],
        "positive class": known["positive"] or "–",
        "code": f"trimtab {known['code']['trimtab']}, commit {(known['code']['commit'] or 'unknown')[:12]}",
        "fitting took": f"{made.seconds:.1f} s", "run": known["run_id"], "serves": "nobody",
    }
    told |= {f"candidate {name}": number(value) for name, value in made.others.items()}
    return facts(told, "A challenger in the shadow")


def contest(held: Contest) -> Styler:
    """Who is compared on what."""
    rival = held.champion
    models = [("challenger", held.challenger)] + ([("champion", rival)] if rival else [])
    rows = [
        {
            "role": role, "version": str(model.version), "class": model.lineage.get("class", "not trained by Trimtab"),
            "learned from records until": moment(model.lineage.get("trained_until")),
            "records learned from": model.lineage.get("train_records"),
        }
        for role, model in models
    ]
    who = "Both predict the same" if rival else "There is no champion; the challenger alone predicts"
    caption = f"{who} {held.window.rows:,} records from {moment(held.window.start)} to {moment(held.window.end)}, " \
              "from which no model here has learned"
    return table(rows, caption=caption, formats={"records learned from": count})


def comparison(held: Contest) -> Styler:
    """Every metric of both models over all records, with the paired difference."""
    rows = [
        {
            "metric": measure.metric, "better is": _direction(measure.metric),
            "champion": pair.champion.value, "challenger": pair.challenger.value, "difference": pair.difference.value,
            "interval": span(pair.difference.low, pair.difference.high, signed),
            "challenger is": told_apart(measure.metric, pair.difference),
        }
        for measure, pair in held.evaluation.differences.items() if measure.label is None and measure.segment is None
    ]
    if not rows:
        return sentence("There is no champion to compare with.")
    caption = f"Challenger minus champion on the same {held.window.rows:,} records"
    formats = {"champion": number, "challenger": number, "difference": signed}
    return table(rows, caption=caption, formats=formats, marks={"challenger is": {"better": "good", "worse": "bad"}})


def comparison_by_group(held: Contest) -> Styler:
    """The differences per class and per segment, one line each; ▲ and ▼ where chance does not explain them."""
    signs = {"better": " ▲", "worse": " ▼", "not told apart": ""}
    found: dict[str, dict[str, Any]] = {}
    for measure, pair in held.evaluation.differences.items():
        if (measure.label is None) == (measure.segment is None):
            continue
        name = group_name(measure)
        row = found.setdefault(name, {"group": name, "records": 0})
        row["records"] = max(row["records"], held.evaluation.challenger.support[measure])
        row[measure.metric] = signed(pair.difference.value) + signs[told_apart(measure.metric, pair.difference)]
    caption = "Challenger minus champion; ▲: the challenger is better, ▼: worse, otherwise not told apart"
    return grouped(list(found.values()), caption)


def version(opened: Session, target: int) -> Styler:
    """What is known of a version."""
    known = opened.ledger.version(target)
    if known is None:
        return facts({"version": target, "lineage": "not made by Trimtab"}, "The target")
    origin = known["lineage"]
    return facts({
        "version": target, "class": origin["class"], "made by run": known["run_id"],
        "learned from": f"{moment(origin['trained_from'])} to {moment(origin['trained_until'])}",
        "model file": f"SHA-256 {known['sha256'][:16]}…",
    }, "The target")


def proof(made: Proof) -> Styler:
    """Evidence that a version can serve."""
    told = {
        "file": "as registered, only reviewed types", "loads": f"in {made.load_seconds:.2f} s",
        "predicts": f"{made.rows:,} records of the {made.window} window in {made.predict_seconds:.2f} s",
        "mean score": number(made.mean_score), "agreement with the champion (1: the same)": number(made.agreement),
    }
    return facts({name: text for name, text in told.items() if text != "–"}, f"Version {made.version} can serve")


def _version(number_: int | None) -> str:
    return "none yet" if number_ is None else f"version {number_}"

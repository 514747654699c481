"""What does a result look like as a table? One function per kind of value; all text in them is shown as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.decide.decision import Decision
    from trimtab.decide.guardrails import Guard
    from trimtab.decide.promotion import Verdict
    from trimtab.decide.signals import Signal
    from trimtab.measure.drift import Drift
    from trimtab.measure.performance import Performance
    from trimtab.measure.profile import Profile
    from trimtab.records import Contract, Window
    from trimtab.run.checking import Scored
    from trimtab.run.lifecycle import Appointment, Challenger, Contest, Proof
    from trimtab.run.session import Session
    from trimtab.settings import DriftSettings

Format = Callable[[Any], str]
_MARKS = {
    "bad": "background-color: #f8d7da; color: #58151c; font-weight: 600",
    "warn": "background-color: #fff3cd; color: #664d03",
    "good": "color: #0a5c2b",
}
_SEVERITIES = {"critical": "bad", "high": "bad", "medium": "warn"}
_STYLES = [
    {"selector": "caption", "props": "caption-side: top; text-align: left; font-weight: 600; padding: 0.4em 0"},
    {"selector": "th", "props": "text-align: left; vertical-align: top"},
    {"selector": "td", "props": "text-align: left; vertical-align: top; max-width: 48em; overflow-wrap: anywhere"},
]


def number(value: Any) -> str:
    """Three significant decimals, a dash for nothing.

    Examples
    --------
    >>> number(0.12345), number(float("nan")), number(12345.6)
    ('0.123', '–', '12,346')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def percent(value: Any) -> str:
    """A share in percent, a dash for nothing."""
    return "–" if value is None or math.isnan(value) else f"{value:.1%}"


def p_value(value: Any) -> str:
    """A p-value; tiny ones as a bound.

    Examples
    --------
    >>> p_value(1e-9), p_value(0.0312)
    ('< 0.0001', '0.0312')
    """
    if value is None or math.isnan(value):
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def count(value: Any) -> str:
    """A whole number with separators, a dash for nothing."""
    return "–" if value is None or (isinstance(value, float) and math.isnan(value)) else f"{int(value):,}"


def moment(value: Any) -> str:
    """A time to the minute, a dash for nothing."""
    return "–" if value is None or value is pd.NaT else f"{pd.Timestamp(value):%Y-%m-%d %H:%M}"


def table(
    rows: Iterable[Mapping[str, Any]] | pd.DataFrame,
    *,
    caption: str = "",
    formats: Mapping[str, Format] | None = None,
    marks: Mapping[str, Mapping[str, str]] | None = None,
) -> Styler:
    """A table as a notebook shows it.

    Parameters
    ----------
    rows : mappings or DataFrame
    formats : mapping, optional
        How a column's values are written.
    marks : mapping, optional
        By column, which of its values is marked good, warn or bad.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    style = frame.style.hide(axis="index").set_caption(caption).set_table_styles(_STYLES)
    for name, write in (formats or {}).items():
        if name in frame.columns:
            style = style.format(write, subset=[name])
    plain = [name for name in frame.columns if name not in (formats or {})]
    style = style.format(escape="html", na_rep="–", subset=plain).format_index(escape="html", axis=1)
    for name, by_value in (marks or {}).items():
        if name in frame.columns:
            style = style.map(lambda value, m=by_value: _MARKS.get(m.get(str(value), ""), ""), subset=[name])
    return style


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
    return table(rows, caption=caption, formats={"missing": percent, "distinct": count})


def drift(result: Drift, settings: DriftSettings | None = None) -> Styler:
    """The columns ranked by drift."""
    from trimtab.settings import DriftSettings

    chosen = settings or DriftSettings()
    moved = {c.name for c in result.drifted(alpha=chosen.alpha, psi=chosen.psi_warn)}
    rows = [
        {
            "column": c.name, "drifted": "yes" if c.name in moved else "no",
            "PSI": c.psi, "by chance": c.psi_by_chance, "JS": c.js, "KS": c.ks, "χ²": c.chi2,
            "p": c.p_value, "q": c.q_value,
            "missing": f"{percent(c.missing_reference)} → {percent(c.missing_current)}", "note": c.note,
        }
        for c in result.columns[: chosen.max_columns_reported]
    ]
    more = len(result.columns) - len(rows)
    caption = (
        f"{len(moved)} of {len(result.columns)} columns drifted: q ≤ {chosen.alpha:g} and PSI beyond chance "
        f"≥ {chosen.psi_warn:g} ({result.reference_rows:,} against {result.current_rows:,} records)"
    ) + (f"; {more} columns below these are not shown" if more > 0 else "")
    numbers: dict[str, Format] = dict.fromkeys(("PSI", "by chance", "JS", "KS", "χ²"), number)
    return table(
        rows, caption=caption, formats=numbers | {"p": p_value, "q": p_value}, marks={"drifted": {"yes": "warn"}}
    )


def performance(result: Performance | None, baseline: Performance | None = None) -> Styler:
    """Metrics with their intervals, beside the baseline where there is one."""
    from trimtab.measure.performance import group_name

    rows = [
        {
            "group": group_name(measure), "metric": measure.metric, "records": result.support[measure],
            "value": interval.value, "interval": _interval(interval.low, interval.high),
            **({"baseline": before.value if (before := baseline.values.get(measure)) else None} if baseline else {}),
        }
        for measure, interval in (result.values.items() if result else ())
    ]
    if not rows:
        return table([{"": "No label of this window is known yet."}], caption="Realised performance")
    return table(rows, caption="Performance", formats={"value": number, "baseline": number, "records": count})


def signals(found: Sequence[Signal]) -> Styler:
    """All signals of a check."""
    rows = [
        {"signal": s.name, "severity": s.severity, "value": s.value, "threshold": s.threshold, "p": s.p_value,
         "in words": s.message}
        for s in found
    ]
    return table(
        rows, caption="Signals", formats={"value": number, "threshold": number, "p": p_value},
        marks={"severity": _SEVERITIES},
    )


def decision(made: Decision) -> Styler:
    """A decision with its reasons."""
    answer = "Retraining is needed" if made.needs_retrain else "Retraining is not needed"
    rows = [{"reasons": reason} for reason in made.reasons]
    causes = f"; columns concerned: {', '.join(made.root_causes[:8])}" if made.root_causes else ""
    return table(rows, caption=_escape(
        f"{answer} (severity {made.severity}, confidence {made.confidence:.2f}){causes}"
    ))


def guard(checked: Guard) -> Styler:
    """Every safeguard with its evidence."""
    rows = [{"safeguard": c.name, "passed": "yes" if c.passed else "no", "evidence": c.evidence} for c in checked.checks]
    words = "Retraining is allowed" if checked.allowed else f"Retraining is blocked by {', '.join(checked.blocked_by)}"
    return table(rows, caption=words, marks={"passed": {"yes": "good", "no": "bad"}})


def verdict(given: Verdict) -> Styler:
    """The criteria table: what was required, what was measured, and how sure that is."""
    rows = [
        {
            "required": r.criterion, "for": r.group, "records": r.support, "champion": r.champion,
            "challenger": r.challenger, "measured": r.difference, "interval": _interval(r.low, r.high),
            "must clear": r.bound, "finding": r.finding, "note": r.note,
        }
        for r in given.rows
    ] or [{"required": "no criteria are set"}]
    formats: dict[str, Format] = dict.fromkeys(("champion", "challenger", "measured", "must clear"), number)
    return table(
        rows, caption=f"Verdict: {given.outcome}", formats=formats | {"records": count},
        marks={"finding": {"passed": "good", "failed": "bad", "undecided": "warn", "not evaluable": "warn"}},
    )


def facts(values: Mapping[str, Any], caption: str = "") -> Styler:
    """Names and values, one pair a line."""
    rows = [{"": name, " ": str(value)} for name, value in values.items()]
    return table(rows, caption=_escape(caption))


def changes(rows: Sequence[Mapping[str, Any]]) -> Styler:
    """What served when, who changed it and why."""
    shown = [
        {
            "as of": moment(row["as_of"]), "recorded": row["created_at"], "what": row["kind"],
            "from": row["from_version"], "to": row["to_version"], "state": row["state"], "by": row["by"],
            "why": row["why"],
        }
        for row in rows
    ]
    return table(
        shown or [{"": "nothing has served yet"}], caption="What served when",
        formats={"recorded": moment, "from": count, "to": count},
    )


def session(opened: Session) -> Styler:
    """What a notebook stands on."""
    from trimtab.records import describe

    params = opened.params
    serving = opened.serving
    reference = params.windows.reference
    return facts({
        "model": opened.registry.name,
        "as of": moment(opened.as_of),
        "records": params.data.table,
        "task": params.task,
        "champion": "none yet" if serving is None else f"version {serving}",
        "reference window": "what the champion learned from" if reference == "training" else describe(reference),
        "current window": describe(params.windows.current),
        "training window": f"{describe(params.windows.training)}, the newest {params.windows.holdout:.0%} held out",
        "overrides": ", ".join(map(str, opened.overrides)) or "none",
        "run": opened.run_id + (" (dry run: nothing will be changed)" if opened.dry_run else ""),
    })


def sentence(text: str) -> Styler:
    """One sentence, set apart."""
    return table([{"": text}])


def appointment(made: Appointment) -> Styler:
    """Who served, who serves, and why."""
    before, after = (_version(v) for v in (made.champion_before, made.champion_after))
    return facts({
        "verdict": made.verdict.outcome, "champion before": before, "champion now": after,
        "why": " ".join(made.verdict.reasons),
    }, "The champion changed" if made.change else "The champion is as it was")


def profile(seen: Profile) -> Styler:
    """Every watched column with its range or levels."""
    from trimtab.measure.bins import NumericBins

    rows = []
    for name, column in seen.columns.items():
        bins = column.bins
        if isinstance(bins, NumericBins):
            kind, span = "numeric", f"{number(bins.minimum)} to {number(bins.maximum)}"
        else:
            kind, span = "categorical", f"{len(bins.levels)} levels: " + ", ".join(bins.levels[:8])
        rows.append({
            "column": name, "kind": kind, "range or levels": span,
            "missing": column.missing / column.rows if column.rows else math.nan,
        })
    return table(rows, caption=f"Reference profile of {seen.rows:,} records", formats={"missing": percent})


def outputs(scored: Scored, settings: DriftSettings) -> Styler:
    """What the model says now against what it said on its holdout."""
    if scored.drift is None:
        return sentence("The champion's outputs on its own holdout are not known, so they cannot be compared.")
    return drift(scored.drift, settings)


def classes(opened: Session, *shown: Window) -> Styler:
    """Shares of the labels per window, or the outcome's spread for regression."""
    label = opened.params.data.label or ""
    rows = []
    for window in shown:
        values = opened.records.frame(window, [label])[label]
        if opened.params.task == "regression":
            described = {f"{q:.0%} quantile": number(float(values.quantile(q))) for q in (0.1, 0.5, 0.9)}
            rows.append({"window": window.name, "mean": number(float(values.mean())), **described})
        else:
            shares = values.astype(str).value_counts(normalize=True)
            rows.append({"window": window.name, **{str(k): percent(v) for k, v in shares.head(12).items()}})
    return table(rows, caption=f"Shares of {label}" if opened.params.task != "regression" else f"Spread of {label}")


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
    caption = f"Both predict the same {held.window.rows:,} records from {moment(held.window.start)} to " \
              f"{moment(held.window.end)}; neither learned from any of them"
    return table(rows, caption=caption, formats={"records learned from": count})


def comparison(held: Contest) -> Styler:
    """Every metric of both models with the paired difference."""
    from trimtab.measure.metrics import METRICS
    from trimtab.measure.performance import group_name

    rows = []
    for measure, pair in held.evaluation.differences.items():
        if measure.label is not None and measure.segment is not None:
            continue
        sign = 1 if METRICS[measure.metric].greater_is_better else -1
        low, high = sorted((sign * pair.difference.low, sign * pair.difference.high))
        rows.append({
            "group": group_name(measure), "metric": measure.metric,
            "champion": pair.champion.value, "challenger": pair.challenger.value,
            "difference": pair.difference.value, "interval": _interval(pair.difference.low, pair.difference.high),
            "challenger is": "better" if low > 0 else "worse" if high < 0 else "not told apart",
        })
    if not rows:
        return sentence("There is no champion to compare with.")
    return table(
        rows, caption="Challenger minus champion on the same records",
        formats=dict.fromkeys(("champion", "challenger", "difference"), number),
        marks={"challenger is": {"better": "good", "worse": "bad"}},
    )


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
    return facts({
        "file": "as registered, only reviewed types", "loads": f"in {made.load_seconds:.2f} s",
        "predicts": f"{made.rows:,} recent records in {made.predict_seconds:.2f} s",
        "mean score": number(made.mean_score), "agreement with the champion": percent(made.agreement),
    }, f"Version {made.version} can serve")


def _version(number_: int | None) -> str:
    return "none" if number_ is None else f"version {number_}"


def _interval(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"


def _escape(text: str) -> str:
    import html

    return html.escape(text)

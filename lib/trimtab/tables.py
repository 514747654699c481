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
    number,
    p_value,
    percent,
    sentence,
    signed,
    span,
    table,
)
from trimtab.findings import checks, decision, guard, signals, with_unit
from trimtab.measure.models.performance import gain, group_name, told_apart
from trimtab.merits import assumptions, better_is, expected, groups, history, performance, realised, realised_by_group
from trimtab.movements import causes, drift, joint, outputs, segments, since_last, words
from trimtab.omissions import not_looked_at
from trimtab.retrospect import confusions, days, foretold, intervals, newest_day_by_group
from trimtab.watches import tried, watched
from trimtab.wording import plural

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.act.approvals import Request
    from trimtab.contract import Contract
    from trimtab.decide.promotion import Verdict
    from trimtab.measure.columns.means import Moved
    from trimtab.measure.columns.profile import Profile
    from trimtab.measure.models.intervals import PairedDifference
    from trimtab.run.appointments import Appointment
    from trimtab.run.contests import Contest
    from trimtab.run.proportions import Proportions
    from trimtab.run.retraining import Challenger
    from trimtab.run.rollbacks import Proof
    from trimtab.run.session import Session
    from trimtab.windows import Window

__all__ = [    # for notebooks, beside everything below
    "assumptions", "causes", "checks", "confusions", "days", "decision", "drift", "expected", "facts", "foretold",
    "groups", "guard", "history", "intervals", "joint", "newest_day_by_group", "not_looked_at", "outputs",
    "performance", "realised", "realised_by_group", "segments", "sentence", "signals", "since_last", "table",
    "tried", "watched", "with_unit", "words",
]

_FINDINGS = {"passed": "good", "failed": "bad", "undecided": "warn", "not evaluable": "warn"}


def proportions(found: Proportions, alpha: float = 0.05) -> Styler | None:
    """Rates and means of confidences before and now, those that moved most certainly first; None where none is named.

    Parameters
    ----------
    alpha : float
        From which p-value on, of each by itself, a change is called one.
    """
    if not found.named:
        return None
    rows = [
        {"watched": one.name, "kind": kind, "before": one.before, "now": one.now, "deviations": one.deviations,
         "natural": one.floor, "standard errors": one.errors, "p": one.p_value, "moved": _moved(one, alpha)}
        for kind, some in (("rate", found.rates), ("mean", found.confidences)) for one in some
    ]
    if not rows:
        return sentence(f"There are no records that rates and confidences could be read from. {found.told}".rstrip())
    rows.sort(key=lambda row: math.inf if math.isnan(float(str(row["p"]))) else float(str(row["p"])))
    more = f"; {len(rows) - MOST_GROUPS} more are not shown" if len(rows) > MOST_GROUPS else ""
    newest = f"; results of reading since {moment(found.since)}" if found.since else ""
    caption = f"Rates and confidences{newest}{more}. {found.told}".rstrip(". ")
    return table(
        rows[:MOST_GROUPS], caption=caption, marks={"moved": {"yes": "warn"}},
        formats={"before": number, "now": number, "deviations": signed, "natural": number, "standard errors": signed,
                 "p": p_value},
    )


def _moved(one: Moved, alpha: float) -> str:
    if math.isnan(one.p_value):
        return "too few values"
    if one.p_value > alpha:
        return "no"
    return "no more than is natural" if one.natural else "yes"


def windows(*shown: Window) -> Styler:
    """Windows with their bounds and counts, each once."""
    rows = [
        {"window": w.name, "from": w.start, "to": w.end, "records": w.rows, "labels known": w.labelled}
        for w in {id(one): one for one in shown}.values()
    ]
    return table(rows, caption="Windows (the end is not included)", formats={
        "from": moment, "to": moment, "records": count, "labels known": count})


def contract(seen: Contract) -> Styler:
    """The columns as they were found."""
    rows = [
        {"column": c.name, "role": c.role, "type": c.type, "missing": c.nulls / seen.rows, "distinct": c.distinct}
        for c in seen.columns
    ]
    caption = f"{plural(seen.rows, 'record')} from {seen.first:%Y-%m-%d %H:%M} to {seen.last:%Y-%m-%d %H:%M}"
    if seen.labelled:
        caption += f", {seen.labelled:,} with a known label ({seen.labelled / seen.rows:.1%})"
    if seen.timeless:
        caption += f"; {seen.timeless:,} more have no time, so they are left out everywhere"
    return table(rows, caption=caption, formats={"missing": percent, "distinct": count})


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


def gates(given: Verdict) -> Styler:
    """What must hold whatever the figures are, with its evidence."""
    shut = sum(not gate.passed for gate in given.gates)
    words = f"{shut} of {len(given.gates)} gates are shut" if shut else "The figures are fair, and the model can serve"
    return checks(given.gates, words)


def request(asked: Request) -> Styler:
    """What a person is asked."""
    return facts({
        "run that asks": asked.run_id, "what": f"may it go on {asked.what}?", "as of": moment(asked.as_of),
        "asked": f"{moment(asked.requested_at)} UTC", "expires": f"{moment(asked.expires_at)} UTC",
        "champion then": _version(asked.champion), "severity": asked.severity or "–",
        "why it asks": " ".join(asked.reasons) or "–",
    })


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
        **({"outcomes": describe(params.windows.outcomes)} if params.windows.outcomes else {}),
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
    from trimtab.measure.columns.bins import NumericBins

    rows = []
    for name, column in seen.columns.items():
        bins = column.bins
        if isinstance(bins, NumericBins):
            ends = bins.minimum, bins.maximum
            kind, told = "numeric", span(*ends, count if all(map(_whole, ends)) else number)
        else:
            kind, told = "categorical", f"{plural(len(bins.levels), 'level')}: {listed(bins.levels)}"
        rows.append({
            "column": name, "kind": kind, "range or levels": told,
            "missing": column.missing / column.rows if column.rows else math.nan,
        })
    return table(rows, caption=f"Reference profile of {plural(seen.rows, 'record')}", formats={"missing": percent})


def _whole(value: float) -> bool:
    return math.isfinite(value) and value == round(value)


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
    caption = f"{who} {plural(held.window.rows, 'record')} " \
              f"from {moment(held.window.start)} to {moment(held.window.end)}, " \
              "from which no model here has learned"
    return table(rows, caption=caption, formats={"records learned from": count})


def comparison(held: Contest) -> Styler:
    """Every metric of both models over all records, with what the challenger gains."""
    differences = held.evaluation.differences.items()
    rows = [_compared(one.metric, pair) for one, pair in differences if one.label is None and one.segment is None]
    if not rows:
        return sentence("There is no champion to compare with.")
    same = plural(held.window.rows, "record")
    caption = f"What the challenger gains over the champion on the same {same}; a plus is better"
    formats = {"champion": number, "challenger": number, "gain": signed}
    return table(rows, caption=caption, formats=formats, marks={"challenger is": {"better": "good", "worse": "bad"}})


def _compared(name: str, pair: PairedDifference) -> dict[str, Any]:
    found = gain(name, pair.difference)
    return {
        "metric": name, "better is": better_is(name), "champion": pair.champion.value,
        "challenger": pair.challenger.value, "gain": found.value, "interval": span(found.low, found.high, signed),
        "challenger is": told_apart(name, pair.difference),
    }


def comparison_by_group(held: Contest) -> Styler:
    """The gains per class and per segment, one line each; ▲ and ▼ where chance does not explain them."""
    signs = {"better": " ▲", "worse": " ▼", "not told apart": ""}
    found: dict[str, dict[str, Any]] = {}
    for measure, pair in held.evaluation.differences.items():
        if (measure.label is None) == (measure.segment is None):
            continue
        name = group_name(measure)
        row = found.setdefault(name, {"group": name, "records": 0})
        row["records"] = max(row["records"], held.evaluation.challenger.support[measure])
        row[measure.metric] = (
            signed(gain(measure.metric, pair.difference).value) + signs[told_apart(measure.metric, pair.difference)])
    caption = "What the challenger gains over the champion (a plus is better); ▲: it is better, ▼: worse, otherwise " \
              "not told apart"
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
        "file": "as registered, only reviewed types", "loads": f"in a fresh process, in {made.load_seconds:.2f} s",
        "predicts": f"{plural(made.rows, 'record')} of the {made.window} window, "
        f"{made.latency * 1000:.3g} ms for one alone",
        "mean score": number(made.mean_score), "agreement with the champion (1: the same)": number(made.agreement),
    }
    return facts({name: text for name, text in told.items() if text != "–"}, f"Version {made.version} can serve")


def _version(number_: int | None) -> str:
    return "none yet" if number_ is None else f"version {number_}"

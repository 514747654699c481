"""The drift check, step by step, as notebook 02 calls it: outputs, performance, signals, guard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import nan
from typing import Any

from trimtab.decide import columns, losses
from trimtab.decide import signals as rules
from trimtab.decide.classes import class_drop
from trimtab.decide.decision import Decision
from trimtab.decide.grading import Grader, graded, unmeasured
from trimtab.decide.guardrails import Guard
from trimtab.decide.segments import segment_drift
from trimtab.decide.severity import rank
from trimtab.decide.signals import Measurement, Signal
from trimtab.errors import UsageError
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.segments import SegmentDrift
from trimtab.measure.columns.variation import variation
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.metrics import METRICS
from trimtab.plain import plain
from trimtab.run import rhythm
from trimtab.run.causes import causes
from trimtab.run.classes import class_changes
from trimtab.run.expected import Expected, expected
from trimtab.run.foretold import foretold
from trimtab.run.freshness import freshness, schedules
from trimtab.run.guarding import ask, guard
from trimtab.run.history import History, history
from trimtab.run.joint import Joint, joint
from trimtab.run.profiles import whole_days
from trimtab.run.proportions import proportions
from trimtab.run.scored import Scored, judge, primary_metric, score
from trimtab.run.segments import segments
from trimtab.run.session import Session
from trimtab.run.words import words, words_since
from trimtab.settings.triggers import Every, Trigger
from trimtab.windows import Window

__all__ = [    # a notebook finds all of a check here
    "Expected", "History", "Joint", "Scored", "causes", "decision_facts", "expected", "foretold", "guard", "history",
    "joint", "judge", "last_decision", "loss_thresholds", "overall", "past_signals", "performance_drop",
    "primary_metric", "proportions", "record", "score", "segments", "signals", "since_last", "words",
]


_MOST_PAST = 2000    # signals of past checks that are drawn


def signals(
    session: Session,
    drift: Drift,
    scored: Scored,
    window: Window,
    *,
    outcomes: Window | None = None,
    judged: Scored | None = None,
    together: Joint | None = None,
    apart: SegmentDrift | None = None,
    past: History | None = None,
    estimates: Expected | None = None,
) -> list[Signal]:
    """Every measurement of the check, held against its triggers.

    Parameters
    ----------
    outcomes : Window, optional
        The records whose outcomes are looked at; by default those of the window.
    judged : Scored, optional
        What the champion said about these.
    together : Joint, optional
        Without it, nothing is said of all columns together.
    apart : SegmentDrift, optional
        Without it, nothing is said of segments.
    past : History, optional
        Without it, nothing is said of how the error has changed over time.
    estimates : Expected, optional
        Without it, nothing is estimated where labels are not known yet, nor is it said what the error follows from.
    """
    settings, judged = session.thresholds, judged or scored
    measured = measured_of_columns(session, drift, window)
    if together is not None:
        measured.append(rules.joint_drift(
            together.separation, together.carriers, floor=together.floor, alpha=settings.alpha
        ))
    if apart is not None and apart.named:
        measured.append(segment_drift(apart, settings))
    measured += columns.outputs(scored.drift, settings) if scored.drift is not None else [
        Measurement("prediction_drift", nan, scored.incomparable, evidence=nan)
    ]
    if scored.rows or scored.faulty:
        told = scored.remarks if scored.rows else scored.incomparable
        measured.append(rules.unusable_outputs(scored.faulty, told))
    if judged.label_drift is not None and session.params.task == "classification":
        measured.append(columns.class_balance(judged.label_drift, settings))
    if session.params.task == "classification" and judged.performance is not None:
        measured.append(class_drop(class_changes(session, judged), alpha=settings.alpha))
    labelled = session.params.data.label is not None
    if past is not None and labelled:
        measured.append(losses.concept_drift(
            past.change, past.loss, alpha=settings.alpha, metric=past.metric,
            cause=estimates.causes.get(past.metric) if estimates else None,
        ))
    if estimates is not None:
        measured.append(estimated_drop(session, estimates, scored))
    measured += [*freshness(session, window), *_completeness(session, outcomes or window)]
    triggers = rules.triggers_for(settings, session.params.triggers)
    graders: list[Grader] = [partial(rules.grade, measurement) for measurement in measured]
    if due := schedules(session, triggers):
        graders.append(partial(_most_serious, due))
    if labelled:
        graders.append(_of_losses(session, judged, triggers))
    found = graded(graders, triggers)
    return [*found, *unmeasured(session.params.triggers, found)]


def _most_serious(due: Mapping[Every, Measurement], triggers: Sequence[Trigger]) -> Signal:
    """Of several schedules, each held against its own rules."""
    found = [rules.grade(one, [rule for rule in triggers if rule.every == every]) for every, one in due.items()]
    return max(found, key=lambda one: rank(one.severity))


def since_last(session: Session, window: Window) -> Drift | None:
    """How columns moved from the window before to this one, by the same bins and words; None if there was none before.

    Beside the comparison with the reference: what moved long ago stays moved there, and is still here.
    """
    length = window.end - window.start
    before = session.records.between("window before", window.start - length, window.start)
    if not before.rows:
        return None
    reference, earlier, now = (session.profile(one) for one in (session.reference_window(), before, window))
    known = None if reference.days is None or now.days is None else variation(
        reference.days, now.rows, len(now.days))
    return compare(earlier, now, variation=known, beside=words_since(session, before, window))


def measured_of_columns(session: Session, drift: Drift, window: Window) -> list[Measurement]:
    """What the watched columns alone tell, without a champion."""
    return [*columns.inputs(drift, session.thresholds), *_watched_by_one_number(session, window)]


def _watched_by_one_number(session: Session, window: Window) -> list[Measurement]:
    """Rates and confidences, where there are any."""
    found, alpha = proportions(session, window), session.thresholds.alpha
    looks = {"rate_drop": (columns.rate_drop, found.rates),
             "confidence_shift": (columns.confidence_shift, found.confidences)}
    measured = [look(moved, alpha=alpha) for look, moved in (looks[name] for name in found.named)]
    return [replace(one, message=f"{one.message} {found.told}".rstrip()) for one in measured]


def past_signals(session: Session, found: Sequence[Signal]) -> list[dict[str, Any]]:
    """The signals of this check, and of earlier ones of this model up to the time at which the session stands."""
    now = [{**vars(signal), "as_of": session.as_of} for signal in found]
    earlier = session.ledger.signals(limit=_MOST_PAST)
    return now + [row for row in earlier if row["as_of"] < session.as_of]


def estimated_drop(session: Session, estimates: Expected, scored: Scored | None = None) -> Measurement:
    """Estimated performance against the baseline; nan where there is no estimate.

    Parameters
    ----------
    scored : Scored, optional
        With it, a window without all weekdays is held against the same weekdays of the holdout.
    """
    metric = estimates.metric
    if metric not in estimates.first:
        return Measurement("estimated_drop", nan, estimates.why_not(metric), evidence=nan)
    better = METRICS[metric].greater_is_better
    return losses.estimated_drop(
        metric, estimates.first[metric], greater_is_better=better, alpha=session.thresholds.alpha,
        weekdays=rhythm.usual(session, scored, metric) if scored else None,
    )


def performance_signal(session: Session, scored: Scored) -> Signal:
    """Realised performance against the baseline by the primary metric, and by those that rules name."""
    triggers = rules.triggers_for(session.params.drift, session.params.triggers)
    return _of_losses(session, scored, triggers)([rule for rule in triggers if rule.with_ is None])


def _of_losses(session: Session, scored: Scored, triggers: Sequence[Trigger]) -> Grader:
    """What holds realised losses against rules."""
    primary = primary_metric(session.params)
    metrics = dict.fromkeys([primary, *(t.metric for t in triggers if t.metric is not None)])
    alpha = session.thresholds.alpha / len(metrics)
    drops = {metric: performance_drop(session, scored, metric, alpha=alpha) for metric in metrics}
    return partial(losses.graded_loss, drops, primary=primary)


def performance_drop(
    session: Session, scored: Scored, metric: str | None = None, *, alpha: float | None = None
) -> Measurement:
    """Realised performance against the baseline; nan where either is not known, or rests on too few outcomes.

    A window without all weekdays is held against the same weekdays of the holdout, where these came twice at least.

    Parameters
    ----------
    metric : str, optional
        By default the one that speaks for the model.
    alpha : float, optional
        By default this kind of evidence's part of `drift.alpha`.
    """
    name, metric = "performance_drop", metric or primary_metric(session.params)
    if scored.performance is None:
        return Measurement(name, nan, scored.missing, evidence=nan)
    before, after = (p.values.get(Measure(metric)) if p else None for p in (scored.baseline, scored.performance))
    if before is None or after is None:
        why = scored.no_scores if METRICS[metric].needs_scores and scored.no_scores else "The other window lacks it."
        return Measurement(name, nan, f"{metric} is not known for both windows. {why}", evidence=nan)
    known, binary = scored.performance.rows, scored.outputs is not None and scored.outputs.positive is not None
    counting = scored.performance.support.get(Measure(metric), known) if binary else known
    too_few = losses.too_few_outcomes(metric, known, counting)
    if too_few:
        return Measurement(name, nan, too_few, evidence=nan)
    level = session.thresholds.alpha if alpha is None else alpha
    same_weekdays = rhythm.realised(session, scored, metric, confidence=1 - level)
    before, after = same_weekdays or (before, after)
    return losses.performance_drop(
        metric, before, after, greater_is_better=METRICS[metric].greater_is_better, alpha=level,
        of=" on the same weekdays of the holdout" if same_weekdays else "",
    )


def _completeness(session: Session, window: Window) -> list[Measurement]:
    if session.params.data.label is None:
        return []
    end = min(window.end, session.as_of - session.params.data.label_delay)
    if end <= window.start:
        return [rules.label_completeness(0, 0)]
    due = session.records.between("due", window.start, end)
    return [rules.label_completeness(due.rows, due.labelled)]


def loss_thresholds(session: Session) -> tuple[float, ...]:
    """Shares of the baseline from which on a realised loss of the primary metric is graded, in ascending order."""
    rule_book = rules.triggers_for(session.params.drift, session.params.triggers)
    named = (None, primary_metric(session.params))
    mine = (t for t in rule_book if t.signal == "performance_drop" and t.unit == "share" and t.metric in named)
    return tuple(sorted({t.at_least for t in mine if t.at_least > 0}))


def record(
    session: Session, found: list[Signal], decision: Decision, allowed: Guard, window: Window | None = None
) -> None:
    """Write signals, decision and guard to the ledger, and ask for approval where that is all that is missing.

    Parameters
    ----------
    window : Window, optional
        Whose outcomes were looked at. With it, what was found of the champion's performance stands beside its last
        day's snapshot.
    """
    session.ledger.record_check(session.run_id, session.as_of, found, decision, allowed)
    ask(session, decision, allowed)
    lost = next((one for one in found if one.name == "performance_drop"), None)
    if window is not None and lost is not None:
        mark(session, window, lost)


def mark(session: Session, window: Window, lost: Signal) -> None:
    """Write what became of the champion's performance in a window beside the snapshot of its last day."""
    session.ledger.days.mark_snapshot(
        session.champion.version, *whole_days(window),
        p_value=lost.p_value, performance_delta=-lost.value, is_degraded=lost.severity != "none",
    )


def last_decision(session: Session) -> Decision:
    """The decision of this run, or in an interactive session the newest one.

    Raises
    ------
    UsageError
        When there is none.
    """
    decision = session.ledger.decision(None if session.interactive else session.run_id)
    if decision is None:
        raise UsageError("no drift analysis has decided anything yet; run 02_drift_analysis first")
    return decision


def overall(scored: Scored) -> dict[str, float]:
    """Realised metrics over all records, by name; empty while no label is known."""
    return scored.performance.overall() if scored.performance else {}


def decision_facts(decision: Decision, allowed: Guard) -> dict[str, Any]:
    """What later steps need to know of a decision."""
    told: dict[str, Any] = plain(decision)
    return told | {"allowed": allowed.allowed, "blocked_by": allowed.blocked_by, "obstacles": allowed.obstacles}

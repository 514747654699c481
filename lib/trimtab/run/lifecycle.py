"""What a model lives through, as notebooks 01, 03, 04 and 05 call it: trained, evaluated, promoted, rolled back."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trimtab.act import champion as champions
from trimtab.act import training as trainer
from trimtab.act.champion import Change
from trimtab.act.rows import now
from trimtab.decide import promotion
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Guard
from trimtab.decide.promotion import Verdict
from trimtab.errors import ParamsError, TimeLimitError, TrimtabError, UsageError
from trimtab.measure.models.intervals import Resampling
from trimtab.measure.models.metrics import METRICS, evaluate
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import Evaluation, evaluate_pair
from trimtab.measure.unlabelled import holdouts
from trimtab.plain import plain
from trimtab.run import answered, history
from trimtab.run.causes import importance_of, importance_to_json
from trimtab.run.classes import rates_to_json
from trimtab.run.manifest import code_version
from trimtab.run.reach import features_of, reach_by_day
from trimtab.run.rollbacks import Proof, prove, roll_back, rollback_facts, search, targets
from trimtab.run.scored import baseline_to_json, primary_metric
from trimtab.run.serving import gates_of, refuse_secrets
from trimtab.run.session import Session
from trimtab.run.versions import Model
from trimtab.settings.notation import parse_time
from trimtab.settings.promotion import Criterion
from trimtab.windows import Window

if TYPE_CHECKING:
    import pandas as pd

__all__ = [    # a notebook finds a model's whole life here
    "Appointment", "Challenger", "Contest", "Proof", "appoint", "appointment_facts", "challenger", "challenger_facts",
    "check_criteria", "check_metric", "evaluate_challenger", "evaluation_facts", "first_champion", "holdout", "judge",
    "prove", "roll_back", "rollback_facts", "search", "targets", "train",
]


@dataclass(frozen=True)
class Challenger:
    """A version that was trained in the shadow.

    Attributes
    ----------
    version : int
        In the registry, under no alias.
    name, estimator : str
        The candidate and its class.
    lineage : dict
        Windows, fingerprint, params, run and code version.
    seconds : float
        Of fitting.
    others : dict
        The primary metric of every candidate on the records that chose among them, by name; empty for a single one.
    """

    version: int
    name: str
    estimator: str
    lineage: Mapping[str, Any]
    seconds: float
    others: Mapping[str, float]


@dataclass(frozen=True)
class Appointment:
    """What came of a verdict: who serves now."""

    verdict: Verdict
    champion_before: int | None
    champion_after: int | None
    change: Change | None
    dry_run: bool = False


def train(session: Session, guard: Guard | None, *, trigger: Decision | None = None) -> Challenger:
    """Train every candidate in the shadow and register it; the best goes forward.

    Parameters
    ----------
    guard : Guard or None
        Must allow it; None for the first model, which nothing asks for.
    trigger : Decision, optional
        What asked for it, for the record.

    Raises
    ------
    UsageError
        When the guard does not allow it.
    TimeLimitError, StepError
        When training took too long or failed; the champion is as it was.
    """
    if guard is not None and not guard.allowed:
        raise UsageError(f"retraining is blocked by {', '.join(guard.blocked_by)}")
    approved = session.ledger.approvals.granted(session.serving) if trigger is not None else None
    if approved is not None:
        session.ledger.approvals.use(approved.run_id, session.run_id)
    older, newer = session.training_windows()
    event = _begin_event(session, trigger, older, newer)
    try:
        trained = _train_all(session, older)
        made = [_register(session, one, older, newer) for one in trained]
    except TrimtabError as error:
        session.ledger.retrains.close_retrain(session.run_id, session.loaded.redact(str(error)))
        raise
    finally:
        shutil.rmtree(session.workshop, ignore_errors=True)    # what is registered lies with the registry
    best = _best(session, made)
    source = str(session.registry.fetch(best.version))
    event(retrain_successful=trigger is not None, new_version=best.version, artifact_path=source)
    return best


def _begin_event(session: Session, trigger: Decision | None, older: Window, newer: Window) -> Any:
    """Open the retrain event; returns a function that adds to it."""

    def _add(**values: Any) -> None:
        session.ledger.retrains.record_retrain(session.run_id, as_of=session.as_of, **values)

    _add(
        retrain_attempted=trigger is not None,
        train_records=older.rows, valid_records=newer.rows,
        trigger_type="drift" if trigger else "baseline",
        severity=trigger.severity if trigger else "none",
        drift_type=", ".join(trigger.root_causes[:3]) if trigger else None,
        reason=" ".join(trigger.reasons) if trigger else "There was no champion.",
        reason_json=plain(trigger) if trigger else None,
    )
    return _add


def _train_all(session: Session, window: Window) -> list[trainer.Trained]:
    params = session.params
    frame = session.frame(window, labelled=True)
    limit = params.guardrails.max_runtime
    until = time.monotonic() + limit.total_seconds()
    folder = session.workshop
    trained = []
    for name, candidate in params.estimator.named().items():
        left = timedelta(seconds=until - time.monotonic())
        if left <= timedelta(0):
            raise TimeLimitError(f"guardrails.max_runtime was used up before {name} could be trained")
        trained.append(trainer.train(
            name, candidate, params.data, params.task, frame, folder=folder / name, max_runtime=left
        ))
        refuse_secrets(session, trained[-1].folder)
    return trained


def _register(session: Session, trained: trainer.Trained, older: Window, newer: Window) -> Challenger:
    """Register a trained model with its lineage, and forget the folder that it came in."""
    lineage = _lineage(session, trained, older, newer)
    tags = {"run_id": session.run_id, "as_of": session.as_of.isoformat()}
    tags["fingerprint"] = lineage["fingerprint"]["sha256"]
    version = session.registry.register(trained.folder, tags=tags, metrics={"fit_seconds": trained.seconds})
    session.ledger.record_version(
        version, run_id=session.run_id, as_of=session.as_of, sha256=trained.sha256,
        source=str(session.registry.fetch(version)), lineage=lineage,
    )
    return Challenger(version, trained.name, trained.class_path, lineage, trained.seconds, {})


def _lineage(session: Session, trained: trainer.Trained, older: Window, newer: Window) -> dict[str, Any]:
    params = session.params
    lineage: dict[str, Any] = plain({
        "candidate": trained.name, "class": trained.class_path, "package": trained.package,
        "trained_from": older.start, "trained_until": older.end,
        "holdout_from": newer.start, "holdout_until": newer.end,
        "train_records": older.rows, "holdout_records": newer.rows,
        "fingerprint": session.records.fingerprint(older), "positive": session.settled_positive(older),
        "features": params.data.features, "params": session.loaded.public,
        "run_id": session.run_id, "as_of": session.as_of, "code": code_version(), "seconds": trained.seconds,
    })
    return lineage


def _best(session: Session, made: Sequence[Challenger]) -> Challenger:
    """The candidate with the best primary metric on records that will not judge it; with one candidate, that one."""
    if len(made) == 1:
        return made[0]
    name = primary_metric(session.params)
    models = [session.model(one.version) for one in made]
    outputs = answered.outputs(session, models, session.frame(session.choice_window(), labelled=True))
    values = {one.name: _value(name, o) for one, o in zip(made, outputs, strict=True)}
    sign = METRICS[name].sign
    best = max(made, key=lambda one: (sign * values[one.name]) if not math.isnan(values[one.name]) else -math.inf)
    return Challenger(best.version, best.name, best.estimator, best.lineage, best.seconds, values)


def _value(name: str, outputs: Outputs) -> float:
    """A metric, or nan where a model gives no probabilities that it could be computed from."""
    return math.nan if METRICS[name].needs_scores and outputs.scores is None else evaluate(name, outputs)


def challenger(session: Session) -> Model:
    """The challenger of this run, or in an interactive session the newest version.

    Raises
    ------
    UsageError
        When there is none.
    """
    event = [e for e in session.ledger.retrains.retrain_events() if e["run_id"] == session.run_id and e["new_version"]]
    version = event[0]["new_version"] if event else session.ledger.version_of_run(
        None if session.interactive else session.run_id
    )
    if version is None:
        raise UsageError("no challenger was trained yet; run 03_retrain first")
    return session.model(version)


def holdout(session: Session, model: Model, other: Model | None = None) -> Window:
    """The challenger's holdout, without any record that either model learned from.

    Raises
    ------
    UsageError
        When nothing is left of it.
    """
    start, end = parse_time(model.lineage["holdout_from"]), parse_time(model.lineage["holdout_until"])
    if other is not None and other.lineage:
        start = max(start, parse_time(other.lineage["trained_until"]))
    if start >= end:
        raise UsageError(
            f"no record of version {model.version}'s holdout (to {end:%Y-%m-%d %H:%M}) is younger than what version "
            f"{other.version if other else '?'} learned from, so the two cannot be compared fairly"
        )
    window = session.records.between("holdout", start, end, labelled=True)
    if not window.rows:
        raise UsageError(f"the {window} holds no labelled records, so nothing can be evaluated")
    return window


@dataclass(frozen=True)
class Contest:
    """An evaluation with what is needed to act on it.

    Attributes
    ----------
    champion : Model or None
        The challenger's rival; None when nobody served, or the challenger itself.
    outputs : Outputs
        Of the challenger.
    records : DataFrame
        The records that both were held to, in the same order.
    serving : int or None
        The version that served when the two were compared, which a promotion expects to find unchanged.
    """

    evaluation: Evaluation
    window: Window
    challenger: Model
    champion: Model | None
    outputs: Outputs
    records: pd.DataFrame = field(repr=False)
    serving: int | None = None


def evaluate_challenger(session: Session, model: Model) -> Contest:
    """Hold the challenger and the champion to the same records, which neither learned from."""
    serving = session.registry.champion()
    rival = session.model(serving) if serving is not None and serving != model.version else None
    window = holdout(session, model, rival)
    frame = session.frame(window, labelled=True)
    outputs = answered.outputs(session, [model, rival] if rival else [model], frame)
    criteria = session.params.promotion.criteria
    try:
        found = evaluate_pair(
            outputs[0],
            outputs[1] if rival else None,
            metrics=[c.metric for c in criteria if c.per != "class"],
            per_class=[c.metric for c in criteria if c.per == "class"],
            segments=session.segments(frame),
            days=session.days(frame),
            resampling=Resampling(confidence=session.params.promotion.confidence),
        )
    except ValueError as error:
        raise ParamsError(f"promotion.criteria: {error}") from None
    return Contest(found, window, model, rival, outputs[0], frame, serving)


def judge(session: Session, contest: Contest) -> Verdict:
    """The verdict that the params file's criteria give; a version that serves already has nothing to earn."""
    gates = gates_of(session, contest.challenger, contest.window, contest.records)
    verdict = promotion.judge(session.params.promotion.criteria, contest.evaluation, gates)
    if contest.serving != contest.challenger.version:
        return verdict
    again = f"Version {contest.challenger.version} serves already; it was measured again and left in place."
    return Verdict("hold", (again,), verdict.rows, gates)


def check_metric(key: str, name: str, task: str) -> None:
    """Refuse a metric that is unknown, or of the other task.

    Raises
    ------
    ParamsError
        Naming the key.
    """
    known = METRICS.get(name)
    if known is None:
        raise ParamsError(f"{key}: unknown metric {name!r}; known: {', '.join(METRICS)}")
    if (task == "regression") != ("regression" in known.tasks):
        raise ParamsError(f"{key}: {name} is not defined for task: {task}")


def check_criteria(criteria: Sequence[Criterion], task: str) -> None:
    """Refuse criteria that could never be computed, before anything runs.

    Raises
    ------
    ParamsError
        For an unknown metric, one of the other task, and one per class that has no values per class.
    """
    for criterion in criteria:
        check_metric("promotion.criteria", criterion.metric, task)
        known = METRICS[criterion.metric]
        if criterion.per == "class" and known.prepare_per_class is None:
            per_class = ", ".join(name for name, one in METRICS.items() if one.prepare_per_class)
            raise ParamsError(f"promotion.criteria: {criterion.metric} has no values per class; those do: {per_class}")


def appoint(session: Session, contest: Contest, verdict: Verdict) -> Appointment:
    """Carry out a verdict: promote by compare-and-swap, or leave the champion; record it either way."""
    ledger, model, before = session.ledger, contest.challenger, contest.serving
    records, outputs, days = contest.records, contest.outputs, session.days(contest.records)
    baseline = baseline_to_json(contest.evaluation.challenger, outputs, days)
    baseline["importance"] = importance_to_json(importance_of(session, model, records, outputs))
    ledger.record_baseline(model.version, baseline | {"classes": rates_to_json(session, records, outputs)})
    features = features_of(session.params.data, records)
    kept = holdouts.keep(features, outputs)
    ledger.days.keep_holdout(model.version, kept)
    reach = reach_by_day(kept, kept.encode(features), outputs, days)
    ledger.days.keep_snapshots(model.version, history.of_holdout(session, outputs, records, reach))
    ledger.record_verdict(session.run_id, session.as_of, verdict, champion=before, challenger=model.version)
    if verdict.outcome == "needs_approval":
        _ask(session, contest, verdict)
    change = None
    if verdict.outcome == "promote":
        change = champions.change(
            ledger, session.registry, kind="promotion", expected=before, to_version=model.version,
            run_id=session.run_id, as_of=session.as_of, by="trimtab", why=" ".join(verdict.reasons),
        )
    if before != model.version:    # measuring the champion again is no part of the event that made it
        _complete_event(session, contest, verdict, promoted=change is not None)
    return Appointment(verdict, before, session.registry.champion(), change, session.dry_run)


def _ask(session: Session, contest: Contest, verdict: Verdict) -> None:
    """Ask a person whether this very challenger may serve."""
    known = session.ledger.version(contest.challenger.version) or {}
    session.ledger.approvals.ask(
        session.run_id, "promotion", as_of=session.as_of, expires=session.params.promotion.approval_expires,
        champion=contest.serving, challenger=contest.challenger.version, sha256=known.get("sha256"),
        reasons=verdict.reasons,
    )


def _complete_event(session: Session, contest: Contest, verdict: Verdict, *, promoted: bool) -> None:
    new = contest.evaluation.challenger.overall()
    old = {m.metric: pair.champion.value for m, pair in contest.evaluation.differences.items()
           if m.label is None and m.segment is None}
    name = primary_metric(session.params)
    before, after = old.get(name, math.nan), new.get(name, math.nan)
    improvement = METRICS[name].sign * (after - before) / abs(before) * 100 if before else math.nan
    trained_by = str(contest.challenger.lineage["run_id"])    # the event is that of the run that trained it
    session.ledger.retrains.record_retrain(
        trained_by, promoted=promoted, new_version=contest.challenger.version,
        acc_old=old.get("accuracy"), acc_new=new.get("accuracy"), f1_old=old.get("f1"), f1_new=new.get("f1"),
        new_r2=new.get("r2"), new_rmse=new.get("rmse"), new_accuracy=new.get("accuracy"), previous_r2=old.get("r2"),
        improvement_percent=improvement, metrics={"champion": old, "challenger": new},
        notes=" ".join(verdict.reasons), finished_at=now(), completed_at=now(),
    )


def appointment_facts(appointment: Appointment) -> dict[str, Any]:
    """What later steps need to know of an appointment."""
    return {
        "verdict": appointment.verdict.outcome,
        "champion_before": appointment.champion_before, "champion_after": appointment.champion_after,
    }


def challenger_facts(made: Challenger) -> dict[str, Any]:
    """What later steps need to know of a challenger."""
    counts = {name: made.lineage[name] for name in ("train_records", "holdout_records", "fingerprint")}
    return {"challenger": made.version, "estimator": made.estimator, "fit_seconds": made.seconds, **counts}


def evaluation_facts(contest: Contest, verdict: Verdict) -> dict[str, Any]:
    """What later steps need to know of an evaluation."""
    pairs = contest.evaluation.differences.items()
    champion = {m.metric: p.champion.value for m, p in pairs if m.label is None and m.segment is None}
    return {
        "reasons": verdict.reasons, "challenger": contest.challenger.version,
        "metrics_champion": champion, "metrics_challenger": contest.evaluation.challenger.overall(),
    }


def first_champion(session: Session) -> Contest:
    """The champion with its own holdout; where there is none yet, a model trained to become the first."""
    serving = session.registry.champion()
    if serving is None:
        return evaluate_challenger(session, session.model(train(session, None).version))
    model = session.model(serving)
    if not model.lineage:
        raise UsageError(f"version {serving} serves but was not trained by Trimtab, so no holdout of it is known")
    return evaluate_challenger(session, model)

"""How is a challenger made in the shadow? Every candidate is trained and registered, the best goes forward."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from trimtab.act import training as trainer
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Guard
from trimtab.decide.signals import kind_of_trigger
from trimtab.errors import TimeLimitError, TrimtabError, UsageError
from trimtab.measure.models.metrics import METRICS, evaluate
from trimtab.measure.models.outputs import Outputs
from trimtab.plain import plain
from trimtab.run import answered
from trimtab.run.manifest import code_version
from trimtab.run.scored import primary_metric
from trimtab.run.serving import refuse_secrets
from trimtab.run.session import Session
from trimtab.windows import Window


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
        raise UsageError(f"retraining is blocked by {'; '.join(guard.obstacles)}")
    approved = session.ledger.approvals.granted(session.serving) if trigger is not None else None
    if approved is not None:
        session.ledger.approvals.use(approved.run_id, session.run_id)
    older, newer = session.training_windows()
    event = _begin_event(session, trigger, older, newer)
    try:
        trained = _train_all(session, older)
        made = [_register(session, one, older, newer) for one in trained]
    except TrimtabError as error:
        how = "timed_out" if isinstance(error, TimeLimitError) else "failed"
        session.ledger.retrains.close_retrain(session.run_id, f"{how}: {session.loaded.redact(str(error))}")
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
        trigger_type=_kind(session, trigger) if trigger else "baseline",
        severity=trigger.severity if trigger else "none",
        drift_type=", ".join(trigger.root_causes[:3]) if trigger else None,
        reason=" ".join(trigger.reasons) if trigger else "There was no champion.",
        reason_json=plain(trigger) if trigger else None,
    )
    return _add


def _kind(session: Session, trigger: Decision) -> str:
    """What kind of rule asked, going by this run's most serious signals."""
    return kind_of_trigger(
        row["name"] for row in session.ledger.signals()
        if row["run_id"] == session.run_id and row["severity"] == trigger.severity)


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
    session.ledger.lease.require(session.run_id)    # a version once registered cannot be taken back
    version = session.registry.register(trained.folder, tags=tags, metrics={"fit_seconds": trained.seconds})
    session.ledger.record_version(
        version, run_id=session.run_id, as_of=session.as_of, sha256=trained.sha256,
        source=str(session.registry.fetch(version)), lineage=lineage, files=trained.files,
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


def challenger_facts(made: Challenger) -> dict[str, Any]:
    """What later steps need to know of a challenger."""
    counts = {name: made.lineage[name] for name in ("train_records", "holdout_records", "fingerprint")}
    return {"challenger": made.version, "estimator": made.estimator, "fit_seconds": made.seconds, **counts}

"""What becomes of a verdict? The champion changes or stays, and what was measured of the challenger is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from trimtab.act import champion as champions
from trimtab.act.champion import Change
from trimtab.act.rows import now
from trimtab.decide.promotion import Verdict
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.unlabelled import holdouts
from trimtab.run import history
from trimtab.run.causes import importance_of, importance_to_json
from trimtab.run.classes import rates_to_json
from trimtab.run.contests import Contest
from trimtab.run.reach import features_of, reach_by_day
from trimtab.run.scored import baseline_to_json, primary_metric
from trimtab.run.session import Session


@dataclass(frozen=True)
class Appointment:
    """What came of a verdict: who serves now."""

    verdict: Verdict
    champion_before: int | None
    champion_after: int | None
    change: Change | None
    dry_run: bool = False


def appoint(session: Session, contest: Contest, verdict: Verdict) -> Appointment:
    """Carry out a verdict: promote by compare-and-swap, or leave the champion; record it either way."""
    ledger, model, before = session.ledger, contest.challenger, contest.serving
    ledger.lease.require(session.run_id)
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
        trained_by, in_run=session.run_id, promoted=promoted, new_version=contest.challenger.version,
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

"""What do the safeguards need to know, and whom does a run ask that may not go on by itself?"""

from __future__ import annotations

from trimtab import contract
from trimtab.act.approvals import Request
from trimtab.decide import guardrails
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Circumstances, Guard
from trimtab.plain import plain
from trimtab.run.session import Session
from trimtab.settings.notation import parse_time
from trimtab.windows import Window

_HOW = ("task", "data", "estimator")    # sections of a params file that a model follows from


def guard(session: Session, decision: Decision) -> Guard:
    """Whether retraining may start now, with the evidence for each safeguard."""
    ledger = session.ledger
    training = session.training_windows()[0] if session.params.data.label is not None else None
    approved = ledger.approvals.granted(session.serving)
    active = ledger.lease.active()
    return guardrails.check(decision, session.params.guardrails, Circumstances(
        training_records=training.rows if training else 0,
        recent_records=_recent(session),
        as_of=session.as_of,
        tenant=session.params.tenant,
        retrained=ledger.retrains.retrained(session.run_id),
        rolled_back=ledger.succession.rolled_back(),
        asked=ledger.asked(session.run_id, session.as_of),
        approved_by=approved.by if approved else None,
        other_run=None if active == session.run_id else active,
        broken=_broken(session),
        repeated=_repeated(session, training) if training else False,
    ))


def ask(session: Session, decision: Decision, allowed: Guard) -> Request | None:
    """Ask for approval where that is all that is missing; None where nobody needs to be asked."""
    if not (decision.needs_retrain and allowed.waits_for_a_person):
        return None
    return session.ledger.approvals.ask(
        session.run_id, "retrain", as_of=session.as_of, expires=session.params.guardrails.approval_expires,
        champion=session.serving, severity=decision.severity, reasons=decision.reasons,
    )


def _broken(session: Session) -> list[str]:
    """In which ways the records break what the params file says of them: what a run can look at, but not learn from."""
    gone = contract.gone(session.records, *session.windows())
    return [f"column {name!r} holds nothing in the current window, and was never empty for as long before"
            for name in gone]


def _recent(session: Session) -> int | None:
    """Labelled records that are newer than those the champion was made from; None where these are not known."""
    until = session.champion.lineage.get("holdout_until")
    return None if until is None else session.records.between("recent", parse_time(until), session.as_of).labelled


def _repeated(session: Session, training: Window) -> bool:
    """Whether a challenger would learn what the champion has learned, in the same way."""
    known = session.champion.lineage
    if not known:
        return False
    same = [known["trained_from"], known["trained_until"], known["train_records"]] == plain(
        [training.start, training.end, training.rows])
    return same and all(known["params"].get(name) == session.loaded.public.get(name) for name in _HOW)

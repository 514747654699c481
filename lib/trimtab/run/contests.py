"""How do challenger and champion do on the same records, which neither learned from, and what follows from that?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trimtab.decide import promotion
from trimtab.decide.promotion import Verdict
from trimtab.errors import ParamsError, UsageError
from trimtab.measure.models.intervals import Resampling
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import Evaluation, evaluate_pair
from trimtab.run import answered
from trimtab.run.serving import gates_of
from trimtab.run.session import Session
from trimtab.run.versions import Model
from trimtab.settings.notation import parse_time
from trimtab.windows import Window

if TYPE_CHECKING:
    import pandas as pd


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


def evaluation_facts(contest: Contest, verdict: Verdict) -> dict[str, Any]:
    """What later steps need to know of an evaluation."""
    pairs = contest.evaluation.differences.items()
    champion = {m.metric: p.champion.value for m, p in pairs if m.label is None and m.segment is None}
    return {
        "reasons": verdict.reasons, "challenger": contest.challenger.version,
        "metrics_champion": champion, "metrics_challenger": contest.evaluation.challenger.overall(),
    }

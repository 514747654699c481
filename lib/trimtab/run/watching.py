"""Does the new champion keep what it promised?

It and the one before are held to the same new records, as notebook 07 calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trimtab.decide import watch as watches
from trimtab.decide.watch import Evidence, Finding, Promotion
from trimtab.errors import ModelFileError, NoAnswerError, StepError, TimeLimitError, TrimtabError, UsageError
from trimtab.measure.models.intervals import Measure, Resampling, paired_differences
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.models.performance import gain
from trimtab.measure.unlabelled.estimates import Estimate
from trimtab.measure.unlabelled.rivals import at_once, relative_gain
from trimtab.run import answered
from trimtab.run.answered import Answered
from trimtab.run.expected import first_of, ways_of
from trimtab.run.rollbacks import recent
from trimtab.run.serving import sample, try_out
from trimtab.run.session import Session
from trimtab.run.versions import Model
from trimtab.windows import Window

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Watch:
    """What was seen of a new champion beside the one before.

    Attributes
    ----------
    promotion : Promotion or None
        What is watched; None when nothing is.
    finding : Finding
        What becomes of the new champion, and the evidence.
    window : Window or None
        The records that are new to both.
    metric : str
        By which they are compared.
    values : mapping
        By version, what it reached of that metric, or is expected to; empty where nothing could be said.
    """

    promotion: Promotion | None
    finding: Finding
    window: Window | None
    metric: str
    max_drop: float
    values: Mapping[int, float] = field(default_factory=dict)

    @property
    def reading(self) -> str:
        """It in one sentence."""
        return self.finding.reason


def due(session: Session) -> Promotion | None:
    """The promotion that is to be watched now; None when there is none."""
    return watches.under_watch(
        session.ledger.succession.changes(), session.serving, session.as_of, session.params.rollback.watch,
        session.ledger.completed(("drift", "retrain", "watch")))


def watch(session: Session) -> Watch:
    """Hold the new champion to what the one before would have done since, and find what becomes of it.

    Raises
    ------
    UsageError
        When the new champion learned from columns that are not named any more.
    """
    settings, promotion = session.params.rollback, due(session)
    if promotion is None:
        told = ("There is nothing to watch: no promotion is being watched (one is for "
                f"{_hours(session)} from when it took another's place, a rollback never).")
        return Watch(None, Finding("nothing", told), None, settings.metric, settings.max_drop)
    window = session.records.between("new", promotion.as_of, session.as_of)
    finding, values = _compare(session, promotion, window)
    return Watch(promotion, finding, window, settings.metric, settings.max_drop, values)


def _hours(session: Session) -> str:
    return f"{session.params.rollback.watch.total_seconds() / 3600:g} hours"


def _compare(session: Session, promotion: Promotion, window: Window) -> tuple[Finding, Mapping[int, float]]:
    frame = session.frame(window if window.rows else recent(session), labelled=False)
    if problem := _silent(session, promotion.version, frame):
        same = _silent(session, promotion.previous, frame)    # what neither can answer is no fault of the new one
        return (watches.incomparable(promotion, same) if same else watches.broken(promotion, problem)), {}
    try:
        new = session.model(promotion.version)
    except ModelFileError as error:
        return watches.broken(promotion, session.loaded.redact(str(error))), {}
    said = answered.asked(session, frame, new)
    try:
        old = session.model(promotion.previous)
        before = answered.asked(session, frame, old)
    except (ModelFileError, UsageError) as error:
        if said.outputs is None:
            return watches.broken(promotion, _remarks(session, said)), {}
        return watches.incomparable(promotion, session.loaded.redact(str(error))), {}
    if before.outputs is None:    # what neither can answer is no fault of the new one
        return watches.incomparable(promotion, _remarks(session, before)), {}
    if said.outputs is None:
        return watches.broken(promotion, _remarks(session, said)), {}
    if not window.rows:
        return watches.judge(promotion, session.params.rollback, None, 0), {}
    both = frame.loc[said.records.index.intersection(before.records.index)]
    return _judge(session, promotion, (new, old), both, window.rows)


def _silent(session: Session, version: int, frame: pd.DataFrame) -> str:
    """Why a version gives no answer at all: it crashes, or takes for ever. Tried where that ends nothing but itself."""
    try:
        try_out(session, version, sample(session, frame))
    except (NoAnswerError, TimeLimitError) as error:
        return session.loaded.redact(str(error))
    except TrimtabError:    # it answers, or says why it does not: that is looked at more closely
        return ""
    return ""


def _remarks(session: Session, said: Answered) -> str:
    return session.loaded.redact(" ".join(said.notes))


def _judge(
    session: Session, promotion: Promotion, models: tuple[Model, Model], frame: pd.DataFrame, rows: int
) -> tuple[Finding, Mapping[int, float]]:
    """By outcomes where there are enough of them, else by estimates."""
    settings, label = session.params.rollback, session.params.data.label
    labelled = frame[frame[label].notna()] if label is not None else frame[:0]
    try:
        enough = len(labelled) >= settings.min_support
        evidence, values = _realised(session, models, labelled) if enough else _estimated(session, models, frame)
    except StepError as error:    # probabilities that are none, say: a check reports them, and nothing is compared
        return watches.incomparable(promotion, session.loaded.redact(str(error))), {}
    return watches.judge(promotion, settings, evidence, rows), values


def _realised(
    session: Session, models: tuple[Model, Model], frame: pd.DataFrame
) -> tuple[Evidence | None, Mapping[int, float]]:
    name = session.params.rollback.metric
    frame = frame.head(watches.looked_at(len(frame)))
    new, old = answered.outputs(session, models, frame)
    if not (METRICS[name].applies(new) and METRICS[name].applies(old)):    # it needs probabilities, say
        return None, {}
    resampling = Resampling(confidence=session.params.promotion.confidence)
    found = paired_differences([name], new, old, groups=session.days(frame), resampling=resampling)[Measure(name)]
    values = {models[0].version: found.challenger.value, models[1].version: found.champion.value}
    return Evidence("realised", watches.widened(gain(name, found.relative), len(frame)), len(frame)), values


def _estimated(
    session: Session, models: tuple[Model, Model], frame: pd.DataFrame
) -> tuple[Evidence | None, Mapping[int, float]]:
    name, confidence = session.params.rollback.metric, session.params.promotion.confidence
    if len(frame) < session.params.rollback.min_support:
        return None, {}
    new, old = (_estimate(session, model, frame) for model in models)
    if new is None or old is None:
        return None, {}
    doubts = dict.fromkeys(one.evidence for estimate in (new, old) for one in estimate.doubtful)
    seen = Evidence("estimated", relative_gain(name, new, old, confidence=confidence), len(frame), tuple(doubts))
    return seen, {models[0].version: new.value, models[1].version: old.value}


def _estimate(session: Session, model: Model, frame: pd.DataFrame) -> Estimate | None:
    """What a version is expected to reach, from its own holdout; None where that cannot be said."""
    name, holdout = session.params.rollback.metric, session.holdout(model.version)
    said = answered.asked(session, frame, model)
    if holdout is None or said.outputs is None or said.coded is None or holdout.outputs.labels != said.outputs.labels:
        return None
    if not METRICS[name].applies(holdout.outputs):
        return None
    confidence = at_once(session.params.promotion.confidence)
    return first_of(ways_of(holdout, said.coded, said.outputs, [name], confidence=confidence), [name]).get(name)


def watch_facts(seen: Watch) -> dict[str, Any]:
    """What later steps, and readers of the report, need to know of a watch."""
    evidence, promotion = seen.finding.evidence, seen.promotion
    told = {"outcome": seen.finding.outcome, "reading": seen.reading, "metric": seen.metric,
            "rows": seen.window.rows if seen.window else 0}
    if promotion is not None:
        told |= {"champion": promotion.version, "previous": promotion.previous, "promoted_as_of": promotion.as_of,
                 "value_champion": seen.values.get(promotion.version),
                 "value_previous": seen.values.get(promotion.previous)}
    if evidence is not None:
        told |= {"way": evidence.way, "compared": evidence.records, "gain": evidence.gain.value,
                 "low": evidence.gain.low, "high": evidence.gain.high}
    return told

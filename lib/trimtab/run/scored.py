"""What did the model that serves say about a window, and how right was it?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.measure.columns.days import Days
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.profile import Profile
from trimtab.measure.models import scoring
from trimtab.measure.models.intervals import Interval, Measure, Resampling
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.performance import Performance, measure_performance
from trimtab.plain import plain
from trimtab.run.answered import Answered, answered
from trimtab.run.session import Session
from trimtab.settings import Params
from trimtab.settings.notation import parse_time
from trimtab.windows import Window
from trimtab.wording import plural

if TYPE_CHECKING:
    import pandas as pd

_OF_OUTPUTS = ("psi", "wasserstein", "missing", "unseen")    # the tails of a probability are no news of their own
PRIMARY = {"classification": ("roc_auc", "accuracy"), "regression": ("mae",)}


@dataclass(frozen=True)
class Scored:
    """What served said about a window.

    Attributes
    ----------
    drift : Drift or None
        Its outputs against those on the champion's own holdout; None where that is not known.
    label_drift : Drift or None
        The known labels against those of the champion's holdout.
    performance : Performance or None
        Realised; None when no label is known.
    baseline : Performance or None
        Of the champion on its own holdout.
    rows, labelled : int
        Records scored, and those of them with a known label.
    source : str
        Where the predictions come from: the log, or the champion scoring the window now.
    values : dict
        Scores and predictions themselves, for figures.
    profile, reference : Profile or None
        Profiles of the outputs in the window and on the holdout, for figures.
    outputs : Outputs or None
        Of all records, known outcomes or not; their `actual` says nothing.
    records : DataFrame or None
        The records themselves, in the same order.
    notes : tuple of str
        What of the answers, or of the outcomes, could not be used, each in a sentence.
    no_scores : str
        Why there are no probabilities, in a sentence; empty where there are.
    faulty : float
        Share of the records asked about that got no answer that is one, in [0, 1].
    unlabelled : bool
        Whether the params file names no label.
    said : Answered or None
        What all of this was made from; None where nothing could be used.
    window : Window or None
        Of the records that were asked about.
    """

    drift: Drift | None
    label_drift: Drift | None
    performance: Performance | None
    baseline: Performance | None
    rows: int
    labelled: int
    source: str
    values: dict[str, np.ndarray[Any, Any]]
    profile: Profile | None
    reference: Profile | None
    outputs: Outputs | None = None
    records: pd.DataFrame | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    no_scores: str = ""
    faulty: float = 0.0
    unlabelled: bool = False
    said: Answered | None = field(default=None, repr=False)
    window: Window | None = None

    @property
    def missing(self) -> str:
        """Why there is no realised performance, in a sentence; empty where there is."""
        if self.performance is not None:
            return ""
        if self.unlabelled:
            return "No column of outcomes is named (data.label), so realised performance is not known."
        if not self.rows and self.notes:
            return "None of the model's outputs can be used, so realised performance cannot be computed."
        if not self.rows:
            return "No record is newer than what the champion was made from, so its performance is not news."
        if self.labelled:
            return f"None of {plural(self.labelled, 'known outcome')} can be held against a prediction."
        scored = plural(self.rows, "record")
        return f"No label of the {scored} scored is known yet, so realised performance cannot be computed."

    @property
    def incomparable(self) -> str:
        """Why the outputs are compared with nothing, in a sentence; empty where they are."""
        if self.drift is not None:
            return ""
        if not self.rows and self.notes:
            return f"None of the model's outputs can be used. {self.remarks}"
        if not self.rows:
            return "No record is newer than what the champion was made from, so there are no new outputs to compare."
        return "The champion's outputs on its own holdout are not known, so they cannot be compared."

    @property
    def remarks(self) -> str:
        """Everything that was left out, as one text; empty where nothing was."""
        return " ".join(self.notes)


def primary_metric(params: Params) -> str:
    """The metric that speaks for the model: the gate's first, else ROC AUC or MAE."""
    overall = [c.metric for c in params.promotion.criteria if c.per is None]
    return overall[0] if overall else PRIMARY[params.task][0]


def score(session: Session, window: Window) -> Scored:
    """Score a window with the champion, or read the logged predictions, and compare with the champion's baseline.

    Records that the champion was made from are left out: it has learned from them, or its baseline rests on them.
    """
    session.champion.refuse_before(session.as_of)
    window = unseen(session, window)
    if not window.rows:
        return _nothing_new(session)
    said = answered(session, session.frame(window, labelled=False))
    version = session.ledger.version(session.champion.version)
    baseline = version["baseline"] if version else None
    kept = performance_from_json(baseline["performance"]) if baseline else None
    found = Scored(
        drift=None, label_drift=None, performance=None, baseline=kept, rows=len(said.records),
        labelled=int(said.with_outcome.sum()), source=said.source, values={}, profile=None, reference=None,
        notes=said.notes, no_scores=said.no_scores, faulty=said.faulty, unlabelled=session.params.data.label is None,
    )
    if said.outputs is None:
        return found
    days = session.days(said.records)
    found = replace(
        found, values=scoring.output_values(said.outputs), performance=_realised(session, said, days),
        outputs=said.outputs, records=said.records, said=said, window=window,
    )
    return _beside(found, baseline, said, days) if baseline else found


def judge(session: Session, outcomes: Window, scored: Scored) -> Scored:
    """What the champion said where its outcomes are looked at.

    Parameters
    ----------
    outcomes : Window
        From `Session.outcomes_window`.
    scored : Scored
        What it said about the current window; returned where these are the same records.
    """
    return scored if session.params.windows.outcomes is None else score(session, outcomes)


def _realised(session: Session, said: Answered, days: Array) -> Performance | None:
    if said.labelled is None:
        return None
    return measure_performance(
        said.labelled, segments=session.segments(said.records[said.comparable]), days=days[said.comparable],
        resampling=Resampling(confidence=session.params.promotion.confidence),
    )


def _beside(found: Scored, baseline: dict[str, Any], said: Answered, days: Array) -> Scored:
    """With the drift of outputs and labels from those on the holdout, as far as both are known."""
    reference = _kept_profile(baseline, "outputs")
    both = {name: column for name, column in reference.columns.items() if name in found.values}
    reference = replace(reference, columns=both)
    profile = scoring.profile_values({name: found.values[name] for name in both}, reference.bins, days=days)
    drift = compare(reference, profile, looking_at=_OF_OUTPUTS) if both else None
    label_drift = None
    if len(said.outcomes):
        labels = _kept_profile(baseline, "labels")
        now = scoring.profile_values({"label": said.outcomes}, labels.bins, days=days[said.with_outcome])
        label_drift = compare(labels, now)
    return replace(found, drift=drift, label_drift=label_drift, profile=profile, reference=reference)


def unseen(session: Session, window: Window) -> Window:
    """The part of a window that is newer than what the champion was made from."""
    until = session.champion.lineage.get("holdout_until")
    if until is None or parse_time(until) <= window.start:
        return window
    return session.records.between(window.name, parse_time(until), window.end)


def _nothing_new(session: Session) -> Scored:
    version = session.champion.version
    known = session.ledger.version(version)
    baseline = known["baseline"] if known else None
    return Scored(
        drift=None, label_drift=None, performance=None,
        baseline=performance_from_json(baseline["performance"]) if baseline else None,
        rows=0, labelled=0, source=f"no record is newer than what version {version} was made from",
        values={}, profile=None, reference=None,
    )


def _label_values(outputs: Outputs) -> np.ndarray[Any, Any]:
    return np.asarray(outputs.labels, dtype=object)[outputs.actual] if outputs.labels else outputs.actual


def baseline_to_json(performance: Performance, outputs: Outputs, days: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What is kept of a version's evaluation: performance, and profiles of its outputs and of the labels by day."""
    profiles = {
        "outputs": scoring.profile_values(scoring.output_values(outputs), days=days),
        "labels": scoring.profile_values({"label": _label_values(outputs)}, days=days),
    }
    return {
        "rows": performance.rows,
        "performance": [
            {"measure": plain(m), "interval": plain(i), "support": performance.support[m]}
            for m, i in performance.values.items()
        ],
        **{name: profile.to_json() for name, profile in profiles.items()},
        **{f"{name}_days": profile.days.to_json() for name, profile in profiles.items() if profile.days is not None},
    }


def _kept_profile(baseline: dict[str, Any], name: str) -> Profile:
    """A profile from a version's evaluation, with its days where they were kept."""
    profile, days = Profile.from_json(baseline[name]), baseline.get(f"{name}_days")
    return replace(profile, days=Days.from_json(days, profile.bins)) if days else profile


def performance_from_json(rows: list[dict[str, Any]]) -> Performance:
    """Read back the performance that `baseline_to_json` wrote."""
    values, support = {}, {}
    for row in rows:
        measure = Measure(**row["measure"])
        values[measure] = Interval(**{k: float("nan") if v is None else v for k, v in row["interval"].items()})
        support[measure] = row["support"]
    most = max(support.values(), default=0)
    return Performance(most, values, support)

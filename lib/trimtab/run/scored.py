"""What did the model that serves say about a window, and how right was it?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.errors import DataError
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.profile import Profile
from trimtab.measure.models import scoring
from trimtab.measure.models.intervals import Interval, Measure
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import Performance, measure_performance
from trimtab.plain import plain
from trimtab.run.session import Model, Session
from trimtab.settings import Params, parse_time
from trimtab.windows import Window

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

    @property
    def missing(self) -> str:
        """Why there is no realised performance, in a sentence; empty where there is."""
        if self.performance is not None:
            return ""
        if not self.rows:
            return "No record is newer than what the champion was made from, so its performance is not news."
        return f"No label of the {self.rows:,} records scored is known yet, so realised performance cannot be computed."

    @property
    def incomparable(self) -> str:
        """Why the outputs are compared with nothing, in a sentence; empty where they are."""
        if self.drift is not None:
            return ""
        if not self.rows:
            return "No record is newer than what the champion was made from, so there are no new outputs to compare."
        return "The champion's outputs on its own holdout are not known, so they cannot be compared."


def primary_metric(params: Params) -> str:
    """The metric that speaks for the model: the gate's first, else ROC AUC or MAE."""
    overall = [c.metric for c in params.promotion.criteria if c.per is None]
    return overall[0] if overall else PRIMARY[params.task][0]


def score(session: Session, window: Window) -> Scored:
    """Score a window with the champion, or read the logged predictions, and compare with the champion's baseline.

    Records that the champion was made from are left out: it has learned from them, or its baseline rests on them.
    """
    session.refuse_future(session.champion)
    window = unseen(session, window)
    if not window.rows:
        return _nothing_new(session)
    frame = session.frame(window, labelled=False)
    if session.params.data.prediction is not None:
        frame = logged(session, frame)
    label = session.params.data.label
    known = frame[label].notna().to_numpy() if label else np.zeros(len(frame), dtype=bool)
    every, labelled, source = outputs_of(session, frame, known)
    version = session.ledger.version(session.champion.version)
    baseline = version["baseline"] if version else None
    values, days = scoring.output_values(every), session.days(frame)
    profile = reference = drift = label_drift = None
    if baseline:
        reference = _kept_profile(baseline, "outputs")
        wanted = {name: values[name] for name in reference.columns if name in values}
        profile = scoring.profile_values(wanted, reference.bins, days=days)
        same = profile.columns.keys() == reference.columns.keys()
        drift = compare(reference, profile, looking_at=_OF_OUTPUTS) if same else None
        labels = _kept_profile(baseline, "labels")
        if labelled is not None:
            now = scoring.profile_values({"label": _label_values(labelled)}, labels.bins, days=days[known])
            label_drift = compare(labels, now)
    realised = None
    if labelled is not None:
        segments = session.segments(frame[known])
        realised = measure_performance(
            labelled, segments=segments, days=days[known], confidence=session.params.promotion.confidence
        )
    return Scored(
        drift=drift, label_drift=label_drift, performance=realised,
        baseline=performance_from_json(baseline["performance"]) if baseline else None,
        rows=len(frame), labelled=int(known.sum()), source=source, values=values, profile=profile, reference=reference,
        outputs=every, records=frame,
    )


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


def logged(session: Session, frame: pd.DataFrame) -> pd.DataFrame:
    """The records whose prediction was logged, with its score where scores are logged."""
    from pandas import to_numeric

    data, source = session.params.data, session.records.source
    asked = [name for name in (data.prediction, data.score) if name is not None]
    logged = frame[frame[asked].notna().all(axis=1)]
    if logged.empty:
        raise DataError(f"{source}: column {asked[0]!r} (data.prediction) holds no logged prediction in the window")
    numbers = [data.score] if session.params.task == "classification" else [data.prediction]
    for name in numbers:
        if name is None:
            continue
        values = to_numeric(logged[name], errors="coerce").to_numpy(dtype=float)
        if not np.isfinite(values).all():
            raise DataError(f"{source}: column {name!r} holds values that are no finite numbers")
        if name == data.score and not ((values >= 0) & (values <= 1)).all():
            raise DataError(f"{source}: column {name!r} (data.score) holds values outside 0 to 1, so no probabilities")
    return logged


def outputs_of(
    session: Session, frame: pd.DataFrame, known: np.ndarray[Any, Any], model: Model | None = None
) -> tuple[Outputs, Outputs | None, str]:
    """Outputs for all records and for the labelled ones, from the log where predictions are logged, else the model's.

    Parameters
    ----------
    model : Model, optional
        In the place of the champion.
    """
    data, champion = session.params.data, model or session.champion
    actual = frame.loc[known, data.label].tolist() if data.label else []
    said = frame[data.prediction].tolist() if data.prediction else []
    labels = session.labels([champion], [*actual, *said])
    positive = session.positive(champion, labels)
    if data.prediction is None:
        session.require_features(champion)
        features = frame[list(data.features)]
        every = scoring.model_outputs(champion.estimator, features, None, labels=labels, positive=positive)
        source = f"version {champion.version} scored the window now"
    else:
        score = frame[data.score].tolist() if data.score else None
        every = scoring.logged_outputs(said, said, score, labels=labels, positive=positive)
        source = f"logged in {data.prediction!r}"
    if not known.any():
        return every, None, source
    chosen = every.take(known)
    codes = {name: code for code, name in enumerate(labels)}
    truth = np.array([codes[t] for t in scoring.label_array(actual)]) if labels else np.asarray(actual, dtype=float)
    return every, Outputs(chosen.labels, truth, chosen.predicted, chosen.scores, chosen.positive), source


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

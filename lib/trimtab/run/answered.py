"""What did the model that serves say of some records, and what of that can be used? From the log, or asked now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.cells import listed
from trimtab.errors import StepError
from trimtab.measure.models import answers, scoring
from trimtab.measure.models.answers import Answers
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.together.samples import Sample
from trimtab.run import versions
from trimtab.run.reach import features_of
from trimtab.run.session import Session
from trimtab.run.versions import Model
from trimtab.wording import plural

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Answered:
    """What was said of records, as far as it can be used.

    Attributes
    ----------
    outputs : Outputs or None
        Of the records that have a usable answer; `actual` says nothing. None where none has.
    labelled : Outputs or None
        Of those whose outcome is known and can be held against an answer; None where there are none.
    records : DataFrame
        The records of `outputs`, in the same order.
    comparable : array of bool
        Which of them `labelled` is of.
    outcomes : array
        All known outcomes of `records`, those of a class that the model does not know included: names, or numbers.
    with_outcome : array of bool
        Which of `records` they are of.
    source : str
        Where the answers come from.
    faulty : float
        Share of the records asked about that got no answer that is one, in [0, 1]; 0 where none was asked about.
    notes : tuple of str
        What could not be used, each in a sentence.
    no_scores : str
        Why there are no probabilities, in a sentence; empty where there are.
    coded : Sample or None
        `records` by the bins of the version's holdout; None where no holdout of it is kept.
    """

    outputs: Outputs | None
    labelled: Outputs | None
    records: pd.DataFrame = field(repr=False)
    comparable: Array
    outcomes: Array
    with_outcome: Array
    source: str
    faulty: float = 0.0
    notes: tuple[str, ...] = ()
    no_scores: str = ""
    coded: Sample | None = field(default=None, repr=False)

    def take(self, chosen: Array) -> Answered:
        """What was said of some of the records.

        Parameters
        ----------
        chosen : array of bool
            Which of `records`.
        """
        return replace(
            self, outputs=self.outputs.take(chosen) if self.outputs else None,
            labelled=self.labelled.take(chosen[self.comparable]) if self.labelled else None,
            records=self.records[chosen], comparable=self.comparable[chosen],
            outcomes=self.outcomes[chosen[self.with_outcome]], with_outcome=self.with_outcome[chosen],
            coded=self.coded.take(chosen) if self.coded else None,
        )


def answered(session: Session, frame: pd.DataFrame, model: Model | None = None) -> Answered:
    """What the model that serves says, or is logged to have said, about records.

    In a binary task there is no place for a third class: a prediction or an outcome of one is left out, and said so.
    Of several classes a new one is one more, which the model has been wrong about.

    Parameters
    ----------
    model : Model, optional
        In the place of the champion.
    """
    model = model or session.champion
    return _usable(session, frame, model, *_said(session, frame, model))


def asked(session: Session, frame: pd.DataFrame, model: Model) -> Answered:
    """What a version says about records when it is asked now, whatever was logged; else as `answered`."""
    return _usable(session, frame, model, *_asked(session, frame, model))


def _usable(session: Session, frame: pd.DataFrame, model: Model, said: Answers, source: str) -> Answered:
    """What of the answers, and of outcomes, can be used."""
    classes = session.params.task == "classification"
    own = scoring.model_labels(model.estimator) if classes else ()
    said = _binary(said, own) if len(own) == 2 else said
    faulty, frame = float(said.faulty.mean()) if len(frame) else 0.0, frame[said.usable]
    outcomes, having = _outcomes(session, frame)
    if frame.empty:
        return Answered(None, None, frame, having, outcomes, having, source, faulty, said.remarks, said.no_scores)
    labels = _labels(own, said, outcomes) if classes else ()
    every = answers.as_outputs(said, own, labels=labels, positive=model.positive(labels, session.params.data.positive))
    new = ~np.isin(outcomes, own) if own else np.zeros(len(outcomes), dtype=bool)
    notes = (*said.remarks, *_of_new_classes(outcomes, new, counted=len(own) != 2))
    comparable = having.copy()
    comparable[having] = ~new | (len(own) != 2)
    labelled = _labelled(every, comparable, outcomes[comparable[having]])
    holdout = session.holdout(model.version)
    coded = holdout.encode(features_of(session.params.data, frame)) if holdout else None
    return Answered(
        every, labelled, frame, comparable, outcomes, having, source, faulty, notes, said.no_scores, coded
    )


def _labelled(every: Outputs, comparable: Array, outcomes: Array) -> Outputs | None:
    """Outputs beside the outcomes that can be held against them."""
    if not len(outcomes):
        return None
    codes = {name: code for code, name in enumerate(every.labels)}
    truth = np.array([codes[name] for name in outcomes], dtype=np.intp) if codes else outcomes
    chosen = every.take(comparable)
    return Outputs(every.labels, truth, chosen.predicted, chosen.scores, chosen.positive)


def _said(session: Session, frame: pd.DataFrame, model: Model) -> tuple[Answers, str]:
    """From the log where predictions are logged, else by asking now; and which of the two it was."""
    data, task = session.params.data, session.params.task
    if data.prediction is not None:
        score = frame[data.score].astype(np.float64).to_numpy() if data.score else None
        said, columns = frame[data.prediction].to_numpy(dtype=object), (data.prediction, data.score or "")
        return answers.logged(said, score, names=columns, task=task), f"logged in {data.prediction!r}"
    return _asked(session, frame, model)


def _asked(session: Session, frame: pd.DataFrame, model: Model) -> tuple[Answers, str]:
    """By asking the model, and words for that."""
    data, task = session.params.data, session.params.task
    model.require(data.features)
    known = scoring.model_labels(model.estimator) if task == "classification" else None
    who = f"Version {model.version}"
    found = answers.ask(model.estimator, frame[list(data.features)], who=who, labels=known)
    return found, f"version {model.version} scored the window now"


def _outcomes(session: Session, frame: pd.DataFrame) -> tuple[Array, Array]:
    """Known outcomes, by name or as numbers, and which records they are of."""
    label = session.params.data.label
    if label is None:
        return np.zeros(0), np.zeros(len(frame), dtype=bool)
    known = frame[label].notna().to_numpy(dtype=bool)
    values = frame.loc[known, label]
    if session.params.task == "regression":
        return values.to_numpy(dtype=np.float64), known
    return scoring.label_array(values.tolist()), known


def _binary(said: Answers, own: Sequence[str]) -> Answers:
    """Without the predictions that name neither of two classes."""
    strange = said.usable & ~np.isin(said.predicted.astype(object), own)
    if not strange.any():
        return said
    told = f"{int(strange.sum()):,} of {plural(len(strange), 'prediction')} are of a class that the model does not " \
        f"know ({_named(said.predicted[strange])}); they are left out."
    return replace(said, usable=said.usable & ~strange, faulty=said.faulty | strange, notes=(*said.notes, told))


def _of_new_classes(outcomes: Array, new: Array, *, counted: bool) -> tuple[str, ...]:
    if not new.any():
        return ()
    follows = "the model cannot be right about them" if counted else "they are left out where performance is measured"
    return (f"{int(new.sum()):,} of {plural(len(new), 'known outcome')} are of a class that the model does not know "
            f"({_named(outcomes[new])}); {follows}.",)


def _named(names: Array) -> str:
    return listed(sorted(set(names)), 3)


def _labels(own: Sequence[str], said: Answers, outcomes: Array) -> tuple[str, ...]:
    """The classes that there are: the model's own first, then those that came up besides."""
    if len(own) == 2:
        return tuple(own)
    new = sorted({*said.predicted[said.usable], *outcomes} - set(own))
    return (*own, *new)


def outputs(session: Session, models: Sequence[Model], frame: pd.DataFrame) -> list[Outputs]:
    """What each of several models says about labelled records; all share labels and order.

    Raises
    ------
    StepError
        When what the first says cannot be used as it is, or another one's predictions cannot.
    """
    data = session.params.data
    for model in models:
        model.require(session.params.data.features)
    actual = frame[data.label].tolist()
    labels = versions.labels(models, actual) if session.params.task == "classification" else ()
    positive = models[0].positive(labels, data.positive)
    truth = scoring.label_array(actual) if labels else np.asarray(actual, dtype=np.float64)
    return [
        _output(m, frame[list(data.features)], truth, labels, positive, first=m is models[0]) for m in models
    ]


def _output(
    model: Model, features: pd.DataFrame, truth: np.ndarray[Any, Any], labels: Sequence[str],
    positive: str | None, *, first: bool,
) -> Outputs:
    """One model's; what serves may lack probabilities that are any, what is to serve may not."""
    own = scoring.model_labels(model.estimator)
    said = answers.ask(model.estimator, features, who=f"Version {model.version}", labels=own if labels else None)
    try:
        if said.usable.all() and not (first and said.faulty.any()):
            return answers.as_outputs(said, own, labels=labels, positive=positive, actual=truth)
    except KeyError as error:
        raise StepError(f"version {model.version} predicts {error}, a class that does not occur") from None
    raise StepError(f"version {model.version} cannot be evaluated: {' '.join(said.remarks)}")

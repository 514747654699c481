"""Can what a model says about records be used, and where not, why not?

A model that serves was made by somebody, somewhere: it may fail on a record that it cannot encode, give no
probabilities, or call numbers probabilities that are none. What can be used of its answers is kept, and each thing that
cannot has a sentence that says how many records it concerns, with an example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.scoring import label_array
from trimtab.wording import plural

if TYPE_CHECKING:
    import pandas as pd

_TOO_LARGE = 1e150    # its square would still be a number, that of many more would not
SUM_SLACK = 1e-2    # probabilities that were rounded to two places are probabilities still
_RANGE_SLACK = 1e-6    # those of single precision may be rounded to just above 1
_EXACT = 1e-6
_MOST_ATTEMPTS = 100    # to find the records that a model fails on


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said about n records.

    Attributes
    ----------
    predicted : array, shape (n,)
        Names of classes, or numbers; of a record that `usable` leaves out it says nothing.
    scores : array of float, shape (n, classes), or None
        Probabilities, each in [0, 1] and 1 in all; None where there are none that can be used, or in a regression.
    usable : array of bool, shape (n,)
        Records whose answer can be used.
    faulty : array of bool, shape (n,)
        Records whose answer, or its probability, is none: the model failed, or said what nothing can be made of. That
        nothing was logged, or that there are no probabilities to give, is no fault.
    notes : tuple of str
        What could not be used, each in a sentence.
    no_scores : str
        Why there are no probabilities, in a sentence; empty where there are, and in a regression.
    """

    predicted: Array
    scores: Array | None
    usable: Array
    faulty: Array
    notes: tuple[str, ...] = ()
    no_scores: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Everything that there is to say, each sentence once."""
        return tuple(dict.fromkeys((*self.notes, *([self.no_scores] if self.no_scores else []))))


def ask(model: Any, features: pd.DataFrame, *, who: str, labels: Sequence[str] | None) -> Answers:
    """Ask a model about records.

    Parameters
    ----------
    model : fitted estimator
        With `predict`, and `predict_proba` where it has probabilities to give.
    features : DataFrame
        The columns that it was trained on, n records.
    who : str
        What sentences call it, such as `Version 3`.
    labels : sequence of str or None
        The classes that it knows, in the order of its probabilities; none where it does not name them. None in a
        regression.

    Notes
    -----
    Where the model fails on all records together, it is asked about halves of them, halves of these, and so on, so that
    the few that it fails on do not hide what it says about the others; after 100 attempts the rest counts as failed.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> import pandas as pd
    >>> model = DummyClassifier(strategy="prior").fit([[0], [1]], ["no", "yes"])
    >>> ask(model, pd.DataFrame({"x": [1, 2, 3]}), who="Version 3", labels=["no", "yes"]).scores.tolist()
    [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    """
    model, features = _prepared(model, features)
    said, got, trouble = _where_possible(model.predict, features)
    if not got.any():
        told = f"{who} could not predict any of {plural(len(said), 'record')} ({trouble})."
        return Answers(said, None, got, ~got, (told,))
    notes = [f"{who} could not predict {_of(~got)} ({trouble})."] if trouble else []
    answers = _numbers(said, got, who) if labels is None else _names(said, got, who)
    if answers.usable.any() and labels is not None:
        answers = _with_scores(answers, model, features, who, len(labels))
    return replace(answers, faulty=answers.faulty | ~got, notes=(*notes, *answers.notes))


def logged(
    predicted: Sequence[Any] | Array, score: Sequence[float] | Array | None, *, names: tuple[str, str], task: str
) -> Answers:
    """What was logged of a model's answers.

    Parameters
    ----------
    predicted : sequence, n values
        Null where nothing was logged.
    score : sequence of float, optional
        Probabilities of the positive class; `scores` has them in one column.
    names : tuple of str
        Columns of both, for sentences.
    task : str
        classification or regression.
    """
    said = np.empty(len(predicted), dtype=object)
    said[:] = list(predicted)
    there = ~_missing(said)
    where = f"Column {names[0]!r} (data.prediction)"
    if not there.any():
        told = f"{where} holds no prediction of the {plural(len(said), 'record')}."
        return Answers(said, None, there, there, (told,))
    notes = () if there.all() else (f"{where} holds no prediction of {_of(~there)}.",)
    answers = (_names if task == "classification" else _numbers)(said, there, where)
    answers = replace(answers, notes=(*notes, *answers.notes))
    if score is None or task == "regression":
        return answers
    return _with_logged_scores(answers, np.asarray(score, dtype=np.float64), f"Column {names[1]!r} (data.score)")


def as_outputs(
    said: Answers, own: Sequence[str], *, labels: Sequence[str], positive: str | None, actual: Array | None = None
) -> Outputs:
    """Usable answers as codes and probabilities; a class that the model does not know has probability 0.

    Parameters
    ----------
    own : sequence of str
        The model's classes, in the order of its probabilities.
    labels : sequence of str
        All classes that occur in predictions or outcomes; empty for regression.
    positive : str or None
        The positive label in a binary task, of which a single column of probabilities is taken to be.
    actual : array, optional
        Outcomes of the usable records, as names or numbers; without them only predictions and scores may be used.

    Raises
    ------
    KeyError
        When a prediction or an outcome is none of the labels.
    """
    predicted = said.predicted[said.usable]
    if not labels:
        return Outputs((), predicted if actual is None else actual, predicted)
    codes = {label: code for code, label in enumerate(labels)}
    picked = np.array([codes[name] for name in predicted], dtype=np.intp)
    truth = picked if actual is None else np.array([codes[name] for name in actual], dtype=np.intp)
    given, scores = said.scores[said.usable] if said.scores is not None else None, None
    if given is not None and given.shape[1] > 1:
        scores = np.zeros((len(given), len(labels)))
        scores[:, [codes[name] for name in own]] = given
    elif given is not None and positive is not None and len(labels) == 2:
        scores = np.hstack([1 - given, given] if codes[positive] == 1 else [given, 1 - given])
    return Outputs(tuple(labels), truth, picked, scores, codes.get(positive or ""))


def _prepared(model: Any, features: pd.DataFrame) -> tuple[Any, Any]:
    """A pipeline's last step and what the others make of the features: it is asked twice, they need not be.

    Everything else, and a pipeline that fails or loses records on the way, is left to be asked as it is.
    """
    from sklearn.pipeline import Pipeline

    if type(model) is not Pipeline or len(model.steps) < 2:
        return model, features
    try:
        given = model[:-1].transform(features)
        given = given.tocsr() if hasattr(given, "tocsr") else given    # other sparse ones have no rows to choose
        if given.shape[0] == len(features):
            return model[-1], given
    except Exception:  # noqa: BLE001, S110 -- a step of somebody else's may raise or give whatever it likes
        pass
    return model, features


def _where_possible(predict: Callable[[Any], Any], features: Any) -> tuple[Array, Array, str]:
    """Answers record by record, of which records there are any, and what went wrong first."""
    rows, trouble = features.shape[0], ""    # a sparse matrix has no length
    said, got = np.full(rows, None, dtype=object), np.zeros(rows, dtype=bool)
    waiting = [np.arange(rows)]
    for _ in range(_MOST_ATTEMPTS):
        if not waiting:
            break
        part = waiting.pop(0)    # the largest first: most of the records are settled by few attempts
        whole = len(part) == rows
        try:
            values = _one_each(predict(features if whole else _some(features, part)), len(part))
        except Exception as error:  # noqa: BLE001 -- a model of somebody else's may raise whatever it likes
            trouble = trouble or _first_line(error)
            waiting += [half for half in np.array_split(part, 2) if len(half)] if len(part) > 1 else []
            continue
        if whole:
            return values, np.ones(rows, dtype=bool), ""
        said[part], got[part] = values, True
    return said, got, trouble


def _some(features: Any, part: Array) -> Any:
    return features.iloc[part] if hasattr(features, "iloc") else features[part]


def _one_each(given: Any, rows: int) -> Array:
    values = np.asarray(given)
    if values.shape == (rows, 1):
        values = values[:, 0]
    if values.shape != (rows,):
        raise ValueError(f"{plural(rows, 'record')} got predictions of shape {values.shape}")
    return values


def _numbers(said: Array, got: Array, who: str) -> Answers:
    """Predictions of a regression: those that are finite numbers."""
    values = said.astype(np.float64) if said.dtype.kind in "fiub" else np.array([_number(value) for value in said])
    wrong = got & ~(np.abs(values) < _TOO_LARGE)    # or no number at all
    notes = (f"{who} gave {_of(wrong)} what is no finite number, such as {_shown(said[wrong][0])}.",) \
        if wrong.any() else ()
    return Answers(values, None, got & ~wrong, wrong, notes)


def _names(said: Array, got: Array, who: str) -> Answers:
    """Predictions of a classification: those that name a class."""
    lost = got & _missing(said)
    notes = (f"{who} named no class for {_of(lost)}.",) if lost.any() else ()
    return Answers(label_array(said), None, got & ~lost, lost, notes)


def _with_scores(answers: Answers, model: Any, features: Any, who: str, classes: int) -> Answers:
    """With the model's probabilities, where it gives any that can be used."""
    if not hasattr(model, "predict_proba"):
        return replace(answers, no_scores=f"{who} gives no probabilities.")
    if not classes:
        return replace(answers, no_scores=f"{who} does not name its classes, so its probabilities cannot be read.")
    asked = answers.usable
    try:
        given = np.asarray(model.predict_proba(features if asked.all() else features[asked]))
    except Exception as error:  # noqa: BLE001 -- as above
        return _unscored(answers, f"{who} could not give probabilities ({_first_line(error)}).")
    shape = (int(asked.sum()), classes)
    if given.size and given.dtype.kind not in "fiub":
        told = f"{who} gave probabilities that are no numbers, such as {_shown(given.ravel()[0])}."
        return _unscored(answers, told)
    if given.shape != shape:
        told = f"{who} gave probabilities of shape {given.shape} in the place of {shape}"
        return _unscored(answers, f"{told}: one for each record and class.")
    scores = np.full((len(asked), classes), np.nan)
    scores[asked] = given
    return _checked(answers, scores, who)


def _with_logged_scores(answers: Answers, score: Array, who: str) -> Answers:
    """With the logged probabilities of the positive class, in one column."""
    lost = answers.usable & np.isnan(score)
    if not (answers.usable & ~lost).any():
        return replace(answers, no_scores=f"{who} holds no probability of the {plural(len(score), 'record')}.")
    notes = (f"{who} holds no probability of {_of(lost)}, which are left out.",) if lost.any() else ()
    answers = replace(answers, usable=answers.usable & ~lost, notes=(*answers.notes, *notes))
    return _checked(answers, score[:, None], who)


def _checked(answers: Answers, scores: Array, who: str) -> Answers:
    """With probabilities, if that is what they are; records without any are left out."""
    asked = answers.usable
    lost = asked & ~np.isfinite(scores).all(axis=1)
    if not (asked & ~lost).any():
        return _unscored(answers, f"{who} has no probability of any record that is a number.")
    usable = asked & ~lost
    told = _why_none(scores, usable, who)
    if told:
        return _unscored(answers, told)
    notes = (f"{who} has no probability for {_of(lost)}, which are left out.",) if lost.any() else ()
    faulty, scores = answers.faulty | lost, _whole(scores)
    return replace(answers, scores=scores, usable=usable, faulty=faulty, notes=(*answers.notes, *notes))


def _why_none(scores: Array, usable: Array, who: str) -> str:
    """Why numbers are no probabilities; empty where they are."""
    given = np.where(usable[:, None], scores, 0.5)
    outside: Array = (given < -_RANGE_SLACK) | (given > 1 + _RANGE_SLACK)
    if outside.any():
        example = given[outside][0]
        return f"{who} has values outside 0 to 1 for {_of(outside.max(axis=1))}, such as {example:.3g}, so they are " \
            "no probabilities and none is used."
    sums = np.where(usable, scores.sum(axis=1), 1.0)
    off = np.abs(sums - 1) > SUM_SLACK
    if scores.shape[1] > 1 and off.any():
        return f"{who} has probabilities that do not sum to one for {_of(off)}, such as {sums[off][0]:.3g} in all, " \
            "so none is used."
    return ""


def _whole(scores: Array) -> Array:
    """Rounded probabilities made to sum to one; others as they are, to the last bit."""
    if scores.shape[1] == 1:
        return scores
    sums = scores.sum(axis=1, keepdims=True)
    return np.where(np.abs(sums - 1) > _EXACT, scores / np.where(sums > 0, sums, 1.0), scores)


def _unscored(answers: Answers, why: str) -> Answers:
    return replace(answers, faulty=answers.faulty | answers.usable, no_scores=why)


def _of(chosen: Array) -> str:
    return f"{int(chosen.sum()):,} of {plural(len(chosen), 'record')}"


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _missing(values: Array) -> Array:
    from pandas import isna

    found: Array = np.asarray(isna(values), dtype=bool)
    return found


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)[:60]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__

"""What does a model say about records? Labels and predictions as the codes and probabilities that metrics take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.measure.columns.bins import Bins, freeze_categorical, freeze_numeric
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.in_memory import count_array, profile_array
from trimtab.measure.columns.profile import Profile
from trimtab.measure.models.outputs import Array, Outputs

if TYPE_CHECKING:
    import pandas as pd

_TRUE = ("True", "1")


def label_text(value: Any) -> str:
    """A label's name, the same however its column was typed: 1, 1.0 and True are read as written by their type.

    Examples
    --------
    >>> label_text(1.0), label_text(np.bool_(True)), label_text("late")
    ('1', 'True', 'late')
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def label_array(values: Iterable[Any]) -> np.ndarray[Any, Any]:
    """Names of many labels, as an array of text."""
    return np.array([label_text(value) for value in values], dtype=object)


def choose_positive(labels: Sequence[str], counts: dict[str, int], wanted: Any = None) -> str | None:
    """The positive label of a binary task: the one wanted, else True or 1, else the rarer.

    Returns
    -------
    str or None
        None when there are not exactly two labels.

    Raises
    ------
    ValueError
        When the wanted label does not occur.
    """
    if wanted is not None and label_text(wanted) not in labels:
        raise ValueError(f"the positive label {label_text(wanted)!r} does not occur; there are {', '.join(labels)}")
    if len(labels) != 2:
        return None
    if wanted is not None:
        return label_text(wanted)
    truth = [label for label in labels if label in _TRUE]
    return truth[0] if truth else min(labels, key=lambda label: (counts.get(label, 0), label))


def model_labels(model: Any) -> tuple[str, ...]:
    """Class names of a fitted classifier, in its order; empty for a regressor."""
    return tuple(label_text(value) for value in getattr(model, "classes_", ()))


def model_outputs(
    model: Any, features: pd.DataFrame, actual: Sequence[Any] | None, *, labels: Sequence[str], positive: str | None
) -> Outputs:
    """Score records with a model.

    Parameters
    ----------
    model : fitted estimator
    features : DataFrame
        The columns that it was trained on.
    actual : sequence or None
        Known outcomes; None scores records whose outcome is unknown (the predictions stand in for them, so only
        predictions and scores may be used of the result).
    labels : sequence of str
        All class names that occur in the model or the outcomes; empty for regression.
    positive : str or None
        The positive label in a binary task.
    """
    predicted = np.asarray(model.predict(features))
    if not labels:
        known = predicted if actual is None else actual
        return Outputs((), np.asarray(known, dtype=float), predicted.astype(float))
    codes = {label: code for code, label in enumerate(labels)}
    said = np.array([codes[label] for label in label_array(predicted)], dtype=np.intp)
    known = said if actual is None else np.array([codes[label] for label in label_array(actual)], dtype=np.intp)
    return Outputs(tuple(labels), known, said, _scores(model, features, codes), codes.get(positive or ""))


def probable_outputs(model: Any, features: pd.DataFrame, *, labels: Sequence[str], positive: str | None) -> Outputs:
    """What a model with `predict_proba` says by its probabilities alone, at half the cost: the most probable class.

    Parameters are those of `model_outputs`; the predictions stand in for the outcomes.
    """
    codes = {label: code for code, label in enumerate(labels)}
    scores = _scores(model, features, codes)
    if scores is None:
        raise ValueError(f"{type(model).__name__} gives no probabilities")
    said = scores.argmax(axis=1)
    return Outputs(tuple(labels), said, said, scores, codes.get(positive or ""))


def logged_outputs(
    actual: Sequence[Any], predicted: Sequence[Any], score: Sequence[float] | None, *,
    labels: Sequence[str], positive: str | None,
) -> Outputs:
    """Outputs from logged predictions, and logged probabilities of the positive class where there are two classes."""
    if not labels:
        return Outputs((), np.asarray(actual, dtype=float), np.asarray(predicted, dtype=float))
    codes = {label: code for code, label in enumerate(labels)}
    known, said = (np.array([codes[label] for label in label_array(v)], dtype=np.intp) for v in (actual, predicted))
    scores = None
    if score is not None and positive is not None and len(labels) == 2:
        p = np.asarray(score, dtype=float)
        scores = np.column_stack([1 - p, p] if codes[positive] == 1 else [p, 1 - p])
    return Outputs(tuple(labels), known, said, scores, codes.get(positive or ""))


def _scores(model: Any, features: pd.DataFrame, codes: dict[str, int]) -> np.ndarray[Any, Any] | None:
    """Probabilities in the order of the codes; a class that the model does not know has probability 0."""
    if not hasattr(model, "predict_proba"):
        return None
    own = np.asarray(model.predict_proba(features), dtype=np.float64)
    scores = np.zeros((len(own), len(codes)))
    scores[:, [codes[label] for label in model_labels(model)]] = own
    return scores


def output_values(outputs: Outputs) -> dict[str, np.ndarray[Any, Any]]:
    """What of a model's outputs is watched: scores and predicted classes, or predicted numbers."""
    if not outputs.labels:
        return {"prediction": outputs.predicted}
    names = np.asarray(outputs.labels, dtype=object)
    values: dict[str, np.ndarray[Any, Any]] = {"prediction": names[outputs.predicted]}
    if outputs.scores is None:
        return values
    if outputs.positive is not None:
        return {"score": outputs.scores[:, outputs.positive]} | values
    return {"confidence": outputs.scores.max(axis=1)} | values


def profile_values(
    values: dict[str, np.ndarray[Any, Any]], bins: dict[str, Bins] | None = None, *, days: Array | None = None
) -> Profile:
    """Profile arrays in memory, those that have bins; without `bins`, freeze them on these values.

    Parameters
    ----------
    days : array of datetime64[D], shape (n,), optional
        The day of each record; the profile then knows its days.
    """
    frozen = bins or {name: _freeze(array) for name, array in values.items()}
    used = {name: array for name, array in values.items() if name in frozen}
    if days is None:
        columns = {name: profile_array(array, frozen[name]) for name, array in used.items()}
        return Profile(columns, max((len(array) for array in values.values()), default=0))
    dates, of = np.unique(days, return_inverse=True)
    counts = [count_array(frozen[name], array, of, len(dates)) for name, array in used.items()]
    rows = np.column_stack([np.bincount(of, minlength=len(dates)), *counts])
    found = Days({name: frozen[name] for name in used}, dates, rows)
    return replace(found.total(), days=found)


def _freeze(values: np.ndarray[Any, Any]) -> Bins:
    if values.dtype.kind == "f":
        return freeze_numeric(values)
    found, counts = np.unique(values.astype(str), return_counts=True)
    return freeze_categorical([str(level) for level in found[np.argsort(-counts, kind="stable")]])

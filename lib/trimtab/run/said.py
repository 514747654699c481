"""What do predictions and outcomes mean that lie beside a table as bare arrays: classes, probabilities or numbers?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimtab.errors import DataError
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.scoring import choose_positive, label_text

_MOST_CLASSES = 20    # distinct whole numbers that are still taken for classes
_TASKS = ("classification", "regression")
_WHERE = {"now": "recent", "before": "reference"}
_TRUTH = {"True": 1, "False": 0, "1": 1, "0": 0, "-1": 0}
_TWO_WAYS = {frozenset({"-1", "1"}), frozenset({"0", "1"})}    # of writing what is true and what is not
_CUT = 0.5            # the probability from which on a record is taken to be of the positive class

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Said:
    """Predictions beside what came.

    Attributes
    ----------
    now : Outputs
        Of the recent records.
    before : Outputs or None
        Of the reference's, where these are known.
    """

    now: Outputs
    before: Outputs | None = None

    @property
    def primary(self) -> str:
        """The metric that speaks for the model."""
        if self.now.task == "regression":
            return "mae"
        return "accuracy" if self.now.scores is None else "roc_auc"

    @property
    def loss(self) -> str:
        """The error that is followed over time, in words."""
        if self.now.task == "regression":
            return "absolute error"
        return "share of wrong predictions" if self.now.scores is None else "squared error of the probabilities"


def said(recent: Pair, reference: Pair | None = None, *, task: str | None = None, rows: Sequence[int] = ()) -> Said:
    """Predictions and outcomes as they can be measured.

    Parameters
    ----------
    recent, reference : pair of array-like, shape (n,)
        Predictions, and what came.
    task : str, optional
        "classification" or "regression"; else texts, truth values and few distinct whole numbers are taken for
        classes, fractions from 0 to 1 beside outcomes of 0 and 1, or of -1 and 1, for probabilities, and other numbers
        for numbers.
    rows : sequence of int, optional
        Records of the reference and of the recent table, which the arrays must have, too.

    Raises
    ------
    DataError
        When lengths differ, a value is missing or infinite, numbers are asked for and texts are there, the task is
        none, predictions and outcomes are of classes that have nothing in common, or they are -1 and 1 on one side and
        0 and 1 on the other.

    Examples
    --------
    >>> said(([1.5, 2.0], [1.0, 2.5])).now.task, said((["a", "b"], ["a", "a"])).now.task
    ('regression', 'binary')
    >>> said(([0.9, 0.2], [1, 1])).now.scores[:, 1].tolist()
    [0.9, 0.2]
    """
    if task not in (None, *_TASKS):
        raise DataError(f"task={task!r} is none; there are {' and '.join(_TASKS)}")
    pairs = {"now": recent} | ({} if reference is None else {"before": reference})
    arrays = {side: tuple(np.asarray(one) for one in pair) for side, pair in pairs.items()}
    sizes = dict(zip(("before", "now"), rows, strict=False))
    for side, pair in arrays.items():
        _check(side, pair, sizes.get(side))
    every = [one for pair in arrays.values() for one in pair]
    if task != "regression" and _are_probabilities(arrays):
        made = {side: _probable(predicted, actual) for side, (predicted, actual) in arrays.items()}
    elif (task or _task(every)) == "regression":
        made = {
            side: Outputs((), _numbers(side, actual), _numbers(side, predicted))
            for side, (predicted, actual) in arrays.items()
        }
    else:
        made = _classes(arrays, every)
    return Said(**made)


def _check(side: str, pair: tuple[Array, ...], rows: int | None) -> None:
    """Two arrays of one value per record."""
    predicted, actual = pair
    where = _WHERE[side]
    for name, one in (("predictions", predicted), ("actuals", actual)):
        if one.ndim != 1:
            raise DataError(f"the {name} of the {where} records are of shape {one.shape}, not one value per record")
        if one.dtype.kind == "O" and any(value is None or value != value for value in one):
            raise DataError(f"the {name} of the {where} records hold missing values")
        if one.dtype.kind == "f" and not np.isfinite(one).all():
            wrong = int((~np.isfinite(one)).sum())
            raise DataError(f"the {name} of the {where} records hold {wrong} values that are missing or infinite")
    if len(predicted) != len(actual):
        raise DataError(f"of the {where} records there are {len(predicted):,} predictions and {len(actual):,} actuals")
    if rows is not None and len(predicted) != rows:
        raise DataError(f"there are {len(predicted):,} predictions for {rows:,} {where} records")


def _are_probabilities(arrays: dict[str, tuple[Array, ...]]) -> bool:
    """Whether fractions from 0 to 1 stand beside outcomes that are true or false."""
    predicted, actual = (np.concatenate(one) for one in zip(*arrays.values(), strict=True))
    if predicted.dtype.kind != "f" or not len(predicted):
        return False
    fractions = predicted.min() >= 0 and predicted.max() <= 1 and (predicted != np.round(predicted)).any()
    came = {label_text(value) for value in np.unique(actual).tolist()}
    return bool(fractions) and came <= set(_TRUTH) and not {"-1", "0"} <= came


def _probable(predicted: Array, actual: Array) -> Outputs:
    """Probabilities that something is true, and whether it was."""
    came = np.array([_TRUTH[label_text(value)] for value in actual.tolist()], dtype=np.intp)
    scores = np.column_stack([1 - predicted, predicted])
    return Outputs(("0", "1"), came, (predicted >= _CUT).astype(np.intp), scores, positive=1)


def _task(every: Sequence[Array]) -> str:
    """Classes or numbers, by what is there."""
    if any(one.dtype.kind not in "iuf" for one in every):
        return "classification"
    whole = all((one == np.round(one)).all() for one in every)
    few = len(np.unique(np.concatenate(every))) <= _MOST_CLASSES
    return "classification" if whole and few else "regression"


def _numbers(side: str, values: Array) -> Array:
    try:
        numbers: Array = values.astype(np.float64)
        return numbers
    except ValueError:
        raise DataError(f"the predictions or actuals of the {_WHERE[side]} records are no numbers") from None


def _classes(arrays: dict[str, tuple[Array, ...]], every: Sequence[Array]) -> dict[str, Outputs]:
    """Codes by one list of classes, with the positive one of two."""
    truth = any(one.dtype.kind == "b" or set(one.tolist()) <= {"True", "False"} for one in every)
    texts = {side: [np.array([_label(value, truth=truth) for value in one.tolist()]) for one in pair]
             for side, pair in arrays.items()}
    predictions, actuals = (np.concatenate(one) for one in zip(*texts.values(), strict=True))
    if not np.isin(predictions, actuals).any():
        told = f"{str(predictions[0])!r} and {str(actuals[0])!r}"
        hint = "; probabilities go with actuals of 0 and 1" if _any_fraction(every[::2]) else ""
        raise DataError(f"no prediction is a class that came: they are written as {told}{hint}")
    if {frozenset(np.unique(one).tolist()) for one in (predictions, actuals)} == _TWO_WAYS:
        raise DataError("of predictions and actuals some are -1 and 1, the others 0 and 1: write both alike")
    labels, counts = np.unique(np.concatenate([one for pair in texts.values() for one in pair]), return_counts=True)
    names = tuple(str(one) for one in labels)
    if len(names) > max(_MOST_CLASSES, sum(map(len, every)) // 10):
        raise DataError(f"the predictions and actuals have {len(names):,} distinct values, too many for classes")
    chosen = choose_positive(names, dict(zip(names, counts.tolist(), strict=True))) if len(names) == 2 else None
    positive = None if chosen is None else names.index(chosen)
    return {
        side: Outputs(names, np.searchsorted(labels, actual), np.searchsorted(labels, predicted), positive=positive)
        for side, (predicted, actual) in texts.items()
    }


def _any_fraction(predictions: Sequence[Array]) -> bool:
    return any(one.dtype.kind == "f" and bool((one != np.round(one)).any()) for one in predictions)


def _label(value: Any, *, truth: bool) -> str:
    """A class as text; ones and zeros as truth where the others are truth values."""
    text = label_text(value)
    return {"1": "True", "0": "False"}.get(text, text) if truth else text

"""What would be decided of two plain tables, and of predictions and outcomes that lie beside them?

There is no champion, no ledger and no holdout here: what stands in their place is the reference, and the rules are the
defaults of a params file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from trimtab.decide import columns, losses
from trimtab.decide.grading import Grader, graded
from trimtab.decide.segments import segment_drift
from trimtab.decide.signals import Signal, grade, triggers_for
from trimtab.errors import DataError
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.segments import SegmentDrift
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.performance import Performance, measure_performance
from trimtab.measure.models.scoring import choose_positive, label_text, profile_values
from trimtab.measure.over_time.error_change import Change, consecutive
from trimtab.settings.drift import DriftSettings
from trimtab.settings.triggers import Trigger

_MOST_CLASSES = 20    # distinct whole numbers that are still taken for classes
_TASKS = ("classification", "regression")
_PRIMARY = {"regression": "mae"}
_HALVES = "the earlier half of the recent records to the later"
_WHERE = {"now": "recent", "before": "reference"}


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
        return _PRIMARY.get(self.now.task, "accuracy")

    @property
    def loss(self) -> str:
        """The error that is followed over time, in words."""
        return "absolute error" if self.now.task == "regression" else "share of wrong predictions"


Pair = tuple[Any, Any]


def said(recent: Pair, reference: Pair | None = None, *, task: str | None = None, rows: Sequence[int] = ()) -> Said:
    """Predictions and outcomes as they can be measured.

    Parameters
    ----------
    recent, reference : pair of array-like, shape (n,)
        Predictions, and what came.
    task : str, optional
        "classification" or "regression"; else texts, truth values and few distinct whole numbers are taken for
        classes, and other numbers for numbers.
    rows : sequence of int, optional
        Records of the reference and of the recent table, which the arrays must have, too.

    Raises
    ------
    DataError
        When lengths differ, a value is missing or infinite, numbers are asked for and texts are there, the task is
        none, or predictions and outcomes are of classes that have nothing in common.

    Examples
    --------
    >>> said(([1.5, 2.0], [1.0, 2.5])).now.task, said((["a", "b"], ["a", "a"])).now.task
    ('regression', 'binary')
    """
    if task not in (None, *_TASKS):
        raise DataError(f"task={task!r} is none; there are {' and '.join(_TASKS)}")
    pairs = {"now": recent} | ({} if reference is None else {"before": reference})
    arrays = {side: tuple(np.asarray(one) for one in pair) for side, pair in pairs.items()}
    sizes = dict(zip(("before", "now"), rows, strict=False))
    for side, pair in arrays.items():
        _check(side, pair, sizes.get(side))
    every = [one for pair in arrays.values() for one in pair]
    if (task or _task(every)) == "regression":
        made = {
            side: Outputs((), _numbers(side, actual), _numbers(side, predicted))
            for side, (predicted, actual) in arrays.items()
        }
    else:
        made = _classes(arrays, every)
    return Said(**made)


def signals(
    drift: Drift, apart: SegmentDrift, beside: Said | None, settings: DriftSettings, own: Sequence[Trigger] = ()
) -> tuple[Signal, ...]:
    """Every measurement, held against its triggers.

    Parameters
    ----------
    beside : Said or None
        Without it, only the columns speak.
    settings : DriftSettings
        Whose alpha is this kind of evidence's part.
    own : sequence of Trigger
        Rules in the place of the defaults.
    """
    measured = columns.inputs(drift, settings)
    if apart.named:
        measured.append(segment_drift(apart, settings))
    rules = triggers_for(settings, own)
    if beside is not None:
        if beside.before is not None:
            measured += columns.outputs(_moved(beside.before, beside.now), settings)
        measured.append(losses.concept_drift(_change(beside.now), beside.loss, between=_HALVES, alpha=settings.alpha))
    graders: list[Grader] = [partial(grade, one) for one in measured]
    if beside is not None:
        graders += _lost(beside, rules, settings.alpha)
    return tuple(graded(graders, rules))


def performances(beside: Said) -> dict[str, Performance]:
    """What was measured of the predictions, under "reference" where they are known there, and "recent"."""
    sides = {"reference": beside.before, "recent": beside.now}
    return {name: measure_performance(one) for name, one in sides.items() if one is not None}


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
        raise DataError(f"no prediction is a class that came: they are written as {told}")
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


def _label(value: Any, *, truth: bool) -> str:
    """A class as text; ones and zeros as truth where the others are truth values."""
    text = label_text(value)
    return {"1": "True", "0": "False"}.get(text, text) if truth else text


def _moved(before: Outputs, now: Outputs) -> Drift:
    """The predictions themselves."""
    def _values(outputs: Outputs) -> Array:
        return np.asarray(outputs.labels)[outputs.predicted] if outputs.labels else outputs.predicted

    first = profile_values({"prediction": _values(before)})
    return compare(first, profile_values({"prediction": _values(now)}, first.bins))


def _change(now: Outputs) -> Change:
    """The error in the later half of the recent records against the earlier."""
    errors, half = _errors(now), len(now) // 2
    return consecutive(errors[:half], errors[half:])


def _errors(outputs: Outputs) -> Array:
    wrong: Array = outputs.actual != outputs.predicted
    errors: Array = np.abs(outputs.actual - outputs.predicted)
    return wrong.astype(np.float64) if outputs.labels else errors


def _lost(beside: Said, rules: Sequence[Trigger], alpha: float) -> list[Grader]:
    """What grades realised performance against that on the reference, by every metric that a rule names, if any."""
    if beside.before is None:
        return []
    measured = performances(beside)
    before, now = measured["reference"].values, measured["recent"].values
    named = [rule.metric for rule in rules if rule.metric is not None]
    wanted = [metric for metric in dict.fromkeys([beside.primary, *named]) if Measure(metric) in now]
    lost = {
        metric: losses.performance_drop(
            metric, before[Measure(metric)], now[Measure(metric)],
            greater_is_better=METRICS[metric].greater_is_better, alpha=alpha / len(wanted),
        ) for metric in wanted
    }
    return [partial(losses.graded_loss, lost, primary=beside.primary)]

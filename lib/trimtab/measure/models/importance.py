"""Which columns does a model rely on?

A column's values are dealt out anew among the records, which cuts its tie to the outcome and leaves all else as it was;
what the metric loses by that is the column's permutation importance (L. Breiman, 2001, Random forests; in general A.
Fisher, C. Rudin and F. Dominici, 2019). It speaks of columns as they come in: all indicators of a category, and all
words of a text, are one column.

Columns that say the same stand in for each other: each of them then loses little, though together they may carry the
model. And what a model does not rely on may still tell of the outcome.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trimtab.measure.models.metrics import evaluate, metric
from trimtab.measure.models.outputs import Array, Outputs

if TYPE_CHECKING:
    import pandas as pd

_ROWS_AT_ONCE = 50_000    # to be predicted: enough to make calls few, and not too many to hold as indicator columns


@dataclass(frozen=True)
class Importance:
    """What a metric loses without each column.

    Attributes
    ----------
    metric : str
        The metric that was measured.
    value : float
        Its value on the records as they are.
    rows, repeats : int
        Records, and how many times each column was dealt out anew.
    mean : mapping
        By column, the loss on average: positive where the metric gets worse, whichever way that is.
    deviation : mapping
        Its standard deviation over the repeats, which knows of the dealing alone and not of the choice of records.
    """

    metric: str
    value: float
    rows: int
    repeats: int
    mean: Mapping[str, float]
    deviation: Mapping[str, float]

    @property
    def shares(self) -> dict[str, float]:
        """Each column's part of all that is lost, in [0, 1]; 0 where nothing is, nan where no column loses anything.

        Examples
        --------
        >>> Importance("roc_auc", 0.8, 100, 1, {"x": 0.75, "z": 0.25, "noise": -0.1}, {}).shares
        {'x': 0.75, 'z': 0.25, 'noise': 0.0}
        """
        lost = {name: max(value, 0.0) for name, value in self.mean.items()}
        whole = sum(lost.values())
        return {name: value / whole if whole > 0 else math.nan for name, value in lost.items()}


def deals(rows: int, repeats: int, *, seed: int) -> Array:
    """Orders to deal values out in, shape (repeats, rows): each row holds every position from 0 to rows - 1 once.

    Examples
    --------
    >>> sorted(deals(4, 1, seed=0)[0].tolist())
    [0, 1, 2, 3]
    """
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(rows) for _ in range(repeats)], dtype=np.intp).reshape(repeats, rows)


def permutation_importance(
    predict: Callable[[pd.DataFrame], Outputs], features: pd.DataFrame, known: Outputs, orders: Array, *, name: str
) -> Importance:
    """What a metric loses when one column after the other is dealt out anew.

    Parameters
    ----------
    predict : callable
        What the model says of features; the result's `actual` is not looked at.
    features : DataFrame, n records
    known : Outputs
        What it says of them as they are, and what came; in the same order.
    orders : array, shape (repeats, n)
        As `deals` gives them; the same for all columns.
    name : str
        The metric.

    Returns
    -------
    Importance
        Every mean is nan where the metric is, as ROC AUC is with one class.

    Raises
    ------
    ValueError
        When the metric does not apply, or the sizes differ.

    Notes
    -----
    The same numbers as scikit-learn's function of this name, given the same orders. That predicts once per column and
    repeat; here the records of many are predicted in one call, since most of what a call takes does not depend on
    their number.
    """
    n = len(known)
    if len(features) != n or orders.shape[1:] != (n,):
        raise ValueError(f"{len(features)} records and orders of shape {orders.shape} do not fit {n} outputs")
    value = evaluate(name, known)
    sign = metric(name).sign
    lost: dict[str, list[float]] = {column: [] for column in features.columns}
    for column, said in _said(predict, features, orders):
        dealt = Outputs(known.labels, known.actual, said.predicted, said.scores, known.positive)
        lost[column].append(sign * (value - evaluate(name, dealt)))
    mean = {column: float(np.mean(each)) for column, each in lost.items()}
    deviation = {column: float(np.std(each)) for column, each in lost.items()}
    return Importance(name, value, n, len(orders), mean, deviation)


def _said(
    predict: Callable[[pd.DataFrame], Outputs], features: pd.DataFrame, orders: Array
) -> Iterator[tuple[str, Outputs]]:
    """Each column as often as there are orders, with what the model says when it is dealt out in that order."""
    import pandas as pd

    n = len(features)
    every = [(column, order) for column in features.columns for order in orders]
    some = max(1, _ROWS_AT_ONCE // max(n, 1))
    for start in range(0, len(every), some):
        block = every[start : start + some]
        said = predict(pd.concat([_dealt(features, *one) for one in block], ignore_index=True))
        for place, (column, _) in enumerate(block):
            yield column, said.take(np.arange(place * n, (place + 1) * n))


def _dealt(features: pd.DataFrame, column: str, order: Array) -> pd.DataFrame:
    return features.assign(**{column: features[column].array.take(order)})

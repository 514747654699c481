"""Metrics that are means of a loss per record, or made from a few such means: all are matrix products with the weights.

Log loss, Brier score and calibration error judge probabilities; MAE, RMSE and R² judge numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Array, Outputs, ratio
from trimtab.measure.models.weights import Statistic, Weights, about_mean, sums_by_code, totals, weighted_sums

Floats = NDArray[np.float64]

CALIBRATION_BINS = 10


def _mean(losses: Array) -> Statistic:
    return lambda weights: ratio(weighted_sums(weights, losses), totals(weights))


def _scores(outputs: Outputs) -> Array:
    assert outputs.scores is not None  # the catalogue has checked
    return outputs.scores


def log_loss(outputs: Outputs) -> Statistic:
    """Mean of -log(probability given to the class that came), in nats.

    Probabilities are clipped to [eps, 1 - eps], eps being that of the scores' own type, as scikit-learn does.
    """
    return _mean(_log_losses(outputs))


def _log_losses(outputs: Outputs) -> Floats:
    scores = _scores(outputs)
    eps = np.finfo(scores.dtype).eps
    given = np.clip(scores[np.arange(len(outputs)), outputs.actual], eps, 1 - eps)
    found: Floats = -np.log(given.astype(np.float64))
    return found


def brier(outputs: Outputs) -> Statistic:
    """Mean squared distance between probabilities and outcome (Brier, 1950).

    Binary: of the positive class, in [0, 1]. Multiclass: summed over classes, in [0, 2].
    """
    return _mean(_brier_losses(outputs))


def _brier_losses(outputs: Outputs) -> Floats:
    scores = _scores(outputs).astype(np.float64)
    if outputs.positive is not None:
        binary: Floats = (scores[:, outputs.positive] - (outputs.actual == outputs.positive)) ** 2
        return binary
    # (p - 1)² for the class that came and p² for the others, without building the table of outcomes.
    came = scores[np.arange(len(outputs)), outputs.actual]
    summed: Floats = (scores**2).sum(axis=1) - 2 * came + 1
    return summed


def calibration_error(outputs: Outputs) -> Statistic:
    """Mean absolute gap between probability and frequency over ten bins of equal width (Naeini et al., 2015).

    Binary: probability of the positive class. Multiclass: highest probability, against whether that class came. Bins
    include their lower end, the last one 1 too. The estimate is biased upwards by chance, the
    more the fewer records there are, so compare models on the same records only.
    """
    scores = _scores(outputs).astype(np.float64)
    if outputs.positive is None:
        said, came = scores.max(axis=1), scores.argmax(axis=1) == outputs.actual
    else:
        said, came = scores[:, outputs.positive], outputs.actual == outputs.positive
    bins = np.clip(np.floor(said * CALIBRATION_BINS), 0, CALIBRATION_BINS - 1).astype(np.intp)
    gaps = sums_by_code(bins, np.arange(len(outputs)), CALIBRATION_BINS, len(outputs), said - came)

    def _apply(weights: Weights) -> Floats:
        return ratio(np.abs(gaps(weights)).sum(axis=1), totals(weights))

    return _apply


def mae(outputs: Outputs) -> Statistic:
    """Mean absolute error, in units of the outcome."""
    return _mean(_absolute_errors(outputs))


def _absolute_errors(outputs: Outputs) -> Floats:
    found: Floats = np.abs(outputs.predicted - outputs.actual)
    return found


def rmse(outputs: Outputs) -> Statistic:
    """Root of the mean squared error, in units of the outcome."""
    mean = _mean(_squared_errors(outputs))
    return lambda weights: np.sqrt(mean(weights))


def _squared_errors(outputs: Outputs) -> Floats:
    found: Floats = (outputs.predicted - outputs.actual) ** 2
    return found


def r2(outputs: Outputs) -> Statistic:
    """Share of the outcome's variance that is explained; nan where the outcome does not vary."""
    errors = _squared_errors(outputs)

    def _apply(weights: Weights) -> Floats:
        return 1 - ratio(weighted_sums(weights, errors), about_mean(weights, outputs.actual)[2])

    return _apply


_PER_RECORD = {"log_loss": _log_losses, "brier": _brier_losses, "mae": _absolute_errors, "rmse": _squared_errors}
MEANS = tuple(_PER_RECORD)
"""Metrics that are a mean of losses over records, or the root of one, whose standard error is known."""


def standard_errors(name: str, outputs: Outputs) -> Statistic:
    """Standard error of a metric in `MEANS`, the records being independent draws; in its unit.

    Parameters
    ----------
    name
        One of `MEANS`; where it needs probabilities, the outputs have them.

    Returns
    -------
    callable
        Takes weights (replicates, n), each saying how often a record is there, and returns shape (replicates,). nan
        with fewer than two records. Of the root mean squared error it is that of the mean, carried over by the
        derivative of the root; 0 where all errors are 0.

    Examples
    --------
    >>> outputs = Outputs((), np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    >>> standard_errors("mae", outputs)(np.ones((1, 3))).round(3).tolist()
    [0.577]
    """
    losses = _PER_RECORD[name](outputs)

    def _apply(weights: Weights) -> Floats:
        records, mean, squares = about_mean(weights, losses)
        error = np.sqrt(ratio(ratio(squares, np.where(records > 1, records - 1, 0.0)), records))
        if name != "rmse":
            return error
        return np.where(mean == 0, np.where(records > 1, 0.0, np.nan), ratio(error, 2 * np.sqrt(mean)))

    return _apply

"""How good is the model now, going by a model of its error's size?

For regression, where no probability tells how sure the model is: gradient-boosted trees learn from the holdout how
large the error is, given features and prediction, and say how large it should be for the current records. Each holdout
record is predicted by trees that did not learn from it, so their bias is known and taken off; with density ratios, the
bias among records like the current ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.metrics import evaluate
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.unlabelled import calibration, estimates
from trimtab.measure.unlabelled.estimates import LOSS, Assumption, Estimate

__all__ = ["ErrorSizes", "direct_loss", "error_sizes"]

Floats = NDArray[np.float64]

FOLDS = 4
MOST_RECORDS = 5_000    # of the holdout to learn from: more makes the estimate slow, and not much nearer

# Small, coarse trees: the size of an error is noisy, and must be learned in a fraction of a second.
_TREES = {"max_iter": 30, "max_leaf_nodes": 8, "max_bins": 63, "learning_rate": 0.15, "early_stopping": False}


@dataclass(frozen=True, eq=False)
class ErrorSizes:
    """What losses are expected of records, by models that did not learn from them.

    Attributes
    ----------
    holdout : ndarray
        Shape (n,): of each holdout record, by the model whose part it was not in.
    current : ndarray
        Shape (folds, m): of each current record, by each of the models.
    """

    holdout: Floats
    current: Floats


_LOSSES: dict[str, tuple[Callable[[Floats], Floats], Callable[[float], float]]] = {
    "mae": (np.abs, float),
    "rmse": (np.square, math.sqrt),
}


def error_sizes(
    holdout_features: Array, losses: Array, current_features: Array, *, folds: int = FOLDS, seed: int = 0
) -> ErrorSizes:
    """Learn how large losses are, given features, and predict them.

    Parameters
    ----------
    holdout_features
        Shape (n, p): numbers, nan where a value is missing. The model's prediction may be one of the columns.
    losses
        Shape (n,): absolute errors, or another loss.
    current_features
        Shape (m, p).
    folds
        2 or more.
    seed
        Of the division into folds.

    Raises
    ------
    ValueError
        When shapes do not fit, a value is infinite, or there are fewer than 30 holdout records.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((1000, 1))
    >>> found = error_sizes(x, np.abs(rng.normal(size=1000)) * (1 + x[:, 0]), np.array([[0.1], [0.9]]))
    >>> np.diff(found.current.mean(axis=0)) > 0.3
    array([ True])
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    known, new = _checked_features(holdout_features, current_features, len(losses))
    if len(known) < estimates.FEWEST:
        raise ValueError(f"{len(known)} records are too few to learn from; {estimates.FEWEST} are needed")
    part = np.random.default_rng(seed).permutation(np.arange(len(known)) % folds)
    held = np.empty(len(known))
    predicted = np.empty((folds, len(new)))
    for fold in range(folds):
        own, others = part == fold, part != fold
        empty = np.isnan(known[others]).all(axis=0)    # the trees take no column without any value, but a constant
        model = HistGradientBoostingRegressor(**_TREES, random_state=0)
        model.fit(np.where(empty, 0.0, known[others]), losses[others])
        held[own] = model.predict(np.where(empty, 0.0, known[own]))
        predicted[fold] = model.predict(np.where(empty, 0.0, new)) if len(new) else 0.0
    return ErrorSizes(held, predicted)


def _checked_features(holdout: Array, current: Array, n: int) -> tuple[Floats, Floats]:
    known, new = np.asarray(holdout, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if known.ndim != 2 or new.ndim != 2 or known.shape[1] != new.shape[1]:
        raise ValueError(f"features must be tables of the same columns, not of shapes {known.shape} and {new.shape}")
    if len(known) != n:
        raise ValueError(f"there are features of {len(known)} holdout records and outcomes of {n}")
    if np.isinf(known).any() or np.isinf(new).any():
        raise ValueError("features must be finite numbers, or nan where a value is missing")
    return known, new


def direct_loss(
    holdout_features: Array,
    holdout: Outputs,
    current_features: Array,
    predicted: Array,
    names: Sequence[str] = ("mae", "rmse"),
    *,
    weights: Array | None = None,
    outside: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[Measure, Estimate]:
    """Estimate errors of a regression model on records whose outcomes are not known.

    Parameters
    ----------
    holdout_features
        Shape (n, p): numbers, nan where a value is missing.
    holdout
        n records with outcomes that the model did not learn from; of more than 5,000, so many are drawn.
    current_features
        Shape (m, p).
    predicted
        Shape (m,): what the model predicts for the current records.
    names
        ``mae``, ``rmse``.
    weights
        Shape (n,): density ratios of current to holdout records. With them the estimate is right if either they or the
        model of the error are.
    outside
        Share, in [0, 1], of the current records that lie where the holdout has none. None asks each column's range.
    confidence
        Between 0 and 1, both excluded.
    seed
        Of the folds, and of the records drawn.

    Returns
    -------
    dict
        By metric; nan with a reason where either side has fewer than 30 records.

    Raises
    ------
    ValueError
        For classification, metrics other than these two, an infinite feature, or shapes that do not fit.

    Notes
    -----
    With density ratios this is the augmented estimator of J. Robins, A. Rotnitzky and L. Zhao (1994). The range takes
    in how much realised losses vary, the uncertainty of the bias, and how far models of other folds disagree
    (jackknife); it is symmetric in the logarithm, for losses are skewed. Where errors grow towards where the records
    move, ranges of the MAE with density ratios hold what they say, those of the RMSE somewhat less, and both less
    without them: trees do not reach beyond what they have seen, and the few large errors that make the RMSE may lack in
    the holdout.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((4000, 1))
    >>> actual = rng.normal(size=4000) * (1 + 3 * x[:, 0])
    >>> holdout, late = Outputs((), actual[:2000], np.zeros(2000)), x[2000:, 0] > 0.5
    >>> found = direct_loss(x[:2000], holdout, x[2000:][late], np.zeros(late.sum()), ["mae"])[Measure("mae")]
    >>> round(found.baseline, 1), found.low < 2.6 < found.high
    (2.0, True)
    """
    said = np.asarray(predicted, dtype=np.float64)
    _require(holdout, said, np.asarray(current_features), names)
    estimates.check(confidence, math.ceil(2 / (1 - confidence)) if 0 < confidence < 1 else 1)
    known, new = _checked_features(holdout_features, current_features, len(holdout))
    counts = calibration.checked_weights(weights, len(holdout))
    baseline = {name: evaluate(name, holdout) for name in dict.fromkeys(names)}
    if reason := estimates.too_few(float(counts.sum()), len(said)):
        return {Measure(name): estimates.unknown(one, confidence, LOSS, reason) for name, one in baseline.items()}
    told = _assumptions(known, new, None if weights is None else float(counts.sum()), outside)
    chosen = np.random.default_rng(seed).permutation(len(holdout))[:MOST_RECORDS]
    tables = np.column_stack([known, holdout.predicted])[chosen], np.column_stack([new, said])
    errors = (holdout.predicted - holdout.actual)[chosen]
    found = {}
    for name, one in baseline.items():
        loss, written = _LOSSES[name]
        mean, error = _mean_loss(tables, loss(errors), counts[chosen], seed)
        low, high = _range(mean, error, confidence)
        found[Measure(name)] = Estimate(written(mean), written(low), written(high), confidence, LOSS, one, told)
    return found


def _require(holdout: Outputs, predicted: Array, features: Array, names: Sequence[str]) -> None:
    if holdout.labels:
        raise ValueError("classes have no error size; use confidence_estimates or reweighted_estimates")
    if unknown := [name for name in names if name not in _LOSSES]:
        raise ValueError(f"{', '.join(unknown)} cannot be estimated from losses; these can: {', '.join(_LOSSES)}")
    if predicted.ndim != 1 or len(predicted) != len(features) or not np.isfinite(predicted).all():
        raise ValueError(f"predictions must be {len(features)} finite numbers, one for each current record")


def _mean_loss(tables: tuple[Floats, Floats], losses: Floats, counts: Floats, seed: int) -> tuple[float, float]:
    """Expected mean loss of the current records, and the standard error of what will be realised around it."""
    sizes = error_sizes(tables[0], losses, tables[1], seed=seed)
    shares = counts / counts.sum()
    left = losses - sizes.holdout
    bias = float(shares @ left)
    by_fold = sizes.current.mean(axis=1)
    disagreement = (FOLDS - 1) / FOLDS * float(((by_fold - by_fold.mean()) ** 2).sum())
    # Losses vary in proportion to how large they are expected to be.
    scatter = float(shares @ left**2) / max(float(shares @ sizes.holdout**2), np.finfo(float).tiny)
    chance = scatter * float((sizes.current.mean(axis=0) ** 2).mean()) / sizes.current.shape[1]
    variance = chance + float(shares**2 @ (left - bias) ** 2) + disagreement
    return max(float(by_fold.mean()) + bias, 0.0), math.sqrt(variance)


def _range(mean: float, error: float, confidence: float) -> tuple[float, float]:
    from scipy import special

    reach = float(special.ndtri((1 + confidence) / 2)) * error
    if reach >= 5 * mean:    # a logarithm of so little says nothing
        return 0.0, mean + reach
    return mean * math.exp(-reach / mean), mean * math.exp(reach / mean)


def _assumptions(
    known: Floats, new: Floats, effective: float | None, outside: float | None
) -> tuple[Assumption, ...]:
    beyond = _outside(known, new) if outside is None else outside
    return (
        estimates.overlap(beyond, effective, len(known)),
        estimates.enough_records(len(known), len(new)),
        estimates.no_concept_drift(),
    )


def _outside(known: Floats, new: Floats) -> float:
    """Largest share of current values, over the columns, that lie outside the holdout's range."""
    low = np.where(np.isnan(known), np.inf, known).min(axis=0)
    high = np.where(np.isnan(known), -np.inf, known).max(axis=0)
    return float(((new < low) | (new > high)).mean(axis=0).max(initial=0.0))

"""What may be added to a model's log odds, and how far do outcomes speak for it? The arithmetic under `calibration`.

A correction is linear: what a coefficient adds to the log odds of a class stands in a design of shape (n, free, d).
With two classes only the second is free, else all are. Coefficients have a normal prior around zero: no correction.

Of several classes most numbers turn on the likeliest one, so it has coefficients of its own: once they are fitted, it
comes as often as its probability says. Scores so small that their logarithm says nothing have one too, for else the few
of them that come, as with neighbours that are counted or with leaves of trees, would make all others less sure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Array

Floats = NDArray[np.float64]

_KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)
_MOST_STEPS = 50
_MOST_HALVINGS = 30
_SETTLED = 1e-5    # the next step would be its square
_NO_INFORMATION = 1e-9

# Of several classes: what each kind of correction consists of.
_PARTS = {
    "temperature": ("scale", "floored", "top"),
    "levels": ("level of each", "scale", "floored", "top", "slope of top"),
    "tops": ("level of each", "scale of each", "scale", "floored", "top", "top of each", "slope of top",
             "bends of top"),
    "agreement": ("level of each", "scale", "top"),
}
# How large coefficients are expected to be. What is floored may be off by orders of magnitude.
_DEVIATIONS = {
    "level of each": 0.5, "scale of each": 0.3, "scale": 0.5, "floored": 3.0, "top": 0.5, "top of each": 0.5,
    "slope of top": 0.5, "bends of top": 0.7,
}


class Marks(NamedTuple):
    """What a design needs to know of the records that a correction is fitted on.

    Their number; the mean log odds, around which a slope stretches them; and log odds at which a curve may bend.
    """

    records: int
    centre: float
    knots: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Most likely coefficients (d,), how far the true ones may lie from them, and how far outcomes speak for the kind.

    ``spread`` has shape (d, d): its product with standard normal numbers is a draw of the distance. ``evidence`` is the
    logarithm of the marginal likelihood in Laplace's approximation.
    """

    coefficients: Floats
    spread: Floats
    evidence: float


def floored_logs(probabilities: Floats, records: int) -> Floats:
    """Log probabilities; so many records cannot tell a probability below half a record's share from that share.

    >>> floored_logs(np.array([[0.0, 1.0]]), 49).round(3).tolist()
    [[-4.605, 0.0]]
    """
    logs: Floats = np.log(np.maximum(probabilities, _floor(records)))
    return logs


def _floor(records: int) -> float:
    return 0.5 / (records + 1)


def landmarks(logs: Floats) -> Marks:
    """Mean log odds, and five quantiles at which a curve may bend: of the second of two classes, or of the likeliest.

    >>> landmarks(np.log([[0.5, 0.5], [0.5, 0.5]])).centre
    0.0
    """
    if not len(logs):
        return Marks(0, 0.0, ())
    odds = _odds(logs)
    return Marks(len(logs), float(odds.mean()), tuple(np.quantile(odds, _KNOTS).tolist()))


def _odds(logs: Floats) -> Floats:
    """Log odds of the second of two classes; of more, of the likeliest against all others together."""
    if logs.shape[1] == 2:
        return logs[:, 1] - logs[:, 0]
    p = np.sort(np.exp(logs), axis=1)
    odds: Floats = np.log(p[:, -1] / p[:, :-1].sum(axis=1))
    return odds


def design(kind: str, logs: Floats, marks: Marks) -> Floats:
    """What each coefficient of a kind of correction adds to log odds, of shape (n, free, d).

    >>> design("slope", np.log([[0.5, 0.5]]), Marks(1, 0.0, ())).tolist()
    [[[1.0, 0.0]]]
    """
    n, classes = logs.shape
    if kind == "none":
        return np.zeros((n, classes if classes > 2 else 1, 0))
    odds = _odds(logs)
    if classes == 2:
        bends = [np.maximum(odds - knot, 0.0) for knot in marks.knots] if kind == "curve" else []
        return np.column_stack([np.ones(n), odds - marks.centre, *bends])[:, None, :]
    each, scale = np.broadcast_to(np.eye(classes), (n, classes, classes)), logs[:, :, None]
    top = np.eye(classes)[logs.argmax(axis=1)][:, :, None]
    parts: dict[str, Callable[[], Floats]] = {
        "level of each": lambda: each, "scale of each": lambda: each * scale, "scale": lambda: scale,
        "floored": lambda: (scale <= np.log(_floor(marks.records)) + _SETTLED).astype(float),
        "top": lambda: top, "top of each": lambda: each * top,
        "slope of top": lambda: top * (odds - marks.centre)[:, None, None],
        "bends of top": lambda: top * np.maximum(odds[:, None] - np.array(marks.knots), 0.0)[:, None, :],
    }
    return np.concatenate([parts[name]() for name in _PARTS[kind]], axis=2)


def deviations(kind: str, classes: int, marks: Marks) -> Floats:
    """How large each coefficient of a correction of three classes or more is expected to be, of shape (d,).

    >>> deviations("temperature", 3, Marks(1, 0.0, ())).tolist()
    [0.5, 3.0, 0.5]
    """
    widths = {name: classes for name in _DEVIATIONS if name.endswith("of each")} | {"bends of top": len(marks.knots)}
    parts = _PARTS[kind]
    return np.repeat([_DEVIATIONS[name] for name in parts], [widths.get(name, 1) for name in parts])


def moved(logs: Floats, added: Floats) -> Floats:
    """Probabilities once ``added``, of shape (rows, free, n), went to the log odds: shape (rows, classes, n).

    >>> moved(np.log([[0.5, 0.5]]), np.log([[[3.0]]])).round(3).tolist()
    [[[0.25], [0.75]]]
    """
    from scipy import special

    rows, _, n = added.shape
    if logs.shape[1] > 2:
        shifted: Floats = special.softmax(logs.T + added, axis=1)
        return shifted
    result = np.empty((rows, 2, n))
    special.expit((logs[:, 1] - logs[:, 0]) + added[:, 0], out=result[:, 1])
    np.subtract(1.0, result[:, 1], out=result[:, 0])
    return result


def _probabilities(logs: Floats, plan: Floats, coefficients: Floats) -> Floats:
    p: Floats = moved(logs, (plan @ coefficients).T[None])[0].T
    return p


def _derivatives(plan: Floats, p: Floats, came: Array, counts: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Gradient of the log likelihood by coefficients, and its information with weights ``squares``."""
    n, free, d = plan.shape
    flat, own = plan.reshape(n * free, d), p[:, p.shape[1] - free :]
    residual = (came[:, None] == np.arange(p.shape[1] - free, p.shape[1])) - own
    mean = (own[:, :, None] * plan).sum(axis=1)
    gradient = (residual * counts[:, None]).ravel() @ flat
    information = (flat * (own * squares[:, None]).reshape(-1, 1)).T @ flat - (mean * squares[:, None]).T @ mean
    return gradient, information


def most_likely(plan: Floats, logs: Floats, came: Array, counts: Floats, precision: Floats) -> Fitted:
    """Fit coefficients by Newton's method.

    Parameters
    ----------
    plan
        Shape (n, free, d), from `design`.
    logs
        Shape (n, classes), from `floored_logs`.
    came
        Shape (n,): codes of the classes that came.
    counts
        Shape (n,): how much each record counts.
    precision
        Shape (d,): one over the square of how large each coefficient is expected to be.

    Examples
    --------
    >>> logs, came = np.log(np.full((100, 2), 0.5)), np.repeat([0, 1], [25, 75])
    >>> found = most_likely(np.ones((100, 1, 1)), logs, came, np.ones(100), np.array([1e-6]))
    >>> found.coefficients.round(3).tolist()    # the log odds of three to one
    [1.099]
    """
    found = np.zeros(plan.shape[2])
    p = _probabilities(logs, plan, found)
    value = _objective(p, found, came, counts, precision)
    for _ in range(_MOST_STEPS if len(found) else 0):
        gradient, information = _derivatives(plan, p, came, counts, counts)
        step = np.linalg.solve(information + np.diag(precision), gradient - precision * found)
        # Where scores are nearly 0 or 1 a whole step overshoots.
        for _ in range(_MOST_HALVINGS):
            p = _probabilities(logs, plan, found + step)
            reached = _objective(p, found + step, came, counts, precision)
            if reached >= value - _SETTLED**2:
                break
            step /= 2
        found, value = found + step, reached
        if np.abs(step).max() < _SETTLED:
            break
    bread = _derivatives(plan, p, came, counts, counts)[1] + np.diag(precision)
    volume = float(np.log(precision).sum() - np.linalg.slogdet(bread)[1])
    # Weighted records vary by the square of their weights, so the covariance is a sandwich.
    filling = _derivatives(plan, p, came, counts, counts**2)[1] + np.diag(precision)
    spread = np.linalg.solve(bread, np.linalg.cholesky(filling))
    return Fitted(found, spread, value + 0.5 * volume)


def _objective(p: Floats, coefficients: Floats, came: Array, counts: Floats, precision: Floats) -> float:
    """Log of likelihood times prior, but for constants."""
    given = np.maximum(p[np.arange(len(came)), came], np.finfo(float).tiny)
    return float(counts @ np.log(given)) - 0.5 * float(precision @ coefficients**2)


def score_test(plan: Floats, p: Floats, came: Array, counts: Floats) -> float:
    """P-value of the hypothesis that no coefficient is needed beyond the probabilities p: Rao's score test.

    nan when no coefficient could make a difference.

    >>> even = np.full((100, 2), 0.5)
    >>> score_test(np.ones((100, 1, 1)), even, np.tile([0, 1], 50), np.ones(100))
    1.0
    """
    from scipy import stats

    gradient, information = _derivatives(plan, p, came, counts, counts**2)
    values, vectors = np.linalg.eigh(information)
    kept = values > _NO_INFORMATION * max(values.max(initial=0.0), 1.0)
    if not kept.any():
        return float("nan")
    statistic = ((vectors.T @ gradient)[kept] ** 2 / values[kept]).sum()
    return float(stats.chi2.sf(statistic, int(kept.sum())))

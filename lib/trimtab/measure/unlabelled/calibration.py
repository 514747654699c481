"""What would the model's probabilities be if they were honest?

A calibration is learned on records with outcomes that the model did not learn from. It is an average of several
corrections of the log odds, from none at all to a curve, each weighted by how well the outcomes speak for it. So scores
that are already calibrated stay nearly as they are, small holdouts bend them little, and large ones may bend them into
any shape. The average knows how uncertain it is: `Calibration.draws` gives others that the outcomes allow as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Array
from trimtab.measure.unlabelled import log_odds

__all__ = [
    "Calibration", "Correction", "checked_outcomes", "checked_probabilities", "checked_weights", "cross_fitted", "fit"
]

Floats = NDArray[np.float64]

SUM_SLACK = 1e-3    # probabilities of single precision, or rounded to four places, sum to nearly one
_SLACK = 1e-6
_AT_ONCE = 2**18    # numbers per block of draws: 2 MB, so that a block stays in cache

# What may be corrected, and its share before any outcome is seen. Perfect honesty has a small share: few models are,
# and where it is given half, moderate over-confidence goes uncorrected in holdouts of some hundred records.
_BINARY = (("none", 0.05), ("slope", 0.6), ("curve", 0.35))
_MULTICLASS = (("none", 0.05), ("temperature", 0.25), ("levels", 0.35), ("tops", 0.35))
# The standard deviation that coefficients are expected to have: a level is added to log odds, the others multiply them.
_EXPECTED = {"slope": 0.5, "curve": 0.7}
_STIFFNESS_OF_CURVES = 1.0    # of the level and slope of a curve, which only its bends are to hold back


@dataclass(frozen=True)
class Correction:
    """One way to correct log odds, and how far the outcomes speak for it.

    Attributes
    ----------
    kind : str
        Binary: ``none``, ``slope`` (log odds are stretched, and a constant is added), ``curve`` (and they are bent at
        five knots). Multiclass: ``none``, ``temperature`` (stretched, and a constant for scores of nearly 0
        and for whichever class is the likeliest), ``levels`` (and a constant for each class and a slope of the
        likeliest one's odds), ``tops`` (each class has its own stretch, and a constant where it is the likeliest, whose
        odds are bent at five knots).
    weight : float
        Its share in the average, in [0, 1].
    coefficients : tuple of float
        Shape (d,); all zero corrects nothing.
    spread : tuple of tuple of float
        Shape (d, d): its product with standard normal numbers is how far the true coefficients may lie from these.
    """

    kind: str
    weight: float
    coefficients: tuple[float, ...]
    spread: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Calibration:
    """From a model's probabilities to calibrated ones.

    Attributes
    ----------
    classes : int
        Number of classes, 2 or more.
    records : int
        Records that it was fitted on. Probabilities nearer to 0 than half a record in so many count as that near.
    centre : float
        Mean log odds there, around which a slope stretches them.
    knots : tuple of float
        Log odds at which a curve may bend; of more than two classes those of the likeliest.
    corrections : tuple of Correction
        Their weights sum to 1.
    """

    classes: int
    records: int
    centre: float
    knots: tuple[float, ...]
    corrections: tuple[Correction, ...]

    @property
    def untouched(self) -> float:
        """Weight, in [0, 1], of leaving the scores as they are."""
        return sum(one.weight for one in self.corrections if one.kind == "none")

    def apply(self, scores: Array) -> Floats:
        """Calibrate probabilities of shape (n, classes).

        Returns
        -------
        ndarray
            Shape (n, classes), each row in [0, 1] with sum 1.

        Raises
        ------
        ValueError
            When the scores are no probabilities, or for another number of classes.

        Examples
        --------
        >>> said = np.tile([[0.1, 0.9], [0.9, 0.1]], (200, 1))
        >>> came = np.tile([0, 1, 1, 0, 1, 0, 1, 0], 50)    # in three of four cases what was said to be likely
        >>> fit(said, came).apply(said[:1]).round(2).tolist()
        [[0.25, 0.75]]
        """
        given = self._checked(scores)
        return sum(
            (one.weight * self._corrected(given, one, np.array([one.coefficients]))[0].T for one in self.corrections),
            start=np.zeros_like(given),
        )

    def draws(self, scores: Array, replicates: int, seed: int) -> Iterator[Floats]:
        """Calibrated probabilities under other calibrations that the outcomes allow, as a bootstrap would draw them.

        Yields
        ------
        ndarray
            Shape (rows, classes, n), in blocks of few rows; ``replicates`` rows over all blocks.

        Raises
        ------
        ValueError
            As for `apply`.
        """
        given = self._checked(scores)
        rng = np.random.default_rng(seed)
        shares = rng.multinomial(replicates, [one.weight for one in self.corrections])
        rows = max(1, _AT_ONCE // max(given.size, 1))
        for one, count in zip(self.corrections, shares.tolist(), strict=True):
            d = len(one.coefficients)
            drawn = np.array(one.coefficients) + rng.standard_normal((count, d)) @ np.reshape(one.spread, (d, d)).T
            for start in range(0, count, rows):
                yield self._corrected(given, one, drawn[start : start + rows])

    def to_json(self) -> str:
        """Write as JSON text; `from_json` gives an equal value back, to the last bit."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            When the text is something else.

        Examples
        --------
        >>> honest = fit(np.full((100, 2), 0.5), np.tile([0, 1], 50))
        >>> Calibration.from_json(honest.to_json()) == honest
        True
        """
        try:
            stored = json.loads(text)
            corrections = tuple(_read(one) for one in stored.pop("corrections"))
            return cls(knots=tuple(stored.pop("knots")), corrections=corrections, **stored)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no calibration: {error}") from None

    def _checked(self, scores: Array) -> Floats:
        given = checked_probabilities(scores)
        if given.shape[1] != self.classes:
            raise ValueError(f"the calibration is of {self.classes} classes, the scores are of {given.shape[1]}")
        return given

    def _corrected(self, given: Floats, one: Correction, coefficients: Floats) -> Floats:
        """Probabilities (rows, classes, n) for coefficients (rows, d)."""
        if one.kind == "none":
            return np.broadcast_to(given.T, (len(coefficients), *given.T.shape))
        logs = log_odds.floored_logs(given, self.records)
        plan = log_odds.design(one.kind, logs, log_odds.Marks(self.records, self.centre, self.knots))
        n, free, d = plan.shape
        added = coefficients @ plan.transpose(2, 1, 0).reshape(d, free * n)
        return log_odds.moved(logs, added.reshape(len(coefficients), free, n))


def _read(stored: Any) -> Correction:
    spread = tuple(tuple(row) for row in stored["spread"])
    return Correction(stored["kind"], stored["weight"], tuple(stored["coefficients"]), spread)


def checked_probabilities(scores: Array) -> Floats:
    """Probabilities of shape (n, classes) as floats whose rows sum to exactly one, up to rounding.

    Raises
    ------
    ValueError
        When the shape is another, a value is outside [0, 1] or nan, or a row's sum is farther than 0.001 from one.

    Examples
    --------
    >>> checked_probabilities(np.array([[0.3333, 0.6666]])).round(4).tolist()
    [[0.3333, 0.6667]]
    """
    given = np.asarray(scores, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] < 2:
        raise ValueError(f"probabilities must have shape (records, two classes or more), not {given.shape}")
    # Written so that NaN fails it too.
    if given.size and not (given.min() >= -_SLACK and given.max() <= 1 + _SLACK):
        raise ValueError("probabilities must lie between 0 and 1, both included")
    given = np.clip(given, 0, 1)
    sums = given.sum(axis=1, keepdims=True)
    if given.size and np.abs(sums - 1).max() > SUM_SLACK:
        wrong = float(sums.ravel()[np.abs(sums - 1).argmax()])
        raise ValueError(f"the probabilities of a record must sum to 1; here is a sum of {wrong:.4g}")
    shares: Floats = given / sums
    return shares


def checked_outcomes(actual: Array, n: int, classes: int) -> Array:
    """Codes of the classes that came, shape (n,); raises ValueError for another shape or unknown codes."""
    came = np.asarray(actual)
    if came.shape != (n,):
        raise ValueError(f"there are probabilities of {n} records and outcomes of shape {came.shape}")
    if n and not (came.dtype.kind in "iu" and came.min() >= 0 and came.max() < classes):
        raise ValueError(f"outcomes must be class codes from 0 to {classes - 1}")
    return came.astype(np.intp)


def checked_weights(weights: Array | None, n: int) -> Floats:
    """Weights whose sum is the number of records that they are worth (Kish, 1965); None stands for ones.

    Raises
    ------
    ValueError
        When they are negative, not finite or of another shape.

    Examples
    --------
    >>> checked_weights(np.array([3.0, 3.0, 0.0]), 3).tolist()
    [1.0, 1.0, 0.0]
    """
    counts = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    # Written so that NaN fails it too.
    if counts.shape != (n,) or not (np.isfinite(counts) & (counts >= 0)).all():
        raise ValueError(f"weights must be {n} finite numbers that are not negative")
    squares = (counts**2).sum()
    return counts * (counts.sum() / squares) if squares else counts


def fit(scores: Array, actual: Array, *, weights: Array | None = None) -> Calibration:
    """Learn what a model's probabilities should have been.

    Parameters
    ----------
    scores
        Shape (n, classes): probabilities that sum to 1 in each row.
    actual
        Shape (n,): codes of the classes that came.
    weights
        Shape (n,), not negative: how much each record counts, as a density ratio does that makes a holdout look like
        another window. None stands for ones. Few records with large weights count as the few that they are (Kish's
        effective sample size).

    Returns
    -------
    Calibration
        With no records it leaves scores nearly as they are.

    Raises
    ------
    ValueError
        When scores are no probabilities, codes are unknown, or weights are negative, nan or of another shape.

    Notes
    -----
    Level and slope go back to D. Cox, Two further applications of a model for binary regression (1958), and J. Platt
    (1999); temperature and levels to C. Guo et al., On calibration of modern neural networks (2017), and A. Alexandari
    et al., Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift adaptation (2020); those
    of the likeliest class to C. Gupta and A. Ramdas, Top-label calibration and multiclass-to-binary reductions (2022).
    The average over corrections follows J. Hoeting et al., Bayesian model averaging (1999).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> true = rng.random(2000)
    >>> honest = np.column_stack([1 - true, true])
    >>> fit(honest, (rng.random(2000) < true).astype(int)).untouched > 0.5
    True
    """
    given = checked_probabilities(scores)
    n, classes = given.shape
    came, counts = checked_outcomes(actual, n, classes), checked_weights(weights, n)
    logs = log_odds.floored_logs(given, n)
    marks = log_odds.landmarks(logs)
    kinds = _BINARY if classes == 2 else _MULTICLASS
    found = [_fit_one(kind, logs, marks, came, counts) for kind, _ in kinds]
    evidence = np.array([one.evidence + math.log(share) for one, (_, share) in zip(found, kinds, strict=True)])
    shares = np.exp(evidence - evidence.max())
    shares /= shares.sum()
    corrections = tuple(
        Correction(kind, share, tuple(one.coefficients.tolist()), tuple(map(tuple, one.spread.tolist())))
        for (kind, _), share, one in zip(kinds, shares.tolist(), found, strict=True)
    )
    return Calibration(classes, n, marks.centre, marks.knots, corrections)


def _fit_one(kind: str, logs: Floats, marks: log_odds.Marks, came: Array, counts: Floats) -> log_odds.Fitted:
    plan = log_odds.design(kind, logs, marks)
    if kind in _EXPECTED or kind == "none":
        precision = np.full(plan.shape[2], 1 / _EXPECTED.get(kind, 1.0) ** 2)
    else:
        precision = 1 / log_odds.deviations(kind, logs.shape[1], marks) ** 2
    if kind == "curve":
        precision[:2] = _STIFFNESS_OF_CURVES
    return log_odds.most_likely(plan, logs, came, counts, precision)


def cross_fitted(
    scores: Array, actual: Array, *, weights: Array | None = None, folds: int = 5, seed: int = 0
) -> Floats:
    """Calibrated probabilities of the records themselves, each by a calibration that did not see its outcome.

    Parameters
    ----------
    scores, actual, weights
        As for `fit`.
    folds
        2 or more; each record is in one of so many random parts of equal size.
    seed
        Of the parts.

    Returns
    -------
    ndarray
        Shape (n, classes).

    Raises
    ------
    ValueError
        As for `fit`.

    Examples
    --------
    >>> said, came = np.tile([[0.1, 0.9], [0.9, 0.1]], (200, 1)), np.tile([0, 1, 1, 0, 1, 0, 1, 0], 50)
    >>> cross_fitted(said, came)[0].round(1).tolist()
    [0.3, 0.7]
    """
    given = checked_probabilities(scores)
    came = checked_outcomes(actual, *given.shape)
    counts = checked_weights(weights, len(given))
    part = np.random.default_rng(seed).permutation(np.arange(len(given)) % folds)
    result = given.copy()
    for fold in range(folds):
        own, others = part == fold, part != fold
        result[own] = fit(given[others], came[others], weights=counts[others]).apply(given[own])
    return result

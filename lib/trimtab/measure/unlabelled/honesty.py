"""Do the model's probabilities agree with what came, beyond chance?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.metrics import metric
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.unlabelled import log_odds
from trimtab.measure.unlabelled.calibration import checked_outcomes, checked_probabilities, checked_weights
from trimtab.measure.unlabelled.possible_outcomes import drawn_outcomes, every_outcome

__all__ = ["FEWEST", "Judgement", "judge", "p_value"]

FEWEST = 30    # records below which nothing is tested
FEWEST_EXPECTED = 5    # records of each class that probabilities must let expect
_AT_ONCE = 2**18    # numbers per block of simulated outcomes: 2 MB, so that a block stays in cache


@dataclass(frozen=True)
class Judgement:
    """How far probabilities are from outcomes.

    Attributes
    ----------
    records : int
        Records judged.
    error : float
        The metric ``calibration_error`` of these records, in [0, 1].
    by_chance : float
        What it would be on average if the probabilities were honest: with few records far from 0.
    beyond_chance : float
        ``error`` less ``by_chance``, at least 0.
    p_value : float
        Of the hypothesis that the probabilities are honest; small speaks against it. nan with fewer than 30 records, or
        where fewer than 5 are expected of a class.
    """

    records: int
    error: float
    by_chance: float
    beyond_chance: float
    p_value: float


def judge(
    scores: Array, actual: Array, *, weights: Array | None = None, replicates: int = 200, seed: int = 0
) -> Judgement:
    """Test whether probabilities are honest, and say how far the calibration error exceeds chance.

    Parameters
    ----------
    scores, actual, weights
        As for `calibration.fit`. Neither the model nor a calibration may have learned from these records.
    replicates
        Simulated sets of outcomes that follow the probabilities, for ``by_chance``.
    seed
        Of the simulation.

    Returns
    -------
    Judgement
        nan without records or weight.

    Raises
    ------
    ValueError
        As for `calibration.fit`.

    Examples
    --------
    >>> found = judge(np.full((400, 2), 0.5), np.tile([0, 1, 1, 1], 100))
    >>> found.error, round(found.by_chance, 2), found.p_value < 0.001
    (0.25, 0.02, True)
    """
    given = checked_probabilities(scores)
    n, classes = given.shape
    came, counts = checked_outcomes(actual, n, classes), checked_weights(weights, n)
    if not counts.sum():
        return Judgement(n, math.nan, math.nan, math.nan, math.nan)
    labels, positive = tuple(str(code) for code in range(classes)), 1 if classes == 2 else None
    outputs = Outputs(labels, came, given.argmax(axis=1), given, positive)
    error = float(metric("calibration_error").bind(outputs)(counts[None])[0])
    simulated = metric("calibration_error").bind(every_outcome(outputs))
    honest = drawn_outcomes(_repeated(given, replicates), seed)
    by_chance = float(np.concatenate([simulated(block * np.tile(counts, classes)) for block in honest]).mean())
    return Judgement(n, error, by_chance, max(error - by_chance, 0.0), p_value(given, came, weights=counts))


def _repeated(given: NDArray[np.float64], replicates: int) -> Iterator[NDArray[np.float64]]:
    rows = max(1, _AT_ONCE // given.size)
    for start in range(0, replicates, rows):
        yield np.broadcast_to(given.T, (min(rows, replicates - start), *given.T.shape))


def p_value(scores: Array, actual: Array, *, weights: Array | None = None) -> float:
    """Test the hypothesis that probabilities are honest; parameters and errors as for `judge`.

    A score test against level, slope and one bend of the log odds (more classes: a level for each, temperature, and a
    level for whichever is the likeliest: whether it comes as often as is said); nothing is fitted for it. nan with
    fewer than 30 records, or where fewer than 5 are expected of a class; it is asymptotic, and with about 50 records
    small somewhat too often. Sources: D. Cox (1958), and D. Spiegelhalter, Probabilistic prediction in patient
    management and clinical trials (1986).

    >>> p_value(np.full((400, 2), 0.5), np.tile([0, 1], 200))
    1.0
    """
    given = checked_probabilities(scores)
    n, classes = given.shape
    came, counts = checked_outcomes(actual, n, classes), checked_weights(weights, n)
    if n < FEWEST or (counts @ given).min() < FEWEST_EXPECTED:
        return math.nan
    logs = log_odds.floored_logs(given, n)
    marks = log_odds.landmarks(logs)
    plan = log_odds.design("curve" if classes == 2 else "agreement", logs, marks._replace(knots=marks.knots[2:3]))
    return log_odds.score_test(plan, given, came, counts)

"""How good is the model now, going by its own probabilities?

Each current record counts once for each class, weighted by the calibrated probability that it is of that class, so that
every weighted metric gives the value that is to be expected. The calibration is learned on the holdout; with density
ratios, on a holdout re-weighted to look like the current records. This matters for a model that misses something: its
scores then mean another thing among other records.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.weights import Statistic
from trimtab.measure.unlabelled import calibration, estimates, honesty
from trimtab.measure.unlabelled.calibration import Calibration
from trimtab.measure.unlabelled.estimates import CONFIDENCE, Assumption, Estimate
from trimtab.measure.unlabelled.possible_outcomes import (
    drawn_counts,
    drawn_outcomes,
    every_outcome,
    gathered,
)

__all__ = ["confidence_based"]

_ALPHA = 0.01    # below this p-value probabilities are said not to be calibrated
_NOT_ESTIMATED = ("calibration_error",)
_GROUPS = 500    # of records that probabilities hardly tell apart
_SURELY = 4    # standard errors between a metric of the holdout and what is estimated of it
_SETS = 40    # of outcomes from which a standard error is known to a ninth


def confidence_based(
    holdout: Outputs,
    current: Outputs,
    names: Sequence[str],
    *,
    per_class: Sequence[str] = (),
    weights: Array | None = None,
    outside: float | None = None,
    confidence: float = 0.95,
    replicates: int = 150,
    seed: int = 0,
) -> dict[Measure, Estimate]:
    """Estimate metrics of a classifier on records whose outcomes are not known.

    Parameters
    ----------
    holdout
        n records with outcomes that the model did not learn from, with scores.
    current
        m records with scores; its ``actual`` is never read.
    names
        Metrics over all classes; ``calibration_error`` is not among those that can be estimated.
    per_class
        Metrics to estimate for each label too.
    weights
        Shape (n,): density ratios of current to holdout records, for a calibration that suits the current ones.
    outside
        Share, in [0, 1], of the current records that lie where the holdout has none. None asks the scores alone.
    confidence
        Between 0 and 1, both excluded.
    replicates
        Sets of outcomes drawn for the range; at least 2 / (1 - confidence) - 1.
    seed
        Of the draws.

    Returns
    -------
    dict
        The names, then the per-class metrics label by label. nan with a reason where either side has fewer than 30
        records, or where the metric is undefined.

    Raises
    ------
    ValueError
        When the model gave no probabilities, they do not sum to 1, labels of the two differ, a metric is unknown or
        cannot be estimated, or weights do not fit.

    Notes
    -----
    Follows J. Białek et al., Estimating model performance under covariate shift without labels (2024), who re-weight
    the calibration. The range comes from drawing a calibration that the holdout allows and then outcomes that it makes
    likely. Under covariate shift ranges with density ratios hold about the share of the realised values that they say;
    without density ratios they do so for champions that miss nothing, and hold fewer for those that are misfitted.
    Of several classes ranges of 95 % held about 92 % where nothing had moved.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(2000)
    >>> scores, came = np.column_stack([1 - p, p]), (rng.random(2000) < p).astype(int)
    >>> outputs = Outputs(("no", "yes"), came, (p > 0.5).astype(int), scores, positive=1)
    >>> sure = outputs.take(np.abs(p - 0.5) > 0.3)
    >>> found = confidence_based(outputs, sure, ["accuracy"])[Measure("accuracy")]
    >>> found.baseline < 0.78, round(found.value, 1), found.low < 0.9 < found.high
    (True, 0.9, True)
    """
    scores = _require(holdout, current, names)
    estimates.check(confidence, replicates)
    measures = estimates.measures_of(names, per_class, holdout.labels)
    baseline = estimates.bind(names, per_class, holdout)(np.ones((1, len(holdout)), dtype=np.uint8))[0].tolist()
    effective = float(calibration.checked_weights(weights, len(holdout)).sum())
    if reason := estimates.too_few(effective, len(current)):
        unknown = [estimates.unknown(one, confidence, CONFIDENCE, reason) for one in baseline]
        return dict(zip(measures, unknown, strict=True))
    fitted = calibration.fit(scores[0], holdout.actual, weights=weights)
    bind = partial(estimates.bind, names, per_class)
    statistic = bind(every_outcome(current))
    value = statistic(fitted.apply(scores[1]).T.reshape(1, -1))[0]
    if len(holdout.labels) == 2:
        drawn = _drawn_together(current, fitted, bind, value, replicates, seed)
    else:
        possible = drawn_outcomes(fitted.draws(scores[1], replicates, seed), seed + 1)
        drawn = np.concatenate([statistic(block) for block in possible])
    beyond = _outside(*scores) if outside is None else outside
    halves = calibration.cross_fitted(scores[0], holdout.actual, weights=weights, folds=2)
    told = _assumptions(holdout, len(current), _calibrated(holdout, halves, fitted, weights), weights, beyond)
    missed = _missed(holdout, halves, bind, weights, seed)
    return {
        one: estimates.settle(
            float(value[i]), drawn[:, i], confidence=confidence, method=CONFIDENCE, baseline=baseline[i],
            assumptions=(_doubted(told[0], missed[i]), *told[1:]),
        )
        for i, one in enumerate(measures)
    }


def _drawn_together(
    current: Outputs, fitted: Calibration, bind: Callable[[Outputs], Statistic], value: Array, replicates: int,
    seed: int,
) -> Array:
    """Metrics of drawn outcomes of two classes, of which only the number among neighbours matters.

    What gathering neighbours does to a metric it does to all draws alike, and is taken off.
    """
    few = gathered(current, _GROUPS)
    assert few.outputs.scores is not None, "gathered records have scores"
    statistic, probabilities = bind(every_outcome(few.outputs)), few.outputs.scores
    expected = few.sizes * fitted.apply(probabilities).T
    possible = drawn_counts(fitted.draws(probabilities, replicates, seed), few.sizes, seed + 1)
    taken_off = statistic(expected.reshape(1, -1))[0] - value
    drawn: Array = np.concatenate([statistic(block) - taken_off for block in possible])
    return drawn


def _require(holdout: Outputs, current: Outputs, names: Sequence[str]) -> tuple[Array, Array]:
    """The scores of both, once it is clear that they can be used."""
    if not holdout.labels:
        raise ValueError("numbers have no probabilities; use loss_estimates or reweighted_estimates for regression")
    if (holdout.labels, holdout.positive) != (current.labels, current.positive):
        raise ValueError("holdout and current records differ in their labels or positive class")
    if holdout.scores is None or current.scores is None:
        raise ValueError("the model gives no probabilities, so its confidence says nothing; use reweighted_estimates")
    if refused := [name for name in names if name in _NOT_ESTIMATED]:
        raise ValueError(f"{', '.join(refused)} cannot be estimated from probabilities that are assumed to be right")
    return calibration.checked_probabilities(holdout.scores), calibration.checked_probabilities(current.scores)


def _assumptions(
    holdout: Outputs, current: int, calibrated: Assumption, weights: Array | None, outside: float
) -> tuple[Assumption, ...]:
    effective = None if weights is None else float(calibration.checked_weights(weights, len(holdout)).sum())
    rarest = float(np.bincount(holdout.actual, minlength=len(holdout.labels)).min())
    return (
        calibrated,
        estimates.overlap(outside, effective, len(holdout)),
        estimates.enough_records(len(holdout), current, rarest),
        estimates.no_concept_drift(),
    )


def _calibrated(holdout: Outputs, halves: Array, fitted: Calibration, weights: Array | None) -> Assumption:
    """Whether calibrated probabilities fit outcomes of the holdout that the calibration did not learn from.

    ``halves`` are those of the holdout, each by a calibration of the other half.
    """
    assert holdout.scores is not None
    before = honesty.p_value(holdout.scores, holdout.actual, weights=weights)
    after = honesty.p_value(halves, holdout.actual, weights=weights)
    holds = None if math.isnan(after) else after >= _ALPHA
    told = "in the holdout" if weights is None else "in the re-weighted holdout"
    own = "agree" if before >= _ALPHA else "do not agree"
    then = "do" if holds else "do not"
    return Assumption(
        "calibration", holds,
        f"the model's own probabilities {own} with outcomes {told} (p = {before:.2g}), calibrated ones {then}"
        f" (p = {after:.2g}); that they need no calibration at all has a probability of {fitted.untouched:.0%}",
    )


def _missed(
    holdout: Outputs, halves: Array, bind: Callable[[Outputs], Statistic], weights: Array | None, seed: int
) -> list[str]:
    """For each measure, what is wrong with its estimate on the holdout itself; empty where chance may explain it.

    The test of calibration looks at all records, or at each class; a metric may hang on few, say of high score.
    """
    counts = calibration.checked_weights(weights, len(holdout))
    possible, every = bind(every_outcome(holdout)), np.tile(counts, len(holdout.labels))
    realised = bind(holdout)(counts[None])[0]
    expected = possible(halves.T.reshape(1, -1) * every)[0]
    sets = (np.broadcast_to(halves.T, (4, *halves.T.shape)) for _ in range(_SETS // 4))
    drawn = np.concatenate([possible(block * every) for block in drawn_outcomes(sets, seed + 2)])
    far = np.abs(expected - realised) > _SURELY * drawn.std(axis=0)
    return [
        f"on the holdout itself it expects {there:.4g}, which was {was:.4g}" if surely else ""
        for there, was, surely in zip(expected.tolist(), realised.tolist(), far.tolist(), strict=True)
    ]


def _doubted(calibrated: Assumption, missed: str) -> Assumption:
    """The assumption of one measure, which fails where the estimate missed what the holdout's records realised."""
    return replace(calibrated, holds=False, evidence=f"{calibrated.evidence}; {missed}") if missed else calibrated


def _outside(holdout: Array, current: Array) -> float:
    """Share of current records whose highest probability lies outside the holdout's range."""
    seen, now = holdout.max(axis=1), current.max(axis=1)
    return float(((now < seen.min()) | (now > seen.max())).mean())

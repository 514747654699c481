"""How good is the model now, going by how it did on those holdout records that resemble the current ones?

Each holdout record counts by its density ratio: how much more frequent records like it are now than in the holdout. It
needs no probabilities, so it serves regression and any classifier, and nothing is assumed of the model; in exchange it
is less certain than estimates from probabilities, for few records may carry most of the weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.resampling import bootstrap_weights
from trimtab.measure.unlabelled import calibration, estimates
from trimtab.measure.unlabelled.estimates import REWEIGHTED, Assumption, Estimate

__all__ = ["reweighted"]


def reweighted(
    holdout: Outputs,
    weights: Array,
    names: Sequence[str],
    *,
    records: int,
    per_class: Sequence[str] = (),
    outside: float | None = None,
    confidence: float = 0.95,
    replicates: int = 150,
    seed: int = 0,
) -> dict[Measure, Estimate]:
    """Estimate metrics on records whose outcomes are not known from re-weighted records of the holdout.

    Parameters
    ----------
    holdout
        n records with outcomes that the model did not learn from.
    weights
        Shape (n,), not negative: density ratios of current to holdout records; only their proportions matter.
    names
        Metrics over all records.
    records
        Number of current records, 0 or more: the range allows for the chance in so many outcomes.
    per_class
        Metrics to estimate for each label too.
    outside
        Share, in [0, 1], of the current records that lie where the holdout has none; None when it is not known.
    confidence
        Between 0 and 1, both excluded.
    replicates
        Windows drawn for the range; at least 2 / (1 - confidence) - 1.
    seed
        Of the draws.

    Returns
    -------
    dict
        The names, then the per-class metrics label by label. nan with a reason where there are fewer than 30 current
        records, or the weighted holdout is worth fewer than 30, or where the metric is undefined.

    Raises
    ------
    ValueError
        When a metric is unknown or does not apply, or weights are negative, not finite or of another shape.

    Notes
    -----
    Source: H. Shimodaira, Improving predictive inference under covariate shift by weighting the log-likelihood
    function (2000). The range is that of windows drawn from a re-weighted bootstrap sample of the holdout; that density
    ratios are themselves estimates is not in it.

    Examples
    --------
    >>> error = np.random.default_rng(0).normal(size=1000) * np.repeat([1.0, 3.0], 500)
    >>> outputs = Outputs((), np.zeros(1000), error)
    >>> found = reweighted(outputs, np.repeat([0.0, 1.0], 500), ["mae"], records=400)[Measure("mae")]
    >>> round(found.baseline, 1), found.low < 3 * 0.798 < found.high
    (1.5, True)
    """
    estimates.check(confidence, replicates)
    counts = calibration.checked_weights(weights, len(holdout))
    measures = estimates.measures_of(names, per_class, holdout.labels)
    statistic = estimates.bind(names, per_class, holdout)
    baseline = statistic(np.ones((1, len(holdout)), dtype=np.uint8))[0].tolist()
    if reason := estimates.too_few(float(counts.sum()), records):
        unknown = [estimates.unknown(one, confidence, REWEIGHTED, reason) for one in baseline]
        return dict(zip(measures, unknown, strict=True))
    value = statistic(counts[None])[0].tolist()
    drawn = np.concatenate([statistic(block) for block in _windows(counts, records, replicates, seed)])
    told = _assumptions(holdout, counts, records, outside)
    return {
        one: estimates.settle(
            value[i], drawn[:, i], confidence=confidence, method=REWEIGHTED, baseline=baseline[i], assumptions=told
        )
        for i, one in enumerate(measures)
    }


def _windows(counts: Array, records: int, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each holdout record stands in windows of about so many records, drawn from bootstrap samples of it."""
    rng = np.random.default_rng(seed + 1)
    for block in bootstrap_weights(len(counts), replicates, seed):
        share = block * counts
        # A bootstrap sample may miss every record that has weight; then nothing is drawn, and the metric is nan.
        total = np.maximum(share.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        yield rng.poisson(records * (share / total))


def _assumptions(holdout: Outputs, counts: Array, records: int, outside: float | None) -> tuple[Assumption, ...]:
    classes = len(holdout.labels)
    rarest = float(np.bincount(holdout.actual, minlength=classes).min()) if classes else None
    return (
        estimates.overlap(outside, float(counts.sum()), len(holdout)),
        estimates.enough_records(len(holdout), records, rarest),
        estimates.no_concept_drift(),
    )

"""Metrics of how well scores rank positive above negative records: ROC AUC, PR AUC, precision at a recall.

Scores are sorted once per model. Each replicate then needs cumulative sums of its weights in that order only, and reads
them at the ends of groups of equal scores, so ties are exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Array, Outputs, mean_where, ratio
from trimtab.measure.models.weights import GroupWeights, Statistic, Weights

Floats = NDArray[np.float64]
Curve = Callable[[Weights], tuple[Array, Array, Array]]
Ranking = Callable[[Array, Array], Statistic]

REQUIRED_RECALL = 0.80
_LARGEST_COUNT = 255  # of one byte


def _cumulate(weights: Array) -> Array:
    """Cumulative sums along records with a leading zero, exact for counts: shape (replicates, n + 1)."""
    dtype: type[np.generic] = np.float64
    if weights.dtype.kind in "iub":
        # Adding in 32 bits is three times as fast, and resample counts always fit.
        narrow = weights.dtype.itemsize == 1 and weights.shape[1] * _LARGEST_COUNT < 2**31
        dtype = np.int32 if narrow else np.int64
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1), dtype=dtype)
    np.cumsum(weights, axis=1, dtype=dtype, out=sums[:, 1:])
    return sums


def binary_roc_auc(positive: Array, scores: Array) -> Statistic:
    """Probability that a positive record scores above a negative one, ties counting half (Mann and Whitney, 1947).

    ``positive`` is boolean (n,), ``scores`` is (n,); nan where either class has no weight.
    """
    positives = np.flatnonzero(positive)
    positives = positives[np.argsort(scores[positives], kind="stable")]
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    below = np.searchsorted(scores[negatives], scores[positives], side="left")
    not_above = np.searchsorted(scores[negatives], scores[positives], side="right")
    tied = not np.array_equal(below, not_above)

    def _apply(weights: Weights) -> Floats:
        if isinstance(weights, GroupWeights):
            return _group_area(weights, positive, scores)
        own = np.take(weights, positives, axis=1).astype(np.float64)
        passed = _cumulate(np.take(weights, negatives, axis=1))
        outranked = np.take(passed, below, axis=1).astype(np.float64)
        if tied:
            outranked += np.take(passed, not_above, axis=1)
            outranked /= 2
        wins = np.einsum("rp,rp->r", own, outranked)
        # Two divisions keep a sum of large weights from overflowing their product.
        return ratio(ratio(wins, own.sum(axis=1)), passed[:, -1].astype(np.float64))

    return _apply


def _levels(weights: GroupWeights, positive: Array, scores: Array) -> tuple[Array, bool]:
    """Scores that positives have, lowest first; of more than are told apart some, spread evenly over the positives."""
    known = np.sort(scores[positive])
    levels = np.unique(known)
    if weights.most_levels is None or len(levels) <= weights.most_levels:
        return levels, True
    return np.unique(known[np.linspace(0, len(known) - 1, weights.most_levels).round().astype(np.intp)]), False


def _group_area(weights: GroupWeights, positive: Array, scores: Array) -> Floats:
    """ROC AUC: pairs of records are won between pairs of groups, whatever these then count."""
    levels, every = _levels(weights, positive, scores)
    codes = np.searchsorted(levels, scores, side="right")    # 0 lies below all positives
    tied = np.isin(scores, levels) if every else np.ones(len(scores), dtype=bool)    # else within its level
    kinds = np.where(positive, 0, np.where(tied, 1, 2))
    positives, equal, above = np.moveaxis(weights.tally(3 * codes + kinds, 3 * (len(levels) + 1)).reshape(
        weights.counts.shape[1], -1, 3), 2, 0)
    outranked = np.cumsum(equal + above, axis=1) - above - equal / 2
    wins = np.einsum("rg,rg->r", weights.spread(positives @ outranked.T), weights.counts.astype(np.float64))
    negatives = (equal + above).sum(axis=1)
    return ratio(ratio(wins, weights.spread(positives.sum(axis=1))), weights.spread(negatives))


def _group_curve(weights: GroupWeights, positive: Array, scores: Array) -> tuple[Array, Array, Array]:
    """What `_curve` tells, of groups."""
    levels, _ = _levels(weights, positive, scores)
    codes = np.searchsorted(levels, scores, side="right")
    both = weights.tally(2 * codes + positive, 2 * (len(levels) + 1)).reshape(weights.counts.shape[1], -1, 2)
    above = np.cumsum(both[:, :0:-1], axis=1)    # at or above each level, the highest first
    found, missed = (weights.spread(np.ascontiguousarray(above[:, :, side])) for side in (1, 0))
    return found, found + missed, weights.spread(both[:, :, 0].sum(axis=1))


def _curve(positive: Array, scores: Array) -> Curve:
    """Per replicate: hits and all records at or above each score that a positive has, highest first; all negatives.

    Other scores are left out: between those of positives, recall stands still and precision only falls.
    """
    order = np.argsort(-scores, kind="stable")
    descending = -scores[order]
    hits = order[positive[order]]
    levels = np.unique(-scores[hits])
    all_ends = np.searchsorted(descending, levels, side="right")
    hit_ends = np.searchsorted(-scores[hits], levels, side="right")

    def _apply(weights: Weights) -> tuple[Array, Array, Array]:
        if isinstance(weights, GroupWeights):
            return _group_curve(weights, positive, scores)
        found = np.take(_cumulate(np.take(weights, hits, axis=1)), hit_ends, axis=1)
        seen = _cumulate(np.take(weights, order, axis=1))
        negatives = seen[:, -1] - (found[:, -1] if found.shape[1] else 0)
        return found.astype(np.float64), np.take(seen, all_ends, axis=1), negatives

    return _apply


def binary_pr_auc(positive: Array, scores: Array) -> Statistic:
    """Average precision: precision at each distinct score, weighted by the recall gained there, not interpolated.

    ``positive`` is boolean (n,), ``scores`` is (n,); nan where either class has no weight.
    """
    curve = _curve(positive, scores)
    any_positive = bool(positive.any())

    def _apply(weights: Weights) -> Floats:
        if not any_positive:
            return np.full(len(weights), np.nan)
        found, seen, negatives = curve(weights)
        gained = np.diff(found, axis=1, prepend=0.0)
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen != 0)
        area = ratio(np.einsum("rg,rg->r", gained, precision), found[:, -1])
        return np.where(negatives > 0, area, np.nan)

    return _apply


def precision_at_recall(positive: Array, scores: Array) -> Statistic:
    """Highest precision of any threshold that finds at least 80 % of the positive weight; nan as for PR AUC."""
    curve = _curve(positive, scores)
    any_positive = bool(positive.any())

    def _apply(weights: Weights) -> Floats:
        if not any_positive:
            return np.full(len(weights), np.nan)
        found, seen, negatives = curve(weights)
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen != 0)
        recall = ratio(found, found[:, -1:])
        best = np.where(recall >= REQUIRED_RECALL, precision, 0.0).max(axis=1)
        return np.where((found[:, -1] > 0) & (negatives > 0), best, np.nan)

    return _apply


def _summary(ranking: Ranking, outputs: Outputs) -> Statistic:
    """The positive class against the other, else the mean of one class against the rest where that is defined."""
    assert outputs.scores is not None  # the catalogue has checked
    codes = range(len(outputs.labels)) if outputs.positive is None else [outputs.positive]
    parts = [ranking(outputs.actual == code, outputs.scores[:, code]) for code in codes]

    def _apply(weights: Weights) -> Floats:
        if not len(outputs) or len(parts) == 0:
            return np.full(len(weights), np.nan)
        values = np.stack([part(weights) for part in parts], axis=1)
        return mean_where(values, ~np.isnan(values))

    return _apply


def roc_auc(outputs: Outputs) -> Statistic:
    """ROC AUC of the positive class, or the mean of each class against the rest; nan with fewer than two classes."""
    return _summary(binary_roc_auc, outputs)


def pr_auc(outputs: Outputs) -> Statistic:
    """Average precision of the positive class, or the mean of each against the rest; nan as for ROC AUC."""
    return _summary(binary_pr_auc, outputs)


def precision_at_recall_80(outputs: Outputs) -> Statistic:
    """Highest precision of the positive class with recall of at least 0.80; nan with fewer than two classes."""
    return _summary(precision_at_recall, outputs)

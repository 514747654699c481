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


def _by_level(weights: GroupWeights, positive: Array, scores: Array) -> tuple[Floats, Floats]:
    """Positives and negatives of each group by level of score, lowest first: each of shape (groups, levels)."""
    found, codes, records = np.unique(scores, return_inverse=True, return_counts=True)
    levels = len(found)
    if weights.most_levels is not None and levels > weights.most_levels:
        levels = weights.most_levels
        lower = np.cumsum(records) - records    # by records, so that a level which many share has no neighbours
        codes = (lower * levels // len(scores))[codes]
    both = weights.tally(2 * codes + positive, 2 * levels)
    return both[:, 1::2], both[:, 0::2]


def _group_area(weights: GroupWeights, positive: Array, scores: Array) -> Floats:
    """ROC AUC: pairs of records are won between pairs of groups, whatever these then count."""
    positives, negatives = _by_level(weights, positive, scores)
    outranked = np.cumsum(negatives, axis=1) - negatives / 2
    wins = np.einsum("rg,rg->r", weights.spread(positives @ outranked.T), weights.counts.astype(np.float64))
    return ratio(ratio(wins, weights.spread(positives.sum(axis=1))), weights.spread(negatives.sum(axis=1)))


def _group_curve(weights: GroupWeights, positive: Array, scores: Array) -> tuple[Array, Array, Array]:
    """What `_curve` tells, of groups."""
    positives, negatives = (side[:, ::-1] for side in _by_level(weights, positive, scores))
    with_hits = positives.any(axis=0)
    found, missed = (weights.spread(np.cumsum(side, axis=1)[:, with_hits]) for side in (positives, negatives))
    return found, found + missed, weights.spread(negatives.sum(axis=1))


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

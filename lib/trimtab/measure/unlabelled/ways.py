"""In which ways can performance be estimated here, and what does each say?

Which ways there are follows from what is known: numbers have a model of their errors, classes the model's own
probabilities, and where density ratios could be had each of these comes re-weighted, too, beside the holdout itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.together.domain import Weights
from trimtab.measure.unlabelled.confidence_estimates import confidence_based
from trimtab.measure.unlabelled.estimates import Estimate
from trimtab.measure.unlabelled.holdouts import Holdout, as_numbers
from trimtab.measure.unlabelled.loss_estimates import direct_loss
from trimtab.measure.unlabelled.reweighted_estimates import reweighted

__all__ = ["all_ways"]

_OF_ERRORS = ("mae", "rmse")


def all_ways(
    holdout: Holdout, features: Array, now: Outputs, weights: Weights, names: Sequence[str], *, confidence: float
) -> dict[str, dict[str, Estimate]]:
    """Estimate metrics in every way that the outputs allow.

    Parameters
    ----------
    holdout
        n records whose outcomes are known.
    features
        Shape (m, columns): the current records as `as_numbers` writes them, by the holdout's bins.
    now
        What the model says of the m current records; `actual` is not looked at.
    weights
        Density ratios of the current records to the holdout's, shape (n,); those with a note are not used.
    names
        Metrics of the task. For numbers only MAE and RMSE can be estimated from errors.
    confidence
        Of the ranges, between 0 and 1, both excluded.

    Returns
    -------
    dict
        By the way's name and the metric, the re-weighted ones first; empty where no way is open, as for classes
        without probabilities and without density ratios.

    Raises
    ------
    ValueError
        As the ways themselves: for shapes that do not fit, or metrics of the other task.
    """
    ratios = weights.values if not weights.note else None
    outside = weights.outside if not weights.note else None
    kept = holdout.outputs
    found = {}
    for suffix, used in ((", re-weighted", ratios), ("", None)):
        if suffix and used is None:
            continue
        if not kept.labels:
            losses = [name for name in names if name in _OF_ERRORS]
            found[f"errors{suffix}"] = direct_loss(
                as_numbers(holdout.sample), kept, features, now.predicted, losses,
                weights=used, outside=outside, confidence=confidence,
            )
        elif kept.scores is not None and now.scores is not None:
            found[f"probabilities{suffix}"] = confidence_based(
                kept, now, names, weights=used, outside=outside, confidence=confidence
            )
    if ratios is not None:
        found["holdout, re-weighted"] = reweighted(
            kept, ratios, names, records=len(now), outside=outside, confidence=confidence
        )
    return {way: {measure.metric: one for measure, one in known.items()} for way, known in found.items()}

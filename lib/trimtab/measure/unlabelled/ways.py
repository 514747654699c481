"""In which ways can performance be estimated here, and what does each say?

Which ways there are follows from what is known: numbers have a model of their errors, classes the model's own
probabilities, and where density ratios could be had each of these comes re-weighted, too, beside the holdout itself.

Where windows have moved far apart, density ratios are extreme: few records of the holdout carry nearly all weight, and
what they add in chance is more than what they take off in bias. So a model that needs weights only to be mended by them
is given relative ratios, which are bounded; the holdout itself has nothing else to go by and keeps the whole ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.together.domain import Weights
from trimtab.measure.unlabelled.confidence_estimates import confidence_based
from trimtab.measure.unlabelled.estimates import Estimate
from trimtab.measure.unlabelled.holdouts import Holdout, as_numbers
from trimtab.measure.unlabelled.loss_estimates import direct_loss
from trimtab.measure.unlabelled.reweighted_estimates import reweighted

__all__ = ["all_ways", "relative_ratios"]

Floats = npt.NDArray[np.float64]

MIXED_IN = 0.25    # of current records into the mixture that relative ratios refer to
_OF_ERRORS = ("mae", "rmse")


def relative_ratios(ratios: Array, mixed_in: float = MIXED_IN) -> Floats:
    """Density ratios of the current records to a mixture of them with the holdout's.

    Parameters
    ----------
    ratios
        Shape (n,), not negative, of mean 1: density ratios of current to holdout records.
    mixed_in
        Share of the current records in the mixture, from 0 (the ratios as they are) to 1 (all are 1), both included.

    Returns
    -------
    ndarray
        Shape (n,), from 0 to 1 / mixed_in, that bound excluded.

    Raises
    ------
    ValueError
        When the share is none.

    Notes
    -----
    Source: M. Yamada et al., Relative density-ratio estimation for robust distribution comparison, Neural Computation
    25 (2013). Each lies between the ratio and 1; an estimate learned with them need not lie between that learned with
    the ratios and that learned without.

    Examples
    --------
    >>> relative_ratios(np.array([0.0, 1.0, 20.0])).round(2).tolist()
    [0.0, 1.0, 3.48]
    """
    if not 0 <= mixed_in <= 1:
        raise ValueError(f"the share that is mixed in must be from 0 to 1, not {mixed_in}")
    given = np.asarray(ratios, dtype=np.float64)
    relative: Floats = given / (mixed_in * given + (1 - mixed_in)) if mixed_in < 1 else np.ones(len(given))
    return relative


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
        Density ratios of the current records to the holdout's, shape (n,); those with a note are not used. Models of
        errors and calibrations learn by `relative_ratios` of them.
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
    relative = None if ratios is None else relative_ratios(ratios)
    outside = weights.outside if not weights.note else None
    kept = holdout.outputs
    found = {}
    for suffix, used in ((", re-weighted", relative), ("", None)):
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

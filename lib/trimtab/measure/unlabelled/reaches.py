"""How far does the answer for each current record reach, going by what is kept of a version's holdout?

Numbers get intervals whose width follows how large a model of the errors expects the record's error to be; classes get
sets by their probabilities.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.together.samples import Sample
from trimtab.measure.unlabelled import conformal
from trimtab.measure.unlabelled.estimates import FEWEST
from trimtab.measure.unlabelled.holdouts import Holdout, as_numbers
from trimtab.measure.unlabelled.loss_estimates import error_sizes
from trimtab.measure.unlabelled.prediction_sets import fit_sets, set_ranges
from trimtab.measure.unlabelled.ranges import NOMINAL, Ranges

__all__ = ["reaches"]


def reaches(
    holdout: Holdout, now: Sample, outputs: Outputs, *, actual: Array | None = None, coverage: float = NOMINAL
) -> Ranges | None:
    """Range by range for n current records.

    Parameters
    ----------
    holdout
        What is kept of the records that the version was evaluated on.
    now
        The current records by the holdout's bins, as `Holdout.encode` gives them.
    outputs
        What the version says of them, in the same order; its `actual` is not looked at.
    actual
        Shape (n,): what came, codes of classes or numbers; nan where it is not known. None where nothing is.
    coverage
        Share of outcomes that ranges are to hold, between 0 and 1, both excluded.

    Returns
    -------
    Ranges or None
        None for classes without probabilities on either side.

    Raises
    ------
    ValueError
        When shapes do not fit, or one side has classes and the other numbers.

    Notes
    -----
    Numbers of fewer than 30 holdout records, or of a model whose errors are mostly expected to be 0, have intervals
    that are all equally wide.
    """
    kept = holdout.outputs
    if bool(kept.labels) != bool(outputs.labels):
        raise ValueError("the holdout and the current records are not of the same task")
    if kept.labels:
        if kept.scores is None or outputs.scores is None:
            return None
        return set_ranges(fit_sets(kept, coverage=coverage), outputs.scores, actual=actual)
    errors = np.abs(kept.actual - kept.predicted)
    held, sizes = _sizes(holdout, now, outputs.predicted, errors)
    fitted = conformal.fit(kept, coverage=coverage, sizes=held)
    return conformal.ranges(fitted, outputs.predicted, actual=actual, sizes=sizes)


def _sizes(
    holdout: Holdout, now: Sample, predicted: Array, errors: Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | tuple[None, None]:
    """How large errors are expected to be, in the holdout and now; None where that cannot be learned."""
    if len(errors) < FEWEST:
        return None, None
    before = np.column_stack([as_numbers(holdout.sample), holdout.outputs.predicted])
    found = error_sizes(before, errors, np.column_stack([as_numbers(now), predicted]))
    if not np.median(found.holdout) > 0:
        return None, None
    return found.holdout, found.current.mean(axis=0)

"""Which classes may the outcome of a single record be? Split conformal prediction sets.

A class is in the set when its probability is at least what the class that came had in nine of ten records of the
holdout. So sets hold the class that comes as often as was promised, whatever the model and however dishonest its
probabilities, as long as current records are like those of the holdout. A set of one class is an answer, a set of all
classes is none; an empty one says that the record is like none of the holdout's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.unlabelled.ranges import NOMINAL, Ranges

__all__ = ["Sets", "fit_sets", "set_ranges"]


@dataclass(frozen=True)
class Sets:
    """From which probability on a class belongs to the set.

    Attributes
    ----------
    coverage : float
        Share of outcomes that sets are to hold, between 0 and 1.
    records : int
        Records of the holdout.
    least : float
        That probability, included, in [0, 1]; 0, so that every set holds all classes, when the holdout is too small for
        the coverage, as with fewer than 9 records for 0.9.
    """

    coverage: float
    records: int
    least: float

    def members(self, scores: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which classes are in the set of each record: shape (n, classes), as the probabilities.

        Examples
        --------
        >>> Sets(0.9, 100, 0.3).members([[0.7, 0.3], [0.9, 0.1]]).tolist()
        [[True, True], [True, False]]
        """
        chosen: npt.NDArray[np.bool_] = np.asarray(scores) >= self.least
        return chosen


def fit_sets(holdout: Outputs, *, coverage: float = NOMINAL) -> Sets:
    """Learn from a holdout from which probability on a class must be reckoned with.

    Parameters
    ----------
    holdout
        n records with outcomes and probabilities that the model did not learn from.
    coverage
        Share of outcomes to cover, between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        For numbers, without probabilities, or for a coverage out of range.

    Notes
    -----
    Source: M. Sadinle, J. Lei and L. Wasserman, Least ambiguous set-valued classifiers with bounded error levels, J.
    Am. Stat. Assoc. 114 (2019).

    Examples
    --------
    >>> p = np.linspace(0.05, 0.95, 19)
    >>> fit_sets(Outputs(("a", "b"), np.zeros(19, dtype=int), np.zeros(19, dtype=int), np.column_stack([p, 1 - p]), 1))
    Sets(coverage=0.9, records=19, least=0.1)
    """
    if holdout.scores is None:
        raise ValueError("prediction sets are made from probabilities per class; there are none")
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must be between 0 and 1, both excluded, not {coverage}")
    given = np.sort(holdout.scores[np.arange(len(holdout)), holdout.actual])[::-1]
    rank = math.ceil((len(given) + 1) * coverage - 1e-9)    # 20 · 0.9 is a little more than 18
    return Sets(coverage, len(given), float(given[rank - 1]) if rank <= len(given) else 0.0)


def set_ranges(sets: Sets, scores: npt.ArrayLike, *, actual: Array | None = None) -> Ranges:
    """The sets of some records as ranges: as wide as they hold classes, narrow when they hold one or none.

    Parameters
    ----------
    scores
        Shape (n, classes): probabilities, the classes in the order of the codes.
    actual
        Shape (n,): codes of what came, nan where it is not known; None when nothing is.

    Raises
    ------
    ValueError
        When shapes do not fit.

    Examples
    --------
    >>> found = set_ranges(Sets(0.9, 100, 0.3), [[0.7, 0.3], [0.9, 0.1]], actual=np.array([np.nan, 1]))
    >>> found.width.tolist(), found.narrow.tolist(), found.covered.tolist()
    ([2.0, 1.0], [0.0, 1.0], [nan, 0.0])
    """
    inside = sets.members(scores)
    if inside.ndim != 2:
        raise ValueError(f"scores must have shape (n, classes), not {inside.shape}")
    came = np.full(len(inside), np.nan) if actual is None else np.asarray(actual, dtype=np.float64)
    if came.shape != (len(inside),):
        raise ValueError(f"probabilities of {len(inside)} records and outcomes of shape {came.shape} do not fit")
    covered = came.copy()
    known = ~np.isnan(came)
    covered[known] = inside[known, came[known].astype(np.intp)]
    width = inside.sum(axis=1).astype(np.float64)
    return Ranges(width, (width <= 1).astype(np.float64), covered, sets.coverage)

"""How wide are the ranges in which single outcomes should lie, and how often do they?

A range is an interval of numbers (`conformal`) or a set of classes (`prediction_sets`). Width and coverage are read
together: ranges that are never wrong are too wide, and ranges that grow wider say that the model has become less sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from trimtab.measure.models.outputs import Array

__all__ = ["MEASURES", "NOMINAL", "Ranges"]

Floats = npt.NDArray[np.float64]

NOMINAL = 0.9    # share of outcomes that ranges are to hold
MEASURES = ("interval_width", "narrow_share", "coverage")


@dataclass(frozen=True, eq=False)
class Ranges:
    """The ranges of n records.

    Parameters
    ----------
    width
        Shape (n,): in units of the outcome, or the number of classes; may be infinite.
    narrow
        Shape (n,): 1 for a range that tells more than most, 0 for another; nan where none can.
    covered
        Shape (n,): 1 where the outcome lies in the range, 0 where it does not, nan where it is not known.
    promised
        Share of outcomes that ranges were to hold, between 0 and 1.

    Raises
    ------
    ValueError
        When shapes differ.
    """

    width: Floats
    narrow: Floats
    covered: Floats
    promised: float

    def __post_init__(self) -> None:
        shapes = {array.shape for array in (self.width, self.narrow, self.covered)}
        if len(shapes) > 1 or self.width.ndim != 1:
            raise ValueError(f"width, narrow and covered must have one shape (n,), not {sorted(shapes)}")

    def __len__(self) -> int:
        return len(self.width)

    def by_day(self, days: Array) -> dict[date, dict[str, float]]:
        """Means of each day by the names in `MEASURES`: over all its records, coverage over the known outcomes.

        Parameters
        ----------
        days
            Shape (n,), datetime64[D].

        Returns
        -------
        dict
            nan where a day has nothing to take the mean of.

        Raises
        ------
        ValueError
            When days and ranges do not fit.

        Examples
        --------
        >>> ranges = Ranges(np.array([1.0, 3.0]), np.array([1.0, 0.0]), np.array([1.0, np.nan]), 0.9)
        >>> ranges.by_day(np.array(["2024-03-01", "2024-03-01"], dtype="datetime64[D]"))
        {datetime.date(2024, 3, 1): {'interval_width': 2.0, 'narrow_share': 0.5, 'coverage': 1.0}}
        """
        if np.shape(days) != (len(self),):
            raise ValueError(f"{len(self)} ranges need as many days, not {np.shape(days)}")
        found, where = np.unique(days, return_inverse=True)
        columns = [_means(values, where, len(found)) for values in (self.width, self.narrow, self.covered)]
        return {
            day: dict(zip(MEASURES, row, strict=True))
            for day, row in zip(found.tolist(), np.column_stack(columns).tolist(), strict=True)
        }


def _means(values: Floats, where: Array, days: int) -> Floats:
    known = ~np.isnan(values)
    counts = np.bincount(where[known], minlength=days)
    sums = np.bincount(where[known], weights=values[known], minlength=days)
    means = np.full(days, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means

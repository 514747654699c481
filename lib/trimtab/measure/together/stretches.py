"""How well can stretches of the reference be told from the rest of it?

Seasons and weeks make any stretch of time somewhat special. What a classifier reaches on the reference's own stretches
is what it reaches without any news, so an alarm must exceed it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from trimtab.measure.together.domain import tell_apart
from trimtab.measure.together.samples import Array, Sample

__all__ = ["natural_area", "stretches"]

STRETCHES = 4
FEWEST_DAYS = 14


def natural_area(sample: Sample, days: Array, *, length: int) -> float:
    """The largest area under the curve by which a stretch of a sample can be told from the rest of it.

    Parameters
    ----------
    sample
        n records.
    days
        Shape (n,): their days, as datetime64[D].
    length
        Of the stretches, in days with records; 1 or more.

    Returns
    -------
    float
        From 0.5 to 1, both included; 0.5 where the sample has fewer than 14 days, or too few records to tell.

    Raises
    ------
    ValueError
        For a length below 1, or when days and records do not fit.

    Examples
    --------
    >>> days = np.repeat(np.arange("2024-03-01", "2024-03-21", dtype="datetime64[D]"), 50)
    >>> codes = np.random.default_rng(0).integers(0, 5, (1000, 2))
    >>> even = Sample(("x", "y"), ("numeric", "numeric"), (10, 10), codes)
    >>> season = Sample(("x", "y"), ("numeric", "numeric"), (10, 10), codes + (np.arange(1000) // 500)[:, None])
    >>> natural_area(even, days, length=5) < 0.6, natural_area(season, days, length=5) > 0.6
    (True, True)
    """
    areas = [tell_apart(rest, part).auc for part, rest in stretches(sample, days, length=length)]
    return max([0.5, *(area for area in areas if not math.isnan(area))])


def stretches(sample: Sample, days: Array, *, length: int) -> Iterator[tuple[Sample, Sample]]:
    """Up to four stretches of a sample, evenly spread over its days, each beside the rest; parameters as above.

    None where the sample has fewer than 14 days. A stretch is at most half of the days.
    """
    if length < 1 or np.shape(days) != (len(sample),):
        raise ValueError(f"{len(sample)} records need as many days, and a length of 1 or more, not {length}")
    known = np.unique(days)
    if len(known) < FEWEST_DAYS:
        return
    length = min(length, len(known) // 2)
    for start in np.unique(np.linspace(0, len(known) - length, STRETCHES).astype(int)):
        inside = (days >= known[start]) & (days <= known[start + length - 1])
        yield sample.take(inside), sample.take(~inside)

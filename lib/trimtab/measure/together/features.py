"""Which numbers stand for the codes of two samples, so that a linear model can compare them?

Numeric codes become normal scores of their rank among both samples (the scale of a Gaussian copula), so that outliers
and skew carry no weight of their own; a missing value lies in the middle and has an indicator. Categorical columns
become indicators of their frequent levels; rare levels count as one with levels that the reference never had, for apart
from each other they would always differ. All of it depends on both samples together and not on which record is from
which (but see `_on_edge`), so records of one distribution stay exchangeable, and tests need no allowance for how the
features were made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences
from trimtab.measure.columns.bins import FINE
from trimtab.measure.together.samples import MISSING, Sample

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

MOST_LEVELS = 8    # indicators per categorical column, fewer in wide tables
_STREAM = 1    # of random numbers, apart from those that draw records and folds by the same seed
_OTHER, _RARE = -2, -3    # groups of levels that have no indicator each
_WIDE = 120    # features, about, from which on categorical columns get fewer indicators
_SMALLEST_DEVIATION = 0.1    # else an indicator of a thousandth of the records would be 30 where it is not near 0


@dataclass(frozen=True, eq=False)
class Features:
    """Features of two samples, the first sample's records first.

    Attributes
    ----------
    values : array of float32, shape (features, n)
        Mean 0; standard deviation 1, or less for indicators of fewer than 1 % or more than 99 % of the records.
    owners : array of int, shape (features,)
        Position of the column that a feature is made from.
    curved : array of bool, shape (features,)
        Whether the square says something that the feature does not: it has more than two values.
    current : array of bool, shape (n,)
        Whether a record is of the second sample.
    """

    values: Floats
    owners: Indices
    curved: npt.NDArray[np.bool_]
    current: npt.NDArray[np.bool_]


def features(reference: Sample, current: Sample, *, seed: int) -> Features:
    """Make the features of two samples by the same bins, which were frozen on the first one.

    A column that is constant over both gives none. The seed is that of where records stand within their bin.

    Raises
    ------
    ValueError
        When the samples have different columns or bins.

    Examples
    --------
    >>> before = Sample(("x", "y"), ("numeric", "categorical"), (3, 2), np.array([[0, 0], [1, 0], [2, 0]] * 9))
    >>> after = Sample(("x", "y"), ("numeric", "categorical"), (3, 2), np.array([[0, 0], [1, 0], [-1, 0]] * 9))
    >>> found = features(before, after, seed=0)
    >>> found.values.shape, found.owners.tolist()
    ((2, 54), [0, 0])
    """
    if not reference.fits(current):
        raise ValueError("samples can be compared when they have the same columns by the same bins")
    rng, most_levels = np.random.default_rng([seed, _STREAM]), _levels_per_column(reference.kinds)
    rows: list[Floats] = []
    owners: list[int] = []
    curved: list[bool] = []
    for column, (kind, size) in enumerate(zip(reference.kinds, reference.sizes, strict=True)):
        before, after = reference.codes[:, column].astype(np.intp), current.codes[:, column].astype(np.intp)
        found = [np.concatenate([before, after]) == MISSING]
        if kind == "numeric":
            found.append(_normal_scores(before, after, size, rng))
        else:
            found += _indicators(before, after, size, most_levels)
        several = kind == "numeric" and int((_counts(before, size) + _counts(after, size) > 0).sum()) > 2
        for index, row in enumerate(map(_standardised, found)):
            if row is not None:
                rows.append(row)
                owners.append(column)
                curved.append(several and index > 0)
    grouped = np.repeat([False, True], [len(reference), len(current)])
    values = np.array(rows, dtype=np.float32).reshape(len(rows), len(grouped))
    return Features(values, np.array(owners, dtype=np.intp), np.array(curved, dtype=bool), grouped)


def _levels_per_column(kinds: tuple[str, ...]) -> int:
    categorical = kinds.count("categorical")
    room = (_WIDE - (len(kinds) - categorical)) // max(categorical, 1)
    return min(max(room, 2), MOST_LEVELS)


def _standardised(values: npt.NDArray[np.bool_] | npt.NDArray[np.float64]) -> Floats | None:
    """Mean 0 and deviation 1; None for a constant."""
    if not len(values) or (values == values[0]).all():
        return None
    centred = values - values.mean()
    deviation = float(np.sqrt((centred**2).mean()))
    smallest = _SMALLEST_DEVIATION if values.dtype == bool else 0.0
    row: Floats = (centred / max(deviation, smallest)).astype(np.float32)
    return row


def _counts(codes: Indices, size: int) -> npt.NDArray[np.int64]:
    """Records per bin, and last those with levels never seen; without missing ones."""
    return np.bincount(codes[codes != MISSING], minlength=size + 1)


def _normal_scores(before: Indices, after: Indices, size: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Normal scores of the ranks among both samples; 0 where missing.

    Values that have a bin of their own tie, and have the middle of their ranks. Records in a bin of several values
    stand in it at random, as if their order were still known. All in its middle they would vary less than they do, but
    for the reference's records on its edges (see `_on_edge`), and that would tell small samples apart.
    """
    from scipy import special

    codes = np.concatenate([before, after])
    first, both = _counts(before, size), _counts(codes, size)
    total = both.sum()
    if not total:
        return np.zeros(len(codes))
    most = math.ceil(first.sum() / FINE)    # in a bin of several values
    mixed = np.append(first <= most, False)
    within = np.where(mixed[codes], rng.random(len(codes)), 0.5)
    within[: len(before)][_on_edge(before, first, mixed, rng)] = 1.0
    below = np.append(np.cumsum(both) - both, 0)
    share = (below[codes] + within * np.append(both, 0)[codes]) / total
    scores = special.ndtri(np.clip(share, 0.5 / total, 1 - 0.5 / total))
    found: npt.NDArray[np.float64] = np.where(codes == MISSING, 0.0, scores)
    return found


def _on_edge(
    before: Indices, counts: npt.NDArray[np.int64], mixed: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which of the reference's records lie on the upper edge of their bin.

    An edge is itself a record of the reference, and the others in the bin lie anywhere in it, as later records do.
    Which one it is has been forgotten, so one per bin is drawn. Without that the reference would lie half a record
    lower than records of the same distribution, in every column: many columns would tell any two small samples apart.
    """
    chance = np.where(mixed, 1 / np.maximum(np.append(counts, 0), 1), 0.0)
    chance[len(counts) - 2 :] = 0.0    # the last bin has no upper edge
    found: npt.NDArray[np.bool_] = rng.random(len(before)) < chance[before]
    return found


def _indicators(before: Indices, after: Indices, size: int, most: int) -> list[npt.NDArray[np.bool_]]:
    """Which records have each of the most frequent levels, another frequent one, or a rare or new one."""
    first, second = _counts(before, size), _counts(after, size)
    if not (first.sum() and second.sum()):
        return []
    rare = divergences.rare_cells(first.astype(np.float64), second.astype(np.float64))
    rare[-1] = True    # the levels that the reference never had
    order = np.argsort(-(first + second), kind="stable")
    group = np.full(len(first) + 1, _OTHER)
    group[order[:most]] = np.arange(most)[: len(order)]
    group[:-1][rare] = _RARE
    group[-1] = MISSING    # where the code for missing, -1, points
    grouped = group[np.concatenate([before, after])]
    return [grouped == which for which in (*range(most), _OTHER, _RARE)]

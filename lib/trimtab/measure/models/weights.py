"""How much does each record count in each of many resamples? One by one, or together with those of its group.

A metric's statistic takes weights as an array of shape (replicates, n), or as `GroupWeights`, where records of one
group (a day, say) always count equally often. Sums over records are then sums over groups, of which there are few, so
that hundreds of resamples of many records cost little more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.outputs import Array, ratio

Floats = NDArray[np.float64]

_NO_SPREAD = 1e-12    # share of the sum of squares about a common centre below which spread is rounding
_ROUNDING = 16 * float(np.finfo(np.float64).eps)    # of the largest value, by which a difference may be off


@dataclass(frozen=True, eq=False)
class GroupWeights:
    """Weights of n records that are drawn in groups.

    Attributes
    ----------
    counts : array, shape (replicates, groups)
        How much the records of each group count.
    groups : array of int, shape (n,)
        The group of each record, from 0 on.
    most_levels : int or None
        At how many of the scores that positives have a ranking is looked at, at most. None looks at all.

    Examples
    --------
    >>> weights = GroupWeights(np.array([[2, 0], [1, 1]]), np.array([0, 0, 1]))
    >>> weights.shape, np.asarray(weights).tolist()
    ((2, 3), [[2, 2, 0], [1, 1, 1]])
    """

    counts: Array
    groups: Array
    most_levels: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Replicates and records."""
        return len(self.counts), len(self.groups)

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: slice) -> GroupWeights:
        return replace(self, counts=self.counts[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Record by record, shape (replicates, n)."""
        weights: Array = self.counts[:, self.groups]
        return weights if dtype is None else weights.astype(dtype)

    def tally(self, codes: Array, size: int, values: Array | None = None) -> Floats:
        """Records by group and code, shape (groups, size); or the sums of their values."""
        groups = self.counts.shape[1]
        cells = self.groups * size + codes
        return np.bincount(cells, weights=values, minlength=groups * size).reshape(groups, size).astype(np.float64)

    def spread(self, by_group: Floats) -> Floats:
        """What each replicate has, where each group has so much: shape (replicates, ...)."""
        sums: Floats = self.counts.astype(np.float64) @ by_group
        return sums


Weights = Array | GroupWeights
Statistic = Callable[[Weights], Floats]
"""Takes weights (replicates, n), returns (replicates,) or (replicates, classes)."""


@overload
def taken(weights: GroupWeights, index: Array) -> GroupWeights: ...


@overload
def taken(weights: Array, index: Array) -> Array: ...


def taken(weights: Weights, index: Array) -> Weights:
    """Weights of some of the records, by their positions."""
    if isinstance(weights, GroupWeights):
        return replace(weights, groups=weights.groups[index])
    return np.take(weights, index, axis=1)


def weighted_sums(weights: Weights, columns: Array) -> Floats:
    """Sums over records of weights (replicates, n) times columns (n,) or (n, m), in float64.

    Examples
    --------
    >>> weighted_sums(GroupWeights(np.array([[2, 0], [1, 1]]), np.array([0, 0, 1])), np.array([1.0, 2.0, 5.0])).tolist()
    [6.0, 8.0]
    """
    if isinstance(weights, GroupWeights):
        whole, place = columns[:, None] if columns.ndim == 1 else columns, np.zeros(len(columns), dtype=np.intp)
        by_group = np.column_stack([weights.tally(place, 1, column) for column in whole.T])
        return weights.spread(by_group).reshape(len(weights), *columns.shape[1:])
    sums: Floats = weights.astype(np.float64, copy=False) @ columns.astype(np.float64, copy=False)
    return sums


def totals(weights: Weights) -> Floats:
    """Sum of the weights of each replicate, shape (replicates,)."""
    if isinstance(weights, GroupWeights):
        return weights.spread(np.bincount(weights.groups, minlength=weights.counts.shape[1]).astype(np.float64))
    sums: Floats = weights.sum(axis=1, dtype=np.float64)
    return sums


def sums_by_code(
    codes: Array, records: Array, size: int, n: int, values: Array | None = None
) -> Callable[[Weights], Floats]:
    """Prepare sums over the records of each code, once for many weights (replicates, n).

    Parameters
    ----------
    codes, records
        Shape (entries,): which record counts under which code, from 0 to ``size - 1``; it may under several.
    size, n
        Codes and records.
    values
        Shape (entries,): by what its weight is multiplied; None stands for one.

    Returns
    -------
    callable
        Takes weights, returns shape (replicates, size).

    Examples
    --------
    >>> by_class = sums_by_code(np.array([0, 1, 1]), np.array([0, 1, 2]), size=2, n=3)
    >>> by_class(np.array([[1, 1, 2]])).tolist()
    [[1.0, 3.0]]
    """

    @cache
    def _matrix() -> Any:
        from scipy import sparse

        entries = np.ones(len(codes)) if values is None else values
        return sparse.csr_array((entries, (codes, records)), shape=(size, n))

    def _apply(weights: Weights) -> Floats:
        if isinstance(weights, GroupWeights):
            return weights.spread(taken(weights, records).tally(codes, size, values))
        return np.asarray(_matrix() @ weights.T.astype(np.float64, order="C")).T

    return _apply


def about_mean(weights: Weights, values: Array) -> tuple[Floats, Floats, Floats]:
    """Records, mean and sum of squares about the mean of each replicate, each of shape (replicates,).

    Squares that are no more than rounding are 0. Within groups they are taken about the group's own mean, so that a
    wild value spoils no group but its own.

    Parameters
    ----------
    values
        Shape (n,).

    Examples
    --------
    >>> about_mean(np.array([[1, 1, 2]]), np.array([1.0, 2.0, 3.0]))
    (array([4.]), array([2.25]), array([2.75]))
    """
    records = totals(weights)
    if isinstance(weights, GroupWeights):
        place = np.zeros(len(values), dtype=np.intp)
        sizes, sums = weights.tally(place, 1)[:, 0], weights.tally(place, 1, values)[:, 0]
        means = sums / np.maximum(sizes, 1)
        within = weights.tally(place, 1, (values - means[weights.groups]) ** 2)[:, 0]
        mean = ratio(weights.spread(sums), records)
        between = weights.counts * sizes * (means - mean[:, None]) ** 2
        squares = weights.spread(within) + between.sum(axis=1)
        largest = np.zeros(len(sizes))
        np.maximum.at(largest, weights.groups, np.abs(values))
        rounding = weights.spread(sizes * (_ROUNDING * largest) ** 2)
        return records, mean, np.where(squares > rounding, squares, 0.0)
    centre = float(values.mean()) if len(values) and np.ptp(values) > 0 else float(values[:1].sum())
    first, second = weighted_sums(weights, np.column_stack([values - centre, (values - centre) ** 2])).T
    squares = second - np.nan_to_num(ratio(first**2, records))
    return records, centre + ratio(first, records), np.where(squares > _NO_SPREAD * second, squares, 0.0)

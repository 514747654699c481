"""How are values that are in memory counted, group by group, just as a table's would be?

Groups are days, segments or pairs of them, as numbers from 0 on. A column's counts are rows as `days.flatten` lays them
out, one for each group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.bins import BUCKETS, Bins, BinTable, CategoricalBins, NumericBins, bucket
from trimtab.measure.columns.days import unflatten
from trimtab.measure.columns.profile import BESIDE, ColumnProfile
from trimtab.measure.columns.watched import DAY, SEGMENT, Watched

if TYPE_CHECKING:
    import pyarrow as pa

Counts = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]


def count_numbers(
    bins: NumericBins, values: npt.NDArray[np.float64], groups: Places, size: int,
    nulls: npt.NDArray[np.bool_] | None = None,
) -> Counts:
    """Count numbers.

    Parameters
    ----------
    bins
        Frozen on the reference.
    values
        Shape (n,).
    groups
        Shape (n,), from 0 to ``size - 1``.
    size
        Groups.
    nulls
        Shape (n,): which values there are none; what `values` holds there is not looked at.

    Returns
    -------
    array of int, shape (size, bins + what is counted beside them)

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_numeric
    >>> counts = count_numbers(freeze_numeric([1.0, 2.0]), np.array([1.0, 5.0, np.nan]), np.array([0, 1, 1]), 2)
    >>> counts.sum(axis=1).tolist()    # of five, one is missing, one an outlier and outside of the range, and far off
    [1, 5]
    """
    none = np.zeros(len(values), dtype=bool) if nulls is None else nulls
    nans = np.isnan(values) & ~none
    known = ~(nans | none)
    present, of = values[known], groups[known]
    placed = np.searchsorted(np.asarray(bins.edges), present, side="left")
    counts = np.bincount(of * bins.size + placed, minlength=size * bins.size).reshape(size, bins.size)
    beside = {
        "nulls": groups[none], "nans": groups[nans], "unseen": groups[:0],
        "outliers": of[(present < bins.low) | (present > bins.high)],
        "outside": of[(present < bins.minimum) | (present > bins.maximum)],
        "far": of[(present < bins.far[0]) | (present > bins.far[1])],
    }
    return np.column_stack([counts, *(np.bincount(beside[name], minlength=size) for name in BESIDE)])


def count_levels(
    bins: CategoricalBins, place: Places, found: Sequence[str], groups: Places, size: int
) -> Counts:
    """Count levels.

    Parameters
    ----------
    bins
        Frozen on the reference.
    place
        Shape (n,): which of `found` each value is, -1 for null.
    found
        Distinct texts.
    groups, size
        As for `count_numbers`.

    Returns
    -------
    array of int, shape (size, levels + what is counted beside them + buckets)

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> counts = count_levels(freeze_categorical(["a"]), np.array([0, -1, 1]), ["a", "z"], np.zeros(3, dtype=int), 1)
    >>> counts[0, :3].tolist(), int(counts[0].sum())    # a level, a null, and one that is unseen and in a bucket
    ([1, 1, 0], 4)
    """
    known = {level: index for index, level in enumerate(bins.levels)}
    nulls, unseen = (bins.size + BESIDE.index(name) for name in ("nulls", "unseen"))
    width, buckets = bins.size + len(BESIDE) + BUCKETS, bins.size + len(BESIDE)
    cells = np.array([*(known.get(level, unseen) for level in found), nulls], dtype=np.intp)[place]
    cells_of_new = np.array([*(buckets + bucket(level) if level not in known else 0 for level in found), 0],
                            dtype=np.intp)[place]
    new = cells == unseen
    every = np.concatenate([groups * width + cells, groups[new] * width + cells_of_new[new]])
    return np.bincount(every, minlength=size * width).reshape(size, width)


def count_array(bins: Bins, values: npt.NDArray[Any], groups: Places, size: int) -> Counts:
    """Count an array, by what its bins are: numbers as they are, levels by their texts."""
    if not isinstance(bins, CategoricalBins):
        return count_numbers(bins, values, groups, size)
    found, place = np.unique(values.astype(str), return_inverse=True)
    return count_levels(bins, place, found.tolist(), groups, size)


def profile_array(values: npt.NDArray[Any], bins: Bins) -> ColumnProfile:
    """Profile values that are in memory (scores, predicted classes) by the same definition.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> profile_array(np.array(["a", "z"]), freeze_categorical(["a", "b"])).unseen
    1
    """
    counts = count_array(bins, values, np.zeros(len(values), dtype=np.intp), 1)
    return unflatten(np.concatenate([[len(values)], counts[0]]), {"": bins}).columns[""]

def read_values(watched: Watched, bins: BinTable, fetched: pa.Table) -> tuple[list[Any], Counts, dict[str, Counts]]:
    """Count what `Watched.cast` gives of some records, as `profiling` reads it from counts that a database made.

    Returns
    -------
    list
        What is counted apart, as `profiling.keys` names it, in order.
    array of int
        Records of each.
    dict
        By column the counts of each, shape (parts, bins + what is counted beside them).
    """
    parts, groups = _parts(fetched)
    found = {}
    for name in watched.floats:
        column = fetched[name].combine_chunks()
        values, nulls = (side.to_numpy(zero_copy_only=False) for side in (column, column.is_null()))
        found[name] = count_numbers(_numbers(bins[name]), values, groups, len(parts), nulls)
    for name in watched.with_levels:
        place, levels = _coded(fetched[name])
        found[name] = count_levels(_levels(bins[name]), place, levels, groups, len(parts))
    return parts, np.bincount(groups, minlength=len(parts)), found


def _parts(fetched: pa.Table) -> tuple[list[Any], Places]:
    """What is kept apart, in order, and which of these each record belongs to."""
    named = [_coded(fetched[name]) for name in (SEGMENT, DAY) if name in fetched.column_names]
    if not named:
        return [None], np.zeros(fetched.num_rows, dtype=np.intp)
    codes = named[0][0]
    for place, found in named[1:]:
        codes = codes * len(found) + place
    _, first, groups = np.unique(codes, return_index=True, return_inverse=True)
    of_each = [tuple(found[place[at]] for place, found in named) for at in first.tolist()]
    order = sorted(range(len(of_each)), key=of_each.__getitem__)
    ranks = np.empty(len(order), dtype=np.intp)
    ranks[order] = np.arange(len(order))
    parts = [of_each[at] for at in order]
    return [part if len(part) > 1 else part[0] for part in parts], ranks[groups]


def _coded(column: pa.ChunkedArray) -> tuple[Places, list[Any]]:
    """Which of its distinct values each value of a column is, -1 for null."""
    coded = column.combine_chunks().dictionary_encode()
    place = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
    return place, coded.dictionary.to_pylist()


def _numbers(bins: Bins) -> NumericBins:
    assert isinstance(bins, NumericBins), "float columns have numeric bins"
    return bins


def _levels(bins: Bins) -> CategoricalBins:
    assert isinstance(bins, CategoricalBins), "categorical columns have levels"
    return bins

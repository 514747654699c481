"""Which levels of a column are compared by themselves, and which share cells?

A level that few records have cannot be told from chance by itself, and one that the reference happens to hold once
stands for many that it happens not to hold. Rare and new levels share cells, by a hash that knows no counts. There are
two choices of cells: `shared`, large enough for the tests that are usual, and `apart`, finer, in which levels that
became rarer and levels that became more frequent do not average out (`sparse` tests these).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences
from trimtab.measure.columns.bins import BUCKETS, MAX_LEVELS, CategoricalBins, NumericBins, buckets_of
from trimtab.measure.columns.profile import ColumnProfile, Counts

Floats = npt.NDArray[np.float64]

IN_A_CELL = 20    # records that cells which rare levels share are to expect on average, on the smaller side
IN_A_FINER_CELL = 5
ALONE = 2.0       # records that a level by itself is to expect on the smaller side, among the finer cells
_MISSED = 1e-4    # probability that the reference had missed a level, from which on it shares cells with those it did


def cells(reference: ColumnProfile, current: ColumnProfile) -> tuple[Counts, Counts]:
    """What PSI, JS and χ² are computed on: groups of bins; or levels, the rare ones put together with new ones.

    A level that the reference happens to hold once stands for many that it happens not to hold: apart from each other
    they would always differ, though nothing has moved. Rare is what either side expects fewer than ten records of. Rare
    and new levels share as many cells as can expect `IN_A_CELL` records on average, by a hash, which knows no counts:
    so that a column of nothing but rare levels can still be seen to move.
    """
    shape = shared(reference, current)
    return shape.of(reference), shape.of(current)


@dataclass(frozen=True, eq=False)
class Shared:
    """Which cells the rare levels of two windows share.

    Attributes
    ----------
    rare : array of bool, shape (levels,), or None
        None of a column without levels, or of which a window has no values: then each bin is a cell of its own.
    parts : int
        Cells that rare and new levels share.
    """

    rare: npt.NDArray[np.bool_] | None
    parts: int

    @property
    def nothing_alone(self) -> bool:
        """Whether no level is a cell of its own."""
        return self.rare is not None and bool(self.rare.all())

    def of(self, profile: ColumnProfile) -> Counts:
        """Counts of levels that are not rare, then of the shared cells; of any window by the same bins."""
        levels = profile.coarse()
        if self.rare is None:
            return levels
        assert isinstance(profile.bins, CategoricalBins)
        places = np.asarray(buckets_of(profile.bins), dtype=np.intp)[self.rare] % self.parts
        counts = levels[:-1][self.rare].astype(np.float64)
        found = np.bincount(places, weights=counts, minlength=self.parts).astype(np.float64)
        if profile.unseen:
            new = profile.buckets or (profile.unseen,)
            found += np.bincount(np.arange(len(new)) % self.parts, weights=new, minlength=self.parts)
        return np.concatenate([levels[:-1][~self.rare], found.round().astype(np.int64)])


def shared(reference: ColumnProfile, current: ColumnProfile, *beside: ColumnProfile) -> Shared:
    """Which levels share cells, going by these two windows.

    Parameters
    ----------
    beside : ColumnProfile
        Others that are to be read off by the same cells: where their new levels belong must be known, too.
    """
    a, b = reference.coarse(), current.coarse()
    if isinstance(reference.bins, NumericBins) or not (a.sum() and b.sum()):
        return Shared(None, 0)
    rare = divergences.rare_cells(a, b)[:-1]
    n, m = a.sum(), b.sum()
    expected = float((a + b)[np.append(rare, True)].sum()) * min(n, m) / (n + m)
    known = all(len(side.buckets) or not side.unseen for side in (reference, current, *beside))
    return Shared(rare, min(max(int(expected // IN_A_CELL), 1), BUCKETS) if known else 1)


def with_missing(reference: ColumnProfile, current: ColumnProfile) -> tuple[Counts, Counts]:
    """The cells, and one more for records without a value."""
    a, b = cells(reference, current)
    return np.append(a, reference.missing), np.append(b, current.missing)


def apart(reference: ColumnProfile, current: ColumnProfile, thin: tuple[float, float] = (1.0, 1.0)) -> Shared:
    """Which levels share the finer cells: those that would be too few, or that the reference might have missed.

    A level that the reference has is known for having been drawn there. Where that was not all but certain, its counts
    belong with those of levels that are not known, or what is known would seem to become rarer with every window.

    Parameters
    ----------
    reference, current : ColumnProfile
        Of a column with levels, with values on both sides.
    thin : pair of float
        How many records count for one on either side.
    """
    a, b = (np.asarray(side.counts) / by for side, by in zip((reference, current), thin, strict=True))
    n, m = reference.present / thin[0], current.present / thin[1]
    smaller = min(n, m) / (n + m)
    alone = ((a + b) * smaller >= ALONE) & (_missed(a + b, m / (n + m), _fewest(reference) / thin[0]) <= _MISSED)
    expected = (n + m - float((a + b)[alone].sum())) * smaller
    known = all(len(side.buckets) or not side.unseen for side in (reference, current))
    return Shared(~alone, min(max(int(expected // IN_A_FINER_CELL), 1), BUCKETS) if known else 1)


def _missed(records: Floats, current: float, fewest: float) -> Floats:
    """Probability that of so many records of both sides, each a current one with that probability, few are not."""
    from scipy import special

    beyond = np.maximum(records - fewest, 0.0)
    found: Floats = np.where(beyond > 0, special.betainc(np.maximum(beyond, 1e-9), fewest + 1, current), 1.0)
    return found


def _fewest(reference: ColumnProfile) -> int:
    """Records up to which a level of the reference might not have been kept: none, but where only the most are."""
    full = reference.unseen and len(reference.counts) == MAX_LEVELS
    return min(reference.counts) + 1 if full else 0


def finer_cells(
    reference: ColumnProfile, current: ColumnProfile, thin: tuple[float, float] = (1.0, 1.0)
) -> tuple[Floats, Floats]:
    """Counts over the cells of `apart`, and of missing values where they are enough for a cell.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> bins = freeze_categorical(["a", "b", "c"])
    >>> before, now = ColumnProfile(bins, (60, 30, 10)), ColumnProfile(bins, (30, 15, 5))
    >>> [side.tolist() for side in finer_cells(before, now)]
    [[60.0, 30.0, 10.0, 0.0], [30.0, 15.0, 5.0, 0.0]]
    """
    shape = apart(reference, current, thin)
    a, b = (shape.of(side).astype(np.float64) for side in (reference, current))
    n, m = a.sum() / thin[0], b.sum() / thin[1]
    if (reference.missing / thin[0] + current.missing / thin[1]) * min(n, m) / (n + m) < ALONE:
        return a, b
    return np.append(a, reference.missing), np.append(b, current.missing)


@dataclass(frozen=True)
class Look:
    """How far the shares of a column's groups or levels are apart, over one choice of cells.

    Attributes
    ----------
    psi : float
        Population stability index; over the finer cells in its quadratic form (`sparse.divergence`).
    by_chance : float
        What it would be on average without drift, at these sizes.
    cells : int
        How many cells, with that of missing values, it is the sum over.
    p_value : float
        In [0, 1]; nan where nothing was tested.
    floor : float
        Size that stretches of the reference itself reach over such cells.
    """

    psi: float
    by_chance: float
    cells: int
    p_value: float
    floor: float

    @property
    def excess(self) -> float:
        """PSI beyond chance, 0 or more."""
        return max(self.psi - self.by_chance, 0.0)

"""How many records fell into each bin? The only thing that is kept of a window.

A profile is bins frozen on the reference and integer counts, so `profile + profile` is the profile of the union,
exactly and in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import bins as binning
from trimtab.measure.columns.bins import BUCKETS, Bins, NumericBins

if TYPE_CHECKING:
    from trimtab.measure.columns.days import Days

Counts = npt.NDArray[np.int64]
BESIDE = ("nulls", "nans", "unseen", "outliers", "outside", "far")
"""What is counted of a column beside its bins."""


@dataclass(frozen=True)
class ColumnProfile:
    """Counts of one column.

    Attributes
    ----------
    bins : Bins
        The definition, frozen on the reference.
    counts : tuple of int
        Records per bin.
    nulls, nans : int
        Records without a value, and with NaN.
    unseen : int
        Records with a level that the reference did not have; 0 for numeric columns.
    outliers : int
        Records more than three standard deviations of the reference from its mean, as `bins.moments` gives them; 0 for
        categorical columns.
    outside : int
        Records below the reference's minimum or above its maximum; 0 for categorical columns.
    far : int
        Records outside by more than the reference's whole range, as `bins.far` gives it; 0 for categorical columns.
    buckets : tuple of int
        Of the unseen records, those with a level in each of the `bins.BUCKETS` buckets. Empty where there are none, and
        where nobody counted them.

    Raises
    ------
    ValueError
        When counts do not fit the bins, or buckets do not hold just the unseen records.
    """

    bins: Bins
    counts: tuple[int, ...]
    nulls: int = 0
    nans: int = 0
    unseen: int = 0
    outliers: int = 0
    outside: int = 0
    far: int = 0
    buckets: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.counts) != self.bins.size:
            raise ValueError(f"{self.bins.size} bins but {len(self.counts)} counts")
        if self.buckets and (len(self.buckets), sum(self.buckets)) != (BUCKETS, self.unseen):
            told = f"{len(self.buckets)} buckets of {sum(self.buckets)} records"
            raise ValueError(f"{told} are not {BUCKETS} of the {self.unseen} unseen ones")

    @property
    def missing(self) -> int:
        """Records without a usable value: null or NaN."""
        return self.nulls + self.nans

    @property
    def present(self) -> int:
        """Records with a value."""
        return sum(self.counts) + self.unseen

    @property
    def rows(self) -> int:
        """All records."""
        return self.present + self.missing

    def coarse(self) -> Counts:
        """Counts to compare and to draw: about ten groups, or levels and last those unseen; without missing."""
        counts = np.asarray(self.counts, dtype=np.int64)
        if isinstance(self.bins, NumericBins):
            starts = [0, *(index + 1 for index in self.bins.groups)]
            return np.add.reduceat(counts, starts)
        return np.append(counts, self.unseen)

    def __add__(self, other: ColumnProfile) -> ColumnProfile:
        if not binning.same(self.bins, other.bins):
            raise ValueError("profiles with different bins cannot be added")
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        beside = {name: getattr(self, name) + getattr(other, name) for name in BESIDE}
        return ColumnProfile(self.bins, counts, buckets=_together(self, other), **beside)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        numbers = {name: getattr(self, name) for name in BESIDE}
        counts = {"counts": list(self.counts), "buckets": list(self.buckets)}
        return {"bins": binning.to_json(self.bins), **counts, **numbers}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> ColumnProfile:
        """Read back what `to_json` wrote."""
        numbers = {name: plain.get(name, 0) for name in BESIDE}    # a champion's baseline may be older than one
        buckets = tuple(plain.get("buckets", ()))    # in a champion's baseline there may be none
        return cls(binning.from_json(plain["bins"]), tuple(plain["counts"]), buckets=buckets, **numbers)


def _together(one: ColumnProfile, other: ColumnProfile) -> tuple[int, ...]:
    """The buckets of both; none where those of either are not known."""
    if not other.unseen:
        return one.buckets
    if not one.unseen:
        return other.buckets
    if not (one.buckets and other.buckets):
        return ()
    return tuple(a + b for a, b in zip(one.buckets, other.buckets, strict=True))


@dataclass(frozen=True)
class Profile:
    """Counts of all columns of a window.

    Attributes
    ----------
    columns : mapping
        Counts by column.
    rows : int
        Records.
    days : Days, optional
        The same by day, where it is known; of two profiles with days it can be told how much one day differs from
        another. Forgotten when profiles are added or written.

    Examples
    --------
    >>> bins = binning.freeze_categorical(["a", "b"])
    >>> monday = Profile({"x": ColumnProfile(bins, (3, 1))}, rows=4)
    >>> tuesday = Profile({"x": ColumnProfile(bins, (2, 0), unseen=1)}, rows=3)
    >>> (monday + tuesday).columns["x"].counts
    (5, 1)
    """

    columns: Mapping[str, ColumnProfile]
    rows: int
    days: Days | None = field(default=None, repr=False, compare=False)

    @property
    def bins(self) -> dict[str, Bins]:
        """The definition of each column's bins."""
        return {name: column.bins for name, column in self.columns.items()}

    def __repr__(self) -> str:
        return f"<Profile of {self.rows:,} records, {len(self.columns)} columns>"

    def __add__(self, other: Profile) -> Profile:
        if self.columns.keys() != other.columns.keys():
            raise ValueError("profiles of different columns cannot be added")
        columns = {name: column + other.columns[name] for name, column in self.columns.items()}
        return Profile(columns, self.rows + other.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return {"rows": self.rows, "columns": {name: column.to_json() for name, column in self.columns.items()}}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Profile:
        """Read back what `to_json` wrote."""
        columns = {name: ColumnProfile.from_json(column) for name, column in plain["columns"].items()}
        return cls(columns, plain["rows"])

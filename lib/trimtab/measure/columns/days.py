"""How many records of each day fell into each bin? A window is the sum of its days, so a day is counted once.

Days are rows of one matrix of counts, whose layout follows from the bins: the number of records, then for each column
its bins, what is counted beside them, and the buckets of what is unseen where it has levels.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.bins import BUCKETS, Bins, BinTable, CategoricalBins
from trimtab.measure.columns.profile import BESIDE, ColumnProfile, Profile

Matrix = npt.NDArray[np.int64]
Dates = npt.NDArray[np.datetime64]
LAYOUT = 3
"""Of a day's row: what was kept by another layout is counted anew."""
_EARLIER = ((5, False), (5, True))    # of champions' baselines: how much of BESIDE, and whether there were buckets


Defined = TypeVar("Defined")


@dataclass(frozen=True, eq=False)
class Daily(ABC, Generic[Defined]):
    """Counts by day, of whatever `bins` define.

    Attributes
    ----------
    bins : object
        The frozen definition.
    dates : array of datetime64[D], shape (days,)
        Strictly increasing; days without records are left out.
    counts : array of int, shape (days, cells)
        One row per day, which begins with the number of records.
    """

    bins: Defined
    dates: Dates
    counts: Matrix

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.dates), self.width):
            told = f"{len(self.dates)} days of {self.width} cells"
            raise ValueError(f"counts of shape {self.counts.shape} are not {told}")
        if (np.diff(self.dates) <= np.timedelta64(0)).any():
            raise ValueError("days must be in order, each once")

    @property
    @abstractmethod
    def width(self) -> int:
        """Length of a day's row."""

    def __len__(self) -> int:
        return len(self.dates)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Records of each day, shape (days,)."""
        return self.counts[:, 0]

    def matching(self, expected: Mapping[date, int]) -> Self:
        """The days that have as many records as expected."""
        return self.only([day for day, rows in zip(self.dates.tolist(), self.rows, strict=True)
                          if expected.get(day) == rows])

    def only(self, days: Sequence[date]) -> Self:
        """These days, as far as they are here."""
        chosen = np.isin(self.dates, np.array(days, dtype="datetime64[D]"))
        return replace(self, dates=self.dates[chosen], counts=self.counts[chosen])

    def __or__(self, other: Self) -> Self:
        """These days and those of another, which wins where both have one."""
        kept = ~np.isin(self.dates, other.dates)
        dates = np.concatenate([self.dates[kept], other.dates])
        order = np.argsort(dates)
        counts = np.concatenate([self.counts[kept], other.counts])
        return replace(self, dates=dates[order], counts=counts[order])


@dataclass(frozen=True, eq=False)
class Days(Daily[BinTable]):
    """Counts of all columns by day.

    Attributes
    ----------
    bins : mapping
        The frozen definition by column.
    dates : array of datetime64[D], shape (days,)
        Strictly increasing; days without records are left out.
    counts : array of int, shape (days, cells)
        One row per day, laid out as `flatten` does.

    Raises
    ------
    ValueError
        When dates and counts do not fit together or to the bins.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> bins = {"x": freeze_categorical(["a", "b"])}
    >>> one = Profile({"x": ColumnProfile(bins["x"], (3, 1))}, rows=4)
    >>> days = Days.of(bins, {date(2024, 1, 1): one, date(2024, 1, 2): one})
    >>> days.total().columns["x"].counts
    (6, 2)
    """

    @property
    def width(self) -> int:
        """Length of a day's row."""
        return cells(self.bins)

    @classmethod
    def of(cls, bins: BinTable, profiles: Mapping[date, Profile]) -> Days:
        """Put profiles of single days together."""
        ordered = sorted(profiles)
        counts = np.array([flatten(profiles[day]) for day in ordered], dtype=np.int64)
        return cls(dict(bins), np.array(ordered, dtype="datetime64[D]"), counts.reshape(len(ordered), cells(bins)))

    def total(self) -> Profile:
        """The profile of all days together."""
        return unflatten(self.counts.sum(axis=0), self.bins)

    def of_columns(self, names: Collection[str]) -> Days:
        """The same days, of these columns alone."""
        start, kept, bins = 1, [0], {}
        for name, one in self.bins.items():
            stop = start + _width(one)
            if name in names:
                kept += range(start, stop)
                bins[name] = one
            start = stop
        return Days(bins, self.dates, self.counts[:, kept])

    def column(self, name: str) -> tuple[Matrix, dict[str, Matrix]]:
        """Counts of one column by day: of its bins, shape (days, bins), and of what is counted beside them."""
        start = self._start(name)
        stop = start + self.bins[name].size
        beside = {key: self.counts[:, stop + place] for place, key in enumerate(BESIDE)}
        return self.counts[:, start:stop], beside

    def buckets(self, name: str) -> Matrix:
        """Unseen records of one column by day and bucket; of shape (days, 0) where it has no levels."""
        start = self._start(name)
        stop = start + _width(self.bins[name])
        return self.counts[:, start + self.bins[name].size + len(BESIDE) : stop]

    def _start(self, name: str) -> int:
        """Where in a row a column begins."""
        start = 1
        for other, bins in self.bins.items():
            if other == name:
                return start
            start += _width(bins)
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Plain values without the bins; `from_json` reads them back."""
        return {"dates": [str(day) for day in self.dates], "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], bins: BinTable) -> Days:
        """Read back what `to_json` wrote; rows of earlier layouts, too, with nothing where these had no cells."""
        counts = np.array(plain["counts"], dtype=np.int64).reshape(len(plain["dates"]), -1)
        for beside, buckets in _EARLIER:
            missing = _missing(bins, beside, buckets=buckets)
            if counts.size and counts.shape[1] == cells(bins) - len(missing):
                counts = np.insert(counts, missing, 0, axis=1)
        dates = np.array(plain["dates"], dtype="datetime64[D]")
        return cls(dict(bins), dates, counts.reshape(len(dates), cells(bins)))


def cells(bins: BinTable) -> int:
    """Length of a day's row."""
    return 1 + sum(_width(one) for one in bins.values())


def _width(bins: Bins) -> int:
    """Cells of one column."""
    return bins.size + len(BESIDE) + _buckets(bins)


def _missing(bins: BinTable, beside: int, *, buckets: bool) -> list[int]:
    """Where in a row of an earlier layout cells are missing, as often as there are some.

    Parameters
    ----------
    beside : int
        How many of `BESIDE` it had.
    buckets : bool
        Whether it had buckets.
    """
    found, end = [], 1
    for one in bins.values():
        end += one.size + beside
        found += [end] * (len(BESIDE) - beside + (0 if buckets else _buckets(one)))
        end += _buckets(one) if buckets else 0
    return found


def _buckets(bins: Bins) -> int:
    return BUCKETS if isinstance(bins, CategoricalBins) else 0


def flatten(profile: Profile) -> npt.NDArray[np.int64]:
    """A profile's counts in one row; buckets that nobody counted are all 0."""
    row = [profile.rows]
    for column in profile.columns.values():
        buckets = column.buckets or (0,) * _buckets(column.bins)
        row += [*column.counts, *(getattr(column, name) for name in BESIDE), *buckets]
    return np.array(row, dtype=np.int64)


def unflatten(row: npt.NDArray[np.int64], bins: BinTable) -> Profile:
    """The profile that `flatten` wrote, equal in every count."""
    values = row.tolist()
    columns, start = {}, 1
    for name, one in bins.items():
        counts, end = tuple(values[start : start + one.size]), start + _width(one)
        beside = dict(zip(BESIDE, values[start + one.size : end - _buckets(one)], strict=True))
        buckets = tuple(values[end - _buckets(one) : end])
        known = sum(buckets) == beside["unseen"] > 0
        columns[name] = ColumnProfile(one, counts, buckets=buckets if known else (), **beside)
        start = end
    return Profile(columns, values[0])


def pack(row: npt.NDArray[np.int64]) -> bytes:
    """A row as few bytes, the same on every machine."""
    return zlib.compress(row.astype("<i8").tobytes(), level=1)


def unpack(packed: bytes) -> npt.NDArray[np.int64]:
    """The row that `pack` wrote.

    Raises
    ------
    ValueError
        When the bytes are damaged.
    """
    try:
        return np.frombuffer(zlib.decompress(packed), dtype="<i8").astype(np.int64)
    except zlib.error as error:
        raise ValueError(f"a day's counts are damaged: {error}") from error

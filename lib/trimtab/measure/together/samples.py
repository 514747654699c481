"""Which records stand for a window, once its raw values are not to be kept?

A sample holds each record as the bins that its values fall into, by the bins that were frozen on the reference. So it
says what profiles cannot, which values occur together, and still holds no raw value: a numeric code is a rank to about
half a per cent, a categorical one the position of a level. Samples by the same bins can be compared with each other.

The bins' own meaning (edges, levels) is not in the sample. Missing values are one code, whether null or NaN, and levels
that the reference never had are one code, whatever they were.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.bins import BinTable, CategoricalBins

Array = npt.NDArray[Any]
Codes = npt.NDArray[np.int16 | np.int32]
Kind = Literal["numeric", "categorical"]

MISSING = -1
_MAGIC = b"TTS1"
_HEADER_LENGTH, _CHECKSUM_LENGTH = 4, 4
_KINDS = ("numeric", "categorical")


@dataclass(frozen=True, eq=False)
class Sample:
    """Records as codes of bins.

    Attributes
    ----------
    columns : tuple of str
        Names, each once.
    kinds : tuple of str
        "numeric" or "categorical", one per column.
    sizes : tuple of int
        Bins per column, 0 or more.
    codes : array of int, shape (n, columns)
        -1 for a missing value, else the bin from 0 to ``size - 1``; ``size`` for a level that the reference never had.
        int16, or int32 where a column has too many bins for that.

    Raises
    ------
    ValueError
        When lengths or shapes do not fit, a name occurs twice, or a code is out of range.

    Examples
    --------
    >>> sample = Sample(("age", "city"), ("numeric", "categorical"), (200, 3), np.array([[17, 0], [-1, 3]]))
    >>> len(sample), sample.take([1]).codes.tolist()
    (2, [[-1, 3]])
    """

    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    sizes: tuple[int, ...]
    codes: Codes

    def __post_init__(self) -> None:
        names = len(self.columns)
        if len(set(self.columns)) != names:
            raise ValueError(f"a column occurs twice in {', '.join(self.columns)}")
        if not (len(self.kinds) == len(self.sizes) == names) or not set(self.kinds) <= set(_KINDS):
            raise ValueError("each column needs its kind, numeric or categorical, and its number of bins")
        codes = np.asarray(self.codes)
        if codes.ndim != 2 or codes.shape[1] != names or codes.dtype.kind not in "iu":
            raise ValueError(f"codes must be whole numbers of shape (n, {names}), not {codes.dtype} {codes.shape}")
        if codes.size and ((codes.min(axis=0) < MISSING) | (codes.max(axis=0) > self._highest)).any():
            raise ValueError("a code is outside of its column's bins")
        object.__setattr__(self, "codes", codes.astype(_smallest_type(self.sizes), copy=False))

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"<Sample of {len(self):,} records, {len(self.columns)} columns>"

    @property
    def _highest(self) -> npt.NDArray[np.int64]:
        """The largest code that each column may have."""
        unseen = [kind == "categorical" for kind in self.kinds]
        return np.asarray(self.sizes, dtype=np.int64) - 1 + np.asarray(unseen, dtype=np.int64)

    def fits(self, other: Sample) -> bool:
        """Whether both have the same columns with as many bins, which samples by the same bins have."""
        return (self.columns, self.kinds, self.sizes) == (other.columns, other.kinds, other.sizes)

    def take(self, chosen: npt.ArrayLike) -> Sample:
        """Return the records that a boolean mask of shape (n,) or an array of positions chooses, in its order."""
        index = np.asarray(chosen)
        if index.dtype == bool and index.shape != (len(self),):
            raise ValueError(f"a mask of shape {index.shape} cannot choose from {len(self)} records")
        return Sample(self.columns, self.kinds, self.sizes, self.codes[index if index.size else index.astype(np.intp)])

    def thinned(self, most: int, *, seed: int) -> Sample:
        """At most so many records, drawn at random, in their order."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False)))

    def to_bytes(self) -> bytes:
        """Compact bytes, to be read back by `from_bytes`: about one byte per value."""
        plain = {"columns": self.columns, "kinds": self.kinds, "sizes": self.sizes, "rows": len(self)}
        header = json.dumps(plain).encode()
        packed = zlib.compress(len(header).to_bytes(_HEADER_LENGTH, "big") + header + _planes(self.codes))
        return _MAGIC + zlib.crc32(packed).to_bytes(_CHECKSUM_LENGTH, "big") + packed

    @classmethod
    def from_bytes(cls, stored: bytes) -> Sample:
        """Read back what `to_bytes` wrote.

        Raises
        ------
        ValueError
            When the bytes are damaged, cut off or something else.
        """
        inner = _inflated(stored)
        start = _HEADER_LENGTH + int.from_bytes(inner[:_HEADER_LENGTH], "big")
        try:
            plain = json.loads(inner[_HEADER_LENGTH:start])
            columns, kinds, sizes = (tuple(plain[key]) for key in ("columns", "kinds", "sizes"))
            codes = _from_planes(inner[start:], (int(plain["rows"]), len(columns)), _smallest_type(sizes))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the sample's bytes are damaged: {error}") from error
        return cls(columns, kinds, sizes, codes)


def encode(values: Mapping[str, npt.ArrayLike], bins: BinTable) -> Sample:
    """Write records as the bins that they fall into, as `profiling` counts them.

    Parameters
    ----------
    values : mapping of str to array, each of shape (n,)
        The columns of `bins`, others are left out. Numeric ones as numbers, with NaN or None where missing; infinite
        values fall into the outer bins. Categorical ones as text, with None or NaN where missing; other values count by
        their text.
    bins : mapping
        Frozen bins by column; their order is that of the sample's columns.

    Raises
    ------
    ValueError
        When a column is missing or the columns differ in length.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
    >>> bins = {"age": freeze_numeric([20, 30, 40]), "city": freeze_categorical(["Ulm", "Rom"])}
    >>> encode({"age": [30, None], "city": ["Oslo", "Rom"]}, bins).codes.tolist()
    [[3, 2], [-1, 1]]
    """
    absent = [name for name in bins if name not in values]
    if absent:
        raise ValueError(f"no values for {', '.join(absent)}")
    sizes = tuple(frozen.size for frozen in bins.values())
    kinds: tuple[Kind, ...] = tuple(
        "categorical" if isinstance(frozen, CategoricalBins) else "numeric" for frozen in bins.values()
    )
    coded = [
        _level_codes(values[name], frozen.levels) if isinstance(frozen, CategoricalBins)
        else _numeric_codes(values[name], frozen.edges)
        for name, frozen in bins.items()
    ]
    lengths = {len(column) for column in coded}
    if len(lengths) > 1:
        raise ValueError("the columns differ in their number of records")
    codes: Codes = np.empty((lengths.pop() if lengths else 0, len(coded)), dtype=_smallest_type(sizes))
    for index, column in enumerate(coded):
        codes[:, index] = column
    return Sample(tuple(bins), kinds, sizes, codes)


def _numeric_codes(values: npt.ArrayLike, edges: tuple[float, ...]) -> npt.NDArray[np.intp]:
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(numbers), MISSING, np.searchsorted(np.asarray(edges), numbers, side="left"))


def _level_codes(values: npt.ArrayLike, levels: tuple[str, ...]) -> npt.NDArray[np.intp]:
    known: dict[Any, int] = {level: index for index, level in enumerate(levels)}
    place, found = distinct(values)
    coded = [known.get(one if isinstance(one, str) else str(one), len(levels)) for one in found]
    return np.array([*coded, MISSING], dtype=np.intp)[place]


def distinct(values: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], list[Any]]:
    """Which of the distinct values each one is, -1 where it is missing (None or NaN), and these values.

    Examples
    --------
    >>> place, found = distinct(["b", None, "a", "b"])
    >>> place.tolist(), found
    ([0, -1, 1, 0], ['b', 'a'])
    """
    import pandas as pd

    # An object array keeps None and NaN apart from the texts "None" and "nan".
    listed = np.asarray(values, dtype=object)
    place, found = pd.factorize(listed)
    if all(isinstance(one, str) for one in found):
        return place, list(found)
    numbers: dict[Any, int] = {}    # 1, 1.0 and True are equal, but not as texts
    for position in np.flatnonzero(place != -1).tolist():
        one = listed[position]
        place[position] = numbers.setdefault((type(one), one), len(numbers))
    return place, [value for _, value in numbers]


def _smallest_type(sizes: tuple[int, ...]) -> type[np.int16] | type[np.int32]:
    return np.int16 if max(sizes, default=0) <= np.iinfo(np.int16).max else np.int32


def _planes(codes: Codes) -> bytes:
    """Column by column, the low bytes before the high ones: the high ones are mostly 0, which packs well."""
    little = np.ascontiguousarray(codes.T).astype(codes.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little.view(np.uint8).reshape(-1, codes.dtype.itemsize).T).tobytes()


def _from_planes(stored: bytes, shape: tuple[int, int], kind: type[np.int16] | type[np.int32]) -> Codes:
    little = np.dtype(kind).newbyteorder("<")
    planes = np.frombuffer(stored, dtype=np.uint8).reshape(little.itemsize, shape[0] * shape[1])
    columns = np.ascontiguousarray(planes.T).view(little).reshape(shape[::-1])
    codes: Codes = np.ascontiguousarray(columns.T).astype(kind, copy=False)
    return codes


def _inflated(stored: bytes) -> bytes:
    """What was compressed; the checksum tells when anything was changed."""
    start = len(_MAGIC) + _CHECKSUM_LENGTH
    checksum, packed = int.from_bytes(stored[len(_MAGIC) : start], "big"), stored[start:]
    if stored[: len(_MAGIC)] != _MAGIC or zlib.crc32(packed) != checksum:
        raise ValueError("the sample's bytes are damaged: not whole, or not a sample's")
    try:
        return zlib.decompress(packed)
    except zlib.error as error:
        raise ValueError(f"the sample's bytes are damaged: {error}") from error

"""How often was which class taken for which? Counts of outcomes by predictions, which add up over days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from trimtab.measure.models.outputs import Outputs

MOST_CLASSES = 50
"""Of more classes no counts are kept: a square of them, day by day, would outgrow the records that it is of."""


@dataclass(frozen=True)
class Confusion:
    """Records by the class that came and the class that was predicted.

    Attributes
    ----------
    labels : tuple of str
        The classes that came or were predicted.
    counts : tuple of tuple of int, shape (classes, classes)
        A row for each class that came, a column for each that was predicted.

    Raises
    ------
    ValueError
        When the counts are no square of so many classes.

    Examples
    --------
    >>> monday = Confusion(("a", "b"), ((3, 1), (0, 2)))
    >>> tuesday = Confusion(("b", "c"), ((5, 0), (1, 0)))
    >>> (monday + tuesday).labels, (monday + tuesday).counts
    (('a', 'b', 'c'), ((3, 1, 0), (0, 7, 0), (0, 1, 0)))
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if {len(self.labels)} != {len(self.counts), *map(len, self.counts)} and self.labels + self.counts:
            raise ValueError(f"counts are no square of {len(self.labels)} classes")

    @classmethod
    def of(cls, outputs: Outputs) -> Self | None:
        """Count a model's outputs; None where there are no classes, or more than `MOST_CLASSES`.

        What is known of each class alone, its precision and recall, does not need these counts.
        """
        size = len(outputs.labels)
        if not 0 < size <= MOST_CLASSES:
            return None
        cells = np.bincount(outputs.actual * size + outputs.predicted, minlength=size * size).reshape(size, size)
        used = np.flatnonzero(cells.sum(axis=0) + cells.sum(axis=1))
        labels = tuple(outputs.labels[code] for code in used)
        return cls(labels, tuple(map(tuple, cells[np.ix_(used, used)].tolist())))

    @property
    def records(self) -> int:
        """All records."""
        return sum(map(sum, self.counts))

    def __add__(self, other: Confusion) -> Confusion:
        """Of the records of both; classes that one of them lacks come last."""
        labels = tuple(dict.fromkeys((*self.labels, *other.labels)))
        total = np.zeros((len(labels), len(labels)), dtype=np.int64)
        for one in (self, other):
            at = [labels.index(label) for label in one.labels]
            total[np.ix_(at, at)] += np.array(one.counts, dtype=np.int64).reshape(len(at), len(at))
        return Confusion(labels, tuple(map(tuple, total.tolist())))

    def found(self, label: str) -> tuple[int, int]:
        """How many records of a class were found, and how many there are: numerator and denominator of its recall."""
        if label not in self.labels:
            return 0, 0
        at = self.labels.index(label)
        return self.counts[at][at], sum(self.counts[at])

    def right(self, label: str) -> tuple[int, int]:
        """How many predictions of a class were right, and how many there are: what its precision is made of."""
        if label not in self.labels:
            return 0, 0
        at = self.labels.index(label)
        return self.counts[at][at], sum(row[at] for row in self.counts)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return {"labels": list(self.labels), "counts": [list(row) for row in self.counts]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote."""
        return cls(tuple(plain["labels"]), tuple(map(tuple, plain["counts"])))

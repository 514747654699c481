"""How many texts of each day have which words? A window is the sum of its days, so a day is counted once.

A day is a row of counts: records, the numbers of a profile, documents with each top term, documents with a token in
each bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.days import Daily, Matrix
from trimtab.measure.words.terms import BUCKETS, NUMBERS, TermBins, TermProfile


class WordDays(Daily[TermBins]):
    """Counts of one text column by day; attributes as `Daily`.

    Raises
    ------
    ValueError
        When dates and counts do not fit together or to the bins.

    Examples
    --------
    >>> bins = TermBins(("red",), ("red",))
    >>> one = TermProfile(bins, (3,), TermProfile.nothing(bins).buckets, documents=5, nulls=1)
    >>> days = WordDays.of(bins, {date(2024, 1, 1): one, date(2024, 1, 2): one})
    >>> days.total().counts, days.rows.tolist()
    ((6,), [6, 6])
    """

    @property
    def width(self) -> int:
        """Length of a day's row."""
        return cells(self.bins)

    @classmethod
    def of(cls, bins: TermBins, profiles: Mapping[date, TermProfile]) -> WordDays:
        """Put profiles of single days together."""
        ordered = sorted(profiles)
        rows = [
            [one.rows, *(getattr(one, name) for name in NUMBERS), *one.counts, *one.buckets]
            for one in (profiles[day] for day in ordered)
        ]
        counts = np.array(rows, dtype=np.int64).reshape(len(ordered), cells(bins))
        return cls(bins, np.array(ordered, dtype="datetime64[D]"), counts)

    def total(self) -> TermProfile:
        """The profile of all days together."""
        row = self.counts.sum(axis=0).tolist()
        numbers = {name: row[place(name)] for name in NUMBERS}
        start = 1 + len(NUMBERS)
        middle = start + len(self.bins.terms)
        return TermProfile(self.bins, tuple(row[start:middle]), tuple(row[middle:]), **numbers)

    def number(self, name: str) -> Matrix:
        """One of a profile's numbers by day, shape (days,)."""
        return self.counts[:, place(name)]

    @property
    def within(self) -> npt.NDArray[np.bool_]:
        """Days of the records that the vocabulary was frozen on, shape (days,); all where it does not know its days.

        They hold no word that it lacks. What their texts would have had new is told by words of one day alone.
        """
        if not self.bins.first:
            return np.ones(len(self), dtype=np.bool_)
        dates = self.dates.astype(np.int64)
        found: npt.NDArray[np.bool_] = (dates >= min(self.bins.first)) & (dates <= max(self.bins.last))
        return found

    @property
    def new_documents(self) -> Matrix:
        """Documents with a word that the vocabulary would not have had without their day, shape (days,)."""
        return np.where(self.within, self.number("lone_documents"), self.number("novel_documents"))

    @property
    def new_tokens(self) -> Matrix:
        """The same of tokens."""
        return np.where(self.within, self.number("lone_tokens"), self.number("unseen_tokens"))

    @property
    def terms(self) -> Matrix:
        """Documents with each top term, shape (days, terms)."""
        start = 1 + len(NUMBERS)
        return self.counts[:, start : start + len(self.bins.terms)]

    @property
    def buckets(self) -> Matrix:
        """Documents with a token in each bucket, shape (days, buckets)."""
        return self.counts[:, -2 * BUCKETS :]


def cells(bins: TermBins) -> int:
    """Length of a day's row."""
    return 1 + len(NUMBERS) + len(bins.terms) + 2 * BUCKETS


def place(number: str) -> int:
    """Where in a day's row one of a profile's numbers is."""
    return 1 + NUMBERS.index(number)

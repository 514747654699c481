"""How many texts of each day have which words? A window is the sum of its days, so a day is counted once.

A day is a row of counts: records, the numbers of a profile, documents with each top term, documents with a token in
each bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

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

"""Texts by day, as counts: which words, how many a day, and in which way one day differs from the next."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trimtab.measure.words.terms import BUCKETS, NUMBERS, TermProfile, freeze_terms
from trimtab.measure.words.word_days import WordDays

Counts = npt.NDArray[np.int64]
FIRST = np.datetime64("2024-01-01")


@dataclass(frozen=True)
class WordLife:
    """Words of Zipf's shares, each in a text or not, whatever else is in it.

    Attributes
    ----------
    seed, words, exponent : int, int, float
    length : float
        Words of a text, on average.
    spread : float
        Variance of each word's share between days, relative to its square.
    burst : int
        Texts that have a word because one has it: sent so many times on one day.
    """

    seed: int
    words: int = 2000
    exponent: float = 1.0
    length: float = 5.0
    spread: float = 0.0
    burst: int = 1

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        zipf = 1 / np.arange(1, self.words + 1) ** self.exponent
        return np.minimum(zipf / zipf.sum() * self.length, 0.5)

    def days(self, rng: np.random.Generator, sizes: Counts, shares: npt.NDArray[np.float64] | None = None) -> Counts:
        """Texts of each day with each word, shape (days, words)."""
        wanted = np.broadcast_to(self.shares if shares is None else shares, (len(sizes), self.words))
        if self.spread:
            wanted = np.minimum(wanted * rng.gamma(1 / self.spread, self.spread, wanted.shape), 1.0)
        found: Counts = rng.binomial(sizes[:, None] // self.burst, wanted) * self.burst
        return found

    def buckets(self) -> Counts:
        """Both buckets of each word, shape (2, words)."""
        rng = np.random.default_rng(self.seed + 1000)
        return rng.integers(0, BUCKETS, (2, self.words)) + np.array([[0], [BUCKETS]])


def profiled(
    life: WordLife, before: tuple[Counts, Counts], now: tuple[Counts, Counts], *, dated: bool = True
) -> tuple[TermProfile, TermProfile]:
    """Profiles of both windows from texts a day and counts by day and word; two rare words share no text."""
    (sizes, counts), (sizes_now, counts_now) = before, now
    df, on = counts.sum(axis=0), counts > 0
    order = [word for word in np.argsort(-df, kind="stable") if df[word]]
    begin = FIRST.astype(int)
    first, last = on.argmax(axis=0) + begin, len(sizes) - 1 - on[::-1].argmax(axis=0) + begin
    bins = freeze_terms(
        [str(word) for word in order], df[order], df[order], int(sizes.sum()),
        **({"first": first[order].tolist(), "last": last[order].tolist(), "days": on.sum(axis=0)[order].tolist()}
           if dated else {}),
    )
    lone = (on.sum(axis=0) if dated else df) <= 1    # or in none, which is unseen
    alone, few = (int(counts[:, (on.sum(axis=0) if dated else df) == units].sum()) for units in (1, 2))
    bins = replace(bins, documents=int(sizes.sum()), tokens=int(df.sum()), singleton_documents=min(alone, sizes.sum()),
                   singleton_tokens=alone, doubleton_documents=few)
    terms, places = np.array([int(term) for term in bins.terms], dtype=np.int64), life.buckets()
    each = np.tile(np.arange(life.words), 2)
    into = sparse.csr_array((np.ones_like(each), (each, places.ravel())), shape=(life.words, 2 * BUCKETS))
    found = []
    for start, size, y in ((0, sizes, counts), (len(sizes), sizes_now, counts_now)):
        buckets = y @ into
        tokens, unseen, loner = y.sum(axis=1), y[:, df == 0].sum(axis=1), y[:, lone].sum(axis=1)
        numbers = {"documents": size, "nulls": 0 * size, "tokens": tokens, "mentions": tokens, "unseen_tokens": unseen,
                   "novel_documents": np.minimum(unseen, size), "lone_tokens": loner,
                   "lone_documents": np.minimum(loner, size)}
        rows = np.column_stack([size, *(numbers[name] for name in NUMBERS), y[:, terms],
                                np.minimum(buckets, size[:, None])])
        days = WordDays(bins, FIRST + np.arange(start, start + len(size)), rows.astype(np.int64))
        found.append(replace(days.total(), days=days if dated else None))
    return found[0], found[1]

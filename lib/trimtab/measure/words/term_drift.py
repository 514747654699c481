"""Have the words of a text column changed, and could it be chance?

Two things can happen to a vocabulary, and each has its test. Single words come in more documents or in fewer: that is
told from the buckets into which all words fall, so that a word which suddenly is everywhere is found though it was rare
or unknown. Or more documents than expected have a word that the reference never had, a different one each.

Documents are the units of all tests: that words come in clumps within a document raises no alarm. Documents come in
clumps, too, where one is sent again and again, or many on one day are about one thing. Where days are known, it is
allowed for that; where they are not, documents are taken to be independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences
from trimtab.measure.columns.drift import TermShift
from trimtab.measure.words import shares
from trimtab.measure.words.terms import TermProfile
from trimtab.measure.words.word_variation import WordVariation, change, independent, word_variation

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

SMALLEST_SAMPLE = 30    # documents
MOST_MOVED = 10
LEVEL = 0.05    # at which a bucket is worth a look


@dataclass(frozen=True)
class TermDrift:
    """How the words of a text column moved.

    Attributes
    ----------
    psi, psi_by_chance : float
        Population stability index over what documents mention: a share for each top term, and one for all other words.
        And what it would be on average without drift, at these sizes. nan when either side has no tokens.
    change : float
        How far the share of documents moved in the bucket that tells most, as `word_variation.change` has it, 0 or
        more: the farthest of those that moved by more than chance, or the one that chance explains least.
    unseen_expected, unseen : float
        Share of tokens outside the vocabulary: for new documents like those of the reference, and now; in [0, 1].
    novel_expected, novel : float
        Share of documents with at least one such token; in [0, 1].
    words_p : float
        Of the shares of documents with a word in each bucket, corrected for the number of buckets; two-sided.
    novel_p : float
        Of so many novel documents or more.
    p_value : float
        Of the column: its tests combined by Bonferroni. nan, as its parts, where there is nothing to test.
    moved : tuple of TermShift
        The top terms that moved most, the one that moved by the most standard errors first; at most `MOST_MOVED`,
        none when either side has no documents.
    buckets : tuple of int
        Buckets whose share of documents changed by more than chance (at 5 %, corrected), the least likely first:
        `term_counting.bucket_tokens` names their words.
    floor : mapping
        How far stretches of the reference reach against the rest of it, where days are known: PSI beyond chance
        (`words`), change of a share (`word`), share of unseen tokens beyond what is expected (`unseen_words`).
    note : str
        What a reader should know: too few documents, no tokens, a vocabulary that had to be cut.
    """

    psi: float
    psi_by_chance: float
    change: float
    unseen_expected: float
    unseen: float
    novel_expected: float
    novel: float
    words_p: float
    novel_p: float
    p_value: float
    moved: tuple[TermShift, ...]
    buckets: tuple[int, ...]
    floor: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def excess(self) -> float:
        """PSI beyond what chance explains: the size that a threshold is held against. 0 or more, nan without PSI."""
        return max(self.psi - self.psi_by_chance, 0.0) if not math.isnan(self.psi) else math.nan

    def to_frame(self) -> pd.DataFrame:
        """One row per term that moved, with its shares of documents before and now."""
        import pandas as pd

        names = [one.name for one in fields(TermShift)]
        return pd.DataFrame([asdict(shift) for shift in self.moved], columns=names).set_index("term")


def compare_terms(
    reference: TermProfile, current: TermProfile, variation: WordVariation | None = None
) -> TermDrift:
    """Compare the words of two windows.

    Parameters
    ----------
    reference, current : TermProfile
        With the same bins. What is expected of new documents is told by the bins where they were frozen on the
        reference, else by the days of the reference.
    variation : WordVariation, optional
        How words vary from day to day; by default measured on the days of the two.

    Raises
    ------
    ValueError
        When the bins differ.

    Notes
    -----
    With fewer than 30 documents on either side nothing is tested: all p-values are nan, and the note says so.

    Examples
    --------
    >>> from trimtab.measure.words.terms import TermBins
    >>> bins = TermBins(("red",), ("red",), recurring=1, documents=1000, tokens=500)
    >>> none = TermProfile.nothing(bins).buckets
    >>> before = TermProfile(bins, (500,), none, documents=1000, tokens=500, mentions=500)
    >>> after = TermProfile(bins, (100,), none, documents=1000, tokens=100, mentions=100)
    >>> compare_terms(before, after).moved[0].now
    0.1
    """
    if reference.bins != current.bins:
        raise ValueError("profiles with different terms cannot be compared")
    a, b = mentions(reference), mentions(current)
    n, m = reference.documents, current.documents
    known, expected = variation or _variation(reference, current), _Expected.of(reference)
    testable = min(n, m) >= SMALLEST_SAMPLE
    by_bucket = _by_bucket(reference, current, known) if testable else np.full(len(reference.buckets), math.nan)
    words_p, novel_p = _smallest(by_bucket), _novel_p(expected, current, known) if testable else math.nan
    moved = np.argsort(by_bucket)[: int((by_bucket <= LEVEL).sum())]
    return TermDrift(
        psi=divergences.psi(a, b),
        psi_by_chance=divergences.psi_by_chance(a / known.mentions[0], b / known.mentions[1]),
        change=_change(reference, current, by_bucket, moved) if testable else math.nan,
        unseen_expected=_share(expected.new_tokens, expected.tokens),
        unseen=_share(current.unseen_tokens, current.tokens),
        novel_expected=_share(expected.new_documents, expected.documents),
        novel=_share(current.novel_documents, m),
        words_p=words_p, novel_p=novel_p,
        p_value=_combine([words_p, novel_p]),
        moved=_moved(reference, current, known) if n and m else (),
        buckets=tuple(moved.tolist()),
        floor=known.floor,
        note=_note(reference, current),
    )


def _variation(reference: TermProfile, current: TermProfile) -> WordVariation:
    if reference.days is None or current.days is None:
        return independent(len(reference.counts), len(reference.buckets))
    return word_variation(reference.days, current.days)


def _by_bucket(reference: TermProfile, current: TermProfile, known: WordVariation) -> Floats:
    """p-values of the buckets, corrected for their number; nan where it cannot be among the smallest."""
    table = _thinned(reference.buckets, reference.documents, current.buckets, current.documents, known.buckets)
    alone = shares.smallest_p_values(*table)
    found: Floats = np.minimum(known.of_share(alone) * shares.possible(alone, *table), 1.0)
    return found


def _thinned(
    a: npt.ArrayLike, n: int, b: npt.ArrayLike, m: int, by: tuple[Floats, Floats]
) -> tuple[npt.NDArray[np.int64], ...]:
    """Documents with and in all, on either side, as many as are news."""
    before = np.rint(np.asarray(a) / by[0]), np.maximum(np.rint(n / by[0]), 1)
    now = np.rint(np.asarray(b) / by[1]), np.maximum(np.rint(m / by[1]), 1)
    return tuple(one.astype(np.int64) for one in (*before, *now))


def _change(
    reference: TermProfile, current: TermProfile, by_bucket: Floats, moved: npt.NDArray[np.int64]
) -> float:
    """Of the buckets that moved; or of the one that chance explains least."""
    if np.isnan(by_bucket).all():
        return 0.0
    telling = moved if len(moved) else np.array([np.nanargmin(by_bucket)])
    a, b = (np.array(side.buckets)[telling] / side.documents for side in (reference, current))
    return float(np.abs(change(a, b)).max())


def mentions(profile: TermProfile) -> npt.NDArray[np.int64]:
    """Mentions of each top term, and of all other words: what PSI is computed on."""
    return np.array([*profile.counts, profile.mentions - sum(profile.counts)], dtype=np.int64)


@dataclass(frozen=True)
class _Expected:
    """What of the reference would have been new to a vocabulary that does not know it.

    Attributes
    ----------
    documents, tokens : int
        In all.
    new_documents, new_tokens : int
        Those that would have been novel, or unseen.
    near : float
        Documents that nearly would have been: what makes the above uncertain, beside their number.
    """

    documents: int
    tokens: int
    new_documents: int
    new_tokens: int
    near: float

    @classmethod
    def of(cls, reference: TermProfile) -> _Expected:
        """As the bins tell, or of a window that they were not frozen on its days."""
        bins, days = reference.bins, reference.days
        near = bins.least * bins.doubleton_documents
        if reference.frozen_here or days is None or not days.number("documents").any():
            return cls(bins.documents, bins.tokens, bins.singleton_documents, bins.singleton_tokens, near)
        documents, tokens = days.number("documents"), days.number("tokens")
        part = documents[days.within].sum() / max(bins.documents, 1)
        return cls(int(documents.sum()), int(tokens.sum()), int(days.new_documents.sum()), int(days.new_tokens.sum()),
                   near * float(part))


def _novel_p(expected: _Expected, current: TermProfile, known: WordVariation) -> float:
    """p-value of so many novel documents or more.

    How many to expect is itself uncertain: each document of the reference that was novel to the others counts with the
    variance of a share, and each that shares its rarest token with one other adds to that (Esty, 1983, A normal limit
    law for a nonparametric estimator of the coverage of a random sample; there with single tokens for documents). The
    reference counts as so many fewer documents as that makes it more uncertain, and the novel ones follow the
    beta-binomial distribution; one is added to those expected, as in Fisher's exact test. Where days are known, they
    take the place of documents, and that they differ adds to how uncertain both are.
    """
    from scipy import stats

    n, alone = expected.documents, expected.new_documents
    if not n or alone == n:
        return math.nan
    variance = (alone + 1) * (1 - alone / n)
    effective = variance / (variance + expected.near) / known.novel[0]
    shape = (alone * effective + 1, (n - alone) * effective)
    some, m = round(current.novel_documents / known.novel[1]), max(round(current.documents / known.novel[1]), 1)
    # SciPy's sf is 1 minus the other tail, and so nothing but rounding below 1e-11.
    p_value = min(float(stats.betabinom.pmf(np.arange(some, m + 1), m, *shape).sum()), 1.0)
    return float(known.of_share(np.array(p_value)))


def _moved(reference: TermProfile, current: TermProfile, known: WordVariation) -> tuple[TermShift, ...]:
    """The terms whose shares are the most standard errors apart."""
    n, m = reference.documents, current.documents
    a, b = np.array(reference.counts, dtype=np.int64), np.array(current.counts, dtype=np.int64)
    pooled = (a + b + 1) / (n + m + 2)    # neither 0 nor 1
    order = np.argsort(-np.abs(b / m - a / n) / np.sqrt(pooled * (1 - pooled)), kind="stable")[:MOST_MOVED]
    designs = (known.terms[0][order], known.terms[1][order])
    p_values = known.of_share(shares.share_p_values(*_thinned(a[order], n, b[order], m, designs)))
    if min(n, m) < SMALLEST_SAMPLE:
        p_values = np.full(len(order), math.nan)
    return tuple(
        TermShift(reference.bins.terms[place], float(a[place] / n), float(b[place] / m), float(p))
        for place, p in zip(order, p_values, strict=True)
    )


def _smallest(p_values: npt.NDArray[np.float64]) -> float:
    known = p_values[~np.isnan(p_values)]
    return float(known.min()) if len(known) else math.nan


def _combine(p_values: list[float]) -> float:
    """Bonferroni over the tests that could be made; nan when none could."""
    known = [p for p in p_values if not math.isnan(p)]
    return min(1.0, len(known) * min(known)) if known else math.nan


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _note(reference: TermProfile, current: TermProfile) -> str:
    notes = []
    if min(reference.documents, current.documents) < SMALLEST_SAMPLE:
        notes.append(f"too few documents to test (fewer than {SMALLEST_SAMPLE})")
    for profile, words in ((reference, "in the reference"), (current, "now")):
        if not profile.documents:
            notes.append(f"no texts {words}")
        elif not profile.tokens:
            notes.append(f"no words {words}")
    if reference.bins.documents and reference.bins.singleton_documents == reference.bins.documents:
        notes.append("every document of the reference has a word of its own, so that novel ones are no news")
    if reference.bins.least > 1:
        notes.append(f"words in fewer than {reference.bins.least} documents of the reference count as unseen")
    return "; ".join(notes)

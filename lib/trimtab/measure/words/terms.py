"""Which words do the texts of a column use, and in how many texts? Integer counts, from which no text can be told.

A document is a record with a text, though it be empty. Of each document it is counted which of the reference's top
terms it contains, into which buckets its tokens fall, and whether it has a token that the reference never had. One
document is independent of the next, tokens within one are not, so documents are what most counts count.

The top terms were chosen for being frequent in the reference, so in other records they are a little less frequent even
without drift. Buckets are chosen by a hash, so they are what tests rest on. Two hashes put each token into two buckets,
so that a rare word that shares one with a frequent word has the other nearly for itself.

The reference's own documents have no unseen tokens, for the vocabulary was made from them. What to expect of new ones
is found by leaving each out in turn: a document would have been novel to the others if one of its tokens occurs in no
other (Good and Turing's estimate, with documents as the units).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from trimtab.measure.words.word_days import WordDays

TOP_TERMS = 100
MAX_VOCABULARY = 50_000
BUCKETS = 4096    # of each of the two hashes


@dataclass(frozen=True)
class TermBins:
    """What the documents of the reference are made of.

    Attributes
    ----------
    terms : tuple of str
        The top terms by mean TF-IDF weight in the reference, the heaviest first; by default at most `TOP_TERMS`.
    vocabulary : tuple of str
        All tokens of the reference, those in most documents first, ties by their letters. At most `MAX_VOCABULARY`:
        where there are more, all that are in fewer than `least` documents are left out, and count as unseen.
    recurring, firm : int
        So many tokens, the first of the vocabulary, would be in it still without any one document, or any two.
    least : int
        Documents that a token of the vocabulary occurs in, at least; 1 unless there were too many tokens.
    documents, tokens : int
        Of the reference: records with a text, and tokens in all of them.
    singleton_documents, singleton_tokens : int
        Of these, what would have been novel, or unseen, to a vocabulary made from all other documents.
    doubleton_documents : int
        Documents that would not, but with some other document (or day) left out as well: their rarest token is in two.
    frequencies, occurrences : tuple of int
        Of each token of the vocabulary: documents of the reference with it, and how often it occurs in all of them.
    first, last : tuple of int
        Of each token of the vocabulary: the first and the last day on which the reference has it, in days since 1970.
        Empty where days are not known; where they are, days are what is left out in turn, not documents.
    days : tuple of int
        Of each token of the vocabulary: on how many days the reference has it. Empty where days are not known.
    """

    terms: tuple[str, ...]
    vocabulary: tuple[str, ...]
    recurring: int = 0
    firm: int = 0
    least: int = 1
    documents: int = 0
    tokens: int = 0
    singleton_documents: int = 0
    singleton_tokens: int = 0
    doubleton_documents: int = 0
    frequencies: tuple[int, ...] = ()
    occurrences: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    days: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"<TermBins of {len(self.terms)} terms and {len(self.vocabulary):,} tokens>"

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return {one.name: _listed(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> TermBins:
        """Read back what `to_json` wrote."""
        values = {one.name: plain[one.name] for one in fields(cls)}
        frozen: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**frozen)

    @property
    def digest(self) -> str:
        """Identity of the definition: what was counted by equal bins can be added."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()


@dataclass(frozen=True)
class TermProfile:
    """Counts of one text column.

    Attributes
    ----------
    bins : TermBins
        The definition, frozen on the reference.
    counts : tuple of int
        Documents with each top term.
    buckets : tuple of int
        Documents with a token in each bucket: first the `BUCKETS` buckets of one hash, then those of another.
    documents, nulls : int
        Records with a text, and without.
    tokens : int
        Tokens in all documents.
    mentions : int
        Different tokens per document, summed over documents: a word said twice in a document is mentioned once.
    unseen_tokens : int
        Tokens outside the vocabulary.
    novel_documents : int
        Documents with at least one token outside the vocabulary.
    lone_tokens, lone_documents : int
        The same for a vocabulary without the tokens that the reference has in one document alone, or on one day where
        days are known. Of the reference's own documents, what others would have found new.
    days : WordDays, optional
        The same by day, where it is known. Forgotten when profiles are added or written.

    Examples
    --------
    >>> bins = TermBins(("red",), ("red", "lamp"))
    >>> empty = TermProfile.nothing(bins)
    >>> (empty + empty).documents
    0
    """

    bins: TermBins
    counts: tuple[int, ...]
    buckets: tuple[int, ...]
    documents: int = 0
    nulls: int = 0
    tokens: int = 0
    mentions: int = 0
    unseen_tokens: int = 0
    novel_documents: int = 0
    lone_tokens: int = 0
    lone_documents: int = 0
    days: WordDays | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        needed, given = (len(self.bins.terms), 2 * BUCKETS), (len(self.counts), len(self.buckets))
        if needed != given:
            raise ValueError(f"{needed[0]} terms and {needed[1]} buckets, but {given[0]} and {given[1]} counts")

    @classmethod
    def nothing(cls, bins: TermBins) -> TermProfile:
        """The profile of no records at all."""
        return cls(bins, (0,) * len(bins.terms), (0,) * (2 * BUCKETS))

    @property
    def rows(self) -> int:
        """All records."""
        return self.documents + self.nulls

    @property
    def frozen_here(self) -> bool:
        """Whether the bins were frozen on these very records, going by how many texts and words there are."""
        return (self.documents, self.tokens) == (self.bins.documents, self.bins.tokens)

    def __repr__(self) -> str:
        return f"<TermProfile of {self.documents:,} documents, {len(self.counts)} terms>"

    def __add__(self, other: TermProfile) -> TermProfile:
        if self.bins != other.bins:
            raise ValueError("profiles with different terms cannot be added")
        return TermProfile(
            self.bins,
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            tuple(a + b for a, b in zip(self.buckets, other.buckets, strict=True)),
            **{name: getattr(self, name) + getattr(other, name) for name in NUMBERS},
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        return {"bins": self.bins.to_json(), "counts": list(self.counts), "buckets": list(self.buckets), **numbers}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> TermProfile:
        """Read back what `to_json` wrote."""
        numbers = {name: plain[name] for name in NUMBERS}
        return cls(TermBins.from_json(plain["bins"]), tuple(plain["counts"]), tuple(plain["buckets"]), **numbers)


NUMBERS = ("documents", "nulls", "tokens", "mentions", "unseen_tokens", "novel_documents", "lone_tokens",
            "lone_documents")


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def mean_tfidf(documents: npt.ArrayLike, occurrences: npt.ArrayLike, size: int) -> npt.NDArray[np.float64]:
    """Mean TF-IDF weight of terms over all documents: tf / n · (ln((1 + n) / (1 + df)) + 1).

    Parameters
    ----------
    documents, occurrences : array of int, shape (terms,)
        Documents with each term (df), and how often it occurs in all of them (tf).
    size : int
        Documents in all (n), 1 or more.

    Returns
    -------
    array of float, shape (terms,)
        0 or more.

    Notes
    -----
    The weight of a term in a document is tf · idf, as scikit-learn's TfidfVectorizer has it with smoothed idf and
    without a norm: with one, the mean would not follow from counts. Source of the weight: K. Spärck Jones, A
    statistical interpretation of term specificity and its application in retrieval, Journal of Documentation (1972).

    Examples
    --------
    >>> mean_tfidf([10, 1], [10, 1], 10).round(2).tolist()
    [1.0, 0.27]
    """
    df, tf = np.asarray(documents, dtype=np.float64), np.asarray(occurrences, dtype=np.float64)
    weights: npt.NDArray[np.float64] = tf / size * (np.log((1 + size) / (1 + df)) + 1)
    return weights


def freeze_terms(
    tokens: Sequence[str],
    documents: npt.ArrayLike,
    occurrences: npt.ArrayLike,
    size: int,
    *,
    first: Sequence[int] = (),
    last: Sequence[int] = (),
    days: Sequence[int] = (),
    most: int = TOP_TERMS,
) -> TermBins:
    """Freeze terms and vocabulary on what was counted of the reference's tokens.

    Parameters
    ----------
    tokens : sequence of str
        Tokens, those in most documents first, ties by their letters. What is beyond the first `MAX_VOCABULARY` + 1 may
        be missing.
    documents, occurrences : array of int, shape (tokens,)
        Documents with each token, and how often it occurs in all of them.
    size : int
        Documents of the reference.
    first, last : sequence of int, shape (tokens,), optional
        The first and the last day of each, in days since 1970.
    days : sequence of int, shape (tokens,), optional
        On how many days each is.
    most : int
        Top terms, 1 or more.

    Returns
    -------
    TermBins
        Without what is to be expected of new documents, which `term_counting.read_reference` adds.

    Examples
    --------
    >>> bins = freeze_terms(["red", "lamp", "mug"], [3, 2, 1], [3, 2, 1], 4)
    >>> bins.terms, bins.recurring
    (('red', 'lamp', 'mug'), 2)
    """
    df, tf = np.asarray(documents, dtype=np.int64), np.asarray(occurrences, dtype=np.int64)
    least = int(df[MAX_VOCABULARY]) + 1 if len(df) > MAX_VOCABULARY else 1
    kept = int((df >= least).sum())
    heaviest = np.argsort(-mean_tfidf(df[:kept], tf[:kept], max(size, 1)), kind="stable")[:most]
    return TermBins(
        terms=tuple(tokens[index] for index in heaviest),
        vocabulary=tuple(tokens[:kept]),
        recurring=int((df > least).sum()),
        firm=int((df > least + 1).sum()),
        least=least,
        frequencies=tuple(df[:kept].tolist()),
        occurrences=tuple(tf[:kept].tolist()),
        first=tuple(first[:kept]),
        last=tuple(last[:kept]),
        days=tuple(days[:kept]),
    )

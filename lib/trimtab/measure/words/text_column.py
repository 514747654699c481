"""How does a text column stand among the columns of a check, and which words say so?

Three things are looked at, each with its size. All frequent words together: PSI over the top terms. A single word,
however rare it was: how far the share of texts with it moved. And words that the reference never had. They join the
aspects of the other columns, and are corrected with them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from trimtab.measure.columns import divergences
from trimtab.measure.columns.aspects import Aspect
from trimtab.measure.columns.drift import ColumnDrift, TermShift
from trimtab.measure.words.term_counting import bucket_places
from trimtab.measure.words.term_drift import MOST_MOVED, TermDrift, mentions
from trimtab.measure.words.terms import TermBins, TermProfile
from trimtab.measure.words.word_variation import change

Shares = Mapping[tuple[int, str], float]

MOST_BUCKETS = 2 * MOST_MOVED    # a word moves two of them
MOST_TOKENS = 1000    # of these buckets


def text_column(
    name: str, reference: TermProfile, current: TermProfile, moved: TermDrift, terms: Sequence[TermShift] = ()
) -> ColumnDrift:
    """How the words of a text column moved, as one more column of a check.

    Parameters
    ----------
    name : str
        The column.
    reference, current : TermProfile
    moved : TermDrift
        What `compare_terms` gives of the two.
    terms : sequence of TermShift
        The words that tell most; by default the top terms that moved most.

    Returns
    -------
    ColumnDrift
        With the aspects `words`, `word` and `unseen_words`, as far as they could be tested; their `q_value` is left
        nan. PSI and JS are over the top terms and all other words as one; what other columns have beside is nan.
    """
    a, b = mentions(reference), mentions(current)
    shares = [side.nulls / side.rows if side.rows else math.nan for side in (reference, current)]
    nothing = dict.fromkeys(("ks", "ks_p", "chi2", "chi2_p", "wasserstein", "outliers", "outside"), math.nan)
    independent = "" if reference.days is not None and current.days is not None else \
        "texts are taken to be independent of each other, for no days are known"
    return ColumnDrift(
        name=name, kind="text", psi=moved.psi, psi_by_chance=moved.psi_by_chance,
        cells=int(np.count_nonzero(a + b)), js=divergences.jensen_shannon(a, b),
        js_by_chance=divergences.jensen_shannon_by_chance(moved.psi_by_chance), **nothing,
        missing_reference=shares[0], missing_current=shares[1], unseen=moved.unseen,
        aspects=_aspects(moved), note="; ".join(filter(None, (moved.note, independent))),
        terms=tuple(terms) or moved.moved,
    )


def _aspects(moved: TermDrift) -> tuple[Aspect, ...]:
    sizes = {
        "words": (moved.excess, moved.words_p),
        "word": (moved.change, moved.words_p),
        "unseen_words": (max(moved.unseen - moved.unseen_expected, 0.0), moved.novel_p),
    }
    return tuple(
        Aspect(name, size, p_value, moved.floor.get(name, 0.0))
        for name, (size, p_value) in sizes.items() if not (math.isnan(size) or math.isnan(p_value))
    )


def telling_buckets(reference: TermProfile, current: TermProfile, moved: TermDrift) -> tuple[int, ...]:
    """Of the buckets that moved those that moved farthest, the farthest first; at most `MOST_BUCKETS`.

    `term_counting.bucket_tokens` says which words are in them now, and `telling_terms` which of these moved.
    """
    if not moved.buckets:
        return ()
    places = np.array(moved.buckets)
    a, b = (np.array(side.buckets)[places] / side.documents for side in (reference, current))
    order = np.argsort(-np.abs(change(a, b)), kind="stable")[:MOST_BUCKETS]
    return tuple(places[order].tolist())


def found_shares(found: Iterable[Mapping[str, Any]], documents: int) -> Shares:
    """Share of a window's documents with each word, by bucket and word.

    Parameters
    ----------
    found : mappings
        Rows of `term_counting.bucket_tokens` of that window.
    documents : int
        Of the window, 1 or more where it has any words.
    """
    return {(row["bucket"], row["token"]): row["documents"] / documents for row in found}


def frozen_shares(bins: TermBins, buckets: Sequence[int]) -> Shares:
    """The same of the records that the vocabulary was frozen on, for some buckets; nothing is read again for it."""
    wanted = set(buckets)
    return {
        (bucket, token): frequency / bins.documents
        for token, frequency in zip(bins.vocabulary, bins.frequencies, strict=True)
        for bucket in wanted.intersection(bucket_places(token))
    }


def telling_terms(buckets: Sequence[int], before: Shares, now: Shares) -> tuple[TermShift, ...]:
    """Which word moved each bucket: of those that are in it now or were in the reference the one that moved farthest.

    Parameters
    ----------
    buckets : sequence of int
        From `telling_buckets`.
    before, now : mapping
        From `found_shares` or `frozen_shares`.

    Returns
    -------
    tuple of TermShift
        Each word once, the farthest first, at most `MOST_MOVED`; without p-values, for they were picked out for having
        moved.
    """
    wanted = set(buckets)
    keys = sorted(key for key in before.keys() | now.keys() if key[0] in wanted)
    moves = change([before.get(key, 0.0) for key in keys], [now.get(key, 0.0) for key in keys])
    farthest: dict[int, tuple[float, str]] = {}
    for (bucket, token), move in zip(keys, np.abs(moves).tolist(), strict=True):
        farthest[bucket] = max(farthest.get(bucket, (0.0, "")), (move, token))
    words = {token: (move, bucket) for bucket, (move, token) in farthest.items() if token}
    ordered = sorted(words, key=lambda token: (-words[token][0], token))[:MOST_MOVED]
    keyed = [(words[token][1], token) for token in ordered]
    return tuple(TermShift(key[1], before.get(key, 0.0), now.get(key, 0.0), math.nan) for key in keyed)

"""Words that change are found; words that do not are left alone, however they are distributed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from trimtab.measure.words.term_drift import TermDrift, compare_terms
from trimtab.measure.words.terms import BUCKETS, TermBins, TermProfile, freeze_terms

Array = np.ndarray[Any, Any]
Documents = tuple[int, Array, Array]    # how many, and for each token its document and its word


@dataclass
class Source:
    """Documents whose words follow Zipf's law; topics make half of a document's words come from its own topic."""

    rng: np.random.Generator
    words: int
    exponent: float = 1.0
    length: int = 5
    topics: int = 1

    def __post_init__(self) -> None:
        shares = 1 / np.arange(1, self.words + 1) ** self.exponent
        self.cumulative = np.cumsum(shares / shares.sum())
        self.orders = np.stack([self.rng.permutation(self.words) for _ in range(self.topics)])
        self.buckets = self.rng.integers(0, BUCKETS, (2, 2 * self.words)) + np.array([[0], [BUCKETS]])

    def draw(self, documents: int) -> Documents:
        lengths = np.maximum(self.rng.poisson(self.length, documents), 1)
        of = np.repeat(np.arange(documents), lengths)
        word = np.minimum(np.searchsorted(self.cumulative, self.rng.random(len(of))), self.words - 1)
        topic = self.rng.integers(0, self.topics, documents)[of]
        return documents, of, np.where(self.rng.random(len(of)) < 0.5, self.orders[topic, word], word)

    def pairs(self, documents: Documents) -> tuple[Array, Array, Array]:
        _, of, word = documents
        keys, counts = np.unique(of * 2 * self.words + word, return_counts=True)
        return keys // (2 * self.words), keys % (2 * self.words), counts

    def freeze(self, documents: Documents) -> TermBins:
        of, word, _ = self.pairs(documents)
        df, tf = (np.bincount(which, minlength=2 * self.words) for which in (word, documents[2]))
        order = [place for place in np.argsort(-df, kind="stable") if df[place]]
        bins = freeze_terms([str(place) for place in order], df[order], tf[order], documents[0])
        lone, few = np.unique(of[df[word] <= 1]), np.unique(of[df[word] <= 2])
        return replace(
            bins, documents=documents[0], tokens=len(documents[1]), singleton_documents=len(lone),
            singleton_tokens=int((df == 1).sum()), doubleton_documents=len(few) - len(lone),
        )

    def profile(self, documents: Documents, bins: TermBins) -> TermProfile:
        of, word, counts = self.pairs(documents)
        df = np.bincount(word, minlength=2 * self.words)
        known = np.zeros(2 * self.words, dtype=bool)
        known[[int(token) for token in bins.vocabulary]] = True
        cells = np.unique(of * 2 * BUCKETS + self.buckets[:, word]) % (2 * BUCKETS)
        return TermProfile(
            bins, tuple(df[[int(term) for term in bins.terms]].tolist()),
            tuple(np.bincount(cells, minlength=2 * BUCKETS).tolist()), documents=documents[0],
            tokens=len(documents[1]), mentions=len(of), unseen_tokens=int(counts[~known[word]].sum()),
            novel_documents=len(np.unique(of[~known[word]])),
        )


Change = Callable[[Source, Documents], Documents]


def _unchanged(_: Source, documents: Documents) -> Documents:
    return documents


def _drifts(source: Source, before: int, now: int, repetitions: int, change: Change = _unchanged) -> list[TermDrift]:
    found = []
    for _ in range(repetitions):
        old, new = source.draw(before), change(source, source.draw(now))
        bins = source.freeze(old)
        found.append(compare_terms(source.profile(old, bins), source.profile(new, bins)))
    return found


def _new_word(source: Source, documents: Documents) -> Documents:
    """One word that nobody has seen, in 2 % of the documents."""
    size, of, word = documents
    hit = np.flatnonzero(source.rng.random(size) < 0.02)
    return size, np.concatenate([of, hit]), np.concatenate([word, np.full(len(hit), 2 * source.words - 1)])


def _other_words(source: Source, documents: Documents) -> Documents:
    """A tenth of the tokens are words that nobody has seen, some frequent and many rare."""
    size, of, word = documents
    return size, of, np.where(source.rng.random(len(of)) < 0.1, source.words + word, word)


SOURCES = [(1000, 1.2, 3, 1), (20_000, 1.0, 5, 1), (5000, 1.1, 12, 10)]


@pytest.mark.parametrize(("words", "exponent", "length", "topics"), SOURCES)
def test_p_values_are_small_as_seldom_as_they_say(words: int, exponent: float, length: int, topics: int) -> None:
    repetitions = 60
    found = _drifts(Source(np.random.default_rng(words), words, exponent, length, topics), 1000, 300, repetitions)
    for name in ("words_p", "novel_p", "p_value"):
        for alpha in (0.1, 0.02):
            noise = math.sqrt(alpha * (1 - alpha) / repetitions)
            share = np.mean([getattr(drift, name) <= alpha for drift in found])
            assert share <= alpha + 3 * noise, name    # three standard errors of a share of 60


def test_sizes_without_drift_are_what_is_expected_by_chance() -> None:
    found = _drifts(Source(np.random.default_rng(3), 20_000), 2000, 600, 30)
    psi, chance = np.array([drift.psi for drift in found]), np.mean([drift.psi_by_chance for drift in found])
    # Chance is an upper bound where terms are rare, and the choice of the terms adds a little to PSI.
    assert psi.mean() == pytest.approx(chance, rel=0.25)
    assert max(drift.excess for drift in found) < 0.1
    for now, expected in (("novel", "novel_expected"), ("unseen", "unseen_expected")):
        gaps = np.array([getattr(drift, now) - getattr(drift, expected) for drift in found])
        assert abs(gaps.mean()) <= 3 * gaps.std(ddof=1) / math.sqrt(len(gaps)), now    # three standard errors


@pytest.mark.parametrize(("words", "exponent", "length", "topics"), SOURCES)
def test_new_word_in_two_percent_of_the_documents_is_found(
    words: int, exponent: float, length: int, topics: int
) -> None:
    found = _drifts(Source(np.random.default_rng(7), words, exponent, length, topics), 5000, 2000, 5, _new_word)
    assert max(drift.p_value for drift in found) <= 0.01
    assert all(drift.buckets for drift in found)


@pytest.mark.parametrize(("words", "exponent", "length", "topics"), SOURCES)
def test_other_words_in_a_tenth_of_the_tokens_are_found(words: int, exponent: float, length: int, topics: int) -> None:
    found = _drifts(Source(np.random.default_rng(8), words, exponent, length, topics), 5000, 500, 5, _other_words)
    assert max(drift.p_value for drift in found) <= 0.001
    assert min(drift.novel - drift.novel_expected for drift in found) > 0


def _profile(documents: int, having: dict[str, int], **numbers: int) -> TermProfile:
    terms = tuple(having)
    bins = TermBins(terms, terms, len(terms), len(terms), documents=1000, tokens=2000, singleton_documents=20,
                    singleton_tokens=20)
    buckets = np.zeros(2 * BUCKETS, dtype=int)
    buckets[:len(terms)] = list(having.values())
    total = sum(having.values()) + numbers.get("unseen_tokens", 0)
    return TermProfile(bins, tuple(having.values()), tuple(buckets.tolist()), documents, tokens=total, mentions=total,
                       **numbers)


def test_terms_that_moved_most_come_first_with_their_shares() -> None:
    drift = compare_terms(_profile(1000, {"red": 500, "lamp": 500, "mug": 300}),
                          _profile(400, {"red": 50, "lamp": 196, "mug": 180}))
    assert [shift.term for shift in drift.moved] == ["red", "mug", "lamp"]
    assert (drift.moved[0].before, drift.moved[0].now) == (0.5, 0.125)
    assert drift.moved[0].p_value < drift.moved[1].p_value < 0.001 < drift.moved[2].p_value
    assert drift.buckets == (0, 2)
    assert drift.to_frame().loc["red", "now"] == 0.125
    assert drift.p_value == pytest.approx(2 * drift.words_p)


def test_psi_counts_all_other_words_as_one() -> None:
    before, after = _profile(1000, {"red": 500}), _profile(1000, {"red": 500})
    same = compare_terms(replace(before, mentions=1000), replace(after, mentions=1000))
    moved = compare_terms(replace(before, mentions=1000), replace(after, mentions=2000))
    assert (same.psi, same.excess) == (0.0, 0.0)
    assert moved.psi == pytest.approx((0.75 - 0.5) * math.log(0.75 / 0.25), rel=0.01)
    assert moved.excess == moved.psi - moved.psi_by_chance


def test_more_novel_documents_than_expected_are_found_and_fewer_are_no_news() -> None:
    before = _profile(1000, {"red": 500})
    p_values = [
        compare_terms(before, _profile(1000, {"red": 500}, novel_documents=novel, unseen_tokens=novel)).novel_p
        for novel in (0, 20, 40, 80, 400)
    ]
    assert p_values[0] == pytest.approx(1.0, abs=1e-9)
    assert p_values[1] > 0.2 > p_values[2] > 0.001 > p_values[3] > p_values[4] > 0


def test_reference_that_shares_its_rarest_words_in_pairs_is_trusted_less() -> None:
    before, after = _profile(1000, {"red": 500}), _profile(1000, {"red": 500}, novel_documents=40)
    unsure = replace(before.bins, doubleton_documents=100)
    doubtful = compare_terms(replace(before, bins=unsure), replace(after, bins=unsure))
    assert doubtful.novel_p > 2 * compare_terms(before, after).novel_p


@pytest.mark.parametrize(("before", "now"), [(29, 1000), (1000, 29), (0, 0)])
def test_fewer_than_thirty_documents_are_not_tested(before: int, now: int) -> None:
    drift = compare_terms(_profile(before, {"red": before // 2}), _profile(now, {"red": now // 2}))
    assert np.isnan([drift.words_p, drift.novel_p, drift.p_value]).all()
    assert np.isnan([shift.p_value for shift in drift.moved]).all()
    assert drift.buckets == ()
    assert "too few documents to test (fewer than 30)" in drift.note


def test_thirty_documents_are_tested() -> None:
    drift = compare_terms(_profile(30, {"red": 30}), _profile(30, {"red": 0}))
    assert drift.p_value < 1e-10
    assert drift.note == "no words now"


def test_texts_without_a_word_leave_nothing_but_a_note() -> None:
    bins = TermBins((), (), documents=100)
    nothing = replace(TermProfile.nothing(bins), documents=100)
    drift = compare_terms(nothing, nothing)
    assert np.isnan([drift.psi, drift.excess, drift.unseen, drift.unseen_expected]).all()
    assert (drift.words_p, drift.novel, drift.moved) == (1.0, 0.0, ())
    assert drift.novel_p == pytest.approx(1.0, abs=1e-9)
    assert drift.note == "no words in the reference; no words now"
    none = compare_terms(TermProfile.nothing(bins), nothing)
    assert none.note == "too few documents to test (fewer than 30); no texts in the reference; no words now"


def test_novelty_is_not_tested_where_every_reference_document_is_novel() -> None:
    before, after = _profile(1000, {"red": 500}), _profile(1000, {"red": 500}, novel_documents=1000)
    bins = replace(before.bins, singleton_documents=1000)
    drift = compare_terms(replace(before, bins=bins), replace(after, bins=bins))
    assert math.isnan(drift.novel_p)
    assert drift.p_value == drift.words_p
    assert "every document of the reference has a word of its own" in drift.note


def test_cut_vocabulary_is_told() -> None:
    profile = _profile(1000, {"red": 500})
    cut = replace(profile, bins=replace(profile.bins, least=3))
    assert "words in fewer than 3 documents of the reference count as unseen" in compare_terms(cut, cut).note


def test_profiles_with_other_terms_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different terms"):
        compare_terms(_profile(100, {"red": 5}), _profile(100, {"mug": 5}))

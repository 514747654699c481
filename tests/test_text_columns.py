"""Words in a check: what moved is found, named and shown, and what did not is left alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from wordlives import FIRST, WordLife, profiled

import trimtab as tt
from trimtab.decide import columns
from trimtab.errors import DataError
from trimtab.measure.columns.drift import ColumnDrift, adjusted
from trimtab.measure.words.term_counting import bucket_places
from trimtab.measure.words.term_drift import compare_terms
from trimtab.measure.words.terms import TermProfile, freeze_terms
from trimtab.measure.words.text_column import (
    MOST_BUCKETS,
    found_shares,
    frozen_shares,
    telling_buckets,
    telling_terms,
    text_column,
)
from trimtab.measure.words.word_days import WordDays
from trimtab.measure.words.word_variation import FEWEST_DAYS, change, word_variation
from trimtab.run.check import check
from trimtab.settings.drift import DriftSettings

SHARE = 0.05 / 8    # of alpha, as one of eight kinds of evidence has it


def sizes(days: int, texts: int) -> Any:
    return np.full(days, texts)


def a_check(
    life: WordLife, rng: np.random.Generator, before: Any, now: Any, *, shares: Any = None, dated: bool = True
) -> ColumnDrift:
    counted = (before, life.days(rng, before)), (now, life.days(rng, now, shares))
    pair = profiled(life, *counted, dated=dated)
    return adjusted([text_column("t", *pair, compare_terms(*pair))])[0]


def with_share(life: WordLife, word: int, share: float) -> Any:
    shares = life.shares
    shares[word] = share
    return shares


def moved(column: ColumnDrift) -> set[str]:
    return {one.name for one in column.moved(alpha=SHARE)}


# How far days differ


def test_days_that_are_draws_have_no_design_effect_and_those_that_are_not_have_theirs() -> None:
    rng, before, now = np.random.default_rng(0), sizes(60, 100), sizes(30, 100)
    for life, low, high in ((WordLife(1, words=300), 1.0, 1.3), (WordLife(1, words=300, burst=10), 7, 13)):
        pair = profiled(life, (before, life.days(rng, before)), (now, life.days(rng, now)))
        known = word_variation(pair[0].days, pair[1].days)  # type: ignore[arg-type]
        frequent = np.array(pair[0].buckets) > 300
        # A variance of 90 days has a standard error of 15 %, and no bucket has less than the average.
        assert low <= np.median(known.buckets[0][frequent]) <= high
        assert known.freedom == 90 - 1 - 7
        assert low <= known.mentions[0] <= high


def test_word_said_on_one_day_of_the_window_counts_for_little() -> None:
    life, rng, before, now = WordLife(2, words=300), np.random.default_rng(1), sizes(60, 100), sizes(20, 100)
    counts, clump = life.days(rng, before), life.days(rng, now)
    counts[:, -1] = clump[:, -1] = 0
    spread = clump.copy()
    clump[3, -1], spread[:, -1] = 60, 3    # of as many texts: all on one day, or three a day
    drifts = [compare_terms(*profiled(life, (before, counts), (now, y))) for y in (clump, spread)]
    assert drifts[0].words_p > 0.05 > 1e-6 > drifts[1].words_p
    independent = compare_terms(*profiled(life, (before, counts), (now, clump), dated=False))
    assert independent.words_p < 1e-6


def test_rhythm_of_the_week_is_no_news() -> None:
    life, rng = WordLife(3, words=300), np.random.default_rng(2)
    weekend = np.arange(63) % 7 >= 5    # the first of January 2024 was a Monday
    shares = np.where(weekend[:, None], with_share(life, 20, 0.4), with_share(life, 20, 0.0))
    before, now = sizes(42, 100), sizes(21, 100)
    counts = life.days(rng, before, shares[:42]), life.days(rng, now, shares[42:])
    pair = profiled(life, (before, counts[0]), (now, counts[1]))
    known = word_variation(pair[0].days, pair[1].days)  # type: ignore[arg-type]
    place = life.buckets()[0, 20]
    assert known.buckets[0][place] < 2
    assert pair[0].days is not None
    assert FIRST.item().weekday() == 0
    assert compare_terms(*pair).words_p > 0.05


@pytest.mark.parametrize("days", [0, 1, FEWEST_DAYS - 1])
def test_too_few_days_tell_nothing_of_how_days_differ(days: int) -> None:
    life, rng = WordLife(4, words=50), np.random.default_rng(3)
    before, now = sizes(days, 100), sizes(3, 100)
    pair = profiled(life, (before, life.days(rng, before)), (now, life.days(rng, now))) if days else None
    bins = pair[0].bins if pair else freeze_terms([], [], [], 0)
    some = pair[0].days if pair else WordDays.of(bins, {})
    known = word_variation(some, pair[1].days if pair else some)  # type: ignore[arg-type]
    assert (known.floor, known.freedom, known.novel) == ({}, math.inf, (1.0, 1.0))
    assert (known.buckets[0] == 1).all()


def test_days_without_texts_do_not_count() -> None:
    life, rng, now = WordLife(5, words=100), np.random.default_rng(4), sizes(8, 100)
    before = np.where(np.arange(30) % 3 == 0, 0, 100)
    pair = profiled(life, (before, life.days(rng, before)), (now, life.days(rng, now)))
    assert word_variation(pair[0].days, pair[1].days).freedom == 20 + 8 - 2  # type: ignore[arg-type]
    assert not math.isnan(compare_terms(*pair).p_value)


def test_change_of_a_share_has_the_same_chance_whatever_the_share() -> None:
    rng = np.random.default_rng(5)
    spreads = [change(*rng.binomial(1000, share, (2, 4000)) / 1000).std() for share in (0.02, 0.1, 0.5)]
    # Its standard deviation is √(1/n + 1/m); one from 4,000 draws has a standard error of 1.1 %; rare ones vary more.
    assert spreads == pytest.approx([math.sqrt(2 / 1000)] * 3, rel=0.06)
    assert change(0.0, 1.0) == pytest.approx(math.pi)
    assert change([0.3], [0.3]).tolist() == [0.0]


# False alarms, and what is found


@pytest.mark.parametrize(("life", "before", "now"), [
    (WordLife(12, spread=0.5), sizes(30, 100), sizes(7, 100)),
    (WordLife(13, burst=10), sizes(30, 100), sizes(7, 100)),
    (WordLife(14, words=500), sizes(20, 100), sizes(1, 100)),
])
def test_undrifted_words_raise_an_alarm_as_seldom_as_promised(life: WordLife, before: Any, now: Any) -> None:
    rng, repetitions = np.random.default_rng(life.seed), 50
    found = [a_check(life, rng, before, now) for _ in range(repetitions)]
    for name in ("words", "unseen_words"):
        share = np.mean([column[name].p_value <= 0.05 for column in found])
        assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repetitions), name    # three standard errors of a share
    assert sum(bool(moved(column)) for column in found) <= 2    # of 50 with a chance of 1/160 each: p = 0.004 for more


@pytest.mark.parametrize(("days", "texts"), [(10, 100), (30, 167)])
@pytest.mark.parametrize("dated", [True, False])
def test_new_word_in_five_percent_of_a_thousand_texts_is_found(days: int, texts: int, *, dated: bool) -> None:
    life, rng = WordLife(21, words=3000, exponent=1.2), np.random.default_rng(6)
    now, shares = sizes(days, texts), with_share(life, -1, 0.05)
    found = [a_check(life, rng, sizes(2 * days, texts), now, shares=shares, dated=dated) for _ in range(3)]
    assert all("word" in moved(column) for column in found)


@pytest.mark.parametrize("dated", [True, False])
def test_two_frequent_words_that_change_places_are_found(*, dated: bool) -> None:
    life, rng = WordLife(22, words=1000, exponent=1.2, spread=0.05), np.random.default_rng(7)
    shares = life.shares
    shares[[2, 20]] = shares[[20, 2]]
    found = [a_check(life, rng, sizes(30, 100), sizes(10, 100), shares=shares, dated=dated) for _ in range(5)]
    assert all({"words", "word"} <= moved(column) for column in found)
    terms = {one.term: one for one in found[0].terms}
    assert terms["2"].now < 0.1 < 0.2 < terms["2"].before


def test_flood_of_different_new_words_is_found_by_their_share() -> None:
    life, rng = WordLife(23, words=4000, exponent=1.0), np.random.default_rng(8)
    shares, early = life.shares, life.shares
    early[2000:] = 0
    shares[2000:] *= 3
    now, before = sizes(10, 100), sizes(30, 100)
    pair = profiled(life, (before, life.days(rng, before, early)), (now, life.days(rng, now, shares)))
    column = adjusted([text_column("t", *pair, compare_terms(*pair))])[0]
    assert moved(column) == {"unseen_words"}
    assert column.unseen == pytest.approx(shares[2000:].sum() / shares.sum(), rel=0.2)


def test_too_few_texts_say_so_and_never_alarm() -> None:
    life, rng = WordLife(24, words=100), np.random.default_rng(9)
    column = a_check(life, rng, sizes(30, 100), sizes(1, 29), shares=np.zeros(100))
    assert column.aspects == ()
    assert "too few documents to test" in column.note


# Which words these are


def test_words_that_moved_their_buckets_are_named() -> None:
    bins = freeze_terms(["red", "lamp", "old"], [500, 400, 100], [500, 400, 100], 1000)
    bins = type(bins)(**{**vars(bins), "documents": 1000})

    def profile(documents: int, having: dict[str, int]) -> TermProfile:
        buckets = np.zeros_like(TermProfile.nothing(bins).buckets)
        for word, count in having.items():
            buckets[list(bucket_places(word))] += count
        counts = tuple(having.get(term, 0) for term in bins.terms)
        total = sum(having.values())
        return TermProfile(bins, counts, tuple(buckets.tolist()), documents, tokens=total, mentions=total)

    before = profile(1000, {"red": 500, "lamp": 400, "old": 100})
    now = profile(1000, {"red": 500, "lamp": 400, "new": 80})
    found = compare_terms(before, now)
    places = telling_buckets(before, now, found)
    assert set(places) == {*bucket_places("old"), *bucket_places("new")}
    rows = [{"bucket": place, "token": "new", "documents": 80} for place in bucket_places("new")]
    terms = telling_terms(places, frozen_shares(bins, places), found_shares(rows, 1000))
    assert [(one.term, one.before, one.now) for one in terms] == [("old", 0.1, 0.0), ("new", 0.0, 0.08)]
    assert all(math.isnan(one.p_value) for one in terms)
    assert telling_buckets(before, before, compare_terms(before, before)) == ()
    assert telling_terms((), {}, {}) == ()
    assert 2 * len(terms) <= MOST_BUCKETS


def the_tables(new: str, *, rows: int = 2000, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Texts that seldom repeat; of the second table a tenth has a new word."""
    rng = np.random.default_rng(seed)
    words = np.array([f"w{chr(97 + place % 26)}{chr(97 + place // 26)}" for place in range(400)])
    texts = [" ".join(row) for row in words[(rng.pareto(1, (2 * rows, 6)) * 20).astype(int) % 400]]
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(2 * rows) // 100, unit="D")
    table = pd.DataFrame({"at": when, "text": texts, "x": rng.normal(size=2 * rows)})
    after = table[rows:].reset_index(drop=True)
    after.loc[::10, "text"] += f" {new}"
    return table[:rows], after


@pytest.mark.parametrize("time", [None, "at"])
def test_two_tables_tell_which_word_is_new(time: str | None) -> None:
    before, after = the_tables("Mandala")
    result = check(before, after, time=time)
    assert set(result.drifted) == {"text", "text (length)"}
    assert result.drift["text"].terms[0].term == "mandala"
    assert result.drift["text"].terms[0].now == pytest.approx(0.1)
    assert ("independent of each other" in result.drift["text"].note) == (time is None)
    html = tt.tables.words(result.drift, DriftSettings()).to_html()
    assert "mandala" in html
    assert "10.0%" in html
    same = check(before, before.copy(), time=time)
    assert same.drifted == ()


def test_texts_that_repeat_are_read_as_words_when_asked() -> None:
    before, after = the_tables("mandala")
    before["text"], after["text"] = before["text"].str[:2], after["text"].str[:2] + " mandala"
    assert check(before, after).drift["text"].kind == "categorical"
    asked = check(before, after, text=["text"])
    assert asked.drift["text"].kind == "text"
    assert asked.drift["text"].terms[0].term == "mandala"
    for wrong in ("x", "nothing"):
        with pytest.raises(DataError, match=f"text='{wrong}' names no column of texts"):
            check(before, after, text=[wrong])


def test_sentences_name_the_words_that_became_more_and_less_frequent() -> None:
    before, after = the_tables("mandala")
    before.loc[::4, "text"] += " christmas"
    drift = check(before, after).drift
    told = {one.name: one for one in columns.inputs(drift, DriftSettings())}
    assert "more mandala (0.0% of texts, now 10.0%); less christmas (25.0% of texts, now 0.0%)" in \
        told["word_drift"].message
    assert "christmas (25.0% of texts, now 0.0%)" in told["word_shift"].message
    assert "mandala (0.0% of texts, now 10.0%)" in told["unseen_words"].message
    assert all(told[name].significant for name in ("word_drift", "word_shift", "unseen_words"))
    assert told["word_drift"].evidence is not None
    assert told["word_drift"].evidence > 0
    quiet = {one.name: one for one in columns.inputs(check(after, after.copy()).drift, DriftSettings())}
    assert quiet["word_shift"].message == "text uses its words as often as chance and natural variation explain."
    assert not quiet["word_shift"].significant

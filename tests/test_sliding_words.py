"""Words by a vocabulary that was frozen on another window: what is new is told by the reference's own days."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd
import pytest
from test_word_days import FIRST

from trimtab import tally
from trimtab.measure.words.term_drift import compare_terms
from trimtab.measure.words.terms import TermProfile
from trimtab.windows import Window


def growing(days: int, a_day: int = 40, *, per_day: float = 4.0, seed: int = 0) -> pd.DataFrame:
    """Texts of common words, and of some that come up for the first time on their day and for a week: a living language
    that any window finds as new as the one before."""
    rng = np.random.default_rng(seed)
    texts, when = [], []
    for day in range(days):
        for place in range(a_day):
            words = [f"common{chr(97 + w)}" for w in rng.integers(0, 20, 4)]
            if rng.random() < per_day / a_day:
                born, which = max(day - int(rng.integers(0, 7)), 0), int(rng.integers(0, 8))
                words.append(f"fresh{''.join(chr(97 + int(d)) for d in f'{born:03d}')}{chr(97 + which)}")
            texts.append(" ".join(words))
            when.append(pd.Timestamp(FIRST) + pd.Timedelta(days=day + place / a_day))
    at = pd.Series(when).dt.floor("s")
    return pd.DataFrame({"at": at, "text": pd.array(texts, "str"), "x": rng.normal(size=len(texts))})


def halves(table: pd.DataFrame, *bounds: int) -> list[TermProfile]:
    """Profiles of stretches of days by the vocabulary of the first, with their days."""
    backend = ibis.duckdb.connect()
    rows = backend.create_table("records", table)
    windows = [Window("w", FIRST, FIRST, 0, 0, rows.filter(  # type: ignore[arg-type]
        rows["at"] >= ibis.literal(pd.Timestamp(FIRST) + pd.Timedelta(days=a)),
        rows["at"] < ibis.literal(pd.Timestamp(FIRST) + pd.Timedelta(days=b)))) for a, b in pairwise(bounds)]
    first = tally.freeze_word_days(windows[0], "text", "at", backend.to_pyarrow, most=20)
    rest = [tally.count_word_days(one, "text", first.bins, "at", backend.to_pyarrow) for one in windows[1:]]
    return [replace(days.total(), days=days) for days in (first, *rest)]


def test_a_language_that_lives_is_no_news_against_a_window_that_the_vocabulary_was_not_frozen_on() -> None:
    """Six lives (seeds 0 to 5): nearly all words that came up after the first month are new to its vocabulary, and as
    many in the month before as now. At 5 %, more than one of six alarms once in 30 times."""
    alarms = careless = 0
    for seed in range(6):
        base, before, now = halves(growing(70, seed=seed), 0, 30, 60, 70)
        assert base.frozen_here
        assert not before.frozen_here
        found = compare_terms(before, now)
        assert found.novel_expected == pytest.approx(before.novel_documents / before.documents)
        alarms += found.novel_p <= 0.05
        careless += compare_terms(replace(before, days=None), now).novel_p <= 0.05    # by what the first month tells
    assert alarms <= 1
    assert careless >= 5


def test_days_that_the_vocabulary_was_frozen_on_tell_what_is_new_by_words_of_one_day() -> None:
    base, later = halves(growing(40), 0, 30, 40)
    assert base.days is not None
    assert later.days is not None
    both = base.days | later.days
    assert both.within.tolist() == [True] * 30 + [False] * 10
    assert both.new_documents[:30].sum() == base.bins.singleton_documents
    assert both.new_documents[30:].tolist() == later.days.number("novel_documents").tolist()
    assert both.new_tokens[:30].sum() == base.bins.singleton_tokens


def test_more_new_words_than_in_a_window_before_are_found_though_that_had_some() -> None:
    table = growing(70)
    burst = table["at"] >= pd.Timestamp(FIRST) + pd.Timedelta(days=60)
    odd = [f"{text} odd{''.join(chr(97 + int(d)) for d in str(place))}" if place % 3 == 0 else text
           for place, text in enumerate(table.loc[burst, "text"])]
    table.loc[burst, "text"] = pd.array(odd, "str")
    _, before, now = halves(table, 0, 30, 60, 70)
    found = compare_terms(before, now)
    assert found.novel_p < 0.001
    assert found.unseen - found.unseen_expected > found.floor["unseen_words"]

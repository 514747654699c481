"""Words of each day are counted once, the same on every database, and add up to windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import yaml

import trimtab as tt
from trimtab import tally
from trimtab.measure.words import term_counting
from trimtab.measure.words.terms import TermBins, TermProfile
from trimtab.measure.words.tokens import TOKENS, tokenise
from trimtab.measure.words.word_days import WordDays
from trimtab.run import lifecycle, words
from trimtab.run.session import Session
from trimtab.windows import Window

FIRST = date(2024, 1, 1)


def a_table(days: int = 40, a_day: int = 30, *, seed: int = 0, new: str = "", since: int = 0) -> pd.DataFrame:
    """Texts of a few words by Zipf; from a day on, a fifth of them have a new one."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, 201)
    drawn = rng.choice(200, (days * a_day, 4), p=shares / shares.sum())
    texts: list[str | None] = [" ".join(f"W{chr(97 + w % 26)}{chr(97 + w // 26)}" for w in row) for row in drawn]
    for place in range(since * a_day, len(texts), 5):
        texts[place] = f"{texts[place]} {new}"
    texts[::50] = [None] * len(texts[::50])
    when = pd.Timestamp(FIRST) + pd.to_timedelta(np.arange(len(texts)) / a_day, unit="D")
    return pd.DataFrame({"at": when.floor("s"), "text": pd.array(texts, "str"), "x": rng.normal(size=len(texts))})


def counted(table: pd.DataFrame) -> tuple[WordDays, WordDays]:
    """Words of the first half, and of the second by the vocabulary of the first, by day."""
    backend = ibis.duckdb.connect()
    rows = backend.create_table("records", table)
    middle = ibis.literal(table["at"].iloc[len(table) // 2])
    halves = [Window("w", FIRST, FIRST, 0, 0, part)  # type: ignore[arg-type]  # -- bounds do not matter here
              for part in (rows.filter(rows["at"] < middle), rows.filter(rows["at"] >= middle))]
    before = tally.freeze_word_days(halves[0], "text", "at", backend.to_pyarrow, most=20)
    return before, tally.count_word_days(halves[1], "text", before.bins, "at", backend.to_pyarrow)


def test_a_day_is_counted_as_by_a_plain_program() -> None:
    table = a_table()
    before, now = counted(table)
    assert len(before.bins.terms) == 20
    half = table[: len(table) // 2]
    known = {word: day for text, day in zip(half["text"], half["at"].dt.date, strict=True) if isinstance(text, str)
             for word in tokenise(text) for day in [day]}
    on = {word: {day for text, day in zip(half["text"], half["at"].dt.date, strict=True)
                 if isinstance(text, str) and word in tokenise(text)} for word in known}
    bins = before.bins
    assert dict(zip(bins.vocabulary, bins.days, strict=True)) == {word: len(days) for word, days in on.items()}
    epoch = date(1970, 1, 1)
    assert dict(zip(bins.vocabulary, zip(bins.first, bins.last, strict=True), strict=True)) == {
        word: ((min(days) - epoch).days, (max(days) - epoch).days) for word, days in on.items()}
    lone = {word for word, days in on.items() if len(days) == 1}
    for days, part in ((before, half), (now, table[len(table) // 2:])):
        for place, (day, some) in enumerate(part.groupby(part["at"].dt.date)):
            texts = [tokenise(text) for text in some["text"] if isinstance(text, str)]
            assert days.dates[place].item() == day
            assert days.rows[place] == len(some)
            assert days.number("documents")[place] == len(texts)
            assert days.number("novel_documents")[place] == sum(not set(one) <= set(on) for one in texts)
            assert days.number("lone_tokens")[place] == sum(w in lone or w not in on for one in texts for w in one)
            assert days.terms[place].tolist() == [sum(term in one for one in texts) for term in bins.terms]
    assert bins.singleton_documents == before.number("lone_documents").sum() > 0


def test_days_add_up_to_what_is_counted_at_once() -> None:
    before, now = counted(a_table(new="novelty"))
    whole = ibis.duckdb.connect()
    rows = whole.create_table("records", a_table(new="novelty"))
    counts = whole.to_pyarrow(term_counting.term_counts(rows, "text", before.bins))
    assert term_counting.read_terms(before.bins, counts) == before.total() + now.total() == (before | now).total()


def test_days_are_counted_alike_on_postgresql(postgres: str) -> None:
    table = a_table(days=16)
    before, now = counted(table)
    engine = sa.create_engine(postgres)
    table.to_sql("records", engine, index=False)
    engine.dispose()
    opened = ibis.connect(postgres.replace("postgresql+psycopg", "postgresql"))
    rows = opened.table("records")
    later = rows.filter(rows["at"] >= ibis.literal(table["at"].iloc[len(table) // 2]))
    found = tally.count_word_days(
        Window("w", FIRST, FIRST, 0, 0, later), "text", before.bins, "at", opened.to_pyarrow)  # type: ignore[arg-type]
    opened.disconnect()
    assert np.array_equal(found.counts, now.counts)
    assert np.array_equal(found.dates, now.dates)


@pytest.mark.parametrize("texts", [[], [None, None], ["", "?!"]])
def test_days_without_words_are_days_all_the_same(texts: Sequence[str | None]) -> None:
    backend = ibis.duckdb.connect()
    table = pd.DataFrame({"at": pd.to_datetime([FIRST] * len(texts)), "text": pd.array(texts, "str")})
    window = Window("w", FIRST, FIRST, 0, 0, backend.create_table("r", table))  # type: ignore[arg-type]
    days = tally.freeze_word_days(window, "text", "at", backend.to_pyarrow, most=5)
    assert (len(days), days.total().rows) == (min(len(texts), 1), len(texts))
    assert days.total().documents == sum(text is not None for text in texts)


def test_counts_of_other_bins_are_refused() -> None:
    bins = TermBins(("red",), ("red",))
    days = WordDays.of(bins, {FIRST: TermProfile.nothing(bins)})
    with pytest.raises(ValueError, match="cells"):
        WordDays(bins, days.dates, days.counts[:, 1:])
    assert bins.digest != TermBins(("mug",), ("mug",)).digest
    assert TermBins.from_json(bins.to_json()) == bins


# In a check


def opened(home: Path, table: pd.DataFrame, model: str = "texts") -> Session:
    """A session with a fixed reference, so that no champion is needed."""
    as_of = "2024-02-10"
    table.to_parquet(home / "records.parquet")
    tree: dict[str, Any] = {
        "model": model, "task": "regression", "as_of": as_of,
        "data": {"table": "records.parquet", "time": "at", "label": "x", "text": ["text"]},
        "windows": {"reference": {"from": "2024-01-01", "to": "2024-01-25"}, "current": {"last": "10d"}},
        "estimator": {"class": "sklearn.linear_model.LinearRegression"},
    }
    (home / "params.yaml").write_text(yaml.safe_dump(tree))
    return tt.open(home / "params.yaml", as_of=as_of)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each count of days read."""
    read: list[int] = []
    for name in ("count_word_days", "freeze_word_days"):
        original = getattr(tally, name)

        def count(window: Window, *rest: Any, _original: Any = original, **named: Any) -> WordDays:
            read.append(window.rows)
            found: WordDays = _original(window, *rest, **named)
            return found

        monkeypatch.setattr(tally, name, count)
    return read


def test_each_day_is_counted_once_and_again_when_records_came_late(home: Path, counting: list[int]) -> None:
    table = a_table()
    session = opened(home, table)
    first = tt.checking.words(session, session.windows()[1])
    assert counting == [24 * 30, 10 * 30]
    session = opened(home, table)
    assert repr(tt.checking.words(session, session.windows()[1])) == repr(first)
    assert counting == [24 * 30, 10 * 30]
    late = pd.concat([table, table[table["at"].dt.date == FIRST + timedelta(days=33)][:3]]).sort_values("at")
    session = opened(home, late)
    again = tt.checking.words(session, session.windows()[1])
    assert counting == [24 * 30, 10 * 30, 33]
    assert again[0].psi != first[0].psi
    anew = opened(home, late, "another")
    assert repr(again) == repr(tt.checking.words(anew, anew.windows()[1]))


def test_another_number_of_terms_is_another_vocabulary(home: Path, counting: list[int]) -> None:
    session = opened(home, a_table())
    tt.checking.words(session, session.windows()[1])
    other = tt.open(home / "params.yaml", as_of="2024-02-10", overrides={"drift.terms": 5})
    assert tt.checking.words(other, other.windows()[1])[0].cells == 6    # and all other words
    assert counting == [24 * 30, 10 * 30] * 2


def test_what_was_counted_by_another_definition_of_a_word_is_counted_anew(
    home: Path, counting: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(home, a_table())
    monkeypatch.setattr(words, "TOKENS", TOKENS - 1)
    tt.checking.words(session, session.windows()[1])
    monkeypatch.setattr(words, "TOKENS", TOKENS)
    for _ in range(2):
        later = tt.open(home / "params.yaml", as_of="2024-02-10")
        tt.checking.words(later, later.windows()[1])
    assert counting == [24 * 30, 10 * 30] * 2


def test_a_check_without_text_columns_asks_for_nothing(home: Path, counting: list[int]) -> None:
    session = opened(home, a_table())
    plain = tt.open(home / "params.yaml", as_of="2024-02-10", overrides={"data.text": [], "data.categorical": ["text"]})
    assert tt.checking.words(plain, session.windows()[1]) == ()
    assert counting == []


def slid(home: Path, table: pd.DataFrame, as_of: str) -> Session:
    """A session with a reference that slides, and with a champion that was made on 1 February."""
    opened(home, table)
    tree = yaml.safe_load((home / "params.yaml").read_text())
    tree["windows"] = {"reference": {"last": "30d", "until": "10d"}, "current": {"last": "10d"}}
    tree["data"]["numeric"] = ["y"]
    tree["estimator"] = {"class": "sklearn.linear_model.LinearRegression"}
    (home / "params.yaml").write_text(yaml.safe_dump(tree))
    first = tt.open(home / "params.yaml", as_of="2024-02-01", run_id="first")
    if first.serving is None:
        contest = lifecycle.first_champion(first)
        lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    return tt.open(home / "params.yaml", as_of=as_of, run_id=f"at-{as_of}")


def test_words_of_a_sliding_reference_are_those_of_the_champion_so_each_day_is_counted_once(
    home: Path, counting: list[int]
) -> None:
    table = a_table(80)
    table["y"] = table["x"] + 1
    for as_of in ("2024-03-15", "2024-03-16"):
        session = slid(home, table, as_of)
        found = tt.checking.words(session, session.windows()[1])
        tt.checking.since_last(session, session.windows()[1])
    assert not any(column.moved() for column in found)
    assert counting[0] > 500    # the champion's own window
    assert counting[-1] == 30    # of the next day only that day
    assert sum(counting) <= len(table) + counting[0]


def test_words_that_came_lately_are_found_against_the_window_before_and_older_ones_are_not(home: Path) -> None:
    """One word comes up 35 days before the end, for good, and another in the last ten days."""
    table = a_table(80, new="lately", since=70)
    old = np.arange(len(table)) >= 45 * 30
    chosen = old & (np.arange(len(table)) % 5 == 1) & table["text"].notna()
    table.loc[chosen, "text"] = table.loc[chosen, "text"] + " longago"
    table["y"] = table["x"] + 1
    session = slid(home, table, "2024-03-21")
    current = session.windows()[1]
    lately = tt.checking.since_last(session, current)
    assert lately is not None
    told = {term.term for term in lately["text"].terms if abs(term.now - term.before) > 0.1}
    assert told == {"lately"}
    assert "text" in [column.name for column in lately.drifted()]
    before = next(term for term in lately["text"].terms if term.term == "lately")
    assert (before.before, round(before.now, 1)) == (0.0, 0.2)

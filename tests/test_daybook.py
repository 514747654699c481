"""Days are counted once: what is kept is used again, and counted anew only where records came late."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.act import database
from trimtab.act.daybook import DayBook
from trimtab.measure.columns.bins import freeze_categorical
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.records import Records
from trimtab.run.session import Session

BINS = {"x": freeze_categorical(["a", "b"])}
FIRST = date(2024, 1, 1)


def some(*counts: int, first: int = 0) -> Days:
    def day(n: int) -> Profile:
        return Profile({"x": ColumnProfile(BINS["x"], (n, 0))}, n)

    return Days.of(BINS, {FIRST + timedelta(days=first + i): day(n) for i, n in enumerate(counts)})


@pytest.fixture
def book(tmp_path: Path) -> DayBook:
    return DayBook(database.connect(f"sqlite:///{tmp_path}/ledger.db"), "m", None)


def test_days_come_back_as_they_were_kept(book: DayBook) -> None:
    book.keep("key", some(3, 1, 4))
    found = book.counted("key", BINS, FIRST, FIRST + timedelta(days=1))
    assert found.dates.tolist() == [FIRST, FIRST + timedelta(days=1)]
    assert np.array_equal(found.counts, some(3, 1).counts)
    assert len(book.counted("other", BINS, FIRST, FIRST + timedelta(days=9))) == 0
    assert len(DayBook(book.engine, "m", "tenant").counted("key", BINS, FIRST, FIRST + timedelta(days=9))) == 0


def test_a_day_that_is_kept_again_takes_the_place_of_what_was_kept(book: DayBook) -> None:
    book.keep("key", some(3, 1))
    book.keep("key", some(5, first=1))
    assert book.counted("key", BINS, FIRST, FIRST + timedelta(days=1)).rows.tolist() == [3, 5]
    book.keep("key", some())
    assert book.counted("key", BINS, FIRST, FIRST + timedelta(days=1)).rows.tolist() == [3, 5]


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each count of days read."""
    read: list[int] = []
    original = Records.days

    def days(self: Records, window: Any, *rest: Any) -> Days:
        read.append(window.rows)
        return original(self, window, *rest)

    monkeypatch.setattr(Records, "days", days)
    return read


def opened(home: Path, table: pd.DataFrame | None = None, as_of: str = "2024-04-01") -> Session:
    """A session with a fixed reference, so that no champion is needed."""
    if table is not None:
        table.to_parquet(home / "records.parquet")
    window = {"reference": {"from": "2024-01-01", "to": "2024-03-01"}, "current": {"last": "20d"}}
    (home / "params.yaml").write_text(yaml.safe_dump(merged(BINARY, windows=window)))
    return tt.open(home / "params.yaml", as_of=as_of)


def profile_both(session: Session) -> Profile:
    reference, current = session.windows()
    session.profile(reference)
    return session.profile(current)


def test_a_window_that_slides_counts_its_new_days_only(home: Path, counting: list[int]) -> None:
    first = profile_both(opened(home, binary_table()))
    counting.clear()
    later = profile_both(opened(home, as_of="2024-04-03"))
    frame = binary_table()
    new = frame[(frame["at"] >= "2024-04-01") & (frame["at"] < "2024-04-03")]
    assert counting == [len(new)]
    counting.clear()
    assert profile_both(opened(home)).columns == first.columns
    assert counting == []
    session = opened(home, as_of="2024-04-03")
    _, current = session.windows()
    assert session.records.profile(current, session.watched, later.bins).columns == later.columns


def test_a_day_with_late_records_is_counted_again(home: Path, counting: list[int]) -> None:
    table = binary_table()
    before = profile_both(opened(home, table))
    late = table[table["at"].dt.date == date(2024, 3, 20)].head(3).assign(id=lambda rows: rows["id"] + 10_000)
    counting.clear()
    after = profile_both(opened(home, pd.concat([table, late])))
    assert counting == [int((table["at"].dt.date == date(2024, 3, 20)).sum()) + 3]
    assert after.rows == before.rows + 3


def test_the_ends_of_a_window_that_cut_a_day_are_counted_but_not_kept(home: Path, counting: list[int]) -> None:
    session = opened(home, binary_table(), as_of="2024-04-01T15:30:00")
    profile = profile_both(session)
    assert profile.rows == session.windows()[1].rows
    assert profile.days is not None
    assert profile.days.dates.tolist()[0] == date(2024, 3, 13)    # the twelfth begins at half past three
    assert profile.days.dates.tolist()[-1] == date(2024, 3, 31)
    counting.clear()
    profile_both(opened(home, as_of="2024-04-01T15:30:00"))
    frame = binary_table()
    ends = frame["at"].between("2024-03-12 15:30", "2024-03-12 23:59:59") | frame["at"].between(
        "2024-04-01", "2024-04-01 15:29:59")
    assert counting == [int(ends.sum())]


def test_what_was_counted_elsewhere_is_not_used(home: Path, counting: list[int]) -> None:
    profile_both(opened(home, binary_table()))
    binary_table().to_parquet(home / "other.parquet")
    counting.clear()
    text = (home / "params.yaml").read_text().replace("records.parquet", "other.parquet")
    (home / "params.yaml").write_text(text)
    profile_both(tt.open(home / "params.yaml", as_of="2024-04-01"))
    assert len(counting) == 2    # reference and current window, both anew


def test_a_window_of_hours_is_counted_as_it_is(home: Path) -> None:
    session = opened(home, binary_table())
    session.profile(session.reference_window())
    some_hours = session.records.between("current", datetime(2024, 3, 30, 6), datetime(2024, 3, 30, 18))
    profile = session.profile(some_hours)
    assert profile.rows == some_hours.rows > 0
    assert profile.days is not None
    assert len(profile.days) == 0

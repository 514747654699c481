"""Days are counted once: what is kept is used again, and counted anew only where records came late."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, merged, without_number

import trimtab as tt
from trimtab.act import database
from trimtab.act.daybook import DayBook
from trimtab.measure.columns.bins import freeze_categorical
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.models.confusion import Confusion
from trimtab.measure.models.intervals import Interval
from trimtab.measure.over_time.snapshots import Snapshot
from trimtab.measure.unlabelled.track_record import Foretold
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


def day(rows: int, metric: float = 0.7, first: int = 0) -> Snapshot:
    groups = {"class yes": {"recall": metric, "precision": math.nan}, "site = a": {"labelled": 2.0}}
    return Snapshot(FIRST + timedelta(days=first), rows, rows, {"accuracy": metric}, {"interval_width": 1.5}, groups,
                    Confusion(("no", "yes"), ((rows, 1), (0, 2))))


def test_snapshots_come_back_as_they_were_kept(book: DayBook) -> None:
    taken = [day(5), Snapshot(FIRST + timedelta(days=1), 3, 0, {}, {"interval_width": 2.0, "narrow_share": 0.5})]
    book.keep_snapshots(1, taken)
    back = book.snapshots(1)
    assert math.isnan(back[0].groups["class yes"].pop("precision"))
    assert math.isnan(taken[0].groups["class yes"].pop("precision"))
    assert back == taken
    assert book.snapshots(2) == []


def test_what_a_check_said_of_a_day_stays_when_the_day_is_taken_again(book: DayBook) -> None:
    book.keep_snapshots(1, [day(5), day(6, first=1)])
    told = book.mark_snapshot(
        1, FIRST, FIRST + timedelta(days=9), p_value=0.01, performance_delta=-0.2, is_degraded=True)
    assert told == FIRST + timedelta(days=1)
    book.keep_snapshots(1, [day(7, first=1), day(8, first=2)])
    with book.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT rows, p_value, performance_delta, is_degraded FROM performance_snapshots ORDER BY day").all()
    assert [tuple(row) for row in rows] == [(5, None, None, None), (7, 0.01, -0.2, 1), (8, None, None, None)]


def test_a_window_without_snapshots_has_no_day_to_say_it_of(book: DayBook) -> None:
    book.keep_snapshots(1, [day(5)])
    later = FIRST + timedelta(days=1)
    assert book.mark_snapshot(1, later, later, p_value=math.nan, performance_delta=math.nan, is_degraded=False) is None


def test_a_ledger_from_before_is_given_the_columns_that_it_lacks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    old = database.connect(url)
    with old.begin() as connection:
        for name in ("interval_width", "is_degraded", "confusion"):
            connection.exec_driver_sql(f"ALTER TABLE performance_snapshots DROP COLUMN {name}")
        without_number(connection)
    old.dispose()
    book = DayBook(database.connect(url), "m", None)
    book.keep_snapshots(1, [day(5)])
    assert book.snapshots(1) == [day(5)]


def test_days_that_were_scored_before_confusions_were_kept_are_read_without(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    old = database.connect(url)
    DayBook(old, "m", None).keep_snapshots(1, [day(5)])
    with old.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE performance_snapshots DROP COLUMN confusion")
        without_number(connection)
    old.dispose()
    (found,) = DayBook(database.connect(url), "m", None).snapshots(1)
    assert found.confusion is None
    assert (found.rows, found.metrics) == (5, {"accuracy": 0.7})


def test_a_ledger_on_postgresql_keeps_days_too_and_is_given_what_it_lacks(postgres: str) -> None:
    old = database.connect(postgres)
    with old.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE performance_snapshots DROP COLUMN coverage, DROP COLUMN is_degraded, "
                                   "DROP COLUMN confusion")
        without_number(connection)
    old.dispose()
    book = DayBook(database.connect(postgres), "m", None)
    book.keep_snapshots(1, [day(5)])
    book.keep_snapshots(1, [day(6)])
    assert book.mark_snapshot(1, FIRST, FIRST, p_value=0.5, performance_delta=math.nan, is_degraded=False) == FIRST
    assert book.snapshots(1) == [day(6)]
    came = Interval(0.7, 0.6, 0.8, 0.95, 0.05)
    one = Foretold("f1", datetime(2024, 1, 1), datetime(2024, 1, 8), 0.7, math.inf, 0.8, 0.7, came, 9, 9)
    book.keep_foretold(1, datetime(2024, 1, 9), [one])
    book.keep_foretold(1, datetime(2024, 1, 9), [replace(one, low=0.6, realised=None)])
    assert book.foretold(1, datetime(2024, 1, 9)) == [replace(one, low=0.6, realised=None)]
    book.close()


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

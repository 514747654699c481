"""Counts by day: their sum is the window, on any backend, and what is kept comes back as it was."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from trimtab.measure.columns.bins import freeze_categorical
from trimtab.measure.columns.days import Days, cells, flatten, pack, unflatten, unpack
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.watched import Watched
from trimtab.tally import count_days, count_profile, freeze
from trimtab.windows import Window

RNG = np.random.default_rng
START = datetime(2024, 3, 1)
WATCHED = Watched(("x", "whole", "empty"), ("level", "flag"), ("words",))
LEVELS = {"x": freeze_categorical(["a", "b"])}


def table(seed: int = 0, rows: int = 900) -> pd.DataFrame:
    """Ten days, of which one has no records and one has nothing but nulls in x."""
    rng = RNG(seed)
    day = rng.choice([0, 1, 2, 3, 5, 6, 7, 8, 9], rows)
    x = rng.lognormal(size=rows)
    x[rng.random(rows) < 0.1] = np.nan
    seconds = rng.integers(0, 86400, rows)
    return pd.DataFrame({
        "at": [START + timedelta(days=int(d), seconds=int(s)) for d, s in zip(day, seconds, strict=True)],
        "x": pd.Series(x).where(day != 7, None),
        "whole": rng.integers(0, 5, rows),
        "empty": np.full(rows, np.nan),
        "level": rng.choice(["a", "b", None], rows),
        "flag": rng.random(rows) < 0.3,
        "words": rng.choice(["short", "a longer one", ""], rows),
    })


def window(frame: pd.DataFrame) -> Window:
    last = START + timedelta(days=10)
    return Window("all", START, last, len(frame), 0, ibis.memtable(frame))


@pytest.fixture(scope="module")
def backend() -> Any:
    return ibis.duckdb.connect()


@pytest.fixture(scope="module")
def counted(backend: Any) -> tuple[pd.DataFrame, Days]:
    frame = table()
    bins = freeze(backend, window(frame), WATCHED)
    return frame, count_days(backend, window(table(1)), WATCHED, bins, "at")


def test_the_sum_of_the_days_is_the_profile_of_the_window(backend: Any, counted: tuple[pd.DataFrame, Days]) -> None:
    _, days = counted
    whole = count_profile(backend, window(table(1)), WATCHED, days.bins)
    assert days.total().columns == whole.columns
    assert days.total().rows == whole.rows == 900


def test_each_day_is_what_that_day_alone_would_count(backend: Any, counted: tuple[pd.DataFrame, Days]) -> None:
    _, days = counted
    frame = table(1)
    assert days.dates.tolist() == sorted(set(frame["at"].dt.date))    # the day without records is none
    for place, day in enumerate(days.dates.tolist()):
        alone = count_profile(backend, window(frame[frame["at"].dt.date == day]), WATCHED, days.bins)
        assert unflatten(days.counts[place], days.bins).columns == alone.columns
    assert days.rows.sum() == 900


def test_plain_comparisons_count_days_as_duckdb_does(
    backend: Any, counted: tuple[pd.DataFrame, Days], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, days = counted
    monkeypatch.setattr("trimtab.tally._native", lambda _: False)
    plainly = count_days(backend, window(table(1)), WATCHED, days.bins, "at")
    assert list(plainly.bins) == list(days.bins)
    assert np.array_equal(plainly.counts, days.counts)


def test_a_column_is_found_in_the_row_of_a_day(counted: tuple[pd.DataFrame, Days]) -> None:
    _, days = counted
    for name in days.bins:
        counts, beside = days.column(name)
        whole = days.total().columns[name]
        assert counts.sum(axis=0).tolist() == list(whole.counts)
        for key, column in beside.items():
            assert column.sum() == getattr(whole, key)
    with pytest.raises(KeyError, match="other"):
        days.column("other")


def test_what_is_kept_comes_back_equal(counted: tuple[pd.DataFrame, Days]) -> None:
    _, days = counted
    for row in days.counts:
        assert np.array_equal(unpack(pack(row)), row)
        assert np.array_equal(flatten(unflatten(row, days.bins)), row)
    with pytest.raises(ValueError, match="damaged"):
        unpack(pack(days.counts[0])[:-3])


def some(*dates: int, n: int = 1) -> Days:
    one = Profile({"x": ColumnProfile(LEVELS["x"], (n, 0), unseen=n)}, rows=2 * n)
    return Days.of(LEVELS, {date(2024, 1, day): one for day in dates})


def test_days_are_put_together_in_order_and_the_later_count_wins() -> None:
    both = some(5, 2) | some(3, 5, n=7)
    assert [day.day for day in both.dates.tolist()] == [2, 3, 5]
    assert both.rows.tolist() == [2, 14, 14]
    assert both.only([date(2024, 1, 3), date(2024, 1, 4)]).rows.tolist() == [14]
    assert both.matching({date(2024, 1, 2): 2, date(2024, 1, 3): 13}).dates.tolist() == [date(2024, 1, 2)]


def test_no_days_are_a_profile_of_nothing() -> None:
    nothing = Days.of(LEVELS, {})
    assert len(nothing) == 0
    assert nothing.total().rows == 0
    assert (nothing | some(1)).rows.tolist() == [2]


def test_days_that_do_not_fit_their_bins_or_come_twice_are_refused() -> None:
    with pytest.raises(ValueError, match=f"1 days of {cells(LEVELS)} cells"):
        Days(LEVELS, np.array(["2024-01-01"], dtype="datetime64[D]"), np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(ValueError, match="each once"):
        Days(LEVELS, np.array(["2024-01-01"] * 2, dtype="datetime64[D]"), np.zeros((2, cells(LEVELS)), dtype=np.int64))


def test_parts_of_the_time_are_watched_like_categories(backend: Any) -> None:
    frame = table()
    watched = Watched((), (), (), ("hour", "weekday", "month"), "at")
    bins = freeze(backend, window(frame), watched)
    assert list(bins) == ["hour of at", "weekday of at", "month of at"]
    whole = count_profile(backend, window(frame), watched, bins)
    days = whole.columns["weekday of at"]
    expected = frame["at"].dt.day_name().value_counts()
    assert dict(zip(days.bins.levels, days.counts, strict=True)) == expected.to_dict()    # type: ignore[union-attr]
    hours, expected = whole.columns["hour of at"], frame["at"].dt.hour.astype(str).value_counts()
    assert dict(zip(hours.bins.levels, hours.counts, strict=True)) == expected.to_dict()    # type: ignore[union-attr]
    assert whole.columns["month of at"].bins.levels == ("March",)    # type: ignore[union-attr]
    assert count_days(backend, window(frame), watched, bins, "at").total().columns == whole.columns

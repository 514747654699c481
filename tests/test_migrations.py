"""A ledger of any age gets the newest schema and keeps what it holds; a newer one is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from conftest import without_number

from trimtab.act import database, migrations, tables
from trimtab.act.ledger import Ledger
from trimtab.errors import StateError

NOW = datetime(2024, 1, 1)


def _config(**attributes: Any) -> Config:
    config = Config(attributes=attributes)
    config.set_main_option("script_location", str(migrations.STEPS))
    return config


def _differences(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrations.VERSIONS})
        found = compare_metadata(context, tables.metadata)
    lengths = engine.dialect.name == "sqlite"    # which holds no text to its length
    return [one for one in found if not (lengths and isinstance(one, list) and one[0][0] == "modify_type")]


def _value(column: sa.ColumnElement[Any], kind: Any) -> Any:
    """Some value that a column takes."""
    plain: dict[type, Any] = {
        sa.String: "text", sa.Text: "longer text", sa.Integer: 7, sa.BigInteger: 8, sa.Float: 0.5, sa.Boolean: True,
        sa.DateTime: NOW, sa.JSON: {"a": [1, None]},
    }
    return plain[next(base for base in type(kind).__mro__ if base in plain)]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = sa.create_engine(url)
    yield made
    made.dispose()


@pytest.fixture
def first(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    """A ledger with the first schema, a row in each table; returns the rows."""
    with engine.begin() as connection:
        command.upgrade(_config(connection=connection), "0001")
        known = sa.MetaData()
        known.reflect(connection)
        for table in known.sorted_tables:
            if table.name != migrations.VERSIONS:
                row = {c.name: _value(c, c.type) for c in table.columns if c.name != "drift_type"}
                connection.execute(table.insert(), row)
    return _rows(engine)


def _rows(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    known = sa.MetaData()
    known.reflect(engine)
    with engine.connect() as connection:
        return {table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
                for table in known.sorted_tables if table.name != migrations.VERSIONS}


def test_first_ledger_is_brought_forward_and_holds_what_it_held(
    engine: sa.Engine, first: dict[str, list[dict[str, Any]]]
) -> None:
    assert _differences(engine), "it is an old one"
    migrations.bring_up(engine)
    assert _differences(engine) == []
    after = _rows(engine)
    assert len(first) == 9
    for name, rows in first.items():
        assert [{key: row[key] for key in rows[0]} for row in after[name]] == rows
        assert all(value is None for row in after[name] for key, value in row.items() if key not in rows[0])
    with engine.connect() as connection:
        assert migrations.version(connection) == migrations.NEWEST
    assert Ledger(engine, "text", "text").versions()[0]["version"] == 7


def test_ledger_from_before_schemas_had_numbers_is_brought_forward(
    engine: sa.Engine, first: dict[str, list[dict[str, Any]]]
) -> None:
    """It got tables and columns as they came: here some of the second schema's, and one of them without a column."""
    with engine.begin() as connection:
        without_number(connection)
        connection.execute(sa.text("ALTER TABLE runs ADD COLUMN params TEXT"))
        tables.metadata.create_all(connection, tables=[tables.approvals, tables.outbox])
        connection.execute(sa.text("ALTER TABLE approvals DROP COLUMN used_by"))
    migrations.bring_up(engine)
    assert {row["run_id"] for row in _rows(engine)["runs"]} == {first["runs"][0]["run_id"]}
    assert {column["name"] for column in sa.inspect(engine).get_columns("approvals")} >= {"used_by", "why"}
    assert [one for one in _differences(engine) if "params" not in str(one)] == []    # which is text here, on purpose


def test_new_ledger_is_what_all_steps_one_after_the_other_would_make(engine: sa.Engine) -> None:
    migrations.bring_up(engine)
    assert _differences(engine) == []
    with engine.connect() as connection:
        assert migrations.version(connection) == migrations.NEWEST


def test_newest_schema_is_the_last_of_the_steps() -> None:
    assert ScriptDirectory.from_config(_config()).get_current_head() == migrations.NEWEST


def test_ledger_of_a_newer_trimtab_is_refused_and_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    engine = database.connect(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {migrations.VERSIONS} SET version_num = '9999'"))
    engine.dispose()
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(StateError, match=r"a newer Trimtab \(schema 9999; this one knows"):
        database.connect(url)
    assert (tmp_path / "ledger.db").read_bytes() == before


def test_step_that_breaks_leaves_the_ledger_as_it_was(
    engine: sa.Engine, first: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[sa.Connection], None] = migrations._forward

    def _breaks(connection: sa.Connection) -> None:
        real(connection)
        raise StateError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "_forward", _breaks)
        with pytest.raises(StateError, match="the power is gone"):
            migrations.bring_up(engine)
    assert _rows(engine) == first
    migrations.bring_up(engine)
    assert _differences(engine) == []


@pytest.mark.parametrize("old", [True, False])
def test_of_several_that_open_a_ledger_at_once_one_brings_it_forward(
    engine: sa.Engine, old: bool, request: pytest.FixtureRequest
) -> None:
    if old:
        request.getfixturevalue("first")
    url = engine.url.render_as_string(hide_password=False)
    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(database.connect, [url] * 4):
            opened.dispose()
    assert _differences(engine) == []
    assert len(_rows(engine)["runs"]) == int(old)


def test_new_file_that_another_process_is_writing_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")    # SQLite refuses a write-ahead log now, without waiting
    done = Timer(0.3, other.execute, ["COMMIT"])
    done.start()
    database.connect(f"sqlite:///{file}").dispose()
    done.join()
    other.close()
    assert _differences(sa.create_engine(f"sqlite:///{file}")) == []


def test_new_file_that_stays_held_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.1)
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match=r"store\.ledger: cannot be opened: database is locked"):
            database.connect(f"sqlite:///{file}")

"""What the registry has of each version: where serving code finds it, or a finding."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import copy_home
from faults.places import Home, serves

import trimtab as tt
from trimtab.run import whereabouts
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.run.verifying import verify

DELETED = ("DELETE FROM model_versions", "UPDATE model_versions SET current_stage = 'Deleted_Internal'")
POINT = "UPDATE model_versions SET {} = '{}'"


@pytest.fixture
def served(served_home: Path, home: Path) -> Path:
    """The params file of a home in which a first model serves."""
    copy_home(served_home, home)
    return home / "demo.yaml"


def _registry(params: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(params.parent / ".trimtab" / "mlflow.db")) as registry, registry:
        assert registry.execute(statement, values).rowcount


def _found(params: Path) -> list[tuple[str, str]]:
    return [(one.kind, one.place) for one in verify(params).findings]


@pytest.mark.parametrize("column", ["storage_location", "source"])
@pytest.mark.parametrize("place", [
    "/nonexistent/model", "s3://evil/model", "http://evil/x", "models:/other/1", "relative/model", "file:model",
    "file:///evil%20x", "/evil\0x", "/x/.trimtab/another",
])
def test_version_that_the_registry_has_where_no_run_put_it_is_named(served: Path, column: str, place: str) -> None:
    assert _found(served) == []
    _registry(served, f"UPDATE model_versions SET {column} = ? WHERE version = 1", place)
    (found,) = verify(served).findings
    assert (found.kind, found.place) == ("differs", "version 1 in demo")
    assert found.detail.startswith(f"the registry has it at {place!r}, and a run at /")


def test_nothing_is_fetched_to_verify_though_the_folder_is_gone_too(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow.artifacts.download_artifacts", lambda **_: pytest.fail("it was fetched"))
    with closing(sqlite3.connect(served.parent / ".trimtab" / "ledger.db")) as ledger:
        folder = Path(*ledger.execute("SELECT source FROM versions WHERE version = 1").fetchone())
    folder.rename(served.parent / "gone")
    _registry(served, POINT.format("storage_location", "s3://evil/model"))
    assert _found(served)[0] == ("differs", "version 1 in demo")
    assert ("missing", str(folder / "model.skops")) in _found(served)


@pytest.mark.parametrize("statement", DELETED)
def test_champion_that_the_registry_deleted_is_missing_and_nobody_serves(served: Path, statement: str) -> None:
    _registry(served, statement)
    assert _found(served) == [("differs", "the alias of demo"), ("missing", "version 1 in demo")]
    registry: Any = tt.open(served).registry
    assert registry._champion_by_sql() is None is registry._champion_by_client()
    ended = run(Request("drift", served, as_of="2024-04-15", progress=False))
    assert (ended.exit_code, ended.result["champion_after"]) == (2, None)
    assert "demo has no champion any more, for somebody removed the alias or the version" in str(ended.error)
    assert _found(served) == [("missing", "version 1 in demo")]


def test_version_that_somebody_registered_by_hand_is_noted(served: Path) -> None:
    _registry(served, "INSERT INTO model_versions (name, version, source, current_stage, status) "
                      "VALUES ('demo', 9, '/tmp', 'None', 'READY')")
    found = verify(served)
    assert found.findings == ()
    assert [note for note in found.notes if note.startswith("version ")] == [
        "version 9 in demo is in no row of the ledger: somebody registered it by hand, or a run that died"]


@pytest.mark.parametrize("store", ["mlflow.db", "ledger.db"])
def test_home_that_was_moved_holds_whichever_of_its_stores_was_told(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    moved = served.parent.rename(tmp_path / "moved")
    monkeypatch.setenv("TRIMTAB_HOME", str(moved))
    assert _found(moved / "demo.yaml") == []
    tables = {"mlflow.db": ("model_versions", ("source", "storage_location")), "ledger.db": ("versions", ("source",))}
    with closing(sqlite3.connect(moved / ".trimtab" / store)) as database, database:
        table, columns = tables[store]
        for column in columns:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(served.parent), str(moved)))
    assert _found(moved / "demo.yaml") == []


@pytest.mark.parametrize(("url", "told"), [
    ("sqlite:///.trimtab/mlflow.db", "'mlflow-artifacts:/1/model'"), ("http://localhost:5000", None),
])
def test_place_of_a_server_is_its_own(url: str, told: str | None, tmp_path: Path) -> None:
    session: Any = SimpleNamespace(params=SimpleNamespace(store=SimpleNamespace(registry=url)))
    assert whereabouts.stray(session, tmp_path, "/tmp/fetched/model", ["mlflow-artifacts:/1/model"]) == told


def test_faults_ask_where_serving_code_looks(served: Path) -> None:
    home = Home(served.parent)
    assert serves(home) == []
    _registry(served, POINT.format("storage_location", "/nonexistent/model"))
    (problem,) = serves(home)
    assert problem.startswith("the champion does not serve: ModelFileError: /nonexistent/model/model.skops")

"""Homes: whatever characters their paths have, all state lies in them and is found again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import BINARY, binary_table, copy_home, merged

from trimtab.act import database
from trimtab.act.ledger import Ledger
from trimtab.run import homes
from trimtab.run.homes import absolute_url
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.run.verifying import verify
from trimtab.settings import Store


@pytest.mark.parametrize("name", ["a home", "what?", "?a=b&c", "100%", "a%20home", "c#", "{x}", "état"])
@pytest.mark.parametrize("url", [Store().ledger, "sqlite:///.trimtab/my%20ledger.db"])
def test_ledger_lies_in_its_home(tmp_path: Path, name: str, url: str) -> None:
    home = tmp_path / name
    (home / ".trimtab").mkdir(parents=True)
    ledger = Ledger(database.connect(absolute_url(url, home)), "demo")
    ledger.start_run("one", pipeline="drift", run_dir="runs/one")
    copy = Ledger(database.copy(absolute_url(url, home), home / "copy.db"), "demo")
    assert [row["run_id"] for row in copy.runs()] == ["one"]
    for one in (ledger, copy):
        one.close()
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.db")}
    assert made == {f"{name}/copy.db", f"{name}/.trimtab/{'my ' if 'my' in url else ''}ledger.db"}


def test_run_leaves_all_it_leaves_in_its_home(
    project: Callable[..., Path], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(BINARY, binary_table())
    odd = tmp_path / "odd" / "what? 100%25 of#1 {x}"
    copy_home(home, odd)
    shutil.rmtree(home)
    monkeypatch.chdir(odd)
    monkeypatch.setenv("TRIMTAB_HOME", str(odd))
    params = odd / "demo.yaml"
    assert run(Request(pipeline="baseline", params=params, as_of="2024-03-15")).exit_code == 0
    tried = run(Request(pipeline="drift", params=params, as_of="2024-04-15", dry_run=True))
    assert (tried.exit_code, tried.result["champion_after"]) == (0, 1)
    assert verify(params).findings == ()
    assert [path.name for path in odd.parent.iterdir()] == [odd.name]


def test_records_are_found_from_the_folder_above_params_wherever_a_run_works(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notebooks work in another folder than whoever started the run."""
    root = tmp_path / "root"
    (root / "params" / "tenants").mkdir(parents=True)
    (root / "data").mkdir()
    binary_table().to_parquet(root / "data" / "east.parquet")
    params = root / "params" / "tenants" / "east.yaml"
    params.write_text(yaml.safe_dump(merged(BINARY, tenant="east", data={"table": "data/east.parquet"})))
    monkeypatch.chdir(tmp_path)
    ended = run(Request(pipeline="baseline", params=params, as_of="2024-03-15", progress=False))
    assert (ended.exit_code, ended.result["champion_after"]) == (0, 1), ended.error
    monkeypatch.delenv("TRIMTAB_HOME")
    assert homes.home_of(params) == root


@pytest.mark.parametrize("named", [None, "elsewhere"])
def test_notebooks_find_home_and_records_where_the_run_does(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    """A params file outside any `params/`, a home that is relative or not named at all, a table where one stands."""
    monkeypatch.chdir(tmp_path)
    found = tmp_path / "elsewhere" if named else tmp_path
    (home / ".trimtab").rename(tmp_path / ".trimtab") if named is None else home.rename(found)
    monkeypatch.setenv("TRIMTAB_HOME", named) if named else monkeypatch.delenv("TRIMTAB_HOME")
    binary_table().to_parquet(tmp_path / "here.parquet")
    params = tmp_path / "far" / "off" / "mine.yaml"
    params.parent.mkdir(parents=True)
    params.write_text(yaml.safe_dump(merged(BINARY, data={"table": "here.parquet"})))
    for pipeline, moment in (("baseline", "2024-03-15"), ("drift", "2024-04-15")):
        ended = run(Request(pipeline=pipeline, params=params, as_of=moment, progress=False))
        assert (ended.exit_code, ended.result["champion_after"]) == (0, 1), ended.error
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("ledger.db")] == [
        found.relative_to(tmp_path) / ".trimtab" / "ledger.db"]

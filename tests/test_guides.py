"""The guides, word by word: every command, line of Python and params file in them, from top to bottom."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from trimtab import datasets

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(sh|python|yaml)\n(.*?)^```$", re.M | re.S)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = ROOT / "data" / "flights.parquet"
    return made if made.exists() else datasets.write("flights", tmp_path_factory.mktemp("flights"))


@pytest.fixture
def clone(fresh_home: Path, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a reader has before the first command: params, data, and the program on the path."""
    folder = tmp_path / "clone"
    shutil.copytree(fresh_home, folder)
    shutil.copytree(ROOT / "params", folder / "params")
    (folder / "data").mkdir()
    (folder / "data" / "flights.parquet").symlink_to(flights)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("TRIMTAB_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return folder


def _run(commands: str) -> str:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{commands}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    return done.stdout


def _waiting() -> str:
    """The run that a person is asked about, as a reader would copy it from the list."""
    printed = json.loads(_run("trimtab approvals -p params/demo.yaml --json"))
    (asked,) = [row for rows in printed.values() if isinstance(rows, list) for row in rows]
    return str(asked["run_id"])


def _follow(page: str, clone: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Do what a page says; returns what its Python has left behind."""
    patch.setenv("TMPDIR", str(clone))
    names: dict[str, Any] = {}
    for kind, text in BLOCK.findall((ROOT / "docs" / page).read_text()):
        if kind == "yaml":
            path = re.match(r"# (params/\S+)\n", text)
            assert path, "the first line of a params file says where it goes"
            Path(path[1]).write_text(text)
        elif kind == "python":
            exec(compile(text, page, "exec"), names)
        elif text.startswith("export "):
            patch.setenv("TRIMTAB_HOME", _run(f"{text}printenv TRIMTAB_HOME").strip())
        else:
            _run(text.replace("RUN_ID", _waiting()) if "RUN_ID" in text else text)
    return names


def test_f19_every_command_of_the_operators_guide_does_what_it_says(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _follow("operators.md", clone, monkeypatch)
    changes = json.loads(_run("trimtab history -p params/demo.yaml --json"))["changes"]
    kinds = [one["kind"] for one in sorted(changes, key=lambda one: one["id"])]
    assert kinds == ["promotion", "promotion", "rollback", "rollback"]
    assert {one["by"] for one in changes if one["kind"] == "rollback"} == {"ada"}


def test_everything_on_the_page_on_own_data_runs_and_is_so(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {*clone.iterdir(), *(clone / "params").iterdir()}
    _follow("own-data.md", clone, monkeypatch)
    home = Path(os.environ["TRIMTAB_HOME"])
    assert {*clone.iterdir(), *(clone / "params").iterdir()} - before == {home}, "what it made is taken away again"
    runs = [json.loads(path.read_text()) for path in sorted(home.glob("runs/trips/*/run.json"))]
    data = runs[0]["params"]["data"]
    assert [data[part] for part in ("label", "time", "id", "label_delay")] == ["late", "departure", "id", "10d"]
    assert data["numeric"] == ["distance", "temperature", "wind_speed"]
    assert data["categorical"] == ["carrier", "from", "to"]
    told = [run["result"]["decision"]["severity"] for run in runs if run["as_of"] == "2013-06-26T00:00:00"]
    assert told == ["high", "medium"], "rules of one's own changed what is said of the same day"
    assert runs[-1]["dry_run"]


def test_everything_on_the_data_scientists_page_runs(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mpl.rc_context({"backend": "agg"}):
        names = _follow("data-scientists.md", clone, monkeypatch)
    assert names["version"] == 1
    names["session"].close()
    runs = Path(os.environ["TRIMTAB_HOME"]) / "runs"
    (manifest,) = runs.glob("flight-delays-brought/*/run.json")
    assert any("somebody else" in note for note in json.loads(manifest.read_text())["notes"])
    contest = json.loads(max(runs.glob("flight-delays-mine/*/run.json")).read_text())["result"]
    assert contest["metrics"]["challenger"], "the better candidate was held to the champion"

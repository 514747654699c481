"""Whatever signal ends a run: the status is right, the lease free, the champion whole, and nothing runs on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import BINARY, binary_table, merged
from test_training import _is_running, _wait_until
from typer.testing import CliRunner

from trimtab.errors import BusyError
from trimtab.run import notebooks
from trimtab.run.cli import app
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, run

pytestmark = pytest.mark.usefixtures("chain_holds")
TRIMTAB = Path(sys.executable).with_name("trimtab")
TESTS = Path(__file__).parent
Asleep = Callable[[Callable[[int], None]], Outcome]


def _params(project: Callable[..., Path], home: Path) -> Path:
    """A params file whose training never ends, and says when it has begun."""
    tree: dict[str, Any] = merged(BINARY)
    tree["estimator"] = {"class": "test_training.Misbehaving", "params": {"pid_file": str(home / "pids")},
                         "trusted": ["test_training"]}
    return project(tree, binary_table(800), name="endless.yaml")


def _start(params: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [TRIMTAB, "run", "baseline", "-p", params, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        start_new_session=True,
    )


def _history(params: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(CliRunner().invoke(app, ["history", "-p", str(params), "--json"]).stdout)
    return told


def _manifest(home: Path) -> dict[str, Any]:
    (path,) = home.glob("runs/demo/*/run.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture
def asleep(project: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch) -> Asleep:
    """Runs a baseline whose notebook falls asleep, and then does something to its kernel."""

    def _run_and(do: Callable[[int], None]) -> Outcome:
        (home / "books").mkdir()
        shutil.copy(TESTS / "notebooks" / "sleeps.ipynb", home / "books" / "01_baseline.ipynb")

        def _when_it_sleeps() -> None:
            _wait_until((home / "sleeping").exists)
            do(int((home / "sleeping").read_text()))

        threading.Thread(target=_when_it_sleeps).start()
        with monkeypatch.context() as patch:
            patch.setattr(notebooks, "folder", lambda: home / "books")
            patch.setenv("SLEEPING", str(home / "sleeping"))
            return run(Request(pipeline="baseline", params=project(BINARY, binary_table(800)), progress=False))

    return _run_and


def test_ctrl_c_in_the_middle_of_a_cell_ends_the_run_and_its_kernel(asleep: Asleep, home: Path) -> None:
    outcome = asleep(lambda kernel: os.kill(os.getpid(), signal.SIGINT))
    assert (outcome.exit_code, outcome.result["status"]) == (130, "interrupted")
    assert _manifest(home)["steps"][0]["status"] == "interrupted"
    kernel = int((home / "sleeping").read_text())
    _wait_until(lambda: not _is_running(kernel))


def test_killed_kernel_fails_the_run_and_leaves_everything_else_in_order(asleep: Asleep, home: Path) -> None:
    outcome = asleep(lambda kernel: os.kill(kernel, signal.SIGKILL))
    assert (outcome.exit_code, outcome.result["status"]) == (4, "failed")
    assert outcome.error == "01_baseline: the kernel died (killed, or out of memory)"
    (step,) = _manifest(home)["steps"]
    assert "died before the notebook was through" in (Path(outcome.result["run_dir"]) / step["html"]).read_text()
    again = run(Request(pipeline="baseline", params=home / "demo.yaml", progress=False))
    assert (again.error, again.result["champion_after"]) == (None, 1)


def test_sigterm_during_training_ends_the_run_cleanly(project: Callable[..., Path], home: Path) -> None:
    running = _start(_params(project, home))
    _wait_until((home / "pids").exists)
    running.terminate()
    said, told = running.communicate(timeout=60)
    assert running.returncode == 143, told
    result = json.loads(said)
    assert (result["status"], result["champion_after"]) == ("interrupted", None)
    manifest = _manifest(home)
    (step,) = manifest["steps"]
    assert (manifest["status"], step["status"]) == ("interrupted", "interrupted")
    assert "was interrupted while 01_baseline" in (Path(result["run_dir"]) / step["file"]).read_text()
    assert (Path(result["run_dir"]) / "report.html").exists()
    training = int((home / "pids").read_text().split()[0])
    _wait_until(lambda: not _is_running(training))
    known = _history(home / "endless.yaml")
    assert [run["status"] for run in known["runs"]] == ["interrupted"]
    assert known["changes"] == []
    assert known["retrain_events"][0]["finished_at"] is not None


def test_killed_runner_is_succeeded_by_the_next_run_which_closes_it(project: Callable[..., Path], home: Path) -> None:
    running = _start(_params(project, home))
    _wait_until((home / "pids").exists)
    with pytest.raises(BusyError, match=rf"is active \(process {running.pid} on ") as busy:
        run(Request(pipeline="baseline", params=project(BINARY), progress=False))
    assert busy.value.exit_code == 3
    dead = _manifest(home)["run_id"]
    running.kill()
    running.communicate()
    training = int((home / "pids").read_text().split()[0])
    _wait_until(lambda: not _is_running(training))
    done = run(Request(pipeline="baseline", params=project(BINARY), progress=False))
    assert (done.exit_code, done.error) == (0, None)
    result = done.result
    assert (result["status"], result["champion_after"]) == ("succeeded", 1)
    notes = json.loads((Path(result["run_dir"]) / "run.json").read_text())["notes"]
    assert notes == [f"run {dead} had died; it was marked interrupted and its lease taken over"]
    known = next(one for one in _history(home / "demo.yaml")["runs"] if one["run_id"] == dead)
    assert (known["status"], known["as_of"], known["result"]["run_id"]) == ("interrupted", "2024-04-01T00:00:00", dead)
    closed = json.loads((home / "runs" / "demo" / dead / "run.json").read_text())
    assert closed["status"] == "interrupted"
    assert closed["steps"][0]["status"] == "interrupted"

"""The card (C): tests of what is required, by its id in docs/requirements.md; see `promises`."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import sqlalchemy as sa
from conftest import BINARY, binary_table, free_port
from jupyter_client.blocking import BlockingKernelClient
from promises import ROOT, params

import trimtab as tt
from trimtab import datasets
from trimtab.run.preflight import Request
from trimtab.run.runner import run

__all__ = ["params"]    # a fixture


def _make(*words: str) -> str:
    """What a target would do."""
    return subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_c01_top_level_is_laid_out_as_promised() -> None:
    wanted = ("notebooks", "lib", "runs", "params", "tests", "environment.yml", "Makefile", "README.md")
    assert all((ROOT / name).exists() for name in wanted)


def test_c02_notebooks_are_parameterised_and_thin() -> None:
    """C02 and C06: the runner and JupyterLab open the same files."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        assert any("parameters" in cell.metadata.get("tags", []) for cell in cells)
        assert max(len(source.splitlines()) for source in code) <= 10
        lines = [line for source in code for line in source.splitlines()]
        assert not any(line.startswith(("def ", "class ", "if ", "for ")) for line in lines)


def test_c03_each_run_leaves_executed_notebooks_and_reports(params: Path) -> None:
    """B16, too: a report of every check."""
    outcome = run(Request(pipeline="drift", params=params, as_of="2024-04-15", progress=False))
    folder = Path(outcome.result["run_dir"])
    assert {"02_drift_analysis.ipynb", "02_drift_analysis.html", "report.html", "run.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert (folder.parents[1] / "index.html").exists()


def test_c03_no_library_writes_warnings_into_an_executed_notebook(project: Callable[..., Path]) -> None:
    """A check that makes the first model imports MLflow where none was expected: an auditor would read its warnings."""
    params = project(BINARY, binary_table())
    trimtab = Path(sys.executable).with_name("trimtab")
    command = [trimtab, "run", "drift", "-p", params, "--as-of", "2024-03-01", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    book = nbformat.read(Path(json.loads(told)["run_dir"]) / "01_baseline.ipynb", as_version=4)
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert len(outputs) > 5
    assert [output["text"] for output in outputs if output["output_type"] == "stream"] == []


def test_c04_scraps_of_one_notebook_decide_the_next_step(params: Path) -> None:
    quiet = run(Request(pipeline="retrain", params=params, as_of="2024-02-21", progress=False))
    moved = run(Request(pipeline="retrain", params=params, as_of="2024-04-15", progress=False))
    steps = [
        [s["notebook"] for s in json.loads((Path(o.result["run_dir"]) / "run.json").read_text())["steps"]]
        for o in (quiet, moved)
    ]
    assert steps == [["02_drift_analysis"], ["02_drift_analysis", "03_retrain", "04_evaluate_and_promote"]]


def test_c05_scheduler_calls_make_with_a_params_file() -> None:
    told = _make("retrain", "PARAMS=params/demo.yaml", "AS_OF=2013-07-01", "ARGS=--dry-run --json")
    assert "trimtab run retrain --params params/demo.yaml --as-of 2013-07-01 --dry-run --json" in told


def test_c06_a_notebook_runs_in_a_kernel_of_jupyterlab(
    params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a person has it: the server lists the notebook, and a kernel that it starts runs the first cells."""
    runtime, port = tmp_path / "jupyter", free_port()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    command = ["-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
               "--IdentityProvider.token=word", "--notebook-dir", str(ROOT)]
    with (tmp_path / "log").open("w") as log, subprocess.Popen([sys.executable, *command], stderr=log) as server:
        try:
            _wait_for(server, port)
            name = "notebooks/02_drift_analysis.ipynb"
            cells = _of_server(port, f"contents/{name}")["content"]["cells"]
            asked = {"path": name, "type": "notebook", "name": name, "kernel": {"name": "python3"}}
            kernel = _of_server(port, "sessions", asked)["kernel"]["id"]
            client = BlockingKernelClient(connection_file=str(runtime / f"kernel-{kernel}.json"))
            client.load_connection_file()
            client.start_channels()
            client.wait_for_ready(timeout=60)
            for cell in [cell["source"] for cell in cells if cell["cell_type"] == "code"][:2]:
                source = cell.replace("../params/demo.yaml", str(params)).replace("2013-07-01", "2024-04-15")
                answer = client.execute_interactive(source, timeout=60, output_hook=lambda _: None)
                assert answer["content"]["status"] == "ok", answer["content"]
            client.stop_channels()
        finally:
            server.terminate()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError("the server did not start")


def _of_server(port: int, what: str, asked: dict[str, Any] | None = None) -> Any:
    body = None if asked is None else json.dumps(asked).encode()
    wanted = urllib.request.Request(f"http://127.0.0.1:{port}/api/{what}", body, {"Authorization": "token word"})
    with urllib.request.urlopen(wanted, timeout=60) as answer:
        return json.load(answer)


def test_c07_continuous_integration_runs_the_notebooks_under_nbval() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text().splitlines()
    assert "make --no-print-directory nbval" in _make("test") or "--nbval-lax" in _make("test")
    assert "--nbval-lax" in _make("nbval")


def test_c05_production_keeps_its_ledger_on_a_server_and_tells_its_address_to_nobody(
    fresh_home: Path, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The params file that one begins from, with what it wants from the environment, and the flights of 2013."""
    home = shutil.copytree(fresh_home, tmp_path / "prod")
    shutil.copytree(ROOT / "params", home / "params")
    (home / "data").mkdir()
    made = ROOT / "data" / "flights.parquet"
    (home / "data" / "flights.parquet").symlink_to(made if made.exists() else datasets.write("flights", tmp_path))
    monkeypatch.setenv("TRIMTAB_LEDGER", postgres)
    monkeypatch.delenv("TRIMTAB_HOME", raising=False)
    path = home / "params" / "prod.yaml"
    outcome = run(Request("retrain", path, as_of="2013-04-01", progress=False))
    assert (outcome.exit_code, outcome.result["champion_after"]) == (0, 1), outcome.error
    later = run(Request("retrain", path, as_of="2013-07-01", progress=False))
    assert "master" in later.result["guard"]["blocked_by"], "it measures, and retrains nothing by itself"
    session = tt.open(path, as_of="2013-07-01")
    with session.ledger.engine.connect() as connection:
        assert connection.dialect.name == "postgresql"
        assert connection.scalar(sa.text("SELECT COUNT(*) FROM runs")) == 2
    session.close()
    assert not (home / ".trimtab" / "ledger.db").exists()
    written = [file for file in home.rglob("*") if file.is_file() and file.suffix in {".ipynb", ".json", ".html"}]
    assert len(written) >= 8
    assert not any(postgres in file.read_text() for file in written)

"""Notebooks that do not end: interrupted at the soft limit, killed at the hard one, and the run ends in order."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import nbformat
import pytest
from conftest import BINARY, binary_table, merged
from test_kernels import wait_until_gone, write_notebook

from trimtab.errors import ParamsError, TimeLimitError
from trimtab.run import notebooks
from trimtab.run.deadlines import Limits
from trimtab.run.preflight import Request
from trimtab.run.runner import run

NEVER_LISTENS = "sum(range(10 ** 15))"    # C code that looks at no signal
STARTS_ANOTHER = """
    import pathlib, subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path("child").write_text(str(child.pid))
"""


def execute(folder: Path, *cells: str, soft: float = 600.0, hard: float = 601.0, warm: bool = True) -> str:
    """Execute cells; the saved notebook's text. A run into a limit is an error as any."""
    target = folder / "out.ipynb"
    source = Path(write_notebook(folder, *cells, kernel="python3"))
    limits = Limits(timedelta(seconds=soft), timedelta(seconds=hard))
    try:
        notebooks.execute(source, target, {}, warm=warm, limits=limits, progress=False)
    finally:
        nbformat.validate(nbformat.read(target, as_version=4))
    return target.read_text()


def sleeping(folder: Path, name: str) -> Path:
    """The notebooks, of which one never comes to its second cell with code."""
    shutil.copytree(notebooks.folder(), folder)
    book = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    first = next(i for i, cell in enumerate(book.cells) if "parameters" in cell.metadata.get("tags", []))
    book.cells.insert(first + 1, nbformat.v4.new_code_cell("import time; time.sleep(600)"))
    nbformat.write(book, folder / f"{name}.ipynb")
    return folder


@pytest.mark.parametrize("warm", [True, False], ids=["warm kernel", "ordinary kernel"])
def test_notebook_is_interrupted_at_its_soft_limit_and_its_clean_up_is_done(tmp_path: Path, warm: bool) -> None:
    waits = """
        import pathlib, time
        print("so far")
        try:
            time.sleep(600)
        finally:
            pathlib.Path("cleaned").touch()
    """
    with pytest.raises(TimeLimitError, match=r"in took longer than 0\.5 s \(limits\.soft\) and was interrupted"):
        execute(tmp_path, waits, "print('never')", soft=0.5, warm=warm)
    assert (tmp_path / "cleaned").exists()
    saved = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    text = json.dumps(saved)
    assert "limits.soft" in saved.cells[0].source
    assert "so far" in text
    assert "KeyboardInterrupt" in text


@pytest.mark.parametrize("warm", [True, False], ids=["warm kernel", "ordinary kernel"])
def test_notebook_in_native_code_is_killed_at_its_hard_limit_with_what_it_started(tmp_path: Path, warm: bool) -> None:
    """F17."""
    with pytest.raises(TimeLimitError, match=r"in took longer than 4 s \(limits\.hard\) and was killed"):
        execute(tmp_path, STARTS_ANOTHER, NEVER_LISTENS, soft=3.5, hard=4, warm=warm)
    assert wait_until_gone(int((tmp_path / "child").read_text()))
    assert "limits.hard" in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[0].source


def test_limit_that_passes_between_two_cells_ends_the_notebook_before_the_next(tmp_path: Path) -> None:
    sent = """
        import signal, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # as a kernel does between two cells
        time.sleep(1)
    """
    with pytest.raises(TimeLimitError, match=r"limits\.soft"):
        execute(tmp_path, sent, "import pathlib; pathlib.Path('next').touch()", soft=0.5)
    assert not (tmp_path / "next").exists()


def test_notebook_within_its_limits_is_left_alone_and_an_error_of_its_own_stays_its_own(tmp_path: Path) -> None:
    assert "through" in execute(tmp_path, "print('through')")
    with pytest.raises(Exception, match="in: ValueError: of its own"):
        execute(tmp_path, "raise ValueError('of its own')")


def test_run_whose_step_ran_into_a_limit_has_timed_out_and_the_champion_is_as_before(
    project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F17."""
    forced = merged(BINARY, triggers=[{"signal": "model_age", "at_least": 0, "severity": "high"}])
    params = project(forced, binary_table(2000))
    assert run(Request(pipeline="baseline", params=params, as_of="2024-03-15", progress=False)).error is None
    tight = ("guardrails.max_runtime=0.5s", "limits.soft=1s", "limits.slow=1s")
    asleep = sleeping(tmp_path / "notebooks", "02_drift_analysis")
    with monkeypatch.context() as patch:
        patch.setattr(notebooks, "folder", lambda: asleep)
        outcome = run(Request(pipeline="retrain", params=params, as_of="2024-04-15", progress=False, overrides=tight))
    assert (outcome.exit_code, outcome.result["status"]) == (5, "timed_out")
    assert "02_drift_analysis took longer than 1 s (limits.soft) and was interrupted" in str(outcome.error)
    assert (outcome.result["champion_before"], outcome.result["champion_after"]) == (1, 1)
    kept = json.loads((Path(outcome.result["run_dir"]) / "run.json").read_text())
    assert [(step["status"], step["slow"]) for step in kept["steps"]] == [("timed_out", True)]
    assert any("more than the 1 s of limits.slow" in note for note in kept["notes"])
    page = (Path(outcome.result["run_dir"]) / "report.html").read_text()
    assert '<span class="bad">slow</span>' in page
    assert run(Request(pipeline="drift", params=params, as_of="2024-04-15", progress=False)).error is None


def test_limits_that_contradict_each_other_are_refused(project: Callable[..., Path]) -> None:
    params = project(BINARY, binary_table(400))
    for wrong in ("limits.soft=10m", "limits.hard=20m", "guardrails.max_runtime=0s"):
        overrides = (wrong,) if "max" not in wrong else ("limits.soft=10m", "guardrails.max_runtime=1h")
        with pytest.raises(ParamsError, match=r"must be longer than the one before: guardrails\.max_runtime"):
            run(Request(pipeline="drift", params=params, progress=False, overrides=overrides))

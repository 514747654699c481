"""Watch mode: one process per run, pauses that grow after failures, and a stop that is handed on and waited for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from trimtab.errors import UsageError
from trimtab.run import repeating
from trimtab.run.cli import app
from trimtab.run.repeating import Ended, Repeating, failures_after, line, pause

SCRIPT = """
import json, os, pathlib, signal, sys, time
trace = pathlib.Path({trace!r})
def note(text):
    with trace.open("a") as file:
        file.write(text + chr(10))
def stop(number, frame):
    note("stopping")
    time.sleep(0.3)
    note("safe")
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
note("started " + " ".join(sys.argv[1:]))
{body}
"""
SUCCEEDED = 'print(json.dumps({"status": "succeeded", "seconds": 1.5}))'


def repeated(tmp_path: Path, body: str, *, interval: float = 0.01) -> tuple[Repeating, Path]:
    """A watch whose runs are this script in the place of `trimtab run`."""
    trace, script = tmp_path / "trace", tmp_path / "script.py"
    script.write_text(SCRIPT.format(trace=str(trace), body=body))
    made = Repeating("drift", tmp_path / "demo.yaml", interval=interval, overrides=("a=b",))
    made._words[1:4] = [str(script)]
    return made, trace


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_each_run_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch, trace = repeated(tmp_path, SUCCEEDED)
    assert watch.go(most=2) == 2
    lines = told(capsys)
    assert [one[20:] for one in lines] == [
        "demo drift: succeeded in 1.5 s; next after 0.01 s", "demo drift: succeeded in 1.5 s"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", one) for one in lines)
    asked = f"started run drift --params {tmp_path / 'demo.yaml'} --json --set a=b"
    assert trace.read_text().splitlines() == [asked] * 2


def test_pauses_double_after_failures_and_fall_back_after_a_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = 'n = len(trace.read_text().splitlines())\nif n < 3: sys.exit("trimtab: it broke")\n' + SUCCEEDED
    watch, _ = repeated(tmp_path, body)
    watch.go(most=4)
    lines = told(capsys)
    assert lines[0].endswith("demo drift: failed (exit code 1): it broke; next after 0.02 s")
    assert [re.sub(".*; ", "", one) for one in lines[:3]] == [
        "next after 0.02 s", "next after 0.04 s", "next after 0.01 s"]


@pytest.mark.parametrize(("codes", "waits"), [
    ([4, 4, 4, 4, 4], [2, 4, 8, 8, 8]),
    ([4, 3, 3, 4], [2, 2, 2, 4]),      # another active run neither counts nor makes good
    ([3, 3, 0, 2, 0], [1, 1, 1, 2, 1]),
    ([-9, 0], [2, 1]),                 # killed from outside
])
def test_what_counts_as_a_failure(codes: list[int], waits: list[float]) -> None:
    failures, found = 0, []
    for code in codes:
        failures = failures_after(code, failures)
        found.append(pause(1.0, failures))
    assert found == waits


def test_pauses_stay_bounded_however_often_it_fails() -> None:
    assert pause(1800, 100_000) == 8 * 1800


def test_a_run_that_is_killed_is_survived_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch, _ = repeated(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    watch.go(most=1)
    assert told(capsys)[0].endswith("demo drift: failed (ended by SIGKILL): no word")


def test_what_a_run_prints_beside_its_object_is_no_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch, _ = repeated(tmp_path, 'print("[1, 2]"); sys.stderr.write("x" * 200_000)')    # more than a pipe holds
    watch.go(most=1)
    assert "demo drift: finished in 0 s" in told(capsys)[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("place", ["trimtab.run.server", "trimtab.run.cli", "trimtab.run.repeating"])
def test_a_stop_while_the_watch_still_starts_ends_it_in_order(
    tmp_path: Path, place: str, number: signal.Signals
) -> None:
    """It comes when the command begins to import this."""
    program = (
        "import os, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {place!r}: os.kill(os.getpid(), {int(number)})\n"
        "from trimtab.run.entry import main\n"
        f"sys.meta_path.insert(0, Stop()); sys.argv = ['trimtab', 'watch', '-p', {str(tmp_path / 'none.yaml')!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"trimtab: the watch was stopped by {number.name}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_handed_on_to_the_run_and_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    watch, trace = repeated(tmp_path, "note('working'); time.sleep(60)", interval=60)
    program = (
        "import sys; from pathlib import Path; from trimtab.run.repeating import Repeating\n"
        f"watch = Repeating('drift', Path('demo.yaml'), interval=60); watch._words = {watch._words!r}; watch.go()"
    )
    started = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    _until(lambda: trace.exists() and "working" in trace.read_text())
    began = time.monotonic()
    started.send_signal(number)
    out, _ = started.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert started.returncode == 0
    assert trace.read_text().splitlines()[-2:] == ["stopping", "safe"]
    assert out.splitlines()[-1].endswith(f"stopped by {number.name}")
    assert f"(exit code {128 + number})" in out


def test_a_stop_between_runs_ends_it_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch, _ = repeated(tmp_path, SUCCEEDED, interval=600)

    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    began = time.monotonic()
    try:
        assert watch.go() == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 5
    assert told(capsys)[-1].endswith("stopped by SIGTERM")
    assert signal.getsignal(signal.SIGTERM) is not watch._stop, "whoever listened before does again"


def test_a_line_says_what_was_decided_and_who_serves() -> None:
    result: dict[str, Any] = {
        "status": "succeeded", "seconds": 3.0, "run_id": "r1", "champion_before": 2, "champion_after": 1,
        "decision": {"needs_retrain": True, "severity": "high"}, "verdict": "rolled_back",
        "guard": {"allowed": False, "blocked_by": ["cooldown"]},
    }
    assert line("demo retrain", Ended(0, result, ""), "")[20:] == (
        "demo retrain: succeeded in 3 s; retrain (severity high); blocked by cooldown; rolled_back; champion 2 -> 1; "
        "run r1")
    unknown = result | {"champion_after": None, "champion_unknown": "store.registry: no answer"}
    assert "; champion unknown; run r1" in line("demo retrain", Ended(2, unknown, ""), "")


def test_a_broken_params_file_is_one_line_and_a_longer_pause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = tmp_path / "demo.yaml"
    params.write_text("model: [")
    Repeating("drift", params, interval=0.1).go(most=1)
    (only,) = told(capsys)
    assert "demo drift: failed (exit code 2): " in only
    assert str(params) in only


def test_only_what_can_be_repeated_is(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["watch", "--pipeline", "rollback", "-p", str(tmp_path / "demo.yaml")])
    assert isinstance(done.exception, UsageError)
    assert "choose from baseline, drift, retrain" in str(done.exception)
    assert repeating.MOST_INTERVALS == 8


def _until(holds: Any, seconds: float = 20) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)

"""What a user types, and what comes back: one JSON object or one sentence, and the exit code."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from conftest import BINARY, binary_table
from test_training import _wait_until
from typer.testing import CliRunner

import trimtab as tt
from trimtab.errors import DataError, TrimtabError, UsageError
from trimtab.run import cli, homes, terminal
from trimtab.run.cli import app
from trimtab.run.results import FIELDS

TRIMTAB = Path(sys.executable).with_name("trimtab")


def test_json_of_a_cold_run_is_one_object_and_nothing_else(project: Callable[..., Path]) -> None:
    params = project(BINARY, binary_table(800))
    done = subprocess.run(
        [TRIMTAB, "run", "baseline", "-p", params, "--json", "--cold"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    assert (result["status"], result["verdict"], result["champion_after"]) == ("succeeded", "promote", 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "dance"], "there is no pipeline 'dance'; choose from baseline, drift, retrain, rollback"),
        (["run", "drift", "--to", "1"], "--to goes with run rollback only"),
        (["run", "retrain", "--quarantine"], "--quarantine goes with run rollback only"),
        (["run", "rollback", "--check", "--no-quarantine"], "--check finds out by itself whether to roll back"),
        (["run", "drift", "-p", "nowhere.yaml"], "nowhere.yaml: there is no such params file"),
        (["run", "drift", "--set", "drift.psi=1"], "drift.psi: unknown key"),
        (["run", "drift", "--set", "rollback.metric=joy"], "rollback.metric: unknown metric 'joy'"),
        (["run", "drift", "--set", "triggers=[{signal: performance_drop, metric: joy, at_least: 1, severity: low}]"],
         "triggers: unknown metric 'joy'"),
        (["run", "drift", "--set", "triggers=[{signal: outliers, metric: mae, at_least: 1, severity: low}]"],
         "metric and unit are for rules on performance_drop, not on outliers"),
        (["run", "drift", "--set",
          "triggers=[{signal: performance_drop, metric: accuracy, unit: points, at_least: 3, severity: low}]"],
         "triggers: performance_drop in points of accuracy is never at_least 3, but 1 at most; 3 points are 0.03"),
        (["run", "drift", "--set", "triggers=[{signal: performance_drop, at_least: 5, severity: low}]"],
         "triggers: performance_drop as a share of roc_auc is never at_least 5, but 1 at most; 5 % is 0.05"),
        (["run", "drift", "--as-of", "yesterday"], "as_of: 'yesterday' is no ISO date"),
        (["data", "tulips"], "tulips"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(
    project: Callable[..., Path], home: Path, words: list[str], told: str
) -> None:
    project(BINARY, binary_table(300))
    given = [] if "-p" in words or words[0] == "data" else ["-p", "demo.yaml"]
    before = sorted(home.rglob("*"))
    done = CliRunner().invoke(app, [*words, *given])
    assert isinstance(done.exception, TrimtabError)
    assert done.exception.exit_code == 2
    assert told in str(done.exception)
    assert done.stdout == ""
    assert sorted(home.rglob("*")) == before


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for temporary files, with a path short enough for a socket however deep the tests' own folders are."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def _type(*words: object, temporary: Path) -> subprocess.CompletedProcess[str]:
    temporary.mkdir(exist_ok=True)
    return subprocess.run(
        [TRIMTAB, *map(str, words)], capture_output=True, text=True, check=False,
        env=os.environ | {"TMPDIR": str(temporary)},
    )


def test_warm_run_leaves_nothing_in_the_temporary_folder(project: Callable[..., Path], short_path: Path) -> None:
    params = project(BINARY, binary_table(800))
    done = _type("run", "baseline", "-p", params, temporary=short_path)
    assert done.returncode == 0, done.stderr
    assert list(short_path.iterdir()) == []


@pytest.mark.parametrize("words", [("run",), ("watch", "--interval", "1", "--most", "1", "--pipeline")])
def test_what_lies_in_the_current_folder_is_no_module(
    project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    params = project(BINARY, binary_table(800))
    folder = tmp_path / "cwd"
    folder.mkdir()
    for name in ("statistics", "mlflow", "skops", "ast"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'a').write('{name}')\n")
    monkeypatch.chdir(folder)
    done = _type(*words, "baseline", "-p", params, temporary=tmp_path / "t")
    assert done.returncode == 0, done.stderr
    assert not (folder / "ran").exists()


def test_refusal_in_json_is_the_same_object_with_nothing_reached(project: Callable[..., Path], tmp_path: Path) -> None:
    params = project(BINARY, binary_table(300))
    done = _type("run", "drift", "-p", params, "--as-of", "soon", "--json", temporary=tmp_path / "t")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    result = json.loads(done.stdout)
    assert tuple(result) == FIELDS
    assert (result["pipeline"], result["status"], result["run_id"]) == ("drift", "failed", None)
    assert (result["model"], result["tenant"]) == ("demo", None)
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.parametrize("words", [["drift", "--jsn"], [], ["rollback", "--to", "one"]])
def test_command_typed_wrongly_prints_the_object_too(home: Path, tmp_path: Path, words: list[str]) -> None:
    done = _type("run", *words, "--json", temporary=tmp_path / "t")
    assert done.returncode == 2
    assert done.stderr.startswith("trimtab: ")
    assert done.stderr.count("\n") == 1
    assert tuple(json.loads(done.stdout)) == FIELDS


@pytest.mark.parametrize("words", [
    ["check", "--reference", "a.csv", "--recent", "b.csv"], ["init", "--table", "a.csv"], ["history", "-p", "a.yaml"],
    ["models", "-p"], ["check"]])
def test_a_query_that_fails_prints_one_object_too(home: Path, tmp_path: Path, words: list[str]) -> None:
    done = _type(*words, "--json", temporary=tmp_path / "t")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert tuple(told) == ("error", "exit_code")
    assert told["exit_code"] == 2
    assert done.stderr == f"trimtab: {told['error']}\n" or "trimtab --help" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stop_while_everything_is_still_being_imported(
    project: Callable[..., Path], home: Path, short_path: Path, number: int, code: int
) -> None:
    params = project(BINARY, binary_table(300))
    before = sorted(home.rglob("*"))
    with subprocess.Popen(
        [TRIMTAB, "run", "drift", "-p", params], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(short_path)},
    ) as started:
        try:
            _wait_until(lambda: list(short_path.glob("pymp-*/listener-*")))    # the warm server has just been started
        finally:
            started.send_signal(number)
        out, told = started.communicate(timeout=30)
    assert started.returncode == code
    assert (out, "Traceback" in told) == ("", False)
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("error", [RuntimeError("Query interrupted"), DataError("cannot be read: Query interrupted")])
def test_what_a_signal_broke_off_is_no_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """DuckDB makes one of whatever a signal raises in the middle of a query."""
    codes: list[int] = []

    def _breaks(**_: Any) -> None:
        raise error

    monkeypatch.setattr(cli, "app", _breaks)
    monkeypatch.setattr(cli, "_leave", codes.append)
    cli.main([signal.SIGTERM])
    assert (codes, capsys.readouterr()) == ([143], ("", ""))
    with contextlib.suppress(RuntimeError):
        cli.main()
    assert codes[1:] == ([2] if isinstance(error, DataError) else [])


def test_nothing_outlives_a_runner_that_was_killed_not_even_to_hold_its_output_open(
    project: Callable[..., Path], home: Path
) -> None:
    params = project(BINARY, binary_table(300))
    started = subprocess.Popen(
        [TRIMTAB, "run", "baseline", "-p", params], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    time.sleep(2)    # while the server imports, tries the estimators, or runs the first cells
    started.kill()
    started.communicate(timeout=30)    # returns when no process has the pipes any more
    assert started.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("extra", "told"), [([], "has no champion yet"), (["--to", "99"], "there is no version 99")])
def test_rollback_to_nowhere_is_refused_before_there_is_a_run(
    project: Callable[..., Path], home: Path, extra: list[str], told: str
) -> None:
    params = project(BINARY, binary_table(800))
    if extra:
        session = tt.open(params)
        contest = tt.lifecycle.first_champion(session)
        tt.lifecycle.appoint(session, contest, tt.lifecycle.judge(session, contest))
    done = CliRunner().invoke(app, ["run", "rollback", "-p", str(params), *extra])
    assert isinstance(done.exception, TrimtabError)
    assert (done.exception.exit_code, told in str(done.exception)) == (2, True)
    assert not (home / "runs").exists()


def test_history_models_and_signals_answer_in_json_and_as_tables(project: Callable[..., Path]) -> None:
    params = project(BINARY, binary_table(800))
    session = tt.open(params)
    contest = tt.lifecycle.first_champion(session)
    tt.lifecycle.appoint(session, contest, tt.lifecycle.judge(session, contest))

    def ask(command: str) -> dict[str, list[dict[str, object]]]:
        shown = CliRunner().invoke(app, [command, "-p", str(params)])
        assert shown.exit_code == 0, shown.output
        found: dict[str, list[dict[str, object]]] = json.loads(
            CliRunner().invoke(app, [command, "-p", str(params), "--json"]).stdout
        )
        return found

    history = ask("history")
    assert [(c["kind"], c["to_version"], c["state"]) for c in history["changes"]] == [("promotion", 1, "done")]
    assert len(history["retrain_events"]) == 1
    (version,) = ask("models")["versions"]
    assert (version["version"], version["champion"]) == (1, True)
    assert ask("signals") == {"signals": []}


@pytest.mark.parametrize("query", ["history", "approvals", "alerts", "models", "signals", "verify"])
def test_query_that_finds_no_run_says_in_which_home_it_looked(
    project: Callable[..., Path], home: Path, query: str
) -> None:
    params = project(BINARY, binary_table(800))
    told = f"trimtab: no run of demo is recorded in the home {home}; TRIMTAB_HOME names another one\n"
    shutil.rmtree(home / ".trimtab")
    asked = CliRunner().invoke(app, [query, "-p", str(params), "--json"])
    assert (asked.exit_code, asked.stderr) == (0, told)
    json.loads(asked.stdout)
    assert not (home / ".trimtab").exists(), "asking is not doing"
    ledger = tt.open(params).ledger
    ledger.start_run("one", pipeline="drift", run_dir="nowhere")
    ledger.finish_run("one", status="succeeded", as_of=None, error=None, result={})
    assert "is recorded" not in CliRunner().invoke(app, [query, "-p", str(params)]).stderr


def test_approval_of_a_run_that_another_home_knows_says_in_which_home_it_looked(
    project: Callable[..., Path], home: Path
) -> None:
    params = project(BINARY, binary_table(800))
    words = ["approve", "20260101T120000-drift-a1b2c3", "--by", "Ada", "--why", "it is needed", "-p", str(params)]
    told = str(CliRunner().invoke(app, words).exception)
    assert f"is not known: no run of demo is recorded in the home {home}" in told


@pytest.fixture
def lived(project: Callable[..., Path]) -> Path:
    """A params file of a model whose ledger knows attempts of all kinds, three changes and a run that was blocked."""
    params = project(BINARY)
    ledger, then = tt.open(params).ledger, datetime(2024, 4, 1)
    attempts: dict[str, dict[str, Any]] = {
        "going-on": {}, "promoted": {"new_version": 1}, "refused": {"new_version": 2, "notes": "No gain."},
        "too-long": {"notes": "timed_out: over 900 s"}, "broken": {"notes": "failed: no memory"},
    }
    for run_id, values in attempts.items():
        ended = {"finished_at": then} if values else {}
        ledger.retrains.record_retrain(
            run_id, as_of=then, trigger_type="drift", severity="high", retrain_attempted=True, **ended, **values)
    ledger.record_version(1, run_id="promoted", as_of=then, sha256="", source="", lineage={})
    for kind, before, after, who in (("promotion", None, 1, "trimtab"), ("rollback", 1, 2, "Ada")):
        change = ledger.succession.begin_change(
            kind, from_version=before, to_version=after, run_id=f"{kind}-run", as_of=then, by=who, why=f"why {after}",
            quarantine=who == "Ada")
        ledger.succession.settle_change(change, "done")
    ledger.start_run("blocked-run", pipeline="retrain", run_dir="x")
    guard = {"guard": {"allowed": False, "blocked_by": ["cooldown", "budget"]}}
    ledger.finish_run("blocked-run", status="blocked", as_of=None, error=None, result=guard)
    ledger.close()
    return params


def test_history_tells_who_changed_the_champion_in_which_run_and_what_came_of_each_attempt(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    shown = " ".join(CliRunner().invoke(app, ["history", "-p", str(lived)]).stdout.split())
    for told in (
        "promotion nobody -> 1 trimtab why 1 promotion-run",
        "rollback 1 -> 2, 1 in quarantine Ada why 2 rollback-run",
        "drift, high under way going-on", "drift, high promoted 1 promoted",
        "drift, high not promoted 2 No gain. refused", "drift, high timed_out timed_out: over 900 s too-long",
        "drift, high failed failed: no memory broken", "blocked by cooldown, budget blocked-run",
    ):
        assert told in shown, told
    found = json.loads(CliRunner().invoke(app, ["history", "-p", str(lived), "--json"]).stdout)
    assert [row["run_id"] for row in found["changes"]] == ["rollback-run", "promotion-run"]
    assert [row["quarantines"] for row in found["changes"]] == [True, False]
    assert len(found["retrain_events"]) == 5
    assert found["runs"][0]["result"]["guard"]["blocked_by"] == ["cooldown", "budget"]


def test_history_can_be_read_at_a_hundred_columns_and_cuts_nothing(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tt.open(lived).ledger
    long = "20240401T120000-retrain-abcdef"
    ledger.start_run(long, pipeline="retrain", run_dir="x")
    ledger.close()
    monkeypatch.setenv("COLUMNS", "100")
    shown = CliRunner().invoke(app, ["history", "-p", str(lived)]).stdout
    assert max(map(len, shown.splitlines())) <= 100
    lines = [line.split()[-1] for line in shown.partition("Runs")[2].splitlines() if line.strip()]
    assert "".join(lines).count(long) == 1


def test_run_that_fails_midway_with_code_2_prints_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = SimpleNamespace(result={"status": "failed"}, report=None, error="no room", exit_code=2)
    monkeypatch.setattr(cli, "_run", lambda *_args, **_settings: failed)
    monkeypatch.setattr(cli, "_leave", lambda code: codes.append(code))
    monkeypatch.setattr(sys, "argv", ["trimtab", "run", "drift", "--json"])
    codes: list[int] = []
    cli.main()
    said = capsys.readouterr()
    assert (codes, said.out, said.err) == ([2], '{"status": "failed"}\n', "trimtab: no room\n")


def test_state_that_cannot_be_written_can_be_read(project: Callable[..., Path], home: Path) -> None:
    params = project(BINARY, binary_table(800))
    tt.open(params).ledger.start_run("one", pipeline="drift", run_dir="nowhere")
    state = home / ".trimtab"
    before = sorted(state.glob("*.db*"))
    with patch("os.access", lambda place, mode: mode != os.W_OK), homes.readable(home) as copy:
        assert copy != home
        assert [path.name for path in sorted((copy / ".trimtab").iterdir())] == [path.name for path in before]
    assert not copy.exists()
    with homes.readable(home) as same:
        assert same == home


@pytest.mark.parametrize(("by", "words"), [
    (" ", "--by is empty"), ("\udcff\udcfe", "--by is no text"),
    ("x" * 201, "--by has 201 characters, and a name at most 200"),
])
def test_who_rolls_back_is_said_in_words(by: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        cli.run("rollback", by=by, why="a try")


def test_output_that_cannot_be_printed_is_one_sentence(lived: Path, home: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    (home / "t.csv").write_text("a\n1\n2\n")
    files = ("--reference", "t.csv", "--recent", "t.csv")
    for words in (("history", "-p", str(lived)), ("models", "--json", "-p", str(lived)), ("check", *files)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([TRIMTAB, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (4, "trimtab: standard output: No space left on device\n")


@pytest.mark.parametrize(("tenant", "begins"), [(None, "demo: drift as of"), ("east", "demo@east: drift as of")])
def test_outcome_names_the_tenant_where_there_is_one(
    capsys: pytest.CaptureFixture[str], tenant: str | None, begins: str
) -> None:
    terminal.tell({**dict.fromkeys(FIELDS), "model": "demo", "tenant": tenant, "pipeline": "drift"}, None)
    assert capsys.readouterr().out.startswith(begins)


def test_what_blocks_retraining_is_told_with_its_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    result = dict.fromkeys(FIELDS) | {
        "model": "demo", "pipeline": "drift", "guard": {"allowed": False, "blocked_by": ["contract"]},
        "decision": {"needs_retrain": True, "severity": "high", "reasons": []},
    }
    terminal.tell(result, None, obstacles=("contract: column 'x' holds nothing.",))
    assert "  blocked by: contract\n    - contract: column 'x' holds nothing.\n" in capsys.readouterr().out


def test_verdict_is_told_with_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    result = {**dict.fromkeys(FIELDS), "model": "demo", "pipeline": "retrain", "verdict": "hold"}
    terminal.tell(result, None, ("roc_auc: gain more than 0: too little evidence.",))
    assert "  verdict: hold\n    - roc_auc: gain more than 0: too little evidence.\n" in capsys.readouterr().out

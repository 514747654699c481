"""What a user types, and what comes back: one JSON object or one sentence, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BINARY, binary_table
from typer.testing import CliRunner

import trimtab as tt
from trimtab.errors import TrimtabError
from trimtab.run.cli import app

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
        (["run", "drift", "-p", "nowhere.yaml"], "nowhere.yaml: there is no such params file"),
        (["run", "drift", "--set", "drift.psi=1"], "drift.psi: unknown key"),
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

"""Rolling back tries version after version, says what it passed over, and leaves what nothing can replace."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from test_watching import LATER, _run, first, learned, params, promoted, table
from typer.testing import CliRunner

import trimtab as tt
from trimtab.act import modelfile
from trimtab.errors import ChampionError, StepError
from trimtab.run import lifecycle, rollbacks
from trimtab.run.cli import app

__all__ = ["first", "params"]    # fixtures


def _damage(params: Path, version: int) -> None:
    (tt.open(params).folder_of(version) / modelfile.FILE).write_bytes(b"nothing")


def test_a_version_that_does_not_load_is_passed_over_and_said_so(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    for _ in range(2):
        promoted(session, learned(table(params), ["x", "z"]))
    _damage(params, 2)
    outcome = _run(params, "rollback", as_of=LATER)
    assert outcome.error is None
    assert (outcome.result["champion_before"], outcome.result["champion_after"]) == (3, 1)
    assert outcome.report is not None
    assert "Passed over: version 2: " in outcome.report.read_text()
    assert outcome.result["verdict"] is None, "a person wanted it"


def test_when_no_old_version_loads_each_is_named_and_the_champion_is_left(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    promoted(session, learned(table(params), ["x"]))    # loads, and cannot predict
    promoted(session, learned(table(params), ["x", "z"]))
    _damage(params, 1)
    found = lifecycle.search(session)
    assert [one.version for one in found.tried] == [2, 1]
    with pytest.raises(StepError, match=r"no older version can serve, so version 3 was left alone; version 2 loads "
                                        r"but cannot predict.*; version 1: "):
        _ = found.proof
    assert session.registry.champion() == session.ledger.succession.champion() == 3


@pytest.mark.parametrize(("words", "back"), [((), 1), (("--to", "1"), 1)], ids=["by itself", "by name"])
def test_where_somebody_deleted_what_served_an_older_version_comes_back(
    params: Path, words: tuple[str, ...], back: int
) -> None:
    session = tt.open(params, as_of=LATER)
    version = promoted(session, learned(table(params), ["x", "z"]))
    client = MlflowClient(session.registry.url, session.registry.url)
    client.delete_model_version(session.registry.name, str(version))    # and with it the alias
    assert session.registry.champion() is None
    done = CliRunner().invoke(app, ["run", "rollback", "-p", str(params), "--as-of", LATER, "--json", *words])
    assert done.exit_code == 0, done.output
    session = tt.open(params)
    assert session.registry.champion() == session.ledger.succession.champion() == back
    assert [(one["kind"], one["to_version"]) for one in session.ledger.succession.changes()[-2:]] == [
        ("foreign", None), ("rollback", back)]


def test_quarantine_that_came_after_the_proof_stops_the_change(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    promoted(session, learned(table(params), ["x", "z"]))
    promoted(session, learned(table(params), ["x", "z"]))
    lifecycle.roll_back(session, lifecycle.search(session, 2).proof, quarantine=True)    # version 3 is held
    proof = rollbacks.prove(session, 3)
    with pytest.raises(ChampionError, match="version 3 is in quarantine since"):
        lifecycle.roll_back(session, proof)
    assert session.registry.champion() == 2


def test_a_person_says_whether_the_version_that_is_left_goes_into_quarantine(params: Path) -> None:
    def back(*words: str) -> dict[int, str]:
        done = CliRunner().invoke(app, ["run", "rollback", "-p", str(params), "--as-of", LATER, "--json", *words])
        assert done.exit_code == 0, done.output
        return {version: one.why for version, one in tt.open(params).ledger.quarantine.held().items()}

    for _ in range(2):
        promoted(tt.open(params, as_of=LATER), learned(table(params), ["x", "z"]))
    assert back("--no-quarantine", "--to", "2") == {}
    assert back("--quarantine", "--by", "Ada", "--why", "it lies") == {2: "it lies"}
    assert tt.open(params).registry.champion() == 1


def test_a_dry_run_of_the_watch_leaves_champion_and_quarantine_alone(params: Path) -> None:
    version = promoted(tt.open(params), learned(table(params), ["x", "z"], wrong=0.9))
    outcome = _run(params, "watch", as_of=LATER, dry_run=True)
    assert outcome.error is None
    assert (outcome.result["verdict"], outcome.result["champion_after"]) == ("rolled_back", version)
    session = tt.open(params)
    assert session.registry.champion() == session.ledger.succession.champion() == version
    assert session.ledger.quarantine.all() == []

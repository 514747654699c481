"""Lives of models that are not the usual one: tenants side by side, foreign champions, first models that fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from trimtab import params as params_module
from trimtab.act import modelfile
from trimtab.errors import ChampionError, UsageError
from trimtab.measure.columns.drift import Drift, compare
from trimtab.run import checking, lifecycle, rollbacks
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, run
from trimtab.run.session import Session
from trimtab.settings.notation import parse_time

Project = Callable[..., Path]
NUMERIC: dict[str, Any] = merged(
    BINARY,
    data={"numeric": ["x", "z"], "categorical": []},
    windows={"reference": {"last": "60d", "until": "30d"}},
    triggers=[{"signal": "model_age", "at_least": 0, "severity": "high"}],
    guardrails={"cooldown": "0d"},
)


def _run(pipeline: str, path: Path, **changes: Any) -> Outcome:
    return run(Request(pipeline, path, progress=False, **changes))


def _champion_by_hand(path: Path, home: Path, table: pd.DataFrame, model: Pipeline | None = None) -> int:
    """Register a model as somebody with MLflow alone would, and let it serve; returns its version."""
    session = Session(params_module.load(path))
    fitted = model or make_pipeline(StandardScaler(), LogisticRegression()).fit(table[["x", "z"]], table["y"])
    folder = home / "by-hand"
    modelfile.save(fitted, folder, package="sklearn", requirements=["scikit-learn"])
    version = session.registry.register(folder, tags={"run_id": "none"}, metrics={})
    session.registry.set_champion(version)
    return version


def test_champion_that_somebody_else_made_is_measured_compared_and_succeeded(project: Project, home: Path) -> None:
    table = binary_table()
    path = project(NUMERIC, table)
    theirs = _champion_by_hand(path, home, table)
    outcome = _run("retrain", path)
    assert outcome.exit_code == 0, outcome.error
    result = outcome.result
    assert result["champion_before"] == theirs
    assert result["metrics"]["champion"]["roc_auc"] > 0.7
    manifest = json.loads((Path(result["run_dir"]) / "run.json").read_text())
    assert any("somebody else" in note for note in manifest["notes"])


def test_training_window_of_a_champion_that_somebody_else_made_is_not_made_up(project: Project, home: Path) -> None:
    table = binary_table()
    path = project(merged(NUMERIC, windows={"reference": "training"}), table)
    theirs = _champion_by_hand(path, home, table)
    outcome = _run("drift", path)
    assert outcome.exit_code == 2
    assert f"version {theirs} was not trained by Trimtab" in str(outcome.error)


def test_tenants_live_side_by_side(project: Project, home: Path) -> None:
    first = project(merged(NUMERIC, tenant="north"), binary_table(), name="north.yaml")
    second = project(merged(NUMERIC, tenant="south"), name="south.yaml")
    assert _run("baseline", first).result["champion_after"] == 1
    assert Session(params_module.load(second)).registry.champion() is None
    assert _run("retrain", second).result["champion_before"] is None, "it makes its own first model"
    again = _run("retrain", first).result
    assert (again["tenant"], again["champion_before"]) == ("north", 1)
    assert {folder.name for folder in (home / "runs").iterdir() if folder.is_dir()} == {"demo--north", "demo--south"}
    for path, tenant in ((first, "north"), (second, "south")):
        changes = Session(params_module.load(path)).ledger.succession.changes()
        assert {change["tenant"] for change in changes} == {tenant}


def test_segments_with_missing_values_are_measured_by_those_that_are_known(project: Project) -> None:
    table = binary_table()
    known = table.index % 5 > 0
    table["site"] = table["site"].where(known)
    table["half"] = (table.index % 2).to_series(index=table.index).where(known)
    criteria = [{"metric": "accuracy", "floor": 0.5}, {"metric": "accuracy", "per": "segment", "max_drop": 0.2}]
    tree = merged(NUMERIC, data={"segments": ["site", "half"]}, windows={"reference": "training"})
    path = project(merged(tree, promotion={"criteria": criteria}), table)
    assert _run("baseline", path).exit_code == 0
    outcome = _run("retrain", path, as_of="2024-04-20")
    assert outcome.exit_code == 0, outcome.error
    assert outcome.result["verdict"] in {"promote", "reject", "hold"}


@pytest.mark.parametrize("pipeline", ["baseline", "retrain"])
def test_first_model_that_misses_its_floor_is_rejected_and_told_so(project: Project, pipeline: str) -> None:
    path = project(merged(NUMERIC, promotion={"criteria": [{"metric": "accuracy", "floor": 0.999}]}), binary_table())
    outcome = _run(pipeline, path)
    assert outcome.exit_code == 0, outcome.error
    assert (outcome.result["verdict"], outcome.result["champion_after"]) == ("reject", None)
    assert outcome.result["metrics"]["champion"] is None
    assert outcome.report is not None
    page = outcome.report.read_text()
    assert "accepted without comparison" not in page
    assert "accuracy: at least 0.999: missed" in page


def test_performance_is_not_measured_on_what_the_champion_was_made_from(project: Project) -> None:
    forest = {"class": "sklearn.ensemble.RandomForestClassifier", "params": {"random_state": 0}}
    tree = merged(BINARY, estimator=forest, windows={"current": {"last": "60d"}})
    path = project(tree, binary_table(6000))
    assert _run("baseline", path).exit_code == 0
    at_once = Session(params_module.load(path), as_of="2024-04-01")
    scored = checking.score(at_once, at_once.windows()[1])
    assert (scored.rows, scored.performance, scored.drift) == (0, None, None)
    later = Session(params_module.load(path), as_of="2024-04-20")
    scored = checking.score(later, later.windows()[1])
    new = later.records.between("new", datetime(2024, 4, 1), datetime(2024, 4, 20))
    assert abs(scored.rows - new.rows) <= 1
    assert scored.performance is not None
    assert scored.baseline is not None
    gap = abs(scored.performance.overall()["accuracy"] - scored.baseline.overall()["accuracy"])
    assert gap < 0.05, "a forest that has seen the records is right about nearly all of them"


def test_rollback_expects_the_champion_that_served_at_its_proof(project: Project) -> None:
    path = project(NUMERIC, binary_table())
    first = Session(params_module.load(path), as_of="2024-04-01")
    contest = lifecycle.first_champion(first)
    lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    for as_of in ("2024-04-10", "2024-04-20"):
        lifecycle.train(Session(params_module.load(path), as_of=as_of), None)
    session = Session(params_module.load(path), as_of="2024-04-25")
    versions = [version.version for version in session.registry.versions()]
    assert len(versions) >= 3
    champion = session.registry.champion()
    target, other = (version for version in versions if version != champion)
    proof = rollbacks.prove(session, target)
    session.registry.set_champion(other)    # somebody is quicker
    with pytest.raises(ChampionError, match=f"the champion is version {other}, not {champion} as expected"):
        rollbacks.roll_back(session, proof)
    assert session.registry.champion() == other


def test_x06_version_that_loads_but_cannot_predict_is_not_rolled_back_to(project: Project, home: Path) -> None:
    table = binary_table()
    path = project(NUMERIC, table)
    assert _run("baseline", path).exit_code == 0
    blind = make_pipeline(StandardScaler(), LogisticRegression()).fit(table[["x"]], table["y"])
    session = Session(params_module.load(path))
    modelfile.save(blind, home / "blind", package="sklearn", requirements=["scikit-learn"])
    version = session.registry.register(home / "blind", tags={"run_id": "none"}, metrics={})
    outcome = _run("rollback", path, extra={"to": version})
    assert outcome.exit_code == 4
    assert f"version {version} loads but cannot predict" in str(outcome.error)
    assert (outcome.result["champion_after"], session.registry.champion()) == (1, 1)
    session.registry.set_champion(version)    # the champion is broken, and no record has come for two years
    again = _run("rollback", path, as_of="2026-01-01", extra={"to": 1})
    assert (again.error, again.result["champion_before"], again.result["champion_after"]) == (None, version, 1)


def test_models_are_compared_on_records_that_the_champion_has_not_learned_from(project: Project) -> None:
    table = binary_table()
    path = project(NUMERIC, table)
    assert _run("baseline", path).exit_code == 0
    wide = Session(params_module.load(path, overrides=["windows.holdout=0.6"]), as_of="2024-04-10")
    challenger = lifecycle.train(wide, None)
    contest = lifecycle.evaluate_challenger(wide, wide.model(challenger.version))
    learned_until = parse_time(wide.champion.lineage["trained_until"])
    assert parse_time(challenger.lineage["holdout_from"]) < learned_until == contest.window.start
    old = Session(params_module.load(path, overrides=["windows.holdout=0.6"]), as_of="2024-02-01")
    stale = lifecycle.train(old, None)
    with pytest.raises(UsageError, match="cannot be compared fairly"):
        lifecycle.evaluate_challenger(wide, wide.model(stale.version))


def test_alias_that_somebody_removed_is_not_set_again_without_being_asked(project: Project) -> None:
    from mlflow import MlflowClient

    path = project(NUMERIC, binary_table())
    assert _run("baseline", path).result["champion_after"] == 1
    session = Session(params_module.load(path))
    somebody = MlflowClient(tracking_uri=session.registry.url, registry_uri=session.registry.url)
    somebody.delete_registered_model_alias(session.registry.name, "champion")
    for pipeline in ("drift", "retrain"):
        outcome = _run(pipeline, path)
        assert outcome.exit_code == 2
        assert "somebody removed the alias or the version that it named" in str(outcome.error)
        assert outcome.result["champion_after"] is None
    changes = session.ledger.succession.changes()
    assert [(change["kind"], change["to_version"]) for change in changes] == [("promotion", 1), ("foreign", None)]
    assert _run("baseline", path).result["champion_after"] == 2


def test_with_a_label_delay_the_champion_ends_where_labels_could_be_known(project: Project) -> None:
    """Records that nobody could learn from yet are not what it was made from: they are what it is measured on."""
    path = project(merged(NUMERIC, data={"label_delay": "20d"}, windows={"current": {"last": "40d"}}), binary_table())
    assert _run("baseline", path, as_of="2024-04-01").exit_code == 0
    session = Session(params_module.load(path), as_of="2024-04-10")
    lineage = session.champion.lineage
    assert parse_time(lineage["holdout_until"]) == datetime(2024, 3, 12)
    assert parse_time(lineage["as_of"]) == datetime(2024, 4, 1)
    current = session.records.window("current", session.params.windows.current)
    scored = checking.score(session, current)
    known = session.records.between("known", datetime(2024, 3, 12), datetime(2024, 3, 21), labelled=True)
    assert scored.performance is not None
    assert abs(scored.performance.rows - known.rows) <= 1
    found = {signal.name: signal for signal in session.signals(compare_windows(session))}
    due = session.records.between("due", current.start, datetime(2024, 3, 21))
    assert f"of the {due.rows:,} labels that are due" in found["label_completeness"].message
    assert found["model_age"].value == pytest.approx(29.0)
    earlier = Session(params_module.load(path), as_of="2024-03-20")
    with pytest.raises(UsageError, match="before version 1 was made"):
        checking.score(earlier, earlier.records.window("current", earlier.params.windows.current))


def compare_windows(session: Session) -> Drift:
    reference, current = session.windows()
    return compare(session.profile(reference), session.profile(current))


def test_first_retraining_makes_one_model_and_is_not_blocked(project: Project) -> None:
    path = project(merged(NUMERIC, windows={"reference": "training"}), binary_table())
    outcome = _run("retrain", path, as_of="2024-04-01")
    result = outcome.result
    assert (outcome.error, result["status"], result["verdict"], result["champion_after"]) == (
        None, "succeeded", "promote", 1)
    assert result["guard"]["blocked_by"] == ["something_new"]
    session = Session(params_module.load(path), as_of="2024-04-10")
    window, lineage = session.reference_window(), session.champion.lineage
    assert (window.start, window.end) == (parse_time(lineage["trained_from"]), parse_time(lineage["holdout_until"]))
    assert window.rows == lineage["train_records"] + lineage["holdout_records"], "its holdout is part of the reference"
    assert [event["trigger_type"] for event in session.ledger.retrains.retrain_events()] == ["baseline"]
    again = _run("retrain", path, as_of="2024-04-01")
    assert (again.result["status"], again.result["champion_after"]) == ("blocked", 1)
    other = _run("retrain", path, as_of="2024-04-01", overrides=("estimator.params.C=0.5",))
    assert other.result["guard"] == {"allowed": True, "blocked_by": []}


def test_training_beyond_its_time_ends_the_run_with_code_5(project: Project, tmp_path: Path) -> None:
    slow = {"class": "test_training.Misbehaving", "params": {"pid_file": str(tmp_path / "pids")},
            "trusted": ["test_training"]}
    path = project(merged(NUMERIC, estimator=slow, guardrails={"max_runtime": "2s"}), binary_table(400))
    outcome = _run("baseline", path)
    assert (outcome.exit_code, outcome.result["status"]) == (5, "timed_out")
    assert outcome.result["champion_after"] is None
    assert "guardrails.max_runtime" in str(outcome.error)
    (event,) = Session(params_module.load(path)).ledger.retrains.retrain_events()
    assert event["notes"].startswith("timed_out: training test_training.Misbehaving took longer than 2 s")
    assert (event["retrain_successful"], event["promoted"], event["new_version"]) == (False, False, None)


def test_records_without_a_time_are_counted(project: Project) -> None:
    table = binary_table(600)
    path = project(NUMERIC, table.assign(at=table["at"].where(table.index % 3 > 0)))
    assert Session(params_module.load(path)).check().timeless == 200

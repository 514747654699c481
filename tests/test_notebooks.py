"""The notebooks on three rungs: they run on tiny tables, their numbers make sense, they tell the story at full size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import BINARY, binary_table, merged, multiclass_table, regression_table

from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, run

ROOT = Path(__file__).resolve().parents[1]
FLIGHTS = ROOT / "data" / "flights.parquet"

MULTICLASS: dict[str, Any] = merged(
    BINARY,
    data={"label": "category", "numeric": ["amount"], "categorical": [], "text": ["description"]},
    estimator={"class": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 200}},
    promotion={"criteria": [{"metric": "accuracy", "max_drop": 0.05}, {"metric": "f1", "floor": 0.5}]},
)
REGRESSION: dict[str, Any] = merged(
    BINARY,
    task="regression",
    data={"label": "y", "numeric": ["x", "z"], "categorical": []},
    estimator={"class": "sklearn.ensemble.HistGradientBoostingRegressor", "params": {"max_iter": 30}},
    promotion={"criteria": [{"metric": "mae", "max_drop": 0.1}, {"metric": "r2", "floor": 0.5}]},
)


def _run(params: Path, pipeline: str, **settings: Any) -> Outcome:
    return run(Request(pipeline=pipeline, params=params, progress=False, **settings))


def _steps(outcome: Outcome) -> list[str]:
    manifest = json.loads((Path(outcome.result["run_dir"]) / "run.json").read_text())
    return [step["notebook"] for step in manifest["steps"]]


@pytest.mark.parametrize(
    ("tree", "table"),
    [(MULTICLASS, multiclass_table), (REGRESSION, regression_table)],
    ids=["multiclass with text", "regression"],
)
def test_any_table_runs_through_the_whole_loop_from_a_params_file(
    project: Callable[..., Path], tree: dict[str, Any], table: Callable[..., Any]
) -> None:
    forced = merged(tree, triggers=[{"signal": "model_age", "at_least": 0, "severity": "high"}])
    params = project(forced, table(2000))
    first = _run(params, "retrain", as_of="2024-03-15")
    assert (first.error, _steps(first)) == (None, ["01_baseline", "02_drift_analysis"])
    outcome = _run(params, "retrain", as_of="2024-04-15")
    assert outcome.error is None
    assert _steps(outcome) == ["02_drift_analysis", "03_retrain", "04_evaluate_and_promote"]
    assert (first.result["champion_before"], outcome.result["champion_before"]) == (None, 1)
    assert outcome.result["verdict"] in {"promote", "reject", "hold"}


def test_quiet_data_ends_with_the_drift_analysis(project: Callable[..., Path]) -> None:
    outcome = _run(project(BINARY, binary_table()), "retrain", as_of="2024-04-15")
    assert outcome.error is None
    assert _steps(outcome) == ["01_baseline", "02_drift_analysis"]
    assert outcome.result["decision"]["needs_retrain"] is False
    assert outcome.result["verdict"] == "promote", "of the first model; nothing came of the drift analysis"
    assert outcome.result["champion_after"] == 1


def test_metrics_of_a_small_model_are_what_the_table_allows(project: Callable[..., Path]) -> None:
    params = project(BINARY, binary_table())
    baseline = _run(params, "baseline", as_of="2024-03-01")
    metrics = baseline.result["metrics"]["champion"]
    assert 0.80 < metrics["roc_auc"] < 0.95    # the best possible on this table is about 0.88
    assert metrics["log_loss"] < 0.55
    drift = _run(params, "drift", as_of="2024-04-15")
    assert abs(drift.result["metrics"]["champion"]["roc_auc"] - metrics["roc_auc"]) < 0.08
    assert _steps(drift) == ["02_drift_analysis"]


@pytest.mark.full
def test_the_flights_tell_the_story_of_the_demo(home: Path) -> None:
    assert FLIGHTS.exists(), "make data/flights.parquet makes it"
    (home / "params").mkdir()
    (home / "data").mkdir()
    shutil.copy(ROOT / "params" / "demo.yaml", home / "params")
    (home / "data" / "flights.parquet").symlink_to(FLIGHTS)
    params = home / "params" / "demo.yaml"

    first = _run(params, "baseline", as_of="2013-04-01").result
    assert first["champion_after"] == 1
    assert first["metrics"]["champion"]["roc_auc"] == pytest.approx(0.70, abs=0.015)

    summer = _run(params, "retrain", as_of="2013-07-01").result
    assert summer["decision"]["severity"] in {"high", "critical"}
    assert "temp" in summer["decision"]["reasons"][0]
    assert summer["verdict"] == "promote"
    gain = summer["metrics"]["challenger"]["roc_auc"] - summer["metrics"]["champion"]["roc_auc"]
    assert 0.02 < gain < 0.05

    quiet = _run(params, "drift", as_of="2013-12-01").result    # a winter like the one that version 2 has seen
    assert not quiet["decision"]["needs_retrain"]
    by_calendar = "triggers=[{signal: model_age, at_least: 90, severity: high}]"
    winter = _run(params, "retrain", as_of="2013-12-01", overrides=("windows.training.last=90d", by_calendar)).result
    assert winter["verdict"] == "reject"
    assert winter["champion_after"] == winter["champion_before"] == 2

    back = _run(params, "rollback", as_of="2013-12-01").result
    assert (back["champion_before"], back["champion_after"]) == (2, 1)

"""The pipeline (P): tests of what is required, by its id in docs/requirements.md; see `promises`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import binary_table
from promises import ROOT, challenged, fixed, params, two_models

import trimtab as tt
from trimtab import params as params_module
from trimtab.decide.columns import feature_drift
from trimtab.decide.decision import Decision
from trimtab.decide.promotion import judge
from trimtab.decide.signals import default_triggers, grade, new_records
from trimtab.errors import ParamsError
from trimtab.measure.models.performance import evaluate_pair
from trimtab.run import approving, checking, lifecycle
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.settings.drift import DriftSettings
from trimtab.settings.promotion import Criterion
from trimtab.settings.triggers import Trigger

__all__ = ["params"]    # a fixture


@pytest.mark.parametrize("name", ["x", "z"])
def test_p02_every_feature_has_its_ks_and_psi_and_triggers_by_itself_from_0_2_on(
    project: Callable[..., Path], name: str
) -> None:
    """One feature moves by half its spread, the others stay."""
    rules, table = DriftSettings(psi_alert=0.2), binary_table(4000)
    table.loc[table["at"] >= "2024-03-20", name] += 0.5
    session = fixed(project, table)
    drift = tt.compare(*(session.profile(window) for window in session.windows()))
    signal = grade(feature_drift(drift, rules), default_triggers(rules))
    assert (signal.severity, signal.columns) == ("high", (name,))
    assert 0.2 <= signal.value < 0.35
    frame = drift.to_frame()
    assert frame.loc[["x", "z"], ["psi", "ks", "ks_p"]].notna().all(axis=None)
    assert (frame["ks"].idxmax(), frame["ks_p"].idxmin()) == (name, name)


def test_p03_more_than_a_thousand_new_records_can_ask_for_retraining() -> None:
    rule = Trigger(signal="new_records", at_least=1001, severity="high")
    assert [grade(new_records(count), [rule]).severity for count in (1000, 1001)] == ["none", "high"]


def test_p04_several_candidates_are_trained_and_registered_and_the_best_goes_forward(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15", overrides={
        "estimator.class": None,
        "estimator.candidates": {
            "guess": {"class": "sklearn.dummy.DummyClassifier"},
            "forest": {"class": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 20}},
        },
    })
    made = lifecycle.train(session, None)
    assert len(session.registry.versions()) == 3
    assert made.name == "forest"
    assert made.others["forest"] > made.others["guess"]


def test_p04_forest_xgboost_network_and_their_vote_are_trained_kept_and_loaded_again(params: Path) -> None:
    classes = {"forest": "sklearn.ensemble.RandomForestClassifier", "xgboost": "xgboost.XGBClassifier",
               "network": "sklearn.neural_network.MLPClassifier"}
    small = {"forest": {"n_estimators": 5}, "xgboost": {"n_estimators": 5}, "network": {"max_iter": 500, "tol": 0.01}}
    candidates: dict[str, Any] = {
        name: {"class": path, "params": {"random_state": 0, **small[name]}} for name, path in classes.items()}
    members = list(classes)
    soft = {"voting": "soft"}
    candidates["vote"] = {"class": "sklearn.ensemble.VotingClassifier", "members": members, "params": soft}
    candidates["stack"] = {"class": "sklearn.ensemble.StackingClassifier", "members": members, "params": {"cv": 2}}
    session = tt.open(params, as_of="2024-04-15", overrides={
        "estimator.class": None, "estimator.candidates": candidates, "estimator.trusted": ["sklearn", "xgboost"]})
    made = lifecycle.train(session, None)
    assert set(made.others) == set(candidates)
    rows = [row for row in session.ledger.versions() if row["lineage"]["candidate"] in candidates]
    frame = session.frame(session.windows()[1], labelled=False)[list(session.params.data.features)]
    scores = {row["lineage"]["candidate"]: session.model(row["version"]).estimator.predict_proba(frame) for row in rows}
    assert set(scores) == set(candidates)
    assert {row["lineage"]["candidate"]: row["lineage"]["package"] for row in rows} == {
        "forest": "sklearn", "network": "sklearn", "xgboost": "xgboost", "vote": "sklearn xgboost",
        "stack": "sklearn xgboost"}
    mean = sum(scores[name] for name in members) / len(members)
    # Members of the vote were fitted anew, from the same seeds on the same records.
    np.testing.assert_allclose(scores["vote"], mean, atol=1e-6)


@pytest.mark.parametrize(("change", "words"), [
    ({"members": ["tree", "gone"]}, "'gone' is no member; an ensemble has those without members: tree"),
    ({"members": ["vote"]}, "'vote' is no member"),
    ({"members": ["tree"], "params": {"estimators": []}}, "members takes the place of params.estimators"),
])
def test_p04_an_ensemble_of_what_is_no_candidate_is_refused(params: Path, change: dict[str, Any], words: str) -> None:
    candidates = {"tree": {"class": "sklearn.tree.DecisionTreeClassifier"},
                  "vote": {"class": "sklearn.ensemble.VotingClassifier", **change}}
    with pytest.raises(ParamsError, match=words):
        tt.open(params, overrides={"estimator.class": None, "estimator.candidates": candidates})


def test_p05_new_and_old_are_compared_on_several_metrics_with_the_improvement_in_percent(params: Path) -> None:
    session, made = challenged(params)
    contest = lifecycle.evaluate_challenger(session, session.model(made.version))
    measured = {measure.metric for measure in contest.evaluation.differences}
    assert {"accuracy", "roc_auc", "log_loss", "f1"} <= measured
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    assert np.isfinite(session.ledger.retrains.retrain_events()[0]["improvement_percent"])


def test_p05_evaluation_is_reported_metric_by_metric(params: Path) -> None:
    outcome = run(Request("retrain", params, as_of="2024-04-15", progress=False))
    assert outcome.report is not None
    told = outcome.report.read_text()
    found = outcome.result["metrics"]
    for name in ("accuracy", "roc_auc", "log_loss", "f1"):
        row = re.search(rf"<tr><td>{name}</td>(.*?)</tr>", told)
        assert row is not None
        before, after, gain = re.findall(r"<td class=\"number\">([^<]*)</td>", row[1])
        assert (before, after) == tuple(f"{found[who][name]:.4f}" for who in ("champion", "challenger"))
        worse = name == "log_loss"    # less of it is better
        assert float(gain) == pytest.approx((float(after) - float(before)) * (-1 if worse else 1), abs=2e-4)
    page = outcome.report.with_name("04_evaluate_and_promote.html").read_text()
    assert {"finding", "required", "records that count"} <= set(re.findall(r"<th[^>]*>([^<]+)</th>", page))


def test_p06_who_approved_a_challenger_when_and_why_is_recorded(params: Path) -> None:
    waived = {"promotion.criteria": [{"metric": "roc_auc", "min_relative_gain": 0.05, "otherwise": "approve"}]}
    session = tt.open(params, as_of="2024-04-15", run_id="asks", overrides=waived)
    contest = lifecycle.evaluate_challenger(session, session.model(lifecycle.train(session, None).version))
    verdict = lifecycle.judge(session, contest)
    assert verdict.outcome == "needs_approval"
    lifecycle.appoint(session, contest, verdict)
    assert session.registry.champion() == 1
    later = tt.open(params, as_of="2024-04-15", run_id="answers", overrides=waived)
    asked = approving.request(later, "asks")
    approving.answer(later, asked, approving.checks(later, asked), "approved", by="Ada", why="good enough")
    assert later.registry.champion() == 2
    known = later.ledger.approvals.of_run("asks")
    assert known is not None
    assert known.decided_at is not None
    assert (known.state, known.by, known.why) == ("approved", "Ada", "good enough")


@pytest.mark.parametrize(("better", "outcome"), [(0.66, "promote"), (0.61, "needs_approval")])
def test_p06_five_percent_better_promotes_and_less_waits_for_approval(better: float, outcome: str) -> None:
    champion, challenger = two_models(0.60, better, n=20_000)
    gate = [Criterion(metric="accuracy", min_relative_gain=0.05, otherwise="approve")]
    assert judge(gate, evaluate_pair(challenger, champion)).outcome == outcome


def test_p07_message_that_no_mail_server_takes_is_in_the_log_and_fails_no_run(
    params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trimtab.run import runner
    from trimtab.run.pipelines import PIPELINES

    monkeypatch.setitem(PIPELINES, "baseline", lambda run: run.step("no_such_notebook"))
    home = Path(os.environ["TRIMTAB_HOME"])
    down = "alerts.urls=['mailtos://me:hunter2222@localhost:9?smtp=localhost&from=a@b.org&to=a@b.org']"
    outcome = runner.run(Request("baseline", params, as_of="2024-04-15", overrides=(down,), progress=False))
    assert outcome.exit_code == 4
    told = (home / ".trimtab" / "alerts.log").read_text()
    assert "demo: baseline failed" in told
    assert "hunter2222" not in told


def test_p11_quiet_hours_and_a_budget_hold_retraining_back(params: Path) -> None:
    thrifty = {
        "guardrails.budget": 1, "guardrails.cooldown": "0d",
        "guardrails.quiet_hours": [{"from": "00:00", "to": "06:00"}],
    }
    session = tt.open(params, as_of="2024-04-15T03:00:00", overrides=thrifty)
    session.ledger.retrains.record_retrain("before", as_of=session.as_of - timedelta(days=20), retrain_attempted=True)
    guard = checking.guard(session, Decision(True, "high", 0.9, ("Inputs drifted.",), ()))
    assert guard.blocked_by == ("budget", "quiet_hours")


def test_p12_all_models_are_retrained_from_a_year_of_flights_well_within_two_hours() -> None:
    """As it was measured; `make bench PARTS=stories` measures again."""
    results = ROOT / "bench" / "results" / "stories.json"
    cycle, limit = json.loads(results.read_text())["found"]["stories"]["pipeline"]["cycle"], 2 * 3600
    assert cycle["records"] > 250_000
    assert 0 < cycle["fit_seconds"] < cycle["seconds"] < limit
    assert cycle["verdict"], "what came of it was decided"
    trained = params_module.load(ROOT / "params" / "pipeline.yaml", environment={}).params.estimator.candidates
    assert len(trained) == 4, "all of them in the seconds that were measured"

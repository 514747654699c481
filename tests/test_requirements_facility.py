"""The facility (F): tests of what is required, by its id in docs/requirements.md; see `promises`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import BINARY, SHIFTED, binary_table, merged
from promises import ROOT, challenged, params, two_models
from scipy.special import expit
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import trimtab as tt
from trimtab import params as params_module
from trimtab.act import champion as champions
from trimtab.act import modelfile
from trimtab.decide import guardrails
from trimtab.decide.alerts import Happened, messages
from trimtab.decide.decision import Decision
from trimtab.decide.losses import performance_drop
from trimtab.decide.promotion import judge
from trimtab.decide.signals import Signal, default_triggers, grade, label_completeness
from trimtab.errors import UsageError
from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import evaluate_pair
from trimtab.measure.over_time.certainty import of_day
from trimtab.run import backfill, checking, guarding, lifecycle
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.settings.drift import DriftSettings
from trimtab.settings.notation import parse_time
from trimtab.settings.promotion import Criterion

__all__ = ["params"]    # a fixture
DRIFTED = Decision(True, "high", 0.9, ("Inputs drifted.",), ())


def test_f01_each_version_has_one_snapshot_a_day_that_can_be_queried(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    checking.history(session, session.records.window("current", session.params.windows.current))
    with session.ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT model, tenant, version, day, accuracy, precision, recall, f1, pr_auc, "
            "json_extract(metrics, '$.true_positives') FROM performance_snapshots WHERE day >= '2024-04-01'"
        ).all()
    assert len(rows) == len({tuple(row[:4]) for row in rows}) == 14
    assert all(0 <= row[4] <= 1 and row[9] is not None for row in rows)
    for one in session.ledger.days.snapshots(session.champion.version):
        assert one.confusion is not None
        assert one.confusion.records == one.labelled
        for name in ("accuracy", "roc_auc", "log_loss"):
            found = of_day(one, name)
            assert found.low <= found.value <= found.high
            assert found.low < found.high


def test_f01_snapshots_hold_each_class_and_each_segment(project: Callable[..., Path]) -> None:
    table = binary_table(600)
    table["site"] = np.where(np.arange(600) % 3 == 0, "north", "south")
    session = tt.open(project(merged(BINARY, data={"segments": ["site"]}), table), as_of="2024-04-15")
    contest = lifecycle.first_champion(session)
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    taken = [one for one in session.ledger.days.snapshots(session.champion.version) if one.labelled]
    parts = [{name: group for name, group in one.groups.items() if name.startswith("site")} for one in taken]
    assert {name for part in parts for name in part} == {"site = north", "site = south"}
    assert all(sum(group["labelled"] for group in part.values()) == one.labelled
               for part, one in zip(parts, taken, strict=True))
    right = [sum(group["accuracy"] * group["labelled"] for group in part.values()) for part in parts]
    assert right == pytest.approx([one.metrics["accuracy"] * one.labelled for one in taken])
    assert all(one.groups["class True"]["recall"] == one.metrics["recall"] for one in taken
               if "class True" in one.groups)


def test_f02_prediction_intervals_are_in_the_snapshot(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    past = checking.history(session, session.records.window("current", session.params.windows.current))
    with session.ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT interval_width, narrow_share, coverage FROM performance_snapshots WHERE day >= '2024-04-01'"
        ).all()
    assert len(rows) == 14
    assert all(0 <= row[0] <= 2 and 0 <= row[1] <= 1 and 0 <= row[2] <= 1 for row in rows)
    assert past.promises is not None
    assert past.promises.promised == 0.9
    assert past.promises.coverage.low < past.promises.coverage.value < past.promises.coverage.high


def test_f03_drift_indicators_are_in_the_snapshot(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    window = session.windows()[1]
    checking.history(session, window)
    lost = checking.performance_drop(session, checking.score(session, window))
    found = [grade(lost, default_triggers(session.thresholds))]
    decision = tt.decide(found, session.params)
    checking.record(session, found, decision, checking.guard(session, decision), window)
    with session.ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT day, p_value, performance_delta, is_degraded FROM performance_snapshots "
            "WHERE is_degraded IS NOT NULL"
        ).all()
    assert [tuple(row) for row in rows] == [
        ("2024-04-14", pytest.approx(found[0].p_value), pytest.approx(-found[0].value), found[0].severity != "none")]


def test_f04_predictions_are_compared_by_kolmogorov_smirnov_from_thirty_records_on(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    found = checking.score(session, session.windows()[1]).drift
    assert found is not None
    score = found["score"]
    assert 0 < score.ks < 1
    assert score["wasserstein"].p_value < 0.01    # the test is that of Kolmogorov and Smirnov, days allowed for
    few = session.records.between("current", datetime(2024, 4, 14, 12), datetime(2024, 4, 14, 23))
    scarce = checking.score(session, few)
    assert scarce.rows < 30
    assert scarce.drift is not None
    assert np.isnan(scarce.drift["score"].q_value)


@pytest.mark.parametrize(("now", "severity"), [(0.88, "none"), (0.84, "medium"), (0.79, "high"), (0.70, "critical")])
def test_f05_realised_drop_is_graded_at_5_10_and_20_percent(now: float, severity: str) -> None:
    narrow = 0.001
    before, after = (Interval(v, v - narrow, v + narrow, 0.95, narrow / 2) for v in (0.9, now))
    measured = performance_drop("accuracy", before, after, greater_is_better=True)
    assert grade(measured, default_triggers(DriftSettings())).severity == severity


def test_f06_windows_slide_seven_days_against_thirty_to_sixty_days_ago(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15", overrides={
        "windows.reference": {"last": "60d", "until": "30d"}, "windows.current": {"last": "7d"},
    })
    reference, current = session.windows()
    assert (reference.start, reference.end) == (datetime(2024, 2, 15), datetime(2024, 3, 16))
    assert (current.start, current.end) == (datetime(2024, 4, 8), datetime(2024, 4, 15))


def test_f07_alert_has_a_summary_and_a_recommendation_and_comes_once_a_day(tmp_path: Path) -> None:
    from trimtab.act.database import connect
    from trimtab.act.outbox import Outbox

    outbox = Outbox(connect(f"sqlite:///{tmp_path}/ledger.db"), "demo")
    for run_id in ("r1", "r2"):
        outbox.put(run_id, messages(Happened("demo", None, run_id, "drift", "failed", "p.yaml", "report.html")))
    second, first = outbox.all()
    assert (first.state, second.state) == ("waiting", "held")
    assert first.title == "demo: drift failed"
    assert "What to do:" in first.body
    assert "Report: report.html" in first.body


def test_f08_five_safeguards_stand_before_retraining_and_each_tells_its_evidence(params: Path) -> None:
    asked = Decision(True, "medium", 0.9, ("Inputs drifted.",), ())
    off = {"guardrails.master": False, "guardrails.enabled": False, "guardrails.min_records": 10**6}
    session = tt.open(params, as_of="2024-04-15", overrides=off)
    session.ledger.retrains.record_retrain("before", as_of=session.as_of - timedelta(days=3), retrain_attempted=True)
    session.ledger.lease.acquire("another")
    guard = checking.guard(session, asked)
    assert guard.blocked_by == ("master", "enabled", "one_run", "min_severity", "min_records", "cooldown")
    told = {check.name: check.evidence for check in guard.checks}
    assert told["cooldown"] == "the last retraining was 3d ago, at least 7d is asked for"
    assert "another" in told["one_run"]


def test_f08_a_feature_that_holds_nothing_any_more_keeps_a_model_from_learning_without_it(
    project: Callable[..., Path]
) -> None:
    table = binary_table(shift=2.0)
    session = tt.open(project(SHIFTED, table), as_of="2024-02-20", run_id="first")
    contest = lifecycle.first_champion(session)
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    table.loc[table["at"] >= "2024-03-20", "z"] = None
    session = tt.open(project(SHIFTED, table), as_of="2024-04-15", run_id="second")
    guard = checking.guard(session, DRIFTED)
    assert guard.blocked_by == ("contract",)
    told = "contract: column 'z' holds nothing in the current window, and was never empty for as long before"
    assert guard.obstacles == (told,)
    with pytest.raises(UsageError, match="column 'z' holds nothing"):
        lifecycle.train(session, guard, trigger=DRIFTED)


@pytest.mark.parametrize(("held", "blocked"), [(1, ()), (5, ()), (12, ("contract",))])
def test_f08_a_column_that_is_empty_between_seasons_has_not_gone_when_it_is_empty_again(
    project: Callable[..., Path], held: int, blocked: tuple[str, ...]
) -> None:
    """Of thirty days each, the column holds something on the first; the current window of twenty days has none."""
    table = binary_table(shift=2.0)
    days = (table["at"] - table["at"].min()).dt.days
    table.loc[(days % 30 >= held) | (table["at"] >= "2024-03-20"), "z"] = None
    session = tt.open(project(SHIFTED, table), as_of="2024-02-20", run_id="first")
    contest = lifecycle.first_champion(session)
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    session = tt.open(project(SHIFTED, table), as_of="2024-04-15", run_id="second")
    assert checking.guard(session, DRIFTED).blocked_by == blocked


def test_f09_critical_drift_waits_for_manual_approval(params: Path) -> None:
    critical = Decision(True, "critical", 0.99, ("Inputs drifted.",), ())
    wanted = {"guardrails.approval": "critical"}
    session = tt.open(params, as_of="2024-04-15", run_id="asks", overrides=wanted)
    guard = checking.guard(session, critical)
    assert guard.blocked_by == ("approval",)
    with pytest.raises(UsageError, match="retraining is blocked by approval"):
        lifecycle.train(session, guard, trigger=critical)
    guarding.ask(session, critical, guard)
    session.ledger.approvals.decide("asks", "approved", by="Ada", why="the strike is over")
    assert checking.guard(session, critical).allowed


def test_f10_floors_bound_the_challenger_alone() -> None:
    champion, challenger = two_models(0.60, 0.65)
    gate = [Criterion(metric="accuracy", floor=0.70), Criterion(metric="precision", floor=0.60)]
    verdict = judge(gate, evaluate_pair(challenger, champion))
    assert verdict.outcome == "reject"
    assert [row.finding for row in verdict.rows] == ["failed", "passed"]


@pytest.mark.parametrize(("model", "floors"), [
    ("conflict", {"accuracy": 0.70, "precision": 0.60, "pr_auc": 0.70}),
    ("fraud", {"pr_auc": 0.70, "precision_at_recall_80": 0.50}),
])
def test_f10_floors_are_in_the_files_of_the_facility(model: str, floors: dict[str, float]) -> None:
    criteria = params_module.load(ROOT / "params" / f"facility-{model}.yaml", environment={}).params.promotion.criteria
    assert {one.metric: one.floor for one in criteria if one.floor is not None} == floors


@pytest.mark.parametrize(("apart", "outcome"), [(0.3, "reject"), (3.0, "promote")])
def test_f10_floors_of_pr_auc_and_of_precision_at_a_recall_keep_a_challenger_out(apart: float, outcome: str) -> None:
    """One record in ten is what is sought; the floors are the fraud system's."""
    rng = np.random.default_rng(10)
    actual = (np.arange(5000) % 10 == 0).astype(int)
    scores = expit(rng.normal(size=5000) + apart * actual - 1)
    challenger = Outputs(("no", "yes"), actual, (scores >= 0.5).astype(int), np.column_stack([1 - scores, scores]), 1)
    gate = [Criterion(metric="pr_auc", floor=0.70), Criterion(metric="precision_at_recall_80", floor=0.50)]
    verdict = judge(gate, evaluate_pair(challenger, challenger, metrics=[one.metric for one in gate]))
    assert verdict.outcome == outcome
    assert {row.finding for row in verdict.rows} == {"failed" if outcome == "reject" else "passed"}


def test_f11_new_champion_that_is_worse_on_new_records_is_rolled_back_by_the_next_run(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    table = pd.read_parquet(params.parent / "records.parquet")
    turned = make_pipeline(make_column_transformer((StandardScaler(), ["x", "z"])), LogisticRegression())
    modelfile.save(turned.fit(table, ~table["y"]), params.parent / "turned", package="sklearn",
                   requirements=["scikit-learn"])
    version = session.registry.register(params.parent / "turned", tags={"run_id": "r"}, metrics={})
    champions.change(
        session.ledger, session.registry, kind="promotion", expected=1, to_version=version, run_id="r",
        as_of=session.as_of, by="me", why="testing")
    outcome = run(Request(pipeline="retrain", params=params, as_of="2024-04-20", progress=False,
                          overrides=("rollback.watch=5d",)))
    assert outcome.error is None
    assert (outcome.result["verdict"], outcome.result["decision"]) == ("rolled_back", None)
    assert (outcome.result["champion_before"], outcome.result["champion_after"]) == (version, 1)
    assert list(session.ledger.quarantine.held()) == [version]
    later = tt.open(params, as_of="2024-04-20")
    assert "cooldown" in checking.guard(later, tt.decide([], later.params)).blocked_by


def test_f11_emergency_rollback_is_one_command(params: Path) -> None:
    session, made = challenged(params)
    contest = lifecycle.evaluate_challenger(session, session.model(made.version))
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    outcome = run(Request(pipeline="rollback", params=params, as_of="2024-04-15", progress=False))
    assert outcome.error is None
    assert (outcome.result["champion_before"], outcome.result["champion_after"]) == (2, 1)


@pytest.mark.parametrize(("overlay", "automatic"), [("dev", True), ("staging", True), ("prod", False)])
def test_f13_production_retrains_by_itself_only_once_it_is_switched_on(overlay: str, automatic: bool) -> None:
    file = ROOT / "params" / f"{overlay}.yaml"
    assert params_module.load(file, environment={}).params.guardrails.master == automatic
    switched = params_module.load(file, environment={"TRIMTAB_GUARDRAILS__MASTER": "true"}).params.guardrails
    assert switched.master


@pytest.mark.parametrize("rules", ["dev", "staging", "prod"])
@pytest.mark.parametrize("model", ["facility-conflict", "facility-fraud", "bookkeeper", "autoretrain", "pipeline"])
def test_f13_rules_of_a_place_stand_below_any_model_that_keeps_its_own(rules: str, model: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "params", tmp_path / "params")
    file = tmp_path / "params" / "here.yaml"
    file.write_text(f"extends: [rules/{rules}.yaml, {model}.yaml]\n")
    here, alone, place = (
        params_module.load(one, environment={}).params.guardrails for one in (
            file, ROOT / "params" / f"{model}.yaml", _bare(tmp_path, rules)))
    own = yaml.safe_load((ROOT / "params" / f"{model}.yaml").read_text()).get("guardrails", {})
    assert here.master == (rules != "prod")
    for key in type(here).model_fields:
        assert getattr(here, key) == getattr(alone if key in own else place, key), key


def _bare(folder: Path, rules: str) -> Path:
    """Rules over a model that has none of its own."""
    file = folder / "params" / "bare.yaml"
    model = yaml.safe_load((ROOT / "params" / "demo.yaml").read_text())
    (folder / "params" / "nothing.yaml").write_text(yaml.safe_dump({**model, "guardrails": {}}))
    file.write_text(f"extends: [rules/{rules}.yaml, nothing.yaml]\n")
    return file


def test_f13_one_pilot_tenant_is_switched_on_alone() -> None:
    pilot = ["guardrails.master=true", "guardrails.tenants=[pilot]"]
    settings = params_module.load(ROOT / "params" / "prod.yaml", environment={}, overrides=pilot).params.guardrails
    sunday = datetime(2024, 4, 14)
    blocked = {
        tenant: guardrails.check(DRIFTED, settings, guardrails.Circumstances(10**6, sunday, tenant=tenant)).blocked_by
        for tenant in ("pilot", "other", None)
    }
    assert blocked == {"pilot": (), "other": ("tenants",), None: ("tenants",)}


@pytest.mark.parametrize(("known", "severity"), [(1000, "none"), (500, "none"), (499, "medium"), (0, "medium")])
def test_f14_fewer_than_half_of_the_outcomes_raise_a_signal(known: int, severity: str) -> None:
    signal = grade(label_completeness(1000, known), default_triggers(DriftSettings()))
    assert signal.severity == severity
    assert signal.value == pytest.approx(1 - known / 1000)


def test_f14_labels_that_stay_away_are_told_of() -> None:
    signal = grade(label_completeness(1000, 380), default_triggers(DriftSettings()))
    (told,) = messages(Happened("demo", None, "r1", "drift", "succeeded", "p.yaml", "page", signals=[asdict(signal)]))
    assert (told.kind, told.title) == ("warning", "demo: label completeness medium")
    assert "62.0% of the 1,000 labels that are due are not known yet." in told.numbers


def test_f15_history_is_filled_in_afterwards(params: Path) -> None:
    session, found = backfill.run(Request(pipeline="backfill", params=params, as_of="2024-04-15", progress=False))
    until = parse_time(session.model(1).lineage["holdout_until"])
    taken = session.ledger.days.snapshots(1, until.date() + timedelta(days=1))
    assert [one.day for one in taken] == [until.date() + timedelta(days=i + 1) for i in range(len(taken))]
    assert taken[-1].day == datetime(2024, 4, 14).date()
    assert found.counted == 105    # 1 January to 14 April


def test_f16_drift_must_persist_where_that_is_asked_for(params: Path) -> None:
    wanted = {"guardrails.confirmation": "7d"}
    for day, allowed in ((8, False), (12, False), (15, True)):
        session = tt.open(params, as_of=f"2024-04-{day:02}", run_id=f"day-{day}", overrides=wanted)
        guard = checking.guard(session, DRIFTED)
        assert guard.allowed == allowed, guard
        checking.record(session, [Signal("feature_drift", 1.0, 0.25, 0.0, "high", ("x",), "x moved.")], DRIFTED, guard)

"""Automatic retraining (A): tests of what is required, by its id in docs/requirements.md; see `promises`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from conftest import SHIFTED, binary_table
from promises import near, params
from sklearn.ensemble import GradientBoostingClassifier

import trimtab as tt
from trimtab.act import tables
from trimtab.decide.losses import concept_drift, graded_loss, performance_drop
from trimtab.decide.signals import default_triggers, grade
from trimtab.measure.over_time.error_change import consecutive
from trimtab.run import checking, lifecycle
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.settings.drift import DriftSettings
from trimtab.settings.notation import parse_time
from trimtab.settings.triggers import Trigger

__all__ = ["params"]    # a fixture


def test_a01_kolmogorov_smirnov_from_profiles_is_scipys(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    for name in ("x", "z", "noise"):
        a, b = (session.records.frame(window, [name])[name] for window in (reference, current))
        assert drift[name].ks == pytest.approx(scipy.stats.ks_2samp(a, b).statistic, abs=0.01)


def test_a02_more_than_five_percent_outliers_raise_a_signal(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    signal = next(s for s in session.signals(drift) if s.name == "outliers")
    assert signal.columns == ("x",)
    assert signal.value > 0.05    # two standard deviations to the right, 16 % lie beyond three
    assert signal.severity == "medium"


def test_a03_fifteen_percent_more_error_than_in_the_window_before_is_concept_drift() -> None:
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(60), 40)
    errors = np.abs(rng.normal(size=len(days)))
    before, now = days < 30, days >= 30
    for factor, severity in ((1.0, "none"), (1.2, "medium"), (1.4, "high")):
        change = consecutive(errors[before], factor * errors[now], days_before=days[before], days_now=days[now])
        signal = grade(concept_drift(change, "mean absolute error"), default_triggers(DriftSettings()))
        assert signal.severity == severity


@pytest.mark.parametrize(
    ("metric", "before", "now", "severity"),
    [("r2", 0.80, 0.77, "none"), ("r2", 0.80, 0.75, "high"), ("rmse", 10.0, 10.9, "none"), ("rmse", 10.0, 11.1, "high"),
     ("accuracy", 0.80, 0.75, "high")],
)
def test_a04_each_metric_has_its_own_rule(metric: str, before: float, now: float, severity: str) -> None:
    rules = [Trigger(signal="performance_drop", metric=name, at_least=share, severity="high")
             for name, share in (("r2", 0.05), ("rmse", 0.10), ("accuracy", 0.05))]
    lost = performance_drop(metric, near(before), near(now), greater_is_better=metric != "rmse")
    assert graded_loss({metric: lost}, rules, primary=metric).severity == severity


def test_a05_signals_become_one_severity_a_probability_and_root_causes_by_what_the_champion_relies_on(
    project: Callable[..., Path],
) -> None:
    """Noise moves farther than any other column, but x is what the champion goes by."""
    table = binary_table(4000, shift=1.0)
    table["noise"] += 9.0 * (np.arange(len(table)) >= len(table) // 2)
    path = project(SHIFTED, table)
    first = tt.open(path, as_of="2024-02-28")
    contest = lifecycle.first_champion(first)
    lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    session = tt.open(path, as_of="2024-04-15")
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    causes = checking.causes(session, drift)
    decision = tt.decide(session.signals(drift), session.params, causes=causes)
    assert drift.columns[0].name == "noise"
    assert decision.severity in ("high", "critical")
    assert 0.5 < decision.confidence <= 1
    assert decision.root_causes[:2] == ("x", "noise")
    assert causes.ranked[0].message.startswith("x moved (")
    assert "hardly uses it" in causes.ranked[1].message


def test_a07_champion_answers_while_a_challenger_is_trained_in_another_process(
    params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _here(*_: object, **__: object) -> None:
        raise AssertionError("trained in the process that serves")

    monkeypatch.setattr(GradientBoostingClassifier, "fit", _here)
    session = tt.open(params, as_of="2024-04-15", overrides={
        "estimator.class": "sklearn.ensemble.GradientBoostingClassifier", "estimator.params": {"n_estimators": 400}})
    records = session.records.frame(session.windows()[1], ["x", "z", "noise", "kind"]).head(5)
    answered = 0
    with ThreadPoolExecutor(1) as background:
        training = background.submit(lifecycle.train, session, None)
        while not training.done():
            other = tt.open(params, as_of="2024-04-15")
            assert len(other.champion.estimator.predict(records)) == 5
            answered += 1
    assert (training.result().version, answered > 0, session.registry.champion()) == (2, True, 1)


def test_a08_retrain_event_has_the_documented_columns_and_indexes() -> None:
    wanted = {"trigger_type", "severity", "drift_type", "reason", "metrics", "retrain_attempted", "retrain_successful",
              "new_version", "new_r2", "new_rmse", "new_accuracy", "previous_r2", "improvement_percent", "triggered_at",
              "completed_at"}
    assert wanted <= set(tables.retrain_events.c.keys())
    assert {"retrain_events_by_model", "retrain_events_by_trigger"} <= {i.name for i in tables.retrain_events.indexes}


@pytest.mark.parametrize(("as_of", "kind"), [
    ("2024-02-27", "schedule"), ("2024-03-10", "drift"), ("2024-04-15", "performance")])
def test_a08_retrain_event_says_what_kind_of_rule_asked(as_of: str, kind: str, params: Path) -> None:
    """Always one on the champion's age; records change in between."""
    rule = "triggers=[{signal: model_age, at_least: 0, severity: high}]"
    asked = run(Request(pipeline="retrain", params=params, as_of=as_of, progress=False, overrides=(
        rule, "guardrails.cooldown=0d", "guardrails.min_recent=0")))
    assert asked.error is None
    newest = tt.open(params).ledger.retrains.retrain_events()[0]
    assert (newest["trigger_type"], newest["severity"]) == (kind, "high"), newest["reason"]


def test_a06_history_and_recent_records_are_learned_from_and_a_hundred_recent_ones_are_needed(params: Path) -> None:
    with_recent = tt.open(params, as_of="2024-04-15", overrides={"guardrails.min_recent": 100})
    learned_until = parse_time(with_recent.champion.lineage["holdout_until"])
    training, holdout = with_recent.training_windows()
    assert training.start < learned_until < holdout.end, "what the champion learned from, and what came after it"
    decision = tt.decide([], with_recent.params)
    evidence = {one.name: one for one in checking.guard(with_recent, decision).checks}["min_recent"]
    recent = with_recent.records.between("recent", learned_until, with_recent.as_of).labelled
    assert evidence.passed
    assert evidence.evidence.startswith(f"{recent:,} labelled records are newer")
    too_few = tt.open(params, as_of="2024-04-15", overrides={"guardrails.min_recent": recent + 1})
    assert "min_recent" in checking.guard(too_few, decision).blocked_by

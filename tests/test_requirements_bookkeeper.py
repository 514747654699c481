"""The bookkeeper (B): tests of what is required, by its id in docs/requirements.md; see `promises`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from conftest import BINARY, binary_table, merged
from promises import ROOT, challenged, fixed, near, params
from test_word_days import a_table, opened

import trimtab as tt
from trimtab import params as params_module
from trimtab.act import champion as champions
from trimtab.act import tables
from trimtab.decide import guardrails
from trimtab.decide.columns import feature_drift, inputs
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Circumstances
from trimtab.decide.losses import graded_loss, performance_drop
from trimtab.decide.promotion import judge
from trimtab.decide.signals import Signal, default_triggers, grade
from trimtab.errors import ParamsError, TimeLimitError, UsageError
from trimtab.measure.columns import divergences
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import Performance, evaluate_pair
from trimtab.run import checking, lifecycle, rollbacks
from trimtab.run.freshness import freshness
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.run.session import Session
from trimtab.settings.drift import DriftSettings
from trimtab.settings.promotion import Criterion
from trimtab.settings.triggers import Trigger

__all__ = ["params"]    # a fixture


def _signals_of(session: Session) -> list[Any]:
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    return [grade(m, default_triggers(DriftSettings())) for m in checking.measured_of_columns(session, drift, current)]


def test_b01_psi_grades_moderate_and_significant_shifts_at_its_two_thresholds(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    rules = default_triggers(DriftSettings())
    assert grade(feature_drift(drift, DriftSettings()), rules).severity == "high"
    lenient = DriftSettings(psi_warn=0.1, psi_alert=1000.0)
    assert grade(feature_drift(drift, lenient), default_triggers(lenient)).severity == "medium"


def test_b02_jensen_shannon_distance_to_base_two_runs_from_zero_to_one() -> None:
    assert divergences.jensen_shannon([30, 70], [300, 700]) == pytest.approx(0, abs=1e-7)
    assert divergences.jensen_shannon([1, 0], [0, 1]) == 1.0
    before, after = (pd.DataFrame({"k": ["a"] * a + ["b"] * (400 - a)}) for a in (200, 320))
    found = tt.check(before, after).drift["k"].js
    assert found == pytest.approx(scipy.spatial.distance.jensenshannon([200, 200], [320, 80], base=2))


def test_b03_words_of_a_text_column_that_changed_are_found_and_named(home: Path) -> None:
    def told(model: str, table: pd.DataFrame) -> dict[str, Signal]:
        session = opened(home, table, model)
        reference, current = session.windows()
        words = checking.words(session, current)
        drift = tt.compare(session.profile(reference), session.profile(current), beside=words)
        triggers = default_triggers(session.thresholds)
        return {m.name: grade(m, triggers) for m in inputs(drift, session.thresholds)}

    quiet = told("quiet", a_table(a_day=60))
    assert {quiet[name].severity for name in ("word_drift", "word_shift", "unseen_words")} == {"none"}
    moved = told("moved", a_table(a_day=60, new="mandala", since=28))    # in each fifth text of 12 days
    assert moved["word_shift"].severity == "medium"
    assert moved["unseen_words"].severity != "none"
    assert moved["unseen_words"].value == pytest.approx(0.18 / 4.16, rel=0.1)    # of tokens; a tenth are null
    assert moved["word_shift"].columns == ("text",)
    assert "mandala (0.0% of texts, now 18.4%)" in moved["word_shift"].message


@pytest.mark.parametrize(("accuracy", "severity"), [(0.871, "none"), (0.869, "high")])
def test_b04_an_accuracy_drop_of_three_points_asks_for_retraining_whatever_the_gate_looks_at(
    accuracy: float, severity: str
) -> None:
    rule = Trigger(signal="performance_drop", metric="accuracy", unit="points", at_least=0.03, severity="high")
    drops = {
        "roc_auc": performance_drop("roc_auc", near(0.8), near(0.8), greater_is_better=True),
        "accuracy": performance_drop("accuracy", near(0.9), near(accuracy), greater_is_better=True),
    }
    found = graded_loss(drops, [rule], primary="roc_auc")
    assert found.severity == severity
    if severity == "high":
        assert found.value >= found.threshold == pytest.approx(0.03 / 0.9), "both as shares of the baseline"


@pytest.mark.parametrize(("accuracy", "severity"), [(0.871, "none"), (0.869, "high")])
def test_b04_a_check_holds_each_metric_against_the_rule_that_names_it(accuracy: float, severity: str) -> None:
    """The gate's metric stays; a rule in points of another one decides, at its part of the level."""
    rule = Trigger(signal="performance_drop", metric="accuracy", unit="points", at_least=0.03, severity="high")
    gate = SimpleNamespace(criteria=[SimpleNamespace(metric="roc_auc", per=None)])
    session: Any = SimpleNamespace(
        params=SimpleNamespace(task="classification", promotion=gate, drift=DriftSettings(), triggers=[rule]),
        thresholds=DriftSettings(),
    )
    before, now = (
        Performance(1000, {Measure("roc_auc"): near(0.8), Measure("accuracy"): near(value)}, {})
        for value in (0.9, accuracy)
    )
    scored: Any = SimpleNamespace(performance=now, baseline=before, outputs=None, no_scores="", said=None)
    found = checking.performance_signal(session, scored)
    assert found.severity == severity
    assert found.message.startswith("accuracy went from 0.900" if severity == "high" else "roc_auc went from 0.800")
    if severity == "high":
        assert found.threshold == pytest.approx(0.03 / 0.9), "as a share of the baseline, like the value"


def test_b05_confidences_are_watched_by_their_mean_and_rates_as_proportions(project: Callable[..., Path]) -> None:
    table = binary_table(4000)
    rng, late = np.random.default_rng(5), table["at"] >= "2024-03-20"
    table["confidence"] = np.where(late, rng.beta(6, 3, len(table)), rng.beta(8, 2, len(table)))
    table["matched"] = rng.random(len(table)) < np.where(late, 0.7, 0.9)
    session = fixed(project, table, rates=["matched"], confidences=["confidence"])
    found = {signal.name: signal for signal in _signals_of(session)}
    shift, drop = found["confidence_shift"], found["rate_drop"]
    assert shift.value > 0.2    # standard deviations of the reference
    assert float(shift.message.split()[-3]) < -2    # standard errors
    assert drop.value == pytest.approx(0.2, abs=0.05)
    assert (drop.severity, drop.columns) == ("high", ("matched",))


@pytest.mark.parametrize("kind", [int, float, bool])
def test_b05_a_number_that_a_model_sees_may_be_watched_as_a_rate(project: Callable[..., Path], kind: type) -> None:
    table = binary_table(4000)
    late = table["at"] >= "2024-03-20"
    table["paid"] = (np.random.default_rng(7).random(len(table)) < np.where(late, 0.6, 0.9)).astype(kind)
    session = fixed(project, table, rates=["paid"], numeric=[*BINARY["data"]["numeric"], "paid"])
    (drop,) = (signal for signal in _signals_of(session) if signal.name == "rate_drop")
    assert (drop.severity, drop.columns) == ("high", ("paid",))
    assert drop.value == pytest.approx(0.3, abs=0.05)


def test_b05_fields_of_a_table_of_extraction_results_are_watched_one_by_one(project: Callable[..., Path]) -> None:
    """From 20 March on totals are matched less often, and dates read with less confidence; a tenth is of each field."""
    table = binary_table(4000)
    rng = np.random.default_rng(6)
    fields = np.tile([*"abcdefgh", "total", "date"], len(table))
    read = pd.DataFrame({"at": np.repeat(table["at"].to_numpy(), 10), "field": fields})
    late = read["at"] >= "2024-03-20"
    worse = late & (read["field"] == "total")
    read["matched"] = rng.random(len(read)) < np.where(worse, 0.6, 0.9)
    read["extracted"] = rng.random(len(read)) < 0.95
    unsure = late & (read["field"] == "date")
    read["confidence"] = np.where(unsure, rng.beta(6, 3, len(read)), rng.beta(8, 2, len(read)))
    asked = {"table": "read.parquet", "field": "field", "confidence": "confidence", "rates": ["matched", "extracted"]}
    session = fixed(project, table, extractions=asked)
    read.to_parquet(session.loaded.path.parent / "read.parquet")
    found = {signal.name: signal for signal in _signals_of(session)}
    assert (found["rate_drop"].columns, found["rate_drop"].severity) == (("matched of total",), "high")
    assert found["confidence_shift"].columns == ("confidence of date",)
    moved = checking.proportions(session, session.windows()[1])
    beyond = {one.name for one in (*moved.rates, *moved.confidences) if one.p_value < 0.001 and not one.natural}
    assert beyond == {"matched of total", "confidence of date"}
    assert len(moved.rates) == 20


def test_b06_new_records_growth_and_age_are_signals(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    grown, fresh, age = freshness(session, session.windows()[1])
    assert (grown.name, fresh.name, age.name) == ("growth", "new_records", "model_age")
    assert abs(grown.value) < 0.5    # as many records come every day
    frame = session.records.frame(session.records.between("new", datetime(2024, 2, 20), session.as_of), ["x"])
    assert fresh.value == len(frame)
    assert age.value == pytest.approx(55, abs=0.1)    # from 20 February to 15 April


def test_b07_a_routine_training_waits_seven_days_where_the_file_says_so() -> None:
    asked = Decision(True, "high", 0.99, ("It is time.",), ())
    made = datetime(2010, 3, 1)
    file = ROOT / "params" / "bookkeeper.yaml"
    loaded = params_module.load(file, overrides=["guardrails.cooldown=7d"], environment={})
    settings, rules = loaded.params.guardrails, loaded.params.triggers
    for days, blocked in ((6.99, ("cooldown",)), (7, ())):
        now = Circumstances(5000, made + timedelta(days=days), retrained=(made,))
        assert guardrails.check(asked, settings, now).blocked_by == blocked
    assert [(rule.at_least, rule.with_) for rule in rules if rule.signal == "new_records"] == [(1000, "medium")]


def test_b08_thresholds_come_from_file_and_environment_are_checked_and_shown(params: Path) -> None:
    loaded = params_module.load(params, environment={"TRIMTAB_DRIFT__PSI_ALERT": "0.3"})
    assert loaded.params.drift.psi_alert == 0.3
    assert loaded.public["drift"]["psi_alert"] == 0.3
    outcome = run(Request("drift", params, as_of="2024-04-15", overrides=("drift.psi_alert=0.31",), progress=False))
    assert outcome.report is not None
    assert "&#34;psi_alert&#34;: 0.31" in outcome.report.read_text()
    with pytest.raises(ParamsError, match="psi_alert"):
        params_module.load(params, environment={"TRIMTAB_DRIFT__PSI_ALERT": "high"})


def test_b09_signals_and_decision_can_be_had_interactively(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15", overrides={"drift.psi_alert": 0.2})
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    decision = tt.decide(session.signals(drift), session.params)
    assert decision.needs_retrain
    assert decision.reasons[0].endswith(".")


def test_b10_challenger_never_touches_what_serves(params: Path) -> None:
    """A07, too: it is trained in a process of its own while the champion goes on."""
    session = tt.open(params, as_of="2024-04-15")
    before = session.registry.fetch(1) / "model.skops"
    content = before.read_bytes()
    _, made = challenged(params)
    assert made.version == 2
    assert session.registry.champion() == 1
    assert before.read_bytes() == content


def test_b11_training_over_the_time_limit_is_killed_and_the_champion_stays(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15", overrides={
        "guardrails.max_runtime": "1s",
        "estimator.class": "sklearn.ensemble.GradientBoostingClassifier",
        "estimator.params": {"n_estimators": 100000},
    })
    with pytest.raises(TimeLimitError, match="max_runtime"):
        lifecycle.train(session, None)
    assert session.registry.champion() == 1
    assert len(session.registry.versions()) == 1


def test_b11_too_few_records_block_retraining(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15", overrides={"guardrails.min_records": 1_000_000})
    decision = tt.decide([], session.params)
    assert "min_records" in checking.guard(session, decision).blocked_by


def test_b12_challenger_worse_on_a_minority_class_is_rejected_though_better_overall() -> None:
    rng = np.random.default_rng(0)
    actual = rng.choice(3, 3000, p=[0.6, 0.3, 0.1])
    champion = np.where(rng.uniform(size=3000) < 0.8, actual, (actual + 1) % 3)
    challenger = np.where(actual == 2, np.where(rng.uniform(size=3000) < 0.4, 2, 0), actual)
    gate = [
        Criterion(metric="accuracy", max_drop=0.01),
        Criterion(metric="f1", min_gain=0.0),
        Criterion(metric="recall", per="class", max_drop=0.05),
    ]
    labels = ("food", "rent", "rare")
    verdict = judge(gate, evaluate_pair(Outputs(labels, actual, challenger), Outputs(labels, actual, champion)))
    assert verdict.outcome == "reject"
    assert [row.group for row in verdict.rows if not row.passed] == ["class rare"]


def test_b13_swap_is_atomic_logged_and_any_earlier_version_can_return(params: Path) -> None:
    session, made = challenged(params)
    contest = lifecycle.evaluate_challenger(session, session.model(made.version))
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    assert session.registry.champion() == 2
    lifecycle.roll_back(session, rollbacks.prove(session, 1), by="me", why="testing")
    assert session.registry.champion() == 1
    assert [(c["kind"], c["to_version"], c["state"]) for c in session.ledger.succession.changes()] == [
        ("promotion", 1, "done"), ("promotion", 2, "done"), ("rollback", 1, "done"),
    ]


def test_b13_rollback_after_rollback_never_ends_on_a_version_in_quarantine(params: Path) -> None:
    session, made = challenged(params)
    for version in (made.version, lifecycle.train(session, None).version):
        champions.change(
            session.ledger, session.registry, kind="promotion", expected=session.registry.champion(),
            to_version=version, run_id="r", as_of=session.as_of, by="me", why="testing")
    lifecycle.roll_back(session, lifecycle.search(session).proof, quarantine=True)
    lifecycle.roll_back(session, lifecycle.search(session).proof, quarantine=True)
    assert (session.registry.champion(), list(session.ledger.quarantine.held())) == (1, [3, 2])
    with pytest.raises(UsageError, match="no version is left"):
        lifecycle.search(session)
    with pytest.raises(UsageError, match=r"version 3 is in quarantine since .*; --force goes back to it all the same"):
        lifecycle.search(session, 3)
    lifecycle.roll_back(session, lifecycle.search(session, 3, force=True).proof, force=True)
    assert session.registry.champion() == 3


def test_b14_watch_mode_runs_at_its_interval_and_stops_cleanly_on_sigterm(params: Path) -> None:
    words = [sys.executable, "-c", "from trimtab.run.entry import main; main()", "watch", "-p", str(params),
             "--pipeline", "drift", "--interval", "1", "--set", "as_of=2024-04-15"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watch:
        assert watch.stdout is not None
        first = watch.stdout.readline()
        began = time.monotonic()
        watch.send_signal(signal.SIGTERM)    # the second run has begun, or is about to
        rest = watch.stdout.read()
        assert (watch.wait(timeout=30), time.monotonic() - began < 15) == (0, True)
    assert "demo drift: succeeded in" in first
    assert rest.splitlines()[-1].endswith("demo drift: stopped by SIGTERM")
    session = tt.open(params)
    assert session.ledger.lease.active() is None
    assert session.registry.champion() == session.ledger.succession.champion() == 1
    assert {row["status"] for row in session.ledger.runs()} <= {"succeeded", "interrupted"}


def test_b15_retrain_event_has_the_columns_of_the_old_table() -> None:
    wanted = {"started_at", "finished_at", "reason_json", "train_records", "valid_records", "acc_old", "acc_new",
              "f1_old", "f1_new", "promoted", "artifact_path", "notes"}
    assert wanted <= set(tables.retrain_events.c.keys())
    assert tables.retrain_events.name == "model_retrain_events"


def test_b15_retrain_event_is_filled_in(params: Path) -> None:
    session, made = challenged(params)
    contest = lifecycle.evaluate_challenger(session, session.model(made.version))
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    event = session.ledger.retrains.retrain_events()[0]
    assert event["promoted"] is True
    assert event["new_version"] == 2
    assert 0.5 < event["acc_old"] < 1
    assert 0.5 < event["acc_new"] < 1
    assert event["train_records"] > event["valid_records"] > 0
    assert Path(event["artifact_path"]).is_dir()


def test_b17_day_of_week_and_month_are_monitored(project: Callable[..., Path]) -> None:
    """From half-time on there are no records of weekends; of the months nothing is left that the reference had."""
    table = binary_table(4000)
    table = table[~((table["at"] >= "2024-03-01") & (table["at"].dt.day_of_week >= 5))]
    session = fixed(project, table, calendar=["weekday", "month"])
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    moved = {column.name for column in drift.drifted(**session.thresholds.bounds)}
    assert {"weekday of at", "month of at"} <= moved


def test_b18_minority_class_that_degrades_raises_an_alarm_though_accuracy_stays(project: Callable[..., Path]) -> None:
    """What is said of a record is right in 85 % of all classes; then less so of the rare one, more so of the others."""
    rng, rows = np.random.default_rng(0), 9000
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.linspace(0, 120, rows, endpoint=False), unit="D")
    actual = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    right = np.where(at < "2024-03-20", 0.85, np.array([0.88, 0.88, 0.55])[actual])
    said = np.where(rng.random(rows) < right, actual, (actual + rng.integers(1, 3, rows)) % 3)
    names = np.array(["often", "seldom", "rare"])
    tree = merged(BINARY, model="minority", data={"label": "kind", "numeric": [], "categorical": ["said"]},
                  promotion={"criteria": [{"metric": "accuracy", "floor": 0.5}]})
    path = project(tree, pd.DataFrame({"at": at, "kind": names[actual], "said": names[said]}))
    before = tt.open(path, as_of="2024-03-20")
    contest = lifecycle.first_champion(before)
    lifecycle.appoint(before, contest, lifecycle.judge(before, contest))
    session = tt.open(path, as_of="2024-04-20")
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    scored = checking.score(session, current)
    found = {one.name: one for one in checking.signals(session, drift, scored, current)}
    assert scored.performance is not None
    per_class = {m.label: i for m, i in scored.performance.values.items() if m.metric == "recall" and m.label}
    assert set(per_class) == set(names)
    assert abs(found["performance_drop"].value) < 0.05
    assert found["class_drop"].severity == "high"
    assert "recall of class rare fell from 0.8" in found["class_drop"].message
    assert found["class_balance"].severity == "none"


def test_b21_addresses_of_chats_pagers_and_mail_are_understood() -> None:
    import apprise

    for url in (
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", f"pagerduty://{'a' * 20}@{'b' * 20}",
        "mailtos://me:secret@example.org?mode=starttls", "mailtos://me:secret@example.org?mode=ssl",
    ):
        assert apprise.Apprise().add(url), url.partition(":")[0]


@pytest.mark.parametrize("rows", [2000, 5000, 10_000])
def test_b22_major_shifts_are_found_and_none_where_nothing_changed(rows: int) -> None:
    """Of each kind of column one that moved by a PSI of .25 or more, ten times; and as often none did."""
    rng = np.random.default_rng(rows)

    def _drawn(moved: bool) -> pd.DataFrame:
        return pd.DataFrame({
            "normal": rng.normal(0.6 * moved, size=rows), "spread": rng.normal(0, 1 + 0.9 * moved, rows),
            "amount": rng.lognormal(0.6 * moved, 1, rows), "count": rng.poisson(3 + 1.2 * moved, rows),
            "flag": rng.random(rows) < 0.3 + 0.3 * moved,
            "level": rng.choice(list("abcd"), rows, p=[0.1, 0.2, 0.3, 0.4] if moved else [0.4, 0.3, 0.2, 0.1]),
            "missing": np.where(rng.random(rows) < 0.05 + 0.3 * moved, np.nan, rng.normal(size=rows)),
        })

    reference = _drawn(False)
    for _ in range(10):
        changed, same = tt.check(reference, _drawn(True)), tt.check(reference, _drawn(False))
        assert set(changed.drifted) == set(reference.columns)
        assert changed.decision.needs_retrain
        assert (same.drifted, same.decision.needs_retrain) == ((), False)

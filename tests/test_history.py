"""A champion's days: scored once, again when outcomes arrive, and asked whether and when the error has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged, regression_table

import trimtab as tt
from trimtab.decide.losses import concept_drift
from trimtab.decide.signals import default_triggers, grade
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.over_time.snapshots import CONFUSION, daily_losses, snapshots
from trimtab.run import history, lifecycle
from trimtab.run.session import Session
from trimtab.run.versions import Model
from trimtab.settings.drift import DriftSettings


def with_champion(params: Path, as_of: str) -> Session:
    """A session a month after its champion was made."""
    first = tt.open(params, as_of="2024-03-01", run_id="first")
    contest = lifecycle.first_champion(first)
    lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    return tt.open(params, as_of=as_of, run_id=f"at-{as_of}")


@pytest.fixture
def scored_days(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many days each filling scored."""
    found: list[int] = []
    original = history.take

    def take(session: Session, model: Model, window: Any, todo: list[date]) -> Any:
        found.append(len(todo))
        return original(session, model, window, todo)

    monkeypatch.setattr(history, "take", take)
    return found


def test_days_are_scored_once_and_again_when_outcomes_arrive(
    project: Callable[..., Path], scored_days: list[int]
) -> None:
    table = binary_table()
    params = project(merged(BINARY, data={"label_delay": "3d"}), table)
    session = with_champion(params, "2024-04-01")
    current = session.records.window("current", session.params.windows.current)
    past = tt.checking.history(session, current)
    assert scored_days == [len([one for one in past.taken if one.day >= date(2024, 2, 27)])]
    unlabelled = [one.day for one in past.taken if one.rows > 0 and one.labelled == 0]
    assert unlabelled == [date(2024, 3, 29), date(2024, 3, 30), date(2024, 3, 31)]
    later = tt.open(params, as_of="2024-04-04", run_id="later")
    tt.checking.history(later, later.records.window("current", later.params.windows.current))
    assert scored_days[1] == 6    # three new days, and the three whose outcomes have come since


def test_days_that_are_taken_now_are_told_like_those_that_are_kept_oldest_first(
    project: Callable[..., Path], scored_days: list[int]
) -> None:
    session = with_champion(project(BINARY, binary_table()), "2024-04-01")
    start, middle, end = datetime(2024, 3, 1), datetime(2024, 3, 15), datetime(2024, 4, 1)
    history.up_to_date(session, middle, end)
    first = history.up_to_date(session, start, end)
    again = history.up_to_date(session, start, end)
    assert [one.day for one in first] == [one.day for one in again] == sorted(one.day for one in first)
    assert first[0].day == start.date()
    assert sum(scored_days) == 31, "each day once"
    for now, kept in zip(first, again, strict=True):
        assert (now.rows, now.labelled) == (kept.rows, kept.labelled)
        assert now.metrics == pytest.approx(kept.metrics, nan_ok=True, rel=1e-12)


def test_a_replay_sees_no_outcome_that_came_later_and_takes_none_away(project: Callable[..., Path]) -> None:
    """Three windows of five days before the newest, with outcomes that take twenty days to come."""
    late = merged(BINARY, data={"label_delay": "20d"}, windows={"current": {"last": "5d"}})
    newest = with_champion(project(late, binary_table()), "2024-04-10")
    history.up_to_date(newest, datetime(2024, 3, 1), datetime(2024, 4, 10))
    kept = newest.ledger.days.snapshots(newest.champion.version)
    assert max(one.day for one in kept if one.labelled) == date(2024, 3, 20)
    earlier = tt.open(newest.loaded.path, as_of="2024-04-01", run_id="earlier")
    past = tt.checking.history(earlier, earlier.windows()[1])
    assert max(one.day for one in past.taken if one.labelled) == date(2024, 3, 11)
    again = earlier.ledger.days.snapshots(earlier.champion.version)
    assert {one.day: one.labelled for one in again} == {one.day: one.labelled for one in kept}


def test_a_holdout_is_the_beginning_of_the_history(project: Callable[..., Path]) -> None:
    session = with_champion(project(BINARY, binary_table()), "2024-04-01")
    past = tt.checking.history(session, session.records.window("current", session.params.windows.current))
    start = session.champion.lineage["holdout_from"][:10]
    assert str(past.taken[0].day) == start
    day = past.taken[3]
    assert day.rows == day.labelled == sum(day.metrics[name] for name in CONFUSION)
    assert past.loss == "log loss"
    baseline = past.baseline_of("roc_auc")
    assert baseline is not None
    assert baseline.value == session.ledger.version(1)["baseline"]["performance"][4]["interval"]["value"]  # type: ignore[index]


def test_an_error_that_jumps_is_concept_drift(project: Callable[..., Path]) -> None:
    table = regression_table(6000)
    broken = table["at"] >= pd.Timestamp("2024-04-08")
    table.loc[broken, "y"] = table.loc[broken, "y"].to_numpy()[::-1]    # outcomes follow their inputs no more
    tree = {
        "model": "numbers", "task": "regression", "estimator": {"class": "sklearn.linear_model.Ridge"},
        "data": {"table": "records.parquet", "time": "at", "label": "y", "numeric": ["x", "z"]},
        "windows": {"current": {"last": "20d"}},
    }
    session = with_champion(project(tree, table), "2024-04-28")
    current = session.records.window("current", session.params.windows.current)
    past = tt.checking.history(session, current)
    assert past.loss == "mean absolute error"
    assert past.change.relative.low > 1.0
    signal = grade(concept_drift(past.change, past.loss), default_triggers(DriftSettings()))
    assert signal.severity == "high"
    assert signal.message.startswith("The mean absolute error rose by ")
    located = past.points.located
    assert located is not None
    assert abs(located.at - datetime(2024, 4, 8)).days <= 1


def harder_inputs(turned: bool) -> pd.DataFrame:
    """Records of which those since April are near the line between the classes; and, if asked, end the other way."""
    table = binary_table(8000)
    rng = np.random.default_rng(5)
    late = (table["at"] >= pd.Timestamp("2024-04-01")).to_numpy()
    x = np.where(late, table["x"] * 0.2, table["x"])
    odds = 3 * np.where(late & turned, -x, x)
    return table.assign(x=x, y=rng.random(len(x)) < 1 / (1 + np.exp(-odds)))


@pytest.mark.parametrize(("turned", "verdict", "severity", "told"), [
    (False, "inputs", "low", "expected of these inputs: they explain that change, so no changed relation is shown."),
    (True, "both", "high", "expected of these inputs: they explain that change in part."),
])
def test_error_that_changed_inputs_explain_is_no_serious_concept_drift(
    project: Callable[..., Path], turned: bool, verdict: str, severity: str, told: str
) -> None:
    tree = merged(BINARY, windows={"current": {"last": "20d"}})
    session = with_champion(project(tree, harder_inputs(turned)), "2024-04-21")
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    scored = tt.checking.score(session, current)
    estimates, past = tt.checking.expected(session, scored), tt.checking.history(session, current, scored)
    assert estimates.causes["log_loss"].verdict == verdict
    assert past.change.relative.value > 0.30
    found = tt.checking.signals(session, drift, scored, current, past=past, estimates=estimates)
    signal = next(one for one in found if one.name == "concept_drift")
    assert signal.severity == severity
    assert " Since the champion's holdout its log_loss changed by +0." in signal.message
    assert signal.message.endswith(told)
    assert signal.evidence is not None
    assert (signal.evidence > 0) == turned


def test_snapshots_have_metrics_where_outcomes_are_known() -> None:
    outputs = Outputs(("no", "yes"), np.array([0, 1, 1]), np.array([0, 0, 1]), None, positive=1)
    days = np.array(["2024-03-01", "2024-03-01", "2024-03-02"], dtype="datetime64[D]")
    taken = snapshots(outputs, days, {date(2024, 3, 1): 5, date(2024, 3, 2): 1, date(2024, 3, 3): 4})
    assert [(one.rows, one.labelled) for one in taken] == [(5, 2), (1, 1), (4, 0)]
    assert taken[0].metrics["accuracy"] == 0.5
    assert [taken[0].metrics[name] for name in CONFUSION] == [0, 0, 1, 1]
    assert taken[2].metrics == {}
    losses = daily_losses(taken)
    assert losses.means.tolist() == [0.5, 0.0]    # shares of errors, for there are no probabilities
    assert losses.counts.tolist() == [2, 1]

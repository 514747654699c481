"""Outcomes that come weeks later are looked at in records of their own, while inputs are compared in the newest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.decide.reach import refuse_undue
from trimtab.decide.signals import Signal
from trimtab.errors import ParamsError
from trimtab.run import lifecycle
from trimtab.run.checking import Scored
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.run.session import Session
from trimtab.settings.triggers import Trigger

LATE = merged(BINARY, data={"label_delay": "14d"}, windows={"current": {"last": "7d"}, "training": {"last": "365d"}})
WITH = merged(LATE, windows={"outcomes": {"last": "21d", "until": "14d"}})
OF_OUTCOMES = ("performance_drop", "class_drop", "concept_drift", "label_completeness")


def worse_from(day: str) -> pd.DataFrame:
    """Records whose outcome is drawn by lot from a day on: inputs stay as they were."""
    table = binary_table(6000)
    after = (table["at"] >= pd.Timestamp(day)).to_numpy()
    table.loc[after, "y"] = np.random.default_rng(1).permutation(table.loc[after, "y"].to_numpy())
    return table


def served(params: Path, as_of: str) -> Session:
    """A session some weeks after a champion was made."""
    first = tt.open(params, as_of="2024-03-01", run_id="first")
    contest = lifecycle.first_champion(first)
    lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    return tt.open(params, as_of=as_of, run_id=f"at-{as_of}")


def checked(session: Session) -> tuple[dict[str, Signal], Scored, Scored]:
    """The signals by name, what the champion said of the current window, and where outcomes are looked at."""
    reference, current = session.windows()
    outcomes = session.outcomes_window(current)
    scored = tt.checking.score(session, current)
    judged = tt.checking.judge(session, outcomes, scored)
    past = tt.checking.history(session, outcomes, judged, until=current.end)
    found = tt.checking.signals(
        session, tt.compare(session.profile(reference), session.profile(current)), scored, current,
        outcomes=outcomes, judged=judged, past=past)
    return {one.name: one for one in found}, scored, judged


def test_without_them_nothing_is_known_of_outcomes_that_take_longer_than_the_window(
    project: Callable[..., Path]
) -> None:
    session = served(project(LATE, worse_from("2024-03-20")), "2024-04-15")
    found, scored, judged = checked(session)
    assert judged is scored
    assert [name for name in OF_OUTCOMES if name in found and not math.isnan(found[name].value)] == []
    assert "No label of the" in found["performance_drop"].message


def test_f05_a_loss_is_measured_where_outcomes_are_due_and_inputs_where_they_are_newest(
    project: Callable[..., Path]
) -> None:
    session = served(project(WITH, worse_from("2024-03-20")), "2024-04-15")
    found, scored, judged = checked(session)
    assert scored.window is not None
    assert judged.window is not None
    assert (scored.window.start, scored.window.end) == (datetime(2024, 4, 8), datetime(2024, 4, 15))
    assert (judged.window.start, judged.window.end) == (datetime(2024, 3, 25), datetime(2024, 4, 1))
    assert (scored.labelled, judged.labelled) == (0, judged.rows)
    assert found["performance_drop"].severity in {"high", "critical"}
    assert found["label_completeness"].value == 0
    assert found["prediction_drift"].severity == "none"


def test_outcomes_that_came_before_they_were_due_change_nothing(project: Callable[..., Path]) -> None:
    """The records after those that are looked at are worse by far, and their outcomes known after a day."""
    table, found = worse_from("2024-04-02"), []
    for delay in ("1d", "14d"):
        settings = merged(WITH, data={"label_delay": delay}, model=f"after-{delay}")
        signals, *_ = checked(served(project(settings, table), "2024-04-15"))
        found.append(signals["concept_drift"])
    early, late = found
    assert early.value == pytest.approx(late.value, abs=0.01)    # the first model learned from a few records more
    assert (early.severity, late.severity) == ("none", "none")


def test_label_completeness_counts_the_outcomes_that_are_looked_at(project: Callable[..., Path]) -> None:
    table = binary_table(6000)
    missing = table["at"].between("2024-03-25", "2024-04-01") & (table.index % 4 != 0)
    table = table.astype({"y": "boolean"})
    table.loc[missing, "y"] = pd.NA
    found, _, judged = checked(served(project(WITH, table), "2024-04-15"))
    assert found["label_completeness"].value == pytest.approx(0.75, abs=0.03)
    assert found["label_completeness"].severity == "medium"
    assert judged.labelled == pytest.approx(judged.rows / 4, abs=10)


def test_days_are_filled_in_up_to_the_newest_and_the_loss_is_told_beside_the_last_that_was_judged(
    project: Callable[..., Path]
) -> None:
    session = served(project(WITH, worse_from("2024-03-20")), "2024-04-15")
    found, *_ = checked(session)
    _, current = session.windows()
    outcomes = session.outcomes_window(current)
    decision = tt.decide(list(found.values()), session.params)
    tt.checking.record(session, list(found.values()), decision, tt.checking.guard(session, decision), outcomes)
    version = session.champion.version
    kept = {one.day: one for one in session.ledger.days.snapshots(version)}
    assert max(kept) == date(2024, 4, 14)
    assert {day for day, one in kept.items() if one.labelled} == {day for day in kept if day < date(2024, 4, 1)}
    with session.ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT day, is_degraded FROM performance_snapshots WHERE performance_delta IS NOT NULL").all()
    assert [(str(day)[:10], bool(degraded)) for day, degraded in rows] == [("2024-03-31", True)]


def test_where_none_of_them_is_newer_than_the_champion_that_is_said(project: Callable[..., Path]) -> None:
    found, scored, judged = checked(served(project(WITH, binary_table(6000)), "2024-03-01"))
    assert (scored.rows > 0, judged.rows) == (True, 0)
    assert "No record is newer than what the champion was made from" in found["performance_drop"].message


def test_runs_show_both_windows_and_hand_on_the_loss(project: Callable[..., Path]) -> None:
    params = project(WITH, worse_from("2024-03-20"))
    served(params, "2024-04-15")
    ended = run(Request("drift", params, as_of="2024-04-15", progress=False))
    assert ended.exit_code == 0, ended.error
    (page,) = Path("runs").glob("*/*drift*/02_drift_analysis.html")
    text = page.read_text()
    assert "from 21 to 14 days ago" in text or "last 21 days" in text
    assert ended.result["metrics"]["champion"]["roc_auc"] < 0.6


@pytest.mark.parametrize("given", [
    {"signal": "performance_drop", "at_least": 0.05}, {"signal": "class_drop", "at_least": 0.1},
    {"signal": "concept_drift", "at_least": 0.1}, {"signal": "label_completeness", "at_least": 0.5},
])
def test_rules_on_outcomes_of_which_none_is_ever_due_are_refused_before_a_run(
    given: Mapping[str, Any], project: Callable[..., Path]
) -> None:
    rules = [{**given, "severity": "high"}]
    params = project(merged(LATE, triggers=rules), binary_table(6000))
    with pytest.raises(ParamsError, match=r"can never be .* in the last 7d, .* 14d .*\{last: 21d, until: 14d\}"):
        run(Request("drift", params, as_of="2024-04-15", progress=False))


@pytest.mark.parametrize(("back", "severity", "refused"), [
    (timedelta(days=14), "high", True), (timedelta(days=15), "high", False), (None, "high", False),
    (timedelta(days=7), "none", False),
])
def test_a_window_that_reaches_back_to_outcomes_that_are_due_will_do(
    back: timedelta | None, severity: Any, refused: bool
) -> None:
    rule = Trigger(signal="performance_drop", at_least=0.05, severity=severity)
    if not refused:
        refuse_undue(rule, back, timedelta(days=14))
        return
    with pytest.raises(ParamsError, match="can never be measured"):
        refuse_undue(rule, back, timedelta(days=14))

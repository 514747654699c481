"""The queries of docs/queries.md, as they stand there, on both databases: each runs, and answers what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from trimtab.act import tables
from trimtab.act.database import connect

PAGE = (Path(__file__).parents[1] / "docs" / "queries.md").read_text()
QUERIES = {
    f"{title}{'' if not place else f' ({place + 1})'}": query
    for title, text in re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    for place, query in enumerate(re.findall(r"^```sql\n(.*?)^```", text, re.M | re.S))
}
MODEL = {"model": "flight-delays", "tenant": ""}
OTHER = {"model": "another", "tenant": ""}
TENANT = {"model": "flight-delays", "tenant": "east"}
NOON = datetime(2013, 6, 30, 12)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """A ledger in which every table has something to say of the model, and something of another one."""
    url = f"sqlite:///{tmp_path_factory.mktemp('queries') / 'ledger.db'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        admin = sa.create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sa.text("CREATE DATABASE queries"))
        admin.dispose()
        url = server.format("queries")
    engine = connect(url)
    with engine.begin() as connection:
        for table, rows in _rows().items():
            for row in rows:
                connection.execute(table.insert(), row)
    yield engine
    engine.dispose()


def _rows() -> dict[sa.Table, list[dict[str, Any]]]:
    def _event(run_id: str, trigger: str, *, days: int, **values: Any) -> dict[str, Any]:
        at = NOON - timedelta(days=days)
        return {**MODEL, "run_id": run_id, "as_of": at, "started_at": at, "triggered_at": at, "trigger_type": trigger,
                "finished_at": at, "completed_at": at, "promoted": False, "retrain_attempted": True,
                "retrain_successful": True, **values}

    def _change(to: int, kind: str, who: str, of: dict[str, str], state: str = "done") -> dict[str, Any]:
        return {**of, "kind": kind, "from_version": to - 1 or None, "to_version": to, "run_id": f"run{to}", "by": who,
                "why": f"why {to}", "state": state, "created_at": NOON, "settled_at": NOON + timedelta(minutes=to)}

    def _day(day: date, labelled: int, accuracy: float | None, **values: Any) -> dict[str, Any]:
        return {**MODEL, "version": 1, "day": day, "rows": 100, "labelled": labelled, "accuracy": accuracy,
                "metrics": {}, "recorded_at": NOON, **values}

    def _signal(name: str, severity: str, run_id: str = "newest") -> dict[str, Any]:
        return {**MODEL, "run_id": run_id, "as_of": NOON, "recorded_at": NOON, "name": name, "value": 0.3,
                "threshold": 0.25, "p_value": 0.001, "severity": severity, "columns": [], "message": f"{name}."}

    def _decision(run_id: str, *, hours: int, allowed: bool) -> dict[str, Any]:
        return {**MODEL, "run_id": run_id, "as_of": NOON, "recorded_at": NOON + timedelta(hours=hours),
                "needs_retrain": True, "severity": "high", "confidence": 0.9, "reasons": ["temp drifted."],
                "root_causes": [], "allowed": allowed, "guard": {}}

    def _run(run_id: str, status: str, amendments: Any) -> dict[str, Any]:
        return {**MODEL, "run_id": run_id, "pipeline": "retrain", "status": status, "started_at": NOON, "run_dir": "x",
                "amendments": amendments}

    def _sent(key: str, state: str) -> dict[str, Any]:
        return {**MODEL, "key": key, "run_id": "newest", "kind": "drift", "title": key, "body": "", "state": state,
                "created_at": NOON, "attempts": 3, "taken": [], "next_try_at": NOON}

    return {
        tables.retrain_events: [
            _event("gained", "drift", days=3, promoted=True, new_version=2, improvement_percent=4.2, acc_old=0.7,
                   acc_new=0.73),
            _event("refused", "drift", days=2, new_version=3), _event("old", "schedule", days=90),
            _event("late", "schedule", days=1, retrain_successful=False, notes="timed_out: 900 s"),
            _event("elsewhere", "drift", days=1) | OTHER, _event("theirs", "drift", days=1) | TENANT,
            _event("first", "baseline", days=20, promoted=True, new_version=1, retrain_attempted=False,
                   retrain_successful=False, improvement_percent=None),
        ],
        tables.changes: [_change(1, "promotion", "trimtab", MODEL), _change(2, "promotion", "Ada", MODEL),
                         _change(3, "promotion", "trimtab", MODEL, "undone"), _change(7, "promotion", "Bob", OTHER),
                         _change(1, "promotion", "Eve", TENANT)],
        tables.approvals: [
            {**MODEL, "run_id": run_id, "kind": "promotion", "as_of": NOON, "requested_at": NOON, "expires_at": NOON,
             "challenger": 3, "reasons": [], "state": state}
            for run_id, state in (("asks", "pending"), ("had", "approved"))
        ],
        tables.quarantine: [
            {**MODEL, "version": version, "since": NOON, "by": "Ada", "why": "wrong", "released_at": until}
            for version, until in ((4, None), (5, NOON))
        ],
        tables.performance_snapshots: [
            _day(date(2013, 6, 25), 100, 0.6, roc_auc=0.9), _day(date(2013, 6, 26), 50, 0.9),
            _day(date(2013, 5, 20), 100, 0.8),
            _day(date(2013, 6, 30), 0, None, performance_delta=-0.2, is_degraded=True, p_value=0.001),
            _day(date(2013, 6, 25), 80, 0.1, version=3),    # refused, and so measured on its holdout alone
            _day(date(2013, 6, 25), 100, 0.2, **TENANT),
        ],
        tables.decisions: [_decision("before", hours=-2, allowed=True), _decision("newest", hours=0, allowed=False)],
        tables.signals: [_signal("feature_drift", "high"), _signal("outliers", "none"),
                         _signal("feature_drift", "low", "before")],
        tables.estimates: [
            {**MODEL, "version": 1, "window_start": NOON, "window_end": NOON, "metric": metric, "as_of": NOON,
             "value": 0.7, "low": 0.6, "high": 0.8, "baseline": 0.75, "doubtful": False, "rows": 9, "labelled": 9,
             "recorded_at": NOON, "realised": realised}
            for metric, realised in (("accuracy", {"value": 0.71}), ("roc_auc", sa.null()), ("f1", None))
        ],
        tables.runs: [_run("newest", "succeeded", []), _run("broken", "failed", [{"key": "drift.psi_alert"}])],
        tables.leases: [
            {**MODEL, "run_id": "newest", "host": "here", "pid": 1, "acquired_at": NOON, "expires_at": NOON}
        ],
        tables.outbox: [_sent("unsent", "waiting"), _sent("gone", "sent")],
    }


ANSWERS: dict[str, list[dict[str, Any]]] = {
    "The newest attempts": [{"notes": "timed_out: 900 s"}, {"new_version": 3}, {"new_version": 2},
                            {"trigger_type": "baseline"}, {}],
    "How often does which trigger start one, and how often does it succeed?": [
        {"trigger_type": "drift", "attempts": 2, "succeeded": 2, "promoted": 1, "success_rate": 1.0},
        {"trigger_type": "schedule", "attempts": 1, "succeeded": 0, "promoted": 0, "success_rate": 0.0}],
    "What has retraining gained?": [{"new_version": 2, "improvement_percent": 4.2, "acc_new": 0.73}],
    "Which attempts failed, or took too long?": [{"run_id": "late"}],
    "What was asked for and held back by a safeguard?": [{"run_id": "newest", "severity": "high"}],
    "Which version serves, since when, and who decided so?": [
        {"model": "another", "serves": 7, "by": "Bob"}, {"model": "flight-delays", "serves": 2, "by": "Ada"},
        {"model": "flight-delays", "tenant": "east", "serves": 1, "by": "Eve"}],
    "All that ever served, and why it went": [{"to_version": 1, "why": "why 1"}, {"to_version": 2, "why": "why 2"}],
    "What waits for a person?": [{"run_id": "asks", "challenger": 3}],
    "Which versions may not serve again?": [{"version": 4, "by": "Ada"}],
    "How good was the champion lately, and a month before?": [
        {"span": "last 7 days", "predictions": 200, "outcomes": 150, "accuracy": pytest.approx(0.7),
         "roc_auc": pytest.approx(0.9)},    # of one day, for the other has none
        {"span": "30 to 60 days ago", "outcomes": 100, "accuracy": pytest.approx(0.8)}],
    "Which days were worse than the baseline?": [{"performance_delta": -0.2, "p_value": 0.001}],
    "How many outcomes are known?": [{"share": 1.0}, {"share": 0.5}, {"share": 0.0}],
    "What did the newest check find?": [{"name": "feature_drift", "severity": "high", "message": "feature_drift."}],
    "How has a signal moved from check to check?": [{"value": 0.3}, {"value": 0.3}],
    "Were estimates without labels right, once outcomes came?": [{"metric": "accuracy", "value": 0.7}],
    "Which runs failed, and what is running now?": [{"run_id": "broken", "status": "failed"}],
    "Which runs failed, and what is running now? (2)": [{"run_id": "newest", "host": "here"}],
    "Which messages have not been sent?": [{"title": "unsent", "attempts": 3}],
    "When did somebody change a threshold?": [{"run_id": "broken"}],
}


def test_every_query_has_an_answer_here() -> None:
    assert list(QUERIES) == list(ANSWERS)


@pytest.mark.parametrize("title", list(QUERIES))
def test_query_answers_what_it_says(ledger: sa.Engine, title: str) -> None:
    with ledger.connect() as connection:
        found = [dict(row) for row in connection.exec_driver_sql(QUERIES[title]).mappings()]
    assert [{name: row[name] for name in wanted} for row, wanted in zip(found, ANSWERS[title], strict=True)] \
        == ANSWERS[title]


def test_a08_documented_queries_tell_newest_attempts_frequency_success_and_improvement(ledger: sa.Engine) -> None:
    titles = list(QUERIES)[:3]
    with ledger.connect() as connection:
        newest, by_trigger, gained = (connection.exec_driver_sql(QUERIES[title]).mappings().all() for title in titles)
    assert {"triggered_at", "trigger_type", "severity", "reason"} <= newest[0].keys()
    assert sum(row["attempts"] for row in by_trigger) == 3
    assert [row["improvement_percent"] for row in gained] == [4.2]

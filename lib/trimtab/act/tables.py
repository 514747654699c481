"""The ledger's tables. Times are naive UTC; `as_of` is the time a run stood at, the others are the clock's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.engine import Dialect

metadata = MetaData()


class Truth(Boolean):
    """True or false, nothing else: SQLite keeps whatever it is given, and a plain `Boolean` reads all of it as true."""

    def result_processor(
        self, dialect: Dialect, coltype: object    # noqa: ARG002 -- as SQLAlchemy calls it
    ) -> Callable[[Any], bool | None] | None:
        """Refuse what no run writes, as times do."""
        return None if dialect.supports_native_boolean else _truth


def _truth(value: Any) -> bool | None:
    if value not in (None, 0, 1):
        raise ValueError("neither true nor false")
    return None if value is None else bool(value)


_Id = BigInteger().with_variant(Integer, "sqlite")    # SQLite numbers rows by itself only for INTEGER keys


def _model() -> list[Column[str]]:
    """Every row belongs to a model and a tenant; no tenant is the empty text, so that keys stay unique."""
    return [Column("model", String(100), nullable=False), Column("tenant", String(100), nullable=False)]


runs = Table(
    "runs", metadata,
    Column("run_id", String(80), primary_key=True), *_model(),
    Column("pipeline", String(20), nullable=False),
    Column("as_of", DateTime), Column("status", String(20), nullable=False),
    Column("started_at", DateTime, nullable=False), Column("finished_at", DateTime),
    Column("run_dir", Text, nullable=False), Column("error", Text), Column("result", JSON),
    Column("params", JSON(none_as_null=True)), Column("amendments", JSON),    # since the run before
    Index("runs_by_model", "model", "tenant", "started_at"),
)

signals = Table(
    "signals", metadata,
    Column("id", _Id, primary_key=True), Column("run_id", String(80), nullable=False), *_model(),
    Column("as_of", DateTime, nullable=False), Column("recorded_at", DateTime, nullable=False),
    Column("name", String(60), nullable=False), Column("value", Float), Column("threshold", Float),
    Column("p_value", Float), Column("severity", String(10), nullable=False),
    Column("columns", JSON, nullable=False), Column("message", Text, nullable=False),
    Index("signals_by_model", "model", "tenant", "as_of"),
)

decisions = Table(
    "decisions", metadata,
    Column("run_id", String(80), primary_key=True), *_model(),
    Column("as_of", DateTime, nullable=False), Column("recorded_at", DateTime, nullable=False),
    Column("needs_retrain", Truth, nullable=False), Column("severity", String(10), nullable=False),
    Column("confidence", Float, nullable=False), Column("reasons", JSON, nullable=False),
    Column("root_causes", JSON, nullable=False), Column("allowed", Truth), Column("guard", JSON),
    Index("decisions_by_model", "model", "tenant", "as_of"),
)

verdicts = Table(
    "verdicts", metadata,
    Column("run_id", String(80), primary_key=True), *_model(),
    Column("as_of", DateTime, nullable=False), Column("recorded_at", DateTime, nullable=False),
    Column("champion", Integer), Column("challenger", Integer, nullable=False),
    Column("outcome", String(20), nullable=False), Column("reasons", JSON, nullable=False),
    Column("criteria", JSON, nullable=False), Column("gates", JSON),
)

retrain_events = Table(
    "model_retrain_events", metadata,
    Column("id", _Id, primary_key=True), Column("run_id", String(80), nullable=False, unique=True), *_model(),
    Column("as_of", DateTime, nullable=False),
    Column("started_at", DateTime, nullable=False), Column("finished_at", DateTime),
    Column("reason_json", JSON), Column("train_records", Integer), Column("valid_records", Integer),
    Column("acc_old", Float), Column("acc_new", Float), Column("f1_old", Float), Column("f1_new", Float),
    Column("promoted", Truth, nullable=False), Column("artifact_path", Text), Column("notes", Text),
    Column("trigger_type", String(60)), Column("severity", String(10)), Column("drift_type", Text),
    Column("reason", Text), Column("metrics", JSON),
    Column("retrain_attempted", Truth, nullable=False), Column("retrain_successful", Truth, nullable=False),
    Column("new_version", Integer), Column("new_r2", Float), Column("new_rmse", Float), Column("new_accuracy", Float),
    Column("previous_r2", Float), Column("improvement_percent", Float),
    Column("triggered_at", DateTime, nullable=False), Column("completed_at", DateTime),
    Index("retrain_events_by_model", "model", "tenant", "triggered_at"),
    Index("retrain_events_by_trigger", "trigger_type", "triggered_at"),
)

changes = Table(
    "champion_changes", metadata,
    Column("id", _Id, primary_key=True), *_model(),
    Column("kind", String(20), nullable=False), Column("from_version", Integer), Column("to_version", Integer),
    Column("run_id", String(80)), Column("as_of", DateTime), Column("state", String(10), nullable=False),
    Column("by", String(200), nullable=False), Column("why", Text, nullable=False),
    Column("created_at", DateTime, nullable=False), Column("settled_at", DateTime),
    Column("forced", Truth), Column("quarantines", Truth),
    Column("answers", String(80)),    # the run whose request for approval it carries out
    Column("settled_in", String(80)),    # the run that settled it, where the one that began it could not
    # At most one change of a champion is under way: the database itself refuses a second.
    Index("one_open_change", "model", "tenant", unique=True,
          sqlite_where=text("state = 'intent'"), postgresql_where=text("state = 'intent'")),
)

quarantine = Table(    # versions that may not serve again until somebody forces it
    "quarantine", metadata,
    Column("id", _Id, primary_key=True), *_model(), Column("version", Integer, nullable=False),
    Column("since", DateTime, nullable=False), Column("run_id", String(80)),
    Column("by", String(200), nullable=False), Column("why", Text, nullable=False),
    Column("released_at", DateTime), Column("released_by", String(200)), Column("released_why", Text),
    Index("quarantine_by_model", "model", "tenant", "version"),
)

versions = Table(
    "versions", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("run_id", String(80), nullable=False), Column("as_of", DateTime, nullable=False),
    Column("registered_at", DateTime, nullable=False), Column("sha256", String(64), nullable=False),
    Column("source", Text, nullable=False), Column("lineage", JSON, nullable=False), Column("baseline", JSON),
    Column("files", JSON(none_as_null=True)),    # SHA-256 of every file of its folder
)

profiles = Table(
    "profiles", metadata,
    Column("key", String(64), primary_key=True), *_model(),
    Column("name", String(60), nullable=False), Column("recorded_at", DateTime, nullable=False),
    Column("content", JSON, nullable=False),
)

daily_profiles = Table(
    "daily_profiles", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("key", String(64), primary_key=True), Column("day", Date, primary_key=True),
    Column("rows", Integer, nullable=False), Column("counts", LargeBinary, nullable=False),
    Column("recorded_at", DateTime, nullable=False),
)

SNAPSHOT_METRICS = (    # the ones that are asked for by name; all of them are in `metrics`
    "accuracy", "precision", "recall", "f1", "pr_auc", "roc_auc", "log_loss", "calibration_error", "r2", "rmse", "mae",
)
SNAPSHOT_INTERVALS = ("interval_width", "narrow_share", "coverage")    # of prediction intervals
SNAPSHOT_DRIFT = ("p_value", "performance_delta", "is_degraded")    # what a check said whose window ended that day
performance_snapshots = Table(
    "performance_snapshots", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False), Column("day", Date, primary_key=True),
    Column("rows", Integer, nullable=False), Column("labelled", Integer, nullable=False),
    *(Column(name, Float) for name in (*SNAPSHOT_METRICS, *SNAPSHOT_INTERVALS)),
    Column("p_value", Float), Column("performance_delta", Float), Column("is_degraded", Truth),
    Column("metrics", JSON, nullable=False), Column("groups", JSON), Column("confusion", JSON),
    Column("recorded_at", DateTime, nullable=False),
)

estimates = Table(    # of performance without outcomes, and what came: one row per window and metric
    "performance_estimates", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("window_start", DateTime, primary_key=True), Column("window_end", DateTime, primary_key=True),
    Column("metric", String(60), primary_key=True), Column("as_of", DateTime, nullable=False),
    Column("value", Float), Column("low", Float), Column("high", Float), Column("baseline", Float),
    Column("doubtful", Truth, nullable=False), Column("rows", Integer, nullable=False),
    Column("labelled", Integer, nullable=False), Column("realised", JSON),
    Column("recorded_at", DateTime, nullable=False),
)

samples = Table(
    "samples", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("key", String(64), primary_key=True), Column("rows", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False), Column("days", LargeBinary, nullable=False),
    Column("recorded_at", DateTime, nullable=False),
)

holdouts = Table(
    "holdouts", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False), Column("rows", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False), Column("recorded_at", DateTime, nullable=False),
)

approvals = Table(    # what waits, or has waited, for a person
    "approvals", metadata,
    Column("run_id", String(80), primary_key=True), *_model(),
    Column("kind", String(20), nullable=False), Column("as_of", DateTime, nullable=False),
    Column("requested_at", DateTime, nullable=False), Column("expires_at", DateTime, nullable=False),
    Column("champion", Integer), Column("challenger", Integer), Column("sha256", String(64)),
    Column("severity", String(10)), Column("reasons", JSON, nullable=False),
    Column("state", String(10), nullable=False), Column("by", String(200)), Column("why", Text),
    Column("decided_at", DateTime), Column("decided_in", String(80)), Column("used_by", String(80)),
    Column("after_change", BigInteger),    # of the champion, the last before it was asked
    Index("approvals_by_model", "model", "tenant", "state"),
)

outbox = Table(    # messages to people; `held` came soon after one of its kind, `summed` was counted in a later one
    "outbox", metadata,
    Column("id", _Id, primary_key=True), Column("key", String(120), nullable=False, unique=True), *_model(),
    Column("run_id", String(80), nullable=False), Column("kind", String(20), nullable=False),
    Column("title", Text, nullable=False), Column("body", Text, nullable=False),
    Column("created_at", DateTime, nullable=False), Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False), Column("taken", JSON, nullable=False),
    Column("next_try_at", DateTime, nullable=False), Column("settled_at", DateTime),
    Column("problem", Text), Column("told_in", String(120)),
    Index("outbox_by_model", "model", "tenant", "state"),
)

chain = Table(    # one link per run that ended, each holding the hash of the one before
    "audit_chain", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False), Column("run_id", String(80), nullable=False),
    Column("manifest", String(64)), Column("previous", String(64)), Column("rows", String(64), nullable=False),
    Column("sha256", String(64), nullable=False), Column("recorded_at", DateTime, nullable=False),
    Index("chain_by_run", "model", "tenant", "run_id", unique=True),
)

sealed = Table(    # the hash of every row that the chain covers, by the link that covers it
    "sealed_rows", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("kind", String(30), primary_key=True), Column("key", String(80), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False), Column("sha256", String(64), nullable=False),
)

leases = Table(
    "leases", metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("run_id", String(80), nullable=False), Column("host", String(200), nullable=False),
    Column("pid", Integer, nullable=False), Column("acquired_at", DateTime, nullable=False),
    Column("expires_at", DateTime, nullable=False),
)

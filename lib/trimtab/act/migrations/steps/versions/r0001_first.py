"""The tables of the first ledger that kept anybody's runs."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

revision, down_revision = "0001", None
_metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")


def _model() -> list[Column[str]]:
    return [Column("model", String(100), nullable=False), Column("tenant", String(100), nullable=False)]

Table(
    "runs", _metadata,
    Column("run_id", String(80), primary_key=True), *_model(),
    Column("pipeline", String(20), nullable=False),
    Column("as_of", DateTime), Column("status", String(20), nullable=False),
    Column("started_at", DateTime, nullable=False), Column("finished_at", DateTime),
    Column("run_dir", Text, nullable=False), Column("error", Text), Column("result", JSON),
    Index("runs_by_model", "model", "tenant", "started_at"),
)
Table(
    "signals", _metadata,
    Column("id", _Id, primary_key=True), Column("run_id", String(80), nullable=False), *_model(),
    Column("as_of", DateTime, nullable=False), Column("recorded_at", DateTime, nullable=False),
    Column("name", String(60), nullable=False), Column("value", Float), Column("threshold", Float),
    Column("p_value", Float), Column("severity", String(10), nullable=False),
    Column("columns", JSON, nullable=False), Column("message", Text, nullable=False),
    Index("signals_by_model", "model", "tenant", "as_of"),
)
Table(
    "decisions", _metadata,
    Column("run_id", String(80), primary_key=True), *_model(),
    Column("as_of", DateTime, nullable=False), Column("recorded_at", DateTime, nullable=False),
    Column("needs_retrain", Boolean, nullable=False), Column("severity", String(10), nullable=False),
    Column("confidence", Float, nullable=False), Column("reasons", JSON, nullable=False),
    Column("root_causes", JSON, nullable=False), Column("allowed", Boolean), Column("guard", JSON),
    Index("decisions_by_model", "model", "tenant", "as_of"),
)
Table(
    "verdicts", _metadata,
    Column("run_id", String(80), primary_key=True), *_model(),
    Column("as_of", DateTime, nullable=False), Column("recorded_at", DateTime, nullable=False),
    Column("champion", Integer), Column("challenger", Integer, nullable=False),
    Column("outcome", String(20), nullable=False), Column("reasons", JSON, nullable=False),
    Column("criteria", JSON, nullable=False),
)
Table(
    "model_retrain_events", _metadata,
    Column("id", _Id, primary_key=True), Column("run_id", String(80), nullable=False, unique=True), *_model(),
    Column("as_of", DateTime, nullable=False),
    Column("started_at", DateTime, nullable=False), Column("finished_at", DateTime),
    Column("reason_json", JSON), Column("train_records", Integer), Column("valid_records", Integer),
    Column("acc_old", Float), Column("acc_new", Float), Column("f1_old", Float), Column("f1_new", Float),
    Column("promoted", Boolean, nullable=False), Column("artifact_path", Text), Column("notes", Text),
    Column("trigger_type", String(60)), Column("severity", String(10)), Column("drift_type", String(60)),
    Column("reason", Text), Column("metrics", JSON),
    Column("retrain_attempted", Boolean, nullable=False), Column("retrain_successful", Boolean, nullable=False),
    Column("new_version", Integer), Column("new_r2", Float), Column("new_rmse", Float), Column("new_accuracy", Float),
    Column("previous_r2", Float), Column("improvement_percent", Float),
    Column("triggered_at", DateTime, nullable=False), Column("completed_at", DateTime),
    Index("retrain_events_by_model", "model", "tenant", "triggered_at"),
    Index("retrain_events_by_trigger", "trigger_type", "triggered_at"),
)
Table(
    "champion_changes", _metadata,
    Column("id", _Id, primary_key=True), *_model(),
    Column("kind", String(20), nullable=False), Column("from_version", Integer), Column("to_version", Integer),
    Column("run_id", String(80)), Column("as_of", DateTime), Column("state", String(10), nullable=False),
    Column("by", String(200), nullable=False), Column("why", Text, nullable=False),
    Column("created_at", DateTime, nullable=False), Column("settled_at", DateTime),
    Index("one_open_change", "model", "tenant", unique=True,
          sqlite_where=text("state = 'intent'"), postgresql_where=text("state = 'intent'")),
)
Table(
    "versions", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("run_id", String(80), nullable=False), Column("as_of", DateTime, nullable=False),
    Column("registered_at", DateTime, nullable=False), Column("sha256", String(64), nullable=False),
    Column("source", Text, nullable=False), Column("lineage", JSON, nullable=False), Column("baseline", JSON),
)
Table(
    "profiles", _metadata,
    Column("key", String(64), primary_key=True), *_model(),
    Column("name", String(60), nullable=False), Column("recorded_at", DateTime, nullable=False),
    Column("content", JSON, nullable=False),
)
Table(
    "leases", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("run_id", String(80), nullable=False), Column("host", String(200), nullable=False),
    Column("pid", Integer, nullable=False), Column("acquired_at", DateTime, nullable=False),
    Column("expires_at", DateTime, nullable=False),
)


def upgrade() -> None:
    """Make them."""
    _metadata.create_all(op.get_bind())

"""Days, estimates, approvals, messages and the audit chain: what came before 0.1.0 was released.

Ledgers of that time may have any of it already, for until then tables and columns were added as they came.
"""

from __future__ import annotations

from alembic import op
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
    inspect,
)

revision, down_revision = "0002", "0001"
_metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")


def _model() -> list[Column[str]]:
    return [Column("model", String(100), nullable=False), Column("tenant", String(100), nullable=False)]


Table(
    "quarantine", _metadata,
    Column("id", _Id, primary_key=True), *_model(), Column("version", Integer, nullable=False),
    Column("since", DateTime, nullable=False), Column("run_id", String(80)),
    Column("by", String(200), nullable=False), Column("why", Text, nullable=False),
    Column("released_at", DateTime), Column("released_by", String(200)), Column("released_why", Text),
    Index("quarantine_by_model", "model", "tenant", "version"),
)
Table(
    "daily_profiles", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("key", String(64), primary_key=True), Column("day", Date, primary_key=True),
    Column("rows", Integer, nullable=False), Column("counts", LargeBinary, nullable=False),
    Column("recorded_at", DateTime, nullable=False),
)
Table(
    "performance_snapshots", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False), Column("day", Date, primary_key=True),
    Column("rows", Integer, nullable=False), Column("labelled", Integer, nullable=False),
    *(Column(name, Float) for name in (
        "accuracy", "precision", "recall", "f1", "pr_auc", "roc_auc", "log_loss", "calibration_error", "r2", "rmse",
        "mae", "interval_width", "narrow_share", "coverage",
    )),
    Column("p_value", Float), Column("performance_delta", Float), Column("is_degraded", Boolean),
    Column("metrics", JSON, nullable=False), Column("groups", JSON), Column("confusion", JSON),
    Column("recorded_at", DateTime, nullable=False),
)
Table(
    "performance_estimates", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("window_start", DateTime, primary_key=True), Column("window_end", DateTime, primary_key=True),
    Column("metric", String(60), primary_key=True), Column("as_of", DateTime, nullable=False),
    Column("value", Float), Column("low", Float), Column("high", Float), Column("baseline", Float),
    Column("doubtful", Boolean, nullable=False), Column("rows", Integer, nullable=False),
    Column("labelled", Integer, nullable=False), Column("realised", JSON),
    Column("recorded_at", DateTime, nullable=False),
)
Table(
    "samples", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("key", String(64), primary_key=True), Column("rows", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False), Column("days", LargeBinary, nullable=False),
    Column("recorded_at", DateTime, nullable=False),
)
Table(
    "holdouts", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False), Column("rows", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False), Column("recorded_at", DateTime, nullable=False),
)
Table(
    "approvals", _metadata,
    Column("run_id", String(80), primary_key=True), *_model(),
    Column("kind", String(20), nullable=False), Column("as_of", DateTime, nullable=False),
    Column("requested_at", DateTime, nullable=False), Column("expires_at", DateTime, nullable=False),
    Column("champion", Integer), Column("challenger", Integer), Column("sha256", String(64)),
    Column("severity", String(10)), Column("reasons", JSON, nullable=False),
    Column("state", String(10), nullable=False), Column("by", String(200)), Column("why", Text),
    Column("decided_at", DateTime), Column("decided_in", String(80)), Column("used_by", String(80)),
    Index("approvals_by_model", "model", "tenant", "state"),
)
Table(
    "outbox", _metadata,
    Column("id", _Id, primary_key=True), Column("key", String(120), nullable=False, unique=True), *_model(),
    Column("run_id", String(80), nullable=False), Column("kind", String(20), nullable=False),
    Column("title", Text, nullable=False), Column("body", Text, nullable=False),
    Column("created_at", DateTime, nullable=False), Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False), Column("taken", JSON, nullable=False),
    Column("next_try_at", DateTime, nullable=False), Column("settled_at", DateTime),
    Column("problem", Text), Column("told_in", String(120)),
    Index("outbox_by_model", "model", "tenant", "state"),
)
Table(
    "audit_chain", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False), Column("run_id", String(80), nullable=False),
    Column("manifest", String(64)), Column("previous", String(64)), Column("rows", String(64), nullable=False),
    Column("sha256", String(64), nullable=False), Column("recorded_at", DateTime, nullable=False),
    Index("chain_by_run", "model", "tenant", "run_id", unique=True),
)
Table(
    "sealed_rows", _metadata,
    Column("model", String(100), primary_key=True), Column("tenant", String(100), primary_key=True),
    Column("kind", String(30), primary_key=True), Column("key", String(80), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False), Column("sha256", String(64), nullable=False),
)


def _columns() -> dict[str, list[Column[object]]]:
    """What tables of before have in addition; in old rows it is null."""
    return {
        "runs": [Column("params", JSON(none_as_null=True)), Column("amendments", JSON)],
        "verdicts": [Column("gates", JSON)],
        "champion_changes": [
            Column("forced", Boolean), Column("quarantines", Boolean), Column("answers", String(80)),
            Column("settled_in", String(80)),
        ],
        "versions": [Column("files", JSON(none_as_null=True))],
    }


def upgrade() -> None:
    """Make what is missing, and give drifted columns as much room as they need."""
    connection = op.get_bind()
    _metadata.create_all(connection)
    for table in inspect(connection).get_table_names():
        there = {column["name"] for column in inspect(connection).get_columns(table)}
        for column in (*_columns().get(table, ()), *_later(table)):
            if column.name not in there:
                op.add_column(table, column)
    if connection.dialect.name != "sqlite":    # which never held a text to its length
        op.alter_column("model_retrain_events", "drift_type", type_=Text(), existing_type=String(60))


def _later(table: str) -> list[Column[object]]:
    """Columns that this revision's own tables got only after they were first made, all of which may be null."""
    if table not in _metadata.tables:
        return []
    return [Column(one.name, one.type) for one in _metadata.tables[table].columns if one.nullable]

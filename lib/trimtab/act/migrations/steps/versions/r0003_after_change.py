"""After which change of the champion something was asked, so that a request goes stale when another served since."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, inspect

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Add the column; of requests that are there already it is not known."""
    there = {column["name"] for column in inspect(op.get_bind()).get_columns("approvals")}
    if "after_change" not in there:    # a ledger without a number may have any column
        op.add_column("approvals", Column("after_change", BigInteger))

"""Which versions may not serve again, since when and why? Quarantine, in the ledger.

A version enters it in the very transaction that completes the rollback from it, and leaves it in the one that completes
a rollback to it that a person forced: so a crash leaves no half of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trimtab.act import tables
from trimtab.act.rows import Rows


@dataclass(frozen=True)
class Held:
    """A version in quarantine, or one that was.

    Attributes
    ----------
    version : int
    since : datetime
        UTC.
    run_id : str or None
        The run that put it there.
    by, why : str
        Who put it there, and the reason.
    released_at : datetime or None
        None while it is held.
    released_by, released_why : str or None
        Who let it serve again, and the reason.
    """

    version: int
    since: datetime
    run_id: str | None
    by: str
    why: str
    released_at: datetime | None = None
    released_by: str | None = None
    released_why: str | None = None

    def __str__(self) -> str:
        return f"in quarantine since {self.since:%Y-%m-%d %H:%M} UTC, by {self.by}: {self.why}"


class Quarantine(Rows):
    """Versions of one model and tenant that may not serve; parameters as `Rows`."""

    def all(self) -> list[Held]:
        """Everything that was ever held, oldest first."""
        return [_held(row) for row in self._rows(self._select(tables.quarantine).order_by(tables.quarantine.c.id))]

    def held(self) -> dict[int, Held]:
        """What is held now, by version."""
        return {one.version: one for one in self.all() if one.released_at is None}

    def of(self, connection: sa.Connection, version: int) -> Held | None:
        """Why a version is held, as part of a transaction; None when it is not."""
        query = self._select(tables.quarantine).where(*self._open(version))
        row = connection.execute(query.order_by(tables.quarantine.c.id).limit(1)).mappings().first()
        return _held(dict(row)) if row else None

    def follow(self, connection: sa.Connection, change: Mapping[str, Any]) -> None:
        """Do what a change that is being completed entails, as part of that transaction.

        Parameters
        ----------
        change : mapping
            Its row, settled.
        """
        table, clock = tables.quarantine, change["settled_at"]
        told = {"released_at": clock, "released_by": change["by"], "released_why": change["why"]}
        connection.execute(table.update().where(*self._open(change["to_version"])).values(**told))
        left = change["from_version"] if change["quarantines"] else None
        if left is not None and self.of(connection, left) is None:
            connection.execute(table.insert().values(
                **self._mine, version=left, since=clock, run_id=change["run_id"], by=change["by"],
                why=change["why"],
            ))

    def _open(self, version: int) -> list[sa.ColumnElement[bool]]:
        table = tables.quarantine
        return [*self._is_mine(table), table.c.version == version, table.c.released_at.is_(None)]


def _held(row: Mapping[str, Any]) -> Held:
    return Held(**{name: row[name] for name in Held.__dataclass_fields__})

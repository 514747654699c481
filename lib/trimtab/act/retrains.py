"""Which retrainings were tried, and what came of each? Retrain events, in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trimtab.act import tables
from trimtab.act.chain import Chain
from trimtab.act.rows import Rows, now
from trimtab.act.seals import EVENTS
from trimtab.plain import plain


class Retrains(Rows):
    """The retrain events of one model and tenant; parameters as `Rows`."""

    def record_retrain(self, run_id: str, *, in_run: str | None = None, **values: Any) -> None:
        """Begin or complete the retrain event of a run: columns that are given are set, the others stay.

        Parameters
        ----------
        run_id : str
            Whose event it is.
        in_run : str, optional
            The run that writes, where it is another.
        """
        table = tables.retrain_events
        with self._write(in_run or run_id) as connection:
            known = connection.execute(sa.select(table.c.id).where(table.c.run_id == run_id)).first()
            if known:
                connection.execute(table.update().where(table.c.run_id == run_id).values(**plain_json(table, values)))
                self.beside(Chain).amend(connection, EVENTS, run_id)
            else:
                start: dict[str, Any] = {"promoted": False, "retrain_attempted": False, "retrain_successful": False}
                start |= {"started_at": now(), "triggered_at": now()}
                row = self._mine | {"run_id": run_id} | start | plain_json(table, values)
                connection.execute(table.insert().values(**row))

    def close_retrain(self, run_id: str, notes: str) -> None:
        """End the retrain event of a run that did not come to its evaluation, if there is an open one."""
        with self._write() as connection:
            connection.execute(closing(run_id, notes, now()))

    def follow(self, connection: sa.Connection, change: Mapping[str, Any]) -> None:
        """Say in the event of the run that made a version that it was promoted, as part of that transaction."""
        if change["kind"] != "promotion":
            return
        made, table = tables.versions, tables.retrain_events
        maker = sa.select(made.c.run_id).where(*self._is_mine(made), made.c.version == change["to_version"])
        run_id = connection.execute(maker).scalar_one_or_none()
        told: dict[str, Any] = {"promoted": True}
        if change["answers"] is not None:
            told["notes"] = f"approved by {change['by']}: {change['why']}"
        own = (*self._is_mine(table), table.c.run_id == run_id)
        if connection.execute(table.update().where(*own).values(**told)).rowcount == 1:
            self.beside(Chain).amend(connection, EVENTS, str(run_id))

    def retrain_events(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest retrain events, newest first."""
        table = tables.retrain_events
        return self._rows(self._select(table).order_by(table.c.triggered_at.desc()).limit(limit))

    def retrained(self, before_run: str | None) -> list[datetime]:
        """`as_of` of every attempt to retrain, other than by this run, oldest first; also those later than now."""
        table = tables.retrain_events
        earlier = (table.c.retrain_attempted, table.c.run_id != (before_run or ""))
        rows = self._rows(self._select(table).where(*earlier).order_by(table.c.as_of))
        return [row["as_of"] for row in rows]


def plain_json(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a table: JSON columns made plain, nan made null."""
    return {
        name: plain(value) if isinstance(value, float) or isinstance(table.c[name].type, sa.JSON) else value
        for name, value in values.items()
    }


def closing(run_id: str, notes: str, clock: datetime) -> sa.Update:
    """End the retrain event of a run, if it is still open."""
    table = tables.retrain_events
    still_open = (table.c.run_id == run_id, table.c.finished_at.is_(None))
    return table.update().where(*still_open).values(notes=notes, finished_at=clock, completed_at=clock)

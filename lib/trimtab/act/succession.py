"""Who has served, and how did one champion follow another? Intents and changes, in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from trimtab.act import tables
from trimtab.act.approvals import Approvals
from trimtab.act.quarantine import Quarantine
from trimtab.act.retrains import Retrains
from trimtab.act.rows import Rows, now
from trimtab.decide.rollback import Service
from trimtab.errors import ChampionError


@dataclass(frozen=True)
class Intent:
    """A change of the champion that was begun."""

    id: int
    kind: str
    from_version: int | None
    to_version: int | None


class Succession(Rows):
    """The changes of the champion of one model and tenant; parameters as `Rows`."""

    def begin_change(
        self, kind: str, *, from_version: int | None, to_version: int, run_id: str | None, as_of: datetime | None,
        by: str, why: str, force: bool = False, quarantine: bool = False, answers: str | None = None,
    ) -> int:
        """Write down the intent to change the champion.

        Raises
        ------
        ChampionError
            When the ledger's champion is not `from_version`, `to_version` is in quarantine and nobody forces it, the
            request that the change answers waits no more, or another change is under way.
        BusyError
            When the run is not the active one any more.
        """
        table = tables.changes
        try:
            with self._write(run_id) as connection:
                made = connection.execute(table.insert().values(
                    **self._mine, kind=kind, from_version=from_version, to_version=to_version, run_id=run_id,
                    as_of=as_of, state="intent", by=by, why=why, created_at=now(),
                    forced=force, quarantines=quarantine, answers=answers,
                ))
                # Only now, for the open intent keeps all others out: what is read here cannot change any more.
                believed = self._champion(connection)
                if believed != from_version:
                    raise ChampionError(f"the champion is version {believed}, not {from_version} as expected")
                held = None if force else self.beside(Quarantine).of(connection, to_version)
                if held is not None:
                    raise ChampionError(f"version {to_version} is {held}")
                if answers is not None and not self.beside(Approvals).waits(connection, answers):
                    raise ChampionError(f"what run {answers} asks for waits for nobody any more")
                return int(made.inserted_primary_key[0])  # type: ignore[index]  # -- an insert of one row always has its key
        except IntegrityError:
            raise ChampionError("another change of this champion is under way") from None

    def settle_change(self, change: int, state: str, *, settled_in: str | None = None) -> bool:
        """Complete an intent (`done`), with all that it entails, or take it back (`undone`).

        Parameters
        ----------
        settled_in : str, optional
            The run that does so, where it is not the one that began it; it must be the active one.

        Returns
        -------
        bool
            False for one that somebody else has settled otherwise, which stays so.
        """
        table, own = tables.changes, tables.changes.c.id == change
        with self._write(settled_in) as connection:
            settled = {"state": state, "settled_at": now(), "settled_in": settled_in}
            is_open = table.update().where(own, table.c.state == "intent")
            mine = connection.execute(is_open.values(**settled)).rowcount == 1
            row = dict(connection.execute(self._select(table).where(own)).mappings().one())
            if mine and state == "done":
                self.beside(Quarantine).follow(connection, row)
                self.beside(Approvals).follow(connection, row)
                self.beside(Retrains).follow(connection, row)
        return bool(row["state"] == state)

    def is_open(self, change: int) -> bool:
        """Whether an intent still waits for its end."""
        return change in {intent.id for intent in self.open_changes()}

    def record_foreign_change(
        self, from_version: int | None, to_version: int | None, *, found_in: str | None = None
    ) -> None:
        """Record that somebody else moved the alias, as the active run has found."""
        self._insert(
            tables.changes, in_run=found_in, kind="foreign", from_version=from_version, to_version=to_version,
            state="done", by="someone else", why="the alias was moved outside Trimtab",
            created_at=now(), settled_at=now(),
        )

    def open_changes(self) -> list[Intent]:
        """Intents that were neither completed nor taken back."""
        rows = self._rows(self._select(tables.changes).where(tables.changes.c.state == "intent"))
        return [Intent(row["id"], row["kind"], row["from_version"], row["to_version"]) for row in rows]

    def changes(self) -> list[dict[str, Any]]:
        """Everything that was done or tried with the champion, oldest first."""
        return self._rows(self._select(tables.changes).order_by(tables.changes.c.id))

    def served(self) -> list[Service]:
        """What came into service, oldest first."""
        return [
            Service(row["to_version"], row["kind"])
            for row in self.changes() if row["state"] == "done" and row["to_version"] is not None
        ]

    def since(self, change: int | None) -> list[int | None]:
        """Who came into service after a change, oldest first; nobody where that is not known."""
        return [row["to_version"] for row in self.changes()
                if row["state"] == "done" and change is not None and row["id"] > change]

    def champion(self) -> int | None:
        """The champion, as far as the ledger knows."""
        with self._read() as connection:
            return self._champion(connection)

    def rolled_back(self) -> datetime | None:
        """`as_of` of the latest rollback; None when there was none."""
        done = [row["as_of"] for row in self.changes() if row["kind"] == "rollback" and row["state"] == "done"]
        return max((when for when in done if when is not None), default=None)

    def _champion(self, connection: sa.Connection) -> int | None:
        table = tables.changes
        query = self._select(table).where(table.c.state == "done").order_by(table.c.id.desc()).limit(1)
        row = connection.execute(query).mappings().first()
        return row["to_version"] if row else None

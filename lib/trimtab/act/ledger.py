"""What happened? The only module that speaks SQL to the ledger.

A `Ledger` is bound to one model and tenant. Each method is one transaction: it happened, or it did not.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from trimtab.act import tables
from trimtab.act.approvals import Approvals
from trimtab.act.chain import Chain
from trimtab.act.daybook import DayBook
from trimtab.act.outbox import Outbox
from trimtab.act.quarantine import Quarantine
from trimtab.act.rows import Rows, now
from trimtab.act.seals import EVENTS
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Asked, Check, Guard
from trimtab.decide.promotion import Row, Verdict
from trimtab.decide.rollback import Service
from trimtab.decide.signals import Signal
from trimtab.errors import BusyError, ChampionError
from trimtab.plain import plain

LEASE = timedelta(seconds=60)
DIED = "its process died"


@dataclass(frozen=True)
class Intent:
    """A change of the champion that was begun."""

    id: int
    kind: str
    from_version: int | None
    to_version: int | None


class Ledger(Rows):
    """What happened to one model of one tenant; parameters as `Rows`."""

    @cached_property
    def days(self) -> DayBook:
        """What was measured day by day."""
        return DayBook(self.engine, self._mine["model"], self._mine["tenant"])

    @cached_property
    def approvals(self) -> Approvals:
        """What persons were asked, and what they said."""
        return Approvals(self.engine, self._mine["model"], self._mine["tenant"])

    @cached_property
    def outbox(self) -> Outbox:
        """What people are to be told."""
        return Outbox(self.engine, self._mine["model"], self._mine["tenant"])

    @cached_property
    def chain(self) -> Chain:
        """In which order runs ended, and what each left."""
        return Chain(self.engine, self._mine["model"], self._mine["tenant"])

    @cached_property
    def quarantine(self) -> Quarantine:
        """Which versions may not serve again."""
        return Quarantine(self.engine, self._mine["model"], self._mine["tenant"])

    # -- runs ----------------------------------------------------------------------------------------------------

    def start_run(
        self, run_id: str, *, pipeline: str, run_dir: str, params: Mapping[str, Any] | None = None,
        amendments: Sequence[Any] = (),
    ) -> None:
        """Record that a run began, and with which params; `amendments` are what differs from the run before."""
        self._insert(
            tables.runs, run_id=run_id, pipeline=pipeline, status="running", started_at=now(), run_dir=run_dir,
            params=plain(params), amendments=plain(amendments),
        )

    def run_before(self, run_id: str, pipeline: str) -> tuple[str, dict[str, Any]] | None:
        """The newest other run whose params are known, and these; of the same pipeline where there is one."""
        table = tables.runs
        query = self._select(table).where(table.c.run_id != run_id, table.c.params.is_not(None))
        order = (sa.case((table.c.pipeline == pipeline, 0), else_=1), table.c.started_at.desc())
        rows = self._rows(query.order_by(*order).limit(1))
        return (rows[0]["run_id"], rows[0]["params"]) if rows else None

    def finish_run(
        self, run_id: str, *, status: str, as_of: datetime | None, error: str | None, result: Mapping[str, Any],
        manifest: str | None = None, notes: str = "no verdict was reached",
    ) -> None:
        """Record how a run ended and add it to the chain, in one transaction; one that the chain holds stays as it is.

        Parameters
        ----------
        manifest : str, optional
            SHA-256 of the run's manifest in its final form.
        notes : str
            For a retrain event of the run that is still open.
        """
        values = {"status": status, "finished_at": now(), "as_of": as_of, "error": error, "result": plain(result)}
        if self.chain.holds(run_id):
            return
        with self._write() as connection:
            connection.execute(tables.runs.update().where(tables.runs.c.run_id == run_id).values(**values))
            connection.execute(_closing(run_id, notes, now()))
            self.chain.append(connection, run_id, manifest)

    def runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest runs, newest first, without their params."""
        found = self._rows(self._select(tables.runs).order_by(tables.runs.c.started_at.desc()).limit(limit))
        return [{name: value for name, value in row.items() if name != "params"} for row in found]

    # -- the lease -----------------------------------------------------------------------------------------------

    def acquire(self, run_id: str) -> str | None:
        """Become the one active run of this model; returns the run whose dead lease was taken over, if any.

        Raises
        ------
        BusyError
            When another run is active, saying which and where.
        """
        lease, clock = tables.leases, now()
        mine = {"run_id": run_id, "host": socket.gethostname(), "pid": os.getpid(), "acquired_at": clock}
        with self._write() as connection:
            try:
                with connection.begin_nested():
                    connection.execute(lease.insert().values(**self._mine, **mine, expires_at=clock + LEASE))
                return None
            except IntegrityError:
                held = connection.execute(self._select(lease)).mappings().one()
            if not _dead(dict(held), clock):
                raise BusyError(
                    f"run {held['run_id']} of {self._mine['model']} is active "
                    f"(process {held['pid']} on {held['host']}, since {held['acquired_at']:%Y-%m-%d %H:%M:%S} UTC)"
                )
            taken = connection.execute(
                lease.update()
                .where(*self._is_mine(lease))
                .where(lease.c.run_id == held["run_id"], lease.c.expires_at == held["expires_at"])
                .values(**mine, expires_at=clock + LEASE)
            )
            if taken.rowcount != 1:
                raise BusyError(f"another run of {self._mine['model']} started at the same moment")
            stale = (tables.runs.c.run_id == held["run_id"]) & (tables.runs.c.status == "running")
            connection.execute(
                tables.runs.update().where(stale).values(status="interrupted", finished_at=clock, error=DIED)
            )
            connection.execute(_closing(held["run_id"], DIED, clock))
            return str(held["run_id"])

    def active(self) -> str | None:
        """The run that holds the lease and is alive, as far as can be known; None when there is none."""
        held = self._rows(self._select(tables.leases))
        return None if not held or _dead(held[0], now()) else str(held[0]["run_id"])

    def renew(self, run_id: str) -> bool:
        """Say that the run is still alive; False when the lease is another run's by now."""
        lease = tables.leases
        with self._write() as connection:
            held = connection.execute(
                lease.update().where(*self._is_mine(lease), lease.c.run_id == run_id).values(expires_at=now() + LEASE)
            )
            return bool(held.rowcount)

    def release(self, run_id: str) -> None:
        """Give the lease back."""
        lease = tables.leases
        with self._write() as connection:
            connection.execute(lease.delete().where(*self._is_mine(lease), lease.c.run_id == run_id))

    # -- measurements and decisions ------------------------------------------------------------------------------

    def record_check(
        self, run_id: str, as_of: datetime, signals: Sequence[Signal], decision: Decision, guard: Guard
    ) -> None:
        """Record the signals of a check with the decision that followed; a repeated step replaces its own rows."""
        clock = now()
        common = {**self._mine, "run_id": run_id, "as_of": as_of, "recorded_at": clock}
        rows = [common | {k: v for k, v in plain(signal).items() if k in tables.signals.c} for signal in signals]
        told = {k: v for k, v in plain(decision).items() if k in tables.decisions.c}
        with self._write() as connection:
            for table in (tables.signals, tables.decisions):
                connection.execute(table.delete().where(table.c.run_id == run_id))
            connection.execute(tables.signals.insert(), rows)
            connection.execute(
                tables.decisions.insert().values(**common, **told, allowed=guard.allowed, guard=plain(guard.checks))
            )

    def signals(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest signals, newest first."""
        order = (tables.signals.c.recorded_at.desc(), tables.signals.c.id)
        return self._rows(self._select(tables.signals).order_by(*order).limit(limit))

    def decision(self, run_id: str | None = None) -> Decision | None:
        """The decision of a run, or the newest one; None when there is none."""
        table = tables.decisions
        query = self._select(table).order_by(table.c.recorded_at.desc()).limit(1)
        rows = self._rows(query.where(table.c.run_id == run_id) if run_id else query)
        if not rows:
            return None
        row = rows[0]
        return Decision(
            row["needs_retrain"], row["severity"], row["confidence"], tuple(row["reasons"]), tuple(row["root_causes"])
        )

    def record_verdict(
        self, run_id: str, as_of: datetime, verdict: Verdict, *, champion: int | None, challenger: int
    ) -> None:
        """Record what was decided of a challenger."""
        self._replace(
            tables.verdicts, run_id=run_id, as_of=as_of, recorded_at=now(), champion=champion, challenger=challenger,
            outcome=verdict.outcome, reasons=plain(verdict.reasons), criteria=plain(verdict.rows),
            gates=plain(verdict.gates),
        )

    def verdict(self, run_id: str) -> Verdict | None:
        """What a run decided of a challenger; None when it decided nothing."""
        rows = self._rows(self._select(tables.verdicts).where(tables.verdicts.c.run_id == run_id))
        if not rows:
            return None
        found = rows[0]
        criteria = tuple(_criterion(row) for row in found["criteria"])
        gates = tuple(Check(**gate) for gate in found["gates"] or ())
        return Verdict(found["outcome"], tuple(found["reasons"]), criteria, gates)

    def record_retrain(self, run_id: str, **values: Any) -> None:
        """Begin or complete the retrain event of a run: columns that are given are set, the others stay."""
        table = tables.retrain_events
        with self._write() as connection:
            known = connection.execute(sa.select(table.c.id).where(table.c.run_id == run_id)).first()
            if known:
                connection.execute(table.update().where(table.c.run_id == run_id).values(**plain_json(table, values)))
                self.chain.amend(connection, EVENTS, run_id)
            else:
                start: dict[str, Any] = {"promoted": False, "retrain_attempted": False, "retrain_successful": False}
                start |= {"started_at": now(), "triggered_at": now()}
                row = self._mine | {"run_id": run_id} | start | plain_json(table, values)
                connection.execute(table.insert().values(**row))

    def close_retrain(self, run_id: str, notes: str) -> None:
        """End the retrain event of a run that did not come to its evaluation, if there is an open one."""
        with self._write() as connection:
            connection.execute(_closing(run_id, notes, now()))

    def retrain_events(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest retrain events, newest first."""
        table = tables.retrain_events
        return self._rows(self._select(table).order_by(table.c.triggered_at.desc()).limit(limit))

    def retrained(self, before_run: str | None, as_of: datetime) -> list[datetime]:
        """`as_of` of every attempt to retrain up to a time, other than by this run, oldest first.

        By the time that runs stood at, not by the clock: a replay may go back and forth.
        """
        table = tables.retrain_events
        earlier = (table.c.retrain_attempted, table.c.run_id != (before_run or ""), table.c.as_of <= as_of)
        rows = self._rows(self._select(table).where(*earlier).order_by(table.c.as_of))
        return [row["as_of"] for row in rows]

    def rolled_back(self, as_of: datetime) -> datetime | None:
        """`as_of` of the newest rollback up to a time; None when there was none."""
        done = [row["as_of"] for row in self.changes() if row["kind"] == "rollback" and row["state"] == "done"]
        return max((when for when in done if when is not None and when <= as_of), default=None)

    def asked(self, before_run: str | None, as_of: datetime) -> list[Asked]:
        """What checks of the present champion have said up to a time, other than this run's, oldest first."""
        table = tables.decisions
        since = max((row["created_at"] for row in self.changes() if row["state"] == "done"), default=datetime.min)
        earlier = (table.c.run_id != (before_run or ""), table.c.as_of <= as_of, table.c.recorded_at >= since)
        rows = self._rows(self._select(table).where(*earlier).order_by(table.c.as_of, table.c.recorded_at))
        return [Asked(row["as_of"], row["needs_retrain"], row["severity"]) for row in rows]

    # -- versions and profiles -----------------------------------------------------------------------------------

    def record_version(
        self, version: int, *, run_id: str, as_of: datetime, sha256: str, source: str,
        lineage: Mapping[str, Any],
    ) -> None:
        """Record where a registered version came from."""
        self._replace(
            tables.versions, version=version, run_id=run_id, as_of=as_of, registered_at=now(), sha256=sha256,
            source=source, lineage=plain(lineage),
        )

    def record_baseline(self, version: int, baseline: Mapping[str, Any]) -> None:
        """Record what a version could do when it was evaluated, to hold later windows against."""
        table = tables.versions
        with self._write() as connection:
            connection.execute(
                table.update().where(*self._is_mine(table), table.c.version == version).values(baseline=plain(baseline))
            )

    def version(self, version: int) -> dict[str, Any] | None:
        """What is known of a version; None for one that Trimtab did not make."""
        rows = self._rows(self._select(tables.versions).where(tables.versions.c.version == version))
        return rows[0] if rows else None

    def versions(self) -> list[dict[str, Any]]:
        """All versions that Trimtab made, oldest first."""
        return self._rows(self._select(tables.versions).order_by(tables.versions.c.version))

    def version_of_run(self, run_id: str | None) -> int | None:
        """The version that a run made, or the newest of all; None when there is none."""
        table = tables.versions
        query = self._select(table).order_by(table.c.version.desc()).limit(1)
        rows = self._rows(query.where(table.c.run_id == run_id) if run_id else query)
        return rows[0]["version"] if rows else None

    def save_profile(self, key: str, name: str, content: Mapping[str, Any]) -> None:
        """Keep a profile under its key."""
        self._replace(tables.profiles, key=key, name=name, recorded_at=now(), content=plain(content))

    def profile(self, key: str) -> dict[str, Any] | None:
        """A kept profile, or None."""
        rows = self._rows(sa.select(tables.profiles).where(tables.profiles.c.key == key))
        return rows[0]["content"] if rows else None

    # -- changes of the champion ---------------------------------------------------------------------------------

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
        """
        table = tables.changes
        try:
            with self._write() as connection:
                made = connection.execute(table.insert().values(
                    **self._mine, kind=kind, from_version=from_version, to_version=to_version, run_id=run_id,
                    as_of=as_of, state="intent", by=by, why=why, created_at=now(),
                    forced=force, quarantines=quarantine, answers=answers,
                ))
                # Only now, for the open intent keeps all others out: what is read here cannot change any more.
                believed = self._champion(connection)
                if believed != from_version:
                    raise ChampionError(f"the champion is version {believed}, not {from_version} as expected")
                held = None if force else self.quarantine.of(connection, to_version)
                if held is not None:
                    raise ChampionError(f"version {to_version} is {held}")
                if answers is not None and not self.approvals.waits(connection, answers):
                    raise ChampionError(f"what run {answers} asks for waits for nobody any more")
                return int(made.inserted_primary_key[0])  # type: ignore[index]  # -- an insert of one row always has its key
        except IntegrityError:
            raise ChampionError("another change of this champion is under way") from None

    def settle_change(self, change: int, state: str) -> bool:
        """Complete an intent (`done`), with all that it entails, or take it back (`undone`).

        Returns
        -------
        bool
            False for one that somebody else has settled otherwise, which stays so.
        """
        table, own = tables.changes, tables.changes.c.id == change
        with self._write() as connection:
            settled = table.update().where(own, table.c.state == "intent").values(state=state, settled_at=now())
            mine = connection.execute(settled).rowcount == 1
            row = dict(connection.execute(self._select(table).where(own)).mappings().one())
            if mine and state == "done":
                self.quarantine.follow(connection, row)
                self.approvals.follow(connection, row)
                self._follow(connection, row)
        return bool(row["state"] == state)

    def _follow(self, connection: sa.Connection, change: Mapping[str, Any]) -> None:
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
            self.chain.amend(connection, EVENTS, str(run_id))

    def record_foreign_change(self, from_version: int | None, to_version: int | None) -> None:
        """Record that somebody else moved the alias."""
        self._insert(
            tables.changes, kind="foreign", from_version=from_version, to_version=to_version, state="done",
            by="someone else", why="the alias was moved outside Trimtab", created_at=now(), settled_at=now(),
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

    def champion(self) -> int | None:
        """The champion, as far as the ledger knows."""
        with self._read() as connection:
            return self._champion(connection)

    def _champion(self, connection: sa.Connection) -> int | None:
        table = tables.changes
        query = self._select(table).where(table.c.state == "done").order_by(table.c.id.desc()).limit(1)
        row = connection.execute(query).mappings().first()
        return row["to_version"] if row else None


def _criterion(row: Mapping[str, Any]) -> Row:
    """A criterion as it was recorded, where nan had become null."""
    known: dict[str, Any] = {name: math.nan if value is None else value for name, value in row.items()}
    return Row(**known)


def plain_json(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a table: JSON columns made plain, nan made null."""
    return {
        name: plain(value) if isinstance(value, float) or isinstance(table.c[name].type, sa.JSON) else value
        for name, value in values.items()
    }


def _closing(run_id: str, notes: str, clock: datetime) -> sa.Update:
    """End the retrain event of a run, if it is still open."""
    table = tables.retrain_events
    still_open = (table.c.run_id == run_id, table.c.finished_at.is_(None))
    return table.update().where(*still_open).values(notes=notes, finished_at=clock, completed_at=clock)


def _dead(lease: Mapping[str, Any], clock: datetime) -> bool:
    """A lease is dead when it expired, or when its process on this very host is gone."""
    if lease["expires_at"] < clock:
        return True
    if lease["host"] != socket.gethostname():
        return False
    try:
        os.kill(lease["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False

"""What happened? Runs with what they measured and decided, and the versions that they made.

A `Ledger` is bound to one model and tenant, and leads to everything else that is kept of these. Each method is one
transaction: it happened, or it did not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from trimtab.act import tables
from trimtab.act.approvals import Approvals
from trimtab.act.chain import Chain
from trimtab.act.daybook import DayBook
from trimtab.act.lease import Lease
from trimtab.act.outbox import Outbox
from trimtab.act.quarantine import Quarantine
from trimtab.act.retrains import Retrains, closing
from trimtab.act.rows import Rows, now
from trimtab.act.succession import Succession
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Asked, Check, Guard
from trimtab.decide.promotion import Row, Verdict
from trimtab.decide.signals import Signal
from trimtab.plain import plain


class Ledger(Rows):
    """What happened to one model of one tenant; parameters as `Rows`."""

    @cached_property
    def lease(self) -> Lease:
        """Which run is the one active run."""
        return self.beside(Lease)

    @cached_property
    def retrains(self) -> Retrains:
        """Which retrainings were tried, and what came of each."""
        return self.beside(Retrains)

    @cached_property
    def succession(self) -> Succession:
        """Who has served, and how one followed the other."""
        return self.beside(Succession)

    @cached_property
    def days(self) -> DayBook:
        """What was measured day by day."""
        return self.beside(DayBook)

    @cached_property
    def approvals(self) -> Approvals:
        """What persons were asked, and what they said."""
        return self.beside(Approvals)

    @cached_property
    def outbox(self) -> Outbox:
        """What people are to be told."""
        return self.beside(Outbox)

    @cached_property
    def chain(self) -> Chain:
        """In which order runs ended, and what each left."""
        return self.beside(Chain)

    @cached_property
    def quarantine(self) -> Quarantine:
        """Which versions may not serve again."""
        return self.beside(Quarantine)

    # -- runs ----------------------------------------------------------------------------------------------------

    def start_run(
        self, run_id: str, *, pipeline: str, run_dir: str, params: Mapping[str, Any] | None = None,
        amendments: Sequence[Any] = (),
    ) -> None:
        """Record that a run began, and with which params; `amendments` are what differs from the run before."""
        self._insert(
            tables.runs, in_run=run_id, run_id=run_id, pipeline=pipeline, status="running", started_at=now(),
            run_dir=run_dir, params=plain(params), amendments=plain(amendments),
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
        manifest: str | None = None, notes: str = "no verdict was reached", by: str | None = None,
    ) -> None:
        """Record how a run ended and add it to the chain, in one transaction; one that the chain holds stays as it is.

        Parameters
        ----------
        manifest : str, optional
            SHA-256 of the run's manifest in its final form.
        notes : str
            For a retrain event of the run that is still open.
        by : str, optional
            The run that says so, itself or the one that found it dead; it must hold the lease.

        Raises
        ------
        BusyError
            When another run holds it, or that one is in the chain.
        """
        values = {"status": status, "finished_at": now(), "as_of": as_of, "error": error, "result": plain(result)}
        if self.chain.holds(run_id):
            return
        with self._write(by) as connection:
            connection.execute(tables.runs.update().where(tables.runs.c.run_id == run_id).values(**values))
            connection.execute(closing(run_id, notes, now()))
            self.chain.append(connection, run_id, manifest)

    def runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest runs, newest first, without their params."""
        found = self._rows(self._select(tables.runs).order_by(tables.runs.c.started_at.desc()).limit(limit))
        return [{name: value for name, value in row.items() if name != "params"} for row in found]

    def completed(self, pipelines: Sequence[str]) -> list[tuple[datetime, datetime]]:
        """Of every run of these pipelines that went through: the time it stood at, and the clock when it began."""
        table = tables.runs
        through = (table.c.pipeline.in_(pipelines), table.c.status.in_(("succeeded", "blocked")))
        query = sa.select(table.c.as_of, table.c.started_at).where(*self._is_mine(table), *through)
        return [(row["as_of"], row["started_at"]) for row in self._rows(query) if row["as_of"] is not None]

    # -- measurements and decisions ------------------------------------------------------------------------------

    def record_check(
        self, run_id: str, as_of: datetime, signals: Sequence[Signal], decision: Decision, guard: Guard
    ) -> None:
        """Record the signals of a check with the decision that followed; a repeated step replaces its own rows."""
        clock = now()
        common = {**self._mine, "run_id": run_id, "as_of": as_of, "recorded_at": clock}
        rows = [common | {k: v for k, v in plain(signal).items() if k in tables.signals.c} for signal in signals]
        told = {k: v for k, v in plain(decision).items() if k in tables.decisions.c}
        with self._write(run_id) as connection:
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

    def asked(self, before_run: str | None, as_of: datetime) -> list[Asked]:
        """What checks of the present champion have said up to a time, other than this run's, oldest first."""
        table = tables.decisions
        changed = (row["created_at"] for row in self.succession.changes() if row["state"] == "done")
        since = max(changed, default=datetime.min)
        earlier = (table.c.run_id != (before_run or ""), table.c.as_of <= as_of, table.c.recorded_at >= since)
        rows = self._rows(self._select(table).where(*earlier).order_by(table.c.as_of, table.c.recorded_at))
        return [Asked(row["as_of"], row["needs_retrain"], row["severity"]) for row in rows]

    # -- versions and profiles -----------------------------------------------------------------------------------

    def record_version(
        self, version: int, *, run_id: str, as_of: datetime, sha256: str, source: str,
        lineage: Mapping[str, Any], files: Mapping[str, str] | None = None,
    ) -> None:
        """Record where a registered version came from, and what is in its folder (`modelfile.contents`)."""
        self._replace(
            tables.versions, version=version, run_id=run_id, as_of=as_of, registered_at=now(), sha256=sha256,
            source=source, lineage=plain(lineage), files=files,
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

    def judged_in(self, beginning: str) -> list[int]:
        """Versions of which was decided in runs or sessions whose id begins so."""
        table = tables.verdicts
        rows = self._rows(self._select(table).where(table.c.run_id.startswith(beginning, autoescape=True)))
        return [row["challenger"] for row in rows if row["challenger"] is not None]

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


def _criterion(row: Mapping[str, Any]) -> Row:
    """A criterion as it was recorded, where nan had become null."""
    known: dict[str, Any] = {name: math.nan if value is None else value for name, value in row.items()}
    return Row(**known)

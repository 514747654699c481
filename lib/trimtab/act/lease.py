"""Which run is the one active run of a model? The lease, in the ledger.

Whoever takes a dead lease over marks its run as interrupted in the same transaction.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from trimtab.act import tables
from trimtab.act.retrains import closing
from trimtab.act.rows import Rows, now
from trimtab.errors import BusyError, StateError

LEASE = timedelta(seconds=60)
APART = timedelta(minutes=5)
"""How far apart the clocks of machines that share a ledger may be, where it has none of its own."""
DIED = "its process died"


class Lease(Rows):
    """The lease of one model and tenant; parameters as `Rows`."""

    def acquire(self, run_id: str) -> str | None:
        """Become the one active run of this model; returns the run whose dead lease was taken over, if any.

        Raises
        ------
        BusyError
            When another run is active, saying which and where.
        StateError
            When the lease that is there cannot be read.
        """
        lease = tables.leases
        with self._write() as connection:
            clock = _clock(connection)
            mine = {"run_id": run_id, "host": _here(), "pid": os.getpid(), "acquired_at": clock}
            try:
                with connection.begin_nested():
                    connection.execute(lease.insert().values(**self._mine, **mine, expires_at=clock + LEASE))
                return None
            except IntegrityError:
                held = self._held(connection) or {}
            if not _dead(held, clock):
                host = held["host"].partition("/")[0]
                raise BusyError(
                    f"run {held['run_id']} of {self._mine['model']} is active "
                    f"(process {held['pid']} on {host}, since {held['acquired_at']:%Y-%m-%d %H:%M:%S} UTC)"
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
            connection.execute(closing(held["run_id"], DIED, clock))
            return str(held["run_id"])

    def active(self) -> str | None:
        """The run that holds the lease and is alive, as far as can be known; None when there is none."""
        with self._read() as connection:
            held = self._held(connection)
            return None if held is None or _dead(held, _clock(connection)) else str(held["run_id"])

    def _held(self, connection: sa.Connection) -> dict[str, Any] | None:
        """The row as it is, whoever holds it; None where nobody does."""
        try:
            held = connection.execute(self._select(tables.leases)).mappings().first()
        except (ValueError, TypeError) as error:    # somebody wrote what no column of this type holds
            told = f"the lease of {self._mine['model']} holds what no run writes ({type(error).__name__})"
            raise StateError(f"store.ledger: {told}; delete that row of the table leases") from error
        return None if held is None else dict(held)

    def renew(self, run_id: str) -> bool:
        """Say that the run is still alive; False when the lease is another run's by now."""
        lease = tables.leases
        with self._write() as connection:
            mine, until = (*self._is_mine(lease), lease.c.run_id == run_id), _clock(connection) + LEASE
            return bool(connection.execute(lease.update().where(*mine).values(expires_at=until)).rowcount)

    def held_by(self, run_id: str) -> bool:
        """Whether the lease is this run's; reads only, and so is asked where `renew` would take too long."""
        with self._read() as connection:
            holder = sa.select(tables.leases.c.run_id).where(*self._is_mine(tables.leases))
            return bool(connection.execute(holder).scalar_one_or_none() == run_id)

    def require(self, run_id: str) -> None:
        """Refuse what a run is about to do once it is not the active one any more, as `refuse_gone` does.

        Raises
        ------
        BusyError
            When the lease is another run's, or the audit chain holds this one.
        """
        with self._write(run_id):
            pass

    def release(self, run_id: str) -> None:
        """Give the lease back."""
        lease = tables.leases
        with self._write() as connection:
            connection.execute(lease.delete().where(*self._is_mine(lease), lease.c.run_id == run_id))


def _clock(connection: sa.Connection) -> datetime:
    """The database's own clock where it has one, for those of several machines differ."""
    if connection.dialect.name != "postgresql":
        return now()
    told: datetime = connection.execute(sa.select(sa.func.timezone("UTC", sa.func.clock_timestamp()))).scalar_one()
    return told


def _here() -> str:
    """This host and what tells its processes from those of another: its boot, and the space of process numbers.

    Containers of one host may have one name, and each a process 1.
    """
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{socket.gethostname()[:150]}/{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    return socket.gethostname()[:150]


def _dead(lease: Mapping[str, Any], clock: datetime) -> bool:
    """A lease is dead when it expired, or when its process on this very host is gone.

    One that lasts longer than any can was taken by a clock that has gone back since. A holder that lives renews it by
    the right clock within a quarter of `LEASE`; one that was quicker to be taken for dead gives way (`refuse_gone`).
    """
    if not clock <= lease["expires_at"] <= clock + LEASE + APART:
        return True
    if lease["host"] != _here():
        return False
    try:
        os.kill(lease["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False

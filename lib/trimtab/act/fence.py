"""May a run still write rows of its own? Not once another run holds the lease, or has closed it.

A process that stood still (stopped, suspended, swapped out) learns nothing of that by itself. So each transaction that
writes such rows asks first, and whoever wants to take the lease over waits until it is through.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from trimtab.act import tables
from trimtab.act.seals import BY_HAND
from trimtab.errors import BusyError

GAVE_WAY = "another run of this model took the lease over while this one stood still; it gives way"


def refuse_gone(connection: sa.Connection, whose: Mapping[str, str], run_id: str | None) -> None:
    """Begin a transaction of a run, in which nobody else can take its lease over.

    Parameters
    ----------
    whose : mapping
        Model and tenant.
    run_id : str or None
        The run that writes; a session at a notebook holds no lease and may always write, and so may nobody.

    Raises
    ------
    BusyError
        When the lease is another run's, or the audit chain holds this one.
    """
    if run_id is None or run_id.startswith(BY_HAND):
        return
    lease, chain = tables.leases, tables.chain
    mine = [[table.c[name] == value for name, value in whose.items()] for table in (lease, chain)]
    # A write that changes nothing, for its lock: SQLite begins no transaction for what is only read.
    connection.execute(lease.update().where(*mine[0]).values(run_id=lease.c.run_id))
    holder = connection.execute(sa.select(lease.c.run_id).where(*mine[0])).scalar_one_or_none()
    closed = connection.execute(sa.select(chain.c.seq).where(*mine[1], chain.c.run_id == run_id)).first()
    if holder not in (None, run_id) or closed is not None:
        raise BusyError(GAVE_WAY)

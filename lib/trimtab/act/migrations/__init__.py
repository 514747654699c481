"""Which schema does a ledger have, and how does it get the newest one?

A new ledger is made from `tables` and stamped; an older one is brought forward by Alembic, step by step, in one
transaction that no second process can be in. A change of `tables` wants a module in steps/versions and its number here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from trimtab.act import tables
from trimtab.errors import StateError

NEWEST = "0003"
VERSIONS = "trimtab_schema"
"""The table that says which schema it is; MLflow, whose registry may be in the same database, has one of its own."""
STEPS = Path(__file__).parent / "steps"
_FIRST = "0001"
_LOCK = 7_465_213    # any number; whoever brings a ledger forward on PostgreSQL takes it


def bring_up(engine: sa.Engine) -> None:
    """Give a ledger the newest schema, with all that it holds; nothing is written where it has it.

    Raises
    ------
    StateError
        When it has a schema that only a newer Trimtab knows.
    """
    with engine.connect() as connection:
        if version(connection) == NEWEST:
            return
    with _alone(engine) as connection:
        known = version(connection)
        if known == NEWEST:    # another process did it meanwhile
            return
        if known is not None and known > NEWEST:
            raise StateError(
                f"store.ledger: its tables are those of a newer Trimtab (schema {known}; this one knows {NEWEST})")
        if known is None and not sa.inspect(connection).has_table(tables.runs.name):
            tables.metadata.create_all(connection)
            _stamp(connection, NEWEST)
            return
        if known is None:    # from before schemas had numbers
            _stamp(connection, _FIRST)
        _forward(connection)


def version(connection: sa.Connection) -> str | None:
    """The schema that a ledger says it has; None while it says nothing."""
    if not sa.inspect(connection).has_table(VERSIONS):
        return None
    found: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {VERSIONS}"))
    return found


def _stamp(connection: sa.Connection, number: str) -> None:
    """As Alembic does it, which takes a while to be imported."""
    connection.execute(sa.text(f"CREATE TABLE {VERSIONS} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(sa.text(f"INSERT INTO {VERSIONS} VALUES (:number)"), {"number": number})


def _forward(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    command.upgrade(config, NEWEST)


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction in which no other process brings this ledger forward; all of it happens, or nothing."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")    # the driver begins none by itself before it changes tables
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")

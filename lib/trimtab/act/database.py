"""How is the ledger's database opened, and copied for a dry run?"""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from trimtab.act import migrations, tables
from trimtab.errors import StateError

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_PATIENCE = 30.0    # seconds that a SQLite ledger which another process holds is waited for


def is_sqlite(url: str) -> bool:
    """Whether a URL leads to a SQLite file, whichever way it names the driver."""
    return url.startswith(("sqlite:", "sqlite+"))


def connect(url: str | sa.URL) -> sa.Engine:
    """Open the ledger, making its tables when they are missing.

    Raises
    ------
    StateError
        When the database cannot be opened or written.
    """
    try:
        engine = sa.create_engine(url)
    except (SQLAlchemyError, ImportError) as error:    # no URL at all, or a driver that is not installed
        raise StateError(f"store.ledger: cannot be opened: {reason(error)}") from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "before_cursor_execute", _storable, retval=True)
    try:
        migrations.bring_up(engine)
    except SQLAlchemyError as error:
        raise StateError(f"store.ledger: cannot be opened: {reason(error)}") from error
    return engine


def copy(url: str, file: Path) -> sa.Engine:
    """A copy of the ledger in a SQLite file, for a dry run; an existing one is used again by its later steps.

    A SQLite ledger that does not exist yet is not made for it.
    """
    fresh = not file.exists()
    twin = connect(sa.URL.create("sqlite", database=str(file)))
    if fresh and not _missing(url):
        engine = connect(url)
        with engine.connect() as source, twin.begin() as target:
            for table in tables.metadata.sorted_tables:
                rows = [dict(row) for row in source.execute(sa.select(table)).mappings()]
                if rows:
                    target.execute(table.insert(), rows)
        engine.dispose()
    return twin


def reason(error: Exception) -> str:
    """The database's own words, without SQLAlchemy's around them."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _missing(url: str) -> bool:
    return is_sqlite(url) and not Path(sa.make_url(url).database or "").exists()


def _storable(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, several: bool
) -> tuple[str, Any]:
    """Texts without NUL and halves of characters, which not every database keeps, and an error's words may hold."""
    return statement, [_clean(one) for one in parameters] if several else _clean(parameters)


def _clean(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _text(value) for name, value in values.items()}
    return tuple(map(_text, values))


def _text(value: Any) -> Any:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000:.0f}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = FULL")    # a promotion must survive a power cut
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Have a write-ahead log. While two processes make the same new file SQLite refuses one of them without waiting."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return

"""How are the rows of one model and tenant read and written? Each write is one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from trimtab.act.database import reason
from trimtab.act.fence import refuse_gone
from trimtab.errors import StateError

Part = TypeVar("Part", bound="Rows")


def now() -> datetime:
    """The clock, as naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


class Rows:
    """The ledger's rows of one model and tenant.

    Parameters
    ----------
    engine : sqlalchemy Engine
        From `database.connect`.
    model : str
    tenant : str, optional
    """

    def __init__(self, engine: sa.Engine, model: str, tenant: str | None = None) -> None:
        self.engine = engine
        self._mine = {"model": model, "tenant": tenant or ""}

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def beside(self, part: type[Part]) -> Part:
        """Other rows of the same model and tenant."""
        return part(self.engine, **self._mine)

    @contextmanager
    def _write(self, in_run: str | None = None) -> Iterator[sa.Connection]:
        """A transaction; one of a run that lost its lease, or was closed, is refused (`refuse_gone`)."""
        try:
            with self.engine.begin() as connection:
                refuse_gone(connection, self._mine, in_run)
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise StateError(f"store.ledger: cannot be written: {reason(error)}") from error

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StateError(f"store.ledger: cannot be read: {reason(error)}") from error

    def _rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self._read() as connection:
            try:
                found = [dict(row) for row in connection.execute(query).mappings()]
                texts = [column.name for column in query.selected_columns if isinstance(column.type, sa.String)]
                if any(isinstance(row[name], bytes) for row in found for name in texts):
                    raise TypeError("SQLite keeps whatever it is given")
            except (ValueError, TypeError) as error:    # somebody wrote what no column of this type holds
                told = f"a row holds what no run writes ({type(error).__name__}); trimtab verify names it"
                raise StateError(f"store.ledger: cannot be read: {told}") from error
        return [row | {"tenant": row["tenant"] or None} if "tenant" in row else row for row in found]

    def _select(self, table: sa.Table) -> sa.Select[Any]:
        return sa.select(table).where(*self._is_mine(table))

    def _is_mine(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        return [table.c[name] == value for name, value in self._mine.items()]

    def _insert(self, table: sa.Table, *, in_run: str | None = None, **values: Any) -> None:
        with self._write(in_run) as connection:
            connection.execute(table.insert().values(**self._mine, **values))

    def _replace(self, table: sa.Table, **values: Any) -> None:
        """Insert a row, in the place of one with the same primary key: a step that is run again says it anew.

        Where it names its run, that one must still be active.
        """
        keys = [table.c[column.name] == (self._mine | values)[column.name] for column in table.primary_key]
        with self._write(values.get("run_id")) as connection:
            connection.execute(table.delete().where(*keys))
            connection.execute(table.insert().values(**self._mine, **values))

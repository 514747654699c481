"""In which order did runs end, and what did each leave? The audit chain of one model, in the ledger.

A link is made when a run ends, in the transaction that says how it ended. It holds the hash of the run's manifest, of
the ledger's rows that the run left, and of the link before; the next run's manifest holds the link's own hash. So
whoever changes a file has to change the ledger, and whoever changes the ledger has to change every manifest since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trimtab.act import tables
from trimtab.act.rows import Rows, now
from trimtab.act.seals import INTENTS, KINDS, Kind, fingerprint


@dataclass(frozen=True)
class Link:
    """One run in the chain.

    Attributes
    ----------
    seq : int
        From 1 on, without gaps.
    manifest : str or None
        SHA-256 of the run's `run.json`; None where there was none.
    previous : str or None
        `sha256` of the link before.
    rows : str
        Hash of the hashes of the rows that this link covers.
    sha256 : str
        Of all of that.
    """

    model: str
    tenant: str
    seq: int
    run_id: str
    manifest: str | None
    previous: str | None
    rows: str
    recorded_at: datetime
    sha256: str

    def expected(self) -> str:
        """What `sha256` must be."""
        return fingerprint({f.name: getattr(self, f.name) for f in fields(self) if f.name != "sha256"})


@dataclass(frozen=True)
class Seal:
    """The hash of a row, or of rows with one key, as it was when a link covered it."""

    kind: str
    key: str
    seq: int
    sha256: str


@dataclass(frozen=True)
class Present:
    """A row as it is now: its hash, and the run or session that wrote it."""

    sha256: str
    by: str | None


def hash_of(seals: Iterable[Seal]) -> str:
    """What a link says of the rows that it covers; their order is irrelevant."""
    return fingerprint(sorted((seal.kind, seal.key, seal.sha256) for seal in seals))


class Chain(Rows):
    """The chain of one model and tenant; parameters as `Rows`."""

    def links(self) -> list[Link]:
        """All links, oldest first."""
        with self._read() as connection:
            rows = connection.execute(self._select(tables.chain).order_by(tables.chain.c.seq)).mappings()
            return [Link(**row) for row in rows]

    def head(self) -> Link | None:
        """The newest link; None where no run has ended since there are chains."""
        with self._read() as connection:
            return self._head(connection)

    def length(self) -> int:
        """How many links there are."""
        with self._read() as connection:
            counted = sa.select(sa.func.count(tables.chain.c.sha256)).where(*self._is_mine(tables.chain))
            return int(connection.execute(counted).scalar_one())

    def holds(self, run_id: str) -> bool:
        """Whether a run is in the chain, so that nothing of it may change any more."""
        return bool(self._rows(self._select(tables.chain).where(tables.chain.c.run_id == run_id)))

    def seals(self) -> list[Seal]:
        """Every hash of rows, the oldest link's first; those beyond the head wait for the next link."""
        with self._read() as connection:
            rows = connection.execute(self._select(tables.sealed).order_by(tables.sealed.c.seq)).mappings()
            return [Seal(**{f.name: row[f.name] for f in fields(Seal)}) for row in rows]

    def present(self) -> dict[tuple[str, str], Present]:
        """Every row that could be covered, as it is now, by kind and key; one that cannot be read has no hash."""
        found: dict[tuple[str, str], Present] = {}
        with self._read() as connection:
            for kind in KINDS.values():
                try:
                    found |= self._present(connection, kind)
                except (ValueError, TypeError):    # somebody wrote what no column of this type holds
                    found |= self._one_by_one(connection, kind)
        return found

    def _present(self, connection: sa.Connection, kind: Kind, *only: Any) -> dict[tuple[str, str], Present]:
        rows = [dict(row) for row in connection.execute(self._final(kind).where(*only)).mappings()]
        by = {str(row[kind.key]): kind.author(row) for row in rows}
        return {(kind.name, key): Present(sha, by[key]) for key, sha in kind.hashes(rows).items()}

    def _one_by_one(self, connection: sa.Connection, kind: Kind) -> dict[tuple[str, str], Present]:
        key = kind.table.c[kind.key]
        keys = sa.select(key).where(*self._is_mine(kind.table), *kind.final).distinct()
        found: dict[tuple[str, str], Present] = {}
        for one in connection.execute(keys).scalars().all():
            try:
                found |= self._present(connection, kind, key == one)
            except (ValueError, TypeError):
                found[kind.name, str(one)] = Present("", None)
        return found

    def as_covered(self, kind: str, key: str) -> bool:
        """Whether rows are as they were when a link covered them last; True where none has yet."""
        table, what = tables.sealed, KINDS[kind]
        same = (table.c.kind == kind, table.c.key == key)
        with self._read() as connection:
            newest = self._select(table).where(*same).order_by(table.c.seq.desc()).limit(1)
            seal = connection.execute(newest).mappings().first()
            if seal is None:
                return True
            try:
                now_there = self._present(connection, what, sa.cast(what.table.c[what.key], sa.String) == key)
            except (ValueError, TypeError):    # somebody wrote what no column of this type holds
                return False
        return (kind, key) in now_there and now_there[kind, key].sha256 == seal["sha256"]

    def left_open(self, but: str) -> list[str]:
        """Runs that ended, or died, without coming into the chain, oldest first; not those from before there was one.

        Parameters
        ----------
        but : str
            The run that asks.
        """
        table = tables.runs
        if self.head() is None:
            return []
        unfinished = (table.c.run_id != but, table.c.status.in_(("running", "interrupted")))
        query = self._select(table).where(*unfinished, ~self._is_sealed(KINDS["runs"]))
        return [row["run_id"] for row in self._rows(query.order_by(table.c.started_at))]

    def append(self, connection: sa.Connection, run_id: str, manifest: str | None) -> None:
        """Add the link of a run that ended, over every row that no link covers yet."""
        head = self._head(connection)
        seq = head.seq + 1 if head else 1
        for kind in KINDS.values():
            rows = connection.execute(self._uncovered(kind, run_id, first=head is None)).mappings().all()
            self._seal(connection, kind.name, seq, kind.hashes([dict(row) for row in rows]))
        mine = connection.execute(self._select(tables.sealed).where(tables.sealed.c.seq == seq)).mappings()
        rows_hash = hash_of(Seal(row["kind"], row["key"], seq, row["sha256"]) for row in mine)
        link = Link(**self._mine, seq=seq, run_id=run_id, manifest=manifest, previous=head.sha256 if head else None,
                    rows=rows_hash, recorded_at=now(), sha256="")
        connection.execute(tables.chain.insert().values(**vars(link) | {"sha256": link.expected()}))

    def amend(self, connection: sa.Connection, kind: str, key: str) -> None:
        """After a change to a row that a link covers already: the next link covers it as it is now."""
        table, what = tables.sealed, KINDS[kind]
        same = (*self._is_mine(table), table.c.kind == kind, table.c.key == key)
        if connection.execute(sa.select(table.c.seq).where(*same)).first() is None:
            return
        head = self._head(connection)
        seq = head.seq + 1 if head else 1
        rows = connection.execute(self._final(what).where(what.table.c[what.key] == key)).mappings().all()
        connection.execute(table.delete().where(*same, table.c.seq == seq))
        self._seal(connection, kind, seq, what.hashes([dict(row) for row in rows]))

    def _head(self, connection: sa.Connection) -> Link | None:
        query = self._select(tables.chain).order_by(tables.chain.c.seq.desc()).limit(1)
        row = connection.execute(query).mappings().first()
        return Link(**row) if row else None

    def _seal(self, connection: sa.Connection, kind: str, seq: int, hashes: dict[str, str]) -> None:
        rows: list[dict[str, Any]] = [
            self._mine | {"kind": kind, "key": key, "seq": seq, "sha256": sha} for key, sha in hashes.items()
        ]
        if rows:
            connection.execute(tables.sealed.insert(), rows)

    def _final(self, kind: Kind) -> sa.Select[Any]:
        """The rows of a kind that will not change any more, in a fixed order."""
        return self._select(kind.table).where(*kind.final).order_by(*kind.table.primary_key)

    def _uncovered(self, kind: Kind, run_id: str, *, first: bool) -> sa.Select[Any]:
        """Those that no link covers: what a run left, what came since of no run, and at first what all runs had left.

        A row that turns up later under a run that ended is nobody's, and is left for `verify` to name.
        """
        query, key = self._final(kind).where(~self._is_sealed(kind), *kind.covered), kind.table.c[kind.key]
        if kind.name == INTENTS:
            return query.where(kind.table.c[kind.done_in] == run_id)
        if not kind.of_runs:
            return query
        if kind.name == "answers" and not first:    # one that was given in no run and no session is nobody's
            query = query.where(kind.table.c[kind.done_in].is_not(None))
        ended = sa.select(tables.runs.c.run_id).where(*self._is_mine(tables.runs), *KINDS["runs"].final)
        return query.where(key.in_(ended) if first or kind.of_earlier else key == run_id)

    def _is_sealed(self, kind: Kind) -> sa.ColumnElement[bool]:
        """Whether some link covers a row."""
        table = tables.sealed
        same = (table.c.kind == kind.name, table.c.key == sa.cast(kind.table.c[kind.key], sa.String))
        return sa.select(table.c.seq).where(*self._is_mine(table), *same).correlate(kind.table).exists()

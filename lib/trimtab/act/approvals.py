"""Who was asked, and what did they say? Requests for a person's approval, in the ledger.

A run that may not go on by itself leaves a request under its own id. A person approves or rejects it once, for a time;
what was approved can be used once, and only while the champion is the one that it was asked for. That a promotion was
approved is written in the very transaction that completes the change of the champion, so a crash leaves no half of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from trimtab.act import tables
from trimtab.act.rows import Rows, now
from trimtab.errors import UsageError
from trimtab.plain import plain

Kind = Literal["retrain", "promotion"]


@dataclass(frozen=True)
class Request:
    """What a person is asked to approve.

    Attributes
    ----------
    run_id : str
        The run that asks, by which a person names it.
    kind : str
        retrain (may a challenger be trained?) or promotion (may this very challenger serve?).
    champion : int or None
        Who served when it was asked.
    challenger : int or None
        Who is to serve; None where retraining is asked for.
    sha256 : str or None
        Of the challenger's model file as it was evaluated.
    severity : str or None
        Of the decision that asks for retraining.
    state : str
        pending, approved, rejected or used; of one that is pending or approved, `expires_at` says for how long.
    after_change : int or None
        The last change of the champion before it was asked; 0 where there was none, None where it was not kept.
    """

    run_id: str
    kind: Kind
    as_of: datetime
    requested_at: datetime
    expires_at: datetime
    champion: int | None
    challenger: int | None
    sha256: str | None
    severity: str | None
    reasons: tuple[str, ...]
    state: str = "pending"
    by: str | None = None
    why: str | None = None
    decided_at: datetime | None = None
    decided_in: str | None = None
    used_by: str | None = None
    after_change: int | None = None

    @property
    def what(self) -> str:
        """What is asked, in words."""
        return "to retrain" if self.kind == "retrain" else f"to promote version {self.challenger}"

    @property
    def has_answer(self) -> bool:
        """Whether it tells of anything that is only known once a person has answered."""
        return (self.by, self.why, self.decided_at, self.decided_in) != (None, None, None, None)


class Approvals(Rows):
    """Requests of one model and tenant; parameters as `Rows`."""

    def ask(
        self, run_id: str, kind: Kind, *, as_of: datetime, expires: timedelta, champion: int | None,
        challenger: int | None = None, sha256: str | None = None, severity: str | None = None,
        reasons: Sequence[str] = (),
    ) -> Request:
        """Ask for approval; one that is still open and asks for the same is not asked for twice.

        Returns
        -------
        Request
            The new one, or the one that is open already.
        """
        clock, after = now(), self._last_change()
        for known in self.open():
            same = known.kind, known.champion, known.challenger, known.sha256, known.after_change
            if same == (kind, champion, challenger, sha256, after):
                return known
        asked = Request(
            run_id, kind, as_of, clock, clock + expires, champion, challenger, sha256, severity, tuple(reasons),
            after_change=after)
        self._replace(tables.approvals, **vars(asked) | {"reasons": plain(asked.reasons)})
        return asked

    def all(self) -> list[Request]:
        """Every request, oldest first."""
        rows = self._rows(self._select(tables.approvals).order_by(tables.approvals.c.requested_at))
        return [_request(row) for row in rows]

    def open(self) -> list[Request]:
        """Those that wait for a person and have not expired, oldest first."""
        clock = now()
        return [one for one in self.all() if one.state == "pending" and one.expires_at > clock]

    def of_run(self, run_id: str) -> Request | None:
        """What a run asked for; None when it asked for nothing."""
        rows = self._rows(self._select(tables.approvals).where(tables.approvals.c.run_id == run_id))
        return _request(rows[0]) if rows else None

    def decide(
        self, run_id: str, state: Literal["approved", "rejected"], *, by: str, why: str, decided_in: str | None = None
    ) -> None:
        """Write down what a person said, and in which run or session.

        Raises
        ------
        UsageError
            When nothing is asked under this id, it was decided already, or it has expired.
        """
        table, clock = tables.approvals, now()
        said = {"state": state, "by": by, "why": why, "decided_at": clock, "decided_in": decided_in}
        with self._write(decided_in) as connection:
            self.waits(connection, run_id)    # for its lock
            free = ~self._carrying_out(run_id).exists()
            answered = table.update().where(*self._is_open(run_id, clock), free).values(**said)
            if connection.execute(answered).rowcount == 1:
                return
        self.require_open(run_id)

    def waits(self, connection: sa.Connection, run_id: str) -> bool:
        """Whether a person may still decide a request, as part of a transaction until whose end nobody else can."""
        waiting = sa.select(tables.approvals.c.run_id).where(*self._is_open(run_id, now()))
        return connection.execute(waiting.with_for_update()).first() is not None

    def follow(self, connection: sa.Connection, change: Mapping[str, Any]) -> None:
        """Write down the approval that a change of the champion carried out, as part of the transaction that ends it.

        Parameters
        ----------
        change : mapping
            Its row.
        """
        table = tables.approvals
        asked = (table.c.run_id == change["answers"], table.c.state == "pending")
        connection.execute(table.update().where(*self._is_mine(table), *asked).values(
            state="approved", by=change["by"], why=change["why"], decided_at=change["created_at"],
            decided_in=change["settled_in"] or change["run_id"],
        ))

    def require_open(self, run_id: str) -> Request:
        """The request that a run left, if a person may still decide it.

        Raises
        ------
        UsageError
            When nothing is asked under this id, it was decided already or is just being approved, or it has expired.
        """
        known = self.of_run(run_id)
        if known is None:
            waiting = ", ".join(one.run_id for one in self.open()) or "none"
            raise UsageError(f"run {run_id} of {self._mine['model']} asks for no approval; waiting: {waiting}")
        if known.state != "pending":
            raise UsageError(
                f"run {run_id} was {'approved' if known.state == 'used' else known.state} by {known.by} already "
                f"({known.decided_at:%Y-%m-%d %H:%M} UTC)"
            )
        held = self._rows(self._carrying_out(run_id))
        if held:
            raise UsageError(
                f"run {run_id} is being approved by {held[0]['by']}; if that was cut short, the next run of "
                f"{self._mine['model']} completes it or takes it back"
            )
        if known.expires_at <= now():
            raise UsageError(
                f"the request of run {run_id} has expired ({known.expires_at:%Y-%m-%d %H:%M} UTC); run it again to ask "
                "anew"
            )
        return known

    def granted(self, champion: int | None) -> Request | None:
        """The newest retraining of this champion that was approved and neither used nor expired."""
        clock = now()
        fitting = [
            one for one in self.all()
            if one.kind == "retrain" and one.state == "approved" and one.used_by is None
            and one.champion == champion and one.expires_at > clock
        ]
        return fitting[-1] if fitting else None

    def use(self, run_id: str, used_by: str) -> None:
        """Mark an approval as used, so that it allows nothing a second time."""
        table = tables.approvals
        approved = (table.c.run_id == run_id, table.c.state == "approved", table.c.used_by.is_(None))
        with self._write(used_by) as connection:
            connection.execute(
                table.update().where(*self._is_mine(table), *approved).values(state="used", used_by=used_by))

    def _last_change(self) -> int:
        table = tables.changes
        done = sa.select(sa.func.max(table.c.id)).where(*self._is_mine(table), table.c.state == "done")
        with self._read() as connection:
            return connection.execute(done).scalar_one() or 0

    def _is_open(self, run_id: str, clock: datetime) -> list[sa.ColumnElement[bool]]:
        table = tables.approvals
        return [*self._is_mine(table), table.c.run_id == run_id, table.c.state == "pending", table.c.expires_at > clock]

    def _carrying_out(self, run_id: str) -> sa.Select[Any]:
        """The change that is under way because a request was approved."""
        table = tables.changes
        return self._select(table).where(table.c.answers == run_id, table.c.state == "intent")


def _request(row: dict[str, Any]) -> Request:
    known = {name: row[name] for name in Request.__dataclass_fields__}
    return Request(**known | {"reasons": tuple(row["reasons"])})

"""What are people to be told? Messages in the ledger, until every address has taken them.

The row is the message: it is written in the run, under a key that says which event of which run it is about, so that an
event is told once however often a step is run again. Sending claims a row for a time; two runs never send it at once,
and one whose sender died is claimed again. A receiver that took a message just before its sender died may get it twice,
for no mail or web server can be asked afterwards; the key stands at the end of the message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from trimtab.act import tables
from trimtab.act.rows import Rows, now
from trimtab.decide.alerts import EACH_TOLD, QUIET, Message, since, summary

CLAIM = timedelta(minutes=2)    # longer than any address is waited for
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=6)
GIVEN_UP = timedelta(days=3)
_GOING_OUT = ("waiting", "sending", "sent")
_table = tables.outbox


@dataclass(frozen=True)
class Posted:
    """A message of the outbox.

    Attributes
    ----------
    state : str
        waiting (for a first or later try), sending, sent, held (it came within 24 hours after one of its kind), summed
        (it was counted in the message `told_in`) or given_up.
    attempts : int
        That were begun.
    taken : tuple of int
        Places, in the list of addresses, of those that took it. Not the addresses: they are secrets.
    next_try_at : datetime
        Before which nobody tries again; of one that is being sent, until when its sender has it. One that lies further
        ahead than the longest pause was set by a clock that has gone back since, and is due.
    """

    id: int
    key: str
    run_id: str
    kind: str
    title: str
    body: str
    created_at: datetime
    state: str
    attempts: int
    taken: tuple[int, ...]
    next_try_at: datetime
    settled_at: datetime | None
    problem: str | None
    told_in: str | None


class Outbox(Rows):
    """Messages of one model and tenant; parameters as `Rows`."""

    def put(
        self, run_id: str, messages: Sequence[Message], *, last: bool = True, look: str = "trimtab history"
    ) -> None:
        """Write messages about events of a run, each once; one that comes soon after another of its kind is held.

        Of the kinds of `EACH_TOLD` none is.

        What was held, and whose 24 hours are over, goes along with the first message; with one of its own, where
        there is none.

        Parameters
        ----------
        last : bool
            Whether the run has nothing more to say, so that what was held need not wait for it.
        look : str
            The command that shows the newest runs.
        """
        out = [one for one in messages if self._put(run_id, one)]
        over = {} if out or not last else self._over()
        if over:
            self._put(run_id, summary(self._mine["model"], over, look))

    def _put(self, run_id: str, message: Message) -> bool:
        """Write one message; whether it is to go out."""
        clock, key = now(), f"{run_id}:{message.kind}"
        over = self._over()
        held = message.kind not in EACH_TOLD and message.kind in self._quiet()
        told = message.body if held or not over or message.kind == "summary" else f"{message.body}\n\n{since(over)}"
        row = {
            "key": key, "run_id": run_id, "kind": message.kind, "title": message.title, "body": f"{told}\n\n({key})",
            "created_at": clock, "state": "held" if held else "waiting", "attempts": 0, "taken": [],
            "next_try_at": clock,
        }
        try:
            with self._write() as connection:
                connection.execute(_table.insert().values(**self._mine, **row))
                if not held:
                    counted = (*self._is_mine(_table), _table.c.state == "held", _table.c.kind.in_(list(over)))
                    connection.execute(_table.update().where(*counted).values(state="summed", told_in=key))
        except IntegrityError:    # this event was told already
            return False
        return not held

    def _quiet(self) -> set[str]:
        """Kinds of which a message has gone, or is going, out within 24 hours; none by what is dated later than now."""
        clock = now()
        recent = (_table.c.state.in_(_GOING_OUT), _table.c.created_at > clock - QUIET, _table.c.created_at <= clock)
        return {row["kind"] for row in self._rows(self._select(_table).where(*recent))}

    def _over(self) -> dict[str, int]:
        """How many messages are held of each kind whose 24 hours are over."""
        held = self._rows(self._select(_table).where(_table.c.state == "held").order_by(_table.c.id))
        counts, quiet = Counter(row["kind"] for row in held), self._quiet()
        return {name: number for name, number in counts.items() if name not in quiet}

    def claim(self) -> list[Posted]:
        """Take the messages whose time has come, oldest first; until `CLAIM` is over, or they are settled, nobody else.

        Also those whose sender died, as their claim has run out, and those that a clock put off which was ahead.
        """
        clock = now()
        late = sa.or_(_table.c.next_try_at <= clock, _table.c.next_try_at > clock + LONGEST_PAUSE)
        due = (_table.c.state.in_(("waiting", "sending")), late)
        mine = []
        for row in self._rows(self._select(_table).where(*due).order_by(_table.c.id)):
            same = (_table.c.id == row["id"], _table.c.state == row["state"],
                    _table.c.next_try_at == row["next_try_at"])
            taken = {"state": "sending", "next_try_at": clock + CLAIM, "attempts": row["attempts"] + 1}
            with self._write() as connection:
                if connection.execute(_table.update().where(*same).values(**taken)).rowcount == 1:
                    mine.append(_posted(row | taken))
        return mine

    def took(self, message: int, place: int) -> None:
        """Write down that the address at this place took a message."""
        with self._write() as connection:
            this = _table.c.id == message
            known = connection.execute(sa.select(_table.c.taken).where(this)).scalar_one()
            connection.execute(_table.update().where(this).values(taken=sorted({*known, place})))

    def settle(self, message: Posted, addresses: int) -> Posted:
        """Write down how a try ended: sent, to be tried again after a pause that doubles each time, or given up."""
        clock = now()
        known = self._rows(self._select(_table).where(_table.c.id == message.id))[0]
        failed = addresses - len([place for place in known["taken"] if place < addresses])
        values: dict[str, Any] = {"state": "sent", "settled_at": clock, "problem": None}
        if failed:
            late = clock - message.created_at >= GIVEN_UP
            pause = min(FIRST_PAUSE * 2 ** min(message.attempts - 1, 20), LONGEST_PAUSE)
            values = {
                "state": "given_up" if late else "waiting", "settled_at": clock if late else None,
                "next_try_at": clock + pause, "problem": f"{failed} of {addresses} addresses did not take it",
            }
        with self._write() as connection:
            connection.execute(_table.update().where(_table.c.id == message.id).values(**values))
        return _posted(known | values)

    def all(self, limit: int = 50) -> list[Posted]:
        """The newest messages, newest first."""
        return [_posted(row) for row in self._rows(self._select(_table).order_by(_table.c.id.desc()).limit(limit))]


def _posted(row: dict[str, Any]) -> Posted:
    known = {name: row[name] for name in Posted.__dataclass_fields__}
    return Posted(**known | {"taken": tuple(row["taken"])})

"""Which rows of the ledger does the audit chain cover, and what is the hash of each?

Covered is what says who did what, on which grounds: runs, decisions with their signals, verdicts, retrain events,
changes of the champion, versions, and requests for approval with their answers. What later runs may add to a row is
left out of its hash, and so is what is empty, so that a column that a later release adds changes no old hash.

What a person does in a session at a notebook has no end that could be waited for. Of it only changes of the champion
and versions are covered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from trimtab.act import tables
from trimtab.plain import plain

BY_HAND = "interactive-"
"""How the id of a session begins that is no run."""
Payload = Mapping[str, Any]


def fingerprint(value: Any) -> str:
    """SHA-256 of a value as JSON with sorted keys and no spaces.

    Examples
    --------
    >>> fingerprint({"b": 1, "a": None}) == fingerprint({"a": None, "b": 1})
    True
    """
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _everything(row: Payload) -> Payload:
    return row


def _answer(row: Payload) -> Payload:
    """What was said, whether it was used since or not; a use that the state does not tell of is another answer."""
    said = "approved" if row["state"] == "used" else row["state"] if row["used_by"] is None else "approved anew"
    return {"state": said} | {name: row[name] for name in ("run_id", "by", "why", "decided_at", "decided_in")}


def _use(row: Payload) -> Payload:
    return {name: row[name] for name in ("run_id", "used_by")}


@dataclass(frozen=True)
class Kind:
    """One kind of covered rows.

    Attributes
    ----------
    name : str
        As `sealed_rows` and messages call it.
    key : str
        The column that tells its rows apart; rows with the same key are hashed together.
    final : sequence of SQL conditions
        That hold once a row will not change any more.
    without : set of str
        Columns that may change later.
    payload : callable
        What of a row is hashed.
    of_runs : bool
        Whether its keys are runs.
    done_in : str
        The column that names the run or session which wrote a row.
    settled_in : str or None
        The column that names a later run which settled a row, if one did.
    of_earlier : bool
        Whether a run may leave such rows under the key of an earlier one.
    covered : sequence of SQL conditions
        That must hold, too, when a run ends, for its link to cover a row.
    """

    name: str
    table: sa.Table
    key: str
    final: Sequence[sa.ColumnElement[bool]] = ()
    without: frozenset[str] = frozenset()
    payload: Callable[[Payload], Payload] = field(default=_everything)
    of_runs: bool = True
    of_earlier: bool = False
    done_in: str = "run_id"
    settled_in: str | None = None
    covered: Sequence[sa.ColumnElement[bool]] = ()

    def author(self, row: Payload) -> str | None:
        """The run or session that answers for a row as it is."""
        settled: str | None = row[self.settled_in] if self.settled_in else None
        return settled or row[self.done_in]

    def hashes(self, rows: Sequence[Payload]) -> dict[str, str]:
        """The hash of the rows under each key."""
        grouped: dict[str, list[Payload]] = {}
        for row in rows:
            said = self.payload({name: value for name, value in row.items() if name not in self.without})
            told = {name: value for name, value in said.items() if value is not None}
            grouped.setdefault(str(row[self.key]), []).append(told)
        return {key: fingerprint(said) for key, said in grouped.items()}


_ANSWERED = frozenset({"state", "by", "why", "decided_at", "decided_in", "used_by"})
EVENTS, CHANGES, INTENTS = "model_retrain_events", "champion_changes", "intents"
KINDS: dict[str, Kind] = {kind.name: kind for kind in (
    Kind("runs", tables.runs, "run_id", (tables.runs.c.status != "running",), frozenset({"run_dir"})),
    Kind("decisions", tables.decisions, "run_id"),
    Kind("signals", tables.signals, "run_id"),
    Kind("verdicts", tables.verdicts, "run_id"),
    Kind(EVENTS, tables.retrain_events, "run_id", (tables.retrain_events.c.finished_at.is_not(None),)),
    Kind(CHANGES, tables.changes, "id", (tables.changes.c.state != "intent",), of_runs=False,
         settled_in="settled_in"),
    Kind(INTENTS, tables.changes, "id", (), frozenset({"state", "settled_at", "settled_in"}), of_runs=False,
         covered=(tables.changes.c.state == "intent",)),    # as begun, of those that a run leaves open when it ends
    Kind("quarantine", tables.quarantine, "id", (), frozenset({"released_at", "released_by", "released_why"}),
         of_runs=False),
    Kind("versions", tables.versions, "version", (), frozenset({"baseline", "source"}), of_runs=False),
    Kind("approvals", tables.approvals, "run_id", (), _ANSWERED),
    Kind("answers", tables.approvals, "run_id", (tables.approvals.c.state != "pending",), payload=_answer,
         of_earlier=True, done_in="decided_in"),
    Kind("uses", tables.approvals, "run_id", (tables.approvals.c.used_by.is_not(None),), payload=_use,
         of_earlier=True, done_in="used_by"),
)}

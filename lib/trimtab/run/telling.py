"""What of a run are people told, and when? Its events become messages, and these go out beside it.

Nothing here holds up or fails a run: what goes wrong is one line on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from trimtab.act.alerts import LOG, Courier, Fallback
from trimtab.decide import alerts
from trimtab.decide.alerts import Asked, Change, Happened, Message
from trimtab.errors import TrimtabError
from trimtab.run import homes
from trimtab.run import manifest as manifests
from trimtab.run.manifest import Manifest
from trimtab.run.results import obstacles
from trimtab.run.session import Session
from trimtab.text import visible


def on_standard_error(sentence: str) -> None:
    """Say one line to whoever sits at the terminal."""
    print(f"trimtab: {visible(sentence)}", file=sys.stderr)


class Telling:
    """Tells people of one run; a dry run, and a params file without addresses, tell nobody.

    Parameters
    ----------
    session : Session
        Of the run.
    dry_run : bool
    say : callable, optional
        Takes one line for the person at the terminal.
    """

    def __init__(self, session: Session, *, dry_run: bool, say: Callable[[str], None] = on_standard_error) -> None:
        self._session, self._say = session, say
        self._silent = dry_run or not session.params.alerts.urls
        self._fallback = Fallback(session.home / ".trimtab" / LOG, say)
        self._courier: Courier | None = None

    def unstarted(self, pipeline: str, error: TrimtabError) -> None:
        """Tell that a run could not begin: of a scheduled one nobody would hear otherwise."""
        session = self._session
        self._post(session.run_id, lambda: alerts.messages(Happened(
            session.params.model, session.params.tenant, session.run_id, pipeline, "unstarted",
            params=str(session.loaded.path), report="", unsettled=self._unsettled(), error=str(error),
            names=self._names, program=self._program)), last=True)
        self._finish()

    def step(self, notebook: str, manifest: Manifest) -> None:
        """Tell that training begins, where this step is the one that trains."""
        if notebook == "03_retrain":
            self._post(manifest.run_id, lambda: [alerts.retraining(self._happened(manifest, self._session.run_dir))],
                       last=False)

    def settled(self, run_id: str) -> None:
        """Tell of changes of the champion that a run completed and another one had begun: as that one would have."""
        if self._silent:
            return
        with self._harmless():
            for began in dict.fromkeys(
                row["run_id"] for row in self._session.ledger.succession.changes()
                if row["settled_in"] == run_id != row["run_id"] and row["run_id"] and row["state"] == "done"
            ):
                self._post(began, partial(self._settled, began), last=False)

    def _settled(self, began: str) -> Sequence[Message]:
        folder = self._session.run_dir.parent / homes.checked_run_id(began)
        known = manifests.load(folder)
        if known is not None:
            return alerts.settled(self._happened(known, folder))
        params = self._session.params
        return alerts.settled(Happened(    # a session at a notebook, or a run whose folder is gone
            params.model, params.tenant, began, "", "", params=str(self._session.loaded.path), report="",
            changes=self._changes(began), program=self._program))

    def died(self, manifest: Manifest) -> None:
        """Tell of an earlier run that was found dead, and of what it had settled for another."""
        folder = self._session.run_dir.parent / manifest.run_id
        self.settled(manifest.run_id)
        self._post(manifest.run_id, lambda: alerts.messages(self._happened(manifest, folder, "died")), last=False)

    def ended(self, manifest: Manifest) -> None:
        """Tell what the run came to, and wait a little for messages to get out."""
        self._post(manifest.run_id, lambda: alerts.messages(self._happened(manifest, self._session.run_dir)), last=True)
        self._finish()

    def _finish(self) -> None:
        with self._harmless():
            if self._courier:
                self._courier.finish()

    def _post(self, run_id: str, events: Callable[[], Sequence[Message]], *, last: bool) -> None:
        if self._silent:
            return
        with self._harmless():
            found = [self._redacted(message) for message in events()]
            try:
                outbox = self._session.ledger.outbox
                if self._courier is None:
                    self._courier = Courier(outbox, self._session.params.alerts.urls, self._fallback)
                look = self._session.loaded.redact(
                    alerts.command(self._program, "history", str(self._session.loaded.path)))
                outbox.put(run_id, found, last=last, look=look)
            except TrimtabError as error:
                for message in found:
                    self._fallback.add(message.title, message.body, self._session.loaded.redact(str(error)))
                return
            self._courier.send()

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- a message is never worth a run; its words may hold an address
            told = self._session.loaded.redact(str(error)) if isinstance(error, TrimtabError) else type(error).__name__
            self._say(f"alerts could not be sent: {told}")

    def _redacted(self, message: Message) -> Message:
        redact = self._session.loaded.redact
        return Message(message.kind, redact(message.title), tuple(map(redact, message.numbers)),
                       redact(message.advice), redact(message.report))

    def _happened(self, manifest: Manifest, folder: Path, status: str | None = None) -> Happened:
        result = manifest.result or _so_far(manifest)
        page = folder / ("report.html" if manifest.result else "run.json")
        return Happened(
            manifest.model, manifest.tenant, manifest.run_id, manifest.pipeline, status or manifest.status,
            params=str(self._session.loaded.path), report=str(page), decision=result["decision"],
            guard=result["guard"], obstacles=obstacles(manifest), verdict=result["verdict"], metrics=result["metrics"],
            changes=self._changes(manifest.run_id), unsettled=self._unsettled(), asked=self._asked(manifest.run_id),
            signals=[row for row in self._session.ledger.signals() if row["run_id"] == manifest.run_id],
            error=manifest.error, names=self._names, program=self._program,
        )

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(_names(self._session.loaded.public))

    @property
    def _program(self) -> str:
        return homes.program(self._session.home)

    def _changes(self, run_id: str) -> list[Change]:
        changes = self._session.ledger.succession.changes()
        return [
            Change(row["kind"], row["from_version"], row["to_version"], row["by"], row["why"],
                   row["settled_in"] if row["settled_in"] != run_id else None)
            for row in changes
            if row["run_id"] == run_id and row["state"] == "done" and row["to_version"] is not None
        ]

    def _unsettled(self) -> int | None:
        """Where an open change leads to; also one of another run, for who serves is not known then either."""
        with suppress(TrimtabError):
            return next((one.to_version for one in self._session.ledger.succession.open_changes()), None)
        return None

    def _asked(self, run_id: str) -> Asked | None:
        found = self._session.ledger.approvals.of_run(run_id)
        if found is None or found.state != "pending":
            return None
        return Asked(found.what, f"{found.expires_at:%Y-%m-%d %H:%M} UTC")


def _so_far(manifest: Manifest) -> dict[str, Any]:
    """The result of a run that goes on: the decision that led to training."""
    scraps = next((step.scraps for step in manifest.steps if step.notebook == "02_drift_analysis"), None)
    return {"decision": scraps or None, "guard": None, "verdict": None, "metrics": {}}


def _names(tree: Any) -> Iterator[str]:
    """What a params file names; keys, too."""
    if isinstance(tree, dict):
        yield from map(str, tree)
        for value in tree.values():
            yield from _names(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _names(value)
    elif isinstance(tree, str):
        yield tree

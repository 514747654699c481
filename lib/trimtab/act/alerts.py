"""Who is told? Messages of the outbox through Apprise, in the background, which never hold up or fail a run."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trimtab.act.outbox import Outbox, Posted
from trimtab.act.rows import now
from trimtab.text import visible

PATIENCE = 5.0    # seconds that the end of a run waits for messages to get out
LOG = "alerts.log"
_TYPES = {
    "failed": "failure", "drift": "warning", "approval_needed": "warning", "rolled_back": "warning",
    "warning": "warning",
    "promoted": "success", "retrain_finished": "success",
}


def deliver(url: str, *, kind: str, title: str, body: str) -> bool:
    """Hand a message to one address; certificates are verified unless the address itself says `verify=no`.

    Parameters
    ----------
    url : str
        An Apprise URL.
    kind : str
        Of the message; services that have colours or urgencies are given one for it.
    title, body : str
        Plain text; Apprise writes it so that it stays text where a service reads HTML or Markdown.

    Returns
    -------
    bool
        Whether it was taken; an address that sends elsewhere has not taken it, unless it says `redirect=yes`.
    """
    import apprise

    # Its warnings name hosts; without a handler they would go to standard error.
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    # Who follows a redirect mostly asks for a page there, and its being there is no sign that anybody took a message.
    service = apprise.Apprise(asset=apprise.AppriseAsset(http_redirects=False))
    if not service.add(url):
        return False
    how: Any = {"body_format": apprise.NotifyFormat.TEXT, "notify_type": apprise.NotifyType(_TYPES.get(kind, "info"))}
    return bool(service.notify(title=title, body=body, **how))


class Fallback:
    """Where messages are that could not be sent: a file, one JSON object a line.

    Parameters
    ----------
    log : Path
        The file.
    tell : callable
        Takes one line for the person at the terminal.
    """

    def __init__(self, log: Path, tell: Callable[[str], None]) -> None:
        self._log, self._tell = log, tell

    def add(self, title: str, body: str, problem: str) -> None:
        """Append a message to the log, and say so in one line."""
        line = {"at": f"{now():%Y-%m-%dT%H:%M:%S}Z", "title": title, "body": body, "problem": problem}
        where = f"it is in {self._log}"
        try:
            append(self._log, json.dumps(line))
        except OSError as error:
            where = f"{self._log} cannot be written: {error.strerror or error}"
        self._tell(visible(f"the alert {title!r} was not delivered ({problem}); {where}"))


class Courier:
    """Sends what is due, beside everything else.

    Each address has a thread of its own, so that one which never answers keeps nothing from the others. The threads
    end with the process; what they had not done by then, a later run does.

    Parameters
    ----------
    outbox : Outbox
    urls : sequence of str
        Apprise URLs.
    fallback : Fallback
        Takes what could not be sent.
    """

    def __init__(self, outbox: Outbox, urls: Sequence[str], fallback: Fallback) -> None:
        self._outbox, self._urls, self._fallback = outbox, tuple(urls), fallback
        self._lock = threading.Lock()
        self._rounds: list[tuple[list[Posted], list[threading.Thread]]] = []

    def send(self) -> None:
        """Begin to send what is due.

        Raises
        ------
        StateError
            When the ledger cannot be read or written.
        """
        claimed = self._outbox.claim()
        threads = [
            threading.Thread(target=self._carry, args=(place, claimed), daemon=True)
            for place in range(len(self._urls) if claimed else 0)
        ]
        self._rounds.append((claimed, threads))
        for thread in threads:
            thread.start()

    def _carry(self, place: int, claimed: Sequence[Posted]) -> None:
        """Take all messages to one address, in their order."""
        for message in claimed:
            if place in message.taken:
                continue
            try:
                if deliver(self._urls[place], kind=message.kind, title=message.title, body=message.body):
                    with self._lock:
                        self._outbox.took(message.id, place)
            except Exception:  # noqa: BLE001, S112 -- whatever it is: not taken, and its text may hold the address
                continue

    def finish(self, patience: float = PATIENCE) -> None:
        """Wait a little for what is under way, and write down how each message fared.

        Raises
        ------
        StateError
            When the ledger cannot be written.
        """
        ends = time.monotonic() + patience
        for claimed, threads in self._rounds:
            for thread in threads:
                thread.join(max(0.0, ends - time.monotonic()))
            for message in claimed:
                with self._lock:
                    self._settled(self._outbox.settle(message, len(self._urls)))
        self._rounds.clear()

    def _settled(self, message: Posted) -> None:
        """Where no address took a message, it is in the log at least: at its first try, and when it is given up."""
        if message.state == "given_up":
            self._fallback.add(message.title, message.body, f"given up: {message.problem}")
        elif message.state == "waiting" and message.attempts == 1 and not message.taken:
            self._fallback.add(message.title, message.body, f"a later run tries again: {message.problem}")


def append(path: Path, line: str) -> None:
    """Add a line to the end of a file in one write, readable by its owner only where it is new."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)

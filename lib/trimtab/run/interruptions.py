"""How does a signal end a run, and when is it not heard?"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def stops_as_exceptions() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: by an exception that asyncio lets through."""

    def _stop(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    with _handlers(_stop):
        yield


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """While the end of a run is written down, a second signal is not heard."""
    with _handlers(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handlers(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


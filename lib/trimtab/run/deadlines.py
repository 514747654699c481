"""Until when may a notebook run, and what happens when it does not end?

At its soft limit a kernel is interrupted as by Ctrl-C: the cell's clean-up is done, the report shows where it stood.
At its hard limit the kernel is killed with the processes that it started, whatever native code it sits in.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from trimtab.errors import TimeLimitError
from trimtab.run.kernels import WarmKernelManager

_AGAIN = 10.0    # seconds until an interruption is repeated, which a kernel hears only while a cell runs


@dataclass(frozen=True)
class Limits:
    """How long a notebook may take: interrupted after `soft`, killed after `hard`, which is longer."""

    soft: timedelta
    hard: timedelta


class Deadline:
    """The limits of one notebook; made before its kernel, over with it.

    Parameters
    ----------
    name : str
        What the notebook is called in messages.
    limits : Limits
        Counted from when its kernel answers; papermill waits a minute for that.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self._name, self._limits = name, limits
        self._lock, self._over = threading.Lock(), threading.Event()
        self._process: Any = None
        self._passed: str | None = None

    def manager_class(self, *, warm: bool) -> type[AsyncKernelManager]:
        """The class of kernel managers whose kernels are watched, forked from the warm server or ordinary ones."""
        base: type[AsyncKernelManager] = WarmKernelManager if warm else AsyncKernelManager
        deadline = self

        class Watched(base):    # type: ignore[valid-type, misc]  # -- one of two
            async def start_kernel(self, **kwargs: Any) -> None:
                """Start it, and know its process."""
                await super().start_kernel(**kwargs)
                deadline._process = self.provisioner.process    # with the interface of subprocess.Popen

        return Watched

    def begin(self, **_: Any) -> None:
        """From now on it counts: the kernel answers."""
        threading.Thread(target=self._watch, name="deadline", daemon=True).start()

    def check(self, **_: Any) -> None:
        """Before each cell: between two of them a kernel hears no interruption.

        Raises
        ------
        TimeLimitError
            When the soft limit has passed.
        """
        if self.error is not None:
            raise self.error

    def over(self) -> None:
        """Nobody is interrupted or killed any more."""
        with self._lock:
            self._over.set()

    @property
    def error(self) -> TimeLimitError | None:
        """Which limit it ran into last, if any."""
        return None if self._passed is None else TimeLimitError(self._passed)

    def _watch(self) -> None:
        soft, hard = self._limits.soft.total_seconds(), self._limits.hard.total_seconds()
        at = soft
        over = self._over.wait(at)
        while not over and at < hard:
            self._end(f"{soft:g} s (limits.soft) and was interrupted", os.kill, signal.SIGINT)
            at, waited = min(at + _AGAIN, hard), at
            over = self._over.wait(at - waited)
        if not over:
            self._end(f"{hard:g} s (limits.hard) and was killed", os.killpg, signal.SIGKILL)

    def _end(self, how: str, send: Callable[[int, int], None], number: int) -> None:
        with self._lock:
            if self._over.is_set() or self._process.poll() is not None:
                return
            self._passed = f"{self._name} took longer than {how}"
            with contextlib.suppress(ProcessLookupError):    # it has just ended, by itself
                send(self._process.pid, number)    # a kernel leads a group of its own

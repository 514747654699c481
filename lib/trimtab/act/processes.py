"""How is work done in a process of its own, under a time limit, so that nothing of it outlives who asked for it?"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from trimtab.act.sockets import keep_short
from trimtab.errors import NoAnswerError, StepError, TimeLimitError, TrimtabError, of_place

R = TypeVar("R")
_LAST_WORDS = 5.0    # seconds to wait for them
_MOST_SAID = 100_000    # characters
_LONGEST_POLL = 20 * 86400.0    # seconds: the system counts milliseconds in 32 bits
_GRACE = 60    # seconds of processor time beyond the limit, for importing, reading and writing


def apart(work: Callable[..., R], *args: Any, limit: timedelta, what: str, setting: str, place: Path) -> R:
    """Do work in a fresh process, which is killed at the limit even when it sits in native code.

    What it prints comes out here, on standard error, once it has ended: a terminal or a log that the process had
    inherited would show it with whatever secrets it holds, and nobody in between to take them out.

    Parameters
    ----------
    work : function of a module
        Called with `args`; what it returns comes back. All of them are pickled.
    limit : timedelta
        How long it may take.
    what : str
        What it is called in messages.
    setting : str
        The params key that says how long.
    place : Path
        The folder that it works in, for messages about it.

    Raises
    ------
    TimeLimitError
        When it took longer; the process was killed, with whatever it had started.
    StepError
        When it failed, with its own words; a `NoAnswerError` when it ended without any.
    """
    keep_short()
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    heard, speaker = context.Pipe(duplex=False)
    told = {"sender": sender, "speaker": speaker, "limit": limit, "what": what, "place": place}
    process = context.Process(target=_work, args=(work, args), kwargs=told, daemon=True)
    try:
        _start(process, what)
        sender.close()
        speaker.close()
        with _overheard(heard, process):
            return _await(process, receiver, limit, what, setting)    # type: ignore[no-any-return]  # -- what a pipe brings has no type
    finally:
        _end(process)
        for end in (receiver, sender, speaker, heard):
            end.close()


@contextlib.contextmanager
def _overheard(heard: Connection, process: BaseProcess) -> Iterator[None]:
    """Take in what a process prints while it works, so that it never waits for a reader, and print it at the end."""
    parts: list[bytes] = []

    def _listen() -> None:
        with contextlib.suppress(OSError):
            while part := os.read(heard.fileno(), 2**16):
                parts.append(part)

    listener = threading.Thread(target=_listen, name="listener", daemon=True)
    listener.start()
    try:
        yield
    finally:
        _end(process)    # with all that it started, so that nobody can say more
        listener.join(_LAST_WORDS)
        if said := b"".join(parts).decode(errors="replace"):
            print(said[-_MOST_SAID:], end="", file=sys.stderr, flush=True)


def end_with_parent() -> None:
    """End this process, and what it started, as soon as the process that asked for it is gone, even when it was killed.

    A process forked from a server has the server for its parent, and that lives while its children do: so watching the
    parent's id is not enough. The process becomes the leader of a group of its own.
    """
    parent = multiprocessing.parent_process()
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)

    def _wait() -> None:
        if parent is not None:
            parent.join()    # returns when its end of a pipe closes, by whatever cause
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=_wait, name="end-with-parent", daemon=True).start()


def _start(process: BaseProcess, what: str) -> None:
    try:
        process.start()
    except (OSError, EOFError) as error:    # no memory to fork, or it died while the records were handed over
        raise StepError(f"{what} could not be started: {error!r}") from error


def _end(process: BaseProcess) -> None:
    """Kill the process with whatever was started from it."""
    if process.pid is None:
        return
    with contextlib.suppress(ProcessLookupError):    # all gone, or it has not made its own group yet
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _await(process: BaseProcess, receiver: Connection, limit: timedelta, what: str, setting: str) -> Any:
    seconds = limit.total_seconds()
    if not receiver.poll(min(seconds, _LONGEST_POLL)):
        raise TimeLimitError(f"{what} took longer than {seconds:.3g} s ({setting}) and was stopped")
    try:
        told = receiver.recv()
    except EOFError:
        process.join()
        raise NoAnswerError(f"{what} ended without an answer (exit code {process.exitcode})") from None
    if isinstance(told, TrimtabError):
        raise told
    return told


def _work(
    work: Callable[..., Any], args: tuple[Any, ...], *, sender: Connection, speaker: Connection, limit: timedelta,
    what: str, place: Path,
) -> None:
    """In the process: do it, and tell what came of it or the error."""
    end_with_parent()    # in a group of its own, so that what an estimator starts can be ended with it
    _speak_into(speaker)
    _limit_processor_time(limit)
    told: Any
    try:
        told = work(*args)
    except TrimtabError as error:
        told = error
    except Exception as error:  # noqa: BLE001 -- whatever an estimator raises, its words belong in the report
        told = of_place(error, place) or StepError(f"{what} failed: {type(error).__name__}: {error}")
    for stream in (sys.stdout, sys.stderr):    # first: once the answer is there, this process may be ended
        stream.flush()
    sender.send(told)


def _speak_into(speaker: Connection) -> None:
    """Let everything that this process prints, native code's words too, go where its parent listens."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(speaker.fileno(), number)
    speaker.close()


def _limit_processor_time(limit: timedelta) -> None:
    """The last resort: native code that never lets another thread run is ended by the system itself."""
    most = int(limit.total_seconds() * (os.cpu_count() or 1)) + _GRACE
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (most, hard))

"""How is the warm server started, and with which settings do kernels run?

Kept apart from `kernels`, which needs Jupyter: the command line starts the server before it imports anything else, for
the server's own imports are what a short run waits for.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.act.sockets import keep_short

PRELOAD = ("trimtab.run.preload",)
SERVER_MARK = "TRIMTAB_FORKSERVER"
LOAD_LATER = getattr(signal, "SIGUSR1", signal.SIGTERM)    # Windows has none, but no forkserver either
MOST_THREADS = 8

_expecting = False    # whether the running server has been given modules that it has not imported yet
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def available() -> bool:
    """Whether warm kernels work on this platform.

    macOS has a forkserver, but its system libraries (Accelerate under NumPy among them) do not survive a fork.
    """
    return "forkserver" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"


def start(also: Sequence[str] = (), later: Sequence[str] = ()) -> None:
    """Start the forkserver and return at once; it imports in the background.

    Starting it twice does nothing. It ends with this process at the latest, whatever way this process ends.

    Parameters
    ----------
    also
        Modules to import besides the usual ones, where the notebooks to come will want them.
    later
        Modules that only later kernels will want: `load_later` has them imported.
    """
    global _expecting
    keep_short()
    before = _server()._forkserver_pid
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(PRELOAD))
    os.environ[SERVER_MARK] = ";".join((",".join(also), ",".join(later)))
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        del os.environ[SERVER_MARK]
    if _server()._forkserver_pid != before:
        _expecting = bool(later)


def load_later() -> None:
    """Have the server import, while a kernel works, what only the kernels after it will want."""
    global _expecting
    pid = _server()._forkserver_pid
    if _expecting and pid is not None:
        _expecting = False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, LOAD_LATER)


def stop() -> None:
    """End the forkserver, even in the middle of its imports; nothing happens when none runs."""
    running = _server()
    pid = running._forkserver_pid
    if pid is None:
        return
    # Closing its pipe would do, but not before the imports are through, nor while anything else holds that pipe.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(ChildProcessError):
        running._stop()


def _server() -> Any:
    return multiprocessing.forkserver._forkserver  # nothing public tells its process, or stops it


def thread_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Thread settings for numeric libraries; what the environment already says is kept.

    Parameters
    ----------
    environment
        Variables that win over the defaults: one OpenMP thread, and one for linear algebra. Where fitting has enough to
        do for more (see `act.training`), `OMP_THREAD_LIMIT` says how many: as many as this process may use cores, at
        most `MOST_THREADS`.

    Examples
    --------
    >>> thread_environment({"OMP_NUM_THREADS": "3"})["OMP_THREAD_LIMIT"]
    '3'
    """
    asked = environment.get("OMP_NUM_THREADS")
    defaults = {
        # A check predicts and solves much that is small. A second thread gains little there, and on cores that another
        # process also wants the two wait for each other, many times longer than they compute.
        "OMP_NUM_THREADS": "1",
        "OMP_THREAD_LIMIT": asked or str(min(_usable_cores(), MOST_THREADS)),
        "OPENBLAS_NUM_THREADS": "1",
        # Threads that spin while they wait keep the one that works from its core; OpenMP's default spins for seconds.
        "GOMP_SPINCOUNT": "100",
    }
    return {name: environment.get(name) or value for name, value in defaults.items()}


def kernel_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with thread settings added where it has none, and telemetry switched off."""
    return {**environment, **thread_environment(environment), **_QUIET}


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

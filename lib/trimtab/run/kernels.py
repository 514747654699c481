"""How a notebook gets a process of its own in a fraction of a second.

Importing scikit-learn, MLflow, Ibis and matplotlib takes longer than most notebooks run. So the standard library's
forkserver imports them once (`trimtab.run.preload`) and forks a kernel per notebook. Each kernel is a process of its
own, in its own session; nothing that a notebook changes reaches the next one.

`server.start()` early, then hand `WarmKernelManager` to papermill as ``kernel_manager_class``. Where
`server.available()` says no, an ordinary kernel does the same work, only later.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.process
import os
import signal
import subprocess
import sys
import time
import types
import weakref
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Type, default

from trimtab.act.processes import end_with_parent
from trimtab.errors import StepError
from trimtab.run import server
from trimtab.run.server import kernel_environment

PROVISIONER = "trimtab-forkserver"

KERNEL_OPTIONS = (
    "--HistoryManager.enabled=False",  # nobody scrolls back through what a report typed
    "--log-level=CRITICAL",  # the kernel's own log would run through the runner's progress bar
)

_RECONNECT_MILLISECONDS = 10

_running: weakref.WeakSet[KernelProcess] = weakref.WeakSet()


# The server: lives as long as the runner


def stop_server() -> None:
    """Kill the kernels that still run, then end the forkserver."""
    for kernel in list(_running):
        kernel.kill_group()
        kernel.wait()
    server.stop()


# The runner's side of a kernel


class KernelProcess:
    """A kernel forked from the server, with the interface of `subprocess.Popen` that Jupyter expects.

    Parameters
    ----------
    connection_file
        Where the kernel reads its ports and key.
    cwd
        Working directory of the kernel.
    environment
        All environment variables of the kernel.
    """

    stdin = stdout = stderr = None

    def __init__(self, connection_file: str, cwd: str, environment: dict[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        self._process = context.Process(
            target=_run_kernel, name="trimtab-kernel", args=(connection_file, cwd, environment)
        )
        with without_main_module():
            self._process.start()
        _running.add(self)
        # multiprocessing joins its children at exit; a kernel left over by an error would make that wait forever. Exit
        # handlers run last in, first out, so this one kills it before.
        atexit.unregister(stop_server)
        atexit.register(stop_server)

    @property
    def pid(self) -> int:
        """Process id, and from its first moments on also session and process group of the kernel."""
        pid = self._process.pid
        assert pid is not None  # set by start()
        return pid

    def poll(self) -> int | None:
        """Exit code, the negative signal number after a signal, or None while the kernel runs."""
        code = self._process.exitcode
        if code is not None:
            _running.discard(self)
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the kernel has ended.

        Raises
        ------
        subprocess.TimeoutExpired
            The kernel still runs after `timeout` seconds.
        """
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("trimtab-kernel", timeout or 0.0)
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel alone; nothing happens when it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Send SIGTERM to the kernel."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the kernel."""
        self.send_signal(signal.SIGKILL)

    def kill_group(self) -> None:
        """Kill the kernel with the processes that it started."""
        with contextlib.suppress(ProcessLookupError):  # it has not made its own group yet
            os.killpg(self.pid, signal.SIGKILL)
        self.kill()


class ForkserverProvisioner(LocalProvisioner):
    """Jupyter kernel provisioner that forks the kernel from the warm server instead of starting a program."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002 -- the base class names it
        """Fork a kernel; `cmd` is ignored but for being there.

        Raises
        ------
        StepError
            The forkserver has died or cannot fork.
        """
        server.start()
        manager: Any = self.parent
        environment = kernel_environment(kwargs.get("env") or os.environ)
        self.cwd = str(kwargs.get("cwd") or Path.cwd())
        try:
            # Blocks until the server has imported everything. A signal gets through; waiting in a thread would not
            # let it end the program.
            process = KernelProcess(manager.connection_file, self.cwd, environment)
        except (OSError, EOFError) as error:
            raise StepError(f"no kernel could be forked from the warm server: {error!r}") from error
        server.load_later()
        self.process = process  # type: ignore[assignment]  # -- declared as Popen, used through its interface only
        # Asking for its process group would race with setsid and could give the server's. Before setsid no group has
        # this id, so a signal to it fails, and LocalProvisioner then sends it to the process alone.
        self.pid = self.pgid = process.pid
        return self.connection_info

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel and see it end, which takes it milliseconds; Jupyter would only look again after 0.1 s."""
        await super().kill(restart)
        if isinstance(self.process, KernelProcess):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)


class WarmKernelClient(AsyncKernelClient):
    """Client that begins as soon as a kernel answers; Jupyter's own waits for a fifth of a second of silence first."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers questions and its output arrives.

        Raises
        ------
        RuntimeError
            The kernel died, or `timeout` seconds are over; nbclient expects this class.
        """
        until = time.monotonic() + (math.inf if timeout is None else timeout)
        while time.monotonic() < until:
            self.kernel_info()
            with contextlib.suppress(Empty):
                reply = await self.get_shell_msg(timeout=1)
                if reply["msg_type"] == "kernel_info_reply":
                    await self.get_iopub_msg(timeout=0.2)    # what comes late is nobody's: nbclient passes it over
                    self._handle_kernel_info_reply(reply)
                    return
            if not await self.is_alive():
                raise RuntimeError("the kernel died before it answered")
        raise RuntimeError(f"the kernel did not answer in {timeout} s")


class WarmKernelManager(AsyncKernelManager):
    """Kernel manager whose kernels are warm, whatever kernel a notebook names and whether or not one is installed."""

    client_factory = Type(WarmKernelClient, klass=AsyncKernelClient)

    @default("context")
    def _quick_context(self) -> zmq.asyncio.Context:
        """Try again after hundredths of a second, not tenths, while the kernel does not listen yet."""
        self._created_context = True
        context = zmq.asyncio.Context()
        context.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MILLISECONDS)
        return context

    @property
    def kernel_spec(self) -> KernelSpec:
        """The one specification of all warm kernels; none is looked up on disk."""
        if self._kernel_spec is None:
            self._kernel_spec = KernelSpec(
                argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                display_name="Python 3 (warm)",
                language="python",
                metadata={"kernel_provisioner": {"provisioner_name": PROVISIONER}},
            )
        return self._kernel_spec


@contextlib.contextmanager
def without_main_module() -> Iterator[None]:
    """Start processes that do not import the main script: that would cost time, and could do anything.

    A kernel has a main module of its own anyway, the notebook's.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


# The kernel's side


def _run_kernel(connection_file: str, cwd: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    # What "" in sys.path means to processes started from the notebook.
    multiprocessing.process.ORIGINAL_DIR = cwd  # type: ignore[attr-defined]  # -- typeshed leaves it out
    sys.argv = ["ipykernel_launcher", "-f", connection_file]
    end_with_parent()
    _share_server()
    multiprocessing.set_start_method(None, force=True)  # being forked from a server made that the default
    _serve(connection_file)
    # A multiprocessing child ends without them, but a notebook may have registered some, as in any kernel.
    atexit._run_exitfuncs()


def _serve(connection_file: str) -> None:
    from ipykernel.kernelapp import IPKernelApp

    # The handle makes the kernel end when the server that forked it ends.
    app: Any = IPKernelApp.instance(parent_handle=os.getppid())
    app.initialize(["-f", connection_file, *KERNEL_OPTIONS])
    _show_figures_inline()
    _use_asked_threads()
    app.start()
    # ipykernel's own exit handler stops the output thread first; when the control thread is then still flushing output
    # through it, both hang until Jupyter loses patience and kills the kernel.
    if app.control_thread is not None:
        app.control_thread.stop()
        app.control_thread.join()


def _share_server() -> None:
    """Let processes that the notebook starts from a "forkserver" context come from this kernel's own server.

    A forked process knows the address of its server, but not that it is running, and would start another, cold one.
    """
    running: Any = multiprocessing.forkserver._forkserver  # nothing public says so
    running.ensure_running = lambda: None


def _show_figures_inline() -> None:
    # The backend is chosen when matplotlib is imported, which was long before there was a kernel to show figures in.
    if "matplotlib" in sys.modules:
        import matplotlib

        matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]  # set by ipykernel, unless the user did


def _use_asked_threads() -> None:
    # OpenBLAS was loaded with one thread so that the server could fork. OpenMP asks for its number only now.
    asked = int(os.environ["OPENBLAS_NUM_THREADS"])
    if asked > 1 and "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # -- has no annotations

        threadpool_limits(asked, user_api="blas")

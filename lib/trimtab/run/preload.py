"""What every warm kernel has imported before its notebook asks for it.

The forkserver of `trimtab.run.server` imports this module once and then forks a kernel per notebook. Everywhere else
the import does nothing, because only `server.start` sets the mark that `load` waits for.

A process may only be forked safely while it has one thread, so nothing here may start one: no database connection, no
parallel region, and no library that keeps a pool of workers from its import on.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence

from trimtab.run.server import LOAD_LATER, SERVER_MARK, kernel_environment

MODULES = (
    "skops.io",
    "IPython",
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "ipykernel.zmqshell",
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "ibis",
    "ibis.backends.duckdb",
    "duckdb",
    "sqlalchemy",
    "scipy.stats",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.metrics",
    "sklearn.pipeline",
    "matplotlib.pyplot",
    "pandas.io.formats.style",
    "trimtab.run.checking",
    "trimtab.run.history",
    "trimtab.run.lifecycle",
    "trimtab.run.readings",
    "trimtab.plots",
    "trimtab.tables",
)
"""In the order of their import: skops first, for it asks every module there is which of its types are public.
`matplotlib_inline.backend_inline` is missing on purpose: its import hooks into the
running shell, so it belongs to the kernel. MLflow is missing because a drift analysis never needs it, and would
wait for it."""

UNUSED = ("rfc3987_syntax", "pytest", "debugpy", "polars")
"""Modules that others import when they can, and that are better not in the server.

Three are costly (1.1 s, 0.3 s, and 0.1 s per kernel): jsonschema and skops do not need theirs, and nobody debugs a
notebook that the runner executes. The last, which MLflow looks for, starts threads, and those do not survive a fork; a
notebook that wants it imports it for itself.
"""

IMPORT_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # OpenBLAS starts its workers when it is loaded
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # and so does Arrow's allocator
}


def load(also: Sequence[str] = (), later: Sequence[str] = ()) -> None:
    """Import `MODULES`, and those named besides, so that this process can be forked: one thread, quiet, deaf.

    Parameters
    ----------
    also
        Modules to import at once.
    later
        Modules to import when `server.load_later` says so.
    """
    os.setsid()  # Ctrl-C goes to the terminal's process group: the runner alone decides what it stops
    os.dup2(2, 1)  # standard output carries the runner's JSON and nothing else
    os.environ.update(kernel_environment(os.environ))
    _import([*MODULES, *also])
    atexit.register(gc.unfreeze)  # without it DuckDB's binding reports leaks on the terminal when the server ends
    _reseed_children()
    _import_when_told(later)


def _import(names: Sequence[str]) -> None:
    gc.disable()  # imports make little garbage, and looking for it takes a sixth of the time
    with _environment(IMPORT_ENVIRONMENT), _silent_warnings(), _hidden(UNUSED):
        for name in names:
            # What cannot be imported here fails again in the notebook that wants it, where the reader sees why.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.freeze()  # so that a child's first collection does not touch, and thereby copy, every page
    gc.enable()


def _import_when_told(names: Sequence[str]) -> None:
    """Import on `server.LOAD_LATER`; a request that comes meanwhile is answered when that is through.

    The server waits for requests in the standard library's code; a signal is the one way to make it do anything else.
    """

    def _wake(_number: int, _frame: object) -> None:
        _import(names)

    signal.signal(LOAD_LATER, _wake)
    os.register_at_fork(after_in_child=lambda: signal.signal(LOAD_LATER, signal.SIG_DFL))


def _reseed_children() -> None:
    """Give each child its own global NumPy seed; a fork copies the state, and all kernels would draw the same."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        os.register_at_fork(after_in_child=numpy.random.seed)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name)
        os.environ.update({name: before[name] for name in variables if name in before})


@contextlib.contextmanager
def _silent_warnings() -> Iterator[None]:
    # `warnings.catch_warnings` would also undo the filters that libraries set up while they are imported.
    show = warnings.showwarning
    warnings.showwarning = lambda *_args, **_kwargs: None
    try:
        yield
    finally:
        warnings.showwarning = show


@contextlib.contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    absent = [name for name in names if name not in sys.modules]
    hidden: dict[str, object] = dict.fromkeys(absent)  # None in sys.modules makes an import raise ImportError
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]  # -- typeshed leaves out the documented None
    modules.update(hidden)
    try:
        yield
    finally:
        for name in absent:
            del modules[name]


if mark := os.environ.pop(SERVER_MARK, None):
    load(*(names.split(",") if names else () for names in mark.split(";")))

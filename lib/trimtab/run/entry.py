"""What happens first when a user types `trimtab`?

The warm server is started before anything heavy is imported here, so that its imports and ours go on side by side.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import ModuleType
from typing import NoReturn

_WITH_KERNELS = ("run", "approve", "reject")
_LAZY_COLLECTION = 200_000, 50, 50    # imports drop little, and looking for garbage takes a sixth of their time
_MLFLOW = ("mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store")
_heard: list[int] = []


def main() -> None:
    """Entry point of the command."""
    words = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM):    # until a run listens itself, there is nothing to bring in order
        signal.signal(number, _stop_watching if words[:1] == ["watch"] else _stop)
    gc.set_threshold(*_LAZY_COLLECTION)
    os.environ["PYTHONSAFEPATH"] = "1"    # for processes of ours: what lies in the current folder is no module
    from trimtab.run import server  # after we listen: even this takes a moment

    if words[:1] and words[0] in _WITH_KERNELS and not {"--cold", "--help"} & set(words) and server.available():
        _start_server(server, words)
    from trimtab.run.cli import main as command

    command(_heard)


def _start_server(server: ModuleType, words: list[str]) -> None:
    """Start it with what this pipeline's notebooks need; a drift analysis never asks MLflow for anything."""
    if "retrain" in words:
        server.start(later=_MLFLOW)
    else:
        server.start(() if "drift" in words else _MLFLOW)


def _stop(number: int, _frame: object) -> NoReturn:
    if not _heard:
        print(f"trimtab: interrupted by signal {number}", file=sys.stderr)
    _heard.append(number)
    raise SystemExit(128 + number)    # which DuckDB, in the middle of a query, makes an error of its own


def _stop_watching(number: int, _frame: object) -> NoReturn:
    """A stop is how every watch ends, also one that has not begun."""
    print(f"trimtab: the watch was stopped by {signal.Signals(number).name}", file=sys.stderr)
    raise SystemExit(0)

"""How is a challenger made? In a process of its own, under a time limit, into a folder that nobody serves from."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.act import estimators, modelfile
from trimtab.act.processes import end_with_parent
from trimtab.errors import StepError, TimeLimitError, TrimtabError, of_place
from trimtab.settings import Candidate, Data

if TYPE_CHECKING:
    import pandas as pd


_VALUES_PER_THREAD = 5_000_000
_GRACE = 60    # seconds of processor time beyond the limit, for importing, reading and writing


@dataclass(frozen=True)
class Trained:
    """A model that was fitted and written.

    Attributes
    ----------
    name : str
        Of the candidate.
    folder : Path
        The MLflow model folder.
    sha256 : str
        Of the model file in it.
    package : str
        Top-level package of the estimator's class.
    seconds : float
        Of fitting alone.
    """

    name: str
    class_path: str
    folder: Path
    sha256: str
    package: str
    seconds: float


def train(
    name: str,
    candidate: Candidate,
    data: Data,
    task: str,
    records: pd.DataFrame,
    *,
    folder: Path,
    max_runtime: timedelta,
) -> Trained:
    """Fit one candidate in its own process.

    Parameters
    ----------
    records : DataFrame
        Features and label; every label is known.
    folder : Path
        Where the model folder comes to be; written beside and renamed.

    Raises
    ------
    TimeLimitError
        When it took longer than `max_runtime`; the process was killed.
    StepError
        When fitting failed, with the estimator's own words.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    work = {"folder": beside, "sender": sender, "max_runtime": max_runtime}
    process = context.Process(target=_fit, args=(candidate, data, task, records), kwargs=work, daemon=True)
    try:
        _start(process, candidate.class_)
        sender.close()
        told = _await(process, receiver, max_runtime, candidate.class_)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        _end(process)
        receiver.close()
        shutil.rmtree(beside, ignore_errors=True)
    package = candidate.class_.partition(".")[0]
    return Trained(name, candidate.class_, folder, modelfile.digest(folder / modelfile.FILE), package, told)


def _start(process: BaseProcess, name: str) -> None:
    try:
        process.start()
    except (OSError, EOFError) as error:    # no memory to fork, or it died while the records were handed over
        raise StepError(f"training {name} could not be started: {error!r}") from error


def _end(process: BaseProcess) -> None:
    """Kill the process with whatever an estimator started from it."""
    if process.pid is None:
        return
    with contextlib.suppress(ProcessLookupError):    # all gone, or it has not made its own group yet
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _await(process: BaseProcess, receiver: Connection, max_runtime: timedelta, name: str) -> float:
    """Seconds of fitting, as the process tells them."""
    limit = max_runtime.total_seconds()
    if not receiver.poll(limit):
        raise TimeLimitError(f"training {name} took longer than {limit:.3g} s (guardrails.max_runtime) and was stopped")
    try:
        told = receiver.recv()
    except EOFError:
        process.join()
        raise StepError(f"training {name} ended without a model (exit code {process.exitcode})") from None
    if isinstance(told, TrimtabError):
        raise told
    seconds: float = told
    return seconds


def _fit(
    candidate: Candidate, data: Data, task: str, records: pd.DataFrame, *, folder: Path, sender: Connection,
    max_runtime: timedelta,
) -> None:
    """In the process: fit, write, and tell the seconds or the error."""
    end_with_parent()    # in a group of its own, so that what an estimator starts can be ended with it
    _limit_processor_time(max_runtime)
    try:
        started = time.perf_counter()
        features = records[list(data.features)]
        empty = features.columns[features.isna().all()].tolist()
        pipeline = estimators.build(candidate, data, task, empty=empty)
        with _threads(features.size):
            pipeline.fit(features, records[data.label])
        seconds = time.perf_counter() - started
        package = candidate.class_.partition(".")[0]
        modelfile.save(pipeline, folder, package=package, requirements=_requirements(package))
        sender.send(seconds)
    except TrimtabError as error:
        sender.send(error)
    except Exception as error:  # noqa: BLE001 -- whatever an estimator raises, its words belong in the report
        failed = StepError(f"training {candidate.class_} failed: {type(error).__name__}: {error}")
        sender.send(of_place(error, folder) or failed)


def _threads(values: int) -> contextlib.AbstractContextManager[Any]:
    """More OpenMP threads than one for a table that gives each enough to do; else they wait more than they work."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # -- has no annotations

    least, most = _asked("OMP_NUM_THREADS"), _asked("OMP_THREAD_LIMIT")
    threads = max(least, min(most, values // _VALUES_PER_THREAD))
    limits: contextlib.AbstractContextManager[Any] = threadpool_limits(threads, user_api="openmp")
    return limits


def _asked(name: str) -> int:
    first = os.environ.get(name, "").partition(",")[0].strip()    # one number for each level of nesting
    return int(first) if first.isdecimal() else 1


def _limit_processor_time(max_runtime: timedelta) -> None:
    """The last resort: native code that never lets another thread run is ended by the system itself."""
    most = int(max_runtime.total_seconds() * (os.cpu_count() or 1)) + _GRACE
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def _requirements(package: str) -> list[str]:
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    wanted = ["scikit-learn", "skops"]
    if package != "sklearn":    # asking whose a package is means reading what all packages hold: half a second
        wanted += packages_distributions().get(package, [])
    found: dict[str, Any] = {}
    for name in wanted:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return [f"{name}=={number}" for name, number in found.items()]

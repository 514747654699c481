"""How is a challenger made? In a process of its own, under a time limit, into a folder that nobody serves from."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.act import estimators, modelfile, processes, threads
from trimtab.settings.data import Data
from trimtab.settings.estimator import Candidate

if TYPE_CHECKING:
    import pandas as pd


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
    files : dict
        SHA-256 of every file in it.
    package : str
        Top-level package of the estimator's class; of an ensemble those of all its members, with spaces between them.
    seconds : float
        Of fitting alone.
    """

    name: str
    class_path: str
    folder: Path
    sha256: str
    files: dict[str, str]
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
    try:
        seconds = processes.apart(
            _fit, candidate, data, task, records, beside, limit=max_runtime, what=f"training {candidate.class_}",
            setting="guardrails.max_runtime", place=beside,
        )
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    files = modelfile.contents(folder)
    return Trained(name, candidate.class_, folder, files[modelfile.FILE], files, " ".join(candidate.packages), seconds)


def _fit(candidate: Candidate, data: Data, task: str, records: pd.DataFrame, folder: Path) -> float:
    """In the process: fit and write; returns the seconds of fitting alone."""
    started = time.perf_counter()
    features = records[list(data.features)]
    empty = features.columns[features.isna().all()].tolist()
    pipeline = estimators.build(candidate, data, task, empty=empty)
    with threads.enough_for(features.size):
        pipeline.fit(features, records[data.label])
    seconds = time.perf_counter() - started
    packages = candidate.packages
    modelfile.save(pipeline, folder, package=" ".join(packages), requirements=_requirements(packages))
    return seconds


def _requirements(packages: Collection[str]) -> list[str]:
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    wanted = ["scikit-learn", "skops"]
    others = [package for package in packages if package != "sklearn"]
    if others:    # asking whose a package is means reading what all packages hold: half a second
        known = packages_distributions()
        wanted += [name for package in others for name in known.get(package, [])]
    found: dict[str, Any] = {}
    for name in wanted:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return [f"{name}=={number}" for name, number in found.items()]

"""Can a model's folder serve? Loaded and asked in a process that knows nothing but the folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.act import modelfile, processes, threads
from trimtab.errors import StepError

if TYPE_CHECKING:
    import pandas as pd

_SINGLE = 20    # records that are asked for one by one
SETTING = "promotion.smoke.max_load"


@dataclass(frozen=True)
class Smoke:
    """What a model did when it was taken up as serving code would.

    Attributes
    ----------
    rows : int
        Records that it predicted.
    load_seconds : float
        Until it was read and checked; packages had been imported.
    latency : float
        Seconds for one record by itself, the median of twenty.
    megabytes : float
        Of its folder, in millions of bytes.
    sha256 : str
        Of the model file that was read.
    said : array, shape (rows,)
        What it predicted.
    """

    rows: int
    load_seconds: float
    latency: float
    megabytes: float
    sha256: str
    said: np.ndarray[Any, Any] = field(repr=False, compare=False)


def smoke(
    folder: Path, features: pd.DataFrame, *, sha256: str | None, package: str | None, limit: timedelta, name: str,
    files: Mapping[str, str] | None = None,
) -> Smoke:
    """Load a model in a fresh process and let it predict, one record at a time and all at once.

    Parameters
    ----------
    folder : Path
        As `modelfile.save` wrote it.
    features : DataFrame
        At least one record.
    sha256, package, files : optional
        What the ledger says of the folder; see `modelfile.load`.
    limit : timedelta
        For all of it.
    name : str
        What it is called in messages.

    Raises
    ------
    ModelFileError
        When the file is missing, altered, corrupt or not reviewed.
    StepError
        When it cannot predict, or what it predicts is no answer.
    TimeLimitError
        When it took longer than `limit`.
    """
    return processes.apart(
        _try, folder, features, sha256, package, files, name,
        limit=limit, what=f"trying {name}", setting=SETTING, place=folder,
    )


def _try(
    folder: Path, features: pd.DataFrame, sha256: str | None, package: str | None, files: Mapping[str, str] | None,
    name: str,
) -> Smoke:
    started = time.perf_counter()
    model = modelfile.load(folder, sha256=sha256, package=package, files=files)
    loaded = time.perf_counter()
    try:
        with threads.enough_for(features.size):
            said = np.asarray(model.predict(features))
            singly = [_seconds(model, features.iloc[[place]]) for place in range(min(len(features), _SINGLE))]
    except Exception as error:
        raise StepError(f"{name} loads but cannot predict: {type(error).__name__}: {error}") from error
    if said.shape[:1] != (len(features),):
        raise StepError(f"{name} answers {len(features)} records with {said.shape[0] if said.ndim else 1} predictions")
    if said.dtype.kind == "f" and not np.isfinite(said).all():
        raise StepError(f"{name} predicts {int((~np.isfinite(said)).sum())} of {len(said)} records as nan or infinite")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Smoke(
        len(features), loaded - started, float(np.median(singly)), size / 1e6,
        modelfile.digest(folder / modelfile.FILE), said,
    )


def _seconds(model: object, record: pd.DataFrame) -> float:
    started = time.perf_counter()
    model.predict(record)    # type: ignore[attr-defined]  # -- any class with fit and predict
    return time.perf_counter() - started

"""Values as plain JSON: what scraps, ledger, manifests and `--json` are written in."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel


def plain(value: Any) -> Any:
    """Reduce a value to what JSON can say; numbers that are not finite become null.

    Raises
    ------
    TypeError
        For a value that has no plain form.

    Examples
    --------
    >>> plain({"drop": np.float64("nan"), "at": datetime(2013, 7, 1)})
    {'drop': None, 'at': '2013-07-01T00:00:00'}
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json", by_alias=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no plain form")


def write_atomically(path: Path, text: str, ready: Callable[[], None] | None = None) -> None:
    """Write a text file beside its place and rename it there, so that a reader sees all of it or the one before.

    Parameters
    ----------
    ready : callable, optional
        Called right before it is renamed; what that raises leaves everything as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if ready is not None:
            ready()
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def to_text(value: Any) -> str:
    """A value as indented JSON text, ending in a newline."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"

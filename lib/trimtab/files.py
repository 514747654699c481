"""What is in a file that somebody names, when no params file says what to expect of it?"""

from __future__ import annotations

import codecs
import contextlib
import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from trimtab.errors import DataError, first_line
from trimtab.measure.models.outputs import Array
from trimtab.sources import READERS, suffix_of
from trimtab.text_files import DELIMITERS, content_of, layout_of, text_table, typed

if TYPE_CHECKING:
    import pyarrow as pa


_MISNAMED: dict[bytes, tuple[str, tuple[str, ...]]] = {    # what a file begins with, what it is, and how it is called
    b"PAR1": ("a Parquet file", (".parquet",)), b"\x1f\x8b": ("packed with gzip", (".csv.gz", ".gz")),
    b"BZh": ("packed with bzip2", (".csv.bz2", ".bz2")),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", (".csv.zst", ".zst")),
    b'{"': ("JSON lines", (".jsonl",)), b"[{": ("a JSON array; write an object a line", (".jsonl",)),
    b"PK\x03\x04": ("a ZIP archive, as spreadsheets are", ()), b"%PDF": ("a PDF document", ()),
}


def table_in(backend: Any, file: Path) -> ir.Table:
    """The records in a Parquet, CSV or JSON lines file.

    Parameters
    ----------
    backend : Ibis backend
        Of DuckDB.

    Raises
    ------
    DataError
        When there is no such file, it is empty, of another kind, or not what its name says.

    Notes
    -----
    Columns of a text file have the narrowest type that all their values fit: whole numbers, numbers, truth values,
    else text. NA, NULL and the like are missing where all others are numbers or truth values.
    A column without a name, as pandas writes its index, is left out. In any file, texts that are all times are
    times, in UTC.
    """
    reader = READERS.get(suffix_of(str(file)))
    if reader is None:
        raise DataError(f"{file}: a table's file name ends in {', '.join(sorted(READERS))}, compressed or not")
    _there(file)
    if reader == "read_csv":
        return _text_table(backend, file)
    try:
        return _dated(getattr(backend, reader)(str(file)), backend.to_pyarrow)
    except Exception as error:
        raise DataError(f"{file}: cannot be read: {first_line(error)}") from error


def array_in(file: Path, rows: Callable[[], int] | None = None) -> Array:
    """The numbers, truth values or texts in a NumPy file, or in a text file with one of them a line.

    Parameters
    ----------
    rows : callable, optional
        Gives how many there should be: one text more than that, and unlike all others, is the name above them.

    Raises
    ------
    DataError
        When there is no such file, it is empty, holds several columns, missing values, or Python objects, which would
        have to be unpickled.
    """
    _there(file)
    if suffix_of(str(file)) == ".npz":
        raise DataError(f"{file}: holds several arrays; write the one that is meant with numpy.save")
    if suffix_of(str(file)) != ".npy":
        return _lines(file, rows)
    with file.open("rb") as stream:
        if stream.read(len(MAGIC_PREFIX)) != MAGIC_PREFIX:
            raise DataError(f"{file}: is no NumPy file; write it with numpy.save")
    try:
        found: Array = np.load(file, allow_pickle=False)
    except Exception as error:
        objects = "Object arrays" in str(error)
        told = "it holds Python objects, which are never unpickled" if objects else first_line(error)
        raise DataError(f"{file}: cannot be read: {told}") from error
    if found.ndim == 2 and 1 in found.shape:
        found = found.reshape(-1)
    if found.ndim != 1 or found.dtype.kind not in "biufU":
        raise DataError(f"{file}: holds {found.dtype} of shape {found.shape}, not one number or text per record")
    return _known(file, found)


def _there(file: Path) -> None:
    if file.is_dir():
        raise DataError(f"{file}: is a folder, not a file")
    if not file.is_file():
        raise DataError(f"{file}: there is no such file")
    if not file.stat().st_size:
        raise DataError(f"{file}: the file is empty")


def _is_text(file: Path) -> None:
    """Whether a file that is called a text file may be one."""
    with file.open("rb") as stream:
        beginning = stream.read(max(map(len, _MISNAMED)))
    for mark, (kind, endings) in _MISNAMED.items():
        if beginning.startswith(mark) and not str(file).lower().endswith(endings):
            advice = f"; give it a name that ends in {endings[0]}" if endings else "; save it as CSV"
            raise DataError(f"{file}: is {kind}{advice}")


def _text_table(backend: Any, file: Path) -> ir.Table:
    """All columns that have a name, with the narrowest type that fits."""
    _is_text(file)
    def _shape(table: ir.Table, comma: bool) -> ir.Table:
        run = backend.to_pyarrow
        return _dated(typed(table, table, table.columns, run, comma=comma, source=str(file)), run)

    table = text_table(backend, [file], _shape)
    if len(table.columns) == 1 and table[table.columns[0]].type().is_string():
        tried = ", ".join(DELIMITERS.values())
        raise DataError(f"{file}: is no table: one column of text (looked for {tried})")
    return table


def _dated(table: ir.Table, run: Callable[[ir.Table], pa.Table]) -> ir.Table:
    """Columns of text that hold nothing but times, as times in UTC."""
    utc = dt.Timestamp(timezone="UTC")
    texts = [name for name, kind in table.schema().items() if kind.is_string()]
    if not texts:
        return table
    asked = {f"known{i}": table[name].count() for i, name in enumerate(texts)}
    asked |= {f"times{i}": table[name].try_cast(utc).count() for i, name in enumerate(texts)}
    found = run(table.aggregate(**asked)).to_pylist()[0]
    return table.mutate(**{
        name: table[name].try_cast(utc).cast("timestamp") for i, name in enumerate(texts)
        if found[f"known{i}"] and found[f"times{i}"] == found[f"known{i}"]
    })


def _lines(file: Path, rows: Callable[[], int] | None) -> Array:
    """One value a line, with or without a name above them; an empty line among them is a missing value.

    A column without a name, as pandas writes its index, is no value.
    """
    layout = layout_of(file)
    named = [place for place, name in enumerate(layout.columns) if name.strip()]
    if len(layout.columns) > 1 and len(named) != 1:
        comma = "; if its commas are decimal ones, write points" if layout.delimiter == "," else ""
        told = f"{file}: holds {len(layout.columns)} columns, not one value per record (read as {layout})"
        raise DataError(f"{told}{comma}")
    content = content_of(file)
    try:
        text = codecs.decode(content, layout.encoding).lstrip("\ufeff")
    except UnicodeDecodeError:    # what the beginning does not show
        text = codecs.decode(content, "latin-1")
    lines = text.rstrip().splitlines()
    beside_index = len(layout.columns) > 1
    if beside_index:
        lines = [row[named[0]] if len(row) > named[0] else "" for row in csv.reader(lines, delimiter=layout.delimiter)]
    values = np.array([line.strip().strip('"') for line in lines[beside_index:]])
    numbers = np.where(values == "", "nan", values)
    for start in (0,) if beside_index else (0, 1):
        with contextlib.suppress(ValueError):
            return _known(file, numbers[start:].astype(np.float64))
    if not beside_index and rows is not None and not np.any(values[1:] == values[0]) and len(values) == rows() + 1:
        values = values[1:]    # a name, not one of the classes
    return _known(file, values)


def _known(file: Path, values: Array) -> Array:
    if not len(values):
        raise DataError(f"{file}: holds no values")
    missing = ~np.isfinite(values) if values.dtype.kind == "f" else values == ""
    if np.any(missing):
        told = f"{int(np.sum(missing))} of {len(values)} values are missing or infinite"
        raise DataError(f"{file}: {told}, the first at place {int(np.argmax(missing)) + 1}")
    return values

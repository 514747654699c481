"""What is in a file that somebody names, when no params file says what to expect of it?

Text files are read by DuckDB in a stream, so that a file larger than the memory is no matter. How their columns are
divided, and in which encoding they are, is told from the beginning of the file and said where it fails.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np

from trimtab.errors import DataError
from trimtab.measure.models.outputs import Array
from trimtab.sources import READERS, first_line, narrowed, suffix_of

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
ENCODINGS = ("utf-8", "utf-16", "latin-1")
_LOOKED_AT = 1 << 16    # bytes from the beginning
_DECIMAL_COMMA = r"^\s*[+-]?[0-9]*(,[0-9]+)?([eE][+-]?[0-9]+)?\s*$"
_IN_THOUSANDS = r"^\s*[+-]?[0-9]{1,3}(,[0-9]{3})+\s*$"
_PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


@dataclass(frozen=True)
class Layout:
    """How a text file of columns is written.

    Attributes
    ----------
    encoding : str
        One of `ENCODINGS`.
    delimiter : str
        One of `DELIMITERS`.
    columns : tuple of str
        What its first line names.
    """

    encoding: str
    delimiter: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.encoding}, columns divided by {DELIMITERS[self.delimiter]}s"


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
    times (in UTC), else text.
    """
    reader = READERS.get(suffix_of(str(file)))
    if reader is None:
        raise DataError(f"{file}: a table's file name ends in {', '.join(sorted(READERS))}, compressed or not")
    _there(file)
    if reader == "read_csv":
        return _text_table(backend, file)
    try:
        table: ir.Table = getattr(backend, reader)(str(file))
    except Exception as error:
        raise DataError(f"{file}: cannot be read: {first_line(error)}") from error
    return table


def array_in(file: Path) -> Array:
    """The numbers, truth values or texts in a NumPy file, or in a text file with one of them a line.

    Raises
    ------
    DataError
        When there is no such file, it is empty, holds several columns, missing values, or Python objects, which would
        have to be unpickled.
    """
    _there(file)
    if suffix_of(str(file)) != ".npy":
        return _lines(file)
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


def layout_of(file: Path) -> Layout:
    """How a text file is written.

    Raises
    ------
    DataError
        When none of `ENCODINGS` and `DELIMITERS` makes a table of it.
    """
    beginning = _bytes(file, _LOOKED_AT)
    encoding = _encoding(beginning)
    text = codecs.decode(beginning, "utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    head = next((line for line in io.StringIO(text) if line.strip()), "")
    if "\r" in head.rstrip("\r\n"):
        raise DataError(f"{file}: its lines end in carriage returns alone; write them with line feeds")
    delimiter = max(DELIMITERS, key=lambda one: len(_cells(head, one)))
    names = _cells(head, delimiter)
    if "\0" in text or "�" in text[:-2] or not names:
        raise DataError(f"{file}: is no text (tried {', '.join(ENCODINGS)})")
    return Layout(encoding, delimiter, names)


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    return tuple(next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), ()))


def _bytes(file: Path, most: int | None = None) -> bytes:
    """The beginning of a file, or all of it; unpacked where its name says that it is packed."""
    import pyarrow as pa

    try:
        with pa.input_stream(str(file), compression=_PACKED.get(file.suffix.lower())) as stream:
            return bytes(stream.read(most))
    except OSError as error:
        raise DataError(f"{file}: cannot be unpacked: {first_line(error)}") from error


def _encoding(beginning: bytes) -> str:
    """By the mark at the beginning, else UTF-8 where that can be read; in Latin-1 any byte is a character."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)    # a character may be cut at the end
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _there(file: Path) -> None:
    if not file.is_file():
        raise DataError(f"{file}: there is no such file")
    if not file.stat().st_size:
        raise DataError(f"{file}: the file is empty")


def _text_table(backend: Any, file: Path) -> ir.Table:
    """By the layout of the beginning; a later line that is not of it is an error, not a guess."""
    layout = layout_of(file)
    names = layout.columns
    twice = next((name for name in names if names.count(name) > 1 or not name.strip()), None)
    if twice is not None:
        told = f"names {twice!r} more than once" if twice.strip() else "leaves a column without a name"
        raise DataError(f"{file}: its first line {told} (read as {layout})")
    try:
        table = _read(backend, file, layout)
    except UnicodeError:    # what the beginning does not show
        layout = replace(layout, encoding="latin-1")
        table = _read(backend, file, layout)
    if len(names) == 1 and table.schema()[names[0]].is_string():
        tried = ", ".join(DELIMITERS.values())
        raise DataError(f"{file}: is no table: one column of text (read as {layout.encoding}; looked for {tried})")
    return table


def _read(backend: Any, file: Path, layout: Layout) -> ir.Table:
    """All lines by one layout, and their columns with the narrowest type that fits.

    Raises
    ------
    UnicodeError
        When a line is not of the layout's encoding.
    """
    try:
        table = backend.read_csv(
            str(file), auto_detect=False, columns=dict.fromkeys(layout.columns, "VARCHAR"), header=True,
            delim=layout.delimiter, encoding=layout.encoding, quote='"', escape='"',
        )
        table = _with_points(file, table, layout, backend.to_pyarrow)
        return _dated(narrowed(table, table, layout.columns, backend.to_pyarrow), backend.to_pyarrow)
    except DataError:
        raise
    except Exception as error:
        if layout.encoding == "utf-8" and "unicode" in str(error):
            raise UnicodeError from error
        raise DataError(f"{file}: cannot be read as {layout}: {_told(error)}") from error


def _with_points(file: Path, table: ir.Table, layout: Layout, run: Callable[[ir.Table], pa.Table]) -> ir.Table:
    """Columns of numbers with a decimal comma, as files with semicolons have them, with a point."""
    if layout.delimiter != ";":
        return table
    told = run(table.aggregate(**{
        f"{what}{i}": found for i, name in enumerate(layout.columns) for what, found in _commas(table[name]).items()
    })).to_pylist()[0]
    decimal = {}
    for i, name in enumerate(layout.columns):
        known, fits, thousands, commas = (told[f"{what}{i}"] for what in ("known", "fits", "thousands", "commas"))
        if not commas or fits < known:
            continue
        if thousands == commas:
            told = "all numbers with one have groups of three digits; write them with a point, or without groups"
            raise DataError(f"{file}: column {name!r}: are its commas decimal ones, or of thousands? {told}")
        decimal[name] = table[name].replace(",", ".")
    return table.mutate(**decimal)


def _commas(column: ir.Value) -> dict[str, ir.Value]:
    """How many values there are, fit a number with a decimal comma or with thousands apart, and have a comma at all."""
    return {
        "known": column.count(), "fits": column.re_search(_DECIMAL_COMMA).sum(),
        "thousands": column.re_search(_IN_THOUSANDS).sum(), "commas": column.contains(",").sum(),
    }


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


def _told(error: Exception) -> str:
    """DuckDB's own words, of which the first say what is wrong in which line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(first_line(ValueError(line)) for line in lines[:3]))


def _lines(file: Path) -> Array:
    """One value a line, with or without a name above them."""
    layout = layout_of(file)
    if len(layout.columns) > 1:
        raise DataError(f"{file}: holds {len(layout.columns)} columns, not one value per record (read as {layout})")
    content = _bytes(file)
    try:
        lines = codecs.decode(content, layout.encoding).lstrip("\ufeff").splitlines()
    except UnicodeDecodeError:    # what the beginning does not show
        lines = codecs.decode(content, "latin-1").splitlines()
    values = np.array([line.strip().strip('"') for line in lines if line.strip()])
    for kept in (values, values[1:]):
        with contextlib.suppress(ValueError):
            return _known(file, kept.astype(np.float64))
    return _known(file, values)


def _known(file: Path, values: Array) -> Array:
    if not len(values):
        raise DataError(f"{file}: holds no values")
    missing = ~np.isfinite(values) if values.dtype.kind == "f" else values == ""
    if np.any(missing):
        told = f"{int(np.sum(missing))} of {len(values)} values are missing or infinite"
        raise DataError(f"{file}: {told}, the first at place {int(np.argmax(missing)) + 1}")
    return values

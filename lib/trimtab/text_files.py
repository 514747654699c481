"""How is a text file of columns written, and what do its columns hold?

Files are read by DuckDB in a stream, so that one larger than the memory is no matter. How columns are divided, and in
which encoding they are, is told from the beginning of a file; a later line that is not of it is an error, not a guess.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from trimtab.errors import DataError, first_line

if TYPE_CHECKING:
    import pyarrow as pa

Shape = Callable[[ir.Table, bool], ir.Table]
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
ENCODINGS = ("utf-8", "utf-16", "latin-1")
_LOOKED_AT = 1 << 16    # bytes from the beginning
_KINDS = ("int64", "float64", "boolean")
_DECIMAL_COMMA = r"^\s*[+-]?[0-9]*(,[0-9]+)?([eE][+-]?[0-9]+)?\s*$"
_IN_THOUSANDS = r"^\s*[+-]?[0-9]{1,3}(,[0-9]{3})+\s*$"
_MISSING = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None")    # as R, pandas and spreadsheets write it
FRACTION = r"^\s*[+-]?[0-9]*[.][0-9]+([eE][+-]?[0-9]+)?\s*$"
"""A number with a decimal point, as text."""
_WHOLE = r"^\s*[+-]?[0-9]{1,18}\s*$"
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
    empty : int
        Lines before it.
    """

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    empty: int = 0

    def __str__(self) -> str:
        return f"{self.encoding}, columns divided by {DELIMITERS[self.delimiter]}s"


def layout_of(file: Path) -> Layout:
    """How a text file is written.

    Raises
    ------
    DataError
        When none of `ENCODINGS` and `DELIMITERS` makes a table of it.
    """
    beginning = content_of(file, _LOOKED_AT)
    encoding = _encoding(beginning)
    text = codecs.decode(beginning, "utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    lines = list(io.StringIO(text))
    empty = next((place for place, line in enumerate(lines) if line.strip()), len(lines))
    rest = "".join(lines[empty:])
    none = f"{file}: is no text (tried {', '.join(ENCODINGS)})"
    if "\0" in text or "�" in text[:-2]:
        raise DataError(none)
    if "\r" in rest.partition("\n")[0].rstrip("\r"):
        raise DataError(f"{file}: its lines end in carriage returns alone; write them with line feeds")
    heads = {one: _cells(rest, one) for one in DELIMITERS}    # in quotes, a name may go on in the next line
    delimiter = max(DELIMITERS, key=lambda one: len(heads[one]))
    names = heads[delimiter]
    if not names:
        raise DataError(none)
    return Layout(encoding, delimiter, names, empty)


def _cells(text: str, delimiter: str) -> tuple[str, ...]:
    """What the first line that is not empty holds."""
    return next((tuple(cells) for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if cells), ())


def content_of(file: Path, most: int | None = None) -> bytes:
    """The beginning of a file, or all of it; unpacked where its name says that it is packed.

    Raises
    ------
    DataError
        When it cannot be unpacked.
    """
    try:
        with _opened(file) as stream:
            return bytes(stream.read(most))
    except OSError as error:
        raise DataError(f"{file}: cannot be unpacked: {first_line(error)}") from error


def _opened(file: Path) -> pa.NativeFile:
    import pyarrow as pa

    return pa.input_stream(str(file), compression=_PACKED.get(file.suffix.lower()))


def _encoding(beginning: bytes) -> str:
    """By the mark at the beginning, else UTF-8 where that can be read; in Latin-1 any byte is a character."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)    # a character may be cut at the end
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def text_table(
    backend: Any, files: Sequence[Path], shape: Shape, wanted: Sequence[str] | None = None
) -> ir.Table:
    """The records in text files that have the same columns, in whatever order.

    Parameters
    ----------
    backend : Ibis backend
        Of DuckDB.
    files : sequence of Path
        At least one.
    shape : callable
        Of a table whose columns are all text, and whether their commas may be decimal ones, makes the one with their
        types (see `typed`). It has to read every line.
    wanted : sequence of str, optional
        Columns that are needed, by default all. Others are left out where not every file has them just once. Columns
        without a name, as pandas writes its index, always are.

    Raises
    ------
    DataError
        When a file cannot be read, is divided in another way than the first, has a column twice that is needed, or
        lacks one that another has; or has two that differ in capital letters alone, of which one is needed.
    """
    layouts = {file: layout_of(file) for file in files}
    try:
        return _read(backend, layouts, shape, wanted, certain=False)
    except UnicodeError:
        layouts = {file: _throughout(file, layout) for file, layout in layouts.items()}
        return _read(backend, layouts, shape, wanted, certain=True)


def _read(
    backend: Any, layouts: Mapping[Path, Layout], shape: Shape, wanted: Sequence[str] | None, *, certain: bool
) -> ir.Table:
    """All lines by these layouts.

    Raises
    ------
    UnicodeError
        When a line is not of its layout's encoding, and the layouts are not certain.
    """
    first, layout = next(iter(layouts.items()))
    kept = _common(layouts, wanted)
    together: dict[Layout, list[str]] = {}
    for file, its in layouts.items():
        together.setdefault(its, []).append(str(file))
    try:
        tables = [_texts(backend, paths, its, kept) for its, paths in together.items()]
        return shape(ibis.union(*tables) if len(tables) > 1 else tables[0], layout.delimiter == ";")
    except DataError:
        raise
    except Exception as error:
        if "unicode" in str(error) and not certain:    # what the beginning does not show
            raise UnicodeError from error
        which = first if len(layouts) == 1 else f"{first} and {len(layouts) - 1} more"
        raise DataError(f"{which}: cannot be read as {layout}: {_told(error)}{_hint(layout)}") from error


def _hint(layout: Layout) -> str:
    """What else a file may be that its layout does not fit."""
    if len(layout.columns) == 1:
        return f"; its first line has one column (looked for {', '.join(DELIMITERS.values())})"
    return "; programs on Windows often write windows-1252: save it as UTF-8" if layout.encoding == "latin-1" else ""


def _common(layouts: Mapping[Path, Layout], wanted: Sequence[str] | None) -> list[str]:
    """The columns to be had from all files."""
    first, layout = next(iter(layouts.items()))
    kept = [name for name in dict.fromkeys(layout.columns) if name.strip()]
    alike: dict[str, list[str]] = {}
    for name in kept:
        alike.setdefault(name.lower(), []).append(name)
    if twice := next((name for name in wanted or kept if len(alike.get(name.lower(), ())) > 1), None):
        told = f"{' and '.join(map(repr, alike[twice.lower()]))}, where capital letters make no difference; rename one"
        raise DataError(f"{first}: its first line names {told} (read as {layout})")
    for file, its in layouts.items():
        if its.delimiter != layout.delimiter:
            told = f"its columns are divided by {DELIMITERS[its.delimiter]}s, those of {first.name} by "
            raise DataError(f"{file}: {told}{DELIMITERS[layout.delimiter]}s")
        for name in wanted or [*kept, *filter(str.strip, its.columns)]:
            count = its.columns.count(name)
            if count > 1:
                raise DataError(f"{file}: its first line names {name!r} more than once (read as {its})")
            if bool(count) != (name in kept):
                without, has = (file, first) if name in kept else (first, file)
                raise DataError(f"{without}: has no column {name!r}, which {has.name} has")
    return [name for name in kept if all(its.columns.count(name) == 1 for its in layouts.values())]


def _texts(backend: Any, paths: list[str], layout: Layout, names: Sequence[str]) -> ir.Table:
    """These columns of files of one layout, as they are written."""
    places = [f"column{i}" for i in range(len(layout.columns))]
    table = backend.read_csv(
        paths, auto_detect=False, columns=dict.fromkeys(places, "VARCHAR"), header=True, delim=layout.delimiter,
        encoding=layout.encoding, quote='"', escape='"', skip=layout.empty,
    )
    found: ir.Table = table.select(**{name: table[places[layout.columns.index(name)]] for name in names})
    return found


def _throughout(file: Path, layout: Layout) -> Layout:
    """The layout with the encoding that all of the file has."""
    if layout.encoding != "utf-8":
        return layout
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _opened(file) as stream:
            while chunk := stream.read(_LOOKED_AT):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return replace(layout, encoding="latin-1")
    return layout


def typed(
    table: ir.Table, seen: ir.Table, names: Sequence[str], run: Callable[[ir.Table], pa.Table], *, comma: bool,
    source: str,
) -> ir.Table:
    """Columns of text with the narrowest type that all values of the records seen fit.

    What says in words that a number or truth value is missing (`_MISSING`) is missing; among texts it is a text.

    Parameters
    ----------
    table, seen : ibis Table
        All records, and those that have a say.
    names : sequence of str
        Of the columns.
    run : callable
        Runs an expression.
    comma : bool
        Whether a comma in a number may be the decimal one.
    source : str
        How messages call it.

    Raises
    ------
    DataError
        When it may as well set thousands apart.
    """
    asked = {f"{what}{i}": found for i, name in enumerate(names) for what, found in _asked(seen[name], comma).items()}
    counts = run(seen.aggregate(**asked)).to_pylist()[0]
    shaped: dict[str, ir.Value] = {}
    for i, name in enumerate(names):
        count = {what: counts[f"{what}{i}"] for what in ("any", "known", "decimal", "commas", "thousands", *_KINDS)}
        kind = next((kind for kind in _KINDS if count[kind] == count["known"]), None)
        if not count["any"]:
            shaped[name] = ibis.null()
        elif not count["known"]:
            continue    # as texts: a later record may show that None is a level
        elif kind:
            shaped[name] = _unless_missing(table[name]).try_cast(kind)
        elif comma and count["commas"] and count["decimal"] == count["known"]:
            if count["thousands"] == count["commas"]:
                told = "all numbers with one have groups of three digits; write them with a point, or without groups"
                raise DataError(f"{source}: column {name!r}: are its commas decimal ones, or of thousands? {told}")
            shaped[name] = _unless_missing(table[name]).replace(",", ".").try_cast("float64")
    return table.mutate(**shaped)


def _unless_missing(column: ir.Value) -> ir.Value:
    """The column without words for what is missing.

    A bare column that is tried to be cast DuckDB (2.0) casts while it reads the file, and fails at what does not fit.
    Of each IN it makes a join, so that hundreds of columns would take minutes.
    """
    return ibis.ifelse(ibis.or_(*(column == word for word in _MISSING)), ibis.null("string"), column)


def _asked(column: ir.Value, comma: bool) -> dict[str, ir.Value]:
    """How many values there are, and how many fit each type; with commas, whichever they may be."""
    nothing = ibis.literal(0)
    return {
        "any": column.count(), "known": _unless_missing(column).count(), "int64": column.re_search(_WHOLE).sum(),
        "float64": _unless_missing(column).try_cast("float64").count(),
        "boolean": column.lower().isin(["true", "false"]).sum(),
        "decimal": column.re_search(_DECIMAL_COMMA).sum() if comma else nothing,
        "thousands": column.re_search(_IN_THOUSANDS).sum() if comma else nothing,
        "commas": column.contains(",").sum() if comma else nothing,
    }


def _told(error: Exception) -> str:
    """DuckDB's own words, of which the first say what is wrong in which line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(first_line(ValueError(line)) for line in lines[:3]))



"""Where are the records, and does the table fit the params file? Columns come out with the types of their roles.

Only what a table's schema and its times say is checked here; values are looked at as of a time, in `records.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.common.exceptions import TableNotFound

from trimtab import text_files
from trimtab.datasets import DATASETS
from trimtab.errors import DataError, NoRecordsError, first_line
from trimtab.measure.columns.watched import Watched
from trimtab.settings.data import Data

if TYPE_CHECKING:
    import pyarrow as pa

READERS = {
    ".parquet": "read_parquet", ".pq": "read_parquet", ".csv": "read_csv", ".tsv": "read_csv",
    ".json": "read_json", ".jsonl": "read_json", ".ndjson": "read_json",
}
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_VIEW = "trimtab visible"
_COMPRESSED = {".gz", ".zst", ".xz", ".bz2"}


def connect(data: Data, folders: Sequence[Path], until: datetime | None = None) -> tuple[Any, ir.Table]:
    """Open the backend and the table, whichever way `connect` and `table` name them.

    Parameters
    ----------
    data : Data
    folders : sequence of Path
        Where relative files are looked for, in order.
    until : datetime, optional
        Records from then on have no say in what types the columns of a CSV file have.
    """
    try:
        backend = _database_file(data.connect, folders) or ibis.connect(data.connect)
    except DataError:
        raise
    except ModuleNotFoundError as error:
        raise DataError(f"data.connect: this backend needs a package that is not installed: {error.name}") from None
    except Exception as error:
        raise DataError(f"data.connect: cannot connect: {first_line(error)}") from error
    if backend.name == "duckdb":
        backend.raw_sql("SET TimeZone = 'UTC'")
        backend.raw_sql("SET disable_parquet_prefetching = true")    # it holds whole row groups, for remote files' sake
    reader = READERS.get(suffix_of(data.table)) if backend.name == "duckdb" else None
    try:
        if reader is None:
            table = _named_table(backend, data.table)
            return _carried_over(table) if backend.name == "sqlite" else (backend, table)
        path = _find(data.table, folders)
        if Path(path).is_file() and not Path(path).stat().st_size:
            raise DataError(f"data.table: {data.table}: the file is empty")
        if reader == "read_csv":
            return backend, _text(data, backend, path, until)
        return backend, getattr(backend, reader)(path)
    except DataError:
        raise
    except TableNotFound:
        told = "there is no such table (a file's name ends in .parquet, .csv or .jsonl)"
        raise DataError(f"data.table: {data.table}: {told}") from None
    except Exception as error:
        raise DataError(f"data.table: {data.table}: cannot be read: {first_line(error)}") from error


def _database_file(url: str, folders: Sequence[Path]) -> Any:
    """A DuckDB or SQLite database in a file that exists; None for any other URL."""
    kind, _, rest = url.partition("://")
    place, _, options = rest.partition("?")
    if kind not in {"duckdb", "sqlite"} or options or place in {"", ":memory:"}:
        return None
    place = f"/{place.lstrip('/')}" if place.startswith("/") else place    # some write four slashes
    found = _find(place, folders, key="data.connect")
    return ibis.sqlite.connect(found) if kind == "sqlite" else ibis.duckdb.connect(found, read_only=True)


def _carried_over(table: ir.Table) -> tuple[Any, ir.Table]:
    """A SQLite table in DuckDB: SQLite knows neither times nor hashes, and lies beside us anyway."""
    rows = table.to_pyarrow()
    table.get_backend().disconnect()
    backend = ibis.duckdb.connect()
    backend.raw_sql("SET TimeZone = 'UTC'")
    return backend, backend.create_table("records", rows)


def _named_table(backend: Any, name: str) -> ir.Table:
    """A table by its name, or by that of its schema and its own."""
    try:
        return backend.table(name)
    except TableNotFound:
        schema, _, table = name.rpartition(".")
        if not schema:
            raise
        return backend.table(table, database=schema)


def suffix_of(name: str) -> str:
    """How a file's name ends, in lower case and without what says that it is compressed; empty without an ending."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes if suffix.lower() not in _COMPRESSED]
    return suffixes[-1] if suffixes else ""


def _text(data: Data, backend: Any, path: str, until: datetime | None) -> ir.Table:
    """The records of text files; columns have the narrowest type that all their values before a time fit, times none.

    What a later record holds must not change what an earlier one means.
    """
    def _shape(table: ir.Table, comma: bool) -> ir.Table:
        names = [name for name in data.columns if name in table.columns and name not in _times(data)]
        if data.time not in table.columns or not names:
            return table    # which is told where names are checked
        seen = table if until is None else _as_seen(data, table, until)
        return text_files.typed(table, seen, names, backend.to_pyarrow, comma=comma, source=data.table)

    files = [Path(path)] if Path(path).is_file() else sorted(Path("/").glob(path.lstrip("/")))
    filled = [file for file in files if file.stat().st_size] or files    # a day on which nothing happened
    return text_files.text_table(backend, filled, _shape, data.columns)


def _as_seen(data: Data, table: ir.Table, until: datetime) -> ir.Table:
    """The records before a time, without the labels that were not known by then."""
    made = _as_timestamp(data, table, data.time, "")
    if data.label is not None and data.label in table.columns:
        known = made <= ibis.literal(until - data.label_delay)
        if data.label_time is not None and data.label_time in table.columns:
            told = _as_timestamp(data, table, data.label_time, "")
            known = known & (told.isnull() | (told <= ibis.literal(until)))
        table = table.mutate(**{data.label: ibis.ifelse(known, table[data.label], ibis.null("string"))})
    return table.filter(made < ibis.literal(until))


def _find(table: str, folders: Sequence[Path], *, key: str = "data.table") -> str:
    """The first folder in which the file, or a file that the glob matches, exists."""
    if Path(table).is_absolute():
        folders = [Path("/")]
    for folder in folders:
        relative = Path(table).relative_to("/") if Path(table).is_absolute() else Path(table)
        if next(folder.glob(str(relative)), None) is not None:
            return str(folder / relative)
    looked = ", ".join(dict.fromkeys(str(folder.resolve()) for folder in folders))
    made = next((name for name in (Path(table).stem, Path(table).parent.name) if name in DATASETS), None)
    hint = f"; trimtab data {made} makes it" if made else ""
    raise DataError(f"{key}: {table}: there is no such file (looked in {looked}){hint}")


def checked(data: Data, table: ir.Table, source: str, run: Callable[[ir.Table], pa.Table]) -> ir.Table:
    """The named columns: times as naive UTC, decimals as floats, and what is all null and has no type as its role's.

    Parameters
    ----------
    data : Data
        Columns and their roles.
    table : ibis Table
        The source.
    source : str
        How messages call it.
    run : callable
        Runs an expression.

    Raises
    ------
    DataError
        When a column is missing or of the wrong type, there are no records, or a time is none.
    """
    _check_names(data, table, source)
    typed: dict[str, ir.Value] = {name: _as_timestamp(data, table, name, source) for name in _times(data)}
    for name in data.columns:
        if name not in typed and _untyped(table[name].type()):
            numbers = (*data.numeric, *data.watched.numeric, *data.confidences, *data.rates, data.score)
            typed[name] = ibis.null("float64" if name in numbers else "string")
        elif table[name].type().is_decimal():    # models know no decimals
            typed[name] = table[name].cast("float64")
        elif table[name].type().is_floating() and name not in watched_of(data).numeric:    # of which NaN is counted
            typed[name] = without_nan(table[name])
    found = table.select(*data.columns).mutate(**typed)
    _check_times(data, table, found, source, run)
    _check_types(data, found, source, run)
    return found


def watched_of(data: Data) -> Watched:
    """The columns whose distribution is watched, each counted in one way."""
    categorical = dict.fromkeys((*data.categorical, *data.watched.categorical, *data.rates, *data.segments))
    numbers = (*data.numeric, *data.watched.numeric, *data.confidences)
    numeric = dict.fromkeys(name for name in numbers if name not in data.rates)
    levels = tuple(name for name in categorical if name not in numeric)
    return Watched(tuple(numeric), levels, data.text, data.calendar, data.time if data.calendar else "")


@ibis.udf.scalar.builtin(name="isfinite")    # type: ignore[untyped-decorator]
def _isfinite(x: float) -> bool:
    """As DuckDB has it."""
    raise NotImplementedError


def is_nan(column: ir.Value) -> ir.BooleanValue:
    """Whether what stands in a column of floating numbers is none.

    Of a Parquet file, the statistics of which pass over NaN, DuckDB (2.0) concludes from them that nothing is NaN.
    """
    if column.get_backend().name != "duckdb":
        return column.isnan()
    return column.notnull() & ~(_isfinite(column.cast("float64")) | column.isinf())


def without_nan(column: ir.Value) -> ir.Value:
    """A column of floating numbers in which what is none is missing."""
    return is_nan(column).ifelse(None, column)


def _check_names(data: Data, table: ir.Table, source: str) -> None:
    """Every named column exists."""
    names = table.columns
    for name in data.columns:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(names)[:30])}"
            raise DataError(f"{source}: there is no column {name!r} ({role(data, name)}); {hint}")
    if told := watched_of(data).confused(data.columns):
        raise DataError(f"{source}: {told}")


def _check_types(data: Data, table: ir.Table, source: str, run: Callable[[ir.Table], pa.Table]) -> None:
    """Every column is of a type that fits its role."""
    schema = table.schema()

    def _number(kind: dt.DataType) -> bool:
        return bool(kind.is_numeric() or kind.is_boolean())

    def _single(kind: dt.DataType) -> bool:
        return not kind.is_nested()

    def _label(kind: dt.DataType) -> bool:
        return _number(kind) or kind.is_string()

    wanted: list[tuple[tuple[str | None, ...], Callable[[dt.DataType], bool], str]] = [
        ((*data.numeric, *data.watched.numeric, *data.confidences, *data.rates, data.score), _number, "numbers"),
        (data.text, dt.DataType.is_string, "text"),
        ((*data.categorical, *data.watched.categorical, *data.segments, data.id), _single, "single values"),
        ((data.label, data.prediction), _label, "labels or numbers"),
    ]
    for names, fits, what in wanted:
        for name in names:
            if name is not None and (schema[name].is_unknown() or not fits(schema[name])):
                told = f"column {name!r} ({role(data, name)}) holds {_named(schema[name])}, not {what}"
                odd = table.filter(~table[name].re_search(_NUMBER)).select(name) if schema[name].is_string() else None
                raise DataError(f"{source}: {told}{_such_as(odd, run)}")


def _such_as(rows: ir.Table | None, run: Callable[[ir.Table], pa.Table]) -> str:
    """The first value of a column that stands in the way, to be seen in a sentence."""
    found = run(rows.limit(1)).to_pylist() if rows is not None else []
    return f", such as {next(iter(found[0].values()))!r}" if found else ""


def _times(data: Data) -> list[str]:
    return [name for name in (data.time, data.label_time) if name is not None]


def _untyped(kind: dt.DataType) -> bool:
    """A column that holds nothing but null, and so was written without a type."""
    return bool(kind.is_null() or (kind.is_unknown() and _raw(kind) == "NULL"))


def _raw(kind: dt.DataType) -> str:
    """The source's own name of a type that Ibis does not know."""
    return str(getattr(kind, "raw_type", None) or kind).strip('"')


def _named(kind: dt.DataType) -> str:
    return _raw(kind) if kind.is_unknown() else str(kind)


def _as_timestamp(data: Data, table: ir.Table, name: str, source: str) -> ir.TimestampValue:
    """A column of times as naive UTC; text that is no time becomes null."""
    column, kind = table[name], table[name].type()
    if kind.is_string():
        # By way of a type that knows zones: reading text as a time without one drops its offset instead of applying it.
        return column.try_cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    if _untyped(kind):
        return ibis.null("timestamp")
    if kind.is_unknown() and _raw(kind).startswith("TIMESTAMP"):    # with a zone and nanoseconds, as pandas writes them
        return column.cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    if not (kind.is_timestamp() or kind.is_date()):
        raise DataError(f"{source}: column {name!r} (data.{role(data, name)}) holds {_named(kind)}, not times")
    return column.cast("timestamp")


def _check_times(
    data: Data, table: ir.Table, found: ir.Table, source: str, run: Callable[[ir.Table], pa.Table]
) -> None:
    """There are records, some of them have a time, and whatever stands in the place of a time is one."""
    known = {f"known{i}": found[name].count() for i, name in enumerate(_times(data))}
    seen = run(found.aggregate(rows=found.count(), **known)).to_pylist()[0]
    if not seen["rows"]:
        raise NoRecordsError(f"{source}: the table is empty")
    if not seen["known0"]:
        text = table[data.time].type().is_string()
        such = _such_as(table.select(data.time).filter(table[data.time].notnull()) if text else None, run)
        raise DataError(f"{source}: column {data.time!r} (data.time) holds no time that can be read{such}")
    for i, name in enumerate(_times(data)):
        if seen[f"known{i}"] < seen["rows"] and table[name].type().is_string():
            wrong = table[name].notnull() & _as_timestamp(data, table, name, source).isnull()
            odd = run(table.filter(wrong).select(name).limit(1)).to_pylist()
            if odd:
                told = f"column {name!r} (data.{role(data, name)}) holds {odd[0][name]!r}, which is no time"
                raise DataError(f"{source}: {told}")


def viewed(backend: Any, table: ir.Table) -> ir.Table:
    """The same records under a name of their own where that can be had for nothing: a query then is short to write."""
    if backend.name != "duckdb":
        return table
    backend.raw_sql(f'CREATE OR REPLACE TEMP VIEW "{_VIEW}" AS {backend.compile(table)}')
    found: ir.Table = backend.table(_VIEW, database=("temp", "main"))
    return found


def role(data: Data, name: str) -> str:
    """The part that a column plays; the first, when there are several."""
    for role in ("time", "id", "label", "label_time", "prediction", "score"):
        if getattr(data, role) == name:
            return role
    for role in ("numeric", "categorical", "text", "segments", "rates", "confidences"):
        if name in getattr(data, role):
            return role
    if name in data.watched.columns:
        return "watched"
    return "other"

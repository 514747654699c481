"""Which Ibis expressions count a profile, and how are their results read? Running them is `records.py`'s part.

Numeric columns are counted in one pass, each against its own sorted edges; categorical ones by a grouping each. On
DuckDB the counting uses its `histogram` aggregate, elsewhere a search tree of comparisons; both mean the same bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np

from trimtab.measure.bins import BinTable, CategoricalBins, NumericBins, freeze_categorical, freeze_numeric
from trimtab.measure.profile import ColumnProfile

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_ROWS = 100_000
_SAMPLE_KEYS = 5    # columns whose hash picks the sample: enough to tell records apart, few enough to be cheap
_TEXT_LENGTH = "{} (length)"


@dataclass(frozen=True)
class Watched:
    """The columns to profile, by how they are counted."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()

    def cast(self, table: ir.Table) -> ir.Table:
        """The watched columns alone, as floats and strings; text as its length in characters."""
        columns: dict[str, ir.Value] = {name: table[name].cast("float64") for name in self.numeric}
        columns |= {name: table[name].cast("string") for name in self.categorical}
        columns |= {_TEXT_LENGTH.format(name): table[name].length().cast("float64") for name in self.text}
        return table.select(**columns)

    @property
    def floats(self) -> tuple[str, ...]:
        """Names in the cast table that hold floats."""
        return self.numeric + tuple(_TEXT_LENGTH.format(name) for name in self.text)


@ibis.udf.agg.builtin(name="histogram")
def _duckdb_histogram(value: dt.float64, edges: dt.Array(dt.float64)) -> dt.Map(dt.float64, dt.int64):  # type: ignore[valid-type, empty-body]  # Ibis reads the signature; DuckDB has the body
    """Counts per bin, by upper edge, upper edges included."""


def sample(table: ir.Table, watched: Watched, rows: int) -> ir.Table:
    """Expression for the numeric values on which bins are frozen: all of them, or a fixed share picked by hash."""
    values = watched.cast(table)
    if rows > SAMPLE_ROWS:
        keys = {name: table[name] for name in table.columns[:_SAMPLE_KEYS]}
        picked = ibis.struct(keys).hash() % (rows // SAMPLE_ROWS + 1) == 0
        values = watched.cast(table.filter(picked))
    return values.select(*watched.floats)


def levels(table: ir.Table, watched: Watched, name: str) -> ir.Table:
    """Expression for the levels of a categorical column with their counts; null is a level of its own here."""
    values = watched.cast(table)
    return values.group_by(level=values[name]).aggregate(n=values.count())


def read_bins(watched: Watched, sampled: pa.Table | None, counted: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Freeze the bins of all watched columns from the results of `sample` and `levels`."""
    frozen: dict[str, Any] = {}
    for name in watched.floats:
        assert sampled is not None, "float columns were sampled"
        frozen[name] = freeze_numeric(sampled[name].to_numpy(zero_copy_only=False))
    for name in watched.categorical:
        pairs = [(r["level"], r["n"]) for r in counted[name].to_pylist() if r["level"] is not None]
        frozen[name] = freeze_categorical([level for level, _ in sorted(pairs, key=lambda p: (-p[1], p[0]))])
    return frozen


def numeric_counts(table: ir.Table, watched: Watched, bins: BinTable, *, native: bool) -> ir.Table:
    """Expression for one row with everything counted of the numeric columns.

    Parameters
    ----------
    table : ibis Table
        The window.
    watched : Watched
        Its columns.
    bins : mapping
        Frozen bins by column.
    native : bool
        Whether the source is DuckDB, whose `histogram` aggregate does the counting.
    """
    values = watched.cast(table)
    measures: dict[str, ir.Value] = {"rows": values.count()}
    for index, name in enumerate(watched.floats):
        column, frozen = values[name], bins[name]
        assert isinstance(frozen, NumericBins), "float columns have numeric bins"
        usable = column.notnull() & ~column.isnan()
        measures[f"null{index}"] = column.isnull().sum()
        measures[f"present{index}"] = usable.sum()
        if not frozen.edges:
            continue
        measures[f"out{index}"] = (usable & ~column.between(frozen.low, frozen.high)).sum()
        measures[f"range{index}"] = (usable & ~column.between(frozen.minimum, frozen.maximum)).sum()
        if native:
            edges = ibis.literal(list(frozen.edges), type="array<float64>")
            measures[f"bins{index}"] = _duckdb_histogram(column, edges, where=usable)
        else:
            measures |= _upper_counts(column, frozen.edges, f"bins{index}", usable)
    return values.aggregate(**measures)


def _upper_counts(column: ir.Value, edges: Sequence[float], prefix: str, usable: ir.Value) -> dict[str, ir.Value]:
    """Counts per bin by plain comparisons, which every backend has."""
    bounds = [None, *edges]
    return {
        f"{prefix}_{i}": (usable & (column <= high) & (True if low is None else column > low)).sum()
        for i, (low, high) in enumerate(zip(bounds, edges, strict=False))
    }


def read_numeric(watched: Watched, bins: BinTable, row: Mapping[str, Any]) -> dict[str, ColumnProfile]:
    """Read the row that `numeric_counts` gives."""
    columns = {}
    for index, name in enumerate(watched.floats):
        frozen = bins[name]
        assert isinstance(frozen, NumericBins), "float columns have numeric bins"
        present = row[f"present{index}"] or 0
        inner = _bin_counts(row, index, len(frozen.edges))
        nulls = row[f"null{index}"] or 0
        columns[name] = ColumnProfile(
            frozen,
            (*inner, present - sum(inner)),
            nulls=nulls,
            nans=row["rows"] - present - nulls,
            outliers=row.get(f"out{index}") or 0,
            outside=row.get(f"range{index}") or 0,
        )
    return columns


def _bin_counts(row: Mapping[str, Any], index: int, size: int) -> list[int]:
    """Counts of all bins but the open last one."""
    if f"bins{index}" in row:
        pairs = row[f"bins{index}"] or []
        counts = [count for _, count in (pairs.items() if isinstance(pairs, dict) else pairs)][:size]
        return counts + [0] * (size - len(counts))
    return [row.get(f"bins{index}_{i}") or 0 for i in range(size)]


def read_levels(bins: CategoricalBins, counted: pa.Table) -> ColumnProfile:
    """Read what `levels` gives, against frozen levels."""
    numbers = dict(zip(counted["level"].to_pylist(), counted["n"].to_pylist(), strict=True))
    nulls = numbers.pop(None, 0)
    counts = tuple(numbers.pop(level, 0) for level in bins.levels)
    return ColumnProfile(bins, counts, nulls=nulls, unseen=sum(numbers.values()))


def profile_array(values: np.ndarray[Any, Any], bins: NumericBins | CategoricalBins) -> ColumnProfile:
    """Profile values that are in memory (scores, predicted classes) by the same definition.

    Examples
    --------
    >>> profile_array(np.array(["a", "z"]), freeze_categorical(["a", "b"])).unseen
    1
    """
    if isinstance(bins, CategoricalBins):
        found, numbers = np.unique(values.astype(str), return_counts=True)
        by_level = dict(zip(found.tolist(), numbers.tolist(), strict=True))
        counts = tuple(by_level.pop(level, 0) for level in bins.levels)
        return ColumnProfile(bins, counts, unseen=sum(by_level.values()))
    known = values[~np.isnan(values)]
    placed = np.searchsorted(np.asarray(bins.edges), known, side="left")
    counts = tuple(np.bincount(placed, minlength=bins.size).tolist())
    outliers = int(((known < bins.low) | (known > bins.high)).sum())
    outside = int(((known < bins.minimum) | (known > bins.maximum)).sum())
    return ColumnProfile(bins, counts, nans=len(values) - len(known), outliers=outliers, outside=outside)


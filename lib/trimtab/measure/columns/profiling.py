"""Which Ibis expressions count a profile, and how are their results read? Running them is `records.py`'s part.

Numeric columns are counted in one pass, each against its own sorted cuts; categorical ones by a grouping each. On
DuckDB the counting uses its `histogram` aggregate, elsewhere one comparison per cut; both are read as how many records
lie at or below each cut, and everything else follows from that by subtraction. Both can also be asked for by day, in
one pass over all days.

What is read are rows of counts, one per day or a single one, laid out as `days.flatten` does for each column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.bins import (
    BUCKETS,
    BinTable,
    CategoricalBins,
    NumericBins,
    bucket,
    freeze_categorical,
    freeze_numeric,
    just_under,
)
from trimtab.measure.columns.profile import BESIDE
from trimtab.measure.columns.watched import DAY, SEGMENT, TEXT_LENGTH, Watched, groups

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_ROWS = 100_000
_SAMPLE_KEYS = 8    # columns whose hash picks the sample: enough to tell records apart, few enough to be cheap
_MOST_MEASURES = 800    # of one query: PostgreSQL allows 1,664 columns in a result, others fewer
Counts = npt.NDArray[np.int64]
_BETWEEN, _NULL = "\x1f", "\x1e"    # between values, and in the place of one, where a record is hashed as text


@ibis.udf.agg.builtin(name="histogram")  # type: ignore[untyped-decorator]  # -- Ibis has no annotations here
def _duckdb_histogram(value: dt.float64, edges: dt.Array(dt.float64)) -> dt.Map(dt.float64, dt.int64):  # type: ignore[valid-type]  # -- Ibis reads the signature; DuckDB has the body
    """Counts per bin, by upper edge, upper edges included."""


def row_hash(table: ir.Table, names: Sequence[str], *, native: bool) -> ir.IntegerValue:
    """Expression for a whole number that follows from a record's values in these columns.

    Parameters
    ----------
    native : bool
        Whether the source is DuckDB, which hashes records as they are; elsewhere their values are hashed as text.
    """
    if native:
        return ibis.struct({name: table[name] for name in names}).hash()
    written = [table[name].cast("string").fill_null(_NULL) for name in names]
    return ibis.literal(_BETWEEN).join(written).hash()


def sample(table: ir.Table, watched: Watched, rows: int, *, native: bool) -> ir.Table:
    """Expression for the numeric values on which bins are frozen: all of them, or a fixed share picked by hash."""
    values = watched.cast(table)
    if rows > SAMPLE_ROWS:
        picked = row_hash(table, _telling(table), native=native) % (rows // SAMPLE_ROWS + 1) == 0
        values = watched.cast(table.filter(picked))
    return values.select(*watched.floats)


def sampled(table: ir.Table, watched: Watched, rows: int, wanted: int, time: str, *, native: bool) -> ir.Table:
    """Expression for the watched values and the day of about `wanted` of so many records, picked by hash."""
    if rows // wanted > 1:
        picked = row_hash(table, _telling(table), native=native) % (rows // wanted) == 0
        table = table.filter(picked)
    return watched.cast(table, time)


def _telling(table: ir.Table) -> list[str]:
    """The columns most likely to tell records apart: with levels alone, the hash would pick whole groups of records."""

    def _few_values(name: str) -> int:
        kind = table[name].type()
        return 0 if kind.is_floating() or kind.is_timestamp() else 1 if kind.is_integer() else 2

    return sorted(table.columns, key=_few_values)[:_SAMPLE_KEYS]


def levels(
    table: ir.Table, watched: Watched, name: str, time: str | None = None, segment: str | None = None
) -> ir.Table:
    """Expression for the levels of a categorical column with their counts, by day if there is a column of times.

    And by the values of the column `segment`, if there is one. Null is a level of its own here.
    """
    apart = groups(table, time, segment)
    return table.group_by(level=watched.level(table, name), **apart).aggregate(n=table.count())


def read_bins(watched: Watched, sampled: pa.Table | None, counted: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Freeze the bins of all watched columns from the results of `sample` and `levels`."""
    frozen: dict[str, Any] = {}
    for name in watched.floats:
        assert sampled is not None, "float columns were sampled"
        frozen[name] = freeze_numeric(sampled[name].to_numpy(zero_copy_only=False))
    for name in watched.with_levels:
        pairs = [(r["level"], r["n"]) for r in counted[name].to_pylist() if r["level"] is not None]
        frozen[name] = freeze_categorical([level for level, _ in sorted(pairs, key=lambda p: (-p[1], p[0]))])
    return frozen


def batches(watched: Watched, bins: BinTable, *, native: bool) -> list[Watched]:
    """The columns that are counted in one pass each: all on DuckDB, elsewhere as many as a row of the result can hold.

    Examples
    --------
    >>> watched = Watched(numeric=("a", "b", "c"))
    >>> bins = dict.fromkeys("abc", freeze_numeric(np.arange(10_000)))
    >>> [batch.numeric for batch in batches(watched, bins, native=False)]
    [('a', 'b', 'c')]
    """
    found, room = [Watched()], _MOST_MEASURES

    def _begin(key: str) -> None:
        """A new batch, where this column finds no room in the last one."""
        nonlocal room
        cost = 0 if native else len(_cuts(_numeric(bins, key))) + 2
        if cost > room:
            found.append(Watched())
            room = _MOST_MEASURES
        room -= cost

    for name in watched.numeric:
        _begin(name)
        found[-1] = replace(found[-1], numeric=(*found[-1].numeric, name))
    for name in watched.text:
        _begin(TEXT_LENGTH.format(name))
        found[-1] = replace(found[-1], text=(*found[-1].text, name))
    return [batch for batch in found if batch.floats]


def numeric_counts(
    table: ir.Table, watched: Watched, bins: BinTable, *, native: bool, time: str | None = None,
    segment: str | None = None,
) -> ir.Table:
    """Expression for one row with everything counted of the numeric columns, or one row per day and segment.

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
    time : str, optional
        Column of times, whose days are counted apart.
    segment : str, optional
        Column whose values are counted apart.
    """
    values = watched.cast(table, time, segment)
    measures: dict[str, ir.Value] = {"rows": values.count()}
    for index, name in enumerate(watched.floats):
        column = values[name]
        cuts = _cuts(_numeric(bins, name))
        measures[f"known{index}"] = column.count()
        can_be_nan = name in watched.numeric and not _whole(table[name].type())
        if can_be_nan:
            measures[f"nan{index}"] = column.isnan().sum()
        if native and cuts:
            # DuckDB would count NaN in the first bin. Making it null costs less than filtering it out, and one text
            # less than a literal per cut, of which Ibis makes an object each.
            usable = ibis.ifelse(column.isnan(), ibis.null("float64"), column) if can_be_nan else column
            edges = ibis.literal(f"[{', '.join(map(repr, cuts))}]").cast("array<float64>")
            measures[f"bins{index}"] = _duckdb_histogram(usable, edges)
        elif cuts:
            # NaN is at or below nothing: it is null in some backends, and above every number in the others.
            measures |= {f"below{index}_{i}": (column <= cut).sum() for i, cut in enumerate(cuts)}
    apart = list(groups(table, time, segment))
    return values.group_by(apart).aggregate(**measures) if apart else values.aggregate(**measures)


def _whole(kind: dt.DataType) -> bool:
    """Whether a type has no NaN."""
    whole: bool = kind.is_integer() or kind.is_boolean()
    return whole


def _numeric(bins: BinTable, name: str) -> NumericBins:
    frozen = bins[name]
    assert isinstance(frozen, NumericBins), "float columns have numeric bins"
    return frozen


def _cuts(bins: NumericBins) -> list[float]:
    """Where to count: the edges, and the limits beyond which values are outliers, or outside the reference's range.

    A limit below which values count is cut just under it, since a cut counts what lies at or below.
    """
    limits = [limit for low, high in ((bins.low, bins.high), (bins.minimum, bins.maximum), bins.far)
              for limit in (_under(low), high)]
    cuts = np.unique(np.asarray([*bins.edges, *limits], dtype=np.float64))
    found: list[float] = cuts[np.isfinite(cuts)].tolist()
    return found


def _under(value: float) -> float:
    """The next smaller float."""
    return float(just_under(value))


def read_numeric(watched: Watched, bins: BinTable, counted: pa.Table) -> dict[str, Counts]:
    """Read what `numeric_counts` gives: by column an array of shape (rows, bins + what is counted beside them)."""
    rows = _whole_numbers(counted, "rows")
    found = {}
    for index, name in enumerate(watched.floats):
        frozen = _numeric(bins, name)
        known, nans = _whole_numbers(counted, f"known{index}"), _whole_numbers(counted, f"nan{index}")
        cuts = _cuts(frozen)
        below = _at_or_below(counted, index, len(cuts))
        found[name] = _from_cumulative(frozen, cuts, below, present=known - nans, nulls=rows - known, nans=nans)
    return found


def _whole_numbers(counted: pa.Table, name: str) -> Counts:
    """A column of the result; zeros where it has none, or null."""
    if name not in counted.column_names:
        return np.zeros(counted.num_rows, dtype=np.int64)
    return np.array([value or 0 for value in counted[name].to_pylist()], dtype=np.int64)


def _from_cumulative(
    bins: NumericBins, cuts: Sequence[float], below: Counts, *, present: Counts, nulls: Counts, nans: Counts
) -> Counts:
    """Counts per bin and beyond the limits, from how many values lie at or below each cut, row by row."""
    place = {cut: index for index, cut in enumerate(cuts)}

    def _beyond(low: float, high: float) -> Counts:
        # A limit that is no cut is infinite (nothing lies beyond) or nan (there is no limit).
        under = below[:, place[_under(low)]] if _under(low) in place else 0
        over = present - below[:, place[high]] if high in place else 0
        return np.zeros_like(present) + under + over

    inner = below[:, [place[edge] for edge in bins.edges]]
    counts = np.diff(np.column_stack([np.zeros_like(present), inner, present]), axis=1)
    unseen = np.zeros_like(present)
    beside = {"nulls": nulls, "nans": nans, "unseen": unseen, "outliers": _beyond(bins.low, bins.high),
              "outside": _beyond(bins.minimum, bins.maximum), "far": _beyond(*bins.far)}
    return np.column_stack([counts, *(beside[name] for name in BESIDE)])


def _at_or_below(counted: pa.Table, index: int, size: int) -> Counts:
    """Values at or below each cut, shape (rows, cuts)."""
    if f"bins{index}" not in counted.column_names:
        return np.array([_whole_numbers(counted, f"below{index}_{i}") for i in range(size)], dtype=np.int64).reshape(
            size, counted.num_rows
        ).T
    maps = counted[f"bins{index}"].combine_chunks()
    starts = maps.offsets.to_numpy()[:-1]
    known = maps.is_valid().to_numpy(zero_copy_only=False)    # null where no record of the day has a value
    counts = np.zeros((counted.num_rows, size), dtype=np.int64)
    if known.any():
        counts[known] = maps.items.to_numpy(zero_copy_only=False)[starts[known, None] + np.arange(size)]
    return counts.cumsum(axis=1)


def read_levels(bins: CategoricalBins, counted: pa.Table, rows: Sequence[Any] = (None,)) -> Counts:
    """Read what `levels` gives, against frozen levels: shape (rows, levels + what is counted beside them + buckets).

    Parameters
    ----------
    rows : sequence
        The days to read, each of them a row, in this order; or the segments, or pairs of segment and day; without, one
        row for all.
    """
    place: dict[str | None, int] = {level: index for index, level in enumerate(bins.levels)}
    place[None] = bins.size + BESIDE.index("nulls")
    unseen, buckets = bins.size + BESIDE.index("unseen"), bins.size + len(BESIDE)
    row = {key: index for index, key in enumerate(rows)}
    found = np.zeros((len(rows), buckets + BUCKETS), dtype=np.int64)
    for key, level, n in zip(keys(counted), counted["level"].to_pylist(), counted["n"].to_pylist(), strict=True):
        cell = place.get(level, unseen)
        found[row[key], cell] += n
        if cell == unseen:
            found[row[key], buckets + bucket(level)] += n
    return found


def keys(counted: pa.Table) -> list[Any]:
    """What each row of a result is of: a day, a segment, a pair of segment and day, or None."""
    named = [counted[name].to_pylist() for name in (SEGMENT, DAY) if name in counted.column_names]
    if len(named) == 2:
        return list(zip(*named, strict=True))
    return named[0] if named else [None] * counted.num_rows

"""Profiles: what is counted equals a direct count, on every path, and survives adding and storing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trimtab import tally
from trimtab.measure.columns import profiling
from trimtab.measure.columns.bins import FINE, NumericBins, digest, freeze_categorical, freeze_numeric, same
from trimtab.measure.columns.days import unflatten
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.profiling import (
    SAMPLE_ROWS,
    batches,
    levels,
    numeric_counts,
    read_levels,
    read_numeric,
    sample,
)
from trimtab.measure.columns.watched import Watched
from trimtab.tally import count_profile
from trimtab.windows import Window

RNG = np.random.default_rng
ROWS = 2000
TINY = np.nextafter(0.0, 1.0)


def columns(seed: int, *, shift: float = 0.0) -> dict[str, np.ndarray[Any, Any]]:
    """One column of each awkward kind."""
    rng = RNG(seed)
    normal = rng.normal(shift, size=ROWS)
    return {
        "normal": normal,
        "tied": rng.integers(0, 12, ROWS).astype(float),
        "binary": (rng.random(ROWS) < 0.1).astype(float),
        "constant": np.full(ROWS, 3.0 + shift),
        "inflated": np.where(rng.random(ROWS) < 0.7, 0.0, rng.exponential(size=ROWS)),
        "heavy": rng.standard_cauchy(ROWS),
        "denormal": rng.choice([0.0, TINY, -TINY], ROWS),
        "huge": rng.choice([1e300, -1e300, np.finfo(float).max, -np.finfo(float).max], ROWS),
    }


def table(seed: int, *, shift: float = 0.0) -> pa.Table:
    """The same with null and NaN as different things, whole numbers, truth values, levels and prose."""
    rng = RNG([seed, 1])
    numbers = columns(seed, shift=shift)
    gaps = np.where(rng.random(ROWS) < 0.1, np.nan, numbers["normal"])
    level = rng.choice(["a", "b", "c", "new" if shift else "d"], ROWS)
    truth = rng.random(ROWS) < 0.5
    return pa.table({
        **numbers, "whole": rng.integers(-5, 5, ROWS), "truth": truth, "truth_level": truth,
        "gaps": pa.array(gaps, mask=rng.random(ROWS) < 0.2), "nothing": pa.nulls(ROWS, pa.float64()),
        "level": pa.array(level, mask=rng.random(ROWS) < 0.2),
        "prose": ["word " * n for n in rng.integers(1, 9, ROWS)],
    })


GAPS = "gaps"
NUMERIC = (*columns(0), "whole", "truth", GAPS, "nothing")
WATCHED = Watched(NUMERIC, ("level", "truth_level"), ("prose",))


@pytest.fixture(scope="module")
def backend() -> Any:
    return ibis.duckdb.connect()


def window(backend: Any, name: str, rows: pa.Table) -> Window:
    stored = backend.create_table(name, rows, overwrite=True)
    return Window(name, datetime(2024, 1, 1), datetime(2024, 2, 1), rows.num_rows, 0, stored)


@pytest.fixture(scope="module")
def pair(backend: Any) -> tuple[Window, Window]:
    return window(backend, "before", table(1)), window(backend, "after", table(2, shift=1.0))


@pytest.fixture(scope="module", params=[0, 10**9], ids=["in the database", "in memory"])
def counted(backend: Any, pair: tuple[Window, Window], request: pytest.FixtureRequest) -> tuple[Profile, Profile]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally, "_FEW_VALUES", request.param)
        before = count_profile(backend, pair[0], WATCHED, None)
        return before, count_profile(backend, pair[1], WATCHED, before.bins)


def one_column(bins: Any, counts: Any) -> ColumnProfile:
    """A row of counts as a profile."""
    row = np.append(0, counts)
    return unflatten(row, {"x": bins}).columns["x"]


def direct(values: np.ndarray[Any, Any], bins: NumericBins) -> list[int]:
    """Counts bin by bin, by the definition: edges[i-1] < x ≤ edges[i], ends open."""
    if not bins.edges:
        return [len(values)]
    inner = [int(((values > a) & (values <= b)).sum()) for a, b in pairwise(bins.edges)]
    return [int((values <= bins.edges[0]).sum()), *inner, int((values > bins.edges[-1]).sum())]


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("side", [0, 1])
def test_numeric_counts_equal_a_direct_count(
    name: str, side: int, backend: Any, pair: tuple[Window, Window], counted: tuple[Profile, Profile]
) -> None:
    found = counted[side].columns[name]
    column = backend.to_pyarrow(pair[side].table.select(v=pair[side].table[name].cast("float64")))["v"]
    known = np.array([v for v in column.to_pylist() if v is not None], dtype=float)
    values = known[~np.isnan(known)]
    bins = found.bins
    assert isinstance(bins, NumericBins)
    assert list(found.counts) == direct(values, bins)
    assert found.nulls == column.null_count
    assert found.nans == len(known) - len(values)
    assert found.outliers == int(((values < bins.low) | (values > bins.high)).sum())
    assert found.outside == int(((values < bins.minimum) | (values > bins.maximum)).sum())
    assert (found.rows, found.unseen) == (ROWS, 0)


def test_the_awkward_columns_are_what_they_are_called(counted: tuple[Profile, Profile]) -> None:
    before, after = counted
    assert before.columns[GAPS].nulls > 100
    assert before.columns[GAPS].nans > 50
    assert before.columns["nothing"].counts == (0,)
    assert after.columns["constant"].outside == ROWS
    assert after.columns["normal"].outliers > before.columns["normal"].outliers > 0
    assert before.columns["huge"].outliers == 0    # their spread is beyond a float, so there is no limit


def test_levels_are_counted_with_nulls_and_unseen_ones_apart(
    pair: tuple[Window, Window], counted: tuple[Profile, Profile]
) -> None:
    values = pd.Series(pair[1].table.level.to_pyarrow().to_pylist(), dtype=object)
    found = counted[1].columns["level"]
    assert set(found.bins.levels) == {"a", "b", "c", "d"}
    assert dict(zip(found.bins.levels, found.counts, strict=True)) == {
        level: int((values == level).sum()) for level in found.bins.levels
    }
    assert found.unseen == int((values == "new").sum()) > 0
    assert found.nulls == int(values.isna().sum()) > 0
    assert found.rows == ROWS


def test_text_is_watched_by_its_length(counted: tuple[Profile, Profile], pair: tuple[Window, Window]) -> None:
    found = counted[0].columns["prose (length)"]
    lengths = np.array([len(text) for text in pair[0].table.prose.to_pyarrow().to_pylist()], dtype=float)
    assert isinstance(found.bins, NumericBins)
    assert list(found.counts) == direct(lengths, found.bins)


def test_duckdb_and_plain_comparisons_count_the_same_in_rows_that_a_database_can_return(
    backend: Any, pair: tuple[Window, Window], counted: tuple[Profile, Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling, "_MOST_MEASURES", 250)
    bins = counted[0].bins

    def count(one: Window, *, native: bool) -> dict[str, ColumnProfile]:
        found: dict[str, ColumnProfile] = {}
        for part in batches(WATCHED, bins, native=native):
            expression = numeric_counts(one.table, part, bins, native=native)
            assert len(expression.columns) <= 251
            found |= {name: one_column(bins[name], counts[0])
                      for name, counts in read_numeric(part, bins, backend.to_pyarrow(expression)).items()}
        return found

    assert len(batches(WATCHED, bins, native=True)) == 1 < len(batches(WATCHED, bins, native=False))
    for one in pair:
        plainly = count(one, native=False)
        assert tuple(plainly) == WATCHED.floats
        assert plainly == count(one, native=True)


@pytest.mark.parametrize("native", [True, False])
def test_an_empty_window_has_counts_of_zero(
    native: bool, backend: Any, pair: tuple[Window, Window], counted: tuple[Profile, Profile]
) -> None:
    nothing, bins = pair[0].table.filter(ibis.literal(False)), counted[0].bins
    counted_nothing = backend.to_pyarrow(numeric_counts(nothing, WATCHED, bins, native=native))
    for found in read_numeric(WATCHED, bins, counted_nothing).values():
        assert found.shape[0] == 1
        assert not found.any()
    assert not read_levels(bins["level"], backend.to_pyarrow(levels(nothing, WATCHED, "level"))).any()


@pytest.mark.parametrize("segment", [None, "truth_level", "level"])
@pytest.mark.parametrize("time", [None, "at"])
def test_what_is_fetched_is_counted_as_a_database_counts_it(
    segment: str | None, time: str | None, backend: Any, counted: tuple[Profile, Profile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By day, by segment, by both and by neither; the first of some days have no record of some segment."""
    rows = table(2, shift=1.0)
    hours = np.arange(ROWS) // 7
    rows = rows.append_column("at", pa.array(np.datetime64("2024-01-01T00:00:00") + hours.astype("timedelta64[h]")))
    one = window(backend, "timed", rows)
    one = replace(one, table=one.table.filter(one.table.level.notnull()))
    watched = WATCHED if segment is None else WATCHED.without(segment)
    bins = {name: counted[0].bins[name] for name in (*watched.floats, *watched.with_levels)}
    found = []
    for most in (0, 10**9):
        monkeypatch.setattr(tally, "_FEW_VALUES", most)
        found.append(tally._apart(backend, one, watched, bins, backend.to_pyarrow, time=time, segment=segment))
    (parts, names, counts), (again, others, fetched) = found
    assert parts == again
    assert list(names) == list(others)
    assert (counts == fetched).all()
    assert counts.sum() > 0


@pytest.mark.parametrize("name", list(columns(0)))
def test_values_in_memory_are_counted_as_the_same_values_in_a_table(
    name: str, pair: tuple[Window, Window], counted: tuple[Profile, Profile]
) -> None:
    found = counted[1].columns[name]
    assert profile_array(columns(2, shift=1.0)[name], found.bins) == found


def test_infinite_values_lie_in_the_open_bins_and_outside(backend: Any) -> None:
    values = np.array([-np.inf, 0.0, 1.0, np.inf, np.inf])
    bins = freeze_numeric([0.0, 1.0, 2.0])
    watched = Watched(("x",))
    made = ibis.memtable(pa.table({"x": values}))
    row = backend.to_pyarrow(numeric_counts(made, watched, {"x": bins}, native=True))
    found = one_column(bins, read_numeric(watched, {"x": bins}, row)["x"][0])
    assert found == profile_array(values, bins)
    assert (found.counts[0], found.outside) == (1, 3)


# -- adding and storing ------------------------------------------------------------------------------------------------


def test_the_sum_of_profiles_is_the_profile_of_the_union(
    backend: Any, pair: tuple[Window, Window], counted: tuple[Profile, Profile]
) -> None:
    union = Window(
        "both", pair[0].start, pair[0].end, 2 * ROWS, 0,
        backend.create_table("both", pair[0].table.union(pair[1].table), overwrite=True),
    )
    whole = count_profile(backend, union, WATCHED, counted[0].bins)
    assert counted[0] + counted[1] == whole
    assert counted[1] + counted[0] == whole


def test_a_profile_survives_json_to_the_last_bit(counted: tuple[Profile, Profile]) -> None:
    for profile in counted:
        text = json.dumps(profile.to_json(), allow_nan=False)
        again = Profile.from_json(json.loads(text))
        assert json.dumps(again.to_json(), allow_nan=False) == text
        assert again.columns.keys() == profile.columns.keys()
        for name, column in again.columns.items():
            assert digest(column.bins) == digest(profile.columns[name].bins)
            assert column.counts == profile.columns[name].counts
        assert (again + profile).rows == 2 * ROWS


def test_bins_with_a_copied_nan_are_the_same_bins() -> None:
    nothing = freeze_numeric([])
    other = NumericBins((), (), *(float("nan") for _ in range(5)))
    assert nothing != other    # tuples compare nan by identity
    assert same(nothing, other)
    assert (ColumnProfile(nothing, (0,), nulls=2) + ColumnProfile(other, (0,), nulls=3)).nulls == 5


def test_profiles_with_different_bins_or_columns_are_not_added() -> None:
    one, other = (ColumnProfile(freeze_categorical(levels), (1,)) for levels in ("a", "b"))
    with pytest.raises(ValueError, match="different bins"):
        one + other
    with pytest.raises(ValueError, match="different columns"):
        Profile({"x": one}, 1) + Profile({"y": one}, 1)
    with pytest.raises(ValueError, match="2 bins but 1 counts"):
        ColumnProfile(freeze_categorical(["a", "b"]), (1,))


# -- freezing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(columns(0)))
def test_no_bin_holds_much_more_than_its_share_unless_one_value_does(name: str) -> None:
    values = columns(5)[name]
    bins = freeze_numeric(values)
    counts = np.array(profile_array(values, bins).counts)
    placed = np.searchsorted(bins.edges, values)
    for index in np.flatnonzero(counts > 1 + ROWS / FINE):
        assert len(np.unique(values[placed == index])) == 1


@pytest.mark.parametrize("name", list(columns(0)))
def test_coarse_bins_are_sums_of_fine_ones_and_about_ten(name: str) -> None:
    values = columns(5)[name]
    found = profile_array(values, freeze_numeric(values))
    assert found.coarse().sum() == ROWS
    assert len(found.coarse()) <= 12    # ten tenths, and one more below an atom that something lies below
    if name == "normal":
        assert len(found.coarse()) == 10
        np.testing.assert_allclose(found.coarse(), ROWS / 10, atol=1)


def test_beyond_ten_thousand_levels_the_rarest_count_as_unseen() -> None:
    bins = freeze_categorical([str(i) for i in range(10_001)])
    assert bins.size == 10_000
    assert profile_array(np.array(["0", "10000"]), bins).unseen == 1


def test_a_large_table_is_sampled_by_what_tells_records_apart(backend: Any) -> None:
    """Levels alone would pick all or nothing of each group, and might pick nothing at all."""
    rows = 3 * SAMPLE_ROWS
    rng = RNG(0)
    frame = pa.table({f"c{i}": rng.integers(0, 2, rows).astype(str) for i in range(9)} | {"x": rng.normal(size=rows)})
    picked = backend.to_pyarrow(sample(ibis.memtable(frame), Watched(("x",)), rows, native=True))["x"].to_numpy()
    assert len(picked) == pytest.approx(rows / 4, rel=0.05)    # 20 standard deviations
    assert np.quantile(picked, [0.1, 0.5, 0.9]) == pytest.approx([-1.28, 0.0, 1.28], abs=0.03)


def test_only_categorical_columns_have_levels(pair: tuple[Window, Window]) -> None:
    with pytest.raises(ValueError, match="not watched as a categorical"):
        levels(pair[0].table, WATCHED, "normal")

"""Samples: codes as profiles count them, bytes that come back whole or not at all."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trimtab.measure.columns.bins import BinTable, CategoricalBins, freeze_categorical, freeze_numeric
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.together.samples import MISSING, Sample, distinct, encode

RNG = np.random.default_rng

NUMERIC = {
    "normal": lambda rng, n: rng.normal(size=n),
    "tied": lambda rng, n: rng.integers(0, 7, n).astype(float),
    "rounded": lambda rng, n: np.round(rng.normal(size=n), 1),
    "inflated": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.exponential(size=n)),
    "binary": lambda rng, n: (rng.random(n) < 0.3).astype(float),
    "constant": lambda rng, n: np.full(n, 3.0),
    "missing": lambda rng, n: np.where(rng.random(n) < 0.2, math.nan, rng.normal(size=n)),
    "empty": lambda rng, n: np.full(n, math.nan),
    "infinite": lambda rng, n: rng.choice([-math.inf, 0.0, 1.0, math.inf, math.nan], n),
}


def _counted(codes: np.ndarray[Any, Any], size: int) -> tuple[int, ...]:
    return tuple(np.bincount(codes[codes != MISSING], minlength=size)[:size].tolist())


def _small() -> Sample:
    codes = np.array([[0, 3], [-1, -1], [199, 0], [7, 2]])
    return Sample(("age", "city"), ("numeric", "categorical"), (200, 3), codes)


# -- Encoding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", NUMERIC)
@pytest.mark.parametrize("current", NUMERIC)
@pytest.mark.parametrize("n", [1, 40, 3000])
def test_numeric_codes_are_counted_as_profiles_count(reference: str, current: str, n: int) -> None:
    rng = RNG([n, len(reference), len(current)])
    bins = freeze_numeric(NUMERIC[reference](rng, n))
    values = NUMERIC[current](rng, 500)
    values[:3] = bins.minimum, bins.maximum, np.nextafter(bins.maximum, math.inf)
    codes = encode({"x": values}, {"x": bins}).codes[:, 0]
    profile = profile_array(values, bins)
    assert _counted(codes, bins.size) == profile.counts
    assert (codes == MISSING).sum() == profile.missing


def test_every_edge_of_a_reference_falls_into_the_bin_that_it_ends() -> None:
    bins = freeze_numeric(RNG(0).lognormal(size=1000))
    assert encode({"x": bins.edges}, {"x": bins}).codes[:, 0].tolist() == list(range(len(bins.edges)))


def test_levels_are_counted_as_profiles_count() -> None:
    rng = RNG(1)
    bins = freeze_categorical([f"level {index}" for index in range(3000)])
    values = np.array([f"level {index}" for index in rng.zipf(1.3, 5000) % 4000], dtype=object)
    codes = encode({"x": values}, {"x": bins}).codes[:, 0]
    profile = profile_array(values, bins)
    assert _counted(codes, bins.size) == profile.counts
    assert (codes == bins.size).sum() == profile.unseen > 0


def test_levels_beyond_those_that_are_kept_count_as_unseen() -> None:
    bins = freeze_categorical([str(index) for index in range(10_002)])
    assert encode({"x": ["0", "9999", "10000", "10001"]}, {"x": bins}).codes[:, 0].tolist() == [0, 9999, 10_000, 10_000]


def test_missing_text_is_no_level_even_where_levels_are_called_like_it() -> None:
    bins = freeze_categorical(["None", "nan", ""])
    values = np.array([None, math.nan, "None", "nan", "", np.float64("nan")], dtype=object)
    assert encode({"x": values}, {"x": bins}).codes[:, 0].tolist() == [-1, -1, 0, 1, 2, -1]


def test_levels_that_are_no_text_count_by_their_text() -> None:
    bins = freeze_categorical(["1", "True", "2.5"])
    assert encode({"x": [1, True, 2.5, 3]}, {"x": bins}).codes[:, 0].tolist() == [0, 1, 2, 3]
    assert encode({"x": np.array(["1", "no"])}, {"x": bins}).codes[:, 0].tolist() == [0, 3]


def test_numbers_may_be_whole_or_boolean_or_none() -> None:
    bins = {"x": freeze_numeric([0, 1, 2])}
    for values in (np.array([0, 1, 2]), np.array([0.0, 1.0, 2.0]), np.array([0, 1, 2], dtype=object)):
        assert encode({"x": values}, bins).codes[:, 0].tolist() == [1, 3, 5]
    assert encode({"x": np.array([False, True])}, bins).codes[:, 0].tolist() == [1, 3]
    assert encode({"x": np.array([None, 1], dtype=object)}, bins).codes[:, 0].tolist() == [-1, 3]


def test_columns_come_in_the_order_of_the_bins_and_others_are_left_out() -> None:
    bins: BinTable = {"b": freeze_numeric([1.0, 2.0]), "a": freeze_categorical(["x"])}
    sample = encode({"a": ["x", "y"], "b": [1.0, 2.0], "c": [0, 0]}, bins)
    assert (sample.columns, sample.kinds) == (("b", "a"), ("numeric", "categorical"))
    assert sample.sizes == tuple(frozen.size for frozen in bins.values())
    assert sample.codes.dtype == np.int16


def test_thousands_of_bins_get_wider_codes() -> None:
    bins = CategoricalBins(tuple(str(index) for index in range(40_000)))
    sample = encode({"x": ["39999", "new", None]}, {"x": bins})
    assert (sample.codes.dtype, sample.codes[:, 0].tolist()) == (np.int32, [39_999, 40_000, -1])
    assert Sample.from_bytes(sample.to_bytes()).codes[:, 0].tolist() == [39_999, 40_000, -1]


def test_encoding_does_not_care_for_the_order_of_records_and_leaves_its_input_alone() -> None:
    rng = RNG(2)
    values = {"x": NUMERIC["missing"](rng, 300), "y": rng.choice(np.array(["a", "b", None], dtype=object), 300)}
    kept = {name: column.copy() for name, column in values.items()}
    bins: BinTable = {"x": freeze_numeric(values["x"]), "y": freeze_categorical(["a"])}
    order = rng.permutation(300)
    shuffled = encode({name: column[order] for name, column in values.items()}, bins)
    assert (encode(values, bins).codes[order] == shuffled.codes).all()
    np.testing.assert_array_equal(values["x"], kept["x"])
    assert values["y"].tolist() == kept["y"].tolist()


def test_a_missing_column_is_told_by_its_name() -> None:
    with pytest.raises(ValueError, match="no values for age"):
        encode({"x": [1]}, {"age": freeze_numeric([1])})


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in their number of records"):
        encode({"x": [1], "y": [1, 2]}, {"x": freeze_numeric([1]), "y": freeze_numeric([1])})


def test_no_records_and_no_columns_are_samples_too() -> None:
    assert encode({"x": []}, {"x": freeze_numeric([])}).codes.shape == (0, 1)
    assert encode({}, {}).codes.shape == (0, 0)


# -- Samples -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "kinds", "sizes", "codes", "told"),
    [
        (("x", "x"), ("numeric",) * 2, (2, 2), [[0, 0]], "occurs twice"),
        (("x",), ("text",), (2,), [[0]], "needs its kind"),
        (("x",), ("numeric",), (2, 3), [[0]], "needs its kind"),
        (("x",), ("numeric",), (2,), [0], "of shape"),
        (("x",), ("numeric",), (2,), [[0, 1]], "of shape"),
        (("x",), ("numeric",), (2,), [[0.5]], "whole numbers"),
        (("x",), ("numeric",), (2,), [[2]], "outside"),
        (("x",), ("categorical",), (2,), [[3]], "outside"),
        (("x",), ("numeric",), (2,), [[-2]], "outside"),
    ],
)
def test_a_sample_that_makes_no_sense_is_refused(columns: Any, kinds: Any, sizes: Any, codes: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Sample(columns, kinds, sizes, np.array(codes))


def test_records_are_taken_by_mask_or_position_in_the_order_asked_for() -> None:
    sample = _small()
    assert sample.take([3, 0, 3]).codes.tolist() == [[7, 2], [0, 3], [7, 2]]
    assert sample.take(np.array([True, False, False, True])).codes.tolist() == [[0, 3], [7, 2]]
    assert len(sample.take([])) == 0
    with pytest.raises(ValueError, match="mask"):
        sample.take(np.array([True]))


def test_thinning_draws_records_in_their_order_and_the_same_ones_for_the_same_seed() -> None:
    sample = Sample(("x",), ("numeric",), (1000,), np.arange(1000)[:, None])
    drawn = sample.thinned(100, seed=5).codes[:, 0]
    assert len(drawn) == 100
    assert (np.diff(drawn) > 0).all()
    assert (drawn == sample.thinned(100, seed=5).codes[:, 0]).all()
    assert (drawn != sample.thinned(100, seed=6).codes[:, 0]).any()
    assert sample.thinned(1000, seed=5) is sample


def test_samples_fit_when_columns_kinds_and_bins_are_the_same() -> None:
    sample = _small()
    assert sample.fits(sample.take([0]))
    assert not sample.fits(Sample(("age", "town"), sample.kinds, sample.sizes, sample.codes))
    assert not sample.fits(Sample(sample.columns, sample.kinds, (201, 3), sample.codes))


# -- Bytes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 5000])
@pytest.mark.parametrize("columns", [0, 1, 30])
def test_bytes_come_back_as_the_same_sample(rows: int, columns: int) -> None:
    names = tuple(f"säule {index}" for index in range(columns))
    codes = RNG(0).integers(-1, 300, (rows, columns))
    sample = Sample(names, ("numeric",) * columns, (300,) * columns, codes)
    back = Sample.from_bytes(sample.to_bytes())
    assert back.fits(sample)
    assert back.codes.dtype == sample.codes.dtype
    np.testing.assert_array_equal(back.codes, codes)


def test_a_value_takes_about_a_byte() -> None:
    """Codes of 200 equal bins carry log2(200) = 7.6 bits each, which no packing can undercut."""
    sample = Sample(("x",) , ("numeric",), (200,), RNG(0).integers(0, 200, (5000, 1)))
    assert 0.95 * 5000 < len(sample.to_bytes()) < 1.1 * 5000


def test_any_byte_that_is_changed_is_noticed() -> None:
    stored = _small().to_bytes()
    for position in range(len(stored)):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(stored)
            damaged[position] ^= mask
            with pytest.raises(ValueError, match="damaged"):
                Sample.from_bytes(bytes(damaged))


def test_bytes_that_are_cut_off_or_too_long_are_refused() -> None:
    stored = _small().to_bytes()
    for other in (*(stored[:length] for length in range(len(stored))), stored + b"\0", b"", b"PK\3\4", b"TTS1"):
        with pytest.raises(ValueError, match="damaged"):
            Sample.from_bytes(other)


def test_whole_bytes_of_a_sample_that_makes_no_sense_are_refused() -> None:
    for header in (b'{"columns": ["x"]}', b"[]", b'{"columns": 1, "kinds": [], "sizes": [], "rows": 0}', b"{",
                   b'{"columns": ["x"], "kinds": ["numeric"], "sizes": [2], "rows": 5}'):
        packed = zlib.compress(len(header).to_bytes(4, "big") + header)
        stored = b"TTS1" + zlib.crc32(packed).to_bytes(4, "big") + packed
        with pytest.raises(ValueError, match="damaged"):
            Sample.from_bytes(stored)


def test_equal_values_of_other_types_are_other_texts_and_any_kind_of_nothing_is_missing() -> None:
    mixed = np.array([1, True, 1.0, "1", None, float("nan"), pd.NA, 1], dtype=object)
    place, found = distinct(mixed)
    assert [str(found[i]) if i >= 0 else None for i in place] == ["1", "True", "1.0", "1", None, None, None, "1"]
    codes = encode({"mixed": mixed}, {"mixed": freeze_categorical(["True", "1"])}).codes[:, 0]
    assert codes.tolist() == [1, 0, 2, 1, -1, -1, -1, 1]

"""`tt.check`: two tables and nothing else."""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.errors import DataError, ParamsError
from trimtab.settings.drift import DriftSettings
from trimtab.settings.triggers import Trigger

ROWS = 800


def _table(seed: int, shift: float = 0.0, **columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "number": rng.normal(shift, size=ROWS), "count": rng.integers(0, 5, ROWS),
        "flag": rng.uniform(size=ROWS) < 0.5 + 0.3 * (shift > 0), "level": rng.choice(["a", "b"], ROWS),
        "category": pd.Categorical(rng.choice(["u", "v"], ROWS)),
        "when": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
        "prose": [f"text {i} " + "long " * int(n) for i, n in enumerate(rng.poisson(3 + 5 * shift, ROWS))],
    }).assign(**columns)


def _refusal(reference: Any, current: Any) -> str:
    with pytest.raises(DataError) as refused:
        tt.check(reference, current)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_columns_that_moved_are_found_and_the_others_are_not() -> None:
    found = tt.check(_table(0), _table(1, shift=1.0))
    assert set(found.drifted) == {"number", "flag", "prose (length)", "prose"}
    assert next(iter(found.to_frame().index)) == found.drifted[0]
    assert found.left_out == ("when (timestamp)",)
    kinds = found.to_frame()["kind"].to_dict()
    assert [kinds[name] for name in ("flag", "level", "category", "count")] == ["categorical"] * 3 + ["numeric"]


@pytest.mark.parametrize("unit", [1.7e308, 1e300, 1e160, 1e-160])
def test_days_of_values_near_the_limits_of_floats_are_compared(unit: float) -> None:
    """Without a warning, which would be an error here."""
    rng = np.random.default_rng(0)
    before, after = (
        pd.DataFrame({"at": pd.date_range(start, periods=2000, freq="30min"), **{
            name: unit * rng.choice([-1.0, 1.0], 2000, p=[1 - share, share])
            for name, share in (("moved", moved), ("still", 0.5))
        }}) for start, moved in (("2024-01-01", 0.5), ("2024-03-01", 0.8))
    )
    assert tt.check(before, after, time="at").drifted == ("moved",)


@pytest.mark.parametrize("of", [pd.DataFrame, pa.Table.from_pandas])
def test_floats_of_half_precision_are_compared_as_others(of: Callable[[pd.DataFrame], Any]) -> None:
    half, single = (
        [pd.DataFrame({"x": np.random.default_rng(seed).normal(shift, size=ROWS).astype("float16").astype(kind)})
         for seed, shift in ((0, 0.0), (1, 0.5))]
        for kind in ("float16", "float32")
    )
    found = tt.check(*map(of, half))
    assert found.drifted == ("x",)
    pd.testing.assert_frame_equal(found.to_frame(), tt.check(*map(of, single)).to_frame())


@pytest.mark.parametrize("values", [
    pa.array([decimal.Decimal(i) for i in range(ROWS)], pa.decimal256(60, 2)),    # refused by DuckDB
    pa.array([b"ab"] * ROWS, pa.binary(2)),    # refused by Ibis
], ids=["decimal256", "fixed_size_binary"])
def test_a_column_whose_type_is_refused_is_named(values: pa.Array) -> None:
    good = pa.table({"good": np.arange(ROWS), "level": ["a"] * ROWS})
    said = _refusal(good, good.append_column("odd", values))
    assert said.startswith(f"column 'odd' ({values.type}) of the current table is of a type that cannot be compared: ")


def test_arrow_and_pandas_give_the_same_result() -> None:
    before, after = _table(0), _table(1, shift=1.0)
    arrow = tt.check(pa.Table.from_pandas(before), pa.Table.from_pandas(after))
    pd.testing.assert_frame_equal(arrow.to_frame(), tt.check(before, after).to_frame())


def test_polars_and_pandas_give_the_same_result() -> None:
    before, after = (_table(seed, shift).drop(columns="category") for seed, shift in ((0, 0.0), (1, 1.0)))
    found = tt.check(polars.from_pandas(before), polars.from_pandas(after))
    pd.testing.assert_frame_equal(found.to_frame(), tt.check(before, after).to_frame())


@pytest.mark.parametrize("given", ["a.csv", None, [1, 2], {"a": [1]}, np.zeros((5, 2)), _table(0)["number"]])
def test_what_is_no_table_is_named(given: Any) -> None:
    name = type(given).__name__
    assert _refusal(given, _table(0)) == f"the reference is a {name}, not a table: pass a pandas, Polars or Arrow table"


def _numbered(first: int, rows: int = ROWS) -> dict[str, Any]:
    """What tells records apart, in several ways."""
    numbers = np.arange(first, first + rows)
    return {
        "id": numbers, "order": np.sort(np.random.default_rng(first).permutation(rows * 3 // 2)[:rows]) + first,
        "key": [f"{number * 2654435761 % 2**32:08x}" for number in numbers],
    }


def test_what_numbers_or_names_each_record_is_left_out_and_said_so() -> None:
    """Newer records have other numbers: a range that ends where the next begins is no drift."""
    before, after = (_table(seed, **_numbered(first)) for seed, first in ((1, 0), (2, 5000)))
    found = tt.check(before, after)
    assert set(found.left_out) >= {
        "id (a running number)", "order (a running number)", "key (names each record)"}
    assert (found.drifted, found.decision.needs_retrain) == ((), False)


def test_numbers_and_words_that_come_back_are_compared() -> None:
    """Ages lie close together, prices far apart, names return, and a text has several words."""
    rng = np.random.default_rng(0)
    columns = {
        "age": rng.integers(18, 90, ROWS), "cents": rng.integers(0, 10**6, ROWS),
        "name": [f"n{number}" for number in rng.integers(0, ROWS // 2, ROWS)], "said": [f"no {i}" for i in range(ROWS)],
        "gaps": np.where(np.arange(ROWS) % 10 == 0, None, np.arange(ROWS)),
    }
    table = _table(1, **columns).astype({"gaps": "Int64"})
    compared = {column.name for column in tt.check(table, table).drift.columns}
    assert {"age", "cents", "name", "gaps"} <= compared
    assert any(name.startswith("said") for name in compared)


def _dated(start: str) -> dict[str, Any]:
    """What says when a record came to be, in the ways that tables have of it."""
    at = pd.date_range(start, periods=ROWS, freq="37min")
    second = (at - pd.Timestamp("1970-01-01")) // pd.Timedelta("1s")
    spelt = {form: at.strftime(form) for form in (
        "%m/%d/%Y", "%d.%m.%y %H:%M", "%Y-%m", "%Y/%m/%d", "%b %d, %Y", "%d-%b-%y", "%B %Y")}
    return spelt | {
        "iso": ["unknown", *at[1:].strftime("%Y-%m-%d")], "day": at.strftime("%Y%m%d").astype(int), "seconds": second,
        "float": second.astype(float) + 0.5, "milli": second * 1000, "step": second // 60 + 10**5, "back": -second / 7,
    }


@pytest.mark.parametrize("later", ["2023-03-01", "2024-06-01"])
def test_times_that_are_not_written_as_such_are_left_out_and_said_so(later: str) -> None:
    before, after = (_table(seed, **_dated(start)) for seed, start in ((1, "2023-01-01"), (2, later)))
    found = tt.check(before, after)
    left = dict(one.rstrip(")").split(" (", 1) for one in found.left_out if one != "when (timestamp)")
    assert set(left.values()) == {"dates", "days such as 20241231", "seconds since 1970", "milliseconds since 1970",
                                  "a number that grows from record to record"}
    assert set(left) == set(_dated(later))
    assert (found.drifted, found.decision.needs_retrain) == ((), False)


@pytest.mark.parametrize("column", [
    np.arange(ROWS) * 7 % 1009 + 10**6, np.linspace(0, 1, ROWS)[::-1] ** 2 * np.where(np.arange(ROWS) == 40, 9, 1),
    np.random.default_rng(0).integers(10**9, 9 * 10**9, ROWS), [f"{n % 12}.{n % 3}.{n % 7}" for n in range(ROWS)],
    [f"10.{n % 12}.{n % 31}.1" for n in range(ROWS)], np.arange(ROWS) % 90 + 20240101,
    np.where(np.arange(ROWS) == 1500, np.nan, np.arange(ROWS) * 3.0),
])
def test_what_only_resembles_a_time_is_compared(column: Any) -> None:
    before = _table(1, odd=column)
    after = before.assign(odd=column if before["odd"].dtype == "str" else before["odd"] * 50)
    assert "odd" in {one.name for one in tt.check(before, after).drift.columns}


def test_of_a_few_records_nobody_can_say_that_they_are_numbered() -> None:
    table = pd.DataFrame({"x": np.arange(19)})
    assert tt.check(table, table).left_out == ()
    enough = pd.DataFrame({"x": [1.0] * 20, "n": np.arange(20)})
    assert tt.check(enough, enough).left_out == ("n (a running number)",)


def test_a_word_asked_for_as_a_text_is_compared_though_each_is_there_once() -> None:
    before, after = (_table(seed, **_numbered(first)) for seed, first in ((1, 0), (2, 5000)))
    assert "key" in {column.name for column in tt.check(before, after, text=["key"]).drift.columns}


def test_infinite_number_is_refused_by_column() -> None:
    infinite = _table(1).assign(number=lambda t: t["number"].where(t.index > 3, np.inf))
    assert _refusal(_table(0), infinite) == "column 'number' of the current table holds infinite values"


def test_names_that_differ_only_by_case_are_refused() -> None:
    twice = _table(0).assign(Level="a")
    assert "more than one column 'level'" in _refusal(twice, twice)


def test_representation_is_a_line_for_a_person() -> None:
    found = tt.check(_table(0), _table(1, shift=1.0))
    assert repr(found).endswith("left out: when (timestamp)>")
    assert repr(found.reference) == "<Profile of 800 records, 6 columns>"
    assert repr(found.drift).startswith("<Drift of 7 columns, 800 records against 800, the most moved: ")


def test_order_of_rows_and_columns_does_not_matter() -> None:
    before, after = _table(0), _table(1, shift=1.0)
    turned = after.sample(frac=1, random_state=0)[sorted(after.columns, reverse=True)]
    pd.testing.assert_frame_equal(tt.check(before, turned).to_frame(), tt.check(before, after).to_frame())


def test_tables_are_not_changed() -> None:
    before, after = _table(0), _table(1)
    copies = before.copy(), after.copy()
    tt.check(before, after)
    pd.testing.assert_frame_equal(before, copies[0])
    pd.testing.assert_frame_equal(after, copies[1])


def test_table_against_itself_has_not_moved_at_all() -> None:
    found = tt.check(_table(0), _table(0))
    assert found.drifted == ()
    assert found.to_frame()["psi"].max() == 0
    assert repr(found) == "<CheckResult: 0 of 7 columns drifted: none; left out: when (timestamp)>"


def test_thresholds_are_settable() -> None:
    before, after = _table(0), _table(1, shift=1.0)
    largest = DriftSettings(
        psi_warn=50, psi_alert=50, shift_warn=50, word_warn=3, unseen_warn=0.99, outliers_warn=0.99, outside_warn=0.99
    )
    assert tt.check(before, after, settings=largest).drifted == ()


def test_result_shows_itself_as_table_and_figure() -> None:
    found = tt.check(_table(0), _table(1, shift=1.0))
    assert "number" in found._repr_html_()
    assert found.figure().axes


@pytest.mark.parametrize("typed", [lambda t: t.convert_dtypes(), lambda t: t.astype({"count": "Int8"})])
def test_nullable_types_are_read_as_their_values(typed: Any) -> None:
    before, after = _table(0), _table(1, shift=1.0)
    found = tt.check(typed(before), typed(after)).to_frame()
    pd.testing.assert_frame_equal(found, tt.check(before, after).to_frame())


def test_decimals_and_whole_numbers_are_compared_as_numbers() -> None:
    cents = [decimal.Decimal(n) / 100 for n in range(ROWS)]
    found = tt.check(_table(0, number=cents), _table(0, number=np.arange(ROWS) / 100, count=_table(0)["count"] * 1.0))
    assert found.drifted == ()


def test_empty_and_constant_columns_are_compared_and_noted() -> None:
    found = tt.check(_table(0, level=None, number=np.nan, count=1), _table(1, level=None, number=np.nan, count=1)).drift
    assert found["number"].note == "no values in the reference; no values now"
    assert "no values" in found["level"].note
    assert "constant" in found["count"].note


def test_column_that_loses_all_its_values_has_drifted() -> None:
    assert "level" in tt.check(_table(0), _table(1, level=None)).drifted
    assert "level" in tt.check(_table(0, level=None), _table(1)).drifted


def test_single_rows_are_compared_without_any_claim() -> None:
    found = tt.check(_table(0).head(1), _table(1, shift=9.0).head(1))
    assert found.drifted == ()
    assert all("too few records" in column.note for column in found.drift.columns)


@pytest.mark.parametrize(
    ("reference", "current", "words"),
    [
        (_table(0).head(0), _table(1), ["reference table is empty"]),
        (_table(0), _table(1).head(0), ["current table is empty"]),
        (_table(0), _table(1).drop(columns="flag"), ["'flag'"]),
        (_table(0), _table(1, extra=1), ["'extra'"]),
        (_table(0), _table(1, number="a"), ["'number'", "float64", "string"]),
        (_table(0, flag=1), _table(1), ["'flag'", "int64", "boolean"]),
        (_table(0, level=[1, "a"] * (ROWS // 2)), _table(1), ["reference table", "column level"]),
        (_table(0)[["when"]], _table(1)[["when"]], ["none of the columns", "when (timestamp)"]),
        (pd.DataFrame(), pd.DataFrame(), ["reference table is empty"]),
        (_table(0), "records.parquet", ["current is a str, not a table"]),
    ],
    ids=["empty reference", "empty current", "column gone", "column new", "number to text", "number to boolean",
         "mixed types", "times only", "no columns", "a path"],
)
def test_tables_that_cannot_be_compared_are_refused(reference: Any, current: Any, words: list[str]) -> None:
    told = _refusal(reference, current)
    assert all(word in told for word in words), told


def _weeks(first: str, days: int, seed: int, *, more: float = 0.0) -> pd.DataFrame:
    """A hundred records a day that are one standard deviation higher on weekends."""
    at = pd.date_range(first, periods=days, freq="D").repeat(100)
    x = np.random.default_rng(seed).normal(size=len(at)) + (at.day_of_week >= 5) + more
    return pd.DataFrame({"at": at, "x": x})


def test_with_a_column_of_times_the_rhythm_of_the_week_is_no_alarm() -> None:
    before, sunday = _weeks("2024-01-01", 56, 0), _weeks("2024-03-03", 1, 1)
    assert tt.check(before, sunday).drifted == ("x",)
    assert tt.check(before, sunday, time="at").drifted == ()
    assert tt.check(before, _weeks("2024-02-26", 7, 2, more=0.6), time="at").drifted == ("x",)


@pytest.mark.parametrize(("time", "told"), [("when", "names no column of times"), ("x", "names no column of times")])
def test_a_time_that_is_none_is_refused(time: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        tt.check(_weeks("2024-01-01", 3, 0), _weeks("2024-01-05", 3, 1), time=time)


def test_records_without_a_time_are_refused() -> None:
    gaps = _weeks("2024-01-05", 3, 1)
    gaps.loc[3, "at"] = pd.NaT
    with pytest.raises(DataError, match="column 'at' of the current table has records without a time"):
        tt.check(_weeks("2024-01-01", 3, 0), gaps, time="at")


@pytest.mark.parametrize("nothing", [None, np.nan], ids=["null", "NaN"])
@pytest.mark.parametrize("named", [(), ("t",)], ids=["found", "named"])
def test_texts_that_are_all_missing_on_one_side_have_gone_or_come(nothing: Any, named: tuple[str, ...]) -> None:
    told = pd.DataFrame({"t": [f"note number {i} about things" for i in range(300)]})
    empty = pd.DataFrame({"t": [nothing] * 100})
    gone, came = tt.check(told, empty, text=named), tt.check(empty, told, text=named)
    assert gone.drifted == ("t (length)",)
    assert gone.drift["t (length)"]["missing"].size == 1.0
    assert len(came.drifted) == 1
    assert tt.check(empty, empty).drifted == ()


def test_a_column_with_few_values_is_named_as_untested_and_not_as_quiet() -> None:
    few = np.where(np.arange(ROWS) < 25, np.arange(ROWS), np.nan)
    before, now = _table(0, few=few), _table(1, few=few + 1000)
    found = tt.check(before, now)
    assert found.drifted == ()
    assert "too few values to test: few" in repr(found)
    assert "only how many are missing was compared" in found.drift["few"].note


# -- names and settings ------------------------------------------------------------------------------------------------


def _named(name: str, **more: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({name: rng.normal(size=200), **more})


@pytest.mark.parametrize(("table", "told"), [
    (_named("x", **{"": 1.0}), "the reference table has a column without a name, at place 2; name it"),
    (_named("t (length)", t=[f"note {i}" for i in range(200)]),
     "the two tables: column 't (length)' has the name under which the length of column 't' is watched; "
     "rename one of them"),
    (_named("trimtab day"),
     "the two tables: column 'trimtab day' has the name under which records are counted; rename it"),
])
def test_names_that_columns_cannot_be_told_by_are_one_error(table: pd.DataFrame, told: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(told)}$"):
        tt.check(table, table)


def test_names_of_a_params_file_that_columns_cannot_be_told_by_are_one_error(project: Callable[..., Path]) -> None:
    table = binary_table(300).assign(**{"kind (length)": 1.0, "HOUR of at": 2.0})
    for data, told in (
        ({"categorical": [], "text": ["kind"], "numeric": ["kind (length)"]}, "the length of column 'kind'"),
        ({"calendar": ["hour"], "numeric": ["HOUR of at"]}, "the hour of column 'at'"),
    ):
        with pytest.raises(DataError, match=f"has the name under which {told} is watched; rename one of them"):
            tt.open(project(merged(BINARY, data=data), table), as_of="2024-04-01").check()


def test_settings_may_be_a_mapping_of_the_keys_of_a_params_file() -> None:
    table = _named("x")
    assert tt.check(table, table, settings={"psi_alert": 0.3}).settings == DriftSettings(psi_alert=0.3)


@pytest.mark.parametrize(("given", "told"), [
    ({"psi_alrt": 0.3}, "settings.psi_alrt: unknown key; known here: psi_warn, psi_alert, "),
    ({"psi_alert": "high"}, "settings.psi_alert: should be a valid number"),
    ({"psi_warn": 0.5}, "settings: psi_warn must not be larger than psi_alert"),
    (0.3, "settings: a float is neither DriftSettings nor a mapping of their keys"),
])
def test_settings_that_are_none_are_one_error(given: Any, told: str) -> None:
    with pytest.raises(ParamsError, match=f"^{re.escape(told)}"):
        tt.check(_named("x"), _named("x"), settings=given)


def test_rules_that_two_tables_cannot_tell_anything_of_are_named_as_untested() -> None:
    rules = [Trigger(signal="performance_drop", at_least=0.1, severity="high"),
             Trigger(signal="new_records", at_least=10, severity="high"),
             Trigger(signal="feature_drift", at_least=0.1, severity="high")]
    table = pd.DataFrame({"x": np.random.default_rng(0).normal(size=200)})
    found = tt.check(table, table, triggers=rules)
    assert found.decision.untested == ("performance_drop", "new_records")
    assert not found.decision.needs_retrain

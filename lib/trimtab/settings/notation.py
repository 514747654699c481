"""How are durations, times, times of day and zones written in a params file?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HOUR, _MINUTES = 60, 24 * 60    # an hour has, and a day
_LONGEST = timedelta(days=365_000)    # so that counting back from any date of use ends in a year that dates can have


def parse_duration(value: object) -> timedelta:
    """Read a duration such as ``30d``, ``24h``, ``90m``, ``900s`` or ``2w``.

    Raises
    ------
    ValueError
        If it is anything else, negative, or longer than a thousand years.

    Examples
    --------
    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise ValueError(f"{value} is negative")
        return value
    match = re.fullmatch(r"\s*([0-9]{1,12}(?:\.[0-9]+)?)\s*([smhdw])\s*", str(value))
    if not match:
        raise ValueError(f"{value!r} is no duration; write a number and s, m, h, d or w, such as 30d")
    try:
        duration = timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        raise ValueError(f"{value!r} is longer than a duration can be ({format_duration(_LONGEST)})")
    return duration


def format_duration(value: timedelta) -> str:
    """Write a duration as `parse_duration` reads it, in its largest whole unit.

    Examples
    --------
    >>> format_duration(timedelta(days=30)), format_duration(timedelta(minutes=90))
    ('30d', '90m')
    """
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def parse_time(value: object) -> datetime:
    """Read an ISO 8601 date or time as naive UTC; a time without a zone is taken to be UTC.

    Raises
    ------
    ValueError
        If it is no ISO time.

    Examples
    --------
    >>> parse_time("2013-07-01T02:00:00+02:00")
    datetime.datetime(2013, 7, 1, 0, 0)
    """
    if isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise ValueError(f"{value!r} is no ISO date or time, such as 2013-07-01 or 2013-07-01T06:00:00") from None
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError:
        raise ValueError(f"{value!r} is outside the years that dates can have") from None


def parse_clock(value: object) -> time:
    """Read a time of day such as ``22:30``; ``24:00`` is the end of a day, and so the start of the next.

    Raises
    ------
    ValueError
        If it is anything else. YAML reads 22:30 without quotes as a number of minutes, which is understood.

    Examples
    --------
    >>> parse_clock("06:30"), parse_clock(22 * 60 + 30)
    (datetime.time(6, 30), datetime.time(22, 30))
    >>> parse_clock(9)
    Traceback (most recent call last):
    ValueError: 9 is no time of day; write hours and minutes, such as 22:30
    """
    if isinstance(value, time):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and _HOUR <= value <= _MINUTES:    # 0:30 stays a text
        return time(value % _MINUTES // 60, value % 60)
    match = re.fullmatch(r"([0-9]{1,2}):([0-5][0-9])", str(value).strip())
    if not match or int(match[1]) * 60 + int(match[2]) > _MINUTES:
        raise ValueError(f"{value!r} is no time of day; write hours and minutes, such as 22:30")
    return time(int(match[1]) % 24, int(match[2]))


def parse_zone(value: str) -> str:
    """Check the name of a time zone, such as ``Europe/Berlin``.

    Raises
    ------
    ValueError
        If this system knows no such zone.
    """
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone that is known here; write one such as Europe/Berlin") from None
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
Time = Annotated[datetime, BeforeValidator(parse_time), PlainSerializer(datetime.isoformat, return_type=str)]
Clock = Annotated[time, BeforeValidator(parse_clock), PlainSerializer("{:%H:%M}".format, return_type=str)]
Zone = Annotated[str, AfterValidator(parse_zone)]

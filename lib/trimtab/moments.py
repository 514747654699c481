"""Which column says when a record came to be, and what to do where times are not written as such?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from trimtab.errors import DataError
from trimtab.facts import Facts, named

_ANOTHER = re.compile(    # times that are of something else than the record
    r"birth|born|(^|_)dob(_|$)|expir|until|valid|(^|_)due(_|$)|deadline|updated|modified|(^|_)end(_|$)", re.IGNORECASE)
_NAME = ("(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?"
         "|dec(ember)?)[.]?")
DATE = (    # as it is written in many countries, a time of the day behind it or not
    r"(?i)^\s*((19|20)\d{2}([-/]\d{1,2}|[-/.]\d{1,2}[-/.]\d{1,2})|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})"
    rf"|\d{{1,2}}[. -]+{_NAME}[ -](\d{{4}}|\d{{2}})|{_NAME} \d{{1,2}},? \d{{4}}|{_NAME} \d{{4}})([ T,].*)?$"
)
_MONTH = re.compile(r"(\d{4})[-/.](\d{2})")
_MOSTLY = 0.5    # of the texts are times: the column is one of times, with mistakes
YEARS = (1900, 2100)
_SECONDS = tuple(datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1990, 2100))
_DAYS = (19_000_101, 21_001_231)


def time_of(facts: Sequence[Facts], wanted: str | None = None) -> tuple[str, str]:
    """The column that says when a record came to be, and why it was taken.

    Raises
    ------
    DataError
        When there is none, or the one named is none.

    Examples
    --------
    >>> time_of([Facts("paid", "time", 9, 3, 3), Facts("made", "time", 9, 9, 9)])
    ('made', 'the one of 2 columns of times that has the fewest gaps')
    >>> time_of([Facts("birth_date", "time", 9, 9, 9), Facts("made", "time", 9, 8, 8)])
    ('made', 'by its name the likeliest of 2 columns of times')
    """
    times = [one for one in facts if one.kind == "time"]
    if wanted is not None:
        found = named(facts, wanted, "time")
        if found.kind != "time":
            raise DataError(f"column {wanted!r} holds no times{_so(_as_time(found))}")
        return wanted, "named"
    if not times:
        hints = (_as_time(one) for one in facts)
        told = "none of the columns holds times, and models are watched through time"
        raise DataError(f"{told}: {next(filter(None, hints), 'add one')}")
    best = max(times, key=lambda one: (not _ANOTHER.search(one.name), one.known))    # the first of equals
    if len(times) == 1:
        return best.name, "the only column of times"
    fewest = best.known == max(one.known for one in times)
    many = f"of {len(times)} columns of times"
    return best.name, f"the one {many} that has the fewest gaps" if fewest else f"by its name the likeliest {many}"


def _so(hint: str) -> str:
    return f"; {hint}" if hint else ""


def _as_time(column: Facts) -> str:
    """How a column that may mean times is to be written; empty where it hardly means any."""
    if column.kind == "text":
        return _of_text(column)
    if column.kind not in ("whole", "number"):
        return ""
    low, high = column.low, column.high
    for unit, size in (("seconds", 1), ("milliseconds", 1000), ("microseconds", 1_000_000)):
        if _SECONDS[0] * size <= low and high <= _SECONDS[1] * size:
            return f"write {column.name!r}, which may be {unit} since 1970, as 2024-12-31 23:59"
    if column.kind == "whole" and is_day(low) and is_day(high):
        return f"write {column.name!r} ({low:.0f}) as {low // 10_000:.0f}-{low // 100 % 100:02.0f}-{low % 100:02.0f}"
    if column.kind == "whole" and YEARS[0] <= low and high <= YEARS[1] and "year" in column.name.lower():
        return f"write {column.name!r} ({low:.0f}) as {low:.0f}-12-31, or with the day that is known"
    return ""


def _of_text(column: Facts) -> str:
    name, example = column.name, column.example
    if column.timed >= _MOSTLY * max(column.known, 1):
        wrong = column.known - column.timed
        told = f"{wrong:,} of {column.known:,} values of {name!r} {'is no time' if wrong == 1 else 'are no times'}"
        return f"{told}, such as {column.untimely!r}; correct or empty what is not"
    if month := _MONTH.fullmatch(example.strip()):
        return f"write {name!r} ({example!r}) as {month[1]}-{month[2]}-01"
    return f"write {name!r} ({example!r}) as 2024-12-31 or 2024-12-31 23:59" if re.match(DATE, example) else ""


def is_day(number: float) -> bool:
    """Whether a number may be a day of these centuries.

    Examples
    --------
    >>> is_day(20_241_231), is_day(20_241_331), is_day(20_241_231.5)
    (True, False, False)
    """
    among = _DAYS[0] <= number <= _DAYS[1] and number == number // 1
    return bool(among and 1 <= number // 100 % 100 <= 12 and 1 <= number % 100 <= 31)

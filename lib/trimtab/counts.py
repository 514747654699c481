"""How many records does each day have, and of how many is the outcome known? Each day is asked for once.

Windows begin and end where they like: what lies between two midnights is remembered by its days, and what is left of
the first and the last day by its ends. A part of a day that was never asked about follows where the rest of the day and
the whole of it are known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

_MIDNIGHT = time()
Stretch = tuple[datetime, datetime]


class Count(NamedTuple):
    """Of some records."""

    rows: int
    labelled: int


NOTHING = Count(0, 0)
Ask = Callable[[datetime, datetime], dict[date, Count]]


class DayCounts:
    """Counts of records between two times.

    Parameters
    ----------
    ask : callable
        Takes two times and gives the count of each day between them that has records, the first and the last as far as
        they lie there.
    until : callable, optional
        Gives the time up to which is asked at once, since most questions are about what is newer; without it, no
        farther than each question goes.

    Examples
    --------
    >>> counts = DayCounts(lambda start, end: {date(2024, 3, 1): Count(5, 2)})
    >>> counts.between(datetime(2024, 3, 1), datetime(2024, 3, 3))
    Count(rows=5, labelled=2)
    """

    def __init__(self, ask: Ask, until: Callable[[], datetime] | None = None) -> None:
        self._ask, self._until = ask, until
        self._days: dict[date, Count] = {}
        self._parts: dict[Stretch, Count] = {}
        self._covered: list[Stretch] = []    # between midnights, apart from each other, in order

    def between(self, start: datetime, end: datetime) -> Count:
        """Records with start ≤ time < end."""
        return Count(*map(sum, zip(NOTHING, *self.by_day(start, end).values(), strict=True)))

    def by_day(self, start: datetime, end: datetime) -> dict[date, Count]:
        """The same by day, oldest first; days without records are left out."""
        parts, whole = _cut(start, end)
        unknown = [one for one in parts if self._part(*one) is None]
        unknown += [whole] if whole is not None and not self._covers(*whole) else []
        if unknown:
            self._learn(min(one[0] for one in unknown), self._farther(max(one[1] for one in unknown)))
        found = {one[0].date(): self._part(*one) or NOTHING for one in parts}
        if whole is not None:
            first, last = whole[0].date(), whole[1].date()
            closed = whole[1] == datetime.max    # which is no midnight, but ends the last day that there is
            found |= {day: n for day, n in self._days.items() if first <= day < last or (closed and day == last)}
        return {day: found[day] for day in sorted(found) if found[day].rows}

    def _farther(self, end: datetime) -> datetime:
        """How far to ask: the first time on to the last record, if that cuts no day in two."""
        if self._until is None or self._covered or self._parts or end.time() != _MIDNIGHT:
            return end
        return max(end, self._until())

    def _learn(self, start: datetime, end: datetime) -> None:
        told = self._ask(start, end)
        parts, whole = _cut(start, end)
        self._parts |= {one: told.get(one[0].date(), NOTHING) for one in parts}
        if whole is not None:
            cut = {one[0].date() for one in parts}
            self._days |= {day: count for day, count in told.items() if day not in cut}
            self._covered = _united([*self._covered, whole])

    def _covers(self, start: datetime, end: datetime) -> bool:
        return any(first <= start and end <= last for first, last in self._covered)

    def _part(self, start: datetime, end: datetime) -> Count | None:
        """What is known of a part of a day; None where nothing is."""
        if (start, end) in self._parts:
            return self._parts[start, end]
        midnight = datetime.combine(start, _MIDNIGHT)
        day = midnight, following_midnight(midnight)
        rest = {(midnight, start): end == day[1], (end, day[1]): start == midnight}
        other = next((self._parts[one] for one, fits in rest.items() if fits and one in self._parts), None)
        if other is None or not self._covers(*day):
            return None
        whole = self._days.get(start.date(), NOTHING)
        return Count(whole.rows - other.rows, whole.labelled - other.labelled)


def following_midnight(moment: datetime) -> datetime:
    """The end of a day; of the last one that there is, the last moment.

    Examples
    --------
    >>> following_midnight(datetime(2024, 3, 1, 6))
    datetime.datetime(2024, 3, 2, 0, 0)
    """
    midnight = datetime.combine(moment, _MIDNIGHT)
    return midnight + timedelta(days=1) if midnight.date() < date.max else datetime.max


def _cut(start: datetime, end: datetime) -> tuple[list[Stretch], Stretch | None]:
    """What lies between two times: the parts of the days that they cut, and the whole days between."""
    if start >= end:
        return [], None
    first = start if start.time() == _MIDNIGHT else following_midnight(start)
    last = end if end == datetime.max else datetime.combine(end, _MIDNIGHT)
    if first > last:
        return [(start, end)], None
    parts = [one for one in ((start, first), (last, end)) if one[0] < one[1]]
    return parts, (first, last) if first < last else None


def _united(stretches: list[Stretch]) -> list[Stretch]:
    """The same without overlaps, in order."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found

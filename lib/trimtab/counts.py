"""How many records does each day have, and of how many is the outcome known? Each day is asked for once.

Windows begin and end where they like, so what is remembered are stretches of a day, mostly the whole of it. A stretch
that was never asked about follows where the rest of its day and the whole of it are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

_MIDNIGHT = time()
Stretch = tuple[datetime, datetime]


class Count(NamedTuple):
    """Of some records."""

    rows: int
    labelled: int


NOTHING = Count(0, 0)


class DayCounts:
    """Counts of records between two times.

    Parameters
    ----------
    ask : callable
        Takes two times and gives the count of each day between them, the first and the last as far as they lie there.
    until : callable, optional
        Gives the time up to which is asked at once, since most questions are about what is newer; without it, no
        farther than each question goes.

    Examples
    --------
    >>> counts = DayCounts(lambda start, end: {date(2024, 3, 1): Count(5, 2)})
    >>> counts.between(datetime(2024, 3, 1), datetime(2024, 3, 3))
    Count(rows=5, labelled=2)
    """

    def __init__(
        self, ask: Callable[[datetime, datetime], dict[date, Count]], until: Callable[[], datetime] | None = None
    ) -> None:
        self._ask, self._until = ask, until
        self._known: dict[Stretch, Count] = {}

    def between(self, start: datetime, end: datetime) -> Count:
        """Records with start ≤ time < end."""
        return Count(*map(sum, zip(NOTHING, *self.by_day(start, end).values(), strict=True)))

    def by_day(self, start: datetime, end: datetime) -> dict[date, Count]:
        """The same by day, oldest first; days without records are left out."""
        wanted = list(_stretches(start, end))
        unknown = [one for one in wanted if self._found(*one) is None]
        if unknown:
            self._learn(unknown[0][0], self._farther(unknown[-1][1]))
        found = ((one[0].date(), self._found(*one) or NOTHING) for one in wanted)
        return {day: count for day, count in found if count.rows}

    def _farther(self, end: datetime) -> datetime:
        """How far to ask: the first time on to the last record, if that cuts no day in two."""
        if self._until is None or self._known or end.time() != _MIDNIGHT:
            return end
        return max(end, self._until())

    def _learn(self, start: datetime, end: datetime) -> None:
        told = self._ask(start, end)
        self._known |= {one: told.get(one[0].date(), NOTHING) for one in _stretches(start, end)}

    def _found(self, start: datetime, end: datetime) -> Count | None:
        """What is known of a stretch of a day; None where nothing is."""
        if (start, end) in self._known:
            return self._known[start, end]
        midnight = datetime.combine(start, _MIDNIGHT)
        next_midnight = midnight + timedelta(days=1)
        rest = (midnight, start) if end == next_midnight else (end, next_midnight)
        whole, other = self._known.get((midnight, next_midnight)), self._known.get(rest)
        if whole is None or other is None or (start != midnight and end != next_midnight):
            return None
        return Count(whole.rows - other.rows, whole.labelled - other.labelled)


def _stretches(start: datetime, end: datetime) -> Iterator[Stretch]:
    """What lies between two times, cut at each midnight."""
    while start < end:
        following = min(datetime.combine(start, _MIDNIGHT) + timedelta(days=1), end)
        yield start, following
        start = following

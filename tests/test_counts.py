"""Counts of days: asked for once, right for any two times."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.counts import Count, DayCounts

START = datetime(2024, 2, 27, 6)
RECORDS = [(START + timedelta(hours=5 * i), i % 3 == 0) for i in range(60)]    # twelve and a half days; a few labelled


def counted(start: datetime, end: datetime) -> dict[date, Count]:
    """By a plain program."""
    found: dict[date, Count] = {}
    for moment, labelled in RECORDS:
        if start <= moment < end:
            before = found.get(moment.date(), Count(0, 0))
            found[moment.date()] = Count(before.rows + 1, before.labelled + labelled)
    return found


END = datetime(2024, 3, 11)    # the midnight after the last record
TIMES = st.integers(-30, 340).map(lambda hours: START + timedelta(hours=hours))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=6), st.booleans())
def test_any_questions_in_any_order_are_answered_as_by_a_plain_program(
    asked: list[tuple[datetime, datetime]], ahead: bool
) -> None:
    counts = DayCounts(counted, (lambda: END) if ahead else None)
    for start, end in asked:
        expected = counted(start, end)
        assert counts.by_day(start, end) == expected
        total = counts.between(start, end)
        assert total == (sum(n for n, _ in expected.values()), sum(known for _, known in expected.values()))


def test_what_is_known_is_not_asked_again() -> None:
    asked: list[tuple[datetime, datetime]] = []

    def _ask(start: datetime, end: datetime) -> dict[date, Count]:
        asked.append((start, end))
        return counted(start, end)

    counts = DayCounts(_ask)
    first, middle, last = (datetime(2024, 3, day) for day in (1, 3, 6))
    counts.between(first, last)
    counts.by_day(first, middle)
    counts.between(middle, last)
    assert asked == [(first, last)]
    noon = datetime(2024, 3, 4, 12)
    counts.between(first, noon)
    counts.between(noon, last)    # the rest of a day follows from the whole of it
    assert asked[1:] == [(datetime(2024, 3, 4), noon)]


def test_the_first_question_asks_for_everything_that_is_newer() -> None:
    asked: list[tuple[datetime, datetime]] = []

    def _ask(start: datetime, end: datetime) -> dict[date, Count]:
        asked.append((start, end))
        return counted(start, end)

    counts = DayCounts(_ask, lambda: END)
    counts.between(datetime(2024, 3, 1), datetime(2024, 3, 3))
    counts.between(datetime(2024, 3, 3), END)
    assert asked == [(datetime(2024, 3, 1), END)]


def test_the_first_and_the_last_day_that_there_are_cost_no_more_than_others() -> None:
    """A single record at the origin of time is common where a database had no time to give."""
    found = {date.min: Count(1, 0), date(2024, 3, 1): Count(5, 2), date.max: Count(2, 1)}
    counts = DayCounts(lambda start, end: {
        day: n for day, n in found.items() if start <= datetime.combine(day, time()) < end})
    assert counts.by_day(datetime.min, datetime.max) == found
    assert counts.between(datetime(2024, 3, 1), datetime.max) == (7, 3)
    assert counts.between(datetime.min, datetime(2024, 3, 1)) == (1, 0)
    assert len(counts._days) == 3

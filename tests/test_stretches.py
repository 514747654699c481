"""What a stretch of the reference differs from the rest by, all columns together: nothing, a season, too few days."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab.measure.together.samples import Sample
from trimtab.measure.together.stretches import natural_area, stretches

DAYS = np.repeat(np.arange("2024-03-01", "2024-03-31", dtype="datetime64[D]"), 40)


def some(codes: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Sample:
    return Sample(("x", "y"), ("numeric", "numeric"), (10, 10), codes)


def even(n: int = len(DAYS)) -> Sample:
    return some(np.random.default_rng(0).integers(0, 10, (n, 2)))


def test_each_stretch_is_held_against_the_rest_and_together_they_are_all() -> None:
    parts = list(stretches(even(), DAYS, length=5))
    assert len(parts) == 4
    assert [(len(part), len(rest)) for part, rest in parts] == [(200, 1000)] * 4


def test_a_stretch_is_at_most_half_of_the_days() -> None:
    assert {len(part) for part, _ in stretches(even(), DAYS, length=1000)} == {600}


def test_records_without_seasons_have_none_and_a_season_shows() -> None:
    late = (np.datetime64("2024-03-20") <= DAYS)[:, None]
    season = some(np.where(late, even().codes // 2, even().codes))
    calm = natural_area(even(), DAYS, length=10)
    # Of four stretches the largest area; the error of one with 400 against 800 records is about 0.018.
    assert 0.5 <= calm < 0.5 + 3 * 0.018
    assert natural_area(season, DAYS, length=10) > 0.7


@pytest.mark.parametrize("days", [13, 1, 0])
def test_of_fewer_than_fourteen_days_nothing_natural_is_known(days: int) -> None:
    assert natural_area(even(40 * days), DAYS[: 40 * days], length=3) == 0.5


def test_a_single_record_a_day_is_too_little_to_tell() -> None:
    assert natural_area(even(30), DAYS[::40], length=2) == 0.5


def test_days_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="need as many days"):
        natural_area(even(), DAYS[1:], length=5)
    with pytest.raises(ValueError, match="not 0"):
        natural_area(even(), DAYS, length=0)

"""When does a new champion go? Only when it is worse by more than is allowed, and that is no chance."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from trimtab.decide.watch import Evidence, Promotion, broken, incomparable, judge, looked_at, under_watch, widened
from trimtab.measure.models.intervals import Interval, Resampling, paired_difference
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import gain
from trimtab.measure.unlabelled.estimates import Estimate
from trimtab.measure.unlabelled.rivals import at_once, relative_gain
from trimtab.settings.promotion import Rollback

ONE = Promotion(2, 1, datetime(2024, 4, 1))
DAY = timedelta(hours=24)
CLOCK = datetime(2026, 1, 1)    # when it was promoted, standing at an earlier time
NAN = math.nan


def seen(value: float, low: float, high: float, way: Any = "realised", **more: Any) -> Evidence:
    return Evidence(way, Interval(value, low, high, 0.95, 0.01), 500, **more)


@pytest.mark.parametrize(("evidence", "outcome"), [
    (seen(-0.10, -0.15, -0.05), "roll_back"),
    (seen(-0.0501, -0.08, -0.0001), "roll_back"),
    (seen(-0.05, -0.08, -0.01), "keep"),         # as much as is allowed, and no more
    (seen(-0.04, -0.05, -0.03), "keep"),         # surely worse, by less than matters
    (seen(-0.20, -0.45, 0.0), "keep"),           # it may be chance
    (seen(0.10, 0.05, 0.15), "keep"),
    (seen(NAN, NAN, NAN), "too_early"),
    (seen(-0.20, NAN, NAN), "too_early"),
    (seen(-0.10, -0.15, -0.05, "estimated"), "roll_back"),
    (seen(-0.10, -0.15, -0.05, "estimated", doubts=("few alike",)), "too_early"),
    (seen(0.10, 0.05, 0.15, "estimated", doubts=("few alike",)), "keep"),
    (None, "too_early"),
])
def test_it_goes_only_when_worse_by_more_than_allowed_and_beyond_chance(
    evidence: Evidence | None, outcome: str
) -> None:
    assert judge(ONE, Rollback(), evidence, 600).outcome == outcome


def test_a_bound_of_zero_asks_only_for_certainty() -> None:
    strict = Rollback(max_drop=0)
    assert judge(ONE, strict, seen(-0.001, -0.002, -0.0005), 600).outcome == "roll_back"
    assert judge(ONE, strict, seen(0.0, 0.0, 0.0), 600).outcome == "keep"


def test_the_reason_names_both_versions_the_difference_and_its_interval() -> None:
    told = judge(ONE, Rollback(), seen(-0.10, -0.15, -0.05), 600).reason
    assert told == (
        "By accuracy (realised, 500 records) version 2 is 10.0% worse than version 1 (-15.0% to -5.0%; up to 5.0% "
        "worse, or worse by chance, is allowed): version 2 is rolled back."
    )
    assert "few alike" in judge(ONE, Rollback(), seen(-0.1, -0.15, -0.05, "estimated", doubts=("few alike",)), 9).reason
    assert broken(ONE, "its file is gone.").reason == "Version 2 cannot serve and is rolled back: its file is gone."
    assert incomparable(ONE, "gone").reason == "Version 1 cannot be compared with: gone. Version 2 serves on."


def change(**other: Any) -> dict[str, Any]:
    made = {"kind": "promotion", "state": "done", "from_version": 1, "to_version": 2, "as_of": ONE.as_of,
            "created_at": CLOCK}
    return made | other


@pytest.mark.parametrize(("changes", "watched"), [
    ([change()], True),
    ([], False),
    ([change(from_version=None)], False),                               # a first champion
    ([change(kind="rollback")], False),
    ([change(kind="foreign", as_of=None)], False),
    ([change(), change(kind="foreign", from_version=2, to_version=2, as_of=None)], False),
    ([change(), change(to_version=3, state="undone")], True),           # what was not carried out changed nothing
    ([change(to_version=3)], False),                                    # somebody else serves
    ([change(from_version=2)], False),                                  # measured again
    ([change(as_of=None)], False),
    # What came after it was taken back at once, so it is watched to its end; so is what was taken back over that.
    ([change(), change(from_version=2, to_version=3), change(kind="rollback", from_version=3, to_version=2)], True),
    ([change(), *2 * [change(from_version=2, to_version=3), change(kind="rollback", from_version=3, to_version=2)]],
     True),
    ([change(), change(from_version=2, to_version=3), change(from_version=3, to_version=4),
      change(kind="rollback", from_version=4, to_version=2)], False),   # a person went further back
    ([change(), change(kind="rollback", from_version=2, to_version=1),
      change(kind="rollback", from_version=1, to_version=2, forced=True)], False),
])
def test_what_is_watched_is_a_promotion_that_took_anothers_place(
    changes: list[dict[str, Any]], *, watched: bool
) -> None:
    found = under_watch(changes, 2, ONE.as_of + timedelta(hours=1), DAY)
    assert found == (ONE if watched else None)


@pytest.mark.parametrize(("after", "watched"), [
    (timedelta(0), False), (timedelta(seconds=1), True), (DAY, True), (DAY + timedelta(seconds=1), False),
])
def test_it_is_watched_from_just_after_the_promotion_to_the_end_of_the_time(after: timedelta, *, watched: bool) -> None:
    looks = [(ONE.as_of + timedelta(seconds=1), CLOCK + timedelta(minutes=1))]
    assert (under_watch([change()], 2, ONE.as_of + after, DAY, looks) is not None) == watched


@pytest.mark.parametrize(("looks", "watched"), [
    ([], True),
    ([(ONE.as_of, CLOCK + DAY)], True),                        # as of the promotion itself there is nothing to see
    ([(ONE.as_of + DAY, CLOCK - DAY)], True),                  # a replay before it
    ([(ONE.as_of + DAY, CLOCK + DAY)], False),
    ([(ONE.as_of + 3 * DAY, CLOCK + DAY)], False),             # the first look was late
])
@pytest.mark.parametrize("after", [DAY + timedelta(seconds=12), 90 * DAY])
def test_a_champion_that_nobody_has_looked_at_is_watched_however_late_it_is(
    after: timedelta, looks: list[tuple[datetime, datetime]], *, watched: bool
) -> None:
    assert (under_watch([change()], 2, ONE.as_of + after, DAY, looks) is not None) == watched


@pytest.mark.parametrize(("created", "start"), [
    (-timedelta(hours=5), -timedelta(hours=5)),    # --as-of of another year
    (timedelta(days=9), timedelta(0)),             # the clock was ahead, and went back
])
def test_a_promotion_that_is_dated_later_counts_as_made_when_it_was_written_down_or_now(
    created: timedelta, start: timedelta
) -> None:
    now = ONE.as_of - timedelta(days=300)
    row = change(created_at=now + created)
    assert under_watch([row], 2, now, DAY) == Promotion(2, 1, now + start, dated=ONE.as_of)
    later, looks = now + created + 2 * DAY, [(now + created + DAY, now + created + DAY)]
    assert (under_watch([row], 2, later, DAY, looks)) is None, "it was looked at, and the time is over"
    assert under_watch([row], 2, later, DAY, []) is not None, "nobody has looked yet"


def test_a_promotion_that_counts_as_made_at_another_time_is_told_with_its_date() -> None:
    told = judge(Promotion(2, 1, datetime(2024, 4, 1), datetime(2031, 1, 1)), Rollback(), None, 0).reason
    assert told == ("Too early to tell: no record has come since version 2 was promoted (dated 2031-01-01 00:00, later "
                    "than now; 2024-04-01 00:00 counts).")


# -- the gain of estimates ------------------------------------------------------------------------------------------


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, at_once(0.95), "confidence", 0.9)


def test_the_gain_of_a_loss_is_turned_round() -> None:
    found = relative_gain("mae", estimate(3.0, 2.5, 3.5), estimate(2.0, 1.5, 2.5), confidence=0.95)
    assert found.value == pytest.approx(-0.5)
    assert (found.low, found.high) == pytest.approx((-(3.5 / 1.5 - 1), -(2.5 / 2.5 - 1)))


@pytest.mark.parametrize(("new", "old"), [
    (estimate(NAN, NAN, NAN), estimate(0.8, 0.7, 0.9)),
    (estimate(0.8, 0.7, 0.9), estimate(0.8, NAN, NAN)),
    (estimate(0.1, 0.0, 0.2), estimate(0.1, -0.1, 0.2)),
    (estimate(0.1, 0.0, 0.2), estimate(0.0, 0.0, 0.0)),
])
def test_a_gain_over_what_may_be_nothing_is_not_known(new: Estimate, old: Estimate) -> None:
    found = relative_gain("accuracy", new, old, confidence=0.95)
    assert all(map(math.isnan, (found.value, found.low, found.high)))


def test_the_gain_holds_every_pair_that_both_ranges_allow() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        ends = np.sort(rng.normal(size=(2, 3)), axis=1)
        new, old = (estimate(middle, low, high) for low, middle, high in ends.tolist())
        found = relative_gain("r2", new, old, confidence=0.95)
        if old.low <= 0 <= old.high:
            assert math.isnan(found.value)
            continue
        pairs = rng.uniform(*zip(*[(e.low, e.high) for e in (new, old)], strict=True), size=(50, 2))
        gains = (pairs[:, 0] - pairs[:, 1]) / np.abs(pairs[:, 1])
        assert found.low - 1e-9 <= gains.min() <= gains.max() <= found.high + 1e-9


# -- how often it is wrong -------------------------------------------------------------------------------------------


def _pair(rng: np.random.Generator, n: int, right: tuple[float, float]) -> tuple[Outputs, Outputs]:
    """Two classifiers that are right this often, each by itself: as far apart as two that are any good can be."""
    actual = rng.integers(0, 2, n)
    said = [np.where(rng.uniform(size=n) < share, actual, 1 - actual) for share in right]
    new, old = (Outputs(("no", "yes"), actual, one, None, 1) for one in said)
    return new, old


def _goes(new: Outputs, old: Outputs) -> bool:
    """As a watch decides that has just so many outcomes."""
    n = looked_at(len(new))
    new, old = new.take(np.arange(n)), old.take(np.arange(n))
    found = paired_difference("accuracy", new, old, resampling=Resampling(replicates=200))
    evidence = Evidence("realised", widened(gain("accuracy", found.relative), n), n)
    return judge(ONE, Rollback(), evidence, n).outcome == "roll_back"


@pytest.mark.parametrize("n", [30, 100, 500])
def test_two_of_the_same_quality_are_rarely_told_apart(n: int) -> None:
    """At most 5 % false rollbacks; 300 pairs (seed 1), and three standard errors of a share of 5 % among them."""
    rng = np.random.default_rng(1)
    false = np.mean([_goes(*_pair(rng, n, (0.8, 0.8))) for _ in range(300)])
    assert false <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_neither_are_they_when_looked_at_all_day() -> None:
    """1,000 outcomes come, and each time that it looks there is a chance; 200 pairs (seed 3), bound as above."""
    rng, false = np.random.default_rng(3), 0
    looks = sorted({looked_at(n) for n in range(30, 1001)})
    for _ in range(200):
        new, old = _pair(rng, 1000, (0.8, 0.8))
        false += any(_goes(new.take(np.arange(n)), old.take(np.arange(n))) for n in looks)
    assert false / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize("right", [(0.8, 0.9), (0.7, 0.8)])
def test_ten_points_worse_are_found_with_500_outcomes(right: tuple[float, float]) -> None:
    """At least 95 %; 300 pairs (seed 2), and three standard errors of a share of 95 % among them."""
    rng = np.random.default_rng(2)
    found = np.mean([_goes(*_pair(rng, 500, right)) for _ in range(300)])
    assert found >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 300)


def test_a_model_that_is_mostly_wrong_is_found_early() -> None:
    rng = np.random.default_rng(4)
    assert all(_goes(*_pair(rng, 63, (0.1, 0.9))) for _ in range(20))


@pytest.mark.parametrize("records", [500, 4000])
def test_an_interval_of_enough_records_is_taken_as_it_is(records: int) -> None:
    found = Interval(-0.1, -0.2, -0.05, 0.95, 0.04)
    same = widened(found, records)
    assert (same.low, same.high) == pytest.approx((found.low, found.high))

"""Natural variation: days that share their luck, and weeks that have a rhythm, are no drift; what exceeds them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from trimtab.measure.columns.aspects import INDEPENDENT
from trimtab.measure.columns.bins import Bins, freeze_categorical, freeze_numeric
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.drift import compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.variation import (
    FEWEST_DAYS,
    _effects,
    _effects_of_parts,
    _freedom,
    _kurtosis,
    _mean_and_spread,
    _of_few_days,
    _Window,
    variation,
)
from trimtab.measure.models.scoring import profile_values

RNG = np.random.default_rng
MONDAY = date(2024, 1, 1)
SIDES = freeze_categorical(["a", "b"])


def profiled(values: Sequence[Any], bins: dict[str, Any], start: int = 0) -> Profile:
    """Days of shape (records, columns), the first of them `start` days after a Monday."""
    made = {
        MONDAY + timedelta(days=start + i): Profile(
            {name: profile_array(day[:, j], b) for j, (name, b) in enumerate(bins.items())}, len(day)
        )
        for i, day in enumerate(values)
    }
    days = Days.of(bins, made)
    return replace(days.total(), days=days)


def normal_days(
    rng: np.random.Generator, days: range, *, per_day: int, luck: float = 0.0, weekend: float = 0.0, columns: int = 5
) -> list[Any]:
    """Standard normal columns of which `luck` is the share of variance that the records of a day have in common."""
    common = np.sqrt(luck) * rng.normal(size=(len(days), 1, columns))
    own = np.sqrt(1 - luck) * rng.normal(size=(len(days), per_day, columns))
    rest = np.array([weekend * (day % 7 >= 5) for day in days])[:, None, None]
    return list(common + own + rest)


def frozen(values: Sequence[Any]) -> dict[str, Any]:
    whole = np.concatenate(values)
    return {f"c{j}": freeze_numeric(whole[:, j]) for j in range(whole.shape[1])}


def forget_days(profile: Profile) -> Profile:
    return replace(profile, days=None)


@pytest.mark.parametrize("current_days", [1, 7])
def test_days_that_share_their_luck_raise_few_alarms(current_days: int) -> None:
    """A twentieth of the variance is common to a day. At a rate of 5 %, 60 checks have more than 8 alarms once in 500
    times; without looking at days, more than a third of the checks alarm."""
    rng = RNG(current_days)
    alarms = careless = 0
    for _ in range(60):
        values = normal_days(rng, range(42 + current_days), per_day=60, luck=0.05)
        bins = frozen(values[:42])
        before, after = profiled(values[:42], bins), profiled(values[42:], bins, 42)
        alarms += bool(compare(before, after).drifted())
        careless += bool(compare(forget_days(before), forget_days(after)).drifted())
    assert alarms <= 8
    assert careless >= 20


def test_every_day_of_a_week_with_a_rhythm_is_quiet() -> None:
    """On weekends all is one standard deviation higher; each single day is held against eight weeks of days."""
    rng = RNG(0)
    values = normal_days(rng, range(63), per_day=200, weekend=1.0)
    bins = frozen(values[:56])
    before = profiled(values[:56], bins)
    found = [compare(before, profiled(values[day : day + 1], bins, day)).drifted() for day in range(56, 63)]
    assert found == [()] * 7
    weekend = profiled(values[61:62], bins, 61)
    assert len(compare(forget_days(before), forget_days(weekend)).drifted()) == 5


def test_a_whole_week_is_held_against_weeks_so_its_rhythm_hides_no_shift() -> None:
    rng = RNG(1)
    values = normal_days(rng, range(63), per_day=200, weekend=1.0)
    bins = frozen(values[:56])
    moved = [day + np.array([0.3, 0, 0, 0, 0]) for day in values[56:]]
    before = profiled(values[:56], bins)
    assert compare(before, profiled(values[56:], bins, 56)).drifted() == ()
    assert [c.name for c in compare(before, profiled(moved, bins, 56)).drifted()] == ["c0"]


def test_a_day_unlike_any_day_before_is_found() -> None:
    rng = RNG(2)
    values = normal_days(rng, range(43), per_day=200, luck=0.05)
    bins = frozen(values[:42])
    odd = values[42] + np.array([2.5, 0, 0, 0, 0])
    found = compare(profiled(values[:42], bins), profiled([odd], bins, 42)).drifted()
    assert [column.name for column in found] == ["c0"]


def binary_days(shares: Sequence[float], n: int = 100) -> Days:
    """Days of so many records, of which a share is "a"."""
    def day(share: float) -> Profile:
        return Profile({"x": ColumnProfile(SIDES, (round(share * n), n - round(share * n)))}, n)

    return Days.of({"x": SIDES}, {MONDAY + timedelta(days=i): day(share) for i, share in enumerate(shares)})


def test_where_all_records_of_a_day_are_alike_a_day_counts_for_one() -> None:
    found = variation(binary_days([1.0, 0.0] * 20), rows=50, days=1)["x"]
    reference, current = found.design["psi"]
    assert reference == pytest.approx(100 * 40 / 39)    # the variance has one degree of freedom less than days
    assert current == pytest.approx(1 + 49 * (reference - 1) / 99)
    assert found.freedom == 39


def test_days_that_differ_less_than_chance_are_as_good_as_independent() -> None:
    found = variation(binary_days([0.5] * 40), rows=100, days=1)["x"]
    assert found.design["psi"] == (1.0, 1.0)
    assert found.floor["psi"] == 0.0


def test_the_floor_is_the_farthest_that_a_stretch_of_the_reference_lies_from_the_rest() -> None:
    days = binary_days([0.5] * 20 + [0.9] + [0.5] * 19)
    odd = days.only([MONDAY + timedelta(days=20)])
    rest = Days(days.bins, np.delete(days.dates, 20), np.delete(days.counts, 20, axis=0))
    expected = compare(rest.total(), odd.total())["x"].excess
    assert variation(days, rows=100, days=1)["x"].floor["psi"] == pytest.approx(expected)
    longer = variation(days, rows=1000, days=10)["x"].floor["psi"]    # in ten days one is diluted
    assert 0 < longer < expected / 5


def test_missing_values_that_come_and_go_by_the_day_have_a_floor_of_their_own() -> None:
    def day(nulls: int) -> Profile:
        return Profile({"x": ColumnProfile(SIDES, (50, 50), nulls=nulls)}, 100 + nulls)

    days = Days.of({"x": SIDES}, {MONDAY + timedelta(days=i): day(25 if i == 9 else 0) for i in range(20)})
    found = variation(days, rows=100, days=1)["x"]
    assert found.floor["missing"] == pytest.approx(0.2)
    assert found.design["missing"][0] > 5


def test_a_reference_of_few_days_tells_nothing_of_variation() -> None:
    few = binary_days([1.0, 0.0] * 3)
    assert len(few) == FEWEST_DAYS - 1
    assert variation(few, rows=100, days=1) == {"x": INDEPENDENT}


def test_empty_and_constant_columns_vary_by_nothing() -> None:
    bins = {"none": freeze_numeric([]), "one": freeze_numeric([3.0] * 10)}
    columns = {"none": ColumnProfile(bins["none"], (0,), nulls=10), "one": profile_array(np.full(10, 3.0), bins["one"])}
    days = Days.of(bins, {MONDAY + timedelta(days=i): Profile(columns, 10) for i in range(10)})
    for found in variation(days, rows=10, days=1).values():
        assert set(found.design.values()) == {(1.0, 1.0)}
        assert set(found.floor.values()) == {0.0}


@pytest.mark.parametrize(("days", "told"), [(6, True), (7, False)])
def test_a_reference_of_few_days_says_that_natural_variation_is_not_known(days: int, told: bool) -> None:
    bins = {"k": freeze_categorical(["a", "b"])}
    one = Profile({"k": ColumnProfile(bins["k"], (60, 40))}, 100)
    known = Days.of(bins, {date(2024, 3, 1 + day): one for day in range(days)})
    window = replace(known.total(), days=known)
    note = compare(window, window)["k"].note
    assert ("natural variation not known: the reference has only 6 whole days" in note) == told


@pytest.mark.parametrize("weeks", [1, 7])
def test_parts_of_the_records_vary_as_tables_of_two_cells(weeks: int) -> None:
    rng = RNG(8)
    whole = rng.integers(0, 40, 60)
    parts = np.column_stack([rng.binomial(whole, share) for share in (0.0, 0.02, 0.5, 1.0)])
    strata = np.arange(60) % weeks
    alone = [_effects(np.column_stack([part, whole - part]).astype(float), strata) for part in parts.T]
    found = _effects_of_parts(parts, whole, strata)
    assert found == pytest.approx([float(one.mean()) for one in alone])
    assert found[1] != 1.0
    assert (_effects_of_parts(0 * parts, 0 * whole, strata) == 1.0).all()


def _days_that_stay(rng: np.random.Generator, days: int, each: int, stays: float) -> tuple[Profile, Profile]:
    """A column whose days make up a tenth of its variance: of `days` before, and of seven after them."""
    luck = rng.normal(size=days + 57)
    for day in range(1, len(luck)):
        luck[day] = stays * luck[day - 1] + np.sqrt(1 - stays**2) * luck[day]
    values = np.sqrt(0.9) * rng.normal(size=(days + 7) * each) + np.sqrt(0.1) * np.repeat(luck[50:], each)
    dates = np.datetime64("2024-01-01") + np.repeat(np.arange(days + 7), each)
    before, after = values[: days * each], values[days * each :]
    bins: dict[str, Bins] = {"x": freeze_numeric(before)}
    first, then = dates[: len(before)], dates[len(before) :]
    return profile_values({"x": before}, bins, days=first), profile_values({"x": after}, bins, days=then)


@pytest.mark.parametrize("stays", [0.0, 0.4])
def test_days_that_take_after_the_day_before_alarm_no_oftener(stays: float) -> None:
    """200 checks at 5 %: four standard errors more are 11 %. Taken as independent, a correlation of 0.4 gave 14 %."""
    rng = RNG([21, int(10 * stays)])
    pairs = [_days_that_stay(rng, 60, 100, stays) for _ in range(200)]
    p_values = [compare(*pair)["x"]["psi"].p_value for pair in pairs]
    assert np.mean([p <= 0.05 for p in p_values]) <= 0.11


def test_what_moves_is_found_although_days_stay() -> None:
    rng = RNG(22)
    before, _ = _days_that_stay(rng, 60, 100, 0.4)
    moved = rng.normal(1.5, 1.0, 700)
    days = np.datetime64("2024-03-01") + np.repeat(np.arange(7), 100)
    after = profile_values({"x": moved}, {"x": before.columns["x"].bins}, days=days)
    assert [one.name for one in compare(before, after).drifted()] == ["x"]


def _batches(rng: np.random.Generator, days: int, start: int) -> Profile:
    """100 records a day, of which 2 % are missing on average, most of them on few days: shares are lognormal."""
    missing = rng.binomial(100, np.minimum(0.02 * np.exp(1.6 * rng.normal(size=days) - 1.28), 0.9)).tolist()
    made = {
        MONDAY + timedelta(days=start + i): Profile({"x": ColumnProfile(SIDES, (50, 50 - k), nulls=k)}, 100)
        if k <= 50 else Profile({"x": ColumnProfile(SIDES, (100 - k, 0), nulls=k)}, 100)
        for i, k in enumerate(missing)
    }
    every = Days.of({"x": SIDES}, made)
    return replace(every.total(), days=every)


def test_what_comes_on_few_days_alarms_no_oftener_than_it_should() -> None:
    """500 weeks against 60 days (seed 31). At 0.5 % 2.5 are expected, and three standard errors more are 7.2; with
    Student's t of as many degrees as there are days they are about 13."""
    rng, low, careless = RNG(31), 0, 0
    for _ in range(500):
        before, now = _batches(rng, 60, 0), _batches(rng, 7, 60)
        assert before.days is not None
        known = variation(before.days, now.rows, 7)
        simple = {"x": replace(known["x"], fewer={})}
        low += compare(before, now, variation=known)["x"]["missing"].p_value <= 0.005
        careless += compare(before, now, variation=simple)["x"]["missing"].p_value <= 0.005
    assert low <= 7 < careless


def test_outliers_and_missing_values_of_independent_days_keep_the_degrees_of_freedom_that_days_give() -> None:
    values = normal_days(RNG(32), range(60), per_day=100)
    before = profiled(values, frozen(values))
    assert before.days is not None
    for found in variation(before.days, 700, 7).values():
        assert found.freedom == 53    # 60 days, but for a mean of each weekday
        assert set(found.fewer.values()) == {53.0}


def test_a_day_that_holds_most_outliers_makes_them_known_less() -> None:
    even, odd = (np.full(60, 3), np.r_[np.full(59, 3), 60])
    whole, strata = np.full(60, 100), np.zeros(60, dtype=np.int64)
    assert _kurtosis(even, whole, strata) == 0.0
    excess = _kurtosis(odd, whole, strata)
    assert excess > 20
    assert _of_few_days(59.0, excess, 7) < 5 < _of_few_days(59.0, 1.0, 7) < _of_few_days(59.0, 0.0, 7) == 59.0
    assert _kurtosis(0 * odd, whole, strata) == _kurtosis(0 * odd, 0 * whole, strata) == 0.0
    assert _kurtosis(whole, whole, strata) == 0.0


def test_days_that_take_after_each_other_leave_fewer_degrees_of_freedom() -> None:
    found = [_freedom(53, _Window(100.0, 7, phi), 1e9) for phi in (0.0, 0.2, 0.4, 0.6, 0.95)]
    assert found[0] == 53.0
    assert found[1] > found[2] > found[3] == found[4] > 10
    # Of a single day nothing is carried over, so only the variance's own degrees are fewer.
    assert _freedom(53, _Window(100.0, 1, 0.4), 1.5) == pytest.approx(53 * (1 - 0.4**2) / (1 + 0.4**2))
    blurred = [_freedom(53, _Window(100.0, 7, 0.4), effect) for effect in (1.5, 2.0, 4.0, 1e9)]
    assert blurred[0] == blurred[1] < blurred[2] < blurred[3]


# -- categories of many levels ---------------------------------------------------------------------------------------

MANY = freeze_categorical([f"level {i}" for i in range(200)])


def _days_of_levels(rng: np.random.Generator, tilts: Sequence[float], start: int = 0) -> Profile:
    """Two hundred levels, every other of which has more records on a day when the rest have fewer."""
    made = {}
    for day, tilt in enumerate(tilts):
        odds = np.exp(tilt * np.tile([1.0, -1.0], 100))
        counts = rng.multinomial(150, odds / odds.sum())
        made[MONDAY + timedelta(days=start + day)] = Profile({"x": ColumnProfile(MANY, tuple(counts.tolist()))}, 150)
    found = Days.of({"x": MANY}, made)
    return replace(found.total(), days=found)


def test_levels_that_trade_places_from_day_to_day_raise_few_alarms() -> None:
    """At a rate of 5 %, 60 checks have more than 8 alarms once in 500 times; without days, a third alarms."""
    rng = RNG(40)
    alarms = careless = 0
    for _ in range(60):
        tilts = 0.8 * rng.normal(size=46)
        before, now = _days_of_levels(rng, tilts[:42]), _days_of_levels(rng, tilts[42:], 42)
        alarms += bool(compare(before, now).drifted())
        careless += bool(compare(forget_days(before), forget_days(now)).drifted())
    assert alarms <= 8
    assert careless >= 20


def test_levels_that_trade_places_as_on_no_day_before_are_found() -> None:
    rng = RNG(41)
    before, now = _days_of_levels(rng, 0.2 * rng.normal(size=42)), _days_of_levels(rng, [0.8] * 4, 42)
    assert [column.name for column in compare(before, now).drifted()] == ["x"]


def test_cells_that_are_more_than_days_are_not_said_to_vary_unevenly() -> None:
    """Independent draws: a mean of one, ± 0.014 for 60 · 199 squares, and no spread beyond chance."""
    rng = RNG(42)
    one_stratum = np.zeros(60, dtype=np.int64)
    drawn = rng.multinomial(300, [1 / 200] * 200, size=60).astype(float)
    mean, spread = _mean_and_spread(drawn, one_stratum)
    assert mean == pytest.approx(1.0, abs=0.06)
    assert spread < 0.1
    few = rng.multinomial(300, [1 / 5] * 5, size=60).astype(float)
    assert _mean_and_spread(few, one_stratum)[0] == pytest.approx(_effects(few, one_stratum).mean())
    assert _mean_and_spread(few[:, :1], one_stratum) == (1.0, 0.0)
    assert _mean_and_spread(few[:, :0], one_stratum) == (1.0, 0.0)


def test_the_floor_of_single_levels_is_what_a_stretch_of_the_reference_shows() -> None:
    rng = RNG(43)
    calm, odd = _days_of_levels(rng, [0.0] * 40).days, _days_of_levels(rng, [1.0] * 4, 40).days
    assert calm is not None
    assert odd is not None
    whole = Days(calm.bins, np.concatenate([calm.dates, odd.dates]), np.concatenate([calm.counts, odd.counts]))
    floors = [variation(days, rows=600, days=4)["x"].floor["levels"] for days in (calm, whole)]
    assert floors[0] < 0.2 < floors[1]

"""Records per day: growth is found, weeks and busy spells are none, and too few days say so."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.decide import signals as rules
from trimtab.decide.signals import default_triggers, grade
from trimtab.measure.over_time.growth import MOST_DAYS, growth
from trimtab.run import lifecycle
from trimtab.run.freshness import freshness
from trimtab.settings.drift import DriftSettings

DAYS = np.arange("2024-01-01", "2025-01-01", dtype="datetime64[D]")
WEEKEND = (DAYS.astype(int) % 7 == 2) | (DAYS.astype(int) % 7 == 3)


def rows(n: int, rng: np.random.Generator, *, mean: float = 100.0, phi: float = 0.5) -> npt.NDArray[np.int64]:
    """Records a day: fewer at weekends, busy spells that last."""
    luck = np.zeros(n)
    for day in range(1, n):
        luck[day] = phi * luck[day - 1] + math.sqrt(1 - phi**2) * rng.normal()
    return rng.poisson(mean * np.exp(0.3 * luck - 0.045) * np.where(WEEKEND[:n], 1 / 3, 1.27))


@pytest.mark.parametrize("length", [5, 10, 30])
def test_weeks_and_busy_spells_are_no_growth(length: int) -> None:
    alarms = []
    for seed in range(120):
        counts = rows(90 + length, np.random.default_rng([length, seed]))
        found = growth(DAYS[:90], counts[:90], DAYS[90 : 90 + length], counts[90:])
        alarms.append(found.p_value <= 0.05)
    assert np.mean(alarms) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 120)


def test_twice_as_many_records_are_found_and_the_size_is_right() -> None:
    found = []
    for seed in range(40):
        counts = rows(120, np.random.default_rng(seed), phi=0.2)
        found.append(growth(DAYS[:90], counts[:90], DAYS[90:120], 2 * counts[90:]))
    sizes = [one.relative.value for one in found]
    assert np.mean(sizes) == pytest.approx(1.0, abs=3 * np.std(sizes) / math.sqrt(40))
    assert np.mean([one.p_value < 0.05 for one in found]) > 0.9


def test_monday_to_friday_is_compared_with_mondays_to_fridays() -> None:
    counts = np.where(WEEKEND, 10, 100) + np.arange(len(DAYS)) % 5
    monday = int(np.flatnonzero(DAYS.astype(int) % 7 == 4)[10])
    found = growth(DAYS[:monday], counts[:monday], DAYS[monday : monday + 5], counts[monday : monday + 5])
    assert abs(found.relative.value) < 0.02
    assert found.days_before == 50


def test_whole_weeks_are_compared_the_newest_ones() -> None:
    found = growth(DAYS[:200], np.ones(200), DAYS[200:216], np.arange(16))
    assert (found.days_before, found.days_now) == (MOST_DAYS, 14)
    assert found.now == np.arange(2, 16).mean()


def test_a_reference_that_reaches_into_the_window_ends_where_it_begins() -> None:
    found = growth(DAYS[:60], np.arange(60), DAYS[50:57], np.arange(7))
    assert found.days_before == 49
    assert found.before == np.arange(1, 50).mean()


def test_no_record_left_is_growth_by_minus_one() -> None:
    found = growth(DAYS[:60], 100 + np.arange(60) % 9, DAYS[60:74], np.zeros(14))
    assert found.relative.value == -1
    assert found.p_value < 0.01


@pytest.mark.parametrize(("before", "now"), [(0, 0), (60, 0), (0, 14), (60, 2), (2, 14)])
def test_too_few_days_say_so_and_raise_nothing(before: int, now: int) -> None:
    found = growth(DAYS[:before], np.ones(before), DAYS[60 : 60 + now], np.ones(now))
    assert math.isnan(found.p_value)
    assert found.note
    assert grade(rules.growth(found), default_triggers(DriftSettings())).severity == "none"


def test_a_reference_without_records_has_no_growth() -> None:
    found = growth(DAYS[:30], np.zeros(30), DAYS[30:44], np.ones(14))
    assert math.isnan(found.relative.value)
    assert math.isnan(rules.growth(found).value)


def test_numbers_that_do_not_vary_and_are_the_same_are_no_growth() -> None:
    found = growth(DAYS[:30], np.full(30, 7), DAYS[30:44], np.full(14, 7))
    assert found.relative.value == 0
    assert rules.growth(found).message == \
        "Records per day did not change from the reference (7 to 7, within what days differ by), over the newest " \
        "whole weeks: 28 days there and 14 now."


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        growth(DAYS[:3], [1, -1, 1], DAYS[3:6], np.ones(3))
    with pytest.raises(ValueError, match="one shape"):
        growth(DAYS[:3], np.ones(2), DAYS[3:6], np.ones(3))
    with pytest.raises(ValueError, match="confidence must be"):
        growth(DAYS[:9], np.ones(9), DAYS[9:18], np.ones(9), confidence=1.0)


def test_a_check_tells_how_many_more_records_a_day_there_are_and_never_asks_for_more_than_a_look(
    project: Callable[..., Path],
) -> None:
    table = binary_table(3000)
    more = table[table["at"] >= "2024-03-25"]
    table = pd.concat([table, more.assign(id=more["id"] + 10_000), more.assign(id=more["id"] + 20_000)])
    params = project(merged(BINARY, windows={"current": {"last": "14d"}}), table)
    first = tt.open(params, as_of="2024-03-20", run_id="first")
    contest = lifecycle.first_champion(first)
    lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    session = tt.open(params, as_of="2024-04-10")
    grown = freshness(session, session.windows()[1])[0]
    assert grown.value == pytest.approx(2.0, abs=0.3)
    assert grade(grown, default_triggers(DriftSettings())).severity == "low"
    calm = tt.open(params, as_of="2024-03-24")
    assert grade(freshness(calm, calm.windows()[1])[0], default_triggers(DriftSettings())).severity == "none"

"""Values farther off than the reference's range is wide: another unit is told on its first day, weather is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import trimtab as tt
from trimtab.measure.columns.bins import freeze_numeric
from trimtab.measure.columns.profile import ColumnProfile
from trimtab.measure.models.scoring import profile_values

BEFORE, NOW, A_DAY = 180, 30, 60


def _weather(seed: int, tail: Callable[[np.random.Generator, int], np.ndarray] | None = None) -> pd.DataFrame:
    """Air pressure of days that take after the day before, sixty records a day that hardly differ."""
    rng, days = np.random.default_rng(seed), BEFORE + NOW
    shocks = rng.normal(size=days) if tail is None else tail(rng, days)
    level = np.zeros(days)
    for day in range(1, days):
        level[day] = 0.7 * level[day - 1] + shocks[day]
    at = pd.date_range("2024-01-01", periods=days, freq="D").repeat(A_DAY)
    pressure = 1013 + 8 * level.repeat(A_DAY) + rng.normal(size=len(at))
    return pd.DataFrame({"at": at, "pressure": pressure, "other": rng.normal(size=len(at))})


def _outside(frame: pd.DataFrame, day: pd.Series) -> tt.CheckResult:
    return tt.check(frame[day < BEFORE], frame[day >= BEFORE], time="at")


def _day(frame: pd.DataFrame) -> pd.Series:
    return (frame["at"] - frame["at"].min()).dt.days


@pytest.mark.parametrize("seed", range(5))
def test_another_unit_is_told_on_its_first_day_though_days_differ(seed: int) -> None:
    frame = _weather(seed)
    day = _day(frame)
    assert "pressure" not in _outside(frame, day).drifted
    last = day == BEFORE + NOW - 1
    frame.loc[last, "pressure"] = (frame.loc[last, "pressure"] / 33.8639).round(2)
    found = _outside(frame, day)
    assert found.drifted[0] == "pressure"
    told = next(one for one in found.signals if one.name == "out_of_range")
    assert (told.severity, told.columns) == ("low", ("pressure",))
    frame.loc[last, "pressure"] = -999.0    # or a number that stands for what is missing
    assert _outside(frame, day).drifted[0] == "pressure"


@pytest.mark.parametrize("tail", [
    None, lambda rng, days: rng.standard_t(3, days), lambda rng, days: rng.exponential(size=days) - 1,
], ids=["normal", "t with three degrees of freedom", "exponential"])
def test_days_that_only_differ_are_out_of_range_no_oftener_than_the_level(
    tail: Callable[[np.random.Generator, int], np.ndarray] | None
) -> None:
    checks, alarms = 120, 0
    for seed in range(checks):
        frame = _weather(100 + seed, tail)
        found = _outside(frame, _day(frame))
        alarms += any(one.name == "out_of_range" and one.severity != "none" for one in found.signals)
    assert alarms / checks <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / checks)


def test_far_values_are_counted_beyond_a_range_on_either_side() -> None:
    bins = freeze_numeric(np.arange(10.0, 21.0))
    assert bins.far == (0.0, 30.0)
    values = np.array([-0.1, 0.0, 15.0, 30.0, 30.1, 400.0])
    profile = profile_values({"x": values}, {"x": bins}).columns["x"]
    assert (profile.outside, profile.far) == (5, 3)
    assert freeze_numeric([-1.7e308, 1.7e308]).far == (-np.inf, np.inf)
    older = {name: value for name, value in profile.to_json().items() if name != "far"}
    assert ColumnProfile.from_json(older).far == 0

"""Classes by themselves: rates that do not follow class shares, days allowed for, corrected together; their signal."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trimtab.decide.classes import class_drop
from trimtab.decide.losses import performance_drop
from trimtab.decide.signals import FAMILIES, default_triggers, grade
from trimtab.measure.models.class_changes import class_baseline, class_changes
from trimtab.measure.models.class_rates import FEWEST, Rate, RateChange, class_rates, class_shares, rate_changes
from trimtab.measure.models.intervals import Measure, Resampling, intervals
from trimtab.measure.models.metrics import per_class
from trimtab.measure.models.outputs import Outputs
from trimtab.settings.drift import DriftSettings

LABELS = ("often", "seldom", "rare")
SHARES, FOUND = np.array([0.7, 0.25, 0.05]), np.array([0.9, 0.75, 0.6])
LEVEL = DriftSettings().alpha / len(FAMILIES)
MONDAY = np.datetime64("2024-01-01")
RECALL_OF_RARE = Measure("recall", "rare")


def _window(
    rng: Any, days: int, a_day: int, *, found: Any = FOUND, shares: Any = SHARES, effect: float = 0.0
) -> tuple[Outputs, Any]:
    """Records of some days; each day has its own luck with each class, and its own shares, on the scale of log odds."""
    day = np.repeat(np.arange(days), a_day)
    own = shares * np.exp(effect * rng.normal(size=(days, 3)))
    below = (own / own.sum(axis=1, keepdims=True)).cumsum(axis=1)
    actual = np.minimum((rng.uniform(size=len(day))[:, None] > below[day]).sum(axis=1), 2)
    odds = np.log(found / (1 - found)) + effect * rng.normal(size=(days, 3))
    hit = rng.uniform(size=len(day)) < 1 / (1 + np.exp(-odds[day, actual]))
    return Outputs(LABELS, actual, np.where(hit, actual, (actual + rng.integers(1, 3, len(day))) % 3)), day


def _compared(before: tuple[Outputs, Any], now: tuple[Outputs, Any]) -> tuple[RateChange, ...]:
    return rate_changes(class_rates(*before), class_rates(*now, shares=class_shares(before[0])))


# -- rates -------------------------------------------------------------------------------------------------------------


def test_rates_are_recall_and_precision() -> None:
    outputs, day = _window(np.random.default_rng(0), 10, 100)
    found = class_rates(outputs, day)
    for metric in ("recall", "precision"):
        assert [found[Measure(metric, name)].value for name in LABELS] == pytest.approx(per_class(metric, outputs))
    assert found[RECALL_OF_RARE].records == (outputs.actual == 2).sum()
    assert found[Measure("precision", "rare")].records == pytest.approx((outputs.predicted == 2).sum())


def test_other_class_shares_move_neither_rate_when_precision_is_told_at_the_old_ones() -> None:
    outputs, day = _window(np.random.default_rng(1), 10, 100)
    often = np.flatnonzero(outputs.actual == 0)
    more = np.concatenate([np.arange(len(outputs)), *[often] * 4])    # the same records, those of one class five times
    before = class_rates(outputs, day)
    own, standard = (class_rates(outputs.take(more), day[more], shares=s) for s in (None, class_shares(outputs)))
    for measure, rate in before.items():
        assert standard[measure].value == pytest.approx(rate.value)
    assert own[Measure("precision", "rare")].value < before[Measure("precision", "rare")].value - 0.05


def test_rates_in_segments_are_those_of_their_records() -> None:
    outputs, day = _window(np.random.default_rng(2), 10, 100)
    north = np.arange(1000) % 3 == 0
    found = class_rates(outputs, day, segments={"north": north, "nobody": np.zeros(1000, dtype=bool)})
    alone = class_rates(outputs.take(north), day[north])
    assert found[Measure("recall", "rare", "north")] == alone[RECALL_OF_RARE]
    assert not any(measure.segment == "nobody" for measure in found)


def test_design_effect_agrees_with_intervals_that_draw_whole_days() -> None:
    outputs, day = _window(np.random.default_rng(3), 40, 300, effect=0.5)
    drawn = intervals(["accuracy"], outputs, per_class=["recall", "precision"], groups=day)
    for measure, rate in class_rates(outputs, day).items():
        error = math.sqrt(rate.value * (1 - rate.value) * rate.design / rate.records)
        # 500 draws know a standard error to 1 / sqrt(2 * 500), 3 %; linearising adds little more.
        assert error == pytest.approx(drawn[measure].standard_error, rel=0.12)
        assert rate.design > 1.5


def test_design_effect_is_one_on_average_where_records_are_independent() -> None:
    designs = [class_rates(*_window(np.random.default_rng(seed), 20, 200))[Measure("recall", "often")].design
               for seed in range(100)]
    # One estimate from 20 days has a standard deviation of about sqrt(2 / 19), the mean of 100 a tenth of it.
    assert np.mean(designs) == pytest.approx(1.0, abs=3 * math.sqrt(2 / 19) / 10)


def test_order_of_records_is_irrelevant_and_inputs_are_left_alone() -> None:
    outputs, day = _window(np.random.default_rng(4), 10, 50)
    order, kept = np.random.default_rng(0).permutation(500), outputs.actual.copy()
    first, again = class_rates(outputs, day), class_rates(outputs.take(order), day[order])
    for measure, rate in first.items():
        assert (again[measure].value, again[measure].records) == pytest.approx((rate.value, rate.records))
        assert again[measure].design == pytest.approx(rate.design)
    assert np.array_equal(outputs.actual, kept)


def test_rates_of_nothing_are_none() -> None:
    none = np.zeros(0, dtype=int)
    assert class_rates(Outputs(LABELS, none, none), none) == {}
    assert class_shares(Outputs(LABELS, none, none)) == {}
    assert rate_changes({}, {}) == ()


def test_a_class_that_is_new_or_gone_is_not_compared() -> None:
    zeros, mixed, day = np.zeros(100, dtype=int), np.arange(100) % 3, np.arange(100) // 10
    one, all_ = Outputs(LABELS, zeros, zeros), Outputs(LABELS, mixed, mixed)
    for before, now in ((one, all_), (all_, one)):
        found = _compared((before, day), (now, day))
        assert {change.measure.label for change in found} == {"often"}
        assert all(change.p_value == 1.0 for change in found)


def _confused(shares: tuple[float, ...], days: Any, seed: int) -> tuple[Outputs, Any]:
    """100 records a day; of each class 70 % are found, and the others are taken for another."""
    rng = np.random.default_rng(seed)
    actual = rng.choice(3, 100 * len(days), p=shares)
    wrong = (actual + rng.integers(1, 3, len(actual))) % 3
    return Outputs(LABELS, actual, np.where(rng.random(len(actual)) < 0.7, actual, wrong)), np.repeat(days, 100)


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.0), (0.8, 0.2, 0.0), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("days", [14, 1])
def test_a_class_that_vanishes_is_no_drop_of_precision(shares: tuple[float, ...], days: int) -> None:
    baseline = class_baseline(*_confused((1 / 3, 1 / 3, 1 / 3), MONDAY + np.arange(28), 0))
    changes = class_changes(baseline, *_confused(shares, MONDAY + 28 + np.arange(days), 1))
    assert {change.measure.metric for change in changes} == {"recall"}
    assert {change.measure.label for change in changes} == {
        name for name, share in zip(LABELS, shares, strict=True) if share * days > 0.3
    }
    assert not class_drop(changes, alpha=0.005).significant


def test_a_class_that_a_weekday_lacks_leaves_precision_to_all_days() -> None:
    baseline = class_baseline(*_confused((1 / 3, 1 / 3, 1 / 3), MONDAY + np.arange(28), 0))
    monday = _confused((0.5, 0.5, 0.0), MONDAY + np.arange(28, 29), 28)
    tuesday = _confused((0.2, 0.2, 0.6), MONDAY + np.arange(29, 30), 29)
    both = [np.concatenate([getattr(o, name) for o, _ in (monday, tuesday)]) for name in ("actual", "predicted")]
    changes = class_changes(baseline, Outputs(LABELS, *both), np.concatenate([monday[1], tuesday[1]]))
    told = {change.measure: change.before.of_weekdays for change in changes}
    assert told == {Measure(metric, name): metric == "recall" for metric in ("recall", "precision") for name in LABELS}
    assert not class_drop(changes, alpha=0.005).significant


def test_with_one_day_or_a_perfect_rate_there_is_no_design_effect() -> None:
    outputs = Outputs(("a", "b"), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    found = class_rates(outputs, np.zeros(4))
    assert all(math.isnan(rate.design) for rate in found.values())
    assert math.isnan(class_rates(outputs, np.arange(4))[Measure("recall", "b")].design)


# -- changes -----------------------------------------------------------------------------------------------------------


def test_a_rate_must_rest_on_thirty_records_on_either_side() -> None:
    for few, count in ((FEWEST - 1, 0), (FEWEST, 1)):
        enough, thin = Rate(0.8, 500, 20, 1.0), Rate(0.8, few, 20, 1.0)
        assert len(rate_changes({RECALL_OF_RARE: enough}, {RECALL_OF_RARE: thin})) == count
        assert len(rate_changes({RECALL_OF_RARE: thin}, {RECALL_OF_RARE: enough})) == count


def test_a_rate_that_was_zero_cannot_fall() -> None:
    assert rate_changes({RECALL_OF_RARE: Rate(0.0, 99, 9, math.nan)}, {RECALL_OF_RARE: Rate(0.5, 99, 9, 1.0)}) == ()
    lost = RateChange(RECALL_OF_RARE, Rate(0.0, 99, 9, math.nan), Rate(0.5, 99, 9, 1.0), 0.1, 1.0).lost
    assert math.isnan(lost)


def test_p_values_are_corrected_by_holm() -> None:
    rates = [0.62, 0.7, 0.66]
    before = {Measure("recall", str(i)): Rate(0.8, 400, 1, math.nan) for i in range(3)}
    now = {Measure("recall", str(i)): Rate(rate, 100, 1, math.nan) for i, rate in enumerate(rates)}
    alone = [rate_changes({m: before[m]}, {m: now[m]})[0].p_value for m in before]
    together = {change.measure: change.p_value for change in rate_changes(before, now)}
    assert alone[0] < alone[2] < alone[1] < 0.05
    assert list(together.values()) == pytest.approx([3 * alone[0], 2 * alone[2], alone[1]])


def test_fewer_days_and_larger_design_effects_make_it_less_certain() -> None:
    def _p(days: int, design: float) -> float:
        pair = Rate(0.8, 400, days, design), Rate(0.7, 400, days, design)
        return rate_changes({RECALL_OF_RARE: pair[0]}, {RECALL_OF_RARE: pair[1]})[0].p_value

    assert _p(30, 0.5) == _p(30, 1.0) < _p(30, 2.0) < _p(30, 4.0)
    assert _p(30, 1.0) < _p(5, 1.0) < _p(2, 1.0)
    assert _p(1, math.nan) < _p(30, 1.0)    # without days records are all there is to go by


def test_undrifted_classes_hardly_ever_alarm_though_days_differ_and_class_shares_move() -> None:
    checks, alarms, changes = 400, 0, 0
    moved = np.array([0.6, 0.3, 0.1])
    for seed in range(checks):
        rng = np.random.default_rng(seed)
        found = _compared(_window(rng, 20, 120, effect=0.4), _window(rng, 14, 120, effect=0.4, shares=moved))
        smallest = min(change.p_value for change in found)
        changes += smallest <= 0.05
        alarms += class_drop(found, alpha=0.05).significant
    # Three standard errors above the share that is promised; of changes either way, and of drops alone.
    assert changes / checks <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / checks)
    assert alarms / checks <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / checks)


def test_minority_that_goes_wrong_is_found_though_accuracy_stays() -> None:
    checks, found, overall = 60, 0, 0
    worse = np.array([0.9 + 0.25 * 0.05 / 0.7, 0.75, 0.35])    # what the rare class loses the frequent one gains
    for seed in range(checks):
        rng = np.random.default_rng(seed)
        before, now = _window(rng, 20, 300, effect=0.2), _window(rng, 30, 300, effect=0.2, found=worse)
        signal = grade(class_drop(_compared(before, now), alpha=LEVEL), default_triggers(DriftSettings()))
        found += signal.severity == "high" and "class rare" in signal.message
        few = Resampling(replicates=99)
        pair = [intervals(["accuracy"], o, groups=d, resampling=few)[Measure("accuracy")] for o, d in (before, now)]
        overall += performance_drop("accuracy", *pair, greater_is_better=True, alpha=LEVEL).significant
    assert found / checks >= 0.95
    assert overall / checks <= 0.05


# -- weekdays ----------------------------------------------------------------------------------------------------------

def _weeks(rng: Any, first: int, days: int, *, mondays: float, worse: float = 0.0) -> tuple[Outputs, Any]:
    """Days from the so manieth on, each with 400 records; the rare class is found less often on Mondays."""
    dates = MONDAY + first + np.arange(days)
    parts = [
        _window(rng, 1, 400, effect=0.2, shares=np.array([0.4, 0.3, 0.3]),
                found=1 / (1 + np.exp([0, 0, mondays * (i % 7 == 0) + worse] - np.log(FOUND / (1 - FOUND)))))[0]
        for i in range(first, first + days)
    ]
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in ("actual", "predicted")]
    return Outputs(LABELS, *joined), np.repeat(dates, 400)


def test_a_monday_that_is_harder_than_other_days_is_no_news_but_a_harder_monday_is() -> None:
    checks, of_all_days, alarms, found = 100, 0, 0, 0
    for seed in range(checks):
        rng = np.random.default_rng(seed)
        before = _weeks(rng, 0, 28, mondays=1.5)
        monday, worse = (_weeks(rng, 28, 1, mondays=1.5, worse=more) for more in (0.0, 4.0))
        baseline = class_baseline(*before)
        of_all_days += class_drop(_compared(before, monday), alpha=0.05).significant
        alarms += class_drop(class_changes(baseline, *monday), alpha=0.05).significant
        found += class_drop(class_changes(baseline, *worse), alpha=0.05).significant
    allowed = 0.025 + 3 * math.sqrt(0.025 * 0.975 / checks)
    assert alarms / checks <= allowed < of_all_days / checks
    assert found / checks >= 0.9


def test_weekdays_are_mixed_as_they_are_in_the_window() -> None:
    rng = np.random.default_rng(0)
    before = _weeks(rng, 0, 28, mondays=1.5)
    window, days = _weeks(rng, 27, 2, mondays=1.5)    # a Sunday, and a Monday of which a quarter is there
    kept = np.arange(len(window)) < 500
    changes = class_changes(class_baseline(*before), window.take(kept), days[kept])
    recall = next(change for change in changes if change.measure == RECALL_OF_RARE)
    then, now = (class_rates(*one)[RECALL_OF_RARE] for one in (before, (window.take(kept), days[kept])))
    weekday = (before[1] - MONDAY).astype(int) % 7
    sundays, mondays = (class_rates(before[0].take(weekday == i), before[1][weekday == i])[RECALL_OF_RARE].value
                        for i in (6, 0))
    share = ((window.actual == 2) & kept)[:400].sum() / ((window.actual == 2) & kept).sum()
    assert recall.now.value == pytest.approx(now.value)
    assert recall.before.value == pytest.approx(share * sundays + (1 - share) * mondays) != then.value
    assert (recall.before.of_weekdays, recall.before.freedom) == (True, 28 - 7)


@pytest.mark.parametrize(("days", "window"), [(13, 1), (28, 7), (28, 30)])
def test_all_days_stand_for_weekdays_that_came_once_and_for_a_window_that_has_all(days: int, window: int) -> None:
    rng = np.random.default_rng(0)
    before, now = _weeks(rng, 0, days, mondays=1.0), _weeks(rng, 35 - 7 * (days > 13) - 1, window, mondays=1.0)
    assert class_changes(class_baseline(*before), *now) == _compared(before, now)


def test_a_class_that_is_rare_on_a_weekday_is_held_against_all_days() -> None:
    rng = np.random.default_rng(0)
    outputs, days = _weeks(rng, 0, 28, mondays=0.0)
    mondays = (days - MONDAY).astype(int) % 7 == 0
    kept = ~(mondays & (outputs.actual == 2)) | (np.cumsum(mondays & (outputs.actual == 2)) < FEWEST)
    changes = class_changes(class_baseline(outputs.take(kept), days[kept]), *_weeks(rng, 28, 1, mondays=0.0))
    told = {change.measure.label: change.before.of_weekdays for change in changes if change.measure.metric == "recall"}
    assert told == {"often": True, "seldom": True, "rare": False}


# -- the signal --------------------------------------------------------------------------------------------------------


def _change(label: str, before: float, now: float, p_value: float, metric: str = "recall") -> RateChange:
    return RateChange(Measure(metric, label), Rate(before, 1234.0, 20, 1.0), Rate(now, 99.0, 20, 1.0), 0.02, p_value)


def test_signal_is_the_largest_certain_loss_and_names_class_and_numbers() -> None:
    found = class_drop([_change("a", 0.5, 0.1, 0.2), _change("b", 0.8, 0.6, 0.001), _change("c", 0.8, 0.7, 0.001)])
    assert found.value == pytest.approx(0.25)
    assert found.significant
    of_weekdays = replace(_change("b", 0.8, 0.6, 0.001), before=Rate(0.8, 1234.0, 20, 1.0, of_weekdays=True))
    assert "; 1,234 records of the same weekdays then, 99 now)" in class_drop([of_weekdays]).message
    assert found.message == (
        "recall of class b fell from 0.800 to 0.600 (25% of it is lost; 1,234 records then, 99 now); "
        "1 more fell, but by less."
    )


def test_precision_is_said_to_be_at_the_old_class_shares() -> None:
    told = class_drop([_change("b", 0.8, 0.6, 0.001, "precision")]).message
    assert told.startswith("precision of class b, at the holdout's class shares, fell from 0.800 to 0.600 ")


@pytest.mark.parametrize(
    ("now", "p_value", "told"),
    [(0.6, 0.3, "fell from 0.800 to 0.600 (25% of it is lost, which chance explains; "),
     (0.9, 0.001, "No class is found less often"), (0.8, 1.0, "No class is found less often")],
)
def test_what_chance_explains_or_has_risen_is_no_alarm(now: float, p_value: float, told: str) -> None:
    found = class_drop([_change("b", 0.8, now, p_value)])
    assert told in found.message
    assert grade(found, default_triggers(DriftSettings())).severity == "none"


@pytest.mark.parametrize("changes", [None, ()])
def test_without_anything_to_compare_nothing_is_said_of_classes(changes: Any) -> None:
    found = class_drop(changes)
    assert math.isnan(found.value)
    assert math.isnan(found.evidence or 0.0)
    assert grade(found, default_triggers(DriftSettings())).severity == "none"


def test_severity_is_medium_from_a_tenth_on_and_high_from_a_fifth_on() -> None:
    rules = default_triggers(DriftSettings())
    graded = [grade(class_drop([_change("b", 1.0, now, 0.0)]), rules).severity for now in (0.92, 0.88, 0.82, 0.78)]
    assert graded == ["none", "medium", "medium", "high"]

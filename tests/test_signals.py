"""Signals and the decision: thresholds are inclusive, chance is never graded, user's rules replace defaults."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from trimtab.decide import columns, losses, signals
from trimtab.decide.decision import decide
from trimtab.decide.severity import LEVELS, rank, worst
from trimtab.decide.signals import Measurement, Signal, default_triggers, grade, triggers_for
from trimtab.errors import ParamsError
from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.models.intervals import Interval
from trimtab.settings import Params
from trimtab.settings.drift import DriftSettings
from trimtab.settings.triggers import Severity, Trigger

DEFAULTS = default_triggers(DriftSettings())


def params(min_severity: str = "high") -> Params:
    return Params.model_validate({
        "model": "m", "task": "regression", "data": {"table": "t", "time": "at", "numeric": ["x"]},
        "estimator": {"class": "sklearn.linear_model.Ridge"}, "guardrails": {"min_severity": min_severity},
    })


def signal(severity: Severity, *, value: float = 1.0, p: float = math.nan, columns: tuple[str, ...] = ()) -> Signal:
    return Signal("feature_drift", value, 0.1, p, severity, columns, f"It is {severity}.")


# -- grading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "severity"), [(0.0999, "none"), (0.1, "medium"), (0.2499, "medium"), (0.25, "high")])
def test_a_threshold_that_is_just_reached_is_passed(value: float, severity: str) -> None:
    assert grade(Measurement("feature_drift", value, "."), DEFAULTS).severity == severity


def test_what_could_be_chance_is_never_graded_however_large() -> None:
    found = grade(Measurement("feature_drift", 99.0, ".", significant=False), DEFAULTS)
    assert (found.severity, found.threshold) == ("none", 0.1)


def test_what_could_not_be_measured_is_not_graded() -> None:
    assert grade(Measurement("feature_drift", math.nan, "."), DEFAULTS).severity == "none"


def test_the_threshold_shown_is_the_highest_that_was_passed() -> None:
    assert grade(Measurement("performance_drop", 0.15, "."), DEFAULTS).threshold == 0.10


def test_a_signal_without_any_rule_has_no_threshold() -> None:
    assert math.isnan(grade(Measurement("model_age", 9.0, "."), ()).threshold)


def test_own_rules_replace_the_defaults_of_that_signal_only() -> None:
    own = Trigger(signal="model_age", at_least=7, severity="high")
    rules = triggers_for(DriftSettings(), [own])
    assert [t for t in rules if t.signal == "model_age"] == [own]
    assert {t for t in rules if t.signal != "model_age"} == {t for t in DEFAULTS if t.signal != "model_age"}


def test_a_rule_for_a_signal_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ParamsError, match="no signal 'modelage'; known: feature_drift"):
        triggers_for(DriftSettings(), [Trigger(signal="modelage", at_least=1, severity="low")])


def test_a_rule_that_nothing_could_ever_meet_is_refused() -> None:
    def _rule(signal: str, at_least: float, **more: Any) -> Trigger:
        return Trigger(signal=signal, at_least=at_least, severity=more.pop("severity", "low"), **more)

    for never in (_rule("rate_drop", 2), _rule("joint_drift", 1.5), _rule("performance_drop", 5, metric="f1"),
                  _rule("performance_drop", 1.5, metric="f1", unit="points")):
        with pytest.raises(ParamsError, match="is never at_least"):
            triggers_for(DriftSettings(), [never])
    with pytest.raises(ParamsError, match="triggers: unknown metric 'joy'; known: accuracy"):
        triggers_for(DriftSettings(), [_rule("performance_drop", 0.1, metric="joy")])
    may = [_rule("feature_drift", 3), _rule("performance_drop", 3, metric="mae"), _rule("growth", 2),
           _rule("performance_drop", 50, metric="mae", unit="points"), _rule("outliers", 9, severity="none"),
           _rule("performance_drop", 3, metric="r2"), _rule("performance_drop", 3)]
    assert set(may) <= set(triggers_for(DriftSettings(), may))


def test_every_signal_has_a_default_rule_but_a_schedule() -> None:
    assert {t.signal for t in DEFAULTS} == set(signals.SIGNALS) - {"schedule"}


def test_severities_are_ordered() -> None:
    assert LEVELS == ("none", "low", "medium", "high", "critical")
    assert [rank(level) for level in LEVELS] == [0, 1, 2, 3, 4]
    assert worst(["low", "critical", "medium"]) == "critical"
    assert worst([]) == "none"


# -- measurements ------------------------------------------------------------------------------------------------------


def drift(**current: tuple[int, int]) -> Drift:
    """Columns of two levels, 1000 records of each in the reference."""
    bins = freeze_categorical(["a", "b"])
    before = Profile({name: ColumnProfile(bins, (1000, 1000)) for name in current}, 2000)
    return compare(before, Profile({n: ColumnProfile(bins, c) for n, c in current.items()}, 1000))


def test_feature_drift_names_the_columns_from_the_worst() -> None:
    found = columns.feature_drift(drift(still=(500, 500), moved=(900, 100), some=(700, 300)), DriftSettings())
    assert found.columns == ("moved", "some")
    assert found.significant
    assert found.message.startswith("2 of 3 input columns drifted: moved (PSI")


def test_a_rule_may_ask_for_less_than_the_warning() -> None:
    moved = drift(x=(600, 400))
    measured = columns.feature_drift(moved, DriftSettings())
    assert 0.03 < measured.value < 0.10
    assert grade(measured, DEFAULTS).severity == "none"
    own = Trigger(signal="feature_drift", at_least=0.03, severity="low")
    found = grade(measured, [own])
    assert (found.severity, found.columns) == ("low", ("x",))


def test_a_large_shift_by_chance_does_not_hide_a_smaller_certain_one() -> None:
    bins = freeze_categorical(["a", "b"])
    before = Profile({n: ColumnProfile(bins, (1000, 1000)) for n in ("rare", "sure")}, 2000)
    after = Profile({
        "rare": ColumnProfile(bins, (20, 9)), "sure": ColumnProfile(bins, (600, 400)),
    }, 1000)
    found = columns.feature_drift(compare(before, after), DriftSettings(psi_warn=0.03))
    assert found.columns == ("sure",)


def test_drift_without_anything_tested_is_nan() -> None:
    found = columns.prediction_drift(drift(x=(5, 5)), DriftSettings())
    assert math.isnan(found.value)
    assert found.message == \
        "None of the outputs of the champion could be tested: too few records to test (fewer than 30)."


NUMBERS = freeze_numeric([float(i) for i in range(100)])


def tails(**shares: tuple[int, int]) -> Drift:
    """Numeric columns of 1000 records with so many outliers in the reference and now."""
    whole = tuple([1000] + [0] * (NUMBERS.size - 1))
    sides = [{n: ColumnProfile(NUMBERS, whole, outliers=pair[i]) for n, pair in shares.items()} for i in (0, 1)]
    return compare(Profile(sides[0], 1000), Profile(sides[1], 1000))


def test_outliers_that_the_reference_had_too_are_no_news() -> None:
    found = columns.outliers(tails(heavy=(70, 75)), DriftSettings())
    assert (found.value, found.significant) == (0.075, False)
    assert grade(found, DEFAULTS).severity == "none"


def test_new_outliers_are_seen_beside_a_column_that_always_had_more() -> None:
    found = columns.outliers(tails(heavy=(70, 75), fresh=(2, 60)), DriftSettings())
    assert found.columns == ("fresh",)
    assert grade(found, DEFAULTS).severity == "medium"


def test_each_way_in_which_a_column_can_move_is_a_signal_of_its_own() -> None:
    bins = freeze_numeric([float(i) for i in range(100)])
    counts = tuple([10] * bins.size)
    n = sum(counts)
    before, after = ColumnProfile(bins, counts), ColumnProfile(bins, counts, nulls=n // 4, outside=n // 50)
    moved = compare(Profile({"x": before}, n), Profile({"x": after}, after.rows))
    found = {m.name: grade(m, DEFAULTS) for m in columns.inputs(moved, DriftSettings())}
    assert found["missing_values"].severity == "medium"
    assert found["missing_values"].message == "x is missing more or less often than before, by 20.0 pp."
    assert found["out_of_range"].severity == "low"
    assert found["feature_shift"].severity == "none"
    assert "unseen_levels" not in found    # there is no column that has levels


def test_every_column_that_moved_in_a_way_is_named_behind_the_one_that_moved_farthest() -> None:
    found = columns.outliers(tails(summer=(2, 400), sensor=(2, 90), still=(70, 72)), DriftSettings())
    assert found.columns == ("summer", "sensor")
    assert found.message == (
        "40.0% of the values of summer lie beyond three standard deviations of the reference; less far: sensor.")
    whole = tuple([1000] + [0] * (NUMBERS.size - 1))
    before = {f"x{i}": ColumnProfile(NUMBERS, whole) for i in range(8)}
    now = {f"x{i}": ColumnProfile(NUMBERS, whole, outside=500 - 50 * i) for i in range(8)}
    moved = compare(Profile(before, 1000), Profile(now, 1000))
    told = {one.name: one for one in columns.inputs(moved, DriftSettings())}["out_of_range"]
    assert told.columns == tuple(f"x{i}" for i in range(8))
    assert told.message.endswith("; less far: x1, x2, x3, x4, x5 and 2 more.")


def test_outliers_need_a_numeric_column() -> None:
    assert math.isnan(columns.outliers(drift(x=(500, 500)), DriftSettings()).value)


def near(value: float, below: float = 0.02, above: float = 0.02) -> Interval:
    return Interval(value, value - below, value + above, 0.95, 0.01)


@pytest.mark.parametrize(("metric", "now", "greater"), [("accuracy", 0.72, True), ("mae", 0.88, False)])
def test_a_loss_beyond_both_intervals_is_significant(metric: str, now: float, greater: bool) -> None:
    found = losses.performance_drop(metric, near(0.8), near(now), greater_is_better=greater)
    assert found.value == pytest.approx(0.1)
    assert found.significant
    assert found.p_value < 0.01
    assert found.message.endswith("lost 0.080 (10.0% of the baseline).")


def test_the_bound_of_significance_is_where_the_interval_of_the_difference_touches_zero() -> None:
    """Half-widths of 0.03 and 0.04 make 0.05, at which the p-value is one minus the confidence."""
    at = {lost: losses.performance_drop(
        "accuracy", near(0.8, 0.03, 0.03), near(0.8 - lost, 0.04, 0.04), greater_is_better=True
    ) for lost in (0.0499, 0.05, 0.0501)}
    assert [m.significant for lost, m in at.items() if lost != 0.05] == [False, True]
    assert at[0.05].p_value == pytest.approx(0.05)
    assert "within what chance explains" in at[0.0499].message


def test_only_the_sides_that_face_each_other_count() -> None:
    baseline, current = near(0.8, below=0.01, above=0.3), near(0.75, below=0.3, above=0.01)
    assert losses.performance_drop("accuracy", baseline, current, greater_is_better=True).significant
    baseline, current = near(0.8, below=0.3, above=0.01), near(0.75, below=0.01, above=0.3)
    assert not losses.performance_drop("accuracy", baseline, current, greater_is_better=True).significant


def test_a_certain_gain_is_not_called_chance_and_is_graded_none() -> None:
    found = losses.performance_drop("accuracy", near(0.7), near(0.9), greater_is_better=True)
    assert "gained 0.200" in found.message
    assert "chance" not in found.message
    assert grade(found, DEFAULTS).severity == "none"


def test_a_loss_without_an_interval_is_not_significant_and_says_so() -> None:
    current = Interval(0.5, math.nan, math.nan, 0.95, math.nan)
    found = losses.performance_drop("accuracy", near(0.8), current, greater_is_better=True)
    assert not found.significant
    assert math.isnan(found.p_value)
    assert "too few records" in found.message


@pytest.mark.parametrize("pair", [(0.0, 0.5), (math.nan, 0.5), (0.5, math.nan)])
def test_a_loss_of_nothing_or_from_nothing_cannot_be_computed(pair: tuple[float, float]) -> None:
    found = losses.performance_drop("r2", near(pair[0]), near(pair[1]), greater_is_better=True)
    assert math.isnan(found.value)


def test_labels_that_are_not_due_are_not_missing() -> None:
    assert math.isnan(signals.label_completeness(0, 0).value)
    assert signals.label_completeness(100, 50).value == 0.5
    assert grade(signals.label_completeness(100, 49), DEFAULTS).severity == "medium"
    assert grade(signals.label_completeness(100, 50), DEFAULTS).severity == "none", "half are no fewer than half"


@pytest.mark.parametrize("due", [1, 29])
def test_few_labels_that_are_due_tell_nothing(due: int) -> None:
    found = grade(signals.label_completeness(due, 0), DEFAULTS)
    assert math.isnan(found.value)
    assert found.severity == "none"


# -- deciding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "asks"), [("low", False), ("medium", False), ("high", True), ("critical", True)])
def test_high_and_critical_signals_ask_for_retraining(severity: Any, asks: bool) -> None:
    assert decide([signal(severity)], params()).needs_retrain is asks


@pytest.mark.parametrize(("lowest", "severity", "asks"), [
    ("medium", "medium", True), ("medium", "low", False), ("low", "low", True), ("none", "low", True),
    ("none", "none", False), ("critical", "high", True),
])
def test_a_lower_min_severity_widens_what_asks_and_a_higher_one_is_left_to_the_guardrail(
    lowest: str, severity: Any, asks: bool
) -> None:
    assert decide([signal(severity)], params(lowest)).needs_retrain is asks


def test_confidence_is_the_probability_that_the_answer_is_right() -> None:
    strong = replace(signal("high", p=0.001), evidence=math.log(99))
    assert decide([strong], params()).confidence == 0.99
    quiet = replace(signal("none", p=0.5), evidence=-math.log(9))
    assert decide([quiet], params()).confidence == 0.9
    assert decide([strong, quiet], params()).confidence == pytest.approx(1 - 1 / (1 + (99 + 1 / 9) / 2), abs=1e-4)


def test_confidence_is_one_half_where_nothing_could_be_seen() -> None:
    """A window that is too small to test is no sign that nothing has moved."""
    found = [replace(signal("none", value=math.nan), evidence=math.nan), signal("low")]
    assert decide(found, params()).confidence == 0.5


def test_a_rule_that_needs_no_evidence_asks_with_certainty() -> None:
    quiet = replace(signal("none", p=0.5), evidence=-math.log(9))
    found = decide([quiet, signal("high")], params())
    assert found.confidence == 1.0
    assert found.reasons[-1] == "The confidence is 1, for the rule on feature_drift needs no evidence of a change."


@pytest.mark.parametrize("evidence", [None, -30.0], ids=["without evidence", "less than is high by default"])
def test_a_rule_that_asks_on_a_certain_signal_is_confident(evidence: float | None) -> None:
    asking = Signal("performance_drop", 0.04, 0.03, 9e-9, "high", (), ".", evidence)
    found = decide([asking], params())
    assert found.confidence > 0.99
    assert found.reasons == (
        ".", "The confidence is the most that the p-value of performance_drop allows for any change, however small.")


def test_a_rule_says_nothing_of_confidence_where_the_evidence_gives_it() -> None:
    strong = replace(signal("high", p=0.001), evidence=math.log(99))
    assert decide([strong], params()).reasons == ("It is high.",)
    quiet = replace(signal("low", p=0.5), evidence=-math.log(9))
    assert decide([quiet], params()).reasons == ("It is low.",)


@pytest.mark.parametrize(("evidence", "confidence"), [(30.0, 0.9999), (700.0, 0.9999), (-700.0, 0.9999)])
def test_nearly_certain_is_not_made_certain(evidence: float, confidence: float) -> None:
    found = replace(signal("high" if evidence > 0 else "none", p=1e-9), evidence=evidence)
    assert decide([found], params()).confidence == confidence
    asking = Signal("performance_drop", 0.04, 0.03, 1e-300, "high", (), ".", -30.0)
    assert decide([asking], params()).confidence == confidence


def test_no_signals_decide_nothing_with_no_confidence() -> None:
    found = decide([], params())
    assert (found.needs_retrain, found.severity, found.confidence, found.root_causes) == (False, "none", 0.5, ())
    assert found.reasons == ("No signal passed its threshold.",)


def test_reasons_and_causes_come_from_the_most_serious_first_and_once() -> None:
    found = decide([signal("low", columns=("x", "y")), signal("none", columns=("z",)), signal("high", columns=("y",))],
                   params())
    assert found.reasons[:2] == ("It is high.", "It is low.")
    assert found.root_causes == ("y", "x")
    assert 0 <= found.confidence <= 1


def test_outliers_are_corrected_for_the_number_of_columns() -> None:
    """Of a hundred columns one has p = 0.004: by itself that is news, among a hundred it is what one expects."""
    odd = tails(odd=(5, 18)).columns[0]
    assert 0.05 / 100 < odd["outliers"].p_value < 0.05 / len(odd.aspects)
    assert columns.outliers(tails(odd=(5, 18)), DriftSettings()).significant
    others = {f"c{i}": (5, 5) for i in range(99)}
    assert not columns.outliers(tails(odd=(5, 18), **others), DriftSettings()).significant


@pytest.mark.parametrize(("counts", "significant"), [((520, 480), False), ((600, 400), True)])
def test_class_balance_is_news_only_where_chance_does_not_explain_it(
    counts: tuple[int, int], significant: bool
) -> None:
    assert columns.class_balance(drift(label=counts), DriftSettings()).significant == significant

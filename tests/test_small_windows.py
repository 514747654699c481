"""Windows of 0 to 50 records: below its minimum a test says so, gives nan and raises nothing, however far things moved.

Everything moves here as far as it can, so that an alarm is kept away by the number of records alone; from the minimum
on the same shift is seen.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import trimtab as tt
from trimtab.decide import columns, losses, signals
from trimtab.decide.decision import NOTHING_TESTED, decide
from trimtab.decide.losses import FEWEST_OF_CLASS, FEWEST_OUTCOMES
from trimtab.decide.signals import Signal, grade
from trimtab.measure.columns.aspects import SMALLEST_SAMPLE
from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.means import mean, rate
from trimtab.measure.columns.profile import Profile
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import Performance, measure_performance
from trimtab.measure.over_time.error_change import SMALLEST_DAYS, consecutive, consecutive_days
from trimtab.measure.over_time.snapshots import Snapshot, daily_losses
from trimtab.measure.together.domain import tell_apart
from trimtab.measure.together.reconstruction import reconstruct
from trimtab.measure.together.samples import encode
from trimtab.measure.unlabelled.confidence_estimates import confidence_based
from trimtab.run import checking
from trimtab.settings import Params
from trimtab.settings.drift import DriftSettings
from trimtab.wording import plural

RNG = np.random.default_rng(0)
SIZES = range(51)
SETTINGS = DriftSettings()
BEFORE = {"x": RNG.normal(size=500), "z": RNG.normal(size=500), "kind": RNG.choice(np.array(["a", "b"], object), 500)}
BINS: Any = {"x": freeze_numeric(BEFORE["x"]), "z": freeze_numeric(BEFORE["z"]),
             "kind": freeze_categorical(["a", "b"])}


def _moved(n: int) -> dict[str, Any]:
    return {"x": np.full(n, 50.0), "z": np.full(n, np.nan), "kind": np.array(["new"] * n, dtype=object)}


def _profile(values: dict[str, Any]) -> Profile:
    return Profile({name: profile_array(array, BINS[name]) for name, array in values.items()}, len(values["x"]))


def _drift(n: int) -> Drift:
    return compare(_profile(BEFORE), _profile(_moved(n)))


def _outputs(n: int, *, right: bool) -> Outputs:
    actual = np.arange(n) % 2
    p = np.where(actual == 1, 0.9, 0.1) if right else np.where(actual == 1, 0.1, 0.9)
    p = p + np.linspace(-0.05, 0.05, n)
    return Outputs(("no", "yes"), actual, (p > 0.5).astype(int), np.column_stack([1 - p, p]), 1)


def _graded(measured: signals.Measurement) -> Signal:
    return grade(measured, signals.default_triggers(SETTINGS))


@pytest.mark.parametrize("n", SIZES)
def test_columns_are_tested_from_thirty_records_on(n: int) -> None:
    drift, enough = _drift(n), n >= SMALLEST_SAMPLE
    assert bool(drift.drifted()) == enough
    assert bool(drift.too_few) != enough
    if not enough:
        assert f"{plural(n, 'record')} against 500, where each side needs 30" in drift.too_few
        assert all(math.isnan(c.p_value) and math.isnan(c.q_value) for c in drift.columns)
        assert all("too few records to test (fewer than 30)" in c.note for c in drift.columns)
    for look in (columns.feature_drift, columns.prediction_drift, columns.class_balance):
        found = _graded(look(drift, SETTINGS))
        assert (found.severity == "none") != enough
        assert math.isnan(found.value) == math.isnan(found.p_value) == found.untested != enough


@pytest.mark.parametrize("n", SIZES)
def test_rates_and_means_are_tested_from_thirty_values_on(n: int) -> None:
    levels = freeze_categorical(["true", "false"])
    fell = rate("r", profile_array(np.array(["true"] * 500, object), levels),
                profile_array(np.array(["false"] * n, object), levels))
    shifted = mean("x", profile_array(BEFORE["x"], BINS["x"]), profile_array(_moved(n)["x"], BINS["x"]))
    for found in (columns.rate_drop([fell]), columns.confidence_shift([shifted])):
        assert (_graded(found).severity == "none") == (n < SMALLEST_SAMPLE) == math.isnan(found.value)
        assert ("none has 30 values on both sides" in found.message) == (n < SMALLEST_SAMPLE)


@pytest.mark.parametrize("n", [0, 1, 5, 29, 30, 50])
def test_columns_together_are_tested_from_thirty_records_on(n: int) -> None:
    reference, current = encode(BEFORE, BINS), encode(_moved(n), BINS)
    apart, rebuilt = tell_apart(reference, current), reconstruct(reference, current)
    found = _graded(signals.joint_drift(apart, ()))
    assert (found.severity == "none") == (n < SMALLEST_SAMPLE) == found.untested
    assert math.isnan(rebuilt.p_value) == (n < SMALLEST_SAMPLE)
    if n < SMALLEST_SAMPLE:
        assert "fewer than 30" in apart.note
        assert "fewer than 30" in found.message


def _realised(now: Outputs, metric: str) -> signals.Measurement:
    params = SimpleNamespace(task="classification", promotion=SimpleNamespace(criteria=[
        SimpleNamespace(metric=metric, per=None)]))
    performance = measure_performance(now) if len(now) else Performance(0, {}, {})
    scored: Any = SimpleNamespace(
        said=None,
        performance=performance, baseline=measure_performance(_outputs(500, right=True)), outputs=now, no_scores="")
    return checking.performance_drop(SimpleNamespace(params=params, thresholds=SETTINGS), scored)  # type: ignore[arg-type]  # -- bare


@pytest.mark.parametrize("n", [0, 1, 2, 5, 29, 30, 50])
def test_a_loss_is_tested_from_thirty_outcomes_on(n: int) -> None:
    found = _realised(_outputs(n, right=False), "accuracy")
    assert (_graded(found).severity == "critical") == (n >= FEWEST_OUTCOMES)
    assert math.isnan(found.value) == (n < FEWEST_OUTCOMES)
    assert n >= FEWEST_OUTCOMES or n == 0 or f"only {plural(n, 'known outcome')}; 30 are needed" in found.message


@pytest.mark.parametrize("positives", [0, 1, 9, 10])
def test_a_metric_of_one_class_is_tested_from_ten_of_its_records_on(positives: int) -> None:
    n = 200
    actual = (np.arange(n) < positives).astype(int)
    p = np.full(n, 0.1) + np.linspace(-0.05, 0.05, n)
    never = Outputs(("no", "yes"), actual, np.zeros(n, dtype=int), np.column_stack([1 - p, p]), 1)
    found = _realised(never, "recall")
    assert (_graded(found).severity == "critical") == (positives >= FEWEST_OF_CLASS)
    told = f"only {plural(positives, 'record')} of the class that counts"
    assert positives >= FEWEST_OF_CLASS or told in found.message
    assert not math.isnan(_realised(never, "accuracy").value)


@pytest.mark.parametrize("n", [0, 1, 29, 30])
def test_nothing_is_estimated_of_fewer_than_thirty_records(n: int) -> None:
    found = confidence_based(_outputs(500, right=True), _outputs(n, right=True), ["accuracy", "roc_auc"])
    for one in found.values():
        assert math.isnan(one.value) == (n < 30)
        assert n >= 30 or f"only {n} current records; 30 are needed" in one.reason


@pytest.mark.parametrize("n", SIZES)
def test_two_windows_of_errors_are_told_apart_from_thirty_records_on(n: int) -> None:
    found = consecutive(np.linspace(0, 0.1, 100), np.linspace(5, 6, n))
    assert math.isnan(found.p_value) == (n < 30)
    assert (_graded(losses.concept_drift(found, "loss")).severity == "high") == (n >= 30)


@pytest.mark.parametrize("days", [0, 1, 2, 3, 10])
def test_two_windows_of_days_are_told_apart_from_three_days_on(days: int) -> None:
    first = np.datetime64("2024-03-01")

    def _days(at: int, count: int, loss: float) -> Any:
        return daily_losses([
            Snapshot((first + at + i).item(), 5, 5, {"mae": loss + 0.01 * (i % 3)}) for i in range(count)])

    found = consecutive_days(_days(0, 20, 1.0), _days(20, days, 9.0))
    assert math.isnan(found.p_value) == (days < SMALLEST_DAYS)
    assert days >= SMALLEST_DAYS or "fewer than 3" in losses.concept_drift(found, "loss").message


PARAMS = Params.model_validate({
    "model": "m", "task": "regression", "data": {"table": "t", "time": "at", "numeric": ["x"]},
    "estimator": {"class": "sklearn.linear_model.Ridge"},
})
UNTESTED = Signal("feature_drift", math.nan, 0.1, math.nan, "none", (), "It could not be tested.", math.nan)
QUIET = Signal("joint_drift", 0.5, 0.55, 0.6, "none", (), "All is as before.", -3.0)
OLD = Signal("model_age", 45.0, 30.0, math.nan, "low", (), "It is old.")


@pytest.mark.parametrize(("found", "reasons"), [
    ([UNTESTED], (NOTHING_TESTED, UNTESTED.message)),
    ([UNTESTED, OLD], (OLD.message, NOTHING_TESTED, UNTESTED.message)),
    ([UNTESTED, QUIET], ("No signal passed its threshold.", UNTESTED.message)),
    ([QUIET], ("No signal passed its threshold.",)),
    ([], ("No signal passed its threshold.",)),
])
def test_a_decision_does_not_take_what_could_not_be_tested_for_calm(
    found: list[Signal], reasons: tuple[str, ...]
) -> None:
    decision = decide(found, PARAMS)
    assert decision.reasons == reasons
    assert decision.untested == (("feature_drift",) if UNTESTED in found else ())
    assert (decision.confidence == 0.5) == (QUIET not in found)


@pytest.mark.parametrize("n", [1, 5, 29])
def test_tables_and_titles_do_not_call_an_untested_window_quiet(n: int) -> None:
    drift = _drift(n)
    html = tt.tables.drift(drift).to_html()
    assert f"None of 3 columns could be tested: {plural(n, 'record')} against 500" in html
    assert html.count(">not tested<") == 3
    assert ">no<" not in html
    assert "could be tested" in tt.plots.drift_overview(drift).answer
    assert "could be compared" in tt.tables.since_last(drift, SETTINGS).to_html()


def test_two_tables_that_are_too_small_say_so() -> None:
    import pandas as pd

    before, after = pd.DataFrame({"x": BEFORE["x"]}), pd.DataFrame({"x": [50.0] * 10})
    found = tt.check(before, after)
    assert found.drifted == ()
    assert repr(found) == \
        "<CheckResult: none of 1 column could be tested, 10 records against 500, where each side needs 30>"


def test_realised_metrics_of_few_records_are_not_called_better_or_worse() -> None:
    before = measure_performance(_outputs(500, right=False))
    few, enough = (measure_performance(_outputs(n, right=True)) for n in (5, 50))
    assert few.values[Measure("accuracy")].low == 1.0    # five right answers have an interval without width
    assert ">better<" not in tt.tables.performance(few, before).to_html()
    assert "not told apart (fewer than 30 outcomes)" in tt.tables.performance(few, before).to_html()
    assert ">better<" in tt.tables.performance(enough, before).to_html()


def test_one_of_a_thing_is_no_plural() -> None:
    assert signals.new_records(1).message == "1 record is newer than the champion's own."
    assert signals.new_records(1200).message == "1,200 records are newer than the champion's own."
    assert signals.model_age(1.2).message.endswith(" are 1 day old.")
    assert "rests on only 1 record of the class" in losses.too_few_outcomes("f1", 200, 1)

"""What holds for every divergence, metric and rule: symmetry, range, inputs left alone, order irrelevant, nan on empty.

Warnings are errors in all tests, so each of these also says that none is raised.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trimtab.decide import classes, columns, losses, segments, signals
from trimtab.decide.promotion import judge
from trimtab.measure.columns import divergences
from trimtab.measure.columns.aspects import Aspect
from trimtab.measure.columns.bins import NumericBins, freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import Drift, TermShift, compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.means import Moved
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.segments import Segment, SegmentColumn, SegmentDrift
from trimtab.measure.models.class_rates import Rate, RateChange
from trimtab.measure.models.intervals import Interval, Measure
from trimtab.measure.models.metrics import METRICS, Outputs, evaluate
from trimtab.measure.models.performance import evaluate_pair
from trimtab.measure.over_time.error_change import consecutive
from trimtab.measure.over_time.growth import growth
from trimtab.measure.together.domain import Separation
from trimtab.measure.unlabelled.estimates import Estimate
from trimtab.settings.drift import DriftSettings
from trimtab.settings.promotion import Criterion

RNG = np.random.default_rng


def _wasserstein(a: Any, b: Any) -> float:
    """Over bins that are as wide as one another, as many as there are counts."""
    edges = tuple(float(edge) for edge in range(len(a) - 1))
    return divergences.wasserstein(a, b, NumericBins(edges, (), 0.0, 1.0, -1.0, float(len(a)), 2.0))


def _shares(a: Any, b: Any) -> float:
    return divergences.share_difference((int(a[0]), int(np.sum(a))), (int(b[0]), int(np.sum(b))))


# Name: (function of two vectors of counts, largest value)
DIVERGENCES: dict[str, tuple[Callable[[Any, Any], float], float]] = {
    "psi": (divergences.psi, math.inf),
    "psi_by_chance": (divergences.psi_by_chance, math.inf),
    "jensen_shannon": (divergences.jensen_shannon, 1.0),
    "ks": (lambda a, b: divergences.kolmogorov_smirnov(a, b)[0], 1.0),
    "ks_p": (lambda a, b: divergences.kolmogorov_smirnov(a, b)[1], 1.0),
    "chi2": (lambda a, b: divergences.chi_square(a, b)[0], math.inf),
    "js_by_chance": (lambda a, b: divergences.jensen_shannon_by_chance(divergences.psi_by_chance(a, b)), 1.0),
    "pearson": (lambda a, b: divergences.pearson(a, b)[0], math.inf),
    "pearson_p": (lambda a, b: divergences.pearson(a, b)[1], 1.0),
    "chi2_p": (lambda a, b: divergences.chi_square(a, b)[1], 1.0),
    "share_p": (_shares, 1.0),
    "wasserstein": (_wasserstein, math.inf),
}
ORDERED = {"ks", "ks_p", "wasserstein", "share_p"}    # these look at the order of the bins

TWO_COUNTS = st.integers(5, 24).flatmap(
    lambda bins: st.tuples(*[hnp.arrays(np.int64, bins, elements=st.integers(0, 500))] * 2)
)


def test_every_public_divergence_is_swept() -> None:
    swept = {"psi", "psi_by_chance", "jensen_shannon", "kolmogorov_smirnov",
             "jensen_shannon_by_chance", "chi_square", "share_difference",
             "wasserstein", "false_discovery", "rare_cells", "pearson", "pooled"}
    swept |= {"distance_between"}    # by way of wasserstein
    public = {name for name, f in inspect.getmembers(divergences, inspect.isfunction) if not name.startswith("_")}
    assert public == swept


@settings(max_examples=40, deadline=None)
@given(pair=TWO_COUNTS)
def test_cells_are_rare_for_both_sides_and_those_that_are_kept_expect_ten(pair: tuple[Any, Any]) -> None:
    a, b = pair[0] + 1, pair[1] + 1
    rare = divergences.rare_cells(a, b)
    assert (divergences.rare_cells(b, a) == rare).all()
    expected = scipy.stats.contingency.expected_freq(np.array([a, b]))
    assert ((expected.min(axis=0) < 10) == rare).all()


@pytest.mark.parametrize("name", DIVERGENCES)
@settings(max_examples=40, deadline=None)
@given(pair=TWO_COUNTS)
def test_divergences_are_symmetric_in_range_and_leave_their_inputs_alone(name: str, pair: tuple[Any, Any]) -> None:
    function, most = DIVERGENCES[name]
    a, b = pair
    kept = a.copy(), b.copy()
    found = function(a, b)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])
    assert isinstance(found, float)
    if not (a.sum() and b.sum()):
        assert math.isnan(found)
        return
    assert -1e-12 <= found <= most + 1e-12
    assert function(b, a) == pytest.approx(found, abs=1e-9)
    if name not in ORDERED:
        order = RNG(0).permutation(len(a))
        assert function(a[order], b[order]) == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize("name", ["psi", "jensen_shannon", "ks", "chi2", "wasserstein"])
def test_equal_counts_do_not_diverge(name: str) -> None:
    counts = [5, 0, 20, 7, 100, 1]
    assert DIVERGENCES[name][0](counts, counts) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["ks_p", "chi2_p", "share_p"])
def test_equal_counts_are_no_evidence(name: str) -> None:
    assert DIVERGENCES[name][0]([50, 60, 7], [50, 60, 7]) == pytest.approx(1.0)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("sides", [([0] * 6, [1] * 6), ([1] * 6, [0] * 6), ([0] * 6, [0] * 6)])
def test_a_divergence_from_nothing_is_nan(name: str, sides: tuple[list[int], list[int]]) -> None:
    assert math.isnan(DIVERGENCES[name][0](*sides))


@settings(max_examples=40, deadline=None)
@given(p=hnp.arrays(float, st.integers(0, 30), elements=st.floats(0, 1) | st.just(math.nan)))
def test_adjusted_p_values_are_no_smaller_and_in_the_same_order(p: Any) -> None:
    kept = p.copy()
    q = divergences.false_discovery(p)
    assert np.array_equal(p, kept, equal_nan=True)
    tested = ~np.isnan(p)
    assert np.array_equal(np.isnan(q), ~tested)
    assert (q[tested] >= p[tested] - 1e-12).all()
    assert (q[tested] <= 1).all()
    assert (np.diff(q[tested][np.argsort(p[tested])]) >= -1e-12).all()


# -- profiles ----------------------------------------------------------------------------------------------------------

VALUES = hnp.arrays(
    float, st.integers(0, 60), elements=st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0])
)


@settings(max_examples=80, deadline=None)
@given(reference=VALUES, current=VALUES, cut=st.integers(0, 60))
@example(reference=np.array([1e307] * 17 + [1.1e307] * 3), current=np.array([]), cut=0)
@example(reference=np.array([1e307] * 20), current=np.array([]), cut=0)
def test_profiles_of_parts_add_up_in_any_order_for_any_floats(reference: Any, current: Any, cut: int) -> None:
    kept = reference.copy(), current.copy()
    bins = freeze_numeric(reference)
    whole = profile_array(current, bins)
    assert whole == profile_array(current[:cut], bins) + profile_array(current[cut:], bins)
    assert whole == profile_array(current[::-1], bins)
    assert bins == freeze_numeric(reference[::-1]) or np.isnan(bins.scale)
    assert whole.rows == len(current)
    assert list(bins.edges) == sorted(set(bins.edges))
    assert np.array_equal(reference, kept[0], equal_nan=True)
    assert np.array_equal(current, kept[1], equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(reference=VALUES, current=VALUES)
@example(reference=np.array([0, 3e89, 0, 5e-220, 5e-220, 5e-220]), current=np.array([0.0]))
@example(reference=np.array([-1.7e308, 0, 1, 2, 3, 1.7e308]), current=np.array([0.0]))
def test_any_two_windows_can_be_compared(reference: Any, current: Any) -> None:
    bins = freeze_numeric(reference)
    pair = [Profile({"x": profile_array(values, bins)}, len(values)) for values in (reference, current)]
    found = compare(*pair)["x"]
    for name in ("psi", "js", "ks", "chi2", "wasserstein", "psi_by_chance"):
        value = getattr(found, name)
        assert math.isnan(value) or value >= -1e-12
    for name in ("p_value", "q_value", "ks_p", "chi2_p", "outliers", "outside"):
        value = getattr(found, name)
        assert math.isnan(value) or 0 <= value <= 1 + 1e-12
    for aspect in found.aspects:
        assert math.isnan(aspect.size) or aspect.size >= 0
        assert 0 <= aspect.p_value <= aspect.q_value <= 1 + 1e-12


# -- metrics -----------------------------------------------------------------------------------------------------------


def outputs(task: str, n: int = 200) -> Outputs:
    rng = RNG(n)
    if task == "regression":
        actual = rng.normal(size=n)
        return Outputs((), actual, actual + rng.normal(size=n))
    classes = 2 if task == "binary" else 3
    scores = rng.dirichlet(np.ones(classes), n) if n else np.zeros((0, classes))
    actual = np.array([rng.choice(classes, p=p) for p in scores], dtype=int)
    return Outputs(tuple("abc"[:classes]), actual, scores.argmax(axis=1), scores, 1 if classes == 2 else None)


CASES = [(name, task) for name, metric in METRICS.items() for task in metric.tasks]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_metrics_are_in_range_whatever_the_order_and_leave_their_inputs_alone(name: str, task: str) -> None:
    one = outputs(task)
    before = copy.deepcopy(one)
    value = evaluate(name, one)
    assert METRICS[name].low <= value <= METRICS[name].high
    assert evaluate(name, one.take(RNG(1).permutation(len(one)))) == pytest.approx(value, abs=1e-9)
    twice = one.take(np.repeat(np.arange(len(one)), 2))
    assert evaluate(name, one, np.full(len(one), 2)) == pytest.approx(evaluate(name, twice), abs=1e-9)
    for field in ("actual", "predicted", "scores"):
        assert np.array_equal(getattr(one, field), getattr(before, field))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_metric_of_nothing_is_nan(name: str, task: str) -> None:
    assert math.isnan(evaluate(name, outputs(task, 0)))


# -- rules -------------------------------------------------------------------------------------------------------------

EMPTY = Interval(math.nan, math.nan, math.nan, 0.95, math.nan)


def a_drift(rows: int = 500, *, shift: float = 0.0) -> Drift:
    rng = RNG(rows)
    values = rng.normal(size=500)
    values[0] = np.nan
    bins, levels = freeze_numeric(values), freeze_categorical(["a", "b"])
    before = {"x": profile_array(values, bins), "k": profile_array(rng.choice(["a", "b"], 500), levels)}
    x, k = rng.normal(shift, size=rows), rng.choice(["a", "b"], rows)
    now = {"x": profile_array(x, bins), "k": profile_array(k, levels)}
    return compare(Profile(before, 500), Profile(now, rows))


DAYS = np.arange("2024-01-01", "2024-03-31", dtype="datetime64[D]")


def with_words(drift: Drift, count: int) -> Drift:
    """The same with a text column, of which so many words moved."""
    aspects = tuple(Aspect(name, 0.0, 1.0, q_value=1.0) for name in ("words", "word", "unseen_words"))
    terms = (TermShift("red", 0.5, 0.1, 0.0), TermShift("blue", 0.0, 0.5, 0.0))[:count]
    text = replace(drift.columns[0], kind="text", aspects=aspects, terms=terms)
    return replace(drift, columns=(*drift.columns, text))


def a_segment(drift: Drift, count: int) -> SegmentDrift:
    """All of a drift's columns as those of one segment, which the other records did not follow."""
    north = Segment("site", "north")
    sizes = [{aspect.name: max(aspect.size, 0.0) for aspect in column.aspects} for column in drift.columns]
    found = [SegmentColumn(north, column, by, 500, 500) for column, by in zip(drift.columns, sizes, strict=True) if by]
    return SegmentDrift(tuple(found), (north,) if count else (), len(found))


def measurements(drift: Drift, interval: Interval, count: int) -> list[signals.Measurement]:
    """One of each kind."""
    rules, estimate = DriftSettings(), Estimate(0.8, 0.7, 0.9, 0.95, "confidence", 0.8)
    return [
        *columns.inputs(with_words(drift, count), rules), *columns.outputs(drift, rules),
        columns.class_balance(drift, rules),
        losses.concept_drift(consecutive(np.linspace(0, 1, 5 * count), np.linspace(0, 1, 5 * count)), "log loss"),
        columns.rate_drop([Moved("r", 0.5, 0.5, 0.0, 0.0, 0.5)][:count]), columns.confidence_shift([]),
        losses.estimated_drop("accuracy", estimate if count else replace(estimate, value=math.nan),
                               greater_is_better=True),
        signals.joint_drift(Separation(math.nan if not count else 0.5, 0.4, 0.6, 0.5 if count else math.nan, 9, 9), ()),
        signals.growth(growth(DAYS[:60], np.full(60, count), DAYS[60:], np.full(30, count))),
        segments.segment_drift(a_segment(drift, count), rules),
        signals.new_records(count), signals.model_age(float(count)),
        signals.schedule("month", datetime(2024, 1, 1), datetime(2024, 1 + count, 1)),
        signals.label_completeness(count, count // 2), signals.unusable_outputs(count / 100, "Some cannot be used."),
        losses.performance_drop("accuracy", interval, interval, greater_is_better=True),
        classes.class_drop([RateChange(Measure("recall", "a"), *[Rate(0.5, 50, 9, 1.0)] * 2, 0.1, 1.0)][:count]),
    ]


def test_every_signal_is_swept() -> None:
    found = measurements(a_drift(), Interval(0.8, 0.7, 0.9, 0.95, 0.05), 10)
    assert {one.name for one in found} == set(signals.SIGNALS)


@pytest.mark.parametrize("measured", measurements(a_drift(0), EMPTY, 0), ids=lambda m: m.name)
def test_a_rule_without_records_says_nothing_and_is_graded_none(measured: signals.Measurement) -> None:
    assert math.isnan(measured.value) or measured.value == 0 or not measured.significant
    signal = signals.grade(measured, signals.default_triggers(DriftSettings()))
    assert signal.severity == "none"
    assert signal.message.endswith(".")


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_grading_the_same_twice_gives_the_same_and_changes_nothing(shift: float) -> None:
    drift = a_drift(shift=shift)
    before = copy.deepcopy(drift)
    triggers = signals.default_triggers(DriftSettings())
    first, second = (
        [signals.grade(m, order) for m in measurements(drift, Interval(0.8, 0.7, 0.9, 0.95, 0.05), 10)]
        for order in (triggers, triggers[::-1])
    )
    assert repr(first) == repr(second)    # in whichever order the triggers are written
    assert repr(drift) == repr(before)
    assert first[0].severity == ("high" if shift else "none")


def test_a_verdict_does_not_depend_on_the_order_of_criteria_or_records() -> None:
    model, order = outputs("binary"), RNG(2).permutation(200)
    criteria = [Criterion(metric="accuracy", max_drop=0.2), Criterion(metric="roc_auc", floor=0.99)]
    champion = Outputs(model.labels, model.actual, 1 - model.predicted, model.scores, 1)
    first = judge(criteria, evaluate_pair(model, champion))
    again = judge(criteria[::-1], evaluate_pair(model.take(order), champion.take(order)))
    assert first.outcome == again.outcome == "reject"
    assert [row.finding for row in first.rows] == [row.finding for row in again.rows][::-1]

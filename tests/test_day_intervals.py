"""Intervals of single days from what is kept of them, and the counts of classes taken for one another."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from trimtab.measure.models import count_intervals
from trimtab.measure.models.confusion import MOST_CLASSES, Confusion
from trimtab.measure.models.losses import MEANS, standard_errors
from trimtab.measure.models.metrics import METRICS, applicable, evaluate, per_class
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.over_time import snapshots as snapshots_module
from trimtab.measure.over_time.certainty import of_class, of_day, of_segment
from trimtab.measure.over_time.snapshots import Snapshot, confused, snapshots

DAY = date(2024, 3, 1)
RNG = np.random.default_rng


def three_classes(n: int = 300, seed: int = 0, classes: int = 3) -> Outputs:
    """A model that is right more often than not and says how sure it is."""
    rng = RNG(seed)
    actual = rng.integers(0, classes, n)
    scores = rng.dirichlet(np.ones(classes), n)
    scores[np.arange(n), actual] += 0.6
    scores /= scores.sum(axis=1, keepdims=True)
    return Outputs(tuple(f"c{i}" for i in range(classes)), actual, scores.argmax(axis=1), scores)


def binary(n: int = 300, seed: int = 0, share: float = 0.3, apart: float = 1.0) -> Outputs:
    rng = RNG(seed)
    actual = (rng.random(n) < share).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(size=n) + apart * (2 * actual - 1) - 0.5)))
    return Outputs(("no", "yes"), actual, (p > 0.5).astype(int), np.column_stack([1 - p, p]), positive=1)


def one_day(outputs: Outputs) -> Snapshot:
    return snapshots(outputs, np.full(len(outputs), DAY, dtype="datetime64[D]"), {DAY: len(outputs)})[0]


def test_a_day_of_three_classes_has_its_confusion_and_its_log_loss() -> None:
    outputs = three_classes()
    taken = one_day(outputs)
    assert taken.metrics["log_loss"] == pytest.approx(evaluate("log_loss", outputs))
    assert taken.confusion is not None
    expected = np.zeros((3, 3), dtype=int)
    np.add.at(expected, (outputs.actual, outputs.predicted), 1)
    assert np.array_equal(taken.confusion.counts, expected)
    assert taken.confusion.records == taken.labelled
    assert Confusion.from_json(json.loads(json.dumps(taken.confusion.to_json()))) == taken.confusion


def test_confusions_of_days_add_up_to_that_of_all_of_them() -> None:
    outputs = three_classes(400)
    days = np.array([DAY + timedelta(days=int(d)) for d in RNG(1).integers(0, 9, 400)], dtype="datetime64[D]")
    taken = snapshots(outputs, days, dict.fromkeys(np.unique(days).tolist(), 50))
    total = confused(taken)
    assert total is not None
    assert dict(zip(total.labels, total.counts, strict=True)).keys() == set(outputs.labels)
    for name, parts in (("recall", total.found), ("precision", total.right)):
        ours = [a / n for a, n in map(parts, outputs.labels)]
        assert ours == pytest.approx(per_class(name, outputs).tolist())


def test_a_class_that_one_day_lacks_keeps_its_place_when_days_are_added() -> None:
    monday, tuesday = Confusion(("b",), ((4,),)), Confusion(("a", "b"), ((1, 2), (0, 3)))
    assert (monday + tuesday).counts == ((7, 0), (2, 1))    # b, then a
    assert (monday + tuesday).found("a") == (1, 3)
    assert (monday + tuesday).right("b") == (7, 9)
    assert (monday + Confusion((), ())).found("z") == (0, 0)


@pytest.mark.parametrize(("classes", "kept"), [(MOST_CLASSES, True), (MOST_CLASSES + 1, False)])
def test_more_than_fifty_classes_keep_no_confusion_but_what_is_known_of_each(classes: int, kept: bool) -> None:
    taken = one_day(three_classes(2000, classes=classes))
    assert (taken.confusion is not None) == kept
    assert not math.isnan(taken.groups["class c0"]["recall"])
    assert not math.isnan(of_class(taken, "c0", "recall").value)
    assert math.isnan(of_class(taken, "c0", "recall").low) != kept


def test_days_that_were_scored_before_confusions_were_kept_make_their_sum_unknown() -> None:
    new, old, empty = one_day(three_classes()), Snapshot(DAY, 5, 5, {"accuracy": 0.8}), Snapshot(DAY, 5, 0, {})
    assert confused([new, old]) is None
    assert confused([empty]) is None
    assert confused([new, empty]) == new.confusion


def test_a_regression_has_no_confusion() -> None:
    assert one_day(Outputs((), np.array([1.0, 2.0]), np.array([1.5, 2.0]))).confusion is None


def test_counts_that_are_no_square_are_refused() -> None:
    with pytest.raises(ValueError, match="no square of 2"):
        Confusion(("a", "b"), ((1, 2),))


@pytest.mark.parametrize(("part", "whole"), [(0, 5), (5, 5), (1, 1), (0, 1), (37, 100), (999, 1000)])
def test_intervals_of_shares_are_those_of_scipy(part: int, whole: int) -> None:
    ours = count_intervals.share(part, whole, confidence=0.9)
    theirs = stats.binomtest(part, whole).proportion_ci(0.9, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_no_record_tells_nothing_and_one_says_little() -> None:
    assert math.isnan(count_intervals.share(0, 0).low)
    assert math.isnan(count_intervals.area(0.7, 0, 5).low)
    assert math.isnan(count_intervals.area(math.nan, 5, 5).low)
    assert math.isnan(count_intervals.mean_loss(0.5, math.nan, 1).low)
    assert math.isnan(count_intervals.mean_of([]).value)
    found = count_intervals.area(1.0, 1, 1)
    assert found.low < 0.3 < found.high == 1.0
    with pytest.raises(ValueError, match="confidence"):
        count_intervals.share(1, 2, confidence=1.0)


def _error(name: str, outputs: Outputs) -> float:
    return float(standard_errors(name, outputs)(np.ones((1, len(outputs))))[0])


@pytest.mark.parametrize("at_once", [1, 10**6])
@pytest.mark.parametrize("classes", [0, 2, 4])
def test_days_measured_together_are_measured_as_each_alone(
    classes: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots_module, "_AT_ONCE", at_once)
    rng = RNG([4, classes])
    scores = rng.dirichlet(np.ones(max(classes, 1)), 300)
    actual = rng.integers(0, classes, 300) if classes else rng.normal(size=300)
    outputs = Outputs(tuple("abcd"[:classes]), actual, scores.argmax(axis=1) if classes else actual + 0.1,
                      scores if classes else None, 1 if classes == 2 else None)
    days = np.datetime64("2024-01-01") + rng.integers(0, 12, 300) ** 2 // 12    # most days have many, some few or none
    segments = {"first": rng.random(300) < 0.1, "all": np.ones(300, dtype=bool)}
    rows = dict.fromkeys(np.arange("2023-12-30", "2024-01-15", dtype="datetime64[D]").tolist(), 300)
    for one in snapshots(outputs, days, rows, segments=segments):
        here = days == np.datetime64(one.day)
        alone = outputs.take(here)
        assert one.labelled == len(alone)
        assert bool(one.metrics) is bool(len(alone))
        for name in applicable(outputs) if len(alone) else ():
            assert one.metrics[name] == pytest.approx(evaluate(name, alone), abs=1e-9, nan_ok=True), name
        for name, mask in segments.items():
            part = outputs.take(mask & here)
            assert (name in one.groups) is bool(len(part))
            for metric in applicable(outputs) if len(part) else ():
                assert one.groups[name][metric] == pytest.approx(evaluate(metric, part), abs=1e-9, nan_ok=True), metric
        came = {outputs.labels[code] for code in alone.actual} if classes else set()
        assert {name.removeprefix("class ") for name in one.groups if name.startswith("class ")} == came


@pytest.mark.parametrize("wild", [1e7, 1e12])
def test_a_wild_value_spoils_no_day_but_its_own(wild: float) -> None:
    rng = RNG(6)
    actual = rng.normal(50, 10, 800)
    predicted = actual + rng.normal(size=800)
    predicted[0], actual[1] = wild, -wild
    outputs = Outputs((), actual, predicted)
    days = np.repeat(np.arange("2024-01-01", "2024-01-09", dtype="datetime64[D]"), 100)
    every = snapshots(outputs, days, dict.fromkeys(np.unique(days).tolist(), 100))
    for place, one in enumerate(every[1:], 1):
        alone = outputs.take(np.arange(100 * place, 100 * (place + 1)))
        for name in ("mae", "rmse", "r2"):
            assert one.metrics[name] == pytest.approx(evaluate(name, alone), rel=1e-6), name
        for name in ("mae", "rmse"):
            assert one.metrics[f"{name}_error"] == pytest.approx(_error(name, alone), rel=1e-6), name


@pytest.mark.parametrize("name", MEANS)
def test_standard_errors_are_those_of_many_samples(name: str) -> None:
    """400 samples (seeds 0 to 399) of 200 records: their standard deviation is known to 1/√800, that is 3.5 %; four of
    these are allowed."""
    rng = RNG(9)
    numbers = name in ("mae", "rmse")
    drawn = [Outputs((), (a := rng.normal(size=200)), a + rng.normal(size=200)) if numbers else binary(200, seed)
             for seed in range(400)]
    values = np.array([evaluate(name, one) for one in drawn])
    errors = np.array([_error(name, one) for one in drawn])
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.14)


def test_an_error_of_nothing_is_zero_and_of_one_record_unknown() -> None:
    exact = Outputs((), np.arange(3.0), np.arange(3.0))
    assert _error("rmse", exact) == _error("mae", exact) == 0.0
    assert math.isnan(_error("mae", exact.take(np.array([0]))))


@pytest.mark.parametrize("records", [30, 200])
def test_intervals_of_a_day_cover_what_the_model_is_worth(records: int) -> None:
    """500 days (seeds 0 to 499) at 95 %: four standard errors of such a share are 3.9 points. Few losses are skewed,
    so that two points more are allowed at 30 records."""
    worth = one_day(binary(400_000, seed=999)).metrics
    asked = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "roc_auc", "log_loss", "brier")
    covered, known = dict.fromkeys(asked, 0), dict.fromkeys(asked, 0)
    for seed in range(500):
        taken = one_day(binary(records, seed))
        for name in asked:
            found = of_day(taken, name)
            known[name] += not math.isnan(found.low)
            covered[name] += found.low <= worth[name] <= found.high
    assert min(known.values()) >= 490    # the others had a class missing
    for name in asked:
        assert covered[name] / known[name] >= (0.95 - 0.039 - 0.02 * (records == 30)), name


def test_intervals_hold_the_value_and_shrink_with_records() -> None:
    for name in METRICS:
        spans = []
        for n in (100, 1600):
            taken = one_day(binary(n, 3))
            if name not in taken.metrics:
                break
            found = of_day(taken, name)
            assert found.value == pytest.approx(taken.metrics[name])
            spans.append(found.high - found.low)
            assert not found.low > found.value
            assert not found.high < found.value
        if spans and not math.isnan(spans[0]):
            assert spans[1] == pytest.approx(spans[0] / 4, rel=0.35)


def test_mean_recall_over_classes_has_an_interval_and_mean_f1_none() -> None:
    taken = one_day(three_classes())
    found = of_day(taken, "recall")
    assert found.value == pytest.approx(taken.metrics["recall"])
    assert found.low < found.value < found.high
    assert math.isnan(of_day(taken, "f1").low)
    assert math.isnan(of_day(taken, "r2").value)


def test_a_class_and_a_segment_of_a_day_have_intervals_too() -> None:
    outputs = binary(200)
    days = np.full(200, DAY, dtype="datetime64[D]")
    half = {"site = a": np.arange(200) < 100}
    taken = snapshots(outputs, days, {DAY: 200}, segments=half)[0]
    assert of_class(taken, "yes", "recall") == of_day(taken, "recall")
    assert of_class(taken, "yes", "f1").value == pytest.approx(taken.metrics["f1"])
    first = one_day(outputs.take(half["site = a"]))
    for name in ("accuracy", "roc_auc", "log_loss"):
        assert of_segment(taken, "site = a", name) == of_day(first, name)
    assert math.isnan(of_segment(taken, "site = z", "accuracy").value)
    with pytest.raises(ValueError, match="precision, recall and f1"):
        of_class(taken, "yes", "accuracy")


def test_a_day_from_before_has_intervals_of_shares_alone() -> None:
    old = Snapshot(DAY, 10, 10, {"accuracy": 0.9, "log_loss": 0.3})
    assert of_day(old, "accuracy").low == pytest.approx(0.596, abs=0.001)
    assert math.isnan(of_day(old, "log_loss").low)
    assert math.isnan(of_day(Snapshot(DAY, 10, 0, {}), "coverage").low)
    assert of_day(Snapshot(DAY, 10, 10, {}, {"coverage": 0.9}), "coverage") == of_day(old, "accuracy")

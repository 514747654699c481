"""The gate: each kind of bound passes, fails, stays undecided or cannot be evaluated; a missing answer is no yes."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trimtab import tables
from trimtab.decide.promotion import judge
from trimtab.measure.models.intervals import Interval, Measure, PairedDifference
from trimtab.measure.models.metrics import Outputs, metric
from trimtab.measure.models.performance import Evaluation, Performance, evaluate_pair
from trimtab.run import reports
from trimtab.run.contests import Contest
from trimtab.run.manifest import Manifest
from trimtab.settings.promotion import Criterion
from trimtab.windows import Window


def at(value: float, half: float = 0.01) -> Interval:
    return Interval(value, value - half, value + half, 0.95, half / 2)


def contest(
    *, champion: float = 0.8, gain: float = 0.0, half: float = 0.01, metric: str = "accuracy", support: int = 500,
    measure: Measure | None = None, labels: tuple[str, ...] = (), segments: tuple[str, ...] = (), alone: bool = False,
) -> Evaluation:
    """One measure, with the difference's interval as wide as asked for."""
    one = measure or Measure(metric)
    pair = PairedDifference(
        at(champion), at(champion + gain, half), at(gain, half), at(gain / champion if champion else math.nan, half)
    )
    performance = Performance(support, {one: pair.challenger}, {one: support})
    return Evaluation(support, performance, {} if alone else {one: pair}, labels, segments)


def finding(evaluation: Evaluation, metric: str = "accuracy", **bound: Any) -> str:
    (row,) = judge([Criterion(metric=metric, **bound)], evaluation).rows
    return row.finding


@pytest.mark.parametrize(("bound", "gain", "expected"), [
    ({"max_drop": 0.02}, 0.0, "passed"), ({"max_drop": 0.02}, -0.015, "undecided"),
    ({"max_drop": 0.02}, -0.03, "failed"),
    ({"min_gain": 0.0}, 0.02, "passed"), ({"min_gain": 0.0}, 0.005, "undecided"), ({"min_gain": 0.0}, -0.01, "failed"),
    ({"min_relative_gain": 0.05}, 0.08, "passed"), ({"min_relative_gain": 0.05}, 0.044, "undecided"),
    ({"min_relative_gain": 0.05}, 0.01, "failed"),
    ({"floor": 0.7}, 0.0, "passed"), ({"floor": 0.795}, 0.0, "undecided"), ({"floor": 0.9}, 0.0, "failed"),
])
def test_each_bound_passes_stays_undecided_or_fails(bound: dict[str, float], gain: float, expected: str) -> None:
    assert finding(contest(gain=gain), **bound) == expected


@pytest.mark.parametrize(("bound", "gain", "expected"), [
    ({"max_drop": 0.02}, 0.0, "passed"), ({"max_drop": 0.02}, 0.03, "failed"), ({"max_drop": 0.02}, 0.015, "undecided"),
    ({"min_gain": 0.0}, -0.02, "passed"), ({"min_gain": 0.0}, 0.02, "failed"),
    ({"min_relative_gain": 0.05}, -0.08, "passed"), ({"min_relative_gain": 0.05}, 0.08, "failed"),
    ({"floor": 0.9}, 0.0, "passed"), ({"floor": 0.805}, 0.0, "undecided"), ({"floor": 0.7}, 0.0, "failed"),
])
def test_bounds_are_turned_round_where_less_is_better(bound: dict[str, float], gain: float, expected: str) -> None:
    assert finding(contest(gain=gain, metric="mae"), metric="mae", **bound) == expected


def test_a_missed_floor_tells_what_the_champion_has() -> None:
    """Where who serves lies below it, too, keeping a better challenger out is a question for a person."""
    floor = [Criterion(metric="accuracy", floor=0.9)]
    (reason,) = judge(floor, contest(champion=0.3, gain=0.4)).reasons
    assert "missed, measured 0.7000 [0.6900, 0.7100] (the champion: 0.3000) on 500 records" in reason
    (alone,) = judge(floor, contest(champion=0.7, alone=True)).reasons
    assert "champion" not in alone


def test_a_floor_may_be_touched_and_equal_models_gain_nothing() -> None:
    assert finding(contest(half=0.01), floor=0.79) == "passed"
    assert finding(contest(half=0.0), max_drop=0.0) == "undecided"
    assert finding(contest(half=0.0), min_gain=0.0) == "undecided"


@pytest.mark.parametrize("bound", [{"max_drop": 0.01}, {"min_gain": -0.01}])
def test_a_point_estimate_at_its_bound_passes_in_spite_of_rounding(bound: dict[str, float]) -> None:
    """B11: a challenger may be worse by one point, and no more."""
    assert 0.79 - 0.80 < -0.01    # in floating point
    assert finding(contest(gain=0.79 - 0.80, half=0.2), evidence="point", **bound) == "passed"
    assert finding(contest(gain=-0.0101, half=0.2), evidence="point", **bound) == "failed"


def test_a_missing_interval_is_no_yes_unless_points_are_asked_for() -> None:
    assert finding(contest(half=math.nan), max_drop=0.02) == "not evaluable"
    assert finding(contest(half=math.nan), max_drop=0.02, evidence="point") == "passed"
    assert finding(contest(half=math.nan, gain=-0.1), max_drop=0.02) == "failed"


@pytest.mark.parametrize(("support", "expected"), [(29, "not evaluable"), (30, "passed")])
def test_too_few_records_are_no_evidence(support: int, expected: str) -> None:
    assert finding(contest(support=support), max_drop=0.02) == expected


def test_what_is_undefined_or_was_not_measured_is_not_evaluable() -> None:
    assert finding(contest(gain=math.nan), max_drop=0.02) == "not evaluable"
    assert finding(contest(champion=0.0, gain=0.5), min_relative_gain=0.1) == "not evaluable"
    (row,) = judge([Criterion(metric="f1", max_drop=0.02)], contest()).rows
    assert (row.finding, row.note) == ("not evaluable", "f1 cannot be computed for the challenger")


@pytest.mark.parametrize("per", ["class", "segment"])
@pytest.mark.parametrize("bound", [{"max_drop": 0.1}, {"floor": 0.1}])
def test_a_criterion_per_group_without_groups_has_not_passed(per: Any, bound: dict[str, float]) -> None:
    verdict = judge([Criterion(metric="accuracy", per=per, **bound)], contest())
    assert verdict.outcome == "hold"
    assert verdict.rows[0].note == f"there is no {per} to measure"


def test_one_segment_that_misses_is_named_and_rejects() -> None:
    measure = Measure("accuracy", segment="site = north")
    verdict = judge(
        [Criterion(metric="accuracy", per="segment", max_drop=0.02)],
        contest(measure=measure, gain=-0.2, segments=("site = north",)),
    )
    assert verdict.outcome == "reject"
    assert "for site = north: missed" in verdict.reasons[0]


# -- the verdict -------------------------------------------------------------------------------------------------------

PASSES = {"metric": "accuracy", "max_drop": 0.02}
FAILS = {"metric": "accuracy", "min_gain": 0.5}
UNSURE = {"metric": "accuracy", "min_gain": 0.0}
APPROVE = {"otherwise": "approve"}


@pytest.mark.parametrize(("criteria", "outcome"), [
    ([PASSES], "promote"), ([PASSES, FAILS], "reject"), ([UNSURE], "hold"), ([UNSURE, FAILS], "reject"),
    ([FAILS | APPROVE], "needs_approval"), ([UNSURE | APPROVE, PASSES], "needs_approval"),
    ([FAILS | APPROVE, UNSURE], "hold"), ([FAILS | APPROVE, FAILS], "reject"), ([], "hold"),
])
def test_a_rejection_outweighs_a_hold_and_that_a_request_and_that_a_promotion(
    criteria: list[Any], outcome: str
) -> None:
    verdict = judge([Criterion(**criterion) for criterion in criteria], contest())
    assert verdict.outcome == outcome
    assert verdict.reasons


@pytest.mark.parametrize(("criteria", "outcome"), [
    ([FAILS], "promote"), ([{"metric": "accuracy", "floor": 0.7}, FAILS], "promote"), ([], "promote"),
    ([{"metric": "accuracy", "floor": 0.9}], "reject"), ([{"metric": "accuracy", "floor": 0.795}], "hold"),
    ([{"metric": "f1", "floor": 0.1}], "hold"), ([FAILS | {"per": "segment"}], "promote"),
])
def test_without_a_champion_only_floors_apply(criteria: list[Any], outcome: str) -> None:
    assert judge([Criterion(**criterion) for criterion in criteria], contest(alone=True)).outcome == outcome


# -- with models -------------------------------------------------------------------------------------------------------


def model(actual: Any, right: Any, *, scores: bool = True) -> Outputs:
    said = np.where(right, actual, 1 - actual)
    p = np.where(said == 1, 0.9, 0.1)
    return Outputs(("common", "rare"), actual, said, np.column_stack([1 - p, p]) if scores else None, 1)


ACTUAL = (np.arange(2000) % 10 == 0).astype(int)
RANK = np.random.default_rng(0).permutation(2000) / 2000


def test_challenger_worse_on_a_minority_class_is_rejected() -> None:
    champion = model(ACTUAL, np.where(ACTUAL == 1, RANK < 0.9, RANK < 0.8))
    challenger = model(ACTUAL, np.where(ACTUAL == 1, RANK < 0.6, RANK < 0.95))
    per_class = Criterion(metric="recall", per="class", max_drop=0.05)
    found = evaluate_pair(challenger, champion, per_class=["recall"])
    assert judge([Criterion(metric="accuracy", min_gain=0.0)], found).outcome == "promote"
    verdict = judge([Criterion(metric="accuracy", min_gain=0.0), per_class], found)
    assert verdict.outcome == "reject"
    found_per_class = {row.group: row.finding for row in verdict.rows[1:]}
    assert found_per_class == {"class common": "passed", "class rare": "failed"}


def test_a_champion_without_probabilities_makes_its_comparison_not_evaluable_but_floors_hold() -> None:
    challenger, champion = model(ACTUAL, RANK < 0.95), model(ACTUAL, RANK < 0.8, scores=False)
    found = evaluate_pair(challenger, champion, metrics=["roc_auc"])
    verdict = judge([Criterion(metric="roc_auc", max_drop=0.1), Criterion(metric="roc_auc", floor=0.8)], found)
    assert [row.finding for row in verdict.rows] == ["not evaluable", "passed"]
    assert verdict.rows[0].note == "roc_auc cannot be computed for the champion"
    assert verdict.outcome == "hold"


def test_a_challenger_without_probabilities_cannot_pass_a_gate_that_needs_them() -> None:
    challenger, champion = model(ACTUAL, RANK < 0.95, scores=False), model(ACTUAL, RANK < 0.8)
    for rival in (champion, None):
        found = evaluate_pair(challenger, rival, metrics=["roc_auc"])
        assert judge([Criterion(metric="roc_auc", floor=0.1)], found).outcome == "hold"


def test_a_metric_of_another_task_is_an_error_not_a_verdict() -> None:
    with pytest.raises(ValueError, match="mae is not defined for binary"):
        evaluate_pair(model(ACTUAL, RANK < 2), None, metrics=["mae"])


def test_recall_of_a_handful_of_positives_is_no_evidence_however_many_records_there_are() -> None:
    rng = np.random.default_rng(0)
    actual = np.zeros(2000, dtype=int)
    actual[:3] = 1
    scores = np.clip(actual * 0.9 + rng.uniform(0, 0.1, 2000), 0, 1)
    outputs = Outputs(("no", "yes"), actual, actual, np.column_stack([1 - scores, scores]), 1)
    found = evaluate_pair(outputs, outputs)
    criteria = [Criterion(metric=name, max_drop=0.05) for name in ("recall", "precision", "f1", "roc_auc")]
    verdict = judge(criteria, found)
    assert verdict.outcome == "hold"
    assert [(row.support, row.finding) for row in verdict.rows] == [(3, "not evaluable")] * 4


@pytest.mark.parametrize("name", ["log_loss", "roc_auc"])
def test_a_gain_has_the_same_sign_in_verdict_tables_and_report(name: str, tmp_path: Path) -> None:
    """The challenger is better, so all say plus, whether more or less of the metric is better."""
    better = 0.1 * metric(name).sign
    held = contest(champion=0.5, gain=better, metric=name)
    verdict = judge([Criterion(metric=name, min_gain=0.2)], held)
    result = {
        "seconds": 1.0, "decision": None, "guard": None, "verdict": "reject", "champion_before": 1, "champion_after": 1,
        "metrics": {"champion": {name: 0.5}, "challenger": {name: 0.5 + better}},
    }
    manifest = Manifest(
        "r", "demo", None, "retrain", "succeeded", datetime(2024, 1, 1), datetime(2024, 1, 2), False, {}, result=result,
        packages={}, code={},
    )
    model: Any = SimpleNamespace(version=1, lineage={})
    window = Window("holdout", datetime(2024, 1, 1), datetime(2024, 2, 1), rows=500, labelled=500, table=None)  # type: ignore[arg-type]
    compared = Contest(held, window, model, model, outputs=None, records=None)  # type: ignore[arg-type]
    assert verdict.rows[0].difference == pytest.approx(0.1)
    assert "gain +0.1000 [+0.0900, +0.1100]" in verdict.reasons[0]
    assert "+0.100" in tables.comparison(compared).to_html()
    assert "+0.1000" in reports.run_report(tmp_path, manifest).read_text()


def test_error_that_rose_is_told_as_a_gain_below_zero_and_a_floor_as_a_value() -> None:
    rng = np.random.default_rng(1)
    actual = rng.normal(size=500)
    better, worse = (Outputs((), actual, actual + rng.normal(scale=s, size=500)) for s in (0.1, 1.0))
    verdict = judge([Criterion(metric="mae", max_drop=0.01)], evaluate_pair(worse, better))
    assert verdict.outcome == "reject"
    assert verdict.reasons[0].startswith("mae: rise at most 0.01: missed, gain -0.")
    (reason,) = judge([Criterion(metric="mae", floor=0.01)], evaluate_pair(worse, better)).reasons
    assert reason.startswith("mae: at most 0.01: missed, measured 0.")

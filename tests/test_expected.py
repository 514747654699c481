"""Performance without labels, in a run: near what comes, with its assumptions, and refused where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged, regression_table

import trimtab as tt
from trimtab.decide.losses import estimated_drop
from trimtab.decide.signals import default_triggers, grade
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.unlabelled.estimates import Assumption, Estimate
from trimtab.measure.unlabelled.holdouts import MOST, Holdout, as_numbers, keep, values_of
from trimtab.run import lifecycle
from trimtab.run.expected import Expected
from trimtab.settings.drift import DriftSettings

RNG = np.random.default_rng


def frame(n: int = 50) -> pd.DataFrame:
    rng = RNG(n)
    return pd.DataFrame({
        "x": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        "whole": rng.integers(0, 9, n),
        "kind": pd.Series(rng.choice(["a", "b", None], n), dtype=object),
        "flag": rng.random(n) < 0.5,
        "words": pd.Series(rng.choice(["one", "two words", None], n), dtype=object),
    })


def some_outputs(n: int) -> Outputs:
    p = RNG(n).uniform(size=n)
    return Outputs(("no", "yes"), (p > 0.4).astype(int), (p > 0.5).astype(int), np.column_stack([1 - p, p]), 1)


def held(n: int = 50) -> Holdout:
    return keep(values_of(frame(n), ("x", "whole"), ("kind", "flag"), ("words",)), some_outputs(n))


def test_what_is_kept_of_a_holdout_comes_back_equal() -> None:
    kept = held()
    back = Holdout.from_bytes(kept.to_bytes())
    assert back.bins == kept.bins
    assert np.array_equal(back.sample.codes, kept.sample.codes)
    for name in ("actual", "predicted", "scores"):
        assert np.array_equal(getattr(back.outputs, name), getattr(kept.outputs, name))
    assert (back.outputs.labels, back.outputs.positive) == (("no", "yes"), 1)


def test_damaged_records_of_a_holdout_are_refused() -> None:
    stored = held().to_bytes()
    for broken in (b"", stored[:-40], b"x" * 100):
        with pytest.raises(ValueError, match="are damaged"):
            Holdout.from_bytes(broken)


def test_of_a_large_holdout_some_thousand_records_are_kept() -> None:
    n = MOST + 100
    kept = keep({"x": np.arange(float(n))}, Outputs((), np.arange(float(n)), np.arange(float(n))))
    assert len(kept.outputs) == len(kept.sample) == MOST
    assert (np.diff(kept.outputs.actual) > 0).all()    # in their order, each once


def test_missing_values_and_new_levels_have_codes_of_their_own() -> None:
    kept = held()
    now = frame(3).assign(x=[np.nan, 0.0, 1e9], kind=["a", "new", None])
    codes = kept.encode(values_of(now, ("x", "whole"), ("kind", "flag"), ("words",)))
    column = codes.columns.index("kind")
    assert codes.codes[:, column].tolist()[1:] == [2, -1]
    numbers = as_numbers(codes)
    assert np.isnan(numbers[0, 0])
    assert np.isnan(numbers[2, column])


def estimated(params: Path) -> tuple[Expected, Any]:
    """What is estimated a month after the champion was made, and what was realised."""
    first = tt.open(params, as_of="2024-03-01", run_id="first")
    contest = lifecycle.first_champion(first)
    lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    session = tt.open(params, as_of="2024-04-10", run_id="later")
    scored = tt.checking.score(session, session.windows()[1])
    return tt.checking.expected(session, scored), scored


def test_estimates_without_labels_come_near_what_is_realised(project: Callable[..., Path]) -> None:
    """Ranges of 95 % for seven metrics of the same records: of eight such tables one had one outside, this one."""
    found, scored = estimated(project(BINARY, binary_table(6000)))
    assert found.first["roc_auc"].method == "confidence"
    inside = [one.low <= scored.performance[name].value <= one.high for name, one in found.first.items()]
    assert sum(inside) >= 6
    assert [one.inside for one in found.agreement.values()] == inside
    assert set(found.others) == {"probabilities, re-weighted", "probabilities", "holdout, re-weighted"}
    assert found.cause is not None
    assert found.cause.verdict not in {"inputs", "concept", "both"}


def test_outcomes_of_a_part_are_held_against_the_estimate_of_that_part(project: Callable[..., Path]) -> None:
    """The range of a mean over ten times as many records would hardly ever hold what came."""
    params = project(merged(BINARY, data={"label_delay": "25d"}), binary_table())
    session = tt.open(params, as_of="2024-03-20")
    contest = lifecycle.first_champion(session)
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    whole, part = (
        tt.open(params, as_of="2024-04-20", overrides={"windows.current": window})
        for window in ({"last": "30d"}, {"from": "2024-03-21", "to": "2024-03-26"}))
    scored = [tt.checking.score(one, one.windows()[1]) for one in (whole, part)]
    assert scored[0].performance.rows == scored[1].performance.rows == scored[1].rows < scored[0].rows / 4
    of_whole, of_part = (tt.checking.expected(one, said) for one, said in zip((whole, part), scored, strict=True))
    assert of_whole.agreement == of_part.agreement
    assert of_whole.first["accuracy"].value != of_part.first["accuracy"].value


def test_where_no_label_is_known_the_estimate_stands_alone(project: Callable[..., Path]) -> None:
    found, scored = estimated(project(merged(BINARY, data={"label_delay": "30d"}), binary_table(6000)))
    assert scored.performance is None
    assert found.agreement == {}
    assert found.cause is None
    assert 0.6 < found.first["roc_auc"].value < 1


def test_numbers_are_judged_by_a_model_of_their_errors(project: Callable[..., Path]) -> None:
    tree = {
        "model": "numbers", "task": "regression", "estimator": {"class": "sklearn.linear_model.Ridge"},
        "data": {"table": "records.parquet", "time": "at", "label": "y", "numeric": ["x", "z"]},
        "windows": {"current": {"last": "20d"}},
    }
    found, scored = estimated(project(tree, regression_table(6000)))
    assert found.metric == "mae"
    assert found.first["mae"].method == "loss"
    assert found.first["mae"].value == pytest.approx(scored.performance["mae"].value, rel=0.1)


def test_a_champion_without_probabilities_is_judged_by_similar_records(project: Callable[..., Path]) -> None:
    tree = merged(
        BINARY, estimator={"class": "sklearn.svm.LinearSVC"},
        promotion={"criteria": [{"metric": "accuracy", "floor": 0.5}]},
    )
    found, _ = estimated(project(tree, binary_table(6000)))
    assert found.metric == "accuracy"
    assert found.first["accuracy"].method == "reweighted"
    assert "roc_auc" not in found.first


def test_a_version_without_a_kept_holdout_is_told_as_such(project: Callable[..., Path]) -> None:
    params = project(BINARY, binary_table())
    estimated(params)
    session = tt.open(params, as_of="2024-04-10", run_id="later")
    with session.ledger.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM holdouts")
    found = tt.checking.expected(session, tt.checking.score(session, session.windows()[1]))
    assert found.first == {}
    assert found.missing == "No holdout of version 1 is kept, so there is nothing to estimate its performance from."


@pytest.mark.parametrize(("value", "low", "high", "severity"), [
    (0.60, 0.57, 0.63, "medium"), (0.74, 0.72, 0.76, "low"), (0.60, 0.40, 0.82, "none"), (0.90, 0.87, 0.93, "none"),
])
def test_an_estimated_loss_is_graded_where_its_range_leaves_the_baseline_out(
    value: float, low: float, high: float, severity: str
) -> None:
    estimate = Estimate(value, low, high, 0.95, "confidence", 0.80)
    found = grade(estimated_drop("roc_auc", estimate, greater_is_better=True), default_triggers(DriftSettings()))
    assert found.severity == severity


def test_an_estimate_whose_assumptions_fail_raises_no_alarm_and_says_why() -> None:
    doubt = (Assumption("overlap", False, "half of the records lie outside"),)
    estimate = Estimate(0.60, 0.57, 0.63, 0.95, "confidence", 0.80, doubt)
    found = estimated_drop("roc_auc", estimate, greater_is_better=True)
    assert not found.significant
    assert found.message.endswith("Not relied on, because of overlap: half of the records lie outside.")

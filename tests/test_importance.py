"""Permutation importance: scikit-learn's numbers in fewer calls, on columns as they come in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import binary_table, multiclass_table, regression_table
from sklearn.inspection import permutation_importance as sklearns
from sklearn.utils import check_random_state

from trimtab.act import estimators
from trimtab.measure.models import importance, scoring
from trimtab.measure.models.importance import Importance, deals, permutation_importance
from trimtab.measure.models.outputs import Outputs
from trimtab.settings.data import Data
from trimtab.settings.estimator import Candidate


def _fitted(table: pd.DataFrame, kind: str, data: dict[str, Any], task: str) -> tuple[Any, pd.DataFrame, Any]:
    """A pipeline that learned from the first half, with the features and outcomes of the second."""
    settings = Data.model_validate({"table": "t", "time": "at", **data})
    pipeline = estimators.build(Candidate.model_validate({"class": kind}), settings, task)
    features, half = table[list(settings.features)], len(table) // 2
    pipeline.fit(features[:half], table[settings.label][:half])
    return pipeline, features[half:], table[settings.label][half:]


def _as_sklearn_deals(rows: int, repeats: int, seed: int) -> Any:
    """The orders that scikit-learn deals in: the same for all columns, each repeat dealing out what the last left."""
    drawn = check_random_state(check_random_state(seed).randint(np.iinfo(np.int32).max + 1))
    step, order, found = np.arange(rows), np.arange(rows), []
    for _ in range(repeats):
        drawn.shuffle(step)
        order = order[step]
        found.append(order)
    return np.array(found)


CASES = {
    "binary": (binary_table(600), "sklearn.ensemble.HistGradientBoostingClassifier", "roc_auc", "roc_auc",
               {"label": "y", "numeric": ["x", "z", "noise"], "categorical": ["kind", "site"]}),
    "classes": (multiclass_table(600), "sklearn.naive_bayes.MultinomialNB", "log_loss", "neg_log_loss",
                {"label": "category", "numeric": ["amount"], "text": ["description"]}),
    "numbers": (regression_table(600), "sklearn.tree.DecisionTreeRegressor", "mae", "neg_mean_absolute_error",
                {"label": "y", "numeric": ["x", "z"]}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("at_once", [1, 700, 50_000])    # a column at a time, two at a time, all
def test_importance_is_scikit_learns(case: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table, kind, metric, scorer, data = CASES[case]
    task = "regression" if case == "numbers" else "classification"
    model, features, actual = _fitted(table, kind, data, task)
    monkeypatch.setattr(importance, "_ROWS_AT_ONCE", at_once)
    labels = scoring.model_labels(model)
    positive = "True" if case == "binary" else None
    known = scoring.model_outputs(model, features, actual.tolist(), labels=labels, positive=positive)
    found = permutation_importance(
        lambda frame: scoring.model_outputs(model, frame, None, labels=labels, positive=positive),
        features, known, _as_sklearn_deals(len(features), 2, seed=5), name=metric,
    )
    wanted = sklearns(model, features, actual, scoring=scorer, n_repeats=2, random_state=5)
    assert list(found.mean) == list(features.columns)
    assert list(found.mean.values()) == pytest.approx(wanted.importances_mean, abs=1e-9)
    assert list(found.deviation.values()) == pytest.approx(wanted.importances_std, abs=1e-9)


def test_probabilities_alone_give_the_same_importance() -> None:
    table, kind, metric, _, data = CASES["binary"]
    model, features, actual = _fitted(table, kind, data, "classification")
    labels: Any = {"labels": scoring.model_labels(model), "positive": "True"}
    known, orders = scoring.model_outputs(model, features, actual.tolist(), **labels), deals(len(features), 2, seed=0)
    both, alone = (
        permutation_importance(say, features, known, orders, name=metric)
        for say in (lambda frame: scoring.model_outputs(model, frame, None, **labels),
                    lambda frame: scoring.probable_outputs(model, frame, **labels))
    )
    assert both == alone
    assert both.shares["x"] > both.shares["kind"] > 0
    assert sum(both.shares.values()) == pytest.approx(1.0)


def test_a_model_without_probabilities_cannot_be_asked_for_them() -> None:
    with pytest.raises(ValueError, match="no probabilities"):
        scoring.probable_outputs(object(), pd.DataFrame({"x": [1.0]}), labels=("a", "b"), positive=None)


def test_shares_of_nothing_are_not_known() -> None:
    assert all(math.isnan(v) for v in Importance("mae", 1.0, 9, 1, {"x": 0.0, "z": -0.1}, {}).shares.values())
    assert Importance("mae", 1.0, 9, 1, {}, {}).shares == {}
    assert all(math.isnan(v) for v in Importance("roc_auc", math.nan, 9, 1, {"x": math.nan}, {}).shares.values())


def test_with_one_class_nothing_is_known() -> None:
    said = Outputs(("a", "b"), np.zeros(4, dtype=int), np.zeros(4, dtype=int), np.full((4, 2), 0.5), 1)
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    found = permutation_importance(
        lambda f: said.take(np.arange(len(f)) % 4), frame, said, deals(4, 2, seed=0), name="roc_auc")
    assert math.isnan(found.value)
    assert math.isnan(found.mean["x"])


def test_sizes_must_fit() -> None:
    said = Outputs((), np.zeros(4), np.zeros(4))
    for rows, dealt in ((1, 4), (4, 3)):
        frame, orders = pd.DataFrame({"x": [1.0] * rows}), deals(dealt, 1, seed=0)
        with pytest.raises(ValueError, match="do not fit 4 outputs"):
            permutation_importance(lambda _: said, frame, said, orders, name="mae")


def test_orders_hold_every_position_once_and_follow_the_seed() -> None:
    assert (np.sort(deals(50, 3, seed=1), axis=1) == np.arange(50)).all()
    assert np.array_equal(deals(50, 3, seed=1), deals(50, 3, seed=1))
    assert deals(0, 2, seed=0).shape == (2, 0)


def test_columns_of_any_type_are_dealt_out_as_they_are() -> None:
    frame = pd.DataFrame({
        "whole": pd.array([1, None, 3], dtype="Int64"), "kind": pd.Categorical(["a", None, "b"]),
        "text": ["x", "", "y"],
    })
    seen: list[pd.DataFrame] = []

    def _predict(features: pd.DataFrame) -> Outputs:
        seen.append(features)
        return Outputs((), np.zeros(len(features)), np.zeros(len(features)))

    permutation_importance(_predict, frame, Outputs((), np.zeros(3), np.zeros(3)), np.array([[2, 0, 1]]), name="mae")
    assert (seen[0].dtypes == frame.dtypes).all()
    assert seen[0]["whole"].tolist() == [3, 1, pd.NA, 1, pd.NA, 3, 1, pd.NA, 3]
    assert seen[0]["kind"].isna().tolist() == [False, True, False, False, False, True, False, True, False]
    assert seen[0]["text"].tolist() == ["x", "", "y", "x", "", "y", "y", "x", ""]

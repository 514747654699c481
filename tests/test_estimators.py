"""Pipelines: whatever records look like, the estimator that the params file names can learn from them and serve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import binary_table

from trimtab.act import estimators, modelfile
from trimtab.errors import DataError, ParamsError
from trimtab.settings.data import Data
from trimtab.settings.estimator import Candidate

FEATURES: dict[str, Any] = {
    "numeric": ("x", "count", "flag", "nothing"), "categorical": ("kind", "code", "void"), "text": ("note", "silence"),
}
DATA = Data(table="t", time="at", label="y", **FEATURES)
MODELS: dict[str, dict[str, Any]] = {
    "ensemble.HistGradientBoostingClassifier": {"max_iter": 5},
    "ensemble.RandomForestClassifier": {"n_estimators": 5, "random_state": 0},
    "linear_model.LogisticRegression": {"max_iter": 1000},
    "neural_network.MLPClassifier": {
        "hidden_layer_sizes": [8], "solver": "lbfgs", "alpha": 1.0, "max_iter": 5000, "random_state": 0,
    },
    "linear_model.Ridge": {},
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Records as `Records.frame` gives them, with everything in them that may be missing."""
    found = binary_table(400)
    row = found.index
    found["x"] = found["x"].where(row % 9 > 0)
    found["count"] = (found["id"] % 7).where(row % 5 > 0)
    found["flag"] = pd.Series(np.where(row % 4 == 0, None, found["y"]), dtype=object)    # a boolean with nulls
    found["nothing"] = np.nan
    found["kind"] = found["kind"].astype(object).where(row % 6 > 0, None)
    found["code"] = (found["id"] % 3).astype(float).where(row % 8 > 0)
    found["void"] = pd.Series([None] * len(found), dtype=object)
    words = pd.Series(np.where(found["y"], "late again", "on time")).astype(object)
    found["note"] = words.where(row % 3 > 0, None)
    found["silence"] = found["void"]
    return found


def _candidate(name: str) -> Candidate:
    return Candidate(class_=f"sklearn.{name}", params=MODELS[name])


def _task(name: str) -> str:
    return "regression" if name == "linear_model.Ridge" else "classification"


def _fitted(name: str, table: pd.DataFrame, data: Data = DATA) -> Any:
    features = table[list(data.features)]
    empty = features.columns[features.isna().all()].tolist()
    return estimators.build(_candidate(name), data, _task(name), empty=empty).fit(features, table["y"])


@pytest.mark.parametrize("name", list(MODELS))
def test_every_kind_of_model_learns_from_every_kind_of_column(name: str, table: pd.DataFrame, tmp_path: Path) -> None:
    model = _fitted(name, table)
    said = model.predict(table[list(DATA.features)])
    right = (said > 0.5) == table["y"]
    assert right.mean() > 0.85    # flag and note give the answer away wherever they are known
    modelfile.save(model, tmp_path / "model", package="sklearn", requirements=[])
    again = modelfile.load(tmp_path / "model", sha256=None)
    assert np.array_equal(again.predict(table[list(DATA.features)]), said)


@pytest.mark.parametrize("name", list(MODELS))
def test_model_serves_records_as_callers_have_them(name: str, table: pd.DataFrame) -> None:
    """pandas' nullable types, its text type with NaN, new levels, and columns that were empty in training."""
    features = table[list(DATA.features)]
    raw = features.assign(
        count=features["count"].astype("Int64"), flag=features["flag"].astype("boolean"), nothing=1.0,
        note=features["note"].astype("str"), silence="not any more", void="new",
    )
    model = _fitted(name, table)
    assert np.allclose(model.predict(raw).astype(float), model.predict(features).astype(float))
    strange = raw.assign(kind="never seen", code=99.0, x=np.nan, note=None, count=pd.NA, flag=pd.NA)
    strange = strange.astype({"count": "Int64", "flag": "boolean"})
    assert np.isfinite(model.predict(strange).astype(float)).all()


def test_missing_text_counts_as_empty_text(table: pd.DataFrame) -> None:
    data = Data(table="t", time="at", label="y", text=("note",))
    model = _fitted("linear_model.LogisticRegression", table, data)
    none, nan, empty = (model.predict_proba(pd.DataFrame({"note": [v]}, dtype=object)) for v in (None, np.nan, ""))
    assert np.array_equal(none, nan)
    assert np.array_equal(none, empty)


def test_each_text_column_has_a_vocabulary_of_its_own(table: pd.DataFrame) -> None:
    data = Data(table="t", time="at", label="y", text=("note", "site"))
    names = _fitted("linear_model.LogisticRegression", table, data)[0].named_transformers_
    assert set(names["text_note"][-1].vocabulary_) == {"again", "late", "on", "time"}
    assert set(names["text_site"][-1].vocabulary_) == {"north", "south"}


def test_text_is_sparse_where_the_estimator_takes_it(table: pd.DataFrame) -> None:
    data = Data(table="t", time="at", label="y", text=("note",))
    from scipy.sparse import issparse

    for name, sparse in (("linear_model.LogisticRegression", True), ("ensemble.HistGradientBoostingClassifier", False)):
        columns = _fitted(name, table, data)[0]
        columns.sparse_threshold = columns.sparse_threshold and 1.0    # even where it is as dense as this text
        assert issparse(columns.fit_transform(table[["note"]])) is sparse


def test_columns_without_any_value_are_left_out_and_without_columns_nothing_can_be_learned() -> None:
    candidate = _candidate("linear_model.LogisticRegression")
    pipeline = estimators.build(candidate, DATA, "classification", empty=("nothing", "void", "silence", "note"))
    assert [(name, columns) for name, _, columns in pipeline[0].transformers] == [
        ("numeric", ["x", "count", "flag"]), ("categorical", ["kind", "code"]),
    ]
    with pytest.raises(DataError, match="none of the columns x, count"):
        estimators.build(candidate, DATA, "classification", empty=DATA.features)


WRONG = [
    ("nope.Thing", {}, "classification", "nope.Thing: cannot be imported"),
    ("sklearn.linear_model.Logistic", {}, "classification", "no attribute 'Logistic'"),
    ("Ridge", {}, "regression", "Ridge: cannot be imported"),
    ("os.path.join", {}, "classification", "no class with fit and predict"),
    ("pathlib.Path", {}, "classification", "no class with fit and predict"),
    ("sklearn.linear_model.Ridge", {}, "classification", "does not fit task: classification"),
    ("sklearn.linear_model.LogisticRegression", {}, "regression", "does not fit task: regression"),
    ("sklearn.linear_model.Ridge", {"alhpa": 1}, "regression", "'alhpa'.*it takes alpha"),
    ("sklearn.linear_model.Ridge", {"alpha": "much"}, "regression", "'alpha' parameter of Ridge must be"),
]


@pytest.mark.parametrize(("path", "given", "task", "words"), WRONG)
def test_estimator_that_cannot_be_made_is_refused(path: str, given: dict[str, Any], task: str, words: str) -> None:
    with pytest.raises(ParamsError, match=words) as refused:
        estimators.make(Candidate(class_=path, params=given), task)
    assert str(refused.value).startswith("estimator.")
    assert "\n" not in str(refused.value)


def test_estimators_are_tried_in_a_process_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = Candidate(class_="sklearn.linear_model.Ridge")
    estimators.check([fine, fine], "regression")
    with pytest.raises(ParamsError, match="does not fit"):
        estimators.check([fine, Candidate(class_="sklearn.linear_model.LogisticRegression")], "regression")
    (tmp_path / "deadly.py").write_text("import os\nos._exit(7)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ParamsError, match=r"deadly\.Model: importing it ended the process"):
        estimators.check([Candidate(class_="deadly.Model")], "regression")

"""Model files: written so that they read back the same, and refused when anything about them is not as it should be."""

from __future__ import annotations

import functools
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from conftest import binary_table
from sklearn import ensemble, linear_model, naive_bayes, neighbors, neural_network, svm, tree
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from trimtab.act import estimators, modelfile
from trimtab.errors import ModelFileError
from trimtab.settings.data import Data
from trimtab.settings.estimator import Candidate

DATA = Data(table="t", time="at", label="y", numeric=("x", "z"), categorical=("kind",), text=("note",))
REGRESSION = Data(table="t", time="at", label="x", numeric=("z", "noise"), categorical=("kind",), text=("note",))
LINEAR = Candidate(class_="sklearn.linear_model.LogisticRegression")


class Own(linear_model.LogisticRegression):
    """An estimator that only its own package knows."""


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    found = binary_table(240)
    found["note"] = np.where(found["y"], "late again today", "on time as ever")
    found.loc[::20, "z"] = np.nan
    return found


def _fitted(candidate: Candidate, table: pd.DataFrame, data: Data = DATA, task: str = "classification") -> Any:
    assert data.label is not None
    return estimators.build(candidate, data, task).fit(table[list(data.features)], table[data.label])


@pytest.fixture
def folder(tmp_path: Path, table: pd.DataFrame) -> Path:
    modelfile.save(_fitted(LINEAR, table), tmp_path / "model", package="sklearn", requirements=[])
    return tmp_path / "model"


CLASSIFIERS: dict[str, dict[str, Any]] = {
    "ensemble.HistGradientBoostingClassifier": {"max_iter": 5},
    "ensemble.RandomForestClassifier": {"n_estimators": 5},
    "ensemble.ExtraTreesClassifier": {"n_estimators": 5},
    "ensemble.GradientBoostingClassifier": {"n_estimators": 5},
    "ensemble.AdaBoostClassifier": {"n_estimators": 5},
    "ensemble.BaggingClassifier": {"n_estimators": 3},
    "tree.DecisionTreeClassifier": {"max_depth": 3},
    "linear_model.LogisticRegression": {},
    "linear_model.SGDClassifier": {"loss": "log_loss"},
    "svm.SVC": {},
    "svm.LinearSVC": {},
    "neighbors.KNeighborsClassifier": {},
    "neighbors.KNeighborsRegressor": {},
    "neural_network.MLPClassifier": {"hidden_layer_sizes": [4], "max_iter": 400, "tol": 0.01},
    "naive_bayes.GaussianNB": {},
    "naive_bayes.BernoulliNB": {},
    "ensemble.HistGradientBoostingRegressor": {"max_iter": 5, "loss": "absolute_error"},
    "ensemble.RandomForestRegressor": {"n_estimators": 5},
    "ensemble.GradientBoostingRegressor": {"n_estimators": 5, "loss": "huber"},
    "linear_model.Ridge": {},
    "linear_model.Lasso": {"alpha": 0.1},
    "linear_model.TweedieRegressor": {"power": 0},
    "svm.SVR": {},
    "neural_network.MLPRegressor": {"hidden_layer_sizes": [4], "max_iter": 400, "tol": 0.1, "solver": "sgd"},
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_usual_estimators_in_a_pipeline_predict_the_same_after_a_round_trip(
    name: str, tmp_path: Path, table: pd.DataFrame
) -> None:
    number = name.endswith(("Regressor", "Ridge", "Lasso", "SVR"))
    data, task = (REGRESSION, "regression") if number else (DATA, "classification")
    model = _fitted(Candidate(class_=f"sklearn.{name}", params=CLASSIFIERS[name]), table, data, task)
    _same_after_a_round_trip(model, tmp_path, table[list(data.features)])


def test_ensembles_of_several_models_and_calibrated_ones_predict_the_same_after_a_round_trip(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    from sklearn.calibration import CalibratedClassifierCV

    members = [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=2))]
    numbers = [("a", linear_model.Ridge()), ("b", neighbors.KNeighborsRegressor(algorithm="ball_tree"))]
    features = table[["x", "noise"]]
    for index, model in enumerate([
        ensemble.VotingClassifier(members), ensemble.StackingClassifier(members, cv=2),
        ensemble.VotingRegressor(numbers), ensemble.StackingRegressor(numbers, cv=2),
        CalibratedClassifierCV(naive_bayes.GaussianNB(), cv=2), svm.SVC(), neural_network.MLPClassifier(max_iter=500),
    ]):
        _same_after_a_round_trip(model.fit(features, table["y"]), tmp_path / str(index), features)


def _same_after_a_round_trip(model: Any, place: Path, features: pd.DataFrame) -> None:
    modelfile.save(model, place / "model", package="sklearn", requirements=[])
    sha256 = modelfile.digest(place / "model" / modelfile.FILE)
    loaded = modelfile.load(place / "model", sha256=sha256, package="sklearn")
    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(loaded.predict_proba(features), model.predict_proba(features))


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_missing_file_is_refused(folder: Path) -> None:
    (folder / modelfile.FILE).unlink()
    with pytest.raises(ModelFileError, match="the model file is missing"):
        modelfile.load(folder, sha256=None)


def test_file_with_one_other_byte_is_refused(folder: Path) -> None:
    path = folder / modelfile.FILE
    sha256 = modelfile.digest(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not the one that was registered"):
        modelfile.load(folder, sha256=sha256)


@pytest.mark.parametrize("name", ["MLmodel", "requirements.txt"])
def test_other_file_of_the_folder_that_was_altered_or_lost_is_refused(folder: Path, name: str) -> None:
    files = modelfile.contents(folder)
    (folder / "registered_model_meta").write_text("model_version: '1'\n")    # as MLflow does on loading
    (folder / "model.pkl").write_bytes(b"nothing reads it")
    assert modelfile.load(folder, sha256=files[modelfile.FILE], package="sklearn", files=files) is not None
    with (folder / name).open("a") as file:
        file.write("\n# another\n")
    with pytest.raises(ModelFileError, match=f"{name}: is not the one that was registered"):
        modelfile.load(folder, sha256=None, package="sklearn", files=files)
    (folder / name).unlink()
    with pytest.raises(ModelFileError, match=f"{name}: .*is missing"):
        modelfile.load(folder, sha256=None, package="sklearn", files=files)


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_truncated_file_is_refused_even_when_nobody_knows_its_digest(folder: Path, keep: int) -> None:
    path = folder / modelfile.FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match="not a readable model file"):
        modelfile.load(folder, sha256=None)


def test_pickle_in_the_place_of_a_model_file_is_refused(folder: Path) -> None:
    import pickle

    (folder / modelfile.FILE).write_bytes(pickle.dumps(linear_model.LogisticRegression()))
    with pytest.raises(ModelFileError, match="not a readable model file"):
        modelfile.load(folder, sha256=None)


def _with_function(function: Any) -> Any:
    features = np.zeros((4, 1))
    steps = [("function", FunctionTransformer(function)), ("model", linear_model.LogisticRegression())]
    return Pipeline(steps).fit(features, [0, 1, 0, 1])


def test_model_with_types_that_nobody_reviewed_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"not reviewed: .*test_modelfile\._harmless"):
        modelfile.save(_with_function(_harmless), tmp_path / "model", package="sklearn", requirements=[])
    assert not (tmp_path / "model").exists()


def _harmless(values: Any) -> Any:
    return values


@pytest.mark.parametrize("function", [_harmless, functools.partial(_harmless)], ids=["function", "partial"])
def test_file_that_names_a_foreign_type_is_refused_and_the_type_is_named(folder: Path, function: Any) -> None:
    skops.io.dump(_with_function(function), folder / modelfile.FILE)
    with pytest.raises(ModelFileError, match=r"not reviewed: .*_harmless"):
        modelfile.load(folder, sha256=None)


def test_crafted_file_that_would_call_the_system_is_refused_before_anything_is_built(folder: Path) -> None:
    path = folder / modelfile.FILE
    crafted = io.BytesIO()
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(crafted, "w") as out:
        schema = json.loads(whole.read("schema.json"))
        schema["__module__"], schema["__class__"] = "os", "system"
        for name in whole.namelist():
            out.writestr(name, json.dumps(schema) if name == "schema.json" else whole.read(name))
    path.write_bytes(crafted.getvalue())
    with pytest.raises(ModelFileError, match=r"os\.system"):
        modelfile.load(folder, sha256=None, package="sklearn")


def test_naming_an_estimator_vouches_for_its_own_package_only(tmp_path: Path, table: pd.DataFrame) -> None:
    model = Own().fit(table[["x"]], table["y"])
    modelfile.save(model, tmp_path / "model", package="test_modelfile", requirements=[])
    assert isinstance(modelfile.load(tmp_path / "model", sha256=None, package="test_modelfile"), Own)
    for other in (None, "sklearn", "another"):
        with pytest.raises(ModelFileError, match=r"not reviewed: test_modelfile\.Own"):
            modelfile.load(tmp_path / "model", sha256=None, package=other)


def test_naming_a_scikit_learn_estimator_does_not_vouch_for_all_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.metrics import make_scorer
    from sklearn.metrics._scorer import _Scorer

    content = skops.io.dumps({"scorer": make_scorer(_harmless)})
    fine, strange = modelfile.untrusted(content, "sklearn")
    assert f"{_Scorer.__module__}.{_Scorer.__name__}" in strange
    assert fine == []


# -- what somebody put in its place


def _described(folder: Path, **changes: Any) -> None:
    path = folder / "MLmodel"
    tree = yaml.safe_load(path.read_text())
    for flavor, keys in changes.items():
        tree["flavors"][flavor].update(keys)
    path.write_text(yaml.safe_dump(tree))


@pytest.mark.parametrize(
    "changes",
    [
        {"sklearn": {"pickled_model": "../elsewhere/model.skops"}},
        {"sklearn": {"pickled_model": "model.pkl"}},
        {"sklearn": {"serialization_format": "cloudpickle"}},
        {"sklearn": {"code": "code"}},
        {"python_function": {"loader_module": "evil"}},
        {"python_function": {"model_path": "model.pkl"}},
        {"python_function": {"code": "code"}},
    ],
)
def test_description_that_leads_serving_code_elsewhere_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    _described(folder, **changes)
    with pytest.raises(ModelFileError, match="MLmodel"):
        modelfile.load(folder, sha256=modelfile.digest(folder / modelfile.FILE))


@pytest.mark.parametrize("content", ["[" * 100_000, "flavors: 3", "- 1", "\x00"])
def test_description_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "MLmodel").write_text(content)
    with pytest.raises(ModelFileError, match="missing or damaged"):
        modelfile.load(folder, sha256=None)


@pytest.mark.parametrize("name", [modelfile.FILE, "MLmodel"])
def test_link_in_the_place_of_a_file_is_refused_even_to_the_same_content(folder: Path, name: str) -> None:
    (folder / name).rename(folder / "other")
    (folder / name).symlink_to("other")
    with pytest.raises(ModelFileError, match="it is a link"):
        modelfile.load(folder, sha256=modelfile.digest(folder / modelfile.FILE))


def test_pipe_in_the_place_of_a_model_file_keeps_nobody_waiting(folder: Path) -> None:
    (folder / modelfile.FILE).unlink()
    os.mkfifo(folder / modelfile.FILE)
    with pytest.raises(ModelFileError, match="no ordinary file"):
        modelfile.load(folder, sha256=None)


def test_archive_that_unpacks_to_far_more_than_it_is_is_refused_before_it_is_unpacked(folder: Path) -> None:
    path = folder / modelfile.FILE
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("much.npy", bytes(50_000_000))
    assert path.stat().st_size < 500_000
    with pytest.raises(ModelFileError, match="unpacks to 50 MB"):
        modelfile.load(folder, sha256=None)


def test_what_is_in_the_place_of_a_model_is_not_written_over(tmp_path: Path, table: pd.DataFrame) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    with pytest.raises(ModelFileError, match="mine: is there already, and not empty; name another folder"):
        modelfile.save(_fitted(LINEAR, table), tmp_path / "mine", package="sklearn", requirements=[])
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"

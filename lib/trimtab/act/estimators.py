"""Which pipeline does a params file ask for? Columns prepared for the estimator, then the estimator."""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from trimtab.act.processes import end_with_parent
from trimtab.act.sockets import keep_short
from trimtab.errors import DataError, ParamsError
from trimtab.settings.data import Data
from trimtab.settings.estimator import Candidate, Ensemble

_MOST_TERMS = 2000
_SPLITS_ON_THRESHOLDS = ("Tree", "Forest", "Boost", "Bagging", "XGB", "LGBM")


def load_class(path: str) -> type:
    """Import an estimator's class.

    Raises
    ------
    ParamsError
        When there is no such class, or it has no fit and predict.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 -- a module of somebody else's may raise whatever it likes
        raise ParamsError(f"estimator.class: {path}: cannot be imported: {error or type(error).__name__}") from None
    if not (isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "predict")):
        raise ParamsError(f"estimator.class: {path}: is no class with fit and predict")
    return found


def make(candidate: Candidate, task: str, members: Sequence[tuple[str, Any]] | None = None) -> Any:
    """The estimator itself, not yet fitted.

    Parameters
    ----------
    candidate : Candidate
    task : str
        Classification or regression.
    members : sequence of (name, estimator), optional
        Of an ensemble; by default they are made, too, without their preparation of columns.

    Raises
    ------
    ParamsError
        When its params are unknown, or it is of the other task.
    """
    from sklearn.base import is_classifier, is_regressor

    kind = load_class(candidate.class_)
    if isinstance(candidate, Ensemble) and members is None:
        members = [(name, make(one, task)) for name, one in candidate.of.items()]
    try:
        estimator = kind(**candidate.params) if members is None else kind(members, **candidate.params)
    except TypeError as error:
        known = ", ".join(list(inspect.signature(kind).parameters)[:30])
        raise ParamsError(f"estimator.params: {candidate.class_}: {error}; it takes {known}") from None
    try:
        if hasattr(estimator, "_parameter_constraints"):    # scikit-learn itself looks at values only when fitting
            estimator._validate_params()
    except ValueError as error:
        raise ParamsError(f"estimator.params: {candidate.class_}: {' '.join(str(error).split())}") from None
    wrong = is_regressor(estimator) if task == "classification" else is_classifier(estimator)
    if wrong:
        raise ParamsError(f"estimator.class: {candidate.class_} does not fit task: {task}")
    return estimator


def check(candidates: Iterable[Candidate], task: str) -> None:
    """Make every estimator once, in a process of its own: importing scikit-learn here would cost seconds.

    Raises
    ------
    ParamsError
        When one of them cannot be made.
    """
    keep_short()
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
        for candidate in candidates:
            try:
                pool.submit(_try, candidate, task).result()
            except BrokenProcessPool:
                told = f"estimator.class: {candidate.class_}: importing it ended the process"
                raise ParamsError(told) from None


def _try(candidate: Candidate, task: str) -> None:
    make(candidate, task)


def build(candidate: Candidate, data: Data, task: str, *, empty: Collection[str] = ()) -> Any:
    """A pipeline of column preparation and estimator.

    Numeric columns pass as floats (with the median in the place of missing values where the estimator cannot take
    them), categorical ones become codes for trees and indicator columns elsewhere, text becomes TF-IDF weights, of
    which a missing text has none. Each member of an ensemble has the preparation that suits it.

    Parameters
    ----------
    candidate : Candidate
        The class and its params.
    data : Data
        Columns and their roles.
    task : str
        Classification or regression.
    empty : collection of str
        Columns without any value in the training records: there is nothing to learn from them, so they are left out.

    Raises
    ------
    ParamsError
        When the estimator cannot be made.
    DataError
        When all columns are empty.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.utils import get_tags

    if isinstance(candidate, Ensemble):
        members = [(name, build(one, data, task, empty=empty)) for name, one in candidate.of.items()]
        return Pipeline([("estimator", make(candidate, task, members))])
    estimator = make(candidate, task)
    try:
        tags = get_tags(estimator).input_tags
        takes_missing, takes_sparse = tags.allow_nan, tags.sparse
    except AttributeError:    # a class outside scikit-learn's own
        takes_missing, takes_sparse = False, False
    numeric, categorical, text = ([n for n in names if n not in empty] for names in _by_role(data))
    steps = _numeric(numeric, takes_missing) + _categorical(categorical, estimator) + _text(text)
    if not steps:
        raise DataError(f"none of the columns {', '.join(data.features)} holds a value in the training window")
    columns = ColumnTransformer(steps, sparse_threshold=0.3 if takes_sparse else 0.0, verbose_feature_names_out=False)
    return Pipeline([("columns", columns), ("estimator", estimator)])


def _by_role(data: Data) -> tuple[tuple[str, ...], ...]:
    return data.numeric, data.categorical, data.text


def _numeric(names: list[str], takes_missing: bool) -> list[tuple[str, Any, list[str]]]:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    if not names:
        return []
    # A scaler that does not scale: of pandas' nullable integers and booleans it makes floats, and passes the rest.
    floats = StandardScaler(with_mean=False, with_std=False)
    return [("numeric", floats if takes_missing else SimpleImputer(strategy="median"), names)]


def _categorical(names: list[str], estimator: Any) -> list[tuple[str, Any, list[str]]]:
    """Codes for what splits on thresholds, indicators for what multiplies."""
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if not names:
        return []
    by_thresholds = any(word in type(estimator).__name__ for word in _SPLITS_ON_THRESHOLDS)
    encoder = (
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
        if by_thresholds
        else OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5, max_categories=200)
    )
    return [("categorical", encoder, names)]


def _text(names: list[str]) -> list[tuple[str, Any, list[str]]]:
    """One vocabulary per text column; whoever serves the model may give None or NaN for a missing text."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    def _filled(missing: object) -> Any:
        return SimpleImputer(missing_values=missing, strategy="constant", fill_value="", keep_empty_features=True)

    def _step() -> Any:
        # All of it is scikit-learn's and NumPy's own, so that a model file loads where there is no Trimtab.
        vocabulary = TfidfVectorizer(max_features=_MOST_TERMS)
        return make_pipeline(_filled(np.nan), _filled(None), FunctionTransformer(np.ravel), vocabulary)

    return [(f"text_{name}", _step(), [name]) for name in names]

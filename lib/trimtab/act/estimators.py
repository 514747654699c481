"""Which pipeline does a params file ask for? Columns prepared for the estimator, then the estimator."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from trimtab.errors import ParamsError
from trimtab.settings import Candidate, Data

_MOST_TERMS = 2000


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
    except (ImportError, AttributeError, ValueError) as error:
        raise ParamsError(f"estimator.class: {path}: cannot be imported: {error}") from None
    if not (isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "predict")):
        raise ParamsError(f"estimator.class: {path}: is no class with fit and predict")
    return found


def make(candidate: Candidate, task: str) -> Any:
    """The estimator itself, not yet fitted.

    Raises
    ------
    ParamsError
        When its params are unknown, or it is of the other task.
    """
    from sklearn.base import is_classifier, is_regressor

    kind = load_class(candidate.class_)
    try:
        estimator = kind(**candidate.params)
    except TypeError as error:
        known = ", ".join(list(inspect.signature(kind).parameters)[:30])
        raise ParamsError(f"estimator.params: {candidate.class_}: {error}; it takes {known}") from None
    wrong = is_regressor(estimator) if task == "classification" else is_classifier(estimator)
    if wrong:
        raise ParamsError(f"estimator.class: {candidate.class_} does not fit task: {task}")
    return estimator


def build(candidate: Candidate, data: Data, task: str) -> Any:
    """A pipeline of column preparation and estimator.

    Numeric columns pass as they are (with the median in the place of missing values where the estimator cannot take
    them), categorical ones become codes for trees and indicator columns elsewhere, text becomes TF-IDF weights.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.utils import get_tags

    estimator = make(candidate, task)
    try:
        tags = get_tags(estimator).input_tags
        takes_missing, takes_sparse = tags.allow_nan, tags.sparse
    except AttributeError:    # a class outside scikit-learn's own
        takes_missing, takes_sparse = False, False
    steps = _numeric(data, takes_missing) + _categorical(data, estimator) + _text(data)
    columns = ColumnTransformer(steps, sparse_threshold=0.3 if takes_sparse else 0.0, verbose_feature_names_out=False)
    return Pipeline([("columns", columns), ("estimator", estimator)])


def _numeric(data: Data, takes_missing: bool) -> list[tuple[str, Any, list[str]]]:
    from sklearn.impute import SimpleImputer

    if not data.numeric:
        return []
    step = "passthrough" if takes_missing else SimpleImputer(strategy="median", keep_empty_features=True)
    return [("numeric", step, list(data.numeric))]


def _categorical(data: Data, estimator: Any) -> list[tuple[str, Any, list[str]]]:
    """Codes for what splits on thresholds, indicators for what multiplies."""
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if not data.categorical:
        return []
    by_thresholds = any(word in type(estimator).__name__ for word in ("Tree", "Forest", "Boost", "Bagging", "XGB", "LGBM"))
    encoder = (
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
        if by_thresholds
        else OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5, max_categories=200)
    )
    return [("categorical", encoder, list(data.categorical))]


def _text(data: Data) -> list[tuple[str, Any, str]]:
    """One vocabulary per text column."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return [(f"text_{name}", TfidfVectorizer(max_features=_MOST_TERMS), name) for name in data.text]

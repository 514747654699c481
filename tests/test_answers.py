"""What a model says is used as far as it can be; each thing that cannot has a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from trimtab.measure.models import answers
from trimtab.measure.models.answers import Answers

ROWS = 40
FEATURES = pd.DataFrame({"x": np.linspace(-1, 1, ROWS)})
P = np.linspace(0.1, 0.9, ROWS)
HONEST = np.column_stack([1 - P, P])
Say = Callable[[pd.DataFrame], Any]


class Model:
    """Says what it is told to; without `proba` it has no probabilities to give."""

    def __init__(self, predict: Say, proba: Say | None = None) -> None:
        self.predict = predict
        if proba is not None:
            self.predict_proba = proba


def _of(frame: pd.DataFrame, values: Any) -> Any:
    return np.asarray(values)[frame.index]


def _classes(frame: pd.DataFrame) -> Any:
    return _of(frame, np.where(P > 0.5, "yes", "no"))


def _asked(predict: Say = _classes, proba: Say | None = lambda f: _of(f, HONEST)) -> Answers:
    return answers.ask(Model(predict, proba), FEATURES, who="Version 3", labels=["no", "yes"])


def _numbers(predict: Say) -> Answers:
    return answers.ask(Model(predict), FEATURES, who="Version 3", labels=None)


def _fails_above(limit: float) -> Say:
    def _predict(frame: pd.DataFrame) -> Any:
        if (frame["x"] > limit).any():
            raise ValueError("Found unknown categories\nand more")
        return _classes(frame)

    return _predict


def test_what_is_as_it_should_be_is_used_to_the_last_bit_without_a_word() -> None:
    said = _asked()
    assert said.usable.all()
    assert not said.faulty.any()
    assert said.remarks == ()
    assert said.scores is not None
    assert np.array_equal(said.scores, HONEST)


@pytest.mark.parametrize("failing", [1, 3, ROWS - 1])
def test_records_that_a_model_fails_on_do_not_hide_what_it_says_of_the_others(failing: int) -> None:
    said = _asked(_fails_above(float(FEATURES["x"].iloc[-failing - 1])))
    assert said.usable.tolist() == [True] * (ROWS - failing) + [False] * failing
    assert said.faulty.tolist() == (~said.usable).tolist()
    assert said.notes == (
        f"Version 3 could not predict {failing} of 40 records (ValueError: Found unknown categories).",)
    assert said.scores is not None
    assert np.array_equal(said.scores[said.usable], HONEST[said.usable])


@pytest.mark.parametrize(("predict", "words"), [
    (_fails_above(-2), "any of 40 records (ValueError: Found unknown categories)"),
    (lambda frame: _classes(frame)[:-1] if len(frame) > 1 else [], "of shape (39,)"),
    (lambda frame: np.column_stack([_classes(frame)] * 2), "of shape (40, 2)"),
    (lambda _: None, "of shape ()"),
])
def test_a_model_that_predicts_nothing_of_use_is_told_in_one_sentence(predict: Say, words: str) -> None:
    said = _asked(predict)
    assert not said.usable.any()
    assert said.faulty.all()
    assert said.scores is None
    assert len(said.notes) == 1
    assert words in said.notes[0]


def test_attempts_to_find_the_records_that_a_model_fails_on_are_bounded() -> None:
    asked = []

    def _predict(frame: pd.DataFrame) -> Any:
        asked.append(len(frame))
        raise RuntimeError

    many = pd.DataFrame({"x": np.zeros(5000)})
    said = answers.ask(Model(_predict), many, who="Version 3", labels=None)
    assert len(asked) == 100
    assert said.notes == ("Version 3 could not predict any of 5,000 records (RuntimeError).",)


@pytest.mark.parametrize(("given", "words"), [
    (HONEST * 1.5 - 0.25, "outside 0 to 1 for 8 of 40 records, such as 1.1"),
    (HONEST * 0.8, "do not sum to one for 40 of 40 records, such as 0.8 in all"),
    (HONEST[:, :1], "of shape (40, 1) in the place of (40, 2)"),
    (HONEST[:-3], "of shape (37, 2) in the place of (40, 2)"),
    (HONEST.astype(str), "probabilities that are no numbers, such as '0.9'"),
    (np.full((ROWS, 2), np.nan), "no probability of any record that is a number"),
    (np.full((ROWS, 2), np.inf), "no probability of any record that is a number"),
])
def test_numbers_that_are_no_probabilities_are_not_used_and_predictions_still_are(given: Any, words: str) -> None:
    said = _asked(proba=lambda _: given)
    assert said.usable.all()
    assert said.scores is None
    assert said.faulty.all()
    assert words in said.no_scores
    assert said.remarks == (said.no_scores,)


@pytest.mark.parametrize(("off", "used"), [(1e-7, True), (9e-3, True), (1.1e-2, False)])
def test_rounded_probabilities_are_probabilities_and_are_made_to_sum_to_one(off: float, used: bool) -> None:
    said = _asked(proba=lambda _: HONEST * (1 - off))
    assert (said.scores is not None) == used
    if said.scores is not None:
        assert np.allclose(said.scores.sum(axis=1), 1, atol=2e-7)


def test_records_without_a_probability_are_left_out_and_the_others_are_not() -> None:
    some = HONEST.copy()
    some[[3, 7]] = np.nan
    said = _asked(proba=lambda _: some)
    assert np.flatnonzero(~said.usable).tolist() == [3, 7] == np.flatnonzero(said.faulty).tolist()
    assert said.notes == ("Version 3 has no probability for 2 of 40 records, which are left out.",)


def test_a_model_without_probabilities_is_no_fault_and_is_said() -> None:
    said = _asked(proba=None)
    assert (said.scores, said.no_scores) == (None, "Version 3 gives no probabilities.")
    assert said.usable.all()
    assert not said.faulty.any()


def test_probabilities_of_classes_without_a_name_are_not_guessed() -> None:
    said = answers.ask(Model(_classes, lambda _: HONEST), FEATURES, who="Version 3", labels=())
    assert said.scores is None
    assert "does not name its classes" in said.no_scores


def test_probabilities_that_cannot_be_had_leave_predictions() -> None:
    def _broken(_: pd.DataFrame) -> Any:
        raise RuntimeError("not today")

    said = _asked(proba=_broken)
    assert said.usable.all()
    assert said.no_scores == "Version 3 could not give probabilities (RuntimeError: not today)."


@pytest.mark.parametrize(("wrong", "example"), [(np.nan, "nan"), (np.inf, "inf"), ("a", "'a'"), (None, "None")])
def test_predicted_numbers_that_are_none_are_left_out(wrong: Any, example: str) -> None:
    values = np.arange(ROWS, dtype=object)
    values[5] = wrong
    said = _numbers(lambda _: values)
    assert np.flatnonzero(~said.usable).tolist() == [5] == np.flatnonzero(said.faulty).tolist()
    assert said.notes == (f"Version 3 gave 1 of 40 records what is no finite number, such as {example}.",)
    assert said.predicted[said.usable].dtype == np.float64


def test_predictions_in_one_column_are_as_good_as_a_row() -> None:
    assert _numbers(lambda _: np.zeros((ROWS, 1))).usable.all()


def test_no_class_named_for_a_record_leaves_it_out() -> None:
    names = np.where(P > 0.5, "yes", "no").astype(object)
    names[0] = None
    assert _asked(lambda _: names).notes == ("Version 3 named no class for 1 of 40 records.",)


def _logged(said: Any, score: Any = None, task: str = "classification") -> Answers:
    return answers.logged(said, score, names=("said", "p"), task=task)


def test_what_was_not_logged_is_left_out_and_is_no_fault() -> None:
    said = _logged(["a", None, "b", "a"], [0.1, 0.2, np.nan, 0.4])
    assert said.usable.tolist() == [True, False, False, True]
    assert not said.faulty.any()
    assert said.notes == (
        "Column 'said' (data.prediction) holds no prediction of 1 of 4 records.",
        "Column 'p' (data.score) holds no probability of 1 of 4 records, which are left out.",
    )


@pytest.mark.parametrize(("score", "words"), [
    ([0.1, 1.7], "values outside 0 to 1 for 1 of 2 records, such as 1.7"),
    ([-0.1, 0.3], "such as -0.1"), ([np.nan, np.nan], "holds no probability of the 2 records"),
])
def test_logged_scores_that_are_no_probabilities_leave_the_predictions(score: list[float], words: str) -> None:
    said = _logged(["a", "b"], score)
    assert said.usable.all()
    assert said.scores is None
    assert words in said.no_scores


@pytest.mark.parametrize("said", [[None, None], [np.nan, pd.NA], []])
def test_a_log_of_nothing_gives_nothing(said: list[Any]) -> None:
    found = _logged(said)
    assert not found.usable.any()
    assert "holds no prediction" in found.notes[0]


def test_logged_text_is_no_prediction_of_a_number() -> None:
    said = _logged([1.0, "a"], task="regression")
    assert said.usable.tolist() == [True, False]
    assert "such as 'a'" in said.notes[0]


def test_codes_and_probabilities_follow_the_labels_and_new_classes_have_none() -> None:
    made = answers.as_outputs(_asked(), ["no", "yes"], labels=["yes", "maybe", "no"], positive=None)
    assert made.scores is not None
    assert made.scores[0].tolist() == [P[0], 0.0, 1 - P[0]]
    assert made.predicted[[0, -1]].tolist() == [2, 0]


def test_logged_probabilities_of_the_positive_class_fill_both_columns() -> None:
    said = _logged(["no", "yes"], [0.2, 0.9])
    for positive, expected in (("yes", [0.8, 0.2]), ("no", [0.2, 0.8])):
        made = answers.as_outputs(said, (), labels=["no", "yes"], positive=positive)
        assert made.scores is not None
        assert made.scores[0].tolist() == expected
    assert answers.as_outputs(said, (), labels=["no", "yes", "maybe"], positive=None).scores is None


@pytest.mark.parametrize("sparse", [True, False])
def test_the_steps_of_a_pipeline_are_gone_through_once(sparse: bool) -> None:
    """Also where they give a matrix that is mostly empty, of which its last step cannot take some records."""
    seen: list[int] = []

    def _encode(frame: pd.DataFrame) -> Any:
        seen.append(len(frame))
        return csr_array(frame.to_numpy()) if sparse else frame.to_numpy()

    model = make_pipeline(FunctionTransformer(_encode), LogisticRegression())
    model.fit(FEATURES, np.where(P > 0.5, "yes", "no"))
    seen.clear()
    said = answers.ask(model, FEATURES, who="Version 3", labels=["no", "yes"])
    assert seen == [ROWS]
    assert said.usable.all()
    assert said.predicted.tolist() == model.predict(FEATURES).tolist()
    assert np.array_equal(said.scores, model.predict_proba(FEATURES))

    def _refusing(values: Any) -> Any:
        if (np.abs(values).max() if not sparse else abs(values).max()) >= 1:
            raise ValueError("too large")
        return np.array(["no"] * values.shape[0])

    model[-1].predict = _refusing
    assert answers.ask(model, FEATURES, who="Version 3", labels=["no", "yes"]).usable.sum() == ROWS - 2


def test_a_step_that_fails_on_some_records_does_not_hide_what_is_said_of_the_others() -> None:
    def _scale(frame: pd.DataFrame) -> pd.DataFrame:
        if (frame["x"] == 1).any():
            raise ValueError("one is no number")
        return frame

    model = make_pipeline(FunctionTransformer(_scale), LogisticRegression())
    model.fit(FEATURES[:-1], np.where(P > 0.5, "yes", "no")[:-1])
    said = answers.ask(model, FEATURES, who="Version 3", labels=["no", "yes"])
    assert said.usable.tolist() == [True] * (ROWS - 1) + [False]


@pytest.mark.parametrize("lossy", [lambda frame: frame.dropna(), lambda frame: frame["x"].tolist()])
def test_a_pipeline_whose_steps_lose_records_or_their_shape_is_asked_as_it_is(lossy: Say) -> None:
    class Last(BaseEstimator):
        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, values: Any) -> None:
            raise AssertionError

        def predict(self, values: Any) -> Any:
            return np.array(["yes"] * len(values))

    model = Pipeline([("step", FunctionTransformer(lossy)), ("model", Last())])
    gaps = FEATURES.assign(x=FEATURES["x"].where(FEATURES.index != 3))
    said = answers.ask(model, gaps, who="Version 3", labels=["no", "yes"])
    kept = lossy(gaps)
    assert said.usable.sum() >= ROWS - 1
    assert len(said.usable) == ROWS
    assert said.usable[3] == (len(kept) == ROWS)

"""Scoring: labels by name whatever their type, probabilities in the order of the codes, outputs as profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.models import scoring


class Fixed:
    """A fitted classifier that always says the same."""

    def __init__(self, classes: list[Any], proba: list[float]) -> None:
        self.classes_ = np.array(classes)
        self._proba = proba

    def predict(self, features: pd.DataFrame) -> Any:
        return np.repeat(self.classes_[int(np.argmax(self._proba))], len(features))

    def predict_proba(self, features: pd.DataFrame) -> Any:
        return np.tile(self._proba, (len(features), 1))


FEATURES = pd.DataFrame({"x": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize(("value", "text"), [
    (1, "1"), (1.0, "1"), (1.5, "1.5"), (np.int64(2), "2"), (np.float32(2), "2"), (True, "True"),
    (np.bool_(False), "False"),
    ("late", "late"), ("1.0", "1.0"),
])
def test_a_label_is_called_the_same_however_it_is_typed(value: Any, text: str) -> None:
    assert scoring.label_text(value) == text


@pytest.mark.parametrize(("labels", "counts", "wanted", "positive"), [
    (["False", "True"], {"False": 1, "True": 99}, None, "True"), (["0", "1"], {}, None, "1"),
    (["a", "b"], {"a": 3, "b": 9}, None, "a"), (["a", "b"], {"a": 3, "b": 3}, None, "a"),
    (["a", "b"], {"a": 3}, "a", "a"), (["1", "2"], {}, 2.0, "2"), (["a", "b", "c"], {}, None, None),
    (["a"], {}, None, None),
])
def test_the_positive_label_is_the_one_wanted_or_true_or_the_rarer(
    labels: list[str], counts: dict[str, int], wanted: Any, positive: str | None
) -> None:
    assert scoring.choose_positive(labels, counts, wanted) == positive


def test_a_wanted_label_that_does_not_occur_is_refused() -> None:
    with pytest.raises(ValueError, match="'yes' does not occur; there are a, b"):
        scoring.choose_positive(["a", "b"], {}, "yes")


def test_scores_follow_the_order_of_the_labels_and_unknown_classes_have_none() -> None:
    model = Fixed(["c", "a"], [0.7, 0.3])
    found = scoring.model_outputs(model, FEATURES, ["a", "b", "c"], labels=["a", "b", "c"], positive=None)
    assert found.scores is not None
    assert found.scores[0].tolist() == [0.3, 0.0, 0.7]
    assert (found.actual.tolist(), found.predicted.tolist()) == ([0, 1, 2], [2, 2, 2])


def test_a_class_named_by_a_number_matches_labels_read_as_floats() -> None:
    found = scoring.model_outputs(Fixed([0, 1], [0.2, 0.8]), FEATURES, [1.0, 0.0, 1.0], labels=["0", "1"], positive="1")
    assert (found.actual.tolist(), found.positive) == ([1, 0, 1], 1)


@pytest.mark.parametrize(("positive", "expected"), [("yes", [0.8, 0.2]), ("no", [0.2, 0.8])])
def test_logged_scores_are_of_the_positive_class(positive: str, expected: list[float]) -> None:
    found = scoring.logged_outputs(["no"], ["yes"], [0.2], labels=["no", "yes"], positive=positive)
    assert found.scores is not None
    assert found.scores[0].tolist() == expected


def test_what_is_watched_depends_on_the_task() -> None:
    binary = scoring.model_outputs(Fixed(["a", "b"], [0.4, 0.6]), FEATURES, None, labels=["a", "b"], positive="a")
    many = scoring.model_outputs(Fixed(["a", "b"], [0.4, 0.6]), FEATURES, None, labels=["a", "b", "c"], positive=None)
    numbers = scoring.logged_outputs([1.0], [2.0], None, labels=[], positive=None)
    assert {k: v[0] for k, v in scoring.output_values(binary).items()} == {"score": 0.4, "prediction": "b"}
    assert {k: v[0] for k, v in scoring.output_values(many).items()} == {"confidence": 0.6, "prediction": "b"}
    assert {k: v[0] for k, v in scoring.output_values(numbers).items()} == {"prediction": 2.0}


def test_outputs_are_profiled_against_the_bins_that_there_are() -> None:
    """A log may hold predictions without the scores that the reference has, or the other way round."""
    bins: dict[str, Any] = {"score": freeze_numeric([0.1, 0.9]), "prediction": freeze_categorical(["a", "b"])}
    found = scoring.profile_values({"prediction": np.array(["a", "z"], dtype=object)}, bins)
    assert list(found.columns) == ["prediction"]
    assert (found.columns["prediction"].unseen, found.rows) == (1, 2)
    assert scoring.profile_values({}, bins).rows == 0

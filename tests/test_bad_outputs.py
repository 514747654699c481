"""A champion that says what nothing can be made of hides nothing else of a check, and what is missing is said.

A champion is made once per task; what it says is then put in the place of its own words, on sessions whose changes are
thrown away.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, merged, multiclass_table, regression_table

import trimtab as tt
from trimtab.decide.decision import Decision
from trimtab.decide.signals import Signal
from trimtab.errors import StepError
from trimtab.run import answered, checking, lifecycle
from trimtab.run.expected import Expected
from trimtab.run.scored import Scored
from trimtab.run.session import Session

TABLE = binary_table(1500)
MULTI = merged(BINARY, model="multi", data={
    "table": "multi.parquet", "label": "category", "numeric": ["amount"], "categorical": ["site"],
}, promotion={"criteria": [{"metric": "accuracy", "floor": 0.2}]})
MULTI_TABLE = multiclass_table(1500).assign(
    site=lambda t: t["category"].where(t.index % 3 != 0, "none"), amount=lambda t: np.log(t["amount"]))
NUMBERS = merged(BINARY, model="numbers", task="regression", data={
    "table": "numbers.parquet", "numeric": ["x", "z"], "categorical": [],
}, estimator={"class": "sklearn.linear_model.Ridge"}, promotion={"criteria": [{"metric": "r2", "floor": 0.1}]})
PROJECTS: Mapping[str, tuple[dict[str, Any], pd.DataFrame]] = {
    "binary": (BINARY, TABLE), "multi": (MULTI, MULTI_TABLE), "numbers": (NUMBERS, regression_table(1500)),
}


@pytest.fixture(scope="module")
def champions(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which a champion of each task serves."""
    folder = tmp_path_factory.mktemp("champions") / "home"
    shutil.copytree(fresh_home, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", str(folder))
        patch.chdir(folder)
        for name, (tree, table) in PROJECTS.items():
            table.to_parquet(folder / tree["data"]["table"])
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(tree))
            session = tt.open(folder / f"{name}.yaml", as_of="2024-04-01")
            contest = lifecycle.first_champion(session)
            lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
            session.close()
        yield folder


class Says:
    """A champion of which predictions or probabilities are replaced."""

    def __init__(self, own: Any, predict: Callable[..., Any] | None, proba: Callable[..., Any] | None) -> None:
        self._own, self._predict, self._proba = own, predict, proba
        if hasattr(own, "classes_"):
            self.classes_ = own.classes_

    def predict(self, features: pd.DataFrame) -> Any:
        said = self._own.predict(features)
        return self._predict(said, features) if self._predict else said

    def predict_proba(self, features: pd.DataFrame) -> Any:
        said = self._own.predict_proba(features)
        return self._proba(said, features) if self._proba else said


class Silent:
    """A champion that gives no probabilities."""

    def __init__(self, own: Any) -> None:
        self.predict, self.classes_ = own.predict, own.classes_


@dataclass(frozen=True)
class Look:
    """What a check found."""

    scored: Scored
    estimates: Expected
    signals: dict[str, Signal]
    decision: Decision
    reading: str


def _look(session: Session) -> Look:
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    scored = checking.score(session, current)
    estimates = checking.expected(session, scored)
    found = checking.signals(session, drift, scored, current, estimates=estimates)
    for show in (tt.tables.realised, tt.tables.realised_by_group):
        show(scored)
    for tell in (tt.tables.expected, tt.tables.assumptions):
        tell(estimates)
    tt.tables.outputs(scored, session.thresholds)
    decision = tt.decide(found, session.params)
    reading = tt.readings.of_drift(session, drift, scored)
    return Look(scored, estimates, {one.name: one for one in found}, decision, reading)


def _check(
    home: Path, name: str = "binary", champion: Callable[[Any], Any] | None = None, table: pd.DataFrame | None = None,
    **overrides: Any,
) -> Look:
    """Check the newest window with another champion's words, or another table."""
    if table is not None:
        table.to_parquet(home / "other.parquet")
        overrides["data.table"] = "other.parquet"
    session = tt.open(home / f"{name}.yaml", as_of="2024-04-25", overrides=overrides, dry_run=True)
    try:
        if champion is not None:
            session.__dict__["champion"] = replace(session.champion, estimator=champion(session.champion.estimator))
        return _look(session)
    finally:
        session.close()
        shutil.rmtree(session.scratch, ignore_errors=True)


def _some(said: Any, every: int, value: Any) -> Any:
    changed = np.array(said, dtype=object if isinstance(value, str) else float)
    changed[::every] = value
    return changed


@pytest.mark.parametrize(("proba", "words"), [
    (lambda said, _: said * 1.5 - 0.25, "values outside 0 to 1"), (lambda said, _: said * 0.8, "do not sum to one"),
    (lambda said, _: said[:, :1], "of shape"),
], ids=["outside", "sum", "columns"])
def test_probabilities_that_are_none_leave_the_rest_of_the_check(
    champions: Path, proba: Callable[..., Any], words: str
) -> None:
    found = _check(champions, champion=lambda own: Says(own, None, proba))
    assert words in found.scored.remarks
    assert found.scored.drift is not None
    assert [column.name for column in found.scored.drift.columns] == ["prediction"]
    assert set(checking.overall(found.scored)) >= {"accuracy", "f1"}
    assert "roc_auc" not in checking.overall(found.scored)
    lost = found.signals["performance_drop"]
    assert np.isnan(lost.value)
    assert words in lost.message
    assert found.signals["unusable_outputs"].severity == "medium"
    assert found.decision.untested == ("performance_drop",)
    assert lost.message in found.decision.reasons
    assert not found.decision.needs_retrain


def test_records_that_the_champion_fails_on_are_counted_and_left_out(champions: Path) -> None:
    def _predict(said: Any, features: pd.DataFrame) -> Any:
        if (features["x"] > 2).any():
            raise ValueError("Found unknown categories ['new']")
        return said

    found = _check(champions, champion=lambda own: Says(own, _predict, None))
    share = found.signals["unusable_outputs"]
    assert 0 < share.value < 0.05
    assert share.severity == "low"
    assert "Found unknown categories ['new']" in share.message
    assert share.message in found.decision.reasons
    assert found.scored.performance is not None
    assert found.scored.outputs is not None
    assert len(found.scored.outputs) == found.scored.rows == len(found.scored.records)  # type: ignore[arg-type]  # -- it is there


def _broken(_said: Any, _features: pd.DataFrame) -> Any:
    raise RuntimeError("broken")


@pytest.mark.parametrize(("name", "predict", "words"), [
    ("binary", _broken, "RuntimeError: broken"), ("binary", lambda said, _: said[:-1], "of shape"),
    ("numbers", lambda said, _: said * np.nan, "such as nan"), ("numbers", lambda said, _: said.astype(str), ""),
], ids=["fails", "wrong length", "nan", "text of numbers"])
def test_a_champion_that_says_nothing_of_use_is_no_sign_of_calm(
    champions: Path, name: str, predict: Callable[..., Any], words: str
) -> None:
    found = _check(champions, name, lambda own: Says(own, predict, None))
    if not words:    # numbers written as text can be read
        assert found.decision.untested == ()
        return
    blind = ("prediction_drift", "estimated_drop", "performance_drop")
    assert found.decision.untested == blind
    assert all(np.isnan(found.signals[one].value) for one in blind)
    assert words in found.signals["prediction_drift"].message
    assert found.signals["feature_drift"].value >= 0
    assert "None of the model's outputs can be used" in found.reading
    assert found.signals["unusable_outputs"].value == 1


def test_a_champion_without_probabilities_is_watched_by_its_predictions(champions: Path) -> None:
    found = _check(champions, champion=Silent)
    assert found.signals["performance_drop"].message.endswith("Version 1 gives no probabilities.")
    assert found.signals["unusable_outputs"].severity == "none"
    assert found.signals["prediction_drift"].value >= 0
    assert found.decision.untested == ("performance_drop",)


def test_days_with_and_without_probabilities_are_compared_by_a_loss_that_both_have(champions: Path) -> None:
    """The holdout's days are kept with log loss; a share of errors beside them would look like a fall of the loss."""
    session = tt.open(champions / "binary.yaml", as_of="2024-04-25", dry_run=True)
    session.__dict__["champion"] = replace(session.champion, estimator=Silent(session.champion.estimator))
    past = checking.history(session, session.windows()[1])
    assert past.loss == "share of errors"
    assert 0 < past.change.before < 0.5
    session.close()
    shutil.rmtree(session.scratch)


def test_a_prediction_of_a_class_that_a_binary_champion_does_not_know_is_left_out(champions: Path) -> None:
    found = _check(champions, champion=lambda own: Says(own, lambda said, _: _some(said, 50, "maybe"), None))
    assert "of a class that the model does not know (maybe)" in found.signals["unusable_outputs"].message
    assert found.scored.outputs is not None
    assert found.scored.outputs.task == "binary"
    assert found.scored.performance is not None


def _relabelled(table: pd.DataFrame, label: str, every: int, name: str) -> pd.DataFrame:
    late = (table["at"] >= "2024-04-05") & (table.index % every == 0)
    return table.assign(**{label: table[label].astype(str).where(~late, name)})


def test_one_outcome_of_an_unknown_class_changes_no_metric_of_a_binary_champion(champions: Path) -> None:
    text = TABLE.assign(y=TABLE["y"].astype(str))
    last = text.index[text["at"] < "2024-04-25"][-1]
    one = text.assign(y=text["y"].where(text.index != last, "maybe"))
    before, found = (_check(champions, table=table) for table in (text.drop(index=last), one))
    assert checking.overall(found.scored) == checking.overall(before.scored)
    assert found.scored.remarks.startswith("1 of ")
    assert found.scored.remarks.endswith("(maybe); they are left out where performance is measured.")
    assert found.decision.severity == "none"


def test_many_outcomes_of_an_unknown_class_are_news_of_the_labels_not_of_the_model(champions: Path) -> None:
    found = _check(champions, table=_relabelled(TABLE, "y", 2, "maybe"))
    assert found.signals["class_balance"].severity == "medium"
    assert "of a class that the holdout did not have" in found.signals["class_balance"].message
    assert found.scored.performance is not None
    assert found.scored.performance.rows < 0.6 * found.scored.labelled
    assert found.signals["performance_drop"].severity == "none"
    assert not found.decision.needs_retrain


def test_outcomes_that_are_all_of_unknown_classes_leave_no_performance(champions: Path) -> None:
    found = _check(champions, table=_relabelled(TABLE, "y", 1, "maybe"))
    assert found.scored.performance is None
    assert "can be held against a prediction" in found.signals["performance_drop"].message
    assert "performance_drop" in found.decision.untested
    assert found.signals["estimated_drop"].value == pytest.approx(_check(champions).signals["estimated_drop"].value)


def test_a_new_class_among_several_counts_as_an_error_of_the_champion(champions: Path) -> None:
    """It could not have been right; a model that knows the class could be."""
    found = _check(champions, "multi", table=_relabelled(MULTI_TABLE, "category", 2, "new"))
    assert "the model cannot be right about them" in found.scored.remarks
    assert found.signals["performance_drop"].value == pytest.approx(0.5, abs=0.1)
    assert found.decision.needs_retrain


def _logs(score: Any = None, **columns: Any) -> tuple[pd.DataFrame, dict[str, str]]:
    table = TABLE.assign(said=TABLE["x"] > 0, p=1 / (1 + np.exp(-TABLE["x"])))
    for name, change in columns.items():
        table[name] = change(table)
    return table, {"data.prediction": "said"} | ({"data.score": "p"} if score else {})


@pytest.mark.parametrize(("columns", "words", "scores"), [
    ({"p": lambda t: t["p"] * 1.5}, "values outside 0 to 1", False),
    ({"p": lambda t: t["p"].where(t["at"] < "2024-04-01")}, "holds no probability of the", False),
    ({"p": lambda t: t["p"].where(t.index % 3 != 0)}, "which are left out", True),
    ({"said": lambda t: t["said"].astype("boolean").where(t.index % 3 != 0)}, "holds no prediction of", True),
    ({"said": lambda t: t["said"].astype(str).where(t.index % 9 != 0, "maybe")}, "does not know (maybe)", True),
])
def test_a_log_is_used_as_far_as_it_goes(
    champions: Path, columns: dict[str, Any], words: str, scores: bool
) -> None:
    table, overrides = _logs(True, **columns)
    found = _check(champions, table=table, **overrides)
    assert words in found.scored.remarks
    assert ("roc_auc" in checking.overall(found.scored)) == scores
    assert "accuracy" in checking.overall(found.scored)


def test_a_log_without_predictions_in_the_window_is_said(champions: Path) -> None:
    table, overrides = _logs(said=lambda t: t["said"].astype("boolean").where(t["at"] < "2024-04-01"))
    found = _check(champions, table=table, **overrides)
    assert set(found.decision.untested) == {"prediction_drift", "estimated_drop", "performance_drop"}
    assert "holds no prediction of the" in found.signals["prediction_drift"].message


def test_without_a_label_nothing_is_said_of_what_needs_one(champions: Path) -> None:
    found = _check(champions, **{"data.label": None})
    assert {"performance_drop", "class_balance", "label_completeness"}.isdisjoint(found.signals)
    assert found.signals["estimated_drop"].value == pytest.approx(_check(champions).signals["estimated_drop"].value)
    assert found.decision.untested == ()
    assert found.reading.endswith("No column of outcomes is named, so whether drift does any harm is not known.")


def test_a_holdout_of_two_records_is_no_ground_for_an_estimate(champions: Path) -> None:
    session = tt.open(champions / "binary.yaml", as_of="2024-04-25", dry_run=True)
    kept = session.ledger.days.holdout(1)
    assert kept is not None
    few = np.arange(2)
    small = replace(kept, sample=kept.sample.take(few), outputs=kept.outputs.take(few))
    session.ledger.days.keep_holdout(1, small)
    found = _look(session)
    assert np.isnan(found.signals["estimated_drop"].value)
    assert "holdout" in found.signals["estimated_drop"].message
    session.close()
    shutil.rmtree(session.scratch)


@pytest.mark.parametrize(("model", "words"), [
    (lambda own: Says(own, None, lambda said, _: said * 0.8), "do not sum to one"),
    (lambda own: Says(own, lambda said, _: _some(said, 9, "maybe"), None), "predicts 'maybe'"),
    (lambda own: Says(own, _broken, None), "could not predict any"),
], ids=["sum", "class", "fails"])
def test_a_model_that_says_what_nothing_can_be_made_of_is_not_evaluated(
    champions: Path, model: Callable[[Any], Any], words: str
) -> None:
    session = tt.open(champions / "binary.yaml", as_of="2024-04-25", dry_run=True)
    frame = session.frame(session.windows()[1], labelled=True)
    own = session.champion
    odd = replace(own, version=2, estimator=model(own.estimator))
    with pytest.raises(StepError, match="version 2") as refusal:
        answered.outputs(session, [odd, own], frame)
    assert words in str(refusal.value)
    session.close()
    shutil.rmtree(session.scratch, ignore_errors=True)


def test_a_champion_without_honest_probabilities_can_still_be_replaced(champions: Path) -> None:
    session = tt.open(champions / "binary.yaml", as_of="2024-04-25", dry_run=True)
    frame = session.frame(session.windows()[1], labelled=True)
    own = session.champion
    odd = replace(own, version=2, estimator=Says(own.estimator, None, lambda said, _: said * 0.8))
    challenger, rival = answered.outputs(session, [own, odd], frame)
    assert challenger.scores is not None
    assert rival.scores is None
    session.close()
    shutil.rmtree(session.scratch, ignore_errors=True)


def test_reports_say_how_many_signals_could_not_be_tested() -> None:
    from trimtab.run.reports import _came_of_it

    told = {"rows": 5, "severity": "none", "needs_retrain": False, "untested": ["feature_drift"]}
    assert _came_of_it("02_drift_analysis", told).endswith("retraining is not asked for; 1 signal could not be tested.")

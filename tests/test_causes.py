"""Root causes: columns that moved, by how far and how much the champion relies on them; kept at its evaluation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from conftest import BINARY, START, binary_table, merged, regression_table

import trimtab as tt
from trimtab.act import estimators
from trimtab.decide.causes import Cause, Causes, root_causes
from trimtab.decide.decision import decide
from trimtab.decide.signals import Signal
from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.models import scoring
from trimtab.measure.models.importance import Importance
from trimtab.run import lifecycle
from trimtab.run.causes import causes, importance_from_json, importance_of, importance_to_json
from trimtab.run.versions import Model
from trimtab.settings import Params
from trimtab.settings.drift import DriftSettings

RULES = DriftSettings()


def _drift(missing: int = 0, **ones: int) -> Drift:
    """Columns of two levels, half and half before; now so many of 1,000 have the first. `gaps` misses so many more."""
    bins = freeze_categorical(["a", "b"])
    before = {name: ColumnProfile(bins, (500, 500)) for name in ones}
    now = {name: ColumnProfile(bins, (n, 1000 - n)) for name, n in ones.items()}
    before["gaps"] = ColumnProfile(bins, (500, 500))
    now["gaps"] = ColumnProfile(bins, ((1000 - missing) // 2, (1000 - missing) // 2), nulls=missing)
    return compare(Profile(before, 1000), Profile(now, 1000))


def _importance(**mean: float) -> Importance:
    return Importance("roc_auc", 0.8, 1000, 3, mean, dict.fromkeys(mean, 0.0))


def _found(drift: Drift, importance: Importance | None, *, apart: tuple[str, ...] = ()) -> Causes:
    sources = {column.name: column.name for column in drift.columns if column.name not in apart}
    return root_causes(drift, RULES, sources=sources, importance=importance)


# -- the ranking -------------------------------------------------------------------------------------------------------


def test_columns_rank_by_distance_times_share_not_by_either() -> None:
    drift = _drift(far=960, near=700, still=500)
    found = _found(drift, _importance(far=0.01, near=0.05, still=0.94))
    assert found.order == ("near", "far")    # what is relied on most has not moved
    near, far = found.ranked
    assert (near.share, far.share) == pytest.approx((0.05, 0.01))
    assert (near.distance, far.distance) == (drift["near"].js, drift["far"].js)
    assert near.weight == pytest.approx(near.distance * 0.05)
    assert _found(drift, _importance(far=0.04, near=0.05, still=0.91)).order == ("far", "near")


def test_sentences_say_how_far_and_how_much_it_is_relied_on() -> None:
    found = _found(_drift(far=960, near=700, site=700), _importance(far=0.01, near=0.99), apart=("site",))
    assert [cause.message for cause in (*found.ranked, *found.apart)] == [
        "near moved (PSI 0.17), and the champion relies on it (99% of what its roc_auc draws from its columns).",
        "far moved most (PSI 1.45), but the champion hardly uses it (1% of what its roc_auc draws from its columns).",
        "site moved (PSI 0.17); it is none of the champion's columns.",
    ]
    assert found.first == "weighed by what the champion relies on, near comes first (it relies on it for 99%)"
    assert found.note == ""


def test_a_share_of_exactly_two_percent_counts_as_relied_on() -> None:
    told = [_found(_drift(x=900), _importance(x=x, rest=1 - x)).first for x in (0.0199, 0.02)]
    assert told[0] == "the champion hardly uses what moved"
    assert told[1].endswith("x comes first (it relies on it for 2%)")


def test_a_column_that_only_misses_more_values_has_come_that_far() -> None:
    found = _found(_drift(missing=300, near=520), _importance(gaps=0.5, near=0.5))
    assert [(cause.column, cause.distance) for cause in found.ranked] == [("gaps", pytest.approx(0.3))]


@pytest.mark.parametrize(
    ("importance", "note"),
    [
        (None, "How much the champion relies on each column is not known, so the ranking is by drift alone."),
        (_importance(far=0.0, near=-0.01),
         "The champion's roc_auc loses nothing without any one column, so the ranking is by drift alone."),
        (_importance(far=math.nan, near=math.nan),
         "The champion's roc_auc loses nothing without any one column, so the ranking is by drift alone."),
    ],
)
def test_without_importance_the_ranking_is_by_drift_alone_and_says_so(importance: Any, note: str) -> None:
    found = _found(_drift(far=960, near=700), importance)
    assert found.order == ("far", "near")
    assert found.note == note
    assert found.first == ""
    assert all(math.isnan(cause.weight) for cause in found.ranked)
    assert found.ranked[1].message == "near moved (PSI 0.17); how much the champion relies on it is not known."


def test_nothing_that_moved_has_no_cause() -> None:
    for drift in (_drift(x=500), Drift((), 0, 0)):
        assert _found(drift, None) == Causes((), ())


def test_weight_ranks_harm_better_than_drift_does() -> None:
    """A linear model of six columns, of which four go astray: harm is what the error rises by when one alone does."""
    by_weight, by_drift = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        slopes, before, now = rng.exponential(size=6), rng.normal(size=(3000, 6)), rng.normal(size=(1000, 6))
        astray = now.copy()
        astray[:, :4] += rng.uniform(0.3, 3.0, size=4)
        importance = {str(i): 2 * float(slopes[i] ** 2) for i in range(6)}    # of the squared error
        harm = {str(i): float(np.mean(((astray - now)[:, i] * slopes[i]) ** 2)) for i in range(6)}
        bins = {str(i): freeze_numeric(before[:, i]) for i in range(6)}
        profiles = [Profile({name: profile_array(values[:, int(name)], one) for name, one in bins.items()}, len(values))
                    for values in (before, astray)]
        found = _found(compare(*profiles), _importance(**importance))
        real = [harm[cause.column] for cause in found.ranked]
        by_weight.append(scipy.stats.spearmanr(real, [cause.weight for cause in found.ranked]).statistic)
        by_drift.append(scipy.stats.spearmanr(real, [cause.distance for cause in found.ranked]).statistic)
    better = np.array(by_weight) - np.array(by_drift)
    assert better.mean() > 3 * better.std(ddof=1) / math.sqrt(len(better))
    assert np.mean(by_weight) > 0.8


# -- the decision ------------------------------------------------------------------------------------------------------


def _params() -> Params:
    return Params.model_validate({
        "model": "m", "task": "regression", "data": {"table": "t", "time": "at", "numeric": ["x"]},
        "estimator": {"class": "sklearn.linear_model.Ridge"},
    })


def test_root_causes_of_a_decision_are_in_the_order_of_the_ranking_and_others_follow() -> None:
    moved = Signal("feature_drift", 1.0, 0.1, 0.0, "high", ("far", "near", "site"), "It moved.")
    said = Signal("prediction_drift", 0.3, 0.1, 0.0, "medium", ("score",), "It moved, too.")
    quiet = Signal("outliers", 0.0, 0.1, 0.5, "none", ("still",), "It did not.")
    one = Cause("near", "PSI 0.17", 0.2, 0.9, ".")
    ranking = Causes((one, replace(one, column="far"), replace(one, column="still")), (replace(one, column="site"),))
    assert decide([moved, said, quiet], _params(), causes=ranking).root_causes == ("near", "far", "site", "score")
    assert decide([moved, said, quiet], _params()).root_causes == ("far", "near", "site", "score")
    assert tt.decide([moved], _params(), causes=ranking).root_causes == ("near", "far", "site")


# -- what is kept of a version -----------------------------------------------------------------------------------------


def _served(path: Path, as_of: str) -> None:
    session = tt.open(path, as_of=as_of)
    contest = lifecycle.first_champion(session)
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))


def _noisy(table: pd.DataFrame) -> pd.DataFrame:
    """What says nothing of the outcome moves far, what says much moves a little."""
    late = table["at"] >= START + pd.Timedelta(days=70)
    return table.assign(noise=table["noise"] + 9 * late, x=table["x"] + 0.6 * late)


def test_importance_is_kept_with_a_version_and_ranks_what_moves_later(project: Callable[..., Path]) -> None:
    path = project(merged(BINARY, data={"segments": ["site"]}), _noisy(binary_table(4000)))
    _served(path, "2024-03-10")
    session = tt.open(path, as_of="2024-04-20")
    reference, current = session.windows()
    drift = tt.compare(session.profile(reference), session.profile(current))
    found = causes(session, drift)
    assert drift.columns[0].name == "noise"
    assert found.order[:2] == ("x", "noise")
    assert found.ranked[1].share < 0.02
    known = session.ledger.version(1) or {}
    kept = importance_from_json(known["baseline"]["importance"])
    assert kept.metric == "roc_auc"
    assert list(kept.mean) == list(session.params.data.features)
    known["baseline"].pop("importance")    # as a ledger has it that is older
    session.ledger.record_baseline(1, known["baseline"])
    again = causes(session, drift)
    assert again.order[0] == "noise"
    assert "by drift alone" in again.note


def test_what_is_watched_but_no_column_of_the_champion_stands_apart(project: Callable[..., Path]) -> None:
    table = _noisy(binary_table(4000))
    table["site"] = np.where(table["at"] >= START + pd.Timedelta(days=70), "south", table["site"])
    path = project(merged(BINARY, data={"segments": ["site"], "calendar": ["month"]}), table)
    _served(path, "2024-03-10")
    session = tt.open(path, as_of="2024-04-20")
    drift = tt.compare(*map(session.profile, session.windows()))
    found = causes(session, drift)
    assert {cause.column for cause in found.apart} == {"site", "month of at"}
    assert {cause.column for cause in found.ranked} == {"x", "noise"}


def test_b17_columns_that_are_only_watched_move_and_no_model_ever_sees_them(project: Callable[..., Path]) -> None:
    table = _noisy(binary_table(4000))
    late = table["at"] >= START + pd.Timedelta(days=70)
    table["amount"] = np.random.default_rng(5).normal(size=len(table)) + 2.0 * late
    table["code"] = np.where(late, "new", "old")
    path = project(merged(BINARY, data={"watched": {"numeric": ["amount"], "categorical": ["code"]}}), table)
    _served(path, "2024-03-10")
    session = tt.open(path, as_of="2024-04-20")
    drift = tt.compare(*map(session.profile, session.windows()))
    assert {"amount", "code"} <= {column.name for column in drift.drifted(**session.thresholds.bounds)}
    assert list(session.champion.lineage["features"]) == list(session.params.data.features)
    assert not {"amount", "code"} & set(session.params.data.features)
    assert {"amount", "code"} <= {cause.column for cause in causes(session, drift).apart}


def test_length_of_a_text_counts_as_the_text(project: Callable[..., Path]) -> None:
    rng, rows = np.random.default_rng(0), 3000
    table = regression_table(rows)
    late = table["at"] >= START + pd.Timedelta(days=70)
    word = rng.choice(["high", "low"], rows)
    table["note"] = np.where(late, word + np.full(rows, " and much more than before"), word)
    table["y"] = 5.0 * (word == "high") + 0.1 * table["x"]
    tree = merged(BINARY, task="regression", model="texts", data={
        "label": "y", "numeric": ["x"], "categorical": [], "text": ["note"],
    }, estimator={"class": "sklearn.linear_model.Ridge"}, promotion={"criteria": [{"metric": "r2", "floor": 0.1}]})
    path = project(tree, table)
    _served(path, "2024-03-10")
    session = tt.open(path, as_of="2024-04-20")
    drift = tt.compare(*map(session.profile, session.windows()))
    (first,) = (cause for cause in causes(session, drift).ranked if cause.column.startswith("note ("))
    assert first.share > 0.9
    assert (session.ledger.version(1) or {})["baseline"]["importance"]["metric"] == "r2"


def _evaluated(kind: str, criteria: Any = ()) -> tuple[Any, Any, pd.DataFrame, Any]:
    """A session as far as it is asked, a model that learned from half of the records, and what it says of the rest."""
    tree = merged(BINARY, estimator={"class": kind}, promotion={"criteria": list(criteria)})
    params, table = Params.model_validate(tree), binary_table(1200)
    columns = list(params.data.features)
    pipeline = estimators.build(*params.estimator.named().values(), params.data, params.task)
    pipeline.fit(table[columns][:600], table["y"][:600])
    model, rest = Model(1, pipeline, {}), table[600:]
    labels: Any = {"labels": scoring.model_labels(pipeline), "positive": "True"}
    said = scoring.model_outputs(pipeline, rest[columns], rest["y"].tolist(), **labels)
    return SimpleNamespace(params=params), model, rest, said


@pytest.mark.parametrize(
    ("kind", "criterion", "metric"),
    [
        ("sklearn.linear_model.LogisticRegression", "recall", "roc_auc"),
        ("sklearn.linear_model.LogisticRegression", "log_loss", "log_loss"),
        ("sklearn.linear_model.LogisticRegression", "accuracy", "accuracy"),
        ("sklearn.svm.LinearSVC", "f1", "accuracy"),
    ],
)
def test_importance_is_that_of_a_metric_which_tells_better_models_from_worse(
    kind: str, criterion: str, metric: str
) -> None:
    found = importance_of(*_evaluated(kind, [{"metric": criterion, "floor": 0.0}]))
    assert found.metric == metric
    assert max(found.shares, key=lambda name: found.shares[name]) == "x"


def test_importance_takes_few_records_of_many_and_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known = _evaluated("sklearn.linear_model.LogisticRegression")
    assert importance_of(*known).rows == 600
    monkeypatch.setattr("trimtab.run.causes._RECORDS", 100)
    assert importance_of(*known) == importance_of(*known)
    assert importance_of(*known).rows == 100
    monkeypatch.setattr("trimtab.run.causes._MOST_PREDICTIONS", 600)    # four columns, three repeats
    assert importance_of(*known).rows == 50


def test_importance_comes_back_from_json_with_what_is_not_known() -> None:
    made = Importance("roc_auc", math.nan, 9, 3, {"x": math.nan, "z": 0.1}, {"x": math.nan, "z": 0.0})
    read = importance_from_json(json.loads(json.dumps(importance_to_json(made))))
    assert repr(read) == repr(made)

"""Estimates for three classes and more, of models whose scores are counts, votes or boosted: right in the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.datasets import make_blobs, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.metrics import Outputs, evaluate
from trimtab.measure.unlabelled import calibration, log_odds
from trimtab.measure.unlabelled.calibration import cross_fitted, fit
from trimtab.measure.unlabelled.confidence_estimates import confidence_based
from trimtab.measure.unlabelled.honesty import p_value

RNG = np.random.default_rng
Array = np.ndarray[Any, Any]
RECORDS, SEEDS = 1500, 6
METRICS = ("accuracy", "f1", "log_loss")
MODELS: dict[str, Callable[[], Any]] = {
    "neighbours": lambda: KNeighborsClassifier(15),
    "tree": lambda: DecisionTreeClassifier(min_samples_leaf=20, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=25, random_state=0),
    "logistic": lambda: LogisticRegression(max_iter=1000),
    "bayes": lambda: GaussianNB(),
}


def three_classes(n: int, seed: int) -> tuple[Array, Array]:
    x, y = make_classification(
        n, 10, n_informative=5, n_classes=3, flip_y=0.1, class_sep=0.8, weights=[0.7, 0.2, 0.1], random_state=seed
    )
    return x, y


def five_blobs(n: int, seed: int) -> tuple[Array, Array]:
    x, y = make_blobs(n, centers=5, cluster_std=4.0, n_features=3, random_state=seed)
    return x, y


WORLDS = {"three classes": three_classes, "five blobs": five_blobs}


def said(model: Any, x: Array, y: Array) -> Outputs:
    scores = model.predict_proba(x)
    return Outputs(tuple(map(str, model.classes_)), y, scores.argmax(axis=1), scores)


def lived(world: str, model: str, seed: int) -> tuple[Outputs, Outputs]:
    """A model's holdout and as many records later, of the same kind."""
    x, y = WORLDS[world](3 * RECORDS, seed)
    order = RNG(seed).permutation(len(x)).reshape(3, RECORDS)
    made = MODELS[model]().fit(x[order[0]], y[order[0]])
    return said(made, x[order[1]], y[order[1]]), said(made, x[order[2]], y[order[2]])


def test_where_nothing_has_moved_estimates_are_right_in_the_mean_and_ranges_hold_what_comes() -> None:
    held: dict[str, list[bool]] = {name: [] for name in METRICS}
    doubted = 0
    for world in WORLDS:
        for place, model in enumerate(MODELS):
            errors, chance = [], []
            for seed in range(SEEDS * place, SEEDS * (place + 1)):    # windows of two models are never the same
                holdout, current = lived(world, model, seed)
                found = confidence_based(holdout, current, METRICS, replicates=80)
                for name in METRICS:
                    one = found[Measure(name)]
                    held[name].append(one.low <= evaluate(name, current) <= one.high)
                one = found[Measure("accuracy")]
                doubted += any(a.name == "calibration" for a in one.doubtful)
                errors.append(one.value - evaluate("accuracy", current))
                chance.append(2 * one.baseline * (1 - one.baseline) / RECORDS)    # of the holdout and of what came
            # Ten means: 2.8 standard errors are passed by none of them in 95 of 100 cases.
            assert abs(np.mean(errors)) < 2.8 * np.sqrt(np.mean(chance) / SEEDS), (world, model)
    windows = len(WORLDS) * len(MODELS) * SEEDS
    for name, inside in held.items():    # in one of a hundred cases one of the three has fewer by chance
        assert sum(inside) >= binom.ppf(0.01 / len(METRICS), windows, 0.95), name
    assert doubted <= binom.ppf(0.99, windows, 0.01)


@pytest.mark.parametrize("model", ["bayes", "neighbours"])
def test_under_covariate_shift_the_estimate_is_nearer_than_that_nothing_changed(model: str) -> None:
    errors = []
    for seed in range(8):
        x, y = five_blobs(4 * RECORDS, seed)
        rng = RNG(seed)
        along = x @ rng.normal(size=3)
        moved = rng.random(len(x)) < 0.8 / (1 + np.exp(-1.5 * (along - along.mean()) / along.std()))
        learned, held = np.array_split(rng.permutation(np.flatnonzero(~moved)), 2)
        made = MODELS[model]().fit(x[learned], y[learned])
        current = said(made, x[moved], y[moved])
        one = confidence_based(said(made, x[held], y[held]), current, ["accuracy"])[Measure("accuracy")]
        came = evaluate("accuracy", current)
        errors.append([abs(one.value - came), abs(one.baseline - came)])
    estimated, unchanged = np.mean(errors, axis=0)
    assert estimated < 0.75 * unchanged


def counted(n: int, seed: int) -> tuple[Array, Array, Array]:
    """True probabilities of four classes, what 15 neighbours that follow them count, and what came."""
    rng = RNG([n, seed])
    true = rng.dirichlet(np.full(4, 0.4), size=n)
    scores = np.array([rng.multinomial(15, p) for p in true]) / 15
    came = np.minimum((true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), 3)
    return true, scores, came


def test_scores_of_exactly_0_come_as_often_as_they_do_and_leave_the_others_alone() -> None:
    fitted = fit(*counted(4000, 1)[1:])
    true, scores, _ = counted(20_000, 2)
    calibrated = fitted.apply(scores)
    top = np.arange(len(scores)), scores.argmax(axis=1)
    # The 4000 records know the accuracy of 0.63 to 0.0076, and the share of zeros that come, 0.024, to 0.002.
    assert calibrated[top].mean() == pytest.approx(true[top].mean(), abs=3 * 0.0076)
    assert calibrated[scores == 0].mean() == pytest.approx(true[scores == 0].mean(), abs=3 * 0.002)
    assert np.sqrt(((calibrated - true) ** 2).mean()) < np.sqrt(((scores - true) ** 2).mean())


def test_probabilities_whose_likeliest_class_comes_more_seldom_than_said_are_not_honest() -> None:
    _, scores, came = counted(4000, 3)
    calibrated = cross_fitted(scores, came)
    assert p_value(calibrated, came) > 0.01
    # What the likeliest class loses the others share, in all rows alike: frequencies of the classes stay.
    less = 0.9 * calibrated + 0.1 * calibrated.mean(axis=0)
    assert p_value(less, came) < 1e-6


def test_a_calibration_that_misses_the_holdout_itself_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    _, scores, came = counted(3000, 4)
    outputs = Outputs(tuple("abcd"), came, scores.argmax(axis=1), scores)
    trusted = confidence_based(outputs, outputs, ["accuracy"])[Measure("accuracy")]
    assert not trusted.doubtful
    monkeypatch.setattr(calibration, "_MULTICLASS", (("none", 0.05), ("temperature", 0.95)))
    monkeypatch.setitem(log_odds._PARTS, "temperature", ("scale",))    # which zeros bend for all
    (doubted,) = confidence_based(outputs, outputs, ["accuracy"])[Measure("accuracy")].doubtful
    assert doubted.name == "calibration"
    assert "on the holdout itself it expects" in doubted.evidence
    assert f"which was {trusted.baseline:.4g}" in doubted.evidence

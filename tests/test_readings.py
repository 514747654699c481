"""Readings: what they say follows from what was measured, in each of its cases."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from trimtab.decide.causes import Cause, Causes
from trimtab.measure.columns.aspects import Aspect
from trimtab.measure.models.intervals import Interval, Measure, PairedDifference
from trimtab.run import readings
from trimtab.run.scored import Scored
from trimtab.settings.drift import DriftSettings


def _contest(**differences: float) -> Any:
    """A contest in which each difference is known to 0.01; names are a metric's, or group and metric."""
    nowhere = Interval(0.5, 0.4, 0.6, 0.95, 0.05)
    found = {}
    for name, size in differences.items():
        group, _, metric = name.rpartition("__")
        measure = Measure(metric, segment=group or None)
        difference = Interval(size, size - 0.01, size + 0.01, 0.95, 0.005)
        found[measure] = PairedDifference(nowhere, nowhere, difference, nowhere)
    return SimpleNamespace(evaluation=SimpleNamespace(differences=found))


@pytest.mark.parametrize(
    ("differences", "told"),
    [
        ({}, "Nobody served, so there was nothing to compare with."),
        ({"roc_auc": 0.005, "log_loss": -0.005}, "Over all records the two cannot be told apart by any metric."),
        ({"roc_auc": 0.02, "log_loss": 0.02},
         "Over all records the challenger is surely better by roc_auc, surely worse by log_loss."),
        ({"log_loss": -0.02}, "Over all records the challenger is surely better by log_loss, surely worse by none."),
        ({"roc_auc": -0.02, "north__roc_auc": 0.02},
         "Over all records the challenger is surely better by no metric, surely worse by roc_auc. "
         "It is worse for no class and no segment."),
        ({"roc_auc": 0.02, "north__roc_auc": -0.02, "south__log_loss": 0.02, "east__roc_auc": 0.02},
         "Over all records the challenger is surely better by roc_auc, surely worse by none. "
         "It is worse for north (roc_auc), south (log_loss)."),
    ],
)
def test_contest_is_read_by_the_direction_of_each_metric(differences: dict[str, float], told: str) -> None:
    assert readings.of_contest(_contest(**differences)) == told


def _drift(psi: float) -> Any:
    columns = [SimpleNamespace(name="x", excess=psi, moved=lambda **_: [Aspect("psi", psi, 0.0)])]
    drifted = [c for c in columns if c.excess >= DriftSettings().psi_warn]
    return SimpleNamespace(columns=columns, drifted=lambda **_: drifted, too_few="")


@pytest.mark.parametrize(
    ("psi", "lost", "ending"),
    [
        (0.5, 0.0, "By mae no loss can be shown."),
        (0.5, 0.5, "Both moved, which does not make the one the cause of the other."),
        (0.0, 0.5, "or something has moved that is not watched."),
        (0.0, 0.0, "Neither the inputs nor mae give a reason to act."),
    ],
)
def test_drift_is_read_beside_what_became_of_the_metric(psi: float, lost: float, ending: str) -> None:
    promotion = SimpleNamespace(criteria=[])
    params = SimpleNamespace(task="regression", promotion=promotion, data=SimpleNamespace(text=("note",)))
    before, now = (
        SimpleNamespace(values={Measure("mae"): Interval(value, value - 0.05, value + 0.05, 0.95, 0.02)}, rows=100)
        for value in (1.0, 1.0 + lost)
    )
    scored: Any = SimpleNamespace(performance=now, baseline=before, rows=100, outputs=None, unlabelled=False, said=None)
    told = readings.of_drift(SimpleNamespace(params=params, thresholds=DriftSettings()), _drift(psi), scored)  # type: ignore[arg-type]  # -- bare
    moved = "1 of 1 watched columns drifted, x the most (PSI 0.50)."
    assert told.startswith(moved if psi else "0 of 1 watched columns drifted.")
    assert told.endswith(ending)


def test_columns_that_moved_are_weighed_by_what_the_champion_relies_on() -> None:
    scored: Any = SimpleNamespace(performance=None, missing="No label is known.", unlabelled=False)
    session: Any = SimpleNamespace(
        params=SimpleNamespace(task="regression", promotion=SimpleNamespace(criteria=[])), thresholds=DriftSettings(),
    )
    one = Cause("x", "PSI 0.50", 0.3, 0.31, ".")
    told = [readings.of_drift(session, _drift(0.5), scored, causes) for causes in (
        Causes((one,), ()), Causes((one,), (), "By drift alone."), Causes((), ()), None)]
    assert told[0].startswith(
        "1 of 1 watched columns drifted, x the most (PSI 0.50); weighed by what the champion relies on, x comes first "
        "(it relies on it for 31%). No label is known.")
    assert set(told[1:]) == {readings.of_drift(session, _drift(0.5), scored)}


def test_drift_without_labels_is_not_called_harmless() -> None:
    promotion = SimpleNamespace(criteria=[])
    session: Any = SimpleNamespace(
        params=SimpleNamespace(task="regression", promotion=promotion), thresholds=DriftSettings(),
    )
    scored = Scored(
        drift=None, label_drift=None, performance=None, baseline=None, rows=10, labelled=0, source="", values={},
        profile=None, reference=None,
    )
    told = readings.of_drift(session, _drift(0.5), scored)
    assert told.endswith("Whether the drift does any harm is not known yet.")

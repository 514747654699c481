"""What does the champion rely on, and which of the columns that moved matter to it?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.decide.causes import Causes, root_causes
from trimtab.measure.columns.drift import Drift
from trimtab.measure.models import scoring
from trimtab.measure.models.importance import Importance, deals, permutation_importance
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.models.outputs import Outputs
from trimtab.plain import plain
from trimtab.run.scored import PRIMARY, primary_metric
from trimtab.run.session import Session
from trimtab.run.versions import Model

if TYPE_CHECKING:
    import pandas as pd

_RECORDS = 2000
_REPEATS = 3
_MOST_PREDICTIONS = 200_000    # with many columns fewer records have to do
_COUNTED = {"precision", "recall", "f1", "precision_at_recall_80", "calibration_error"}
"""Metrics that a worse model may do better by: who calls everything positive misses none."""


def importance_of(session: Session, model: Model, records: pd.DataFrame, outputs: Outputs) -> Importance:
    """What a version relies on, measured on records that it has not learned from.

    Parameters
    ----------
    records : DataFrame
        With its features.
    outputs : Outputs
        What it says of them, and what came; in the same order.
    """
    columns = list(session.params.data.features)
    most = min(_RECORDS, max(_MOST_PREDICTIONS // (_REPEATS * len(columns)), 1))
    chosen = np.arange(len(outputs))
    if len(outputs) > most:
        chosen = np.sort(np.random.default_rng(0).choice(len(outputs), most, replace=False))
    name = _metric(session, outputs)
    labels, positive = outputs.labels, None if outputs.positive is None else outputs.labels[outputs.positive]

    def _predict(features: pd.DataFrame) -> Outputs:
        if METRICS[name].needs_scores:
            return scoring.probable_outputs(model.estimator, features, labels=labels, positive=positive)
        return scoring.model_outputs(model.estimator, features, None, labels=labels, positive=positive)

    return permutation_importance(
        _predict, records[columns].iloc[chosen], outputs.take(chosen), deals(len(chosen), _REPEATS, seed=0), name=name
    )


def _metric(session: Session, outputs: Outputs) -> str:
    """The metric that speaks for the model, or the task's own where that one does not tell better models from worse."""
    wanted = [primary_metric(session.params), *PRIMARY[session.params.task]]
    return next(n for n in wanted if n not in _COUNTED and METRICS[n].applies(outputs))


def importance_to_json(importance: Importance) -> dict[str, Any]:
    """What is kept of it with a version's evaluation."""
    told: dict[str, Any] = plain(importance)
    return told


def importance_from_json(kept: Mapping[str, Any]) -> Importance:
    """Read back what `importance_to_json` wrote."""
    numbers = {
        part: {name: math.nan if value is None else value for name, value in kept[part].items()}
        for part in ("mean", "deviation")
    }
    value = math.nan if kept["value"] is None else kept["value"]
    return Importance(kept["metric"], value, kept["rows"], kept["repeats"], **numbers)


def causes(session: Session, drift: Drift) -> Causes:
    """The columns that moved, by how far they did and how much the champion relies on them.

    Where nothing is known of what it relies on, as with a version that was evaluated before that was kept, the ranking
    is by drift alone, and says so.
    """
    version = session.ledger.version(session.champion.version)
    kept = ((version or {}).get("baseline") or {}).get("importance")
    return root_causes(
        drift, session.thresholds, sources=_sources(session, drift),
        importance=importance_from_json(kept) if kept else None,
    )


def _sources(session: Session, drift: Drift) -> dict[str, str]:
    """By watched column the champion's column that it is; of a text its length is watched, or its words."""
    data = session.params.data
    learned = set(session.champion.lineage.get("features", data.features))
    found = {column.name: column.name for column in drift.columns if column.name in learned}
    texts = [(name, column.name) for name in data.text for column in drift.columns if name in learned]
    return found | {column: name for name, column in texts if column.startswith(f"{name} (")}

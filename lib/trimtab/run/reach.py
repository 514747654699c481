"""How far do a version's answers reach, day by day, going by the holdout that is kept of it?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.measure.models.outputs import Outputs
from trimtab.measure.unlabelled.holdouts import Holdout, values_of
from trimtab.measure.unlabelled.reaches import reaches
from trimtab.run.session import Session

if TYPE_CHECKING:
    import pandas as pd


def reach_by_day(
    session: Session, holdout: Holdout | None, frame: pd.DataFrame, outputs: Outputs,
    actual: np.ndarray[Any, Any] | None = None,
) -> Mapping[date, Mapping[str, float]]:
    """Width of the prediction intervals and whether they held what came, by day; empty where there are none.

    Parameters
    ----------
    holdout : Holdout or None
        What is kept of the version's; None where nothing is.
    frame : DataFrame
        The records.
    outputs : Outputs
        What the version says of them, in the same order.
    actual : array, optional
        What came, nan where it is not known.
    """
    if holdout is None or bool(holdout.outputs.labels) != bool(outputs.labels):
        return {}
    data = session.params.data
    now = holdout.encode(values_of(frame, data.numeric, data.categorical, data.text))
    found = reaches(holdout, now, outputs, actual=actual)
    return {} if found is None else found.by_day(session.days(frame))


def outcomes(every: Outputs, labelled: Outputs | None, known: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What came of all records, nan where it is not known."""
    came = np.full(len(every), np.nan)
    if labelled is not None:
        came[known] = labelled.actual
    return came

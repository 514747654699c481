"""How far do a version's answers reach, day by day, going by the holdout that is kept of it?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.together.samples import Sample
from trimtab.measure.unlabelled.holdouts import Holdout, values_of
from trimtab.measure.unlabelled.reaches import reaches
from trimtab.settings.data import Data

if TYPE_CHECKING:
    import pandas as pd


def features_of(data: Data, frame: pd.DataFrame) -> dict[str, Array]:
    """The features of records, as a holdout takes them."""
    return values_of(frame, data.numeric, data.categorical, data.text)


def reach_by_day(
    holdout: Holdout, coded: Sample, outputs: Outputs, days: Array, actual: Array | None = None
) -> Mapping[date, Mapping[str, float]]:
    """Width of the prediction intervals and whether they held what came, by day; empty where there are none.

    Parameters
    ----------
    holdout : Holdout
        What is kept of the version's.
    coded : Sample
        The records, by the holdout's bins.
    outputs : Outputs
        What the version says of them, in the same order.
    days : array of datetime64[D]
        Their days.
    actual : array, optional
        What came, nan where it is not known.
    """
    if bool(holdout.outputs.labels) != bool(outputs.labels):
        return {}
    found = reaches(holdout, coded, outputs, actual=actual)
    return {} if found is None else found.by_day(days)


def outcomes(every: Outputs, labelled: Outputs | None, known: Array) -> Array:
    """What came of all records, nan where it is not known."""
    came = np.full(len(every), np.nan)
    if labelled is not None:
        came[known] = labelled.actual
    return came

"""In which range does the outcome of a single record lie? Split conformal prediction intervals for regression.

Their width is read off the errors on a holdout, so that they cover the promised share of outcomes whatever the model
and the distribution, as long as current records are like those of the holdout. A coverage that falls short is therefore
a sign that errors have grown. Where an estimate of each error's size is passed, the width follows it.

Classes have sets in the place of intervals: see `prediction_sets`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.unlabelled.ranges import Ranges

__all__ = ["Conformal", "Widths", "fit", "ranges", "widths"]

Floats = NDArray[np.float64]

NARROW = 0.5    # of the baseline's median width
_SMALLEST_SIZE = 0.05    # of the median size: below it an estimate of a size is noise


@dataclass(frozen=True)
class Conformal:
    """How wide prediction intervals are.

    Attributes
    ----------
    coverage : float
        Share of outcomes that intervals are to cover, between 0 and 1.
    records : int
        Records of the holdout.
    reach : float
        Half the width; where widths follow sizes, half the width per unit of size. Infinite when the holdout is too
        small for the coverage, as with fewer than 9 records for 0.9.
    typical_size : float or None
        Median size in the holdout; None where all intervals are equally wide.
    """

    coverage: float
    records: int
    reach: float
    typical_size: float | None = None

    @property
    def median_width(self) -> float:
        """Median width in the holdout, in units of the outcome."""
        return 2 * self.reach * (1.0 if self.typical_size is None else self.typical_size)

    def half_widths(self, n: int, sizes: Array | None = None) -> Floats:
        """Half the width of the interval of each of n records, in units of the outcome: shape (n,).

        Raises
        ------
        ValueError
            When sizes are passed to intervals of constant width, are missing for others, or are not n finite numbers.

        Examples
        --------
        >>> Conformal(0.9, 100, 2.0, typical_size=1.0).half_widths(2, np.array([1.0, 3.0])).tolist()
        [2.0, 6.0]
        """
        if (sizes is None) != (self.typical_size is None):
            raise ValueError("sizes are needed where the holdout had them, and only there")
        if sizes is None or self.typical_size is None:
            return np.full(n, self.reach)
        return self.reach * _floored(_checked_sizes(sizes, n), self.typical_size)

    def to_json(self) -> str:
        """Write as JSON text; `from_json` gives an equal value back, to the last bit."""
        return json.dumps(asdict(self) | {"reach": self.reach if math.isfinite(self.reach) else None})

    @classmethod
    def from_json(cls, text: str) -> Conformal:
        """Read what `to_json` wrote; raises ValueError for something else.

        >>> Conformal.from_json(Conformal(0.9, 5, math.inf).to_json())
        Conformal(coverage=0.9, records=5, reach=inf, typical_size=None)
        """
        try:
            stored = json.loads(text)
            return cls(**(stored | {"reach": math.inf if stored["reach"] is None else stored["reach"]}))
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no conformal intervals: {error}") from None


@dataclass(frozen=True)
class Widths:
    """Prediction intervals of a window.

    Attributes
    ----------
    records : int
        Records in the window.
    mean_width : float
        In units of the outcome; nan without records.
    narrow : float
        Share, in [0, 1], of intervals that are narrower than half the median width in the holdout. nan without records,
        and where all intervals are equally wide by construction.
    promised : float
        Share of outcomes that was to be covered.
    coverage : Interval
        Share of known outcomes that was covered, with its exact binomial interval; nan where none are known.
    """

    records: int
    mean_width: float
    narrow: float
    promised: float
    coverage: Interval

    @property
    def shortfall(self) -> float:
        """Promised less realised coverage: the calibration of the intervals; above 0 when they are too narrow."""
        return self.promised - self.coverage.value


def fit(holdout: Outputs, *, coverage: float = 0.9, sizes: Array | None = None) -> Conformal:
    """Learn from a holdout how wide prediction intervals must be.

    Parameters
    ----------
    holdout
        n records with outcomes that the model did not learn from.
    coverage
        Share of outcomes to cover, between 0 and 1, both excluded.
    sizes
        Shape (n,): how large each record's error was expected to be, by a model that did not learn from it
        (`loss_estimates.error_sizes`). Those below 5 % of their median count as that. None makes all intervals equally
        wide.

    Raises
    ------
    ValueError
        For classification, for a coverage out of range, or when sizes are not n finite numbers.

    Notes
    -----
    Sources: V. Vovk, A. Gammerman and G. Shafer, Algorithmic learning in a random world (2005); widths that follow the
    record: H. Papadopoulos et al., Normalized nonconformity measures for regression conformal prediction (2008);
    J. Lei et al., Distribution-free predictive inference for regression (2018).

    Examples
    --------
    >>> fit(Outputs((), np.arange(1.0, 20.0), np.zeros(19)), coverage=0.9).reach
    18.0
    """
    if holdout.labels:
        raise ValueError("prediction intervals are of numbers; these are classes")
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must be between 0 and 1, both excluded, not {coverage}")
    n = len(holdout)
    errors = np.abs(holdout.actual - holdout.predicted)
    typical = None
    if sizes is not None:
        expected = _checked_sizes(sizes, n)
        typical = float(np.median(expected)) if n else 1.0
        if not typical > 0:
            raise ValueError("at least half of the sizes must be above 0")
        errors = errors / _floored(expected, typical)
    rank = math.ceil((n + 1) * coverage - 1e-9)    # 20 · 0.9 is a little more than 18
    reach = float(np.sort(errors)[rank - 1]) if rank <= n else math.inf
    return Conformal(coverage, n, reach, typical)


def widths(
    conformal: Conformal,
    predicted: Array,
    *,
    actual: Array | None = None,
    sizes: Array | None = None,
    confidence: float = 0.95,
) -> Widths:
    """Say how wide the prediction intervals of a window are, and how many outcomes they covered.

    Parameters
    ----------
    conformal
        From `fit`.
    predicted
        Shape (n,): what the model predicts.
    actual
        Shape (n,): outcomes, nan where not known; None when none are.
    sizes
        Shape (n,): how large each error is expected to be; needed where `fit` had them.
    confidence
        Of the interval of the coverage, between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        When shapes do not fit, or as for `Conformal.half_widths`.

    Examples
    --------
    >>> found = widths(Conformal(0.9, 100, 2.0), np.zeros(4), actual=np.array([1.0, -1.5, 3.0, np.nan]))
    >>> found.mean_width, round(found.coverage.value, 2), round(found.shortfall, 2)
    (4.0, 0.67, 0.23)
    """
    found = ranges(conformal, predicted, actual=actual, sizes=sizes)
    known = found.covered[~np.isnan(found.covered)]
    covered = _share(int(known.sum()), len(known), confidence)
    mean_width, narrow = (float(part.mean()) if len(found) else math.nan for part in (found.width, found.narrow))
    return Widths(len(found), mean_width, narrow, conformal.coverage, covered)


def ranges(
    conformal: Conformal, predicted: Array, *, actual: Array | None = None, sizes: Array | None = None
) -> Ranges:
    """The intervals of single records: how wide, whether narrow, and whether they hold the outcome.

    Parameters and errors as for `widths`; narrow is below half the median width of the holdout.

    Examples
    --------
    >>> ranges(Conformal(0.9, 100, 2.0), np.zeros(3), actual=np.array([1.0, 3.0, np.nan])).covered.tolist()
    [1.0, 0.0, nan]
    """
    said = np.asarray(predicted, dtype=np.float64)
    came = np.full(len(said), np.nan) if actual is None else np.asarray(actual, dtype=np.float64)
    if said.ndim != 1 or came.shape != said.shape:
        raise ValueError(f"predictions of shape {said.shape} and outcomes of shape {came.shape} do not fit")
    halves = conformal.half_widths(len(said), sizes)
    covered = np.where(np.isnan(came), np.nan, np.abs(came - said) <= halves)
    narrow = np.full(len(said), np.nan) if sizes is None else 2 * halves < NARROW * conformal.median_width
    return Ranges(2 * halves, narrow.astype(np.float64), covered, conformal.coverage)


def _share(hits: int, n: int, confidence: float) -> Interval:
    if not n:
        return Interval(math.nan, math.nan, math.nan, confidence, math.nan)
    from scipy import stats

    ends = stats.binomtest(hits, n).proportion_ci(confidence)
    value = hits / n
    return Interval(value, float(ends.low), float(ends.high), confidence, math.sqrt(value * (1 - value) / n))


def _checked_sizes(sizes: Array, n: int) -> Floats:
    expected = np.asarray(sizes, dtype=np.float64)
    if expected.shape != (n,) or not np.isfinite(expected).all():
        raise ValueError(f"sizes must be {n} finite numbers")
    return expected


def _floored(sizes: Floats, typical: float) -> Floats:
    return np.maximum(sizes, _SMALLEST_SIZE * typical)

"""How good is the model now, as far as can be told without outcomes, and what does that rest on?

Three ways lead to an estimate: `confidence_estimates` (the model's own probabilities, calibrated),
`reweighted_estimates` (how it did on those holdout records that resemble the current ones) and `loss_estimates` (a
model of the error's size). None of them can see concept drift: they say what to expect if outcomes still follow from
the inputs as they did. That is why each estimate carries its assumptions, and why outcomes, once known, are held
against it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.measure.models.intervals import Interval, Measure
from trimtab.measure.models.metrics import metric
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.weights import Statistic, Weights
from trimtab.wording import plural

__all__ = ["Agreement", "Assumption", "Estimate", "compare_with_realised", "preferred"]

Floats = NDArray[np.float64]

FEWEST = 30    # records below which nothing is estimated
ENOUGH = 200    # records of the holdout below which an estimate is said to rest on few
ENOUGH_OF_A_CLASS = 20
FEWEST_EFFECTIVE = 100    # re-weighted records below which an estimate is said to rest on few
SMALLEST_SHARE = 1 / 3    # of the holdout that it must be worth when re-weighted; below, density ratios mostly harm
MOST_OUTSIDE = 1 / 3    # share of current records that may lie where the holdout has none

CONFIDENCE, REWEIGHTED, LOSS = "confidence", "reweighted", "loss"
_ORDER = (CONFIDENCE, LOSS, REWEIGHTED)
_UNDEFINED_ALLOWED = 0.05    # share of replicates, as for intervals of realised values


@dataclass(frozen=True)
class Assumption:
    """Something that must hold for an estimate to be right.

    Attributes
    ----------
    name : str
        ``calibration``, ``overlap``, ``enough records`` or ``no concept drift``.
    holds : bool or None
        None where it cannot be known without outcomes.
    evidence : str
        A sentence.
    """

    name: str
    holds: bool | None
    evidence: str


@dataclass(frozen=True)
class Estimate:
    """The value that a metric is expected to have on records whose outcomes are not known.

    Attributes
    ----------
    value : float
        nan where it cannot be said; then ``reason`` says why.
    low, high : float
        Both included, the range in which the value that will be realised on these very records lies with the given
        confidence, if the assumptions hold. It allows for chance in the outcomes and for what the holdout leaves open.
        nan where the value is, or where the metric would often be undefined.
    confidence : float
        Between 0 and 1.
    method : str
        ``confidence``, ``reweighted`` or ``loss``.
    baseline : float
        The same metric on the holdout.
    assumptions : tuple of Assumption
        What it rests on.
    reason : str
        Why a number is nan; empty otherwise.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    baseline: float
    assumptions: tuple[Assumption, ...] = ()
    reason: str = ""

    @property
    def change(self) -> float:
        """Value less baseline."""
        return self.value - self.baseline

    @property
    def doubtful(self) -> tuple[Assumption, ...]:
        """Assumptions that are known not to hold."""
        return tuple(one for one in self.assumptions if one.holds is False)


@dataclass(frozen=True)
class Agreement:
    """An estimate beside the value that was realised later.

    Attributes
    ----------
    inside : bool or None
        Whether the realised value lies in the estimate's range, ends included; None where either is nan.
    error : float
        Realised less estimated value.
    better_than_unchanged : bool or None
        Whether the estimate came at least as near as the baseline did; None where either is nan.
    sentence : str
        The same in words.
    """

    inside: bool | None
    error: float
    better_than_unchanged: bool | None
    sentence: str


def compare_with_realised(estimate: Estimate, realised: Interval) -> Agreement:
    """Hold an estimate against what came.

    Examples
    --------
    >>> estimate = Estimate(0.80, 0.76, 0.84, 0.95, "confidence", 0.85)
    >>> compare_with_realised(estimate, Interval(0.70, 0.66, 0.74, 0.95, 0.02)).sentence
    'realised 0.7, below the expected 0.76 to 0.84: inputs alone do not explain it'
    """
    error = realised.value - estimate.value
    if not math.isfinite(error):
        return Agreement(None, math.nan, None, f"not compared: {estimate.reason or 'the realised value is undefined'}")
    nearer = abs(error) <= abs(realised.value - estimate.baseline) if math.isfinite(estimate.baseline) else None
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        told = f"realised {realised.value:.4g}, estimated {estimate.value:.4g} without a range"
        return Agreement(None, error, nearer, told)
    inside = estimate.low <= realised.value <= estimate.high
    expected = f"the expected {estimate.low:.4g} to {estimate.high:.4g}"
    where = "within" if inside else "below" if realised.value < estimate.low else "above"
    meaning = "as the inputs let one expect" if inside else "inputs alone do not explain it"
    return Agreement(inside, error, nearer, f"realised {realised.value:.4g}, {where} {expected}: {meaning}")


def preferred(estimates: Iterable[Estimate]) -> Estimate | None:
    """Of several estimates of one metric, the one to show first; None where none has a value.

    Fewer assumptions known to fail come first, then having a range, then the method: the model's own probabilities, the
    model of the error, the re-weighted holdout. Of equals the one named first, so name one that uses density ratios
    before one that does not.

    Examples
    --------
    >>> confidence = Estimate(0.80, 0.76, 0.84, 0.95, "confidence", 0.85)
    >>> reweighted = Estimate(0.79, 0.74, 0.85, 0.95, "reweighted", 0.85)
    >>> preferred([reweighted, confidence]).method
    'confidence'
    """
    known = [one for one in estimates if math.isfinite(one.value)]
    return min(known, key=_rank, default=None)


def _rank(estimate: Estimate) -> tuple[int, bool, int]:
    return len(estimate.doubtful), not math.isfinite(estimate.low), _ORDER.index(estimate.method)


def measures_of(names: Sequence[str], per_class: Sequence[str], labels: Sequence[str]) -> list[Measure]:
    """What is estimated: the names, then the per-class metrics label by label.

    >>> [one.label for one in measures_of(["accuracy"], ["recall"], ["no", "yes"])]
    [None, 'no', 'yes']
    """
    whole = [Measure(name) for name in dict.fromkeys(names)]
    return whole + [Measure(name, label) for name in dict.fromkeys(per_class) for label in labels]


def bind(names: Sequence[str], per_class: Sequence[str], outputs: Outputs) -> Statistic:
    """Prepare metrics, once for many weights (replicates, n); the result has shape (replicates, measures).

    Raises
    ------
    ValueError
        When a metric is unknown or does not apply to the outputs.

    Examples
    --------
    >>> outputs = Outputs((), np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    >>> bind(["mae", "rmse"], (), outputs)(np.ones((1, 2))).round(2).tolist()
    [[1.5, 1.58]]
    """
    whole = [metric(name).bind(outputs) for name in dict.fromkeys(names)]
    each = [metric(name).bind_per_class(outputs) for name in dict.fromkeys(per_class)]

    def _apply(weights: Weights) -> Floats:
        columns = [one(weights)[:, None] for one in whole] + [one(weights) for one in each]
        return np.concatenate([np.zeros((len(weights), 0)), *columns], axis=1)

    return _apply


def check(confidence: float, replicates: int) -> None:
    """Refuse a confidence that is none, or one that so few replicates cannot show; raises ValueError."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, both excluded, not {confidence}")
    needed = math.ceil(2 / (1 - confidence) - 1 - 1e-9)    # 2 / (1 - 0.95) is a little more than 40
    if replicates < needed:
        raise ValueError(f"a confidence of {confidence} needs at least {needed} replicates, not {replicates}")


def too_few(holdout: float, current: int) -> str:
    """Why nothing can be estimated from so many records; empty when it can.

    >>> too_few(500, 12)
    'only 12 current records; 30 are needed'
    """
    if holdout < FEWEST:
        return f"the holdout is worth only {holdout:.0f} records; {FEWEST} are needed"
    return f"only {current} current records; {FEWEST} are needed" if current < FEWEST else ""


def unknown(baseline: float, confidence: float, method: str, reason: str) -> Estimate:
    """An estimate that cannot be made, and why.

    >>> unknown(0.8, 0.95, "confidence", "only 12 current records").value
    nan
    """
    return Estimate(math.nan, math.nan, math.nan, confidence, method, baseline, (), reason)


def settle(
    value: float, drawn: Array, *, confidence: float, method: str, baseline: float, assumptions: tuple[Assumption, ...]
) -> Estimate:
    """An estimate whose range is read off values of shape (replicates,) that may come about.

    >>> drawn = np.linspace(0, 1, 199)
    >>> found = settle(0.5, drawn, confidence=0.95, method="confidence", baseline=0.6, assumptions=())
    >>> round(found.low, 3), round(found.high, 3)
    (0.02, 0.98)
    """
    defined = drawn[np.isfinite(drawn)]
    if not math.isfinite(value):
        return unknown(baseline, confidence, method, "the metric is undefined for what the model predicts")
    low = high = math.nan
    reason = ""
    if len(defined) < (1 - _UNDEFINED_ALLOWED) * len(drawn):
        reason = f"in {1 - len(defined) / len(drawn):.0%} of the outcomes that may come the metric is undefined"
    else:
        tail = (1 - confidence) / 2
        low, high = np.quantile(defined, [tail, 1 - tail], method="weibull").tolist()
    return Estimate(value, low, high, confidence, method, baseline, assumptions, reason)


def no_concept_drift() -> Assumption:
    """The assumption that nothing but outcomes can test.

    >>> no_concept_drift().holds is None
    True
    """
    return Assumption(
        "no concept drift", None,
        "that outcomes still follow from the inputs as they did in the holdout cannot be checked without outcomes",
    )


def enough_records(holdout: int, current: int, rarest: float | None = None) -> Assumption:
    """Whether the holdout is large enough for ranges to hold what they say.

    >>> enough_records(150, 2000).holds, enough_records(5000, 2000, rarest=12).holds
    (False, False)
    """
    told = f"{plural(holdout, 'record')} in the holdout, {current:,} current ones"
    if rarest is not None:
        told += f"; the rarest class has {rarest:.0f} in the holdout"
    enough = holdout >= ENOUGH and (rarest is None or rarest >= ENOUGH_OF_A_CLASS)
    return Assumption("enough records", enough, told)


def overlap(outside: float | None, effective: float | None = None, holdout: int = 0) -> Assumption:
    """Whether the holdout has records like the current ones.

    Parameters
    ----------
    outside
        Share of the current records, in [0, 1], that lie where the holdout has none; None when nobody looked. More than
        a third is too much.
    effective
        How many records the re-weighted holdout is worth (Kish, 1965); None when it is not re-weighted.
    holdout
        How many records it has. Worth less than a third of them, or fewer than 100, is too little.

    Examples
    --------
    >>> overlap(0.02, 60.0, 500).holds, overlap(0.02).evidence
    (False, '2.0% of the current records lie outside the holdout')
    """
    told = [] if outside is None else [f"{100 * outside:.1f}% of the current records lie outside the holdout"]
    if effective is not None:
        told.append(f"re-weighted to look like them, its {holdout:,} records are worth {effective:,.0f}")
    if not told:
        return Assumption("overlap", None, "whether the holdout has records like the current ones was not looked at")
    few = effective is not None and effective < max(FEWEST_EFFECTIVE, SMALLEST_SHARE * holdout)
    far = outside is not None and outside > MOST_OUTSIDE
    known = True if outside is not None else None
    return Assumption("overlap", False if few or far else known, "; ".join(told))

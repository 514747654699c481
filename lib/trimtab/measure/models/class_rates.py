"""Is a class found less often than before, or called with less reason, whatever its share among the records is now?

Accuracy and precision move whenever the shares of the classes do, even if the model tells them apart as well as ever.
So two rates are compared that do not: recall, the share of a class's records that are found; and precision as it would
be at the class shares of before, each record weighted by how much its class is rarer or more frequent now.

Records of one day share their luck. How many of them count for one (the design effect) follows from how far the days
differ (the linearised variance of a ratio; W. Cochran, 1977, Sampling Techniques, section 6.3), pooled over both
windows; what is left is held against Student's t with the days' degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.measure.columns.aspects import of_student
from trimtab.measure.columns.divergences import share_difference
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.outputs import Array, Outputs

FEWEST = 30    # records that a rate must rest on


@dataclass(frozen=True)
class Rate:
    """A share of records, and how much it varies from day to day.

    Attributes
    ----------
    value : float
        In [0, 1]; nan without records.
    records : float
        Records that it rests on; where they are weighted, as many as would be as certain unweighted.
    freedom : int
        Degrees of freedom of `design`: days with such records, less one for each group of days that has its own rate.
    design : float
        How many records of a day count for one, below 1 where days differ less than by chance; nan where that cannot be
        told: with one day, or a value of 0 or 1.
    of_weekdays : bool
        Whether it is told for the window's weekdays, mixed as they are there.
    """

    value: float
    records: float
    freedom: int
    design: float
    of_weekdays: bool = False


@dataclass(frozen=True)
class RateChange:
    """A rate of one group then and now.

    Attributes
    ----------
    measure : Measure
        Recall or precision, of which class, in which segment.
    standard_error : float
        Of the difference, days allowed for.
    p_value : float
        Two-sided, of no change, corrected for all groups that were compared (Holm).
    """

    measure: Measure
    before: Rate
    now: Rate
    standard_error: float
    p_value: float

    @property
    def lost(self) -> float:
        """The fall as a share of the rate before; negative where it rose, nan where it was 0."""
        return 1 - self.now.value / self.before.value if self.before.value else math.nan


def class_shares(outputs: Outputs) -> dict[str, float]:
    """The share of each class among the outcomes; empty without any.

    Examples
    --------
    >>> class_shares(Outputs(("a", "b"), np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])))
    {'a': 0.75, 'b': 0.25}
    """
    counts = np.bincount(outputs.actual, minlength=len(outputs.labels))
    return {name: float(n / counts.sum()) for name, n in zip(outputs.labels, counts, strict=True) if counts.sum()}


def class_rates(
    outputs: Outputs,
    days: Array,
    *,
    segments: Mapping[str, Array] | None = None,
    shares: Mapping[str, float] | None = None,
) -> dict[Measure, Rate]:
    """Recall and precision of each class, and in each segment recall.

    Parameters
    ----------
    outputs : Outputs
        Of n records with known outcomes; of a classifier.
    days : array, shape (n,)
        The day of each.
    segments : mapping, optional
        Boolean masks of shape (n,) by the segment's name.
    shares : mapping, optional
        Class shares at which precision is told, such as those of the window before; by default these records' own. A
        class that it does not name is left out of precision. Where one of them has a share and no record here, no
        class has a precision: how many of its records would be taken for this class is not known.

    Returns
    -------
    dict
        Rates without records are left out.

    Examples
    --------
    >>> outputs = Outputs(("a", "b"), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    >>> found = class_rates(outputs, np.array([1, 2, 1, 2]), shares={"a": 0.8, "b": 0.2})
    >>> found[Measure("recall", "a")].value, round(found[Measure("precision", "b")].value, 3)
    (0.5, 0.333)
    """
    _, day = np.unique(days, return_inverse=True)
    hits = outputs.actual == outputs.predicted
    weights = _weights(outputs, shares)
    found: dict[Measure, Rate] = {}
    for code, label in enumerate(outputs.labels):
        members = outputs.actual == code
        found[Measure("recall", label)] = _rate(hits, members.astype(np.float64), day)
        if weights is not None:
            found[Measure("precision", label)] = _rate(hits, weights * (outputs.predicted == code), day)
        found |= {
            Measure("recall", label, name): _rate(hits, (members & mask).astype(np.float64), day)
            for name, mask in (segments or {}).items()
        }
    return {measure: rate for measure, rate in found.items() if rate.records}


def _weights(outputs: Outputs, shares: Mapping[str, float] | None) -> Array | None:
    """By record, how much rarer its class is now than in these shares; None where one of these has no record."""
    if shares is None:
        return np.ones(len(outputs))
    own = class_shares(outputs)
    if any(share and not own.get(name) for name, share in shares.items()):
        return None
    ratios = [shares.get(name, 0.0) / own[name] if own.get(name) else 0.0 for name in outputs.labels]
    return np.array(ratios)[outputs.actual]


def _rate(hits: Array, weights: Array, day: Array) -> Rate:
    """The weighted share of hits; day holds numbers from 0 on."""
    whole = float(weights.sum())
    if not whole:
        return Rate(math.nan, 0.0, 0, math.nan)
    alike = len(np.unique(hits[weights > 0])) == 1    # rounding of weighted sums would make a share of all more than 1
    value = float(hits[weights > 0][0]) if alike else float(weights @ hits) / whole
    records = whole**2 / float(weights @ weights)
    days = int((np.bincount(day, weights) > 0).sum())
    if days < 2 or alike:
        return Rate(value, records, max(days - 1, 0), math.nan)
    apart = np.bincount(day, weights * (hits - value))
    variance = days / (days - 1) * float(apart @ apart) / whole**2
    return Rate(value, records, days - 1, variance * records / (value * (1 - value)))


def pooled_design(*rates: Rate) -> tuple[float, int]:
    """One design effect for all, and its degrees of freedom; nan and 0 where none of them tells.

    Examples
    --------
    >>> pooled_design(Rate(0.6, 100, 3, 1.0), Rate(0.9, 300, 1, 3.0), Rate(1.0, 20, 0, math.nan))
    (1.5, 4)
    """
    known = [rate for rate in rates if not math.isnan(rate.design)]
    freedom = sum(rate.freedom for rate in known)
    return sum(rate.freedom * rate.design for rate in known) / freedom if freedom else math.nan, freedom


def rate_changes(before: Mapping[Measure, Rate], now: Mapping[Measure, Rate]) -> tuple[RateChange, ...]:
    """Compare every rate that rests on at least `FEWEST` records on either side, corrected together.

    Returns
    -------
    tuple of RateChange
        The largest loss first; those whose rate was 0 before, which cannot fall, are left out.

    Notes
    -----
    Without drift, but with class shares that move and days that have luck of their own, the smallest p-value is at most
    0.05 in about 5 % of simulated checks or fewer. Of a class of which 60 % were found before and 30 % now, that is
    noticed with 100 of its records on either side in about 70 % of checks at a level of 0.5 %, and nearly always with
    200 (docs/benchmarks.md, "Classes").

    Examples
    --------
    >>> recall = Measure("recall", "rare")
    >>> found = rate_changes({recall: Rate(0.8, 200, 20, 1.0)}, {recall: Rate(0.5, 100, 20, 1.0)})
    >>> round(found[0].lost, 3), found[0].p_value < 0.001
    (0.375, True)
    """
    pairs = {
        measure: (rate, now[measure]) for measure, rate in before.items()
        if measure in now and min(rate.records, now[measure].records) >= FEWEST and rate.value > 0
    }
    tested = [_tested(*pair) for pair in pairs.values()]
    adjusted = _holm([p for _, p in tested])
    changes = [
        RateChange(measure, old, new, error, p)
        for (measure, (old, new)), (error, _), p in zip(pairs.items(), tested, adjusted, strict=True)
    ]
    return tuple(sorted(changes, key=lambda change: -change.lost))


def _tested(before: Rate, now: Rate) -> tuple[float, float]:
    """Standard error of the difference, and its p-value."""
    found, freedom = pooled_design(before, now)
    design = max(1.0, found) if freedom else 1.0
    (n, m), (a, b) = ((one.records / design for one in (before, now)), (before.value, now.value))
    pooled = (a * n + b * m) / (n + m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    p_value = share_difference((round(a * n), max(round(n), 1)), (round(b * m), max(round(m), 1)))
    return error, float(of_student(p_value, freedom or math.inf))


def _holm(p_values: Sequence[float]) -> list[float]:
    """p-values that keep the chance of a single false alarm (S. Holm, 1979), in the same order."""
    order = np.argsort(p_values, kind="stable")
    steps = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in adjusted]

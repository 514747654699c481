"""Is a class found less often than before, on the weekdays that the window has?

A Monday may be harder than a Saturday, and a window of a day or two has not both. There rates are told weekday by
weekday, and mixed then as the weekdays are mixed now (direct standardisation); a day is luckier or less lucky than
others of its weekday only. A window with each weekday that there was is held against all days, of which there are more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trimtab.measure.calendar import weekdays_of
from trimtab.measure.models.class_rates import (
    FEWEST,
    Rate,
    RateChange,
    class_rates,
    class_shares,
    pooled_design,
    rate_changes,
)
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.outputs import Array, Outputs

_FEWEST_OF_WEEKDAY = 2    # days
_NONE: dict[str, Array] = {}


@dataclass(frozen=True)
class ClassBaseline:
    """How often the classes of some records were found.

    Attributes
    ----------
    shares : mapping
        Of each class among the outcomes.
    rates : mapping
        Recall and precision of each class, at these shares, and recall in each segment.
    weekdays : mapping
        The same of the records of each weekday (0 is Monday) that comes at least twice.
    """

    shares: Mapping[str, float]
    rates: Mapping[Measure, Rate]
    weekdays: Mapping[int, ClassBaseline] = field(default_factory=dict)


def class_baseline(outputs: Outputs, days: Array, *, segments: Mapping[str, Array] = _NONE) -> ClassBaseline:
    """What later windows are held against.

    Parameters
    ----------
    outputs : Outputs
        Of n records with known outcomes; of a classifier.
    days : array of datetime64[D], shape (n,)
        The day of each.
    segments : mapping, optional
        Boolean masks of shape (n,) by the segment's name.

    Examples
    --------
    >>> outputs = Outputs(("a", "b"), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    >>> mondays = np.array(["2024-01-01", "2024-01-08"] * 2, dtype="datetime64[D]")
    >>> found = class_baseline(outputs, mondays)
    >>> found.shares, list(found.weekdays), found.weekdays[0].rates[Measure("recall", "a")].value
    ({'a': 0.5, 'b': 0.5}, [0], 0.5)
    """
    weekdays = {
        weekday: ClassBaseline(class_shares(outputs.take(members)), _rates(outputs, days, segments, members))
        for weekday, members in _by_weekday(days).items() if len(np.unique(days[members])) >= _FEWEST_OF_WEEKDAY
    }
    return ClassBaseline(class_shares(outputs), class_rates(outputs, days, segments=segments), weekdays)


def class_changes(
    before: ClassBaseline, outputs: Outputs, days: Array, *, segments: Mapping[str, Array] = _NONE
) -> tuple[RateChange, ...]:
    """Every class of a window against what was before; if it has not all weekdays, against those that it has.

    Parameters
    ----------
    before : ClassBaseline
        What the window is held against.
    outputs, days, segments
        Of the window; see `class_baseline`.

    Returns
    -------
    tuple of RateChange
        The largest loss first; see `rate_changes`. All days stand for the window's weekdays where one of these came
        less than twice before, or had fewer than `FEWEST` of the rate's records on either side. So they do for
        precision where a class of one of these weekdays has no record on it now; where one has none in all the window,
        precision is left out (see `class_rates`).

    Examples
    --------
    >>> outputs = Outputs(("a", "b"), np.repeat([0, 1], 100), np.repeat([0, 1], [190, 10]))
    >>> days = np.tile(np.array(["2024-01-01", "2024-01-02", "2024-01-08", "2024-01-09"], dtype="datetime64[D]"), 50)
    >>> monday = weekdays_of(days) == 0
    >>> (worst, *_) = class_changes(class_baseline(outputs, days), outputs.take(monday), days[monday] + 14)
    >>> worst.lost, worst.before.of_weekdays
    (0.0, True)
    """
    then, now = dict(before.rates), class_rates(outputs, days, segments=segments, shares=before.shares)
    for measure, (old, new) in _on_the_same_weekdays(before, outputs, days, segments).items():
        if min(old.records, new.records) >= FEWEST:
            then[measure], now[measure] = old, new
    return rate_changes(then, now)


def _rates(
    outputs: Outputs, days: Array, segments: Mapping[str, Array], members: Array,
    shares: Mapping[str, float] | None = None,
) -> dict[Measure, Rate]:
    """Of some of the records."""
    within = {name: mask[members] for name, mask in segments.items()}
    return class_rates(outputs.take(members), days[members], segments=within, shares=shares)


def _by_weekday(days: Array) -> dict[int, Array]:
    """Masks by weekday."""
    weekdays = weekdays_of(days)
    return {int(one): weekdays == one for one in np.unique(weekdays)}


def _on_the_same_weekdays(
    before: ClassBaseline, outputs: Outputs, days: Array, segments: Mapping[str, Array]
) -> dict[Measure, tuple[Rate, Rate]]:
    """Rates then and now, mixed as the weekdays are now; nothing with all of them, or one that came too seldom."""
    masks = _by_weekday(days)
    if masks.keys() == before.weekdays.keys() or not masks.keys() <= before.weekdays.keys():
        return {}
    then = {weekday: one.rates for weekday, one in before.weekdays.items()}
    now = {
        weekday: _rates(outputs, days, segments, members, before.weekdays[weekday].shares)
        for weekday, members in masks.items()
    }
    with_precision = all(any(one.metric == "precision" for one in rates) for rates in now.values())
    found: dict[Measure, tuple[Rate, Rate]] = {}
    for measure in {measure: None for rates in now.values() for measure in rates}:
        if measure.metric == "precision" and not with_precision:
            continue
        old = {weekday: rates[measure] for weekday, rates in then.items() if measure in rates}
        new = {weekday: rates[measure] for weekday, rates in now.items() if measure in rates}
        if new.keys() <= old.keys():
            shares = {weekday: rate.records for weekday, rate in new.items()}
            found[measure] = _mixed(old, shares), _mixed(new, shares)
    return found


def _mixed(rates: Mapping[int, Rate], shares: Mapping[int, float]) -> Rate:
    """One rate of several at these shares; how much days differ follows from all, of these shares or not."""
    whole = sum(shares.values())
    value = sum(share * rates[one].value for one, share in shares.items()) / whole
    records = whole**2 / sum(share**2 / rates[one].records for one, share in shares.items())
    design, freedom = pooled_design(*rates.values())
    return Rate(value, records, freedom, design, of_weekdays=True)

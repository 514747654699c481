"""What do the champion's classes tell, one by one? A minority can go wrong while the whole looks as before."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trimtab.decide.signals import Measurement
from trimtab.measure.evidence import of_difference, of_one_among
from trimtab.measure.models.class_rates import FEWEST, RateChange
from trimtab.measure.models.performance import group_name

HIGH_CLASS_LOSS = 0.20


def class_drop(changes: Sequence[RateChange] | None, *, alpha: float = 0.05) -> Measurement:
    """The class, or class in a segment, that lost most of its recall or precision, where that is not chance if any is.

    Parameters
    ----------
    changes : sequence of RateChange or None
        All that were compared, corrected together; None where the champion's holdout says nothing of its classes.
    alpha : float
        Chance of a false alarm in any of them.

    Examples
    --------
    >>> from trimtab.measure.models.class_rates import Rate, rate_changes
    >>> from trimtab.measure.models.intervals import Measure
    >>> recall = Measure("recall", "rare")
    >>> found = rate_changes({recall: Rate(0.8, 200, 20, 1.0)}, {recall: Rate(0.5, 100, 20, 1.0)})
    >>> class_drop(found).message
    'recall of class rare fell from 0.800 to 0.500 (38% of it is lost; 200 records then, 100 now).'
    """
    name = "class_drop"
    if changes is None:
        told = "How often the champion found each class on its holdout is not known."
        return Measurement(name, math.nan, told, evidence=math.nan)
    if not changes:
        told = f"No class has {FEWEST} records with a known outcome both on the champion's holdout and now."
        return Measurement(name, math.nan, told, evidence=math.nan)
    fallen = [one for one in changes if one.p_value <= alpha and one.lost > 0]
    worst = max(fallen or changes, key=lambda one: one.lost)
    evidence = of_one_among([
        of_difference(one.before.value - one.now.value, one.standard_error, HIGH_CLASS_LOSS * one.before.value)
        for one in changes
    ])
    return Measurement(
        name, worst.lost, _told(worst, fallen), significant=bool(fallen), p_value=worst.p_value, evidence=evidence
    )


def _told(worst: RateChange, fallen: Sequence[RateChange]) -> str:
    if not worst.lost > 0:
        return "No class is found less often, or called with less reason, than on the champion's holdout."
    measure, before, now = worst.measure, worst.before, worst.now
    standard = ", at the holdout's class shares," if measure.metric == "precision" else ""
    chance = "" if fallen else ", which chance explains"
    then = "of the same weekdays then" if before.of_weekdays else "then"
    others = f"; {len(fallen) - 1} more fell, but by less" if len(fallen) > 1 else ""
    records = f"{before.records:,.0f} records {then}, {now.records:,.0f} now"
    return (
        f"{measure.metric} of {group_name(measure)}{standard} fell from {before.value:.3f} to {now.value:.3f} "
        f"({worst.lost:.0%} of it is lost{chance}; {records}){others}."
    )

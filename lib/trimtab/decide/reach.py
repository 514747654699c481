"""Can a rule ever hold? Who means three points of a hundred and writes 3 would wait for an alarm for ever."""

from __future__ import annotations

import math
from datetime import timedelta

from trimtab.errors import ParamsError
from trimtab.measure.models.metrics import METRICS
from trimtab.settings.notation import format_duration
from trimtab.settings.triggers import Trigger

_SHARES = frozenset({    # signals whose values are shares of records, or an area, and so are at most 1
    "outliers", "out_of_range", "unseen_levels", "unseen_words", "missing_values", "unusable_outputs",
    "label_completeness", "rate_drop", "class_drop", "joint_drift",
})
_OF_OUTCOMES = frozenset({"performance_drop", "class_drop", "class_balance", "concept_drift", "label_completeness"})


def refuse_unreachable(rule: Trigger, metric: str | None = None) -> None:
    """Refuse a rule that no value of its signal could ever meet, unless it switches the signal off.

    Parameters
    ----------
    metric : str, optional
        The one that a rule on `performance_drop` is on which names none, where that is known.

    Raises
    ------
    ParamsError
        Naming the largest value that there can be; or where the metric is unknown.

    Examples
    --------
    >>> refuse_unreachable(Trigger(signal="outliers", at_least=0.05, severity="low"))
    >>> refuse_unreachable(Trigger(signal="outliers", at_least=5, severity="low"))
    Traceback (most recent call last):
    ...
    trimtab.errors.ParamsError: triggers: outliers is never at_least 5, but 1 at most; 5 % is 0.05
    """
    if rule.severity == "none":
        return
    most, of = _most(rule, rule.metric or metric)
    if rule.at_least <= most:
        return
    unit = "points are" if rule.unit == "points" else "% is"
    percent = f"; {rule.at_least:g} {unit} {rule.at_least / 100:g}" if rule.at_least / 100 <= most else ""
    raise ParamsError(f"triggers: {rule.signal}{of} is never at_least {rule.at_least:g}, but {most:g} at most{percent}")


def refuse_undue(rule: Trigger, back: timedelta | None, delay: timedelta) -> None:
    """Refuse a rule on outcomes where none of those that are looked at is due yet, whenever that is.

    Parameters
    ----------
    back : timedelta or None
        How far the records whose outcomes are looked at reach back; None where that is no fixed time.
    delay : timedelta
        How old a record is before its outcome counts.

    Raises
    ------
    ParamsError
        Naming a window in which outcomes are due.

    Examples
    --------
    >>> days = timedelta(days=7), timedelta(days=14)
    >>> refuse_undue(Trigger(signal="outliers", at_least=0.05, severity="low"), *days)
    >>> refuse_undue(Trigger(signal="class_drop", at_least=0.05, severity="low"), *days)    # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    trimtab.errors.ParamsError: triggers: class_drop can never be measured: outcomes are looked at in the last 7d, ...
    """
    if rule.severity == "none" or rule.signal not in _OF_OUTCOMES or back is None or back > delay:
        return
    due = f"{{last: {format_duration(back + delay)}, until: {format_duration(delay)}}}"
    raise ParamsError(
        f"triggers: {rule.signal} can never be measured: outcomes are looked at in the last {format_duration(back)}, "
        f"and none of these counts before {format_duration(delay)} have passed (data.label_delay); windows.outcomes: "
        f"{due} looks at those that do"
    )


def _most(rule: Trigger, metric: str | None) -> tuple[float, str]:
    """The largest value of a rule's signal, and of what it is one."""
    if rule.signal != "performance_drop" or metric is None:
        return (1.0 if rule.signal in _SHARES else math.inf), ""
    known = METRICS.get(metric)
    if known is None:
        raise ParamsError(f"triggers: unknown metric {metric!r}; known: {', '.join(METRICS)}")
    if rule.unit == "points":
        return known.high - known.low, f" in points of {metric}"
    return (1.0 if known.greater_is_better and known.low >= 0 else math.inf), f" as a share of {metric}"

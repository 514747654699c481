"""Can a rule ever hold? Who means three points of a hundred and writes 3 would wait for an alarm for ever."""

from __future__ import annotations

import math

from trimtab.errors import ParamsError
from trimtab.measure.models.metrics import METRICS
from trimtab.settings.triggers import Trigger

_SHARES = frozenset({    # signals whose values are shares of records, or an area, and so are at most 1
    "outliers", "out_of_range", "unseen_levels", "unseen_words", "missing_values", "unusable_outputs",
    "label_completeness", "rate_drop", "class_drop", "joint_drift",
})


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

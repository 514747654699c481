"""How serious is each signal of a check, where a rule may ask for another signal beside its own?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trimtab.decide.severity import rank, worst
from trimtab.decide.signals import Signal
from trimtab.settings.triggers import Trigger

Grader = Callable[[Sequence[Trigger]], Signal]


def graded(graders: Sequence[Grader], triggers: Sequence[Trigger]) -> list[Signal]:
    """Hold every measurement of a check against its rules.

    Parameters
    ----------
    graders : sequence of callable
        One for each signal; given the rules, it grades its measurement.
    triggers : sequence of Trigger
        Rules with `with` count where another signal is as severe as they ask for, by rules without it.

    Examples
    --------
    >>> from functools import partial
    >>> from trimtab.decide.signals import Measurement, grade
    >>> rules = [Trigger(signal="new_records", at_least=1000, severity="high", with_="medium"),
    ...          Trigger(signal="feature_drift", at_least=0.1, severity="medium")]
    >>> def severities(psi):
    ...     measured = Measurement("new_records", 1500, "."), Measurement("feature_drift", psi, ".")
    ...     return [one.severity for one in graded([partial(grade, one) for one in measured], rules)]
    >>> severities(0.02), severities(0.2)
    (['none', 'none'], ['high', 'medium'])
    """
    alone = [rule for rule in triggers if rule.with_ is None]
    first = [grade(alone) for grade in graders]
    if len(alone) == len(triggers):
        return first
    found = []
    for grade, signal in zip(graders, first, strict=True):
        beside = rank(worst(one.severity for one in first if one.name != signal.name))
        found.append(grade([rule for rule in triggers if rule.with_ is None or rank(rule.with_) <= beside]))
    return found

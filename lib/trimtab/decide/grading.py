"""How serious is each signal of a check, where a rule may ask for another signal beside its own?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from trimtab.decide.severity import rank, worst
from trimtab.decide.signals import Signal
from trimtab.settings.triggers import Trigger

Grader = Callable[[Sequence[Trigger]], Signal]

_WHY_NOT: Mapping[str, str] = {
    **dict.fromkeys(("word_drift", "word_shift", "unseen_words"), "no column of texts is watched"),
    **dict.fromkeys(("prediction_drift", "prediction_shift", "unusable_outputs", "confidence_shift", "rate_drop"),
                    "nothing that it is about is known or named"),
    **dict.fromkeys(("performance_drop", "concept_drift"), "there are no outcomes to measure it by"),
    **dict.fromkeys(("class_drop", "class_balance"), "no outcomes are known that are classes"),
    "segment_drift": "no segments are named",
}
_NOTHING = "there is nothing here to measure it by"


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


def unmeasured(own: Sequence[Trigger], found: Sequence[Signal]) -> list[Signal]:
    """Signals that rules were written for and that nothing measured, so that nobody waits for them.

    Parameters
    ----------
    own : sequence of Trigger
        Somebody's rules, without the defaults; those that switch a signal off want nothing.
    found : sequence of Signal
        All that were measured.

    Examples
    --------
    >>> [one.message for one in unmeasured([Trigger(signal="word_drift", at_least=0.1, severity="high")], [])]
    ['word_drift has a rule and is not measured: no column of texts is watched.']
    """
    measured = {one.name for one in found}
    absent: dict[str, float] = {}
    for rule in own:
        if rule.severity != "none" and rule.signal not in measured:
            absent[rule.signal] = min(rule.at_least, absent.get(rule.signal, math.inf))
    return [
        Signal(name, math.nan, least, math.nan, "none", (),
               f"{name} has a rule and is not measured: {_WHY_NOT.get(name, _NOTHING)}.", math.nan)
        for name, least in absent.items()
    ]

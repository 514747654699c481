"""Is retraining needed, and why?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trimtab.decide.causes import Causes
from trimtab.decide.severity import rank, worst
from trimtab.decide.signals import Signal
from trimtab.measure.evidence import of_p_value, probability
from trimtab.settings import Params
from trimtab.settings.triggers import Severity

NOTHING_TESTED = "Nothing could be tested, so it is not known whether anything has changed."


@dataclass(frozen=True)
class Decision:
    """Whether to retrain, with reasons.

    Attributes
    ----------
    needs_retrain : bool
        True when the severity reaches `high`, or `guardrails.min_severity` where that is lower.
    severity : str
        Of the most serious signal.
    confidence : float
        In [0, 1]: the probability that the answer is right, if a change that would be graded high, in one of the
        respects that were looked at, had been as likely as none. About one half means that the window is too small
        to tell; less than that, that the evidence leans the other way without being strong enough. Where a rule asks
        for retraining on less than that, the largest probability of any change that its p-value allows, an upper bound;
        1 only where a rule needs no evidence, such as one on the champion's age. Then a reason says so.
    reasons : tuple of str
        One sentence per signal that is graded above none, most serious first; then one per signal that could not be
        tested, which is no sign that nothing has changed; then what the confidence is, where a rule gave it.
    root_causes : tuple of str
        Columns behind those signals: by how far they moved and how much the champion relies on them, where the causes
        were ranked, and the others after them, worst first.
    untested : tuple of str
        Names of the signals that could not be tested.
    """

    needs_retrain: bool
    severity: Severity
    confidence: float
    reasons: tuple[str, ...]
    root_causes: tuple[str, ...]
    untested: tuple[str, ...] = ()


def decide(signals: Sequence[Signal], params: Params, *, causes: Causes | None = None) -> Decision:
    """Fuse the signals of a check into one decision.

    Parameters
    ----------
    signals : sequence of Signal
        All that were measured.
    params : Params
        Whose guardrails may lower the severity from which retraining is asked for.
    causes : Causes, optional
        The columns that moved, ranked; without it they stand in the order of the signals.

    Examples
    --------
    >>> from trimtab.settings import Params
    >>> params = Params.model_validate({
    ...     "model": "m", "task": "regression", "data": {"table": "t", "time": "at", "numeric": ["x"]},
    ...     "estimator": {"class": "sklearn.linear_model.Ridge"}})
    >>> alarm = Signal("feature_drift", 0.4, 0.25, 0.001, "high", ("x",), "1 of 1 input columns drifted: x (PSI 0.40).")
    >>> decide([alarm], params).needs_retrain
    True
    """
    return fuse(signals, causes=causes, at_least=params.guardrails.min_severity)


def fuse(signals: Sequence[Signal], *, causes: Causes | None = None, at_least: Severity = "high") -> Decision:
    """Fuse signals into one decision, whatever they are of.

    Parameters
    ----------
    signals, causes
        As for `decide`.
    at_least : str
        The severity from which retraining is asked for, where it is lower than high.

    Examples
    --------
    >>> quiet = Signal("feature_drift", 0.01, 0.25, 0.8, "none", (), "0 of 1 input columns drifted.", evidence=-4.0)
    >>> fuse([quiet]).reasons
    ('No signal passed its threshold.',)
    """
    needed = min(rank("high"), rank(at_least))
    severity = worst(signal.severity for signal in signals)
    needs_retrain = rank(severity) >= max(needed, rank("low"))
    raised = sorted((s for s in signals if s.severity != "none"), key=lambda s: -rank(s.severity))
    asking = [s for s in raised if rank(s.severity) >= needed]
    changed = probability([s.evidence for s in signals if s.evidence is not None])
    rule = max(asking, key=_by_rule, default=None)
    by_rule = rule if needs_retrain and rule is not None and _by_rule(rule) > changed else None
    confidence = _by_rule(by_rule) if by_rule else _rounded(changed if needs_retrain else 1 - changed)
    concerned = dict.fromkeys(column for s in raised for column in s.columns)
    return Decision(
        needs_retrain, severity, confidence, (*_reasons(signals, raised), *_of_rule(by_rule)),
        _ranked(concerned, causes),
        tuple(s.name for s in signals if s.untested),
    )


def _by_rule(asking: Signal) -> float:
    """How sure it is that there is what a rule of its own asks about; 0 where the evidence already speaks of that.

    A rule may ask for less than what is graded high by default, or look at something that has no evidence.
    """
    if asking.evidence is None and math.isnan(asking.p_value):
        return 1.0
    return 0.0 if asking.evidence is not None and asking.evidence >= 0 else _rounded(of_p_value(asking.p_value))


def _of_rule(asking: Signal | None) -> tuple[str, ...]:
    """What the confidence is, where it is that of a rule."""
    if asking is None:
        return ()
    if asking.evidence is None and math.isnan(asking.p_value):
        return (f"The confidence is 1, for the rule on {asking.name} needs no evidence of a change.",)
    if math.isnan(asking.p_value):
        return (f"The confidence is one half, for there is no p-value of {asking.name}.",)
    return (f"The confidence is the most that the p-value of {asking.name} allows for any change, however small.",)


def _rounded(confidence: float) -> float:
    """To four digits; what rests on evidence is never certain."""
    return min(max(round(confidence, 4), 0.0001), 0.9999)


def _reasons(signals: Sequence[Signal], raised: Sequence[Signal]) -> tuple[str, ...]:
    """What asks for attention, and what could not be looked at; where that is everything, it is said first."""
    untested = [s.message for s in signals if s.untested]
    tested = any(s.evidence is not None and not math.isnan(s.evidence) for s in signals)
    found = [s.message for s in raised]
    if untested and not tested:
        found.append(NOTHING_TESTED)
    return tuple(dict.fromkeys([*(found or ["No signal passed its threshold."]), *untested]))


def _ranked(columns: Iterable[str], causes: Causes | None) -> tuple[str, ...]:
    """In the order of the causes, and what is none of them after these."""
    place = {column: place for place, column in enumerate(causes.order if causes else ())}
    return tuple(sorted(columns, key=lambda column: place.get(column, len(place))))

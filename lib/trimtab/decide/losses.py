"""What do the champion's errors say: as outcomes show them, as they are estimated, and from window to window?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from trimtab.decide.severity import rank
from trimtab.decide.signals import HIGH_LOSS, HIGH_RISE, Measurement, Signal, grade
from trimtab.measure.evidence import of_difference
from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.over_time.attribution import Attribution
from trimtab.measure.over_time.error_change import Change
from trimtab.measure.over_time.weekdays import Level
from trimtab.measure.unlabelled.estimates import Estimate
from trimtab.settings.triggers import Trigger
from trimtab.wording import plural

FEWEST_OUTCOMES = 30
"""Known outcomes below which a loss is not tested."""
FEWEST_OF_CLASS = 10
"""Records below which a metric that rests on one class is not tested: with fewer positives an undrifted F1 is found to
have dropped several times as often as the level allows (docs/benchmarks.md, "F1 of few positives")."""


def graded_loss(losses: Mapping[str, Measurement], triggers: Sequence[Trigger], *, primary: str) -> Signal:
    """The most serious of several metrics' losses, each held against the rules that are on it.

    Parameters
    ----------
    losses : mapping
        From `performance_drop`, by metric, the primary one first.
    triggers : sequence of Trigger
        A rule on `performance_drop` that names no metric is on the primary one.
    primary : str
        The metric that speaks for the model; of equally serious losses its own is given.

    Examples
    --------
    >>> lost = {"roc_auc": Measurement("performance_drop", 0.01, ".", points=0.01),
    ...         "accuracy": Measurement("performance_drop", 0.05, ".", points=0.04)}
    >>> rule = Trigger(signal="performance_drop", metric="accuracy", unit="points", at_least=0.03, severity="high")
    >>> graded_loss(lost, [rule], primary="roc_auc").severity
    'high'
    """
    graded = [
        grade(loss, [_as_share(t, loss) for t in triggers if (t.metric or primary) == metric])
        for metric, loss in losses.items()
    ]
    return max(graded, key=lambda one: rank(one.severity))


def _as_share(rule: Trigger, loss: Measurement) -> Trigger:
    """A rule in points of the metric as one in shares of the baseline, which the loss is one of."""
    if rule.unit == "share" or not loss.points or math.isnan(loss.points):
        return rule
    return rule.model_copy(update={"at_least": rule.at_least * loss.value / loss.points})


def too_few_outcomes(metric: str, known: int, counting: int) -> str:
    """Why a realised metric cannot be tested, in a sentence; empty where it can.

    Parameters
    ----------
    known : int
        Outcomes.
    counting : int
        Those that the metric rests on, such as the positive ones.

    Examples
    --------
    >>> too_few_outcomes("f1", 200, 3)
    'f1 rests on only 3 records of the class that counts, of 200 known outcomes; 10 are needed to test it.'
    """
    if known < FEWEST_OUTCOMES:
        return f"{metric} rests on only {plural(known, 'known outcome')}; {FEWEST_OUTCOMES} are needed to test it."
    if counting < FEWEST_OF_CLASS:
        return f"{metric} rests on only {plural(counting, 'record')} of the class that counts, of {known:,} known " \
            f"outcomes; {FEWEST_OF_CLASS} are needed to test it."
    return ""


def performance_drop(
    metric: str, baseline: Interval, current: Interval, *, greater_is_better: bool, alpha: float = 0.05, of: str = "",
) -> Measurement:
    """Realised loss as a share of the baseline, significant when the two estimates cannot be of one true value.

    The two rest on different records, so they are independent. The interval of their difference is put together from
    the sides of theirs that face each other (MOVER; Zou and Donner, 2008), which need not be symmetric; the p-value is
    the one at which that interval would just touch zero, if the sides grow as those of a normal distribution.

    Parameters
    ----------
    of : str
        What the baseline is of, in words, where it is not the whole holdout.
    """
    sign = 1.0 if greater_is_better else -1.0
    lost = sign * (baseline.value - current.value)
    if math.isnan(lost) or not baseline.value:
        told = f"{metric} of the current window cannot be computed yet."
        return Measurement("performance_drop", math.nan, told, evidence=math.nan)
    upper, lower = (baseline, current) if baseline.value > current.value else (current, baseline)
    reach = math.hypot(upper.value - upper.low, lower.high - lower.value)
    relative = lost / abs(baseline.value)
    p_value = _touching(abs(lost), reach, current.confidence)
    beyond = p_value <= alpha
    verb = "lost" if lost > 0 else "gained"
    error = reach / NormalDist().inv_cdf((1 + current.confidence) / 2)
    return Measurement(
        "performance_drop", relative, significant=beyond, p_value=p_value, points=lost,
        evidence=of_difference(lost, error, HIGH_LOSS * abs(baseline.value)),
        message=f"{metric} went from {baseline.value:.3f}{of} to {current.value:.3f}: "
        f"{verb} {abs(lost):.3f} ({abs(relative):.1%} of the baseline{_certainty(beyond, reach)}).",
    )


def estimated_drop(
    metric: str, estimate: Estimate, *, greater_is_better: bool, alpha: float = 0.05, weekdays: Level | None = None,
) -> Measurement:
    """What is estimated to be lost, as a share of the baseline; no alarm where the estimate's assumptions fail.

    Parameters
    ----------
    weekdays : Level, optional
        Of the metric on the holdout's days of the window's weekdays, which then is the baseline.
    """
    name, sign = "estimated_drop", -1.0 if greater_is_better else 1.0
    shift = weekdays.shift if weekdays else 0.0
    lost, baseline = sign * (estimate.change - shift), abs(estimate.baseline + shift)
    if math.isnan(lost) or not baseline:
        why = estimate.reason or "there is no baseline"
        return Measurement(name, math.nan, f"{metric} cannot be estimated: {why}.", evidence=math.nan)
    # The end of the range that lies nearer to the baseline; what is lost must exceed it.
    reach = estimate.high - estimate.value if lost * sign < 0 else estimate.value - estimate.low
    if weekdays:
        reach = math.hypot(reach, weekdays.reach(weekdays.error, estimate.confidence))
    p_value = _touching(abs(lost), reach, estimate.confidence)
    doubts = "; ".join(f"{one.name}: {one.evidence}" for one in estimate.doubtful)
    error = reach / NormalDist().inv_cdf((1 + estimate.confidence) / 2)
    message = f"{metric} is estimated at {estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}), against "
    message += f"{estimate.baseline + shift:.3f} on {'the same weekdays of ' if weekdays else ''}the holdout."
    return Measurement(
        name, lost / baseline, significant=p_value <= alpha and not doubts, p_value=p_value,
        evidence=math.nan if doubts else of_difference(lost, error, HIGH_LOSS * baseline),
        message=message + (f" Not relied on, because of {doubts}." if doubts else ""),
    )


def concept_drift(
    change: Change, loss: str, *, alpha: float = 0.05, metric: str = "", cause: Attribution | None = None,
    between: str = "the window before to this one",
) -> Measurement:
    """The champion's error in the current window against the window before it.

    Where inputs alone explain how large it is by now, the same inputs still end as they did on the holdout: then it is
    low at most, and no evidence of a changed relation, however far it rose. So it is where they alone would have made
    it larger still. Where they alone would have made it smaller than on the holdout they explain nothing.

    Parameters
    ----------
    loss : str
        Which error that is, in words.
    metric : str
        The one whose change since the holdout was attributed.
    cause : Attribution, optional
        Of that change; without it nothing is said of what the error follows from.
    between : str
        Which records were compared, in words.
    """
    name, rise = "concept_drift", change.relative.value
    if math.isnan(change.p_value) or math.isnan(rise):
        why = change.note or "there are not enough days with known outcomes"
        return Measurement(name, math.nan, f"Whether the {loss} has changed cannot be told: {why}.", evidence=math.nan)
    certain = change.p_value <= alpha
    verb = "rose" if rise > 0 else "fell"
    chance = "" if certain else ", which chance explains"
    evidence = of_difference(change.difference.value, change.difference.standard_error, HIGH_RISE * change.before)
    message = f"The {loss} {verb} by {abs(rise):.1%} from {between} " \
        f"({change.before:.3f} to {change.now:.3f}{chance})."
    if cause is None or not certain:
        return Measurement(name, rise, message, significant=certain, p_value=change.p_value, evidence=evidence)
    of_inputs = cause.verdict == "inputs" or (cause.against and _worse(metric, cause.explained))
    return Measurement(
        name, rise, f"{message} {_attributed(cause, metric)}".rstrip(), p_value=change.p_value,
        evidence=min(evidence, 0.0) if of_inputs else evidence, at_most="low" if of_inputs else "critical",
    )


def _attributed(cause: Attribution, metric: str) -> str:
    """What the level that the error has by now follows from, in a sentence; empty where that is not known."""
    moved = f"Since the champion's holdout its {metric} changed by {cause.realised:+.3f}"
    expected = f"{cause.explained:+.3f} was to be expected of these inputs"
    if cause.against:
        inputs, relation = ("worse", "better") if _worse(metric, cause.explained) else ("better", "worse")
        more = ", more than that change shows" if abs(cause.left) > abs(cause.realised) else ""
        return f"{moved}, though {expected}: they alone would have made it {inputs}, and their relation to the " \
            f"outcomes has changed for the {relation} by {abs(cause.left):.3f}{more}."
    return {
        "inputs": f"{moved}, and {expected}: they explain that change, so no changed relation is shown.",
        "concept": f"{moved}, and no change was to be expected of these inputs: they do not explain that change.",
        "both": f"{moved}, of which {expected}: they explain that change in part.",
        "unknown": f"{moved}, which cannot be told from chance.",
    }.get(cause.verdict, "")


def _worse(metric: str, change: float) -> bool:
    """Whether a change of a metric is one for the worse."""
    return change < 0 if METRICS[metric].greater_is_better else change > 0


def _touching(difference: float, reach: float, confidence: float) -> float:
    """Two-sided p-value of a difference whose interval reaches so far to one side; nan without an interval."""
    if math.isnan(reach):
        return math.nan
    if not reach:
        return 0.0 if difference else 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2) * difference / reach
    return math.erfc(z / math.sqrt(2))


def _certainty(beyond: bool, reach: float) -> str:
    if math.isnan(reach):
        return ", on too few records to tell"
    return "" if beyond else ", within what chance explains"

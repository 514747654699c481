"""Which measurements pass which threshold, and how serious is that?

A `Measurement` is a number with what is known of its certainty; `grade` holds it against the triggers and makes it a
`Signal`. A measurement that could be chance is never graded above none, however large it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

from trimtab.decide.reach import refuse_unreachable
from trimtab.decide.severity import rank
from trimtab.errors import ParamsError
from trimtab.measure.calendar import beginnings
from trimtab.measure.evidence import of_difference
from trimtab.measure.over_time.growth import Growth
from trimtab.measure.together.domain import Separation
from trimtab.settings.drift import DriftSettings
from trimtab.settings.triggers import Every, Severity, Trigger
from trimtab.wording import plural


@dataclass(frozen=True)
class Measurement:
    """One number that may become a signal.

    Attributes
    ----------
    name : str
        One of `SIGNALS`.
    value : float
        nan when it could not be measured.
    significant : bool
        Whether chance is ruled out at the level of the check; True where no test applies.
    p_value : float
        nan where no test applies.
    columns : tuple of str
        The columns concerned, worst first.
    message : str
        One sentence for an operator.
    evidence : float or None
        Logarithm of how much more likely this is after a change that would be graded high than after none; nan when it
        could not be measured, None for what is no evidence of a change.
    points : float
        Of a realised loss: how large it is in units of the metric; else nan.
    at_most : str
        The highest severity that it is graded with, whatever the rules say.
    """

    name: str
    value: float
    message: str
    significant: bool = True
    p_value: float = math.nan
    columns: tuple[str, ...] = ()
    evidence: float | None = None
    points: float = math.nan
    at_most: Severity = "critical"


@dataclass(frozen=True)
class Signal:
    """A measurement held against a threshold.

    Attributes
    ----------
    threshold : float
        The one that was passed, or the lowest one that was not.
    severity : str
        none, low, medium, high or critical.
    evidence : float or None
        As of the measurement.
    """

    name: str
    value: float
    threshold: float
    p_value: float
    severity: Severity
    columns: tuple[str, ...]
    message: str
    evidence: float | None = None

    @property
    def untested(self) -> bool:
        """Whether it was asked for and could not be measured: neither news nor a sign that there is none."""
        return math.isnan(self.value) and self.evidence is not None


FAMILIES: Mapping[str, tuple[str, ...]] = {
    "inputs": ("feature_drift", "feature_shift", "missing_values", "unseen_levels", "outliers", "out_of_range",
               "word_drift", "word_shift", "unseen_words"),
    "outputs": ("prediction_drift", "prediction_shift"),
    "labels": ("class_balance",),
    "realised performance": ("performance_drop",),
    "estimated performance": ("estimated_drop",),
    "joint distribution": ("joint_drift",),
    "errors over time": ("concept_drift",),
    "rates and confidences": ("rate_drop", "confidence_shift"),
    "classes": ("class_drop",),
    "segments": ("segment_drift",),
}
"""Kinds of evidence that a check looks at, with the signals that tell of each. Each kind has an equal share of
`drift.alpha`, so that all together raise a false alarm no oftener than that."""

_ASK_OTHERWISE = {
    "new_records": "volume", "growth": "volume", "model_age": "schedule", "schedule": "schedule",
} | {name: "performance" for kind in ("realised performance", "estimated performance", "errors over time", "classes")
     for name in FAMILIES[kind]}
_WEIGHTIEST = ("performance", "drift", "volume", "schedule")
_WEEK = 7
HIGH_LOSS = 0.10
HIGH_RISE = 0.30
HIGH_AREA = 0.80

FEWEST_DUE = 30
"""Labels due below which it is not asked how many are missing."""

SIGNALS = {
    "feature_drift": "largest PSI beyond chance of an input column",
    "prediction_drift": "largest PSI beyond chance of the champion's scores and predictions",
    "prediction_shift": "distance that the champion's scores or predicted numbers moved, in robust standard deviations",
    "performance_drop": "realised performance lost since the baseline, as a share of it",
    "class_drop": "realised recall or precision of one class lost since the baseline, as a share of it",
    "feature_shift": "largest distance that an input column moved, in robust standard deviations of the reference",
    "missing_values": "largest change in the share of records in which an input column is missing",
    "unseen_levels": "largest share of a column with levels that the reference never had, beyond chance",
    "word_drift": "largest PSI beyond chance of a text column, over its most telling words",
    "word_shift": "farthest that the share of texts with a single word moved, as Cohen's h",
    "unseen_words": "largest share of a text column's words that the reference never had, beyond what is expected",
    "segment_drift": "largest PSI beyond chance of an input column in a segment, beyond that of the other records",
    "estimated_drop": "performance that is estimated to be lost since the baseline, as a share of it, without labels",
    "joint_drift": "area under the curve by which current records are told from those of the reference",
    "concept_drift": "rise of the mean loss from the window before to the current one, as a share of it",
    "outliers": "largest share of a column beyond three standard deviations of the reference, where it has risen",
    "out_of_range": "largest share of a column outside the reference's range, beyond chance",
    "class_balance": "PSI beyond chance of the labels",
    "unusable_outputs": "share of records about which the champion failed or said what nothing can be made of",
    "label_completeness": "share of records without a label although it is due",
    "rate_drop": "largest fall of a rate, in shares",
    "confidence_shift": "largest shift of a confidence's mean, in standard deviations of the reference",
    "growth": "how many more records come in per day than in the reference, as a share of those",
    "new_records": "records newer than those the champion was made from, its holdout included",
    "model_age": "days since the newest of those",
    "schedule": "times that a day, week, month, quarter or year has begun since a model was last trained",
}


def kind_of_trigger(names: Iterable[str]) -> str:
    """What kind of rule asked for a model: performance, drift, volume or schedule; of several, the weightiest.

    Parameters
    ----------
    names : iterable of str
        Of the signals that asked; drift where there is none.

    Examples
    --------
    >>> kind_of_trigger(["model_age"]), kind_of_trigger(["model_age", "feature_drift"])
    ('schedule', 'drift')
    """
    kinds = {_ASK_OTHERWISE.get(name, "drift") for name in names}
    return next((kind for kind in _WEIGHTIEST if kind in kinds), "drift")


def default_triggers(drift: DriftSettings) -> tuple[Trigger, ...]:
    """The rules that hold where the params file has none for a signal."""
    table: list[tuple[str, float, Severity]] = [
        ("feature_drift", drift.psi_warn, "medium"),
        ("feature_drift", drift.psi_alert, "high"),
        ("prediction_drift", drift.psi_warn, "medium"),
        ("prediction_drift", drift.psi_alert, "high"),
        ("prediction_shift", drift.shift_warn, "low"),
        ("prediction_shift", 0.50, "medium"),
        ("performance_drop", 0.05, "medium"),
        ("performance_drop", HIGH_LOSS, "high"),
        ("performance_drop", 0.20, "critical"),
        ("class_drop", 0.10, "medium"),
        ("class_drop", 0.20, "high"),
        ("feature_shift", drift.shift_warn, "low"),
        ("feature_shift", 0.50, "medium"),
        ("missing_values", drift.missing_warn, "low"),
        ("missing_values", 0.10, "medium"),
        ("unseen_levels", drift.unseen_warn, "low"),
        ("unseen_levels", 0.05, "medium"),
        ("word_drift", drift.psi_warn, "medium"),
        ("word_drift", drift.psi_alert, "high"),
        ("word_shift", drift.word_warn, "low"),
        ("word_shift", 0.50, "medium"),
        ("unseen_words", drift.unseen_warn, "low"),
        ("unseen_words", 0.05, "medium"),
        ("segment_drift", drift.psi_warn, "low"),
        ("segment_drift", drift.psi_alert, "medium"),
        ("estimated_drop", 0.05, "low"),
        ("estimated_drop", HIGH_LOSS, "medium"),
        ("joint_drift", 0.55, "low"),
        ("joint_drift", 0.65, "medium"),
        ("joint_drift", HIGH_AREA, "high"),
        ("concept_drift", 0.15, "medium"),
        ("concept_drift", HIGH_RISE, "high"),
        ("outliers", drift.outliers_warn, "low"),
        ("outliers", 0.05, "medium"),
        ("out_of_range", drift.outside_warn, "low"),
        ("out_of_range", 0.05, "medium"),
        ("class_balance", drift.psi_warn, "medium"),
        ("rate_drop", 0.02, "low"),
        ("rate_drop", 0.05, "medium"),
        ("rate_drop", 0.10, "high"),
        ("confidence_shift", 0.10, "low"),
        ("confidence_shift", 0.20, "medium"),
        ("unusable_outputs", 0.001, "low"),
        ("unusable_outputs", 0.05, "medium"),
        ("label_completeness", math.nextafter(0.5, 1), "medium"),
        ("growth", 0.50, "low"),
        ("new_records", 1000, "low"),
        ("model_age", 30, "low"),
    ]
    return tuple(Trigger(signal=name, at_least=at_least, severity=severity) for name, at_least, severity in table)


def triggers_for(drift: DriftSettings, own: Sequence[Trigger]) -> tuple[Trigger, ...]:
    """The params file's rules, and the defaults for signals that it does not mention.

    Raises
    ------
    ParamsError
        When a rule names a signal or a metric that does not exist, or could never hold.
    """
    for trigger in own:
        if trigger.signal not in SIGNALS:
            raise ParamsError(f"triggers: there is no signal {trigger.signal!r}; known: {', '.join(SIGNALS)}")
        refuse_unreachable(trigger)
    mentioned = {trigger.signal for trigger in own}
    return tuple(own) + tuple(t for t in default_triggers(drift) if t.signal not in mentioned)


def grade(measurement: Measurement, triggers: Iterable[Trigger]) -> Signal:
    """Hold a measurement against the triggers for its name.

    Examples
    --------
    >>> rule = Trigger(signal="model_age", at_least=30, severity="low")
    >>> grade(Measurement("model_age", 45.0, "The champion is 45 days old."), [rule]).severity
    'low'
    """
    mine = sorted((t for t in triggers if t.signal == measurement.name), key=lambda t: t.at_least)
    passed = [t for t in mine if measurement.significant and measurement.value >= t.at_least]
    worst = max(passed, key=lambda t: (rank(t.severity), t.at_least), default=None)
    shown = worst or (mine[0] if mine else None)
    return Signal(
        name=measurement.name,
        value=measurement.value,
        threshold=shown.at_least if shown else math.nan,
        p_value=measurement.p_value,
        severity=min(worst.severity, measurement.at_most, key=rank) if worst else "none",
        columns=measurement.columns,
        message=measurement.message,
        evidence=measurement.evidence,
    )


def joint_drift(
    separation: Separation, carriers: Sequence[str], *, floor: float = 0.5, alpha: float = 0.05
) -> Measurement:
    """How well current records can be told from those of the reference by all columns together.

    Parameters
    ----------
    carriers : sequence of str
        What carries the difference, strongest first.
    floor : float
        What stretches of the reference reach against the rest of it.
    """
    name = "joint_drift"
    if math.isnan(separation.p_value) or math.isnan(separation.auc):
        why = separation.note or "there is nothing to compare"
        return Measurement(name, math.nan, f"All columns together could not be compared: {why}.", evidence=math.nan)
    beyond = separation.p_value <= alpha and separation.auc > floor
    known = f"AUC {separation.auc:.3f}"
    if separation.p_value > alpha:
        message = f"Current records cannot be told from those of the reference beyond chance ({known})."
    elif beyond:
        by = f", by {', '.join(carriers[:3])}" if carriers else ""
        message = f"Current records can be told from those of the reference ({known}{by})."
    else:
        message = f"Current records can be told from those of the reference ({known}), but no better than a stretch " \
            f"of the reference may be told from the rest of it (up to {floor:.3f})."
    error = (separation.high - separation.low) / (2 * NormalDist().inv_cdf(0.975))
    return Measurement(
        name, separation.auc, message, significant=beyond, p_value=separation.p_value,
        evidence=of_difference(separation.auc - floor, error, HIGH_AREA - 0.5),
    )


def growth(measured: Growth, *, alpha: float = 0.05) -> Measurement:
    """How many more records come in per day than in the reference; below 0 where there are fewer.

    It is no evidence of a change worth retraining: more of the same is the same.
    """
    grown = measured.relative.value
    if math.isnan(grown) or math.isnan(measured.p_value):
        why = measured.note or "the reference has no records"
        return Measurement("growth", math.nan, f"Whether more records come in per day cannot be told: {why}.")
    certain = measured.p_value <= alpha
    much = f"{abs(grown):.0%}" if abs(grown) >= 0.005 else "less than 1%"
    moved = f"{'rose' if grown > 0 else 'fell'} by {much}" if grown else "did not change"
    return Measurement(
        "growth", grown, significant=certain, p_value=measured.p_value,
        message=f"Records per day {moved} from the reference ({measured.before:,.0f} to {measured.now:,.0f}"
        f"{'' if certain else ', within what days differ by'}), over {_compared(measured)}.",
    )


def _compared(measured: Growth) -> str:
    """The days that growth rests on, which are not all of the windows."""
    days = f"{plural(measured.days_before, 'day')} there and {measured.days_now} now"
    return f"the newest whole weeks: {days}" if measured.days_now >= _WEEK else days


def unusable_outputs(share: float, told: str) -> Measurement:
    """Records about which the champion failed, or said what nothing can be made of: counted, so nothing is tested.

    Parameters
    ----------
    share : float
        In [0, 1].
    told : str
        What was wrong, in sentences.
    """
    return Measurement("unusable_outputs", share, told if share else "Every answer of the champion can be used.")


def new_records(count: int) -> Measurement:
    """How many records came after those that the champion was made from, its holdout included."""
    told = f"{plural(count, 'record is', 'records are')} newer than the champion's own."
    return Measurement("new_records", float(count), told)


def model_age(days: float) -> Measurement:
    """How old the champion is, counted from the end of its holdout."""
    told = f"The newest records the champion was made from are {plural(round(days), 'day')} old."
    return Measurement("model_age", days, told)


def schedule(every: Every, since: datetime, until: datetime) -> Measurement:
    """How often a day, week, month, quarter or year has begun since a model was last trained, or tried.

    Parameters
    ----------
    every : str
        day, week (from Monday), month, quarter or year; in UTC.
    since, until : datetime
        As of when that was, and as of now.

    Examples
    --------
    >>> found = schedule("month", datetime(2024, 1, 31), datetime(2024, 3, 1))
    >>> found.value, found.message
    (2.0, 'A month has begun twice since a model was last trained, as of 2024-01-31.')
    """
    times = beginnings(every, since, until)
    told = {0: "no time", 1: "once", 2: "twice"}.get(times, f"{times:,} times")
    return Measurement(
        "schedule", float(times), f"A {every} has begun {told} since a model was last trained, as of {since:%Y-%m-%d}.")


def label_completeness(due: int, known: int) -> Measurement:
    """The share of labels that are due but missing; nan where fewer are due than can be told anything from."""
    if due < FEWEST_DUE:
        some = f"Only {plural(due, 'label')}" if due else "No label"
        told = f"{some} of the current window {'are' if due > 1 else 'is'} due yet."
        return Measurement("label_completeness", math.nan, told)
    missing = 1 - known / due
    return Measurement(
        "label_completeness", missing, f"{missing:.1%} of the {due:,} labels that are due are not known yet."
    )

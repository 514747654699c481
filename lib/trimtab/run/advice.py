"""What would be decided of two plain tables, and of predictions and outcomes that lie beside them?

There is no champion, no ledger and no holdout here: what stands in their place is the reference, and the rules are the
defaults of a params file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import nan

import numpy as np

from trimtab.decide import columns, losses
from trimtab.decide.grading import Grader, graded, unmeasured
from trimtab.decide.segments import segment_drift
from trimtab.decide.signals import Measurement, Signal, grade, triggers_for
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.segments import SegmentDrift
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.models.outputs import Array, Outputs
from trimtab.measure.models.performance import Performance, measure_performance
from trimtab.measure.models.scoring import profile_values
from trimtab.measure.over_time.error_change import Change, consecutive
from trimtab.run.said import Said
from trimtab.settings.drift import DriftSettings
from trimtab.settings.triggers import Trigger

_HALVES = "the earlier half of the recent records to the later"


def signals(
    drift: Drift, apart: SegmentDrift, beside: Said | None, settings: DriftSettings, own: Sequence[Trigger] = ()
) -> tuple[Signal, ...]:
    """Every measurement, held against its triggers.

    Parameters
    ----------
    beside : Said or None
        Without it, only the columns speak.
    settings : DriftSettings
        Whose alpha is this kind of evidence's part.
    own : sequence of Trigger
        Rules in the place of the defaults.
    """
    measured = columns.inputs(drift, settings)
    if apart.named:
        measured.append(segment_drift(apart, settings))
    rules = triggers_for(settings, own)
    if beside is not None:
        if beside.before is not None:
            measured += columns.outputs(_moved(beside.before, beside.now), settings)
        measured.append(losses.concept_drift(_change(beside.now), beside.loss, between=_HALVES, alpha=settings.alpha))
    graders: list[Grader] = [partial(grade, one) for one in measured]
    if beside is not None:
        graders += _lost(beside, rules, settings.alpha)
    found = graded(graders, rules)
    return *found, *unmeasured(own, found)


def performances(beside: Said) -> dict[str, Performance]:
    """What was measured of the predictions, under "reference" where they are known there, and "recent"."""
    sides = {"reference": beside.before, "recent": beside.now}
    return {name: measure_performance(one) for name, one in sides.items() if one is not None}


def _moved(before: Outputs, now: Outputs) -> Drift:
    """The predictions themselves."""
    def _values(outputs: Outputs) -> Array:
        if outputs.scores is not None:
            return outputs.scores[:, 1]
        return np.asarray(outputs.labels)[outputs.predicted] if outputs.labels else outputs.predicted

    first = profile_values({"prediction": _values(before)})
    return compare(first, profile_values({"prediction": _values(now)}, first.bins))


def _change(now: Outputs) -> Change:
    """The error in the later half of the recent records against the earlier."""
    errors, half = _errors(now), len(now) // 2
    return consecutive(errors[:half], errors[half:])


def _errors(outputs: Outputs) -> Array:
    if outputs.scores is not None:
        squares: Array = np.square(outputs.scores[:, 1] - outputs.actual)
        return squares
    wrong: Array = outputs.actual != outputs.predicted
    errors: Array = np.abs(outputs.actual - outputs.predicted)
    return wrong.astype(np.float64) if outputs.labels else errors


def _lost(beside: Said, rules: Sequence[Trigger], alpha: float) -> list[Grader]:
    """What grades realised performance against that on the reference, by every metric that a rule names, if any."""
    if beside.before is None:
        return []
    measured = performances(beside)
    now = measured["recent"].values
    named = [rule.metric for rule in rules if rule.metric is not None]
    wanted = [metric for metric in dict.fromkeys([beside.primary, *named]) if Measure(metric) in now]
    binary = beside.now.positive is not None
    lost = {metric: _drop(metric, measured, alpha / len(wanted), binary=binary) for metric in wanted}
    return [partial(losses.graded_loss, lost, primary=beside.primary)]


def _drop(metric: str, measured: Mapping[str, Performance], alpha: float, *, binary: bool) -> Measurement:
    """A metric of the recent records against the reference's, where it rests on enough outcomes of both."""
    for side, one in measured.items():
        counting = one.support.get(Measure(metric), one.rows) if binary else one.rows
        if few := losses.too_few_outcomes(metric, one.rows, counting):
            return Measurement("performance_drop", nan, f"Of the {side} records: {few}", evidence=nan)
    before, now = (measured[side].values[Measure(metric)] for side in ("reference", "recent"))
    return losses.performance_drop(
        metric, before, now, greater_is_better=METRICS[metric].greater_is_better, alpha=alpha)

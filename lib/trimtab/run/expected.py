"""How good is the champion now, as far as can be told before outcomes are known?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.measure.models.intervals import Interval, Measure
from trimtab.measure.models.metrics import METRICS
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.models.performance import OVERALL
from trimtab.measure.over_time.attribution import Attribution, attribute
from trimtab.measure.together.domain import density_ratio
from trimtab.measure.together.samples import Sample
from trimtab.measure.unlabelled.estimates import Agreement, Estimate, compare_with_realised, preferred
from trimtab.measure.unlabelled.holdouts import Holdout, as_numbers
from trimtab.measure.unlabelled.ways import all_ways
from trimtab.run.answered import Answered
from trimtab.run.scored import Scored, primary_metric
from trimtab.run.session import Session

_NOT_ESTIMATED = {"calibration_error"}    # it would judge what is assumed


@dataclass(frozen=True)
class Expected:
    """Estimates without labels.

    Attributes
    ----------
    first : mapping
        For each metric the estimate to look at first.
    others : mapping
        By method, the estimates of the metric that speaks for the model.
    agreement : mapping
        How each compares with what was realised, where outcomes are known.
    metric : str
        The one that speaks for the model.
    causes : mapping
        By metric, how much of its realised change the inputs explain; without those whose outcomes are not known, and
        those of which an assumption of the estimate fails.
    missing : str
        Why there is nothing, in a sentence; else empty.
    reasons : mapping
        By metric that cannot be estimated, why not.
    """

    first: Mapping[str, Estimate]
    others: Mapping[str, Estimate]
    agreement: Mapping[str, Agreement]
    metric: str
    causes: Mapping[str, Attribution] = field(default_factory=dict)
    missing: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def cause(self) -> Attribution | None:
        """How much of the change of the metric that speaks for the model the inputs explain; None where not known."""
        return self.causes.get(self.metric)

    def why_not(self, metric: str) -> str:
        """Why there is no estimate of a metric, in a sentence; empty where there is one."""
        if metric in self.first:
            return ""
        why = self.reasons.get(metric)
        return self.missing or f"{metric} cannot be estimated without labels" + (f": {why}." if why else ".")


def expected(session: Session, scored: Scored) -> Expected:
    """Estimate what the champion's metrics are in the current window, from its holdout and what it says now."""
    metric = primary_metric(session.params)
    holdout = session.holdout(session.champion.version)
    if holdout is None:
        why = f"No holdout of version {session.champion.version} is kept"
        return Expected({}, {}, {}, metric, missing=f"{why}, so there is nothing to estimate its performance from.")
    if scored.outputs is None or scored.said is None or scored.said.coded is None:
        why = "None of the model's outputs can be used" if scored.notes else \
            "No record is newer than what the champion was made from"
        return Expected({}, {}, {}, metric, missing=f"{why}, so there is nothing to estimate its performance from.")
    if holdout.outputs.labels != scored.outputs.labels:
        why = "There are classes now that the holdout did not have"
        return Expected({}, {}, {}, metric, missing=f"{why}, so performance cannot be estimated from it.")
    names = [n for n in dict.fromkeys([*OVERALL[holdout.outputs.task], metric])
             if METRICS[n].applies(holdout.outputs) and n not in _NOT_ESTIMATED]
    confidence = session.params.promotion.confidence
    ways = ways_of(holdout, scored.said.coded, scored.outputs, names, confidence=confidence)
    first = first_of(ways, names)
    others = {way: known[metric] for way, known in ways.items() if metric in known}
    realised = scored.performance.values if scored.performance else {}
    of_known = _of_known(holdout, scored.said, first, names, confidence) if realised else {}
    agreement = {
        n: compare_with_realised(e, realised[Measure(n)]) for n, e in of_known.items() if Measure(n) in realised
    }
    causes = {n: found for n, e in of_known.items() if (found := _cause(e, realised.get(Measure(n))))}
    return Expected(first, others, agreement, metric, causes, _none_known(first, ways), _reasons(ways))


def _of_known(
    holdout: Holdout, said: Answered, first: Mapping[str, Estimate], names: Sequence[str], confidence: float
) -> Mapping[str, Estimate]:
    """Estimates for the very records whose outcomes have come: a range for more records would be too narrow."""
    if said.comparable.all():
        return first
    known = said.take(said.comparable)
    if known.coded is None or known.outputs is None:
        return {}
    return first_of(ways_of(holdout, known.coded, known.outputs, names, confidence=confidence), names)


def ways_of(
    holdout: Holdout, now: Sample, said: Outputs, names: Sequence[str], *, confidence: float
) -> dict[str, dict[str, Estimate]]:
    """Estimates of metrics on records by the bins of a holdout, in every way there is; see `all_ways`."""
    weights = density_ratio(holdout.sample, now.thinned(len(holdout.sample), seed=0))
    return all_ways(holdout, as_numbers(now), said, weights, names, confidence=confidence)


def first_of(found: Mapping[str, Mapping[str, Estimate]], names: Sequence[str]) -> dict[str, Estimate]:
    """For each metric that can be estimated, the estimate to look at first."""
    return {name: best for name in names if (best := preferred(way[name] for way in found.values() if name in way))}


def _reasons(found: Mapping[str, Mapping[str, Estimate]]) -> dict[str, str]:
    """By metric, the first reason for which there is no estimate of it."""
    told = [(metric, one.reason) for way in found.values() for metric, one in way.items() if one.reason]
    return dict(reversed(told))


def _none_known(first: Mapping[str, Estimate], found: Mapping[str, Mapping[str, Estimate]]) -> str:
    why = next(iter(_reasons(found).values()), "")
    return "" if first else "Performance cannot be estimated without labels" + (f": {why}." if why else ".")


def _cause(estimate: Estimate, realised: Interval | None) -> Attribution | None:
    """The realised change beside the one that inputs explain; the estimate's range covers what comes by chance."""
    if realised is None or estimate.confidence != realised.confidence or estimate.doubtful:
        return None
    before = estimate.baseline
    change = realised.value - before
    nan, confidence = math.nan, realised.confidence
    explained = Interval(estimate.change, estimate.low - before, estimate.high - before, confidence, nan)
    return attribute(Interval(change, change, change, confidence, nan), explained)

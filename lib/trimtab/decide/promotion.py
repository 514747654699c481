"""Has the challenger earned its place? Every criterion is judged on what is certain, and a missing answer is no yes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trimtab.decide.guardrails import Check
from trimtab.measure.models.intervals import Interval, Measure, PairedDifference
from trimtab.measure.models.metrics import METRICS, metric
from trimtab.measure.models.performance import Evaluation, gain, group_name
from trimtab.settings.promotion import Criterion
from trimtab.wording import plural

Outcome = Literal["promote", "reject", "needs_approval", "hold"]
Finding = Literal["passed", "failed", "undecided", "not evaluable", "does not apply"]


_PERFECT, _ENOUGH = 0.9999, 100    # of so many records, from where on it is no luck
_ROUNDING = 1e-9    # 0.79 − 0.80 is a little less than −0.01, and a drop of 0.01 is allowed by max_drop: 0.01


@dataclass(frozen=True)
class Row:
    """One criterion for one group of records.

    Attributes
    ----------
    criterion : str
        What is required, such as "roc_auc: gain more than 0".
    group : str
        all, a class or a segment.
    support : int
        Records that it rests on.
    champion, challenger : float
        Their values; nan where there is none.
    difference, low, high : float
        What is held against the bound, with its interval: for `max_drop` and `min_gain` the challenger's gain over the
        champion (`performance.gain`); for `min_relative_gain` that divided by the champion; for `floor` the
        challenger's own value.
    bound : float
        Where the evidence must lie above (below, for a floor of a metric where less is better).
    finding : str
        passed, failed (the estimate itself misses), undecided (the estimate passes, the interval does not), not
        evaluable, or does not apply (without a champion).
    is_gain : bool
        Whether `difference` is a gain, where a plus is an improvement; what a floor bounds is a value.
    """

    criterion: str
    group: str
    support: int
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    bound: float
    finding: Finding
    note: str = ""
    is_gain: bool = True

    @property
    def passed(self) -> bool:
        """Whether the criterion holds for this group."""
        return self.finding in {"passed", "does not apply"}


@dataclass(frozen=True)
class Verdict:
    """What follows from all criteria.

    Attributes
    ----------
    outcome : str
        promote, reject, needs_approval or hold.
    reasons : tuple of str
        One sentence per criterion that decided.
    rows : tuple of Row
        Every criterion for every group.
    gates : tuple of Check
        What must hold whatever the figures are: that nothing leaked, and that the model can serve.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]
    gates: tuple[Check, ...] = ()


def judge(criteria: Sequence[Criterion], evaluation: Evaluation, gates: Sequence[Check] = ()) -> Verdict:
    """Judge a challenger.

    A gate that is shut rejects, and nobody can approve what it keeps out. Of criteria all must hold: a miss rejects
    when the estimate itself misses, and holds when the evidence is too thin to tell. `otherwise: approve` turns either
    into a request for approval. Without a champion only floors apply.

    Parameters
    ----------
    criteria : sequence of Criterion
        The gate; without any, a challenger is promoted only where there is no champion.
    evaluation : Evaluation
        Of the challenger, with the champion on the same records where there is one.
    gates : sequence of Check
        As `gates.leakage` and `gates.can_serve` give them.
    """
    verdict = replace(_by_criteria(criteria, evaluation), gates=tuple(gates))
    shut = tuple(f"{gate.name.replace('_', ' ').capitalize()}: {gate.evidence}." for gate in gates if not gate.passed)
    return replace(verdict, outcome="reject", reasons=shut) if shut else verdict


def _by_criteria(criteria: Sequence[Criterion], evaluation: Evaluation) -> Verdict:
    judged = [(criterion, row) for criterion in criteria for row in _rows(criterion, evaluation)]
    rows = tuple(row for _, row in judged)
    missed = [(criterion, row) for criterion, row in judged if not row.passed]
    if not evaluation.differences and not missed:
        floors = "so only floors applied" if any(row.finding == "passed" for row in rows) else (
            "and no floor is set, so any model would have been accepted")
        return Verdict("promote", (f"There is no champion to compare with, {floors}.", *_too_good(evaluation)), rows)
    if not criteria:
        return Verdict("hold", ("No promotion criteria are set, so nothing can be earned.",), rows)
    reasons = tuple(_sentence(row) for _, row in missed)
    final = [row for criterion, row in missed if criterion.otherwise == "reject"]
    if any(row.finding == "failed" for row in final):
        return Verdict("reject", reasons, rows)
    if final:
        return Verdict("hold", reasons, rows)
    if missed:
        return Verdict("needs_approval", reasons, rows)
    held = "The criterion holds" if len(rows) == 1 else f"All {len(rows)} criteria hold"
    return Verdict("promote", (f"{held} on {plural(evaluation.rows, 'record')}.",), rows)


def _too_good(evaluation: Evaluation) -> list[str]:
    """A word about a first model that makes no mistakes: it has hardly foretold what came."""
    found = evaluation.challenger.overall()
    perfect = next((name for name in ("roc_auc", "r2") if found.get(name, 0.0) >= _PERFECT), None)
    if perfect is None or evaluation.rows < _ENOUGH:
        return []
    return [f"It is as good as never wrong ({perfect} {found[perfect]:.4f}): look whether a column says the label in "
            "other words, or is only known once the label is."]


def _rows(criterion: Criterion, evaluation: Evaluation) -> list[Row]:
    measures = _measures(criterion, evaluation)
    return [_row(criterion, measure, evaluation) for measure in measures] or [_nothing(criterion, evaluation)]


def _nothing(criterion: Criterion, evaluation: Evaluation) -> Row:
    """A criterion per class or segment where there are none: it was asked for and cannot be shown to hold."""
    (kind, required), = criterion.bounds().items()
    finding, note = _without_evidence(kind, evaluation, f"there is no {criterion.per} to measure")
    nan = math.nan
    return Row(
        criterion=describe(criterion), group=f"each {criterion.per}", support=0, champion=nan, challenger=nan,
        difference=nan, low=nan, high=nan, bound=_bound(kind, required), finding=finding, note=note,
        is_gain=kind != "floor",
    )


def _without_evidence(kind: str, evaluation: Evaluation, why: str) -> tuple[Finding, str]:
    if kind != "floor" and not evaluation.differences:
        return "does not apply", "there is no champion to compare with"
    return "not evaluable", why


def _bound(kind: str, required: float) -> float:
    return -required if kind == "max_drop" else required


def _measures(criterion: Criterion, evaluation: Evaluation) -> list[Measure]:
    if criterion.per == "class":
        return [Measure(criterion.metric, label) for label in evaluation.labels]
    if criterion.per == "segment":
        return [Measure(criterion.metric, segment=segment) for segment in evaluation.segments]
    return [Measure(criterion.metric)]


def _row(criterion: Criterion, measure: Measure, evaluation: Evaluation) -> Row:
    (kind, required), = criterion.bounds().items()
    pair = evaluation.differences.get(measure)
    alone = evaluation.challenger.values.get(measure)
    support = evaluation.challenger.support.get(measure, 0)
    evidence = _evidence(criterion.metric, kind, alone, pair)
    bound = _bound(kind, required)
    if (alone if kind == "floor" else pair) is None:
        whose = "the challenger" if alone is None else "the champion"
        finding, note = _without_evidence(kind, evaluation, f"{criterion.metric} cannot be computed for {whose}")
    else:
        finding, note = _finding(criterion, kind, evidence, bound, support=support)
    return Row(
        criterion=describe(criterion),
        group=group_name(measure),
        support=support,
        champion=pair.champion.value if pair else math.nan,
        challenger=alone.value if alone else math.nan,
        difference=evidence.value, low=evidence.low, high=evidence.high, bound=bound, finding=finding, note=note,
        is_gain=kind != "floor",
    )


def _evidence(name: str, kind: str, alone: Interval | None, pair: PairedDifference | None) -> Interval:
    """What is held against the bound: a gain, except for a floor, which keeps its units."""
    nothing = Interval(math.nan, math.nan, math.nan, math.nan, math.nan)
    if kind == "floor":
        return alone or nothing
    if pair is None:
        return nothing
    return gain(name, pair.relative if kind == "min_relative_gain" else pair.difference)


def _finding(
    criterion: Criterion, kind: str, evidence: Interval, bound: float, *, support: int
) -> tuple[Finding, str]:
    if support < criterion.min_support:
        return "not evaluable", f"{plural(support, 'record')}, at least {criterion.min_support} are needed"
    if math.isnan(evidence.value):
        return "not evaluable", f"{criterion.metric} is undefined here"
    ceiling = kind == "floor" and not METRICS[criterion.metric].greater_is_better
    turn = -1.0 if ceiling else 1.0
    estimate = turn * evidence.value
    certain = -evidence.high if ceiling else evidence.low
    if estimate < turn * bound - _ROUNDING:
        return "failed", ""
    if criterion.evidence == "point":
        return "passed", "point estimate, as asked for"
    if math.isnan(certain):
        return "not evaluable", "no interval can be computed"
    if _above(kind, certain, turn * bound):
        return "passed", ""
    return "undecided", "the interval reaches past the bound"


def _above(kind: str, certain: float, bound: float) -> bool:
    """A floor may be touched; a drop or gain must be cleared."""
    return certain >= bound - _ROUNDING if kind == "floor" else certain > bound + _ROUNDING


def describe(criterion: Criterion) -> str:
    """A criterion in words.

    Examples
    --------
    >>> describe(Criterion(metric="recall", per="class", max_drop=0.05))
    'recall per class: drop at most 0.05'
    """
    (kind, required), = criterion.bounds().items()
    less = not metric(criterion.metric).greater_is_better
    words = {
        "max_drop": ("rise at most" if less else "drop at most"),
        "min_gain": ("fall more than" if less else "gain more than"),
        "min_relative_gain": ("fall, relative, more than" if less else "gain, relative, more than"),
        "floor": ("at most" if less else "at least"),
    }[kind]
    per = f" per {criterion.per}" if criterion.per else ""
    return f"{criterion.metric}{per}: {words} {required:g}"


def _sentence(row: Row) -> str:
    where = "" if row.group == "all" else f" for {row.group}"
    if row.finding == "not evaluable":
        return f"{row.criterion}{where}: cannot be evaluated ({row.note})."
    verb = "missed" if row.finding == "failed" else "not certain"
    counting = plural(row.support, "record that counts", "records that count")
    return f"{row.criterion}{where}: {verb}, {_measured(row)} on {counting}."


def _measured(row: Row) -> str:
    """A row's evidence: a gain with its sign, or the value that a floor bounds, and whether who serves does better."""
    if row.is_gain:
        return f"gain {row.difference:+.4f} [{row.low:+.4f}, {row.high:+.4f}]"
    beside = "" if math.isnan(row.champion) else f" (the champion: {row.champion:.4f})"
    return f"measured {row.difference:.4f} [{row.low:.4f}, {row.high:.4f}]{beside}"

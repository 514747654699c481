"""What does a measurement mean? One sentence or two, for readers who skip the tables."""

from __future__ import annotations

import math
from collections.abc import Iterable

from trimtab.cells import listed
from trimtab.decide.causes import Causes
from trimtab.measure.columns.drift import Drift
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.performance import group_name, told_apart
from trimtab.run.checking import performance_drop
from trimtab.run.contests import Contest
from trimtab.run.scored import Scored, primary_metric
from trimtab.run.session import Session


def of_drift(session: Session, drift: Drift, scored: Scored, causes: Causes | None = None) -> str:
    """Drift of inputs beside realised performance, in words that say which of the two is news.

    Parameters
    ----------
    causes : Causes, optional
        With them the column is named that moved and that the champion relies on most.
    """
    settings = session.thresholds
    moved = drift.drifted(**settings.bounds)
    inputs = f"{len(moved)} of {len(drift.columns)} watched columns drifted"
    inputs += f", {moved[0].name} the most ({moved[0].moved(**settings.bounds)[0]})" if moved else ""
    inputs += f"; {causes.first}" if causes and causes.first else ""
    if drift.too_few:
        inputs = f"None of {len(drift.columns)} watched columns could be tested ({drift.too_few})"
    if scored.unlabelled:
        return f"{inputs}. No column of outcomes is named, so whether drift does any harm is not known."
    loss = performance_drop(session, scored)
    if math.isnan(loss.value):
        return f"{inputs}. {loss.message} Whether the drift does any harm is not known yet."
    lost = loss.significant and loss.value > 0
    if drift.too_few and not lost:
        return f"{inputs}. {loss.message} Whether they drifted is not known."
    if moved and not lost:
        follows = f"By {primary_metric(session.params)} no loss can be shown."
    elif moved:
        follows = "Both moved, which does not make the one the cause of the other."
    elif lost:
        follows = "The watched inputs look as before: either the outcome follows from them in another way now " \
            "(concept drift), or something has moved that is not watched."
    else:
        follows = f"Neither the inputs nor {primary_metric(session.params)} give a reason to act."
    return f"{inputs}. {loss.message} {follows}"


def of_contest(contest: Contest) -> str:
    """Where the challenger is better, where it is worse, and for which groups; as far as chance does not explain it."""
    found = contest.evaluation.differences
    if not found:
        return "Nobody served, so there was nothing to compare with."
    words = {measure: told_apart(measure.metric, pair.difference) for measure, pair in found.items()}
    overall = [m for m in words if m.label is None and m.segment is None]
    apart = [m for m in words if (m.label is None) != (m.segment is None)]
    better, worse = (_metrics(m for m in overall if words[m] == word) for word in ("better", "worse"))
    if not better and not worse:
        told = "Over all records the two cannot be told apart by any metric."
    else:
        told = f"Over all records the challenger is surely better by {better or 'no metric'}, " \
            f"surely worse by {worse or 'none'}."
    groups = dict.fromkeys(group_name(m) for m in apart)
    lost = {name: _metrics(m for m in apart if group_name(m) == name and words[m] == "worse") for name in groups}
    losers = [f"{name} ({metrics})" for name, metrics in lost.items() if metrics]
    if losers:
        told += f" It is worse for {listed(losers, longest=120)}."
    elif apart:
        told += " It is worse for no class and no segment."
    return told


def _metrics(measures: Iterable[Measure]) -> str:
    return ", ".join(measure.metric for measure in measures)

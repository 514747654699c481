"""What do the words of text columns tell? A sentence names those that became more and less frequent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trimtab.decide.signals import Measurement
from trimtab.measure.columns.drift import ColumnDrift, Drift, TermShift
from trimtab.measure.evidence import of_drift
from trimtab.settings.drift import DriftSettings

_MOST_NAMED = 3    # words that became more frequent, and as many that became less

# What each aspect is called as a signal, and what it says of one column.
_SIGNALS = {
    "words": ("word_drift", "The words of {} have changed (PSI {} beyond chance){}"),
    "word": ("word_shift", "A single word of {} has moved far ({}){}"),
    "unseen_words": ("unseen_words", "{} has words that the reference never had, {} more than expected{}"),
}


def words(drift: Drift, settings: DriftSettings) -> list[Measurement]:
    """One measurement for each way in which the words of some text column could be tested; none without any."""
    looked_at = {aspect.name for column in drift.columns for aspect in column.aspects}
    return [_measured(name, drift, settings) for name in _SIGNALS if name in looked_at]


def _measured(name: str, drift: Drift, settings: DriftSettings) -> Measurement:
    """The column that moved farthest, among those where it is not chance if there are any."""
    signal, words = _SIGNALS[name]
    tested = [column for column in drift.columns if not math.isnan(column[name].q_value)]
    significant = [column for column in tested if column[name].certain(settings.alpha)]
    worst = max(significant or tested, key=lambda column: column[name].size)
    large = [column for column in significant if column[name].size >= settings.large[name]]
    message = words.format(worst.name, worst[name].amount, _NAMED[name](worst.terms)) if significant else \
        _nothing(name, worst)
    concerned = sorted(large, key=lambda column: -column[name].size) or significant[:1]
    return Measurement(
        signal, worst[name].size, f"{message}.", significant=bool(significant), p_value=worst[name].q_value,
        columns=tuple(column.name for column in concerned),
        evidence=of_drift(drift.columns, settings.psi_alert, aspect="words") if name == "words" else None,
    )


def _nothing(name: str, column: ColumnDrift) -> str:
    what = "has no more new words than" if name == "unseen_words" else "uses its words as often as"
    return f"{column.name} {what} chance and natural variation explain"


def _both_ways(terms: Sequence[TermShift]) -> str:
    """The words that became more frequent, and those that became less."""
    more, less = _more(terms), [one for one in terms if one.now < one.before][:_MOST_NAMED]
    parts = [
        f"{direction} {', '.join(map(_shares, some))}" for direction, some in (("more", more), ("less", less)) if some
    ]
    return f": {'; '.join(parts)}" if parts else ""


def _first(terms: Sequence[TermShift]) -> str:
    return f": {_shares(terms[0])}" if terms else ""


def _new(terms: Sequence[TermShift]) -> str:
    """Those of them that moved far enough to be named; a flood of new words has none."""
    named = _more([one for one in terms if not one.before])
    return f", among them {', '.join(map(_shares, named))}" if named else ""


def _more(terms: Sequence[TermShift]) -> list[TermShift]:
    return [one for one in terms if one.now > one.before][:_MOST_NAMED]


def _shares(one: TermShift) -> str:
    return f"{one.term} ({one.before:.1%} of texts, now {one.now:.1%})"


_NAMED = {"words": _both_ways, "word": _first, "unseen_words": _new}

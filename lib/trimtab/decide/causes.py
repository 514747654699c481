"""Which of the columns that moved matter to the champion?

A column matters by how far it moved and by how much the champion relies on it. The first is a distance from 0 (as
before) to 1 (nothing in common), the second its share of all that the champion's metric draws from its columns; a
column's weight is their product. A distance that cannot exceed 1 is taken because PSI and multiples of a threshold grow
without end: a column that is hardly used would come first only because it is nowhere near where it was.

In simulated models of eight columns, of which five went astray in different ways and to different degrees, this weight
ranked columns more like what the log loss rose by when one alone went astray than PSI times share did, or the share
alone; distances by themselves said little of it (docs/benchmarks.md, "What matters"). It says where to look, not what
happened: a column that moved in the world as well as in the table may do no harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.measure.columns.drift import ColumnDrift, Drift
from trimtab.measure.models.importance import Importance
from trimtab.settings.drift import DriftSettings

_LITTLE = 0.02    # share of importance below which a column is hardly used


@dataclass(frozen=True)
class Cause:
    """A column that moved, and what it is to the champion.

    Attributes
    ----------
    column : str
        As it is watched: of a text it may be the length.
    how : str
        The way in which it moved farthest.
    distance : float
        From 0 (as before) to 1 (nothing in common).
    share : float
        Of what the champion's metric draws from all its columns, in [0, 1]; nan where that is not known.
    message : str
        One sentence for an operator.
    """

    column: str
    how: str
    distance: float
    share: float
    message: str

    @property
    def weight(self) -> float:
        """Distance times share, in [0, 1]; nan where the share is."""
        return self.distance * self.share


@dataclass(frozen=True)
class Causes:
    """All columns that moved.

    Attributes
    ----------
    ranked : tuple of Cause
        The champion's columns, the heaviest first; where weights are not known, the farthest moved first.
    apart : tuple of Cause
        Columns that are watched but not the champion's, the farthest moved first.
    note : str
        Why the ranking is by drift alone, in a sentence; else empty.
    """

    ranked: tuple[Cause, ...]
    apart: tuple[Cause, ...]
    note: str = ""

    @property
    def first(self) -> str:
        """What the ranking comes to, as half a sentence; empty where it is by drift alone or nothing moved."""
        if not self.ranked or self.note:
            return ""
        heaviest = self.ranked[0]
        if heaviest.share < _LITTLE:
            return "the champion hardly uses what moved"
        return f"weighed by what the champion relies on, {heaviest.column} comes first (it relies on it for " \
            f"{heaviest.share:.0%})"

    @property
    def order(self) -> tuple[str, ...]:
        """The names of all, the champion's columns first."""
        return tuple(cause.column for cause in (*self.ranked, *self.apart))


def root_causes(
    drift: Drift, settings: DriftSettings, *, sources: Mapping[str, str], importance: Importance | None
) -> Causes:
    """Rank the columns that moved by how far they did and how much the champion relies on them.

    Parameters
    ----------
    drift : Drift
        Of the watched columns.
    settings : DriftSettings
        What counts as moved.
    sources : mapping
        By watched column the champion's column that it is, or is a view of; without those that the champion never sees.
    importance : Importance or None
        As it was measured when the champion was evaluated; None where it was not.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> from trimtab.measure.columns.drift import compare
    >>> from trimtab.measure.columns.profile import ColumnProfile, Profile
    >>> bins = freeze_categorical(["a", "b"])
    >>> before = {name: ColumnProfile(bins, (500, 500)) for name in ("far", "near", "site")}
    >>> now = {name: ColumnProfile(bins, (n, 1000 - n)) for name, n in (("far", 950), ("near", 700), ("site", 800))}
    >>> drift = compare(Profile(before, 1000), Profile(now, 1000))
    >>> known = Importance("roc_auc", 0.8, 1000, 3, {"far": 0.001, "near": 0.099}, {})
    >>> found = root_causes(drift, DriftSettings(), sources={"far": "far", "near": "near"}, importance=known)
    >>> found.order
    ('near', 'far', 'site')
    >>> found.ranked[1].message
    'far moved most (PSI 1.32), but the champion hardly uses it (1% of what its roc_auc draws from its columns).'
    """
    moved = drift.drifted(**settings.bounds)
    shares, note = _shares(importance)
    ranked, apart = [], []
    for place, column in enumerate(moved):
        distance, how = _distance(column), str(column.moved(**settings.bounds)[0])
        told = f"{column.name} moved{' most' * (place == 0 and len(moved) > 1)} ({how})"
        source = sources.get(column.name)
        if source is None:
            apart.append(Cause(column.name, how, distance, math.nan, f"{told}; it is none of the champion's columns."))
            continue
        share = shares.get(source, math.nan)
        ranked.append(Cause(column.name, how, distance, share, f"{told}{_relied_on(share, importance)}."))
    return Causes(
        tuple(sorted(ranked, key=lambda c: (math.isnan(c.share), -c.weight if c.weight >= 0 else 0.0, -c.distance))),
        tuple(sorted(apart, key=lambda c: -c.distance)),
        note if ranked else "",
    )


def _shares(importance: Importance | None) -> tuple[Mapping[str, float], str]:
    """What is known of the champion's columns, and else why it is not."""
    if importance is None:
        return {}, "How much the champion relies on each column is not known, so the ranking is by drift alone."
    shares = importance.shares
    if any(share > 0 for share in shares.values()):
        return shares, ""
    told = f"The champion's {importance.metric} loses nothing without any one column"
    return {}, f"{told}, so the ranking is by drift alone."


def _distance(column: ColumnDrift) -> float:
    """Jensen-Shannon distance of the values, or the change in the share of missing ones where that is larger."""
    missing = abs(column.missing_current - column.missing_reference)
    return max((size for size in (column.js, missing) if not math.isnan(size)), default=0.0)


def _relied_on(share: float, importance: Importance | None) -> str:
    if importance is None or math.isnan(share):
        return "; how much the champion relies on it is not known"
    of_all = f"of what its {importance.metric} draws from its columns"
    if share < _LITTLE:
        return f", but the champion hardly uses it ({share:.0%} {of_all})"
    return f", and the champion relies on it ({share:.0%} {of_all})"

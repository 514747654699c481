"""Which columns moved in one segment of the records, such as the flights from one airport?

A segment is the records with one value of one column. Its current records are compared with its own in the reference,
by the bins of the whole reference and in the same aspects as all records. What counts must have moved beyond what the
other records did (`beyond`): a shift that all segments share is the news of all records together. Segments, columns and
aspects are corrected together.

The column that a segment is cut by is constant in it. That a value is new, rare or gone shows in the comparison of that
column over all records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trimtab.measure.columns.aspects import INDEPENDENT, LARGE, Aspect, Variation
from trimtab.measure.columns.beyond import beyond, without
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.drift import ColumnDrift, adjusted, compare_column
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.variation import FEWEST_DAYS, variation
from trimtab.wording import plural

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Segment:
    """The records with this value in this column.

    Examples
    --------
    >>> str(Segment("origin", "JFK"))
    'origin = JFK'
    """

    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column} = {self.value}"


@dataclass(frozen=True)
class LeftOut:
    """Values of a column that are not looked at as segments, or records that are of no segment.

    Attributes
    ----------
    values : tuple of str
        Those with most records first; empty for the records that have no value.
    why : str
        Such as "fewer than 100 records in the reference", or how many records have no value.
    """

    column: str
    values: tuple[str, ...]
    why: str


@dataclass(frozen=True, eq=False)
class Part:
    """A segment's records beside all others.

    Attributes
    ----------
    reference, current : Profile
        Of the segment; with its days where they are known.
    sizes : mapping
        By column: how far it moved both in itself and beyond the other records, by aspect.
    """

    segment: Segment
    reference: Profile
    current: Profile
    sizes: Mapping[str, Mapping[str, float]]

    def far(self, large: Mapping[str, float] = LARGE) -> tuple[str, ...]:
        """The columns that moved far enough to count in some aspect, if it was no chance."""
        return tuple(name for name, by in self.sizes.items() if any(by[one] >= large[one] for one in by))


@dataclass(frozen=True)
class SegmentColumn:
    """How one column moved in one segment.

    Attributes
    ----------
    drift : ColumnDrift
        Against the segment's own reference; corrected over all segments and columns.
    sizes : mapping
        By aspect, how far both in itself and beyond the other records.
    reference_rows, current_rows : int
        Of the segment.
    """

    segment: Segment
    drift: ColumnDrift
    sizes: Mapping[str, float]
    reference_rows: int
    current_rows: int

    def __str__(self) -> str:
        return f"{self.drift.name} where {self.segment}"

    def moved(self, *, alpha: float = 0.05, large: Mapping[str, float] = LARGE) -> tuple[Aspect, ...]:
        """The aspects in which it moved significantly, and far enough both in itself and beyond the other records.

        The farthest first; their sizes are those beyond the other records, and must exceed what is natural.
        """
        beyond = [replace(one, size=min(one.size, self.sizes.get(one.name, 0.0))) for one in self.drift.aspects]
        found = [one for one in beyond if one.counts(alpha=alpha, large=large)]
        return tuple(sorted(found, key=lambda one: -one.size / large[one.name]))


@dataclass(frozen=True)
class SegmentDrift:
    """How columns moved in segments.

    Attributes
    ----------
    columns : tuple of SegmentColumn
        Those that moved far enough to count, if it was no chance; those that count first. Of all others it was not
        asked how certain they are.
    segments : tuple of Segment
        What was looked at, the largest first.
    looked_at : int
        Columns, counted in each segment apart.
    left_out : tuple of LeftOut
        Values that were not looked at.
    named : tuple of str
        The columns whose values are segments.
    """

    columns: tuple[SegmentColumn, ...]
    segments: tuple[Segment, ...]
    looked_at: int
    left_out: tuple[LeftOut, ...] = ()
    named: tuple[str, ...] = ()

    def drifted(self, *, alpha: float = 0.05, large: Mapping[str, float] = LARGE) -> tuple[SegmentColumn, ...]:
        """Columns that moved in a segment more than chance and natural variation explain, and beyond other records.

        Parameters
        ----------
        alpha : float
            False-discovery rate over all segments, columns and aspects.
        large : mapping
            The smallest size that counts, by aspect.
        """
        return tuple(one for one in self.columns if one.moved(alpha=alpha, large=large))

    def to_frame(self) -> pd.DataFrame:
        """One row per segment and column that moved far enough to count, the most moved first."""
        import pandas as pd

        rows = [
            {"segment": str(one.segment), "column": one.drift.name, "psi": one.drift.psi,
             "psi_by_chance": one.drift.psi_by_chance, "q_value": one.drift.q_value,
             "reference_rows": one.reference_rows, "current_rows": one.current_rows}
            | {f"{name}_beyond": one.sizes.get(name, math.nan) for name in LARGE}
            for one in self.columns
        ]
        names = ["segment", "column", "psi", "psi_by_chance", "q_value", "reference_rows", "current_rows"]
        return pd.DataFrame(rows, columns=[*names, *(f"{name}_beyond" for name in LARGE)])


def choose(
    rows: Mapping[str, Mapping[str, int]], *, fewest: int, most: int
) -> tuple[tuple[Segment, ...], tuple[LeftOut, ...]]:
    """The segments to look at: those with most records in the reference, over all columns.

    Parameters
    ----------
    rows : mapping
        Records of the reference, by column and value.
    fewest : int
        Records that a segment needs.
    most : int
        How many segments are looked at.

    Returns
    -------
    segments : tuple of Segment
        The largest first.
    left_out : tuple of LeftOut
        All others.

    Examples
    --------
    >>> chosen, left_out = choose({"site": {"a": 500, "b": 400, "c": 300, "d": 9}}, fewest=100, most=2)
    >>> [one.value for one in chosen]
    ['a', 'b']
    >>> [(one.values, one.why) for one in left_out]
    [(('c',), 'not among the 2 largest segments'), (('d',), 'fewer than 100 records in the reference')]
    """
    ordered = sorted(((n, Segment(column, value)) for column, by in rows.items() for value, n in by.items()),
                     key=lambda pair: (-pair[0], pair[1].column, pair[1].value))
    enough = [segment for n, segment in ordered if n >= fewest]
    few = [segment for n, segment in ordered if n < fewest]
    beside = left_out(enough[most:], f"not among the {most} largest segments")
    return tuple(enough[:most]), beside + left_out(few, f"fewer than {fewest} records in the reference")


def left_out(segments: Sequence[Segment], why: str) -> tuple[LeftOut, ...]:
    """Segments that are not looked at for one reason, by their column."""
    columns = dict.fromkeys(one.column for one in segments)
    return tuple(LeftOut(name, tuple(one.value for one in segments if one.column == name), why) for name in columns)


def without_value(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[LeftOut, ...]:
    """The records that are of no segment, by the column in which they have no value.

    Parameters
    ----------
    before, now : mapping
        How many they are in the reference and in the current window.

    Examples
    --------
    >>> [one.why for one in without_value({"site": 540, "plan": 0}, {"site": 1, "plan": 0})]
    ['540 records of the reference and 1 now have no value of site']
    """
    told = {
        name: f"{plural(before[name], 'record')} of the reference and {now[name]:,} now have no value of {name}"
        for name in before if before[name] or now[name]
    }
    return tuple(LeftOut(name, (), why) for name, why in told.items())


def look(segment: Segment, reference: Profile, current: Profile, *, among: tuple[Profile, Profile]) -> Part:
    """How far each column of a segment moved, beyond the other records; how certain that is, `compare_parts` tells.

    Parameters
    ----------
    reference, current : Profile
        Of the segment.
    among : pair of Profile
        Reference and current window of all records, by the same bins; the segment's own among them.
    """
    sizes = {}
    for name, before in reference.columns.items():
        part = before, current.columns[name]
        others = tuple(without(whole.columns[name], one) for whole, one in zip(among, part, strict=True))
        sizes[name] = beyond(part, (others[0], others[1]))
    return Part(segment, reference, current, sizes)


def look_at_each(
    segments: Mapping[Segment, tuple[Profile, Profile]], *, among: tuple[Profile, Profile], fewest: int
) -> tuple[list[Part], tuple[LeftOut, ...]]:
    """How far the columns of each segment moved, of those with enough records now.

    Parameters
    ----------
    segments : mapping
        Reference and current window of each.
    among : pair of Profile
        The same of all records, by the same bins.
    fewest : int
        Records that a segment needs in the current window.

    Returns
    -------
    parts : list of Part
        In the order of `segments`.
    left_out : tuple of LeftOut
        Segments with fewer records.
    """
    few = [one for one, (_, now) in segments.items() if now.rows < fewest]
    parts = [look(one, *both, among=among) for one, both in segments.items() if one not in few]
    return parts, left_out(few, f"fewer than {fewest} records now")


def compare_parts(
    parts: Sequence[Part],
    *,
    days: Days | None = None,
    large: Mapping[str, float] = LARGE,
    left_out: Sequence[LeftOut] = (),
    named: Sequence[str] = (),
) -> SegmentDrift:
    """Tell how certain it is that columns moved in segments, corrected over all segments, columns and aspects.

    Parameters
    ----------
    parts : sequence of Part
        From `look`. Natural variation is measured on the days of a part's reference.
    days : Days, optional
        Of the whole reference, in the place of a part's own where these are too few to tell.
    large : mapping
        The smallest size that counts, by aspect; what is smaller is not tested, but counts as looked at.
    left_out : sequence of LeftOut
        To be passed on to the reader.
    named : sequence of str
        The columns whose values are segments, likewise.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> from trimtab.measure.columns.profile import ColumnProfile
    >>> bins = freeze_categorical(["a", "b"])
    >>> def profile(*counts):
    ...     return Profile({"x": ColumnProfile(bins, counts)}, sum(counts))
    >>> north = look(Segment("site", "north"), profile(500, 500), profile(900, 100),
    ...              among=(profile(1500, 1500), profile(1900, 1100)))
    >>> [str(one) for one in compare_parts([north]).drifted()]
    ['x where site = north']
    """
    found, looked_at, aspects = [], 0, 0
    for part in parts:
        looked_at += len(part.sizes)
        aspects += sum(map(len, part.sizes.values()))
        names = part.far(large)
        known = _variation(part, names, days)
        found += [
            (part, compare_column(name, part.reference.columns[name], part.current.columns[name],
                                  known.get(name, INDEPENDENT)))
            for name in names
        ]
    others = aspects - sum(len(part.sizes[column.name]) for part, column in found)
    tested = adjusted([column for _, column in found], others)
    columns = [
        SegmentColumn(part.segment, column, part.sizes[column.name], part.reference.rows, part.current.rows)
        for (part, _), column in zip(found, tested, strict=True)
    ]
    segments = tuple(part.segment for part in parts)
    return SegmentDrift(tuple(_ranked(columns, large)), segments, looked_at, tuple(left_out), tuple(named))


def _variation(part: Part, names: Sequence[str], days: Days | None) -> Mapping[str, Variation]:
    """How the columns vary between the days of the segment, or of all records where its own are too few."""
    own, now = part.reference.days, part.current.days
    chosen = own if own is not None and len(own) >= FEWEST_DAYS else days
    if not names or chosen is None or now is None:
        return {}
    return variation(chosen.of_columns(names), part.current.rows, len(now))


def _ranked(columns: Sequence[SegmentColumn], large: Mapping[str, float]) -> list[SegmentColumn]:
    """Those that count first, the most moved of them first, as multiples of what is large."""

    def _order(one: SegmentColumn) -> tuple[bool, float]:
        return not one.moved(large=large), -max(size / large[name] for name, size in one.sizes.items())

    return sorted(columns, key=_order)

"""Which columns moved between two profiles, corrected over columns?"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from trimtab.measure.columns import bins as binning
from trimtab.measure.columns import divergences
from trimtab.measure.columns.aspects import (
    INDEPENDENT,
    LARGE,
    SMALLEST_SAMPLE,
    Aspect,
    Variation,
    aspects,
    look,
)
from trimtab.measure.columns.bins import CategoricalBins, NumericBins
from trimtab.measure.columns.cells import cells
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.variation import FEWEST_DAYS
from trimtab.measure.columns.variation import variation as measure_variation
from trimtab.wording import plural

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TermShift:
    """How one term moved.

    Attributes
    ----------
    term : str
        A word, as it is counted.
    before, now : float
        Shares of documents with it, in [0, 1].
    p_value : float
        Of this term alone, two-sided, not corrected for the number of terms; nan where there were too few documents.
    """

    term: str
    before: float
    now: float
    p_value: float


@dataclass(frozen=True)
class ColumnDrift:
    """How one column moved.

    Attributes
    ----------
    name, kind : str
        The column; numeric, categorical or text.
    psi : float
        Population stability index over the coarse bins and the share of missing values; of levels over the cells that
        tell most of how they moved (`aspects.look`).
    psi_by_chance : float
        What PSI would be on average without drift, at these sizes.
    cells : int
        How many groups or levels, and missing values, PSI is the sum over.
    js : float
        Jensen-Shannon distance to base 2, of the values that are present, over groups or levels: rare and new ones
        share cells (`cells.cells`), so that it does not grow with the number of levels.
    ks, ks_p : float
        Kolmogorov-Smirnov statistic and p-value; nan for categorical columns.
    chi2, chi2_p : float
        χ² statistic and p-value over the coarse bins or levels.
    wasserstein : float
        In robust standard deviations of the reference; nan for categorical columns.
    missing_reference, missing_current : float
        Shares of null and NaN.
    unseen, outliers, outside : float
        Current shares: of levels the reference never had, beyond three standard deviations, outside its range.
    aspects : tuple of Aspect
        What was tested, each with its size and p-value.
    note : str
        What a reader should know: a constant or empty column, too few records, new levels.
    terms : tuple of TermShift
        Of a text column: the words that tell most of how it moved, the farthest first.
    js_by_chance : float
        What the Jensen-Shannon distance would be without drift, at these sizes.
    """

    name: str
    kind: str
    psi: float
    psi_by_chance: float
    cells: int
    js: float
    ks: float
    ks_p: float
    chi2: float
    chi2_p: float
    wasserstein: float
    missing_reference: float
    missing_current: float
    unseen: float
    outliers: float
    outside: float
    aspects: tuple[Aspect, ...] = ()
    note: str = ""
    terms: tuple[TermShift, ...] = ()
    js_by_chance: float = math.nan

    def __getitem__(self, aspect: str) -> Aspect:
        """The aspect of that name; with nan in it where it was not tested."""
        found = next((one for one in self.aspects if one.name == aspect), None)
        return found or Aspect(aspect, math.nan, math.nan)

    @property
    def p_value(self) -> float:
        """Of the column: the smallest of its aspects, times their number (Bonferroni); nan when none was tested."""
        known = [one.p_value for one in self.aspects]
        return min(1.0, len(known) * min(known)) if known else math.nan

    @property
    def q_value(self) -> float:
        """The smallest of its aspects, adjusted for all columns and aspects of the check; nan when none was tested."""
        return min((one.q_value for one in self.aspects), default=math.nan)

    @property
    def excess(self) -> float:
        """PSI beyond chance: the size that the PSI thresholds are held against. 0 or more, nan without PSI."""
        return max(self.psi - self.psi_by_chance, 0.0) if not math.isnan(self.psi) else math.nan

    @property
    def shape(self) -> Aspect:
        """The aspect that PSI is of: the words of a text column, else the values and those that are missing."""
        return self["words"] if self.kind == "text" else self["psi"]

    def moved(self, *, alpha: float = 0.05, large: Mapping[str, float] = LARGE) -> tuple[Aspect, ...]:
        """The aspects in which it moved, significantly and far; the farthest first, as multiples of what is large."""
        found = [one for one in self.aspects if one.counts(alpha=alpha, large=large)]
        return tuple(sorted(found, key=lambda one: -one.size / large[one.name]))


@dataclass(frozen=True)
class Drift:
    """How all columns moved, the most moved first."""

    columns: tuple[ColumnDrift, ...]
    reference_rows: int
    current_rows: int

    @property
    def too_few(self) -> str:
        """Why no column could be tested, in words; empty where both sides have enough records."""
        if min(self.reference_rows, self.current_rows) >= SMALLEST_SAMPLE:
            return ""
        rows = f"{plural(self.current_rows, 'record')} against {self.reference_rows:,}"
        return f"{rows}, where each side needs {SMALLEST_SAMPLE}"

    def __getitem__(self, name: str) -> ColumnDrift:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def __repr__(self) -> str:
        worst = f", the most moved: {self.columns[0].name} (PSI {self.columns[0].excess:.2f})" if self.columns else ""
        rows = f"{plural(self.current_rows, 'record')} against {self.reference_rows:,}"
        return f"<Drift of {plural(len(self.columns), 'column')}, {rows}{worst}>"

    def ranked(self, *, alpha: float = 0.05, large: Mapping[str, float] = LARGE) -> Drift:
        """The same with its columns in the order that follows from these bounds; see `ranked`."""
        return replace(self, columns=tuple(ranked(self.columns, alpha=alpha, large=large)))

    def drifted(self, *, alpha: float = 0.05, large: Mapping[str, float] = LARGE) -> tuple[ColumnDrift, ...]:
        """Columns that moved in some aspect by more than chance and natural variation explain, and far enough to count.

        Parameters
        ----------
        alpha : float
            False-discovery rate over all columns and aspects.
        large : mapping
            The smallest size that counts, by aspect.
        """
        return tuple(column for column in self.columns if column.moved(alpha=alpha, large=large))

    def to_frame(self) -> pd.DataFrame:
        """One row per column, the most moved first, with the size and the adjusted p-value of each aspect."""
        import pandas as pd

        plain = [field.name for field in fields(ColumnDrift) if field.name not in ("aspects", "note", "terms")]
        plain += ["excess", "p_value", "q_value"]
        rows = [
            {name: getattr(column, name) for name in plain}
            | {f"{name}_size": column[name].size for name in LARGE}
            | {f"{name}_q": column[name].q_value for name in LARGE}
            | {"note": column.note}
            for column in self.columns
        ]
        names = [*plain, *(f"{name}_{what}" for what in ("size", "q") for name in LARGE), "note"]
        return pd.DataFrame(rows, columns=names).set_index("name")


def compare(
    reference: Profile,
    current: Profile,
    *,
    variation: Mapping[str, Variation] | None = None,
    looking_at: Collection[str] = tuple(LARGE),
    beside: Sequence[ColumnDrift] = (),
) -> Drift:
    """Compare two profiles that share their bins.

    Parameters
    ----------
    reference, current : Profile
        Of the same columns with the same bins.
    variation : mapping, optional
        How each column varies within the reference; by default measured on the days of the two, and where these are
        not known records are taken to be independent draws.
    looking_at : collection of str
        The aspects to look at; by default all.
    beside : sequence of ColumnDrift
        What was compared in another way, such as the words of text columns, to be corrected and ranked with the rest.

    Raises
    ------
    TypeError
        When they are no profiles.
    ValueError
        When the columns or bins differ.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> bins = freeze_categorical(["a", "b"])
    >>> before = Profile({"x": ColumnProfile(bins, (500, 500))}, rows=1000)
    >>> after = Profile({"x": ColumnProfile(bins, (900, 100))}, rows=1000)
    >>> [column.name for column in compare(before, after).drifted()]
    ['x']
    """
    if not (isinstance(reference, Profile) and isinstance(current, Profile)):
        raise TypeError("compare takes two profiles, as session.profile(window) gives them; check compares two tables")
    if reference.columns.keys() != current.columns.keys():
        different = sorted(reference.columns.keys() ^ current.columns.keys())
        raise ValueError(f"profiles of different columns cannot be compared: {', '.join(different)}")
    if variation is None and reference.days is not None and current.days is not None:
        variation = measure_variation(reference.days, current.rows, len(current.days))
    columns = [
        compare_column(name, reference.columns[name], current.columns[name], (variation or {}).get(name, INDEPENDENT))
        for name in reference.columns
    ]
    if reference.days is not None and len(reference.days) < FEWEST_DAYS:
        told = f"natural variation not known: the reference has only {len(reference.days)} whole days"
        columns = [replace(c, note=f"{c.note}; {told}" if c.note else told) for c in columns]
    every = [*columns, *beside]
    seen = [replace(c, aspects=tuple(one for one in c.aspects if one.name in looking_at)) for c in every]
    return Drift(tuple(ranked(adjusted(seen))), reference.rows, current.rows)


def adjusted(columns: Sequence[ColumnDrift], others: int = 0) -> list[ColumnDrift]:
    """The same columns with p-values adjusted for the false-discovery rate over all of them and their aspects.

    Parameters
    ----------
    others : int
        How many more aspects were looked at that did not move far enough to count. They are taken to be certain of
        nothing, which never makes the rest more certain.
    """
    found = [one.p_value for column in columns for one in column.aspects]
    every = divergences.false_discovery([*found, *[1.0] * others])
    values = iter(every.tolist())

    def _adjust(column: ColumnDrift) -> ColumnDrift:
        return replace(column, aspects=tuple(replace(one, q_value=next(values)) for one in column.aspects))

    return [_adjust(column) for column in columns]


def ranked(
    columns: Iterable[ColumnDrift], *, alpha: float = 0.05, large: Mapping[str, float] = LARGE
) -> list[ColumnDrift]:
    """Those that drifted first, by how many times their size is what counts; then the others, by PSI beyond chance."""

    def _order(column: ColumnDrift) -> tuple[bool, float, float]:
        far = max((one.size / large[one.name] for one in column.moved(alpha=alpha, large=large)), default=-1.0)
        size = far if far > 0 else float(np.nan_to_num(column.excess, nan=-1))
        return far < 0, -size, float(np.nan_to_num(column.q_value, nan=2))

    return sorted(columns, key=_order)


def compare_column(
    name: str, reference: ColumnProfile, current: ColumnProfile, variation: Variation = INDEPENDENT
) -> ColumnDrift:
    """Compare one column; the aspects' `q_value` is left nan."""
    if not binning.same(reference.bins, current.bins):
        raise ValueError(f"column {name!r}: the profiles have different bins")
    a, b = cells(reference, current)
    found = look(reference, current, variation)
    thin = variation.thinned("psi")
    ks = ks_p = wasserstein = math.nan
    if isinstance(reference.bins, NumericBins):
        ks, ks_p = divergences.kolmogorov_smirnov(reference.counts, current.counts)
        wasserstein = divergences.wasserstein(reference.counts, current.counts, reference.bins)
    chi2, chi2_p = divergences.chi_square(a, b)
    return ColumnDrift(
        name=name,
        kind="categorical" if isinstance(reference.bins, CategoricalBins) else "numeric",
        psi=found.psi, psi_by_chance=found.by_chance, cells=found.cells,
        js=divergences.jensen_shannon(a, b),
        js_by_chance=divergences.jensen_shannon_by_chance(divergences.psi_by_chance(a / thin[0], b / thin[1])),
        ks=ks, ks_p=ks_p, chi2=chi2, chi2_p=chi2_p, wasserstein=wasserstein,
        missing_reference=_share(reference.missing, reference.rows),
        missing_current=_share(current.missing, current.rows),
        unseen=_share(current.unseen, current.present),
        outliers=_share(current.outliers, current.present),
        outside=_share(current.outside, current.present),
        aspects=tuple(aspects(reference, current, variation)),
        note=_note(reference, current),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _note(reference: ColumnProfile, current: ColumnProfile) -> str:
    notes = []
    if min(reference.rows, current.rows) < SMALLEST_SAMPLE:
        notes.append(f"too few records to test (fewer than {SMALLEST_SAMPLE})")
    elif 0 < min(reference.present, current.present) < SMALLEST_SAMPLE:
        notes.append(f"too few values to test (fewer than {SMALLEST_SAMPLE}); only how many are missing was compared")
    for profile, words in ((reference, "in the reference"), (current, "now")):
        if not profile.present:
            notes.append(f"no values {words}")
        elif _constant(profile):
            notes.append(f"constant {words}")
    levels = 0 if isinstance(reference.bins, NumericBins) else reference.bins.size
    if not notes and levels > 1 and len(cells(reference, current)[0]) == 1:
        notes.append("too few records to tell its levels apart")
    if current.unseen:
        notes.append(f"{plural(current.unseen, 'record')} with new levels")
    return "; ".join(notes)


def _constant(profile: ColumnProfile) -> bool:
    """All records in one bin that holds a single value."""
    if isinstance(profile.bins, NumericBins):
        return profile.bins.minimum == profile.bins.maximum and not profile.outside
    return sum(count > 0 for count in profile.counts) + (profile.unseen > 0) == 1

"""Which columns moved between two profiles, corrected over columns?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from trimtab.measure import bins as binning
from trimtab.measure import divergences
from trimtab.measure.bins import CategoricalBins, NumericBins
from trimtab.measure.profile import ColumnProfile, Counts, Profile

if TYPE_CHECKING:
    import pandas as pd

SMALLEST_SAMPLE = 30


@dataclass(frozen=True)
class ColumnDrift:
    """How one column moved.

    Attributes
    ----------
    name, kind : str
        The column; numeric or categorical.
    psi : float
        Population stability index over the coarse bins and the share of missing values.
    psi_by_chance : float
        What PSI would be on average without drift, at these sizes.
    js : float
        Jensen-Shannon distance to base 2, of the values that are present.
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
    p_value, q_value : float
        Of the column (its tests combined by Bonferroni), and adjusted for the false-discovery rate over all columns.
        nan where there was nothing to test.
    outliers_p : float
        Of the share of outliers against the reference's own share; nan where there is nothing to test.
    note : str
        What a reader should know: a constant or empty column, too few records, new levels.
    """

    name: str
    kind: str
    psi: float
    psi_by_chance: float
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
    p_value: float
    q_value: float = math.nan
    note: str = ""
    outliers_p: float = math.nan

    @property
    def excess(self) -> float:
        """PSI beyond what chance explains: the size that a threshold is held against. 0 or more, nan without PSI."""
        return max(self.psi - self.psi_by_chance, 0.0) if not math.isnan(self.psi) else math.nan


@dataclass(frozen=True)
class Drift:
    """How all columns moved, the most moved first."""

    columns: tuple[ColumnDrift, ...]
    reference_rows: int
    current_rows: int

    def __getitem__(self, name: str) -> ColumnDrift:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def __repr__(self) -> str:
        worst = f", the most moved: {self.columns[0].name} (PSI {self.columns[0].excess:.2f})" if self.columns else ""
        rows = f"{self.current_rows:,} records against {self.reference_rows:,}"
        return f"<Drift of {len(self.columns)} columns, {rows}{worst}>"

    def drifted(self, *, alpha: float = 0.05, psi: float = 0.10) -> tuple[ColumnDrift, ...]:
        """Columns whose shift is both significant (q ≤ alpha) and large (PSI beyond chance ≥ psi)."""
        return tuple(c for c in self.columns if c.q_value <= alpha and c.excess >= psi)

    def to_frame(self) -> pd.DataFrame:
        """One row per column, the most moved first."""
        import pandas as pd

        names = [field.name for field in fields(ColumnDrift)]
        return pd.DataFrame([asdict(column) for column in self.columns], columns=names).set_index("name")


def compare(reference: Profile, current: Profile) -> Drift:
    """Compare two profiles that share their bins.

    Parameters
    ----------
    reference, current : Profile
        Of the same columns with the same bins.

    Raises
    ------
    TypeError
        When they are no profiles.
    ValueError
        When the columns or bins differ.

    Examples
    --------
    >>> from trimtab.measure.bins import freeze_categorical
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
    columns = [compare_column(name, reference.columns[name], current.columns[name]) for name in reference.columns]
    adjusted = divergences.false_discovery([column.p_value for column in columns])
    corrected = [replace(column, q_value=float(q)) for column, q in zip(columns, adjusted, strict=True)]
    ordered = sorted(corrected, key=lambda c: (-np.nan_to_num(c.excess, nan=-1), np.nan_to_num(c.q_value, nan=2)))
    return Drift(tuple(ordered), reference.rows, current.rows)


def compare_column(name: str, reference: ColumnProfile, current: ColumnProfile) -> ColumnDrift:
    """Compare one column; `q_value` is left nan."""
    if not binning.same(reference.bins, current.bins):
        raise ValueError(f"column {name!r}: the profiles have different bins")
    a, b = _cells(reference, current)
    with_missing = np.append(a, reference.missing), np.append(b, current.missing)
    ks = ks_p = wasserstein = math.nan
    if isinstance(reference.bins, NumericBins):
        ks, ks_p = divergences.kolmogorov_smirnov(reference.counts, current.counts)
        wasserstein = divergences.wasserstein(reference.counts, current.counts, reference.bins)
    chi2, chi2_p = divergences.chi_square(a, b)
    testable = min(reference.rows, current.rows) >= SMALLEST_SAMPLE
    present = min(reference.present, current.present) >= SMALLEST_SAMPLE
    tests = [_missing_p(reference, current), (chi2_p if math.isnan(ks_p) else ks_p) if present else math.nan]
    return ColumnDrift(
        name=name,
        kind="categorical" if isinstance(reference.bins, CategoricalBins) else "numeric",
        psi=divergences.psi(*with_missing),
        psi_by_chance=divergences.psi_by_chance(*with_missing),
        js=divergences.jensen_shannon(a, b),
        ks=ks, ks_p=ks_p, chi2=chi2, chi2_p=chi2_p, wasserstein=wasserstein,
        missing_reference=_share(reference.missing, reference.rows),
        missing_current=_share(current.missing, current.rows),
        unseen=_share(current.unseen, current.present),
        outliers=_share(current.outliers, current.present),
        outside=_share(current.outside, current.present),
        p_value=_combine(tests) if testable else math.nan,
        note=_note(reference, current),
        outliers_p=_outliers_p(reference, current) if present else math.nan,
    )


def _cells(reference: ColumnProfile, current: ColumnProfile) -> tuple[Counts, Counts]:
    """What PSI, JS and χ² are computed on: groups of bins; or levels, the rare ones counted as one with new ones.

    A level that the reference happens to hold once stands for many that it happens not to hold: apart from each other
    they would always differ, though nothing has moved. Rare is what either side expects fewer than five records of.
    """
    a, b = reference.coarse(), current.coarse()
    if isinstance(reference.bins, NumericBins) or not (a.sum() and b.sum()):
        return a, b
    rare = divergences.rare_cells(a, b)
    rare[-1] = True    # the levels that the reference never had
    return np.append(a[~rare], a[rare].sum()), np.append(b[~rare], b[rare].sum())


def _missing_p(reference: ColumnProfile, current: ColumnProfile) -> float:
    """p-value of the share of missing values; nan when none or all are missing, for then there is nothing to test.

    That choice looks only at how many are missing in both together, which says nothing of where they are, so leaving
    the test out does not raise more alarms; counting it would halve the power of every complete column.
    """
    if reference.missing + current.missing in (0, reference.rows + current.rows):
        return math.nan
    return divergences.share_difference((reference.missing, reference.rows), (current.missing, current.rows))


def _outliers_p(reference: ColumnProfile, current: ColumnProfile) -> float:
    """p-value of the share of outliers: other tests look at the middle of a distribution and hardly see its tails."""
    if isinstance(reference.bins, CategoricalBins):
        return math.nan
    return divergences.share_difference((reference.outliers, reference.present), (current.outliers, current.present))


def _combine(p_values: list[float]) -> float:
    """Bonferroni over the tests that could be made; nan when none could."""
    known = [p for p in p_values if not math.isnan(p)]
    return min(1.0, len(known) * min(known)) if known else math.nan


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _note(reference: ColumnProfile, current: ColumnProfile) -> str:
    notes = []
    if min(reference.rows, current.rows) < SMALLEST_SAMPLE:
        notes.append(f"too few records to test (fewer than {SMALLEST_SAMPLE})")
    for profile, words in ((reference, "in the reference"), (current, "now")):
        if not profile.present:
            notes.append(f"no values {words}")
        elif _constant(profile):
            notes.append(f"constant {words}")
    if current.unseen:
        notes.append(f"{current.unseen} records with new levels")
    return "; ".join(notes)


def _constant(profile: ColumnProfile) -> bool:
    """All records in one bin that holds a single value."""
    if isinstance(profile.bins, NumericBins):
        return profile.bins.minimum == profile.bins.maximum and not profile.outside
    return sum(count > 0 for count in profile.counts) + (profile.unseen > 0) == 1

"""In which ways can a column move, how far did it in each, and could that be chance?

A column is looked at in several aspects, each with a size in its own unit and a p-value. An alarm needs both: a shift
that is too small to matter is no news however certain it is, and one that chance explains is none however large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences, novelty, quantile_cells, sparse
from trimtab.measure.columns.bins import BUCKETS, MAX_LEVELS, NumericBins
from trimtab.measure.columns.cells import Look, finer_cells, shared, with_missing
from trimtab.measure.columns.profile import ColumnProfile

Floats = npt.NDArray[np.float64]

SMALLEST_SAMPLE = 30
_BEYOND_DOUBT = 1e-9    # a p-value below which a smaller one tells no more
LARGE: Mapping[str, float] = MappingProxyType(
    {"psi": 0.10, "wasserstein": 0.20, "missing": 0.02, "unseen": 0.005, "newcomer": 0.005, "outliers": 0.02,
     "outside": 0.01, "words": 0.10, "word": 0.20, "unseen_words": 0.005}
)
"""From which size on a shift counts, by aspect.

psi: population stability index beyond chance. wasserstein: robust standard deviations of the reference; 0.2 is what
J. Cohen (1988) calls a small effect. missing, unseen, outliers, outside: difference of shares, beyond what is expected.
newcomer: share of the records that a single level makes up which the reference never had.
Of text columns, words: PSI over the top terms beyond chance. word: how far the share of texts with a single word moved,
as Cohen's h. unseen_words: share of words that the reference never had, beyond what is expected.
"""


_WORDS = {"psi": "PSI", "wasserstein": "shift", "missing": "missing", "unseen": "new levels",
          "newcomer": "one new level", "outliers": "outliers", "outside": "out of range", "words": "words PSI",
          "word": "a word", "unseen_words": "new words"}


@dataclass(frozen=True)
class Aspect:
    """One way in which a column moved.

    Attributes
    ----------
    name : str
        A key of `LARGE`.
    size : float
        How far, in that aspect's unit and beyond what chance gives on average; nan where it cannot be said.
    p_value : float
        In [0, 1]; nan where nothing was tested.
    floor : float
        Size that stretches of the reference itself reach against the rest of it: a shift must be larger.
    q_value : float
        The p-value adjusted for all columns and aspects of the check; nan until that was done.
    """

    name: str
    size: float
    p_value: float
    floor: float = 0.0
    q_value: float = math.nan

    def counts(self, *, alpha: float, large: Mapping[str, float]) -> bool:
        """Whether the shift is both significant and large; a size that is exactly the smallest that counts does.

        Examples
        --------
        >>> Aspect("psi", 0.3, 0.001, q_value=0.01).counts(alpha=0.05, large=LARGE)
        True
        """
        return self.certain(alpha) and self.size >= large[self.name]

    def certain(self, alpha: float) -> bool:
        """Whether it is more than chance and natural variation explain."""
        return self.q_value <= alpha and self.size > self.floor

    @property
    def amount(self) -> str:
        """The size with its unit: standard deviations (σ), percentage points (pp), or a share of the records (%).

        Examples
        --------
        >>> Aspect("psi", 0.314, 0.0).amount, Aspect("missing", 0.05, 0.0).amount
        ('0.31', '5.0 pp')
        """
        return self._written("σ")

    @property
    def told(self) -> str:
        """The amount for a sentence, where standard deviations are no σ.

        Examples
        --------
        >>> Aspect("wasserstein", 0.314, 0.0).told, Aspect("missing", 0.05, 0.0).told
        ('0.31 standard deviations of the reference', '5.0 pp')
        """
        return self._written("standard deviations of the reference")

    def _written(self, deviations: str) -> str:
        if self.name in ("psi", "words"):
            return f"{self.size:.2f}"
        if self.name == "word":
            return f"h {self.size:.2f}"
        if self.name == "wasserstein":
            return f"{self.size:.2f} {deviations}"
        return f"{100 * self.size:.1f} {'%' if self.name == 'newcomer' else 'pp'}"

    def __str__(self) -> str:
        return f"{_WORDS[self.name]} {self.amount}"


@dataclass(frozen=True)
class Variation:
    """How a column varies within the reference, from one stretch of time to another.

    Attributes
    ----------
    design : mapping
        By aspect: how many records count for one, in the reference and in the current window (design effects, 1 or
        more). Records of one day share their luck, so that fewer of them are news.
    floor : mapping
        By aspect: the size that stretches of the reference, as long as the current window, reach against the rest.
    spread : float
        Squared coefficient of variation of the design effects of a column's cells; 0 when all vary alike.
    freedom : float
        Degrees of freedom that the design effects were estimated with; infinite where they are known.
    fewer : mapping
        By aspect: degrees of freedom, where luck that comes on few days makes them fewer.
    among_finer : float
        As `spread`, over the finer cells of a category (`look`), whose design effect and floor are named "levels".
    """

    design: Mapping[str, tuple[float, float]]
    floor: Mapping[str, float]
    spread: float = 0.0
    freedom: float = math.inf
    fewer: Mapping[str, float] = field(default_factory=dict)
    among_finer: float = 0.0

    def thinned(self, aspect: str) -> tuple[float, float]:
        """Records that count for one on either side; 1 where nothing is known."""
        return self.design.get(aspect, (1.0, 1.0))

    def of_table(self, statistic: float, p_value: float, cells: float) -> float:
        """p-value of χ² of a table of so many cells, whose counts are thinned already.

        The second-order correction of J. Rao and A. Scott (1984), On chi-squared tests for multiway contingency tables
        with cell proportions estimated from survey data, held against F.
        """
        from scipy import special

        if math.isinf(self.freedom) or cells < 2:
            return p_value
        directions = (cells - 1) / (1 + self.spread)
        return float(special.fdtrc(directions, directions * self.freedom, statistic / (cells - 1)))

    def of_share(self, aspect: str, p_value: float) -> float:
        """A p-value of the normal distribution, as one of Student's t with the degrees of freedom there are."""
        return float(of_student(p_value, self.fewer.get(aspect, self.freedom)))


def of_student(p_values: npt.ArrayLike, freedom: float) -> Floats:
    """Two-sided p-values of the normal distribution, as those of Student's t: of the same quantiles.

    Parameters
    ----------
    p_values : array of float
        In [0, 1]; nan stays nan.
    freedom : float
        Degrees of freedom; with infinitely many nothing changes.

    Examples
    --------
    >>> of_student([0.01, 0.5], 10).round(3).tolist()
    [0.028, 0.515]
    """
    from scipy import special

    known = np.asarray(p_values, dtype=np.float64)
    return known if math.isinf(freedom) else np.asarray(2 * special.stdtr(freedom, special.ndtri(known / 2)))


INDEPENDENT = Variation({}, {})


def aspects(reference: ColumnProfile, current: ColumnProfile, variation: Variation = INDEPENDENT) -> list[Aspect]:
    """Everything in which a column can have moved, and was looked at.

    Returns
    -------
    list of Aspect
        Empty when either side has fewer than `SMALLEST_SAMPLE` records.
    """
    if min(reference.rows, current.rows) < SMALLEST_SAMPLE:
        return []
    found = [_psi(reference, current, variation), _missing(reference, current, variation)]
    if min(reference.present, current.present) >= SMALLEST_SAMPLE:
        numeric = isinstance(reference.bins, NumericBins)
        more = (_wasserstein, _outliers, _outside) if numeric else (_unseen, _newcomer)
        found += [look(reference, current, variation) for look in more]
    return [aspect for aspect in found if not math.isnan(aspect.p_value)]


def look(reference: ColumnProfile, current: ColumnProfile, variation: Variation = INDEPENDENT) -> Look:
    """The distribution of a column's values and missing ones, over the cells that tell most of how it moved.

    A category with rare levels is looked at twice: over cells that these share, and over finer ones (`cells.apart`),
    for in a shared cell levels that became rarer and levels that became more frequent average out. The look of the
    smaller p-value counts, which is doubled for having been chosen (Bonferroni); of two that are both beyond doubt, the
    one that shows the larger size. Where all levels are rare, shared cells are nothing but coarser, and the finer ones
    are looked at alone.

    Returns
    -------
    Look
        With nan for PSI when either side has no records, and for the p-value when nothing could differ.
    """
    usual, finer = _usual(reference, current, variation), _finer(reference, current, variation)
    if finer is None or finer.cells <= usual.cells:
        return usual
    if shared(reference, current).nothing_alone:
        return finer
    chosen = min(usual, finer, key=lambda one: (max(one.p_value, _BEYOND_DOUBT), -one.excess))
    return replace(chosen, p_value=min(2 * chosen.p_value, 1.0))


def _usual(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Look:
    a, b = with_missing(reference, current)
    thin = variation.thinned("psi")
    by_chance = divergences.psi_by_chance(a / thin[0], b / thin[1])
    # With one level in all there is nothing that could differ, so nothing was tested.
    held = int(np.count_nonzero(a + b))
    p_value = _of_table(reference, a / thin[0], b / thin[1], variation) if held > 1 else math.nan
    return Look(divergences.psi(a, b), by_chance, held, p_value, variation.floor.get("psi", 0.0))


def _finer(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Look | None:
    """None where there are no levels, or no cells of them that could be held against each other."""
    thin = variation.thinned("levels")
    if min(reference.present, current.present) < SMALLEST_SAMPLE or isinstance(reference.bins, NumericBins):
        return None
    a, b = finer_cells(reference, current, thin)
    before, now = a / thin[0], b / thin[1]
    held = int(np.count_nonzero(a + b))
    if held < sparse.FEWEST_CELLS:
        return None
    statistic, directions = sparse.pearson(before, now)
    among = replace(variation, spread=variation.among_finer)
    p_value = among.of_table(statistic, sparse.p_value(statistic, directions), directions + 1)
    by_chance = divergences.psi_by_chance(before, now)
    return Look(sparse.divergence(a, b), by_chance, held, p_value, variation.floor.get("levels", 0.0))


def _psi(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Aspect:
    found = look(reference, current, variation)
    return Aspect("psi", found.excess, found.p_value, found.floor)


def _of_table(reference: ColumnProfile, a: Floats, b: Floats, variation: Variation) -> float:
    test = quantile_cells.between_quantiles if isinstance(reference.bins, NumericBins) else divergences.pearson
    before, now = _table(reference, a, b)
    return variation.of_table(*test(before, now), int(np.count_nonzero(before + now)))


def _table(reference: ColumnProfile, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The cells to test, from those that PSI is computed on, of which the last one holds what is missing."""
    if not isinstance(reference.bins, NumericBins):
        return divergences.pooled(a, b)
    missing = divergences.rare_cells(a, b)[-1]    # too few to be a cell of their own; they have a test of their own
    present = quantile_cells.merged(a[:-1], b[:-1])
    return present if missing else (np.append(present[0], a[-1]), np.append(present[1], b[-1]))


def _wasserstein(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Aspect:
    assert isinstance(reference.bins, NumericBins), "only numbers have distances"
    size = divergences.wasserstein(reference.counts, current.counts, reference.bins)
    thin = variation.thinned("wasserstein")
    a, b = (np.asarray(p.counts) / by for p, by in zip((reference, current), thin, strict=True))
    statistic, p_value = divergences.kolmogorov_smirnov(a, b)
    constant = not (statistic or reference.bins.scale)    # and still as it was
    return _aspect("wasserstein", size, math.nan if constant else variation.of_share("wasserstein", p_value), variation)


def _missing(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Aspect:
    """Not tested when none or all are missing in both, for then nothing can differ.

    That choice looks only at how many are missing in both together, which says nothing of where they are, so it does
    not raise more alarms; counting the test would halve the power of every complete column.
    """
    before, now = (reference.missing, reference.rows), (current.missing, current.rows)
    return _share_changed("missing", before, now, variation, both_ways=True)


def _outliers(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Aspect:
    """Only more of them count; other tests look at the middle of a distribution and hardly see its tails."""
    before, now = (reference.outliers, reference.present), (current.outliers, current.present)
    return _share_changed("outliers", before, now, variation, both_ways=False)


def _share_changed(
    name: str, before: tuple[int, int], now: tuple[int, int], variation: Variation, *, both_ways: bool
) -> Aspect:
    if before[0] + now[0] in (0, before[1] + now[1]):
        return Aspect(name, math.nan, math.nan)
    change = now[0] / now[1] - before[0] / before[1]
    if not both_ways and change <= 0:
        return _aspect(name, 0.0, 1.0, variation)
    p_value = variation.of_share(name, divergences.share_difference(*_thinned(before, now, variation.thinned(name))))
    return _aspect(name, abs(change) if both_ways else max(change, 0.0), p_value, variation)


def _unseen(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Aspect:
    """Against the share that chance gives; or against the reference's own, where its levels are not all kept."""
    if reference.unseen:
        before, now = (reference.present - _kept(reference), reference.present), (current.unseen, current.present)
        return _share_changed("unseen", before, now, variation, both_ways=False)
    _, by = variation.thinned("unseen")
    some, m = round(current.unseen / by), round(current.present / by)
    expected, p_value = novelty.unseen_by_chance(reference.counts, some, m)
    return _aspect("unseen", max(current.unseen / current.present - expected, 0.0), p_value, variation)


def _kept(reference: ColumnProfile) -> int:
    """Records of the reference whose levels are kept; of the most that are kept, without the rarest of these.

    They were chosen for being frequent there, and would be somewhat rarer in any other sample.
    """
    counts = np.asarray(reference.counts)
    return int(counts[counts > counts.min() + 1].sum() if len(counts) == MAX_LEVELS else counts.sum())


def _newcomer(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Aspect:
    """Not tested where buckets are not known; where the reference has some, against those of the reference."""
    if any(side.unseen and not side.buckets for side in (reference, current)):
        return Aspect("newcomer", math.nan, math.nan)
    if not current.unseen:
        return _aspect("newcomer", 0.0, 1.0, variation)
    thin = variation.thinned("newcomer")
    (levels, held, n), (more, now, m) = (
        (np.array(side.counts) / by, _buckets(side) / by, side.present / by)
        for side, by in zip((reference, current), thin, strict=True)
    )
    if not reference.unseen:
        found = novelty.newcomer_by_chance((levels + more)[levels > 0], n, now, m)
    elif reference.bins.size < MAX_LEVELS:    # another window than the one that bins were frozen on
        found = novelty.crowded_by_chance(held, n, now, m)
    else:
        share, p_value = novelty.crowded_by_chance(held, held.sum(), now, now.sum())
        found = share * current.unseen / current.present, p_value
    return _aspect("newcomer", *found, variation)


def _buckets(profile: ColumnProfile) -> Floats:
    return np.asarray(profile.buckets or (0,) * BUCKETS, dtype=np.float64)


def _outside(reference: ColumnProfile, current: ColumnProfile, variation: Variation) -> Aspect:
    before, now = (reference.outside, reference.present), (current.outside, current.present)
    (few, n), (some, m) = _thinned(before, now, variation.thinned("outside"))
    expected, p_value = novelty.outside_by_chance(few, n, some, m)
    if current.far >= LARGE["outside"] * current.present:    # another unit: so far apart are no two days of one kind
        of_far = novelty.outside_by_chance(reference.far, reference.present, current.far, current.present)
        expected, p_value = min((expected, p_value), of_far, key=lambda one: one[1])
    return _aspect("outside", max(current.outside / current.present - expected, 0.0), p_value, variation)


def _aspect(name: str, size: float, p_value: float, variation: Variation) -> Aspect:
    return Aspect(name, size, p_value, variation.floor.get(name, 0.0))


def _thinned(
    before: tuple[int, int], now: tuple[int, int], by: tuple[float, float]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Records of a kind and all records of both sides, as many as are news."""
    (a, n), (b, m) = before, now
    return (round(a / by[0]), max(round(n / by[0]), 1)), (round(b / by[1]), max(round(m / by[1]), 1))

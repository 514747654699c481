"""How far did a column move in one part of the records, beyond what it moved in all the others?

A shift that all parts share is one shift, and the comparison of all records shows it. What the others did says what to
expect of the part. One whose values lie elsewhere is expected to move from where it was, not to where the others are.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences
from trimtab.measure.columns.aspects import LARGE, SMALLEST_SAMPLE
from trimtab.measure.columns.bins import NumericBins
from trimtab.measure.columns.cells import shared
from trimtab.measure.columns.profile import BESIDE, ColumnProfile

Floats = npt.NDArray[np.float64]
Sides = tuple[ColumnProfile, ColumnProfile]

_FEWEST = 2 * divergences.SMALLEST_EXPECTED    # records of the others in a cell, below which they say nothing of it


def beyond(part: Sides, others: Sides) -> dict[str, float]:
    """Sizes by which a part moved both in itself and beyond the others: the smaller of the two, by aspect.

    Parameters
    ----------
    part, others : pair of ColumnProfile
        Reference and current window of the part, and of all records that are not in it; all by the same bins.

    Returns
    -------
    dict
        By the names of `aspects.LARGE`, in their units, 0 or more; what could be tested at all. Empty when the part or
        the others have fewer than `aspects.SMALLEST_SAMPLE` records on either side.

    Notes
    -----
    What is expected is told in several ways, of which the nearest counts. Numbers have moved as the others' did that
    lay at the same place, quantile by quantile: the model of S. Athey and G. Imbens (2006), Identification and
    inference in nonlinear difference-in-differences models, exact where one increasing function moved the values of
    all, wherever they lie. Bins and levels have become as many times as frequent as in the others (where these hardly
    have them, as frequent as before). Levels have lost records to one another as the others' did.

    PSI and distance are taken between what is expected and what is; from PSI what chance gives on average is
    subtracted, in the others' counts, too. Of shares, it is the difference of the differences. Counts do not tell how
    far others are from leaving the reference's range; where the values of a part have moved far, its leaving is excused
    by as much of the distance as is shared.

    Examples
    --------
    >>> from trimtab.measure.columns.bins import freeze_categorical
    >>> bins = freeze_categorical(["a", "b"])
    >>> north = ColumnProfile(bins, (500, 500)), ColumnProfile(bins, (800, 200))
    >>> south = ColumnProfile(bins, (1500, 1500)), ColumnProfile(bins, (1500, 1500))
    >>> round(beyond(north, south)["psi"], 1), beyond(north, north)["psi"]
    (0.4, 0.0)
    """
    if min(side.rows for side in (*part, *others)) < SMALLEST_SAMPLE:
        return {}
    found = {"psi": _psi(part, others)}
    if any(side.missing for side in part):
        found["missing"] = _missing(part, others)
    if min(side.present for side in part) >= SMALLEST_SAMPLE:
        found |= _of_present(part, others)
    return {name: max(size, 0.0) for name, size in found.items() if not math.isnan(size)}


def _of_present(part: Sides, others: Sides) -> dict[str, float]:
    bins = part[0].bins
    if not isinstance(bins, NumericBins):
        return {"unseen": _risen(part, others, "unseen")}
    alone, beside = _distances(part, others, bins)
    shared = 1 - min(beside / alone, 1.0) if alone >= LARGE["wasserstein"] else 0.0
    found = {"wasserstein": min(alone, beside), "outside": (1 - shared) * _risen(part, others, "outside")}
    if any(side.outliers for side in part):
        found["outliers"] = _outliers(part, others, bins)
    return found


def without(whole: ColumnProfile, part: ColumnProfile) -> ColumnProfile:
    """All records but those of the part; none where the part was counted later and has more."""
    counts = tuple(max(a - b, 0) for a, b in zip(whole.counts, part.counts, strict=True))
    beside = {name: max(getattr(whole, name) - getattr(part, name), 0) for name in BESIDE}
    pairs = zip(whole.buckets, part.buckets or (0,) * len(whole.buckets), strict=True)
    buckets = tuple(max(a - b, 0) for a, b in pairs) if part.buckets or not part.unseen else ()
    return ColumnProfile(whole.bins, counts, buckets=buckets if sum(buckets) == beside["unseen"] > 0 else (), **beside)


def _psi(part: Sides, others: Sides) -> float:
    before, now, there, here = _cells(part, others)
    known = there + here >= _FEWEST
    expected = [_flow(before, there, here), before * np.where(known, _ratio(there, here), 1.0)]
    if isinstance(part[0].bins, NumericBins) and part[0].present:
        expected += [_shifted(part, others, part[0].bins, before, there, here)]
    by_chance = divergences.psi_by_chance(before, now)
    # How far chance moves what is expected: by the others' counts where the part comes from, and where it has gone.
    noise = (before / before.sum() / (there + 0.5) + now / now.sum() / (here + 0.5))[known].sum()
    beside = min(divergences.psi(cells, now) for cells in expected) - float(noise)
    return min(divergences.psi(before, now), beside) - by_chance


def _shifted(part: Sides, others: Sides, bins: NumericBins, before: Floats, there: Floats, here: Floats) -> Floats:
    """Expected cells of a part whose numbers moved as the others' did, and of which as many more are missing."""
    whole = [np.array([cells[:-1].sum(), cells[-1]]) for cells in (before, there, here)]
    present, missing = _flow(whole[0], whole[1], whole[2])
    carried = np.add.reduceat(_carried_over(part[0], others, bins), [0, *(index + 1 for index in bins.groups)])
    return np.append(carried / carried.sum() * present, missing)


def _flow(before: Floats, there: Floats, here: Floats) -> Floats:
    """Counts that are expected when records leave a cell as often as others did, for where the others went."""
    p, q = there / there.sum(), here / here.sum()
    stay = np.divide(q, p, out=np.ones_like(p), where=p > q)
    gained = np.maximum(q - p, 0.0)
    left = float((before * (1 - stay)).sum())
    flown: Floats = before * stay + left * gained / (gained.sum() or 1.0)
    return flown


def _cells(part: Sides, others: Sides) -> tuple[Floats, ...]:
    """What `cells.with_missing` makes of the part, and the same cells of the others: before and now of each."""
    shape = shared(*part, *others)
    return tuple(np.append(shape.of(side), side.missing).astype(float) for side in (*part, *others))


def _ratio(before: Floats, now: Floats) -> Floats:
    """How many times as frequent each cell has become; half a record more in each, so that none is zero."""
    a, b = before + 0.5, now + 0.5
    ratio: Floats = (b / b.sum()) / (a / a.sum())
    return ratio


def _distances(part: Sides, others: Sides, bins: NumericBins) -> tuple[float, float]:
    """How far the part is from where it was, and from what is expected."""
    before, now, there, here = (np.asarray(side.counts, dtype=float) for side in (*part, *others))
    expected = [_carried_over(part[0], others, bins), before * _ratio(there, here)]
    beside = [divergences.wasserstein(counts, now, bins) for counts in expected]
    return divergences.wasserstein(before, now, bins), min(beside)


def _carried_over(before: ColumnProfile, others: Sides, bins: NumericBins) -> Floats:
    """Counts per bin that are expected of the part."""
    shares = _expected_below(before, others, bins, np.asarray(bins.edges))
    carried: Floats = np.diff(np.concatenate([[0.0], shares, [1.0]])) * before.present
    return carried


def _outliers(part: Sides, others: Sides, bins: NumericBins) -> float:
    """How far their share rose, above that of the others', and above what is expected.

    Of what lies beyond the reference's range counts do not tell where: there the others' share says more.
    """
    below, to = _expected_below(part[0], others, bins, np.array([bins.low, bins.high]))
    return min(_risen(part, others, "outliers"), _share(part[1], "outliers", "present") - float(below + 1 - to))


def _expected_below(before: ColumnProfile, others: Sides, bins: NumericBins, values: Floats) -> Floats:
    """Shares of the part that are expected at or below values, if its own moved as those of the others nearby.

    Where F is the cumulated share of the others before and G now, a value at x has moved to where G is F(x).
    """
    at = np.array([bins.minimum, *bins.edges, bins.maximum])
    mine = _cumulated(before)
    if not all(side.present for side in others):
        return np.interp(values, at, mine)
    there, here = (_cumulated(side) for side in others)
    came_from: Floats = np.interp(np.interp(values, at, here), there, at)
    return np.interp(came_from, at, mine).astype(float)


def _cumulated(column: ColumnProfile) -> Floats:
    """Shares at or below the minimum, each edge, and the maximum of the reference."""
    counts = np.asarray(column.counts, dtype=float)
    return np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])


def _changed(part: Sides, others: Sides, some: str, of: str) -> tuple[float, float]:
    """By how much a share has changed in the part, and by how much more than in the others."""
    mine, theirs = (_share(pair[1], some, of) - _share(pair[0], some, of) for pair in (part, others))
    return mine, mine - theirs


def _risen(part: Sides, others: Sides, some: str) -> float:
    return min(_changed(part, others, some, "present"))


def _missing(part: Sides, others: Sides) -> float:
    mine, more = _changed(part, others, "missing", "rows")
    return min(abs(mine), abs(more))


def _share(column: ColumnProfile, some: str, of: str) -> float:
    whole = getattr(column, of)
    return getattr(column, some) / whole if whole else 0.0

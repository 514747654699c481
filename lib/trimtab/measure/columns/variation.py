"""How far do the reference's own days differ, so that one more that differs as far is no news?

Records of one day share their luck: a storm, a holiday, a batch. Two things follow. A window of a thousand records from
two days says less than a thousand draws, by what is called the design effect; and a stretch of days may differ from the
rest as far as stretches of the reference do. Both are read off the reference's daily counts, by leaving out one stretch
after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences
from trimtab.measure.columns.aspects import INDEPENDENT, Variation
from trimtab.measure.columns.bins import BUCKETS, CategoricalBins, NumericBins, bucket, buckets_of
from trimtab.measure.columns.cells import ALONE, IN_A_CELL, IN_A_FINER_CELL
from trimtab.measure.columns.days import Dates, Days, Matrix
from trimtab.measure.columns.floors import Stretches, divergence_beyond_chance, psi_beyond_chance
from trimtab.measure.columns.means import scaled_values_of

FEWEST_DAYS = 7
_WEEK = 7
_LONGEST = 0.6    # correlation of a day with the next, beyond which two months of days cannot tell much
_MOST_BLURRED = 2.0    # times the error of that correlation, which chance enlarges; more would leave next to no degrees
_STEP = 1e-3
_RARE = 0.05    # levels of no larger share tell how records of a new one come

Floats = npt.NDArray[np.float64]


@lru_cache(maxsize=4)    # a check asks several times, and the reference is the same for all of them
def variation(reference: Days, rows: int, days: int) -> Mapping[str, Variation]:
    """How each column varies between stretches of the reference as long as the current window.

    Parameters
    ----------
    reference : Days
        Whole days of the reference.
    rows, days : int
        Records of the current window, and how many days they are of; less than a day counts as one.

    Returns
    -------
    dict
        By column. Without design effect and floor where the reference has fewer than `FEWEST_DAYS` days, for then
        nothing can be told.

    Notes
    -----
    The design effect of shares is the variance between days relative to that of independent draws, averaged over cells
    (J. Rao and A. Scott, 1981, The analysis of categorical data from complex sample surveys), for the cumulated shares
    its largest value. It is carried over to the current window by the correlation within a day, 1 + (records per day
    − 1)ρ. From seven current days on each day is held against its own weekday, so that the rhythm of the week does not
    count as luck.

    Of levels that are not frequent it is asked, too, whether their records come in batches: how many more pairs of them
    share a day than would by chance. A new level that comes as others do, all at once, is not many news.

    Days take after the day before: weather stays. What a day has to itself is taken to be an autoregression of first
    order, whose correlation is read off the reference (half of its standard error taken off), and design effects grow
    as the variance of a mean over such days does. That it is estimated, too, takes away degrees of freedom. Very slow
    changes (a correlation of 0.9) are beyond what two or three months of reference can tell, and alarm more often than
    their level says.

    Outliers and missing values are few, and may come on few days: a day of a hundred outliers among days of none makes
    a normal distribution of what days have a poor guess. Their p-values have fewer degrees of freedom, by the kurtosis
    of their days.

    The floor is the largest size that any stretch of the reference, as long as the current window, reaches against the
    rest; a window longer than half the reference is held against stretches of half its length, which vary more.

    A mean, or a rate, has an effect and a floor of its own (`mean`), the floor in standard deviations.
    """
    if len(reference) < FEWEST_DAYS:
        return dict.fromkeys(reference.bins, INDEPENDENT)
    length = min(max(days, 1), len(reference) // 2)
    size = rows / max(days, 1)
    return {name: _of_column(reference, name, length, size) for name in reference.bins}


def _of_column(reference: Days, name: str, length: int, each: float) -> Variation:
    counts, beside = reference.column(name)
    missing = beside["nulls"] + beside["nans"]
    present = counts.sum(axis=1) + beside["unseen"]
    shape = np.column_stack([_grouped(reference, name, length), missing])
    below = np.cumsum(shape[:, :-1], axis=1)[:, :-1]
    strata = _strata(reference, length)
    effects = _effects(shape, strata)
    phi = _persistence(shape, strata, reference.dates, effects)
    size = _Window(each, length, phi)
    *cumulated, outliers = _effects_of_parts(np.column_stack([below, beside["outliers"]]), present, strata)
    lacking = _effects_of_parts(missing[:, None], present + missing, strata)[0]
    design = {
        "psi": _design(shape, float(effects.mean()), size),
        "wasserstein": _design(shape, float(max(cumulated, default=1.0)), size),
        "missing": _design(shape, float(lacking), size),
        "outliers": _design(shape, float(outliers), size),
    }
    design |= dict.fromkeys(("unseen", "outside"), design["psi"])
    floor, among_finer = _floor(reference, name, shape, length), 0.0
    design["mean"] = _design(shape, _effect_of_mean(counts, scaled_values_of(reference.bins[name])[0], strata), size)
    if not isinstance(reference.bins[name], NumericBins):
        design["newcomer"] = _design(shape, _batch(counts, present), size)
        finer = np.column_stack([_levels(reference, name, length, alone=ALONE, together=IN_A_FINER_CELL), missing])
        mean, among_finer = _mean_and_spread(finer, strata)
        design["levels"] = _design(shape, max(mean, float(effects.mean())), size)
        floor["levels"] = _largest(divergence_beyond_chance(*Stretches.of(len(reference), length).sums(finer)))
    spread = float(effects.var() / effects.mean() ** 2)
    freedom = _freedom(len(reference) - len(np.unique(strata)), size, float(effects.mean()))
    parts = {"outliers": (beside["outliers"], present), "missing": (missing, present + missing)}
    fewer = {aspect: _of_few_days(freedom, _kurtosis(*part, strata), length) for aspect, part in parts.items()}
    return Variation(design, floor, spread, freedom, fewer, among_finer)


def _strata(reference: Days, length: int) -> npt.NDArray[np.int64]:
    """The weekday of each day, where the current window holds whole weeks and the reference enough of them."""
    if length < _WEEK or len(reference) < 4 * _WEEK:
        return np.zeros(len(reference), dtype=np.int64)
    return reference.dates.astype(np.int64) % _WEEK


def _effects(days: Floats, strata: npt.NDArray[np.int64]) -> Floats:
    """Generalised design effects of a table of cells by day: one for each direction in which the shares can vary.

    Eigenvalues of the covariance of the shares between days, in units of that of independent draws.
    """
    days = days[:, days.sum(axis=0) > 0]
    if days.shape[1] < 2:
        return np.ones(1)
    scaled = _scaled(days, strata)
    found = np.linalg.eigvalsh(scaled.T @ scaled)[1:].astype(np.float64)    # shares sum to one: one direction is none
    return np.maximum(found, 1e-9)


def _scaled(days: Floats, strata: npt.NDArray[np.int64]) -> Floats:
    """What days have beyond their shares: its products, summed over days, are the covariance that `_effects` is of."""
    n, freedom = float(days.sum()), max(len(days) - len(np.unique(strata)), 1)
    shares = days.sum(axis=0) / n
    residual = _residual(days, days.sum(axis=1), shares, strata)
    found: Floats = residual / np.sqrt(shares) * math.sqrt(len(days) / freedom / n)
    return found


def _mean_and_spread(days: Floats, strata: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Mean of `_effects` and their squared coefficient of variation, of cells that may be more than there are days.

    Effects that are estimated from fewer days than there are cells differ for that alone: what chance adds to the sum
    of their squares is taken off (O. Ledoit and M. Wolf, 2002, Some hypothesis tests for the covariance matrix when the
    dimension is large compared to the sample size).
    """
    days = days[:, days.sum(axis=0) > 0]
    directions = days.shape[1] - 1
    if directions < 1:
        return 1.0, 0.0
    scaled = _scaled(days, strata)
    alike = scaled @ scaled.T
    total, freedom = float(np.trace(alike)), max(len(days) - len(np.unique(strata)), 1)
    mean = max(total / directions, 1e-9)
    squares = float((alike**2).sum()) - total**2 / freedom
    return mean, max(squares / directions / mean**2 - 1, 0.0)


def _effects_of_parts(parts: Matrix, whole: npt.NDArray[np.int64], strata: npt.NDArray[np.int64]) -> Floats:
    """What `_effects` gives for each of several parts of the records, against the rest of them; 1 for all or none.

    Parameters
    ----------
    parts
        Shape (days, parts).
    whole
        Shape (days,).
    """
    n = max(float(whole.sum()), 1.0)
    shares = parts.sum(axis=0) / n
    residual = _residual(parts.astype(np.float64), whole.astype(np.float64), shares, strata)
    freedom = max(len(whole) - len(np.unique(strata)), 1)
    both = shares * (1 - shares)
    found = (residual**2).sum(axis=0) * len(whole) / freedom / n / np.where(both > 0, both, np.inf)
    return np.where(both > 0, np.maximum(found, 1e-9), 1.0)


def _effect_of_mean(counts: Matrix, values: Floats, strata: npt.NDArray[np.int64]) -> float:
    """Design effect of a mean, or of a rate: the variance of daily sums, in units of that of independent draws."""
    sizes, each = counts.sum(axis=1).astype(float), counts.sum(axis=0).astype(float)
    n = float(each.sum())
    spread = _spread(each, values)
    if not spread > 0:
        return 1.0
    residual = counts @ values - sizes * float(each @ values / n)
    for stratum in np.unique(strata):
        here = strata == stratum
        residual[here] -= sizes[here] * (residual[here].sum() / max(sizes[here].sum(), 1.0))
    freedom = max(len(counts) - len(np.unique(strata)), 1)
    return float((residual**2).sum()) * len(counts) / freedom / (n * spread**2)


def _spread(counts: Floats, values: Floats) -> float:
    """Standard deviation of values that come so often; 0 where there are none."""
    n = float(counts.sum())
    if not n:
        return 0.0
    return float(np.sqrt(counts @ (values - counts @ values / n) ** 2 / n))


class _Window(NamedTuple):
    """What design effects are carried over to.

    Attributes
    ----------
    size : float
        Records a day of the current window.
    length : int
        Its days.
    phi : float
        How much of what a day has to itself the next one has, too.
    """

    size: float
    length: int
    phi: float


def _design(days: Floats, effect: float, current: _Window) -> tuple[float, float]:
    """Design effects of the reference, and of the current window; 1 or more."""
    sizes = days.sum(axis=1)
    typical = float((sizes**2).sum() / max(sizes.sum(), 1.0))
    correlation = max(effect - 1, 0.0) / max(typical - 1, 1.0)
    before, now = (max(size - 1, 0.0) * _run_on(length, current.phi)
                   for size, length in ((typical, len(days)), (current.size, current.length)))
    return 1 + before * correlation, 1 + now * correlation


def _run_on(length: int, phi: float) -> float:
    """Variance of a mean over so many days that take after each other, relative to that over independent ones."""
    lags = np.arange(1, max(length, 1))
    return 1 + 2 * float(((1 - lags / max(length, 1)) * phi**lags).sum())


def _freedom(days: int, current: _Window, effect: float) -> float:
    """Degrees of freedom of a design effect: fewer where days take after each other, for how much they do is estimated.

    Those of the variance of an autoregression's values, and, by the delta method, of what `_run_on` makes of the
    estimate, which is the less certain the less of what days differ by is more than chance. Beyond a correlation of
    `_LONGEST` design effects alone say how little is known.
    """
    phi = min(current.phi, _LONGEST)
    if not phi:
        return float(days)
    slope = math.log(_run_on(current.length, phi + _STEP) / _run_on(current.length, phi)) / _STEP
    blurred = min(effect / (effect - 1), _MOST_BLURRED)
    return days / ((1 + phi**2) / (1 - phi**2) + (slope * blurred) ** 2 * (1 - phi**2) / 2)


def _of_few_days(freedom: float, kurtosis: float, length: int) -> float:
    """Degrees of freedom for a share whose luck comes on few days, by the excess kurtosis of its days.

    A variance is known the less, the heavier the tails of what it is estimated from; and what a window sums has tails,
    too: those of Student's t whose degrees give the same kurtosis.
    """
    if kurtosis <= 0:
        return freedom
    return 1 / ((1 + kurtosis / 2) / freedom + kurtosis / (4 * kurtosis + 6 * length))


def _kurtosis(part: Matrix, whole: Matrix, strata: npt.NDArray[np.int64]) -> float:
    """Excess kurtosis of what days have of a part, beyond that of independent draws; 0 where days hardly differ."""
    n, some = max(float(whole.sum()), 1.0), float(part.sum())
    residual = _residual(part[:, None].astype(float), whole.astype(float), np.array([some / n]), strata)[:, 0]
    chance = some * (1 - some / n) / len(part)    # a day's variance, were records independent
    effect = float((residual**2).mean()) / chance if chance else 0.0
    if effect <= 1 + 2 * math.sqrt(2 / len(part)):
        return 0.0
    tails = float((residual**4).mean()) / float((residual**2).mean()) ** 2 - 3
    return max(tails - 1 / (chance * effect**2), 0.0)


def _persistence(days: Floats, strata: npt.NDArray[np.int64], dates: Dates, effects: Floats) -> float:
    """Correlation of what a day has to itself with the day after, from 0 to 0.95; 0 where days hardly differ."""
    effect, directions = float(effects.mean()), float(effects.sum() ** 2 / (effects**2).sum())
    follow = np.flatnonzero(np.diff(dates) == np.timedelta64(1, "D"))
    if len(follow) < FEWEST_DAYS or effect <= 1 + 2 * math.sqrt(2 / (len(days) * directions)):
        return 0.0
    used = days.sum(axis=0) > 0
    shares = days[:, used].sum(axis=0) / days.sum()
    residual = _residual(days[:, used], days.sum(axis=1), shares, strata) / np.sqrt(shares)
    together = float((residual[follow] * residual[follow + 1]).sum()) / len(follow)
    alike = together / (float((residual**2).sum()) / len(days)) + len(np.unique(strata)) / len(days)
    doubt = 0.5 / math.sqrt(len(follow) * directions)
    return float(np.clip((alike - doubt) * effect / (effect - 1), 0.0, 0.95))


def _residual(days: Floats, sizes: Floats, shares: Floats, strata: npt.NDArray[np.int64]) -> Floats:
    """What each day has beyond the shares of its stratum."""
    residual = days - sizes[:, None] * shares
    for stratum in np.unique(strata):
        here = strata == stratum
        residual[here] -= sizes[here, None] * (residual[here].sum(axis=0) / max(float(sizes[here].sum()), 1.0))
    return residual


def _grouped(reference: Days, name: str, length: int) -> Floats:
    """Counts by day of about ten groups of bins; or of the levels that are frequent enough, and of cells of others."""
    bins, (counts, _) = reference.bins[name], reference.column(name)
    if isinstance(bins, NumericBins):
        grouped: Floats = np.add.reduceat(counts, [0, *(index + 1 for index in bins.groups)], axis=1).astype(float)
        return grouped
    return _levels(reference, name, length, alone=divergences.SMALLEST_EXPECTED, together=IN_A_CELL)


def _levels(reference: Days, name: str, length: int, *, alone: float, together: float) -> Floats:
    """Counts by day of the levels of which a stretch has so many records, and of cells that others share."""
    bins, (counts, beside) = reference.bins[name], reference.column(name)
    assert isinstance(bins, CategoricalBins)
    frequent = counts.sum(axis=0) * length / len(counts) >= alone
    rare, new, buckets = counts[:, ~frequent], beside["unseen"], reference.buckets(name)
    parts = int((rare.sum() + new.sum()) * length / len(counts) // together)
    if parts < 2 or (buckets.sum(axis=1) != new).any():
        return np.column_stack([counts[:, frequent], rare.sum(axis=1) + new]).astype(float)
    parts = min(parts, BUCKETS)
    places = np.asarray(buckets_of(bins), dtype=np.intp)[~frequent] % parts
    shared = [rare[:, places == part].sum(axis=1) + buckets[:, part::parts].sum(axis=1) for part in range(parts)]
    return np.column_stack([counts[:, frequent], *shared]).astype(float)


def _batch(levels: Matrix, present: Matrix) -> float:
    """How many records of a level come together on one day, 1 or more: of levels that are not frequent."""
    counts, sizes = levels.astype(float), present.astype(float)
    each, n = counts.sum(axis=0), float(sizes.sum())
    counts, each = counts[:, (each > 1) & (each <= _RARE * n)], each[(each > 1) & (each <= _RARE * n)]
    pairs = n * (n - 1)
    by_chance = float((sizes * (sizes - 1)).sum()) / pairs if pairs else 1.0
    if not len(each) or by_chance >= 1:
        return 1.0
    together = float((counts * (counts - 1)).sum() - (each * (each - 1)).sum() * by_chance)
    return 1 + max(together / (1 - by_chance) / float(each.sum()), 0.0)


def _floor(reference: Days, name: str, shape: Floats, length: int) -> dict[str, float]:
    """The largest size of each aspect over stretches of so many days."""
    counts, beside = reference.column(name)
    sums = Stretches.of(len(reference), length).sums
    inside, outside = sums(shape)
    rows = inside.sum(axis=1), outside.sum(axis=1)
    usable = (rows[0] > 0) & (rows[1] > 0)
    if not usable.any():
        return {}
    missing = [side[:, -1] / np.maximum(side.sum(axis=1), 1) for side in (inside, outside)]
    found = {"psi": psi_beyond_chance(inside, outside), "missing": np.abs(missing[0] - missing[1])}
    bins = reference.bins[name]
    values, _ = scaled_values_of(bins)
    spread = _spread(counts.sum(axis=0).astype(float), values)
    if spread > 0:
        both = sums(np.column_stack([counts @ values, counts.sum(axis=1)]))
        here, rest = (np.where(side[:, 1] > 0, side[:, 0] / np.maximum(side[:, 1], 1), np.nan) for side in both)
        found["mean"] = np.abs(here - rest) / spread
    if isinstance(bins, NumericBins):
        found["wasserstein"] = _wasserstein(*sums(counts), bins)
        many = sums(np.column_stack([beside["outliers"], counts.sum(axis=1) - beside["outliers"]]))
        found["outliers"] = _share(many[0]) - _share(many[1])
    else:
        here, rest = sums(counts)
        new, whole = np.where(rest == 0, here, 0.0), np.maximum(here.sum(axis=1), 1)
        found["unseen"] = new.sum(axis=1) / whole
        found["newcomer"] = _fullest(new, [bucket(level) for level in bins.levels]) / whole
    return {aspect: _largest(sizes[usable]) for aspect, sizes in found.items()}


def _largest(sizes: Floats) -> float:
    return max(float(np.nan_to_num(sizes).max()), 0.0)


def _share(counts: Floats) -> Floats:
    share: Floats = counts[:, 0] / np.maximum(counts.sum(axis=1), 1)
    return share


def _fullest(levels: Floats, buckets: Sequence[int]) -> Floats:
    """Records in the fullest bucket beyond the mean of the others, row by row, of levels that are in these buckets."""
    cells = np.arange(len(levels))[:, None] * BUCKETS + np.asarray(buckets, dtype=np.intp)
    flat = np.bincount(cells.ravel(), weights=levels.ravel(), minlength=len(levels) * BUCKETS)
    most = flat.reshape(-1, BUCKETS).max(axis=1)
    beyond: Floats = most - (levels.sum(axis=1) - most) / (BUCKETS - 1)
    return beyond


def _wasserstein(inside: Floats, outside: Floats, bins: NumericBins) -> Floats:
    if not bins.scale > 0:
        return np.zeros(len(inside))
    shares = [np.cumsum(s, axis=1) / np.maximum(s.sum(axis=1, keepdims=True), 1) for s in (inside, outside)]
    return divergences.distance_between((shares[0] - shares[1])[:, :-1], bins)

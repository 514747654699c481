"""Has the joint distribution moved, though each column may look as before?

A classifier is trained to tell current records from reference records. If it can, on records that it has not seen, the
two samples differ. It sees squares and products of columns, so a correlation that changed is found though both columns
keep their own distribution; what shows in three columns together only, it misses. A few very unusual records hardly
move it either, for it ranks all records: what a single column shows by itself is seen sooner by `drift`. The same
classifier gives weights that make the records of one window stand for those of another.

Records count as independent of each other. Where many belong together (one customer, one day), samples differ by more
than the p-value allows for.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns import divergences
from trimtab.measure.columns.aspects import SMALLEST_SAMPLE
from trimtab.measure.together import discriminant
from trimtab.measure.together.discriminant import FOLDS, MOST_RECORDS, TOO_FEW, Folds, Rule
from trimtab.measure.together.features import features
from trimtab.measure.together.samples import Sample

Floats = npt.NDArray[np.float64]

MOST_CARRIERS = 10
LARGEST_RATIO = 20.0
_STREAM = 3    # of random numbers, apart from those that draw records and folds by the same seed
_WORTH_NAMING = 0.1    # of the strongest carrier's drop
# Scorers of two folds share most of the records that they were trained on, which doubles the variance of the mean area
# where there is nothing to find; where there is, it is an upper bound.
_SHARED_TRAINING = 2.0
_EXPECTED_IN_BIN = 10


@dataclass(frozen=True)
class Carrier:
    """What carries a difference: a column's own distribution, or how two columns go together.

    Attributes
    ----------
    columns : tuple of str
        One name or two.
    drop : float
        How much the AUC falls when this part of the score is shuffled among records; above 0.
    share : float
        This part's share of the distance between the mean scores of both sides. Parts of columns that are closely
        related can be above 1, or below 0, and make up for each other.
    """

    columns: tuple[str, ...]
    drop: float
    share: float


@dataclass(frozen=True)
class Separation:
    """How well current records can be told from reference records.

    Attributes
    ----------
    auc : float
        Area under the ROC curve on records that the classifier has not seen, mean over folds: 0.5 when it cannot tell,
        1 when it always can. nan when not tested.
    low, high : float
        Interval of the AUC, both ends included. Wider than needed where the AUC is near 0.5; of width 0 where the two
        samples do not overlap. nan when not tested.
    p_value : float
        Of an AUC of 0.5, one-sided. 1 when no column varies, nan when not tested. It comes from a test of its own
        (see `tell_apart`), so it can be above 0.05 though the interval leaves 0.5 out, and the other way round.
    reference_rows, current_rows : int
        Records that were used.
    carriers : tuple of Carrier
        The largest share first, at most ten; those whose drop is less than a tenth of the largest are left out. They
        say something only when the p-value does.
    note : str
        Why there is nothing, or what was left out; else empty.
    """

    auc: float
    low: float
    high: float
    p_value: float
    reference_rows: int
    current_rows: int
    carriers: tuple[Carrier, ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights that make the records of a source stand for a target.

    Attributes
    ----------
    values : array of float, shape (n,)
        0 or more with mean 1, one per record of the source; nan when there were too few records.
    effective : float
        How many equally weighted records say as much about a mean (Kish), from 1 to n; nan when there were too few.
    outside : float
        Share of the target's records, in [0, 1], that lie where the source is less than 1 / largest as dense, by the
        classifier or in a bin of a single column. `values` cannot stand for them. nan when there were too few records.
    note : str
        Why there are no weights; else empty.
    """

    values: Floats
    effective: float
    outside: float
    note: str = ""


def tell_apart(
    reference: Sample, current: Sample, *, seed: int = 0, folds: int = 5, most: int = MOST_RECORDS,
    confidence: float = 0.95,
) -> Separation:
    """Test whether a classifier can tell two samples apart, and say by which columns.

    Parameters
    ----------
    reference, current : Sample
        By the same bins, which were frozen on the reference. Below 30 records on either side nothing is tested.
    seed : int
        Of the folds, and of the records that are drawn where a side has more than `most`.
    folds : int
        From 2 to 10.
    most : int
        Records used per side, at least 30.
    confidence : float
        Of the interval, in (0, 1).

    Raises
    ------
    ValueError
        When the samples have different columns or bins, or a setting is out of range.

    Notes
    -----
    The AUC is that of ordinary cross-validation. A test on it would reject too often: scorers of two folds have seen
    each other's records, which doubles the variance where nothing differs. So the test uses scorers that have seen only
    the folds before the one that they score. Given what came before, a fold's Mann-Whitney statistic then has its exact
    null distribution, and the sum over folds is a martingale.

    Sources: D. Lopez-Paz and M. Oquab, Revisiting classifier two-sample tests, ICLR (2017); I. Kim and A. Ramdas,
    Dimension-agnostic inference using cross U-statistics, Bernoulli 30 (2024), for splitting instead of permuting.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def sample(same):
    ...     codes = rng.integers(0, 10, (500, 2))
    ...     return Sample(("x", "y"), ("numeric",) * 2, (10, 10), codes[:, [0, 0]] if same else codes)
    >>> found = tell_apart(sample(same=False), sample(same=True))
    >>> found.p_value < 0.001, found.carriers[0].columns
    (True, ('x', 'y'))
    """
    if folds not in FOLDS or most < SMALLEST_SAMPLE or not 0 < confidence < 1:
        raise ValueError(
            f"folds must be from {FOLDS[0]} to {FOLDS[-1]}, most at least {SMALLEST_SAMPLE}, confidence in (0, 1)"
        )
    made = features(reference.thinned(most, seed=seed), current.thinned(most, seed=seed), seed=seed)
    rows = int((~made.current).sum()), int(made.current.sum())
    if min(rows) < SMALLEST_SAMPLE:
        return Separation(math.nan, math.nan, math.nan, math.nan, *rows, note=TOO_FEW)
    if not len(made.values):
        return Separation(0.5, 0.5, 0.5, 1.0, *rows, note="no column varies")
    cut = discriminant.fold(made, folds=folds, seed=seed)
    rules = [discriminant.fit(cut, cut.others(number)) for number in range(folds)]
    scores = [rule.scores(cut, number) for number, rule in enumerate(rules)]
    area, low, high = _area(cut, scores, confidence)
    carriers = _carriers(cut, rules, reference.columns, seed)
    beyond = len(made.values) > discriminant.MOST_PAIRED
    note = f"pairs were sought among the first {discriminant.MOST_PAIRED} features only" if beyond else ""
    return Separation(area, low, high, _p_value(cut, scores[-1]), *rows, carriers=carriers, note=note)


def _area(folds: Folds, scores: list[Floats], confidence: float) -> tuple[float, float, float]:
    """Mean AUC over folds with its interval: scores of different folds are on different scales."""
    from scipy import special

    areas, variance = [], 0.0
    for number, values in enumerate(scores):
        above, below = discriminant.placements(values, folds.group[folds.part(number)])
        areas.append(above.mean())
        variance += above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    area = float(np.mean(areas))
    error = math.sqrt(_SHARED_TRAINING * variance) / len(folds)
    width = float(special.ndtri((1 + confidence) / 2)) * error
    return area, max(area - width, 0.0), min(area + width, 1.0)


def _p_value(folds: Folds, last: Floats) -> float:
    """One-sided p-value of scorers that have seen only the folds before; `last` are the scores of the last fold.

    A fold's statistic weighs as its scorer's precision grows, with the square root of what it has seen.
    """
    statistic, seen = 0.0, range(1, len(folds))
    for number in seen:
        newest = number == len(folds) - 1
        scores = last if newest else discriminant.fit(folds, range(number)).scores(folds, number)
        statistic += math.sqrt(number) * discriminant.beyond_chance(scores, folds.group[folds.part(number)])
    return math.erfc(statistic / math.sqrt(2 * sum(seen))) / 2


def _carriers(folds: Folds, rules: list[Rule], columns: tuple[str, ...], seed: int) -> tuple[Carrier, ...]:
    """The parts of the score that hold most of the distance between both sides, by what the AUC loses without them."""
    gaps: dict[tuple[int, ...], float] = defaultdict(float)
    drops: dict[tuple[int, ...], float] = defaultdict(float)
    for number, rule in enumerate(rules):
        for owners, gap in _gaps(folds, rule, number).items():
            gaps[owners] += gap
    strongest = sorted(gaps, key=lambda owners: -gaps[owners])[:MOST_CARRIERS]
    rng = np.random.default_rng([seed, _STREAM])
    for number, rule in enumerate(rules):
        for owners, drop in _drops(folds, rule, number, strongest, rng).items():
            drops[owners] += drop / len(rules)
    largest, total = max(drops.values(), default=0.0), sum(gaps.values())
    found = [
        Carrier(tuple(columns[owner] for owner in owners), drop, gaps[owners] / total)
        for owners, drop in drops.items() if drop > 0 and drop >= _WORTH_NAMING * largest
    ]
    return tuple(sorted(found, key=lambda carrier: -carrier.share))


def _owners(folds: Folds, rule: Rule) -> list[tuple[int, ...]]:
    """The columns of each term: one, or two."""
    pairs = np.sort(folds.owners[rule.terms], axis=0).T.tolist()
    return [(b,) if a in (-1, b) else (a, b) for a, b in pairs]


def _gaps(folds: Folds, rule: Rule, number: int) -> dict[tuple[int, ...], float]:
    """By columns, what they add to the distance between the mean scores, in standard deviations of the score."""
    parts, group = rule.parts(folds, number), folds.group[folds.part(number)]
    spread = float(parts.sum(axis=0).std()) or 1.0
    gaps: dict[tuple[int, ...], float] = defaultdict(float)
    distances = (parts[:, group].mean(axis=1) - parts[:, ~group].mean(axis=1)) / spread
    for owners, distance in zip(_owners(folds, rule), distances.tolist(), strict=True):
        gaps[owners] += distance
    return gaps


def _drops(
    folds: Folds, rule: Rule, number: int, strongest: list[tuple[int, ...]], rng: np.random.Generator
) -> dict[tuple[int, ...], float]:
    """By columns, what the AUC of a fold loses when their part of the score is shuffled."""
    parts, group, owned = rule.parts(folds, number), folds.group[folds.part(number)], _owners(folds, rule)
    scores = parts.sum(axis=0)
    whole = discriminant.placements(scores, group)[0].mean()
    drops = {}
    for owners in strongest:
        part = parts[[other == owners for other in owned]].sum(axis=0)
        shuffled = scores - part + rng.permutation(part)
        drops[owners] = float(whole - discriminant.placements(shuffled, group)[0].mean())
    return drops


def density_ratio(
    source: Sample, target: Sample, *, seed: int = 0, folds: int = 5, largest: float = LARGEST_RATIO
) -> Weights:
    """Estimate how much more often each record of a source would occur in a target.

    The ratio of both densities, by a classifier whose probabilities for a record come from a fit without it. For means
    over the source that stand for the target, when what is measured depends on the columns alike in both (covariate
    shift).

    Parameters
    ----------
    source, target : Sample
        By the same bins. With fewer than 30 records on either side all results are nan.
    seed : int
        Of the folds.
    folds : int
        From 2 to 10.
    largest : float
        Ratios are clipped to [1 / largest, largest], above 1, before they are brought to mean 1.

    Raises
    ------
    ValueError
        When the samples have different columns or bins, or a setting is out of range.

    Notes
    -----
    Sources: S. Bickel, M. Brückner and T. Scheffer, Discriminative learning under covariate shift, JMLR 10 (2009);
    L. Kish, Survey Sampling (1965), for the effective size.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def sample(most):
    ...     return Sample(("x",), ("numeric",), (10,), rng.binomial(9, most, (500, 1)))
    >>> source = sample(0.5)
    >>> weights = density_ratio(source, sample(0.6))
    >>> x = source.codes[:, 0]
    >>> bool(x.mean() < np.average(x, weights=weights.values)), weights.effective < 500
    (True, True)
    """
    if folds not in FOLDS or not largest > 1:
        raise ValueError(f"folds must be from {FOLDS[0]} to {FOLDS[-1]}, largest above 1")
    made = features(source, target, seed=seed)
    if min(len(source), len(target)) < SMALLEST_SAMPLE:
        return Weights(np.full(len(source), math.nan), math.nan, math.nan, note=TOO_FEW)
    if not len(made.values):
        return Weights(np.ones(len(source)), float(len(source)), 0.0, note="no column varies")
    odds = _log_odds(discriminant.fold(made, folds=folds, seed=seed))
    log_ratio = odds + math.log(len(source) / len(target))
    limit = math.log(largest)
    ratio = np.exp(np.clip(log_ratio[: len(source)], -limit, limit))
    values = ratio / ratio.mean()
    outside = (log_ratio[len(source) :] > limit) | _unsupported(source, target, largest)
    return Weights(values, float(values.sum() ** 2 / (values**2).sum()), float(outside.mean()))


def _unsupported(source: Sample, target: Sample, largest: float) -> npt.NDArray[np.bool_]:
    """Which target records lie in a bin of any column that the source fills too little, shape (m,).

    The classifier's curves are too smooth for what begins abruptly. A bin is looked at when the source would have ten
    records there or more if it were like the target. Levels that the source never had count as one with its rare ones.
    """
    found = np.zeros(len(target), dtype=bool)
    for column, size in enumerate(source.sizes):
        before, after = (np.bincount(s.codes[:, column] + 1, minlength=size + 2) for s in (source, target))
        rare = divergences.rare_cells(before.astype(np.float64), after.astype(np.float64))
        rare[-1] = True
        before[rare], after[rare] = before[rare].sum(), after[rare].sum()
        alike = after * (len(source) / len(target))
        unsupported = (alike >= _EXPECTED_IN_BIN) & (before * largest <= alike)
        found |= unsupported[target.codes[:, column] + 1]
    return found


def _log_odds(folds: Folds) -> Floats:
    """Log odds of the second group, by fits without the record, in the order that the records came in, shape (n,).

    A logistic regression on the scores finds how far they are to be believed: hardly, where there is no difference.
    """
    from scipy import special
    from sklearn.linear_model import LogisticRegression

    scores = np.concatenate([
        discriminant.fit(folds, folds.others(number)).scores(folds, number) for number in range(len(folds))
    ])
    scaled = (scores / (scores.std() or 1.0))[:, None]
    model = LogisticRegression().fit(scaled, folds.group)
    # A negative slope would say that the classifier is worse than chance, which is chance.
    fitted = model.decision_function(scaled) if model.coef_[0, 0] > 0 else special.logit(folds.group.mean())
    odds = np.empty(len(scores))
    odds[folds.order] = fitted
    return odds

"""Which weighted sum of features, their squares and products tells two groups of records apart?

Squares and products show what single features cannot: a changed spread, and columns that now move together. Among
thousands of products most say nothing, so each fit first shrinks every term by how clearly its mean differs between the
groups, keeps the clearest, and then solves a ridge discriminant (a linear discriminant analysis with penalised weights)
in closed form. Everything that a fit looks at is sums per fold, so that leaving a fold out is a subtraction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.aspects import SMALLEST_SAMPLE
from trimtab.measure.together.features import Features, Indices

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FOLDS = range(2, 11)    # that may be asked for
MOST_RECORDS = 4000    # per side, where nothing else is asked for: more would see little more, and take longer
TOO_FEW = f"too few records to test (fewer than {SMALLEST_SAMPLE})"
MOST_PAIRED = 300    # features whose products are looked at; thousands would need gigabytes
_MOST_TERMS = 150    # products, and single features, that a fit keeps
_LEAST_TERMS, _LITTLE = 4, 0.02    # a fit keeps a few with little weight, however unclear they are
_STREAM = 2    # of random numbers, apart from those that draw records by the same seed
_CLEAR_SINGLE, _CLEAR_PRODUCT = 0.6, 0.8    # parts of 2 ln(terms), from which t² on a term counts
_PENALTY = 1.0
_LARGEST_T2 = 30.0
_SMALLEST_VARIANCE = 1e-3
_JITTER = 1e-3    # the indicators of a column's levels add up to 1, so nothing would be left of one given the others


@dataclass(frozen=True, eq=False)
class Folds:
    """Features of two groups, sorted by fold, with the sums of their products per fold and group.

    Attributes
    ----------
    values : array of float32, shape (features + 1, n)
        The last row is 1, so that a product with it is the feature itself.
    owners : array of int, shape (features + 1,)
        Column of each feature; -1 for the last row.
    order : array of int, shape (n,)
        Where the sorted records stood.
    group : array of bool, shape (n,)
        Whether a record is in the second group.
    ends : array of int, shape (folds + 1,)
        Where folds begin and end.
    counts : array of float, shape (folds, 2)
        Records per fold and group.
    products : array of float, shape (folds, 2, paired + 1, features + 1)
        Sums of products of two features; the rows are the paired features and the row of ones.
    squares : array of float, shape (folds, paired + 1, features + 1)
        Sums of the squares of these products, both groups together.
    terms : array of int, shape (2, terms)
        The products worth looking at, as positions in `values`; single features first, each with the row of ones.
    singles : int
        How many of the terms are single features.
    """

    values: npt.NDArray[np.float32]
    owners: Indices
    order: Indices
    group: Mask
    ends: Indices
    counts: Floats
    products: npt.NDArray[np.float32]
    squares: npt.NDArray[np.float32]
    terms: Indices
    singles: int

    def __len__(self) -> int:
        return len(self.counts)

    def part(self, fold: int) -> slice:
        """Where the records of a fold stand."""
        return slice(int(self.ends[fold]), int(self.ends[fold + 1]))

    def others(self, fold: int) -> list[int]:
        """All folds but one."""
        return [other for other in range(len(self)) if other != fold]


@dataclass(frozen=True, eq=False)
class Rule:
    """A fitted discriminant: the score of a record is the weighted sum of its terms, plus the offset.

    On the scale of log odds, if the terms were normal with equal covariance in both groups.
    """

    terms: Indices
    weights: Floats
    offset: float

    def parts(self, folds: Folds, fold: int) -> Floats:
        """What each term adds to the score of each record of a fold, shape (terms, records)."""
        values = folds.values[:, folds.part(fold)]
        added: Floats = self.weights[:, None] * (values[self.terms[0]] * values[self.terms[1]])
        return added

    def scores(self, folds: Folds, fold: int) -> Floats:
        """Scores of the records of a fold, shape (records,).

        Added up term by term: the rounding of a matrix product depends on where a record stands, and equal records
        must tie.
        """
        scores: Floats = self.parts(folds, fold).sum(axis=0) + self.offset
        return scores


def fold(features: Features, *, folds: int, seed: int) -> Folds:
    """Sort records into folds at random, each with its share of both groups, and add up what fits need.

    Parameters
    ----------
    folds
        2 or more, and not more than the smaller group has records.
    """
    group = features.current
    number = fold_numbers(group, folds, seed)
    order = np.lexsort((group, number))
    ends = np.searchsorted(number[order] * 2 + group[order], np.arange(2 * folds + 1))
    ones = np.ones((1, len(group)), dtype=np.float32)
    values = np.concatenate([features.values[:, order], ones])
    products, squares = _sums(values, ends)
    terms, singles = _terms(features)
    return Folds(
        values=values, owners=np.append(features.owners, -1), order=order, group=group[order], ends=ends[::2],
        counts=np.diff(ends).reshape(folds, 2).astype(np.float64), products=products, squares=squares,
        terms=terms, singles=singles,
    )


def fold_numbers(group: Mask, folds: int, seed: int) -> Indices:
    """The fold of each record, from 0 to folds - 1, at random; folds have as many records of each group, or one less.

    Examples
    --------
    >>> sorted(fold_numbers(np.array([False] * 4), 2, seed=0).tolist())
    [0, 0, 1, 1]
    """
    rng = np.random.default_rng([seed, _STREAM])
    number = np.empty(len(group), dtype=np.intp)
    for side in (False, True):
        members = np.flatnonzero(group == side)
        number[members] = rng.permutation(np.arange(len(members)) % folds)
    return number


def _sums(values: npt.NDArray[np.float32], ends: Indices) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    size, folds = len(values), (len(ends) - 1) // 2
    paired = _paired(size - 1)
    products = np.empty((folds, 2, len(paired), size), dtype=np.float32)
    squares = np.empty((folds, len(paired), size), dtype=np.float32)
    for number in range(folds):
        start, middle, end = ends[2 * number : 2 * number + 3]
        for side, cell in enumerate((values[:, start:middle], values[:, middle:end])):
            products[number, side] = cell[paired] @ cell.T
        squared = values[:, start:end] ** 2
        squares[number] = squared[paired] @ squared.T
    return products, squares


def _paired(features: int) -> Indices:
    """The features whose products are looked at, and the row of ones."""
    return np.append(np.arange(min(features, MOST_PAIRED)), features)


def _terms(features: Features) -> tuple[Indices, int]:
    size = len(features.owners)
    left, right = np.triu_indices(min(size, MOST_PAIRED))
    owners = features.owners
    telling = np.where(left == right, features.curved[left], owners[left] != owners[right])
    singles = np.stack([np.full(size, size), np.arange(size)])
    return np.concatenate([singles, np.stack([left[telling], right[telling]])], axis=1), size


def fit(folds: Folds, train: Sequence[int]) -> Rule:
    """Fit a discriminant on some of the folds.

    Parameters
    ----------
    train
        Numbers of the folds, one or more.
    """
    chosen = list(train)
    counts = folds.counts[chosen].sum(axis=0)
    effective = 1 / (1 / counts).sum()
    terms, belief = _kept(folds, chosen)
    means, scatter = _moments(folds, terms, chosen)
    scale = np.sqrt(belief / np.maximum(np.diag(scatter), _SMALLEST_VARIANCE))
    system = scale[:, None] * scatter * scale
    system[np.diag_indices(len(system))] += _PENALTY * len(system) / effective
    weights = scale * np.linalg.solve(system, scale * (means[1] - means[0]))
    return Rule(terms, weights, float(-weights @ (means[0] + means[1]) / 2))


def _kept(folds: Folds, train: list[int]) -> tuple[Indices, Floats]:
    """The terms to fit on, shape (2, kept), and how much of each is believed."""
    clarity = _clarity(folds, train)
    alone, given_others = clarity[: folds.singles], _clarity_given_others(folds, train)
    single = np.where(np.abs(given_others) > np.abs(alone), given_others, alone)
    kept = []
    for start, t, clear in ((0, single, _CLEAR_SINGLE), (folds.singles, clarity[folds.singles :], _CLEAR_PRODUCT)):
        belief = _belief(t, clear)
        best = np.argsort(-np.abs(t), kind="stable")[:_MOST_TERMS]
        belief[best[:_LEAST_TERMS]] = np.maximum(belief[best[:_LEAST_TERMS]], _LITTLE)
        best = best[belief[best] > 0]
        kept.append((start + best, belief[best]))
    return folds.terms[:, np.concatenate([best for best, _ in kept])], np.concatenate([belief for _, belief in kept])


def _clarity(folds: Folds, train: list[int]) -> Floats:
    """The t statistic of each term's difference between the groups, shape (terms,)."""
    counts = folds.counts[train].sum(axis=0)
    rows, columns = folds.terms
    rows = np.where(rows == len(folds.values) - 1, folds.products.shape[2] - 1, rows)
    sums = folds.products[train].sum(axis=0, dtype=np.float64)[:, rows, columns]
    squares = folds.squares[train].sum(axis=0, dtype=np.float64)[rows, columns]
    variance = squares / counts.sum() - (sums.sum(axis=0) / counts.sum()) ** 2
    means = sums / counts[:, None]
    found: Floats = (means[1] - means[0]) / np.sqrt(np.maximum(variance, _SMALLEST_VARIANCE) * (1 / counts).sum())
    return found


def _clarity_given_others(folds: Folds, train: list[int]) -> Floats:
    """The t statistic of each feature's weight in a discriminant of features alone, shape (singles,).

    Where columns are closely related, a small move of one against the other is clear only in their difference. 0 for
    features beyond the paired ones.
    """
    counts = folds.counts[train].sum(axis=0)
    size = folds.products.shape[2] - 1
    sums = folds.products[train].sum(axis=0, dtype=np.float64)
    means = sums[:, -1, :size] / counts[:, None]
    scatter = (sums[:, :size, :size].sum(axis=0) - (means.T * counts) @ means) / counts.sum()
    scatter[np.diag_indices(size)] += _JITTER + size / counts.sum()
    inverse = np.linalg.inv(scatter)
    found = np.zeros(folds.singles)
    found[:size] = inverse @ (means[1] - means[0]) / np.sqrt(np.diag(inverse) * (1 / counts).sum())
    return found


def _belief(t: Floats, clear: float) -> Floats:
    """How much of each term to believe, in [0, 1).

    A single clear term among many is believed by how far t² passes what the largest of that many would be by chance
    (the non-negative garrote with the universal threshold). Where all are a little larger than chance would have them,
    all are believed by as much (James and Stein).
    """
    if not len(t):
        return t
    squared = np.maximum(t**2, 1e-9)
    chance = 1 + 2 * math.sqrt(2 / len(t))
    all_of_them = 1 - chance / max(float(np.minimum(squared, _LARGEST_T2).mean()), chance)
    return np.maximum(1 - clear * 2 * math.log(max(len(t), 2)) / squared, all_of_them)


def _moments(folds: Folds, terms: Indices, train: Sequence[int]) -> tuple[Floats, Floats]:
    """Means of the terms per group, shape (2, terms), and their covariance within groups."""
    size = terms.shape[1]
    sums, total = np.zeros((2, size)), np.zeros((size, size), dtype=np.float32)
    for number in train:
        values = folds.values[:, folds.part(number)]
        parts = values[terms[0]] * values[terms[1]]
        total += parts @ parts.T
        split = int(folds.counts[number, 0])
        sums += np.stack([parts[:, :split].sum(axis=1), parts[:, split:].sum(axis=1)])
    counts = folds.counts[train].sum(axis=0)
    means = sums / counts[:, None]
    scatter = (total - (means.T * counts) @ means) / counts.sum()
    return means, scatter


def placements(scores: Floats, group: Mask) -> tuple[Floats, Floats]:
    """For each record of the second group, the share of the first group that scores lower, ties as half; and reversed.

    Both have the same mean: the area under the ROC curve of scores against the group. The sum of their
    variances, each over its number of records, is its sampling variance.

    Source: E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988).

    Returns
    -------
    above : array of float, shape (second group,)
        In [0, 1].
    below : array of float, shape (first group,)
        Share of the second group that scores higher.

    Examples
    --------
    >>> above, below = placements(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    >>> above.tolist(), below.tolist()
    ([0.75, 1.0], [1.0, 0.75])
    """
    first, second = np.sort(scores[~group]), np.sort(scores[group])
    lower = np.searchsorted(first, scores[group]) + np.searchsorted(first, scores[group], side="right")
    higher = np.searchsorted(second, scores[~group]) + np.searchsorted(second, scores[~group], side="right")
    return lower / (2 * len(first)), 1 - higher / (2 * len(second))


def beyond_chance(scores: Floats, group: Mask) -> float:
    """How far the second group's ranks are above the first one's, in standard errors of chance.

    The standard error is that of the rank sum over all ways to assign the group, so ties count as they are. Source:
    H. B. Mann and D. R. Whitney, Ann. Math. Stat. 18 (1947).

    Returns
    -------
    float
        0 when all scores are equal.

    Examples
    --------
    >>> round(beyond_chance(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])), 2)
    1.22
    """
    from scipy import stats

    n, m = int((~group).sum()), int(group.sum())
    ranks = stats.rankdata(scores)
    excess = float(ranks[group].sum()) - m * (n + m + 1) / 2
    error = math.sqrt(float(ranks.var(ddof=1)) * n * m / (n + m))
    return excess / error if error > 0 else 0.0

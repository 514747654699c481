"""How far do the words of one day differ from those of another, so that one more day that differs as far is no news?

Texts of one day or one invoice resemble each other, and each word has its own habits: one is said every day alike,
another fifty times on the day of an order. So each bucket has a design effect of its own: how many texts count for one.
It is read off both windows, each around its own shares, for a word that the reference never had shows its habits in the
current window alone. And stretches of the reference, as long as the current window, say how far words move anyway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trimtab.measure.columns.aspects import of_student
from trimtab.measure.columns.floors import Stretches, psi_beyond_chance
from trimtab.measure.columns.variation import FEWEST_DAYS
from trimtab.measure.words.word_days import WordDays

Floats = npt.NDArray[np.float64]
_WEEK = 7


@dataclass(frozen=True, eq=False)
class WordVariation:
    """How many texts count for one, and how far stretches of the reference reach.

    Attributes
    ----------
    terms, buckets : tuple of array, shape (terms,) and (buckets,)
        Design effects of the reference and of the current window, by top term and by bucket; 1 or more.
    mentions, novel : tuple of float
        The same for what PSI is computed on, and for documents with a word that the others do not have.
    floor : mapping
        By aspect: the size that stretches of the reference, as long as the current window, reach against the rest.
    freedom : float
        Degrees of freedom that the design effects were estimated with; infinite where texts are taken as independent.
    """

    terms: tuple[Floats, Floats]
    buckets: tuple[Floats, Floats]
    mentions: tuple[float, float] = (1.0, 1.0)
    novel: tuple[float, float] = (1.0, 1.0)
    floor: Mapping[str, float] = field(default_factory=dict)
    freedom: float = math.inf

    def of_share(self, p_value: Floats) -> Floats:
        """p-values of the normal distribution, as those of Student's t with the degrees of freedom there are."""
        return of_student(p_value, self.freedom)


def independent(terms: int, buckets: int) -> WordVariation:
    """Each text counts for itself, and nothing is natural."""
    return WordVariation((np.ones(terms), np.ones(terms)), (np.ones(buckets), np.ones(buckets)))


@lru_cache(maxsize=4)    # a check asks several times
def word_variation(reference: WordDays, current: WordDays) -> WordVariation:
    """How words vary from day to day.

    Parameters
    ----------
    reference, current : WordDays
        Whole days of both windows. Days without texts do not count.

    Returns
    -------
    WordVariation
        As if texts were independent where the reference has fewer than `FEWEST_DAYS` days with texts, for then nothing
        can be told.

    Notes
    -----
    The design effect of a share is its variance between days, relative to that of independent draws (J. Rao and A.
    Scott, 1981, The analysis of categorical data from complex sample surveys), where both windows hold whole weeks
    between days of one weekday. It is carried over to days of another size by the correlation within a day, 1 + (texts
    per day − 1)ρ. A word that is on few days tells little of its habits, so no bucket has less than buckets have on
    average.
    """
    before, now = (days.only(days.dates[days.number("documents") > 0].tolist()) for days in (reference, current))
    if len(before) < FEWEST_DAYS or not len(now):
        return independent(reference.terms.shape[1], reference.buckets.shape[1])
    days = _Pooled.of(before, now)
    effects = days.effects(np.concatenate([before.buckets, now.buckets]))
    used = effects[~np.isnan(effects)]
    typical = max(float(used.mean()), 1.0) if len(used) else 1.0
    novel = days.effects(np.concatenate([before.new_documents, now.number("novel_documents")])[:, None])
    terms = days.effects(np.concatenate([before.terms, now.terms]))
    return WordVariation(
        days.designs(np.fmax(terms, 1.0)),
        days.designs(np.fmax(effects, typical)),
        _pair(days.designs(np.array([float(np.nanmean(terms)) if not np.isnan(terms).all() else 1.0]))),
        _pair(days.designs(np.fmax(novel, 1.0))),
        floors(before, len(now)),
        days.freedom,
    )


def _pair(designs: tuple[Floats, Floats]) -> tuple[float, float]:
    return float(designs[0][0]), float(designs[1][0])


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Days of both windows: texts of each, whether it is one of the current window, and its stratum."""

    sizes: Floats
    current: npt.NDArray[np.bool_]
    strata: npt.NDArray[np.int64]

    @classmethod
    def of(cls, before: WordDays, now: WordDays) -> _Pooled:
        """Put the days of both windows together."""
        sizes = np.concatenate([before.number("documents"), now.number("documents")]).astype(float)
        weekdays = np.concatenate([before.dates, now.dates]).astype(np.int64) % _WEEK
        weekly = len(now) >= _WEEK and len(before) >= 4 * _WEEK
        return cls(sizes, np.arange(len(sizes)) >= len(before), weekdays if weekly else np.zeros_like(weekdays))

    @property
    def freedom(self) -> float:
        """Days, less what was estimated from them: a share of each window, and how each weekday differs."""
        return float(max(len(self.sizes) - 1 - len(np.unique(self.strata)), 1))

    def effects(self, having: npt.NDArray[np.int64]) -> Floats:
        """Variance of each cell's share between days in units of independent draws; nan where no text, or all, are in.

        Parameters
        ----------
        having : array of int, shape (days, cells)
            Texts of each day in each cell.
        """
        sizes, residual, chance = self.sizes[:, None], having.astype(float), np.zeros(having.shape[1])
        for side in (self.current, ~self.current):
            whole = self.sizes[side].sum()
            share = residual[side].sum(axis=0) / whole
            residual[side] -= sizes[side] * share
            chance += whole * share * (1 - share)
        for stratum in np.unique(self.strata):
            here = self.strata == stratum
            residual[here] -= sizes[here] * (residual[here].sum(axis=0) / self.sizes[here].sum())
        chance *= self.freedom / len(self.sizes)
        found: Floats = np.divide((residual**2).sum(axis=0), chance, out=np.full(len(chance), np.nan), where=chance > 0)
        return found

    def designs(self, effects: Floats) -> tuple[Floats, Floats]:
        """Design effects of the reference and of the current window, 1 or more."""
        correlation = np.maximum(effects - 1, 0) / max(_typical(self.sizes) - 1, 1.0)
        before, now = (1 + max(_typical(self.sizes[side]) - 1, 0.0) * correlation
                       for side in (~self.current, self.current))
        return before, now


def _typical(sizes: Floats) -> float:
    """Texts of the day on which the typical text is."""
    return float((sizes**2).sum() / max(sizes.sum(), 1.0))


def floors(reference: WordDays, days: int) -> dict[str, float]:
    """The largest size of each aspect over stretches of the reference of so many days, each against the rest.

    Parameters
    ----------
    reference : WordDays
        Two days or more, each with texts.
    days : int
        As many as the current window has; stretches are at most half as long as the reference.
    """
    length = min(max(days, 1), len(reference) // 2)
    stretches = Stretches.of(len(reference), length)
    sizes = stretches.sums(reference.number("documents")[:, None])
    inside, outside = (some / many for some, many in zip(stretches.sums(reference.buckets), sizes, strict=True))
    terms, mentions = reference.terms, reference.number("mentions")
    psi = psi_beyond_chance(*stretches.sums(np.column_stack([terms, mentions - terms.sum(axis=1)])))
    return {
        "words": max(float(psi.max()), 0.0),
        "word": float(np.abs(change(outside, inside)).max()),
        "unseen_words": float(_unseen(reference, stretches).max()) if reference.within.all() else
        _newer(*stretches.sums(np.column_stack([reference.new_tokens, reference.number("tokens")]))),
    }


def change(before: npt.ArrayLike, now: npt.ArrayLike) -> Floats:
    """How far apart two shares are: 2·(arcsin √now − arcsin √before).

    Parameters
    ----------
    before, now : array of float
        Shares, in [0, 1].

    Returns
    -------
    array of float
        In [−π, π]; its variance by chance is the same for frequent words and for rare ones.

    Notes
    -----
    Source: J. Cohen, Statistical power analysis for the behavioral sciences (1988), who calls it h, and 0.2 small.

    Examples
    --------
    >>> change([0.0, 0.1], [0.05, 0.02]).round(2).tolist()
    [0.45, -0.36]
    """
    a, b = (np.arcsin(np.sqrt(np.clip(share, 0, 1))) for share in (before, now))
    found: Floats = 2 * (b - a)
    return found


def _newer(inside: Floats, outside: Floats) -> float:
    """How far the share of new tokens of a stretch lies above that of the rest, at most; 0 or more.

    For days that the vocabulary was not frozen on, which have words that it lacks.
    """
    some, others = (side[:, 0] / np.maximum(side[:, 1], 1) for side in (inside, outside))
    return max(float((some - others).max()), 0.0)


def _unseen(reference: WordDays, stretches: Stretches) -> Floats:
    """Share of a stretch's tokens that the rest of the reference does not have, beyond what chance would put there.

    That is what any days would have alone, as many as the stretch has, drawn at random.
    """
    bins, dates, length = reference.bins, reference.dates.astype(np.int64), stretches.length
    first, last, days, occurrences = (
        np.array(one, dtype=np.int64) for one in (bins.first, bins.last, bins.days, bins.occurrences)
    )
    tokens = reference.number("tokens")
    by_chance = float((occurrences * _alone(days, length, len(reference))).sum()) / max(tokens.sum(), 1)
    shares: list[float] = []
    for start in stretches.starts:
        within = (first >= dates[start]) & (last <= dates[start + length - 1])
        here = max(tokens[start : start + length].sum(), 1)
        shares.append(occurrences[within].sum() / here - by_chance * len(reference) / length)
    return np.maximum(np.array(shares, dtype=np.float64), 0.0)


def _alone(days: npt.NDArray[np.int64], some: int, every: int) -> Floats:
    """Probability that all of so many days are among some of all."""
    from scipy import special

    inside = days <= some
    days = np.minimum(days, some)
    ways = special.gammaln([some + 1.0, every + 1.0])
    logarithm = ways[0] - special.gammaln(some - days + 1.0) - ways[1] + special.gammaln(every - days + 1.0)
    found: Floats = np.where(inside, np.exp(logarithm), 0.0)
    return found

"""Has the model's error changed from the window before to the latest one?

What varies is the day, not the record: records of one day share their luck, and days take after the day before (see
`persistence`). A test that takes records as independent finds a change in nearly every pair of large windows. Why the
error has changed is not asked here; `attribution` tells new inputs from a new relation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trimtab.measure.models.intervals import Interval
from trimtab.measure.over_time import persistence
from trimtab.measure.over_time.daily import Daily, as_losses, by_day
from trimtab.measure.over_time.persistence import PHI, Mixture

Floats = npt.NDArray[np.float64]

SMALLEST_RECORDS = 30    # per window, where days are not known
SMALLEST_DAYS = 3        # per window: two would leave one degree of freedom, with an interval of 13 standard errors
LARGEST_DAYS = 1000      # per window; the comparison takes memory of the square of it

_NO_SPREAD = 1e-12    # share of the mean below which spread is rounding


@dataclass(frozen=True)
class Change:
    """Mean loss of the latest window beside that of the window before.

    Attributes
    ----------
    before, now : float
        Mean loss over the records of each window; nan without records.
    difference : Interval
        Now minus before; above 0 the error has grown.
    relative : Interval
        The difference divided by before, 0.15 for 15 % more. nan where before is not above 0; its ends are nan where
        before cannot be told from 0. Its standard error is nan: the interval has no symmetry.
    p_value : float
        Two-sided, of no difference: below 1 - confidence exactly when the interval leaves out 0. nan where there is
        too little to test.
    records_before, records_now : int
        Number of records.
    days_before, days_now : int or None
        Number of days with records; None where days were not given and records were taken as independent.
    persistence : float
        Expected correlation of a day's mean with that of the day before, in [0, 0.95]; nan where days were not given
        or there was too little to test.
    note : str
        What a reader should know: too few days or records, losses that do not vary.
    """

    before: float
    now: float
    difference: Interval
    relative: Interval
    p_value: float
    records_before: int
    records_now: int
    days_before: int | None = None
    days_now: int | None = None
    persistence: float = math.nan
    note: str = ""


@dataclass(frozen=True, eq=False)
class _Means:
    """Two window means under each phi: variances, covariance, degrees of freedom of their difference."""

    before: float
    now: float
    weights: Floats
    variance_before: Floats
    variance_now: Floats
    covariance: Floats
    freedom: Floats

    def contrast(self, factor: float) -> Mixture:
        """What is known of now minus factor times before."""
        spread = self.variance_now + factor**2 * self.variance_before - 2 * factor * self.covariance
        centres = np.full(len(spread), self.now - factor * self.before)
        return Mixture(self.weights, centres, np.sqrt(spread), self.freedom)


def consecutive(
    losses_before: npt.ArrayLike,
    losses_now: npt.ArrayLike,
    *,
    days_before: npt.ArrayLike | None = None,
    days_now: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> Change:
    """Compare the mean loss of the latest window with that of the window before.

    Parameters
    ----------
    losses_before, losses_now
        Shapes (n,) and (m,), finite: one loss for each record whose outcome is known.
    days_before, days_now
        Shapes (n,) and (m,): the records' times, as for `by_day`. Give both or neither. Without them records are taken
        as independent, which is right only where no two of them share an outcome's cause.
    confidence
        Of the intervals, between 0 and 1, both excluded.

    Returns
    -------
    Change
        p-value and ends of intervals are nan with fewer than 3 days in a window, or, without days, 30 records.

    Raises
    ------
    ValueError
        When shapes differ, a loss is not finite, only one side has days, the window before reaches beyond the start of
        the latest, a window has more than 1,000 days, or confidence is out of range.

    Notes
    -----
    See `consecutive_days`; without days this is Welch's test.

    Examples
    --------
    >>> days = np.repeat(np.arange(30), 50)
    >>> rng = np.random.default_rng(0)
    >>> luck = rng.normal(0, 0.05, 60)
    >>> before, now = (rng.exponential(1 + luck[at : at + 30][days]) for at in (0, 30))
    >>> same = consecutive(before, now, days_before=days, days_now=days + 30)
    >>> worse = consecutive(before, 1.3 * now, days_before=days, days_now=days + 30)
    >>> same.p_value > 0.05, worse.p_value < 0.01, 0.15 < worse.relative.low < 0.3 < worse.relative.high
    (True, True, True)
    """
    before, now = as_losses("losses_before", losses_before), as_losses("losses_now", losses_now)
    if (days_before is None) != (days_now is None):
        raise ValueError("days must be given for both windows or for neither")
    if days_before is not None and days_now is not None:
        return consecutive_days(by_day(before, days_before), by_day(now, days_now), confidence=confidence)
    plain = _plain(_mean(before), _mean(now), len(before), len(now), confidence)
    if min(len(before), len(now)) < SMALLEST_RECORDS:
        return replace(plain, note=f"too few records to test (fewer than {SMALLEST_RECORDS} in a window)")
    return _judge(plain, _independent(before, now))


def consecutive_days(before: Daily, now: Daily, *, confidence: float = 0.95) -> Change:
    """Compare two windows of which only the days' means and counts are known; results and errors as `consecutive`.

    A day that is cut by the border of the windows may be in both.

    Notes
    -----
    The variance of each window's mean is that of leaving out one day at a time (J. MacKinnon, M. Nielsen and M. Webb,
    Fast and reliable jackknife and bootstrap methods for cluster-robust inference, J. Appl. Econometrics, 2023). It is
    enlarged by what days that persist add, with degrees of freedom by matching two moments (R. Bell and D. McCaffrey,
    Bias reduction in standard errors for linear regression with multi-stage samples, Survey Methodology, 2002), once
    taking the two windows as equally variable and once as they are, of which the fewer count. The relative change is
    Fieller's, so that it leaves out 0 exactly when the difference does.

    Windows of independent days that are alike are told apart at 5 % in fewer than 5 % of simulated pairs, and in about
    8 % of pairs of 30 days when one day correlates with the next by 0.6. The price are few days: a shift by one
    standard deviation of a day is found in under a tenth with 7 and 7 independent days, in half with 14 and 14, in 95 %
    with 30 and 30 (docs/benchmarks.md, "Errors, from one window to the next").
    """
    plain = _plain(before.mean, now.mean, before.records, now.records, confidence)
    plain = replace(plain, days_before=len(before), days_now=len(now))
    if min(len(before), len(now)) < SMALLEST_DAYS:
        return replace(plain, note=f"too few days to test (fewer than {SMALLEST_DAYS} in a window)")
    if max(len(before), len(now)) > LARGEST_DAYS:
        raise ValueError(f"a window has more than {LARGEST_DAYS} days: {len(before)} and {len(now)}")
    if before.days[-1] > now.days[0]:
        raise ValueError(f"the window before ends on {before.days[-1]}, after the latest began ({now.days[0]})")
    return _judge(plain, _persistent(before, now))


def _mean(losses: Floats) -> float:
    return float(losses.mean()) if len(losses) else math.nan


def _unknown(value: float, confidence: float) -> Interval:
    return Interval(value, math.nan, math.nan, confidence, math.nan)


def _plain(before: float, now: float, records_before: int, records_now: int, confidence: float) -> Change:
    """The change without any test of it."""
    persistence.check_confidence(confidence)
    relative = (now - before) / before if before > 0 else math.nan
    difference = _unknown(now - before, confidence)
    return Change(before, now, difference, _unknown(relative, confidence), math.nan, records_before, records_now)


def _judge(plain: Change, means: _Means) -> Change:
    """Add intervals and p-value."""
    value, confidence = plain.difference.value, plain.difference.confidence
    known = means.contrast(1.0)
    size = max(abs(plain.before), abs(plain.now))
    if float(known.errors.max()) <= _NO_SPREAD * size:
        return _settled(plain, certain=abs(value) > _NO_SPREAD * size)
    error = math.sqrt(float(means.weights @ known.errors**2))
    return replace(
        plain,
        difference=Interval(value, *known.bounds(confidence), confidence, error),
        relative=_relative(plain, means),
        p_value=known.p_value(),
        persistence=float(means.weights @ PHI) if plain.days_before is not None else math.nan,
    )


def _settled(plain: Change, *, certain: bool) -> Change:
    """Losses that vary in neither window."""
    difference, relative = (
        Interval(one.value, one.value, one.value, one.confidence, 0.0) for one in (plain.difference, plain.relative)
    )
    note = "the losses do not vary within the windows"
    return replace(plain, difference=difference, relative=relative, p_value=0.0 if certain else 1.0, note=note)


def _relative(plain: Change, means: _Means) -> Interval:
    """Fieller's interval: all factors for which now and factor times before are not told apart."""
    from scipy import optimize

    confidence = plain.relative.confidence
    tail = (1 - confidence) / 2
    if not plain.before > 0:
        return plain.relative
    centres = np.full_like(means.freedom, plain.before)
    before = Mixture(means.weights, centres, np.sqrt(means.variance_before), means.freedom)
    if means.variance_before.max() > 0 and before.below(0.0) >= 0.999 * tail:
        return plain.relative

    def _ratio(share: float, towards: float) -> float:
        def _missing(factor: float) -> float:
            return means.contrast(factor).below(0.0) - share

        step = 1.0
        factor = plain.now / plain.before
        while _missing(factor + towards * step) * towards < 0:
            step *= 2
        return float(optimize.brentq(_missing, factor, factor + towards * step)) - 1

    low, high = _ratio(tail, -1.0), _ratio(1 - tail, 1.0)
    return replace(plain.relative, low=low, high=high)


def _independent(before: Floats, now: Floats) -> _Means:
    """Welch's test; degrees of freedom once as if both windows varied equally, once as they do, the fewer count."""
    n, m = len(before), len(now)
    variances = float(before.var(ddof=1)) / n, float(now.var(ddof=1)) / m
    freedom = min(_satterthwaite((1 / n, 1 / m), (n - 1, m - 1)), _satterthwaite(variances, (n - 1, m - 1)))
    one = np.ones(1)
    return _Means(
        float(before.mean()), float(now.mean()), one, one * variances[0], one * variances[1], one * 0, one * freedom
    )


def _satterthwaite(variances: tuple[float, float], freedom: tuple[float, float]) -> float:
    total = sum(variances)
    parts = sum(v**2 / f for v, f in zip(variances, freedom, strict=True))
    return total**2 / parts if parts > 0 else float(min(freedom))


def _persistent(before: Daily, now: Daily) -> _Means:
    """Variances by leaving out days, enlarged by what persistence adds under each phi."""
    windows = [_Window.of(before), _Window.of(now)]
    cut = before.days[-1] == now.days[0]    # the later part of a day that both have takes after the earlier part
    positions = [before.positions, now.positions + int(cut)]
    weights = _credible(positions, [before.means, now.means], [window.variance for window in windows])
    apart = {(i, j): persistence.distances(positions[i], positions[j]) for i, j in ((0, 0), (0, 1), (1, 1))}
    under = np.array(
        [_moments(windows, {pair: persistence.powers(phi)[days] for pair, days in apart.items()}) for phi in PHI]
    )
    enlarged = under[:, :2] / under[0, :2] * [window.variance for window in windows]
    covariance = under[:, 2] * np.sqrt(enlarged.prod(axis=1))
    as_they_are = [
        _satterthwaite((v[0], v[1]), (f[0], f[1])) for v, f in zip(enlarged, under[:, 3:5], strict=True)
    ]
    freedom = np.minimum(under[:, 5], as_they_are)
    return _Means(before.mean, now.mean, weights, enlarged[:, 0], enlarged[:, 1], covariance, freedom)


@dataclass(frozen=True, eq=False)
class _Window:
    """Share of each day in the window's mean, its weight in the variance of that mean, and that variance."""

    shares: Floats
    leverage: Floats
    variance: float

    @classmethod
    def of(cls, daily: Daily) -> _Window:
        """Of the days of one window, each as much as it has records."""
        shares = daily.counts / daily.records
        leverage = (len(daily) - 1) / len(daily) * (shares / (1 - shares)) ** 2
        apart = daily.means - daily.mean
        apart[np.abs(apart) <= _NO_SPREAD * abs(daily.mean)] = 0.0
        return cls(shares, leverage, float(leverage @ apart**2))


def _credible(positions: list[npt.NDArray[np.int64]], means: list[Floats], variances: list[float]) -> Floats:
    """Weight of each phi by how well it explains the days of both windows around their means."""
    if not any(variances):
        return np.full(len(PHI), 1 / len(PHI))
    sides = np.repeat([0, 1], [len(one) for one in means])
    spread = np.array([one.std(ddof=1) for one in means])
    scale = np.where(np.array(variances) > 0, spread, spread.max())[sides]
    design = np.column_stack([sides == 0, sides == 1]) / scale[:, None]
    values = np.concatenate(means) / scale
    return persistence.regress(np.concatenate(positions), values, design, np.zeros(len(values))).weights


def _moments(windows: list[_Window], blocks: dict[tuple[int, int], Floats]) -> list[float]:
    """What correlated days, within and between windows, do to the variance of each mean and to its estimate.

    Returns, for days of equal variance: per window the variance of the mean divided by the expected estimate; the
    correlation of the two means; degrees of freedom of the estimate per window; and those of the sum of both.
    """
    shares = [window.shares for window in windows]
    of_means = {(i, j): float(shares[i] @ block @ shares[j]) for (i, j), block in blocks.items()}
    traces, squares = [], {}
    for (i, j), block in blocks.items():
        # Correlation of the days' distances from the means of their windows.
        left = block - shares[i] @ block
        residual = left - (left @ shares[j])[:, None]
        squares[i, j] = float(windows[i].leverage @ residual**2 @ windows[j].leverage)
        if i == j:
            traces.append(float(windows[i].leverage @ np.diag(residual)))
    return [
        of_means[0, 0] / traces[0],
        of_means[1, 1] / traces[1],
        of_means[0, 1] / math.sqrt(of_means[0, 0] * of_means[1, 1]),
        traces[0] ** 2 / squares[0, 0],
        traces[1] ** 2 / squares[1, 1],
        sum(traces) ** 2 / (squares[0, 0] + 2 * squares[0, 1] + squares[1, 1]),
    ]

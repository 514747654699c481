"""Error over time: days carry the evidence, days take after each other, and little evidence is told as such."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import signal, stats

from trimtab.measure.over_time import persistence
from trimtab.measure.over_time.daily import Daily, by_day
from trimtab.measure.over_time.error_change import Change, consecutive, consecutive_days
from trimtab.measure.over_time.error_trend import trend

RNG = np.random.default_rng
REPETITIONS = 150
# A rate of 5 % plus three standard errors over the repetitions.
FIVE_PERCENT = 0.05 + 3 * math.sqrt(0.05 * 0.95 / REPETITIONS)


def luck(rng: np.random.Generator, days: int, phi: float, *, skewed: bool = False) -> Any:
    """Daily deviations of mean 0 and variance 1 that persist; skewed ones have bad days, as storms make them."""
    drawn = rng.exponential(size=(REPETITIONS, days + 50)) - 1 if skewed else rng.normal(size=(REPETITIONS, days + 50))
    return signal.lfilter([1], [1, -phi], drawn, axis=1)[:, 50:] * math.sqrt(1 - phi**2)


def compared(means: Any, counts: Any, first: int, **settings: Any) -> Change:
    """The first days of a series beside the rest."""
    daily = Daily(np.arange(len(means)), means, counts)
    return consecutive_days(daily.take(slice(first)), daily.take(slice(first, None)), **settings)


# -- days --------------------------------------------------------------------------------------------------------------


def test_days_are_means_and_counts_whatever_the_order_of_the_records() -> None:
    rng = RNG(0)
    times = np.datetime64("2024-02-27T00:00") + rng.integers(0, 5 * 24 * 60, 1000).astype("timedelta64[m]")
    losses = rng.exponential(size=1000)
    kept = times.copy(), losses.copy()
    daily, shuffled = by_day(losses, times), rng.permutation(1000)
    again = by_day(losses[shuffled], times[shuffled])
    for day, mean, count in zip(daily.days, daily.means, daily.counts, strict=True):
        here = times.astype("datetime64[D]") == day
        assert (mean, count) == (pytest.approx(losses[here].mean(), rel=1e-12), here.sum())
    assert np.array_equal(daily.days, again.days)
    assert np.array_equal(daily.counts, again.counts)
    np.testing.assert_allclose(daily.means, again.means, rtol=1e-12)
    assert daily.mean == pytest.approx(losses.mean())
    assert np.array_equal(times, kept[0])
    assert np.array_equal(losses, kept[1])


def test_numbers_of_days_and_dates_are_the_same_days() -> None:
    numbers = by_day([1.0, 2.0, 3.0], [19782.9, 19783.0, 19782.0])
    dates = by_day([1.0, 2.0, 3.0], np.array(["2024-02-29", "2024-03-01", "2024-02-29"], dtype="datetime64[ns]"))
    assert numbers.days.tolist() == dates.days.tolist()
    assert numbers.means.tolist() == dates.means.tolist() == [2.0, 2.0]


def test_equal_losses_have_exactly_that_mean() -> None:
    assert by_day(np.full(1000, 0.1), np.zeros(1000)).means.tolist() == [0.1]


def test_no_records_make_no_days() -> None:
    daily = by_day([], np.array([], dtype="datetime64[s]"))
    assert (len(daily), daily.records) == (0, 0)
    assert math.isnan(daily.mean)


@pytest.mark.parametrize(
    ("losses", "times", "words"),
    [
        ([1.0, math.nan], [0, 1], "not finite"),
        ([1.0, 2.0], np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"), "missing"),
        ([1.0, 2.0], [0.0, math.nan], "missing"),
        ([1.0, 2.0], ["2024-01-01", "2024-01-02"], "datetime64 or numbers"),
        ([1.0, 2.0], [0], "shape"),
        ([[1.0, 2.0]], [[0, 1]], "one dimension"),
    ],
)
def test_records_that_make_no_days_are_refused(losses: Any, times: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        by_day(losses, times)


@pytest.mark.parametrize(
    ("days", "means", "counts", "words"),
    [
        ([1, 0], [1.0, 1.0], [1, 1], "increase"),
        ([0, 0], [1.0, 1.0], [1, 1], "increase"),
        ([0, 1], [1.0, math.inf], [1, 1], "finite"),
        ([0, 1], [1.0, 1.0], [1, 0], "1 or more"),
        ([0, 1], [1.0], [1, 1], "one shape"),
    ],
)
def test_days_that_contradict_themselves_are_refused(days: Any, means: Any, counts: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Daily(days, means, counts)


# -- how days take after each other ------------------------------------------------------------------------------------


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
def test_persistence_is_found_in_long_series(phi: float) -> None:
    """Of 10 series of 365 days the mean phi has a standard error below 0.017; truth 0 is met from above only."""
    series = luck(RNG([1, int(10 * phi)]), 365, phi)[:10]
    found = [persistence.regress(np.arange(365), one, np.ones((365, 1)), np.zeros(365)).phi for one in series]
    assert np.mean(found) == pytest.approx(phi, abs=0.05)


def test_persistence_is_found_across_missing_days() -> None:
    """Without weekends 261 of 365 days are left; standard error of the mean below 0.02."""
    days = np.flatnonzero(np.arange(365) % 7 < 5)
    series = luck(RNG(2), 365, 0.6)[:10, days]
    ones = np.ones((len(days), 1))
    found = [persistence.regress(days, one, ones, 0 * one).phi for one in series]
    assert np.mean(found) == pytest.approx(0.6, abs=0.05)


def test_without_persistence_it_is_plain_least_squares() -> None:
    time, values = np.arange(40.0), RNG(3).normal(size=40) + np.arange(40) / 20
    fit = persistence.regress(np.arange(40), values, np.column_stack([np.ones(40), time]), np.zeros(40))
    plain = stats.linregress(time, values)
    assert (fit.estimates[0], fit.errors[0]) == (pytest.approx(plain.slope), pytest.approx(plain.stderr))


def test_bounds_leave_out_equal_shares_of_a_mixture() -> None:
    parts = [0.3, 0.7], [0.0, 1.0], [1.0, 3.0], [3.0, 30.0]
    mixture = persistence.Mixture(*(np.array(part) for part in parts))
    low, high = mixture.bounds(0.9)
    assert (mixture.below(low), mixture.below(high)) == (pytest.approx(0.05), pytest.approx(0.95))


# -- one window beside the window before -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phi", "first", "days", "skewed"),
    [(0.0, 3, 6, False), (0.0, 7, 37, True), (0.4, 14, 28, False), (0.4, 30, 60, True)],
)
def test_unchanged_errors_alarm_in_five_percent_at_most(phi: float, first: int, days: int, skewed: bool) -> None:
    """Days of 10 to 2,000 records with shared luck, intra-class correlation 0.1; 150 repetitions."""
    rng = RNG([days, first, skewed])
    counts = np.exp(rng.uniform(np.log(10), np.log(2000), (REPETITIONS, days))).astype(int)
    own = rng.gamma(counts) / counts - 1
    means = 1 + 0.5 * (math.sqrt(0.1) * luck(rng, days, phi, skewed=skewed) + math.sqrt(0.9) * own)
    p_values = np.array([compared(*one, first).p_value for one in zip(means, counts, strict=True)])
    assert (p_values <= 0.05).mean() <= FIVE_PERCENT


def test_records_taken_as_independent_would_alarm_most_of_the_time() -> None:
    """Why days are asked for: 30 days of 300 records each, intra-class correlation 0.1, nothing changed."""
    rng = RNG(4)
    days = np.repeat(np.arange(60), 300)
    with_days = without = 0
    for _ in range(40):
        losses = np.exp(0.3 * rng.normal(size=60)[days] + 0.9 * rng.normal(size=len(days)))
        now = days >= 30
        with_days += consecutive(losses[~now], losses[now], days_before=days[~now], days_now=days[now]).p_value <= 0.05
        without += consecutive(losses[~now], losses[now]).p_value <= 0.05
    assert without >= 20
    assert with_days <= 8    # 5 % of 40 plus four standard errors


def test_fifteen_percent_more_error_is_found_when_days_vary_little() -> None:
    """30 days a side, days vary by a tenth of the error: the difference is six standard errors."""
    rng = RNG(5)
    means = 1 + 0.1 * luck(rng, 60, 0.0)[:100]
    means[:, 30:] *= 1.15
    found = [compared(one, np.full(60, 500), 30) for one in means]
    assert np.mean([one.p_value <= 0.05 for one in found]) >= 0.95
    # 95 % of 100, less three standard errors.
    assert np.mean([one.relative.low <= 0.15 <= one.relative.high for one in found]) >= 0.88
    assert np.mean([one.difference.low <= 0.15 <= one.difference.high for one in found]) >= 0.88


def test_intervals_leave_out_zero_exactly_when_the_test_finds_a_change() -> None:
    rng = RNG(6)
    for _ in range(50):
        means = np.abs(1 + rng.normal(0, 0.3, 24)) + np.where(np.arange(24) < 14, 0, rng.uniform(-0.4, 0.6))
        found = compared(np.abs(means), rng.integers(10, 500, 24), 14, confidence=0.9)
        significant = found.p_value < 0.1
        assert significant == (found.difference.low > 0 or found.difference.high < 0)
        if not math.isnan(found.relative.low):
            assert significant == (found.relative.low > 0 or found.relative.high < 0)
            assert found.relative.low <= found.relative.value <= found.relative.high


def test_units_of_the_loss_do_not_matter() -> None:
    means, counts = 1 + 0.2 * luck(RNG(7), 40, 0.3)[0], RNG(7).integers(10, 90, 40)
    one, thousand = compared(means, counts, 20), compared(1000 * means, counts, 20)
    assert thousand.p_value == pytest.approx(one.p_value, rel=1e-6)
    assert thousand.difference.low == pytest.approx(1000 * one.difference.low, rel=1e-6)
    assert thousand.relative.high == pytest.approx(one.relative.high, rel=1e-6)


def test_windows_are_averaged_over_records_not_over_days() -> None:
    means, counts = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0]), np.array([10, 10, 80, 1, 1, 2])
    found = compared(means, counts, 3)
    assert (found.before, found.now, found.difference.value) == (2.7, 2.25, pytest.approx(-0.45))
    assert (found.records_before, found.records_now, found.days_before, found.days_now) == (100, 4, 3, 3)


def test_days_that_persist_make_the_answer_less_certain() -> None:
    shuffled = RNG(8).normal(1, 0.1, 60)
    waves = np.sort(shuffled[:30]).tolist() + np.sort(shuffled[30:])[::-1].tolist()
    free, slow = (compared(one, np.full(60, 100), 30) for one in (shuffled, np.array(waves)))
    assert slow.difference.value == pytest.approx(free.difference.value)
    assert slow.persistence > 0.8 > 0.4 > free.persistence
    assert slow.difference.standard_error > 1.5 * free.difference.standard_error


def test_without_days_it_is_welchs_test_or_more_careful() -> None:
    rng = RNG(9)
    for n, m, scale in ((30, 30, 1.0), (40, 200, 3.0), (500, 31, 0.5)):
        before, now = rng.exponential(1, n), rng.exponential(scale, m)
        found, welch = consecutive(before, now), stats.ttest_ind(now, before, equal_var=False)
        assert found.difference.standard_error == pytest.approx((now.mean() - before.mean()) / welch.statistic)
        assert found.p_value >= welch.pvalue - 1e-12
        assert found.p_value == pytest.approx(welch.pvalue, abs=0.03)
        assert (found.days_before, found.days_now) == (None, None)
        assert math.isnan(found.persistence)


def test_a_day_that_both_windows_share_is_cut_between_them() -> None:
    rng = RNG(10)
    hours = np.sort(rng.uniform(0, 20, 2000))
    losses = rng.exponential(size=2000)
    cut = hours > 10.5
    found = consecutive(losses[~cut], losses[cut], days_before=hours[~cut], days_now=hours[cut])
    assert (found.days_before, found.days_now) == (11, 10)
    assert found.p_value > 0.001


@pytest.mark.parametrize("days", [0, 1, 2])
def test_a_window_of_too_few_days_is_told_as_such(days: int) -> None:
    before = Daily(np.arange(30), np.linspace(1, 2, 30), np.full(30, 1000))
    now = Daily(np.arange(30, 30 + days), np.full(days, 9.0), np.full(days, 1000))
    found = consecutive_days(before, now)
    assert "too few days" in found.note
    assert math.isnan(found.p_value)
    assert math.isnan(found.difference.low)
    assert found.now == 9.0 if days else math.isnan(found.now)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 100), (29, 100), (100, 1)])
def test_too_few_records_without_days_are_told_as_such(n: int, m: int) -> None:
    found = consecutive(np.arange(n), np.arange(m))
    assert "too few records" in found.note
    assert math.isnan(found.p_value)


def test_losses_that_do_not_vary_leave_no_doubt() -> None:
    counts = np.full(20, 7)
    same, other = compared(np.full(20, 0.1), counts, 10), compared(np.repeat([0.1, 0.3], 10), counts, 10)
    assert (same.p_value, same.difference.low, same.difference.high) == (1.0, 0.0, 0.0)
    assert (other.p_value, other.difference.low) == (0.0, pytest.approx(0.2))
    assert "do not vary" in same.note
    assert "do not vary" in other.note
    assert consecutive(np.full(50, 0.1), np.full(50, 0.1)).p_value == 1.0
    assert consecutive(np.zeros(50), np.ones(50)).p_value == 0.0


def test_a_model_that_stopped_making_errors_has_improved_by_all_of_them() -> None:
    before = np.tile([0.0, 0.0, 0.0, 1.0], 50)
    for found in (
        consecutive(before, np.zeros(200)),
        consecutive(before, np.zeros(200), days_before=np.repeat(np.arange(20), 10), days_now=np.arange(20, 220)),
    ):
        assert found.p_value < 0.001
        ends = (found.relative.value, found.relative.low, found.relative.high)
        assert ends == pytest.approx((-1.0, -1.0, -1.0), abs=1e-9)


def test_relative_change_needs_an_error_to_relate_to() -> None:
    now = RNG(11).random(40)
    assert math.isnan(consecutive(np.zeros(40), now).relative.value)
    barely = consecutive(np.append(np.zeros(39), 1.0), now).relative    # its mean has an error as large as itself
    assert barely.value > 10
    assert math.isnan(barely.low)
    assert math.isnan(barely.high)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"days_before": np.arange(40)}, "both windows or for neither"),
        ({"days_before": np.arange(40), "days_now": np.arange(39, 79) - 20}, "after the latest began"),
        ({"days_before": np.arange(39), "days_now": np.arange(40)}, "shape"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_windows_that_cannot_be_compared_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        consecutive(np.arange(40.0), np.arange(40.0), **arguments)


def test_losses_that_are_not_finite_and_too_many_days_are_refused() -> None:
    with pytest.raises(ValueError, match="losses_now holds"):
        consecutive(np.ones(40), np.append(np.ones(39), np.nan))
    with pytest.raises(ValueError, match="more than 1000 days"):
        compared(np.arange(1100.0), np.ones(1100), 1050)


# -- slow change -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("days", [14, 60])
def test_a_steady_error_has_no_trend_in_nineteen_of_twenty_series(days: int, phi: float) -> None:
    """150 repetitions of days that persist."""
    means = 1 + 0.3 * luck(RNG([12, days, int(10 * phi)]), days, phi)
    found = [trend(Daily(np.arange(days), one, np.full(days, 1000))).p_value for one in means]
    assert (np.array(found) <= 0.05).mean() <= FIVE_PERCENT


def test_days_of_few_records_make_no_trend_either() -> None:
    """10 to 2,000 records a day, intra-class correlation 0.1, persistence 0.3; 100 of the repetitions."""
    rng = RNG(16)
    counts = np.exp(rng.uniform(np.log(10), np.log(2000), (100, 40))).astype(int)
    own = rng.normal(size=counts.shape) / np.sqrt(counts)
    means = 1 + 0.5 * (math.sqrt(0.1) * luck(rng, 40, 0.3)[:100] + math.sqrt(0.9) * own)
    found = [trend(Daily(np.arange(40), *one)).p_value for one in zip(means, counts, strict=True)]
    assert (np.array(found) <= 0.05).mean() <= 0.115    # 5 % plus three standard errors


def test_a_slow_growth_is_found_and_covered() -> None:
    """120 days that persist (0.4), growing by one standard deviation a month: 100 series."""
    means = 2 + 0.3 * luck(RNG(13), 120, 0.4)[:100] + 0.3 * np.arange(120) / 30
    found = [trend(Daily(np.arange(120), one, np.full(120, 1000))) for one in means]
    assert np.mean([one.p_value <= 0.05 for one in found]) >= 0.9
    # 95 % of 100, less three standard errors.
    assert np.mean([one.slope.low <= 0.3 <= one.slope.high for one in found]) >= 0.88
    # From 2 to 2 + 0.3 * 119 / 30, 59 % more; a mean of 100 has a standard error of about 1 %.
    assert np.mean([one.relative for one in found]) == pytest.approx(0.595, abs=0.04)


def test_slope_is_told_per_thirty_days_across_missing_ones() -> None:
    days = np.array([0, 1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 19, 60])
    found = trend(Daily(days, 1 + 0.01 * days, np.full(15, 3)))
    assert found.slope.value == pytest.approx(0.3)
    assert (found.days, found.span, found.start, found.end) == (15, 61, pytest.approx(1), pytest.approx(1.6))
    assert (found.relative, found.p_value) == (pytest.approx(0.6), 0.0)
    assert found.note == "the daily means lie on a line exactly"


def test_an_error_that_never_moves_has_no_trend() -> None:
    found = trend(Daily(np.arange(20), np.full(20, 0.1), np.arange(1, 21)))
    assert (found.slope.value, found.slope.low, found.slope.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert (found.relative, found.note) == (0.0, "the daily means are all equal")
    assert math.isnan(trend(Daily(np.arange(20), np.zeros(20), np.ones(20))).relative)


@pytest.mark.parametrize("days", [0, 1, 13])
def test_too_few_days_for_a_trend_are_told_as_such(days: int) -> None:
    found = trend(Daily(np.arange(days), np.arange(days), np.ones(days)))
    assert "too few days" in found.note
    assert math.isnan(found.slope.value)
    assert math.isnan(found.p_value)
    assert (found.days, found.span) == (days, days)


def test_a_day_of_few_records_moves_the_trend_little() -> None:
    means, counts = RNG(14).normal(1, 0.05, 60), np.full(60, 1000)
    plain = trend(Daily(np.arange(60), means, counts)).slope.value
    means[59], counts[59] = 5.0, 2
    assert trend(Daily(np.arange(60), means, counts)).slope.value == pytest.approx(plain, abs=0.05)


def test_trends_do_not_depend_on_date_or_unit() -> None:
    means, counts = 1 + 0.2 * luck(RNG(15), 40, 0.3)[0], RNG(15).integers(10, 90, 40)
    one = trend(Daily(np.arange(40), means, counts))
    other = trend(Daily(np.datetime64("2024-01-01") + np.arange(40), 1000 * means, counts))
    assert other.p_value == pytest.approx(one.p_value, rel=1e-6)
    assert other.slope.high == pytest.approx(1000 * one.slope.high, rel=1e-6)
    assert other.relative == pytest.approx(one.relative, rel=1e-6)


def test_a_trend_wants_a_confidence_below_one() -> None:
    with pytest.raises(ValueError, match="confidence"):
        trend(Daily(np.arange(20), np.arange(20), np.ones(20)), confidence=1.0)


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_all_phis_at_once_give_what_each_covariance_gives(own: float) -> None:
    rng = RNG(7)
    days, rows, noise = np.cumsum(rng.integers(1, 5, 40)), rng.normal(size=(40, 3)), own * rng.random(40)
    apart = persistence.distances(days, days)
    phis = persistence.PHI
    white, log_determinants = persistence._whitened(rows, np.diff(days), phis, np.tile(noise, (len(phis), 1)))
    for phi, some, log_determinant in zip(phis, white, log_determinants, strict=True):
        expected, value = persistence.innovations(rows, persistence.powers(float(phi))[apart] + np.diag(noise))
        np.testing.assert_allclose(some, expected, atol=1e-9)
        assert log_determinant == pytest.approx(value, abs=1e-9)

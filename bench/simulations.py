"""How far can single tests be trusted? The simulations that docstrings speak of, each short and by itself."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from alarms import error, percent, repetitions, seeds
from draws import FLAT, KINDS, SEED, draw
from scipy.signal import lfilter
from scipy.stats import spearmanr
from show import prose, table

from trimtab.decide.causes import root_causes
from trimtab.decide.classes import class_drop
from trimtab.decide.losses import performance_drop
from trimtab.decide.signals import FAMILIES
from trimtab.measure.columns import sparse
from trimtab.measure.columns.aspects import look
from trimtab.measure.columns.bins import NumericBins, freeze_categorical, freeze_numeric
from trimtab.measure.columns.cells import finer_cells
from trimtab.measure.columns.divergences import pearson
from trimtab.measure.columns.drift import compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.quantile_cells import between_quantiles
from trimtab.measure.models.class_changes import class_baseline, class_changes
from trimtab.measure.models.class_rates import RateChange
from trimtab.measure.models.importance import Importance
from trimtab.measure.models.intervals import Measure, intervals
from trimtab.measure.models.outputs import Outputs
from trimtab.measure.over_time.change_points import locate
from trimtab.measure.over_time.daily import Daily
from trimtab.measure.over_time.error_change import consecutive_days
from trimtab.measure.over_time.error_trend import trend
from trimtab.measure.over_time.growth import growth
from trimtab.settings.drift import DriftSettings

Array = Any
Rows = list[list[str]]
LEVEL = DriftSettings().alpha / len(FAMILIES)
LABELS = ("often", "seldom", "rare")
FOUND = np.array([0.9, 0.75, 0.6])


def chi_square() -> Rows:
    """p-values of Pearson's test, relative to how often they should be so small."""
    times, rows = repetitions(60_000), []
    for what, shares in {
        "3 alike": np.full(3, 1 / 3), "10 alike": np.full(10, 0.1),
        "one of 90 %, 4 others": np.array([0.9, *[0.025] * 4]),
    }.items():
        for expected in (10, 5):
            rng, small = _rng(len(shares), expected), round(expected / shares.min())
            many = small if shares[0] < 0.5 else 20 * small
            drawn = zip(rng.multinomial(many, shares, times), rng.multinomial(small, shares, times), strict=True)
            p_values = np.array([pearson(*pair)[1] for pair in drawn])
            cells = [f"{(p_values <= level).mean() / level:.2f} ± {error(level, times) / level:.2f}"
                     for level in (0.05, 0.001)]
            rows.append([f"{what}, {expected} expected in the rarest, {many:,} against {small:,}", *cells])
    return rows


def quantiles() -> Rows:
    """p-values over cells cut at the reference's quantiles, relative to how often they should be so small."""
    times, rows = repetitions(60_000), []
    for n, cells, m in ((100, 5, 1_000), (100, 5, 50_000), (300, 10, 1_000), (300, 10, 50_000), (1_000, 10, 1_000)):
        rng, before = _rng(n, cells, m), np.full(cells, n // cells)
        # What lies between order statistics of a sample is a share with a Dirichlet distribution.
        shares = rng.dirichlet(before + (np.arange(cells) == cells - 1), times)
        windows = rng.multinomial(m, shares)
        figures = []
        for test in (between_quantiles, pearson):
            p_values = np.array([test(before, now)[1] for now in windows])
            figures += [f"{(p_values <= level).mean() / level:.2f} ± {error(level, times) / level:.2f}"
                        for level in (0.05, 0.001)]
        rows.append([f"{cells} cells of {n // cells} reference records, {m:,} now", *figures])
    return rows


def many_levels() -> Rows:
    """p-values over single levels, and of the whole look at a category, as the rates they are to have."""
    times, rows = repetitions(4_000), []
    for kind, n, m in (
        ("flat-50", 500, 500), ("flat-200", 500, 500), ("flat-200", 5_000, 500), ("Zipf-50", 5_000, 500),
        ("Zipf-1000", 300, 1_000), ("Zipf-1000", 1_000, 300), ("Zipf-1000", 5_000, 500), ("Zipf-1000", 50_000, 5_000),
    ):
        rng = _rng([*KINDS, *FLAT].index(kind), n, m)
        found = np.array([_levels(draw(rng, kind, n), draw(rng, kind, m)) for _ in range(times)])
        cells = [f"{percent((p <= level).mean())} ± {percent(error(level, len(p)))}" if len(p) else "–"
                 for p in (one[~np.isnan(one)] for one in found.T) for level in (0.05, 0.005)]
        rows.append([f"{kind}, {n:,} records against {m:,}", *cells])
    return rows


def _levels(before: Array, now: Array) -> tuple[float, float]:
    """The p-values of a category: over its single levels (nan when there are too few), and over what tells most."""
    levels, counts = np.unique(before, return_counts=True)
    bins = freeze_categorical(levels[np.argsort(-counts, kind="stable")].astype(str).tolist())
    a, b = (profile_array(side.astype(str), bins) for side in (before, now))
    table = finer_cells(a, b)
    enough = np.count_nonzero(sum(table)) >= sparse.FEWEST_CELLS
    return sparse.p_value(*sparse.pearson(*table)) if enough else math.nan, look(a, b).p_value


def few_positives() -> Rows:
    """How often F1 has dropped, with so many positive records, when nothing has changed."""
    times, rows = repetitions(300), []
    for positives in (3, 5, 10, 30):
        hits = 0
        for seed in range(times):
            rng = _rng(positives, seed)
            before, now = (_called(rng, n, k)[Measure("f1")] for n, k in ((2000, 10 * positives), (300, positives)))
            hits += performance_drop("f1", before, now, greater_is_better=True, alpha=LEVEL).significant
        rows.append([f"{positives} of 300 records", _rate(hits, times)])
    return rows


def _called(rng: np.random.Generator, n: int, positives: int) -> Mapping[Measure, Any]:
    actual = (np.arange(n) < positives).astype(int)
    called = (rng.uniform(size=n) < np.where(actual, 0.6, 0.6 * positives / n)).astype(int)
    return intervals(["f1"], Outputs(("no", "yes"), actual, called, None, 1))


def classes() -> Rows:
    """How often a class has got worse, with days that have luck of their own and class shares that move."""
    rows: Rows = []
    for days, effect in (((18, 7), 0.3), ((60, 30), 0.6), ((20, 2), 0.6)):
        times = repetitions(400)
        found = [_classes(_rng(seed, *days), days, effect, FOUND) for seed in range(times)]
        any_change = sum(min(one.p_value for one in changes) <= 0.05 for changes in found)
        dropped = sum(class_drop(changes, alpha=LEVEL).significant for changes in found)
        rows.append([f"nothing, {days[0]} days and {days[1]}, day effects {effect}", _rate(any_change, times),
                     _rate(dropped, times)])
    for days, effect in (((28, 1), 0.3), ((56, 1), 0.3), ((28, 3), 0.3), ((56, 30), 0.3)):
        times = repetitions(400)
        found = [_classes(_rng(seed, *days, 7), days, effect, FOUND, weekly=1.0) for seed in range(times)]
        any_change = sum(min(one.p_value for one in changes) <= 0.05 for changes in found)
        dropped = sum(class_drop(changes, alpha=LEVEL).significant for changes in found)
        rows.append([f"nothing, Mondays are harder than other days, {days[0]} days and {days[1]} from a Monday on, "
                     f"day effects {effect}", _rate(any_change, times), _rate(dropped, times)])
    worse = np.array([0.9, 0.75, 0.3])
    for records, effect in ((100, 0.0), (100, 0.3), (200, 0.0)):
        times = repetitions(200)
        found = [_classes(_rng(seed, records), (20, 20), effect, worse, rare=records) for seed in range(times)]
        noticed = sum(class_drop(changes, alpha=LEVEL).significant for changes in found)
        rows.append([f"of a class with {records} records 30 % are found instead of 60 %, day effects {effect}", "–",
                     _rate(noticed, times)])
    return rows


def _classes(
    rng: np.random.Generator, days: tuple[int, int], effect: float, found: Array, *, rare: int | None = None,
    weekly: float = 0.0,
) -> tuple[RateChange, ...]:
    a_day = 120 if rare is None else rare
    shares = np.array([0.7, 0.25, 0.05])
    moved = np.array([0.6, 0.3, 0.1]) if rare is None else shares
    dates = np.datetime64("2024-01-01") + np.arange(sum(days))    # the first is a Monday
    before = _answers(rng, dates[: days[0]], a_day, FOUND, shares, effect, weekly)
    now = _answers(rng, dates[days[0]:], a_day, found, moved, effect, weekly)
    return class_changes(class_baseline(*before), *now)


def _answers(
    rng: np.random.Generator, dates: Array, a_day: int, found: Array, shares: Array, effect: float, weekly: float
) -> tuple[Outputs, Array]:
    """Records of some days; each day has its own luck with each class, on the scale of log odds; Mondays have less."""
    day = np.repeat(np.arange(len(dates)), a_day)
    actual = rng.choice(3, len(day), p=shares)
    mondays = (dates.astype(int) + 3) % 7 == 0
    odds = np.log(found / (1 - found)) + effect * rng.normal(size=(len(dates), 3)) - weekly * mondays[:, None]
    hit = rng.uniform(size=len(day)) < 1 / (1 + np.exp(-odds[day, actual]))
    return Outputs(LABELS, actual, np.where(hit, actual, (actual + rng.integers(1, 3, len(day))) % 3)), dates[day]


def numbers_of_records() -> Rows:
    """How often the number of records per day has grown: it varies by 30 %, and weekends have a quarter of it."""
    times, rows, rate = repetitions(300), [], 100
    for days, phi, factor in (
        ((28, 3), 0.0, 1.0), ((28, 3), 0.5, 1.0), ((91, 7), 0.5, 1.0), ((91, 30), 0.0, 1.0), ((91, 30), 0.5, 1.0),
        ((91, 30), 0.0, 1.5), ((91, 30), 0.5, 1.5),
    ):
        every = np.arange(sum(days))
        weekly = np.where(every % 7 >= 5, 0.25, 1.0) * np.where(every < days[0], 1.0, factor)
        rng = _rng(*days, round(10 * phi), round(10 * factor))
        counts = rng.poisson(rate * weekly * np.exp(0.3 * _luck(rng, times, len(every), phi)))
        dates = np.datetime64("2024-01-01") + every
        hits = sum(growth(dates[: days[0]], one[: days[0]], dates[days[0]:], one[days[0]:]).p_value <= 0.05
                   for one in counts)
        rows.append([f"{_times(factor)}, {days[0]} days and {days[1]}, correlation {phi}", _rate(hits, times)])
    return rows


def errors_of_windows() -> Rows:
    """How often the errors of consecutive windows differ at 5 %."""
    times, rows = repetitions(300), []
    for days, phi, shift in (
        ((3, 3), 0.0, 0.0), ((30, 30), 0.0, 0.0), ((14, 14), 0.6, 0.0), ((30, 30), 0.6, 0.0), ((7, 7), 0.0, 1.0),
        ((14, 14), 0.0, 1.0), ((30, 30), 0.0, 1.0),
    ):
        means = 1 + 0.1 * _luck(_rng(*days, round(10 * phi)), times, sum(days), phi)
        means[:, days[0]:] += 0.1 * shift
        pairs = ((_daily(one).take(slice(days[0])), _daily(one).take(slice(days[0], None))) for one in means)
        hits = sum(consecutive_days(*pair).p_value <= 0.05 for pair in pairs)
        rows.append([f"{_shift(shift)}, {days[0]} and {days[1]} days, correlation {phi}", _rate(hits, times)])
    return rows


def errors_that_grow() -> Rows:
    """How often a trend is found at 5 %."""
    times, rows = repetitions(300), []
    for days, phi, rise in (
        (14, 0.0, 0.0), (30, 0.6, 0.0), (120, 0.6, 0.0), (30, 0.0, 1.0), (60, 0.0, 1.0), (120, 0.0, 1.0),
    ):
        means = 1 + 0.1 * _luck(_rng(days, round(10 * phi)), times, days, phi) + 0.1 * rise * np.linspace(0, 1, days)
        hits = sum(trend(_daily(one)).p_value <= 0.05 for one in means)
        rows.append([f"{_shift(rise)} over {days} days, correlation {phi}", _rate(hits, times)])
    return rows


def errors_that_jump() -> Rows:
    """How often a change point is found by ADWIN, and how often within two days of where it is."""
    times, rows = repetitions(200), []
    for days, phi, jump in ((365, 0.0, 0.0), (365, 0.4, 0.0), (120, 0.0, 0.5), (120, 0.0, 1.0), (120, 0.0, 2.0),
                            (120, 0.4, 1.0)):
        means = 1 + 0.1 * _luck(_rng(days, round(10 * phi)), times, days, phi)
        means[:, -30:] += 0.1 * jump
        found = [locate(_daily(one)).located for one in means]
        hits = [one for one in found if one is not None]
        start = np.datetime64("2024-01-01") + days - 30
        near = sum(abs(np.datetime64(one.at, "D") - start) <= np.timedelta64(2, "D") for one in hits)
        rows.append([f"{_shift(jump)}, {days} days, correlation {phi}", _rate(len(hits), times),
                     _rate(near, len(hits)) if jump and hits else "–"])
    return rows


def days_that_share_luck() -> Rows:
    """How often 95 % intervals of accuracy hold the true one, with whole days drawn or records by themselves."""
    times, rows = repetitions(200), []
    for days, shared in ((10, 0.05), (30, 0.05), (60, 0.1)):
        held = np.zeros(2)
        for seed in range(times):
            rng = _rng(days, seed)
            day = np.repeat(np.arange(days), 100)
            right = rng.beta(0.8 * (1 / shared - 1), 0.2 * (1 / shared - 1), days)
            called = (rng.uniform(size=len(day)) > right[day]).astype(int)
            outputs = Outputs(("no", "yes"), np.zeros(len(day), dtype=int), called, None, 1)
            found = [intervals(["accuracy"], outputs, groups=by)[Measure("accuracy")] for by in (day, None)]
            held += [one.low <= 0.8 <= one.high for one in found]
        rows.append([f"{days} days that make up {percent(shared)} of the variance", *(_rate(n, times) for n in held)])
    return rows


def what_matters() -> Rows:
    """Rank correlation of several scores with what the log loss rises by when a column alone has moved."""
    times = repetitions(100)
    found = np.array([_ranked(_rng(seed)) for seed in range(times)])
    found = found[~np.isnan(found).any(axis=1)]
    names = ("distance times share", "PSI times share", "share", "distance", "PSI")
    return [[name, f"{values.mean():.2f} ± {values.std() / math.sqrt(len(values)):.2f}"]
            for name, values in zip(names, found.T, strict=True)]


def _ranked(rng: np.random.Generator) -> list[float]:
    """A logistic model of eight columns, of which five go astray, each in its own way."""
    slopes, before, now = rng.normal(size=8), rng.normal(size=(3000, 8)), rng.normal(size=(1500, 8))
    came = rng.uniform(size=1500) < 1 / (1 + np.exp(-now @ slopes))
    astray, far = now.copy(), rng.uniform(0.3, 3.0, size=5)
    astray[:, 0] += far[0]
    astray[:, 1] *= 1 + far[1]
    astray[:, 2] = far[2]
    astray[:, 3] += far[3] * rng.normal(size=1500)
    astray[:, 4] = np.where(rng.uniform(size=1500) < far[4] / 3, 8.0, now[:, 4])
    names = [f"x{i}" for i in range(8)]
    shuffled = [_loss(slopes, now, came, column, rng.permutation(now[:, column])) for column in range(8)]
    lost = dict(zip(names, shuffled, strict=True))
    importance = Importance("log_loss", 0.5, 1500, 1, lost, dict.fromkeys(names, 0.0))
    bins: dict[str, NumericBins] = {name: freeze_numeric(before[:, i]) for i, name in enumerate(names)}
    drift = compare(*(
        Profile({name: profile_array(values[:, i], bins[name]) for i, name in enumerate(names)}, len(values))
        for values in (before, astray)))
    causes = root_causes(drift, DriftSettings(), sources={name: name for name in names}, importance=importance).ranked
    harm = [_loss(slopes, now, came, names.index(one.column), astray[:, names.index(one.column)]) for one in causes]
    psi = [drift[one.column].psi for one in causes]
    scores = ([one.weight for one in causes], [a * one.share for a, one in zip(psi, causes, strict=True)],
              [one.share for one in causes], [one.distance for one in causes], psi)
    return [float(spearmanr(harm, one).statistic) if len(causes) > 2 else math.nan for one in scores]


def _loss(slopes: Array, values: Array, came: Array, column: int, instead: Array) -> float:
    """What the log loss rises by with other values in one column."""
    other = values.copy()
    other[:, column] = instead
    before, now = (np.logaddexp(0, np.where(came, -1, 1) * (x @ slopes)).mean() for x in (values, other))
    return float(now - before)


# -- what they have in common ------------------------------------------------------------------------------------------


def _rng(*place: int) -> np.random.Generator:
    return np.random.default_rng([SEED, *place])


def _luck(rng: np.random.Generator, times: int, days: int, phi: float) -> Array:
    """Deviations of days, of mean 0 and variance 1, each correlated with the next."""
    drawn = rng.normal(size=(times, days + 50))
    return lfilter([1], [1, -phi], drawn, axis=1)[:, 50:] * math.sqrt(1 - phi**2)


def _daily(means: Array) -> Daily:
    return Daily(np.datetime64("2024-01-01") + np.arange(len(means)), means, np.full(len(means), 1000))


def _rate(hits: float, times: int) -> str:
    return f"{percent(hits / times)} ± {percent(error(hits / times, times))}"


def _times(factor: float) -> str:
    return "nothing" if factor == 1 else f"{factor:g} times as many"


def _shift(size: float) -> str:
    return "nothing" if not size else f"a rise by {size:g} σ of the days"


SIMULATIONS: dict[str, tuple[Callable[[], Rows], str, tuple[str, ...]]] = {
    "Pearson's χ²": (
        chi_square, "`divergences.pearson`: how many times as often as it should be a p-value is at most 5 %, or 0.1 %",
        ("levels", "5 %", "0.1 %")),
    "Cells between quantiles": (
        quantiles, "`quantile_cells.between_quantiles`, and Pearson's χ² on the same cells: how many times as often as "
        "it should be a p-value is at most 5 %, or 0.1 %",
        ("cells", "5 %", "0.1 %", "Pearson's, 5 %", "Pearson's, 0.1 %")),
    "Single levels": (
        many_levels, "`sparse.pearson` on the cells of `cells.finer_cells`, and `aspects.look`, which chooses between "
        "these and the usual ones: p-values of at most 5 %, or 0.5 %, though nothing has changed",
        ("levels", "single, 5 %", "single, 0.5 %", "look, 5 %", "look, 0.5 %")),
    "F1 of few positives": (
        few_positives, f"`losses.FEWEST_OF_CLASS`: drops that are told at {percent(LEVEL)} though there is none, "
        "against a holdout of 2,000 with ten times as many positives", ("positives", "drops")),
    "Classes": (
        classes, f"`class_rates`: the smallest p-value is at most 5 %; a drop is told at {percent(LEVEL)}. Three "
        "classes, whose shares move where nothing else does", ("what has changed", "p ≤ 5 %", "drops")),
    "Growth": (
        numbers_of_records, "`growth`: growth is told at 5 %, of 100 records a day", ("what has changed", "told")),
    "Errors, from one window to the next": (
        errors_of_windows, "`error_change.consecutive_days`: a change is told at 5 %", ("what has changed", "told")),
    "Errors, slowly": (errors_that_grow, "`error_trend.trend`: a trend is told at 5 %", ("what has changed", "told")),
    "Errors, at once": (
        errors_that_jump, "`change_points.locate`: a change point is found; of those, within two days of the jump",
        ("what has changed 30 days before the end", "found", "near")),
    "Days that share their luck": (
        days_that_share_luck, "`intervals`: 95 % intervals that hold the true accuracy, by what the bootstrap draws",
        ("window", "whole days", "records")),
    "What matters": (
        what_matters, "`causes.Cause.weight`: rank correlation, over columns that drifted, with the rise of the log "
        "loss when that column alone goes astray", ("score", "correlation")),
}


def measure() -> dict[str, Any]:
    """The rows of each, by its title."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = {title: pool.submit(run) for title, (run, _, _) in SIMULATIONS.items()}
        return {"rows": {title: job.result() for title, job in jobs.items()}}


def show(found: dict[str, Any]) -> str:
    """The section."""
    parts = ["## Simulations of single tests", prose(f"""What docstrings say of the error rates and the power of single
        tests rests on these, drawn from {seeds()}; beside each rate its standard error.""")]
    for title, rows in found["rows"].items():
        _, told, head = SIMULATIONS[title]
        parts += [f"### {title}", prose(f"{told}."), table(head, rows)]
    return "\n\n".join(parts)

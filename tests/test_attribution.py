"""A change of the error is laid to the inputs, to the relation of outcome and inputs, to both or to neither."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from trimtab import tables
from trimtab.decide.losses import concept_drift
from trimtab.decide.signals import default_triggers, grade
from trimtab.measure.models.intervals import Interval
from trimtab.measure.over_time.attribution import attribute
from trimtab.measure.over_time.error_change import consecutive
from trimtab.measure.unlabelled.estimates import Assumption, Estimate
from trimtab.run.expected import Expected
from trimtab.settings.drift import DriftSettings


def around(value: float, half: float, confidence: float = 0.95) -> Interval:
    return Interval(value, value - half, value + half, confidence, half / 2)


# -- by definition -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("realised", "expected", "verdict"),
    [
        (around(0.10, 0.03), around(0.09, 0.02), "inputs"),
        (around(0.10, 0.03), around(0.00, 0.02), "concept"),
        (around(0.20, 0.03), around(0.10, 0.02), "both"),
        (around(0.00, 0.03), around(0.10, 0.02), "both"),    # each hides the other
        (around(0.01, 0.03), around(0.01, 0.02), "neither"),
        (around(0.04, 0.03), around(0.03, 0.04), "unknown"),    # changed, and neither part can be told from chance
        (around(-0.10, 0.03), around(-0.09, 0.02), "inputs"),
        (around(-0.10, 0.03), around(0.00, 0.02), "concept"),
        (around(0.20, 0.03), around(-0.10, 0.02), "both"),
        (around(0.02, 0.20), around(-0.05, 0.02), "unknown"),    # it went the other way, if it went at all
    ],
)
def test_each_verdict_has_its_evidence(realised: Interval, expected: Interval, verdict: str) -> None:
    assert attribute(realised, expected).verdict == verdict


def test_what_is_left_has_the_uncertainty_of_both() -> None:
    found = attribute(around(0.10, 0.03), around(0.04, 0.04))
    assert (found.realised, found.explained, found.left) == (0.10, 0.04, pytest.approx(0.06))
    assert (found.low, found.high) == (pytest.approx(0.01), pytest.approx(0.11))    # 0.05 is the root of 0.03² + 0.04²


def test_lopsided_intervals_count_on_the_side_they_face() -> None:
    realised, expected = Interval(0.1, 0.07, 0.2, 0.9, 0.03), Interval(0.0, -0.3, 0.04, 0.9, 0.02)
    found = attribute(realised, expected)
    assert (found.low, found.confidence) == (pytest.approx(0.1 - 0.05), 0.9)
    assert found.high == pytest.approx(0.1 + math.hypot(0.1, 0.3))


def test_an_expectation_without_error_leaves_the_realised_interval() -> None:
    found = attribute(around(0.10, 0.03), around(0.02, 0.0))
    assert (found.low, found.high) == (pytest.approx(0.05), pytest.approx(0.11))


@pytest.mark.parametrize("which", ["realised", "expected"])
def test_an_unknown_interval_leaves_the_cause_unknown(which: str) -> None:
    unknown = Interval(0.1, math.nan, math.nan, 0.95, math.nan)
    found = attribute(*(unknown if name == which else around(0.2, 0.01) for name in ("realised", "expected")))
    assert found.verdict == "unknown"
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_change_too_small_to_matter_does_not_enter_the_verdict() -> None:
    realised, expected = around(0.020, 0.002), around(0.019, 0.001)
    assert attribute(realised, expected).verdict == "inputs"
    assert attribute(realised, expected, smallest=0.019).verdict == "inputs"
    assert attribute(realised, expected, smallest=0.05).verdict == "neither"


@pytest.mark.parametrize("smallest", [-0.1, math.nan])
def test_a_smallest_change_below_zero_is_refused(smallest: float) -> None:
    with pytest.raises(ValueError, match="smallest"):
        attribute(around(0.1, 0.1), around(0.1, 0.1), smallest=smallest)


def test_intervals_of_different_confidence_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.95 and 0\.9"):
        attribute(around(0.1, 0.1), around(0.1, 0.1, 0.9))


# -- in words ----------------------------------------------------------------------------------------------------------

RISEN = consecutive(np.tile([0.2, 0.4], 2000), np.tile([0.5, 0.7], 2000))
TRIGGERS = default_triggers(DriftSettings())


@pytest.mark.parametrize(
    ("metric", "realised", "explained", "severity", "told"),
    [
        ("log_loss", 0.390, -0.223, "high", "its log_loss changed by +0.390, though -0.223 was to be "
         "expected of these inputs: they alone would have made it better, and their relation to the outcomes has "
         "changed for the worse by 0.613, more than that change shows."),
        ("accuracy", -0.100, 0.050, "high", "its accuracy changed by -0.100, though +0.050 was to be "
         "expected of these inputs: they alone would have made it better, and their relation to the outcomes has "
         "changed for the worse by 0.150, more than that change shows."),
        ("log_loss", -0.100, -0.300, "high", "its log_loss changed by -0.100, though -0.300 was to be "
         "expected of these inputs: they alone would have made it better, and their relation to the outcomes has "
         "changed for the worse by 0.200, more than that change shows."),
        ("log_loss", 0.300, 0.500, "low", "its log_loss changed by +0.300, though +0.500 was to be "
         "expected of these inputs: they alone would have made it worse, and their relation to the outcomes has "
         "changed for the better by 0.200."),
        ("log_loss", 0.300, 0.300, "low", "its log_loss changed by +0.300, and +0.300 was to be "
         "expected of these inputs: they explain that change, so no changed relation is shown."),
        ("log_loss", 0.300, 0.200, "high", "its log_loss changed by +0.300, of which +0.200 was to be "
         "expected of these inputs: they explain that change in part."),
        ("log_loss", 0.300, 0.000, "high", "its log_loss changed by +0.300, and no change was to be "
         "expected of these inputs: they do not explain that change."),
    ],
)
def test_a_rise_is_told_with_what_the_level_since_the_holdout_follows_from(
    metric: str, realised: float, explained: float, severity: str, told: str
) -> None:
    cause = attribute(around(realised, 0.0), around(explained, 0.02))
    signal = grade(concept_drift(RISEN, "log loss", metric=metric, cause=cause), TRIGGERS)
    assert signal.message == f"The log loss rose by 100.0% from the window before to this one (0.300 to 0.600). " \
        f"Since the champion's holdout {told}"
    assert signal.severity == severity
    assert signal.evidence is not None
    assert (signal.evidence > 0) == (severity == "high")


@pytest.mark.parametrize(
    ("realised", "explained", "told"),
    [
        (0.3, 0.2, "a change that the inputs explain in part"),
        (0.3, 0.5, "a smaller change than the inputs alone would have made"),
        (-0.1, -0.3, "a smaller change than the inputs alone would have made"),
        (0.3, -0.2, "no such change as the inputs alone would have made"),
        (0.0, -0.2, "no such change as the inputs alone would have made"),
    ],
)
def test_the_table_of_the_estimate_says_when_inputs_and_relation_go_opposite_ways(
    realised: float, explained: float, told: str
) -> None:
    cause = attribute(around(realised, 0.0), around(explained, 0.02))
    one = Estimate(0.7, 0.6, 0.8, 0.95, "loss", 0.8, (Assumption("overlap", True, "."),))
    shown = tables.assumptions(Expected({"mae": one}, {}, {}, "mae", {"mae": cause})).to_html()
    assert f"What came of it: {told}" in shown
    assert ("explain in part" in shown) == ("in part" in told)


# -- a world in which the cause is known -------------------------------------------------------------------------------

RECORDS = 2000
REPETITIONS = 200
# A rate of 5 % plus three standard errors over the repetitions.
FIVE_PERCENT = 0.05 + 3 * math.sqrt(0.05 * 0.95 / REPETITIONS)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


def chance(x: Any, slope: float = 1.5) -> Any:
    return 1 / (1 + np.exp(2 - slope * x))


def expected_log_loss(centre: float) -> float:
    """Of a champion that knows the relation of old, on inputs around a centre; exact to twelve digits."""
    p = chance(NODES + centre)
    return float(WEIGHTS @ -(p * np.log(p) + (1 - p) * np.log1p(-p)) / WEIGHTS.sum())


def window(rng: np.random.Generator, centre: float, slope: float) -> tuple[Any, Any]:
    """Inputs, and the champion's log loss on them; it was right about the relation while the slope was 1.5."""
    x = rng.normal(centre, 1, RECORDS)
    late = rng.random(RECORDS) < chance(x, slope)
    p = chance(x)
    return x, -np.log(np.where(late, p, 1 - p))


def verdicts(centre: float, slope: float, expect: Callable[[Any, Any, float], Interval], seed: int) -> Counter[str]:
    """Shares of the verdicts over repetitions in which the inputs move to a centre and the relation to a slope."""
    rng = np.random.default_rng(seed)
    counted: Counter[str] = Counter()
    for _ in range(REPETITIONS):
        x, before = window(rng, 0.0, 1.5)
        realised = consecutive(before, window(rng, centre, slope)[1]).difference
        counted[attribute(realised, expect(x, before, centre)).verdict] += 1
    return counted


def exactly(x: Any, losses: Any, centre: float) -> Interval:
    return around(expected_log_loss(centre) - expected_log_loss(0.0), 0.0)


def reweighted(x: Any, losses: Any, centre: float) -> Interval:
    """From the window before alone, each record counting by how much more frequent its like is now."""
    ratio = np.exp(x * centre - centre**2 / 2)
    shifted = losses * ratio / ratio.mean() - losses
    # The weights' mean is estimated too, which takes away its part of the spread (the ratio estimator's variance).
    spread = (ratio * (losses - np.average(losses, weights=ratio)) - (losses - losses.mean())).std(ddof=1)
    return around(float(shifted.mean()), float(stats.norm.ppf(0.975) * spread / math.sqrt(len(x))))


@pytest.mark.parametrize("expect", [exactly, reweighted])
def test_new_inputs_are_told_from_a_new_relation(expect: Callable[[Any, Any, float], Interval]) -> None:
    """Centre of the inputs 0 to 0.5, slope of the relation 1.5 to 0.25; 2,000 records a side, 200 repetitions."""
    inputs, concept = verdicts(0.5, 1.5, expect, 1), verdicts(0.0, 0.25, expect, 2)
    both, neither = verdicts(0.5, 0.25, expect, 3), verdicts(0.0, 1.5, expect, 4)
    assert inputs["inputs"] >= 0.9 * REPETITIONS
    assert inputs["concept"] + inputs["both"] <= FIVE_PERCENT * REPETITIONS
    assert concept["concept"] >= 0.9 * REPETITIONS
    assert concept["inputs"] + concept["both"] <= FIVE_PERCENT * REPETITIONS
    assert both["both"] >= 0.9 * REPETITIONS
    assert neither["neither"] >= (1 - 2 * FIVE_PERCENT) * REPETITIONS
    assert neither["concept"] + neither["both"] <= FIVE_PERCENT * REPETITIONS

"""Evidence: the ratio is that of the densities, and the probability that follows from it means what it says."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from trimtab.measure.columns.bins import freeze_numeric
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import Profile
from trimtab.measure.evidence import of_difference, of_drift, probability

RNG = np.random.default_rng


class Column(SimpleNamespace):
    """What is looked at of a compared column."""

    def __getitem__(self, name: str) -> Any:
        return SimpleNamespace(p_value=self.p_value, size=self.psi, floor=self.floor)


def seen(freedom: int, psi: float, records: float, p_value: float = 0.5, *, floor: float = -1.0) -> Any:
    return Column(cells=freedom + 1, psi=psi, psi_by_chance=freedom / records, p_value=p_value, floor=floor)


@pytest.mark.parametrize(
    ("freedom", "psi", "records", "size"),
    [(9, 0.12, 100, 0.5), (9, 0.8, 100, 0.5), (1, 0.003, 100, 0.2), (40, 0.6, 100, 0.05), (9, 5.0, 1000, 3.0),
     (200, 2.1, 100, 0.005)],
)
def test_the_ratio_is_that_of_noncentral_and_central_chi_square(
    freedom: int, psi: float, records: float, size: float
) -> None:
    x, shift = psi * records, size * records
    expected = stats.ncx2.logpdf(x, freedom, shift) - stats.chi2.logpdf(x, freedom)
    assert of_drift([seen(freedom, psi, records)], size) == pytest.approx(expected, rel=1e-9)


def test_where_nothing_moved_at_all_the_ratio_is_what_that_leaves() -> None:
    assert of_drift([seen(9, 0.0, 100)], 0.25) == pytest.approx(-25 / 2)


def test_over_columns_the_ratio_is_the_mean_and_untested_ones_say_nothing() -> None:
    loud, still = seen(9, 0.8, 100), seen(9, 0.05, 100)
    alone = [of_drift([one], 0.25) for one in (loud, still)]
    expected = math.log((math.exp(alone[0]) + math.exp(alone[1])) / 2)
    assert of_drift([loud, still], 0.25) == pytest.approx(expected)
    assert of_drift([loud, seen(9, 0.05, 100, math.nan)], 0.25) == pytest.approx(alone[0])
    assert math.isnan(of_drift([], 0.25))


def test_what_natural_variation_reaches_does_not_speak_for_a_change() -> None:
    assert of_drift([seen(9, 0.8, 100)], 0.25) > 5
    assert of_drift([seen(9, 0.8, 100, floor=0.9)], 0.25) == 0.0
    quiet = seen(9, 0.05, 100)
    assert of_drift([seen(9, 0.05, 100, floor=0.9)], 0.25) == of_drift([quiet], 0.25) < 0


def test_a_difference_is_held_against_its_size_or_what_was_found() -> None:
    normal = stats.norm(scale=0.1)
    assert of_difference(0.2, 0.1, 0.3) == pytest.approx(normal.logpdf(0.2 - 0.3) - normal.logpdf(0.2))
    assert of_difference(0.5, 0.1, 0.3) == pytest.approx(normal.logpdf(0.0) - normal.logpdf(0.5))
    assert of_difference(-0.5, 0.1, 0.3) < -10    # a gain speaks against a loss
    assert math.isnan(of_difference(math.nan, 0.1, 0.3))
    assert math.isnan(of_difference(0.1, 0.0, 0.3))
    assert math.isnan(of_difference(0.1, math.nan, 0.3))


def test_probability_is_one_half_without_evidence_and_never_overflows() -> None:
    assert probability([]) == 0.5
    assert probability([math.nan, math.nan]) == 0.5
    assert probability([1e6]) == 1.0
    assert probability([-1e6]) == pytest.approx(0.0, abs=1e-300)
    assert 0.5 < probability([5.0, math.nan]) < probability([5.0])


def checked(rng: np.random.Generator, n: int, m: int, *, moved: bool) -> Drift:
    """Ten normal columns; one of them moved by what makes a PSI of a quarter on its tenths."""
    sides = rng.normal(size=(n, 10)), rng.normal(size=(m, 10))
    sides[1][:, 0] += 0.52 * moved
    bins = {f"c{j}": freeze_numeric(sides[0][:, j]) for j in range(10)}
    return compare(*(
        Profile({name: profile_array(side[:, j], b) for j, (name, b) in enumerate(bins.items())}, len(side))
        for side in sides
    ))


def test_of_checks_called_changed_with_some_probability_that_share_has_changed() -> None:
    """400 simulated checks of 50 to 400 records against 300 to 5,000, every other one drifted (seed 0).

    Each group of a hundred by rising probability: the share that has drifted lies within three standard errors.
    """
    rng = RNG(0)
    told, true = np.empty(400), np.arange(400) % 2 == 1
    for i, moved in enumerate(true):
        drift = checked(rng, int(rng.choice([300, 1000, 5000])), int(rng.choice([50, 100, 200, 400])), moved=moved)
        told[i] = probability([of_drift(drift.columns, 0.25)])
    for group in np.array_split(np.argsort(told), 4):
        expected = told[group].mean()
        error = math.sqrt((told[group] * (1 - told[group])).sum()) / len(group)
        assert abs(true[group].mean() - expected) <= 3 * error + 1 / len(group)

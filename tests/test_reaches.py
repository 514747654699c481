"""How far answers reach, from what is kept of a holdout: they follow the size of errors and hold what was promised."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from trimtab.measure.models.outputs import Outputs
from trimtab.measure.over_time.promises import promises
from trimtab.measure.over_time.snapshots import Snapshot
from trimtab.measure.unlabelled.holdouts import Holdout, keep
from trimtab.measure.unlabelled.ranges import Ranges
from trimtab.measure.unlabelled.reaches import reaches

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

FIRST = date(2024, 3, 1)


def numbers(n: int, seed: int, *, larger: float = 1.0) -> tuple[dict[str, Floats], Outputs]:
    """Errors that grow with x, from 1 to 5 standard deviations."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=n)
    return {"x": x}, Outputs((), larger * rng.normal(size=n) * (1 + 4 * x), np.zeros(n))


def reach(n: int = 2000, *, larger: float = 1.0, seed: int = 1) -> tuple[Floats, Ranges]:
    holdout: Holdout = keep(*numbers(n, 0))
    values, now = numbers(4000, seed, larger=larger)
    found = reaches(holdout, holdout.encode(values), now, actual=now.actual)
    assert found is not None
    return values["x"], found


def test_intervals_of_numbers_are_as_wide_as_errors_are_large_and_hold_nine_in_ten_everywhere() -> None:
    x, found = reach()
    small, large = x < 0.3, x > 0.7
    assert found.width[large].mean() > 2 * found.width[small].mean()
    # The quantile of 2,000 errors is known to 0.7 %, 1,200 outcomes to 0.9 %; the sizes are learned, so a little more.
    for side in (small, large):
        assert found.covered[side].mean() == pytest.approx(0.9, abs=0.04)
    assert found.covered.mean() == pytest.approx(0.9, abs=3 * 0.009)
    assert 0 < found.narrow.mean() < 0.5


def test_errors_that_have_doubled_are_held_less_often() -> None:
    assert reach(larger=2.0)[1].covered.mean() < 0.75


def test_few_records_and_a_model_without_errors_have_intervals_of_one_width() -> None:
    few = reach(n=29)[1]
    assert len(set(few.width.tolist())) == 1
    assert np.isnan(few.narrow).all()
    values, perfect = numbers(100, 0, larger=0.0)
    holdout = keep(values, perfect)
    found = reaches(holdout, holdout.encode(values), perfect)
    assert found is not None
    assert found.width.max() == 0
    assert np.isnan(found.covered).all()


def test_classes_without_probabilities_have_no_ranges_and_tasks_are_not_mixed() -> None:
    values, some = numbers(50, 0)
    codes = (some.actual > 0).astype(int)
    classes = Outputs(("no", "yes"), codes, codes, None, 1)
    holdout = keep(values, classes)
    assert reaches(holdout, holdout.encode(values), classes) is None
    with pytest.raises(ValueError, match="same task"):
        reaches(holdout, holdout.encode(values), some)


def days_of(covered: Floats, rows: int = 200) -> list[Snapshot]:
    return [
        Snapshot(FIRST + timedelta(days=i), rows, rows, {}, {"interval_width": 2.0, "coverage": float(value)})
        for i, value in enumerate(covered)
    ]


def test_what_was_promised_is_kept_unless_days_that_differ_rule_it_out() -> None:
    """Days whose luck persists: of intervals of 95 % nearly all hold the truth, which records alone would not."""
    inside = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        luck = np.zeros(30)
        for day in range(1, 30):
            luck[day] = 0.5 * luck[day - 1] + rng.normal(scale=0.02)
        found = promises(days_of(rng.binomial(200, np.clip(0.9 + luck, 0, 1)) / 200), promised=0.9)
        inside.append(found.coverage.low <= 0.9 <= found.coverage.high)
    assert np.mean(inside) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 150)
    rng = np.random.default_rng(0)
    short = promises(days_of(rng.binomial(200, 0.8, 30) / 200), promised=0.9)
    assert short.kept is False


def test_width_is_a_mean_over_predictions_and_coverage_one_over_known_outcomes() -> None:
    taken = [
        Snapshot(FIRST, 10, 0, {}, {"interval_width": 1.0}),
        Snapshot(FIRST + timedelta(days=1), 30, 10, {}, {"interval_width": 2.0, "narrow_share": 0.5, "coverage": 1.0}),
        Snapshot(FIRST + timedelta(days=2), 30, 30, {}, {"interval_width": 2.0, "narrow_share": 0.0, "coverage": 0.5}),
        Snapshot(FIRST + timedelta(days=3), 99, 99, {}),
    ]
    found = promises(taken[::-1], promised=0.9)
    assert (found.days, found.rows, found.labelled) == (3, 70, 40)
    assert found.width == pytest.approx(130 / 70)
    assert found.narrow == 0.25
    assert found.coverage.value == 0.625
    assert found.kept is None    # two days are too few to tell


def test_days_that_are_all_alike_leave_no_doubt_and_no_days_leave_everything_open() -> None:
    assert promises(days_of(np.ones(5)), promised=0.9).coverage.low == 1.0
    nothing = promises([], promised=0.9)
    assert (nothing.days, nothing.kept) == (0, None)
    assert np.isnan([nothing.width, nothing.narrow, nothing.coverage.value]).all()
    with pytest.raises(ValueError, match="confidence must be"):
        promises([], promised=0.9, confidence=1.0)

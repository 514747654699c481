"""What a loop of retrainings was worth is held against the best that as many models could have done."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from worth import by_hindsight


def test_no_choice_of_months_is_better_than_the_one_by_hindsight() -> None:
    rng, months, changes = np.random.default_rng(4), 6, 2
    records = rng.integers(1, 9, months)
    values = [list(rng.random(month + 1)) for month in range(months)]
    every = []
    for chosen in itertools.combinations(range(1, months), changes):
        made = [max(one for one in (0, *chosen) if one <= month) for month in range(months)]
        every.append(np.average([values[month][made[month]] for month in range(months)], weights=records))
    found = [by_hindsight(values, records, changes, least=least) for least in (False, True)]
    assert found[0] >= max(every) - 1e-12
    assert found[1] <= min(every) + 1e-12
    assert by_hindsight(values, records, months - 1, least=False) >= found[0]
    once = by_hindsight(values, records, 0, least=False)
    assert once == pytest.approx(np.average([month[0] for month in values], weights=records))

"""What the tests of requirements share: a served model whose inputs shift, and small cases.

Each of them plays a promise through on a small table, the way a user of the library would; the details have their own
tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import BINARY, copy_home, merged

import trimtab as tt
from trimtab.measure.models.intervals import Interval
from trimtab.measure.models.outputs import Outputs
from trimtab.run import lifecycle
from trimtab.run.retraining import Challenger
from trimtab.run.session import Session

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def params(served_home: Path, home: Path) -> Path:
    """The params file in a copy of that home."""
    copy_home(served_home, home)
    return home / "demo.yaml"


def challenged(params: Path) -> tuple[Session, Challenger]:
    """A session when half of the records have shifted, and a challenger that serves nobody yet."""
    session = tt.open(params, as_of="2024-04-15")
    return session, lifecycle.train(session, None)


def two_models(right_old: float, right_new: float, n: int = 2000) -> tuple[Outputs, Outputs]:
    """Champion and challenger that are right on these shares of the same records, as far as they can the same ones."""
    actual = np.tile([0, 1], n // 2)

    def says(share: float) -> np.ndarray[Any, Any]:
        return np.where(np.arange(n) < share * n, actual, 1 - actual)

    return tuple(Outputs(("no", "yes"), actual, says(s), None, 1) for s in (right_old, right_new))  # type: ignore[return-value]


def fixed(project: Callable[..., Path], table: pd.DataFrame, **data: Any) -> Session:
    """A session with a fixed reference, January and February, and more roles for columns."""
    window = {"reference": {"from": "2024-01-01", "to": "2024-03-01"}, "current": {"last": "28d"}}
    return tt.open(project(merged(BINARY, windows=window, data=data), table), as_of="2024-04-22", run_id="r")


def near(value: float) -> Interval:
    """A value that is known to a thousandth."""
    return Interval(value, value - 0.001, value + 0.001, 0.95, 0.0005)

"""All columns together: a change of their relation alone is found in a run's own windows, and named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.decide.signals import default_triggers, grade, joint_drift
from trimtab.findings import with_unit
from trimtab.measure.together.domain import Separation
from trimtab.records import Records
from trimtab.run.session import Session
from trimtab.settings.drift import DriftSettings


def opened(project: Callable[..., Path], table: pd.DataFrame) -> Session:
    window = {"reference": {"from": "2024-01-01", "to": "2024-03-01"}, "current": {"last": "30d"}}
    return tt.open(project(merged(BINARY, windows=window), table), as_of="2024-04-20")


def related(strength: float) -> pd.DataFrame:
    """x and z are independent until March, and have this correlation from then on; each by itself stays as it was."""
    table = binary_table(6000)
    late = table["at"] >= "2024-03-01"
    own = np.random.default_rng(1).normal(size=len(table))
    table.loc[late, "z"] = strength * table["x"] + np.sqrt(1 - strength**2) * own
    return table


def test_two_columns_that_begin_to_go_together_are_found_and_named(project: Callable[..., Path]) -> None:
    session = opened(project, related(0.6))
    reference, current = session.windows()
    assert tt.compare(session.profile(reference), session.profile(current)).drifted() == ()
    together = tt.checking.joint(session, current)
    assert together.carriers[0] in {"x with z", "z with x"}
    signal = grade(
        joint_drift(together.separation, together.carriers, floor=together.floor), default_triggers(DriftSettings())
    )
    assert signal.severity in {"low", "medium"}
    assert " with " in signal.message


def test_what_stays_as_it_was_is_not_told_apart(project: Callable[..., Path]) -> None:
    together = tt.checking.joint(session := opened(project, related(0.0)), session.windows()[1])
    found = joint_drift(together.separation, together.carriers, floor=together.floor, alpha=0.01)
    assert not found.significant
    assert 0.5 <= together.floor < 0.6


def test_the_reference_is_drawn_once(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(project, related(0.0))
    first = tt.checking.joint(session, session.windows()[1])
    drawn: list[str] = []
    original = Records.sampled

    def sampled(self: Records, window: object, *rest: object) -> object:
        drawn.append(window.name)  # type: ignore[attr-defined]
        return original(self, window, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Records, "sampled", sampled)
    again = tt.open(session.loaded.path, as_of="2024-04-20")
    assert repr(tt.checking.joint(again, again.windows()[1])) == repr(first)
    assert drawn == ["current"]


def test_a_window_too_small_to_test_says_so(project: Callable[..., Path]) -> None:
    session = opened(project, binary_table(6000))
    few = session.records.between("current", session.as_of - timedelta(hours=6), session.as_of)
    together = tt.checking.joint(session, few)
    found = joint_drift(together.separation, together.carriers)
    assert np.isnan(found.value)
    assert "could not be compared" in found.message


def test_what_moved_long_ago_is_still_since_the_window_before(project: Callable[..., Path]) -> None:
    """x has moved in March, for good; z only in the last ten days."""
    table = binary_table(6000)
    table.loc[table["at"] >= "2024-03-01", "x"] += 2
    table.loc[table["at"] >= "2024-04-10", "z"] += 2
    session = opened(project, table)
    reference = session.reference_window()
    current = session.records.between("current", session.as_of - timedelta(days=10), session.as_of)
    drift = tt.compare(session.profile(reference), session.profile(current))
    assert {"x", "z"} <= {column.name for column in drift.drifted(**session.thresholds.bounds)}
    lately = tt.checking.since_last(session, current)
    assert lately is not None
    assert [column.name for column in lately.drifted(**session.thresholds.bounds)] == ["z"]


def test_without_records_before_it_a_window_is_compared_with_nothing(project: Callable[..., Path]) -> None:
    session = opened(project, binary_table())
    first = session.records.between("current", pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-05"))
    assert tt.checking.since_last(session, first) is None


def _measured(auc: float, p_value: float, floor: float) -> str:
    return joint_drift(Separation(auc, auc - 0.01, auc + 0.01, p_value, 900, 900), ("x",), floor=floor).message


def test_what_chance_does_not_explain_but_stretches_of_the_reference_do_is_said_to_be_told_apart() -> None:
    assert _measured(0.52, 0.4, 0.5) == (
        "Current records cannot be told from those of the reference beyond chance (AUC 0.520).")
    assert _measured(0.99, 1e-9, 0.995) == (
        "Current records can be told from those of the reference (AUC 0.990), but no better than a stretch of the "
        "reference may be told from the rest of it (up to 0.995).")
    assert _measured(0.99, 1e-9, 0.6) == "Current records can be told from those of the reference (AUC 0.990, by x)."


def test_an_area_just_below_a_threshold_is_not_written_as_that_threshold() -> None:
    found = grade(joint_drift(Separation(0.6481, 0.63, 0.66, 1e-9, 900, 900), ()), default_triggers(DriftSettings()))
    assert found.severity == "low"    # medium begins at 0.65
    assert "AUC 0.648)" in found.message
    assert with_unit("joint_drift", found.value) == "AUC 0.648"

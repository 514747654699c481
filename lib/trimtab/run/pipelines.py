"""Which notebook comes next? All branching between notebooks is here, read from what they hand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from trimtab.run.scraps import BaselineScraps, DriftScraps, Scraps, WatchScraps


class Steps(Protocol):
    """What a pipeline needs of the run that it is part of."""

    def step(self, notebook: str, **more: Any) -> Scraps:
        """Execute a notebook, with more parameters than were typed, and return what it hands on."""

    def has_champion(self) -> bool:
        """Whether the model has a champion."""

    def watches(self) -> bool:
        """Whether the champion took another's place a short while ago."""

    def block(self) -> None:
        """Say that a safeguard stopped the run."""


def baseline(run: Steps) -> None:
    """Contract, reference and first champion."""
    run.step("01_baseline")


def drift(run: Steps) -> DriftScraps | None:
    """Drift analysis, after a baseline where there is none; None when no model could become the champion.

    None also when a new champion turned out to be worse than the one before: the run ends with the rollback.
    """
    if not run.has_champion():
        first = run.step("01_baseline")
        assert isinstance(first, BaselineScraps)
        if first.champion_after is None:
            return None
    elif run.watches() and watch(run):
        return None
    found = run.step("02_drift_analysis")
    assert isinstance(found, DriftScraps)
    return found


def retrain(run: Steps) -> None:
    """Drift analysis; then retrain, evaluate and promote, if the decision asks for it and the guardrails allow it.

    A first champion that was made on the way is enough for one run, and no safeguard has stopped anything then.
    """
    first = not run.has_champion()
    found = drift(run)
    if found is None or not found.needs_retrain or first:
        return
    if not found.allowed:
        run.block()
        return
    run.step("03_retrain")
    run.step("04_evaluate_and_promote")


def rollback(run: Steps) -> None:
    """Back to an earlier version."""
    run.step("05_rollback")


def watch(run: Steps) -> bool:
    """Hold a new champion to the one before, and roll it back where it is worse; whether that was done."""
    seen = run.step("07_watch")
    assert isinstance(seen, WatchScraps)
    if seen.outcome != "roll_back":
        return False
    run.step("05_rollback", by="trimtab", why=seen.reading, quarantine=True)
    return True


def approval(run: Steps) -> None:
    """A person's answer to what an earlier run asked."""
    run.step("06_approval")


PIPELINES: dict[str, Callable[[Steps], object]] = {
    "baseline": baseline, "drift": drift, "retrain": retrain, "rollback": rollback,
    "approval": approval, "watch": watch,
}
BY_NAME = ("baseline", "drift", "retrain", "rollback")
"""Those that `trimtab run` takes; the others are part of other commands."""
NOTEBOOKS: dict[str, tuple[str, ...]] = {
    "baseline": ("01_baseline",),
    "drift": ("01_baseline", "07_watch", "05_rollback", "02_drift_analysis"),
    "retrain": (
        "01_baseline", "07_watch", "05_rollback", "02_drift_analysis", "03_retrain", "04_evaluate_and_promote"),
    "rollback": ("05_rollback",),
    "approval": ("06_approval",),
    "watch": ("07_watch", "05_rollback"),
}

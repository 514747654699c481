"""May retraining start now? Every safeguard is checked and shown, whether it holds or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trimtab.decide.decision import Decision
from trimtab.decide.severity import rank
from trimtab.settings import Guardrails, format_duration


@dataclass(frozen=True)
class Check:
    """One safeguard, whether it passed, and the evidence in words."""

    name: str
    passed: bool
    evidence: str


@dataclass(frozen=True)
class Guard:
    """All safeguards together.

    Attributes
    ----------
    checks : tuple of Check
        In the order of the settings.
    """

    checks: tuple[Check, ...]

    @property
    def allowed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """Names of the checks that did not pass."""
        return tuple(check.name for check in self.checks if not check.passed)


def check(
    decision: Decision,
    settings: Guardrails,
    *,
    training_records: int,
    as_of: datetime,
    last_retrain: datetime | None,
    repeated: bool = False,
) -> Guard:
    """Check every safeguard.

    Parameters
    ----------
    decision : Decision
        What asks for retraining.
    settings : Guardrails
        The params file's section.
    training_records : int
        Labelled records that a challenger would learn from.
    as_of : datetime
        The time of the run.
    last_retrain : datetime or None
        The `as_of` of the newest attempt before this run; None when there was none.
    repeated : bool
        Whether the champion was made from the very same records in the very same way.

    Examples
    --------
    >>> decision = Decision(True, "high", 0.99, ("Inputs drifted.",), ())
    >>> check(decision, Guardrails(enabled=False), training_records=5000, as_of=datetime(2013, 7, 1),
    ...       last_retrain=None).blocked_by
    ('enabled',)
    """
    return Guard((
        Check("enabled", settings.enabled, "guardrails.enabled is " + ("on" if settings.enabled else "off")),
        Check(
            "min_severity",
            rank(decision.severity) >= rank(settings.min_severity),
            f"severity is {decision.severity}, at least {settings.min_severity} is asked for",
        ),
        Check(
            "min_records",
            training_records >= settings.min_records,
            f"{training_records:,} labelled records to learn from, at least {settings.min_records:,} are asked for",
        ),
        _cooldown(settings, as_of, last_retrain),
        Check(
            "something_new", not repeated,
            "the champion was made from these very records in this very way" if repeated else
            "the records to learn from, or the way to do it, are not those of the champion",
        ),
    ))


def _cooldown(settings: Guardrails, as_of: datetime, last: datetime | None) -> Check:
    pause = format_duration(settings.cooldown)
    if last is None or last > as_of:
        return Check("cooldown", True, f"no earlier retraining, so there is no pause to keep ({pause} is asked for)")
    waited = as_of - last
    return Check(
        "cooldown", waited >= settings.cooldown,
        f"the last retraining was {format_duration(waited)} ago, at least {pause} is asked for",
    )

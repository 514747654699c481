"""What must hold before retraining may start?"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from trimtab.settings.notation import Clock, Duration, Zone
from trimtab.settings.section import Count, Section
from trimtab.settings.triggers import Severity


class QuietHours(Section):
    """Hours of the day in which no retraining may start; where `to` is not later than `from`, they end the next day."""

    from_: Clock = Field(alias="from")
    to: Clock
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = (
        "mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Guardrails(Section):
    """What must hold before retraining may start."""

    master: bool = True
    enabled: bool = True
    tenants: tuple[str, ...] | None = None
    min_records: Count = 200
    min_recent: Annotated[int, Field(ge=0)] = 0
    max_runtime: Duration = timedelta(seconds=900)
    cooldown: Duration = timedelta(days=7)
    min_severity: Severity = "high"
    confirmation: Duration = timedelta(0)
    approval: Severity | None = None
    approval_expires: Duration = timedelta(days=7)
    quiet_hours: tuple[QuietHours, ...] = ()
    timezone: Zone = "UTC"
    budget: Count | None = None

"""What must hold before retraining may start?"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from trimtab.settings.notation import Clock, Duration, Zone
from trimtab.settings.section import Count, Section
from trimtab.settings.triggers import Severity


class QuietHours(Section):
    """Hours of the day in which no retraining may start; where `to` is not later than `from`, they end the next day."""

    from_: Clock = Field(alias="from")
    to: Clock
    days: Annotated[tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(min_length=1)] = (
        "mon", "tue", "wed", "thu", "fri", "sat", "sun")

    @field_validator("from_", mode="before")
    @classmethod
    def _begins(cls, value: Any) -> Any:
        """The end of a day is the beginning of the next, which is another one of `days`."""
        if value == 24 * 60 or str(value).strip() == "24:00":
            raise ValueError("'24:00' is the end of a day; write 00:00, and the next day in days")
        return value


def _lasting(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("a request that expires at once can be answered by nobody; write a time, such as 7d")
    return value


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
    approval_expires: Annotated[Duration, AfterValidator(_lasting)] = timedelta(days=7)
    quiet_hours: tuple[QuietHours, ...] = ()
    timezone: Zone = "UTC"
    budget: Count | None = None

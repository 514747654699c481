"""What must a challenger pass to serve, and what must it keep to afterwards?"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trimtab.settings.notation import Duration
from trimtab.settings.section import Section

BOUNDS = ("max_drop", "min_gain", "min_relative_gain", "floor")


class Criterion(Section):
    """One condition for promotion: a metric and one bound.

    `max_drop` is non-inferiority, `min_gain` superiority, `min_relative_gain` superiority relative to the champion and
    `floor` bounds the challenger alone; all are turned round for metrics where less is better.
    """

    metric: str
    max_drop: Annotated[float, Field(ge=0)] | None = None
    min_gain: float | None = None
    min_relative_gain: float | None = None
    floor: float | None = None
    per: Literal["class", "segment"] | None = None
    min_support: Annotated[int, Field(ge=1)] = 30
    evidence: Literal["interval", "point"] = "interval"
    otherwise: Literal["reject", "approve"] = "reject"

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if len(self.bounds()) != 1:
            raise ValueError(f"a criterion has exactly one of {', '.join(BOUNDS[:-1])} and {BOUNDS[-1]}")
        return self

    def bounds(self) -> dict[str, float]:
        """The bounds that are set, by name."""
        return {name: getattr(self, name) for name in BOUNDS if getattr(self, name) is not None}


class SmokeLimits(Section):
    """What a model must keep to when it is taken up as serving code would."""

    max_load: Duration = timedelta(seconds=60)
    max_latency: Duration = timedelta(seconds=1)
    max_megabytes: Annotated[float, Field(gt=0)] = 2000.0


class Promotion(Section):
    """The gate that a challenger must pass."""

    confidence: Annotated[float, Field(gt=0, le=0.995)] = 0.95    # 500 bootstrap replicates say no more
    criteria: tuple[Criterion, ...] = ()
    smoke: SmokeLimits = SmokeLimits()
    approval_expires: Duration = timedelta(days=7)


class Rollback(Section):
    """How long and by what a new champion is watched, and how much worse than the one before it may be."""

    watch: Duration = timedelta(hours=24)
    metric: str = "accuracy"
    max_drop: Annotated[float, Field(ge=0)] = 0.05
    min_support: Annotated[int, Field(ge=1)] = 30

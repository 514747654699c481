"""How serious is which signal?"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from trimtab.settings.section import Section

Severity = Literal["none", "low", "medium", "high", "critical"]


class Trigger(Section):
    """A rule: when the signal is at least this large, it has this severity.

    A rule on `performance_drop` may name a metric, in the place of the promotion gate's first, and whether `at_least`
    is a share of the baseline or points of the metric.
    """

    signal: str
    at_least: float
    severity: Severity
    metric: str | None = None
    unit: Literal["share", "points"] = "share"

    @model_validator(mode="after")
    def _metric_of_a_loss(self) -> Self:
        if self.signal != "performance_drop" and (self.metric is not None or self.unit != "share"):
            raise ValueError(f"metric and unit are for rules on performance_drop, not on {self.signal}")
        return self

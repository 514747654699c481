"""How serious is which signal?"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from trimtab.settings.section import Section

Every = Literal["day", "week", "month", "quarter", "year"]
Severity = Literal["none", "low", "medium", "high", "critical"]


class Trigger(Section):
    """A rule: when the signal is at least this large, it has this severity.

    A rule on `performance_drop` may name a metric, in the place of the promotion gate's first, and whether `at_least`
    is a share of the baseline or points of the metric. One on `schedule` says how often; one with `with` counts only
    where another signal is at least so severe.
    """

    signal: str
    at_least: float = Field(ge=0)
    severity: Severity
    metric: str | None = None
    unit: Literal["share", "points"] = "share"
    every: Every | None = None
    with_: Severity | None = Field(default=None, alias="with")

    @model_validator(mode="before")
    @classmethod
    def _once(cls, tree: Any) -> Any:
        """A schedule asks the first time that it is due."""
        scheduled = isinstance(tree, dict) and tree.get("signal") == "schedule"
        return {"at_least": 1, **tree} if scheduled else tree

    @model_validator(mode="after")
    def _of_a_schedule(self) -> Self:
        if (self.signal == "schedule") != (self.every is not None):
            raise ValueError("every goes with a rule on schedule, and a rule on schedule says every: day, week, month, "
                             "quarter or year")
        if self.every is not None and self.at_least < 1:
            raise ValueError("at_least counts how often the stretch has begun since a model was trained: 1 or more "
                             "(0 would ask at each run)")
        return self

    @model_validator(mode="after")
    def _beside_something(self) -> Self:
        if self.with_ == "none":
            raise ValueError("with: none holds always; leave it out, or name a severity from low on")
        return self

    @model_validator(mode="after")
    def _metric_of_a_loss(self) -> Self:
        if self.signal != "performance_drop" and (self.metric is not None or self.unit != "share"):
            raise ValueError(f"metric and unit are for rules on performance_drop, not on {self.signal}")
        return self

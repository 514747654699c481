"""What may a params file say as a whole? One frozen pydantic model per section.

`params.py` reads files into these; everything else takes the sections it needs as values.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trimtab.settings.data import Data, Windows
from trimtab.settings.drift import DriftSettings
from trimtab.settings.estimator import Estimator
from trimtab.settings.guardrails import Guardrails
from trimtab.settings.limits import StepLimits
from trimtab.settings.notation import Time, format_duration
from trimtab.settings.promotion import Promotion, Rollback
from trimtab.settings.section import Section
from trimtab.settings.triggers import Trigger

_DEFAULT_METRICS = {"classification": ("roc_auc", "accuracy"), "regression": ("mae", "mae")}


class Alerts(Section):
    """Where messages go, as Apprise URLs."""

    urls: tuple[str, ...] = ()

    @field_validator("urls")
    @classmethod
    def _named(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        """An empty one is none: the environment may leave it open."""
        return tuple(url for url in urls if url.strip())


class Store(Section):
    """Where the ledger and the model registry are; SQLite paths are relative to `TRIMTAB_HOME`."""

    ledger: str = "sqlite:///.trimtab/ledger.db"
    registry: str = "sqlite:///.trimtab/mlflow.db"


class Params(Section):
    """A whole params file, resolved and checked."""

    model: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)] | None = None
    task: Literal["classification", "regression"]
    as_of: Literal["now", "latest"] | Time = "now"
    data: Data
    windows: Windows = Windows()
    estimator: Estimator
    drift: DriftSettings = DriftSettings()
    triggers: tuple[Trigger, ...] = ()
    guardrails: Guardrails = Guardrails()
    promotion: Promotion = Promotion()
    rollback: Rollback = Rollback()
    limits: StepLimits = StepLimits()
    alerts: Alerts = Alerts()
    store: Store = Store()

    @property
    def soft_limit(self) -> timedelta:
        """After which a step is interrupted."""
        return self.limits.soft or self.guardrails.max_runtime + timedelta(minutes=15)

    @property
    def hard_limit(self) -> timedelta:
        """After which a step is killed."""
        return self.limits.hard or self.soft_limit + timedelta(minutes=1)

    @model_validator(mode="after")
    def _each_limit_longer(self) -> Self:
        if not self.guardrails.max_runtime < self.soft_limit < self.hard_limit:
            raise ValueError(
                f"each of these must be longer than the one before: guardrails.max_runtime "
                f"({format_duration(self.guardrails.max_runtime)}), limits.soft ({format_duration(self.soft_limit)}), "
                f"limits.hard ({format_duration(self.hard_limit)})")
        return self

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, tree: Any) -> Any:
        """Fill in which metrics speak for a model, where the file does not say so."""
        wanted = _DEFAULT_METRICS.get(str(tree.get("task"))) if isinstance(tree, dict) else None
        if wanted is None:
            return tree
        gate, watched = wanted
        criteria = [{"metric": gate, "min_gain": 0.0}]
        defaults: dict[str, dict[str, Any]] = {"promotion": {"criteria": criteria}, "rollback": {"metric": watched}}
        filled = dict(tree)
        for key, default in defaults.items():
            section = tree.get(key, {})
            filled[key] = {**default, **section} if isinstance(section, dict) else section
        return filled

"""From when on has a column drifted?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypedDict

from pydantic import Field, model_validator

from trimtab.errors import ParamsError
from trimtab.settings.section import Section, Share


class Bounds(TypedDict):
    """What a shift is held against."""

    alpha: float
    large: dict[str, float]


class DriftSettings(Section):
    """When a column counts as drifted: significant at `alpha` over all columns, and far enough in some aspect."""

    psi_warn: Annotated[float, Field(gt=0)] = 0.10
    psi_alert: Annotated[float, Field(gt=0)] = 0.25
    shift_warn: Annotated[float, Field(gt=0)] = 0.20
    missing_warn: Share = 0.02
    unseen_warn: Share = 0.005
    outliers_warn: Share = 0.02
    outside_warn: Share = 0.01
    word_warn: Annotated[float, Field(gt=0, le=math.pi)] = 0.20
    terms: Annotated[int, Field(ge=1, le=1000)] = 100
    alpha: Share = 0.05
    min_segment: Annotated[int, Field(ge=30)] = 100
    max_segments: Annotated[int, Field(ge=1)] = 20
    max_columns_reported: Annotated[int, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.psi_warn > self.psi_alert:
            raise ValueError("psi_warn must not be larger than psi_alert")
        return self

    @property
    def large(self) -> dict[str, float]:
        """From which size on a shift counts, by aspect."""
        return {
            "psi": self.psi_warn, "wasserstein": self.shift_warn, "missing": self.missing_warn,
            "unseen": self.unseen_warn, "newcomer": self.unseen_warn, "outliers": self.outliers_warn,
            "outside": self.outside_warn, "words": self.psi_warn, "word": self.word_warn,
            "unseen_words": self.unseen_warn,
        }

    @property
    def bounds(self) -> Bounds:
        """What `Drift.drifted` takes."""
        return {"alpha": self.alpha, "large": self.large}


def drift_settings(given: DriftSettings | Mapping[str, Any] | None) -> DriftSettings:
    """The thresholds of a comparison: as they are, from a mapping of their keys, or by default.

    Raises
    ------
    ParamsError
        For anything else, an unknown key and a value that is none.

    Examples
    --------
    >>> drift_settings({"psi_alert": 0.3}).psi_alert
    0.3
    """
    if isinstance(given, DriftSettings):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise ParamsError(f"settings: a {type(given).__name__} is neither DriftSettings nor a mapping of their keys")
    return DriftSettings.told(given or {}, "settings")

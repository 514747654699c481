"""When does a check of drawn tables raise an alarm? For `null.py` and `power.py`.

Bins are frozen on the whole reference, and categories are counted as codes, which gives the counts that profiling
gives.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import draws
import numpy as np
from draws import Table

from trimtab.decide.signals import FAMILIES
from trimtab.measure.columns.bins import BUCKETS, Bins, bucket, freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import Drift
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.settings.drift import DriftSettings

# Two tables are compared at the whole level; in a check of a model the inputs have their part of it.
ALPHAS = {"two tables": DriftSettings().alpha, "a model's inputs": DriftSettings().alpha / len(FAMILIES)}


def raised(drift: Drift) -> dict[str, bool]:
    """Whether there is an alarm: at each level, and by rules that always or never fire."""
    return {name: bool(drift.drifted(alpha=alpha)) for name, alpha in ALPHAS.items()} | {"always": True, "never": False}


@dataclass(frozen=True)
class Frozen:
    """Bins of a column; of categories also which code each level stands for."""

    bins: Bins
    codes: Any = None

    @classmethod
    def on(cls, values: Any) -> Frozen:
        """Freeze on a reference."""
        if values.dtype.kind == "f":
            return cls(freeze_numeric(values))
        counts = np.bincount(values)
        order = np.lexsort((np.arange(len(counts)), -counts))
        codes = order[counts[order] > 0]
        return cls(freeze_categorical([str(code) for code in codes]), codes)

    def profile(self, values: Any) -> ColumnProfile:
        """Count a window."""
        if self.codes is None:
            return profile_array(values, self.bins)    # type: ignore[arg-type]
        counts = np.bincount(values, minlength=int(self.codes.max()) + 1)
        known = counts[self.codes]
        new = counts.copy()
        new[self.codes] = 0
        buckets = np.bincount([bucket(str(code)) for code in np.flatnonzero(new)], new[new > 0], minlength=BUCKETS)
        unseen = tuple(buckets.astype(int).tolist()) if new.any() else ()
        return ColumnProfile(self.bins, tuple(known.tolist()), unseen=sum(unseen), buckets=unseen)


def freeze(columns: Table) -> dict[str, Frozen]:
    """Freeze all columns of a reference."""
    return {name: Frozen.on(values) for name, values in columns.items()}


def profile(frozen: dict[str, Frozen], columns: Table) -> Profile:
    """Count all columns of a window."""
    return Profile({name: frozen[name].profile(values) for name, values in columns.items()}, 0)


def repetitions(usual: int) -> int:
    """So many, or the share of them that SHARE in the environment asks for (0.05: a twentieth); 2 at least."""
    return max(round(usual * float(os.environ.get("SHARE", "1"))), 2)


def error(rate: float, times: int) -> float:
    """Standard error of a rate; where it is 0 or 1 that of half an event more, for it is not known exactly."""
    within = min(max(rate, 0.5 / times), 1 - 0.5 / times)
    return math.sqrt(within * (1 - within) / times)


def percent(rate: float) -> str:
    """A rate in a table's cell."""
    return "–" if math.isnan(rate) else f"{100 * rate:.1f} %"


def seeds() -> str:
    """What all simulations are drawn from."""
    return f"seed {draws.SEED}"

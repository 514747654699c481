"""What is a version that was loaded, and what may it be used for?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trimtab.errors import UsageError
from trimtab.measure.models import scoring
from trimtab.settings.notation import parse_time


@dataclass(frozen=True, eq=False)
class Model:
    """A version with what is needed to use it.

    Attributes
    ----------
    estimator : fitted pipeline
    lineage : dict
        What is known of its training; empty for a version that Trimtab did not make.
    """

    version: int
    estimator: Any
    lineage: Mapping[str, Any]

    def refuse_before(self, as_of: datetime) -> None:
        """Refuse to measure a model at a time when it could not exist yet.

        Raises
        ------
        UsageError
            When the time lies before the one at which the model was made.
        """
        made = self.lineage.get("as_of")
        if made is not None and as_of < parse_time(made):
            raise UsageError(
                f"as_of {as_of:%Y-%m-%d %H:%M} is before version {self.version} was made (as of "
                f"{parse_time(made):%Y-%m-%d %H:%M}); replay an earlier time in a TRIMTAB_HOME of its own"
            )

    def require(self, features: Collection[str]) -> None:
        """Refuse a model that learned from columns which are not among those that the params file names.

        Raises
        ------
        UsageError
            Naming the first of them.
        """
        gone = [name for name in self.lineage.get("features", ()) if name not in features]
        if gone:
            raise UsageError(
                f"version {self.version} learned from column {gone[0]!r}, which is not named under data any more, so "
                "it cannot be used; name it again, or start over under another model name"
            )

    def positive(self, labels: Sequence[str], named: Any) -> str | None:
        """The positive label in a binary task, as it was settled at training; else the one that is named now."""
        if len(labels) != 2:
            return None
        chosen: str | None = self.lineage.get("positive")
        return chosen if chosen in labels else scoring.choose_positive(labels, {}, named)


def labels(models: Sequence[Model], actual: Sequence[Any]) -> tuple[str, ...]:
    """Class names that occur in any of the models or the outcomes."""
    known = dict.fromkeys(label for model in models for label in scoring.model_labels(model.estimator))
    new = sorted(set(scoring.label_array(actual)) - known.keys())
    return (*known, *new)

"""Which typed values does a notebook hand on? The only module that knows scrapbook's format.

Scrapbook writes nan as text, refuses NumPy's numbers and reads back whatever is there. Here every notebook has a model
of what it hands on; values are checked before they are left in the notebook and again when they are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.errors import StepError
from trimtab.plain import plain
from trimtab.settings.triggers import Severity

Metrics = dict[str, float | None]


class Scraps(BaseModel):
    """What one notebook hands on."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BaselineScraps(Scraps):
    """Of 01_baseline: who serves, and how well it did on its own holdout."""

    champion_before: int | None = None
    champion_after: int | None = None
    verdict: str
    reasons: list[str]
    metrics: Metrics
    rows: int
    fingerprint: dict[str, str | int | None]


class DriftScraps(Scraps):
    """Of 02_drift_analysis: the decision and whether retraining may start."""

    needs_retrain: bool
    severity: Severity
    confidence: float
    reasons: list[str]
    root_causes: list[str]
    untested: list[str] = []
    reading: str
    allowed: bool
    blocked_by: list[str]
    obstacles: list[str] = []
    metrics: Metrics
    rows: int
    fingerprint: dict[str, str | int | None]


class RetrainScraps(Scraps):
    """Of 03_retrain: the version that was trained and serves nobody."""

    challenger: int
    estimator: str
    train_records: int
    holdout_records: int
    fit_seconds: float
    fingerprint: dict[str, str | int | None]


class EvaluationScraps(Scraps):
    """Of 04_evaluate_and_promote: the verdict and who serves now."""

    verdict: str
    reasons: list[str]
    reading: str
    challenger: int
    champion_before: int | None = None
    champion_after: int | None = None
    metrics_champion: Metrics
    metrics_challenger: Metrics


class RollbackScraps(Scraps):
    """Of 05_rollback: who served and who serves now."""

    champion_before: int | None = None
    champion_after: int | None = None
    proof_rows: int
    proof_window: str
    agreement: float | None = None
    by: str | None = None
    why: str | None = None
    passed_over: list[str] = []


class WatchScraps(Scraps):
    """Of 07_watch: what became of a new champion, and by which evidence."""

    outcome: str
    reading: str
    metric: str
    rows: int
    champion: int | None = None
    previous: int | None = None
    promoted_as_of: str | None = None
    way: str | None = None
    compared: int | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    value_champion: float | None = None
    value_previous: float | None = None


class ApprovalScraps(Scraps):
    """Of 06_approval: what was asked, what a person said, and who serves now."""

    request: str
    kind: str
    answer: str
    by: str
    why: str
    reading: str
    champion_before: int | None = None
    champion_after: int | None = None


CONTRACT: dict[str, type[Scraps]] = {
    "01_baseline": BaselineScraps,
    "02_drift_analysis": DriftScraps,
    "03_retrain": RetrainScraps,
    "04_evaluate_and_promote": EvaluationScraps,
    "05_rollback": RollbackScraps,
    "06_approval": ApprovalScraps,
    "07_watch": WatchScraps,
}


def hand_on(notebook: str, **values: Any) -> None:
    """Hand values on from a notebook to whatever comes next.

    Parameters
    ----------
    notebook : str
        Its name without the ending; says which values there must be.
    **values
        One per field of its model in `CONTRACT`.

    Raises
    ------
    StepError
        When a value is missing, unknown or of the wrong type.
    """
    for name, value in plain(_check(notebook, plain(values))).items():
        if value is not None:    # scrapbook has no null; a field that may be null is null when it is not there
            _glue(name, value)


def _glue(name: str, value: Any) -> None:
    """Leave a value in the notebook in scrapbook's format, version 1.

    What `scrapbook.glue` does, without scrapbook: that brings papermill with it, at half a second per start.
    """
    from IPython.display import display

    encoder = "text" if isinstance(value, str) else "json"
    payload = {"name": name, "data": value, "encoder": encoder, "version": 1}
    display(
        {f"application/scrapbook.scrap.{encoder}+json": payload},
        metadata={"scrapbook": {"name": name, "data": True, "display": False}},
        raw=True,
    )


def read(path: Path, notebook: str) -> Scraps:
    """Read what an executed notebook handed on.

    Raises
    ------
    StepError
        When a value is missing, unknown or of the wrong type.
    """
    import nbformat
    from scrapbook.models import Notebook

    found = Notebook(nbformat.read(path, as_version=4)).scraps    # its own reader takes a path for a URL
    return _check(notebook, {name: scrap.data for name, scrap in found.items()})


def _check(notebook: str, values: dict[str, Any]) -> Scraps:
    try:
        return CONTRACT[notebook].model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise StepError(f"{notebook} must hand on {name!r}: {first['msg'].lower()}") from None

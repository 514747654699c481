"""What came of a run, in one object: what `--json` prints, the ledger keeps and the report begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trimtab.errors import BusyError, Interrupted, TrimtabError
from trimtab.plain import plain
from trimtab.run.manifest import Manifest
from trimtab.run.scraps import CONTRACT, BaselineScraps, DriftScraps, EvaluationScraps, RollbackScraps, WatchScraps

FIELDS = (
    "run_id", "model", "tenant", "pipeline", "as_of", "status", "decision", "guard", "verdict", "champion_before",
    "champion_after", "metrics", "run_dir", "seconds", "dry_run",
)
_DECISION = ("needs_retrain", "severity", "confidence", "reasons")


def summarise(
    manifest: Manifest, folder: Path, *, before: int | None, after: int | None, seconds: float,
    unknown: str | None = None,
) -> dict[str, Any]:
    """Sum up what the steps of a run have handed on; what it did not reach is null.

    Parameters
    ----------
    manifest : Manifest
        With status and steps as they ended.
    folder : Path
        Of the run.
    before, after : int or None
        Versions that served before and after it.
    seconds : float
        That it took.
    unknown : str, optional
        Why nobody can say who serves after it; only then it is a field of the result, `champion_unknown`.
    """
    found: dict[type, Any] = {
        CONTRACT[step.notebook]: CONTRACT[step.notebook].model_validate(step.scraps)
        for step in manifest.steps if step.scraps
    }
    baseline: BaselineScraps | None = found.get(BaselineScraps)
    drift: DriftScraps | None = found.get(DriftScraps)
    evaluation: EvaluationScraps | None = found.get(EvaluationScraps)
    told: dict[str, Any] = plain({
        "run_id": manifest.run_id, "model": manifest.model, "tenant": manifest.tenant, "pipeline": manifest.pipeline,
        "as_of": manifest.as_of, "status": manifest.status,
        "decision": {name: getattr(drift, name) for name in _DECISION} if drift else None,
        "guard": {"allowed": drift.allowed, "blocked_by": drift.blocked_by} if drift else None,
        "verdict": _verdict(found),
        "champion_before": before, "champion_after": after,
        "metrics": _metrics(baseline, drift, evaluation),
        "run_dir": folder, "seconds": round(seconds, 3), "dry_run": manifest.dry_run,
    })
    return told if unknown is None else told | {"champion_unknown": unknown}


def never_started(pipeline: str | None, error: TrimtabError, *, as_of: str | None, dry_run: bool) -> dict[str, Any]:
    """The same object for a run that could not even start; of what it was about, only what was typed and read is known.

    Examples
    --------
    >>> told = never_started("drift", TrimtabError("no such file"), as_of=None, dry_run=False)
    >>> told["pipeline"], told["status"], told["run_id"]
    ('drift', 'failed', None)
    """
    by_error = {Interrupted: "interrupted", BusyError: "blocked"}
    status = by_error.get(type(error), "failed")
    return dict.fromkeys(FIELDS) | {
        "pipeline": pipeline, "as_of": as_of, "status": status, "dry_run": dry_run,
        "metrics": {"champion": None, "challenger": None}, **error.about,
    }


def _verdict(found: dict[type, Any]) -> str | None:
    """What was found of a challenger, of a first model, or of a new champion that had to go again.

    A champion that is only measured again has none, nor has one that a person rolls back.
    """
    if WatchScraps in found and RollbackScraps in found:
        return "rolled_back"
    if EvaluationScraps in found:
        return str(found[EvaluationScraps].verdict)
    baseline: BaselineScraps | None = found.get(BaselineScraps)
    return baseline.verdict if baseline is not None and baseline.champion_before is None else None


def because(manifest: Manifest) -> tuple[str, ...]:
    """Why the verdict is what it is: an evaluation's reasons, or what was seen of a new champion that had to go again.

    Examples
    --------
    >>> from datetime import datetime
    >>> from trimtab.run.manifest import Step
    >>> seen = Step("07_watch", scraps={"outcome": "roll_back", "reading": "Version 2 is 9% worse."})
    >>> day = datetime(2024, 4, 1)
    >>> run = Manifest("r1", "churn", None, "drift", "succeeded", day, day, dry_run=False, params={}, steps=[seen])
    >>> run.result = {"verdict": "rolled_back"}
    >>> because(run)
    ('Version 2 is 9% worse.',)
    """
    if manifest.result.get("verdict") == "rolled_back":
        return tuple(str(step.scraps["reading"]) for step in manifest.steps if step.notebook == "07_watch")
    return next((tuple(step.scraps["reasons"]) for step in manifest.steps if "verdict" in step.scraps), ())


def obstacles(manifest: Manifest) -> tuple[str, ...]:
    """Which safeguards did not allow retraining, each with its evidence."""
    return next((tuple(step.scraps.get("obstacles", ())) for step in manifest.steps if "allowed" in step.scraps), ())


def _metrics(
    baseline: BaselineScraps | None, drift: DriftScraps | None, evaluation: EvaluationScraps | None
) -> dict[str, Any]:
    """The newest figures there are: of the evaluation, else realised, else of the baseline."""
    if evaluation:
        return {"champion": evaluation.metrics_champion or None, "challenger": evaluation.metrics_challenger}
    newest = drift or baseline
    told = (newest.metrics or None) if newest else None
    if newest is baseline and baseline is not None and baseline.champion_after is None:    # a first model refused
        return {"champion": None, "challenger": told}
    return {"champion": told, "challenger": None}

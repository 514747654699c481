"""What can be found out about a run before a kernel starts?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimtab import contract
from trimtab.act import estimators
from trimtab.decide import signals
from trimtab.decide.reach import refuse_undue, refuse_unreachable
from trimtab.errors import ParamsError, StateError, UsageError
from trimtab.measure.models.metrics import METRICS
from trimtab.run import approving, kernels, notebooks, rollbacks
from trimtab.run.pipelines import NOTEBOOKS
from trimtab.run.scored import primary_metric
from trimtab.run.session import Session
from trimtab.settings.promotion import Criterion

_BY_HAND = ("rollback", "approval", "watch")    # pipelines that need no outcome
_WITH_EXTRA = ("05_rollback", "06_approval")


@dataclass(frozen=True)
class Request:
    """What was typed.

    Attributes
    ----------
    overrides : tuple of str
        As `--set` takes them.
    extra : dict
        Parameters of one notebook: `to`, `by`, `why` and `force` of a rollback; `request`, `said`, `by` and `why` of
        an approval.
    """

    pipeline: str
    params: Path
    as_of: str | None = None
    overrides: tuple[str, ...] = ()
    dry_run: bool = False
    warm: bool = True
    progress: bool = True
    extra: dict[str, Any] = field(default_factory=dict)


def check(session: Session, request: Request) -> None:
    """Find out all that can be found out before a kernel starts, and change nothing.

    Raises
    ------
    ParamsError, DataError, UsageError, StateError
        For what the run could not go on with.
    """
    params = session.params
    check_criteria(params.promotion.criteria, params.task)
    check_metric("rollback.metric", params.rollback.metric, params.task)
    for trigger in signals.triggers_for(params.drift, params.triggers):
        if trigger.metric is not None:
            check_metric("triggers", trigger.metric, params.task)
        refuse_unreachable(trigger, primary_metric(params))
    for own in params.triggers:
        refuse_undue(own, (params.windows.outcomes or params.windows.current).last, params.data.label_delay)
    for name in NOTEBOOKS[request.pipeline]:
        notebooks.check(notebooks.folder() / f"{name}.ipynb", parameters(session, request, name))
    _check_place(session.run_dir)
    session.check()
    if request.pipeline in {"drift", "retrain"}:
        session.records.window("current", params.windows.current)
    if request.pipeline in {"drift", "retrain"} and params.windows.reference != "training":
        session.reference_window()
    if request.pipeline == "drift" and params.data.label is None:
        _check_unlabelled(session)
    elif request.pipeline not in _BY_HAND:
        _check_training(session)
    _check_stores(session, request)


def check_metric(key: str, name: str, task: str) -> None:
    """Refuse a metric that is unknown, or of the other task.

    Raises
    ------
    ParamsError
        Naming the key.
    """
    known = METRICS.get(name)
    if known is None:
        raise ParamsError(f"{key}: unknown metric {name!r}; known: {', '.join(METRICS)}")
    if (task == "regression") != ("regression" in known.tasks):
        raise ParamsError(f"{key}: {name} is not defined for task: {task}")


def check_criteria(criteria: Sequence[Criterion], task: str) -> None:
    """Refuse criteria that could never be computed, before anything runs.

    Raises
    ------
    ParamsError
        For an unknown metric, one of the other task, and one per class that has no values per class.
    """
    for criterion in criteria:
        check_metric("promotion.criteria", criterion.metric, task)
        known = METRICS[criterion.metric]
        if criterion.per == "class" and known.prepare_per_class is None:
            per_class = ", ".join(name for name, one in METRICS.items() if one.prepare_per_class)
            raise ParamsError(f"promotion.criteria: {criterion.metric} has no values per class; those do: {per_class}")


def _check_stores(session: Session, request: Request) -> None:
    """Whether the registry answers, and for a rollback whether there is a version to go back to."""
    nobody = session.registry.champion() is None and not session.ledger.succession.served()
    if nobody and request.pipeline == "rollback":
        raise UsageError(f"{session.registry.name} has no champion yet, so there is nothing to roll back from")
    if request.pipeline == "rollback":
        rollbacks.targets(session, request.extra.get("to"), force=request.extra.get("force", False))
    if request.pipeline == "approval":
        asked = approving.request(session, request.extra["request"])
        if request.extra["said"] == "approved":
            approving.refuse_stale(session, asked)


def _check_place(folder: Path) -> None:
    """Whether the run's folder can be made, without making it."""
    above = next(path for path in folder.parents if path.exists())
    if not above.is_dir():
        raise StateError(f"{above}: is a file in the place of a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise StateError(f"{above}: cannot be written")


def _check_unlabelled(session: Session) -> None:
    """Without a label nothing can be trained; there must be somebody to watch already."""
    if session.registry.champion() is None:
        raise UsageError(
            f"{session.registry.name} has no champion yet, and without data.label none can be trained; name the label "
            "once to make one, or compare two tables with trimtab.check"
        )


def _check_training(session: Session) -> None:
    """Whether a model could be trained; a drift analysis asks that too, for its guardrails count the records."""
    params = session.params
    training, _ = session.training_windows()
    contract.check_label(session.records, params.task)
    session.settled_positive(training)
    with kernels.without_main_module():
        estimators.check(params.estimator.named().values(), params.task)


def parameters(session: Session, request: Request, notebook: str) -> dict[str, Any]:
    """What a notebook is given. Overrides are handed on as they were typed; secrets in them are not written."""
    given = {
        "params": str(session.loaded.path), "as_of": session.as_of.isoformat(), "run_id": session.run_id,
        "overrides": list(request.overrides), "dry_run": request.dry_run,
    }
    typed = {name: session.loaded.redact(said) if isinstance(said, str) else said
             for name, said in request.extra.items()}
    return given | (typed if notebook in _WITH_EXTRA else {})

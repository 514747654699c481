"""Can this version serve, and are the figures that speak for it fair? What a promotion and a rollback ask alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trimtab.act import modelfile
from trimtab.act.smoke import Smoke, smoke
from trimtab.decide import gates
from trimtab.decide.guardrails import Check
from trimtab.errors import ModelFileError, TrimtabError
from trimtab.run.session import Session
from trimtab.run.versions import Model
from trimtab.settings.notation import parse_time
from trimtab.windows import Window

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 1000


def sample(session: Session, frame: pd.DataFrame) -> pd.DataFrame:
    """Up to a thousand records, spread evenly, of the columns that a model sees."""
    features = frame[list(session.params.data.features)]
    return features.iloc[np.unique(np.linspace(0, len(features) - 1, SAMPLE).astype(int))]


def try_out(session: Session, version: int, features: pd.DataFrame, *, sha256: str | None = None) -> Smoke:
    """Load a version in a fresh process and let it predict.

    Parameters
    ----------
    sha256 : str, optional
        Of the file that it must be, in the place of the ledger's.

    Raises
    ------
    ModelFileError, StepError, TimeLimitError
        When it cannot serve; see `smoke`.
    """
    known = session.ledger.version(version) or {}
    folder = session.served_from(version)
    return smoke(
        folder, features, sha256=sha256 or known.get("sha256"), package=(known.get("lineage") or {}).get("package"),
        limit=session.params.promotion.smoke.max_load, name=f"version {version}", files=known.get("files"),
    )


def gates_of(session: Session, model: Model, holdout: Window, records: pd.DataFrame) -> tuple[Check, ...]:
    """What must hold of a challenger whatever its figures are, with the evidence."""
    return (_no_leakage(session, model, holdout), _can_serve(session, model, records))


def _no_leakage(session: Session, model: Model, holdout: Window) -> Check:
    trained_until = parse_time(model.lineage["trained_until"])
    shared = None
    if session.params.data.id is not None:
        trained = session.records.between("training", parse_time(model.lineage["trained_from"]), trained_until)
        key = session.params.data.id
        both = holdout.table.filter(holdout.table[key].isin(trained.table[key]))
        shared = int(session.records.row(both.aggregate(n=both.count()))["n"])
    return gates.leakage(trained_until=trained_until, holdout_from=holdout.start, shared=shared)


def _can_serve(session: Session, model: Model, records: pd.DataFrame) -> Check:
    limits = session.params.promotion.smoke
    try:
        seen = try_out(session, model.version, sample(session, records))
    except TrimtabError as error:
        return Check("can_serve", False, session.loaded.redact(str(error)))
    return gates.can_serve(
        limits, load_seconds=seen.load_seconds, latency=seen.latency, megabytes=seen.megabytes, rows=seen.rows)


def refuse_secrets(session: Session, folder: Path) -> None:
    """Keep no model whose file holds what `${NAME}` stands for in the estimator's params: all who serve it can read it.

    Raises
    ------
    ModelFileError
        Naming the variable; the folder is gone then.
    """
    asked = json.dumps(session.loaded.public["estimator"])
    content = (folder / modelfile.FILE).read_bytes()
    for secret, placeholder in session.loaded.secrets:
        written = {secret.encode(), json.dumps(secret)[1:-1].encode()}
        if placeholder in asked and any(form in content for form in written):
            shutil.rmtree(folder)
            raise ModelFileError(
                f"the fitted model holds the value of {placeholder} from the estimator's params, and a model file is "
                "no place for a secret; let the class read it from the environment, or write it out if it is none"
            )

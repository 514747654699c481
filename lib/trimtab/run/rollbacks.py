"""How does an older version come back? A target, proof that it can serve, then the change; as notebook 05 calls it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.act import champion as champions
from trimtab.act.champion import Change
from trimtab.decide import rollback
from trimtab.errors import DataError, StepError
from trimtab.measure.models import scoring
from trimtab.run import versions
from trimtab.run.serving import SAMPLE, sample, try_out
from trimtab.run.session import Session
from trimtab.settings import WindowSpec
from trimtab.windows import Window

if TYPE_CHECKING:
    import pandas as pd

@dataclass(frozen=True)
class Proof:
    """Evidence that a version can serve: its file is the registered one, it loads and it predicts recent records.

    Attributes
    ----------
    rows : int
        Records that it predicted, spread evenly over the window.
    window : str
        Which one: `current`, or `newest` where the current one holds nothing.
    champion : int or None
        The version that served meanwhile, and that a rollback expects to find unchanged.
    load_seconds, latency : float
        In a fresh process: until it was loaded, and for one record by itself.
    agreement : float
        With the champion on these: share of equal classes, or correlation of numbers; nan when the champion is broken.
    mean_score : float
        Of what it predicted, when those are numbers.
    """

    version: int
    champion: int | None
    rows: int
    window: str
    load_seconds: float
    latency: float
    agreement: float
    mean_score: float


def target_version(session: Session, to: int | None = None) -> int:
    """The version to roll back to; see `decide.rollback.choose_target`."""
    known = [version.version for version in session.registry.versions()]
    return rollback.choose_target(session.ledger.served(), session.registry.champion(), known, to)


def prove(session: Session, version: int) -> Proof:
    """Prove that a version can serve before anything moves: load it from its checked file, predict recent records.

    Raises
    ------
    ModelFileError
        When its file is missing, altered, corrupt or not reviewed.
    StepError
        When it cannot predict, or learned from columns that are not named any more.
    """
    champion = session.registry.champion()
    model = session.model(version)
    model.require(session.params.data.features)
    window = recent(session)
    features = sample(session, session.frame(window, labelled=False))
    tried = try_out(session, version, features)
    labels = versions.labels([model], []) if session.params.task == "classification" else ()
    positive = model.positive(labels, session.params.data.positive)
    try:
        said = scoring.model_outputs(model.estimator, features, None, labels=labels, positive=positive)
    except Exception as error:
        raise StepError(f"version {version} loads but cannot predict: {type(error).__name__}: {error}") from error
    values = next(iter(scoring.output_values(said).values()))
    mean = float(np.mean(values)) if values.dtype.kind == "f" else math.nan
    agreement = _agreement(session, features, model.estimator.predict(features))
    return Proof(
        version, champion, len(features), window.name, tried.load_seconds, tried.latency, agreement, mean)


def recent(session: Session) -> Window:
    """The current window; where nothing has come for that long, the newest records there are."""
    try:
        return session.records.window("current", session.params.windows.current)
    except DataError:
        return session.records.window("newest", WindowSpec(rows=SAMPLE))


def _agreement(session: Session, features: pd.DataFrame, then: np.ndarray[Any, Any]) -> float:
    """How much the champion says the same; nan where it cannot say anything, for then the rollback is wanted most."""
    try:
        now = session.champion.estimator.predict(features)
    except Exception:  # noqa: BLE001 -- a champion that is broken in whatever way must not stand in its own way out
        return math.nan
    if session.params.task == "classification":
        return float(np.mean(scoring.label_array(now) == scoring.label_array(then)))
    if np.array_equal(now, then):
        return 1.0
    if np.ptp(now) == 0 or np.ptp(then) == 0:    # a constant has no correlation with anything
        return math.nan
    return float(np.corrcoef(now, then)[0, 1])


def roll_back(session: Session, proof: Proof, *, by: str = "trimtab", why: str = "asked for by hand") -> Change:
    """Make a proven version the champion again, if what served at its proof still does.

    Raises
    ------
    ChampionError
        When the champion has changed since.
    """
    return champions.change(
        session.ledger, session.registry, kind="rollback", expected=proof.champion,
        to_version=proof.version, run_id=session.run_id, as_of=session.as_of, by=by, why=why,
    )


def rollback_facts(change: Change, proof: Proof, *, by: str, why: str) -> dict[str, Any]:
    """What later steps, and readers of the report, need to know of a rollback."""
    return {
        "champion_before": change.from_version, "champion_after": change.to_version,
        "proof_rows": proof.rows, "proof_window": proof.window, "agreement": proof.agreement, "by": by, "why": why,
    }

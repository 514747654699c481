"""How does an older version come back? A target, proof that it can serve, then the change; as notebook 05 calls it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.act import champion as champions
from trimtab.act.champion import Change
from trimtab.decide import rollback
from trimtab.errors import DataError, ModelFileError, StepError, TimeLimitError, TrimtabError, UsageError
from trimtab.measure.models import scoring
from trimtab.run import versions
from trimtab.run.serving import SAMPLE, sample, try_out
from trimtab.run.session import Session
from trimtab.settings.data import WindowSpec
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


@dataclass(frozen=True)
class Tried:
    """A version that was tried: with its proof, or with why it cannot serve, in a sentence."""

    version: int
    proof: Proof | None
    problem: str = ""

    def __str__(self) -> str:
        named = f"version {self.version}"
        return self.problem if self.problem.startswith(f"{named} ") else f"{named}: {self.problem}"


@dataclass(frozen=True)
class Search:
    """The versions that were tried, in order, until one could serve.

    Attributes
    ----------
    champion : int or None
        Who served meanwhile.
    """

    tried: tuple[Tried, ...]
    champion: int | None

    @property
    def proof(self) -> Proof:
        """Of the version that can serve.

        Raises
        ------
        StepError
            When none can, with the reason of each.
        """
        if self.tried and self.tried[-1].proof is not None:
            return self.tried[-1].proof
        told = "; ".join(map(str, self.tried))
        raise StepError(f"no older version can serve, so version {self.champion} was left alone; {told}")


def targets(session: Session, to: int | None = None, *, force: bool = False) -> tuple[int, ...]:
    """The versions to try, in order: the one asked for alone, else all that could come back; see `decide.rollback`."""
    registry, ledger = session.registry, session.ledger
    serving, known = registry.champion(), [version.version for version in registry.versions()]
    held = ledger.quarantine.held()
    if to is None:
        return rollback.candidates(ledger.succession.served(), serving, known, held=held)
    return (rollback.choose_target(ledger.succession.served(), serving, known, to, held=held, force=force),)


def search(session: Session, to: int | None = None, *, force: bool = False) -> Search:
    """Try version after version until one proves that it can serve; `targets` says which.

    Raises
    ------
    UsageError
        When there is none to try.
    """
    tried: list[Tried] = []
    for version in targets(session, to, force=force):
        try:
            proof = prove(session, version)
        except (ModelFileError, StepError, TimeLimitError, UsageError) as error:
            told = " ".join(session.loaded.redact(str(error)).split())    # one line, whatever a library says
            tried.append(Tried(version, None, told))
            continue
        tried.append(Tried(version, proof))
        break
    return Search(tuple(tried), session.registry.champion())


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
    window = recent(session)
    features = sample(session, session.frame(window, labelled=False))
    lineage = (session.ledger.version(version) or {}).get("lineage") or {}
    versions.Model(version, None, lineage).require(session.params.data.features)
    tried = try_out(session, version, features)
    model = session.model(version)
    labels = versions.labels([model], []) if session.params.task == "classification" else ()
    positive = model.positive(labels, session.params.data.positive)
    try:
        said = scoring.model_outputs(model.estimator, features, None, labels=labels, positive=positive)
    except Exception as error:
        raise StepError(f"version {version} loads but cannot predict: {type(error).__name__}: {error}") from error
    values = next(iter(scoring.output_values(said).values()))
    mean = float(np.mean(values)) if values.dtype.kind == "f" else math.nan
    agreement = _agreement(session, champion, features, tried.said)
    return Proof(
        version, champion, len(features), window.name, tried.load_seconds, tried.latency, agreement, mean)


def recent(session: Session) -> Window:
    """The current window; where nothing has come for that long, the newest records there are."""
    try:
        return session.records.window("current", session.params.windows.current)
    except DataError:
        return session.records.window("newest", WindowSpec(rows=SAMPLE))


def _agreement(
    session: Session, champion: int | None, features: pd.DataFrame, then: np.ndarray[Any, Any]
) -> float:
    """How much the champion says the same; nan where it cannot say anything, for then the rollback is wanted most.

    It is asked in a process of its own: one that crashes or never answers must not stand in its own way out.
    """
    if champion is None:
        return math.nan
    try:
        now = try_out(session, champion, features).said
    except TrimtabError:
        return math.nan
    if session.params.task == "classification":
        return float(np.mean(scoring.label_array(now) == scoring.label_array(then)))
    if np.array_equal(now, then):
        return 1.0
    if np.ptp(now) == 0 or np.ptp(then) == 0:    # a constant has no correlation with anything
        return math.nan
    return float(np.corrcoef(now, then)[0, 1])


def roll_back(
    session: Session, proof: Proof, *, by: str = "trimtab", why: str = "asked for by hand", force: bool = False,
    quarantine: bool = False,
) -> Change:
    """Make a proven version the champion again, if what served at its proof still does.

    Parameters
    ----------
    force : bool
        Also a version in quarantine, which it leaves by that.
    quarantine : bool
        Whether the version that served may not serve again until somebody forces it.

    Raises
    ------
    ChampionError
        When the champion has changed since, or the version is in quarantine.
    """
    return champions.change(
        session.ledger, session.registry, kind="rollback", expected=proof.champion, to_version=proof.version,
        run_id=session.run_id, as_of=session.as_of, by=by, why=why, force=force, quarantine=quarantine,
    )


def rollback_facts(change: Change, found: Search, *, by: str, why: str) -> dict[str, Any]:
    """What later steps, and readers of the report, need to know of a rollback."""
    proof = found.proof
    return {
        "champion_before": change.from_version, "champion_after": change.to_version,
        "proof_rows": proof.rows, "proof_window": proof.window, "agreement": proof.agreement, "by": by, "why": why,
        "passed_over": [str(one) for one in found.tried if one.proof is None],
    }

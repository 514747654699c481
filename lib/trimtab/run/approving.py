"""What was a person asked, and may it be done now? As notebook 06 calls it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from trimtab.act import champion as champions
from trimtab.act import modelfile
from trimtab.act.approvals import Request
from trimtab.act.champion import Change
from trimtab.decide.guardrails import Check
from trimtab.decide.promotion import Verdict
from trimtab.errors import ChampionError, ModelFileError, TrimtabError, UsageError
from trimtab.folders import differences
from trimtab.run.homes import checked_run_id, without_runs
from trimtab.run.rollbacks import recent
from trimtab.run.serving import sample, try_out
from trimtab.run.session import Session

Answer = Literal["approved", "rejected"]
_NOTHING = "nothing"


@dataclass(frozen=True)
class Answered:
    """What a person said, and what came of it."""

    request: Request
    answer: str
    by: str
    why: str
    champion_before: int | None
    champion_after: int | None
    change: Change | None

    @property
    def reading(self) -> str:
        """It in one sentence."""
        if self.request.state == _NOTHING:
            return f"Nothing waits for approval, so nothing was answered; version {self.champion_after} serves on."
        if self.answer == "rejected":
            return f"{self.by} declined {self.request.what}; version {self.champion_after} serves on."
        if self.change is None:
            return f"{self.by} allowed {self.request.what}; the next run that finds nothing else in its way will do it."
        before = "nobody" if self.champion_before is None else f"version {self.champion_before}"
        return f"{self.by} approved version {self.champion_after}, which serves now instead of {before}."


def request(session: Session, run_id: str | None = None) -> Request:
    """What a run asked for, still open; without a name the newest that waits, if any does.

    Raises
    ------
    UsageError
        When this run asked for nothing, or it was decided or has expired.
    """
    if run_id is not None:
        checked_run_id(run_id)
        if not session.ledger.runs(1) and session.ledger.approvals.of_run(run_id) is None:
            raise UsageError(f"run {run_id} is not known: {without_runs(session.home, session.registry.name)}")
        return session.ledger.approvals.require_open(run_id)
    waiting = session.ledger.approvals.open()
    return waiting[-1] if waiting else _nothing(session)


def _nothing(session: Session) -> Request:
    """What a person finds who looks where nothing waits."""
    now = session.as_of
    return Request(
        "none", "retrain", now, now, now, session.serving, None, None, None, ("Nothing waits for approval.",), _NOTHING)


def verdict_of(session: Session, asked: Request) -> Verdict:
    """The verdict that led to a request, as it was recorded; without any criterion where retraining is asked for."""
    return session.ledger.verdict(asked.run_id) or Verdict("needs_approval", asked.reasons, ())


def refuse_stale(session: Session, asked: Request) -> None:
    """Refuse what is not as it was when it was asked, as far as can be told without loading anything.

    Raises
    ------
    ChampionError
        When another version serves than did then.
    ModelFileError
        When the challenger's file is missing, or is not the one that was evaluated.
    """
    for one in _unaltered(session, asked):
        if not one.passed:
            raise (ModelFileError if one.name == "same_file" else ChampionError)(f"run {asked.run_id}: {one.evidence}")


def checks(session: Session, asked: Request) -> tuple[Check, ...]:
    """Everything that must hold for an approval to be carried out, with its evidence."""
    found = list(_unaltered(session, asked))
    if asked.challenger is not None:
        found.append(_serves(session, asked))
    return tuple(found)


def answer(
    session: Session, asked: Request, seen: tuple[Check, ...], said: Answer, *, by: str, why: str
) -> Answered:
    """Write down what a person said, and promote where that was asked for.

    Raises
    ------
    ChampionError
        When approved and a check did not pass; nothing is changed then, and the request stays open.
    """
    before = session.serving
    if asked.state == _NOTHING:
        return Answered(asked, "none", by, why, before, before, None)
    if said == "rejected":
        session.ledger.approvals.decide(
            asked.run_id, "rejected", by=by, why=why, decided_in=session.run_id)
        return Answered(asked, said, by, why, before, before, None)
    now = _unaltered(session, asked)    # a person may have taken hours since `seen`
    failed = dict.fromkeys(one.evidence for one in (*seen, *now) if not one.passed)
    if failed:
        raise ChampionError(f"run {asked.run_id} cannot be approved: {'; '.join(failed)}")
    if asked.challenger is not None:
        change = _promote(session, asked, by=by, why=why)
        return Answered(asked, said, by, why, before, session.registry.champion(), change)
    session.ledger.approvals.decide(asked.run_id, "approved", by=by, why=why, decided_in=session.run_id)
    return Answered(asked, said, by, why, before, before, None)


def _promote(session: Session, asked: Request, *, by: str, why: str) -> Change:
    assert asked.challenger is not None, "a promotion is of a version"
    session.ledger.approvals.require_open(asked.run_id)
    return champions.change(
        session.ledger, session.registry, kind="promotion", expected=asked.champion, to_version=asked.challenger,
        run_id=session.run_id, by=by, why=why, answers=asked.run_id,
        as_of=max(session.as_of, asked.as_of),    # from which on records are new to both, for whoever watches it
    )


def answered_facts(made: Answered) -> dict[str, Any]:
    """What readers of the report need to know of an approval."""
    return {
        "request": made.request.run_id, "kind": made.request.kind, "answer": made.answer, "by": made.by,
        "why": made.why, "champion_before": made.champion_before, "champion_after": made.champion_after,
        "reading": made.reading,
    }


def _unaltered(session: Session, asked: Request) -> tuple[Check, ...]:
    """Whether everything is as it was when it was asked; also what the ledger says of it, by the audit chain."""
    return _same_champion(session, asked), _same_file(session, asked), _as_recorded(session, asked)


def _as_recorded(session: Session, asked: Request) -> Check:
    rows = {f"the request of run {asked.run_id}": ("approvals", asked.run_id)}
    if asked.challenger is not None:
        rows[f"version {asked.challenger}"] = ("versions", str(asked.challenger))
    changed = [name for name, row in rows.items() if not session.ledger.chain.as_covered(*row)]
    if changed:
        told = f"the ledger's row of {' and that of '.join(changed)} was changed since; see trimtab verify"
        return Check("as_recorded", False, told)
    return Check("as_recorded", True, "the audit chain has what the ledger says of it")


def _same_champion(session: Session, asked: Request) -> Check:
    serving = session.registry.champion()
    if serving == asked.champion:
        if others := session.ledger.succession.since(asked.after_change)[:-1]:    # the last one brought it back
            told = f"version {serving} serves again, but version {others[-1]} did since this was asked"
            return Check("same_champion", False, told)
        return Check("same_champion", True, f"version {serving} serves, as it did when this was asked")
    told = f"version {serving} serves now, and version {asked.champion} did when this was asked"
    return Check("same_champion", False, told)


def _same_file(session: Session, asked: Request) -> Check:
    if asked.challenger is None:
        return Check("same_file", True, "no model is concerned yet")
    try:
        there = modelfile.contents(session.served_from(asked.challenger))
        found = there[modelfile.FILE]
    except KeyError:
        return Check("same_file", False, f"the file of version {asked.challenger} is missing")
    except (OSError, TrimtabError) as error:
        return Check("same_file", False, f"the file of version {asked.challenger} cannot be read: {error}")
    if found != asked.sha256:
        return Check("same_file", False, f"the file of version {asked.challenger} is not the one that was evaluated")
    known = session.ledger.version(asked.challenger) or {}
    for how, name in differences(known.get("files") or there, there):
        told = "is missing" if how == "missing" else f"was {how}"
        return Check("same_file", False, f"{name} of version {asked.challenger} {told} since it was evaluated")
    return Check("same_file", True, f"SHA-256 of the evaluated file: {found}")


def _serves(session: Session, asked: Request) -> Check:
    assert asked.challenger is not None, "a promotion is of a version"
    try:
        frame = session.frame(recent(session), labelled=False)
        tried = try_out(session, asked.challenger, sample(session, frame), sha256=asked.sha256)
    except TrimtabError as error:
        return Check("can_serve", False, session.loaded.redact(str(error)))
    told = f"loaded in a fresh process in {tried.load_seconds:.2g} s, predicted {tried.rows:,} recent records"
    return Check("can_serve", True, told)

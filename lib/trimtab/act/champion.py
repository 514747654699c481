"""How does the champion change? Intent, alias flip, completion; what a crash left open; what somebody else did.

The ledger says who should serve, the registry's alias says who does. Every change is written down before and after the
flip, so at any moment the two agree or an open intent says why they do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trimtab.act.ledger import Ledger
from trimtab.act.registry import ModelRegistry
from trimtab.errors import ChampionError, TrimtabError


@dataclass(frozen=True)
class Change:
    """A change of the champion that was carried out."""

    kind: str
    from_version: int | None
    to_version: int


def change(
    ledger: Ledger,
    registry: ModelRegistry,
    *,
    kind: str,
    expected: int | None,
    to_version: int,
    run_id: str | None,
    as_of: datetime | None,
    by: str,
    why: str,
    force: bool = False,
    quarantine: bool = False,
    answers: str | None = None,
) -> Change:
    """Compare and swap: make `to_version` the champion if it is still `expected`.

    Parameters
    ----------
    force : bool
        A person wants it though the version is in quarantine; that is kept with the change, and it leaves quarantine.
    quarantine : bool
        Whether the version that served goes into quarantine.
    answers : str, optional
        The run whose request for approval is carried out by it; whatever completes the change says there who approved.

    Raises
    ------
    ChampionError
        When ledger or alias say that another version serves than expected, the version is in quarantine, the request
        waits no more, another change is under way, or another run took this one back; who served serves on.
    BusyError
        When the run is not the active one any more.
    """
    serving = registry.champion()
    if serving != expected:
        raise ChampionError(f"the champion is version {serving}, not {expected} as expected; it was left alone")
    intent = ledger.succession.begin_change(
        kind, from_version=expected, to_version=to_version, run_id=run_id, as_of=as_of, by=by, why=why,
        force=force, quarantine=quarantine, answers=answers,
    )
    try:
        if not ledger.succession.is_open(intent):
            raise ChampionError(_taken_back(kind, to_version, serving))
        registry.set_champion(to_version)
    except TrimtabError:
        # The flip may have happened all the same (a server that answered too late): the alias itself knows.
        ledger.succession.settle_change(intent, "done" if registry.champion() == to_version else "undone")
        raise
    if not ledger.succession.settle_change(intent, "done"):
        # This process stood still for so long that another one took it for dead, and the change back.
        believed = ledger.succession.champion()
        if believed is not None and registry.champion() == to_version:
            registry.set_champion(believed)
        raise ChampionError(_taken_back(kind, to_version, believed))
    return Change(kind, expected, to_version)


def _taken_back(kind: str, version: int, serving: int | None) -> str:
    return f"another run took this {kind} of version {version} back while it was under way; version {serving} serves"


def recover(ledger: Ledger, registry: ModelRegistry, run_id: str | None = None) -> list[str]:
    """Bring ledger and alias together after a crash or a foreign hand; returns a sentence per thing that was found.

    An intent whose flip happened is completed; one whose flip did not is taken back, for the run that wanted it is
    dead and the next one will ask again. An alias that somebody else moved is recorded and respected.

    Parameters
    ----------
    run_id : str, optional
        The run that does so, which answers for it in the audit chain.
    """
    found = []
    serving = registry.champion()
    for intent in ledger.succession.open_changes():
        done = serving == intent.to_version
        ledger.succession.settle_change(intent.id, "done" if done else "undone", settled_in=run_id)
        outcome = "had happened and was completed" if done else "had not happened and was taken back"
        found.append(f"a {intent.kind} to version {intent.to_version} was cut short; it {outcome}")
    believed = ledger.succession.champion()
    if serving != believed:
        ledger.succession.record_foreign_change(believed, serving, found_in=run_id)
        told = f"somebody else moved the champion from version {believed} to {serving}; that is respected" \
            if serving is not None else f"somebody else took the alias away from version {believed}; nobody serves"
        held = None if serving is None else ledger.quarantine.held().get(serving)
        found.append(f"{told}, though version {serving} is {held}" if held else told)
    return found

"""Does the registry hold the versions that runs registered, where they registered them? Nothing is fetched to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.act.database import is_sqlite
from trimtab.act.registry import local_path
from trimtab.errors import TrimtabError
from trimtab.run.session import Session

_STATE = "/.trimtab/"


def folder_of(session: Session, home: Path, version: Mapping[str, Any], served: Path | None) -> Path:
    """Where a version's files are: where they were put, in a copy of the home, or where the registry has them.

    Parameters
    ----------
    home : Path
        Where was looked; a copy lies elsewhere than the ledger says.
    version : mapping
        Its row of the ledger.
    served : Path or None
        Where the registry has it, on this machine.
    """
    put = Path(version["source"])
    copied = _in(home, version["source"])
    for place in (put, copied, served):
        if place is not None and place.is_dir():
            return place
    if not _kept_elsewhere(session):
        return put
    try:
        return session.folder_of(version["version"])
    except TrimtabError:
        return put


def stray(session: Session, home: Path, put: str, places: Sequence[str]) -> str | None:
    """The first place that the registry names though a run put the version elsewhere; None where they agree.

    A home that was moved or copied has the same path below its `.trimtab` in both, whichever of them was told of it.
    Where a server keeps files of its own, the ledger knows only the folder to which they were fetched.

    Parameters
    ----------
    put : str
        As the ledger says.
    places : sequence of str
        As `Registry.sources` gives them.
    """
    for place in places:
        local = local_path(place)
        if local is None:
            if not _kept_elsewhere(session):
                return repr(place)
        elif not _same(local, Path(put)) and (_in(home, place) is None or _in(home, place) != _in(home, put)):
            return repr(place)
    return None


def unknown(session: Session) -> Iterator[str]:
    """Notes of the versions that no run recorded; anybody may register one."""
    known = {version["version"] for version in session.ledger.versions()}
    for version in sorted(session.registry.sources().keys() - known):
        yield (f"version {version} in {session.registry.name} is in no row of the ledger: somebody registered it by "
               "hand, or a run that died")


def _kept_elsewhere(session: Session) -> bool:
    """Whether the registry may keep files in a place that is no folder of this machine."""
    return not is_sqlite(session.params.store.registry)


def _in(home: Path, place: str) -> Path | None:
    """The same path in a home; None where it lay in none."""
    _, marker, tail = place.rpartition(_STATE)
    return home / ".trimtab" / tail if marker else None


def _same(one: Path, other: Path) -> bool:
    return one == other or (one.is_dir() and one.resolve() == other.resolve())

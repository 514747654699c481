"""Is everything that runs left behind as they left it?

The chain is followed from its oldest link on: each link against the one before, the rows that it covers against the
ledger as it is, the run's manifest against the link, and every other file against the manifest. Then what nobody left:
rows and folders that are in no link. Last the champion and the files of all versions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from trimtab import folders
from trimtab import params as params_module
from trimtab.act import modelfile
from trimtab.act.chain import Link, Present, Seal, hash_of
from trimtab.act.quarantine import Held
from trimtab.act.registry import local_path, registered_name
from trimtab.act.seals import BY_HAND, CHANGES, EVENTS, INTENTS, KINDS
from trimtab.errors import StateError, UsageError
from trimtab.folders import differences
from trimtab.run import homes, whereabouts
from trimtab.run import manifest as manifests
from trimtab.run.manifest import FILE, Manifest
from trimtab.run.session import Session

_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[a-z]+-[0-9a-f]{6}")
_TRIES = 3    # to read a ledger to which no run adds meanwhile
_AT_ONCE = timedelta(minutes=1)    # an older release asked the clock twice
_Key = tuple[str, str]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was left.

    Attributes
    ----------
    kind : str
        changed, missing or inserted; differs, of the champion.
    place : str
        A file, or rows of the ledger.
    run_id : str or None
        Whose it is.
    """

    kind: str
    place: str
    run_id: str | None = None
    detail: str = ""

    @property
    def told(self) -> str:
        """It in one sentence."""
        verb = {"differs": "does not agree"}.get(self.kind, f"is {self.kind}" if self.kind == "missing" else
                                                 f"was {self.kind}")
        return f"{self.place} {verb}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True)
class Verified:
    """What was found, the oldest first.

    Attributes
    ----------
    home : Path
        Where was looked.
    head : str or None
        Hash of the newest link: who keeps it elsewhere can tell later whether the chain was made anew.
    findings : sequence of Finding
        Empty when everything holds.
    notes : sequence of str
        What the chain does not cover, or not yet.
    """

    home: Path
    model: str
    tenant: str | None
    links: int
    head: str | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(params: Path, run_id: str | None = None) -> Verified:
    """Verify everything that the runs of a model left, or what one of them did; writes nothing.

    Parameters
    ----------
    params : Path
        The params file.
    run_id : str, optional
        Of one run.

    Raises
    ------
    UsageError
        When there is no such run in the chain.
    TrimtabError
        When params file or ledger cannot be read.
    """
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{run_id!r} is not the id of a run; see trimtab history")
    session = Session(params_module.load(params))
    home = session.home
    try:
        with homes.readable(home) as session.home:
            for _ in range(_TRIES):
                before = session.ledger.chain.length()
                found = _verified(session, home, run_id)
                if session.ledger.chain.length() == before:
                    break
            return found
    finally:
        session.close()


def _verified(session: Session, home: Path, run_id: str | None) -> Verified:
    chain = session.ledger.chain
    try:
        links, seals = sorted(chain.links(), key=lambda link: link.seq), chain.seals()
    except (ValueError, TypeError) as error:
        told = Finding("changed", "ledger: the chain", None, f"it holds what no run writes ({type(error).__name__})")
        return Verified(home, session.params.model, session.params.tenant, 0, None, (told,), ())
    if run_id is not None and run_id not in {link.run_id for link in links}:
        raise UsageError(f"run {run_id} is not in the chain of {session.params.model}; see trimtab history")
    state = _State(session, home, links, seals, chain.present(), frozenset(chain.left_open("")))
    findings = [*_chained(links), *state.covered(run_id)]
    if run_id is None:
        findings += [*state.rows_of_nobody(), *state.folders_of_nobody(), *_lease(session)]
        if any(row.sha256 == "" for row in state.present.values()):
            state.notes.append("a row cannot be read, so what serves was not compared with what the ledger says")
        else:
            findings += [*state.events_of_nobody(), *state.intents_of_nobody()]
            findings += [*_champion(session), *_released(session), *_answered(session), *_models(session, home)]
            state.notes += [*_under_way(session), *_uncovered(session)]
    notes = tuple(dict.fromkeys(state.notes))
    head = links[-1].sha256 if links else None
    return Verified(home, session.params.model, session.params.tenant, len(links), head, tuple(findings), notes)


def _chained(links: Sequence[Link]) -> Iterator[Finding]:
    """Links that do not follow from the one before, or were changed."""
    before: Link | None = None
    for link in links:
        expected = before.seq + 1 if before else 1
        if link.seq != expected:
            yield Finding("missing", f"ledger: link {expected} of the chain", None, f"link {link.seq} comes next")
        elif link.previous != (before.sha256 if before else None) or link.sha256 != link.expected():
            yield Finding("changed", f"ledger: link {link.seq} of the chain", link.run_id)
        before = link


@dataclass
class _State:
    """What ledger and folder say; `notes` grows while it is gone through."""

    session: Session
    home: Path
    links: Sequence[Link]
    seals: Sequence[Seal]
    present: Mapping[_Key, Present]
    unfinished: frozenset[str]
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Of all runs of this model."""
        return self.home / "runs" / registered_name(self.session.params.model, self.session.params.tenant)

    def covered(self, run_id: str | None) -> Iterator[Finding]:
        """What is not as a link says, link by link."""
        newest = {(seal.kind, seal.key): seal for seal in self.seals}    # the last one counts: a row may be amended
        by_link: dict[int, list[Seal]] = {}
        for seal in self.seals:
            by_link.setdefault(seal.seq, []).append(seal)
        for link in self.links:
            if run_id in (None, link.run_id):
                mine = by_link.get(link.seq, [])
                if hash_of(mine) != link.rows:
                    yield Finding("changed", f"ledger: the hashes of rows in link {link.seq}", link.run_id)
                yield from self._rows(link, [seal for seal in mine if newest[seal.kind, seal.key] == seal])
                try:
                    yield from self._files(link)
                except (LookupError, AttributeError, TypeError, ValueError) as error:
                    yield Finding("changed", str(self.folder / link.run_id / FILE), link.run_id,
                                  f"it is no manifest as a run writes it ({type(error).__name__})")
        head = self.links[-1].seq if self.links else 0
        beyond = [seal for seal in self.seals if seal.seq > head and (seal.kind, seal.seq) != (EVENTS, head + 1)]
        if beyond and run_id is None:
            yield Finding("missing", f"ledger: link {beyond[0].seq} of the chain", None, "rows it covered are there")

    def _rows(self, link: Link, seals: Sequence[Seal]) -> Iterator[Finding]:
        order = list(KINDS)
        for seal in sorted(seals, key=lambda one: (order.index(one.kind) if one.kind in order else -1, one.key)):
            now = self.present.get((seal.kind, seal.key))
            if now is None:
                yield Finding("missing", _row(seal.kind, seal.key), link.run_id)
            elif now.sha256 != seal.sha256:
                yield Finding("changed", _row(seal.kind, seal.key), link.run_id)

    def _files(self, link: Link) -> Iterator[Finding]:
        folder = self.folder / link.run_id
        path = folder / FILE
        found = _digest(path)
        if found != link.manifest:
            kind = "missing" if found is None else "changed" if link.manifest else "inserted"
            yield Finding(kind, str(path), link.run_id)
            return
        manifest = manifests.load(folder) if found else None
        if manifest is None or not manifest.chain:
            self.notes.append(f"run {link.run_id} left no complete manifest, so its files are not covered")
            return
        if (manifest.chain["seq"], manifest.chain["previous_link"]) != (link.seq, link.previous):
            yield Finding("changed", f"ledger: link {link.seq} of the chain", link.run_id,
                          f"{path} follows another link than the ledger says")
        yield from _listed(folder, manifest, link)

    def rows_of_nobody(self) -> Iterator[Finding]:
        """Rows that no link covers, though no run or session is at work that could have left them."""
        if not self.links:
            return
        sealed = {(seal.kind, seal.key) for seal in self.seals}
        for (kind, key), row in self.present.items():
            if (kind, key) in sealed or kind == INTENTS:
                continue
            by_hand = (row.by or "").startswith(BY_HAND)
            if by_hand and KINDS[kind].of_runs and not KINDS[kind].of_earlier:
                continue
            if by_hand or row.by in self.unfinished or (row.by is None and kind == CHANGES):
                self.notes.append(f"{_row(kind, key)} will be covered when the next run ends")
            else:
                yield Finding("inserted", _row(kind, key), row.by)

    def intents_of_nobody(self) -> Iterator[Finding]:
        """Changes of the champion that were begun in the name of a run which had ended, or of none that there was.

        What a run leaves open is covered as it was begun by its own link, and what it settled as it was settled.
        """
        first = {(seal.kind, seal.key): seal.seq for seal in reversed(self.seals)}
        ended = {link.run_id: link.seq for link in self.links}
        is_open = {str(row["id"]) for row in self.session.ledger.succession.changes() if row["state"] == "intent"}
        for (kind, key), row in self.present.items():
            if kind != INTENTS or row.by is None or row.by.startswith(BY_HAND) or not self.links:
                continue
            known = min((first[of, key] for of in (CHANGES, INTENTS) if (of, key) in first), default=math.inf)
            if known > ended[row.by] if row.by in ended else key in is_open and row.by not in self.unfinished:
                yield Finding("inserted", _row(CHANGES, key), row.by, "no run that was at work had begun it")

    def events_of_nobody(self) -> Iterator[Finding]:
        """Retrain events that were covered anew though their version was not promoted, or judged at a notebook, then.

        Those alone may change after their run has ended (`Chain.amend`).
        """
        ledger, head = self.session.ledger, self.links[-1].seq if self.links else 0
        made = {version["version"]: version["run_id"] for version in ledger.versions()}
        settled = {seal.key: seal.seq for seal in self.seals if seal.kind == CHANGES}
        promoted = {(made.get(row["to_version"]), settled.get(str(row["id"]), head + 1))
                    for row in ledger.succession.changes() if (row["kind"], row["state"]) == ("promotion", "done")}
        judged = {made.get(version) for version in ledger.judged_in(BY_HAND)}
        seen: set[str] = set()
        for seal in self.seals:
            if seal.kind != EVENTS:
                continue
            if (seal.key in seen and (seal.key, seal.seq) not in promoted and seal.key not in judged) or (
                    seal.key not in seen and seal.seq > head):
                yield Finding("changed", _row(EVENTS, seal.key), seal.key, "it was covered anew, and nothing says why")
            seen.add(seal.key)

    def folders_of_nobody(self) -> Iterator[Finding]:
        """What lies among the folders of runs and is in no link."""
        linked = {link.run_id for link in self.links}
        before = {seal.key for seal in self.seals if seal.kind == "runs"} - linked
        counted = {"were made before the chain began": 0, "are of dry runs": 0}
        try:
            there = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        except OSError as error:
            yield Finding("missing", str(self.folder), None, f"it cannot be read: {error.strerror}")
            return
        for path in there:
            if path.name in linked:
                continue
            if path.name in self.unfinished:
                self.notes.append(f"run {path.name} is under way, or died, and is not in the chain yet")
            elif _is_dry(path):
                counted["are of dry runs"] += 1
            elif path.name in before or not self.links:
                place = _place(path)
                if place is not None:
                    link = f"ledger: link {place} of the chain"
                    yield Finding("missing", link, path.name, f"{path / FILE} tells of it")
                counted["were made before the chain began"] += place is None
            else:
                yield Finding("inserted", str(path), None, "no run left it")
        self.notes += [f"{number} folders {what} and are not covered" for what, number in counted.items() if number]


def _row(kind: str, key: str) -> str:
    """How rows of the ledger are named."""
    of = {CHANGES: "id", INTENTS: "id", "versions": "version"}.get(kind, "run")
    return f"ledger: {kind}, {of} {key}"


def _listed(folder: Path, manifest: Manifest, link: Link) -> Iterator[Finding]:
    """Files that are not as the manifest lists them."""
    if any("\0" in name for name in manifest.files):
        raise ValueError("no file has such a name")
    there = manifests.digests(folder)
    for how, name in differences(manifest.files, there):
        what = there.get(name, "")
        yield Finding(how, str(folder / name), link.run_id, "" if folders.is_hash(what) else f"it is {what}")


def _is_dry(folder: Path) -> bool:
    manifest = manifests.load(folder)
    return manifest is not None and manifest.dry_run is True


def _place(folder: Path) -> Any:
    """Where in the chain a run says that it stands; None where it tells of no chain."""
    manifest = manifests.load(folder)
    return manifest.chain.get("seq") if manifest is not None and isinstance(manifest.chain, dict) else None


def _digest(path: Path) -> str | None:
    """SHA-256 of a file; None where there is none that can be read."""
    try:
        return folders.digest(path)
    except OSError:
        return None


def _champion(session: Session) -> Iterator[Finding]:
    alias, believed = session.registry.champion(), session.ledger.succession.champion()
    for intent in session.ledger.succession.open_changes():
        if alias in (intent.from_version, intent.to_version):
            return    # a run is at it, or died; the next one brings them together
    if alias != believed:
        yield Finding("differs", f"the alias of {session.registry.name}", None,
                      f"it names {_called(alias)}, and the ledger {_called(believed)}")


def _called(version: int | None) -> str:
    return "nobody" if version is None else f"version {version}"


def _under_way(session: Session) -> Iterator[str]:
    for intent in session.ledger.succession.open_changes():
        yield (f"{_row(CHANGES, str(intent.id))} is open, a {intent.kind} from version {intent.from_version} to "
               f"{intent.to_version}: it is under way, or the next run completes it or takes it back")


def _released(session: Session) -> Iterator[Finding]:
    """Versions that are out of quarantine, or in it, though the changes of the champion say otherwise."""
    done = [row for row in session.ledger.succession.changes() if row["state"] == "done" and row["kind"] != "foreign"]
    done.sort(key=lambda row: row["id"])
    for held in session.ledger.quarantine.all():
        began = next((row["id"] for row in done if row["quarantines"] and (row["from_version"], row["run_id"]) == (
            held.version, held.run_id)), None)
        released = next((row for row in done if began is not None and row["id"] > began
                         and row["to_version"] == held.version), None)
        row = f"ledger: quarantine, version {held.version}"
        if held.released_at is None and (held.released_by, held.released_why) != (None, None):
            yield Finding("changed", row, None, "it tells who released it, and it is held")
        elif held.released_at is None and released is not None:
            yield Finding("changed", row, None, f"change {released['id']} of the champion released it, and it is held")
        elif held.released_at is not None and (released is None or not _agree(held, released)):
            yield Finding("changed", row, None,
                          f"{held.released_by} is said to have released it, and no change of the champion did")


def _answered(session: Session) -> Iterator[Finding]:
    """Requests that wait for an answer, and hold one."""
    for asked in session.ledger.approvals.all():
        if asked.state == "pending" and asked.has_answer:
            row = _row("approvals", asked.run_id)
            yield Finding("changed", row, asked.run_id, "it waits for an answer, and has one")


def _lease(session: Session) -> Iterator[Finding]:
    try:
        session.ledger.lease.active()
    except StateError as error:
        yield Finding("changed", "ledger: the lease", None, str(error))


def _agree(held: Held, change: Mapping[str, Any]) -> bool:
    """Whether a version was released by who made a change, for that reason, when the change was made."""
    assert held.released_at is not None
    at_once = abs(held.released_at - change["settled_at"]) < _AT_ONCE
    return at_once and (held.released_by, held.released_why) == (change["by"], change["why"])


def _models(session: Session, home: Path) -> Iterator[Finding]:
    told = session.registry.sources()
    for version in session.ledger.versions():
        number, run_id, places = version["version"], version["run_id"], told.get(version["version"], ())
        row, served = f"version {number} in {session.registry.name}", local_path(places[0]) if places else None
        folder = whereabouts.folder_of(session, home, version, served)
        elsewhere = served if served and served.is_dir() and served.resolve() != folder.resolve() else None
        if elsewhere and (other := next(_altered(elsewhere, version), None)):
            yield Finding("differs", row, run_id,
                          f"the registry has it at {served}, where {other[1]} is not as it was registered")
        elif not places:
            yield Finding("missing", row, run_id)
        elif stray := whereabouts.stray(session, home, version["source"], places):
            yield Finding("differs", row, run_id, f"the registry has it at {stray}, and a run at {version['source']}")
        for how, name in _altered(folder, version):
            yield Finding(how, str(folder / name), run_id, f"version {number}")


def _altered(folder: Path, version: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Files of a version's folder that are not as they were registered."""
    there = modelfile.contents(folder)
    if not isinstance(version["files"], dict):    # registered before there was more than the one hash
        there = {name: sha256 for name, sha256 in there.items() if name == modelfile.FILE}
        return differences({modelfile.FILE: version["sha256"]}, there)
    return differences(version["files"] | {modelfile.FILE: version["sha256"]}, there)


def _uncovered(session: Session) -> Iterator[str]:
    older = [str(version["version"]) for version in session.ledger.versions() if version["files"] is None]
    if older:
        yield f"of version {', '.join(older)} only {modelfile.FILE} is covered: an older release registered it"
    yield from whereabouts.unknown(session)

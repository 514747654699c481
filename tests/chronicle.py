"""What should the history of a champion be, going by what processes and people did, and not by what the ledger says?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Change:
    """A change of the champion that somebody wants, or that happened."""

    kind: str
    before: int | None
    after: int | None
    run_id: str | None
    by: str
    why: str
    quarantines: bool = False
    answers: str | None = None


@dataclass
class Asked:
    """A request for approval."""

    champion: int | None
    challenger: int
    sha256: str
    expires_at: datetime
    state: str = "pending"
    by: str | None = None
    why: str | None = None
    after: int = 0    # changes that had been done when it was asked


@dataclass
class Chronicle:
    """What is so, and what should stand in the ledger.

    Attributes
    ----------
    alias : int or None
        Who serves.
    there : dict
        The SHA-256 of each version that the registry has.
    done : list of Change
        What should be in the history.
    open : Change or None
        What was begun, and neither completed nor taken back.
    held : set of int
        Versions in quarantine.
    by_hand : bool
        Whether somebody else moved the alias last.
    wanted : Change or None
        What the process under way is to change once it has brought things in order.
    said : (run, by, why) or None
        The request that it is to reject.
    """

    alias: int | None = None
    there: dict[int, str] = field(default_factory=dict)
    done: list[Change] = field(default_factory=list)
    open: Change | None = None
    held: set[int] = field(default_factory=set)
    requests: dict[str, Asked] = field(default_factory=dict)
    by_hand: bool = False
    wanted: Change | None = None
    said: tuple[str, str, str] | None = None
    recovered: bool = False
    _wrote: set[str] = field(default_factory=set)

    @property
    def believed(self) -> int | None:
        """Who should serve by the ledger."""
        return self.done[-1].after if self.done else None

    @property
    def in_order(self) -> bool:
        """Whether nothing waits for the next start."""
        return self.open is None and self.believed == self.alias

    def starts(self) -> None:
        """A process starts, and brings in order what others left."""
        self.recovered, self.wanted, self.said = False, None, None
        self._wrote.clear()

    def witness(self, step: str) -> None:
        """Take in what a process does."""
        if step == "recovered":
            self.recovered = True
        elif step == "commit begins":
            self._committed()
            self._wrote.clear()
        elif step == "rolled back":
            self._wrote.clear()
        elif step == "set_champion begins":
            assert self.wanted is not None
            if self.wanted.after in self.there:    # what the registry has lost it refuses
                self.alias, self.by_hand = self.wanted.after, False
        else:
            self._wrote.add(step)

    def _committed(self) -> None:
        if "INSERT INTO champion_changes" in self._wrote and self.recovered:
            self.open = self.wanted
        elif "INSERT INTO champion_changes" in self._wrote:
            self.done.append(Change(
                "foreign", self.believed, self.alias, None, "someone else", "the alias was moved outside Trimtab"))
        elif "UPDATE champion_changes SET" in self._wrote:
            assert self.open is not None
            if self.alias == self.open.after:
                self._happened(self.open)
            self.open = None
        elif "UPDATE approvals SET" in self._wrote and self.said is not None:
            request = self.requests[self.said[0]]
            request.state, request.by, request.why = "rejected", *self.said[1:]

    def _happened(self, change: Change) -> None:
        self.done.append(change)
        self.held.discard(change.after)    # type: ignore[arg-type]  # only what somebody else does has no version
        if change.quarantines and change.before is not None:
            self.held.add(change.before)
        if change.answers is not None:
            request = self.requests[change.answers]
            request.state, request.by, request.why = "approved", change.by, change.why

    def moved(self, version: int | None) -> None:
        """Somebody else moved the alias, or removed it."""
        self.alias, self.by_hand = version, True

    def lost(self, version: int) -> None:
        """Somebody deleted a version, and with it the alias that named it."""
        del self.there[version]
        if version == self.alias:
            self.moved(None)

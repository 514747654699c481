"""How does a run stay the one active run of its model, and how does it know that it still is?"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from trimtab.act.fence import GAVE_WAY
from trimtab.act.lease import LEASE
from trimtab.act.ledger import Ledger
from trimtab.errors import BusyError, StateError, TrimtabError


class Hold:
    """What a run asks before it writes a file: is it still the active one? Called, it raises where that is not so.

    A ledger that cannot be reached says nothing against it; what is written there asks again in its own transaction.

    Parameters
    ----------
    ledger : Ledger
    run_id : str

    Attributes
    ----------
    lost : Event
        Set once it is known that another run has taken the lease over.
    """

    def __init__(self, ledger: Ledger, run_id: str) -> None:
        self.run_id, self.lost = run_id, threading.Event()
        self._lease = ledger.lease

    def __call__(self) -> None:
        """Refuse to go on without the lease.

        Raises
        ------
        BusyError
            When another run has taken it over.
        """
        with contextlib.suppress(StateError):
            self._know(self._lease.held_by(self.run_id))
        self._refuse()

    def renew(self) -> None:
        """Renew the lease before something that takes long; raises as a call does."""
        with contextlib.suppress(StateError):
            self._know(self._lease.renew(self.run_id))
        self._refuse()

    def _know(self, held: bool) -> None:
        if not held:
            self.lost.set()

    def _refuse(self) -> None:
        if self.lost.is_set():
            raise BusyError(GAVE_WAY)


@contextlib.contextmanager
def heartbeat(ledger: Ledger, run_id: str, lost: threading.Event) -> Iterator[None]:
    """Renew a run's lease in the background for as long as the run lives.

    Parameters
    ----------
    lost : Event
        Set when another run has taken the lease over, as it may from one that stood still for too long.
    """
    stop = threading.Event()

    def _beat() -> None:
        while not stop.wait(LEASE.total_seconds() / 4):
            with contextlib.suppress(TrimtabError):    # one missed beat is no harm; the next one may come through
                if not ledger.lease.renew(run_id):
                    lost.set()

    thread = threading.Thread(target=_beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)

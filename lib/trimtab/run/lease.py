"""How does a run stay the one active run of its model?"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from trimtab.act.lease import LEASE
from trimtab.act.ledger import Ledger
from trimtab.errors import TrimtabError


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

"""How does a process end that has lost the one that asked for it?"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """End this process, and what it started, as soon as the process that asked for it is gone, even when it was killed.

    A process forked from a server has the server for its parent, and that lives while its children do: so watching the
    parent's id is not enough. The process becomes the leader of a group of its own.
    """
    parent = multiprocessing.parent_process()
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)

    def _wait() -> None:
        if parent is not None:
            parent.join()    # returns when its end of a pipe closes, by whatever cause
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=_wait, name="end-with-parent", daemon=True).start()

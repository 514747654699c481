"""Where do processes listen for one another? The path of a socket may not be long, that of temporary files may."""

from __future__ import annotations

import multiprocessing.process
import multiprocessing.util
import os
import shutil
import tempfile
from typing import Any

_LONGEST = 103    # bytes of a path, on every system; Linux takes four more
_BELOW = len("/pymp-12345678/listener-12345678")
_SHORT = "/tmp"


def keep_short() -> None:
    """Have multiprocessing listen below `/tmp`, where the folder of temporary files has too long a path for a socket.

    To be called before a forkserver is started; it goes for this process and those that it starts.

    Raises
    ------
    OSError
        When no folder can be made there.
    """
    current: Any = multiprocessing.process.current_process()    # nothing public says where it listens
    config: dict[str, Any] = current._config
    if config.get("tempdir") is not None or len(os.fsencode(tempfile.gettempdir())) + _BELOW <= _LONGEST:
        return
    place = tempfile.mkdtemp(prefix="pymp-", dir=_SHORT)
    multiprocessing.util.Finalize(
        None, shutil.rmtree, args=(place,), kwargs={"ignore_errors": True}, exitpriority=-100)
    config["tempdir"] = place

"""How many OpenMP threads have enough to do?"""

from __future__ import annotations

import contextlib
import os
from typing import Any

_VALUES_PER_THREAD = 5_000_000


def enough_for(values: int) -> contextlib.AbstractContextManager[Any]:
    """More OpenMP threads than one for a table that gives each enough to do; else they wait more than they work.

    On a machine whose cores others use, too, waiting for each other takes a single record from milliseconds to a
    second. `OMP_NUM_THREADS` is the least, where it is set, and `OMP_THREAD_LIMIT` the most.

    Parameters
    ----------
    values : int
        Records times columns. What computes with them must have been imported already.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # -- has no annotations

    least, most = _asked("OMP_NUM_THREADS"), _asked("OMP_THREAD_LIMIT")
    threads = max(least, min(most, values // _VALUES_PER_THREAD))
    limits: contextlib.AbstractContextManager[Any] = threadpool_limits(threads, user_api="openmp")
    return limits


def _asked(name: str) -> int:
    first = os.environ.get(name, "").partition(",")[0].strip()    # one number for each level of nesting
    return int(first) if first.isdecimal() else 1

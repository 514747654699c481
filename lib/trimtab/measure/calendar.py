"""Which weekday is a day?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

WEEK = 7


def weekdays_of(days: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The weekday of each day, 0 for Monday.

    Parameters
    ----------
    days : array of datetime64, shape (n,)

    Examples
    --------
    >>> weekdays_of(np.array(["2024-01-01", "2024-01-07"], dtype="datetime64[D]")).tolist()
    [0, 6]
    """
    since = days.astype("datetime64[D]").astype(np.int64)    # 1 January 1970, a Thursday
    found: npt.NDArray[np.int64] = (since + 3) % WEEK
    return found

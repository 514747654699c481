"""How long may one notebook of a run take?"""

from __future__ import annotations

from datetime import timedelta

from trimtab.settings.notation import Duration
from trimtab.settings.section import Section


class StepLimits(Section):
    """From when on a step is called slow, is interrupted, is killed.

    By default it is interrupted a quarter of an hour after training would have been stopped, and killed a minute later.
    """

    slow: Duration = timedelta(seconds=120)
    soft: Duration | None = None
    hard: Duration | None = None

"""Decisions: measurements and settings in, decision and reasons out.

`trimtab.decide(signals, params)` is how a notebook asks for a decision. Python binds a package's name on its parent
when the package is first imported, so this package has to be callable itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.decide.causes import Causes
    from trimtab.decide.decision import Decision
    from trimtab.decide.signals import Signal
    from trimtab.settings import Params


class _Decide(ModuleType):
    """This package, callable."""

    def __call__(self, signals: Sequence[Signal], params: Params, *, causes: Causes | None = None) -> Decision:
        """Fuse the signals of a check into one decision; see `trimtab.decide.decision.decide`."""
        from trimtab.decide.decision import decide

        return decide(signals, params, causes=causes)


sys.modules[__name__].__class__ = _Decide

"""Trimtab keeps machine-learning models in production on course.

`check` compares two tables; `open` gives a notebook everything else. Heavy libraries load when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab import decide, plots, tables
    from trimtab.measure.columns.drift import compare
    from trimtab.run import approving, checking, lifecycle, readings, watching
    from trimtab.run.check import check
    from trimtab.run.scraps import hand_on
    from trimtab.run.session import open_session as open

__version__ = "0.1.0"
__all__ = [
    "approving", "check", "checking", "compare", "decide", "hand_on", "lifecycle", "open", "plots", "readings",
    "tables", "watching",
]

_WHERE = {
    "approving": ("trimtab.run.approving", None),
    "check": ("trimtab.run.check", "check"),
    "checking": ("trimtab.run.checking", None),
    "compare": ("trimtab.measure.columns.drift", "compare"),
    "decide": ("trimtab.decide", None),
    "hand_on": ("trimtab.run.scraps", "hand_on"),
    "lifecycle": ("trimtab.run.lifecycle", None),
    "open": ("trimtab.run.session", "open_session"),
    "plots": ("trimtab.plots", None),
    "readings": ("trimtab.run.readings", None),
    "tables": ("trimtab.tables", None),
    "watching": ("trimtab.run.watching", None),
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'trimtab' has no attribute {name!r}")
    module, attribute = _WHERE[name]
    found = import_module(module)
    return getattr(found, attribute) if attribute else found

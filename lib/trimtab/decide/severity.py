"""How serious is it? none < low < medium < high < critical."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from trimtab.settings.triggers import Severity

LEVELS: tuple[Severity, ...] = get_args(Severity)


def rank(severity: Severity) -> int:
    """Position in the order, 0 for none.

    Examples
    --------
    >>> rank("high") > rank("medium")
    True
    """
    return LEVELS.index(severity)


def worst(severities: Iterable[Severity]) -> Severity:
    """The most serious one; none when there are none."""
    return max(severities, key=rank, default="none")

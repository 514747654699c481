"""Which version should serve instead?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError


@dataclass(frozen=True)
class Service:
    """A version that served, and why it came into service."""

    version: int
    kind: str


def choose_target(served: Sequence[Service], champion: int | None, known: Sequence[int], to: int | None = None) -> int:
    """The version to roll back to: the one asked for, else the one that served before the champion.

    Going back is walking back through what was promoted: a version that was itself rolled back from is not returned
    to, so rolling back twice goes back two steps instead of flipping to and fro.

    Parameters
    ----------
    served : sequence of Service
        What came into service, oldest first; kind is promotion, rollback or foreign.
    champion : int or None
        What serves now.
    known : sequence of int
        Versions that the registry has.
    to : int, optional
        The version asked for.

    Raises
    ------
    UsageError
        When there is no champion, nothing to go back to, or `to` is unknown or serves already.

    Examples
    --------
    >>> choose_target([Service(1, "promotion"), Service(2, "promotion")], champion=2, known=[1, 2])
    1
    """
    if champion is None:
        raise UsageError("there is no champion to roll back from")
    if to is not None:
        if to == champion:
            raise UsageError(f"version {to} serves already")
        if to not in known:
            raise UsageError(f"there is no version {to}; known: {', '.join(map(str, known))}")
        return to
    stack: list[int] = []
    for service in served:
        if service.kind == "rollback" and service.version in stack:
            # The last time that it served: what came before that is still there to go back to.
            del stack[len(stack) - stack[::-1].index(service.version):]
        else:
            stack.append(service.version)
    if stack and stack[-1] == champion:
        stack.pop()
    earlier = [version for version in reversed(stack) if version != champion and version in known]
    if not earlier:
        raise UsageError("no version is left that served before and was not rolled back from; name one with --to")
    return earlier[0]

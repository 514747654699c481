"""Which version should serve instead?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from trimtab.errors import UsageError


@dataclass(frozen=True)
class Service:
    """A version that served, and why it came into service."""

    version: int
    kind: str


_NONE_HELD: Mapping[int, object] = MappingProxyType({})


def choose_target(
    served: Sequence[Service], champion: int | None, known: Sequence[int], to: int | None = None, *,
    held: Mapping[int, object] = _NONE_HELD, force: bool = False,
) -> int:
    """The version to roll back to: the one asked for, else the first of `candidates`.

    Parameters
    ----------
    served, champion, known, held
        As for `candidates`.
    to : int, optional
        The version asked for.
    force : bool
        Whether `to` may be a version in quarantine; nothing else changes by it.

    Raises
    ------
    UsageError
        When nobody ever served, there is nothing to go back to, or `to` is unknown, in quarantine or serves already.

    Examples
    --------
    >>> choose_target([Service(1, "promotion"), Service(2, "promotion")], champion=2, known=[1, 2])
    1
    """
    if to is None:
        return candidates(served, champion, known, held=held)[0]
    if champion is None and not served:
        raise UsageError("there is no champion to roll back from, and there never was one")
    if to == champion:
        raise UsageError(f"version {to} serves already")
    if to not in known:
        raise UsageError(f"there is no version {to}; known: {', '.join(map(str, known))}")
    if to in held and not force:
        raise UsageError(f"version {to} is {held[to]}; --force goes back to it all the same")
    return to


def candidates(
    served: Sequence[Service], champion: int | None, known: Sequence[int], *, held: Mapping[int, object] = _NONE_HELD
) -> tuple[int, ...]:
    """The versions that could be rolled back to, the one that served last first.

    Going back is walking back through what was promoted: a version that was itself rolled back from is not returned
    to, so rolling back twice goes back two steps instead of flipping to and fro. Versions in quarantine, and those that
    the registry has lost, are passed over.

    Parameters
    ----------
    served : sequence of Service
        What came into service, oldest first; kind is promotion, rollback or foreign.
    champion : int or None
        What serves now; None where the registry has lost it, so that who served last may come back, too.
    known : sequence of int
        Versions that the registry has.
    held : mapping
        By version in quarantine, why, as it is to be told.

    Raises
    ------
    UsageError
        When nobody has ever served, or there is no such version.

    Examples
    --------
    >>> served = [Service(version, "promotion") for version in (1, 2, 3)]
    >>> candidates(served, champion=3, known=[1, 2, 3])
    (2, 1)
    >>> candidates(served, champion=3, known=[1, 2, 3], held={2: "in quarantine"})
    (1,)
    """
    if champion is None and not served:
        raise UsageError("there is no champion to roll back from, and there never was one")
    stack: list[int] = []
    for service in served:
        if service.kind == "rollback" and service.version in stack:
            # The last time that it served: what came before that is still there to go back to.
            del stack[len(stack) - stack[::-1].index(service.version):]
        else:
            stack.append(service.version)
    if stack and stack[-1] == champion:
        stack.pop()
    earlier = tuple(version for version in dict.fromkeys(reversed(stack)) if version != champion)
    left = tuple(version for version in earlier if version in known and version not in held)
    if not left:
        told = "".join(f"; version {version} is {held[version]}" for version in earlier if version in held)
        raise UsageError(
            f"no version is left that served before and was not rolled back from; name one with --to{told}")
    return left

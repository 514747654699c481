"""In what do two params trees differ?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Amendment:
    """A key with another value than before.

    Attributes
    ----------
    key : str
        With dots, and the number of an item in a list of mappings: `promotion.criteria.0.max_drop`.
    old, new : JSON value
        None where the key was not there, or is not there any more.
    """

    key: str
    old: Any
    new: Any


def amendments(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Amendment]:
    """Every key whose value differs, in the order of the keys.

    Lists are compared as wholes; only in lists of mappings of the same length is each item compared.

    Parameters
    ----------
    old, new : mapping
        Params as they may be shown (`Loaded.public`).

    Examples
    --------
    >>> amendments({"drift": {"psi_alert": 0.25}}, {"drift": {"psi_alert": 0.5}})
    [Amendment(key='drift.psi_alert', old=0.25, new=0.5)]
    """
    return list(_differing(old, new, ""))


def _differing(old: Any, new: Any, key: str) -> Iterator[Amendment]:
    before, after = _items(old), _items(new)
    if old == new or before is None or after is None or _reshaped(old, new):
        if old != new:
            yield Amendment(key, old, new)
        return
    for name in sorted(before.keys() | after.keys()):
        yield from _differing(before.get(name), after.get(name), f"{key}.{name}" if key else name)


def _items(value: Any) -> Mapping[str, Any] | None:
    """What is in a mapping, or in a list of mappings, by name; None of any other value."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return {str(number): item for number, item in enumerate(value)}
    return None


def _reshaped(old: Any, new: Any) -> bool:
    """Whether a list became longer or shorter, or something else than a list."""
    return isinstance(old, list) != isinstance(new, list) or (isinstance(old, list) and len(old) != len(new))

"""What does a text say as YAML? Lists, mappings by text and plain values; or in one sentence what is wrong with it."""

from __future__ import annotations

import re
from typing import Any

import yaml

_DEEPEST = 50
_TOO_DEEP = f"something in it holds itself, or is nested more than {_DEEPEST} deep"
_MOST = 100_000
_TOO_MANY = f"it has more than {_MOST:,} values; aliases (*name) that repeat aliases come to that quickly"
_UNTOLD = re.compile(r"(alias|anchor|the tag|tag handle) (['\"]).*\2", re.DOTALL)
"""Names in the loader's messages that are values which nobody put in quotes, as a password that begins with * or !."""
_MOST_BITS = 10_000    # Python writes no whole number of more than 4,300 digits


class NoYAMLError(ValueError):
    """A text is not valid YAML, or says what no params file does; `line` and `column` are None where not known."""

    def __init__(self, problem: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(problem)
        self.line, self.column = line, column


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is written twice is an error, and what only looks like a number or a date is text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a value; whoever asked for a number or a date, and finds text, can name the key."""
        try:
            found = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, OverflowError):
            if not isinstance(node, yaml.ScalarNode):
                raise
            looks = self.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]  # -- stubs
            if node.tag != looks:    # somebody wrote !!int
                told = f"it is no {node.tag.rpartition(':')[2]}"
                raise yaml.MarkedYAMLError(problem=told, problem_mark=node.start_mark) from None
            return node.value
        return node.value if isinstance(found, int) and found.bit_length() > _MOST_BITS else found

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, once no key of it is found twice: of two values one would be lost without a word."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a list or a mapping is no key", problem_mark=key.start_mark)
            if key.value in seen:
                told = f"the key {key.value!r} is written twice"
                raise yaml.MarkedYAMLError(problem=told, problem_mark=key.start_mark)
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def read_yaml(text: str) -> Any:
    """Read a text.

    Raises
    ------
    NoYAMLError
        When it is not valid, has a key twice or one that is no plain value, holds itself, is nested too deeply, or has
        too many values.

    Examples
    --------
    >>> read_yaml("as_of: 2024-02-30")
    {'as_of': '2024-02-30'}
    """
    try:
        found = yaml.load(text, _Loader)
        if _values(found, {}, _DEEPEST) > _MOST:
            raise NoYAMLError(_TOO_MANY)
        return _by_text(found, _DEEPEST)
    except yaml.YAMLError as error:
        problem = _UNTOLD.sub(r"\1", getattr(error, "problem", None) or str(error).partition("\n")[0])
        mark = getattr(error, "problem_mark", None)
        raise NoYAMLError(problem, *((mark.line + 1, mark.column + 1) if mark else ())) from None
    except RecursionError:
        raise NoYAMLError(_TOO_DEEP) from None


def _values(value: Any, known: dict[int, int], left: int) -> int:
    """How many values are to be walked, where what an alias repeats is counted each time but walked once?"""
    if not isinstance(value, (dict, list)):
        return 1
    if not left:
        raise NoYAMLError(_TOO_DEEP)
    if id(value) not in known:
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_values(item, known, left - 1) for item in items)
    return known[id(value)]


def _by_text(value: Any, left: int) -> Any:
    """YAML allows numbers and booleans as keys; params keys are text."""
    if isinstance(value, (bytes, set)):
        raise NoYAMLError("there is no place for !!binary and !!set in a params file")
    if not isinstance(value, (dict, list)):
        return value
    if not left:
        raise NoYAMLError(_TOO_DEEP)
    if isinstance(value, list):
        return [_by_text(item, left - 1) for item in value]
    return {str(key): _by_text(item, left - 1) for key, item in value.items()}

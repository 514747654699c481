"""What do the environment and `--set` say of params? Paths of keys, each with its value, which is read as YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from trimtab.errors import ParamsError
from trimtab.settings import Params
from trimtab.yaml_text import NoYAMLError, read_yaml

PREFIX = "TRIMTAB_"
Keys = tuple[str, ...]

_NO_KEY = re.compile(r"[^\w.-]")
_OWN_KEYS = {("estimator", "params"), ("estimator", "candidates")}    # a user's, which only {} can take away again


def put(tree: dict[str, Any], keys: Keys, value: Any) -> bool:
    """Set one value, making the mappings on the way; False for an empty mapping over another, which changes nothing."""
    for key in keys[:-1]:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    if not isinstance(value, Mapping):
        tree[keys[-1]] = value
    elif value or keys in _OWN_KEYS or not isinstance(tree.get(keys[-1]), dict):
        tree[keys[-1]] = dict(value)
    else:
        return False
    return True


def leaves(value: Any, keys: Keys = ()) -> Iterable[tuple[Keys, Any]]:
    """What a value says, key by key, so that mappings merge; a window is one value, as it has one of several shapes.

    Examples
    --------
    >>> list(leaves({"drift": {"alpha": 0.01, "terms": 50}, "windows": {"current": {"last": "9d"}}}))
    [(('drift', 'alpha'), 0.01), (('drift', 'terms'), 50), (('windows', 'current'), {'last': '9d'})]
    """
    is_window = len(keys) == 2 and keys[0] == "windows"
    if isinstance(value, Mapping) and (value or not keys) and not is_window:
        for key, item in value.items():
            yield from leaves(item, (*keys, str(key)))
    else:
        yield keys, value


def from_environment(variables: Mapping[str, str]) -> Iterable[tuple[Keys, Any, str]]:
    """Variables that name a key. One with `__` must: a misspelt override would otherwise pass unnoticed."""
    for name, text in sorted(variables.items()):
        keys = tuple(name[len(PREFIX):].lower().split("__")) if name.startswith(PREFIX) else ()
        if not keys or (len(keys) == 1 and keys[0] not in Params.model_fields):
            continue
        if keys[0] not in Params.model_fields:
            raise ParamsError(f"environment variable {name}: there is no params key {'.'.join(keys)!r}")
        origin = f"environment variable {name}"
        for inside, value in leaves(_value(text, origin), keys):
            yield inside, value, origin


def tree_of(overrides: Iterable[str]) -> dict[str, Any]:
    """What `--set key=value` says, where there is no file to override.

    Examples
    --------
    >>> tree_of(["drift.psi_alert=0.2", "drift.alpha=0.01"])
    {'drift': {'psi_alert': 0.2, 'alpha': 0.01}}
    """
    tree: dict[str, Any] = {}
    for keys, value, _ in from_overrides(overrides):
        put(tree, keys, value)
    return tree


def from_overrides(overrides: Mapping[str, Any] | Iterable[str]) -> Iterable[tuple[Keys, Any, str]]:
    """What was set for this run: path, value and where from."""
    for key, value, origin in _named(overrides):
        for keys, inside in leaves(value, tuple(key.split("."))):
            yield keys, inside, origin


def _named(overrides: Mapping[str, Any] | Iterable[str]) -> Iterable[tuple[str, Any, str]]:
    if isinstance(overrides, Mapping):
        yield from ((key, value, f"override {key}") for key, value in overrides.items())
        return
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ParamsError(f"--set {_NO_KEY.split(text)[0]}: write it as key=value, such as drift.psi_alert=0.2")
        yield key.strip(), _value(value, f"--set {key}"), f"--set {key.strip()}"


def _value(text: str, origin: str) -> Any:
    try:
        return read_yaml(text)
    except NoYAMLError as error:
        # The text itself is not told: what YAML cannot read is often a password.
        raise ParamsError(f"{origin}: its value is not valid YAML: {error}") from None

"""What do the environment and `--set` say of params? Paths of keys, each with its value, which is read as YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from trimtab.errors import ParamsError
from trimtab.settings import Params

PREFIX = "TRIMTAB_"
Keys = tuple[str, ...]


def put(tree: dict[str, Any], keys: Keys, value: Any) -> None:
    """Set one value, making the mappings on the way; a mapping of another shape gives way (last: 30d, then rows: 5)."""
    for key in keys[:-1]:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[keys[-1]] = value


def from_environment(variables: Mapping[str, str]) -> Iterable[tuple[Keys, Any, str]]:
    """Variables that name a key. One with `__` must: a misspelt override would otherwise pass unnoticed."""
    for name, text in sorted(variables.items()):
        keys = tuple(name[len(PREFIX):].lower().split("__")) if name.startswith(PREFIX) else ()
        if not keys or (len(keys) == 1 and keys[0] not in Params.model_fields):
            continue
        if keys[0] not in Params.model_fields:
            raise ParamsError(f"environment variable {name}: there is no params key {'.'.join(keys)!r}")
        yield keys, _value(text, f"environment variable {name}"), f"environment variable {name}"


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
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            yield tuple(key.split(".")), value, f"override {key}"
        return
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ParamsError(f"--set {text}: write it as key=value, such as drift.psi_alert=0.2")
        yield tuple(key.strip().split(".")), _value(value, f"--set {key}"), f"--set {key.strip()}"


def _value(text: str, origin: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ParamsError(f"{origin}: {text!r} is not valid YAML") from None

"""What was asked for: a params file, the files it extends, the environment and `--set`, read once and checked.

Later sources win: an extended file, the file itself, `TRIMTAB_…` variables, `--set`. Mappings merge, lists and windows
replace. Everything is addressed by one kind of path (`drift.psi_alert`, `TRIMTAB_DRIFT__PSI_ALERT`) and every value is
read as YAML, wherever it comes from.
"""

from __future__ import annotations

import base64
import difflib
import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from pydantic import BaseModel, ValidationError

from trimtab.errors import ParamsError
from trimtab.overrides import Keys, from_environment, from_overrides, leaves, put
from trimtab.settings import Params
from trimtab.yaml_text import NoYAMLError, read_yaml

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_CREDENTIALS = (    # in URLs and connection strings: of a user, alone before the host, among what is asked
    re.compile(r"://[^/@\s:]*:(?P<secret>\S+?)@(?=[^@/\s]*(?:[/?#\s]|$))"),
    re.compile(r"(?i)(?<![\w+.-])(?!postgres|mysql|mariadb|mssql|oracle|redshift|smtp|ssh|s?ftp)[a-z][\w+.-]*://"
               r"(?P<secret>[^/@\s:]{8,})@"),    # the name of a database's user is none
    re.compile(r"(?i)[?&][\w.-]*(?:password|passwd|pwd|token|secret|access_?key|api_?key|sig|signature)[\w.-]*="
               r"(?P<secret>[^&#\s]+)"),
    re.compile(r"(?i)[?&](?:auth|authorization|bearer|credentials?|jwt|key)=(?P<secret>[^&#\s]+)"),
)
_SHORTEST_IN_BASE64 = 6
_NO_SECRETS = frozenset({"true", "false", "null", "none"})    # words that params files are made of
_SHORTEST_SECRET = 4    # shorter values are too common in ordinary text to be blanked out
_UNION_STEP = re.compile(r"literal\[|function-|(WindowSpec|bool|int|float|str)$")    # of pydantic's, not of the file's
_WANTED = {
    "model_type": "should be a mapping of keys to values", "dict_type": "should be a mapping of keys to values",
    "tuple_type": "should be a list", "string_type": "should be text",
    "float_type": "should be a number", "float_parsing": "should be a number", "int_type": "should be a whole number",
    "int_parsing": "should be a whole number", "int_from_float": "should be a whole number",
    "int_parsing_size": "should be a whole number",
    "bool_type": "should be true or false", "bool_parsing": "should be true or false",
    "string_pattern_mismatch": "should be lower-case letters and digits, with single hyphens between them",
}


@dataclass(frozen=True)
class Loaded:
    """Checked params with what is known of their origin.

    Attributes
    ----------
    params : Params
        The values, secrets resolved.
    public : dict
        The same tree as text may show it: `${NAME}` unresolved, passwords in URLs and alert addresses blanked.
    path : Path
        The params file, absolute.
    secrets : tuple of (str, str)
        Each secret with what stands in its place, longest first.
    """

    params: Params
    public: dict[str, Any]
    path: Path
    secrets: tuple[tuple[str, str], ...]

    def redact(self, text: str) -> str:
        """Put its placeholder in the place of each secret, however JSON, HTML, a URL, Python or base64 writes it."""
        for secret, placeholder in self.secrets:
            for written in _forms(secret):
                text = text.replace(written, placeholder)
        return text


def _is_secret(value: str) -> bool:
    return len(value) >= _SHORTEST_SECRET and value.lower() not in _NO_SECRETS


def _in_json(text: str) -> str:
    """The text as it looks between the quotes of a JSON string."""
    return json.dumps(text)[1:-1]


def _in_base64(text: str) -> set[str]:
    """What of base64, in either alphabet, the text alone decides, wherever it stands among other bytes."""
    found = set()
    for before, start in ((0, 0), (1, 2), (2, 3)):
        raw = bytes(before) + text.encode()
        whole = len(raw) * 8 // 6
        found |= {encode(raw).decode()[start:whole] for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return {form for form in found if len(form) >= _SHORTEST_IN_BASE64}


@cache
def _forms(secret: str) -> tuple[str, ...]:
    """A secret as other formats write it, the longest first; in JSON also as a string in a string, at most."""
    plain = {secret, unquote(secret)}
    coded = {form for text in plain for form in (quote(text), quote(text, safe=""), quote_plus(text), repr(text)[1:-1],
                                                 html.escape(text), html.escape(text, quote=False))}
    coded |= {json.dumps(text, ensure_ascii=False)[1:-1] for text in plain}
    in_json = {_in_json(text) for text in plain | coded}
    forms = plain | coded | in_json | {_in_json(text) for text in in_json}
    forms |= {form for text in plain for form in _in_base64(text)}
    return tuple(sorted((form for form in forms if len(form) >= _SHORTEST_SECRET), key=len, reverse=True))


def load(
    path: str | Path,
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Read and check a params file.

    Parameters
    ----------
    path : str or Path
        A YAML file.
    overrides : mapping or iterable of str
        `{"drift.psi_alert": 0.2}` or `["drift.psi_alert=0.2"]`; these win over everything.
    environment : mapping, optional
        Where `${NAME}` and `TRIMTAB_…` are looked up; by default the process's own.

    Raises
    ------
    ParamsError
        Naming the file and the key, for anything that is missing, unknown, of the wrong type or unreadable.
    """
    variables = os.environ if environment is None else environment
    file = _at(Path(), str(path), "--params")
    tree, origins = _read(file, ())
    for keys, value, origin in [*from_environment(variables), *from_overrides(overrides)]:
        if put(tree, keys, value):
            _remember(origins, keys, origin)
    secrets: dict[str, str] = {}
    resolved = _resolve(tree, (), variables, secrets, origins, file)
    try:
        params = Params.model_validate(resolved)
    except ValidationError as error:
        raise ParamsError(_explain(error, origins, file, secrets)) from None
    secrets |= dict.fromkeys(params.alerts.urls, "<alert url>")
    for text in _strings(resolved):
        secrets |= {match["secret"]: "***" for one in _CREDENTIALS for match in one.finditer(text)}
    known = tuple(sorted((s for s in secrets.items() if _is_secret(s[0])), key=lambda s: -len(s[0])))
    return Loaded(params, _public(tree, params), file, known)


def _read(file: Path, trail: tuple[Path, ...]) -> tuple[dict[str, Any], dict[Keys, str]]:
    """Read a file and those it extends into one tree, with the file that each key came from."""
    if file in trail:
        raise ParamsError(f"{file}: extends itself by way of {' -> '.join(p.name for p in (*trail, file))}")
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        by = f" (extended by {trail[-1]})" if trail else ""
        raise ParamsError(f"{file}: there is no such params file{by}") from None
    except NoYAMLError as error:
        where = f", line {error.line}, column {error.column}" if error.line else ""
        raise ParamsError(f"{file}{where}: not valid YAML: {error}") from None
    except (OSError, ValueError) as error:
        raise ParamsError(f"{file}: cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{file}: a params file is a mapping of keys to values, and this is not")
    named = content.pop("extends", None)
    parents = [] if named is None else named if isinstance(named, list) else [named]
    if not all(isinstance(parent, str) for parent in parents):
        raise ParamsError(f"{file}: extends: must name a file, or a list of files")
    layers = [_read(_at(file.parent, parent, f"{file}: extends"), (*trail, file)) for parent in parents]
    layers.append((content, {keys: str(file) for keys, _ in leaves(content)}))
    tree: dict[str, Any] = {}
    origins: dict[Keys, str] = {}
    for layer, written in layers:
        for keys, value in leaves(layer):
            if put(tree, keys, value):
                _remember(origins, keys, written[keys])
    return tree, origins


def _at(folder: Path, name: str, origin: str) -> Path:
    """Where a file of this name is, seen from a folder."""
    try:
        return (folder / Path(name).expanduser()).resolve()
    except (ValueError, OSError, RuntimeError) as error:    # NUL, half a character, nobody's home, a circle of links
        raise ParamsError(f"{origin}: {name!r} is no name of a file: {error}") from None


def _remember(origins: dict[Keys, str], keys: Keys, origin: str) -> None:
    """Note where a key was written; the last one noted comes last."""
    origins.pop(keys, None)
    origins[keys] = origin


def _origin(origins: Mapping[Keys, str], keys: Keys, file: Path) -> str:
    """Where a key, or what is in it, was written last."""
    related = (o for k, o in reversed(list(origins.items())) if k[: len(keys)] == keys or k == keys[: len(k)])
    return next(related, str(file)) if keys else str(file)


def _resolve(
    value: Any,
    keys: Keys,
    variables: Mapping[str, str],
    secrets: dict[str, str],
    origins: Mapping[Keys, str],
    file: Path,
) -> Any:
    """Put the environment's values in the place of `${NAME}`, remembering each as a secret.

    What follows `:-` stands in for one that is not set, or empty; it is written in the file and no secret. `$${` is
    the text `${`.
    """
    if isinstance(value, dict):
        return {k: _resolve(v, (*keys, k), variables, secrets, origins, file) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolve(item, keys, variables, secrets, origins, file) for item in value]
    if not isinstance(value, str):
        return value

    def _look_up(match: re.Match[str]) -> str:
        if match[2] is not None and not variables.get(match[1]):
            return match[2]
        if match[1] not in variables:
            where = _origin(origins, keys, file)
            raise ParamsError(f"{where}: {'.'.join(keys)}: the environment variable {match[1]} is not set")
        secrets[variables[match[1]]] = match[0]
        return variables[match[1]]

    parts = value.split("$${")
    if any("${" in _REFERENCE.sub("", part) for part in parts):
        told = "what begins with ${ is neither ${NAME} nor ${NAME:-text}; the text ${ is written $${"
        raise ParamsError(f"{_origin(origins, keys, file)}: {'.'.join(keys)}: {told}")
    return "${".join(_REFERENCE.sub(_look_up, part) for part in parts)


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def _public(tree: Mapping[str, Any], params: Params) -> dict[str, Any]:
    """The checked tree with defaults filled in, but with text as it was written, not as it was resolved."""
    shown: dict[str, Any] = params.model_dump(mode="json", by_alias=True, exclude_none=True)
    for keys, value in leaves(tree):
        if any("${" in text for text in _strings(value)):
            put(shown, keys, value)
    blanked: dict[str, Any] = _blank(shown)
    blanked["alerts"]["urls"] = [
        url if (named := _REFERENCE.fullmatch(url)) and not named[2] else "<alert url>"
        for url in blanked.get("alerts", {}).get("urls", [])
    ]
    return blanked


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _blank(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_blank(item) for item in value]
    if not isinstance(value, str):
        return value
    for one in _CREDENTIALS:
        value = one.sub(_without_secret, value)
    return value


def _without_secret(match: re.Match[str]) -> str:
    start, end = (place - match.start() for place in match.span("secret"))
    return f"{match[0][:start]}***{match[0][end:]}"


def _explain(
    error: ValidationError, origins: Mapping[Keys, str], file: Path, secrets: Mapping[str, str]
) -> str:
    """One sentence for the first thing that is wrong: where it was written, which key, what to do."""
    told = [_Problem(detail, secrets) for detail in error.errors(include_url=False)]
    # A misspelt key explains a missing one; and of the shapes that a value may have, a mere word says least.
    first = min(told, key=lambda one: (one.kind != "extra_forbidden", one.kind == "literal_error"))
    words = next((one.words for one in told if one.keys == first.keys and one.words), "")
    also = f"; it may also be {words}" if words and not first.words else ""
    more = len({one.keys for one in told if one.keys != first.keys[: len(one.keys)]})
    others = f" ({more} more after this)" if more else ""
    origin, key = _origin(origins, first.keys, file), ".".join(map(_named, first.keys))
    where = [origin] if origin.split(" ")[-1] == key else [origin, key]    # --set names the key already
    return ": ".join([part for part in where if part] + [first.what() + also + others])


def _named(key: str) -> str:
    """A key as a refusal tells it; what is no name is likely an address that stands where none belongs."""
    return key if re.fullmatch(r"[\w -]*", key) else "…"


class _Problem:
    """One complaint of pydantic's, in our words."""

    def __init__(self, detail: Any, secrets: Mapping[str, str]) -> None:
        self.kind: str = detail["type"]
        self.keys: Keys = tuple(str(s) for s in detail["loc"] if not _UNION_STEP.match(str(s)))
        self.words: str = detail["ctx"]["expected"] if self.kind == "literal_error" else ""
        self._message, self._value, self._secrets = detail["msg"], detail["input"], secrets

    def what(self) -> str:
        """What is wrong."""
        if self.kind == "extra_forbidden":
            known = _keys_of(Params, self.keys[:-1]) + (["extends"] if len(self.keys) == 1 else [])
            close = difflib.get_close_matches(self.keys[-1], known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}"
            return f"unknown key; {hint}"
        if self.kind == "missing":
            return "this key is required"
        if self.kind == "value_error":
            return self._hide(self._message.removeprefix("Value error, "))
        wanted = _WANTED.get(self.kind) or re.sub(r"^(Input|String) ", "", self._message)
        # The addresses that alerts go to are secrets, even where they are written out.
        return wanted if self.keys[:1] == ("alerts",) else f"{wanted} (it is {_shorten(self._hide(repr(self._value)))})"

    def _hide(self, text: str) -> str:
        for secret, placeholder in self._secrets.items():
            for form in (secret, repr(secret)[1:-1]):
                text = text.replace(form, placeholder) if form else text
        return str(_blank(text))


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _keys_of(model: type[BaseModel], keys: Iterable[str]) -> list[str]:
    """The keys that a section knows, as they are written in a file."""
    for key in keys:
        field = model.model_fields.get(key)
        inside = _annotations(field.annotation) if field else ()
        model = next((a for a in inside if isinstance(a, type) and issubclass(a, BaseModel)), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _annotations(annotation: Any) -> Iterable[Any]:
    yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _annotations(part)

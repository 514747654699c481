"""What exists is documented, and what is documented exists."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.main import get_command

import trimtab
from trimtab import errors
from trimtab.decide.signals import FAMILIES, SIGNALS
from trimtab.run.cli import app
from trimtab.run.pipelines import BY_NAME
from trimtab.settings import Params
from trimtab.settings.drift import DriftSettings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PARAMS = (ROOT / "docs" / "params.md").read_text()
REQUIREMENTS = (ROOT / "docs" / "requirements.md").read_text()


def _keys(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{before}{field.alias or name}"
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and inner.__name__ != "WindowSpec":
            yield from _keys(inner, f"{key}.")
        else:
            yield key


@pytest.mark.parametrize("key", list(_keys(Params)))
def test_every_params_key_is_documented(key: str) -> None:
    assert f"`{key}`" in PARAMS


@pytest.mark.parametrize("name", list(SIGNALS))
def test_every_signal_is_documented(name: str) -> None:
    assert f"`{name}`" in PARAMS


def test_the_level_that_each_family_of_evidence_is_held_to_is_documented() -> None:
    row = next(line for line in PARAMS.splitlines() if line.startswith("| `drift.alpha`"))
    assert f"{len(FAMILIES)} of them" in row
    assert f"held to {DriftSettings().alpha / len(FAMILIES):g} by default" in row


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"trimtab .*\b{name}\b", README)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_pipeline_is_in_the_readme_and_the_makefile(name: str) -> None:
    assert name in README
    assert re.search(rf"^.*\b{name}\b.*: setup", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_option_is_in_the_readme_beside_its_command(name: str) -> None:
    options = {o for p in get_command(app).commands[name].params for o in p.opts if o.startswith("--")}  # type: ignore[attr-defined]
    told = " ".join(re.findall(rf"^trimtab (?:\w+\|)*{name}\b.*$", README, re.M))
    assert told
    assert not {option for option in options if option not in told and option != "--params"}


def test_every_exit_code_is_in_the_readme() -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    for code in codes | {0, 130, 143}:
        assert re.search(rf"^\| .*\b{code}\b.* \|", README, re.M), f"exit code {code}"


def test_every_make_target_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z][\w -]*):", (ROOT / "Makefile").read_text(), re.M))
    names = {name for line in targets for name in line.split()}
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for name in re.findall(r"`make ([a-z][\w-]*)", path.read_text()):
            assert name in names, f"{path.name}: make {name}"


def test_every_notebook_is_listed_in_the_architecture() -> None:
    told = (ROOT / "docs" / "architecture.md").read_text()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert path.stem in told


def test_links_between_documents_lead_somewhere() -> None:
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def _rows() -> list[tuple[str, list[str]]]:
    kept = REQUIREMENTS.partition("## Begun")[0]
    rows = re.findall(r"^\| ([A-Z]\d\d) \|(.*)\|$", kept, re.M)
    return [(name, re.findall(r"`((?:test_)\w+)`", cells)) for name, cells in rows]


@pytest.mark.parametrize(("requirement", "tests"), _rows(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_kept_requirement_names_tests_that_exist_and_name_it(requirement: str, tests: list[str]) -> None:
    assert tests, f"{requirement} names no test"
    source = "\n".join(path.read_text() for path in (ROOT / "tests").glob("*.py"))
    for test in tests:
        found = re.search(rf"def {test}\b(.|\n)*?(?=\n(?:def |@|class )|\Z)", source)
        assert found, f"{requirement}: there is no {test}"
        assert requirement.lower() in found.group(0).lower(), f"{test} does not name {requirement}"


def test_every_requirement_has_one_row() -> None:
    last = {"B": 22, "F": 22, "A": 10, "P": 12, "C": 7, "X": 10}
    wanted = [f"{group}{number:02d}" for group, until in last.items() for number in range(1, until + 1)]
    assert sorted(re.findall(r"^\| ([A-Z]\d\d) \|", REQUIREMENTS, re.M)) == sorted(wanted)


MODULES = [trimtab, *(importlib.import_module(one.name) for one in pkgutil.walk_packages(trimtab.__path__, "trimtab."))]
KEYS = set(_keys(Params))
_FILE = re.compile(r"\.(json|yaml|py|md|html|db|log)$")


def _resolved(name: str) -> bool:
    """Whether there is such a key, module, class, function or method: whole, from its module or from its class on."""
    parts = name.split(".")
    if name in KEYS:
        return True
    for one in MODULES:
        if isinstance(getattr(one, parts[0], None), type) and _has(one, parts):
            return True
        for length in range(1, len(parts) + 1):    # of what names the module
            of_module = f".{one.__name__}".endswith(f".{'.'.join(parts[:length])}")
            if of_module and _has(one, parts[length:]):
                return True
    return False


def _has(owner: object, names: list[str]) -> bool:
    for name in names:
        fields = getattr(owner, "__dataclass_fields__", {}) | getattr(owner, "model_fields", {})
        if name in fields:
            return True
        if not hasattr(owner, name):
            return False
        owner = getattr(owner, name)
    return True


def _code_names() -> Iterator[tuple[str, str]]:
    """What looks like a name in code, in prose and in the picture of the flow: with a dot, or a class's."""
    for path in (ROOT / "docs" / "requirements.md", ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md"):
        text = path.read_text()
        named = re.findall(r"`(?:trimtab\.)?([A-Za-z_]\w*(?:\.\w+)+|[A-Z][a-z]+(?:[A-Z][a-z]+)*)(?:\([^`]*\))?`", text)
        drawn = [name for block in re.findall(r"^```\n(.*?)^```", text, re.M | re.S)
                 for name in re.findall(r"(?<![\w/*.])([A-Za-z_]+\.[A-Za-z_]+)\b", block)]
        yield from sorted({(path.name, name) for name in (*named, *drawn) if not _FILE.search(name)})


@pytest.mark.parametrize(("document", "name"), list(_code_names()))
def test_every_name_of_code_in_the_documents_is_in_the_code(document: str, name: str) -> None:
    assert _resolved(name), f"{document} names {name}"

"""The house stands as docs/architecture.md draws it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "lib" / "trimtab"
LAYERS = ["measure", "decide", "act", "run"]
# They show values of every layer, and name those types for the type checker only.
PRESENTATION = {"plots", "tables", "findings", "movements", "merits", "timelines", "retrospect"}


def _modules() -> list[Path]:
    return sorted(LIBRARY.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """Modules of ours that are imported when this one runs, not those named for the type checker only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("trimtab.")}


def _layer(path: Path) -> str | None:
    part = path.relative_to(LIBRARY).parts[0]
    return part if part in LAYERS else None


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_imports_flow_from_run_to_measure_and_never_back(path: Path) -> None:
    layer = _layer(path)
    allowed = LAYERS[: LAYERS.index(layer) + 1] if layer else ["measure"]
    if path.stem in PRESENTATION or path == LIBRARY / "__init__.py":
        allowed = LAYERS
    forbidden = [f"trimtab.{other}" for other in LAYERS if other not in allowed]
    wrong = [name for name in _imports(path) for other in forbidden if name == other or name.startswith(f"{other}.")]
    assert not wrong, f"{path.name} imports {wrong}"


# Rooms of measure/, each with those whose values it builds on; the calendar is anybody's.
ROOMS = {
    "columns": set(),
    "words": {"columns"},
    "together": {"columns"},
    "models": {"columns"},
    "unlabelled": {"columns", "together", "models"},
    "over_time": {"models"},
}


@pytest.mark.parametrize("room", sorted(path.parent.name for path in (LIBRARY / "measure").glob("*/__init__.py")))
def test_rooms_of_measure_build_on_each_other_in_one_direction(room: str) -> None:
    for path in (LIBRARY / "measure" / room).glob("*.py"):
        used = {name.split(".")[2] for name in _imports(path) if name.startswith("trimtab.measure.")}
        assert used <= ROOMS[room] | {room, "calendar"}, f"{path.name} imports {used - ROOMS[room] - {room}}"


@pytest.mark.parametrize("layer", ["measure", "decide"])
def test_measuring_and_deciding_touch_nothing_outside_the_process(layer: str) -> None:
    outside = {"os", "pathlib", "time", "sqlalchemy", "mlflow", "socket", "subprocess", "shutil"}
    for path in (LIBRARY / layer).rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
        assert not names & outside, f"{path.name} imports {names & outside}"
        assert not re.search(r"\b(open|now|utcnow)\(", path.read_text()), f"{path.name} opens a file or asks the clock"


def test_every_module_is_named_in_the_architecture_with_its_question() -> None:
    told = (ROOT / "docs" / "architecture.md").read_text()
    for path in _modules():
        name = str(path.relative_to(LIBRARY).with_suffix(""))
        if not name.endswith("__init__"):
            assert f"`{name}`" in told, f"{name} is missing in docs/architecture.md"


def test_importing_trimtab_is_cheap() -> None:
    heavy = "{'pandas', 'ibis', 'sklearn', 'mlflow', 'matplotlib'}"
    code = f"import sys, trimtab; print(sorted({{m.split('.')[0] for m in sys.modules}} & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("package", "owner"),
    [("scrapbook", "run/scraps.py"), ("mlflow", "act/registry.py act/modelfile.py act/quietly.py"),
     ("papermill", "run/notebooks.py")],
)
def test_each_outside_package_has_one_owner(package: str, owner: str) -> None:
    users = [
        str(path.relative_to(LIBRARY)) for path in _modules()
        if re.search(rf"^\s*(import|from) {package}\b", path.read_text(), re.M)
    ]
    assert set(users) <= set(owner.split()), f"{package} is imported by {users}"

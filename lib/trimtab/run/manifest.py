"""What does `run.json` say?"""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import trimtab
from trimtab import folders
from trimtab.plain import to_text, write_atomically

FILE = "run.json"
_COPY = re.compile(r"\.ipynb_checkpoints(/[^/]+-checkpoint\.\w+)?")
_PACKAGES = (
    "ibis-framework", "duckdb", "pandas", "pyarrow", "numpy", "scipy", "scikit-learn", "mlflow-skinny", "skops",
    "sqlalchemy", "papermill", "nbclient", "nbconvert", "scrapbook", "matplotlib", "pydantic",
)


@cache
def code_version() -> dict[str, str | None]:
    """Trimtab's version, and the git commit that its source stands at (with a + when files were changed since)."""
    folder = Path(trimtab.__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no") if commit else None
    return {"trimtab": trimtab.__version__, "commit": f"{commit}{'+' if changed else ''}" if commit else None}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@dataclass
class Step:
    """One notebook of a run."""

    notebook: str
    status: str = "running"
    seconds: float | None = None
    file: str | None = None
    html: str | None = None
    sha256: str | None = None
    error: str | None = None
    scraps: dict[str, Any] = field(default_factory=dict)
    slow: bool = False    # slower than limits.slow


@dataclass
class Manifest:
    """All that is known of a run; written anew at every change."""

    run_id: str
    model: str
    tenant: str | None
    pipeline: str
    status: str
    as_of: datetime | str | None
    started_at: datetime | str
    dry_run: bool
    params: dict[str, Any]
    finished_at: datetime | str | None = None
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    data: dict[str, Any] | None = None
    result: dict[str, Any] = field(default_factory=dict)
    amendments: dict[str, Any] = field(default_factory=dict)    # of the params, since which run
    files: dict[str, str] = field(default_factory=dict)         # SHA-256 of everything else in the folder
    chain: dict[str, Any] = field(default_factory=dict)         # the run before, and what the ledger says of it
    packages: dict[str, str] = field(default_factory=lambda: package_versions())
    code: dict[str, str | None] = field(default_factory=lambda: code_version())

    def save(self, folder: Path, ready: Callable[[], None] | None = None) -> None:
        """Write `run.json` beside and rename it, if `ready` raises nothing (`write_atomically`)."""
        write_atomically(folder / FILE, to_text(self), ready)


def load(folder: Path) -> Manifest | None:
    """Read a run's manifest; None when there is none that can be read."""
    if not (folder / FILE).is_file():    # reading a pipe would never end
        return None
    try:
        plain = json.loads((folder / FILE).read_text(encoding="utf-8"))
        plain["steps"] = [Step(**step) for step in plain["steps"]]
        return Manifest(**plain)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a run but its manifest, by its path in the folder; of what is none, what it is.

    What Jupyter leaves beside a notebook that somebody opened is no file of the run: a folder with copies that are
    called NAME-checkpoint.
    """
    found = folders.contents(folder)
    return {name: sha256 for name, sha256 in found.items() if name != FILE and not _of_jupyter(name, sha256)}


def _of_jupyter(name: str, told: str) -> bool:
    """Whether something is one of the copies, or the folder for them before there is any."""
    return bool(_COPY.fullmatch(name)) and (folders.is_hash(told) or told == "a folder")

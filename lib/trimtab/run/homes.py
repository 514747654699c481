"""Where do `runs/` and `.trimtab/` live, and can they be written?"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trimtab.errors import StateError, UsageError

HOME = "TRIMTAB_HOME"
_TYPED_IN = "TRIMTAB_TYPED_IN"    # of a run under way
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


def home_of(params_file: Path | None) -> Path:
    """Where `runs/` and `.trimtab/` live: `TRIMTAB_HOME`, else the folder above `params/`, else the current one."""
    if os.environ.get(HOME):
        return Path(os.environ[HOME]).expanduser().resolve()
    return (root_of(params_file) if params_file is not None else None) or Path.cwd()


def root_of(params_file: Path) -> Path | None:
    """The folder above `params/`, in which a params file is, or in a folder of it; None where it is elsewhere.

    Examples
    --------
    >>> root_of(Path("/srv/params/tenants/east.yaml")), root_of(Path("/srv/east.yaml"))
    (PosixPath('/srv'), None)
    """
    return next((folder.parent for folder in params_file.resolve().parents if folder.name == "params"), None)


def typed_in() -> Path:
    """The folder that a command was typed in; the notebooks that it executes work in another one."""
    return Path(os.environ.get(_TYPED_IN) or Path.cwd())


def for_notebooks(home: Path) -> dict[str, str]:
    """What the notebooks of a run find in their environment, so that they look for files where the run does.

    Examples
    --------
    >>> for_notebooks(Path("/srv"))["TRIMTAB_HOME"]
    '/srv'
    """
    return {HOME: str(home), _TYPED_IN: str(typed_in())}


def program(home: Path) -> str:
    """How a command is typed that is to work anywhere on this machine: with the home, and this very program.

    Examples
    --------
    >>> program(Path("/a home")).startswith("TRIMTAB_HOME='/a home' ")
    True
    """
    here = Path(sys.executable).with_name("trimtab")
    return f"{HOME}={shlex.quote(str(home))} {shlex.quote(str(here)) if here.exists() else here.name}"


def without_runs(home: Path, model: str) -> str:
    """Where was looked, of a model of which nothing was found: it may live elsewhere.

    Examples
    --------
    >>> without_runs(Path("/srv"), "demo")
    'no run of demo is recorded in the home /srv; TRIMTAB_HOME names another one'
    """
    return f"no run of {model} is recorded in the home {home}; {HOME} names another one"


def absolute_url(url: str, home: Path) -> str:
    """A store's URL with a relative SQLite path placed in `home`, whatever characters that has.

    Examples
    --------
    >>> absolute_url("sqlite:///.trimtab/ledger.db", Path("/srv"))
    'sqlite:////srv/.trimtab/ledger.db'
    >>> absolute_url("sqlite:///.trimtab/ledger.db", Path("/srv/what?"))
    'sqlite+pysqlite:////srv/what%3F/.trimtab/ledger.db'
    """
    import sqlalchemy as sa

    prefix = "sqlite:///"
    if not url.startswith(prefix) or url.startswith(prefix + "/"):
        return url
    parsed = sa.make_url(url)
    placed = str(home / (parsed.database or ""))
    told = parsed.set(database=placed).render_as_string(hide_password=False)
    if placed in told:
        return told
    # MLflow would take what follows sqlite:/// as it is for a path, and make that folder; not with the driver's name.
    return told.replace("sqlite:", "sqlite+pysqlite:", 1)


def workshop(home: Path, run_id: str) -> Path:
    """Where the models of a run come to be, until they are registered."""
    return home / ".trimtab" / "training" / run_id


def tidy(home: Path, run_dir: Path) -> None:
    """Remove what a run that died had written beside and could not rename any more; what was renamed stays."""
    shutil.rmtree(workshop(home, run_dir.name), ignore_errors=True)
    shutil.rmtree(home / ".trimtab" / "dry" / run_dir.name, ignore_errors=True)
    for folder in (run_dir, home / ".trimtab", home / "runs"):
        sweep(folder)


def sweep(folder: Path) -> None:
    """Remove what was written beside and not renamed: by who died, or could not write there any more."""
    for beside in folder.glob(".*.tmp"):
        beside.unlink(missing_ok=True)


def checked_run_id(run_id: str) -> str:
    """A run id, whoever gave it; as the name of a folder it leads nowhere else.

    Raises
    ------
    UsageError
        When it has anything but letters, digits, hyphens and underscores, or more than eighty of them.

    Examples
    --------
    >>> checked_run_id("20260101T120000-drift-a1b2c3")
    '20260101T120000-drift-a1b2c3'
    """
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{run_id[:80]!r} is no run id: those look like 20260101T120000-drift-a1b2c3")
    return run_id


@contextmanager
def readable(home: Path) -> Iterator[Path]:
    """A home to read from: itself, or a copy of its state where that cannot be written (a snapshot, an auditor's copy).

    Databases make files beside themselves even when they are only read, and where there is no state a copy of nothing
    keeps one from being made.
    """
    state = home / ".trimtab"
    if os.access(state, os.W_OK):
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="trimtab-") as place:
        (Path(place) / state.name).mkdir()
        for database in state.glob("*.db*"):
            shutil.copy(database, Path(place) / state.name)
        yield Path(place)


def prepare(home: Path) -> None:
    """Make the folder for the state.

    Raises
    ------
    StateError
        When it cannot be made or written.
    """
    state = home / ".trimtab"
    try:
        state.mkdir(parents=True, exist_ok=True)
        probe = state / f".writable.{os.getpid()}.tmp"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise StateError(f"{state}: cannot be written: {error.strerror or error}") from None

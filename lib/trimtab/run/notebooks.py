"""How is one notebook executed, saved and marked?"""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from trimtab import errors
from trimtab.errors import StateError, StepError, TimeLimitError, TrimtabError, UsageError
from trimtab.plain import write_atomically
from trimtab.run import server
from trimtab.run.deadlines import Deadline, Limits

_SCHEME = "trimtab-atomic://"
_NOT_NEEDED = "rfc3987_syntax"    # jsonschema imports it when it can, does not need it, and it takes a second


@contextmanager
def _quick_imports() -> Iterator[None]:
    hidden = _NOT_NEEDED not in sys.modules
    modules: dict[str, Any] = sys.modules
    if hidden:
        modules[_NOT_NEEDED] = None
    try:
        yield
    finally:
        if hidden:
            del modules[_NOT_NEEDED]


with _quick_imports():
    import nbformat
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from papermill.iorw import papermill_io


def _address(path: Path) -> str:
    """The path as papermill takes it: a URL that is a template, too."""
    return quote(f"{_SCHEME}{path}", safe="/:")


def _plain(address: str) -> Path:
    return Path(unquote(address.removeprefix(_SCHEME)))


class _Atomic:
    """A papermill file handler that redacts, writes beside and renames."""

    def __init__(self, redact: Callable[[str], str], ready: Callable[[], None] | None) -> None:
        self._redact, self._ready = redact, ready

    def read(self, path: str) -> str:
        """The file's text."""
        return _plain(path).read_text(encoding="utf-8")

    def listdir(self, path: str) -> list[str]:
        """What lies in a folder."""
        return [str(p) for p in _plain(path).iterdir()]

    def write(self, text: str, path: str) -> None:
        """Put the notebook, without its secrets, in the place of the file."""
        write_atomically(_plain(path), redacted(text, self._redact), self._ready)

    def pretty_path(self, path: str) -> str:
        """The path as papermill's messages name it."""
        return str(_plain(path))


def redacted(notebook: str, redact: Callable[[str], str]) -> str:
    """A notebook's JSON with every text in it redacted, and nothing else; a text may be a list of its lines.

    Examples
    --------
    >>> redacted('{"source": ["my ", "secret"], "n": true}', lambda text: text.replace("my secret", "***"))
    '{"n": true, "source": ["***"]}'
    """
    tree = json.loads(notebook)
    without = _redacted(tree, redact)
    return notebook if without == tree else json.dumps(without, ensure_ascii=False, sort_keys=True)


def _redacted(tree: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(tree, str):
        return redact(tree)
    if isinstance(tree, dict):
        return {redact(key): _redacted(value, redact) for key, value in tree.items()}
    if not isinstance(tree, list):
        return tree
    if tree and all(isinstance(line, str) for line in tree):
        whole = "".join(tree)
        told = redact(whole)
        return tree if told == whole else told.splitlines(keepends=True)
    return [_redacted(one, redact) for one in tree]


def folder() -> Path:
    """Where the notebooks are: beside the library's source, or under the current folder."""
    beside = Path(__file__).resolve().parents[3] / "notebooks"
    return beside if beside.is_dir() else Path.cwd() / "notebooks"


def check(source: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse a notebook that cannot take the parameters, before any kernel starts.

    Raises
    ------
    UsageError
        When the notebook is missing, has no parameters cell, or does not know one of the parameters.
    """
    if not source.is_file():
        raise UsageError(f"{source}: there is no such notebook")
    book = nbformat.read(str(source), as_version=4)
    cell = next((c for c in book.cells if "parameters" in c.metadata.get("tags", [])), None)
    if cell is None:
        raise UsageError(f"{source.name}: has no cell tagged parameters")
    assigned = [node.targets for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
    known = [target.id for targets in assigned for target in targets if isinstance(target, ast.Name)]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise UsageError(f"{source.name}: has no parameter {unknown[0]!r}; it has {', '.join(known)}")


def execute(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any],
    *,
    warm: bool,
    limits: Limits,
    settings: Mapping[str, str] | None = None,
    redact: Callable[[str], str] = str,
    progress: bool = True,
    ready: Callable[[], None] | None = None,
) -> None:
    """Execute a notebook in a process of its own and save it, whatever happens.

    Parameters
    ----------
    source, target : Path
        The notebook, and where its executed form goes.
    parameters : mapping
        Put into the parameters cell.
    warm : bool
        Fork the kernel from the warm server, or start an ordinary one.
    limits : Limits
        After how long it is interrupted, and killed.
    settings : mapping, optional
        Of its environment, on top of this process's.
    redact : callable
        Takes secrets out of text before it is written.
    progress : bool
        Show a bar on standard error.
    ready : callable, optional
        Called whenever the notebook is about to be saved; what it raises ends the execution, and nothing is saved.

    Raises
    ------
    TrimtabError
        What the notebook raised, when that was one of Trimtab's own errors.
    TimeLimitError
        When it ran into one of its limits; what was done until then is saved.
    StepError
        For every other failure, naming notebook and error; also when the kernel died.
    """
    deadline = Deadline(source.stem, limits)
    try:
        with _environment({**server.thread_environment(), **(settings or {})}):
            _execute(source, target, parameters, deadline, warm=warm, redact=redact, progress=progress, ready=ready)
    except (StepError, TimeLimitError):
        if deadline.error is None:
            raise
        mark(target, f"{deadline.error}.", redact, ready)
        raise deadline.error from None
    finally:
        deadline.over()


def _execute(
    source: Path, target: Path, parameters: Mapping[str, Any], deadline: Deadline, *, warm: bool,
    redact: Callable[[str], str], progress: bool, ready: Callable[[], None] | None,
) -> None:
    papermill_io.register(_SCHEME, _Atomic(redact, ready))
    name = source.stem
    try:
        papermill.execute_notebook(
            _address(source),
            _address(target),
            parameters=dict(parameters),
            cwd=str(source.parent),
            kernel_name="python3",
            kernel_manager_class=deadline.manager_class(warm=warm),
            on_notebook_start=deadline.begin,
            on_cell_start=deadline.check,
            progress_bar=_bar(name) if progress else False,
            shutdown_kernel="immediate",
        )
    except PapermillExecutionError as error:
        raise _translated(name, error, redact) from error
    except DeadKernelError as error:
        mark(target, f"The kernel of {name} died before the notebook was through.", redact, ready)
        raise StepError(f"{name}: the kernel died (killed, or out of memory)") from error
    except NoSuchKernel as error:
        raise StepError(f"{name}: no ordinary Jupyter kernel is installed; run without --cold") from error
    except (TrimtabError, OSError):
        raise
    except Exception as error:    # a kernel that dies while it starts shows as several kinds of error
        mark(target, f"The kernel of {name} failed before the notebook was through.", redact, ready)
        raise StepError(redact(f"{name}: {type(error).__name__}: {error}")) from error


def _bar(name: str) -> dict[str, Any]:
    """How the bar is drawn: over and over on a terminal, rarely in a log, where every state of it stays."""
    rarely = {} if sys.stderr.isatty() else {"mininterval": 30.0, "ascii": True, "ncols": 80}
    return {"file": sys.stderr, "desc": name, **rarely}


def _translated(name: str, error: PapermillExecutionError, redact: Callable[[str], str]) -> TrimtabError:
    """The notebook's error as one of ours: its own class where it is one, so that the exit code stays right."""
    text = redact(f"{name}: {error.evalue}")
    if error.ename == "OSError" and "No space left" in str(error.evalue):
        return StateError(text)
    kind = getattr(errors, str(error.ename), None)
    if isinstance(kind, type) and issubclass(kind, TrimtabError) and kind is not errors.Interrupted:
        return kind(text)
    return StepError(redact(f"{name}: {error.ename}: {error.evalue}"))


def mark(
    target: Path, sentence: str, redact: Callable[[str], str] = str, ready: Callable[[], None] | None = None
) -> None:
    """Put a banner on top of a saved notebook whose run was cut short; papermill would leave it looking complete.

    Parameters
    ----------
    ready : callable, optional
        As for `write_atomically`.
    """
    if not target.is_file():
        return
    book = nbformat.read(str(target), as_version=4)
    banner = nbformat.v4.new_markdown_cell(f"<p style='color:#b3261e'><b>{redact(sentence)}</b></p>")
    banner.metadata["tags"] = ["trimtab-banner"]
    for cell in book.cells:
        if cell.metadata.get("papermill", {}).get("status") in {"pending", "running"}:
            cell.metadata["papermill"]["status"] = "interrupted"
    book.cells.insert(0, banner)
    write_atomically(target, redacted(nbformat.writes(book), redact), ready)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Settings that a kernel inherits, and this process does not keep."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

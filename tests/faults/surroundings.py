"""What is left when a run's surroundings fail: its disk, its permissions, its clock, its databases?"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from faults.kills import RETRAIN, Trial, afterwards, words_of
from faults.places import Home, goes_on, restore, rows, serves

_IN_ORDER = (0, 2, 4)
_BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
_SLOW_CLOCK = Path(__file__).parent / "slow_clock"


def _trial(what: str, home: Home, before: dict[str, Any], code: int, said: str, *, refused: bool = False) -> Trial:
    """How a run ended under a fault, and whether all is well once the fault is gone."""
    problems = [] if code in _IN_ORDER else [f"the run ended with {code}"]
    if refused and code == 0:
        problems.append("nothing was noticed")
    if "Traceback" in said:
        problems.append(f"a traceback: {said[-1500:]}")
    told = [line for line in said.splitlines() if line.startswith("trimtab: ")]
    if code and not told:
        problems.append(f"no sentence says what was wrong: {said[-500:]}")
    reason = f" ({told[-1][:160]})" if told else ""
    return Trial(f"{what}: exit {code}{reason}", problems + serves(home) + afterwards(home, before))


# -- a disk that is full ---------------------------------------------------------------------------------------------


def file_too_large(home: Home, template: Path, most: int) -> Trial:
    """No file may grow beyond so many bytes, as where a quota or a limit is reached."""
    restore(home, template)
    before = rows(home)

    def _limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    code, said = home.run(*RETRAIN, preexec_fn=_limit)
    return _trial(f"no file over {most:,} bytes", home, before, code, said)


def disk_full(home: Home, template: Path, spare: int) -> Trial:
    """A disk of its own with so many bytes left, which has room again afterwards."""
    restore(home, template)
    before = rows(home)
    size = sum(path.stat().st_size for path in home.folder.rglob("*") if path.is_file())
    with _disk(home, template, size + spare + 2**19):
        filler = home.folder / "filler"
        free = shutil.disk_usage(home.folder).free
        filler.write_bytes(b"x" * max(free - spare, 0))
        code, said = home.run(*RETRAIN)
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=512m", home.folder], check=True)
        return _trial(f"{spare:,} bytes left on the disk", home, before, code, said)


@contextmanager
def _disk(home: Home, template: Path, size: int) -> Iterator[None]:
    """A small disk in the place of the home, with the same content."""
    shutil.rmtree(home.folder)
    home.folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", home.folder], check=False)
    if made.returncode:
        pytest.skip("no disk of its own can be mounted here")
    try:
        shutil.copytree(template, home.folder, symlinks=True, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "-l", home.folder], check=True)


# -- what may not be written -----------------------------------------------------------------------------------------


def read_only(home: Home, template: Path, after: float) -> Trial:
    """Everything in the home loses its permissions while a run is under way; as root, one to which these apply."""
    restore(home, template)
    before = rows(home)
    if os.getuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may write everywhere")
    process = home.start(*RETRAIN, by=_BOUND if os.getuid() == 0 else ())
    time.sleep(after)
    _permit(home.folder, write=False)
    said, complained = process.communicate(timeout=300)
    _permit(home.folder, write=True)
    return _trial(f"read-only after {after:.2f} s", home, before, process.returncode, said + complained,
                  refused=after == 0)


def _permit(folder: Path, *, write: bool) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink() and path.exists():
            path.chmod((0o755 if path.is_dir() else 0o644) if write else (0o555 if path.is_dir() else 0o444))


# -- a clock that jumps back -----------------------------------------------------------------------------------------


def clock_back(home: Home, template: Path, seconds: int, *, killed: bool) -> Trial:
    """A run whose clock stands so many seconds before that of the run before it, which may have been killed."""
    restore(home, template)
    if killed:
        first = home.start(*RETRAIN)
        time.sleep(2.5)
        first.kill()
        first.communicate()
    else:
        goes_on(home)
    before = rows(home)
    shifted = {"PYTHONPATH": str(_SLOW_CLOCK), "CLOCK_BACK": str(seconds)}
    code, said = home.run(*RETRAIN, environment=shifted)
    trial = _trial(f"the clock {seconds:,} s back{', after a kill' if killed else ''}", home, before, code, said)
    return trial if code == 0 else Trial(trial.what, [*trial.problems, f"the run ended with {code}: {said[-600:]}"])


# -- databases -------------------------------------------------------------------------------------------------------


def ledger_locked(home: Home, template: Path, after: float, seconds: float) -> Trial:
    """Another process holds the ledger's lock for a while."""
    restore(home, template)
    before = rows(home)
    process = home.start(*RETRAIN)
    time.sleep(after)
    holder = sqlite3.connect(home.folder / ".trimtab" / "ledger.db", timeout=60, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    time.sleep(seconds)
    holder.execute("ROLLBACK")
    holder.close()
    said, complained = process.communicate(timeout=300)
    what = f"the ledger locked after {after:.2f} s for {seconds:g} s"
    return _trial(what, home, before, process.returncode, said + complained)


def registry_gone(home: Home, template: Path, after: float, seconds: float, words: tuple[str, ...] = RETRAIN) -> Trial:
    """The registry's database cannot be found for a while, and then is there again as it was."""
    restore(home, template)
    before = rows(home)
    file = home.folder / ".trimtab" / "mlflow.db"
    process = home.start(*words)

    def _take_away() -> None:
        time.sleep(after)
        file.rename(file.with_suffix(".away"))
        time.sleep(seconds)
        file.with_suffix(".away").rename(file)

    thread = threading.Thread(target=_take_away)
    thread.start()
    said, complained = process.communicate(timeout=300)
    thread.join()
    what = f"{words_of(words)}: the registry gone after {after:.2f} s for {seconds:g} s"
    return _trial(what, home, before, process.returncode, said + complained)

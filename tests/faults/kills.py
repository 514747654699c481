"""What is left when a process of a run is killed, at any moment, with no chance to say a word?"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from faults.places import AS_OF, Home, altered, files, goes_on, lost, restore, rows, serves, settled, verified

RETRAIN = ("run", "retrain", "--as-of", AS_OF)
ROLLBACK = ("run", "rollback", "--as-of", AS_OF, "--by", "a test", "--why", "to see what is left")
DRIFT = ("run", "drift", "--as-of", AS_OF)
_GONE = 20    # seconds within which nothing of a killed run may be left
# Python's own tracker of semaphores, once killed, is started anew and complains of each name that it never heard of.
_OF_TRACKER = re.compile(
    r"Traceback \(most recent call last\):\n(?:  .*\n)*?  File .*/multiprocessing/resource_tracker\.py.*\n(?:  .*\n)*"
    r"KeyError: '/mp-\w+'\n?"
)
_ENDED_IN_ORDER = (0, 2, 4)    # of a run that lost a kernel; it may also have been through already


def words_of(words: tuple[str, ...]) -> str:
    """A command in short."""
    return " ".join(words[:2])


@dataclass(frozen=True)
class Trial:
    """What was done, and what was wrong afterwards."""

    what: str
    problems: list[str]


@cache
def duration(home: Home, template: Path, words: tuple[str, ...]) -> float:
    """Seconds of an undisturbed run, measured once in each home."""
    restore(home, template)
    started = time.monotonic()
    code, said = home.run(*words)
    assert code == 0, said
    return time.monotonic() - started


def kill(home: Home, template: Path, words: tuple[str, ...], after: float, rng: np.random.Generator) -> Trial:
    """Start a run, kill the runner or one of the processes under it, and look at what is left; then run again."""
    restore(home, template)
    before, models = rows(home), files(home)
    process = home.start(*words)
    time.sleep(after)
    family = _family(process)
    victim = family[int(rng.integers(len(family)))] if rng.random() < 0.5 else family[0]
    whom = "the runner" if victim.pid == process.pid else f"a process of it ({len(family)} there)"
    what = f"{words_of(words)}: {whom} killed after {after:.2f} s"
    try:
        victim.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        what += " (it had ended)"
    problems = _ending(process, family, runner=victim.pid == process.pid)
    problems += serves(home)
    problems += afterwards(home, before)
    return Trial(what, problems + altered(models, files(home)))


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The runner and everything under it, the runner first."""
    try:
        runner = psutil.Process(process.pid)
        return [runner, *runner.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [_Ended(process.pid)]    # type: ignore[list-item]  # does what is asked of it here


def _ending(process: subprocess.Popen[str], family: list[psutil.Process], *, runner: bool) -> list[str]:
    """Whether the run ended as it should, and nothing of it goes on."""
    try:
        said, complained = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        return ["the run did not end within two minutes"]
    problems = []
    if not runner and process.returncode not in _ENDED_IN_ORDER:
        problems.append(f"the run ended with {process.returncode}: {(said + complained)[-500:]}")
    if "Traceback" in _OF_TRACKER.sub("", complained):
        problems.append(f"a traceback: {complained[-800:]}")
    _, alive = psutil.wait_procs([one for one in family if isinstance(one, psutil.Process)], timeout=_GONE)
    return problems + [f"process {one.pid} lives on" for one in alive]


def afterwards(home: Home, before: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Whether the next run goes on, and afterwards all is in order and nothing is lost."""
    return goes_on(home) + verified(home) + settled(home) + lost(before, rows(home))


class _Ended:
    """In the place of a process that is not there any more."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def send_signal(self, _number: int) -> None:
        raise psutil.NoSuchProcess(self.pid)

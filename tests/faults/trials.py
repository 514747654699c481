"""Which faults are there, and how often is each tried?"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from conftest import serving_postgres

from faults import kills, places, races, surroundings
from faults.kills import Trial
from faults.places import Home

Try = Callable[[Home, Path, int, np.random.Generator], Iterator[Trial]]


def _kills(home: Home, template: Path, times: int, rng: np.random.Generator) -> Iterator[Trial]:
    """Two of three in a retraining, the others in a rollback; spread evenly over the run, each with a little chance."""
    for words, share in ((kills.RETRAIN, 2 / 3), (kills.ROLLBACK, 1 / 3)):
        count = round(times * share)
        whole = kills.duration(home, template, words) if count else 0.0
        for place in range(count):
            after = whole * (place + float(rng.random())) / count
            yield kills.kill(home, template, words, after, rng)


def _disks(home: Home, template: Path, times: int, rng: np.random.Generator) -> Iterator[Trial]:
    """Limits of files and disks between next to nothing and what a run needs."""
    for size in np.geomspace(2e3, 2e6, times // 2):
        yield surroundings.file_too_large(home, template, int(size * (0.8 + 0.4 * float(rng.random()))))
    for spare in np.geomspace(1e3, 3e6, times - times // 2):
        yield surroundings.disk_full(home, template, int(spare * (0.8 + 0.4 * float(rng.random()))))


def _permissions(home: Home, template: Path, times: int, rng: np.random.Generator) -> Iterator[Trial]:
    whole = kills.duration(home, template, kills.RETRAIN)
    for place in range(times):
        yield surroundings.read_only(home, template, whole * place * float(rng.uniform(0.9, 1.1)) / times)


def _clocks(home: Home, template: Path, times: int, rng: np.random.Generator) -> Iterator[Trial]:
    for place, seconds in enumerate(np.geomspace(1, 400 * 86_400, times)):
        back = int(seconds * float(rng.uniform(0.9, 1.1))) or 1
        yield surroundings.clock_back(home, template, back, killed=place % 2 == 1)


def _locks(home: Home, template: Path, times: int, rng: np.random.Generator) -> Iterator[Trial]:
    """Mostly short ones; every tenth longer than a run waits for."""
    whole = kills.duration(home, template, kills.RETRAIN)
    for place in range(times):
        seconds = 40.0 if place % 10 == 5 else float(rng.uniform(0.5, 4))
        yield surroundings.ledger_locked(home, template, whole * (place + float(rng.random())) / times, seconds)


def _registries(home: Home, template: Path, times: int, rng: np.random.Generator) -> Iterator[Trial]:
    for words, count in ((kills.RETRAIN, times - times // 4), (kills.ROLLBACK, times // 4)):
        for place in range(count):
            whole = kills.duration(home, template, words)
            after, seconds = whole * (place + float(rng.random())) / count, float(rng.uniform(0.3, 5))
            yield surroundings.registry_gone(home, template, after, seconds, words)


def _races(home: Home, template: Path, times: int, rng: np.random.Generator) -> Iterator[Trial]:
    """Every other one with the ledger on PostgreSQL, where that is installed."""
    with serving_postgres() as server:
        for number in range(times):
            runners = int(rng.integers(2, 9))
            yield races.race(home, template, runners, server if number % 2 else None, f"race{number}")


FAULTS: dict[str, tuple[Try, int]] = {
    "kill": (_kills, 120), "disk": (_disks, 24), "read-only": (_permissions, 20), "clock": (_clocks, 20),
    "lock": (_locks, 20), "registry": (_registries, 20), "race": (_races, 100),
}


def carry_out(fault: str, folder: Path, *, times: int | None = None, seed: int = 1) -> Iterator[Trial]:
    """Try a fault; without a number as often as it is meant to be tried."""
    tried, usual = FAULTS[fault]
    home = Home(folder / "home")
    if not home.folder.exists():
        places.make(home.folder)
        places.keep(home)
    template = folder / "home-template"
    yield from tried(home, template, times or usual, np.random.default_rng(seed))
    shutil.rmtree(home.folder)
    shutil.copytree(template, home.folder)

"""A few of the faults that `make faults` tries many times: whatever happens, the champion serves and runs go on.

To be done within a minute, runs that nothing disturbs, before a fault and after it, have no kernels here. Those that a
fault meets have them, as all have in `make faults`.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from faults import kills, places, trials
from faults.places import Home
from rehearsal import rehearse

from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome

SEED = 433    # by which each takes a few seconds: a runner is killed, three race, a lock is held for 1.8 s


def _without_kernels(request: Request) -> Outcome:
    return rehearse(request.pipeline, request.params, str(request.as_of))


@pytest.fixture(scope="module", autouse=True)
def undisturbed() -> Iterator[None]:
    """Runs that nothing disturbs take a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "run", _without_kernels)
        yield


@pytest.fixture(scope="module")
def folder(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them are tried, one after the other."""
    place = tmp_path_factory.mktemp("faults")
    shutil.copytree(fresh_home, place / "home")
    places.keep(places.make(place / "home"))
    return place


@pytest.mark.parametrize("fault", trials.FAULTS)
def test_nothing_is_wrong_after_one_of_every_fault(
    folder: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills, "duration", lambda *_: 8.0)    # about; `make faults` measures it
    tried = next(trials.carry_out(fault, folder, times=1, seed=SEED))
    assert tried.problems == [], tried


@pytest.fixture
def home(folder: Path) -> Home:
    """Version 2 serves, and every retraining would promote what it makes."""
    made = Home(folder / "home")
    places.restore(made, folder / "home-template")
    return made


def test_a_refused_retraining_leaves_alias_and_bytes_of_the_champion(home: Home) -> None:
    before = places.alias(home), places.files(home)
    code, said = home.run(*kills.RETRAIN, "--set", "promotion.criteria=[{metric: roc_auc, min_gain: 0.9}]")
    assert (code, "verdict: reject" in said) == (0, True), said
    after = places.files(home)
    assert (places.alias(home), sorted(after)) == (before[0], [1, 2, 3]), "what was refused is there and serves nobody"
    assert places.altered(before[1], after) == []
    assert places.settled(home) == []


KILLED: dict[str, Callable[[Home], bool]] = {
    "while it trains": lambda home: any(home.folder.glob(".trimtab/training/*/*")),
    "once the challenger is registered": lambda home: len(places.rows(home)["versions"]) == 3,
}


@pytest.mark.parametrize("when", KILLED)
def test_a_killed_retraining_leaves_alias_and_bytes_of_the_champion(home: Home, when: str) -> None:
    before = places.alias(home), places.files(home), places.rows(home)
    process = home.start(*kills.RETRAIN)
    while not KILLED[when](home):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:
        with contextlib.suppress(psutil.NoSuchProcess):    # it may have come to its end by itself
            one.kill()
    process.communicate()
    assert places.alias(home) == before[0]
    assert places.altered(before[1], places.files(home)) == []
    assert places.serves(home) == []
    assert kills.afterwards(home, before[2]) == []    # the next run, which brings things in order
    assert places.alias(home) == before[0]
    assert places.altered(before[1], places.files(home)) == []

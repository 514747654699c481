"""The heartbeat of a run: it keeps the lease alive, and a run that lost its lease gives way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import BINARY, binary_table

from trimtab.act import tables
from trimtab.act.database import connect
from trimtab.act.lease import Lease
from trimtab.act.ledger import Ledger
from trimtab.act.rows import now
from trimtab.errors import BusyError, StateError
from trimtab.run import lease as leases
from trimtab.run.lease import heartbeat
from trimtab.run.manifest import load
from trimtab.run.pipelines import PIPELINES
from trimtab.run.preflight import Request
from trimtab.run.runner import run

LONG = 20    # seconds that a test waits at most for what is to happen in a fraction of one


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four beats in a fifth of a second; the lease itself lasts as long as ever."""
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=0.2))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(connect(f"sqlite:///{tmp_path}/ledger.db"), "demo")
    yield made
    made.close()


def _held(ledger: Ledger) -> dict[str, Any]:
    with ledger.engine.connect() as connection:
        return dict(connection.execute(sa.select(tables.leases)).mappings().one())


def _taken_over(ledger: Ledger) -> None:
    """Another run on another machine has the lease."""
    values = {"run_id": "other", "host": "elsewhere", "expires_at": now() + timedelta(hours=1)}
    with ledger.engine.begin() as connection:
        connection.execute(tables.leases.update().values(**values))


def _beats(monkeypatch: pytest.MonkeyPatch, *said: object) -> threading.Event:
    """Let the first renewals come to this; set once they and one more, a real one, are through."""
    rest, through, real = list(said), threading.Event(), Lease.renew

    def renew(self: Lease, run_id: str) -> bool:
        if rest:
            error = rest.pop(0)
            assert isinstance(error, Exception)
            raise error
        found = real(self, run_id)
        through.set()
        return found

    monkeypatch.setattr(Lease, "renew", renew)
    return through


def test_lease_of_a_run_that_works_is_renewed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.lease.acquire("mine")
    before, lost, through = _held(ledger), threading.Event(), _beats(monkeypatch)
    with heartbeat(ledger, "mine", lost):
        assert through.wait(LONG)
    after = _held(ledger)
    assert (after["run_id"], lost.is_set()) == ("mine", False)
    assert after["expires_at"] > before["expires_at"]


def test_lease_that_no_run_writes_is_one_error(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO leases (model, tenant, run_id, host, pid, acquired_at, expires_at) "
                                   "VALUES ('demo', '', 'r', 'h', 1, 'garbage', 'garbage')")
    for look in (lambda: ledger.lease.acquire("next"), ledger.lease.active):
        with pytest.raises(StateError, match=r"the lease of demo holds what no run writes .*; delete that row"):
            look()


def test_beat_that_a_ledger_misses_ends_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.lease.acquire("mine")
    before, lost = _held(ledger), threading.Event()
    through = _beats(monkeypatch, StateError("store.ledger: is locked"), StateError("store.ledger: is locked"))
    with heartbeat(ledger, "mine", lost):
        assert through.wait(LONG)
    assert (_held(ledger)["expires_at"] > before["expires_at"], lost.is_set()) == (True, False)


def test_lease_that_was_taken_over_is_noticed_and_left_alone(ledger: Ledger) -> None:
    ledger.lease.acquire("mine")
    lost = threading.Event()
    with heartbeat(ledger, "mine", lost):
        _taken_over(ledger)
        there = _held(ledger)
        assert lost.wait(LONG)
    assert _held(ledger) == there


def test_run_that_lost_its_lease_gives_way_before_its_next_step(
    project: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(connect(f"sqlite:///{home}/.trimtab/ledger.db"), "demo")

    def loses(steps: Any) -> None:
        _taken_over(ledger)
        assert steps._hold.lost.wait(LONG)
        steps.step("01_baseline")

    monkeypatch.setitem(PIPELINES, "baseline", loses)
    outcome = run(Request(pipeline="baseline", params=project(BINARY, binary_table(800)), progress=False))
    assert outcome.exit_code == BusyError.exit_code
    assert outcome.error == "another run of this model took the lease over while this one stood still; it gives way"
    assert (outcome.result["status"], outcome.result["champion_after"]) == ("interrupted", None)
    assert _held(ledger)["run_id"] == "other", "it is not given back by who does not have it"
    folder = Path(outcome.result["run_dir"])
    assert not (folder / "01_baseline.ipynb").exists()
    manifest = load(folder)
    assert manifest is not None
    assert (manifest.status, manifest.steps) == ("running", []), "it is the other run's to close"
    ledger.close()

"""One model's processes as they live and die, with a chronicle of what they did: what histories of it are made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
import yaml
from chronicle import Asked, Change, Chronicle
from conftest import BINARY, binary_table, merged
from crashes import Died, Life, living
from hypothesis.stateful import RuleBasedStateMachine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import trimtab as tt
from trimtab.act import approvals, database, modelfile, processes, tables
from trimtab.act import champion as champions
from trimtab.act.registry import Registry
from trimtab.errors import TrimtabError
from trimtab.records import Records
from trimtab.run.session import Session

COLUMNS = ["x", "z"]
PARAMS = merged(BINARY, data={"numeric": COLUMNS, "categorical": []}, as_of="2024-04-11")
NOBODY = 2**22 + 1    # no process has this id: Linux gives out none beyond 2**22
WEEK = timedelta(days=7)
_CHANGES = ("INSERT INTO champion_changes", "UPDATE approvals SET")
T = TypeVar("T")
_ids = itertools.count(1)


@dataclass(frozen=True)
class Fate:
    """How far a process comes.

    Attributes
    ----------
    phase : str
        start (while it brings in order what others left), work, or change (from where it first writes one down).
    steps : int
        That it takes of that phase, if there are as many.
    survives : bool
        Whether it is only told that a database cannot be reached, and goes on.
    """

    phase: str
    steps: int
    survives: bool


@dataclass
class World:
    """Where all histories take place, each under the name of a model of its own."""

    home: Path
    table: pd.DataFrame
    folders: list[Path]
    records: Records
    days: timedelta = timedelta(0)


@pytest.fixture
def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    table = binary_table(400)
    table.to_parquet(home / "records.parquet")
    (home / "any.yaml").write_text(yaml.safe_dump(PARAMS))
    records = tt.open(home / "any.yaml").records
    made = World(home, table, [home / "made" / str(number) for number in range(4)], records)
    for number, folder in enumerate(made.folders, 1):
        some = table.iloc[:: number + 1]
        model = make_pipeline(LogisticRegression()).fit(some[COLUMNS], some["y"])
        modelfile.save(model, folder, package="sklearn", requirements=["scikit-learn"])
    client = Registry(f"sqlite:///{home}/.trimtab/mlflow.db", "nobody", home / ".trimtab" / "models")._client
    opened = cached_property(lambda _registry: client)
    opened.__set_name__(Registry, "_client")
    monkeypatch.setattr(Registry, "_client", opened)    # what is opened once per process need not be once per history
    monkeypatch.setattr(database, "connect", cache(database.connect))
    clock = approvals.now
    monkeypatch.setattr(approvals, "now", lambda: clock() + made.days)
    monkeypatch.setattr(processes, "apart", lambda work, *args, **_: work(*args))    # the smoke test, in this process
    yield made
    records.close()


def one_of(several: Sequence[T], pick: int) -> T:
    return several[pick % len(several)]


class OneModel(RuleBasedStateMachine):
    """A model, its processes, and what is so."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.name = world, f"model-{next(_ids)}"
        self.params = world.home / f"{self.name}.yaml"
        self.params.write_text(yaml.safe_dump(PARAMS | {"model": self.name}))
        self.truth = Chronicle()
        self.looking = self.open("looking")

    def teardown(self) -> None:
        self.params.unlink()
        self.world.days = timedelta(0)

    def open(self, run_id: str) -> Session:
        session = tt.open(self.params, run_id=run_id)
        session.records = self.world.records
        return session

    def run(
        self, work: Callable[[Session], None], fate: Fate | None = None, allowed: Callable[[], bool] = lambda: True,
    ) -> TrimtabError | None:
        """A process from its start, which brings things in order, to its end; returns why it could not do its work.

        Parameters
        ----------
        allowed : callable
            Says, once things are in order, whether the work may change anything.
        """
        session, before, refused = self.open(f"run-{next(_ids)}"), self.truth.alias, None
        self.allowed = False
        self.truth.starts()

        def _witness(step: str) -> None:
            self.truth.witness(step)
            begun = self.truth.recovered and step in _CHANGES and life.last is None and not life.failed
            if begun and fate and fate.phase == "change":
                life.last = life.taken + fate.steps

        with living(session.ledger.engine, session.registry, witness=_witness) as life:
            life.last = fate.steps if fate and fate.phase == "start" else None
            life.survives = bool(fate and fate.survives)
            try:
                self._start(session, life)
                life.last = life.taken + fate.steps if fate and fate.phase == "work" else None
                self.allowed = allowed()
                refused = _tried(session, work)
            except Died:
                pass
            except TrimtabError:    # at its start, or at its end: it leaves what one that died would leave
                assert life.failed
                life.dead = True
        self.cut_short = life.dead or life.failed
        if life.dead:
            self._bury()
        assert self.cut_short or self.truth.in_order, "no intent stays open, and ledger and alias agree"
        assert self.allowed or self.truth.alias == before
        return refused

    def _start(self, session: Session, life: Life) -> None:
        """As the runner does it."""
        ledger = session.ledger
        ledger.lease.acquire(session.run_id)
        ledger.start_run(session.run_id, pipeline="drift", run_dir="/runs")
        moved = self.truth.open is None and not self.truth.in_order
        found = champions.recover(ledger, session.registry, session.run_id)
        life.witness("recovered")
        assert not moved or "somebody else " in found[-1]
        assert not moved or self.truth.alias not in self.truth.held or "in quarantine since" in found[-1]

    def _bury(self) -> None:
        with self.looking.ledger.engine.begin() as connection:
            mine = tables.leases.c.model == self.name
            connection.execute(tables.leases.update().where(mine).values(pid=NOBODY))

    def ended(self, refused: TrimtabError | None, version: int | None) -> None:
        """One that was not cut short did what it may do, and nothing else."""
        assert self.cut_short or (refused is None) == self.allowed, refused
        assert self.cut_short or not self.allowed or self.truth.alias == version

    def one_request(self, pick: int, stale: bool = False) -> str:
        """One that may be approved, asked for now if need be and if anything can be asked; or any."""
        could = [version for version in self.truth.there if version != self.truth.alias and self.may_serve(version)]
        if could and not stale and not any(map(self.may_be_approved, self.truth.requests)):
            self.run(lambda session: self.ask(session, one_of(could, pick)))
        fresh = [run_id for run_id in self.truth.requests if not stale and self.may_be_approved(run_id)]
        return one_of(sorted(fresh or self.truth.requests), pick)

    def waits(self, run_id: str) -> bool:
        request = self.truth.requests[run_id]
        return request.state == "pending" and request.expires_at > approvals.now()

    def may_be_approved(self, run_id: str) -> bool:
        request = self.truth.requests[run_id]
        since = len(self.truth.done) - request.after    # the last of them may have brought the same champion back
        same = request.champion == self.truth.alias and since < 2
        return self.waits(run_id) and same and self.may_serve(request.challenger)

    def may_serve(self, version: int) -> bool:
        return version in self.truth.there and version not in self.truth.held

    def file(self, version: int) -> Path:
        known = self.looking.ledger.version(version)
        assert known is not None
        return Path(known["source"]) / modelfile.FILE

    @property
    def registry(self) -> Registry:
        """As a process that has just begun finds it."""
        home = self.world.home / ".trimtab"
        return Registry(f"sqlite:///{home}/mlflow.db", self.name, home / "models")

    def register(self, session: Session) -> int:
        folder = self.world.folders[next(_ids) % len(self.world.folders)]
        version = session.registry.register(folder, tags={"run_id": session.run_id}, metrics={})
        sha256 = modelfile.digest(folder / modelfile.FILE)
        session.ledger.record_version(
            version, run_id=session.run_id, as_of=session.as_of, sha256=sha256,
            source=str(session.registry.fetch(version)), lineage={})
        session.ledger.retrains.record_retrain(session.run_id, as_of=session.as_of, new_version=version)
        self.truth.there[version] = sha256
        return version

    def appoint(self, session: Session, version: int) -> None:
        """As a verdict is carried out."""
        self.truth.wanted = Change(
            "promotion", self.truth.alias, version, session.run_id, "trimtab", f"it is {version}")
        champions.change(
            session.ledger, session.registry, kind="promotion", expected=self.truth.alias, to_version=version,
            run_id=session.run_id, as_of=session.as_of, by="trimtab", why=f"it is {version}")

    def ask(self, session: Session, version: int) -> None:
        asked = session.ledger.approvals.ask(
            session.run_id, "promotion", as_of=session.as_of, expires=WEEK, champion=self.truth.alias,
            challenger=version, sha256=self.truth.there[version], reasons=("Thin.",))
        self.truth.requests.setdefault(
            asked.run_id, Asked(
                asked.champion, version, self.truth.there[version], asked.expires_at, after=len(self.truth.done)))


def _tried(session: Session, work: Callable[[Session], None]) -> TrimtabError | None:
    refused = None
    try:
        work(session)
    except TrimtabError as error:
        refused = error
    if session.ledger.succession.open_changes():
        champions.recover(session.ledger, session.registry, session.run_id)
    status = "failed" if refused else "succeeded"
    for run_id in (*session.ledger.chain.left_open(session.run_id), session.run_id):
        session.ledger.finish_run(run_id, status=status, as_of=session.as_of, error=None, result={})
    session.ledger.lease.release(session.run_id)
    return refused

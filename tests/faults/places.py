"""Where are faults tried out? A home in which a first model serves, and what must hold of it whatever happened."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, merged

from trimtab import params as params_module
from trimtab.act import modelfile, tables
from trimtab.act.registry import local_path
from trimtab.errors import TrimtabError
from trimtab.plain import plain
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.run.session import Session
from trimtab.run.verifying import verify

AS_OF = "2024-04-20"
PARAMS = merged(BINARY, guardrails={"cooldown": "0d"}, triggers=[    # every run retrains
    {"signal": "model_age", "at_least": 0, "severity": "high"},
])
COMMAND = (str(Path(sys.executable).parent / "trimtab"),)
_KEPT = ("runs", "decisions", "signals", "verdicts", "model_retrain_events", "champion_changes", "versions")
_SETTLED = {    # columns that a run under way may still fill in
    "runs": {"status", "finished_at", "error", "result", "as_of"}, "champion_changes": {"state", "settled_at"},
    "versions": {"baseline"},
}


@dataclass(frozen=True)
class Home:
    """A home of its own."""

    folder: Path

    @property
    def params(self) -> Path:
        """Its params file."""
        return self.folder / "demo.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """For commands that work in it."""
        return {**os.environ, "TRIMTAB_HOME": str(self.folder), "OMP_NUM_THREADS": "1"}

    def start(self, *words: str, by: tuple[str, ...] = (), **how: Any) -> subprocess.Popen[str]:
        """Start a command in it, in a session of its own, so that all that it starts can be found."""
        environment = self.environment | how.pop("environment", {})
        return subprocess.Popen(
            [*by, *COMMAND, *words, "-p", str(self.params)], cwd=self.folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **how,
        )

    def run(self, *words: str, **how: Any) -> tuple[int, str]:
        """Run a command in it to its end; its exit code, and what it said."""
        process = self.start(*words, **how)
        said, complained = process.communicate(timeout=300)
        return process.returncode, said + complained

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Work in it in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRIMTAB_HOME", str(self.folder))
            yield

    def session(self) -> Session:
        """Its model, as a run would see it."""
        with self.entered():
            return Session(params_module.load(self.params), as_of=AS_OF, run_id="looking")


def make(folder: Path) -> Home:
    """A home in which two versions have served, so that there is something to retrain and something to go back to."""
    folder.mkdir(parents=True, exist_ok=True)
    home = Home(folder)
    binary_table(2000, shift=2.0).to_parquet(folder / "records.parquet")
    home.params.write_text(yaml.safe_dump(PARAMS))
    for pipeline, as_of in (("baseline", "2024-02-20"), ("retrain", "2024-04-01")):
        assert goes_on(home, pipeline, as_of) == []
    assert home.session().registry.champion() == 2, "the second version serves, or there is nothing to roll back"
    return home


def keep(home: Home) -> Path:
    """A copy of it as it is; the stores name their place, so what is tried must be tried at that place."""
    template = home.folder.with_name(f"{home.folder.name}-template")
    shutil.copytree(home.folder, template, symlinks=True)
    return template


def restore(home: Home, template: Path) -> None:
    """Put it back as it was kept."""
    shutil.rmtree(home.folder)
    shutil.copytree(template, home.folder, symlinks=True)


def rows(home: Home) -> dict[str, list[dict[str, Any]]]:
    """Everything that is recorded and may never be lost, by table."""
    session = home.session()
    found = {}
    with session.ledger.engine.connect() as connection:
        for name in _KEPT:
            table = tables.metadata.tables[name]
            found[name] = [plain(dict(row)) for row in connection.execute(table.select()).mappings()]
    session.close()
    return found


def lost(before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What was recorded before and is not there any more, but for what a run under way may still fill in."""
    problems = []
    for name, old in before.items():
        open_columns = _SETTLED.get(name, set())
        kept = [{k: v for k, v in row.items() if k not in open_columns} for row in after[name]]
        for row in old:
            if {k: v for k, v in row.items() if k not in open_columns} not in kept:
                problems.append(f"{name} lost {row}")
    return problems


def files(home: Home) -> dict[int, str]:
    """One hash over every file of each version, by version; not by way of MLflow, for the same reason as `goes_on`."""
    found = {}
    for row in rows(home)["versions"]:
        folder, told = Path(row["source"]), hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            told.update(f"{path.relative_to(folder)} {modelfile.digest(path)}\n".encode())
        found[row["version"]] = told.hexdigest()
    return found


def altered(before: dict[int, str], after: dict[int, str]) -> list[str]:
    """Versions of which not every byte is as it was."""
    return [f"the files of version {version} are not as they were" for version, sha256 in before.items()
            if after.get(version) != sha256]


def alias(home: Home) -> int | None:
    """Who serves, going by the alias."""
    session = home.session()
    try:
        return session.registry.champion()
    finally:
        session.close()


def serves(home: Home) -> list[str]:
    """Whether what the alias names loads and predicts, as serving code would find it; problems in sentences."""
    session = home.session()
    try:
        version = session.registry.champion()
        if version is None:
            return ["nobody serves"]
        records = pd.read_parquet(home.folder / "records.parquet")[list(session.params.data.features)].head(50)
        pointed = Path(local_path(session.registry.sources()[version][0]) or "")    # not by way of MLflow, as `files`
        said = [len(estimator.predict(records)) for estimator in (
            session.model(version).estimator, modelfile.load(pointed, sha256=None))]
        return [] if said == [50, 50] else [f"version {version} predicts {said} of 50 records"]
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is what serving code would meet
        return [f"the champion does not serve: {type(error).__name__}: {error}"]
    finally:
        session.close()


def goes_on(home: Home, pipeline: str = "drift", as_of: str = AS_OF) -> list[str]:
    """What keeps another run, which nothing disturbs, from going well; in sentences.

    Not of a rollback: it asks MLflow in this very process, which then holds on to a store that `restore` replaces.
    """
    try:
        with home.entered():
            ended = run(Request(pipeline, home.params, as_of=as_of, progress=False))
    except TrimtabError as error:
        return [f"the next run could not start: {error}"]
    return [] if ended.exit_code == 0 else [f"the next run ended with {ended.exit_code}: {ended.error}"]


def verified(home: Home) -> list[str]:
    """What is not as the runs left it, as `trimtab verify` finds it; in sentences."""
    try:
        with home.entered():
            return [one.told for one in verify(home.params).findings]
    except TrimtabError as error:
        return [f"what was left cannot be verified: {error}"]


def settled(home: Home) -> list[str]:
    """What is not in order once the next run has ended; nothing, if all is well."""
    session, problems = home.session(), []
    try:
        alias, believed = session.registry.champion(), session.ledger.succession.champion()
        if alias != believed:
            problems.append(f"the alias says version {alias}, the ledger {believed}")
        if still := session.ledger.succession.open_changes():
            problems.append(f"intents are left open: {still}")
        unfinished = [row["run_id"] for row in session.ledger.runs() if row["status"] == "running"]
        if unfinished:
            problems.append(f"runs are still called running: {unfinished}")
        unclosed = [e["run_id"] for e in session.ledger.retrains.retrain_events() if e["finished_at"] is None]
        if unclosed:
            problems.append(f"retrain events are still open: {unclosed}")
        if (active := session.ledger.lease.active()) is not None:
            problems.append(f"run {active} holds the lease though none is active")
        strays = [str(path) for path in home.folder.rglob("*.tmp")]
        if strays:
            problems.append(f"half-written files are left: {strays}")
    finally:
        session.close()
    return problems + serves(home)

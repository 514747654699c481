"""What tests share: small real-looking tables, params files for them, and a fresh home per test."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from trimtab.act.registry import Registry
from trimtab.run import kernels, server

WARM = ("mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store")
START = pd.Timestamp("2024-01-01")


@pytest.fixture(scope="session", autouse=True)
def warm_server() -> Iterator[None]:
    """One warm server for all tests that train or run notebooks in this process."""
    server.start(WARM)
    yield
    kernels.stop_server()


@pytest.fixture(scope="session", autouse=True)
def forgotten_sessions() -> Iterator[None]:
    """Let go, at the end, of what sessions have kept: Hypothesis holds modules so long that DuckDB complains of it."""
    yield
    from trimtab.run.session import Session

    for method in vars(Session).values():
        getattr(method, "cache_clear", lambda: None)()


@contextmanager
def serving_postgres() -> Iterator[str | None]:
    """A PostgreSQL server of our own that listens at a socket in a folder; its URL, or None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="trimtab-pg-", dir="/tmp"))    # a socket's path must be short
    user: dict[str, Any] = {"user": "postgres"} if os.getuid() == 0 else {}    # the server refuses to run as root
    if user:
        shutil.chown(folder, "postgres")
    programs, quiet = found[-1].parent, {"stdout": subprocess.DEVNULL, "check": True}
    subprocess.run([programs / "initdb", "-D", folder / "data", "-U", "tests", "-A", "trust"], **quiet, **user)
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    control = [programs / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log"]
    subprocess.run([*control, "-o", options, "start"], **quiet, **user)
    yield f"postgresql+psycopg://tests@/{{}}?host={folder}"
    subprocess.run([*control, "-m", "immediate", "stop"], **quiet, **user)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server, without a database."""
    with serving_postgres() as url:
        if url is None:
            pytest.skip("PostgreSQL is not installed")
        yield url


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """The URL of a database with nothing in it."""
    import sqlalchemy as sa

    name = f"d{uuid.uuid4().hex}"
    engine = sa.create_engine(postgres_server.format("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return postgres_server.format(name)


def without_number(connection: Any) -> None:
    """Make a ledger one from before schemas had numbers, which got tables and columns as they came."""
    connection.exec_driver_sql("DROP TABLE trimtab_schema")


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose registry is made: MLflow takes five seconds for it, so all tests copy this one."""
    home = tmp_path_factory.mktemp("template")
    registry = Registry(f"sqlite:///{home}/.trimtab/mlflow.db", "nobody", home / ".trimtab" / "models")
    registry.versions()
    return home


@pytest.fixture
def home(fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh TRIMTAB_HOME, which is also the current folder."""
    folder = tmp_path / "home"
    shutil.copytree(fresh_home, folder)
    monkeypatch.setenv("TRIMTAB_HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def served_home(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a first model serves; its inputs shift by two standard deviations at half-time."""
    import trimtab as tt
    from trimtab.run import lifecycle

    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(fresh_home, home)
    binary_table(shift=2.0).to_parquet(home / "records.parquet")
    (home / "demo.yaml").write_text(yaml.safe_dump(SHIFTED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", str(home))
        session = tt.open(home / "demo.yaml", as_of="2024-02-20")
        contest = lifecycle.first_champion(session)
        lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
        session.close()
    return home


def copy_home(prepared: Path, home: Path) -> None:
    """Copy a home in which something has been done; its stores, which name their files in full, name the copy's."""
    shutil.copytree(prepared, home, dirs_exist_ok=True)
    for store in ("ledger.db", "mlflow.db"):
        with closing(sqlite3.connect(home / ".trimtab" / store)) as database, database:
            texts = database.execute(
                "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c "
                "WHERE t.type = 'table' AND (c.type = 'TEXT' OR c.type LIKE '%CHAR%')").fetchall()
            for table, column in texts:
                database.execute(
                    f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)',
                    (str(prepared), str(home), str(prepared)))


@pytest.fixture
def chain_holds(home: Path) -> Iterator[None]:
    """After the test, everything that its runs left is as they left it."""
    yield
    from trimtab.run.verifying import verify

    for params in home.glob("*.yaml"):
        assert verify(params).findings == (), params


def binary_table(rows: int = 3000, *, seed: int = 0, days: int = 120, shift: float = 0.0) -> pd.DataFrame:
    """Two informative numbers, noise, a category, a segment; the positive class is the rarer one.

    From half-time on, `shift` standard deviations are added to x.
    """
    rng = np.random.default_rng(seed)
    when = START + pd.to_timedelta(np.sort(rng.uniform(0, days, rows)), unit="D")
    late = np.arange(rows) >= rows // 2
    x, z = rng.normal(size=rows) + shift * late, rng.normal(size=rows)
    kind = rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    logit = 1.5 * x - 1.0 * z + (kind == "b") - 1.0
    return pd.DataFrame({
        "at": when.floor("s"), "id": np.arange(rows), "x": x, "z": z, "noise": rng.exponential(size=rows),
        "kind": kind, "site": rng.choice(["north", "south"], rows),
        "y": rng.uniform(size=rows) < 1 / (1 + np.exp(-logit)),
    })


def multiclass_table(rows: int = 3000, *, seed: int = 0, days: int = 120) -> pd.DataFrame:
    """Three classes that a text and an amount tell apart."""
    rng = np.random.default_rng(seed)
    words = {
        "food": ["bread", "milk", "cheese"], "rent": ["flat", "lease", "deposit"], "fun": ["cinema", "game", "book"],
    }
    label = rng.choice(list(words), rows, p=[0.5, 0.2, 0.3])
    text = [" ".join(rng.choice(words[c], 2)) + " " + rng.choice(["card", "cash"]) for c in label]
    amount = np.exp(rng.normal(size=rows)) * pd.Series(label).map({"food": 20, "rent": 900, "fun": 30}).to_numpy()
    when = START + pd.to_timedelta(np.sort(rng.uniform(0, days, rows)), unit="D")
    return pd.DataFrame({"at": when.floor("s"), "description": text, "amount": amount, "category": label})


def regression_table(rows: int = 3000, *, seed: int = 0, days: int = 120) -> pd.DataFrame:
    """A number that follows two others."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=rows), rng.uniform(size=rows)
    when = START + pd.to_timedelta(np.sort(rng.uniform(0, days, rows)), unit="D")
    y = 3 * x + 5 * z**2 + rng.normal(scale=0.5, size=rows)
    return pd.DataFrame({"at": when.floor("s"), "x": x, "z": z, "y": y})


BINARY: dict[str, Any] = {
    "model": "demo", "task": "classification", "as_of": "2024-04-01",
    "data": {
        "table": "records.parquet", "time": "at", "label": "y", "numeric": ["x", "z", "noise"], "categorical": ["kind"],
    },
    "windows": {"current": {"last": "20d"}, "training": {"last": "365d"}},
    "estimator": {"class": "sklearn.linear_model.LogisticRegression"},
    "promotion": {"criteria": [{"metric": "roc_auc", "max_drop": 0.02}, {"metric": "accuracy", "floor": 0.5}]},
}


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def merged(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A params tree with top-level sections updated: `merged(BINARY, data={"label": "z"})`."""
    tree = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for key, value in changes.items():
        tree[key] = {**tree.get(key, {}), **value} if isinstance(value, dict) else value
    return tree


SHIFTED = merged(BINARY, data={"segments": ["site"]})


@pytest.fixture
def project(home: Path) -> Callable[..., Path]:
    """Write a table and a params file for it into the home; returns the params file's path."""

    def write(tree: dict[str, Any], table: pd.DataFrame | None = None, *, name: str = "demo.yaml") -> Path:
        if table is not None:
            table.to_parquet(home / tree["data"]["table"])
        path = home / name
        path.write_text(yaml.safe_dump(tree, sort_keys=False))
        return path

    return write

"""Where are the models, and which one is the champion? The only module that speaks to MLflow.

Serving code loads `models:/NAME@champion`. A tenant's model is registered as `NAME--TENANT`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from trimtab.act.database import is_sqlite
from trimtab.act.quietly import import_mlflow
from trimtab.errors import StateError, first_line
from trimtab.plain import to_text, write_atomically

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"
EXPERIMENT = "trimtab"
_THERE = "current_stage != 'Deleted_Internal'"    # so MLflow marks a version that was deleted
_THEIRS = {"mlflow", "sqlalchemy", "alembic"}    # whose errors a store may end in
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Version:
    """A registered version and where its files are."""

    version: int
    source: str
    champion: bool


class ModelRegistry(Protocol):
    """What Trimtab needs of a registry of one model's versions."""

    name: str

    def champion(self) -> int | None:
        """The version under the alias, or None."""

    def set_champion(self, version: int) -> None:
        """Move the alias: one atomic step."""

    def register(self, folder: Path, *, tags: Mapping[str, str], metrics: Mapping[str, float]) -> int:
        """Keep a model folder as a new version that serves nobody."""

    def versions(self) -> list[Version]:
        """All versions, oldest first."""

    def sources(self) -> dict[int, tuple[str, ...]]:
        """Where serving code takes the files of each version from, and where they were said to be if not there."""

    def fetch(self, version: int) -> Path:
        """A local folder with the version's files."""


def registered_name(model: str, tenant: str | None) -> str:
    """The name in the registry.

    Examples
    --------
    >>> registered_name("fraud", "acme")
    'fraud--acme'
    """
    return f"{model}--{tenant}" if tenant else model


def local_path(source: str) -> Path | None:
    """Where a version's files are on this machine; None where they are kept elsewhere.

    Examples
    --------
    >>> local_path("file:///a%20home/model"), local_path("s3://bucket/model")
    (PosixPath('/a home/model'), None)
    """
    path = unquote(source.removeprefix("file://")) if source.startswith("file:") else source
    return Path(path) if path.startswith("/") else None


def _told(method: Callable[P, R]) -> Callable[P, R]:
    """Turn MLflow's errors into one that names the registry."""

    @wraps(method)
    def _telling(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            # MLflow's class is looked up only now: importing it for a call that goes well may be all that call costs.
            if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in _THEIRS:
                raise
            raise StateError(f"store.registry: {first_line(error)}") from error

    return _telling


def _places(stored: str | None, source: str | None) -> tuple[str, ...]:
    """The first is where MLflow loads a version from."""
    return tuple(dict.fromkeys(str(place) for place in (stored, source) if place)) or ("",)


class Registry:
    """Versions of one model in MLflow.

    Parameters
    ----------
    url : str
        Of the tracking and registry store; SQLite paths are absolute here.
    name : str
        From `registered_name`.
    folder : Path
        Where a database registry keeps the files of models; a server has its own place.
    """

    def __init__(self, url: str, name: str, folder: Path) -> None:
        self.url, self.name, self._folder = url, name, folder

    @cached_property
    def _client(self) -> MlflowClient:
        """The client; a fresh SQLite store is made by one process at a time, for two at once would spoil it."""
        import_mlflow()
        from mlflow import MlflowClient

        _ = self.made    # else the client would make an empty store in the place of one that is gone
        with self._alone():
            client = MlflowClient(tracking_uri=self.url, registry_uri=self.url)
            client.search_registered_models(max_results=1)    # opens the store, and makes it when it is new
        return client

    @cached_property
    def _experiment(self) -> str:
        """The experiment that new versions belong to; only training needs MLflow's tracking half."""
        client = self._client    # before the lock, which it takes itself
        with self._alone():
            known = client.get_experiment_by_name(EXPERIMENT)
            if known is not None:
                return known.experiment_id
            place = self._folder.as_uri() if is_sqlite(self.url) else None
            return client.create_experiment(EXPERIMENT, artifact_location=place)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with (self._folder.parent / "registry.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @_told
    def champion(self) -> int | None:
        """The version under the alias, or None."""
        if self._client_is_open or not is_sqlite(self.url):
            return self._champion_by_client()
        try:
            return self._champion_by_sql()
        except SQLAlchemyError:
            return self._champion_by_client()

    @property
    def made(self) -> bool:
        """Whether there is a store yet; only a SQLite one is made by its first use.

        Raises
        ------
        StateError
            When there was one, for models lie beside it, and it is gone: a new one would know nothing of them.
        """
        if not is_sqlite(self.url):
            return True
        file = Path(sa.make_url(self.url).database or "")
        if not file.exists() and self._folder.is_dir() and any(self._folder.iterdir()):
            raise StateError(f"store.registry: {file} is gone, though models were registered in it; put it back")
        return file.exists()

    @property
    def _client_is_open(self) -> bool:
        return "_client" in vars(self)

    def _champion_by_sql(self) -> int | None:
        found = self._by_sql(    # an alias of a version that was deleted names nothing, as MLflow sees it
            "SELECT version FROM registered_model_aliases AS a WHERE name = :name AND alias = :alias AND EXISTS ("
            f"SELECT 1 FROM model_versions AS v WHERE v.name = a.name AND v.version = a.version AND {_THERE})")
        return int(found[0][0]) if found else None

    def _by_sql(self, query: str) -> list[tuple[Any, ...]]:
        """Read from MLflow's tables: importing MLflow for a few numbers would cost every run two seconds."""
        if not self.made:
            return []
        engine = sa.create_engine(self.url)
        try:
            with engine.connect() as connection:
                asked = {"name": self.name} | ({"alias": ALIAS} if ":alias" in query else {})
                return [tuple(row) for row in connection.execute(sa.text(query), asked)]
        finally:
            engine.dispose()

    def _champion_by_client(self) -> int | None:
        client = self._client    # the first that imports MLflow
        from mlflow.exceptions import MlflowException

        try:
            return int(client.get_model_version_by_alias(self.name, ALIAS).version)
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise

    @_told
    def set_champion(self, version: int) -> None:
        """Move the alias: one atomic step."""
        self._client.set_registered_model_alias(self.name, ALIAS, str(version))

    @_told
    def register(self, folder: Path, *, tags: Mapping[str, str], metrics: Mapping[str, float]) -> int:
        """Keep a model folder as a new version that serves nobody."""
        client = self._client    # the first that imports MLflow
        from mlflow.exceptions import MlflowException

        run = client.create_run(self._experiment, tags=dict(tags), run_name=f"{self.name} {tags['run_id']}")
        for name, value in metrics.items():
            client.log_metric(run.info.run_id, name, value)
        client.log_artifacts(run.info.run_id, str(folder), "model")
        client.set_terminated(run.info.run_id)
        try:
            client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = client.create_model_version(
            self.name, source=f"{run.info.artifact_uri}/model", run_id=run.info.run_id, tags=dict(tags)
        )
        return int(made.version)

    @_told
    def versions(self) -> list[Version]:
        """All versions, oldest first."""
        champion = self.champion()
        found: list[ModelVersion] = list(self._client.search_model_versions(f"name = '{self.name}'"))
        every = [Version(int(v.version), v.source or "", int(v.version) == champion) for v in found]
        return sorted(every, key=lambda v: v.version)

    @_told
    def sources(self) -> dict[int, tuple[str, ...]]:
        """Where serving code takes the files of each version from, and where they were said to be if not there."""
        if not self._client_is_open and is_sqlite(self.url):
            with contextlib.suppress(SQLAlchemyError):
                told = f"SELECT version, storage_location, source FROM model_versions WHERE name = :name AND {_THERE}"
                return {int(version): _places(stored, source) for version, stored, source in self._by_sql(told)}
        return {one.version: _places(self._source(one.version), one.source) for one in self.versions()}

    def _source(self, version: int) -> str:
        return str(self._client.get_model_version_download_uri(self.name, str(version)))

    @_told
    def fetch(self, version: int) -> Path:
        """A local folder with the version's files."""
        source = self._source(version)
        local = local_path(source)
        if local is not None:
            return local
        if ":" not in source or source.startswith("file:"):
            raise StateError(f"store.registry: version {version} is said to be at {source!r}, which is no full path")
        import mlflow

        mlflow.set_tracking_uri(self.url)
        try:
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=source))
        except Exception as error:    # each kind of place has a library of its own, with errors of its own
            raise StateError(f"store.registry: {source} cannot be fetched: {first_line(error)}") from error


class DryRegistry:
    """A registry in which nothing sticks: it reads the real one and keeps what is new in a folder of the run.

    Parameters
    ----------
    real : Registry
        What is read.
    folder : Path
        Where new versions and the moved alias are noted; it goes when the run ends.
    """

    def __init__(self, real: Registry, folder: Path) -> None:
        self.name, self._real, self._folder = real.name, real, folder
        self._notes = folder / "registry.json"

    def _read(self) -> dict[str, Any]:
        if not self._notes.exists():
            return {"champion": None, "versions": {}}
        notes: dict[str, Any] = json.loads(self._notes.read_text())
        return notes

    def champion(self) -> int | None:
        """The version under the alias, or None."""
        noted: int | None = self._read()["champion"]
        return noted if noted is not None else self._real.champion()

    def set_champion(self, version: int) -> None:
        """Note that the alias would have moved."""
        write_atomically(self._notes, to_text(self._read() | {"champion": version}))

    def register(self, folder: Path, *, tags: Mapping[str, str], metrics: Mapping[str, float]) -> int:  # noqa: ARG002 -- as Registry
        """Keep a model folder as the version that would have come next."""
        version = max((v.version for v in self.versions()), default=0) + 1
        kept = self._folder / f"version-{version}"
        self._folder.mkdir(parents=True, exist_ok=True)
        folder.rename(kept)
        notes = self._read()
        notes["versions"][str(version)] = str(kept)
        write_atomically(self._notes, to_text(notes))
        return version

    def versions(self) -> list[Version]:
        """All versions, with those that would exist."""
        noted = [Version(int(v), source, False) for v, source in self._read()["versions"].items()]
        return (self._real.versions() if self._real.made else []) + noted

    def sources(self) -> dict[int, tuple[str, ...]]:
        """Where the files of each version are."""
        noted = {int(version): (str(source),) for version, source in self._read()["versions"].items()}
        return (self._real.sources() if self._real.made else {}) | noted

    def fetch(self, version: int) -> Path:
        """A local folder with the version's files."""
        noted = self._read()["versions"].get(str(version))
        return Path(noted) if noted else self._real.fetch(version)

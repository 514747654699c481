"""The registry: one alias per model and tenant, read quickly and right, and versions that serving code can load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from trimtab.act import champion as champions
from trimtab.act import database, modelfile
from trimtab.act.ledger import Ledger
from trimtab.act.registry import DryRegistry, Registry, registered_name
from trimtab.errors import StateError

X = np.random.default_rng(0).normal(size=(60, 2))
Y = X[:, 0] > 0


def _registry(home: Path, name: str = "demo") -> Registry:
    return Registry(f"sqlite:///{home}/.trimtab/mlflow.db", name, home / ".trimtab" / "models")


def _folder(path: Path) -> Path:
    modelfile.save(LogisticRegression().fit(X, Y), path, package="sklearn", requirements=["scikit-learn"])
    return path


def _registered(registry: Registry | DryRegistry, folder: Path) -> int:
    return registry.register(_folder(folder), tags={"run_id": "run"}, metrics={"fit_seconds": 0.1})


def test_versions_are_kept_and_the_alias_is_read_the_same_way_by_sql_and_by_mlflow(home: Path) -> None:
    registry = _registry(home)
    assert _registry(home).champion() is None is registry._champion_by_client()
    first, second = (_registered(registry, home / f"model{n}") for n in (1, 2))
    assert (first, second) == (1, 2)
    assert _registry(home).champion() is None
    for version in (1, 2, 1):
        registry.set_champion(version)
        assert _registry(home)._champion_by_sql() == version
        assert _registry(home).champion() == registry._champion_by_client() == version
    assert [(v.version, v.champion) for v in registry.versions()] == [(1, True), (2, False)]
    registry._client.delete_registered_model_alias("demo", "champion")
    assert _registry(home).champion() is None is registry._champion_by_client()


def test_version_in_a_folder_whose_name_urls_must_quote_is_found(tmp_path: Path) -> None:
    home = tmp_path / "my models, 100% für Züge"
    home.mkdir()
    registry = _registry(home)
    version = _registered(registry, tmp_path / "model")
    folder = registry.fetch(version)
    assert folder.is_relative_to(home)
    assert (folder / "MLmodel").is_file()
    (made,) = registry.versions()
    assert made.source.startswith("/") or "%20" in made.source


def test_serving_code_loads_the_champion_by_its_alias(home: Path) -> None:
    registry = _registry(home)
    registry.set_champion(_registered(registry, home / "model"))
    code = (
        "import sys, mlflow, mlflow.sklearn, numpy as np\n"
        f"mlflow.set_tracking_uri('sqlite:///{home}/.trimtab/mlflow.db')\n"
        "model = mlflow.sklearn.load_model('models:/demo@champion')\n"
        "print(model.predict(np.array([[2.0, 0.0], [-2.0, 0.0]])).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[True, False]"


def test_alias_that_somebody_moves_with_mlflow_itself_is_noticed_recorded_and_respected(home: Path) -> None:
    from mlflow import MlflowClient

    registry, ledger = _registry(home), Ledger(database.connect(f"sqlite:///{home}/.trimtab/ledger.db"), "demo")
    for n in (1, 2):
        _registered(registry, home / f"model{n}")
    champions.change(
        ledger, registry, kind="promotion", expected=None, to_version=1, run_id=None, as_of=None, by="me", why="first"
    )
    somebody = MlflowClient(tracking_uri=registry.url, registry_uri=registry.url)
    somebody.set_registered_model_alias("demo", "champion", "2")
    fresh = _registry(home)
    (found,) = champions.recover(ledger, fresh)
    assert found == "somebody else moved the champion from version 1 to 2; that is respected"
    assert ledger.succession.champion() == fresh.champion() == 2


def test_tenants_have_names_and_champions_of_their_own(home: Path) -> None:
    assert registered_name("demo", None) == "demo"
    one, other = _registry(home), _registry(home, registered_name("demo", "acme"))
    one.set_champion(_registered(one, home / "model"))
    assert other.champion() is None
    assert other.versions() == []


def test_store_that_does_not_exist_has_no_champion_and_asking_does_not_make_it(tmp_path: Path) -> None:
    registry = _registry(tmp_path)
    assert registry.champion() is None
    assert not registry.made
    dry = DryRegistry(registry, tmp_path / "dry")
    assert dry.versions() == []
    assert _registered(dry, tmp_path / "model") == 1
    assert not registry.made


def test_dry_registry_reads_the_real_one_and_keeps_what_is_new_to_itself(home: Path) -> None:
    real = _registry(home)
    real.set_champion(_registered(real, home / "model"))
    dry = DryRegistry(real, home / "dry")
    assert dry.champion() == 1
    version = _registered(dry, home / "other")
    dry.set_champion(version)
    assert (version, dry.champion()) == (2, 2)
    assert [v.version for v in dry.versions()] == [1, 2]
    assert (dry.fetch(2) / modelfile.FILE).is_file()
    assert dry.fetch(1) == real.fetch(1)
    assert real.champion() == 1
    assert [v.version for v in real.versions()] == [1]


def test_unknown_version_and_damaged_store_are_one_sentence(home: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"store\.registry: "):
        _registry(home).fetch(9)
    (tmp_path / "broken" / ".trimtab").mkdir(parents=True)
    (tmp_path / "broken" / ".trimtab" / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match=r"store\.registry: "):
        _registry(tmp_path / "broken").champion()


def test_two_processes_that_make_the_store_at_once_both_succeed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom trimtab.act.registry import Registry\n"
        f"home = Path({str(tmp_path)!r})\n"
        "registry = Registry(f'sqlite:///{home}/.trimtab/mlflow.db', 'demo', home / '.trimtab' / 'models')\n"
        "registry._experiment\nprint(registry.versions(), registry.champion())"
    )
    makers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for maker in makers:
        said, problems = maker.communicate(timeout=120)
        assert (maker.returncode, said.strip()) == (0, "[] None"), problems

"""How is a model written to, and safely read from, a file?

Models are skops files in MLflow's sklearn flavour, never pickles. Which types may be loaded is decided here and not by
the file: a file that names any other type is refused before anything in it is built.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from trimtab import folders
from trimtab.act.quietly import import_mlflow
from trimtab.errors import ModelFileError, first_line

FILE = "model.skops"
_NOTE = "registered_model_meta"    # MLflow writes it, name and number, where serving code loads a version from

# Types beyond those that skops itself trusts, each looked at: plain data of fitted models, nothing that runs code.
REVIEWED = frozenset({
    "numpy.dtype",
    "numpy.ravel",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
})
# Packages whose types the list above settles: naming one of their estimators vouches for nothing else in them.
# A file that unpacks to more is made to fill the memory: numbers of a fitted model shrink to a tenth at the very most.
_LARGEST, _EXPANSION = 4_000_000_000, 100
_SETTLED = frozenset({"sklearn", "numpy", "scipy", "pandas", "builtins"})


def digest(path: Path) -> str:
    """SHA-256 of a model file."""
    return folders.digest(path)


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a model's folder, by its path in it, but for the note that MLflow leaves on loading."""
    return {name: sha256 for name, sha256 in folders.contents(folder).items() if name != _NOTE}


def untrusted(content: bytes, package: str | None = None) -> tuple[list[str], list[str]]:
    """Types in a model file beyond those that skops trusts: (reviewed or of the named package, all others).

    Raises
    ------
    ModelFileError
        When it is no model file.
    """
    from skops.io import get_untrusted_types

    try:
        names = get_untrusted_types(data=content)
    except Exception as error:
        raise ModelFileError(f"not a readable model file: {first_line(error)}") from error
    vouched = set((package or "").split()) - _SETTLED
    fine = [name for name in names if name in REVIEWED or name.partition(".")[0] in vouched]
    return fine, [name for name in names if name not in fine]


def save(model: Any, folder: Path, *, package: str, requirements: list[str]) -> None:
    """Write a model as an MLflow folder that `models:/NAME@champion` can load.

    Parameters
    ----------
    model : scikit-learn estimator
    folder : Path
        Must not exist.
    package : str
        Top-level package of the estimator's class, whose own types the params file vouches for.
    requirements : list of str
        Packages that loading needs, for whoever serves the model.

    Raises
    ------
    ModelFileError
        When the model holds types that nobody reviewed, or the folder is there already and holds something.
    """
    import_mlflow()
    import mlflow.sklearn
    import skops.io

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelFileError(f"{folder}: is there already, and not empty; name another folder, or remove it")
    fine, strange = untrusted(skops.io.dumps(model), package)
    if strange:
        raise ModelFileError(f"the fitted model holds types that are not reviewed: {', '.join(strange)}")
    with _unchecked_requirements():
        mlflow.sklearn.save_model(
            model, str(folder), serialization_format="skops", skops_trusted_types=fine, pip_requirements=requirements
        )


@contextmanager
def _unchecked_requirements() -> Iterator[None]:
    """Save without MLflow's look through every installed package, half a second long, for a mismatch to warn of.

    There can be none: the requirements are the versions that are installed.
    """
    environment: Any = import_module("mlflow.utils.environment")    # nothing public switches it off
    check = environment.warn_dependency_requirement_mismatches
    environment.warn_dependency_requirement_mismatches = lambda _requirements: None
    try:
        yield
    finally:
        environment.warn_dependency_requirement_mismatches = check


def load(
    folder: Path, *, sha256: str | None, package: str | None = None, files: Mapping[str, str] | None = None
) -> Any:
    """Read a model, checking first that the file is the one that was registered and holds only reviewed types.

    Parameters
    ----------
    folder : Path
        As `save` wrote it.
    sha256 : str or None
        Of the file, from the ledger; None for a version that Trimtab did not make.
    package : str, optional
        Top-level package of the estimator's class, from the ledger.
    files : mapping, optional
        `contents` of the folder, from the ledger. A file that came since is no reason against it: nothing reads it.

    Raises
    ------
    ModelFileError
        When the file, or another one of the folder, is missing, altered or corrupt, or it holds other types.
    """
    import skops.io

    path = folder / FILE
    content = _content(path)    # once: what is checked is what is loaded
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ModelFileError(f"{path}: the model file is not the one that was registered (SHA-256 differs)")
    try:
        _check_size(content)
        fine, strange = untrusted(content, package)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    if strange:
        raise ModelFileError(f"{path}: holds types that are not reviewed: {', '.join(strange)}")
    _check_description(folder / "MLmodel")
    _check_others(folder, files or {})
    try:
        return skops.io.loads(content, trusted=fine)
    except Exception as error:
        raise ModelFileError(f"{path}: cannot be loaded: {first_line(error)}") from error


def _content(path: Path) -> bytes:
    """What is in a regular file; a link may lead elsewhere by the time that serving code follows it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
                raise ModelFileError(f"{path}: is no ordinary file of at most {_LARGEST / 1e9:g} GB")
            return file.read()
    except FileNotFoundError:
        raise ModelFileError(f"{path}: the model file is missing") from None
    except OSError as error:
        linked = path.is_symlink()
        raise ModelFileError(f"{path}: cannot be read: {'it is a link' if linked else error.strerror}") from error


def _check_size(content: bytes) -> None:
    """Refuse an archive that would unpack to far more than it is."""
    try:
        sizes = [entry.file_size for entry in zipfile.ZipFile(io.BytesIO(content)).infolist()]
    except Exception as error:    # zipfile raises several kinds for what is no archive
        raise ModelFileError(f"not a readable model file: {first_line(error)}") from error
    if sum(sizes) > min(_LARGEST, _EXPANSION * len(content)):
        told = f"unpacks to {sum(sizes) / 1e6:,.0f} MB from {len(content) / 1e6:,.1f} MB"
        raise ModelFileError(f"{told}, so it is refused")


def _check_description(path: Path) -> None:
    """Serving code finds the model by way of MLflow's own description of it, so that must be readable too."""
    try:
        flavors = yaml.safe_load(_content(path).decode("utf-8"))["flavors"]
        told, served = flavors["sklearn"], flavors.get("python_function") or {}
        named = told["pickled_model"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise ModelFileError(f"{path}: is missing or damaged: {first_line(error)}") from None
    if named != FILE:
        raise ModelFileError(f"{path}: names {named!r} as the model file, not {FILE}")
    asked = [told.get("serialization_format"), told.get("code"), served.get("code"), served.get("loader_module")]
    if asked != ["skops", None, None, "mlflow.sklearn"] or served.get("model_path", FILE) != FILE:
        raise ModelFileError(f"{path}: asks serving code to load something else than a skops file of scikit-learn")


def _check_others(folder: Path, files: Mapping[str, str]) -> None:
    """Refuse a folder of which another file than the model's own is not as it was registered."""
    for name in files.keys() - {FILE}:
        path = folder / name
        if not os.path.lexists(path):
            raise ModelFileError(f"{path}: is missing, and was there when the model was registered")
        if folders.digest(path) != files[name]:
            raise ModelFileError(f"{path}: is not the one that was registered (SHA-256 differs)")

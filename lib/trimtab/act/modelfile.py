"""How is a model written to, and safely read from, a file?

Models are skops files in MLflow's sklearn flavour, never pickles. Which types may be loaded is decided here and not by
the file: a file that names any other type is refused before anything in it is built.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from trimtab.errors import ModelFileError

FILE = "model.skops"

# Types beyond those that skops itself trusts, each looked at: plain data of scikit-learn's tree and boosting models.
REVIEWED = frozenset({
    "numpy.dtype",
    "numpy.random._mt19937.MT19937",
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random.mtrand.RandomState",
    "sklearn._loss._loss.CyAbsoluteError",
    "sklearn._loss._loss.CyExponentialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfGammaLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfPoissonLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn._loss._loss.CyHuberLoss",
    "sklearn._loss._loss.CyPinballLoss",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.ExponentialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.HuberLoss",
    "sklearn._loss.loss.PinballLoss",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
})


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def untrusted(path: Path, packages: frozenset[str] = frozenset()) -> tuple[list[str], list[str]]:
    """Types in a model file beyond those that skops trusts: (reviewed or of a named package, all others)."""
    from skops.io import get_untrusted_types

    try:
        names = get_untrusted_types(file=path)
    except Exception as error:
        raise ModelFileError(f"{path}: not a readable model file: {_first_line(error)}") from error
    fine = [name for name in names if name in REVIEWED or name.partition(".")[0] in packages]
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
        When the model holds types that nobody reviewed.
    """
    import tempfile

    import mlflow.sklearn
    import skops.io

    with tempfile.NamedTemporaryFile(suffix=".skops") as probe:
        skops.io.dump(model, probe.name)
        fine, strange = untrusted(Path(probe.name), frozenset({package}))
    if strange:
        raise ModelFileError(f"the fitted model holds types that are not reviewed: {', '.join(strange)}")
    mlflow.sklearn.save_model(
        model, str(folder), serialization_format="skops", skops_trusted_types=fine, pip_requirements=requirements
    )


def load(folder: Path, *, sha256: str | None, package: str | None = None) -> Any:
    """Read a model, checking first that the file is the one that was registered and holds only reviewed types.

    Parameters
    ----------
    folder : Path
        As `save` wrote it.
    sha256 : str or None
        Of the file, from the ledger; None for a version that Trimtab did not make.
    package : str, optional
        Top-level package of the estimator's class, from the ledger.

    Raises
    ------
    ModelFileError
        When the file is missing, altered, corrupt, or holds other types.
    """
    import skops.io

    path = folder / FILE
    if not path.is_file():
        raise ModelFileError(f"{path}: the model file is missing")
    if sha256 is not None and digest(path) != sha256:
        raise ModelFileError(f"{path}: the model file is not the one that was registered (SHA-256 differs)")
    fine, strange = untrusted(path, frozenset({package}) if package else frozenset())
    if strange:
        raise ModelFileError(f"{path}: holds types that are not reviewed: {', '.join(strange)}")
    try:
        return skops.io.load(path, trusted=fine)
    except Exception as error:
        raise ModelFileError(f"{path}: cannot be loaded: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300] or type(error).__name__

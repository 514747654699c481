"""How is MLflow imported, so that it neither reports home nor writes into a notebook?"""

from __future__ import annotations

import logging
import os
import warnings

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",    # with its 7 a dead server takes four minutes
}


def import_mlflow() -> None:
    """Import it, with these settings where the environment has no others.

    In a notebook its progress bars miss ipywidgets, and warn of it while they are imported; none is ever drawn.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        import mlflow  # noqa: F401 -- once here, every later import is quiet
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)

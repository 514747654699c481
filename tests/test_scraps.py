"""What notebooks hand on is checked where it is left and where it is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from trimtab.errors import StepError
from trimtab.run import scraps

RETRAIN: dict[str, Any] = {
    "challenger": np.int64(2), "estimator": "C", "train_records": 800, "holdout_records": 200,
    "fit_seconds": np.float64(0.5), "fingerprint": {"rows": 800, "first": None},
}


def _left(monkeypatch: pytest.MonkeyPatch, path: Path, notebook: str, **values: Any) -> Path:
    """Hand values on as a cell would, and save the notebook that they were displayed in."""
    outputs: list[Any] = []

    def display(data: dict[str, Any], metadata: dict[str, Any], raw: bool) -> None:
        outputs.append(nbformat.v4.new_output("display_data", data=data, metadata=metadata))

    monkeypatch.setattr("IPython.display.display", display)
    scraps.hand_on(notebook, **values)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)]), path)
    return path


def test_values_come_back_typed_and_plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = scraps.read(_left(monkeypatch, tmp_path / "a.ipynb", "03_retrain", **RETRAIN), "03_retrain")
    assert isinstance(found, scraps.RetrainScraps)
    assert (found.challenger, found.fit_seconds) == (2, 0.5)
    assert found.fingerprint == {"rows": 800, "first": None}


def test_null_and_nan_come_back_as_null(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {"champion_before": 2, "champion_after": 1, "proof_rows": 5, "agreement": math.nan}
    values["proof_window"] = "current"
    found = scraps.read(_left(monkeypatch, tmp_path / "a.ipynb", "05_rollback", **values), "05_rollback")
    assert isinstance(found, scraps.RollbackScraps)
    assert found.agreement is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"challenger": None}, "must hand on 'challenger'"),
        ({"challenger": "second"}, "must hand on 'challenger'"),
        ({"surprise": 1}, "must hand on 'surprise'"),
    ],
    ids=["missing", "of the wrong type", "unknown"],
)
def test_value_that_does_not_fit_is_refused_where_it_is_left(change: dict[str, Any], told: str) -> None:
    with pytest.raises(StepError, match=f"03_retrain {told}"):
        scraps.hand_on("03_retrain", **(RETRAIN | change))


def test_notebook_that_hands_nothing_on_is_refused_where_it_is_read(tmp_path: Path) -> None:
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "a.ipynb")
    with pytest.raises(StepError, match="03_retrain must hand on 'challenger': field required"):
        scraps.read(tmp_path / "a.ipynb", "03_retrain")

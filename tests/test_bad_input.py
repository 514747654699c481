"""Bad input ends with exit 2 and one clear sentence that names file, key or column, before anything is changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.errors import TrimtabError
from trimtab.run.preflight import Request
from trimtab.run.runner import run

TRIMTAB = Path(sys.executable).parent / "trimtab"
TABLE = binary_table(800)
NO_LABELS = pd.Series([None] * len(TABLE), dtype="boolean")
PARTLY_INFINITE = TABLE["x"].where(TABLE.index != 5, np.inf)


def _state(home: Path) -> dict[str, bytes]:
    """Every file of the home's state, but for those that a database keeps beside itself."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for folder in (home / "runs", home / ".trimtab") for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock"))
    }


def _refused(params: Path, home: Path, pipeline: str = "baseline", **settings: Any) -> str:
    """The sentence with which a run is refused, having made sure that nothing changed."""
    before = _state(home)
    with pytest.raises(TrimtabError) as refusal:
        run(Request(pipeline=pipeline, params=params, progress=False, **({"as_of": "2024-04-15"} | settings)))
    assert refusal.value.exit_code == 2
    assert _state(home) == before
    assert not list((home / "runs").glob("*/*"))
    sentence = str(refusal.value)
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: [\n", ["demo.yaml", "line 2", "YAML"]),
        ("just text", ["demo.yaml", "mapping"]),
        (yaml.safe_dump(merged(BINARY, drift={"psi_alrt": 1})), ["demo.yaml", "drift.psi_alrt", "psi_alert"]),
        (yaml.safe_dump(merged(BINARY, drift={"psi_alert": "high"})), ["demo.yaml", "drift.psi_alert", "'high'"]),
        (yaml.safe_dump(merged(BINARY, drift={"psi_alert": -1})), ["drift.psi_alert"]),
        (yaml.safe_dump(merged(BINARY, windows={"current": {"last": "soon"}})), ["windows.current", "soon"]),
        (yaml.safe_dump(merged(BINARY, store={"ledger": "${NOPE}"})), ["demo.yaml", "store.ledger", "NOPE"]),
        (yaml.safe_dump(merged(BINARY, model="Not A Name")), ["model"]),
        (yaml.safe_dump(merged(BINARY, data={"numeric": ["x", "y"]})), ["data", "'y'"]),
        (yaml.safe_dump(merged(BINARY, promotion={"criteria": [{"metric": "nope", "floor": 1}]})), ["nope", "roc_auc"]),
        (yaml.safe_dump(merged(BINARY, promotion={"criteria": [{"metric": "mae", "floor": 1}]})), ["mae", "task"]),
        (yaml.safe_dump(merged(BINARY, promotion={"criteria": [{"metric": "f1"}]})), ["criteria", "exactly one"]),
        (yaml.safe_dump(merged(BINARY, triggers=[{"signal": "nope", "at_least": 1, "severity": "low"}])), ["nope"]),
        (yaml.safe_dump(merged(BINARY, guardrails={"min_records": -1})), ["guardrails.min_records", "-1"]),
        (yaml.safe_dump(merged(BINARY, estimator={"class": "sklearn.linear_model.Rigde"})), ["estimator", "'Rigde'"]),
        (yaml.safe_dump(merged(BINARY, estimator={"class": "sklearn.linear_model.Ridge"})), ["Ridge", "task"]),
        (yaml.safe_dump(merged(BINARY, estimator={"params": {"max_itr": 5}})), ["estimator.params", "max_itr"]),
        (yaml.safe_dump(merged(BINARY, estimator={"params": {"max_iter": "5"}})), ["estimator.params", "'max_iter'"]),
        (yaml.safe_dump(merged(BINARY, data={"positive": "maybe"})), ["data.positive", "'maybe'", "False, True"]),
        (yaml.safe_dump(merged(BINARY, data={"label": None})), ["data.label"]),
        (yaml.safe_dump(merged(BINARY, data={"connect": "nowhere://x"})), ["data.connect"]),
    ],
)
def test_wrong_params_file_is_refused(home: Path, text: str, words: list[str]) -> None:
    TABLE.to_parquet(home / "records.parquet")
    (home / "demo.yaml").write_text(text)
    sentence = _refused(home / "demo.yaml", home)
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(("values", "example"), [([0.0, 1.0, 0.5, None], "0.5"), ([0, 1, 2, 1], "2")])
def test_rate_that_is_neither_truth_nor_zeros_and_ones_is_refused(home: Path, values: list[Any], example: str) -> None:
    table = TABLE.assign(matched=(values * len(TABLE))[: len(TABLE)])
    table.to_parquet(home / "records.parquet")
    (home / "demo.yaml").write_text(yaml.safe_dump(merged(BINARY, data={"rates": ["matched"]})))
    sentence = _refused(home / "demo.yaml", home)
    assert f"records.parquet: column 'matched' (rates) holds {example}; " in sentence
    table[["at", "kind", "matched"]].to_parquet(home / "read.parquet")
    asked = {"table": "read.parquet", "field": "kind", "time": "at", "rates": ["matched"]}
    (home / "demo.yaml").write_text(yaml.safe_dump(merged(BINARY, data={"extractions": asked})))
    assert f"read.parquet: column 'matched' (rates) holds {example}; " in _refused(home / "demo.yaml", home)


def test_rates_of_ones_and_zeros_with_gaps_are_taken(home: Path) -> None:
    """As numbers with decimals, which is what pandas makes of whole ones with gaps, and as truth."""
    ones = (TABLE["x"] > 0).astype(float).mask(TABLE["z"] > 1)
    table = TABLE.assign(ones=ones, truth=ones.astype("boolean"), whole=ones.astype("Int8"))
    table.to_parquet(home / "records.parquet")
    (home / "demo.yaml").write_text(yaml.safe_dump(merged(BINARY, data={"rates": ["ones", "truth", "whole"]})))
    session = tt.open(home / "demo.yaml", as_of="2024-04-15")
    assert {column.name for column in session.check().columns} >= {"ones", "truth", "whole"}


def test_missing_params_file_is_refused(home: Path) -> None:
    assert "nowhere.yaml" in _refused(home / "nowhere.yaml", home)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (None, ["records.parquet", "no such file"]),
        ({"rows": 0}, ["records.parquet", "empty"]),
        ({"drop": "x"}, ["records.parquet", "'x'", "numeric"]),
        ({"x": "a"}, ["'x'", "numbers"]),
        ({"at": "foo"}, ["'at'", "data.time"]),
        ({"at": TABLE["at"].astype(str).where(TABLE.index != 5, "foo")}, ["'at'", "data.time", "'foo'"]),
        ({"at": None}, ["'at'", "data.time"]),
        ({"at": pd.Series([pd.NaT] * len(TABLE))}, ["'at'", "data.time"]),
        ({"at": 17}, ["'at'", "not times"]),
        ({"y": NO_LABELS}, ["'y'", "no known label"]),
        ({"y": None}, ["'y'", "no known label"]),
        ({"y": TABLE["x"]}, ["'y'", "fractions"]),
        ({"y": True}, ["'y'", "only one class"]),
        ({"x": PARTLY_INFINITE}, ["'x'", "infinite"]),
    ],
    ids=["missing", "empty", "missing column", "text for a number", "time unparsable", "time partly unparsable",
         "time without type", "time null", "time a number", "no labels", "label without type", "label a measure",
         "one class", "infinite"],
)
def test_wrong_table_is_refused(
    project: Callable[..., Path], home: Path, changes: dict[str, Any] | None, words: list[str]
) -> None:
    table = None
    if changes is not None:
        rest = {name: value for name, value in changes.items() if name not in {"rows", "drop"}}
        table = TABLE.assign(**rest).drop(columns=changes.get("drop", [])).head(changes.get("rows", len(TABLE)))
    sentence = _refused(project(BINARY, table), home)
    assert all(word in sentence for word in words), sentence


def test_duplicate_ids_are_refused(project: Callable[..., Path], home: Path) -> None:
    sentence = _refused(project(merged(BINARY, data={"id": "id"}), TABLE.assign(id=7)), home)
    assert "'id'" in sentence
    assert "not unique" in sentence


@pytest.mark.parametrize("damage", ["header only", "cut short", "pages overwritten"])
def test_corrupt_parquet_is_refused(project: Callable[..., Path], home: Path, damage: str) -> None:
    params = project(BINARY, TABLE)
    whole = (home / "records.parquet").read_bytes()
    damaged = {
        "header only": b"PAR1 and nothing else", "cut short": whole[: len(whole) // 2],
        "pages overwritten": whole[:4] + b"\xff" * (len(whole) // 2) + whole[4 + len(whole) // 2 :],
    }
    (home / "records.parquet").write_bytes(damaged[damage])
    assert "records.parquet" in _refused(params, home)


@pytest.mark.parametrize("pipeline", ["drift", "retrain"])
def test_analysis_that_could_not_count_its_training_records_is_refused(
    project: Callable[..., Path], home: Path, pipeline: str
) -> None:
    assert "no known label" in _refused(project(BINARY, TABLE.assign(y=NO_LABELS)), home, pipeline)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"as_of": "yesterday"}, ["as_of", "yesterday"]),
        ({"as_of": "2020-01-01"}, ["2020-01-01"]),
        ({"overrides": ("drift",)}, ["--set drift", "key=value"]),
        ({"overrides": ("drift.psi=1",)}, ["--set drift.psi", "unknown key"]),
        ({"pipeline": "drift", "overrides": ("windows.current.last=1s",)}, ["current window", "no records"]),
        ({"pipeline": "drift", "overrides": ("windows.reference={from: 2001-01-01, to: 2002-01-01}",)}, ["reference"]),
    ],
)
def test_wrong_request_is_refused(
    project: Callable[..., Path], home: Path, settings: dict[str, Any], words: list[str]
) -> None:
    sentence = _refused(project(BINARY, TABLE), home, **settings)
    assert all(word in sentence for word in words), sentence


def test_home_that_cannot_be_written_is_refused(
    project: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = project(BINARY, TABLE)
    (home / "file").write_text("in the way")
    monkeypatch.setenv("TRIMTAB_HOME", str(home / "file" / "below"))
    assert str(home / "file") in _refused(params, home)


@pytest.mark.parametrize("name", ["runs", "runs/demo"])
def test_file_in_the_place_of_the_runs_is_refused(project: Callable[..., Path], home: Path, name: str) -> None:
    params = project(BINARY, TABLE)
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_text("in the way")
    with pytest.raises(TrimtabError, match="in the place of a folder") as refusal:
        run(Request(pipeline="baseline", params=params, as_of="2024-04-15", progress=False))
    assert refusal.value.exit_code == 2
    assert (home / name).read_text() == "in the way"


@pytest.mark.parametrize("most", [8, 100])    # kilobytes: no room for the ledger, for a notebook
def test_full_disk_is_one_sentence_and_leaves_no_half_written_state(
    project: Callable[..., Path], home: Path, most: int
) -> None:
    """A limit on the size of files stands in for the full disk: every write beyond it fails."""
    params = project(BINARY, TABLE)
    limited = f"ulimit -f {most}; exec {TRIMTAB} run baseline -p {params} --as-of 2024-04-15 --json"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, cwd=home, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("trimtab: ")
    assert str(home) in done.stderr or "store." in done.stderr
    again = run(Request(pipeline="baseline", params=params, as_of="2024-04-15", progress=False))
    assert again.exit_code == 0, again.error


def test_constant_and_empty_columns_are_reported_and_do_not_stop_a_run(project: Callable[..., Path]) -> None:
    """Of two kinds: empty in a column that has a type, and in one that Parquet gives none."""
    import trimtab as tt

    odd = TABLE.assign(noise=1.0, z=np.nan, kind=None, note=pd.Series([None] * len(TABLE), dtype="str"))
    boosting = {"class": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 5}}
    params = project(merged(BINARY, data={"text": ["note"]}, estimator=boosting), odd)
    outcome = run(Request(pipeline="drift", params=params, as_of="2024-04-15", progress=False))
    assert outcome.error is None
    session = tt.open(params, as_of="2024-04-15")
    reference, current = session.windows()
    notes = {c.name: c.note for c in tt.compare(session.profile(reference), session.profile(current)).columns}
    assert "constant" in notes["noise"]
    assert all("no values" in notes[name] for name in ("z", "kind", "note (length)"))


def test_new_levels_are_reported_and_do_not_stop_a_run(project: Callable[..., Path]) -> None:
    import trimtab as tt

    late = TABLE["at"] > "2024-04-10"
    params = project(BINARY, TABLE.assign(kind=TABLE["kind"].where(~late, "brand new")))
    assert run(Request(pipeline="baseline", params=params, as_of="2024-04-01", progress=False)).error is None
    session = tt.open(params, as_of="2024-04-25")
    reference, current = session.windows()
    column = tt.compare(session.profile(reference), session.profile(current))["kind"]
    assert column.unseen > 0.5
    assert "new levels" in column.note


@pytest.mark.parametrize(("pipeline", "words"), [
    ("drift", ["no champion yet", "data.label"]), ("retrain", ["data.label", "trained"]),
])
def test_without_a_label_and_without_a_champion_one_sentence_says_what_to_do(
    project: Callable[..., Path], home: Path, pipeline: str, words: list[str]
) -> None:
    sentence = _refused(project(merged(BINARY, data={"label": None}), TABLE), home, pipeline)
    assert all(word in sentence for word in words), sentence


def test_a_run_goes_on_where_nothing_is_known_of_outcomes_and_says_where_nothing_can_be_tested(
    project: Callable[..., Path], home: Path
) -> None:
    """One home, three runs: a champion is made, watched without labels, and watched with a handful of records."""
    logged = TABLE.assign(said=TABLE["x"] > 0, p=TABLE["x"])    # what is logged as a probability is none
    params = project(BINARY, logged)
    assert run(Request(pipeline="baseline", params=params, as_of="2024-04-01", progress=False)).error is None

    blind = ("data.label=null", "data.prediction=said", "data.score=p")
    unlabelled = run(Request(pipeline="drift", params=params, as_of="2024-04-20", overrides=blind, progress=False))
    assert (unlabelled.error, unlabelled.result["status"]) == (None, "succeeded")
    assert "values outside 0 to 1" in " ".join(unlabelled.result["decision"]["reasons"])
    assert unlabelled.result["metrics"]["champion"] is None
    assert unlabelled.result["guard"]["blocked_by"].count("min_records") == 1
    page = next((home / "runs").glob("*/*-drift-*/02_drift_analysis.html")).read_text()
    assert page.count("No column of outcomes is named (data.label), so realised performance is not known.") >= 2

    few = run(Request(
        pipeline="drift", params=params, as_of="2024-04-20", overrides=("windows.current.last=10h",), progress=False))
    assert few.error is None
    assert few.result["decision"]["severity"] == "none"
    assert few.result["decision"]["confidence"] == 0.5
    assert few.result["decision"]["reasons"][0].startswith("Nothing could be tested")
    scraps = json.loads((Path(few.result["run_dir"]) / "run.json").read_text())["steps"][0]["scraps"]
    assert {"feature_drift", "prediction_drift", "joint_drift", "performance_drop"} <= set(scraps["untested"])
    assert "could be tested" in scraps["reading"]
    assert few.report is not None
    assert "signals could not be tested" in few.report.read_text()


def _typed(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TRIMTAB_HOME": str(home)}
    return subprocess.run([TRIMTAB, *words], capture_output=True, text=True, cwd=home, env=environment, check=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nonsense"], "nonsense"),
        (["run"], "pipeline"),
        (["run", "drift", "-p", "nope.yaml"], "nope.yaml"),
        (["run", "drift", "--to", "3"], "rollback only"),
        (["data", "nonsense"], "flights"),
        (["history", "-p", "nope.yaml"], "nope.yaml"),
    ],
)
def test_wrong_command_line_ends_with_exit_2_and_nothing_on_standard_output(
    home: Path, words: list[str], said: str
) -> None:
    done = _typed(home, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr

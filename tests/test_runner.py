"""One run from start to end, through real notebooks and through ones that misbehave."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.errors import BusyError, UsageError
from trimtab.run import notebooks, reports, rollbacks
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, run

FIXTURES = Path(__file__).parent / "notebooks"
FIELDS = [
    "run_id", "model", "tenant", "pipeline", "as_of", "status", "decision", "guard", "verdict", "champion_before",
    "champion_after", "metrics", "run_dir", "seconds", "dry_run",
]
SECRET = "a-very-secret-word"
ALWAYS = {"triggers": [{"signal": "model_age", "at_least": 0, "severity": "high"}]}


def _run(params: Path, pipeline: str = "baseline", **settings: Any) -> Outcome:
    return run(Request(pipeline=pipeline, params=params, progress=False, **settings))


def _manifest(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(outcome.result["run_dir"]) / "run.json").read_text())
    return found


@pytest.fixture(scope="module")
def baseline(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A home in which version 1 serves; tests work on copies of it."""
    home = tmp_path_factory.mktemp("baseline") / "home"
    shutil.copytree(fresh_home, home)
    binary_table(1500).to_parquet(home / "records.parquet")
    tree = merged(BINARY, **ALWAYS, alerts={"urls": ["json://localhost:9/${WORD}"]}, as_of="2024-03-01")
    (home / "demo.yaml").write_text(yaml.safe_dump(tree))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", str(home))
        patch.setenv("WORD", SECRET)
        return home, _run(home / "demo.yaml")


@pytest.fixture
def served(baseline: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The params file of a fresh copy of the baseline's home, where version 1 serves."""
    home = tmp_path / "served"
    shutil.copytree(baseline[0], home)
    with sqlite3.connect(home / ".trimtab" / "ledger.db") as ledger:    # where models are is written down in full
        ledger.execute("UPDATE versions SET source = replace(source, ?, ?)", (str(baseline[0]), str(home)))
    ledger.close()
    monkeypatch.setenv("TRIMTAB_HOME", str(home))
    monkeypatch.setenv("WORD", SECRET)
    return home / "demo.yaml"


def _instead(monkeypatch: pytest.MonkeyPatch, folder: Path, fixture: str) -> None:
    """Put a misbehaving notebook in the place of the baseline."""
    folder.mkdir()
    shutil.copy(FIXTURES / f"{fixture}.ipynb", folder / "01_baseline.ipynb")
    monkeypatch.setattr(notebooks, "folder", lambda: folder)


def _lease_is_free(params: Path) -> bool:
    ledger = tt.open(params).ledger
    ledger.lease.acquire("probe")
    ledger.lease.release("probe")
    return True


def test_outcome_has_exactly_the_fields_of_the_contract(baseline: tuple[Path, Outcome]) -> None:
    _, outcome = baseline
    assert (outcome.exit_code, outcome.error) == (0, None)
    assert list(outcome.result) == FIELDS
    assert outcome.result["metrics"].keys() == {"champion", "challenger"}
    assert (outcome.result["champion_before"], outcome.result["champion_after"]) == (None, 1)
    assert outcome.result["decision"] is None is outcome.result["guard"]


def test_manifest_says_what_was_run_on_what_with_what(baseline: tuple[Path, Outcome]) -> None:
    _, outcome = baseline
    manifest = _manifest(outcome)
    (step,) = manifest["steps"]
    folder = Path(outcome.result["run_dir"])
    assert (manifest["status"], step["status"], manifest["as_of"]) == ("succeeded", "succeeded", "2024-03-01T00:00:00")
    assert 0 < step["seconds"] <= outcome.result["seconds"]
    assert step["sha256"] == hashlib.sha256((folder / step["file"]).read_bytes()).hexdigest()
    assert step["scraps"]["champion_after"] == 1
    assert manifest["data"]["rows"] > 0
    assert len(manifest["data"]["sha256"]) == 64
    assert {"python", "scikit-learn", "duckdb"} <= manifest["packages"].keys()
    assert {"trimtab", "commit"} == manifest["code"].keys()
    assert (folder / step["html"]).exists()
    assert manifest["params"]["drift"]["psi_alert"] == 0.25


def test_secret_is_in_no_file_that_a_run_leaves(baseline: tuple[Path, Outcome]) -> None:
    home, _ = baseline
    files = [path for place in ("runs", ".trimtab") for path in (home / place).rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def _digests(home: Path) -> dict[str, str]:
    state = home / ".trimtab"
    return {
        str(path.relative_to(state)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in state.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock"))
    }


def test_b14_dry_run_reaches_a_verdict_and_leaves_ledger_registry_and_models_byte_for_byte(served: Path) -> None:
    before = _digests(served.parent)
    outcome = _run(served, "retrain", dry_run=True, as_of="2024-04-15")
    assert outcome.error is None
    assert outcome.result["verdict"] in {"promote", "reject", "hold"}
    assert outcome.result["dry_run"]
    assert (outcome.result["champion_before"], outcome.result["champion_after"]) == (1, 1)
    assert _digests(served.parent) == before


def test_second_retrain_within_the_cooldown_is_blocked(served: Path) -> None:
    tt.open(served).ledger.retrains.record_retrain("earlier", as_of=tt.open(served, as_of="2024-04-12").as_of,
                                          retrain_attempted=True)
    outcome = _run(served, "retrain", as_of="2024-04-15")
    assert (outcome.exit_code, outcome.result["status"]) == (0, "blocked")
    assert outcome.result["decision"]["needs_retrain"]
    assert outcome.result["guard"] == {"allowed": False, "blocked_by": ["cooldown"]}
    told = "cooldown: the last retraining was 3d ago, at least 7d is asked for"
    assert outcome.obstacles == (told,)
    assert f"but blocked by {told}" in outcome.report.read_text(encoding="utf-8")
    assert outcome.result["verdict"] is None
    assert [step["notebook"] for step in _manifest(outcome)["steps"]] == ["02_drift_analysis"]


def test_corrupt_model_file_fails_the_run_and_the_champion_stays(served: Path) -> None:
    known = tt.open(served).ledger.version(1)
    assert known is not None
    Path(known["source"], "model.skops").write_bytes(b"nothing")
    outcome = _run(served, "drift", as_of="2024-04-15")
    assert (outcome.exit_code, outcome.result["status"]) == (4, "failed")
    assert "not the one that was registered" in str(outcome.error)
    assert outcome.result["champion_after"] == 1


@pytest.mark.parametrize(
    ("fixture", "told", "shown"),
    [
        ("broken", "ValueError: this cell is broken", "this cell is broken"),
        ("missing_scrap", "03_retrain must hand on", "must hand on"),
        ("kills_its_kernel", "the kernel died", "died before the notebook was through"),
    ],
)
def test_failing_notebook_fails_the_run_and_is_saved_marked_and_linked(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixture: str, told: str, shown: str
) -> None:
    _instead(monkeypatch, tmp_path / "books", fixture)
    outcome = _run(served)
    assert (outcome.exit_code, outcome.result["status"]) == (4, "failed")
    assert told in str(outcome.error)
    (step,) = _manifest(outcome)["steps"]
    folder = Path(outcome.result["run_dir"])
    assert step["status"] == "failed"
    assert step["sha256"] == hashlib.sha256((folder / step["file"]).read_bytes()).hexdigest()
    assert shown in (folder / step["html"]).read_text()
    assert step["html"] in (folder / "report.html").read_text()
    assert _lease_is_free(served)


def test_secret_that_a_notebook_prints_and_raises_is_written_nowhere(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _instead(monkeypatch, tmp_path / "books", "tells")
    outcome = _run(served)
    assert outcome.exit_code == 4
    assert "the word is ${WORD}" in str(outcome.error)
    files = [path for path in Path(outcome.result["run_dir"]).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".ipynb", ".html", ".json"}
    for path in files:
        assert SECRET not in path.read_text(), path
    (step,) = _manifest(outcome)["steps"]
    assert "the word is ${WORD}" in step["error"]


def test_notebook_without_parameters_cell_is_refused_before_anything_starts(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _instead(monkeypatch, tmp_path / "books", "no_parameters")
    runs = sorted(served.parent.glob("runs/demo/*"))
    with pytest.raises(UsageError, match=r"01_baseline.ipynb: has no cell tagged parameters"):
        _run(served)
    assert sorted(served.parent.glob("runs/demo/*")) == runs


def test_unexpected_error_anywhere_ends_the_run_in_order(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_settings: object) -> None:
        raise RuntimeError("out of the blue")

    for place, name in ((notebooks, "execute"), (reports, "run_report")):
        with monkeypatch.context() as patch:
            _instead(patch, tmp_path / name, "broken")
            patch.setattr(place, name, fail)
            outcome = _run(served)
        assert (outcome.exit_code, _manifest(outcome)["status"]) == (4, "failed")
        assert _lease_is_free(served)
    assert [r["status"] for r in tt.open(served).ledger.runs(2)] == ["failed", "failed"]


def test_active_run_refuses_a_second_one(served: Path) -> None:
    tt.open(served).ledger.lease.acquire("first")
    with pytest.raises(BusyError, match="run first of demo is active"):
        _run(served)


# -- the library behind the notebooks, on the same home --------------------------------------------------------------


def test_time_before_the_champion_was_made_is_refused(served: Path) -> None:
    with pytest.raises(UsageError, match="is before version 1 was made"):
        tt.open(served, as_of="2024-02-01").reference_window()


def test_champion_that_needs_a_column_no_longer_named_is_refused_by_name(served: Path) -> None:
    session = tt.open(served, overrides={"data.numeric": ["x", "noise"]}, as_of="2024-04-15")
    with pytest.raises(UsageError, match="version 1 learned from column 'z'"):
        rollbacks.prove(session, 1)


def test_measuring_the_champion_again_leaves_its_retrain_event_alone(served: Path) -> None:
    session = tt.open(served)
    contest = tt.lifecycle.first_champion(session)
    tt.lifecycle.appoint(session, contest, tt.lifecycle.judge(session, contest))
    assert [event["promoted"] for event in session.ledger.retrains.retrain_events()] == [True]


def test_champion_moved_since_the_evaluation_stops_the_promotion(project: Callable[..., Path]) -> None:
    from trimtab.errors import ChampionError

    session = tt.open(project(BINARY, binary_table(800)))
    contest = tt.lifecycle.first_champion(session)
    verdict = tt.lifecycle.judge(session, contest)
    session.registry.set_champion(1)    # somebody was quicker
    with pytest.raises(ChampionError, match="the champion is version 1, not None as expected"):
        tt.lifecycle.appoint(session, contest, verdict)


def test_logged_predictions_are_used_where_they_were_logged(project: Callable[..., Path]) -> None:
    table = binary_table(1500)
    table["said"] = (table["x"] > 0).astype(object).where(table.index % 3 > 0, None)
    table["p"] = table["x"].rank(pct=True).where(table.index % 3 > 0)
    logged = merged(BINARY, data={"prediction": "said", "score": "p", "label_delay": "10d", "segments": ["site"]})
    start = tt.open(project(logged, table), as_of="2024-03-01")
    contest = tt.lifecycle.first_champion(start)
    tt.lifecycle.appoint(start, contest, tt.lifecycle.judge(start, contest))
    session = tt.open(start.loaded.path, as_of="2024-04-15")
    _, current = session.windows()
    scored = tt.checking.score(session, current)
    assert scored.source == "logged in 'said'"
    assert scored.rows == pytest.approx(current.rows * 2 / 3, abs=1)
    assert 0 < scored.labelled < scored.rows
    assert scored.performance is not None
    assert scored.performance.rows == scored.labelled


def test_what_a_run_could_not_rename_before_it_ended_is_removed_by_the_next(served: Path) -> None:
    """A folder that cannot be written any more keeps what was written beside: nobody can remove it there, either."""
    ended = next(folder for folder in (served.parent / "runs" / "demo").iterdir() if folder.is_dir())
    beside = ended / ".07_watch.ipynb.4711.tmp"
    beside.write_text("half of it")
    kept = sorted(path.name for path in ended.iterdir() if path != beside)
    assert _run(served, as_of="2024-04-15").exit_code == 0
    assert sorted(path.name for path in ended.iterdir()) == kept

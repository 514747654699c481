"""The audit chain: whatever is changed, taken away or slipped in among what runs left is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import BINARY, binary_table, merged
from typer.testing import CliRunner

import trimtab as tt
from trimtab.act import tables
from trimtab.errors import UsageError
from trimtab.run.cli import app
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, run
from trimtab.run.verifying import Verified, verify

ALWAYS = {"triggers": [{"signal": "model_age", "at_least": 0, "severity": "high"}]}


def _run(params: Path, pipeline: str, **settings: Any) -> Outcome:
    return run(Request(pipeline=pipeline, params=params, progress=False, **settings))


@pytest.fixture(scope="module")
def lived(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after a baseline, a retraining and a rollback; it was moved since, so that copies are on their own."""
    place = tmp_path_factory.mktemp("lived")
    home = place / "home"
    shutil.copytree(fresh_home, home)
    binary_table(1500).to_parquet(home / "records.parquet")
    params = home / "demo.yaml"
    params.write_text(yaml.safe_dump(merged(BINARY, **ALWAYS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", str(home))
        _run(params, "baseline", as_of="2024-02-20")
        retrained = _run(params, "retrain", as_of="2024-04-15", overrides=("drift.psi_alert=0.5",))
        assert retrained.result["champion_after"] == 2
        back = _run(params, "rollback", as_of="2024-04-15", extra={"by": "a person", "why": "a try"})
        assert (back.error, back.result["champion_after"]) == (None, 1)
    return home.rename(place / "moved")


@pytest.fixture
def copied(lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The params file of a copy of that home."""
    home = tmp_path / "home"
    shutil.copytree(lived, home)
    monkeypatch.setenv("TRIMTAB_HOME", str(home))
    return home / "demo.yaml"


def _runs(params: Path) -> list[Path]:
    return sorted((params.parent / "runs" / "demo").iterdir())


def _sql(params: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(params.parent / ".trimtab" / "ledger.db") as ledger:
        assert ledger.execute(statement, values).rowcount
    ledger.close()


def _rehome(params: Path) -> None:
    """Have ledger and registry name no folders of the home that this one is a copy of."""
    _sql(params, "UPDATE versions SET source = replace(source, '/home/', '/moved/')")
    with sqlite3.connect(params.parent / ".trimtab" / "mlflow.db") as registry:
        for column in ("source", "storage_location"):
            registry.execute(f"UPDATE model_versions SET {column} = replace({column}, '/home/', '/moved/')")
    registry.close()


def _first(params: Path) -> tuple[str, str]:
    found = verify(params)
    assert not found.holds
    return found.findings[0].kind, found.findings[0].place


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_whole_loop_as_it_was_left_holds(copied: Path) -> None:
    found = verify(copied)
    assert (found.findings, found.notes, found.links) == ((), (), 3)


def test_each_manifest_names_the_hash_of_the_one_before_and_of_every_file(copied: Path) -> None:
    before: str | None = None
    for number, folder in enumerate(_runs(copied), 1):
        manifest = json.loads((folder / "run.json").read_text())
        assert (manifest["chain"]["seq"], manifest["chain"]["previous_manifest"]) == (number, before)
        there = {path.name: _sha256(path) for path in folder.iterdir() if path.name != "run.json"}
        assert manifest["files"] == there
        assert {step["html"] for step in manifest["steps"]} <= there.keys()
        before = _sha256(folder / "run.json")


def test_report_shows_the_place_in_the_chain_and_what_params_were_changed(copied: Path) -> None:
    first, second, third = _runs(copied)
    page = (second / "report.html").read_text()
    assert "Link 2 of the audit chain" in page
    assert _sha256(first / "run.json") in page
    assert "drift.psi_alert" in page.partition("Params that were changed")[2].partition("</table>")[0]
    manifest = json.loads((third / "run.json").read_text())
    (one,) = manifest["amendments"]["changes"]
    assert one == {"key": "drift.psi_alert", "old": 0.5, "new": 0.25}
    assert manifest["amendments"]["since"] == second.name
    told = CliRunner().invoke(app, ["history", "-p", str(copied), "--json"]).stdout
    assert [len(row["amendments"]) for row in json.loads(told)["runs"]] == [1, 1, 0]
    assert "drift.psi_alert" in CliRunner().invoke(app, ["history", "-p", str(copied)]).stdout


@pytest.mark.parametrize("name", ["run.json", "01_baseline.ipynb", "01_baseline.html", "report.html"])
def test_changed_or_missing_file_is_named(copied: Path, name: str) -> None:
    path = _runs(copied)[0] / name
    path.write_bytes(path.read_bytes().replace(b"a", b"e", 1))
    assert _first(copied) == ("changed", str(path))
    path.unlink()
    assert _first(copied) == ("missing", str(path))


def test_first_of_several_is_the_oldest(copied: Path) -> None:
    _, second, third = _runs(copied)
    for folder in (third, second):
        (folder / "report.html").write_text("nothing")
    found = verify(copied)
    assert [one.run_id for one in found.findings] == [second.name, third.name]


def test_files_and_folders_that_no_run_left_are_named(copied: Path) -> None:
    first = _runs(copied)[0]
    (first / "more.txt").write_text("more")
    assert _first(copied) == ("inserted", str(first / "more.txt"))
    (first / "more.txt").unlink()
    another = first.with_name("20300101T000000-baseline-abcdef")
    shutil.copytree(first, another)
    assert _first(copied) == ("inserted", str(another))
    shutil.rmtree(first)
    assert _first(copied) == ("missing", str(first / "run.json"))


def test_notebook_that_somebody_opened_leaves_no_finding(copied: Path) -> None:
    beside = _runs(copied)[0] / ".ipynb_checkpoints"
    beside.mkdir()
    assert verify(copied).holds
    (beside / "01_baseline-checkpoint.ipynb").write_text("{}")
    assert verify(copied).holds


@pytest.mark.parametrize(("name", "make"), [
    ("pipe", os.mkfifo), ("nothing", Path.mkdir), ("link", lambda path: path.symlink_to("/etc/hostname")),
    (".ipynb_checkpoints/code.py", Path.touch), (".ipynb_checkpoints/a-checkpoint.ipynb", os.mkfifo),
    (".ipynb_checkpoints/deeper/a-checkpoint.ipynb", Path.touch),
])
def test_whatever_else_lies_in_the_folder_of_a_run_is_named(
    copied: Path, name: str, make: Callable[[Path], object]
) -> None:
    path = _runs(copied)[0] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    assert _first(copied) == ("inserted", str(path))


@pytest.mark.parametrize("name", ["run.json", "report.html"])
def test_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(copied: Path, name: str) -> None:
    path = _runs(copied)[0] / name
    path.unlink()
    os.mkfifo(path)
    assert _first(copied) == ("changed", str(path))


def test_pipe_in_the_place_of_a_manifest_that_no_link_names_is_not_waited_for(copied: Path) -> None:
    path = _runs(copied)[0] / "run.json"
    path.unlink()
    os.mkfifo(path)
    for rows in ("audit_chain", "sealed_rows"):
        _sql(copied, f"DELETE FROM {rows}")
    assert _first(copied) == ("missing", "ledger: link 2 of the chain")


def test_pipe_in_the_place_of_a_model_is_named_and_not_waited_for(copied: Path) -> None:
    path = next((copied.parent / ".trimtab" / "models").rglob("model.skops"))
    path.unlink()
    os.mkfifo(path)
    assert _first(copied) == ("changed", str(path))


ROWS = {
    "runs": "UPDATE runs SET as_of = '2020-01-01 00:00:00.000000' WHERE pipeline = 'retrain'",
    "decisions": "UPDATE decisions SET severity = 'low'",
    "signals": "DELETE FROM signals WHERE id = (SELECT min(id) FROM signals)",
    "verdicts": "UPDATE verdicts SET criteria = '[]'",
    "model_retrain_events": "UPDATE model_retrain_events SET promoted = 0 WHERE promoted = 1",
    "champion_changes": "UPDATE champion_changes SET why = 'another' WHERE kind = 'rollback'",
    "versions": "UPDATE versions SET sha256 = 'another' WHERE version = 1",
}


@pytest.mark.parametrize("kind", ROWS)
def test_changed_row_of_the_ledger_is_named(copied: Path, kind: str) -> None:
    """B16: so the log of retrain events is one that is only ever added to."""
    _sql(copied, ROWS[kind])
    changed, place = _first(copied)
    assert (changed, place.split()[1].rstrip(",")) == ("changed", kind)


def test_rows_that_were_taken_away_or_slipped_in_are_named(copied: Path) -> None:
    """B16."""
    second = _runs(copied)[1].name
    _sql(copied, "UPDATE decisions SET run_id = 'x' WHERE run_id = ?", second)
    found = verify(copied)
    assert [(one.kind, one.place) for one in found.findings] == [
        ("missing", f"ledger: decisions, run {second}"), ("inserted", "ledger: decisions, run x")]


def test_row_slipped_in_under_a_run_that_ended_stays_named_after_the_next_run(copied: Path) -> None:
    first = _runs(copied)[0].name
    _sql(copied, "INSERT INTO decisions SELECT ?, model, tenant, as_of, recorded_at, needs_retrain, severity, "
                 "confidence, reasons, root_causes, allowed, guard FROM decisions LIMIT 1", first)
    assert _first(copied) == ("inserted", f"ledger: decisions, run {first}")
    _sql(copied, "UPDATE versions SET source = replace(source, '/home/', '/moved/')")
    assert _run(copied, "baseline", as_of="2024-04-20").error is None
    assert [one.place for one in verify(copied).findings] == [f"ledger: decisions, run {first}"]


def test_event_that_was_covered_anew_by_nobody_is_named_and_stays_so_after_the_next_run(copied: Path) -> None:
    _, second, third = (run.name for run in _runs(copied))
    _sql(copied, "UPDATE model_retrain_events SET notes = 'the board said so', promoted = 1 WHERE run_id = ?", second)
    _sql(copied, "INSERT INTO model_retrain_events SELECT NULL, ?, "
                 f"{', '.join(column.name for column in list(tables.retrain_events.c)[2:])} "
                 "FROM model_retrain_events WHERE run_id = ?", third, second)
    with closing(tt.open(copied).ledger) as ledger:
        for one in (second, third):
            sha256 = ledger.chain.present()["model_retrain_events", one].sha256
            _sql(copied, "INSERT INTO sealed_rows (model, tenant, kind, key, seq, sha256) SELECT model, tenant, "
                         "'model_retrain_events', ?, max(seq) + 1, ? FROM audit_chain", one, sha256)
    forged = {("changed", f"ledger: model_retrain_events, run {one}") for one in (second, third)}
    assert forged <= {(one.kind, one.place) for one in verify(copied).findings}
    _sql(copied, "UPDATE versions SET source = replace(source, '/home/', '/moved/')")
    assert _run(copied, "baseline", as_of="2024-04-20").error is None
    assert ("changed", f"ledger: model_retrain_events, run {second}") in {
        (one.kind, one.place) for one in verify(copied).findings}


def test_chain_that_was_shortened_is_named(copied: Path) -> None:
    third = _runs(copied)[2]
    _sql(copied, "DELETE FROM audit_chain WHERE seq = 3")
    assert _first(copied) == ("missing", "ledger: link 3 of the chain")
    _sql(copied, "DELETE FROM sealed_rows WHERE seq = 3")
    assert ("inserted", str(third)) in {(one.kind, one.place) for one in verify(copied).findings}


@pytest.mark.parametrize("change", ["manifest = 'a'", "previous = 'a'", "rows = 'a'", "run_id = 'a'", "seq = 9"])
def test_changed_link_is_named(copied: Path, change: str) -> None:
    _sql(copied, f"UPDATE audit_chain SET {change} WHERE seq = 2")
    assert _first(copied)[1] == "ledger: link 2 of the chain"


def test_link_that_was_made_anew_over_a_changed_manifest_contradicts_the_next_one(copied: Path) -> None:
    first = _runs(copied)[0] / "run.json"
    first.write_text(first.read_text().replace("succeeded", "failed"))
    chain = tt.open(copied).ledger.chain
    link = chain.links()[0]
    forged = type(link)(**vars(link) | {"manifest": _sha256(first)}).expected()
    _sql(copied, "UPDATE audit_chain SET manifest = ?, sha256 = ? WHERE seq = 1", _sha256(first), forged)
    assert _first(copied) == ("changed", "ledger: link 2 of the chain")


def test_alias_that_somebody_moved_and_changed_model_file_are_named(copied: Path) -> None:
    model = next((copied.parent / ".trimtab" / "models").rglob("model.skops"))
    content = model.read_bytes()
    model.write_bytes(b"another")
    assert _first(copied) == ("changed", str(model))
    model.write_bytes(content)
    with sqlite3.connect(copied.parent / ".trimtab" / "mlflow.db") as registry:
        registry.execute("UPDATE registered_model_aliases SET version = 2")
    registry.close()
    assert _first(copied) == ("differs", "the alias of demo")


def _intent(params: Path, run_id: str | None, *, to: int, moved: int) -> None:
    """An open rollback that somebody wrote into the ledger of `lived`, and where they moved the alias."""
    _sql(params, "INSERT INTO champion_changes (model, tenant, kind, from_version, to_version, run_id, state, by, why, "
                 "created_at, forced, quarantines) VALUES ('demo', '', 'rollback', 1, ?, ?, 'intent', 'Anna', 'it', "
                 "'2024-04-16 00:00:00.000000', 1, 1)", to, run_id)
    with sqlite3.connect(params.parent / ".trimtab" / "mlflow.db") as registry:
        registry.execute("UPDATE registered_model_aliases SET version = ?", (moved,))
    registry.close()


OPEN = ("ledger: champion_changes, id 4 is open, a rollback from version 1 to 2: it is under way, or the next run "
        "completes it or takes it back")


def test_change_that_was_begun_in_the_name_of_a_run_that_had_ended_is_named_and_stays_so(copied: Path) -> None:
    second = _runs(copied)[1].name
    _intent(copied, second, to=2, moved=2)
    found = verify(copied)
    told = [("inserted", "ledger: champion_changes, id 4", second)]
    assert ([(one.kind, one.place, one.run_id) for one in found.findings], found.notes) == (told, (OPEN,))
    _sql(copied, "UPDATE versions SET source = replace(source, '/home/', '/moved/')")
    assert _run(copied, "baseline", as_of="2024-04-20").error is None
    assert [(one.kind, one.place, one.run_id) for one in verify(copied).findings] == told


def test_change_that_was_begun_in_the_name_of_no_run_there_was_is_named(copied: Path) -> None:
    _intent(copied, "20240416T000000-rollback-abcdef", to=2, moved=1)
    assert _first(copied) == ("inserted", "ledger: champion_changes, id 4")


def test_change_that_a_session_left_open_is_noted(copied: Path) -> None:
    _intent(copied, "interactive-0123456789ab", to=2, moved=2)
    assert (verify(copied).findings, verify(copied).notes) == ((), (OPEN,))


def test_alias_that_an_open_change_does_not_explain_is_named(copied: Path) -> None:
    _intent(copied, "interactive-0123456789ab", to=2, moved=3)
    assert _first(copied) == ("differs", "the alias of demo")


@pytest.mark.parametrize(("name", "how"), [
    ("MLmodel", "changed"), ("requirements.txt", "missing"), ("conda.yaml", "changed"), ("model.pkl", "inserted"),
    ("code/__init__.py", "inserted"), ("python_env.yaml", "exchanged for a link"),
])
def test_any_file_of_a_model_that_is_not_as_it_was_registered_is_named(copied: Path, name: str, how: str) -> None:
    path = next((copied.parent / ".trimtab" / "models").rglob("MLmodel")).parent / name
    if how == "changed":
        path.write_text(f"{path.read_text()}# another\n")
    elif how == "inserted":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    elif how == "missing":
        path.unlink()
    else:
        path.symlink_to(path.rename(copied.parent / "elsewhere"))
    (found,) = verify(copied).findings
    assert (found.kind, found.place) == ("changed" if "link" in how else how, str(path))


def test_note_that_mlflow_leaves_where_serving_code_loaded_a_version_is_no_finding(copied: Path) -> None:
    folder = next((copied.parent / ".trimtab" / "models").rglob("MLmodel")).parent
    (folder / "registered_model_meta").write_text("model_name: demo\nmodel_version: '1'\n")
    assert verify(copied).holds


def test_version_of_an_older_release_is_verified_by_its_model_file_and_that_is_said(copied: Path) -> None:
    model = next((copied.parent / ".trimtab" / "models").rglob("model.skops"))
    _sql(copied, "UPDATE versions SET files = NULL WHERE version IN (1, 2)")
    (model.parent / "model.pkl").write_bytes(b"x")
    found = verify(copied)
    assert found.notes == ("of version 1, 2 only model.skops is covered: an older release registered it",)
    assert {one.place.partition(",")[0] for one in found.findings} == {"ledger: versions"}    # which was changed
    model.write_bytes(b"another")
    assert ("changed", str(model)) in [(one.kind, one.place) for one in verify(copied).findings]


def test_version_that_the_registry_has_elsewhere_is_named_and_not_rolled_back_to(copied: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(next((copied.parent / ".trimtab" / "models").rglob("MLmodel")).parent, other)
    (other / "model.skops").write_bytes(b"something else")
    with sqlite3.connect(copied.parent / ".trimtab" / "mlflow.db") as registry:
        registry.execute(
            "UPDATE model_versions SET source = ?, storage_location = ? WHERE version = 2", (str(other), str(other)))
    registry.close()
    (found,) = verify(copied).findings
    assert (found.kind, found.place) == ("differs", "version 2 in demo")
    _sql(copied, "UPDATE versions SET source = replace(source, '/home/', '/moved/')")
    back = _run(copied, "rollback", as_of="2024-04-20", extra={"to": 2, "by": "a person", "why": "a try"})
    assert (back.exit_code, back.result["champion_after"]) == (4, 1)
    assert "the model file is not the one that was registered" in str(back.error)


def test_version_that_somebody_released_from_quarantine_by_hand_is_named(copied: Path) -> None:
    _sql(copied, "INSERT INTO quarantine (model, tenant, version, since, run_id, by, why) "
                 "SELECT model, '', 2, settled_at, run_id, by, why FROM champion_changes WHERE id = 3")
    _sql(copied, "UPDATE quarantine SET released_at = '2024-04-16 00:00:00.000000', released_by = 'the boss', "
                 "released_why = ''")
    found = [one for one in verify(copied).findings if one.place == "ledger: quarantine, version 2"]
    assert [one.kind for one in found] == ["changed"]
    assert "the boss is said to have released it" in str(found[0].detail)


@pytest.mark.parametrize("change", ["released_by = 'Eve'", "released_why = 'it was fine'"])
def test_version_that_is_held_and_tells_who_released_it_is_named(copied: Path, change: str) -> None:
    _rehome(copied)
    extra = {"to": 2, "by": "a person", "why": "a try", "quarantine": True}
    assert _run(copied, "rollback", as_of="2024-04-20", extra=extra).error is None
    assert verify(copied).findings == ()
    _sql(copied, f"UPDATE quarantine SET {change}")
    assert _first(copied) == ("changed", "ledger: quarantine, version 1")


@pytest.mark.parametrize("change", ["by = 'Eve'", "why = 'fine'", "decided_in = 'r'", "decided_at = requested_at"])
def test_request_that_waits_and_tells_of_an_answer_is_named(copied: Path, change: str) -> None:
    second = _runs(copied)[1].name
    _sql(copied, "INSERT INTO approvals (run_id, model, tenant, kind, as_of, requested_at, expires_at, reasons, state) "
                 "SELECT run_id, model, tenant, 'retrain', as_of, started_at, started_at, '[]', 'pending' FROM runs "
                 "WHERE run_id = ?", second)
    _sql(copied, f"UPDATE approvals SET {change}")
    found = [one for one in verify(copied).findings if one.place == f"ledger: approvals, run {second}"]
    assert ("changed", "it waits for an answer, and has one") in [(one.kind, one.detail) for one in found]


@pytest.mark.parametrize("lifted", [True, False])
def test_quarantine_that_the_changes_of_the_champion_do_not_bear_out_is_named(copied: Path, lifted: bool) -> None:
    """Lifted in the words of an older change of that version, or put back after somebody forced it to serve."""
    _rehome(copied)
    told = {"by": "a person", "why": "a try"}
    for to, more in ((2, {"quarantine": True}), (1, {"force": True})):
        extra = {"to": to, **told, **more}
        assert _run(copied, "rollback", as_of="2024-04-20", extra=extra).error is None
        assert verify(copied).findings == ()
        if lifted:
            break
    first = "FROM champion_changes WHERE to_version = 1 ORDER BY id LIMIT 1"
    released = ", ".join(f"released_{name} = (SELECT {of} {first})" for name, of in (
        ("at", "settled_at"), ("by", "by"), ("why", "why")))
    _sql(copied, f"UPDATE quarantine SET {released if lifted else 'released_at = NULL'} WHERE version = 1")
    (found,) = verify(copied).findings
    assert (found.kind, found.place) == ("changed", "ledger: quarantine, version 1")


def test_folder_that_cannot_be_read_is_named(copied: Path) -> None:
    folder = _runs(copied)[0] / "beside"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        unreadable = PermissionError(13, "Permission denied")
        patch.setattr(Path, "iterdir", lambda path: _raise(unreadable) if path == folder else _iterdir(path))
        (found,) = verify(copied).findings
    assert (found.kind, found.place, found.detail) == ("inserted", str(folder), "it is a folder that cannot be read")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "iterdir", lambda path: _raise(unreadable) if path == folder.parents[1] else _iterdir(path))
        assert "it cannot be read: Permission denied" in [one.detail for one in verify(copied).findings]


_iterdir = Path.iterdir


def _raise(error: Exception) -> Any:
    raise error


def test_one_run_is_verified_by_its_id(copied: Path) -> None:
    first, second, _ = _runs(copied)
    (second / "report.html").write_text("nothing")
    assert verify(copied, first.name).holds
    assert not verify(copied, second.name).holds
    with pytest.raises(UsageError, match="is not in the chain of demo"):
        verify(copied, "20300101T000000-baseline-abcdef")
    for wrong in ("../../etc", "/etc/passwd", "", f"{first.name}\n", f"{first.name}/../x"):
        with pytest.raises(UsageError, match="is not the id of a run"):
            verify(copied, wrong)


def test_command_ends_with_4_and_names_the_first(copied: Path) -> None:
    ends = CliRunner().invoke(app, ["verify", "-p", str(copied)])
    assert (ends.exit_code, ends.stderr) == (0, "")
    page = _runs(copied)[0] / "report.html"
    page.write_text("nothing")
    ends = CliRunner().invoke(app, ["verify", "-p", str(copied)])
    assert (ends.exit_code, ends.stderr) == (4, f"trimtab: {page} was changed\n")
    told = json.loads(CliRunner().invoke(app, ["verify", "-p", str(copied), "--json"]).stdout)
    assert (told["holds"], told["findings"][0]["told"], len(told["head"])) == (False, f"{page} was changed", 64)


def test_home_that_cannot_be_written_is_verified_and_left_as_it_was(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)    # root may write whatever the mode says
    state = copied.parent / ".trimtab"
    before = {path: path.stat().st_mtime_ns for path in state.rglob("*")}
    assert verify(copied).holds
    assert {path: path.stat().st_mtime_ns for path in state.rglob("*")} == before


def test_runs_from_before_there_was_a_chain_are_said_to_be_outside_of_it(copied: Path) -> None:
    for table in ("audit_chain", "sealed_rows"):
        _sql(copied, f"DELETE FROM {table}")
    for folder in _runs(copied):
        kept = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(kept | {"chain": {}}))
    found = verify(copied)
    assert (found.holds, found.links, found.notes) == (
        True, 0, ("3 folders were made before the chain began and are not covered",))
    _sql(copied, "UPDATE versions SET source = replace(source, '/home/', '/moved/')")
    assert _run(copied, "baseline", as_of="2024-04-20").error is None
    found = verify(copied)
    assert (found.holds, found.links, found.notes) == (
        True, 1, ("3 folders were made before the chain began and are not covered",))
    _sql(copied, "UPDATE decisions SET severity = 'low'")    # rows of old runs are covered from now on
    assert _first(copied)[0] == "changed"


def test_dry_run_and_what_a_person_does_at_a_notebook_are_no_findings(project: Callable[..., Path]) -> None:
    params = project(merged(BINARY, **ALWAYS), binary_table(800))
    assert _run(params, "baseline", as_of="2024-03-01").error is None
    assert _run(params, "drift", as_of="2024-04-01", dry_run=True).error is None
    session = tt.open(params, as_of="2024-04-15")
    contest = tt.lifecycle.first_champion(session)
    tt.lifecycle.appoint(session, contest, tt.lifecycle.judge(session, contest))
    challenger = tt.lifecycle.train(session, None)
    contest = tt.lifecycle.evaluate_challenger(session, session.model(challenger.version))
    tt.lifecycle.appoint(session, contest, tt.lifecycle.judge(session, contest))
    session.registry.set_champion(1)
    between: Verified = verify(params)
    assert [one.kind for one in between.findings] == (["differs"] if session.ledger.succession.champion() == 2 else [])
    assert "1 folders are of dry runs and are not covered" in between.notes
    assert _run(params, "drift", as_of="2024-04-15").error is None
    assert verify(params).findings == ()


def test_chain_that_was_wiped_is_missed_by_what_the_runs_left(copied: Path) -> None:
    for table in ("audit_chain", "sealed_rows"):
        _sql(copied, f"DELETE FROM {table}")
    found = verify(copied)
    names = [path.name for path in _runs(copied)]
    assert [(one.kind, one.place, one.run_id) for one in found.findings] == [
        ("missing", f"ledger: link {i} of the chain", name) for i, name in enumerate(names, 1)]
    _sql(copied, "UPDATE versions SET source = replace(source, '/home/', '/moved/')")
    assert _run(copied, "baseline", as_of="2024-04-20").error is None
    assert [one.run_id for one in verify(copied).findings] == names


@pytest.mark.parametrize(("statement", "place"), [
    ("UPDATE runs SET started_at = 'garbage' WHERE run_id = ?", "ledger: runs, run {}"),
    ("UPDATE decisions SET reasons = 'not json' WHERE run_id = ?", "ledger: decisions, run {}"),
    ("UPDATE verdicts SET criteria = '{{' WHERE run_id = ?", "ledger: verdicts, run {}"),
    ("UPDATE champion_changes SET why = x'ff00fe' WHERE run_id = ?", "ledger: champion_changes, id 2"),
    ("UPDATE champion_changes SET created_at = 'rubbish' WHERE run_id = ?", "ledger: champion_changes, id 2"),
    ("UPDATE champion_changes SET settled_at = 'rubbish' WHERE run_id = ?", "ledger: champion_changes, id 2"),
    ("UPDATE versions SET lineage = 'not json' WHERE run_id = ?", "ledger: versions, version 2"),
    ("UPDATE versions SET files = '{{' WHERE run_id = ?", "ledger: versions, version 2"),
    ("UPDATE decisions SET needs_retrain = 2 WHERE run_id = ?", "ledger: decisions, run {}"),
    ("UPDATE decisions SET allowed = 'no' WHERE run_id = ?", "ledger: decisions, run {}"),
    ("UPDATE model_retrain_events SET promoted = 'x' WHERE run_id = ?", "ledger: model_retrain_events, run {}"),
    ("UPDATE model_retrain_events SET retrain_successful = 2 WHERE run_id = ?", "ledger: model_retrain_events, run {}"),
    ("UPDATE champion_changes SET quarantines = 'yes' WHERE run_id = ?", "ledger: champion_changes, id 2"),
    ("INSERT INTO leases (run_id, model, tenant, host, pid, acquired_at, expires_at) "
     "VALUES (?, 'demo', '', 'h', 1, 'x', 'x')", "ledger: the lease"),
    ("UPDATE audit_chain SET recorded_at = 'x' WHERE run_id = ?", "ledger: the chain"),
    ("UPDATE audit_chain SET seq = 'zzz' WHERE run_id = ?", "ledger: the chain"),
])
def test_what_no_column_of_its_type_holds_is_named_and_hides_nothing_else(
    copied: Path, statement: str, place: str
) -> None:
    second = _runs(copied)[1].name
    _sql(copied, "UPDATE champion_changes SET by = 'nobody' WHERE id = 1")
    _sql(copied, statement, second)
    found = [one.place for one in verify(copied).findings]
    assert place.format(second) in found
    assert place == "ledger: the chain" or "ledger: champion_changes, id 1" in found
    told = CliRunner().invoke(app, ["history", "-p", str(copied)])
    assert not isinstance(told.exception, (ValueError, TypeError))


@pytest.mark.parametrize("change", [{"chain": {"seq": 1}}, {"files": "abc"}, {"files": {"a\0b": "c"}}])
def test_manifest_that_no_run_writes_is_named_even_where_its_link_was_made_anew(
    copied: Path, change: dict[str, Any]
) -> None:
    path = _runs(copied)[0] / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    _sql(copied, "UPDATE audit_chain SET manifest = ? WHERE seq = 1", _sha256(path))
    found = verify(copied).findings
    assert ("changed", str(path)) in [(one.kind, one.place) for one in found]

"""Approval from end to end: a run asks, a person answers, and only what was asked is carried out."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, copy_home, merged
from typer.testing import CliRunner

import trimtab as tt
from trimtab.act import modelfile
from trimtab.act.approvals import Request
from trimtab.decide.decision import Decision
from trimtab.decide.signals import Signal
from trimtab.errors import ChampionError, ModelFileError, StepError, TrimtabError, UsageError
from trimtab.run import approving, checking, lifecycle, rollbacks, serving
from trimtab.run import preflight as pre
from trimtab.run.cli import app
from trimtab.run.runner import run
from trimtab.run.session import Session

WAIVABLE = merged(
    BINARY, promotion={"criteria": [{"metric": "roc_auc", "min_gain": 0.5, "otherwise": "approve"}]},
    guardrails={"cooldown": "0d", "approval": "critical"}, data={"id": "id"},
)
CRITICAL = Decision(True, "critical", 0.99, ("Inputs drifted.",), ())


@dataclass(frozen=True)
class Waiting:
    """A model whose second version waits for a person."""

    params: Path
    asked: Request

    def open(self, run_id: str = "answer") -> Session:
        return tt.open(self.params, as_of="2024-04-20", run_id=run_id)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return binary_table(shift=1.0)


@pytest.fixture(scope="module")
def asking(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> tuple[Path, Request]:
    """A home in which the second version waits for a person; tests copy it."""
    home = tmp_path_factory.mktemp("asking") / "home"
    shutil.copytree(fresh_home, home)
    table.to_parquet(home / "records.parquet")
    params = home / "demo.yaml"
    params.write_text(yaml.safe_dump(WAIVABLE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", str(home))
        first = tt.open(params, as_of="2024-03-01", run_id="first")
        contest = lifecycle.first_champion(first)
        lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
        first.close()
        later = tt.open(params, as_of="2024-04-15", run_id="later")
        contest = lifecycle.evaluate_challenger(later, later.model(lifecycle.train(later, None).version))
        verdict = lifecycle.judge(later, contest)
        assert verdict.outcome == "needs_approval"
        assert lifecycle.appoint(later, contest, verdict).change is None
        (asked,) = later.ledger.approvals.open()
        later.close()
    return home, asked


@pytest.fixture
def waiting(asking: tuple[Path, Request], home: Path) -> Waiting:
    prepared, asked = asking
    copy_home(prepared, home)
    return Waiting(home / "demo.yaml", asked)


def _answer(session: Session, asked: Request, said: Any = "approved") -> approving.Answered:
    return approving.answer(session, asked, approving.checks(session, asked), said, by="Ada", why="it is needed")


def test_a_challenger_that_misses_what_may_be_waived_waits_for_a_person(waiting: Waiting) -> None:
    asked = waiting.asked
    assert (asked.run_id, asked.kind, asked.champion, asked.challenger) == ("later", "promotion", 1, 2)
    session = waiting.open()
    assert session.registry.champion() == 1
    assert asked.sha256 == modelfile.digest(session.folder_of(2) / modelfile.FILE)
    verdict = approving.verdict_of(session, asked)
    assert verdict.outcome == "needs_approval"
    assert [row.finding for row in verdict.rows] == ["failed"]
    assert [gate.passed for gate in verdict.gates] == [True, True]


def test_an_approved_challenger_serves_and_the_history_says_who_let_it(waiting: Waiting) -> None:
    session = waiting.open()
    made = _answer(session, waiting.asked)
    assert session.registry.champion() == session.ledger.succession.champion() == made.champion_after == 2
    last = session.ledger.succession.changes()[-1]
    assert (last["kind"], last["by"], last["why"], last["run_id"]) == ("promotion", "Ada", "it is needed", "answer")
    assert made.reading == "Ada approved version 2, which serves now instead of version 1."
    event = next(e for e in session.ledger.retrains.retrain_events() if e["run_id"] == "later")
    assert event["promoted"]
    with pytest.raises(UsageError, match="approved by Ada already"):
        approving.request(session, "later")


def test_a_rejected_challenger_serves_nobody(waiting: Waiting) -> None:
    session = waiting.open()
    made = _answer(session, waiting.asked, "rejected")
    assert session.registry.champion() == 1
    assert made.change is None
    assert made.reading == "Ada declined to promote version 2; version 1 serves on."
    with pytest.raises(UsageError, match="rejected by Ada already"):
        approving.request(session, "later")


def test_a_challenger_is_not_approved_once_another_served_in_between(waiting: Waiting) -> None:
    """The same version serves again, and is not the champion without a break that was asked about."""
    session = waiting.open()
    third = lifecycle.train(waiting.open("third"), None).version
    for before, after in ((1, third), (third, 1)):
        session.registry.set_champion(after)
        session.ledger.succession.record_foreign_change(before, after)
    told = r"version 1 serves again, but version 3 did since this was asked"
    with pytest.raises(ChampionError, match=told):
        approving.refuse_stale(session, waiting.asked)
    with pytest.raises(ChampionError, match=f"cannot be approved: {told}"):
        _answer(session, waiting.asked)
    listed = CliRunner().invoke(app, ["approvals", "-p", str(waiting.params), "--all", "--json"])
    assert [one["state"] for one in json.loads(listed.stdout)["approvals"]] == ["stale"]
    assert _answer(session, waiting.asked, "rejected").champion_after == 1


def test_what_is_approved_as_of_an_earlier_day_is_new_from_the_day_it_was_asked_on(waiting: Waiting) -> None:
    """A watch looks at records since then, from which neither model has learned."""
    session = tt.open(waiting.params, as_of="2024-02-01", run_id="answer")
    _answer(session, waiting.asked)
    assert session.ledger.succession.changes()[-1]["as_of"] == waiting.asked.as_of == datetime(2024, 4, 15)


def test_history_says_what_waits_for_a_person(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    told = CliRunner().invoke(app, ["history", "-p", str(waiting.params)]).stdout
    assert "waits for approval" in told
    _answer(waiting.open(), waiting.asked, "rejected")
    told = CliRunner().invoke(app, ["history", "-p", str(waiting.params)]).stdout
    assert "waits for approval" not in told


def test_a_challenger_is_not_approved_once_another_champion_serves(waiting: Waiting) -> None:
    session = waiting.open()
    session.registry.set_champion(2)
    session.registry.set_champion(1)
    third = lifecycle.train(waiting.open("third"), None).version
    session.registry.set_champion(third)
    session.ledger.succession.record_foreign_change(1, third)
    with pytest.raises(ChampionError, match=r"version 3 serves now, and version 1 did when this was asked"):
        approving.refuse_stale(session, waiting.asked)
    with pytest.raises(ChampionError, match="cannot be approved: version 3 serves now"):
        _answer(session, waiting.asked)
    assert session.registry.champion() == third
    assert session.ledger.approvals.open() == [waiting.asked]    # it may still be declined
    assert _answer(session, waiting.asked, "rejected").champion_after == third


@pytest.mark.parametrize(("name", "told"), [
    ("MLmodel", "MLmodel of version 2 was changed"), ("model.pkl", "model.pkl of version 2 was inserted"),
])
def test_a_challenger_with_another_file_than_the_evaluated_ones_is_not_approved(
    waiting: Waiting, name: str, told: str
) -> None:
    session = waiting.open()
    with (session.folder_of(2) / name).open("a") as file:
        file.write("# another\n")
    with pytest.raises(ModelFileError, match=f"run later: {told} since it was evaluated"):
        approving.refuse_stale(session, waiting.asked)
    with pytest.raises(ChampionError, match=f"run later cannot be approved: {told}"):
        _answer(session, waiting.asked)
    assert session.registry.champion() == 1


@pytest.mark.parametrize("harm", ["altered", "gone", "exchanged"])
def test_a_challenger_whose_file_is_not_the_evaluated_one_is_not_approved(waiting: Waiting, harm: str) -> None:
    session = waiting.open()
    file = session.folder_of(2) / modelfile.FILE
    if harm == "altered":
        file.write_bytes(file.read_bytes() + b" ")
    elif harm == "gone":
        file.unlink()
    else:
        file.write_bytes((session.folder_of(1) / modelfile.FILE).read_bytes())
    with pytest.raises(ModelFileError, match="run later: the file of version 2"):
        approving.refuse_stale(session, waiting.asked)
    with pytest.raises(ChampionError, match="run later cannot be approved: the file of version 2"):
        _answer(session, waiting.asked)
    assert session.registry.champion() == 1


@pytest.mark.parametrize(("place", "told"), [
    ("/nonexistent/m", "the registry has version 2 at /nonexistent/m, where serving code finds no folder"),
    ("s3://evil/m", "store.registry: s3://evil/m cannot be fetched: "),
    ("models:/other/1", "store.registry: models:/other/1 cannot be fetched: "),
    ("relative/m", "version 2 is said to be at 'relative/m', which is no full path"),
    ("file:m", "version 2 is said to be at 'file:m', which is no full path"),
])
def test_a_challenger_that_serving_code_would_not_find_is_neither_approved_nor_rolled_back_to(
    waiting: Waiting, place: str, told: str
) -> None:
    with closing(sqlite3.connect(waiting.params.parent / ".trimtab" / "mlflow.db")) as registry, registry:
        registry.execute("UPDATE model_versions SET storage_location = ? WHERE version = 2", (place,))
    session = waiting.open()
    for attempt in (lambda: approving.refuse_stale(session, waiting.asked), lambda: _answer(session, waiting.asked),
                    lambda: rollbacks.search(session, 2).proof):
        with pytest.raises(TrimtabError, match=re.escape(told)) as refused:
            attempt()
        assert "\n" not in str(refused.value)
    assert session.registry.champion() == 1
    assert session.ledger.approvals.open() == [waiting.asked]


def test_what_changed_while_a_person_thought_about_it_is_not_approved(waiting: Waiting) -> None:
    session = waiting.open()
    seen = approving.checks(session, waiting.asked)
    assert all(check.passed for check in seen)
    file = session.folder_of(2) / modelfile.FILE
    content = file.read_bytes()
    file.write_bytes(content + b" ")
    with pytest.raises(ChampionError, match="the file of version 2 is not the one that was evaluated"):
        approving.answer(session, waiting.asked, seen, "approved", by="Ada", why="it was fine before lunch")
    assert session.registry.champion() == 1
    file.write_bytes(content)
    made = approving.answer(session, waiting.asked, seen, "approved", by="Ada", why="it is fine again")
    assert made.champion_after == 2


def test_a_hash_that_was_altered_with_the_file_does_not_help(waiting: Waiting) -> None:
    """Whoever exchanges the file and the version's hash has still the request to contend with."""
    session = waiting.open()
    file = session.folder_of(2) / modelfile.FILE
    file.write_bytes((session.folder_of(1) / modelfile.FILE).read_bytes())
    known = session.ledger.version(2)
    assert known is not None
    session.ledger.record_version(
        2, run_id="later", as_of=session.as_of, sha256=modelfile.digest(file), source=known["source"],
        lineage=known["lineage"],
    )
    assert [check.name for check in approving.checks(session, waiting.asked) if not check.passed] == [
        "same_file", "can_serve"]


@pytest.mark.parametrize(("rows", "change", "told"), [
    ("approvals", "expires_at = '2099-01-01 00:00:00.000000'", "the request of run later"),
    ("approvals", "reasons = '[]'", "the request of run later"),
    ("versions", "registered_at = '2024-01-01 00:00:00.000000'", "version 2"),
])
def test_what_the_ledger_says_since_otherwise_of_a_request_or_its_version_is_not_approved(
    waiting: Waiting, rows: str, change: str, told: str
) -> None:
    session = waiting.open()
    with session.ledger.engine.begin() as connection:
        for run_id in ("before", "later"):
            session.ledger.chain.append(connection, run_id, None)
    assert approving.checks(session, waiting.asked)[2].passed
    with closing(sqlite3.connect(waiting.params.parent / ".trimtab" / "ledger.db")) as ledger, ledger:
        assert ledger.execute(f"UPDATE {rows} SET {change} WHERE run_id = 'later'").rowcount == 1
    with pytest.raises(TrimtabError) as refused:
        _answer(session, waiting.asked)
    assert f"the ledger's row of {told}" in str(refused.value)
    assert session.registry.champion() == 1
    with pytest.raises(TrimtabError, match="was changed since; see trimtab verify"):
        approving.refuse_stale(session, waiting.asked)
    assert _answer(waiting.open(), waiting.asked, "rejected").champion_after == 1


def test_approval_runs_as_a_notebook_of_its_own(waiting: Waiting) -> None:
    extra = {"request": "later", "said": "approved", "by": "Ada", "why": "it is needed"}
    outcome = run(pre.Request("approval", waiting.params, as_of="2024-04-20", extra=extra, progress=False))
    assert (outcome.exit_code, outcome.result["champion_before"], outcome.result["champion_after"]) == (0, 1, 2)
    manifest = json.loads((Path(outcome.result["run_dir"]) / "run.json").read_text())
    (step,) = manifest["steps"]
    assert step["scraps"]["by"] == "Ada"
    assert step["scraps"]["request"] == "later"
    with pytest.raises(UsageError, match="was approved by Ada already"):
        run(pre.Request("approval", waiting.params, as_of="2024-04-20", extra=extra, progress=False))


@pytest.mark.parametrize(("said", "told", "tile"), [
    ("approve", "Ada approved version 2, which serves now instead of version 1; to go back: trimtab run rollback "
                "-p {} --to 1", "approved"),
    ("reject", "Ada declined to promote version 2; version 1 serves on.", "rejected"),
])
def test_an_answer_is_told_in_one_sentence_at_the_terminal_and_in_the_tile_of_its_report(
    waiting: Waiting, said: str, told: str, tile: str
) -> None:
    path = str(waiting.params)
    words = [said, "later", "--by", "Ada", "--why", "it is needed", "-p", path, "--as-of", "2024-04-20"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    first, *_, last = done.stdout.splitlines()
    assert first == told.format(path)
    page = Path(last.removeprefix("  report: ")).read_text()
    assert re.search(rf'<span>Answer</span><b><span class="\w+">{tile}</span></b>by Ada: [^<]+</div>', page)
    assert "Verdict" not in page


def test_critical_drift_asks_a_person_and_an_approval_lets_one_retraining_through(waiting: Waiting) -> None:
    session = waiting.open("critical")
    _answer(waiting.open(), waiting.asked, "rejected")
    guard = checking.guard(session, CRITICAL)
    assert guard.blocked_by == ("approval",)
    checking.record(session, [_signal()], CRITICAL, guard)
    (asked,) = session.ledger.approvals.open()
    assert (asked.run_id, asked.kind, asked.severity, asked.champion) == ("critical", "retrain", "critical", 1)
    with pytest.raises(UsageError, match="retraining is blocked by approval"):
        lifecycle.train(session, guard, trigger=CRITICAL)
    made = _answer(waiting.open("yes"), asked)
    assert made.reading.startswith("Ada allowed to retrain; the next run")
    again = waiting.open("again")
    allowed = checking.guard(again, CRITICAL)
    assert allowed.allowed
    assert allowed.checks[-1].evidence == "approved by Ada"
    lifecycle.train(again, allowed, trigger=CRITICAL)
    assert checking.guard(waiting.open("third"), CRITICAL).blocked_by == ("approval",)


def test_nothing_is_asked_where_something_else_refuses_too(waiting: Waiting) -> None:
    _answer(waiting.open(), waiting.asked, "rejected")
    session = tt.open(
        waiting.params, as_of="2024-04-20", run_id="off", overrides={"guardrails.master": False})
    guard = checking.guard(session, CRITICAL)
    assert guard.blocked_by == ("master", "approval")
    checking.record(session, [_signal()], CRITICAL, guard)
    assert session.ledger.approvals.open() == []


def test_a_version_that_cannot_predict_shuts_its_gate(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    def _refuse(*_: Any, **__: Any) -> None:
        raise StepError("version 2 loads but cannot predict: ValueError: no")

    monkeypatch.setattr(serving, "smoke", _refuse)
    session = waiting.open("later")
    contest = lifecycle.evaluate_challenger(session, session.model(2))
    verdict = lifecycle.judge(session, contest)
    assert verdict.outcome == "reject"
    assert verdict.reasons == ("Can serve: version 2 loads but cannot predict: ValueError: no.",)


def test_a_record_that_taught_and_judges_shuts_the_gate(
    project: Callable[..., Path], table: pd.DataFrame
) -> None:
    session = tt.open(project(WAIVABLE, table), as_of="2024-03-01", run_id="leaks")
    contest = lifecycle.first_champion(session)
    assert lifecycle.judge(session, contest).outcome == "promote"
    lineage = {**contest.challenger.lineage, "trained_until": "2024-02-28T00:00:00"}
    earlier = replace(contest.challenger, lineage=lineage)
    verdict = lifecycle.judge(session, replace(contest, challenger=earlier))
    assert verdict.outcome == "reject"
    assert [gate.name for gate in verdict.gates if not gate.passed] == ["no_leakage"]


@pytest.mark.parametrize("known", [True, False], ids=["with ids", "without"])
def test_a_record_that_comes_again_under_another_time_is_known_by_its_id(
    project: Callable[..., Path], table: pd.DataFrame, known: bool
) -> None:
    late, early = table["at"] >= "2024-02-20", table["at"] < "2024-02-01"
    again = table[early].head(60).assign(at=table[late]["at"].head(60).to_numpy())
    tree = merged(WAIVABLE, data={"id": "id" if known else None})
    session = tt.open(project(tree, pd.concat([table, again])), as_of="2024-03-01", run_id="again")
    contest = lifecycle.first_champion(session)
    verdict = lifecycle.judge(session, contest)
    (gate,) = (one for one in verdict.gates if one.name == "no_leakage")
    assert gate.passed is not known
    words = r"\d\d records of the holdout were trained on as well" if known else "cannot be told without data.id"
    assert re.search(words, gate.evidence)


def _signal() -> Signal:
    return Signal("feature_drift", 0.5, 0.25, 0.001, "critical", ("x",), "x drifted.")


def test_a_person_who_looks_where_nothing_waits_is_told_so(waiting: Waiting) -> None:
    session = waiting.open()
    _answer(session, waiting.asked, "rejected")
    nothing = approving.request(session)
    made = approving.answer(session, nothing, approving.checks(session, nothing), "approved", by="Ada", why="why not")
    assert made.reading == "Nothing waits for approval, so nothing was answered; version 1 serves on."
    assert made.change is None
    assert len(session.ledger.approvals.all()) == 1

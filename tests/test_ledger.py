"""The ledger: one active run per model, changes of the champion that exclude each other, and rows that say what was."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from trimtab.act import database, tables
from trimtab.act import lease as leases
from trimtab.act.lease import APART, LEASE
from trimtab.act.ledger import Ledger
from trimtab.act.rows import now
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Check, Guard
from trimtab.decide.promotion import Verdict
from trimtab.decide.signals import Signal
from trimtab.errors import BusyError, ChampionError, StateError

AS_OF = datetime(2024, 4, 1)

B15 = {
    "started_at", "finished_at", "reason_json", "train_records", "valid_records", "acc_old", "acc_new", "f1_old",
    "f1_new", "promoted", "artifact_path", "notes",
}
A08 = {
    "trigger_type", "severity", "drift_type", "reason", "metrics", "retrain_attempted", "retrain_successful",
    "new_version", "new_r2", "new_rmse", "new_accuracy", "previous_r2", "improvement_percent", "triggered_at",
    "completed_at",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    engine = database.connect(url)
    yield Ledger(engine, "demo")
    engine.dispose()


def test_text_that_a_database_would_not_take_is_kept_without_it(ledger: Ledger) -> None:
    """A library's error may hold NUL or half a character; PostgreSQL refuses the one, SQLite's driver the other."""
    ledger.start_run("r", pipeline="retrain", run_dir="/runs/r")
    ledger.finish_run("r", status="failed", as_of=datetime(2024, 1, 1), error="bad\0thing \ud800", result={"a": "b\0c"})
    (run,) = ledger.runs(1)
    assert (run["status"], run["error"], run["result"]) == ("failed", "bad\ufffdthing \ufffd", {"a": "b\0c"})


def _start(ledger: Ledger, run_id: str) -> None:
    ledger.start_run(run_id, pipeline="retrain", run_dir=f"/runs/{run_id}")


def _change(ledger: Ledger, expected: int | None, to: int, kind: str = "promotion") -> int:
    return ledger.succession.begin_change(
        kind, from_version=expected, to_version=to, run_id=None, as_of=None, by="me", why="test")


def _racing(url: str, work: str, count: int = 2) -> list[str]:
    """Run a piece of code in processes that wait for each other; returns what each printed."""
    code = (
        "import sys\nfrom trimtab.act import database\nfrom trimtab.act.ledger import Ledger\n"
        "from trimtab.errors import TrimtabError\n"
        f"ledger = Ledger(database.connect({url!r}), 'demo')\nme = sys.argv[1]\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        f"try:\n    print('won', {work})\nexcept TrimtabError as error:\n    print('lost', error)\n"
        "sys.stdout.flush()\nsys.stdin.readline()\n"    # the winner stays alive until both have tried
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"run-{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in range(count)
    ]
    said = []
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        assert racer.stdout is not None
        said.append(racer.stdout.readline().strip())
    for racer in racers:
        racer.communicate("end\n", timeout=30)
    return said


# -- the lease -------------------------------------------------------------------------------------------------------


def test_of_two_processes_that_take_the_lease_at_once_exactly_one_wins_and_the_other_is_told_who(
    url: str, ledger: Ledger
) -> None:
    said = _racing(url, "ledger.lease.acquire(me)")
    won = [line for line in said if line.startswith("won")]
    lost = [line for line in said if line.startswith("lost")]
    assert len(won) == len(lost) == 1
    winner = f"run-{said.index(won[0])}"
    assert f"run {winner} of demo is active (process " in lost[0]


def test_of_two_processes_that_take_a_dead_lease_over_exactly_one_wins(url: str, ledger: Ledger) -> None:
    ledger.lease.acquire("dead")
    _expire(ledger)
    said = _racing(url, "ledger.lease.acquire(me)")
    assert sorted(line.split()[0] for line in said) == ["lost", "won"]


def _expire(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(tables.leases.update().values(expires_at=now() - timedelta(seconds=1)))


def _of_another_clock(ledger: Ledger, ahead: timedelta) -> None:
    """As if the holder, elsewhere, had taken or renewed its lease just now by a clock that was ahead."""
    lease = tables.leases
    with ledger.engine.begin() as connection:
        until = leases._clock(connection) + LEASE + ahead
        connection.execute(lease.update().values(host="elsewhere", pid=1, expires_at=until))


def _ended_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_held_lease_refuses_and_says_by_whom(ledger: Ledger) -> None:
    assert ledger.lease.acquire("first") is None
    with pytest.raises(BusyError, match=rf"run first of demo is active \(process {os.getpid()} on "):
        ledger.lease.acquire("second")


def test_lease_of_a_process_that_is_gone_is_taken_over_and_its_run_and_event_are_closed(ledger: Ledger) -> None:
    ledger.lease.acquire("first")
    _start(ledger, "first")
    ledger.retrains.record_retrain("first", as_of=AS_OF, retrain_attempted=True)
    with ledger.engine.begin() as connection:
        connection.execute(tables.leases.update().values(pid=_ended_process()))
    assert ledger.lease.acquire("second") == "first"
    (run,) = ledger.runs()
    assert (run["status"], run["error"]) == ("interrupted", "its process died")
    assert run["finished_at"] is not None
    (event,) = ledger.retrains.retrain_events()
    assert event["finished_at"] is not None
    assert event["notes"] == "its process died"
    with pytest.raises(BusyError, match="run second"):
        ledger.lease.acquire("third")


def test_expired_lease_is_taken_over_even_of_a_living_process_or_another_host(ledger: Ledger) -> None:
    ledger.lease.acquire("first")
    with ledger.engine.begin() as connection:
        connection.execute(tables.leases.update().values(host="elsewhere", pid=1))
    with pytest.raises(BusyError, match="on elsewhere"):
        ledger.lease.acquire("second")
    _expire(ledger)
    assert ledger.lease.acquire("second") == "first"


@pytest.mark.parametrize("ahead", [timedelta(hours=5), APART + timedelta(minutes=1)])
def test_lease_that_lasts_longer_than_any_can_is_of_a_clock_that_went_back_and_is_taken_over(
    ledger: Ledger, ahead: timedelta
) -> None:
    ledger.lease.acquire("first")
    _start(ledger, "first")
    _of_another_clock(ledger, ahead)
    assert ledger.lease.active() is None
    assert ledger.lease.acquire("second") == "first"
    assert [(run["run_id"], run["status"]) for run in ledger.runs()] == [("first", "interrupted")]
    assert not ledger.lease.renew("first")
    with pytest.raises(BusyError, match="run second"):
        ledger.lease.acquire("third")


def test_lease_of_a_machine_whose_clock_is_a_little_ahead_is_respected(ledger: Ledger) -> None:
    ledger.lease.acquire("first")
    _of_another_clock(ledger, APART - timedelta(minutes=1))
    with pytest.raises(BusyError, match="on elsewhere"):
        ledger.lease.acquire("second")


def test_holder_that_lives_renews_its_lease_by_the_clock_that_went_back(ledger: Ledger) -> None:
    ledger.lease.acquire("first")
    _of_another_clock(ledger, timedelta(hours=5))
    assert ledger.lease.renew("first")
    with pytest.raises(BusyError, match="run first"):
        ledger.lease.acquire("second")


def test_renewing_moves_the_end_and_says_when_the_lease_was_lost(ledger: Ledger) -> None:
    ledger.lease.acquire("first")
    _expire(ledger)
    assert ledger.lease.renew("first")
    with pytest.raises(BusyError):
        ledger.lease.acquire("second")
    _expire(ledger)
    ledger.lease.acquire("second")
    assert not ledger.lease.renew("first")
    ledger.lease.release("first")    # what one no longer holds cannot be given back
    with pytest.raises(BusyError, match="run second"):
        ledger.lease.acquire("third")


def test_released_lease_is_free_and_models_and_tenants_have_their_own(ledger: Ledger) -> None:
    ledger.lease.acquire("first")
    for other in (Ledger(ledger.engine, "other"), Ledger(ledger.engine, "demo", "acme")):
        assert other.lease.acquire(f"of {other}") is None
    ledger.lease.release("first")
    assert ledger.lease.acquire("second") is None
    assert timedelta(seconds=30) <= LEASE


# -- rows ------------------------------------------------------------------------------------------------------------


def test_run_is_recorded_from_start_to_finish(ledger: Ledger) -> None:
    _start(ledger, "a")
    assert ledger.runs()[0]["status"] == "running"
    ledger.finish_run("a", status="failed", as_of=AS_OF, error="broken", result={"metrics": {"auc": math.nan}})
    (run,) = ledger.runs()
    assert (run["status"], run["as_of"], run["error"]) == ("failed", AS_OF, "broken")
    assert run["result"] == {"metrics": {"auc": None}}
    assert Ledger(ledger.engine, "demo", "acme").runs() == []


def _check(name: str = "psi") -> tuple[list[Signal], Decision, Guard]:
    signal = Signal(name, math.nan, 0.25, None, "high", ("x",), "x moved")
    return [signal], Decision(True, "high", 0.9, ("x moved",), ("x",)), Guard((Check("enabled", True, "on"),))


def test_check_is_read_back_as_it_was_and_a_repeated_step_replaces_it(ledger: Ledger) -> None:
    for name in ("old", "new"):
        ledger.record_check("a", AS_OF, *_check(name))
    (row,) = ledger.signals()
    assert (row["name"], row["value"], row["columns"]) == ("new", None, ["x"])
    assert ledger.decision("a") == ledger.decision() == _check()[1]
    assert ledger.decision("b") is None
    assert Ledger(ledger.engine, "other").decision() is None


def test_verdict_of_a_repeated_step_replaces_the_first(ledger: Ledger) -> None:
    for outcome in ("hold", "reject"):
        ledger.record_verdict("a", AS_OF, Verdict(outcome, ("why",), ()), champion=1, challenger=2)
    with ledger.engine.connect() as connection:
        (row,) = connection.execute(sa.select(tables.verdicts)).mappings()
    assert (row["outcome"], row["champion"], row["challenger"], row["reasons"]) == ("reject", 1, 2, ["why"])


def test_retrain_events_have_every_column_of_the_older_systems_and_are_indexed(ledger: Ledger) -> None:
    inspector = sa.inspect(ledger.engine)
    names = {column["name"] for column in inspector.get_columns("model_retrain_events")}
    assert names >= B15 | A08
    indexed = [index["column_names"] for index in inspector.get_indexes("model_retrain_events")]
    assert ["trigger_type", "triggered_at"] in indexed


def test_retrain_event_is_begun_completed_and_answers_the_usual_queries(ledger: Ledger) -> None:
    ledger.retrains.record_retrain("a", as_of=AS_OF, retrain_attempted=True, trigger_type="drift", train_records=800)
    (begun,) = ledger.retrains.retrain_events()
    assert (begun["finished_at"], begun["promoted"]) == (None, False)
    ledger.retrains.record_retrain(
        "a", promoted=True, retrain_successful=True, acc_old=0.7, acc_new=0.8, improvement_percent=math.nan,
        metrics={"champion": {"auc": math.nan}}, finished_at=now(), completed_at=now(), notes="all criteria hold",
    )
    ledger.retrains.close_retrain("a", "too late: it has ended")
    (event,) = ledger.retrains.retrain_events()
    assert (event["train_records"], event["acc_new"], event["improvement_percent"]) == (800, 0.8, None)
    assert event["metrics"] == {"champion": {"auc": None}}
    assert event["notes"] == "all criteria hold"
    query = sa.text(
        "SELECT trigger_type, COUNT(*) AS n, SUM(CASE WHEN retrain_successful THEN 1 ELSE 0 END) AS good, "
        "AVG(acc_new - acc_old) AS gain FROM model_retrain_events GROUP BY trigger_type"
    )
    with ledger.engine.connect() as connection:
        (row,) = connection.execute(query).mappings()
    assert (row["trigger_type"], row["n"], row["good"]) == ("drift", 1, 1)
    assert row["gain"] == pytest.approx(0.1)


def test_attempts_to_retrain_are_all_but_this_runs_in_the_order_of_the_times_they_stood_at(ledger: Ledger) -> None:
    may, july = datetime(2024, 5, 1), datetime(2024, 7, 1)
    assert ledger.retrains.retrained("me") == []
    for run_id, day in (("july", july), ("may", may)):    # a replay goes back
        ledger.retrains.record_retrain(run_id, as_of=day, retrain_attempted=True)
    ledger.retrains.record_retrain("baseline", as_of=datetime(2024, 7, 3), retrain_attempted=False)
    assert ledger.retrains.retrained("me") == [may, july]
    assert ledger.retrains.retrained("july") == [may]


def test_versions_baselines_and_profiles_are_read_back(ledger: Ledger) -> None:
    for version, run_id in ((1, "a"), (2, "b")):
        ledger.record_version(version, run_id=run_id, as_of=AS_OF, sha256="0" * 64, source="/m", lineage={"class": "C"})
    ledger.record_baseline(1, {"rows": 5, "value": math.inf})
    known = ledger.version(1)
    assert known is not None
    assert known["baseline"] == {"rows": 5, "value": None}
    assert ledger.version(3) is None
    assert [row["version"] for row in ledger.versions()] == [1, 2]
    assert (ledger.version_of_run("a"), ledger.version_of_run(None), ledger.version_of_run("c")) == (1, 2, None)
    ledger.save_profile("key", "reference", {"rows": 1})
    ledger.save_profile("key", "reference", {"rows": 2})
    assert ledger.profile("key") == {"rows": 2}
    assert ledger.profile("other") is None


# -- changes ---------------------------------------------------------------------------------------------------------


def test_champion_is_what_the_last_completed_change_says(ledger: Ledger) -> None:
    assert ledger.succession.champion() is None
    first = _change(ledger, None, 1)
    assert ledger.succession.champion() is None
    ledger.succession.settle_change(first, "done")
    ledger.succession.settle_change(first, "undone")    # what is settled stays settled
    assert ledger.succession.champion() == 1
    ledger.succession.settle_change(_change(ledger, 1, 2), "undone")
    assert ledger.succession.champion() == 1
    ledger.succession.record_foreign_change(1, None)
    assert ledger.succession.champion() is None
    assert [s.version for s in ledger.succession.served()] == [1]
    assert [c["kind"] for c in ledger.succession.changes()] == ["promotion", "promotion", "foreign"]
    assert Ledger(ledger.engine, "demo", "acme").succession.champion() is None


def test_change_from_another_version_than_the_champion_is_refused_and_leaves_no_trace(ledger: Ledger) -> None:
    ledger.succession.settle_change(_change(ledger, None, 1), "done")
    with pytest.raises(ChampionError, match="the champion is version 1, not 7 as expected"):
        _change(ledger, 7, 8)
    assert ledger.succession.open_changes() == []
    assert len(ledger.succession.changes()) == 1


def test_second_change_is_refused_while_one_is_under_way(ledger: Ledger) -> None:
    _change(ledger, None, 1)
    with pytest.raises(ChampionError, match="under way"):
        _change(ledger, None, 2)
    other = Ledger(ledger.engine, "demo", "acme")
    assert _change(other, None, 1)


def test_of_two_processes_that_begin_a_change_at_once_exactly_one_may(url: str, ledger: Ledger) -> None:
    told = "from_version=None, to_version=1, run_id=me, as_of=None, by=me, why=''"
    said = _racing(url, f"ledger.succession.begin_change('promotion', {told})")
    assert sorted(line.split()[0] for line in said) == ["lost", "won"]
    assert len(ledger.succession.open_changes()) == 1


# -- the database ----------------------------------------------------------------------------------------------------


def test_dry_copy_has_all_rows_and_passes_nothing_back(url: str, ledger: Ledger, tmp_path: Path) -> None:
    ledger.succession.settle_change(_change(ledger, None, 1), "done")
    ledger.record_check("a", AS_OF, *_check())
    twin = Ledger(database.copy(url, tmp_path / "twin.db"), "demo")
    assert twin.succession.champion() == 1
    assert json.dumps(twin.signals(), default=str) == json.dumps(ledger.signals(), default=str)
    twin.succession.settle_change(_change(twin, 1, 2), "done")
    assert (twin.succession.champion(), ledger.succession.champion()) == (2, 1)
    again = Ledger(database.copy(url, tmp_path / "twin.db"), "demo")
    assert again.succession.champion() == 2    # a later step of the same dry run goes on where the first left off


def test_dry_copy_of_a_ledger_that_is_not_there_does_not_make_it(tmp_path: Path) -> None:
    twin = Ledger(database.copy(f"sqlite:///{tmp_path}/none.db", tmp_path / "twin.db"), "demo")
    assert twin.succession.champion() is None
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense", "postgresql+unknown://h/db"])
def test_ledger_that_cannot_be_opened_is_one_sentence(url: str) -> None:
    with pytest.raises(StateError, match=r"store\.ledger: cannot be opened"):
        database.connect(url)


def test_damaged_ledger_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StateError, match=r"store\.ledger"):
        database.connect(f"sqlite:///{tmp_path}/ledger.db")


def test_read_only_ledger_says_that_it_cannot_be_written(url: str, ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        words = "PRAGMA query_only = ON" if sqlite else "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
        connection.execute(sa.text(words))
        connection.commit()
    with pytest.raises(StateError, match=r"store\.ledger: cannot be written"):
        _start(ledger, "a")


def test_schema_is_the_same_statement_by_statement_on_postgresql() -> None:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateIndex, CreateTable

    dialect = postgresql.dialect()    # type: ignore[no-untyped-call]
    for table in tables.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
    (once,) = [i for i in tables.changes.indexes if i.name == "one_open_change"]
    assert "WHERE state = 'intent'" in str(CreateIndex(once).compile(dialect=dialect))
    assert "BIGSERIAL" in str(CreateTable(tables.changes).compile(dialect=dialect))


def test_process_of_another_space_of_numbers_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container with the host's own name, in which the holder's number is nobody's."""
    ledger = Ledger(database.connect(f"sqlite:///{tmp_path}/ledger.db"), "demo")
    here = leases._here()
    monkeypatch.setattr(os, "getpid", lambda: 4_000_000)
    ledger.lease.acquire("first")
    monkeypatch.setattr(leases, "_here", lambda: f"{here}0")
    with pytest.raises(BusyError, match=rf"process 4000000 on {socket.gethostname()}, since"):
        ledger.lease.acquire("second")
    assert ledger.lease.active() == "first"
    monkeypatch.setattr(leases, "_here", lambda: here)
    assert ledger.lease.acquire("second") == "first", "here it is known to be gone"


def test_clocks_of_machines_do_not_matter_where_the_database_has_one(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database.connect(postgres)
    ledger = Ledger(engine, "demo")
    ledger.lease.acquire("first")
    monkeypatch.setattr(leases, "now", lambda: datetime(2099, 1, 1))
    monkeypatch.setattr(leases, "_here", lambda: "another machine")
    with pytest.raises(BusyError):
        ledger.lease.acquire("second")
    engine.dispose()

"""History filled in afterwards: every day once, each version its own days, nothing from the future, resumable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, merged
from typer.testing import CliRunner

import trimtab as tt
from trimtab.act.daybook import DayBook
from trimtab.errors import BusyError, Interrupted, StepError, UsageError
from trimtab.run import backfill as filling
from trimtab.run import history, lifecycle
from trimtab.run.backfill import Service, services
from trimtab.run.cli import app
from trimtab.run.preflight import Request
from trimtab.run.session import Session

MADE = (datetime(2024, 2, 1), datetime(2024, 3, 15))


@pytest.fixture(scope="module")
def lived(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a second version took over from the first, and no day was ever looked at."""
    home = tmp_path_factory.mktemp("lived") / "home"
    shutil.copytree(fresh_home, home)
    binary_table(3000).to_parquet(home / "records.parquet")
    (home / "demo.yaml").write_text(yaml.safe_dump(merged(BINARY, as_of="2024-04-10", data={"label_delay": "3d"})))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", str(home))
        for number, as_of in enumerate(MADE):
            session = tt.open(home / "demo.yaml", as_of=as_of, run_id=f"made-{number}")
            model = lifecycle.train(session, None).version
            contest = lifecycle.evaluate_challenger(session, session.model(model))
            lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
            session.close()
    return home


@pytest.fixture
def params(lived: Path, home: Path) -> Path:
    """The params file in a copy of that home."""
    shutil.copytree(lived, home, dirs_exist_ok=True)
    return home / "demo.yaml"


def asked(params: Path, as_of: str | None = None) -> Request:
    return Request(pipeline="backfill", params=params, as_of=as_of, progress=False)


def days_of(params: Path, version: int) -> dict[date, tuple[int, int]]:
    with tt.open(params).ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT day, rows, labelled FROM performance_snapshots WHERE version = ? ORDER BY day", (version,)).all()
    return {date.fromisoformat(day): (rows, labelled) for day, rows, labelled in rows}


def until(session: Session, version: int) -> date:
    return date.fromisoformat(session.model(version).lineage["holdout_until"][:10])


def test_each_version_has_a_snapshot_of_each_day_that_it_served(params: Path) -> None:
    session, found = filling.run(asked(params))
    served = {version: [day for day in days_of(params, version) if day > until(session, version)] for version in (1, 2)}
    first = until(session, 1) + timedelta(days=1)
    assert served[1] == [first + timedelta(days=i) for i in range((MADE[1].date() - first).days)]
    first = until(session, 2) + timedelta(days=1)
    assert served[2] == [first + timedelta(days=i) for i in range((date(2024, 4, 10) - first).days)]
    assert set(found.scored) == {1, 2}
    assert min(found.scored.values()) >= 25


def test_counts_by_day_are_those_of_counting_at_once(params: Path) -> None:
    _, found = filling.run(asked(params))
    assert found.counted == 100    # 1 January to 9 April
    fresh = tt.open(params)
    kept = DayBook(fresh.ledger.engine, "demo", None).counted(
        fresh.profiles.key(fresh.bins), fresh.bins, date(2024, 1, 1), date(2024, 4, 9))
    whole = fresh.records.between("all", datetime(2024, 1, 1), datetime(2024, 4, 10))
    assert kept.total().columns == fresh.records.profile(whole, fresh.watched, fresh.bins).columns


def test_outcomes_that_could_not_be_known_are_not(params: Path) -> None:
    filling.run(asked(params, "2024-03-25"))
    days = days_of(params, 2)
    assert max(days) == date(2024, 3, 24)
    assert [day.day for day, (_, labelled) in days.items() if labelled == 0] == [22, 23, 24]    # three days' delay
    filling.run(asked(params))
    assert days_of(params, 2)[date(2024, 3, 24)][1] > 0


def test_a_second_backfill_finds_nothing_to_do(params: Path) -> None:
    filling.run(asked(params))
    _, again = filling.run(asked(params))
    assert set(again.scored.values()) == {0}


def test_what_was_interrupted_goes_on_where_it_stopped(params: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, kept = DayBook.keep_snapshots, []

    def keep(self: DayBook, version: int, taken: Any) -> None:
        if len(kept) == 7:
            raise KeyboardInterrupt
        kept.append((version, taken[0].day))
        original(self, version, taken)

    monkeypatch.setattr(DayBook, "keep_snapshots", keep)
    with pytest.raises(Interrupted):
        filling.run(asked(params))
    monkeypatch.undo()
    monkeypatch.setenv("TRIMTAB_HOME", str(params.parent))
    _, rest = filling.run(asked(params))
    total = sum(rest.scored.values()) + len(kept)
    session = tt.open(params)
    assert total == sum(day >= until(session, version) for version in (1, 2) for day in days_of(params, version))


def test_a_backfill_is_a_run_like_others_and_gives_its_lease_back(params: Path) -> None:
    session = tt.open(params)
    session.ledger.lease.acquire("another")
    with pytest.raises(BusyError, match="run another of demo is active"):
        filling.run(asked(params))
    session.ledger.lease.release("another")
    filling.run(asked(params))
    assert session.ledger.lease.acquire("next") is None
    session.ledger.lease.release("next")


def test_what_goes_wrong_inside_is_one_sentence(params: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("by nothing\nat all")

    monkeypatch.setattr(history, "take", broken)
    with pytest.raises(StepError, match=r"could not go on: ZeroDivisionError: by nothing$"):
        filling.run(asked(params))


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [("2024-03-01", "2024-02-01", "there is no record to be seen"), ("2025-01-01", None, "no record to be seen"),
     ("soon", None, "--from, --to: 'soon'")],
)
def test_a_history_that_is_none_is_refused(params: Path, start: str, end: str | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        filling.run(asked(params), start=start, end=end)


def test_without_a_champion_there_is_nothing_to_fill_in(project: Callable[..., Path]) -> None:
    path = project(BINARY, binary_table(300))
    with pytest.raises(UsageError, match="has no champion yet"):
        filling.run(asked(path))


def test_the_command_fills_a_part_and_says_so_in_json(params: Path) -> None:
    words = ["backfill", "-p", str(params)]
    done = CliRunner().invoke(app, [*words, "--from", "2024-03-20", "--to", "2024-03-25", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["status"], told["pipeline"], told["counted"], told["scored"]) == ("succeeded", "backfill", 5, {"2": 5})
    spoken = CliRunner().invoke(app, [*words, "--from", "2024-03-20"])
    assert "version 2: 16 snapshots taken" in spoken.stdout
    refused = CliRunner().invoke(app, [*words, "--from", "2025-01-01", "--json"])
    assert isinstance(refused.exception, UsageError)
    assert json.loads(refused.stdout)["status"] == "failed"


def test_the_champions_windows_are_estimated_and_held_against_what_came(params: Path) -> None:
    """From mid-March on there is one whole window of twenty days, in which it served."""
    session, found = filling.run(asked(params))
    past = session.ledger.days.foretold(2, datetime(2024, 4, 10))
    assert found.estimated == 1
    assert {(one.start, one.end) for one in past} == {(datetime(2024, 3, 21), datetime(2024, 4, 10))}
    auc = next(one for one in past if one.metric == "roc_auc")
    assert auc.realised is not None
    assert abs(auc.error) < 0.1
    assert filling.run(asked(params))[1].estimated == 0
    with session.ledger.engine.connect() as connection:
        marked = connection.exec_driver_sql(
            "SELECT day, p_value, performance_delta FROM performance_snapshots WHERE is_degraded IS NOT NULL").all()
    assert [row[0] for row in marked] == ["2024-04-09"]
    assert 0 <= marked[0][1] <= 1
    assert abs(marked[0][2] - auc.change / auc.baseline) < 1e-9


def test_versions_that_come_back_are_filled_for_each_of_their_times() -> None:
    times = [datetime(2024, month, 1) for month in range(1, 7)]
    changes = [
        {"state": "done", "to_version": 1, "as_of": times[1], "created_at": times[5]},
        {"state": "undone", "to_version": 9, "as_of": times[1], "created_at": times[5]},
        {"state": "done", "to_version": 2, "as_of": times[2], "created_at": times[5]},
        {"state": "done", "to_version": 1, "as_of": times[3], "created_at": times[5]},
        {"state": "done", "to_version": None, "as_of": None, "created_at": times[4]},
    ]
    made = {1: times[0], 2: None}
    assert services(changes, times[5], made) == [
        Service(1, times[0], times[2]), Service(2, times[2], times[3]), Service(1, times[3], times[4])]
    assert services(changes, datetime(2024, 2, 15), made) == [Service(1, times[0], datetime(2024, 2, 15))]
    assert services([], times[0], {}) == []


def test_a_table_without_time_between_has_gaps_that_stay_gaps(project: Callable[..., Path]) -> None:
    table = binary_table(3000)
    table = table[(table["at"] < "2024-03-10") | (table["at"] >= pd.Timestamp("2024-03-20"))]
    path = project(merged(BINARY, as_of="2024-04-10"), table)
    session = tt.open(path, as_of="2024-02-20", run_id="made")
    contest = lifecycle.first_champion(session)
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    _, found = filling.run(asked(path))
    assert found.counted == 90
    assert not [day for day in days_of(path, 1) if date(2024, 3, 10) <= day < date(2024, 3, 20)]

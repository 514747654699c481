"""Estimates are kept and held against what came: by metric, by window, as far as it could be known."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.act import database
from trimtab.act.daybook import DayBook
from trimtab.measure.models.intervals import Interval
from trimtab.measure.unlabelled.track_record import Foretold, track_record
from trimtab.run import foretold, lifecycle
from trimtab.run.expected import Expected
from trimtab.run.foretold import Foretelling

START = datetime(2024, 3, 1)
CAME = Interval(0.70, 0.68, 0.72, 0.95, 0.01)
ONE = Foretold("accuracy", START, START + timedelta(days=10), 0.72, 0.71, 0.75, 0.80, CAME, 500, 480)


def later(days: int, **changes: object) -> Foretold:
    return replace(ONE, start=ONE.start + timedelta(days=days), end=ONE.end + timedelta(days=days), **changes)  # type: ignore[arg-type]


def test_mean_errors_are_over_windows_of_which_both_sides_are_known() -> None:
    nan = math.nan
    other = later(10, value=0.66, low=0.60, high=0.71, doubtful=True)
    past = [ONE, other, later(20, realised=None), later(30, value=nan, low=nan)]
    found = track_record(past)["accuracy"]
    assert (found.windows, found.apart, found.doubtful) == (2, 2, 1)
    assert found.error == pytest.approx(0.03)
    assert found.unchanged == pytest.approx(0.10)
    assert (found.nearer, found.inside) == (1.0, 0.5)


def test_windows_that_overlap_are_counted_apart_once() -> None:
    assert track_record([later(days) for days in range(25)])["accuracy"].apart == 3
    assert track_record([ONE, ONE])["accuracy"].apart == 1


def test_an_estimate_that_says_what_the_holdout_said_is_as_near() -> None:
    assert track_record([replace(ONE, value=0.80)])["accuracy"].nearer == 1.0


def test_without_a_range_nothing_is_within_and_without_outcomes_there_is_no_record() -> None:
    assert math.isnan(track_record([replace(ONE, low=math.nan)])["accuracy"].inside)
    found = track_record([replace(ONE, realised=None)])["accuracy"]
    assert found.windows == 0
    assert math.isnan(found.error)
    assert track_record([]) == {}


def test_metrics_have_records_of_their_own() -> None:
    found = track_record([ONE, replace(ONE, metric="log_loss", value=0.7)])
    assert {name: one.error for name, one in found.items()} == {"accuracy": pytest.approx(0.02), "log_loss": 0.0}


@pytest.fixture
def book(tmp_path: Path) -> DayBook:
    return DayBook(database.connect(f"sqlite:///{tmp_path}/ledger.db"), "m", None)


def test_estimates_come_back_as_they_were_kept(book: DayBook) -> None:
    book.keep_foretold(1, datetime(2024, 4, 1), [later(5), ONE, replace(ONE, metric="f1", realised=None)])
    assert book.foretold(1, datetime(2024, 4, 1)) == [ONE, replace(ONE, metric="f1", realised=None), later(5)]
    book.keep_foretold(1, datetime(2024, 4, 2), [replace(ONE, value=0.5)])
    assert [one.value for one in book.foretold(1, datetime(2024, 4, 2))] == [0.5, 0.72, 0.72]
    assert book.foretold(2, datetime(2024, 4, 2)) == []
    assert DayBook(book.engine, "m", "tenant").foretold(1, datetime(2024, 4, 2)) == []


def test_a_replay_does_not_see_what_became_known_later(book: DayBook) -> None:
    book.keep_foretold(1, datetime(2024, 4, 1), [ONE])
    assert book.foretold(1, datetime(2024, 3, 20)) == [replace(ONE, realised=None, labelled=0)]
    assert book.foretold(1, datetime(2024, 3, 10)) == []


@pytest.fixture(scope="module")
def lived(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a champion whose outcomes are known after thirty days."""
    home = tmp_path_factory.mktemp("lived") / "home"
    shutil.copytree(fresh_home, home)
    binary_table(3000).to_parquet(home / "records.parquet")
    tree = merged(BINARY, data={"label_delay": "30d"}, windows={"current": {"last": "14d"}})
    (home / "demo.yaml").write_text(yaml.safe_dump(tree))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", str(home))
        session = tt.open(home / "demo.yaml", as_of="2024-03-01", run_id="made")
        contest = lifecycle.first_champion(session)
        lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    return home


@pytest.fixture
def params(lived: Path, home: Path) -> Path:
    shutil.copytree(lived, home, dirs_exist_ok=True)
    return home / "demo.yaml"


def check(params: Path, as_of: str) -> Foretelling:
    session = tt.open(params, as_of=as_of, run_id=f"at-{as_of}")
    window = session.windows()[1]
    scored = tt.checking.score(session, window)
    return tt.checking.foretold(session, window, scored, tt.checking.expected(session, scored))


def test_each_check_keeps_its_estimate_and_a_later_one_holds_it_against_what_came(params: Path) -> None:
    first = check(params, "2024-03-15")
    assert {one.labelled for one in first.past} == {0}
    assert first.records["roc_auc"].windows == 0
    check(params, "2024-03-20")
    told = check(params, "2024-04-18")
    auc = [one for one in told.past if one.metric == "roc_auc"]
    assert [one.end.day for one in auc] == [15, 20, 18]
    assert [one.realised is not None for one in auc] == [True, False, False]    # one window at a time
    assert told.records["roc_auc"].error < 0.1
    again = check(params, "2024-04-19")
    assert again.records["roc_auc"].windows == 2
    assert auc[0].rows == auc[0].labelled > 0
    assert {one.realised for one in check(params, "2024-03-25").past} == {None}    # a replay of an earlier time


def test_a_window_with_few_more_outcomes_is_not_scored_again(params: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(params, "2024-04-14")
    looked = []
    monkeypatch.setattr(foretold, "_realised", lambda *given: looked.append(given) or [])
    check(params, "2024-05-01")    # of its fourteen days one is known by now
    assert looked == []
    check(params, "2024-05-10")
    assert len(looked) == 1


def test_where_nothing_can_be_estimated_nothing_is_kept(params: Path) -> None:
    session = tt.open(params, as_of="2024-03-15")
    window = session.windows()[1]
    nothing = Expected({}, {}, {}, "roc_auc", missing="No holdout is kept.")
    told = tt.checking.foretold(session, window, tt.checking.score(session, window), nothing)
    assert told.past == ()
    assert tt.plots.foretold(told, told.metric) is None

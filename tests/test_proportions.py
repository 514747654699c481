"""A table of extraction results beside the records: which fields are watched, by what, and when nothing can be said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.errors import DataError, ParamsError
from trimtab.records import Records
from trimtab.run import backfill, checking, lifecycle, proportions
from trimtab.run.preflight import Request
from trimtab.run.session import Session

ASKED: dict[str, Any] = {"table": "read.parquet", "field": "field", "rates": ["matched"]}


def results(days: int = 110, a_day: int = 40, fields: tuple[str, ...] = ("total", "Total", "date")) -> pd.DataFrame:
    """So many rows a day of each field, nine in ten of them matched."""
    rng, rows = np.random.default_rng(2), days * a_day * len(fields)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.repeat(np.arange(days), a_day * len(fields)), unit="D")
    return pd.DataFrame({"at": at, "field": np.tile(fields, days * a_day), "matched": rng.random(rows) < 0.9})


def opened(project: Callable[..., Path], read: pd.DataFrame, asked: dict[str, Any] = ASKED, **more: Any) -> Session:
    windows = {"reference": {"from": "2024-01-01", "to": "2024-03-01"}, "current": {"last": "28d"}}
    path = project(merged(BINARY, data={"extractions": asked}, windows=windows, **more), binary_table(2000))
    read.to_parquet(path.parent / "read.parquet")
    return tt.open(path, as_of="2024-04-15", run_id="r")


def look(session: Session) -> proportions.Proportions:
    return checking.proportions(session, session.windows()[1])


def test_each_field_is_watched_by_itself_and_its_case_matters(project: Callable[..., Path]) -> None:
    read = results()
    fallen = (read["field"] == "Total") & (read["at"] >= "2024-03-18")
    read.loc[fallen, "matched"] = np.random.default_rng(3).random(fallen.sum()) < 0.7
    found = look(opened(project, read))
    assert found.named == ("rate_drop",)
    assert {one.name for one in found.rates} == {"matched of total", "matched of Total", "matched of date"}
    now = read[read["at"] >= "2024-03-18"]
    for one in found.rates:
        mine = now["field"] == one.name.removeprefix("matched of ")
        assert one.now == pytest.approx(now.loc[mine & (now["at"] < "2024-04-15"), "matched"].mean())
    assert [one.name for one in found.rates if one.p_value < 0.001] == ["matched of Total"]


def test_days_of_fields_are_counted_once(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(project, results())
    first = look(session)
    counted: list[int] = []
    count = Records.days
    monkeypatch.setattr(Records, "days", lambda self, window, *rest: counted.append(window.rows) or count(
        self, window, *rest))
    again = tt.open(session.loaded.path, as_of="2024-04-15", run_id="again")
    assert repr(look(again)) == repr(first)
    assert counted == []
    later = tt.open(session.loaded.path, as_of="2024-04-16", run_id="later")
    look(later)
    assert counted == [40 * 3]


def test_a_check_that_asks_twice_reads_the_results_once(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(project, results())
    first, current = look(session), session.windows()[1]
    drift = tt.compare(*(session.profile(one) for one in session.windows()))
    monkeypatch.setattr(Records, "arrow", lambda *_: pytest.fail("asked again"))
    monkeypatch.setattr(Records, "days", lambda *_: pytest.fail("counted again"))
    assert "rate_drop" in [one.name for one in checking.measured_of_columns(session, drift, current)]
    assert checking.proportions(session, current) is first


def test_fields_are_those_of_what_the_champion_was_made_from(project: Callable[..., Path]) -> None:
    """A field that came up in March is none of them, though a sliding reference has it; one that went still is."""
    read = results()
    new = read["at"] >= "2024-03-01"
    read.loc[new & (read["field"] == "date"), "field"] = "invoice"
    session = opened(project, read)
    first = tt.open(session.loaded.path, as_of="2024-03-01", run_id="first")
    contest = lifecycle.first_champion(first)
    lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    slid = tt.open(session.loaded.path, as_of="2024-04-15", run_id="slid", overrides={
        "windows.reference": {"last": "40d", "until": "10d"}, "windows.current": {"last": "10d"}})
    found = {one.name: one for one in look(slid).rates}
    assert set(found) == {"matched of total", "matched of Total", "matched of date"}
    assert np.isnan(found["matched of date"].p_value)
    assert found["matched of total"].before == pytest.approx(0.9, abs=0.03)


def test_rare_fields_and_rows_without_one_are_left_out_and_most_fields_is_the_limit(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = results(fields=("a", "b", "c"))
    read.loc[read["field"] == "c", "field"] = None
    read.loc[read.index[read["field"] == "a"][500:529], "field"] = "seldom"
    monkeypatch.setattr(proportions, "MOST_FIELDS", 1)
    assert [one.name for one in look(opened(project, read)).rates] == ["matched of b"]    # a has a few less


def test_fields_that_went_and_fields_that_came_are_said_so(project: Callable[..., Path]) -> None:
    """Dates are not read any more; of invoices there are enough now, of another field too few."""
    read = results()
    now = read["at"] >= "2024-03-18"
    fresh = read[now & (read["field"] == "total")]
    parts = [read[~now | (read["field"] != "date")], fresh.assign(field="invoice"), fresh[:29].assign(field="seldom")]
    session = opened(project, pd.concat(parts))
    found = look(session)
    assert (found.gone, found.new) == (("date",), ("invoice",))
    drift = tt.compare(*(session.profile(one) for one in session.windows()))
    (told,) = [one.message for one in checking.measured_of_columns(session, drift, session.windows()[1])
               if one.name == "rate_drop"]
    assert told.endswith(". There are no results any more of date. New, and not watched: invoice.")
    assert "no results any more of date" in tt.tables.proportions(found).to_html()
    assert look(opened(project, results())).told == ""


def test_where_all_fields_went_nothing_is_compared_and_that_is_said(project: Callable[..., Path]) -> None:
    read = results()
    read.loc[read["at"] >= "2024-03-18", "field"] = None
    session = opened(project, read)
    assert look(session).gone == ("Total", "date", "total")
    drift = tt.compare(*(session.profile(one) for one in session.windows()))
    (found,) = [one for one in checking.measured_of_columns(session, drift, session.windows()[1])
                if one.name == "rate_drop"]
    assert np.isnan(found.value)
    assert "no results any more of Total, date, total" in found.message


def test_backfill_counts_the_days_of_fields(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = opened(project, results()).loaded.path
    first = tt.open(path, as_of="2024-03-01", run_id="first")
    contest = lifecycle.first_champion(first)
    lifecycle.appoint(first, contest, lifecycle.judge(first, contest))
    backfill.run(Request(pipeline="backfill", params=path, as_of="2024-04-15", progress=False))
    counted: list[str] = []
    count = Records.days
    monkeypatch.setattr(Records, "days", lambda self, window, *rest: counted.append(window.name) or count(
        self, window, *rest))
    look(tt.open(path, as_of="2024-04-10", run_id="later"))
    assert counted == []


def test_results_that_no_run_can_go_on_with_are_refused_before_it_starts(project: Callable[..., Path]) -> None:
    asked = {**ASKED, "confidence": "sure"}
    read = results().assign(sure=0.9)
    opened(project, read, asked).check()
    with pytest.raises(DataError, match=r"'sure' \(confidences\) holds 1 infinite"):
        opened(project, read.assign(sure=[np.inf, *read["sure"][1:]]), asked).check()
    with pytest.raises(DataError, match="no column 'matched'"):
        opened(project, read.drop(columns="matched"), asked).check()
    opened(project, read[:0], asked).check()    # results may come later than records


def test_without_rows_in_the_reference_nothing_is_said(project: Callable[..., Path]) -> None:
    read = results()
    session = opened(project, read[read["at"] >= "2024-03-10"])
    assert look(session).rates == ()
    (found,) = [one for one in checking.measured_of_columns(session, tt.compare(
        *(session.profile(one) for one in session.windows())), session.windows()[1]) if one.name == "rate_drop"]
    assert np.isnan(found.value)
    assert found.message.startswith("No rate could be compared")


def test_without_rows_now_each_field_is_too_few_to_test(project: Callable[..., Path]) -> None:
    read = results()
    found = look(opened(project, read[read["at"] < "2024-03-10"]))
    assert len(found.rates) == 3
    assert all(np.isnan(one.p_value) for one in found.rates)


def test_a_table_that_lacks_a_column_is_refused_by_name(project: Callable[..., Path]) -> None:
    session = opened(project, results(), ASKED | {"confidence": "sure"})
    with pytest.raises(DataError, match=r"read.parquet: there is no column 'sure'"):
        look(session)
    session.close()


def test_extractions_without_anything_to_watch_are_refused(project: Callable[..., Path]) -> None:
    with pytest.raises(ParamsError, match="confidence or rates"):
        opened(project, results(), {"table": "read.parquet", "field": "field"})


@pytest.mark.parametrize("later", [None, "2030-01-01"])
def test_results_that_are_not_there_yet_leave_the_rest_of_a_check_alone(
    later: str | None, project: Callable[..., Path]
) -> None:
    read = results(days=1)
    read = read.iloc[:0] if later is None else read.assign(at=pd.Timestamp(later))
    found = look(opened(project, read))
    assert (found.rates, found.confidences, found.named) == ((), (), ("rate_drop",))


def test_a_column_is_a_rate_or_a_confidence(project: Callable[..., Path]) -> None:
    with pytest.raises(ParamsError, match="'matched' is named under confidence and under rates"):
        opened(project, results(), ASKED | {"confidence": "matched"})
    both = project(merged(BINARY, data={"rates": ["x"], "confidences": ["x"]}), binary_table(200))
    with pytest.raises(ParamsError, match="'x' is named under rates and under confidences"):
        tt.open(both)

"""A table of a user's own: its columns find their roles, and the params file that is written runs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from trimtab import params
from trimtab.errors import DataError, UsageError
from trimtab.facts import Facts
from trimtab.moments import time_of
from trimtab.roles import label_of, roles_of, task_of
from trimtab.run.drafted import Draft
from trimtab.run.drafting import draft, next_steps
from trimtab.run.inspecting import facts_of
from trimtab.run.preflight import Request
from trimtab.run.runner import run


def _shop(rows: int = 1500) -> pd.DataFrame:
    """Orders of a shop, with whatever such tables have beside what a model may see."""
    rng = np.random.default_rng(5)
    amount = rng.lognormal(3, 1, rows).round(2)
    words = np.array(["red", "blue", "mug", "lamp", "box", "cup", "tin", "toy"])
    days = pd.date_range("2024-01-01", periods=rows, freq="3h")
    return pd.DataFrame({
        "order_id": [f"o{n:06d}" for n in range(rows)], "ordered_at": days, "paid_at": days + pd.Timedelta("2D"),
        "amount": amount, "items": rng.integers(1, 30, rows), "country": rng.choice(["DE", "FR", "UK"], rows),
        "new customer": rng.random(rows) < 0.3, "note": [" ".join(rng.choice(words, 5)) for _ in range(rows)],
        "shop": "main", "empty": np.nan, "score": rng.random(rows),
        "returned": np.where(rng.random(rows) < 1 / (1 + np.exp(3 - amount / 20)), "yes", "no"),
    })


ROLES = {
    "id": "order_id", "time": "ordered_at", "label": "returned", "numeric": ("amount", "items"),
    "categorical": ("country", "new customer"), "text": ("note",),
}
LEFT_OUT = {"paid_at": "another time", "shop": "the same throughout", "empty": "holds nothing",
            "score": "what a model said, by its name"}


@pytest.mark.parametrize("name", ["My shop.csv", "shop.parquet", "shop.jsonl"])
def test_columns_find_their_roles_in_every_kind_of_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table = _shop()
    write: dict[str, Any] = {
        "csv": lambda to: table.to_csv(to, index=False), "parquet": table.to_parquet,
        "jsonl": lambda to: table.to_json(to, orient="records", lines=True, date_format="iso"),
    }
    write[name.rpartition(".")[2]](tmp_path / name)
    file, made = draft(Path(name))
    assert file == Path("params") / ("my-shop.yaml" if name.startswith("My") else "shop.yaml")
    assert {part: getattr(made.roles, part) for part in ROLES} == ROLES
    assert made.roles.left_out == LEFT_OUT
    told = params.load(file).params
    assert (told.task, told.data.table) == ("classification", name)
    assert {part: getattr(told.data, part) for part in ROLES} == ROLES


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_params_file_runs(home: Path, task: str) -> None:
    table = _shop(2000).drop(columns="note")
    if task == "regression":
        table["returned"] = table["amount"] * table["items"] + np.random.default_rng(1).normal(0, 5, len(table))
        table["in cents"] = table["returned"] * 100
        table = table[["in cents", *table.columns.drop("in cents")]]
    table.to_csv(home / "shop.csv", index=False)
    file, made = draft(Path("shop.csv"))
    assert made.roles.task == task
    assert ("in cents" in made.roles.left_out) == (task == "regression")
    ended = run(Request("baseline", file, as_of=made.first.isoformat(), progress=False))
    assert (ended.exit_code, ended.result["champion_after"]) == (0, 1), ended.error
    ended = run(Request("drift", file, progress=False))
    assert ended.exit_code == 0, ended.error
    assert ended.result["decision"]["severity"] in {"none", "low"}


def test_next_steps_leave_records_to_be_watched(tmp_path: Path) -> None:
    _shop().to_parquet(tmp_path / "shop.parquet")
    file, made = draft(tmp_path / "shop.parquet", tmp_path / "a b.yaml")
    baseline, drift = next_steps(file, made)
    assert baseline == f"trimtab run baseline -p '{file}' --as-of 2024-05-11"
    assert drift == f"trimtab run drift -p '{file}'"
    assert made.begin < made.first < made.end


def test_records_of_each_month_are_enough_to_be_watched_and_learned_from_again(home: Path) -> None:
    rng = np.random.default_rng(4)
    months = np.repeat(pd.date_range("2014-01-01", periods=120, freq="MS"), 6)
    rate = rng.normal(3, 1, len(months))
    price = 100 + 30 * rate * np.where(months >= "2021-06-01", -1, 1) + rng.normal(0, 3, len(months))
    pd.DataFrame({"month": months, "rate": rate, "price": price}).to_csv(home / "houses.csv", index=False)
    file, made = draft(Path("houses.csv"))
    windows = params.load(file).params.windows
    assert (windows.current.last, windows.training.last.days) == (pd.Timedelta("365D"), (made.first - made.begin).days)
    assert run(Request("baseline", file, as_of=made.first.isoformat(), progress=False)).exit_code == 0
    ended = run(Request("retrain", file, progress=False))
    assert ended.result["guard"]["allowed"], ended.result["guard"]
    assert ended.result["verdict"] is not None


def test_one_record_a_month_gets_a_window_in_which_columns_can_be_tested(home: Path) -> None:
    rng = np.random.default_rng(4)
    months = pd.date_range("1999-01-01", periods=300, freq="MS")
    rate = rng.normal(3, 1, len(months)) + np.where(months >= "2020-01-01", 3, 0)
    pd.DataFrame({"month": months, "rate": rate, "sales": rate + rng.normal(0, 1, 300)}).to_csv(home / "few.csv")
    file, made = draft(Path("few.csv"), label="sales")
    assert params.load(file).params.windows.current.last == pd.Timedelta("1095D")
    assert run(Request("baseline", file, as_of=made.first.isoformat(), progress=False)).exit_code == 0
    told = run(Request("drift", file, progress=False)).result["decision"]["reasons"]
    assert any("input columns drifted: rate" in reason for reason in told), told


@pytest.mark.parametrize("wild", [1e19, np.inf, -1e300])
def test_a_number_beyond_all_whole_ones_is_a_number(tmp_path: Path, wild: float) -> None:
    table = _shop()
    table["paid"] = np.linspace(0, 9, len(table))
    table.loc[7, "paid"] = wild
    table.to_parquet(tmp_path / "wild.parquet")
    (found,) = [one for one in facts_of(tmp_path / "wild.parquet", None) if one.name == "paid"]
    assert (found.kind, max(found.high, -found.low)) == ("number", abs(wild))


def test_a_key_that_is_there_twice_is_no_id_and_the_file_runs(home: Path) -> None:
    table = _shop(2000)
    table["hour"] = table["ordered_at"].dt.strftime("%jT%H")
    table.loc[1990, "order_id"] = "o000003"
    table["weight"] = np.random.default_rng(3).normal(5, 1, 2000).round(4).astype(str)
    table.loc[1200, "weight"] = "?"
    table.to_csv(home / "shop.csv", index=False)
    file, made = draft(Path("shop.csv"))
    assert made.roles.id == "hour"
    assert made.roles.left_out["order_id"] == "tells nearly all records apart"
    assert made.roles.left_out["weight"] == "numbers, and what is none, such as '?'; correct or empty that to use it"
    assert run(Request("baseline", file, as_of=made.first.isoformat(), progress=False)).exit_code == 0
    ended = run(Request("drift", file, progress=False))
    assert ended.exit_code == 0, ended.error


def test_one_time_among_many_that_is_none_is_named(tmp_path: Path) -> None:
    table = _shop()
    table["ordered_at"] = table["ordered_at"].astype(str)
    table.loc[7, "ordered_at"] = "yesterday"
    table.drop(columns="paid_at").to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match="1 of 1,500 values of 'ordered_at' is no time, such as 'yesterday'"):
        draft(tmp_path / "t.csv", tmp_path / "t.yaml")


def test_no_column_has_more_values_than_records(tmp_path: Path) -> None:
    table = pd.DataFrame(np.random.default_rng(1).normal(size=(3000, 20)), columns=[f"c{n}" for n in range(20)])
    table.iloc[:500, 3] = np.nan
    table.assign(at=pd.date_range("2024-01-01", periods=3000, freq="h")).to_parquet(tmp_path / "t.parquet")
    assert all(0 < one.distinct <= one.known for one in facts_of(tmp_path / "t.parquet", label=None))


@pytest.mark.parametrize("name", [
    "x: y", "# x", "yes", "null", "1", "a, b", "[x]", "x\ny", "x' \"y\"", "größe", "-", "{{ x }}", "x\x1b[31m", " x ",
    "cost in ${HOME}", "$${x}",
])
def test_column_names_of_any_kind_come_back_from_the_file(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"at": pd.date_range("2024-01-01", periods=400, freq="h"), name: rng.normal(size=400),
                          f"{name} gone": 1, "label": rng.integers(0, 2, 400)})
    table.to_parquet(tmp_path / "t.parquet")
    file, made = draft(tmp_path / "t.parquet", tmp_path / "t.yaml")
    assert made.roles.numeric == (name,)
    assert yaml.safe_load(file.read_text())["data"]["numeric"] == [name.replace("${", "$${")]
    assert params.load(file).params.data.numeric == (name,)


def _fact(name: str, kind: str = "number", distinct: int = 500, **more: Any) -> Facts:
    return Facts(name, kind, rows=1000, known=more.pop("known", 1000), distinct=distinct, **more)


AT = _fact("at", "time", 1000)


@pytest.mark.parametrize(("column", "part"), [
    (_fact("x"), "numeric"), (_fact("x", "whole"), "numeric"), (_fact("x", "boolean", 2), "categorical"),
    (_fact("x", "text", 200), "categorical"), (_fact("x", "text", 990, words=6.0), "text"),
    (_fact("x", "text", 5, words=3.0), "categorical"), (_fact("x", "number", 1000), "numeric"),
    (_fact("nr", "whole", 1000, known=999), None), (_fact("customer_id", "text", 1000, known=900), None),
    (_fact("x", "other"), None), (_fact("x", "other", 0, known=0), None),
    (_fact("x", distinct=1), None), (_fact("predicted"), None),
    (_fact("n", "whole", 1000, low=5, high=1004), "id"), (_fact("n", "whole", 1000, low=5, high=2004), "numeric"),
    (_fact("x", alike=-1.0), None), (_fact("x", "whole", clock=1.0), None), (_fact("x", alike=0.99), "numeric"),
], ids=str)
def test_a_column_plays_the_part_that_it_can(column: Facts, part: str | None) -> None:
    found = roles_of([AT, _fact("other"), column, _fact("y", "boolean", 2)])
    assert [name for name in ("numeric", "categorical", "text", "id") if column.name in (getattr(found, name) or ())] \
        == ([part] if part else [])
    assert (column.name in found.left_out) == (part is None)


def test_time_and_label_are_the_ones_named_or_the_likeliest() -> None:
    late = _fact("late", "time", 900, known=900)
    assert time_of([late, AT])[0] == "at"
    assert time_of([late, AT], "late") == ("late", "named")
    assert time_of([_fact("birth_date", "time"), _fact("made", "time", 900, known=900)])[0] == "made"
    assert time_of([_fact("valid_until", "time")])[0] == "valid_until"
    columns = [AT, _fact("target", "boolean", 2), _fact("x"), _fact("row_id", "whole", 1000)]
    assert label_of(columns)[0] == "target"
    assert label_of([AT, _fact("x"), _fact("row_id", "whole", 1000)])[0] == "x"
    assert label_of(columns, "x") == ("x", "named")
    for passed, why in ((_fact("label", "text", 700), "has 700 different texts"),
                        (_fact("Label", distinct=1), "is the same throughout")):
        assert label_of([AT, passed, _fact("x")]) == ("x", f"the last column; {passed.name!r} {why}")
    assert task_of(_fact("stars", "whole", 5))[0] == "classification"
    assert task_of(_fact("stars", "whole", 50))[0] == "regression"


@pytest.mark.parametrize(("facts", "options", "told"), [
    ([_fact("x"), _fact("y", "boolean", 2)], {},
     "none of the columns holds times, and models are watched through time: add one"),
    ([_fact("at", "text", example="31.12.2024 23:59"), _fact("y", "boolean", 2)], {},
     "write 'at' ('31.12.2024 23:59') as 2024-12-31 or 2024-12-31 23:59"),
    ([_fact("month", "text", example="2024-03"), _fact("y", "boolean", 2)], {},
     "write 'month' ('2024-03') as 2024-03-01"),
    ([_fact("ts", "whole", low=1.6e9, high=1.7e9), _fact("y", "boolean", 2)], {},
     "write 'ts', which may be seconds since 1970, as 2024-12-31 23:59"),
    ([_fact("ts", "whole", low=1.6e12, high=1.7e12), _fact("y", "boolean", 2)], {}, "be milliseconds since 1970, as"),
    ([_fact("day", "whole", low=20230405, high=20240101), _fact("y", "boolean", 2)], {},
     "write 'day' (20230405) as 2023-04-05"),
    ([_fact("year", "whole", low=1999, high=2024), _fact("y", "boolean", 2)], {}, "write 'year' (1999) as 1999-12-31"),
    ([AT, _fact("ts", "whole", low=1.6e9, high=1.7e9), _fact("y")], {"time": "ts"},
     "column 'ts' holds no times; write 'ts', which may be seconds since 1970"),
    ([AT, _fact("x"), _fact("y")], {"time": "x"}, "column 'x' holds no times"),
    ([_fact("when", "text", timed=998, untimely="soon"), _fact("y", "boolean", 2)], {},
     "2 of 1,000 values of 'when' are no times, such as 'soon'; correct or empty what is not"),
    ([AT, _fact("x"), _fact("price")], {"label": "prise"},
     "--label: there is no column 'prise'; did you mean 'price'?"),
    ([AT, _fact("x"), _fact("y", distinct=1)], {"label": "y"}, "column 'y' is the same throughout"),
    ([AT, _fact("x"), _fact("y", "other", 0)], {"label": "y"}, "column 'y' is of a type that no model foretells, so"),
    ([AT, _fact("x"), _fact("y", "text", 0, known=0)], {"label": "y"}, "column 'y' holds nothing, so"),
    ([AT, _fact("x"), _fact("y", "text", 700)], {"label": "y"}, "700 different texts: too many for classes"),
    ([AT, _fact("y", "boolean", 2)], {}, "nothing is left to foretell 'y' from: there is no other column"),
    ([AT, _fact("y", "boolean", 2), _fact("id", "whole", 1000, unique=True)], {},
     "nothing is left to foretell 'y' from: id: tells records apart"),
    ([AT, _fact("x", distinct=1)], {}, "none of the columns can be a label"),
])
def test_a_table_of_which_no_model_can_be_made_is_refused(
    facts: list[Facts], options: dict[str, str], told: str
) -> None:
    with pytest.raises(DataError) as refused:
        roles_of(facts, **options)
    assert told in str(refused.value)


def test_whole_numbers_with_gaps_are_classes_and_a_clock_is_no_feature(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    stars = np.where(rng.random(400) < 0.2, np.nan, rng.integers(1, 6, 400))
    table = pd.DataFrame({"at": pd.date_range("2024-01-01", periods=400, freq="h"), "x": rng.normal(size=400),
                          "epoch": np.arange(400) * 3600 + 1_704_067_200, "stars": stars})
    table.to_csv(tmp_path / "t.csv", index=False)
    _, made = draft(tmp_path / "t.csv", tmp_path / "t.yaml")
    assert (made.roles.label, made.roles.task, made.roles.numeric) == ("stars", "classification", ("x",))
    assert made.roles.left_out == {"epoch": "a number that grows with the time"}
    table.assign(**{"Order ID": np.arange(400) * 7 + 3}).to_csv(tmp_path / "k.csv", index=False)
    assert draft(tmp_path / "k.csv", tmp_path / "k.yaml")[1].roles.id == "Order ID"
    (tmp_path / "u.csv").write_text("a,b\n1,2\n2,3\n")
    with pytest.raises(DataError, match=r"u\.csv: none of the columns holds times"):
        draft(tmp_path / "u.csv", tmp_path / "u.yaml")


@pytest.mark.parametrize(("exponent", "earliest", "latest"), [(1, 0.69, 0.71), (3, 0.87, 0.9), (0.2, 0.2, 0.22)])
def test_the_first_model_is_made_from_most_records_however_they_come(
    tmp_path: Path, exponent: float, earliest: float, latest: float
) -> None:
    span, rng = pd.Timedelta("300D"), np.random.default_rng(3)
    begin = pd.Timestamp("2024-01-01")
    at = begin + (1 - (1 - np.linspace(0, 1, 3000)) ** exponent) * span if exponent < 1 else \
        begin + np.linspace(0, 1, 3000) ** (1 / exponent) * span
    pd.DataFrame({"at": at, "x": rng.normal(size=3000), "y": rng.integers(0, 2, 3000)}).to_csv(tmp_path / "t.csv")
    file, made = draft(tmp_path / "t.csv", tmp_path / "t.yaml")
    share = (made.first - made.begin) / span
    assert earliest <= share <= latest
    assert made.earlier == pytest.approx(int((at < made.first).sum()), rel=0.1)
    windows = params.load(file).params.windows
    watched = int((at > at[-1] - windows.current.last).sum())
    assert watched >= 200 or exponent < 1    # where records dry up, the newest window has fewer than the mean


def test_a_record_long_before_all_others_does_not_stretch_the_windows(home: Path) -> None:
    table = _shop()
    whole = draft_of(table, home / "right.csv").first
    table.loc[700, "ordered_at"] = pd.Timestamp("1970-01-01")
    made = draft_of(table, home / "epoch.csv")
    assert abs(made.first - whole) <= pd.Timedelta("1D")
    assert pd.Timestamp("2024-01-01") <= made.begin < pd.Timestamp("2024-01-05")
    ended = run(Request("baseline", home / "epoch.yaml", as_of=made.first.isoformat(), progress=False))
    assert ended.exit_code == 0, ended.error
    ended = run(Request("drift", home / "epoch.yaml", progress=False))
    assert ended.exit_code == 0, ended.error


def test_a_record_long_after_all_others_is_named(tmp_path: Path) -> None:
    table = _shop()
    table.loc[700, "ordered_at"] = pd.Timestamp("2099-12-31")
    with pytest.raises(DataError) as refused:
        draft_of(table, tmp_path / "far.csv")
    assert "98 in 100 records are from 2024-01-0" in str(refused.value)
    assert "the newest is of 2099-12-31, as of which nothing else is recent" in str(refused.value)
    assert not (tmp_path / "far.yaml").exists()


def draft_of(table: pd.DataFrame, file: Path) -> Draft:
    table.to_csv(file, index=False)
    return draft(file, file.with_suffix(".yaml"))[1]


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    _shop(300).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"t\.yaml exists; name another file with --output"):
        draft(tmp_path / "t.parquet", tmp_path / "t.yaml")
    assert (tmp_path / "t.yaml").read_text() == "mine"


def test_records_of_one_moment_are_refused(tmp_path: Path) -> None:
    _shop(300).assign(ordered_at=datetime(2024, 1, 1), paid_at=datetime(2024, 1, 2)).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="all records are of 2024-01-01 00:00"):
        draft(tmp_path / "t.parquet", tmp_path / "t.yaml")
    assert not (tmp_path / "t.yaml").exists()


def test_the_command_tells_roles_and_next_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from trimtab.run.cli import app

    monkeypatch.chdir(tmp_path)
    _shop().to_csv("shop.csv")    # with an index that has no name
    told = CliRunner().invoke(app, ["init", "--table", "shop.csv"])
    assert told.exit_code == 0, told.output
    assert "classification of returned (the last column), through ordered_at" in told.output
    assert "left out: score (what a model said, by its name)" in told.output
    told = CliRunner().invoke(app, ["init", "--table", "shop.csv", "--output", "b.yaml", "--label", "amount", "--json"])
    found = json.loads(told.output)
    assert (found["params"], found["roles"]["task"]) == ("b.yaml", "regression")
    assert list(found["next"])[1] == "trimtab run drift -p b.yaml"


def test_whole_numbers_that_may_be_codes_are_asked_about(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(7), 500
    pd.DataFrame({
        "at": pd.date_range("2024-01-01", periods=rows, freq="h"), "mode": rng.integers(0, 3, rows),
        "zip": rng.integers(10_000, 99_999, rows), "amount": rng.integers(0, 5000, rows), "x": rng.normal(size=rows),
        "y": rng.integers(0, 2, rows)}).to_csv(tmp_path / "t.csv", index=False)
    file, made = draft(tmp_path / "t.csv", tmp_path / "t.yaml")
    assert made.roles.numeric == ("mode", "zip", "amount", "x")
    many = pd.DataFrame({f"status_{n}": rng.integers(0, 3, rows) for n in range(40)})
    pd.concat([pd.read_csv(tmp_path / "t.csv"), many], axis=1).to_csv(tmp_path / "u.csv", index=False)
    other, wide = draft(tmp_path / "u.csv", tmp_path / "u.yaml", label="y")
    assert params.load(other).params.data.numeric == wide.roles.numeric, "a long guess stays a comment"
    assert "  # guessed: amounts, not codes, whose place is categorical: [mode, zip]\n" in file.read_text()


def _visits(rows: int = 2000, **more: Any) -> pd.DataFrame:
    """A number that has something to do with what is foretold, through half a year."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=rows)
    at = pd.date_range("2024-01-01", periods=rows, freq="2h")
    late = np.where(rng.random(rows) < 1 / (1 + np.exp(-x)), "yes", "no")
    return pd.DataFrame({"at": at, "x": x, **more, "late": late})


def _drafted(folder: Path, table: pd.DataFrame, **named: str) -> tuple[Draft, str]:
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / "t.csv", index=False)
    file, made = draft(folder / "t.csv", folder / "t.yaml", **named)
    return made, file.read_text(encoding="utf-8")


@pytest.mark.parametrize("again", [
    lambda late: (late == "yes").astype(int), lambda late: np.where(late == "yes", "a", "b"),
    lambda late: np.where(late == "yes", 7.5, np.nan), lambda late: np.where(late == "yes", None, "why not"),
    lambda late: np.arange(len(late)) % 97 + 1000 * (late == "yes"),
], ids=["number", "text", "number or nothing", "text or nothing", "amounts"])
def test_a_column_that_tells_the_classes_apart_is_the_label_again(tmp_path: Path, again: Any) -> None:
    table = _visits()
    table.insert(1, "told", again(table["late"]))
    made, _ = _drafted(tmp_path, table)
    assert made.roles.label == "late"
    assert made.roles.left_out == {"told": "the label in other words"}


@pytest.mark.parametrize(("column", "part"), [
    (lambda table: np.where(np.arange(len(table)) % 3 == 0, "Christmas", None), "categorical"),
    (lambda table: np.where(np.arange(len(table)) % 3 == 0, 1.0, np.nan), "numeric"),
    (lambda table: np.where((table["late"] == "yes") & (np.arange(len(table)) % 2 == 0), "x", None), "categorical"),
], ids=["text", "number", "of one class, and not of all its records"])
def test_one_value_and_nothing_are_two(tmp_path: Path, column: Any, part: str) -> None:
    table = _visits()
    table.insert(1, "holiday", column(table))
    made, _ = _drafted(tmp_path, table)
    assert "holiday" in getattr(made.roles, part)


def test_parts_of_the_time_that_no_window_of_days_has_all_of_are_left_out(tmp_path: Path) -> None:
    at = _visits()["at"].dt
    made, _ = _drafted(tmp_path, _visits(
        month=at.month, day=at.day, week=at.isocalendar().week.to_numpy(), hour=at.hour, weekday=at.day_of_week,
        rooms=1 + np.arange(2000) % 12))
    assert list(made.roles.left_out) == ["month", "day", "week"]
    assert made.roles.left_out["day"] == "the day of the time: no window of days has all of them"
    assert made.roles.numeric == ("x", "hour", "weekday", "rooms")


@pytest.mark.parametrize(("name", "values", "part"), [
    ("store_id", 20, "categorical"), ("Patient ID", 200, None), ("customerId", 200, None), ("stay", 400, "numeric"),
])
def test_numbers_of_things_that_records_are_of_are_no_amounts(
    tmp_path: Path, name: str, values: int, part: str | None
) -> None:
    made, _ = _drafted(tmp_path, _visits(**{name: 1000 + np.random.default_rng(2).integers(0, values, 2000)}))
    assert part is None or name in getattr(made.roles, part)
    assert made.roles.left_out == ({} if part else {name: f"{values} different values, too many for a category"})


def test_what_is_no_number_in_a_file_is_missing(tmp_path: Path) -> None:
    table = _visits()
    late = np.where(np.arange(len(table)) % 7 == 0, np.nan, table["late"] == "yes")
    columns = {"at": pa.array(table["at"]), "x": pa.array(table["x"]), "late": pa.array(late, from_pandas=False)}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    _, made = draft(tmp_path / "t.parquet", tmp_path / "t.yaml")
    assert made.roles.task == "classification"


def test_labels_that_the_newest_records_lack_are_expected_later(home: Path) -> None:
    table = _visits(4000)
    table["late"] = table["late"].where(table["at"] < table["at"].max() - pd.Timedelta("20D"))
    made, text = _drafted(home, table)
    told = params.load(home / "t.yaml").params
    assert told.data.label_delay == pd.Timedelta("21D")
    assert (told.windows.outcomes.last, told.windows.outcomes.until) == (pd.Timedelta("51D"), pd.Timedelta("21D"))
    assert told.windows.current.last == pd.Timedelta("30D")
    assert "guessed: for so long before the newest record there is no label" in text
    assert run(Request("baseline", home / "t.yaml", as_of=made.first.isoformat(), progress=False)).exit_code == 0
    ended = run(Request("drift", home / "t.yaml", progress=False))
    assert ended.result["metrics"]["champion"]["roc_auc"] > 0.6, "outcomes of an older window are known"


def test_a_first_model_that_is_never_wrong_is_doubted(home: Path) -> None:
    table = _visits()
    table["told"] = np.where(table["late"] == "yes", "c", np.random.default_rng(0).choice(["a", "b", "d"], len(table)))
    made, _ = _drafted(home, table[["at", "x", "told", "late"]])
    ended = run(Request("baseline", home / "t.yaml", as_of=made.first.isoformat(), progress=False))
    assert "look whether a column says the label in other words" in " ".join(ended.because)


def test_a_column_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no column 'nosuch'; there are 'at', 'x', 'late'$"):
        _drafted(tmp_path, _visits(), label="nosuch")


def test_a_time_without_a_name_is_asked_for_one(tmp_path: Path) -> None:
    table = _visits().rename(columns={"at": ""})
    with pytest.raises(DataError, match="column 1 has no name and is left out: give it one if it holds them"):
        _drafted(tmp_path, table)


def test_a_record_in_the_first_line_is_no_name(tmp_path: Path) -> None:
    _visits().to_csv(tmp_path / "t.csv", index=False, header=False)
    with pytest.raises(DataError, match=r"its first line is a record \('2024-01-01 00:00:00' is a time\); write the"):
        draft(tmp_path / "t.csv", tmp_path / "t.yaml")


def test_two_drafts_of_a_table_are_two_models(tmp_path: Path) -> None:
    _visits().to_csv(tmp_path / "t.csv", index=False)
    names = [draft(tmp_path / "t.csv", tmp_path / f"{name}.yaml")[1].model for name in ("One", "two")]
    assert names == ["one", "two"]

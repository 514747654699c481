"""A decision from plain files: in whichever way predictions lie beside them, with clear words for what does not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import trimtab as tt
from trimtab.decide.signals import Signal
from trimtab.errors import DataError, ParamsError
from trimtab.run.file_checks import Beside, check_files
from trimtab.run.said import said
from trimtab.settings.triggers import Trigger

ROWS, NOW = 2000, 1000


def _tables(moved: float = 0.0, slope: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records with what a model said of them and what came; in the second, inputs or their relation may differ."""
    rng, made = np.random.default_rng(0), []
    for rows, shift, one in ((ROWS, 0.0, 1.0), (NOW, moved, slope)):
        x = rng.normal(shift, size=rows)
        made.append(pd.DataFrame({
            "at": pd.date_range("2024-01-01", periods=rows, freq="h"), "x": x, "kind": rng.choice(list("abc"), rows),
            "predicted": x, "came": one * x + rng.normal(0, 0.5, rows)}))
    return made[0], made[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command is typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write(before: pd.DataFrame, now: pd.DataFrame) -> None:
    outcomes = ["predicted", "came"]
    before.drop(columns=outcomes).to_csv("ref.csv", index=False)
    now.drop(columns=outcomes).to_csv("new.csv", index=False, sep=";", decimal=",")
    before.to_parquet("ref.parquet")
    now.to_csv("all.csv", index=False)
    for name, frame in (("base", before), ("now", now)):
        np.save(f"{name}_p.npy", frame["predicted"])
        frame[["came"]].to_csv(f"{name}_y.csv", index=False)


RECENT = Beside("now_p.npy", "now_y.csv")
BOTH = Beside("now_p.npy", "now_y.csv", "base_p.npy", "base_y.csv")


def _signal(found: Any, name: str) -> Signal:
    one: Signal = next(signal for signal in found.signals if signal.name == name)
    return one


def test_files_and_tables_give_the_same(folder: Path) -> None:
    before, now = _tables(moved=1.0, slope=0.5)
    _write(before, now)
    of_files = check_files(Path("ref.csv"), Path("new.csv"), BOTH, segments=["kind"])
    names = ["at", "x", "kind"]
    of_tables = tt.check(
        before[names], now[names], segments=["kind"], predictions=now["predicted"], actuals=now["came"],
        baseline=(before["predicted"], before["came"]))
    assert of_files.decision == of_tables.decision
    assert of_files.drifted == of_tables.drifted == ("x",)
    assert of_files.metrics == of_tables.metrics
    of_columns = check_files(Path("ref.parquet"), Path("all.csv"), Beside("predicted", "came"), segments=["kind"])
    assert of_columns.decision == of_tables.decision
    assert of_columns.metrics == of_tables.metrics
    now[["predicted"]].to_parquet("p.parquet")
    now[["came"]].to_json("y.jsonl", orient="records", lines=True, double_precision=15)
    beside = Beside("p.parquet", "y.jsonl", "base_p.npy", "base_y.csv")
    of_others = check_files(Path("ref.csv"), Path("new.csv"), beside, segments=["kind"])
    assert of_others.metrics["recent"] == pytest.approx(of_tables.metrics["recent"], rel=1e-9)    # of fifteen digits


def test_nothing_that_moved_asks_for_nothing_and_a_new_relation_is_seen_by_outcomes_alone(folder: Path) -> None:
    _write(*_tables())
    for beside in (Beside(), RECENT, BOTH):
        found = check_files(Path("ref.csv"), Path("new.csv"), beside)
        assert (found.decision.needs_retrain, found.drifted) == (False, ())
    _write(*_tables(slope=0.3))
    assert not check_files(Path("ref.csv"), Path("new.csv"), Beside()).decision.needs_retrain
    found = check_files(Path("ref.csv"), Path("new.csv"), BOTH)
    assert found.decision.needs_retrain
    assert found.decision.reasons[0].startswith("mae went from 0.4")
    assert found.metrics["reference"]["r2"] > 0.7 > found.metrics["recent"]["r2"]


def test_without_a_baseline_the_later_half_is_held_against_the_earlier() -> None:
    before, now = _tables()
    came = now["came"].where(now.index < NOW // 2, now["came"] + 3)
    found = tt.check(before[["x"]], now[["x"]], predictions=now["predicted"], actuals=came)
    drifted = _signal(found, "concept_drift")
    assert drifted.severity == "high"
    assert " from the earlier half of the recent records to the later (" in drifted.message
    assert "performance_drop" not in [one.name for one in found.signals]


def test_classes_are_told_by_what_is_there_and_their_rules_are_on_accuracy() -> None:
    before, now = _tables(slope=0.0)
    pairs = [(frame["predicted"] > 0, frame["came"] > 0) for frame in (before, now)]
    found = tt.check(before[["x"]], now[["x"]], predictions=pairs[1][0], actuals=pairs[1][1], baseline=pairs[0])
    assert _signal(found, "performance_drop").message.startswith("accuracy went from 0.8")
    assert found.metrics["recent"]["accuracy"] == pytest.approx((pairs[1][0] == pairs[1][1]).mean())
    whole = [2, 4, 6] * 10
    assert said((whole, whole)).now.task == "multiclass"
    assert said((whole, whole), task="regression").now.task == "regression"
    assert said(([0.5, *whole], [0, *whole])).now.task == "regression"


def test_classes_that_are_written_differently_are_the_same_or_refused() -> None:
    truth, numbers = np.array([True, False, True] * 10), np.array([1, 0, 0] * 10)
    found = said((truth, numbers)).now
    assert (found.labels, float((found.actual == found.predicted).mean())) == (("False", "True"), pytest.approx(2 / 3))
    assert said((truth.astype(str), numbers)).now.labels == ("False", "True")
    assert said((numbers, numbers)).now.labels == ("0", "1")
    with pytest.raises(DataError, match="is a class that came: they are written as 'yes' and '1'"):
        said((["yes", "no"], [1, 0]))
    for one, other in ((2 * numbers - 1, numbers), (numbers, 2 * numbers - 1)):
        with pytest.raises(DataError, match="some are -1 and 1, the others 0 and 1: write both alike"):
            said((one, other))
    assert said((2 * numbers - 1, 2 * numbers - 1)).now.labels == ("-1", "1")
    with pytest.raises(DataError, match="task='Regression' is none; there are classification and regression"):
        said((numbers, numbers), task="Regression")


def test_rules_of_ones_own_take_the_place_of_the_defaults(folder: Path) -> None:
    before, now = _tables(moved=0.3, slope=0.93)
    _write(before, now)
    gentle = check_files(Path("ref.csv"), Path("new.csv"), BOTH, overrides=["drift.psi_warn=1", "drift.psi_alert=2"])
    assert _signal(gentle, "feature_drift").severity == "none"
    strict = [Trigger(signal="performance_drop", metric="r2", at_least=0.01, severity="critical")]
    found = tt.check(before[["x"]], now[["x"]], predictions=now["predicted"], actuals=now["came"] * 1.5,
                     baseline=(before["predicted"], before["came"]), triggers=strict)
    assert _signal(found, "performance_drop").severity == "critical"
    typed = 'triggers=[{"signal": "feature_drift", "at_least": 0.01, "severity": "critical"}]'
    assert check_files(Path("ref.csv"), Path("new.csv"), Beside(), overrides=[typed]).decision.severity == "critical"


def test_undrifted_files_with_outcomes_hardly_ever_ask_for_anything() -> None:
    checks, asked = 150, 0
    for seed in range(checks):
        rng = np.random.default_rng(seed)
        x = [rng.normal(size=(rows, 3)) for rows in (600, 400)]
        came = [one[:, 0] + rng.standard_t(4, len(one)) for one in x]
        frames = [pd.DataFrame(one, columns=list("abc")) for one in x]
        found = tt.check(*frames, predictions=x[1][:, 0], actuals=came[1], baseline=(x[0][:, 0], came[0]))
        asked += found.decision.severity != "none"
    assert asked / checks <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / checks)


def _foretold(seed: int, rows: int = 1500, *, honest: float = 1.0) -> tuple[Any, Any]:
    """Probabilities of something rare, and whether it came: as foretold, or less and less so."""
    rng = np.random.default_rng(seed)
    told = rng.beta(1, 9, rows)
    return told, (rng.random(rows) < honest * told + (1 - honest) * rng.permutation(told)).astype(int)


def test_fractions_beside_zeros_and_ones_are_probabilities() -> None:
    frames = [pd.DataFrame({"x": np.random.default_rng(one).normal(size=1500)}) for one in (0, 1)]
    before, now = _foretold(0), _foretold(1, honest=0.0)
    found = tt.check(*frames, predictions=now[0], actuals=now[1], baseline=before)
    lost = _signal(found, "performance_drop")
    assert lost.message.startswith("roc_auc went from 0.7")
    assert lost.severity in ("high", "critical")
    assert found.metrics["recent"]["roc_auc"] == pytest.approx(0.5, abs=0.06)
    assert found.metrics["recent"]["log_loss"] > found.metrics["reference"]["log_loss"]
    for written in (now[1].astype(bool), now[1].astype(str), now[1].astype(float)):
        assert tt.check(*frames, predictions=now[0], actuals=written, baseline=before).decision == found.decision
    by_squares = tt.check(*frames, predictions=now[0], actuals=now[1], task="regression")
    assert "mae" in by_squares.metrics["recent"]
    with pytest.raises(DataError, match="probabilities go with actuals of 0 and 1"):
        said((now[0], np.where(now[1] > 0, "yes", "no")))
    few = tt.check(*[one.head(30) for one in frames], predictions=now[0][:30], actuals=np.arange(30) == 7,
                   baseline=(before[0][:30], before[1][:30]))
    assert "of the class that counts" in _signal(few, "performance_drop").message


def test_outcomes_of_minus_one_and_one_are_those_of_zero_and_one() -> None:
    told, came = _foretold(1)
    signed = said((told, 2 * came - 1)).now
    assert (signed.task, signed.actual.tolist()) == ("binary", came.tolist())
    assert said((told, came - 1)).now.task == "regression"    # -1 and 0 are neither
    assert said((told, np.arange(len(told)) % 3 - 1)).now.task == "regression"


def test_columns_whose_names_have_dots_are_columns_unless_there_is_such_a_file(folder: Path) -> None:
    before, now = _tables(slope=0.5)
    names = {"predicted": "y.hat", "came": "y.csv"}
    before.rename(columns=names).to_csv("ref.csv", index=False)
    now.rename(columns=names).to_csv("new.csv", index=False)
    files = Path("ref.csv"), Path("new.csv")
    found = check_files(*files, Beside("y.hat", "y.csv"))
    assert "performance_drop" in [one.name for one in found.signals]
    assert found.metrics["recent"]["mae"] == pytest.approx((now["predicted"] - now["came"]).abs().mean())
    now[["predicted"]].to_csv("y.csv", index=False)
    assert check_files(*files, Beside("y.hat", "y.csv")).metrics["recent"]["mae"] == pytest.approx(0)


def test_days_are_times_and_columns_that_are_not_asked_for_are_left_out(folder: Path) -> None:
    before, now = _tables(moved=1.0)
    for name, frame in (("ref", before), ("new", now)):
        frame.assign(at=frame["at"].dt.date, year=2023 + (name == "new")).to_parquet(f"{name}.parquet")
    files = Path("ref.parquet"), Path("new.parquet")
    found = check_files(*files, Beside(), time="at", without=["year"])
    assert found.current.days is not None
    assert "year (not asked for)" in found.left_out
    assert "year" in check_files(*files, Beside(), time="at").drifted
    assert "year" not in found.drifted
    with pytest.raises(DataError, match="without='yaer' names no column of the two tables"):
        check_files(*files, Beside(), without=["yaer"])
    assert tt.check(before, now, without="x").left_out == ("at (timestamp)", "x (not asked for)")


@pytest.mark.parametrize("odd", ["-", "?", "12.5 kg", "mm"])
def test_one_cell_that_makes_a_column_of_numbers_one_of_texts_is_named(folder: Path, odd: str) -> None:
    before, now = _tables(moved=9.0)
    for name, frame in (("ref", before), ("new", now)):
        texts = frame[["x", "kind"]].astype({"x": str})
        texts.loc[7, "x"] = odd
        texts.to_csv(f"{name}.csv", index=False)
    files = Path("ref.csv"), Path("new.csv")
    with pytest.raises(DataError, match=r"column 'x' of the file ref.csv: 1 of 2,000 values are no fractions, such as"):
        check_files(*files, Beside())
    assert check_files(*files, Beside(), without=["x"]).left_out == ("x (not asked for)",)


def test_honest_probabilities_of_something_rare_hardly_ever_ask_for_anything() -> None:
    checks, asked = 150, 0
    for seed in range(checks):
        rng = np.random.default_rng(seed)
        frames = [pd.DataFrame(rng.normal(size=(1500, 2)), columns=list("ab")) for _ in range(2)]
        now, before = _foretold(2 * seed), _foretold(2 * seed + 1)
        found = tt.check(*frames, predictions=now[0], actuals=now[1], baseline=before)
        asked += found.decision.severity != "none"
    assert asked / checks <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / checks)


def test_columns_of_outcomes_may_be_named_among_those_that_are_not_compared(folder: Path) -> None:
    before, now = (frame.assign(y=frame["x"] > 0, p=True) for frame in _tables())
    _write(before, now)
    found = check_files(Path("ref.csv"), Path("new.csv"), Beside("p", "y"), without=["y", "x"])
    assert found.left_out == check_files(Path("ref.csv"), Path("new.csv"), Beside("p", "y"), without=["x"]).left_out


# -- what does not fit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beside", "told"), [
    (Beside("now_p.npy"), "predictions and actuals go together"),
    (Beside(baseline_predictions="base_p.npy", baseline_actuals="base_y.csv"), "need predictions of the recent"),
    (Beside("base_p.npy", "now_y.csv"), "of the recent records there are 2,000 predictions and 1,000 actuals"),
    (Beside("base_p.npy", "base_y.csv"), "there are 2,000 predictions for 1,000 recent records"),
    (Beside("said", "now_y.csv"), "the file new.csv has no column 'said', and a file's name has an ending"),
    (Beside("nix.npy", "now_y.csv"), "nix.npy: there is no such file"),
    (Beside("ref.parquet", "now_y.csv"), "ref.parquet: holds 5 columns, not one value per record"),
    (Beside("now_p.npy", "kind", task="regression"), "are no numbers"),
])
def test_outcomes_that_do_not_fit_are_refused(folder: Path, beside: Beside, told: str) -> None:
    _write(*_tables())
    with pytest.raises(DataError, match=told):
        check_files(Path("ref.csv"), Path("new.csv"), beside)


@pytest.mark.parametrize(("change", "told"), [
    (lambda frame: frame.drop(columns="kind"),
     "the two tables differ in their columns: only the file ref.csv has 'kind'"),
    (lambda frame: frame.iloc[:0], "the file new.csv is empty"),
    (lambda frame: frame.assign(x="much"), "column 'x' holds float64 in the file ref.csv, string in the file new.csv"),
])
def test_files_that_do_not_fit_each_other_are_refused(folder: Path, change: Any, told: str) -> None:
    before, now = _tables()
    before.to_csv("ref.csv", index=False)
    change(now).to_csv("new.csv", index=False)
    with pytest.raises(DataError, match=told):
        check_files(Path("ref.csv"), Path("new.csv"), Beside())


@pytest.mark.parametrize(("typed", "told"), [
    ("drift.psi_warm=1", "drift.psi_warm: unknown key; known here: psi_warn, psi_alert"),
    ("model=x", "model: unknown key; known here: drift, triggers"),
    ("drift.psi_alert=much", r"drift.psi_alert: should be a valid number.*\(it is 'much'\)"),
    ("drift.psi_alert", "write it as key=value"),
])
def test_overrides_that_are_none_are_refused(folder: Path, typed: str, told: str) -> None:
    _write(*_tables())
    with pytest.raises(ParamsError, match=told):
        check_files(Path("ref.csv"), Path("new.csv"), Beside(), overrides=[typed])


def test_missing_outcomes_are_refused_whatever_holds_them() -> None:
    frame = pd.DataFrame({"x": np.arange(100.0)})
    with pytest.raises(DataError, match="the actuals of the recent records hold 1 values that are missing or infinite"):
        tt.check(frame, frame, predictions=frame["x"], actuals=frame["x"].where(frame["x"] > 0))
    with pytest.raises(DataError, match="the predictions of the recent records hold missing values"):
        tt.check(frame, frame, predictions=[None, *"a" * 99], actuals=["a"] * 100)
    with pytest.raises(DataError, match=r"are of shape \(100, 1\), not one value per record"):
        tt.check(frame, frame, predictions=frame, actuals=frame["x"])
    with pytest.raises(DataError, match="1,000 distinct values, too many for classes"):
        said(([str(i) for i in range(1000)], ["1"] * 1000))


# -- the command -------------------------------------------------------------------------------------------------------


def _typed(*words: str) -> subprocess.CompletedProcess[str]:
    trimtab = Path(sys.executable).with_name("trimtab")
    return subprocess.run([trimtab, "check", *words], capture_output=True, text=True, check=False)


def test_a09_command_prints_the_decision_for_plain_files_and_leaves_nothing_behind(folder: Path) -> None:
    _write(*_tables(moved=2.0))
    before = sorted(folder.iterdir())
    words = ("--reference", "ref.csv", "--recent", "new.csv", "--predictions", "now_p.npy", "--actuals", "now_y.csv")
    told = _typed(*words)
    assert told.returncode == 0
    assert told.stdout.startswith("decision: retrain (severity high, confidence > 0.99)\n  - 1 of 2 input columns")
    assert "1,000 records against 2,000: 2 columns compared, 1 drifted: x\nleft out: at (timestamp)\n" in told.stdout
    told = _typed("--reference", "ref.csv", "--recent", "new.csv", "--text", "kind")
    assert "2,000: 2 columns compared and how long texts are, " in told.stdout
    gently = _typed(*words, "--set", "drift.psi_alert=9", "--set", "drift.psi_warn=0.1")
    assert gently.stdout.startswith(
        "decision: no retraining by the rules (severity medium; probability that something changed > 0.99)")
    found = json.loads(_typed(*words, "--json").stdout)
    assert found["decision"]["needs_retrain"] is True
    assert found["drifted"] == ["x"]
    assert found["records"] == {"reference": ROWS, "recent": NOW}
    assert set(found["metrics"]["recent"]) == {"mae", "rmse", "r2"}
    assert {"feature_drift", "concept_drift"} <= {signal["name"] for signal in found["signals"]}
    refused = _typed("--reference", "ref.csv", "--recent", "nix.csv")
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", "trimtab: nix.csv: there is no such file\n")
    assert sorted(folder.iterdir()) == before


def test_memory_of_a_check_does_not_grow_with_the_files(folder: Path) -> None:
    """Files of 154 MB each, beside 39 MB, take at most a third of what they have more; kept as numbers it were 0.42."""
    resident, size = [], []
    columns = ", ".join(f"random() AS x{place}" for place in range(8))
    for rows in (250_000, 1_000_000):
        for name in ("ref.csv", "new.csv"):
            duckdb.sql(f"COPY (SELECT {columns} FROM range({rows})) TO '{name}' (HEADER)")
        words = [Path(sys.executable).with_name("trimtab"), "check", "--reference", "ref.csv", "--recent", "new.csv"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        _, process.returncode, used = os.wait4(process.pid, 0)
        assert process.returncode == 0
        resident.append(used.ru_maxrss * 1024)
        size.append(sum(Path(name).stat().st_size for name in ("ref.csv", "new.csv")))
    assert size[1] - size[0] > 200e6
    assert resident[1] - resident[0] < (size[1] - size[0]) / 3, (resident, size)

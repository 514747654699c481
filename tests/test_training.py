"""Training in a process of its own: under a limit, with the estimator's own words when it fails, tidy afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import BINARY, binary_table, merged
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

import trimtab as tt
from trimtab.act import modelfile, training
from trimtab.act import threads as threads_module
from trimtab.errors import ModelFileError, ParamsError, StepError, TimeLimitError, TrimtabError
from trimtab.run import lifecycle
from trimtab.settings.data import Data
from trimtab.settings.estimator import Candidate
from trimtab.settings.notation import parse_time

DATA = Data(table="t", time="at", label="y", numeric=("x", "z"))
AMPLE = timedelta(minutes=5)


class Misbehaving(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Does in `fit` what its `deed` says, after leaving its process id in a file."""

    def __init__(self, deed: str = "spin", pid_file: str | None = None) -> None:
        self.deed, self.pid_file = deed, pid_file

    def fit(self, features: Any, labels: Any) -> Misbehaving:
        if self.pid_file:
            beside = Path(self.pid_file + ".tmp")
            child = subprocess.Popen(["sleep", "600"]).pid if self.deed == "spin with a child" else os.getpid()
            beside.write_text(f"{os.getpid()} {child}")
            beside.rename(self.pid_file)
        if self.deed == "raise":
            raise ValueError("these numbers are not to my liking")
        if self.deed == "exit":
            os._exit(7)
        if self.deed == "remember":
            self.kept_ = _secret_recipe
            return self
        while True:
            pass

    def predict(self, features: Any) -> Any:
        return [0] * len(features)


def _secret_recipe() -> None:
    """A function that no reviewer has seen."""


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return binary_table(400)


def _train(candidate: Candidate, table: pd.DataFrame, folder: Path, limit: timedelta = AMPLE) -> training.Trained:
    return training.train("one", candidate, DATA, "classification", table, folder=folder, max_runtime=limit)


def _misbehaving(deed: str, pid_file: Path | None = None) -> Candidate:
    params: dict[str, Any] = {"deed": deed} | ({"pid_file": str(pid_file)} if pid_file else {})
    return Candidate(class_="test_training.Misbehaving", params=params)


def _is_running(pid: int) -> bool:
    """Whether there is such a process that is not a mere entry waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60    # never waited for unless something is wrong
    while not what():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def test_model_comes_out_in_a_folder_with_its_digest(table: pd.DataFrame, tmp_path: Path) -> None:
    made = _train(Candidate(class_="sklearn.linear_model.LogisticRegression"), table, tmp_path / "m" / "one")
    assert made.folder == tmp_path / "m" / "one"
    assert made.sha256 == modelfile.digest(made.folder / modelfile.FILE)
    assert (made.package, made.name) == ("sklearn", "one")
    model = modelfile.load(made.folder, sha256=made.sha256, package="sklearn")
    assert (model.predict(table[["x", "z"]]) == table["y"]).mean() > 0.7
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["one"]


def test_native_code_is_killed_at_the_time_limit_and_leaves_nothing_behind(tmp_path: Path) -> None:
    big = pd.concat([binary_table(100_000)] * 3, ignore_index=True)
    candidate = Candidate(class_="sklearn.ensemble.GradientBoostingClassifier", params={"n_estimators": 5000})
    started = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"took longer than 1 s \(guardrails.max_runtime\) and was stopped"):
        _train(candidate, big, tmp_path / "one", timedelta(seconds=1))
    assert time.monotonic() - started < 60    # the whole fit would take an hour
    assert list(tmp_path.iterdir()) == []


def test_what_an_estimator_started_ends_with_it_at_the_time_limit(table: pd.DataFrame, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(TimeLimitError):
        _train(_misbehaving("spin with a child", pids), table, tmp_path / "one", timedelta(seconds=5))
    for pid in map(int, pids.read_text().split()):
        _wait_until(lambda pid=pid: not _is_running(pid))    # type: ignore[misc]  # mypy does not infer such lambdas


def test_estimator_that_raises_is_quoted(table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="Misbehaving failed: ValueError: these numbers are not to my liking"):
        _train(_misbehaving("raise"), table, tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("values_for_one", "limit", "threads"), [(1000, "2", 1), (100, "2", 2), (100, "1", 1)])
def test_only_a_table_that_keeps_them_busy_is_fitted_by_more_threads_than_one(
    values_for_one: int, limit: str, threads: int, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads_module, "_VALUES_PER_THREAD", values_for_one)
    monkeypatch.setenv("OMP_THREAD_LIMIT", limit)
    monkeypatch.setenv("OMP_NUM_THREADS", "1,1")    # for nested loops, too
    with threads_module.enough_for(table[["x", "z"]].size):    # 400 records of two features
        assert _openmp_effective_n_threads() == threads


def test_process_that_dies_is_told_with_its_exit_code(table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"ended without an answer \(exit code 7\)"):
        _train(_misbehaving("exit"), table, tmp_path / "one")


def test_model_that_may_not_be_loaded_later_is_not_written(table: pd.DataFrame, tmp_path: Path) -> None:
    candidate = Candidate(class_="sklearn.linear_model.LogisticRegression")
    vouched = training.train(
        "one", candidate, DATA, "classification", table, folder=tmp_path / "fine", max_runtime=AMPLE
    )
    assert vouched.folder.is_dir()
    with pytest.raises(ModelFileError, match="not reviewed"):
        _train(
            Candidate(class_="sklearn.ensemble.VotingClassifier", params={"estimators": [("a", _Foreign())]}),
            table, tmp_path / "one",
        )
    assert not (tmp_path / "one").exists()


class _Foreign(Misbehaving):
    """Fits well, but is of a package that the params file does not name."""

    def fit(self, features: Any, labels: Any) -> _Foreign:
        self.classes_ = [False, True]
        return self


def test_unknown_estimator_param_is_an_error_in_the_params(table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"estimator.params: .*no_such"):
        _train(
            Candidate(class_="sklearn.linear_model.LogisticRegression", params={"no_such": 1}), table, tmp_path / "one"
        )


def test_training_ends_when_the_process_that_asked_for_it_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from datetime import timedelta\nfrom pathlib import Path\nfrom conftest import binary_table\n"
        "from test_training import AMPLE, _misbehaving, _train\n"
        "if __name__ == '__main__':\n"
        f"    candidate = _misbehaving('spin with a child', Path({str(pids)!r}))\n"
        f"    _train(candidate, binary_table(100), Path({str(tmp_path)!r}) / 'one')\n"
    )
    asking = subprocess.Popen([sys.executable, "-c", code])
    _wait_until(pids.exists)
    asking.kill()
    asking.wait()
    for pid in map(int, pids.read_text().split()):
        _wait_until(lambda pid=pid: not _is_running(pid))    # type: ignore[misc]  # mypy does not infer such lambdas


# -- training as a run does it ---------------------------------------------------------------------------------------


def test_all_candidates_are_registered_and_the_best_goes_forward(project: Callable[..., Path]) -> None:
    several = merged(BINARY)
    several["estimator"] = {"candidates": {
        "guess": {"class": "sklearn.dummy.DummyClassifier"},
        "margins": {"class": "sklearn.svm.LinearSVC"},    # no probabilities, so no ROC AUC to win by
        "logistic": {"class": "sklearn.linear_model.LogisticRegression"},
    }}
    session = tt.open(project(several, binary_table(1500)))
    best = lifecycle.train(session, None)
    assert best.name == "logistic"
    choice = session.choice_window()
    assert parse_time(best.lineage["trained_until"]) == choice.start
    assert parse_time(best.lineage["holdout_from"]) == choice.end, "what chose it does not judge it"
    assert abs(choice.rows - best.lineage["holdout_records"]) <= 1
    assert [v.version for v in session.registry.versions()] == [1, 2, 3]
    assert best.others["guess"] == pytest.approx(0.5, abs=0.05)
    assert pd.isna(best.others["margins"])
    (event,) = session.ledger.retrains.retrain_events()
    assert event["new_version"] == best.version
    assert session.registry.champion() is None


def test_failed_training_closes_its_event_with_the_reason_and_leaves_the_registry_alone(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "a-place-that-is-secret")
    broken = merged(BINARY)
    broken["estimator"] = {"class": "sklearn.svm.SVC", "params": {"kernel": "${PLACE}"}}
    session = tt.open(project(broken, binary_table(1500)))
    with pytest.raises(TrimtabError, match="kernel"):
        lifecycle.train(session, None)
    (event,) = session.ledger.retrains.retrain_events()
    assert event["finished_at"] is not None
    assert "sklearn.svm.SVC" in event["notes"]
    assert "a-place-that-is-secret" not in event["notes"]
    assert session.registry.versions() == []


def test_candidates_share_one_time_limit(project: Callable[..., Path]) -> None:
    slow = merged(BINARY, guardrails={"max_runtime": "6s"})
    spin = {"class": "test_training.Misbehaving"}
    slow["estimator"] = {"candidates": {"a": spin, "b": spin}, "trusted": ["test_training"]}
    session = tt.open(project(slow, binary_table(500)))
    started = time.monotonic()
    with pytest.raises(TimeLimitError):
        lifecycle.train(session, None)
    assert time.monotonic() - started < 60
    assert "max_runtime" in session.ledger.retrains.retrain_events()[0]["notes"]

"""A new champion beside the one before, on records that are new to both."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import BINARY, binary_table, copy_home, merged
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import trimtab as tt
from trimtab.act import champion as champions
from trimtab.act import modelfile, succession
from trimtab.decide.watch import looked_at
from trimtab.run import lifecycle, watching
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, run
from trimtab.run.session import Session

PROMOTED = datetime(2024, 4, 1)
LATER = "2024-04-11"
NOTHING = ("There is nothing to watch: no promotion is being watched (one is for 360 hours from when it took another's "
           "place, a rollback never).")
TREE: dict[str, Any] = merged(
    BINARY, data={"numeric": ["x", "z"], "categorical": []}, rollback={"watch": "15d"}, as_of="2024-04-01")


@pytest.fixture(scope="module")
def first(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which version 1 serves, made as of the time at which others are promoted; tests copy it."""
    home = tmp_path_factory.mktemp("watching") / "home"
    shutil.copytree(fresh_home, home)
    binary_table(6000, seed=3).to_parquet(home / "records.parquet")    # 50 a day
    (home / "demo.yaml").write_text(yaml.safe_dump(TREE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", str(home))
        session = tt.open(home / "demo.yaml")
        contest = lifecycle.first_champion(session)
        lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
        session.close()
    return home


@pytest.fixture
def params(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    copy_home(first, home)
    monkeypatch.setenv("TRIMTAB_HOME", str(home))
    return home / "demo.yaml"


def learned(table: pd.DataFrame, columns: list[str], *, wrong: float = 0.0) -> Any:
    """A model of these columns, of whose labels a share is turned round."""
    turned = np.random.default_rng(0).uniform(size=len(table)) < wrong
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(table[columns], table["y"] ^ turned)


def promoted(session: Session, estimator: Any, *, as_of: datetime = PROMOTED) -> int:
    """Register a model that somebody made elsewhere, and promote it."""
    folder = session.home / "made"
    modelfile.save(estimator, folder, package="sklearn", requirements=["scikit-learn"])
    version = session.registry.register(folder, tags={"run_id": "none"}, metrics={})
    shutil.rmtree(folder)
    champions.change(
        session.ledger, session.registry, kind="promotion", expected=session.registry.champion(), to_version=version,
        run_id="none", as_of=as_of, by="me", why="a test")
    return version


def again_like_the_first(session: Session) -> int:
    """Another version that Trimtab made, evaluated, so that its holdout is kept, and promoted."""
    made = lifecycle.train(session, None)
    contest = lifecycle.evaluate_challenger(session, session.model(made.version))
    lifecycle.appoint(session, contest, lifecycle.judge(session, contest))
    return made.version


def table(params: Path) -> pd.DataFrame:
    return pd.read_parquet(params.parent / "records.parquet")


def _run(params: Path, pipeline: str, **settings: Any) -> Outcome:
    return run(Request(pipeline=pipeline, params=params, progress=False, **settings))


def test_a_first_champion_is_not_watched(params: Path) -> None:
    seen = watching.watch(tt.open(params, as_of=LATER))
    assert (seen.promotion, seen.finding.outcome) == (None, "nothing")
    assert seen.reading == NOTHING


def test_a_worse_champion_is_found_on_the_records_since(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    version = promoted(session, learned(table(params), ["x", "z"], wrong=0.9))    # mostly the other way round
    seen = watching.watch(session)
    evidence = seen.finding.evidence
    assert evidence is not None
    assert (seen.finding.outcome, evidence.way) == ("roll_back", "realised")
    assert seen.window is not None
    since = int(table(params)["at"].between(PROMOTED, "2024-04-10 23:59:59").sum())
    assert seen.window.rows == since
    assert evidence.records == looked_at(since)
    assert seen.values[version] < seen.values[1] - 0.2
    assert evidence.gain.high < 0
    assert seen.reading.startswith(f"By accuracy (realised, {evidence.records} records) version {version} is ")
    assert seen.reading.endswith(f": version {version} is rolled back.")


def test_a_champion_as_good_as_the_one_before_stays(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    promoted(session, learned(table(params), ["x", "z"]))
    assert watching.watch(session).finding.outcome == "keep"


def test_the_watch_ends(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-16")
    promoted(session, learned(table(params), ["x", "z"], wrong=0.9))
    assert watching.due(session) is not None    # fifteen days to the moment
    late = tt.open(params, as_of="2024-04-16 00:01")
    assert watching.due(late) is not None, "nobody has looked yet"
    late.ledger.start_run("look", pipeline="drift", run_dir="nowhere")
    late.ledger.finish_run("look", status="blocked", as_of=session.as_of, error=None, result={})
    assert watching.due(late) is None
    assert watching.due(tt.open(params, as_of="2024-04-01")) is None, "no record can be new yet"


def test_what_a_person_rolled_back_or_moved_is_not_watched(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    promoted(session, learned(table(params), ["x", "z"], wrong=0.9))
    lifecycle.roll_back(session, lifecycle.search(session).proof)
    assert watching.due(session) is None
    assert watching.watch(session).reading == NOTHING


@pytest.mark.parametrize(("written", "outcome", "told"), [
    (PROMOTED, "roll_back", "By accuracy (realised, "),
    (datetime(2030, 1, 1), "too_early", "Too early to tell: no record has come since version 2 was promoted (dated "
                                        "2031-01-01 00:00, later than now; 2024-04-11 00:00 counts)."),
])
def test_a_promotion_that_is_dated_later_than_now_is_watched(
    params: Path, monkeypatch: pytest.MonkeyPatch, written: datetime, outcome: str, told: str
) -> None:
    session = tt.open(params, as_of=LATER)
    monkeypatch.setattr(succession, "now", lambda: written)
    promoted(session, learned(table(params), ["x", "z"], wrong=0.9), as_of=datetime(2031, 1, 1))
    seen = watching.watch(session)
    assert seen.finding.outcome == outcome
    assert seen.reading.startswith(told)


def test_too_few_outcomes_and_no_estimate_is_too_early(params: Path) -> None:
    session = tt.open(params, as_of=LATER, overrides={"data.label_delay": "30d"})
    promoted(session, learned(table(params), ["x", "z"], wrong=0.9))    # of which no holdout is kept
    seen = watching.watch(session)
    assert seen.finding.outcome == "too_early"
    assert "fewer than 30 have outcomes, and accuracy of both cannot be estimated without" in seen.reading


def test_without_outcomes_both_are_estimated_with_an_interval_that_allows_for_both(params: Path) -> None:
    again_like_the_first(tt.open(params, as_of="2024-04-01", overrides={
        "windows.training.last": "60d", "promotion.criteria": [{"metric": "accuracy", "floor": 0.1}]}))
    session = tt.open(params, as_of=LATER, overrides={"data.label_delay": "30d"})
    seen = watching.watch(session)
    evidence = seen.finding.evidence
    assert evidence is not None
    assert (seen.finding.outcome, evidence.way) == ("keep", "estimated")
    assert seen.window is not None
    assert seen.window.labelled == 0
    assert abs(evidence.gain.value) < 0.02
    assert evidence.gain.low < -0.02 < 0.02 < evidence.gain.high


def test_logged_predictions_of_the_one_before_are_not_taken_for_the_new_ones(params: Path) -> None:
    known = table(params)
    known["said"] = known["y"]    # the log has every outcome right, whoever it was
    known.to_parquet(params.parent / "records.parquet")
    session = tt.open(params, as_of=LATER, overrides={"data.prediction": "said"})
    promoted(session, learned(known, ["x", "z"], wrong=0.9))
    assert watching.watch(session).finding.outcome == "roll_back"


def test_a_champion_whose_file_is_damaged_is_rolled_back(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    version = promoted(session, learned(table(params), ["x", "z"]))
    (session.folder_of(version) / modelfile.FILE).write_bytes(b"nothing")
    seen = watching.watch(session)
    assert seen.finding.outcome == "roll_back"
    assert seen.reading.startswith(f"Version {version} cannot serve and is rolled back: ")


@pytest.mark.parametrize(("as_of", "new"), [(LATER, True), ("2024-04-01 00:00:10", False)])
def test_a_champion_that_cannot_predict_is_rolled_back_also_before_any_record_has_come(
    params: Path, as_of: str, new: bool
) -> None:
    session = tt.open(params, as_of=as_of)
    version = promoted(session, learned(table(params), ["x"]))    # it knows nothing of z, which every record has
    seen = watching.watch(session)
    assert seen.window is not None
    assert (seen.finding.outcome, bool(seen.window.rows)) == ("roll_back", new)
    assert f"Version {version} could not predict any of" in seen.reading


def test_what_neither_version_can_answer_is_no_fault_of_the_new_one(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    blind = learned(table(params), ["x"])
    promoted(session, blind)
    promoted(session, blind)
    seen = watching.watch(session)
    assert seen.finding.outcome == "keep"
    assert seen.reading.startswith("Version 2 cannot be compared with: Version 2 could not predict any")


def test_a_version_before_that_is_damaged_leaves_the_new_one_in_place(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    promoted(session, learned(table(params), ["x", "z"], wrong=0.9))
    (session.folder_of(1) / modelfile.FILE).write_bytes(b"nothing")
    seen = watching.watch(session)
    assert seen.finding.outcome == "keep"
    assert "Version 1 cannot be compared with" in seen.reading


def test_facts_are_what_the_notebook_hands_on(params: Path) -> None:
    session = tt.open(params, as_of=LATER)
    nothing = watching.watch_facts(watching.watch(session))
    assert set(nothing) == {"outcome", "reading", "metric", "rows"}
    promoted(session, learned(table(params), ["x", "z"], wrong=0.9))
    facts = watching.watch_facts(watching.watch(session))
    assert (facts["champion"], facts["previous"], facts["way"]) == (2, 1, "realised")
    assert facts["gain"] == pytest.approx((facts["value_champion"] - facts["value_previous"]) / facts["value_previous"])


def test_drift_run_ends_with_the_rollback_of_a_worse_champion(params: Path) -> None:
    version = promoted(tt.open(params), learned(table(params), ["x", "z"], wrong=0.9))
    outcome = _run(params, "drift", as_of=LATER)
    assert outcome.error is None
    assert (outcome.result["verdict"], outcome.result["decision"]) == ("rolled_back", None)
    assert (outcome.result["champion_before"], outcome.result["champion_after"]) == (version, 1)
    (reason,) = outcome.because
    assert reason.endswith(f"version {version} is rolled back."), "on a terminal it is told below the verdict"
    session = tt.open(params, as_of=LATER)
    assert session.ledger.quarantine.held()[version].by == "trimtab"
    assert session.ledger.succession.rolled_back() == datetime(2024, 4, 11), "so the cooldown has begun"
    held = session.ledger.quarantine.held()[version]
    assert "(realised, " in held.why
    assert held.run_id == outcome.result["run_id"]
    assert watching.due(session) is None


def test_daily_schedule_whose_next_run_comes_a_little_after_the_watch_looks_once(params: Path) -> None:
    version = again_like_the_first(tt.open(params, overrides={
        "windows.training.last": "60d", "promotion.criteria": [{"metric": "accuracy", "floor": 0.1}]}))
    for as_of, steps in (("2024-04-16 00:00:12", ["07_watch"]), ("2024-04-17 00:00:15", [])):
        outcome = _run(params, "drift", as_of=as_of)
        assert outcome.error is None
        assert outcome.result["champion_after"] == version
        manifest = json.loads((Path(outcome.result["run_dir"]) / "run.json").read_text())
        assert [step["notebook"] for step in manifest["steps"]] == [*steps, "02_drift_analysis"]


def test_check_by_hand_looks_and_leaves_a_good_champion(params: Path) -> None:
    version = promoted(tt.open(params), learned(table(params), ["x", "z"]))
    outcome = _run(params, "watch", as_of=LATER)
    assert outcome.error is None
    assert (outcome.result["verdict"], outcome.result["champion_after"]) == (None, version)



"""Beyond all of them (X): tests of what is required, by its id in docs/requirements.md; see `promises`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import BINARY, binary_table
from promises import ROOT, challenged, params, two_models

import trimtab as tt
from trimtab.act import tables
from trimtab.decide.promotion import judge
from trimtab.errors import ChampionError, UsageError
from trimtab.measure.columns.bins import freeze_numeric
from trimtab.measure.columns.drift import compare
from trimtab.measure.columns.in_memory import profile_array
from trimtab.measure.columns.profile import Profile
from trimtab.measure.models.performance import evaluate_pair
from trimtab.records import Records
from trimtab.run import checking, lifecycle, notebooks, rollbacks
from trimtab.run.preflight import Request
from trimtab.run.runner import run
from trimtab.run.verifying import verify
from trimtab.settings.promotion import Criterion

__all__ = ["params"]    # a fixture


def _alarm_without_drift(rng: np.random.Generator, rows: int) -> bool:
    laws = [lambda n: rng.normal(size=n), lambda n: rng.lognormal(size=n),
            lambda n: np.where(rng.random(n) < 0.7, 0.0, rng.lognormal(size=n)),
            lambda n: np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))]
    before, now = {}, {}
    for place in range(20):
        law = laws[place % len(laws)]
        reference = law(5_000)
        bins = freeze_numeric(reference)
        before[f"x{place}"], now[f"x{place}"] = profile_array(reference, bins), profile_array(law(rows), bins)
    return bool(compare(Profile(before, 5_000), Profile(now, rows)).drifted())


@pytest.mark.parametrize(("rows", "checks"), [(50, 60), (1_000, 60), (20_000, 60), (1_000_000, 3)])
def test_x01_undrifted_windows_of_any_size_alarm_in_at_most_five_percent_of_checks(rows: int, checks: int) -> None:
    """Seed by size and check; `make bench` has the whole grid with 400 checks a cell. Three checks of a million rows
    show no more than that size does no harm by itself.
    """
    alarms = sum(_alarm_without_drift(np.random.default_rng([rows, check]), rows) for check in range(checks))
    assert alarms <= checks // 20


def test_x02_profiles_merge_exactly_and_the_reference_is_profiled_once(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    reference, current = session.windows()
    bins = session.profile(reference).bins
    middle = datetime(2024, 4, 5)
    halves = [
        session.records.profile(session.records.between("half", a, b), session.watched, bins)
        for a, b in ((current.start, middle), (middle, current.end))
    ]
    assert (halves[0] + halves[1]).columns == session.profile(current).columns
    again = tt.open(params, as_of="2024-04-15")
    again.ledger.save_profile = None  # type: ignore[method-assign, assignment]  # a second profiling would call it
    assert again.profile(again.reference_window()).columns == session.profile(reference).columns


def test_x02_windows_of_a_sliding_reference_are_sums_of_days_that_were_counted_once(
    params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = {"windows.reference": {"last": "50d", "until": "20d"}, "windows.current": {"last": "7d"}}
    counted: list[int] = []
    count = Records.days
    monkeypatch.setattr(Records, "days", lambda self, window, *rest: counted.append(window.rows) or count(
        self, window, *rest))
    for as_of in ("2024-04-14", "2024-04-15"):
        session = tt.open(params, as_of=as_of, overrides=windows)
        tt.compare(*(session.profile(window) for window in session.windows()))
    days = counted[-2:]
    assert len(counted) > 2
    assert max(days) <= 2 * session.windows()[1].rows / 7, "of each window only the new day is counted"


def test_x03_performance_is_estimated_without_labels_with_its_assumptions_beside_it(params: Path) -> None:
    session = tt.open(params, as_of="2024-04-15")
    found = checking.expected(session, checking.score(session, session.windows()[1]))
    one = found.first["roc_auc"]
    assert one.low <= one.value <= one.high
    assert [assumption.name for assumption in one.assumptions][-1] == "no concept drift"
    assert one.assumptions[-1].holds is None    # which nobody can know without labels


def test_x04_what_cannot_be_evaluated_has_not_passed_and_thin_evidence_holds() -> None:
    champion, challenger = two_models(0.60, 0.65, n=100)
    too_few = [Criterion(metric="accuracy", min_gain=0.0, min_support=1000)]
    assert judge(too_few, evaluate_pair(challenger, champion)).outcome == "hold"
    no_scores = [Criterion(metric="roc_auc", floor=0.5)]
    verdict = judge(no_scores, evaluate_pair(challenger, champion))
    assert (verdict.outcome, verdict.rows[0].finding) == ("hold", "not evaluable")


def test_x05_promotion_is_refused_when_somebody_else_moved_the_champion(params: Path) -> None:
    session, made = challenged(params)
    contest = lifecycle.evaluate_challenger(session, session.model(made.version))
    session.registry.set_champion(made.version)
    with pytest.raises(ChampionError, match="not 1 as expected"):
        lifecycle.appoint(session, contest, judge([Criterion(metric="accuracy", floor=0.1)], contest.evaluation))


def test_x06_rollback_proves_that_the_old_version_predicts_before_it_flips(params: Path) -> None:
    session, made = challenged(params)
    proof = rollbacks.prove(session, made.version)
    assert proof.rows > 0
    assert 0 <= proof.agreement <= 1
    assert session.registry.champion() == 1
    with pytest.raises(UsageError, match="no version 9"):
        rollbacks.targets(session, 9)


def test_x07_changed_notebook_manifest_and_row_of_the_ledger_are_each_named(
    project: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "books").mkdir()
    shutil.copy(ROOT / "tests" / "notebooks" / "broken.ipynb", home / "books" / "01_baseline.ipynb")
    monkeypatch.setattr(notebooks, "folder", lambda: home / "books")
    params = project(BINARY, binary_table(800))
    for _ in range(2):
        outcome = run(Request(pipeline="baseline", params=params, progress=False))
    folder = Path(outcome.result["run_dir"])
    assert verify(params).holds
    for name in ("01_baseline.ipynb", "run.json"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b" ")
        assert [one.told for one in verify(params).findings] == [f"{folder / name} was changed"]
        (folder / name).write_bytes(content)
    engine = tt.open(params).ledger.engine
    with engine.begin() as connection:
        connection.execute(tables.runs.update().where(tables.runs.c.run_id == folder.name).values(status="succeeded"))
    assert [one.told for one in verify(params).findings] == [f"ledger: runs, run {folder.name} was changed"]


def test_x08_a_replay_never_sees_later_records_or_labels(params: Path) -> None:
    session = tt.open(params, as_of="2024-02-10", overrides={"data.label_delay": "5d"})
    frame = session.records.arrow(session.records.visible.select("at", "y")).to_pandas()
    assert frame["at"].max() < datetime(2024, 2, 10)
    assert frame.loc[frame["at"] > datetime(2024, 2, 5), "y"].isna().all()
    assert frame.loc[frame["at"] <= datetime(2024, 2, 5), "y"].notna().all()

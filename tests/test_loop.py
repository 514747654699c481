"""The whole loop on small tables, in this process, without notebooks: the values that notebooks pass on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conftest import BINARY, binary_table, merged

import trimtab as tt
from trimtab.run import checking, lifecycle


def test_first_model_is_accepted_without_comparison_and_a_drifted_window_asks_for_retraining(
    project: Callable[..., Path],
) -> None:
    params = project(BINARY, binary_table(shift=2.0))
    start = tt.open(params, as_of="2024-02-20")
    contest = lifecycle.first_champion(start)
    made = lifecycle.appoint(start, contest, lifecycle.judge(start, contest))
    assert (made.champion_before, made.champion_after) == (None, 1)
    assert "no champion" in made.verdict.reasons[0]

    later = tt.open(params, as_of="2024-04-15")
    reference, current = later.windows()
    drift = tt.compare(later.profile(reference), later.profile(current))
    assert drift["x"].excess > 0.25
    assert drift["noise"].q_value > 0.05
    scored = checking.score(later, current)
    found = checking.signals(later, drift, scored, current)
    decision = tt.decide(found, later.params)
    assert decision.needs_retrain
    assert decision.root_causes[0] == "x"
    guard = checking.guard(later, decision)
    assert guard.allowed
    challenger = lifecycle.train(later, guard, trigger=decision)
    assert later.registry.champion() == 1
    contest = lifecycle.evaluate_challenger(later, later.model(challenger.version))
    verdict = lifecycle.judge(later, contest)
    assert verdict.outcome == "promote"
    appointed = lifecycle.appoint(later, contest, verdict)
    assert (appointed.champion_before, appointed.champion_after) == (1, 2)
    change = lifecycle.roll_back(later, lifecycle.search(later).proof)
    assert change.to_version == 1 == later.registry.champion()


def test_challenger_that_cannot_clear_the_bound_is_not_promoted(project: Callable[..., Path]) -> None:
    strict = merged(BINARY, promotion={"criteria": [{"metric": "roc_auc", "min_gain": 0.2}]})
    params = project(strict, binary_table())
    start = tt.open(params, as_of="2024-02-20")
    contest = lifecycle.first_champion(start)
    lifecycle.appoint(start, contest, lifecycle.judge(start, contest))
    later = tt.open(params, as_of="2024-04-15")
    challenger = lifecycle.train(later, None)
    contest = lifecycle.evaluate_challenger(later, later.model(challenger.version))
    verdict = lifecycle.judge(later, contest)
    assert verdict.outcome == "reject"
    assert lifecycle.appoint(later, contest, verdict).champion_after == 1

"""Benchmarks: what is drawn is known, shortcuts give what a check gives, and verdicts follow from the figures."""

from __future__ import annotations

import importlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import alarms
import confidence
import days
import draws
import fault_trials
import harm
import nbformat
import null
import numpy as np
import power
import pytest
import replays
import run as bench
import show
import vocabulary
import warm
import whole
from faults import trials

from trimtab.decide.signals import FAMILIES, SIGNALS, Signal, default_triggers
from trimtab.measure.columns.drift import compare
from trimtab.measure.words.tokens import tokenise
from trimtab.settings import Params
from trimtab.settings.drift import DriftSettings

NULLS = next(shift for shift in draws.SHIFTS if shift.change == "null" and shift.kind == "normal")


@pytest.mark.parametrize("part", bench.known())
def test_every_part_can_be_measured_and_shown(part: str) -> None:
    module = importlib.import_module(bench.module_of(part))
    assert callable(module.measure)
    assert callable(module.show)


def test_the_document_says_what_the_results_say() -> None:
    assert bench.DOCUMENT.read_text() == bench.document(bench.results())
    assert bench.STORIES.read_text() == bench.stories(bench.results())


def test_b22_cycles_beside_the_older_system_are_measured() -> None:
    kept = {one["part"]: one["found"] for one in bench.results()}
    cycles = kept["loop"]["cycles"]
    assert [one["records"] for one in cycles] == [2000, 5000, 10000]
    assert all(one["seconds"] < one["quoted"] / 2 for one in cycles)
    assert {"power", "null"} <= kept.keys()
    signals, decision = warm._sums(kept["warm"]["taken"]["new window"]["seconds"])
    assert (0 < signals < 0.5, 0 < decision < 0.1) == (True, True)


def test_the_timed_check_makes_the_calls_of_the_notebook() -> None:
    notebook = nbformat.read(bench.ROOT / "notebooks" / "02_drift_analysis.ipynb", as_version=4)
    cells = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    shown = {"primary_metric", "loss_thresholds", "past_signals", "decision_facts", "overall"}
    made = Path(whole.__file__).read_text()
    called = [set(re.findall(r"tt\.checking\.(\w+)", text)) for text in (cells, made)]
    assert called[0] - shown == called[1]


def test_one_fault_that_leaves_something_wrong_or_too_few_trials_miss_the_bar() -> None:
    def _verdict(trials: int, *wrong: list[str]) -> str:
        return fault_trials._bar("kill", {"trials": trials, "wrong": list(wrong)})["verdict"]

    assert (_verdict(120), _verdict(99), _verdict(120, ["the runner killed", "lost"])) == ("met", "missed", "missed")
    kill = {"trials": 120, "wrong": [["the runner killed", "lost"]]}
    shown = fault_trials.show({"seed": 1, "faults": {"kill": kill}})
    assert "| 120 | 1 |" in shown
    assert "- kill: the runner killed; lost" in shown
    assert fault_trials.WHAT.keys() == trials.FAULTS.keys()


def test_a_replay_makes_no_check_of_its_own() -> None:
    made = Path(replays.__file__).read_text()
    assert made.count("whole.check(") == 1
    assert set(re.findall(r"tt\.checking\.(\w+)", made)) == {"primary_metric", "overall"}    # of what was checked


def test_every_signal_that_a_replay_can_see_is_evidence_of_one_kind_or_left_out_with_a_reason() -> None:
    named = [name for names in FAMILIES.values() for name in names] + list(replays.LEFT_OUT)
    assert sorted(named) == sorted(SIGNALS)
    assert {trigger.signal for trigger in default_triggers(DriftSettings())} <= set(named)
    assert set(replays.WITHOUT_LABELS) < set(FAMILIES)
    assert all(replays.LEFT_OUT.values())


PARAMS = Params.model_validate({
    "model": "m", "task": "regression", "data": {"table": "t", "time": "at", "numeric": ["x"]},
    "estimator": {"class": "sklearn.linear_model.Ridge"},
})


@pytest.mark.parametrize(("name", "asking"), [
    ("word_drift", {"all signals", "without labels", "inputs"}),
    ("class_drop", {"all signals", "classes"}),
    ("model_age", {"all signals"}),
])
def test_a_replay_says_which_kind_of_evidence_asks_for_retraining(name: str, asking: set[str]) -> None:
    alarm = Signal(name, 1.0, 0.5, 0.001, "high", (), "It moved.")
    quiet = Signal("joint_drift", 0.5, 0.55, 0.8, "none", (), "Nothing moved.")
    asked = replays._asked(SimpleNamespace(params=PARAMS), [alarm, quiet])    # type: ignore[arg-type]
    assert {kind for kind, retrain in asked.items() if retrain} == asking


def test_a_part_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit, match="no such part: sped; known: loop, "):
        bench.main(["sped"])


def test_the_document_keeps_the_figures_of_parts_that_did_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _part(name: str) -> SimpleNamespace:
        return SimpleNamespace(measure=lambda: {"of": name}, show=lambda found: f"## {found['of']} measured")

    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(bench, "DOCUMENT", tmp_path / "benchmarks.md")
    monkeypatch.setattr(bench, "known", lambda: ("one", "two"))
    monkeypatch.setattr(bench.importlib, "import_module", _part)
    monkeypatch.setattr(bench.subprocess, "run", lambda words, **_: bench.main(words[2:]))    # not in another process
    bench.main([])
    monkeypatch.setattr(bench.importlib, "import_module", lambda name: _part(name if name == "two" else "again"))
    bench.main(["one"])
    assert [json.loads(file.read_text())["part"] for file in sorted((tmp_path / "results").iterdir())] == ["one", "two"]
    assert bench.DOCUMENT.read_text().index("## again measured") < bench.DOCUMENT.read_text().index("## two measured")


def test_draws_are_the_same_each_time_and_differ_from_one_repetition_to_the_next() -> None:
    prints = [draws.digest(draws.tables(200, m, repetition)) for m, repetition in ((50, 0), (50, 0), (50, 1), (60, 0))]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_of_fifty_columns_only_those_that_move_are_replaced() -> None:
    still, moved = draws.tables(200, 50, 0), draws.tables(200, 50, 0, NULLS, 5)
    for before, after in zip(still, moved, strict=True):
        assert len(before) == len(after) == draws.COLUMNS
        assert [name for name in after if name not in before] == [f"moved {i}" for i in range(5)]
        assert all(np.array_equal(after[name], before[name], equal_nan=True) for name in after if name in before
                   and after[name].dtype.kind == "f")
    assert not any(np.isnan(moved[0][f"moved {i}"]).any() for i in range(5))
    assert any(np.isnan(moved[1][f"moved {i}"]).any() for i in range(5))


@pytest.mark.parametrize("tunable", [draws.TUNABLE[0], draws.TUNABLE[4]], ids=["numbers", "levels"])
def test_a_tuned_shift_has_the_psi_that_was_asked_for(
    tunable: tuple[str, str, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "TUNING_DRAWS", 20_000)
    # Halving the range sixteen times leaves the amount known to 1/65,536 of it.
    assert power.true_psi(power.tuned(*tunable, 0.25)) == pytest.approx(0.25, abs=1e-3)


def test_psi_is_infinite_where_something_comes_that_was_never_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "TUNING_DRAWS", 20_000)
    found = {shift.name: power.true_psi(shift) for shift in draws.SHIFTS}
    assert [name for name, psi in found.items() if math.isinf(psi)] == [
        "new level, 1 %, beside 50", "new level, 1 %, beside 1000", "nulls 0 → 5 %"
    ]


def test_columns_compared_once_and_put_together_give_what_whole_checks_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "REFERENCE", 400)
    monkeypatch.setattr(power, "CURRENTS", (300,))
    seen = power.checks([(NULLS, (1, 5))], 0)
    for k in (1, 5):
        before, now = draws.tables(400, 300, 0, NULLS, k)
        frozen = alarms.freeze(before)
        drift = compare(alarms.profile(frozen, before), alarms.profile(frozen, now))
        expected = {
            name: any(column.name.startswith("moved") for column in drift.drifted(alpha=alpha))
            for name, alpha in alarms.ALPHAS.items()
        }
        assert seen[NULLS.name, k, 300] == expected


def test_controls_always_and_never_fire() -> None:
    columns = draws.reference(100, 0)
    before = alarms.profile(alarms.freeze(columns), columns)
    raised = alarms.raised(compare(before, before))
    assert (raised["always"], raised["never"]) == (True, False)
    assert not any(raised[name] for name in alarms.ALPHAS)


@pytest.mark.parametrize(("worst", "verdict"), [(0.05, "met"), (0.0525, "missed")])
def test_false_alarms_in_one_cell_are_enough_to_miss_the_bar(worst: float, verdict: str) -> None:
    rates = np.zeros((len(null.REFERENCES), len(null.CURRENTS)))
    rates[1, 2] = worst
    found = {"repetitions": 400, "rates": dict.fromkeys(alarms.ALPHAS, rates.tolist())}
    assert {one["verdict"] for one in null._bars(found)} == {verdict}


@pytest.mark.parametrize(("worst", "verdict"), [(0.05, "met"), (0.0525, "missed")])
def test_false_alarms_for_one_luck_of_days_are_enough_to_miss_the_bar(worst: float, verdict: str) -> None:
    rates = [0.0] * (len(days.CELLS) - 1) + [worst]
    found = {"repetitions": 400, "false": dict.fromkeys(alarms.ALPHAS, rates)}
    assert {days._bar(found, name)["verdict"] for name in alarms.ALPHAS} == {verdict}


def test_days_have_the_luck_and_the_memory_that_are_asked_for() -> None:
    """Of 15 columns of 67 days a correlation of 0.4 is known to 0.03, and is 0.03 lower without the mean."""
    drawn = days.drawn(days.Days(luck=0.3, stays=0.4, each=100), 0)
    means = np.array([values.reshape(-1, 100).mean(axis=1) for values in drawn.values()])
    assert means.var() == pytest.approx(0.3 + 0.7 / 100, abs=0.06)
    assert np.mean([np.corrcoef(one[:-1], one[1:])[0, 1] for one in means]) == pytest.approx(0.37, abs=0.1)


def test_only_the_column_that_moves_differs_between_the_windows_of_days() -> None:
    _, now, moved = days.profiles(days.CELLS[0], 0)
    assert [name for name in now.columns if now.columns[name] != moved.columns[name]] == ["0 normal"]


@pytest.mark.parametrize("name", draws.FLAT)
def test_flat_levels_are_equally_common_until_a_fifth_of_them_vanishes(name: str) -> None:
    """40,000 records: five standard errors of a level's share are 0.0035 and 0.0018."""
    rng, levels = np.random.default_rng(0), draws.FLAT[name]
    values = draws.draw(rng, name, 40_000)
    shift = next(shift for shift in draws.SHIFTS if shift.kind == name)
    before, after = (np.bincount(one, minlength=levels) / 40_000 for one in (values, shift.apply(rng, values)))
    assert before == pytest.approx(np.full(levels, 1 / levels), abs=0.0035)
    assert (after[: levels // 5] == 0).all()
    assert after[levels // 5 :] == pytest.approx(np.full(levels - levels // 5, 1.25 / levels), abs=0.004)


def test_a_bar_is_met_or_missed_by_what_was_measured() -> None:
    met, missed = (show.bar("speed", "6 s", f"{seconds} s", met=seconds <= 6) for seconds in (5.0, 7.0))
    rows = show.bars([met, missed]).splitlines()[2:]
    assert rows == ["| speed | 6 s | 5.0 s | met |", "| speed | 6 s | 7.0 s | missed |"]


def test_a_rate_of_none_or_all_has_an_error_too() -> None:
    assert alarms.error(0.5, 100) == pytest.approx(0.05)
    assert alarms.error(0.0, 100) == pytest.approx(alarms.error(1.0, 100)) == pytest.approx(0.00705, abs=1e-5)


def _told(said: float, true: float, checks: int = 200) -> list[confidence.Told]:
    """Checks that say a probability, of which a share had changed."""
    return [
        confidence.Told(i % 16, "outcomes" if i < true * checks else "", 100, said > 0.5, max(said, 1 - said))
        for i in range(checks)
    ]


def test_groups_of_checks_are_calibrated_where_as_many_had_changed_as_was_said() -> None:
    honest = confidence._group(_told(0.9, 0.9), 0.8, 0.95)
    assert (honest["checks"], honest["said"], honest["true"]) == (200, pytest.approx(0.9), pytest.approx(0.9))
    assert confidence._gap(honest) == 0
    # Three errors of 0.9 in 200 checks are 0.064, and one check is 0.005; champions hardly differ.
    assert confidence._gap(confidence._group(_told(0.9, 0.7), 0.8, 0.95)) == pytest.approx(0.2 - 0.0686, abs=1e-3)


def test_checks_of_one_champion_are_not_taken_for_independent_ones() -> None:
    """Of sixteen champions two are wrong in all of their checks: the mean over champions has an error of its own."""
    told = [replace(one, champion=i // 12, changed="outcomes" if i // 12 not in (3, 9) else "")
            for i, one in enumerate(_told(0.9, 0.9, 192))]
    group = confidence._group(told, 0.8, 0.95)
    shares = np.repeat([1.0, 0.0], [14, 2]) - 0.9
    assert group["error"] == pytest.approx(np.sqrt(((shares - shares.mean()) ** 2).sum() * 16 / 15) / 16)
    assert group["error"] > 3 * np.sqrt(0.9 * 0.1 / 192)
    assert confidence._group(_told(0.9, 0.9), 0.8, 0.95)["error"] == pytest.approx(np.sqrt(0.9 * 0.1 / 200))


def test_a_group_without_checks_says_nothing_against_calibration() -> None:
    assert confidence._gap(confidence._group(_told(0.9, 0.9), 0.2, 0.5)) == 0


def test_confidence_in_not_retraining_is_what_is_left_of_the_probability() -> None:
    assert confidence.Told(0, "", 100, retrain=False, confidence=0.8).probability == pytest.approx(0.2)
    assert confidence.Told(0, "", 100, retrain=True, confidence=0.8).probability == pytest.approx(0.8)


def _month(**said: object) -> harm.Check:
    """A check that found a loss of a fifth, beside which no peer said anything."""
    quiet = {"any": {"mae": False}, "half": {"mae": False}, "values": {"mae": 1.0}}
    return {
        "story": "s", "done": harm.AS_IT_WAS, "metric": "mae", "drop": 0.2, "beyond chance": True,
        "asked": {replays.UNLABELLED: True, replays.EVERYTHING: True},
        "baseline": {"mae": 1.0}, "realised": {"mae": 1.2},
        "estimates": {"mae": {"value": 1.1, "doubtful": []}},
        "peers": {"evidently": {"dataset drift": False, "some column": False},
                  "univariate": {"any": False, "half": False}, "estimates": quiet},
    } | said


SILENT = {replays.UNLABELLED: False, replays.EVERYTHING: True}
QUIET_MONTH = {"drop": 0.0, "asked": SILENT}


def _verdicts(checks: list[harm.Check]) -> dict[str, str]:
    return {one["bar"].split(":")[0].split(" against")[0]: one["verdict"] for one in harm._bars(checks)}


def test_harm_is_foretold_where_alarms_beat_the_peers_and_estimates_come_nearer() -> None:
    assert _verdicts([_month(), _month(**QUIET_MONTH)]) == {
        "error of the estimate without labels": "met", "alarms without labels": "met",
    }


@pytest.mark.parametrize(("rival", "errors"), [
    ({"baseline": {"mae": 1.15}}, "100% more than nothing changed"),
    ({"estimates": {"mae": {"value": 1.0, "doubtful": []}}}, "as nothing changed"),
    ({"estimates": {"mae": {"value": 1.1, "doubtful": ["overlap"]}}, "baseline": {"mae": 1.15}}, "relied on 0.05"),
])
def test_an_estimate_that_is_no_nearer_than_its_rivals_misses_its_bar(rival: dict[str, object], errors: str) -> None:
    found = harm._bars([_month(**rival)])[0]
    assert found["verdict"] == "missed"
    assert errors in found["measured"]


def test_an_alarm_every_time_misses_the_bar_however_many_losses_it_finds() -> None:
    checks = [_month(), _month(drop=0.0)]
    assert _verdicts(checks)["alarms without labels"] == "missed"
    assert harm.f1(checks, lambda _: True, 0.1) == pytest.approx(2 / 3)


def test_alarms_that_a_peer_s_rule_beats_miss_the_bar() -> None:
    told = _month()["peers"] | {"univariate": {"any": True, "half": False}}
    as_good = harm._bars([_month(peers=told), _month(**QUIET_MONTH)])[-1]
    beaten = harm._bars([_month(peers=told, asked=SILENT), _month(**QUIET_MONTH)])[-1]
    assert (as_good["verdict"], beaten["verdict"]) == ("met", "missed")
    assert "NannyML, univariate, any chunk" in beaten["measured"]


def test_without_losses_and_alarms_there_is_no_f1() -> None:
    assert math.isnan(harm.f1([_month(drop=None)], lambda _: False, 0.1))


def test_what_was_not_measured_of_a_month_counts_for_no_guess() -> None:
    errors, count = harm.mean_errors([_month(), _month(realised={"mae": None})], "mae")
    assert count == 1
    assert errors == pytest.approx({harm.UNCHANGED: 0.2, harm.NANNYML: 0.2, harm.EVERY: 0.1, harm.RELIED: 0.1})


def test_words_that_are_drawn_are_as_many_tokens() -> None:
    words, shares = vocabulary.vocabulary()
    assert words.shape == (vocabulary.TOPICS, vocabulary.WORDS)
    assert {len(set(topic)) for topic in words.tolist()} == {vocabulary.WORDS}
    assert all(tokenise(word) == [word] for word in words[0])
    assert shares[-1] == pytest.approx(1)


def test_texts_change_as_they_are_asked_to() -> None:
    n = 4_000
    even = np.full((n, vocabulary.TOPICS), 1 / vocabulary.TOPICS)
    known = set(vocabulary.vocabulary()[0][0].tolist())
    shares = {}
    for change in vocabulary.CHANGES:
        made = vocabulary.texts(np.random.default_rng(0), even, change)
        shares[change.name] = [
            np.mean(["novelty" in text.split() for text in made]),
            np.mean([not known & set(text.split()) for text in made]),
            np.mean([vocabulary.vocabulary()[0][0][0] in text.split() for text in made]),
        ]
    nothing, new_word, strange, topic = shares.values()
    assert nothing[:2] == [0, 0]
    # Four standard errors of a share of a tenth in 4,000 texts are 0.019.
    assert new_word[0] == pytest.approx(0.05, abs=0.019)
    assert strange[1] == pytest.approx(0.10, abs=0.019)
    assert topic[2] > nothing[2] + 0.05


def test_new_words_are_named_as_changed_and_texts_like_those_before_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "CURRENTS", (500,))
    seen = vocabulary.found(0)
    levels = {name: [by_level["two tables"] for by_level in by_size] for name, by_size in seen.items()}
    assert levels["a tenth of the texts in words never seen"] == [True]
    assert [name for name, raised in levels.items() if "nothing" in name and any(raised)] == []
    assert len(levels) == len(vocabulary.CHANGES) + len(vocabulary.DIFFERING) + len(vocabulary.QUIET)
    quiet = vocabulary.found_of_nothing(1)
    assert set(quiet) == {name for name in levels if name.startswith("nothing")}


@pytest.mark.parametrize(("worst", "verdict"), [(0.05, "met"), (0.0667, "missed")])
def test_false_alarms_of_texts_of_one_size_are_enough_to_miss_the_bar(worst: float, verdict: str) -> None:
    rates = {f"{one.name}; {vocabulary.ALONE}": {"two tables": [0.0, worst, 0.0]} for one in vocabulary.QUIET}
    assert {one["verdict"] for one in vocabulary._bars({"quiet": 60, "rates": rates})} == {verdict}

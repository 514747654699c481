"""Figures: one question each, titled with the answer, on normal, empty and undefined input."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from histories import a_history, some_foretelling
from PIL import Image

from trimtab import plots
from trimtab.decide.promotion import Row, Verdict
from trimtab.decide.watch import Evidence, Finding, Promotion
from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import Drift, compare
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.models.intervals import Interval, Measure
from trimtab.measure.models.performance import Performance
from trimtab.measure.over_time.snapshots import CONFUSION
from trimtab.run.scored import Scored
from trimtab.run.watching import Watch
from trimtab.settings.drift import DriftSettings

NASTY = "<script>$x_1$ \\frac{1}{2}\nsecond line " + "x" * 500 + "飛"
NAN = math.nan


def _interval(value: float, width: float = 0.02) -> Interval:
    return Interval(value, value - width, value + width, 0.95, width / 2)


def _performance(**values: float) -> Performance:
    measured = {Measure(name): _interval(value) for name, value in values.items()}
    measured[Measure("recall", NASTY)] = _interval(0.5)
    return Performance(1000, measured, dict.fromkeys(measured, 1000))


def _profiles(name: str = "x") -> tuple[Profile, Profile]:
    numbers = freeze_numeric(np.arange(1000))
    still, moved = np.full(numbers.size, 5), np.zeros(numbers.size, dtype=int)
    moved[-5:] = 200
    levels = freeze_categorical([NASTY, "b"])
    before = Profile({name: ColumnProfile(numbers, tuple(still.tolist())),
                      "kind": ColumnProfile(levels, (500, 500), nulls=int(still.sum()) - 1000)}, int(still.sum()))
    after = Profile({name: ColumnProfile(numbers, tuple(moved.tolist())),
                     "kind": ColumnProfile(levels, (500, 497), unseen=3)}, 1000)
    return before, after


def _scored(**changes: Any) -> Scored:
    before, after = _profiles("score")
    values: dict[str, Any] = {
        "drift": compare(before, after), "label_drift": None, "performance": _performance(roc_auc=0.70, log_loss=0.5),
        "baseline": _performance(roc_auc=0.71, log_loss=0.4), "rows": 1000, "labelled": 900, "source": "", "values": {},
        "profile": after, "reference": before,
    }
    return Scored(**(values | changes))


def _verdict(*findings: str, outcome: Any = "reject") -> Verdict:
    rows = tuple(
        Row(f"roc_auc: gain more than {place}", NASTY if place else "all", 100, 0.7, 0.6, -0.1, -0.2, 0.0, 0.0, finding)  # type: ignore[arg-type]
        for place, finding in enumerate(findings)
    )
    return Verdict(outcome, ("because",), rows)


def _drawn(figure: plots.Picture) -> Image.Image:
    """Draw it as a notebook would, with every warning an error: a plot must not litter a report."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, told = figure._repr_png_()
    picture = Image.open(BytesIO(data))
    assert picture.size == pytest.approx((1.5 * told["width"], 1.5 * told["height"]), abs=2)
    assert told["alt"] == figure.answer != ""
    assert len(data) < 150_000
    return picture


FIGURES = {
    "drift": lambda: plots.drift_overview(compare(*_profiles(NASTY))),
    "no drift": lambda: plots.drift_overview(compare(_profiles()[0], _profiles()[0])),
    "no column": lambda: plots.drift_overview(Drift((), 0, 0)),
    "empty window": lambda: plots.drift_overview(compare(_profiles()[0], _emptied(_profiles()[1]))),
    "distributions": lambda: _distributions(*_profiles(NASTY), [NASTY, "kind"], title=NASTY),
    "distributions of nothing": lambda: _distributions(*_profiles(), []),
    "distributions of an empty window": lambda: _distributions(
        _profiles()[0], _emptied(_profiles()[1]), ["x", "kind"]),
    "most moved": lambda: plots.most_moved(compare(*_profiles()), *_profiles()),
    "performance": lambda: plots.performance(_performance(roc_auc=0.7, mae=12.0, r2=-0.4, unknown=3.0)),
    "performance of nothing": lambda: plots.performance(Performance(0, {}, {})),
    "undefined performance": lambda: plots.performance(_performance(roc_auc=NAN)),
    "undefined interval": lambda: plots.performance(
        Performance(3, {Measure("roc_auc"): Interval(0.7, NAN, NAN, 0.95, NAN)}, {Measure("roc_auc"): 3})),
    "undefined baseline": lambda: plots.performance(_performance(roc_auc=0.7), _performance(roc_auc=NAN)),
    "outputs": lambda: plots.outputs(_scored()),
    "unknown outputs": lambda: plots.outputs(_scored(drift=None, reference=None)),
    "realised": lambda: plots.realised(_scored(), "roc_auc"),
    "no label": lambda: plots.realised(_scored(performance=None), "roc_auc"),
    "matter": lambda: plots.matter(compare(*_profiles(NASTY)), _scored(), "roc_auc"),
    "matter of an error": lambda: plots.matter(
        compare(*_profiles()), _scored(performance=_performance(mae=1e6), baseline=_performance(mae=2e6)), "mae"),
    "matter without labels": lambda: plots.matter(compare(*_profiles()), _scored(performance=None), "roc_auc"),
    "matter without baseline": lambda: plots.matter(compare(*_profiles()), _scored(baseline=None), "roc_auc"),
    "criteria": lambda: plots.criteria(_verdict("passed", "failed", "undecided")),
    "no criteria": lambda: plots.criteria(_verdict(outcome="hold")),
    "a new champion rolled back": lambda: plots.relative_gain(_watch("roll_back", _interval(-0.1))),
    "a new champion that stays": lambda: plots.relative_gain(_watch("keep", _interval(0.3))),
    "a new champion in doubt": lambda: plots.relative_gain(_watch("too_early", _interval(-0.1))),
    "a new champion that cannot serve": lambda: plots.relative_gain(_watch("roll_back", None)),
    "a new champion of which nothing is known": lambda: plots.relative_gain(_watch("too_early", _interval(NAN))),
    "service": lambda: plots.service([_change("promotion", 1, 1), _change("rollback", 2, 5)], datetime(2024, 1, 5)),
    "no service": lambda: plots.service([], datetime(2024, 1, 5)),
    "over time": lambda: plots.over_time(a_history(rise=0.2, located=True), "roc_auc"),
    "an unknown metric over time": lambda: plots.over_time(a_history(), "mae"),
    "foretold": lambda: plots.foretold(some_foretelling(), "roc_auc"),
    "foretold without outcomes": lambda: plots.foretold(some_foretelling(known=False), "roc_auc"),
    "signals over time": lambda: plots.signals_over_time(_checks(1, 2, 3)),
}


def _watch(outcome: Any, gain: Interval | None) -> Watch:
    evidence = Evidence("realised", gain, 500) if gain else None
    return Watch(Promotion(2, 1, datetime(2024, 1, 5)), Finding(outcome, "", evidence), None, "accuracy", 0.05)


def _distributions(before: Profile, after: Profile, columns: list[str], **more: Any) -> Any:
    return plots.distributions(before, after, compare(before, after), columns, **more)


def _checks(*days: int) -> list[dict[str, Any]]:
    return [
        {"name": name, "value": value * day, "threshold": 0.25, "severity": "high" if value * day > 0.25 else "none",
         "as_of": datetime(2024, 1, day)}
        for day in days for name, value in (("feature_drift", 0.1), ("outliers", 0.02), ("model_age", NAN))
    ]


def _emptied(profile: Profile) -> Profile:
    empty = {n: ColumnProfile(c.bins, (0,) * len(c.counts)) for n, c in profile.columns.items()}
    return Profile(empty, 0)


def _change(kind: str, version: int | None, day: int, state: str = "done") -> dict[str, Any]:
    at = datetime(2024, 1, day)
    return {"kind": kind, "to_version": version, "as_of": at, "created_at": at, "state": state}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_drawn_and_says_its_answer(name: str) -> None:
    figure = FIGURES[name]()
    _drawn(figure)
    for axes in figure.axes:
        if axes.axison and axes.get_lines():
            assert axes.get_xlabel() or figure.axes[-1].get_xlabel() or figure.get_supxlabel()


def test_overview_names_the_worst_column_and_draws_both_thresholds() -> None:
    settings = DriftSettings(psi_warn=0.2, psi_alert=0.4)
    figure = plots.drift_overview(compare(*_profiles()), settings)
    assert figure.answer.startswith("1 of 2 columns drifted, x the most (PSI ")
    upright = [line.get_xdata()[0] for line in figure.axes[0].get_lines() if len(set(line.get_xdata())) == 1]
    assert {0.2, 0.4} <= set(upright)
    assert {"warn 0.2", "alert 0.4"} <= {text.get_text().strip() for text in figure.axes[0].texts}


def test_overview_says_when_columns_are_left_out() -> None:
    figure = plots.drift_overview(compare(*_profiles()), DriftSettings(max_columns_reported=1))
    assert "1 small ones not drawn" in figure.answer
    assert len(figure.axes[0].get_yticklabels()) == 1


def test_dollars_and_underscores_are_text_and_not_mathematics() -> None:
    figure = plots.drift_overview(compare(*_profiles("$a_b$")))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert r"\$a_b\$" in labels
    assert "$a_b$" in figure.answer


def test_frequent_value_has_a_bar_of_its_own_with_its_own_label() -> None:
    bins = freeze_numeric([0.0] * 500 + list(np.linspace(1, 2, 500)))
    labels = plots._bin_labels(ColumnProfile(bins, (1,) * bins.size))
    assert "0" in labels
    assert len(set(labels)) == len(labels)


def test_bounded_metrics_are_drawn_on_their_whole_range_and_errors_from_zero() -> None:
    figure = plots.performance(_performance(accuracy=0.9, roc_auc=0.7, mae=10.0), _performance(mae=12.0))
    limits = [axes.get_xlim() for axes in figure.axes]
    assert (0.0, 1.0) in limits
    (errors,) = [limit for limit in limits if limit != (0.0, 1.0)]
    assert errors[0] == 0.0
    assert errors[1] > 12


def test_realised_performance_is_titled_with_what_became_of_the_metric() -> None:
    assert plots.realised(_scored(), "roc_auc").answer == "roc_auc went from 0.710 to 0.700"
    assert "No label" in plots.realised(_scored(performance=None, labelled=0), "roc_auc").answer


def test_matter_puts_drift_and_performance_into_one_sentence() -> None:
    answer = plots.matter(compare(*_profiles()), _scored(), "roc_auc").answer
    assert answer.startswith("1 of 2 watched columns drifted, x the most")
    assert answer.endswith("roc_auc went from 0.710 to 0.700")


@pytest.mark.parametrize(("rise", "answer"), [
    (0.0, "roc_auc day by day. The log loss is not told apart from that of the window before"),
    (0.2, "roc_auc day by day. The log loss rose by 39% from the window before"),
])
def test_performance_over_time_says_whether_the_loss_has_changed(rise: float, answer: str) -> None:
    figure = plots.over_time(a_history(rise=rise, located=bool(rise)), "roc_auc")
    assert figure.answer == answer
    lines = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "-"]
    assert len(lines) == 2    # none is drawn through the fortnight without records


def test_performance_over_time_draws_an_interval_for_each_day_that_has_one() -> None:
    """Where classes of a day are counted, an area has one; of days that were scored before, none is drawn."""
    known = a_history()
    counts = dict.fromkeys(CONFUSION, 25.0)
    counted = replace(known, taken=tuple(replace(one, metrics={**one.metrics, **counts}) for one in known.taken))
    for past, drawn in ((counted, len(known.taken)), (known, 0)):
        (whiskers,) = plots.over_time(past, "roc_auc").axes[0].collections
        assert len(whiskers.get_paths()) == drawn


def test_estimates_are_titled_with_how_far_they_were_off() -> None:
    answer = plots.foretold(some_foretelling(), "roc_auc").answer
    assert answer == "Over 6 windows the estimate of roc_auc was 0.02 off, “nothing has changed” 0.05"
    assert "is not known yet" in plots.foretold(some_foretelling(known=False), "roc_auc").answer
    alone = replace(some_foretelling(), past=some_foretelling().past[:1])
    assert plots.foretold(alone, "roc_auc") is None, "one window has no course"
    assert plots.foretold(some_foretelling(), "mae") is None


def test_signals_over_time_show_each_with_its_threshold() -> None:
    figure = plots.signals_over_time(_checks(1, 2, 3))
    assert figure.answer == "Signals of 3 checks (filled: it counted)"
    assert plots.signals_over_time(_checks(1)) is None, "one check has no course"
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["feature drift", "outliers"]
    assert all(any(line.get_linestyle() == "--" for line in axes.get_lines()) for axes in figure.axes)


def test_missed_criteria_come_first_with_their_bound_and_finding() -> None:
    figure = plots.criteria(_verdict("passed", "failed"))
    assert figure.answer == "Verdict reject: 1 of 2 criteria missed"
    both = plots.criteria(_verdict("passed", "failed", "undecided"))
    assert both.answer == "Verdict reject: 1 of 3 criteria missed, 1 not certain"
    assert plots.criteria(_verdict("passed", "undecided")).answer.endswith(": 1 of 2 criteria not certain")
    assert [text.get_text() for text in figure.axes[0].texts] == ["failed"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["passed"]


def test_many_criteria_are_cut_and_the_title_says_so() -> None:
    figure = plots.criteria(_verdict(*["failed"] * 40))
    assert len(figure.axes) == 15
    assert "25 that" in figure.answer


def test_shaded_side_of_a_ceiling_is_above_it() -> None:
    row = Row("log_loss: at most 0.6", "all", 100, NAN, 0.5, 0.5, 0.45, 0.55, 0.6, "passed")
    axes = plots.criteria(Verdict("promote", (), (row,))).axes[0]
    (shaded,) = axes.patches
    assert shaded.get_window_extent().x0 == pytest.approx(axes.transData.transform((0.6, 0))[0])


def test_service_ends_with_who_serves_now() -> None:
    changes = [_change("promotion", 1, 1), _change("promotion", 2, 3, "undone"), _change("foreign", None, 4)]
    assert plots.service(changes, datetime(2024, 1, 5)).answer == "Nothing serves"
    assert plots.service(changes[:2], datetime(2024, 1, 5)).answer == "Version 1 serves"

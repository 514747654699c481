"""Tables: all text stays text, nothing is a dash, the caption is the answer; also on empty and undefined input."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from histories import a_history, some_foretelling

from trimtab import cells, findings, tables
from trimtab.act.approvals import Request
from trimtab.contract import Column, Contract
from trimtab.decide.causes import Cause, Causes
from trimtab.decide.decision import Decision
from trimtab.decide.guardrails import Check, Guard
from trimtab.decide.promotion import Row, Verdict
from trimtab.decide.signals import SIGNALS, Signal
from trimtab.decide.watch import Evidence, Finding, Promotion
from trimtab.measure.columns.aspects import Aspect
from trimtab.measure.columns.bins import freeze_categorical, freeze_numeric
from trimtab.measure.columns.drift import ColumnDrift, Drift, TermShift, compare
from trimtab.measure.columns.means import Moved
from trimtab.measure.columns.profile import ColumnProfile, Profile
from trimtab.measure.columns.segments import LeftOut, Segment, SegmentColumn, SegmentDrift
from trimtab.measure.models import count_intervals
from trimtab.measure.models.confusion import Confusion
from trimtab.measure.models.intervals import Interval, Measure, PairedDifference
from trimtab.measure.models.performance import Evaluation, Performance
from trimtab.measure.over_time.promises import Promises
from trimtab.measure.together.domain import Carrier, Separation
from trimtab.measure.together.reconstruction import Reconstruction
from trimtab.measure.unlabelled.estimates import Agreement, Assumption, Estimate
from trimtab.run.appointments import Appointment
from trimtab.run.contests import Contest
from trimtab.run.expected import Expected
from trimtab.run.joint import Joint
from trimtab.run.proportions import Proportions
from trimtab.run.retraining import Challenger
from trimtab.run.rollbacks import Proof, Search, Tried
from trimtab.run.scored import Scored
from trimtab.run.watching import Watch
from trimtab.settings.data import Data
from trimtab.settings.drift import DriftSettings
from trimtab.windows import Window

NASTY = "<script>alert(1)</script> & \"q\" 'a'\nsecond line " + "x" * 2000
NAN = math.nan
START, END = datetime(2024, 1, 1), datetime(2024, 2, 1)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def _shown(style: Any) -> str:
    """A table's HTML, which holds nothing but a table and its style."""
    html: str = style.to_html()
    parser = _Tags()
    parser.feed(html)
    assert parser.tags <= {"style", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert parser.attributes <= {"type", "id", "class", "colspan"}
    assert html.count("alert(1)") == parser.text.count("alert(1)"), "no attribute holds any of it"
    return html


def _text(html: str) -> str:
    parser = _Tags()
    parser.feed(html)
    return parser.text


def _interval(value: float, width: float = 0.02) -> Interval:
    return Interval(value, value - width, value + width, 0.95, width / 2)


def _performance(value: float = 0.7, width: float = 0.02) -> Performance:
    found = [Measure("roc_auc"), Measure("log_loss"), Measure("recall", NASTY), Measure("accuracy", segment=NASTY)]
    return Performance(1234, {m: _interval(value, width) for m in found}, dict.fromkeys(found, 1234))


def _scored(performance: Performance | None) -> Scored:
    return Scored(
        drift=None, label_drift=None, performance=performance, baseline=None, rows=0, labelled=0, source=NASTY,
        values={}, profile=None, reference=None,
    )


def _profiles() -> tuple[Profile, Profile]:
    numbers, levels = freeze_numeric(np.arange(1000)), freeze_categorical([NASTY, "b"])
    counts = np.full(numbers.size, 5)
    moved = np.zeros_like(counts)
    moved[-1] = counts.sum()
    rows = int(counts.sum())
    kind = ColumnProfile(levels, (500, rows - 500))
    return (
        Profile({NASTY: ColumnProfile(numbers, tuple(counts.tolist())), "kind": kind}, rows),
        Profile({NASTY: ColumnProfile(numbers, tuple(moved.tolist())), "kind": kind}, rows),
    )


def _texts(*words: str) -> Drift:
    """Three text columns, of which these words moved."""
    terms = tuple(TermShift(word, 0.1, 0.0, NAN) for word in words)
    aspects = (Aspect("words", 0.3, 0.0, q_value=0.0), Aspect("unseen_words", 0.3, 0.0, q_value=0.0)) if words else ()
    nothing = dict.fromkeys(
        ("psi_by_chance", "js", "ks", "ks_p", "chi2", "chi2_p", "wasserstein", "missing_reference", "missing_current",
         "unseen", "outliers", "outside"), NAN)
    column = ColumnDrift(NASTY, "text", 0.3, cells=101, **nothing, aspects=aspects, note=NASTY, terms=terms)
    return Drift((column,) * 3, 100, 100)


def _expected() -> Expected:
    rests_on = tuple(Assumption(NASTY, holds, NASTY) for holds in (True, False, None))
    one = Estimate(0.7, 0.6, NAN, 0.95, "loss", 0.8, rests_on, NASTY)
    return Expected({"mae": one}, {NASTY: one}, {"mae": Agreement(True, 0.1, True, NASTY)}, "mae")


def _promised(held: float) -> Any:
    one = Promises(30, 4000, 3900, 1.4, NAN, _interval(held), 0.9)
    return replace(a_history(), promises=one, promises_before=replace(one, coverage=_interval(NAN)))


def _confused(*rows: tuple[int, int]) -> Any:
    known = a_history()
    return replace(known, taken=tuple(replace(one, confusion=Confusion((NASTY, "b"), rows)) for one in known.taken))


def _grouped() -> Any:
    """The newest day with a class and a segment whose names are none."""
    known = a_history()
    groups = {f"class {NASTY}": {"recall": 0.5, "precision": NAN}, NASTY: {"roc_auc": 0.61, "labelled": 40.0}}
    confusion = Confusion((NASTY, "b"), ((30, 10), (20, 40)))
    return replace(known, taken=(*known.taken[:-1], replace(known.taken[-1], groups=groups, confusion=confusion)))


def _apart(*, moved: bool = True) -> SegmentDrift:
    """One of two columns moved where the segment has a name that is no name."""
    here = Segment(NASTY, NASTY)
    columns = compare(*_profiles()).columns if moved else ()
    found = [SegmentColumn(here, one, {aspect.name: aspect.size for aspect in one.aspects}, 9, 9) for one in columns]
    return SegmentDrift(tuple(found), (here,), 2, (LeftOut(NASTY, (NASTY, "b"), NASTY),), (NASTY,))


def _joint(*carriers: Carrier, auc: float = 0.7) -> Joint:
    apart = Separation(auc, auc - 0.1, auc + 0.1, 0.001, 5000, 400, carriers, "" if carriers else NASTY)
    return Joint(apart, Reconstruction(1.0, 1.2, 0.3, 0.01, 3, 5000, 400), 0.55)


def _signal(name: str, value: float, severity: Any) -> Signal:
    return Signal(name, value, 0.1, NAN, severity, (NASTY,), f"In words: {NASTY}")


def _row(finding: Any, difference: float = 0.1) -> Row:
    return Row("roc_auc: gain more than 0", NASTY, 100, NAN, 0.7, difference, NAN, NAN, 0.0, finding, NASTY)


def _contest(*, champion: bool = True) -> Contest:
    performance = _performance()
    pair = PairedDifference(_interval(0.6), _interval(0.7), _interval(0.1), _interval(0.15))
    differences = dict.fromkeys(performance.values, pair) if champion else {}
    lineage = {"class": NASTY, "trained_until": "2024-01-01T00:00:00", "train_records": 100}
    model: Any = SimpleNamespace(version=2, lineage=lineage)
    rival: Any = SimpleNamespace(version=1, lineage={}) if champion else None
    evaluation = Evaluation(1234, performance, differences, ("a",), ("b",))
    return Contest(evaluation, _window(), model, rival, outputs=None, records=None)  # type: ignore[arg-type]


def _window(name: str = NASTY) -> Window:
    return Window(name, START, END, rows=1234, labelled=0, table=None)  # type: ignore[arg-type]


A_LOSS = Evidence("realised", Interval(-0.1, NAN, -0.05, 0.95, NAN), 500)


def _watch(evidence: Evidence | None = A_LOSS) -> Watch:
    promotion = Promotion(2, 1, START)
    return Watch(promotion, Finding("keep", NASTY, evidence), _window(), NASTY, 0.05, {2: NAN, 1: 0.8})


def _proof() -> Proof:
    return Proof(1, 2, 100, "current", 0.1, 0.1, NAN, NAN)


def _omitted(lately: Drift | None, past: Any, *, told: Any = None, **watched: Any) -> Any:
    data = Data(table="t", time="at", label="y", numeric=["x"], **watched)
    return tables.not_looked_at(data, lately=lately, told=told or some_foretelling(), past=past)


def _session(task: str = "classification", values: Any = ()) -> Any:
    params = SimpleNamespace(task=task, data=SimpleNamespace(label=NASTY))
    records = SimpleNamespace(
        frame=lambda window, names: pd.DataFrame({names[0]: list(values)}), classes=lambda window: Counter(values)
    )
    return SimpleNamespace(params=params, records=records, ledger=SimpleNamespace(version=lambda target: None))


def _request(**known: Any) -> Request:
    plain: dict[str, Any] = {
        "run_id": NASTY, "kind": "promotion", "as_of": datetime(2024, 4, 1), "requested_at": datetime(2024, 4, 2),
        "expires_at": datetime(2024, 4, 9), "champion": 1, "challenger": 2, "sha256": "0" * 64, "severity": None,
        "reasons": (NASTY,),
    }
    return Request(**plain | known)


def _change(**changes: Any) -> dict[str, Any]:
    return {"as_of": None, "created_at": START, "kind": "promotion", "from_version": None, "to_version": 1,
            "state": "done", "by": NASTY, "why": NASTY} | changes


LINEAGE = {
    "train_records": 10, "trained_from": START, "trained_until": END, "holdout_records": 5, "holdout_from": START,
    "holdout_until": END, "fingerprint": {"sha256": "ab" * 32}, "positive": NASTY, "run_id": "run",
    "code": {"trimtab": "1", "commit": None},
}
TABLES: dict[str, Callable[[], Any]] = {
    "windows": lambda: tables.windows(_window()),
    "no windows": tables.windows,
    "contract": lambda: tables.contract(
        Contract(10, START, END, 5, (Column(NASTY, "numeric", "float64", 2, 0, 3),))),
    "causes": lambda: tables.causes(
        Causes((Cause(NASTY, NASTY, 0.5, 0.2, NASTY),), (Cause(NASTY, "", 1.0, NAN, "."),))),
    "causes by drift alone": lambda: tables.causes(Causes((Cause(NASTY, NASTY, 0.5, NAN, NASTY),), (), NASTY)),
    "no causes": lambda: tables.causes(Causes((), ())),
    "drift": lambda: tables.drift(compare(*_profiles())),
    "drift of nothing": lambda: tables.drift(Drift((), 0, 0)),
    "performance": lambda: tables.performance(_performance(), _performance(0.8)),
    "realised": lambda: tables.realised(_scored(_performance())),
    "nothing realised": lambda: tables.realised(_scored(None)),
    "nothing realised by group": lambda: tables.realised_by_group(_scored(None)),
    "outputs of nothing new": lambda: tables.outputs(_scored(None), DriftSettings()),
    "undefined performance": lambda: tables.performance(_performance(NAN), _performance(NAN)),
    "groups": lambda: tables.groups(_performance(), _performance()),
    "no groups": lambda: tables.groups(Performance(10, {}, {})),
    "words": lambda: tables.words(_texts(NASTY, NASTY), DriftSettings()),
    "words that are none": lambda: tables.words(_texts(), DriftSettings()),
    "since last": lambda: tables.since_last(compare(*_profiles()), DriftSettings()),
    "joint": lambda: tables.joint(_joint(Carrier((NASTY, "z"), 0.05, 0.4))),
    "joint of nothing": lambda: tables.joint(_joint(auc=NAN)),
    "expected": lambda: tables.expected(_expected()),
    "expected of nothing": lambda: tables.expected(Expected({}, {}, {}, "mae", missing=NASTY)),
    "assumptions": lambda: tables.assumptions(_expected()),
    "assumptions of nothing": lambda: tables.assumptions(Expected({}, {}, {}, "mae", missing=NASTY)),
    "history": lambda: tables.history(a_history(rise=0.2, located=True)),
    "history of a few days": lambda: tables.history(a_history(26)),
    "proportions": lambda: tables.proportions(
        Proportions((Moved(NASTY, 0.9, 0.8, -0.3, -9.0, 0.0, 0.5),), (Moved("b", 0.5, NAN, NAN, NAN, NAN),), ("a",))),
    "no proportions": lambda: tables.proportions(Proportions((), (), ("rate_drop",))),
    "days": lambda: tables.days(a_history(), "roc_auc"),
    "newest day by group": lambda: tables.newest_day_by_group(_grouped(), "roc_auc"),
    "days of nothing": lambda: tables.days(a_history(), "mae"),
    "confusions": lambda: tables.confusions(_confused((5, 2), (1, 4))),
    "no confusions": lambda: tables.confusions(a_history()),
    "intervals": lambda: tables.intervals(_promised(0.85)),
    "intervals without outcomes": lambda: tables.intervals(_promised(NAN)),
    "foretold": lambda: tables.foretold(some_foretelling()),
    "not looked at": lambda: _omitted(Drift((), 0, 0), a_history(), text=[], segments=[NASTY]),
    "segments": lambda: tables.segments(_apart(), DriftSettings()),
    "segments where nothing moved": lambda: tables.segments(_apart(moved=False), DriftSettings()),
    "signals": lambda: tables.signals([_signal("feature_drift", NAN, "none"), _signal(NASTY, 1.0, "high")]),
    "no signals": lambda: tables.signals([]),
    "decision": lambda: tables.decision(Decision(True, "high", 0.5, (NASTY,), (NASTY,) * 20)),
    "quiet decision": lambda: tables.decision(Decision(False, "none", 1.0, (), ())),
    "guard": lambda: tables.guard(Guard((Check(NASTY, False, NASTY),))),
    "checks": lambda: tables.checks((Check(NASTY, True, NASTY),), NASTY),
    "gates": lambda: tables.gates(Verdict("reject", (), (), (Check(NASTY, False, NASTY), Check("b", True, "")))),
    "no gates": lambda: tables.gates(Verdict("hold", (), ())),
    "request": lambda: tables.request(_request()),
    "request to retrain": lambda: tables.request(_request(kind="retrain", challenger=None, sha256=None, reasons=())),
    "verdict": lambda: tables.verdict(Verdict("reject", (NASTY,), (_row("failed"), _row("not evaluable", NAN)))),
    "verdict without criteria": lambda: tables.verdict(Verdict("hold", (NASTY,), ())),
    "changes": lambda: tables.changes([_change(), _change(state="intent", to_version=None)]),
    "no changes": lambda: tables.changes([]),
    "appointment": lambda: tables.appointment(Appointment(Verdict("hold", (NASTY, NASTY), ()), None, None, None)),
    "profile": lambda: tables.profile(_profiles()[0]),
    "profile of nothing": lambda: tables.profile(Profile({}, 0)),
    "profile of empty columns": lambda: tables.profile(Profile({"x": ColumnProfile(freeze_numeric([]), (0,))}, 0)),
    "outputs": lambda: tables.outputs(
        SimpleNamespace(drift=compare(*_profiles()), remarks=NASTY), DriftSettings()),  # type: ignore[arg-type]
    "classes": lambda: tables.classes(_session(values=[NASTY, "a", "a"]), _window()),
    "classes of nothing": lambda: tables.classes(_session(), _window()),
    "spread": lambda: tables.classes(_session("regression", [1.0, 2.0]), _window()),
    "lineage": lambda: tables.lineage(Challenger(2, NASTY, NASTY, LINEAGE, 1.0, {NASTY: NAN})),
    "contest": lambda: tables.contest(_contest()),
    "contest without champion": lambda: tables.contest(_contest(champion=False)),
    "comparison": lambda: tables.comparison(_contest()),
    "no comparison": lambda: tables.comparison(_contest(champion=False)),
    "comparison by group": lambda: tables.comparison_by_group(_contest()),
    "no comparison by group": lambda: tables.comparison_by_group(_contest(champion=False)),
    "version": lambda: tables.version(_session(), 7),
    "tried": lambda: tables.tried(Search((Tried(3, None, NASTY), Tried(2, _proof())), 4)),
    "watched": lambda: tables.watched(_watch()),
    "watched before anything can be said": lambda: tables.watched(_watch(evidence=None)),
    "nothing watched": lambda: tables.watched(Watch(None, Finding("nothing", NASTY), None, "accuracy", 0.05)),
    "proof": lambda: tables.proof(_proof()),
    "facts": lambda: tables.facts({NASTY: NASTY}, NASTY),
    "sentence": lambda: tables.sentence(NASTY),
    "nothing at all": lambda: tables.table([], caption=NASTY),
    "header": lambda: tables.table(pd.DataFrame({NASTY: [NASTY]})),
}


def test_what_there_is_nothing_of_has_no_table_and_is_named_in_one_line() -> None:
    assert tables.words(Drift((), 0, 0), DriftSettings()) is None
    assert tables.since_last(None, DriftSettings()) is None
    assert tables.segments(SegmentDrift((), (), 0), DriftSettings()) is None
    assert tables.intervals(a_history()) is None
    assert tables.foretold(some_foretelling(0)) is None
    assert tables.proportions(Proportions((), (), ())) is None
    told = _text(_shown(_omitted(None, a_history(), told=some_foretelling(0), text=[], segments=[])))
    for words in ("words (", "segments (", "the window before (", "prediction intervals (", "past estimates ("):
        assert words in told
    assert "outcomes (" not in told
    every = {"text": ["t"], "segments": ["s"], "rates": ["r"]}
    assert _omitted(Drift((), 0, 0), _promised(0.85), **every) is None


@pytest.mark.parametrize("name", TABLES)
def test_every_table_shows_text_as_text(name: str) -> None:
    html = _shown(TABLES[name]())
    assert "nan" not in html.lower().replace("second", "")
    assert ">None<" not in html
    assert "x" * 2000 not in html, "very long text is cut"


@pytest.mark.parametrize("cell", [NASTY, "<b>bold</b>", "<td onclick='alert(1)'>"])
def test_a_cell_that_becomes_an_element_is_noticed(cell: str) -> None:
    """What the tests above rest on: with pandas' own table, which escapes nothing, they fail."""
    with pytest.raises(AssertionError):
        _shown(pd.DataFrame({"a": [cell]}).style)
    assert cell[:20] in _text(_shown(tables.sentence(cell)))


def test_every_public_table_is_tried_above() -> None:
    modules = ("tables", "findings", "movements", "merits", "retrospect", "omissions", "watches")
    ours = {f"trimtab.{name}" for name in modules}
    public = {name for name, value in vars(tables).items() if callable(value) and value.__module__ in ours}
    others = {"session", "with_unit", "better_is"}    # the notebooks' own tests show the first; two are no tables
    tried = " ".join(TABLES)
    for name in public - others:
        if not name.startswith("_"):
            assert name.replace("_", " ") in tried, name


def test_drift_is_captioned_with_how_many_columns_drifted() -> None:
    html = _shown(tables.drift(compare(*_profiles())))
    assert "1 of 2 columns drifted" in html
    assert "1 column below these is not shown" in _shown(
        tables.drift(compare(*_profiles()), DriftSettings(max_columns_reported=1)))


def test_days_show_the_newest_with_a_proper_score_and_intervals() -> None:
    html = _shown(tables.days(a_history(), "roc_auc"))
    assert "roc_auc day by day, the newest 14 of 46 days" in html
    assert "log_loss" in html
    assert "2024-02-29" in html
    assert "2024-02-15" not in html
    newest = [one for one in a_history().taken if one.day >= date(2024, 2, 16)]
    lowest = min(newest, key=lambda one: one.metrics["roc_auc"])
    assert f"from {lowest.metrics['roc_auc']:.3f} ({lowest.day}) to " in html


def test_the_newest_day_is_told_by_class_and_segment_with_intervals() -> None:
    """Of 40 of the class 30 were found, and 50 were called so; of a segment 40 outcomes are too few of either class."""
    found = " ".join(_text(_shown(tables.newest_day_by_group(_grouped(), "roc_auc"))).split())
    assert "2024-02-29 by class and by segment, 100 outcomes" in found
    low, high = (f"{one:.3f}" for one in (count_intervals.share(30, 40).low, count_intervals.share(30, 40).high))
    assert f"recall 0.750 {low} to {high}" in found
    assert "precision 0.600" in found
    assert "roc_auc 0.610 –" in found
    assert tables.newest_day_by_group(a_history(), "roc_auc") is None
    assert tables.newest_day_by_group(_grouped(), "mae") is None


def test_the_q_of_a_column_is_that_of_the_way_in_which_it_counts() -> None:
    column = replace(_texts("red").columns[0], aspects=(
        Aspect("psi", 0.0, 1.0, q_value=0.9876), Aspect("unseen_words", 0.3, 0.0, q_value=0.0123)))
    drift = Drift((column,), 100, 100)
    for html in (_shown(tables.drift(drift, DriftSettings())), _shown(tables.since_last(drift, DriftSettings()))):
        assert "0.0123" in html
        assert "0.9876" not in html


def test_confusions_are_of_the_current_window_the_most_frequent_first() -> None:
    """Twenty days of five and two, one and four: 40 of 140 of the first class, 20 of 100 of the other."""
    html = _shown(tables.confusions(_confused((5, 2), (1, 4))))
    assert "60 of 240 known outcomes were predicted wrong, most often " in html
    assert html.index("28.6%") < html.index("20.0%")
    assert "none was predicted wrong" in _shown(tables.confusions(_confused((5, 0), (0, 4))))


@pytest.mark.parametrize(("start", "end", "told"), [
    ("2024-02-10", "2024-03-01", "whole days 2024-02-10 to 2024-02-29"),
    ("2024-02-10T12:00", "2024-03-01T06:00",
     "whole days 2024-02-10 to 2024-02-29; the window is 2024-02-10 12:00 to 2024-03-01 06:00"),
    ("2024-02-10", "2024-02-11", "the whole day 2024-02-10"),
    ("2024-02-10T01:00", "2024-02-10T09:00", "no whole day; the window is 2024-02-10 01:00 to 2024-02-10 09:00"),
])
def test_what_is_counted_by_whole_days_says_which_and_where_the_window_begins(start: str, end: str, told: str) -> None:
    bounds = {"start": datetime.fromisoformat(start), "end": datetime.fromisoformat(end)}
    assert f"(this window: {told})" in _shown(tables.history(replace(a_history(), **bounds)))
    past = _confused((5, 1), (0, 4))
    shown = _shown(tables.confusions(replace(past, start=bounds["start"])))
    assert f"Over {replace(past, start=bounds['start']).days}: " in shown


def test_ends_of_a_slow_trend_are_told_to_be_fitted_and_realised_to_be_of_the_records_that_were_estimated() -> None:
    assert "slowly, over all days: the ends of a line fitted to them" in _shown(tables.history(a_history()))
    assert "is held against what was expected of the same records" in _shown(tables.expected(_expected()))


def test_rates_say_whether_they_moved_beyond_what_is_natural() -> None:
    rates = [Moved(name, 0.9, 0.8, -0.3, -9.0, p, floor)
             for name, p, floor in (("far", 0.001, 0.1), ("usual", 0.002, 0.5), ("chance", 0.3, 0.0))]
    html = _shown(tables.proportions(Proportions(tuple(rates), (), ("rate_drop",))))
    assert html.index("far") < html.index("usual") < html.index("chance")
    assert html.index(">yes<") < html.index("no more than is natural") < html.index(">no<")


def test_words_are_captioned_with_the_ways_in_which_they_moved() -> None:
    html = _shown(tables.words(_texts("red"), DriftSettings()))
    assert "words PSI 0.30" in html
    assert "new words 30.0 pp" in html
    assert "and 1 more" in html
    assert "could not be tested" in _shown(tables.words(_texts(), DriftSettings()))


def test_columns_without_anything_in_them_are_left_out() -> None:
    html = _shown(tables.table([{"a": 1, "note": ""}, {"a": 2, "note": ""}], optional=("note", "absent")))
    assert "note" not in html
    assert "note" in _shown(tables.table([{"a": 1, "note": "x"}], optional=("note",)))


@pytest.mark.parametrize(
    ("now", "metric", "words"),
    [
        (0.9, "roc_auc", "better"), (0.5, "roc_auc", "worse"), (0.71, "roc_auc", "not told apart"),
        (0.9, "log_loss", "worse"), (0.5, "log_loss", "better"), (NAN, "roc_auc", "not known"),
    ],
)
def test_change_is_called_by_its_direction_only_where_intervals_are_apart(now: float, metric: str, words: str) -> None:
    measure = Measure(metric)
    current = Performance(100, {measure: _interval(now)}, {measure: 100})
    before = Performance(100, {measure: _interval(0.7)}, {measure: 100})
    assert f">{words}<" in _shown(tables.performance(current, before))


def test_comparison_turns_losses_round() -> None:
    html = _shown(tables.comparison(_contest()))
    assert html.count(">better<") == 1    # ROC AUC rose by 0.1
    assert html.count(">worse<") == 1     # and so did log loss
    assert "+0.080 to +0.120".replace(" ", "\N{NO-BREAK SPACE}") in html


def test_groups_beyond_what_a_person_reads_are_counted() -> None:
    found = [Measure("recall", str(label)) for label in range(50)]
    many = Performance(10, dict.fromkeys(found, _interval(0.5)), dict.fromkeys(found, 10))
    html = _shown(tables.groups(many))
    assert "20 more groups are not shown" in html
    assert html.count("<tr>") == cells.MOST_GROUPS + 1


def test_most_serious_signal_comes_first_with_its_unit() -> None:
    graded = [("outliers", 0.93, "medium"), ("model_age", 91.0, "none"), ("feature_drift", 9.394, "high")]
    shown = [_signal(*one) for one in graded]
    html = _shown(tables.signals(shown))
    assert html.index("PSI 9.39") < html.index("93.0%") < html.index("91 days")
    assert "2 of 3 signals count: beyond a threshold, and beyond chance" in html


def test_missed_criterion_comes_first_and_the_caption_counts_it() -> None:
    rows = (replace(_row("passed"), group="good"), replace(_row("failed"), group="bad"))
    html = _shown(tables.verdict(Verdict("reject", (), rows)))
    assert "Verdict: reject. 1 of 2 criteria missed" in html
    assert html.index(">bad<") < html.index(">good<")


def test_first_model_is_said_to_be_alone() -> None:
    assert "There is no champion" in _shown(tables.contest(_contest(champion=False)))


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (cells.number, None, "–"),
        (cells.number, -0.0, "-0.000"),
        (cells.number, math.inf, "∞"),
        (cells.number, 99.95, "100.0"),
        (cells.number, 1e6, "1,000,000"),
        (cells.number, np.float64(0.5), "0.500"),
        (cells.signed, 0.0, "+0.000"),
        (cells.percent, None, "–"),
        (cells.percent, NAN, "–"),
        (cells.p_value, 0.0001, "0.0001"),
        (cells.p_value, None, "–"),
        (cells.count, NAN, "–"),
        (cells.count, 1234.0, "1,234"),
        (cells.moment, pd.NaT, "–"),
        (cells.moment, START, "2024-01-01 00:00"),
    ],
)
def test_values_are_written_so_that_a_person_can_read_them(write: Callable[[Any], str], value: Any, text: str) -> None:
    assert write(value) == text


def test_interval_without_bounds_is_a_dash() -> None:
    assert cells.span(NAN, 1.0) == "–"
    assert cells.span(0.1, 0.2) == "0.100\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}0.200"


def test_each_signal_has_a_unit() -> None:
    assert set(findings._UNITS) == set(SIGNALS)


def test_a_group_is_as_large_as_its_records_whatever_a_metric_rests_on() -> None:
    measures = [Measure("precision", "c"), Measure("recall", "c")]
    made = Performance(2000, {m: _interval(0.7) for m in measures}, dict(zip(measures, (8, 100), strict=True)))
    assert ">100<" in _shown(tables.groups(made))


def test_what_came_has_no_meaning_where_an_assumption_of_the_estimate_fails() -> None:
    said = "realised 0.7, below the expected 0.76 to 0.84"
    agreed = Agreement(False, -0.1, False, f"{said}: inputs alone do not explain it")
    for holds, told in ((True, f"{said}: inputs alone do not explain it"),
                        (False, f"{said}; an assumption of the estimate fails, so nothing follows from that")):
        one = Estimate(0.8, 0.76, 0.84, 0.95, "confidence", 0.85, (Assumption("overlap", holds, "."),))
        html = _shown(tables.expected(Expected({"mae": one}, {}, {"mae": agreed}, "mae")))
        assert told in html
        assert ("do not explain it" in html) == holds


def test_a_text_beside_many_numbers_is_not_squeezed_to_a_word_a_line() -> None:
    rows = [{"column": "temp", "how": "out of range 98.3 pp, PSI 9.73", "PSI": 10.0}]
    html = cells.table(rows, formats={"PSI": cells.number}).to_html()
    assert [f"td.col{place} {{\n  min-width" in html for place in range(3)] == [False, True, False]

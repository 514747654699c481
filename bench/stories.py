"""The five reference systems, each played through time from its params file: what was found when, and what came of it.

A run takes place at every date, with the ledger, registry, safeguards and gates that it has in production, but without
kernels (see `rehearsal`). Once a story has been told, somebody tries a bad model: first the gate has to refuse it, then
it is let through by hand and has to be rolled back. `python bench/stories.py NAME` plays one and prints its checks.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from loop import trimtab
from rehearsal import rehearse
from show import bar, prose, table

import trimtab as tt
from trimtab.act import estimators
from trimtab.datasets import facility, ocr
from trimtab.decide.severity import rank
from trimtab.run.runner import Outcome

ROOT = Path(__file__).resolve().parents[1]
_DATA = ROOT / "data"
_BIKES, _FLIGHTS = _DATA / "bikes.parquet", _DATA / "flights.parquet"
NO_EVIDENCE = ("new_records", "model_age", "schedule", "growth", "label_completeness")    # of a change
WITHIN = 24    # hours
CYCLE = 600    # seconds, in which several models are made from a year and compared
LOOKS = 4    # days in which a bad promotion has to be seen, for outcomes take a while
_ASK = {    # somebody wants a model made now, whatever the safeguards say
    "triggers": [{"signal": "model_age", "at_least": 0, "severity": "high"}],
    "guardrails.cooldown": "0d", "guardrails.budget": None, "guardrails.approval": None, "guardrails.quiet_hours": [],
    "guardrails.tenants": None, "guardrails.min_recent": 0, "estimator.candidates": {},
}


def _bad(path: str, **params: Any) -> dict[str, Any]:
    """Settings of a class that stands in for whatever the params file names."""
    own = {f"estimator.params.{key}": value for key, value in params.items()}
    return {"estimator.class": path, "estimator.params": {}} | own


_PRIOR = _bad("sklearn.dummy.DummyClassifier", strategy="prior")
_TREE = _bad("sklearn.tree.DecisionTreeClassifier", random_state=0)
_MEAN = _bad("sklearn.dummy.DummyRegressor")


@dataclass(frozen=True)
class Change:
    """Something that happens in a story.

    Attributes
    ----------
    on : date
        From when on.
    what : str
    tells : tuple of str
        Signals of which one has to tell it.
    name : str
        What it has to name.
    """

    on: date
    what: str
    tells: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Story:
    """A params file, and when it is run.

    Attributes
    ----------
    made, until : str
        As of when the first champion is made, and the last check.
    every : str
        How often it is checked, as pandas writes it.
    daily : tuple of (str, str)
        Stretches of time in which it is checked each day, whatever `every` says.
    bad : mapping
        Settings of a model that is no good.
    let_through : dict
        The only criterion, where it is let through nevertheless.
    prepare : callable
        Puts records into a folder; by default those that `trimtab data` made.
    metric : str
        By which what serves is held against what was never, or always, made anew; empty where that is not asked.
    whole_cycle : str
        As of when a retraining on all records is timed; empty where that is not asked.
    overrides : mapping
        Beside the params file.
    """

    name: str
    params: str
    made: str
    until: str
    changes: tuple[Change, ...] = ()
    every: str = "D"
    daily: tuple[tuple[str, str], ...] = ()
    bad: Mapping[str, Any] = field(default_factory=lambda: _TREE)
    let_through: Mapping[str, Any] = field(default_factory=lambda: {"metric": "accuracy", "floor": 0.0})
    prepare: Callable[[Path], None] | None = None
    metric: str = ""
    whole_cycle: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dates(self) -> list[pd.Timestamp]:
        """As of when runs take place."""
        days = pd.date_range(self.made, self.until, freq=self.every)
        for first, last in self.daily:
            days = days.union(pd.date_range(first, last, freq="D"))
        return list(days)


SENSOR, STATION = date(2014, 6, 2), date(2013, 7, 22)


def in_fahrenheit(bikes: Path, folder: Path, since: date = SENSOR) -> None:
    """Bikes, whose weather comes in other units from some day on, as a CSV file in a folder of records."""
    frame = pd.read_parquet(bikes)
    late = frame["hour_start"] >= pd.Timestamp(since)
    for name in ("tmin", "tmax"):
        frame[name] = frame[name].where(~late, (frame[name] * 9 / 5 + 32).round(1))
    _write(frame, folder / "bikes" / "all.csv")


def in_inches(flights: Path, folder: Path, since: date = STATION) -> None:
    """Flights, whose air pressure comes in inches of mercury from some day on."""
    frame = pd.read_parquet(flights)
    late = frame["scheduled_at"] >= pd.Timestamp(since)
    frame["pressure"] = frame["pressure"].where(~late, (frame["pressure"] / 33.8639).round(2))
    _write(frame, folder / "flights.parquet")


def _write(frame: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (frame.to_csv if path.suffix == ".csv" else frame.to_parquet)(path, index=False)


_TOLD_BY = {"confidence": ("confidence_shift",), "extracted": ("rate_drop",), "matched": ("rate_drop",)}
_INPUTS = ("feature_drift", "feature_shift", "unseen_levels", "out_of_range", "outliers", "prediction_shift")
STORIES = (
    Story(
        "bookkeeper", "bookkeeper.yaml", "2010-03-01", "2011-12-04", every="7D",
        daily=tuple((f"{pd.Timestamp(on) - pd.Timedelta('7D'):%F}", f"{pd.Timestamp(on) + pd.Timedelta('3D'):%F}")
                    for on in ocr.CHANGES),
        changes=tuple(
            Change(on, f"{what} of {name}: {value} from then on", _TOLD_BY[what], f"{what} of {name}")
            for on, (name, what, value) in ocr.CHANGES.items()),
        bad=_PRIOR, metric="accuracy",
    ),
    Story("conflicts", "facility-conflict.yaml", "2025-05-01", "2025-10-26", (
        Change(facility.ANNEXE, "an annexe opens", ("unseen_levels", "feature_drift"), "building"),)),
    Story("fraud: east, the pilot", "tenants/east.yaml", "2025-05-01", "2025-10-26", (
        Change(facility.SHIFT, "another currency, and fraud in small payments", _INPUTS, ""),)),
    Story("fraud: north", "tenants/north.yaml", "2025-05-01", "2025-10-26"),
    Story("rides that grow", "autoretrain.yaml", "2012-01-01", "2019-12-22", every="7D", bad=_MEAN, metric="mae",
          let_through={"metric": "mae", "max_drop": 1e9}),
    Story("rides, a sensor in Fahrenheit", "autoretrain.yaml", "2014-04-01", "2014-07-10", (
        Change(SENSOR, "temperatures in Fahrenheit", ("out_of_range", "outliers"), "of tm"),),
        bad=_MEAN, let_through={"metric": "mae", "max_drop": 1e9}, prepare=partial(in_fahrenheit, _BIKES)),
    Story("pipeline", "pipeline.yaml", "2013-04-01", "2013-09-10", (
        Change(STATION, "air pressure in inches of mercury", ("out_of_range", "outliers"), "pressure"),), every="7D",
        daily=(("2013-07-15", "2013-08-02"),), whole_cycle="2014-01-01", prepare=partial(in_inches, _FLIGHTS)),
)
BY_NAME = {story.name: story for story in STORIES}


@dataclass(frozen=True)
class Check:
    """What a run said and did.

    Attributes
    ----------
    told : dict
        By signal with a severity above none: that, and its sentence.
    """

    as_of: str
    status: str
    severity: str
    asks: bool
    blocked_by: list[str]
    verdict: str
    champion: int | None
    told: dict[str, tuple[str, str]]
    seconds: float
    error: str = ""

    @property
    def alarms(self) -> dict[str, tuple[str, str]]:
        """What is evidence of a change."""
        return {name: said for name, said in self.told.items() if name not in NO_EVIDENCE}

    def tells(self, change: Change) -> bool:
        """Whether it tells a change, by one of its signals and its name."""
        return any(change.name in said for name, (_, said) in self.alarms.items() if name in change.tells)


def settled(story: Story, folder: Path) -> Path:
    """A home with the records and the params files; returns the story's."""
    shutil.copytree(ROOT / "params", folder / "params")
    if story.prepare is None:
        (folder / "data").symlink_to(_DATA)
    else:
        story.prepare(folder / "data")
    return folder / "params" / story.params


def play(story: Story, params: Path) -> Iterator[Check]:
    """Run at every date, and then with a bad model."""
    for day in story.dates:
        yield _checked(params, day, rehearse("retrain", params, f"{day:%F}", story.overrides))
    last = story.dates[-1]
    bad = {**story.overrides, **_ASK, **story.bad}
    trials = (bad, bad | {"promotion.criteria": [dict(story.let_through)]}, *[story.overrides] * LOOKS)
    for number, overrides in enumerate(trials, start=1):
        day = last + number * pd.Timedelta("1D")
        found = _checked(params, day, rehearse("retrain", params, f"{day:%F}", overrides))
        yield found
        if found.verdict == "rolled_back":
            break


def _checked(params: Path, day: pd.Timestamp, ran: Outcome) -> Check:
    result = ran.result
    decision, guard = result["decision"] or {}, result["guard"] or {}
    with_signals = tt.open(params, as_of=f"{day:%F}")
    told = {row["name"]: (row["severity"], row["message"]) for row in with_signals.ledger.signals(limit=60)
            if row["run_id"] == result["run_id"] and row["severity"] != "none"}
    with_signals.close()
    return Check(
        f"{day:%F}", result["status"], decision.get("severity") or "none", bool(decision.get("needs_retrain")),
        guard.get("blocked_by") or [], result["verdict"] or "", result["champion_after"], told, result["seconds"],
        ran.error or "",
    )


# -- what it was worth ----------------------------------------------------------------------------------------------


def worth(story: Story, params: Path, until: str) -> dict[str, Any]:
    """By month, the metric of what served, of the first model, and of one made anew each month from all there is."""
    session = tt.open(params, as_of=until)
    served = [(change["as_of"], change["to_version"]) for change in session.ledger.succession.changes()]
    models = {version: session.model(version).estimator for _, version in served}
    first = served[0][1]
    months = [pd.Timestamp(story.made), *pd.date_range(story.made, until, freq="MS", inclusive="neither")]
    rows = []
    for start, end in pairwise([*months, pd.Timestamp(until)]):
        window = session.records.between("month", start.to_pydatetime(), end.to_pydatetime())
        frame = session.frame(window, labelled=True)
        if frame.empty:
            continue
        time, anew = frame[session.params.data.time], _anew(params, start)
        who = np.array([max((one for one in served if one[0] <= at), default=served[0])[1] for at in time])
        said = {version: models[version].predict(_features(session, frame)) for version in {first, *who}}
        loop = np.choose(np.searchsorted(sorted(said), who), [said[version] for version in sorted(said)])
        truth = frame[session.params.data.label].to_numpy()
        rows.append({"month": f"{start:%Y-%m}", "records": len(frame), **{
            name: _value(story.metric, truth, values) for name, values in (
                ("loop", loop), ("static", said[first]), ("monthly", anew.predict(_features(session, frame))))}})
    session.close()
    return {"months": rows, "retrains": len(models) - 1, "monthly": len(rows) - 1}


def _anew(params: Path, month: pd.Timestamp) -> Any:
    """A model from all labelled records of the training window, as of the beginning of a month."""
    session = tt.open(params, as_of=f"{month:%F}")
    settings = session.params
    training, holdout = session.training_windows()
    whole = session.records.between("all", training.start, holdout.end, labelled=True)
    frame = session.frame(whole, labelled=True)
    model = estimators.build(next(iter(settings.estimator.named().values())), settings.data, settings.task)
    fitted = model.fit(_features(session, frame), frame[settings.data.label].to_numpy())
    session.close()
    return fitted


def _features(session: Any, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[list(session.params.data.features)]


def _value(metric: str, truth: np.ndarray[Any, Any], said: np.ndarray[Any, Any]) -> float:
    return float(np.mean(np.abs(truth - said)) if metric == "mae" else np.mean(truth == said))


def _mean(worth: Mapping[str, Any], arm: str) -> float:
    months = worth["months"]
    return float(np.average([one[arm] for one in months], weights=[one["records"] for one in months]))


# -- what came of it ------------------------------------------------------------------------------------------------


def found_of(story: Story, checks: Sequence[Check]) -> dict[str, Any]:
    """What a story's checks come to."""
    told, trials = checks[:len(story.dates)], checks[len(story.dates):]
    before = min((f"{change.on:%F}" for change in story.changes), default="9999")
    quiet = [one for one in told if one.as_of <= before]
    return {
        "checks": len(told), "first": told[0].as_of, "last": told[-1].as_of,
        "failed": [[one.as_of, one.error] for one in told if one.status == "failed"],
        "quiet": {"checks": len(quiet), "alarms": _alarms(quiet), "medium": _alarms(quiet, "medium")},
        "changes": [_told(change, told) for change in story.changes],
        "verdicts": {verdict: sum(one.verdict == verdict for one in told[1:]) for verdict in (
            "promote", "reject", "hold", "needs_approval", "rolled_back")},
        "trials": [
            {"verdict": one.verdict, "champion": one.champion, "blocked_by": one.blocked_by, "error": one.error}
            for one in trials],
        "served": told[-1].champion, "seconds": float(np.median([one.seconds for one in told])),
    }


def _alarms(checks: Sequence[Check], least: str = "low") -> int:
    return sum(any(rank(severity) >= rank(least) for severity, _ in one.alarms.values()) for one in checks)


def _told(change: Change, checks: Sequence[Check]) -> dict[str, Any]:
    """When a change was told, and what came after."""
    day = f"{change.on:%F}"
    early = [one.as_of for one in checks if one.as_of <= day and one.tells(change)]
    seen = next((one for one in checks if one.as_of > day and one.tells(change)), None)
    asked = next((one.as_of for one in checks if one.as_of > day and one.asks), None)
    new = next((one.as_of for one in checks if one.as_of > day and one.verdict == "promote"), None)
    said = next(said for name, said in seen.alarms.items() if name in change.tells) if seen else ("", "")
    return {
        "on": day, "what": change.what, "early": early, "told": seen.as_of if seen else None,
        "hours": (pd.Timestamp(seen.as_of) - pd.Timestamp(day)).total_seconds() / 3600 if seen else None,
        "severity": said[0], "sentence": said[1], "asked": asked, "promoted": new,
    }


def measure() -> dict[str, Any]:
    """Play every story; `STORIES` names those to play, apart by semicolons, and the others stay as they were."""
    wanted = os.environ.get("STORIES")
    found = {}
    for story in STORIES:
        if wanted and story.name not in wanted.split(";"):
            found |= {story.name: _kept()[story.name]} if story.name in _kept() else {}
            continue
        with tempfile.TemporaryDirectory() as place:
            params = settled(story, Path(place))
            found[story.name] = found_of(story, list(play(story, params)))
            if story.metric:
                found[story.name]["worth"] = worth(story, params, f"{story.dates[-1]:%F}")
            if story.whole_cycle:
                found[story.name]["cycle"] = _cycle(story, Path(place) / "cycle")
    return {"stories": found, "bars": _bars(found)}


def _cycle(story: Story, home: Path) -> dict[str, Any]:
    """Seconds of a retraining from the shell on all that there is."""
    home.mkdir()
    params = ROOT / "params" / story.params
    trimtab(home, "baseline", "--as-of", story.made, params=params)
    seconds, result = trimtab(home, "retrain", "--as-of", story.whole_cycle, params=params)
    manifest = json.loads((Path(str(result["run_dir"])) / "run.json").read_text())
    trained = next(step["scraps"] for step in manifest["steps"] if step["notebook"] == "03_retrain")
    return {"seconds": seconds, "records": trained["train_records"] + trained["holdout_records"],
            "fit_seconds": trained["fit_seconds"], "verdict": result["verdict"]}


def _kept() -> dict[str, Any]:
    file = ROOT / "bench" / "results" / "stories.json"
    return json.loads(file.read_text())["found"]["stories"] if file.exists() else {}


def rolled_back(trials: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a bad model that was let through was taken back by the next run, to what served before."""
    before, let_through, after = trials[0], trials[1], trials[-1]
    return (let_through["verdict"], after["verdict"]) == ("promote", "rolled_back") \
        and let_through["champion"] != before["champion"] == after["champion"]


def _bars(found: Mapping[str, Any]) -> list[dict[str, str]]:
    changes = [(name, one) for name, story in found.items() for one in story["changes"]]
    late = [one["on"] for _, one in changes if one["hours"] is None or one["hours"] > WITHIN]
    early = [one["on"] for _, one in changes if one["early"]]
    refused = [name for name, one in found.items() if one["trials"][0]["verdict"] not in {"reject", "hold"}]
    stays = [name for name, one in found.items() if not rolled_back(one["trials"])]
    count = len(found)
    rows = [
        bar("stories: changes told within 24 hours", f"{len(changes)} of {len(changes)}",
            f"{len(changes) - len(late)} of {len(changes)}", met=not late),
        bar("… and not told before they were there", f"{len(changes)} of {len(changes)}",
            f"{len(changes) - len(early)} of {len(changes)}", met=not early),
        bar("stories: a bad challenger is refused", f"{count} of {count}", f"{count - len(refused)} of {count}",
            met=not refused),
        bar("stories: a bad promotion is rolled back", f"{count} of {count}", f"{count - len(stays)} of {count}",
            met=not stays),
    ]
    for name, one in found.items():
        rows += _bars_of_worth(name, one["worth"]) if "worth" in one else []
        if "cycle" in one:
            cycle = one["cycle"]
            rows.append(bar(f"{name}: a whole cycle on {cycle['records']:,} records", f"{CYCLE} s",
                            f"{cycle['seconds']:.0f} s", met=cycle["seconds"] <= CYCLE))
    return rows


def _bars_of_worth(name: str, worth: Mapping[str, Any]) -> list[dict[str, str]]:
    loop, static, monthly = (_mean(worth, arm) for arm in ("loop", "static", "monthly"))
    last, most = worth["months"][-1], worth["monthly"] / 3
    fewer = bar(f"{name}: retrainings, beside one each month", f"at most {most:.0f}", str(worth["retrains"]),
                met=worth["retrains"] <= most)
    if loop > 1:    # an error
        return [
            bar(f"{name}: mean error below that of the first model", "50 %", f"{1 - loop / static:.0%}",
                met=loop <= static / 2),
            bar(f"{name}: mean error beside one made anew each month", "at most 10 % more",
                f"{loop / monthly - 1:+.1%}", met=loop <= 1.1 * monthly),
            fewer,
        ]
    gain = last["loop"] - last["static"]
    return [
        bar(f"{name}: accuracy above that of the first model, at the end", "15 pp", f"{100 * gain:.1f} pp",
            met=gain >= 0.15),
        bar(f"{name}: share of wrong answers beside one made anew each month", "at most 10 % more",
            f"{(1 - loop) / (1 - monthly) - 1:+.1%}", met=(1 - loop) <= 1.1 * (1 - monthly)),
        fewer,
    ]


def show(found: dict[str, Any]) -> str:
    """The section."""
    rows = [
        [name, f"{one['first']} to {one['last']}", one["checks"],
         f"{one['quiet']['alarms']} of {one['quiet']['checks']}", _hours(one["changes"]),
         *(one["verdicts"][verdict] for verdict in ("promote", "reject", "hold")), f"{one['seconds']:.1f} s"]
        for name, one in found["stories"].items()
    ]
    return "\n\n".join([
        "## Stories",
        prose("""The five reference systems, each played through time from its params file (bench/stories.py):
            [reference-systems.md](reference-systems.md) says what they are about. Alarms before: checks up to the first
            change with any evidence of one, whatever its severity; seconds of a check, without kernels."""),
        table(["story", "from … to", "checks", "alarms before", "hours until told", "promoted", "rejected", "held",
               "a check"], rows),
    ])


def _hours(changes: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join("never" if one["hours"] is None else f"{one['hours']:.0f}" for one in changes) or "–"


def filled(page: str, found: Mapping[str, Any]) -> str:
    """A page whose tables of stories, each between two comments, hold these figures."""
    for name, one in found["stories"].items():
        head, end = f"<!-- story: {name} -->\n", "<!-- end -->"
        before, there, rest = page.partition(head)
        if there:
            page = f"{before}{head}{_figures(one)}\n{end}{rest.partition(end)[2]}"
    return page


def _figures(one: Mapping[str, Any]) -> str:
    """A story's table."""
    rows = [["checks", f"{one['checks']}, as of {one['first']} to {one['last']}"],
            ["alarms before anything changes", f"in {one['quiet']['alarms']} of {one['quiet']['checks']} checks, "
             f"medium or more in {one['quiet']['medium']}"]]
    for change in one["changes"]:
        rows.append([f"{change['on']}: {change['what']}", _telling(change)])
    verdicts = one["verdicts"]
    rows += [
        ["challengers", f"{verdicts['promote']} promoted, {verdicts['reject']} rejected, {verdicts['hold']} held, "
                        f"{verdicts['rolled_back']} rolled back"],
        ["a bad challenger", {"reject": "rejected", "hold": "held"}.get(one["trials"][0]["verdict"], "not refused")],
        ["the same, let through by hand", _days_until(one["trials"]) if rolled_back(one["trials"]) else "it stayed"],
    ]
    if "worth" in one:
        rows += _worth_rows(one["worth"])
    if "cycle" in one:
        cycle = one["cycle"]
        rows.append(["a whole cycle from the shell",
                     f"{cycle['seconds']:.0f} s on {cycle['records']:,} records, "
                     f"{cycle['fit_seconds']:.0f} s of it fitting"])
    return table(["", ""], rows)


def _days_until(trials: Sequence[object]) -> str:
    days = len(trials) - 2
    return "rolled back by the next run" if days == 1 else f"rolled back after {days} days"


def _telling(change: Mapping[str, Any]) -> str:
    """When a change was told, and what came of it."""
    if change["hours"] is None:
        return "never told"
    told = f"told after {change['hours']:.0f} h, as {change['severity']}: “{change['sentence']}”"
    asked = f" A new model was asked for on {change['asked']}" if change["asked"] else " No new model was asked for"
    new = f", and one was promoted on {change['promoted']}." if change["promoted"] else "."
    return f"{told}{asked}{new}"


def _worth_rows(worth: Mapping[str, Any]) -> list[list[str]]:
    last = worth["months"][-1]
    words = {"loop": "with Trimtab", "static": "the first model", "monthly": "made anew each month"}
    mean = ", ".join(f"{words[arm]} {_mean(worth, arm):.3g}" for arm in words)
    end = ", ".join(f"{words[arm]} {last[arm]:.3g}" for arm in words)
    return [["in the mean", mean], [f"at the end ({last['month']})", end],
            ["models trained", f"{worth['retrains']} promoted with Trimtab, {worth['monthly']} anew each month"]]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        story = BY_NAME[sys.argv[1]]
        path = settled(story, Path(folder))
        seen = []
        for check in play(story, path):
            seen.append(check)
            print(check.as_of, f"{check.seconds:.1f} s", check.status, check.severity, "asks" if check.asks else "",
                  check.blocked_by or "", check.verdict, check.champion, check.error, dict(check.alarms), flush=True)
        print(json.dumps(found_of(story, seen), indent=1))
        if story.metric:
            print(json.dumps(worth(story, path, f"{story.dates[-1]:%F}")))

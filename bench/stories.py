"""The five reference systems, each played through time from its params file.

`python bench/stories.py NAME` plays one and prints its checks. How they are played, and that a bad model is tried in
the end: `plays`; what they were worth: `worth`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from loop import trimtab
from plays import DATA, MEAN, PRIOR, ROOT, Change, Story, found_of, play, rolled_back, settled, trained
from show import bar, prose, table
from worth import bars_of, rows_of, worth

from trimtab.datasets import facility, ocr
from trimtab.wording import plural

WITHIN = 24    # hours
CYCLE = 600    # seconds, in which several models are made from a year and compared
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
_BECAME = {"promote": "promoted", "needs_approval": "left to a person", "reject": "rejected", "hold": "held",
           "rolled_back": "rolled back"}
_INPUTS = ("feature_drift", "feature_shift", "unseen_levels", "out_of_range", "outliers", "prediction_shift")
STORIES = (
    Story(
        "bookkeeper", "bookkeeper.yaml", "2010-03-01", "2011-12-04", every="7D",
        daily=tuple((f"{pd.Timestamp(on) - pd.Timedelta('7D'):%F}", f"{pd.Timestamp(on) + pd.Timedelta('3D'):%F}")
                    for on in ocr.CHANGES),
        changes=tuple(
            Change(on, f"{what} of {name}: {value} from then on", _TOLD_BY[what], f"{what} of {name}")
            for on, (name, what, value) in ocr.CHANGES.items()),
        bad=PRIOR, metric="accuracy",
    ),
    Story("conflicts", "facility-conflict.yaml", "2025-05-01", "2025-10-26", (
        Change(facility.ANNEXE, "an annexe opens", ("unseen_levels", "feature_drift"), "building"),),
        steady=True),
    Story("fraud: east, the pilot", "tenants/east.yaml", "2025-05-01", "2025-10-26", (
        Change(facility.SHIFT, "another currency, and fraud in small payments", _INPUTS, ""),),
        steady=True),
    Story("fraud: north", "tenants/north.yaml", "2025-05-01", "2025-10-26", steady=True),
    Story("rides that grow", "autoretrain.yaml", "2012-01-01", "2019-08-18", every="7D", bad=MEAN, metric="mae",
          let_through={"metric": "mae", "max_drop": 1e9}),
    Story("rides, a sensor in Fahrenheit", "autoretrain.yaml", "2014-04-01", "2014-07-10", (
        Change(SENSOR, "temperatures in Fahrenheit", ("out_of_range", "outliers"), "of tm"),),
        bad=MEAN, let_through={"metric": "mae", "max_drop": 1e9},
        prepare=partial(in_fahrenheit, DATA / "bikes.parquet")),
    Story("pipeline", "pipeline.yaml", "2013-04-01", "2013-09-10", (
        Change(STATION, "air pressure in inches of mercury", ("out_of_range", "outliers"), "pressure"),), every="7D",
        daily=(("2013-07-15", "2013-08-02"),), whole_cycle="2014-01-01",
        prepare=partial(in_inches, DATA / "flights.parquet")),
)
BY_NAME = {story.name: story for story in STORIES}


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
    made_up, real = ([one["quiet"] for name, one in found.items() if BY_NAME[name].steady == steady and (
        steady or BY_NAME[name].changes)] for steady in (True, False))
    (alarms, checks), (others, beside) = (
        [sum(one[what] for one in quiet) for what in ("alarms", "checks")] for quiet in (made_up, real))
    runs = sum(one["checks"] for one in found.values())
    failed = sum(len(one["failed"]) for one in found.values())
    rows += [
        bar("stories: alarms of any severity where records are made up and nothing has changed", "under 5 %",
            f"{alarms} of {checks} checks", met=alarms < 0.05 * checks),
        bar("… and where they are real, and change by themselves, before the change that is played", "under 5 %",
            f"{others} of {beside} checks", met=others < 0.05 * beside),
        bar("stories: runs that failed", "under 10 %", f"{failed} of {runs:,}", met=failed < 0.1 * runs),
    ]
    for name, one in found.items():
        rows += bars_of(name, one["worth"], trained(one)) if "worth" in one else []
        if "cycle" in one:
            cycle = one["cycle"]
            rows.append(bar(f"{name}: a whole cycle on {cycle['records']:,} records", f"{CYCLE} s",
                            f"{cycle['seconds']:.0f} s", met=cycle["seconds"] <= CYCLE))
    return rows


def show(found: dict[str, Any]) -> str:
    """The section."""
    rows = [
        [name, f"{one['first']} to {one['last']}", one["checks"],
         f"{one['quiet']['alarms']} of {one['quiet']['checks']}", _hours(one["changes"]),
         *(one["verdicts"][verdict] for verdict in ("promote", "needs_approval", "reject", "hold")),
         f"{one['seconds']:.1f} s"]
        for name, one in found["stories"].items()
    ]
    return "\n\n".join([
        "## Stories",
        prose("""The five reference systems, each played through time from its params file (bench/stories.py):
            [reference-systems.md](reference-systems.md) says what they are about. Alarms before: checks up to the first
            change with any evidence of one, whatever its severity; seconds of a check, without kernels."""),
        table(["story", "from … to", "checks", "alarms before", "hours until told", "promoted", "left to a person",
               "rejected", "held", "a check"], rows),
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
    if allowed := one.get("allowed"):
        rows.append(["critical drift", f"{plural(allowed, 'training')} waited for a person, who allowed "
                     f"{'it' if allowed == 1 else 'each'} on the day it was asked"])
    rows += [
        ["challengers", ", ".join(f"{verdicts[verdict]} {words}" for verdict, words in _BECAME.items()
                                  if verdicts[verdict] or verdict != "needs_approval")],
        ["a bad challenger", {"reject": "rejected", "hold": "held"}.get(one["trials"][0]["verdict"], "not refused")],
        ["the same, let through by hand", _days_until(one["trials"]) if rolled_back(one["trials"]) else "it stayed"],
    ]
    if "worth" in one:
        rows += rows_of(one["worth"], trained(one), one["verdicts"]["promote"])
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

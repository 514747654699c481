"""Does an alarm predict a real loss, and does an estimate without labels come near what is realised?

`python bench/harm.py` prints Markdown. `PEERS_PYTHON` names another Python that has Evidently and NannyML than the one
that bench/peers makes; empty, their rows are left out. `STORIES` names the stories to run, apart by spaces.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from peers import environment
from replays import EVERYTHING, ROOT, SEED, STORIES, UNLABELLED, Story, Watched, harmed
from show import bar, table

from trimtab.decide.signals import FAMILIES, HIGH_LOSS
from trimtab.plain import plain

Check = dict[str, Any]
LOSSES = (0.05, HIGH_LOSS)
QUIET = 2    # months that records are changed in
METRICS = ("roc_auc", "accuracy", "log_loss", "mae", "rmse")
AS_IT_WAS = "as it was"


def measure() -> dict[str, Any]:
    """Run every story.

    Returns
    -------
    dict
        ``checks``: one for each month as it was and for each change that was made to its records, with what Trimtab
        and the peers said, what came and what was estimated. ``seconds``: by story, and of the peers. ``versions`` of
        the peers; empty where they were not asked. ``bars``: see `_bars`.
    """
    wanted = os.environ.get("STORIES", " ".join(story.name for story in STORIES)).split()
    checks: list[Check] = []
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    for story in (one for one in STORIES if one.name in wanted):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            found = _checks(story, Path(place))
            seconds[story.name] = time.perf_counter() - start
            peers = _ask_peers(Path(place) / "peers")
        for one, said in zip(found, peers.get("files", {}).values(), strict=bool(peers)):
            one["peers"] = plain(said)
        seconds |= {f"{name} on {story.name}": spent for name, spent in peers.get("seconds", {}).items()}
        versions |= peers.get("versions", {})
        checks += found
    return {"checks": checks, "seconds": seconds, "versions": versions, "bars": _bars(checks)}


def _checks(story: Story, place: Path) -> list[Check]:
    """All checks of a story; beside them the files that the peers read."""
    folder = place / "peers"
    folder.mkdir()
    with closing(Watched(story, place / "home")) as watched:
        watched.write_reference(folder)
        found = _looked_at(story, watched, folder)
        watched.write_about(folder, [f"{i:03d}.parquet" for i in range(len(found))])
    return found


def _looked_at(story: Story, watched: Watched, folder: Path) -> list[Check]:
    """Every month as it was, and the first quiet ones with something done to their records."""
    found: list[Check] = []

    def _look(month: str, done: str, changed: Path | None = None) -> None:
        told, records = watched.check(month, changed)
        records.to_parquet(folder / f"{len(found):03d}.parquet")
        found.append({"story": story.name, "month": month, "done": done} | told)

    for month in story.months:
        _look(month, AS_IT_WAS)
    for month in [one["month"] for one in found if not harmed(one, LOSSES[1])][:QUIET]:
        for done, changed in watched.injected(month):
            _look(month, done, changed)
    return found


def _ask_peers(folder: Path) -> dict[str, Any]:
    python = os.environ.get("PEERS_PYTHON")
    if python == "":
        return {}
    python = python or str(environment.python())
    out, script = folder / "said.json", ROOT / "bench" / "peers" / "performance.py"
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, str(script), str(folder), str(out)], check=True, env=inherited, capture_output=True)
    said: dict[str, Any] = json.loads(out.read_text())
    return said


# -- alarms against losses --------------------------------------------------------------------------------------------

Detector = Callable[[Check], bool]


def _kinds(*names: str) -> Detector:
    return lambda one: any(one["asked"][name] for name in names)


def _peer(part: str, name: str) -> Detector:
    return lambda one: bool(one["peers"][part][name])


def _peer_estimate(name: str) -> Detector:
    """Of the metric that speaks for the model."""
    return lambda one: bool(one["peers"]["estimates"][name][one["metric"]])


OURS, LABELLED = "Trimtab, without labels", "Trimtab, with labels"
DETECTORS: dict[str, Detector] = {
    OURS: _kinds(UNLABELLED),
    "Trimtab, without labels, as the params file asks": lambda one: one["asked by own triggers"][UNLABELLED],
    "… inputs alone": _kinds("inputs"),
    "… outputs alone": _kinds("outputs"),
    "… all columns together alone": _kinds("joint distribution"),
    "… estimated drop, graded low or more": lambda one: one["severities"].get("estimated_drop", "none") != "none",
    LABELLED: _kinds(EVERYTHING),
    "Trimtab, with labels, as the params file asks": lambda one: one["asked by own triggers"][EVERYTHING],
    "… with labels, inputs and all columns together not above medium": _kinds(
        *(kind for kind in FAMILIES if kind not in ("inputs", "joint distribution"))
    ),
    "… labels, realised loss and change of the error alone": _kinds(
        "labels", "realised performance", "classes", "errors over time"
    ),
    "… change of the error alone": _kinds("errors over time"),
}
PEERS: dict[str, Detector] = {
    "Evidently, dataset drift (half of the columns)": _peer("evidently", "dataset drift"),
    "Evidently, some column": _peer("evidently", "some column"),
    "NannyML, univariate, any chunk": _peer("univariate", "any"),
    "NannyML, univariate, a column in half of the chunks": _peer("univariate", "half"),
    "NannyML, CBPE or DLE, any chunk": _peer_estimate("any"),
    "NannyML, CBPE or DLE, half of the chunks": _peer_estimate("half"),
}
ALWAYS = "always"
CONTROLS: dict[str, Detector] = {ALWAYS: lambda _: True}


def tallied(checks: Sequence[Check], detector: Detector, least: float) -> tuple[int, int, int, int]:
    """Alarms, losses, alarms that were losses, and checks."""
    alarms, losses = [detector(one) for one in checks], [harmed(one, least) for one in checks]
    both = sum(a and b for a, b in zip(alarms, losses, strict=True))
    return sum(alarms), sum(losses), both, len(checks)


def f1(checks: Sequence[Check], detector: Detector, least: float) -> float:
    """Harmonic mean of precision and recall; nan where there are neither alarms nor losses."""
    alarms, losses, both, _ = tallied(checks, detector, least)
    return 2 * both / (alarms + losses) if alarms + losses else math.nan


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "–"


def _alarm_rows(groups: dict[str, list[Check]], least: float, detectors: dict[str, Detector]) -> list[list[str]]:
    rows = []
    for name, detector in detectors.items():
        cells = []
        for checks in groups.values():
            alarms, losses, both, _ = tallied(checks, detector, least)
            cells += [_of(both, alarms), _of(both, losses)]
        rows.append([name, *cells])
    return rows


# -- estimates against what came --------------------------------------------------------------------------------------

Guess = Callable[[Check, str], float]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _of_peer(one: Check, metric: str) -> float:
    return _number(one.get("peers", {}).get("estimates", {}).get("values", {}).get(metric))


def _unchanged(one: Check, metric: str) -> float:
    return _number(one["baseline"].get(metric))


def _estimate(one: Check, metric: str) -> float:
    return _number(one["estimates"].get(metric, {}).get("value"))


def _relied_on(one: Check, metric: str) -> float:
    """The estimate where none of its assumptions is known to fail; else there is none to go by."""
    return _unchanged(one, metric) if one["estimates"].get(metric, {}).get("doubtful") else _estimate(one, metric)


UNCHANGED, NANNYML = "nothing changed", "NannyML"
EVERY, RELIED = "Trimtab, every estimate", "Trimtab, where relied on"
GUESSES: dict[str, Guess] = {UNCHANGED: _unchanged, NANNYML: _of_peer, EVERY: _estimate, RELIED: _relied_on}


def mean_errors(checks: Iterable[Check], metric: str) -> tuple[dict[str, float], int]:
    """Mean absolute error of each guess over the checks for which all of them are known, and how many those are.

    A guess that is known of no check at all is left out.
    """
    errors = [
        {name: abs(guess(one, metric) - _number(one["realised"].get(metric))) for name, guess in GUESSES.items()}
        for one in checks
    ]
    told = [name for name in GUESSES if any(math.isfinite(one[name]) for one in errors)]
    common = [one for one in errors if all(math.isfinite(one[name]) for name in told)]
    return {name: float(np.mean([one[name] for one in common])) for name in told if common}, len(common)


def _estimate_rows(checks: list[Check], done: Callable[[str], bool]) -> list[list[str]]:
    rows = []
    for story in dict.fromkeys(one["story"] for one in checks):
        mine = [one for one in checks if one["story"] == story and done(one["done"])]
        for metric in METRICS:
            errors, count = mean_errors(mine, metric)
            if RELIED in errors:
                cells = [f"{errors[name]:.3g}" if name in errors else "–" for name in GUESSES]
                relied = sum(not one["estimates"].get(metric, {"doubtful": True})["doubtful"] for one in mine)
                verdicts = [_verdict(errors, name) for name in (EVERY, RELIED)]
                rows.append([story, metric, str(count), str(relied), *cells, *verdicts])
    return rows


def _nearest(errors: dict[str, float]) -> str:
    """Of the guesses that are not Trimtab's the one with the smaller error."""
    return min((name for name in (UNCHANGED, NANNYML) if name in errors), key=lambda name: errors[name])


def _verdict(errors: dict[str, float], mine: str) -> str:
    """How one of Trimtab's guesses compares with the nearest of the others."""
    best = _nearest(errors)
    ratio = errors[mine] / errors[best] - 1
    if abs(ratio) < 0.005:
        return f"as {best}"
    return f"{abs(ratio):.0%} {'more' if ratio > 0 else 'less'} than {best}"


# -- the bars ---------------------------------------------------------------------------------------------------------

def _bars(checks: list[Check]) -> list[dict[str, str]]:
    """Over all checks, records changed or not: alarms beside the peers', and each estimate's error beside the others'.

    The metrics are those that speak for the models, and accuracy.
    """
    found = []
    for story in dict.fromkeys(one["story"] for one in checks):
        mine = [one for one in checks if one["story"] == story]
        errors = {metric: mean_errors(mine, metric) for metric in (mine[0]["metric"], "accuracy")}
        found += [_estimate_bar(story, metric, *told) for metric, told in errors.items() if EVERY in told[0]]
    return found + ([_alarm_bar(checks)] if all("peers" in one for one in checks) else [])


def _estimate_bar(story: str, metric: str, errors: dict[str, float], count: int) -> dict[str, str]:
    others = "; ".join(f"{name} {errors[name]:.3g}" for name in (UNCHANGED, NANNYML) if name in errors)
    return bar(
        f"error of the estimate without labels: {story}, {metric}, {count} checks",
        "less than by NannyML, and than by that nothing changed",
        f"{errors[EVERY]:.3g} ({_verdict(errors, EVERY)}), where relied on {errors[RELIED]:.3g}; {others}",
        met=NANNYML in errors and errors[EVERY] < errors[_nearest(errors)],
    )


def _alarm_bar(checks: list[Check]) -> dict[str, str]:
    """By F1, for precision can be had at the price of recall, and recall by raising an alarm every time."""
    best = max(PEERS, key=lambda name: f1(checks, PEERS[name], HIGH_LOSS))
    ours, theirs, always = (
        f1(checks, detector, HIGH_LOSS) for detector in (DETECTORS[OURS], PEERS[best], CONTROLS[ALWAYS])
    )
    beside = {"with labels": DETECTORS[LABELLED], f"the best peer ({best})": PEERS[best], ALWAYS: CONTROLS[ALWAYS]}
    told = [f"{name}: {_precision_and_recall(checks, detector)}" for name, detector in beside.items()]
    return bar(
        f"alarms without labels against losses of {HIGH_LOSS:.0%} or more, {len(checks)} checks",
        "F1 not below that of any rule of the peers, and above that of raising one every time",
        "; ".join([_precision_and_recall(checks, DETECTORS[OURS]), *told]),
        met=ours >= theirs and ours > always,
    )


def _precision_and_recall(checks: list[Check], detector: Detector) -> str:
    alarms, losses, both, count = tallied(checks, detector, HIGH_LOSS)
    told = f"{_of(both, alarms)} right, {_of(both, losses)} found, {_of(alarms - both, count - losses)} in vain"
    return f"F1 {f1(checks, detector, HIGH_LOSS):.2f} ({told})"


# -- the section ------------------------------------------------------------------------------------------------------

_HEAD = ["story", "metric", "checks", "relied on", *GUESSES, "every estimate has an error of", "where relied on"]


def _what_came(checks: list[Check]) -> list[list[str]]:
    rows = []
    for story in dict.fromkeys(one["story"] for one in checks):
        for name, real in (("months as they were", True), ("months with changed records", False)):
            mine = [one for one in checks if one["story"] == story and (one["done"] == AS_IT_WAS) is real]
            if mine:
                lost = [str(sum(harmed(one, least) for one in mine)) for least in LOSSES]
                rows.append([story, mine[0]["metric"], name, str(len(mine)), *lost])
    return rows


def show(found: dict[str, Any]) -> str:
    """The section of docs/benchmarks.md."""
    checks: list[Check] = found["checks"]
    asked = all("peers" in one for one in checks)
    real = [one for one in checks if one["done"] == AS_IT_WAS]
    changed = [one for one in checks if one["done"] != AS_IT_WAS]
    detectors = DETECTORS | (PEERS if asked else {}) | CONTROLS
    named = ", ".join(f"{name} {version}" for name, version in found["versions"].items()) or "not asked"
    seconds = ", ".join(f"{name} {spent:.0f} s" for name, spent in found["seconds"].items())
    parts = [f"""## Harm: does an alarm predict a loss?

A champion is made once and then watched, never retrained: {_stories()}. Each check looks at 30 days and compares with
what the champion was made from. A loss is real when the primary metric fell by 5 % (10 %) of its holdout's value or
more and the 95 % interval of the difference leaves zero out. In the first {QUIET} months of each story without a loss
of 10 %, records are then changed (seed {SEED}): outcomes exchanged in 10 to 30 % of the records, the commonest class
(of numbers, the lower half) thinned out, the most important column shuffled in a third of the records to all. An alarm
asks for retraining (severity high). What "with labels" says contains the loss itself, so its recall is no achievement;
its precision is.

The bars take all checks together, records changed or not: for an estimate those of a story, for alarms those of every
story, whose precision and recall are compared by their harmonic mean (F1). Where most checks are losses, that favours a
rule that raises an alarm every time, which is why such a rule stands beside them, and in how many of the checks without
a loss there was an alarm (in vain).

Peers: {named}. Time: {seconds}.

{table(["story", "metric", "checks of", "checks", "losses ≥ 5 %", "≥ 10 %"], _what_came(checks))}
"""]
    for least, groups in zip(LOSSES, (_groups(real) | _pooled(real, changed), _pooled(real, changed)), strict=True):
        head = ["alarm", *[f"{name}: {what}" for name in groups for what in ("right", "found")]]
        parts.append(f"""### Alarms against losses of {least:.0%} or more

"Right" is precision: of the alarms, so many were losses. "Found" is recall: of the losses, so many had an alarm.

{table(head, _alarm_rows(groups, least, detectors))}
""")
    parts.append("""### Estimates without labels against what came

Mean absolute error of each metric's estimate. An estimate is relied on when none of its assumptions is known to fail:
only then can it raise a signal, and elsewhere there is nothing to go by but that nothing changed. Months as they were:
""")
    parts.append(table(_HEAD, _estimate_rows(real, lambda _: True)))
    if changed:
        parts.append("""
Records left out by class (of numbers, by half), or a column shuffled, which estimates may notice; outcomes exchanged,
which they cannot:
""")
        parts.append(table(_HEAD, _estimate_rows(changed, lambda done: not done.startswith("label"))) + "\n")
        parts.append(table(_HEAD, _estimate_rows(changed, lambda done: done.startswith("label"))))
    return "\n".join(parts) + "\n"


def _stories() -> str:
    return "; ".join(
        f"{one.name} (params/{one.params}, made as of {one.made}, {len(one.months)} months)" for one in STORIES
    )


def _groups(real: list[Check]) -> dict[str, list[Check]]:
    groups: dict[str, list[Check]] = {}
    for one in real:
        groups.setdefault(one["story"], []).append(one)
    return groups


def _pooled(real: list[Check], changed: list[Check]) -> dict[str, list[Check]]:
    return {"all months": real} | ({"changed records": changed} if changed else {})


if __name__ == "__main__":
    print(show(measure()))

"""How long do the loop and its parts take? Whole commands from the shell, each in a home of its own.

Everything is measured in one run on one machine, so ratios mean something even where the machine is shared.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from show import bar, table

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
DEMO = ROOT / "params" / "demo.yaml"
NOTEBOOKS = ("02_drift_analysis", "03_retrain", "04_evaluate_and_promote")
OLD_SYSTEM = {2000: 45, 5000: 80, 10000: 145}    # seconds, from requirement B22


def timed(command: list[str], home: Path) -> tuple[float, str]:
    """Seconds of a command, and what it printed."""
    environment = os.environ | {"TRIMTAB_HOME": str(home)}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def trimtab(home: Path, *words: str, params: Path = DEMO) -> tuple[float, dict[str, object]]:
    """Seconds of a `trimtab run` command, and its JSON."""
    seconds, printed = timed([str(BIN / "trimtab"), "run", *words, "-p", str(params), "--json"], home)
    return seconds, json.loads(printed)


def demo(folder: Path) -> list[dict[str, Any]]:
    """The demo's four commands, as `make demo` gives them."""
    home = folder / "demo"
    home.mkdir()
    asked = "triggers=[{signal: model_age, at_least: 90, severity: high}]"
    steps = [
        ("baseline", "--as-of", "2013-04-01"),
        ("retrain", "--as-of", "2013-07-01"),
        ("retrain", "--as-of", "2013-12-01", "--set", "windows.training.last=90d", "--set", asked),
        ("rollback", "--as-of", "2013-12-01"),
    ]
    rows = []
    for words in steps:
        seconds, result = trimtab(home, *words)
        rows.append({"command": " ".join(words), "seconds": seconds, "verdict": str(result["verdict"] or "–")})
    return rows


def commands(folder: Path, rounds: int) -> dict[str, float]:
    """Drift and retraining from the shell, warm and cold, and plain papermill; medians over rounds."""
    seen: dict[str, list[float]] = defaultdict(list)
    start = folder / "start"
    start.mkdir()
    trimtab(start, "baseline", "--as-of", "2013-04-01")
    for number in range(rounds):
        home = shutil.copytree(start, folder / f"drift-{number}")
        seen["drift"].append(trimtab(home, "drift", "--as-of", "2013-07-01")[0])
        home = shutil.copytree(start, folder / f"warm-{number}")
        seconds, result = trimtab(home, "retrain", "--as-of", "2013-07-01")
        seen["warm"].append(seconds)
        seen["fit"].append(_fit_seconds(Path(str(result["run_dir"]))))
        home = shutil.copytree(start, folder / f"plain-{number}")
        seen["plain"].append(sum(_papermill(home, name) for name in NOTEBOOKS))
    return {name: statistics.median(values) for name, values in seen.items()}


def _fit_seconds(run_dir: Path) -> float:
    manifest = json.loads((run_dir / "run.json").read_text())
    step = next(step for step in manifest["steps"] if step["notebook"] == "03_retrain")
    return float(step["scraps"]["fit_seconds"])


def _papermill(home: Path, name: str) -> float:
    source = ROOT / "notebooks" / f"{name}.ipynb"
    target = home / f"{name}.ipynb"
    words = [str(BIN / "papermill"), str(source), str(target), "--cwd", str(source.parent), "--no-progress-bar"]
    words += ["-p", "params", str(DEMO), "-p", "as_of", "2013-07-01"]
    return timed(words, home)[0]


def cycles(folder: Path) -> list[dict[str, float]]:
    """Drift, retraining and evaluation on small tables, beside the times that an older system needed."""
    import pandas as pd

    flights = pd.read_parquet(ROOT / "data" / "flights.parquet")
    tree = yaml.safe_load(DEMO.read_text())
    tree["triggers"] = [{"signal": "model_age", "at_least": 0, "severity": "high"}]
    rows = []
    for size, old in OLD_SYSTEM.items():
        home = folder / f"cycle-{size}"
        (home / "data").mkdir(parents=True)
        some = flights.sample(size, random_state=0).sort_values("scheduled_at")
        some.to_parquet(home / "data" / "flights.parquet")
        params = home / "cycle.yaml"
        params.write_text(yaml.safe_dump(tree))
        trimtab(home, "baseline", "--as-of", "2013-07-01", params=params)
        seconds, result = trimtab(home, "retrain", "--as-of", "2014-01-01", params=params)
        assert result["verdict"], "the cycle went through"
        rows.append({"records": size, "seconds": seconds, "quoted": old})
    return rows


def measure() -> dict[str, Any]:
    """All of it."""
    rounds = int(os.environ.get("ROUNDS", "3"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "rounds": rounds, "demo": demo(folder), "commands": commands(folder, rounds), "cycles": cycles(folder),
        }
    return found | {"bars": _bars(found)}


def _bars(found: dict[str, Any]) -> list[dict[str, str]]:
    middle, total = found["commands"], sum(step["seconds"] for step in found["demo"])
    ratio, fitting = middle["plain"] / middle["warm"], middle["warm"] - middle["fit"]
    return [
        bar("the demo, all four commands", "90 s", f"{total:.1f} s", met=total <= 90),
        bar("`trimtab run drift`", "8 s", f"{middle['drift']:.1f} s", met=middle["drift"] <= 8),
        bar("`trimtab run retrain`, without fitting", "20 s", f"{fitting:.1f} s", met=fitting <= 20),
        bar("the same by the `papermill` command, as a multiple", "at least 3", f"{ratio:.2f}", met=ratio >= 3),
    ]


def show(found: dict[str, Any]) -> str:
    """The section."""
    middle = found["commands"]
    steps = [[step["command"], f"{step['seconds']:.1f} s", step["verdict"]] for step in found["demo"]]
    medians = [[title, f"{middle[name]:.1f} s"] for name, title in (
        ("drift", "`trimtab run drift`"), ("warm", "`trimtab run retrain`, all of it"), ("fit", "… of which fitting"),
        ("plain", "the same three notebooks by the `papermill` command"),
    )]
    small = [
        [f"{one['records']:,} records", f"{one['seconds']:.1f} s", f"{one['quoted']} s",
         f"{one['quoted'] / one['seconds']:.1f}"] for one in found["cycles"]
    ]
    return f"""## The loop on the flights demo

Whole commands from the shell, start of Python included, each home fresh.

{table(["command", "seconds", "verdict"], steps)}

Medians of {found["rounds"]} rounds, warm and plain taking turns; the baseline stands already.

{table(["what", "measured"], medians)}

Both ways run the same cells on the same records; `trimtab run` also checks the params file and the records, makes the
pages, and keeps lease, ledger and manifest. All packages are compiled to bytecode, as `make setup` leaves them: without
that, imports, and with them the ratio, would be larger.

## One cycle on small tables

Drift analysis, retraining, evaluation and reports (`trimtab run retrain`) on a sample of the flights, beside the times
of the system that requirement B22 quotes (on another machine, so the ratio is an orientation only).

{table(["table", "Trimtab", "quoted", "ratio"], small)}"""


if __name__ == "__main__":
    print(show(measure()))

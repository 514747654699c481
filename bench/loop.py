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
from pathlib import Path

import yaml

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


def demo(folder: Path) -> list[list[str]]:
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
    rows, total = [], 0.0
    for words in steps:
        seconds, result = trimtab(home, *words)
        total += seconds
        rows.append([" ".join(words), f"{seconds:.1f} s", str(result["verdict"] or "–")])
    return [*rows, ["all four (bar: 90 s)", f"{total:.1f} s", ""]]


def commands(folder: Path, rounds: int) -> list[list[str]]:
    """Drift and retraining from the shell, warm and cold, and plain papermill; medians over rounds."""
    seen: dict[str, list[float]] = {}
    training: list[float] = []
    start = folder / "start"
    start.mkdir()
    trimtab(start, "baseline", "--as-of", "2013-04-01")
    for number in range(rounds):
        home = shutil.copytree(start, folder / f"drift-{number}")
        seen.setdefault("drift", []).append(trimtab(home, "drift", "--as-of", "2013-07-01")[0])
        home = shutil.copytree(start, folder / f"warm-{number}")
        seconds, result = trimtab(home, "retrain", "--as-of", "2013-07-01")
        seen.setdefault("warm", []).append(seconds)
        training.append(_fit_seconds(Path(str(result["run_dir"]))))
        home = shutil.copytree(start, folder / f"plain-{number}")
        seen.setdefault("plain", []).append(sum(_papermill(home, name) for name in NOTEBOOKS))
    middle = {name: statistics.median(values) for name, values in seen.items()}
    fit = statistics.median(training)
    return [
        ["`trimtab run drift` (bar: 8 s)", f"{middle['drift']:.1f} s"],
        ["`trimtab run retrain`, all of it", f"{middle['warm']:.1f} s"],
        ["… of which fitting", f"{fit:.1f} s"],
        ["… without fitting (bar: 20 s)", f"{middle['warm'] - fit:.1f} s"],
        ["the same three notebooks by the `papermill` command", f"{middle['plain']:.1f} s"],
        ["ratio (bar: 3)", f"{middle['plain'] / middle['warm']:.2f}"],
    ]


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


def cycles(folder: Path) -> list[list[str]]:
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
        rows.append([f"{size:,} records", f"{seconds:.1f} s", f"{old} s", f"{old / seconds:.1f}"])
    return rows


def main(rounds: int = 3) -> dict[str, list[list[str]]]:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {"demo": demo(folder), "commands": commands(folder, rounds), "cycles": cycles(folder)}


if __name__ == "__main__":
    for title, rows in main().items():
        print(f"\n{title}")
        for row in rows:
            print("  " + " | ".join(row))

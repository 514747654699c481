"""How much faster, and in how much less memory, than Evidently is a check of a million rows of fifty columns?

Everything from Parquet files, in one run, each in a process of its own. `python speed.py both` is Trimtab's process
that has nothing stored and reads both files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import profile_speed
from peers import environment
from profile_speed import FOLDER, LEVELS, NUMERIC, STORED
from show import bar, prose, table

FILES = FOLDER / "million-0.parquet", FOLDER / "million-1.parquet"
FASTER = {"default": 50, "psi": 25}
MEMORY = 4
NAMES = {"default": "DataDriftPreset()", "psi": 'DataDriftPreset(method="psi")'}


def both() -> None:
    """Freeze and count one file, count the other, compare; print rows, seconds and peak memory."""
    from trimtab.measure.columns.drift import compare
    from trimtab.measure.columns.watched import Watched
    from trimtab.records import Records
    from trimtab.settings.data import Data

    watched, profiles, frozen = Watched(NUMERIC, tuple(LEVELS)), [], None
    started, rows = time.perf_counter(), 0
    for file in FILES:
        data = Data(table=str(file), time="t", numeric=NUMERIC, categorical=tuple(LEVELS))
        records = Records.open(data, datetime(2025, 1, 1), [Path("/")])
        window = records.between("window", datetime(2024, 1, 1), datetime(2024, 2, 1))
        frozen = records.freeze(window, watched) if frozen is None else frozen
        profiles.append(records.profile(window, watched, frozen))
        rows = window.rows
    compare(*profiles)
    print(json.dumps([rows, time.perf_counter() - started, profile_speed.peak()]))


def measure() -> dict[str, Any]:
    """Seconds and peak memory of Trimtab's two ways and of Evidently's two."""
    profile_speed.make()
    profile_speed.run("store")
    stored = profile_speed.run(FILES[1].name)
    command = [sys.executable, __file__, "both"]
    fresh = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found: dict[str, Any] = {"stored": stored[:3], "both": fresh}
    found |= {method: environment.run("speed.py", method, *map(str, FILES))[:3] for method in FASTER}
    return found | {"bars": _bars(found)}


def _bars(found: dict[str, Any]) -> list[dict[str, str]]:
    (_, fast, small), (_, fresh, large) = found["stored"], found["both"]
    made = []
    for method, wanted in FASTER.items():
        _, seconds, memory = found[method]
        made += [
            bar(f"a million rows × 50 columns, as often as Evidently's {NAMES[method]}; reference's profile stored",
                f"at least {wanted} times", f"{seconds / fast:.0f} times", met=seconds / fast >= wanted),
            bar(f"a million rows × 50 columns, as often as Evidently's {NAMES[method]}; both files read",
                f"at least {wanted} times", f"{seconds / fresh:.0f} times", met=seconds / fresh >= wanted),
            bar(f"its peak memory, as a share of that of {NAMES[method]}", f"at most 1/{MEMORY}",
                f"{small / memory:.2f} ({large / memory:.2f} with nothing stored)", met=small * MEMORY <= memory),
        ]
    return made


def show(found: dict[str, Any]) -> str:
    """The section."""
    names = {
        "stored": f"Trimtab, profile of the reference stored ({STORED.name})",
        "both": "Trimtab, nothing stored: both files",
        **{method: f"Evidently, {name}: both files" for method, name in NAMES.items()},
    }
    base = found["stored"][1], found["stored"][2]
    rows = [
        [title, f"{found[key][1]:.1f}", f"{found[key][1] / base[0]:.0f}", f"{found[key][2]:.2f} GiB",
         f"{found[key][2] / base[1]:.1f}"] for key, title in names.items()
    ]
    return "\n\n".join([
        "## One check of a million rows beside Evidently",
        prose("""The table of the profiling section: 40 numeric and 10 categorical columns, from one Parquet file a side
            to the finished comparison or report. Imports are not counted; peak memory is the whole process's."""),
        table(["what", "seconds", "times Trimtab's", "peak memory", "times Trimtab's"], rows),
    ])


if __name__ == "__main__":
    both()

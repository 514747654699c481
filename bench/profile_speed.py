"""How fast, and in how much memory, is a table profiled and compared with a stored reference?

`python bench/profile_speed.py` prints Markdown. The tables are made once, from a seed, in the temporary folder.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from trimtab.measure.profile import Profile

ROWS = 1_000_000
FILES = 10
FOLDER = Path(tempfile.gettempdir()) / "trimtab-bench"
STORED = FOLDER / "reference.json"
NUMERIC = tuple(f"n{i}" for i in range(40))
LEVELS = {f"c{i}": n for i, n in enumerate((3, 5, 10, 20, 40, 80, 150, 300, 600, 1000))}


def make() -> None:
    """Ten files of a million rows: the first alone is the small table."""
    FOLDER.mkdir(exist_ok=True)
    for part in range(FILES):
        path = FOLDER / f"part-{part}.parquet"
        if path.exists():
            continue
        rng = np.random.default_rng(part)
        columns: dict[str, pa.Array] = {name: pa.array(rng.normal(size=ROWS)) for name in NUMERIC}
        for name, n in LEVELS.items():
            codes = pa.array(rng.integers(0, n, ROWS, dtype=np.int32))
            names = pa.array([f"{name}-{i}" for i in range(n)])
            columns[name] = pa.DictionaryArray.from_arrays(codes, names).cast("string")
        when = np.datetime64("2024-01-01", "us") + rng.integers(0, 30 * 86_400_000_000, ROWS)
        columns["t"] = pa.array(when)
        half = path.with_suffix(".part")
        pq.write_table(pa.table(columns), half)
        half.rename(path)


def measure(source: str) -> None:
    """Seconds and peak memory as JSON; `store` writes the reference, `memory` is a memtable."""
    import ibis
    import scipy.spatial.distance
    import scipy.stats  # noqa: F401

    from trimtab.measure.drift import compare
    from trimtab.measure.profile import Profile
    from trimtab.measure.profiling import Watched
    from trimtab.records import Records, Window, count_profile
    from trimtab.settings import Data

    watched = Watched(NUMERIC, tuple(LEVELS))
    if source == "memory":
        table = ibis.memtable(pq.read_table(FOLDER / "part-0.parquet"))
        window = Window("current", datetime(2024, 1, 1), datetime(2024, 2, 1), ROWS, 0, table)
        backend = ibis.duckdb.connect()
        started = time.perf_counter()
        found = count_profile(backend, window, watched, Profile.from_json(json.loads(STORED.read_text())).bins)
        print(json.dumps([window.rows, time.perf_counter() - started, _peak(), _digest(found)]))
        return
    files = "part-0.parquet" if source == "store" else source
    data = Data(table=str(FOLDER / files), time="t", numeric=NUMERIC, categorical=tuple(LEVELS))
    records = Records.open(data, datetime(2025, 1, 1), [Path("/")])
    window = records.between("current", datetime(2024, 1, 1), datetime(2024, 2, 1))
    if source == "store":
        STORED.write_text(json.dumps(records.profile(window, watched).to_json()))
        return
    started = time.perf_counter()
    reference = Profile.from_json(json.loads(STORED.read_text()))
    found = records.profile(window, watched, reference.bins)
    compare(reference, found)
    print(json.dumps([window.rows, time.perf_counter() - started, _peak(), _digest(found)]))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _digest(found: Profile) -> str:
    return hashlib.sha256(json.dumps(found.to_json(), sort_keys=True).encode()).hexdigest()


def _run(source: str) -> list[Any]:
    done = subprocess.run([sys.executable, __file__, source], check=True, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout else []


def report() -> str:
    """The section for docs/benchmarks.md."""
    make()
    _run("store")
    small, large, memory = _run("part-0.parquet"), _run("part-*.parquet"), _run("memory")
    same = "the same" if small[3] == memory[3] else "NOT the same"
    lines = [
        "## Profiling", "",
        "40 numeric columns and 10 categorical ones with 3 to 1000 levels, from Parquet, counted and compared with a",
        "stored reference profile. Each in a process of its own; imports are not counted, peak memory is the whole",
        "process's.", "",
        "| rows | source | seconds | peak memory |", "| --- | --- | --- | --- |",
    ]
    for found, source in ((small, "one Parquet file"), (large, "ten Parquet files"), (memory, "table in memory")):
        lines.append(f"| {found[0]:,} | {source} | {found[1]:.1f} | {found[2]:.2f} GiB |")
    lines += ["", f"The table in memory, which the process holds besides, gives {same} counts as the file."]
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        print(report())

"""How fast, and in how much memory, is a table profiled and compared with a stored reference?

`python bench/profile_speed.py` prints Markdown. The tables are made once, from a seed, in the temporary folder.
"""

from __future__ import annotations

import hashlib
import json
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
    from trimtab.measure.columns.profile import Profile

ROWS = 1_000_000
FILES = 10
ROW_GROUP = 131_072    # what most writers choose is near; Arrow's own default would be one group per file
FOLDER = Path(tempfile.gettempdir()) / "trimtab-bench"
STORED = FOLDER / "reference.json"
NUMERIC = tuple(f"n{i}" for i in range(40))
LEVELS = {f"c{i}": n for i, n in enumerate((3, 5, 10, 20, 40, 80, 150, 300, 600, 1000))}


def make() -> None:
    """Ten files of a million rows: the first alone is the small table, and once more in a single row group."""
    FOLDER.mkdir(exist_ok=True)
    for part in range(FILES):
        path = FOLDER / f"million-{part}.parquet"
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
        if part == 0:
            _write(pa.table(columns), FOLDER / "one-group.parquet", ROWS)
        _write(pa.table(columns), path, ROW_GROUP)


def _write(table: pa.Table, path: Path, group: int) -> None:
    half = path.with_suffix(".part")
    pq.write_table(table, half, row_group_size=group)
    half.rename(path)


def measure(source: str) -> None:
    """Seconds and peak memory as JSON; `store` writes the reference, `memory` is a memtable."""
    import ibis
    import scipy.spatial.distance
    import scipy.stats  # noqa: F401

    from trimtab.measure.columns.drift import compare
    from trimtab.measure.columns.profile import Profile
    from trimtab.measure.columns.profiling import Watched
    from trimtab.records import Records
    from trimtab.settings import Data
    from trimtab.tally import count_profile
    from trimtab.windows import Window

    watched = Watched(NUMERIC, tuple(LEVELS))
    if source == "memory":
        table = ibis.memtable(pq.read_table(FOLDER / "million-0.parquet"))
        window = Window("current", datetime(2024, 1, 1), datetime(2024, 2, 1), ROWS, 0, table)
        backend = ibis.duckdb.connect()
        started = time.perf_counter()
        found = count_profile(backend, window, watched, Profile.from_json(json.loads(STORED.read_text())).bins)
        print(json.dumps([window.rows, time.perf_counter() - started, _peak(), _digest(found)]))
        return
    files = "million-0.parquet" if source == "store" else source
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
    # Not `getrusage`: what that says of a process begins with what its parent had when it started it.
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 2**20


def _digest(found: Profile) -> str:
    return hashlib.sha256(json.dumps(found.to_json(), sort_keys=True).encode()).hexdigest()


def _run(source: str) -> list[Any]:
    done = subprocess.run([sys.executable, __file__, source], check=True, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout else []


def report() -> str:
    """The section for docs/benchmarks.md."""
    make()
    _run("store")
    cases = {
        "one Parquet file": _run("million-0.parquet"), "ten Parquet files": _run("million-*.parquet"),
        "one Parquet file, a single row group": _run("one-group.parquet"), "table in memory": _run("memory"),
    }
    same = len({found[3] for found in cases.values() if found[0] == ROWS}) == 1
    lines = [
        "## Profiling", "",
        "40 numeric columns and 10 categorical ones with 3 to 1000 levels, from Parquet, counted and compared with a",
        f"stored reference profile; row groups of {ROW_GROUP:,} rows. Each in a process of its own; imports are not",
        "counted, peak memory is the whole process's. Bars: 6 s and 1 GB for a million rows, and no more memory for",
        "ten million.", "", "| rows | source | seconds | peak memory |", "| --- | --- | --- | --- |",
    ]
    lines += [f"| {f[0]:,} | {source} | {f[1]:.1f} | {f[2]:.2f} GiB |" for source, f in cases.items()]
    lines += [
        "", f"All of a million rows give {'the same' if same else 'DIFFERENT'} counts. Memory follows the number of",
        "threads and the size of a row group: a single one keeps one thread busy. The table in memory counts itself.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        print(report())

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
from show import bar, prose

if TYPE_CHECKING:
    from trimtab.measure.columns.profile import Profile

ROWS = 1_000_000
FILES = 10
LINEAR = FLAT = 1.25    # seconds per row and peak memory, as multiples, that still count as linear and flat
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


def measure_source(source: str) -> None:
    """Seconds and peak memory as JSON; `store` writes the reference, `memory` is a memtable."""
    import ibis
    import scipy.spatial.distance
    import scipy.stats  # noqa: F401

    from trimtab.measure.columns.drift import compare
    from trimtab.measure.columns.profile import Profile
    from trimtab.measure.columns.watched import Watched
    from trimtab.records import Records
    from trimtab.settings.data import Data
    from trimtab.tally import count_profile
    from trimtab.windows import Window

    watched = Watched(NUMERIC, tuple(LEVELS))
    if source == "memory":
        table = ibis.memtable(pq.read_table(FOLDER / "million-0.parquet"))
        window = Window("current", datetime(2024, 1, 1), datetime(2024, 2, 1), ROWS, 0, table)
        backend = ibis.duckdb.connect()
        started = time.perf_counter()
        found = count_profile(backend, window, watched, Profile.from_json(json.loads(STORED.read_text())).bins)
        print(json.dumps([window.rows, time.perf_counter() - started, peak(), _digest(found)]))
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
    print(json.dumps([window.rows, time.perf_counter() - started, peak(), _digest(found)]))


def peak() -> float:
    """Peak memory of this process, in GiB."""
    # Not `getrusage`: what that says of a process begins with what its parent had when it started it.
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 2**20


def _digest(found: Profile) -> str:
    return hashlib.sha256(json.dumps(found.to_json(), sort_keys=True).encode()).hexdigest()


def run(source: str) -> list[Any]:
    """Measure a source in a process of its own; see `measure_source`."""
    done = subprocess.run([sys.executable, __file__, source], check=True, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout else []


def measure() -> dict[str, Any]:
    """Rows, seconds and peak memory by source."""
    make()
    run("store")
    _into_cache()
    cases = {
        "one Parquet file": run("million-0.parquet"), "ten Parquet files": run("million-*.parquet"),
        "one Parquet file, a single row group": run("one-group.parquet"), "table in memory": run("memory"),
    }
    same = len({found[3] for found in cases.values() if found[0] == ROWS}) == 1
    found = {"cases": {source: case[:3] for source, case in cases.items()}, "same": same}
    return found | {"bars": _bars(found["cases"])}


def _into_cache() -> None:
    """Read all files once: the small one has just been read, and disks are not what is compared."""
    for path in FOLDER.glob("*.parquet"):
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass


def _bars(cases: dict[str, list[float]]) -> list[dict[str, str]]:
    rows, seconds, memory = cases["one Parquet file"]
    more_rows, more_seconds, more_memory = cases["ten Parquet files"]
    per_row = more_seconds / more_rows / (seconds / rows)
    return [
        bar("a million rows × 50 columns counted and compared", "6 s", f"{seconds:.1f} s", met=seconds <= 6),
        bar("… in memory", "1 GiB", f"{memory:.2f} GiB", met=memory <= 1),
        bar("ten million rows: seconds per row, as multiples of those of one million", f"at most {LINEAR}",
            f"{per_row:.2f}", met=per_row <= LINEAR),
        bar("ten million rows: peak memory, as a multiple of that of one million", f"at most {FLAT}",
            f"{more_memory / memory:.2f}", met=more_memory / memory <= FLAT),
    ]


def show(found: dict[str, Any]) -> str:
    """The section for docs/benchmarks.md."""
    lines = [
        "## Profiling", "",
        "40 numeric columns and 10 categorical ones with 3 to 1000 levels, from Parquet, counted and compared with a",
        f"stored reference profile; row groups of {ROW_GROUP:,} rows. Each in a process of its own, all files read",
        "once before, so that no disk is measured; imports are not counted, peak memory is the whole process's.", "",
        "| rows | source | seconds | peak memory |", "| --- | --- | --- | --- |",
    ]
    lines += [f"| {f[0]:,} | {source} | {f[1]:.1f} | {f[2]:.2f} GiB |" for source, f in found["cases"].items()]
    lines += [
        "", prose(f"""All of a million rows give {'the same' if found['same'] else 'DIFFERENT'} counts. Memory follows
        the number of threads and the size of a row group: a single one keeps one thread busy. The table in memory
        counts itself."""),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure_source(sys.argv[1])
    else:
        print(show(measure()))

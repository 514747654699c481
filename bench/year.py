"""How long does a window of a year take whose days are counted already? `python year.py again` is the timed process."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from profile_speed import FOLDER, LEVELS, NUMERIC
from show import bar, prose, table
from whole import Clock

DAYS, RECORDS = 365, 1_000_000
START = datetime(2023, 1, 1)
TABLE, LEDGER = FOLDER / "year.parquet", FOLDER / "year.db"
WITHIN = 1.0
THE_YEAR = "the year's profile"


def make() -> None:
    """A million records over a year, and no ledger."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob(f"{LEDGER.name}*"):
        old.unlink()
    if TABLE.exists():
        return
    rng = np.random.default_rng(0)
    columns = {name: pa.array(rng.normal(size=RECORDS)) for name in NUMERIC}
    for name, n in LEVELS.items():
        names = pa.array([f"{name}-{i}" for i in range(n)])
        codes = pa.array(rng.integers(0, n, RECORDS, dtype=np.int32))
        columns[name] = pa.DictionaryArray.from_arrays(codes, names).cast("string")
    seconds = np.sort(rng.integers(0, DAYS * 86_400, RECORDS))
    columns["t"] = pa.array(np.datetime64(START, "us") + seconds.astype("timedelta64[s]"))
    half = TABLE.with_suffix(".part")
    pq.write_table(pa.table(columns), half, row_group_size=131_072)
    half.rename(TABLE)


def window() -> None:
    """Print the seconds of each step, from an open connection to the compared year."""
    import scipy.stats  # noqa: F401 -- imports are not counted

    from trimtab.act import database
    from trimtab.act.ledger import Ledger
    from trimtab.measure.columns.drift import compare
    from trimtab.measure.columns.watched import Watched
    from trimtab.records import Records
    from trimtab.run.profiles import Profiles
    from trimtab.settings.data import Data

    data = Data(table=str(TABLE), time="t", numeric=NUMERIC, categorical=tuple(LEVELS))
    records = Records.open(data, START + timedelta(days=DAYS + 1), [Path("/")])
    ledger = Ledger(database.connect(f"sqlite:///{LEDGER}"), "year", None)
    profiles = Profiles(records, ledger, Watched(NUMERIC, tuple(LEVELS)), (str(TABLE),))
    reference = records.between("reference", START, START + timedelta(days=60))
    year = records.between("current", START, START + timedelta(days=DAYS))
    one = Clock()
    before = one.timed("the reference's profile", profiles.reference, reference)
    now = one.timed(THE_YEAR, profiles.of, year, before.bins)
    one.timed("the comparison, natural variation included", compare, before, now)
    print(json.dumps([one.seconds, one.computing, year.rows, len(now.days) if now.days else 0]))


def measure() -> dict[str, Any]:
    """Seconds by step, when no day is counted yet and when all are, each in a process of its own."""
    make()
    command = [sys.executable, __file__, "again"]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(2)
    ]
    (first, first_computing, rows, days), (kept, kept_computing, _, _) = runs
    seconds, computing = kept[THE_YEAR], kept_computing[THE_YEAR]
    made = bar(
        f"a window of {days} days from kept daily counts, {len(NUMERIC) + len(LEVELS)} columns",
        f"less than {WITHIN:.0f} s", f"{seconds:.2f} s (computing {computing:.2f} s)",
        met=seconds < WITHIN and days == DAYS,
    )
    steps = {name: [first[name], first_computing[name], kept[name], kept_computing[name]] for name in kept}
    return {"rows": rows, "days": days, "steps": steps, "bars": [made]}


def show(found: dict[str, Any]) -> str:
    """The section."""
    rows = [
        [name, f"{a:.2f} / {b:.2f} s", f"{c:.2f} / {d:.2f} s"] for name, (a, b, c, d) in found["steps"].items()
    ]
    return "\n\n".join([
        "## A year from daily counts",
        prose(f"""{found['rows']:,} records of {len(NUMERIC)} numeric and {len(LEVELS)} categorical columns in
            {found['days']} days against their first sixty days; counts in a SQLite ledger. Each column of the table is
            a process of its own. Seconds that passed / of computing, by all threads."""),
        table(["step", "no day counted yet", "all days counted"], rows),
    ])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        window()
    else:
        print(show(measure()))

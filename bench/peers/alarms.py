"""When do Evidently and NannyML raise an alarm on the tables of `bench/draws.py`? Runs in the peers' environment.

`python alarms.py jobs.json` prints JSON. A job is `{"n", "m", "moved", "shift", "repetitions", "rules"}`; for each
comes back, by rule, how often a moved column was flagged, how often one that did not move, and how often the table as a
whole.

Evidently is asked column by column with the function that its preset calls, for the preset spends its time on drawing
figures; for the first repetition of a job in which nothing moves the preset is run too, and must find as many columns.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import draws
import nannyml
import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

LEVELS = np.array([f"level {code}" for code in range(5001)], dtype=object)
NANNYML = ("NannyML, ten chunks", "NannyML, one chunk")


def frame(columns: draws.Table) -> pd.DataFrame:
    """Categories as text."""
    return pd.DataFrame({n: v if v.dtype.kind == "f" else LEVELS[v] for n, v in columns.items()})


def evidently(before: pd.DataFrame, now: pd.DataFrame) -> tuple[set[str], bool]:
    """Columns that are flagged, and whether half of them are, by which the whole table counts as drifted."""
    found = set()
    for name in before:
        kind = ColumnType.Numerical if before[name].dtype.kind == "f" else ColumnType.Categorical
        sides = before[name].dropna(), now[name].dropna()
        if get_stattest(*sides, kind, None)(*sides, kind, None).drifted:
            found.add(name)
    return found, len(found) >= 0.5 * len(before.columns)


def preset_count(before: pd.DataFrame, now: pd.DataFrame) -> int:
    """How many columns Evidently's preset itself flags."""
    text = [name for name in before if before[name].dtype.kind != "f"]
    kinds = DataDefinition(numerical_columns=[n for n in before if n not in text], categorical_columns=text)
    sides = (Dataset.from_pandas(table, data_definition=kinds) for table in (now, before))
    return int(Report([DataDriftPreset()]).run(*sides).dict()["metrics"][0]["value"]["count"])


def univariate(before: pd.DataFrame, now: pd.DataFrame, **chunks: int) -> set[str]:
    """Columns that NannyML alerts on in any chunk of the window."""
    found = nannyml.UnivariateDriftCalculator(column_names=list(before), **chunks).fit(before).calculate(now)
    alerts = found.filter(period="analysis").to_df().xs("alert", axis=1, level=2)
    return {column for (column, _), raised in alerts.any().items() if raised}


def flagged(job: dict[str, Any], before: pd.DataFrame, now: pd.DataFrame) -> Iterator[tuple[str, set[str], bool]]:
    """By rule the columns, and whether the table as a whole counts as drifted."""
    if "Evidently" in job["rules"]:
        columns, whole = evidently(before, now)
        yield "Evidently", columns, whole
    for name, chunks in zip(NANNYML, ({}, {"chunk_size": job["m"]}), strict=True):
        if name in job["rules"]:
            columns = univariate(before, now, **chunks)
            yield name, columns, bool(columns)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """All repetitions of a job."""
    shift = draws.Shift(**job["shift"]) if job["shift"] else None
    counted: dict[str, list[tuple[bool, bool, bool]]] = {rule: [] for rule in job["rules"]}
    agrees, digest = True, ""
    for repetition in range(job["repetitions"]):
        drawn = draws.tables(job["n"], job["m"], repetition, shift, job["moved"])
        before, now = map(frame, drawn)
        for rule, columns, whole in flagged(job, before, now):
            moved = {name for name in columns if name.startswith("moved")}
            counted[rule].append((bool(moved), bool(columns - moved), whole))
            if rule == "Evidently" and repetition == 0 and not job["moved"]:
                agrees = preset_count(before, now) == len(columns)
        digest = digest or draws.digest(drawn)
    rates = {rule: np.mean(seen, axis=0).tolist() for rule, seen in counted.items()}
    return {"rates": rates, "digest": digest, "agrees": agrees}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asked = json.loads(Path(sys.argv[1]).read_text())
    versions = {name: version(name) for name in ("evidently", "nannyml", "pandas")}
    print(json.dumps({"jobs": [run(job) for job in asked], "versions": versions}))

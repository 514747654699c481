"""How long does Evidently take for one check of a million rows, and how much memory? Runs in the peers' environment.

`python speed.py default|psi reference.parquet current.parquet` prints seconds and peak memory in GiB as JSON: from the
files to the finished report, imports not counted, peak memory of the whole process.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def main(method: str, *files: str) -> None:
    """Read both files and make the report."""
    started = time.perf_counter()
    reference, current = (pd.read_parquet(file).drop(columns="t") for file in files)
    text = [name for name in reference if name.startswith("c")]
    kinds = DataDefinition(numerical_columns=[n for n in reference if n not in text], categorical_columns=text)
    preset = DataDriftPreset() if method == "default" else DataDriftPreset(method=method)
    sides = (Dataset.from_pandas(table, data_definition=kinds) for table in (current, reference))
    found = Report([preset]).run(*sides).dict()
    seconds = time.perf_counter() - started
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    drifted = found["metrics"][0]["value"]["count"]
    print(json.dumps([len(current), seconds, int(status["VmHWM"].split()[0]) / 2**20, drifted]))


if __name__ == "__main__":
    main(*sys.argv[1:])

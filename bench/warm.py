"""How long do all signals and the decision take in a process that has done it before? 10,000 records of 30 columns."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from show import bar, prose, table
from threadpoolctl import threadpool_limits
from whole import DECIDING, OPENING, champion, check

import trimtab as tt

RECORDS, DAYS, WINDOWS = 10_000, 28, 4
NUMERIC = tuple(f"x{i}" for i in range(24))
CATEGORICAL = tuple(f"c{i}" for i in range(6))
SIGNALS_WITHIN, DECISION_WITHIN = 0.5, 0.1
START = pd.Timestamp("2024-01-01")
TREE = {
    "model": "warm", "task": "classification", "as_of": "latest",
    "data": {"table": "warm.parquet", "time": "at", "label": "y", "numeric": [*NUMERIC], "categorical": [*CATEGORICAL]},
    "windows": {"current": {"last": f"{DAYS}d"}, "training": {"last": f"{DAYS}d"}},
    "estimator": {"class": "sklearn.linear_model.LogisticRegression"},
    "promotion": {"criteria": [{"metric": "roc_auc", "floor": 0.5}]},
}


def records(rng: np.random.Generator) -> pd.DataFrame:
    """As many windows of records as there are; nothing moves."""
    n = RECORDS * WINDOWS
    when = START + pd.to_timedelta(np.sort(rng.uniform(0, DAYS * WINDOWS, n)), unit="D")
    numbers = rng.normal(size=(n, len(NUMERIC)))
    levels = {name: rng.choice([f"{name}-{i}" for i in range(5 + 10 * k)], n) for k, name in enumerate(CATEGORICAL)}
    odds = numbers[:, 0] - 0.7 * numbers[:, 1] + 0.4 * numbers[:, 2]
    columns = dict(zip(NUMERIC, numbers.T, strict=True)) | levels
    return pd.DataFrame({"at": when.floor("s"), **columns, "y": rng.random(n) < 1 / (1 + np.exp(-odds))})


def measure() -> dict[str, Any]:
    """Seconds by call: first check of the process, a new window in a warm process, and that window once more."""
    taken = {}
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        os.environ["TRIMTAB_HOME"] = name
        times = [f"{START + pd.Timedelta(days=DAYS * k):%Y-%m-%d}" for k in range(1, WINDOWS + 1)]
        params = champion(Path(name), TREE, records(np.random.default_rng(0)), times[0])
        for title, as_of in (("first", times[2]), ("new window", times[3]), ("again", times[3])):
            session = tt.open(params, as_of=as_of)
            one = check(session).clock
            taken[title] = {"seconds": one.seconds, "computing": one.computing}
            session.close()
            gc.collect()
            gc.freeze()    # as a run's kernels do with what they have imported
    gc.unfreeze()
    return {"taken": taken, "bars": _bars(taken)}


def _sums(seconds: dict[str, float]) -> tuple[float, float]:
    """Of all signals, and of the decision; opening a session is neither."""
    deciding = sum(value for name, value in seconds.items() if name in DECIDING)
    return sum(seconds.values()) - deciding - seconds[OPENING], deciding


def _bars(taken: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, str]]:
    signals, deciding = _sums(taken["new window"]["seconds"])
    computed = _sums(taken["new window"]["computing"])
    again, opening = _sums(taken["again"]["seconds"])[0], taken["new window"]["seconds"][OPENING]
    what = f"{RECORDS:,} records × {len(NUMERIC) + len(CATEGORICAL)} columns, warm process"
    return [
        bar(f"all signals: {what}", f"less than {1000 * SIGNALS_WITHIN:.0f} ms",
            f"{1000 * signals:.0f} ms for a new window (computing {1000 * computed[0]:.0f} ms), {1000 * again:.0f} ms "
            f"once its days are counted; before it, opening a session {1000 * opening:.0f} ms",
            met=signals < SIGNALS_WITHIN),
        bar(f"the decision: {what}", f"less than {1000 * DECISION_WITHIN:.0f} ms",
            f"{1000 * deciding:.0f} ms (computing {1000 * computed[1]:.0f} ms)", met=deciding < DECISION_WITHIN),
    ]


def show(found: dict[str, Any]) -> str:
    """The section."""
    taken = found["taken"]

    def _cell(title: str, pick: Callable[[dict[str, float]], float]) -> str:
        return " / ".join(f"{1000 * pick(taken[title][how]):.0f}" for how in ("seconds", "computing"))

    rows = [[name, *(_cell(title, lambda by, name=name: by[name]) for title in taken)]    # type: ignore[misc]
            for name in taken["first"]["seconds"]]
    named = "**all signals** (neither opening nor decision)"
    rows += [[named, *(_cell(title, lambda by: _sums(by)[0]) for title in taken)]]
    rows += [[f"**the decision** ({', '.join(DECIDING)})", *(_cell(title, lambda by: _sums(by)[1]) for title in taken)]]
    return "\n\n".join([
        "## A whole check in a warm process",
        prose(f"""{RECORDS:,} records of {len(NUMERIC)} numeric and {len(CATEGORICAL)} categorical columns in {DAYS}
            days against as many, a logistic regression that serves, all outcomes known (seed 0). The calls of
            notebook 02 without its tables and figures, each in a session of its own: the first in the process, then a
            window whose days nobody has counted or scored yet, then the same once more. Opening connects to the
            records and loads the model. Linear algebra and OpenMP have one thread, as in a run's kernels.
            Milliseconds that passed / of computing, by all threads: where other processes keep the machine busy, the
            second says more."""),
        table(["call", *taken], rows),
    ])

"""What is left after kills, full disks, lost databases and races? The trials of tests/faults."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from alarms import repetitions
from show import bar, prose, table

SEED = 1
AT_LEAST = {"kill": 100, "race": 50}    # trials; of every other fault
OF_OTHERS = 20
WHAT = {
    "kill": "SIGKILL of the runner or a process of it, spread over a retraining and a rollback",
    "disk": "files that may not grow beyond a limit; a full disk",
    "read-only": "the state becomes read-only during a retraining",
    "clock": "the clock was set back, by a second to 400 days; half of them after a kill",
    "lock": "another process locks the ledger, mostly for .5 to 4 s, each tenth for 40",
    "registry": "the registry's database is gone for .3 to 5 s",
    "race": "two to eight runners at once on one model; the ledger in SQLite and PostgreSQL by turns",
}


def measure() -> dict[str, Any]:
    """Trials of each fault, and those after which something was wrong."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from faults import trials

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = {}
    with tempfile.TemporaryDirectory(prefix="trimtab-faults-") as folder:
        for fault, (_, usual) in trials.FAULTS.items():
            seen = list(trials.carry_out(fault, Path(folder), times=repetitions(usual), seed=SEED))
            wrong = [[one.what, *(problem[:500] for problem in one.problems)] for one in seen if one.problems]
            found[fault] = {"trials": len(seen), "wrong": wrong}
            print(f"{fault}: {len(seen)} trials, wrong: {wrong}", file=sys.stderr, flush=True)
    return {"seed": SEED, "faults": found, "bars": [_bar(fault, one) for fault, one in found.items()]}


def _bar(fault: str, found: dict[str, Any]) -> dict[str, str]:
    least, wrong = AT_LEAST.get(fault, OF_OTHERS), len(found["wrong"])
    return bar(
        f"inconsistencies after a fault: {fault}", f"0 in at least {least}", f"{wrong} in {found['trials']}",
        met=not wrong and found["trials"] >= least,
    )


def show(found: dict[str, Any]) -> str:
    """The section."""
    rows = [[fault, WHAT[fault], one["trials"], len(one["wrong"])] for fault, one in found["faults"].items()]
    wrong = [f"- {fault}: {'; '.join(trial)}" for fault, one in found["faults"].items() for trial in one["wrong"]]
    return "\n\n".join([
        "## Faults",
        prose(f"""After each of them: the champion loads and predicts, ledger and alias agree, `trimtab verify` finds
            nothing, the next run succeeds, nothing that was recorded is lost, and no model's bytes have changed. Of a
            race exactly one runner runs and the others end with 3; half of them have their ledger in PostgreSQL.
            Seed {found['seed']}; `make faults` tries them one by one and tells what was wrong."""),
        table(["fault", "what is done", "trials", "wrong"], rows),
        *(["\n".join(wrong)] if wrong else []),
    ])

"""Try a fault many times and say what was wrong: `python -m faults kill --times 100`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from faults import trials

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fault", nargs="*", default=list(trials.FAULTS), help=", ".join(trials.FAULTS))
    parser.add_argument("--times", type=int, help="how often each is tried")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    started, bad = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="trimtab-faults-") as folder:
        for fault in asked.fault:
            found = 0
            for trial in trials.carry_out(fault, Path(folder), times=asked.times, seed=asked.seed):
                found += bool(trial.problems)
                verdict = "WRONG" if trial.problems else "fine "
                print(f"{verdict} {trial.what}", *trial.problems, sep="\n      ", flush=True)
            print(f"{fault}: {found} trials with something wrong, {time.monotonic() - started:.0f} s since the start")
            bad += found
    sys.exit(bool(bad))

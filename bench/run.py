"""Run every benchmark and write docs/benchmarks.md: `make bench`."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import loop
import profile_speed

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("duckdb", "ibis-framework", "pandas", "numpy", "scikit-learn", "mlflow-skinny", "papermill")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """What it was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {len(os.sched_getaffinity(0))} cores ({platform.machine()}), "
        f"{memory:.0f} GiB, Python {platform.python_version()}, {versions}. The machine is shared, so seconds vary "
        "from run to run; ratios are taken within one run."
    )


def main() -> None:
    """Measure and write."""
    rounds = int(os.environ.get("ROUNDS", "3"))
    found = loop.main(rounds)
    text = f"""# Benchmarks

Made by `make bench` ({Path(__file__).relative_to(ROOT)}). {machine()}

## The loop on the flights demo

Whole commands from the shell, start of Python included, each home fresh.

{table(["command", "seconds", "verdict"], found["demo"])}

Medians of {rounds} rounds, warm and plain taking turns; the baseline stands already.

{table(["what", "measured"], found["commands"])}

Both ways run the same cells on the same records; `trimtab run` also checks the params file and the records, makes the
pages, and keeps lease, ledger and manifest. All packages are compiled to bytecode, as `make setup` leaves them: without
that, imports, and with them the ratio, would be larger.

## One cycle on small tables

Drift analysis, retraining, evaluation and reports (`trimtab run retrain`) on a sample of the flights, beside the times
of the system that requirement B22 quotes (on another machine, so the ratio is an orientation only).

{table(["table", "Trimtab", "quoted", "ratio"], found["cycles"])}

{profile_speed.report()}
"""
    (ROOT / "docs" / "benchmarks.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

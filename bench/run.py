"""Run the benchmarks, or some of them, and write docs/benchmarks.md: `make bench`, `make bench PARTS="null power"`.

A part is a module here with `measure() -> dict`, whose result can be written as JSON, and `show(found) -> str`, its
section in Markdown. Results stay in bench/results, so that the document keeps what was not measured again. Where a
result has `bars` (`show.bar`), they are listed at the head of the document.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from show import bars, prose, table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
STORIES = ROOT / "docs" / "reference-systems.md"
PACKAGES = ("duckdb", "ibis-framework", "pandas", "numpy", "scipy", "scikit-learn", "mlflow-skinny", "papermill")
PARTS = (
    "loop", "profiling", "speed", "year", "warm", "null", "days", "power", "confidence", "simulations", "harm", "gate",
    "faults", "stories",
)
_MODULES = {"profiling": "profile_speed", "faults": "fault_trials"}


def module_of(part: str) -> str:
    """The module that measures and shows a part."""
    return _MODULES.get(part, part)


def known() -> tuple[str, ...]:
    """The parts whose module is there."""
    return tuple(part for part in PARTS if find_spec(module_of(part)) is not None)


def measure(part: str) -> dict[str, Any]:
    """Measure a part, and keep what was found with when, on what and how long."""
    started = time.perf_counter()
    found = importlib.import_module(module_of(part)).measure()
    kept = {
        "part": part, "on": f"{datetime.now(UTC):%Y-%m-%d}", "seconds": round(time.perf_counter() - started),
        "share": float(os.environ.get("SHARE", "1")), "machine": machine(),
        "versions": {name: version(name) for name in PACKAGES}, "found": found,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{part}.json").write_text(json.dumps(kept, indent=1) + "\n")
    return kept


def machine() -> str:
    """What it is measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"


def results() -> list[dict[str, Any]]:
    """What is kept of all parts, in their order."""
    files = (RESULTS / f"{part}.json" for part in known())
    return [json.loads(file.read_text()) for file in files if file.exists()]


def document(kept: Sequence[dict[str, Any]]) -> str:
    """All of docs/benchmarks.md."""
    held = [one for part in kept for one in part["found"].get("bars", ())]
    setups = [_setup(part) for part in kept]
    sections = [importlib.import_module(module_of(part["part"])).show(part["found"]).strip() for part in kept]
    return "\n\n".join([
        "# Benchmarks",
        prose("""Written by `make bench` (bench/run.py) from the figures in bench/results; verdicts follow from the
            figures. Seconds vary with what else a machine does; ratios are taken within one run."""),
        "## Bars", *_reduced(kept), bars(held), *sections, "## What it was measured on",
        prose("""Each part by itself: `make bench PARTS="null power"`. Repetitions: the share of the usual number that
            SHARE in the environment asked for."""),
        table(["part", "measured on", "took", "repetitions", "machine", "versions"], setups),
    ]) + "\n"


def stories(kept: Sequence[dict[str, Any]]) -> str:
    """All of docs/reference-systems.md, with the figures that were measured."""
    page = STORIES.read_text()
    for part in kept:
        page = importlib.import_module("stories").filled(page, part["found"]) if part["part"] == "stories" else page
    return page


def _write() -> None:
    kept = results()
    DOCUMENT.write_text(document(kept))
    STORIES.write_text(stories(kept))


def _reduced(kept: Sequence[dict[str, Any]]) -> list[str]:
    """A warning, where verdicts rest on fewer repetitions than usual."""
    fewer = [f"{part['part']} ({part['share']:.0%})" for part in kept if part["share"] < 1]
    if not fewer:
        return []
    return [prose(f"""Measured with fewer repetitions than usual, so that verdicts are not final where they rest on
        rates: {', '.join(fewer)}.""")]


def _setup(part: dict[str, Any]) -> list[str]:
    took = "–" if part["seconds"] is None else f"{part['seconds']} s"
    versions = ", ".join(f"{name} {number}" for name, number in part["versions"].items())
    return [part["part"], part["on"], took, f"{part['share']:.0%}", part["machine"], versions]


def main(asked: Sequence[str]) -> None:
    """Measure the parts asked for, or all, and write the document; "document" alone only writes it."""
    if list(asked) == ["document"]:
        _write()
        return
    unknown = [part for part in asked if part not in known()]
    if unknown:
        raise SystemExit(f"no such part: {', '.join(unknown)}; known: {', '.join(known())}")
    parts = asked or known()
    if len(parts) == 1:
        print(f"{parts[0]}: {measure(parts[0])['seconds']} s", file=sys.stderr)
    else:    # each in a process of its own: what one leaves behind, servers and memory, is not the next one's
        for part in parts:
            subprocess.run([sys.executable, __file__, part], check=True)
    _write()


if __name__ == "__main__":
    main(sys.argv[1:])

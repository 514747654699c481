"""How is a pipeline run again and again, until somebody says stop? What `trimtab watch` does.

Each run is a process of its own, with params read anew, so nothing that goes wrong in one reaches the next. After
failures the pauses double. A stop is handed on to the run under way, which brings its step to a safe end; it is waited
for.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.act.rows import now
from trimtab.errors import BusyError

MOST_INTERVALS = 8    # that a pause grows to after failures
_TRIMTAB = "from trimtab.run.entry import main; main()"    # whatever is on the path, in this very environment
_GLANCE = 0.1    # seconds in which a stop is noticed while nothing runs
_STOPS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Ended:
    """How one run ended: its exit code, what it printed as JSON (empty when it printed none), and its last words."""

    code: int
    result: dict[str, Any]
    words: str


def pause(interval: float, failures: int) -> float:
    """Seconds from the start of one run to that of the next, after so many failures in a row.

    Examples
    --------
    >>> [pause(1800, failures) / 1800 for failures in range(6)]
    [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    """
    return float(interval * min(2 ** min(failures, 10), MOST_INTERVALS))


def failures_after(code: int, failures: int) -> int:
    """Failures in a row after one more run: another active run is none, and says nothing about those before.

    Examples
    --------
    >>> failures_after(4, 1), failures_after(0, 2), failures_after(3, 2)
    (2, 0, 2)
    """
    if code == BusyError.exit_code:
        return failures
    return failures + 1 if code else 0


class Repeating:
    """A pipeline that is run again and again.

    Parameters
    ----------
    pipeline : str
        What `trimtab run` takes.
    params : Path
        Read anew by each run.
    overrides : sequence of str
        As `--set` takes them.
    interval : float
        Seconds from the start of one run to that of the next; a run that takes longer is followed at once.
    """

    def __init__(self, pipeline: str, params: Path, *, interval: float, overrides: Sequence[str] = ()) -> None:
        given = [word for one in overrides for word in ("--set", one)]
        self._words = [
            sys.executable, "-P", "-c", _TRIMTAB, "run", pipeline, "--params", str(params), "--json", *given]
        self._about = f"{params.stem} {pipeline}"
        self._interval = interval
        self._stopped: int | None = None
        self._running: subprocess.Popen[str] | None = None

    def go(self, most: int | None = None) -> int:
        """Run until a signal says stop, or so many times; how many runs there were."""
        failures = runs = 0
        with self._listening():
            while self._stopped is None and (most is None or runs < most):
                started = time.monotonic()
                ended = self._run()
                runs += 1
                failures = failures_after(ended.code, failures)
                wait = pause(self._interval, failures)
                last = self._stopped is not None or runs == most
                print(line(self._about, ended, "" if last else f"next after {wait:g} s"), flush=True)
                while not last and self._stopped is None and time.monotonic() < started + wait:
                    time.sleep(min(_GLANCE, wait))
        if self._stopped is not None:
            told = f"stopped by {signal.Signals(self._stopped).name}"
            print(f"{now():%Y-%m-%d %H:%M:%S} {self._about}: {told}", flush=True)
        return runs

    def _run(self) -> Ended:
        # In a session of its own, so that Ctrl-C at a terminal reaches it once: through us.
        with subprocess.Popen(
            self._words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", start_new_session=True,
        ) as self._running:
            if self._stopped is not None:    # it came before there was anybody to hand it on to
                self._running.send_signal(self._stopped)
            told, words = self._running.communicate()
            code = self._running.returncode
        self._running = None
        return Ended(code, _parsed(told), next(iter(words.strip().splitlines()[-1:]), ""))

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._stop) for number in _STOPS}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)

    def _stop(self, number: int, _frame: object) -> None:
        self._stopped = number
        if self._running is not None and self._running.returncode is None:
            self._running.send_signal(number)


def _parsed(told: str) -> dict[str, Any]:
    try:
        found = json.loads(told)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def line(about: str, ended: Ended, then: str) -> str:
    """One run in one line.

    Examples
    --------
    >>> line("demo drift", Ended(3, {}, "trimtab: run x of demo is active"), "next after 60 s")[20:]
    'demo drift: another run is active (exit code 3): run x of demo is active; next after 60 s'
    """
    result = ended.result
    parts = [_status(ended)]
    if result.get("decision"):
        asked = "retrain" if result["decision"]["needs_retrain"] else "no retraining needed"
        parts.append(f"{asked} (severity {result['decision']['severity']})")
    if result.get("guard") and result["decision"]["needs_retrain"] and not result["guard"]["allowed"]:
        parts.append(f"blocked by {', '.join(result['guard']['blocked_by'])}")
    if result.get("verdict"):
        parts.append(str(result["verdict"]))
    if result.get("run_id"):
        parts.append(f"champion {_champion(result)}")
        parts.append(f"run {result['run_id']}")
    told = "; ".join([*parts, *([then] if then else [])])
    return f"{now():%Y-%m-%d %H:%M:%S} {about}: {told}"


def _status(ended: Ended) -> str:
    said = ended.words.removeprefix("trimtab: ")
    if ended.code == 0:
        return f"{ended.result.get('status', 'finished')} in {ended.result.get('seconds', 0):g} s"
    if ended.code == BusyError.exit_code:
        return f"another run is active (exit code {ended.code}): {said}"
    how = f"exit code {ended.code}" if ended.code > 0 else f"ended by {signal.Signals(-ended.code).name}"
    return f"{ended.result.get('status', 'failed')} ({how}): {said or 'no word'}"


def _champion(result: dict[str, Any]) -> str:
    before, after = result.get("champion_before"), result.get("champion_after")
    if result.get("champion_unknown"):
        return "unknown"
    return str(after) if before == after else f"{before} -> {after}"

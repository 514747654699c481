"""One run from start to end: preflight, lease, recovery, steps, status, manifest, exit code."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab import folders
from trimtab import params as params_module
from trimtab.act import champion as champions
from trimtab.act.fence import GAVE_WAY
from trimtab.act.rows import now
from trimtab.amendments import amendments
from trimtab.errors import (
    BusyError,
    DataError,
    Interrupted,
    StateError,
    StepError,
    TimeLimitError,
    TrimtabError,
    UsageError,
    of_place,
)
from trimtab.params import Loaded
from trimtab.plain import plain
from trimtab.run import endings, homes, notebooks, preflight, reports, watching
from trimtab.run import manifest as manifests
from trimtab.run.deadlines import Limits
from trimtab.run.interruptions import stops_as_exceptions, undisturbed
from trimtab.run.lease import Hold, heartbeat
from trimtab.run.manifest import Manifest, Step
from trimtab.run.pipelines import PIPELINES
from trimtab.run.preflight import Request
from trimtab.run.results import because, obstacles, summarise
from trimtab.run.scraps import Scraps, read
from trimtab.run.session import Session
from trimtab.run.telling import Telling
from trimtab.text import LONGEST_LINE, cut


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what `--json` prints, the exit code with its sentence, what an answer did, and why it came so:
    of the verdict, and of retraining that was not allowed."""

    result: dict[str, Any]
    exit_code: int
    error: str | None
    report: Path | None
    answer: str | None = None
    because: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()


def new_run_id(pipeline: str) -> str:
    """A name that sorts by time and never comes twice."""
    return f"{now():%Y%m%dT%H%M%S}-{pipeline}-{secrets.token_hex(3)}"


def run(request: Request) -> Outcome:
    """Run a pipeline.

    Raises
    ------
    TrimtabError
        When it could not even start: bad params or data, or another active run. Whatever goes wrong later is part of
        the outcome.
    """
    with stops_as_exceptions():
        try:
            return _run(request, params_module.load(request.params, overrides=request.overrides))
        except KeyboardInterrupt as stop:
            raise interrupted(stop) from None


def _run(request: Request, loaded: Loaded) -> Outcome:
    session = None
    try:
        session = Session(loaded, as_of=request.as_of, run_id=new_run_id(request.pipeline), dry_run=request.dry_run)
        try:
            preflight.check(session, request)
            return Run(request, session).go()
        except (DataError, StateError) as error:
            Telling(session, dry_run=request.dry_run).unstarted(request.pipeline, error)
            raise
    except TrimtabError as error:
        error.args = (loaded.redact(str(error)),)
        error.about = {"model": loaded.params.model, "tenant": loaded.params.tenant}
        raise
    finally:
        if session is not None:
            session.close()
        if session is not None and request.dry_run:
            shutil.rmtree(session.scratch, ignore_errors=True)


def interrupted(stop: KeyboardInterrupt) -> Interrupted:
    """The error of a run that a signal ended."""
    return Interrupted(stop.args[0] if stop.args else signal.SIGINT)


class Run:
    """A run under way; pipelines call its methods."""

    def __init__(self, request: Request, session: Session) -> None:
        self.request, self.session = request, session
        self.folder = session.run_dir
        self.loaded: Loaded = session.loaded
        self.champion_before: int | None = None
        self.status = "succeeded"
        self._telling = Telling(session, dry_run=request.dry_run)
        self._hold = Hold(session.ledger, session.run_id)
        self._background = ThreadPoolExecutor(1)    # makes a notebook's page while the next one runs
        self._pages: dict[str, Future[str | None]] = {}
        self.manifest = Manifest(
            run_id=session.run_id, model=session.params.model, tenant=session.params.tenant,
            pipeline=request.pipeline, status="running", as_of=session.as_of, started_at=now(),
            dry_run=request.dry_run, params=session.loaded.public,
        )

    def go(self) -> Outcome:
        """Take the lease, bring the state in order, execute the pipeline, and say how it went."""
        started = time.perf_counter()
        ledger, run_id = self.session.ledger, self.session.run_id
        threading.Thread(target=reports.prepare, daemon=True).start()
        try:
            error = self._execute(ledger.lease.acquire(run_id))
            with undisturbed():
                return self._finish(error, time.perf_counter() - started)
        finally:
            # Also when a signal came while the lease was being taken; another run's lease is not touched by this.
            with undisturbed(), contextlib.suppress(TrimtabError):
                ledger.lease.release(run_id)

    def _execute(self, taken_over: str | None) -> TrimtabError | None:
        """Carry the pipeline out; whatever ends it early becomes the status, and one of our errors."""
        try:
            self._prepare(taken_over)
            with heartbeat(self.session.ledger, self.session.run_id, self._hold.lost):
                PIPELINES[self.request.pipeline](self)
        except KeyboardInterrupt as stop:
            self.status = "interrupted"
            return interrupted(stop)
        except TimeLimitError as late:
            self.status = "timed_out"
            return late
        except TrimtabError as failed:
            self.status = "failed"
            return failed
        except OSError as failed:
            self.status = "failed"
            return StateError(f"{failed.filename or self.folder}: {failed.strerror or failed}")
        except Exception as failed:  # noqa: BLE001 -- whatever it is, the run must end in order and give its lease back
            self.status = "failed"
            return of_place(failed, self.folder) or StepError(f"unexpected {_sentence(failed)}")
        return None

    def _prepare(self, taken_over: str | None) -> None:
        session, ledger = self.session, self.session.ledger
        before = ledger.run_before(session.run_id, self.request.pipeline)
        changed = amendments(before[1], session.loaded.public) if before else []
        self.manifest.amendments = {"since": before[0] if before else None, "changes": changed}
        ledger.start_run(
            session.run_id, pipeline=self.request.pipeline, run_dir=str(self.folder), params=session.loaded.public,
            amendments=changed,
        )
        try:
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise StateError(f"{self.folder}: cannot be made: {error.strerror or error}") from None
        self.manifest.save(self.folder, self._hold)
        # First, so that what a run that died has changed is covered by its own link.
        brought_together = champions.recover(ledger, session.registry, session.run_id)
        for dead in dict.fromkeys([*([taken_over] if taken_over else []), *ledger.chain.left_open(session.run_id)]):
            try:
                self._complete(self.folder.parent / homes.checked_run_id(dead))
            except UsageError as error:    # the ledger names a run as no run is called; nothing is made of that name
                self.manifest.notes.append(str(error))
        for ended in ledger.runs(limit=2):    # the one before may have ended in a folder that could not be written
            homes.sweep(self.folder.parent / Path(ended["run_id"]).name)
        self.manifest.notes += brought_together
        self._telling.settled(session.run_id)
        self.champion_before = session.registry.champion()

    def _complete(self, folder: Path) -> None:
        """Bring to its end what a run that died has left."""
        homes.tidy(self.session.home, folder)    # before its end is written down: from then on nothing may change
        self.manifest.notes.append(endings.close(self.session.ledger, folder, self.loaded.redact, self._hold))
        dead = manifests.load(folder)
        if dead is not None:
            self._telling.died(dead)

    # -- what pipelines call -------------------------------------------------------------------------------------

    def has_champion(self) -> bool:
        """Whether the model has a champion; one whose alias somebody removed is not replaced without being asked.

        Raises
        ------
        UsageError
            When there was a champion, and nobody serves now.
        """
        serving = self.session.registry.champion()
        if serving is None and self.session.ledger.succession.served():
            raise UsageError(
                f"{self.session.registry.name} has no champion any more, for somebody removed the alias or the version "
                "that it named; that is respected until `trimtab run baseline` is asked to appoint one"
            )
        return serving is not None

    def watches(self) -> bool:
        """Whether the champion took another's place a short while ago."""
        return watching.due(self.session) is not None

    def block(self) -> None:
        """Say that a safeguard stopped the run."""
        self.status = "blocked"

    def step(self, notebook: str, **more: Any) -> Scraps:
        """Execute a notebook, with more parameters than were typed, and return what it hands on."""
        self._hold.renew()
        source = notebooks.folder() / f"{notebook}.ipynb"
        target = self.folder / source.name
        step = Step(notebook, file=target.name)
        self.manifest.steps.append(step)
        self._save()
        self._telling.step(notebook, self.manifest)
        settings = self.session.params
        started, limits = time.perf_counter(), Limits(settings.soft_limit, settings.hard_limit)
        try:
            notebooks.execute(
                source, target, preflight.parameters(self.session, self.request, notebook) | more,
                warm=self.request.warm, limits=limits, settings=homes.for_notebooks(self.session.home),
                redact=self.loaded.redact, progress=self.request.progress, ready=self._hold,
            )
            found = read(target, notebook)
            step.status, step.scraps = "succeeded", plain(found)
            return found
        except KeyboardInterrupt:
            step.status = "interrupted"
            told = f"The run was interrupted while {notebook} was executed."
            notebooks.mark(target, told, self.loaded.redact, self._hold)
            raise
        except TrimtabError as error:
            step.status = "timed_out" if isinstance(error, TimeLimitError) else "failed"
            step.error = cut(self.loaded.redact(str(error)), LONGEST_LINE)
            raise
        except Exception as error:
            step.status, step.error = "failed", cut(self.loaded.redact(_sentence(error)), LONGEST_LINE)
            raise of_place(error, target) or StepError(f"{notebook}: {step.error}") from error
        finally:
            self._timed(step, time.perf_counter() - started)
            if target.is_file():
                step.sha256 = folders.digest(target)
                self._pages[step.notebook] = self._background.submit(
                    reports.notebook_html, self.folder, target.name, self._hold)
            self._save()

    def _timed(self, step: Step, seconds: float) -> None:
        """Write down how long a step took, and that it was slow."""
        slow = self.session.params.limits.slow.total_seconds()
        step.seconds, step.slow = round(seconds, 3), seconds > slow
        if step.slow:
            self.manifest.notes.append(f"{step.notebook} took {seconds:.0f} s, more than the {slow:g} s of limits.slow")

    def _save(self) -> None:
        """Keep the manifest up to date, as long as it is this run's to write."""
        with contextlib.suppress(BusyError):    # the next step, or the end, asks again and gives way
            self.manifest.save(self.folder, self._hold)

    # -- the end -------------------------------------------------------------------------------------------------

    def _finish(self, error: TrimtabError | None, seconds: float) -> Outcome:
        """Write down how it ended, as far as the disk lets us; the exit code is right in any case.

        A run that lost its lease writes nothing: another one does so for it, or has done it.
        """
        try:
            self._hold.renew()
            return self._written(error, seconds)
        except BusyError as gone:
            found = manifests.load(self.folder)
            self.status = found.status if found and found.status != "running" else "interrupted"
            error = error if isinstance(error, Interrupted) else gone
            self._summed_up(error, seconds)
            return Outcome(self.manifest.result, error.exit_code, self.manifest.error, None)

    def _summed_up(self, error: TrimtabError | None, seconds: float) -> int | None:
        """Say in the manifest how the run ended; returns who serves now, None where nobody can say."""
        manifest, after, unknown = self.manifest, None, None
        manifest.status, manifest.finished_at = self.status, now()
        manifest.error = cut(self.loaded.redact(str(error)), LONGEST_LINE) if error else None
        try:
            after = self._serving()
        except TrimtabError as silent:
            unknown = cut(self.loaded.redact(str(silent)), LONGEST_LINE)
        manifest.result = summarise(
            manifest, self.folder, before=self.champion_before, after=after, unknown=unknown, seconds=seconds)
        return after

    def _written(self, error: TrimtabError | None, seconds: float) -> Outcome:
        manifest, session = self.manifest, self.session
        self._leave_nothing_open()
        after = self._summed_up(error, seconds)
        manifest.data = next((s.scraps["fingerprint"] for s in manifest.steps if "fingerprint" in s.scraps), None)
        report = self.folder / "report.html"
        problem: Exception | None = None
        try:
            if session.ledger.chain.holds(session.run_id):    # a ledger that cannot say so keeps files as they are
                raise BusyError(GAVE_WAY)
            problem = endings.conclude(session.ledger, self.folder, manifest, self._make_pages, self._hold)
            reports.index(session.home / "runs")
        except BusyError:
            raise
        except Exception as failed:  # noqa: BLE001 -- whatever it is, the lease must go back
            problem = problem or failed
        if problem is not None:
            words = f"the run is through, but its report could not be written: {problem}"
            error = error or (StateError(words) if after == self.champion_before else StepError(words))
        self._telling.ended(manifest)
        told = self.loaded.redact(str(error)) if error else None
        answer = next((one.scraps["reading"] for one in manifest.steps if "answer" in one.scraps), None)
        code = error.exit_code if error else 0
        shown = report if problem is None else None
        return Outcome(manifest.result, code, told, shown, answer, because(manifest), obstacles(manifest))

    def _leave_nothing_open(self) -> None:
        """Settle a change that a step began and could not settle; where that fails, too, the next start does it."""
        ledger, run_id = self.session.ledger, self.session.run_id
        with contextlib.suppress(TrimtabError):
            if ledger.succession.open_changes() and ledger.lease.renew(run_id):
                self.manifest.notes += champions.recover(ledger, self.session.registry, run_id)
                self._telling.settled(run_id)

    def _make_pages(self) -> None:
        for step in self.manifest.steps:
            step.html = self._pages[step.notebook].result() if step.notebook in self._pages else None

    def _serving(self) -> int | None:
        """Who serves now: in a dry run still the one from before, whatever was decided."""
        return self.champion_before if self.request.dry_run else self.session.registry.champion()


def _sentence(error: Exception) -> str:
    """An unexpected error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

"""How is the end of a run written down, so that a crash at any moment leaves something that can be completed?

First the manifest that says how the run ended, then its pages and its report, then the manifest in its final form with
the hash of each of these, and last, in one transaction, the ledger: how the run ended, and its link in the chain. As
long as the ledger does not hold the link, nothing is final, and the next run goes through the same steps again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimtab import folders
from trimtab.act.chain import Chain
from trimtab.act.lease import DIED
from trimtab.act.ledger import Ledger
from trimtab.act.rows import now
from trimtab.errors import BusyError, TrimtabError
from trimtab.run import manifest as manifests
from trimtab.run import notebooks, reports
from trimtab.run.lease import Hold
from trimtab.run.manifest import FILE, Manifest
from trimtab.run.results import summarise
from trimtab.settings.notation import parse_time

DEAD = "the process died"


def conclude(
    ledger: Ledger, folder: Path, manifest: Manifest, make_pages: Callable[[], None], hold: Hold
) -> Exception | None:
    """Write down how a run ended; returns what kept its files from being written, if anything did.

    Parameters
    ----------
    manifest : Manifest
        With status and result as they are.
    make_pages : callable
        Makes the pages of the notebooks.
    hold : Hold
        Of the run that does so, this one or a later one.

    Raises
    ------
    BusyError
        When that run has lost its lease; it has left everything as it was since.
    TrimtabError
        When the ledger cannot be written.
    """
    problem: Exception | None = None
    try:
        # The state before the pages: a report that cannot be written must not hide how the run ended.
        manifest.save(folder, hold)
        manifest.chain = position(ledger.chain)
        make_pages()
        reports.run_report(folder, manifest, hold)
    except BusyError:
        raise
    except Exception as failed:  # noqa: BLE001 -- nbconvert and jinja raise what they like
        problem = failed
    try:
        manifest.files = manifests.digests(folder)
        manifest.save(folder, hold)
    except OSError as failed:
        problem = problem or failed
    ledger.finish_run(
        manifest.run_id, status=manifest.status, as_of=parse_time(manifest.as_of) if manifest.as_of else None,
        error=manifest.error, result=manifest.result, manifest=_digest(folder),
        notes=f"{manifest.status}: {manifest.error}" if manifest.error else "no verdict was reached",
        by=hold.run_id,
    )
    return problem


def position(chain: Chain) -> dict[str, Any]:
    """Where in the chain the next run to end stands, and what comes before it."""
    head = chain.head()
    if head is None:
        return {"seq": 1, "previous_run": None, "previous_manifest": None, "previous_link": None}
    return {"seq": head.seq + 1, "previous_run": head.run_id, "previous_manifest": head.manifest,
            "previous_link": head.sha256}


def close(ledger: Ledger, folder: Path, redact: Callable[[str], str], hold: Hold) -> str:
    """Write down the end of a run that died before it could do so; returns a sentence about it.

    Parameters
    ----------
    folder : Path
        Of the run that died, called by its id.
    hold : Hold
        Of the run that closes it.
    """
    run_id = folder.name
    if ledger.chain.holds(run_id):
        return f"run {run_id} had ended and died before it gave its lease back"
    dead = manifests.load(folder)
    if dead is None or dead.run_id != run_id:
        _settle(ledger, folder, hold)
        return f"run {run_id} had died; it was marked interrupted, and left no manifest that can be read"
    told = f"run {run_id} had ended and died before that was written down; it was completed"
    if dead.status == "running":
        told = f"run {run_id} had died; it was marked interrupted and its lease taken over"
    try:
        problem = _complete(ledger, folder, dead, redact, hold)
    except TrimtabError:
        raise
    except Exception as failed:  # noqa: BLE001 -- what a dead run left behind must not stop the next one
        _settle(ledger, folder, hold)
        problem = failed
    return told if problem is None else f"{told}; it has no report: {type(problem).__name__}: {problem}"


def _settle(ledger: Ledger, folder: Path, hold: Hold) -> None:
    """Put a run that left nothing readable into the chain."""
    ledger.finish_run(
        folder.name, status="interrupted", as_of=None, error=DIED, result={}, manifest=_digest(folder), notes=DIED,
        by=hold.run_id)


def _complete(
    ledger: Ledger, folder: Path, dead: Manifest, redact: Callable[[str], str], hold: Hold
) -> Exception | None:
    """Make what a run that died did not come to; one that had not ended was interrupted."""
    cut = [step for step in dead.steps if step.status == "running"] if dead.status == "running" else []
    if dead.status == "running":
        dead.status, dead.error, dead.finished_at = "interrupted", DEAD, now()
        for step in cut:
            step.status = "interrupted"
        dead.result = summarise(dead, folder, before=None, after=None, unknown=DEAD, seconds=0.0)

    def _make_pages() -> None:
        for step in dead.steps:
            if step in cut and step.file:
                notebooks.mark(folder / step.file, "The run died while this notebook was executed.", redact, hold)
            if step.file and (folder / step.file).is_file():
                step.html = reports.notebook_html(folder, step.file, hold)
                step.sha256 = folders.digest(folder / step.file)

    return conclude(ledger, folder, dead, _make_pages, hold)


def _digest(folder: Path) -> str | None:
    """Of the manifest as it lies there; None where there is none."""
    return folders.digest(folder / FILE) if (folder / FILE).is_file() else None

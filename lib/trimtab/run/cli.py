"""What does a user type?"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from trimtab.errors import StepError, TrimtabError, UsageError
from trimtab.plain import plain
from trimtab.run import server
from trimtab.text import escaped, visible

if TYPE_CHECKING:
    from trimtab.run.runner import Outcome

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Keeps machine-learning models in production on course.",
)

ParamsOption = Annotated[Path, typer.Option("--params", "-p", help="The params file.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many, the newest.")]
DEFAULT = Path("params/demo.yaml")
_TYPED_WRONGLY: Any = typer.BadParameter.__base__    # click's usage error, for which typer has no name of its own
_LONGEST_CELL = 400
_REPEATED = ("baseline", "drift", "retrain")
_PLAIN_WIDTH = 180    # of a table that goes to a file or a pipe


@app.command()
def run(
    pipeline: Annotated[str, typer.Argument(help="baseline, drift, retrain or rollback.")],
    params: ParamsOption = DEFAULT,
    as_of: Annotated[str | None, typer.Option(help="Run as of this time: an ISO time, now, or latest.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a params key: drift.psi_alert=0.2")] = None,
    dry_run: Annotated[bool, typer.Option(help="Measure and decide everything, change nothing.")] = False,
    as_json: Json = False,
    cold: Annotated[bool, typer.Option("--cold", help="Use ordinary kernels instead of warm ones.")] = False,
    to: Annotated[int | None, typer.Option(min=1, help="Rollback: the version to go back to.")] = None,
    by: Annotated[str | None, typer.Option(help="Rollback: who asks for it.")] = None,
    why: Annotated[str | None, typer.Option(help="Rollback: the reason.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Rollback: also to a version in quarantine.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Rollback: only if a new champion is worse.")] = False,
) -> None:
    """Run a pipeline of notebooks."""
    asked = {"to": to, "by": by, "why": why, "force": force or None, "check": check or None}
    extra = {name: value for name, value in asked.items() if value is not None}
    _carry_out(pipeline, params, as_of, tuple(set_ or ()), extra, dry_run=dry_run, as_json=as_json, cold=cold)


@app.command()
def watch(
    params: ParamsOption = DEFAULT,
    interval: Annotated[float, typer.Option(min=1, help="Seconds from the start of one run to the next.")] = 1800,
    pipeline: Annotated[str, typer.Option(help="What is run: baseline, drift or retrain.")] = "retrain",
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a params key: drift.psi_alert=0.2")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="End after so many runs.")] = None,
) -> None:
    """Run a pipeline again and again, until a signal says stop; the run under way is brought to a safe end."""
    from trimtab.run.repeating import Repeating

    if pipeline not in _REPEATED:
        raise UsageError(f"--pipeline {pipeline} cannot be watched; choose from {', '.join(_REPEATED)}")
    Repeating(pipeline, params, interval=interval, overrides=tuple(set_ or ())).go(most)


@app.command()
def approve(
    run_id: Annotated[str, typer.Argument(help="The run that asks; see trimtab approvals.")],
    by: Annotated[str, typer.Option(help="Who approves.")],
    why: Annotated[str, typer.Option(help="The reason, for whoever reads the history.")],
    params: ParamsOption = DEFAULT,
    as_of: Annotated[str | None, typer.Option(help="Stand at this time: an ISO time, now, or latest.")] = None,
    as_json: Json = False,
) -> None:
    """Approve what a run asked for: that a challenger is trained, or that this very challenger serves."""
    _answer("approved", run_id, by, why, params, as_of, as_json=as_json)


@app.command()
def reject(
    run_id: Annotated[str, typer.Argument(help="The run that asks; see trimtab approvals.")],
    by: Annotated[str, typer.Option(help="Who declines.")],
    why: Annotated[str, typer.Option(help="The reason, for whoever reads the history.")],
    params: ParamsOption = DEFAULT,
    as_of: Annotated[str | None, typer.Option(help="Stand at this time: an ISO time, now, or latest.")] = None,
    as_json: Json = False,
) -> None:
    """Decline what a run asked for."""
    _answer("rejected", run_id, by, why, params, as_of, as_json=as_json)


def _answer(said: str, run_id: str, by: str, why: str, params: Path, as_of: str | None, *, as_json: bool) -> None:
    for name, text in (("by", by), ("why", why)):
        if not text.strip():
            raise UsageError(f"--{name} is empty: whoever reads the history wants to know who decided, and why")
    extra = {"request": run_id, "said": said, "by": by, "why": why}
    _carry_out("approval", params, as_of, (), extra, dry_run=False, as_json=as_json, cold=False)


def _carry_out(
    pipeline: str, params: Path, as_of: str | None, overrides: tuple[str, ...], extra: dict[str, Any], *,
    dry_run: bool, as_json: bool, cold: bool,
) -> NoReturn:
    """Run a pipeline, tell how it went, and end with its exit code."""
    try:
        outcome = _run(pipeline, params, as_of, overrides, extra, dry_run=dry_run, quiet=as_json, cold=cold)
    except (TrimtabError, EOFError, OSError) as failed:    # the latter when the warm server was killed
        error = failed if isinstance(failed, TrimtabError) else StepError(f"the run could not go on: {failed!r}")
        if as_json:
            _print_refusal(pipeline, error, as_of=as_of, dry_run=dry_run)
        raise error from None
    if as_json:
        _show_json(outcome.result)
    else:
        _tell(outcome.result, outcome.report)
    if outcome.error:
        _say(outcome.error)
    raise typer.Exit(outcome.exit_code)


def _print_refusal(
    pipeline: str | None, error: TrimtabError, *, as_of: str | None = None, dry_run: bool = False
) -> None:
    """What `--json` promises also where nothing ran: one object, with nothing reached."""
    from trimtab.run.results import never_started

    _show_json(never_started(pipeline, error, as_of=as_of, dry_run=dry_run))


def _run(
    pipeline: str, params: Path, as_of: str | None, overrides: tuple[str, ...], extra: dict[str, Any],
    *, dry_run: bool, quiet: bool, cold: bool,
) -> Outcome:
    warm = not cold and server.available()
    if not warm and not cold:
        _say("warm kernels need fork, which this platform lacks; using ordinary ones")
    from trimtab.run.pipelines import BY_NAME
    from trimtab.run.preflight import Request
    from trimtab.run.runner import run as run_pipeline

    if pipeline not in BY_NAME and "request" not in extra:
        raise UsageError(f"there is no pipeline {pipeline!r}; choose from {', '.join(BY_NAME)}")
    if extra and pipeline in BY_NAME and pipeline != "rollback":
        raise UsageError(f"--{next(iter(extra))} goes with run rollback only")
    if extra.get("force") and "to" not in extra:
        raise UsageError("--force goes with --to: which version is meant to serve in spite of its quarantine?")
    if extra.get("check") and len(extra) > 1:
        raise UsageError("--check finds out by itself whether to roll back; nothing else goes with it")
    if extra.get("check"):
        pipeline, extra = "watch", {}
    return run_pipeline(Request(
        pipeline=pipeline, params=params, as_of=as_of, overrides=overrides, dry_run=dry_run, warm=warm,
        progress=sys.stderr.isatty() or not quiet, extra=extra,
    ))


@app.command()
def backfill(
    params: ParamsOption = DEFAULT,
    as_of: Annotated[str | None, typer.Option(help="Stand at this time: an ISO time, now, or latest.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Begin with this day; by default with the first.")] = None,
    to: Annotated[str | None, typer.Option(help="End before this time; by default as of when it stands.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a params key: drift.psi_alert=0.2")] = None,
    as_json: Json = False,
) -> None:
    """Fill in daily counts, performance snapshots and estimates over history, as if every day had been watched."""
    from trimtab.run import backfill as filling
    from trimtab.run.preflight import Request

    request = Request(
        pipeline="backfill", params=params, as_of=as_of, overrides=tuple(set_ or ()), progress=sys.stderr.isatty())
    try:
        session, found = filling.run(request, start=from_, end=to)
    except TrimtabError as error:
        if as_json:
            _print_refusal("backfill", error, as_of=as_of)
        raise
    told = plain({"model": session.params.model, "tenant": session.params.tenant, "pipeline": "backfill",
                  "as_of": session.as_of, "status": "succeeded", **vars(found)})
    if as_json:
        _show_json(told)
        return
    _show(f"{told['model']}: {found.start:%Y-%m-%d} to {found.end:%Y-%m-%d %H:%M}: {found.counted:,} days are counted")
    for version, days in found.scored.items():
        _show(f"  version {version}: {days:,} snapshots taken")
    _show(f"  champion: {found.estimated:,} windows estimated")


@app.command()
def data(name: Annotated[str, typer.Argument(help="The data set: bikes, flights or retail.")]) -> None:
    """Write a demo data set into data/."""
    from trimtab import datasets

    _show(str(datasets.write(name, Path("data"))))


@app.command()
def history(params: ParamsOption = DEFAULT, as_json: Json = False, limit: Limit = 50) -> None:
    """What served when, who changed it and why; and the newest runs."""
    with _state(params) as (ledger, _):
        changes, runs = ledger.succession.changes()[-limit:], ledger.runs(limit)
        events = ledger.retrains.retrain_events(limit)
    if as_json:
        _show_json(plain({"changes": changes, "runs": runs, "retrain_events": events}))
        return
    _table("Champion", changes, ("created_at", "as_of", "kind", "from_version", "to_version", "state", "by", "why"))
    _table("Runs", runs, ("started_at", "run_id", "pipeline", "as_of", "status", "error"))
    changed = [{"run_id": run["run_id"]} | one for run in runs for one in run["amendments"] or ()]
    if changed:
        _table("Params that were changed", changed, ("run_id", "key", "old", "new"))


@app.command()
def approvals(
    params: ParamsOption = DEFAULT,
    as_json: Json = False,
    every: Annotated[bool, typer.Option("--all", help="Also those that are decided or have expired.")] = False,
) -> None:
    """What waits for a person, and what persons have decided."""
    with _state(params) as (ledger, registry):
        rows = [_request_row(one, registry.champion()) for one in ledger.approvals.all()]
    shown = [row for row in rows if every or row["state"] == "pending"]
    if as_json:
        _show_json(plain({"approvals": shown}))
        return
    _table("Approvals" if every else "Waiting for approval", shown,
           ("run_id", "what", "state", "requested_at", "expires_at", "champion", "by", "why"))


def _request_row(one: Any, champion: int | None) -> dict[str, Any]:
    """A request with what has become of it: it expires with time, and goes stale when the champion changes."""
    from trimtab.act.rows import now

    state = one.state
    if state in {"pending", "approved"} and one.expires_at <= now():
        state = "expired"
    elif state == "pending" and one.champion != champion:
        state = "stale"
    row: dict[str, Any] = vars(one) | {"what": one.what, "state": state}
    return row


@app.command()
def alerts(params: ParamsOption = DEFAULT, as_json: Json = False, limit: Limit = 50) -> None:
    """The messages that were sent, wait, or could not be sent."""
    with _state(params) as (ledger, _):
        rows = [vars(one) for one in ledger.outbox.all(limit)]
    if as_json:
        _show_json(plain({"alerts": rows}))
        return
    _table("Alerts", rows, ("created_at", "kind", "title", "state", "attempts", "settled_at", "problem"))


@app.command()
def verify(
    run_id: Annotated[str | None, typer.Argument(help="Only what this run left; see trimtab history.")] = None,
    params: ParamsOption = DEFAULT,
    as_json: Json = False,
) -> None:
    """Whether files, ledger, champion and models are as the runs left them; ends with 4 where they are not."""
    from trimtab.run import verifying

    found = verifying.verify(params, run_id)
    if as_json:
        findings = [plain(one) | {"told": one.told} for one in found.findings]
        _show_json(plain(vars(found)) | {"holds": found.holds, "findings": findings})
    else:
        _show(f"{found.model}: {found.links} runs in the chain, head {found.head or 'none'}")
        for note in found.notes:
            _show(f"  {note}")
    if found.holds:
        return
    more = len(found.findings) - 1
    _say(found.findings[0].told + (f"; {more} more (see --json)" if more else ""))
    raise typer.Exit(StepError.exit_code)


@app.command()
def models(params: ParamsOption = DEFAULT, as_json: Json = False) -> None:
    """The registered versions, and which one is the champion."""
    rows = []
    with _state(params) as (ledger, registry):
        found = [(version, ledger.version(version.version) or {}) for version in registry.versions()]
        held = ledger.quarantine.held()
    for version, known in found:
        lineage = known.get("lineage") or {}
        rows.append({
            "version": version.version, "champion": version.champion, "as_of": known.get("as_of"),
            "class": lineage.get("class"), "train_records": lineage.get("train_records"),
            "trained_from": _time(lineage.get("trained_from")), "trained_until": _time(lineage.get("trained_until")),
            "quarantine": str(held[version.version]) if version.version in held else None,
            "run_id": known.get("run_id"), "sha256": known.get("sha256"), "source": version.source,
        })
    if as_json:
        _show_json(plain({"model": registry.name, "versions": rows}))
        return
    _table("Versions", rows,
           ("version", "champion", "as_of", "class", "train_records", "trained_until", "run_id", "quarantine"))


@app.command()
def signals(params: ParamsOption = DEFAULT, as_json: Json = False, limit: Limit = 50) -> None:
    """The newest signals."""
    with _state(params) as (ledger, _):
        rows = ledger.signals(limit)
    if as_json:
        _show_json(plain({"signals": rows}))
        return
    from trimtab.tables import with_unit

    written = [row | {key: with_unit(row["name"], row[key]) for key in ("value", "threshold")} for row in rows]
    _table("Signals", written, ("as_of", "name", "severity", "value", "threshold", "message"))


def main() -> None:
    """Every error that Trimtab raises on purpose is one sentence and its exit code."""
    try:
        code = app(standalone_mode=False) or 0
    except TrimtabError as error:
        _say(str(error))
        code = error.exit_code
    except _TYPED_WRONGLY as error:
        code = UsageError.exit_code
        _explain(error, sys.argv[1:])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    _leave(code)


def _explain(error: Any, words: list[str]) -> None:
    """What is wrong with what was typed, as every other error is told; help where nothing was typed."""
    told = error.format_message()
    if "\n" in told:
        for line in told.splitlines():
            print(visible(line), file=sys.stderr)
    else:
        _say(f"{told.rstrip('.')} (see trimtab --help)")
    if words[:1] == ["run"] and "--json" in words:
        named = next((word for word in words[1:] if not word.startswith("-")), None)
        _print_refusal(named, UsageError(told))


def _leave(code: int) -> NoReturn:
    """End at once: all is written, and taking a few thousand modules apart again takes most of a second."""
    if "trimtab.run.kernels" in sys.modules:
        from trimtab.run import kernels

        kernels.stop_server()
    else:
        server.stop()
    # What multiprocessing does at an ordinary end: its folder in /tmp goes.
    util._exit_function()  # type: ignore[attr-defined]  # -- typeshed leaves it out
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def _state(params: Path) -> Iterator[tuple[Any, Any]]:
    """Ledger and registry of a params file, to read from."""
    from trimtab import params as params_module
    from trimtab.run import homes
    from trimtab.run.session import Session

    session = Session(params_module.load(params))
    with homes.readable(session.home) as session.home:
        yield session.ledger, session.registry
        session.close()


def _tell(result: dict[str, Any], report: Path | None) -> None:
    """The outcome in a few lines for a person."""
    decision, guard = result["decision"], result["guard"]
    before, after = result["champion_before"], result["champion_after"]
    what = f"{result['model']}: {result['pipeline']} as of {result['as_of']}"
    _show(f"{what}: {result['status']} in {result['seconds']} s")
    if decision:
        asks = "retrain" if decision["needs_retrain"] else "no retraining needed"
        _show(f"  decision: {asks} (severity {decision['severity']})")
        for reason in decision["reasons"]:
            _show(f"    - {reason}")
    if guard and not guard["allowed"] and decision["needs_retrain"]:
        _show(f"  blocked by: {', '.join(guard['blocked_by'])}")
    if result["verdict"]:
        _show(f"  verdict: {result['verdict']}")
    _show(f"  champion: {_version(before)}" + ("" if before == after else f" -> {_version(after)}"))
    if report:
        _show(f"  report: {report}")


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def _table(title: str, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table(*names, title=title, title_justify="left", box=box.SIMPLE)
    for row in rows:
        shown.add_row(*[escape(_cell(row.get(name))) for name in names])
    Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH).print(shown)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    line = escaped(str(plain(value))[:_LONGEST_CELL + 1].partition("\n")[0])
    return line if len(line) <= _LONGEST_CELL else f"{line[: _LONGEST_CELL - 1]}…"


def _say(sentence: str) -> None:
    print(f"trimtab: {visible(sentence)}", file=sys.stderr)


def _show(line: str) -> None:
    """Print one line, in which nothing makes a terminal do anything."""
    print(visible(line))


def _show_json(value: Any) -> None:
    """Print an object as one line, whole, and just as harmless."""
    print(escaped(json.dumps(value, ensure_ascii=False)))

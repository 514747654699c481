"""What may a user ask of what is kept? The commands that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.errors import StepError
from trimtab.plain import plain
from trimtab.run import homes, options
from trimtab.run.terminal import say, show, show_json, show_table
from trimtab.wording import plural


def history(params: options.Params = options.DEFAULT, as_json: options.Json = False, limit: options.Limit = 50) -> None:
    """What served when, who changed it, why and in which run; what was retrained, or tried; and the newest runs."""
    with _state(params) as (ledger, _):
        changes, runs = ledger.succession.changes()[::-1][:limit], ledger.runs(limit)
        events = ledger.retrains.retrain_events(limit)
        waiting = {one.run_id for one in ledger.approvals.open()}
    if as_json:
        show_json(plain({"changes": changes, "runs": runs, "retrain_events": events}))
        return
    show_table("Champion", [_change_row(one) for one in changes], ("when", "as_of", "change", "by", "why", "run_id"))
    show_table("Retraining", [_event_row(one, waits=one["run_id"] in waiting) for one in events],
               ("when", "as_of", "trigger", "outcome", "version", "notes", "run_id"))
    show_table("Runs", [_run_row(one) for one in runs],
               ("started_at", "as_of", "pipeline", "status", "error", "run_id"))
    changed = [{"run_id": run["run_id"]} | one for run in runs for one in run["amendments"] or ()]
    if changed:
        show_table("Params that were changed", changed, ("run_id", "key", "old", "new"))


def _change_row(change: dict[str, Any]) -> dict[str, Any]:
    """A change of the champion as a person reads it: what of one that was not done, or did more, is said beside it."""
    before, after = (change[end] or "nobody" for end in ("from_version", "to_version"))
    more = [change["state"]] if change["state"] != "done" else []
    more += ["forced"] if change["forced"] else []
    more += [f"{before} in quarantine"] if change["quarantines"] else []
    told = f"{change['kind']} {before} -> {after}"
    return change | {"when": change["created_at"], "change": ", ".join([told, *more])}


def _event_row(event: dict[str, Any], *, waits: bool) -> dict[str, Any]:
    """A retrain event with what came of it in a word; of one that made no version the notes begin with that."""
    word = str(event["notes"] or "").partition(":")[0]
    outcome = word if word in {"timed_out", "failed"} else "ended early"
    if event["finished_at"] is None:
        outcome = "under way"
    elif event["promoted"] or event["new_version"] is not None:
        outcome = "promoted" if event["promoted"] else "waits for approval" if waits else "not promoted"
    trigger = f"{event['trigger_type']}, {event['severity']}" if event["retrain_attempted"] else event["trigger_type"]
    return event | {"when": event["triggered_at"], "trigger": trigger, "outcome": outcome,
                    "version": event["new_version"]}


def _run_row(run: dict[str, Any]) -> dict[str, Any]:
    """A run with what went wrong, or which safeguards refused what it asked for."""
    blocked = ((run["result"] or {}).get("guard") or {}).get("blocked_by")
    refused = f"blocked by {', '.join(blocked)}" if blocked and run["status"] == "blocked" else None
    return run | {"error": run["error"] or refused}


def approvals(
    params: options.Params = options.DEFAULT,
    as_json: options.Json = False,
    every: Annotated[bool, typer.Option("--all", help="Also those that are decided or have expired.")] = False,
) -> None:
    """What waits for a person, and what persons have decided."""
    with _state(params) as (ledger, registry):
        champion = registry.champion()
        rows = [_request_row(one, same=one.champion == champion and not ledger.succession.since(one.after_change)[:-1])
                for one in ledger.approvals.all()]
    shown = [row for row in rows if every or row["state"] == "pending"]
    if as_json:
        show_json(plain({"approvals": shown}))
        return
    show_table("Approvals" if every else "Waiting for approval", shown,
               ("run_id", "what", "state", "requested_at", "expires_at", "champion", "by", "why"))


def _request_row(one: Any, *, same: bool) -> dict[str, Any]:
    """A request with what has become of it: it expires with time, and goes stale when the champion has changed."""
    from trimtab.act.rows import now

    state = one.state
    if state in {"pending", "approved"} and one.expires_at <= now():
        state = "expired"
    elif state == "pending" and not same:
        state = "stale"
    row: dict[str, Any] = vars(one) | {"what": one.what, "state": state}
    return row


def alerts(params: options.Params = options.DEFAULT, as_json: options.Json = False, limit: options.Limit = 50) -> None:
    """The messages that were sent, wait, or could not be sent."""
    with _state(params) as (ledger, _):
        rows = [vars(one) for one in ledger.outbox.all(limit)]
    if as_json:
        show_json(plain({"alerts": rows}))
        return
    show_table("Alerts", rows, ("created_at", "kind", "title", "state", "attempts", "settled_at", "problem"))


def verify(
    run_id: Annotated[str | None, typer.Argument(help="Only what this run left; see trimtab history.")] = None,
    params: options.Params = options.DEFAULT,
    as_json: options.Json = False,
) -> None:
    """Whether files, ledger, champion and models are as the runs left them; ends with 4 where they are not."""
    from trimtab.run import verifying

    found = verifying.verify(params, run_id)
    if not (found.links or found.notes or found.findings):
        say(homes.without_runs(found.home, found.model))
    if as_json:
        findings = [plain(one) | {"told": one.told} for one in found.findings]
        show_json(plain(vars(found)) | {"holds": found.holds, "findings": findings})
    else:
        show(f"{found.model}: {plural(found.links, 'run')} in the chain, head {found.head or 'none'}")
        for note in found.notes:
            show(f"  {note}")
    if found.holds:
        return
    more = len(found.findings) - 1
    say(found.findings[0].told + (f"; {more} more (see --json)" if more else ""))
    raise typer.Exit(StepError.exit_code)


def models(params: options.Params = options.DEFAULT, as_json: options.Json = False) -> None:
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
        show_json(plain({"model": registry.name, "versions": rows}))
        return
    show_table("Versions", rows,
               ("version", "champion", "as_of", "class", "train_records", "trained_until", "run_id", "quarantine"))


def signals(params: options.Params = options.DEFAULT, as_json: options.Json = False, limit: options.Limit = 50) -> None:
    """The newest signals."""
    with _state(params) as (ledger, _):
        rows = ledger.signals(limit)
    if as_json:
        show_json(plain({"signals": rows}))
        return
    from trimtab.tables import with_unit

    written = [row | {key: with_unit(row["name"], row[key]) for key in ("value", "threshold")} for row in rows]
    show_table("Signals", written, ("as_of", "name", "severity", "value", "threshold", "message"))


@contextmanager
def _state(params: Path) -> Iterator[tuple[Any, Any]]:
    """Ledger and registry of a params file, to read from."""
    from trimtab import params as params_module
    from trimtab.run.session import Session

    session = Session(params_module.load(params))
    home = session.home
    with homes.readable(home) as session.home:
        if not (session.ledger.runs(1) or session.ledger.succession.changes()):
            say(homes.without_runs(home, session.registry.name))
        yield session.ledger, session.registry
        session.close()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

"""What does a user type?"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from trimtab.errors import StepError, TrimtabError, UsageError
from trimtab.plain import plain
from trimtab.run import options, queries, server
from trimtab.run.terminal import say, show, show_json, tell, tell_answer
from trimtab.text import visible
from trimtab.wording import plural

if TYPE_CHECKING:
    from trimtab.run.approving import Answer
    from trimtab.run.runner import Outcome

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Keeps machine-learning models in production on course.",
)

_TYPED_WRONGLY: Any = typer.BadParameter.__base__    # click's usage error, for which typer has no name of its own
_LONGEST_NAME = 200    # as long as the ledger's columns
_WITH_A_RESULT = ("run", "approve", "reject", "backfill")    # which tell of what never started, too
_REPEATED = ("baseline", "drift", "retrain")


@app.command()
def run(
    pipeline: Annotated[str, typer.Argument(help="baseline, drift, retrain or rollback.")],
    params: options.Params = options.DEFAULT,
    as_of: Annotated[str | None, typer.Option(help="Run as of this time: an ISO time, now, or latest.")] = None,
    set_: options.Overrides = None,
    dry_run: Annotated[bool, typer.Option(help="Measure and decide everything, change nothing.")] = False,
    as_json: options.Json = False,
    cold: Annotated[bool, typer.Option("--cold", help="Use ordinary kernels instead of warm ones.")] = False,
    to: Annotated[int | None, typer.Option(min=1, help="Rollback: the version to go back to.")] = None,
    by: Annotated[str | None, typer.Option(help="Rollback: who asks for it.")] = None,
    why: Annotated[str | None, typer.Option(help="Rollback: the reason.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Rollback: also to a version in quarantine.")] = False,
    quarantine: Annotated[bool | None, typer.Option(
        "--quarantine/--no-quarantine", help="Rollback: may the version that is left serve again? By default it may.",
    )] = None,
    check: Annotated[bool, typer.Option("--check", help="Rollback: only if a new champion is worse.")] = False,
) -> None:
    """Run a pipeline of notebooks."""
    _check_words(by=by, why=why)
    asked = {"to": to, "by": by, "why": why, "force": force or None, "quarantine": quarantine,
             "check": check or None}
    extra = {name: value for name, value in asked.items() if value is not None}
    _carry_out(pipeline, params, as_of, tuple(set_ or ()), extra, dry_run=dry_run, as_json=as_json, cold=cold)


@app.command()
def watch(
    params: options.Params = options.DEFAULT,
    interval: Annotated[float, typer.Option(min=1, help="Seconds from the start of one run to the next.")] = 1800,
    pipeline: Annotated[str, typer.Option(help="What is run: baseline, drift or retrain.")] = "retrain",
    set_: options.Overrides = None,
    most: Annotated[int | None, typer.Option(min=1, help="End after so many runs.")] = None,
) -> None:
    """Run a pipeline again and again, until a signal says stop; the run under way is brought to a safe end."""
    from trimtab.run.repeating import Repeating

    if pipeline not in _REPEATED:
        raise UsageError(f"--pipeline {pipeline} cannot be watched; choose from {', '.join(_REPEATED)}")
    Repeating(pipeline, params, interval=interval, overrides=tuple(set_ or ())).go(most)


@app.command()
def check(
    reference: Annotated[Path, typer.Option(help="Records of before: a Parquet, CSV or JSON lines file.")],
    recent: Annotated[Path, typer.Option(help="Records of now, with the same columns.")],
    predictions: Annotated[str | None, typer.Option(help="Of the recent: .npy, .csv or .parquet, or a column.")] = None,
    actuals: Annotated[str | None, typer.Option(help="What came: a file, or a column.")] = None,
    baseline_predictions: Annotated[str | None, typer.Option(help="Of the reference's records: a file.")] = None,
    baseline_actuals: Annotated[str | None, typer.Option(help="What came of the reference's records: a file.")] = None,
    task: Annotated[str | None, typer.Option(help="classification or regression, if the actuals do not tell.")] = None,
    time: Annotated[str | None, typer.Option(help="A column of times: then days are allowed to differ.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="A column whose words are compared.")] = None,
    segment: Annotated[list[str] | None, typer.Option(help="A column; each value by itself.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="A column that is not compared.")] = None,
    set_: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Compare two files and say whether a model of the first should be made anew; keeps nothing."""
    from trimtab.run import file_checks as files

    beside = files.Beside(predictions, actuals, baseline_predictions, baseline_actuals, task)
    found = files.check_files(
        reference, recent, beside, time=time, text=tuple(text or ()), segments=tuple(segment or ()),
        without=tuple(without or ()), overrides=tuple(set_ or ()),
    )
    if as_json:
        show_json(files.as_json(found))
    else:
        files.tell(found)


def _check_words(**typed: str | None) -> None:
    """Who decides and why, as far as it was typed, are words."""
    for name, text in typed.items():
        if text is not None and not text.strip():
            raise UsageError(f"--{name} is empty: whoever reads the history wants to know who decided, and why")
        if name == "by" and text is not None and len(text) > _LONGEST_NAME:
            told = f"--by has {len(text):,} characters, and a name at most {_LONGEST_NAME}"
            raise UsageError(f"{told}; reasons go to --why")
        if text is not None and any("\ud800" <= character <= "\udfff" for character in text):
            raise UsageError(f"--{name} is no text in the encoding of this terminal")


def _answering(said: Answer) -> Callable[..., None]:
    """The command with which a person answers what a run asked for in this way."""

    def _answer(
        run_id: Annotated[str, typer.Argument(help="The run that asks; see trimtab approvals.")],
        by: Annotated[str, typer.Option(help="Who decides.")],
        why: Annotated[str, typer.Option(help="The reason, for whoever reads the history.")],
        params: options.Params = options.DEFAULT,
        as_of: options.AsOf = None,
        as_json: options.Json = False,
    ) -> None:
        _check_words(by=by, why=why)
        extra = {"request": run_id, "said": said, "by": by, "why": why}
        _carry_out("approval", params, as_of, (), extra, dry_run=False, as_json=as_json, cold=False)

    return _answer


approve = app.command(
    "approve", help="Approve what a run asked for: that a challenger is trained, or that this very challenger serves.",
)(_answering("approved"))
reject = app.command("reject", help="Decline what a run asked for.")(_answering("rejected"))


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
        show_json(outcome.result)
    else:
        if outcome.answer:
            tell_answer(outcome.result, outcome.answer, params)
        tell(outcome.result, outcome.report, outcome.because, outcome.obstacles)
    if outcome.error:
        say(outcome.error)
    raise typer.Exit(outcome.exit_code)


def _print_refusal(
    pipeline: str | None, error: TrimtabError, *, as_of: str | None = None, dry_run: bool = False
) -> None:
    """What `--json` promises also where nothing ran: one object, with nothing reached."""
    from trimtab.run.results import never_started

    show_json(never_started(pipeline, error, as_of=as_of, dry_run=dry_run))


def _run(
    pipeline: str, params: Path, as_of: str | None, overrides: tuple[str, ...], extra: dict[str, Any],
    *, dry_run: bool, quiet: bool, cold: bool,
) -> Outcome:
    warm = not cold and server.available()
    if not warm and not cold:
        say("warm kernels need fork, which this platform lacks; using ordinary ones")
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
    params: options.Params = options.DEFAULT,
    as_of: options.AsOf = None,
    from_: Annotated[str | None, typer.Option("--from", help="Begin with this day; by default with the first.")] = None,
    to: Annotated[str | None, typer.Option(help="End before this time; by default as of when it stands.")] = None,
    set_: options.Overrides = None,
    as_json: options.Json = False,
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
        show_json(told)
        return
    counted = plural(found.counted, "day is", "days are")
    show(f"{told['model']}: {found.start:%Y-%m-%d} to {found.end:%Y-%m-%d %H:%M}: {counted} counted")
    for version, days in found.scored.items():
        show(f"  version {version}: {plural(days, 'snapshot')} taken")
    show(f"  champion: {plural(found.estimated, 'window')} estimated")


@app.command()
def init(
    table: Annotated[Path, typer.Option(help="A Parquet, CSV or JSON lines file.")],
    label: Annotated[str | None, typer.Option(help="The column to foretell, if not the last.")] = None,
    time: Annotated[str | None, typer.Option(help="The column that says when a record came to be.")] = None,
    output: Annotated[Path | None, typer.Option(help="The file to write, if not params/ and the table's name.")] = None,
    as_json: options.Json = False,
) -> None:
    """Inspect a table of your own and write a params file for it, with a comment wherever something was guessed."""
    from trimtab.run.drafting import draft, next_steps

    file, made = draft(table, output, label=label, time=time)
    if as_json:
        show_json(plain({"params": file, **vars(made), "roles": vars(made.roles), "next": next_steps(file, made)}))
        return
    roles = made.roles
    show(f"{file}: written; read it, and change what is not so")
    show(f"  {roles.task} of {roles.label} ({roles.why['label']}), through {roles.time}")
    if roles.id:
        show(f"  id: {roles.id}")
    for part in ("numeric", "categorical", "text"):
        if names := getattr(roles, part):
            show(f"  {part}: {', '.join(names)}")
    for name, reason in roles.left_out.items():
        show(f"  left out: {name} ({reason})")
    for step, told in next_steps(file, made).items():
        show(f"  {step}    # {told}")


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="The data set: bikes, conflicts, flights, fraud, ocr or retail.")]
) -> None:
    """Write a demo data set into data/."""
    from trimtab import datasets

    show(str(datasets.write(name, Path("data"))))


for _query in (queries.history, queries.approvals, queries.alerts, queries.verify, queries.models, queries.signals):
    app.command()(_query)


def main(heard: Sequence[int] = ()) -> None:
    """Every error that Trimtab raises on purpose is one sentence and its exit code.

    Parameters
    ----------
    heard : sequence of int
        Signals that came and were told; an error after one is what the signal broke off, as a query.
    """
    try:
        code = app(standalone_mode=False) or 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except Exception as error:  # noqa: BLE001 -- raised again where it is nobody's
        code = 128 + heard[0] if heard else _told(error)
    _leave(code)


def _told(error: Exception) -> int:
    """Tell an error; its exit code. One that nobody raised on purpose is raised again."""
    if isinstance(error, TrimtabError):
        say(str(error))
        _answer_in_json(sys.argv[1:], error)
        return error.exit_code
    if isinstance(error, _TYPED_WRONGLY):
        _explain(error, sys.argv[1:])
        return UsageError.exit_code
    if isinstance(error, OSError):    # a full disk behind standard output, say
        say(f"{error.filename or 'standard output'}: {error.strerror or error}")
        return StepError.exit_code
    raise error


def _explain(error: Any, words: list[str]) -> None:
    """What is wrong with what was typed, as every other error is told; help where nothing was typed."""
    told = error.format_message()
    if "\n" in told:
        for line in told.splitlines():
            print(visible(line), file=sys.stderr)
    else:
        say(f"{told.rstrip('.')} (see trimtab --help)")
    if words[:1] == ["run"] and "--json" in words:
        named = next((word for word in words[1:] if not word.startswith("-")), None)
        _print_refusal(named, UsageError(told))
    else:
        _answer_in_json(words, UsageError(told))


def _answer_in_json(words: list[str], error: TrimtabError) -> None:
    """What `--json` promises where a query fails: one object; runs tell theirs as a run's."""
    if "--json" in words and words[0] not in _WITH_A_RESULT:
        show_json({"error": str(error), "exit_code": error.exit_code})


def _leave(code: int) -> NoReturn:
    """End at once: all is written, and taking a few thousand modules apart again takes most of a second."""
    if "trimtab.run.kernels" in sys.modules:
        from trimtab.run import kernels

        kernels.stop_server()
    else:
        server.stop()
    # What multiprocessing does at an ordinary end: its folder in /tmp goes.
    util._exit_function()  # type: ignore[attr-defined]  # -- typeshed leaves it out
    try:
        sys.stdout.flush()
    except OSError as error:
        if not code:
            say(f"standard output: {error.strerror or error}")
        code = code or StepError.exit_code
    sys.stderr.flush()
    os._exit(code)

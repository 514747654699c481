"""Which events of a run are worth a message, and how do the messages read?

A message says in one line what happened, then the numbers, what to do next with the command to type, and where to read
more. Of a kind one goes out in 24 hours; what comes after it is counted, and told with the next message after these.
Requests for approval are told one by one.

Messages leave the house: they hold no value of a single record. In reasons, quoted values (levels of a category, words)
are cut to 40 characters; in errors, whatever is quoted is left out unless the params file names it, and of errors that
other libraries raised only the kind is told.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from trimtab.text import calm, hide_quoted, one_line, shorten_quoted
from trimtab.wording import probability

Kind = Literal[
    "drift", "retrain_started", "retrain_finished", "approval_needed", "promoted", "rolled_back", "failed", "warning",
    "summary"]
QUIET = timedelta(hours=24)
EACH_TOLD: frozenset[Kind] = frozenset({"approval_needed"})
"""Kinds that never wait: somebody is to answer each of these, and the one before does not say that there is another.

A request that is asked again while it is open stays the one that it was, and is no new event."""
_LONGEST_TITLE, _LONGEST_LINE, _LONGEST_VALUE = 160, 300, 40
_MOST_REASONS, _MOST_METRICS = 5, 6
_SERIOUS, _SMALL = ("high", "critical"), ("none", "low")
_WARNINGS = {    # signals that are told from medium on, though no retraining is asked for: what to do about them
    "label_completeness": "see why outcomes do not arrive; until they do, performance is estimated at best.",
    "class_drop": "read which class it is, and whether its records or its labels have changed.",
    "class_balance": "see whether classes have really become more or less frequent, or are labelled otherwise.",
}
_FAILURES = {
    "failed": "failed", "timed_out": "timed out", "died": "died", "unstarted": "could not start",
}
_FOREIGN = re.compile(r"^(?P<before>(?:unexpected |\w+: )?[A-Za-z_.]*[A-Z]\w*): ")    # "03_retrain: ValueError: "


@dataclass(frozen=True)
class Message:
    """What people are told.

    Attributes
    ----------
    kind : str
        What of it there may be one of in 24 hours.
    title : str
        One line of at most 160 characters.
    numbers : tuple of str
        One line each, of at most 300 characters.
    advice : str
        What to do next.
    report : str
        Where to read more; empty where there is nothing.
    """

    kind: Kind
    title: str
    numbers: tuple[str, ...]
    advice: str
    report: str = ""

    @property
    def body(self) -> str:
        """All but the title."""
        parts = ["\n".join(self.numbers), f"What to do: {self.advice}", self.report and f"Report: {self.report}"]
        return "\n\n".join(filter(None, parts))


@dataclass(frozen=True)
class Asked:
    """A request for approval: what is asked in words, and until when."""

    what: str
    until: str


@dataclass(frozen=True)
class Change:
    """A champion that came into service through this run, and who wanted it for what reason.

    Attributes
    ----------
    completed_in : str, optional
        The later run that completed it, where this one had left it open.
    """

    kind: str
    before: int | None
    after: int
    by: str = ""
    why: str = ""
    completed_in: str | None = None


@dataclass(frozen=True, eq=False)
class Happened:
    """What is known of a run, when it is asked what of it is worth a message.

    Attributes
    ----------
    model, tenant : str
    run_id, pipeline, status : str
        Status as in the manifest; `running` while it goes on, `died` of one that a later run found dead, `unstarted`
        of one that could not begin.
    params, report : str
        Paths: of the params file, for commands to type, and of the report.
    program : str
        How commands begin: with the home, where that is known, and the place of the program.
    decision, guard : mapping, optional
        As in the run's result.
    obstacles : sequence of str
        The safeguards that do not hold, each with its evidence.
    verdict : str, optional
    metrics : mapping
        Of champion and challenger, by name; None where they are not known.
    changes : sequence of Change
    unsettled : int, optional
        The version that a change leads to which is still open: nobody knows yet whether it serves.
    asked : Asked, optional
    signals : sequence of mapping
        Of this run, as the ledger keeps them: name, severity, message.
    error : str, optional
        Without secrets.
    names : frozenset of str
        What the params file names: columns, tables, metrics; may be quoted in errors.
    """

    model: str
    tenant: str | None
    run_id: str
    pipeline: str
    status: str
    params: str
    report: str
    decision: Mapping[str, Any] | None = None
    guard: Mapping[str, Any] | None = None
    obstacles: Sequence[str] = ()
    verdict: str | None = None
    metrics: Mapping[str, Mapping[str, float | None] | None] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    unsettled: int | None = None
    asked: Asked | None = None
    signals: Sequence[Mapping[str, Any]] = ()
    error: str | None = None
    names: frozenset[str] = frozenset()
    program: str = "trimtab"

    @property
    def who(self) -> str:
        """The model, and its tenant where there is one."""
        return f"{self.model} ({self.tenant})" if self.tenant else self.model

    def command(self, words: str) -> str:
        """A command to type for this params file."""
        return command(self.program, words, self.params)


def command(program: str, words: str, params: str) -> str:
    """A command to type for a params file.

    Examples
    --------
    >>> command("TRIMTAB_HOME=/srv /opt/trimtab/bin/trimtab", "history", "/etc/my params.yaml")
    "TRIMTAB_HOME=/srv /opt/trimtab/bin/trimtab history -p '/etc/my params.yaml'"
    """
    return f"{program} {words} -p {shlex.quote(one_line(params, _LONGEST_LINE))}"


def messages(run: Happened) -> tuple[Message, ...]:
    """What people should be told of a run that has ended, most urgent first; of most runs, nothing.

    Examples
    --------
    >>> run = Happened("demo", None, "r1", "drift", "timed_out", "p.yaml", "report.html", error="it took too long")
    >>> [one.title for one in messages(run)]
    ['demo: drift timed out']
    """
    return tuple(one for tell in _KINDS for one in tell(run))


def settled(run: Happened) -> tuple[Message, ...]:
    """What people should be told of a run once a later one has completed the change of the champion that it began.

    Examples
    --------
    >>> run = Happened("demo", None, "r1", "rollback", "failed", "p.yaml", "report.html", error="no answer",
    ...                changes=[Change("rollback", 2, 1, "Ada", "too slow", completed_in="r2")])
    >>> (told,) = settled(run)
    >>> told.title, told.numbers[1]
    ('demo: rolled back from version 2 to version 1', 'begun by run r1, which could not settle it; completed by run r2')
    """
    return tuple(one for tell in (_rolled_back, _promoted) for one in tell(run))


def retraining(run: Happened) -> Message:
    """The message that training begins, while the run goes on."""
    return Message(
        "retrain_started", _title(run, "retraining started"), tuple(_reasons(run)),
        "nothing yet: a challenger is trained in the shadow, and the champion serves on; the verdict follows.",
        one_line(run.report, _LONGEST_LINE),
    )


def summary(model: str, counts: Mapping[str, int], look: str = "trimtab history") -> Message:
    """What nobody was told in the 24 hours after a message, where no other message takes it along; where to look."""
    return Message(
        "summary", one_line(f"{model}: {sum(counts.values())} more events", _LONGEST_TITLE), (since(counts),),
        f"look at the newest runs: {look}.",
    )


def since(counts: Mapping[str, int]) -> str:
    """What came after the messages of the last 24 hours, in a line.

    Examples
    --------
    >>> since({"drift": 5, "failed": 1})
    'Since the last messages of these kinds: 5 more drift, 1 more failed.'
    """
    told = ", ".join(f"{number} more {kind.replace('_', ' ')}" for kind, number in counts.items())
    return f"Since the last messages of these kinds: {told}."


def _failed(run: Happened) -> Iterator[Message]:
    if run.status not in _FAILURES:
        return
    ways = {
        "timed_out": "see which step took so long, and raise its limit (guardrails.max_runtime, limits.soft) or train "
                     "on less; then",
        "unstarted": "mend that, and",
        "died": "see whether memory ran out or the machine stopped; nothing is lost, and",
    }
    way = ways.get(run.status, "read at which cell it stopped, mend that, and")
    yield Message(
        "failed", _title(run, f"{run.pipeline} {_FAILURES[run.status]}"), tuple(_error(run)), f"{way} {_then(run)}",
        _report(run),
    )


def _then(run: Happened) -> str:
    """What to type after a failure, and who serves; not the same again where it may have happened all the same."""
    if run.unsettled is not None:
        return (f"run anything next: {run.command('run drift')}. The change of the champion to version {run.unsettled} "
                "could not be settled; that run completes it or takes it back, and until then nobody knows who serves.")
    again = {"approval": "approvals", "watch": "run rollback --check"}.get(run.pipeline, f"run {run.pipeline}")
    changed = [one.after for one in run.changes if one.kind != "foreign"]
    state = f"Version {changed[-1]} serves since this run." if changed else "The champion is as it was."
    return f"{'answer' if run.pipeline == 'approval' else 'run it'} again: {run.command(again)}. {state}"


def _rolled_back(run: Happened) -> Iterator[Message]:
    for change in run.changes:
        if change.kind == "rollback":
            yield Message(
                "rolled_back", _title(run, f"rolled back from version {change.before} to version {change.after}"),
                (f"serving: version {change.after}", *_completed(run, change), *_reason(change), *_figures(run)),
                f"find out what was wrong with version {change.before}: {run.command('history')}.", _report(run),
            )


def _approval(run: Happened) -> Iterator[Message]:
    if run.asked is None:
        return
    answer = f"{run.command(f'approve {run.run_id} --by WHO --why TEXT')}, or reject in the place of approve"
    yield Message(
        "approval_needed", _title(run, f"approval needed {run.asked.what}"),
        (f"the request ends at {run.asked.until}", *_figures(run), *_reasons(run)), f"{answer}.", _report(run),
    )


def _promoted(run: Happened) -> Iterator[Message]:
    for change in run.changes:
        if change.kind != "promotion":
            continue
        before = "nobody served before" if change.before is None else f"before: version {change.before}"
        back = f"run rollback --to {change.before} --by WHO --why TEXT"
        advice = "nothing: it is the first champion." if change.before is None else (
            f"nothing, if the figures please; to go back: {run.command(back)}.")
        yield Message("promoted", _title(run, f"version {change.after} promoted, {before}"),
                      (*_completed(run, change), *_figures(run)), advice, _report(run))


def _finished(run: Happened) -> Iterator[Message]:
    if run.pipeline != "retrain" or run.status != "succeeded" or not run.metrics.get("challenger"):
        return
    ways = {
        "promote": "nothing: the challenger serves.",
        "needs_approval": f"approve or reject it: {run.command('approvals')}.",
        "hold": "nothing: the evidence is too thin for a verdict; more labelled records will settle it.",
    }
    yield Message(
        "retrain_finished", _title(run, f"retraining finished: {(run.verdict or 'no verdict').replace('_', ' ')}"),
        tuple(_figures(run)),
        ways.get(run.verdict or "", "read which criterion it missed; the champion serves on."), _report(run),
    )


def _drift(run: Happened) -> Iterator[Message]:
    found, guard = run.decision, run.guard or {}
    if found is None or not (found["needs_retrain"] or found["severity"] in _SERIOUS):
        return
    blocked = [one_line(name, _LONGEST_VALUE) for name in guard.get("blocked_by", ())]
    asked = "retraining is asked for" if found["needs_retrain"] else "no retraining is asked for"
    advice = f"retrain: {run.command('run retrain')}."
    if blocked == ["approval"]:
        advice = f"nothing here: a person is asked whether to retrain; see {run.command('approvals')}."
    elif blocked:
        advice = f"retraining is blocked by {', '.join(blocked)}: read why, then wait or change guardrails."
    elif run.pipeline == "retrain":
        advice = "nothing: this run retrains by itself where that is needed."
    told = [f"blocked by {obstacle}" for obstacle in run.obstacles] if found["needs_retrain"] else []
    numbers = (f"severity {found['severity']}, confidence {probability(found['confidence'])}", *_reasons(run),
               *map(_calmed, told))
    yield Message("drift", _title(run, f"drift of severity {found['severity']}, {asked}"), numbers, advice,
                  _report(run))


def _warning(run: Happened) -> Iterator[Message]:
    """What a person should look into, though a model that learned anew would not mend it."""
    seen = [one for one in run.signals if one["name"] in _WARNINGS and one["severity"] not in _SMALL]
    if seen:
        told = " and ".join(f"{one['name'].replace('_', ' ')} {one['severity']}" for one in seen)
        first, *others = (_WARNINGS[one["name"]] for one in seen)
        lines = (calm(one_line(shorten_quoted(one["message"], _LONGEST_VALUE), _LONGEST_LINE)) for one in seen)
        advice = " ".join([first, *(f"{one[0].upper()}{one[1:]}" for one in others)])
        yield Message("warning", _title(run, told), tuple(lines), advice, _report(run))


_KINDS = (_failed, _rolled_back, _approval, _promoted, _finished, _drift, _warning)


def _title(run: Happened, what: str) -> str:
    return calm(one_line(f"{run.who}: {what}", _LONGEST_TITLE))


def _report(run: Happened) -> str:
    return one_line(run.report, _LONGEST_LINE)


def _reasons(run: Happened) -> Iterator[str]:
    """Why retraining is asked for, or not: the first sentences."""
    reasons = (run.decision or {}).get("reasons", ())
    for reason in reasons[:_MOST_REASONS]:
        yield _calmed(reason)
    if len(reasons) > _MOST_REASONS:
        yield f"and {len(reasons) - _MOST_REASONS} more reasons"


def _calmed(sentence: str) -> str:
    """A sentence of a run as it may leave the house: on one line, with the beginning of what it quotes."""
    return calm(one_line(shorten_quoted(sentence, _LONGEST_VALUE), _LONGEST_LINE))


def _completed(run: Happened, change: Change) -> Iterator[str]:
    if change.completed_in:
        began, ended = (one_line(run_id, _LONGEST_VALUE * 2) for run_id in (run.run_id, change.completed_in))
        yield calm(f"begun by run {began}, which could not settle it; completed by run {ended}")


def _reason(change: Change) -> Iterator[str]:
    if change.by or change.why:
        yield calm(one_line(f"by {change.by or 'nobody named'}: {change.why}", _LONGEST_LINE))


def _figures(run: Happened) -> Iterator[str]:
    """What champion and challenger were measured at."""
    before, after = run.metrics.get("champion") or {}, run.metrics.get("challenger") or {}
    for name in list(after or before)[:_MOST_METRICS]:
        old, new = _number(before.get(name)), _number(after.get(name))
        yield f"{name}: {old} -> {new}" if after and before else f"{name}: {new if after else old}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _error(run: Happened) -> Iterator[str]:
    """What went wrong, without what an error may quote of a record."""
    if run.error is None:
        return
    foreign = _FOREIGN.match(run.error)
    if foreign:
        yield calm(one_line(f"{foreign['before']} (its words are in the report)", _LONGEST_LINE))
        return
    yield calm(one_line(hide_quoted(run.error, run.names), _LONGEST_LINE))

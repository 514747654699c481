"""Which events become messages, how they read, and what stays out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import without_number

from trimtab.act import outbox as outboxes
from trimtab.act.database import connect
from trimtab.act.ledger import Ledger
from trimtab.act.outbox import Outbox
from trimtab.decide.alerts import Asked, Change, Happened, Message, messages, retraining

DRIFT = {"needs_retrain": True, "severity": "high", "confidence": 0.97, "reasons": ["2 of 8 input columns drifted."]}
RUN = Happened("demo", None, "r1", "drift", "succeeded", "params/demo.yaml", "/runs/demo/r1/report.html")
MEASURED = {"champion": {"accuracy": 0.8}, "challenger": {"accuracy": 0.853}}
START = datetime(2026, 1, 1, 12)


LATE = {"name": "label_completeness", "severity": "medium", "message": "61.0% of the 200 labels that are due are not"}


def _kinds(run: Happened) -> list[str]:
    return [one.kind for one in messages(run)]


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"decision": DRIFT | {"needs_retrain": False, "severity": "medium"}}, []),
        ({"decision": DRIFT}, ["drift"]),
        ({"decision": DRIFT | {"needs_retrain": False, "severity": "critical"}}, ["drift"]),
        ({"status": "failed"}, ["failed"]),
        ({"status": "timed_out"}, ["failed"]),
        ({"status": "died"}, ["failed"]),
        ({"status": "interrupted"}, []),
        ({"status": "blocked", "decision": DRIFT}, ["drift"]),
        ({"asked": Asked("to retrain", "2026-01-08")}, ["approval_needed"]),
        ({"pipeline": "rollback", "changes": [Change("rollback", 2, 1)]}, ["rolled_back"]),
        ({"pipeline": "baseline", "changes": [Change("promotion", None, 1)]}, ["promoted"]),
        ({"changes": [Change("foreign", 1, 2)]}, []),
        ({"pipeline": "retrain", "decision": DRIFT, "verdict": "promote", "metrics": MEASURED,
          "changes": [Change("promotion", 1, 2)]}, ["promoted", "retrain_finished", "drift"]),
        ({"signals": [LATE]}, ["warning"]),
        ({"signals": [LATE | {"severity": "low"}, LATE | {"name": "feature_drift"}]}, []),
        ({"pipeline": "retrain", "decision": DRIFT, "verdict": "reject", "metrics": MEASURED},
         ["retrain_finished", "drift"]),
    ],
)
def test_each_event_is_worth_one_message_and_most_runs_are_worth_none(
    changes: dict[str, Any], kinds: list[str]
) -> None:
    assert _kinds(replace(RUN, **changes)) == kinds


def test_failure_after_the_champion_had_changed_says_who_serves() -> None:
    failed, promoted = messages(replace(RUN, status="failed", pipeline="retrain", changes=[Change("promotion", 1, 2)]))
    assert failed.advice.endswith("Version 2 serves since this run.")
    assert promoted.kind == "promoted"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decision": DRIFT}, ["2 of 8", "0.97", "trimtab run retrain -p params/demo.yaml"]),
        ({"decision": DRIFT, "guard": {"blocked_by": ["cooldown"]}, "obstacles": ["cooldown: it was 1d ago"]},
         ["blocked by cooldown: read why", "\nblocked by cooldown: it was 1d ago"]),
        ({"decision": DRIFT, "guard": {"blocked_by": ["approval"]}}, ["a person is asked", "trimtab approvals -p"]),
        ({"asked": Asked("to promote version 3", "2026-01-08")}, ["approve r1 --by WHO --why TEXT -p", "2026-01-08"]),
        ({"changes": [Change("promotion", 1, 2)], "metrics": MEASURED}, ["0.8 -> 0.853", "run rollback --to 1"]),
        ({"changes": [Change("rollback", 2, 1)]}, ["serving: version 1", "trimtab history"]),
        ({"changes": [Change("rollback", 2, 1, "Ada", "too slow")]}, ["by Ada: too slow"]),
        ({"status": "failed", "pipeline": "watch"}, ["trimtab run rollback --check -p", "The champion is as it was."]),
        ({"status": "failed", "pipeline": "approval"}, ["answer again: trimtab approvals -p"]),
        ({"status": "failed", "pipeline": "rollback", "unsettled": 1},
         ["mend that, and run anything next: trimtab run drift -p params/demo.yaml. ", "to version 1 could not be"]),
        ({"status": "timed_out", "pipeline": "retrain", "unsettled": 2},
         ["then run anything next: trimtab run drift", "until then nobody knows who serves."]),
        ({"changes": [Change("promotion", 1, 2, completed_in="r2")]},
         ["begun by run r1, which could not settle it; completed by run r2"]),
        ({"signals": [LATE]}, ["61.0% of the 200", "see why outcomes do not arrive"]),
        ({"status": "unstarted", "error": "data.table: nothing is there"}, ["mend that, and run it again"]),
        ({"status": "timed_out", "error": "training took 900 s"}, ["900 s", "max_runtime", "trimtab run drift"]),
        ({"status": "failed", "params": "my params/x.yaml"}, ["-p 'my params/x.yaml'"]),
    ],
)
def test_message_has_its_numbers_what_to_type_next_and_where_to_read_more(
    changes: dict[str, Any], words: list[str]
) -> None:
    (told,) = messages(replace(RUN, **changes))
    assert all(word in told.body for word in words)
    assert told.body.endswith("Report: /runs/demo/r1/report.html")
    assert told.title.startswith("demo: ")
    assert "\n" not in told.title


def test_start_of_training_is_told_with_the_reasons_for_it() -> None:
    told = retraining(replace(RUN, decision=DRIFT, status="running", tenant="north"))
    assert told.title == "demo (north): retraining started"
    assert told.numbers == ("2 of 8 input columns drifted.",)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("03_retrain: ValueError: could not convert string to float: 'Jane Doe, 7 Elm St'",
         "03_retrain: ValueError (its words are in the report)"),
        ("unexpected KeyError: 4711-2208", "unexpected KeyError (its words are in the report)"),
        ("pyarrow.lib.ArrowInvalid: Jane Doe", "pyarrow.lib.ArrowInvalid (its words are in the report)"),
        ("records.parquet: column 'age' holds 'Jane Doe' and \"her cat\"", "records.parquet: column 'age' holds '…'"
         ' and "…"'),
        ("it\x1b[31m took\ntoo long", "it[31m took too long"),
    ],
)
def test_what_an_error_quotes_of_records_is_not_told_outside(error: str, told: str) -> None:
    (message,) = messages(replace(RUN, status="failed", error=error, names=frozenset({"age"})))
    assert message.numbers == (told,)


def test_levels_in_reasons_are_cut_and_nobody_is_rung_up() -> None:
    reasons = [f"the level '{'x' * 1_000_000}' is new", "<!channel> @everyone \x1b]0;title\x07 [a](http://b)\n\n# c"]
    (message,) = messages(replace(RUN, decision=DRIFT | {"reasons": reasons}))
    _, first, second = message.numbers
    assert len(first) <= 300
    assert "x" * 41 not in first
    assert second == "< !channel> @ everyone ]0;title [a](http://b) # c"
    assert len(message.body) < 2000


# -- the outbox ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Moves the outbox's clock on."""
    time = [START]
    monkeypatch.setattr(outboxes, "now", lambda: time[0])

    def pass_(by: timedelta) -> None:
        time[0] += by

    return pass_


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outbox]:
    sqlite = request.param == "SQLite"
    engine = connect(f"sqlite:///{tmp_path}/ledger.db" if sqlite else request.getfixturevalue("postgres"))
    yield Outbox(engine, "demo")
    engine.dispose()


def _message(kind: Any = "drift") -> Message:
    return Message(kind, f"demo: {kind}", ("number",), "nothing")


def _states(outbox: Outbox) -> list[tuple[str, str]]:
    return [(one.key, one.state) for one in reversed(outbox.all())]


HOUR = timedelta(hours=1)
Clock = Callable[[timedelta], None]


def test_event_is_told_once_however_often_its_step_is_run(outbox: Outbox, clock: Clock) -> None:
    for _ in range(3):
        outbox.put("r1", [_message()])
        clock(48 * HOUR)
    assert _states(outbox) == [("r1:drift", "waiting")]


def test_one_message_of_a_kind_goes_out_in_a_day_and_the_next_tells_how_many_came_between(
    outbox: Outbox, clock: Clock
) -> None:
    for run in range(1, 5):
        outbox.put(f"r{run}", [_message()])
        clock(5 * HOUR)
    outbox.put("r5", [_message("failed")])    # 20 hours after the first: the others still have to wait
    clock(5 * HOUR)
    assert [one.state for one in outbox.all()] == ["waiting", "held", "held", "held", "waiting"]
    outbox.put("r6", [_message()])
    newest, _, *others, _ = outbox.all()
    assert "Since the last messages of these kinds: 3 more drift." in newest.body
    assert [(one.state, one.told_in) for one in others] == [("summed", "r6:drift")] * 3


def test_each_request_for_approval_is_told_and_a_repeated_one_once(outbox: Outbox, clock: Clock) -> None:
    for run_id in ("r1", "r2", "r2"):    # the second asks for another version an hour later, and its step is run again
        outbox.put(run_id, [_message("approval_needed"), _message("drift")])
        clock(HOUR)
    assert _states(outbox) == [
        ("r1:approval_needed", "waiting"), ("r1:drift", "waiting"),
        ("r2:approval_needed", "waiting"), ("r2:drift", "held"),
    ]


def test_exactly_one_day_later_a_kind_is_told_again(outbox: Outbox, clock: Clock) -> None:
    outbox.put("r1", [_message()])
    clock(24 * HOUR - timedelta(seconds=1))
    outbox.put("r2", [_message()])
    clock(timedelta(seconds=1))
    outbox.put("r3", [_message()])
    assert [state for _, state in _states(outbox)] == ["waiting", "summed", "waiting"]


def test_what_was_held_is_told_by_itself_where_no_message_takes_it_along(outbox: Outbox, clock: Clock) -> None:
    for run in ("r1", "r2"):
        outbox.put(run, [_message("failed")])
    clock(25 * HOUR)
    outbox.put("r3", [], last=False)
    assert len(outbox.all()) == 2
    outbox.put("r3", [])
    newest = outbox.all()[0]
    assert (newest.kind, newest.state) == ("summary", "waiting")
    assert "1 more failed" in newest.body
    outbox.put("r4", [])
    assert len(outbox.all()) == 3


def test_models_and_tenants_do_not_keep_each_other_from_being_told(outbox: Outbox) -> None:
    outbox.put("r1", [_message()])
    for run, name in (("r2", ("demo", "north")), ("r3", ("other", None))):
        one = Outbox(outbox.engine, *name)
        one.put(run, [_message()])
        assert [posted.state for posted in one.all()] == ["waiting"]


def test_clock_that_was_ahead_and_went_back_quietens_nothing(outbox: Outbox, clock: Clock) -> None:
    outbox.put("r1", [_message()])
    outbox.put("r2", [_message()])
    clock(-24 * 365 * HOUR)
    outbox.put("r3", [_message()])
    outbox.put("r4", [_message()])
    assert [state for _, state in _states(outbox)] == ["waiting", "summed", "waiting", "held"]
    clock(25 * HOUR)
    outbox.put("r5", [])
    assert [state for _, state in _states(outbox)] == ["waiting", "summed", "waiting", "summed", "waiting"]


def test_message_that_a_clock_put_off_which_was_ahead_is_due(outbox: Outbox, clock: Clock) -> None:
    outbox.put("r1", [_message()])
    outbox.settle(outbox.claim()[0], addresses=1)
    outbox.put("r2", [_message("failed")])
    outbox.claim()    # its sender dies
    clock(-24 * 365 * HOUR)
    assert [one.key for one in outbox.claim()] == ["r1:drift", "r2:failed"]
    assert outbox.claim() == [], "from then on the claim holds"


def test_only_one_sender_has_a_message_and_that_of_a_dead_one_is_claimed_again(outbox: Outbox, clock: Clock) -> None:
    outbox.put("r1", [_message()])
    (mine,) = outbox.claim()
    assert mine.state == "sending"
    assert outbox.claim() == []
    clock(outboxes.CLAIM)
    (again,) = outbox.claim()
    assert (again.id, again.attempts) == (mine.id, 2)


def test_two_senders_that_saw_the_same_row_do_not_both_get_it(
    outbox: Outbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.put("r1", [_message()])
    other, read = Outbox(outbox.engine, "demo"), outbox._rows
    between = []

    def rows(query: sa.Select[Any]) -> list[dict[str, Any]]:
        seen = read(query)
        between.extend(other.claim())    # the other is quicker
        return seen

    monkeypatch.setattr(outbox, "_rows", rows)
    assert outbox.claim() == []
    assert len(between) == 1


def test_pauses_double_up_to_six_hours_and_after_three_days_it_is_given_up(outbox: Outbox, clock: Clock) -> None:
    outbox.put("r1", [_message()])
    pauses, state = [], "waiting"
    while state == "waiting":
        (mine,) = outbox.claim()
        settled = outbox.settle(mine, 1)
        pauses.append(round((settled.next_try_at - outboxes.now()) / timedelta(minutes=1)))
        state = settled.state
        clock(settled.next_try_at - outboxes.now())
    assert pauses[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360]
    assert state == "given_up"
    assert timedelta(days=3) <= outboxes.now() - START <= timedelta(days=3, hours=12)
    assert outbox.claim() == []


def test_message_is_sent_when_every_address_took_it(outbox: Outbox) -> None:
    outbox.put("r1", [_message()])
    (mine,) = outbox.claim()
    for place in (1, 0, 1):
        outbox.took(mine.id, place)
    assert outbox.settle(mine, 3).problem == "1 of 3 addresses did not take it"
    outbox.took(mine.id, 2)
    assert outbox.settle(mine, 3).state == "sent"


def test_message_that_was_given_up_keeps_no_other_from_going_out(outbox: Outbox, clock: Clock) -> None:
    outbox.put("r1", [_message()])
    clock(timedelta(days=4))
    (mine,) = outbox.claim()
    assert outbox.settle(mine, 1).state == "given_up"
    outbox.put("r2", [_message()])
    assert outbox.all()[0].state == "waiting"


def test_older_ledger_gets_an_outbox(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE outbox"))
        without_number(connection)
    assert Ledger(connect(url), "demo").outbox.all() == []

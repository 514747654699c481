"""The version to roll back to: back through what was promoted, never to and fro."""

from __future__ import annotations

import pytest

from trimtab.decide.rollback import Service, candidates, choose_target
from trimtab.errors import UsageError


def served(*versions: int | str) -> list[Service]:
    """3 is a promotion, "2r" a rollback, "4f" a foreign change."""
    kinds = {"r": "rollback", "f": "foreign"}
    return [Service(v, "promotion") if isinstance(v, int) else Service(int(v[:-1]), kinds[v[-1]]) for v in versions]


@pytest.mark.parametrize(("history", "champion", "target"), [
    (served(1, 2, 3), 3, 2),
    (served(1, 2, 3, "2r"), 2, 1),             # twice back is two steps
    (served(1, 2, 3, "1r", 4), 4, 1),          # what was rolled back from is skipped
    (served(1, 2, "1r", 2), 2, 1),             # a version may be promoted again
    (served(1, 2, "5f"), 5, 2),                # somebody else's change is a step like any other
    (served(1, 2), 5, 2),                      # so is one that nobody recorded
    (served(1, 2, "1f"), 1, 2),                # and one back by hand
    (served(1, 2, "1f", 3, "1r"), 1, 2),       # the last time that 1 served, not the first
    (served(1, 2, 2), 2, 1),                   # recorded twice
    (served(1, 2, "7r"), 7, 2),                # --to a version that never served
])
def test_the_version_that_served_before(history: list[Service], champion: int, target: int) -> None:
    assert choose_target(history, champion, known=range(1, 9)) == target


def test_a_version_that_the_registry_lost_is_passed_over() -> None:
    assert choose_target(served(1, 2, 3), 3, known=[1, 3]) == 1


def test_the_version_asked_for_is_taken_even_if_it_never_served() -> None:
    assert choose_target(served(1, 2), 2, known=[1, 2, 3], to=3) == 3


def test_going_back_past_the_first_is_refused() -> None:
    history = served(1, 2, 3)
    for champion, target in ((3, 2), (2, 1)):
        assert choose_target(history, champion, known=[1, 2, 3]) == target
        history = [*history, Service(target, "rollback")]
    with pytest.raises(UsageError, match="no version is left"):
        choose_target(history, 1, known=[1, 2, 3])


@pytest.mark.parametrize(("champion", "to", "message"), [
    (2, 2, "serves already"), (2, 9, "no version 9; known: 1, 2"), (None, 9, "no version 9; known: 1, 2"),
])
def test_what_makes_no_sense_is_refused(champion: int | None, to: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_target(served(1, 2), champion, known=[1, 2], to=to)


@pytest.mark.parametrize("to", [None, 1])
def test_where_nobody_ever_served_there_is_nothing_to_go_back_from(to: int | None) -> None:
    with pytest.raises(UsageError, match="no champion to roll back from, and there never was one"):
        choose_target([], None, known=[1, 2], to=to)


def test_where_the_registry_has_lost_its_champion_who_served_last_comes_back() -> None:
    assert candidates(served(1, 2, 3), None, known=[1, 2, 3]) == (3, 2, 1)
    assert candidates(served(1, 2, 3), None, known=[1, 2]) == (2, 1), "its version is gone, too"
    assert choose_target(served(1, 2, 3), None, known=[1, 2], to=1) == 1


def test_all_that_could_come_back_are_named_the_last_to_serve_first() -> None:
    assert candidates(served(1, 2, 3, 2, 4), 4, known=[1, 2, 3, 4]) == (2, 3, 1)


def test_versions_in_quarantine_are_passed_over() -> None:
    assert candidates(served(1, 2, 3), 3, known=[1, 2, 3], held={2: "held"}) == (1,)
    assert choose_target(served(1, 2, 3), 3, known=[1, 2, 3], held={2: "held"}) == 1


def test_when_all_are_in_quarantine_it_is_said_why() -> None:
    with pytest.raises(UsageError, match=r"no version is left .*; version 2 is held; version 1 is held too"):
        candidates(served(1, 2, 3), 3, known=[1, 2, 3], held={1: "held too", 2: "held"})


def test_the_version_asked_for_is_refused_while_it_is_held_unless_forced() -> None:
    with pytest.raises(UsageError, match="version 1 is held by Ada; --force goes back to it all the same"):
        choose_target(served(1, 2), 2, known=[1, 2], to=1, held={1: "held by Ada"})
    assert choose_target(served(1, 2), 2, known=[1, 2], to=1, held={1: "held by Ada"}, force=True) == 1
    with pytest.raises(UsageError, match="no version 9"):
        choose_target(served(1, 2), 2, known=[1, 2], to=9, force=True)

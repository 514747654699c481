"""The champion changes by compare-and-swap; a crash is put right; a foreign hand is noticed and respected."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crashes import Died

from trimtab.act import champion as champions
from trimtab.act import database
from trimtab.act.ledger import Ledger
from trimtab.errors import ChampionError, StateError


@dataclass
class Alias:
    """A registry of which only the alias matters; flips can be made to fail before or after they happen."""

    name: str = "demo"
    version: int | None = None
    before_flip: list[BaseException] = field(default_factory=list)
    after_flip: list[BaseException] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    afterwards: list[Callable[[], object]] = field(default_factory=list)

    def champion(self) -> int | None:
        return self.version

    def set_champion(self, version: int) -> None:
        for error in self.before_flip:
            raise error
        while self.meanwhile:
            self.meanwhile.pop(0)()
        self.version = version
        for error in self.after_flip:
            raise error
        while self.afterwards:
            self.afterwards.pop(0)()

    def register(self, *_: object, **__: object) -> int:
        raise NotImplementedError

    def versions(self) -> list[object]:
        return []

    def fetch(self, version: int) -> Path:
        raise NotImplementedError


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(database.connect(f"sqlite:///{tmp_path}/ledger.db"), "demo")


@pytest.fixture
def alias(ledger: Ledger) -> Alias:
    """Version 1 serves, and the ledger knows."""
    alias = Alias()
    _change(ledger, alias, None, 1)
    return alias


def _change(ledger: Ledger, alias: Alias, expected: int | None, to: int, kind: str = "promotion") -> champions.Change:
    return champions.change(
        ledger, alias, kind=kind, expected=expected, to_version=to, run_id="run", as_of=None, by="me", why="test"
    )


def _agree(ledger: Ledger, alias: Alias, version: int | None) -> None:
    assert (ledger.succession.champion(), alias.champion()) == (version, version)
    assert ledger.succession.open_changes() == []


def test_change_moves_alias_and_ledger_together(ledger: Ledger, alias: Alias) -> None:
    change = _change(ledger, alias, 1, 2)
    assert (change.kind, change.from_version, change.to_version) == ("promotion", 1, 2)
    _agree(ledger, alias, 2)
    last = ledger.succession.changes()[-1]
    assert (last["state"], last["by"], last["why"]) == ("done", "me", "test")
    assert last["settled_at"] is not None
    assert champions.recover(ledger, alias) == []


def test_change_is_refused_when_the_alias_is_not_what_was_expected(ledger: Ledger, alias: Alias) -> None:
    alias.version = 5
    with pytest.raises(ChampionError, match="the champion is version 5, not 1 as expected; it was left alone"):
        _change(ledger, alias, 1, 2)
    assert alias.champion() == 5
    assert ledger.succession.open_changes() == []


def test_change_is_refused_when_the_ledger_is_not_what_was_expected(ledger: Ledger, alias: Alias) -> None:
    alias.version = 5    # moved by hand, and nobody has recorded it yet
    with pytest.raises(ChampionError, match="version 1, not 5"):
        _change(ledger, alias, 5, 6)
    assert alias.champion() == 5
    assert ledger.succession.open_changes() == []


def test_crash_between_intent_and_flip_is_undone_at_the_next_start(ledger: Ledger, alias: Alias) -> None:
    alias.before_flip = [Died()]
    with pytest.raises(Died):
        _change(ledger, alias, 1, 2)
    assert len(ledger.succession.open_changes()) == 1
    alias.before_flip = []
    with pytest.raises(ChampionError, match="under way"):
        _change(ledger, alias, 1, 3)
    assert champions.recover(ledger, alias) == [
        "a promotion to version 2 was cut short; it had not happened and was taken back"
    ]
    _agree(ledger, alias, 1)
    assert _change(ledger, alias, 1, 3).to_version == 3


def test_crash_between_flip_and_completion_is_finished_at_the_next_start(ledger: Ledger, alias: Alias) -> None:
    alias.after_flip = [Died()]
    with pytest.raises(Died):
        _change(ledger, alias, 1, 2, kind="rollback")
    assert ledger.succession.champion() == 1
    assert champions.recover(ledger, alias) == [
        "a rollback to version 2 was cut short; it had happened and was completed"
    ]
    _agree(ledger, alias, 2)
    assert ledger.succession.served()[-1].kind == "rollback"


def test_crash_and_a_foreign_move_after_it_are_both_told(ledger: Ledger, alias: Alias) -> None:
    alias.before_flip = [Died()]
    with pytest.raises(Died):
        _change(ledger, alias, 1, 2)
    alias.version = 9
    found = champions.recover(ledger, alias)
    assert len(found) == 2
    assert "taken back" in found[0]
    assert found[1] == "somebody else moved the champion from version 1 to 9; that is respected"
    _agree(ledger, alias, 9)


def test_registry_that_refuses_the_flip_leaves_nothing_open(ledger: Ledger, alias: Alias) -> None:
    alias.before_flip = [StateError("store.registry: gone")]
    with pytest.raises(StateError):
        _change(ledger, alias, 1, 2)
    _agree(ledger, alias, 1)


def test_registry_that_fails_after_the_flip_is_believed_about_the_alias(ledger: Ledger, alias: Alias) -> None:
    alias.after_flip = [StateError("store.registry: the answer got lost")]
    with pytest.raises(StateError):
        _change(ledger, alias, 1, 2)
    _agree(ledger, alias, 2)


@pytest.mark.parametrize("moved", [7, None], ids=["moved", "removed"])
def test_foreign_move_is_recorded_once_and_respected(ledger: Ledger, alias: Alias, moved: int | None) -> None:
    alias.version = moved
    (sentence,) = champions.recover(ledger, alias)
    assert sentence == ("somebody else moved the champion from version 1 to 7; that is respected" if moved else
                        "somebody else took the alias away from version 1; nobody serves")
    assert champions.recover(ledger, alias) == []
    _agree(ledger, alias, moved)
    last = ledger.succession.changes()[-1]
    assert (last["kind"], last["by"]) == ("foreign", "someone else")


def test_a_change_that_was_taken_back_while_its_process_stood_still_gives_way(ledger: Ledger, alias: Alias) -> None:
    alias.meanwhile = [lambda: champions.recover(ledger, alias)]
    with pytest.raises(ChampionError, match="version 2 back while it was under way; version 1 serves"):
        _change(ledger, alias, 1, 2)
    _agree(ledger, alias, 1)
    alias.meanwhile = [lambda: champions.recover(ledger, alias), lambda: _change(ledger, alias, 1, 3)]
    with pytest.raises(ChampionError, match="version 2 back while it was under way; version 3 serves"):
        _change(ledger, alias, 1, 2)
    _agree(ledger, alias, 3)
    assert champions.recover(ledger, alias) == []


def test_a_change_that_another_run_completed_is_complete(ledger: Ledger, alias: Alias) -> None:
    alias.afterwards = [lambda: champions.recover(ledger, alias)]
    assert _change(ledger, alias, 1, 2).to_version == 2
    _agree(ledger, alias, 2)


def test_of_many_promotions_at_once_exactly_one_wins(ledger: Ledger, alias: Alias) -> None:
    start, won, lost = threading.Barrier(6), [], []

    def promote(version: int) -> None:
        start.wait()
        try:
            won.append(_change(ledger, alias, 1, version).to_version)
        except ChampionError as error:
            lost.append(str(error))

    threads = [threading.Thread(target=promote, args=(version,)) for version in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 5
    _agree(ledger, alias, won[0])

"""Versions in quarantine: who is held, whom no change brings back, and what a crash leaves of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import without_number
from crashes import Died
from test_champion import Alias

from trimtab.act import champion as champions
from trimtab.act import database
from trimtab.act.ledger import Ledger
from trimtab.errors import ChampionError


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = Ledger(database.connect(url), "demo")
    yield made
    made.close()


@pytest.fixture
def alias(ledger: Ledger) -> Alias:
    """Version 2 serves, and 1 did before."""
    alias = Alias()
    change(ledger, alias, 1)
    change(ledger, alias, 2)
    return alias


def change(ledger: Ledger, alias: Alias, to: int, kind: str = "promotion", **more: bool) -> champions.Change:
    return champions.change(
        ledger, alias, kind=kind, expected=alias.version, to_version=to, run_id="run", as_of=None, by="trimtab",
        why="it lies", **more)


def test_the_version_rolled_back_from_is_held_with_who_and_why(ledger: Ledger, alias: Alias) -> None:
    change(ledger, alias, 1, "rollback", quarantine=True)
    (held,) = ledger.quarantine.held().values()
    assert (held.version, held.run_id, held.by, held.why, held.released_at) == (2, "run", "trimtab", "it lies", None)
    assert str(held) == f"in quarantine since {held.since:%Y-%m-%d %H:%M} UTC, by trimtab: it lies"


def test_an_ordinary_rollback_holds_nobody(ledger: Ledger, alias: Alias) -> None:
    change(ledger, alias, 1, "rollback")
    assert ledger.quarantine.all() == []


@pytest.mark.parametrize("kind", ["promotion", "rollback"])
def test_no_change_brings_back_a_version_that_is_held(ledger: Ledger, alias: Alias, kind: str) -> None:
    change(ledger, alias, 1, "rollback", quarantine=True)
    with pytest.raises(ChampionError, match=r"version 2 is in quarantine since .* UTC, by trimtab: it lies"):
        change(ledger, alias, 2, kind)
    assert (ledger.succession.champion(), alias.version, ledger.succession.open_changes()) == (1, 1, [])
    assert [row["state"] for row in ledger.succession.changes()] == ["done"] * 3, "what was refused left nothing"


def test_forced_back_it_leaves_quarantine_and_the_history_tells(ledger: Ledger, alias: Alias) -> None:
    change(ledger, alias, 1, "rollback", quarantine=True)
    change(ledger, alias, 2, "rollback", force=True)
    assert ledger.succession.champion() == 2
    assert ledger.quarantine.held() == {}
    (held,) = ledger.quarantine.all()
    assert (held.released_by, held.released_why) == ("trimtab", "it lies")
    assert held.released_at is not None
    assert [row["forced"] for row in ledger.succession.changes()] == [False, False, False, True]
    change(ledger, alias, 1, "rollback", quarantine=True)
    assert [(one.version, one.released_at is None) for one in ledger.quarantine.all()] == [(2, False), (2, True)]


def test_a_rollback_that_never_happened_holds_and_frees_nobody(ledger: Ledger, alias: Alias) -> None:
    alias.before_flip = [Died()]
    with pytest.raises(Died):
        change(ledger, alias, 1, "rollback", quarantine=True)
    champions.recover(ledger, alias)
    assert ledger.quarantine.all() == []
    alias.before_flip = []
    change(ledger, alias, 1, "rollback", quarantine=True)
    alias.before_flip = [Died()]
    with pytest.raises(Died):
        change(ledger, alias, 2, "rollback", force=True)
    champions.recover(ledger, alias)
    assert list(ledger.quarantine.held()) == [2]


def test_a_rollback_that_a_crash_cut_short_after_the_flip_is_completed_with_its_quarantine(
    ledger: Ledger, alias: Alias
) -> None:
    alias.after_flip = [Died()]
    with pytest.raises(Died):
        change(ledger, alias, 1, "rollback", quarantine=True)
    assert ledger.quarantine.held() == {}
    champions.recover(ledger, alias)
    champions.recover(ledger, alias)
    assert [one.version for one in ledger.quarantine.all()] == [2]


def test_a_foreign_hand_may_do_what_it_likes_and_frees_nobody(ledger: Ledger, alias: Alias) -> None:
    change(ledger, alias, 1, "rollback", quarantine=True)
    alias.version = 2
    (told,) = champions.recover(ledger, alias)
    moved = "somebody else moved the champion from version 1 to 2; that is respected"
    assert told.startswith(f"{moved}, though version 2 is in quarantine since ")
    assert told.endswith(" UTC, by trimtab: it lies")
    assert ledger.succession.champion() == 2
    assert list(ledger.quarantine.held()) == [2]


def test_versions_of_another_model_or_tenant_are_not_held(ledger: Ledger, alias: Alias) -> None:
    change(ledger, alias, 1, "rollback", quarantine=True)
    for other in (Ledger(ledger.engine, "other"), Ledger(ledger.engine, "demo", "acme")):
        assert other.quarantine.all() == []


def test_a_ledger_from_before_there_was_quarantine_is_opened_and_used(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    alias = Alias()
    older = Ledger(database.connect(url), "demo")
    change(older, alias, 1)
    with older.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE quarantine"))
        without_number(connection)
        for column in ("forced", "quarantines"):
            connection.execute(sa.text(f"ALTER TABLE champion_changes DROP COLUMN {column}"))
    older.close()
    newer = Ledger(database.connect(url), "demo")
    assert newer.succession.changes()[0]["quarantines"] is None
    change(newer, alias, 2)
    change(newer, alias, 1, "rollback", quarantine=True)
    assert list(newer.quarantine.held()) == [2]
    newer.close()

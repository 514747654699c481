"""Where does a process die? At any step that it takes in the ledger's database or with the registry's alias."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from trimtab.act.registry import ModelRegistry
from trimtab.errors import StateError


class Died(BaseException):
    """Stands for kill -9: nothing that the code under test does can run after it."""


@dataclass
class Life:
    """What a process did; it dies before it takes the step whose number is `last`, from 0 on, if it comes so far.

    Attributes
    ----------
    witness : callable
        Is told of each step.
    survives : bool
        Whether it does not die, but is told once, in the place of that step, that a database cannot be reached.
    """

    last: int | None = None
    witness: Callable[[str], None] = lambda _what: None
    survives: bool = False
    dead: bool = False
    failed: bool = False
    taken: int = 0

    def step(self, what: str) -> None:
        if self.dead or self.taken == self.last:
            if self.survives:
                self.last, self.failed = None, True
                raise StateError(f"store: gone before: {what}") if "champion " in what else OperationalError(
                    what, {}, Exception("gone"))
            self.dead = True    # also for what runs on the way out: of a process that is gone nothing does
            raise Died(f"before: {what}")
        self.taken += 1
        self.witness(what)


@contextmanager
def living(engine: sa.Engine, registry: ModelRegistry, last: int | None = None, **more: Any) -> Iterator[Life]:
    """Count every statement, every commit from both its sides, and every touch of the alias from both its sides."""
    life, roll_back = Life(last, **more), engine.dialect.do_rollback

    def _statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        life.step(" ".join(statement.split()[:3]))

    def _counted(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def _do(*args: Any) -> Any:
            life.step(f"{name} begins")
            found = work(*args)
            life.step(f"{name} is through")
            return found

        return _do

    def _rolled_back(connection: Any) -> None:
        life.witness("rolled back")    # as the database does with what a dead process had begun
        roll_back(connection)

    sa.event.listen(engine, "before_cursor_execute", _statement)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine.dialect, "do_commit", _counted("commit", engine.dialect.do_commit))
            patch.setattr(engine.dialect, "do_rollback", _rolled_back)
            for name in ("champion", "set_champion"):
                patch.setattr(registry, name, _counted(name, getattr(registry, name)))
            yield life
    finally:
        sa.event.remove(engine, "before_cursor_execute", _statement)

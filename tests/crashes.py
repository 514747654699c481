"""Where does a process die? At any step that it takes in the ledger's database or with the registry's alias."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from trimtab.act.registry import ModelRegistry


class Died(BaseException):
    """Stands for kill -9: nothing that the code under test does can run after it."""


@dataclass
class Life:
    """The steps of a process; it dies before it takes the one whose number is `last`, from 0 on, if it comes so far."""

    last: int | None
    steps: list[str] = field(default_factory=list)
    dead: bool = False

    def step(self, what: str) -> None:
        if self.dead or len(self.steps) == self.last:
            self.dead = True    # also for what runs on the way out: of a process that is gone nothing does
            raise Died(f"before: {what}")
        self.steps.append(what)


@contextmanager
def living(engine: sa.Engine, registry: ModelRegistry, last: int | None = None) -> Iterator[Life]:
    """Count every statement, every commit from both its sides, and every touch of the alias from both its sides."""
    life = Life(last)

    def _statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        life.step(" ".join(statement.split()[:3]))

    def _counted(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def _do(*args: Any) -> Any:
            life.step(f"{name} begins")
            found = work(*args)
            life.step(f"{name} is through")
            return found

        return _do

    sa.event.listen(engine, "before_cursor_execute", _statement)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine.dialect, "do_commit", _counted("commit", engine.dialect.do_commit))
            for name in ("champion", "set_champion"):
                patch.setattr(registry, name, _counted(name, getattr(registry, name)))
            yield life
    finally:
        sa.event.remove(engine, "before_cursor_execute", _statement)

"""How is an answer written on a terminal, for a person or a program?"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from trimtab.plain import plain
from trimtab.text import escaped, visible

_LONGEST_CELL = 400
_PLAIN_WIDTH = 180    # of a table that goes to a file or a pipe, where COLUMNS does not say otherwise


def say(sentence: str) -> None:
    """Tell a person a sentence, beside what is printed."""
    print(f"trimtab: {visible(sentence)}", file=sys.stderr)


def show(line: str) -> None:
    """Print one line, in which nothing makes a terminal do anything."""
    print(visible(line))


def show_json(value: Any) -> None:
    """Print an object as one line, whole, and just as harmless."""
    print(escaped(json.dumps(value, ensure_ascii=False)))


def show_table(title: str, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    """Print rows as a table with these columns; what is too wide for its column goes on below, and is never cut."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    columns = [Column(name, overflow="fold") for name in names]
    shown = Table(*columns, title=title, title_justify="left", box=box.SIMPLE)
    for row in rows:
        shown.add_row(*[escape(_cell(row.get(name))) for name in names])
    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if told else _PLAIN_WIDTH).print(shown)


def tell(
    result: dict[str, Any], report: Path | None, because: Sequence[str] = (), obstacles: Sequence[str] = ()
) -> None:
    """The outcome in a few lines for a person; with the reasons of the verdict, and of what blocked retraining."""
    decision, guard = result["decision"], result["guard"]
    before, after = result["champion_before"], result["champion_after"]
    who = result["model"] + (f"@{result['tenant']}" if result["tenant"] else "")
    what = f"{who}: {result['pipeline']} as of {result['as_of']}"
    show(f"{what}: {result['status']} in {result['seconds']} s")
    if decision:
        asks = "retrain" if decision["needs_retrain"] else "no retraining needed"
        show(f"  decision: {asks} (severity {decision['severity']})")
        for reason in decision["reasons"]:
            show(f"    - {reason}")
    if guard and not guard["allowed"] and decision["needs_retrain"]:
        show(f"  blocked by: {', '.join(guard['blocked_by'])}")
        for obstacle in obstacles:
            show(f"    - {obstacle}")
    if result["verdict"]:
        show(f"  verdict: {result['verdict']}")
        for reason in because:
            show(f"    - {reason}")
    unknown = result.get("champion_unknown")
    known = _version(before) + ("" if before == after else f" -> {_version(after)}")
    show(f"  champion: {known if unknown is None else f'unknown ({unknown})'}")
    if report:
        show(f"  report: {report}")


def tell_answer(result: dict[str, Any], reading: str, params: Path) -> None:
    """What a person's answer did, in one sentence, with the way back where there is one."""
    before, after = result["champion_before"], result["champion_after"]
    back = f"trimtab run rollback -p {shlex.quote(str(params))} --to {before}"
    show(reading if before in {None, after} else f"{reading.removesuffix('.')}; to go back: {back}")


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    line = escaped(" ".join(str(plain(value))[:2 * _LONGEST_CELL].split()))
    return line if len(line) <= _LONGEST_CELL else f"{line[: _LONGEST_CELL - 1]}…"

"""How do figures of a benchmark look in docs/benchmarks.md?"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [[str(cell) for cell in row] for row in (head, ["---"] * len(head), *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def prose(text: str) -> str:
    """A paragraph, broken into lines."""
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def bar(what: str, wanted: str, measured: str, *, met: bool) -> dict[str, str]:
    """A bar beside what was measured; whether it is met follows from the figures."""
    return {"bar": what, "wanted": wanted, "measured": measured, "verdict": "met" if met else "missed"}


def bars(found: Iterable[dict[str, str]]) -> str:
    """Bars as a table."""
    names = ("bar", "wanted", "measured", "verdict")
    return table(names, ([one[name] for name in names] for one in found))

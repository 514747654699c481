"""A whole run over records that are made to do harm: what they hold is text wherever it is shown."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from conftest import BINARY, binary_table, merged

from trimtab.run.preflight import Request
from trimtab.run.runner import run

HARM = (
    "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>\x1b[31m $\\frac{1$ "
    "`[a](javascript:alert(3))` ../../x\n# h"
)
COLUMN, LONG = f"kind {HARM}", "y" * 1_000_000
ALIVE = {"script", "iframe", "object", "embed", "form", "base", "link", "svg"}


class _Page(HTMLParser):
    """What in a page could do something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        target = str(values.get("href") or values.get("src") or "").strip().lower()
        if tag in ALIVE or any(name.startswith("on") for name in values):
            self.found.append(f"<{tag} {values}>")
        if target.startswith(("javascript:", "http:", "https:", "//")) or (tag == "img" and target[:5] != "data:"):
            self.found.append(target[:80])


def _harmful(path: Path) -> list[str]:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page.found


def _hostile(project: Callable[..., Path]) -> Path:
    table = binary_table(900, shift=2.0)
    late = np.arange(len(table)) >= 700
    rng = np.random.default_rng(1)
    table[COLUMN] = table["kind"].replace({"a": HARM, "b": LONG}).where(~late, f"new {HARM}")
    table["note"] = rng.choice(["ordinary words", HARM, f"{HARM} more"], len(table))
    table["site"] = table["site"].replace({"north": HARM})
    table["y"] = np.where(table["y"], HARM, "no & <b>")
    table.loc[table.index[::3], "z"] = np.nan
    data = {"categorical": [COLUMN], "text": ["note"], "segments": ["site"], "numeric": ["x", "z"], "positive": HARM}
    return project(merged(BINARY, data=data, guardrails={"min_records": 50}, alerts={"urls": ["json://localhost:9"]}),
                   table)


def _pages(home: Path) -> list[Path]:
    return sorted((home / "runs").rglob("*.html"))


def test_records_that_hold_markup_escapes_and_a_megabyte_are_shown_as_text(
    project: Callable[..., Path], home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = run(Request(pipeline="drift", params=_hostile(project), progress=False))
    assert outcome.error is None
    pages = _pages(home)
    assert len(pages) >= 4
    assert {str(path.name): _harmful(path) for path in pages} == {path.name: [] for path in pages}
    assert any("alert(3)" in path.read_text() for path in pages)    # it is there, as text
    assert all(path.stat().st_size < 5_000_000 for path in pages)
    ledger = sa.create_engine(f"sqlite:///{home}/.trimtab/ledger.db")
    with ledger.connect() as connection:
        told = [*connection.execute(sa.text("SELECT title || body FROM outbox")).scalars()]
    assert told
    assert all("\x1b" not in text and len(text) < 5000 for text in told)
    seen = capfd.readouterr()
    assert "\x1b" not in seen.out + seen.err
    assert len(json.dumps(outcome.result)) < 20_000
    _open_in_a_browser(pages)


def _open_in_a_browser(pages: list[Path]) -> None:
    """Where there is one: nothing in a page runs, even without the policy that forbids it."""
    browser = shutil.which("chromium")
    if browser is None:
        return
    for page in pages:
        text = page.read_text()
        assert "Content-Security-Policy" in text
        bare = page.with_name(f"bare-{page.name}")
        bare.write_text(text.replace("Content-Security-Policy", "x-none"))
        done = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", bare.as_uri()],
            capture_output=True, text=True, timeout=60, check=False)
        assert "</body>" in done.stdout
        assert "<title>owned" not in done.stdout

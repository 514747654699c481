"""Messages reach a real HTTP endpoint, and a dead one harms nothing."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from conftest import BINARY, binary_table, merged

from trimtab.act.alerts import send
from trimtab.errors import StepError
from trimtab.run.pipelines import PIPELINES
from trimtab.run.preflight import Request
from trimtab.run.runner import run

SECRET = "correct-horse-battery"


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[dict[str, str]]]]:
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/hook", received
    server.shutdown()
    server.server_close()


def test_message_arrives_as_plain_text(endpoint: tuple[str, list[dict[str, str]]]) -> None:
    url, received = endpoint
    assert send([url], title="demo: promoted", body="version 1 -> version 2 <b>") is None
    assert received[0]["title"] == "demo: promoted"
    assert "version 2 <b>" in received[0]["message"]


def test_unreachable_address_is_reported_without_being_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    problem = send([f"json://user:secret@127.0.0.1:{port}/hook"], title="t", body="b")
    assert problem is not None
    assert "secret" not in problem
    assert "127.0.0.1" not in problem


def test_address_that_nobody_understands_is_reported() -> None:
    assert send(["no-such-scheme://x"], title="t", body="b") == "1 of 1 alert addresses are not understood"


def test_run_tells_how_it_ended_once_without_secrets_and_a_dry_run_is_silent(
    endpoint: tuple[str, list[dict[str, str]]], project: Callable[..., Path], home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def _fail(_run: object) -> None:
        raise StepError(f"the token {SECRET} was refused")

    url, received = endpoint
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.setitem(PIPELINES, "baseline", _fail)
    tree = merged(BINARY, alerts={"urls": [f"{url}/${{TOKEN}}"]})
    params = project(tree, binary_table(300))
    for dry_run in (True, False):
        run(Request(pipeline="baseline", params=params, progress=False, dry_run=dry_run))
    (message,) = received
    assert message["title"] == "demo: baseline failed"
    assert "the token ${TOKEN} was refused" in message["message"]
    written = [path.read_text() for path in home.rglob("*.json") if path.name == "run.json"]
    assert len(written) == 2
    assert all("${TOKEN} was refused" in text and SECRET not in text for text in (*written, str(message)))


def test_no_address_sends_nothing() -> None:
    assert send([], title="t", body="b") is None

"""Messages reach real mail servers over TLS and a real web endpoint; those down, slow or refusing harm nothing."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from conftest import BINARY, binary_table, free_port, merged

from trimtab.act import estimators, tables
from trimtab.act import outbox as outboxes
from trimtab.act.alerts import Courier, Fallback, deliver
from trimtab.act.database import connect
from trimtab.act.ledger import Ledger
from trimtab.act.outbox import Outbox, Posted
from trimtab.decide.alerts import Message
from trimtab.errors import DataError, StateError, StepError, UsageError
from trimtab.run.pipelines import PIPELINES
from trimtab.run.preflight import Request
from trimtab.run.runner import run

PROGRAM = Path(sys.executable).with_name("trimtab")
SECRET = "correct-horse-battery"
MARKUP = "<script>alert(1)</script> [a](http://b) *c* & d"


class Mailbox:
    """What a mail server took, and what it answers."""

    def __init__(self, answer: str) -> None:
        self.answer, self.received = answer, []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.received.append((envelope.mail_from, envelope.content, session.ssl is not None))
        return self.answer


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that this process trusts, and no other."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return made


class _Quiet(Controller):
    def _trigger_server(self) -> None:
        """Knock, and say nothing: an exchange would have to be encrypted, and its client to know the certificate."""
        socket.create_connection((self.hostname, self.port)).close()


@contextmanager
def _mail(authority: trustme.CA | None, mode: str, answer: str = "250 OK", host: str = "localhost") -> Iterator[Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if authority is not None:
        authority.issue_cert(host).configure_cert(context)
    settings: dict[str, Any] = {"ssl_context": context} if mode == "ssl" else {}
    if mode == "starttls":
        settings |= {"tls_context": context, "require_starttls": True}
    box, port = Mailbox(answer), free_port()
    server = _Quiet(box, hostname="127.0.0.1", port=port, **settings)
    server.start()
    try:
        secure = "ssl" if mode == "ssl" else "starttls"
        yield f"mailtos://localhost:{port}?smtp=localhost&from=a@example.org&to=b@example.org&mode={secure}", box
    finally:
        server.stop()


@contextmanager
def _endpoint(
    answer: int = 200, wait: threading.Event | None = None, leads_to: str | None = None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if wait:
                wait.wait(20)
            self.send_response(answer)
            if leads_to:
                self.send_header("Location", leads_to.replace("json:", "http:"))
            self.end_headers()

        def do_GET(self) -> None:    # what a POST becomes that follows a redirect
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/hook", received
    finally:
        if wait:
            wait.set()
        server.shutdown()
        server.server_close()


def _told(url: str) -> bool:
    return deliver(url, kind="failed", title=f"demo: {MARKUP}", body=MARKUP)


@pytest.mark.parametrize("mode", ["starttls", "ssl"])
def test_mail_arrives_over_tls_with_all_text_as_text(authority: trustme.CA, mode: str) -> None:
    """P07, B21."""
    with _mail(authority, mode) as (url, box):
        assert _told(url)
    ((sender, content, encrypted),) = box.received
    assert sender == "a@example.org"
    assert encrypted or mode == "ssl"    # implicit TLS: there is no other way in
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert str(mail["Subject"]).startswith("demo: <script>")
    assert [part.get_content_type() for part in mail.walk()] == ["text/plain"]    # nothing in it is a page
    assert mail.get_content().strip() == MARKUP


@pytest.mark.parametrize("mode", ["starttls", "ssl"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_server_with_a_certificate_that_nobody_vouches_for_gets_no_mail(mode: str) -> None:
    with _mail(trustme.CA(), mode) as (url, box):
        assert not _told(url)
    assert box.received == []


def test_server_with_the_certificate_of_another_host_gets_no_mail(authority: trustme.CA) -> None:
    with _mail(authority, "ssl", host="example.org") as (url, box):
        assert not _told(url)
    assert box.received == []


def test_server_that_cannot_encrypt_gets_no_mail() -> None:
    with _mail(None, "plain") as (url, box):
        assert not _told(url)
    assert box.received == []


@pytest.mark.parametrize("answer", ["550 no such user", "451 try again later"])
def test_mail_that_is_refused_has_not_arrived(authority: trustme.CA, answer: str) -> None:
    with _mail(authority, "starttls", answer) as (url, _):
        assert not _told(url)


@pytest.mark.parametrize(("answer", "taken"), [(200, True), (204, True), (500, False), (403, False)])
def test_endpoint_has_a_message_when_it_says_so(answer: int, taken: bool) -> None:
    with _endpoint(answer) as (url, received):
        assert _told(url) is taken
    assert received[0]["message"] == MARKUP
    assert received[0]["type"] == "failure"


@pytest.mark.parametrize("answer", [301, 302, 303, 307, 308])
def test_endpoint_that_sends_elsewhere_has_not_taken_a_message(outbox: Outbox, tmp_path: Path, answer: int) -> None:
    with _endpoint() as (other, elsewhere), _endpoint(answer, leads_to=other) as (url, received):
        posted, (said,) = _sent(outbox, tmp_path, url)
    assert (posted.state, posted.taken, len(received), elsewhere) == ("waiting", (), 1, [])
    assert "not delivered" in said
    assert _log(tmp_path)[0]["title"] == "demo: drift failed"


@pytest.mark.parametrize("scheme", ["json", "mailtos", "no-such-scheme"])
def test_nobody_listening_or_an_address_that_nobody_understands_is_a_message_not_taken(
    scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not _told(f"{scheme}://user:{SECRET}@localhost:{free_port()}?from=a@b.org&to=a@b.org")
    seen = capfd.readouterr()
    assert seen.out + seen.err == ""


# -- the courier -----------------------------------------------------------------------------------------------------


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(connect(f"sqlite:///{tmp_path}/ledger.db"), "demo")


def _sent(outbox: Outbox, folder: Path, *urls: str, patience: float = 5.0) -> tuple[Posted, list[str]]:
    outbox.put("r1", [Message("failed", "demo: drift failed", ("number",), "nothing")])
    said: list[str] = []
    courier = Courier(outbox, urls, Fallback(folder / "alerts.log", said.append))
    courier.send()
    courier.finish(patience)
    return outbox.all()[0], said


def _log(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "alerts.log").read_text().splitlines()]


def _wait_no_longer(outbox: Outbox) -> None:
    with outbox.engine.begin() as connection:
        connection.execute(tables.outbox.update().values(next_try_at=tables.outbox.c.created_at))


def test_message_goes_to_every_address_and_again_only_to_those_that_did_not_take_it(
    outbox: Outbox, tmp_path: Path
) -> None:
    with _endpoint() as (good, received), _endpoint(500) as (refusing, refused), _endpoint() as (mended, later):
        posted, said = _sent(outbox, tmp_path, good, refusing, f"json://localhost:{free_port()}")
        assert (posted.state, posted.taken) == ("waiting", (0,))
        assert said == []    # somebody knows
        _wait_no_longer(outbox)
        posted, _ = _sent(outbox, tmp_path, good, mended, mended)
    assert (posted.state, posted.attempts) == ("sent", 2)
    assert (len(received), len(refused), len(later)) == (1, 1, 2)
    assert received[0]["message"].endswith("(r1:failed)")


def test_where_nobody_takes_it_the_message_is_in_the_log_once_and_waits(outbox: Outbox, tmp_path: Path) -> None:
    with _endpoint(500) as (refusing, _):
        posted, (said,) = _sent(outbox, tmp_path, refusing)
        _wait_no_longer(outbox)
        again, later = _sent(outbox, tmp_path, refusing)
    assert (posted.state, posted.problem) == ("waiting", "1 of 1 addresses did not take it")
    assert "alerts.log" in said
    assert "127.0.0.1" not in said
    assert (again.attempts, later) == (2, [])
    (line,) = _log(tmp_path)
    assert line["title"] == "demo: drift failed"
    assert (tmp_path / "alerts.log").stat().st_mode & 0o077 == 0


def test_address_that_never_answers_holds_up_neither_the_run_nor_the_others(outbox: Outbox, tmp_path: Path) -> None:
    """P07."""
    with _endpoint(wait=threading.Event()) as (slow, _), _endpoint() as (good, received):
        started = time.perf_counter()
        posted, _ = _sent(outbox, tmp_path, slow, good, patience=1.5)
        took = time.perf_counter() - started
    assert took < 3.0    # its patience, and as long again for a busy machine
    assert len(received) == 1
    assert (posted.state, posted.taken) == ("waiting", (1,))


def test_mail_server_that_accepts_and_never_speaks_holds_up_nothing(outbox: Outbox, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"mailtos://localhost:{mute.getsockname()[1]}?smtp=localhost&from=a@b.org&to=a@b.org&mode=starttls"
        posted, (said,) = _sent(outbox, tmp_path, url, patience=0.5)
    assert posted.state == "waiting"
    assert "not delivered" in said


def test_message_that_is_given_up_is_said_so(outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "GIVEN_UP", timedelta(0))
    with _endpoint(500) as (refusing, _):
        posted, (said,) = _sent(outbox, tmp_path, refusing)
    assert posted.state == "given_up"
    assert "given up" in said
    assert "given up" in _log(tmp_path)[0]["problem"]


def test_log_that_cannot_be_written_is_said_so(outbox: Outbox, tmp_path: Path) -> None:
    (tmp_path / "alerts.log").mkdir()
    with _endpoint(500) as (refusing, _):
        _, (said,) = _sent(outbox, tmp_path, refusing)
    assert "alerts.log cannot be written" in said


# -- whole runs ------------------------------------------------------------------------------------------------------

Project = Callable[..., Path]


def _fail(_run: object) -> None:
    raise StepError(f"the token {SECRET} was refused")


def test_run_tells_how_it_failed_once_without_secrets_and_a_dry_run_is_silent(
    project: Project, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P07."""
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.setitem(PIPELINES, "baseline", _fail)
    with _endpoint() as (url, received):
        params = project(merged(BINARY, alerts={"urls": [f"{url}/${{TOKEN}}"]}), binary_table(300))
        for dry_run in (True, False, False):
            run(Request(pipeline="baseline", params=params, progress=False, dry_run=dry_run))
    (message,) = received    # the second failure came within a day
    assert message["title"] == "demo: baseline failed"
    assert "the token ${TOKEN} was refused" in message["message"]
    assert f"TRIMTAB_HOME={home} {PROGRAM} run baseline -p {params}" in message["message"]
    ledger = Ledger(connect(f"sqlite:///{home}/.trimtab/ledger.db"), "demo")
    assert [(one.kind, one.state) for one in ledger.outbox.all()] == [("failed", "held"), ("failed", "sent")]
    written = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert all(SECRET.encode() not in content for content in written)


def test_ledger_that_takes_no_message_fails_no_run_and_the_message_is_in_the_log(
    project: Project, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def _full(*_: object, **__: object) -> None:
        raise StateError("store.ledger: cannot be written: disk full")

    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.setitem(PIPELINES, "baseline", _fail)
    monkeypatch.setattr(Outbox, "put", _full)
    params = project(merged(BINARY, alerts={"urls": ["json://localhost:9/${TOKEN}"]}), binary_table(300))
    outcome = run(Request(pipeline="baseline", params=params, progress=False))
    assert outcome.error == "the token ${TOKEN} was refused"
    assert "demo: baseline failed" in (home / ".trimtab" / "alerts.log").read_text()
    assert SECRET not in capfd.readouterr().err


def test_run_that_died_is_told_of_by_the_next_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with _endpoint() as (url, received):
        params = project(merged(BINARY, alerts={"urls": [url]}), binary_table(300))
        child = os.fork()
        if not child:    # a run that is killed at its first step
            PIPELINES["baseline"] = lambda _run: os._exit(9)
            estimators.check = lambda *_: None    # type: ignore[assignment]  # the warm server is its parent's
            try:
                run(Request(pipeline="baseline", params=params, progress=False))
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        monkeypatch.setitem(PIPELINES, "baseline", lambda _run: None)
        run(Request(pipeline="baseline", params=params, progress=False))
    assert [message["title"] for message in received] == ["demo: baseline died"]


def test_run_that_cannot_start_is_told_of_once_a_day_and_a_typing_error_is_not(project: Project, home: Path) -> None:
    with _endpoint() as (url, received):
        params = project(merged(BINARY, alerts={"urls": [url]}), binary_table(300))
        request = Request(pipeline="drift", params=params, progress=False)
        with pytest.raises(UsageError):
            run(replace(request, as_of="soon"))
        for path in params.parent.glob("*.parquet"):
            path.unlink()
        with pytest.raises(DataError):
            run(replace(request, dry_run=True))
        for _ in range(2):
            with pytest.raises(DataError):
                run(request)
    (message,) = received
    assert message["title"] == "demo: drift could not start"
    again = f"mend that, and run it again: TRIMTAB_HOME={home} {PROGRAM} run drift -p {params}"
    assert again in message["message"]


def test_command_that_an_alert_recommends_works_wherever_it_is_typed(
    project: Project, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PIPELINES, "baseline", _fail)
    with _endpoint() as (url, received):
        params = project(merged(BINARY, alerts={"urls": [url]}), binary_table(300))
        run(Request(pipeline="baseline", params=params, progress=False))
    ledger = Ledger(connect(f"sqlite:///{home}/.trimtab/ledger.db"), "demo")
    (posted,) = ledger.outbox.all()
    told = re.search(r"again: (.+) run baseline -p (\S+)\. ", posted.body)
    assert told is not None
    elsewhere = {name: value for name, value in os.environ.items() if name not in {"TRIMTAB_HOME", "PATH"}}
    done = subprocess.run(    # another harmless command, said in the same way
        f"{told[1]} history -p {told[2]} --json", shell=True, cwd=tmp_path, env=elsewhere, capture_output=True,
        text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert posted.run_id in done.stdout
    assert len(received) == 1


def test_run_that_finds_no_ledger_is_in_the_log(project: Project, home: Path) -> None:
    params = project(merged(BINARY, alerts={"urls": ["json://localhost:9"]}), binary_table(300))
    (home / ".trimtab").mkdir(exist_ok=True)
    (home / ".trimtab" / "ledger.db").write_text("no database")
    with pytest.raises(StateError, match=r"store\.ledger"):
        run(Request(pipeline="baseline", params=params, progress=False))
    assert "store.ledger" in (home / ".trimtab" / "alerts.log").read_text()


def test_every_event_of_a_models_life_arrives_once_by_mail(project: Project, authority: trustme.CA) -> None:
    """P07: before and after an update."""
    ages = [{"signal": "model_age", "at_least": 0, "severity": "high"}]
    loose = {"criteria": [{"metric": "roc_auc", "max_drop": 0.5}]}
    asking = '[{metric: roc_auc, floor: 0.9999, otherwise: approve}]'
    with _mail(authority, "starttls") as (url, box):
        tree = merged(BINARY, alerts={"urls": [url]}, triggers=ages, promotion=loose, guardrails={"cooldown": "0d"})
        params = project(tree, binary_table(2000))
        for pipeline, as_of, how, extra in (
            ("baseline", "2024-03-15", (), {}),
            ("retrain", "2024-04-10", (), {}),
            ("rollback", "2024-04-10", (), {"by": "Ada", "why": "to try"}),
            ("retrain", "2024-05-10", (f"promotion.criteria={asking}",), {}),
        ):
            outcome = run(Request(pipeline=pipeline, params=params, as_of=as_of, progress=False, overrides=how,
                                  extra=extra))
            assert outcome.error is None
    mails = [email.message_from_bytes(content, policy=email.policy.default) for _, content, _ in box.received]
    assert [str(mail["Subject"]) for mail in mails] == [
        "demo: version 1 promoted, nobody served before",
        "demo: retraining started",
        "demo: retraining finished: promote",    # that version 2 was promoted is the second of its kind in a day
        "demo: drift of severity high, retraining is asked for",
        "demo: rolled back from version 2 to version 1",
        "demo: approval needed to promote version 3",
    ]
    told = [mail.get_content() for mail in mails]
    assert "by Ada: to try" in told[4]
    assert f"--by WHO --why TEXT -p {params}" in told[5]
    assert all(encrypted for *_, encrypted in box.received)

"""Secrets in every key of params that may carry one: however a run ends, nothing that is written or told has them."""

from __future__ import annotations

import base64
import html
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml
from conftest import BINARY, binary_table, merged
from sklearn.linear_model import LogisticRegression

from trimtab.run import cli, notebooks
from trimtab.run.preflight import Request
from trimtab.run.runner import run

TESTS = Path(__file__).parent
TRIMTAB = Path(sys.executable).with_name("trimtab")
SECRETS = {
    "TABLE": "planted-table 1+1.parquet",
    "PASSWORD": 'planted"p&ss<w>rd\\é',
    "HOOK": "json://me:planted-hook@127.0.0.1:9/planted-path",
    "TOKEN": "planted/t+ken=='quoted'",
}
OVERRIDE = "planted-override"
WRITTEN = "planted-written"


class Telling(LogisticRegression):
    """A model that tells the token it is given, and fails where it is asked to."""

    def __init__(self, token: str = "", fails: bool = False, C: float = 1.0) -> None:  # noqa: N803 -- as scikit-learn wants it
        super().__init__(C=C)
        self.token, self.fails = token, fails

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Telling:  # noqa: N803 -- as scikit-learn names it
        """Fit, and tell."""
        print(f"fitting with {self.token}")
        if self.fails:
            raise ValueError(f"the token {self.token} was refused")
        super().fit(X, y, sample_weight)
        return self


def _forms(secret: str) -> Iterator[bytes]:
    """A secret as it is, and as URLs, JSON, HTML, Python and base64 write it."""
    written = json.dumps(secret)[1:-1]
    plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), written, json.dumps(written)[1:-1],
             json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret), html.escape(secret, quote=False),
             repr(secret)[1:-1]}
    for form in plain:
        yield form.encode()
    for shift in range(3):    # in the middle of something longer, too, whatever it begins with
        coded = base64.b64encode(b"x" * shift + secret.encode())
        yield coded[4 * (shift > 0):-4]


def _leaks(place: Path, told: str) -> list[str]:
    found = []
    texts = {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()} | {"said": told.encode()}
    for secret in (*SECRETS.values(), OVERRIDE, WRITTEN):
        for form in _forms(secret):
            found += [f"{path}: {form.decode()}" for path, text in texts.items() if form in text]
    return found


Planted = Callable[..., Path]


@pytest.fixture
def planted(fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """Write params with secrets, beside the home that is searched."""
    shutil.copytree(fresh_home, tmp_path / "home")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    def _write(**changes: Any) -> Path:
        binary_table(1500).to_parquet(tmp_path / SECRETS["TABLE"])
        base = merged(BINARY, alerts={"urls": ["${HOOK}"]}, data={"table": "${TABLE}"}, as_of="2024-03-01",
                      triggers=[{"signal": "model_age", "at_least": 0, "severity": "high"}])
        (tmp_path / "demo.yaml").write_text(yaml.safe_dump(merged(base, **changes)))
        return tmp_path / "demo.yaml"

    return _write


def _trimtab(params: Path, *words: str) -> tuple[int, str]:
    """What a command ends with and tells, in a process of its own."""
    done = subprocess.run([TRIMTAB, *words, "-p", params], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    """The same in this process, with the kernels that all tests share."""

    def _type(params: Path, *words: str) -> tuple[int, str]:
        codes: list[int] = []
        monkeypatch.setattr(cli, "_leave", codes.append)
        monkeypatch.setattr(sys, "argv", ["trimtab", *words, "-p", str(params)])
        cli.main()
        (code,), told = codes, capfd.readouterr()
        return code, told.out + told.err

    return _type


def _holds_none(params: Path, told: str) -> None:
    found = _leaks(params.parent / "home", told)
    assert not found, "\n".join(found)


def test_nothing_that_a_loop_leaves_holds_a_secret(
    planted: Planted, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = planted()
    told = ""
    monkeypatch.setenv("TRIMTAB_ALERTS__URLS", f"[json://me:{WRITTEN}@127.0.0.1:9/x]")
    for command, *words in (
        (typed, "run", "baseline", "--as-of", "2024-02-20"),
        (_trimtab, "run", "retrain", "--as-of", "2024-04-15",
         "--set", f"alerts.urls=[json://{OVERRIDE}@127.0.0.1:9/x]"),
        (typed, "run", "rollback", "--as-of", "2024-04-16", "--by", f"Eve ({SECRETS['TABLE']})",
         "--why", f"whoever knows json://me:{WRITTEN}@127.0.0.1:9/x and {SECRETS['TABLE']} may"),
        (typed, "history"), (typed, "signals"), (typed, "models"), (typed, "history", "--json"),
        (typed, "verify", "--json"), (typed, "approvals"),
    ):
        code, said = command(params, *words)
        assert code == 0, said
        told += said
    assert "Eve (" in told
    _holds_none(params, told)


@pytest.mark.parametrize(("fails", "words"), [(True, "the token ${TOKEN} was refused"), (False, "holds the value of")])
def test_estimator_that_tells_or_keeps_a_secret_fails_the_run_and_leaves_none(
    planted: Planted, typed: Typed, fails: bool, words: str
) -> None:
    params = planted(estimator={
        "class": "test_secrets.Telling", "params": {"token": "${TOKEN}", "fails": fails}, "trusted": ["test_secrets"]})
    code, told = typed(params, "run", "baseline", "--json")
    assert code == 4
    assert words in told
    _holds_none(params, told)
    (book,) = params.parent.glob("home/runs/demo/*/01_baseline.ipynb")
    assert "fitting with ${TOKEN}" in book.read_text(), "what a fit prints is in the notebook, without secrets"


UNREACHABLE: dict[str, dict[str, Any]] = {
    "data.connect": {"data": {"connect": f"postgresql://me:{WRITTEN}@127.0.0.1:9/${{HOOK}}"}},
    "data.table": {"data": {"table": "${HOOK}/${PASSWORD}.parquet"}},
    "store.ledger": {"store": {"ledger": f"postgresql+psycopg://me:{WRITTEN}@127.0.0.1:9/${{PASSWORD}}"}},
    "store.registry": {"store": {"registry": "http://me:${PASSWORD}@127.0.0.1:9"}},
    "estimator.class": {"estimator": {"class": "nowhere.${TOKEN}"}},
    "windows": {"windows": {"current": {"last": "${PASSWORD}"}}},
}


@pytest.mark.parametrize("key", UNREACHABLE)
def test_refusal_tells_no_secret(planted: Planted, typed: Typed, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    params = planted(**UNREACHABLE[key])
    code, told = typed(params, "run", "baseline", "--json")
    assert code == 2, told
    _holds_none(params, told)


def test_records_that_are_gone_by_the_time_of_the_notebook_leave_no_secret(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    params, real = planted(), notebooks.execute

    def _without_records(*args: Any, **settings: Any) -> None:
        (params.parent / SECRETS["TABLE"]).unlink()
        real(*args, **settings)

    monkeypatch.setattr(notebooks, "execute", _without_records)
    outcome = run(Request(pipeline="baseline", params=params, progress=False))
    assert outcome.exit_code != 0
    _holds_none(params, f"{outcome} {capfd.readouterr()}")


@pytest.mark.parametrize("name", ["kills_its_kernel", "tells_all"])
def test_notebook_that_tells_or_whose_kernel_is_killed_leaves_no_secret(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    (tmp_path / "books").mkdir()
    shutil.copy(TESTS / "notebooks" / f"{name}.ipynb", tmp_path / "books" / "01_baseline.ipynb")
    monkeypatch.setattr(notebooks, "folder", lambda: tmp_path / "books")
    params = planted(alerts={"urls": ["${HOOK}", "json://127.0.0.1:9/${PASSWORD}/${TOKEN}"]})
    outcome = run(Request(pipeline="baseline", params=params, progress=False))
    assert outcome.exit_code == 4
    _holds_none(params, f"{outcome} {capfd.readouterr()}")


def test_whichever_step_fails_and_tells_all_leaves_no_secret(
    planted: Planted, typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each step of a model's life fails once, is looked at, and then goes on as it was meant to."""
    criteria = [{"metric": "roc_auc", "min_gain": 0.5, "otherwise": "approve"}]
    params = planted(guardrails={"cooldown": "0h"}, promotion={"criteria": criteria},
                     alerts={"urls": ["${HOOK}", "json://127.0.0.1:9/${PASSWORD}/${TOKEN}"]})
    real, books, told = notebooks.folder(), tmp_path / "books", ""

    def _go(*words: str, failing: str = "") -> str:
        nonlocal told
        shutil.rmtree(books, ignore_errors=True)
        shutil.copytree(real, books)
        if failing:
            book, teller = (json.loads(path.read_text()) for path in (
                books / f"{failing}.ipynb", TESTS / "notebooks" / "tells_all.ipynb"))
            named = next(place for place, cell in enumerate(book["cells"]) if cell["metadata"].get("tags"))
            book["cells"][named + 1:] = teller["cells"][2:]    # it keeps its parameters
            (books / f"{failing}.ipynb").write_text(json.dumps(book))
        monkeypatch.setattr(notebooks, "folder", lambda: books)
        code, said = typed(params, *words)
        assert code == (4 if failing else 0), said
        assert failing in said
        told += said
        return said

    retrain = ("run", "retrain", "--as-of", "2024-04-15")
    _go("run", "baseline", "--as-of", "2024-02-20")
    _go("run", "drift", "--as-of", "2024-04-15", failing="02_drift_analysis")
    _go(*retrain, failing="03_retrain")
    _go(*retrain, failing="04_evaluate_and_promote")
    asked = json.loads(next(line for line in _go(*retrain, "--json").splitlines() if line.startswith("{")))
    assert asked["verdict"] == "needs_approval"
    answer = ("approve", asked["run_id"], "--by", "Eve", "--why", f"{SECRETS['TABLE']} says so")
    _go(*answer, failing="06_approval")
    _go(*answer)
    _go("run", "rollback", "--check", "--as-of", "2024-04-16", failing="07_watch")
    _go("run", "rollback", "--by", "Eve", "--why", "it is late", "--as-of", "2024-04-16", failing="05_rollback")
    _holds_none(params, told)

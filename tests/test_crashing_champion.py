"""A champion that crashes or hangs where it is asked is taken back all the same, by hand and by the watch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_watching import LATER, PROMOTED, first, params

import trimtab as tt
from trimtab.act import champion as champions
from trimtab.run import lifecycle, watching

__all__ = ["first", "params"]    # fixtures
TRIMTAB = Path(sys.executable).with_name("trimtab")


@pytest.fixture
def flag(params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file by which version 2, which serves, is told to misbehave."""
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    where = tmp_path / "flag"
    session = tt.open(params, run_id="crashing", overrides={
        "estimator.class": "crashing.Crashing", "estimator.params": {"flag": str(where)},
        "estimator.trusted": ["sklearn", "crashing"]})
    version = lifecycle.train(session, None).version
    champions.change(session.ledger, session.registry, kind="promotion", expected=1, to_version=version,
                     run_id="crashing", as_of=PROMOTED, by="me", why="a test")
    session.close()
    return where


@pytest.mark.parametrize(("how", "words", "verdict"), [
    ("crash", (), None), ("leave", ("--to", "1"), None), ("hang", (), None),
    ("crash", ("--check",), "rolled_back"), ("hang", ("--check",), "rolled_back"),
])
def test_champion_that_ends_or_stops_whoever_asks_it_is_taken_back(
    params: Path, flag: Path, how: str, words: tuple[str, ...], verdict: str | None
) -> None:
    flag.write_text(how)
    done = subprocess.run(
        [TRIMTAB, "run", "rollback", "-p", params, "--as-of", LATER, "--json", "--set", "promotion.smoke.max_load=8s",
         *words], capture_output=True, text=True, check=False, timeout=120)
    result = json.loads(done.stdout)
    assert (done.returncode, result["champion_before"], result["champion_after"]) == (0, 2, 1), done.stderr
    assert result["verdict"] == verdict
    last = tt.open(params).ledger.succession.changes()[-1]
    assert last["kind"] == "rollback"
    told = {"crash": "ended without an answer", "hang": "took longer than 8 s"}
    assert verdict is None or told[how] in last["why"]


def test_champion_that_is_silent_like_the_one_before_is_kept(params: Path, flag: Path) -> None:
    """What neither can answer is no fault of the new one."""
    session = tt.open(params, run_id="again", overrides={
        "estimator.class": "crashing.Crashing", "estimator.params": {"flag": str(flag), "C": 0.5},
        "estimator.trusted": ["sklearn", "crashing"]})
    version = lifecycle.train(session, None).version
    champions.change(session.ledger, session.registry, kind="promotion", expected=2, to_version=version,
                     run_id="again", as_of=PROMOTED, by="me", why="a test")
    flag.write_text("crash")
    seen = watching.watch(tt.open(params, as_of=LATER))
    assert seen.finding.outcome == "keep"
    assert "Version 2 cannot be compared with: trying version 2 ended without an answer" in seen.reading

"""What others wrote is shown as text: in terminals, on command lines, in names of folders and classes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import BINARY, binary_table, merged
from hypothesis import given
from hypothesis import strategies as st

import trimtab as tt
from trimtab import params as params_module
from trimtab.errors import ParamsError, UsageError
from trimtab.run.homes import checked_run_id
from trimtab.text import LONGEST_LINE, escaped, hide_quoted, one_line, shorten_quoted, visible

ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\x7f\r\u202e\u2066\u2028\ud800\U000e0041"


@given(st.text(st.characters(exclude_categories=[])))
def test_nothing_that_a_terminal_obeys_is_left_in_visible_text(text: str) -> None:
    shown = visible(text + ESCAPES)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)
    assert not set(shown) & set(ESCAPES[-6:])
    shown.encode()


@given(st.recursive(st.text(st.characters(exclude_categories=["Cs"])), st.lists, max_leaves=5))
def test_json_that_is_escaped_says_the_same(value: Any) -> None:
    assert json.loads(escaped(json.dumps([value, ESCAPES], ensure_ascii=False))) == [value, ESCAPES]


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    told = "naïve Ärger → 東京 ‘quoted’ नमस्ते 👩\u200d🔬 می\u200cخواهم"
    assert visible(told) == told


def test_text_of_hundreds_of_kilobytes_is_cut_in_no_time() -> None:
    started = time.perf_counter()
    for hostile in ("x", "'", "\\", "'\\", " '", "'a'", "\x1b"):
        long = hostile * 200_000
        assert len(visible(long)) <= LONGEST_LINE
        assert len(one_line(long, 80)) <= 80
        shorten_quoted(long, 10)
    assert time.perf_counter() - started < 20    # what takes quadratic time takes hours


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("it isn't so: 'Jane O'Neil' moved", "it isn't so: '…' moved"),
        ("column 'age' holds 'Jane", "column 'age' holds '…'"),
        ('a "b" c', 'a "…" c'),
        ("“Jane” and “Joe", "“…” and “…”"),
        (r"'it\'s' here", "'…' here"),
        ("", ""),
    ],
)
def test_quoted_text_is_hidden_but_for_known_names(text: str, told: str) -> None:
    assert hide_quoted(text, {"age"}) == told


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "../x", "a\\b", "/etc", "a b", "a\n", "-x", "x" * 81, "a.b", "é"])
def test_run_id_that_could_be_a_path_is_refused_wherever_it_comes_from(name: str, project: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="no run id"):
        checked_run_id(name)
    if name:
        with pytest.raises(UsageError, match="no run id"):
            tt.open(project(BINARY), run_id=name)


@pytest.mark.parametrize(
    "name", ["..", "a/b", "a--b", "-a", "a-", "A", "a\n", "a b", "a%2f", "é", "x" * 101, "a\x1b[2J"])
@pytest.mark.parametrize("key", ["model", "tenant"])
def test_name_of_a_model_or_tenant_that_could_be_a_path_is_refused(
    key: str, name: str, project: Callable[..., Path]
) -> None:
    with pytest.raises(ParamsError, match=key):
        params_module.load(project(merged(BINARY, **{key: name})))


@pytest.mark.parametrize("estimator", [
    {"class": "deadly.Model"},
    {"candidates": {"fine": {"class": "sklearn.svm.SVC"}, "other": {"class": "deadly.Model"}}},
    {"class": "sklearn.svm.SVC", "trusted": []},
    {"class": "sklearn_evil.SVC"},
    {"class": "deadly.Model", "trusted": ["deadly.Model"]},
])
def test_class_of_a_package_that_is_not_trusted_is_refused_before_it_is_imported(
    estimator: dict[str, Any], project: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "deadly.py").write_text("raise SystemExit(7)\n")
    monkeypatch.syspath_prepend(str(home))
    tree = {**BINARY, "estimator": estimator}
    with pytest.raises(ParamsError, match=r"estimator.*trusted"):
        tt.open(project(tree))


def test_class_of_a_package_that_is_listed_is_taken(project: Callable[..., Path]) -> None:
    tree = {**BINARY, "estimator": {"class": "lightgbm.LGBMClassifier", "trusted": ["lightgbm"]}}
    assert tt.open(project(tree)).params.estimator.trusted == ("lightgbm",)


def test_command_line_shows_escapes_of_others_as_text(home: Path) -> None:
    binary_table(50).to_parquet(home / "records.parquet")
    tree = merged(BINARY, data={"table": "\x1b[2Jnot there\u202e.parquet\nforged: line"})
    (home / "demo.yaml").write_text(yaml.safe_dump(tree))
    code = "from trimtab.run.entry import main; main()"
    for words in (["run", "drift", "--json"], ["history"]):
        broken = "demo.yaml" if words[0] == "run" else "no\x1b[2J.yaml"
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "-p", broken],
            capture_output=True, text=True, cwd=home, timeout=60, check=False)
        assert done.returncode == 2
        assert "\x1b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "\\u001b[2J" in done.stderr

"""Params: several sources, one tree; every mistake is one sentence that says where it stands; no secret is told."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import BINARY, merged
from pydantic import ValidationError

from trimtab import params
from trimtab.errors import ParamsError
from trimtab.plain import plain, to_text, write_atomically
from trimtab.settings.data import Data, WindowSpec
from trimtab.settings.estimator import Estimator
from trimtab.settings.guardrails import Guardrails
from trimtab.settings.notation import format_duration, parse_duration, parse_time
from trimtab.settings.promotion import Criterion

ROOT = Path(__file__).resolve().parents[1]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(tree: Mapping[str, Any] | str, name: str = "demo.yaml") -> Path:
        path = tmp_path / name
        path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(dict(tree), sort_keys=False))
        return path

    return put


def _load(path: Path, *overrides: str, **environment: str) -> params.Loaded:
    return params.load(path, overrides=overrides, environment=environment)


def _refusal(path: Path, *overrides: str, **environment: str) -> str:
    with pytest.raises(ParamsError) as refused:
        _load(path, *overrides, **environment)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# -- several sources


def test_extending_file_wins_key_by_key_and_lists_replace(write: Write) -> None:
    write(merged(BINARY, drift={"psi_warn": 0.05, "alpha": 0.01}, data={"numeric": ["x", "z"]}), "base.yaml")
    found = _load(write("extends: base.yaml\ndrift: {psi_warn: 0.2}\ndata: {numeric: [noise]}\n")).params
    assert (found.drift.psi_warn, found.drift.alpha) == (0.2, 0.01)
    assert found.data.numeric == ("noise",)
    assert found.data.categorical == ("kind",)


def test_extended_files_are_found_beside_the_file_that_names_them(write: Write, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    write(BINARY, "shared/root.yaml")
    write("extends: root.yaml\nmodel: middle\n", "shared/middle.yaml")
    assert _load(write("extends: shared/middle.yaml\n")).params.model == "middle"


def test_of_several_extended_files_the_later_wins_and_the_file_itself_over_all(write: Write) -> None:
    write(merged(BINARY, drift={"psi_warn": 0.05, "psi_alert": 0.3, "alpha": 0.01}), "base.yaml")
    rules = write("drift: {psi_warn: 0.2, alpha: 0.02}\ndata: {numeric: [noise]}\n", "rules.yaml")
    found = _load(write("extends: [base.yaml, rules.yaml]\ndrift: {alpha: 0.03}\n")).params
    assert (found.drift.psi_warn, found.drift.psi_alert, found.drift.alpha) == (0.2, 0.3, 0.03)
    assert (found.model, found.data.numeric) == ("demo", ("noise",))
    rules.write_text("drift: {psi_warn: high}\n")
    assert _refusal(write("extends: [base.yaml, rules.yaml]\n")).startswith(f"{rules}: drift.psi_warn")


GUARDED = {
    "master": False, "approval": "critical", "min_records": 2000, "budget": 4, "cooldown": "7d",
    "quiet_hours": [{"from": "07:00", "to": "20:00"}]}


@pytest.mark.parametrize(("text", "overrides", "environment"), [
    ("", ["guardrails={cooldown: 1d}"], {}),
    ("", {"guardrails": {"cooldown": "1d"}}, {}),
    ("", [], {"TRIMTAB_GUARDRAILS": "{cooldown: 1d}"}),
    ("guardrails: {cooldown: 1d}", [], {}),
    ("", ["guardrails={budget: 4}", "guardrails={cooldown: 1d}"], {"TRIMTAB_GUARDRAILS": "{cooldown: 3d}"}),
], ids=str)
def test_mapping_that_is_set_whole_leaves_what_it_does_not_name(
    write: Write, text: str, overrides: Any, environment: dict[str, str]
) -> None:
    base = _load(write(merged(BINARY, guardrails=GUARDED), "base.yaml")).params
    path = write(f"extends: base.yaml\n{text}\n")
    found = params.load(path, overrides=overrides, environment=environment).params
    assert found.guardrails == base.guardrails.model_copy(update={"cooldown": timedelta(days=1)})


@pytest.mark.parametrize(("text", "overrides", "environment"), [
    ("guardrails: {}\nwindows: {current: {}}", [], {}),
    ("", ["guardrails={}", "windows={}", "windows.current={}"], {}),
    ("", {"guardrails": {}, "promotion": {"smoke": {}}}, {}),
    ("", [], {"TRIMTAB_GUARDRAILS": "{}"}),
], ids=str)
def test_empty_mapping_changes_nothing(
    write: Write, text: str, overrides: Any, environment: dict[str, str]
) -> None:
    base = _load(write(merged(BINARY, guardrails=GUARDED), "base.yaml")).params
    path = write(f"extends: base.yaml\n{text}\n")
    assert params.load(path, overrides=overrides, environment=environment).params == base
    lists = write("extends: base.yaml\ndata: {numeric: {}}\n")
    assert "data.numeric: should be a list" in _refusal(lists), "it is no way to write an empty list"


@pytest.mark.parametrize("window", ["{rows: 5}", '{from: "2024-01-01", to: "2024-02-01"}', "{last: 9d}"])
def test_window_replaces_one_of_another_shape_wherever_it_is_written(write: Write, window: str) -> None:
    tree = merged(BINARY, windows={"current": {"last": "30d", "until": "5d"}, "training": {"last": "90d"}})
    base = write(tree, "base.yaml")
    expected = WindowSpec.model_validate(yaml.safe_load(window))
    for found in (
        _load(write(f"extends: base.yaml\nwindows: {{current: {window}}}\n")),
        _load(base, f"windows.current={window}"), _load(base, f"windows={{current: {window}}}"),
        _load(base, TRIMTAB_WINDOWS__CURRENT=window), _load(base, TRIMTAB_WINDOWS=f"{{current: {window}}}"),
    ):
        assert found.params.windows.current == expected
        assert found.params.windows.training == WindowSpec(last=timedelta(days=90))


def test_windows_that_share_an_anchor_are_set_each_by_itself(write: Write) -> None:
    own = {key: value for key, value in BINARY.items() if key != "windows"}
    path = write(yaml.safe_dump(own) + "\nwindows: {current: &month {last: 30d}, training: *month}\n")
    found = _load(path, "windows.current.last=7d").params.windows
    assert (found.current.last, found.training.last) == (timedelta(days=7), timedelta(days=30))


def test_arguments_of_an_estimator_merge_and_an_empty_mapping_empties_them(write: Write) -> None:
    write(merged(BINARY, estimator={"params": {"C": 0.5, "max_iter": 200}}), "base.yaml")
    child = write("extends: base.yaml\n")
    assert _load(child, "estimator.params={C: 2}").params.estimator.params == {"C": 2, "max_iter": 200}
    assert _load(child, "estimator.params={}").params.estimator.params == {}
    assert _load(child, "estimator={}").params.estimator.params == {"C": 0.5, "max_iter": 200}
    assert _load(write("extends: base.yaml\nestimator: {params: {}}\n")).params.estimator.params == {}


def test_mistake_beside_a_mapping_that_was_set_is_told_of_the_file_that_made_it(write: Write) -> None:
    base = write(merged(BINARY, guardrails={"min_records": "few"}), "base.yaml")
    child = write("extends: base.yaml\n")
    for override in ("guardrails={cooldown: 1d}", "guardrails={}"):
        assert _refusal(child, override).startswith(f"{base}: guardrails.min_records: should be a whole number")
    fine = write(BINARY, "fine.yaml")
    assert _refusal(fine, "guardrails={cooldown: x}").startswith("--set guardrails: guardrails.cooldown: 'x' is no")
    write(merged(BINARY, windows={"current": {"last": "${STRETCH}"}}), "base.yaml")
    told = f"{base}: windows.current.last: the environment variable STRETCH is not set"
    assert _refusal(child) == told


def test_environments_of_a_model_share_neither_its_name_nor_its_state() -> None:
    listed = subprocess.run(["git", "ls-files", "params/*.yaml"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split() if name.count("/") == 1]    # and none of a person's own
    assert ROOT / "params" / "prod.yaml" in files
    names = [_load(file).params.model for file in files]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("environment", "stands_at"), [("dev", "latest"), ("staging", "now"), ("prod", "now")])
def test_safeguards_of_an_environment_go_on_top_of_any_model(write: Write, environment: str, stands_at: str) -> None:
    rules = ROOT / "params" / "rules" / f"{environment}.yaml"
    own = {key: value for key, value in BINARY.items() if key not in {"as_of", "guardrails"}}
    found = _load(write({"extends": [str(rules)], **own, "guardrails": {"budget": 2}})).params
    shipped = _load(ROOT / "params" / f"{environment}.yaml").params
    assert (found.model, found.as_of, shipped.as_of) == ("demo", stands_at, stands_at)
    assert found.guardrails == shipped.guardrails.model_copy(update={"budget": 2})
    both = _load(write({"extends": str(ROOT / "params" / f"{environment}.yaml"), "model": "mine"})).params
    assert (both.model, both.guardrails) == ("mine", shipped.guardrails)


@pytest.mark.parametrize("model", [
    "demo", "autoretrain", "bookkeeper", "facility-conflict", "facility-fraud", "pipeline"])
def test_development_takes_away_whatever_a_model_asks_by_itself(write: Write, model: str) -> None:
    files = [str(ROOT / "params" / name) for name in (f"{model}.yaml", "rules/dev.yaml")]
    found = _load(write({"extends": files})).params.guardrails
    kept = {"max_runtime": found.max_runtime, "min_severity": found.min_severity, "timezone": found.timezone,
            "approval_expires": found.approval_expires}
    assert found == Guardrails(cooldown=timedelta(0), **kept)


@pytest.mark.parametrize("text", ["${PLACE", "a${PLACE/b", "${PLACE or so}", "${}", "${1}", "$${PLACE} ${PLACE:-x"])
def test_reference_to_the_environment_that_is_none_is_refused(write: Write, text: str) -> None:
    told = _refusal(write(merged(BINARY, data={"table": text})), PLACE="here")
    assert told.endswith("data.table: what begins with ${ is neither ${NAME} nor ${NAME:-text}; "
                         "the text ${ is written $${")


def test_files_that_extend_each_other_are_refused_with_their_chain(write: Write) -> None:
    write("extends: demo.yaml\n", "other.yaml")
    assert "demo.yaml -> other.yaml -> demo.yaml" in _refusal(write("extends: other.yaml\n"))


@pytest.mark.parametrize("text", ["extends: gone.yaml\n", "extends: [a.yaml]\n", "extends: 3\n", "extends: {a: b}\n"])
def test_extending_what_is_no_file_is_refused(write: Write, text: str) -> None:
    assert "demo.yaml" in _refusal(write(text))


def test_set_wins_over_the_environment_and_that_over_the_file(write: Write) -> None:
    path = write(merged(BINARY, drift={"psi_warn": 0.01, "alpha": 0.01, "max_columns_reported": 5}))
    found = _load(
        path, "drift.psi_warn=0.03", TRIMTAB_DRIFT__PSI_WARN="0.02", TRIMTAB_DRIFT__ALPHA="0.02",
    ).params.drift
    assert (found.psi_warn, found.alpha, found.max_columns_reported) == (0.03, 0.02, 5)


def test_values_are_yaml_wherever_they_come_from(write: Write) -> None:
    found = _load(
        write(BINARY), "windows.current={rows: 50}", "data.segments=[site]", TRIMTAB_DATA__POSITIVE="true",
    ).params
    assert found.windows.current.rows == 50
    assert found.data.segments == ("site",)
    assert found.data.positive is True


def test_mapping_of_overrides_takes_values_as_they_are(write: Write) -> None:
    found = params.load(write(BINARY), overrides={"drift.psi_warn": 0.2}, environment={}).params
    assert found.drift.psi_warn == 0.2


def test_variables_that_name_no_key_are_left_to_others(write: Write) -> None:
    assert _load(write(BINARY), TRIMTAB_HOME="/srv", TRIMTAB_ALERT_URL="x").params.model == "demo"


def test_environment_is_resolved_anywhere_in_the_tree(write: Write) -> None:
    tree = merged(BINARY, model="${NAME}-model", alerts={"urls": ["json://${HOST}/x"]})
    found = _load(write(tree), NAME="my", HOST="example.org").params
    assert found.model == "my-model"
    assert found.alerts.urls == ("json://example.org/x",)


# -- mistakes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"drft": {}}, ["demo.yaml: drft: unknown key", "'drift'"]),
        ({"extend": "x"}, ["extend: unknown key", "'extends'"]),
        ({"drift": {"psi_alrt": 1}}, ["drift.psi_alrt", "'psi_alert'"]),
        ({"drift": {"colour": 1}}, ["known here: alpha, max_columns_reported, max_segments, min_segment"]),
        ({"windows": {"current": {"lst": "3d"}}}, ["windows.current.lst", "'last'"]),
        ({"windows": {"reference": {"lst": "3d"}}}, ["windows.reference.lst", "'last'"]),
        ({"promotion": {"criteria": [{"metric": "f1", "flor": 1}]}}, ["promotion.criteria.0.flor", "'floor'"]),
        ({"estimator": {"class": None, "candidates": {"a": {"clss": "b"}}}}, ["candidates.a.clss", "'class'"]),
        ({"drift": {"psi_alert": "high"}}, ["drift.psi_alert: should be a number (it is 'high')"]),
        ({"drift": None}, ["drift: should be a mapping of keys to values"]),
        ({"data": {"numeric": "x"}}, ["data.numeric: should be a list (it is 'x')"]),
        ({"data": {"positive": [1]}}, ["data.positive:"]),
        ({"task": None}, ["task: should be 'classification' or 'regression'"]),
        ({"as_of": "soon"}, ["as_of: 'soon' is no ISO date", "'now' or 'latest'"]),
        ({"windows": {"reference": "all"}}, ["windows.reference: should be a mapping", "'training'"]),
        ({"windows": {"holdout": 1}}, ["windows.holdout: should be less than 1"]),
        ({"windows": {"training": {"rows": 0}}}, ["windows.training.rows: should be greater than or equal to 1"]),
        ({"guardrails": {"min_records": -1}}, ["guardrails.min_records"]),
        ({"guardrails": {"cooldown": "-1d"}}, ["guardrails.cooldown: '-1d' is no duration"]),
        ({"drift": {"psi_warn": 0.3}}, ["drift: psi_warn must not be larger than psi_alert"]),
        ({"data": {"label": "x"}}, ["data: the label 'x' is also a feature"]),
        ({"data": {"label": "at"}}, ["data: the label 'at' is also the time"]),
        ({"data": {"categorical": ["x"]}}, ["column 'x' is named twice"]),
        ({"data": {"numeric": [], "categorical": []}}, ["name at least one column"]),
        ({"estimator": {"class": None}}, ["estimator: name either a class or candidates"]),
        *(({"estimator": {"class": None, "candidates": {name: {"class": "sklearn.dummy.DummyClassifier"}}}},
           ["estimator: ", "is no name of a candidate: up to 100 letters"])
          for name in ("../../models", "/tmp/victim", "a/b", "", ".", "..", "a" * 101, "a\0b", ".a", "a b", "-a")),
        ({"guardrails": {"approval_expires": "0s"}}, ["guardrails.approval_expires: a request that expires at once"]),
        ({"guardrails": {"quiet_hours": [{"from": 9, "to": "17:00"}]}}, ["9 is no time of day; write hours"]),
        ({"guardrails": {"quiet_hours": [{"from": "24:00", "to": "06:00"}]}}, ["'24:00' is the end of a day; write"]),
        ({"guardrails": {"quiet_hours": [{"from": "22:00", "to": "06:00", "days": []}]}}, ["at least 1 item"]),
    ],
    ids=str,
)
def test_mistake_is_one_sentence_with_file_and_key(write: Write, changes: dict[str, Any], words: list[str]) -> None:
    told = _refusal(write(merged(BINARY, **changes)))
    assert "demo.yaml" in told
    assert all(word in told for word in words), told


def test_key_that_is_written_twice_is_refused_with_its_line(write: Write) -> None:
    path = write(BINARY)
    path.write_text(path.read_text() + "\ntask: regression\n")
    line = len(path.read_text().splitlines())
    assert f"demo.yaml, line {line}, column 1: not valid YAML: the key 'task' is written twice" in _refusal(path)


@pytest.mark.parametrize(
    ("task", "gate", "watched"), [("classification", "roc_auc", "accuracy"), ("regression", "mae", "mae")]
)
def test_without_criteria_the_gate_asks_for_a_gain_of_the_tasks_main_metric(
    write: Write, task: str, gate: str, watched: str
) -> None:
    tree = {key: value for key, value in BINARY.items() if key != "promotion"} | {"task": task}
    found = _load(write(tree))
    assert [(c.metric, c.bounds()) for c in found.params.promotion.criteria] == [(gate, {"min_gain": 0.0})]
    assert found.params.rollback.metric == watched
    assert found.public["promotion"]["criteria"][0]["metric"] == gate
    assert _load(write(tree | {"promotion": {"criteria": []}})).params.promotion.criteria == ()


NO_DATE = "as_of: '2024-02-30' is no ISO date"
DEEP = "something in it holds itself, or is nested more than 50 deep"


@pytest.mark.parametrize(("text", "words"), [
    ("as_of: 2024-02-30", NO_DATE),
    ("as_of: 2024-13-30", "as_of: '2024-13-30' is no ISO date"),
    ("as_of: 2024-01-01 25:00:00", "as_of: '2024-01-01 25:00:00' is no ISO date"),
    ("as_of: !!timestamp soon", "line 2, column 8: not valid YAML: it is no timestamp"),
    ("guardrails: {min_records: 0x_}", "guardrails.min_records: should be a whole number (it is '0x_')"),
    ("guardrails: {min_records: !!int abc}", "line 2, column 27: not valid YAML: it is no int"),
    ("guardrails: {master: !!bool abc}", "line 2, column 22: not valid YAML: it is no bool"),
    ("guardrails: {min_records: " + "9" * 5000 + "}", "guardrails.min_records: should be a whole number (it is '999"),
    ("guardrails: {min_records: 0x" + "f" * 5000 + "}", "guardrails.min_records: should be a whole number (it is '0xf"),
    ("drift: {alpha: ._}", "drift.alpha: should be a number (it is '._')"),
    ("? [a, b]\n: 1", "line 2, column 3: not valid YAML: a list or a mapping is no key"),
    ("tenant: &a [*a]", f"not valid YAML: {DEEP}"),
    ("tenant: &a [*a, *a]", f"not valid YAML: {DEEP}"),
    ("tenant: &a {x: *a}", f"not valid YAML: {DEEP}"),
    ("tenant: " + "[" * 60 + "]" * 60, f"not valid YAML: {DEEP}"),
    ("tenant: " + "[" * 3000 + "]" * 3000, f"not valid YAML: {DEEP}"),
    ("tenant: [" + ", ".join(f"&a{n} [" + ", ".join([f"*a{n - 1}"] * 9 if n else "x") + "]" for n in range(20)) + "]",
     "not valid YAML: it has more than 100,000 values"),
    ("estimator: {params: {a: !!binary /w==}}", "not valid YAML: there is no place for !!binary"),
], ids=lambda text: text[:40])
def test_yaml_that_cannot_be_built_is_a_sentence_with_its_place(write: Write, text: str, words: str) -> None:
    write({key: value for key, value in BINARY.items() if key != "as_of"}, "base.yaml")
    told = _refusal(write(f"extends: base.yaml\n{text}\n"))
    assert "demo.yaml" in told
    assert words in told
    assert len(told) < 500


@pytest.mark.parametrize("path", ["~nobody-of-that-name/params.yaml", "params\0.yaml"])
def test_path_that_cannot_be_one_is_a_sentence(path: str) -> None:
    with pytest.raises(ParamsError, match=r"^--params: .* is no name of a file: "):
        params.load(path)


@pytest.mark.parametrize(("key", "value", "words"), [
    ("as_of", "2024-02-30", NO_DATE.removeprefix("as_of: ")),
    ("guardrails.min_records", "0x_", "should be a whole number (it is '0x_')"),
    ("guardrails.min_records", "!!int abc", "its value is not valid YAML: it is no int"),
    ("guardrails.min_records", "9" * 5000, "should be a whole number"),
    ("guardrails", "{[a]: b}", "its value is not valid YAML: a list or a mapping is no key"),
    ("guardrails", "{budget: 1, budget: 2}", "is not valid YAML: the key 'budget' is written twice"),
    ("guardrails", "&a {x: *a}", DEEP),
    ("tenant", "[" * 3000 + "]" * 3000, DEEP),
], ids=lambda text: text[:40])
def test_value_that_cannot_be_built_names_its_override_or_variable(
    write: Write, key: str, value: str, words: str
) -> None:
    path, name = write(BINARY), "TRIMTAB_" + key.upper().replace(".", "__")
    for told, origin in (
        (_refusal(path, f"{key}={value}"), f"--set {key}: "), (_refusal(path, **{name: value}), f"variable {name}: "),
    ):
        assert origin in told
        assert words in told
        assert len(told) < 500


@pytest.mark.parametrize("name", ['"a\\0b"', '"a\\ud800b"', "loop.yaml"])
def test_extending_what_no_file_can_be_called_is_refused(write: Write, tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert "demo.yaml: extends: " in _refusal(write(f"extends: {name}\n"))


def test_missing_key_is_named(write: Write) -> None:
    tree = {key: value for key, value in BINARY.items() if key != "task"}
    assert _refusal(write(tree)).endswith("demo.yaml: task: this key is required")


@pytest.mark.parametrize(
    "text", ["", "[a, b]", "just words", "model: [", 'model: "\x00"', "model: !!python/name:os.system"]
)
def test_file_that_is_no_mapping_is_refused(write: Write, text: str) -> None:
    assert "demo.yaml" in _refusal(write(text))


def test_file_that_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in _refusal(tmp_path / "bytes.yaml")
    assert "cannot be read" in _refusal(tmp_path)
    assert "no such params file" in _refusal(tmp_path / "gone.yaml")


def test_mistakes_name_the_source_they_were_written_in(write: Write) -> None:
    wrong = write(merged(BINARY, drift={"psi_alert": "high"}), "base.yaml")
    assert _refusal(write("extends: base.yaml\n")).startswith(f"{wrong}: drift.psi_alert")
    fine = write(BINARY, "fine.yaml")
    assert _refusal(fine, "drift.alpha=2").startswith("--set drift.alpha: should be less than 1")
    assert _refusal(fine, TRIMTAB_DRIFT__ALPHA="2").startswith("environment variable TRIMTAB_DRIFT__ALPHA:")
    assert _refusal(fine, "windows.current.rows=5").startswith("--set windows.current.rows: windows.current")
    assert _refusal(fine, "model.x=5").startswith("--set model.x: model")


@pytest.mark.parametrize("override", ["drift", "=3", "drift.alpha=[", "drift.nope=1", "promotion.criteria.0.floor=1"])
def test_override_that_is_none_is_refused(write: Write, override: str) -> None:
    assert _refusal(write(BINARY), override).startswith("--set ")


@pytest.mark.parametrize("name", ["TRIMTAB_DRFT__ALPHA", "TRIMTAB_DRIFT__ALHPA"])
def test_misspelt_variable_is_refused(write: Write, name: str) -> None:
    assert name in _refusal(write(BINARY), **{name: "0.1"})


def test_unset_variable_is_named_with_its_key(write: Write) -> None:
    told = _refusal(write(merged(BINARY, alerts={"urls": ["slack://${TOKEN}"]})))
    assert told.endswith("demo.yaml: alerts.urls: the environment variable TOKEN is not set")


# -- secrets


SECRETS = {"PASSWORD": 'pa"ss wörd', "HOOK": "slack://T0/B0/hook"}
SECRET = merged(
    BINARY, data={"connect": "postgres://me:${PASSWORD}@host/db"}, alerts={"urls": ["${HOOK}", "json://me:written@host"]},
    store={"ledger": "postgresql://me:open@host/ledger"},
)


def test_public_tree_holds_references_and_no_secret(write: Write) -> None:
    found = _load(write(SECRET), **SECRETS)
    assert found.params.data.connect == f"postgres://me:{SECRETS['PASSWORD']}@host/db"
    assert found.public["alerts"]["urls"] == ["${HOOK}", "<alert url>"]
    assert found.public["store"]["ledger"] == "postgresql://me:***@host/ledger"
    shown = json.dumps(found.public)
    assert not any(secret in shown for secret in ("ss w", "hook", "written", "open"))
    assert found.public["drift"]["alpha"] == 0.05    # defaults are part of what was asked for


def test_redaction_finds_secrets_in_text_and_in_json(write: Write) -> None:
    found = _load(write(SECRET), **SECRETS)
    text = f"{SECRETS['PASSWORD']} {json.dumps(SECRETS['PASSWORD'])} {SECRETS['HOOK']} json://me:written@host open"
    assert found.redact(text) == '${PASSWORD} "${PASSWORD}" ' + "<alert url> <alert url> ***"


def test_redaction_finds_a_secret_in_json_within_json(write: Write) -> None:
    secret = 'pass"wo\\rd'
    tree = merged(BINARY, store={"ledger": "postgresql://trimtab:${PASSWORD}@host/db"})
    found = _load(write(tree), PASSWORD=secret)
    text = json.dumps({"overrides": json.dumps([f"store.ledger={secret}"])})
    assert "rd" not in found.redact(text).replace("override", "")
    assert "***" in found.redact(text)


def test_short_values_are_not_taken_for_secrets(write: Write) -> None:
    found = _load(write(merged(BINARY, data={"table": "${X}.parquet"})), X="a")
    assert found.redact("a cat") == "a cat"
    assert found.public["data"]["table"] == "${X}.parquet"


@pytest.mark.parametrize(
    ("changes", "secret"),
    [
        ({"drift": {"alpha": "${S}"}}, "hunter2"),
        ({"model": "${S}"}, "Long secret " * 10),
        ({"guardrails": {"cooldown": "${S}"}}, "it's\\odd"),
        ({"alerts": {"urls": "slack://hunter2"}}, "hunter2"),
        ({"store": {"ledger": ["postgres://me:hunter2@host"]}}, "hunter2"),
    ],
    ids=str,
)
def test_no_secret_in_a_message(write: Write, changes: dict[str, Any], secret: str) -> None:
    told = _refusal(write(merged(BINARY, **changes)), S=secret)
    assert secret[:7] not in told
    assert repr(secret)[1:-1] not in told


# -- settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30d", timedelta(days=30)), ("1.5h", timedelta(minutes=90)), (" 2 w ", timedelta(weeks=2)),
     ("0s", timedelta(0)), (timedelta(1), timedelta(1)), ("365000d", timedelta(days=365_000))],
)
def test_duration_is_read(text: object, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "d", "30", 30, "-1d", "1y", "1d2h", "１d", "365001d", "999999999999w", -timedelta(1)]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"duration|negative"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "1s", "90s", "45m", "36h", "30d", "1.5s"])
def test_duration_is_written_as_it_is_read(text: str) -> None:
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


def test_times_are_naive_utc() -> None:
    east = timezone(timedelta(hours=2))
    expected = datetime(2013, 7, 1, 4)
    assert parse_time("2013-07-01T06:00:00+02:00") == expected
    assert parse_time(datetime(2013, 7, 1, 6, tzinfo=east)) == expected
    assert parse_time(datetime(2013, 7, 1, 4, tzinfo=UTC)) == parse_time(" 2013-07-01T04:00 ") == expected


@pytest.mark.parametrize("text", ["", "yesterday", 5, None, "2013-13-01", "0001-01-01T00:00+14:00"])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"ISO|years"):
        parse_time(text)


@pytest.mark.parametrize(
    "spec",
    [{}, {"last": "3d", "rows": 5}, {"until": "3d"}, {"last": "3d", "until": "3d"}, {"rows": 5, "until": "1d"},
     {"from": "2020-01-02", "to": "2020-01-02"}, {"from": "2020-01-01", "last": "1d"}],
    ids=str,
)
def test_window_of_no_or_two_shapes_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WindowSpec(**spec)


@pytest.mark.parametrize(
    "bounds", [{}, {"max_drop": 0.1, "floor": 0.5}, {"max_drop": -0.1}, {"floor": float("nan")}], ids=str
)
def test_criterion_needs_exactly_one_sensible_bound(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Criterion(metric="f1", **bounds)


def test_bound_of_zero_is_a_bound() -> None:
    assert Criterion(metric="f1", max_drop=0).bounds() == {"max_drop": 0.0}


def test_columns_are_named_once_in_a_fixed_order() -> None:
    roles = {"numeric": ("x",), "categorical": ("k",), "segments": ("k",), "confidences": ("x",)}
    data = Data(table="t", time="at", label="y", **roles)
    assert data.columns == ("at", "y", "x", "k")
    assert data.features == ("x", "k")
    watched = Data(table="t", time="at", numeric=("x",), watched={"numeric": ("m",), "categorical": ("k",)})
    assert (watched.features, watched.columns) == (("x",), ("at", "x", "m", "k"))


@pytest.mark.parametrize(("watched", "told"), [
    ({"numeric": ["x"]}, "column 'x' is named under watched, and as a feature"),
    ({"numeric": ["m"], "categorical": ["m"]}, "column 'm' is named under watched as numeric and as categorical"),
    ({"categorical": ["y"]}, "the label 'y' is named under watched"),
])
def test_a_column_that_is_only_watched_is_one_thing(watched: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Data(table="t", time="at", label="y", numeric=("x",), watched=watched)


def test_logged_scores_without_logged_predictions_are_refused_for_nothing_would_look_at_them() -> None:
    assert Data(table="t", time="at", numeric=("x",), prediction="said", score="p").score == "p"
    with pytest.raises(ValidationError, match=r"score 'p' wants data\.prediction beside it"):
        Data(table="t", time="at", numeric=("x",), score="p")


def test_single_estimator_is_called_by_its_class_and_candidates_by_their_names() -> None:
    assert list(Estimator(class_="a.b.Model", trusted=("a",)).named()) == ["Model"]
    both = {"one": {"class": "a.B"}, "two": {"class": "a.C", "params": {"k": 1}}}
    named = Estimator.model_validate({"candidates": both, "trusted": ["a"]}).named()
    assert {name: one.params for name, one in named.items()} == {"one": {}, "two": {"k": 1}}


# -- plain values


def test_plain_reduces_what_json_can_say() -> None:
    spec = WindowSpec(last="3d")
    value = {
        1: np.int64(2), "a": np.array([1.5, np.nan]), "b": (True, None, np.bool_(False)), "c": timedelta(minutes=1),
        "d": Path("x"), "e": spec, "f": {"s"}, "g": float("inf"),
    }
    assert plain(value) == {
        "1": 2, "a": [1.5, None], "b": [True, None, False], "c": 60.0, "d": "x",
        "e": {"last": "3d", "until": None, "from": None, "to": None, "rows": None}, "f": ["s"], "g": None,
    }
    assert json.loads(to_text(value)) == plain(value)


def test_value_without_a_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no plain form"):
        plain({"a": [object()]})


def test_failed_write_leaves_the_old_text_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half \ud800")    # a lone surrogate has no bytes
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(("table", "secret", "shown"), [
    ("postgresql://u:p@ss9word@h/db", "p@ss9word", "postgresql://u:***@h/db"),
    ("postgresql://h/db?user=u&password=hunter2222", "hunter2222", "postgresql://h/db?user=u&password=***"),
    ("md:db?motherduck_token=eyJhbGciOi&x=1", "eyJhbGciOi", "md:db?motherduck_token=***&x=1"),
    ("https://a.blob/x.parquet?sv=1&sig=abc%2Bdef", "abc%2Bdef", "https://a.blob/x.parquet?sv=1&sig=***"),
    ("https://ghp_0123456789@h/x.parquet", "ghp_0123456789", "https://***@h/x.parquet"),
    ("databricks://dapi0123456789@h", "dapi0123456789", "databricks://***@h"),
    ("https://h/x.parquet?auth=0123456789&authSource=admin", "0123456789", "https://h/x.parquet?auth=***&authSource=admin"),
    ("postgresql://tests@/db?host=/tmp/x", "nothing", "postgresql://tests@/db?host=/tmp/x"),
    ("postgresql+psycopg://trimtab_service@h/db", "nothing", "postgresql+psycopg://trimtab_service@h/db"),
])
def test_credentials_are_taken_out_however_an_address_holds_them(
    write: Write, table: str, secret: str, shown: str
) -> None:
    loaded = params.load(write(BINARY), overrides={"data.table": table})
    assert loaded.public["data"]["table"] == shown
    assert secret not in loaded.redact(f"could not open {table}: {secret}") or secret == "nothing"


@pytest.mark.parametrize("written", [
    "{password: *hunter2222}", "!hunter2222", "!h!hunter2222 x", "[&hunter2222 a, &hunter2222 b", "'hunter2222",
    "{https://x/hunter2222: 1}", "{emails: hunter2222}", "hunter2222", "[[hunter2222]]", "&hunter2222 {a: *hunter2222}",
])
def test_refusal_of_addresses_does_not_tell_them(write: Write, written: str) -> None:
    path, broken = write(BINARY), write(merged(BINARY, alerts={"urls": "HERE"}), "broken.yaml")
    broken.write_text(broken.read_text().replace("HERE", written))
    said = [_refusal(path, f"alerts={written}"), _refusal(path, f"alerts.urls={written}"), _refusal(broken),
            _refusal(path, TRIMTAB_ALERTS__URLS=written)]
    for one in said:
        assert "hunter" not in one
        assert any(where in one for where in ("alerts", "ALERTS", "broken.yaml"))


@pytest.mark.parametrize("lead", ["", "u:", "me:"])
def test_a_secret_is_known_in_base64_wherever_it_stands(
    write: Write, monkeypatch: pytest.MonkeyPatch, lead: str
) -> None:
    monkeypatch.setenv("TOKEN", secret := "correct?horse>battery")
    loaded = params.load(write(BINARY), overrides={"data.table": "${TOKEN}"})
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        told = loaded.redact(encode(f"{lead}{secret}:x".encode()).decode())
        assert "${TOKEN}" in told
        assert len(told) < 20


def test_everyday_words_are_no_secrets(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCH", "true")
    loaded = params.load(write(BINARY), overrides={"guardrails.enabled": "${SWITCH}"})
    assert loaded.params.guardrails.enabled
    assert loaded.redact('{"metadata": true}') == '{"metadata": true}'


@pytest.mark.parametrize(("environment", "table"), [
    ({}, "here.parquet"), ({"PLACE": ""}, "here.parquet"), ({"PLACE": "there.parquet"}, "there.parquet"),
])
def test_text_after_a_variable_stands_in_for_one_that_is_not_set(
    write: Write, environment: dict[str, str], table: str
) -> None:
    loaded = _load(write(merged(BINARY, data={"table": "${PLACE:-here.parquet}"})), **environment)
    assert loaded.params.data.table == table
    assert loaded.public["data"]["table"] == "${PLACE:-here.parquet}"
    assert "here.parquet" in loaded.redact("here.parquet"), "what stands in the file is no secret"


@pytest.mark.parametrize(("environment", "urls"), [({}, ()), ({"CALL": "json://h"}, ("json://h",))])
def test_address_that_the_environment_leaves_open_is_none(
    write: Write, environment: dict[str, str], urls: tuple[str, ...]
) -> None:
    loaded = _load(write(merged(BINARY, alerts={"urls": ["${CALL:-}"]})), **environment)
    assert loaded.params.alerts.urls == urls
    kept = _load(write(merged(BINARY, alerts={"urls": ["${CALL:-json://user:secret@h}"]})), **environment)
    assert kept.public["alerts"]["urls"] == ["<alert url>"]

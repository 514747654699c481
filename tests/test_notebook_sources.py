"""The notebooks as they are committed: thin, literate, tagged, stripped of outputs."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from trimtab.run import approving, checking, lifecycle, notebooks, watching
from trimtab.run.pipelines import NOTEBOOKS
from trimtab.run.reports import TITLES
from trimtab.run.scraps import CONTRACT

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
FACTS = {
    "appointment_facts": {"verdict", "champion_before", "champion_after"},
    "challenger_facts": {"challenger", "estimator", "fit_seconds", "train_records", "holdout_records", "fingerprint"},
    "decision_facts": {
        "needs_retrain", "severity", "confidence", "reasons", "root_causes", "untested", "allowed", "blocked_by",
        "obstacles",
    },
    "evaluation_facts": {"reasons", "challenger", "metrics_champion", "metrics_challenger"},
    "answered_facts": {
        "request", "kind", "answer", "by", "why", "champion_before", "champion_after", "reading",
    },
    "rollback_facts": {"champion_before", "champion_after", "proof_rows", "proof_window", "agreement", "by", "why",
                       "passed_over"},
    "watch_facts": {"outcome", "reading", "metric", "rows", "champion", "previous", "promoted_as_of", "way", "compared",
                    "gain", "low", "high", "value_champion", "value_previous"},
}

each = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


def _book(path: Path) -> Any:
    return nbformat.read(str(path), as_version=4)


def _code(path: Path) -> list[Any]:
    return [cell for cell in _book(path).cells if cell.cell_type == "code"]


def _nodes(path: Path) -> list[ast.AST]:
    return [node for cell in _code(path) for node in ast.walk(ast.parse(cell.source))]


def test_every_notebook_has_a_contract_a_title_and_a_pipeline() -> None:
    names = {path.stem for path in SOURCES}
    assert names == set(CONTRACT) == set(TITLES) == {name for steps in NOTEBOOKS.values() for name in steps}


@each
def test_notebook_is_committed_without_outputs(path: Path) -> None:
    for cell in _code(path):
        assert cell.outputs == []
        assert cell.execution_count is None
    assert set(_book(path).metadata) <= {"kernelspec", "language_info"}


@each
def test_notebook_is_valid_and_its_cell_ids_are_unique(path: Path) -> None:
    book = _book(path)
    nbformat.validate(book)
    ids = [cell.id for cell in book.cells]
    assert len(set(ids)) == len(ids)
    assert all(one.startswith(path.stem[:2] + "-") for one in ids), "ids are chosen, not drawn"


@each
def test_notebook_has_one_parameters_cell_that_says_what_each_value_means(path: Path) -> None:
    tagged = [cell for cell in _code(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    for line in tagged[0].source.splitlines():
        value, _, comment = line.partition("  # ")
        assert " = " in value
        assert len(comment) > 10, f"{line!r} does not say what it means"
        assert "=" not in comment, f"{line!r}: papermill cannot read a comment with an equals sign"


@each
def test_papermill_knows_every_parameter_with_its_default(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")    # about kernels and translators, none of them ours
        found = papermill.inspect_notebook(str(path))
    assert {"params", "as_of", "overrides", "run_id", "dry_run"} <= set(found)
    assert all(told["default"] and told["help"] for told in found.values())
    notebooks.check(path, dict.fromkeys(found))


@each
def test_notebook_is_read_from_top_to_bottom(path: Path) -> None:
    branching = (
        ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.IfExp, ast.For, ast.While, ast.Try,
        ast.With, ast.comprehension, ast.Match,
    )
    found = [type(node).__name__ for node in _nodes(path) if isinstance(node, branching)]
    assert not found, "branching lives in the runner and in decide"


@each
def test_code_cells_are_short(path: Path) -> None:
    for cell in _code(path):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 10, cell.id


@each
def test_notebook_is_mostly_prose(path: Path) -> None:
    cells = _book(path).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert len(prose.split()) >= 150
    assert "What this does not show" in prose


@each
def test_prose_speaks_of_no_model_in_particular(path: Path) -> None:
    prose = " ".join(cell.source.lower() for cell in _book(path).cells if cell.cell_type == "markdown")
    assert not [word for word in ("flight", "delay", "weather", "airport") if word in prose]


def test_drift_notebook_opens_with_what_follows_then_outputs_then_inputs() -> None:
    code = "\n".join(cell.source for cell in _code(ROOT / "notebooks" / "02_drift_analysis.ipynb"))
    shown = ["tables.decision(", "tables.guard(", "tables.not_looked_at(", "tables.outputs(", "plots.drift_overview(",
             "tables.joint(", "tables.segments(", "tables.expected(", "plots.realised(", "tables.signals("]
    places = [code.index(f"tt.{name}") for name in shown]
    assert places == sorted(places)


@each
def test_cells_that_may_be_silent_only_show(path: Path) -> None:
    """A page leaves them out, so nothing may be made in them."""
    for cell in _code(path):
        if "silent" in cell.metadata.get("tags", []):
            (only,) = ast.parse(cell.source).body
            assert isinstance(only, ast.Expr), cell.id
            assert cell.source.startswith(("tt.tables.", "tt.plots."))


@each
def test_every_field_of_the_contract_is_handed_on(path: Path) -> None:
    calls = [node for node in _nodes(path) if isinstance(node, ast.Call)]
    (call,) = [node for node in calls if isinstance(node.func, ast.Attribute) and node.func.attr == "hand_on"]
    assert isinstance(call.args[0], ast.Constant)
    assert call.args[0].value == path.stem
    given: set[str] = set()
    for keyword in call.keywords:
        if keyword.arg:
            given.add(keyword.arg)
        else:
            assert isinstance(keyword.value, ast.Call)
            assert isinstance(keyword.value.func, ast.Attribute)
            given |= FACTS[keyword.value.func.attr]
    assert given == set(CONTRACT[path.stem].model_fields)


@each
def test_everything_that_a_notebook_calls_exists(path: Path) -> None:
    import trimtab

    for node in _nodes(path):
        if not isinstance(node, ast.Attribute):
            continue
        names = ast.unparse(node).split(".")
        if names[0] == "tt":
            found: Any = trimtab
            for name in names[1:]:
                found = getattr(found, name)


def test_the_facts_are_those_of_the_library() -> None:
    """FACTS above is what a reader of this file believes; each name must at least exist."""
    for name in FACTS:
        assert any(hasattr(module, name) for module in (approving, checking, lifecycle, watching)), name

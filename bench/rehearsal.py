"""A run without kernels: the code of its notebooks in this process, without their tables and figures.

For replays of months, in which thousands of runs take place. All else is as in a run: preflight, lease, recovery,
status, manifest, messages, and the order in which pipelines ask for notebooks.
"""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import nbformat

from trimtab import params as params_module
from trimtab.plain import plain
from trimtab.run import notebooks, preflight
from trimtab.run.manifest import Step
from trimtab.run.preflight import Request
from trimtab.run.runner import Outcome, Run, new_run_id
from trimtab.run.scraps import CONTRACT, Scraps
from trimtab.run.session import Session

_SHOWING = ("tt.tables.", "tt.plots.")


def rehearse(
    pipeline: str, params: Path, as_of: str, overrides: Mapping[str, Any] | None = None, **extra: Any
) -> Outcome:
    """Run a pipeline as `trimtab run` would, but for kernels and pages.

    Raises
    ------
    TrimtabError
        When it could not even start.
    """
    typed = tuple(f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items())
    request = Request(pipeline, params, as_of=as_of, overrides=typed, progress=False, extra=extra)
    session = Session(params_module.load(params, overrides=typed), as_of=as_of, run_id=new_run_id(pipeline))
    try:
        if session.registry.champion() is None:    # later runs have the same params file
            preflight.check(session, request)
        return _Rehearsal(request, session).go()
    finally:
        session.close()


class _Rehearsal(Run):
    """A run whose steps take place here."""

    def step(self, notebook: str, **more: Any) -> Scraps:
        """Execute a notebook's code, with more parameters than were typed, and return what it hands on."""
        self._hold.renew()
        started = time.perf_counter()
        step = Step(notebook, file=f"{notebook}.ipynb")
        self.manifest.steps.append(step)
        handed: dict[str, Any] = {}
        names = preflight.parameters(self.session, self.request, notebook) | more
        names["_hand_on"] = lambda _, **values: handed.update(values)
        given, cells = _code(notebook)
        try:
            exec(given, known := {})
            names = known | names
            exec(cells, names)
        except Exception as error:
            step.status, step.error = "failed", str(error)
            raise
        finally:
            if "session" in names:
                names["session"].close()
            step.seconds = round(time.perf_counter() - started, 3)
        found = CONTRACT[notebook].model_validate(plain(handed))
        step.status, step.scraps = "succeeded", plain(found)
        return found


class _Unshown(ast.NodeTransformer):
    """Code without what only shows something, and with a place of ours to hand values on to."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | ast.Pass:
        """Leave out a statement that calls for a table or figure."""
        if ast.unparse(node).startswith(_SHOWING):
            return ast.Pass()
        self.generic_visit(node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Hand on to us."""
        if ast.unparse(node) == "tt.hand_on":
            return ast.Name("_hand_on", ast.Load())
        return node


@cache
def _code(notebook: str) -> tuple[CodeType, CodeType]:
    """A notebook's parameters, and the rest of its code."""
    path = notebooks.folder() / f"{notebook}.ipynb"
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    given = [cell for cell in cells if "parameters" in cell.metadata.get("tags", ())]
    rest = _Unshown().visit(ast.parse("\n".join(cell.source for cell in cells if cell not in given)))
    return (compile("\n".join(cell.source for cell in given), str(path), "exec"),
            compile(ast.fix_missing_locations(rest), str(path), "exec"))

"""What does a reader open? HTML of each notebook, a report per run, an index over all runs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from trimtab.plain import plain, write_atomically
from trimtab.run.manifest import FILE, Manifest

TITLES = {
    "01_baseline": "Baseline",
    "02_drift_analysis": "Drift analysis",
    "03_retrain": "Retraining in the shadow",
    "04_evaluate_and_promote": "Evaluation and promotion",
    "05_rollback": "Rollback",
}


@cache
def _templates() -> jinja2.Environment:
    """Templates in which every value is text, whatever it contains."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("trimtab.run"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["titles"] = TITLES
    environment.filters["moment"] = lambda text: (text or "")[:16].replace("T", " ")
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:.4f}"
    return environment


def notebook_html(folder: Path, file: str) -> str | None:
    """Write an executed notebook as one HTML file beside it; None when there is no notebook to show."""
    source = folder / file
    if not source.is_file():
        return None
    import nbformat

    book = nbformat.read(str(source), as_version=4)
    for cell in book.cells:
        cell["outputs"] = [o for o in cell.get("outputs", []) if "scrapbook" not in o.get("metadata", {})]
    body, _ = _exporter().from_notebook_node(book, {"metadata": {"name": TITLES.get(source.stem, source.stem)}})
    target = source.with_suffix(".html")
    write_atomically(target, body)
    return target.name


def prepare() -> None:
    """Load what reports need, in the background while the first notebook runs."""
    _exporter()
    _templates()


@cache
def _exporter() -> Any:
    """nbconvert without anything that a page would have to fetch from elsewhere."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="lab", embed_images=True)
    exporter.require_js_url = exporter.mathjax_url = exporter.mermaid_js_url = exporter.jquery_url = ""
    exporter.widget_renderer_url = ""
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    return exporter


def run_report(folder: Path, manifest: Manifest) -> Path:
    """Write a run's `report.html`: what came of it, and a link to every notebook."""
    target = folder / "report.html"
    write_atomically(target, _templates().get_template("report.html").render(run=plain(manifest)))
    return target


def index(runs: Path) -> Path:
    """Write `runs/index.html` over all runs, newest first."""
    found = [(path, _manifest(path)) for path in runs.glob(f"*/*/{FILE}")]
    rows = [{"run": run, "folder": path.parent.relative_to(runs).as_posix()} for path, run in found if run]
    rows.sort(key=lambda row: str(row["run"]["started_at"]), reverse=True)
    target = runs / "index.html"
    write_atomically(target, _templates().get_template("index.html").render(rows=rows))
    return target


def _manifest(path: Path) -> dict[str, Any] | None:
    """A manifest, or None for one that somebody damaged: the others are still worth listing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "started_at" in found else None

"""What does a reader open? HTML of each notebook, a report per run, an index over all runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from trimtab.measure.models.metrics import METRICS
from trimtab.plain import plain, to_text, write_atomically
from trimtab.run.manifest import FILE, Manifest
from trimtab.text import escaped_lines
from trimtab.wording import plural, probability

TITLES = {
    "01_baseline": "Baseline",
    "02_drift_analysis": "Drift analysis",
    "03_retrain": "Retraining in the shadow",
    "04_evaluate_and_promote": "Evaluation and promotion",
    "05_rollback": "Rollback",
    "06_approval": "Approval",
    "07_watch": "The new champion under watch",
}
_WATCHED = {"keep": "kept", "roll_back": "worse", "too_early": "too early to say", "nothing": "nothing to watch"}
_LISTED = ("run_id", "started_at", "model", "tenant", "pipeline", "as_of", "status")
ERROR_ANCHOR = "papermill-error-cell"


@cache
def _templates() -> jinja2.Environment:
    """Templates in which every value is text, whatever it contains."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("trimtab.run"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["titles"] = TITLES
    environment.filters["moment"] = lambda text: (text or "")[:16].replace("T", " ")
    environment.filters["second"] = lambda text: (text or "")[:19].replace("T", " ")
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:.4f}"
    environment.filters["probability"] = probability
    environment.filters["json"] = to_text
    environment.filters["value"] = lambda value: "not set" if value is None else json.dumps(value, ensure_ascii=False)
    return environment


def _page(template: str, **values: Any) -> str:
    """A whole page, in which nothing that somebody else wrote hides or turns round what stands beside it."""
    return escaped_lines(_templates().get_template(template).render(**values))


def notebook_html(folder: Path, file: str, ready: Callable[[], None] | None = None) -> str | None:
    """Write an executed notebook as one HTML file beside it; None when there is no notebook to show.

    Parameters
    ----------
    ready : callable, optional
        As for `write_atomically`.
    """
    source = folder / file
    if not source.is_file():
        return None
    import nbformat

    book = nbformat.read(str(source), as_version=4)
    for cell in book.cells:
        cell["outputs"] = [o for o in cell.get("outputs", []) if "scrapbook" not in o.get("metadata", {})]
    book.cells = _audible(book.cells)
    body, _ = _exporter().from_notebook_node(book)
    target = source.with_suffix(".html")
    title = TITLES.get(source.stem, source.stem)
    page = _page("page_of_notebook.html", title=title, file=file, run=folder.name, body=body, colors=_colors())
    write_atomically(target, page, ready)
    return target.name


def _audible(cells: list[Any]) -> list[Any]:
    """Without what may be silent and was: cells of that tag that ran and show nothing, and prose that led to no other.

    The executed notebook keeps them; a page is read by people who need not be told of what there is nothing of.
    """
    kept: list[Any] = []
    silent = False    # whether every cell since the last prose was left out
    for cell in cells:
        if "silent" in cell.metadata.get("tags", []) and cell.execution_count is not None and not cell.outputs:
            silent = silent or (bool(kept) and kept[-1].cell_type == "markdown")
            continue
        if silent and cell.cell_type == "markdown" and kept[-1].cell_type == "markdown":
            kept.pop()
        silent = False
        kept.append(cell)
    return kept


def prepare() -> None:
    """Load what reports need, in the background while the first notebook runs."""
    _exporter()
    _colors()
    _templates()


@cache
def _exporter() -> Any:
    """nbconvert's plainest template: no scripts, no fonts, nothing that a page would have to fetch from elsewhere.

    Pictures of ours are data already; `embed_images` would make nbconvert itself fetch those that an output names.
    """
    from nbconvert import HTMLExporter

    loader = jinja2.PackageLoader("trimtab.run")
    exporter = HTMLExporter(template_name="basic")
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    exporter.raw_template = loader.get_source(jinja2.Environment(autoescape=True), "notebook.html")[0]
    return exporter


@cache
def _colors() -> str:
    """The style sheet of highlighted code."""
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]  # -- ships no stubs

    found: str = HtmlFormatter(style="default").get_style_defs(".highlight")
    return found


def run_report(folder: Path, manifest: Manifest, ready: Callable[[], None] | None = None) -> Path:
    """Write a run's `report.html`: what came of it, and a link to every notebook; `ready` as for `write_atomically`."""
    run = plain(manifest)
    for step in run["steps"]:
        step["came_of_it"] = _came_of_it(step["notebook"], step["scraps"])
        step["link"] = _link(folder, step)
    run["data_of"] = next((step["notebook"] for step in run["steps"] if "fingerprint" in step["scraps"]), None)
    metrics = run["result"]["metrics"]
    for who, values in metrics.items():    # notebooks keep their values by the alphabet
        metrics[who] = values and {name: values[name] for name in METRICS if name in values}
    run["tile"] = _tile(run)
    run["gains"] = _gains(metrics.get("champion") or {}, metrics.get("challenger") or {})
    target = folder / "report.html"
    write_atomically(target, _page("report.html", run=run), ready)
    return target


def _tile(run: dict[str, Any]) -> dict[str, str] | None:
    """What a run was for, in a word and a remark: its verdict, a person's answer, or what became of a new champion."""
    result, scraps = run["result"], {step["notebook"]: step["scraps"] for step in run["steps"]}
    if run["pipeline"] == "rollback":
        return None
    if run["pipeline"] == "approval":
        told = scraps.get("06_approval") or {"answer": "none", "by": ""}
        remark = ": ".join(filter(None, (f"by {told['by']}", told.get("why")))) if told["by"] else "not carried out"
        return {"name": "Answer", "word": told["answer"], "remark": remark}
    watched = scraps.get("07_watch") or {}
    if run["pipeline"] == "watch" and result["verdict"] is None:
        return {"name": "New champion", "word": _WATCHED.get(str(watched.get("outcome")), "unknown"), "remark": ""}
    remark = "" if result["verdict"] else "nothing was evaluated"
    if result["verdict"] == "promote" and result["champion_before"] is None:
        remark = "accepted without comparison"
    return {"name": "Verdict", "word": result["verdict"] or "none", "remark": remark}


def _gains(champion: dict[str, Any], challenger: dict[str, Any]) -> dict[str, float]:
    """What the challenger gains by each metric that is known of both; a plus is better, as in the notebooks."""
    known = [name for name, value in challenger.items() if value is not None and champion.get(name) is not None]
    return {name: METRICS[name].sign * (challenger[name] - champion[name]) for name in known}


def _link(folder: Path, step: dict[str, Any]) -> str | None:
    """Where a reader should land: at the failing cell where there is one."""
    html: str | None = step["html"]
    if html is None or step["status"] == "succeeded":
        return html
    marked = f'id="{ERROR_ANCHOR}"' in (folder / html).read_text(encoding="utf-8")
    return f"{html}#{ERROR_ANCHOR}" if marked else html


def _came_of_it(notebook: str, scraps: dict[str, Any]) -> str:
    """One sentence about a step, for readers who open none of the notebooks; empty when it handed nothing on."""
    if not scraps:
        return ""
    serving = "nobody serves" if scraps.get("champion_after") is None else f"version {scraps['champion_after']} serves"
    changed = scraps.get("champion_before") != scraps.get("champion_after")
    if notebook == "01_baseline":
        first = changed and scraps["champion_before"] is None
        how = ", accepted without comparison" if first else ""
        return f"{plural(scraps['rows'], 'record was', 'records were')} checked; {serving}{how}."
    if notebook == "02_drift_analysis":
        asked = "retraining is asked for" if scraps["needs_retrain"] else "retraining is not asked for"
        if scraps["needs_retrain"]:
            blocked = "; ".join(scraps.get("obstacles", ())) or ", ".join(scraps["blocked_by"])
            asked += " and allowed" if scraps["allowed"] else f", but blocked by {blocked}"
        blind = len(scraps.get("untested", ()))
        untested = f"; {blind} {'signal' if blind == 1 else 'signals'} could not be tested" if blind else ""
        return f"{scraps['rows']:,} current records: severity {scraps['severity']}, {asked}{untested}."
    if notebook == "03_retrain":
        return (
            f"Version {scraps['challenger']} learned from {scraps['train_records']:,} records in "
            f"{scraps['fit_seconds']:.1f} s and serves nobody yet; {scraps['holdout_records']:,} were held out."
        )
    if notebook == "04_evaluate_and_promote":
        return f"Version {scraps['challenger']}: {scraps['verdict']}; {serving}{'' if changed else ', as before'}."
    if notebook == "05_rollback":
        asked = f", asked for by {scraps['by']}: {scraps['why']}" if scraps.get("by") else ""
        same = scraps.get("agreement")
        alike = "" if same is None else f" (agreement with version {scraps['champion_before']}: {same:.3f})"
        proven = f"Proven on {plural(scraps['proof_rows'], 'record')} of the {scraps['proof_window']} window{alike}"
        over = "".join(f" Passed over: {one}." for one in scraps.get("passed_over", ()))
        return f"{proven}; {serving} instead of {scraps['champion_before']}{asked.rstrip('.')}.{over}"
    if notebook in {"06_approval", "07_watch"}:
        return str(scraps["reading"])
    return ""


def index(runs: Path) -> Path:
    """Write `runs/index.html` over all runs, newest first; those with a damaged manifest are only counted."""
    found = [_row(path, runs) for path in sorted(runs.glob(f"*/*/{FILE}"))]
    rows = sorted(filter(None, found), key=lambda row: str(row["started_at"]), reverse=True)
    target = runs / "index.html"
    write_atomically(target, _page("index.html", rows=rows, damaged=len(found) - len(rows)))
    return target


def _row(path: Path, runs: Path) -> dict[str, Any] | None:
    """What the index says of a run; None for a manifest that somebody damaged: the others are still worth listing."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        result = run["result"] or {}
        decision = result.get("decision") or {}
        row = {name: str(run[name] or "") for name in _LISTED}
        asked = "retrain" if decision.get("needs_retrain") else "leave"
        return row | {
            "dry_run": bool(run["dry_run"]),
            "decision": f"{asked} ({decision['severity']})" if decision else "",
            "verdict": str(result.get("verdict") or ""),
            "known": bool(result) and not result.get("champion_unknown"),
            "before": result.get("champion_before"), "after": result.get("champion_after"),
            "link": f"{path.parent.relative_to(runs).as_posix()}/report.html"
            if path.with_name("report.html").is_file() else None,
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None

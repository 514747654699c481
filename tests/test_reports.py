"""Reports: self-contained, safe, and leading a reader to what went wrong."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

from trimtab import cells
from trimtab.run import reports
from trimtab.run.manifest import FILE, Manifest, Step
from trimtab.run.notebooks import mark

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>"
MARKER = '<span id="papermill-error-cell" style="color:red">Execution using papermill encountered an exception</span>'


class _Page(HTMLParser):
    """What a browser would run, fetch and follow."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.ids: set[str] = set()
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.handlers += [name for name in found if name.startswith("on")]
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        self.sources += [str(found[name]) for name in ("src", "srcset", "data") if found.get(name)]
        if found.get("id"):
            self.ids.add(str(found["id"]))


def _self_contained(text: str) -> _Page:
    page = _Page(text)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert not page.handlers
    assert all(source.startswith("data:") for source in page.sources)
    assert not re.search(r"@import|url\((?!data:)", text)
    assert not [link for link in page.links if "://" in link]
    assert "default-src 'none'" in text, "even what slips through may fetch nothing"
    return page


def _manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "run_id": "r1", "model": "demo", "tenant": None, "pipeline": "retrain", "status": "succeeded",
        "as_of": datetime(2024, 1, 1), "started_at": datetime(2024, 1, 2, tzinfo=UTC), "dry_run": False, "params": {},
        "result": _result(), "packages": {"python": "3.11"}, "code": {"trimtab": "1", "commit": None},
    }
    return Manifest(**(values | changes))


def _result(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "seconds": 1.0, "decision": None, "guard": None, "verdict": None, "champion_before": 1, "champion_after": 1,
        "metrics": {"champion": None, "challenger": None},
    }
    return values | changes


def _folder(tmp_path: Path, name: str = "r1") -> Path:
    folder = tmp_path / "runs" / "demo" / name
    folder.mkdir(parents=True)
    return folder


def _notebook(folder: Path, *cells: Any, name: str = "01_baseline") -> str:
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), str(path))
    written = reports.notebook_html(folder, path.name)
    assert written == f"{name}.html"
    return (folder / written).read_text(encoding="utf-8")


def _code(source: str, *outputs: Any, tags: tuple[str, ...] = (), count: int | None = 1) -> Any:
    about = {"tags": list(tags)}
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=count, metadata=about)


def _opened(text: str) -> list[str]:
    """Labels of the code that a reader sees without a click."""
    return re.findall(r'<details class="code" open[^>]*><summary>([^<]*)<', text)


def _error(message: str) -> Any:
    return nbformat.v4.new_output("error", ename="DataError", evalue=message, traceback=[f"\x1b[31m{message}\x1b[0m"])


def test_notebook_page_is_self_contained_with_code_behind_a_click(tmp_path: Path) -> None:
    figure = nbformat.v4.new_output(
        "display_data", data={"image/png": "iVBORw0KGgo="}, metadata={"image/png": {"alt": "the answer", "width": 9}})
    text = _notebook(
        _folder(tmp_path), nbformat.v4.new_markdown_cell("# A question\n\nprose"),
        _code("a = 1  # meaning", tags=("parameters",)), _code("a = 2", tags=("injected-parameters",)),
        _code("show()", figure), _code("rest()", count=None),
    )
    page = _self_contained(text)
    assert page.tags.count("details") == 4
    assert text.index("Parameters and what they mean") < text.index("Parameters of this run")
    assert _opened(text) == ["Parameters of this run"]
    assert 'alt="the answer"' in text
    assert "Code (not executed)" in text
    assert {"report.html", "../../index.html", "01_baseline.ipynb"} <= set(page.links)
    assert len(text) < 40_000, "the page is little more than what it shows"


def test_scraps_are_not_shown(tmp_path: Path) -> None:
    scrap = nbformat.v4.new_output(
        "display_data", data={"text/plain": "secret scrap"}, metadata={"scrapbook": {"name": "x"}})
    assert "secret scrap" not in _notebook(_folder(tmp_path), _code("hand_on()", scrap))


def test_failed_notebook_marks_the_failing_cell_and_opens_its_code(tmp_path: Path) -> None:
    banner = nbformat.v4.new_markdown_cell('<span>An Exception at <a href="#papermill-error-cell">In [1]</a></span>')
    marker = nbformat.v4.new_markdown_cell(MARKER)
    banner.metadata["tags"] = marker.metadata["tags"] = ["papermill-error-cell-tag"]
    text = _notebook(_folder(tmp_path), banner, marker, _code("fail()", _error(NASTY)))
    page = _self_contained(text)
    assert "#papermill-error-cell" in page.links
    assert "papermill-error-cell" in page.ids
    assert "The notebook stopped here" in text
    assert _opened(text) == ["Code"]
    assert "alert(1)" in text, "the message is shown, as text"


@pytest.mark.parametrize("kind", ["stream", "text/plain", "error"])
def test_output_of_a_notebook_is_shown_as_text(tmp_path: Path, kind: str) -> None:
    outputs = {
        "stream": nbformat.v4.new_output("stream", name="stderr", text=NASTY),
        "text/plain": nbformat.v4.new_output("execute_result", data={"text/plain": NASTY}, execution_count=1),
        "error": _error(NASTY),
    }
    assert "&lt;script&gt;" in _notebook(_folder(tmp_path), _code("x", outputs[kind]))
    _self_contained((tmp_path / "runs/demo/r1/01_baseline.html").read_text())


def test_script_in_rich_output_may_not_run(tmp_path: Path) -> None:
    rich = nbformat.v4.new_output("display_data", data={"text/html": "<p>fine</p><script>alert(1)</script>"})
    text = _notebook(_folder(tmp_path), _code("x", rich))
    assert "script-src" not in text
    assert "default-src 'none'" in text


def test_interrupted_notebook_says_so_on_top(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    _notebook(folder, _code("x"))
    mark(folder / "01_baseline.ipynb", "The run was interrupted.")
    reports.notebook_html(folder, "01_baseline.ipynb")
    text = (folder / "01_baseline.html").read_text()
    assert '<p class="error"><b>The run was interrupted.</b></p>' in text


def test_notebook_that_was_never_written_has_no_page(tmp_path: Path) -> None:
    assert reports.notebook_html(_folder(tmp_path), "01_baseline.ipynb") is None


def test_report_links_to_the_failing_cell(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    marker = nbformat.v4.new_markdown_cell(MARKER, metadata={"tags": ["papermill-error-cell-tag"]})
    _notebook(folder, marker, name="02_drift_analysis")
    _notebook(folder, _code("x"), name="03_retrain")
    steps = [
        Step("02_drift_analysis", "failed", 1.0, "02_drift_analysis.ipynb", "02_drift_analysis.html", error=NASTY),
        Step("03_retrain", "interrupted", 1.0, "03_retrain.ipynb", "03_retrain.html"),
        Step("04_evaluate_and_promote", "failed", 0.0, "04_evaluate_and_promote.ipynb", None),
    ]
    text = reports.run_report(folder, _manifest(steps=steps, status="failed", error=NASTY)).read_text()
    page = _self_contained(text)
    assert "02_drift_analysis.html#papermill-error-cell" in page.links
    assert "03_retrain.html" in page.links, "no marker in it, so the link goes to its top"
    assert not [link for link in page.links if "04_evaluate" in link], "what was not written is not linked"


def test_section_that_shows_nothing_is_left_out_with_its_prose_and_others_stay(tmp_path: Path) -> None:
    prose = [nbformat.v4.new_markdown_cell(f"## Section {n}") for n in range(6)]
    shown = nbformat.v4.new_output("execute_result", {"text/plain": "a table"}, execution_count=1)
    text = _notebook(
        _folder(tmp_path),
        prose[0], _code("silent_0", tags=("silent",)), _code("silent_0_too", tags=("silent",)),
        prose[1], _code("shown_1", shown, tags=("silent",)),
        prose[2], _code("silent_2", tags=("silent",)), _code("shown_2", shown),
        prose[3], _code("no_tag_3"),
        prose[4], _code("not_run_4", tags=("silent",), count=None),
        prose[5], _code("shown_5", shown), _code("silent_5", tags=("silent",)),
    )
    assert [n for n in range(6) if f"Section {n}" in text] == [1, 2, 3, 4, 5]
    for name in ("shown_1", "shown_2", "no_tag_3", "not_run_4", "shown_5"):
        assert name in text
    for name in ("silent_0", "silent_2", "silent_5"):
        assert name not in text


def test_report_shows_everything_as_text(tmp_path: Path) -> None:
    scraps = {"reasons": [NASTY], "challenger": 2, "verdict": "reject", "champion_before": 1, "champion_after": 1}
    decision = {"needs_retrain": True, "severity": "high", "confidence": 1.0, "reasons": [NASTY]}
    manifest = _manifest(
        model=NASTY, tenant=NASTY, error=NASTY, notes=[NASTY], params={NASTY: NASTY},
        steps=[Step("04_evaluate_and_promote", "succeeded", scraps=scraps)],
        data={"rows": 1, "first": NASTY, "last": None, "sha256": NASTY},
        result=_result(decision=decision, guard={"allowed": False, "blocked_by": [NASTY]}, verdict="reject",
                       metrics={"champion": {NASTY: 0.5}, "challenger": {NASTY: None}}),
    )
    text = reports.run_report(_folder(tmp_path), manifest).read_text()
    _self_contained(text)
    assert "<img" not in text


CAME_OF_IT = [
    ("01_baseline", {"rows": 1234, "champion_before": None, "champion_after": 1},
     "1,234 records were checked; version 1 serves, accepted without comparison."),
    ("01_baseline", {"rows": 5, "champion_before": None, "champion_after": None},
     "5 records were checked; nobody serves."),
    ("02_drift_analysis", {"rows": 5, "severity": "low", "needs_retrain": False, "allowed": False, "blocked_by": ["x"]},
     "5 current records: severity low, retraining is not asked for."),
    ("02_drift_analysis", {"rows": 5, "severity": "high", "needs_retrain": True, "allowed": False, "blocked_by": ["x"]},
     "5 current records: severity high, retraining is asked for, but blocked by x."),
    ("02_drift_analysis", {"rows": 5, "severity": "high", "needs_retrain": True, "allowed": False, "blocked_by": ["x"],
                           "obstacles": ["x: y is empty"]},
     "5 current records: severity high, retraining is asked for, but blocked by x: y is empty."),
    ("03_retrain", {"challenger": 2, "train_records": 1000, "holdout_records": 250, "fit_seconds": 1.23},
     "Version 2 learned from 1,000 records in 1.2 s and serves nobody yet; 250 were held out."),
    ("04_evaluate_and_promote", {"challenger": 2, "verdict": "reject", "champion_before": 1, "champion_after": 1},
     "Version 2: reject; version 1 serves, as before."),
    ("05_rollback", {"champion_before": 2, "champion_after": 1, "proof_rows": 1000, "proof_window": "current"},
     "Proven on 1,000 records of the current window; version 1 serves instead of 2."),
    ("05_rollback", {"champion_before": 2, "champion_after": 1, "proof_rows": 9, "proof_window": "newest",
                     "agreement": 0.5, "by": "me", "why": "it lies"},
     "Proven on 9 records of the newest window (agreement with version 2: 0.500); version 1 serves instead of 2, "
     "asked for by me: it lies."),
    ("05_rollback", {"champion_before": 3, "champion_after": 1, "proof_rows": 9, "proof_window": "newest",
                     "passed_over": ["version 2: it is damaged"]},
     "Proven on 9 records of the newest window; version 1 serves instead of 3. Passed over: version 2: it is damaged."),
    ("06_approval", {"answer": "rejected", "reading": "Ada declined."}, "Ada declined."),
    ("07_watch", {"outcome": "keep", "reading": "It serves on."}, "It serves on."),
    ("01_baseline", {}, ""),
    ("06_other", {"x": 1}, ""),
]


@pytest.mark.parametrize(("pipeline", "scraps", "verdict", "name", "told"), [
    ("watch", {"outcome": "keep"}, None, "New champion", '<span class="good">kept</span></b></div>'),
    ("watch", {"outcome": "too_early"}, None, "New champion", '<span class="warn">too early to say</span></b></div>'),
    ("watch", {"outcome": "nothing"}, None, "New champion", '<span class="">nothing to watch</span></b></div>'),
    ("watch", {"outcome": "roll_back"}, "rolled_back", "Verdict", '<span class="bad">rolled_back</span></b></div>'),
    ("approval", {"answer": "approved", "by": "Ada"}, None, "Answer", '<span class="good">approved</span></b>by Ada'),
    ("approval", {"answer": "approved", "by": "Ada", "why": "the <summer> is new"}, None, "Answer",
     '</b>by Ada: the &lt;summer&gt; is new'),
    ("approval", {"answer": "rejected", "by": "Ada"}, None, "Answer", '<span class="warn">rejected</span></b>by Ada'),
    ("approval", {}, None, "Answer", '<span class="">none</span></b>not carried out'),
    ("drift", {}, None, "Verdict", '<span class="">none</span></b>nothing was evaluated'),
    ("rollback", {}, None, "", ""),
])
def test_the_tile_says_what_the_run_was_for(
    tmp_path: Path, pipeline: str, scraps: dict[str, Any], verdict: str | None, name: str, told: str
) -> None:
    notebook = {"watch": "07_watch", "approval": "06_approval"}.get(pipeline, "02_drift_analysis")
    found = {**scraps, "reading": "So it is."} if scraps else {}
    step = Step(notebook=notebook, status="succeeded", scraps=found)
    manifest = _manifest(pipeline=pipeline, steps=[step], result=_result(verdict=verdict))
    text = reports.run_report(_folder(tmp_path), manifest).read_text()
    tiles = re.findall(r'<div class="card"><span>(.*?)</span><b>', text)
    assert tiles == [name, "Champion"] if name else tiles == ["Champion"]
    assert told in text


@pytest.mark.parametrize(("notebook", "scraps", "sentence"), CAME_OF_IT)
def test_each_step_is_told_in_one_sentence(
    tmp_path: Path, notebook: str, scraps: dict[str, Any], sentence: str
) -> None:
    step = Step(notebook, "succeeded", scraps=scraps)
    text = reports.run_report(_folder(tmp_path), _manifest(steps=[step])).read_text()
    assert f"<td>{sentence}</td>" in text


def _listed(tmp_path: Path) -> str:
    return reports.index(tmp_path / "runs").read_text()


def test_index_lists_runs_newest_first_and_links_only_reports_that_exist(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        folder = _folder(tmp_path, f"r{day}")
        manifest = _manifest(run_id=f"r{day}", started_at=datetime(2024, 5, day, tzinfo=UTC), model=NASTY)
        manifest.save(folder)
        if day != 3:
            reports.run_report(folder, manifest)
    text = _listed(tmp_path)
    page = _self_contained(text)
    assert page.links == ["demo/r2/report.html", "demo/r1/report.html"]
    assert text.index("2024-05-03") < text.index("2024-05-02")
    assert "3 runs" in text


@pytest.mark.parametrize(
    "damaged", ["", "{", "[]", "null", "{}", '{"started_at": 1}', '{"started_at": "x", "result": []}', "\x00"],
)
def test_index_skips_a_damaged_manifest_and_says_so(tmp_path: Path, damaged: str) -> None:
    _manifest().save(_folder(tmp_path))
    (_folder(tmp_path, "r2") / FILE).write_text(damaged)
    text = _listed(tmp_path)
    assert "1 run," in text
    assert "1 more cannot be listed" in text


def test_run_that_has_not_finished_is_listed_without_a_result(tmp_path: Path) -> None:
    _manifest(status="running", result={}).save(_folder(tmp_path))
    text = _listed(tmp_path)
    assert "running" in text
    assert json.loads((tmp_path / "runs/demo/r1" / FILE).read_text())["result"] == {}


def test_index_over_no_runs_says_so(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert "No run yet." in _listed(tmp_path)


def test_no_page_holds_marks_that_hide_or_reorder_what_stands_beside_them(tmp_path: Path) -> None:
    marks = "\x1b[2J\x9b31m\u202egnorw\u2066\u200b\ufeff\x00"
    folder = _folder(tmp_path)
    shown = cells.table([{"why": f"two\n{marks}"}], caption=f"of {marks}").to_html()
    pages = [_notebook(folder, _code(f"print({marks!r})", nbformat.v4.new_output("stream", text=f"told\n{marks}")))]
    manifest = _manifest(status="failed", error=f"no\n{marks}", notes=[marks])
    manifest.save(folder)
    written = reports.run_report(folder, manifest), reports.index(tmp_path / "runs")
    pages += [page.read_text("utf-8") for page in written]
    for text in (shown, *pages):
        assert not set(marks) - set("[2J31mgnorw") & set(text)
    assert all("\\u202egnorw" in text for text in (shown, *pages[:2]))
    assert pages[0].count("\n") > 10, "lines stay lines"

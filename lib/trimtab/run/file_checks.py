"""Two files, and predictions and outcomes beside them if there are any: should the model be made anew?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from trimtab.errors import DataError
from trimtab.files import array_in, table_in
from trimtab.measure.models.outputs import Array
from trimtab.overrides import tree_of
from trimtab.plain import plain
from trimtab.run.check import Asked, CheckResult, compared
from trimtab.run.plain_tables import window_of
from trimtab.run.said import Pair, said
from trimtab.run.terminal import show
from trimtab.settings.drift import DriftSettings
from trimtab.settings.section import Section
from trimtab.settings.triggers import Trigger
from trimtab.sources import READERS, suffix_of
from trimtab.wording import plural, probability


class _Rules(Section):
    """What may be set here."""

    drift: DriftSettings = DriftSettings()
    triggers: tuple[Trigger, ...] = ()


@dataclass(frozen=True)
class Beside:
    """Where predictions and what came are found, if anywhere: files, or columns of the two tables.

    Attributes
    ----------
    predictions, actuals : str or None
        Of the recent records; a column of this name is in both tables.
    baseline_predictions, baseline_actuals : str or None
        Of the reference's records, where the others are files.
    task : str or None
        "classification" or "regression", where what is there does not tell.
    """

    predictions: str | None = None
    actuals: str | None = None
    baseline_predictions: str | None = None
    baseline_actuals: str | None = None
    task: str | None = None


def check_files(
    reference: Path, recent: Path, beside: Beside, *, time: str | None = None, text: Collection[str] = (),
    segments: Sequence[str] = (), without: Collection[str] = (), overrides: Iterable[str] = (),
) -> CheckResult:
    """Compare two files as `check` compares two tables; larger ones than the memory, too.

    Parameters
    ----------
    overrides : iterable of str
        Keys of `drift` and `triggers` as in a params file: ``drift.psi_alert=0.2``.

    Raises
    ------
    DataError
        When a file cannot be read or used, or the two do not fit each other.
    ParamsError
        When an override is none.
    """
    rules = _Rules.told(tree_of(overrides), "")
    backend = ibis.duckdb.connect()
    tables = [(f"file {file}", table_in(backend, file)) for file in (reference, recent)]
    columns = [name for name in (beside.predictions, beside.actuals) if name is not None and _is_column(name, tables)]
    pairs = _pairs(backend, tables, beside, columns)
    others = [name for name in without if name not in columns]    # which are not compared in any case
    asked = Asked(time, text, segments, others, rules.drift, rules.triggers)
    two = [
        window_of(backend, name, table.drop(*[one for one in columns if one in table.columns]))
        for name, table in tables
    ]
    outcomes = None if pairs is None else said(
        pairs["recent"], pairs.get("reference"), task=beside.task, rows=[window.rows for window in two])
    return compared(backend, two, asked, outcomes)


def _is_column(name: str, tables: Sequence[tuple[str, ir.Table]]) -> bool:
    """Whether this is meant to be a column and no file: by what there is, or else by its having no ending."""
    if Path(name).is_file():
        return False
    return not Path(name).suffix or any(name in table.columns for _, table in tables)


def _pairs(
    backend: Any, tables: Sequence[tuple[str, ir.Table]], beside: Beside, columns: Collection[str]
) -> dict[str, Pair] | None:
    """Predictions and outcomes by side; None where there are none."""
    recent = beside.predictions, beside.actuals
    reference = beside.baseline_predictions, beside.baseline_actuals
    for pair in (recent, reference):
        if (pair[0] is None) != (pair[1] is None):
            raise DataError("predictions and actuals go together: how right is told by both")
    if recent[0] is None:
        if reference[0] is not None:
            raise DataError("baseline predictions need predictions of the recent records beside them")
        return None
    def _pair(place: int, names: tuple[str | None, str | None]) -> Pair:
        predicted, actual = (_values(backend, *tables[place], str(one), columns) for one in names)
        return predicted, actual

    found = {"recent": _pair(1, recent)}
    if reference[0] is None and set(columns) == set(recent) and set(columns) <= set(tables[0][1].columns):
        reference = recent
    if reference[0] is not None:
        found["reference"] = _pair(0, reference)
    return found


def _values(backend: Any, which: str, table: ir.Table, name: str, columns: Collection[str]) -> Array:
    """A column of the table, or what is in a file."""
    if name not in columns:
        file = Path(name)
        if READERS.get(suffix_of(name), "read_csv") == "read_csv":
            return array_in(file, lambda: int(backend.to_pyarrow(table.count()).as_py()))
        which, table = f"file {file}", table_in(backend, file)
        if len(table.columns) != 1:
            raise DataError(f"{file}: holds {len(table.columns)} columns, not one value per record")
        name = table.columns[0]
    if name not in table.columns:
        raise DataError(f"the {which} has no column {name!r}, and a file's name has an ending")
    if missing := backend.to_pyarrow(table[name].isnull().sum()).as_py():
        raise DataError(f"column {name!r} of the {which} has {plural(missing, 'missing value')}")
    found: Array = backend.to_pyarrow(table.select(name))[name].to_numpy()
    return found


def as_json(found: CheckResult) -> dict[str, Any]:
    """What `trimtab check --json` prints."""
    told: dict[str, Any] = plain({
        "records": {"reference": found.drift.reference_rows, "recent": found.drift.current_rows},
        "decision": found.decision, "drifted": found.drifted, "left_out": found.left_out,
        "signals": [_signal(vars(one)) for one in found.signals], "metrics": found.metrics,
    })
    return told


def _signal(fields: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "value", "threshold", "p_value", "severity", "columns", "message")
    return {name: fields[name] for name in names}


def tell(found: CheckResult) -> None:
    """The decision in a few lines for a person."""
    decision = found.decision
    if not decision.needs_retrain and decision.confidence < 0.5:    # a change, and none that is called high
        told = f"no retraining by the rules (severity {decision.severity}; " \
            f"probability that something changed {probability(1 - decision.confidence)})"
    else:
        asks = "retrain" if decision.needs_retrain else "no retraining needed"
        told = f"{asks} (severity {decision.severity}, confidence {probability(decision.confidence)})"
    show(f"decision: {told}")
    for reason in decision.reasons:
        show(f"  - {reason}")
    texts = sum(one.kind == "text" for one in found.drift.columns)    # each has a second row, of how long it is
    show(f"{found.drift.current_rows:,} records against {found.drift.reference_rows:,}: "
         f"{plural(len(found.drift.columns) - texts, 'column')} compared{' and how long texts are' if texts else ''}, "
         f"{len(found.drifted)} drifted"
         + (f": {', '.join(found.drifted)}" if found.drifted else ""))
    if found.left_out:
        show(f"left out: {', '.join(found.left_out)}")
    for side, metrics in found.metrics.items():
        show(f"{side}: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))

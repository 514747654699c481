"""Are the champion's classes found as often as on its holdout, each by itself and in each segment?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trimtab.measure.models import class_changes as classes
from trimtab.measure.models.class_changes import ClassBaseline, class_baseline
from trimtab.measure.models.class_rates import Rate, RateChange
from trimtab.measure.models.intervals import Measure
from trimtab.measure.models.outputs import Outputs
from trimtab.plain import plain
from trimtab.run.scored import Scored
from trimtab.run.session import Session

if TYPE_CHECKING:
    import pandas as pd


def rates_to_json(session: Session, records: pd.DataFrame, outputs: Outputs) -> dict[str, Any] | None:
    """What is kept of a version's evaluation about its classes; None in a regression.

    Parameters
    ----------
    records : DataFrame
        With times and segments.
    outputs : Outputs
        What it says of them, and what came; in the same order.
    """
    if not outputs.labels:
        return None
    told: dict[str, Any] = plain(
        _told(class_baseline(outputs, session.days(records), segments=session.segments(records)))
    )
    return told


def _told(known: ClassBaseline) -> dict[str, Any]:
    """With lists of pairs for what is by measure: JSON has texts for keys."""
    return {
        "shares": known.shares,
        "rates": [{"measure": measure, "rate": rate} for measure, rate in known.rates.items()],
        "weekdays": {weekday: _told(one) for weekday, one in known.weekdays.items()},
    }


def rates_from_json(kept: Mapping[str, Any]) -> ClassBaseline:
    """Read back what `rates_to_json` wrote."""
    rates = {Measure(**row["measure"]): _rate(row["rate"]) for row in kept["rates"]}
    weekdays = {int(weekday): rates_from_json(one) for weekday, one in kept["weekdays"].items()}
    return ClassBaseline(kept["shares"], rates, weekdays)


def _rate(kept: Mapping[str, Any]) -> Rate:
    known = {name: math.nan if kept[name] is None else kept[name] for name in ("value", "design")}
    return Rate(**{**kept, **known})


def class_changes(session: Session, scored: Scored) -> tuple[RateChange, ...] | None:
    """Every class in the window against the champion's holdout; None where either is not known."""
    version = session.ledger.version(session.champion.version)
    kept = ((version or {}).get("baseline") or {}).get("classes")
    said = scored.said
    if not kept or said is None or said.labelled is None:
        return None
    records = said.take(said.comparable).records
    return classes.class_changes(
        rates_from_json(kept), said.labelled, session.days(records), segments=session.segments(records)
    )

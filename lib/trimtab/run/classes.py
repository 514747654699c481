"""Are the champion's classes found as often as on its holdout, each by itself and in each segment?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.measure.models.class_rates import Rate, RateChange, class_rates, class_shares, rate_changes
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
    rates = class_rates(outputs, session.days(records), segments=session.segments(records))
    told: dict[str, Any] = plain({
        "shares": class_shares(outputs),
        "rates": [{"measure": measure, "rate": rate} for measure, rate in rates.items()],
    })
    return told


def rates_from_json(kept: Sequence[Mapping[str, Any]]) -> dict[Measure, Rate]:
    """Read back the rates that `rates_to_json` wrote."""
    return {Measure(**row["measure"]): _rate(row["rate"]) for row in kept}


def _rate(kept: Mapping[str, Any]) -> Rate:
    value, design = (math.nan if kept[name] is None else kept[name] for name in ("value", "design"))
    return Rate(value, kept["records"], kept["days"], design)


def class_changes(session: Session, scored: Scored) -> tuple[RateChange, ...] | None:
    """Every class in the window against the champion's holdout; None where either is not known."""
    version = session.ledger.version(session.champion.version)
    kept = ((version or {}).get("baseline") or {}).get("classes")
    said = scored.said
    if not kept or said is None or said.labelled is None:
        return None
    records = said.take(said.comparable).records
    now = class_rates(
        said.labelled, session.days(records), segments=session.segments(records), shares=kept["shares"]
    )
    return rate_changes(rates_from_json(kept["rates"]), now)

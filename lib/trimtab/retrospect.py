"""What do tables say of how a model has done so far, and of how well that was foretold?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.cells import number, percent, sentence, span, table

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.run.history import History

_KEPT = {True: "yes", False: "no", None: "not known"}


def intervals(past: History) -> Styler:
    """How far the answers for single records reach now and on the holdout, and how often outcomes lie within."""
    now, before = past.promises, past.promises_before
    if now is None or not now.days:
        return sentence("This version has no prediction intervals for this window: they are made from a holdout that "
                        "is kept of it, and for classes from probabilities.")
    rows = [
        {"over": name, "records": f"{one.rows:,}", "mean width": number(one.width), "narrow": one.narrow,
         "held": one.coverage.value, "interval": span(one.coverage.low, one.coverage.high), "enough": _KEPT[one.kept]}
        for name, one in (("this window", now), ("its own holdout", before)) if one is not None and one.days
    ]
    return table(
        rows, caption=f"Prediction intervals that are to hold {percent(now.promised)} of the outcomes",
        formats={"narrow": percent, "held": percent}, marks={"enough": {"no": "warn"}},
    )

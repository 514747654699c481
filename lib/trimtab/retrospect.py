"""What do tables say of how a model has done so far, and of how well that was foretold?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.cells import number, percent, sentence, span, table

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.run.foretold import Foretelling
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


def foretold(told: Foretelling) -> Styler:
    """How near the estimates of past checks have come, beside saying that nothing has changed."""
    rows = [
        {"metric": name, "windows": one.windows, "apart": one.apart, "doubtful": one.doubtful,
         "estimate was off by": one.error, "nothing has changed": one.unchanged, "estimate nearer": one.nearer,
         "realised within range": one.inside}
        for name, one in told.records.items() if one.windows
    ]
    if not rows:
        return sentence("No estimate of this version could be held against outcomes yet.")
    return table(
        rows, caption="Estimates of past windows held against what came: mean absolute errors",
        formats={"estimate was off by": number, "nothing has changed": number, "estimate nearer": percent,
                 "realised within range": percent},
    )

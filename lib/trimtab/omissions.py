"""What did a check not look at, and why? One line, so that sections with nothing in them need none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.cells import sentence

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.measure.columns.drift import Drift
    from trimtab.run.foretold import Foretelling
    from trimtab.run.history import History
    from trimtab.settings.data import Data


def not_looked_at(
    data: Data, *, lately: Drift | None, told: Foretelling, past: History
) -> Styler | None:
    """What there was nothing of, in one sentence; None where everything was looked at.

    Parameters
    ----------
    data : Data
        What is watched.
    lately : Drift or None
        Since the window before.
    told : Foretelling
        Past estimates.
    past : History
        The champion's days.
    """
    reasons = {
        "words (no text column is watched)": not data.text,
        "segments (none are named under data.segments)": not data.segments,
        "rates and confidences (none are named)": not (data.rates or data.confidences or data.extractions),
        "outcomes (no column of them is named under data.label)": data.label is None,
        "the window before (it has no records)": lately is None,
        "past estimates (none could be held against outcomes yet)": not has_been_foretold(told),
        "prediction intervals (they are made from a holdout that is kept, and for classes from probabilities)":
            not has_intervals(past),
    }
    found = [reason for reason, missing in reasons.items() if missing]
    return sentence(f"Not looked at: {', '.join(found)}.") if found else None


def has_been_foretold(told: Foretelling) -> bool:
    """Whether any past estimate could be held against what came."""
    return any(one.windows for one in told.records.values())


def has_intervals(past: History) -> bool:
    """Whether the champion's answers in the current window have prediction intervals."""
    return past.promises is not None and bool(past.promises.days)

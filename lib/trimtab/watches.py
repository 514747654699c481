"""What does it look like when a new champion is watched, and when an old one is looked for?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trimtab.canvas import ALARM, DARK, LIGHT, Picture, empty, entitle, one_pair_of_axes
from trimtab.cells import count, facts, moment, number, table
from trimtab.wording import plural

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.run.rollbacks import Search
    from trimtab.run.watching import Watch


def watched(seen: Watch) -> Styler:
    """Both models, the difference with its interval, and what follows."""
    promotion, window, evidence = seen.promotion, seen.window, seen.finding.evidence
    if promotion is None or window is None:
        return facts({"watched": "nothing"}, "The watch")
    told = {
        "new champion": f"version {promotion.version}, promoted as of {moment(promotion.dated or promotion.as_of)}",
        "compared with": f"version {promotion.previous}",
        "records since": f"{count(window.rows)}, {count(window.labelled)} of them with an outcome",
    }
    if promotion.dated:
        told["that is later than now, and counts as"] = moment(promotion.as_of)
    if evidence is not None:
        gain = evidence.gain
        told |= {f"{seen.metric} of version {version} ({evidence.way})": number(value)
                 for version, value in seen.values.items()}
        told["gain, relative"] = _share(gain.value)
        told[f"its interval ({gain.confidence:.0%})"] = f"{_share(gain.low)} to {_share(gain.high)}"
        told["compared on"] = plural(evidence.records, "record")
    told["rolled back when"] = f"worse by more than {seen.max_drop:.1%}, and the whole interval below 0"
    return facts(told | {"finding": seen.finding.outcome.replace("_", " ")}, "The watch")


def tried(found: Search) -> Styler:
    """The versions that were tried, in order, and what came of each."""
    rows = [
        {"version": one.version, "can serve": "no" if one.proof is None else "yes", "why not": one.problem}
        for one in found.tried
    ]
    return table(rows, caption="Versions that were tried", formats={"version": count},
                 marks={"can serve": {"yes": "good", "no": "bad"}})


def relative_gain(seen: Watch) -> Picture:
    """Is the new champion worse? Its gain over the one before with its interval, and the drop that is allowed."""
    evidence = seen.finding.evidence
    if evidence is None or not all(map(math.isfinite, (evidence.gain.value, evidence.gain.low, evidence.gain.high))):
        return empty({"nothing": "There is nothing to watch", "keep": "The two cannot be compared",
                      "roll_back": "The new champion cannot serve"}.get(seen.finding.outcome, "Too early to tell"))
    low, value, high = (100 * one for one in (evidence.gain.low, evidence.gain.value, evidence.gain.high))
    gone = seen.finding.outcome == "roll_back"
    figure, axes = one_pair_of_axes(9, 1.6)
    allowed = -100 * seen.max_drop
    left, right = min(low, allowed), max(high, 0.0)
    room = 0.1 * (right - left)
    axes.axvspan(left - room, allowed, color=LIGHT, alpha=0.45, linewidth=0)
    axes.axvline(0, color="black", linewidth=1.6)
    axes.plot([low, high], [0, 0], color=ALARM if gone else DARK, linewidth=2.5)
    axes.plot(value, 0, "X" if gone else "o", color=ALARM if gone else DARK, markersize=10, markeredgecolor="white")
    axes.set(xlim=(left - room, right + room), ylim=(-1, 1), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"gain in {seen.metric} over the version before, in percent of its own ({evidence.way}); "
                    "shaded: more than the allowed drop")
    answer = {"roll_back": "Worse, and more than is allowed: rolled back", "keep": "Not worse beyond chance and bound: "
              "it stays"}.get(seen.finding.outcome, "Looks worse, but the estimate is doubtful")
    entitle(axes, answer)
    return figure


def _share(value: float) -> str:
    return f"{value:+.1%}" if math.isfinite(value) else "–"

"""What does a check conclude, as tables? Its signals, the decision, and what must hold before that is carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trimtab.cells import Format, count, listed, nothing, number, p_value, percent, table
from trimtab.decide.severity import rank
from trimtab.wording import probability

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from trimtab.decide.decision import Decision
    from trimtab.decide.guardrails import Check, Guard
    from trimtab.decide.signals import Signal

_SEVERITIES = {"critical": "bad", "high": "bad", "medium": "warn"}
_UNITS: Mapping[str, Format] = {
    **dict.fromkeys(("feature_drift", "prediction_drift", "class_balance", "word_drift", "segment_drift"),
                    lambda v: f"PSI {v:.2f}"),
    **dict.fromkeys(("performance_drop", "outliers", "label_completeness", "unseen_levels", "out_of_range"), percent),
    "unseen_words": percent, "word_shift": lambda v: f"h {v:.2f}",
    **dict.fromkeys(("concept_drift", "estimated_drop", "growth", "unusable_outputs", "class_drop"), percent),
    "joint_drift": lambda v: f"AUC {v:.3f}",
    **dict.fromkeys(("feature_shift", "prediction_shift"), lambda v: f"{number(v)} σ"),
    "rate_drop": percent, "confidence_shift": lambda v: f"{number(v)} σ",
    "missing_values": lambda v: f"{number(100 * v)} pp",
    "new_records": count, "model_age": lambda v: f"{number(v)} days",
    "schedule": count,
}


def signals(found: Sequence[Signal]) -> Styler:
    """All signals of a check, the most serious first."""
    rows = [
        {
            "signal": s.name, "severity": s.severity, "value": with_unit(s.name, s.value),
            "threshold": with_unit(s.name, s.threshold), "p": s.p_value, "in words": s.message,
        }
        for s in sorted(found, key=lambda s: -rank(s.severity))
    ]
    passed, untested = sum(s.severity != "none" for s in found), sum(s.untested for s in found)
    told = f"{passed} of {len(found)} signals count: beyond a threshold, and beyond chance"
    told += f"; {untested} could not be tested" if untested else ""
    return table(
        rows or [{"": "nothing was measured"}], caption=told,
        formats={"p": p_value}, marks={"severity": _SEVERITIES},
    )


def with_unit(name: str, value: float) -> str:
    """A signal's value as reports write it."""
    return "–" if nothing(value) else _UNITS.get(name, number)(value)


def decision(made: Decision) -> Styler:
    """A decision with its reasons."""
    answer = "Retraining is asked for" if made.needs_retrain else "Retraining is not asked for"
    rows = [{"reasons": reason} for reason in made.reasons] or [{"reasons": "No signal passed its threshold."}]
    causes = f"; columns concerned: {listed(made.root_causes)}" if made.root_causes else ""
    told = f"{answer} (severity {made.severity}, confidence {probability(made.confidence)}){causes}"
    told += "; below one half: the evidence leans the other way, without being strong enough" \
        if made.confidence < 0.5 else ""
    told += f"; could not be tested: {listed(made.untested)}" if made.untested else ""
    return table(rows, caption=told)


def guard(checked: Guard) -> Styler:
    """Every safeguard with its evidence."""
    words = "Retraining is allowed" if checked.allowed else f"Retraining is blocked by {', '.join(checked.blocked_by)}"
    return checks(checked.checks, words, what="safeguard")


def checks(seen: Sequence[Check], caption: str, *, what: str = "must hold") -> Styler:
    """Checks with their evidence, whether they passed or not."""
    rows = [{what: c.name, "passed": "yes" if c.passed else "no", "evidence": c.evidence} for c in seen]
    return table(rows or [{what: "nothing"}], caption=caption, marks={"passed": {"yes": "good", "no": "bad"}})

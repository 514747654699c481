"""What do the segments tell that all records together do not?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from trimtab.decide.signals import Measurement
from trimtab.measure.columns.segments import SegmentColumn, SegmentDrift
from trimtab.settings.drift import DriftSettings

_NAME = "segment_drift"


def segment_drift(found: SegmentDrift, settings: DriftSettings) -> Measurement:
    """The largest shift of a column in a segment beyond the other records, among those that chance does not explain.

    It is no evidence for or against a change that asks for retraining: by default it is graded medium at most.
    """
    if not found.looked_at:
        why = f" ({found.left_out[0].why})" if found.left_out else ""
        return Measurement(_NAME, math.nan, f"No segment could be tested{why}.")
    moved = found.drifted(**settings.bounds)
    certain = [one for one in found.columns if _certain(one, settings)]
    worst = max(certain or found.columns, key=_size, default=None)
    return Measurement(
        _NAME, _size(worst) if worst else 0.0, _told(found, moved, settings), significant=bool(certain),
        p_value=worst.drift["psi"].q_value if worst else math.nan,
        columns=tuple(dict.fromkeys(one.drift.name for one in moved)),
    )


def _size(one: SegmentColumn) -> float:
    """PSI beyond chance and beyond the other records; 0 where it could not be tested."""
    size = one.drift["psi"].size
    return 0.0 if math.isnan(size) else min(size, one.sizes.get("psi", 0.0))


def _certain(one: SegmentColumn, settings: DriftSettings) -> bool:
    shift = one.drift["psi"]
    return shift.q_value <= settings.alpha and _size(one) > shift.floor


def _told(found: SegmentDrift, moved: Sequence[SegmentColumn], settings: DriftSettings, most: int = 3) -> str:
    where = f"in {len(found.segments)} segments" if len(found.segments) > 1 else f"where {found.segments[0]}"
    if not moved:
        return f"No column moved {where} beyond what the other records did, chance and natural variation explain."
    shown = ", ".join(f"{one} ({one.moved(**settings.bounds)[0]})" for one in moved[:most])
    more = f" and {len(moved) - most} more" if len(moved) > most else ""
    told = f"{len(moved)} of {found.looked_at} pairs of column and segment moved beyond what the other records did"
    return f"{told}: {shown}{more}."

"""Has the joint distribution of the watched columns moved, though each of them may look as before?

A classifier tries to tell current records from those of the reference, of which a few thousand are kept as the bins
that they fall into. How well it does between stretches of the reference itself says what is natural.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimtab.measure.columns.profiling import DAY
from trimtab.measure.models.outputs import Array
from trimtab.measure.together.domain import Separation, tell_apart
from trimtab.measure.together.reconstruction import Reconstruction, reconstruct
from trimtab.measure.together.samples import Sample, encode
from trimtab.measure.together.stretches import natural_area
from trimtab.run.profiles import digest
from trimtab.run.session import Session
from trimtab.windows import Window

KEPT = 5000


@dataclass(frozen=True)
class Joint:
    """The current window against the reference, all columns together.

    Attributes
    ----------
    separation : Separation
        How well the two can be told apart, and by which columns or pairs.
    reconstruction : Reconstruction
        How well current records are rebuilt from what holds the reference's columns together.
    floor : float
        The largest area under the curve by which a stretch of the reference, as long as the current window, could be
        told from the rest of it; 0.5 where that is not known.
    """

    separation: Separation
    reconstruction: Reconstruction
    floor: float

    @property
    def carriers(self) -> tuple[str, ...]:
        """The columns and pairs that carry the difference, those that carry most of it first."""
        return tuple(" with ".join(one.columns) for one in self.separation.carriers)


def joint(session: Session, window: Window) -> Joint:
    """Compare a window's records with the reference's.

    Parameters
    ----------
    window : Window
        The current one.
    """
    key = _key(session)
    reference, days = _reference(session, key)
    current, _ = _sample(session, window)
    length = max(round((window.end - window.start).total_seconds() / 86400), 1)
    floor = _natural(session, digest([key, "natural area", length]), reference, days, length)
    return Joint(tell_apart(reference, current), reconstruct(reference, current), floor)


def _key(session: Session) -> str:
    """Under which what was drawn from the reference is kept."""
    window = session.reference_window()
    return digest([session.profiles.key(session.bins), window.start, window.end, window.rows])


def _natural(session: Session, key: str, reference: Sample, days: Array, length: int) -> float:
    """How well stretches of the reference can be told from the rest of it; measured once for each length, and kept."""
    kept = session.ledger.profile(key)
    if kept is not None:
        return float(kept["area"])
    area = natural_area(reference, days, length=length)
    session.ledger.save_profile(key, f"natural area of {length} days", {"area": area})
    return area


def _reference(session: Session, key: str) -> tuple[Sample, Array]:
    """The records that stand for the reference; drawn once and kept."""
    kept = session.ledger.days.sample(key)
    if kept is not None:
        return kept
    drawn = _sample(session, session.reference_window())
    session.ledger.days.keep_sample(key, *drawn)
    return drawn


def _sample(session: Session, window: Window) -> tuple[Sample, Array]:
    rows = session.records.sampled(window, session.watched, KEPT)
    bins = session.bins
    values = {name: rows[name].to_numpy(zero_copy_only=False) for name in bins}
    found = encode(values, bins)
    days = rows[DAY].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    if len(found) <= KEPT:
        return found, days
    chosen = np.sort(np.random.default_rng(0).choice(len(found), KEPT, replace=False))
    return found.take(chosen), days[chosen]

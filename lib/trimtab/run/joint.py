"""Has the joint distribution of the watched columns moved, though each of them may look as before?

A classifier tries to tell current records from those of the reference, of which a few thousand are kept as the bins
that they fall into. How well it does between stretches of the reference itself, which resemble the window in length and
weekday, says what is natural.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from trimtab.measure.columns.watched import DAY
from trimtab.measure.models.outputs import Array
from trimtab.measure.together.domain import Separation, tell_apart
from trimtab.measure.together.reconstruction import Reconstruction, reconstruct
from trimtab.measure.together.samples import Sample, encode
from trimtab.measure.together.stretches import Stretch, natural_area, stretches
from trimtab.run.profiles import digest
from trimtab.run.session import Session
from trimtab.windows import Window

KEPT = 5000
OF_STRETCH = 1500    # records of each: an area that rests on more is hardly another
RESOLUTION = timedelta(microseconds=1)


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
        The area under the curve that one more stretch, like those of the reference that resemble the current window,
        would rarely exceed; 0.5 where that is not known.
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
    current, _ = _sample(session, window, KEPT)
    alike = stretches(_ends(session.reference_window()), _ends(window))
    floor = _natural(session, digest([key, "natural area", alike]), reference, days, alike)
    return Joint(tell_apart(reference, current), reconstruct(reference, current), floor)


def _ends(window: Window) -> Stretch:
    return window.start, window.end


def _key(session: Session) -> str:
    """Under which what was drawn from the reference is kept."""
    window = session.reference_window()
    return digest([session.profiles.key(session.bins), window.start, window.end, window.rows, "joint"])


def _natural(session: Session, key: str, reference: Sample, days: Array, alike: Sequence[Stretch]) -> float:
    """How well stretches of the reference can be told from the rest of it; measured once for the same, and kept."""
    kept = session.ledger.profile(key)
    if kept is not None:
        return float(kept["area"])
    found = [_apart(session, reference, days, stretch) for stretch in alike]
    area = natural_area(found, alpha=session.thresholds.alpha)
    session.ledger.save_profile(key, f"natural area of {len(alike)} stretches", {"area": area})
    return area


def _apart(session: Session, reference: Sample, days: Array, stretch: Stretch) -> Separation:
    """A stretch of the reference against what the sample has of the days that it does not touch."""
    start, end = stretch
    window = session.records.between("stretch", start, end, labelled=session.reference_window().outcomes_only)
    part, _ = _sample(session, window, OF_STRETCH)
    first, last = (np.datetime64(one, "D") for one in (start, end - RESOLUTION))
    return tell_apart(reference.take((days < first) | (days > last)), part)


def _reference(session: Session, key: str) -> tuple[Sample, Array]:
    """The records that stand for the reference; drawn once and kept."""
    kept = session.ledger.days.sample(key)
    if kept is not None:
        return kept
    drawn = _sample(session, session.reference_window(), KEPT)
    session.ledger.days.keep_sample(key, *drawn)
    return drawn


def _sample(session: Session, window: Window, most: int) -> tuple[Sample, Array]:
    """Records of a window, without parts of their time: by these any two windows can be told apart."""
    watched = replace(session.watched, calendar=())
    rows = session.records.sampled(window, watched, most)
    bins = {name: frozen for name, frozen in session.bins.items() if name in rows.column_names}
    values = {name: rows[name].to_numpy(zero_copy_only=False) for name in bins}
    found = encode(values, bins)
    days = rows[DAY].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    if len(found) <= most:
        return found, days
    chosen = np.sort(np.random.default_rng(0).choice(len(found), most, replace=False))
    return found.take(chosen), days[chosen]

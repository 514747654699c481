"""What of a window is counted already? Each day is counted once, by bins frozen on the reference, and kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from trimtab.act.ledger import Ledger
from trimtab.measure.columns import bins as binning
from trimtab.measure.columns.bins import BinTable
from trimtab.measure.columns.days import Days
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.profiling import Watched
from trimtab.plain import plain
from trimtab.records import Records
from trimtab.windows import Window


@dataclass(frozen=True)
class Profiles:
    """Profiles of windows of the same records.

    Attributes
    ----------
    watched : Watched
        The columns that are counted.
    place : tuple of str
        Where the records are and whose they are; what was counted elsewhere is not these records' count.
    """

    records: Records
    ledger: Ledger
    watched: Watched
    place: tuple[str | None, ...]

    def reference(self, window: Window) -> Profile:
        """The profile that bins are frozen on; made once, and never counted again."""
        key = _hash([self.place, plain(self.watched), window.start, window.end, window.rows])
        kept = self.ledger.profile(key)
        if kept is not None:
            found = Profile.from_json(kept)
            days = self.ledger.days.counted(self.key(found.bins), found.bins, *_whole_days(window))
            return replace(found, days=days)
        bins = self.records.freeze(window, self.watched)
        profile = self.of(window, bins)
        name = f"reference {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}"
        self.ledger.save_profile(key, name, profile.to_json())
        return profile

    def of(self, window: Window, bins: BinTable) -> Profile:
        """A window's profile: the sum of its days, of which only those that are new or have changed are counted."""
        expected = self.records.rows_by_day(window)
        key, (first, last) = self.key(bins), _whole_days(window)
        kept = self.ledger.days.counted(key, bins, first, last).matching(expected)
        known = set(kept.dates.tolist())
        found = kept | self._count(window, bins, expected.keys() - known, len(expected))
        whole = [day for day in found.dates.tolist() if first <= day <= last]
        self.ledger.days.keep(key, found.only([day for day in whole if day not in known]))
        return replace(found.total(), days=found.only(whole))

    def _count(self, window: Window, bins: BinTable, days: set[date], all_days: int) -> Days:
        if not days:
            return Days.of(bins, {})
        if len(days) < all_days:
            window = self.records.on_days(window, sorted(days))
        return self.records.days(window, self.watched, bins)

    def key(self, bins: BinTable) -> str:
        """Under which what was counted of these records by these bins is kept."""
        return _hash([self.place, {name: binning.digest(one) for name, one in bins.items()}])


def _whole_days(window: Window) -> tuple[date, date]:
    """The first and the last day that lie in the window as a whole; the last is before the first if none does."""
    first, last = window.start.date(), window.end.date() - timedelta(days=1)
    return (first if datetime.combine(first, time()) >= window.start else first + timedelta(days=1)), last


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(plain(content)).encode()).hexdigest()


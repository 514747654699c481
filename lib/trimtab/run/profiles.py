"""What of a window is counted already? Each day is counted once, by bins frozen on the reference, and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from trimtab.act.daybook import AnyDays
from trimtab.act.ledger import Ledger
from trimtab.measure.columns import bins as binning
from trimtab.measure.columns.bins import BinTable
from trimtab.measure.columns.days import LAYOUT, Days
from trimtab.measure.columns.profile import Profile
from trimtab.measure.columns.watched import Watched
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
        key = digest([LAYOUT, self.place, plain(self.watched), window.start, window.end, window.rows])
        kept = self.ledger.profile(key)
        if kept is not None:
            found = Profile.from_json(kept)
            days = self.ledger.days.counted(self.key(found.bins), found.bins, *whole_days(window))
            return replace(found, days=days)
        bins = self.records.freeze(window, self.watched)
        profile = self.of(window, bins)
        name = f"reference {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}"
        self.ledger.save_profile(key, name, profile.to_json())
        return profile

    def of(self, window: Window, bins: BinTable) -> Profile:
        """A window's profile: the sum of its days, of which only those that are new or have changed are counted."""
        none = Days.of(bins, {})
        found, whole = counted_once(
            self.records, self.ledger, window, self.key(bins), none,
            lambda part: self.records.days(part, self.watched, bins),
        )
        return replace(found.total(), days=whole)

    def key(self, bins: BinTable) -> str:
        """Under which what was counted of these records by these bins is kept."""
        return digest([LAYOUT, self.place, {name: binning.digest(one) for name, one in bins.items()}])


def counted_once(
    records: Records, ledger: Ledger, window: Window, key: str, none: AnyDays, count: Callable[[Window], AnyDays]
) -> tuple[AnyDays, AnyDays]:
    """Counts of a window by day, of which only days that are new or have changed are counted.

    Parameters
    ----------
    key : str
        Under which these counts are kept.
    none : Daily
        No days, by the same definition.
    count : callable
        Counts a part of the window by day.

    Returns
    -------
    tuple of Daily
        All days, and those that lie in the window as a whole, which are kept.
    """
    expected, (first, last) = records.rows_by_day(window), whole_days(window)
    kept = ledger.days.kept(key, none, first, last).matching(expected)
    known = set(kept.dates.tolist())
    new = expected.keys() - known
    part = records.on_days(window, sorted(new)) if new and known else window
    found = kept | (count(part) if new else none)
    whole = [day for day in found.dates.tolist() if first <= day <= last]
    ledger.days.keep(key, found.only([day for day in whole if day not in known]))
    return found, found.only(whole)


def whole_days(window: Window) -> tuple[date, date]:
    """The first and the last day that lie in the window as a whole; the last is before the first if none does."""
    first, last = window.start.date(), window.end.date() - timedelta(days=1)
    return (first if datetime.combine(first, time()) >= window.start else first + timedelta(days=1)), last


def digest(content: Any) -> str:
    """Under which key something is kept that follows from this content."""
    return hashlib.sha256(json.dumps(plain(content)).encode()).hexdigest()


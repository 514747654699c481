"""Does the new champion keep what it promised, or is it so much worse than the one before that it has to go?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from trimtab.measure.models.intervals import Interval
from trimtab.settings.promotion import Rollback
from trimtab.wording import plural

ENOUGH = 500    # records with outcomes from which on an interval is taken as it is
Outcome = Literal["roll_back", "keep", "too_early", "nothing"]
Way = Literal["realised", "estimated"]


@dataclass(frozen=True)
class Promotion:
    """A promotion that replaced a champion, and that is still watched.

    Attributes
    ----------
    version, previous : int
        The new champion and the one before.
    as_of : datetime
        The time at which it was promoted: records from then on are new to both.
    dated : datetime or None
        What it is dated, where that is later than now, so that another time counts.
    """

    version: int
    previous: int
    as_of: datetime
    dated: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """What is known of both on the same new records.

    Attributes
    ----------
    way : str
        realised, or estimated while outcomes are missing.
    gain : Interval
        Of the new champion over the one before, relative to that: -0.1 is a tenth worse, whichever way the metric goes.
    records : int
        That it rests on.
    doubts : tuple of str
        What is known to speak against an estimate, each in a sentence.
    """

    way: Way
    gain: Interval
    records: int
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What becomes of the new champion.

    Attributes
    ----------
    outcome : str
        roll_back, keep, too_early (nothing can be said yet) or nothing (there is nothing to watch).
    reason : str
        In one sentence.
    """

    outcome: Outcome
    reason: str
    evidence: Evidence | None = field(default=None)


def under_watch(
    changes: Sequence[Mapping[str, Any]], champion: int | None, as_of: datetime, watch: timedelta,
    looks: Sequence[tuple[datetime, datetime]] = (),
) -> Promotion | None:
    """The promotion that is to be watched; None when there is none.

    Parameters
    ----------
    changes : sequence of mapping
        Of the champion, oldest first, as the ledger keeps them. A promotion that is dated later than now (the clock
        went back, or this is a replay) counts as made when it was written down, or now, if that is later, too. One
        that the next change took back counts as none, so that what served before it is watched to its end.
    champion : int or None
        Who serves now.
    as_of : datetime
        The time to stand at.
    watch : timedelta
        For how long a new champion is watched, the end included; from the very moment of its promotion there is no
        new record yet.
    looks : sequence of (datetime, datetime)
        Runs that looked at whoever served: the time that each stood at, and the clock when it began. While there is
        none since the promotion, it is watched however late it is, so that no champion goes unseen because the first
        run after it came late.

    Examples
    --------
    >>> made = {"kind": "promotion", "state": "done", "from_version": 1, "to_version": 2, "as_of": datetime(2024, 4, 1),
    ...         "created_at": datetime(2024, 4, 1)}
    >>> under_watch([made], 2, datetime(2024, 4, 1, 12), timedelta(hours=24)).previous
    1
    >>> under_watch([made], 2, datetime(2024, 4, 3), timedelta(hours=24)).previous    # nobody has looked yet
    1
    >>> look = datetime(2024, 4, 2), datetime(2024, 4, 2)
    >>> under_watch([made], 2, datetime(2024, 4, 3), timedelta(hours=24), [look]) is None
    True
    """
    done = _settled([row for row in changes if row["state"] == "done"])
    if not done or done[-1]["kind"] != "promotion" or done[-1]["to_version"] != champion:
        return None
    last = done[-1]
    if last["from_version"] is None or last["from_version"] == champion or last["as_of"] is None:
        return None
    dated = last["as_of"] if last["as_of"] > as_of else None
    start = min(last["created_at"], as_of) if dated else last["as_of"]
    seen = any(stood > start and began >= last["created_at"] for stood, began in looks)
    if (start == as_of and not dated) or (as_of - start > watch and seen):
        return None
    return Promotion(last["to_version"], last["from_version"], start, dated)


def _settled(done: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Changes without promotions that the very next change took back: what served before them is watched on."""
    kept: list[Mapping[str, Any]] = []
    for row in done:
        ends = row["to_version"], row["from_version"]
        if kept and (row["kind"], kept[-1]["kind"]) == ("rollback", "promotion") \
                and (kept[-1]["from_version"], kept[-1]["to_version"]) == ends:
            kept.pop()
        else:
            kept.append(row)
    return kept


def looked_at(labelled: int) -> int:
    """Of so many records with outcomes, how many, the oldest, a champion is judged by.

    A watch looks again and again, and chance has its say only where something new is looked at. So it looks only each
    time that there are twice as many: at 500 records, at these halved or doubled.

    Examples
    --------
    >>> [looked_at(labelled) for labelled in (30, 32, 100, 499, 500, 999, 1000, 5000)]
    [30, 32, 63, 250, 500, 500, 1000, 4000]
    """
    if labelled >= ENOUGH:
        return int(ENOUGH * 2 ** math.floor(math.log2(labelled / ENOUGH)))
    halved = (math.ceil(ENOUGH / 2**times) for times in range(1, 5))
    return next((one for one in halved if one <= labelled), labelled)


def widened(interval: Interval, records: int) -> Interval:
    """An interval that allows for having been looked at before, when there were fewer records.

    Both sides grow by the fourth root of `ENOUGH / records` where there are fewer than that, so that early signs have
    to be stronger (Wang and Tsiatis, Approximately optimal one-parameter boundaries for group sequential trials,
    Biometrics 43, 1987, with a shape of 0.25).

    Examples
    --------
    >>> found = widened(Interval(-0.10, -0.20, -0.02, 0.95, 0.05), 125)
    >>> round(found.low, 3), round(found.high, 3)
    (-0.241, 0.013)
    """
    by = max(1.0, ENOUGH / records) ** 0.25 if records else math.inf
    below, above = interval.value - interval.low, interval.high - interval.value
    return replace(interval, low=interval.value - by * below, high=interval.value + by * above)


def judge(promotion: Promotion, settings: Rollback, evidence: Evidence | None, records: int) -> Finding:
    """Whether the new champion goes.

    It goes when it is worse by more than `rollback.max_drop`, as a share of what the one before reaches, and the whole
    interval of that says worse. So a difference that may be chance, or one that hardly matters, moves nothing.

    Parameters
    ----------
    evidence : Evidence or None
        None where neither outcomes nor an estimate are there.
    records : int
        That are new to both.

    Examples
    --------
    >>> one = Promotion(2, 1, datetime(2024, 4, 1))
    >>> seen = Evidence("realised", Interval(-0.12, -0.17, -0.07, 0.95, 0.025), 500)
    >>> judge(one, Rollback(), seen, 600).outcome
    'roll_back'
    >>> judge(one, Rollback(), None, 0).reason
    'Too early to tell: no record has come since version 2 was promoted (2024-04-01 00:00).'
    """
    if evidence is None:
        return Finding("too_early", f"Too early to tell: {_why_early(promotion, settings, records)}.")
    gain = evidence.gain
    told = _told(promotion, settings, evidence)
    if not all(map(math.isfinite, (gain.value, gain.low, gain.high))):
        return Finding("too_early", f"Too early to tell: {settings.metric} of the two cannot be compared "
                                    f"({evidence.way}, {plural(evidence.records, 'record')}).", evidence)
    if not (gain.value < -settings.max_drop and gain.high < 0):
        return Finding("keep", f"{told}: version {promotion.version} serves on.", evidence)
    if evidence.doubts:
        return Finding("too_early", f"{told}, but the estimate is doubtful: {'; '.join(evidence.doubts)}.", evidence)
    return Finding("roll_back", f"{told}: version {promotion.version} is rolled back.", evidence)


def broken(promotion: Promotion, problem: str) -> Finding:
    """The new champion cannot do its work at all.

    >>> broken(Promotion(2, 1, datetime(2024, 4, 1)), "its file is missing").outcome
    'roll_back'
    """
    return Finding("roll_back", f"Version {promotion.version} cannot serve and is rolled back: {problem.rstrip('.')}.")


def incomparable(promotion: Promotion, problem: str) -> Finding:
    """The version before cannot be asked, so it can neither be compared with nor returned to.

    >>> incomparable(Promotion(2, 1, datetime(2024, 4, 1)), "its file is missing").outcome
    'keep'
    """
    told = f"Version {promotion.previous} cannot be compared with: {problem.rstrip('.')}"
    return Finding("keep", f"{told}. Version {promotion.version} serves on.")


def _told(promotion: Promotion, settings: Rollback, evidence: Evidence) -> str:
    gain = evidence.gain
    how = "worse" if gain.value < 0 else "better"
    return (
        f"By {settings.metric} ({evidence.way}, {plural(evidence.records, 'record')}) version {promotion.version} is "
        f"{abs(gain.value):.1%} {how} than version {promotion.previous} ({gain.low:+.1%} to {gain.high:+.1%}; up to "
        f"{settings.max_drop:.1%} worse, or worse by chance, is allowed)"
    )


def _why_early(promotion: Promotion, settings: Rollback, records: int) -> str:
    if not records:
        when = f"{promotion.as_of:%Y-%m-%d %H:%M}"
        if promotion.dated:
            when = f"dated {promotion.dated:%Y-%m-%d %H:%M}, later than now; {when} counts"
        return f"no record has come since version {promotion.version} was promoted ({when})"
    return (
        f"of {plural(records, 'record')} since version {promotion.version} was promoted "
        f"fewer than {settings.min_support:,} "
        f"have outcomes, and {settings.metric} of both cannot be estimated without"
    )

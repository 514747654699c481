"""May retraining start now? Every safeguard is checked and shown, whether it holds or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from trimtab.decide.decision import Decision
from trimtab.decide.severity import rank
from trimtab.settings.guardrails import Guardrails, QuietHours
from trimtab.settings.notation import format_duration
from trimtab.settings.triggers import Severity

BUDGET_DAYS = 30
LEEWAY, MOST_LEEWAY = 0.1, timedelta(hours=2)    # for how unpunctual checks may be that confirm: a share, and at most
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Check:
    """One safeguard, whether it passed, and the evidence in words."""

    name: str
    passed: bool
    evidence: str


@dataclass(frozen=True)
class Guard:
    """All safeguards together.

    Attributes
    ----------
    checks : tuple of Check
        In the order of the settings.
    """

    checks: tuple[Check, ...]

    @property
    def allowed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """Names of the checks that did not pass."""
        return tuple(check.name for check in self.checks if not check.passed)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Those checks with their evidence, in words.

        Examples
        --------
        >>> Guard((Check("master", False, "guardrails.master is off"),)).obstacles
        ('master: guardrails.master is off',)
        """
        return tuple(f"{check.name}: {check.evidence}" for check in self.checks if not check.passed)

    @property
    def waits_for_a_person(self) -> bool:
        """Whether approval is all that is missing."""
        return self.blocked_by == ("approval",)


@dataclass(frozen=True)
class Asked:
    """What an earlier check said."""

    as_of: datetime
    needs_retrain: bool
    severity: Severity


@dataclass(frozen=True)
class Circumstances:
    """What the safeguards need to know beside the decision.

    Attributes
    ----------
    training_records : int
        Labelled records that a challenger would learn from.
    as_of : datetime
        The time of the run, in UTC.
    recent_records : int or None
        Those of them that are newer than what the champion was made from; None where that is not known.
    tenant : str or None
        Whose model it is.
    retrained : sequence of datetime
        `as_of` of every attempt to retrain, other than this run's, oldest first. One that is later than now (the
        clock went back, or this is a replay) counts as made now: going back in time frees nothing.
    rolled_back : datetime or None
        `as_of` of the newest rollback; taken likewise.
    asked : sequence of Asked
        What earlier checks of this champion said, oldest first.
    approved_by : str or None
        Who has approved this retraining; None while nobody has.
    other_run : str or None
        Another run of this model that is active.
    broken : sequence of str
        In which ways the records break what the params file promises of them.
    repeated : bool
        Whether the champion was made from the very same records in the very same way.
    """

    training_records: int
    as_of: datetime
    recent_records: int | None = None
    tenant: str | None = None
    retrained: Sequence[datetime] = ()
    rolled_back: datetime | None = None
    asked: Sequence[Asked] = ()
    approved_by: str | None = None
    other_run: str | None = None
    broken: Sequence[str] = ()
    repeated: bool = False


def check(decision: Decision, settings: Guardrails, now: Circumstances) -> Guard:
    """Check every safeguard.

    Parameters
    ----------
    decision : Decision
        What asks for retraining.
    settings : Guardrails
        The params file's section.
    now : Circumstances
        All else that there is to know.

    Examples
    --------
    >>> decision = Decision(True, "high", 0.99, ("Inputs drifted.",), ())
    >>> check(decision, Guardrails(enabled=False), Circumstances(5000, datetime(2013, 7, 1))).blocked_by
    ('enabled',)
    """
    return Guard((
        _switch("master", settings.master),
        _switch("enabled", settings.enabled),
        _tenant(settings, now.tenant),
        _one_run(now.other_run),
        _contract(now.broken),
        Check(
            "min_severity", rank(decision.severity) >= rank(settings.min_severity),
            f"severity is {decision.severity}, at least {settings.min_severity} is asked for",
        ),
        _confirmation(decision, settings, now),
        Check(
            "min_records", now.training_records >= settings.min_records,
            f"{now.training_records:,} labelled records to learn from, at least {settings.min_records:,} are asked for",
        ),
        _recent(settings, now.recent_records),
        _cooldown(settings, now),
        _budget(settings, now),
        _quiet_hours(settings, now.as_of),
        Check(
            "something_new", not now.repeated,
            "the champion was made from these very records in this very way" if now.repeated else
            "the records to learn from, or the way to do it, are not those of the champion",
        ),
        _approval(decision, settings, now.approved_by),
    ))


def _switch(name: str, on: bool) -> Check:
    return Check(name, on, f"guardrails.{name} is " + ("on" if on else "off"))


def _tenant(settings: Guardrails, tenant: str | None) -> Check:
    if settings.tenants is None:
        return Check("tenants", True, "retraining is not limited to some tenants")
    listed = ", ".join(settings.tenants) or "nobody"
    whose = "this model, which has no tenant," if tenant is None else tenant
    named = tenant in settings.tenants
    told = f"retraining is switched on for {listed}; {whose} is {'' if named else 'not '}listed"
    return Check("tenants", named, told)


def _recent(settings: Guardrails, recent: int | None) -> Check:
    if recent is None:
        return Check("min_recent", not settings.min_recent, "what the champion was made from is not known")
    wanted = f"at least {settings.min_recent:,} are asked for" if settings.min_recent else "no number is asked for"
    told = f"{recent:,} labelled records are newer than those the champion was made from, {wanted}"
    return Check("min_recent", recent >= settings.min_recent, told)


def _one_run(other: str | None) -> Check:
    return Check("one_run", other is None, f"run {other} of this model is active" if other else
                 "no other run of this model is active")


def _contract(broken: Sequence[str]) -> Check:
    return Check("contract", not broken, "; ".join(broken) or "the records are what the params file says of them")


def _confirmation(decision: Decision, settings: Guardrails, now: Circumstances) -> Check:
    """Whether every check of the last days asked for it, the first of them as long ago as is wanted.

    No scheduler is punctual to the second, and clocks are put back in autumn: what is a little short of it, or a gap
    that is a little longer, is let pass.
    """
    wanted = settings.confirmation
    if not wanted:
        return Check("confirmation", True, "one check is enough")
    slack = min(wanted * LEEWAY, MOST_LEEWAY)
    since, later = now.as_of if decision.needs_retrain else None, now.as_of
    for past in reversed([one for one in now.asked if one.as_of <= now.as_of] if since else []):
        serious = past.needs_retrain and rank(past.severity) >= rank(settings.min_severity)
        if not serious or later - past.as_of > wanted + slack:    # a longer gap confirms nothing
            break
        since = later = past.as_of
    lasted = now.as_of - since if since else timedelta(0)
    return Check(
        "confirmation", lasted >= wanted - slack,
        f"checks have asked for it for {_about(lasted, wanted)} without a break, at least {format_duration(wanted)} is "
        f"asked for, give or take {_spelt(slack)}",
    )


def _cooldown(settings: Guardrails, now: Circumstances) -> Check:
    pause = format_duration(settings.cooldown)
    past = {"retraining": max(now.retrained, default=None), "rollback": now.rolled_back}
    known = [(when, what) for what, when in past.items() if when is not None]
    if not known:
        return Check("cooldown", True, f"no earlier retraining, so there is no pause to keep ({pause} is asked for)")
    when, what = max(known)
    waited = max(now.as_of - when, timedelta(0))
    told = f"was {_about(waited, settings.cooldown)} ago"
    if when > now.as_of:
        told = f"is dated {when:%Y-%m-%d %H:%M}, later than now, and counts as made now"
    return Check("cooldown", waited >= settings.cooldown, f"the last {what} {told}, at least {pause} is asked for")


_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


def _about(value: timedelta, bound: timedelta) -> str:
    """A stretch of time in its largest unit, to one decimal place; in full where that would be on the other side."""
    for unit, size in _UNITS:
        if value >= size:
            rounded = round(value / size, 1)
            return f"{rounded:g}{unit}" if (rounded * size >= bound) == (value >= bound) else _spelt(value)
    return _spelt(value)


def _spelt(value: timedelta) -> str:
    """A stretch of time in full, to the second."""
    told, rest = [], value
    for unit, size in _UNITS:
        number, rest = divmod(rest, size)
        told += [f"{number}{unit}"] if number else []
    seconds = rest // timedelta(seconds=1)
    return " ".join([*told, f"{seconds}s"] if seconds or not told else told)


def _budget(settings: Guardrails, now: Circumstances) -> Check:
    start = now.as_of - timedelta(days=BUDGET_DAYS)
    spent, later = sum(start < when for when in now.retrained), sum(now.as_of < when for when in now.retrained)
    told = f"{spent} in the last {BUDGET_DAYS} days"
    if later:
        told += f" ({later} of them dated later than now, counted as made now)"
    if settings.budget is None:
        return Check("budget", True, f"{told}, and no budget is set")
    return Check("budget", spent < settings.budget, f"{told}, at most {settings.budget} are allowed in as many")


def _quiet_hours(settings: Guardrails, as_of: datetime) -> Check:
    if not settings.quiet_hours:
        return Check("quiet_hours", True, "there are no quiet hours")
    local = as_of.replace(tzinfo=UTC).astimezone(ZoneInfo(settings.timezone))
    inside = next((hours for hours in settings.quiet_hours if _within(hours, local)), None)
    told = f"it is {local:%H:%M} on {local:%A} in {settings.timezone}"
    if inside is None:
        return Check("quiet_hours", True, f"{told}, outside the quiet hours")
    return Check("quiet_hours", False, f"{told}, and {inside.from_:%H:%M} to {inside.to:%H:%M} is quiet")


def _within(hours: QuietHours, local: datetime) -> bool:
    """Whether a time of day lies within quiet hours, which belong to the day that they begin on."""
    clock, today = local.time(), _WEEKDAYS[local.weekday()]
    yesterday = _WEEKDAYS[(local.weekday() - 1) % 7]
    if hours.from_ < hours.to:
        return today in hours.days and hours.from_ <= clock < hours.to
    return (today in hours.days and clock >= hours.from_) or (yesterday in hours.days and clock < hours.to)


def _approval(decision: Decision, settings: Guardrails, approved_by: str | None) -> Check:
    if settings.approval is None or rank(decision.severity) < rank(settings.approval):
        least = "" if settings.approval is None else f" below {settings.approval}"
        return Check("approval", True, f"nobody needs to approve it{least}")
    if approved_by is None:
        return Check(
            "approval", False,
            f"severity is {decision.severity}, and from {settings.approval} on a person must approve (trimtab approve)",
        )
    return Check("approval", True, f"approved by {approved_by}")

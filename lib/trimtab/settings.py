"""What a params file may say: one frozen pydantic model per section.

`params.py` reads files into these; everything else takes the sections it needs as values.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

Severity = Literal["none", "low", "medium", "high", "critical"]

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DEFAULT_METRICS = {"classification": ("roc_auc", "accuracy"), "regression": ("mae", "mae")}
_MINUTES = 24 * 60    # of a day
_LONGEST = timedelta(days=365_000)    # so that counting back from any date of use ends in a year that dates can have


def parse_duration(value: object) -> timedelta:
    """Read a duration such as ``30d``, ``24h``, ``90m``, ``900s`` or ``2w``.

    Raises
    ------
    ValueError
        If it is anything else, negative, or longer than a thousand years.

    Examples
    --------
    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise ValueError(f"{value} is negative")
        return value
    match = re.fullmatch(r"\s*([0-9]{1,12}(?:\.[0-9]+)?)\s*([smhdw])\s*", str(value))
    if not match:
        raise ValueError(f"{value!r} is no duration; write a number and s, m, h, d or w, such as 30d")
    try:
        duration = timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        raise ValueError(f"{value!r} is longer than a duration can be ({format_duration(_LONGEST)})")
    return duration


def format_duration(value: timedelta) -> str:
    """Write a duration as `parse_duration` reads it, in its largest whole unit.

    Examples
    --------
    >>> format_duration(timedelta(days=30)), format_duration(timedelta(minutes=90))
    ('30d', '90m')
    """
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def parse_time(value: object) -> datetime:
    """Read an ISO 8601 date or time as naive UTC; a time without a zone is taken to be UTC.

    Raises
    ------
    ValueError
        If it is no ISO time.

    Examples
    --------
    >>> parse_time("2013-07-01T02:00:00+02:00")
    datetime.datetime(2013, 7, 1, 0, 0)
    """
    if isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise ValueError(f"{value!r} is no ISO date or time, such as 2013-07-01 or 2013-07-01T06:00:00") from None
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError:
        raise ValueError(f"{value!r} is outside the years that dates can have") from None


def parse_clock(value: object) -> time:
    """Read a time of day such as ``22:30``; ``24:00`` is the end of a day, and so the start of the next.

    Raises
    ------
    ValueError
        If it is anything else. YAML reads 22:30 without quotes as a number of minutes, which is understood.

    Examples
    --------
    >>> parse_clock("06:30"), parse_clock(22 * 60 + 30)
    (datetime.time(6, 30), datetime.time(22, 30))
    """
    if isinstance(value, time):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MINUTES:
        return time(value % _MINUTES // 60, value % 60)
    match = re.fullmatch(r"([0-9]{1,2}):([0-5][0-9])", str(value).strip())
    if not match or int(match[1]) * 60 + int(match[2]) > _MINUTES:
        raise ValueError(f"{value!r} is no time of day; write hours and minutes, such as 22:30")
    return time(int(match[1]) % 24, int(match[2]))


def parse_zone(value: str) -> str:
    """Check the name of a time zone, such as ``Europe/Berlin``.

    Raises
    ------
    ValueError
        If this system knows no such zone.
    """
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone that is known here; write one such as Europe/Berlin") from None
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
Time = Annotated[datetime, BeforeValidator(parse_time), PlainSerializer(datetime.isoformat, return_type=str)]
Clock = Annotated[time, BeforeValidator(parse_clock), PlainSerializer("{:%H:%M}".format, return_type=str)]
Zone = Annotated[str, AfterValidator(parse_zone)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of the params file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class WindowSpec(Section):
    """A stretch of time: `last` (ending `until` ago), or `from`/`to`, or the newest `rows` records."""

    last: Duration | None = None
    until: Duration | None = None
    from_: Time | None = Field(default=None, alias="from")
    to: Time | None = None
    rows: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        shapes = [self.last is not None, self.from_ is not None or self.to is not None, self.rows is not None]
        if sum(shapes) != 1:
            raise ValueError("a window is one of {last: 30d}, {last: 60d, until: 30d}, {from: …, to: …}, {rows: 10000}")
        if self.until is not None and (self.last is None or self.until >= self.last):
            raise ValueError("until goes with a longer last: {last: 60d, until: 30d} is from 60 to 30 days ago")
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("from must be earlier than to")
        return self


class Extractions(Section):
    """A table of what was read out of documents: one row per document and field, beside the records."""

    table: str
    field: str
    time: str | None = None
    confidence: str | None = None
    rates: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.confidence is None and not self.rates:
            raise ValueError("name a column under confidence or rates: without one there is nothing to watch")
        if self.confidence in self.rates:
            raise ValueError(f"column {self.confidence!r} is named under confidence and under rates; it is one of them")
        return self


class Data(Section):
    """Where the records are and which column plays which part."""

    connect: str = "duckdb://"
    table: str
    time: str
    id: str | None = None
    label: str | None = None
    label_delay: Duration = timedelta(0)
    label_time: str | None = None
    prediction: str | None = None
    score: str | None = None
    positive: bool | int | float | str | None = None
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()
    confidences: tuple[str, ...] = ()
    calendar: tuple[Literal["hour", "weekday", "month"], ...] = ()
    extractions: Extractions | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that a model sees, in a fixed order."""
        return self.numeric + self.categorical + self.text

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named anywhere, once."""
        single = [self.time, self.id, self.label, self.label_time, self.prediction, self.score]
        many = self.features + self.segments + self.rates + self.confidences
        return tuple(dict.fromkeys([name for name in single if name is not None] + list(many)))

    @model_validator(mode="after")
    def _roles(self) -> Self:
        if not self.features:
            raise ValueError("name at least one column under numeric, categorical or text")
        twice = [name for name in self.features if self.features.count(name) > 1]
        if twice:
            raise ValueError(f"column {twice[0]!r} is named twice among numeric, categorical and text")
        if both := set(self.rates) & set(self.confidences):
            raise ValueError(f"column {min(both)!r} is named under rates and under confidences; it is one of the two")
        if self.label in self.features:
            raise ValueError(f"the label {self.label!r} is also a feature: the model would read the answer")
        if self.label is not None and self.label in (self.time, self.id, self.label_time):
            raise ValueError(f"the label {self.label!r} is also the time, the id or the label_time")
        return self


class Windows(Section):
    """Which records are compared, trained on and held out."""

    reference: Literal["training"] | WindowSpec = "training"
    current: WindowSpec = WindowSpec(last=timedelta(days=30))
    training: WindowSpec = WindowSpec(last=timedelta(days=365))
    holdout: Share = 0.2


class Candidate(Section):
    """One model class and its settings."""

    class_: str = Field(alias="class")
    params: dict[str, Any] = {}


class Estimator(Section):
    """The model to train, or several `candidates` of which the best goes forward."""

    class_: str | None = Field(default=None, alias="class")
    params: dict[str, Any] = {}
    candidates: dict[str, Candidate] = {}
    trusted: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], ...] = ("sklearn",)

    @model_validator(mode="after")
    def _of_trusted_packages(self) -> Self:
        """Importing a module runs it, so that a class of any other package is refused before that."""
        for path in (one.class_ for one in self.named().values() if self.class_ or self.candidates):
            if path.partition(".")[0] not in self.trusted:
                raise ValueError(
                    f"class {path!r} is not of a trusted package ({', '.join(self.trusted) or 'none'}); name its "
                    "top-level package in estimator.trusted if you trust what importing it runs"
                )
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.class_ is None) == (not self.candidates):
            raise ValueError("name either a class or candidates")
        if self.candidates and self.params:
            raise ValueError("params goes with class; each candidate has its own")
        return self

    def named(self) -> dict[str, Candidate]:
        """All models to train, by name; a single one is called by its class."""
        if self.class_ is None:
            return dict(self.candidates)
        return {self.class_.rpartition(".")[2]: Candidate(class_=self.class_, params=self.params)}


class Bounds(TypedDict):
    """What a shift is held against."""

    alpha: float
    large: dict[str, float]


class DriftSettings(Section):
    """When a column counts as drifted: significant at `alpha` over all columns, and far enough in some aspect."""

    psi_warn: Annotated[float, Field(gt=0)] = 0.10
    psi_alert: Annotated[float, Field(gt=0)] = 0.25
    shift_warn: Annotated[float, Field(gt=0)] = 0.20
    missing_warn: Share = 0.02
    unseen_warn: Share = 0.005
    outliers_warn: Share = 0.02
    outside_warn: Share = 0.01
    word_warn: Annotated[float, Field(gt=0, le=math.pi)] = 0.20
    terms: Annotated[int, Field(ge=1, le=1000)] = 100
    alpha: Share = 0.05
    min_segment: Annotated[int, Field(ge=30)] = 100
    max_segments: Annotated[int, Field(ge=1)] = 20
    max_columns_reported: Annotated[int, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.psi_warn > self.psi_alert:
            raise ValueError("psi_warn must not be larger than psi_alert")
        return self

    @property
    def large(self) -> dict[str, float]:
        """From which size on a shift counts, by aspect."""
        return {
            "psi": self.psi_warn, "wasserstein": self.shift_warn, "missing": self.missing_warn,
            "unseen": self.unseen_warn, "newcomer": self.unseen_warn, "outliers": self.outliers_warn,
            "outside": self.outside_warn, "words": self.psi_warn, "word": self.word_warn,
            "unseen_words": self.unseen_warn,
        }

    @property
    def bounds(self) -> Bounds:
        """What `Drift.drifted` takes."""
        return {"alpha": self.alpha, "large": self.large}


class Trigger(Section):
    """A rule: when the signal is at least this large, it has this severity.

    A rule on `performance_drop` may name a metric, in the place of the promotion gate's first, and whether `at_least`
    is a share of the baseline or points of the metric.
    """

    signal: str
    at_least: float
    severity: Severity
    metric: str | None = None
    unit: Literal["share", "points"] = "share"

    @model_validator(mode="after")
    def _metric_of_a_loss(self) -> Self:
        if self.signal != "performance_drop" and (self.metric is not None or self.unit != "share"):
            raise ValueError(f"metric and unit are for rules on performance_drop, not on {self.signal}")
        return self


class QuietHours(Section):
    """Hours of the day in which no retraining may start; where `to` is not later than `from`, they end the next day."""

    from_: Clock = Field(alias="from")
    to: Clock
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = (
        "mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Guardrails(Section):
    """What must hold before retraining may start."""

    master: bool = True
    enabled: bool = True
    tenants: tuple[str, ...] | None = None
    min_records: Count = 200
    max_runtime: Duration = timedelta(seconds=900)
    cooldown: Duration = timedelta(days=7)
    min_severity: Severity = "high"
    confirmation: Duration = timedelta(0)
    approval: Severity | None = None
    approval_expires: Duration = timedelta(days=7)
    quiet_hours: tuple[QuietHours, ...] = ()
    timezone: Zone = "UTC"
    budget: Count | None = None


BOUNDS = ("max_drop", "min_gain", "min_relative_gain", "floor")


class Criterion(Section):
    """One condition for promotion: a metric and one bound.

    `max_drop` is non-inferiority, `min_gain` superiority, `min_relative_gain` superiority relative to the champion and
    `floor` bounds the challenger alone; all are turned round for metrics where less is better.
    """

    metric: str
    max_drop: Annotated[float, Field(ge=0)] | None = None
    min_gain: float | None = None
    min_relative_gain: float | None = None
    floor: float | None = None
    per: Literal["class", "segment"] | None = None
    min_support: Annotated[int, Field(ge=1)] = 30
    evidence: Literal["interval", "point"] = "interval"
    otherwise: Literal["reject", "approve"] = "reject"

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if len(self.bounds()) != 1:
            raise ValueError(f"a criterion has exactly one of {', '.join(BOUNDS[:-1])} and {BOUNDS[-1]}")
        return self

    def bounds(self) -> dict[str, float]:
        """The bounds that are set, by name."""
        return {name: getattr(self, name) for name in BOUNDS if getattr(self, name) is not None}


class SmokeLimits(Section):
    """What a model must keep to when it is taken up as serving code would."""

    max_load: Duration = timedelta(seconds=60)
    max_latency: Duration = timedelta(seconds=1)
    max_megabytes: Annotated[float, Field(gt=0)] = 2000.0


class Promotion(Section):
    """The gate that a challenger must pass."""

    confidence: Annotated[float, Field(gt=0, le=0.995)] = 0.95    # 500 bootstrap replicates say no more
    criteria: tuple[Criterion, ...] = ()
    smoke: SmokeLimits = SmokeLimits()
    approval_expires: Duration = timedelta(days=7)


class Rollback(Section):
    """How long and by what a new champion is watched, and how much worse than the one before it may be."""

    watch: Duration = timedelta(hours=24)
    metric: str = "accuracy"
    max_drop: Annotated[float, Field(ge=0)] = 0.05
    min_support: Annotated[int, Field(ge=1)] = 30


class StepLimits(Section):
    """How long one notebook of a run may take: slower ones are flagged, interrupted, killed.

    By default it is interrupted a quarter of an hour after training would have been stopped, and killed a minute later.
    """

    slow: Duration = timedelta(seconds=120)
    soft: Duration | None = None
    hard: Duration | None = None


class Alerts(Section):
    """Where messages go, as Apprise URLs."""

    urls: tuple[str, ...] = ()


class Store(Section):
    """Where the ledger and the model registry are; SQLite paths are relative to `TRIMTAB_HOME`."""

    ledger: str = "sqlite:///.trimtab/ledger.db"
    registry: str = "sqlite:///.trimtab/mlflow.db"


class Params(Section):
    """A whole params file, resolved and checked."""

    model: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)] | None = None
    task: Literal["classification", "regression"]
    as_of: Literal["now", "latest"] | Time = "now"
    data: Data
    windows: Windows = Windows()
    estimator: Estimator
    drift: DriftSettings = DriftSettings()
    triggers: tuple[Trigger, ...] = ()
    guardrails: Guardrails = Guardrails()
    promotion: Promotion = Promotion()
    rollback: Rollback = Rollback()
    limits: StepLimits = StepLimits()
    alerts: Alerts = Alerts()
    store: Store = Store()

    @property
    def soft_limit(self) -> timedelta:
        """After which a step is interrupted."""
        return self.limits.soft or self.guardrails.max_runtime + timedelta(minutes=15)

    @property
    def hard_limit(self) -> timedelta:
        """After which a step is killed."""
        return self.limits.hard or self.soft_limit + timedelta(minutes=1)

    @model_validator(mode="after")
    def _each_limit_longer(self) -> Self:
        if not self.guardrails.max_runtime < self.soft_limit < self.hard_limit:
            raise ValueError(
                f"each of these must be longer than the one before: guardrails.max_runtime "
                f"({format_duration(self.guardrails.max_runtime)}), limits.soft ({format_duration(self.soft_limit)}), "
                f"limits.hard ({format_duration(self.hard_limit)})")
        return self

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, tree: Any) -> Any:
        """Fill in which metrics speak for a model, where the file does not say so."""
        wanted = _DEFAULT_METRICS.get(str(tree.get("task"))) if isinstance(tree, dict) else None
        if wanted is None:
            return tree
        gate, watched = wanted
        criteria = [{"metric": gate, "min_gain": 0.0}]
        defaults: dict[str, dict[str, Any]] = {"promotion": {"criteria": criteria}, "rollback": {"metric": watched}}
        filled = dict(tree)
        for key, default in defaults.items():
            section = tree.get(key, {})
            filled[key] = {**default, **section} if isinstance(section, dict) else section
        return filled

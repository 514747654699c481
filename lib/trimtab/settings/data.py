"""Where are the records, which column plays which part, and which records are compared?"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trimtab.settings.notation import Duration, Time
from trimtab.settings.section import Section, Share


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
    """A table of what was read out of documents: one row per document and field, beside the records.

    A reader breaks overnight, while records change over weeks: where `last` is set, so much of the newest results is
    looked at, in the place of the current window.
    """

    table: str
    field: str
    time: str | None = None
    confidence: str | None = None
    rates: tuple[str, ...] = ()
    last: Duration | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.confidence is None and not self.rates:
            raise ValueError("name a column under confidence or rates: without one there is nothing to watch")
        if self.confidence in self.rates:
            raise ValueError(f"column {self.confidence!r} is named under confidence and under rates; it is one of them")
        return self


class WatchedOnly(Section):
    """Columns that are compared as features are, and that no model sees.

    What a model would learn by heart, as the number of an article, or must not go by, as somebody's age.
    """

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return self.numeric + self.categorical


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
    watched: WatchedOnly = WatchedOnly()
    extractions: Extractions | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that a model sees, in a fixed order."""
        return self.numeric + self.categorical + self.text

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named anywhere, once."""
        single = [self.time, self.id, self.label, self.label_time, self.prediction, self.score]
        many = self.features + self.segments + self.rates + self.confidences + self.watched.columns
        return tuple(dict.fromkeys([name for name in single if name is not None] + list(many)))

    @model_validator(mode="after")
    def _roles(self) -> Self:
        if not self.features:
            raise ValueError("name at least one column under numeric, categorical or text")
        twice = [name for name in self.features if self.features.count(name) > 1]
        if twice:
            raise ValueError(f"column {twice[0]!r} is named twice among numeric, categorical and text")
        if seen := [name for name in self.watched.columns if name in self.features]:
            raise ValueError(f"column {seen[0]!r} is named under watched, and as a feature, which is watched anyway")
        if self.label is not None and self.label in self.watched.columns:
            raise ValueError(f"the label {self.label!r} is named under watched; labels are watched anyway, once known")
        if self.score is not None and self.prediction is None:
            raise ValueError(f"score {self.score!r} wants data.prediction beside it, the column of what was said")
        if both := set(self.watched.numeric) & set(self.watched.categorical):
            raise ValueError(f"column {min(both)!r} is named under watched as numeric and as categorical; it is one")
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
    outcomes: WindowSpec | None = None
    training: WindowSpec = WindowSpec(last=timedelta(days=365))
    holdout: Share = 0.2

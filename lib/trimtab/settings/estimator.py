"""Which models are trained, and whose code may they be?"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from trimtab.settings.section import Section


class Candidate(Section):
    """One model class and its settings."""

    class_: str = Field(alias="class")
    params: dict[str, Any] = Field(default_factory=dict)


class Estimator(Section):
    """The model to train, or several `candidates` of which the best goes forward."""

    class_: str | None = Field(default=None, alias="class")
    params: dict[str, Any] = Field(default_factory=dict)
    candidates: dict[str, Candidate] = Field(default_factory=dict)
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

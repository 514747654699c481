"""Which models are trained, and whose code may they be?"""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from trimtab.settings.section import Section

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Candidate(Section):
    """One model class and its settings; with `members`, other candidates that it votes or stacks."""

    class_: str = Field(alias="class")
    params: dict[str, Any] = Field(default_factory=dict)
    members: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Top-level packages of all classes that it is made of."""
        return (self.class_.partition(".")[0],)


class Ensemble(Candidate):
    """A candidate with what its members are, each with a preparation of columns of its own."""

    of: dict[str, Candidate]

    @property
    def packages(self) -> tuple[str, ...]:
        """Top-level packages of all classes that it is made of."""
        within = [package for member in self.of.values() for package in member.packages]
        return tuple(dict.fromkeys([*super().packages, *within]))


class Estimator(Section):
    """The model to train, or several `candidates` of which the best goes forward."""

    class_: str | None = Field(default=None, alias="class")
    params: dict[str, Any] = Field(default_factory=dict)
    candidates: dict[str, Candidate] = Field(default_factory=dict)
    trusted: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], ...] = ("sklearn",)

    @model_validator(mode="after")
    def _of_trusted_packages(self) -> Self:
        """Importing a module runs it, so that a class of any other package is refused before that."""
        for path in [one.class_ for one in self.candidates.values()] + ([self.class_] if self.class_ else []):
            if path.partition(".")[0] not in self.trusted:
                raise ValueError(
                    f"class {path!r} is not of a trusted package ({', '.join(self.trusted) or 'none'}); name its "
                    "top-level package in estimator.trusted if you trust what importing it runs"
                )
        return self

    @model_validator(mode="after")
    def _names(self) -> Self:
        """A candidate is trained in a folder of its name, which must not lie anywhere else."""
        wrong = next((name for name in self.candidates if not _NAME.fullmatch(name)), None)
        if wrong is not None:
            raise ValueError(f"{wrong[:60]!r} is no name of a candidate: up to 100 letters, digits, - and _, and a "
                             "letter or digit first")
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.class_ is None) == (not self.candidates):
            raise ValueError("name either a class or candidates")
        if self.candidates and self.params:
            raise ValueError("params goes with class; each candidate has its own")
        return self

    @model_validator(mode="after")
    def _members(self) -> Self:
        for name, one in self.candidates.items():
            for member in one.members:
                known = [other for other, candidate in self.candidates.items() if not candidate.members]
                if member not in known:
                    raise ValueError(f"candidates.{name}: {member!r} is no member; an ensemble has those without "
                                     f"members: {', '.join(known) or 'there are none'}")
            if one.members and "estimators" in one.params:
                raise ValueError(f"candidates.{name}: members takes the place of params.estimators")
        return self

    def named(self) -> dict[str, Candidate]:
        """All models to train, by name; a single one is called by its class."""
        if self.class_ is None:
            return {name: self._whole(one) for name, one in self.candidates.items()}
        return {self.class_.rpartition(".")[2]: Candidate(class_=self.class_, params=self.params)}

    def _whole(self, one: Candidate) -> Candidate:
        """An ensemble with its members."""
        if not one.members:
            return one
        of = {name: self.candidates[name] for name in one.members}
        return Ensemble(class_=one.class_, params=one.params, members=one.members, of=of)

"""What holds of every part of a params file?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trimtab.errors import ParamsError

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of the params file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)

    @classmethod
    def told(cls, tree: Mapping[str, Any], name: str) -> Self:
        """From a mapping of its keys that a person has typed, not in a params file.

        Parameters
        ----------
        name : str
            How messages call the whole.

        Raises
        ------
        ParamsError
            Of an unknown key, or a value that is none.
        """
        try:
            return cls.model_validate(dict(tree))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join([*([name] if name else []), *map(str, first["loc"])])
            if first["type"] == "extra_forbidden":
                raise ParamsError(f"{key}: unknown key; known here: {', '.join(cls._at(first['loc'][:-1]))}") from None
            wrong = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
            raise ParamsError(f"{key}: {wrong}" + (f" (it is {first['input']!r})" if first["loc"] else "")) from None

    @classmethod
    def _at(cls, path: Sequence[str | int]) -> Iterable[str]:
        """The keys below a path."""
        below = cls.model_fields[str(path[0])].annotation if path else None
        if isinstance(below, type) and issubclass(below, Section):
            return below._at(path[1:])
        return cls.model_fields

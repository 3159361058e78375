"""Choices are parameters that a user sets and a link carries."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Self

import param

MAX_QUOTE_LENGTH = 60
"""Characters of a link that are quoted in a message."""


class Magnitude(param.Number):
    """A number chosen by its order of magnitude; its bounds are far apart, and the lower one is above 0."""


class Choices(param.Parameterized):
    """Parameters with bounds and a meaning that can be written into a link and read back exactly."""

    def query(self) -> dict[str, str]:
        """The choices as text, from which `from_query` makes the same ones."""
        return self.texts()

    def texts(self) -> dict[str, str]:
        """Every choice as text, defaults included."""
        return {
            name: json.dumps(value) if not isinstance(value, str) else value for name, value in self.values().items()
        }

    def restore(self, values: Mapping[str, Any]) -> None:
        """Return to earlier values, all of them at once."""
        self.param.update(**values)

    def values(self) -> dict[str, Any]:
        """Every choice by name."""
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def names(cls) -> list[str]:
        return [name for name in cls.param if name != "name"]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The choices with these `values`.

        Raises:
            ValueError: If one is unknown or not possible.
        """
        unknown = sorted(values.keys() - set(cls.names()))
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)[:MAX_QUOTE_LENGTH]} is unknown here; it may come from a newer version"
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(str(error)) from error

    @classmethod
    def from_query(cls, query: Mapping[str, str], defaults: Mapping[str, Any] | None = None) -> tuple[Self, list[str]]:
        """The choices that a link asks for, and a sentence about each part of it that could not be followed.

        Args:
            query: The link's parameters as text.
            defaults: Values where the link says nothing.
        """
        choices, problems = dict(defaults or {}), []
        for name in (name for name in query if name in cls.names()):
            try:
                choices[name] = cls.read(name, query[name])
            except ValueError as error:
                problems.append(str(error))
        return cls(**choices), problems

    @classmethod
    def read(cls, name: str, text: str) -> Any:
        """The value that `text` means for the choice `name`.

        Raises:
            ValueError: Naming the choice, the text, and what would have been right.
        """
        parameter = cls.param[name]
        try:
            value = text if isinstance(parameter.default, str) else json.loads(text)
            if not _is_of_kind(value, parameter):
                raise ValueError
            setattr(_trial(cls), name, value)
        except (ValueError, TypeError, RecursionError):
            shown = text if len(text) <= MAX_QUOTE_LENGTH else text[:MAX_QUOTE_LENGTH] + "…"
            raise ValueError(f"{name}={shown} is not possible; choose {bounds_in_words(parameter)}") from None
        return value


@cache
def _trial(choices: type[Choices]) -> Choices:
    """Choices that are nobody's, to set a value in: param has no other public way to ask whether one is possible."""
    trial = choices.__new__(choices)
    param.Parameterized.__init__(trial)
    return trial


def bounds_in_words(parameter: param.Parameter) -> str:
    """The values that a parameter accepts, as the end of a sentence; its own `in_words` where it has that."""
    if hasattr(parameter, "in_words"):
        return parameter.in_words()
    if isinstance(parameter, param.ListSelector):
        return f"a list of some of {json.dumps(list(parameter.objects))}"
    if isinstance(parameter, param.Selector):
        return "one of " + ", ".join(str(value) for value in parameter.objects)
    if isinstance(parameter, param.Boolean):
        return "true or false"
    if isinstance(parameter, param.Number) and parameter.bounds:
        low, high = parameter.bounds
        kind = "a whole number" if isinstance(parameter, param.Integer) else "a number"
        return f"{kind} from {low:.10g}" + ("" if high is None else f" to {high:.10g}")
    return parameter.doc


def _is_of_kind(value: Any, parameter: param.Parameter) -> bool:
    if value is None:
        return bool(parameter.allow_None)
    if isinstance(parameter, param.Number):
        return type(value) is int or (type(value) is float and not isinstance(parameter, param.Integer))
    return parameter.default is None or type(value) is type(parameter.default)

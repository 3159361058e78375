"""Options that are chosen by name, and ranges of adjustable numbers.

A number that a person may adjust says so in its annotation, `std: Annotated[float, Range(1e-3, 10, log=True)]`, and
`options` finds it there: sliders and tests read the same line.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

Item = TypeVar("Item")


@dataclass(frozen=True)
class Range:
    """The bounds, scale and meaning of one adjustable number.

    The bounds are those of a slider: values outside them may be odd, but are not errors.
    `log` asks for a logarithmic scale, which needs `low` > 0.
    """

    low: float
    high: float
    log: bool = False
    doc: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"range from {self.low} to {self.high} is empty; low must be less than high")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range cannot start at {self.low}; low must be greater than 0")


@dataclass(frozen=True)
class Option:
    """One adjustable parameter of a class or function: its name, `int` or `float`, its default and its range."""

    name: str
    kind: type
    default: float
    range: Range


@cache
def options(thing: Callable[..., Any]) -> Mapping[str, Option]:
    """The adjustable parameters of a dataclass or a function, by name, in the order of its signature.

    These are the parameters annotated `Annotated[int, Range(...)]` or `Annotated[float, Range(...)]`, and no others.
    """
    hints = get_type_hints(thing, include_extras=True)
    found = {
        name: Option(name, get_args(hints[name])[0], parameter.default, bounds)
        for name, parameter in inspect.signature(thing).parameters.items()
        if name in hints and (bounds := _range(hints[name]))
    }
    return MappingProxyType(found)


def choose(registry: Mapping[str, Item], name: str, noun: str) -> Item:
    """The item called `name`.

    Raises ValueError listing every name there is, when there is no such item.
    """
    if not isinstance(name, str) or name not in registry:
        raise ValueError(f"{noun} {name!r} is unknown; choose one of {', '.join(registry)}")
    return registry[name]


def _range(hint: object) -> Range | None:
    """The Range in an annotation, None where there is none."""
    if get_origin(hint) is not Annotated:
        return None
    return next((extra for extra in get_args(hint)[1:] if isinstance(extra, Range)), None)

"""Adjustable options are found where they are annotated."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from engine import ACTIVATIONS, DATASETS, INITIALIZERS, OPTIMIZERS, SCHEDULES
from engine.options import Option, Range, choose, options

FAMILIES = {**DATASETS, **INITIALIZERS, **OPTIMIZERS, **SCHEDULES}


@dataclass
class Oven:
    """A dataclass with an option, and a field that is none."""

    heat: Annotated[float, Range(1.0, 100.0, log=True, doc="How hot.")] = 20.0
    name: str = "oven"


def bake(minutes: Annotated[int, Range(1, 60)] = 5, oven: str = "oven") -> None:
    """A function with an option, and a parameter that is none."""


def test_options_of_a_dataclass_are_its_annotated_fields():
    assert options(Oven) == {"heat": Option("heat", float, 20.0, Range(1.0, 100.0, True, "How hot."))}


def test_options_of_a_function_are_its_annotated_parameters():
    assert options(bake) == {"minutes": Option("minutes", int, 5, Range(1, 60))}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_default_lies_within_its_range(name):
    for option in options(FAMILIES[name]).values():
        assert option.range.low <= option.default <= option.range.high or name == "xor4"


def test_one_name_has_one_kind_of_range_everywhere():
    kinds: dict[str, set] = {}
    for thing in FAMILIES.values():
        for option in options(thing).values():
            kinds.setdefault(option.name, set()).add((option.kind, option.range.log))
    assert {name for name, found in kinds.items() if len(found) > 1} == set()


def test_an_unknown_name_is_answered_with_all_there_are():
    with pytest.raises(ValueError, match=r"activation 'rleu' is unknown; choose one of sigmoid, tanh, relu, .*linear"):
        choose(ACTIVATIONS, "rleu", "activation")


@pytest.mark.parametrize("name", [None, 3, ["relu"]])
def test_what_is_not_a_name_is_unknown_too(name):
    with pytest.raises(ValueError, match="is unknown; choose one of"):
        choose(ACTIVATIONS, name, "activation")


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="range from 2 to 1 is empty; low must be less than high"):
        Range(2, 1)


def test_a_logarithmic_range_from_zero_is_refused():
    with pytest.raises(ValueError, match="cannot start at 0; low must be greater than 0"):
        Range(0, 1, log=True)

"""The page of backpropagation: what it spells, checks and plants is what an independent computation says."""

import re

import numpy as np
import pytest

from dashboard.instruments.arithmetic import spelled, table
from engine.backpropagation import BUGS, Backpropagation
from engine.datasets import DATASETS
from engine.network import Network

XOR = DATASETS["xor4"]()


def value_of(words: str) -> float | None:
    """A spelled sum as a number; None where it says in words what no arithmetic does."""
    plain = words.replace("−", "-").replace("×", "*")
    return float(eval(plain)) if re.fullmatch(r"[-+*/().e\d\s]+", plain) else None


@pytest.mark.parametrize("bug", [None, *BUGS])
@pytest.mark.parametrize("skip", [False, True])
def test_what_is_spelled_comes_to_the_entry_it_spells(bug, skip):
    """Numbers are written to three digits, so that a sum of five products is good to 1 % of its largest term."""
    network = Network([2, 3, 3, 1], "tanh", initializer="xavier", skip=skip, bias=0.1)
    passes, counted = Backpropagation(network, XOR, bug=bug), 0
    for stage in passes:
        for row, column in np.ndindex(table(stage).shape):
            made = spelled(passes, stage, row, column)
            value = value_of(made.words)
            if value is not None:
                counted += 1
                assert value == pytest.approx(table(stage)[row, column], rel=0.02, abs=5e-3), made.words
    assert counted > 60

"""One run of a map, from its settings to its measures; this is what workers compute."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.sweep.identity import engine_version
from engine.sweep.measures import Measure
from engine.training import Epoch, Training

FIRST_BLOCK, LONGEST_BLOCK = 16, 256
"""How many epochs are trained at once; short at first, since many runs diverge early."""

NUMBERS = 2**18
"""The most parameters, over all epochs of a block, that are kept at once: 2 MiB."""


@dataclass(frozen=True)
class Recipe:
    """All that the runs of a map share.

    Attributes:
        make: From settings to a training that has not begun.
        settings: Those that all runs share.
        measures: What is measured.
        marks: The epochs at which it is, ascending; the last is the run's end.
        version: Of the engine; a worker with another one would come to other numbers.
    """

    make: Callable[[Mapping[str, Any]], Training]
    settings: Mapping[str, Any]
    measures: tuple[Measure, ...]
    marks: tuple[int, ...]
    version: str

    def training(self, chosen: Mapping[str, Any]) -> Training:
        """The training of the pixel with these values on the axes, from its start."""
        return self.make({**self.settings, **chosen})

    def measured(self, training: Training) -> np.ndarray:
        """(marks, measures) of a training that has not begun, which is trained to the end.

        A training that diverges ends there.
        """
        values = np.full((len(self.marks), len(self.measures)), np.nan)
        losses = np.full(self.marks[-1] + 1, np.inf)
        reached = 0
        for row, mark in enumerate(self.marks):
            going, reached = _advance(training, losses, reached, mark + 1)
            if going is None:
                values[row:] = [
                    [one.after_divergence(losses[: later + 1]) for one in self.measures] for later in self.marks[row:]
                ]
                break
            values[row] = self.values_at(training, going, losses[: mark + 1])
        return values

    def values_at(self, training: Training, epoch: Epoch, losses: np.ndarray) -> list[float]:
        """The measures at an epoch that a training stands at."""
        with np.errstate(all="ignore"):
            return [one.value(training, epoch, losses) for one in self.measures]


@dataclass
class Outcome:
    """What a tile has brought.

    Attributes:
        values: (pixels, marks, measures); nan for a run that cannot be.
        seconds: How long it took.
        impossible: Position among the pixels -> why there is no such run.
        failure: What went wrong, for good; empty if nothing did.
    """

    values: np.ndarray
    seconds: float
    impossible: dict[int, str] = field(default_factory=dict)
    failure: str = ""


def compute(recipe: Recipe, tile: Sequence[Mapping[str, Any]]) -> Outcome:
    """Train the runs with these values on the axes, one after another.

    Raises nothing: what fails in a run is part of the outcome, so that an error of the future is one of the executor.
    """
    start = time.perf_counter()
    outcome = Outcome(np.full((len(tile), len(recipe.marks), len(recipe.measures)), np.nan), 0.0)
    if recipe.version != engine_version():
        outcome.failure = "the worker has another engine, NumPy or kind of processor; install there what is here"
        return outcome
    for k, chosen in enumerate(tile):
        try:
            outcome.values[k] = recipe.measured(recipe.training(chosen))
        except ValueError as error:
            outcome.impossible[k] = str(error)
        except Exception as error:
            outcome.failure = f"{type(error).__name__}: {error}, at {_words(chosen)}"
            break
    outcome.seconds = time.perf_counter() - start
    return outcome


def _advance(training: Training, losses: np.ndarray, reached: int, goal: int) -> tuple[Epoch | None, int]:
    """Train until so many epochs are measured: the last one, or None after a divergence, and how many there are."""
    last = None
    most = int(np.clip(NUMBERS // training.network.n_parameters, 1, LONGEST_BLOCK))
    while reached < goal:
        block = training.advance(min(goal - reached, most, max(FIRST_BLOCK, reached)))
        finite = block.finite
        count = len(block) if finite.all() else int(finite.argmin())
        losses[reached : reached + count] = block.loss[:count]
        if count < len(block):
            return None, reached + count
        reached, last = reached + count, block
    return (None if last is None else last[-1]), reached


def _words(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in chosen.items())

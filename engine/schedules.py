"""How the learning rate changes over the epochs.

A schedule has one method, `factor(epoch) -> float`, which multiplies the optimizer's own learning rate. Epoch 0 is the
untrained network, so `factor(0)` belongs to the first updates.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Protocol

from engine.options import Range

Duration = Annotated[
    int, Range(1, 10_000, log=True, doc="Epochs until the schedule has run its course.", unit="epochs")
]


class Schedule(Protocol):
    """What training asks of a schedule."""

    def factor(self, epoch: int) -> float:
        """What to multiply the learning rate by for the updates that follow this epoch."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same learning rate throughout."""

    def factor(self, epoch: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Step:
    """The learning rate falls to a fraction of itself every so many epochs."""

    every: Annotated[int, Range(1, 10_000, log=True, doc="Epochs from one drop to the next.", unit="epochs")] = 500
    drop: Annotated[float, Range(0.01, 1.0, log=True, doc="What each drop multiplies the learning rate by.")] = 0.5

    def __post_init__(self) -> None:
        _at_least_one("every", self.every)

    def factor(self, epoch: int) -> float:
        return self.drop ** (epoch // self.every)


@dataclass(frozen=True)
class Exponential:
    """The learning rate falls steadily, by half in every half life."""

    half_life: Annotated[
        float, Range(1.0, 10_000.0, log=True, doc="Epochs in which the learning rate falls by half.", unit="epochs")
    ] = 500.0

    def __post_init__(self) -> None:
        _positive("half_life", self.half_life)

    def factor(self, epoch: int) -> float:
        return 0.5 ** (epoch / self.half_life)


@dataclass(frozen=True)
class Cosine:
    """The learning rate falls along half a cosine to its floor, and stays there.

    Source: Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation 5, one cycle.
    """

    duration: Duration = 1000
    floor: Annotated[float, Range(0.0, 1.0, doc="Share of the learning rate that is left at the end.")] = 0.0

    def __post_init__(self) -> None:
        _at_least_one("duration", self.duration)

    def factor(self, epoch: int) -> float:
        done = min(epoch / self.duration, 1.0)
        return self.floor + (1.0 - self.floor) * (1.0 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Warmup:
    """The learning rate grows in equal steps to its full value, and stays there."""

    duration: Duration = 100

    def __post_init__(self) -> None:
        _at_least_one("duration", self.duration)

    def factor(self, epoch: int) -> float:
        return min((epoch + 1) / self.duration, 1.0)


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "exponential": Exponential,
    "cosine": Cosine,
    "warmup": Warmup,
}


def _at_least_one(name: str, epochs: int) -> None:
    if not epochs >= 1:
        raise ValueError(f"{name} = {epochs} is too short; choose 1 epoch or more")


def _positive(name: str, epochs: float) -> None:
    if not epochs > 0:
        raise ValueError(f"{name} = {epochs} is not a length of time; choose more than 0 epochs")

"""Trail: where a training was now and then, and how it was tuned, so that it can be at any of its epochs again."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.state.settings import LIVE, Settings
from engine.optimizers import Optimizer
from engine.schedules import Schedule
from engine.training import Checkpoint, Training

TUNED = sorted(name for name in LIVE if name != "speed" and not name.startswith("stop_"))
"""The settings that a running training takes up."""

BYTES = 16 * 2**20


@dataclass(frozen=True, eq=False)
class LiveHyperparameters:
    """The numbers of a training that may change while it runs.

    values     as they stand in the settings, by name
    numbers    of the optimizer
    optimizer  one that has these numbers and is never stepped
    examples   how many there are to train on
    """

    values: Mapping[str, Any]
    numbers: Mapping[str, float]
    schedule: Schedule
    batch_size: int | None
    l1: float
    l2: float
    optimizer: Optimizer
    examples: int

    @classmethod
    def of(cls, settings: Settings, examples: int) -> "LiveHyperparameters":
        """What the settings ask for, of a training on so many examples.

        Raises ValueError for batches that are larger.
        """
        if settings.batch_size > examples:
            raise ValueError(
                f"a batch of {settings.batch_size} is larger than the {examples} training examples; "
                f"choose 1 to {examples}, or 0 for all"
            )
        return cls(
            {name: getattr(settings, name) for name in TUNED},
            settings.options("optimizer"),
            settings.build("schedule"),
            settings.batch_size or None,
            settings.l1,
            settings.l2,
            settings.build("optimizer"),
            examples,
        )

    @property
    def objective(self) -> tuple[float, float]:
        """The strengths of the penalties, l1 and l2."""
        return self.l1, self.l2

    @property
    def updates(self) -> int:
        """How many updates make an epoch."""
        return -(-self.examples // self.batch_size) if self.batch_size else 1

    def learning_rates(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) of the update that follows each of the epochs (k,)."""
        return self.optimizer.learning_rate * np.array([self.schedule.factor(epoch) for epoch in epochs.tolist()])

    def edges(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) the edge of stability of the update that follows each epoch; nan where the optimizer has none."""
        return self.optimizer.edge_of_stability(self.learning_rates(epochs))

    def apply(self, training: Training) -> None:
        """Have a training take them up at its next update."""
        for name, value in self.numbers.items():
            setattr(training.optimizer, name, value)
        training.schedule, training.batch_size = self.schedule, self.batch_size
        training.l1, training.l2 = self.l1, self.l2


class HyperparameterLog(Sequence[tuple[int, LiveHyperparameters]]):
    """How a training was tuned, from its beginning on: each tuning with the epoch after which it held.

    An epoch lies between two updates. What it was measured with, its loss say, goes with the update before it; what it
    is about to do, its learning rate say, goes with the one after it. At an epoch where a setting was changed these are
    two tunings.
    """

    BEGINNING = -1

    def __init__(self, hyperparameters: Iterable[tuple[int, LiveHyperparameters]]) -> None:
        """Raises ValueError where there are none."""
        self._all = sorted(hyperparameters, key=lambda one: one[0])
        if not self._all:
            raise ValueError("a training is tuned from its beginning on; give at least one tuning")
        self._since = [since for since, _ in self._all]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, i: int) -> tuple[int, LiveHyperparameters]:
        return self._all[i]

    def before(self, epoch: int) -> LiveHyperparameters:
        """That of the update that led to an epoch, with which its loss and gradients were measured."""
        return self._all[max(0, bisect_left(self._since, epoch) - 1)][1]

    def after(self, epoch: int) -> LiveHyperparameters:
        """That of the update that follows an epoch."""
        return self._all[max(0, bisect_right(self._since, epoch) - 1)][1]

    def changes(self, after: int) -> list[int]:
        """The later epochs after which another tuning held."""
        return self._since[bisect_right(self._since, after) :]

    def then(self, epoch: int, tuning: LiveHyperparameters) -> "HyperparameterLog":
        """The same, but for the updates that follow an epoch: these have this tuning."""
        if tuning.values == self.after(epoch).values and not self.changes(epoch):
            return self
        return HyperparameterLog([*(one for one in self._all if one[0] < epoch), (epoch, tuning)])

    def until(self, epoch: int) -> "HyperparameterLog":
        """Those that held up to an epoch, and of which it is not known whether they go on."""
        return HyperparameterLog([self._all[0], *(one for one in self._all[1:] if one[0] < epoch)])

    def each(self, epochs: np.ndarray, number: Callable[[LiveHyperparameters, np.ndarray], np.ndarray]) -> np.ndarray:
        """(k,) a number of the update that follows each epoch, made for all epochs (k,) of one tuning at once."""
        epochs, numbers = np.asarray(epochs), np.empty(len(epochs))
        which = np.searchsorted(self._since, epochs, side="right").clip(1) - 1
        for place in np.unique(which):
            numbers[which == place] = number(self._all[place][1], epochs[which == place])
        return numbers

    def learning_rates(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) of the update that follows each epoch."""
        return self.each(epochs, LiveHyperparameters.learning_rates)

    def updates(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) how many updates have led to each of the epochs."""
        starts = np.maximum(self._since, 0)
        ends = np.append(starts[1:], np.iinfo(int).max)
        inside = np.clip(np.asarray(epochs)[:, None], starts, ends) - starts
        return inside @ np.array([tuning.updates for _, tuning in self._all])

    def travelled(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) the sum of the learning rates of all updates before each of the epochs, which need not be whole."""
        whole = np.arange(math.ceil(np.max(epochs, initial=0)) + 1)
        steps = self.each(whole[:-1], lambda tuning, some: tuning.updates * tuning.learning_rates(some))
        return np.interp(epochs, whole, np.concatenate([[0.0], np.cumsum(steps)]))

    def edges(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) the edge of stability of the update that follows each epoch; nan where the optimizer has none."""
        return self.each(epochs, LiveHyperparameters.edges)


class Checkpoints:
    """Checkpoints of a training, never more than fit, and all its tunings with the epochs from which they held.

    The checkpoints are spread evenly: where there are too many, every other one goes, and the next ones come at twice
    the distance.
    """

    MAX_CHECKPOINTS = 64

    def __init__(self, start: Checkpoint, tuning: LiveHyperparameters) -> None:
        self._checkpoints = [start]
        self.hyperparameters = HyperparameterLog([(HyperparameterLog.BEGINNING, tuning)])
        self._apart = 1
        rows = 1 + len(start.optimizer_state) + 2  # an optimizer's arrays come with its first step
        self._room = max(4, min(self.MAX_CHECKPOINTS, BYTES // (rows * start.parameters.nbytes)))

    def tune(self, epoch: int, tuning: LiveHyperparameters) -> bool:
        """Remember that from the update after this epoch on a tuning holds; whether it is another."""
        before, self.hyperparameters = self.hyperparameters, self.hyperparameters.then(epoch, tuning)
        return self.hyperparameters is not before

    def note(self, training: Training, epoch: int) -> None:
        """Remember where the training is, if it is time again."""
        if epoch >= self._checkpoints[-1].index + self._apart:
            self.add(training.checkpoint())

    def add(self, checkpoint: Checkpoint) -> None:
        """Remember a checkpoint that is later than all others."""
        self._checkpoints.append(checkpoint)
        if len(self._checkpoints) > self._room:
            self._apart = max(2 * self._apart, -(-checkpoint.index // (self._room // 2)))
            self._checkpoints = [self._checkpoints[0], *self._checkpoints[2::2]]

    def tuned(self, hyperparameters: list[tuple[int, LiveHyperparameters]]) -> "Checkpoints":
        """The same start, with these tunings instead, if there are any."""
        checkpoints = Checkpoints(self._checkpoints[0], self.hyperparameters[0][1])
        checkpoints.hyperparameters = (
            HyperparameterLog(hyperparameters) if hyperparameters else checkpoints.hyperparameters
        )
        return checkpoints

    def until(self, epoch: int) -> "Checkpoints":
        """The trail as it was at an epoch."""
        checkpoints = Checkpoints(self._checkpoints[0], self.hyperparameters[0][1])
        checkpoints._apart = self._apart
        checkpoints._checkpoints = [one for one in self._checkpoints if one.index <= epoch]
        checkpoints.hyperparameters = self.hyperparameters.until(epoch)
        return checkpoints

    def before(self, epoch: int) -> Checkpoint:
        """The newest checkpoint that is not after an epoch."""
        return next(one for one in reversed(self._checkpoints) if one.index <= epoch)

    def changes(self, epoch: int) -> list[int]:
        """The epochs after this one at which the tuning changes."""
        return self.hyperparameters.changes(epoch)

    def after(self, epoch: int) -> LiveHyperparameters:
        """The tuning of the update after an epoch."""
        return self.hyperparameters.after(epoch)

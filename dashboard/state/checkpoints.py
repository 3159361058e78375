"""Checkpoints of a training and the hyperparameters it had, so that it can return to any of its epochs."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dashboard.state.edits import with_values
from dashboard.state.settings import LIVE, Settings
from engine.optimizers import Optimizer
from engine.schedules import Schedule
from engine.training import Checkpoint, Training

TUNED = sorted(name for name in LIVE if name != "speed" and not name.startswith("stop_"))
"""The settings that a running training adopts."""

BYTES = 16 * 2**20


@dataclass(frozen=True, eq=False)
class LiveHyperparameters:
    """The hyperparameters that may change while a training runs.

    Attributes:
        values: By name, as in the settings.
        numbers: Those of the optimizer.
        optimizer: One with these numbers, which never steps.
        examples: Number of training examples.
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
        """The hyperparameters in the settings, for a training on so many examples.

        Raises:
            ValueError: If a batch would be larger than the data.
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
        """Update per epoch."""
        return -(-self.examples // self.batch_size) if self.batch_size else 1

    def learning_rates(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) learning rate of the update that follows each of the epochs (k,)."""
        return self.optimizer.learning_rate * np.array([self.schedule.factor(epoch) for epoch in epochs.tolist()])

    @property
    def preconditioned(self) -> bool:
        """Whether the edge is one of the preconditioned sharpness."""
        return self.optimizer.preconditioned

    def edges(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) edge of stability of the update that follows each epoch; nan where the optimizer has none."""
        return self.optimizer.edge_of_stability(self.learning_rates(epochs))

    def apply(self, training: Training) -> None:
        """Make a training adopt them at its next update."""
        for name, value in self.numbers.items():
            setattr(training.optimizer, name, value)
        training.schedule, training.batch_size = self.schedule, self.batch_size
        training.l1, training.l2 = self.l1, self.l2


class HyperparameterLog(Sequence[tuple[int, LiveHyperparameters]]):
    """The hyperparameters of a training from its beginning on, each set with the epoch after which it held.

    An epoch lies between two updates. What was measured at it, such as its loss, goes with the update before it; what
    follows, such as its learning rate, with the update after it. Where a setting was changed at an epoch these differ.
    """

    BEGINNING = -1

    def __init__(self, hyperparameters: Iterable[tuple[int, LiveHyperparameters]]) -> None:
        """Raise ValueError where there are none."""
        self._all = sorted(hyperparameters, key=lambda one: one[0])
        if not self._all:
            raise ValueError("a training is tuned from its beginning on; give at least one tuning")
        self._since = [since for since, _ in self._all]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, i: int) -> tuple[int, LiveHyperparameters]:
        return self._all[i]

    def before(self, epoch: int) -> LiveHyperparameters:
        """The hyperparameters of the update that led to an epoch, with which its loss and gradients were measured."""
        return self._all[max(0, bisect_left(self._since, epoch) - 1)][1]

    def after(self, epoch: int) -> LiveHyperparameters:
        """The hyperparameters of the update that follows an epoch."""
        return self._all[max(0, bisect_right(self._since, epoch) - 1)][1]

    def changes(self, after: int) -> list[int]:
        """The later epochs after which the hyperparameters changed."""
        return self._since[bisect_right(self._since, after) :]

    def then(self, epoch: int, hyperparameters: LiveHyperparameters) -> "HyperparameterLog":
        """A copy in which these hyperparameters hold from the update that follows an epoch."""
        if hyperparameters.values == self.after(epoch).values and not self.changes(epoch):
            return self
        return HyperparameterLog([*(one for one in self._all if one[0] < epoch), (epoch, hyperparameters)])

    def until(self, epoch: int) -> "HyperparameterLog":
        """A copy as it was at an epoch."""
        return HyperparameterLog([self._all[0], *(one for one in self._all[1:] if one[0] < epoch)])

    def each(self, epochs: np.ndarray, number: Callable[[LiveHyperparameters, np.ndarray], np.ndarray]) -> np.ndarray:
        """(k,) a number of the update that follows each epoch, computed at once for all with equal hyperparameters."""
        epochs, numbers = np.asarray(epochs), np.empty(len(epochs))
        which = np.searchsorted(self._since, epochs, side="right").clip(1) - 1
        for place in np.unique(which):
            numbers[which == place] = number(self._all[place][1], epochs[which == place])
        return numbers

    def learning_rates(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) learning rate of the update that follows each epoch."""
        return self.each(epochs, LiveHyperparameters.learning_rates)

    def updates(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) number of updates that led to each of the epochs."""
        starts = np.maximum(self._since, 0)
        ends = np.append(starts[1:], np.iinfo(int).max)
        inside = np.clip(np.asarray(epochs)[:, None], starts, ends) - starts
        return inside @ np.array([hyperparameters.updates for _, hyperparameters in self._all])

    def travelled(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) sum of the learning rates of all updates before each of the epochs, which need not be whole numbers."""
        whole = np.arange(math.ceil(np.max(epochs, initial=0)) + 1)
        steps = self.each(whole[:-1], lambda one, some: one.updates * one.learning_rates(some))
        return np.interp(epochs, whole, np.concatenate([[0.0], np.cumsum(steps)]))

    def edges(self, epochs: np.ndarray) -> np.ndarray:
        """(k,) edge of stability of the update that follows each epoch; nan where the optimizer has none."""
        return self.each(epochs, LiveHyperparameters.edges)


class Checkpoints:
    """Checkpoints of a training, never more than fit, all its hyperparameters, and what was edited by hand.

    Checkpoints are spaced evenly: when there are too many, every other one is dropped, and the distance doubles. What
    is recorded of an epoch at which parameters were edited, also a checkpoint, is of the edited ones.

    Attributes:
        edits: By epoch, the edited parameters: their values by index.
    """

    MAX_CHECKPOINTS = 64

    def __init__(self, start: Checkpoint, hyperparameters: LiveHyperparameters) -> None:
        self._checkpoints = [start]
        self.edits: dict[int, dict[int, float]] = {}
        self.hyperparameter_log = HyperparameterLog([(HyperparameterLog.BEGINNING, hyperparameters)])
        self._apart = 1
        rows = 1 + len(start.optimizer_state) + 2  # an optimizer's arrays come with its first step
        self._room = max(4, min(self.MAX_CHECKPOINTS, BYTES // (rows * start.parameters.nbytes)))

    def tune(self, epoch: int, hyperparameters: LiveHyperparameters) -> bool:
        """Note the hyperparameters from the update after this epoch on; return whether they are different."""
        before, self.hyperparameter_log = self.hyperparameter_log, self.hyperparameter_log.then(epoch, hyperparameters)
        return self.hyperparameter_log is not before

    def note(self, training: Training, epoch: int) -> None:
        """Add a checkpoint of the training if one is due."""
        if epoch >= self._checkpoints[-1].index + self._apart:
            self.add(training.checkpoint())

    def add(self, checkpoint: Checkpoint) -> None:
        """Add a checkpoint that is later than all others."""
        self._checkpoints.append(checkpoint)
        if len(self._checkpoints) > self._room:
            self._apart = max(2 * self._apart, -(-checkpoint.index // (self._room // 2)))
            self._checkpoints = [self._checkpoints[0], *self._checkpoints[2::2]]

    def tuned(self, hyperparameters: list[tuple[int, LiveHyperparameters]]) -> "Checkpoints":
        """A copy that starts alike, with these hyperparameters instead, if there are any."""
        checkpoints = Checkpoints(self._checkpoints[0], self.hyperparameter_log[0][1])
        checkpoints.hyperparameter_log = (
            HyperparameterLog(hyperparameters) if hyperparameters else checkpoints.hyperparameter_log
        )
        return checkpoints

    def until(self, epoch: int) -> "Checkpoints":
        """A copy as it was at an epoch."""
        checkpoints = Checkpoints(self._checkpoints[0], self.hyperparameter_log[0][1])
        checkpoints._apart = self._apart
        checkpoints._checkpoints = [one for one in self._checkpoints if one.index <= epoch]
        checkpoints.hyperparameter_log = self.hyperparameter_log.until(epoch)
        checkpoints.edits = {at: values for at, values in self.edits.items() if at <= epoch}
        return checkpoints

    def edited(self, epoch: int, values: Mapping[int, float]) -> "Checkpoints":
        """A copy as it was at an epoch, at which these parameters have been given other values."""
        checkpoints = self.until(epoch)
        checkpoints._checkpoints = [one for one in checkpoints._checkpoints if one.index < max(1, epoch)]
        checkpoints.edits[epoch] = {**checkpoints.edits.get(epoch, {}), **values}
        if epoch == 0:
            start = checkpoints._checkpoints[0]
            checkpoints._checkpoints[0] = replace(start, parameters=with_values(start.parameters, values))
        return checkpoints

    @property
    def start(self) -> Checkpoint:
        """The checkpoint of epoch 0."""
        return self._checkpoints[0]

    def edit(self, training: Training, epoch: int) -> bool:
        """Edit the parameters of a training that has come to an epoch as they were edited then; whether they were."""
        if not epoch or epoch not in self.edits:
            return False
        here = training.checkpoint()
        training.restore(replace(here, parameters=with_values(here.parameters, self.edits[epoch])))
        return True

    def before(self, epoch: int) -> Checkpoint:
        """The last checkpoint that is not after an epoch."""
        return next(one for one in reversed(self._checkpoints) if one.index <= epoch)

    def changes(self, epoch: int) -> list[int]:
        """The epochs after this one at which the hyperparameters change, or parameters were edited."""
        return sorted({*self.hyperparameter_log.changes(epoch), *(at for at in self.edits if at > epoch)})

    def after(self, epoch: int) -> LiveHyperparameters:
        """The hyperparameters of the update after an epoch."""
        return self.hyperparameter_log.after(epoch)

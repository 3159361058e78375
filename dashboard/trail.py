"""Trail: where a training was now and then, and how it was tuned, so that it can be at any of its epochs again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.settings import LIVE, Settings
from engine.schedules import Schedule
from engine.training import Checkpoint, Training

TUNED = sorted(name for name in LIVE if name != "speed" and not name.startswith("stop_"))
"""The settings that a running training takes up."""

BYTES = 16 * 2**20


@dataclass(frozen=True, eq=False)
class Tuning:
    """The numbers of a training that may change while it runs.

    values    as they stand in the settings, by name
    numbers   of the optimizer
    """

    values: Mapping[str, Any]
    numbers: Mapping[str, float]
    schedule: Schedule
    batch_size: int | None
    l1: float
    l2: float

    @classmethod
    def of(cls, settings: Settings, examples: int) -> "Tuning":
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
        )

    def apply(self, training: Training) -> None:
        """Have a training take them up at its next update."""
        for name, value in self.numbers.items():
            setattr(training.optimizer, name, value)
        training.schedule, training.batch_size = self.schedule, self.batch_size
        training.l1, training.l2 = self.l1, self.l2


class Trail:
    """Checkpoints of a training, never more than fit, and all its tunings with the epochs from which they held.

    The checkpoints are spread evenly: where there are too many, every other one goes, and the next ones come at twice
    the distance.
    """

    MOST = 64

    def __init__(self, start: Checkpoint, tuning: Tuning) -> None:
        self._checkpoints = [start]
        self._tunings = [(start.index, tuning)]
        self._apart = 1
        rows = 1 + len(start.optimizer_state) + 2  # an optimizer's arrays come with its first step
        self._room = max(4, min(self.MOST, BYTES // (rows * start.parameters.nbytes)))

    @property
    def tunings(self) -> list[tuple[int, Tuning]]:
        """Every tuning, with the epoch after which it held."""
        return list(self._tunings)

    def tune(self, epoch: int, tuning: Tuning) -> None:
        """Remember that from the update after this epoch on a tuning holds."""
        if tuning.values != self._tunings[-1][1].values:
            self._tunings = [*(old for old in self._tunings if old[0] < epoch), (epoch, tuning)]

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

    def tuned(self, tunings: list[tuple[int, Tuning]]) -> "Trail":
        """The same start, with these tunings instead."""
        trail = Trail(self._checkpoints[0], self._tunings[0][1])
        trail._tunings = sorted(tunings, key=lambda one: one[0]) or trail._tunings
        return trail

    def until(self, epoch: int) -> "Trail":
        """The trail as it was at an epoch."""
        trail = Trail(self._checkpoints[0], self._tunings[0][1])
        trail._apart = self._apart
        trail._checkpoints = [one for one in self._checkpoints if one.index <= epoch]
        trail._tunings = [one for one in self._tunings if one[0] <= epoch]
        return trail

    def before(self, epoch: int) -> Checkpoint:
        """The newest checkpoint that is not after an epoch."""
        return next(one for one in reversed(self._checkpoints) if one.index <= epoch)

    def changes(self, epoch: int) -> list[int]:
        """The epochs after this one at which the tuning changes."""
        return [since for since, _ in self._tunings if since > epoch]

    def after(self, epoch: int) -> Tuning:
        """The tuning of the update after an epoch."""
        return next((tuning for since, tuning in reversed(self._tunings) if since <= epoch), self._tunings[0][1])

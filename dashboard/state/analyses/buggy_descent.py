"""A buggy descent is what becomes of a training whose backward pass has a planted bug."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from dashboard.state.run import Frame, Setup
from engine.backpropagation import Backpropagation

EPOCHS = 5000
"""How long each bug is trained."""

EPOCHS_PER_LOSS = 25
"""Epochs from one recorded loss to the next."""

EPOCHS_PER_PIECE = 10


@dataclass(eq=False)
class BuggyDescent:
    """Losses of plain gradient descent on all examples, from the weights of a run's start, by gradients with bugs.

    Attributes:
        losses: (k,) by bug, at every 25th epoch.
    """

    setup: Setup
    learning_rate: float
    l1: float
    l2: float
    losses: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """The descents from the start of a run, at the learning rate and with the penalties of a frame."""
        return cls(frame.setup, frame.hyperparameters.optimizer.learning_rate, frame.l1, frame.l2)

    def is_of(self, frame: Frame) -> bool:
        """Whether these are the descents that belong to a frame."""
        ours, theirs = ((one.learning_rate, one.l1, one.l2) for one in (self, BuggyDescent.of(frame)))
        return self.setup is frame.setup and ours == theirs

    def loss_at(self, bug: str, epoch: int) -> float:
        """The loss with a bug at an epoch, or at the last that is trained."""
        return float(self.losses[bug][min(epoch, EPOCHS) // EPOCHS_PER_LOSS])

    def work(self, bugs: Sequence[str]) -> Iterator[str | None] | None:
        """Train with each of the bugs that is not known yet, in pieces: None, and the bug when it is known.

        None instead of an iterator where all of them are known.
        """
        unknown = [bug for bug in bugs if bug not in self.losses]
        return self._train_all(unknown) if unknown else None

    def _train_all(self, bugs: Sequence[str]) -> Iterator[str | None]:
        for bug in bugs:
            yield from self._train(bug)
            yield bug

    def _train(self, bug: str) -> Iterator[None]:
        """Follow the gradient with a bug from the untrained network."""
        network, losses = self.setup.network.copy(), []
        rates = self.learning_rate * (1.0 if self.setup.rates is None else self.setup.rates)
        for epoch in range(EPOCHS + 1):
            passes = Backpropagation(network, self.setup.train, self.setup.loss, self.l1, self.l2, bug)
            if epoch % EPOCHS_PER_LOSS == 0:
                losses.append(float(passes["loss"]))
            with np.errstate(all="ignore"):
                network.parameters -= rates * passes.gradient.flat
            if epoch % EPOCHS_PER_PIECE == 0:
                yield
        self.losses = {**self.losses, bug: np.array(losses)}

"""An activation trial trains a network on from an epoch with other activations, and counts the units that fire."""

from collections.abc import Iterator, Sequence

import numpy as np

from dashboard.state.run import Frame
from dashboard.state.store import Shown
from engine.network import Network
from engine.training import Training

EPOCHS_AHEAD = 300
"""How long each activation is tried."""

EPOCHS_PER_COUNT = 5
"""Epochs from one count to the next."""


class ActivationTrial:
    """The newest trial of a run, from one fresh start to the next.

    Attributes:
        start: The epoch from which it was trained on; None before there is one.
        counts: By activation, how many units fire, from that epoch on at every fifth.
    """

    def __init__(self, run: Shown, activations: Sequence[str]) -> None:
        self.run, self._activations = run, activations
        self.start: int | None = None
        self.counts: dict[str, list[int]] = {}

    @property
    def epochs(self) -> np.ndarray:
        """(k,) the epochs of the counts; none before there are some."""
        count = len(next(iter(self.counts.values()), ()))
        return (self.start or 0) + EPOCHS_PER_COUNT * np.arange(count)

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Train on from a frame with each activation, an epoch at a time; None where that is known."""
        return None if frame.epoch.index == self.start else self._try_out(frame)

    def _try_out(self, frame: Frame) -> Iterator[object]:
        counts: dict[str, list[int]] = {}
        for name in self._activations:
            training, counts[name] = self._training(frame, name), []
            for epoch in range(EPOCHS_AHEAD + 1):
                training.advance(1)
                if epoch % EPOCHS_PER_COUNT == 0:
                    counts[name].append(firing(training.network, frame.setup.train.x))
                yield
        self.counts, self.start = counts, frame.epoch.index
        self.run.touch()

    def _training(self, frame: Frame, name: str) -> Training:
        """A training that goes on from the frame's weights with another activation; the optimizer starts anew."""
        old, hyperparameters = frame.network(), frame.hyperparameters
        network = Network(
            old.sizes,
            name,
            old.output,
            skip=old.skip,
            has_biases=old.has_biases,
            parametrization=old.parametrization,
            output_scale=old.output_scale,
        )
        network.parameters = old.parameters
        return Training(
            network,
            frame.setup.train,
            loss=frame.setup.loss,
            optimizer=hyperparameters.optimizer,
            batch_size=hyperparameters.batch_size,
            seed=self.run.settings.draws(self.run.settings.batches_from),
            l1=hyperparameters.l1,
            l2=hyperparameters.l2,
            layer_rates=self.run.settings.layer_rates,
        )


def firing(network: Network, x: np.ndarray) -> int:
    """How many hidden units have a pre-activation above zero for at least one example."""
    return sum(int((z > 0).any(axis=0).sum()) for z in network.trace(x).pre_activations)

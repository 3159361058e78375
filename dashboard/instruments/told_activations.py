"""Told activations: the life of every hidden unit, where only its mean activations are known."""

import numpy as np

from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.instrument import Columns
from dashboard.run import Frame
from engine.measures import DIM


class ToldActivations(ActivationMap):
    """The activation map of a training elsewhere: what is dead or dim is seen by the means alone."""

    reading = (
        "One row a unit, first layer on top, one column an epoch; brighter is more active. A cross at the right "
        "marks a unit whose mean is exactly zero, as that of a dead ReLU is; a ring one below 0.001 in a layer that is "
        "never negative. A click picks the unit and takes all pictures to that epoch."
    )

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        """Whether hidden units are told of, and nothing else is known of the network."""
        return super().suits(frame) and not len(frame.setup.train)

    def _fates(self, frame: Frame) -> dict[str, Columns]:
        layers = frame.epoch.mean_activations
        dead = np.concatenate(layers) == 0
        positive = np.concatenate([np.full(len(means), bool((means >= 0).all())) for means in layers])
        dim = positive & ~dead & (np.concatenate(layers) < DIM)
        self._dead, self._dim = int(dead.sum()), int(dim.sum())
        edge = 1.015 * max(20, frame.epoch.index + 1)
        return {label: self._marks(units, edge) for label, units in (("dead", dead), ("dim", dim))}

"""The life of every hidden unit, where only its mean activations were logged."""

import numpy as np

from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.instrument import Columns
from dashboard.state.run import Frame
from engine.measures import DIM


class LoggedActivations(ActivationMap):
    """The activation map of a training elsewhere: dead and dim units are recognized by their means alone."""

    reading = (
        "One row a unit, first layer on top, one column an epoch; brighter is more active. A cross at the right "
        "marks a unit whose mean is exactly zero, as that of a dead ReLU is; a ring one below 0.001 in a layer that is "
        "never negative. A click picks the unit and takes all pictures to that epoch."
    )

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        """Whether hidden units are logged, and nothing else is known of the network."""
        return super().suits(frame) and not len(frame.setup.train)

    def describe(self, frame: Frame) -> str:
        batches = frame.batches("mean_activations")
        where = f" in the {batches:,} batches measured" if batches > 1 else " in the batch measured" if batches else ""
        unknown = f", {self.n_units - self._known} not measured" if self._known < self.n_units else ""
        return f"{self.n_dead} dead{where}, {self.n_dim} dim of {self.n_units} units{unknown}"

    def fate_marks(self, frame: Frame) -> dict[str, Columns]:
        means = np.concatenate(frame.epoch.mean_activations)
        if frame.epoch.index > frame.cursor:
            means = np.full(len(means), np.nan)
        layers = np.split(means, np.cumsum(self.widths)[:-1])
        positive = np.concatenate([np.full(len(part), not (part < 0).any()) for part in layers])
        dead = means == 0
        dim = positive & ~dead & (means < DIM)
        self.n_dead, self.n_dim, self._known = int(dead.sum()), int(dim.sum()), int(np.isfinite(means).sum())
        edge = 1.015 * max(20, frame.cursor + 1)
        return {label: self.marks(units, edge) for label, units in (("dead", dead), ("dim", dim))}

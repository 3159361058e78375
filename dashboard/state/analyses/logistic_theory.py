"""What theory says of a logistic regression before it has run."""

from functools import cache

import numpy as np

from dashboard.state.run import Setup
from engine.activations import softplus
from engine.max_margin import widest_margin
from engine.measures import weight_norms
from engine.optimizers import OPTIMIZERS
from engine.training import Training

STEPS = 40
"""Newton steps to the optimum; from 0 about ten are enough."""

AT_REST = 1e-8
"""How little the last of them may move the weights."""

FROM_ZERO = 0.1
"""Largest initial weights that count as zero."""


class LogisticTheory:
    """For one setup: whether a line separates the classes, where a penalty stops the weights, and how they grow."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.margin = widest_margin(setup.train)
        self.best = cache(self._best)

    @classmethod
    def of(cls, setup: Setup) -> "LogisticTheory | None":
        """The theory of a line with a bias, trained with cross-entropy at one rate; None for anything else."""
        network = setup.network
        is_line = not network.widths and network.output == "sigmoid" and network.has_biases and setup.rates is None
        return cls(setup) if is_line and setup.loss == "binary cross-entropy" else None

    @property
    def from_zero(self) -> bool:
        """Whether the run starts where all predictions are about 1/2."""
        return bool(np.abs(self.setup.network.parameters).max() <= FROM_ZERO)

    def ends(self, l2: float) -> bool:
        """Whether the weights come to rest, as they do unless a line separates the classes without any penalty."""
        return l2 > 0 or self.margin is None

    def as_points(self, learning_rate: float, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|w| and loss (k,) of gradient descent from 0 if all examples of a class were at one point, their mean.

        With m the mean example's distance, u = m |w| follows u' = r m^2 / (1 + exp(u)), so that exp(u) + u = 1 + r m^2
        t. The real weights grow faster, since what is left of the gradient comes from ever nearer examples.
        """
        train = self.setup.train
        side = np.where(train.y == 1, 1.0, -1.0)
        mean = side @ np.column_stack([train.x, np.ones(len(side))]) / len(side)
        m = float(np.linalg.norm(mean))
        goal = 1 + learning_rate * m**2 * np.asarray(epochs, dtype=float)
        u = np.log(goal)
        for _ in range(20):
            u -= (np.exp(u) + u - goal) / (np.exp(u) + 1)
        return u / m * float(np.linalg.norm(mean[:-1])) / m, softplus(-u)

    def _best(self, l2: float) -> tuple[float, float] | None:
        """|w| and loss at the optimum; None where there is none to be found."""
        network = self.setup.network.copy()
        network.parameters[:] = 0.0
        newton = OPTIMIZERS["newton"](learning_rate=1.0, damping=1e-9)
        epochs = Training(network, self.setup.train, self.setup.loss, newton, l2=l2).advance(STEPS)
        moved = np.abs(np.diff(epochs.parameters[-2:], axis=0)).max()
        if not moved <= AT_REST * max(1.0, np.abs(epochs.parameters[-1]).max()):
            return None
        return float(np.linalg.norm(weight_norms(epochs.parameters[-1], network.sizes))), float(epochs.loss[-1])

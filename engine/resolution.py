"""The smallest gradient that a difference of losses can distinguish from 0, parameter by parameter.

A loss is computed in double precision: it is off by about 1e-16 of itself, and by as much as the rounding of the
predictions moves it. Near a solution the second is the larger one: a loss of 1e-10 is the mean of squares of 1e-5, each
the difference of numbers near 1. Divided by twice epsilon, that is what the difference of two losses is wrong by.
"""

from functools import cached_property

import numpy as np

from engine.backpropagation import Backpropagation
from engine.losses import CrossEntropy, matching_loss
from engine.network import Data, Network

EPSILON = 1e-5
"""The epsilon at which the least gradients are those given here."""

SHARE = 1e-5
"""What rounding is a share of, times this, is safely told from 0.

A loss off by a few times 1e-16 makes a difference over 2e-5 wrong by about 1e-11. Of SHARE that is 1e-6, safely within
the tolerance of a gradient check.
"""


class Resolution:
    """What rounding does to a network's loss and to its gradient, in units of the rounding of a number near 1.

    The rounding of many numbers is taken to add up like chance within a layer, and to one side over the examples.
    Arguments are those of `Network.loss`.
    Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", chapter 3, with squares for sums.
    """

    def __init__(self, network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0) -> None:
        self._network = network
        self._is_logarithm = isinstance(matching_loss(loss, network.output), CrossEntropy)
        with np.errstate(all="ignore"):
            self._stages = {stage.name: stage.array for stage in Backpropagation(network, data, loss, l1, l2)}
            self._depth = len(network.sizes) - 1
            self._logits = self._logit_errors()

    @cached_property
    def loss(self) -> float:
        """What the loss is off by at most: itself, and what the rounding of logits, answers and their costs does."""
        s, out = self._stages, self._depth
        answers, labels = s[f"a{out}"], s["y"]
        with np.errstate(all="ignore"):
            of_costs = 2 * np.abs((answers - labels) * answers).mean()
            # Cross-entropy is the logarithm of a sum that is at least 1, and so is rounded as 1 is.
            sums = float(self._is_logarithm)
            return float(np.abs(s["loss"]) + self._through_logits.sum() + of_costs + sums)

    @cached_property
    def typical(self) -> float:
        """What the loss is likely to be off by, where the rounding of the examples is left to chance, too."""
        with np.errstate(all="ignore"):
            return float(np.hypot(self._stages["loss"], np.linalg.norm(self._through_logits)))

    @cached_property
    def gradient(self) -> np.ndarray:
        """(n_parameters,) what its gradient is off by, and the loss next to it, per step of a parameter."""
        s, parts = self._stages, []
        answers, labels = s[f"a{self._depth}"], s["y"]
        d = 2 * (self._logits + np.abs(answers) + np.abs(labels)) / len(labels)
        above = np.zeros(1)
        with np.errstate(all="ignore"):
            for i in range(self._depth, 0, -1):
                if i < self._depth:
                    down = np.square(d) @ np.square(s[f"W{i + 1}"]).T
                    above = down + (above if self._skips(i) else 0.0)
                    d = np.sqrt(above) * np.abs(s[f"f'(z{i})"])
                parts.append(np.concatenate([(np.abs(s[f"a{i - 1}"]).T @ d).ravel(), d.sum(axis=0)]))
        return np.concatenate(parts[::-1])

    @cached_property
    def least(self) -> np.ndarray:
        """(n_parameters,) gradients smaller than this cannot be told from 0 by losses 2 epsilon apart."""
        with np.errstate(all="ignore"):
            return SHARE * (self.loss + EPSILON * self.gradient)

    @cached_property
    def _through_logits(self) -> np.ndarray:
        """(n,) by how much the rounding of each example's logits moves the loss."""
        return np.sqrt(np.square(self._stages[f"dz{self._depth}"] * self._logits).sum(axis=1))

    def _logit_errors(self) -> np.ndarray:
        """(n, outputs) what the logits are off by: the rounding of every layer, and that of those below."""
        s, below = self._stages, np.zeros(1)
        z = below
        for i in range(1, self._depth + 1):
            weights = np.square(s[f"W{i}"])
            z = (np.square(s[f"a{i - 1}"]) + below) @ weights + np.square(s[f"b{i}"])
            if i < self._depth:
                below = np.square(s[f"f'(z{i})"]) * z + np.square(s[f"a{i}"]) + (below if self._skips(i - 1) else 0.0)
        return np.sqrt(z)

    def _skips(self, i: int) -> bool:
        """Whether what goes into layer i + 1 is also added to what comes out of it."""
        return i + 1 < self._depth and bool(self._network.skips[i])

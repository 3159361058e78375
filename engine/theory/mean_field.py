"""Mean field theory of signals in wide networks with random weights: Poole et al. 2016, Schoenholz et al. 2017."""

import math
from dataclasses import dataclass

import numpy as np

from engine.activations import ACTIVATIONS, Activation
from engine.options import choose

NODES, _COUNTS = np.polynomial.hermite_e.hermegauss(100)
WEIGHTS = _COUNTS / _COUNTS.sum()
"""Nodes of a standard normal variable, and the weight of each; none of them is at 0, where ReLU has its kink."""

STEPS, CLOSE = 10_000, 1e-13
"""Most steps of an iteration to a fixed point, and the relative change at which it ends."""

LONGEST = 1e100
"""A mean square that stands for an infinite one, where only ratios matter."""


@dataclass(frozen=True)
class MeanField:
    """A network of infinite width with weights N(0, sigma_w^2 / fan_in) and biases N(0, sigma_b^2), layer by layer.

    Raises ValueError for a variance below 0 or an unknown activation.

    Attributes:
        weight_variance: sigma_w^2.
        bias_variance: sigma_b^2.
        activation: The name of the hidden layers' activation.
    """

    weight_variance: float
    bias_variance: float = 0.0
    activation: str = "tanh"

    def __post_init__(self) -> None:
        choose(ACTIVATIONS, self.activation, "activation")
        for name in ("weight_variance", "bias_variance"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} {getattr(self, name)} is impossible; choose 0 or more")

    def next_length(self, q: float | np.ndarray) -> np.ndarray:
        """The mean square of the next layer's pre-activations, of this layer's mean square q."""
        with np.errstate(over="ignore"):
            squares = self._function.function(np.sqrt(np.asarray(q))[..., None] * NODES) ** 2
            return self.weight_variance * (squares @ WEIGHTS) + self.bias_variance

    def lengths(self, q: float, depth: int) -> np.ndarray:
        """(depth,) the mean square of the pre-activations in each layer, of q in the first."""
        found = [float(q)]
        while len(found) < depth:
            found.append(float(self.next_length(found[-1])))
        return np.array(found)

    def fixed_length(self) -> float:
        """q*, to which the mean square settles; infinite where it grows for ever."""
        q = 1.0
        for _ in range(STEPS):
            q, before = float(self.next_length(q)), q
            if q > LONGEST:
                return math.inf
            if abs(q - before) <= CLOSE * max(q, CLOSE):
                break
        return q

    def gradient_factor(self) -> float:
        """chi: by what the mean square of a gradient grows with every layer on its way back; 1 is critical."""
        return self._slopes_product(1.0, self.fixed_length())

    def factor_at(self, q: float) -> float:
        """What the mean square of a gradient grows by on its way back through a layer of mean square q."""
        return self._slopes_product(1.0, q)

    def fixed_correlation(self) -> float:
        """c*, the correlation to which any two inputs settle: 1 in the ordered phase, less in the chaotic one.

        For activations without a kink, which the quadrature would miss.
        """
        q = min(self.fixed_length(), LONGEST)
        if self.gradient_factor() <= 1:
            return 1.0
        c = 0.5
        for _ in range(STEPS):
            c, before = (self._product(c, q, slopes=False) + self.bias_variance) / q, c
            if abs(c - before) <= CLOSE:
                break
        return c

    def correlation_depth(self) -> float:
        """xi_c: the number of layers in which what two inputs differ by, or share, falls to 1/e.

        Networks train up to about 6 xi_c layers (Schoenholz et al. 2017).
        """
        factor = self._slopes_product(self.fixed_correlation(), self.fixed_length())
        return math.inf if factor == 1 else -1 / math.log(abs(factor)) if factor > 0 else 0.0

    @property
    def _function(self) -> Activation:
        return ACTIVATIONS[self.activation]

    def _slopes_product(self, c: float, q: float) -> float:
        return self._product(c, q, slopes=True)

    def _product(self, c: float, q: float, slopes: bool) -> float:
        """sigma_w^2 times the mean product of f, or f', at two pre-activations of mean square q and correlation c."""
        f = self._function.slope if slopes else self._function.function
        one = math.sqrt(min(q, LONGEST)) * NODES
        if c >= 1:
            return self.weight_variance * float(f(one) ** 2 @ WEIGHTS)
        other = math.sqrt(q) * (c * NODES[:, None] + math.sqrt(1 - c**2) * NODES)
        return self.weight_variance * float(WEIGHTS @ (f(one) * (f(other) @ WEIGHTS)))


def critical_weight_variance(bias_variance: float = 0.0, activation: str = "tanh") -> float:
    """The sigma_w^2 at which a gradient neither shrinks nor grows, by bisection between 0 and 16.

    Raises:
        ValueError: Where there is none between these.
    """
    low, high = 1e-6, 16.0
    if not gradient_factor(low, bias_variance, activation) < 1 < gradient_factor(high, bias_variance, activation):
        raise ValueError(f"{activation} with sigma_b^2 = {bias_variance} has no critical sigma_w^2 between 0 and 16")
    while high - low > 1e-10:
        middle = (low + high) / 2
        if gradient_factor(middle, bias_variance, activation) < 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def gradient_factor(weight_variance: float, bias_variance: float = 0.0, activation: str = "tanh") -> float:
    """chi of such a network: see `MeanField.gradient_factor`."""
    return MeanField(weight_variance, bias_variance, activation).gradient_factor()

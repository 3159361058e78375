"""The distributions from which initial weights are drawn.

An initializer is called `(rng, fan_in, fan_out)` and returns weights (fan_in, fan_out): fan_in numbers come into each
of fan_out units. Too small, and all units are alike and the gradient vanishes; too large, and they saturate or explode.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from engine.options import Range

Std = Annotated[float, Range(1e-3, 10.0, log=True, doc="Standard deviation of the weights at the start.")]


class Initializer(ABC):
    """A way to draw the weights of a layer."""

    @abstractmethod
    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        """Weights for one layer, (fan_in, fan_out)."""


@dataclass(frozen=True)
class He(Initializer):
    """Normal with variance 2 / fan_in: ReLU units, half of which are off, neither fade nor grow.

    Source: He et al. 2015, equation 10.
    """

    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        return math.sqrt(2 / fan_in) * rng.standard_normal((fan_in, fan_out))


@dataclass(frozen=True)
class Xavier(Initializer):
    """Normal with variance 2 / (fan_in + fan_out): a compromise between forward and backward.

    Source: Glorot & Bengio 2010, equation 12.
    """

    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        return math.sqrt(2 / (fan_in + fan_out)) * rng.standard_normal((fan_in, fan_out))


@dataclass(frozen=True)
class LeCun(Initializer):
    """Normal with variance 1 / fan_in: pre-activations vary as much as what comes in.

    Source: LeCun et al. 1998, "Efficient BackProp", equation 16.
    """

    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        return math.sqrt(1 / fan_in) * rng.standard_normal((fan_in, fan_out))


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random rotation, cut to size: all its singular values are 1.

    Source: Saxe, McClelland & Ganguli 2014.
    """

    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        long, short = max(fan_in, fan_out), min(fan_in, fan_out)
        q, r = np.linalg.qr(rng.standard_normal((long, short)))
        # Without the signs of r's diagonal, q would not be uniform over the rotations (Mezzadri 2007).
        q *= np.sign(np.diag(r))
        return q if fan_in == long else q.T.copy()


@dataclass(frozen=True)
class Zeros(Initializer):
    """All weights 0: every unit of a layer is the same unit, and stays so."""

    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        return np.zeros((fan_in, fan_out))


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal with the same standard deviation in every layer, whatever its size.

    Raises:
        ValueError: If `std` is negative or not finite.
    """

    std: Std = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.std < math.inf:
            raise ValueError(f"std {self.std} is not a standard deviation; choose a finite number of 0 or more")

    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        return self.std * rng.standard_normal((fan_in, fan_out))


@dataclass(frozen=True)
class Gaussian(Initializer):
    """Normal with variance sigma_w^2 / fan_in, as theories of wide networks have it.

    With tanh, signals fade from layer to layer below a critical sigma_w and are torn apart above it: 1 without biases.
    He's is sigma_w = sqrt(2), LeCun's 1.
    Source: Poole et al. 2016, "Exponential expressivity in deep neural networks through transient chaos".

    Raises:
        ValueError: If `sigma_w` is negative or not finite.
    """

    sigma_w: Annotated[
        float, Range(0.05, 10.0, log=True, doc="Standard deviation of the weights, times the root of the inputs.")
    ] = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_w < math.inf:
            raise ValueError(f"sigma_w {self.sigma_w} is not a standard deviation; choose a finite number of 0 or more")

    def __call__(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        return self.sigma_w / math.sqrt(fan_in) * rng.standard_normal((fan_in, fan_out))


@dataclass(frozen=True)
class Small(Normal):
    """Normal, and so small that the network starts near a plateau."""

    std: Std = 0.01


@dataclass(frozen=True)
class Large(Normal):
    """Normal, and so large that sigmoids saturate and the loss starts in the hundreds."""

    std: Std = 5.0


INITIALIZERS: dict[str, type[Initializer]] = {
    "he": He,
    "xavier": Xavier,
    "lecun": LeCun,
    "orthogonal": Orthogonal,
    "zeros": Zeros,
    "normal": Normal,
    "small": Small,
    "large": Large,
    "gaussian": Gaussian,
}

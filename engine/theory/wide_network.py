"""Wide networks train like their kernel at the start: Jacot et al. 2018, Lee et al. 2019.

While the weights hardly move, the outputs f on the examples follow f_t = y + exp(-r K t / n) (f_0 - y), with K = J J^T
of the derivatives J of the outputs in the parameters, under gradient descent at a rate r on half the mean square error.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from engine.datasets import Dataset
from engine.network import Data, Network


@dataclass(frozen=True, eq=False)
class Linearized:
    """The training of a network that stays linear in its parameters, solved.

    Attributes:
        start: (n,) f_0.
        targets: (n,) y.
        kernel: (n, n) K.
    """

    start: np.ndarray
    targets: np.ndarray
    kernel: np.ndarray

    @classmethod
    def of(cls, network: Network, data: Data, rates: np.ndarray | None = None) -> Self:
        """That of a network as it is.

        Args:
            network: Has a single linear output.
            data: What it learns.
            rates: (n_parameters,) what the learning rate is multiplied by for each parameter; None for 1.
        """
        slopes = jacobian(network, data.x)
        scaled = slopes if rates is None else slopes * rates
        return cls(network.predict(data.x)[:, 0], np.asarray(data.y, dtype=float), scaled @ slopes.T)

    def outputs(self, t: np.ndarray, rate: float, is_flow: bool = False) -> np.ndarray:
        """(times, n) the outputs after so many steps of gradient descent, exactly; of gradient flow, by the formula."""
        n, times = len(self.targets), np.asarray(t, dtype=float)[:, None]
        values, vectors = np.linalg.eigh(self.kernel)
        values = rate * np.maximum(values, 0.0) / n
        kept = np.exp(-values * times) if is_flow else (1 - values) ** times
        return self.targets + kept * (vectors.T @ (self.start - self.targets)) @ vectors.T

    def losses(self, t: np.ndarray, rate: float, is_flow: bool = False) -> np.ndarray:
        """(times,) half the mean square error."""
        return ((self.outputs(t, rate, is_flow) - self.targets) ** 2).mean(axis=1) / 2


def jacobian(network: Network, x: np.ndarray) -> np.ndarray:
    """(n, n_parameters) the derivatives of a single linear output at each example.

    Raises:
        ValueError: If there are more outputs, or the output is another one.
    """
    if network.output != "linear" or network.sizes[-1] != 1:
        raise ValueError(f"{network.sizes[-1]} outputs, {network.output}; choose a network with one linear output")
    outputs, rows = network.predict(x)[:, 0], []
    for one, output in zip(np.asarray(x, dtype=float), outputs, strict=True):
        # Half the square of the distance from output - 1 has the slope of the output itself.
        data = Dataset(one[None], np.array([output - 1.0]), "regression", 0)
        rows.append(network.gradient(data, "half mse").flat.copy())
    return np.array(rows)

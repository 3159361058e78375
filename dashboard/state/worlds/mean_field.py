"""Mean field: how the size of signals and of gradients goes from layer to layer of a wide random network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard.state.run import Frame, Setup
from dashboard.state.settings import Settings
from dashboard.state.worlds.world import Line, Outcome, World
from engine.backpropagation import Backpropagation
from engine.datasets import Dataset
from engine.network import Network
from engine.theory.mean_field import MeanField

DEPTH = 16
WIDEST = 64
"""Units a layer of the page's run at most, so that it is not too large to be trained while one looks on."""


class Signals(World):
    """The mean square of the pre-activations, layer by layer."""

    label = "Signals in wide networks"
    formula = r"q_{l+1} = \sigma_w^2\, \mathbb{E}\left[\tanh^2(\sqrt{q_l}\, z)\right] + \sigma_b^2"
    source = "Poole et al. 2016"
    fixed = {
        "dataset": "slope",
        "noise": 0.0,
        "validation": 0.0,
        "standardize": False,
        "skip": False,
        "biases": True,
        "bias": 0.0,
        "initializer": "gaussian",
        "parametrization": "standard",
        "output_scale": 1.0,
    }
    usual = {
        "activation": "tanh",
        "hidden": [WIDEST] * DEPTH,
        "sigma_w": 1.265,
        "bias_std": 0.2236,
        "loss": "half mse",
        "learning_rate": 0.01,
    }
    x, y = "layer", "mean square of z"

    def sized(self, settings: Settings, size: int) -> dict[str, Any]:
        depth = len(settings.hidden) or DEPTH
        return {"hidden": [min(size or WIDEST, WIDEST)] * depth}

    def lines(self, setup: Setup, settings: Settings, size: int) -> Sequence[Line]:
        places = np.arange(1, len(settings.hidden) + 1)
        return [Line("infinite width", places, self.expected(settings))] if len(places) else []

    def outcomes(self, settings: Settings, size: int) -> Sequence[Outcome]:
        depth = len(settings.hidden)
        network = Network(
            [1, *[size] * depth, 1],
            settings.activation,
            "linear",
            seed=settings.draws(settings.seed),
            **settings.network_arguments(),
        )
        measured = self.measured(network, settings.examples(), settings)
        return [Outcome(np.arange(1, depth + 1), measured, self.expected(settings))]

    def own(self, frame: Frame, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(1, len(settings.hidden) + 1), self.measured(frame.network(), frame.setup.train, settings)

    def measured(self, network: Network, data: Dataset, settings: Settings) -> np.ndarray:
        """(layers,) the quantity in each hidden layer."""
        return np.array([(z**2).mean() for z in network.trace(data.x).pre_activations])

    def expected(self, settings: Settings) -> np.ndarray:
        """(layers,) the same of an infinitely wide network."""
        return lengths(settings)


class Gradients(Signals):
    """The mean square of the loss's derivative in the pre-activations, layer by layer."""

    label = "Gradients in wide networks"
    formula = (
        r"\delta_l^2 = \chi(q_l)\, \delta_{l+1}^2, \quad"
        r"\chi(q) = \sigma_w^2\, \mathbb{E}\left[\tanh'^2(\sqrt q\, z)\right]"
    )
    source = "Schoenholz et al. 2017"
    y = "gradient² / last layer's"
    log_y = True

    def measured(self, network: Network, data: Dataset, settings: Settings) -> np.ndarray:
        passes = Backpropagation(network, data, settings.loss)
        squares = np.array([(passes[f"dz{layer}"] ** 2).mean() for layer in range(1, len(network.widths) + 1)])
        with np.errstate(all="ignore"):
            return squares / squares[-1]

    def expected(self, settings: Settings) -> np.ndarray:
        factors = [theory(settings).factor_at(q) for q in lengths(settings)[:-1]]
        return np.append(np.cumprod(factors[::-1])[::-1], 1.0)


def theory(settings: Settings) -> MeanField:
    """The theory of networks with these settings."""
    return MeanField(settings.sigma_w**2, settings.bias_std**2, settings.activation)


def lengths(settings: Settings) -> np.ndarray:
    """(layers,) the mean squares; the inputs are -1 and 1, so that the first is known."""
    found = theory(settings)
    return found.lengths(found.weight_variance + found.bias_variance, len(settings.hidden))

"""Double descent: least squares is worst where there are as many features as examples, and better again beyond."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard.state.run import Frame, Setup
from dashboard.state.settings import Settings
from dashboard.state.worlds.world import Line, Outcome, World
from engine.datasets import linear_teacher
from engine.network import Network
from engine.optimizers import Newton
from engine.theory.double_descent import excess_risk, finite_excess_risk
from engine.training import Training

RATIOS = (0.25, 0.5, 0.75, 1.5, 2.0, 2.5, 3.0)
"""Features over examples at which runs are trained; nearer to 1, a few of them decide the mean."""

FINE = np.concatenate([np.linspace(0.05, 0.93, 60), np.linspace(1.07, 3.2, 90)])


class DoubleDescent(World):
    """The risk above the noise of the network without hidden layers that fits best, the smallest of those that do."""

    label = "Double descent"
    formula = (
        r"R = \sigma^2 \frac{g}{1 - g} \;(g < 1), \quad"
        r"R = r^2\left(1 - \frac1g\right) + \frac{\sigma^2}{g - 1} \;(g > 1), \quad g = p/n"
    )
    source = "Hastie et al. 2022"
    fixed = {
        "dataset": "linear teacher",
        "validation": 0.0,
        "standardize": False,
        "hidden": [],
        "biases": False,
        "initializer": "zeros",
        "parametrization": "standard",
        "output_scale": 1.0,
        "l1": 0.0,
        "l2": 0.0,
    }
    usual = {
        "n": 32,
        "noise": 0.5,
        "dimension": 24,
        "loss": "half mse",
        "learning_rate": 0.3,
        "speed": 100,
        "stop_epoch": 1000,
    }
    x, y = "features / examples", "risk above the noise"
    log_x = True
    log_y = True
    dots = True
    size_name = "size"

    def sized(self, settings: Settings, size: int) -> dict[str, Any]:
        return {"n": size or 128}

    def lines(self, setup: Setup, settings: Settings, size: int) -> Sequence[Line]:
        return [Line("infinite size", FINE, excess_risk(FINE, settings.noise))]

    def outcomes(self, settings: Settings, size: int) -> Sequence[Outcome]:
        found = []
        for features in features_for(size):
            options = {"seed": settings.draws(settings.seed), "dimension": features}
            network = Network([features, 1], output="linear", initializer="zeros", has_biases=False)
            training = Training(
                network, linear_teacher(n=size, noise=settings.noise, **options), "half mse", Newton(1.0, damping=0.0)
            )
            training.advance(2)
            found.append(((network.weights[0][:, 0] - truth(**options)) ** 2).sum())
        theory = [finite_excess_risk(features, size, settings.noise) for features in features_for(size)]
        return [Outcome(np.array(features_for(size)) / size, np.array(found), np.array(theory))]

    def own(self, frame: Frame, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        features, examples = settings.dimension, len(frame.setup.train)
        right = truth(settings.draws(settings.data_from), features)
        risk = ((frame.epoch.parameters[:features] - right) ** 2).sum()
        return np.array([features / examples]), np.array([risk])


def features_for(size: int) -> list[int]:
    """Numbers of features, at least three from that of the examples: nearer to it, the mean of runs says little."""
    return sorted({max(1, round(ratio * size)) for ratio in RATIOS if abs(round(ratio * size) - size) >= 3 or size < 8})


def truth(seed: int, dimension: int) -> np.ndarray:
    """(dimension,) the teacher's own weights: what fits enough of its answers before they are disturbed."""
    data = linear_teacher(n=2 * dimension + 2, noise=0.0, seed=seed, dimension=dimension)
    return np.linalg.lstsq(data.x, data.y, rcond=None)[0]

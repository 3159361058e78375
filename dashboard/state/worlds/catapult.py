"""The catapult: two linear layers whose loss leaps up at a rate above 2 / curvature, and lands in a flatter place."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard.state.run import Frame, Setup
from dashboard.state.settings import Settings
from dashboard.state.worlds.world import LINEAR, Line, Outcome, World, recorded
from engine.network import Network
from engine.theory.catapult import advanced

EPOCHS = 60
HIGHEST = 1e12
"""Where the line of infinite width, which grows for ever, is cut off."""


class CatapultWorld(World):
    """The loss over the epochs, over the first one."""

    label = "Catapult"
    formula = (
        r"f' = f\left(1 - \eta\lambda + \tfrac{\eta^2 f^2}{n}\right), \quad"
        r"\lambda' = \lambda + \tfrac{\eta f^2}{n}(\eta\lambda - 4)"
    )
    source = "Lewkowycz et al. 2020"
    fixed = {**LINEAR, "strength": 0.0, "initializer": "gaussian", "sigma_w": 1.0, "parametrization": "ntk"}
    usual = {"hidden": [128], "learning_rate": 1.4, "speed": 5, "stop_epoch": EPOCHS}
    x, y = "epoch", "loss / first loss"
    log_y = True
    in_errors = False

    def sized(self, settings: Settings, size: int) -> dict[str, Any]:
        return {"hidden": [size or 128]}

    def lines(self, setup: Setup, settings: Settings, size: int) -> Sequence[Line]:
        epochs, (f, curvature) = np.arange(EPOCHS + 1), two_numbers(setup.network)
        with np.errstate(all="ignore"):
            endless = (1 - settings.learning_rate * curvature) ** (2.0 * epochs)
            exact = losses(f, curvature, settings.learning_rate, setup.network.widths[0])
        return [Line("two numbers", epochs, _cut(exact)), Line("infinite width", epochs, _cut(endless))]

    def outcomes(self, settings: Settings, size: int) -> Sequence[Outcome]:
        setup = Setup.of(settings)
        f, curvature = two_numbers(setup.network)
        with np.errstate(all="ignore"):
            found = setup.training(settings).advance(EPOCHS + 1).loss
            exact = losses(f, curvature, settings.learning_rate, size)
            return [Outcome(np.arange(EPOCHS + 1), _cut(found / found[0]), _cut(exact))]

    def own(self, frame: Frame, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        index, rows = recorded(frame, EPOCHS)
        return index, rows.loss / frame.history.at(0).loss


def two_numbers(network: Network) -> tuple[float, float]:
    """f and lambda of a network of two linear layers in the parametrization of the neural tangent kernel."""
    first, second = network.weights[0][0], network.weights[1][:, 0]
    return float(first @ second), float(first @ first / len(first) + second @ second)


def losses(f: float, curvature: float, rate: float, width: int) -> np.ndarray:
    """(epochs + 1,) the loss over the first one, by the recursion of the two numbers."""
    first, found = f, [1.0]
    for _ in range(EPOCHS):
        f, curvature = advanced(np.float64(f), np.float64(curvature), rate, width)
        found.append((f / first) ** 2 if abs(f) < math.inf else math.inf)
    return np.array(found)


def _cut(values: np.ndarray) -> np.ndarray:
    """Values that can be drawn: those beyond the highest end there."""
    return np.minimum(np.nan_to_num(values, nan=HIGHEST, posinf=HIGHEST), HIGHEST)

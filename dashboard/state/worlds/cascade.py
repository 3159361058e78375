"""The cascade: beyond the edge of stability one weight product goes to and fro between 2, 4, 8 values, then chaos."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from dashboard.state.run import Frame, Setup
from dashboard.state.settings import Settings
from dashboard.state.worlds.world import LINEAR, Line, Outcome, World
from engine.theory import cascade

FINE, DRAWN = np.linspace(0.8, 2.0, 400), 64
"""Rates of the diagram, and how many epochs are drawn of each."""

HIGH = 2.2
"""How far the lines at the rates with a name go up."""

RATES = np.round(np.linspace(0.85, 1.75, 19), 3)
"""Rates at which the engine trains runs; beyond, most of them diverge before they have come to the orbit."""

WARM, COUNTED = 600, 400
"""Epochs before those that count, and how many do; in chaos their mean tells what single ones cannot."""


class Cascade(World):
    """The product of the two weights of a linear network, once it has come to what it does for ever."""

    label = "Beyond the edge"
    formula = r"L = \tfrac12 (w_1 w_2 - 1)^2, \quad p' = p\,\left(1 - \eta\,(p - 1)\right)^2"
    source = "Kalra & Barkeshli 2023"
    fixed = {**LINEAR, "strength": 1.0, "parametrization": "standard", "hidden": [1]}
    usual = {"initializer": "normal", "std": 0.5, "learning_rate": 1.27, "speed": 20, "stop_epoch": 500}
    x, y = "learning rate", "w₁ w₂"
    dots = True
    in_errors = False
    size_name = ""

    def sized(self, settings: Settings, size: int) -> dict[str, Any]:
        return {}

    def lines(self, setup: Setup, settings: Settings, size: int) -> Sequence[Line]:
        return [orbits(), *(Line(name, np.full(2, rate), np.array([0.0, HIGH])) for name, rate in PLACES.items())]

    def outcomes(self, settings: Settings, size: int) -> Sequence[Outcome]:
        setup, found = Setup.of(settings), []
        for rate in RATES.tolist():
            training = setup.training(settings)
            training.optimizer.learning_rate = rate
            found.append(products(training.advance(WARM + COUNTED + 1).parameters[-COUNTED:]).mean())
        return [Outcome(RATES, np.array(found), expected())]

    def own(self, frame: Frame, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        rows = frame.kept(frame.epoch.index - DRAWN)
        return np.full(len(rows), frame.epoch.learning_rate), products(rows.parameters)


PLACES = {"edge": cascade.FIRST, "4 values": cascade.SECOND}
"""Rates with a name: the fixed point gives way at the edge of stability, the cycle of 2 at the second."""


@cache
def orbits() -> Line:
    """The diagram, from the map of theory alone."""
    found = cascade.orbits(FINE, WARM, DRAWN) ** 2
    fine = np.isfinite(found)
    return Line("", np.broadcast_to(FINE, found.shape)[fine], found[fine])


@cache
def expected() -> np.ndarray:
    """(rates,) the mean of an orbit of the map."""
    return (cascade.orbits(RATES, WARM, 20 * COUNTED) ** 2).mean(axis=0)


def products(parameters: np.ndarray) -> np.ndarray:
    """(epochs,) the product of both weights; the biases between them are not there."""
    return parameters[:, 0] * parameters[:, 2]

"""Deep linear stages: each mode of what two linear layers learn waits, and then comes along a sigmoid."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard.state.run import Frame, Setup
from dashboard.state.settings import Settings
from dashboard.state.worlds.world import LINEAR, Line, Outcome, World, recorded
from engine.network import Network
from engine.theory.deep_linear import from_start

EPOCHS = 800
START = 0.02
"""The mean square of each layer's weights at the start, added up."""

STRENGTHS = (3.0, 2.0, 1.0)


class DeepLinear(World):
    """How much is learned of modes of three strengths; a network of several learns each as if it were alone."""

    label = "Deep linear stages"
    formula = r"a(t) = \frac{s\, e^{2st/\tau}}{e^{2st/\tau} - 1 + s/a_0}, \quad \tau = 1/\eta"
    source = "Saxe, McClelland & Ganguli 2014"
    fixed = {**LINEAR, "initializer": "normal", "parametrization": "standard"}
    usual = {
        "hidden": [64],
        "std": round((START / 64) ** 0.5, 6),
        "strength": 3.0,
        "learning_rate": 0.005,
        "speed": 100,
        "stop_epoch": EPOCHS,
    }
    x, y = "epoch", "learned"
    in_errors = False

    def sized(self, settings: Settings, size: int) -> dict[str, Any]:
        return {"hidden": [size or 64], "std": round((START / (size or 64)) ** 0.5, 6)}

    def lines(self, setup: Setup, settings: Settings, size: int) -> Sequence[Line]:
        epochs, tau = np.arange(EPOCHS + 1), 1 / settings.learning_rate
        half = setup.network.widths[0] * settings.std**2 / 2
        endless = [Line(f"s = {s:g}", epochs, from_start(epochs, s, half, half, tau)) for s in STRENGTHS]
        return [*endless, Line("from this run's start", epochs, exact(setup.network, settings.strength, tau))]

    def outcomes(self, settings: Settings, size: int) -> Sequence[Outcome]:
        found = []
        for strength in STRENGTHS:
            settings.strength = strength
            setup = Setup.of(settings)
            rows = setup.training(settings).advance(EPOCHS + 1)
            theory = exact(setup.network, strength, 1 / settings.learning_rate)
            found.append(Outcome(rows.index, learned(rows.parameters, size), theory))
        return found

    def own(self, frame: Frame, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        index, rows = recorded(frame, EPOCHS)
        return index, learned(rows.parameters, frame.setup.network.widths[0])


def exact(network: Network, strength: float, tau: float) -> np.ndarray:
    """(epochs + 1,) how much is learned from the start that a network has."""
    first, second = network.weights[0][0], network.weights[1][:, 0]
    grown, shrunk = ((first + sign * second) @ (first + sign * second) / 4 for sign in (1, -1))
    return from_start(np.arange(EPOCHS + 1), strength, grown, shrunk, tau)


def learned(parameters: np.ndarray, width: int) -> np.ndarray:
    """(epochs,) the product of both layers' weights."""
    return (parameters[:, :width] * parameters[:, 2 * width : 3 * width]).sum(axis=1)

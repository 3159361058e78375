"""Wide networks: while their weights hardly move, they learn like the kernel that they start with."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard.state.run import Frame, Setup
from dashboard.state.settings import Settings
from dashboard.state.worlds.world import DESCENT, Line, Outcome, World, recorded
from engine.theory.wide_network import Linearized

EPOCHS = 400


class WideNetwork(World):
    """The loss over the epochs of a network of two hidden layers."""

    label = "Wide networks and their kernel"
    formula = r"f_t = y + e^{-\eta K t / n}\,(f_0 - y), \quad K = J J^T \text{ at the start}"
    source = "Jacot et al. 2018"
    fixed = {**DESCENT, "dataset": "sine", "parametrization": "ntk", "initializer": "gaussian"}
    usual = {
        "n": 12,
        "noise": 0.0,
        "activation": "tanh",
        "hidden": [128, 128],
        "sigma_w": 1.5,
        "learning_rate": 0.2,
        "speed": 100,
        "stop_epoch": EPOCHS,
    }
    x, y = "epoch", "loss"
    log_y = True

    def sized(self, settings: Settings, size: int) -> dict[str, Any]:
        return {"hidden": [size or 128] * (len(settings.hidden) or 1)}

    def lines(self, setup: Setup, settings: Settings, size: int) -> Sequence[Line]:
        linear, epochs = Linearized.of(setup.network, setup.train, setup.rates), np.arange(EPOCHS + 1)
        return [Line("its kernel", epochs, linear.losses(epochs, settings.learning_rate))]

    def outcomes(self, settings: Settings, size: int) -> Sequence[Outcome]:
        setup, epochs = Setup.of(settings), np.arange(EPOCHS + 1)
        linear = Linearized.of(setup.network, setup.train, setup.rates)
        found = setup.training(settings).advance(EPOCHS + 1).loss
        return [Outcome(epochs, found, linear.losses(epochs, settings.learning_rate))]

    def own(self, frame: Frame, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        index, rows = recorded(frame, EPOCHS)
        return index, rows.loss

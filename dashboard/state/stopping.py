"""Stop rules decide when a run pauses by itself."""

import numpy as np

from dashboard.state.settings import Settings
from engine.training import Epoch, Epochs


class StopRule:
    """When to pause: at an epoch, at a loss, or on a plateau."""

    FALL = 1e-3

    def __init__(self, settings: Settings, passed: Epoch | None = None) -> None:
        """Read the rule in the settings.

        Args:
            settings: Those of the run.
            passed: An epoch; goals that it has reached already do not count again.
        """
        self._epoch, self._loss, self._patience = settings.stop_epoch, settings.stop_loss, settings.stop_plateau
        self._passed = passed
        self._best = np.inf
        self._best_epoch = passed.index if passed else 0

    def verdict(self, block: Epochs) -> str:
        """Why to stop after this block; empty to go on. With a loss or plateau as a goal, a block is one epoch."""
        newest, passed = block[-1], self._passed
        if self._epoch and newest.index >= self._epoch and not (passed and passed.index >= self._epoch):
            return f"stopped at epoch {newest.index:,}, where it was to stop; Play goes on"
        if self._loss and newest.loss <= self._loss and not (passed and passed.loss <= self._loss):
            return f"stopped at epoch {newest.index:,}: the loss has come down to {self._loss:g}"
        if newest.loss < self._best * (1 - self.FALL):
            self._best, self._best_epoch = newest.loss, newest.index
        if self._patience and newest.index - self._best_epoch >= self._patience:
            return f"stopped at epoch {newest.index:,}: no better for {self._patience:,} epochs"
        return ""

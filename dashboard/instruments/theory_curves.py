"""Curves over the logarithm of time, with what theory says of them before the run."""

from collections.abc import Hashable

import numpy as np
import param

from dashboard.instruments.instrument import Columns, hyperparameters_of
from dashboard.instruments.study_curves import BEFORE_ONE, StudyCurves
from dashboard.state.analyses.logistic_theory import LogisticTheory
from dashboard.state.run import Frame


class TheoryCurves(StudyCurves):
    """Curves over the logarithm of time, with what theory says of them.

    Attributes:
        theory: What it says of the run; None where it says nothing.
    """

    legend = False
    points = 1024

    log_x = param.Boolean(default=True, label="Log epochs", doc="Draw the epochs on a logarithmic axis.")

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self.theory = LogisticTheory.of(frame.setup)
        self._wanted: Hashable = None
        self._hyperparameter_log = frame.hyperparameter_log

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._hyperparameter_log = frame.hyperparameter_log.then(frame.epoch.index, frame.hyperparameters)
        wanted = frame.l1, frame.l2, hyperparameters_of(frame), self.run.settings.optimizer, self.last_epoch
        if wanted != self._wanted:
            self._wanted = wanted
            self.renew()
        return super().columns(frame, after)

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        ranges = super().ranges(frame)
        low, high = ranges["x"]
        return {**ranges, "x": (low, max(high, 1.05 * self.last_epoch))}

    def lowest(self, l2: float) -> tuple[float, float] | None:
        """|w| and loss at the optimum with a penalty; None where there is none."""
        return self.theory.best(l2) if self.theory and self.theory.ends(l2) else None

    def as_points(self, l2: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Epochs, |w| and loss if each class were one point; None where theory does not say how they go on."""
        theory = self.theory
        if not theory or theory.ends(l2) or not theory.from_zero or self.run.settings.optimizer != "sgd":
            return None
        epochs = np.geomspace(BEFORE_ONE, self.last_epoch, 60)
        return epochs, *self.points_at(epochs)

    def points_at(self, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|w| and loss (k,) there if each class were one point, at the learning rates that the run had and has."""
        return self.theory.as_points(1.0, self._hyperparameter_log.travelled(epochs))

    @property
    def last_epoch(self) -> int:
        """The epoch up to which there are predictions."""
        settings, study = self.run.settings, self.run.study
        return max(100, settings.stop_epoch, study.epochs if study else 0)

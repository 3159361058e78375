"""What theory says of a logistic regression before it has run."""

from collections.abc import Hashable
from functools import cache

import numpy as np
import param

from dashboard.instruments.instrument import Columns, hyperparameters_of
from dashboard.instruments.study_curves import BEFORE_ONE, StudyCurves
from dashboard.state.run import EARLY, Frame, Setup
from engine.activations import softplus
from engine.max_margin import widest_margin
from engine.measures import weight_norms
from engine.optimizers import OPTIMIZERS
from engine.training import Training

__all__ = ["EARLY", "Forecasting", "LogisticTheory"]

STEPS = 40
"""Newton steps to the optimum; from 0 about ten are enough."""

AT_REST = 1e-8
"""How little the last of them may move the weights."""

FROM_ZERO = 0.1
"""Largest initial weights that count as zero."""


class LogisticTheory:
    """For one setup: whether a line separates the classes, where a penalty stops the weights, and how they grow."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.margin = widest_margin(setup.train)
        self.best = cache(self._best)

    @classmethod
    def of(cls, setup: Setup) -> "LogisticTheory | None":
        """The theory of a line trained with cross-entropy; None for anything else."""
        is_line = not setup.network.widths and setup.network.output == "sigmoid"
        return cls(setup) if is_line and setup.loss == "binary cross-entropy" else None

    @property
    def from_zero(self) -> bool:
        """Whether the run starts where all predictions are about 1/2."""
        return bool(np.abs(self.setup.network.parameters).max() <= FROM_ZERO)

    def ends(self, l2: float) -> bool:
        """Whether the weights come to rest, as they do unless a line separates the classes without any penalty."""
        return l2 > 0 or self.margin is None

    def as_points(self, learning_rate: float, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|w| and loss (k,) of gradient descent from 0 if all examples of a class were at one point, their mean.

        With m the mean example's distance, u = m |w| follows u' = r m^2 / (1 + exp(u)), so that exp(u) + u = 1 + r m^2
        t. The real weights grow faster, since what is left of the gradient comes from ever nearer examples.
        """
        train = self.setup.train
        side = np.where(train.y == 1, 1.0, -1.0)
        mean = side @ np.column_stack([train.x, np.ones(len(side))]) / len(side)
        m = float(np.linalg.norm(mean))
        goal = 1 + learning_rate * m**2 * np.asarray(epochs, dtype=float)
        u = np.log(goal)
        for _ in range(20):
            u -= (np.exp(u) + u - goal) / (np.exp(u) + 1)
        return u / m * float(np.linalg.norm(mean[:-1])) / m, softplus(-u)

    def _best(self, l2: float) -> tuple[float, float] | None:
        """|w| and loss at the optimum; None where there is none to be found."""
        network = self.setup.network.copy()
        network.parameters[:] = 0.0
        newton = OPTIMIZERS["newton"](learning_rate=1.0, damping=1e-9)
        epochs = Training(network, self.setup.train, self.setup.loss, newton, l2=l2).advance(STEPS)
        moved = np.abs(np.diff(epochs.parameters[-2:], axis=0)).max()
        if not moved <= AT_REST * max(1.0, np.abs(epochs.parameters[-1]).max()):
            return None
        return float(np.linalg.norm(weight_norms(epochs.parameters[-1], network.sizes))), float(epochs.loss[-1])


class Forecasting(StudyCurves):
    """Curves over the logarithm of time, with what theory says of them."""

    legend = False
    points = 1024

    log_x = param.Boolean(default=True, label="Log epochs", doc="Draw the epochs on a logarithmic axis.")

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self._forecast = LogisticTheory.of(frame.setup)
        self._wanted: Hashable = None
        self._hyperparameters = frame.hyperparameters

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._hyperparameters = frame.hyperparameters.then(frame.epoch.index, frame.tuning)
        wanted = frame.l1, frame.l2, hyperparameters_of(frame), self.run.settings.optimizer, self._last
        if wanted != self._wanted:
            self._wanted, self._shown = wanted, None
        return super().columns(frame, after)

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        ranges = super().ranges(frame)
        low, high = ranges["x"]
        return {**ranges, "x": (low, max(high, 1.05 * self._last))}

    def lowest(self, l2: float) -> tuple[float, float] | None:
        """|w| and loss at the optimum with a penalty; None where there is none."""
        return self._forecast.best(l2) if self._forecast and self._forecast.ends(l2) else None

    def as_points(self, l2: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Epochs, |w| and loss if each class were one point; None where theory does not say how they go on."""
        forecast = self._forecast
        if not forecast or forecast.ends(l2) or not forecast.from_zero or self.run.settings.optimizer != "sgd":
            return None
        epochs = np.geomspace(BEFORE_ONE, self._last, 60)
        return epochs, *self.points_at(epochs)

    def points_at(self, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|w| and loss (k,) there if each class were one point, at the learning rates that the run had and has."""
        return self._forecast.as_points(1.0, self._hyperparameters.travelled(epochs))

    @property
    def _last(self) -> int:
        """The epoch up to which there are predictions."""
        settings, study = self.run.settings, self.run.study
        return max(100, settings.stop_epoch, study.epochs if study else 0)

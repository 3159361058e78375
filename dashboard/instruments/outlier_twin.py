"""The same run on the same examples, but without outliers."""

from collections.abc import Iterator

import numpy as np

from dashboard.instruments.decision_map import Box, DecisionMap, box_around
from dashboard.state.checkpoints import LiveHyperparameters
from dashboard.state.run import BLOCK, Frame, Run, Setup
from dashboard.state.settings import Settings
from dashboard.widgets.plain_text import APART

ALONE = {"outliers": 0.0, "stop_epoch": 0, "stop_loss": 0.0, "stop_plateau": 0}
"""What the twin changes: no outliers, and no stop rule of its own."""


class OutlierTwin(DecisionMap):
    """The decision map of a second run, which differs only in the outliers, at the same epoch."""

    title = "The same without outliers"
    question = "How far do a few wild examples turn the line?"
    reading = (
        "The same examples, weights and settings, trained beside this run, but with every outlier in its own class. "
        "Cross-entropy lets the surest mistakes pull hardest; squared error all but ignores them."
    )
    missing = "these data have no outliers; choose the dataset “linear”."
    controls = ()

    _first: Setup | None = None

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return super().suits(frame) and frame.setup.train.name == "linear"

    def draw(self, frame: Frame) -> None:
        """Train the twin a few steps towards the frame's epoch, and show it there."""
        if frame.setup is not self._first:
            self._begin(frame)
            return
        self._follow(frame)
        super().draw(self._of_twin(frame))

    def box(self, frame: Frame) -> Box:
        return box_around(self._first.train, self._first.validation)

    def describe(self, frame: Frame) -> str:
        words = f"{frame.epoch.accuracy:.1%} right at epoch {frame.epoch.index:,}"
        if frame.setup.network.widths:
            return words
        angle = _angle(self._parameters[:2], frame.epoch.parameters[:2])
        return f"{words}{APART}outliers turn the line by {angle:.1f}°"

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Train the twin up to the run's epoch, where that takes long."""
        return self._catch_up() if self._behind(frame) else None

    def _begin(self, frame: Frame) -> None:
        if frame.setup is not self._first:
            self._first = frame.setup
            self._twin = Run(Settings(**{**self.run.settings.values(), **frame.hyperparameters[0][1].values, **ALONE}))
        super()._begin(self._of_twin(frame))

    def _of_twin(self, frame: Frame) -> Frame:
        """The twin's frame at the same epoch."""
        self._parameters = frame.epoch.parameters
        self._twin.look_at(frame.epoch.index)
        return self._twin.frame()

    def _follow(self, frame: Frame) -> None:
        """Train a few epochs towards the frame's, each with the hyperparameters that the run had."""
        here, hyperparameters = self._twin.history[-1].index, frame.hyperparameters
        if self._behind(frame):
            self._tune(hyperparameters.after(here))
            self._twin.advance(
                min([BLOCK, self._behind(frame), *(epoch - here for epoch in hyperparameters.changes(here)[:1])])
            )
        if self._twin.history[-1].index == frame.epoch.index:
            self._tune(frame.tuning)

    def _tune(self, tuning: LiveHyperparameters) -> None:
        """Give the twin's next update the run's hyperparameters."""
        tuned = {name: value for name, value in tuning.values.items() if name not in ALONE}
        if any(getattr(self._twin.settings, name) != value for name, value in tuned.items()):
            self._twin.settings.param.update(**tuned)

    def _behind(self, frame: Frame) -> int:
        """How many epochs the twin is behind."""
        return 0 if self._twin.ended else max(0, frame.epoch.index - self._twin.history[-1].index)

    def _catch_up(self) -> Iterator[object]:
        twin = self._twin
        while twin is self._twin and self._behind(self.run.frame()):
            self._follow(self.run.frame())
            yield
        self.run.touch()


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Between two directions, in degrees; 0 where one of them is none."""
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(a @ b / size, -1, 1)))) if size else 0.0

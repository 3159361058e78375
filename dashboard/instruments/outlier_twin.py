"""The same run on the same examples, but without outliers."""

import numpy as np

from dashboard.instruments.decision_map import Box, DecisionMap, box_around
from dashboard.state.analyses.twin_run import TwinRun
from dashboard.state.run import Frame
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

    companion: TwinRun | None = None

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return super().suits(frame) and frame.setup.train.name == "linear"

    def draw(self, frame: Frame) -> None:
        """Draw the twin at a frame of the run; after a fresh start, another twin."""
        if self.companion is None or frame.setup is not self.companion.original:
            self.companion = TwinRun(self.run, frame, ALONE)
        there = self.companion.frame_at(frame).epoch.index
        self._parameters = frame.history.at(there).parameters
        super().draw(frame)

    def drawn_frame(self, frame: Frame) -> Frame:
        return self.companion.frame_at(frame)

    def box(self, frame: Frame) -> Box:
        original = self.companion.original
        return box_around(original.examples, original.held_out)

    def describe(self, frame: Frame) -> str:
        words = f"{frame.epoch.accuracy:.1%} right at epoch {frame.epoch.index:,}"
        if frame.setup.network.widths or frame.setup.features:
            return words
        angle = _angle(self._parameters[:2], frame.epoch.parameters[:2])
        return f"{words}{APART}outliers turn the line by {angle:.1f}°"


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Between two directions, in degrees; 0 where one of them is none."""
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(a @ b / size, -1, 1)))) if size else 0.0

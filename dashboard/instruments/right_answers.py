"""The accuracy over the epochs."""

import numpy as np
import param

from dashboard.instruments.theory_curves import TheoryCurves
from dashboard.state.run import Frame
from dashboard.state.study import Result
from engine.training import Epochs


class RightAnswers(TheoryCurves):
    """The fraction of right answers over the epochs."""

    title = "Right answers"
    question = "How long until its mistakes are corrected?"
    reading = (
        "The share of the training examples classified correctly. From a confident and mistaken start squared "
        "error stays where it is for long: its gradient has the sigmoid's slope as a factor, which is almost 0 there."
    )
    quantity = "accuracy"

    log_y = param.Boolean(default=False, label="Log", doc="Draw it on a logarithmic axis.")

    def of_result(self, result: Result) -> np.ndarray:
        return result.accuracy

    def of_run(self, epochs: Epochs) -> np.ndarray:
        return epochs.accuracy

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        ranges = super().ranges(frame)
        return ranges if self.log_y else {**ranges, "y": (0.0, 1.03)}

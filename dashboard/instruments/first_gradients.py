"""The norm of the first layer's gradient, over the epochs."""

import numpy as np
import param

from dashboard.instruments.study_curves import StudyCurves
from dashboard.state.study import Result
from engine.training import Epochs


class FirstGradients(StudyCurves):
    """The absolute norm that the ratio hides: on a plateau it is small in all layers alike."""

    title = "First layer"
    question = "Is the first layer asked to change at all?"
    reading = (
        "The median of the norm itself, not of a ratio. A curve that lies flat and low is a network on a plateau: its "
        "layers are pulled evenly, by next to nothing."
    )
    controls = ("runs",)
    legend = False
    quantity = "gradient norm"

    log_x = param.Boolean(default=True, label="Log epochs", doc="Draw the epochs on a logarithmic axis.")

    def of_result(self, result: Result) -> np.ndarray:
        return result.gradient_norms[..., 0]

    def of_run(self, epochs: Epochs) -> np.ndarray:
        return epochs.gradient_norms[:, 0]

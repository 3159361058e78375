"""The first layer's gradient relative to the last's, over the epochs."""

from collections.abc import Sequence

import numpy as np
import param

from dashboard.instruments.study_curves import Prediction, StudyCurves
from dashboard.state.store import Frame
from dashboard.state.study import Result
from engine.training import Epochs

SLOPE = 0.25
"""The steepest slope of a sigmoid."""

POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class GradientRatios(StudyCurves):
    """The ratio that says "vanishing", with what the slopes of sigmoid units predict of it: a quarter a layer."""

    title = "First / last layer"
    question = "By which factor does the gradient fade on its way back?"
    reading = (
        "The gradient norm of the first layer divided by the last layer's. The dashed lines are (1/4) to the power of "
        "the number of sigmoid layers, drawn before any training. That a curve comes back to one is no recovery by "
        "itself: look at the norms."
    )
    controls = ()
    legend = False
    quantity = "first / last"

    log_x = param.Boolean(default=True, label="Log epochs", doc="Draw the epochs on a logarithmic axis.")

    def of_result(self, result: Result) -> np.ndarray:
        return _ratios(result.gradient_norms)

    def of_run(self, epochs: Epochs) -> np.ndarray:
        return _ratios(epochs.gradient_norms)

    def predictions(self, frame: Frame) -> Sequence[Prediction]:
        study = self.run.study
        if not study:
            return ()
        hidden = {
            len(changes["hidden"])
            for changes in study.plan.variants.values()
            if changes.get("activation", "sigmoid") == "sigmoid" and "hidden" in changes
        }
        return [_quarter(layers, study.epochs) for layers in sorted(hidden)]


def _ratios(norms: np.ndarray) -> np.ndarray:
    """First over last layer of norms (..., layers); nan where the last is 0."""
    first, last = norms[..., 0], norms[..., -1]
    with np.errstate(all="ignore"):
        return np.where(last > 0, first / last, np.nan)


def _quarter(layers: int, epochs: int) -> Prediction:
    share = SLOPE**layers
    return Prediction(f"(¼){str(layers).translate(POWERS)} = {share:.2g}", np.array([0, epochs]), np.full(2, share))

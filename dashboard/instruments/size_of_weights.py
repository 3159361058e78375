"""The length of the weights over the logarithm of time."""

import numpy as np
import param

from dashboard.instruments.study_curves import StudyCurves
from engine.measures import weight_norms
from engine.training import Epochs


class SizeOfWeights(StudyCurves):
    """|w| of the run, without biases."""

    title = "Length of the weights"
    question = "What does decay leave of the weights?"
    reading = (
        "The length of all weights together, without biases. Decay draws it down, the loss on the training examples "
        "holds it up: of all networks that know these, the smaller ones are the general ones. Without decay it grows "
        "as long as the loss has a slope."
    )
    controls = ()
    legend = False
    quantity = "|w|"

    log_x = param.Boolean(default=True, label="Log epochs", doc="Draw the epochs on a logarithmic axis.")
    log_y = param.Boolean(default=False, label="Log", doc="Draw it on a logarithmic axis.")

    def of_run(self, epochs: Epochs) -> np.ndarray:
        return np.linalg.norm(weight_norms(epochs.parameters, self.setup.network.sizes), axis=-1)

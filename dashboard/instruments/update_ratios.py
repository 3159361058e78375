"""Update ratios: how far each layer moves in an epoch, as a share of its size."""

import numpy as np
import param

from dashboard import style
from dashboard.instruments.layer_curves import LayerCurves
from dashboard.plain_text import bold, phrase
from dashboard.run import Frame
from engine.training import Epochs


class UpdateRatios(LayerCurves):
    """How far the weights of each layer go in an epoch, or are pulled, as a share of their norm."""

    title = "Update / weight"
    question = "Does every layer move at a pace that is worth its size?"
    reading = (
        "How far the weights of a layer go in one epoch, as a share of their norm; where older epochs are thinned, "
        "the distance between two of them, divided by the epochs in between. About 1e-3 per update is a healthy pace: "
        "far below it a layer stands still, far above it forgets what it was."
    )
    needs = "parameters"
    controls = ("pull",)
    guides = ((1e-3, phrase(bold("- -", style.GHOST), "1e-3")),)

    pull = param.Boolean(default=False, label="Gradient", doc="Show gradient / weight instead of update / weight.")

    missing = "not every layer's gradient and weights are known."

    @property
    def quantity(self) -> str:
        """What is drawn, as the axis calls it."""
        return "gradient / weight" if self.pull else "update / weight"

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return 0 < len(frame.epoch.gradient_norms) == len(frame.setup.network.weights) and frame.knows("parameters")

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self._entries = _weight_entries(frame)

    def of_run(self, frame: Frame, epochs: Epochs) -> np.ndarray:
        norms = self._norms(epochs.parameters)
        with np.errstate(all="ignore"):
            if self.pull:
                return epochs.gradient_norms / norms
            stride, first = self.stride(frame), int(epochs.index[0]) if len(epochs) else 0
            before = frame.history.kept(first - stride - 1, first - 1).rows(slice(1))
            path = np.concatenate([before.parameters, epochs.parameters])
            apart = np.diff(np.concatenate([before.index, epochs.index]))[:, None]
            moves = self._norms(np.diff(path, axis=0)) / self._norms(path[:-1]) / apart
        return np.concatenate([np.full((len(epochs) - len(moves), moves.shape[1]), np.nan), moves])

    @param.depends("pull", watch=True)
    def _change_quantity(self) -> None:
        self.redraw()

    def _norms(self, parameters: np.ndarray) -> np.ndarray:
        """(k, layers) the norm of each layer's weights, for parameters (k, n_parameters)."""
        return np.stack([np.linalg.norm(parameters[:, entries], axis=1) for entries in self._entries], axis=1)


def _weight_entries(frame: Frame) -> list[np.ndarray]:
    """Where each layer's weights are in the flat parameters, biases left out."""
    network = frame.network()
    network.parameters[:] = np.arange(network.n_parameters)
    return [weights.ravel().astype(int) for weights in network.weights]

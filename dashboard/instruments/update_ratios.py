"""How far an update moves each layer, relative to the layer's size."""

from collections.abc import Iterator

import numpy as np
import param

from dashboard.instruments.layer_curves import LayerCurves
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import bold, phrase
from engine.measures import gradient_to_weight_ratios
from engine.network import Network
from engine.training import Epochs

HEALTHY = (1e-3, phrase(bold("- -", style.GHOST), "1e-3"))

LIGHT = 50_000
"""Parameters times examples up to which the gradients of all drawn epochs are computed within a frame."""

PIECE = 8
"""Epochs whose gradients are computed before others have their turn."""


class UpdateRatios(LayerCurves):
    """How far an update moves the weights of each layer, or their gradient, relative to their norm; biases left out.

    Of the updates between two epochs that are drawn, only the displacement from the first to the last is known. Divided
    by their number it is the pace at which the weights move; a single update is longer on average where they turn.
    """

    title = "Update / weight"
    question = "Does every layer move at a pace that is worth its size?"
    reading = (
        "How far the weights of a layer go from one drawn epoch to the next, divided by the number of updates in "
        "between, as a share of their norm. About 1e-3 per update is a healthy pace: far below it a layer stands "
        "still, far above it forgets what it was. Where updates turn about, as in small batches or across a valley, "
        "single ones are longer than that. Biases are left out."
    )
    needs = "parameters"
    controls = ("pull",)

    pull = param.Boolean(default=False, label="Gradient", doc="Show gradient / weight instead of update / weight.")

    missing = "not every layer's gradient and weights are known."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return 0 < len(frame.epoch.gradient_norms) == len(frame.setup.network.weights) and frame.knows("parameters")

    @property
    def quantity(self) -> str:
        """What the curves are."""
        if self.pull:
            return "gradient / weight" if self._ours else "gradient / parameters"
        return "update / weight" if self._counted else "update / weight, per epoch"

    @property
    def guides(self) -> tuple[tuple[float, str], ...]:
        """The healthy pace, where the curves are paces of updates."""
        return (HEALTHY,) if self._counted and not self.pull else ()

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self._counted = frame.hyperparameter_log is not None
        self._ours = isinstance(frame.setup.network, Network) and len(frame.setup.train) > 0
        self._weights, self._all = _entries(frame)
        self._pulls: dict[int, np.ndarray] = {}
        self._missing = False
        size = frame.setup.network.n_parameters * len(frame.setup.train) if self._ours else 0
        self._light = size <= LIGHT

    def of_run(self, frame: Frame, epochs: Epochs) -> np.ndarray:
        if self.pull:
            return self._pulled(frame, epochs)
        first = int(epochs.index[0]) if len(epochs) else 0
        before = frame.history.kept(first - self.stride(frame) - 1, first - 1)
        before = before.rows(slice(0, 1))
        path = before.then(epochs)
        with np.errstate(all="ignore"):
            moves = _norms(np.diff(path.parameters, axis=0), self._weights)
            paces = moves / _norms(path.parameters[:-1], self._weights) / self._between(frame, path.index)[:, None]
        return np.concatenate([np.full((len(epochs) - len(paces), paces.shape[1]), np.nan), paces])

    def of_now(self, frame: Frame) -> np.ndarray:
        """From the last epoch before it that is kept."""
        if self.pull:
            return super().of_now(frame)
        now, index = frame.epoch, frame.epoch.index
        if not index:
            return np.full(len(now.gradient_norms), np.nan)
        before = frame.history.at(index - 1)
        path, apart = np.stack([before.parameters, now.parameters]), np.array([before.index, index])
        with np.errstate(all="ignore"):
            moved = _norms(np.diff(path, axis=0), self._weights) / _norms(path[:1], self._weights)
            return (moved / self._between(frame, apart)[:, None])[0]

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self._find_out(frame) if self.pull and self._missing else None

    @param.depends("pull", watch=True)
    def _change_quantity(self) -> None:
        self.redraw()
        self.run.touch()

    def _between(self, frame: Frame, epochs: np.ndarray) -> np.ndarray:
        """(k - 1,) how many updates lie between each of the epochs and the next; how many epochs where that is all."""
        return np.diff(frame.hyperparameter_log.updates(epochs) if frame.hyperparameter_log else epochs)

    def _pulled(self, frame: Frame, epochs: Epochs) -> np.ndarray:
        """(k, layers) gradient over weight; where no examples are known, over all parameters that gradient is of."""
        if not self._ours:
            with np.errstate(all="ignore"):
                return epochs.gradient_norms / _norms(epochs.parameters, self._all)
        nothing = np.full(epochs.gradient_norms.shape[1], np.nan)
        for epoch, parameters in zip(epochs.index.tolist(), epochs.parameters, strict=True):
            if epoch not in self._pulls and (self._light or len(epochs) == 1):
                self._pulls[epoch] = self._pull(frame, epoch, parameters)
        self._missing |= any(epoch not in self._pulls for epoch in epochs.index.tolist())
        return np.array([self._pulls.get(epoch, nothing) for epoch in epochs.index.tolist()]).reshape(-1, len(nothing))

    def _pull(self, frame: Frame, epoch: int, parameters: np.ndarray) -> np.ndarray:
        network, setup = _network_at(frame, parameters), frame.setup
        gradient = network.gradient(setup.train, setup.loss, *frame.objective(epoch))
        return gradient_to_weight_ratios(gradient.weights, network.weights)

    def _find_out(self, frame: Frame) -> Iterator[object]:
        """The gradients of all drawn epochs, then the whole picture once more."""
        rows = self.rows(frame, -1)
        todo = [i for i, epoch in enumerate(rows.index.tolist()) if epoch not in self._pulls]
        for count, i in enumerate(todo, 1):
            self._pulls[int(rows.index[i])] = self._pull(frame, int(rows.index[i]), rows.parameters[i])
            if count % PIECE == 0:
                yield
        if frame.setup is self.setup:
            self._missing = False
            self.forget()
            self.run.touch()


def _network_at(frame: Frame, parameters: np.ndarray) -> Network:
    """The frame's network with other parameters."""
    network = frame.setup.network.copy()
    network.parameters[:] = parameters
    return network


def _norms(parameters: np.ndarray, entries: list[np.ndarray]) -> np.ndarray:
    """(k, layers) the norm of each layer's entries, for parameters (k, n_parameters)."""
    return np.stack([np.linalg.norm(parameters[:, some], axis=1) for some in entries], axis=1)


def _entries(frame: Frame) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Where each layer's weights are in the flat parameters, biases left out, and where all of its parameters are."""
    network = frame.network()
    network.parameters[:] = np.arange(network.n_parameters)
    weights = [one.ravel().astype(int) for one in network.weights]
    starts = [int(some.min(initial=network.n_parameters)) for some in weights]
    ends = [*starts[1:], network.n_parameters]
    return weights, [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]

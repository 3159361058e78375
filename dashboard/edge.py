"""Edge: where the sharpness of a run meets what its optimizer bears. No Panel here."""

from collections.abc import Iterator

import numpy as np

from dashboard.run import Frame, Run
from dashboard.settings import Settings
from engine.curvature import Curvature

TOLERANCE = 1e-2
MOST = 2_000_000
"""Parameters times examples up to which a measurement takes a few milliseconds."""


def edge_of_stability(settings: Settings, learning_rates: np.ndarray) -> np.ndarray:
    """The sharpness of a quadratic above which the optimizer diverges on it; nan where there is no such number.

    Source: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability",
    appendix B for momentum and Nesterov.
    """
    momentum = settings.momentum
    factors = {"sgd": 2.0, "momentum": 2 + 2 * momentum, "nesterov": (2 + 2 * momentum) / (1 + 2 * momentum)}
    return factors.get(settings.optimizer, np.nan) / np.maximum(learning_rates, 1e-300)


class Lookout:
    """Looks, now and then, whether a run's sharpness has come to the edge, and bookmarks the epoch where it did.

    Where one look finds it below and the next above, the epoch is found by halving what lies between.
    """

    heavy = False

    def __init__(self, run: Run) -> None:
        self.run = run
        self._history: object = None

    def work(self, frame: Frame) -> Iterator[object] | None:
        """The next look, in pieces; None where nothing is to be found."""
        if frame.history is not self._history:
            self._begin(frame)
        return self._look(frame) if self._looking and self.run.looked_at is None else None

    def _begin(self, frame: Frame) -> None:
        self._history, self._below, setup = frame.history, -1, frame.setup
        found = any(mark.kind == "edge" for mark in self.run.bookmarks)
        bearable = setup.network.n_parameters * len(setup.train) <= MOST
        edge = edge_of_stability(self.run.settings, np.ones(1))
        self._looking = not found and bearable and bool(np.isfinite(edge).all())
        self._network, self._vector = setup.network.copy(), None
        if self._looking:
            self._curvature = Curvature(self._network, setup.train, setup.loss, frame.l1, frame.l2)

    def _look(self, frame: Frame) -> Iterator[object]:
        bookmarks, kept = self.run.bookmarks, frame.kept(self._below)
        if not len(kept):
            return
        edges = edge_of_stability(self.run.settings, kept.learning_rate)
        low, high = -1, len(kept) - 1
        value = self._sharpness(kept.parameters[high])
        yield
        if not value >= edges[high]:
            self._below = int(kept.index[high])
            return
        while high - low > 1:
            middle = (low + high) // 2
            between = self._sharpness(kept.parameters[middle])
            low, high, value = (low, middle, between) if between >= edges[middle] else (middle, high, value)
            yield
        self._looking = False
        if bookmarks.mark("edge", int(kept.index[high]), f"sharpness {value:.3g} meets the edge, {edges[high]:.3g}"):
            self.run.touch()

    def _sharpness(self, parameters: np.ndarray) -> float:
        self._network.parameters[:] = parameters
        found = self._curvature.sharpness(self._vector, tolerance=TOLERANCE)
        if np.isfinite(found.value):
            self._vector = found.vector
        return found.value

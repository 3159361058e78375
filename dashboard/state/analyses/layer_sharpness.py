"""How sharply the loss of a run curves in each layer alone, at the epoch that is looked at."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dashboard.state.analyses.optimizer_geometry import geometry_of
from dashboard.state.analyses.sharpness import TOLERANCE
from dashboard.state.run import Frame
from dashboard.state.store import Shown
from engine.curvature import Curvature


@dataclass(frozen=True, eq=False)
class LayerValues:
    """What was found at an epoch.

    Attributes:
        objective: The penalties, l1 and l2, of the loss.
        is_preconditioned: Whether the Hessian is divided by the preconditioner of the optimizer.
        layers: (layers,) the largest eigenvalue of each layer's own block of the Hessian.
        whole: That of the whole Hessian, the sharpness.
    """

    epoch: int
    objective: tuple[float, float]
    is_preconditioned: bool
    layers: np.ndarray
    whole: float


class LayerSharpness:
    """The newest of a run, from one fresh start to the next."""

    def __init__(self, run: Shown) -> None:
        self.run = run
        self.newest: LayerValues | None = None
        self._vectors: list[np.ndarray] = []

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Find those of a frame, a layer at a time; None where they are known."""
        known = self.newest and (self.newest.epoch, self.newest.objective) == (frame.epoch.index, (frame.l1, frame.l2))
        return None if known else self._search(frame)

    def _search(self, frame: Frame) -> Iterator[object]:
        """Each from the eigenvector that was found before, which is near while the run goes on."""
        setup, objective, found = frame.setup, (frame.l1, frame.l2), []
        geometry = yield from geometry_of(self.run, frame)
        curvature = Curvature(frame.network(), setup.train, setup.loss, *objective, rates=geometry.rates)
        for one in curvature.layers(self._vectors, TOLERANCE):
            found.append(one)
            yield
        values = np.array([one.value for one in found])
        sharpest = found[int(np.argmax(values))].vector
        whole = curvature.sharpness(sharpest, TOLERANCE).value
        self._vectors = [one.vector for one in found] if np.isfinite(values).all() else []
        self.newest = LayerValues(frame.epoch.index, objective, geometry.is_preconditioned, values, whole)
        self.run.touch()

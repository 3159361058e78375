"""A cut through the loss in its sharpest direction, the one of its edge of stability, with the latest steps on it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dashboard.state.analyses.optimizer_geometry import Geometry, geometry_of
from dashboard.state.analyses.sharpness import TOLERANCE
from dashboard.state.run import Frame
from dashboard.state.store import Shown
from engine.curvature import Curvature
from engine.landscape import Survey, line

STEPS = 24
"""How many of the latest epochs lie on it."""

POINTS, POINTS_PER_PIECE = 61, 20


@dataclass(frozen=True, eq=False)
class Cut:
    """The loss along the sharpest direction, from the weights of an epoch at 0.

    Of an optimizer that divides by its preconditioner P, it is the first eigenvector of the Hessian divided by P: along
    it the steps leap to and fro at the edge. Its length is 1 in weights times the root of P, in which the curvature of
    the parabola is the preconditioned sharpness.

    Attributes:
        objective: The penalties, l1 and l2, of the loss.
        is_preconditioned: Whether there is such a P.
        places: (k,) along the direction, like the `losses` of the curve and of its `parabola`.
        bounces: (k, 3) of the latest epochs: where they are along the direction, their true loss, their number.
    """

    epoch: int
    objective: tuple[float, float]
    sharpness: float
    is_preconditioned: bool
    places: np.ndarray
    losses: np.ndarray
    parabola: np.ndarray
    bounces: np.ndarray

    @property
    def turns(self) -> int:
        """How many of the latest steps went back along the direction, seen from the step before."""
        moves = np.diff(self.bounces[:, 0])
        return int(np.count_nonzero(moves[1:] * moves[:-1] < 0))


class SharpestCut:
    """The newest cut of a run, from one fresh start to the next."""

    def __init__(self, run: Shown) -> None:
        self.run = run
        self.cut: Cut | None = None

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Make the cut of a frame, in pieces; None where it is known."""
        known = self.cut and (self.cut.epoch, self.cut.objective) == (frame.epoch.index, (frame.l1, frame.l2))
        return None if known else self._survey(frame)

    def _survey(self, frame: Frame) -> Iterator[object]:
        setup, epoch, network = frame.setup, frame.epoch, frame.network()
        objective = setup.loss, frame.l1, frame.l2
        geometry = yield from geometry_of(self.run, frame)
        curvature = Curvature(network, setup.train, *objective, rates=geometry.rates)
        found = curvature.sharpness(tolerance=TOLERANCE)
        if not np.isfinite(found.value):
            return
        yield
        vector = found.vector * np.sign(found.vector[np.argmax(np.abs(found.vector))])
        direction = geometry.direction(vector)
        slope = float(direction @ network.gradient(setup.train, *objective).flat)
        bounces = _bounces(frame, geometry, vector)
        reach = _reach(bounces[:, 0], found.value, slope, epoch.loss)
        places = np.linspace(-reach, reach, POINTS)
        survey, cut = Survey(network, setup.train, *objective), line(epoch.parameters, epoch.parameters + direction)
        losses = np.empty(POINTS)
        for start in range(0, POINTS, POINTS_PER_PIECE):
            part = slice(start, start + POINTS_PER_PIECE)
            losses[part] = survey.losses_along(cut, places[part])
            yield
        parabola = epoch.loss + slope * places + found.value * places**2 / 2
        kind = geometry.is_preconditioned
        self.cut = Cut(epoch.index, (frame.l1, frame.l2), found.value, kind, places, losses, parabola, bounces)
        self.run.touch()


def _bounces(frame: Frame, geometry: Geometry, vector: np.ndarray) -> np.ndarray:
    """The latest epochs that are all kept, (k, 3): how far along the direction, their loss, their number."""
    epoch = frame.epoch
    recent = frame.history.latest(epoch.index - STEPS, epoch.index)
    if not len(recent):
        return np.array([[0.0, epoch.loss, epoch.index]])
    along = geometry.along(vector, recent.parameters - epoch.parameters)
    return np.stack([along, recent.loss, recent.index.astype(float)], axis=1)


def _reach(places: np.ndarray, sharpness: float, slope: float, loss: float) -> float:
    """How far to go to each side: beyond all steps, and over the bottom of the parabola; rounded, to stand still."""
    bottom = abs(slope) / max(sharpness, 1e-12)
    width = np.sqrt(2 * 0.05 * max(loss, 1e-12) / max(sharpness, 1e-12))
    wanted = max(1.5 * float(np.abs(places).max()), 2 * min(bottom, 100 * width), width)
    return float(2.0 ** (np.ceil(2 * np.log2(wanted)) / 2))

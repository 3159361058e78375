"""The plane in which the loss of a run curves up most, at the epoch that is looked at."""

from collections.abc import Hashable, Iterator
from itertools import islice

import numpy as np

from dashboard.state.run import Frame
from dashboard.state.store import Shown
from engine.curvature import Curvature
from engine.landscape import SOUGHT, HessianPlane

TOLERANCE = 1e-9
"""Residual of an eigenvector as a share of its eigenvalue."""


class SteepestPlane:
    """The newest plane of the Hessian's first two eigenvectors, from one fresh start to the next.

    It is the loss's own Hessian, whatever the optimizer divides its steps by. The run has come towards higher
    coordinates in the plane: it does not turn into its mirror image after one more epoch. Each search begins from
    scratch, which takes a quarter more products than from the vectors before; so what is shown of an epoch does not
    depend, to the last bit, on what was looked at before.

    Attributes:
        plane: The plane that was found last; None before there is one.
    """

    def __init__(self, run: Shown) -> None:
        self.run = run
        self.plane: HessianPlane | None = None
        self._searched: Hashable = None

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Find that of a frame, an eigenvector at a time; None where it is known, or known that there is none."""
        return None if self.knows(frame) else self._search(frame)

    def knows(self, frame: Frame) -> bool:
        """Whether that of a frame was searched for: `plane` is None where its Hessian is not finite."""
        return self._searched == _moment(frame)

    def _search(self, frame: Frame) -> Iterator[object]:
        setup, network, found = frame.setup, frame.network(), []
        curvature = Curvature(network, setup.train, setup.loss, frame.l1, frame.l2)
        for one in islice(curvature.eigenpairs(TOLERANCE), SOUGHT):
            found.append(one)
            yield
        finite = bool(np.isfinite([one.value for one in found]).all())
        moved = frame.epoch.parameters - frame.history.at(0).parameters
        found = [one._replace(vector=one.vector * _sign(one.vector, moved)) for one in found]
        self.plane = HessianPlane.of(network.parameters, found) if finite else None
        self._searched = _moment(frame)


def _moment(frame: Frame) -> Hashable:
    """All on which the Hessian depends."""
    return frame.epoch.index, frame.l1, frame.l2


def _sign(vector: np.ndarray, moved: np.ndarray) -> float:
    """Which way an eigenvector points: as the run has moved, or before it has, as its largest component does."""
    travelled = float(vector @ moved) or float(vector[np.argmax(np.abs(vector))])
    return -1.0 if travelled < 0 else 1.0

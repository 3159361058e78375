"""In which directions, and how sharply, the loss curves for the optimizer of a run: the geometry its edge refers to.

Weights that learn at rates of their own, by the settings or by the preconditioner of an optimizer such as Adam, move as
all others do once each is divided by the root of its rate. The sharpness that is compared with the edge is that of the
loss as a function of these scaled weights.
"""

from collections.abc import Generator

import numpy as np

from dashboard.state.run import Frame
from dashboard.state.store import Shown
from engine.curvature import preconditioned


class Geometry:
    """What the optimizer's scaled weights are at one epoch.

    Attributes:
        rates: (n_parameters,) for `Curvature`; None where all weights learn at one rate.
        is_preconditioned: Whether they come from a preconditioner.
    """

    def __init__(self, rates: np.ndarray | None, is_preconditioned: bool = False) -> None:
        self.rates, self.is_preconditioned = rates, is_preconditioned
        self._roots = None if rates is None else np.sqrt(rates)

    def direction(self, vector: np.ndarray) -> np.ndarray:
        """(n_parameters,) how the weights change along a vector of the scaled ones."""
        return vector if self._roots is None else self._roots * vector

    def along(self, vector: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """(k,) how far steps of the weights (k, n_parameters) go along a vector of the scaled ones.

        Weights that do not learn have moved by nobody's step, and do not count.
        """
        if self._roots is None:
            return steps @ vector
        return steps @ np.divide(vector, self._roots, out=np.zeros_like(vector), where=self._roots > 0)


def geometry_of(run: Shown, frame: Frame) -> Generator[None, None, Geometry]:
    """That of the update which follows a frame's epoch, as the value of a generator.

    Of an optimizer that is preconditioned the way to the epoch is trained once more, in pieces.
    """
    rates = frame.setup.rates
    if not frame.preconditioned:
        return Geometry(rates)
    for one in run.preconditioners([frame.epoch.index]):
        if one is not None:
            return Geometry(preconditioned(rates, one[1]), is_preconditioned=True)
        yield
    return Geometry(rates)

"""The eigenvalues of the Hessian of a run, all of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dashboard.state.analyses.optimizer_geometry import geometry_of
from dashboard.state.run import Frame, Setup
from dashboard.state.store import Shown
from engine.curvature import Curvature

QUICK_PARAMETERS = 100
"""Parameters of a network whose spectrum takes less than a millisecond."""


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """What is known of the Hessian at an epoch, or of what it is divided by the preconditioner of its optimizer.

    Attributes:
        objective: The penalties, l1 and l2, of the loss.
        is_preconditioned: Whether it is divided.
        sizes: (n_parameters,) of the eigenvalues, largest first.
        signs: Theirs.
        n_negative: How many are below zero by more than rounding.
        n_flat: How many are zero but for rounding.
    """

    epoch: int
    objective: tuple[float, float]
    is_preconditioned: bool
    sizes: np.ndarray
    signs: np.ndarray
    sharpness: float
    trace: float
    condition_number: float
    n_negative: int
    n_flat: int

    @property
    def is_finite(self) -> bool:
        """Whether there are eigenvalues."""
        return bool(np.isfinite(self.sizes).all())


class HessianEigenvalues:
    """The newest eigenvalues of a run, from one fresh start to the next."""

    def __init__(self, run: Shown) -> None:
        self.run = run
        self.newest: Eigenvalues | None = None

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Compute those at a frame, in a few long pieces; None where they are known."""
        known = self.newest and (self.newest.epoch, self.newest.objective) == (frame.epoch.index, (frame.l1, frame.l2))
        return None if known else self._survey(frame)

    def _survey(self, frame: Frame) -> Iterator[object]:
        setup, objective = frame.setup, (frame.l1, frame.l2)
        geometry = yield from geometry_of(self.run, frame)
        found = Curvature(frame.network(), setup.train, setup.loss, *objective, rates=geometry.rates).spectrum()
        yield
        order = np.argsort(-np.abs(found.eigenvalues), kind="stable")
        values = found.eigenvalues[order]
        yield
        with np.errstate(all="ignore"):  # a Hessian of a network that diverges need not be finite
            self.newest = Eigenvalues(
                frame.epoch.index,
                objective,
                geometry.is_preconditioned,
                np.abs(values),
                np.sign(values),
                found.sharpness,
                found.trace,
                found.condition_number,
                found.n_negative,
                int(np.count_nonzero(np.abs(values) <= found.resolution)),
            )
        self.run.touch()


def takes_long(setup: Setup) -> bool:
    """Whether a piece of the work takes longer than a turn of the scheduler."""
    return setup.network.n_parameters > QUICK_PARAMETERS

"""The catapult of a two-layer linear network: Lewkowycz et al. 2020.

f = u . v / sqrt(n) on one example with target 0, loss f^2 / 2. Gradient descent moves two numbers alone, whatever the
weights: the answer f and the curvature lambda = (|u|^2 + |v|^2) / n.
"""

from dataclasses import dataclass

import numpy as np

from engine.chance import stream

CONVERGES_BELOW, DIVERGES_ABOVE = 2.0, 4.0
"""Values of learning rate times first curvature between which a run is thrown to a flatter place, in wide networks."""


@dataclass(frozen=True)
class Catapult:
    """Runs of the two numbers from random weights.

    Attributes:
        answers: (steps + 1, runs) f.
        curvatures: (steps + 1, runs) lambda.
        rates: (runs,) the learning rate of each.
    """

    answers: np.ndarray
    curvatures: np.ndarray
    rates: np.ndarray

    @property
    def losses(self) -> np.ndarray:
        """(steps + 1, runs) f^2 / 2."""
        with np.errstate(over="ignore"):
            return self.answers**2 / 2

    @property
    def converged(self) -> np.ndarray:
        """(runs,) whether the loss ends below a thousandth of the first."""
        with np.errstate(invalid="ignore"):
            return self.losses[-1] < 1e-3 * self.losses[0]


def catapult(rate_by_curvature: float, width: int = 1000, runs: int = 20, steps: int = 400, seed: int = 0) -> Catapult:
    """Runs with a learning rate that is so many times 1 / lambda_0, from standard normal weights.

    Raises:
        ValueError: For a rate that is not above 0, or less than one unit, run or step.
    """
    if not rate_by_curvature > 0 or min(width, runs, steps) < 1:
        raise ValueError("a catapult needs a rate above 0, and one unit, run and step at least")
    u, v = stream(seed, "weights").standard_normal((2, runs, width))
    f, curvature = (u * v).sum(axis=1) / np.sqrt(width), ((u**2).sum(axis=1) + (v**2).sum(axis=1)) / width
    rates = rate_by_curvature / curvature
    answers, curvatures = [f], [curvature]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            f, curvature = advanced(f, curvature, rates, width)
            answers.append(f)
            curvatures.append(curvature)
    return Catapult(np.array(answers), np.array(curvatures), rates)


def advanced(
    f: np.ndarray, curvature: np.ndarray, rate: float | np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The answer and the curvature after one step of gradient descent, exactly."""
    turned = rate * f**2 / width
    return f * (1 - rate * curvature + rate * turned), curvature + turned * (rate * curvature - 4)

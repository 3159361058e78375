"""The gradient check: backpropagation against a difference of losses, parameter by parameter."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.losses import OUTPUTS, Loss, Output, matching_loss
from engine.network import Data, Network

TOLERANCE = 1e-5

# A loss carries an error of a few times 1e-16 of itself, and a difference over 2e-5 one of about 1e-11. Of a gradient
# of RESOLUTION times the loss, that is 1e-6: safely within TOLERANCE.
RESOLUTION = 1e-5

# A slope that changes by JUMP between two of the PROBES, 1e-3 apart, jumps: smooth slopes change by at most 2e-3.
PROBES = np.linspace(-3.0, 3.0, 6001)
JUMP = 0.01


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """What a gradient check found; arrays (n_parameters,) are laid out like `Network.parameters`.

    numeric          the central difference (L(w + epsilon) - L(w - epsilon)) / (2 epsilon)
    analytic         the gradient by backpropagation
    relative_errors  |analytic - numeric| as a share of the larger of the two, or of 1e-5 of the loss where both are
                     smaller: no difference of losses can resolve those
    kinks            where a kink lies within epsilon: there the loss has no one slope, and the two may well disagree
    """

    numeric: np.ndarray
    analytic: np.ndarray
    relative_errors: np.ndarray
    kinks: np.ndarray
    epsilon: float

    @property
    def max_relative_error(self) -> float:
        """The largest relative error, kinks set aside; nan if there is nothing but kinks."""
        smooth = self.relative_errors[~self.kinks]
        return float(smooth.max()) if smooth.size else float("nan")

    @property
    def passed(self) -> bool:
        """Whether every relative error is below 1e-5, kinks set aside."""
        return self.max_relative_error < TOLERANCE


def gradient_check(
    network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0, epsilon: float = 1e-5
) -> GradientCheck:
    """Compare the network's gradient with central differences of its loss.

    Each parameter in turn is moved up and down by epsilon and put back, exactly, whatever happens on the way. A larger
    epsilon sees the loss bend, a smaller one sees it rounded; 1e-5 is the best of both.

    A ReLU network often disagrees at kinks, where one of its units is just about to switch on or off for an example.
    That is no mistake in the gradient: these parameters are found and set aside. So are those of other functions with
    a kink at 0, of losses with a kink, and weights within epsilon of 0 under an L1 penalty.

    Takes two passes forward per parameter, and two more if there can be kinks. Other arguments are those of
    `Network.loss`.
    Raises ValueError when epsilon is not above 0.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon = {epsilon} moves nothing; choose more than 0, such as 1e-5")
    analytic = network.gradient(data, loss, l1, l2).flat
    above, below = _around(network.parameters, epsilon, lambda: network.loss(data, loss, l1, l2))
    with np.errstate(all="ignore"):
        numeric = (above - below) / (2 * epsilon)
        size = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), RESOLUTION * np.abs(above))
        relative_errors = np.abs(analytic - numeric) / np.where(size > 0, size, 1.0)
    kinks = _kinks_within(network, data, loss, epsilon) | _corners_of_l1(network, l1, epsilon)
    return GradientCheck(numeric, analytic, relative_errors, kinks, epsilon)


class JumpingSlopes:
    """The slopes of those activations, and of the loss, that have a kink; example by example, as the network is now."""

    def __init__(self, network: Network, data: Data, loss: str | None) -> None:
        self._network, self._x = network, data.x
        self._loss, self._output = matching_loss(loss, network.output), OUTPUTS[network.output]
        self._targets = network.batch(data, self._loss).targets
        self._layers = [i for i, activation in enumerate(network.functions) if _jumps_along(activation.slope(PROBES))]
        self._of_loss = _has_kink(self._loss, self._output, network.sizes[-1])

    def __call__(self) -> np.ndarray:
        """All of them in one flat array, empty if nothing has a kink."""
        trace, functions = self._network.trace(self._x), self._network.functions
        slopes = [functions[i].slope(trace.pre_activations[i]).ravel() for i in self._layers]
        if self._of_loss:
            slopes.append(_loss_slopes(self._loss, self._output, trace.logits.T, self._targets).ravel())
        return np.concatenate([np.empty(0), *slopes])


def _around(parameters: np.ndarray, epsilon: float, measure: Callable) -> tuple[np.ndarray, np.ndarray]:
    """What is measured with each parameter raised, and with it lowered, by epsilon: two arrays (n_parameters, ...)."""
    above = [_with(parameters, i, parameters[i] + epsilon, measure) for i in range(len(parameters))]
    below = [_with(parameters, i, parameters[i] - epsilon, measure) for i in range(len(parameters))]
    return np.array(above), np.array(below)


def _with(parameters: np.ndarray, i: int, value: float, measure: Callable) -> object:
    """What is measured while parameter i has another value."""
    before = parameters[i]
    try:
        parameters[i] = value
        return measure()
    finally:
        parameters[i] = before


def _kinks_within(network: Network, data: Data, loss: str | None, epsilon: float) -> np.ndarray:
    """(n_parameters,) where the slope of an activation or of the loss jumps, for some example, within epsilon."""
    slopes = JumpingSlopes(network, data, loss)
    here = slopes()
    if not here.size:
        return np.zeros(network.n_parameters, bool)
    above, below = _around(network.parameters, epsilon, lambda: _differ(slopes(), here))
    return above | below


def _corners_of_l1(network: Network, l1: float, epsilon: float) -> np.ndarray:
    """(n_parameters,) which weights have 0, where |w| bends, within epsilon."""
    is_weight = network.penalty(l1, 0.0).is_weight > 0
    return is_weight & (np.abs(network.parameters) <= epsilon) & (l1 > 0)


def _has_kink(loss: Loss, output: Output, size: int) -> bool:
    """Whether the loss's slope jumps somewhere as one logit goes through the probes."""
    z, y = np.zeros((2, size, len(PROBES)))
    z[0] = PROBES
    y[1:2] = 1.0
    return _jumps_along(_loss_slopes(loss, output, z, y))


def _loss_slopes(loss: Loss, output: Output, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The derivative of every example's cost with respect to its logits, (outputs, n)."""
    d = np.empty(z.shape)
    loss.slope(z, output.function(z), y, output, d)
    return d


def _jumps_along(slopes: np.ndarray) -> bool:
    """Whether slopes (..., probes) jump from one probe to the next."""
    return _differ(slopes[..., 1:], slopes[..., :-1])


def _differ(slopes: np.ndarray, others: np.ndarray) -> bool:
    """Whether a slope and its other are a jump apart."""
    with np.errstate(all="ignore"):
        return bool((np.abs(slopes - others) > JUMP).any())

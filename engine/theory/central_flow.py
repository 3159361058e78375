"""Where gradient descent is going: gradient flow, and at the edge of stability the central flow.

Gradient flow is what the slope alone would do: dw/dt = -r g, with one unit of t for every step. Once the sharpness has
come to 2 / r, the steps of gradient descent leap to and fro along the sharpest directions U, and their mean path feels
the curvature: dw/dt = -r (g + 1/2 grad <S, H>), the central flow, where S = U X U' is the covariance of the leaps. X is
the one matrix that is positive semidefinite, keeps the sharpness at most at 2 / r, and is 0 along what is below.

Source: Cohen, Damian, Talwalkar, Kolter & Lee 2025, "Understanding optimization in deep learning with central flows".

A unit of time is one stage-stabilized Runge-Kutta step of order 2 (Sommeijer, Shampine & Verwer 1998), since the flows
are stiff just where they are of interest. Measured on one core of a 2-core Xeon for 1-32-32-1 and 20 examples: 0.5 ms a
step of gradient flow, 2 ms of the central flow with two directions at the edge.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.activations import ACTIVATIONS
from engine.chance import stream
from engine.curvature import Curvature
from engine.gradient_check import has_kink
from engine.kernel import Kernel
from engine.losses import OUTPUTS, matching_loss
from engine.network import Data, Network

MAX_DIRECTIONS = 4
"""How many directions at the edge the central flow follows."""

NEAR = 0.95
"""Share of the edge from which on a direction counts as one that may be at the edge."""

FAR = 1.3
"""Share of the edge from which on the steps are no small leaps around a path."""

ABOVE, KEPT = 1.02, 0.75
"""Share of the edge from which on a sharpness is taken down gently, and how much of the excess is left by a step."""

REACH = 2e-3
"""Distance of the gradients whose second difference is a third derivative."""

MEASURED = 8
"""Steps of gradient flow from one measurement of its sharpness to the next."""

SETTLING, SEARCHING = 40, 5
"""Sweeps that find eigenvectors from random ones, and those for one more."""

BESIDE, JUMP = 1e-7, 1e-3
"""How near a kink at 0 is looked for, and how much a derivative jumps there."""

DAMPING = 2 / 13
"""That of the method's stages, by its authors."""

MOST_SWEEPS, PRECISION = 100, 1e-7


class LostFlowError(ArithmeticError):
    """Nothing can be said of how it goes on; the message says why, as the end of a sentence."""


@dataclass(frozen=True, eq=False)
class FlowPoint:
    """Where a flow is after so many steps of gradient descent.

    Attributes:
        parameters: (n_parameters,) the mean of the steps around it.
        loss: The mean of their losses, which at the edge is above the loss at `parameters`.
        sharpness: The largest eigenvalue of the Hessian; nan where it was not measured.
        directions: How many directions are at the edge of stability.
        spread: The mean square of the leaps along them.
    """

    step: int
    parameters: np.ndarray
    loss: float
    sharpness: float
    directions: int = 0
    spread: float = 0.0


class Terrain:
    """One network's loss on one set of data, with its slopes and bends; arguments are those of `Curvature`.

    Points (n_parameters,) are measured from `origin` in coordinates that all learn at one rate.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        loss: str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        rates: np.ndarray | None = None,
    ) -> None:
        self.origin = network.parameters.copy()
        self._roots = 1.0 if rates is None else np.sqrt(rates)
        self._network, self._loss = network.copy(), matching_loss(loss, network.output)
        self._batch, self._penalty = network.batch(data, self._loss), network.penalty(l1, l2)
        self._kernel = Kernel(self._network, self._loss, self._batch.n)
        self._curvature = Curvature(self._network, data, loss, l1, l2)

    def parameters(self, point: np.ndarray) -> np.ndarray:
        """(n_parameters,) those at a point."""
        return self.origin + self._roots * point

    def loss(self, point: np.ndarray) -> float:
        """The loss there, penalties included."""
        self._network.parameters = self.parameters(point)
        self._kernel.forward(self._batch.x)
        costs = self._loss.value(self._kernel.logits, self._batch.targets, self._kernel.output)
        return float(costs.sum() / self._batch.n + self._penalty.value(self._network.parameters))

    def slope(self, point: np.ndarray) -> np.ndarray:
        """(n_parameters,) the gradient there."""
        self._network.parameters = self.parameters(point)
        self._kernel.gradient_of(self._batch, self._penalty)
        return self._roots * self._kernel.gradient

    def bent(self, point: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """(k, n_parameters) the Hessian there times each of the vectors (k, n_parameters)."""
        self._network.parameters = self.parameters(point)
        return self._roots * self._curvature.product(self._roots * vectors)

    def twisted(self, point: np.ndarray, slope: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """(k, k, n_parameters) the gradients of u' H v there for all pairs of vectors (k, n_parameters) of length 1."""
        k = len(vectors)
        twists = np.empty((k, k, slope.size))
        for i in range(k):
            twists[i, i] = self._second_difference(point, slope, vectors[i])
        for i in range(k):
            for j in range(i):
                across = self._second_difference(point, slope, (vectors[i] + vectors[j]) / np.sqrt(2))
                twists[i, j] = twists[j, i] = across - (twists[i, i] + twists[j, j]) / 2
        return twists

    def _second_difference(self, point: np.ndarray, slope: np.ndarray, vector: np.ndarray) -> np.ndarray:
        away = REACH * vector
        return (self.slope(point + away) - 2 * slope + self.slope(point - away)) / REACH**2


class LeadingEigenpairs:
    """The largest eigenvalues of a terrain's Hessian and their eigenvectors, followed from one point to the next.

    Attributes:
        values: (k,) descending.
        vectors: (k, n_parameters) of length 1, at right angles.
    """

    def __init__(self, terrain: Terrain, size: int) -> None:
        self._terrain, self._rng = terrain, stream(0, "lanczos")
        self.values, self.vectors = np.empty(0), np.empty((0, size))

    def follow(self, point: np.ndarray, count: int) -> None:
        """Take them to a point, as many as are wanted; all of a network that hardly has more."""
        size = self.vectors.shape[1]
        sweeps, missing = 1, (count if 2 * count <= size else size) - len(self.vectors)
        if missing > 0:
            sweeps = SEARCHING if len(self.vectors) else SETTLING
            noise = self._rng.standard_normal((missing, size))
            self.vectors = _orthonormal(np.concatenate([self.vectors, noise]))
        for _ in range(sweeps):
            self._sweep(point)

    def _sweep(self, point: np.ndarray) -> None:
        """Rayleigh and Ritz among the vectors and their residuals."""
        old, bent = self.vectors, self._terrain.bent(point, self.vectors)
        rest = bent - (bent @ old.T) @ old
        if len(old) == old.shape[1] or not np.isfinite(rest).all():
            found, images = old, bent
        else:
            new = _orthonormal(rest)
            new = _orthonormal(new - (new @ old.T) @ old)
            found, images = np.concatenate([old, new]), np.concatenate([bent, self._terrain.bent(point, new)])
        matrix = found @ images.T
        if not np.isfinite(matrix).all():
            raise LostFlowError("its loss overflows")
        values, weights = np.linalg.eigh((matrix + matrix.T) / 2)
        leading = slice(None, -len(old) - 1, -1)
        self.values, self.vectors = values[leading], weights[:, leading].T @ found


def kink(network: Network, loss: str | None = None) -> str:
    """What of a network's loss is not smooth, as a clause; empty where all is, so that its bends can be followed."""
    function = matching_loss(loss, network.output)
    for name in network.activations:
        activation, beside = ACTIVATIONS[name], np.array([[-BESIDE, BESIDE]])
        if max(np.ptp(activation.slope(beside)), np.ptp(activation.curvature(beside))) > JUMP:
            return f"{name} has a kink at 0"
    return "the loss has a kink" if has_kink(function, OUTPUTS[network.output], network.sizes[-1]) else ""


def gradient_flow(terrain: Terrain, point: np.ndarray, learning_rates: Iterable[float]) -> Iterator[FlowPoint]:
    """Where the slope alone would lead from a point: there, and after the time of each of these steps.

    Raises:
        LostFlowError: Where the loss overflows.
    """
    leading = LeadingEigenpairs(terrain, point.size)
    for step, rate in enumerate(_with_the_last_again(learning_rates)):
        measured = step % MEASURED == 0
        if measured:
            leading.follow(point, 2)
        sharpness = float(leading.values[0])
        yield FlowPoint(step, terrain.parameters(point), terrain.loss(point), sharpness if measured else np.nan)
        point = _moved(point, rate, terrain.slope, FAR * max(sharpness, 0.0))


def central_flow(terrain: Terrain, point: np.ndarray, learning_rates: Iterable[float]) -> Iterator[FlowPoint]:
    """The mean path of gradient descent from a point: there, and after each of these steps.

    For smooth networks and steps on all of the data. Right after the sharpness has come to the edge it is early: the
    leaps of a descent have to grow before they are felt.

    Raises:
        LostFlowError: Where more than 4 directions are at the edge, the sharpness is far above it, or the loss
            overflows.
    """
    leading, directions = LeadingEigenpairs(terrain, point.size), 0
    covariance = np.zeros((0, 0))
    for step, rate in enumerate(_with_the_last_again(learning_rates)):
        leading.follow(point, min(MAX_DIRECTIONS + 1, directions + 2))
        directions, slope = _count(leading.values, 2 / rate if rate else np.inf), terrain.slope(point)
        twists = terrain.twisted(point, slope, leading.vectors[:directions])
        covariance = _resized(covariance, directions)
        if directions:
            covariance = _covariance(leading, slope, twists, rate, covariance)
        push, leaps = 0.5 * np.tensordot(covariance, twists, 2), np.diag(covariance)
        loss = terrain.loss(point) + float(leaps @ leading.values[:directions]) / 2
        sharpness = float(leading.values[0])
        yield FlowPoint(step, terrain.parameters(point), loss, sharpness, directions, float(leaps.sum()))
        point = _moved(point, rate, lambda there, push=push: terrain.slope(there) + push, max(sharpness, 0.0))


def _with_the_last_again(learning_rates: Iterable[float]) -> list[float]:
    """The rate of every step, and for the point after the last step the same as before."""
    rates = [float(rate) for rate in learning_rates]
    return [*rates, *rates[-1:]]


def _count(values: np.ndarray, edge: float) -> int:
    """How many of the eigenvalues are at the edge."""
    if not values[0] <= FAR * edge:
        raise LostFlowError(f"the sharpness is {values[0] / edge:.2f} of the edge, so that a run leaps far away")
    count = int(np.count_nonzero(values > NEAR * edge))
    if count > MAX_DIRECTIONS:
        raise LostFlowError(f"more than {MAX_DIRECTIONS} directions are at the edge of stability")
    return count


def _covariance(
    leading: LeadingEigenpairs, slope: np.ndarray, twists: np.ndarray, rate: float, start: np.ndarray
) -> np.ndarray:
    """(k, k) that of the leaps along the directions at the edge, which keeps the sharpness there after the next step.

    A step changes u' H v by -rate <twist, force>. Along the directions themselves the force fades within the step, by
    (1 - exp(-z)) / z on average, with z = rate x eigenvalue.
    """
    k, edge = len(twists), 2 / rate
    values, vectors = leading.values[:k], leading.vectors[:k]
    faded = 1 + np.expm1(-rate * values) / (rate * values)
    flat = twists.reshape(k * k, -1)
    along = flat @ vectors.T
    drift = (flat @ slope - along @ (faded * (vectors @ slope))).reshape(k, k)
    response = 0.5 * (flat @ flat.T - (along * faded) @ along.T)
    allowed = np.where(values > ABOVE * edge, edge + KEPT * (values - edge), edge)
    excess = np.diag(values - allowed) - rate * drift
    return _complementary(rate * response, excess, start)


def _complementary(response: np.ndarray, excess: np.ndarray, start: np.ndarray) -> np.ndarray:
    """X with X >= 0 and response[X] >= excess, as matrices, and X times the difference 0.

    That is the minimum of <X, response[X]> / 2 - <X, excess> among positive semidefinite matrices, found by
    projected gradients with momentum and restarts (Beck & Teboulle 2009; O'Donoghue & Candes 2015).
    """
    k = len(excess)
    if k == 1:
        return np.maximum(excess / response, 0.0) if response[0, 0] > 0 else np.zeros((1, 1))
    step = 1 / max(float(np.linalg.eigvalsh(response)[-1]), np.finfo(float).tiny)
    found, ahead, weight = start, start, 1.0
    for _ in range(MOST_SWEEPS):
        descent = ahead - step * ((response @ ahead.ravel()).reshape(k, k) - excess)
        values, vectors = np.linalg.eigh((descent + descent.T) / 2)
        new = (vectors * np.maximum(values, 0.0)) @ vectors.T
        change, turned = new - found, float(((ahead - new) * (new - found)).sum()) > 0
        found = new
        if float(np.abs(change).max()) <= PRECISION * float(np.abs(new).max()):
            break
        weight, before = (1.0, 1.0) if turned else ((1 + np.sqrt(1 + 4 * weight**2)) / 2, weight)
        ahead = found if turned else found + (before - 1) / weight * change
    return found


def _resized(matrix: np.ndarray, k: int) -> np.ndarray:
    """The first k rows and columns, zeros where there are none."""
    out, kept = np.zeros((k, k)), min(k, len(matrix))
    out[:kept, :kept] = matrix[:kept, :kept]
    return out


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    return np.linalg.qr(rows.T)[0].T


def _moved(point: np.ndarray, rate: float, force: Callable[[np.ndarray], np.ndarray], sharpness: float) -> np.ndarray:
    """The point after dw/dt = -rate force(w) for one unit of time, where the force is this stiff."""
    first, stages = _stages(_count_stages(1.1 * rate * sharpness + 0.1))
    at_start = force(point)
    last, here = point, point - first * rate * at_start
    for mu, nu, new, start in stages:
        moved = mu * here + nu * last + (1 - mu - nu) * point - rate * (new * force(here) + start * at_start)
        last, here = here, moved
    if not np.isfinite(here).all():
        raise LostFlowError("its loss overflows")
    return here


def _count_stages(stiffness: float) -> int:
    """The fewest stages, 2 at least, that are stable up to a stiffness."""
    return max(2, int(np.ceil(np.sqrt(1 + 1.5 * stiffness / (1 - 2 / 15 * DAMPING)))))


@cache
def _stages(count: int) -> tuple[float, list[tuple[float, float, float, float]]]:
    """The coefficients of the Runge-Kutta-Chebyshev method with so many stages."""
    at = 1 + DAMPING / count**2
    t, slope, bend = [1.0, at], [0.0, 1.0], [0.0, 0.0]
    for j in range(2, count + 1):
        t.append(2 * at * t[-1] - t[-2])
        slope.append(2 * t[j - 1] + 2 * at * slope[-1] - slope[-2])
        bend.append(4 * slope[j - 1] + 2 * at * bend[-1] - bend[-2])
    width = slope[-1] / bend[-1]
    b = [bend[j] / slope[j] ** 2 for j in range(2, count + 1)]
    b = [b[0], b[0], *b]
    rows = []
    for j in range(2, count + 1):
        new = 2 * b[j] * width / b[j - 1]
        rows.append((2 * b[j] * at / b[j - 1], -b[j] / b[j - 2], new, (b[j - 1] * t[j - 1] - 1) * new))
    return b[1] * width, rows

"""Landscapes: the loss on a plane through the space of all parameters.

A plane shows two directions out of hundreds. What looks like a wall or a valley is one only as far as the plane
reaches: a path that leaves the plane has another loss than the surface beneath it, which `Plane.project` tells by the
distance.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.kernel import Kernel
from engine.losses import matching_loss
from engine.network import Data, Network


@dataclass(frozen=True, eq=False)
class Plane:
    """All parameters that two numbers can reach: origin + a directions[0] + b directions[1].

    origin (n_parameters,), directions (2, n_parameters); these need not be of length 1, nor at right angles.
    """

    origin: np.ndarray
    directions: np.ndarray

    @cached_property
    def _inverse(self) -> np.ndarray:
        """(n_parameters, 2) the directions' pseudoinverse."""
        return np.linalg.pinv(self.directions)

    def point(self, a: float, b: float) -> np.ndarray:
        """The parameters at the coordinates (a, b), (n_parameters,)."""
        return self.origin + a * self.directions[0] + b * self.directions[1]

    def project(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest point of the plane, (coordinates, distance).

        parameters (..., n_parameters), such as one epoch's or a whole path's.
        Returns coordinates (..., 2), and how far the parameters are from that point, (...).
        """
        away = parameters - self.origin
        coordinates = away @ self._inverse
        return coordinates, np.linalg.norm(away - coordinates @ self.directions, axis=-1)


class Survey:
    """The loss of one network at any parameters, without touching the network: its copy visits them all.

    Arguments are those of `Network.loss`. The 2601 points of a plane of 51 x 51 take 45 ms for 500 examples and two
    hidden layers of 16, eight tenths of it the passes forward: one kernel whose arrays stay in the cache, and losses
    computed for several points at once. BYTES bounds these arrays: half or twice as many is slower.
    """

    BYTES = 2**16

    def __init__(self, network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0) -> None:
        self._network = network.copy()
        self._loss, self._penalty = matching_loss(loss, network.output), network.penalty(l1, l2)
        self._batch = network.batch(data, self._loss)
        self._kernel = Kernel(self._network, self._loss, self._batch.n)
        logits = self._kernel.logits
        self.depth = max(1, self.BYTES // max(logits.nbytes, network.parameters.nbytes))
        self._logits = np.empty((self.depth, *logits.shape))

    def losses(self, points: np.ndarray) -> np.ndarray:
        """The loss at each of the parameters (k, n_parameters), as (k,); where it overflows, inf or nan."""
        return self._in_parts(len(points), lambda part: points[part])

    def losses_on(self, plane: Plane, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The loss at each of k pairs of coordinates, a (k,) and b (k,), as (k,)."""
        a, b = np.asarray(a)[:, None], np.asarray(b)[:, None]
        return self._in_parts(len(a), lambda part: plane.point(a[part], b[part]))

    def _in_parts(self, k: int, points: Callable[[slice], np.ndarray]) -> np.ndarray:
        """The losses at k points, `depth` at a time."""
        losses = np.empty(k)
        with np.errstate(all="ignore"):
            for start in range(0, k, self.depth):
                part = slice(start, start + self.depth)
                losses[part] = self._together(points(part))
        return losses

    def _together(self, points: np.ndarray) -> np.ndarray:
        """The losses at no more points than there is room for logits."""
        parameters, kernel, x = self._network.parameters, self._kernel, self._batch.x
        if points.shape[1:] != parameters.shape:
            raise ValueError(f"points have {points.shape[-1]} parameters; this network has {parameters.size}")
        for point, logits in zip(points, self._logits, strict=False):
            parameters[...] = point
            kernel.forward(x)
            logits[...] = kernel.logits
        costs = self._loss.value(self._logits[: len(points)], self._batch.targets, kernel.output)
        return costs.sum(axis=-1) / self._batch.n + self._penalty.value(points)


def random_plane(network: Network, seed: int = 0) -> Plane:
    """Two random directions from where the network stands, as long as its weights are in each filter.

    A filter is one unit's incoming weights; since a ReLU network may halve one layer and double the next, directions
    that ignored its size would show the scale of the weights rather than the shape of the loss. Biases stay put. A
    filter of zeros has no size to follow, and gets directions of length 1.
    Source: Li et al. 2018, "Visualizing the loss landscape of neural nets", section 4.
    """
    rng = np.random.default_rng(seed)
    return Plane(network.parameters.copy(), np.stack([_filter_normalized(network, rng) for _ in range(2)]))


def weight_plane(network: Network, i: int, j: int) -> Plane:
    """The slice over two parameters, counted as in `Network.parameters`; all others stay where the network has them.

    Coordinates are the values of the two parameters themselves, so that the network stands at these and not at (0, 0).
    Raises ValueError when there is no such parameter, or both are the same.
    """
    for index in (i, j):
        if not 0 <= index < network.n_parameters:
            raise ValueError(f"parameter {index} does not exist; choose one from 0 to {network.n_parameters - 1}")
    if i == j:
        raise ValueError(f"parameter {i} alone makes a line; choose two different parameters")
    origin, directions = network.parameters.copy(), np.zeros((2, network.n_parameters))
    origin[[i, j]] = 0.0
    directions[[0, 1], [i, j]] = 1.0
    return Plane(origin, directions)


def loss_on_plane(
    network: Network,
    data: Data,
    plane: Plane,
    x: np.ndarray,
    y: np.ndarray,
    loss: str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> np.ndarray:
    """The loss at all pairs of coordinates, (len(y), len(x)): row r, column c is the loss at `plane.point(x[c], y[r])`.

    The other arguments are those of `Network.loss`. The network stays as it is.
    """
    a, b = np.meshgrid(x, y)
    return Survey(network, data, loss, l1, l2).losses_on(plane, a.ravel(), b.ravel()).reshape(a.shape)


def loss_surfaces(
    network: Network,
    data: Data,
    plane: Plane,
    x: np.ndarray,
    y: np.ndarray,
    loss: str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    block: int = 64,
) -> Iterator[np.ndarray]:
    """`loss_on_plane` little by little: surfaces that start coarse and become finer, the last one exact.

    Between one surface and the next, no more than `block` points are computed; take the next when there is time, and
    drop the iterator to cancel. A point that was not computed yet shows the loss of a coarser one near by.
    The network is read when the first surface is asked for. Yields (len(y), len(x)) arrays, each of its own.
    """
    x, y = np.asarray(x), np.asarray(y)
    survey, surface = Survey(network, data, loss, l1, l2), np.empty((len(y), len(x)))
    for rows, columns, stride in _coarse_to_fine(len(y), len(x), block):
        losses = survey.losses_on(plane, x[columns], y[rows])
        for row, column, value in zip(rows, columns, losses, strict=True):
            surface[row : row + stride, column : column + stride] = value
        yield surface.copy()


def _filter_normalized(network: Network, rng: np.random.Generator) -> np.ndarray:
    """One random direction, (n_parameters,), each of its filters as long as the network's."""
    direction = network.copy()
    for drawn, own, biases in zip(direction.weights, network.weights, direction.biases, strict=True):
        size = np.linalg.norm(own, axis=0)
        drawn[...] = rng.standard_normal(drawn.shape)
        drawn *= np.where(size > 0, size, 1.0) / np.linalg.norm(drawn, axis=0)
        biases[...] = 0.0
    return direction.parameters


def _coarse_to_fine(height: int, width: int, block: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Every point of a grid once, as (rows, columns, stride) of at most `block` points.

    The first block holds every stride-th row and column, and later ones what lies between, at ever smaller strides.
    """
    if block < 1:
        raise ValueError(f"blocks of {block} points never end; choose 1 point or more")
    rows, columns = np.divmod(np.arange(height * width), width)
    stride = 1
    while len(range(0, height, stride)) * len(range(0, width, stride)) > block:
        stride *= 2
    todo = np.ones(height * width, bool)
    while stride:
        now = np.flatnonzero(todo & (rows % stride == 0) & (columns % stride == 0))
        todo[now] = False
        for start in range(0, len(now), block):
            part = now[start : start + block]
            yield rows[part], columns[part], stride
        stride //= 2

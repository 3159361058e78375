"""The loss on a plane or a line through the space of all parameters.

A plane shows two directions out of hundreds. What looks like a wall or a valley is one only as far as the plane
reaches: a path that leaves the plane has another loss than the surface beneath it. `path_on_plane` gives both, and
the distance between.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from engine.chance import stream
from engine.curvature import Curvature, Sharpness
from engine.kernel import Kernel, tiles
from engine.losses import matching_loss
from engine.network import Data, Network

WIDTH = 512
"""How many parameters of a path are compared at a time."""

DRAWS = 32
"""How often a second direction is drawn that has to differ from the first."""

ROUNDING = 1e-12
"""A share of the variance that may be rounding."""

CLOSE = 0.05
"""By which share of the larger one two eigenvalues differ at most whose eigenvectors are a matter of chance."""

SOUGHT = 3
"""The eigenvalues of a Hessian's plane: those of its two directions, and the next, to which it may be close."""


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

    def point(self, a: float | np.ndarray, b: float | np.ndarray) -> np.ndarray:
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


@dataclass(frozen=True, eq=False)
class PrincipalPlane(Plane):
    """The plane in which a path moves most; its directions are of length 1 and at right angles.

    Attributes:
        variance_explained: (2,) the share of the path's variance along each direction; their sum is the plane's. Near 1
            does not mean that the losses agree: what is left may lie where the loss is steep.
    """

    variance_explained: np.ndarray


@dataclass(frozen=True, eq=False)
class HessianPlane(Plane):
    """The plane in which the loss curves up most; its directions are of length 1 and at right angles.

    Where two eigenvalues are equal, every direction between their eigenvectors is one, too; where they are close, a
    small change of the parameters turns these by much.

    Attributes:
        eigenvalues: (3,) the Hessian's largest: those of the directions, and the next. 0 where one is but rounding, nan
            where there is none.
    """

    eigenvalues: np.ndarray

    @classmethod
    def of(cls, origin: np.ndarray, found: Sequence[Sharpness]) -> "HessianPlane":
        """The one through these parameters, from the first two or three of `Curvature.eigenpairs` there."""
        values = np.array([one.value for one in found])
        values[np.abs(values) <= np.finfo(float).eps * len(origin) * np.abs(values).max()] = 0.0
        directions = np.stack([one.vector for one in found[:2]])
        return cls(origin.copy(), directions, np.pad(values, (0, SOUGHT - len(values)), constant_values=np.nan))

    @property
    def axes_are_arbitrary(self) -> bool:
        """Whether the two eigenvalues are so close that other directions within the plane are as good."""
        return self._close(0)

    @property
    def is_arbitrary(self) -> bool:
        """Whether the second eigenvalue is so close to the next that other planes are as good."""
        return self._close(1)

    def _close(self, i: int) -> bool:
        """Whether an eigenvalue is close to the next."""
        larger, smaller = self.eigenvalues[i : i + 2]
        return bool(larger - smaller <= CLOSE * abs(larger))


@dataclass(frozen=True, eq=False)
class Line:
    """All parameters in a row: `start` at 0, `end` at 1, and beyond on both sides. Both are (n_parameters,)."""

    start: np.ndarray
    end: np.ndarray

    def point(self, t: float | np.ndarray) -> np.ndarray:
        """The parameters at each t (...), as (..., n_parameters); at 0 and 1 they are the ends bit for bit."""
        t = np.asarray(t)[..., None]
        return (1 - t) * self.start + t * self.end


@dataclass(frozen=True, eq=False)
class PlanePath:
    """A path of k epochs next to a plane.

    Attributes:
        coordinates: (k, 2) of each epoch's nearest point of the plane.
        distances: (k,) from there to the epoch's own parameters.
        losses: (k,) the true loss at the epoch's parameters.
        beneath: (k,) the loss at the nearest point, where the picture of the plane shows the epoch.
    """

    coordinates: np.ndarray
    distances: np.ndarray
    losses: np.ndarray
    beneath: np.ndarray


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
        self._logits: np.ndarray = np.empty((self.depth, *logits.shape))

    def losses(self, points: np.ndarray) -> np.ndarray:
        """The loss at each of the parameters (k, n_parameters), as (k,); where it overflows, inf or nan."""
        return self._in_parts(len(points), lambda part: points[part])

    def losses_on(self, plane: Plane, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The loss at each of k pairs of coordinates, a (k,) and b (k,), as (k,)."""
        a, b = np.asarray(a)[:, None], np.asarray(b)[:, None]
        return self._in_parts(len(a), lambda part: plane.point(a[part], b[part]))

    def losses_along(self, line: Line, t: np.ndarray) -> np.ndarray:
        """The loss at each coordinate t (k,) of a line, as (k,)."""
        t = np.asarray(t)
        return self._in_parts(len(t), lambda part: line.point(t[part]))

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

    Where every filter has a single weight, two such directions may be one: others are drawn, and where there is only
    one weight in all, the second direction is through the biases, and as long.
    Source: Li et al. 2018, "Visualizing the loss landscape of neural nets", section 4.
    """
    rng = stream(seed, "plane")
    first = _filter_normalized(network, rng)
    for _ in range(DRAWS):
        second = _filter_normalized(network, rng)
        if _independent(first, second):
            break
    else:
        second = _through_biases(network, rng) * np.linalg.norm(first)
    return Plane(network.parameters.copy(), np.stack([first, second]))


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


def pca_plane(path: np.ndarray, center: np.ndarray | None = None) -> PrincipalPlane:
    """The plane of the two directions in which a path varies most, its principal components.

    It runs through the path's last point, so that the surface is exact where the run stands; through
    `path.mean(axis=0)` it would come nearest to the path as a whole, and be exact nowhere. The path leads towards
    higher coordinates, from its first point to its last. Directions in which it does not move at all are those of
    single parameters, and explain nothing.

    A path of random steps has a plane like this too, in which it looks like a smooth curve (Antognini & Sohl-Dickstein
    2018): the shape of the path says less than the loss along it.

    path     (k, n_parameters), such as a history's `kept().parameters`; 1024 x 25,000 numbers take 1 s and 21 MB
    center   (n_parameters,) the parameters that the plane runs through instead
    Raises ValueError for a path that is empty or not finite, or of a single parameter.
    Source: Li et al. 2018, "Visualizing the loss landscape of neural nets", section 7.
    """
    path = np.asarray(path, dtype=np.float64)
    if path.ndim != 2 or not len(path) or path.shape[1] < 2:
        raise ValueError(f"a path of the shape {path.shape} has no plane; give (k, n_parameters), both at least (1, 2)")
    directions, variances = _principal(path)
    travelled = directions @ (path[-1] - path[0])
    directions[travelled < 0] *= -1
    return PrincipalPlane(np.array(path[-1] if center is None else center, dtype=np.float64), directions, variances)


def hessian_plane(
    network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0
) -> HessianPlane:
    """The plane of the Hessian's first two eigenvectors, through where the network stands.

    Along all directions at right angles to it the loss curves up less. With kinks in it, as with ReLU, the Hessian is
    that of the smooth piece on which the network stands, and the loss leaves its parabola where a unit is switched on
    or off. The arguments are those of `Network.loss`.

    Raises ValueError where the Hessian is not finite.
    """
    pairs = list(islice(Curvature(network, data, loss, l1, l2).eigenpairs(), SOUGHT))
    if not np.isfinite([one.value for one in pairs]).all():
        raise ValueError("the Hessian is not finite here; choose parameters with a finite loss and slope")
    return HessianPlane.of(network.parameters, pairs)


def plane_through(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Plane:
    """The plane through the parameters of three runs, each (n_parameters,).

    `a` is at (0, 0), b to its right, c above: the directions are of length 1 and at right angles, so that distances
    in a picture are distances between parameters. `plane.project(np.stack([a, b, c]))` tells where the three are.
    Raises ValueError when they lie on one line.
    Source: Garipov et al. 2018, "Loss surfaces, mode connectivity, and fast ensembling of DNNs", appendix A.1.
    """
    origin = np.array(a, dtype=np.float64)
    sides = np.stack([b, c]) - origin
    if np.linalg.matrix_rank(sides, rtol=ROUNDING) < 2:
        raise ValueError("the three runs lie on one line; choose three that differ in more than one direction")
    return Plane(origin, _completed(sides))


def line(start: np.ndarray, end: np.ndarray) -> Line:
    """The straight line between the parameters of two runs, both (n_parameters,).

    A wall between two good runs need not be one: hidden units have no order, and the same network with its units
    listed otherwise lies elsewhere (Entezari et al. 2022).
    Raises ValueError when the runs are of different networks.
    Source: Goodfellow, Vinyals & Saxe 2015, "Qualitatively characterizing neural network optimization problems".
    """
    start, end = np.array(start, dtype=np.float64), np.array(end, dtype=np.float64)
    if start.ndim != 1 or start.shape != end.shape:
        raise ValueError(f"no line joins parameters of the shapes {start.shape} and {end.shape}; both must be the same")
    return Line(start, end)


def loss_on_line(
    network: Network,
    data: Data,
    line: Line,
    t: np.ndarray,
    loss: str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> np.ndarray:
    """The loss at each coordinate t (k,) of the line, as (k,).

    The other arguments are those of `Network.loss`. The network stays as it is.
    """
    return Survey(network, data, loss, l1, l2).losses_along(line, t)


def path_on_plane(
    network: Network,
    data: Data,
    plane: Plane,
    path: np.ndarray,
    loss: str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> PlanePath:
    """A path (k, n_parameters) as a picture of the plane shows it, and what it hides: true losses and distances.

    The plane of one run says nothing certain about another run's path, and little about the beginning of its own:
    compare `losses` with `beneath`. The other arguments are those of `Network.loss`. The network stays as it is.
    """
    survey, path = Survey(network, data, loss, l1, l2), np.asarray(path)
    coordinates, distances = (np.concatenate(parts) for parts in zip(*map(plane.project, tiles(path)), strict=True))
    return PlanePath(coordinates, distances, survey.losses(path), survey.losses_on(plane, *coordinates.T))


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


def _independent(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two directions are more than one line."""
    return bool(abs(_unit(one) @ _unit(other)) < 1 - ROUNDING)


def _through_biases(network: Network, rng: np.random.Generator) -> np.ndarray:
    """A random direction of length 1 in which the biases alone change."""
    direction = network.copy()
    direction.parameters[:] = 0.0
    for biases in direction.biases:
        biases[...] = rng.standard_normal(biases.shape)
    return _unit(direction.parameters)


def _principal(path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two leading principal directions of a path, (2, n_parameters), and the share of variance along each, (2,).

    They are eigenvectors of the smaller of two matrices of inner products, between parameters or between epochs.
    """
    span = np.ptp(path, axis=0).max()
    if not np.isfinite(span):
        raise ValueError("the path holds numbers that are not finite; leave out the epochs that have diverged")
    if span == 0:
        return _completed(np.empty((0, path.shape[1]))), np.zeros(2)
    k, n_parameters = path.shape
    if n_parameters <= k:
        away = (path - path.mean(axis=0)) / span
        squares, vectors = np.linalg.eigh(away.T @ away)
        directions = vectors.T[:-3:-1]
    else:
        squares, vectors = np.linalg.eigh(sum(part @ part.T for part in _differences(path, span)))
        directions = np.hstack([vectors.T[:-3:-1] @ part for part in _differences(path, span)])
    moves = squares[:-3:-1] > ROUNDING * squares[-1]
    shares = np.zeros(2)
    shares[: moves.sum()] = squares[:-3:-1][moves] / squares.clip(0).sum()
    return _completed(directions[moves]), shares


def _differences(path: np.ndarray, span: float) -> Iterator[np.ndarray]:
    """A path less its mean, in units of the span, a few parameters at a time: (k, at most WIDTH)."""
    for start in range(0, path.shape[1], WIDTH):
        part = path[:, start : start + WIDTH]
        yield (part - part.mean(axis=0)) / span


def _completed(directions: np.ndarray) -> np.ndarray:
    """Two directions of length 1 at right angles: those given, at most two, then those of single parameters."""
    chosen: list[np.ndarray] = []
    for direction in directions:
        # Twice, since what is left of nearly parallel directions is rounded as coarsely as they were.
        chosen.append(_unit(_across(_unit(_across(direction, chosen)), chosen)))
    while len(chosen) < 2:
        axis = np.zeros(directions.shape[1])
        axis[np.argmin(sum(np.abs(other) for other in chosen))] = 1.0
        chosen.append(_unit(_across(axis, chosen)))
    return np.stack(chosen)


def _across(direction: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """What is left of a direction at right angles to others of length 1."""
    for other in others:
        direction = direction - (direction @ other) * other
    return direction


def _unit(direction: np.ndarray) -> np.ndarray:
    """The direction with length 1."""
    return direction / np.linalg.norm(direction)


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

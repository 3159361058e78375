"""The line that keeps farthest from both classes, and where training without a penalty leads."""

from dataclasses import dataclass

import numpy as np

from engine.network import Data

CLOSE = 1e-9
"""How near the origin, in shares of the examples' size, counts as no margin at all."""

TURNS = 10_000


@dataclass(frozen=True, eq=False)
class Margin:
    """The widest margin: of all (w, b) with s (w.x + b) >= 1 for every example, s its side, -1 or 1, the shortest.

    The bias counts as a weight, as it does for gradient descent.

    Attributes:
        parameters: (features + 1,) w, then b, laid out like those of a network without hidden layers.
        support: The examples that hold it in place: those with s (w.x + b) = 1.
        pulls: (support,) how strongly: parameters is the sum of pull s (x, 1) over the support.
    """

    parameters: np.ndarray
    support: np.ndarray
    pulls: np.ndarray

    @property
    def width(self) -> float:
        """How far the nearest example is from the plane, in the space of (x, 1)."""
        return float(1 / np.linalg.norm(self.parameters))

    @property
    def growth(self) -> float:
        """By how much |w| grows while the number of steps grows tenfold, in the long run."""
        return float(np.log(10) * np.linalg.norm(self.parameters[:-1]))


def widest_margin(data: Data) -> Margin | None:
    """The widest margin of separable examples; None where no line separates them.

    Gradient descent on the cross-entropy without penalties ends in its direction, whatever the learning rate and the
    start, while its length grows with the logarithm of time: (w, b) = parameters ln t + a vector that stays bounded.

    data is binary: x (n, features), y (n,) labels 0 and 1.
    Sources: Soudry et al. 2018, theorem 3; the point nearest the origin is found as by Wolfe 1976.
    """
    x, side = np.asarray(data.x, dtype=np.float64), np.where(np.ravel(data.y) == 1, 1.0, -1.0)
    points = side[:, None] * np.column_stack([x, np.ones(len(x))])
    scale = np.abs(points).max()
    corners, shares = _nearest_to_origin(points / scale)
    nearest = shares @ points[corners]
    squared = float(nearest @ nearest)
    if squared <= (CLOSE * scale) ** 2:
        return None
    return Margin(nearest / squared, corners, shares / squared)


def _nearest_to_origin(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The point of the convex hull that is nearest the origin, as corners and their shares."""
    corners, shares = [int(np.argmin((points**2).sum(axis=1)))], np.ones(1)
    for _ in range(TURNS):
        nearest = shares @ points[corners]
        along = points @ nearest
        best = int(np.argmin(along))
        if along[best] >= nearest @ nearest - 1e-14 or best in corners:
            break
        corners, shares = _settled(points, [*corners, best], np.append(shares, 0.0))
    return np.array(corners), shares


def _settled(points: np.ndarray, corners: list[int], shares: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Go to the point nearest the origin in the span of the corners; those that would get less than 0 are dropped."""
    while True:
        wanted = _in_span(points[corners])
        less = wanted < 0
        if not less.any():
            return corners, wanted
        step = float(np.min(shares[less] / (shares[less] - wanted[less])))
        shares = shares + step * (wanted - shares)
        left = shares > 1e-15
        corners, shares = [corner for corner, stays in zip(corners, left, strict=True) if stays], shares[left]


def _in_span(corners: np.ndarray) -> np.ndarray:
    """Shares, some of them negative, of the point of the affine span that is nearest the origin."""
    k = len(corners)
    system = np.ones((k + 1, k + 1))
    system[:k, :k], system[k, k] = corners @ corners.T, 0.0
    return np.linalg.lstsq(system, np.append(np.zeros(k), 1.0), rcond=None)[0][:k]

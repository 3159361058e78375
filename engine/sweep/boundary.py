"""How rough the line is between two kinds of runs on a map, and what it is worth.

A dimension above 1 proves nothing about networks: `trained_on_ripples` finds one with two numbers and a cosine. Compare
shares and dimensions between machines, never pixels: next to the boundary the last bit decides.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.chance import stream
from engine.sweep.measures import HIGHEST, LATE

if TYPE_CHECKING:
    from engine.sweep.sweep import Sweep

SMALLEST = 2
"""The smallest box, in pixels: a boundary is a pixel wide, so boxes of one pixel count the pixels and not the line."""

FEWEST = 8
"""How many boxes of the largest size go along the map's shorter side."""

WAVELENGTH, TILT, START = 0.2, 0.6, (1.0, 0.5)


@dataclass(frozen=True)
class BoxDimension:
    """The box dimension of a boundary: 1 for a smooth line, up to 2 for one that fills the plane.

    Attributes:
        value: Minus the slope of log count over log size.
        error: The standard error of that slope. It says how straight that line is, not whether the boundary goes
            on like this in smaller boxes.
        sizes: Of the boxes, in pixels.
        counts: How many boxes of each size the boundary meets.
    """

    value: float
    error: float
    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.error:.2f}"


def boundary(labels: np.ndarray) -> np.ndarray:
    """(ny, nx) the pixels that differ from their right or their upper neighbor; nan is a label like any other."""
    known = np.where(np.isnan(labels), -np.inf, labels)
    line = np.zeros(known.shape, bool)
    line[:, :-1] |= known[:, :-1] != known[:, 1:]
    line[:-1] |= known[:-1] != known[1:]
    return line


def box_dimension(line: np.ndarray, sizes: Sequence[int] | None = None) -> BoxDimension:
    """How many boxes it takes to cover a boundary, (ny, nx) bool, and how fast that grows as they shrink.

    Boxes tile the map from its lower left. By default their sizes are the powers of two from 2 pixels to an eighth of
    the map's shorter side, which takes a map of 64 x 64 pixels at least.
    Raises ValueError where there is no boundary, or fewer than three sizes.
    """
    chosen = _sizes(min(line.shape)) if sizes is None else [int(size) for size in sizes]
    if len(set(chosen)) < 3 or min(chosen, default=0) < 1:
        raise ValueError(f"box sizes {chosen} show no slope; choose three or more, or a map of 64 x 64 pixels or more")
    if not line.any():
        raise ValueError("all pixels are alike, so there is no boundary; choose wider axes")
    counts = [_boxes(line, size) for size in chosen]
    x, y = -np.log(chosen), np.log(counts)
    x -= x.mean()
    slope = float(x @ y / (x @ x))
    rest = y - y.mean() - slope * x
    error = math.sqrt(float(rest @ rest) / (len(chosen) - 2) / float(x @ x))
    return BoxDimension(slope, error, tuple(chosen), tuple(counts))


def trained_on_ripples(x: np.ndarray, y: np.ndarray, ripple: float = 0.05, epochs: int = 100) -> np.ndarray:
    """(ny, nx) whether gradient descent, with a rate for each of two numbers, comes down without any network.

    The loss is a^2 + 0.6 ab + b^2 + ripple (1 + cos(2 pi (a - b) / 0.2)), the start a = 1, b = 0.5. Without the ripple
    it is a quadratic, and the boundary a smooth curve; with it the boundary has dimension 1.68 around rates of 0.4 to
    1.25. So a fractal boundary needs some curvature that changes its sign, and no network.
    Source: Liu 2024, "Complex fractal trainability boundary can arise from trivial non-convexity".

    Args:
        x: (nx,) the rates of a.
        y: (ny,) the rates of b.
        ripple: Height of the cosine.
        epochs: Number of steps.
    """
    rate_a, rate_b = np.meshgrid(np.asarray(x, np.float64), np.asarray(y, np.float64))
    a, b = np.full(rate_a.shape, START[0]), np.full(rate_a.shape, START[1])
    frequency, late = 2 * math.pi / WAVELENGTH, np.zeros(rate_a.shape)
    first = _rippled(a, b, ripple, frequency)
    with np.errstate(all="ignore"):
        for step in range(epochs):
            slope = ripple * frequency * np.sin(frequency * (a - b))
            a, b = a - rate_a * (2 * a + TILT * b - slope), b - rate_b * (TILT * a + 2 * b + slope)
            if step >= epochs - LATE:
                ratio = _rippled(a, b, ripple, frequency) / first
                late += np.where(np.isnan(ratio), HIGHEST, np.minimum(ratio, HIGHEST))
    return late / min(LATE, epochs) < 1


def flips_by_one_ulp(sweep: "Sweep", measure: str = "trained", most: int = 1000, mark: int | None = None) -> float:
    """The share of the boundary's pixels of which `one_ulp_on` tells that they get another label.

    If it is small, the boundary is that of the runs and not of rounding.
    """
    return float(np.mean(list(one_ulp_on(sweep, measure, most, mark))))


def one_ulp_on(sweep: "Sweep", measure: str = "trained", most: int = 1000, mark: int | None = None) -> Iterator[bool]:
    """Whether pixels of the boundary get another label if their values are the next larger floating-point numbers.

    The runs are trained here, one by one: at most so many, evenly spread over the boundary, and in an order that the
    first few are spread over it too. A value that is a whole number stays as it is.

    Args:
        sweep: The map.
        measure: The labels.
        most: The largest number of runs.
        mark: The epoch, by default the last one.

    Raises:
        ValueError: Where there is no boundary, or no axis whose values are not whole numbers.
    """
    labels = sweep.values(measure, mark)
    rows, columns = np.nonzero(boundary(labels) & sweep.computed)
    names = [axis.name for axis in sweep.axes if not axis.whole]
    if not names:
        raise ValueError("whole numbers have no neighbors a rounding away; choose another axis")
    if not len(rows):
        raise ValueError("all pixels are alike, so there is no boundary; choose wider axes")
    at = -1 if mark is None else sweep.marks.index(mark)
    places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))
    for place in stream(0, "pixels").permutation(places):
        iy, ix = int(rows[place]), int(columns[place])
        chosen = sweep.settings_of(ix, iy)
        beside = {axis.name: chosen[axis.name] for axis in sweep.axes}
        beside |= {name: math.nextafter(chosen[name], math.inf) for name in names}
        yield bool(sweep.measured_at(beside)[measure][at] != labels[iy, ix])


def _rippled(a: np.ndarray, b: np.ndarray, ripple: float, frequency: float) -> np.ndarray:
    return a * a + TILT * a * b + b * b + ripple * (1 + np.cos(frequency * (a - b)))


def _sizes(side: int) -> list[int]:
    """Powers of two."""
    return [2**power for power in range(SMALLEST.bit_length() - 1, 32) if 2**power * FEWEST <= side]


def _boxes(line: np.ndarray, size: int) -> int:
    """How many boxes of this size the line meets; those at the right and upper edges may reach over."""
    height, width = (-(-length // size) * size for length in line.shape)
    padded = np.zeros((height, width), bool)
    padded[: line.shape[0], : line.shape[1]] = line
    return int(padded.reshape(height // size, size, width // size, size).any(axis=(1, 3)).sum())

"""The pixels of a map in the order in which they are computed: coarse to fine, and at last where neighbors differ."""

from collections.abc import Sequence

import numpy as np

from engine.sweep.measures import Measure

COARSEST = 16
"""The stride of the first pass, at most a quarter of the map's longer side."""

EVERYWHERE = 4
"""Down to this stride, all pixels of a pass are computed; below, those only whose neighbors differ."""

NOT_A_NUMBER, INFINITE = -10.0, 10.0
"""Where nan and infinity stand beside finite values, which lie within a few units of 0."""


def strides(shape: tuple[int, int]) -> list[int]:
    """From coarse to fine, powers of two."""
    coarsest = COARSEST
    while coarsest > 1 and coarsest * 4 > max(shape):
        coarsest //= 2
    return [2**power for power in reversed(range(coarsest.bit_length()))]


def on_grid(shape: tuple[int, int], stride: int) -> np.ndarray:
    """(ny, nx) which pixels lie on the grid of this stride."""
    grid = np.zeros(shape, bool)
    grid[::stride, ::stride] = True
    return grid


def sources(computed: np.ndarray) -> np.ndarray:
    """(ny, nx) the flat index of the pixel whose values stand here: its own, or those of the nearest on a coarser grid.

    -1 where there is none yet.
    """
    shape = computed.shape
    flat = np.arange(computed.size).reshape(shape)
    source = np.full(shape, -1)
    for stride in strides(shape):
        rows, columns = (_nearest(count, stride) for count in shape)
        near = np.ix_(rows, columns)
        source = np.where(computed[near], flat[near], source)
    return source


def differing(
    values: np.ndarray, computed: np.ndarray, stride: int, tolerance: float, scales: Sequence[Measure]
) -> np.ndarray:
    """(ny, nx) the pixels of a grid that are not computed and have neighbors on it which differ from one another.

    Args:
        values: (ny, nx, marks, measures), what is not computed filled in.
        computed: (ny, nx).
        stride: Of the grid.
        tolerance: The difference that does not count, as a share of the middle nine tenths of all computed values.
        scales: The measures.
    """
    grid = (slice(None, None, stride),) * 2
    found = np.zeros(computed.shape, bool)
    for k, measure in enumerate(scales):
        for mark in range(values.shape[2]):
            levels = _levels(values[:, :, mark, k], computed, measure)
            found[grid] |= _spread(levels[grid]) > tolerance
    return found & ~computed


def _spread(levels: np.ndarray) -> np.ndarray:
    """(h, w) the largest minus the smallest among each pixel and its eight neighbors."""
    padded = np.pad(levels, 1, mode="edge")
    height, width = levels.shape
    largest = smallest = levels
    for i, j in np.ndindex(3, 3):
        around = padded[i : i + height, j : j + width]
        largest, smallest = np.maximum(largest, around), np.minimum(smallest, around)
    return largest - smallest


def _nearest(count: int, stride: int) -> np.ndarray:
    """(count,) for each position the nearest multiple of the stride that exists."""
    return np.minimum((np.arange(count) + stride // 2) // stride, (count - 1) // stride) * stride


def _levels(values: np.ndarray, computed: np.ndarray, measure: Measure) -> np.ndarray:
    """(ny, nx) values such that a difference of 1 is the spread of the map."""
    if measure.categories:
        return np.where(np.isnan(values), NOT_A_NUMBER, values)
    with np.errstate(all="ignore"):
        levels = np.log10(values) if measure.log else values
    known = levels[computed & np.isfinite(levels)]
    low, high = np.quantile(known, [0.05, 0.95]) if known.size else (0.0, 1.0)
    with np.errstate(all="ignore"):
        levels = np.clip((levels - low) / (high - low or 1.0), -INFINITE / 2, INFINITE / 2)
    levels = np.where(np.isinf(values), np.copysign(INFINITE, values), levels)
    return np.where(np.isnan(levels), NOT_A_NUMBER, levels)

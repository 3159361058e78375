"""Gauge: makes the numbers that are told of gradients, activations and parameters, within a share of the time."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dashboard.watching.feed import Layout

SHARE = 0.005
"""Of a training's time, how much may go into making numbers of its arrays; cold caches cost as much again."""

CREDIT = 0.002
"""Seconds that may be spent at once, after a time in which less was: short trainings are told in full."""

REST = 0.1
"""Seconds from one telling of arrays to the next, at least, where not all can be told: nobody sees more."""

MOST_UNITS = 2048
MOST_WEIGHTS = 4096
"""Parameters that are told of a network that is not ours; of more, evenly spread ones."""

MOST_OURS = 25_000
"""Parameters up to which a network of ours is told as a whole."""

NAMES = tuple(map(str, range(1, 101)))
EMPTY = np.empty(0)
Numbers = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]


class Gauge:
    """Norms, means and samples of arrays, and the `layout` that says whose they are.

    Where making them at every call would take more than half a percent of the time, it is to rest for a while.
    """

    def __init__(self) -> None:
        self.layout = Layout()
        self._known: dict[tuple, Layout] = {}
        self._credit, self._seen, self.rest_until = CREDIT, time.perf_counter(), 0.0

    def begin(self) -> None:
        """Numbers are made from now on; not before `rest_until`, in seconds of `time.perf_counter`."""
        now = time.perf_counter()
        self._credit = min(CREDIT, self._credit + SHARE * (now - self._seen))
        self._seen = now

    def read(self, gradients: Any, activations: Any, parameters: Any, most: int = MOST_WEIGHTS) -> Numbers:
        """Gradient norms (layers,), mean activations (units,) and at most so many parameters; None where not given.

        All are copies in float64.
        """
        (layers, gradients), (hidden, activations), (names, arrays) = map(named, (gradients, activations, parameters))
        norms = None if gradients is None else np.array([norm(one) for one in gradients])
        means = None if activations is None else fewer([mean_of(one) for one in activations], MOST_UNITS)
        weights = None if arrays is None else fewer(arrays, most)
        self._lay_out(layers, (hidden, means), (names, weights))
        now = time.perf_counter()
        self._credit -= now - self._seen
        if self._credit < 0:
            self.rest_until = now + max(REST, -self._credit / SHARE)
        return (
            norms,
            None if means is None else np.concatenate([*means, EMPTY]),
            None if weights is None else np.concatenate([*weights, EMPTY]),
        )

    def _lay_out(self, layers: tuple[str, ...] | None, units: tuple, weights: tuple) -> None:
        """Let the layout be that of these parts, together with what it was of those that are None."""
        sizes = tuple(None if parts is None else tuple(map(len, parts)) for _, parts in (units, weights))
        key = self.layout, layers, units[0], weights[0], sizes
        if key not in self._known:
            if len(self._known) > 100:
                self._known.clear()
            before = self.layout
            self._known[key] = Layout(
                before.layers if layers is None else layers,
                before.units if sizes[0] is None else tuple(zip(units[0], sizes[0], strict=True)),
                before.weights if sizes[1] is None else tuple(zip(weights[0], sizes[1], strict=True)),
            )
        self.layout = self._known[key]


def norm(gradient: Any) -> float:
    """The length of a gradient, in float64 and without overflow or underflow; a single number is a length already."""
    if isinstance(gradient, float | int):
        return abs(float(gradient))
    flat = np.asarray(_array(gradient), np.float64).ravel()
    with np.errstate(over="ignore", under="ignore"):
        square = float(flat @ flat)
    if 1e-200 < square < 1e200 or not flat.size:
        return square**0.5
    largest = float(np.abs(flat).max())
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(flat / largest))


def mean_of(activations: Any) -> np.ndarray:
    """(units,) the mean of every unit, given means (units,) or outputs (examples, units, ...)."""
    array = np.asarray(_array(activations))
    if array.ndim <= 1:
        return np.array(array, np.float64).reshape(-1)
    return array.mean(axis=(0, *range(2, array.ndim)), dtype=np.float64)


def named(parts: Any) -> tuple[tuple[str, ...] | None, list | None]:
    """The names and the values of a dict or a list; one array is a list of one; both None where there is nothing."""
    if parts is None:
        return None, None
    if isinstance(parts, Mapping):
        return tuple(map(str, parts)), list(parts.values())
    values = list(parts) if isinstance(parts, Iterable) and not hasattr(parts, "ndim") else [parts]
    names = NAMES if len(values) <= len(NAMES) else tuple(map(str, range(1, len(values) + 1)))
    return names[: len(values)], values


def fewer(arrays: Sequence[Any], most: int) -> list[np.ndarray]:
    """Copies of the arrays as flat ones; of more numbers than that, every array's evenly spread ones."""
    sizes = [math.prod(np.shape(one)) for one in arrays]
    stride = max(1, -(-sum(sizes) // most))
    return [np.array(np.asarray(_array(one)).reshape(-1)[::stride], np.float64) for one in arrays]


def number(value: Any) -> float:
    """A number of any library as Python's own."""
    if isinstance(value, float):
        return float(value)
    return float(value.item() if hasattr(value, "item") else value)


def _array(value: Any) -> Any:
    """What NumPy can take, of PyTorch too."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value

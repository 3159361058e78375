"""Unit health: the fate of every unit at the drawn epochs of a run, computed once for all pictures."""

from typing import Self
from weakref import WeakKeyDictionary

import numpy as np

from dashboard.state.run import Frame
from engine.measures import FATES, unit_fates
from engine.network import Network
from engine.recording import History, first_in_stride

DRAWN = 128
"""Most epochs examined: 0.1 ms each for the default network."""

DEAD = FATES.index("dead")


class UnitHealth:
    """The fates of one run's units, as indices into FATES, by epoch.

    They are computed from the recorded parameters, so that they do not depend on which epochs were drawn when.
    """

    _all: WeakKeyDictionary[History, Self] = WeakKeyDictionary()

    def __init__(self, frame: Frame) -> None:
        self._network, self._x = frame.setup.network.copy(), frame.setup.train.x
        self._codes: dict[int, np.ndarray] = {}
        self._now = -1, np.empty(0, np.uint8)
        self._seen, self._stride = -1, 1

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """The health of the frame's run."""
        if frame.history not in cls._all:
            cls._all[frame.history] = cls(frame)
        return cls._all[frame.history]

    def now(self, frame: Frame) -> np.ndarray:
        """(units,) the fates at the frame's epoch."""
        if self._now[0] != frame.epoch.index:
            self._now = frame.epoch.index, self._codes_of(frame.epoch.parameters)
        return self._now[1]

    def until(self, frame: Frame, stride: int) -> tuple[np.ndarray, np.ndarray]:
        """The epochs (k,) up to the frame's, the first in every stride, and the fates then, (k, units)."""
        before = self._seen if self._stride <= stride else -1
        rows = frame.kept(before)
        for place in np.flatnonzero(first_in_stride(rows.index, stride, before)):
            index = int(rows.index[place])
            if index not in self._codes:
                self._codes[index] = self._codes_of(rows.parameters[place])
        self._seen, self._stride = max([before, *rows.index[-1:].tolist()]), stride
        known = np.array(sorted(index for index in self._codes if index <= frame.epoch.index))
        known = known[first_in_stride(known, stride)]
        return known, np.stack([self._codes[index] for index in known.tolist()])

    def _codes_of(self, parameters: np.ndarray) -> np.ndarray:
        self._network.parameters[:] = parameters
        return fates_of(self._network, self._x)


def fates_of(network: Network, x: np.ndarray) -> np.ndarray:
    """(units,) the fates of all hidden units, as indices into FATES."""
    with np.errstate(all="ignore"):
        fates = np.concatenate(unit_fates(network.trace(x), network.activations))
    return (fates[:, None] == np.array(FATES)).argmax(axis=1).astype(np.uint8)


def since(index: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(units,) the first of the epochs from which on every unit has had its last fate."""
    changes = np.vstack([np.ones(codes.shape[1], bool), codes[1:] != codes[:-1]])
    return index[len(index) - 1 - changes[::-1].argmax(axis=0)]


def revivals(codes: np.ndarray) -> np.ndarray:
    """(units,) how often every unit has come back from the dead."""
    return ((codes[:-1] == DEAD) & (codes[1:] != DEAD)).sum(axis=0)


def place_of(unit: list[int], widths: tuple[int, ...]) -> int | None:
    """The index of [layer, unit] among all hidden units; None where there is no such unit."""
    if len(unit) != 2 or not 0 <= unit[0] < len(widths) or not 0 <= unit[1] < widths[unit[0]]:
        return None
    return sum(widths[: unit[0]]) + unit[1]


def unit_at(place: int, widths: tuple[int, ...]) -> list[int]:
    """The [layer, unit] with an index among all hidden units."""
    layer = int(np.searchsorted(np.cumsum(widths), place, side="right"))
    return [layer, place - sum(widths[:layer])]


def unit_in_words(place: int, widths: tuple[int, ...]) -> str:
    """The name of a unit."""
    layer, unit = unit_at(place, widths)
    return f"layer {layer + 1}, unit {unit + 1}"

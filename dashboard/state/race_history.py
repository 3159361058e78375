"""The history of a race: where all racers have been, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.state.race_setup import GOAL, RaceSetup
from engine.optimizers import State
from engine.surfaces import descend

BLOWN_UP = 1e12
"""A loss this far above the lowest counts as infinite."""


@dataclass(frozen=True)
class RaceStep:
    """Where all racers are after `index` steps; nan for those that have diverged.

    Attributes:
        points: (racers, 2).
        values: (racers,) losses.
        states: For each racer, the state of its optimizer.
    """

    index: int
    points: np.ndarray
    values: np.ndarray
    states: tuple[State, ...]


class RaceHistory(Sequence[RaceStep]):
    """Every step of all racers. One thread may extend it while others read."""

    FORGOTTEN = ("scratch", "hessian")

    def __init__(self, race_setup: RaceSetup) -> None:
        self._race_setup = race_setup
        self._runs = [descend(race_setup.surface, race_setup.start, racer.build()) for racer in race_setup.racers]
        racers = len(race_setup.racers)
        self._points, self._values = _Rows((racers, 2)), _Rows((racers,))
        self._states: list[dict[str, _Rows]] = [{} for _ in race_setup.racers]
        self._running = np.ones(racers, dtype=bool)
        self._size = 0
        self.extend()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, i: int) -> RaceStep:
        if not -self._size <= i < self._size:
            raise IndexError(f"step {i} of {self._size}; steps go from {-self._size} to {self._size - 1}")
        i %= self._size
        states = tuple({name: rows[i].copy() for name, rows in state.items()} for state in self._states)
        return RaceStep(i, self._points[i].copy(), self._values[i].copy(), states)

    @property
    def running(self) -> np.ndarray:
        """(racers,) which have not diverged."""
        return self._running.copy()

    def extend(self) -> None:
        """Add one step of every racer that has not diverged."""
        row = self._size
        for rows in (self._points, self._values, *(rows for state in self._states for rows in state.values())):
            rows.write(row, np.nan)
        for i in np.flatnonzero(self._running):
            step = next(self._runs[i])
            height = step.value - self._race_setup.lowest
            self._running[i] = np.isfinite(step.point).all() and height < BLOWN_UP
            if self._running[i]:
                self._points[row][i], self._values[row][i] = step.point, step.value
            for name, array in step.state.items():
                if name not in self.FORGOTTEN:
                    self._states[i].setdefault(name, _Rows(array.shape)).write(row, array)
        self._size = row + 1

    def points(self, rows: slice) -> np.ndarray:
        """(k, racers, 2) positions at these steps."""
        return self._points[rows].copy()

    def heights(self, rows: slice) -> np.ndarray:
        """(k, racers) losses at these steps above the lowest; what rounding takes below it counts as 0."""
        return np.maximum(self._values[rows] - self._race_setup.lowest, 0)

    def settled(self, index: int) -> np.ndarray:
        """(racers,) the step since which each has been within 1e-6 of the lowest loss, as seen at a step; else nan."""
        far = ~(self.heights(slice(0, index + 1)) < GOAL)
        since = np.where(far.any(axis=0), index + 1 - np.argmax(far[::-1], axis=0), 0)
        return np.where(far[-1], np.nan, since)

    def turns(self, index: int, steps: int = 50) -> np.ndarray:
        """(racers,) the median cosine between consecutive steps over the last ones: 1 is straight on, -1 a zigzag."""
        moves = np.diff(self.points(slice(max(0, index - steps), index + 1)), axis=0)
        if len(moves) < 2:
            return np.full(moves.shape[1], np.nan)
        with np.errstate(all="ignore"):
            moves /= np.linalg.norm(moves, axis=2, keepdims=True)
            return _median((moves[1:] * moves[:-1]).sum(axis=2))


class _Rows:
    """Rows of one shape, added at the end; the array grows by doubling."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._rows = np.full((64, *shape), np.nan)

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        return self._rows[rows]

    def write(self, row: int, values: np.ndarray | float) -> None:
        if row >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.full_like(self._rows, np.nan)])
        self._rows[row] = values


def _median(columns: np.ndarray) -> np.ndarray:
    """The median of each column over its finite numbers; nan where there are none."""
    return np.array([np.median(kept) if len(kept := column[np.isfinite(column)]) else np.nan for column in columns.T])

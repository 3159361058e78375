"""What was measured of many runs, every so many epochs, in bounded memory."""

from copy import copy

import numpy as np

from engine.ensemble_member import NUMBERS, SERIES, Part

BYTES = 64 * 2**20
"""How much memory the recorded series of an ensemble may take."""

ROOM = 128
"""How many rows there is room for at first."""


class Records:
    """The numbers of all runs at every `every`-th epoch, column j holding epoch j * every, in bounded memory.

    Attributes:
        last: (runs,) the newest epoch that counts, -1 before the first.
        least_loss, best_accuracy: (runs,) over all epochs.
    """

    def __init__(self, runs: int, layers: int, every: int, validated: bool) -> None:
        self.every, self._validated = every, validated
        shapes = {name: () if name in NUMBERS else (layers,) for name in SERIES}
        room = int(np.clip(BYTES // (8 * runs * (len(NUMBERS) + 2 * layers)), 16, ROOM))
        self._kept = {name: np.empty((runs, room, *shape)) for name, shape in shapes.items()}
        self._newest = {name: np.full((runs, *shape), np.nan) for name, shape in shapes.items()}
        self.last = np.full(runs, -1)
        self.going, self.diverged = np.ones(runs, bool), np.zeros(runs, bool)
        self.least_loss, self.best_accuracy = np.full(runs, np.inf), np.full(runs, -np.inf)

    @property
    def epoch(self) -> int:
        last = self.last[self.going]
        return int(last.min() if last.size else max(self.last.max(), 0))

    @property
    def index(self) -> np.ndarray:
        epoch = self.epoch
        multiples = np.arange(0, epoch + 1, self.every)
        on_grid = epoch % self.every == 0
        return multiples if on_grid or self.last.max() > epoch else np.append(multiples, epoch)

    def behind(self, k: int, goal: int) -> bool:
        """Whether run k is going and has not come to this epoch."""
        return bool(self.going[k] and self.last[k] < goal)

    def add(self, k: int, part: Part) -> bool:
        """Take in what came of run k, unless it is known already; whether it was new."""
        index = part.checkpoint.index
        if not self.going[k] or (index <= self.last[k] and not part.ending):
            return False
        for columns in part.blocks:
            self._store(k, columns)
        for name, value in part.newest.items():
            self._newest[name][k] = value
        self.last[k], self.going[k], self.diverged[k] = index, not part.ending, part.ending == "diverged"
        self.least_loss[k] = min(self.least_loss[k], part.least_loss)
        self.best_accuracy[k] = np.fmax(self.best_accuracy[k], part.best_accuracy)
        return True

    def series(self, name: str) -> np.ndarray:
        """(runs, k, ...) with what follows a run's end filled in."""
        index, newest = self.index, self._newest[name]
        kept = self._kept[name][:, : self.epoch // self.every + 1]
        values = np.concatenate([kept, newest[:, None]], axis=1)[:, : len(index)]
        over = ~self.going[:, None] & (index > self.last[:, None])
        values[over] = np.broadcast_to(self._aftermath(name)[:, None], values.shape)[over]
        return values

    def rows(self, rows: np.ndarray) -> "Records":
        """The records of these runs, as copies."""
        part = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(part, name, value[rows])
        part._kept = {name: array[rows] for name, array in self._kept.items()}
        part._newest = {name: array[rows] for name, array in self._newest.items()}
        return part

    def _aftermath(self, name: str) -> np.ndarray:
        """What each run's series carries on with once it has ended."""
        newest = self._newest[name]
        diverged = self.diverged.reshape(-1, *[1] * (newest.ndim - 1))
        if "accuracy" in name:
            return np.where(diverged, 0.0 * newest, newest)
        return np.where(diverged, np.nan if name == "validation_loss" and not self._validated else np.inf, newest)

    def _store(self, k: int, columns: dict[str, np.ndarray]) -> None:
        index = columns["index"]
        if not index.size:
            return
        self._make_room(int(index[-1]))
        rows = index % self.every == 0
        for name, kept in self._kept.items():
            kept[k, index[rows] // self.every] = columns[name][rows]

    def _make_room(self, epoch: int) -> None:
        while epoch // self.every >= self._kept["loss"].shape[1]:
            if 2 * sum(array.nbytes for array in self._kept.values()) <= BYTES:
                self._kept = {name: np.concatenate([a, np.empty_like(a)], axis=1) for name, a in self._kept.items()}
            else:
                self._thin()

    def _thin(self) -> None:
        self.every *= 2
        for kept in self._kept.values():
            kept[:, : (kept.shape[1] + 1) // 2] = kept[:, ::2].copy()

"""The epochs of one run, in bounded memory."""

from collections.abc import Sequence
from threading import RLock
from typing import Any

import numpy as np

from engine.training import Epoch, Epochs

BYTES, LATEST_BYTES = 32 * 2**20, 64 * 2**20
FEWEST = 32
"""Latest epochs that are kept, however many parameters there are."""

SHIFT = 64
"""How many epochs are added before the latest are moved up to make room."""


class History(Sequence[Epoch]):
    """The epochs of a run that are still kept: the last `recent` exactly, all older ones thinned evenly.

    Of the older ones the first in every `stride` epochs is kept: of consecutive ones these are the multiples of the
    stride, and where only some epochs are ever added none falls through. The stride is a power of two that doubles
    whenever `capacity` rows are full, so a longer run is seen more coarsely, at the same cost in memory and time.
    As a sequence it is sorted by `Epoch.index`; an epoch that is gone is simply not in it. One thread may extend it
    while others read: what they get are copies.

    capacity: how many thinned rows at most; fewer, but at least 64, where the parameters are so many that the rows
    would take more than 32 MiB.
    recent: how many of the last epochs are kept exactly; fewer, but at least 32, if they would take more than 64 MiB.
    """

    def __init__(self, capacity: int = 1024, recent: int = 200) -> None:
        self.capacity = capacity
        self.recent = recent
        self.stride = 1
        self._kept: _Rows | None = None
        self._latest: _Rows | None = None
        self._lock = RLock()

    def extend(self, epochs: Epochs) -> None:
        """Add the epochs that follow those added before."""
        if not len(epochs):
            return
        with self._lock:
            if self._kept is None:
                self._make_room(epochs)
            self._remember(self._filled(self._latest), epochs)
            self._keep(self._filled(self._kept), epochs)

    def indices(self, until: int) -> np.ndarray:
        """Of the evenly spaced epochs, those up to one."""
        with self._lock:
            index = np.empty(0, np.int64) if self._kept is None else self._kept.index
            return index[: np.searchsorted(index, until, side="right")].copy()

    def amend(self, epochs: Epochs) -> None:
        """Put these epochs, in their order, in the place of those with the same indices; others are left out."""
        with self._lock:
            for rows in (self._filled(self._kept), self._filled(self._latest)):
                rows.amend(epochs)

    def holds(self, index: np.ndarray) -> np.ndarray:
        """(k,) which of these epochs are in it."""
        with self._lock:
            if self._kept is None:
                return np.zeros(len(index), bool)
            first = self._first_latest()
            kept, latest = (np.isin(index, rows.index) for rows in (self._kept, self._filled(self._latest)))
            return np.where(index < first, kept, latest)

    def kept(self, after: int = -1, until: int | None = None) -> Epochs:
        """The evenly spaced epochs, the first in every `stride`, with after < index <= until, as columns."""
        with self._lock:
            return self._filled(self._kept).copy(after, until)

    def latest(self, after: int = -1, until: int | None = None) -> Epochs:
        """The exactly kept last epochs with after < index <= until, as columns."""
        with self._lock:
            rows = self._filled(self._latest)
            return rows.copy(max(after, int(rows.index[-1]) - self.recent), until)

    def at(self, index: int) -> Epoch:
        """The kept epoch nearest to `index` from below, the first one if there is none.

        Raises:
            IndexError: If nothing has been recorded.
        """
        with self._lock:
            latest = self._filled(self._latest)
            rows = latest if index >= self._first_latest() else self._filled(self._kept)
            return rows.row(max(0, int(np.searchsorted(rows.index, index, side="right")) - 1))

    def epochs(self) -> Epochs:
        """All epochs that are in it, as columns.

        Raises:
            IndexError: If nothing has been recorded.
        """
        with self._lock:
            first = self._first_latest()
            return self._filled(self._kept).copy(-1, first - 1).then(self._filled(self._latest).copy(first - 1))

    def between(self, after: int, until: int) -> Epochs:
        """All epochs that are in it with after < index <= until, as columns."""
        with self._lock:
            first = self._first_latest()
            older = self._filled(self._kept).copy(after, min(until, first - 1))
            return older.then(self._filled(self._latest).copy(max(after, first - 1), until))

    def contents(self) -> dict[str, Any]:
        """The epochs and how they were thinned, at one moment, as the fields of a `Recording`.

        Raises:
            IndexError: If nothing has been recorded.
        """
        with self._lock:
            shape = {"capacity": self.capacity, "recent": self.recent, "stride": self.stride}
            return {"epochs": self.epochs(), **shape}

    def __len__(self) -> int:
        with self._lock:
            return 0 if self._kept is None else self._older() + min(self.recent, self._filled(self._latest).size)

    def __getitem__(self, i: int) -> Epoch:
        with self._lock:
            size = len(self)
            if not -size <= i < size:
                raise IndexError(f"epoch {i} of a history of {size}; positions go from {-size} to {size - 1}")
            older, latest = self._older(), self._filled(self._latest)
            i %= size
            return self._filled(self._kept).row(i) if i < older else latest.row(latest.size - size + i)

    def _make_room(self, epochs: Epochs) -> None:
        row = bytes_per_row(epochs)
        self.capacity = min(self.capacity, max(64, BYTES // row))
        self.recent = min(self.recent, max(FEWEST, LATEST_BYTES // row - SHIFT))
        self._kept = _Rows(epochs, self.capacity)
        self._latest = _Rows(epochs, self.recent + SHIFT)

    def _filled(self, rows: "_Rows | None") -> "_Rows":
        if rows is None:
            raise IndexError("nothing has been recorded yet; advance the run first")
        return rows

    def _first_latest(self) -> int:
        """The index of the first of the exactly kept epochs."""
        latest = self._filled(self._latest)
        return int(latest.index[max(0, latest.size - self.recent)])

    def _older(self) -> int:
        """How many kept rows come before the exactly kept ones."""
        return int(np.searchsorted(self._filled(self._kept).index, self._first_latest()))

    def _remember(self, rows: "_Rows", epochs: Epochs) -> None:
        for start in range(0, len(epochs), SHIFT):
            block = epochs.rows(slice(start, start + SHIFT))
            if rows.size + len(block) > rows.room:
                rows.select(np.arange(rows.size - self.recent, rows.size))
            rows.append(block)

    def _keep(self, rows: "_Rows", epochs: Epochs) -> None:
        while rows.size + np.count_nonzero(self._first_ones(epochs)) > self.capacity:
            self.stride *= 2
            rows.select(np.flatnonzero(first_in_stride(rows.index, self.stride)))
        rows.append(epochs.rows(self._first_ones(epochs)))

    def _first_ones(self, epochs: Epochs) -> np.ndarray:
        """(k,) which of the epochs that follow are the first in their stride."""
        index = self._filled(self._kept).index
        return first_in_stride(epochs.index, self.stride, int(index[-1]) if len(index) else -1)


class _Rows:
    """Columns with room for more rows, of which the first `size` are filled."""

    def __init__(self, like: Epochs, room: int) -> None:
        self.room = room
        self.size = 0
        self._columns = {name: np.empty((room, *row.shape[1:]), row.dtype) for name, row in like.columns.items()}
        self._all = Epochs(**self._columns, widths=like.widths)

    @property
    def index(self) -> np.ndarray:
        return self._columns["index"][: self.size]

    def row(self, i: int) -> Epoch:
        return self._all.rows(slice(i, i + 1)).rows(np.zeros(1, int))[0]

    def copy(self, after: int, until: int | None = None) -> Epochs:
        """The filled rows with after < index <= until."""
        stop = self.size if until is None else int(np.searchsorted(self.index, until, side="right"))
        return self._all.rows(np.arange(np.searchsorted(self.index, after, side="right"), stop))

    def append(self, epochs: Epochs) -> None:
        for name, rows in epochs.columns.items():
            self._columns[name][self.size : self.size + len(epochs)] = rows
        self.size += len(epochs)

    def amend(self, epochs: Epochs) -> None:
        known = np.isin(epochs.index, self.index)
        places = np.searchsorted(self.index, epochs.index[known])
        for name, rows in epochs.columns.items():
            self._columns[name][places] = rows[known]

    def select(self, rows: np.ndarray) -> None:
        """Keep these rows only, given in ascending order, and move them up a MiB at a time: no large copy is made."""
        for column in self._columns.values():
            height = max(1, 2**20 // max(1, column[:1].nbytes))
            for start in range(0, len(rows), height):
                moved = column[rows[start : start + height]]
                column[start : start + len(moved)] = moved
        self.size = len(rows)


def first_in_stride(index: np.ndarray, stride: int, before: int = -1) -> np.ndarray:
    """(k,) which of these ascending epochs are the first in every `stride`, given the one before them, -1 for none."""
    strides = index // stride
    return np.diff(strides, prepend=before // stride) > 0


def bytes_per_row(epochs: Epochs) -> int:
    """What one epoch takes in memory."""
    return sum(column[:1].nbytes for column in epochs.columns.values())

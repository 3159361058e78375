"""The point editor adds points to the data in the plane, and erases them."""

import threading
from typing import Any

import numpy as np

from dashboard.state.settings import Settings
from dashboard.storage.tables import MAX_ROWS, MIN_ROWS, OWN, TABLES, Table

WRITTEN_AFTER = 1.0
"""Seconds without a change after which the points are written into the folder."""

MAX_UNDO_STEPS = 100
"""Most changes that can be undone."""

RESTORED = ("dataset", "own", "n", "noise", "batch_size", "loss")


class PointEditor:
    """The data of some settings with two inputs, as points to add and to erase, in their own units.

    As soon as something can be learned from them, the settings use the points. Until then, such as with points of one
    class only, they wait: `missing` says for what, and `x` and `y` hold them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timer: threading.Timer | None = None
        self._take_up()

    @property
    def missing(self) -> str:
        """What there has to be more of before anything can be learned; empty once it can."""
        points, classes = max(0, MIN_ROWS - len(self.x)), len(np.unique(self.y))
        parts = [f"{points} more point{'s' * (points > 1)}"] if points else []
        parts += ["points of two classes" if not classes else "points of another class"] if classes < 2 else []
        return f"To be learned there must be {' and '.join(parts)}." if parts else ""

    @property
    def counts(self) -> str:
        """How many points there are of each class, as a sentence."""
        numbers, counts = np.unique(self.y.astype(int), return_counts=True)
        parts = [f"{count:,} of {self._name(number)}" for number, count in zip(numbers, counts, strict=True)]
        more = "; no more can be added" if self.full else ""
        return f"{len(self.x):,} points: {', '.join(parts)}{more}."

    @property
    def full(self) -> bool:
        """Whether there are as many points as there can be."""
        return len(self.x) >= MAX_ROWS

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._past)

    @property
    def is_current(self) -> bool:
        """Whether the settings still use these points, or the data with which the editor began."""
        return self._asked == _asked(self._settings)

    def add(self, places: np.ndarray, number: int) -> None:
        """Add points of a class at these positions, (k, 2), as many as there is room for."""
        self._follow()
        places = places[: MAX_ROWS - len(self.x)]
        if len(places):
            self._change(np.vstack([self.x, places]), np.append(self.y, np.full(len(places), float(number))))

    def erase(self, places: np.ndarray, reach: np.ndarray) -> None:
        """Erases the point nearest to each position, (k, 2), if it is within `reach`: the half axes of an ellipse."""
        self._follow()
        left = np.ones(len(self.x), dtype=bool)
        for place in places:
            distances = np.where(left, (((self.x - place) / reach) ** 2).sum(axis=1), np.inf)
            if left.any() and distances.min() <= 1:
                left[distances.argmin()] = False
        if not left.all():
            self._change(self.x[left], self.y[left])

    def clear(self) -> None:
        """Begin with an empty plane."""
        self._follow()
        if len(self.x):
            self._change(self.x[:0], self.y[:0])

    def undo(self) -> None:
        """Undoes the last change; at last the original data are back."""
        self._follow()
        if self._past:
            self.x, self.y, before = self._past.pop()
            self._settings.restore(before)
            self._asked = _asked(self._settings)

    def _take_up(self) -> None:
        """Begin with the data of the settings."""
        table = self._settings.table()
        self._columns, self._answer, self._labels = table.columns, table.answer, table.labels
        self.x, self.y = table.x, table.y
        self._past: list[tuple[np.ndarray, np.ndarray, dict[str, Any]]] = []
        self._asked = _asked(self._settings)

    def _follow(self) -> None:
        """Begin anew if the settings use other data by now."""
        if not self.is_current:
            self._take_up()

    def _change(self, x: np.ndarray, y: np.ndarray) -> None:
        settings = self._settings
        names = [*RESTORED, *settings.options("dataset")]
        self._past = [
            *self._past[1 - MAX_UNDO_STEPS :],
            (self.x, self.y, {name: getattr(settings, name) for name in names}),
        ]
        self.x, self.y = x, y
        if not self.missing:
            self._settings.take(table := self._table())
            if settings.own != table.digest:
                self.x, self.y, _ = self._past.pop()
            else:
                self._write_soon(table)
        self._asked = _asked(settings)

    def _table(self) -> Table:
        most = int(self.y.max()) + 1
        numbers = map(str, range(len(self._labels), most))
        return Table.labeled(self._columns, self.x, self.y, [*self._labels[:most], *numbers], self._answer)

    def _name(self, number: int) -> str:
        """The name of a class: its number, unless it has one."""
        known = self._labels[number] if number < len(self._labels) else str(number)
        return f"class {number}" if known == str(number) else known

    def _write_soon(self, table: Table) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(WRITTEN_AFTER, TABLES.write, [table.digest])
        self._timer.daemon = True
        self._timer.start()


def _asked(settings: Settings) -> tuple[Any, ...]:
    """Which data the settings use."""
    if settings.dataset == OWN:
        return OWN, settings.own
    names = ("dataset", "n", "noise", "seed", "data_seed", "format", *settings.options("dataset"))
    return tuple(getattr(settings, name) for name in names)

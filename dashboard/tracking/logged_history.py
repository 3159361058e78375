"""The history of a logged training: what was logged, and nothing carried forward or made up."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dashboard.state.run import Frame
from dashboard.tracking.logbook import Logbook
from engine.network import Network
from engine.recording import History
from engine.training import COLUMNS, Epochs

LIGHT = ("gradient_norms", "mean_activations")
TABLES = (*LIGHT, "parameters")
"""The columns with several numbers per epoch, in the order of a layout's sizes."""

MAX_COUNTED_EPOCHS = 10_000
"""Epochs whose number of batches is remembered before those that the history has dropped are forgotten."""


@dataclass(frozen=True, eq=False)
class LoggedEpochs:
    """Epochs as they were logged; not every number need have been.

    Attributes:
        epochs: k epochs, with nan where nothing was logged.
        given: By column, what was logged: (k,), for gradients and activations (k, columns).
    """

    epochs: Epochs
    given: dict[str, np.ndarray]

    def in_order(self) -> "LoggedEpochs":
        """One row for each epoch, in order; for each number the last one given counts."""
        index = self.epochs.index
        if (np.diff(index) > 0).all():
            return self
        order = np.argsort(index, kind="stable")
        known, group = np.unique(index[order], return_inverse=True)
        columns, given = {"index": known}, {}
        for name in COLUMNS[1:]:
            table, logged = getattr(self.epochs, name)[order], self.given[name][order]
            columns[name], given[name] = _last_given(table, logged, group, len(known))
        return LoggedEpochs(Epochs(**columns, widths=self.epochs.widths), given)

    def over(self, before: Epochs) -> Epochs:
        """The epochs, completed by those of `before` with the same indices where a number was not given."""
        places = np.flatnonzero(np.isin(self.epochs.index, before.index))
        theirs = np.flatnonzero(np.isin(before.index, self.epochs.index))
        columns = {name: column.copy() for name, column in self.epochs.columns.items()}
        for name in COLUMNS[1:]:
            logged = self.given[name][places]
            if columns[name].ndim > logged.ndim:
                logged = logged[:, None]
            columns[name][places] = np.where(logged, columns[name][places], getattr(before, name)[theirs])
        return Epochs(**columns, widths=self.epochs.widths)


def joined(blocks: Sequence[LoggedEpochs]) -> LoggedEpochs:
    """Several blocks in one layout as one."""
    first, *others = blocks
    if not others:
        return first
    given = {name: np.concatenate([one.given[name] for one in blocks]) for name in first.given}
    return LoggedEpochs(first.epochs.then(*(one.epochs for one in others)), given)


class LoggedHistory:
    """The history of all logged epochs and, for every column, that of the epochs at which it was measured.

    A number that was not logged, or is not finite, is nan. As long as a column is measured at every epoch, it shares
    the history of all epochs. Other columns are thinned separately, so that thinning drops no measurement by accident.
    """

    def __init__(self, epochs: Epochs | None = None, strides: int = 1) -> None:
        """Begin with some epochs, or none.

        Args:
            epochs: In order.
            strides: How far apart the older of them are.
        """
        self.history = History()
        self.history.stride = strides
        self.has_gaps = self.is_amended = False
        self._of = dict.fromkeys(COLUMNS, self.history)
        self._batches: dict[str, dict[int, int]] = {name: {} for name in LIGHT}
        if epochs is not None:
            self._put_all(epochs)

    def __len__(self) -> int:
        return len(self.history)

    @property
    def last(self) -> int:
        """The newest epoch; -1 before there is one."""
        return self.history[-1].index if len(self) else -1

    def of(self, column: str) -> History:
        """The epochs at which a column was measured."""
        return self._of[column]

    def batches(self, column: str, index: int) -> int:
        """Over how many batches a column is averaged at an epoch; 0 where nobody counted."""
        return self._batches.get(column, {}).get(index, 0)

    def add(self, block: LoggedEpochs) -> bool:
        """Add epochs; return whether pictures have to start afresh, as something they have drawn has changed."""
        block = block.in_order()
        epochs, first = block.epochs, int(block.epochs.index[0])
        if len(self) and first <= self.last:
            self.is_amended = True
            epochs = block.over(self._rows_from(first))
        return self._put_all(epochs)

    def count(self, column: str, index: np.ndarray, batches: np.ndarray) -> None:
        """Note over how many batches a column is averaged at these epochs."""
        counts = self._batches[column]
        counted = batches > 0
        counts.update(zip(index[counted].tolist(), batches[counted].tolist(), strict=True))
        if len(counts) > MAX_COUNTED_EPOCHS:
            known = np.array(list(counts))
            for one in known[~self._of[column].holds(known)].tolist():
                del counts[one]

    def relaid(self, relaid: Callable[[Epochs], Epochs]) -> "LoggedHistory":
        """A copy in another layout; the function moves epochs into it, and keeps their numbers."""
        logged = LoggedHistory()
        logged.has_gaps, logged.is_amended, logged._batches = self.has_gaps, True, self._batches
        if not len(self):
            return logged
        logged.history.stride = self.history.stride
        logged._put_all(relaid(self.history.epochs()))
        for name, history in self._of.items():
            if history is not self.history and len(history) and logged._of[name] is not logged.history:
                rows = relaid(history.epochs())
                logged._put(name, rows.rows(_known(rows, name)), np.empty(0, int))
        return logged

    def _rows_from(self, first: int) -> Epochs:
        """All epochs in the history from this one on."""
        recent = self.history.latest(first - 1)
        if len(recent) and recent.index[0] <= first:
            return recent
        return self.history.epochs()

    def _put_all(self, epochs: Epochs) -> bool:
        self.has_gaps |= bool((np.diff(epochs.index, prepend=self.last) > 1).any())
        known = {name: _known(epochs, name) for name in COLUMNS}
        for name in COLUMNS[1:]:
            if self._of[name] is self.history and not known[name].all():
                self._of[name] = self._apart(name)
        anew, before = False, self.history
        for name in COLUMNS:
            if name == "index" or self._of[name] is not before:
                anew |= self._put(name, epochs.rows(known[name]), epochs.index[~known[name]])
        self.history = self._of["index"]
        for name in COLUMNS[1:]:
            if self._of[name] is before:
                self._of[name] = self.history
        return anew

    def _apart(self, name: str) -> History:
        """A separate history for a column that has been measured at every epoch so far."""
        history = History(recent=self.history.recent)
        if len(self.history):
            history.stride = self.history.stride
            history.extend(_light(self.history.epochs(), name))
        return history

    def _put(self, name: str, epochs: Epochs, without: np.ndarray) -> bool:
        """Add these epochs to the history of a column, and remove others."""
        history, epochs = self._of[name], _light(epochs, name)
        last = history[-1].index if len(history) else -1
        new = epochs.index > last
        late, leaving = epochs.rows(~new), len(history) and history.holds(without).any()
        there = history.holds(late.index)
        if leaving or not there.all():
            self._of[name] = _rebuilt(history, epochs, without)
            return True
        anew = False
        if len(late):
            anew = bool((late.index <= history[0].index).any())
            history.amend(late)
        history.extend(epochs.rows(new))
        return anew


@dataclass(frozen=True)
class LoggedFrame(Frame):
    """A frame of a logged training.

    Attributes:
        logged: The whole logged history.
        names: Names of the layers with a gradient, and of the hidden ones.
        asked: The epoch that was asked for, where this is the last one before it at which something was measured; else
            -1.
        logbook: What was logged under names of its own.
    """

    logged: LoggedHistory
    names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    asked: int = -1
    logbook: Logbook = field(default_factory=Logbook)

    @property
    def cursor(self) -> int:
        return self.epoch.index if self.asked < 0 else self.asked

    @property
    def is_logged(self) -> bool:
        return True

    @property
    def is_sparse(self) -> bool:
        return self.logged.has_gaps or self.logged.is_amended or self.history is not self.logged.history

    @property
    def layer_names(self) -> tuple[str, ...]:
        return self.names[0]

    @property
    def hidden_names(self) -> tuple[str, ...]:
        return self.names[1]

    def measured(self, column: str) -> Frame:
        history = self.logged.of(column)
        if history is self.history or not len(history):
            return self
        return replace(self, history=history, stride=history.stride, epoch=history.at(self.cursor), asked=self.cursor)

    def batches(self, column: str) -> int:
        return self.logged.batches(column, self.epoch.index)

    def knows(self, column: str) -> bool:
        return len(self.logged.of(column)) > 0

    def network(self) -> Network:
        network = self.setup.network.copy()
        network.parameters[:] = self.measured("parameters").epoch.parameters
        return network

    def kept(self, after: int = -1) -> Epochs:
        return self.history.kept(after, self.cursor)

    def unmeasured(self, stride: int) -> np.ndarray:
        logged, known = (history.indices(self.cursor) // stride for history in (self.logged.history, self.history))
        missing = np.setdiff1d(logged, known)
        return self.logged.history.indices(self.cursor)[np.searchsorted(logged, missing)]


def _known(epochs: Epochs, name: str) -> np.ndarray:
    """(k,) at which epochs a column was measured: at least one number of it, of the parameters all."""
    column = getattr(epochs, name)
    if name == "index":
        return np.ones(len(column), bool)
    if column.ndim == 1:
        return np.isfinite(column)
    if not column.shape[1]:
        return np.zeros(len(column), bool)
    finite = np.isfinite(column)
    return finite.all(axis=1) if name == "parameters" else finite.any(axis=1)


def _light(epochs: Epochs, name: str) -> Epochs:
    """The epochs with only what a picture of that column needs."""
    if name in ("index", "parameters"):
        return epochs
    dropped = ("parameters",) if name in LIGHT else TABLES
    columns = epochs.columns | {one: np.empty((len(epochs), 0)) for one in dropped}
    return Epochs(**columns, widths=epochs.widths if name in LIGHT else ())


def _rebuilt(history: History, epochs: Epochs, without: np.ndarray) -> History:
    """A history with these epochs added and others removed; of two with the same index the later one counts."""
    there = history.epochs()
    there = there.rows(~np.isin(there.index, np.concatenate([epochs.index, without])))
    both = there.then(epochs)
    fresh = History(recent=history.recent)
    fresh.stride = history.stride
    fresh.extend(both.rows(np.argsort(both.index, kind="stable")))
    return fresh


def _last_given(table: np.ndarray, logged: np.ndarray, group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """For each group of rows the values that were logged last, and which there are."""
    places = np.where(logged, np.arange(len(logged)).reshape(-1, *[1] * (logged.ndim - 1)), -1)
    last = np.full((groups, *logged.shape[1:]), -1)
    np.maximum.at(last, group, places)
    found = last >= 0
    if table.ndim > logged.ndim:
        return np.where(found[:, None], table[last], np.nan), found
    values = np.take_along_axis(table, last, axis=0) if table.ndim > 1 else table[last]
    return np.where(found, values, np.nan), found


def names_of(parts: Iterable[str]) -> tuple[str, ...]:
    """The names, or () where they are just the numbers from 1 on."""
    names = tuple(parts)
    return () if names == tuple(map(str, range(1, len(names) + 1))) else names

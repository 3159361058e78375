"""Log entries of epochs are batched into the blocks for which a run log has records."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby
from typing import Any

import numpy as np

from dashboard.tracking import run_log
from dashboard.tracking.run_log import Layout, Measured
from engine.training import NUMBERS, Epoch, Epochs

RECORD_EPOCHS = 4096
"""Most epochs in a record."""

RECORD_BYTES = 16 * 2**20
"""Most bytes in a record: a quarter of what readers accept."""

NOT_LOGGED = (float("nan"),) * len(NUMBERS)


@dataclass(slots=True)
class LoggedEpoch:
    """One epoch as it was logged; None where nothing was given.

    Attributes:
        numbers: Loss, accuracy, validation loss, validation accuracy, learning rate; nan where not logged.
        layout: To whom the columns of the arrays belong.
        gradient_norms: (layers,) float64.
        means: (units,) float64, the mean activations.
        parameters: (n,) float64.
        given: Bits of the numbers that were logged, the loss lowest; None for all that are not nan.
        known_layers: (layers,) which norms were measured, None for all.
        known_units: (units,) which means were measured, None for all.
        batches: Over how many batches gradients and activations are averaged; 0 where nobody counted.
    """

    index: int
    numbers: tuple[float, ...]
    layout: Layout
    gradient_norms: Any = None
    means: Any = None
    parameters: Any = None
    given: int | None = None
    known_layers: Any = None
    known_units: Any = None
    batches: tuple[int, int] = (0, 0)

    @property
    def has_content(self) -> bool:
        """Whether it contains anything."""
        return bool(self.given) or any(one is not None for one in (self.gradient_norms, self.means, self.parameters))

    @property
    def bare(self) -> "LoggedEpoch":
        """Its numbers alone."""
        return LoggedEpoch(self.index, self.numbers, self.layout, given=self.given)


@dataclass(slots=True)
class Piece:
    """Consecutive epochs of a block of the engine; `last` grows while the training goes through the block."""

    block: Epochs
    first: int
    last: int

    def rows(self) -> Epochs:
        """The epochs up to `last`; the piece then begins anew behind it."""
        start, stop = (index - int(self.block.index[0]) for index in (self.first, self.last + 1))
        self.first += stop - start
        return self.block.rows(slice(start, stop))


LogEntry = tuple[float, ...] | LoggedEpoch | Epoch | Epochs
"""An entry to write: index, given and numbers alone, an epoch with arrays, or epochs of the engine."""


class ChainedRows(Sequence):
    """The rows of several tables in order; only those that are asked for are made."""

    def __init__(self, tables: Sequence[np.ndarray]) -> None:
        self._tables = tables
        self._ends = list(accumulate(map(len, tables)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, place: int) -> np.ndarray:
        table = bisect_right(self._ends, place)
        return self._tables[table][place - self._ends[table]]


@dataclass(slots=True)
class Block:
    """Log entries of one kind as columns, and their parameters row by row."""

    measured: Measured
    parameters: Sequence[np.ndarray]
    layout: Layout

    @classmethod
    def of(cls, group: list[LogEntry], layout: Layout) -> "Block":
        """The columns of these entries.

        Args:
            group: Entries of one kind, at least one.
            layout: The layout of what was written before, for entries that have none of their own.
        """
        first = group[0]
        if isinstance(first, Epochs):
            parameters = ChainedRows([one.parameters for one in group])
            return cls(Measured.of(_joined(group)), parameters, _layout_of(first[0])).within_limits()
        if isinstance(first, Epoch):
            return cls._of_epochs(group).within_limits()
        if isinstance(first, LoggedEpoch):
            return cls._of_logged(group)
        size, none = len(first), np.empty((len(group), 0))
        columns = np.fromiter(chain.from_iterable(group), float, size * len(group)).reshape(-1, size).T
        index, given, *numbers = columns
        epochs = Epochs(index.astype(np.int64), *numbers, none, none, none, widths=())
        return cls(Measured.of(epochs, _bits(given)), [], layout)

    @classmethod
    def _of_logged(cls, group: list[LoggedEpoch]) -> "Block":
        first = group[0]
        index = np.array([one.index for one in group], np.int64)
        numbers = np.array([one.numbers for one in group]).T
        tables = stacked([one.gradient_norms for one in group]), stacked([one.means for one in group])
        epochs = Epochs(index, *numbers, *tables, np.empty((len(group), 0)), widths=())
        given = None if any(one.given is None for one in group) else _bits(np.array([one.given for one in group]))
        batches = np.array([one.batches for one in group], np.uint32)
        known = [
            np.ones(table.shape[1], bool) if one is None or not table.shape[1] else one
            for table, one in zip(tables, (first.known_layers, first.known_units), strict=True)
        ]
        parameters = [] if first.parameters is None else [one.parameters for one in group]
        return cls(Measured.of(epochs, given, batches, *known), parameters, first.layout)

    @classmethod
    def _of_epochs(cls, group: list[Epoch]) -> "Block":
        index = np.array([one.index for one in group], np.int64)
        numbers = [np.array([getattr(one, name) for one in group], float) for name in NUMBERS]
        norms = stacked([one.gradient_norms for one in group])
        epochs = Epochs(index, *numbers, norms, _side_by_side(group), np.empty((len(group), 0)), widths=())
        return cls(Measured.of(epochs), [one.parameters for one in group], _layout_of(group[0]))

    @property
    def epochs(self) -> Epochs:
        """The numbers, norms and means."""
        return self.measured.epochs

    @property
    def parts(self) -> np.ndarray:
        """(k,) what each row contains, as bits: the five numbers, then gradients, activations and parameters."""
        tables = self.epochs.gradient_norms.shape[1], self.epochs.mean_activations.shape[1], len(self.parameters)
        more = sum(32 << place for place, size in enumerate(tables) if size)
        return self.measured.given @ (1 << np.arange(len(NUMBERS))) | more

    @property
    def bare(self) -> "Block":
        """The numbers alone."""
        none = np.empty((len(self.epochs), 0))
        columns = self.epochs.columns | {"gradient_norms": none, "mean_activations": none}
        return Block(Measured.of(Epochs(**columns, widths=()), self.measured.given), [], self.layout)

    def every(self, stride: int) -> "Block":
        """The epochs whose index is a multiple of the stride."""
        if stride == 1:
            return self
        return self._at(np.flatnonzero(self.epochs.index % stride == 0))

    def records(self) -> Iterator["Block"]:
        """The block in pieces, each of which fits a record."""
        width = max(self.epochs.gradient_norms.shape[1] + self.epochs.mean_activations.shape[1], self.layout.sizes[2])
        step = max(1, RECORD_BYTES // (8 * (width + 10)))
        for start in range(0, len(self.epochs), step):
            whole = step >= len(self.epochs)
            yield self if whole else self._at(np.arange(start, min(start + step, len(self.epochs))))

    def within_limits(self) -> "Block":
        """What of the block fits a run log: the first layers, the first hidden ones, the parameters if all fit."""
        layers, units, weights = self.layout.sizes
        if layers <= run_log.MAX_LAYERS and units <= run_log.MAX_UNITS and weights <= run_log.MAX_PARAMETERS:
            return self
        ends = np.cumsum(self.layout.widths)
        kept = min(int(np.searchsorted(ends, run_log.MAX_UNITS, side="right")), run_log.MAX_LAYERS)
        layout = Layout(
            self.layout.layers[: run_log.MAX_LAYERS],
            self.layout.units[:kept],
            self.layout.weights if weights <= run_log.MAX_PARAMETERS else (),
        )
        columns = self.epochs.columns
        columns["gradient_norms"] = columns["gradient_norms"][:, : layout.sizes[0]]
        columns["mean_activations"] = columns["mean_activations"][:, : layout.sizes[1]]
        measured = Measured.of(Epochs(**columns, widths=()), self.measured.given, self.measured.batches)
        return Block(measured, self.parameters if layout.weights else [], layout)

    def _at(self, places: np.ndarray) -> "Block":
        parameters = [self.parameters[place] for place in places] if self.parameters else []
        return Block(self.measured.rows(places), parameters, self.layout)


def groups(waiting: list[LogEntry]) -> Iterator[tuple[int, int]]:
    """Where entries of one kind begin and end, at most about RECORD_EPOCHS epochs together."""
    start = 0
    for kind, run in groupby([_kind(one) if type(one) is LoggedEpoch else type(one) for one in waiting]):
        stop = start + len(list(run))
        step = (
            max(1, RECORD_EPOCHS // max(len(one) for one in waiting[start:stop])) if kind is Epochs else RECORD_EPOCHS
        )
        for place in range(start, stop, step):
            yield place, min(place + step, stop)
        start = stop


def _kind(epoch: LoggedEpoch) -> tuple:
    """What entries with arrays must have in common to share a record."""
    known = (None if one is None else one.tobytes() for one in (epoch.known_layers, epoch.known_units))
    missing = (one is None for one in (epoch.given, epoch.gradient_norms, epoch.means, epoch.parameters))
    return epoch.layout, *missing, *known


def _bits(given: np.ndarray) -> np.ndarray:
    """(k, 5) which numbers were logged, out of bits (k,)."""
    return np.unpackbits(given.astype(np.uint8)[:, None], axis=1, count=len(NUMBERS), bitorder="little").astype(bool)


def _joined(blocks: Sequence[Epochs]) -> Epochs:
    """Blocks as one, without their parameters."""
    columns = ("index", *NUMBERS, "gradient_norms", "mean_activations")
    joined = [np.concatenate([getattr(block, name) for block in blocks]) for name in columns]
    return Epochs(*joined, np.empty((len(joined[0]), 0)), widths=())


def _layout_of(epoch: Epoch) -> Layout:
    """The layout of an epoch of the engine."""
    layers = len(epoch.gradient_norms)
    units = [(f"{i + 1}", len(means)) for i, means in enumerate(epoch.mean_activations)]
    return Layout(tuple(map(str, range(1, layers + 1))), tuple(units), (("all", len(epoch.parameters)),))


def _side_by_side(group: list[Epoch]) -> np.ndarray:
    """(k, units) the mean activations of all hidden layers."""
    layers = zip(*(one.mean_activations for one in group), strict=True)
    return np.hstack([np.empty((len(group), 0)), *map(stacked, layers)])


def stacked(rows: Sequence[Any]) -> np.ndarray:
    """(k, n) the rows as a table; (k, 0) where there are none."""
    if not len(rows) or rows[0] is None:
        return np.empty((len(rows), 0))
    return np.concatenate(rows, dtype=np.float64).reshape(len(rows), -1)

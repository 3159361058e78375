"""The logbook holds what a program logged under names of its own: metrics, statistics of layers, moments and notes."""

import json
import struct
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np

from dashboard.tracking import named_records
from dashboard.tracking.named_records import MAX_METRICS, MAX_STATISTIC_LAYERS, QUANTITIES, Note
from dashboard.tracking.run_log import HEAD, MAX_TEXT_BYTES, record

MAX_POINTS = 20_000
"""Most points of a metric that are held; of more, every second one is dropped, the newest never."""

MAX_NUMBERS = 4_000_000
"""Most numbers of layer statistics that are held: 32 MB."""

MAX_PACKED_BYTES = 16 * 2**20
"""About the most bytes of a logbook that is packed; of longer series every so many values are left out."""

MAX_NOTES = 500
MAX_MOMENTS = 20_000


class Series:
    """Values by epoch, in order; of two for one epoch the later one counts.

    Attributes:
        dropped: How many values were dropped because there were too many.
    """

    def __init__(self, most: int = MAX_POINTS) -> None:
        self._index, self._values = np.empty(0, np.int64), np.empty(0)
        self._most, self.dropped = most, 0

    def __len__(self) -> int:
        return len(self._index)

    @property
    def index(self) -> np.ndarray:
        """(k,) the epochs at which there is a value."""
        return self._index

    @property
    def values(self) -> np.ndarray:
        """(k,) or (k, columns) the values."""
        return self._values

    def add(self, index: np.ndarray, values: np.ndarray) -> None:
        """Add values (k, ...) at these epochs (k,)."""
        both = np.concatenate([self._index, index])
        rows = np.concatenate([self._values, values]) if len(self._index) else np.array(values)
        if (np.diff(both) <= 0).any():
            order = np.argsort(both, kind="stable")
            both, rows = both[order], rows[order]
            last = np.append(np.diff(both) > 0, True)
            both, rows = both[last], rows[last]
        while len(both) > self._most:
            keep = np.zeros(len(both), bool)
            keep[-1::-2] = True
            keep[0] = True
            self.dropped += int((~keep).sum())
            both, rows = both[keep], rows[keep]
        self._index, self._values = both, rows

    def widen(self, columns: int) -> None:
        """Give every row so many columns, the new ones nan."""
        more = columns - self._values.shape[1] if self._values.ndim == 2 else 0
        if more > 0:
            self._values = np.hstack([self._values, np.full((len(self._values), more), np.nan)])

    def thinned(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Epochs and values, at most so many: evenly spaced, the newest among them."""
        stride = -(-len(self._index) // max(1, most)) or 1
        return self._index[::-1][::stride][::-1], self._values[::-1][::stride][::-1]

    def until(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Epochs and values up to an epoch."""
        stop = int(np.searchsorted(self._index, epoch, side="right"))
        return self._index[:stop], self._values[:stop]


class Logbook:
    """What was logged under names; nothing is carried forward, and nothing made up.

    Attributes:
        metrics: By name, in the order in which the names came.
        layers: Names of the layers of which there are statistics, in the order of the module.
        statistics: By quantity, rows of (layers,), with nan where nothing was measured.
        notes: In the order in which they were written.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, Series] = {}
        self.layers: tuple[str, ...] = ()
        self.statistics: dict[str, Series] = {}
        self.notes: list[Note] = []
        self.moments = Series(MAX_MOMENTS)
        self.unlisted = 0
        self._newest_layers: tuple[str, ...] = ()
        self._places: dict[str, int] = {}
        self._take: dict[bytes, Callable[[bytes], None]] = {
            named_records.METRICS: self._take_metrics,
            named_records.STATISTICS: self._take_statistics,
            named_records.MOMENTS: self._take_moments,
            named_records.NOTES: self._take_note,
        }

    def __bool__(self) -> bool:
        return bool(self.metrics or self.layers or self.notes)

    def take(self, kind: bytes, payload: bytes) -> None:
        """Take a record; one of another kind is passed over.

        Raises:
            ValueError, KeyError, TypeError, struct.error: If the payload is damaged.
        """
        if kind in self._take:
            self._take[kind](payload)

    def packed(self) -> bytes:
        """Everything in it, as records of a run log."""
        return b"".join(record(kind, payload) for kind, payload in self._records())

    @classmethod
    def unpacked(cls, content: bytes) -> Self:
        """The logbook in some records.

        Raises:
            ValueError: If they are damaged.
        """
        book, at = cls(), 0
        try:
            while at < len(content):
                _, kind, length, _ = HEAD.unpack_from(content, at)
                start, at = at + HEAD.size, at + HEAD.size + length
                if at > len(content):
                    raise ValueError("its last record is cut off")
                book.take(kind, content[start:at])
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise ValueError(f"what was logged by name cannot be read: {error}") from error
        return book

    def _records(self) -> Iterator[tuple[bytes, bytes]]:
        """The kind and the payload of each record."""
        most = MAX_PACKED_BYTES // 2 // (16 * max(1, len(self.metrics)))
        for name, series in self.metrics.items():
            yield named_records.METRICS, named_records.packed_table({"names": [name]}, *series.thinned(most))
        about = {"layers": list(self.layers)}
        if self.statistics and len(json.dumps(about)) <= MAX_TEXT_BYTES // 2:
            most = MAX_PACKED_BYTES // 2 // (8 * len(self.layers) * len(self.statistics))
            for quantity, series in self.statistics.items():
                said = about | {"quantities": [quantity]}
                yield named_records.STATISTICS, named_records.packed_table(said, *series.thinned(most))
        if len(self.moments):
            moments = self.moments.index, self.moments.values
            yield named_records.MOMENTS, named_records.packed_table({}, *moments)
        for note in self.notes:
            yield named_records.NOTES, named_records.packed_note(note)

    def seconds(self, index: np.ndarray) -> np.ndarray:
        """(k,) when these epochs were logged, in seconds since the run began; nan where that is not known.

        An epoch between two that were written at known moments lies between them.
        """
        at, known = self.moments.index, self.moments.values
        if not len(at):
            return np.full(len(index), np.nan)
        return np.interp(index, at, known, left=np.nan, right=np.nan)

    def measured(self, quantity: str, epoch: int) -> tuple[np.ndarray, int]:
        """(layers,) the last measurement of a quantity up to an epoch, and at which epoch; nan and -1 before any."""
        index, values = self.statistics[quantity].until(epoch) if quantity in self.statistics else ((), ())
        if not len(index):
            return np.full(len(self.layers), np.nan), -1
        return values[-1], int(index[-1])

    def _take_metrics(self, payload: bytes) -> None:
        about, index, values = named_records.unpacked_table(payload)
        names = named_records.names_in(about, "names", MAX_METRICS)
        if len(names) != values.shape[1]:
            raise ValueError("a table of metrics has not a name for each column")
        for name, column in zip(names, values.T, strict=True):
            if name not in self.metrics and len(self.metrics) >= MAX_METRICS:
                self.unlisted += 1
                continue
            self.metrics.setdefault(name, Series()).add(index, column)

    def _take_statistics(self, payload: bytes) -> None:
        about, index, values = named_records.unpacked_table(payload)
        if "layers" in about:
            self._newest_layers = named_records.names_in(about, "layers", MAX_STATISTIC_LAYERS)
        layers = self._newest_layers
        quantities = named_records.names_in(about, "quantities", len(QUANTITIES))
        if len(layers) * len(quantities) != values.shape[1] or len(set(layers)) < len(layers):
            raise ValueError("a table of statistics has not a column for each layer")
        self._know(layers)
        columns = [self._places[name] for name in layers]
        most = max(16, MAX_NUMBERS // (len(QUANTITIES) * max(1, len(self.layers))))
        for place, quantity in enumerate(quantities):
            if quantity not in QUANTITIES:
                continue
            rows = np.full((len(index), len(self.layers)), np.nan)
            rows[:, columns] = values[:, place * len(layers) : (place + 1) * len(layers)]
            known = np.isfinite(rows).any(axis=1)
            if known.any():
                self.statistics.setdefault(quantity, Series(most)).add(index[known], rows[known])

    def _know(self, layers: tuple[str, ...]) -> None:
        """Give new layers columns."""
        if layers == self.layers:
            return
        names = [*self.layers, *(name for name in layers if name not in self._places)]
        if len(names) > MAX_STATISTIC_LAYERS:
            raise ValueError(f"there are statistics of more than {MAX_STATISTIC_LAYERS:,} layers")
        self.layers = tuple(names)
        self._places = {name: place for place, name in enumerate(self.layers)}
        for series in self.statistics.values():
            series.widen(len(self.layers))

    def _take_moments(self, payload: bytes) -> None:
        _, index, values = named_records.unpacked_table(payload)
        newest = self.moments.index[-1] if len(self.moments) else -1
        rising = index > newest
        if values.shape[1] == 1 and np.isfinite(values).all() and rising.any():
            self.moments.add(index[rising], values[rising, 0])

    def _take_note(self, payload: bytes) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(named_records.unpacked_note(payload))

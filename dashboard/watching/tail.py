"""Tail: a feed as it grows, read piece by piece into a history. No Panel here."""

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Self
from weakref import WeakValueDictionary
from zlib import crc32

import numpy as np

from dashboard.run import Setup
from dashboard.watching import feed
from dashboard.watching.feed import HEAD, Feed, Layout
from engine.datasets import Dataset
from engine.network import Network
from engine.recording import History
from engine.training import Epochs

PIECE = 4 * 2**20
"""Bytes read at once: 5 to 10 ms of work."""

EVERY = 0.05
"""Seconds between two looks."""

HELD = 8
"""Rows that a gap between two epochs is filled with at most."""

MOST_SAID = 5
TABLES = {"gradient_norms": 0, "mean_activations": 1, "parameters": 2}
"""The columns with several numbers per epoch, by their place among a layout's sizes."""


class Sketch:
    """What is known of a network of which only measurements come: its units, and which parameters are whose.

    It stands where pictures expect a `Network`, as far as they ask no more than this of it.
    """

    output = ""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.widths = layout, layout.widths
        self.parameters = np.zeros(layout.sizes[2])

    @property
    def n_parameters(self) -> int:
        """How many parameters are told."""
        return self.parameters.size

    @property
    def weights(self) -> list[np.ndarray]:
        """Views into the parameters, array by array."""
        ends = np.cumsum([size for _, size in self.layout.weights])
        return np.split(self.parameters, ends[:-1]) if len(ends) else []

    def copy(self) -> "Sketch":
        """Another one with parameters of its own."""
        sketch = Sketch(self.layout)
        sketch.parameters[:] = self.parameters
        return sketch


NO_DATA = Dataset(np.empty((0, 0)), np.empty(0), "unknown", 0)


class Tail:
    """A feed's history, setup and state. `poll` looks for more; `version` has grown where there was.

    The history is in the order of the epochs, whatever the order in which they were told, and the last word counts. In
    a gap between two epochs the one before holds. What was not told with an epoch is as it was told last; epochs whose
    numbers are not finite are left out, and said so. One reader serves all who look at a feed in this process.
    """

    _all: ClassVar[WeakValueDictionary[str, Self]] = WeakValueDictionary()

    def __init__(self, source: Feed) -> None:
        self.feed = source
        self.version = 0
        self.status, self.state = source.status(), feed.LIVE
        self.damage = ""
        self.said: list[str] = []
        self.left_out: dict[str, str] = {}
        self.diverged: int | None = None
        self.l1, self.l2 = (_number(source.network.get(name)) for name in ("l1", "l2"))
        self._lock = threading.RLock()
        self._offset, self._looked, self._stamp = 0, -EVERY, (0, 0)
        self._layout, self._left_out, self._behind = Layout(), 0, False
        self._last: dict[str, np.ndarray] = {}
        self._heavy: list[tuple[np.ndarray, np.ndarray]] = []
        self._data = _data_of(source)
        self._begin(History())
        self.poll()

    @classmethod
    def of(cls, key: str) -> Self:
        """The reader of the feed with that id. Raises ValueError when there is none."""
        source = Feed.found(key)
        name = str(source.folder)
        found = cls._all.get(name)
        if found is None:
            found = cls._all[name] = cls(source)
        return found

    @property
    def has_data(self) -> bool:
        """Whether network and examples are ours, so that all pictures can be shown."""
        return isinstance(self.setup.network, Network)

    @property
    def problems(self) -> list[str]:
        """What was not as it should be, as sentences."""
        found = list(self.said[:MOST_SAID])
        if self._left_out:
            found.append(
                f"{self._left_out:,} epochs have a loss or a gradient that is no finite number; they are not drawn."
            )
        return [*found, self.damage] if self.damage else found

    def poll(self) -> None:
        """Read what is new, at most a few MiB, if the last look was a while ago."""
        with self._lock:
            now = time.monotonic()
            if now < self._looked + EVERY:
                return
            self._looked = now
            stamp = self.feed.stamp()
            if stamp != self._stamp or self._behind or self.state == feed.LIVE:
                self._read()
            if stamp != self._stamp or self.state == feed.LIVE:
                self._stamp = stamp
                self._look_up()

    def _look_up(self) -> None:
        """See what has become of whoever tells."""
        status = self.feed.status()
        state = self.feed.state(status)
        if (status.end, status.epochs, state) != (self.status.end, self.status.epochs, self.state):
            self.version += 1
        self.status, self.state = status, state

    def _begin(self, history: History) -> None:
        """Show this history, as another than before."""
        self.history = history
        self.setup = self._set_up()
        self.version += 1

    def _set_up(self) -> Setup:
        network = _network_of(self.feed, self._layout.sizes[2]) if self._data else None
        if network is None:
            seen = len(self.history) and np.isfinite(self.history[-1].validation_loss)
            return Setup(NO_DATA, NO_DATA if seen else None, Sketch(self._layout), "", "unknown")
        if len(self.history):
            network.parameters = self.history[0].parameters
        train, validation = self._data
        return Setup(train, validation, network, str(self.feed.network.get("loss")), train.task)

    def _read(self) -> None:
        if self.damage:
            return
        try:
            with self.feed.records.open("rb") as file:
                file.seek(self._offset)
                content = file.read(PIECE)
                if len(content) >= HEAD.size:
                    content += file.read(max(0, HEAD.size + min(HEAD.unpack_from(content)[2], feed.LONGEST) - PIECE))
        except OSError:
            return
        self._behind = len(content) >= PIECE
        try:
            blocks = self._records(content)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self.damage, blocks = f"What comes after byte {self._offset:,} of the feed cannot be read: {error}.", []
            self.version += 1
        if blocks:
            self._add(blocks)
            self.version += 1

    def _records(self, content: bytes) -> list[Epochs]:
        """The blocks of epochs in all records that are complete, in the layout that holds at their end."""
        blocks, start, size = [], 0, len(content)
        while start + HEAD.size <= size:
            magic, kind, length, checksum = HEAD.unpack_from(content, start)
            if magic != feed.MAGIC or length > feed.LONGEST:
                raise ValueError("it is not a record")
            stop = start + HEAD.size + length
            if stop > size:
                break
            payload = content[start + HEAD.size : stop]
            if crc32(payload) != checksum:
                raise ValueError("a checksum does not fit")
            self._offset, start = self._offset + HEAD.size + length, stop
            kind = kind[:1]
            if kind == feed.EPOCHS:
                blocks.append(self._filled(feed.unpacked(payload, self._layout).epochs))
            elif kind == feed.EPOCHS_1:
                blocks.append(self._filled(feed.unpacked_1(payload, self._layout).epochs))
            elif kind == feed.LEFT_OUT:
                self.left_out |= feed.left_out(payload)
            elif kind == feed.PARAMETERS:
                self._heavy.append(feed.unpacked_parameters(payload, self._layout))
            elif kind == feed.LAYOUT:
                blocks = self._relaid(Layout.unpacked(payload), blocks)
            elif kind == feed.TOLD:
                self.said.append(feed.words(payload))
        return blocks

    def _relaid(self, layout: Layout, blocks: list[Epochs]) -> list[Epochs]:
        """All epochs so far, to be shown anew in another layout: tables of another width are filled when they come."""
        if layout == self._layout:
            return blocks
        before = [self.history.epochs()] if len(self.history) else []
        changed = [size != old for size, old in zip(layout.sizes, self._layout.sizes, strict=True)]
        for name, place in TABLES.items():
            if changed[place]:
                self._last.pop(name, None)
        self._layout = layout
        self.history = History()
        return [_emptied(block, layout, changed) for block in [*before, *blocks]]

    def _filled(self, block: Epochs) -> Epochs:
        """The block with all tables of the layout: where one was not told, it is as it was last."""
        columns = block.columns
        for name, place in list(TABLES.items())[:2]:
            size, told, last = self._layout.sizes[place], columns[name], self._last_of(name)
            columns[name] = told if told.shape[1] == size else np.tile(last, (len(block), 1))
            if name == "mean_activations":
                columns[name] = _sound(columns[name], last)
            self._last[name] = columns[name][-1]
        columns["parameters"] = self._parameters_at(block.index)
        return Epochs(**columns, widths=self._layout.widths)

    def _parameters_at(self, index: np.ndarray) -> np.ndarray:
        """(k, n) the parameters at these epochs, or at the last ones before them of which there are some."""
        last = self._last_of("parameters")
        if not self._heavy:
            return np.tile(last, (len(index), 1))
        told = np.concatenate([told for told, _ in self._heavy])
        rows = _sound(np.concatenate([last[None], *(table for _, table in self._heavy)]), last)
        order = np.argsort(told, kind="stable")
        places = np.append(-1, order)[np.searchsorted(told[order], index, side="right")]
        self._heavy, self._last["parameters"] = [], rows[-1]
        return rows[places + 1]

    def _last_of(self, table: str) -> np.ndarray:
        """A table's row as it was told last; UNKNOWN where it never was."""
        size = self._layout.sizes[TABLES[table]]
        return self._last.get(table, np.full(size, UNKNOWN))

    def _add(self, blocks: Sequence[Epochs]) -> None:
        block = _first_known(blocks[0].then(*blocks[1:]))
        finite = block.finite
        self._left_out += int((~finite).sum())
        self.diverged = None if finite[-1] else int(block.index[-1])
        block = block.rows(finite)
        if not len(block):
            return
        last = self.history[-1].index if len(self.history) else -1
        ordered = (np.diff(block.index) > 0).all() and block.index[0] > last
        fresh = not len(self.history)
        if not ordered:
            block = _in_order(block if fresh else self.history.epochs().then(block))
            self.history, fresh = History(), True
        before = None if fresh else alone(self.history, last)
        self.history.extend(_held(block, before))
        if fresh or self._validates_now():
            self._begin(self.history)

    def _validates_now(self) -> bool:
        """Whether a validation loss has come that there was none of before."""
        return self.setup.validation is None and not self._data and np.isfinite(self.history[-1].validation_loss)


UNKNOWN = -np.finfo(np.float64).max
"""Stands where nothing has been told yet, until it has."""


def alone(history: History, index: int) -> Epochs:
    """One epoch of a history as a block."""
    return history.latest(index - 1, index)


def _sound(table: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The table with every row that holds a number that is not finite as the one before, or as the last before all."""
    sound = np.isfinite(table).all(axis=1)
    if sound.all():
        return table
    places = np.maximum.accumulate(np.where(sound, np.arange(len(table)), -1))
    return np.concatenate([last[None], table])[places + 1]


def _held(block: Epochs, before: Epochs | None) -> Epochs:
    """The block, with rows in its gaps that repeat the epoch before; thinned evenly, they leave no epoch out of sight.

    Pictures draw the multiples of a power of two: of the epochs 9, 19, 29 ... they would draw none.
    """
    joined = block if before is None else before.then(block)
    if len(joined) == 1 or (np.diff(joined.index) == 1).all():
        return block
    rows, index = [], []
    for place, (one, other) in enumerate(pairwise(joined.index.tolist())):
        step = 1 << max(0, ((other - one) // HELD).bit_length())
        held = range((one // step + 1) * step, other, step)
        rows += [place] * (1 + len(held))
        index += [one, *held]
    rows.append(len(joined) - 1)
    filled = joined.rows(np.array(rows))
    filled.index[:] = [*index, joined.index[-1]]
    return filled if before is None else filled.rows(slice(1, None))


def _in_order(block: Epochs) -> Epochs:
    """The epochs by their indices; of those with the same one the last."""
    order = np.argsort(block.index, kind="stable")
    last = np.append(np.diff(block.index[order]) > 0, True)
    return block.rows(order[last])


def _first_known(block: Epochs) -> Epochs:
    """What was not told at first as it was when it came."""
    columns = block.columns
    for name in TABLES:
        table = columns[name]
        if not table.size:
            continue
        missing = table[:, 0] == UNKNOWN
        known = np.flatnonzero(~missing)
        if missing.any():
            columns[name] = np.where(missing[:, None], table[known[0]] if len(known) else 0.0, table)
    return Epochs(**columns, widths=block.widths)


def _emptied(block: Epochs, layout: Layout, changed: Sequence[bool]) -> Epochs:
    """The block with nothing in the tables whose layout has changed."""
    columns = block.columns
    for name, place in TABLES.items():
        if changed[place]:
            columns[name] = np.full((len(block), layout.sizes[place]), UNKNOWN)
    return Epochs(**columns, widths=layout.widths)


def _network_of(source: Feed, parameters: int) -> Network | None:
    """The network that a feed tells of, if it is one of ours and fits the parameters."""
    told = source.network
    try:
        sizes = [int(size) for size in told["sizes"]][:100]
        if sum((a + 1) * b for a, b in pairwise(sizes)) != parameters:
            return None
        return Network(sizes, [str(name) for name in told["activations"]], str(told["output"]), skip=bool(told["skip"]))
    except (KeyError, TypeError, ValueError):
        return None


def _data_of(source: Feed) -> tuple[Dataset, Dataset | None] | None:
    """The examples that a feed tells of; None where there are none, or they do not fit the network."""
    path = source.folder / "data.npz"
    if not source.network or not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in ("x", "y", "x_held_out", "y_held_out") if name in arrays}
        return tuple(
            _dataset(source, parts[f"x{part}"], parts[f"y{part}"]) if f"x{part}" in parts else None
            for part in ("", "_held_out")
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _dataset(source: Feed, x: np.ndarray, y: np.ndarray) -> Dataset:
    task, outputs = source.network["task"], int(source.network["sizes"][-1])
    fits = 0 < len(x) == len(y) and len(x) <= feed.MOST_EXAMPLES
    if x.ndim != 2 or not fits or x.shape[1] != source.network["sizes"][0]:
        raise ValueError(f"examples of shape {x.shape} do not fit the network")
    if task not in ("binary", "classes", "regression") or not np.isfinite(x).all():
        raise ValueError(f"the task {task!r} is none")
    classes = {"binary": 2, "classes": outputs, "regression": 0}[task]
    if classes and not np.isin(y, range(classes)).all():
        raise ValueError("the labels are others than the network's classes")
    return Dataset(x.astype(np.float64), y.astype(np.int64 if task == "classes" else np.float64), task, classes)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

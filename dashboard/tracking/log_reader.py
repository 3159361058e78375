"""The log reader follows a run log as it grows, and reads it piece by piece into a history."""

import struct
import threading
import time
import zipfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Self
from weakref import WeakValueDictionary
from zlib import crc32

import numpy as np

from dashboard.state.run import Setup
from dashboard.tracking import run_log
from dashboard.tracking.logbook import Logbook
from dashboard.tracking.logged_history import LIGHT, LoggedEpochs, LoggedHistory, joined
from dashboard.tracking.non_finite import NotFinite
from dashboard.tracking.run_log import HEAD, Layout, RunLog
from engine.datasets import Dataset
from engine.network import Network
from engine.recording import History
from engine.training import NUMBERS, Epochs

PIECE = 4 * 2**20
"""Bytes read at once: 5 to 10 ms of work."""

POLL_INTERVAL_S = 0.05
"""Seconds between two polls."""

MAX_DATA_BYTES = 512 * 2**20
"""Most bytes of examples that are read."""

MAX_NAMES = 5
QUANTITIES = {
    "loss": "a loss",
    "validation_loss": "a validation loss",
    "accuracy": "an accuracy",
    "validation_accuracy": "a validation accuracy",
    "learning_rate": "a learning rate",
    "gradient_norms": "a gradient",
    "mean_activations": "a mean activation",
    "parameters": "a parameter",
}
"""What a column is called in a sentence about numbers that are not finite."""


class Sketch:
    """What is known of a network that is only measured: its units, and which parameters belong where.

    It stands in for a `Network` in pictures, as far as they ask for no more than this.
    """

    output = ""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.widths = layout, layout.widths
        self.parameters = np.zeros(layout.sizes[2])

    @property
    def n_parameters(self) -> int:
        """How many parameters are logged."""
        return self.parameters.size

    @property
    def weights(self) -> list[np.ndarray]:
        """Views of the parameters, array by array."""
        ends = np.cumsum([size for _, size in self.layout.weights])
        return np.split(self.parameters, ends[:-1]) if len(ends) else []

    def copy(self) -> "Sketch":
        """A copy with parameters of its own."""
        sketch = Sketch(self.layout)
        sketch.parameters[:] = self.parameters
        return sketch


NO_DATA = Dataset(np.empty((0, 0)), np.empty(0), "unknown", 0)


class LogReader:
    """History, setup and state of a run log. `poll` looks for more; `version` grows where there was more.

    `logged` is in the order of the epochs, whatever the order in which they were logged, and of every number the last
    entry counts. A number that was not logged, or is not finite, is unknown there: nothing is carried forward, nothing
    made up. One reader serves everybody in this process who looks at the same run log.

    Attributes:
        run_log: The run log that is read.
        damage: Why the rest of the log cannot be read, as a sentence; empty where it can.
        left_out: Layers that are not measured, each with the reason.
    """

    _all: ClassVar[WeakValueDictionary[str, Self]] = WeakValueDictionary()

    def __init__(self, source: RunLog) -> None:
        self.run_log = source
        self.version = 0
        self.status, self.state = source.status(), run_log.LIVE
        self.damage = ""
        self.said: list[str] = []
        self.left_out: dict[str, str] = {}
        self.l1, self.l2 = (_number(source.network.get(name)) for name in ("l1", "l2"))
        self._lock = threading.RLock()
        self._offset, self._looked, self._stamp = 0, -POLL_INTERVAL_S, (0, 0)
        self._layout, self._behind, self._rest = Layout(), False, 0
        self._heavy: list[tuple[np.ndarray, np.ndarray]] = []
        self._odd = {name: NotFinite(what) for name, what in QUANTITIES.items()}
        self._data = _data_of(source)
        self.logged, self.logbook = LoggedHistory(), Logbook()
        self._begin()
        self.poll()

    @classmethod
    def of(cls, key: str) -> Self:
        """The reader of the run log with this id, shared within the process.

        Raises:
            ValueError: If there is no such run log.
        """
        source = RunLog.found(key)
        name = str(source.folder)
        found = cls._all.get(name)
        if found is None:
            found = cls._all[name] = cls(source)
        return found

    @property
    def history(self) -> History:
        """All epochs that were logged."""
        return self.logged.history

    @property
    def has_data(self) -> bool:
        """Whether network and examples are of the engine's kind, so that all pictures can be shown."""
        return isinstance(self.setup.network, Network)

    @property
    def diverged(self) -> int | None:
        losses = self.logged.of("loss")
        return self._odd["loss"].first_after(losses[-1].index if len(losses) else -1)

    @property
    def problems(self) -> list[str]:
        """What is wrong or missing, as sentences."""
        found = list(self.said[:MAX_NAMES])
        if self.left_out:
            found.append(_not_measured(self.left_out))
        found += filter(None, (odd.in_words() for odd in self._odd.values()))
        if self.damage:
            found.append(self.damage)
        elif self._rest and self.state != run_log.LIVE and not self._behind:
            found.append(f"The run log breaks off in the middle of a record, {self._rest:,} bytes before its end.")
        return found

    def poll(self) -> None:
        """Read what is new, at most a few MiB, unless the last poll was a moment ago."""
        with self._lock:
            now = time.monotonic()
            if now < self._looked + POLL_INTERVAL_S:
                return
            self._looked = now
            stamp = self.run_log.stamp()
            if stamp != self._stamp or self._behind or self.state == run_log.LIVE:
                self._read()
            if stamp != self._stamp or self.state == run_log.LIVE:
                self._stamp = stamp
                self._look_up()

    def read_on(self) -> bool:
        """Read the next few MiB, however recent the last poll is; return whether there is more."""
        with self._lock:
            before = self._offset
            self._read()
            self._look_up()
            return self._behind and self._offset > before

    def _look_up(self) -> None:
        """Read the state of the process that logs."""
        status = self.run_log.status()
        state = self.run_log.state(status)
        if (status.end, status.epochs, state) != (self.status.end, self.status.epochs, self.state):
            self.version += 1
        self.status, self.state = status, state

    def _begin(self) -> None:
        """Make pictures start afresh."""
        self.setup = self._set_up()
        self.version += 1

    def _set_up(self) -> Setup:
        network = _network_of(self.run_log, self._layout.sizes[2]) if self._data else None
        if network is None:
            return Setup(NO_DATA, NO_DATA if self._validates else None, Sketch(self._layout), "", "unknown")
        if len(known := self.logged.of("parameters")):
            network.parameters = known[0].parameters
        train, validation = self._data
        return Setup(train, validation, network, str(self.run_log.network.get("loss")), train.task)

    @property
    def _validates(self) -> bool:
        return len(self.logged.of("validation_loss")) > 0

    def _read(self) -> None:
        if self.damage:
            return
        try:
            content = self.run_log.read(self._offset, PIECE)
        except OSError:
            return
        self._behind = len(content) >= PIECE
        before = self._offset, len(self.said), len(self.left_out)
        blocks: list[LoggedEpochs] = []
        try:
            self._take(content, blocks)
        except (ValueError, KeyError, TypeError, IndexError, struct.error) as error:
            self.damage = f"What comes after byte {self._offset:,} of the run log cannot be read: {error}."
            self.version += 1
        self._rest = len(content) - (self._offset - before[0])
        self._add(blocks)
        if (self._offset, len(self.said), len(self.left_out)) != before:
            self.version += 1

    def _take(self, content: bytes, blocks: list[LoggedEpochs]) -> None:
        """Read all complete records; of the epochs, returns those in the layout that holds at the end."""
        start, size = 0, len(content)
        while start + HEAD.size <= size:
            magic, kind, length, checksum = HEAD.unpack_from(content, start)
            if magic != run_log.MAGIC or length > run_log.MAX_RECORD_BYTES:
                raise ValueError("it is not a record")
            stop = start + HEAD.size + length
            if stop > size:
                break
            payload = content[start + HEAD.size : stop]
            if crc32(payload) != checksum:
                raise ValueError("a checksum does not fit")
            self._take_record(kind[:1], payload, blocks)
            self._offset, start = self._offset + HEAD.size + length, stop

    def _take_record(self, kind: bytes, payload: bytes, blocks: list[LoggedEpochs]) -> None:
        if kind in (run_log.EPOCHS, run_log.EPOCHS_1):
            read = run_log.unpacked if kind == run_log.EPOCHS else run_log.unpacked_1
            blocks.append(self._logged(read(payload, self._layout)))
        elif kind == run_log.PARAMETERS:
            self._heavy.append(run_log.unpacked_parameters(payload, self._layout))
        elif kind == run_log.LAYOUT:
            layout = Layout.unpacked(payload)
            self._add(blocks)
            blocks.clear()
            self._relay(layout)
        elif kind == run_log.LEFT_OUT:
            self.left_out |= run_log.left_out(payload)
        elif kind == run_log.MESSAGE:
            self.said.append(run_log.words(payload))
        else:
            self.logbook.take(kind, payload)

    def _relay(self, layout: Layout) -> None:
        """Move all epochs so far to another layout: what keeps its name and size keeps its numbers."""
        if layout == self._layout:
            return
        before, self._layout, self._heavy = self._layout, layout, []
        self.logged = self.logged.relaid(lambda epochs: _relaid(epochs, before, layout))
        self._begin()

    def _logged(self, block: run_log.Measured) -> LoggedEpochs:
        """A block in the layout's columns, with nan where nothing was logged, or nothing finite."""
        epochs, rows, sizes = block.epochs, len(block.epochs), self._layout.sizes
        columns, given = {"index": epochs.index}, {}
        for place, name in enumerate(NUMBERS):
            columns[name], given[name] = getattr(epochs, name), block.given[:, place]
        for name, size, known in zip(LIGHT, sizes, (block.known_layers, block.known_units), strict=False):
            table = getattr(epochs, name)
            logged = table.shape[1] == size > 0
            columns[name] = table if logged else np.full((rows, size), np.nan)
            given[name] = np.tile(known, (rows, 1)) if logged else np.zeros((rows, size), bool)
        columns["parameters"], given["parameters"] = self._parameters_at(epochs.index)
        for name, logged in given.items():
            columns[name] = self._finite(name, epochs.index, columns[name], logged)
        for place, name in enumerate(LIGHT):
            self.logged.count(name, epochs.index, block.batches[:, place])
        return LoggedEpochs(Epochs(**columns, widths=self._layout.widths), given)

    def _parameters_at(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(k, n) the parameters at these epochs, and (k,) at which of them they were logged."""
        parameters, logged = np.full((len(index), self._layout.sizes[2]), np.nan), np.zeros(len(index), bool)
        for at, rows in self._heavy:
            order = np.argsort(at, kind="stable")
            places = order[np.searchsorted(at[order], index, side="right") - 1]
            found = at[places] == index
            parameters[found], logged[found] = rows[places[found]], True
        self._heavy = []
        return parameters, logged

    def _finite(self, name: str, index: np.ndarray, column: np.ndarray, logged: np.ndarray) -> np.ndarray:
        """The column with nan where it was not logged, or is not finite, which is noted."""
        wide = logged[:, None] if column.ndim > logged.ndim else logged
        fine = np.isfinite(column)
        bad, any_logged = wide & ~fine, logged
        if column.ndim > 1:
            bad, any_logged = bad.any(axis=1), logged.any(axis=1) if logged.ndim > 1 else logged
        self._odd[name].note(index[any_logged], bad[any_logged])
        return column if fine.all() and logged.all() else np.where(wide & fine, column, np.nan)

    def _add(self, blocks: Sequence[LoggedEpochs]) -> None:
        """Add what was logged."""
        if not blocks:
            return
        first, validated = not len(self.logged), self._validates
        if self.logged.add(joined(blocks)) or first or self._validates != validated:
            self._begin()


def _not_measured(layers: Mapping[str, str]) -> str:
    """The layers that are left out, with the reasons, as a sentence."""
    reasons: dict[str, list[str]] = {}
    for name, why in layers.items():
        reasons.setdefault(why, []).append(name)
    words = [f"{_few(names)} ({why})" for why, names in list(reasons.items())[:MAX_NAMES]]
    return f"Not measured: {'; '.join(words)}."


def _few(names: Sequence[str]) -> str:
    """A list of names, of many only the first."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _relaid(epochs: Epochs, before: Layout, after: Layout) -> Epochs:
    """The epochs in another layout: the numbers of what has kept its name and size, nan for everything else."""
    columns = epochs.columns
    parts = [[(name, 1) for name in layout.layers] for layout in (before, after)]
    kinds = {
        "gradient_norms": parts,
        "mean_activations": (before.units, after.units),
        "parameters": (before.weights, after.weights),
    }
    for name, (old, new) in kinds.items():
        columns[name] = _moved(columns[name], old, new)
    return Epochs(**columns, widths=after.widths)


def _moved(table: np.ndarray, old: Sequence[tuple[str, int]], new: Sequence[tuple[str, int]]) -> np.ndarray:
    """The columns of a table, moved by the name and size of the parts to which they belong."""
    moved = np.full((len(table), sum(size for _, size in new)), np.nan)
    if not table.shape[1]:
        return moved
    starts = dict(zip(old, np.cumsum([0, *(size for _, size in old)]).tolist(), strict=False))
    place = 0
    for part in new:
        if part in starts:
            moved[:, place : place + part[1]] = table[:, starts[part] : starts[part] + part[1]]
        place += part[1]
    return moved


def _network_of(source: RunLog, parameters: int) -> Network | None:
    """The network that a run log describes, if it is one of the engine's and fits the parameters."""
    about = source.network
    try:
        sizes = [int(size) for size in about["sizes"]][:100]
        if sum((a + 1) * b for a, b in pairwise(sizes)) != parameters:
            return None
        activations = [str(name) for name in about["activations"]]
        return Network(sizes, activations, str(about["output"]), skip=bool(about["skip"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _data_of(source: RunLog) -> tuple[Dataset, Dataset | None] | None:
    """The examples saved with a run log; None where there are none, or they do not fit the network."""
    path = source.folder / "data.npz"
    if not source.network:
        return None
    try:
        if not path.is_file():
            return None
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_DATA_BYTES:
                return None
        with np.load(path, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in ("x", "y", "x_held_out", "y_held_out") if name in arrays}
        return tuple(
            _dataset(source, parts[f"x{part}"], parts[f"y{part}"]) if f"x{part}" in parts else None
            for part in ("", "_held_out")
        )
    except Exception:  # zipfile alone has a dozen ways of saying that a file is none
        return None


def _dataset(source: RunLog, x: np.ndarray, y: np.ndarray) -> Dataset:
    task, outputs = source.network["task"], int(source.network["sizes"][-1])
    fits = 0 < len(x) == len(y) and len(x) <= run_log.MAX_EXAMPLES
    if x.ndim != 2 or not fits or x.shape[1] != source.network["sizes"][0]:
        raise ValueError(f"examples of shape {x.shape} do not fit the network")
    if task not in ("binary", "classes", "regression") or not np.isfinite(x).all():
        raise ValueError(f"the task {task!r} is none")
    classes = {"binary": 2, "classes": outputs, "regression": 0}[task]
    if classes and not np.isin(y, range(classes)).all():
        raise ValueError("the labels are others than the network's classes")
    return Dataset(x.astype(np.float64), y.astype(np.int64 if task == "classes" else np.float64), task, classes)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else 0.0

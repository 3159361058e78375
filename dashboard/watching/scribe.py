"""Scribe: writes a feed, in a thread of its own, so that a training loses no time to it. No Panel here."""

import atexit
import logging
import os
import threading
import time
import weakref
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, chain, groupby
from typing import Any

import numpy as np

from dashboard.watching import feed
from dashboard.watching.feed import Feed, Layout, Status
from engine.training import NUMBERS, Epoch, Epochs

log = logging.getLogger(__name__)

EVERY = 0.1
"""Seconds between two flushes."""

SIGN = 2.0
"""Seconds between two signs of life where there is nothing to tell."""

ROWS = 4096
"""Epochs in a record at most."""

AT_ONCE = 2**19
"""Bytes of parameters in a flush: 5 MiB a second."""

BYTES = 500 * 2**20
MANY = 20_000
WAITING = 64 * 2**20
"""Bytes that may wait to be written, before whoever tells more has to write them itself."""


@dataclass(slots=True)
class Telling:
    """One epoch as it was told; None where nothing was said.

    numbers          loss, accuracy, validation loss, validation accuracy, learning rate; nan where not told
    gradient_norms   (layers,), `means` (units,) and `parameters` (n,), float64
    """

    index: int
    numbers: tuple[float, ...]
    layout: Layout
    gradient_norms: Any = None
    means: Any = None
    parameters: Any = None


@dataclass(slots=True)
class Piece:
    """Consecutive epochs of a block of the engine's; `last` grows while the training goes through the block."""

    block: Epochs
    first: int
    last: int

    def rows(self) -> Epochs:
        """The epochs up to `last`, which then begins anew behind it."""
        start, stop = (index - int(self.block.index[0]) for index in (self.first, self.last + 1))
        self.first += stop - start
        return self.block.rows(slice(start, stop))


Told = tuple[float, ...] | Telling | Epoch | Epochs
"""What is written: an index with its numbers alone, with arrays too, or epochs of the engine's."""


class Rows(Sequence):
    """The rows of several tables, of which only those that are asked for are made."""

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
    """Tellings of one kind as columns, and their parameters row by row."""

    epochs: Epochs
    parameters: Sequence[np.ndarray]
    layout: Layout

    @classmethod
    def of(cls, group: list[Told], layout: Layout) -> "Block":
        """The columns of these; layout: that of what was told before."""
        first, none = group[0], np.empty((len(group), 0))
        norms, means, parameters = none, none, []
        if isinstance(first, Epochs):
            return cls(_joined(group), Rows([one.parameters for one in group]), _layout_of(first[0]))
        if isinstance(first, tuple):
            size = len(first)
            index, *numbers = np.fromiter(chain.from_iterable(group), float, size * len(group)).reshape(-1, size).T
        else:
            index = [one.index for one in group]
            norms, parameters = _stacked([one.gradient_norms for one in group]), [one.parameters for one in group]
        if isinstance(first, Telling):
            numbers, means = np.array([one.numbers for one in group]).T, _stacked([one.means for one in group])
            layout = first.layout
        elif isinstance(first, Epoch):
            numbers, means = [np.array([getattr(one, name) for one in group]) for name in NUMBERS], _side_by_side(group)
            layout = _layout_of(first)
        epochs = Epochs(np.asarray(index, np.int64), *numbers, norms, means, none, widths=())
        return cls(epochs, parameters if parameters and parameters[0] is not None else [], layout)

    def every(self, stride: int) -> "Block":
        """Those whose index is a multiple of the stride."""
        if stride == 1:
            return self
        places = np.flatnonzero(self.epochs.index % stride == 0)
        parameters = [self.parameters[place] for place in places] if self.parameters else []
        return Block(self.epochs.rows(places), parameters, self.layout)


class Thinning:
    """Which epochs still fit: all of them at first, then every second, fourth and so on, the more has been written."""

    def __init__(self, free: int, step: int) -> None:
        """free: bytes until the first are left out. step: bytes until they come at twice the distance again."""
        self._free, self._step, self._spent = free, step, 0

    @property
    def stride(self) -> int:
        """The distance between epochs that are written, a power of two."""
        beyond = self._spent - self._free
        return 1 if beyond < 0 else 2 << min(beyond // self._step, 40)

    def spend(self, size: int) -> None:
        """So many bytes were written."""
        self._spent += size


class Scribe:
    """Takes epochs at any time from any thread, and writes them into a feed ten times a second and at the end.

    What was taken is written in its order, and nothing is lost: a training that tells faster than can be written writes
    itself. A feed stays below `limit` bytes: of the parameters, then of all, only every second, fourth ... epoch is
    written, and the feed says so. What a disk refuses waits, and is tried again.

    is_mine   whether it is open, and this the process that it was made in
    """

    def __init__(self, told: Feed, limit: int = BYTES) -> None:
        """Raises OSError where nothing can be written."""
        self.feed = told
        self._file = os.open(told.records, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        self._status_file = os.open(told.folder / "status", os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        self._queue: deque[Told | Piece] = deque()
        self._piece: Piece | None = None
        self._waiting, self._size = 0, 0
        self._layout: Layout | None = None
        self._told: set[str] = set()
        self._says: deque[str] = deque()
        self._status = Status()
        self._newest, self._late, self._last = -1, 0, None
        self._whole, self._weights = Thinning(limit // 4, limit // 32), Thinning(limit // 8, limit // 32)
        self._writing, self._wake = threading.Lock(), threading.Event()
        self.is_mine, self._refused = True, ""
        self._write_status()
        self._thread = threading.Thread(target=_keep_writing, args=(weakref.ref(self), self._wake), daemon=True)
        self._thread.name = "scribe"
        self._thread.start()
        atexit.register(_close_at_exit, weakref.ref(self))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_let_go, weakref.ref(self)))

    def take(self, told: tuple[float, ...] | Epoch) -> None:
        """Write an epoch soon. Its arrays must not change any more."""
        self._queue.append(told)
        if len(self._queue) > MANY:
            self._make_room()

    def take_row(self, epoch: Epoch) -> None:
        """Likewise, where many of one block follow one another: nothing of them is held but the block."""
        block, piece, index = epoch.block, self._piece, epoch.index
        if piece is not None and piece.block is block and piece.last + 1 == index:
            piece.last = index
        elif block is None:
            self.take(epoch)
        else:
            self._piece = piece = Piece(block, index, index)
            self._queue.append(piece)
            self._waiting += block.parameters.nbytes
            if self._waiting > WAITING:
                self._make_room()

    def take_arrays(self, telling: Telling) -> None:
        """Likewise, where arrays are told that may be large."""
        self._waiting += 0 if telling.parameters is None else telling.parameters.nbytes
        self._queue.append(telling)
        if self._waiting > WAITING or len(self._queue) > MANY:
            self._make_room()

    def say(self, text: str) -> None:
        """Write a sentence for whoever watches, once."""
        if text not in self._told and len(self._told) < 100:
            self._told.add(text)
            self._says.append(text)

    def flush(self) -> None:
        """Write now all that waits."""
        if not self.is_mine:
            return
        with self._writing:
            try:
                self._write_all()
                self._refused = ""
            except OSError as error:
                if self._refused == str(error):
                    return
                self._refused = str(error)
                log.warning(
                    "the run %r cannot be written: %s (%s); make room there, or set DESCENT_LAB_HOME to another folder",
                    self.feed.name,
                    error,
                    self.feed.folder,
                )

    def close(self, end: str = feed.ENDED) -> None:
        """Write the rest, and how it has ended."""
        if not self.is_mine:
            return
        self.flush()
        with self._writing:
            if not self.is_mine:
                return
            self.is_mine = False
            with suppress(OSError):
                if self._last is not None:
                    self._newest = -1
                    self._write_block(Block.of([self._last], self._layout), 1)
                self._status = replace(self._status, end=end)
                self._write_status()
                os.fsync(self._file)
            os.close(self._file)
            os.close(self._status_file)
        self._wake.set()

    def _write_all(self) -> None:
        waiting = self._taken()
        self._waiting = 0
        written, epochs = 0, len(waiting) + sum(len(one) - 1 for one in waiting if type(one) is Epochs)
        try:
            for start, stop in _groups(waiting):
                self._write_group(waiting[start:stop], epochs)
                written = stop
            while self._says:
                self._append(feed.record(feed.TOLD, feed.packed_words(self._says[0])))
                self._says.popleft()
        finally:
            self._queue.extendleft(reversed(waiting[written:]))
        if waiting or time.time() > self._status.seen + SIGN:
            self._write_status()

    def _taken(self) -> list[Told]:
        """What was taken since this was last asked for.

        The training may go on through the newest piece meanwhile; it comes again, in case that its end was missed.
        """
        newest, self._piece = self._piece, None
        taken = [self._queue.popleft() for _ in range(len(self._queue))]
        if newest is not None:
            self._queue.appendleft(newest)
        told = [one.rows() if type(one) is Piece else one for one in taken]
        return [one for one in told if type(one) is not Epochs or len(one)]

    def _write_group(self, group: list[Told], waiting: int) -> None:
        """Write epochs of one kind, of so many that wait: their parameters first, then all else."""
        block, stride = Block.of(group, self._layout or Layout()), self._whole.stride
        if block.layout != self._layout:
            self._append(feed.record(feed.LAYOUT, block.layout.packed()))
            self._layout = block.layout
        if stride > 1:
            self.say("There was so much to tell that from here on only some epochs were written, evenly spaced.")
        apart = max(stride, self._stride_of_parameters(block, waiting))
        self._write_block(block.every(stride), apart)
        index, loss = int(block.epochs.index[-1]), float(block.epochs.loss[-1])
        last = group[-1][-1] if isinstance(group[-1], Epochs) else group[-1]
        self._last = last if index % apart else None
        epochs = self._status.epochs + len(block.epochs)
        self._status = replace(self._status, epochs=epochs, epoch=index, loss=loss)

    def _stride_of_parameters(self, block: "Block", waiting: int) -> int:
        """The distance between epochs whose parameters are written: where many come at once, few show all there is."""
        size = waiting * block.parameters[0].nbytes if block.parameters else 0
        return max(self._weights.stride, 1 << (size // AT_ONCE).bit_length())

    def _write_block(self, block: "Block", apart: int) -> None:
        """Write these epochs, the parameters of those whose index is a multiple of `apart` before them."""
        if not len(block.epochs):
            return
        heavy = block.every(apart)
        if heavy.parameters:
            payload = feed.packed_parameters(heavy.epochs.index, _stacked(heavy.parameters))
            self._append(feed.record(feed.PARAMETERS, payload))
            self._weights.spend(len(payload))
        payload = feed.packed(feed.Measured.of(block.epochs))
        self._append(feed.record(feed.EPOCHS, payload))
        self._whole.spend(len(payload))
        self._check_order(block.epochs.index)

    def _check_order(self, index: np.ndarray) -> None:
        index = np.append(self._newest, index)
        highest = np.maximum.accumulate(index)
        for late in index[1:][index[1:] <= highest[:-1]][: MOST_SAID + 1].tolist():
            self._late += 1
            few = f"Epoch {late} was told twice or late; it is shown in its place, as it was told last."
            self.say(few if self._late <= MOST_SAID else MANY_LATE)
        self._newest = int(highest[-1])

    def _make_room(self) -> None:
        """Write what waits; where the disk refuses, let go of the oldest half, and say so."""
        self.flush()
        if self._refused:
            for _ in range(len(self._queue) // 2):
                self._queue.popleft()
            self.say("Some epochs are lost: the disk did not take them for so long that there was no more room.")
            self._waiting //= 2

    def _append(self, content: bytes) -> None:
        """Write at the end, all of it or nothing."""
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(content)

    def _write_status(self) -> None:
        self._status = replace(self._status, seen=time.time())
        os.lseek(self._status_file, 0, os.SEEK_SET)
        os.write(self._status_file, self._status.packed())


MANY_LATE = "More epochs were told twice or late; each is shown in its place, as it was told last."
MOST_SAID = 5


def _keep_writing(reference: "weakref.ref[Scribe]", wake: threading.Event) -> None:
    """Flush again and again, until the scribe is closed or forgotten."""
    while not wake.wait(EVERY):
        scribe = reference()
        if scribe is None or not scribe.is_mine:
            return
        try:
            scribe.flush()
        except Exception:
            log.exception("the run %r was not written; its training goes on", scribe.feed.name)
            return
        del scribe


def _let_go(reference: "weakref.ref[Scribe]") -> None:
    """In a forked process there is no thread to write."""
    scribe = reference()
    if scribe is not None:
        scribe.is_mine = False


def _close_at_exit(reference: "weakref.ref[Scribe]") -> None:
    scribe = reference()
    if scribe is not None:
        with suppress(Exception):
            scribe.close()


def _groups(waiting: list[Told]) -> Iterator[tuple[int, int]]:
    """Where tellings of the same kind begin and end, about ROWS epochs together at most."""
    start = 0
    for kind, run in groupby([_kind(one) if type(one) is Telling else type(one) for one in waiting]):
        stop = start + len(list(run))
        step = max(1, ROWS // max(len(one) for one in waiting[start:stop])) if kind is Epochs else ROWS
        for place in range(start, stop, step):
            yield place, min(place + step, stop)
        start = stop


def _kind(told: Telling) -> Any:
    """What has to be the same for tellings of arrays to go into one record."""
    return told.layout, told.gradient_norms is None, told.means is None, told.parameters is None


def _joined(blocks: Sequence[Epochs]) -> Epochs:
    """Blocks as one, without their parameters."""
    columns = ("index", *NUMBERS, "gradient_norms", "mean_activations")
    joined = [np.concatenate([getattr(block, name) for block in blocks]) for name in columns]
    return Epochs(*joined, np.empty((len(joined[0]), 0)), widths=())


def _layout_of(epoch: Epoch) -> Layout:
    """The layout of an epoch of the engine's."""
    layers = len(epoch.gradient_norms)
    units = [(f"{i + 1}", len(means)) for i, means in enumerate(epoch.mean_activations)]
    return Layout(tuple(map(str, range(1, layers + 1))), tuple(units), (("all", len(epoch.parameters)),))


def _side_by_side(group: list[Epoch]) -> np.ndarray:
    """(k, units) the mean activations of all hidden layers."""
    layers = zip(*(one.mean_activations for one in group), strict=True)
    return np.hstack([np.empty((len(group), 0)), *map(_stacked, layers)])


def _stacked(rows: Sequence[Any]) -> np.ndarray:
    if rows[0] is None:
        return np.empty((len(rows), 0))
    return np.concatenate(rows, dtype=np.float64).reshape(len(rows), -1)

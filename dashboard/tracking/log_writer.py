"""The log writer appends epochs to a run log from its own thread, so that the training does not wait for a disk."""

import atexit
import errno
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from dashboard.tracking import named_records, run_log
from dashboard.tracking.batching import Block, LogEntry, LoggedEpoch, Piece, groups, stacked
from dashboard.tracking.named_records import Note
from dashboard.tracking.run_log import Layout, RunLog, Status
from engine.training import Epoch, Epochs

log = logging.getLogger(__name__)

FLUSH_INTERVAL_S = 0.1
"""Seconds between two flushes."""

HEARTBEAT_INTERVAL_S = 2.0
"""Seconds between two heartbeats while nothing is logged."""

AT_ONCE = 2**19
"""Bytes of parameters per flush: 5 MiB a second."""

BYTES = 500 * 2**20
MANY = 20_000
WAITING = 64 * 2**20
"""Bytes that may wait to be written before the thread that logs more has to write them itself."""

MAX_NOTES = 500
"""Most notes of a run."""

RESERVE = 2**16
"""Bytes kept free for losses and the end: enough for some thousand epochs on a full disk."""

CLOSE_TIMEOUT_S = 10.0
"""Seconds that closing waits for a disk that does not answer."""

AGAIN = 1.0
"""Seconds after which large records are tried again on a full disk."""

MOMENT_SHARE = 0.001
"""Share of a run's time by which moments that are written lie apart; at first it is the interval between flushes."""

REMEMBERED = 2**13
"""Entries of which the writer remembers what they contained."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Thinning:
    """Which epochs still fit: all at first, then every second, fourth and so on, the more has been written."""

    def __init__(self, free: int, step: int) -> None:
        """Set the limits.

        Args:
            free: Bytes until the first epochs are left out.
            step: Bytes after which the stride doubles again.
        """
        self._free, self._step, self._spent = free, step, 0

    @property
    def stride(self) -> int:
        """The distance between epochs that are written, a power of two."""
        beyond = self._spent - self._free
        return 1 if beyond < 0 else 2 << min(beyond // self._step, 40)

    def spend(self, size: int) -> None:
        """Count bytes that were written."""
        self._spent += size


class LogWriter:
    """Takes epochs at any time from any thread, and writes them to a run log ten times a second and at the end.

    Entries are written in the order in which they were taken, and none is lost: a training that logs faster than the
    disk writes has to write itself. A run log stays below `limit` bytes: beyond shares of it only every second, fourth
    ... epoch is written, first of the parameters, then of everything, and the log says so. What a disk refuses is tried
    again; on a full one the single numbers have a reserve, and large arrays are dropped from an epoch on that the log
    names.

    Attributes:
        is_mine: Whether the writer is open, and this the process that made it.
        ending: Called at the end of the program if the writer is still open; returns words and the class of an
            exception.
    """

    def __init__(self, target: RunLog, limit: int = BYTES) -> None:
        """Open a run log for writing.

        Raises:
            OSError: If nothing can be written.
            RuntimeError: If no thread can be started.
        """
        self.run_log = target
        self.ending: Callable[[], tuple[str, str]] = lambda: (run_log.ENDED, "")
        self._queue: deque[LogEntry | Piece] = deque()
        self._piece: Piece | None = None
        self._waiting, self._size = 0, 0
        self._layout: Layout | None = None
        self._reported: set[str] = set()
        self._messages: deque[str] = deque()
        self._left_out: dict[str, str] = {}
        self._to_leave_out: dict[str, str] = {}
        self._status, self._signed = Status(), 0.0
        self._newest, self._late, self._last = -1, 0, None
        self._seen = np.empty(0, np.int64), np.empty(0, np.int64)
        self._whole, self._weights = Thinning(limit // 4, limit // 32), Thinning(limit // 8, limit // 32)
        self._writing, self._wake = threading.Lock(), threading.Event()
        self.is_mine, self._refused = True, ""
        self._full_from, self._small_until = -1, 0.0
        self._released: list[tuple[LogWriter, str, str]] = []
        self._metrics: deque[tuple[int, str, float]] = deque()
        self._statistics: deque[tuple[int, tuple[str, ...], tuple[str, ...], np.ndarray]] = deque()
        self._notes: deque[Note] = deque()
        self._stated: tuple[str, ...] = ()
        self._noted = 0
        self._began, self._moment = time.monotonic(), (-1, -FLUSH_INTERVAL_S)
        self._open()
        _OPEN.add(self)
        _close_at_the_end_of_a_child()

    def take(self, epoch: tuple[float, ...] | Epoch) -> None:
        """Write an epoch soon. Its arrays must not change any more."""
        self._queue.append(epoch)
        if len(self._queue) > MANY:
            self._make_room()

    def take_row(self, epoch: Epoch) -> None:
        """Write an epoch of a block soon; of consecutive ones only the block is held in memory."""
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

    def take_arrays(self, entry: LoggedEpoch) -> None:
        """Write an epoch with arrays, which may be large, soon."""
        self._waiting += 0 if entry.parameters is None else entry.parameters.nbytes
        self._queue.append(entry)
        if self._waiting > WAITING or len(self._queue) > MANY:
            self._make_room()

    def take_metrics(self, index: int, values: dict[str, float]) -> None:
        """Write numbers by name soon."""
        self._metrics.extend((index, name, value) for name, value in values.items())
        if len(self._metrics) > MANY:
            self._make_room()

    def take_statistics(
        self, index: int, layers: tuple[str, ...], quantities: tuple[str, ...], table: np.ndarray
    ) -> None:
        """Write statistics (quantities, layers) soon. The table must not change any more."""
        self._waiting += table.nbytes
        self._statistics.append((index, layers, quantities, table))
        if self._waiting > WAITING:
            self._make_room()

    def take_note(self, epoch: int, words: str, kind: str = named_records.NOTE) -> None:
        """Write a note about an epoch soon; beyond some hundreds they are left out, and the log says so."""
        if self._noted >= MAX_NOTES:
            self.report(f"There are more than {MAX_NOTES} notes; the later ones were left out.")
            return
        self._noted += 1
        self._notes.append(Note(epoch, words, kind, time.monotonic() - self._began))

    def report(self, text: str) -> None:
        """Write a sentence for the person who watches, once."""
        if text not in self._reported and len(self._reported) < 100:
            self._reported.add(text)
            self._messages.append(text)

    def leave_out(self, name: str, why: str) -> None:
        """Write that something is not measured, and why; for each name the first reason counts."""
        name = name[:100]
        if name not in self._left_out and len(self._left_out) < run_log.MAX_LEFT_OUT:
            self._left_out[name] = why
            self._to_leave_out[name] = why

    def flush(self) -> None:
        """Write everything that is waiting now."""
        if not self.is_mine:
            return
        with self._writing, np.errstate(all="ignore"):
            if self.is_mine:
                self._flush()

    def close(self, end: str = run_log.ENDED, error: str = "") -> None:
        """Write the rest, and how the run ended.

        Args:
            end: In words that begin with one of the states in `run_log`.
            error: Class of the exception that ended it.
        """
        if self.is_mine and self._writing.acquire(timeout=CLOSE_TIMEOUT_S):
            self._close(end, error)

    def release(self, end: str = run_log.ENDED, error: str = "") -> None:
        """Close without waiting: the owner is being garbage-collected, perhaps in the writing thread."""
        if not self.is_mine:
            return
        if self._writing.acquire(blocking=False):
            self._close(end, error)
        else:
            self._released.append((self, end, error))
            self._wake.set()

    def amend(self, end: str, error: str) -> None:
        """Correct, after closing, how the run ended. Errors are ignored."""
        if self.is_mine or os.getpid() != self.run_log.pid:
            return
        self._status = replace(self._status, end=end, error=error)
        with suppress(OSError):
            self._status_file = os.open(self.run_log.folder / "status", os.O_RDWR | getattr(os, "O_BINARY", 0))
            try:
                self._write_status()
            finally:
                os.close(self._status_file)

    def _open(self) -> None:
        binary = getattr(os, "O_BINARY", 0)
        self._file = os.open(self.run_log.records, os.O_WRONLY | os.O_APPEND | binary)
        try:
            self._status_file = os.open(self.run_log.folder / "status", os.O_RDWR | os.O_CREAT | binary, 0o644)
            try:
                self._write_status()
                with suppress(OSError):
                    (self.run_log.folder / "reserve").write_bytes(os.urandom(RESERVE))
                about = weakref.ref(self), self._wake, self._released
                threading.Thread(target=_keep_writing, args=about, daemon=True, name="log writer").start()
            except BaseException:
                os.close(self._status_file)
                raise
        except BaseException:
            os.close(self._file)
            raise

    def _flush(self) -> None:
        try:
            self._write_all()
            self._refused = ""
        except OSError as error:
            if self._refused != str(error):
                self._refused = str(error)
                log.warning(
                    "the run %r cannot be written: %s (%s); make room there, or set DESCENT_LAB_HOME to another folder",
                    self.run_log.name,
                    error,
                    self.run_log.folder,
                )

    def _close(self, end: str, error: str) -> None:
        """Close with the lock held, and release it."""
        try:
            if not self.is_mine:
                return
            with np.errstate(all="ignore"):
                self._flush()
                self.is_mine = False
                with suppress(Exception):
                    if self._last is not None:
                        self._newest = -1
                        self._write_block(Block.of([self._last], self._layout or Layout()), 1)
                self._status = replace(self._status, end=end, error=error)
                with suppress(OSError):
                    self._write_status()
                with suppress(OSError):
                    os.fsync(self._file)
        finally:
            self.is_mine = False
            for file in (self._file, self._status_file):
                with suppress(OSError):
                    os.close(file)
            with suppress(OSError):
                (self.run_log.folder / "reserve").unlink(missing_ok=True)
            for waiting in (self._queue, self._metrics, self._statistics, self._notes):
                waiting.clear()
            self._last = self._piece = None
            _OPEN.discard(self)
            self._writing.release()
            self._wake.set()

    def _write_all(self) -> None:
        waiting = self._taken()
        self._waiting = 0
        written, epochs = 0, len(waiting) + sum(len(one) - 1 for one in waiting if type(one) is Epochs)
        try:
            for start, stop in groups(waiting):
                self._write_some(waiting[start:stop], epochs)
                written = stop
            if waiting:
                self._write_moment()
            self._write_named()
            self._write_words()
        finally:
            self._queue.extendleft(reversed(waiting[written:]))
        if waiting or time.monotonic() > self._signed + HEARTBEAT_INTERVAL_S:
            self._write_status()

    def _write_moment(self) -> None:
        """Write when the newest epoch was logged, unless the last moment was written just before."""
        seconds, (index, before) = time.monotonic() - self._began, self._moment
        newest = self._status.epoch
        if newest > index and seconds - before >= max(FLUSH_INTERVAL_S, MOMENT_SHARE * seconds):
            self._append_table(named_records.MOMENTS, named_records.packed_table({}, [newest], np.array([seconds])))
            self._moment = newest, seconds

    def _write_named(self) -> None:
        """Write metrics, statistics of layers and notes; of many, those of epochs that are still written."""
        stride = self._whole.stride
        count = len(self._metrics)
        metrics = [self._metrics[place] for place in range(count)]
        for payload in named_records.packed_metrics([one for one in metrics if one[0] % stride == 0]):
            self._append_table(named_records.METRICS, payload)
        for _ in range(count):
            self._metrics.popleft()
        while self._statistics:
            self._write_statistics(*self._statistics[0], stride)
            self._statistics.popleft()
        while self._notes:
            self._append_table(named_records.NOTES, named_records.packed_note(self._notes[0]))
            self._notes.popleft()

    def _write_statistics(
        self, index: int, layers: tuple[str, ...], quantities: tuple[str, ...], table: np.ndarray, stride: int
    ) -> None:
        if index % stride or time.monotonic() < self._small_until:
            return
        try:
            payload = named_records.packed_statistics(index, layers, quantities, table, layers == self._stated)
        except ValueError as error:
            self.report(f"Statistics of layers are not shown: {error}.")
            return
        self._append_table(named_records.STATISTICS, payload)
        self._stated = layers

    def _append_table(self, kind: bytes, payload: bytes) -> None:
        self._append(run_log.record(kind, payload))
        self._whole.spend(len(payload))

    def _write_words(self) -> None:
        """Write the sentences, and what is left out."""
        while self._to_leave_out:
            reasons = dict(self._to_leave_out)
            self._append(run_log.record(run_log.LEFT_OUT, run_log.packed_left_out(reasons)))
            for name in reasons:
                del self._to_leave_out[name]
        while self._messages:
            self._append(run_log.record(run_log.MESSAGE, run_log.packed_words(self._messages[0])))
            self._messages.popleft()

    def _taken(self) -> list[LogEntry]:
        """The entries taken since the last call.

        The training may go on through the newest piece meanwhile; it stays in the queue, in case its end was missed.
        """
        newest, self._piece = self._piece, None
        taken = [self._queue.popleft() for _ in range(len(self._queue))]
        if newest is not None:
            self._queue.appendleft(newest)
        entries = [one.rows() if type(one) is Piece else one for one in taken]
        return [one for one in entries if type(one) is not Epochs or len(one)]

    def _write_some(self, group: list[LogEntry], waiting: int) -> None:
        """Write epochs of one kind; where that fails for a reason other than the disk, their numbers alone."""
        try:
            self._write_group(Block.of(group, self._layout or Layout()), group[-1], waiting)
        except OSError:
            raise
        except Exception as error:
            log.exception("some of the run %r was not written; its training goes on", self.run_log.name)
            self.report(f"Something could not be written: {type(error).__name__}.")
            with suppress(ValueError, TypeError, IndexError):
                bare = [one.bare if type(one) is LoggedEpoch else one for one in group]
                self._write_group(Block.of(bare, self._layout or Layout()).bare, bare[-1], waiting)

    def _write_group(self, block: Block, newest: LogEntry, waiting: int) -> None:
        """Write a block, out of so many epochs that wait: its parameters first, then everything else."""
        self._report_cuts(block, newest)
        stride = self._whole.stride
        if stride > 1:
            self.report("So much was logged that from here on only some epochs were written, evenly spaced.")
        apart = max(stride, self._stride_of_parameters(block, waiting))
        self._write_block(block.every(stride), apart)
        index, loss = int(block.epochs.index[-1]), block.epochs.loss[block.measured.given[:, 0]]
        last = newest[-1] if isinstance(newest, Epochs) else newest
        self._last = last if index % apart else None
        epochs = self._status.epochs + len(block.epochs)
        self._status = replace(
            self._status, epochs=epochs, epoch=index, loss=float(loss[-1]) if len(loss) else self._status.loss
        )

    def _report_cuts(self, block: Block, newest: LogEntry) -> None:
        """Report what of a network of the engine exceeds the limits of a run log."""
        if type(newest) not in (Epoch, Epochs):
            return
        epoch = newest[-1] if type(newest) is Epochs else newest
        sizes = len(epoch.gradient_norms), len(epoch.mean_activations), len(epoch.parameters)
        layers, units, weights = len(block.layout.layers), len(block.layout.units), block.layout.sizes[2]
        for kind, size, kept in zip(("gradients", "activations"), sizes, (layers, units), strict=False):
            if kept < size:
                self.leave_out(f"{kind} of layers {kept + 1} to {size}", "there are more than can be shown")
        if weights < sizes[2]:
            self.leave_out("parameters", f"there are {sizes[2]:,}; the most are {run_log.MAX_PARAMETERS:,}")

    def _stride_of_parameters(self, block: Block, waiting: int) -> int:
        """The distance between epochs whose parameters are written: where many arrive at once, few show all."""
        size = waiting * block.parameters[0].nbytes if block.parameters else 0
        return max(self._weights.stride, 1 << (size // AT_ONCE).bit_length())

    def _write_block(self, block: Block, apart: int) -> None:
        """Write these epochs, preceded by the parameters of those whose index is a multiple of `apart`."""
        for piece in block.records() if len(block.epochs) else ():
            self._write_piece(piece, piece.every(apart) if piece.parameters else piece.bare)

    def _write_piece(self, block: Block, heavy: Block) -> None:
        """Write what fits a record. On a full disk the numbers are written, and larger arrays dropped."""
        first, is_large = int(block.epochs.index[0]), bool(block.layout.sizes != (0, 0, 0) and block.parts.max() > 31)
        if is_large and time.monotonic() < self._small_until:
            self._append_epochs(block.bare)
            return
        try:
            if is_large:
                self._append_layout(block.layout)
            if heavy.parameters and len(heavy.epochs):
                payload = run_log.packed_parameters(heavy.epochs.index, stacked(heavy.parameters))
                self._append(run_log.record(run_log.PARAMETERS, payload))
                self._weights.spend(len(payload))
            self._append_epochs(block)
        except OSError as error:
            if error.errno not in FULL:
                raise
            with suppress(OSError):
                (self.run_log.folder / "reserve").unlink(missing_ok=True)
            self._append_epochs(block.bare)
            if is_large:
                self._note_full(first)
            return
        if is_large and self._full_from >= 0:
            self._full_from = -1
            self.report(f"From epoch {first:,} on there was room on the disk again, and all is kept.")

    def _note_full(self, index: int) -> None:
        self._small_until = time.monotonic() + AGAIN
        if self._full_from < 0:
            self._full_from = index
            self.report(FULL_FROM.format(index))
            log.warning("the run %r: %s (%s)", self.run_log.name, FULL_FROM.format(index), self.run_log.folder)
            self._write_words()

    def _append_layout(self, layout: Layout) -> None:
        if layout != self._layout:
            self._append(run_log.record(run_log.LAYOUT, layout.packed()))
            self._layout = layout

    def _append_epochs(self, block: Block) -> None:
        payload = run_log.packed(block.measured)
        self._append(run_log.record(run_log.EPOCHS, payload))
        self._whole.spend(len(payload))
        self._check_order(block.epochs.index, block.parts)

    def _check_order(self, index: np.ndarray, parts: np.ndarray) -> None:
        """Report epochs that come late or repeat what was logged; adding to an epoch is fine."""
        in_order = index[0] > self._newest and (np.diff(index) > 0).all()
        late = [] if in_order else self._late_ones(index, parts)
        for one in late[: MAX_NAMES + 1]:
            self._late += 1
            few = f"Epoch {one} was logged twice or late; it is shown in its place, as it was logged last."
            self.report(few if self._late <= MAX_NAMES else MANY_LATE)
        self._seen = tuple(
            np.concatenate([old[-REMEMBERED:], new])[-REMEMBERED:]
            for old, new in zip(self._seen, (index, parts), strict=True)
        )
        self._newest = max(self._newest, int(index.max()))

    def _late_ones(self, index: np.ndarray, parts: np.ndarray) -> list[int]:
        indices, given = (np.concatenate(pair) for pair in zip(self._seen, (index, parts), strict=True))
        order = np.argsort(indices, kind="stable")
        same = indices[order]
        given = given[order]
        again, adds = np.zeros(len(order), bool), np.zeros(len(order), bool)
        for back in range(1, min(9, len(order))):  # an epoch in more pieces than its nine parts repeats some
            one = same[back:] == same[:-back]
            again[back:] |= one & (given[back:] & given[:-back] != 0)
            adds[back:] |= one
        fresh = order >= len(order) - len(index)
        before = np.maximum.accumulate(np.concatenate([[self._newest], index]))[:-1]
        is_late = np.zeros(len(order), bool)
        is_late[len(order) - len(index) :] = index <= before
        return same[fresh & (again | is_late[order] & ~adds)].tolist()

    def _make_room(self) -> None:
        """Write what waits; where the disk refuses, drops every second entry and says so."""
        self.flush()
        if self._refused:
            for waiting in (self._queue, self._metrics, self._statistics):
                half = list(waiting)[1::2]
                waiting.clear()
                waiting.extend(half)
            self.report("Some epochs are lost: the disk did not take them for so long that there was no more room.")
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
        self._status, self._signed = replace(self._status, seen=time.time()), time.monotonic()
        os.lseek(self._status_file, 0, os.SEEK_SET)
        os.write(self._status_file, self._status.packed())


FULL_FROM = (
    "The disk was full from epoch {:,} on: losses and other single numbers are kept as long as there is any room, "
    "gradients, activations and parameters are not."
)
MANY_LATE = "More epochs were logged twice or late; each is shown in its place, as it was logged last."
MAX_NAMES = 5

_OPEN: "weakref.WeakSet[LogWriter]" = weakref.WeakSet()


def _keep_writing(
    reference: "weakref.ref[LogWriter]", wake: threading.Event, released: list[tuple[LogWriter, str, str]]
) -> None:
    """Flush again and again, until the writer is closed or garbage-collected."""
    while True:
        wake.wait(FLUSH_INTERVAL_S)
        wake.clear()
        while released:
            writer, end, error = released.pop()
            writer.close(end, error)
            del writer
        writer = reference()
        if writer is None or not writer.is_mine:
            return
        try:
            writer.flush()
        except Exception:
            with suppress(Exception):
                log.exception("the run %r was not written; its training goes on", writer.run_log.name)
        del writer


def _let_go() -> None:
    """Mark the writers of a forked process as not its own: there is no thread to write."""
    for writer in list(_OPEN):
        writer.is_mine = False
    _OPEN.clear()


def close_all() -> None:
    """Close every open writer at the end of the program, with its own ending."""
    for writer in list(_OPEN):
        with suppress(Exception):
            writer.close(*writer.ending())


def _close_at_the_end_of_a_child() -> None:
    """Close the writers in a process of `multiprocessing` too, which skips the program's exit handlers."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, close_all, exitpriority=0)


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)

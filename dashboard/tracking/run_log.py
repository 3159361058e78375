"""The run log: a folder to which one process writes its training and from which others read it.

    about.json    the run: name, time, process, and the network where it is one of the engine's
    data.npz      its examples, if any
    epochs.feed   records, one after the other, each with its length and a checksum; only ever appended to
    status        the state of the run, rewritten in place at every flush

A record is a head (`HEAD`: magic, kind, length and CRC-32 of the payload) and its payload. Numbers are little-endian.

    L  layout      JSON: names of the layers, names and sizes of hidden layers and of arrays of parameters. It holds for
                   the records that follow, and may grow or change at any time: columns belong to names, and what was
                   measured of a name that stays with its size stays
    P  parameters  SHAPE (rows, parameters, 0); index i8 (rows); parameters f8 (rows, parameters). It comes before the
                   epochs that it belongs to, and not with every one of them
    N  epochs      SHAPE (rows, layers, units) and then, each of them whole before the next:
                   index i8 (rows);
                   loss, accuracy, validation loss, validation accuracy, learning rate: f8 (5, rows);
                   given u1 (rows): bit 0 is set where the loss was logged, bit 1 the accuracy, and so on. A number that
                   was not logged is nan; one that was logged may be nan too;
                   batches u4 (2, rows): over how many batches the gradients and the activations are averaged; 0 where
                   nobody counted, as for arrays that the program itself logged;
                   known u1 (ceil((layers + units) / 8)): a bit for each column of the two tables that follow, the
                   lowest bit first. A column without its bit was not measured in these epochs: its numbers are nan;
                   gradient norms f8 (rows, layers), mean activations f8 (rows, units).
                   layers and units are the layout's, or 0: then that table was not measured in these epochs
    E  epochs      of format 1: as N, without given, batches and known; a number that was not logged is nan
    O  left out    JSON: names of layers that are not measured, each with the reason in words; they add up
    T  message     JSON: a sentence for the person who watches
    M, S, W, A     metrics, statistics of layers, moments and notes: see `named_records`

A number was measured where its bit in `given` is set, a table at the epochs of the N records that have columns for it,
a column of it where its bit is set, parameters at the epochs of P records. Nothing else was measured: how to fill the
gaps is up to the reader. A number in a measured column that is not finite was measured as such.

An epoch may be logged more than once. Its entries are merged: of each number, column and array of parameters the last
one given counts.

status is a line of JSON with a checksum in front: the number of entries written, index and loss of the last one, how
the run ended in words ("ended", "stopped by KeyboardInterrupt", "failed: ValueError: no such file"), the class of the
exception that ended it ("ValueError", "torch.OutOfMemoryError"; empty where none did), and the time of the last
heartbeat.

A run log need not be trusted: nothing in it is executed, and sizes are checked before arrays are allocated.
"""

import errno
import json
import os
import re
import shutil
import socket
import stat
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil

from dashboard.storage.home import ID, home, new_id
from dashboard.storage.run_archive import title
from engine import atomic_write
from engine.training import NUMBERS, Epochs

FORMAT = 3
READABLE = 1, 2, 3
"""Formats that can be read; run logs of format 1 have records of kind E, those before 3 none of `named_records`."""

MAGIC = b"DLf1"
HEAD = struct.Struct("<4scII")
"""Head of a record: magic, kind, the payload's length and checksum."""

SHAPE = struct.Struct("<3I")
"""Shape of a block of epochs: rows, layers, units. Of parameters: rows, parameters, 0."""

LAYOUT, PARAMETERS, EPOCHS, EPOCHS_1, LEFT_OUT, MESSAGE = b"L", b"P", b"N", b"E", b"O", b"T"
"""Kinds of records."""

MAX_RECORD_BYTES = 64 * 2**20
"""Largest record."""

MAX_TEXT_BYTES = 2**20
"""Largest about.json, and largest record of text."""

STATUS_BYTES = 1024
MAX_LAYERS, MAX_UNITS, MAX_PARAMETERS = 1000, 4096, 2**20
MAX_LEFT_OUT = 200
"""Most layers that one record names as left out."""

MAX_CONFIG, MAX_TAGS = 200, 20
"""Most entries of a config, and most tags, of a run."""

MAX_EXAMPLES = 100_000
"""Most examples that are saved with a run log, for the pictures that need them."""

HEARTBEAT_TIMEOUT_S = 15.0
"""Seconds without a heartbeat after which a process on another machine counts as dead."""

DAY_S = 24 * 3600.0
HEARTBEATS: dict[Path, tuple[tuple[float, int, int], float]] = {}
"""The last heartbeats of trainings on other machines, and when they were seen here."""

USUAL_ENDED_RUNS = 100
"""How many run logs that have ended are kept when a user has the older ones deleted; nothing deletes them by itself."""

ENDED, STOPPED, FAILED, LIVE, KILLED = "ended", "stopped", "failed", "live", "killed"
"""States of a training: over, interrupted, ended by an error, still running, no longer reporting."""


@dataclass(frozen=True)
class Layout:
    """The names of the columns in which the numbers of an epoch stand.

    Attributes:
        layers: Names of the layers whose gradient norms are logged.
        units: Name and number of units of every hidden layer.
        weights: Name and number of entries of every array of parameters, in order.
    """

    layers: tuple[str, ...] = ()
    units: tuple[tuple[str, int], ...] = ()
    weights: tuple[tuple[str, int], ...] = ()

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return tuple(width for _, width in self.units)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers per epoch: gradient norms, mean activations, parameters."""
        return len(self.layers), sum(self.widths), sum(size for _, size in self.weights)

    def packed(self) -> bytes:
        """The layout as JSON."""
        return json.dumps({part.name: getattr(self, part.name) for part in fields(self)}).encode()

    @classmethod
    def unpacked(cls, payload: bytes) -> Self:
        """Read the layout in a record's payload.

        Raises:
            ValueError: If the payload is no layout, or one that is too large.
        """
        stored = read_json(payload)
        layout = cls(
            tuple(text(name, 100) for name in stored["layers"]),
            tuple((text(name, 100), _count(width)) for name, width in stored["units"]),
            tuple((text(name, 100), _count(size)) for name, size in stored["weights"]),
        )
        limits = MAX_LAYERS, MAX_UNITS, MAX_PARAMETERS
        if any(size > most for size, most in zip(layout.sizes, limits, strict=True)):
            raise ValueError(f"a layout of {layout.sizes} numbers is too large; the most are {limits}")
        return layout


@dataclass(frozen=True, eq=False)
class RunLog:
    """The folder of one run log, and what its about.json says of the run.

    Attributes:
        folder: Where the log is.
        pid, host: The process that writes it, and its machine.
        born: When that process started, which distinguishes it from a later one with the same number, where the system
            can say so.
        network: Sizes, activations, output, skip, loss, l1, l2 and task of a network of the engine; {} for any other.
        config: What the program says of the run: numbers, truth values and text by name.
        tags: Words by which runs are found and grouped.
    """

    folder: Path
    name: str
    created: str
    pid: int
    born: str
    host: str
    network: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def began(self) -> float:
        """When the run began, in seconds since 1970, independent of the time zone.

        That is never later than about.json was written: an unreadable date counts as that moment, and so does one from
        a clock that is fast.
        """
        moments = []
        with suppress(ValueError, OverflowError, OSError):
            moments.append(datetime.fromisoformat(self.created).timestamp())
        with suppress(OSError):
            moments.append((self.folder / "about.json").stat().st_mtime)
        return min(moments, default=0.0)

    @property
    def records(self) -> Path:
        """Path of the file of records."""
        return self.folder / "epochs.feed"

    @classmethod
    def begun(
        cls,
        name: str,
        network: dict[str, Any] | None = None,
        folder: Path | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
    ) -> Self:
        """Create a run log of this process under `<home>/live`.

        Args:
            name: The run's name.
            network: What about.json says of a network of the engine.
            folder: Another folder in the place of `<home>`.
            config: Numbers, truth values and text by name.
            tags: Words by which runs are found and grouped.

        Raises:
            OSError: If nothing can be written there.
        """
        live = (folder or home()) / "live"
        live.mkdir(parents=True, exist_ok=True)
        now, pid = datetime.now(UTC), os.getpid()
        made = live / new_id(now)
        made.mkdir()
        log = cls(
            made,
            title(name) or "run",
            now.astimezone().isoformat(),
            pid,
            born(),
            socket.gethostname(),
            dict(network or {}),
            plain_config(config or {}),
            plain_tags(tags),
        )
        (made / "epochs.feed").touch()
        stored = {part.name: getattr(log, part.name) for part in fields(log) if part.name != "folder"}
        atomic_write.write(made / "about.json", json.dumps({"format": FORMAT, **stored}).encode())
        return log

    @classmethod
    def found(cls, key: str, folder: Path | None = None) -> Self:
        """Open the run log with this id.

        Raises:
            ValueError: If there is none, or it is damaged or of a newer version.
        """
        if not ID.fullmatch(key):
            raise ValueError(f"{key[:100]!r} is no run to watch; an id looks like 20261123-190000-ab12cd")
        place = (folder or home()) / "live" / key
        try:
            stored = read_json(_content(place / "about.json", MAX_TEXT_BYTES + 1))
            if stored["format"] not in READABLE:
                raise ValueError(f"it is in format {stored['format']!r:.20}; this version reads {READABLE}")
            words = {name: text(stored[name], 200) for name in ("name", "created", "born", "host")}
            more = {"config": plain_config(dict(stored.get("config", {}))), "tags": plain_tags(stored.get("tags", ()))}
            return cls(place, pid=_count(stored["pid"]), network=dict(stored["network"]), **words, **more)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ValueError(f"the run {key} is not there to be watched; it was deleted, or is elsewhere") from error
        except OSError as error:
            raise ValueError(f"the run {key} cannot be watched: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"the run {key} cannot be watched: its about.json is damaged: {error}") from error

    def status(self) -> "Status":
        """The state of the run as of its last flush; an empty one where that cannot be read."""
        try:
            content = _content(self.folder / "status", STATUS_BYTES)
            stored = read_json(_checked(content))
            end, error = text(stored["end"], 200), text(stored.get("error", ""), 100)
            loss, seen = float(stored["loss"]), float(stored["seen"])
            seen = seen if seen > 0 else 0.0
            return Status(_count(stored["epochs"]), _count(stored["epoch"]), loss, end, seen, error)
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return Status()

    def state(self, status: "Status | None" = None) -> str:
        """LIVE, ENDED, STOPPED, FAILED or KILLED."""
        status = status or self.status()
        if status.end:
            word = re.split("[: ]", status.end)[0]
            return word if word in (ENDED, STOPPED, FAILED) else KILLED
        return LIVE if self._is_alive(status) else KILLED

    def stamp(self) -> tuple[int, int]:
        """A value that changes with every flush."""
        with suppress(OSError):
            found = (self.folder / "status").stat()
            return found.st_mtime_ns, found.st_size
        return 0, 0

    def read(self, offset: int, size: int) -> bytes:
        """Read records from a byte offset on.

        Args:
            offset: Where to begin.
            size: Bytes to read; a first record that is longer is read to its end.

        Raises:
            OSError: If the file is not a regular file, or cannot be read.
        """
        content = _content(self.records, size, offset)
        if len(content) < max(size, HEAD.size):
            return content
        longer = HEAD.size + min(HEAD.unpack_from(content)[2], MAX_RECORD_BYTES)
        return content if longer <= size else _content(self.records, longer, offset)

    def _is_alive(self, status: "Status") -> bool:
        if self.host != socket.gethostname():
            return self._has_heartbeat(status)
        return is_running(self.pid, self.born)

    def _has_heartbeat(self, status: "Status") -> bool:
        """Whether the last heartbeat is recent by the clock of this machine.

        The other machine's clock need not be right: what it says counts at the first look only, and where it can be
        true.
        """
        now, sign = time.time(), (status.seen, *self.stamp())
        if self.folder not in HEARTBEATS:
            age = min(abs(now - moment) for moment in (status.seen, sign[1] / 1e9))
            HEARTBEATS[self.folder] = sign, now - age
        elif HEARTBEATS[self.folder][0] != sign:
            HEARTBEATS[self.folder] = sign, now
        return abs(now - HEARTBEATS[self.folder][1]) < HEARTBEAT_TIMEOUT_S

    def _is_over(self) -> bool:
        """Whether certainly nothing more will come: the run has ended, or is silent for a day by every clock."""
        status = self.status()
        if status.end or self.host == socket.gethostname():
            return self.state(status) != LIVE
        return max(status.seen, self.stamp()[0] / 1e9) < time.time() - DAY_S


@dataclass(frozen=True)
class Status:
    """The state of a run.

    Attributes:
        epochs: Entries written; an epoch that was logged twice counts twice.
        epoch: Index of the last entry.
        loss: The last loss that was logged.
        end: How the run ended, in words that begin with ENDED, STOPPED or FAILED; empty while it has not.
        seen: When it last gave a heartbeat, in seconds since 1970.
        error: Class of the exception that ended it, with its module unless that is builtins; empty without one.
    """

    epochs: int = 0
    epoch: int = 0
    loss: float = float("nan")
    end: str = ""
    seen: float = 0.0
    error: str = ""

    def packed(self) -> bytes:
        """The status as a line of constant length, with a checksum in front."""
        stored = {part.name: getattr(self, part.name) for part in fields(self)} | {"error": self.error[:100]}
        content = b""
        for letters in (200, 100, 50, 0):  # a letter takes up to 12 bytes
            stored["end"] = self.end[:letters]
            content = json.dumps(stored).encode()
            if len(content) <= STATUS_BYTES - 8:
                break
            stored["error"] = self.error[: letters // 4]
        return b"%08x%s" % (zlib.crc32(content), content.ljust(STATUS_BYTES - 8))


def run_logs(folder: Path | None = None) -> Iterator[str]:
    """The ids of all run logs, newest first."""
    with suppress(OSError):
        with os.scandir((folder or home()) / "live") as entries:
            names = [entry.name for entry in entries if ID.fullmatch(entry.name)]
        yield from sorted(names, reverse=True)


def record(kind: bytes, payload: bytes) -> bytes:
    """A record with its head, as it is stored in the file."""
    return HEAD.pack(MAGIC, kind, len(payload), zlib.crc32(payload)) + payload


@dataclass(frozen=True, eq=False)
class Measured:
    """A block of epochs as they were logged, and which of their numbers were measured.

    Attributes:
        epochs: k epochs. A number that was not logged is nan; a table that was not logged has no columns.
        given: (k, 5) which numbers were logged, in the order of `NUMBERS`.
        batches: (k, 2) over how many batches gradients and activations are averaged; 0 where nobody counted.
        known_layers: (layers,) which columns of the gradient norms were measured; the others are nan.
        known_units: (units,) which columns of the mean activations were measured.
    """

    epochs: Epochs
    given: np.ndarray
    batches: np.ndarray
    known_layers: np.ndarray
    known_units: np.ndarray

    @classmethod
    def of(
        cls,
        epochs: Epochs,
        given: np.ndarray | None = None,
        batches: np.ndarray | None = None,
        known_layers: np.ndarray | None = None,
        known_units: np.ndarray | None = None,
    ) -> Self:
        """A block of these epochs, in which everything counts as measured unless an argument says otherwise."""
        tables = epochs.gradient_norms, epochs.mean_activations
        known = [
            np.ones(table.shape[1], bool) if one is None else np.asarray(one, bool)
            for table, one in zip(tables, (known_layers, known_units), strict=True)
        ]
        if batches is None:
            batches = np.zeros((len(epochs), 2), np.uint32)
        return cls(epochs, _given(epochs) if given is None else np.asarray(given, bool), batches, *known)

    def rows(self, selection: slice | np.ndarray) -> "Measured":
        """The epochs at these positions."""
        parts = self.epochs.rows(selection), self.given[selection], self.batches[selection]
        return Measured(*parts, self.known_layers, self.known_units)


def _given(epochs: Epochs) -> np.ndarray:
    """(k, 5) which numbers were logged, inferred from the numbers alone: one lone loss that is nan counts as logged."""
    given = np.stack([~np.isnan(getattr(epochs, name)) for name in NUMBERS], axis=1)
    given[:, 0] |= ~given.any(axis=1)
    return given


def packed(block: Measured) -> bytes:
    """The payload of a record of epochs, without the parameters; a table that was not logged has no columns."""
    epochs = block.epochs
    tables = epochs.gradient_norms, epochs.mean_activations
    known = np.packbits(np.concatenate([block.known_layers, block.known_units]), bitorder="little")
    given = np.packbits(block.given, axis=1, bitorder="little")
    shape = SHAPE.pack(len(epochs), *(table.shape[1] for table in tables))
    columns = [epochs.index, *(getattr(epochs, name) for name in NUMBERS)]
    parts = [*columns, given, block.batches.astype(np.uint32).T, known, *tables]
    return b"".join([shape, *(_little_endian(part).tobytes() for part in parts)])


def unpacked(payload: bytes, layout: Layout) -> Measured:
    """Read a record of epochs.

    Args:
        payload: The record's payload.
        layout: The layout in force; every table has its columns, or none.

    Raises:
        ValueError: If the payload is something else.
    """
    rows, layers, units = SHAPE.unpack_from(payload)
    _check_widths((layers, units), layout)
    kinds = (
        ("<i8", rows),
        ("<f8", len(NUMBERS) * rows),
        ("u1", rows),
        ("<u4", 2 * rows),
        ("u1", -(-(layers + units) // 8)),
    )
    kinds = *kinds, ("<f8", rows * layers), ("<f8", rows * units)
    index, numbers, given, batches, known, norms, means = _parts(payload, rows, kinds)
    known = np.unpackbits(known, count=layers + units, bitorder="little").astype(bool)
    tables = norms.reshape(rows, layers), means.reshape(rows, units), np.empty((rows, 0))
    epochs = Epochs(index, *numbers.reshape(len(NUMBERS), rows), *tables, widths=layout.widths if units else ())
    logged = np.unpackbits(given[:, None], axis=1, count=len(NUMBERS), bitorder="little").astype(bool)
    return Measured(epochs, logged, batches.reshape(2, rows).T, known[:layers], known[layers:])


def unpacked_1(payload: bytes, layout: Layout) -> Measured:
    """Read a record of epochs of format 1; see `unpacked`."""
    rows, layers, units = SHAPE.unpack_from(payload)
    _check_widths((layers, units), layout)
    kinds = ("<i8", rows), ("<f8", len(NUMBERS) * rows), ("<f8", rows * layers), ("<f8", rows * units)
    index, numbers, norms, means = _parts(payload, rows, kinds)
    tables = norms.reshape(rows, layers), means.reshape(rows, units), np.empty((rows, 0))
    columns = numbers.reshape(len(NUMBERS), rows)
    return Measured.of(Epochs(index, *columns, *tables, widths=layout.widths if units else ()))


def _check_widths(widths: tuple[int, int], layout: Layout) -> None:
    if any(width not in (0, size) for width, size in zip(widths, layout.sizes, strict=False)):
        raise ValueError(f"a block of epochs has tables of {widths} columns; its layout has {layout.sizes}")


def packed_parameters(index: np.ndarray, parameters: np.ndarray) -> bytes:
    """The payload of a record of the parameters (k, n) at these epochs (k,)."""
    shape = SHAPE.pack(*parameters.shape, 0)
    return b"".join([shape, _little_endian(index).tobytes(), _little_endian(parameters).tobytes()])


def unpacked_parameters(payload: bytes, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Read a record of parameters: the epochs (k,) and their parameters (k, n).

    Raises:
        ValueError: If the payload does not fit the layout.
    """
    rows, width, _ = SHAPE.unpack_from(payload)
    if width != layout.sizes[2]:
        raise ValueError(f"there are {width} parameters; their layout has {layout.sizes[2]}")
    index, numbers = _parts(payload, rows, (("<i8", rows), ("<f8", rows * width)))
    return index, numbers.reshape(rows, width)


def _parts(payload: bytes, rows: int, kinds: Sequence[tuple[str, int]]) -> list[np.ndarray]:
    """The arrays in a payload; the first one holds the epochs' indices."""
    sizes = [np.dtype(kind).itemsize * count for kind, count in kinds]
    if not rows or len(payload) != SHAPE.size + sum(sizes):
        raise ValueError("a block has not the length it should have")
    places = accumulate(sizes, initial=SHAPE.size)
    parts = [
        np.frombuffer(payload, kind, count, place).astype(np.dtype(kind).newbyteorder("="))
        for (kind, count), place in zip(kinds, places, strict=False)
    ]
    if parts[0].min() < 0:
        raise ValueError(f"epoch {parts[0].min()} is impossible")
    return parts


def left_out(payload: bytes) -> dict[str, str]:
    """The layers in a record that are not measured, each with the reason."""
    pairs = read_json(payload)["layers"]
    return {text(name, 100): text(why, 200) for name, why in pairs[:MAX_LEFT_OUT]}


def packed_left_out(layers: Mapping[str, str]) -> bytes:
    """The payload of a record of layers that are not measured, each with the reason."""
    pairs = [(name[:100], why[:200]) for name, why in layers.items()][:MAX_LEFT_OUT]
    return json.dumps({"layers": pairs}).encode()


def words(payload: bytes) -> str:
    """The sentence in a record of kind MESSAGE."""
    return text(read_json(payload)["text"], 500)


def packed_words(text: str) -> bytes:
    """The payload of a record of kind MESSAGE."""
    return json.dumps({"text": text[:500]}).encode()


def is_running(pid: int, born: str) -> bool:
    """Whether that process of this machine still runs, and is not a later one with its number."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        return not born or born.isdigit() or born == _birth(process)  # older logs count in ticks of the clock
    except psutil.AccessDenied:
        return True
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False


def born() -> str:
    """When this process started, which distinguishes it from a later one with the same number."""
    return _birth(psutil.Process())


def _birth(process: psutil.Process) -> str:
    return f"{process.create_time():.2f}"


def prune(keep: int, folder: Path | None = None) -> int:
    """Delete the oldest run logs that have certainly ended; return how many.

    Args:
        keep: How many run logs, ended or not, are kept at least: the newest.
        folder: Another folder in the place of `<home>`.
    """
    found, deleted = [], 0
    for key in run_logs(folder):
        with suppress(ValueError):
            found.append(RunLog.found(key, folder))
    for log in sorted(found, key=lambda log: (log.began, log.id), reverse=True)[keep:]:
        if log._is_over():
            shutil.rmtree(log.folder, ignore_errors=True)
            deleted += not log.folder.exists()
    return deleted


def _content(path: Path, most: int, offset: int = 0) -> bytes:
    """At most so many bytes of a file. Raises OSError for anything but a regular file: reading a pipe would block."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        file.seek(offset)
        return file.read(most)


def _checked(content: bytes) -> bytes:
    """The content behind a checksum of eight hexadecimal digits. Raises ValueError where they do not match."""
    if int(content[:8], 16) != zlib.crc32(body := content[8:].rstrip()):
        raise ValueError("the status was read while it was written")
    return body


def plain_config(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A config as it is kept: at most so many numbers, truth values and texts, each cut."""
    kept = {}
    for name, value in list(stored.items())[:MAX_CONFIG]:
        plain = value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 1e300)
        kept[text(name, 100)] = value if plain else text(value, 200)
    return kept


def plain_tags(stored: Sequence[str]) -> tuple[str, ...]:
    """Tags as they are kept."""
    return tuple(dict.fromkeys(text(tag, 50) for tag in list(stored)[:MAX_TAGS]))


def read_json(content: bytes) -> dict[str, Any]:
    """The dict in some JSON. Raises ValueError where it is none, or too long."""
    try:
        stored = json.loads(content) if len(content) <= MAX_TEXT_BYTES else None
    except RecursionError:
        stored = None
    if not isinstance(stored, dict):
        raise ValueError("it is no JSON, or too long")
    return stored


def text(value: Any, most: int) -> str:
    """Foreign text, cut and in characters that can be displayed and sent."""
    letters = str(value)[:most].encode(errors="replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in letters)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"{value!r} is no count")
    return value


def _little_endian(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")

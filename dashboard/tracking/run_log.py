"""Feed: what a training that runs elsewhere tells of itself: a folder that one process writes and others read.

    about.json    who tells: name, time, process, and the network where it is one of ours
    data.npz      its examples, if any
    epochs.feed   records, one after the other, each with its length and a checksum: what was told stays as it is
    status        what it has come to, rewritten in place at every flush

A record is a head (`HEAD`: magic, kind, length and CRC-32 of the payload) and its payload. Numbers are little-endian.

    L  layout      JSON: names of the layers, names and sizes of hidden layers and of arrays of parameters. It holds for
                   the records that follow, and may grow or change at any time: columns belong to names, and what was
                   measured of a name that stays with its size stays
    P  parameters  SHAPE (rows, parameters, 0); index i8 (rows); parameters f8 (rows, parameters). It comes before the
                   epochs that it belongs to, and not with every one of them
    N  epochs      SHAPE (rows, layers, units) and then, each of them whole before the next:
                   index i8 (rows);
                   loss, accuracy, validation loss, validation accuracy, learning rate: f8 (5, rows);
                   given u1 (rows): bit 0 is set where the loss was told, bit 1 the accuracy, and so on. A number that
                   was not told is nan; one that was told may be nan too;
                   batches u4 (2, rows): of how many batches the gradients and the activations are averages; 0 where
                   nobody counted, as for arrays that the program itself told;
                   known u1 (ceil((layers + units) / 8)): a bit for each column of the two tables that follow, the
                   lowest bit first. A column without its bit was not measured in these epochs: its numbers are nan;
                   gradient norms f8 (rows, layers), mean activations f8 (rows, units).
                   layers and units are the layout's, or 0: then that table was not measured in these epochs
    E  epochs      of format 1: as N, without given, batches and known; a number that was not told is nan
    O  left out    JSON: names of layers that are not measured, each with the reason in words; they add up
    T  told        JSON: a sentence for whoever watches

What was measured when: a number where its bit in `given` is set, a table at the epochs of the N records that have
columns for it, a column of it at those where its bit is set, parameters at the epochs of P records. Nothing else is
measured: what stands between is the reader's. What is not finite in a measured column was measured as such.

An epoch may come more than once. The parts of its tellings are put together: of each number, column and array of
parameters the last that was given counts.

status is a line of JSON with a checksum in front: how many tellings of epochs were written, the last one's index and
loss, how it ended in words ("ended", "stopped by KeyboardInterrupt", "failed: ValueError: no such file"), the class of
the exception that ended it ("ValueError", "torch.OutOfMemoryError"; empty where none did), and the time of the last
sign.

No Panel here. A feed need not be trusted: nothing in it is executed, and sizes are checked before arrays are made.
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
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

import numpy as np

from dashboard.storage.run_archive import home, title
from engine import atomic_write
from engine.training import NUMBERS, Epochs

ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
"""When a feed began, in universal time, and chance."""

FORMAT = 2
READABLE = 1, 2
"""Formats that are read; feeds of format 1 have records of kind E."""

MAGIC = b"DLf1"
HEAD = struct.Struct("<4scII")
"""Of a record: magic, kind, the payload's length and checksum."""

SHAPE = struct.Struct("<3I")
"""Of a block of epochs: rows, layers, units. Of parameters: rows, parameters, 0."""

LAYOUT, PARAMETERS, EPOCHS, EPOCHS_1, LEFT_OUT, MESSAGE = b"L", b"P", b"N", b"E", b"O", b"T"
"""Kinds of records."""

MAX_RECORD_BYTES = 64 * 2**20
"""The most bytes of a record."""

MAX_TEXT_BYTES = 2**20
"""The most bytes of about.json, and of a record of words."""

STATUS_BYTES = 1024
MAX_LAYERS, MAX_UNITS, MAX_PARAMETERS = 1000, 4096, 2**20
MAX_LEFT_OUT = 200
"""Layers that are named as left out, in a record."""

MAX_EXAMPLES = 100_000
"""Examples up to which they are told, for pictures that need them."""

HEARTBEAT_TIMEOUT_S = 15.0
"""Seconds without a sign after which a process on another machine is taken for dead."""

DAY_S = 24 * 3600.0
HEARTBEATS: dict[Path, tuple[tuple[float, int, int], float]] = {}
"""The last signs of life of trainings on other machines, and when they were seen here."""

MAX_ENDED_RUNS, MAX_ENDED_BYTES = 100, 2 * 2**30
"""Of feeds that have ended the newest are kept, as long as they are no more and no larger than this."""

ENDED, STOPPED, FAILED, LIVE, KILLED = "ended", "stopped", "failed", "live", "killed"
"""What has become of a training: over, interrupted, ended by an error, still running, no longer reporting."""


@dataclass(frozen=True)
class Layout:
    """What the numbers of an epoch belong to.

    layers   the names of the layers whose gradients are told
    units    the name and the number of units of every hidden layer
    weights  the name and the number of entries of every array of parameters, one after the other
    """

    layers: tuple[str, ...] = ()
    units: tuple[tuple[str, int], ...] = ()
    weights: tuple[tuple[str, int], ...] = ()

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of the hidden layers."""
        return tuple(width for _, width in self.units)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers told of an epoch: gradient norms, mean activations, parameters."""
        return len(self.layers), sum(self.widths), sum(size for _, size in self.weights)

    def packed(self) -> bytes:
        """The layout as JSON."""
        return json.dumps({part.name: getattr(self, part.name) for part in fields(self)}).encode()

    @classmethod
    def unpacked(cls, payload: bytes) -> Self:
        """The layout in a record. Raises ValueError where it is none, or too large."""
        told = _read_json(payload)
        layout = cls(
            tuple(_text(name, 100) for name in told["layers"]),
            tuple((_text(name, 100), _count(width)) for name, width in told["units"]),
            tuple((_text(name, 100), _count(size)) for name, size in told["weights"]),
        )
        limits = MAX_LAYERS, MAX_UNITS, MAX_PARAMETERS
        if any(size > most for size, most in zip(layout.sizes, limits, strict=True)):
            raise ValueError(f"a layout of {layout.sizes} numbers is too large; the most are {limits}")
        return layout


@dataclass(frozen=True, eq=False)
class RunLog:
    """One feed's folder, and what it says about who tells.

    pid, born, host   of the process; `born` tells it from a later one with the same number, where the system can
    network           sizes, activations, output, skip, loss, l1, l2 and task of a network of ours; {} of any other
    """

    folder: Path
    name: str
    created: str
    pid: int
    born: str
    host: str
    network: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def began(self) -> float:
        """When it began, in seconds since 1970, whatever the time zone.

        That is never after its file was written: a date that is none counts as that, and so does one of a fast clock.
        """
        moments = []
        with suppress(ValueError, OverflowError, OSError):
            moments.append(datetime.fromisoformat(self.created).timestamp())
        with suppress(OSError):
            moments.append((self.folder / "about.json").stat().st_mtime)
        return min(moments, default=0.0)

    @property
    def records(self) -> Path:
        """The file of records."""
        return self.folder / "epochs.feed"

    @classmethod
    def begun(cls, name: str, network: dict[str, Any] | None = None, folder: Path | None = None) -> Self:
        """A new feed of this process, under `<home>/live`. Raises OSError where nothing can be written."""
        live = (folder or home()) / "live"
        live.mkdir(parents=True, exist_ok=True)
        _prune(live)
        now, pid = datetime.now(UTC), os.getpid()
        made = live / f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        made.mkdir()
        feed = cls(
            made,
            title(name) or "run",
            now.astimezone().isoformat(),
            pid,
            _birth(pid),
            socket.gethostname(),
            dict(network or {}),
        )
        (made / "epochs.feed").touch()
        told = {part.name: getattr(feed, part.name) for part in fields(feed) if part.name != "folder"}
        atomic_write.write(made / "about.json", json.dumps({"format": FORMAT, **told}).encode())
        return feed

    @classmethod
    def found(cls, key: str, folder: Path | None = None) -> Self:
        """The feed of that id.

        Raises ValueError when there is none, or when it is damaged or of a newer version.
        """
        if not ID.fullmatch(key):
            raise ValueError(f"{key[:100]!r} is no run to watch; an id looks like 20261123-190000-ab12cd")
        place = (folder or home()) / "live" / key
        try:
            told = _read_json(_content(place / "about.json", MAX_TEXT_BYTES + 1))
            if told["format"] not in READABLE:
                raise ValueError(f"it is in format {told['format']!r:.20}; this version reads {READABLE}")
            words = {name: _text(told[name], 200) for name in ("name", "created", "born", "host")}
            return cls(place, pid=_count(told["pid"]), network=dict(told["network"]), **words)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ValueError(f"the run {key} is not there to be watched; it was deleted, or is elsewhere") from error
        except OSError as error:
            raise ValueError(f"the run {key} cannot be watched: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"the run {key} cannot be watched: its about.json is damaged: {error}") from error

    def status(self) -> "Status":
        """What it has come to by now."""
        try:
            content = _content(self.folder / "status", STATUS_BYTES)
            told = _read_json(_checked(content))
            end, error = _text(told["end"], 200), _text(told.get("error", ""), 100)
            loss, seen = float(told["loss"]), float(told["seen"])
            return Status(_count(told["epochs"]), _count(told["epoch"]), loss, end, seen if seen > 0 else 0.0, error)
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
        """Something that changes with every flush."""
        with suppress(OSError):
            found = (self.folder / "status").stat()
            return found.st_mtime_ns, found.st_size
        return 0, 0

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes of the records from a place on, and the rest of a record that is longer than they are.

        Raises OSError where the file is no file, or cannot be read.
        """
        content = _content(self.records, size, offset)
        if len(content) < max(size, HEAD.size):
            return content
        longer = HEAD.size + min(HEAD.unpack_from(content)[2], MAX_RECORD_BYTES)
        return content if longer <= size else _content(self.records, longer, offset)

    def _is_alive(self, status: "Status") -> bool:
        if os.name != "posix" or self.host != socket.gethostname():
            return self._gives_signs(status)
        return is_running(self.pid, self.born)

    def _gives_signs(self, status: "Status") -> bool:
        """Whether there was a sign of life a moment ago, by the clock of this machine.

        The other one's clock need not be right: what it says counts at the first look only, and where it may be true.
        """
        now, sign = time.time(), (status.seen, *self.stamp())
        if self.folder not in HEARTBEATS:
            age = min(abs(now - moment) for moment in (status.seen, sign[1] / 1e9))
            HEARTBEATS[self.folder] = sign, now - age
        elif HEARTBEATS[self.folder][0] != sign:
            HEARTBEATS[self.folder] = sign, now
        return abs(now - HEARTBEATS[self.folder][1]) < HEARTBEAT_TIMEOUT_S

    def _is_over(self) -> bool:
        """Whether nothing more will come for certain: it has ended, or is silent for a day by every clock."""
        status = self.status()
        if status.end or (os.name == "posix" and self.host == socket.gethostname()):
            return self.state(status) != LIVE
        return max(status.seen, self.stamp()[0] / 1e9) < time.time() - DAY_S


@dataclass(frozen=True)
class Status:
    """What a feed has come to.

    epochs  how many tellings were written; `epoch` is the last one's, and `loss` the last that was told
    end     how it has ended, in words that begin with ENDED, STOPPED or FAILED; empty while it has not
    seen    when it last gave a sign, in seconds since 1970
    error   the class of the exception that ended it, with its module unless that is Python itself; empty without one
    """

    epochs: int = 0
    epoch: int = 0
    loss: float = float("nan")
    end: str = ""
    seen: float = 0.0
    error: str = ""

    def packed(self) -> bytes:
        """The status as a line of always the same length, with a checksum in front."""
        told = {part.name: getattr(self, part.name) for part in fields(self)} | {"error": self.error[:100]}
        content = b""
        for letters in (200, 100, 50, 0):  # a letter takes up to 12 bytes
            told["end"] = self.end[:letters]
            content = json.dumps(told).encode()
            if len(content) <= STATUS_BYTES - 8:
                break
            told["error"] = self.error[: letters // 4]
        return b"%08x%s" % (zlib.crc32(content), content.ljust(STATUS_BYTES - 8))


def run_logs(folder: Path | None = None) -> Iterator[str]:
    """The ids of all feeds, the newest first."""
    with suppress(OSError):
        with os.scandir((folder or home()) / "live") as entries:
            names = [entry.name for entry in entries if ID.fullmatch(entry.name)]
        yield from sorted(names, reverse=True)


def record(kind: bytes, payload: bytes) -> bytes:
    """A record as it stands in the file."""
    return HEAD.pack(MAGIC, kind, len(payload), zlib.crc32(payload)) + payload


@dataclass(frozen=True, eq=False)
class Measured:
    """A block of epochs as it was told, and what of it was measured.

    epochs         numbers that were not told are nan; a table that was not told has no columns
    given          (k, 5) which numbers were told, in the order of `NUMBERS`
    batches        (k, 2) of how many batches gradients and activations are averages; 0 where nobody counted
    known_layers   (layers,) the columns of the gradient norms that were measured; the others are nan
    known_units    (units,) likewise of the mean activations
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
        """The block, with everything measured that is not said to be otherwise."""
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
    """(k, 5) which numbers were told, where nothing says it but they themselves: a loss that is nan alone was told."""
    given = np.stack([~np.isnan(getattr(epochs, name)) for name in NUMBERS], axis=1)
    given[:, 0] |= ~given.any(axis=1)
    return given


def packed(told: Measured) -> bytes:
    """A block of epochs as the payload of a record, but for the parameters; a table not told has no columns."""
    epochs = told.epochs
    tables = epochs.gradient_norms, epochs.mean_activations
    known = np.packbits(np.concatenate([told.known_layers, told.known_units]), bitorder="little")
    given = np.packbits(told.given, axis=1, bitorder="little")
    shape = SHAPE.pack(len(epochs), *(table.shape[1] for table in tables))
    columns = [epochs.index, *(getattr(epochs, name) for name in NUMBERS)]
    parts = [*columns, given, told.batches.astype(np.uint32).T, known, *tables]
    return b"".join([shape, *(_little_endian(part).tobytes() for part in parts)])


def unpacked(payload: bytes, layout: Layout) -> Measured:
    """The epochs in a record, of which every table is either that of the layout or has no columns.

    Raises ValueError where the record is something else.
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
    told = np.unpackbits(given[:, None], axis=1, count=len(NUMBERS), bitorder="little").astype(bool)
    return Measured(epochs, told, batches.reshape(2, rows).T, known[:layers], known[layers:])


def unpacked_1(payload: bytes, layout: Layout) -> Measured:
    """Likewise, of a record of format 1."""
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
    """The parameters (k, n) at these epochs (k,) as the payload of a record."""
    shape = SHAPE.pack(*parameters.shape, 0)
    return b"".join([shape, _little_endian(index).tobytes(), _little_endian(parameters).tobytes()])


def unpacked_parameters(payload: bytes, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (k,) and their parameters (k, n). Raises ValueError where the record is something else."""
    rows, width, _ = SHAPE.unpack_from(payload)
    if width != layout.sizes[2]:
        raise ValueError(f"there are {width} parameters; their layout has {layout.sizes[2]}")
    index, numbers = _parts(payload, rows, (("<i8", rows), ("<f8", rows * width)))
    return index, numbers.reshape(rows, width)


def _parts(payload: bytes, rows: int, kinds: Sequence[tuple[str, int]]) -> list[np.ndarray]:
    """The arrays in a payload, of which the first holds the epochs' indices."""
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
    told = _read_json(payload)["layers"]
    return {_text(name, 100): _text(why, 200) for name, why in told[:MAX_LEFT_OUT]}


def packed_left_out(layers: Mapping[str, str]) -> bytes:
    """Layers that are not measured, each with the reason, as the payload of a record."""
    told = [(name[:100], why[:200]) for name, why in layers.items()][:MAX_LEFT_OUT]
    return json.dumps({"layers": told}).encode()


def words(payload: bytes) -> str:
    """The sentence in a record of words."""
    return _text(_read_json(payload)["text"], 500)


def packed_words(text: str) -> bytes:
    """A sentence as the payload of a record."""
    return json.dumps({"text": text[:500]}).encode()


def is_running(pid: int, born: str) -> bool:
    """Whether that process of this machine is still there, and not another one with its number. POSIX only."""
    if pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    now = _birth(pid)
    return now != DEAD and (not born or not now or now == born)


def born() -> str:
    """What tells this process from a later one with the same number."""
    return _birth(os.getpid())


DEAD = "dead"


def _birth(pid: int) -> str:
    """When a process was started, in the system's own count; empty where that cannot be known."""
    with suppress(OSError, IndexError):
        told = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return DEAD if told[0] in ("Z", "X") else told[19]
    return ""


def _prune(live: Path) -> None:
    """Delete the oldest feeds that have ended, beyond what is kept."""
    found = []
    for key in run_logs(live.parent):
        with suppress(ValueError):
            found.append(RunLog.found(key, live.parent))
    size = 0
    for place, feed in enumerate(sorted(found, key=lambda feed: (feed.began, feed.id), reverse=True)):
        with suppress(OSError):
            size += sum(entry.stat().st_size for entry in os.scandir(feed.folder))
        if (place >= MAX_ENDED_RUNS or size >= MAX_ENDED_BYTES) and feed._is_over():
            shutil.rmtree(feed.folder, ignore_errors=True)


def _content(path: Path, most: int, offset: int = 0) -> bytes:
    """So many bytes of a file at most. Raises OSError where it is none, as a pipe, which would keep one waiting."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        file.seek(offset)
        return file.read(most)


def _checked(content: bytes) -> bytes:
    """What stands behind a checksum in eight letters. Raises ValueError where it does not fit."""
    if int(content[:8], 16) != zlib.crc32(body := content[8:].rstrip()):
        raise ValueError("the status was read while it was written")
    return body


def _read_json(content: bytes) -> dict[str, Any]:
    """Raises ValueError where it is no JSON of a dict, or too long."""
    try:
        told = json.loads(content) if len(content) <= MAX_TEXT_BYTES else None
    except RecursionError:
        told = None
    if not isinstance(told, dict):
        raise ValueError("it is no JSON, or too long")
    return told


def _text(value: Any, most: int) -> str:
    """A text of somebody else's, in letters that can be shown and sent."""
    letters = str(value)[:most].encode(errors="replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in letters)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"{value!r} is no count")
    return value


def _little_endian(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")

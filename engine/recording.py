"""Recording: the epochs of one run, in bounded memory, and a run as one file.

    recording = history.recording(settings={"units": 16}, seeds={"network": 0}, checkpoint=training.checkpoint())
    save("run.npz", recording)
    recording = load("run.npz")
    history, checkpoint = recording.history(), recording.checkpoint
    summary("run.npz").settings                      # without reading all of it

The file is NumPy's own .npz: `numpy.load(path)["loss"]` reads a column of it anywhere.
"""

import hashlib
import io
import json
import math
import os
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO

import numpy as np

from engine.training import Checkpoint, Epoch, Epochs

COLUMNS = tuple(column.name for column in fields(Epochs) if column.name != "widths")
TABLES = ("gradient_norms", "mean_activations", "parameters")
"""The columns with several numbers per epoch."""

BYTES = 32 * 2**20
SHIFT = 64
"""How many epochs are added before the latest are moved up to make room."""

FORMAT = 1
LIMIT = 512 * 2**20
"""The most bytes of a file. The history of a network of 25,000 parameters takes 72 MiB at most."""

SPARE = 2**20
"""Of these, what the arrays leave to the archive around them."""

DIRECTORY = 2**16
"""The most bytes of the archive's table of contents, which is read before anything in it can be checked."""

WORDS = 16 * 2**20
"""The most bytes of settings, seeds and notes together that are read to sum a file up."""

DEPTH = 64
"""How deeply settings and notes may be nested: far from where Python's own recursion ends."""

STATE = "optimizer."
ABOUT = ("settings", "seeds", "notes", "name", "created", "capacity", "recent", "stride")


class History(Sequence[Epoch]):
    """The epochs of a run that are still kept: the last `recent` exactly, all older ones thinned evenly.

    Of the older ones the multiples of `stride` are kept. The stride is a power of two that doubles whenever
    `capacity` rows are full, so a longer run is seen more coarsely, at the same cost in memory and time.
    As a sequence it is sorted by `Epoch.index`; an epoch that is gone is simply not in it. One thread may extend it
    while others read: what they get are copies.

    capacity: how many thinned rows at most; fewer, but at least 64, where the parameters are so many that the rows
    would take more than 32 MiB.
    """

    def __init__(self, capacity: int = 1024, recent: int = 200) -> None:
        self.capacity = capacity
        self.recent = recent
        self.stride = 1
        self._kept: _Rows | None = None
        self._latest: _Rows | None = None
        self._lock = RLock()

    def extend(self, epochs: Epochs) -> None:
        """Add the epochs that follow those added before."""
        if not len(epochs):
            return
        with self._lock:
            if self._kept is None:
                self._make_room(epochs)
            self._remember(self._latest, epochs)
            self._keep(self._kept, epochs)

    def kept(self, after: int = -1, until: int | None = None) -> Epochs:
        """The evenly spaced epochs, the multiples of `stride`, with after < index <= until, as columns."""
        with self._lock:
            return self._filled(self._kept).copy(after, until)

    def latest(self, after: int = -1, until: int | None = None) -> Epochs:
        """The exactly kept last epochs with after < index <= until, as columns."""
        with self._lock:
            rows = self._filled(self._latest)
            return rows.copy(max(after, int(rows.index[-1]) - self.recent), until)

    def at(self, index: int) -> Epoch:
        """The kept epoch nearest to `index` from below, the first one if there is none.

        Raises IndexError when nothing has been recorded.
        """
        with self._lock:
            latest = self._filled(self._latest)
            rows = latest if index >= self._first_latest() else self._filled(self._kept)
            return rows.row(max(0, int(np.searchsorted(rows.index, index, side="right")) - 1))

    def recording(self, **about: Any) -> "Recording":
        """All epochs that are in it, as a recording of their own; `about` are the other fields of `Recording`.

        Raises IndexError when nothing has been recorded, ValueError when `about` does not fit.
        """
        with self._lock:
            first = self._first_latest()
            epochs = _joined(self._filled(self._kept).copy(-1, first - 1), self._filled(self._latest).copy(first - 1))
            return Recording(epochs, capacity=self.capacity, recent=self.recent, stride=self.stride, **about)

    def __len__(self) -> int:
        with self._lock:
            return 0 if self._kept is None else self._older() + min(self.recent, self._filled(self._latest).size)

    def __getitem__(self, i: int) -> Epoch:
        with self._lock:
            size = len(self)
            if not -size <= i < size:
                raise IndexError(f"epoch {i} of a history of {size}; positions go from {-size} to {size - 1}")
            older, latest = self._older(), self._filled(self._latest)
            i %= size
            return self._filled(self._kept).row(i) if i < older else latest.row(latest.size - size + i)

    def _make_room(self, epochs: Epochs) -> None:
        self.capacity = min(self.capacity, max(64, BYTES // _bytes_per_row(epochs)))
        self._kept = _Rows(epochs, self.capacity)
        self._latest = _Rows(epochs, self.recent + SHIFT)

    def _filled(self, rows: "_Rows | None") -> "_Rows":
        if rows is None:
            raise IndexError("nothing has been recorded yet; advance the run first")
        return rows

    def _first_latest(self) -> int:
        """The index of the first of the exactly kept epochs."""
        latest = self._filled(self._latest)
        return int(latest.index[max(0, latest.size - self.recent)])

    def _older(self) -> int:
        """How many kept rows come before the exactly kept ones."""
        return int(np.searchsorted(self._filled(self._kept).index, self._first_latest()))

    def _remember(self, rows: "_Rows", epochs: Epochs) -> None:
        for start in range(0, len(epochs), SHIFT):
            block = epochs.rows(slice(start, start + SHIFT))
            if rows.size + len(block) > rows.room:
                rows.select(np.arange(rows.size - self.recent, rows.size))
            rows.append(block)

    def _keep(self, rows: "_Rows", epochs: Epochs) -> None:
        while rows.size + np.count_nonzero(epochs.index % self.stride == 0) > self.capacity:
            self.stride *= 2
            rows.select(np.flatnonzero(rows.index % self.stride == 0))
        rows.append(epochs.rows(epochs.index % self.stride == 0))


class _Rows:
    """Columns with room for more rows, of which the first `size` are filled."""

    def __init__(self, like: Epochs, room: int) -> None:
        self.room = room
        self.size = 0
        self._columns = {name: _column(like, name, room) for name in COLUMNS}
        self._all = Epochs(**self._columns, widths=like.widths)

    @property
    def index(self) -> np.ndarray:
        return self._columns["index"][: self.size]

    def row(self, i: int) -> Epoch:
        return self._all.rows(slice(i, i + 1)).rows(np.zeros(1, int))[0]

    def copy(self, after: int, until: int | None = None) -> Epochs:
        """The filled rows with after < index <= until."""
        stop = self.size if until is None else int(np.searchsorted(self.index, until, side="right"))
        return self._all.rows(np.arange(np.searchsorted(self.index, after, side="right"), stop))

    def append(self, epochs: Epochs) -> None:
        for name, column in self._columns.items():
            column[self.size : self.size + len(epochs)] = getattr(epochs, name)
        self.size += len(epochs)

    def select(self, rows: np.ndarray) -> None:
        """Keep these rows only, given in ascending order, and move them up a MiB at a time: no large copy is made."""
        for column in self._columns.values():
            height = max(1, 2**20 // max(1, column[:1].nbytes))
            for start in range(0, len(rows), height):
                moved = column[rows[start : start + height]]
                column[start : start + len(moved)] = moved
        self.size = len(rows)


@dataclass(frozen=True, eq=False)
class Recording:
    """A run to keep: what was to be done, what was seen of it, and how to go on from there.

    epochs      all that are kept, one or more, in the order of their indices
    settings    what was trained, on what and how: anything that JSON can say; tuples become lists
    seeds       by what each is for, such as {"data": 0, "network": 0, "training": 0}
    checkpoint  of the last epoch, to go on exactly, or None
    notes       anything else that JSON can say
    name        a title, and `created` a time, both in the words of whoever writes them
    capacity    with `recent` and `stride`, what the history was that the epochs come from

    Raises ValueError for epochs without order or with columns of another shape or type than `Training` gives them, for
    a checkpoint of another epoch, and for what JSON cannot say.
    """

    epochs: Epochs
    settings: dict[str, Any] = field(default_factory=dict)
    seeds: dict[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    created: str = ""
    capacity: int = 1024
    recent: int = 200
    stride: int = 1

    def __post_init__(self) -> None:
        for name in ("settings", "seeds", "notes"):
            object.__setattr__(self, name, _plain_dict(name, getattr(self, name)))
        for name in ("name", "created"):
            _check(isinstance(getattr(self, name), str), f"{name} {getattr(self, name)!r} is not a text")
        for name in ("capacity", "recent", "stride"):
            _check_count(name, getattr(self, name))
        _check_epochs(self.epochs)
        if self.checkpoint is not None:
            _check_checkpoint(self.checkpoint, self.epochs)

    @property
    def digest(self) -> str:
        """The SHA-256 of the final weights' bytes, in hexadecimal: the same for two runs only if they ended alike."""
        return hashlib.sha256(self.epochs.parameters[-1].tobytes()).hexdigest()

    def history(self) -> History:
        """The history that these epochs come from, to look at and to extend.

        Raises ValueError when the network is so large that its history would take more than 512 MiB.
        """
        size = (self.recent + SHIFT) * _bytes_per_row(self.epochs)
        _check(size <= LIMIT, f"a history of {self.recent} recent epochs would take {_mebibytes(size)}; read `epochs`")
        history = History(self.capacity, self.recent)
        history.stride = self.stride
        history.extend(self.epochs)
        return history


@dataclass(frozen=True, eq=False)
class Summary:
    """What a recording's file says about itself.

    settings, seeds, notes, name, created   as in `Recording`
    digest   of the final weights
    epoch    the index of the last epoch, and `loss` its training loss
    size     of the file, in bytes
    """

    settings: dict[str, Any]
    seeds: dict[str, Any]
    notes: dict[str, Any]
    name: str
    created: str
    digest: str
    epoch: int
    loss: float
    size: int

    def __post_init__(self) -> None:
        for name in ("settings", "seeds", "notes"):
            _plain_dict(name, getattr(self, name))
        for name in ("name", "created", "digest"):
            _check(isinstance(getattr(self, name), str), f"{name} {getattr(self, name)!r} is not a text")


def save(path: str | os.PathLike[str], recording: Recording) -> None:
    """Write a recording to one file, an uncompressed .npz; the same recording makes the same bytes.

    A file that is there already is replaced at once and as a whole when the new one is safe on disk. Whatever goes
    wrong before that, it stays as it was, and nothing is left beside it, unless the process is killed: then a hidden
    file `.*.part` may be. Several processes may save to one path; the last one wins.

    Raises OSError when the file cannot be written, ValueError when it would be larger than 512 MiB.
    """
    arrays = _arrays(recording)
    size = sum(array.nbytes for array in arrays.values())
    room = LIMIT - SPARE
    _check(size <= room, f"a recording of {_mebibytes(size)} is too large; keep fewer epochs, up to {_mebibytes(room)}")
    with _replacing(Path(path).resolve()) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(path: str | os.PathLike[str]) -> Recording:
    """The recording that was saved in a file, with arrays of its own.

    The file need not be trusted: nothing in it is executed, and no array is made before its size has been compared
    with the file's. A seal over all contents shows whether it was changed, but anyone who changes it can renew that.

    Raises OSError when there is no such file, ValueError when it is no recording, damaged, or of a newer version.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, LIMIT + 1))
    return recording_in(content, os.fspath(path))


def recording_in(content: bytes, called: str = "the content") -> Recording:
    """The recording in a file's content, wherever that comes from; no more trust is needed than in `load`.

    called: what it is called in an error.
    Raises ValueError when it is no recording, damaged, or of a newer version.
    """
    with _refused(called):
        _check(len(content) <= LIMIT, f"it is larger than {_mebibytes(LIMIT)}")
        return _recording(content)


def summary(path: str | os.PathLike[str]) -> Summary:
    """What a saved recording says about itself, without its columns being read: in a millisecond, whatever its size.

    Its seal is not looked at: what is damaged elsewhere in the file is found by `load` only.
    Raises OSError when there is no such file, ValueError when it is no recording, cut off, or of a newer version.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        with _refused(os.fspath(path)):
            return _summary(file, size)


@contextmanager
def _refused(called: str) -> Iterator[None]:
    """What goes wrong in the body lies in the content that it reads; zipfile alone has a dozen ways of saying so."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{called!r} cannot be loaded: {error}") from error


def _check(fine: object, otherwise: str) -> None:
    if not fine:
        raise ValueError(otherwise)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _check_count(name: str, value: int) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    _check(whole and 1 <= value < 2**63, f"{name} {value!r} is impossible; choose a whole number of 1 or more")


def _check_epochs(epochs: Epochs) -> None:
    index, widths = np.asarray(epochs.index), epochs.widths
    _check(index.size, "a recording without epochs is impossible; record one or more")
    for name in COLUMNS:
        _check_column(name, getattr(epochs, name), index.size)
    _check(index[0] >= 0 and (np.diff(index) > 0).all(), f"the epochs {index} are not in order; sort them by index")
    for width in widths:
        _check_count("width", width)
    units = epochs.mean_activations.shape[1]
    _check(units == sum(widths), f"there are mean activations of {units} units; hidden layers {widths} have others")


def _check_column(name: str, column: np.ndarray, k: int) -> None:
    dtype, axes = np.dtype(np.int64 if name == "index" else np.float64), 1 + (name in TABLES)
    _check(
        isinstance(column, np.ndarray) and column.dtype == dtype and column.ndim == axes and len(column) == k,
        f"the column {name} is {_described(column)}; expected {dtype} with {'one axis' if axes == 1 else 'two axes'}, "
        f"{k} long as the index is",
    )


def _described(array: object) -> str:
    return f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else repr(array)


def _check_checkpoint(checkpoint: Checkpoint, epochs: Epochs) -> None:
    last = epochs[-1]
    _check(
        checkpoint.index == last.index and checkpoint.parameters.tobytes() == last.parameters.tobytes(),
        f"the checkpoint of epoch {checkpoint.index} is not that of the last epoch, {last.index}; take it right after",
    )
    for name, array in checkpoint.optimizer_state.items():
        _check(
            name.isidentifier() and array.dtype == np.float64 and {*array.shape} <= {last.parameters.size},
            f"the optimizer's {name} is {_described(array)}; expected float64, as long as the parameters",
        )
    _check_rng_state(checkpoint.rng_state)


def _check_rng_state(state: dict[str, Any]) -> None:
    generator = np.random.default_rng(0).bit_generator
    try:
        generator.state = state
        understood = generator.state == state
    except (TypeError, ValueError, KeyError, OverflowError):
        understood = False
    _check(understood, f"{state!r} is not the state of a generator like NumPy's default_rng")


def _plain_dict(name: str, value: dict[str, Any]) -> dict[str, Any]:
    _check(isinstance(value, dict), f"{name} {value!r} are not a dict")
    return _plain(value, name)


def _plain(value: Any, where: str, depth: int = 0) -> Any:
    """A copy of the value as JSON would give it back."""
    _check(depth <= DEPTH, f"{where[:40]}... is nested more than {DEPTH} deep")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        for key in value:
            _check(isinstance(key, str), f"the key {key!r} of {where} is not a text")
        return {key: _plain(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    sayable = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    _check(sayable, f"{where} is {value!r}; JSON can say finite numbers, texts, true, false, null, lists and dicts")
    return value


def _arrays(recording: Recording) -> dict[str, np.ndarray]:
    """What a file holds, by name."""
    checkpoint = recording.checkpoint
    about = {name: getattr(recording, name) for name in ABOUT}
    about |= {
        "widths": list(recording.epochs.widths),
        "digest": recording.digest,
        "rng_state": None if checkpoint is None else checkpoint.rng_state,
    }
    state = {} if checkpoint is None else checkpoint.optimizer_state
    arrays = {
        "format": np.array(FORMAT),
        "about": np.frombuffer(json.dumps(about, default=np.generic.item).encode(), np.uint8),
        **{name: getattr(recording.epochs, name) for name in COLUMNS},
        **{STATE + name: array for name, array in state.items()},
    }
    ordered = {name: _little_endian(array) for name, array in arrays.items()}
    return ordered | {"seal": _seal(ordered)}


def _little_endian(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def _seal(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """(32,) the SHA-256 of everything, names and shapes included."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.shape} ".encode())
        digest.update(_little_endian(array).reshape(-1).view(np.uint8))
    return np.frombuffer(digest.digest(), np.uint8)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to: it takes the path's place once it is safe on disk, and vanishes if anything goes wrong."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    file = part.open("xb")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have the folder's new entry survive a power cut, where folders can be opened for that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _recording(content: bytes) -> Recording:
    """The recording in a file's content. Raises all sorts of errors if there is none."""
    arrays = _unpacked(content)
    seal = arrays.pop("seal", None)
    state = {name.removeprefix(STATE): array for name, array in arrays.items() if name.startswith(STATE)}
    named = arrays.keys() - {STATE + name for name in state}
    _check(named == {"format", "about", *COLUMNS}, f"it is no recording: what it holds is {', '.join(arrays)}")
    _check(np.array_equal(seal, _seal(arrays)), "its contents were changed after it was saved")
    about = _about(arrays["about"])
    epochs = Epochs(**{name: arrays[name] for name in COLUMNS}, widths=tuple(about["widths"]))
    checkpoint = Checkpoint(int(epochs.index[-1]), epochs.parameters[-1].copy(), state, about["rng_state"])
    going_on = None if about["rng_state"] is None else checkpoint
    recording = Recording(epochs, checkpoint=going_on, **{name: about[name] for name in ABOUT})
    _check(about["digest"] == recording.digest, "its final weights are not those that were saved")
    return recording


def _about(words: np.ndarray) -> dict[str, Any]:
    about = json.loads(words.tobytes())
    _check(about.keys() == {*ABOUT, "widths", "digest", "rng_state"}, f"it tells {', '.join(about)}, not {ABOUT}")
    return about


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    """The arrays in a file's content by name, once it is sure that they are not larger than the file."""
    _check_ends(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        named = _members(archive, len(content))
        return {name: _array(_stored(archive, member)) for name, member in named.items()}


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """What an archive of that size holds, by name, if it is a recording of a version that can be read."""
    members = archive.infolist()
    claimed = sum(member.file_size for member in members)
    _check(claimed <= size, f"it claims to hold {claimed:,} bytes, and the file has {size:,}")
    named = {member.filename.removesuffix(".npy"): member for member in members}
    _check("format" in named, f"it is no recording: what it holds is {', '.join(named)}")
    _check_version(_array(_short(archive, named["format"])))
    return named


def _summary(file: BinaryIO, size: int) -> Summary:
    """What an open file of that size says about itself. Raises all sorts of errors if it is no recording."""
    _check(size <= LIMIT, f"it is larger than {_mebibytes(LIMIT)}")
    beginning = file.read(4)
    file.seek(max(0, size - 42))
    _check_ends(beginning + file.read())
    with zipfile.ZipFile(file) as archive:
        named = _members(archive, size)
        _check({"about", *COLUMNS} <= named.keys(), f"it is no recording: what it holds is {', '.join(named)}")
        about = _about(_array(_short(archive, named["about"])))
        words = {name: about[name] for name in ("settings", "seeds", "notes", "name", "created", "digest")}
        epoch, loss = (_last(archive, named[name]) for name in ("index", "loss"))
        return Summary(**words, epoch=int(epoch), loss=float(loss), size=size)


def _stored(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member, which are no more than it says, as they would be if it were compressed and lied."""
    _check(member.compress_type == zipfile.ZIP_STORED, f"{member.filename} is compressed; a recording's arrays are not")
    return archive.read(member)


def _short(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member of words."""
    _check(member.file_size <= WORDS, f"{member.filename} has more than {_mebibytes(WORDS)}")
    return _stored(archive, member)


def _last(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.generic:
    """The last number of a member that is a column, of which nothing else is kept."""
    _check(member.compress_type == zipfile.ZIP_STORED, f"{member.filename} is compressed; a recording's arrays are not")
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
        _check(len(shape) == 1 and shape[0] > 0, f"{member.filename} has the shape {shape}; a column has epochs")
        stream.seek((shape[0] - 1) * dtype.itemsize, io.SEEK_CUR)
        return np.frombuffer(stream.read(dtype.itemsize), dtype)[0]


def _check_ends(content: bytes) -> None:
    """The first and the last bytes of a zip archive that has no comment and whose table of contents is small."""
    _check(content.startswith(b"PK\3\4"), "it is no .npz file")
    end = content[-22:]
    _check(end.startswith(b"PK\5\6") and end.endswith(b"\0\0"), "its end is missing or not its own")
    directory = int.from_bytes(end[12:16], "little")
    _check(directory <= DIRECTORY and content[-42:-38] != b"PK\6\7", "its table of contents is too large")


def _check_version(version: np.ndarray) -> None:
    _check(version.shape == () and version.dtype == np.int64 and version >= 1, f"its format {version} is impossible")
    newer = f"it was saved by a newer version, in format {version}; this version reads up to {FORMAT}: update it"
    _check(version <= FORMAT, newer)


def _array(member: bytes) -> np.ndarray:
    """The array in an .npy file's content. Its size is that of the content, whatever the header says."""
    stream = io.BytesIO(member)
    shape, dtype = _header(stream)
    array = np.frombuffer(member, dtype, offset=stream.tell()).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array whose .npy a stream begins with; the stream is then at its first number."""
    _check(np.lib.format.read_magic(stream) == (1, 0), "an array is in another version of .npy than 1.0")
    shape, columns_first, dtype = np.lib.format.read_array_header_1_0(stream)
    _check(dtype.str in ("<f8", "<i8", "|u1") and not columns_first, f"an array of {dtype} is none of a recording's")
    return shape, dtype


def _joined(one: Epochs, other: Epochs) -> Epochs:
    """The epochs of both, one after the other."""
    columns = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in COLUMNS}
    return Epochs(**columns, widths=one.widths)


def _column(like: Epochs, name: str, room: int) -> np.ndarray:
    column = getattr(like, name)
    return np.empty((room, *column.shape[1:]), column.dtype)


def _bytes_per_row(epochs: Epochs) -> int:
    return sum(getattr(epochs, name)[:1].nbytes for name in COLUMNS)

"""A recording on disk, as NumPy's own .npz, read without trust in who wrote it."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from engine.atomic_write import replacing
from engine.recording.recording import LIMIT, Recording, check, mebibytes, plain_dict
from engine.training import COLUMNS, Checkpoint, Epochs

FORMAT = 2
"""The newest version of the format. Files without extras are of version 1, so that older programs read them."""

SPARE = 2**20
"""Of the most bytes of a file, what the arrays leave to the archive around them."""

DIRECTORY = 2**16
"""The most bytes of the archive's table of contents, which is read before anything in it can be checked."""

MAX_TEXT_BYTES = 16 * 2**20
"""The most bytes of settings, seeds and notes together that are read to sum a file up."""

STATE, EXTRA = "optimizer.", "extra."
ABOUT = ("settings", "seeds", "notes", "name", "created", "capacity", "recent", "stride")


@dataclass(frozen=True, eq=False)
class Summary:
    """What a recording's file says about itself.

    Attributes:
        settings, seeds, notes, name, created: As in `Recording`.
        digest: Of the final weights.
        epoch: The index of the last epoch, and `loss` its training loss.
        size: Of the file, in bytes.
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
            plain_dict(name, getattr(self, name))
        for name in ("name", "created", "digest"):
            check(isinstance(getattr(self, name), str), f"{name} {getattr(self, name)!r} is not a text")


def save(path: str | os.PathLike[str], recording: Recording) -> None:
    """Write a recording to one file, an uncompressed .npz; the same recording makes the same bytes.

    A file that is there already is replaced at once and as a whole when the new one is safe on disk. Whatever goes
    wrong before that, it stays as it was, and nothing is left beside it, unless the process is killed: then a hidden
    file `.*.part` may be. Several processes may save to one path; the last one wins.

    Raises:
        OSError: If the file cannot be written, ValueError when it would be larger than 512 MiB.
    """
    arrays = _arrays(recording)
    size = sum(array.nbytes for array in arrays.values())
    room = LIMIT - SPARE
    check(size <= room, f"a recording of {mebibytes(size)} is too large; keep fewer epochs, up to {mebibytes(room)}")
    with replacing(Path(path).resolve()) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(path: str | os.PathLike[str]) -> Recording:
    """The recording that was saved in a file, with arrays of its own.

    The file need not be trusted: nothing in it is executed, and no array is made before its size has been compared
    with the file's. A seal over all contents shows whether it was changed, but anyone who changes it can renew that.

    Raises:
        OSError: If there is no such file, ValueError when it is no recording, damaged, or of a newer version.
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
        check(len(content) <= LIMIT, f"it is larger than {mebibytes(LIMIT)}")
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
        "format": np.array(2 if recording.extras else 1),
        "about": np.frombuffer(json.dumps(about, default=np.generic.item).encode(), np.uint8),
        **recording.epochs.columns,
        **{STATE + name: array for name, array in state.items()},
        **{EXTRA + name: array for name, array in recording.extras.items()},
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
        digest.update(_little_endian(array).reshape(-1).view(np.uint8).data)
    return np.frombuffer(digest.digest(), np.uint8)


def _recording(content: bytes) -> Recording:
    """The recording in a file's content. Raises all sorts of errors if there is none."""
    arrays = _unpacked(content)
    seal = arrays.pop("seal", None)
    state, extras = (_under(arrays, prefix) for prefix in (STATE, EXTRA))
    named = arrays.keys() - {STATE + name for name in state} - {EXTRA + name for name in extras}
    check(named == {"format", "about", *COLUMNS}, f"it is no recording: what it holds is {', '.join(arrays)}")
    check(seal is not None and np.array_equal(seal, _seal(arrays)), "its contents were changed after it was saved")
    about = _about(arrays["about"])
    epochs = Epochs(**{name: arrays[name] for name in COLUMNS}, widths=tuple(about["widths"]))
    checkpoint = Checkpoint(int(epochs.index[-1]), epochs.parameters[-1].copy(), state, about["rng_state"])
    going_on = None if about["rng_state"] is None else checkpoint
    recording = Recording(epochs, checkpoint=going_on, extras=extras, **{name: about[name] for name in ABOUT})
    check(about["digest"] == recording.digest, "its final weights are not those that were saved")
    return recording


def _under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names have the prefix, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _about(words: np.ndarray) -> dict[str, Any]:
    about = json.loads(words.tobytes())
    check(about.keys() == {*ABOUT, "widths", "digest", "rng_state"}, f"it tells {', '.join(about)}, not {ABOUT}")
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
    check(claimed <= size, f"it claims to hold {claimed:,} bytes, and the file has {size:,}")
    named = {member.filename.removesuffix(".npy"): member for member in members}
    check("format" in named, f"it is no recording: what it holds is {', '.join(named)}")
    _check_version(_array(_short(archive, named["format"])))
    return named


def _summary(file: BinaryIO, size: int) -> Summary:
    """What an open file of that size says about itself. Raises all sorts of errors if it is no recording."""
    check(size <= LIMIT, f"it is larger than {mebibytes(LIMIT)}")
    beginning = file.read(4)
    file.seek(max(0, size - 42))
    _check_ends(beginning + file.read())
    with zipfile.ZipFile(file) as archive:
        named = _members(archive, size)
        check({"about", *COLUMNS} <= named.keys(), f"it is no recording: what it holds is {', '.join(named)}")
        about = _about(_array(_short(archive, named["about"])))
        words = {name: about[name] for name in ("settings", "seeds", "notes", "name", "created", "digest")}
        epoch, loss = (_last(archive, named[name]) for name in ("index", "loss"))
        return Summary(**words, epoch=int(epoch), loss=float(loss), size=size)


def _stored(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member, which are no more than it says, as they would be if it were compressed and lied."""
    check(member.compress_type == zipfile.ZIP_STORED, f"{member.filename} is compressed; a recording's arrays are not")
    return archive.read(member)


def _short(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member of words."""
    check(member.file_size <= MAX_TEXT_BYTES, f"{member.filename} has more than {mebibytes(MAX_TEXT_BYTES)}")
    return _stored(archive, member)


def _last(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.generic:
    """The last number of a member that is a column, of which nothing else is kept."""
    check(member.compress_type == zipfile.ZIP_STORED, f"{member.filename} is compressed; a recording's arrays are not")
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
        check(len(shape) == 1 and shape[0] > 0, f"{member.filename} has the shape {shape}; a column has epochs")
        stream.seek((shape[0] - 1) * dtype.itemsize, io.SEEK_CUR)
        return np.frombuffer(stream.read(dtype.itemsize), dtype)[0]


def _check_ends(content: bytes) -> None:
    """The first and the last bytes of a zip archive that has no comment and whose table of contents is small."""
    check(content.startswith(b"PK\3\4"), "it is no .npz file")
    end = content[-22:]
    check(end.startswith(b"PK\5\6") and end.endswith(b"\0\0"), "its end is missing or not its own")
    directory = int.from_bytes(end[12:16], "little")
    check(directory <= DIRECTORY and content[-42:-38] != b"PK\6\7", "its table of contents is too large")


def _check_version(version: np.ndarray) -> None:
    check(version.shape == () and version.dtype == np.int64 and version >= 1, f"its format {version} is impossible")
    newer = f"it was saved by a newer version, in format {version}; this version reads up to {FORMAT}: update it"
    check(version <= FORMAT, newer)


def _array(member: bytes) -> np.ndarray:
    """The array in an .npy file's content. Its size is that of the content, whatever the header says."""
    stream = io.BytesIO(member)
    shape, dtype = _header(stream)
    array = np.frombuffer(member, dtype, offset=stream.tell()).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array whose .npy a stream begins with; the stream is then at its first number."""
    check(np.lib.format.read_magic(stream) == (1, 0), "an array is in another version of .npy than 1.0")
    shape, columns_first, dtype = np.lib.format.read_array_header_1_0(stream)
    check(dtype.str in ("<f8", "<i8", "|u1") and not columns_first, f"an array of {dtype} is none of a recording's")
    return shape, dtype

"""Laws of recordings on disk: what is loaded is what was saved, and anything else is refused in little memory."""

import copy
import errno
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_epochs import (
    MOONS,
    WIDTHS,
    assert_same_epochs,
    assert_same_history,
    block,
    history_of,
    nested,
    trained,
    training_of,
)

from engine import OPTIMIZERS, Checkpoint, Network, Training
from engine.recording import Recording, Summary, file, load, recording_in, save, summary
from engine.recording.file import ABOUT
from engine.recording.recording import DEPTH
from engine.training import COLUMNS, Epochs

SETTINGS = {
    "hidden": [16, 16],
    "activation": "relu",
    "l2": 0.1,
    "skip": False,
    "stop": None,
    "small": -0.0,
    "large": 1e308,
    "big": 2**200,
    "words": "Überanpassung \ud800 \n \0",
    "nested": {"": [[], {}, [True, {"deep": [1.5]}]]},
}


def recording_of(epochs: int = 300, **about: object) -> Recording:
    return Recording.of(history_of(epochs, capacity=64, recent=20), **about)


def assert_same_checkpoint(one: Checkpoint, other: Checkpoint) -> None:
    assert one.index == other.index and one.rng_state == other.rng_state
    assert one.parameters.tobytes() == other.parameters.tobytes()
    assert one.optimizer_state.keys() == other.optimizer_state.keys()
    for name, array in one.optimizer_state.items():
        theirs = other.optimizer_state[name]
        assert (array.dtype, array.shape, array.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("epochs", [1, 20, 300])
def test_what_is_loaded_is_what_was_saved(tmp_path, epochs):
    saved = recording_of(
        epochs,
        settings=SETTINGS,
        seeds={"data": 0, "network": 2**70},
        notes={"why": "?"},
        name="Überfit",
        created="now",
    )
    save(tmp_path / "run.npz", saved)
    loaded = load(tmp_path / "run.npz")
    assert_same_epochs(loaded.epochs, saved.epochs)
    assert_same_history(loaded.history(), saved.history())
    for name in (*ABOUT, "checkpoint", "digest"):
        assert getattr(loaded, name) == getattr(saved, name), name
    assert loaded.settings == SETTINGS and str(loaded.settings["small"]) == "-0.0"


def test_numbers_that_are_none_come_back_bit_for_bit(tmp_path):
    epochs = block(0, 5)
    epochs.loss[:] = [np.nan, -np.nan, np.inf, -0.0, 5e-324]
    epochs.parameters[-1] = np.nan
    save(tmp_path / "run.npz", Recording(epochs))
    assert_same_epochs(load(tmp_path / "run.npz").epochs, epochs)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_that_was_saved_goes_on_bit_for_bit(tmp_path, optimizer):
    training, history = trained(optimizer=optimizer)
    save(tmp_path / "run.npz", Recording.of(history, checkpoint=training.checkpoint()))
    loaded, another = load(tmp_path / "run.npz"), training_of(optimizer)
    assert_same_checkpoint(loaded.checkpoint, training.checkpoint())
    another.restore(loaded.checkpoint)
    assert_same_epochs(another.advance(10), training.advance(10))


def test_a_history_without_columns_side_by_side_comes_back(tmp_path):
    """A logistic regression has no hidden units: a column without numbers."""
    epochs = Training(Network([2, 1]), MOONS).advance(30)
    save(tmp_path / "run.npz", Recording(epochs))
    assert_same_epochs(load(tmp_path / "run.npz").epochs, epochs)


def test_arrays_that_lie_otherwise_in_memory_come_back_the_same(tmp_path):
    epochs = block(0, 20)
    turned = Epochs(**{n: np.asfortranarray(getattr(epochs, n)) for n in COLUMNS}, widths=WIDTHS).rows(
        slice(None, None, 2)
    )
    save(tmp_path / "run.npz", Recording(turned))
    assert_same_epochs(load(tmp_path / "run.npz").epochs, epochs.rows(slice(None, None, 2)))


def test_loaded_arrays_can_be_written_to(tmp_path):
    training, history = trained()
    save(tmp_path / "run.npz", Recording.of(history, checkpoint=training.checkpoint()))
    loaded = load(tmp_path / "run.npz")
    for array in (loaded.epochs.loss, loaded.checkpoint.parameters, *loaded.checkpoint.optimizer_state.values()):
        array += 1.0
    assert loaded.epochs.parameters[-1].tobytes() == training.network.parameters.tobytes()


def test_the_same_recording_makes_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        save(tmp_path / name, recording_of(settings=SETTINGS))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_file_is_numpys_own_and_needs_no_pickle(tmp_path):
    saved = recording_of()
    save(tmp_path / "run.npz", saved)
    with np.load(tmp_path / "run.npz", allow_pickle=False) as arrays:
        assert {*arrays} == {"format", "about", "seal", *COLUMNS}
        for name in COLUMNS:
            np.testing.assert_array_equal(arrays[name], getattr(saved.epochs, name))


EXTRAS = {"words": np.arange(5, dtype=np.uint8), "table": np.eye(3), "places": np.array([3, -1])}


def test_extras_come_back_as_they_were_and_only_with_them_is_the_file_of_the_newer_version(tmp_path):
    for name, extras in (("with", EXTRAS), ("without", {})):
        save(tmp_path / name, recording_of(extras=extras))
        loaded = load(tmp_path / name)
        assert loaded.extras.keys() == extras.keys()
        for key, array in extras.items():
            assert loaded.extras[key].dtype == array.dtype
            np.testing.assert_array_equal(loaded.extras[key], array)
        assert contents(tmp_path / name)["format"] == 1 + bool(extras)
        assert summary(tmp_path / name).epoch == loaded.epochs.index[-1]


@pytest.mark.parametrize(
    "extras", [{"a.b": np.zeros(1)}, {"a": [1.0]}, {"a": np.zeros(1, np.float32)}, {"a": np.array([object()])}]
)
def test_an_extra_that_a_file_could_not_hold_is_refused_at_once(extras):
    with pytest.raises(ValueError, match=r"the extra a is|'a\.b' of an extra"):
        recording_of(extras=extras)


def test_settings_nested_as_deeply_as_may_be_are_saved(tmp_path):
    save(tmp_path / "run.npz", Recording(block(0, 1), settings=nested(DEPTH)))
    assert load(tmp_path / "run.npz").settings == nested(DEPTH)


# Files that are something else, or were


def write(path: Path, arrays: dict[str, np.ndarray], sealed: bool = True) -> Path:
    """An archive with these arrays, as somebody who knows about the seal would write it."""
    if sealed:
        arrays = {**arrays, "seal": file._seal({k: a for k, a in arrays.items() if k != "seal"})}
    np.savez(path, **arrays)
    return path


def contents(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays}


def described(arrays: dict[str, np.ndarray], **changes: object) -> dict[str, np.ndarray]:
    """The same arrays with changes in their description; None removes a word."""
    about = json.loads(arrays["about"].tobytes()) | changes
    text = json.dumps({name: value for name, value in about.items() if value != "gone"})
    return {**arrays, "about": np.frombuffer(text.encode(), np.uint8)}


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """The bytes of a file with a checkpoint in it, small enough to try a change in each of them."""
    path = tmp_path_factory.mktemp("content") / "run.npz"
    training = training_of(units=1)
    epochs = training.advance(2)
    save(path, Recording(epochs, checkpoint=training.checkpoint(), settings={"units": 1}))
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, content) -> Path:
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    return path


def assert_refused(path: Path, message: str = "cannot be loaded") -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        load(path)
    assert str(path) in str(refusal.value)


def test_a_file_cut_off_anywhere_is_refused(path, content):
    for length in range(0, len(content), 31):
        path.write_bytes(content[:length])
        assert_refused(path, "it is no .npz file|its end is missing")


def test_a_file_with_any_byte_changed_is_refused_or_the_same(path, content):
    """Some bytes mean nothing: dates, and all that the archive says twice. The seal stands for all the others."""
    path.write_bytes(content)
    original, harmless = load(path), 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
        try:
            loaded = load(path)
        except ValueError:
            continue
        harmless += 1
        assert_same_epochs(loaded.epochs, original.epochs)
        assert_same_checkpoint(loaded.checkpoint, original.checkpoint)
        assert all(getattr(loaded, name) == getattr(original, name) for name in ABOUT)
    assert harmless < 0.2 * len(content) / 7


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(0, 300))
def test_a_file_with_anything_in_its_middle_is_refused_or_the_same(content, anything, start, length):
    changed = content[: start % len(content)] + anything + content[start % len(content) + length :]
    try:
        loaded = file._recording(changed)
    except Exception:
        return
    assert loaded.digest == file._recording(content).digest


@pytest.mark.parametrize(
    "foreign", [b"", b"x", b"\x93NUMPY", b"PK\x05\x06" + bytes(18), b"PK\x03\x04", b"a line of text\n" * 100]
)
def test_a_file_of_another_kind_is_refused(path, foreign):
    path.write_bytes(foreign)
    assert_refused(path, "it is no .npz file|its end is missing")


def test_arrays_of_another_program_are_refused(path):
    np.savez(path, x=np.zeros(3), y=np.zeros(2))
    assert_refused(path, "it is no recording: what it holds is x, y")
    np.savez(path, format=np.array(1), x=np.zeros(3))
    assert_refused(path, "it is no recording: what it holds is format, x")


def test_a_newer_version_is_refused_whatever_else_is_in_it(path):
    np.savez(path, format=np.array(3), future=np.zeros(3, np.float32))
    assert_refused(path, "saved by a newer version, in format 3; this version reads up to 2: update it")


@pytest.mark.parametrize("version", [0, -1, 1.0, [1]])
def test_an_impossible_version_is_refused(path, version):
    write(path, contents(path) | {"format": np.array(version)})
    assert_refused(path, "its format .* is impossible")


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_was_changed_is_refused(path, name):
    arrays = contents(path)
    arrays[name] = np.nan_to_num(arrays[name]) + 1
    write(path, arrays, sealed=False)
    assert_refused(path, "its contents were changed after it was saved")


def test_other_final_weights_are_refused_even_if_sealed_again(path):
    arrays = contents(path)
    arrays["parameters"][-1] += 1e-12
    write(path, arrays)
    assert_refused(path, "its final weights are not those that were saved")


WRONG = {
    "a column of objects": lambda arrays: arrays | {"loss": np.array([{}, None])},
    "a column of float32": lambda arrays: arrays | {"loss": arrays["loss"].astype(np.float32)},
    "a column of big-endian numbers": lambda arrays: arrays | {"loss": arrays["loss"].astype(">f8")},
    "a column of records": lambda arrays: arrays | {"loss": np.zeros(2, "f8,f8")},
    "a column of dates": lambda arrays: arrays | {"loss": np.zeros(2, "M8[s]")},
    "a column turned on its side": lambda arrays: arrays | {"parameters": np.asfortranarray(arrays["parameters"])},
    "an index of nan": lambda arrays: arrays | {"index": np.full(2, np.nan)},
    "an index that goes back": lambda arrays: arrays | {"index": np.array([1, 0])},
    "an index below zero": lambda arrays: arrays | {"index": np.array([-1, 0])},
    "an index of another length": lambda arrays: arrays | {"index": np.arange(3)},
    "an index that is one number": lambda arrays: arrays | {"index": np.array(0)},
    "no epochs": lambda arrays: arrays | {name: arrays[name][:0] for name in COLUMNS},
    "a flat table": lambda arrays: arrays | {"parameters": arrays["parameters"].ravel()},
    "an array more": lambda arrays: arrays | {"extra": np.zeros(1)},
    "an array less": lambda arrays: {name: array for name, array in arrays.items() if name != "accuracy"},
    "nothing about it": lambda arrays: {name: array for name, array in arrays.items() if name != "about"},
    "an optimizer's state of another length": lambda arrays: arrays | {"optimizer.mean": np.zeros(3)},
    "an optimizer's state of whole numbers": lambda arrays: arrays | {"optimizer.mean": np.zeros(5, np.int64)},
    "an optimizer's state with a strange name": lambda arrays: arrays | {"optimizer.../../mean": np.zeros(5)},
    "words missing": lambda arrays: described(arrays, digest="gone"),
    "words more": lambda arrays: described(arrays, more=1),
    "nan among the settings": lambda arrays: described(arrays, settings={"rate": np.nan}),
    "settings that are a list": lambda arrays: described(arrays, settings=[]),
    "a name that is a number": lambda arrays: described(arrays, name=1),
    "widths of other units": lambda arrays: described(arrays, widths=[2]),
    "widths that are one number": lambda arrays: described(arrays, widths=1),
    "widths that are not whole": lambda arrays: described(arrays, widths=[1.0]),
    "a stride of nothing": lambda arrays: described(arrays, stride=0),
    "a capacity beyond all bounds": lambda arrays: described(arrays, capacity=10**30),
    "a generator's state of words": lambda arrays: described(arrays, rng_state={"bit_generator": "PCG64"}),
    "a generator's state that is empty": lambda arrays: described(arrays, rng_state={}),
    "a generator's state of another kind": lambda arrays: described(arrays, rng_state="PCG64"),
    "no words but a list": lambda arrays: arrays | {"about": np.frombuffer(b"[1]", np.uint8)},
    "words cut off": lambda arrays: arrays | {"about": arrays["about"][:-1]},
    "words without end": lambda arrays: arrays | {"about": np.frombuffer(b"[" * 100_000, np.uint8)},
    "words that are no text": lambda arrays: arrays | {"about": np.full(10, 255, np.uint8)},
    "words that are numbers": lambda arrays: arrays | {"about": np.zeros(10)},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_cannot_be_is_refused_even_if_sealed(path, wrong):
    arrays = WRONG[wrong](contents(path))
    np.savez(path, **arrays | {"seal": np.zeros(32, np.uint8)})
    assert_refused(path)
    if not any(array.dtype.hasobject for array in arrays.values()):
        write(path, arrays)
        assert_refused(path)


def test_a_pickle_in_the_file_is_not_opened(path, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(path, **contents(path) | {"loss": np.array([Trap(), Trap()])})
    assert_refused(path, "an array of object is none of a recording's")
    assert not (tmp_path / "sprung").exists()


# What a file says about itself


@pytest.mark.parametrize("epochs", [1, 20, 300])
def test_a_summary_says_of_a_file_what_loading_it_says(tmp_path, epochs):
    save(tmp_path / "run.npz", recording_of(epochs, settings=SETTINGS, seeds={"data": 1}, notes={"why": "?"}, name="Ü"))
    told, loaded = summary(tmp_path / "run.npz"), load(tmp_path / "run.npz")
    for name in ("settings", "seeds", "notes", "name", "created", "digest"):
        assert getattr(told, name) == getattr(loaded, name), name
    assert (told.epoch, told.loss) == (epochs - 1, loaded.epochs.loss[-1])
    assert told.size == (tmp_path / "run.npz").stat().st_size


def test_a_summary_of_a_large_file_reads_little_of_it(path, monkeypatch):
    """Of 8 MB, in pieces of at most 8 KiB for each of the six members and the archive's ends."""
    save(path, Recording(block(0, 100, 10_000)))
    read = []
    monkeypatch.setattr("builtins.open", lambda *arguments: Counting(*arguments, read))
    assert summary(path).epoch == 99
    assert sum(read) < 2**17 < path.stat().st_size / 50


class Counting(io.FileIO):
    """A file that notes down how many bytes are read of it."""

    def __init__(self, path: Path, mode: str, read: list[int]) -> None:
        super().__init__(path, mode)
        self._read = read

    def read(self, size: int = -1) -> bytes:
        found = super().read(size)
        self._read.append(len(found))
        return found


def test_a_summary_of_a_file_that_was_cut_off_is_refused(path, content):
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="cannot be loaded"):
            summary(path)


@pytest.mark.parametrize("wrong", WRONG)
def test_of_a_file_that_cannot_be_there_is_a_summary_or_a_refusal(path, wrong):
    np.savez(path, **WRONG[wrong](contents(path)))
    told = summary_or_refusal(path)
    assert "cannot be loaded" in told if isinstance(told, str) else isinstance(told.settings, dict)


def summary_or_refusal(path: Path) -> Summary | str:
    try:
        return summary(path)
    except ValueError as error:
        return str(error)


@given(st.data())
def test_whatever_is_changed_in_a_file_its_summary_is_one_or_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "changed.npz"
    save(path, recording_of(20))
    changed = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(changed) - 1), min_size=1, max_size=5)):
        changed[place] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    told = summary_or_refusal(path)
    assert "cannot be loaded" in told if isinstance(told, str) else told.size == len(changed)


def test_a_summary_of_no_file_and_of_endless_words_is_refused(path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        summary(path.parent / "missing.npz")
    monkeypatch.setattr(file, "MAX_TEXT_BYTES", 100)
    with pytest.raises(ValueError, match=r"format\.npy has more than 0 MiB"):
        summary(path)


def test_what_was_sent_is_loaded_like_what_lies_in_a_file(path, content):
    assert_same_epochs(recording_in(content).epochs, load(path).epochs)
    with pytest.raises(ValueError, match=r"'mine\.npz' cannot be loaded: its end is missing"):
        recording_in(content[:-1], "mine.npz")


# Files that want more memory than they are worth


def assert_refused_in_little_memory(path: Path, message: str, allowance: int) -> None:
    tracemalloc.start()
    try:
        assert_refused(path, message)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * path.stat().st_size + allowance


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["format", "loss"])
def test_a_compressed_bomb_is_refused_unopened(path, name):
    arrays = contents(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, array in arrays.items():
            if other != name:
                archive.writestr(f"{other}.npy", npy(array), zipfile.ZIP_STORED)
        archive.writestr(f"{name}.npy", bytes(2**26))
    assert_refused_in_little_memory(path, "it claims to hold 67,.* bytes, and the file has", 2**20)


def test_a_compressed_bomb_that_belittles_itself_is_refused_unopened(path):
    arrays = contents(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, array in arrays.items():
            archive.writestr(f"{other}.npy", npy(array), zipfile.ZIP_STORED)
        archive.writestr("bomb.npy", bytes(2**26))
        archive.getinfo("bomb.npy").file_size = 100
    assert_refused_in_little_memory(path, "bomb.npy is compressed; a recording's arrays are not", 2**20)


def test_members_that_lie_over_one_another_are_refused_unread(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("format.npy", bytes(2**16))
        member = archive.getinfo("format.npy")
        for i in range(100):
            twin = copy.copy(member)
            twin.filename = f"{i}.npy"
            archive.filelist.append(twin)
        archive._didModify = True
    assert_refused_in_little_memory(path, "it claims to hold 6,.* bytes, and the file has", 2**20)


def test_an_array_that_claims_to_be_huge_is_refused_unallocated(path):
    arrays = contents(path)
    header = npy(np.zeros(2)).replace(b"(2,), }" + b" " * 10, b"(2000000000000,), }"[:17])
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", header if name == "loss" else npy(array))
    assert_refused_in_little_memory(path, "cannot be loaded", 2**20)


def test_a_table_of_contents_without_end_is_refused_unread(path):
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3000):
            archive.writestr(f"{i}.npy", b"")
    assert_refused_in_little_memory(path, "its table of contents is too large", 2**18)


def test_a_file_larger_than_the_limit_is_neither_saved_nor_loaded(path, monkeypatch):
    monkeypatch.setattr(file, "LIMIT", 2**20)
    epochs = block(0, 5, 2**15)
    with pytest.raises(ValueError, match="a recording of 1 MiB is too large; keep fewer epochs, up to 0 MiB"):
        save(path, Recording(epochs))
    path.write_bytes(bytes(2**20 + 1))
    assert_refused(path, "it is larger than 1 MiB")


def test_a_file_as_large_as_may_be_saved_can_be_loaded(path, monkeypatch):
    monkeypatch.setattr(file, "LIMIT", 3 * 2**20)
    epochs = block(0, 8, 2**15 - 200)
    save(path, Recording(epochs))
    assert_same_epochs(load(path).epochs, epochs)


# Disks that fail, and processes that are killed


def full(*arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(path, content, monkeypatch, call):
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left on device"):
        save(path, recording_of())
    assert path.read_bytes() == content
    assert left_in(path.parent) == ["run.npz"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_save_that_is_interrupted_leaves_the_old_file_and_nothing_else(path, content, monkeypatch, error):
    written = []

    def interrupted(file, array, **arguments):
        written.append(array)
        if len(written) == 5:
            raise error

    monkeypatch.setattr(np.lib.format, "write_array", interrupted)
    with pytest.raises(error):
        save(path, recording_of())
    assert path.read_bytes() == content
    assert left_in(path.parent) == ["run.npz"]


def test_a_save_is_on_disk_before_it_takes_the_old_files_place(path, monkeypatch):
    """The file first, then its name: after a power cut there is the old one or the new one."""
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append(_kind(number)), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda one, other: (calls.append("replace"), replace(one, other)))
    save(path, recording_of())
    assert calls == ["file", "replace", "folder"]


def _kind(number: int) -> str:
    return "folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file"


def test_a_missing_folder_or_file_is_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "missing" / "run.npz", recording_of())
    with pytest.raises(FileNotFoundError, match=r"run\.npz"):
        load(tmp_path / "run.npz")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    with pytest.raises(IsADirectoryError):
        save(tmp_path, recording_of())
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        save(tmp_path / "file" / "run.npz", recording_of())
    assert left_in(tmp_path) == ["file"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.npz").symlink_to(tmp_path / "there" / "run.npz")
    save(tmp_path / "link.npz", recording_of())
    assert (tmp_path / "link.npz").is_symlink()
    assert left_in(tmp_path / "there") == ["run.npz"]


def test_a_new_file_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "other").touch()
    save(tmp_path / "run.npz", recording_of())
    assert (tmp_path / "run.npz").stat().st_mode == (tmp_path / "other").stat().st_mode


def python(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", TRAINED + code, *map(str, arguments)])


TRAINED = """
import os, signal, sys
from engine import DATASETS, Network, Training
from engine.recording import Recording, load, save
training = Training(Network([2, 4, 1]), DATASETS["moons"](n=20))
"""
KILLED = """
def killed(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[2], killed)
save(sys.argv[1], Recording(training.advance(100)))
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save(sys.argv[1], Recording(training.advance(1000)))
except OSError as error:
    sys.exit(0 if "too large" in str(error) else 2)
"""
RACING = """
epochs = training.advance(100 * int(sys.argv[2]))
for i in range(5):
    save(sys.argv[1], Recording(epochs, name=sys.argv[2]))
    seen = load(sys.argv[1])
    assert len(seen.epochs) == 100 * int(seen.name)
"""


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_process_killed_while_it_saves_leaves_the_old_file(path, content, call):
    assert python(KILLED, path, call).wait() == -signal.SIGKILL
    assert path.read_bytes() == content


def test_a_disk_without_room_leaves_the_old_file_and_nothing_else(path, content):
    """The system itself refuses to let the file grow."""
    assert python(LIMITED, path).wait() == 0
    assert path.read_bytes() == content
    assert left_in(path.parent) == ["run.npz"]


def test_several_processes_save_to_one_path_and_all_read_whole_files(path):
    racers = [python(RACING, path, number) for number in (1, 2, 3)]
    assert [racer.wait() for racer in racers] == [0, 0, 0]
    assert len(load(path).epochs) == 100 * int(load(path).name)
    assert left_in(path.parent) == ["run.npz"]

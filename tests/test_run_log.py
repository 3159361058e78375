"""Run logs: what is logged arrives, in order and complete, whatever happens to the process that logs."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.tracking import run_log
from dashboard.tracking.batching import LoggedEpoch
from dashboard.tracking.log_reader import LogReader, Sketch
from dashboard.tracking.log_writer import LogWriter, Thinning
from dashboard.tracking.run_log import Layout, Measured, RunLog, run_logs
from engine import DATASETS, Network, train
from engine.recording import first_in_stride
from engine.training import COLUMNS, NUMBERS, Epoch, Epochs

ROOT = Path(__file__).parents[1]
LAYOUT = Layout(("first", "out"), (("hidden", 3),), (("first", 4), ("out", 2)))
NAN = float("nan")
PATIENCE = 30


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def writer(place: Path) -> Iterator[LogWriter]:
    found = LogWriter(RunLog.begun("a run"))
    yield found
    found.close()


def telling(index: int, loss: float | None = None, layout: Layout = LAYOUT, **parts: object) -> LoggedEpoch:
    tables = {"gradient_norms": np.array([index + 1.0, 2]), "means": np.arange(3.0) + index}
    tables |= {"parameters": np.arange(6.0) * index}
    return LoggedEpoch(index, (1 / (index + 1) if loss is None else loss, *[NAN] * 4), layout, **(tables | parts))


def seen(reader: LogReader) -> LogReader:
    """The reader, once it has read everything."""
    for _ in range(3):
        reader._looked = -1
        reader.poll()
    return reader


def read(writer: LogWriter) -> LogReader:
    writer.flush()
    return seen(LogReader.of(writer.run_log.id))


def indices(reader: LogReader) -> list[int]:
    return reader.history.epochs().index.tolist()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 7), st.integers(0, 2**32 - 1))
def test_what_is_unpacked_is_what_was_packed_bit_for_bit(rows, layers, units, seed):
    rng = np.random.default_rng(seed)
    tables = rng.normal(size=(rows, layers)), rng.normal(size=(rows, units)), np.empty((rows, 0))
    block = Epochs(np.arange(rows), *rng.normal(size=(len(NUMBERS), rows)), *tables, widths=())
    layout = Layout(tuple("abcde"[:layers]), (("h", units),) if units else ())
    given, batches = rng.random((rows, 5)) < 0.5, rng.integers(0, 2**32, (rows, 2), np.uint32)
    log = Measured.of(block, given, batches, rng.random(layers) < 0.5, rng.random(units) < 0.5)
    found = run_log.unpacked(run_log.packed(log), layout)
    for name in COLUMNS:
        assert np.array_equal(getattr(found.epochs, name), getattr(block, name))
    for name in ("given", "batches", "known_layers", "known_units"):
        assert np.array_equal(getattr(found, name), getattr(log, name))
    assert Layout.unpacked(layout.packed()) == layout


def test_a_run_log_of_format_1_is_read_as_it_was_logged(place):
    """Records as version 1 wrote them: nan stands for what was not logged, but a lone nan loss was logged."""
    writer = LogWriter(RunLog.begun("old"))
    writer.close()
    nan = [NAN] * 3
    rows = np.array([[1.0, 0.5, *nan], [NAN, NAN, *nan], [NAN, 0.25, *nan]])
    payload = run_log.SHAPE.pack(3, 2, 0) + np.arange(3).tobytes() + rows.T.tobytes() + np.ones((3, 2)).tobytes()
    content = run_log.record(run_log.LAYOUT, Layout(("a", "b")).packed()) + run_log.record(run_log.EPOCHS_1, payload)
    writer.run_log.records.write_bytes(content)
    about = writer.run_log.folder / "about.json"
    about.write_bytes(about.read_bytes().replace(b'"format": 3', b'"format": 1'))
    assert indices(seen(LogReader.of(writer.run_log.id)))[:1] == [0]
    log = run_log.unpacked_1(payload, Layout(("a", "b")))
    assert log.given[:, :2].tolist() == [[True, True], [True, False], [False, True]]
    assert not log.given[:, 2:].any()
    assert log.epochs.gradient_norms.tolist() == [[1, 1]] * 3


def test_layers_that_are_left_out_are_reported_with_the_reason():
    layers = {"norm": "a LayerNorm has no matrix of weights", "x" * 300: "ü" * 300}
    found = run_log.left_out(run_log.packed_left_out(layers))
    assert found == {"norm": "a LayerNorm has no matrix of weights", "x" * 100: "ü" * 200}


@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f600", "\udc80", '"'])
def test_an_end_in_any_letters_fits_its_place(writer, letter):
    writer.close("failed: ValueError: " + letter * 500)
    assert writer.run_log.state() == run_log.FAILED
    shown = letter.encode(errors="replace").decode()
    assert writer.run_log.status().end.startswith("failed: ValueError: " + shown * 30)


def test_when_a_run_log_began_is_a_moment_whatever_the_time_zone_and_the_date(writer):
    log = writer.run_log
    assert abs(log.began - time.time()) < PATIENCE
    zones = [
        replace(log, created=f"2026-11-01T{hour}:30:00{zone}").began for hour, zone in ((12, "-05:00"), (17, "+00:00"))
    ]
    assert zones[0] == zones[1]
    assert abs(replace(log, created="yesterday").began - time.time()) < PATIENCE
    assert replace(log, created="yesterday", host="elsewhere").state() == run_log.LIVE


def test_every_epoch_that_was_logged_arrives_with_all_its_numbers(writer):
    for index in range(300):
        writer.take_arrays(telling(index))
    reader = read(writer)
    assert indices(reader) == list(range(300))
    for index in (0, 17, 299):
        epoch = reader.history.at(index)
        assert epoch.loss == 1 / (index + 1)
        assert epoch.gradient_norms.tolist() == [index + 1, 2]
        assert epoch.mean_activations[0].tolist() == [index, index + 1, index + 2]
        assert epoch.parameters.tolist() == (np.arange(6.0) * index).tolist()


def test_a_reader_that_comes_in_between_reads_on(writer):
    writer.take_arrays(telling(0))
    reader = read(writer)
    version, setup = reader.version, reader.setup
    writer.take_arrays(telling(1))
    assert read(writer) is reader
    assert indices(reader) == [0, 1]
    assert reader.version > version
    assert reader.setup is setup, "pictures would begin anew"


@pytest.mark.parametrize("first", [0, 1, 9])
@pytest.mark.parametrize("gap", [1, 2, 7, 10, 1000])
@pytest.mark.parametrize("count", [3, 90, 700])
def test_epochs_far_apart_are_all_in_sight_however_they_are_thinned(writer, first, gap, count):
    """A picture draws the first of every so many epochs: those that were logged, and as many as there is room for."""
    log = [first + gap * i for i in range(count)]
    for index in log:
        writer.take_arrays(telling(index, loss=float(index)))
    reader = read(writer)
    stride = reader.history.stride
    while log[-1] // stride >= 512:
        stride *= 2
    drawn = reader.history.kept()
    drawn = drawn.rows(first_in_stride(drawn.index, stride))
    assert len(drawn) == len({index // stride for index in log}) >= min(count, 250)
    assert {*drawn.index.tolist()} <= {*log}
    assert (drawn.loss == drawn.index).all()
    assert reader.history[-1].loss == log[-1]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.integers(1, 20))
def test_in_whatever_order_epochs_come_the_last_word_on_each_is_shown_in_its_place(tmp_path_factory, log, pieces):
    folder = tmp_path_factory.mktemp("order")
    writer = LogWriter(RunLog.begun("a run", folder=folder))
    reader = LogReader(writer.run_log)
    for place, index in enumerate(log):
        writer.take_arrays(telling(index, loss=place + 1.0))
        if place % pieces == 0:
            writer.flush()
            seen(reader)
    writer.flush()
    seen(reader)
    shown = {index: reader.history.at(index).loss for index in set(log)}
    assert shown == {index: place + 1.0 for place, index in enumerate(log)}
    assert (np.diff(indices(reader)) > 0).all()
    late = any(index <= max(log[:place], default=-1) for place, index in enumerate(log))
    assert any("late" in said for said in reader.problems) == late
    writer.close()


def test_what_is_not_logged_with_an_epoch_is_not_known_there(writer):
    writer.take_arrays(telling(0))
    writer.take_arrays(telling(1, gradient_norms=None, means=None, parameters=None))
    writer.take_arrays(telling(2))
    reader = read(writer)
    assert np.isnan(reader.history.at(1).gradient_norms).all()
    assert np.isnan(reader.history.at(1).parameters).all()
    assert reader.logged.of("gradient_norms").epochs().index.tolist() == [0, 2]
    assert reader.history.at(2).mean_activations[0].tolist() == [2, 3, 4]


def test_what_comes_later_only_is_shown_from_then_on_and_nothing_is_lost(writer):
    bare = Layout()
    for index in range(5):
        writer.take_arrays(telling(index, layout=bare, gradient_norms=None, means=None, parameters=None))
    before = read(writer)
    assert before.history[-1].gradient_norms.size == 0
    for index in range(5, 9):
        writer.take_arrays(telling(index))
    reader = read(writer)
    assert indices(reader) == list(range(9))
    assert [reader.history.at(i).loss for i in range(9)] == [1 / (i + 1) for i in range(9)]
    assert np.isnan(reader.history.at(2).gradient_norms).all()
    assert reader.logged.of("gradient_norms").epochs().index.tolist() == [5, 6, 7, 8]
    assert reader.setup.network.widths == (3,)


def test_epochs_that_are_no_finite_numbers_are_left_out_and_said_so(writer):
    for index in range(10):
        writer.take_arrays(telling(index, loss=float("inf") if index in (4, 5) else 1.0))
    reader = read(writer)
    assert np.flatnonzero(np.isnan(reader.history.epochs().loss)).tolist() == [4, 5]
    assert reader.diverged is None
    assert "2 epochs" in reader.problems[0]
    assert "4 to 5" in reader.problems[0]
    writer.take_arrays(telling(10, loss=NAN))
    assert read(writer).diverged == 10


def test_a_validation_loss_that_comes_gets_its_line(writer):
    writer.take_arrays(telling(0))
    reader = read(writer)
    assert reader.setup.validation is None
    writer.take_arrays(LoggedEpoch(1, (0.5, NAN, 0.75, NAN, NAN), LAYOUT))
    assert read(writer).setup.validation is not None
    assert reader.history[-1].validation_loss == 0.75


def test_a_sketch_shows_which_parameters_are_whose(writer):
    writer.take_arrays(telling(1))
    network = read(writer).setup.network
    assert isinstance(network, Sketch)
    network.parameters[:] = np.arange(6)
    assert [weights.tolist() for weights in network.weights] == [[0, 1, 2, 3], [4, 5]]
    assert network.copy().parameters is not network.parameters


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_record_that_is_cut_off_waits_for_its_rest(writer, cut):
    writer.take_arrays(telling(0))
    writer.flush()
    whole = writer.run_log.records.read_bytes()
    writer.take_arrays(telling(1))
    writer.flush()
    more = writer.run_log.records.read_bytes()
    writer.run_log.records.write_bytes(more[: len(whole) + cut])
    reader = LogReader(writer.run_log)
    assert indices(reader) == [0]
    writer.run_log.records.write_bytes(more)
    assert indices(seen(reader)) == [0, 1]
    assert reader.problems == []


@given(st.binary(min_size=1, max_size=300), st.integers(0, 10_000))
def test_a_damaged_or_foreign_run_log_is_reported_and_raises_nothing(tmp_path_factory, rubbish, where):
    folder = tmp_path_factory.mktemp("damaged")
    writer = LogWriter(RunLog.begun("a run", folder=folder))
    for index in range(20):
        writer.take_arrays(telling(index))
        if index % 5 == 4:
            writer.flush()
    writer.close()
    content = bytearray(writer.run_log.records.read_bytes())
    at = where % len(content)
    content[at : at + len(rubbish)] = rubbish
    writer.run_log.records.write_bytes(content)
    reader = seen(LogReader(writer.run_log))
    shown = reader.history.epochs() if len(reader.history) else None
    assert shown is None or shown.loss.tolist() == [1 / (i + 1) for i in range(len(shown.index))]


@pytest.mark.parametrize("key", ["", "..", "../x", "20261123-190000-ab12cd/..", "20261123-190000-AB12CD", "x" * 200])
def test_what_is_no_id_is_refused_before_it_becomes_a_path(place, key):
    with pytest.raises(ValueError, match="no run to watch"):
        RunLog.found(key)


def test_a_run_log_that_is_not_there_or_damaged_says_so(place, writer):
    with pytest.raises(ValueError, match="not there"):
        RunLog.found("20261123-190000-ab12cd")
    about = writer.run_log.folder / "about.json"
    for content in (b"", b"[]", b"{}", b'{"format": 3}', b"\xff", about.read_bytes().replace(b'"pid": ', b'"pid": -')):
        about.write_bytes(content)
        with pytest.raises(ValueError, match=r"."):
            RunLog.found(writer.run_log.id)


def test_two_runs_of_one_name_are_two_run_logs(place):
    both = [LogWriter(RunLog.begun("the same")) for _ in range(2)]
    for place_, one in enumerate(both):
        one.take_arrays(telling(place_))
        one.close()
    assert len(list(run_logs())) == 2
    assert [indices(LogReader.of(one.run_log.id)) for one in both] == [[0], [1]]


def test_ended_stopped_failed_running_and_killed_are_distinguished(writer):
    log = writer.run_log
    assert log.state() == run_log.LIVE
    for end in ("ended", "stopped by KeyboardInterrupt", "failed: ValueError: no"):
        one = LogWriter(RunLog.begun("one"))
        one.close(end)
        assert one.run_log.state() == end.split(" ")[0].split(":")[0]
    gone = RunLog(log.folder, "gone", log.created, log.pid, "another", log.host)
    assert gone.state() == run_log.KILLED
    elsewhere = RunLog(log.folder, "far", log.created, log.pid, log.born, "another machine")
    assert elsewhere.state() == run_log.LIVE


WRITER_SCRIPT = """
import sys, time
import numpy as np
from dashboard.tracking.run_log import RunLog, Layout
from dashboard.tracking.batching import LoggedEpoch
from dashboard.tracking.log_writer import LogWriter
writer = LogWriter(RunLog.begun("to be killed"))
print(writer.run_log.id, flush=True)
layout = Layout(("one",), (), ())
for index in range(1_000_000):
    writer.take_arrays(LoggedEpoch(index, (1 / (index + 1), *[float("nan")] * 4), layout, np.ones(1)))
    if index % 50 == 49:
        writer.flush()
        print(index, flush=True)
    time.sleep(0.0005)
"""


def test_after_a_kill_every_epoch_is_there_up_to_the_last_flush(place):
    process = subprocess.Popen([sys.executable, "-c", WRITER_SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    key = process.stdout.readline().strip()
    flushed = 0
    while flushed < 400:
        flushed = int(process.stdout.readline())
    reader = LogReader.of(key)
    assert reader.state == run_log.LIVE
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    flushed = max([flushed, *map(int, process.stdout.read().split())])
    assert seen(reader).state == run_log.KILLED
    assert reader.problems == []
    assert reader.history[-1].index >= flushed
    assert indices(reader)[-200:] == list(range(reader.history[-1].index - 199, reader.history[-1].index + 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_writes_nothing_and_ends_nothing(writer):
    writer.take_arrays(telling(0))
    child = os.fork()
    if not child:
        writer.take_arrays(telling(77))
        writer.flush()
        writer.close()
        os._exit(0)
    os.waitpid(child, 0)
    writer.take_arrays(telling(1))
    reader = read(writer)
    assert indices(reader) == [0, 1]
    assert reader.state == run_log.LIVE


def test_several_threads_may_log_at_once(writer):
    def tell(start: int) -> None:
        for index in range(start, 1000, 4):
            writer.take_arrays(telling(index))

    threads = [threading.Thread(target=tell, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = read(writer)
    assert writer._status.epochs == 1000
    assert {*range(801, 1000)} <= {*indices(reader)}


def trained(count: int) -> list[Epoch]:
    return list(islice(train(Network([2, 3, 1]), DATASETS["moons"](n=20)), count))


@pytest.mark.parametrize("every", [1, 7, 64, 1000])
def test_epochs_of_blocks_arrive_also_where_they_are_written_in_the_middle_of_one(writer, every):
    epochs = trained(300)
    for epoch in epochs:
        writer.take_row(epoch)
        if epoch.index % every == 0:
            writer.flush()
    writer.close()
    reader = read(writer)
    assert indices(reader) == list(range(300))
    kept, last = reader.history[-1], epochs[-1]
    assert (kept.loss, kept.accuracy) == (last.loss, last.accuracy)
    assert np.array_equal(kept.gradient_norms, last.gradient_norms)
    assert np.array_equal(kept.parameters, last.parameters)


def test_a_row_that_comes_while_its_block_is_taken_is_written_the_next_time(writer):
    epochs = trained(200)
    for epoch in epochs[:150]:
        writer.take_row(epoch)
    piece = writer._piece
    writer.flush()
    piece.last += 1
    for epoch in epochs[151:]:
        writer.take_row(epoch)
    assert indices(read(writer)) == list(range(200))


def test_what_is_logged_is_written_by_itself_within_a_moment(writer):
    reader = read(writer)
    writer.take_arrays(telling(0))
    until(lambda: len(seen(reader).history) == 1)


def test_a_run_log_that_is_garbage_collected_leaves_no_thread(place):
    before = threading.active_count()
    for _ in range(5):
        LogWriter(RunLog.begun("forgotten"))
    until(lambda: threading.active_count() <= before)


def test_a_full_disk_loses_nothing_and_is_logged(writer, monkeypatch, caplog):
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        if descriptor == writer._file:
            write(descriptor, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content)

    writer.take_arrays(telling(0))
    writer.flush()
    monkeypatch.setattr(os, "write", full)
    writer.take_arrays(telling(1))
    writer.flush()
    writer.take_arrays(telling(2))
    writer.flush()
    assert "make room" in caplog.text
    monkeypatch.undo()
    os.environ["DESCENT_LAB_HOME"] = str(writer.run_log.folder.parents[1])
    reader = read(writer)
    assert indices(reader) == [0, 1, 2]
    assert reader.problems == []


def test_a_run_log_stays_below_its_limit_and_says_that_it_thins(place):
    limit = 400_000
    writer = LogWriter(RunLog.begun("long"), limit=limit)
    for index in range(20_001):
        writer.take_arrays(telling(index))
        if index % 100 == 0:
            writer.flush()
    writer.close()
    assert writer.run_log.records.stat().st_size < limit
    reader = seen(LogReader.of(writer.run_log.id))
    assert reader.history[-1].index == 20_000
    assert reader.history[-1].parameters.tolist() == (np.arange(6.0) * 20_000).tolist()
    assert any("only some epochs" in said for said in reader.problems)
    assert (np.diff(reader.history.kept().index) <= writer._whole.stride).all()


def test_thinning_grows_by_powers_of_two():
    thinning, strides = Thinning(free=100, step=10), []
    for _ in range(16):
        strides.append(thinning.stride)
        thinning.spend(10)
    assert strides == [1] * 10 + [2, 4, 8, 16, 32, 64]


def test_run_logs_stay_until_a_user_has_the_old_ones_deleted_that_have_ended(place):
    running = LogWriter(RunLog.begun("running"))
    for place_ in range(5):
        LogWriter(RunLog.begun(f"ended {place_}")).close()
    assert len([*run_logs()]) == 6
    assert run_log.prune(3) == 2
    assert sorted(RunLog.found(key).name for key in run_logs()) == ["ended 2", "ended 3", "ended 4", "running"]
    running.close()


def test_one_reader_serves_all_and_goes_with_the_last(writer):
    writer.take_arrays(telling(0))
    first = read(writer)
    assert LogReader.of(writer.run_log.id) is first
    left = weakref.ref(first)
    del first
    assert left() is None

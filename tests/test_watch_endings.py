"""However a watched training ends, the page says how; and nothing of it stays open."""

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dashboard.tracking import log_writer, run_log
from dashboard.tracking.endings import ending, is_ours
from dashboard.tracking.logger import observe, watch
from dashboard.tracking.run_log import HEAD, Layout, RunLog, run_logs
from dashboard.tracking.tracked_run import TrackedRun, WatchSettings
from engine import DATASETS, Network, train

ROOT = Path(__file__).parents[1]
PATIENCE = 20


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DESCENT_LAB_BROWSER", "0")
    return tmp_path / "home"


IMPORTS = "import sys, os, time, threading\nfrom dashboard import watch, observe\n"
ONE = "with watch('a') as lab:\n lab.log(0, loss=1.0)\n"


def run(code: str, *flags: str, kill: int = 0) -> subprocess.Popen:
    """A script in a process of its own, until it has ended."""
    command = [sys.executable, *flags, "-c", IMPORTS + code]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if kill:
        process.stdout.readline()
        process.send_signal(kill)
    process.said = process.communicate(timeout=120)
    return process


def logged(key: str) -> dict[int, dict[str, float]]:
    """What was logged of every epoch, merged."""
    found: dict[int, dict[str, float]] = {}
    layout, content, at = Layout(), RunLog.found(key).records.read_bytes(), 0
    names = ("loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate")
    while at < len(content):
        _, kind, length, _ = HEAD.unpack_from(content, at)
        payload, at = content[at + HEAD.size : at + HEAD.size + length], at + HEAD.size + length
        if kind == run_log.LAYOUT:
            layout = Layout.unpacked(payload)
        elif kind == run_log.EPOCHS:
            block = run_log.unpacked(payload, layout)
            for row, index in enumerate(block.epochs.index.tolist()):
                numbers = zip(names, block.given[row], strict=True)
                found.setdefault(index, {}).update(
                    {name: float(getattr(block.epochs, name)[row]) for name, given in numbers if given}
                )
    return found


def said(key: str) -> list[str]:
    content, at, found = RunLog.found(key).records.read_bytes(), 0, []
    while at < len(content):
        _, kind, length, _ = HEAD.unpack_from(content, at)
        payload, at = content[at + HEAD.size : at + HEAD.size + length], at + HEAD.size + length
        if kind == run_log.MESSAGE:
            found.append(run_log.words(payload))
        elif kind == run_log.LEFT_OUT:
            found += [f"{name}: {why}" for name, why in run_log.left_out(payload).items()]
    return found


TRAIN = """
def data():
    from engine import DATASETS, Network, train
    return train(Network([2, 3, 1]), DATASETS["moons"](20))
"""

ENDINGS = {
    "with": ("with watch('a') as lab:\n lab.log(0, loss=1.0)", "ended", ""),
    "without with": ("lab = watch('a')\nlab.log(0, loss=1.0)", "ended", ""),
    "without with, in a function": ("def f():\n lab = watch('a')\n lab.log(0, loss=1.0)\nf()", "ended", ""),
    "exception in with": (ONE + " 1 / 0", "failed: ZeroDivisionError", "ZeroDivisionError"),
    "exception without with": ("lab = watch('a')\nlab.log(0, loss=1.0)\n{}['x']", "failed: KeyError", "KeyError"),
    "exception in a function without with": (
        "def f():\n lab = watch('a')\n lab.log(0, loss=1.0)\n raise ValueError('ü')\nf()",
        "failed: ValueError: ü",
        "ValueError",
    ),
    "exception after a caught one": (
        "lab = watch('a')\nlab.log(0, loss=1.0)\ntry:\n 1 / 0\nexcept ZeroDivisionError:\n pass",
        "ended",
        "",
    ),
    "exception with a hook of their own": (
        "sys.excepthook = lambda *told: print('theirs')\nlab = watch('a')\nlab.log(0, loss=1.0)\n1 / 0",
        "failed: ZeroDivisionError",
        "ZeroDivisionError",
    ),
    "exception in a thread": (
        "def f():\n lab = watch('a')\n lab.log(0, loss=1.0)\n 1 / 0\n"
        "one = threading.Thread(target=f)\none.start()\none.join()",
        "failed: ZeroDivisionError",
        "ZeroDivisionError",
    ),
    "exception in the body of observe": (
        TRAIN + "for epoch in observe(data()):\n if epoch.index == 3: raise KeyError(3)",
        "failed: KeyError: 3",
        "KeyError",
    ),
    "exception in a function that observes": (
        TRAIN + "def f():\n for epoch in observe(data()):\n  if epoch.index == 3: [].x\nf()",
        "failed: AttributeError",
        "AttributeError",
    ),
    "Ctrl-C in the body of observe": (
        TRAIN + "for epoch in observe(data()):\n if epoch.index == 3: raise KeyboardInterrupt",
        "stopped by KeyboardInterrupt",
        "KeyboardInterrupt",
    ),
    "an exception around observe that is caught": (
        TRAIN
        + "try:\n for epoch in observe(data()):\n  if epoch.index == 3: 1 / 0\n"
        + "except ZeroDivisionError: pass\ntime.sleep(1)",
        "stopped by an exception",
        "",
    ),
    "an exception inside try and finally": (
        TRAIN
        + "def f():\n for epoch in observe(data()):\n  try:\n   if epoch.index == 3: 1 / 0\n  finally: pass\n"
        + "try: f()\nexcept ZeroDivisionError: pass",
        "stopped by an exception",
        "",
    ),
    "break": (TRAIN + "for epoch in observe(data()):\n if epoch.index == 3: break", "ended", ""),
    "return": (TRAIN + "def f():\n for epoch in observe(data()):\n  if epoch.index == 3: return 1\nf()", "ended", ""),
    "islice": (TRAIN + "from itertools import islice\nlist(islice(observe(data()), 4))", "ended", ""),
    "close": (TRAIN + "one = observe(data())\nnext(one)\none.close()", "ended", ""),
    "sys.exit in with": (ONE + " sys.exit(0)", "stopped by SystemExit", "SystemExit"),
    "os._exit": ("lab = watch('a')\nlab.log(0, loss=1.0)\ntime.sleep(.5)\nos._exit(1)", "", ""),
    "no word of an error": (
        "class Odd(Exception):\n def __str__(self): raise RuntimeError\nwith watch('a') as lab:\n raise Odd",
        "failed: Odd",
        "__main__.Odd",
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_each_ends_as_what_it_was(name):
    code, end, error = ENDINGS[name]
    process = run(code)
    (key,) = run_logs()
    status = RunLog.found(key).status()
    assert status.end.startswith(end) if end else status.end == "", process.said
    assert status.error == error
    assert RunLog.found(key).state() == (end.split(" ")[0].split(":")[0] if end else run_log.KILLED)
    if "hook of their own" in name:
        assert process.said[0] == "theirs\n"


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("number", "state"), [(signal.SIGINT, "stopped"), (signal.SIGTERM, "killed"), (signal.SIGKILL, "killed")]
)
def test_signals_end_as_what_they_were(number, state):
    loop = "lab = watch('a')\nfor epoch in range(10**9):\n lab.log(epoch, loss=1.0)\n"
    run(loop + " if epoch == 9: print(1, flush=True)\n time.sleep(.01)", kill=number)
    (key,) = run_logs()
    assert RunLog.found(key).state() == state


def test_a_lab_that_nobody_holds_has_ended_with_all_its_epochs_at_once():
    def training(count: int) -> str:
        lab = watch("forgotten")
        for epoch in range(count):
            lab.log(epoch, loss=1 / (1 + epoch))
        return lab.id

    for count in (50, 34, 1):
        key = training(count)
        assert RunLog.found(key).status().end == "ended"
        assert sorted(logged(key)) == list(range(count))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_many_trials_in_one_process_leave_no_file_and_no_thread_open():
    gc.collect()
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for trial in range(30):
        watch(f"trial {trial}").log(0, loss=1.0)
    assert len(os.listdir("/proc/self/fd")) <= files
    end = time.monotonic() + PATIENCE
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.02)
    assert threading.active_count() <= threads


def test_two_hundred_trials_fit_into_256_files():
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
for k in range(200):
    watch(f"trial {k}").log(0, loss=1.0)
    open(os.devnull).close()
"""
    assert run(code).returncode == 0


def test_a_lab_in_a_circle_ends_when_it_is_collected():
    class Trainer:
        def __init__(self) -> None:
            self.lab, self.me = watch("circle"), self

    key = Trainer().lab.id
    gc.collect()
    assert RunLog.found(key).state() == run_log.ENDED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_neither_writes_into_nor_ends_the_run_of_its_parent():
    lab = watch("parent")
    lab.log(0, loss=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        lab.log(77, loss=7.0)
        lab.close()
        del lab
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    lab.log(1, loss=0.5)
    assert RunLog.found(lab.id).state() == run_log.LIVE
    lab.close()
    assert sorted(logged(lab.id)) == [0, 1]


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_of_multiprocessing_begin_no_run_by_reading_the_program(tmp_path, method):
    script = tmp_path / "script.py"
    script.write_text(f"""
import multiprocessing
from dashboard import watch
lab = watch("one")
def work(x):
    lab.log(99, loss=9.0)
    return x
if __name__ == "__main__":
    lab.log(0, loss=1.0)
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        assert pool.map(work, range(4)) == [0, 1, 2, 3]
    lab.log(1, loss=0.5)
""")
    subprocess.run([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=120)
    (key,) = run_logs()
    assert sorted(logged(key)) == [0, 1]
    assert RunLog.found(key).status().end == "ended"


def test_a_process_of_multiprocessing_that_trains_logs_a_run_of_its_own(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""
import multiprocessing
from dashboard import watch
def work(x):
    global lab
    lab = watch(f"trial {x}")
    lab.log(0, loss=1.0)
if __name__ == "__main__":
    processes = [multiprocessing.Process(target=work, args=(x,)) for x in range(2)]
    [one.start() for one in processes]
    [one.join() for one in processes]
""")
    subprocess.run([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=120)
    assert [RunLog.found(key).status().end for key in run_logs()] == ["ended"] * 2


def test_after_the_end_nothing_is_logged_and_nothing_raised():
    lab = watch("over")
    lab.log(0, loss=1.0)
    lab.close()
    lab.close("failed")
    lab.log(1, loss=1.0)
    lab.log_epoch(None)
    assert sorted(logged(lab.id)) == [0]
    assert RunLog.found(lab.id).status().end == "ended"


def test_two_entries_of_an_epoch_are_merged_without_a_message():
    with watch("two calls") as lab:
        for epoch in range(20):
            lab.log(epoch, loss=1 / (1 + epoch), validation_accuracy=None)
            lab.log(epoch, validation_loss=2 / (1 + epoch))
            lab.log(epoch, gradients=[1.0])
    found = logged(lab.id)
    assert found == {e: {"loss": 1 / (1 + e), "validation_loss": 2 / (1 + e)} for e in range(20)}
    assert not [one for one in said(lab.id) if "twice" in one]


def test_none_is_not_logged_and_nan_is():
    with watch("none") as lab:
        lab.log(0, loss=None, accuracy=0.5)
        lab.log(1, loss=float("nan"))
        lab.log(2, 1.0, validation_loss=None, accuracy=None, learning_rate=None)
        lab.log(3)
    found = logged(lab.id)
    assert found[0] == {"accuracy": 0.5}
    assert np.isnan(found[1]["loss"])
    assert found[2] == {"loss": 1.0}
    assert 3 not in found


class Number:
    def __init__(self, value: float) -> None:
        self.value = value

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        return np.array(self.value)


class Panic(BaseException):
    """As an extension in Rust raises."""


class Panicking:
    def __float__(self) -> float:
        raise Panic("no")


def named(value: object) -> str:
    """What a test is called: the same in every process that collects it."""
    return type(value).__name__ if " at 0x" in repr(value) else f"{value!r:.30}"


SCALARS = [0.25, np.float32(0.25), np.float16(0.25), np.array(0.25), np.array([[0.25]]), [0.25], Decimal("0.25")]
SCALARS += [Fraction(1, 4), Number(0.25), "0.25"]


@pytest.mark.parametrize("value", SCALARS, ids=lambda value: type(value).__name__)
def test_a_number_is_a_number_whatever_it_comes_as(value):
    with watch("number") as lab:
        lab.log(0, loss=value)
    assert logged(lab.id) == {0: {"loss": 0.25}}
    assert bool(said(lab.id)) == isinstance(value, str)


@pytest.mark.parametrize("value", ["low", object(), 1 + 2j, [1, 2], np.ma.masked, {}, [], Panicking(), b"x"], ids=named)
def test_what_is_no_number_is_said_and_leaves_the_rest(value, caplog):
    with watch("no number") as lab:
        lab.log(0, loss=value, accuracy=0.5)
        lab.log(1, loss=1.0, validation_loss=value)
        lab.log(2, loss=1.0)
    found = logged(lab.id)
    assert found[2] == {"loss": 1.0}
    assert said(lab.id)
    if not isinstance(value, Panicking):
        assert (found[0], found[1]) == ({"accuracy": 0.5}, {"loss": 1.0})


def test_numbers_that_are_too_large_are_infinite():
    with watch("large") as lab:
        lab.log(0, loss=10**400, accuracy=Fraction(-(10**400)))
    assert logged(lab.id)[0] == {"loss": np.inf, "accuracy": -np.inf}


@pytest.mark.parametrize("epoch", [2**53, 2**63, 2**80, 10**400, float("inf"), "x", object(), -1, 1.5], ids=named)
def test_an_epoch_that_cannot_be_is_shown_as_the_next_one(epoch):
    with watch("epochs") as lab:
        lab.log(4, loss=1.0)
        lab.log(epoch, loss=2.0)
        lab.log(2**53 - 1, loss=3.0)
        lab.log(None, accuracy=1.0)
    found = logged(lab.id)
    assert found[5] == {"loss": 2.0}
    assert found[2**53 - 1] == {"loss": 3.0, "accuracy": 1.0}


def test_numbers_without_names_are_said_and_not_raised_and_any_name_is_a_metric():
    with watch("unknown", model=3) as lab:
        lab.log(0, 1.0, 0.5, 0.25, perplexity=3)
    assert logged(lab.id) == {0: {"loss": 1.0}}
    assert "model" in said(lab.id)[0]
    assert "2 numbers without names" in said(lab.id)[1]
    store = TrackedRun(WatchSettings(feed=lab.id))
    store.read_all()
    assert store.logbook.metrics["perplexity"].values.tolist() == [3.0]


@pytest.mark.parametrize("raised", [MemoryError(), RecursionError(), Warning("w"), Panic("p"), AssertionError()])
def test_whatever_goes_wrong_while_arrays_are_measured_the_loss_is_logged(monkeypatch, raised):
    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr("dashboard.tracking.sampler.Sampler.read", fails)
    with watch("broken") as lab:
        for epoch in range(3):
            lab.log(epoch, loss=1.0, gradients=[1.0])
    assert sorted(logged(lab.id)) == [0, 1, 2]


def test_ctrl_c_while_something_is_logged_is_the_programs(monkeypatch):
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dashboard.tracking.sampler.Sampler.read", pressed)
    with pytest.raises(KeyboardInterrupt), watch("Ctrl-C") as lab:
        lab.log(0, loss=1.0, gradients=[1.0])
    assert logged(lab.id) == {0: {"loss": 1.0}}
    assert RunLog.found(lab.id).state() == run_log.STOPPED


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no alarm here")
def test_a_time_limit_that_strikes_while_something_is_logged_is_the_programs():
    class TooLongError(Exception):
        pass

    def strike(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, strike)
    try:
        with pytest.raises(TooLongError) as struck:
            signal.raise_signal(signal.SIGALRM)
        assert not is_ours(struck.value)
        with pytest.raises(TooLongError), watch("limit") as lab:
            lab.log(0, loss=1.0, gradients=[Striking()])
        assert logged(lab.id) == {0: {"loss": 1.0}}
    finally:
        signal.signal(signal.SIGALRM, before)
    assert is_ours(TooLongError())


class Striking:
    """The alarm strikes while this is measured."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        signal.raise_signal(signal.SIGALRM)
        return np.ones(1)


def test_errors_of_numpy_and_warnings_as_errors_lose_no_epoch():
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        with watch("strict") as lab:
            for epoch in range(4):
                lab.log(
                    epoch,
                    loss=np.float32(1e-40),
                    gradients=[np.array([1e200, 1e300]), np.array([1e-300]), np.empty(0), np.array([3 + 4j])],
                    activations=[np.empty((0, 3)), [[1, 2], [3, 4]], np.array([np.inf, -np.inf])],
                    parameters={"layer": {"w": np.ones((2, 2)), "b": np.array([1, None], object)}},
                )
    assert sorted(logged(lab.id)) == [0, 1, 2, 3]


def test_deep_in_a_recursion_nothing_is_raised_that_was_not_raised_before():
    lab = watch("deep")

    def down(depth: int) -> int:
        lab.log(0, loss=1.0, gradients=[np.ones(3)])
        return down(depth + 1)

    with pytest.raises(RecursionError):
        down(0)
    lab.log(1, loss=0.5)
    lab.close()
    assert logged(lab.id)[1] == {"loss": 0.5}


LIMITS = {
    "layers": {"gradients": [1.0] * 1100},
    "layers by name": {"gradients": {f"{'layer ' * 60}{i}": 1.0 for i in range(1100)}},
    "hidden layers": {"activations": [np.ones(2)] * 1100},
    "units": {"activations": [np.ones(5000), np.ones(9000)]},
    "hidden layers of one unit": {"activations": {f"ü\n{i}" * 60: np.ones(1) for i in range(5000)}},
    "parameters": {"parameters": np.ones(3_000_000)},
    "arrays of parameters": {"parameters": [np.ones(3)] * 6000},
    "names": {
        "gradients": {"\x00" * 500 + str(i): 1.0 for i in range(1000)},
        "activations": {"😀" * 500 + str(i): [1.0] for i in range(1000)},
    },
}


@pytest.mark.parametrize("name", LIMITS)
def test_what_is_beyond_a_limit_is_cut_down_and_said_and_can_be_read(name, monkeypatch):
    monkeypatch.setattr("dashboard.tracking.sampler.CREDIT", 1e9)
    with watch("limits") as lab:
        for epoch in range(3):
            lab.log(epoch, loss=1.0, **LIMITS[name])
    assert sorted(logged(lab.id)) == [0, 1, 2]
    layout, content, at = Layout(), RunLog.found(lab.id).records.read_bytes(), 0
    while at < len(content):
        _, kind, length, _ = HEAD.unpack_from(content, at)
        assert length <= run_log.MAX_RECORD_BYTES
        payload, at = content[at + HEAD.size : at + HEAD.size + length], at + HEAD.size + length
        layout = Layout.unpacked(payload) if kind == run_log.LAYOUT else layout
    assert any(layout.sizes)
    assert len(set(layout.layers)) == len(layout.layers)
    if name not in ("units", "parameters", "names"):
        assert any("more" in one or "most are" in one for one in said(lab.id))


def test_a_network_of_ours_beyond_the_limits_is_cut_down_and_said():
    network = Network([2, 1100, 1000, 1], seed=0)
    for epoch in observe(train(network, DATASETS["moons"](10))):
        if epoch.index == 2:
            break
    (key,) = run_logs()
    assert sorted(logged(key)) == [0, 1, 2]
    assert any("parameters: there are 1," in one for one in said(key))


def test_many_epochs_of_large_tables_fit_their_records(monkeypatch):
    monkeypatch.setattr("dashboard.tracking.sampler.CREDIT", 1e9)
    monkeypatch.setattr(log_writer, "FLUSH_INTERVAL_S", 1e9)
    row = np.ones(2000)
    with watch("many") as lab:
        for epoch in range(0, 1024 * 1500, 1024):
            lab.log(epoch, loss=1.0, activations=[row], parameters=np.ones(4096))
    assert len(logged(lab.id)) == 1500


@pytest.mark.parametrize("length", [10, 200, 1000])
def test_an_end_of_any_length_and_letters_is_read(length):
    lab = watch("x" * 1000)
    lab.close(*ending(ValueError, ValueError("ü😀" * length)))
    assert RunLog.found(lab.id).state() == run_log.FAILED


def test_a_full_disk_keeps_the_numbers_and_says_from_which_epoch_it_was_full(monkeypatch):
    """A disk with room for so many bytes, counted over all files; what is rewritten in place needs none."""
    monkeypatch.setattr("dashboard.tracking.sampler.CREDIT", 1e9)
    lab = watch("full")
    files, room, write, unlink = {lab._writer._file}, [100_000], os.write, Path.unlink

    def written(file: int, content: bytes) -> int:
        if file not in files:
            return write(file, content)
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(file, bytes(content)[: room[0]])
        room[0] -= done
        return done

    def truncated(file: int, size: int) -> None:
        room[0] += os.fstat(file).st_size - size
        truncate(file, size)

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        if path.name == "reserve" and path.exists():
            room[0] += path.stat().st_size
        unlink(path, missing_ok)

    truncate = os.ftruncate
    monkeypatch.setattr(os, "write", written)
    monkeypatch.setattr(os, "ftruncate", truncated)
    monkeypatch.setattr(Path, "unlink", unlinked)
    for epoch in range(60):
        lab.log(epoch, loss=1 / (1 + epoch), gradients=[np.ones(3)], parameters=np.ones(4096))
        lab._writer.flush()
    lab.close("failed: ValueError: the end")
    monkeypatch.undo()
    os.environ["DESCENT_LAB_HOME"] = str(lab._writer.run_log.folder.parents[1])
    found = logged(lab.id)
    assert [found[epoch]["loss"] for epoch in range(60)] == [1 / (1 + epoch) for epoch in range(60)]
    words = [one for one in said(lab.id) if "The disk was full from epoch" in one]
    assert len(words) == 1
    assert 1 <= int(words[0].split("epoch ")[1].split(" ")[0]) <= 4
    assert RunLog.found(lab.id).status().end == "failed: ValueError: the end"


def test_threads_that_log_at_once_lose_nothing():
    with watch("threads") as lab:

        def tell(start: int) -> None:
            for epoch in range(start, 400, 4):
                lab.log(epoch, loss=float(epoch), gradients=[np.ones(3)])

        threads = [threading.Thread(target=tell, args=(start,)) for start in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert {epoch: one["loss"] for epoch, one in logged(lab.id).items()} == {
        epoch: float(epoch) for epoch in range(400)
    }


def test_a_clock_that_goes_back_stops_no_sign_of_life(monkeypatch):
    lab = watch("clock")
    lab.log(0, loss=1.0)
    lab._writer.flush()
    now = time.time
    monkeypatch.setattr("dashboard.tracking.log_writer.HEARTBEAT_INTERVAL_S", 0.0)
    monkeypatch.setattr(time, "time", lambda: now() - 86_400)
    lab._writer.flush()
    assert RunLog.found(lab.id).status().seen == pytest.approx(now() - 86_400, abs=60)
    monkeypatch.undo()
    lab.close()

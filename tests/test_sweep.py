"""Maps: every pixel is a run that opens, whoever computed it, and nothing that is done is lost."""

import hashlib
import io
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import pairwise
from multiprocessing import active_children
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from engine import DATASETS, INITIALIZERS, OPTIMIZERS, SCHEDULES, Network, Training, atomic_write
from engine.curvature import sharpness
from engine.sweep import MEASURES, Axis, Measure, Sweep, duration, marks_until, training_of
from engine.worker_pool import processes

ROOT = Path(__file__).parents[1]
RATE = Axis("learning_rate", 0.01, 100, "log")
STD = Axis("std", 0.1, 10, "log")
XOR = {"dataset": "xor", "n": 40, "hidden": [6, 6], "initializer": "normal", "validation": 0.25}
MOST = ("loss", "trained", "validation gap", "dead share")
SMALL = {"epochs": 30, "size": (12, 12), "marks": (0, 5)}


class Here(Executor):
    """Computes at once, in this thread, and counts."""

    workers = 1

    def __init__(self) -> None:
        self.tiles = 0
        self.pixels = 0

    def submit(self, function, recipe, tile):
        future = Future()
        self.tiles += 1
        self.pixels += len(tile)
        future.set_result(function(recipe, tile))
        return future


def computed(**options) -> Sweep:
    sweep = Sweep([RATE, STD], XOR, **{"measures": MOST, "executor": Here(), **SMALL, **options})
    for _ in sweep.run():
        pass
    return sweep


def same(one: Sweep, other: Sweep) -> bool:
    return np.array_equal(one.computed, other.computed) and all(
        np.array_equal(one.values(name, mark), other.values(name, mark), equal_nan=True)
        for name in one.measures
        for mark in one.marks
    )


# Axes


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_pixels_are_centers_of_equal_parts(scale):
    axis = Axis("learning_rate", 0.5, 8.0, scale)
    shares = axis.share(axis.values(4))
    np.testing.assert_allclose(shares, [1 / 8, 3 / 8, 5 / 8, 7 / 8], rtol=1e-12)  # a few roundings of logarithms


def test_whole_numbers_are_distinct_and_within_bounds():
    values = Axis("width", 1, 8, "log", whole=True).values(50)
    assert values.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("std", 2.0, 1.0), "low must be less than high"),
        (("std", 0.0, 1.0, "log"), "low must be greater than 0"),
        (("std", 0.1, 1.0, "cubic"), "choose one of linear, log"),
        (("std", 0.1, np.inf), "is no stretch"),
    ],
)
def test_an_impossible_axis_says_why(arguments, words):
    with pytest.raises(ValueError, match=words):
        Axis(*arguments)


# What a training is made of


def test_the_words_of_the_engine_make_the_training_that_the_engine_makes():
    settings = {
        "dataset": "spirals", "n": 60, "turns": 0.5, "data_seed": 3, "classes": 3, "hidden": [5, 4], "seed": 7,
        "activation": "tanh", "initializer": "small", "std": 0.3, "optimizer": "momentum", "momentum": 0.5,
        "learning_rate": 0.2, "batch_size": 7, "l2": 0.01, "schedule": "step", "drop": 0.25, "every": 5,
    }  # fmt: skip
    data = DATASETS["spirals"](n=60, turns=0.5, classes=3, seed=3)
    network = Network([2, 5, 4, 3], "tanh", "softmax", INITIALIZERS["small"](std=0.3), seed=7)
    optimizer, schedule = OPTIMIZERS["momentum"](learning_rate=0.2, momentum=0.5), SCHEDULES["step"](every=5, drop=0.25)
    twin = Training(network, data, None, optimizer, 7, 7, l2=0.01, schedule=schedule)
    np.testing.assert_array_equal(training_of(settings).advance(12).parameters, twin.advance(12).parameters)


def test_depth_and_width_shape_the_hidden_layers():
    sizes = [training_of({"hidden": [4, 4], "depth": 3.0, "width": width}).network.sizes for width in (2.0, 5)]
    assert sizes == [(2, 2, 2, 2, 1), (2, 5, 5, 5, 1)]
    assert training_of({"hidden": [4, 4], "depth": 0}).network.sizes == (2, 1)


def test_the_learning_rate_of_one_layer_can_be_an_axis():
    settings = {"dataset": "xor", "hidden": [4, 3], "layer_rates": [1.0, 2.0, 3.0]}
    assert training_of(settings | {"layer_rates.1": 0.5}).layer_rates == [1.0, 0.5, 3.0]
    assert training_of({"hidden": [4], "layer_rates.0": 0.0}).layer_rates == [0.0, 1.0]
    with pytest.raises(ValueError, match=r"layer_rates.3 is no layer's; choose one of layer_rates.0 to layer_rates.2"):
        training_of(settings | {"layer_rates.3": 0.5})


@pytest.mark.parametrize("name", ["learning_rat", "momentum"])
def test_a_setting_that_nothing_takes_is_refused_with_those_there_are(name):
    with pytest.raises(ValueError, match=f"setting '{name}' is unknown here; choose one of .*learning_rate"):
        training_of({"dataset": "xor", name: 0.1})


# A pixel is a run


@pytest.mark.parametrize(
    "settings",
    [
        XOR,
        XOR | {"batch_size": 7, "seed": 3, "optimizer": "adam"},
        {"dataset": "chebyshev", "hidden": [8], "activation": "tanh", "initializer": "normal"},
        {"dataset": "blobs", "n": 30, "hidden": [4], "initializer": "normal", "l2": 0.01, "batch_size": 10},
    ],
    ids=["xor", "minibatches", "regression", "classes"],
)
def test_every_pixel_is_its_run_bit_for_bit_diverged_or_not(settings):
    names = ("loss", "accuracy", "validation gap", "gradient ratio", "dead share", "trained", "sharpness")
    axes = [Axis("learning_rate", 0.01, 1e9, "log"), STD]
    sweep = Sweep(axes, settings, names, epochs=40, size=(5, 4), marks=(0, 17), executor=Here(), tolerance=None)
    list(sweep.run())
    assert sweep.computed.all()
    diverged = 0
    for iy, ix in np.ndindex(4, 5):
        epochs = sweep.training(ix, iy).advance(41)
        for mark in sweep.marks:
            row = epochs[mark]
            alive = bool(epochs.finite[: mark + 1].all())
            diverged += not alive
            expected = {
                "loss": row.loss if alive else np.inf,
                "accuracy": row.accuracy if alive else 0.0,
                "validation gap": row.validation_loss - row.loss if alive else np.inf,
                "gradient ratio": row.gradient_norms[0] / row.gradient_norms[-1] if alive else np.nan,
            }
            for name, value in expected.items():
                np.testing.assert_array_equal(sweep.values(name, mark)[iy, ix], value, err_msg=name)
        again = sweep.measured(sweep.training(ix, iy))
        for name in names:
            np.testing.assert_array_equal([sweep.values(name, mark)[iy, ix] for mark in sweep.marks], again[name])
    assert diverged or settings["dataset"] != "chebyshev"


def test_settings_of_a_pixel_are_the_shared_ones_and_its_place_on_the_axes():
    sweep = Sweep([RATE, Axis("width", 1, 4, whole=True)], {"dataset": "xor"}, size=(6, 9))
    assert sweep.size == (6, 4)
    assert sweep.settings_of(2, 3) == {"dataset": "xor", "learning_rate": sweep.x[2], "width": 4}
    with pytest.raises(IndexError, match=r"the map has 6 x 4 pixels"):
        sweep.settings_of(6, 0)


def test_one_axis_makes_a_map_of_one_row():
    sweep = Sweep([RATE], XOR, epochs=20, size=(9, 5), executor=Here(), tolerance=None)
    list(sweep.run())
    assert sweep.values("loss").shape == (1, 9)
    assert sweep.arrays()["data"]["loss"][1].shape == (1, 9)


# Measures


def trained(losses: list[float]) -> float:
    return MEASURES["trained"]().value(None, None, np.array(losses))


def test_trained_is_a_mean_of_late_losses_below_the_first():
    assert trained([1.0] + [0.9] * 20) == 1
    assert trained([1.0] + [0.9] * 19 + [3.0]) == 0  # (19 * 0.9 + 3) / 20 = 1.005
    assert trained([1.0, 9e9] + [0.9] * 20) == 1
    assert trained([1.0] + [0.9] * 19 + [np.inf]) == 0
    assert trained([1.0] + [0.9] * 18 + [np.nan] * 2) == 0


def test_epochs_to_a_loss_counts_to_the_first():
    measure = MEASURES["epochs to loss"](target=0.5)
    assert measure.value(None, None, np.array([1.0, 0.6, 0.5, 0.4, 0.7])) == 2
    assert measure.value(None, None, np.array([1.0, 0.6])) == np.inf
    assert measure.after_divergence(np.array([1.0, 0.4, np.inf])) == 1


def test_sharpness_is_a_share_of_the_edge_of_stability():
    """With gradient descent, sharpness times learning rate over 2."""
    settings = {"dataset": "chebyshev", "hidden": [16], "activation": "tanh"}
    sweep = Sweep([Axis("learning_rate", 0.1, 0.5)], settings, "sharpness", epochs=200, size=(1, 1))
    training = sweep.training(0)
    training.advance(201)
    largest = sharpness(training.network, training.data, training.loss).value
    value = sweep.measured(sweep.training(0))["sharpness"][-1]
    assert value == pytest.approx(largest * sweep.x[0] / 2, rel=1e-12)  # a division instead of two products


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_says_what_it_is_and_has_a_number_for_every_end(name):
    measure = MEASURES[name]()
    assert measure.label and isinstance(measure.log, bool)
    sweep = Sweep([RATE], XOR | {"optimizer": "sgd"}, name, epochs=25, size=(2, 1), marks=(3,))
    assert sweep.measured(sweep.training(0))[name].shape == (2,)
    assert isinstance(measure.after_divergence(np.array([1.0, np.inf])), float)


def test_a_measure_of_ones_own_is_a_class():
    class Walk(Measure):
        label = "Distance from 0"

        def value(self, training, epoch, losses):
            return float(np.linalg.norm(epoch.parameters))

    sweep = Sweep([RATE], XOR, {"walk": Walk(), "end": "loss"}, epochs=9, size=(3, 1), executor=Here(), tolerance=None)
    list(sweep.run())
    epoch = sweep.training(1).advance(10)[-1]
    assert sweep.values("walk")[0, 1] == np.linalg.norm(epoch.parameters)
    assert sweep.values("end")[0, 1] == epoch.loss


# Refused before it starts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"measures": "los"}, "measure 'los' is unknown; choose one of loss"),
        ({"measures": ()}, "without measures"),
        ({"epochs": 0}, "choose a whole number of 1 or more"),
        ({"marks": (31,)}, "mark 31 is no epoch"),
        ({"size": (3000, 3000)}, "too large"),
        ({"axes": [RATE, RATE]}, "on both axes"),
        ({"axes": []}, "one or two"),
        ({"axes": [Axis("momentum", 0, 0.9)]}, r"no run at momentum = 0.0375: setting 'momentum' is unknown"),
        ({"axes": [Axis("batch_size", 0.2, 4)]}, r"no run at batch_size = 0.358333: batch size 0.35833"),
        (
            {"axes": [RATE, Axis("validation", 0.1, 1.1)]},
            r"no run at learning_rate = 0.0146\d*, validation = 1.05833: ",
        ),
    ],
)
def test_a_map_that_cannot_be_is_refused_before_it_starts(options, words):
    with pytest.raises(ValueError, match=words):
        Sweep(**{"axes": [RATE, STD], "settings": XOR, **SMALL, **options})


# The same map, whoever computes it


def test_processes_threads_and_this_thread_make_the_same_map():
    here = computed()
    with ThreadPoolExecutor(2) as threads:
        assert same(here, computed(executor=threads))
    assert same(here, computed(executor=None, workers=2))


def test_coarse_comes_first_and_every_pixel_shows_something_from_then_on():
    sweep = Sweep([RATE, STD], XOR, epochs=5, size=(32, 32), executor=Here())
    shown = [
        (progress.stride, int(sweep.computed.sum()), int((sweep.computed | sweep.filled).sum()))
        for progress in sweep.run()
    ]
    coarsest = [line for line in shown if line[0] == 8]
    assert coarsest[0][1] <= 16
    assert all(seen == 32 * 32 for stride, _, seen in shown if stride < 8)


def test_a_filled_pixel_shows_its_nearest_computed_one_and_a_computed_one_itself():
    sweep = computed(tolerance=10.0)
    whole = computed(tolerance=None)
    assert whole.computed.all() and not whole.filled.any()
    assert sweep.filled.any()
    got, true = sweep.values("loss"), whole.values("loss")
    np.testing.assert_array_equal(got[sweep.computed], true[sweep.computed])
    assert np.isin(got[sweep.filled], got[sweep.computed]).all()


def disk(settings):
    """Trained if within the unit disk around the origin: a network whose learning rate is 0 or too large."""
    inside = settings["a"] ** 2 + settings["b"] ** 2 < 1
    return training_of({"dataset": "xor4", "hidden": [1], "learning_rate": 0.01 if inside else 1e9})


def test_a_boundary_is_computed_in_full_and_what_lies_away_from_it_is_not():
    axes = [Axis("a", -1.5, 1.5), Axis("b", -1.5, 1.5)]
    options = {"measures": "trained", "epochs": 3, "size": (48, 48), "make": disk}
    quick, whole = (Sweep(axes, {}, executor=Here(), tolerance=share, **options) for share in (0.05, None))
    list(quick.run()), list(whole.run())
    np.testing.assert_array_equal(quick.values("trained"), whole.values("trained"))
    assert quick.computed.sum() < 0.4 * 48 * 48


def test_what_refines_a_map_can_be_one_of_its_measures():
    axes = [Axis("a", -1.5, 1.5), Axis("b", -1.5, 1.5)]
    options = {"epochs": 3, "size": (32, 32), "make": disk}
    by_one = Sweep(axes, {}, ("trained", "loss", "gradient ratio"), refine_by=["trained"], executor=Here(), **options)
    alone = Sweep(axes, {}, "trained", executor=Here(), **options)
    list(by_one.run()), list(alone.run())
    np.testing.assert_array_equal(by_one.computed, alone.computed)
    np.testing.assert_array_equal(by_one.values("trained"), alone.values("trained"))
    with pytest.raises(ValueError, match="measure 'accuracy' is not on this map; choose one of trained"):
        Sweep(axes, {}, "trained", refine_by=["accuracy"], **options)


# Cancel, resume, tiles in a folder


def test_cancelling_begins_no_tile_and_resuming_ends_in_the_same_map():
    sweep = Sweep([RATE, STD], XOR, MOST, executor=Here(), **SMALL)
    for _ in range(3):
        sweep.step()
    sweep.cancel()
    tiles = sweep._executor.tiles
    for _ in range(3):
        assert not sweep.step().finished
    assert sweep._executor.tiles == tiles
    sweep.resume()
    while not sweep.step().finished:
        pass
    assert same(sweep, computed())


def test_a_map_that_was_stopped_goes_on_where_it_was(tmp_path):
    first = Sweep([RATE, STD], XOR, MOST, executor=Here(), folder=tmp_path, **SMALL)
    for _ in range(4):
        first.step()
    done = int(first.computed.sum())
    second = computed(folder=tmp_path)
    assert 0 < done < int(second.computed.sum())
    assert second._executor.pixels == int(second.computed.sum()) - done
    third = computed(folder=tmp_path)
    assert third._executor.tiles == 0
    assert same(third, second) and same(second, computed())


SCRIPT = """
    import sys
    from engine.sweep import Axis, Sweep

    axes = [Axis("learning_rate", 0.01, 100, "log"), Axis("std", 0.1, 10, "log")]
    settings = {"dataset": "xor", "n": 40, "hidden": [6, 6], "initializer": "normal"}
    sweep = Sweep(axes, settings, "loss", 2000, (16, 16), folder=sys.argv[1], workers=1, tolerance=None)
    for progress in sweep.run():
        print(progress.pixels, flush=True)
"""


def test_a_script_that_is_killed_leaves_whole_tiles_and_another_process_goes_on(tmp_path):
    """The map has several tiles of some pixels each by the time that one has come back."""
    path = tmp_path / "map.py"
    path.write_text(dedent(SCRIPT))
    command = [sys.executable, str(path), str(tmp_path / "tiles")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) > 8:
                process.kill()
                break
    settings = {name: value for name, value in XOR.items() if name != "validation"}
    options = {"measures": "loss", "epochs": 2000, "size": (16, 16), "tolerance": None}
    sweep = Sweep([RATE, STD], settings, folder=tmp_path / "tiles", executor=Here(), **options)
    found = sum(len(np.load(file)) for file in tile_files(tmp_path))
    assert 8 < found < 16 * 16
    while sweep.progress.pixels < found:
        sweep.step()
    kept = sweep.computed
    assert sweep._executor.tiles == 0
    for iy, ix in np.argwhere(kept)[::5]:
        last = sweep.training(ix, iy).advance(2001)
        assert sweep.values("loss")[iy, ix] == (last.loss[-1] if last.finite.all() else np.inf)


def test_two_that_work_on_one_folder_share_what_they_find(tmp_path):
    """They look in the folder again before each tile here."""
    sweeps = [
        Sweep([RATE, STD], XOR, MOST, executor=Here(), folder=tmp_path, tolerance=None, **SMALL) for _ in range(2)
    ]
    while not all(sweep.progress.finished for sweep in sweeps):
        for sweep in sweeps:
            sweep._looked = -np.inf
            sweep.step()
    assert same(*sweeps)
    assert sum(sweep._executor.pixels for sweep in sweeps) < 2 * 12 * 12


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 31},
        {"marks": (0, 6)},
        {"measures": ("loss",)},
        {"settings": XOR | {"seed": 1}},
        {"axes": [RATE, Axis("std", 0.1, 9.9, "log")]},
        {"size": (12, 11)},
        {"make": disk, "axes": [Axis("a", 0, 1), Axis("b", 0, 1)]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_another_map_has_another_digest(options):
    base = {"axes": [RATE, STD], "settings": XOR, "measures": ("loss", "trained"), **SMALL}
    assert Sweep(**base).digest == Sweep(**base).digest
    assert Sweep(**base).digest != Sweep(**{**base, **options}).digest


def test_functions_without_a_name_are_told_apart_by_what_they_do():
    def digest_of(make):
        return Sweep([Axis("a", 0, 1)], {}, "loss", 2, (2, 1), make=make).digest

    def with_rate(rate):
        return lambda settings: training_of({"dataset": "xor4", "hidden": [1], "learning_rate": rate})

    one = digest_of(lambda settings: training_of({"dataset": "xor4", "hidden": [1]}))
    other = digest_of(lambda settings: training_of({"dataset": "xor4", "hidden": [2]}))
    assert len({one, other, digest_of(with_rate(1)), digest_of(with_rate(2))}) == 4
    assert digest_of(with_rate(1)) == digest_of(with_rate(1))


def test_a_digest_is_the_same_in_another_process(tmp_path):
    sweep = Sweep([RATE, STD], XOR | {"layers": None}, MOST, make=disk_like, **SMALL)
    code = "import sys; sys.path.insert(0, 'tests'); from test_sweep import *\n"
    code += "print(Sweep([RATE, STD], XOR | {'layers': None}, MOST, make=disk_like, **SMALL).digest)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sweep.digest


def disk_like(settings):
    return training_of({name: value for name, value in settings.items() if value is not None})


def tile_files(folder):
    return sorted(folder.rglob("*.npy"))


class Evil:
    def __reduce__(self):
        return (sys.exit, ("a tile was unpickled",))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "pickle", "huge", "far", "fraction", "directory"])
def test_a_damaged_or_hostile_tile_is_not_read_but_computed_again(tmp_path, damage):
    whole = computed(folder=tmp_path)
    victim = tile_files(tmp_path)[0]
    content = victim.read_bytes()
    rows = np.load(victim)

    def forged(content: bytes) -> None:
        """A file that goes by the name of its content."""
        victim.unlink()
        name = hashlib.sha256(whole.digest.encode() + content).hexdigest()[:24]
        victim.with_name(f"{name}.npy").write_bytes(content)

    def packed(array) -> bytes:
        file = io.BytesIO()
        np.save(file, array, allow_pickle=True)
        return file.getvalue()

    if damage == "cut":
        victim.write_bytes(content[:-8])
    elif damage == "flipped":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "empty":
        victim.write_bytes(b"")
    elif damage == "pickle":
        forged(packed(np.array([[Evil()]], dtype=object)))
    elif damage == "huge":
        forged(packed(rows).replace(str(rows.shape).encode(), b"(99999999999, 9)"[: len(str(rows.shape))], 1))
    elif damage == "far":
        forged(packed(rows + np.eye(1, rows.shape[1]) * 1e9))
    elif damage == "fraction":
        forged(packed(rows + np.eye(1, rows.shape[1]) * 0.5))
    else:
        victim.unlink()
        victim.mkdir()
    again = computed(folder=tmp_path)
    assert again._executor.pixels == len(rows)
    assert same(again, whole)
    assert not again.notice or damage == "directory"


def test_a_folder_that_cannot_be_written_is_said_and_the_map_goes_on(tmp_path):
    (tmp_path / "file").write_text("no folder")
    sweep = computed(folder=tmp_path / "file")
    assert sweep.notice.startswith("The map goes on in memory; its tiles cannot be written to")
    assert same(sweep, computed())


def test_once_there_is_room_again_the_tiles_in_memory_are_written_too(tmp_path, monkeypatch):
    write, full = atomic_write.write, [True]

    def writing(path, content):
        if full[0]:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(atomic_write, "write", writing)
    sweep = Sweep([RATE, STD], XOR, MOST, executor=Here(), folder=tmp_path, **SMALL)
    for _ in range(6):
        sweep.step()
    assert "No space left on device" in sweep.notice
    full[0] = False
    list(sweep.run())
    assert not sweep.notice
    assert computed(folder=tmp_path)._executor.tiles == 0


# What goes wrong


def narrow(settings):
    """No runs in the middle, which the corners do not tell."""
    if 0.4 < settings["a"] < 0.6:
        raise ValueError(f"a = {settings['a']} is not for this model")
    return training_of({"dataset": "xor4", "hidden": [1]})


def test_a_run_that_cannot_be_is_a_hole_with_a_reason():
    sweep = Sweep([Axis("a", 0, 1)], {}, epochs=2, size=(10, 1), make=narrow, executor=Here(), tolerance=None)
    list(sweep.run())
    assert sorted(sweep.impossible) == [(4, 0), (5, 0)]
    assert sweep.impossible[4, 0] == f"a = {sweep.x[4]} is not for this model"
    assert np.isnan(sweep.values("loss")[0]).tolist() == [k in (4, 5) for k in range(10)]
    assert sweep.computed.all()


def broken(settings):
    if settings["a"] > 0.5 and threading.current_thread() is not threading.main_thread():
        raise TypeError("a fault of the model")
    return training_of({"dataset": "xor4", "hidden": [1]})


def test_a_fault_in_the_model_ends_the_map_and_says_where():
    with ThreadPoolExecutor(1) as threads:
        sweep = Sweep([Axis("a", 0, 1)], {}, epochs=2, size=(10, 1), make=broken, executor=threads)
        with pytest.raises(RuntimeError, match=r"the map failed: TypeError: a fault of the model, at a 0\.\d+"):
            list(sweep.run())


def test_a_worker_that_is_killed_costs_no_finished_tile():
    sweep = Sweep([RATE, STD], XOR, MOST, workers=2, **SMALL)
    others, killed = set(active_children()), False
    for progress in sweep.run():
        if progress.pixels and not killed:
            (set(active_children()) - others).pop().kill()
            killed = True
    assert killed and same(sweep, computed())


def endless(settings):
    return training_of({"dataset": "moons", "hidden": [64, 64], "learning_rate": settings["a"]})


def test_closing_ends_the_workers_in_the_midst_of_a_run_and_the_map_can_go_on():
    before = set(active_children())
    sweep = Sweep([Axis("a", 0.1, 0.2)], {}, "loss", 10**7, (4, 1), make=endless, workers=2)
    deadline = time.monotonic() + 60
    while len(set(active_children()) - before) < 2 and time.monotonic() < deadline:
        sweep.step(0.1)
    mine = set(active_children()) - before
    assert len(mine) == 2
    sweep.close()
    deadline = time.monotonic() + 60
    while any(process.is_alive() for process in mine):  # another thread may have waited for it, and say so a bit later
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not sweep.progress.finished and not sweep.computed.any()
    sweep.resume()
    sweep.step(0.1)
    assert set(active_children()) - before
    sweep.close()


def test_an_executor_that_goes_away_is_replaced_and_the_map_says_so():
    pool = processes(workers=1)
    sweep = Sweep([RATE, STD], XOR, MOST, executor=pool, **SMALL)
    sweep.step(1.0)
    pool.shutdown(cancel_futures=False)
    list(sweep.run())
    assert sweep.notice.startswith("The map goes on with processes of this machine")
    assert same(sweep, computed())


def test_what_a_script_defines_is_computed_in_its_own_process(monkeypatch):
    monkeypatch.setattr(disk, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "disk", disk, raising=False)
    sweep = Sweep([Axis("a", -2, 2), Axis("b", -2, 2)], {}, "trained", 2, (8, 8), make=disk)
    list(sweep.run())
    assert sweep.notice.startswith("The map is computed in this process, on one core: other processes do not know")
    assert sweep.progress.finished


# Reading while it is computed, and words


def test_one_thread_reads_while_another_computes():
    sweep = Sweep([RATE, STD], XOR, MOST, executor=Here(), tolerance=None, **SMALL)
    final, seen, faults = {}, [], []

    def read():
        while not final:
            filled, known = sweep.values("loss"), sweep.computed
            seen.append((filled, known))
            if not (known <= sweep.computed).all():
                faults.append("a computed pixel is gone")

    reader = threading.Thread(target=read)
    reader.start()
    list(sweep.run())
    final["loss"] = sweep.values("loss")
    reader.join()
    assert not faults and seen
    for _, known in seen:
        assert known.shape == final["loss"].shape


def test_progress_goes_up_to_all_of_it():
    sweep = Sweep([RATE, STD], XOR, executor=Here(), **SMALL)
    seen = list(sweep.run())
    assert all(a.pixels <= b.pixels and a.tiles <= b.tiles for a, b in pairwise(seen))
    assert seen[-1].finished and seen[-1].share == 1 and seen[-1].seconds_left == 0
    assert seen[-1].pixels == sweep.computed.sum()
    assert str(seen[-1]) == f"{seen[-1].pixels} of {seen[-1].pixels} runs, 100%"
    assert repr(sweep).startswith("<Sweep learning_rate (12) x std (12): loss, trained after 30 epochs; ")


def test_an_estimate_grows_with_the_epochs_and_shrinks_with_the_workers():
    def estimate(epochs, workers):
        sweep = Sweep([RATE, STD], XOR, epochs=epochs, size=(20, 20), workers=workers)
        return sweep.estimate(0.02)

    few, many = estimate(1000, 2), estimate(100_000, 2)
    assert many.seconds > 10 * few.seconds  # 100 times but for what making a run takes, and this machine's moods
    assert str(many).startswith("would take ") and str(many).endswith(" on 2 workers")
    assert str(estimate(10, 1)).endswith("on 1 worker")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (89, "89 seconds"), (100, "2 minutes"), (7000, "2 hours"), (3 * 86400, "3 days")],
)
def test_durations_are_words(seconds, words):
    assert duration(seconds) == words


def test_marks_are_ten_thirty_a_hundred_and_the_end():
    assert marks_until(500) == (10, 30, 100, 300, 500)
    assert marks_until(30) == (10, 30)
    assert marks_until(5) == (5,)


def test_arrays_have_the_names_and_shapes_of_their_axes():
    sweep = computed()
    arrays = sweep.arrays()
    assert arrays["dims"] == ("mark", "std", "learning_rate")
    np.testing.assert_array_equal(arrays["coords"]["learning_rate"], sweep.x)
    assert arrays["coords"]["mark"].tolist() == [0, 5, 30]
    for name in sweep.measures:
        dims, values = arrays["data"][name]
        assert values.shape == tuple(len(arrays["coords"][dim]) for dim in dims)
        np.testing.assert_array_equal(values[-1], sweep.values(name))


def test_the_edge_counts_rates_of_layers_and_parametrizations():
    """Twice the rate in every layer is twice the rate; ntk with one hidden layer is standard with other rates."""
    settings = {"dataset": "chebyshev", "hidden": [4], "activation": "tanh", "output": "linear", "n": 20}
    share = [
        Sweep([Axis("learning_rate", 0.1, 0.3)], {**settings, **more}, "sharpness", epochs=5, size=(1, 1)).measured(
            training_of({**settings, **more, "learning_rate": rate})
        )["sharpness"][-1]
        for more, rate in (({}, 0.2), ({"layer_rates": [2.0, 2.0]}, 0.1), ({"layer_rates": [2.0, 0.5]}, 0.1))
    ]
    assert share[1] == pytest.approx(share[0], rel=1e-6)
    assert share[2] != pytest.approx(share[0], rel=0.01)

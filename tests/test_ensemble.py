"""Every run of an ensemble is the same as a single training, wherever it is trained, and the statistics are right."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from multiprocessing import active_children
from textwrap import dedent
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine.ensemble as ensemble_module
from engine import DATASETS, INITIALIZERS, OPTIMIZERS, SCHEDULES, Network, Training, ensemble_records
from engine.ensemble import SERIES, Ensemble

MOONS = DATASETS["moons"](n=40)
HELD_OUT = DATASETS["moons"](n=20, seed=1)
CIRCLES = DATASETS["circles"](n=30)
BLOBS = DATASETS["blobs"](n=45, classes=3)
SINE = DATASETS["sine"](n=30)

ADAM = OPTIMIZERS["adam"]()
SETUPS = {
    "full batch": {"axes": {"seed": range(3), "learning_rate": [0.1, 0.5]}, "activation": "relu"},
    "minibatches": {"axes": {"seed": range(2), "batch_size": [7, None, 16]}, "optimizer": ADAM, "validation": HELD_OUT},
    "schedules": {"axes": {"schedule": [None, *SCHEDULES], "seed": range(2)}, "batch_size": 20},
    "penalties": {"axes": {"l1": [0.0, 0.01], "l2": [0.0, 0.1]}, "optimizer": "momentum"},
    "shapes": {"axes": {"activation": ["tanh", ["elu", "sine"]], "skip": [True, False], "bias": [0.0, -1.0]}},
    "starts": {"axes": {"initializer": ["he", INITIALIZERS["normal"](std=0.5), "orthogonal"], "seed": [5, 3]}},
    "losses": {"axes": {"loss": [None, "hinge", "mse"]}, "optimizer": "rmsprop", "batch_size": 16},
    "data": {"data": None, "axes": {"data": [MOONS, CIRCLES], "seed": range(2)}, "batch_size": 11},
    "std": {"axes": {"std": [0.1, 1.0], "duration": [5, 50]}, "initializer": "normal", "schedule": "cosine"},
}
every_setup = pytest.mark.parametrize("setup", SETUPS)


def ensemble(**arguments) -> Ensemble:
    arguments = {"data": MOONS, "activation": "tanh", **arguments}
    return Ensemble([2, 5, 5, 1], **arguments)


def assert_the_same(one: Ensemble, other: Ensemble) -> None:
    np.testing.assert_array_equal(one.index, other.index)
    np.testing.assert_array_equal(one.parameters, other.parameters)
    np.testing.assert_array_equal(one.stopped_at, other.stopped_at)
    for name in SERIES:
        np.testing.assert_array_equal(one.series(name), other.series(name), err_msg=name)


def assert_goes_the_way_of_its_training(runs: Ensemble, k: int, training: Training) -> None:
    epochs = training.advance(runs.epoch + 1)
    np.testing.assert_array_equal(runs.parameters[k], epochs.parameters[-1])
    for name in SERIES[:-1]:
        np.testing.assert_array_equal(runs.series(name)[k], getattr(epochs, name)[runs.index], err_msg=name)
    sizes = [np.linalg.norm(weights) for weights in training.network.weights]
    np.testing.assert_allclose(runs.series("weight_norms")[k, -1], sizes, rtol=1e-12)


# Axes


def test_runs_are_the_product_of_the_axes_in_order():
    axes = {"seed": range(3), "learning_rate": [0.1, 0.5], "activation": ["relu", "tanh"]}
    runs = ensemble(axes=axes)
    assert len(runs) == 12
    assert runs.shape == (3, 2, 2)
    expected = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    assert [runs.choices(k) for k in range(12)] == expected
    assert runs.choices(7) == {
        name: axes[name][i] for name, i in zip(axes, np.unravel_index(7, (3, 2, 2)), strict=True)
    }


def test_without_axes_there_is_one_run():
    runs = ensemble()
    runs.advance(3)
    assert (len(runs), runs.shape, runs.loss.shape, runs.choices(0)) == (1, (), (1, 3), {})
    np.testing.assert_array_equal(runs.median(), runs.loss[0])


def test_the_first_epoch_is_the_untrained_network():
    runs = ensemble(axes={"seed": range(3)})
    assert runs.epoch == -1
    assert runs.loss.shape == (3, 0)
    starts = [Network([2, 5, 5, 1], "tanh", seed=seed).parameters for seed in range(3)]
    np.testing.assert_array_equal(runs.parameters, starts)
    runs.advance()
    assert runs.epoch == 0
    np.testing.assert_array_equal(runs.parameters, starts)


def test_an_ensemble_says_what_it_is():
    runs = ensemble(axes={"seed": range(3), "learning_rate": [0.1, 0.5]})
    runs.advance(5)
    assert repr(runs) == ("<Ensemble 2-5-5-1: seed (3) x learning_rate (2); epoch 4, 6 going, 0 stopped, 0 diverged>")


def test_the_optimizer_given_is_not_the_one_used():
    optimizer = OPTIMIZERS["sgd"](learning_rate=0.2)
    runs, alike = (ensemble(axes={"seed": [0]}, optimizer=given) for given in (optimizer, OPTIMIZERS["sgd"](0.2)))
    optimizer.learning_rate = 5.0
    runs.advance(5), alike.advance(5)
    assert_the_same(runs, alike)


# Every run is the single run


@every_setup
def test_every_run_is_the_single_run_bit_for_bit(setup):
    runs = ensemble(**SETUPS[setup])
    for k in (1, 30, 9):
        runs.advance(k)
    for k in range(len(runs)):
        assert_goes_the_way_of_its_training(runs, k, runs.training(k))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [None, 7])
def test_every_optimizer_goes_the_way_it_goes_alone(optimizer, batch_size):
    """Against a training spelled out, so that `Ensemble.training` is tested, too."""
    runs = ensemble(axes={"seed": range(3)}, optimizer=optimizer, batch_size=batch_size, l2=0.01, schedule="warmup")
    runs.advance(4), runs.advance(8)
    for seed in range(3):
        training = Training(
            Network([2, 5, 5, 1], "tanh", seed=seed),
            MOONS,
            optimizer=OPTIMIZERS[optimizer](),
            batch_size=batch_size,
            seed=seed,
            l2=0.01,
            schedule=SCHEDULES["warmup"](),
        )
        assert_goes_the_way_of_its_training(runs, seed, training)


def test_all_optimizers_take_turns_in_one_training():
    runs = ensemble(axes={"optimizer": list(OPTIMIZERS), "learning_rate": [0.01, 0.1]})
    runs.advance(4), runs.advance(8)
    for k in range(len(runs)):
        assert runs.training(k).optimizer == OPTIMIZERS[runs.choices(k)["optimizer"]](runs.choices(k)["learning_rate"])
        assert_goes_the_way_of_its_training(runs, k, runs.training(k))


def test_more_kinds_of_runs_than_hot_trainings():
    runs = ensemble(data=None, axes={"data": [DATASETS["moons"](n=20, seed=seed) for seed in range(12)]})
    runs.advance(3), runs.advance(3)
    for k in range(12):
        assert_goes_the_way_of_its_training(runs, k, runs.training(k))


@pytest.mark.parametrize(("data", "output", "sizes"), [(BLOBS, "softmax", [2, 6, 3]), (SINE, "linear", [1, 6, 1])])
def test_classes_and_regressions(data, output, sizes):
    runs = Ensemble(sizes, data, {"seed": range(2)}, output=output, every=3)
    runs.advance(11)
    for k in range(2):
        assert_goes_the_way_of_its_training(runs, k, runs.training(k))


def test_the_network_of_a_run_is_at_its_newest_parameters():
    runs = ensemble(axes={"seed": range(2), "skip": [True]})
    runs.advance(6)
    assert runs.network(1).loss(MOONS) == pytest.approx(runs.loss[1, -1], rel=1e-14)
    assert runs.network(1).skip


def test_runs_left_behind_are_brought_to_the_same_epoch():
    runs, whole = (ensemble(axes={"seed": range(4)}) for _ in range(2))
    pieces = runs.pieces(10)
    assert [next(pieces).done for _ in range(2)] == [10, 20]
    assert runs.epoch == -1
    assert runs.loss.shape == (4, 0)
    runs.advance(6)
    assert runs.epoch == 5
    runs.advance(9), whole.advance(15)
    assert_the_same(runs, whole)


# What is recorded


def test_every_third_epoch_and_the_newest_are_recorded():
    runs, all_epochs = (ensemble(axes={"seed": range(2)}, every=every) for every in (3, 1))
    for k in (1, 4, 6):
        runs.advance(k), all_epochs.advance(k)
        index = runs.index
        assert index.tolist() == sorted({*range(0, runs.epoch + 1, 3), runs.epoch})
        np.testing.assert_array_equal(runs.loss, all_epochs.loss[:, index])
    assert runs.gradient_norms.shape == (2, len(index), 3)


def test_records_stay_within_their_memory(monkeypatch):
    monkeypatch.setattr("engine.ensemble_records.BYTES", 2 * 300 * 10 * 8)
    runs, all_epochs = (ensemble(axes={"seed": range(2)}, optimizer="adam") for _ in range(2))
    runs.advance(700)
    monkeypatch.undo()
    all_epochs.advance(700)
    assert (runs.every, all_epochs.every) == (4, 1)
    assert runs.index.tolist() == [*range(0, 700, 4), 699]
    np.testing.assert_array_equal(runs.loss, all_epochs.loss[:, runs.index])


def test_many_runs_stay_within_the_memory_too():
    kept = ensemble_records.Records(20_000, 3, 1, validated=False)
    assert sum(array.nbytes for array in kept._kept.values()) <= ensemble_records.BYTES


def test_series_are_copies():
    runs = ensemble(axes={"seed": range(2)})
    runs.advance(3)
    seen, before = runs.loss, runs.loss
    seen[...] = 7.0
    np.testing.assert_array_equal(runs.loss, before)
    runs.advance(3)
    np.testing.assert_array_equal(runs.loss[:, :3], before)


# Runs end


def diverging() -> Ensemble:
    return Ensemble(
        [1, 8, 8, 1],
        SINE,
        {"seed": range(3), "learning_rate": [0.05, 30.0]},
        activation="leaky relu",
        output="linear",
        validation=DATASETS["sine"](n=10, seed=1),
    )


def test_the_divergence_of_one_run_does_not_touch_the_others():
    runs = diverging()
    runs.advance(20), runs.advance(80)
    assert runs.diverged.tolist() == [False, True] * 3
    for k in (0, 2, 4):
        assert_goes_the_way_of_its_training(runs, k, runs.training(k))


def test_a_diverged_run_is_frozen_at_its_last_finite_epoch():
    runs = diverging()
    runs.advance(3), runs.advance(97)
    for k in (1, 3, 5):
        epochs = runs.training(k).advance(100)
        last = int(epochs.finite.argmin()) - 1
        assert runs.stopped_at[k] == last
        np.testing.assert_array_equal(runs.parameters[k], epochs.parameters[last])
        np.testing.assert_array_equal(runs.loss[k, : last + 1], epochs.loss[: last + 1])
        assert np.isposinf(runs.loss[k, last + 1 :]).all()
        assert np.isposinf(runs.validation_loss[k, last + 1 :]).all()
        assert np.isposinf(runs.gradient_norms[k, last + 1 :]).all()
        assert np.isnan(runs.accuracy[k]).all()
    assert runs.stopped_at[::2].tolist() == [-1, -1, -1]


def test_a_classifier_that_diverged_is_never_right():
    runs = ensemble(axes={"learning_rate": [0.1, 1e6]}, loss="mse", output="linear", activation="relu")
    runs.advance(60)
    assert runs.diverged.tolist() == [False, True]
    hinge = ensemble(axes={"learning_rate": [0.1, 1e200]}, loss="hinge", output="linear", activation="relu")
    hinge.advance(60)
    assert hinge.diverged.tolist() == [False, True]
    assert hinge.accuracy[1, -1] == 0.0
    assert np.isnan(hinge.validation_loss).all()


def test_a_run_that_is_not_finite_to_begin_with_has_diverged_at_epoch_0():
    huge = INITIALIZERS["normal"](std=1e160)
    runs = ensemble(axes={"initializer": ["he", huge]}, loss="mse", output="linear", activation="relu")
    runs.advance(5)
    assert runs.diverged.tolist() == [False, True]
    assert runs.stopped_at.tolist() == [-1, 0]
    assert np.isposinf(runs.loss[1]).all()
    np.testing.assert_array_equal(runs.parameters[1], runs.training(1).network.parameters)


def test_once_all_runs_have_ended_nothing_more_happens():
    runs = diverging()[:, 1]
    runs.advance(100)
    ended = runs.stopped_at
    assert runs.diverged.all()
    assert runs.epoch == ended.max()
    runs.advance(100)
    assert list(runs.train(100)) == []
    assert runs.epoch == ended.max()


def test_a_run_stops_at_the_first_epoch_with_the_loss_asked_for():
    runs, whole = (ensemble(axes={"seed": range(4)}, optimizer="adam", stop_loss=stop) for stop in (0.3, None))
    runs.advance(30), runs.advance(170)
    whole.advance(200)
    first = (whole.loss <= 0.3).argmax(axis=1)
    assert len(set(first)) == 4, "the runs were meant to stop at different epochs"
    np.testing.assert_array_equal(runs.stopped_at, first)
    assert not runs.diverged.any()
    assert runs.epoch == first.max()
    for k, stop in enumerate(first):
        np.testing.assert_array_equal(runs.loss[k, :stop], whole.loss[k, :stop])
        assert (runs.loss[k, stop:] == whole.loss[k, stop]).all()
        assert runs.network(k).loss(MOONS) == pytest.approx(whole.loss[k, stop], rel=1e-14)


# Statistics


@pytest.fixture(scope="module")
def trained() -> Ensemble:
    runs = ensemble(axes={"learning_rate": [0.1, 0.5], "seed": range(7), "initializer": ["he", "small"]}, every=4)
    runs.advance(30)
    return runs


@pytest.mark.parametrize("q", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("name", ["loss", "accuracy", "gradient_norms"])
def test_quantiles_are_numpys_nearest_ranks(trained, q, name):
    values = trained.series(name).reshape(2, 7, 2, *trained.series(name).shape[1:])
    expected = np.quantile(values, q, axis=1, method="inverted_cdf")
    np.testing.assert_array_equal(trained.quantiles(q, name), expected)


def test_the_median_of_an_odd_number_of_runs_is_numpys(trained):
    values = trained.loss.reshape(2, 7, 2, -1)
    np.testing.assert_array_equal(trained.median(), np.median(values, axis=1))
    np.testing.assert_array_equal(trained.median(over="seed"), trained.median())
    np.testing.assert_array_equal(
        trained.median(over=["seed", "initializer"]),
        np.quantile(np.swapaxes(values, 2, 3).swapaxes(1, 2).reshape(2, -1, 14), 0.5, axis=2, method="inverted_cdf"),
    )


def test_a_band_is_two_quantiles_and_several_quantiles_come_first(trained):
    low, high = trained.band(share=0.8)
    both = trained.quantiles([0.1, 0.9])
    assert both.shape == (2, 2, 2, len(trained.index))
    np.testing.assert_array_equal(both, [low, high])
    assert (low <= trained.median()).all() and (trained.median() <= high).all()


def test_without_a_seed_all_axes_are_gone_over():
    runs = ensemble(axes={"learning_rate": [0.1, 0.2, 0.3], "skip": [True, False]})
    runs.advance(4)
    np.testing.assert_array_equal(runs.median(), np.sort(runs.loss, axis=0)[2])


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, np.inf]), min_size=1, max_size=9), st.integers(0, 100))
def test_infinite_losses_are_ranked_and_never_turn_into_nan(losses, percent):
    runs = ensemble(axes={"seed": range(len(losses))})
    runs.series = lambda name: np.array(losses)[:, None]
    value = runs.quantiles(percent / 100)[0]
    assert value in losses
    at_most = 100 * sum(loss <= value for loss in losses)
    below = 100 * sum(loss < value for loss in losses)
    assert below <= percent * len(losses) <= at_most


def test_success_is_the_share_of_runs_that_have_ever_been_good_enough(trained):
    all_epochs = ensemble(axes=trained.axes)
    all_epochs.advance(30)
    loss, accuracy = (all_epochs.series(name).reshape(2, 7, 2, -1) for name in ("loss", "accuracy"))
    bound = float(np.median(loss.min(axis=-1)))
    expected = (loss.min(axis=-1) <= bound).mean(axis=1)
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(trained.success(loss=bound).probability, expected)
    right = (accuracy.max(axis=-1) >= 0.85).mean(axis=1)
    np.testing.assert_array_equal(trained.success(accuracy=0.85).probability, right)
    both = ((loss.min(axis=-1) <= bound) & (accuracy.max(axis=-1) >= 0.85)).mean(axis=(0, 1, 2))
    over_all = trained.success(loss=bound, accuracy=0.85, over=list(trained.axes))
    assert over_all.probability == pytest.approx(both, rel=1e-15)


WILSON = {
    (8, 10): (0.4901624715366418, 0.9433178485456248),
    (0, 10): (0.0, 0.27753279986288926),
    (10, 10): (0.7224672001371109, 1.0),
    (15, 50): (0.1910355350088095, 0.4375035046445341),
}
"""What scipy.stats.binomtest(successes, n).proportion_ci(method="wilson") has answered."""


@pytest.mark.parametrize(("successes", "n"), WILSON)
def test_the_interval_is_wilsons(successes, n):
    runs = ensemble(axes={"seed": range(n)})
    runs._records.least_loss[:successes] = 0.0
    result = runs.success(loss=0.1)
    assert result.probability == successes / n
    assert (result.low, result.high) == pytest.approx(WILSON[successes, n], abs=1e-14)


@pytest.mark.torch
def test_the_interval_is_wilsons_live():
    stats = pytest.importorskip("scipy.stats")
    for (successes, n), interval in WILSON.items():
        live = stats.binomtest(successes, n).proportion_ci(method="wilson")
        assert (live.low, live.high) == pytest.approx(interval, abs=1e-14)


# Parts of an ensemble


def test_a_part_goes_on_as_the_whole_would(trained):
    whole = ensemble(axes=trained.axes, every=4)
    whole.advance(10)
    part = whole[1, 2:5]
    assert part.shape == (3, 2)
    assert part.choices(3) == {"learning_rate": 0.5, "seed": 3, "initializer": "small"}
    before = part.loss
    whole.advance(20)
    np.testing.assert_array_equal(part.loss, before)
    part.advance(20)
    np.testing.assert_array_equal(part.loss, whole.loss.reshape(2, 7, 2, -1)[1, 2:5].reshape(6, -1))
    np.testing.assert_array_equal(part.parameters, whole.parameters.reshape(2, 7, 2, -1)[1, 2:5].reshape(6, -1))
    assert [len(row) for row in whole] == [14, 14]


def test_one_thread_trains_while_another_reads():
    runs = ensemble(axes={"seed": range(6)}, optimizer="adam")
    with ThreadPoolExecutor(1) as threads:
        training = threads.submit(lambda: [runs.advance(20) for _ in range(40)])
        while not training.done():
            now = runs[:]
            assert now.loss.shape == (6, len(now.index))
            assert np.isfinite(now.loss).all()
        training.result()
    assert runs.epoch == 799


@pytest.mark.parametrize("key", [5, (0, 0, 0, 0), "seed", slice(5, 5), (slice(None), 9)])
def test_a_part_that_is_not_there_is_refused(trained, key):
    with pytest.raises(IndexError):
        trained[key]


# On all cores


@pytest.fixture
def workers() -> Callable[[], list]:
    """The processes that the test has started; others may have left theirs."""
    before = active_children()
    return lambda: [process for process in active_children() if process not in before]


def shared_setup() -> dict:
    return SETUPS["minibatches"] | {"axes": SETUPS["minibatches"]["axes"] | {"learning_rate": [0.01, 1e8]}, "every": 5}


def test_processes_get_where_advance_gets_bit_for_bit(workers):
    here, there = (ensemble(**shared_setup()) for _ in range(2))
    here.advance(50)
    progress = list(there.train(30, block=16))
    assert progress[-1].share == 1.0
    assert progress[0].share < 0.5
    assert [p.done for p in progress] == sorted(p.done for p in progress)
    assert progress[-1].epoch == there.epoch == 29
    assert workers() == []
    there.advance(20)
    assert_the_same(here, there)


def test_threads_get_where_advance_gets_and_stay_open():
    here, there = (ensemble(**shared_setup()) for _ in range(2))
    here.advance(40)
    with ThreadPoolExecutor(3) as threads:
        list(there.train(25, threads))
        list(there.train(15, threads, block=4))
        assert threads.submit(int).result() == 0
    assert_the_same(here, there)


def test_what_is_shipped_is_small():
    """The data once, and of each run little more than its parameters and the optimizer's arrays of the same size."""
    runs = ensemble(axes={"seed": range(500)}, optimizer="adam")
    runs.advance(2)
    data = MOONS.x.nbytes + MOONS.y.nbytes
    assert len(ensemble_module._Cargo.of(runs._trainer).trainer) < data + 2000
    one, ten = (len(pickle.dumps([runs._job(k, 100, 50) for k in range(n)])) for n in (1, 10))
    assert (ten - one) / 9 < 4 * runs.parameters[0].nbytes + 1000


def test_all_runs_grow_together():
    runs = ensemble(axes={"seed": range(64)})
    with ThreadPoolExecutor(1) as threads:
        for _ in runs.train(40, threads, block=10):
            last = np.array([checkpoint.index for checkpoint in runs._checkpoints])
            assert np.ptp(last) <= 20
            assert runs.loss.shape == (64, len(runs.index))


def test_a_closed_generator_leaves_a_usable_ensemble_and_no_process(workers):
    here, there = (ensemble(axes={"seed": range(20)}) for _ in range(2))
    training = there.train(100_000, block=50)
    next(training)
    start = time.monotonic()
    training.close()
    assert time.monotonic() - start < 10
    assert workers() == []
    assert not there.diverged.any()
    there.advance(60)
    here.advance(there.epoch + 1)
    np.testing.assert_array_equal(here.loss[:, : here.epoch], there.loss[:, : here.epoch])
    reached = [checkpoint.index for checkpoint in there._checkpoints]
    for k in range(20):
        np.testing.assert_array_equal(there.parameters[k], there.training(k).advance(reached[k] + 1).parameters[-1])


def test_cancelling_drops_what_waits():
    runs, tasks, closed = ensemble(axes={"seed": range(40)}), [], Event()

    def after_closing(work: Callable, *arguments: object) -> object:
        assert closed.wait(60)
        return work(*arguments)

    class Held(ThreadPoolExecutor):
        """Does the first task at once, and the others once all is closed."""

        def submit(self, *task) -> Future:
            tasks.append(super().submit(*([after_closing] if tasks else []), *task))
            return tasks[-1]

    with Held(1) as executor:
        training = runs.train(100_000, executor)
        next(training)
        training.close()
        closed.set()
        started = [task for task in tasks if not task.cancelled()]
        # One task has come back, and the one thread may hold another.
        assert len(started) <= 2 < len(tasks)


class Broken:
    """A schedule that breaks in the middle."""

    def factor(self, epoch: int) -> float:
        if epoch == 20:
            raise ArithmeticError("no more rates")
        return 1.0


def test_a_worker_that_raises_is_a_clear_error():
    runs = ensemble(axes={"schedule": [None, Broken()]})
    with (
        ThreadPoolExecutor(1) as threads,
        pytest.raises(RuntimeError, match="a worker failed at run 1: ArithmeticError: no more rates"),
    ):
        list(runs.train(100, threads, block=10))
    assert runs.epoch >= 9


def test_a_worker_that_dies_is_a_clear_error_and_no_hang(workers):
    runs = ensemble(axes={"seed": range(8)})
    training = runs.train(1_000_000, block=20)
    next(training)
    workers()[0].kill()
    with pytest.raises(RuntimeError, match=r"a worker died over runs? .*; what came back is kept"):
        list(training)
    assert workers() == []
    runs.advance(2)


def test_a_worker_has_one_blas_thread_and_the_caller_its_environment_back(monkeypatch, workers):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    main = vars(sys.modules["__main__"]).copy()
    training = ensemble(axes={"seed": range(8)}).train(1_000_000, block=5)
    next(training)
    for worker in workers():
        with open(f"/proc/{worker.pid}/environ", "rb") as file:
            environment = file.read().split(b"\0")
        assert {b"OPENBLAS_NUM_THREADS=1", b"OMP_NUM_THREADS=1"} <= set(environment)
    training.close()
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
    assert vars(sys.modules["__main__"]) == main


SCRIPT = """
    import sys
    from multiprocessing import active_children
    from engine import DATASETS
    from engine.ensemble import Ensemble

    print("once", flush=True)
    runs = Ensemble([2, 4, 1], DATASETS["moons"](n=30), {"seed": range(8)})
    for progress in runs.train(int(sys.argv[1]), block=20):
        print(*(worker.pid for worker in active_children()), flush=True)
    print(runs.epoch)
"""


def script(tmp_path, epochs: int) -> subprocess.Popen:
    path = tmp_path / "script.py"
    path.write_text(dedent(SCRIPT))
    return subprocess.Popen([sys.executable, path, str(epochs)], stdout=subprocess.PIPE, text=True)


def test_a_script_needs_no_guard(tmp_path):
    with script(tmp_path, 40) as process:
        lines = process.stdout.read().split("\n")
    assert lines.count("once") == 1
    assert lines[-2] == "39"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise here")
def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path):
    with script(tmp_path, 10_000_000) as process:
        assert process.stdout.readline() == "once\n"
        workers = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axes": {"sede": range(3)}}, "axis 'sede' is unknown; choose one of data, seed, activation"),
        ({"axes": {"momentum": [0.9]}}, "axis 'momentum' is unknown; choose one of .*learning_rate"),
        ({"axes": {"optimizer": ["momentum", "sgd"], "momentum": [0.5]}}, "axis 'momentum' is unknown"),
        ({"axes": {"seed": []}}, r"axis 'seed' has the values \[\]; give a sequence of one or more"),
        ({"axes": {"seed": 3}}, "axis 'seed' has the values 3; give a sequence"),
        ({"axes": {"activation": "relu"}}, "axis 'activation' has the values 'relu'; give a sequence"),
        ({"axes": {"seed": [0, -1]}}, "seed -1 is impossible; choose a whole number of 0 or more"),
        ({"axes": {"seed": [0.5]}}, "seed 0.5 is impossible"),
        ({"axes": {"learning_rate": [0.1, -1.0]}}, "learning_rate -1.0 is out of bounds"),
        ({"axes": {"learning_rate": ["fast"]}}, "learning_rate 'fast' is not a number"),
        ({"axes": {"optimizer": ["sgd", "adma"]}}, "optimizer 'adma' is unknown; choose one of sgd"),
        (
            {"axes": {"optimizer": [OPTIMIZERS["adam"]]}},
            "optimizer <class .*> is none; give an instance, or one of sgd",
        ),
        ({"axes": {"optimizer": [None]}}, "optimizer None is none"),
        ({"initializer": 3}, "initializer 3 is none; give an instance, or one of he"),
        ({"schedule": "cosin"}, "schedule 'cosin' is unknown"),
        ({"axes": {"activation": ["tanh", "than"]}}, "activation 'than' is unknown"),
        ({"axes": {"activation": [["tanh"]]}}, "1 activations for 2 hidden layers"),
        ({"axes": {"loss": ["mse", "cross-entropy"]}}, "loss 'cross-entropy' does not go with the output 'sigmoid'"),
        ({"axes": {"batch_size": [5, 0]}}, "batch size 0 is impossible"),
        ({"axes": {"l2": [0.0, -0.1]}}, "l2 = -0.1 would reward large weights"),
        ({"axes": {"l1": [float("nan")]}}, "l1 nan is not a number"),
        ({"bias": float("inf")}, "bias inf is not a number"),
        ({"data": None, "axes": {"data": [MOONS, SINE]}}, r"x has the shape \(30, 1\); expected \(n, 2\)"),
        ({"data": None}, "data None is no data; give a dataset, or an axis of them"),
        ({"validation": SINE}, r"x has the shape \(30, 1\)"),
        ({"stop_loss": "low"}, "stop_loss 'low' is not a number"),
        ({"every": 0}, "every 0 is impossible; choose a whole number of 1 or more"),
    ],
)
def test_an_impossible_ensemble_is_refused_with_a_remedy_before_any_training(arguments, message):
    with pytest.raises(ValueError, match=message):
        ensemble(**arguments)


def test_a_network_too_large_for_newton_is_refused_before_any_training():
    with pytest.raises(ValueError, match=r"2,?000"):
        Ensemble([2, 60, 60, 1], MOONS, {"optimizer": ["sgd", "newton"]})


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda runs: runs.advance(0), "epochs 0 is impossible; choose a whole number of 1 or more"),
        (lambda runs: runs.train(0), "epochs 0 is impossible"),
        (lambda runs: runs.train(1, block=0), "block 0 is impossible"),
        (lambda runs: runs.series("los"), "series 'los' is unknown; choose one of loss, accuracy"),
        (lambda runs: runs.median(over="sede"), "axis 'sede' is unknown; choose one of learning_rate, seed"),
        (lambda runs: runs.quantiles(1.5), "quantile 1.5 is out of bounds; choose a share from 0 to 1"),
        (lambda runs: runs.success(), "success at what"),
    ],
)
def test_an_impossible_question_is_refused_with_a_remedy(trained, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(trained)

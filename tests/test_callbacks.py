"""Trainings of other libraries: they are logged as they are, and are bit for bit what they would be unwatched."""

import copy
import gc
import importlib.util
import json
import pickle
import subprocess
import sys
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dashboard import keras_callback, lightning_callback, observe_estimator, watch
from dashboard.tracking import null_logger
from dashboard.tracking.log_reader import LogReader
from dashboard.tracking.run_log import RunLog, run_logs

ROOT = Path(__file__).parents[1]


pytestmark = pytest.mark.usefixtures("place")


def readers() -> list[LogReader]:
    """Readers that have read all of every run, the oldest first."""
    gc.collect()
    runs = sorted(map(RunLog.found, run_logs()), key=lambda run: (run.folder / "about.json").stat().st_mtime_ns)
    found = [LogReader(run) for run in runs]
    for reader in found:
        while reader.read_on():
            pass
        assert not reader.damage
    return found


def reader() -> LogReader:
    (only,) = readers()
    return only


def fresh(code: str, *packages: str) -> dict[str, Any]:
    """What some code prints as JSON in a Python of its own, so that no library changes the process of other tests."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


LIGHTNING = """
import hashlib, json, logging, sys, warnings
warnings.simplefilter("ignore")
import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from dashboard import lightning_callback
from dashboard.tracking import sampler, torch_adapter
sampler.CREDIT = torch_adapter.TIME_FRACTION = 1e9
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

class Small(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.losses = []
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
    def training_step(self, batch, i):
        loss = ((self.net(batch[0]) - batch[1]) ** 2).mean()
        self.log("train_mae", loss.detach() ** 0.5, on_step=True, on_epoch=True)
        self.log("train_loss", loss)  # of the last batch
        self.losses.append(loss.item())
        self.log("epoch_share", float(self.current_epoch))
        return loss
    def validation_step(self, batch, i):
        self.log("val_loss", ((self.net(batch[0]) - batch[1]) ** 2).mean())
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)

def trained(*callbacks):
    L.seed_everything(0, verbose=False)
    data = TensorDataset(torch.randn(32, 3), torch.randn(32, 1))
    module = Small()
    L.Trainer(
        max_epochs=4, check_val_every_n_epoch=2, callbacks=list(callbacks), accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    ).fit(module, DataLoader(data, 8, shuffle=True), DataLoader(data, 16))
    weights = b"".join(one.numpy().tobytes() for one in module.state_dict().values())
    chance = torch.get_rng_state().numpy().tobytes()
    return hashlib.sha256(weights + chance).hexdigest(), module.losses

print(json.dumps([trained(), trained(lightning_callback("mine", tags=["try"]))]))
"""


@pytest.mark.frameworks
def test_a_training_of_lightning_is_logged_by_epoch_with_its_layers_and_is_the_same_as_unwatched():
    alone, watched = fresh(LIGHTNING, "torch", "lightning")
    assert watched == alone
    losses = np.reshape(watched[1], (4, 4))  # by epoch and batch
    found = reader()
    assert (found.run_log.name, found.run_log.tags, found.run_log.state()) == ("mine", ("try",), "ended")
    assert not found.problems
    epochs, metrics = found.history.epochs(), found.logbook.metrics
    assert epochs.index.tolist() == [0, 1, 2, 3]
    assert epochs.loss == pytest.approx(losses.mean(axis=1))  # summed in float32
    assert metrics["train_loss"].values == pytest.approx(losses[:, -1])
    assert epochs.learning_rate.tolist() == [0.01] * 4
    assert np.isfinite(epochs.validation_loss).tolist() == [False, True, False, True], "validated every second epoch"
    assert metrics["epoch_share"].values.tolist() == [0, 1, 2, 3]
    assert set(metrics) == {"train_loss", "train_mae", "epoch_share"}
    assert {"net.0", "net.3"} <= set(found.logbook.layers)
    assert {"gradient", "mean"} <= set(found.logbook.statistics)


KERAS = """
import hashlib, json
import keras
import numpy as np
from dashboard import keras_callback
from dashboard.tracking import sampler
sampler.CREDIT = 1e9

def trained(*callbacks):
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")
    layers = [keras.layers.Dense(8, "relu", name="wide"), keras.layers.Dropout(0.2), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, 16, 3, validation_split=0.25, verbose=0, callbacks=list(callbacks)).history
    weights = b"".join(one.tobytes() for one in model.get_weights())
    return hashlib.sha256(weights + repr(history).encode()).hexdigest(), history

(alone, _), (watched, history) = trained(), trained(keras_callback("mine"))
print(json.dumps([alone, watched, history]))
"""


@pytest.mark.frameworks
def test_a_training_of_keras_is_logged_as_its_history_has_it_and_is_the_same_as_unwatched(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    alone, watched, history = fresh(KERAS, "torch", "keras")
    assert watched == alone
    found = reader()
    assert not found.problems and found.run_log.state() == "ended"
    epochs = found.history.epochs()
    assert epochs.loss.tolist() == history["loss"]
    assert epochs.accuracy.tolist() == history["accuracy"]
    assert epochs.validation_loss.tolist() == history["val_loss"]
    assert epochs.validation_accuracy.tolist() == history["val_accuracy"]
    assert epochs.learning_rate == pytest.approx([0.02] * 3)  # a float32
    names = dict(found.setup.network.layout.weights)
    assert sorted(names.values()) == [1, 8, 8, 24]
    assert any("wide.kernel" in name for name in names)
    assert np.isfinite(epochs.parameters).all()


def by_hand(callback: Any, losses: list[Any], fails: BaseException | None = None, **about: Any) -> None:
    """Call a callback as Lightning's trainer does, for as many epochs as there are losses, of one batch each."""
    trainer = SimpleNamespace(callback_metrics={}, is_global_zero=True, optimizers=[], current_epoch=0, **about)
    callback.on_train_start(trainer, None)
    for epoch, loss in enumerate(losses):
        trainer.current_epoch = epoch
        callback.on_train_batch_end(trainer, None, {"loss": loss}, None, 0)
        callback.on_train_epoch_end(trainer, None)
    if fails:
        callback.on_exception(trainer, None, fails)
    else:
        callback.on_train_end(trainer, None)


class Scalar(float):
    """A loss with the methods of a tensor that are used."""

    def detach(self) -> "Scalar":
        return self

    def float(self) -> float:
        return float(self)


def test_each_training_that_a_callback_is_given_is_a_run_that_ends_as_it_ended():
    callback = lightning_callback("mine")
    by_hand(callback, [Scalar(4), Scalar(2)])
    by_hand(callback, [Scalar(3)], ValueError("too hot"))
    by_hand(callback, [Scalar(3)], KeyboardInterrupt())
    assert [one.history.epochs().loss.tolist() for one in readers()] == [[4, 2], [3], [3]]
    assert [one.status.end for one in readers()] == [
        "ended",
        "failed: ValueError: too hot",
        "stopped by KeyboardInterrupt",
    ]


def test_only_the_first_of_several_processes_logs():
    callback = lightning_callback("mine")
    trainer = SimpleNamespace(callback_metrics={}, is_global_zero=False, optimizers=[], current_epoch=0)
    callback.on_train_start(trainer, None)
    callback.on_train_epoch_end(trainer, None)
    callback.on_train_end(trainer, None)
    assert not list(run_logs())


class Broken:
    """A trainer or a model all of whose attributes fail."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


def test_no_hook_raises_whatever_it_is_called_with(caplog):
    callback = lightning_callback("mine")
    by_hand(callback, [object(), Scalar(2)])
    for hook in ("on_train_start", "on_train_epoch_end", "on_validation_end"):
        getattr(callback, hook)(Broken(), None)
    callback.on_exception(None, None, Broken)
    callback = keras_callback("mine", nothing=1)
    callback.on_train_begin()
    callback.model = Broken()
    callback.on_epoch_end(0, {"loss": 1.0, "epoch": 3.0, "self": 2.0, "odd": object()})
    callback.model = SimpleNamespace(trainable_weights=[], optimizer=SimpleNamespace(learning_rate=0.5))
    callback.on_epoch_end(1, {"loss": 1.0, "epoch": 3.0, "self": 2.0, "odd": object()})
    callback.on_train_end()
    last = readers()[-1]
    assert last.history.epochs().loss.tolist() == [1]
    assert {name: one.values.tolist() for name, one in last.logbook.metrics.items()} == {"epoch_": [3], "self_": [2]}
    assert caplog.records


@pytest.mark.parametrize("make", [keras_callback, lightning_callback])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_of_a_callback_begins_runs_of_its_own(make, copied):
    first = make("mine", tags=["a"])
    first.begin()
    other = copied(first)
    other.begin()
    other.end()
    first.end()
    assert [one.run_log.tags for one in readers()] == [("a",), ("a",)]


@pytest.mark.parametrize("home", [null_logger, sys.modules["dashboard"]], ids=["null", "ours"])
def test_a_callback_is_one_of_the_library_that_is_loaded(home, monkeypatch):
    class Callback:
        def on_something_new(self) -> str:
            return "theirs"

    for make, module in ((home.lightning_callback, "pytorch_lightning"), (home.keras_callback, "keras.callbacks")):
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(Callback=Callback))
        assert isinstance(make("mine"), Callback)
        assert make("mine").on_something_new() == "theirs"


class Estimator:
    """An estimator of a weight, which halves it."""

    def __init__(self) -> None:
        self.coef_: np.ndarray | None = None

    def partial_fit(self) -> None:
        self.coef_ = np.array([[4.0, 2.0]]) if self.coef_ is None else self.coef_ / 2

    def score(self, x: Any, y: Any) -> float:
        return float(self.coef_.sum())


def test_an_estimator_is_logged_after_the_body_of_the_loop_and_the_epochs_are_unchanged():
    estimator, seen = Estimator(), []
    for epoch in observe_estimator("abc", estimator, [1], [2], validation=([1], [2])):
        seen.append(epoch)
        estimator.partial_fit()
    assert seen == list("abc")
    found = reader()
    assert found.run_log.name == "Estimator" and found.run_log.state() == "ended" and not found.problems
    scores = {name: (one.index.tolist(), one.values.tolist()) for name, one in found.logbook.metrics.items()}
    assert scores == dict.fromkeys(("score", "val_score"), ([0, 1, 2], [6, 3, 1.5]))
    assert found.history.epochs().parameters.tolist() == [[4, 2], [2, 1], [1, 0.5]]


def test_a_loop_that_is_broken_off_logs_what_it_has_come_to_and_how_it_ended():
    estimator = Estimator()
    for epoch in observe_estimator(range(9), estimator, [1], [2]):
        estimator.partial_fit()
        if epoch == 1:
            break
    assert reader().logbook.metrics["score"].index.tolist() == [0, 1]

    def fail() -> None:
        for _ in observe_estimator(range(9), estimator, [1], [2]):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [one.run_log.state() for one in readers()] == ["ended", "stopped"]


def test_an_estimator_that_cannot_be_scored_goes_on_being_trained(caplog):
    estimator = SimpleNamespace(coef_=np.ones(2), score=lambda x, y: 1 / 0)
    assert list(observe_estimator(range(3), estimator, [1], [2])) == [0, 1, 2]
    assert "ZeroDivisionError" in caplog.text
    assert "division by zero" in reader().problems[0]


@pytest.mark.torch
def test_partial_fit_of_scikit_learn_is_the_same_as_unwatched():
    pytest.importorskip("sklearn")
    from sklearn.linear_model import SGDRegressor
    from sklearn.neural_network import MLPClassifier

    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 2))
    classes, values = (x[:, 0] > 0).astype(int), x @ [1.0, 2.0]
    for make, y, given in (
        (lambda: MLPClassifier([5], random_state=0), classes, {"classes": [0, 1]}),
        (lambda: SGDRegressor(random_state=0), values, {}),
    ):
        alone, watched = make(), make()
        for _ in range(4):
            alone.partial_fit(x, y, **given)
        scores = []
        for _ in observe_estimator(range(4), watched, x, y):
            watched.partial_fit(x, y, **given)
            scores.append(watched.score(x, y))
        assert pickle.dumps(watched) == pickle.dumps(alone)
        found = readers()[-1]
        assert not found.problems
        epochs = found.history.epochs()
        if given:
            assert epochs.accuracy.tolist() == scores
            assert epochs.loss.tolist() == alone.loss_curve_
            assert dict(found.setup.network.layout.weights) == {
                "coefs_.1": 10, "coefs_.2": 5, "intercepts_.1": 5, "intercepts_.2": 1
            }  # fmt: skip
        else:
            assert found.logbook.metrics["score"].values.tolist() == scores
            assert epochs.parameters[-1].tolist() == [*alone.coef_, *alone.intercept_]


Pair = namedtuple("Pair", ["kernel", "bias"])
TREES = {
    "dicts": ({"dense": {"kernel": 1, "bias": 2}}, ["dense.kernel", "dense.bias"]),
    "pairs": ([(1, 2), (3, 4)], ["1.1", "1.2", "2.1", "2.2"]),
    "dicts in a list": ({"layers": [{"w": 1}, {"w": 2}]}, ["layers.1.w", "layers.2.w"]),
    "named tuples": ({"dense": Pair(1, 2)}, ["dense.kernel", "dense.bias"]),
    "any mapping": (MappingProxyType({"a": MappingProxyType({"b": 1})}), ["a.b"]),
    "nothing within": ([(1, 2), (), (3, None)], ["1.1", "1.2", "3.1"]),
}


def grown(tree: Any) -> Any:
    """The tree with an array for each number, all of them of one shape."""
    if isinstance(tree, Mapping):
        return type(tree)({name: grown(one) for name, one in tree.items()})
    if isinstance(tree, Pair):
        return Pair(*map(grown, tree))
    if isinstance(tree, list | tuple):
        return type(tree)(map(grown, tree))
    return None if tree is None else np.full((2, 3), float(tree))


@pytest.mark.parametrize(("tree", "names"), TREES.values(), ids=TREES)
def test_the_leaves_of_a_tree_are_layers_named_by_their_paths(tree, names):
    with watch("mine") as lab:
        for epoch in range(3):
            lab.log(epoch, loss=1.0, gradients=grown(tree), parameters=grown(tree))
    found = reader()
    assert not found.problems
    assert [name for name in found.setup.network.layout.layers if name in names] == names
    assert [name for name, _ in found.setup.network.layout.weights] == names
    leaves = [float(name) for name in range(1, 1 + len(names))]
    known = found.history.epochs().gradient_norms[-1]
    assert known[np.isfinite(known)] == pytest.approx([leaf * 6**0.5 for leaf in leaves])
    assert found.history.epochs().parameters[-1].tolist() == [leaf for leaf in leaves for _ in range(6)]


def test_a_list_of_numbers_is_a_leaf_and_a_tree_in_a_circle_stops_nothing():
    circle: list[Any] = [np.ones(2)]
    circle.append(circle)
    with watch("mine") as lab:
        lab.log(0, loss=1.0, gradients={"a": [3.0, 4.0]}, parameters={"a": [1, 2], "b": [[1, 2], [3, 4]]})
        lab.log(1, loss=2.0, gradients=circle)
    found = reader()
    assert found.history.epochs().loss.tolist() == [1, 2]
    assert found.history.epochs().gradient_norms[0].tolist() == [5]
    assert dict(found.setup.network.layout.weights) == {"a": 2, "b": 4}
    assert "RecursionError" in found.problems[0]

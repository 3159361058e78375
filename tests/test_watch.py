"""Watching one's own training: what is logged is shown, the training is left alone, and nothing is raised into it."""

import gc
import os
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.instruments.logged_activations import LoggedActivations
from dashboard.instruments.logged_metrics import LoggedMetrics
from dashboard.pages import PAGES
from dashboard.pages.watch import Watch
from dashboard.shell.app import App
from dashboard.state.clock import SCHEDULER
from dashboard.state.playback import Playback, clock_of
from dashboard.state.store import Trainable
from dashboard.tracking import discovery, logger, run_log, sampler
from dashboard.tracking.log_reader import LogReader
from dashboard.tracking.logger import Logger, observe, watch
from dashboard.tracking.run_log import run_logs
from dashboard.tracking.sampler import mean_of, norm
from dashboard.tracking.tracked_run import KIND, TrackedRun, WatchSettings
from engine import DATASETS, Network, train
from engine.datasets import Dataset
from engine.recording import load, save
from engine.training import COLUMNS

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DESCENT_LAB_BROWSER", "0")
    return tmp_path / "home"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Logger]:
    """A run that is logged by somebody's own loop, and goes on; everything is measured, however busy the machine is."""
    monkeypatch.setattr(sampler, "CREDIT", 1e6)
    with watch("mine") as found:
        for epoch in range(30):
            tell(found, epoch)
        found._writer.flush()
        yield found


def tell(found: Logger, epoch: int) -> None:
    weights = [np.full((3, 4), epoch + 1.0), np.full((4, 2), 2.0)]
    active = np.tile([0.0, 1e-4, 1.0, epoch], (5, 1))
    found.log(epoch, loss=1 / (epoch + 1), gradients=weights, activations=[active], parameters=weights)


def seen(key: str) -> LogReader:
    reader = LogReader.of(key)
    for _ in range(20):
        reader._looked = -1
        reader.poll()
    return reader


def look(watched: TrackedRun) -> TrackedRun:
    """The store, once it has looked around."""
    watched._listing._looked = -1
    if watched._reader:
        watched._reader._looked = -1
    watched.poll()
    return watched


def epochs_of(training: Any, last: int) -> list:
    found = []
    for epoch in training:
        found.append(epoch)
        if epoch.index == last:
            break
    training.close()
    return found


def test_observe_yields_the_epochs_unchanged_and_all_of_them_are_logged():
    data, held_out = DATASETS["moons"](60).split(0.25)
    plain = epochs_of(train(Network([2, 5, 1]), data, validation=held_out, batch_size=7), 150)
    shown = epochs_of(observe(train(Network([2, 5, 1]), data, validation=held_out, batch_size=7)), 150)
    for one, other in zip(plain, shown, strict=True):
        assert (one.index, one.loss) == (other.index, other.loss)
        assert (one.parameters == other.parameters).all()
    reader = seen(next(run_logs()))
    kept = reader.history.epochs()
    assert kept.index.tolist() == list(range(151))
    for name in COLUMNS:
        assert np.array_equal(getattr(kept[-1], name), getattr(plain[-1], name)) or name == "mean_activations"
    assert kept.loss.tolist() == [epoch.loss for epoch in plain]
    assert kept.validation_loss.tolist() == [epoch.validation_loss for epoch in plain]
    assert (kept.gradient_norms == [epoch.gradient_norms for epoch in plain]).all()
    assert (kept.parameters == [epoch.parameters for epoch in plain]).all()


def test_observe_passes_on_what_is_no_epoch_and_says_so_once(caplog):
    assert list(observe(["one", "two", "three"])) == ["one", "two", "three"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("dataset", ["moons", "blobs", "sine"])
def test_a_network_of_ours_is_shown_with_its_examples(dataset):
    data = DATASETS[dataset](60)
    outputs = {"binary": (1, "sigmoid"), "classes": (data.n_classes, "softmax"), "regression": (1, "linear")}[data.task]
    network = Network([data.features, 4, outputs[0]], output=outputs[1], activation="tanh")
    epochs_of(observe(train(network, data)), 5)
    reader = seen(next(run_logs()))
    assert reader.has_data
    setup = reader.setup
    assert (setup.task, setup.train.n_classes, setup.network.sizes) == (data.task, data.n_classes, network.sizes)
    assert (setup.train.x == data.x).all()
    assert (setup.train.y == data.y).all()
    assert TrackedRun().frame().network().loss(setup.train) == pytest.approx(reader.history[-1].loss, rel=1e-12)


def test_so_many_examples_are_not_saved_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(run_log, "MAX_EXAMPLES", 59)
    epochs_of(observe(train(Network([2, 4, 1]), DATASETS["moons"](60))), 5)
    reader = seen(next(run_logs()))
    assert not (reader.run_log.folder / "data.npz").exists()
    assert (reader.has_data, reader.history[-1].index) == (False, 5)
    assert "pictures that are made of them" in " ".join(reader.problems)


def test_epochs_that_come_from_elsewhere_are_logged_too():
    data = DATASETS["moons"](60)
    network = Network([2, 4, 1])
    epochs = epochs_of(train(network, data), 9)
    assert list(observe(iter(epochs), "given", network=network, data=data)) == epochs
    reader = seen(next(run_logs()))
    assert (reader.run_log.name, reader.has_data, reader.history[-1].index) == ("given", True, 9)


def test_a_network_of_ours_in_a_loop_of_ones_own_logs_its_parameters(monkeypatch):
    monkeypatch.setattr(sampler, "CREDIT", 1e9)
    monkeypatch.setattr(sampler, "TIME_FRACTION", 1e9)
    data, network = DATASETS["moons"](60), Network([2, 4, 1])
    with watch("own", network=network, data=data) as found:
        for epoch in range(5):
            network.parameters = network.parameters - 0.1 * network.gradient(data).flat
            found.log(epoch, loss=network.loss(data))
    reader = seen(found.id)
    assert reader.has_data
    assert (reader.history[-1].parameters == network.parameters).all()


def test_arrays_may_be_overwritten_right_after_they_were_logged():
    weights = [np.ones((3, 4))]
    with watch("mine") as found:
        found.log(0, loss=1.0, gradients=weights, activations=[weights[0]], parameters=weights)
        weights[0][:] = 7
    epoch = seen(found.id).history[-1]
    assert epoch.gradient_norms.tolist() == [12**0.5]
    assert epoch.mean_activations[0].tolist() == [1] * 4
    assert epoch.parameters.tolist() == [1] * 12


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.integers(-300, 300))
def test_norms_neither_overflow_nor_vanish(values, power):
    scaled = np.array(values) * 10.0**power
    scaled = scaled[np.isfinite(scaled)]
    largest = np.abs(scaled).max(initial=0.0)
    expected = largest * np.linalg.norm(scaled / largest) if largest else 0.0
    assert norm(scaled) == pytest.approx(expected, rel=1e-12)


def test_a_float32_gradient_that_vanishes_has_the_norm_it_has():
    tiny = np.full(9, 1e-30, np.float32)
    assert norm(tiny) == pytest.approx(3e-30, rel=1e-6)
    assert norm(-2.5) == 2.5


def test_activations_are_averaged_over_examples_and_places():
    values = np.random.default_rng(0).normal(size=(6, 3, 4, 5))
    assert np.allclose(mean_of(values), values.mean(axis=(0, 2, 3)))
    assert np.allclose(mean_of(values[:, :, 0, 0]), values[:, :, 0, 0].mean(axis=0))
    assert mean_of([1, 2, 3]).tolist() == [1, 2, 3]


WRONG: dict[str, dict[str, Any]] = {
    "no loss": {},
    "a text": {"loss": "low"},
    "an odd epoch": {"epoch": 2.5, "loss": 1.0},
    "a negative epoch": {"epoch": -3, "loss": 1.0},
    "no number": {"epoch": float("nan"), "loss": 1.0},
    "texts for gradients": {"loss": 1.0, "gradients": ["a"]},
    "an unknown word": {"loss": 1.0, "perplexity": 3},
    "a ragged list": {"loss": 1.0, "activations": [[1, [2, 3]]]},
    "an object": {"loss": object(), "parameters": object()},
    "nothing in lists": {"loss": 1.0, "gradients": [], "activations": [], "parameters": []},
    "a number for a list": {"loss": 1.0, "gradients": 3.0},
    "empty arrays": {"loss": 1.0, "gradients": [np.empty(0)], "activations": [np.empty((0, 3))]},
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_is_logged_nothing_is_raised_and_what_is_right_is_still_shown(name, caplog):
    with watch("mine") as found:
        found.log(0, loss=3.0)
        for _ in range(3):
            found.log(**WRONG[name])
        found.log(50, loss=2.0)
    reader = seen(found.id)
    assert reader.history[-1].loss == 2.0
    assert reader.history[0].loss == 3.0
    assert len(caplog.records) <= 1, "it is said once"


def test_a_loss_alone_in_between_says_nothing_of_what_was_logged_before():
    with watch("mine") as found:
        found.log(0, loss=3.0)
        tell(found, 1)
        found.log(2, loss=1.0)
        tell(found, 3)
        found.log(4, loss=0.5, gradients=[1.0, 2.0])
    reader = seen(found.id)
    assert np.isnan(reader.history.at(2).mean_activations[0]).all()
    assert reader.history.at(4).gradient_norms.tolist() == [1, 2]
    assert np.isnan(reader.history.at(4).parameters).all()
    assert [reader.logged.of(name).epochs().index.tolist() for name in ("loss", "gradient_norms", "parameters")] == [
        [0, 1, 2, 3, 4],
        [1, 3, 4],
        [1, 3],
    ]
    assert len(reader.history) == 5


def test_a_loop_that_is_faster_than_its_arrays_can_be_measured_logs_every_loss(monkeypatch):
    monkeypatch.setattr(sampler, "TIME_FRACTION", 1e-6)
    monkeypatch.setattr(sampler, "CREDIT", 1e-6)
    with watch("mine") as found:
        for epoch in range(150):
            tell(found, epoch)
    reader = seen(found.id)
    assert [reader.history.at(i).loss for i in range(150)] == [1 / (i + 1) for i in range(150)]
    assert reader.logged.of("parameters")[-1].parameters.tolist() == reader.history[0].parameters.tolist()
    assert np.isnan(reader.history[-1].parameters).all()
    assert "at some epochs only" in reader.problems[0]


def test_an_epoch_that_is_no_whole_number_is_shown_as_the_next_one_and_said_so():
    with watch("mine") as found:
        found.log(4, loss=1.0)
        found.log(4.5, loss=0.5)
        found.log(None, loss=0.25)
    reader = seen(found.id)
    assert [reader.history.at(i).loss for i in (4, 5, 6)] == [1, 0.5, 0.25]
    assert "4.5 is no whole number" in reader.problems[0]


@pytest.mark.parametrize(
    ("error", "end", "state"),
    [
        (None, "ended", run_log.ENDED),
        (KeyboardInterrupt(), "stopped by KeyboardInterrupt", run_log.STOPPED),
        (ValueError("no good"), "failed: ValueError: no good", run_log.FAILED),
    ],
)
def test_how_a_loop_was_left_is_logged(error, end, state):
    with pytest.raises(type(error)) if error else nullcontext(), watch("mine") as found:
        found.log(0, loss=1.0)
        if error:
            raise error
    assert found._writer.run_log.status().end == end
    assert found._writer.run_log.state() == state
    found.log(1, loss=1.0)
    assert seen(found.id).history[-1].index == 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_folder_that_cannot_be_written_to_stops_nothing(place, caplog):
    place.write_text("a file in the folder's place")
    data = DATASETS["moons"](60)
    assert len(epochs_of(observe(train(Network([2, 4, 1]), data)), 9)) == 10
    with watch("mine") as found:
        found.log(0, loss=1.0)
    assert "DESCENT_LAB_HOME" in caplog.text
    assert found.id == ""
    assert TrackedRun().is_empty


def test_a_loop_that_is_broken_off_or_forgotten_is_ended():
    data = DATASETS["moons"](60)
    for epoch in observe(train(Network([2, 4, 1]), data)):
        if epoch.index == 3:
            break
    gc.collect()
    assert seen(next(run_logs())).state == run_log.ENDED


def test_a_program_that_ends_without_a_word_has_ended_and_not_been_killed(place):
    code = (
        "from dashboard.tracking.logger import watch\nlab = watch('script')\nlab.log(0, loss=1.0)\nlab.log(1, loss=0.5)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, timeout=60)
    reader = seen(next(run_logs()))
    assert (reader.state, reader.history[-1].loss) == (run_log.ENDED, 0.5)


def test_a_script_needs_no_screen_to_be_watched(place):
    code = "import sys\nfrom dashboard import watch, observe\nwith watch('script') as lab: lab.log(0, loss=1.0)\n"
    code += "assert not {'panel', 'bokeh', 'holoviews', 'torch'} & sys.modules.keys()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "watch 'script' at" in done.stderr


def test_a_laboratory_that_is_served_is_found_and_opened_unless_somebody_looks(monkeypatch, place):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(logger, "_served", lambda: pytest.fail("another one is served"))
    discovery.announce("http://localhost:1234/dashboard")
    assert discovery.addresses() == ["http://localhost:1234/dashboard"]
    with watch("mine", open_browser=True) as found:
        assert found.address == f"http://localhost:1234/dashboard?page=watch&feed={found.id}"
    deadline = time.monotonic() + 10
    while not opened and time.monotonic() < deadline:
        time.sleep(0.01)
    assert opened == ["http://localhost:1234/dashboard?page=watch"]
    Watch(TrackedRun()).poll()
    watch("again", open_browser=True).close()
    time.sleep(0.1)
    assert len(opened) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b'{"address": "file:///etc", "pid": 1, "born": "", "host": "x"}', b'{"address": 3}'],
)
def test_the_announcement_of_a_server_that_has_gone_or_is_none_is_withdrawn(place, content):
    folder = place / "live" / "servers"
    folder.mkdir(parents=True)
    (folder / "1.json").write_bytes(content)
    assert discovery.addresses() == []
    assert list(folder.iterdir()) == []


def test_where_no_browser_is_to_be_opened_none_is_served(monkeypatch):
    monkeypatch.setattr(logger, "_served", lambda: pytest.fail("one is served"))
    assert watch("mine").address == ""


def test_another_way_of_showing_takes_the_browsers_place(monkeypatch):
    monkeypatch.setattr(logger, "DISPLAYS", [lambda found: bool(found.id)])
    monkeypatch.setattr(logger, "_served", lambda: pytest.fail("one is served"))
    watch("mine", open_browser=True).close()


def test_the_store_shows_the_newest_and_takes_up_another_by_itself(logged):
    watched = look(TrackedRun())
    assert watched.frame().epoch.index == 29
    version = watched.version
    tell(logged, 30)
    logged._writer.flush()
    assert look(watched).version > version
    assert watched.frame().epoch.index == 30
    watched.look_at(3)
    with watch("another") as other:
        other.log(0, loss=5.0)
        other._writer.flush()
        assert look(watched).chosen == other.id
        assert watched.frame().epoch.loss == 5.0
        watched.settings.feed = logged.id
        assert look(watched).chosen == logged.id
        assert [entry.name for entry in watched.entries] == ["another", "mine"]


def test_a_run_log_that_is_not_there_is_reported(logged):
    watched = TrackedRun(WatchSettings(feed="20200101-000000-abcdef"))
    assert watched.is_empty
    assert "not there" in watched.message
    settings, problems = WatchSettings.from_query({"feed": "../../etc"})
    assert settings.feed == ""
    assert len(problems) == 1


def test_nothing_is_computed_or_changed_by_looking(logged):
    watched = look(TrackedRun())
    clock = clock_of(watched)
    assert isinstance(clock, Playback)
    assert clock.playing
    clock.play()
    assert SCHEDULER.tasks == 0
    assert not isinstance(watched, Trainable)
    clock.back()
    assert (clock.playing, watched.frame().epoch.index) == (False, 28)
    clock.step()
    assert clock.playing
    clock.reset()
    assert watched.frame().epoch.index == 0
    clock.toggle()
    assert watched.looked_at is None
    clock.go_to(7)
    assert watched.frame().epoch.index == 7


def test_the_page_of_a_foreign_run_shows_what_there_are_numbers_for(logged):
    app = App(page="watch")
    look(app.run)
    while app.is_behind():
        app.draw()
    kinds = [type(one).__name__ for one in app.shown.shown if not isinstance(one, LoggedMetrics)]
    arrays = ["GradientBars", "LoggedActivations", "LayerCurves", "UpdateRatios"]
    assert kinds == ["LossCurve", "LayerStatistics", "LayerBands", *arrays]
    activations = next(one for one in app.shown.shown if isinstance(one, LoggedActivations))
    assert activations.caption.startswith("1 dead, 1 dim of 4 units")
    tell(logged, 30)
    logged._writer.flush()
    look(app.run)
    while app.is_behind():
        app.draw()
    assert app.shown._list.items[0]["detail"] == "epoch 30, loss 0.03226"
    assert app.shown.shown[0].sources["now"].data["epoch"] == [30]
    app.workspace.leave()


def test_the_page_of_a_bare_loss_shows_the_loss():
    with watch("bare") as found:
        found.log(0, loss=1.0)
    app = App(page="watch")
    assert [type(one).__name__ for one in app.shown.shown] == ["LossCurve"]
    app.workspace.leave()
    assert found.id == app.run.chosen


def test_the_page_of_a_network_of_ours_shows_everything():
    epochs_of(observe(train(Network([2, 4, 1]), DATASETS["moons"](60))), 20)
    app = App(page="watch")
    kinds = {type(one).__name__ for one in app.shown.shown}
    assert {"DecisionMap", "LossLandscape", "ActivationMap"} <= kinds
    app.workspace.leave()


def test_the_empty_page_says_what_to_type():
    app = App(page="watch")
    assert app.shown.shown == []
    assert "watch(" in app.shown._list.code
    compile(app.shown._list.code, "code", "exec")
    app.workspace.leave()


def test_a_training_that_is_gone_or_odd_is_said_on_the_page(logged):
    tell(logged, 3)
    logged._writer.flush()
    app = App(page="watch")
    assert app.shown._list.said.splitlines()[0] == "Running."
    assert "Epoch 3 was logged twice" in app.shown._list.said
    logged.close("failed: ValueError: <b>no</b>")
    look(app.run)
    app.run._reader.poll()
    app.draw()
    assert app.shown._list.said.startswith("Failed: ValueError")
    assert app.shown._list.items[0]["state"] == "failed"
    app.workspace.leave()


@pytest.mark.parametrize("ours", [True, False])
def test_a_watched_run_is_kept_and_opened_again_as_it_was(ours, logged, tmp_path):
    if ours:
        epochs_of(observe(train(Network([2, 4, 1]), DATASETS["moons"](60))), 20)
    page = PAGES["watch"]
    watched = look(TrackedRun())
    recording = page(watched).recording("kept")
    assert recording.notes["kind"] == KIND
    save(tmp_path / "run.npz", recording)
    again = page.reopened(load(tmp_path / "run.npz"))
    one, other = watched.frame(), again.frame()
    assert (one.epoch.index, one.epoch.loss) == (other.epoch.index, other.epoch.loss)
    assert (one.measured("parameters").epoch.parameters == other.measured("parameters").epoch.parameters).all()
    assert type(one.setup.network) is type(other.setup.network)
    assert len(one.setup.train) == len(other.setup.train)
    assert PAGES["watch"](again).shown == []
    with pytest.raises(ValueError, match="not a watched one"):
        TrackedRun.reopened(type(recording)(recording.epochs, notes={"kind": "run"}))


def test_a_watched_run_that_cannot_be_kept_says_why():
    with pytest.raises(ValueError, match="nothing to keep yet"):
        TrackedRun().recording()
    many = Dataset(np.random.default_rng(0).normal(size=(6000, 2)), np.arange(6000) % 2 * 1.0, "binary", 2)
    epochs_of(observe(train(Network([2, 4, 1]), many)), 1)
    with pytest.raises(ValueError, match="too many to be kept"):
        look(TrackedRun()).recording()


@pytest.mark.torch
class TestTorch:
    """A PyTorch module, against PyTorch itself."""

    @pytest.fixture
    def module(self) -> Any:
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        nn = torch.nn
        return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4), nn.Tanh(), nn.Linear(4, 3))

    def step(self, module: Any, seed: int = 0) -> Any:
        """One forward and backward pass; the loss."""
        torch = pytest.importorskip("torch")
        x = torch.randn(11, 5, generator=torch.Generator().manual_seed(seed))
        module.zero_grad()
        loss = (module(x) ** 2).mean()
        loss.backward()
        return x, loss

    def test_norms_means_and_weights_are_pytorchs_own(self, module):
        with watch("torch", module=module) as found:
            x, loss = self.step(module)
            found.log(0, loss=loss)
        epoch = seen(found.id).history[-1]
        layers = [one for one in module if hasattr(one, "weight")]
        norms = [np.linalg.norm([float(part.grad.double().norm()) for part in one.parameters()]) for one in layers]
        # Both sum float32 gradients in float64; only the order of the sums differs.
        assert epoch.gradient_norms == pytest.approx(norms, rel=1e-12)
        hidden = [module[:2](x), module[:4](x)]
        for means, outputs in zip(epoch.mean_activations, hidden, strict=True):
            assert means == pytest.approx(outputs.double().mean(0).detach().numpy(), rel=1e-12)
        flat = np.concatenate([one.weight.detach().numpy().ravel() for one in layers])
        assert (epoch.parameters == flat).all()
        assert epoch.loss == loss.item()
        assert LogReader.of(found.id)._layout.layers == ("0", "2", "4")

    def test_what_was_measured_since_the_last_word_is_averaged(self, module, monkeypatch):
        monkeypatch.setattr("dashboard.tracking.torch_adapter.TIME_FRACTION", 1e9)
        norms, optimizer = [], pytest.importorskip("torch").optim.SGD(module.parameters(), lr=0.1)
        with watch("torch", module=module) as found:
            for seed in range(3):
                _, loss = self.step(module, seed)
                optimizer.step()
                norms.append(
                    [
                        one.weight.grad.double().norm() ** 2 + one.bias.grad.double().norm() ** 2
                        for one in (module[0], module[2], module[4])
                    ]
                )
            found.log(0, loss=loss)
        assert seen(found.id).history[-1].gradient_norms == pytest.approx(np.sqrt(norms).mean(axis=0), rel=1e-6)

    def test_convolutions_count_by_channels_and_the_module_is_left_as_it_was(self, module):
        torch = pytest.importorskip("torch")
        nn = torch.nn
        net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 2))
        with watch("torch", module=net) as found:
            net(torch.randn(4, 1, 6, 6)).sum().backward()
            with torch.no_grad():
                net.eval()(torch.randn(4, 1, 6, 6))
            found.log(0, loss=1.0)
        assert [len(means) for means in seen(found.id).history[-1].mean_activations] == [6]
        for one in net.modules():
            assert not one._forward_hooks
            assert not one._forward_pre_hooks
        assert not any(part._backward_hooks for part in net.parameters())

    def test_a_training_that_is_watched_takes_the_same_path(self, module):
        torch = pytest.importorskip("torch")
        start = {name: part.clone() for name, part in module.state_dict().items()}
        ends = []
        for shown in (False, True):
            module.load_state_dict(start)
            optimizer = torch.optim.Adam(module.parameters())
            found = watch("torch", module=module) if shown else None
            for seed in range(20):
                _, loss = self.step(module, seed)
                optimizer.step()
                if found:
                    found.log(seed, loss=loss)
            if found:
                found.close()
            ends.append([part.clone() for part in module.parameters()])
        assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))

    def test_what_is_no_module_or_has_no_layers_is_said_and_the_losses_are_shown(self, caplog):
        torch = pytest.importorskip("torch")
        for wrong in (object(), torch.nn.ReLU()):
            with watch("torch", module=wrong) as found:
                found.log(0, loss=torch.tensor(2.0, requires_grad=True))
            assert seen(found.id).history[-1].loss == 2.0
        assert "torch.nn.Module" in caplog.text
        assert os.environ["DESCENT_LAB_BROWSER"] == "0"


@pytest.mark.torch
def test_a_parameter_that_was_felt_is_as_it_was_and_hooks_of_others_stay():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    received = []
    module[2].weight.register_hook(lambda gradient: received.append(1))
    with watch("hooks", module=module) as logger:
        for epoch in range(3):
            module(torch.ones(5, 3)).sum().backward()
            logger.log(epoch, loss=0.0)
    assert seen(next(run_logs())).history[0].gradient_norms[0] > 0
    assert [parameter._backward_hooks for parameter in module[0].parameters()] == [None, None]
    module(torch.ones(5, 3)).sum().backward()
    assert len(received) == 4

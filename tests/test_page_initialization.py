"""The page on initialization opens, its presets do what they say, and its study shows what becomes of each start."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from dashboard.instruments.signal_propagation import expected_sizes, measured_sizes
from dashboard.pages.initialization import Initialization, StartsView
from dashboard.shell.app import App
from dashboard.state.study import Plan, Study
from engine.activations import ACTIVATIONS
from engine.datasets import DATASETS
from engine.initializers import Normal
from engine.network import Network

LN2 = math.log(2)


@pytest.fixture(scope="module")
def study() -> Study:
    """Five seeds instead of sixteen, 500 epochs instead of 2000: the differences are larger than that noise."""
    run, problems = Initialization.opened({"seeds": "5", "epochs": "500"})
    assert not problems
    for _ in run.study.pieces(run.settings):
        pass
    return run.study


def median(study: Study, label: str, epoch: int) -> float:
    result = study.results[label]
    return float(np.median(result.loss[:, result.row(epoch)]))


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    app = App(page="initialization")
    yield app
    app.close()


def test_the_page_opens_and_every_picture_moves(app):
    before = [picture.caption for picture in app.shown.shown]
    app.run.advance(200)  # of 20 epochs, captions that round to two digits may tell nothing
    app.draw()
    assert len(before) == 7
    assert all(picture.caption != old for picture, old in zip(app.shown.shown, before, strict=True))


@pytest.mark.parametrize("preset", Initialization.presets, ids=lambda preset: preset.label)
def test_every_preset_can_be_chosen(app, preset):
    app.shown.play = lambda: None
    app.shown.choose(preset)
    for name, value in preset.changes.items():
        assert getattr(app.run.settings, name) == value
    app.run.advance(3)
    app.draw()
    assert not app.run.message


def test_every_start_has_a_color_of_its_own():
    assert StartsView.colors.keys() == Initialization.plan.variants.keys()
    assert len(set(StartsView.colors.values())) == len(StartsView.colors)


@pytest.mark.parametrize(
    ("label", "losses"),
    [("Xavier", (0.71, 0.32, 0.24)), ("He", (0.85, 0.28, 0.185))],
)
def test_scaled_starts_go_down_at_once(study, label, losses):
    """The medians over 20 seeds and five draws of the data to within 20 %: draws and five seeds scatter so far."""
    for epoch, loss in zip((0, 100, 500), losses, strict=True):
        assert median(study, label, epoch) == pytest.approx(loss, rel=0.2)


@pytest.mark.parametrize("label", ["zeros", "std 0.001", "std 0.01"])
def test_small_starts_lie_on_the_plateau(study, label):
    for epoch in (0, 100, 500):
        assert median(study, label, epoch) == pytest.approx(LN2, abs=1e-3)


def test_a_standard_deviation_of_one_starts_high_and_ends_below_he_and_xavier(study):
    """At the start 3.3 in the median over many seeds; of five, it is between 2 and 6."""
    assert 2 < median(study, "std 1", 0) < 6
    assert median(study, "std 1", 500) < min(median(study, "He", 500), median(study, "Xavier", 500))


def test_a_standard_deviation_of_five_starts_in_the_hundreds_and_learns_at_a_small_rate(study):
    assert 100 < median(study, "std 5", 0) < 1000
    assert median(study, "std 5", 500) < 0.2


def test_very_large_weights_fail_at_a_large_rate_and_he_does_not():
    """At 0.5 most seeds of a standard deviation of 10 are left above 0.5; of He none is."""
    changes = Initialization.plan.variants
    study = Study(Plan({label: changes[label] for label in ("He", "std 10")}, seeds=8, epochs=300))
    for _ in study.pieces(Initialization.settings(**{**Initialization.defaults, "learning_rate": 0.5})):
        pass
    stuck = {label: (~(result.loss[:, -1] < 0.5)).mean() for label, result in study.results.items()}
    assert stuck["std 10"] > 0.5
    assert stuck["He"] == 0


@pytest.mark.parametrize(("activation", "initializer"), [("relu", "he"), ("sigmoid", "xavier"), ("tanh", "lecun")])
def test_the_predicted_signal_is_that_of_wide_networks(activation, initializer):
    """Layers of 128 units, the mean over 8 seeds: what is left is mostly the spread of the first, narrow layer.

    The outputs are as many: the size of a single one is chance, 20 % off in the mean over 8 seeds.
    """
    data = DATASETS["moons"](n=100, noise=0.2, seed=0)
    wide = {"sizes": [2, *[128] * 4], "output": "linear"}
    networks = [Network(**wide, activation=activation, initializer=initializer, seed=seed) for seed in range(8)]
    measured = np.mean([measured_sizes(network, data) for network in networks], axis=0)
    expected = np.mean([expected_sizes(network, data) for network in networks], axis=0)
    np.testing.assert_allclose(measured, expected, rtol=0.15)


WIDE = 300


def test_the_predicted_signal_counts_random_biases():
    """As above: 4 % a layer."""
    data, settings = DATASETS["moons"](n=60, noise=0.2, seed=0), {"initializer": "xavier", "bias_std": 0.8}
    networks = [Network([2, WIDE, WIDE, WIDE, 1], "tanh", **settings, seed=s) for s in range(6)]
    measured = np.mean([measured_sizes(network, data)[:-1] for network in networks], axis=0)
    expected = np.mean([expected_sizes(network, data)[:-1] for network in networks], axis=0)
    np.testing.assert_allclose(measured, expected, rtol=0.12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("skip", [False, True])
def test_the_predicted_signal_counts_biases_and_skip_connections_of_every_activation(activation, skip):
    """The mean over 6 seeds of layers of 300 units, after the first of which only chance is left: 4 % a layer.

    A square doubles what the layers below are off by: 4 + 8 + 16 %.
    """
    data = DATASETS["moons"](n=60, noise=0.2, seed=0)
    for bias in (-1.0, 0.0, 0.7):
        sizes = [2, WIDE, WIDE, WIDE, 1]
        networks = [Network(sizes, activation, initializer="xavier", bias=bias, skip=skip, seed=s) for s in range(6)]
        measured = np.mean([measured_sizes(network, data)[:-1] for network in networks], axis=0)
        expected = np.mean([expected_sizes(network, data)[:-1] for network in networks], axis=0)
        off = 0.28 if activation == "square" else 0.12
        np.testing.assert_allclose(measured, expected, rtol=off, err_msg=f"bias {bias}")


def test_he_keeps_the_square_of_the_signal_of_relu_units():
    network = Network([2, *[128] * 6, 1], "relu", initializer="he", seed=0)
    sizes = expected_sizes(network, DATASETS["moons"](n=100, noise=0.2, seed=0))
    np.testing.assert_allclose(sizes[1:-1] / sizes[:-2], 1, rtol=0.03)


def test_small_weights_let_the_signal_fade_and_large_ones_let_it_grow():
    data = DATASETS["moons"](n=100, noise=0.2, seed=0)
    for initializer, grows in ((Normal(0.01), False), (Normal(1.0), True)):
        sizes = measured_sizes(Network([2, *[16] * 4, 1], "relu", initializer=initializer, seed=0), data)
        assert all((sizes[1:] > sizes[:-1]) == grows)


@pytest.mark.parametrize("preset", Initialization.presets, ids=lambda preset: preset.label)
def test_a_preset_of_the_run_leaves_every_variant_what_its_label_says(preset):
    settings = Initialization.settings(**{**Initialization.defaults, **preset.changes})
    study = Study(Initialization.plan)
    for label, changes in Initialization.plan.variants.items():
        chosen = study.settings_of(settings, label)
        assert {name: chosen[name] for name in changes} == changes

"""Right gradients pass, wrong ones do not, kinks are set aside, and nothing is left changed."""

import numpy as np
import pytest

from engine.activations import ACTIVATIONS
from engine.datasets import DATASETS, Dataset
from engine.gradient_check import gradient_check
from engine.losses import LOSSES, OUTPUTS
from engine.network import Network

DATA_FOR = {"sigmoid": "moons", "softmax": "blobs", "linear": "sine"}
MOONS = DATASETS["moons"](n=40)
XOR = DATASETS["xor4"]()

MATCHING = [(loss, output) for loss, kind in LOSSES.items() for output in OUTPUTS if output in kind.outputs]


def data_for(loss: str, output: str) -> Dataset:
    """Examples whose labels the loss can read."""
    return MOONS if (loss, output) == ("hinge", "linear") else DATASETS[DATA_FOR[output]](n=40)


def network_for(data: Dataset, output: str = "sigmoid", activation: str = "tanh", **options) -> Network:
    return Network([data.features, 5, 4, data.n_classes if output == "softmax" else 1], activation, output, **options)


def shallow(seed: int = 0) -> Network:
    """Its biases are zero, and so are the inputs of one of XOR's examples: all its units sit on their kinks."""
    return Network([2, 4, 1], activation="relu", seed=seed)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_every_activation_passes(activation, seed):
    assert gradient_check(network_for(MOONS, activation=activation, seed=seed), MOONS).passed


@pytest.mark.parametrize(("loss", "output"), MATCHING)
@pytest.mark.parametrize("seed", range(3))
def test_every_loss_passes_with_every_output_and_penalty(loss, output, seed):
    data = data_for(loss, output)
    assert gradient_check(network_for(data, output, seed=seed), data, loss, l1=0.01, l2=0.1).passed


@pytest.mark.parametrize("initializer", ["small", "large", "zeros"])
@pytest.mark.parametrize("skip", [False, True])
def test_every_start_passes(initializer, skip):
    network = Network([2, 4, 4, 4, 1], "relu", initializer=initializer, skip=skip)
    assert gradient_check(network, MOONS).passed


def test_the_vanishing_gradient_of_a_deep_network_passes():
    """Its first layer's gradient is 1e-6 of the loss, close to what a difference of losses can resolve."""
    assert gradient_check(Network([2] + [6] * 8 + [1], "sigmoid", initializer="xavier"), MOONS).passed


def test_the_worked_example():
    """w = 1/2, x = y = 1, L = (w x - y)^2: the slope is -1, and so is the difference to its last digits."""
    network = Network([1, 1], output="linear")
    network.parameters = [0.5, 0.0]
    report = gradient_check(network, Dataset(np.ones((1, 1)), np.ones(1), "regression", 0))
    assert report.analytic[0] == -1.0
    assert report.numeric[0] == pytest.approx(-1.0, abs=1e-10)


@pytest.mark.parametrize(
    "bug",
    [
        lambda gradient: -gradient,
        lambda gradient: gradient * len(MOONS),
        lambda gradient: np.zeros_like(gradient),
        lambda gradient: gradient + 1e-3 * (np.arange(gradient.size) == 3),
        lambda gradient: gradient * (1 + 1e-4),
    ],
    ids=["wrong sign", "forgotten 1/n", "nothing", "one parameter off", "a little too long"],
)
def test_every_planted_bug_is_caught(bug, monkeypatch):
    network = network_for(MOONS)
    right = network.gradient(MOONS)
    monkeypatch.setattr(network, "gradient", lambda *arguments: type(right)(bug(right.flat), [], []))
    assert not gradient_check(network, MOONS).passed


def test_arrays_are_laid_out_like_the_parameters():
    network = network_for(MOONS)
    report = gradient_check(network, MOONS)
    for array in (report.numeric, report.analytic, report.relative_errors, report.kinks):
        assert array.shape == network.parameters.shape
    assert np.array_equal(report.analytic, network.gradient(MOONS).flat)
    assert report.kinks.dtype == bool


def test_a_relu_network_fails_on_xor_only_at_kinks():
    report = gradient_check(shallow(), XOR)
    assert report.relative_errors.max() > 0.1
    assert report.kinks[report.relative_errors > 1e-5].all()
    assert report.passed


def test_kinks_of_zero_biases_are_those_biases():
    """At the input (0, 0) a unit of the hidden layer moves off its kink with its bias alone."""
    network = shallow()
    expected = np.zeros(network.n_parameters, bool)
    expected[8:12] = True
    assert np.array_equal(gradient_check(network, XOR).kinks, expected)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"relu", "leaky relu"}))
def test_smooth_activations_have_no_kinks(activation):
    assert not gradient_check(Network([2, 4, 1], activation), XOR, epsilon=0.1).kinks.any()


def test_leaky_relu_has_relus_kinks():
    assert gradient_check(Network([2, 4, 1], "leaky relu"), XOR).kinks.sum() == 4


def test_an_example_on_the_margin_of_the_hinge_is_a_kink():
    network = Network([1, 1])
    network.parameters = [1.0, 0.0]
    data = Dataset(np.array([[1.0], [0.2]]), np.array([1.0, 0.0]), "binary", 2)
    assert gradient_check(network, data, "hinge").kinks.all()
    network.parameters = [0.9, 0.0]
    assert not gradient_check(network, data, "hinge").kinks.any()


def test_a_weight_of_zero_is_a_kink_of_the_l1_penalty_and_a_bias_is_not():
    network = Network([1, 1], initializer="zeros")
    data = Dataset(np.ones((2, 1)), np.array([0.0, 1.0]), "binary", 2)
    assert gradient_check(network, data, l1=0.1).kinks.tolist() == [True, False]
    assert gradient_check(network, data, l2=0.1).kinks.tolist() == [False, False]


def test_errors_grow_when_epsilon_is_too_large_and_when_it_is_too_small():
    network = network_for(MOONS)
    large, right, small = (gradient_check(network, MOONS, epsilon=e).max_relative_error for e in (1e-1, 1e-5, 1e-11))
    assert large > 100 * right and small > 100 * right


def test_parameters_are_restored_bit_for_bit():
    network = network_for(MOONS, activation="relu")
    before = network.parameters.copy()
    gradient_check(network, MOONS)
    assert np.array_equal(network.parameters, before)


@pytest.mark.parametrize("method", ["loss", "trace"])
def test_parameters_are_restored_bit_for_bit_when_something_raises(method, monkeypatch):
    network = network_for(MOONS, activation="relu")
    before, calls, right = network.parameters.copy(), [], getattr(network, method)

    def raises_at_last(*arguments):
        calls.append(arguments)
        if len(calls) == 20:
            raise RuntimeError
        return right(*arguments)

    monkeypatch.setattr(network, method, raises_at_last)
    with pytest.raises(RuntimeError):
        gradient_check(network, MOONS)
    assert np.array_equal(network.parameters, before)


def test_a_diverged_network_does_not_pass():
    network = network_for(MOONS)
    network.parameters[...] = np.nan
    assert not gradient_check(network, MOONS).passed


@pytest.mark.parametrize("epsilon", [0.0, -1e-5, float("nan")])
def test_an_epsilon_that_moves_nothing_is_refused(epsilon):
    with pytest.raises(ValueError, match=f"epsilon = {epsilon}"):
        gradient_check(shallow(), XOR, epsilon=epsilon)

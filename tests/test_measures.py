"""Units whose fate is known beforehand, and norms that can be computed otherwise."""

import numpy as np
import pytest

from engine.activations import ACTIVATIONS
from engine.datasets import DATASETS
from engine.measures import dead_units, dim_units, gradient_norms, saturated_units, unit_fates, update_ratios
from engine.network import Network

MOONS = DATASETS["moons"](n=100)


def fates(network: Network) -> list[list[str]]:
    return [list(layer) for layer in unit_fates(network.trace(MOONS.x), network.activations)]


def with_biases(activation: str, biases: list[float], scale: float = 1.0) -> Network:
    """One hidden layer whose weights are small before the biases, unless scaled up."""
    network = Network([2, len(biases), 1], activation, initializer="small")
    network.weights[0][...] *= scale
    network.biases[0][...] = biases
    return network


def test_a_layers_gradient_norm_is_that_of_weights_and_biases_together():
    network = Network([2, 4, 3, 1])
    gradient = network.gradient(MOONS)
    ends = np.cumsum([w.size + b.size for w, b in zip(gradient.weights, gradient.biases, strict=True)])
    expected = [np.linalg.norm(part) for part in np.split(gradient.flat, ends[:-1])]
    np.testing.assert_allclose(gradient_norms(gradient.weights, gradient.biases), expected)


def test_update_ratios_are_the_distance_moved_over_the_size():
    before = [np.array([[3.0, 4.0]]), np.array([[2.0]])]
    after = [np.array([[3.0, 4.5]]), np.array([[2.0]])]
    np.testing.assert_allclose(update_ratios(before, after), [0.1, 0.0])


def test_a_layer_of_zeros_has_an_infinite_ratio_once_it_moves():
    assert update_ratios([np.zeros(2), np.zeros(2)], [np.ones(2), np.zeros(2)])[0] == np.inf
    assert np.isnan(update_ratios([np.zeros(2)], [np.zeros(2)])[0])


def test_dead_units_fire_for_no_example_at_all():
    assert dead_units(np.array([[0.0, 0.0, 1e-9], [0.0, 2.0, 0.0]])).tolist() == [True, False, False]


def test_dim_units_average_below_a_thousandth():
    assert dim_units(np.array([0.0, 9.9e-4, 1e-3, -9.9e-4])).tolist() == [True, True, False, True]


def test_saturated_units_give_something_but_no_longer_react():
    activations = np.tile([1.0, 0.0, 0.5], (10, 1))
    slopes = np.tile([1e-5, 0.0, 0.2], (10, 1))
    assert saturated_units(activations, slopes).tolist() == [True, False, False]


def test_a_unit_is_saturated_if_nine_of_ten_examples_are():
    slopes = np.full((10, 2), 1e-5)
    slopes[:1, 0] = slopes[:2, 1] = 0.2
    assert saturated_units(np.ones((10, 2)), slopes).tolist() == [True, False]


def test_relu_units_die_dim_or_live_by_their_bias():
    assert fates(with_biases("relu", [-1.0, 5e-4, 1.0], scale=1e-3)) == [["dead", "dim", "alive"]]


def test_sigmoid_units_saturate_on_both_sides():
    assert fates(with_biases("sigmoid", [-6.0, 0.0, 6.0])) == [["saturated", "alive", "saturated"]]


def test_a_tanh_unit_that_averages_to_zero_is_alive():
    network = Network([2, 1, 1], "tanh")
    network.weights[0][...] = [[1.0], [0.0]]
    network.biases[0][...] = -0.5
    assert fates(network) == [["alive"]]


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"relu"}))
def test_only_relu_units_die_of_a_bias_below_zero(name):
    dead = fates(with_biases(name, [-1.0]))[0] == ["dead"]
    assert not dead


def test_what_a_skip_connection_adds_does_not_hide_a_dead_unit():
    network = Network([2, 3, 3, 1], "relu", skip=True, bias=1.0)
    network.biases[1][...] = [-100.0, 1.0, 1.0]
    trace = network.trace(MOONS.x)
    assert not dead_units(trace.activations[1])[0]
    assert unit_fates(trace, network.activations)[1].tolist() == ["dead", "alive", "alive"]


def test_activations_may_differ_from_layer_to_layer():
    network = Network([2, 2, 3, 1], ["relu", "sigmoid"], initializer="zeros", bias=-1.0)
    assert fates(network) == [["dead"] * 2, ["alive"] * 3]


def test_a_network_without_hidden_layers_has_no_units_to_judge():
    assert fates(Network([2, 1])) == []

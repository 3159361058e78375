"""Units whose fate is known beforehand, norms that can be computed otherwise, and PyTorch's example by example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_gradients import REFERENCES
from oracle_measures import MEASURED, torch_noise_scale, torch_norms

from engine.activations import ACTIVATIONS
from engine.datasets import DATASETS
from engine.measures import (
    FATES,
    Fates,
    cosines,
    dead_units,
    dim_units,
    example_gradient_norms,
    gradient_noise_scale,
    gradient_norms,
    gradient_to_weight_ratios,
    pre_activation_histograms,
    saturated_units,
    unit_fates,
    update_ratios,
    weight_norms,
)
from engine.network import Network, Trace
from engine.optimizers import OPTIMIZERS
from engine.training import train

MOONS = DATASETS["moons"](n=100)

measured = pytest.mark.parametrize("case", MEASURED, ids=[case.name for case in MEASURED])
histories = st.integers(1, 4).flatmap(
    lambda units: st.lists(st.lists(st.sampled_from(FATES), min_size=units, max_size=units), min_size=1, max_size=8)
)


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


def test_weight_norms_leave_the_biases_out():
    networks = [Network([2, 4, 3, 1], seed=seed, bias=7.0) for seed in range(3)]
    expected = [[np.linalg.norm(w) for w in network.weights] for network in networks]
    parameters = np.stack([network.parameters for network in networks])
    np.testing.assert_allclose(weight_norms(parameters, networks[0].sizes), expected)


def test_update_ratios_are_the_distance_moved_over_the_size():
    before = [np.array([[3.0, 4.0]]), np.array([[2.0]])]
    after = [np.array([[3.0, 4.5]]), np.array([[2.0]])]
    np.testing.assert_allclose(update_ratios(before, after), [0.1, 0.0])


def test_a_layer_of_zeros_has_an_infinite_ratio_once_it_moves():
    assert update_ratios([np.zeros(2), np.zeros(2)], [np.ones(2), np.zeros(2)])[0] == np.inf
    assert np.isnan(update_ratios([np.zeros(2)], [np.zeros(2)])[0])


def test_gradient_to_weight_ratios_are_update_ratios_of_gradient_descent_over_its_rate():
    network = Network([2, 4, 3, 1])
    moved, gradient = network.copy(), network.gradient(MOONS)
    moved.parameters -= 0.5 * gradient.flat
    expected = update_ratios(network.weights, moved.weights) / 0.5
    np.testing.assert_allclose(gradient_to_weight_ratios(gradient.weights, network.weights), expected, rtol=1e-12)


def test_a_layer_of_zeros_is_pulled_infinitely_or_not_at_all():
    ratios = gradient_to_weight_ratios([np.ones(2), np.zeros(2)], [np.zeros(2), np.zeros(2)])
    assert ratios[0] == np.inf and np.isnan(ratios[1])


def test_cosines_know_straight_on_corners_and_back():
    path = [[0, 0], [1, 0], [3, 0], [3, 5], [3, 4]]
    np.testing.assert_allclose(cosines(path), [1.0, 0.0, -1.0], atol=1e-15)


@given(st.integers(0, 100), st.floats(-300, 300))
def test_cosines_are_normalized_products_however_long_the_steps(seed, decades):
    steps = np.random.default_rng(seed).normal(size=(5, 3))
    lengths = np.linalg.norm(steps, axis=1)
    expected = (steps[1:] * steps[:-1]).sum(axis=1) / (lengths[1:] * lengths[:-1])
    path = np.concatenate([np.zeros((1, 3)), steps.cumsum(axis=0)]) * 10**decades
    np.testing.assert_allclose(cosines(path), expected, atol=1e-12)


def test_a_step_without_length_has_no_direction():
    assert np.isnan(cosines(np.array([[0.0], [1.0], [1.0], [2.0], [3.0]]))).tolist() == [True, True, False]


@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_path_too_short_to_turn_has_no_cosines(k):
    assert cosines(np.ones((k, 3))).shape == (0,)


def test_gradient_descent_zigzags_just_below_the_largest_stable_rate():
    """Logistic regression: with 1.9 / lambda the steepest direction alternates and soon outlives the others."""
    data, network = DATASETS["moons"](n=100), Network([2, 1], initializer="zeros")
    x = np.column_stack([data.x * [10, 1], np.ones(100)])
    steepest = np.linalg.eigvalsh(x.T @ x / 400)[-1]
    sgd = OPTIMIZERS["sgd"](learning_rate=1.9 / steepest)
    stretched = type(data)(data.x * [10, 1], data.y, "binary", 2)
    path = [epoch.parameters for epoch, _ in zip(train(network, stretched, optimizer=sgd), range(8), strict=False)]
    assert cosines(path)[0] < -0.5


@measured
def test_each_examples_gradient_norms_are_pytorchs(case):
    """To 1e-9: PyTorch's outer products are summed, ours are products of two sums."""
    norms = example_gradient_norms(case.network, case.data, case.loss)
    expected = np.load(REFERENCES / "measures.npz")[f"norms, {case.name}"]
    np.testing.assert_allclose(norms, expected, rtol=1e-9)


@measured
def test_the_gradient_noise_scale_is_pytorchs(case):
    scale = gradient_noise_scale(case.network, case.data, case.loss, case.l1, case.l2)
    assert scale == pytest.approx(float(np.load(REFERENCES / "measures.npz")[f"noise, {case.name}"]), rel=1e-9)


@pytest.mark.torch
@measured
def test_norms_and_noise_scale_are_pytorchs_live(case):
    pytest.importorskip("torch")
    norms = example_gradient_norms(case.network, case.data, case.loss)
    np.testing.assert_allclose(norms, torch_norms(case), rtol=1e-9)
    scale = gradient_noise_scale(case.network, case.data, case.loss, case.l1, case.l2)
    assert scale == pytest.approx(torch_noise_scale(case), rel=1e-9)


def test_minibatches_of_the_noise_scale_are_as_much_noise_as_signal():
    """E|g - G|^2 = |G|^2 for batches drawn with replacement; 4000 of them know the mean to 2 %: four times that."""
    network, rng = Network([2, 4, 1], "tanh"), np.random.default_rng(0)
    whole = network.gradient(MOONS).flat
    size = round(gradient_noise_scale(network, MOONS))
    batches = (MOONS.take(rng.integers(0, len(MOONS), size)) for _ in range(4000))
    noise = np.mean([((network.gradient(batch).flat - whole) ** 2).sum() for batch in batches])
    exact = gradient_noise_scale(network, MOONS) / size
    assert noise / (whole @ whole) == pytest.approx(exact, rel=0.08)


def test_examples_that_are_all_alike_make_no_noise():
    """Up to the rounding of the difference of two equal numbers."""
    one = MOONS.take(np.zeros(10, int))
    assert gradient_noise_scale(Network([2, 4, 1]), one) == pytest.approx(0.0, abs=1e-12)


def test_examples_that_cancel_out_are_nothing_but_noise():
    network = Network([1, 1], initializer="zeros")
    data = DATASETS["sine"](n=2)
    both = type(data)(np.ones((2, 1)), np.array([0.0, 1.0]), "binary", 2)
    assert gradient_noise_scale(network, both) == np.inf
    network.parameters[...] = np.nan
    assert np.isnan(gradient_noise_scale(network, both))


def test_wild_parameters_have_a_wild_noise_scale_without_a_warning():
    network = Network([2, 3, 1], "elu")
    network.parameters[...] = 1e200
    assert not np.isfinite(gradient_noise_scale(network, MOONS, l2=0.1))


def test_histograms_count_every_pre_activation_once():
    network = Network([2, 6, 5, 1], ["tanh", "relu"])
    trace = network.trace(MOONS.x)
    layers = pre_activation_histograms(trace, network.activations, bins=7)
    for layer, z in zip(layers, trace.pre_activations, strict=True):
        assert layer.counts.sum() == z.size and layer.outside == 0
        assert layer.edges[0] == z.min() and layer.edges[-1] == z.max() and len(layer.edges) == 8


def test_histograms_within_bounds_say_what_lies_outside():
    network = Network([2, 6, 1], "sigmoid", initializer="large")
    trace = network.trace(MOONS.x)
    (layer,) = pre_activation_histograms(trace, network.activations, bins=10, bounds=(-2, 2))
    z = trace.pre_activations[0]
    np.testing.assert_array_equal(layer.edges, np.linspace(-2, 2, 11))
    assert layer.outside == pytest.approx(np.mean(np.abs(z) > 2), abs=1e-15) and layer.outside > 0


def test_a_layer_pushed_to_its_bounds_is_flat_and_saturated():
    """Slopes of the sigmoid are below 0.01 beyond |z| = 4.585."""
    network = with_biases("sigmoid", [-6.0, 0.0, 6.0, 6.0])
    (layer,) = pre_activation_histograms(network.trace(MOONS.x), network.activations)
    assert layer.saturated == 0.75 and layer.flat == 0.75


def test_a_dead_relu_layer_is_flat_but_not_saturated():
    network = with_biases("relu", [-1.0, -2.0], scale=1e-3)
    (layer,) = pre_activation_histograms(network.trace(MOONS.x), network.activations)
    assert layer.saturated == 0 and layer.flat == 1


@pytest.mark.parametrize(
    "z",
    [[[0.0]], [[0.5], [np.nextafter(0.5, 1)]], [[1e-310], [0.0]], [[np.nan], [np.inf]], [[1e200], [-1e308], [3.0]]],
    ids=["zero", "almost equal", "denormal", "not finite", "enormous"],
)
def test_histograms_of_odd_layers_count_what_they_can(z):
    z = np.array(z)
    (layer,) = pre_activation_histograms(Trace([z], [z], z, z), ["tanh"])
    assert layer.counts.sum() == np.count_nonzero(np.abs(z) < 1e100)
    assert layer.outside == 1 - layer.counts.sum() / len(z)
    assert (np.diff(layer.edges) > 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"bins": 0}, "0 bins hold nothing"), ({"bounds": (1.0, 1.0)}, r"bounds \(1.0, 1.0\) hold nothing")],
)
def test_a_histogram_that_holds_nothing_is_refused(options, message):
    network = Network([2, 3, 1])
    with pytest.raises(ValueError, match=message):
        pre_activation_histograms(network.trace(MOONS.x), network.activations, **options)


@given(histories)
def test_fates_updated_epoch_by_epoch_are_those_of_the_whole_history(history):
    fates, table = Fates(), np.array(history)
    for index, row in enumerate(table):
        fates.update(10 * index, [row])
    for unit, column in enumerate(table.T):
        changes = [i for i in range(1, len(column)) if column[i] != column[i - 1]]
        assert fates.now[unit] == column[-1]
        assert fates.since[unit] == 10 * max(changes, default=0)
        assert fates.revivals[unit] == sum(column[i - 1] == "dead" for i in changes)
        death = next(i for i in range(len(column)) if (column[i:] == "dead").all() or i == len(column) - 1)
        expected = 10 * death if column[-1] == "dead" else np.nan
        np.testing.assert_equal(fates.deaths[unit], expected)
    assert fates.counts() == {fate: (table[-1] == fate).sum() for fate in FATES}


def test_fates_are_fed_with_what_unit_fates_gives():
    """A step that pushes all biases far down kills every ReLU; lifting one layer's wakes it."""
    network, fates = Network([2, 4, 3, 1], initializer="small"), Fates()
    for index, biases in enumerate([(1.0, 1.0), (-50.0, -50.0), (-50.0, -50.0), (50.0, -50.0)]):
        network.biases[0][...], network.biases[1][...] = biases
        fates.update(index, unit_fates(network.trace(MOONS.x), network.activations))
    assert fates.now.tolist() == ["alive"] * 4 + ["dead"] * 3
    np.testing.assert_equal(fates.deaths, [np.nan] * 4 + [1] * 3)
    assert fates.since.tolist() == [3] * 4 + [1] * 3 and fates.revivals.tolist() == [1] * 4 + [0] * 3


def test_what_fates_returned_stays_true():
    fates = Fates()
    fates.update(0, [np.array(["alive", "dead"])])
    now, since, revivals = fates.now, fates.since, fates.revivals
    fates.update(1, [np.array(["dead", "alive"])])
    assert now.tolist() == ["alive", "dead"] and since.tolist() == revivals.tolist() == [0, 0]


def test_a_network_without_hidden_layers_has_no_fates():
    fates = Fates()
    fates.update(0, [])
    fates.update(1, [])
    assert fates.deaths.shape == fates.since.shape == (0,)


@pytest.mark.parametrize(
    ("index", "names", "message"),
    [
        (3, ["dead", "dim"], "epoch 3 is not later than 3; tell epochs in their order"),
        (4, ["dead"], "1 fates do not go with 2 units"),
    ],
)
def test_fates_out_of_order_or_of_another_network_are_refused(index, names, message):
    fates = Fates()
    fates.update(3, [np.array(["alive", "alive"])])
    with pytest.raises(ValueError, match=message):
        fates.update(index, [np.array(names)])


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
